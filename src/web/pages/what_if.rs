//! `/c/{cloud}/what-if`: what would the loss of this be, and what is a single point of failure?

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use stentor_core::availability::{Redundancy, State};
use stentor_core::snapshot::Snapshot;
use stentor_core::whatif::{Answer, Element, UnknownElement, World};

use super::availability::mark_of;
use super::shell::{Ctx, Section, Shell};
use super::{Scoped, html, login};
use crate::web::parts::{self as p, Mark};
use crate::web::words;

#[derive(Template)]
#[template(path = "what_if.html")]
pub struct WhatIfPage {
    pub shell: Shell,
    /// What was asked, as it stands in the field.
    pub asked: String,
    pub present: bool,
    pub groups: Vec<Group>,
    pub refused: Option<String>,
    pub answer: Option<Shown>,
    pub ranking: Option<Ranking>,
    pub all_href: String,
}

/// Names to pick from, of one kind.
pub struct Group {
    pub label: &'static str,
    pub elements: Vec<String>,
}

pub struct Shown {
    pub title: String,
    pub dark: String,
    pub changes: Vec<Change>,
    pub incidents: Vec<IncidentRow>,
    pub out: String,
}

pub struct Change {
    pub name: String,
    pub before: (Mark, &'static str),
    pub after: (Mark, &'static str),
    pub spare: String,
    pub because: String,
}

pub struct IncidentRow {
    pub mark: Mark,
    pub title: String,
    pub impact: &'static str,
    pub runbook: String,
    pub effects: String,
}

pub struct Ranking {
    pub single: usize,
    pub of: usize,
    pub rows: Vec<RankRow>,
}

pub struct RankRow {
    pub element: String,
    pub href: String,
    pub mark: Mark,
    pub core: &'static str,
    pub incident: String,
    pub impact: &'static str,
    pub out: usize,
    pub single: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    x: String,
    add: String,
    world: String,
    all: String,
}

/// Rows of the ranking; what is below takes nothing from anybody.
const RANKED_MAX: usize = 60;
/// Elements that are tried one by one for a page.
const TRIED_MAX: usize = 3000;
/// Names of one kind to pick from; others are typed.
const PICKED_MAX: usize = 300;
const ASSUMED_MAX: usize = 100;

enum Outcome {
    Nothing,
    Refused(String),
    Answer(Box<Answer>),
    All(Vec<Answer>),
}

pub async fn show(scoped: Scoped, asked: axum::extract::Query<Asked>) -> Response {
    let visit = scoped.visit;
    let asked = asked.0;
    let texts: Vec<String> = [asked.x.as_str(), asked.add.as_str()]
        .iter()
        .flat_map(|text| text.split(','))
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .take(ASSUMED_MAX)
        .collect();
    let present = asked.world == "present";
    let (snapshot, all) = (Arc::clone(&visit.snapshot), asked.all == "1" && texts.is_empty());
    let field = texts.join(", ");
    // Many diagnoses: not on a thread that others wait for.
    let outcome = tokio::task::spawn_blocking(move || think(&snapshot, &texts, present, all)).await;
    let Ok(outcome) = outcome else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return (status, Html(login::refusal(status, "The answer could not be computed."))).into_response();
    };
    let shell = visit.bare_shell(Section::WhatIf, &[], "");
    html(&build(visit.ctx(), shell, field, present, &outcome))
}

fn think(snapshot: &Snapshot, texts: &[String], present: bool, all: bool) -> Outcome {
    if texts.is_empty() && !all {
        return Outcome::Nothing;
    }
    let world = if present { World::present(snapshot) } else { World::healthy(&snapshot.catalog, snapshot.at) };
    if all {
        let count = Element::all(&snapshot.catalog).len();
        if count > TRIED_MAX {
            return Outcome::Refused(format!(
                "There are {count} single elements, too many to try all for a page: `stentor what-if --all` does."
            ));
        }
        return Outcome::All(world.ask_all());
    }
    let elements: Result<Vec<Element>, UnknownElement> = texts.iter().map(|text| Element::parse(text)).collect();
    match elements.and_then(|elements| world.ask(&elements)) {
        Ok(answer) => Outcome::Answer(Box::new(answer)),
        Err(UnknownElement::Name { mode, name, known }) => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let near =
                words::nearest(&name, &known).map_or_else(String::new, |near| format!(" Did you mean “{near}”?"));
            Outcome::Refused(format!("There is no {mode} “{name}”.{near}"))
        }
        Err(error @ UnknownElement::Form(_)) => Outcome::Refused(words::sentence(&error.to_string())),
    }
}

fn build(ctx: Ctx<'_>, shell: Shell, field: String, present: bool, outcome: &Outcome) -> WhatIfPage {
    let mut page = WhatIfPage {
        shell,
        asked: field,
        present,
        groups: groups(ctx.snapshot),
        refused: None,
        answer: None,
        ranking: None,
        all_href: ctx.scope.path("/what-if?all=1"),
    };
    match outcome {
        Outcome::Nothing => {}
        Outcome::Refused(why) => page.refused = Some(why.clone()),
        Outcome::Answer(answer) => page.answer = Some(shown(answer)),
        Outcome::All(answers) => page.ranking = Some(ranking(ctx, answers)),
    }
    page
}

fn groups(snapshot: &Snapshot) -> Vec<Group> {
    use stentor_core::whatif::Mode;
    use stentor_core::whatif::element::known;
    let kinds = [
        ("Hosts", Mode::Host),
        ("Components", Mode::Component),
        ("Switches", Mode::Switch),
        ("Members of stacks", Mode::Member),
        ("Feeds", Mode::Feed),
        ("UPSes", Mode::Ups),
        ("UPSes on battery", Mode::Battery),
        ("Storage and backends", Mode::Backend),
        ("Zones", Mode::Zone),
    ];
    let group = |(label, mode): (&'static str, Mode)| {
        let names = known(mode, &snapshot.catalog).into_iter().take(PICKED_MAX);
        Group { label, elements: names.map(|name| format!("{}:{name}", mode.as_str())).collect() }
    };
    kinds.into_iter().map(group).filter(|group| !group.elements.is_empty()).collect()
}

fn spare(before: Option<Redundancy>, after: Option<Redundancy>) -> String {
    match (before, after) {
        (Some(before), Some(after)) => format!("{} → {} of {}", before.left, after.left, after.of),
        (_, Some(after)) => format!("{} of {}", after.left, after.of),
        (_, None) => String::new(),
    }
}

fn shown(answer: &Answer) -> Shown {
    let state = |state: State| (mark_of(state), state.as_str());
    let cores = answer.clouds.iter().map(|cloud| Change {
        name: format!("Core of {}", cloud.cloud),
        before: state(cloud.before.state.into()),
        after: state(cloud.after.state.into()),
        spare: spare(cloud.before.redundancy, cloud.after.redundancy),
        because: cloud.after.because.join("; "),
    });
    let services = answer.business.iter().map(|one| Change {
        name: one.name.to_string(),
        before: state(one.before.state),
        after: state(one.after.state),
        spare: spare(one.before.redundancy, one.after.redundancy),
        because: one.after.because.join(", "),
    });
    let assumed: Vec<String> = answer.assumed.iter().map(ToString::to_string).collect();
    let out: Vec<&str> = answer.clouds.iter().flat_map(|cloud| &cloud.out_of_service).map(String::as_str).collect();
    Shown {
        title: format!("If {} {}", assumed.join(" and "), if assumed.len() == 1 { "fails" } else { "fail" }),
        dark: answer.dark.join(", "),
        changes: cores.chain(services).collect(),
        incidents: answer.incidents().map(incident).collect(),
        out: out.join(", "),
    }
}

fn place(host: Option<&str>, component: Option<&str>) -> String {
    match (host, component) {
        (Some(host), Some(component)) => format!("{component} on {host}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "this site".to_owned(),
    }
}

fn incident(verdict: &stentor_core::whatif::Expected) -> IncidentRow {
    let target = &verdict.target;
    let effects: Vec<String> =
        verdict.suppressed.iter().map(|one| place(one.host.as_deref(), one.component.as_deref())).collect();
    IncidentRow {
        mark: Mark::of_severity(verdict.severity),
        title: format!(
            "{}: {} ({})",
            place(target.host.as_deref(), target.component.as_deref()),
            words::spaced(verdict.class.as_str()),
            words::spaced(&verdict.subtype)
        ),
        impact: verdict.impact.as_str(),
        runbook: verdict.runbook.to_string(),
        effects: effects.join(", "),
    }
}

fn ranking(ctx: Ctx<'_>, answers: &[Answer]) -> Ranking {
    let row = |answer: &Answer| {
        let element = answer.assumed.first().map(ToString::to_string).unwrap_or_default();
        let core = answer.clouds.iter().map(|cloud| State::from(cloud.after.state)).min().unwrap_or(State::Available);
        RankRow {
            href: ctx.scope.path(&format!("/what-if?x={}", crate::web::links::encode(&element))),
            mark: mark_of(core),
            core: core.as_str(),
            incident: words::spaced(&answer.headline()),
            impact: answer.weight().impact.as_str(),
            out: answer.weight().out,
            single: answer.is_single_point(),
            element,
        }
    };
    Ranking {
        single: answers.iter().filter(|answer| answer.is_single_point()).count(),
        of: answers.len(),
        rows: answers.iter().take(RANKED_MAX).map(row).collect(),
    }
}
