//! `/matrix`: component by failure type, what covers each cell and what is wrong in it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use stentor_core::catalog::{Check, Platform, SignalValue};
use stentor_core::diagnosis::FailureType;
use stentor_core::id::ObjectId;
use stentor_core::snapshot::{Row, Snapshot};

use super::{dto, json};
use crate::web::WebState;
use crate::web::auth::Session;

#[derive(Serialize)]
pub struct Matrix<'a> {
    pub platform: &'a str,
    pub version: &'a str,
    pub rows: Vec<MatrixRow<'a>>,
}

#[derive(Serialize)]
pub struct MatrixRow<'a> {
    pub component: &'a str,
    pub name: &'a str,
    pub core: bool,
    pub cells: Cells<'a>,
}

#[derive(Serialize)]
pub struct Cells<'a> {
    pub software: Cell<'a>,
    pub server: Cell<'a>,
    pub resource: Cell<'a>,
}

#[derive(Serialize)]
pub struct Cell<'a> {
    /// `problem`, `ok`, `unknown` (covered, but nothing was seen lately) or `uncovered`.
    pub state: &'static str,
    /// Names of the checks that would tell.
    pub covered_by: Vec<&'a str>,
    /// Numbers of live incidents.
    pub incidents: Vec<u64>,
    pub runbook: Option<&'a str>,
}

pub async fn list(State(state): State<WebState>, _session: Session) -> Response {
    let snapshot = state.engine.snapshot();
    json(StatusCode::OK, &dto::List { seq: snapshot.seq, items: of(&snapshot), next: None })
}

/// The matrix of every platform of the catalog.
pub fn of(snapshot: &Snapshot) -> Vec<Matrix<'_>> {
    let cells = cells_with_incidents(snapshot);
    snapshot.catalog.platforms.iter().map(|platform| matrix(snapshot, platform, &cells)).collect()
}

fn cells_with_incidents(snapshot: &Snapshot) -> BTreeMap<&str, Vec<u64>> {
    let mut cells: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for incident in snapshot.incidents.values().filter(|incident| incident.phase.is_live()) {
        let verdict = &incident.verdict;
        let named: BTreeSet<&str> = verdict.cell.iter().chain(&verdict.cells).map(|cell| &**cell).collect();
        for cell in named {
            cells.entry(cell).or_default().push(incident.number);
        }
    }
    cells
}

fn matrix<'a>(snapshot: &'a Snapshot, platform: &'a Platform, incidents: &BTreeMap<&str, Vec<u64>>) -> Matrix<'a> {
    let rows = platform.components.iter().map(|kind| {
        let coverage = Coverage::of(snapshot, &platform.key, &kind.key);
        let cell = |failure_type: FailureType| {
            let key = format!("{}/{}/{}", platform.key, kind.key, failure_type.as_str());
            let described = platform.cells.iter().find(|c| {
                c.key.component == kind.key && c.key.platform == platform.key && c.key.failure_type == failure_type
            });
            let incidents = incidents.get(key.as_str()).cloned().unwrap_or_default();
            let (covered_by, seen) = coverage.of_type(failure_type);
            let state = match (incidents.is_empty(), covered_by.is_empty(), seen) {
                (false, _, _) => "problem",
                (true, true, _) => "uncovered",
                (true, false, false) => "unknown",
                (true, false, true) => "ok",
            };
            let runbook = described.and_then(|cell| dto::runbook(&cell.runbook));
            Cell { state, covered_by: covered_by.into_iter().collect(), incidents, runbook }
        };
        MatrixRow {
            component: &kind.key,
            name: &kind.name,
            core: kind.core,
            cells: Cells {
                software: cell(FailureType::Software),
                server: cell(FailureType::Server),
                resource: cell(FailureType::Resource),
            },
        }
    });
    Matrix { platform: &platform.key, version: &platform.version, rows: rows.collect() }
}

/// Whom a check on the host of a component is about.
#[derive(Copy, Clone)]
enum About {
    Component,
    Host,
    /// Another component of the same host.
    Neighbour,
}

/// Which checks feed each column for one component type, and whether one of them saw something lately.
#[derive(Default)]
struct Coverage<'a> {
    software: (BTreeSet<&'a str>, bool),
    server: (BTreeSet<&'a str>, bool),
    resource: (BTreeSet<&'a str>, bool),
}

impl<'a> Coverage<'a> {
    fn of(snapshot: &'a Snapshot, platform: &str, component: &str) -> Coverage<'a> {
        let catalog = &*snapshot.catalog;
        let mut coverage = Coverage::default();
        for instance in catalog.components.iter().filter(|c| &*c.platform == platform && &*c.key == component) {
            let host = &catalog.hosts[instance.host.index()];
            for id in &host.services {
                let service = &catalog.services[id.index()];
                let about = match service.component {
                    None => About::Host,
                    Some(_) if instance.services.contains(id) => About::Component,
                    Some(_) => About::Neighbour,
                };
                coverage.add(&catalog.checks[service.check.index()], about, &snapshot.services[id.index()]);
            }
            if let Some(check) = catalog.check_of(ObjectId::Host(instance.host)) {
                coverage.server.0.insert(&check.name);
                coverage.server.1 |= was_seen(&snapshot.hosts[instance.host.index()]);
            }
        }
        coverage
    }

    fn add(&mut self, check: &'a Check, about: About, row: &Row) {
        for signal in &check.signals {
            let is_resource = &*signal.sig == "resource" || matches!(signal.value, SignalValue::Resource { .. });
            let of_host = signal.of_host || is_of_host(&signal.sig);
            let column = match about {
                // A full disk of the host is a resource of everything on it.
                About::Component | About::Host if is_resource => &mut self.resource,
                About::Component | About::Host | About::Neighbour if of_host => &mut self.server,
                About::Component => &mut self.software,
                About::Host | About::Neighbour => continue,
            };
            column.0.insert(&check.name);
            column.1 |= was_seen(row);
        }
    }

    fn of_type(&self, failure_type: FailureType) -> (BTreeSet<&'a str>, bool) {
        match failure_type {
            FailureType::Software => self.software.clone(),
            FailureType::Server => self.server.clone(),
            FailureType::Resource => self.resource.clone(),
        }
    }
}

/// Signals about a whole server (specification 10, section 2).
fn is_of_host(sig: &str) -> bool {
    matches!(sig, "ping" | "ssh" | "agent" | "power" | "bmc" | "uptime_s" | "sel" | "instance_state")
}

fn was_seen(row: &Row) -> bool {
    !row.is_pending() && !row.is_stale()
}
