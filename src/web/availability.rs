//! Cores and business services over a window of time, as pages and API show them: from the snapshot and from history.

use std::sync::Arc;
use std::time::Duration;

use stentor_core::availability::assess::{self, Prepared};
use stentor_core::availability::history::{
    Budget, Change, Downtimes, Stretch, Subject, Times, read_unwatched, stretches,
};
use stentor_core::availability::pairs::{NODE, ZonePairs, pairs};
use stentor_core::availability::{Redundancy, State};
use stentor_core::engine::EventKind;
use stentor_core::id::HostId;
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp, whatif};

use crate::store::{HistoryQuery, HistoryRow, SharedStore};

/// A look waits this long for history, then says that it could not read it.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// Changes that are read: a service that flaps every minute for two weeks. Older ones than these are not looked at.
const CHANGES_MAX: u32 = 20_000;

/// How far back; each ends now.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Window {
    Day,
    Week,
    Month,
    Quarter,
}

impl Window {
    pub const ALL: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Quarter];

    pub const fn as_str(self) -> &'static str {
        match self {
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
            Window::Quarter => "quarter",
        }
    }

    pub fn read(word: &str) -> Option<Window> {
        Window::ALL.into_iter().find(|window| window.as_str() == word)
    }

    pub const fn span(self) -> Span {
        let days = match self {
            Window::Day => 1,
            Window::Week => 7,
            Window::Month => 30,
            Window::Quarter => 91,
        };
        Span::from_hours(24 * days)
    }
}

/// What is asked for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    pub window: Window,
    pub downtimes: Downtimes,
    pub now: Timestamp,
}

/// All services over one window.
#[derive(Debug)]
pub struct Report {
    pub wanted: Wanted,
    pub from: Timestamp,
    /// Why history is missing in it.
    pub unreadable: Option<&'static str>,
    pub services: Vec<Service>,
}

/// One Core or business service.
#[derive(Debug)]
pub struct Service {
    pub subject: Subject,
    pub name: Arc<str>,
    pub display: Arc<str>,
    pub cloud: Option<Arc<str>>,
    pub state: State,
    pub since: Timestamp,
    pub planned: bool,
    /// The smallest set of failed pieces.
    pub because: Vec<String>,
    pub words: Vec<String>,
    pub redundancy: Option<Redundancy>,
    pub expression: Option<String>,
    pub slo: Option<f64>,
    pub changes: Vec<Change>,
    pub stretches: Vec<Stretch>,
    pub times: Times,
    pub percent: Option<f64>,
    pub budget: Option<Budget>,
    /// Times that it became unavailable, planned ones left out if they are.
    pub outages: usize,
}

/// Reads history and puts it together with the present.
pub async fn report(store: &SharedStore, snapshot: &Snapshot, wanted: Wanted) -> Report {
    let query = HistoryQuery { availability: true, limit: CHANGES_MAX, ..HistoryQuery::default() };
    let (rows, unreadable) = match tokio::time::timeout(STORE_PATIENCE, store.history(&query)).await {
        Ok(Ok(rows)) => (rows, None),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "the history of availability could not be read");
            (Vec::new(), Some("History cannot be read: the database does not answer."))
        }
        Err(_) => (Vec::new(), Some("History cannot be read: the database is too slow.")),
    };
    put_together(&rows, unreadable, snapshot, wanted)
}

fn put_together(rows: &[HistoryRow], unreadable: Option<&'static str>, snapshot: &Snapshot, wanted: Wanted) -> Report {
    let from = wanted.now - wanted.window.span();
    let unwatched: Vec<(Timestamp, Timestamp)> = rows
        .iter()
        .filter(|row| row.event.kind == EventKind::Unwatched)
        .filter_map(|row| Some((row.event.at - read_unwatched(&row.event.text)?, row.event.at)))
        .collect();
    let mut services = present(snapshot);
    for service in &mut services {
        let now = Change {
            at: service.since,
            state: service.state,
            planned: service.planned,
            because: service.words.first().cloned().unwrap_or_default(),
        };
        let kind = match service.subject {
            Subject::Core => EventKind::CoreChanged,
            Subject::Business => EventKind::BusinessChanged,
        };
        let told = rows.iter().filter(|row| row.event.kind == kind);
        service.changes = told
            .filter_map(|row| Change::read(row.event.at, &row.event.text, service.subject, &service.name))
            .collect();
        // What is true now is known also where history is not.
        if service.since > Timestamp::ZERO && !service.changes.iter().any(|change| change.at >= now.at) {
            service.changes.insert(0, now);
        }
        service.stretches = stretches(&service.changes, &unwatched, from, wanted.now);
        service.times = Times::of(&service.stretches);
        service.percent = service.times.percent(wanted.downtimes);
        service.budget = service.slo.map(|slo| service.times.budget(slo, wanted.window.span(), wanted.downtimes));
        service.outages = outages(&service.stretches, wanted.downtimes);
    }
    Report { wanted, from, unreadable, services }
}

/// An outage whose reason changes is one.
fn outages(stretches: &[Stretch], downtimes: Downtimes) -> usize {
    let counts =
        |stretch: &Stretch| stretch.state == State::Unavailable && (downtimes == Downtimes::Count || !stretch.planned);
    let begins = |i: usize| counts(&stretches[i]) && (i == 0 || !counts(&stretches[i - 1]));
    (0..stretches.len()).filter(|i| begins(*i)).count()
}

/// Everything but the past.
pub fn present(snapshot: &Snapshot) -> Vec<Service> {
    let catalog = &snapshot.catalog;
    let prepared = Prepared::new(catalog);
    let mut services = Vec::new();
    for (i, (cloud, status)) in catalog.clouds.iter().zip(snapshot.clouds.iter()).enumerate() {
        let look = assess::core_look(&prepared, i, &status.diagnosis);
        let (because, redundancy) = match (look, prepared.cores.get(i)) {
            (Some((look, _)), Some(Some(grounded))) => {
                let names = look.because.iter().filter_map(|piece| grounded.pieces.get(*piece));
                (names.map(ToString::to_string).collect(), look.redundancy)
            }
            _ => (Vec::new(), None),
        };
        services.push(Service {
            state: status.core.into(),
            since: status.core_since,
            planned: snapshot.services_known.planned_cores.contains(&cloud.name),
            because,
            words: status.diagnosis.core_because.clone(),
            redundancy,
            expression: cloud.topology.core.as_ref().map(ToString::to_string),
            cloud: Some(Arc::clone(&cloud.name)),
            ..blank(Subject::Core, &cloud.name, &cloud.name)
        });
    }
    for (row, one) in catalog.businesses.iter().enumerate() {
        let status = snapshot.services_known.businesses.get(row).filter(|status| status.name == one.name);
        let mut service = blank(Subject::Business, &one.name, &one.display);
        service.expression = Some(one.expression.to_string());
        service.slo = one.slo;
        service.cloud = one.cloud.clone();
        if let Some(status) = status {
            (service.state, service.since, service.planned) = (status.state, status.since, status.planned);
            (service.because, service.words) = (status.because.clone(), status.words.clone());
            service.redundancy = status.redundancy;
        }
        services.push(service);
    }
    services
}

fn blank(subject: Subject, name: &Arc<str>, display: &Arc<str>) -> Service {
    Service {
        subject,
        name: Arc::clone(name),
        display: Arc::clone(display),
        cloud: None,
        state: State::Unknown,
        since: Timestamp::ZERO,
        planned: false,
        because: Vec::new(),
        words: Vec::new(),
        redundancy: None,
        expression: None,
        slo: None,
        changes: Vec::new(),
        stretches: Vec::new(),
        times: Times::default(),
        percent: None,
        budget: None,
        outages: 0,
    }
}

impl Service {
    /// Live incidents that take it down or degrade it.
    pub fn hit_by(&self, snapshot: &Snapshot) -> Vec<u64> {
        if self.subject == Subject::Core {
            return Vec::new();
        }
        let hit = snapshot.services_known.hit.iter().filter(|(_, names)| names.contains(&self.name));
        hit.map(|(number, _)| *number).collect()
    }
}

/// Which controller serves which node, of each cloud.
pub fn pairs_of(snapshot: &Snapshot) -> Vec<(&Arc<str>, Vec<ZonePairs>)> {
    let catalog = &snapshot.catalog;
    let is_node = |host: HostId| {
        let components = &catalog.hosts[host.index()].components;
        components.iter().any(|id| *catalog.components[id.index()].key == *NODE)
    };
    let signals = whatif::signals_of(snapshot, &is_node);
    let clouds = catalog.clouds.iter().zip(snapshot.clouds.iter()).zip(&signals);
    clouds.map(|((cloud, status), told)| (&cloud.name, pairs(&cloud.topology, told, &status.diagnosis))).collect()
}
