//! `cloudstack_vip`: whether the address before the management servers answers, and whether it keeps sessions with one server.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, USER_AGENT};
use hyper::{HeaderMap, Method, Request};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::cloudstack::encode;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::api::secret;
use super::fetch::{Answer, Exchange, Fetch, Fetched, fetch};
use super::look::ahead_of;
use super::reach::{Port, closed, millis, reach};
use super::talk::{shown, trust, unfit, usable_port};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct CloudStackVip {
    env: ProbeEnv,
    config: Config,
    trust: Option<Trust>,
    /// The agents' port shows a certificate of CloudStack's own authority; only whether it is the same one matters.
    agents_trust: Trust,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub address: Option<Arc<str>>,
    /// 80, or 443 with `tls`.
    pub port: Option<u16>,
    pub path: String,
    pub tls: bool,
    pub insecure: bool,
    pub ca_file: Option<PathBuf>,
    pub host: Option<String>,
    /// An account without rights is enough; sessions are tried only with one.
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub domain: String,
    /// Sessions that are opened, and requests in each.
    pub sessions: u32,
    pub requests: u32,
    /// Where agents connect; 0 = not looked at.
    pub agents_port: u16,
    pub agents_tries: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            address: None,
            port: None,
            path: "/client/".to_owned(),
            tls: false,
            insecure: false,
            ca_file: None,
            host: None,
            user: None,
            password_file: None,
            domain: "/".to_owned(),
            sessions: 3,
            requests: 4,
            agents_port: 8250,
            agents_tries: 4,
        }
    }
}

/// A handshake takes milliseconds; what is silent for so long speaks no TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

impl Probe for CloudStackVip {
    const KIND: &'static str = "cloudstack_vip";
    const DOC: &'static str = include_str!("../../../docs/probes/cloudstack_vip.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| unfit(Self::KIND, why);
        usable_port(Self::KIND, config.port)?;
        if config.user.is_some() != config.password_file.is_some() {
            return Err(refuse("`user` and `password_file` go together"));
        }
        let is_path = |path: &str| path.starts_with('/') && path.ends_with('/') && !path.contains(['?', '#', ' ']);
        if !is_path(&config.path) {
            return Err(refuse("`path` begins and ends with /: /client/"));
        }
        if !(1..=20).contains(&config.sessions) || !(1..=50).contains(&config.requests) {
            return Err(refuse("`sessions` are 1 to 20 with 1 to 50 `requests`"));
        }
        if !(2..=20).contains(&config.agents_tries) {
            return Err(refuse("`agents_tries` are 2 to 20: one says nothing"));
        }
        let trust =
            config.tls.then(|| trust("cloudstack_vip", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(CloudStackVip { env: env.clone(), config, trust, agents_trust: Trust::everything() })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let target = &target.at(self.config.address.as_ref());
        let deadline = ahead_of(deadline);
        let (seen, serves) = self.front(target, deadline).await?;
        if !serves {
            return Ok(seen);
        }
        let seen = match (&self.config.user, &self.config.password_file) {
            (Some(user), Some(_)) => {
                let password = secret(self.config.password_file.as_deref()).await?.unwrap_or_default();
                self.sessions(seen, target, (user, &password), deadline).await?
            }
            _ => seen,
        };
        if self.config.agents_port == 0 { Ok(seen) } else { self.agents(seen, target, deadline).await }
    }
}

/// What became of one session.
#[derive(Clone, Debug, PartialEq)]
enum Session {
    /// Every request was answered by a server that knew it.
    Kept { cookie: Option<String> },
    /// A server did not know it.
    Lost { cookie: Option<String> },
    /// The login was refused.
    Denied(String),
    /// An answer is missing, for another reason.
    Broken(String),
}

impl CloudStackVip {
    fn port(&self) -> u16 {
        self.config.port.unwrap_or(if self.config.tls { 443 } else { 80 })
    }

    /// The page that everybody gets.
    async fn front(&self, target: &Target, deadline: Deadline) -> Result<(Observation, bool), ProbeError> {
        let fetched = self.ask(target, Method::GET, &self.config.path, "", "", deadline).await?;
        if fetched.attempt.port != Port::Open {
            return Ok((closed(&fetched.attempt), false));
        }
        let seen = Observation::observed("").fact("port", "open").fact("total_ms", millis(fetched.total));
        let seen = seen.measure("time", fetched.total.as_secs_f64(), "s");
        let (word, why) = match &fetched.exchange {
            Some(Exchange::Answer(answer)) => {
                let serves = answer.status < 500;
                let text = format!("{} answers with status {}", fetched.attempt.addr, answer.status);
                let seen = Observation { text: text.into(), ..seen }.fact("http", u32::from(answer.status));
                return Ok((seen.fact("vip", if serves { "ok" } else { "error" }), serves));
            }
            Some(Exchange::Timeout) => ("timeout", "no complete answer in time".to_owned()),
            Some(Exchange::Broken(why)) => ("invalid", format!("no valid answer: {why}")),
            None => ("tls", fetched.tls.and_then(|tls| tls.error).unwrap_or_else(|| "no TLS".to_owned())),
        };
        Ok((Observation { text: why.into(), ..seen }.fact("vip", word).fact("http", word), false))
    }

    async fn ask(
        &self,
        target: &Target,
        method: Method,
        path: &str,
        cookies: &str,
        body: &str,
        deadline: Deadline,
    ) -> Result<Fetched, ProbeError> {
        let name = self.config.host.as_deref().unwrap_or(&target.address);
        let name = if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("{name}:{}", self.port()))
            .header(USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json, text/html")
            .header(CONNECTION, "close");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            request = request.header(hyper::header::CONTENT_LENGTH, body.len());
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
        let request = request.map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))?;
        let ask = Fetch {
            net: &self.env.net,
            target,
            port: self.port(),
            tls: self.trust.as_ref(),
            server_name: self.config.host.as_deref(),
            request,
            body_bytes_max: ANSWER_BYTES_MAX,
        };
        fetch(ask, deadline).await
    }

    /// Opens sessions and goes on in each over new connections: a server that did not open it refuses.
    async fn sessions(
        &self,
        seen: Observation,
        target: &Target,
        login: (&str, &str),
        deadline: Deadline,
    ) -> Result<Observation, ProbeError> {
        let (mut kept, mut lost) = (0_u32, 0_u32);
        let (mut cookies, mut trouble) = (BTreeSet::new(), None);
        for _ in 0..self.config.sessions {
            match self.session(target, login, deadline).await? {
                Session::Kept { cookie } => {
                    kept += 1;
                    cookies.extend(cookie);
                }
                Session::Lost { cookie } => {
                    lost += 1;
                    cookies.extend(cookie);
                }
                Session::Denied(why) => {
                    let text = format!("{}; login refused: {why}", seen.text);
                    return Ok(Observation { text: text.into(), ..seen }.fact("ui", "denied"));
                }
                Session::Broken(why) => {
                    trouble = Some(why);
                    break;
                }
            }
        }
        let mut text = format!("{}, {kept} of {} sessions kept", seen.text, kept + lost);
        if let Some(why) = &trouble {
            text.push_str(&format!(", then no answer: {why}"));
        }
        let seen = Observation { text: text.into(), ..seen };
        let seen = seen.fact("ui", if trouble.is_some() { "broken" } else { "ok" }).fact("ui_sessions", kept + lost);
        let seen = seen.fact("ui_lost", lost).fact("lb_cookies", cookies.into_iter().collect::<Vec<String>>());
        // One that was lost is enough; that all are kept is known only of those that were tried in full.
        let known = lost > 0 || (kept > 0 && trouble.is_none());
        Ok(if known { seen.fact("ui_persistent", lost == 0) } else { seen })
    }

    async fn session(
        &self,
        target: &Target,
        (user, password): (&str, &str),
        deadline: Deadline,
    ) -> Result<Session, ProbeError> {
        let api = format!("{}api", self.config.path);
        let domain = encode(&self.config.domain);
        let (user, password) = (encode(user), encode(password));
        let form = format!("command=login&username={user}&password={password}&domain={domain}&response=json");
        let mut jar = Jar::default();
        let key = match self.say(target, Method::POST, &api, &mut jar, &form, deadline).await? {
            Ok(answer) if answer.status == 200 => match session_key(&answer.body) {
                Some(key) => encode(&key),
                None => return Ok(Session::Broken("the answer to the login has no session key".to_owned())),
            },
            Ok(answer) if matches!(answer.status, 401 | 403 | 531) => {
                return Ok(Session::Denied(format!("status {}", answer.status)));
            }
            Ok(answer) => return Ok(Session::Broken(format!("status {} to the login", answer.status))),
            Err(why) => return Ok(Session::Broken(why)),
        };
        let call = |command: &str| format!("{api}?command={command}&response=json&sessionkey={key}");
        let mut outcome = Session::Kept { cookie: jar.of_balancer() };
        for _ in 0..self.config.requests {
            match self.say(target, Method::GET, &call("listCapabilities"), &mut jar, "", deadline).await? {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) if answer.status == 401 => {
                    outcome = Session::Lost { cookie: jar.of_balancer() };
                    break;
                }
                Ok(answer) => return Ok(Session::Broken(format!("status {}", answer.status))),
                Err(why) => return Ok(Session::Broken(why)),
            }
        }
        // Whether the good-bye arrives does not matter: the server ends the session by itself.
        let _ = self.say(target, Method::GET, &call("logout"), &mut jar, "", deadline).await?;
        Ok(outcome)
    }

    async fn say(
        &self,
        target: &Target,
        method: Method,
        path: &str,
        jar: &mut Jar,
        body: &str,
        deadline: Deadline,
    ) -> Result<Result<Answer, String>, ProbeError> {
        let fetched = self.ask(target, method, path, &jar.header(), body, deadline).await?;
        Ok(match fetched.exchange {
            Some(Exchange::Answer(answer)) => {
                jar.take(&answer.headers);
                Ok(answer)
            }
            Some(Exchange::Timeout) => Err("no complete answer in time".to_owned()),
            Some(Exchange::Broken(why)) => Err(why),
            None => Err(closed(&fetched.attempt).text.to_string()),
        })
    }

    /// Each management server has a certificate of its own; several connections must meet the same one.
    async fn agents(&self, seen: Observation, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut backends = BTreeSet::new();
        let mut told = 0_u32;
        for tried in 0..self.config.agents_tries {
            let until = deadline.min(Instant::now() + HANDSHAKE_MAX);
            let mut attempt = reach(&self.env.net, target, self.config.agents_port, until).await?;
            let Some(stream) = attempt.stream.take() else {
                if tried > 0 {
                    break;
                }
                let text = format!("{}; {}", seen.text, closed(&attempt).text);
                return Ok(Observation { text: text.into(), ..seen }.fact("agents_port", attempt.port.word()));
            };
            let name = ServerName::from(attempt.addr.ip());
            let client = self.agents_trust.client();
            let (config, keeper) = client.map_err(|e| ProbeError::Failed(format!("TLS cannot be set up: {e}")))?;
            // A server that wants a certificate of agents refuses us, after it has shown its own.
            let _ = timeout_at(until, TlsConnector::from(config).connect(name, stream)).await;
            let Some(fingerprint) = keeper.fingerprint() else { break };
            told += 1;
            backends.insert(fingerprint);
        }
        let seen = seen.fact("agents_port", "open").fact("agents_backends", backends.len());
        if told < 2 {
            return Ok(seen);
        }
        let text = format!("{}; agents meet {} in {told} connections", seen.text, servers(backends.len()));
        Ok(Observation { text: text.into(), ..seen }.fact("agents_persistent", backends.len() == 1))
    }
}

fn servers(count: usize) -> String {
    if count == 1 { "1 server".to_owned() } else { format!("{count} servers") }
}

/// `{"loginresponse":{"sessionkey":"…"}}`
fn session_key(body: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    let key = document.get("loginresponse")?.get("sessionkey")?.as_str()?;
    (!key.is_empty() && !key.contains(char::is_control)).then(|| key.to_owned())
}

/// Cookies of one session, as a browser keeps them.
#[derive(Debug, Default)]
struct Jar {
    cookies: Vec<(String, String)>,
}

/// A server that sets more is no management server.
const COOKIES_MAX: usize = 16;
const COOKIE_CHARS_MAX: usize = 4096;
/// Cookies of the management server itself.
const OWN_COOKIES: [&str; 4] = ["JSESSIONID", "sessionkey", "userid", "username"];

impl Jar {
    fn take(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(SET_COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            let Some((name, value)) = text.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            if name.is_empty() || name.len() + value.len() > COOKIE_CHARS_MAX {
                continue;
            }
            self.cookies.retain(|(own, _)| *own != name);
            if self.cookies.len() < COOKIES_MAX {
                self.cookies.push((name, value));
            }
        }
    }

    fn header(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Name of the cookie by which a balancer keeps the session, if it does it so.
    fn of_balancer(&self) -> Option<String> {
        let of_it = |name: &str| !OWN_COOKIES.iter().any(|own| own.eq_ignore_ascii_case(name));
        self.cookies.iter().find(|(name, _)| of_it(name)).map(|(name, _)| shown(name))
    }
}

#[cfg(test)]
mod tests;
