//! `/demo`: every fault with its button and what must be diagnosed; `/demo/mail`: what was mailed.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use stentor_core::snapshot::Snapshot;

use super::control::{Demo, allowed, concerns};
use super::fault::{Fault, Kind};
use super::mailbox::Mail;
use super::message;
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::pages::shell::{Section, Shell};
use crate::web::pages::{self, Visit};
use crate::web::parts as p;
use crate::web::problem::Problem;
use crate::web::words;

/// Messages listed; older ones are in `/demo/mails`.
const MAILS_LISTED_MAX: usize = 100;

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    shell: Shell,
    groups: Vec<Group>,
    active: usize,
    mails: usize,
}

/// The faults of one component, or of one kind of hardware.
struct Group {
    id: String,
    name: String,
    note: String,
    rows: Vec<FaultRow>,
}

struct FaultRow {
    name: String,
    says: String,
    active: bool,
    /// The live incident about the struck host.
    incident: Option<(String, String)>,
    /// `server down (power off)`
    expect: String,
    cell: Option<String>,
}

#[derive(Template)]
#[template(path = "demo_mails.html")]
struct MailsPage {
    shell: Shell,
    mails: Vec<MailRow>,
    more: usize,
}

struct MailRow {
    href: String,
    subject: String,
    to: String,
    date: String,
}

#[derive(Template)]
#[template(path = "demo_mail.html")]
struct MailPage {
    shell: Shell,
    row: MailRow,
    text: String,
    raw: String,
}

/// Pages and their forms, relative to `/demo`.
pub(super) fn routes(demo: Demo) -> Router<WebState> {
    let (toggle, all, list, one) = (demo.clone(), demo.clone(), demo.clone(), demo.clone());
    Router::new()
        .route(
            "/",
            get(move |State(web): State<WebState>, session: Session| async move { show(&demo, &web, session).await }),
        )
        .route(
            "/toggle",
            post(move |session: Session, Form(form): Form<Toggle>| async move {
                toggled(&toggle, &session, &form.name).await
            }),
        )
        .route(
            "/heal-everything",
            post(move |session: Session| async move {
                allowed(&session)?;
                all.sim.heal_all().await;
                Ok::<_, Problem>(Redirect::to("/demo"))
            }),
        )
        .route(
            "/mail",
            get(move |State(web): State<WebState>, session: Session| async move { show_mails(&list, &web, session) }),
        )
        .route(
            "/mail/{number}",
            get(move |State(web): State<WebState>, session: Session, Path(number): Path<u64>| async move {
                show_mail(&one, &web, session, number)
            }),
        )
        .layer(middleware::from_fn(pages::as_page))
        .layer(middleware::from_fn(pages::security_headers))
}

#[derive(Deserialize)]
struct Toggle {
    name: String,
}

/// The buttons: injects what is well, heals what is not, and shows the page again where one was.
async fn toggled(demo: &Demo, session: &Session, name: &str) -> Result<Response, Problem> {
    allowed(session)?;
    let fault = Fault::find(name).ok_or_else(|| Problem::not_found(format!("fault `{name}`")))?;
    if !demo.sim.inject(fault).await {
        demo.sim.heal(fault).await;
    }
    Ok(Redirect::to(&format!("/demo#{}", group_key(fault))).into_response())
}

async fn show(demo: &Demo, web: &WebState, session: Session) -> Response {
    let active = demo.sim.active().await;
    let visit = Visit::home(web, session);
    pages::html(&DemoPage {
        groups: groups(&visit, &active),
        active: active.len(),
        mails: demo.mailbox.all().len(),
        shell: visit.bare_shell(Section::Demo, &[], ""),
    })
}

fn show_mails(demo: &Demo, web: &WebState, session: Session) -> Result<Response, Problem> {
    allowed(&session)?;
    let all = demo.mailbox.all();
    let rows = all.iter().rev().take(MAILS_LISTED_MAX).map(|mail| mail_row(mail)).collect();
    let shell = Visit::home(web, session).bare_shell(Section::Demo, &[], "");
    Ok(pages::html(&MailsPage { shell, mails: rows, more: all.len().saturating_sub(MAILS_LISTED_MAX) }))
}

fn show_mail(demo: &Demo, web: &WebState, session: Session, number: u64) -> Result<Response, Problem> {
    allowed(&session)?;
    let all = demo.mailbox.all();
    let mail = all.iter().find(|mail| mail.number == number);
    let mail = mail.ok_or_else(|| Problem::not_found(format!("message {number}; the oldest ones are dropped")))?;
    let shell = Visit::home(web, session).bare_shell(Section::Demo, &[], "");
    let text = message::text(&mail.raw).unwrap_or_else(|| mail.raw.clone());
    Ok(pages::html(&MailPage { shell, row: mail_row(mail), text, raw: mail.raw.clone() }))
}

fn mail_row(mail: &Mail) -> MailRow {
    MailRow {
        href: format!("/demo/mail/{}", mail.number),
        subject: message::words(&mail.subject),
        to: mail.to.join(", "),
        date: mail.date.clone(),
    }
}

/// Which group a fault belongs to; also the anchor on the page.
fn group_key(fault: Fault) -> &'static str {
    match (fault.kind, fault.component) {
        (Kind::Psu, _) => "psu",
        (Kind::Raid, _) => "raid",
        (Kind::Bond, _) => "bond",
        (Kind::Path | Kind::Paths, _) => "path",
        (Kind::Drbd | Kind::SplitBrain, _) => "drbd",
        (Kind::Stack | Kind::Feed | Kind::Ups | Kind::Rack, _) => "shared",
        (Kind::Jvm, _) | (_, None) => "jvm",
        (_, Some(component)) => component,
    }
}

fn groups(visit: &Visit, active: &BTreeSet<Fault>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for fault in Fault::all() {
        let key = group_key(fault);
        let row = FaultRow::build(visit, fault, active.contains(&fault));
        match groups.iter_mut().find(|group| group.id == key) {
            Some(group) => group.rows.push(row),
            None => {
                let (name, note) = group_words(&visit.snapshot, fault);
                groups.push(Group { id: key.to_owned(), name, note, rows: vec![row] });
            }
        }
    }
    groups
}

/// Heading of a group and what stands beside it.
fn group_words(snapshot: &Snapshot, fault: Fault) -> (String, String) {
    let hardware = |name: &str| (name.to_owned(), "users notice nothing".to_owned());
    match (fault.kind, fault.component) {
        (Kind::Psu, _) => hardware("Power supplies"),
        (Kind::Raid, _) => hardware("RAID"),
        (Kind::Bond, _) => hardware("Bonded links"),
        (Kind::Path | Kind::Paths, _) => hardware("SAN paths"),
        (Kind::Drbd | Kind::SplitBrain, _) => hardware("Replicated disks"),
        (Kind::Stack | Kind::Feed | Kind::Ups | Kind::Rack, _) => {
            ("Switches and power".to_owned(), "every host loses a spare at once".to_owned())
        }
        (Kind::Jvm, _) | (_, None) => ("Java process".to_owned(), "several components at once".to_owned()),
        (_, Some(key)) => {
            let known = snapshot.catalog.platforms.iter().flat_map(|platform| &platform.components);
            let name = known.into_iter().find(|component| &*component.key == key);
            let name = name.map_or_else(|| key.to_owned(), |c| pages::overview::short_name(&c.name));
            (name, format!("on {}", fault.host))
        }
    }
}

impl FaultRow {
    fn build(visit: &Visit, fault: Fault, active: bool) -> FaultRow {
        let expect = fault.expect();
        let live = visit.snapshot.incidents.values().rev();
        let about = live.filter(|incident| incident.phase.is_live() && concerns(incident, fault));
        let wanted = |incident: &&std::sync::Arc<stentor_core::model::Incident>| {
            incident.verdict.class.as_str() == expect.class && *incident.verdict.subtype == *expect.subtype
        };
        let incident = about.into_iter().find(wanted).filter(|_| active);
        let cell = expect.cell.as_deref().and_then(|key| {
            let mut parts = key.split('/').skip(1);
            let (component, failure_type) = (parts.next()?, parts.next()?);
            Some(visit.scope.path(&format!("/matrix/{component}/{failure_type}")))
        });
        FaultRow {
            name: fault.name(),
            says: words::sentence(&fault.says()),
            active,
            incident: incident.map(|i| (format!("/i/{}", i.number), format!("INC-{}", i.number))),
            expect: format!("{} ({})", words::sentence(&words::spaced(expect.class)), words::spaced(&expect.subtype)),
            cell,
        }
    }
}
