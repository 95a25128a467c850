//! Sites that watch each other: dead for a quorum, partly isolated, or cut off ourselves (rules M05 to M10).

use std::sync::Arc;

use super::draft::{Board, Draft};
use super::signal::Signal;
use super::verdict::{Class, Severity, Suppressed, Target, TargetKind, Visibility};
use super::world::World;
use crate::model::Value;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Connected,
    /// Nothing may be said about anybody else.
    Isolated,
}

pub(super) fn judge_sites<'a>(world: &'a World, board: &mut Board<'a>) -> Reach {
    let sites = world.topology.sites.len() as u32;
    let quorum = world.topology.quorum.unwrap_or(sites / 2 + 1);
    let Some(side_signal) = world.global.newest("side") else { return Reach::Connected };
    let Some(side) = side_signal.value.number() else { return Reach::Connected };
    if side < f64::from(quorum) {
        isolated(world, board, side_signal);
        return Reach::Isolated;
    }
    for report in world.global.all("reports") {
        judge_site(world, board, report, side);
    }
    Reach::Connected
}

fn names(value: &Value, key: &str) -> Vec<String> {
    value.get(key).and_then(Value::list).unwrap_or_default().iter().map(Value::to_string).collect()
}

fn site(name: &str) -> Target {
    Target { kind: TargetKind::Site, host: Some(Arc::from(name)), component: None }
}

fn judge_site<'a>(world: &'a World, board: &mut Board<'a>, report: &'a Signal, side: f64) {
    let Some(about) = report.value.get("about").and_then(Value::text) else { return };
    let (alive, unresponsive) = (names(&report.value, "alive"), names(&report.value, "unresponsive"));
    if unresponsive.is_empty() {
        return;
    }
    let view = world.global.newest("view");
    if alive.is_empty() {
        if (unresponsive.len() as f64) < side {
            return;
        }
        let draft = Draft::new(site(about), Class::SiteDown, "quorum", 0.95)
            .weighing(Severity::Critical, Visibility::Visible)
            .with_runbook("rb-mon-site")
            .backed_by([report])
            .backed_by(view)
            .not(Class::NetworkPath, "no site of the quorum sees it")
            .not(Class::MonitorIsolated, "a quorum of sites hears each other");
        board.add(draft);
        return;
    }
    let single = unresponsive.len() == 1 && alive.len() >= 2;
    let (subtype, severity) = if single { ("single_vantage", Severity::Info) } else { ("partial", Severity::Warning) };
    let draft = Draft::new(site(about), Class::NetworkPath, subtype, 0.9)
        .weighing(severity, Visibility::Invisible)
        .with_runbook("rb-mon-partial")
        .backed_by([report])
        .backed_by(view)
        .not(Class::SiteDown, format!("it still answers {}", alive.join(", ")));
    board.add(draft);
}

fn isolated<'a>(world: &'a World, board: &mut Board<'a>, side: &'a Signal) {
    let arbitrators = world.global.newest("arbitrators");
    let answering = arbitrators.and_then(|signal| signal.value.get("ok")).and_then(Value::number);
    let subtype = if answering == Some(0.0) { "uplink" } else { "inter_site" };
    let view = world.global.newest("view");
    let mut draft = Draft::new(site("self"), Class::MonitorIsolated, subtype, 0.95)
        .weighing(Severity::Critical, Visibility::Invisible)
        .with_runbook("rb-mon-isolated")
        .backed_by([side])
        .backed_by(arbitrators)
        .not(Class::SiteDown, "this site hears no quorum: the others may be well");
    for (name, state) in view.and_then(|signal| signal.value.map()).into_iter().flatten() {
        if state.text() == Some("unresponsive") {
            let host = Some(Arc::from(name.as_str()));
            draft.suppressed.push(Suppressed { host, component: None, class: Class::Unknown });
        }
    }
    board.add(draft);
}
