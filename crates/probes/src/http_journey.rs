//! `http_journey`: several requests one after the other, as a person makes them who logs in: cookies, forms, values taken along.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{Method, Request};
use regex::bytes::Regex;
use serde::Deserialize;
use serde_json::Value;
use stentor_core::model::Observation;
use stentor_wire::journey::{Jar, Place, Unknown, Variables, filled, filled_json, form, names, redirect};

use super::api::secret;
use super::fetch::{Answer, BODY_BYTES_MAX, Exchange, Fetch, Fetched, fetch};
use super::reach::{Port, closed, millis};
use super::talk::{certificate, shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct HttpJourney {
    env: ProbeEnv,
    config: Config,
    port: u16,
    trust: Option<Trust>,
    steps: Vec<Ready>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    /// 80, or 443 with `tls`.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// `Host` header and name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// Variables whose values are in files, read at each run.
    #[serde(default)]
    pub secrets: BTreeMap<String, PathBuf>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `METHOD path` if missing.
    #[serde(default)]
    pub name: Option<String>,
    /// GET, or POST where something is sent.
    #[serde(default)]
    pub method: Option<String>,
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub json: Option<Value>,
    /// Goes after redirects on the same server, with GET.
    #[serde(default)]
    pub follow: bool,
    /// Of the last answer; every status below 400 if missing.
    #[serde(default)]
    pub status: Option<u16>,
    /// Regular expression sought in the body.
    #[serde(default)]
    pub expect: Option<String>,
    /// Values in the body by JSON pointers.
    #[serde(default)]
    pub expect_json: BTreeMap<String, Value>,
    #[serde(default)]
    pub capture: BTreeMap<String, Capture>,
}

/// Where a value is that later steps need.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Capture {
    /// The first group, or all that matches.
    Regex(String),
    /// JSON pointer.
    Json(String),
    Header(String),
}

/// Steps of one journey.
const STEPS_MAX: usize = 50;
/// Redirects of one step; browsers stop at 20.
const REDIRECTS_MAX: usize = 10;
/// Longest value that is taken along.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// A step whose parts were checked.
struct Ready {
    name: String,
    method: Method,
    expect: Option<Regex>,
    captures: Vec<(String, Source)>,
}

enum Source {
    Regex(Regex),
    Json(String),
    Header(HeaderName),
}

/// Why the journey ended early: a word, and what happened.
struct Stop {
    word: &'static str,
    why: String,
}

fn stop<T>(word: &'static str, why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop { word, why: why.into() })
}

impl From<Unknown> for Stop {
    fn from(unknown: Unknown) -> Self {
        Stop { word: "capture", why: unknown.to_string() }
    }
}

impl Probe for HttpJourney {
    const KIND: &'static str = "http_journey";
    const DOC: &'static str = include_str!("../../../docs/probes/http_journey.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `http_journey`: {why}") };
        let port = config.port.unwrap_or(if config.tls { 443 } else { 80 });
        if port == 0 {
            return Err(refuse("there is no port 0".into()));
        }
        if config.steps.is_empty() || config.steps.len() > STEPS_MAX {
            return Err(refuse(format!("it has 1 to {STEPS_MAX} `steps`")));
        }
        let mut known: Vec<&str> = config.secrets.keys().map(String::as_str).collect();
        let mut steps = Vec::new();
        for step in &config.steps {
            let ready = ready(step, &known).map_err(|why| refuse(format!("step `{}`: {why}", step.path)))?;
            known.extend(step.capture.keys().map(String::as_str));
            steps.push(ready);
        }
        let trust =
            config.tls.then(|| trust("http_journey", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(HttpJourney { env: env.clone(), port, trust, steps, config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let target = &target.at(self.config.address.as_ref());
        let mut variables = Variables::new();
        for (name, file) in &self.config.secrets {
            variables.insert(name.clone(), secret(Some(file)).await?.unwrap_or_default());
        }
        let mut trip =
            Trip { probe: self, target, deadline, variables, jar: Jar::default(), seen: None, spent: Duration::ZERO };
        let mut done = 0;
        for (step, ready) in self.config.steps.iter().zip(&self.steps) {
            let before = trip.spent;
            let result = trip.step(step, ready).await?;
            let took = trip.spent - before;
            let mut seen = trip.seen.take().unwrap_or_else(|| Observation::observed(""));
            seen = seen.measure(&ready.name, took.as_secs_f64(), "s");
            if let Err(Stop { word, why }) = result {
                let text = format!("step {} of {}, {}: {why}", done + 1, self.steps.len(), ready.name);
                seen = Observation { text: text.into(), ..seen }.fact("failed_step", ready.name.as_str());
                return Ok(ended(seen, word, done, trip.spent));
            }
            trip.seen = Some(seen);
            done += 1;
        }
        let seen = trip.seen.unwrap_or_else(|| Observation::observed(""));
        let text = format!("{done} steps in {} ms", millis(trip.spent));
        Ok(ended(Observation { text: text.into(), ..seen }, "ok", done, trip.spent))
    }
}

fn ended(seen: Observation, word: &str, done: usize, spent: Duration) -> Observation {
    let seen = seen.fact("journey", word).fact("steps_done", done).fact("total_ms", millis(spent));
    seen.measure("time", spent.as_secs_f64(), "s")
}

fn ready(step: &Step, known: &[&str]) -> Result<Ready, String> {
    if !step.path.starts_with('/') {
        return Err("a path begins with /".into());
    }
    if step.form.is_some() && step.json.is_some() {
        return Err("`form` or `json`, not both".into());
    }
    let json = step.json.as_ref().map(Value::to_string);
    let texts = step.headers.values().chain(step.form.iter().flat_map(BTreeMap::values)).chain(&json);
    let texts = texts.chain([&step.path]);
    if let Some(name) = texts.flat_map(|text| names(text)).find(|name| !known.contains(name)) {
        return Err(format!("`{{{{{name}}}}}` is neither a secret nor captured before"));
    }
    let sends = step.form.is_some() || step.json.is_some();
    let method = step.method.as_deref().unwrap_or(if sends { "POST" } else { "GET" });
    let method = Method::from_bytes(method.as_bytes()).map_err(|e| format!("method: {e}"))?;
    for name in step.headers.keys() {
        HeaderName::try_from(name.as_str()).map_err(|e| format!("header `{name}`: {e}"))?;
    }
    let compile = |text: &str| Regex::new(text).map_err(|e| e.to_string());
    let expect = step.expect.as_deref().map(compile).transpose()?;
    let mut captures = Vec::new();
    for (name, capture) in &step.capture {
        let source = match capture {
            Capture::Regex(text) => Source::Regex(compile(text)?),
            Capture::Json(pointer) => Source::Json(pointer.clone()),
            Capture::Header(name) => Source::Header(HeaderName::try_from(name.as_str()).map_err(|e| e.to_string())?),
        };
        captures.push((name.clone(), source));
    }
    let name = step.name.clone().unwrap_or_else(|| format!("{method} {}", step.path));
    Ok(Ready { name, method, expect, captures })
}

/// One run.
struct Trip<'a> {
    probe: &'a HttpJourney,
    target: &'a Target,
    deadline: Deadline,
    variables: Variables,
    jar: Jar,
    seen: Option<Observation>,
    spent: Duration,
}

impl Trip<'_> {
    async fn step(&mut self, step: &Step, ready: &Ready) -> Result<Result<(), Stop>, ProbeError> {
        let (mut path, body) = match self.prepared(step) {
            Ok(prepared) => prepared,
            Err(stop) => return Ok(Err(stop)),
        };
        let mut method = ready.method.clone();
        let mut body = body;
        for _ in 0..=REDIRECTS_MAX {
            let request = match self.request(step, &method, &path, &body) {
                Ok(request) => request,
                Err(stop) => return Ok(Err(stop)),
            };
            let fetched = self.fetch(request).await?;
            let answer = match self.arrived(fetched) {
                Ok(answer) => answer,
                Err(stop) => return Ok(Err(stop)),
            };
            for cookie in answer.headers.get_all(SET_COOKIE) {
                self.jar.take(&String::from_utf8_lossy(cookie.as_bytes()), &path);
            }
            let onward = answer.location.as_deref().filter(|_| step.follow && (300..400).contains(&answer.status));
            let Some(location) = onward else { return Ok(self.judged(step, ready, &answer)) };
            let scheme = if self.probe.config.tls { "https" } else { "http" };
            let Some(next) = redirect(location, scheme, &self.authority(), &path) else {
                return Ok(stop("redirect", format!("it leads to another server: {}", shown(location))));
            };
            path = next;
            // 307 and 308 keep what was sent (RFC 9110 §15.4).
            if ![307, 308].contains(&answer.status) {
                (method, body) = (Method::GET, None);
            }
        }
        Ok(stop("redirect", format!("more than {REDIRECTS_MAX} redirects")))
    }

    /// Path and body, with values for all names.
    #[expect(clippy::type_complexity, reason = "a path, and a body with its kind")]
    fn prepared(&self, step: &Step) -> Result<(String, Option<(&'static str, String)>), Stop> {
        let path = filled(&step.path, &self.variables, Place::Path)?;
        if let Some(fields) = &step.form {
            let mut sent = BTreeMap::new();
            for (name, value) in fields {
                sent.insert(name.clone(), filled(value, &self.variables, Place::Text)?);
            }
            return Ok((path, Some(("application/x-www-form-urlencoded", form(&sent)))));
        }
        let body = step.json.as_ref().map(|json| filled_json(json, &self.variables)).transpose()?;
        Ok((path, body.map(|json| ("application/json", json.to_string()))))
    }

    fn authority(&self) -> String {
        let name = self.probe.config.host.as_deref().unwrap_or(&self.target.address);
        let name = if name.contains(':') && !name.contains('[') { format!("[{name}]") } else { name.to_owned() };
        let usual = if self.probe.config.tls { 443 } else { 80 };
        if self.probe.port == usual { name } else { format!("{name}:{}", self.probe.port) }
    }

    fn request(
        &self,
        step: &Step,
        method: &Method,
        path: &str,
        body: &Option<(&'static str, String)>,
    ) -> Result<Request<Full<Bytes>>, Stop> {
        let bad = |why: String| Stop { word: "capture", why: format!("the request cannot be made: {why}") };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(HOST, self.authority())
            .header(USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if let Some(cookies) = self.jar.header(path) {
            request = request.header(COOKIE, cookies);
        }
        if let Some((kind, _)) = body {
            request = request.header(CONTENT_TYPE, *kind);
        }
        for (name, text) in &step.headers {
            let value = filled(text, &self.variables, Place::Text)?;
            request = request.header(name, HeaderValue::try_from(value).map_err(|e| bad(e.to_string()))?);
        }
        let bytes = body.as_ref().map(|(_, text)| Bytes::from(text.clone())).unwrap_or_default();
        request.body(Full::new(bytes)).map_err(|e| bad(e.to_string()))
    }

    async fn fetch(&mut self, request: Request<Full<Bytes>>) -> Result<Fetched, ProbeError> {
        let ask = Fetch {
            net: &self.probe.env.net,
            target: self.target,
            port: self.probe.port,
            tls: self.probe.trust.as_ref(),
            server_name: self.probe.config.host.as_deref(),
            request,
            body_bytes_max: BODY_BYTES_MAX,
        };
        let fetched = fetch(ask, self.deadline).await?;
        self.spent += fetched.total;
        Ok(fetched)
    }

    /// The answer, if there is one; the facts of the connection are those of the newest.
    fn arrived(&mut self, fetched: Fetched) -> Result<Answer, Stop> {
        let mut seen = self.seen.take().unwrap_or_else(|| Observation::observed(""));
        seen = seen.fact("port", fetched.attempt.port.word());
        if let Some(tls) = &fetched.tls
            && !seen.facts.contains_key("tls_days_left")
        {
            seen = certificate(seen, tls.not_after, self.probe.env.clock.now());
        }
        self.seen = Some(seen);
        if fetched.attempt.port != Port::Open {
            return stop(fetched.attempt.port.word(), closed(&fetched.attempt).text.to_string());
        }
        match (fetched.exchange, fetched.tls) {
            (Some(Exchange::Answer(answer)), _) => {
                let seen = self.seen.take().unwrap_or_else(|| Observation::observed(""));
                self.seen = Some(seen.fact("http", u32::from(answer.status)));
                Ok(answer)
            }
            (Some(Exchange::Timeout), _) => stop("timeout", "connected, but no complete answer in time"),
            (Some(Exchange::Broken(why)), _) => stop("invalid", format!("no valid answer: {why}")),
            (None, Some(tls)) if tls.timed_out => stop("timeout", "no TLS handshake in time"),
            (None, tls) => {
                stop("tls", format!("no TLS connection: {}", tls.and_then(|tls| tls.error).unwrap_or_default()))
            }
        }
    }

    fn judged(&mut self, step: &Step, ready: &Ready, answer: &Answer) -> Result<(), Stop> {
        let is_wanted = match step.status {
            Some(status) => answer.status == status,
            None => answer.status < 400,
        };
        if !is_wanted {
            return stop("status", format!("status {}", answer.status));
        }
        if let Some(expect) = &ready.expect
            && !expect.is_match(&answer.body)
        {
            return stop("body", format!("the body does not match `{}`", expect.as_str()));
        }
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        for (pointer, wanted) in &step.expect_json {
            match json.as_ref().and_then(|json| json.pointer(pointer)) {
                Some(value) if value == wanted => {}
                Some(value) => return stop("json", format!("`{pointer}` is {}", shown(&value.to_string()))),
                None => return stop("json", format!("the answer has no `{pointer}`")),
            }
        }
        for (name, source) in &ready.captures {
            let value = match source {
                Source::Regex(regex) => regex.captures(&answer.body).and_then(|found| {
                    let found = found.get(1).or_else(|| found.get(0))?;
                    Some(String::from_utf8_lossy(found.as_bytes()).into_owned())
                }),
                Source::Json(pointer) => {
                    json.as_ref().and_then(|json| json.pointer(pointer)).map(|value| match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                }
                Source::Header(header) => {
                    answer.headers.get(header).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                }
            };
            match value.filter(|value| value.len() <= VALUE_BYTES_MAX) {
                Some(value) => drop(self.variables.insert(name.clone(), value)),
                None => return stop("capture", format!("nothing for `{name}` in the answer")),
            }
        }
        Ok(())
    }
}
