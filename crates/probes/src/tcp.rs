//! `tcp`: does a port open, how fast, and does it greet as it should.

use std::sync::Arc;

use regex::bytes::Regex;
use serde::Deserialize;
use stentor_core::model::Observation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::look::ahead_of;
use super::reach::{closed, millis, reach};
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub struct Tcp {
    net: Network,
    config: Config,
    expect: Option<Regex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's: something that the host depends on.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    pub port: u16,
    /// Sent after connecting; `\r`, `\n`, `\t` and `\\` are understood.
    #[serde(default)]
    pub send: Option<String>,
    /// Regular expression that what the peer sends must match.
    #[serde(default)]
    pub expect: Option<String>,
}

/// Read of what the peer sends: more is no greeting.
const BANNER_BYTES_MAX: usize = 4096;
/// Letters of the greeting that are kept as a fact.
const BANNER_CHARS_MAX: usize = 200;

impl Probe for Tcp {
    const KIND: &'static str = "tcp";
    const DOC: &'static str = include_str!("../../../docs/probes/tcp.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let expect = config.expect.as_deref().map(Regex::new).transpose();
        let expect = expect.map_err(|e| BuildError { message: format!("expect of probe `tcp`: {e}") })?;
        if config.port == 0 {
            return Err(BuildError { message: "probe `tcp`: there is no port 0".into() });
        }
        Ok(Tcp { net: env.net.clone(), config, expect })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let mut attempt = reach(&self.net, target, self.config.port, deadline).await?;
        let Some(mut stream) = attempt.stream.take() else { return Ok(closed(&attempt)) };
        let connect_ms = millis(attempt.connect);
        let addr = attempt.addr;
        let mut seen = Observation::observed(format!("{addr} is open, {connect_ms} ms"))
            .fact("port", "open")
            .fact("connect_ms", connect_ms)
            .measure("time", attempt.connect.as_secs_f64(), "s");
        if self.config.send.is_none() && self.expect.is_none() {
            return Ok(seen);
        }
        let mut banner = Vec::new();
        let talk = self.talk(&mut stream, &mut banner);
        // What came before the deadline or a broken connection still counts.
        let ended = match timeout_at(deadline, talk).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no more came in time".to_owned()),
        };
        let shown = printable(&banner);
        if let Some(expect) = &self.expect {
            let matches = expect.is_match(&banner);
            seen = seen.fact("banner_match", matches);
            if !matches {
                let why = ended.map(|why| format!(" ({why})")).unwrap_or_default();
                seen.text = format!("{addr} is open but says `{shown}`{why}").into();
            }
        }
        Ok(seen.fact("banner", shown))
    }
}

impl Tcp {
    /// Sends, then reads until the expectation is met, the peer closes, or the buffer is full.
    async fn talk(&self, stream: &mut TcpStream, banner: &mut Vec<u8>) -> std::io::Result<()> {
        if let Some(send) = &self.config.send {
            stream.write_all(unescape(send).as_bytes()).await?;
        }
        let Some(expect) = &self.expect else { return Ok(()) };
        while banner.len() < BANNER_BYTES_MAX {
            let room = (BANNER_BYTES_MAX - banner.len()) as u64;
            if (&mut *stream).take(room).read_buf(banner).await? == 0 || expect.is_match(banner) {
                break;
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('\\') | None => out.push('\\'),
            Some(other) => out.extend(['\\', other]),
        }
    }
    out
}

/// Bytes of a peer as one harmless line.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(BANNER_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{build, is_overrun, plain_env, run_at, target, text, within};
    use tokio::net::TcpListener;

    /// A listener that sends `greeting` to whoever connects, after reading `wait_for` bytes.
    async fn greeter(greeting: &'static [u8], wait_for: usize) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = vec![0; wait_for];
                let _ = stream.read_exact(&mut asked).await;
                let _ = stream.write_all(greeting).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn an_open_port_is_open_and_a_closed_one_refuses() {
        let port = greeter(b"", 0).await;
        let seen = run_at("tcp", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed");
        assert_eq!(text(&seen, "port"), "open");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = free.local_addr().expect("address").port();
        drop(free);
        let seen = run_at("tcp", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed");
        assert_eq!(text(&seen, "port"), "refused");
    }

    #[tokio::test]
    async fn a_check_may_name_another_address() {
        let port = greeter(b"", 0).await;
        let probe = build("tcp", &format!(r#"{{"port":{port},"address":"127.0.0.1"}}"#), &plain_env()).expect("built");
        let seen = probe.run(&target("no-such-host.invalid"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "port"), "open");
    }

    #[tokio::test]
    async fn a_greeting_is_matched_and_kept() {
        let port = greeter(b"SSH-2.0-OpenSSH_9.2\r\n", 0).await;
        for (expect, matches) in [("^SSH-2", "true"), ("^220 ", "false")] {
            let params = format!(r#"{{"port":{port},"expect":"{expect}"}}"#);
            let seen = run_at("tcp", &params, 5000).await.expect("observed");
            assert_eq!((text(&seen, "port"), text(&seen, "banner_match")), ("open".into(), matches.into()));
            assert_eq!(text(&seen, "banner"), "SSH-2.0-OpenSSH_9.2");
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_unescaped() {
        let port = greeter(b"+PONG\r\n", 6).await;
        let params = format!(r#"{{"port":{port},"send":"PING\\r\\n","expect":"PONG"}}"#);
        let seen = run_at("tcp", &params, 5000).await.expect("observed");
        assert_eq!(text(&seen, "banner_match"), "true");
    }

    #[tokio::test]
    async fn a_dark_host_times_out_though_it_is_loopback() {
        let port = greeter(b"", 0).await;
        let mut env = plain_env();
        env.net = Network::with_darkness(Arc::new(|_| true));
        let probe = build("tcp", &format!(r#"{{"port":{port}}}"#), &env).expect("built");
        let deadline = within(200);
        let seen = probe.run(&target("127.0.0.1"), deadline).await.expect("observed");
        assert_eq!(text(&seen, "port"), "timeout");
        assert!(!is_overrun(deadline));
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_our_trouble() {
        let probe = build("tcp", r#"{"port":9}"#, &plain_env()).expect("built");
        let seen = probe.run(&target("no-such-host.invalid"), within(5000)).await;
        assert!(matches!(seen, Err(ProbeError::Failed(_) | ProbeError::Timeout(_))), "{seen:?}");
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for params in ["{}", r#"{"port":0}"#, r#"{"port":99999}"#, r#"{"port":1,"expect":"("}"#, r#"{"port":1,"x":1}"#]
        {
            assert!(build("tcp", params, &plain_env()).is_err(), "{params}");
        }
    }
}
