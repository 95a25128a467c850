//! `heartbeat`: the credential-free Heartbeat page of a Eucalyptus Java process: is a component in service on that host.

use std::sync::Arc;

use http_body_util::Empty;
use hyper::Request;
use serde::Deserialize;
use stentor_core::model::Observation;

use super::fetch::{BODY_BYTES_MAX, Exchange, Fetch, Fetched, fetch};
use super::reach::{Port, closed, millis};
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub struct Heartbeat {
    net: Network,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's: something that the host depends on.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    /// Name as the page has it: `eucalyptus`, `walrusbackend`, `storage`, `compute`.
    pub component: String,
    #[serde(default = "service_port")]
    pub port: u16,
}

fn service_port() -> u16 {
    8773
}

const PATH: &str = "/services/Heartbeat";
/// The page cuts names at this length (`%-20.20s` in LegacyHBPipeline.java).
const NAME_CHARS_MAX: usize = 20;

impl Probe for Heartbeat {
    const KIND: &'static str = "heartbeat";
    const DOC: &'static str = include_str!("../../../docs/probes/heartbeat.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.component.trim().is_empty() || config.port == 0 {
            return Err(BuildError { message: "probe `heartbeat` needs a component and a port above 0".into() });
        }
        Ok(Heartbeat { net: env.net.clone(), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let target = &target.at(self.config.address.as_ref());
        let request = Request::get(PATH)
            .header(hyper::header::HOST, format!("{}:{}", target.address, self.config.port))
            .header(hyper::header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))?;
        let port = self.config.port;
        let body_bytes_max = BODY_BYTES_MAX;
        let ask = Fetch { net: &self.net, target, port, tls: None, server_name: None, request, body_bytes_max };
        Ok(self.observe(&fetch(ask, deadline).await?))
    }
}

impl Heartbeat {
    fn observe(&self, fetched: &Fetched) -> Observation {
        if fetched.attempt.port != Port::Open {
            return closed(&fetched.attempt).fact("heartbeat", "none");
        }
        let addr = fetched.attempt.addr;
        let none = |why: String| {
            Observation::observed(format!("{addr}: {why}")).fact("port", "open").fact("heartbeat", "none")
        };
        let answer = match &fetched.exchange {
            Some(Exchange::Answer(answer)) if answer.status == 200 => answer,
            Some(Exchange::Answer(answer)) => {
                return none(format!("Heartbeat answers with status {}", answer.status))
                    .fact("http", u32::from(answer.status));
            }
            Some(Exchange::Broken(why)) => return none(format!("no valid Heartbeat: {why}")),
            Some(Exchange::Timeout) | None => {
                return none("connected, but no Heartbeat in time".to_owned()).fact("http", "timeout");
            }
        };
        let lines = parse_heartbeat(&String::from_utf8_lossy(&answer.body));
        if lines.is_empty() {
            return none("the answer is not a Eucalyptus Heartbeat".to_owned()).fact("http", 200u32);
        }
        self.judge_lines(&lines, fetched)
    }

    fn judge_lines(&self, lines: &[Line], fetched: &Fetched) -> Observation {
        let wanted: String = self.config.component.trim().chars().take(NAME_CHARS_MAX).collect();
        let found = lines.iter().find(|line| line.name.eq_ignore_ascii_case(&wanted));
        let is_enabled = found.is_some_and(|line| line.enabled);
        let text = match found {
            Some(line) if line.enabled => format!("{wanted} is enabled"),
            Some(line) if line.local => format!("{wanted} is registered here but not enabled"),
            Some(_) => format!("{wanted} is not registered on this host"),
            None => format!("this process does not know {wanted}"),
        };
        let listed: Vec<String> = lines
            .iter()
            .map(|line| {
                format!("{} enabled={} local={} initialized={}", line.name, line.enabled, line.local, line.initialized)
            })
            .collect();
        let mut seen = Observation::observed(text)
            .long(listed.join("\n"))
            .fact("port", "open")
            .fact("http", 200u32)
            .fact("heartbeat", if is_enabled { "enabled" } else { "not_enabled" })
            .fact("listed", found.is_some())
            .fact("total_ms", millis(fetched.total))
            .measure("time", fetched.total.as_secs_f64(), "s");
        if let Some(line) = found {
            let facts = [("enabled", line.enabled), ("local", line.local), ("initialized", line.initialized)];
            seen = facts.into_iter().fold(seen, |seen, (name, value)| seen.fact(name, value));
        }
        seen
    }
}

/// One line of the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    pub enabled: bool,
    pub local: bool,
    pub initialized: bool,
}

/// `name=%-20.20s enabled=%-10.10s local=%-10.10s initialized=%-10.10s`, one a component.
pub fn parse_heartbeat(text: &str) -> Vec<Line> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Line> {
    let (name, rest) = line.trim().strip_prefix("name=")?.split_once(" enabled=")?;
    let (enabled, rest) = rest.split_once(" local=")?;
    let (local, initialized) = rest.split_once(" initialized=")?;
    let is_true = |text: &str| text.trim() == "true";
    Some(Line {
        name: name.trim().to_owned(),
        enabled: is_true(enabled),
        local: is_true(local),
        initialized: is_true(initialized),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::{run_at, text};

    /// Written by hand in the format of LegacyHBPipeline.java.
    fn page() -> String {
        let row = |name: &str, enabled: bool, local: bool| {
            let [enabled, local] = [enabled, local].map(|flag| flag.to_string());
            format!("name={name:<20.20} enabled={enabled:<10.10} local={local:<10.10} initialized={:<10.10}\n", "true")
        };
        row("eucalyptus", true, true)
            + &row("walrusbackend", false, true)
            + &row("storage", false, false)
            + &row("loadbalancingbackend2", true, true)
    }

    /// Answers every connection with these bytes and closes.
    async fn server(answer: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                assert!(asked.starts_with(b"GET /services/Heartbeat HTTP/1.1\r\n"));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    async fn run(component: &str, answer: String) -> Observation {
        let port = server(answer).await;
        let params = format!(r#"{{"component":"{component}","port":{port}}}"#);
        run_at("heartbeat", &params, 5000).await.expect("observed")
    }

    #[tokio::test]
    async fn a_component_is_enabled_or_not() {
        let ok = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n{}", page());
        for (component, heartbeat, local) in [
            ("eucalyptus", "enabled", "true"),
            ("Eucalyptus", "enabled", "true"),
            ("walrusbackend", "not_enabled", "true"),
            ("storage", "not_enabled", "false"),
            ("loadbalancingbackend2x", "enabled", "true"),
            ("vmwarebroker", "not_enabled", ""),
        ] {
            let seen = run(component, ok.clone()).await;
            assert_eq!(
                (text(&seen, "heartbeat"), text(&seen, "local")),
                (heartbeat.into(), local.into()),
                "{component}"
            );
            assert_eq!(text(&seen, "port"), "open");
        }
    }

    #[tokio::test]
    async fn an_open_port_that_is_not_eucalyptus_is_no_heartbeat() {
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnova-api",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            let seen = run("eucalyptus", answer.to_owned()).await;
            assert_eq!((text(&seen, "heartbeat"), text(&seen, "port")), ("none".into(), "open".into()), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_refused_port_is_told_as_refused() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = free.local_addr().expect("address").port();
        drop(free);
        let params = format!(r#"{{"component":"eucalyptus","port":{port}}}"#);
        let seen = run_at("heartbeat", &params, 5000).await.expect("observed");
        assert_eq!((text(&seen, "heartbeat"), text(&seen, "port")), ("none".into(), "refused".into()));
    }

    proptest! {
        #[test]
        fn any_truncation_reads(cut in 0usize..400) {
            let page = page();
            let lines = parse_heartbeat(page.get(..cut).unwrap_or(&page));
            prop_assert!(lines.len() <= 4);
        }

        #[test]
        fn no_text_panics(text in "(name=| enabled=| local=| initialized=|true|\\PC|\n){0,20}") {
            let _ = parse_heartbeat(&text);
        }
    }
}
