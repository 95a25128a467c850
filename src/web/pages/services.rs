//! `/c/{cloud}/services`: which checks match?

use askama::Template;
use stentor_core::id::ObjectId;
use stentor_core::model::StateKind;
use stentor_core::snapshot::Flags;

use super::shell::{Ctx, Shell};
use crate::web::filter::{Fact, Filter, Subject};
use crate::web::links::encode;
use crate::web::listing::{self, Kind, Listed, PAGE_ROWS, Request};
use crate::web::parts::{self as p, Mark};
use crate::web::subject::RowSubject;
use crate::web::words;

/// Characters of output in a list; the column shows one line of it.
const OUTPUT_CHARS_MAX: usize = 160;

#[derive(Template)]
#[template(path = "services.html")]
pub struct ServicesPage {
    pub shell: Shell,
    pub filter: FilterBar,
    pub matched: String,
    pub total: String,
    pub table: ServicesTable,
    pub back: Option<String>,
    pub next: Option<String>,
    pub range: String,
}

/// The filter field with what it means, what is wrong in it and where to go from it.
pub struct FilterBar {
    pub action: String,
    pub noun: &'static str,
    /// What a query may look like.
    pub hint: &'static str,
    pub query: String,
    pub wrong: Vec<(String, String)>,
    pub chips: Vec<Chip>,
    pub facets: Vec<Facet>,
    pub views: Vec<View>,
}

pub struct Chip {
    pub text: String,
    pub negated: bool,
    pub remove: String,
}

pub struct Facet {
    pub mark: Option<Mark>,
    pub key: &'static str,
    pub value: String,
    pub count: String,
    pub href: String,
}

pub struct View {
    pub label: &'static str,
    pub href: String,
    pub count: String,
    pub current: bool,
}

impl FilterBar {
    /// Chips of a filter; facets and views are the caller's.
    pub fn build(ctx: Ctx<'_>, noun: &'static str, query: &str, filter: &Filter) -> FilterBar {
        let chip = |(i, term): (usize, &crate::web::filter::Term)| Chip {
            text: term.text.trim_start_matches('-').to_owned(),
            negated: term.negated,
            remove: ctx.scope.list(noun, &filter.without(i)),
        };
        FilterBar {
            action: ctx.scope.path(&format!("/{noun}")),
            noun,
            hint: "state:problem host:nc-* -is:handled",
            query: query.to_owned(),
            wrong: filter.wrong.iter().map(|wrong| (wrong.text.clone(), as_sentence(&wrong.why))).collect(),
            chips: filter.terms.iter().enumerate().map(chip).collect(),
            facets: Vec::new(),
            views: Vec::new(),
        }
    }

    /// Filters that are kept at hand, each with the number of rows behind it.
    pub fn with_views(
        mut self,
        ctx: Ctx<'_>,
        views: &[(&'static str, &'static str)],
        count: impl Fn(&str) -> usize,
    ) -> FilterBar {
        let view = |(label, text): &(&'static str, &'static str)| View {
            label,
            href: ctx.scope.list(self.noun, text),
            count: words::count(count(text) as u64),
            current: self.query.trim() == *text,
        };
        self.views = views.iter().map(view).collect();
        self
    }

    /// State counts of this result; each adds a term. A state that is the whole result narrows nothing.
    pub fn state_facets(&mut self, ctx: Ctx<'_>, filter: &Filter, listed: &Listed) {
        for (mark, count) in &listed.marks {
            if *count == listed.matched {
                continue;
            }
            let term = format!("state:{}", state_word(*mark));
            self.facets.push(Facet {
                mark: Some(*mark),
                key: "",
                value: String::new(),
                count: words::count(*count as u64),
                href: ctx.scope.list(self.noun, &filter.with(&term)),
            });
        }
    }
}

/// With a full stop unless it ends as a question.
fn as_sentence(why: &str) -> String {
    if why.ends_with('?') { why.to_owned() } else { format!("{why}.") }
}

pub const fn state_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "ok",
        Mark::Up => "up",
        Mark::Pend => "pending",
        Mark::Unk => "unknown",
        Mark::Unr => "unreachable",
        Mark::Warn => "warning",
        Mark::Down => "down",
        Mark::Crit => "critical",
    }
}

#[derive(Template)]
#[template(path = "frag_services.html")]
pub struct ServicesTable {
    pub rows: Vec<ServiceRow>,
    pub matched: String,
    pub refresh: String,
    pub empty: Option<Empty>,
}

/// Why a list is empty and the one thing to do about it.
pub struct Empty {
    pub text: String,
    pub clear: Option<String>,
}

pub struct ServiceRow {
    pub id: String,
    pub pill: p::Pill,
    pub host: String,
    pub host_href: String,
    pub service: String,
    pub href: String,
    pub output: String,
    pub tags: Vec<p::Tag>,
    pub age: p::Age,
    pub checked: p::Age,
    pub is_stale: bool,
    pub incident: Option<(String, String)>,
}

/// How many services of the scope match; the number of every link to this list comes from here.
pub fn count(ctx: Ctx<'_>, query: &str) -> usize {
    listing::count(&request(ctx, Kind::Services, &Filter::parse(query)))
}

pub fn request<'a>(ctx: Ctx<'a>, kind: Kind, filter: &'a Filter) -> Request<'a> {
    Request { snapshot: ctx.snapshot, kind, cloud: ctx.scope.cloud_id(), filter, me: ctx.me, now: ctx.now }
}

impl ServiceRow {
    pub fn build(ctx: Ctx<'_>, object: ObjectId) -> ServiceRow {
        let row = ctx.snapshot.row(object);
        let detail = ctx.snapshot.detail(object);
        let key = ctx.snapshot.catalog.object_key(object);
        let subject = RowSubject { snapshot: ctx.snapshot, object, now: ctx.now };
        let service = key.service.as_deref().unwrap_or("");
        let host_href = format!("/h/{}", encode(&key.host));
        let output = detail.observation.as_ref().map_or("Not checked yet", |observation| &*observation.text);
        let last = words::line(words::without_state_prefix(output));
        let said = if row.is_stale() { format!("No fresh result; the last was: {last}") } else { last };
        let mut tags = Vec::new();
        if let Some(owner) = subject.owner().filter(|_| subject.is(Fact::Acked)) {
            tags.push(p::Tag::new("user", owner, "info"));
        }
        if row.downtime_depth > 0 {
            tags.push(p::Tag::new("dt", "Downtime", ""));
        }
        if row.flags.has(Flags::FLAPPING) {
            tags.push(p::Tag::new("flap", "Flapping", ""));
        }
        if row.kind == StateKind::Soft && row.state != 0 {
            let of = ctx.snapshot.catalog.check_of(object).map_or(row.attempt, |check| check.attempts);
            tags.push(p::Tag::new("clock", format!("try {} of {of}", row.attempt), ""));
        }
        ServiceRow {
            id: match object {
                ObjectId::Host(id) => format!("h{}", id.0),
                ObjectId::Service(id) => format!("s{}", id.0),
            },
            pill: p::Pill::of_row(subject.mark(), row, subject.is(Fact::Handled)),
            host: key.host.to_string(),
            service: service.to_owned(),
            href: format!("{host_href}/{}", encode(service)),
            host_href,
            output: words::cut(&said, OUTPUT_CHARS_MAX),
            tags,
            age: p::Age { since: row.last_state_change, now: ctx.now },
            checked: p::Age { since: row.last_check, now: ctx.now },
            is_stale: row.is_stale(),
            incident: (row.incident != 0).then(|| (format!("/i/{}", row.incident), format!("INC-{}", row.incident))),
        }
    }
}

impl ServicesTable {
    pub fn build(ctx: Ctx<'_>, query: &str, filter: &Filter, after: Option<&str>) -> (ServicesTable, Listed) {
        let listed = listing::list(&request(ctx, Kind::Services, filter), after);
        let table = ServicesTable {
            rows: listed.rows.iter().map(|object| ServiceRow::build(ctx, *object)).collect(),
            matched: words::count(listed.matched as u64),
            refresh: page_href(ctx, "services", query, after),
            empty: listed.rows.is_empty().then(|| empty(ctx, "services", filter, listed.total)),
        };
        (table, listed)
    }
}

pub fn empty(ctx: Ctx<'_>, noun: &'static str, filter: &Filter, total: usize) -> Empty {
    if total == 0 {
        return Empty { text: format!("No {noun} are configured here."), clear: None };
    }
    let text = if filter.terms.is_empty() {
        "This page is empty now.".to_owned()
    } else {
        format!("None of {} {noun} matches this filter.", words::count(total as u64))
    };
    Empty { text, clear: Some(ctx.scope.path(&format!("/{noun}"))) }
}

pub fn page_href(ctx: Ctx<'_>, noun: &str, query: &str, after: Option<&str>) -> String {
    let base = ctx.scope.list(noun, query);
    match after {
        None => base,
        Some(after) => format!("{base}{}after={}", if base.contains('?') { '&' } else { '?' }, encode(after)),
    }
}

/// `1 to 50 of 1,204`
pub fn range_words(listed: &Listed) -> String {
    let [first, last, all] = [listed.before + 1, listed.before + listed.rows.len(), listed.matched];
    if listed.rows.is_empty() {
        return "none".to_owned();
    }
    format!("{} to {} of {}", words::count(first as u64), words::count(last as u64), words::count(all as u64))
}

const VIEWS: [(&str, &str); 4] = [
    ("All", ""),
    ("Unhandled problems", "state:problem -is:handled -is:effect"),
    ("Stale", "is:stale"),
    ("Pending", "state:pending"),
];

pub fn build(ctx: Ctx<'_>, shell: Shell, query: &str, after: Option<&str>) -> ServicesPage {
    let filter = Filter::parse(query);
    let (table, listed) = ServicesTable::build(ctx, query, &filter, after);
    let mut bar = FilterBar::build(ctx, "services", query, &filter).with_views(ctx, &VIEWS, |text| count(ctx, text));
    bar.state_facets(ctx, &filter, &listed);
    ServicesPage {
        shell,
        matched: words::count(listed.matched as u64),
        total: words::count(listed.total as u64),
        back: after.map(|_| ctx.scope.list("services", query)),
        next: listed.next.as_deref().map(|next| page_href(ctx, "services", query, Some(next))),
        range: range_words(&listed),
        filter: bar,
        table,
    }
}

/// For the words of "Next 50".
pub const fn page_rows() -> usize {
    PAGE_ROWS
}
