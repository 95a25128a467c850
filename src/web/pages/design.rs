//! `/c/{cloud}/design`: which next fault will this design not bear?

use askama::Template;
use stentor_core::design::{About, Basis, Finding, Lint, Unchecked, unchecked};

use super::shell::{Ctx, Shell};
use crate::web::api::design::findings;
use crate::web::links::encode;
use crate::web::parts as p;
use crate::web::words;

/// Findings of one lint on the page; the API has all.
const ROWS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "design.html")]
pub struct DesignPage {
    pub shell: Shell,
    pub sub: String,
    pub list: DesignFragment,
}

#[derive(Template)]
#[template(path = "frag_design.html")]
pub struct DesignFragment {
    pub groups: Vec<Group>,
    pub accepted: Vec<Row>,
    pub lints: usize,
    pub unchecked: Vec<Unasked>,
}

/// A lint that nobody can answer here.
pub struct Unasked {
    pub target: String,
    pub title: &'static str,
    pub needs: String,
}

/// All weak points of one sort.
pub struct Group {
    pub id: String,
    pub title: &'static str,
    pub risk: &'static str,
    pub remedy: &'static str,
    pub source: &'static str,
    pub count: String,
    pub rows: Vec<Row>,
    pub more: usize,
}

pub struct Row {
    pub target: String,
    pub href: Option<String>,
    pub detail: String,
    pub seen: bool,
    pub title: &'static str,
    pub reason: String,
}

impl DesignFragment {
    pub fn build(ctx: Ctx<'_>) -> DesignFragment {
        let found: Vec<Finding> = in_scope(ctx, findings(ctx.snapshot));
        let (accepted, open): (Vec<&Finding>, Vec<&Finding>) =
            found.iter().partition(|finding| finding.accepted.is_some());
        let groups = Lint::ALL.into_iter().filter_map(|lint| {
            let of_lint: Vec<&&Finding> = open.iter().filter(|finding| finding.lint == lint).collect();
            let words = lint.words();
            (!of_lint.is_empty()).then(|| Group {
                id: lint.id().to_owned(),
                title: words.title,
                risk: words.risk,
                remedy: words.remedy,
                source: words.source,
                count: words::count(of_lint.len() as u64),
                more: of_lint.len().saturating_sub(ROWS_MAX),
                rows: of_lint.into_iter().take(ROWS_MAX).map(|finding| row(ctx, finding)).collect(),
            })
        });
        DesignFragment {
            groups: groups.collect(),
            accepted: accepted.into_iter().take(ROWS_MAX).map(|finding| row(ctx, finding)).collect(),
            lints: Lint::ALL.len(),
            unchecked: unasked(ctx),
        }
    }
}

fn unasked(ctx: Ctx<'_>) -> Vec<Unasked> {
    let in_scope = |one: &Unchecked| {
        one.about == About::Switch || ctx.scope.cloud_name().is_none_or(|cloud| *one.target == *cloud)
    };
    let all = unchecked(&ctx.snapshot.catalog).into_iter().filter(in_scope).take(ROWS_MAX);
    let row =
        |one: Unchecked| Unasked { target: one.target.to_string(), title: one.lint.words().title, needs: one.needs };
    all.map(row).collect()
}

/// Of a cloud: its own, those of its hosts, and those of the switches, which all share.
fn in_scope(ctx: Ctx<'_>, mut found: Vec<Finding>) -> Vec<Finding> {
    found.retain(|finding| match (finding.about, ctx.scope.cloud_name()) {
        (_, None) | (About::Switch, _) => true,
        (About::Cloud, Some(cloud)) => &*finding.target == cloud,
        (About::Host, Some(_)) => {
            let host = ctx.snapshot.host(&finding.target);
            host.is_some_and(|host| ctx.scope.contains(ctx.snapshot.catalog.hosts[host.index()].cloud))
        }
    });
    found
}

/// For the overview: how many weak points nobody has accepted, and where they are told. Counted when the page is opened:
/// a design does not change while one looks.
pub fn note(ctx: Ctx<'_>) -> Option<(String, String)> {
    let open = in_scope(ctx, findings(ctx.snapshot)).iter().filter(|finding| finding.accepted.is_none()).count();
    (open > 0).then(|| {
        let many = words::plural(open, "weak point of the design is known", "weak points of the design are known");
        (many, ctx.scope.path("/design"))
    })
}

fn row(ctx: Ctx<'_>, finding: &Finding) -> Row {
    let is_host = ctx.snapshot.host(&finding.target).is_some() && finding.about != About::Cloud;
    Row {
        target: finding.target.to_string(),
        href: is_host.then(|| format!("/h/{}", encode(&finding.target))),
        detail: finding.detail.clone(),
        seen: finding.basis == Basis::Seen,
        title: finding.lint.words().title,
        reason: finding.accepted.as_deref().unwrap_or_default().to_owned(),
    }
}

pub fn build(ctx: Ctx<'_>, shell: Shell) -> DesignPage {
    let list = DesignFragment::build(ctx);
    let open: usize = list.groups.iter().map(|group| group.rows.len() + group.more).sum();
    let sub = match open {
        0 => "None of the weak points that Stentor looks for is known here.".to_owned(),
        n => format!(
            "What works today and will not bear the next fault: {}.",
            words::plural(n, "weak point", "weak points")
        ),
    };
    DesignPage { shell, sub, list }
}
