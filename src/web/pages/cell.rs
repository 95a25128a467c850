//! `/c/{cloud}/matrix/{component}/{type}`: one failure: what users notice, how it is told, how it is restored.

use askama::Template;
use stentor_core::Timestamp;
use stentor_core::catalog::Check;
use stentor_core::catalog::platform::Founded;
use stentor_core::diagnosis::FailureType;
use stentor_core::id::{CloudId, ObjectId, ServiceId};
use stentor_core::model::{Observation, Value};
use stentor_core::snapshot::Snapshot;

use super::incident::RunbookView;
use super::matrix;
use super::overview::short_name;
use super::shell::{Ctx, Scope, Shell};
use crate::web::board;
use crate::web::links::encode;
use crate::web::parts::{self as p, Mark};
use crate::web::subject;
use crate::web::words;

#[derive(Template)]
#[template(path = "cell.html")]
pub struct CellPage {
    pub shell: Shell,
    pub matrix_href: String,
    pub component: String,
    pub title: String,
    pub pill: p::Pill,
    pub deployed: bool,
    pub now: String,
    pub incidents: Vec<(String, String)>,
    pub tabs: Vec<CellTab>,
    pub known: Option<Known>,
    pub runbook: Option<RunbookView>,
    pub instances: Vec<InstanceRow>,
    pub role: String,
}

pub struct CellTab {
    pub href: String,
    pub label: &'static str,
    pub mark: Mark,
    pub current: bool,
}

/// What the pack says about the cell.
pub struct Known {
    pub behaviour: String,
    pub still_works: String,
    pub impact: String,
    pub told_by: Vec<String>,
    pub verify: Vec<String>,
    pub expected_time: String,
    pub data_risk: String,
    pub escalate: String,
    pub founded: String,
    pub unverified: bool,
    pub sources: Vec<String>,
    pub drills_href: String,
}

pub struct InstanceRow {
    pub pill: p::Pill,
    pub host: String,
    pub href: String,
    pub checks: String,
    pub checks_href: String,
}

/// Kind of the probe that reads records of drills.
const DRILL: &str = "drill";

/// How well the cell is founded, and whether it needs the mark "unverified".
pub const fn founded_words(founded: Founded) -> (&'static str, bool) {
    match founded {
        Founded::Seed => ("from the platform’s reliability guide", false),
        Founded::Doc => ("from the platform’s documentation", false),
        Founded::Source => ("from the platform’s source code", false),
        Founded::Inference => ("inferred, not confirmed by a source or a drill", true),
    }
}

/// The drill that confirmed a cell, in words: a service with the probe `drill` knows its records.
pub fn drilled(snapshot: &Snapshot, cell: &str) -> Option<String> {
    let catalog = &snapshot.catalog;
    let reads = |check: &Check| *check.probe == *DRILL;
    if !catalog.checks.iter().any(reads) {
        return None;
    }
    let services = catalog.services.iter().enumerate();
    let mut drills = services.filter(|(_, service)| reads(&catalog.checks[service.check.index()]));
    drills.find_map(|(index, _)| {
        let detail = snapshot.detail(ObjectId::Service(ServiceId::from_index(index)));
        passed(detail.observation.as_deref()?, cell)
    })
}

/// What an observation of `drill` says of the last one of that cell that passed.
fn passed(seen: &Observation, cell: &str) -> Option<String> {
    seen.facts.get("of").and_then(Value::text).filter(|of| *of == cell)?;
    let at = Timestamp::from_secs(seen.facts.get("passed_at_s").and_then(Value::number)? as i64).to_rfc3339();
    let day = at.get(..10).unwrap_or(&at);
    let figures = seen.facts.get("figures").and_then(Value::text).filter(|figures| !figures.is_empty());
    Some(figures.map_or(format!("verified by drill {day}"), |figures| format!("verified by drill {day} ({figures})")))
}

pub const fn type_words(failure_type: FailureType) -> &'static str {
    match failure_type {
        FailureType::Software => "software stops",
        FailureType::Server => "server goes down",
        FailureType::Resource => "resources run out or vanish",
    }
}

const fn type_label(failure_type: FailureType) -> &'static str {
    match failure_type {
        FailureType::Software => "Software",
        FailureType::Server => "Server",
        FailureType::Resource => "Resources",
    }
}

/// `None` if the cloud has no such component.
pub fn build(ctx: Ctx<'_>, shell: Shell, id: CloudId, key: &str, failure_type: FailureType) -> Option<CellPage> {
    let board = board::board(ctx.snapshot, id)?;
    let row = board.rows.iter().find(|row| &*row.key == key)?;
    let scope = Scope::Cloud(id, board.cloud.clone());
    let at = FailureType::ALL.iter().position(|known| *known == failure_type)?;
    let cell = row.cells.get(at)?;
    let catalog = &ctx.snapshot.catalog;
    let described = catalog.cell(&format!("{}/{key}/{}", board.platform, failure_type.as_str()));
    let mut runbook = described.and_then(|cell| catalog.runbook(&cell.runbook)).map(RunbookView::build);
    if let (Some(view), Some(cell)) = (&mut runbook, described) {
        (view.founded, view.unverified) = founded_words(cell.founded);
        if drilled(ctx.snapshot, &cell.key.to_string()).is_some() {
            (view.founded, view.unverified) = ("verified by a drill", false);
        }
    }
    let incidents: Vec<(String, String)> = cell
        .incidents
        .iter()
        .filter_map(|n| ctx.snapshot.incidents.get(n))
        .map(|incident| (format!("/i/{}", incident.number), format!("INC-{}, {}", incident.number, incident.title)))
        .collect();
    let mut here = cell.incidents.iter().filter_map(|n| ctx.snapshot.incidents.get(n)).peekable();
    let handled = here.peek().is_some() && here.all(|incident| subject::is_handled(ctx.snapshot, incident));
    Some(CellPage {
        shell,
        matrix_href: scope.path("/matrix"),
        component: short_name(&row.name),
        title: format!("{}, {}", short_name(&row.name), type_words(failure_type)),
        pill: p::Pill { handled, ..p::Pill::new(cell.mark.unwrap_or(Mark::Pend)) },
        deployed: row.is_deployed(),
        now: match cell.incidents.is_empty() {
            true if cell.mark.is_none() => format!("Not deployed in {}.", board.cloud),
            true => "Not happening now.".to_owned(),
            false => format!("Happening now on {} of {}:", cell.affected, cell.total.max(cell.affected)),
        },
        incidents,
        tabs: FailureType::ALL
            .iter()
            .zip(&row.cells)
            .map(|(kind, cell)| CellTab {
                href: scope.path(&format!("/matrix/{}/{}", encode(key), kind.as_str())),
                label: type_label(*kind),
                mark: cell.mark.unwrap_or(Mark::Pend),
                current: *kind == failure_type,
            })
            .collect(),
        known: described.map(|cell| known(ctx, cell)),
        runbook,
        instances: row.instances.iter().map(|(id, state)| instance(ctx, &scope, key, *id, *state)).collect(),
        role: matrix::role(row),
    })
}

fn known(ctx: Ctx<'_>, cell: &stentor_core::catalog::Cell) -> Known {
    let (words, unverified) = founded_words(cell.founded);
    let (founded, unverified) = match drilled(ctx.snapshot, &cell.key.to_string()) {
        Some(drill) => (format!("{words}; {drill}"), false),
        None => (words.to_owned(), unverified),
    };
    Known {
        behaviour: cell.behaviour.clone(),
        still_works: cell.still_works.clone(),
        impact: cell.impact.clone(),
        told_by: cell.told_by.clone(),
        verify: cell.verify.clone(),
        expected_time: cell.expected_time.clone(),
        data_risk: cell.data_risk.clone(),
        escalate: cell.escalate.clone(),
        founded,
        unverified,
        sources: cell.sources.clone(),
        drills_href: ctx.scope.path(&format!("/drills?of={}", encode(&cell.key.to_string()))),
    }
}

fn instance(
    ctx: Ctx<'_>,
    scope: &Scope,
    key: &str,
    id: stentor_core::id::ComponentId,
    state: board::Instance,
) -> InstanceRow {
    let catalog = &ctx.snapshot.catalog;
    let component = &catalog.components[id.index()];
    let host = &catalog.hosts[component.host.index()];
    let query = format!("{} comp:{key}", super::hosts::term("host", &host.name));
    InstanceRow {
        pill: p::Pill::new(state.mark()),
        host: host.name.to_string(),
        href: format!("/h/{}", encode(&host.name)),
        checks: words::plural(component.services.len(), "check", "checks"),
        checks_href: scope.list("services", &query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_drill_of_that_cell_that_passed_confirms_it() {
        let seen = Observation::observed("drill").fact("of", "eucalyptus/clc/server").fact("drill", "failed");
        assert_eq!(passed(&seen, "eucalyptus/clc/server"), None);
        let seen = seen.fact("passed_at_s", 1_793_534_400.0).fact("figures", "RTO 12 min");
        let told = passed(&seen, "eucalyptus/clc/server");
        assert_eq!(told.as_deref(), Some("verified by drill 2026-11-01 (RTO 12 min)"));
        assert_eq!(passed(&seen, "eucalyptus/cc/server"), None);
        let told = passed(&seen.fact("figures", ""), "eucalyptus/clc/server");
        assert_eq!(told.as_deref(), Some("verified by drill 2026-11-01"));
    }
}
