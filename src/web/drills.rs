//! Drills as pages and API show them: what must be drilled, what was, and what is overdue; and the one way to record one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::engine::{Command, Reply};
use stentor_core::id::{ObjectId, ServiceId};
use stentor_core::model::{ObjectKey, Value};
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};
use stentor_wire::drill::{Drill, Records};

use super::WebState;
use super::auth::{Role, Session};
use super::problem::Problem;
use crate::drills;

/// Kind of the probe of the services that say when a drill is due.
const DRILL: &str = "drill";
const DAY_S: f64 = 86_400.0;

/// A cell or runbook, and how it stands with its drills.
#[derive(Clone, Debug)]
pub struct Row {
    pub of: String,
    /// Of a runbook its title.
    pub title: String,
    /// Empty for what no pack has any more.
    pub platform: Arc<str>,
    pub plan: Option<Plan>,
    pub last: Option<Drill>,
    /// The newest that passed.
    pub passed: Option<Drill>,
    /// `None` = nobody asks for it.
    pub due_at: Option<Timestamp>,
    pub standing: Standing,
}

/// What the configuration asks for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub every: Span,
    pub owner: String,
    pub service: ObjectKey,
}

/// The worst first.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// The last one did not restore it.
    Failed,
    /// Asked for, and never done.
    Never,
    Overdue,
    /// Done, and not due yet.
    Done,
    /// Not asked for.
    Free,
}

impl Standing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Failed => "failed",
            Standing::Never => "never",
            Standing::Overdue => "overdue",
            Standing::Done => "done",
            Standing::Free => "free",
        }
    }

    pub const fn is_overdue(self) -> bool {
        matches!(self, Standing::Failed | Standing::Never | Standing::Overdue)
    }
}

/// Which rows are wanted.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// What is asked for, and what was done.
    Known,
    /// Also what was never drilled.
    All,
}

/// What is drilled or should be, overdue first, then what is due next.
pub fn rows(snapshot: &Snapshot, records: &Records, now: Timestamp, wanted: Wanted) -> Vec<Row> {
    let plans = plans(snapshot);
    let mut known: BTreeMap<String, (String, Arc<str>)> = BTreeMap::new();
    for platform in &snapshot.catalog.platforms {
        let cells = platform.cells.iter().map(|cell| (cell.key.to_string(), String::new()));
        let books = platform.runbooks.iter().map(|book| (book.id.to_string(), book.title.to_string()));
        known.extend(cells.chain(books).map(|(of, title)| (of, (title, Arc::clone(&platform.key)))));
    }
    let mut names: Vec<&str> = records.drills.iter().map(|drill| drill.of.as_str()).collect();
    names.extend(plans.keys().map(String::as_str));
    if wanted == Wanted::All {
        names.extend(known.keys().map(String::as_str));
    }
    names.sort_unstable();
    names.dedup();
    let row = |of: &str| {
        let (title, platform) = known.get(of).cloned().unwrap_or_default();
        let (last, passed) = (records.newest(of).cloned(), records.newest_passed(of).cloned());
        let plan = plans.get(of).cloned();
        let due_at = plan
            .as_ref()
            .map(|plan| passed.as_ref().map_or(now, |drill| Timestamp::from_secs(drill.at_s) + plan.every));
        let standing = match (&plan, &last) {
            (_, Some(last)) if !last.passed => Standing::Failed,
            (Some(_), None) => Standing::Never,
            (Some(_), Some(_)) if due_at.is_some_and(|due| due < now) => Standing::Overdue,
            (Some(_), Some(_)) => Standing::Done,
            (None, _) => Standing::Free,
        };
        Row { of: of.to_owned(), title, platform, plan, last, passed, due_at, standing }
    };
    let mut rows: Vec<Row> = names.into_iter().map(row).collect();
    rows.sort_by_cached_key(|row| {
        let newest = Reverse(row.last.as_ref().map(|drill| drill.at_s));
        (!row.standing.is_overdue(), row.due_at.is_none(), row.due_at, newest, row.of.clone())
    });
    rows
}

/// By cell or runbook the service that asks for its drills, `[[drill]]` or written by hand.
fn plans(snapshot: &Snapshot) -> BTreeMap<String, Plan> {
    let catalog = &snapshot.catalog;
    let mut plans = BTreeMap::new();
    for (index, service) in catalog.services.iter().enumerate() {
        let check = &catalog.checks[service.check.index()];
        if *check.probe != *DRILL {
            continue;
        }
        let params = check.params.overlaid(&service.params);
        let Some(of) = params.get("of").and_then(Value::text) else { continue };
        let due_d = params.get("limits").and_then(|limits| limits.get("due_d")).and_then(Value::number);
        let Some(due_d) = due_d else { continue };
        let every = Span::from_millis((due_d * DAY_S * 1000.0) as i64);
        let owner = params.get("owner").and_then(Value::text).unwrap_or_default().to_owned();
        let service = catalog.object_key(ObjectId::Service(ServiceId::from_index(index)));
        plans.entry(of.to_owned()).or_insert(Plan { every, owner, service });
    }
    plans
}

/// Whether a pack has the cell or runbook.
fn is_known(snapshot: &Snapshot, of: &str) -> bool {
    let has = |platform: &Arc<stentor_core::catalog::Platform>| {
        let cell = platform.cells.iter().any(|cell| cell.key.to_string() == of);
        cell || platform.runbooks.iter().any(|book| *book.id == *of)
    };
    snapshot.catalog.platforms.iter().any(has)
}

/// The records, read off the threads that others wait for.
///
/// # Errors
/// The file cannot be read.
pub async fn records(state: &WebState) -> Result<Records, Problem> {
    let book = state.drills.clone();
    let read = tokio::task::spawn_blocking(move || book.read()).await;
    let read = read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
    read.map_err(|why| file_trouble(state, "read", &why))
}

fn file_trouble(state: &WebState, what: &str, why: &str) -> Problem {
    tracing::error!(file = %state.drills.path().display(), error = %why, "the file of drills could not be {what}");
    Problem::unavailable(format!("the file of drills cannot be {what}: {why}"))
}

/// Keeps a record: journaled and in the audit first, then in the file, then its service looks again. With the `id` of a
/// request that was seen, what is in the file stays as it is.
///
/// # Errors
/// Without the right, of nothing that a pack has, of what cannot be; or the file cannot be written.
pub async fn record(state: &WebState, session: &Session, drill: Drill, id: Option<Arc<str>>) -> Result<(), Problem> {
    session.require(Role::Operator)?;
    let snapshot = state.engine.snapshot();
    if !is_known(&snapshot, &drill.of) {
        return Err(Problem::not_found(format!("cell or runbook `{}`", drill.of)));
    }
    drills::refuse(&drill, state.clock.now()).map_err(Problem::invalid)?;
    let command = Command::RecordDrill {
        of: drill.of.as_str().into(),
        by: Arc::clone(&session.user),
        text: words(&drill, &session.user).into(),
    };
    let repeated = state.engine.command(command, id).await? == Reply::Repeated;
    let book = state.drills.clone();
    let kept = drill.clone();
    let written = tokio::task::spawn_blocking(move || {
        // Told before: the time of a record without one would be another now.
        let is_same = |old: &Drill| Drill { at_s: kept.at_s, ..old.clone() } == kept;
        if repeated && book.read()?.drills.iter().any(is_same) { Ok(()) } else { book.append(&kept) }
    });
    let written = written.await.map_err(|error| error.to_string());
    written
        .and_then(|written| written.map_err(|error| error.to_string()))
        .map_err(|why| file_trouble(state, "written", &why))?;
    if let Some(plan) = plans(&snapshot).remove(&drill.of) {
        let by = Arc::clone(&session.user);
        state.engine.command(Command::CheckNow { object: plan.service, by }, None).await?;
    }
    Ok(())
}

/// `passed 2026-11-21T02:00:00Z by ben, RTO 12 min: the note`
fn words(drill: &Drill, recorded_by: &str) -> String {
    let ended = if drill.passed { "passed" } else { "failed" };
    let mut text = format!("{ended} {}", Timestamp::from_secs(drill.at_s).to_rfc3339());
    if drill.by != recorded_by {
        text.push_str(&format!(" by {}", drill.by));
    }
    let figures = drill.figures();
    if !figures.is_empty() {
        text.push_str(&format!(", {figures}"));
    }
    if !drill.note.is_empty() {
        text.push_str(&format!(": {}", drill.note));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    const DAY_S: i64 = 86_400;
    const NOW: Timestamp = Timestamp::from_secs(1_795_226_400);

    fn drill(of: &str, days_ago: i64, passed: bool) -> Drill {
        let at_s = NOW.as_secs() - days_ago * DAY_S;
        Drill { of: of.into(), at_s, by: "anna".into(), passed, rto_s: None, rpo_s: None, note: String::new() }
    }

    fn world() -> Snapshot {
        let asked = |of: &str, due: &str| format!("[[drill]]\ncell = \"eucalyptus/{of}/server\"\ndue = \"{due}\"\n");
        let hub = "[[host]]\nname = \"hub\"\naddress = \"127.0.0.1\"\nview = \"local\"\n";
        let text = [hub.to_owned(), asked("clc", "90d"), asked("cc", "90d"), asked("nc", "30d"), asked("sc", "90d")];
        let loaded = load_text(&text.concat(), std::path::Path::new("stentor.toml")).expect("a configuration");
        let mut engine = stentor_core::engine::Engine::new();
        engine.apply(NOW, &stentor_core::engine::Input::Catalog(loaded.catalog));
        engine.snapshot()
    }

    #[test]
    fn what_is_overdue_comes_first_then_what_is_due_next() {
        let mut drills = vec![
            drill("eucalyptus/nc/server", 31, true),
            drill("eucalyptus/sc/server", 10, true),
            drill("eucalyptus/walrus/server", 5, true),
            drill("eucalyptus/sc/server", 2, true),
            drill("eucalyptus/clc/server", 4, true),
            drill("eucalyptus/clc/server", 1, false),
            drill("gone/from/packs", 1, true),
        ];
        drills.sort_by_key(|drill| drill.at_s);
        let records = Records { drills, broken: 0 };
        let snapshot = world();
        let rows = rows(&snapshot, &records, NOW, Wanted::Known);
        let told: Vec<(&str, &str, Option<i64>)> = rows
            .iter()
            .map(|row| {
                let due = row.due_at.map(|at| at.since(NOW).as_millis() / 1000 / DAY_S);
                (row.of.split('/').nth(1).expect("a part"), row.standing.as_str(), due)
            })
            .collect();
        let wanted = [
            ("nc", "overdue", Some(-1)),
            ("cc", "never", Some(0)),
            ("clc", "failed", Some(86)),
            ("sc", "done", Some(88)),
            ("from", "free", None),
            ("walrus", "free", None),
        ];
        assert_eq!(told, wanted);
        let all = super::rows(&snapshot, &records, NOW, Wanted::All);
        assert!(all.iter().any(|row| row.of == "eucalyptus/nc/software" && row.standing == Standing::Free));
        assert!(all.iter().any(|row| row.of == "rb-euca-full-recovery" && !row.title.is_empty()));
    }

    #[test]
    fn the_audit_says_who_did_it_where_that_is_another() {
        let of_anna = Drill { rto_s: Some(720), note: "tape".into(), ..drill("x", 0, false) };
        assert_eq!(words(&of_anna, "anna"), "failed 2026-11-21T02:00:00.000Z, RTO 12 min: tape");
        assert_eq!(words(&of_anna, "ben"), "failed 2026-11-21T02:00:00.000Z by anna, RTO 12 min: tape");
    }
}
