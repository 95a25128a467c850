//! `openstack`: what the APIs of an OpenStack say: whether one logs in, whether a service answers, and how the services and agents
//! of each host are.

#[cfg(test)]
mod fake;
mod session;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::openstack::{Service, agents, services};
use tokio::time::Instant;

use self::session::{Account, Answer, Asking, Held, Own, Question, Session, Who};
use super::reach::millis;
use super::talk::{shown, trust};
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

/// Names in one fact.
const NAMES_MAX: usize = 20;
/// Hosts that are told for comparison with the configured ones.
const HOSTS_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Keystone, version 3: `https://ctl.example.org:5000/v3`.
    pub url: String,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    #[serde(default = "default_domain")]
    pub user_domain: String,
    #[serde(default)]
    pub project: Option<String>,
    #[serde(default = "default_domain")]
    pub project_domain: String,
    /// Instead of user, password and project.
    #[serde(default)]
    pub application_credential_id: Option<String>,
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default = "public")]
    pub interface: String,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Which API is asked.
    #[serde(default)]
    pub service: Api,
    /// Of the services of this name on this host.
    #[serde(default)]
    pub binary: Option<String>,
    /// Name of the host in the API; the target's if missing.
    #[serde(default)]
    pub node: Option<String>,
    /// Ask the target itself, not the balancer in front of it.
    #[serde(default)]
    pub own: bool,
    /// Whether the target itself speaks TLS; as in the URL if missing.
    #[serde(default)]
    pub own_tls: Option<bool>,
    /// How long one answer serves all checks of the cloud, in seconds.
    #[serde(default = "share")]
    pub share_s: u64,
}

fn default_domain() -> String {
    "Default".to_owned()
}

fn public() -> String {
    "public".to_owned()
}

const fn share() -> u64 {
    5
}

#[derive(Copy, Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    #[default]
    Identity,
    Compute,
    Volume,
    Network,
    Image,
    Placement,
}

impl Api {
    /// Name in the catalogue, and what is asked of it.
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Api::Identity => ("identity", "/auth/tokens"),
            Api::Compute => ("compute", "/os-services"),
            Api::Volume => ("volume", "/os-services"),
            Api::Network => ("network", "/v2.0/agents"),
            Api::Image => ("image", "/v2/images?limit=1"),
            Api::Placement => ("placement", "/resource_providers?limit=1"),
        }
    }

    /// Some endpoints are registered with their version, some without.
    fn url(self, endpoint: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        let (_, path) = self.parts();
        let version = path.split('/').nth(1).unwrap_or_default();
        match path.strip_prefix(&format!("/{version}")) {
            Some(rest) if endpoint.ends_with(&format!("/{version}")) => format!("{endpoint}{rest}"),
            Some(_) | None => format!("{endpoint}{path}"),
        }
    }

    fn lists_services(self) -> bool {
        matches!(self, Api::Compute | Api::Volume | Api::Network)
    }
}

pub struct OpenStack {
    env: ProbeEnv,
    config: Config,
    session: Arc<Session>,
}

impl Probe for OpenStack {
    const KIND: &'static str = "openstack";
    const DOC: &'static str = include_str!("../../../../docs/probes/openstack.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| Err(BuildError { message: format!("probe `openstack`: {why}") });
        let uri = config.url.parse::<hyper::Uri>().ok();
        if !uri.is_some_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))) {
            return refuse("`url` is the address of Keystone: \"https://ctl.example.org:5000/v3\"");
        }
        let who = match (&config.application_credential_id, &config.user, &config.project) {
            (Some(id), None, None) => Who::ApplicationCredential { id: id.clone(), file: config.secret_file.clone() },
            (None, Some(user), Some(project)) => Who::Password {
                user: user.clone(),
                user_domain: config.user_domain.clone(),
                file: config.password_file.clone(),
                project: project.clone(),
                project_domain: config.project_domain.clone(),
            },
            _ => {
                return refuse(
                    "it logs in with `user`, `password_file` and `project`, or with `application_credential_id` and \
                     `secret_file`",
                );
            }
        };
        let file = match &who {
            Who::Password { file, .. } | Who::ApplicationCredential { file, .. } => file,
        };
        if file.is_none() {
            return refuse("the login needs its `password_file` or `secret_file`");
        }
        if config.binary.is_some() && !config.service.lists_services() {
            return refuse("`binary` is of the services `compute`, `volume` and `network`");
        }
        let trust = trust("openstack", config.insecure, config.ca_file.as_deref())?;
        let account =
            Account { url: config.url.clone(), who, insecure: config.insecure, ca_file: config.ca_file.clone() };
        Ok(OpenStack { env: env.clone(), session: Session::of(account, trust), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let asking = Asking { net: &self.env.net, clock: &self.env.clock, target, deadline };
        let own = self.config.own.then(|| Own { address: Arc::clone(&target.address), tls: self.config.own_tls });
        if self.config.service == Api::Identity {
            return self.identity(&asking, own.as_ref()).await;
        }
        let held = match self.session.token(&asking, None).await? {
            Ok(held) => held,
            Err(answer) => return Ok(refused("login", &answer)),
        };
        let (name, _) = self.config.service.parts();
        let endpoint = held.token.endpoint(name, &self.config.interface, self.config.region.as_deref());
        let Some(endpoint) = endpoint.map(|endpoint| self.config.service.url(endpoint)) else {
            let of = self.config.region.as_deref().map(|region| format!(" of {region}")).unwrap_or_default();
            let text = format!("the catalogue has no {} address of `{name}`{of}", self.config.interface);
            let seen = Observation::observed(text).fact("port", "open").fact("step", "catalog");
            return Ok(seen.fact("openstack", "no_endpoint"));
        };
        let question = Question { url: &endpoint, own: own.as_ref() };
        let (answer, is_fresh_refused) = self.ask(&asking, &question, held).await?;
        if !answer.is_ok() {
            return Ok(refused("ask", &answer).fact("token_refused", is_fresh_refused));
        }
        let read = match self.config.service {
            Api::Compute | Api::Volume => services(&answer.json),
            Api::Network => agents(&answer.json),
            Api::Identity | Api::Image | Api::Placement => return Ok(answered(name, &answer)),
        };
        Ok(match read {
            Ok(list) => self.observe(target, answered(name, &answer), &list),
            Err(error) => refused("ask", &Answer { word: "invalid", why: error.to_string(), ..answer }),
        })
    }
}

impl OpenStack {
    /// Asks with the token, and once more with a new one where it is refused: it may have been revoked, or Keystone has lost it.
    async fn ask(
        &self,
        asking: &Asking<'_>,
        question: &Question<'_>,
        held: Held,
    ) -> Result<(Answer, bool), ProbeError> {
        let share = Duration::from_secs(self.config.share_s);
        let answer = self.session.get(asking, question, &held, share).await?;
        if answer.word != "denied" {
            return Ok((answer, false));
        }
        let refused_at = Instant::now();
        match self.session.token(asking, Some(&held.id)).await? {
            Ok(fresh) => {
                // Of many checks that were refused one asks again; what it hears serves the others.
                let answer = self.session.get(asking, question, &fresh, refused_at.elapsed()).await?;
                let is_refused = answer.word == "denied";
                Ok((answer, is_refused))
            }
            Err(_) => Ok((answer, false)),
        }
    }

    /// Keystone itself: does it give a token, and take one that another node gave?
    async fn identity(&self, asking: &Asking<'_>, own: Option<&Own>) -> Result<Observation, ProbeError> {
        let given = match self.session.log_in(asking, own).await? {
            Ok(given) => given,
            Err(answer) => return Ok(refused("login", &answer)),
        };
        let foreign = own.and_then(|_| self.session.standing(asking.clock));
        let answer = self.session.validate(asking, foreign.as_ref().unwrap_or(&given), own).await?;
        let keys = match answer.word {
            "ok" => "ok",
            "denied" | "missing" => "refused",
            _ => return Ok(refused("ask", &answer)),
        };
        let text = match keys {
            "ok" => "logged in, the token is taken".to_owned(),
            _ => format!("it gives tokens and refuses those of its peers: {}", shown(&answer.why)),
        };
        let seen = answered("identity", &answer);
        Ok(Observation { text: text.into(), ..seen }.fact("keys", keys))
    }

    fn observe(&self, target: &Target, seen: Observation, list: &[Service]) -> Observation {
        let names = |wanted: &dyn Fn(&Service) -> bool| -> Vec<String> {
            let names = list.iter().filter(|service| wanted(service)).map(|service| shown(&service.name()));
            names.take(NAMES_MAX).collect()
        };
        let count = |wanted: &dyn Fn(&Service) -> bool| list.iter().filter(|service| wanted(service)).count();
        let is_down = |service: &Service| service.is_up == Some(false) && !service.is_disabled;
        let enabled = count(&|service| !service.is_disabled);
        let down = count(&is_down);
        let mut text = format!("{} of {enabled} services up", count(&|s| s.is_up == Some(true) && !s.is_disabled));
        if down > 0 {
            text.push_str(&format!(", down: {}", names(&is_down).join(" ")));
        }
        let mut seen = seen
            .fact("services", list.len())
            .fact("services_down", down)
            .fact("down", names(&is_down))
            .fact("disabled", names(&|service| service.is_disabled))
            .fact("auto_disabled", names(&Service::is_auto_disabled))
            // Of a single service its own fate is no sign of the bus or the database.
            .fact("all_down", enabled > 1 && down == enabled)
            .measure("services_down", down as f64, "");
        if self.config.service == Api::Compute {
            let computes = list.iter().filter(|one| one.binary == "nova-compute").take(HOSTS_MAX);
            let row = |one: &Service| -> Value { [("host", Value::from(shown(&one.host)))].into_iter().collect() };
            seen = seen.fact("nodes", Value::List(computes.map(row).collect()));
        }
        if let Some(binary) = &self.config.binary {
            let node = self.config.node.as_deref().unwrap_or(&target.host);
            let own: Vec<&Service> = list.iter().filter(|one| one.binary == *binary && one.is_on(node)).collect();
            let state = state_of(&own);
            let reason = own.iter().map(|one| one.reason.as_str()).find(|reason| !reason.is_empty());
            let why = reason.map(|reason| format!(" ({})", shown(reason))).unwrap_or_default();
            text = match state {
                "absent" => format!("the API knows no {binary} on {node}"),
                state => format!("{binary} on {node} is {state}{why}; {text}"),
            };
            let backends = own.iter().filter(|one| is_down(one)).map(|one| shown(&one.host)).collect::<Vec<_>>();
            seen = seen
                .fact("state", state)
                .fact("backends_down", backends)
                .fact("forced_down", own.iter().any(|one| one.is_forced_down));
            if let Some(reason) = reason {
                seen = seen.fact("reason", shown(reason));
            }
            if let Some(last) = own.iter().map(|one| one.seen_at.as_str()).min().filter(|last| !last.is_empty()) {
                seen = seen.fact("seen_at", shown(last));
            }
        }
        Observation { text: text.into(), ..seen }
    }
}

/// The worst of a host's services of one name.
fn state_of(own: &[&Service]) -> &'static str {
    let any = |wanted: &dyn Fn(&&Service) -> bool| own.iter().any(wanted);
    if own.is_empty() {
        "absent"
    } else if any(&|one| one.is_up == Some(false) && !one.is_disabled) {
        "down"
    } else if any(&|one| one.is_auto_disabled()) {
        "auto_disabled"
    } else if own.iter().all(|one| one.is_disabled) {
        "disabled"
    } else if any(&|one| one.is_up.is_none()) {
        "unknown"
    } else {
        "up"
    }
}

fn answered(name: &str, answer: &Answer) -> Observation {
    let text = format!("{name} answers in {} ms", millis(answer.took));
    with_status(Observation::observed(text), answer)
        .fact("port", answer.port)
        .fact("openstack", "ok")
        .fact("step", "done")
        .fact("total_ms", millis(answer.took))
        .measure("time", answer.took.as_secs_f64(), "s")
}

fn refused(step: &str, answer: &Answer) -> Observation {
    let why = shown(&answer.why);
    let text = if step == "login" { format!("no login: {why}") } else { why };
    with_status(Observation::observed(text), answer)
        .fact("port", answer.port)
        .fact("openstack", answer.word)
        .fact("step", step)
}

fn with_status(seen: Observation, answer: &Answer) -> Observation {
    match answer.http {
        Some(Ok(status)) => seen.fact("http", f64::from(status)),
        Some(Err(word)) => seen.fact("http", word),
        None => seen,
    }
}
