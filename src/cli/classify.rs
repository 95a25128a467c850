//! `stentor classify`: signals in, verdicts out; the classifier alone, without engine or network.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use stentor_core::catalog::Catalog;
use stentor_core::diagnosis::{
    Class, CoreState, Evidence, Impact, Missing, Rejected, Severity, Signal, Suppressed, Target, Timing, Topology,
    Verdict, Visibility, diagnose,
};
use stentor_core::model::Value;
use stentor_core::{Span, Timestamp};

use crate::config;

/// Scenarios carry ages, not instants; any fixed present gives the same answer.
const VIRTUAL_NOW: Timestamp = Timestamp::from_secs(1_795_226_531);
/// A whole scenario file; the largest real cloud with every signal is below a tenth of it.
const SCENARIO_BYTES_MAX: u64 = 256 << 20;

#[derive(Args, Debug)]
pub struct ClassifyArgs {
    /// File with one `{"topology": …, "signals": […]}` or an array of them; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub scenario: PathBuf,
    /// Configuration to take the topology and the pace from; a scenario then needs signals only, and `"cloud"` where
    /// there are several
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Scenario {
    topology: Option<Topology>,
    /// Which cloud of the configuration it is about.
    cloud: Option<String>,
    #[serde(default)]
    signals: Vec<SignalLine>,
}

/// A signal as people write it: an age instead of instants, scalars for names.
#[derive(Deserialize)]
struct SignalLine {
    host: Option<Arc<str>>,
    component: Option<Arc<str>>,
    sig: Arc<str>,
    #[serde(default)]
    value: Value,
    vantage: Option<Arc<str>>,
    #[serde(default)]
    age_s: f64,
    /// Age of the value itself, where the writer knows it.
    changed_s: Option<f64>,
    #[serde(default)]
    every_s: f64,
}

#[derive(Serialize)]
struct Answer<'a> {
    alerts: Vec<Alert<'a>>,
    suppressed: &'a [Suppressed],
    core: CoreState,
    core_because: &'a [String],
    redundancy_lost: bool,
    unknown: Vec<Unknown<'a>>,
}

#[derive(Serialize)]
struct Alert<'a> {
    target: &'a Target,
    class: Class,
    subtype: &'a str,
    severity: Severity,
    visibility: Visibility,
    impact: Impact,
    confidence: f64,
    core: CoreState,
    cell: Option<&'a str>,
    cells: &'a [Arc<str>],
    runbook: &'a str,
    redundancy: Option<(u32, u32)>,
    suppressed: &'a [Suppressed],
    evidence: &'a [Evidence],
    rejected: &'a [Rejected],
}

#[derive(Serialize)]
struct Unknown<'a> {
    target: &'a Target,
    class: Class,
    missing: &'a [String],
}

/// Prints one JSON line per scenario.
///
/// # Errors
/// A file cannot be read or is wrong, or the output cannot be written.
pub fn run(args: ClassifyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let name = args.scenario.display().to_string();
    let catalog = match &args.config {
        Some(path) => Some(config::load(path).map_err(|found| anyhow::anyhow!("{found}"))?.catalog),
        None => None,
    };
    let timing = catalog.as_ref().map_or_else(Timing::default, |c| Timing::default().at_pace(c.timing.pace));
    let text = read(&args.scenario)?;
    for scenario in parse(&text).with_context(|| format!("`{name}` is not a scenario"))? {
        let topology = match (scenario.topology, &catalog) {
            (Some(topology), None) => topology,
            (None, Some(catalog)) => topology_of(catalog, scenario.cloud.as_deref())?,
            (Some(_), Some(_)) => bail!("`{name}` brings a topology of its own; leave it out, or --config"),
            (None, None) => bail!("`{name}` has no `topology` on line 1; add one, or give --config FILE"),
        };
        let signals: Vec<Signal> = scenario.signals.into_iter().map(signal).collect();
        let diagnosis = diagnose(&topology, &signals, VIRTUAL_NOW, &timing);
        let answer = Answer {
            alerts: diagnosis.verdicts.iter().map(alert).collect(),
            suppressed: &diagnosis.suppressed,
            core: diagnosis.core,
            core_because: &diagnosis.core_because,
            redundancy_lost: diagnosis.redundancy_lost,
            unknown: diagnosis.unknown.iter().map(unknown).collect(),
        };
        serde_json::to_writer(&mut *out, &answer).context("cannot write the answer")?;
        writeln!(out).context("cannot write the answer")?;
    }
    Ok(())
}

fn read(scenario: &Path) -> anyhow::Result<String> {
    let name = scenario.display();
    let mut text = String::new();
    if scenario.as_os_str() == "-" {
        let stdin = std::io::stdin().lock();
        stdin.take(SCENARIO_BYTES_MAX).read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(scenario).with_context(|| format!("cannot open scenario `{name}`"))?;
        file.take(SCENARIO_BYTES_MAX)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read scenario `{name}`"))?;
    }
    Ok(text)
}

/// The named cloud, or the only one; without clouds, all hosts together, as the engine sees them.
fn topology_of(catalog: &Catalog, cloud: Option<&str>) -> anyhow::Result<Topology> {
    let names = || catalog.clouds.iter().map(|cloud| &*cloud.name).collect::<Vec<_>>().join(", ");
    match (cloud, catalog.clouds.as_slice()) {
        (Some(name), clouds) => match clouds.iter().find(|cloud| &*cloud.name == name) {
            Some(cloud) => Ok(cloud.topology.clone()),
            None => bail!("the configuration has no cloud `{name}`; it has: {}", names()),
        },
        (None, [only]) => Ok(only.topology.clone()),
        (None, []) => {
            let hosts = catalog.hosts.iter().map(|host| (Arc::clone(&host.name), Vec::new())).collect();
            Ok(Topology { hosts, ..Topology::default() })
        }
        (None, _) => bail!("the configuration has several clouds ({}); name one: \"cloud\": NAME", names()),
    }
}

/// Tells one scenario from many by the first character, because the error of an untagged enum says nothing.
fn parse(text: &str) -> Result<Vec<Scenario>, serde_json::Error> {
    if text.trim_start().starts_with('[') { serde_json::from_str(text) } else { Ok(vec![serde_json::from_str(text)?]) }
}

fn seconds(seconds: f64) -> Span {
    Span::from_millis((seconds * 1000.0) as i64)
}

fn signal(line: SignalLine) -> Signal {
    let observed_at = VIRTUAL_NOW - seconds(line.age_s);
    Signal {
        host: line.host,
        component: line.component,
        sig: line.sig,
        value: line.value,
        vantage: line.vantage,
        observed_at,
        changed_at: line.changed_s.map_or(observed_at, |age| VIRTUAL_NOW - seconds(age)),
        every: seconds(line.every_s.max(0.0)),
    }
}

fn alert(verdict: &Verdict) -> Alert<'_> {
    Alert {
        target: &verdict.target,
        class: verdict.class,
        subtype: &verdict.subtype,
        severity: verdict.severity,
        visibility: verdict.visibility,
        impact: verdict.impact,
        confidence: verdict.confidence,
        core: verdict.core,
        cell: verdict.cell.as_deref(),
        cells: &verdict.cells,
        runbook: &verdict.runbook,
        redundancy: verdict.redundancy,
        suppressed: &verdict.suppressed,
        evidence: &verdict.evidence,
        rejected: &verdict.rejected,
    }
}

fn unknown(missing: &Missing) -> Unknown<'_> {
    Unknown { target: &missing.target, class: Class::Unknown, missing: &missing.missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD_CLC: &str = r#"{"topology": {"platform": "eucalyptus", "hosts": {"clc1": ["clc"]}, "jvm": ["clc"]},
        "signals": [{"host": "clc1", "sig": "ping", "value": "ok"},
                    {"host": "clc1", "component": "clc", "sig": "port", "value": "refused"},
                    {"host": "clc1", "component": "clc", "sig": "process", "value": "absent"},
                    {"host": "clc1", "component": "clc", "sig": "port", "value": "open", "age_s": 900}]}"#;

    fn answer(text: &str) -> anyhow::Result<Vec<serde_json::Value>> {
        let dir = tempfile::tempdir()?;
        let scenario = dir.path().join("scenario.json");
        std::fs::write(&scenario, text)?;
        let mut out = Vec::new();
        run(ClassifyArgs { scenario, config: None }, &mut out)?;
        String::from_utf8(out)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    #[test]
    fn one_scenario_gives_one_line_with_its_reasons() {
        let lines = answer(DEAD_CLC).expect("an answer");
        assert_eq!(lines.len(), 1);
        let alert = &lines[0]["alerts"][0];
        assert_eq!((&alert["class"], &alert["runbook"]), (&"software_down".into(), &"rb-euca-clc-software".into()));
        assert_eq!((&alert["target"]["kind"], &lines[0]["core"]), (&"component".into(), &"unavailable".into()));
        assert!(alert["confidence"].as_f64().is_some_and(|confidence| confidence >= 0.95));
        assert!(!alert["evidence"].as_array().expect("a list").is_empty());
        assert!(!alert["rejected"].as_array().expect("a list").is_empty());
    }

    #[test]
    fn an_array_gives_a_line_for_each() {
        let lines = answer(&format!("[{DEAD_CLC}, {{\"topology\": {{}}}}]")).expect("answers");
        assert_eq!((lines.len(), &lines[1]["alerts"]), (2, &serde_json::json!([])));
    }

    #[test]
    fn a_target_with_too_little_to_go_on_says_what_is_missing() {
        let text = r#"{"topology": {"hosts": {"a": []}}, "signals": [{"host": "a", "sig": "ping", "value": "fail"}]}"#;
        let lines = answer(text).expect("an answer");
        assert_eq!(lines[0]["unknown"][0]["missing"], serde_json::json!(["ssh", "agent", "power"]));
    }

    #[test]
    fn what_is_no_scenario_is_an_error_that_names_the_line() {
        for text in ["", "{", "7", "[1]", r#"{"signals": []}"#, r#"{"topology": {}, "signals": [{"host": "a"}]}"#] {
            let error = answer(text).expect_err(text);
            assert!(format!("{error:#}").contains("line "), "{error:#}");
        }
    }

    const CONFIG: &str = "[[cloud]]\nname = \"e\"\nplatform = \"eucalyptus\"\n\
         [[host]]\nname = \"clc1\"\ncloud = \"e\"\ncomponents = [\"eucalyptus/clc\"]\n";

    fn answer_with(config: &str, scenario: &str) -> anyhow::Result<serde_json::Value> {
        let dir = tempfile::tempdir()?;
        let (path, file) = (dir.path().join("stentor.toml"), dir.path().join("scenario.json"));
        std::fs::write(&path, config)?;
        std::fs::write(&file, scenario)?;
        let mut out = Vec::new();
        run(ClassifyArgs { scenario: file, config: Some(path) }, &mut out)?;
        Ok(serde_json::from_slice(&out)?)
    }

    #[test]
    fn the_topology_comes_from_the_configuration() {
        let signals = r#"{"signals": [{"host": "clc1", "sig": "ping", "value": "ok"},
            {"host": "clc1", "component": "clc", "sig": "port", "value": "refused"},
            {"host": "clc1", "component": "clc", "sig": "process", "value": "absent"}]}"#;
        let line = answer_with(CONFIG, signals).expect("an answer");
        assert_eq!(line["alerts"][0]["cell"], "eucalyptus/clc/software", "{line}");
        let named = answer_with(CONFIG, &signals.replacen('{', r#"{"cloud": "e", "#, 1)).expect("an answer");
        assert_eq!(named, line);
    }

    #[test]
    fn a_cloud_that_is_not_clear_is_refused() {
        let two = format!("{CONFIG}[[cloud]]\nname = \"f\"\nplatform = \"eucalyptus\"\n");
        for (config, scenario, words) in [
            (two.as_str(), r#"{"signals": []}"#, "several clouds (e, f)"),
            (CONFIG, r#"{"cloud": "x"}"#, "it has: e"),
            (CONFIG, r#"{"topology": {}}"#, "of its own"),
            ("[server]\nlisten = 1\n", "{}", "listen"),
        ] {
            let error = answer_with(config, scenario).expect_err(words);
            assert!(format!("{error:#}").contains(words), "{error:#}");
        }
    }
}
