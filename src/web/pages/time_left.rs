//! How long until what an incident is about fails, or is well: a tag in lists, a panel on its page.

use askama::Template;
use stentor_core::Timestamp;
use stentor_core::model::Incident;
use stentor_core::timeleft::{self, Basis, Ends, TimeLeft, What};

use super::shell::Ctx;
use crate::web::links::encode;
use crate::web::parts as p;
use crate::web::words;

/// Ends listed on the page of one incident.
const ROWS_MAX: usize = 12;
/// Nearer than this is a warning.
const SOON_MS: i64 = 3_600_000;
/// A trend is not known to the second.
const MINUTE_MS: i64 = 60_000;

/// The panel; empty where nothing is known.
#[derive(Template)]
#[template(path = "frag_left.html")]
pub struct LeftFragment {
    pub rows: Vec<LeftRow>,
    pub more: usize,
}

pub struct LeftRow {
    pub mark: p::Mark,
    pub what: String,
    pub at: p::When,
    pub left: String,
    pub why: String,
    pub confidence: String,
    pub href: String,
    pub service: String,
}

impl LeftFragment {
    pub fn build(ctx: Ctx<'_>, incident: &Incident) -> LeftFragment {
        let left = timeleft::of_incident(ctx.snapshot, incident);
        let more = left.len().saturating_sub(ROWS_MAX);
        LeftFragment { rows: left.into_iter().take(ROWS_MAX).map(|left| row(ctx, left)).collect(), more }
    }
}

fn row(ctx: Ctx<'_>, left: TimeLeft) -> LeftRow {
    let service = &ctx.snapshot.catalog.services[left.service.index()];
    let host = &ctx.snapshot.catalog.hosts[service.host.index()].name;
    let at = rounded(&left);
    LeftRow {
        mark: match left.what.ends() {
            Ends::Relief => p::Mark::Pend,
            Ends::Failure if is_soon(ctx.now, at) => p::Mark::Crit,
            Ends::Failure => p::Mark::Warn,
        },
        what: end_words(&left),
        left: if at <= ctx.now { "now".to_owned() } else { format!("in {}", words::age(at.since(ctx.now))) },
        at: p::When { at, now: ctx.now },
        confidence: format!("{:.0}", left.confidence * 100.0),
        why: left.why,
        href: format!("/h/{}/{}", encode(host), encode(&service.name)),
        service: format!("{host} {}", service.name),
    }
}

/// What a list says of an incident; `None` = nothing is known.
pub fn tag(ctx: Ctx<'_>, incident: &Incident) -> Option<p::Tag> {
    let left = timeleft::of_incident(ctx.snapshot, incident).into_iter().next()?;
    let at = rounded(&left);
    let tone = match left.what.ends() {
        Ends::Relief => "",
        Ends::Failure if is_soon(ctx.now, at) => "crit",
        Ends::Failure => "warn",
    };
    Some(p::Tag::new("clock", words::cut(&short(&left, at, ctx.now), 60), tone))
}

/// `Battery empty about 14:32`, `md0 whole again about 14:32`
pub fn short(left: &TimeLeft, at: Timestamp, now: Timestamp) -> String {
    let about = if left.basis == Basis::Trend || left.confidence < 1.0 { "about " } else { "" };
    // The seconds of an estimate are noise, and would send the row anew with each of them.
    let clock = words::clock(at, now);
    let clock = clock.strip_suffix(":00").unwrap_or(&clock);
    let end = end_words(left);
    if at <= now { format!("{end} now") } else { format!("{end} {about}{clock}") }
}

/// What happens at the end.
fn end_words(left: &TimeLeft) -> String {
    match left.what {
        What::Ups => format!("Battery of {} empty", left.subject),
        What::Disk => format!("{} full", left.subject),
        What::DatabaseLog => format!("{} fills its room", left.subject),
        What::Certificate => "Certificate ends".to_owned(),
        What::Signature => format!("{} signature ends", left.subject),
        What::DiskWear => format!("{} worn out", left.subject),
        What::Rebuild => format!("{} whole again", left.subject),
        What::Resync => format!("{} in sync again", left.subject),
    }
}

/// Estimates at full minutes, dates as they are.
pub fn rounded(left: &TimeLeft) -> Timestamp {
    if left.confidence >= 1.0 {
        return left.at;
    }
    Timestamp::from_millis((left.at.as_millis() + MINUTE_MS / 2).div_euclid(MINUTE_MS) * MINUTE_MS)
}

fn is_soon(now: Timestamp, at: Timestamp) -> bool {
    at.since(now).as_millis() < SOON_MS
}

#[cfg(test)]
mod tests {
    use stentor_core::id::ServiceId;

    use super::*;

    #[test]
    fn estimates_are_told_to_the_minute_and_dates_as_they_are() {
        let now = Timestamp::from_secs(1_795_000_000);
        let left = |what, confidence, after: i64| TimeLeft {
            what,
            subject: "/var".to_owned(),
            at: Timestamp::from_secs(1_795_000_000 + after),
            basis: Basis::Trend,
            confidence,
            why: String::new(),
            service: ServiceId(0),
        };
        let full = left(What::Disk, 0.7, 1234);
        let text = short(&full, rounded(&full), now);
        assert!(text.starts_with("/var full about ") && text.len() == "/var full about 00:00".len(), "{text}");
        let ended = left(What::Certificate, 1.0, -5);
        assert_eq!(short(&ended, rounded(&ended), now), "Certificate ends now");
    }
}
