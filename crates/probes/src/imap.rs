//! `imap`: a mailbox server's greeting, its capabilities, and its certificate by STARTTLS or at once; without a login.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::greeting::{ImapLine, imap_line};

use super::look::ahead_of;
use super::reach::closed;
use super::talk::{Hitch, Protection, Secure, Talk, open, opened, shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Imap {
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
    /// 143, or 993 with `tls = "implicit"`.
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
}

/// Untagged lines of one answer; servers send a few.
const LINES_MAX: usize = 128;

impl Probe for Imap {
    const KIND: &'static str = "imap";
    const DOC: &'static str = include_str!("../../../docs/probes/imap.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.port == Some(0) {
            return Err(BuildError { message: "probe `imap`: there is no port 0".into() });
        }
        let wants = config.tls != Protection::None;
        let trust = wants.then(|| trust("imap", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Imap { env: env.clone(), config, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let port = self.config.port.unwrap_or(if self.config.tls == Protection::Implicit { 993 } else { 143 });
        let (attempt, talk) = open(&self.env.net, target, port, deadline).await?;
        let Some(talk) = talk else { return Ok(closed(&attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        let name = self.config.host.as_deref().unwrap_or(&target.address);
        let hitch = match self.talk(talk, name, &mut seen).await? {
            Ok(()) => return Ok(seen),
            Err(hitch) => hitch,
        };
        let text = format!("{}: no IMAP server's answer: {hitch}", attempt.addr);
        Ok(Observation { text: text.into(), ..seen }.fact("imap", hitch.word()))
    }
}

impl Imap {
    async fn talk(&self, mut talk: Talk, name: &str, seen: &mut Observation) -> Result<Result<(), Hitch>, ProbeError> {
        if self.config.tls == Protection::Implicit {
            talk = match self.secure(talk, name, seen).await? {
                Ok(talk) => talk,
                Err(hitch) => return Ok(Err(hitch)),
            };
        }
        match greet(&mut talk, seen).await {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(hitch) => return Ok(Err(hitch)),
        }
        if self.config.tls == Protection::Starttls {
            match command(&mut talk, "a2", "STARTTLS").await {
                Err(hitch) => return Ok(Err(hitch)),
                Ok((last, _)) if last.word != "OK" => {
                    let text = format!("{}; it refuses STARTTLS: {}", seen.text, shown(&last.rest));
                    *seen = Observation { text: text.into(), ..seen.clone() }.fact("imap", "no_starttls");
                    return Ok(Ok(()));
                }
                Ok(_) => {}
            }
            talk = match self.secure(talk, name, seen).await? {
                Ok(talk) => talk,
                Err(hitch) => return Ok(Err(hitch)),
            };
            if let Err(hitch) = capabilities(&mut talk, seen).await {
                return Ok(Err(hitch));
            }
        }
        // All has been said, whatever it answers.
        let _ = talk.say(b"a9 LOGOUT\r\n").await;
        Ok(Ok(()))
    }

    async fn secure(&self, talk: Talk, name: &str, seen: &mut Observation) -> Result<Result<Talk, Hitch>, ProbeError> {
        let Some(trust) = &self.trust else { return Ok(Ok(talk)) };
        Secure { trust, name, clock: &self.env.clock }.talk(talk, seen).await
    }
}

/// Greeting and capabilities; whether the server serves.
async fn greet(talk: &mut Talk, seen: &mut Observation) -> Result<bool, Hitch> {
    let greeting = read(talk).await?;
    let said = shown(&greeting.rest);
    let text = format!("{}: {} {said}", seen.text, greeting.word);
    *seen = Observation { text: text.into(), ..seen.clone() }.fact("greeting", said.as_str());
    match greeting.word.as_str() {
        "OK" | "PREAUTH" if greeting.tag == "*" => {}
        "BYE" if greeting.tag == "*" => {
            *seen = seen.clone().fact("imap", "refused");
            return Ok(false);
        }
        _ => return Err(Hitch::Invalid(format!("it greets with `{}`", greeting.word))),
    }
    capabilities(talk, seen).await?;
    Ok(true)
}

async fn capabilities(talk: &mut Talk, seen: &mut Observation) -> Result<(), Hitch> {
    let (last, lines) = command(talk, "a1", "CAPABILITY").await?;
    let offered = lines.iter().filter(|line| line.word == "CAPABILITY").flat_map(|line| line.rest.split(' '));
    let offered: Vec<String> = offered.map(|word| shown(word).to_ascii_uppercase()).collect();
    let is_imap = offered.iter().any(|word| word.starts_with("IMAP4"));
    *seen = seen
        .clone()
        .fact("starttls", offered.iter().any(|word| word == "STARTTLS"))
        .fact("capabilities", offered)
        .fact("imap", if last.word == "OK" && is_imap { "ok" } else { "refused" });
    Ok(())
}

/// Sends a command and reads what comes until the line with its tag.
async fn command(talk: &mut Talk, tag: &str, words: &str) -> Result<(ImapLine, Vec<ImapLine>), Hitch> {
    talk.say(format!("{tag} {words}\r\n").as_bytes()).await?;
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let line = read(talk).await?;
        if line.tag == tag {
            return Ok((line, lines));
        }
        lines.push(line);
    }
    Err(Hitch::Invalid(format!("its answer has more than {LINES_MAX} lines")))
}

async fn read(talk: &mut Talk) -> Result<ImapLine, Hitch> {
    let line = talk.line().await?;
    imap_line(&line).ok_or_else(|| Hitch::Invalid(format!("it says `{}`", shown(&line))))
}
