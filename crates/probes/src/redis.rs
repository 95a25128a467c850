//! `redis`: does it answer, does it keep what it is given, and do its replicas follow.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::redis::{Head, Info, command, head};

use super::api::secret;
use super::look::ahead_of;
use super::reach::closed;
use super::talk::{self, Hitch, Secure, Talk, open, opened, shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Redis {
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
    #[serde(default = "redis_port")]
    pub port: u16,
    /// User of the access list; the default user if missing.
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password; read at each look, so that it can change.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
}

fn redis_port() -> u16 {
    6379
}

/// Why there is no INFO; an error of the server's begins with its word.
type Refusal = talk::Refusal<String>;

impl Probe for Redis {
    const KIND: &'static str = "redis";
    const DOC: &'static str = include_str!("../../../docs/probes/redis.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `redis`: {why}") };
        if config.port == 0 {
            return Err(refuse("there is no port 0"));
        }
        if config.user.is_some() && config.password_file.is_none() {
            return Err(refuse("a `user` has a `password_file`"));
        }
        let trust = config.tls.then(|| trust("redis", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Redis { env: env.clone(), config, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let login = self.login().await?;
        let (attempt, talk) = open(&self.env.net, target, self.config.port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(closed(&attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        if let Some(trust) = &self.trust {
            let name = self.config.host.as_deref().unwrap_or(&target.address);
            match (Secure { trust, name, clock: &self.env.clock }).talk(talk, &mut seen).await? {
                Ok(secured) => talk = secured,
                Err(hitch) => return Ok(refused(seen, &Refusal::Hitch(hitch))),
            }
        }
        Ok(match ask(&mut talk, login.as_deref()).await {
            Ok(info) => observe(seen, &info),
            Err(refusal) => refused(seen, &refusal),
        })
    }
}

impl Redis {
    /// The AUTH command, if there is a password.
    async fn login(&self) -> Result<Option<Vec<u8>>, ProbeError> {
        let password = secret(self.config.password_file.as_deref()).await?;
        Ok(password.map(|password| match &self.config.user {
            Some(user) => command(&["AUTH", user, &password]),
            None => command(&["AUTH", &password]),
        }))
    }
}

async fn ask(talk: &mut Talk, login: Option<&[u8]>) -> Result<Info, Refusal> {
    if let Some(login) = login {
        answer(talk, login).await?;
    }
    let pong = answer(talk, &command(&["PING"])).await?;
    if pong != "PONG" {
        return Err(Hitch::Invalid(format!("it answers PING with `{}`", shown(&pong))).into());
    }
    let info = answer(talk, &command(&["INFO"])).await?;
    if !info.contains("redis_version:") && !info.contains("valkey_version:") {
        return Err(Hitch::Invalid("its INFO names no version".into()).into());
    }
    Ok(Info::parse(&info))
}

async fn answer(talk: &mut Talk, asked: &[u8]) -> Result<String, Refusal> {
    talk.say(asked).await?;
    let line = talk.line().await?;
    match head(&line) {
        Some(Head::Simple(text)) => Ok(text),
        Some(Head::Error(error)) => Err(Refusal::Server(error)),
        Some(Head::Bulk(Some(bytes))) => {
            let text = talk.exactly(bytes + "\r\n".len()).await?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        Some(Head::Integer(_) | Head::Bulk(None)) | None => {
            Err(Hitch::Invalid(format!("it says `{}`", shown(&line))).into())
        }
    }
}

fn refused(seen: Observation, refusal: &Refusal) -> Observation {
    let at = seen.text.to_string();
    let (word, text) = match refusal {
        Refusal::Hitch(hitch) => (hitch.word(), format!("{at}: no answer of Redis: {hitch}")),
        Refusal::Server(error) => {
            let word = match error.split(' ').next().unwrap_or_default() {
                "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => "denied",
                "LOADING" => "loading",
                "MASTERDOWN" => "master_down",
                // AUTH without a password set, too many clients.
                _ => "error",
            };
            (word, format!("{at}: Redis says {}", shown(error)))
        }
    };
    Observation { text: text.into(), ..seen }.fact("redis", word)
}

fn observe(seen: Observation, info: &Info) -> Observation {
    let role = match info.text("role") {
        Some("slave") => "replica",
        Some("master") => "primary",
        other => other.unwrap_or("unknown"),
    };
    let version = info.text("valkey_version").or(info.text("redis_version")).unwrap_or("?");
    let mut parts = vec![format!("{}: Redis {}, {}", seen.text, shown(version), shown(role))];
    let mut seen = seen.fact("redis", "ok").fact("role", shown(role)).fact("version", shown(version));
    for (field, fact) in [
        ("uptime_in_seconds", "uptime_s"),
        ("connected_clients", "clients"),
        ("blocked_clients", "blocked_clients"),
        ("evicted_keys", "evicted_keys"),
        ("rejected_connections", "rejected_connections"),
    ] {
        if let Some(number) = info.number(field) {
            seen = seen.fact(fact, number);
        }
    }
    if let Some(clients) = info.number("connected_clients") {
        seen = seen.measure("clients", clients as f64, "");
    }
    seen = memory(seen, info, &mut parts);
    seen = persistence(seen, info, &mut parts);
    seen = if role == "replica" { follows(seen, info, &mut parts) } else { followed(seen, info, &mut parts) };
    Observation { text: parts.join(", ").into(), ..seen }
}

fn memory(mut seen: Observation, info: &Info, parts: &mut Vec<String>) -> Observation {
    let Some(used) = info.number("used_memory") else { return seen };
    seen = seen.fact("memory_bytes", used).measure("memory", used as f64, "B");
    if let Some(most) = info.number("maxmemory").filter(|most| *most > 0) {
        let pct = (used as f64 / most as f64 * 1000.0).round() / 10.0;
        parts.push(format!("memory {pct} %"));
        seen = seen.fact("memory_pct", pct).measure("memory_pct", pct, "%");
    }
    seen
}

/// Whether the last attempts to keep the data on disk went well.
fn persistence(mut seen: Observation, info: &Info, parts: &mut Vec<String>) -> Observation {
    let mut is_ok = true;
    for (field, words) in [
        ("rdb_last_bgsave_status", "last snapshot failed"),
        ("aof_last_bgrewrite_status", "last rewrite of the log failed"),
        ("aof_last_write_status", "last write to the log failed"),
    ] {
        if info.text(field).is_some_and(|status| status != "ok") {
            is_ok = false;
            parts.push(words.to_owned());
        }
    }
    seen = seen.fact("persistence_ok", is_ok);
    seen
}

fn follows(mut seen: Observation, info: &Info, parts: &mut Vec<String>) -> Observation {
    let link = info.text("master_link_status").unwrap_or("unknown");
    let primary = format!("{}:{}", info.text("master_host").unwrap_or("?"), info.text("master_port").unwrap_or("?"));
    parts.push(format!("link to {} is {}", shown(&primary), shown(link)));
    seen = seen.fact("link", shown(link)).fact("primary", shown(&primary));
    seen = seen.fact("syncing", info.number("master_sync_in_progress") == Some(1));
    if let Some(silent) = info.number("master_last_io_seconds_ago").filter(|seconds| *seconds >= 0) {
        seen = seen.fact("primary_silent_s", silent).measure("primary_silent", silent as f64, "s");
    }
    if let Some(down) = info.number("master_link_down_since_seconds").filter(|seconds| *seconds >= 0) {
        seen = seen.fact("link_down_s", down);
        parts.push(format!("for {down} s"));
    }
    seen
}

fn followed(mut seen: Observation, info: &Info, parts: &mut Vec<String>) -> Observation {
    let replicas = info.replicas();
    let online = replicas.iter().filter(|replica| replica.is_online).count();
    seen = seen.fact("replicas", replicas.len()).fact("replicas_online", online);
    if replicas.is_empty() {
        return seen;
    }
    parts.push(format!("{online} of {} replicas on line", replicas.len()));
    let end = info.number("master_repl_offset");
    let behind = replicas.iter().filter_map(|replica| Some(end?.saturating_sub(replica.offset?).max(0))).max();
    if let Some(behind) = behind {
        parts.push(format!("up to {behind} bytes behind"));
        seen = seen.fact("lag_bytes", behind).measure("lag", behind as f64, "B");
    }
    if let Some(silent) = replicas.iter().filter_map(|replica| replica.silent_s).max() {
        seen = seen.fact("lag_s", silent).measure("lag_s", silent as f64, "s");
    }
    seen
}
