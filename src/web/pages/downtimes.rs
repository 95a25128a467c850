//! `/c/{cloud}/downtimes`: what is planned, and does it take the last spare?

use askama::Template;
use stentor_core::Span;
use stentor_core::id::CloudId;
use stentor_core::model::{Covers, Downtime, DowntimeKind, ObjectKey};

use super::shell::{Ctx, Shell};
use crate::web::board::{self, Instance};
use crate::web::links::encode;
use crate::web::parts::{self as p, Mark};
use crate::web::words;

/// Suggestions for the name of a host; more would be a list nobody reads.
const SUGGESTIONS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "downtimes.html")]
pub struct DowntimesPage {
    pub shell: Shell,
    pub active: Vec<DowntimeRow>,
    pub planned: Vec<DowntimeRow>,
    pub past: Vec<DowntimeRow>,
    pub hosts: Vec<String>,
    pub host: String,
    pub start: String,
    pub end: String,
}

#[derive(Clone, Debug)]
pub struct DowntimeRow {
    pub id: u64,
    pub what: String,
    pub href: String,
    pub covers: &'static str,
    /// What starts it and how long it lasts, where its times alone do not say; else empty.
    pub terms: String,
    pub start: p::When,
    pub end: p::When,
    pub active: bool,
    pub over: bool,
    pub comment: String,
    pub author: String,
    /// What the core keeps while it lasts: mark and words; empty when no core component is on it.
    pub keeps: Vec<(Mark, String)>,
}

impl DowntimeRow {
    fn build(ctx: Ctx<'_>, downtime: &Downtime) -> DowntimeRow {
        let host_href = format!("/h/{}", encode(&downtime.target.host));
        let (what, href) = match &downtime.target.service {
            Some(service) => {
                (format!("{service} on {}", downtime.target.host), format!("{host_href}/{}", encode(service)))
            }
            None => (downtime.target.host.to_string(), host_href),
        };
        let over = downtime.until() <= ctx.now;
        DowntimeRow {
            id: downtime.id,
            what,
            href,
            covers: match (downtime.covers, &downtime.target.service) {
                (Covers::HostAndServices, None) => "with its services",
                (Covers::HostAndServices | Covers::ObjectOnly, _) => "",
            },
            terms: terms(downtime),
            start: p::When { at: downtime.start, now: ctx.now },
            end: p::When { at: downtime.until(), now: ctx.now },
            active: downtime.active && !over,
            over,
            comment: downtime.comment.to_string(),
            author: downtime.author.to_string(),
            keeps: if over { Vec::new() } else { keeps(ctx, downtime) },
        }
    }
}

fn terms(downtime: &Downtime) -> String {
    let mut terms = Vec::new();
    if let DowntimeKind::Flexible { duration } = downtime.kind {
        let state = if downtime.active { "began with a failure" } else { "begins with a failure" };
        terms.push(format!("flexible, {state}, lasts {duration}"));
    }
    if let Some(id) = downtime.triggered_by {
        terms.push(format!("begins and ends with downtime {id}"));
    }
    if let Some(name) = &downtime.recurring {
        terms.push(format!("recurring: {name}"));
    }
    terms.join("; ")
}

/// For a host downtime: each core component on it, and how many instances stay without it and without every other host
/// whose downtime meets this one.
fn keeps(ctx: Ctx<'_>, downtime: &Downtime) -> Vec<(Mark, String)> {
    if downtime.target.service.is_some() {
        return Vec::new();
    }
    let catalog = &ctx.snapshot.catalog;
    let Some(host) = catalog.host_id(&downtime.target.host) else { return Vec::new() };
    let Some(cloud) = catalog.hosts[host.index()].cloud else { return Vec::new() };
    let Some(board) = board::board(ctx.snapshot, cloud) else { return Vec::new() };
    let meets = |other: &Downtime| other.start < downtime.until() && downtime.start < other.until();
    let away = |name: &str| {
        let planned = ctx.snapshot.downtimes.values().filter(|d| d.target.service.is_none() && meets(d));
        name == &*downtime.target.host || planned.into_iter().any(|d| &*d.target.host == name)
    };
    let mut keeps = Vec::new();
    for row in board.rows.iter().filter(|row| row.core) {
        let on = |id: &stentor_core::id::ComponentId| &catalog.hosts[catalog.components[id.index()].host.index()].name;
        if !row.instances.iter().any(|(id, _)| **on(id) == *downtime.target.host) {
            continue;
        }
        let left = row.instances.iter().filter(|(id, state)| *state == Instance::Up && !away(on(id))).count();
        let need = row.pips.need as usize;
        let mark = if left < need {
            Mark::Crit
        } else if left == need {
            Mark::Warn
        } else {
            Mark::Ok
        };
        keeps.push((mark, format!("{left} of {} {}", row.pips.total, row.key)));
    }
    keeps
}

/// Downtimes that touch an object: its own, and its host's.
pub fn of_object(ctx: Ctx<'_>, key: &ObjectKey) -> Vec<DowntimeRow> {
    let touches = |downtime: &&Downtime| {
        downtime.until() > ctx.now
            && (downtime.target == *key
                || (downtime.target.host == key.host
                    && downtime.target.service.is_none()
                    && downtime.covers == Covers::HostAndServices))
    };
    ctx.snapshot.downtimes.values().filter(touches).map(|downtime| DowntimeRow::build(ctx, downtime)).collect()
}

fn cloud_of(ctx: Ctx<'_>, host: &str) -> Option<CloudId> {
    let id = ctx.snapshot.catalog.host_id(host)?;
    ctx.snapshot.catalog.hosts[id.index()].cloud
}

pub fn build(ctx: Ctx<'_>, shell: Shell, host: &str) -> DowntimesPage {
    let mut rows: Vec<&Downtime> = ctx
        .snapshot
        .downtimes
        .values()
        .filter(|downtime| ctx.scope.contains(cloud_of(ctx, &downtime.target.host)))
        .collect();
    rows.sort_by_key(|downtime| (downtime.start, downtime.id));
    let rows: Vec<DowntimeRow> = rows.into_iter().map(|downtime| DowntimeRow::build(ctx, downtime)).collect();
    let (past, open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.over);
    let (active, planned) = open.into_iter().partition(|row| row.active);
    let hosts = ctx.snapshot.catalog.hosts.iter().filter(|host| ctx.scope.contains(host.cloud));
    DowntimesPage {
        shell,
        active,
        planned,
        past,
        hosts: hosts.take(SUGGESTIONS_MAX).map(|host| host.name.to_string()).collect(),
        host: host.to_owned(),
        start: words::field(ctx.now),
        end: words::field(ctx.now + Span::from_hours(2)),
    }
}
