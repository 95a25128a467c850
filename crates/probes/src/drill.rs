//! `drill`: when a recovery was drilled last, how it went and what it took, from the records of `stentor drill record`.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::drill::Records;

use super::clock::Clock;
use super::look::{Lane, from_io, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Where `stentor drill record` writes unless it is told otherwise.
pub const FILE: &str = "/var/lib/stentor/drills.jsonl";
const DAY_S: f64 = 86_400.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Cell or runbook.
    pub of: String,
    #[serde(default = "file")]
    pub file: String,
    /// Who sees to it.
    #[serde(default)]
    pub owner: String,
}

fn file() -> String {
    FILE.to_owned()
}

pub struct Drill {
    view: Arc<dyn HostView>,
    clock: Clock,
    config: Config,
}

impl Probe for Drill {
    const KIND: &'static str = "drill";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/drill.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.of.trim().is_empty() || !config.file.starts_with('/') {
            let message = "probe `drill` needs `of`, a cell or a runbook, and an absolute `file`".to_owned();
            return Err(BuildError { message });
        }
        Ok(Drill { view: Arc::clone(&env.view), clock: env.clock.clone(), config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let file = self.config.file.clone();
        let read = look(&self.view, Lane::FileSystems, deadline, move |view| Ok(view.read(&file))).await?;
        let records = match read {
            Ok(text) => Records::parse(&text),
            // Nobody has recorded any yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Records::default(),
            Err(error) => return Err(from_io(&error)),
        };
        Ok(self.observe(&records))
    }
}

impl Drill {
    fn observe(&self, records: &Records) -> Observation {
        let of = self.config.of.as_str();
        let now_s = self.clock.now().as_secs();
        let age_d = |at_s: i64| now_s.saturating_sub(at_s) as f64 / DAY_S;
        let owner = self.config.owner.as_str();
        let Some(newest) = records.newest(of) else {
            let text = format!("{of} was never drilled");
            let text = if owner.is_empty() { text } else { format!("{text} ({owner} sees to it)") };
            return Observation::observed(text)
                .fact("drill", "never")
                .fact("of", of)
                .fact("owner", owner)
                .fact("broken", records.broken);
        };
        let ended = if newest.passed { "restored" } else { "NOT restored" };
        let text = format!("{of}: {ended} {:.0} days ago by {} {}", age_d(newest.at_s), newest.by, newest.figures());
        let mut seen = Observation::observed(text.trim_end())
            .long(newest.note.as_str())
            .fact("drill", if newest.passed { "passed" } else { "failed" })
            .fact("of", of)
            .fact("by", newest.by.as_str())
            .fact("owner", owner)
            .fact("broken", records.broken)
            .measure("age", age_d(newest.at_s) * DAY_S, "s");
        if let Some(passed) = records.newest_passed(of) {
            seen = seen
                .fact("age_d", age_d(passed.at_s))
                .fact("passed_at_s", passed.at_s as f64)
                .fact("figures", passed.figures());
            for (name, value) in [("rto", passed.rto_s), ("rpo", passed.rpo_s)] {
                if let Some(seconds) = value {
                    seen = seen.fact(&format!("{name}_s"), seconds as f64).measure(name, seconds as f64, "s");
                }
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW_S, build, number, plain_env, run_on_files, text};

    const PARAMS: &str = r#"{"of":"eucalyptus/clc/server"}"#;

    fn records(rows: &[(i64, bool)]) -> String {
        let line = |(days, passed): &(i64, bool)| {
            let at_s = NOW_S - days * 86_400;
            format!(
                "{{\"of\":\"eucalyptus/clc/server\",\"at_s\":{at_s},\"by\":\"anna\",\"passed\":{passed},\"rto_s\":720}}\n"
            )
        };
        rows.iter().map(line).collect()
    }

    #[tokio::test]
    async fn the_age_is_that_of_the_last_one_that_passed() {
        let file = records(&[(100, true), (20, true), (3, false)]);
        let seen = run_on_files("drill", PARAMS, &[(FILE, &file)]).await.expect("observed");
        assert_eq!(
            (text(&seen, "drill"), number(&seen, "age_d"), number(&seen, "rto_s")),
            ("failed".into(), 20.0, 720.0)
        );
        assert_eq!(text(&seen, "figures"), "RTO 12 min");
    }

    #[tokio::test]
    async fn never_drilled_is_said_with_and_without_records() {
        for files in [&[][..], &[(FILE, "{\"of\":\"other\",\"at_s\":1,\"by\":\"x\",\"passed\":true}\n{\"of")][..]] {
            let seen = run_on_files("drill", PARAMS, files).await.expect("observed");
            assert_eq!((text(&seen, "drill"), number(&seen, "age_d").is_nan()), ("never".into(), true));
        }
    }

    #[test]
    fn it_must_be_known_what_was_drilled() {
        for params in ["{}", r#"{"of":" "}"#, r#"{"of":"a","file":"b"}"#, r#"{"of":"a","every":"90d"}"#] {
            assert!(build("drill", params, &plain_env()).is_err(), "{params}");
        }
    }
}
