//! From the board to the answer: confidence, severity, cells, evidence, and what is missing.

use std::sync::Arc;

use super::aside;
use super::cells;
use super::confidence::{BELIEVED, CRITICAL, Plane, Weighing};
use super::core_state;
use super::deadline;
use super::draft::{Board, Draft, known_since, reject, target};
use super::impact;
use super::signal::Signal;
use super::standing;
use super::verdict::{
    Class, CoreState, Diagnosis, Evidence, Missing, Severity, Suppressed, Target, TargetKind, Verdict, Visibility,
};
use super::world::{Condition, World};

/// More facts than this help nobody who reads at night.
const EVIDENCE_MAX: usize = 24;

pub(super) fn conclude<'a>(world: &'a World, mut board: Board<'a>) -> Diagnosis {
    let standing = standing::list(world, &board);
    let core = core_state::assess(world, &board, &standing);
    let mut suppressed: Vec<Suppressed> = Vec::new();
    for draft in &mut board.drafts {
        draft.suppressed.sort_unstable();
        draft.suppressed.dedup();
        suppressed.extend(draft.suppressed.iter().cloned());
    }
    suppressed.sort_unstable();
    suppressed.dedup();
    let serving = impact::Serving::count(world, &board);
    let mut verdicts: Vec<Verdict> =
        board.drafts.iter().map(|draft| verdict(world, &board, &serving, draft, core.state)).collect();
    verdicts.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| (&a.target, a.class, &a.subtype).cmp(&(&b.target, b.class, &b.subtype)))
    });
    Diagnosis {
        verdicts,
        suppressed,
        core: core.state,
        core_because: core.because,
        redundancy_lost: core.redundancy_lost,
        unknown: missing(world, &board),
        standing,
    }
}

fn verdict<'a>(
    world: &'a World,
    board: &Board<'a>,
    serving: &impact::Serving,
    draft: &Draft<'a>,
    core: CoreState,
) -> Verdict {
    let confidence = Weighing {
        base: draft.base,
        row_planes: draft.row_planes,
        support: &draft.support,
        contradicted: draft.contradicted,
    }
    .confidence(world.at, &world.timing);
    let weight = impact::weigh(world, board, serving, draft);
    let mut rejected = draft.rejected.clone();
    let (mut class, mut subtype, mut runbook) = (draft.class, draft.subtype, cells::runbook(world, draft));
    let aside = aside::heard(world, draft);
    let (mut severity, mut visibility) = (aside.weigh(weight.severity), weight.visibility);
    let mut cells = cells::cells(world, draft);
    if confidence < BELIEVED && class != Class::Unknown {
        rejected.push(reject(class, format!("{subtype} at a confidence of {confidence} is not believed")));
        (class, subtype, runbook) = (Class::Unknown, "insufficient", Arc::from("rb-mon-check"));
        (severity, visibility) = (Severity::Unknown, Visibility::Invisible);
        cells.clear();
    }
    let probed = core == CoreState::Unavailable && draft.support.iter().any(|signal| &*signal.sig == "probe");
    if confidence < CRITICAL && severity == Severity::Critical && !probed {
        severity = Severity::Major;
    }
    let mut evidence = evidence(&aside.beside(&draft.support));
    if let Some(timer) = deadline::runs_out(world, draft).filter(|_| class == draft.class) {
        severity = deadline::ESCALATED;
        evidence.insert(0, timer);
    }
    Verdict {
        target: draft.target.clone(),
        class,
        subtype: Arc::from(subtype),
        severity,
        visibility,
        impact: impact::impact(world, draft, class, visibility, core),
        confidence,
        core,
        cell: cells.first().cloned(),
        cells,
        runbook,
        redundancy: weight.redundancy,
        suppressed: draft.suppressed.clone(),
        evidence,
        rejected,
        since: since(world, &draft.support),
    }
}

fn since(world: &World, support: &[&Signal]) -> crate::Timestamp {
    let trouble = support.iter().filter(|signal| Plane::tells_trouble(signal)).map(|signal| signal.changed_at);
    known_since(world, support).or_else(|| trouble.min()).unwrap_or(world.at)
}

/// Trouble first, each fact once.
fn evidence(support: &[&Signal]) -> Vec<Evidence> {
    let mut facts: Vec<&Signal> = Vec::new();
    for trouble in [true, false] {
        for signal in support.iter().filter(|signal| Plane::tells_trouble(signal) == trouble) {
            if facts.len() == EVIDENCE_MAX {
                break;
            }
            if !facts.iter().any(|held| std::ptr::eq(*held, *signal)) {
                facts.push(signal);
            }
        }
    }
    facts.into_iter().map(in_words).collect()
}

fn in_words(signal: &Signal) -> Evidence {
    let at = match (&signal.host, &signal.component) {
        (Some(host), Some(component)) => format!("{host}/{component}"),
        (Some(host), None) => host.to_string(),
        (None, _) => "self".to_owned(),
    };
    let seen_from = signal.vantage.as_ref().map(|vantage| format!(" (seen from {vantage})")).unwrap_or_default();
    Evidence {
        sig: signal.sig.to_string(),
        at,
        value: format!("{}{seen_from}", super::evidence::in_words(&signal.sig, &signal.value)),
    }
}

/// Targets about which too little is known: a verdict that could be another, a lone failed signal, or only signals that
/// went stale.
fn missing(world: &World, board: &Board<'_>) -> Vec<Missing> {
    let unsure = board.drafts.iter().filter(|draft| !draft.missing.is_empty());
    let mut missing: Vec<Missing> =
        unsure.map(|draft| Missing { target: draft.target.clone(), missing: draft.missing.clone() }).collect();
    missing.sort_by(|a, b| a.target.cmp(&b.target));
    for host in world.notable().map(|host| &world.hosts[host]) {
        if host.condition == Condition::Thin {
            let wanted = ["ping", "ssh", "agent", "power"];
            let absent = wanted.iter().filter(|sig| host.facts.newest(sig).is_none()).map(|sig| (*sig).to_owned());
            missing.push(Missing { target: target(TargetKind::Host, &host.name), missing: absent.collect() });
        } else if host.facts.is_empty() && !host.facts.stale.is_empty() {
            let stale = host.facts.stale.iter().map(|sig| sig.to_string()).collect();
            missing.push(Missing { target: target(TargetKind::Host, &host.name), missing: stale });
        }
    }
    for comp in world.notable_comps().map(|comp| &world.comps[comp]) {
        if comp.facts.is_empty() && !comp.facts.stale.is_empty() {
            let of_comp = Target {
                kind: TargetKind::Component,
                host: Some(world.hosts[comp.host].name.clone()),
                component: Some(comp.key.clone()),
            };
            let stale = comp.facts.stale.iter().map(|sig| sig.to_string()).collect();
            missing.push(Missing { target: of_comp, missing: stale });
        }
    }
    missing
}
