//! How a TCP port answers. Refused, silent and unreachable ports are observations; only our own troubles are errors.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use stentor_core::model::Observation;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Deadline, Network, ProbeError, Target};

/// An answer, or the lack of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Port {
    Open,
    /// A living TCP stack said no.
    Refused,
    Timeout,
    /// A router, or our own routing table, said no.
    Unreachable(String),
}

/// One attempt with its phases.
#[derive(Debug)]
pub struct Attempt {
    pub port: Port,
    /// Present exactly where the port is open.
    pub stream: Option<TcpStream>,
    pub addr: SocketAddr,
    pub resolve: Duration,
    pub connect: Duration,
}

impl Port {
    /// The fact and signal `port`.
    pub fn word(&self) -> &'static str {
        match self {
            Port::Open => "open",
            Port::Refused => "refused",
            Port::Timeout => "timeout",
            Port::Unreachable(_) => "unreachable",
        }
    }
}

/// Resolves and connects. What the peer does is the answer. `deadline` should lie [`ahead_of`](super::look::ahead_of) the
/// probe's, so that silence can still be told.
///
/// # Errors
/// The name does not resolve, or this machine cannot open sockets.
pub async fn reach(net: &Network, target: &Target, port: u16, deadline: Deadline) -> Result<Attempt, ProbeError> {
    let begun = Instant::now();
    let addr = net.resolve(&target.address, port, deadline).await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => {
            ProbeError::Timeout(format!("the name `{}` did not resolve in time", target.address))
        }
        _ => ProbeError::Failed(format!("cannot resolve `{}`: {error}", target.address)),
    })?;
    let resolved = Instant::now();
    let (port, stream) = match net.connect(addr, deadline).await {
        Ok(stream) => (Port::Open, Some(stream)),
        Err(error) => (refusal(&error, addr)?, None),
    };
    Ok(Attempt { port, stream, addr, resolve: resolved - begun, connect: resolved.elapsed() })
}

fn refusal(error: &io::Error, addr: SocketAddr) -> Result<Port, ProbeError> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Ok(Port::Refused),
        io::ErrorKind::TimedOut => Ok(Port::Timeout),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Ok(Port::Unreachable(error.to_string()))
        }
        io::ErrorKind::PermissionDenied => {
            Err(ProbeError::MissingRight(format!("this machine's own firewall forbids connections to {addr}: {error}")))
        }
        // Out of descriptors, ports or memory: nothing about the target.
        _ => Err(ProbeError::Failed(format!("cannot connect to {addr}: {error}"))),
    }
}

/// Milliseconds with three decimals: microseconds are noise to people.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// The facts and the text of a port that did not open.
pub fn closed(attempt: &Attempt) -> Observation {
    let addr = attempt.addr;
    let text = match &attempt.port {
        Port::Open => format!("{addr} is open"),
        Port::Refused => format!("{addr} refuses connections"),
        Port::Timeout => format!("{addr} does not answer"),
        Port::Unreachable(why) => format!("{addr} cannot be reached: {why}"),
    };
    Observation::observed(text).fact("port", attempt.port.word())
}
