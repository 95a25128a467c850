//! `nats`: whether a NATS server takes a login and answers, and what its monitoring port says of clients and JetStream.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use stentor_core::model::Observation;
use stentor_wire::nats::{Info, Line, Login, connect, line, meta, numbers};

use super::api::{Api, Page, secret};
use super::look::ahead_of;
use super::reach::closed;
use super::talk::{self, Hitch, Secure, Talk, open, opened, shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Nats {
    env: ProbeEnv,
    config: Config,
    trust: Option<Trust>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "nats_port")]
    pub port: u16,
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password, or with the token where there is no `user`.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// TLS behind the server's first line, as NATS has it.
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// `http_port` of the server, usually 8222.
    #[serde(default)]
    pub monitor_port: Option<u16>,
}

fn nats_port() -> u16 {
    4222
}

/// Lines until the answer to our PING; servers send two.
const LINES_MAX: usize = 16;

const VARZ: [(&str, &str); 7] = [
    ("connections", "/connections"),
    ("connections_max", "/max_connections"),
    ("memory_bytes", "/mem"),
    ("slow_consumers", "/slow_consumers"),
    ("subscriptions", "/subscriptions"),
    ("routes", "/routes"),
    ("leafnodes", "/leafnodes"),
];
const JSZ: [(&str, &str); 7] = [
    ("streams", "/streams"),
    ("consumers", "/consumers"),
    ("messages", "/messages"),
    ("storage_bytes", "/storage"),
    ("storage_max_bytes", "/config/max_storage"),
    ("api_errors", "/api/errors"),
    ("ha_assets", "/ha_assets"),
];

/// Why the server does not serve us; what it says is one line.
type Refusal = talk::Refusal<String>;

impl Probe for Nats {
    const KIND: &'static str = "nats";
    const DOC: &'static str = include_str!("../../../docs/probes/nats.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `nats`: {why}") };
        if config.port == 0 || config.monitor_port == Some(0) {
            return Err(refuse("there is no port 0"));
        }
        if config.user.is_some() && config.password_file.is_none() {
            return Err(refuse("a `user` has a `password_file`"));
        }
        let trust = config.tls.then(|| trust("nats", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Nats { env: env.clone(), config, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let login =
            Login { user: self.config.user.clone(), secret: secret(self.config.password_file.as_deref()).await? };
        let (attempt, talk) = open(&self.env.net, target, self.config.port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(closed(&attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        let info = match greeted(&mut talk).await {
            Ok(info) => info,
            Err(refusal) => return Ok(refused(seen, &refusal)),
        };
        seen = introduced(seen, &info);
        if let Some(trust) = &self.trust {
            if !info.offers_tls {
                return Ok(refused(seen, &Hitch::Tls("the server offers none".into()).into()));
            }
            let name = self.config.host.as_deref().unwrap_or(&target.address);
            match (Secure { trust, name, clock: &self.env.clock }).talk(talk, &mut seen).await? {
                Ok(secured) => talk = secured,
                Err(hitch) => return Ok(refused(seen, &hitch.into())),
            }
        } else if info.needs_tls {
            return Ok(refused(seen, &Hitch::Tls("the server wants it: set `tls`".into()).into()));
        }
        if let Err(refusal) = ask(&mut talk, &login).await {
            return Ok(refused(seen, &refusal));
        }
        self.monitor(seen.fact("nats", "ok"), target, deadline).await
    }
}

async fn greeted(talk: &mut Talk) -> Result<Info, Refusal> {
    let said = talk.line().await?;
    match line(&said) {
        Some(Line::Info(info)) => Ok(*info),
        Some(Line::Error(error)) => Err(Refusal::Server(error)),
        _ => Err(Hitch::Invalid(format!("it says `{}`", shown(&said))).into()),
    }
}

async fn ask(talk: &mut Talk, login: &Login) -> Result<(), Refusal> {
    talk.say(connect(login).as_bytes()).await?;
    for _ in 0..LINES_MAX {
        let said = talk.line().await?;
        match line(&said) {
            Some(Line::Pong) => return Ok(()),
            Some(Line::Error(error)) => return Err(Refusal::Server(error)),
            Some(Line::Info(_) | Line::Ok) => {}
            Some(Line::Ping) => talk.say(b"PONG\r\n").await?,
            None => return Err(Hitch::Invalid(format!("it says `{}`", shown(&said))).into()),
        }
    }
    Err(Hitch::Invalid("it says much and answers no PING".into()).into())
}

fn introduced(seen: Observation, info: &Info) -> Observation {
    let text = format!("{}: NATS {} `{}`", seen.text, shown(&info.version), shown(&info.name));
    let mut seen = Observation { text: text.into(), ..seen };
    if let Some(cluster) = &info.cluster {
        seen = seen.fact("cluster", shown(cluster));
    }
    if info.is_leaving {
        seen.text = format!("{}, sends its clients away", seen.text).into();
    }
    seen.fact("version", shown(&info.version)).fact("jetstream", info.has_jetstream).fact("lame_duck", info.is_leaving)
}

fn refused(seen: Observation, refusal: &Refusal) -> Observation {
    let at = seen.text.to_string();
    let (word, text) = match refusal {
        Refusal::Hitch(hitch) => (hitch.word(), format!("{at}: no answer of NATS: {hitch}")),
        Refusal::Server(error) => {
            let lower = error.to_lowercase();
            let word = match () {
                () if lower.contains("authorization") || lower.contains("authentication") => "denied",
                () if lower.contains("maximum connections") => "full",
                () if lower.contains("tls") => "tls",
                () => "error",
            };
            (word, format!("{at}: NATS says {}", shown(error)))
        }
    };
    Observation { text: text.into(), ..seen }.fact("nats", word)
}

impl Nats {
    async fn monitor(&self, seen: Observation, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let Some(port) = self.config.monitor_port else { return Ok(seen) };
        let net = &self.env.net;
        let api = Api { net, target, port, tls: None, server_name: None, authorization: None };
        let varz = match api.get("/varz", deadline).await?.found() {
            Ok(varz) => varz,
            Err((word, why)) => {
                let text = format!("{}; monitoring port {port}: {}", seen.text, shown(&why));
                return Ok(Observation { text: text.into(), ..seen }.fact("monitor", word));
            }
        };
        let mut seen = seen.fact("monitor", "ok");
        seen = clients(seen, &varz);
        if let Ok(jsz) = api.get("/jsz", deadline).await?.found() {
            seen = jetstream(seen, &jsz);
        }
        Ok(match api.get("/healthz", deadline).await? {
            // 503 says why in `error`.
            Page::Json(_, health) => {
                let status = health.get("status").and_then(Value::as_str).unwrap_or("unknown");
                let why = health.get("error").and_then(Value::as_str).map(|why| format!(", {}", shown(why)));
                let text = format!("{}, health {}{}", seen.text, shown(status), why.unwrap_or_default());
                Observation { text: text.into(), ..seen }.fact("health", shown(status))
            }
            Page::Missing(word, _) => seen.fact("health", word),
        })
    }
}

fn clients(mut seen: Observation, varz: &Value) -> Observation {
    for (name, value) in numbers(varz, &VARZ) {
        seen = seen.fact(name, value);
        match name {
            "connections" => seen = seen.measure("connections", value, ""),
            "memory_bytes" => seen = seen.measure("memory", value, "B"),
            "slow_consumers" => seen = seen.measure("slow_consumers", value, "c"),
            _ => {}
        }
    }
    pct(seen, "connections_pct", varz, ["/connections", "/max_connections"])
}

fn jetstream(mut seen: Observation, jsz: &Value) -> Observation {
    for (name, value) in numbers(jsz, &JSZ) {
        seen = seen.fact(name, value);
        if name == "storage_bytes" {
            seen = seen.measure("storage", value, "B");
        }
    }
    seen = pct(seen, "storage_pct", jsz, ["/storage", "/config/max_storage"]);
    let Some(meta) = meta(jsz) else { return seen };
    let away: Vec<String> = meta.away.iter().map(|name| shown(name)).collect();
    seen.fact("meta_leader", shown(&meta.leader)).fact("meta_away", away)
}

fn pct(seen: Observation, name: &str, json: &Value, [used, most]: [&str; 2]) -> Observation {
    let number = |pointer: &str| json.pointer(pointer).and_then(Value::as_f64);
    match number(used).zip(number(most).filter(|most| *most > 0.0)) {
        Some((used, most)) => {
            let pct = (used / most * 1000.0).round() / 10.0;
            seen.fact(name, pct).measure(name, pct, "%")
        }
        None => seen,
    }
}
