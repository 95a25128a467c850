//! `ping`: does a host answer ICMP echo, with what loss and delay.
//!
//! Without the right to send ICMP nothing is known of the host: that is UNKNOWN with the remedy, never a failed host.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use socket2::{Domain, Protocol, Socket, Type};
use stentor_core::model::{Measurement, Observation};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::icmp::{Family, TOKEN_BYTES, echo_reply, echo_request};
use super::look::ahead_of;
use super::reach::millis;
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub struct Ping {
    net: Network,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "packets")]
    pub packets: u16,
    /// Between two packets.
    #[serde(default = "interval_ms")]
    pub interval_ms: u32,
    /// For the answer to the last packet; the run's deadline may be sooner.
    #[serde(default = "wait_ms")]
    pub wait_ms: u32,
    /// Bytes after the ICMP header.
    #[serde(default = "size")]
    pub size: usize,
}

fn packets() -> u16 {
    3
}

fn interval_ms() -> u32 {
    200
}

fn wait_ms() -> u32 {
    1000
}

fn size() -> usize {
    56
}

const PACKETS_MAX: u16 = 100;
/// Fits the smallest MTU that IPv6 allows, so nothing is ever fragmented.
const SIZE_MAX: usize = 1200;

impl Probe for Ping {
    const KIND: &'static str = "ping";
    const DOC: &'static str = include_str!("../../../docs/probes/ping.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |message: String| Err(BuildError { message: format!("probe `ping`: {message}") });
        if config.packets == 0 || config.packets > PACKETS_MAX {
            return refuse(format!("packets must lie between 1 and {PACKETS_MAX}"));
        }
        if config.size < TOKEN_BYTES || config.size > SIZE_MAX {
            return refuse(format!("size must lie between {TOKEN_BYTES} and {SIZE_MAX}"));
        }
        Ok(Ping { net: env.net.clone(), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let addr = self.net.resolve(&target.address, 0, deadline).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ProbeError::Timeout(format!("`{}` did not resolve in time", target.address)),
            _ => ProbeError::Failed(format!("cannot resolve `{}`: {error}", target.address)),
        })?;
        let ip = addr.ip();
        // Taken also where the host is dark: a missing right must show everywhere alike.
        let socket = open(ip)?;
        let mut round = Round::new(ip, &self.config)?;
        if self.net.is_dark(ip) {
            sleep_until(round.end(deadline)).await;
            round.sent = self.config.packets;
            return Ok(round.observe(ip));
        }
        round.run(&socket, addr, deadline).await?;
        Ok(round.observe(ip))
    }
}

/// A datagram ICMP socket, else a raw one.
fn open(ip: IpAddr) -> Result<UdpSocket, ProbeError> {
    let (domain, protocol) = match ip {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => socket,
        Err(_) => Socket::new(domain, Type::RAW, Some(protocol)).map_err(|error| missing_right(&error))?,
    };
    let ready = || -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket.into())
    };
    ready().map_err(|error| ProbeError::Failed(format!("cannot set an ICMP socket up: {error}")))
}

fn missing_right(error: &io::Error) -> ProbeError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ProbeError::MissingRight(
            "this process may not send ICMP: put its group into net.ipv4.ping_group_range \
             (sysctl -w net.ipv4.ping_group_range=\"0 2147483647\") or give it CAP_NET_RAW"
                .to_owned(),
        ),
        _ => ProbeError::Failed(format!("cannot open an ICMP socket: {error}")),
    }
}

/// One run: what was sent when, and what came back.
struct Round<'a> {
    config: &'a Config,
    family: Family,
    token: [u8; TOKEN_BYTES],
    begun: Instant,
    sent_at: Vec<Instant>,
    sent: u16,
    /// By sequence; a duplicate does not count.
    rtt: Vec<Option<Duration>>,
    /// What the network said instead of an answer.
    refusal: Option<String>,
}

impl<'a> Round<'a> {
    fn new(ip: IpAddr, config: &'a Config) -> Result<Self, ProbeError> {
        let mut token = [0; TOKEN_BYTES];
        getrandom::fill(&mut token).map_err(|error| ProbeError::Failed(format!("no random bytes: {error}")))?;
        Ok(Round {
            config,
            family: if ip.is_ipv4() { Family::V4 } else { Family::V6 },
            token,
            begun: Instant::now(),
            sent_at: Vec::new(),
            sent: 0,
            rtt: vec![None; usize::from(config.packets)],
            refusal: None,
        })
    }

    fn due(&self, sequence: u16) -> Instant {
        self.begun + Duration::from_millis(u64::from(self.config.interval_ms)) * u32::from(sequence)
    }

    /// When the last packet is given up.
    fn end(&self, deadline: Deadline) -> Instant {
        let wait = Duration::from_millis(u64::from(self.config.wait_ms));
        (self.due(self.config.packets - 1) + wait).min(deadline)
    }

    fn is_complete(&self) -> bool {
        self.sent == self.config.packets && self.rtt.iter().all(Option::is_some)
    }

    async fn run(&mut self, socket: &UdpSocket, peer: SocketAddr, deadline: Deadline) -> Result<(), ProbeError> {
        // Connected, the kernel shows us only packets and ICMP errors of this peer.
        if let Err(error) = socket.connect(peer).await {
            self.sent = self.config.packets;
            return self.refused(&error);
        }
        let end = self.end(deadline);
        let mut buffer = vec![0; 2048];
        while !self.is_complete() {
            let next = if self.sent < self.config.packets { self.due(self.sent).min(end) } else { end };
            match timeout_at(next, socket.recv(&mut buffer)).await {
                Ok(Ok(n)) => self.take(buffer.get(..n).unwrap_or_default()),
                Ok(Err(error)) => self.refused(&error)?,
                Err(_) if Instant::now() >= end => break,
                Err(_) => self.send(socket).await?,
            }
        }
        Ok(())
    }

    async fn send(&mut self, socket: &UdpSocket) -> Result<(), ProbeError> {
        let packet = echo_request(self.family, self.sent, self.token, self.config.size - TOKEN_BYTES);
        self.sent_at.push(Instant::now());
        self.sent += 1;
        match socket.send(&packet).await {
            Ok(_) => Ok(()),
            Err(error) => self.refused(&error),
        }
    }

    /// The network said no: kept as the reason of the loss. This machine's own firewall is another matter.
    fn refused(&mut self, error: &io::Error) -> Result<(), ProbeError> {
        if error.kind() == io::ErrorKind::PermissionDenied {
            let why = format!("this machine's own firewall forbids ICMP to the host: {error}");
            return Err(ProbeError::MissingRight(why));
        }
        self.refusal = Some(error.to_string());
        Ok(())
    }

    fn take(&mut self, packet: &[u8]) {
        let Some(sequence) = echo_reply(self.family, packet, self.token) else { return };
        let index = usize::from(sequence);
        let Some(sent_at) = self.sent_at.get(index) else { return };
        if let Some(slot @ None) = self.rtt.get_mut(index) {
            *slot = Some(sent_at.elapsed());
        }
    }

    fn observe(&self, ip: IpAddr) -> Observation {
        let times: Vec<Duration> = self.rtt.iter().flatten().copied().collect();
        // A deadline may come before all packets were sent; those that were not cannot be lost.
        let sent = usize::from(self.sent).max(1);
        let loss_pct = sent.saturating_sub(times.len()) as f64 / sent as f64 * 100.0;
        let seen = match times.iter().sum::<Duration>().checked_div(u32::try_from(times.len()).unwrap_or(u32::MAX)) {
            None => {
                let why = self.refusal.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                Observation::observed(format!("{ip} does not answer {sent} pings{why}")).fact("ping", "fail")
            }
            Some(mean) => {
                let worst = times.iter().max().copied().unwrap_or_default();
                let mut seen =
                    Observation::observed(format!("{ip} answers in {} ms, {loss_pct:.0} % lost", millis(mean)));
                seen = seen.fact("ping", "ok").fact("rtt_ms", millis(mean)).fact("rtt_max_ms", millis(worst));
                let rta = Measurement { min: Some(0.0), ..Measurement::new("rta", millis(mean), "ms") };
                seen.measurements.push(rta);
                seen
            }
        };
        seen.fact("loss_pct", loss_pct).measure("loss", loss_pct, "%")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::{build, is_overrun, number, plain_env, target, text, within};

    /// Runs as the process may: with the right to send ICMP, or telling how to get it.
    async fn run(address: &str, params: &str, net: Network, millis: u64) -> Option<Observation> {
        let mut env = plain_env();
        env.net = net;
        let probe = build("ping", params, &env).expect("built");
        let deadline = within(millis);
        let seen = probe.run(&target(address), deadline).await;
        assert!(!is_overrun(deadline), "the deadline passed");
        match seen {
            Err(ProbeError::MissingRight(why)) => {
                assert!(why.contains("ping_group_range") && why.contains("CAP_NET_RAW"), "{why}");
                None
            }
            seen => Some(seen.expect("observed")),
        }
    }

    #[tokio::test]
    async fn loopback_answers_in_both_families() {
        for address in ["127.0.0.1", "127.16.3.7", "::1"] {
            if address == "::1" && std::net::UdpSocket::bind("[::1]:0").is_err() {
                continue;
            }
            let Some(seen) = run(address, r#"{"interval_ms":5}"#, Network::real(), 5000).await else { return };
            assert_eq!((text(&seen, "ping"), number(&seen, "loss_pct")), ("ok".into(), 0.0), "{address}: {seen:?}");
            assert!(number(&seen, "rtt_ms") < 1000.0);
        }
    }

    #[tokio::test]
    async fn a_dark_host_does_not_answer_though_it_is_loopback() {
        let dark = Network::with_darkness(Arc::new(|ip| ip.to_string() == "127.16.3.7"));
        let params = r#"{"interval_ms":5,"wait_ms":50}"#;
        let Some(seen) = run("127.16.3.7", params, dark.clone(), 5000).await else { return };
        assert_eq!((text(&seen, "ping"), number(&seen, "loss_pct")), ("fail".into(), 100.0));
        let Some(seen) = run("127.16.3.8", params, dark, 5000).await else { return };
        assert_eq!(text(&seen, "ping"), "ok");
    }

    #[tokio::test]
    async fn silence_is_told_before_the_deadline() {
        let dark = Network::with_darkness(Arc::new(|_| true));
        let Some(seen) = run("127.0.0.1", r#"{"wait_ms":60000}"#, dark, 200).await else { return };
        assert_eq!(text(&seen, "ping"), "fail");
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for params in [r#"{"packets":0}"#, r#"{"packets":101}"#, r#"{"size":7}"#, r#"{"size":9000}"#, r#"{"count":3}"#]
        {
            assert!(build("ping", params, &plain_env()).is_err(), "{params}");
        }
    }

    #[test]
    fn a_missing_right_names_its_remedy() {
        let error = missing_right(&io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(&error, ProbeError::MissingRight(why) if why.contains("ping_group_range")), "{error}");
        assert!(matches!(missing_right(&io::Error::other("x")), ProbeError::Failed(_)));
    }

    #[test]
    fn duplicates_and_strangers_do_not_count() {
        let config = Config { packets: 2, interval_ms: 1, wait_ms: 1, size: 56 };
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut round = Round::new(ip, &config).expect("round");
        round.sent_at.push(Instant::now());
        round.sent = 2;
        let mut reply = echo_request(Family::V4, 0, round.token, 0);
        reply[0] = 0;
        round.take(&reply);
        round.take(&reply);
        let mut unsent = echo_request(Family::V4, 1, round.token, 0);
        unsent[0] = 0;
        round.take(&unsent);
        assert_eq!(number(&round.observe(ip), "loss_pct"), 50.0);
    }
}
