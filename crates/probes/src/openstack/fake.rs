//! A small OpenStack on loopback for tests: Keystone with users, tokens that end and a catalogue; Nova, Cinder, Neutron, Glance behind
//! it, which take only tokens that stand. Answers as the API references document them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a service misbehaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// An answer of a balancer with no server behind it, and the like.
    Status(&'static str, &'static str),
    /// Takes the request and says nothing.
    Hang,
    /// The connection ends in the middle of the JSON.
    Half,
    /// Complete HTTP, and JSON that ends in the middle.
    CutJson,
}

/// HAProxy's page when no server is left.
pub const NO_SERVER: Fault = Fault::Status(
    "503 Service Unavailable",
    "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
);

pub struct State {
    pub password: String,
    /// End of the tokens that are given out.
    pub expires_at: String,
    /// Tokens that stand.
    pub tokens: Vec<String>,
    pub logins: usize,
    /// Requests by path without query.
    pub asked: BTreeMap<String, usize>,
    pub faults: BTreeMap<&'static str, Fault>,
    pub nova: Value,
    pub cinder: Value,
    pub agents: Value,
    /// Types in the catalogue.
    pub catalog: Vec<&'static str>,
    /// Status for a token that stands, where the user lacks a role.
    pub forbids: bool,
}

#[derive(Clone)]
pub struct Fake {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

pub fn service(binary: &str, host: &str, state: &str, status: &str, reason: Value) -> Value {
    json!({"id": "c4726392-27de-4ff9-b2e0-5aa1d08a520f", "binary": binary, "host": host, "state": state, "status": status,
        "disabled_reason": reason, "updated_at": "2026-11-21T01:59:58.000000", "forced_down": false, "zone": "internal"})
}

pub fn agent(binary: &str, host: &str, alive: bool, on: bool) -> Value {
    json!({"binary": binary, "host": host, "alive": alive, "admin_state_up": on, "agent_type": "L3 agent", "topic": "l3_agent",
        "heartbeat_timestamp": "2026-11-21 01:59:58", "started_at": "2026-11-20 19:35:36", "configurations": {}})
}

impl Fake {
    pub async fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        let up = |binary: &str, host: &str| service(binary, host, "up", "enabled", Value::Null);
        let state = State {
            password: "secret".into(),
            expires_at: "2026-11-21T03:00:00.000000Z".into(),
            tokens: Vec::new(),
            logins: 0,
            asked: BTreeMap::new(),
            faults: BTreeMap::new(),
            nova: json!({"services": [up("nova-scheduler", "ctl1"), up("nova-compute", "cmp1.example.org"), up("nova-compute", "cmp2")]}),
            cinder: json!({"services": [up("cinder-scheduler", "ctl1"), up("cinder-volume", "ctl1@ceph"), up("cinder-volume", "ctl1@lvm")]}),
            agents: json!({"agents": [agent("neutron-l3-agent", "ctl1", true, true), agent("neutron-dhcp-agent", "ctl1", true, true)]}),
            catalog: vec!["identity", "compute", "volumev3", "network", "image"],
            forbids: false,
        };
        let fake = Fake { port, state: Arc::new(Mutex::new(state)) };
        let served = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = served.clone();
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
        fake
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream) {
        let Some((line, head, body)) = read_request(&mut stream).await else { return };
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let of = match path.split('/').nth(1) {
            Some("v3") => "keystone",
            Some("compute") => "nova",
            Some("volume") => "cinder",
            Some("network") => "neutron",
            _ => "glance",
        };
        let fault = {
            let mut state = self.state();
            *state.asked.entry(path.clone()).or_default() += 1;
            state.faults.get(of).cloned()
        };
        let (status, more, answer) = match fault {
            Some(Fault::Hang) => {
                // Until the probe gives up.
                let _ = stream.read(&mut [0; 16]).await;
                return;
            }
            Some(Fault::Status(status, body)) => (status, String::new(), body.to_owned()),
            fault @ (None | Some(Fault::Half | Fault::CutJson)) => {
                let (status, more, value) = self.answer(method, &path, &head, &body);
                let mut text = value.to_string();
                if fault == Some(Fault::CutJson) {
                    text.truncate(text.len() / 2);
                }
                (status, more, text)
            }
        };
        let promised = answer.len() + if self.state().faults.get(of) == Some(&Fault::Half) { 1000 } else { 0 };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {promised}\r\nContent-Type: application/json\r\n{more}Connection: close\r\n\r\n"
        );
        let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
    }

    fn answer(&self, method: &str, path: &str, head: &str, body: &str) -> (&'static str, String, Value) {
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        if (method, path) == ("POST", "/v3/auth/tokens") {
            return self.log_in(body);
        }
        let state = self.state();
        if !state.tokens.contains(&header("x-auth-token")) {
            let said = json!({"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}});
            return ("401 Unauthorized", "WWW-Authenticate: Keystone uri=\"http://ctl:5000\"\r\n".into(), said);
        }
        if state.forbids {
            return (
                "403 Forbidden",
                String::new(),
                json!({"forbidden": {"code": 403, "message": "Policy doesn't allow os_compute_api:os-services:list to be performed."}}),
            );
        }
        let found = match path {
            "/v3/auth/tokens" if state.tokens.contains(&header("x-subject-token")) => {
                json!({"token": {"expires_at": state.expires_at}})
            }
            "/compute/v2.1/os-services" => state.nova.clone(),
            "/volume/v3/a6944d/os-services" => state.cinder.clone(),
            "/network/v2.0/agents" => state.agents.clone(),
            "/image/v2/images" => json!({"images": [], "schema": "/v2/schemas/images", "first": "/v2/images"}),
            _ => {
                return (
                    "404 Not Found",
                    String::new(),
                    json!({"error": {"code": 404, "message": "The resource could not be found."}}),
                );
            }
        };
        ("200 OK", String::new(), found)
    }

    fn log_in(&self, body: &str) -> (&'static str, String, Value) {
        let mut state = self.state();
        let asked: Value = serde_json::from_str(body).unwrap_or_default();
        let by_password = &asked["auth"]["identity"]["password"]["user"];
        let by_credential = &asked["auth"]["identity"]["application_credential"];
        let known = (by_password["name"] == "stentor" && by_password["domain"]["name"] == "Default" && by_password["password"] == *state.password
                && asked["auth"]["scope"]["project"]["name"] == "service")
            // A scope beside an application credential is refused.
            || (by_credential["id"] == "423f" && by_credential["secret"] == *state.password && asked["auth"]["scope"].is_null());
        if !known {
            return (
                "401 Unauthorized",
                String::new(),
                json!({"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}),
            );
        }
        state.logins += 1;
        let id = format!("gAAAA-{}", state.logins);
        state.tokens.push(id.clone());
        let paths = BTreeMap::from([
            ("identity", "/v3"),
            ("compute", "/compute/v2.1"),
            ("volumev3", "/volume/v3/a6944d"),
            ("network", "/network/"),
            ("image", "/image"),
        ]);
        let entry = |kind: &&str| {
            let url = format!("http://127.0.0.1:{}{}", self.port, paths.get(*kind).unwrap_or(&"/"));
            json!({"type": kind, "name": kind, "id": "1", "endpoints": [
                {"interface": "internal", "region": "RegionOne", "region_id": "RegionOne", "url": "http://192.0.2.1:1/"},
                {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": url}]})
        };
        let catalog: Vec<Value> = state.catalog.iter().map(entry).collect();
        let token = json!({"token": {"methods": ["password"], "expires_at": state.expires_at, "catalog": catalog, "is_domain": false}});
        ("201 Created", format!("X-Subject-Token: {id}\r\n"), token)
    }
}

/// First line, head and body.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String, String)> {
    let mut read = Vec::new();
    let mut piece = [0; 2048];
    loop {
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.lines().next()?.to_owned(), head.to_owned(), body.to_owned()));
        }
    }
}
