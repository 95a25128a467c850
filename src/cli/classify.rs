//! `stentor classify`: signals in, verdicts out; the classifier alone, without engine or network.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::config;
use crate::scenario::{Answer, Scenario};

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
    let text = read(&args.scenario)?;
    for scenario in parse(&text).with_context(|| format!("`{name}` is not a scenario"))? {
        let diagnosis = scenario.classify(catalog.as_deref()).with_context(|| format!("`{name}`"))?;
        serde_json::to_writer(&mut *out, &Answer::from(&diagnosis)).context("cannot write the answer")?;
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

/// Tells one scenario from many by the first character, because the error of an untagged enum says nothing.
fn parse(text: &str) -> Result<Vec<Scenario>, serde_json::Error> {
    if text.trim_start().starts_with('[') { serde_json::from_str(text) } else { Ok(vec![serde_json::from_str(text)?]) }
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
