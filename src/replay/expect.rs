//! Unit tests of a configuration: given results and commands at these times, expect these states, pages and incidents.
//! A test file becomes a recording; what the engine says of it is compared with what the file expects.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use stentor_core::catalog::Catalog;
use stentor_core::engine::Engine;
use stentor_core::model::ObjectKey;
use stentor_core::{Span, Timestamp};

use super::{Explain, Run, describe, input, output};

/// A file of tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The configuration under test, relative to this file.
    pub config: Option<PathBuf>,
    /// When every test starts; a Monday unless given.
    #[serde(default)]
    pub start: Option<String>,
    #[serde(default, rename = "test")]
    pub tests: Vec<Test>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    pub name: String,
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

/// Something that happens, or something that must be true, at a time since the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `90s`, `5m`, `1h30m` since the start; never earlier than the step above.
    pub at: toml::Spanned<String>,
    /// With `times`: happens so often, this far apart.
    pub every: Option<toml::Spanned<String>>,
    pub times: Option<u32>,
    pub result: Option<Map<String, Json>>,
    /// An external command.
    pub command: Option<String>,
    pub signal: Option<Map<String, Json>>,
    /// Objects as they must be now; keys as `stentor replay` prints them.
    pub expect: Option<Vec<Map<String, Json>>>,
    /// Exactly the notifications since the last step that looked at pages.
    pub pages: Option<Vec<Map<String, Json>>>,
    /// Exactly the incident lines since the last step that looked at incidents.
    pub incidents: Option<Vec<Map<String, Json>>>,
}

/// Monday, 2026-01-05, midnight UTC.
const START: Timestamp = Timestamp::from_secs(1_767_571_200);
/// Repetitions of one step; beyond it the file is wrong.
const TIMES_MAX: u32 = 100_000;

/// Why a file cannot be used, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    pub span: Option<Range<usize>>,
    pub message: String,
}

/// How one test went; empty = as expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    pub name: String,
    pub failures: Vec<String>,
}

/// Reads a file of tests.
///
/// # Errors
/// It is no such file; the message names what is wrong.
pub fn parse(text: &str) -> Result<TestFile, Mistake> {
    let file: TestFile =
        toml::from_str(text).map_err(|error| Mistake { span: error.span(), message: error.message().to_owned() })?;
    for test in &file.tests {
        if test.steps.iter().all(|step| step.expect.is_none() && step.pages.is_none() && step.incidents.is_none()) {
            let message =
                format!("test `{}` expects nothing: add `expect`, `pages` or `incidents` to a step", test.name);
            return Err(Mistake { span: None, message });
        }
    }
    Ok(file)
}

/// Runs one test from a fresh engine.
///
/// # Errors
/// A time in it cannot be read.
pub fn run(catalog: &Arc<Catalog>, file: &TestFile, test: &Test) -> Result<Outcome, Mistake> {
    let start = match &file.start {
        None => START,
        Some(text) => Timestamp::from_rfc3339(text)
            .map_err(|_| Mistake { span: None, message: format!("`start`: `{text}` is no RFC 3339 time") })?,
    };
    let agenda = agenda(test, start)?;
    let said: RefCell<Vec<Json>> = RefCell::default();
    let mut print = |line: &Json| -> io::Result<()> {
        said.borrow_mut().push(line.clone());
        Ok(())
    };
    let mut run = Run::new(BTreeSet::new(), &Explain::Nothing, &mut print);
    let mut checker = Checker { start, pages_from: 0, incidents_from: 0, failures: Vec::new() };
    for (number, (at, item)) in agenda.into_iter().enumerate() {
        // Printing into a vector cannot fail.
        let _ = match item {
            Item::Input(line) => run.line(catalog, number, input::parse(&line.to_string())),
            Item::Look(step) => {
                let advanced = run.begin(catalog, start).and_then(|()| run.advance(at, true));
                checker.look(at, step, &run.engine, &said.borrow());
                advanced
            }
        };
    }
    let errors = said.borrow().iter().filter(|line| line["event"] == "error").map(|l| checker.error(l)).collect();
    let failures: Vec<String> = [errors, checker.failures].concat();
    Ok(Outcome { name: test.name.clone(), failures })
}

enum Item<'a> {
    /// A line of a recording.
    Input(Json),
    /// A step that expects something.
    Look(&'a Step),
}

/// What happens and where one looks, in the order of time; a look comes after the inputs of its instant above it.
fn agenda(test: &Test, start: Timestamp) -> Result<Vec<(Timestamp, Item<'_>)>, Mistake> {
    let mut items = Vec::new();
    let mut before = start;
    for step in &test.steps {
        let first = start + duration(&step.at)?;
        if first < before {
            let message = format!("`{}` lies before the step above", step.at.get_ref());
            return Err(Mistake { span: Some(step.at.span()), message });
        }
        before = first;
        let (every, times) = repetition(step)?;
        for i in 0..times {
            let at = first + every * i64::from(i);
            let when = output::at(at);
            let mut add = |key: &str, value: Json| items.push((at, Item::Input(json!({ "at": when, key: value }))));
            if let Some(result) = &step.result {
                add("result", Json::Object(result.clone()));
            }
            if let Some(command) = &step.command {
                add("command", command.as_str().into());
            }
            if let Some(signal) = &step.signal {
                add("signal", Json::Object(signal.clone()));
            }
        }
        if step.expect.is_some() || step.pages.is_some() || step.incidents.is_some() {
            items.push((first, Item::Look(step)));
        }
    }
    // A repeated step may reach beyond those below it.
    items.sort_by_key(|(at, _)| *at);
    Ok(items)
}

fn repetition(step: &Step) -> Result<(Span, u32), Mistake> {
    match (&step.every, step.times) {
        (None, None) => Ok((Span::ZERO, 1)),
        (Some(every), Some(times)) if times <= TIMES_MAX => Ok((duration(every)?, times)),
        (Some(every), Some(_)) => {
            Err(Mistake { span: Some(every.span()), message: format!("`times` is at most {TIMES_MAX}") })
        }
        (Some(_), None) | (None, Some(_)) => {
            let message = "`every` and `times` belong together".to_owned();
            Err(Mistake { span: Some(step.at.span()), message })
        }
    }
}

fn duration(text: &toml::Spanned<String>) -> Result<Span, Mistake> {
    text.get_ref().parse().map_err(|_| Mistake {
        span: Some(text.span()),
        message: format!("`{}` is no duration: write 90s, 5m or 1h30m", text.get_ref()),
    })
}

/// Compares what is with what is expected.
struct Checker {
    start: Timestamp,
    /// Lines said before these were looked at already.
    pages_from: usize,
    incidents_from: usize,
    failures: Vec<String>,
}

impl Checker {
    fn when(&self, at: Timestamp) -> String {
        format!("after {}", at.since(self.start))
    }

    fn error(&self, line: &Json) -> String {
        let at = line["at"].as_f64().map_or(self.start, |at| Timestamp::from_millis((at * 1000.0).round() as i64));
        format!("{}: {}", self.when(at), line["message"].as_str().unwrap_or_default())
    }

    fn look(&mut self, at: Timestamp, step: &Step, engine: &Engine, said: &[Json]) {
        let when = self.when(at);
        for expected in step.expect.iter().flatten() {
            self.failures.extend(object_differs(&when, at, expected, engine));
        }
        if let Some(expected) = &step.pages {
            let found = of_event(said, self.pages_from, "notification");
            self.failures.extend(exactly(&when, "page", expected, found));
            self.pages_from = said.len();
        }
        if let Some(expected) = &step.incidents {
            let found = of_event(said, self.incidents_from, "incident");
            self.failures.extend(exactly(&when, "incident", expected, found));
            self.incidents_from = said.len();
        }
    }
}

fn of_event<'a>(said: &'a [Json], from: usize, event: &str) -> Vec<&'a Json> {
    said.iter().skip(from).filter(|line| line["event"] == event).collect()
}

fn object_differs(when: &str, at: Timestamp, expected: &Map<String, Json>, engine: &Engine) -> Vec<String> {
    let name = |key: &str| expected.get(key).and_then(Json::as_str).map(Arc::<str>::from);
    let Some(host) = name("host") else {
        return vec![format!("{when}: an expectation without `host`: {}", Json::Object(expected.clone()))];
    };
    let key = ObjectKey { host, service: name("service") };
    let Some(object) = engine.catalog().object_id(&key) else {
        return vec![format!("{when}: there is no {}", describe(&key))];
    };
    let found = output::object(at, engine, object);
    let differs = |(key, wanted): (&String, &Json)| match found.get(key) {
        Some(is) if is == wanted => None,
        Some(is) => Some(format!("{when}: {} has {key} {is}, expected {wanted}", subject(&found))),
        None => Some(format!("{when}: an object has no `{key}`; it has {}", keys_of(&found))),
    };
    expected.iter().filter_map(differs).collect()
}

fn subject(line: &Json) -> String {
    match (line["host"].as_str(), line["service"].as_str()) {
        (Some(host), Some(service)) => format!("{host}/{service}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "it".to_owned(),
    }
}

fn keys_of(line: &Json) -> String {
    let keys = line.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    keys.filter(|key| !matches!(*key, "at" | "event")).collect::<Vec<_>>().join(", ")
}

/// Each expected line matches a line of its own, and none is left over.
fn exactly(when: &str, what: &str, expected: &[Map<String, Json>], mut found: Vec<&Json>) -> Vec<String> {
    let mut failures = Vec::new();
    for wanted in expected {
        let matches = |line: &&Json| wanted.iter().all(|(key, value)| line.get(key) == Some(value));
        match found.iter().position(matches) {
            Some(place) => {
                found.remove(place);
            }
            None => failures.push(format!("{when}: no {what} {}", Json::Object(wanted.clone()))),
        }
    }
    failures.extend(found.iter().map(|line| format!("{when}: unexpected {what} {line}")));
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [[host]]
        name = "web1"
        address = "192.0.2.1"
        [[service]]
        host = "web1"
        name = "http"
        probe = "exec"
        params = { command = "/bin/true" }
        attempts = 3
        every = "1m"
        [[contact]]
        name = "noc"
        email = "noc@example.org"
        [[route]]
        to = ["noc"]
        [notifier.email]
        host = "localhost"
        from = "stentor@example.org"
    "#;

    fn outcome(tests: &str) -> Vec<String> {
        let loaded = crate::config::load_text(CONFIG, std::path::Path::new("t.toml")).unwrap_or_else(|e| panic!("{e}"));
        let file = parse(tests).unwrap();
        run(&loaded.catalog, &file, &file.tests[0]).unwrap().failures
    }

    const DEAD_SERVER: &str = r#"
        [[test]]
        name = "the third refusal pages the NOC once"
        [[test.step]]
        at = "0s"
        result = { host = "web1", service = "http", code = 0, output = "fine" }
        [[test.step]]
        at = "1m"
        every = "1m"
        times = 3
        result = { host = "web1", service = "http", code = 2, output = "refused" }
        [[test.step]]
        at = "2m"
        expect = [{ host = "web1", service = "http", state = "CRITICAL", kind = "SOFT", attempt = 2 }]
        pages = []
        [[test.step]]
        at = "10m"
        expect = [{ host = "web1", service = "http", state = "CRITICAL", kind = "HARD", attempt = 3 }]
        pages = [{ contact = "noc", notification = "PROBLEM" }]
    "#;

    #[test]
    fn what_comes_as_expected_passes() {
        assert_eq!(outcome(DEAD_SERVER), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_told_with_time_object_and_both_values() {
        let failures = outcome(&DEAD_SERVER.replace("kind = \"HARD\", attempt = 3", "kind = \"HARD\", attempt = 4"));
        assert_eq!(failures, ["after 10m: web1/http has attempt 3, expected 4"]);
        let failures = outcome(&DEAD_SERVER.replace("pages = [{ contact = \"noc\"", "pages = [{ contact = \"boss\""));
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert!(failures[0].starts_with("after 10m: no page {\"contact\":\"boss\""), "{failures:?}");
        assert!(failures[1].starts_with("after 10m: unexpected page {"), "{failures:?}");
    }

    #[test]
    fn mistakes_of_the_file_are_refused_with_their_place() {
        for (text, says) in [
            ("[[test]]\nname = \"t\"\n", "expects nothing"),
            ("[[test]]\nname = \"t\"\nsteps = []\n", "unknown field `steps`"),
            ("[[test]]\nname = 7\n", "invalid type"),
        ] {
            assert!(parse(text).unwrap_err().message.contains(says), "{text}");
        }
        let late = DEAD_SERVER.replace("at = \"10m\"", "at = \"1m\"");
        let file = parse(&late).unwrap();
        let mistake = run(&Arc::new(Catalog::default()), &file, &file.tests[0]).unwrap_err();
        assert_eq!(mistake.message, "`1m` lies before the step above");
        assert_eq!(late.get(mistake.span.unwrap()), Some("\"1m\""));
    }

    #[test]
    fn an_unknown_object_is_a_failure() {
        let failures = outcome(&DEAD_SERVER.replace(
            "at = \"0s\"\n        result = { host = \"web1\"",
            "at = \"0s\"\n        result = { host = \"web9\"",
        ));
        assert_eq!(failures, ["after 0s: there is no service `http` on host `web9`"]);
    }
}
