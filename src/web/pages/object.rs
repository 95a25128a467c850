//! `/h/{host}/{service}` and `/h/{host}`: why is this one not OK, and how is this machine?

use askama::Template;
use stentor_core::catalog::{Check, View as HostView};
use stentor_core::engine::switch::Switch;
use stentor_core::id::{HostId, ObjectId};
use stentor_core::model::{Measurement, StateKind};
use stentor_core::snapshot::Flags;
use stentor_core::{Span, Timestamp};

use super::incident::DowntimeForm;
use super::services::ServiceRow;
use super::shell::{Ctx, Shell};
use crate::store::HistoryRow;
use crate::web::filter::{Fact, Subject};
use crate::web::links::encode;
use crate::web::notices::Notices;
use crate::web::parts::{self as p, Gauge, Mark};
use crate::web::subject::RowSubject;
use crate::web::words;
use stentor_core::engine::EventKind;

/// Measurements shown as a table; the rest is counted.
const MEASUREMENTS_SHOWN: usize = 64;
/// Facts shown; a probe may carry many more.
const FACTS_SHOWN: usize = 64;
/// Hosts that depend on one; a switch may have hundreds.
const CHILDREN_SHOWN: usize = 50;
/// Characters of one fact.
const FACT_CHARS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "object.html")]
pub struct ObjectPage {
    pub shell: Shell,
    pub title: String,
    pub name: String,
    pub host: String,
    pub host_href: String,
    pub href: String,
    pub list_href: String,
    pub is_host: bool,
    pub state: StateFragment,
    pub output: OutputFragment,
    pub ack: Option<AckView>,
    pub may_ack: bool,
    pub schedule: Vec<(&'static str, String)>,
    pub rules: Vec<(String, p::Pill, String)>,
    /// Of an imported object: whom its next result would tell.
    pub notices: Option<Notices>,
    pub history: History,
    pub downtimes: Vec<super::downtimes::DowntimeRow>,
    pub form: DowntimeForm,
    pub services: Vec<ServiceRow>,
    pub services_href: String,
    pub facts: Vec<HostFact>,
}

/// One line about a host: text, or links with their labels.
pub struct HostFact {
    pub name: &'static str,
    pub text: String,
    pub links: Vec<(String, String)>,
}

impl HostFact {
    fn text(name: &'static str, text: &str) -> HostFact {
        HostFact { name, text: text.to_owned(), links: Vec::new() }
    }

    fn links(name: &'static str, links: Vec<(String, String)>) -> HostFact {
        HostFact { name, text: String::new(), links }
    }
}

/// State, for how long, which incident: changes while one looks.
#[derive(Template)]
#[template(path = "frag_state.html")]
pub struct StateFragment {
    pub pill: p::Pill,
    pub title: String,
    pub on: String,
    pub on_href: String,
    pub age: p::Age,
    pub attempt: String,
    pub tags: Vec<p::Tag>,
    pub incident: Option<(String, String)>,
    pub because: String,
    pub unknown: String,
}

#[derive(Template)]
#[template(path = "frag_output.html")]
pub struct OutputFragment {
    pub checked: p::Age,
    pub is_stale: bool,
    pub pending: bool,
    pub text: String,
    pub perf: Vec<PerfRow>,
    pub perf_more: usize,
    pub facts: Vec<(String, String)>,
}

pub struct PerfRow {
    pub label: String,
    pub value: String,
    pub gauge: Option<Gauge>,
    pub warn: String,
    pub crit: String,
}

pub struct AckView {
    pub by: String,
    pub comment: String,
    pub at: p::When,
    pub until: Option<p::When>,
}

/// Past states; or why they cannot be read.
pub enum History {
    Rows(Vec<HistoryEntry>),
    Unreadable(String),
}

pub struct HistoryEntry {
    pub at: p::When,
    pub icon: super::incident::Sign,
    pub text: String,
}

impl History {
    /// On the page of a host the rows say which service they are about.
    pub fn from_rows(rows: &[HistoryRow], now: Timestamp, of_host: bool) -> History {
        let entry = |row: &HistoryRow| HistoryEntry {
            at: p::When { at: row.event.at, now },
            icon: event_sign(row.event.kind, &row.event.text),
            text: words::cut(&words::line(&change_words(row, of_host)), 300),
        };
        History::Rows(rows.iter().map(entry).collect())
    }
}

fn change_words(row: &HistoryRow, of_host: bool) -> String {
    let text = words::state_change(&row.event.text);
    match row.event.object.as_ref().and_then(|object| object.service.as_ref()) {
        Some(service) if of_host => format!("{service}, {text}"),
        _ => text,
    }
}

/// State events carry their state as a word of their text.
fn event_sign(kind: EventKind, text: &str) -> super::incident::Sign {
    use super::incident::Sign;
    match kind {
        EventKind::ServiceState | EventKind::HostState => {
            let words = [
                ("CRITICAL", Mark::Crit),
                ("WARNING", Mark::Warn),
                ("UNREACHABLE", Mark::Unr),
                ("UNKNOWN", Mark::Unk),
                ("DOWN", Mark::Down),
                ("UP", Mark::Up),
                ("OK", Mark::Ok),
            ];
            // The state it went to stands last where a text names both.
            let found = words.iter().filter_map(|(word, mark)| Some((text.find(word)?, *mark)));
            Sign::Glyph(found.min_by_key(|(at, _)| *at).map_or(Mark::Pend, |(_, mark)| mark).glyph())
        }
        EventKind::Acknowledged | EventKind::Unacknowledged => Sign::Icon("user"),
        EventKind::DowntimeStarted
        | EventKind::DowntimeEnded
        | EventKind::DowntimeScheduled
        | EventKind::DowntimeCancelled => Sign::Icon("dt"),
        EventKind::Notified => Sign::Icon("mail"),
        EventKind::NotificationFailed => Sign::Glyph(Mark::Warn.glyph()),
        EventKind::Withheld => Sign::Icon("bell"),
        EventKind::Note => Sign::Icon("note"),
        EventKind::Runbook => Sign::Icon("book"),
        EventKind::IncidentOpened
        | EventKind::IncidentChanged
        | EventKind::IncidentResolved
        | EventKind::IncidentClosed
        | EventKind::CoreChanged
        | EventKind::BusinessChanged
        | EventKind::Unwatched
        | EventKind::CatalogLoaded => Sign::Icon("inc"),
    }
}

/// The mark of something that a command switched off.
fn switched_off(switch: Switch) -> Option<p::Tag> {
    let text = match switch {
        Switch::ActiveChecks => "Not checked: switched off",
        Switch::PassiveChecks => "Results from outside refused",
        Switch::Notifications => "Nobody is told: switched off",
        Switch::EventHandler | Switch::FlapDetection | Switch::Perfdata | Switch::Obsess | Switch::Freshness => {
            return None;
        }
    };
    Some(p::Tag::new("pow", text, "warn"))
}

impl StateFragment {
    pub fn build(ctx: Ctx<'_>, object: ObjectId) -> StateFragment {
        let row = ctx.snapshot.row(object);
        let detail = ctx.snapshot.detail(object);
        let key = ctx.snapshot.catalog.object_key(object);
        let subject = RowSubject { snapshot: ctx.snapshot, object, now: ctx.now };
        let attempts = ctx.snapshot.catalog.check_of(object).map_or(row.attempt, |check| check.attempts);
        let kind = match row.kind {
            StateKind::Soft => "soft",
            StateKind::Hard => "hard",
        };
        let mut tags = Vec::new();
        if let Some(ack) = &detail.ack {
            tags.push(p::Tag::new("user", ack.by.to_string(), "info"));
        }
        if row.downtime_depth > 0 {
            tags.push(p::Tag::new("dt", "In downtime", ""));
        }
        if row.flags.has(Flags::FLAPPING) {
            tags.push(p::Tag::new("flap", "Flapping", ""));
        }
        if row.flags.has(Flags::EFFECT) {
            tags.push(p::Tag::new("link", "Effect of another failure", ""));
        }
        if row.is_stale() {
            let age = words::age(ctx.now.since(row.last_check));
            tags.push(p::Tag::new("stale", format!("Last result {age} old"), "warn"));
        }
        tags.extend(ctx.snapshot.switched_off(object).into_iter().filter_map(switched_off));
        let (title, on) = match &key.service {
            Some(service) => (service.to_string(), key.host.to_string()),
            None => (key.host.to_string(), String::new()),
        };
        StateFragment {
            pill: p::Pill::of_row(subject.mark(), row, subject.is(Fact::Handled)),
            title,
            on_href: format!("/h/{}", encode(&key.host)),
            on,
            age: p::Age { since: row.last_state_change, now: ctx.now },
            attempt: match row.state {
                0 => String::new(),
                _ => format!("try {} of {attempts} ({kind})", row.attempt),
            },
            tags,
            incident: subject.is(Fact::Open).then(|| {
                let title = ctx.snapshot.incidents.get(&row.incident).map_or("", |incident| incident.title.as_str());
                (format!("/i/{}", row.incident), format!("INC-{} {}", row.incident, words::cut(title, 80)))
            }),
            because: detail.because.to_string(),
            unknown: detail.unknown_cause.map(|cause| cause.to_string()).unwrap_or_default(),
        }
    }
}

impl OutputFragment {
    pub fn build(ctx: Ctx<'_>, object: ObjectId) -> OutputFragment {
        let row = ctx.snapshot.row(object);
        let observation = ctx.snapshot.detail(object).observation.as_deref();
        let text = observation.map(|o| match o.long_text.is_empty() {
            true => o.text.to_string(),
            false => format!("{}\n{}", o.text, o.long_text),
        });
        let measurements = observation.map_or(&[][..], |o| &o.measurements);
        let facts = observation.iter().flat_map(|o| o.facts.iter()).take(FACTS_SHOWN);
        OutputFragment {
            checked: p::Age { since: row.last_check, now: ctx.now },
            is_stale: row.is_stale(),
            pending: observation.is_none(),
            text: words::printable(&text.unwrap_or_default()),
            perf: measurements.iter().take(MEASUREMENTS_SHOWN).map(perf_row).collect(),
            perf_more: measurements.len().saturating_sub(MEASUREMENTS_SHOWN),
            facts: facts
                .map(|(name, value)| (name.to_owned(), words::cut(&words::line(&value.to_string()), FACT_CHARS_MAX)))
                .collect(),
        }
    }
}

fn perf_row(m: &Measurement) -> PerfRow {
    let (warn, crit) = (upper_limit(&m.warn), upper_limit(&m.crit));
    let gauge = m.value.filter(|v| v.is_finite()).and_then(|value| {
        let low = m.min.unwrap_or(0.0).min(value);
        let bounds = [m.max, crit.map(|c| c * 1.25), warn.map(|w| w * 1.5), (&*m.unit == "%").then_some(100.0)];
        let high = bounds.into_iter().flatten().next()?.max(value);
        (low.is_finite() && high.is_finite() && high > low).then_some(Gauge { value, low, high, warn, crit })
    });
    PerfRow {
        label: m.label.to_string(),
        value: m.value.map_or_else(|| "can’t tell".to_owned(), |value| words::quantity(value, &m.unit)),
        gauge,
        warn: m.warn.to_string(),
        crit: m.crit.to_string(),
    }
}

/// The upper end of a threshold range: `10`, `5:10`, `~:10`; inverted ranges (`@…`) and `10:` have none.
fn upper_limit(range: &str) -> Option<f64> {
    let end = range.rsplit(':').next()?;
    end.parse::<f64>().ok().filter(|end| end.is_finite() && !range.starts_with('@'))
}

fn schedule(ctx: Ctx<'_>, object: ObjectId, check: Option<&Check>) -> Vec<(&'static str, String)> {
    let Some(check) = check else {
        return vec![("Check", "none; the host is assumed to be up".to_owned())];
    };
    let row = ctx.snapshot.row(object);
    let every = if row.kind == StateKind::Soft { check.retry } else { check.every };
    let passive = check.probe.is_empty();
    let mut rows = vec![("Check", check.name.to_string())];
    rows.push(("Probe", if passive { "none: results are handed in".to_owned() } else { check.probe.to_string() }));
    if !passive {
        rows.push(("Every", format!("{}, {} while soft", words::interval(check.every), words::interval(check.retry))));
        rows.push(("Next check", next_check(ctx.now, row.last_check, every)));
        rows.push(("Deadline", words::interval(check.timeout)));
    }
    rows.push(("Tries", format!("{} before hard", check.attempts)));
    if check.freshness > Span::ZERO {
        rows.push(("Stale after", words::age(check.freshness)));
    }
    let host = match object {
        ObjectId::Host(host) => host,
        ObjectId::Service(service) => ctx.snapshot.catalog.services[service.index()].host,
    };
    let place = match (check.host_side, ctx.snapshot.catalog.hosts[host.index()].view) {
        (false, _) => "here, over the network",
        (true, HostView::Local) => "here, on this machine",
        (true, HostView::Agent) => "on the host, by its agent",
        (true, HostView::None) => "nowhere: nothing looks into this host",
        (true, HostView::Ssh) => "here, over SSH",
    };
    rows.push(("Runs", place.to_owned()));
    rows
}

fn next_check(now: Timestamp, last: Timestamp, every: Span) -> String {
    if last == Timestamp::ZERO {
        return "not checked yet".to_owned();
    }
    let left = (last + every).since(now);
    if left > Span::ZERO { format!("in about {}", words::age(left)) } else { "due".to_owned() }
}

fn host_facts(ctx: Ctx<'_>, id: HostId) -> Vec<HostFact> {
    let catalog = &ctx.snapshot.catalog;
    let host = &catalog.hosts[id.index()];
    let link = |id: &HostId| {
        let name = &catalog.hosts[id.index()].name;
        (format!("/h/{}", encode(name)), name.to_string())
    };
    let mut facts =
        vec![HostFact::text("Address", &host.address), HostFact::text("Zone", &catalog.zones[host.zone.index()].name)];
    if host.display != host.name {
        facts.push(HostFact::text("Called", &host.display));
    }
    if let Some(cloud) = host.cloud.and_then(|cloud| catalog.clouds.get(cloud.index())) {
        let link = (format!("/c/{}", encode(&cloud.name)), cloud.name.to_string());
        facts.push(HostFact::links("Cloud", vec![link]));
    }
    let components = host.components.iter().map(|id| &catalog.components[id.index()]);
    let components: Vec<_> = components
        .map(|component| {
            let href = ctx.scope.path(&format!("/matrix#{}", encode(&component.key)));
            (href, component.key.to_string())
        })
        .collect();
    if !components.is_empty() {
        facts.push(HostFact::links("Components", components));
    }
    if !host.parents.is_empty() {
        facts.push(HostFact::links("Depends on", host.parents.iter().map(link).collect()));
    }
    let children = catalog.index.children.get(id.index()).map_or(&[][..], |children| children);
    if !children.is_empty() {
        facts.push(HostFact::links("Needed by", children.iter().take(CHILDREN_SHOWN).map(link).collect()));
    }
    if let Some(bmc) = &host.bmc {
        facts.push(HostFact::text("BMC", &format!("{}, port {}", bmc.address, bmc.port)));
    }
    facts
}

pub fn build(ctx: Ctx<'_>, shell: Shell, object: ObjectId, history: History) -> ObjectPage {
    let catalog = &ctx.snapshot.catalog;
    let key = catalog.object_key(object);
    let check = catalog.check_of(object);
    let detail = ctx.snapshot.detail(object);
    let row = ctx.snapshot.row(object);
    let host_href = format!("/h/{}", encode(&key.host));
    let href = match &key.service {
        Some(service) => format!("{host_href}/{}", encode(service)),
        None => host_href.clone(),
    };
    let (services, facts) = match object {
        ObjectId::Host(id) => (sorted_services(ctx, id), host_facts(ctx, id)),
        ObjectId::Service(_) => (Vec::new(), Vec::new()),
    };
    let rules = check.map_or(&[][..], |check| &check.rules);
    ObjectPage {
        shell,
        title: key.service.as_ref().map_or_else(|| key.host.to_string(), |s| format!("{s} on {}", key.host)),
        name: key.service.as_ref().unwrap_or(&key.host).to_string(),
        host: key.host.to_string(),
        list_href: ctx.scope.path(if key.service.is_some() { "/services" } else { "/hosts" }),
        is_host: key.service.is_none(),
        state: StateFragment::build(ctx, object),
        output: OutputFragment::build(ctx, object),
        ack: detail.ack.as_ref().map(|ack| AckView {
            by: ack.by.to_string(),
            comment: ack.comment.to_string(),
            at: p::When { at: ack.at, now: ctx.now },
            until: ack.until.map(|at| p::When { at, now: ctx.now }),
        }),
        may_ack: row.state != 0 && !row.is_pending(),
        schedule: schedule(ctx, object, check),
        notices: Notices::of(ctx.snapshot, object),
        rules: rules
            .iter()
            .map(|rule| {
                let mark = match rule.state {
                    stentor_core::model::ServiceState::Ok => Mark::Ok,
                    stentor_core::model::ServiceState::Warning => Mark::Warn,
                    stentor_core::model::ServiceState::Critical => Mark::Crit,
                    stentor_core::model::ServiceState::Unknown => Mark::Unk,
                };
                let pill = p::Pill { handled: mark != Mark::Ok, ..p::Pill::new(mark) };
                (rule.when.text.to_string(), pill, rule.source.to_string())
            })
            .collect(),
        history,
        downtimes: super::downtimes::of_object(ctx, &key),
        form: DowntimeForm {
            action: format!("{href}/downtime"),
            what: key.service.as_ref().unwrap_or(&key.host).to_string(),
            start: words::field(ctx.now),
            end: words::field(ctx.now + Span::from_hours(2)),
        },
        services_href: ctx.scope.list("services", &super::hosts::term("host", &key.host)),
        services,
        facts,
        host_href,
        href,
    }
}

/// Services of one host, worst first.
fn sorted_services(ctx: Ctx<'_>, id: HostId) -> Vec<ServiceRow> {
    let host = &ctx.snapshot.catalog.hosts[id.index()];
    let mut ids: Vec<_> = host.services.iter().map(|id| ObjectId::Service(*id)).collect();
    ids.sort_by_key(|object| {
        let subject = RowSubject { snapshot: ctx.snapshot, object: *object, now: ctx.now };
        std::cmp::Reverse(subject.mark())
    });
    ids.into_iter().map(|object| ServiceRow::build(ctx, object)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_upper_limits_are_drawn() {
        for (range, end) in [
            ("10", Some(10.0)),
            ("5:10", Some(10.0)),
            ("~:10", Some(10.0)),
            ("10:", None),
            ("@5:10", None),
            ("", None),
            ("inf", None),
        ] {
            assert_eq!(upper_limit(range), end, "{range}");
        }
    }
}
