//! `/c/{cloud}/availability`: how available were Core and business services, what is left of their error budget, and
//! which controller serves which node?

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use stentor_core::availability::State;
use stentor_core::availability::history::{Downtimes, Stretch, Subject};
use stentor_core::availability::pairs::{Pair, PairState};
use stentor_core::{Span, Timestamp};

use super::shell::{Ctx, Section, Shell};
use super::{Scoped, html};
use crate::web::WebState;
use crate::web::availability::{Report, Service, Wanted, Window, pairs_of, report};
use crate::web::parts::{self as p, Mark};
use crate::web::words;

#[derive(Template)]
#[template(path = "availability.html")]
pub struct AvailabilityPage {
    pub shell: Shell,
    pub sub: String,
    pub unreadable: Option<&'static str>,
    pub windows: Vec<Choice>,
    pub downtimes: Vec<Choice>,
    pub range: String,
    pub stats: Vec<(String, &'static str)>,
    pub rows: Vec<ServiceRow>,
    pub outages: Vec<OutageRow>,
    pub maps: Vec<ZoneMap>,
}

pub struct Choice {
    pub href: String,
    pub label: &'static str,
    pub current: bool,
}

pub struct ServiceRow {
    pub name: String,
    pub mark: Mark,
    pub state: &'static str,
    pub why: String,
    pub expression: String,
    pub bars: Vec<Bar>,
    pub percent: String,
    pub goal: String,
    pub outage: String,
    pub left: String,
    pub overdrawn: bool,
    pub events: usize,
    pub spare: String,
    pub incidents: Vec<u64>,
}

/// One stretch as a bar of the strip, in thousandths of its width.
pub struct Bar {
    pub kind: &'static str,
    pub x: String,
    pub width: String,
    pub y: &'static str,
    pub height: &'static str,
    pub title: String,
}

pub struct OutageRow {
    pub service: String,
    pub from: p::When,
    pub length: String,
    pub planned: bool,
    pub because: String,
}

pub struct ZoneMap {
    pub zone: String,
    pub nodes: Vec<String>,
    pub rows: Vec<MapRow>,
}

pub struct MapRow {
    pub controller: String,
    pub cells: Vec<MapCell>,
}

pub struct MapCell {
    pub mark: Mark,
    pub node: String,
    pub words: String,
    pub disagree: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    window: String,
    downtimes: String,
}

/// Outages that are listed; the strips show all.
const OUTAGES_MAX: usize = 20;
/// Bars narrower than this many thousandths cannot be seen; an outage is never narrower.
const BAR_MIN: f64 = 2.0;

pub async fn show(Extract(state): Extract<WebState>, scoped: Scoped, asked: axum::extract::Query<Asked>) -> Response {
    let visit = scoped.visit;
    let window = Window::read(&asked.window).unwrap_or(Window::Month);
    let downtimes = if asked.downtimes == "count" { Downtimes::Count } else { Downtimes::LeftOut };
    let wanted = Wanted { window, downtimes, now: visit.now };
    let report = report(&state.store, &visit.snapshot, wanted).await;
    let shell = visit.bare_shell(Section::Availability, &[], "");
    html(&build(visit.ctx(), shell, &report))
}

pub fn build(ctx: Ctx<'_>, shell: Shell, report: &Report) -> AvailabilityPage {
    let in_scope = |service: &&Service| {
        let cloud = service.cloud.as_deref();
        ctx.scope.cloud_name().is_none_or(|name| cloud.is_none_or(|cloud| cloud == name))
    };
    let services: Vec<&Service> = report.services.iter().filter(in_scope).collect();
    let Wanted { window, downtimes, now } = report.wanted;
    let days = window.span().as_millis() / Span::from_hours(24).as_millis();
    let planned = match downtimes {
        Downtimes::LeftOut => "Planned outages are left out",
        Downtimes::Count => "Planned outages count",
    };
    AvailabilityPage {
        sub: format!(
            "{}, around the clock. {planned}; time in which nothing is known is left out and shown.",
            words::plural(usize::try_from(days).unwrap_or(0), "day", "days")
        ),
        unreadable: report.unreadable,
        windows: windows(ctx, window, downtimes),
        downtimes: choices(ctx, window, downtimes),
        range: format!("{} to now", words::clock(report.from, now)),
        stats: stats(&services, downtimes),
        rows: services.iter().map(|service| row(ctx, report, service)).collect(),
        outages: outages(ctx, &services),
        maps: maps(ctx),
        shell,
    }
}

fn href(ctx: Ctx<'_>, window: Window, downtimes: Downtimes) -> String {
    let downtimes = if downtimes == Downtimes::Count { "&downtimes=count" } else { "" };
    ctx.scope.path(&format!("/availability?window={}{downtimes}", window.as_str()))
}

fn windows(ctx: Ctx<'_>, current: Window, downtimes: Downtimes) -> Vec<Choice> {
    let label = |window| match window {
        Window::Day => "24 h",
        Window::Week => "7 d",
        Window::Month => "30 d",
        Window::Quarter => "91 d",
    };
    let choice =
        |window| Choice { href: href(ctx, window, downtimes), label: label(window), current: window == current };
    Window::ALL.into_iter().map(choice).collect()
}

fn choices(ctx: Ctx<'_>, window: Window, current: Downtimes) -> Vec<Choice> {
    [(Downtimes::LeftOut, "Without planned work"), (Downtimes::Count, "With planned work")]
        .map(|(downtimes, label)| Choice { href: href(ctx, window, downtimes), label, current: downtimes == current })
        .into()
}

/// At most three digits after the point, and never 100 where something failed.
fn percent(percent: Option<f64>) -> String {
    match percent {
        None => "unknown".to_owned(),
        Some(percent) if percent >= 100.0 => "100 %".to_owned(),
        Some(percent) => format!("{:.3} %", (percent * 1000.0).floor() / 1000.0),
    }
}

fn stats(services: &[&Service], downtimes: Downtimes) -> Vec<(String, &'static str)> {
    let Some(first) = services.iter().find(|service| service.subject == Subject::Core).or(services.first()) else {
        return Vec::new();
    };
    let what = if first.subject == Subject::Core { "Core availability" } else { "availability" };
    let outage = match downtimes {
        Downtimes::Count => first.times.unavailable,
        Downtimes::LeftOut => first.times.unavailable - first.times.planned,
    };
    let down = services.iter().filter(|service| service.state == State::Unavailable).count();
    let missed = services.iter().filter(|service| service.budget.is_some_and(|budget| budget.left_ms() < 0)).count();
    let goals = services.iter().filter(|service| service.slo.is_some()).count();
    let mut stats = vec![
        (percent(first.percent), what),
        (words::age(outage), "of outage"),
        (first.outages.to_string(), if first.outages == 1 { "outage" } else { "outages" }),
        (words::age(first.times.planned), "of planned outage"),
        (words::age(first.times.unknown), "not known"),
        (format!("{down} of {}", services.len()), "unavailable now"),
    ];
    if goals > 0 {
        stats.push((format!("{missed} of {goals}"), "goals missed"));
    }
    stats
}

pub fn mark_of(state: State) -> Mark {
    match state {
        State::Available => Mark::Ok,
        State::Degraded => Mark::Warn,
        State::Unknown => Mark::Unk,
        State::Unavailable => Mark::Crit,
    }
}

fn row(ctx: Ctx<'_>, report: &Report, service: &Service) -> ServiceRow {
    let name = match service.subject {
        Subject::Core => format!("Core of {}", service.name),
        Subject::Business => service.display.to_string(),
    };
    let bad = match report.wanted.downtimes {
        Downtimes::Count => service.times.unavailable,
        Downtimes::LeftOut => service.times.unavailable - service.times.planned,
    };
    let left = service.budget.map(|budget| budget.left_ms());
    ServiceRow {
        mark: mark_of(service.state),
        state: if service.planned { "planned outage" } else { service.state.as_str() },
        why: words::cut(&service.words.join("; "), 160),
        expression: service.expression.clone().unwrap_or_default(),
        bars: bars(&service.stretches, report),
        percent: percent(service.percent),
        goal: service.slo.map_or_else(String::new, |slo| format!("{slo} %")),
        outage: words::age(bad),
        left: left.map_or_else(String::new, |ms| {
            let span = words::age(Span::from_millis(ms.abs()));
            if ms < 0 { format!("{span} over") } else { span }
        }),
        overdrawn: left.is_some_and(|ms| ms < 0),
        events: service.outages,
        spare: service.redundancy.map_or_else(String::new, |spare| format!("{} of {}", spare.left, spare.of)),
        incidents: service.hit_by(ctx.snapshot),
        name,
    }
}

fn bars(stretches: &[Stretch], report: &Report) -> Vec<Bar> {
    let whole = report.wanted.window.span().as_millis().max(1) as f64;
    let place = |at: Timestamp| at.since(report.from).as_millis() as f64 * 1000.0 / whole;
    // An outage of seconds is drawn over what lasted for days.
    let (down, others): (Vec<&Stretch>, Vec<&Stretch>) =
        stretches.iter().partition(|stretch| stretch.state == State::Unavailable);
    others
        .into_iter()
        .chain(down)
        .map(|stretch| {
            let (kind, y, height) = match (stretch.state, stretch.planned) {
                (State::Available, _) => ("ok", "14.4", "9.6"),
                (State::Degraded, _) => ("warn", "8.4", "15.6"),
                (State::Unknown, _) => ("unk", "4.8", "19.2"),
                (State::Unavailable, true) => ("dt", "0", "24"),
                (State::Unavailable, false) => ("crit", "0", "24"),
            };
            let (x, end) = (place(stretch.from), place(stretch.to));
            let least = if kind == "crit" { BAR_MIN } else { 0.0 };
            let because = if stretch.because.is_empty() { String::new() } else { format!(": {}", stretch.because) };
            Bar {
                kind,
                x: format!("{:.1}", x.min(1000.0 - least)),
                width: format!("{:.1}", (end - x).max(least)),
                y,
                height,
                title: format!(
                    "{} from {} for {}{because}",
                    stretch.state.as_str(),
                    words::clock(stretch.from, report.wanted.now),
                    words::age(stretch.to.since(stretch.from))
                ),
            }
        })
        .collect()
}

fn outages(ctx: Ctx<'_>, services: &[&Service]) -> Vec<OutageRow> {
    let of_service = |service: &&Service| {
        let name = match service.subject {
            Subject::Core => format!("Core of {}", service.name),
            Subject::Business => service.display.to_string(),
        };
        let down = service.stretches.iter().filter(|stretch| stretch.state == State::Unavailable);
        down.map(|stretch| (name.clone(), stretch.clone())).collect::<Vec<_>>()
    };
    let mut all: Vec<(String, Stretch)> = services.iter().flat_map(of_service).collect();
    all.sort_by_key(|(_, stretch)| std::cmp::Reverse(stretch.from));
    let shown = all.into_iter().take(OUTAGES_MAX);
    shown
        .map(|(service, stretch)| OutageRow {
            service,
            from: p::When { at: stretch.from, now: ctx.now },
            length: words::age(stretch.to.since(stretch.from)),
            planned: stretch.planned,
            because: stretch.because,
        })
        .collect()
}

fn maps(ctx: Ctx<'_>) -> Vec<ZoneMap> {
    let here = pairs_of(ctx.snapshot).into_iter();
    let here = here.filter(|(cloud, _)| ctx.scope.cloud_name().is_none_or(|name| name == &***cloud));
    let zones = here.flat_map(|(_, zones)| zones);
    zones
        .map(|zone| ZoneMap {
            zone: zone.zone.to_string(),
            nodes: zone
                .rows
                .first()
                .map_or_else(Vec::new, |row| row.cells.iter().map(|cell| cell.node.to_string()).collect()),
            rows: zone
                .rows
                .iter()
                .map(|row| MapRow {
                    controller: row.controller.to_string(),
                    cells: row.cells.iter().map(cell).collect(),
                })
                .collect(),
        })
        .collect()
}

fn cell(pair: &Pair) -> MapCell {
    let (mark, word) = match pair.state {
        PairState::Serving => (Mark::Ok, "serving"),
        PairState::NodeOut => (Mark::Warn, "the node is out of service"),
        PairState::ControllerOut => (Mark::Crit, "the controller is out of service"),
        PairState::BothOut => (Mark::Crit, "both are out of service"),
    };
    let says = pair.controller_says.as_ref().map_or_else(String::new, |word| format!("; the controller says {word}"));
    let seen = format!("; seen directly: {}", pair.seen.as_str());
    MapCell {
        mark: if pair.disagree { Mark::Unk } else { mark },
        node: pair.node.to_string(),
        words: format!("{word}{says}{seen}{}", if pair.disagree { "; they disagree" } else { "" }),
        disagree: pair.disagree,
    }
}
