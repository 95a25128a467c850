//! What Nagios left in its `retention.dat` (or `status.dat`), as one input for an engine that knows nothing yet
//! (specification 03, section 11). A second start never reads it again: by then the engine's own state says more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stentor_core::catalog::nagios::Options;
use stentor_core::engine::retained::{Retained, RetainedContact, RetainedObject, RetainedProgram, RetainedStatus};
use stentor_core::engine::switch::{Change, ContactChange, ProgramSwitch, Side, Switch, modified};
use stentor_core::engine::track::Ids;
use stentor_core::model::{
    Comment, CommentSource, CommentType, Covers, Downtime, DowntimeKind, ObjectKey, StateKind, Sticky,
};
use stentor_core::status::flapping::{FlapHistory, SLOTS};
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::retention::{self, Block, Complaint, File, Kind};

use super::passive;
use crate::config::NagiosSettings;
use crate::config::nagios::{Masks, Retention};
use crate::journal::Journal;
use crate::store::SharedStore;

/// Of what is wrong in the file no more is logged.
const TOLD_MAX: usize = 10;
/// A file of a million objects has less.
const FILE_BYTES_MAX: u64 = 4 << 30;
const READ_BYTES: usize = 256 * 1024;
/// An object is seldom described by less.
const OBJECT_BYTES: u64 = 1024;
/// Nagios keeps at most 8 KiB of an output; the rest of a line that is longer than this is dropped.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The file of the configuration, if this is the very first start; else nothing, whatever lies there.
pub async fn at_first_start(
    journal: &dyn Journal,
    store: &SharedStore,
    settings: &NagiosSettings,
) -> Option<Arc<Retained>> {
    let retention = settings.retention_file.clone()?;
    // Who cannot be read is told by the start itself.
    let is_first = matches!(journal.newest().await, Ok(0)) && matches!(store.latest_checkpoint().await, Ok(None));
    if !is_first {
        return None;
    }
    // A Nagios that died has left only its newest `status.dat`, which it removes when it stops.
    let is_there = tokio::fs::try_exists(&retention).await.unwrap_or(true);
    let path = if is_there { retention } else { settings.status_file.clone().unwrap_or(retention) };
    read(path, settings.retention).await
}

/// Reads the file that Nagios left. `None` = there is none, or it cannot be read; the log says so.
pub async fn read(path: PathBuf, wanted: Retention) -> Option<Arc<Retained>> {
    let shown = path.display().to_string();
    let done = tokio::task::spawn_blocking(move || read_file(&path, &wanted));
    match done.await {
        Ok(Ok((retained, complaints))) => {
            for complaint in complaints.iter().take(TOLD_MAX) {
                tracing::warn!("{shown}: {complaint}");
            }
            if complaints.len() > TOLD_MAX {
                tracing::warn!("{shown}: {} more of its lines cannot be used", complaints.len() - TOLD_MAX);
            }
            let objects = retained.objects.len();
            tracing::info!(objects, "taking over the states of {objects} hosts and services from {shown}");
            Some(Arc::new(retained))
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!("there is no {shown} to take states over from");
            None
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "{shown} cannot be read: all states begin anew");
            None
        }
        Err(error) => {
            tracing::error!(%error, "{shown} cannot be taken over: all states begin anew");
            None
        }
    }
}

/// One block at a time: all of a large file at once would be many times what the engine keeps of it.
fn read_file(path: &Path, wanted: &Retention) -> std::io::Result<(Retained, Vec<Complaint>)> {
    use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no plain file of a possible size"));
    }
    let mut file = BufReader::with_capacity(READ_BYTES, std::fs::File::open(path)?);
    let (mut reader, mut reading, mut line) = (retention::Reader::default(), Reading::new(wanted), Vec::new());
    // Growing would copy all of them at the end.
    reading.retained.objects.reserve(usize::try_from(about.len() / OBJECT_BYTES).unwrap_or(0));
    loop {
        line.clear();
        let read = file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == LINE_BYTES_MAX {
            // Its rest would look like a line of its own.
            file.skip_until(b'\n')?;
        }
        if let Some(block) = reader.line(&line) {
            reading.take(&block);
        }
    }
    Ok(reading.end(reader.end().0))
}

/// A file's blocks in the engine's words. What cannot be used is left out and said.
pub fn of_file(file: &File, wanted: &Retention) -> (Retained, Vec<Complaint>) {
    let mut reading = Reading::new(wanted);
    file.blocks.iter().for_each(|block| reading.take(block));
    reading.end(file.complaints.clone())
}

struct Reading {
    complaints: Vec<Complaint>,
    without: Masks,
    program_state: bool,
    retained: Retained,
    /// Names that were met: a host stands in each of its services.
    names: BTreeSet<Arc<str>>,
}

impl Reading {
    fn new(wanted: &Retention) -> Reading {
        let (without, program_state) = (wanted.without, wanted.program_state);
        Reading {
            complaints: Vec::new(),
            without,
            program_state,
            retained: Retained::default(),
            names: BTreeSet::new(),
        }
    }

    fn end(self, mut complaints: Vec<Complaint>) -> (Retained, Vec<Complaint>) {
        complaints.extend(self.complaints);
        (self.retained, complaints)
    }

    fn take(&mut self, block: &Block) {
        match block.kind {
            Kind::Info => self.retained.written_at = time(block, "created"),
            Kind::Program => {
                let id = |key: &str| block.value::<u64>(key).map_or(0, |next| next.saturating_sub(1));
                self.retained.ids = Ids {
                    event: id("next_event_id"),
                    problem: id("next_problem_id"),
                    notification: id("next_notification_id"),
                    comment: id("next_comment_id"),
                };
                self.retained.newest_downtime = id("next_downtime_id");
                self.retained.program = self.program_state.then(|| self.program(block));
            }
            Kind::Host | Kind::Service => {
                let object = self.object(block);
                self.retained.objects.extend(object);
            }
            Kind::Contact => {
                let contact = self.contact(block);
                self.retained.contacts.extend(contact);
            }
            Kind::HostComment | Kind::ServiceComment => {
                let comment = self.comment(block);
                self.retained.comments.extend(comment);
            }
            Kind::HostDowntime | Kind::ServiceDowntime => {
                let downtime = self.downtime(block);
                self.retained.downtimes.extend(downtime);
            }
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    fn key(&mut self, block: &Block) -> Option<ObjectKey> {
        let of_service = matches!(block.kind, Kind::Service | Kind::ServiceComment | Kind::ServiceDowntime);
        let host = block.text("host_name").filter(|name| !name.is_empty())?;
        let service = if of_service { Some(block.text("service_description")?) } else { None };
        Some(ObjectKey { host: self.name(host), service: service.map(|name| self.name(name)) })
    }
}

/// Whole seconds; what is missing or makes no sense is zero.
fn time(block: &Block, key: &str) -> Timestamp {
    // Far beyond the calendar, and far from overflowing in milliseconds.
    const LAST: i64 = 1 << 40;
    Timestamp::from_secs(block.value::<i64>(key).unwrap_or(0).clamp(0, LAST))
}

fn number<T: std::str::FromStr + Default>(block: &Block, key: &str) -> T {
    block.value(key).unwrap_or_default()
}

impl Reading {
    fn leave_out(&mut self, block: &Block, why: &str) {
        let message = format!("the block that begins here is left out: {why}");
        self.complaints.push(Complaint { line: block.line, message });
    }

    fn program(&self, block: &Block) -> RetainedProgram {
        let hosts = number::<u32>(block, "modified_host_attributes") & !self.without.process_host;
        let services = number::<u32>(block, "modified_service_attributes") & !self.without.process_service;
        let both = hosts | services;
        let table = [
            ("enable_notifications", ProgramSwitch::Notifications, both, modified::NOTIFICATIONS),
            ("enable_event_handlers", ProgramSwitch::EventHandlers, both, modified::EVENT_HANDLER),
            ("enable_flap_detection", ProgramSwitch::FlapDetection, both, modified::FLAP_DETECTION),
            ("process_performance_data", ProgramSwitch::Perfdata, both, modified::PERFDATA),
            ("active_host_checks_enabled", ProgramSwitch::ActiveChecks(Side::Hosts), hosts, modified::ACTIVE_CHECKS),
            (
                "active_service_checks_enabled",
                ProgramSwitch::ActiveChecks(Side::Services),
                services,
                modified::ACTIVE_CHECKS,
            ),
            ("passive_host_checks_enabled", ProgramSwitch::PassiveChecks(Side::Hosts), hosts, modified::PASSIVE_CHECKS),
            (
                "passive_service_checks_enabled",
                ProgramSwitch::PassiveChecks(Side::Services),
                services,
                modified::PASSIVE_CHECKS,
            ),
            ("obsess_over_hosts", ProgramSwitch::Obsess(Side::Hosts), hosts, modified::OBSESS),
            ("obsess_over_services", ProgramSwitch::Obsess(Side::Services), services, modified::OBSESS),
            ("check_host_freshness", ProgramSwitch::Freshness(Side::Hosts), hosts, modified::FRESHNESS),
            ("check_service_freshness", ProgramSwitch::Freshness(Side::Services), services, modified::FRESHNESS),
        ];
        let changed = table.into_iter().filter(|(.., mask, bit)| mask & bit != 0);
        let handlers = [
            ("global_host_event_handler", Side::Hosts, hosts),
            ("global_service_event_handler", Side::Services, services),
        ];
        let handlers = handlers.into_iter().filter(|(.., mask)| mask & modified::EVENT_HANDLER_COMMAND != 0);
        RetainedProgram {
            modified_host_attributes: hosts,
            modified_service_attributes: services,
            switches: changed.filter_map(|(key, switch, ..)| Some((switch, block.flag(key)?))).collect(),
            handlers: handlers.filter_map(|(key, side, _)| Some((side, block.text(key)?.into()))).collect(),
        }
    }

    fn object(&mut self, block: &Block) -> Option<RetainedObject> {
        let without = match block.kind {
            Kind::Host => self.without.host,
            Kind::Service => self.without.service,
            _ => return None,
        };
        let Some(object) = self.key(block) else {
            self.leave_out(block, "it names no object");
            return None;
        };
        let status = match block.flag("has_been_checked") {
            Some(true) => match status(block, object.service.is_some()) {
                Some(status) => Some(status),
                None => {
                    self.leave_out(block, "its state is none");
                    return None;
                }
            },
            Some(false) | None => None,
        };
        let modified_attributes = number::<u32>(block, "modified_attributes") & !without;
        let (switches, changes) = if modified_attributes == 0 { Default::default() } else { changes(block) };
        Some(RetainedObject { object, status, modified_attributes, switches, changes })
    }

    fn contact(&mut self, block: &Block) -> Option<RetainedContact> {
        let Some(name) = block.text("contact_name") else {
            self.leave_out(block, "it names no contact");
            return None;
        };
        let own = number::<u32>(block, "modified_attributes");
        let hosts = number::<u32>(block, "modified_host_attributes") & !self.without.contact_host;
        let services = number::<u32>(block, "modified_service_attributes") & !self.without.contact_service;
        let (mut enabled, mut changes) = (Vec::new(), Vec::new());
        for (side, word, mask) in [(Side::Hosts, "host", hosts), (Side::Services, "service", services)] {
            if mask & modified::NOTIFICATIONS != 0
                && let Some(on) = block.flag(&format!("{word}_notifications_enabled"))
            {
                enabled.push((side, on));
            }
            if mask & modified::NOTIFICATION_PERIOD != 0
                && let Some(period) = block.text(&format!("{word}_notification_period"))
            {
                changes.push(ContactChange::Period { side, period: period.into() });
            }
        }
        if own & modified::CUSTOM_VAR != 0 {
            let changed = block.variables().filter(|(_, modified, _)| *modified);
            changes.extend(
                changed.map(|(name, _, value)| ContactChange::CustomVar { name: name.into(), value: value.into() }),
            );
        }
        Some(RetainedContact {
            contact: name.into(),
            modified_attributes: own,
            modified_host_attributes: hosts,
            modified_service_attributes: services,
            last_told: [time(block, "last_host_notification"), time(block, "last_service_notification")],
            enabled,
            changes,
        })
    }

    fn comment(&mut self, block: &Block) -> Option<Comment> {
        if !matches!(block.kind, Kind::HostComment | Kind::ServiceComment) {
            return None;
        }
        let entry_type = match number::<u8>(block, "entry_type") {
            2 => CommentType::Downtime,
            3 => CommentType::Flapping,
            4 => CommentType::Acknowledgement,
            _ => CommentType::User,
        };
        let (Some(object), Some(id)) = (self.key(block), block.value::<u64>("comment_id").filter(|id| *id > 0)) else {
            self.leave_out(block, "it names no object or has no id");
            return None;
        };
        let expires = block.flag("expires").unwrap_or(false);
        Some(Comment {
            id,
            object,
            source: if number::<u8>(block, "source") == 0 { CommentSource::Internal } else { CommentSource::External },
            persistent: block.flag("persistent").unwrap_or(false),
            entry_type,
            entered_at: time(block, "entry_time"),
            expires: expires.then(|| time(block, "expire_time")),
            author: block.text("author").unwrap_or_default().into(),
            text: block.text("comment_data").unwrap_or_default().into(),
        })
    }

    fn downtime(&mut self, block: &Block) -> Option<Downtime> {
        if !matches!(block.kind, Kind::HostDowntime | Kind::ServiceDowntime) {
            return None;
        }
        let (Some(target), Some(id)) = (self.key(block), block.value::<u64>("downtime_id").filter(|id| *id > 0)) else {
            self.leave_out(block, "it names no object or has no id");
            return None;
        };
        let (start, end) = (time(block, "start_time"), time(block, "end_time"));
        let fixed = block.flag("fixed").unwrap_or(true);
        let active = block.flag("is_in_effect").unwrap_or(false);
        let flexible_start = Some(time(block, "flex_downtime_start")).filter(|at| !fixed && *at > Timestamp::ZERO);
        let duration = Span::from_secs(number::<u32>(block, "duration").into());
        Some(Downtime {
            id,
            target,
            covers: Covers::ObjectOnly,
            kind: if fixed { DowntimeKind::Fixed } else { DowntimeKind::Flexible { duration } },
            triggered_by: Some(number::<u64>(block, "triggered_by")).filter(|id| *id > 0),
            start,
            end,
            author: block.text("author").unwrap_or_default().into(),
            comment: block.text("comment").unwrap_or_default().into(),
            entered_at: time(block, "entry_time"),
            active,
            started_at: active.then(|| flexible_start.unwrap_or(start)),
            comment_id: number(block, "comment_id"),
            recurring: None,
        })
    }
}

/// How an object stood; `None` = no state that there is.
fn status(block: &Block, of_service: bool) -> Option<RetainedStatus> {
    let worst = if of_service { 3 } else { 2 };
    let state = |key: &str| block.value::<u8>(key).filter(|code| *code <= worst);
    let current = state("current_state")?;
    let output = block.text("plugin_output").unwrap_or_default();
    let perfdata = block.text("performance_data").unwrap_or_default();
    let long = retention::unescape(block.text("long_plugin_output").unwrap_or_default());
    let text = format!("{output}|{perfdata}\n{long}");
    let observation =
        if of_service { passive::of_service(current.into(), &text) } else { passive::of_host(current.into(), &text)? };
    let codes: &[(&str, u8)] = if of_service {
        &[("last_time_ok", 0), ("last_time_warning", 1), ("last_time_critical", 2), ("last_time_unknown", 3)]
    } else {
        &[("last_time_up", 0), ("last_time_down", 1), ("last_time_unreachable", 2)]
    };
    let mut last_time_in = [Timestamp::ZERO; 4];
    for (key, code) in codes {
        last_time_in[usize::from(*code)] = time(block, key);
    }
    let acknowledged = match (block.flag("problem_has_been_acknowledged"), number::<u8>(block, "acknowledgement_type"))
    {
        (Some(true), 2) => Some(Sticky::Yes),
        (Some(true), _) => Some(Sticky::No),
        (Some(false) | None, _) => None,
    };
    Some(RetainedStatus {
        observation: Arc::new(observation),
        state: current,
        last_state: state("last_state").unwrap_or(current),
        last_hard_state: state("last_hard_state").unwrap_or(current),
        kind: if block.flag("state_type").unwrap_or(true) { StateKind::Hard } else { StateKind::Soft },
        attempt: number(block, "current_attempt"),
        last_check: time(block, "last_check"),
        last_state_change: time(block, "last_state_change"),
        last_hard_change: time(block, "last_hard_state_change"),
        last_time_in,
        event_id: number(block, "current_event_id"),
        last_event_id: number(block, "last_event_id"),
        problem_id: number(block, "current_problem_id"),
        last_problem_id: number(block, "last_problem_id"),
        acknowledged,
        last_notification: time(block, "last_notification"),
        notification_number: number(block, "current_notification_number"),
        notification_id: number(block, "current_notification_id"),
        notified_on: notified_on(block, current),
        flap: flap(block),
        recovery_after_flapping: block.flag("check_flapping_recovery_notification").unwrap_or(false),
        flapping_comment: number(block, "flapping_comment_id"),
    })
}

/// `status.dat` has none of these: whoever was told of a problem was told of the present one at least.
fn notified_on(block: &Block, current: u8) -> Options {
    let states = [
        ("notified_on_down", Options::DOWN),
        ("notified_on_unreachable", Options::UNREACHABLE),
        ("notified_on_warning", Options::WARNING),
        ("notified_on_critical", Options::CRITICAL),
        ("notified_on_unknown", Options::UNKNOWN),
    ];
    let mut known = states.iter().filter_map(|(key, option)| Some((block.flag(key)?, *option))).peekable();
    if known.peek().is_none() && current != 0 && number::<u32>(block, "current_notification_number") > 0 {
        return Options::of_state(current);
    }
    known.filter(|(told, _)| *told).fold(Options::NONE, |all, (_, option)| all | option)
}

/// Without a history only `is_flapping` is known, which means nothing alone.
fn flap(block: &Block) -> Option<FlapHistory> {
    let states: [u8; SLOTS as usize] = block.history()?.try_into().ok()?;
    let percent = block.value("percent_state_change").unwrap_or(0.0);
    Some(FlapHistory::from_states(states, percent, block.flag("is_flapping").unwrap_or(false)))
}

/// Everything that a command may have changed; the bits say what was.
fn changes(block: &Block) -> (Vec<(Switch, bool)>, Vec<Change>) {
    let switches = [
        ("notifications_enabled", Switch::Notifications),
        ("active_checks_enabled", Switch::ActiveChecks),
        ("passive_checks_enabled", Switch::PassiveChecks),
        ("event_handler_enabled", Switch::EventHandler),
        ("flap_detection_enabled", Switch::FlapDetection),
        ("process_performance_data", Switch::Perfdata),
        ("obsess", Switch::Obsess),
        ("check_freshness", Switch::Freshness),
    ];
    let switches = switches.into_iter().filter_map(|(key, switch)| Some((switch, block.flag(key)?))).collect();
    let text = |key: &str, make: fn(Arc<str>) -> Change| block.text(key).map(|value| make(value.into()));
    let units = |key: &str, make: fn(f64) -> Change| {
        // More than a century of anything is no interval.
        block.value::<f64>(key).filter(|units| (0.0..=f64::from(u32::MAX)).contains(units)).map(make)
    };
    let values = [
        text("check_command", Change::CheckCommand),
        text("event_handler", Change::EventHandler),
        text("check_period", Change::CheckPeriod),
        text("notification_period", Change::NotificationPeriod),
        text("event_handler_period", Change::EventHandlerPeriod),
        units("check_interval", Change::CheckInterval),
        units("normal_check_interval", Change::CheckInterval),
        units("retry_interval", Change::RetryInterval),
        units("retry_check_interval", Change::RetryInterval),
        block.value::<u16>("max_attempts").filter(|max| *max > 0).map(Change::MaxAttempts),
    ];
    let vars = block.variables().filter(|(_, modified, _)| *modified);
    let vars = vars.map(|(name, _, value)| Change::CustomVar { name: name.into(), value: value.into() });
    (switches, values.into_iter().flatten().chain(vars).collect())
}

#[cfg(test)]
mod tests;
