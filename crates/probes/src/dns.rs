//! `dns`: one question to one name server: what it answers, how fast, and with which serial.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::dns::{Answer, DnsError, Question, RecordType, UDP_BYTES_MAX, code_word};
use tokio::time::{Instant, timeout_at};

use super::look::ahead_of;
use super::reach::millis;
use super::talk::{Hitch, open, shown};
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub struct Dns {
    net: Network,
    config: Config,
    kind: RecordType,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another server than the host.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "dns_port")]
    pub port: u16,
    /// What is asked for: `www.example.org`.
    pub name: String,
    #[serde(default = "a", rename = "type")]
    pub kind: String,
    /// Answers that must all be there, as in a zone file.
    #[serde(default)]
    pub expect: Vec<String>,
    /// Let the server ask others; `false` for servers that only serve their own zones.
    #[serde(default = "yes")]
    pub recursion: bool,
}

/// RFC 1035 §4.2.
fn dns_port() -> u16 {
    53
}

fn a() -> String {
    "A".to_owned()
}

fn yes() -> bool {
    true
}

/// Datagrams get lost; three in all, each after its share of the time that is left.
const QUESTIONS: u32 = 3;

/// Why there is no answer, as the fact `dns` has it.
pub struct Silence {
    pub word: &'static str,
    pub why: String,
}

/// A question to one server.
pub struct Asking<'a> {
    pub net: &'a Network,
    pub port: u16,
    /// Its number is replaced.
    pub question: Question,
}

/// An answer, by which transport it came, and after how long.
pub struct Heard {
    pub addr: SocketAddr,
    pub answer: Result<Answer, Silence>,
    pub transport: &'static str,
    pub took: Duration,
}

impl Probe for Dns {
    const KIND: &'static str = "dns";
    const DOC: &'static str = include_str!("../../../docs/probes/dns.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `dns`: {why}") };
        if config.port == 0 {
            return Err(refuse("there is no port 0".into()));
        }
        let kind = RecordType::named(&config.kind);
        let kind = kind.ok_or_else(|| {
            refuse(format!("`{}` is none of A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT", config.kind))
        })?;
        let dns = Dns { net: env.net.clone(), config, kind };
        dns.question().encode().map_err(|e| refuse(e.to_string()))?;
        Ok(dns)
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let asking = Asking { net: &self.net, port: self.config.port, question: self.question() };
        let Heard { addr, answer, transport, took } = asking.ask(target, deadline).await?;
        Ok(match answer {
            Err(Silence { word, why }) => Observation::observed(format!("{addr}: {why}")).fact("dns", word),
            Ok(answer) => self
                .observe(addr, &answer)
                .fact("transport", transport)
                .fact("total_ms", millis(took))
                .measure("time", took.as_secs_f64(), "s"),
        })
    }
}

impl Asking<'_> {
    /// Asks by datagrams, and again by TCP for what does not fit (RFC 7766 §5).
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn ask(&self, target: &Target, deadline: Deadline) -> Result<Heard, ProbeError> {
        let resolved = self.net.resolve(&target.address, self.port, deadline).await;
        let addr = resolved.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ProbeError::Timeout(format!("`{}` did not resolve in time", target.address)),
            _ => ProbeError::Failed(format!("cannot resolve `{}`: {error}", target.address)),
        })?;
        let begun = Instant::now();
        let mut answer = self.by_datagrams(addr, deadline).await?;
        let mut transport = "udp";
        if answer.as_ref().is_ok_and(|answer| answer.is_truncated) {
            transport = "tcp";
            answer = self.by_stream(target, deadline).await?;
        }
        Ok(Heard { addr, answer, transport, took: begun.elapsed() })
    }

    /// A question that nobody can guess the number of.
    fn fresh(&self) -> Result<(Question, Vec<u8>), ProbeError> {
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(|e| ProbeError::Failed(format!("no random numbers: {e}")))?;
        let question = Question { id: u16::from_be_bytes(id), ..self.question.clone() };
        let bytes = question.encode().map_err(|e| ProbeError::Failed(e.to_string()))?;
        Ok((question, bytes))
    }

    async fn by_datagrams(&self, addr: SocketAddr, deadline: Deadline) -> Result<Result<Answer, Silence>, ProbeError> {
        let socket = match self.net.datagrams(addr, deadline).await {
            Ok(socket) => socket,
            Err(error) => return silence(&error).map(Err),
        };
        let (question, bytes) = self.fresh()?;
        let mut strange: Option<DnsError> = None;
        let mut received = vec![0; usize::from(UDP_BYTES_MAX)];
        for round in 0..QUESTIONS {
            let until = Instant::now() + deadline.saturating_duration_since(Instant::now()) / (QUESTIONS - round);
            if let Err(error) = socket.send(&bytes).await {
                return silence(&error).map(Err);
            }
            while let Ok(length) = timeout_at(until, socket.recv(&mut received)).await {
                let length = match length {
                    Ok(length) => length,
                    Err(error) => return silence(&error).map(Err),
                };
                match question.answer(received.get(..length).unwrap_or_default()) {
                    Ok(answer) => return Ok(Ok(answer)),
                    // Datagrams of others do not end the wait.
                    Err(error) => strange = Some(error),
                }
            }
        }
        Ok(Err(match strange {
            Some(error) => Silence { word: "invalid", why: format!("no valid answer: {error}") },
            None => Silence { word: "timeout", why: "no answer in time".into() },
        }))
    }

    async fn by_stream(&self, target: &Target, deadline: Deadline) -> Result<Result<Answer, Silence>, ProbeError> {
        let (attempt, talk) = open(self.net, target, self.port, deadline).await?;
        let Some(mut talk) = talk else {
            let why = format!("the answer is too long for a datagram, and TCP is {}", attempt.port.word());
            return Ok(Err(Silence { word: "truncated", why }));
        };
        let (question, bytes) = self.fresh()?;
        let asked = async {
            let length = u16::try_from(bytes.len()).map_err(|e| Hitch::Invalid(e.to_string()))?;
            talk.say(&[&length.to_be_bytes()[..], &bytes].concat()).await?;
            let length = talk.exactly(2).await?.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte));
            let answer = talk.exactly(length).await?;
            question.answer(&answer).map_err(|e| Hitch::Invalid(e.to_string()))
        };
        Ok(asked.await.map_err(|hitch| Silence { word: hitch.word(), why: format!("by TCP: {hitch}") }))
    }
}

impl Dns {
    fn question(&self) -> Question {
        let wants_recursion = self.config.recursion;
        Question { id: 0, name: self.config.name.clone(), kind: self.kind, wants_recursion, wants_signatures: false }
    }

    fn observe(&self, addr: SocketAddr, answer: &Answer) -> Observation {
        let found: Vec<String> =
            answer.records.iter().filter(|r| r.kind == self.kind).map(|record| shown(&record.data)).collect();
        let word = match code_word(answer.code) {
            "ok" if found.is_empty() => "no_data",
            word => word,
        };
        let kind = self.config.kind.to_ascii_uppercase();
        let said = if found.is_empty() { word.to_owned() } else { found.join(", ") };
        let mut text = format!("{addr}: {} {kind}: {}", self.config.name, shown(&said));
        let mut seen = Observation::observed("")
            .fact("dns", word)
            .fact("authoritative", answer.is_authoritative)
            .fact("recursion_available", answer.offers_recursion)
            .fact("authentic", answer.is_authentic);
        if let Some(ttl) = answer.records.iter().map(|record| record.ttl_s).min() {
            seen = seen.fact("ttl_s", ttl);
        }
        if let Some(serial) = answer.records.iter().find_map(|record| record.serial) {
            seen = seen.fact("serial", serial).measure("serial", f64::from(serial), "");
        }
        if !self.config.expect.is_empty() {
            let same =
                |own: &str, wanted: &str| own.trim_end_matches('.').eq_ignore_ascii_case(wanted.trim_end_matches('.'));
            let wanted = self.config.expect.iter();
            let missing: Vec<String> =
                wanted.filter(|wanted| !found.iter().any(|own| same(own, wanted))).cloned().collect();
            if !missing.is_empty() {
                text.push_str(&format!("; not {}", shown(&missing.join(", "))));
            }
            seen = seen.fact("as_expected", missing.is_empty()).fact("missing", missing);
        }
        seen.text = text.into();
        seen.fact("answers", found)
    }
}

fn silence(error: &io::Error) -> Result<Silence, ProbeError> {
    let told = |word, why: String| Ok(Silence { word, why });
    match error.kind() {
        io::ErrorKind::TimedOut => told("timeout", "no answer in time".into()),
        io::ErrorKind::ConnectionRefused => told("port_refused", "there is no name server".into()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            told("unreachable", format!("it cannot be reached: {error}"))
        }
        io::ErrorKind::PermissionDenied => {
            Err(ProbeError::MissingRight(format!("this machine's own firewall forbids DNS: {error}")))
        }
        _ => Err(ProbeError::Failed(format!("cannot ask a name server: {error}"))),
    }
}
