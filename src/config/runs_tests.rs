//! Runbooks that start by themselves: the packs' cloud in the engine, observations in, runs out. Only where pack and
//! administrator both allow it, never on an uncertain cause, a few times an hour, and told with the reason.

use std::sync::Arc;

use stentor_core::catalog::{Action, Catalog, Runbook, Step, StepKind};
use stentor_core::engine::{CheckResult, Command, CommandInput, Effects, Engine, Input, ResultSource, Took};
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::model::Observation;
use stentor_core::runbook::{Asker, Right, RunAction, RunOrder, RunPhase, RunRequest};
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};

use super::cells_tests::{AT, Fault, cloud, failing};
use super::*;

const BOOK: &str = "rb-euca-console-software";

/// The cloud with a runbook of the console that does something, and says that it may do so by itself.
fn loaded(allowed: &[&str], hosts_of: &str) -> Loaded {
    let mut loaded = cloud();
    let catalog = Arc::make_mut(&mut loaded.catalog);
    let restart: Vec<Arc<str>> = ["systemctl", "restart", "eucaconsole"].map(Arc::from).into();
    for platform in &mut catalog.platforms {
        for book in &mut Arc::make_mut(platform).runbooks {
            if book.id.starts_with(hosts_of) {
                let fix = Step {
                    action: Action::Command { run: restart.clone() },
                    ..Step::manual(StepKind::Fix, "Restart it.")
                };
                *book = Runbook { automatic: true, intervals: 2, ..Runbook::of_steps(&book.id, "Restart", vec![fix]) };
            }
        }
    }
    for host in &mut catalog.hosts {
        host.view = stentor_core::catalog::View::Ssh;
    }
    catalog.runs.commands = vec![restart];
    catalog.runs.automatic = allowed.iter().map(|id| Arc::from(*id)).collect();
    catalog.reindex();
    loaded
}

/// The engine with what it was told and what it asked for.
struct Site {
    loaded: Loaded,
    engine: Engine,
    at: Timestamp,
    broken: Vec<&'static str>,
    orders: Vec<RunOrder>,
    told: Vec<String>,
}

impl Site {
    fn new(loaded: Loaded) -> Site {
        let mut site =
            Site { engine: Engine::new(), at: AT, broken: Vec::new(), orders: Vec::new(), told: Vec::new(), loaded };
        let catalog = Arc::clone(&site.loaded.catalog);
        site.apply(Input::Catalog(catalog));
        site.pass(60);
        site
    }

    fn apply(&mut self, input: Input) {
        let Effects { orders, events, reply, .. } = self.engine.apply(self.at, &input);
        self.orders.extend(orders);
        self.told.extend(events.into_iter().map(|event| event.text));
        if let Some(Err(error)) = reply {
            panic!("{error}");
        }
    }

    /// Every check of the cloud answers every ten seconds.
    fn pass(&mut self, secs: i64) {
        for _ in 0..secs / 10 {
            self.at += Span::from_secs(10);
            for input in self.results() {
                self.apply(input);
            }
            self.apply(Input::Tick);
        }
    }

    fn results(&self) -> Vec<Input> {
        let catalog: &Catalog = &self.loaded.catalog;
        let hosts = (0..catalog.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
        let services = (0..catalog.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
        hosts.chain(services).filter_map(|object| self.result(catalog, object)).collect()
    }

    fn result(&self, catalog: &Catalog, object: ObjectId) -> Option<Input> {
        let check = catalog.check_of(object)?;
        let key = catalog.object_key(object);
        let templates = self.loaded.packs.iter().flat_map(|pack| &pack.checks);
        let ok = &templates.into_iter().find(|t| t.check.name == check.name)?.examples.first()?.observation;
        let component = match object {
            ObjectId::Host(_) => false,
            ObjectId::Service(id) => catalog.services[id.index()].component.is_some(),
        };
        let seen: Observation = if self.broken.contains(&&*key.host) {
            failing(&check.name, component, check.host_side, Fault::Software, ok)?
        } else {
            ok.clone()
        };
        Some(Input::Result(CheckResult {
            object,
            observed_at: self.at,
            source: ResultSource::Active,
            observation: Arc::new(seen),
            id: None,
            took: Took::default(),
        }))
    }

    fn report(&mut self, run: u64, well: bool) {
        let by = Asker { name: "stentor".into(), right: Right::Power };
        let action = RunAction::Report { run, step: 1, attempt: 1, well, output: "exited 0".into() };
        let command = Command::Run(RunRequest { by, action });
        self.apply(Input::Command(CommandInput { command, raw: None, id: None }));
    }

    fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    fn told(&self, part: &str) -> usize {
        self.told.iter().filter(|text| text.contains(part)).count()
    }
}

#[test]
fn a_runbook_starts_by_itself_acts_once_and_ends_when_it_is_well() {
    let mut site = Site::new(loaded(&[BOOK], BOOK));
    assert!(site.snapshot().incidents.is_empty(), "{:?}", site.snapshot().incidents);
    site.broken.push("console1");
    site.pass(300);
    let snapshot = site.snapshot();
    let run = snapshot.runs.get(&1).unwrap_or_else(|| panic!("it did not start: {:#?}", site.told));
    assert!(run.automatic && *run.runbook.id == *BOOK);
    assert_eq!(site.orders.len(), 1, "acted once: {:?}", site.orders);
    site.broken.clear();
    site.report(1, true);
    site.pass(400);
    assert_eq!(site.snapshot().runs[&1].phase, RunPhase::Finished, "{:#?}", site.told);
    assert!(site.snapshot().live_incidents().is_empty());
    // It fails again soon: another incident, but not another start within the hour.
    site.broken.push("console1");
    site.pass(1200);
    let automatic = site.snapshot().runs.values().filter(|run| run.automatic).count();
    assert_eq!(automatic, 1, "{:#?}", site.told);
}

#[test]
fn what_did_not_help_is_left_to_a_person() {
    let mut site = Site::new(loaded(&[BOOK], BOOK));
    site.broken.push("console1");
    site.pass(300);
    site.report(1, false);
    site.pass(600);
    assert_eq!(
        (site.orders.len(), site.snapshot().runs.len()),
        (1, 1),
        "neither the step nor the runbook is tried again"
    );
    assert_eq!(site.snapshot().runs[&1].phase, RunPhase::Running);
}

#[test]
fn without_the_administrator_nothing_starts_and_the_reason_is_told_once() {
    let mut site = Site::new(loaded(&[], BOOK));
    site.broken.push("console1");
    site.pass(600);
    assert!(site.snapshot().runs.is_empty());
    assert_eq!(site.told("does not start by itself: [runbook] `automatic`"), 1, "{:#?}", site.told);
}

#[test]
fn no_more_start_within_an_hour_than_the_administrator_allows() {
    let keys = ["rb-euca-console-software", "rb-euca-sc-software", "rb-euca-cc-software", "rb-euca-walrus-software"];
    let mut site = Site::new({
        let mut loaded = loaded(&keys, "rb-euca-");
        let catalog = Arc::make_mut(&mut loaded.catalog);
        catalog.runs.automatic_per_hour = 2;
        loaded
    });
    site.broken.extend(["console1", "sc1", "cc1", "walrus1"]);
    site.pass(900);
    let started = site.snapshot().runs.values().filter(|run| run.automatic).count();
    assert_eq!(started, 2, "{:#?}", site.told);
    assert!(site.told("2 automatic starts within an hour") >= 1, "{:#?}", site.told);
}

#[test]
fn every_check_that_a_runbook_of_the_packs_names_exists() {
    let loaded = load_text("", Path::new("stentor.toml")).unwrap_or_else(|found| panic!("{found}"));
    let checks: Vec<&str> =
        loaded.packs.iter().flat_map(|pack| &pack.checks).map(|template| &*template.check.name).collect();
    let exists = |name: &str| checks.iter().any(|check| *check == name || check.ends_with(&format!("/{name}")));
    let mut missing = Vec::new();
    for book in loaded.packs.iter().flat_map(|pack| &pack.platform.runbooks) {
        let of_steps = book.steps.iter().flat_map(|step| match &step.action {
            Action::Check { checks, .. } | Action::WaitFor { checks, .. } => checks.as_slice(),
            Action::Manual | Action::Command { .. } | Action::Power { .. } | Action::Approve => &[],
        });
        let named = book.verification.iter().chain(of_steps);
        missing.extend(named.filter(|name| !exists(name)).map(|name| format!("{}: {name}", book.id)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
