//! `/c/{cloud}/hosts`: which machines match, and how are they?

use askama::Template;
use stentor_core::id::ObjectId;

use super::services::{self, Empty, FilterBar, ServiceRow, empty, page_href, range_words};
use super::shell::{Counted, Ctx, Shell};
use crate::web::filter::Filter;
use crate::web::links::encode;
use crate::web::listing::{self, Kind, Listed};
use crate::web::parts::{self as p, Mark};
use crate::web::words;

#[derive(Template)]
#[template(path = "hosts.html")]
pub struct HostsPage {
    pub shell: Shell,
    pub filter: FilterBar,
    pub matched: String,
    pub total: String,
    pub table: HostsTable,
    pub back: Option<String>,
    pub next: Option<String>,
    pub range: String,
}

#[derive(Template)]
#[template(path = "frag_hosts.html")]
pub struct HostsTable {
    pub rows: Vec<HostRow>,
    pub refresh: String,
    pub empty: Option<Empty>,
}

pub struct HostRow {
    pub row: ServiceRow,
    pub zone: String,
    pub address: String,
    pub components: Vec<String>,
    pub problems: Vec<Counted>,
    pub services: String,
    pub services_href: String,
}

impl HostsTable {
    pub fn build(ctx: Ctx<'_>, filter: &Filter, after: Option<&str>) -> HostsTable {
        HostsTable::listed(ctx, "", filter, after).0
    }

    pub fn listed(ctx: Ctx<'_>, query: &str, filter: &Filter, after: Option<&str>) -> (HostsTable, Listed) {
        let listed = listing::list(&services::request(ctx, Kind::Hosts, filter), after);
        let table = HostsTable {
            rows: listed.rows.iter().filter_map(|object| host_row(ctx, *object)).collect(),
            refresh: page_href(ctx, "hosts", query, after),
            empty: listed.rows.is_empty().then(|| empty(ctx, "hosts", filter, listed.total)),
        };
        (table, listed)
    }
}

fn host_row(ctx: Ctx<'_>, object: ObjectId) -> Option<HostRow> {
    let ObjectId::Host(id) = object else { return None };
    let catalog = &ctx.snapshot.catalog;
    let host = &catalog.hosts[id.index()];
    let mut row = ServiceRow::build(ctx, object);
    if host.check.is_none() {
        row.output = "Not checked; assumed up".to_owned();
    }
    let of_host = |mark: Mark| {
        host.services.iter().filter(|id| Mark::of_service(&ctx.snapshot.services[id.index()]) == mark).count()
    };
    let problems = [(Mark::Crit, "critical"), (Mark::Warn, "warning"), (Mark::Unk, "unknown")]
        .into_iter()
        .map(|(mark, label)| (of_host(mark), mark, label))
        .filter(|(count, ..)| *count > 0)
        .map(|(count, mark, label)| Counted {
            mark,
            label,
            count: words::count(count as u64),
            href: ctx.scope.list("services", &format!("{} state:{label}", term("host", &host.name))),
        });
    Some(HostRow {
        zone: catalog.zones[host.zone.index()].name.to_string(),
        address: host.address.to_string(),
        components: host.components.iter().map(|id| catalog.components[id.index()].key.to_string()).collect(),
        problems: problems.collect(),
        services: words::count(host.services.len() as u64),
        services_href: format!("/h/{}", encode(&host.name)),
        row,
    })
}

/// `host:NAME`, quoted where the name would read as something else.
pub fn term(field: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || "-_./@".contains(c));
    if plain { format!("{field}:{name}") } else { format!("{field}:\"{}\"", name.replace('"', "*")) }
}

const VIEWS: [(&str, &str); 4] =
    [("All", ""), ("Down", "state:down"), ("Unreachable", "state:unreachable"), ("In downtime", "is:downtime")];

pub fn build(ctx: Ctx<'_>, shell: Shell, query: &str, after: Option<&str>) -> HostsPage {
    let filter = Filter::parse(query);
    let (table, listed) = HostsTable::listed(ctx, query, &filter, after);
    let count = |text: &str| listing::count(&services::request(ctx, Kind::Hosts, &Filter::parse(text)));
    let mut bar = FilterBar::build(ctx, "hosts", query, &filter).with_views(ctx, &VIEWS, count);
    bar.state_facets(ctx, &filter, &listed);
    HostsPage {
        shell,
        matched: words::count(listed.matched as u64),
        total: words::count(listed.total as u64),
        back: after.map(|_| ctx.scope.list("hosts", query)),
        next: listed.next.as_deref().map(|next| page_href(ctx, "hosts", query, Some(next))),
        range: range_words(&listed),
        filter: bar,
        table,
    }
}
