//! `nrpe`: asks a Nagios agent (NRPE 2, 3, 4) to run one of its commands; what its plugin says is the result.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde::Deserialize;
use stentor_core::model::{Observation, Outcome, ServiceState, UnknownCause};
use stentor_wire::nrpe::{HEADER_BYTES, Kind, Packet, Version, packet_bytes};

use super::look::ahead_of;
use super::reach::closed;
use super::talk::{Hitch, Secure, Talk, open, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target, exec};

pub struct Nrpe {
    env: ProbeEnv,
    config: Config,
    query: Vec<u8>,
    trust: Option<Trust>,
    version: Option<Version>,
    /// Number of the packet version that was answered last; 0 = none yet.
    answered: AtomicU16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "nrpe_port")]
    pub port: u16,
    /// Name of a command in the agent's configuration.
    pub command: String,
    /// `$ARG1$` and so on; the agent must allow them.
    #[serde(default)]
    pub args: Vec<String>,
    /// 2, 3 or 4; without it 4, then 2.
    #[serde(default)]
    pub version: Option<u16>,
    #[serde(default = "yes")]
    pub tls: bool,
    /// Take any certificate.
    #[serde(default)]
    pub insecure: bool,
    /// PEM file to trust instead of the machine's root certificates.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// PEM files of a client certificate.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

/// IANA: nrpe 5666/tcp.
fn nrpe_port() -> u16 {
    5666
}

fn yes() -> bool {
    true
}

/// How a query went.
enum Asked {
    Answer(Packet, Observation),
    /// No answer, with the facts so far.
    Hitch(Hitch, Observation),
    /// The port did not open.
    NotOpen(Observation),
}

impl Probe for Nrpe {
    const KIND: &'static str = "nrpe";
    const DOC: &'static str = include_str!("../../../docs/probes/nrpe.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `nrpe`: {why}") };
        if config.port == 0 {
            return Err(refuse("there is no port 0".into()));
        }
        let words: Vec<&str> = std::iter::once(&config.command).chain(&config.args).map(String::as_str).collect();
        if config.command.is_empty() || words.iter().any(|word| word.contains('!')) {
            return Err(refuse(
                "a command has a name, and `!` parts it from its arguments: give those as `args`".into(),
            ));
        }
        let query = words.join("!").into_bytes();
        let version = match config.version {
            None => None,
            Some(number) => {
                Some(Version::from_number(number).ok_or_else(|| refuse(format!("there is no version {number}")))?)
            }
        };
        Packet::query(version.unwrap_or(Version::V2), &query).encode().map_err(|e| refuse(e.to_string()))?;
        let trust = if config.tls {
            let trust = trust("nrpe", config.insecure, config.ca_file.as_deref())?;
            Some(match (&config.cert_file, &config.key_file) {
                (Some(cert), Some(key)) => trust.with_identity(cert, key).map_err(|e| refuse(e.to_string()))?,
                (None, None) => trust,
                _ => return Err(refuse("`cert_file` and `key_file` belong together".into())),
            })
        } else {
            None
        };
        Ok(Nrpe { env: env.clone(), config, query, trust, version, answered: AtomicU16::new(0) })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let mut versions = self.versions().into_iter().peekable();
        while let Some(version) = versions.next() {
            match self.ask(target, version, deadline).await? {
                Asked::Answer(packet, facts) => {
                    self.answered.store(version.number(), Ordering::Relaxed);
                    return Ok(answer(&packet, facts));
                }
                // An agent hangs up on a version that it does not know.
                Asked::Hitch(Hitch::Closed, _) if versions.peek().is_some() => {}
                Asked::Hitch(hitch, facts) => return Ok(self.silence(&hitch, facts)),
                Asked::NotOpen(seen) => return Ok(unknown(UnknownCause::ProbeError, seen)),
            }
        }
        Err(ProbeError::Failed("no NRPE version was left to try".into()))
    }
}

impl Nrpe {
    fn versions(&self) -> Vec<Version> {
        let answered = Version::from_number(self.answered.load(Ordering::Relaxed));
        match (self.version, answered) {
            (Some(version), _) => vec![version],
            (None, Some(Version::V2)) => vec![Version::V2, Version::V4],
            // Agents before version 4 take 2; those of version 3 alone take 3, and they take 2 as well.
            (None, _) => vec![Version::V4, Version::V2],
        }
    }

    async fn ask(&self, target: &Target, version: Version, deadline: Deadline) -> Result<Asked, ProbeError> {
        let (attempt, talk) = open(&self.env.net, target, self.config.port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(Asked::NotOpen(closed(&attempt))) };
        let mut seen = Observation::observed(attempt.addr.to_string()).fact("port", "open");
        if let Some(trust) = &self.trust {
            let name = self.config.host.as_deref().unwrap_or(&target.address);
            let secured = Secure { trust, name, clock: &self.env.clock }.talk(talk, &mut seen).await?;
            // The days would look like a measurement of the plugin.
            seen.measurements.clear();
            match secured {
                Ok(secured) => talk = secured,
                Err(hitch) => return Ok(Asked::Hitch(hitch, seen)),
            }
        }
        let query = Packet::query(version, &self.query).encode().map_err(|e| ProbeError::Failed(e.to_string()))?;
        Ok(match exchange(&mut talk, &query, version).await {
            Ok(packet) => Asked::Answer(packet, seen),
            Err(hitch) => Asked::Hitch(hitch, seen),
        })
    }

    /// What is not known is UNKNOWN: no answer of the agent says nothing of what its plugin would have found.
    fn silence(&self, hitch: &Hitch, seen: Observation) -> Observation {
        let at = &seen.text;
        let text = match hitch {
            Hitch::NoCommonCipher => format!(
                "{at}: the agent refuses TLS with certificates; it probably has none and offers anonymous ciphers (ADH), \
                 NRPE's default, only: give it ssl_cert_file and ssl_privatekey_file (and use ca_file or insecure here), \
                 or start it with -n and set tls = false, or run check_nrpe with the probe `exec`"
            ),
            Hitch::Closed => format!(
                "{at}: the agent closed the connection without an answer: it may not allow this address \
                 (allowed_hosts), arguments (dont_blame_nrpe) or characters in them, or want {}; its log says which",
                if self.config.tls { "no TLS (-n)" } else { "TLS" }
            ),
            other => format!("{at}: no answer of an NRPE agent: {other}"),
        };
        let cause = if *hitch == Hitch::Timeout { UnknownCause::Timeout } else { UnknownCause::ProbeError };
        unknown(cause, Observation { text: text.into(), ..seen }.fact("nrpe", hitch.word()))
    }
}

async fn exchange(talk: &mut Talk, query: &[u8], version: Version) -> Result<Packet, Hitch> {
    talk.say(query).await?;
    let mut bytes = talk.exactly(HEADER_BYTES).await?;
    let invalid = |e: stentor_wire::nrpe::NrpeError| Hitch::Invalid(e.to_string());
    let wanted = packet_bytes(&bytes).map_err(invalid)?;
    bytes.extend(talk.exactly(wanted.saturating_sub(HEADER_BYTES)).await?);
    let packet = Packet::decode(&bytes).map_err(invalid)?;
    if packet.kind != Kind::Response || packet.version != version {
        return Err(Hitch::Invalid("it answers another question than was asked".into()));
    }
    Ok(packet)
}

/// The plugin's own result; a code that is no state is UNKNOWN, as check_nrpe has it.
fn answer(packet: &Packet, facts: Observation) -> Observation {
    let state = ServiceState::from_code(i32::from(packet.code)).unwrap_or(ServiceState::Unknown);
    let printed: &[u8] = if packet.text.is_empty() { b"(No output returned from agent)" } else { &packet.text };
    let mut seen = exec::observation(state, printed);
    seen.facts.extend(facts.facts.iter().map(|(name, value)| (name, value.clone())));
    seen.fact("nrpe", "answered")
        .fact("nrpe_version", u32::from(packet.version.number()))
        .fact("exit_code", i64::from(packet.code))
}

fn unknown(cause: UnknownCause, seen: Observation) -> Observation {
    Observation { outcome: Outcome::Failed(cause), ..seen }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::{build, plain_env, target, text, within};

    /// An agent that knows version 2 only and answers with what it was asked; sends the version of each query on.
    async fn old_agent() -> (u16, tokio::sync::mpsc::Receiver<u16>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        let (tx, rx) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = vec![0; 1036];
                stream.read_exact(&mut bytes).await.expect("a query of the least size");
                let query = Packet::decode(&bytes).expect("a query");
                tx.send(query.version.number()).await.expect("the test listens");
                if query.version == Version::V2 {
                    let answer = Packet { kind: Kind::Response, code: 1, ..query };
                    stream.write_all(&answer.encode().expect("short")).await.expect("sent");
                }
            }
        });
        (port, rx)
    }

    #[tokio::test]
    async fn an_old_agent_is_asked_again_in_its_version_and_that_is_remembered() {
        let (port, mut versions) = old_agent().await;
        let params = format!(r#"{{"port":{port},"tls":false,"command":"check_disk","args":["20%","/"]}}"#);
        let probe = build("nrpe", &params, &plain_env()).expect("built");
        for asked in [vec![4, 2], vec![2]] {
            let seen = probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
            assert_eq!((seen.outcome, &*seen.text), (Outcome::Reported(ServiceState::Warning), "check_disk!20%!/"));
            assert_eq!(text(&seen, "nrpe_version"), "2");
            for version in asked {
                assert_eq!(versions.try_recv(), Ok(version));
            }
        }
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for params in [
            "{}",
            r#"{"command":""}"#,
            r#"{"command":"a!b"}"#,
            r#"{"command":"a","args":["b!c"],"tls":false}"#,
            r#"{"command":"a","version":5}"#,
            r#"{"command":"a","insecure":true,"cert_file":"/x"}"#,
            r#"{"command":"a","ca_file":"/no/such/file"}"#,
        ] {
            assert!(build("nrpe", params, &plain_env()).is_err(), "{params}");
        }
    }
}
