//! OpenStack's APIs as a monitor reads them: a login to Keystone, the token's catalogue, and what Nova, Cinder and Neutron say of
//! the services of every host.

use serde_json::{Value, json};

/// Nova disables a host by itself where libvirt is gone (`AUTO: …`) or too many builds fail (`Auto-disabled due to …`).
const AUTO_WORDS: [&str; 2] = ["AUTO:", "Auto-disabled"];

/// Names under which the catalogue knows a service, the preferred one first. Cinder has had one name for each major version.
const TYPES: [(&str, &[&str]); 7] = [
    ("identity", &["identity"]),
    ("compute", &["compute"]),
    ("volume", &["block-storage", "volumev3", "volume", "volumev2"]),
    ("network", &["network"]),
    ("image", &["image"]),
    ("placement", &["placement"]),
    ("object", &["object-store"]),
];

/// Who logs in, and by what.
#[derive(Clone, Eq, PartialEq)]
pub enum Login {
    Password { user: String, user_domain: String, password: String, project: String, project_domain: String },
    ApplicationCredential { id: String, secret: String },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login([redacted])")
    }
}

impl Login {
    /// Body of `POST /v3/auth/tokens`.
    pub fn body(&self) -> String {
        let auth = match self {
            Login::Password { user, user_domain, password, project, project_domain } => json!({
                "identity": {
                    "methods": ["password"],
                    "password": { "user": { "name": user, "domain": { "name": user_domain }, "password": password } },
                },
                "scope": { "project": { "name": project, "domain": { "name": project_domain } } },
            }),
            // Its project is part of the credential; a scope beside it is refused.
            Login::ApplicationCredential { id, secret } => json!({
                "identity": {
                    "methods": ["application_credential"],
                    "application_credential": { "id": id, "secret": secret },
                },
            }),
        };
        json!({ "auth": auth }).to_string()
    }
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenStackError {
    #[error("it is no answer of Keystone: no `{0}`")]
    NoMember(&'static str),
    #[error("the answer has no list `{0}`")]
    NoList(&'static str),
    #[error("an entry of `{0}` has no `{1}`")]
    HalfEntry(&'static str, &'static str),
}

/// What a token says of itself, and where the services are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Token {
    /// As written, RFC 3339.
    pub expires_at: String,
    pub catalog: Vec<Endpoint>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoint {
    pub kind: String,
    pub interface: String,
    pub region: String,
    pub url: String,
}

impl Token {
    /// # Errors
    /// It is no token, or one without an end.
    pub fn read(json: &Value) -> Result<Token, OpenStackError> {
        let token = json.get("token").ok_or(OpenStackError::NoMember("token"))?;
        let expires_at = token.get("expires_at").and_then(Value::as_str);
        let expires_at = expires_at.ok_or(OpenStackError::NoMember("expires_at"))?.to_owned();
        let mut catalog = Vec::new();
        // A token without scope has no catalogue; then no service has an endpoint, which is told where one is sought.
        for service in list(token, "catalog").unwrap_or_default() {
            for endpoint in list(service, "endpoints").unwrap_or_default() {
                let region = text(endpoint, "region_id");
                catalog.push(Endpoint {
                    kind: text(service, "type"),
                    interface: text(endpoint, "interface"),
                    region: if region.is_empty() { text(endpoint, "region") } else { region },
                    url: text(endpoint, "url"),
                });
            }
        }
        Ok(Token { expires_at, catalog })
    }

    /// The address of a service (`compute`, `volume`, …): of one region where one is named.
    pub fn endpoint(&self, service: &str, interface: &str, region: Option<&str>) -> Option<&str> {
        let names = TYPES.iter().find(|(name, _)| *name == service).map_or(&[][..], |(_, names)| *names);
        let fits = |endpoint: &&Endpoint, name: &str| {
            endpoint.kind == name
                && endpoint.interface == interface
                && region.is_none_or(|region| endpoint.region == region)
                && !endpoint.url.is_empty()
        };
        names.iter().find_map(|name| self.catalog.iter().find(|endpoint| fits(endpoint, name))).map(|one| &*one.url)
    }
}

/// One service of one host, of whichever API.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Service {
    pub binary: String,
    /// As the API says it: Cinder adds the backend, `ctl1@ceph`.
    pub host: String,
    /// `None`: the API does not know (a cell of Nova that does not answer).
    pub is_up: Option<bool>,
    pub is_disabled: bool,
    pub reason: String,
    /// Somebody, or something that fences, has declared it down.
    pub is_forced_down: bool,
    /// Its last sign of life, as written.
    pub seen_at: String,
}

impl Service {
    /// Whether it stands on this host: names with and without a domain are the same host.
    pub fn is_on(&self, host: &str) -> bool {
        let own = self.host.split('@').next().unwrap_or_default();
        if own.eq_ignore_ascii_case(host) {
            return true;
        }
        let (first, other) = (own.split('.').next().unwrap_or_default(), host.split('.').next().unwrap_or_default());
        (first.len() == own.len() || other.len() == host.len())
            && !first.is_empty()
            && first.eq_ignore_ascii_case(other)
    }

    /// Nova took the host out of service by itself; nobody wanted it.
    pub fn is_auto_disabled(&self) -> bool {
        self.is_disabled && AUTO_WORDS.iter().any(|word| self.reason.contains(word))
    }

    /// `nova-compute@cmp1`
    pub fn name(&self) -> String {
        format!("{}@{}", self.binary, self.host)
    }
}

/// Reads `GET /os-services` of Nova or Cinder.
///
/// # Errors
/// It is no such list, or an entry names no binary or host.
pub fn services(json: &Value) -> Result<Vec<Service>, OpenStackError> {
    const LIST: &str = "services";
    let rows = list(json, LIST).ok_or(OpenStackError::NoList(LIST))?;
    let read = |row: &Value| {
        Ok(Service {
            binary: needed(row, LIST, "binary")?,
            host: needed(row, LIST, "host")?,
            is_up: match text(row, "state").as_str() {
                "up" => Some(true),
                "down" => Some(false),
                _ => None,
            },
            is_disabled: text(row, "status") == "disabled",
            reason: text(row, "disabled_reason"),
            is_forced_down: row.get("forced_down").and_then(Value::as_bool).unwrap_or(false),
            seen_at: text(row, "updated_at"),
        })
    };
    rows.iter().map(read).collect()
}

/// Reads `GET /v2.0/agents` of Neutron.
///
/// # Errors
/// It is no such list, or an entry names no binary or host.
pub fn agents(json: &Value) -> Result<Vec<Service>, OpenStackError> {
    const LIST: &str = "agents";
    let rows = list(json, LIST).ok_or(OpenStackError::NoList(LIST))?;
    let read = |row: &Value| {
        Ok(Service {
            binary: needed(row, LIST, "binary")?,
            host: needed(row, LIST, "host")?,
            is_up: row.get("alive").and_then(Value::as_bool),
            is_disabled: row.get("admin_state_up").and_then(Value::as_bool) == Some(false),
            reason: String::new(),
            is_forced_down: false,
            seen_at: text(row, "heartbeat_timestamp"),
        })
    };
    rows.iter().map(read).collect()
}

/// What a service says went wrong: `{"error": {"message": …}}`, `{"badRequest": {"message": …}}`, `{"NeutronError": {…}}`.
pub fn complaint(json: &Value) -> Option<String> {
    let fault = json.as_object()?.values().find(|value| value.is_object())?;
    let said = text(fault, "message");
    (!said.is_empty()).then_some(said)
}

fn list<'v>(value: &'v Value, key: &str) -> Option<&'v [Value]> {
    value.get(key)?.as_array().map(Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn needed(row: &Value, list: &'static str, key: &'static str) -> Result<String, OpenStackError> {
    let word = text(row, key);
    if word.is_empty() { Err(OpenStackError::HalfEntry(list, key)) } else { Ok(word) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// After keystone's api-ref sample auth-password-project-scoped-response.json, shortened.
    const TOKEN: &str = r#"{"token":{"methods":["password"],"expires_at":"2015-11-07T02:58:43.578887Z","catalog":[
        {"type":"identity","name":"keystone","endpoints":[{"region_id":"RegionOne","region":"RegionOne","interface":"public","url":"http://23.253.248.171:5000/v3"}]},
        {"type":"compute","name":"nova","endpoints":[{"region_id":"RegionOne","interface":"internal","url":"http://10.0.0.1:8774/v2.1/a6944d"},
          {"region_id":"RegionTwo","interface":"public","url":"http://23.253.248.172:8774/v2.1"},{"region_id":"RegionOne","interface":"public","url":"http://23.253.248.171:8774/v2.1/a6944d"}]},
        {"type":"volumev2","endpoints":[{"region":"RegionOne","interface":"public","url":"http://x:8776/v2/a"}]},
        {"type":"volumev3","endpoints":[{"region":"RegionOne","interface":"public","url":"http://x:8776/v3/a"}]}]}}"#;

    /// nova doc/api_samples/os-services/v2.53/services-list-get-resp.json, and an entry of v2.69 whose cell does not answer.
    const SERVICES: &str = r#"{"services":[
        {"id":"c4726392-27de-4ff9-b2e0-5aa1d08a520f","binary":"nova-scheduler","disabled_reason":"test1","host":"host1","state":"up","status":"disabled","updated_at":"2012-10-29T13:42:02.000000","forced_down":false,"zone":"internal"},
        {"binary":"nova-compute","disabled_reason":"AUTO: Connection to libvirt lost: 1","host":"host2.example.org","state":"up","status":"disabled","updated_at":"2012-09-18T08:03:38.000000","forced_down":false},
        {"binary":"nova-compute","disabled_reason":null,"host":"host3","state":"down","status":"enabled","updated_at":null,"forced_down":true},
        {"binary":"nova-compute","host":"host4","status":"UNKNOWN"}]}"#;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_token_names_the_endpoints_of_its_region() {
        let token = Token::read(&value(TOKEN)).expect("a token");
        assert_eq!(token.expires_at, "2015-11-07T02:58:43.578887Z");
        for (service, interface, region, url) in [
            ("compute", "public", Some("RegionOne"), Some("http://23.253.248.171:8774/v2.1/a6944d")),
            ("compute", "public", Some("RegionTwo"), Some("http://23.253.248.172:8774/v2.1")),
            ("compute", "internal", None, Some("http://10.0.0.1:8774/v2.1/a6944d")),
            ("volume", "public", None, Some("http://x:8776/v3/a")),
            ("network", "public", None, None),
            ("compute", "admin", None, None),
            ("compute", "public", Some("RegionThree"), None),
            ("moon", "public", None, None),
        ] {
            assert_eq!(token.endpoint(service, interface, region), url, "{service} {interface} {region:?}");
        }
        assert_eq!(Token::read(&value("{}")), Err(OpenStackError::NoMember("token")));
        assert_eq!(Token::read(&value(r#"{"token":{}}"#)), Err(OpenStackError::NoMember("expires_at")));
    }

    #[test]
    fn services_of_nova_are_read() {
        let seen = services(&value(SERVICES)).expect("services");
        assert_eq!(seen.iter().map(|s| s.is_up).collect::<Vec<_>>(), [Some(true), Some(true), Some(false), None]);
        assert_eq!(seen.iter().map(|s| s.is_disabled).collect::<Vec<_>>(), [true, true, false, false]);
        assert_eq!(seen.iter().map(Service::is_auto_disabled).collect::<Vec<_>>(), [false, true, false, false]);
        assert_eq!((seen[2].is_forced_down, seen[2].name().as_str()), (true, "nova-compute@host3"));
        assert_eq!(services(&value("{}")), Err(OpenStackError::NoList("services")));
        let half = value(r#"{"services":[{"binary":"nova-compute"}]}"#);
        assert_eq!(services(&half), Err(OpenStackError::HalfEntry("services", "host")));
    }

    /// neutron-lib api-ref/source/v2/samples/agents/agents-list-response.json, shortened; the second is dead and the third is off.
    const AGENTS: &str = r#"{"agents":[
        {"binary":"neutron-openvswitch-agent","heartbeat_timestamp":"2017-09-12 19:40:08","admin_state_up":true,"alive":true,"host":"agenthost1","agent_type":"Open vSwitch agent"},
        {"binary":"neutron-l3-agent","heartbeat_timestamp":"2017-09-12 19:30:08","admin_state_up":true,"alive":false,"host":"agenthost1","agent_type":"L3 agent"},
        {"binary":"neutron-dhcp-agent","heartbeat_timestamp":"2017-09-12 19:39:56","admin_state_up":false,"alive":true,"host":"agenthost1","agent_type":"DHCP agent"}]}"#;

    #[test]
    fn agents_of_neutron_are_read() {
        let seen = agents(&value(AGENTS)).expect("agents");
        let state: Vec<_> = seen.iter().map(|agent| (agent.is_up, agent.is_disabled)).collect();
        assert_eq!(state, [(Some(true), false), (Some(false), false), (Some(true), true)]);
        assert_eq!(agents(&value(r#"{"agents":7}"#)), Err(OpenStackError::NoList("agents")));
    }

    #[test]
    fn a_host_is_known_with_and_without_its_domain() {
        for (host, wanted, same) in [
            ("cmp1", "cmp1", true),
            ("CMP1.example.org", "cmp1", true),
            ("cmp1", "cmp1.example.org", true),
            ("ctl1@ceph", "ctl1", true),
            ("cmp1.a.org", "cmp1.b.org", false),
            ("cmp10", "cmp1", false),
            ("", "cmp1", false),
            ("", "", true),
        ] {
            let service = Service { host: host.into(), ..Service::default() };
            assert_eq!(service.is_on(wanted), same, "{host} {wanted}");
        }
    }

    #[test]
    fn a_login_is_what_keystone_documents() {
        let login = Login::ApplicationCredential { id: "423f".into(), secret: "rEaq".into() };
        let wanted = r#"{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"423f","secret":"rEaq"}}}}"#;
        assert_eq!(value(&login.body()), value(wanted));
        let [user, password, project] = ["admin", "a\"b", "admin"].map(str::to_owned);
        let domain = || "Default".to_owned();
        let login = Login::Password { user, user_domain: domain(), password, project, project_domain: domain() };
        let wanted = r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"name":"Default"},"password":"a\"b"}}},
            "scope":{"project":{"name":"admin","domain":{"name":"Default"}}}}}"#;
        assert_eq!(value(&login.body()), value(wanted));
        assert_eq!(format!("{login:?}"), "Login([redacted])");
    }

    #[test]
    fn complaints_of_every_service_are_read() {
        for (json, said) in [
            (
                r#"{"error":{"code":401,"message":"The request you have made requires authentication."}}"#,
                Some("The request you have made requires authentication."),
            ),
            (r#"{"NeutronError":{"type":"X","message":"busy"}}"#, Some("busy")),
            (r#"{"code":1}"#, None),
            ("[]", None),
        ] {
            assert_eq!(complaint(&value(json)).as_deref(), said, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_document_panics(text in "(\\{|\\}|\\[|\\]|\"(token|catalog|services|agents|host|binary|endpoints|state)\"|:|,|\"é@.\"|null|true|[0-9]{1,9}){0,40}") {
            if let Ok(json) = serde_json::from_str(&text) {
                let _ = (Token::read(&json), services(&json), agents(&json), complaint(&json));
            }
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..1400) {
            for whole in [TOKEN, SERVICES, AGENTS] {
                if let Ok(json) = serde_json::from_str(whole.get(..cut).unwrap_or(whole)) {
                    let _ = (Token::read(&json), services(&json), agents(&json));
                }
            }
        }

        #[test]
        fn any_member_of_another_kind_reads_or_refuses(at in 0usize..1200, with in "(null|7|\"\"|\\[\\]|\\{\\}|true)") {
            // One value replaced: whatever the type of a member, nothing panics.
            for whole in [TOKEN, SERVICES, AGENTS] {
                let Some((head, tail)) = whole.split_at_checked(at) else { continue };
                let Some(colon) = tail.find(':') else { continue };
                let rest = tail.get(colon + 1..).unwrap_or_default();
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                let text = format!("{head}{}{with}{}", tail.get(..=colon).unwrap_or_default(), rest.get(end..).unwrap_or_default());
                if let Ok(json) = serde_json::from_str(&text) {
                    let _ = (Token::read(&json), services(&json), agents(&json));
                }
            }
        }
    }
}
