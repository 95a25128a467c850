//! Records of recovery drills: one JSON object a line, appended and never changed.

use serde::{Deserialize, Serialize};

/// One drill: somebody restored something on purpose and looked at the clock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// The cell (`eucalyptus/clc/server`) or runbook (`rb-euca-full-recovery`) that was drilled.
    pub of: String,
    /// When it ended, seconds since 1970.
    pub at_s: i64,
    pub by: String,
    /// Whether it was restored.
    pub passed: bool,
    /// How long it took, and how much of the newest data was lost, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_s: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What stands in a file of records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// In the order of their time.
    pub drills: Vec<Drill>,
    /// Lines that are no record: damaged, or cut off by a crash while writing.
    pub broken: usize,
}

impl Records {
    pub fn parse(text: &str) -> Records {
        let mut records = Records::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(drill) => records.drills.push(drill),
                Err(_) => records.broken += 1,
            }
        }
        records.drills.sort_by_key(|drill: &Drill| drill.at_s);
        records
    }

    /// The newest drill of a cell or runbook.
    pub fn newest(&self, of: &str) -> Option<&Drill> {
        self.drills.iter().rfind(|drill| drill.of == of)
    }

    /// The newest that passed: what a cell is confirmed by.
    pub fn newest_passed(&self, of: &str) -> Option<&Drill> {
        self.drills.iter().rfind(|drill| drill.of == of && drill.passed)
    }
}

impl Drill {
    /// Its line, with the line end.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("texts and numbers are always written");
        line.push('\n');
        line
    }

    /// `RTO 12 min, RPO 0`, as far as they were measured.
    pub fn figures(&self) -> String {
        let rto = self.rto_s.map(|seconds| format!("RTO {}", length(seconds)));
        let rpo = self.rpo_s.map(|seconds| format!("RPO {}", length(seconds)));
        rto.into_iter().chain(rpo).collect::<Vec<_>>().join(", ")
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        0 => "0".to_owned(),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{:.1} h", seconds as f64 / 3600.0).replace(".0 h", " h"),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drill(of: &str, at_s: i64, passed: bool) -> Drill {
        Drill { of: of.into(), at_s, by: "anna".into(), passed, rto_s: Some(720), rpo_s: Some(0), note: String::new() }
    }

    #[test]
    fn the_newest_that_passed_confirms_and_a_torn_line_is_counted() {
        let text = drill("a/b/server", 30, false).line()
            + &drill("a/b/server", 10, true).line()
            + &drill("a/b/server", 20, true).line()
            + "{\"of\":\"a/b/ser";
        let records = Records::parse(&text);
        assert_eq!((records.drills.len(), records.broken), (3, 1));
        assert_eq!(records.newest("a/b/server").map(|drill| drill.at_s), Some(30));
        assert_eq!(records.newest_passed("a/b/server").map(|drill| drill.at_s), Some(20));
        assert_eq!(records.newest("other"), None);
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(drill("x", 0, true).figures(), "RTO 12 min, RPO 0");
        assert_eq!(length(7_200), "2 h");
        assert_eq!(Drill { rto_s: None, rpo_s: Some(90_000), ..drill("x", 0, true) }.figures(), "RPO 25 h");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(of in "\\PC{1,40}", by in "\\PC{0,20}", note in "(\\PC|\n|\"){0,40}", at_s: i64, rto_s: Option<u64>) {
            let drill = Drill { of, at_s, by, passed: true, rto_s, rpo_s: None, note };
            prop_assert_eq!(Records::parse(&drill.line()), Records { drills: vec![drill], broken: 0 });
        }

        #[test]
        fn no_text_panics(text in "(\\{|\\}|\"of\"|\"at_s\"|:|,|1|\n|\\PC){0,30}") {
            let _ = Records::parse(&text);
        }
    }
}
