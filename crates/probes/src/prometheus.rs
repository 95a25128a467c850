//! `prometheus`: one number out of what any exporter shows, by a small expression over its metrics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use serde::Deserialize;
use stentor_core::model::{Measurement, Observation};
use stentor_wire::exposition::{Expr, Page};

use super::fetch::{Answer, Exchange, Fetch, Fetched, fetch};
use super::reach::{Port, closed, millis};
use super::talk::trust;
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Prometheus {
    env: ProbeEnv,
    config: Config,
    path: Uri,
    expr: Expr,
    headers: Vec<(HeaderName, HeaderValue)>,
    trust: Option<Trust>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    pub port: u16,
    #[serde(default = "metrics")]
    pub path: String,
    /// `sum(errors{code=~"5.."}) / sum(requests) * 100`.
    pub expr: String,
    /// Unit of the measurement.
    #[serde(default)]
    pub unit: String,
    #[serde(default)]
    pub tls: bool,
    /// Take any certificate.
    #[serde(default)]
    pub insecure: bool,
    /// PEM file to trust instead of the machine's root certificates.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// `Host` header and name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn metrics() -> String {
    "/metrics".to_owned()
}

/// Pages of big clusters have some megabytes.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Probe for Prometheus {
    const KIND: &'static str = "prometheus";
    const DOC: &'static str = include_str!("../../../docs/probes/prometheus.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |what: &str, why: String| BuildError { message: format!("{what} of probe `prometheus`: {why}") };
        if config.port == 0 {
            return Err(refuse("port", "there is no port 0".into()));
        }
        if !config.path.starts_with('/') {
            return Err(refuse("path", "it must begin with /".into()));
        }
        let path = config.path.parse().map_err(|e| refuse("path", format!("{e}")))?;
        let expr = Expr::parse(&config.expr).map_err(|e| refuse("expr", e.to_string()))?;
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|e| refuse("headers", e.to_string()))?;
            headers.push((name, HeaderValue::try_from(value.as_str()).map_err(|e| refuse("headers", e.to_string()))?));
        }
        let trust = config.tls.then(|| trust("prometheus", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Prometheus { env: env.clone(), config, path, expr, headers, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let target = &target.at(self.config.address.as_ref());
        let ask = Fetch {
            net: &self.env.net,
            target,
            port: self.config.port,
            tls: self.trust.as_ref(),
            server_name: self.config.host.as_deref(),
            request: self.request(target)?,
            body_bytes_max: PAGE_BYTES_MAX,
        };
        Ok(self.observe(&fetch(ask, deadline).await?))
    }
}

impl Prometheus {
    fn request(&self, target: &Target) -> Result<Request<Empty<hyper::body::Bytes>>, ProbeError> {
        let name = match &self.config.host {
            Some(host) => host.clone(),
            None if target.address.contains(':') => format!("[{}]:{}", target.address, self.config.port),
            None => format!("{}:{}", target.address, self.config.port),
        };
        let mut request = Request::get(self.path.clone())
            .header(HOST, name)
            .header(ACCEPT, "text/plain;version=0.0.4")
            .header(USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Empty::new()).map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))
    }

    fn observe(&self, fetched: &Fetched) -> Observation {
        let attempt = &fetched.attempt;
        if attempt.port != Port::Open {
            return closed(attempt);
        }
        let at = format!("{}{}", attempt.addr, self.config.path);
        let seen = Observation::observed("").fact("port", "open").fact("total_ms", millis(fetched.total));
        let seen = seen.measure("time", fetched.total.as_secs_f64(), "s");
        let (word, why) = match &fetched.exchange {
            None => match &fetched.tls {
                Some(tls) if tls.timed_out => ("timeout", "no TLS handshake in time".to_owned()),
                tls => ("tls", tls.as_ref().and_then(|tls| tls.error.clone()).unwrap_or_else(|| "no TLS".to_owned())),
            },
            Some(Exchange::Timeout) => ("timeout", "no complete answer in time".to_owned()),
            Some(Exchange::Broken(why)) => ("invalid", format!("no valid answer: {why}")),
            Some(Exchange::Answer(answer)) if answer.status != 200 => ("invalid", format!("status {}", answer.status)),
            Some(Exchange::Answer(answer)) if answer.truncated => {
                ("invalid", format!("the page is longer than {} MiB", PAGE_BYTES_MAX >> 20))
            }
            Some(Exchange::Answer(answer)) => return self.page(&at, seen, answer),
        };
        Observation { text: format!("{at}: {why}").into(), ..seen }.fact("metrics", word)
    }

    fn page(&self, at: &str, mut seen: Observation, answer: &Answer) -> Observation {
        let page = Page::parse(&String::from_utf8_lossy(&answer.body), |metric| self.expr.reads(metric));
        if let Some(line) = page.first_unreadable {
            seen = seen.fact("unreadable_lines", page.unreadable);
            seen.long_text = format!("{} lines are no metrics, the first is line {line}", page.unreadable).into();
            if page.samples.is_empty() {
                seen.text = format!("{at}: no page of metrics: line {line} is none").into();
                return seen.fact("metrics", "invalid");
            }
        }
        seen = seen.fact("samples", page.samples.len());
        match self.expr.value(&page) {
            Ok(value) => {
                seen.text = format!("{} = {value}{}", self.config.expr, self.config.unit).into();
                seen.measurements.insert(0, Measurement::new("value", value, &self.config.unit));
                seen.fact("metrics", "ok").fact("value", value)
            }
            Err(error) => {
                seen.text = format!("{at}: {error}").into();
                seen.fact("metrics", "no_value").fact("expr_error", error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::{build, number, plain_env, run_at, text};

    async fn exporter(status: &'static str, body: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    async fn see(status: &'static str, body: &'static str, expr: &str) -> Observation {
        let port = exporter(status, body).await;
        let params = serde_json::json!({"port": port, "expr": expr, "unit": "%"}).to_string();
        run_at("prometheus", &params, 5000).await.expect("observed")
    }

    const PAGE: &str = "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 3\nb 8\n";

    #[tokio::test]
    async fn an_expression_is_a_measurement() {
        let seen = see("200 OK", PAGE, "sum(a) / b * 100").await;
        assert_eq!((number(&seen, "value"), text(&seen, "metrics")), (50.0, "ok".into()));
        assert_eq!((&*seen.measurements[0].label, &*seen.measurements[0].unit), ("value", "%"));
        assert_eq!(number(&seen, "samples"), 3.0);
    }

    #[tokio::test]
    async fn without_a_value_there_is_none() {
        for (status, body, expr, word) in [
            ("200 OK", PAGE, "c", "no_value"),
            ("200 OK", PAGE, "a", "no_value"),
            ("200 OK", "<html>\nhello\n", "a", "invalid"),
            ("503 Busy", PAGE, "b", "invalid"),
        ] {
            let seen = see(status, body, expr).await;
            assert_eq!(text(&seen, "metrics"), word, "{status} {body} {expr}");
            assert!(!seen.facts.contains_key("value"), "{status} {body} {expr}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_when_it_is_configured() {
        for params in [r#"{"port":1}"#, r#"{"port":1,"expr":"sum("}"#, r#"{"port":1,"expr":"a","path":"x"}"#] {
            assert!(build("prometheus", params, &plain_env()).is_err(), "{params}");
        }
    }
}
