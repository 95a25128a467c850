//! `smtp`: a mail server's greeting, what it offers after EHLO, and its certificate by STARTTLS or at once.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::greeting::smtp_line;

use super::look::ahead_of;
use super::reach::closed;
use super::talk::{Hitch, Protection, Secure, Talk, open, opened, shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Smtp {
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
    /// 25, or 465 with `tls = "implicit"`.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: Protection,
    /// Take any certificate.
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// What EHLO says of us.
    #[serde(default = "hello")]
    pub hello: String,
}

fn hello() -> String {
    "stentor.invalid".to_owned()
}

/// Lines of one answer; servers offer some twenty extensions.
const LINES_MAX: usize = 128;

struct Answer {
    code: u16,
    lines: Vec<String>,
}

impl Probe for Smtp {
    const KIND: &'static str = "smtp";
    const DOC: &'static str = include_str!("../../../docs/probes/smtp.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `smtp`: {why}") };
        if config.port == Some(0) {
            return Err(refuse("there is no port 0"));
        }
        if config.hello.is_empty() || config.hello.contains(|c: char| c.is_control() || c == ' ') {
            return Err(refuse("`hello` is one word"));
        }
        let wants = config.tls != Protection::None;
        let trust = wants.then(|| trust("smtp", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Smtp { env: env.clone(), config, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let port = self.config.port.unwrap_or(if self.config.tls == Protection::Implicit { 465 } else { 25 });
        let (attempt, talk) = open(&self.env.net, target, port, deadline).await?;
        let Some(talk) = talk else { return Ok(closed(&attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        let name = self.config.host.as_deref().unwrap_or(&target.address);
        let hitch = match self.talk(talk, name, &mut seen).await? {
            Ok(()) => return Ok(seen),
            Err(hitch) => hitch,
        };
        let text = format!("{}: no mail server's answer: {hitch}", attempt.addr);
        Ok(Observation { text: text.into(), ..seen }.fact("smtp", hitch.word()))
    }
}

impl Smtp {
    async fn talk(&self, mut talk: Talk, name: &str, seen: &mut Observation) -> Result<Result<(), Hitch>, ProbeError> {
        if self.config.tls == Protection::Implicit {
            talk = match self.secure(talk, name, seen).await? {
                Ok(talk) => talk,
                Err(hitch) => return Ok(Err(hitch)),
            };
        }
        let clear = match self.introduce(&mut talk, seen).await {
            Ok(is_ready) => is_ready,
            Err(hitch) => return Ok(Err(hitch)),
        };
        if clear && self.config.tls == Protection::Starttls {
            match start_tls(&mut talk, seen).await {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(hitch) => return Ok(Err(hitch)),
            }
            talk = match self.secure(talk, name, seen).await? {
                Ok(talk) => talk,
                Err(hitch) => return Ok(Err(hitch)),
            };
            if let Err(hitch) = self.hello(&mut talk, seen).await {
                return Ok(Err(hitch));
            }
        }
        // All has been said, whatever it answers.
        let _ = talk.say(b"QUIT\r\n").await;
        Ok(Ok(()))
    }

    async fn secure(&self, talk: Talk, name: &str, seen: &mut Observation) -> Result<Result<Talk, Hitch>, ProbeError> {
        let Some(trust) = &self.trust else { return Ok(Ok(talk)) };
        Secure { trust, name, clock: &self.env.clock }.talk(talk, seen).await
    }

    /// Greeting and EHLO; whether the server serves.
    async fn introduce(&self, talk: &mut Talk, seen: &mut Observation) -> Result<bool, Hitch> {
        let greeting = answer(talk).await?;
        let first = shown(greeting.lines.first().map_or("", String::as_str));
        let at = seen.text.to_string();
        *seen = seen.clone().fact("code", u32::from(greeting.code)).fact("greeting", first.as_str());
        seen.text = format!("{at}: {} {first}", greeting.code).into();
        if greeting.code != 220 {
            *seen = seen.clone().fact("smtp", "refused");
            return Ok(false);
        }
        self.hello(talk, seen).await
    }

    async fn hello(&self, talk: &mut Talk, seen: &mut Observation) -> Result<bool, Hitch> {
        talk.say(format!("EHLO {}\r\n", self.config.hello).as_bytes()).await?;
        let offer = answer(talk).await?;
        let extensions: Vec<String> = offer.lines.iter().skip(1).map(|line| shown(line).to_ascii_uppercase()).collect();
        *seen = seen
            .clone()
            .fact("code", u32::from(offer.code))
            .fact("starttls", extensions.iter().any(|name| name == "STARTTLS"))
            .fact("extensions", extensions)
            .fact("smtp", if offer.code == 250 { "ok" } else { "refused" });
        Ok(offer.code == 250)
    }
}

/// Asks for TLS; whether the server is ready for it.
async fn start_tls(talk: &mut Talk, seen: &mut Observation) -> Result<bool, Hitch> {
    talk.say(b"STARTTLS\r\n").await?;
    let ready = answer(talk).await?;
    if ready.code != 220 {
        let text = format!("{}; it refuses STARTTLS with {}", seen.text, ready.code);
        *seen = Observation { text: text.into(), ..seen.clone() }.fact("smtp", "no_starttls");
    }
    Ok(ready.code == 220)
}

async fn answer(talk: &mut Talk) -> Result<Answer, Hitch> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let line = talk.line().await?;
        let read = smtp_line(&line).ok_or_else(|| Hitch::Invalid(format!("it says `{}`", shown(&line))))?;
        lines.push(read.text);
        if !read.is_more {
            return Ok(Answer { code: read.code, lines });
        }
    }
    Err(Hitch::Invalid(format!("its answer has more than {LINES_MAX} lines")))
}
