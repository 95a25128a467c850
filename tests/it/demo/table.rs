//! The table of the sweep in docs/demo-sweep.md: written by the test, and held to what it sees.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::runs::Gated;

/// What one fault came to.
pub struct Row {
    pub incident: u64,
    pub fault: String,
    says: String,
    verdict: String,
    cell: String,
    impact: String,
    seen: String,
    core: String,
    runbook: String,
    effects: Vec<String>,
    steps: String,
    intervals: u64,
    /// Mails of the problem and of the recovery, counted at the end.
    pub pages: (usize, usize),
}

/// Columns that may differ from one run to the next: which effects have come by the moment of the look, and at how many
/// steps a check said no.
const HEAD: &str = "| Fault | What is done | Verdict | Cell | Impact | Users see it | Core | Incidents | Pages | Runbook | \
                    Ends only when verified | Steps | Effects |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

const CHARTER: &str = "# The sweep of the demo\n\n\
    Written by the test `demo::each_fault_is_one_incident_in_its_cell_and_heals` (`UPDATE_EXPECT=1`), and compared with what it sees in \
    every run. Each fault\nis injected into a demo that is well. It must become one incident in the cell named here, with one page. A run of its \
    runbook is\nstarted and tried to be ended while the fault is there (refused: it is open, or not verified), the fault is mended, the steps are \
    settled,\nand the end is tried again at once (refused: nothing is verified). It is granted when each watched check was well so often in a \
    row,\nafter the last step. Then the incident is resolved, with one mail in the thread of the first.\n\n\
    The last two columns may differ between runs and are not compared: the effects that had joined at the moment of the look, and how \
    many\nsteps were carried out (the demo's hosts let nobody in: steps that a run executes itself are skipped with a reason).\n\n";

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}

impl Row {
    pub fn new(fault: &Value, incident: &Value, gated: &Gated) -> Row {
        let effects = incident["effects"].as_array().map_or(&[][..], Vec::as_slice).iter();
        let mut effects: Vec<String> = effects
            .map(|effect| match (effect["component"].as_str(), effect["host"].as_str()) {
                (Some(component), Some(host)) => format!("{component} on {host}"),
                (one, other) => one.or(other).unwrap_or("-").to_owned(),
            })
            .collect();
        effects.sort_unstable();
        effects.dedup();
        Row {
            incident: incident["number"].as_u64().unwrap_or_default(),
            fault: word(fault, "name").to_owned(),
            says: word(fault, "says").to_owned(),
            verdict: format!("{}/{}", word(incident, "class"), word(incident, "subtype")),
            cell: incident["cell"].as_str().unwrap_or("-").to_owned(),
            impact: word(incident, "impact").to_owned(),
            seen: if incident["visibility"] == "visible" { "yes" } else { "no" }.to_owned(),
            core: word(incident, "core").to_owned(),
            runbook: word(incident, "runbook").to_owned(),
            effects,
            steps: format!("{} of {}", gated.steps.0, gated.steps.1),
            intervals: gated.intervals,
            pages: (0, 0),
        }
    }

    /// What must be the same in every run.
    fn fixed(&self) -> String {
        format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | 1 | {} | {} | yes, {} times |",
            self.fault,
            self.says,
            self.verdict,
            self.cell,
            self.impact,
            self.seen,
            self.core,
            self.pages.0,
            self.runbook,
            self.intervals
        )
    }

    fn line(&self) -> String {
        let effects = if self.effects.is_empty() { "-".to_owned() } else { self.effects.join(", ") };
        format!("{} {} | {effects} |\n", self.fixed(), self.steps)
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/demo-sweep.md")
}

/// Writes the page, or says which lines are not what it promises.
pub fn hold(mut rows: Vec<Row>, order: &[String]) -> Vec<String> {
    rows.sort_by_key(|row| order.iter().position(|name| *name == row.fault));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let lines: String = rows.iter().map(Row::line).collect();
        std::fs::write(path(), format!("{CHARTER}{HEAD}{lines}")).unwrap();
        return Vec::new();
    }
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let written: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let mut wrong = Vec::new();
    if written.len() != rows.len() {
        wrong.push(format!("docs/demo-sweep.md has {} faults, {} were tried", written.len(), rows.len()));
    }
    for row in &rows {
        let fixed = row.fixed();
        if !written.iter().any(|line| line.starts_with(&fixed)) {
            let start = format!("| `{}` |", row.fault);
            let there = written.iter().find(|line| line.starts_with(&start)).copied().unwrap_or("nothing");
            wrong.push(format!("docs/demo-sweep.md says\n  {there}\nand this was seen\n  {fixed}"));
        }
    }
    wrong
}
