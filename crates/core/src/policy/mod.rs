//! Who is told, and why not: an ordered list of stages from an incident to one contact's channel.
//!
//! Each stage lets a message pass or holds it with a reason; nothing is dropped without a record (invariant 6).

pub mod notice;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Contact, RouteMatch};
use crate::diagnosis::Severity;
use crate::id::{ContactId, TimeperiodId};
use crate::model::{Incident, Notification, Phase, Reason, Withheld};
use crate::{Span, Timestamp};

pub use trial::Test;

/// Incident, contact, channel.
type Slot = (u64, Arc<str>, Arc<str>);

/// The slots of one incident; they stand together in the order of the map.
fn of_incident<T>(map: &BTreeMap<Slot, T>, incident: u64) -> Vec<Slot> {
    let first: Slot = (incident, "".into(), "".into());
    map.range(first..).map(|(slot, _)| slot).take_while(|slot| slot.0 == incident).cloned().collect()
}

/// What one contact was told about one incident on one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub generation: u32,
    pub at: Timestamp,
    /// Messages so far; part of the key of re-notifications.
    pub count: u32,
    /// The last of them said that it is over: if it comes back, that is a problem again and no change.
    pub is_over: bool,
}

/// Everything that was told or withheld about live incidents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    told: BTreeMap<Slot, Told>,
    /// The last stage that held a message back, so that it is reported once and not every second.
    held: BTreeMap<Slot, Arc<str>>,
}

/// Facts about an incident that the stages need and the incident itself does not carry.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Its target, or every problem of it, is in a downtime.
    pub in_downtime: bool,
    /// Every problem of it depends on something that has failed: the first of that.
    pub leans_on: Option<String>,
    /// A command switched the notifications of every problem of it off.
    pub untold: bool,
}

/// What the policy decided in one pass.
#[derive(Debug, Default)]
pub struct Decisions {
    pub send: Vec<Notification>,
    pub withheld: Vec<Withheld>,
}

/// Who acknowledged, for the messages about it.
#[derive(Clone, Debug)]
pub struct By {
    pub who: Arc<str>,
    pub comment: Arc<str>,
}

/// One question to the stages.
struct Case<'a> {
    catalog: &'a Catalog,
    incident: &'a Incident,
    situation: &'a Situation,
    contact: &'a Contact,
    route_period: Option<TimeperiodId>,
    reason: Reason,
    at: Timestamp,
}

/// A stage: `Some(why)` holds the message back.
type Stage = (&'static str, fn(&Case<'_>) -> Option<String>);

/// The whole policy, in order.
const STAGES: &[Stage] = &[
    ("disabled", switched_off),
    ("downtime", in_downtime),
    ("dependency", leans_on_failed),
    ("acknowledged", acknowledged),
    ("severity", below_contact_severity),
    ("period", outside_period),
];

/// Names of the stages in the order in which a message passes them; the first finds its recipients.
pub fn stages() -> impl Iterator<Item = &'static str> {
    std::iter::once("route").chain(STAGES.iter().map(|(name, _)| *name))
}

fn in_downtime(case: &Case<'_>) -> Option<String> {
    let tells_of_trouble = matches!(case.reason, Reason::Problem | Reason::Changed | Reason::Renotify);
    (tells_of_trouble && case.situation.in_downtime).then(|| "planned downtime is running".to_owned())
}

fn switched_off(case: &Case<'_>) -> Option<String> {
    let tells_of_trouble = matches!(case.reason, Reason::Problem | Reason::Changed | Reason::Renotify);
    (tells_of_trouble && case.situation.untold).then(|| "its notifications are switched off".to_owned())
}

fn leans_on_failed(case: &Case<'_>) -> Option<String> {
    let tells_of_trouble = matches!(case.reason, Reason::Problem | Reason::Changed | Reason::Renotify);
    let master = case.situation.leans_on.as_ref().filter(|_| tells_of_trouble)?;
    Some(format!("it depends on {master}"))
}

fn acknowledged(case: &Case<'_>) -> Option<String> {
    let ack = case.incident.ack.as_ref()?;
    matches!(case.reason, Reason::Problem | Reason::Changed | Reason::Renotify).then(|| format!("{} has it", ack.by))
}

fn below_contact_severity(case: &Case<'_>) -> Option<String> {
    let severity = case.incident.severity();
    (severity < case.contact.severity_min)
        .then(|| format!("{} is below {} wants", severity.as_str(), case.contact.name))
}

fn outside_period(case: &Case<'_>) -> Option<String> {
    for id in [case.contact.period, case.route_period].into_iter().flatten() {
        if !case.catalog.in_period(id, case.at) {
            let period = &case.catalog.timeperiods[id.index()];
            return Some(format!("outside timeperiod {}", period.name));
        }
    }
    None
}

impl Ledger {
    /// Looks at one live incident and says what must be sent now: first pages, changes, re-notifications.
    pub fn page(
        &mut self,
        catalog: &Catalog,
        incident: &Arc<Incident>,
        situation: &Situation,
        at: Timestamp,
        seq: u64,
    ) -> Decisions {
        let mut decisions = Decisions::default();
        if incident.phase != Phase::Open || incident.severity() == Severity::Info {
            return decisions;
        }
        let recipients = recipients(catalog, incident);
        if recipients.is_empty() {
            self.hold_unrouted(incident, at, &mut decisions);
            return decisions;
        }
        for (id, route_period) in recipients {
            let contact = &catalog.contacts[id.index()];
            for (channel, address) in &contact.channels {
                let slot = (incident.number, Arc::clone(&contact.name), Arc::clone(channel));
                let Some(reason) = due_reason(catalog, incident, self.told.get(&slot), at) else { continue };
                let case = Case { catalog, incident, situation, contact, route_period, reason, at };
                if self.is_held(&case, &slot, &mut decisions) {
                    continue;
                }
                let told = self.told.entry(slot).or_insert(Told { generation: 0, at, count: 0, is_over: false });
                told.generation = incident.generation;
                told.is_over = false;
                told.at = at;
                told.count += 1;
                let message = Outgoing { reason, count: told.count, channel, address, by: None };
                decisions.send.push(notification(catalog, incident, contact, message, at, seq));
            }
        }
        decisions
    }

    fn hold_unrouted(&mut self, incident: &Arc<Incident>, at: Timestamp, decisions: &mut Decisions) {
        let slot = (incident.number, Arc::<str>::from(""), Arc::<str>::from(""));
        if self.held.insert(slot, "route".into()).is_none() {
            decisions.withheld.push(Withheld {
                incident: incident.number,
                reason: Reason::Problem,
                contact: None,
                stage: "route".into(),
                why: "no route matches this incident".to_owned(),
                at,
            });
        }
    }

    fn is_held(&mut self, case: &Case<'_>, slot: &Slot, decisions: &mut Decisions) -> bool {
        for (stage, holds) in STAGES {
            let Some(why) = holds(case) else { continue };
            let stage: Arc<str> = (*stage).into();
            if self.held.get(slot) != Some(&stage) {
                self.held.insert(slot.clone(), Arc::clone(&stage));
                decisions.withheld.push(Withheld {
                    incident: case.incident.number,
                    reason: case.reason,
                    contact: Some(Arc::clone(&case.contact.name)),
                    stage,
                    why,
                    at: case.at,
                });
            }
            return true;
        }
        self.held.remove(slot);
        false
    }

    /// Tells everyone who was told of the incident that it is acknowledged or over.
    pub fn follow_up(
        &mut self,
        catalog: &Catalog,
        incident: &Arc<Incident>,
        reason: Reason,
        by: Option<&By>,
        at: Timestamp,
        seq: u64,
    ) -> Decisions {
        let mut decisions = Decisions::default();
        let slots: Vec<Slot> = of_incident(&self.told, incident.number);
        for slot in slots {
            let Some(contact) = catalog.index.contact.get(&slot.1).map(|id| &catalog.contacts[id.index()]) else {
                continue;
            };
            let Some(address) = contact.channels.get(&slot.2) else { continue };
            if let Some(told) = self.told.get_mut(&slot) {
                told.is_over = reason == Reason::Recovery;
            }
            let situation = Situation::default();
            let case = Case { catalog, incident, situation: &situation, contact, route_period: None, reason, at };
            if self.is_held(&case, &slot, &mut decisions) {
                continue;
            }
            let count = self.told.get_mut(&slot).map_or(1, |told| {
                told.count += 1;
                told.count
            });
            let message = Outgoing { reason, count, channel: &slot.2, address, by };
            decisions.send.push(notification(catalog, incident, contact, message, at, seq));
        }
        decisions
    }

    /// When somebody who was told of an open incident is to be reminded; earlier than that, time alone sends nothing.
    pub fn next_renotify(&self, catalog: &Catalog, incident: &Incident) -> Option<Timestamp> {
        let every = renotify_every(catalog, incident.severity());
        if every <= Span::ZERO || incident.ack.is_some() {
            return None;
        }
        let told = self.told.iter().filter(|(slot, _)| slot.0 == incident.number).map(|(_, told)| told.at + every);
        told.min()
    }

    /// An incident has ended, and may be opened again: what was held back is over, what was told is not forgotten.
    pub fn rest(&mut self, incident: u64) {
        for slot in of_incident(&self.held, incident) {
            self.held.remove(&slot);
        }
    }

    /// Drops the bookkeeping of an incident that has ended for good.
    pub fn forget(&mut self, incident: u64) {
        for slot in of_incident(&self.told, incident) {
            self.told.remove(&slot);
        }
        for slot in of_incident(&self.held, incident) {
            self.held.remove(&slot);
        }
    }
}

fn due_reason(catalog: &Catalog, incident: &Incident, told: Option<&Told>, at: Timestamp) -> Option<Reason> {
    let Some(told) = told else { return Some(Reason::Problem) };
    if told.generation < incident.generation {
        return Some(if told.is_over { Reason::Problem } else { Reason::Changed });
    }
    let every = renotify_every(catalog, incident.severity());
    (incident.ack.is_none() && every > Span::ZERO && at.since(told.at) >= every).then_some(Reason::Renotify)
}

fn renotify_every(catalog: &Catalog, severity: Severity) -> Span {
    match severity {
        Severity::Critical => catalog.timing.renotify_critical,
        Severity::Major => catalog.timing.renotify_major,
        Severity::Warning | Severity::Unknown => catalog.timing.renotify_warning,
        Severity::Info => Span::ZERO,
    }
}

/// Contacts of all matching routes, each once, with the period of the first route that named them.
fn recipients(catalog: &Catalog, incident: &Incident) -> Vec<(ContactId, Option<TimeperiodId>)> {
    let mut found: Vec<(ContactId, Option<TimeperiodId>)> = Vec::new();
    for route in catalog.routes.iter().filter(|route| matches(&route.matcher, incident)) {
        for &contact in &route.to {
            if !found.iter().any(|(known, _)| *known == contact) {
                found.push((contact, route.period));
            }
        }
    }
    found
}

fn matches(matcher: &RouteMatch, incident: &Incident) -> bool {
    let target = &incident.verdict.target;
    let one_of = |list: &[Arc<str>], value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.iter().any(|item| &**item == value))
    };
    matcher.severity_min.is_none_or(|min| incident.severity() >= min)
        && one_of(&matcher.clouds, incident.cloud.as_deref())
        && one_of(&matcher.zones, incident.zone.as_deref())
        && one_of(&matcher.components, target.component.as_deref())
        && one_of(&matcher.classes, Some(incident.verdict.class.as_str()))
        && (matcher.hosts.is_empty()
            || target.host.as_deref().is_some_and(|host| matcher.hosts.iter().any(|glob| glob_matches(glob, host))))
}

/// `*` stands for any run of characters; everything else for itself.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let parts: Vec<&str> = glob.split('*').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return glob == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

struct Outgoing<'a> {
    reason: Reason,
    count: u32,
    channel: &'a Arc<str>,
    address: &'a Arc<str>,
    by: Option<&'a By>,
}

fn notification(
    catalog: &Catalog,
    incident: &Arc<Incident>,
    contact: &Contact,
    message: Outgoing<'_>,
    at: Timestamp,
    seq: u64,
) -> Notification {
    let Outgoing { reason, count, channel, address, by } = message;
    let key =
        format!("{}/INC-{}/{}/{count}/{}/{channel}", catalog.instance, incident.number, reason.as_str(), contact.name);
    Notification {
        key: key.into(),
        reason,
        contact: Arc::clone(&contact.name),
        channel: Arc::clone(channel),
        address: Arc::clone(address),
        incident: Arc::clone(incident),
        seq,
        created_at: at,
        by: by.map(|by| Arc::clone(&by.who)),
        comment: by.map(|by| Arc::clone(&by.comment)),
        notice: None,
    }
}
