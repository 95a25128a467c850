//! `/i/{n}`: what broke, what follows, what do I do next?

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use stentor_core::Timestamp;
use stentor_core::catalog::{Catalog, Runbook, Step, StepKind};
use stentor_core::diagnosis::{Class, Target, TargetKind, Visibility};
use stentor_core::model::{Incident, ObjectKey, Phase, Stage, TimelineEntry, TimelineKind};
use stentor_core::runbook::facts::target_of;
use stentor_core::runbook::named::with_names;

use super::runbook::RunFragment;
use super::services::ServiceRow;
use super::shell::{Ctx, OPEN, Scope, Shell, reason};
use super::time_left::LeftFragment;
use crate::web::links::encode;
use crate::web::parts::{self as p, Mark};
use crate::web::subject;
use crate::web::words;

/// Names listed for one kind of effect.
const EFFECT_NAMES_MAX: usize = 24;
/// Hosts and services listed as affected.
const PROBLEMS_MAX: usize = 50;
/// Characters of one piece of evidence.
const VALUE_CHARS_MAX: usize = 400;
/// Linked incidents of one kind.
const KIN_MAX: usize = 24;
/// Newest entries of the timeline.
const TIMELINE_MAX: usize = 100;

#[derive(Template)]
#[template(path = "incident.html")]
pub struct IncidentPage {
    pub shell: Shell,
    pub number: u64,
    pub name: String,
    pub title: String,
    pub head: HeadFragment,
    pub incidents_href: String,
    pub live: bool,
    pub acked: bool,
    pub ended: Option<String>,
    pub root: Option<(String, String)>,
    pub kin: Vec<Kin>,
    pub notice: String,
    /// Business services that it takes down or degrades: name for people and page.
    pub business: Vec<(String, String)>,
    pub still_works: String,
    pub cell: Option<(String, String)>,
    pub left: LeftFragment,
    pub cause: CauseFragment,
    pub evidence: Vec<EvidenceRow>,
    pub rejected: Vec<(String, String)>,
    pub confidence: String,
    pub runbook: Option<RunbookView>,
    /// The newest run of it; shown in its place.
    pub run: Option<RunFragment>,
    pub run_number: u64,
    /// The run may be acted on, or there is none and one may be started.
    pub run_live: bool,
    pub expected: String,
    pub escalate: String,
    pub data_risk: String,
    pub timeline: TimelineFragment,
    pub notices: Notices,
    pub downtime: Option<DowntimeForm>,
}

/// Other incidents that this one has to do with, and how.
pub struct Kin {
    pub how: &'static str,
    pub links: Vec<(String, String)>,
}

/// State, impact, since when, who has it: changes while one looks.
#[derive(Template)]
#[template(path = "frag_head.html")]
pub struct HeadFragment {
    pub pill: p::Pill,
    pub title: String,
    pub level: p::Level,
    pub since: p::When,
    pub age: p::Age,
    pub tags: Vec<p::Tag>,
    pub phase: &'static str,
    /// Colour of the phase.
    pub phase_mark: &'static str,
    /// What still goes on before it is well.
    pub going_on: Vec<String>,
}

pub struct EvidenceRow {
    pub sig: String,
    pub at: String,
    pub value: String,
    pub href: Option<String>,
}

#[derive(Template)]
#[template(path = "frag_cause.html")]
pub struct CauseFragment {
    pub mark: Mark,
    pub what: String,
    pub since: p::When,
    pub why: String,
    pub effects: Vec<EffectGroup>,
    pub children: Vec<(String, String, Mark)>,
    pub count: String,
    pub problems: Vec<ServiceRow>,
    pub problems_more: usize,
}

pub struct EffectGroup {
    pub mark: Mark,
    pub what: String,
    pub names: Vec<(String, Option<String>)>,
    pub more: usize,
}

#[derive(Template)]
#[template(path = "frag_runbook.html")]
pub struct RunbookView {
    pub id: String,
    pub title: String,
    pub steps: Vec<StepView>,
    pub founded: &'static str,
    pub unverified: bool,
}

pub struct StepView {
    pub heading: String,
    pub kind: &'static str,
    pub body: Option<String>,
    pub command: Option<String>,
    pub when: Option<String>,
    pub gate: Option<String>,
    pub rollback: Option<String>,
}

#[derive(Template)]
#[template(path = "frag_timeline.html")]
pub struct TimelineFragment {
    pub entries: Vec<Entry>,
    pub more: usize,
}

pub struct Entry {
    pub at: p::When,
    pub icon: Sign,
    pub by: Option<String>,
    pub text: String,
    pub is_said: bool,
}

/// A timeline entry has either a state or an icon.
pub enum Sign {
    Glyph(p::Glyph),
    Icon(&'static str),
}

/// What was sent, to whom, and how it ended.
pub enum Notices {
    Rows(Vec<NoticeRow>),
    /// The store could not be asked; the text says why.
    Unreadable(String),
}

pub struct NoticeRow {
    pub reason: String,
    pub contact: String,
    pub channel: String,
    pub mark: Mark,
    pub outcome: String,
}

pub struct DowntimeForm {
    pub action: String,
    pub what: String,
    pub start: String,
    pub end: String,
}

pub const fn class_words(class: Class) -> &'static str {
    match class {
        Class::SoftwareDown => "software stopped",
        Class::ServerDown => "server down",
        Class::ResourceUnavailable => "resources gone",
        Class::Network => "network failure",
        Class::PowerEvent => "power failure",
        Class::NetworkPath => "path to it is cut",
        Class::MonitorIsolated => "Stentor itself is cut off",
        Class::SiteDown => "site down",
        Class::SplitBrain => "two sides both lead",
        Class::RedundancyLost => "no spare left",
        Class::ResourceAtRisk => "resources at risk",
        Class::AdminStopped => "stopped on purpose",
        Class::Starting => "starting",
        Class::Flapping => "flapping",
        Class::Unknown => "cannot tell",
    }
}

const fn class_mark(class: Class) -> Mark {
    match class {
        Class::ServerDown | Class::PowerEvent | Class::SiteDown => Mark::Down,
        Class::SoftwareDown | Class::ResourceUnavailable | Class::Network | Class::SplitBrain => Mark::Crit,
        Class::NetworkPath | Class::MonitorIsolated | Class::Unknown => Mark::Unk,
        Class::RedundancyLost | Class::ResourceAtRisk | Class::Flapping => Mark::Warn,
        Class::AdminStopped | Class::Starting => Mark::Pend,
    }
}

/// `clc on clc1`, `UPS ups1`, …
fn target_words(target: &Target) -> String {
    let host = target.host.as_deref().unwrap_or("");
    let component = target.component.as_deref().unwrap_or("");
    match target.kind {
        TargetKind::Component | TargetKind::Service => format!("{component} on {host}"),
        TargetKind::ComponentGroup if host.is_empty() => format!("All {component}"),
        TargetKind::ComponentGroup => format!("{component} of {host}"),
        TargetKind::Host => host.to_owned(),
        TargetKind::Jvm => format!("The JVM on {host}"),
        TargetKind::Hardware => format!("Hardware of {host}"),
        TargetKind::Switch => format!("Switch {host}"),
        TargetKind::Power => format!("Power {host}"),
        TargetKind::Backend => format!("Storage {host}"),
        TargetKind::Drbd => format!("Replica {host}"),
        TargetKind::Site => format!("Site {host}"),
    }
}

impl HeadFragment {
    pub fn build(ctx: Ctx<'_>, incident: &Incident) -> HeadFragment {
        let handled = subject::is_handled(ctx.snapshot, incident);
        let mut tags = Vec::new();
        match &incident.ack {
            Some(ack) => {
                let since = words::clock(ack.at, ctx.now);
                tags.push(p::Tag::new("user", format!("{} since {since}", ack.by), "info"));
                let end = match ack.until {
                    Some(until) => format!("ends {}", words::clock(until, ctx.now)),
                    None => "ends at recovery".to_owned(),
                };
                tags.push(p::Tag::new("clock", end, ""));
            }
            None if incident.phase.is_live() && !handled => tags.push(p::Tag::new("user", "Nobody yet", "warn")),
            None => {}
        }
        if subject::in_downtime(ctx.snapshot, incident) {
            tags.push(p::Tag::new("dt", "In downtime", ""));
        }
        if let Some((left, of)) = incident.verdict.redundancy {
            tags.push(p::Tag::new("life", format!("{left} of {of} left"), ""));
        }
        HeadFragment {
            pill: p::Pill::of_severity(incident.severity(), handled),
            title: incident.title.clone(),
            level: p::Level::of(&incident.verdict),
            since: p::When { at: incident.opened_at, now: ctx.now },
            age: p::Age { since: incident.opened_at, now: ctx.now },
            tags,
            phase: match (incident.phase, incident.stage) {
                (Phase::Open, Stage::FailingOver) => "failing over",
                (Phase::Recovering, _) | (Phase::Open, Stage::Recovering) => "recovering",
                (Phase::Open, Stage::Failed | Stage::Well | Stage::Merged) => "",
                (Phase::Resolved, _) => "resolved",
                (Phase::Closed, _) => "closed",
            },
            phase_mark: if incident.stage == Stage::FailingOver { "warn" } else { "ok" },
            going_on: incident.going_on.iter().map(|text| words::sentence(&words::printable(text))).collect(),
        }
    }
}

impl CauseFragment {
    pub fn build(ctx: Ctx<'_>, incident: &Incident) -> CauseFragment {
        let verdict = &incident.verdict;
        let mut by_class: BTreeMap<Class, Vec<(String, Option<String>)>> = BTreeMap::new();
        for suppressed in &verdict.suppressed {
            let host = suppressed.host.as_deref();
            let name = match (&suppressed.component, host) {
                (Some(component), Some(host)) => format!("{component} on {host}"),
                (Some(component), None) => component.to_string(),
                (None, host) => host.unwrap_or("").to_owned(),
            };
            let known = host.filter(|host| ctx.snapshot.host(host).is_some());
            by_class.entry(suppressed.class).or_default().push((name, known.map(|h| format!("/h/{}", encode(h)))));
        }
        let effects = by_class.into_iter().map(|(class, mut names)| {
            let all = names.len();
            names.truncate(EFFECT_NAMES_MAX);
            EffectGroup {
                mark: class_mark(class),
                what: format!("{}: {}", words::sentence(class_words(class)), words::count(all as u64)),
                more: all - names.len(),
                names,
            }
        });
        let children: Vec<_> = ctx
            .snapshot
            .incidents
            .values()
            .filter(|other| other.root == Some(incident.number))
            .map(|other| (format!("/i/{}", other.number), other.title.clone(), Mark::of_severity(other.severity())))
            .collect();
        let row = |key: &ObjectKey| Some(ServiceRow::build(ctx, ctx.snapshot.catalog.object_id(key)?));
        let what = match &*verdict.subtype {
            "" => format!("{}: {}", target_words(&verdict.target), class_words(verdict.class)),
            subtype => format!(
                "{}: {} ({})",
                target_words(&verdict.target),
                class_words(verdict.class),
                words::spaced(subtype)
            ),
        };
        CauseFragment {
            mark: class_mark(verdict.class),
            what,
            since: p::When { at: verdict.since, now: ctx.now },
            why: words::cut(&words::line(&reason(incident)), VALUE_CHARS_MAX),
            effects: effects.collect(),
            count: words::plural(verdict.suppressed.len(), "effect", "effects"),
            children,
            problems: incident.problems.iter().take(PROBLEMS_MAX).filter_map(row).collect(),
            problems_more: incident.problems.len().saturating_sub(PROBLEMS_MAX),
        }
    }
}

impl TimelineFragment {
    pub fn build(ctx: Ctx<'_>, incident: &Incident) -> TimelineFragment {
        let newest = incident.timeline.iter().rev();
        TimelineFragment {
            entries: newest.take(TIMELINE_MAX).map(|entry| timeline_entry(ctx.now, incident, entry)).collect(),
            more: incident.timeline.len().saturating_sub(TIMELINE_MAX),
        }
    }
}

fn timeline_entry(now: Timestamp, incident: &Incident, entry: &TimelineEntry) -> Entry {
    let icon = match entry.kind {
        TimelineKind::Opened
        | TimelineKind::Changed
        | TimelineKind::Relapsed
        | TimelineKind::Replaced
        | TimelineKind::Reopened => Sign::Glyph(Mark::of_severity(incident.severity()).glyph()),
        TimelineKind::Effect => Sign::Glyph(Mark::Unk.glyph()),
        TimelineKind::Acknowledged => Sign::Icon("user"),
        TimelineKind::Unacknowledged => Sign::Icon("x"),
        TimelineKind::Note => Sign::Icon("chat"),
        TimelineKind::Runbook => Sign::Icon("book"),
        TimelineKind::Paged => Sign::Icon("mail"),
        TimelineKind::PageFailed => Sign::Glyph(Mark::Warn.glyph()),
        TimelineKind::Withheld => Sign::Icon("bell"),
        TimelineKind::Recovering | TimelineKind::Stage => Sign::Icon("life"),
        TimelineKind::Evidence => Sign::Icon("eye"),
        TimelineKind::Split | TimelineKind::Merged => Sign::Icon("link"),
        TimelineKind::Resolved | TimelineKind::Closed => Sign::Glyph(Mark::Ok.glyph()),
    };
    Entry {
        at: p::When { at: entry.at, now },
        icon,
        by: entry.by.as_ref().map(|by| by.to_string()),
        text: words::printable(&entry.text),
        is_said: entry.kind == TimelineKind::Note,
    }
}

impl RunbookView {
    pub fn build(runbook: &Runbook) -> RunbookView {
        RunbookView {
            id: runbook.id.to_string(),
            title: runbook.title.clone(),
            steps: runbook.steps.iter().map(step).collect(),
            founded: "",
            unverified: false,
        }
    }

    /// With the names of the target in its commands.
    fn of(catalog: &Catalog, incident: &Incident, runbook: &Runbook) -> RunbookView {
        let target = target_of(catalog, incident);
        let mut view = RunbookView::build(runbook);
        for command in view.steps.iter_mut().filter_map(|step| step.command.as_mut()) {
            *command = with_names(catalog, &target, command);
        }
        view
    }
}

/// Longer step texts are shown as a paragraph below their kind.
const STEP_HEADING_CHARS: usize = 110;

/// Heading and paragraph of a step.
pub fn step_words(step: &Step) -> (String, Option<String>) {
    let view = self::step(step);
    let heading = if view.kind.is_empty() { view.heading } else { format!("{}: {}", view.kind, view.heading) };
    (heading, view.body)
}

fn step(step: &Step) -> StepView {
    let kind = match step.kind {
        StepKind::Verify => "Check",
        StepKind::Contain => "Contain",
        StepKind::Fix => "Fix",
        StepKind::Confirm => "Confirm",
        StepKind::Escalate => "Escalate",
    };
    let short = step.text.chars().count() <= STEP_HEADING_CHARS;
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    StepView {
        heading: if short { step.text.clone() } else { kind.to_owned() },
        kind: if short { kind } else { "" },
        body: (!short).then(|| step.text.clone()),
        command: filled(&step.command),
        when: filled(&step.when),
        gate: filled(&step.gate),
        rollback: filled(&step.rollback),
    }
}

impl Notices {
    /// From outbox keys `INSTANCE/INC-17/problem/3/CONTACT/email` and their outcomes.
    pub fn from_keys(keys: Vec<(String, String)>) -> Notices {
        Notices::Rows(keys.iter().filter_map(|(key, outcome)| notice(key, outcome)).collect())
    }
}

fn notice(key: &str, outcome: &str) -> Option<NoticeRow> {
    let mut parts = key.rsplit('/');
    let (channel, contact, _generation, reason) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (mark, outcome) = match outcome {
        "sent" => (Mark::Ok, "accepted".to_owned()),
        "pending" => (Mark::Pend, "on its way".to_owned()),
        other => (Mark::Crit, other.to_owned()),
    };
    Some(NoticeRow {
        reason: words::sentence(&words::spaced(reason)),
        contact: contact.to_owned(),
        channel: channel.to_owned(),
        mark,
        outcome,
    })
}

fn evidence_href(ctx: Ctx<'_>, at: &str) -> Option<String> {
    let host = at.split('/').next()?;
    ctx.snapshot.host(host).map(|_| format!("/h/{}", encode(host)))
}

/// Of a failure without a cell, whether it can be seen is known all the same.
fn users_notice(incident: &Incident) -> String {
    if incident.users_notice.is_empty() && incident.verdict.visibility == Visibility::Invisible {
        return "Nothing yet.".to_owned();
    }
    incident.users_notice.clone()
}

/// A business service as people know it, and where its availability is shown.
fn business(ctx: Ctx<'_>, name: &str) -> (String, String) {
    let known = ctx.snapshot.catalog.businesses.iter().find(|one| *one.name == *name);
    (known.map_or(name, |one| &one.display).to_owned(), ctx.scope.path("/availability"))
}

pub fn build(ctx: Ctx<'_>, shell: Shell, incident: &Arc<Incident>, notices: Notices) -> IncidentPage {
    let verdict = &incident.verdict;
    let catalog = &ctx.snapshot.catalog;
    let cell = verdict.cell.as_deref().and_then(|key| catalog.cell(key));
    let cell_link = verdict.cell.as_deref().and_then(|key| cell_link(ctx.scope, key));
    let mut runbook = catalog.runbook(&verdict.runbook).map(|runbook| RunbookView::of(catalog, incident, runbook));
    if let (Some(view), Some(cell)) = (&mut runbook, cell) {
        (view.founded, view.unverified) = super::cell::founded_words(cell.founded);
    }
    let ended = (!incident.phase.is_live()).then(|| {
        let end = incident.resolved_at.unwrap_or(incident.changed_at);
        let lasted = words::age(end.since(incident.opened_at));
        let verb = if incident.phase == Phase::Closed { "Closed" } else { "Restored" };
        format!("{verb} {} after {lasted}.", words::clock(end, ctx.now))
    });
    let run = super::runbook::newest_for(ctx.snapshot, incident.number);
    let root = incident.root.map(|n| {
        let title = ctx.snapshot.incidents.get(&n).map_or_else(String::new, |root| format!(": {}", root.title));
        (format!("/i/{n}"), format!("INC-{n}{title}"))
    });
    IncidentPage {
        shell,
        number: incident.number,
        name: format!("INC-{}", incident.number),
        title: incident.title.clone(),
        head: HeadFragment::build(ctx, incident),
        incidents_href: ctx.scope.list("incidents", OPEN),
        live: incident.phase.is_live(),
        acked: incident.ack.is_some(),
        ended,
        root,
        kin: kin(ctx, incident),
        notice: users_notice(incident),
        business: incident.business.iter().map(|name| business(ctx, name)).collect(),
        still_works: cell.map(|cell| cell.still_works.clone()).unwrap_or_default(),
        cell: cell_link,
        left: LeftFragment::build(ctx, incident),
        cause: CauseFragment::build(ctx, incident),
        evidence: verdict
            .evidence
            .iter()
            .map(|e| EvidenceRow {
                sig: words::spaced(&e.sig),
                at: e.at.clone(),
                value: words::cut(&words::line(&words::value(&e.value)), VALUE_CHARS_MAX),
                href: evidence_href(ctx, &e.at),
            })
            .collect(),
        rejected: verdict.rejected.iter().map(|r| (rejected_words(r), r.why.clone())).collect(),
        confidence: format!("{:.0}", (verdict.confidence * 100.0).floor()),
        expected: cell.map(|cell| cell.expected_time.clone()).unwrap_or_default(),
        escalate: cell.map(|cell| cell.escalate.clone()).unwrap_or_default(),
        data_risk: cell.map(|cell| cell.data_risk.clone()).unwrap_or_default(),
        run: run.map(|run| RunFragment::build(ctx, run)),
        run_number: run.map_or(0, |run| run.number),
        run_live: run.is_some_and(|run| run.phase.is_live()),
        runbook,
        timeline: TimelineFragment::build(ctx, incident),
        notices,
        downtime: downtime_form(ctx, incident),
    }
}

fn kin(ctx: Ctx<'_>, incident: &Incident) -> Vec<Kin> {
    let links = &incident.links;
    let one = |number: Option<u64>| number.into_iter().collect::<Vec<_>>();
    let all = [
        ("The same cause before: ", one(links.was)),
        ("The same cause again: ", one(links.again)),
        ("Was taken for an effect of ", one(links.split_from)),
        ("Were taken for effects of this and have causes of their own: ", links.split_off.clone()),
        ("Turned out to be a part of this: ", links.merged.clone()),
    ];
    let link = |number: &u64| {
        let title = ctx.snapshot.incidents.get(number).map_or_else(String::new, |kin| format!(" {}", kin.title));
        (format!("/i/{number}"), format!("INC-{number}{title}"))
    };
    let known = all.into_iter().filter(|(_, numbers)| !numbers.is_empty());
    known.map(|(how, numbers)| Kin { how, links: numbers.iter().take(KIN_MAX).map(link).collect() }).collect()
}

fn rejected_words(rejected: &stentor_core::diagnosis::Rejected) -> String {
    match &rejected.subtype {
        Some(subtype) => format!("{} ({})", words::sentence(class_words(rejected.class)), words::spaced(subtype)),
        None => words::sentence(class_words(rejected.class)),
    }
}

/// Link to the cell page and its words; `None` for keys of another shape.
fn cell_link(scope: &Scope, key: &str) -> Option<(String, String)> {
    let mut parts = key.split('/');
    let (_platform, component, failure_type) = (parts.next()?, parts.next()?, parts.next()?);
    let href = scope.path(&format!("/matrix/{}/{}", encode(component), encode(failure_type)));
    Some((href, format!("{component}, {failure_type}")))
}

/// A downtime of the target's host, where it is a host of ours.
fn downtime_form(ctx: Ctx<'_>, incident: &Incident) -> Option<DowntimeForm> {
    let host = incident.verdict.target.host.as_deref().filter(|host| ctx.snapshot.host(host).is_some())?;
    Some(DowntimeForm {
        action: format!("/h/{}/downtime", encode(host)),
        what: host.to_owned(),
        start: words::field(ctx.now),
        end: words::field(ctx.now + stentor_core::Span::from_hours(2)),
    })
}
