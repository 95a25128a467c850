//! `/runbooks` and `/runbooks/{id}`: which runbooks are there, what does one say, and the start of planned work.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use stentor_core::Span;
use stentor_core::catalog::{Catalog, Platform, Runbook};
use stentor_core::engine::Reply;
use stentor_core::runbook::{self, RunAction, RunTarget};

use super::incident::RunbookView;
use super::runbook::{Refusal, RunFragment};
use super::services::{Chip, Facet, FilterBar, View, page_rows};
use super::shell::{Ctx, Section, Shell};
use super::{Visit, html, login};
use crate::web::WebState;
use crate::web::api::runs;
use crate::web::auth::Session;
use crate::web::links::encode;
use crate::web::parts as p;
use crate::web::problem::Problem;
use crate::web::words;

/// Hosts that are proposed; others are typed.
const SUGGESTIONS_MAX: usize = 200;
/// Cells named in a row of the list.
const CELLS_SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "runbooks.html")]
pub struct RunbooksPage {
    pub shell: Shell,
    pub matched: String,
    pub total: String,
    pub filter: FilterBar,
    pub rows: Vec<BookRow>,
    pub range: String,
    pub back: Option<String>,
    pub next: Option<String>,
}

pub struct BookRow {
    pub href: String,
    pub id: String,
    pub title: String,
    pub platform: String,
    pub kind: Kind,
    pub mends: String,
    pub steps: usize,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    Failure,
    Procedure,
}

impl Kind {
    fn of(book: &Runbook) -> Kind {
        if book.procedure { Kind::Procedure } else { Kind::Failure }
    }

    const fn word(self) -> &'static str {
        match self {
            Kind::Failure => "failure",
            Kind::Procedure => "procedure",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Kind::Failure => "for a failure",
            Kind::Procedure => "planned work",
        }
    }
}

/// A runbook with what it may be found by.
struct Listed<'a> {
    platform: &'a Platform,
    book: &'a Runbook,
    cells: Vec<String>,
}

impl Listed<'_> {
    fn row(&self) -> BookRow {
        let rest = self.cells.len().saturating_sub(CELLS_SHOWN);
        let mut mends = self.cells.iter().take(CELLS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if rest > 0 {
            mends.push_str(&format!(" and {rest} more"));
        }
        BookRow {
            href: href(&self.book.id),
            id: self.book.id.to_string(),
            title: self.book.title.clone(),
            platform: self.platform.key.to_string(),
            kind: Kind::of(self.book),
            mends,
            steps: self.book.steps.len(),
        }
    }

    fn fits(&self, term: &str) -> bool {
        match term.split_once(':') {
            Some(("platform", platform)) => *self.platform.key == *platform,
            Some(("kind", kind)) => Kind::of(self.book).word() == kind,
            _ => {
                let wanted = term.to_lowercase();
                let texts =
                    [&*self.book.id, &*self.book.title].into_iter().chain(self.cells.iter().map(String::as_str));
                texts.into_iter().any(|text| text.to_lowercase().contains(&wanted))
            }
        }
    }
}

fn href(id: &str) -> String {
    format!("/runbooks/{}", encode(id))
}

fn all(catalog: &Catalog) -> Vec<Listed<'_>> {
    let of = |platform: &'_ Arc<Platform>, book: &Runbook| {
        let cells = platform.cells.iter().filter(|cell| cell.runbook == book.id);
        cells.map(|cell| format!("{}/{}", cell.key.component, cell.key.failure_type.as_str())).collect()
    };
    let books =
        catalog.platforms.iter().flat_map(|platform| platform.runbooks.iter().map(move |book| (platform, book)));
    books.map(|(platform, book)| Listed { platform, book, cells: of(platform, book) }).collect()
}

/// Terms of a query: `platform:…`, `kind:…`, anything else is looked for in id, title and cells.
fn terms(query: &str) -> Vec<&str> {
    query.split_whitespace().collect()
}

fn list_href(terms: &[&str]) -> String {
    match terms.join(" ") {
        query if query.is_empty() => "/runbooks".to_owned(),
        query => format!("/runbooks?q={}", encode(&query)),
    }
}

fn bar(books: &[Listed<'_>], matched: &[&Listed<'_>], query: &str, terms: &[&str]) -> FilterBar {
    let without = |prefix: &str| terms.iter().copied().filter(|term| !term.starts_with(prefix)).collect::<Vec<_>>();
    let chip = |(i, term): (usize, &&str)| Chip {
        text: (*term).to_owned(),
        negated: false,
        remove: list_href(&[&terms[..i], &terms[i + 1..]].concat()),
    };
    let view = |label, kind: &str| {
        let rest = without("kind:");
        let wanted: Vec<&str> = rest.iter().copied().chain(Some(kind).filter(|kind| !kind.is_empty())).collect();
        View {
            label,
            count: words::count(books.iter().filter(|book| wanted.iter().all(|term| book.fits(term))).count() as u64),
            current: terms.iter().filter(|term| term.starts_with("kind:")).eq(Some(&kind).filter(|k| !k.is_empty())),
            href: list_href(&wanted),
        }
    };
    let mut platforms: Vec<&str> = matched.iter().map(|book| &*book.platform.key).collect();
    platforms.dedup();
    let facet = |platform: &&str| {
        let term = format!("platform:{platform}");
        Facet {
            mark: None,
            key: "platform",
            value: (*platform).to_owned(),
            count: words::count(matched.iter().filter(|book| &*book.platform.key == *platform).count() as u64),
            href: list_href(&[terms, &[&term]].concat()),
        }
    };
    let known = |name: &str| name == "platform" || name == "kind";
    let wrong = terms.iter().filter_map(|term| {
        let (name, _) = term.split_once(':').filter(|(name, _)| !known(name))?;
        let near = words::nearest(name, &["platform", "kind"]);
        let hint = near.map_or_else(String::new, |near| format!(" Did you mean “{near}”?"));
        Some(((*term).to_owned(), format!("There is no field “{name}” here; it is looked for as text.{hint}")))
    });
    FilterBar {
        action: "/runbooks".to_owned(),
        noun: "runbooks",
        hint: "kind:procedure platform:eucalyptus backup",
        query: query.to_owned(),
        wrong: wrong.collect(),
        chips: terms.iter().enumerate().map(chip).collect(),
        facets: if platforms.len() > 1 { platforms.iter().map(facet).collect() } else { Vec::new() },
        views: vec![view("All", ""), view("For failures", "kind:failure"), view("Planned work", "kind:procedure")],
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    after: Option<String>,
}

pub async fn list(State(state): State<WebState>, session: Session, Query(wanted): Query<Wanted>) -> Response {
    let visit = Visit::home(&state, session);
    let books = all(&visit.snapshot.catalog);
    let terms = terms(&wanted.q);
    let matched: Vec<&Listed<'_>> = books.iter().filter(|book| terms.iter().all(|term| book.fits(term))).collect();
    // A runbook that has gone begins the list anew.
    let from = wanted.after.as_deref().and_then(|id| matched.iter().position(|book| *book.book.id == *id));
    let from = from.map_or(0, |at| at + 1);
    let rows: Vec<BookRow> = matched.iter().skip(from).take(page_rows()).map(|book| book.row()).collect();
    let last = rows.last().filter(|_| from + rows.len() < matched.len());
    let next = last.map(|row| {
        let list = list_href(&terms);
        format!("{list}{}after={}", if list.contains('?') { '&' } else { '?' }, encode(&row.id))
    });
    html(&RunbooksPage {
        shell: visit.bare_shell(Section::Runbooks, &[], ""),
        matched: words::count(matched.len() as u64),
        total: words::count(books.len() as u64),
        filter: bar(&books, &matched, &wanted.q, &terms),
        range: match rows.len() {
            0 => "none".to_owned(),
            shown => format!("{} to {} of {}", from + 1, from + shown, words::count(matched.len() as u64)),
        },
        back: (from > 0).then(|| list_href(&terms)),
        rows,
        next,
    })
}

#[derive(Template)]
#[template(path = "book.html")]
pub struct BookPage {
    pub shell: Shell,
    pub id: String,
    pub title: String,
    pub href: String,
    pub kind: Kind,
    pub facts: Vec<(&'static str, String)>,
    /// Where the matrix tells of the failures that it mends, and their names.
    pub cells: Vec<(Option<String>, String)>,
    /// Runs that are under way.
    pub runs: Vec<(String, String)>,
    pub steps: RunbookView,
    pub start: Option<StartForm>,
}

/// Planned work: where, as what, and what would be done.
pub struct StartForm {
    pub hosts: Vec<String>,
    pub host: String,
    pub component: String,
    /// Components of the host that the runbook's platform knows.
    pub components: Vec<(String, String)>,
    pub plan: Option<Plan>,
    /// Why there is no plan.
    pub refused: Option<String>,
}

pub struct Plan {
    pub target: String,
    pub fragment: RunFragment,
    /// A run of the same on the same.
    pub under_way: Option<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Where {
    host: String,
    component: String,
}

impl Where {
    /// An empty choice is the host itself.
    fn component(&self) -> Option<&str> {
        Some(self.component.trim()).filter(|key| !key.is_empty())
    }
}

fn find<'a>(catalog: &'a Catalog, id: &str) -> Option<(&'a Arc<Platform>, &'a Runbook)> {
    let mut all =
        catalog.platforms.iter().flat_map(|platform| platform.runbooks.iter().map(move |book| (platform, book)));
    all.find(|(_, book)| *book.id == *id)
}

pub async fn show(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<String>,
    Query(at): Query<Where>,
) -> Response {
    let visit = Visit::home(&state, session);
    let catalog = &visit.snapshot.catalog;
    let Some((platform, book)) = find(catalog, &id) else {
        let what = format!("No runbook is called “{}”.", words::line(&id));
        return (StatusCode::NOT_FOUND, Html(login::refusal(StatusCode::NOT_FOUND, &what))).into_response();
    };
    let shell = visit.bare_shell(Section::Runbooks, &[], "");
    let live = visit.snapshot.runs.values().filter(|run| run.phase.is_live() && run.runbook.id == book.id);
    html(&BookPage {
        id: book.id.to_string(),
        title: book.title.clone(),
        href: href(&book.id),
        kind: Kind::of(book),
        facts: facts(platform, book),
        cells: cells(catalog, platform, book),
        runs: live.map(|run| (format!("/runs/{}", run.number), format!("{} on {}", run.name(), run.target))).collect(),
        steps: RunbookView::build(book),
        start: book.procedure.then(|| start_form(visit.ctx(), platform, book, &at)),
        shell,
    })
}

fn facts(platform: &Platform, book: &Runbook) -> Vec<(&'static str, String)> {
    let checks: Vec<&str> = book.verification.iter().map(|name| &**name).collect();
    let by_itself = "It may start by itself, where the configuration allows it";
    let all = [
        ("Platform", platform.key.to_string()),
        ("Steps", book.steps.len().to_string()),
        (
            "Downtime",
            if book.downtime > Span::ZERO { format!("{}, on its host", book.downtime) } else { String::new() },
        ),
        ("Verified by", checks.join(", ")),
        ("Well", words::plural(usize::from(book.intervals), "time in a row", "times in a row")),
        ("Automatic", if book.automatic { by_itself.to_owned() } else { String::new() }),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

fn cells(catalog: &Catalog, platform: &Platform, book: &Runbook) -> Vec<(Option<String>, String)> {
    let cloud = catalog.clouds.iter().find(|cloud| cloud.platform == platform.key);
    let cells = platform.cells.iter().filter(|cell| cell.runbook == book.id);
    let cell = cells.map(|cell| {
        let (component, kind) = (&cell.key.component, cell.key.failure_type.as_str());
        let place = cloud.map(|cloud| format!("/c/{}/matrix/{}/{kind}", encode(&cloud.name), encode(component)));
        (place, cell.key.to_string())
    });
    cell.collect()
}

/// Hosts of a cloud of that platform; every host, if no cloud is of it.
fn hosts_for(catalog: &Catalog, platform: &Platform) -> Vec<String> {
    let is_of = |cloud: Option<stentor_core::id::CloudId>| {
        cloud.is_some_and(|id| catalog.clouds[id.index()].platform == platform.key)
    };
    let any = catalog.hosts.iter().any(|host| is_of(host.cloud));
    let hosts = catalog.hosts.iter().filter(|host| !any || is_of(host.cloud));
    hosts.take(SUGGESTIONS_MAX).map(|host| host.name.to_string()).collect()
}

fn components_of(catalog: &Catalog, platform: &Platform, host: &str) -> Vec<(String, String)> {
    let Some(host) = catalog.host_id(host).map(|id| &catalog.hosts[id.index()]) else { return Vec::new() };
    let own = host.components.iter().map(|id| &catalog.components[id.index()]);
    let known = own.filter(|component| component.platform == platform.key).map(|component| {
        let kind = platform.components.iter().find(|kind| kind.key == component.key);
        let name = kind.map_or_else(|| component.key.to_string(), |kind| kind.name.to_string());
        (component.key.to_string(), name)
    });
    known.collect()
}

fn start_form(ctx: Ctx<'_>, platform: &Platform, book: &Runbook, at: &Where) -> StartForm {
    let catalog = &ctx.snapshot.catalog;
    let host = at.host.trim();
    let asked = (!host.is_empty()).then(|| runbook::facts::procedure(catalog, &book.id, host, at.component()));
    let (plan, refused) = match asked {
        None => (None, None),
        Some(Ok((book, target))) => (Some(plan(ctx, book, target)), None),
        Some(Err(error)) => (None, Some(words::sentence(&format!("{error}.")))),
    };
    StartForm {
        hosts: hosts_for(catalog, platform),
        host: host.to_owned(),
        component: at.component.trim().to_owned(),
        components: components_of(catalog, platform, host),
        plan,
        refused,
    }
}

fn plan(ctx: Ctx<'_>, book: &Runbook, target: RunTarget) -> Plan {
    let same = |run: &&Arc<runbook::Run>| run.phase.is_live() && run.runbook.id == book.id && run.target == target;
    let under_way = ctx.snapshot.runs.values().find(same);
    let planned = runs::planned(ctx.snapshot, book, None, target.clone(), ctx.me);
    Plan {
        target: target.to_string(),
        under_way: under_way.map(|run| (format!("/runs/{}", run.number), run.name())),
        fragment: RunFragment::plan(ctx, &planned),
    }
}

/// POST `/runbooks/{id}/start`
pub async fn start(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<String>,
    Form(at): Form<Where>,
) -> Result<Response, Refusal> {
    let host = at.host.trim();
    if host.is_empty() {
        return Err(Problem::invalid("the form names no host").into());
    }
    let action = RunAction::StartProcedure {
        runbook: id.as_str().into(),
        host: host.into(),
        component: at.component().map(Into::into),
    };
    let to = match runs::ask(&state, &session, action, None).await? {
        Reply::Run(number) => format!("/runs/{number}"),
        Reply::Repeated | Reply::Done | Reply::DowntimeScheduled(_) | Reply::CommentAdded(_) | Reply::TestsSent(_) => {
            href(&id)
        }
    };
    Ok(Redirect::to(&to).into_response())
}

/// A GET of the form's target (a reload after an error) leads to the runbook and does nothing.
pub async fn again(Path(id): Path<String>) -> Redirect {
    Redirect::to(&href(&id))
}
