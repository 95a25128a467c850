//! The stages that a notice about an object passes before anybody is looked for (specification 03, 5.2).

use super::{Case, Hold, Kinds, Stage, Window};
use crate::catalog::nagios::Options;
use crate::model::{NoticeKind, StateKind};
use crate::{Span, Timestamp};

/// A notice about a host or a service, with everything that its stages look at.
#[derive(Clone, Debug)]
pub struct ObjectCase {
    pub kind: NoticeKind,
    pub forced: bool,
    pub at: Timestamp,
    /// `enable_notifications`.
    pub program_on: bool,
    /// A recovery waits for the end of a downtime instead of being sent in it.
    pub defer_recovery: bool,
    /// Its notification period, of a service that has none its host's; `None` = always.
    pub period: Option<Window>,
    pub object: ObjectFacts,
    /// Of a service: the host that it is on.
    pub host: Option<HostFacts>,
}

/// The object that the notice is about.
#[derive(Clone, Debug)]
pub struct ObjectFacts {
    /// `notifications_enabled`.
    pub on: bool,
    pub state: u8,
    pub state_kind: StateKind,
    pub acknowledged: bool,
    pub flapping: bool,
    pub downtime_depth: u16,
    /// Last hard change; where there was none, the start of the program.
    pub hard_since: Timestamp,
    pub options: Options,
    pub first_delay: Span,
    pub volatile: bool,
    pub number: u32,
    pub next: Timestamp,
    pub notified_on: Options,
    pub no_more: bool,
    /// The master that a notification dependency fails by.
    pub failing_master: Option<String>,
    /// It leans on other services, and none of them is OK.
    pub parents_bad: bool,
}

/// The host of a service.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub up: bool,
    pub state_kind: StateKind,
    pub downtime_depth: u16,
    /// It has parents, and none of them is UP.
    pub parents_down: bool,
    pub failing_master: Option<String>,
}

impl Case for ObjectCase {
    fn kind(&self) -> NoticeKind {
        self.kind
    }

    fn forced(&self) -> bool {
        self.forced
    }
}

type ObjectStage = Stage<ObjectCase>;

const fn stage(name: &'static str, of: Kinds, holds: fn(&ObjectCase) -> Option<String>) -> ObjectStage {
    Stage { name, of, holds }
}

/// Stages of a service, in order; the numbers are those of the specification.
pub const SERVICE: &[ObjectStage] = &[
    stage("program", Kinds::ALL, program_off),                 // 2
    stage("service_parents", Kinds::ALL, service_parents_bad), // 3
    stage("period", Kinds::ALL, outside_period),               // 4
    stage("disabled", Kinds::ALL, object_off),                 // 5
    stage("downtime", Kinds::CUSTOM, any_downtime),            // 6
    stage("recovered", Kinds::ACKNOWLEDGEMENT, is_ok),         // 7
    stage("options", Kinds::FLAPPING, no_flapping_option),     // 8
    stage("downtime", Kinds::FLAPPING, any_downtime),
    stage("options", Kinds::DOWNTIME, no_downtime_option), // 9
    stage("downtime", Kinds::DOWNTIME, already_in_downtime),
    stage("soft", Kinds::NORMAL, is_soft),                      // 10
    stage("acknowledged", Kinds::PROBLEM, is_acknowledged),     // 11
    stage("dependency", Kinds::NORMAL, master_fails),           // 12
    stage("host_dependency", Kinds::NORMAL, host_master_fails), // 13
    stage("options", Kinds::NORMAL, no_state_option),           // 14
    stage("nothing_sent", Kinds::RECOVERY, nothing_sent),       // 15
    stage("first_delay", Kinds::PROBLEM, too_early),            // 16
    stage("flapping", Kinds::NORMAL, is_flapping),              // 17
    stage("downtime", Kinds::NORMAL, in_downtime),              // 18
    stage("host_downtime", Kinds::NORMAL, host_in_downtime),    // 19
    stage("no_more", Kinds::NORMAL, no_more),                   // 20
    stage("host_down", Kinds::NORMAL, host_down),               // 21
    stage("host_parents", Kinds::PROBLEM, host_parents_down),   // 22
    stage("interval", Kinds::PROBLEM, told_lately),             // 23
];

/// Stages of a host, in order.
pub const HOST: &[ObjectStage] = &[
    stage("program", Kinds::ALL, program_off),
    stage("period", Kinds::ALL, outside_period),
    stage("disabled", Kinds::ALL, object_off),
    stage("downtime", Kinds::CUSTOM, any_downtime),
    stage("recovered", Kinds::ACKNOWLEDGEMENT, is_ok),
    stage("options", Kinds::FLAPPING, no_flapping_option),
    stage("downtime", Kinds::FLAPPING, any_downtime),
    stage("options", Kinds::DOWNTIME, no_downtime_option),
    stage("downtime", Kinds::DOWNTIME, already_in_downtime),
    stage("soft", Kinds::NORMAL, is_soft),
    stage("acknowledged", Kinds::PROBLEM, is_acknowledged),
    stage("dependency", Kinds::NORMAL, master_fails),
    stage("options", Kinds::NORMAL, no_state_option),
    stage("nothing_sent", Kinds::RECOVERY, nothing_sent),
    stage("first_delay", Kinds::PROBLEM, too_early),
    stage("flapping", Kinds::NORMAL, is_flapping),
    stage("downtime", Kinds::NORMAL, in_downtime),
    stage("no_more", Kinds::NORMAL, no_more),
    stage("interval", Kinds::PROBLEM, told_lately),
];

/// The stages of an object: a service has a host, a host has none.
pub fn stages(case: &ObjectCase) -> &'static [Stage<ObjectCase>] {
    if case.host.is_some() { SERVICE } else { HOST }
}

/// Whether a recovery that this stage held stays owed and is tried again on each later result. Nobody who was told of
/// a problem waits in vain for its end, unless he asked not to be told.
pub fn keeps_recovery(hold: &Hold) -> bool {
    !matches!(hold.stage, "options" | "nothing_sent")
}

fn program_off(case: &ObjectCase) -> Option<String> {
    (!case.program_on).then(|| "notifications are switched off everywhere".to_owned())
}

fn service_parents_bad(case: &ObjectCase) -> Option<String> {
    case.object.parents_bad.then(|| "no service that it leans on is OK".to_owned())
}

fn outside_period(case: &ObjectCase) -> Option<String> {
    case.period.as_ref()?.holds()
}

fn object_off(case: &ObjectCase) -> Option<String> {
    (!case.object.on).then(|| "its notifications are switched off".to_owned())
}

fn any_downtime(case: &ObjectCase) -> Option<String> {
    own_downtime(case).or_else(|| downtime_of_host(case))
}

fn own_downtime(case: &ObjectCase) -> Option<String> {
    (case.object.downtime_depth > 0).then(|| "planned downtime is running".to_owned())
}

fn downtime_of_host(case: &ObjectCase) -> Option<String> {
    let host = case.host.as_ref()?;
    (host.downtime_depth > 0).then(|| "planned downtime of its host is running".to_owned())
}

fn is_ok(case: &ObjectCase) -> Option<String> {
    (case.object.state == 0).then(|| "there is no problem to acknowledge".to_owned())
}

fn no_flapping_option(case: &ObjectCase) -> Option<String> {
    missing(case, Options::FLAPPING, "f")
}

fn no_downtime_option(case: &ObjectCase) -> Option<String> {
    missing(case, Options::DOWNTIME, "s")
}

fn missing(case: &ObjectCase, option: Options, letter: &str) -> Option<String> {
    (!case.object.options.has(option)).then(|| format!("its notification_options lack {letter}"))
}

/// A start is tested before the depth rises, an end after it fell: above zero another window is running.
fn already_in_downtime(case: &ObjectCase) -> Option<String> {
    (case.object.downtime_depth > 0).then(|| "another downtime is running".to_owned())
}

fn is_soft(case: &ObjectCase) -> Option<String> {
    (case.object.state_kind == StateKind::Soft).then(|| "the state is soft".to_owned())
}

fn is_acknowledged(case: &ObjectCase) -> Option<String> {
    case.object.acknowledged.then(|| "the problem is acknowledged".to_owned())
}

fn master_fails(case: &ObjectCase) -> Option<String> {
    case.object.failing_master.as_ref().map(|master| format!("it depends on {master}"))
}

fn host_master_fails(case: &ObjectCase) -> Option<String> {
    let master = case.host.as_ref()?.failing_master.as_ref()?;
    Some(format!("its host depends on {master}"))
}

fn no_state_option(case: &ObjectCase) -> Option<String> {
    match (case.object.state, case.host.is_some()) {
        (0, _) => missing(case, Options::RECOVERY, "r"),
        (1, true) => missing(case, Options::WARNING, "w"),
        (2, true) => missing(case, Options::CRITICAL, "c"),
        (_, true) => missing(case, Options::UNKNOWN, "u"),
        (1, false) => missing(case, Options::DOWN, "d"),
        (_, false) => missing(case, Options::UNREACHABLE, "u"),
    }
}

fn nothing_sent(case: &ObjectCase) -> Option<String> {
    case.object.notified_on.is_empty().then(|| "nobody was told of the problem".to_owned())
}

fn too_early(case: &ObjectCase) -> Option<String> {
    let object = &case.object;
    let first = object.hard_since + object.first_delay;
    (object.number == 0 && case.at < first).then(|| format!("first_notification_delay runs until {first}"))
}

fn is_flapping(case: &ObjectCase) -> Option<String> {
    case.object.flapping.then(|| "it is flapping".to_owned())
}

fn in_downtime(case: &ObjectCase) -> Option<String> {
    own_downtime(case).filter(|_| waits_for_downtime(case))
}

fn host_in_downtime(case: &ObjectCase) -> Option<String> {
    downtime_of_host(case).filter(|_| waits_for_downtime(case))
}

fn waits_for_downtime(case: &ObjectCase) -> bool {
    case.kind != NoticeKind::Recovery || case.defer_recovery
}

fn no_more(case: &ObjectCase) -> Option<String> {
    case.object.no_more.then(|| "a notification_interval of 0: told once".to_owned())
}

/// A soft problem of the host holds nothing here. Of other than volatile services nothing new is believed hard and told
/// then anyway (specification 03, 2.2).
fn host_down(case: &ObjectCase) -> Option<String> {
    let host = case.host.as_ref()?;
    (!host.up && host.state_kind == StateKind::Hard).then(|| "its host is not UP".to_owned())
}

fn host_parents_down(case: &ObjectCase) -> Option<String> {
    case.host.as_ref()?.parents_down.then(|| "no parent of its host is UP".to_owned())
}

fn told_lately(case: &ObjectCase) -> Option<String> {
    let object = &case.object;
    (!object.volatile && case.at < object.next).then(|| format!("not again before {}", object.next))
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
