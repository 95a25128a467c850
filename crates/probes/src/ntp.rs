//! `ntp`: a time server's answer: is it synchronised, how far from a real clock, and how far from ours.

use std::io;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::ntp::{Answer, Leap, NtpError, answer, offset, question};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::look::ahead_of;
use super::reach::millis;
use super::talk::shown;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Ntp {
    env: ProbeEnv,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "ntp_port")]
    pub port: u16,
}

/// RFC 5905 §5.
fn ntp_port() -> u16 {
    123
}

/// Datagrams get lost; three in all, each after its share of the time that is left.
const QUESTIONS: u32 = 3;
/// Answers with extensions are longer than the packet that is read.
const DATAGRAM_BYTES_MAX: usize = 1024;

/// One exchange by our clocks.
struct Exchange {
    answer: Answer,
    /// ms since 1970 by the wall clock when it was asked.
    asked_ms: f64,
    took_ms: f64,
}

/// Why there is no answer.
enum Silence {
    Timeout,
    Refused,
    Unreachable(String),
    Invalid(NtpError),
}

impl Probe for Ntp {
    const KIND: &'static str = "ntp";
    const DOC: &'static str = include_str!("../../../docs/probes/ntp.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.port == 0 {
            return Err(BuildError { message: "probe `ntp`: there is no port 0".into() });
        }
        Ok(Ntp { env: env.clone(), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = target.at(self.config.address.as_ref());
        let resolved = self.env.net.resolve(&target.address, self.config.port, deadline).await;
        let addr = resolved.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ProbeError::Timeout(format!("`{}` did not resolve in time", target.address)),
            _ => ProbeError::Failed(format!("cannot resolve `{}`: {error}", target.address)),
        })?;
        let (word, text) = match self.ask(addr, deadline).await? {
            Ok(exchange) => return Ok(observe(addr, &exchange)),
            Err(Silence::Timeout) => ("timeout", format!("{addr} does not answer NTP")),
            Err(Silence::Refused) => ("refused", format!("{addr} has no NTP server")),
            Err(Silence::Unreachable(why)) => ("unreachable", format!("{addr} cannot be reached: {why}")),
            Err(Silence::Invalid(error)) => {
                let word = if matches!(error, NtpError::Kiss(_)) { "denied" } else { "invalid" };
                (word, format!("{addr}: no time: {}", shown(&error.to_string())))
            }
        };
        Ok(Observation::observed(text).fact("ntp", word))
    }
}

impl Ntp {
    async fn ask(
        &self,
        addr: std::net::SocketAddr,
        deadline: Deadline,
    ) -> Result<Result<Exchange, Silence>, ProbeError> {
        let socket = match self.env.net.datagrams(addr, deadline).await {
            Ok(socket) => socket,
            Err(error) => return silence(&error).map(Err),
        };
        let mut strange = None;
        for round in 0..QUESTIONS {
            let share = deadline.saturating_duration_since(Instant::now()) / (QUESTIONS - round);
            match self.once(&socket, Instant::now() + share, &mut strange).await {
                Ok(Some(exchange)) => return Ok(Ok(exchange)),
                Ok(None) => {}
                Err(error) => return silence(&error).map(Err),
            }
        }
        Ok(Err(strange.map_or(Silence::Timeout, Silence::Invalid)))
    }

    /// One question; `None` if nothing of use came by then. Datagrams of others do not end the wait.
    async fn once(
        &self,
        socket: &UdpSocket,
        until: Deadline,
        strange: &mut Option<NtpError>,
    ) -> io::Result<Option<Exchange>> {
        let mut cookie = [0; 8];
        getrandom::fill(&mut cookie).map_err(io::Error::other)?;
        let asked_ms = self.env.clock.now().as_millis();
        let begun = Instant::now();
        socket.send(&question(cookie)).await?;
        let mut bytes = [0; DATAGRAM_BYTES_MAX];
        loop {
            let Ok(received) = timeout_at(until, socket.recv(&mut bytes)).await else { return Ok(None) };
            let took_ms = millis(begun.elapsed());
            match answer(bytes.get(..received?).unwrap_or_default(), cookie, asked_ms) {
                Ok(answer) => return Ok(Some(Exchange { answer, asked_ms: asked_ms as f64, took_ms })),
                Err(error) => *strange = Some(error),
            }
        }
    }
}

fn silence(error: &io::Error) -> Result<Silence, ProbeError> {
    match error.kind() {
        io::ErrorKind::TimedOut => Ok(Silence::Timeout),
        io::ErrorKind::ConnectionRefused => Ok(Silence::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Ok(Silence::Unreachable(error.to_string()))
        }
        io::ErrorKind::PermissionDenied => {
            Err(ProbeError::MissingRight(format!("this machine's own firewall forbids NTP: {error}")))
        }
        _ => Err(ProbeError::Failed(format!("cannot ask for the time: {error}"))),
    }
}

fn observe(addr: std::net::SocketAddr, exchange: &Exchange) -> Observation {
    let answer = &exchange.answer;
    let (ahead_ms, travel_ms) = offset(answer, exchange.asked_ms, exchange.asked_ms + exchange.took_ms);
    // Our wall clock is read in whole milliseconds: more digits would pretend.
    let ahead_ms = ahead_ms.round();
    // RFC 5905 §11.1: the way to the root, there and back, and what it may be wrong by.
    let distance_s = answer.root_delay_s / 2.0 + answer.root_dispersion_s;
    let is_synchronized = answer.leap != Leap::Unsynchronized && (1..16).contains(&answer.stratum);
    let state = if is_synchronized { "synchronised" } else { "not synchronised" };
    let text = format!(
        "{addr}: {state}, stratum {}, {ahead_ms} ms ahead of this machine, by {}",
        answer.stratum,
        shown(&answer.reference)
    );
    Observation::observed(text)
        .fact("ntp", "ok")
        .fact("synchronized", is_synchronized)
        .fact("stratum", u32::from(answer.stratum))
        .fact("leap", answer.leap.word())
        .fact("reference", shown(&answer.reference))
        .fact("offset_ms", ahead_ms)
        .fact("offset_abs_ms", ahead_ms.abs())
        .fact("delay_ms", travel_ms)
        .fact("root_distance_ms", distance_s * 1000.0)
        .measure("offset", ahead_ms / 1000.0, "s")
        .measure("delay", travel_ms / 1000.0, "s")
        .measure("root_distance", distance_s, "s")
        .measure("stratum", f64::from(answer.stratum), "")
}
