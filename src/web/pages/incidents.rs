//! `/c/{cloud}/incidents`: what is open, worst first, and who has it?

use std::sync::Arc;

use askama::Template;
use stentor_core::model::Incident;

use super::services::{Empty, Facet, FilterBar};
use super::shell::{Ctx, IncidentRow, OPEN, Shell, UNHANDLED};
use crate::web::filter::Filter;
use crate::web::parts::{self as p, Level};
use crate::web::subject;
use crate::web::words;

/// Rows of each group; beyond it the page asks to narrow the filter.
const GROUP_ROWS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "incidents.html")]
pub struct IncidentsPage {
    pub shell: Shell,
    pub title: String,
    pub filter: FilterBar,
    pub matched: String,
    pub unhandled: GroupFragment,
    pub handled: GroupFragment,
    pub closed: Vec<ClosedRow>,
    pub closed_more: usize,
    pub empty: Option<Empty>,
}

#[derive(Template)]
#[template(path = "frag_group.html")]
pub struct GroupFragment {
    pub id: &'static str,
    pub heading: &'static str,
    pub note: &'static str,
    pub count: String,
    pub rows: Vec<IncidentRow>,
    pub more: usize,
    pub refresh: String,
    pub good_news: &'static str,
}

pub struct ClosedRow {
    pub href: String,
    pub name: String,
    pub title: String,
    pub lasted: String,
    pub at: p::When,
    pub by: String,
}

/// The three groups of one filter.
pub struct Groups<'a> {
    pub unhandled: Vec<&'a Arc<Incident>>,
    pub handled: Vec<&'a Arc<Incident>>,
    pub closed: Vec<&'a Arc<Incident>>,
}

impl<'a> Groups<'a> {
    pub fn of(ctx: Ctx<'a>, filter: &Filter) -> Groups<'a> {
        let mut groups = Groups { unhandled: Vec::new(), handled: Vec::new(), closed: Vec::new() };
        for incident in ctx.incidents(filter) {
            if !incident.phase.is_live() {
                groups.closed.push(incident);
            } else if subject::is_handled(ctx.snapshot, incident) {
                groups.handled.push(incident);
            } else {
                groups.unhandled.push(incident);
            }
        }
        groups.closed.sort_by_key(|incident| std::cmp::Reverse(incident.resolved_at.unwrap_or(incident.changed_at)));
        groups
    }

    fn len(&self) -> usize {
        self.unhandled.len() + self.handled.len() + self.closed.len()
    }
}

impl GroupFragment {
    pub fn unhandled(ctx: Ctx<'_>, query: &str, groups: &Groups<'_>) -> GroupFragment {
        GroupFragment {
            id: "unhandled",
            heading: "Unhandled",
            note: "nobody has taken these yet",
            good_news: if query.trim().is_empty() { "Nothing waits for anybody." } else { "None in this view." },
            ..GroupFragment::build(ctx, query, &groups.unhandled)
        }
    }

    pub fn handled(ctx: Ctx<'_>, query: &str, groups: &Groups<'_>) -> GroupFragment {
        GroupFragment {
            id: "handled",
            heading: "Handled",
            note: "acknowledged, in downtime, or an effect of another",
            good_news: if query.trim().is_empty() { "Nobody has an incident now." } else { "None in this view." },
            ..GroupFragment::build(ctx, query, &groups.handled)
        }
    }

    fn build(ctx: Ctx<'_>, query: &str, incidents: &[&Arc<Incident>]) -> GroupFragment {
        GroupFragment {
            id: "",
            heading: "",
            note: "",
            good_news: "",
            count: words::count(incidents.len() as u64),
            rows: incidents.iter().take(GROUP_ROWS_MAX).map(|incident| IncidentRow::build(ctx, incident)).collect(),
            more: incidents.len().saturating_sub(GROUP_ROWS_MAX),
            refresh: ctx.scope.list("incidents", query),
        }
    }
}

impl ClosedRow {
    fn build(ctx: Ctx<'_>, incident: &Incident) -> ClosedRow {
        let end = incident.resolved_at.unwrap_or(incident.changed_at);
        let by = incident.owner.as_ref().or(incident.ack.as_ref().map(|ack| &ack.by));
        ClosedRow {
            href: format!("/i/{}", incident.number),
            name: format!("INC-{}", incident.number),
            title: words::cut(&incident.title, 90),
            lasted: words::age(end.since(incident.opened_at)),
            at: p::When { at: end, now: ctx.now },
            by: by.map_or_else(|| "by itself".to_owned(), |by| by.to_string()),
        }
    }
}

const VIEWS: [(&str, &str); 4] =
    [("Open", OPEN), ("Unhandled", UNHANDLED), ("Mine", "is:open owner:me"), ("Closed", "is:closed")];

fn facets(ctx: Ctx<'_>, filter: &Filter, groups: &Groups<'_>) -> Vec<Facet> {
    let live: Vec<_> = groups.unhandled.iter().chain(&groups.handled).collect();
    let mut facets = Vec::new();
    for level in Level::ALL.into_iter().rev() {
        let count = live.iter().filter(|incident| Level::of(&incident.verdict) == level).count();
        // A facet that keeps everything or shows nothing narrows nothing.
        if count == 0 || count == live.len() {
            continue;
        }
        let narrowed = filter.with(&format!("is:open impact:{}", level.key()));
        facets.push(Facet {
            mark: None,
            key: "impact:",
            value: level.key().to_owned(),
            count: words::count(count as u64),
            href: ctx.scope.list("incidents", &narrowed),
        });
    }
    facets
}

pub fn build(ctx: Ctx<'_>, shell: Shell, query: &str) -> IncidentsPage {
    let filter = Filter::parse(query);
    let groups = Groups::of(ctx, &filter);
    let bar = FilterBar::build(ctx, "incidents", query, &filter);
    let mut bar = bar.with_views(ctx, &VIEWS, |text| ctx.count_incidents(text));
    bar.facets = facets(ctx, &filter, &groups);
    let empty = (groups.len() == 0 && !filter.terms.is_empty()).then(|| Empty {
        text: format!(
            "None of {} incidents matches this filter.",
            words::count(ctx.incidents(&Filter::default()).len() as u64)
        ),
        clear: Some(ctx.scope.path("/incidents")),
    });
    let open = ctx.count_incidents(UNHANDLED);
    IncidentsPage {
        shell,
        title: if open > 0 { format!("({open}) Incidents") } else { "Incidents".to_owned() },
        filter: bar,
        matched: words::plural(groups.len(), "incident", "incidents"),
        unhandled: GroupFragment::unhandled(ctx, query, &groups),
        handled: GroupFragment::handled(ctx, query, &groups),
        closed: groups.closed.iter().take(GROUP_ROWS_MAX).map(|incident| ClosedRow::build(ctx, incident)).collect(),
        closed_more: groups.closed.len().saturating_sub(GROUP_ROWS_MAX),
        empty,
    }
}
