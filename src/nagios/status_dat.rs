//! `status.dat` as Nagios Core 4.5 writes it, from a snapshot: same blocks, same fields, same order. Pure text; who writes
//! it where is `files`.

use std::io;

use stentor_core::catalog::Catalog;
use stentor_core::catalog::nagios::{CommandCall, Directives, NagiosContact, Program, Switches};
use stentor_core::engine::program::ContactOverrides;
use stentor_core::engine::switch::Side;
use stentor_core::engine::track::{NoticeState, Overrides, Track};
use stentor_core::id::{ContactId, HostId, ObjectId, ServiceId, TimeperiodId};
use stentor_core::model::{Comment, Downtime, ObjectKey, StateKind, Sticky};
use stentor_core::snapshot::{Detail, Flags, Row, Snapshot};
use stentor_core::status::flapping::FlapHistory;
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::retention::escape;

use super::blocks::{Out, Style};
use super::check_counts::Figures;

/// What a snapshot does not know of the process.
#[derive(Copy, Clone, Debug)]
pub struct About {
    pub pid: u32,
    pub started: Timestamp,
    /// When the file is written.
    pub now: Timestamp,
    /// When `nagios.log` was rotated last; zero = not since the start.
    pub log_rotated: Timestamp,
    pub figures: Figures,
}

/// The whole file.
///
/// # Errors
/// The file cannot be written.
pub fn write(snapshot: &Snapshot, about: &About, to: &mut dyn io::Write) -> io::Result<()> {
    let mut out = Out::new(Style::Status, to);
    out.block("info", |out| {
        out.put("created", about.now.as_secs());
        out.put("version", env!("CARGO_PKG_VERSION"));
        out.put("last_update_check", 0);
        out.put("update_available", 0);
        out.put("last_version", "");
        out.put("new_version", "");
    })?;
    out.block("programstatus", |out| program(out, snapshot, about))?;
    for i in 0..snapshot.hosts.len() {
        let object = ObjectId::Host(HostId::from_index(i));
        out.block("hoststatus", |out| host(out, &View::of(snapshot, object), about.now))?;
    }
    for i in 0..snapshot.services.len() {
        let object = ObjectId::Service(ServiceId::from_index(i));
        out.block("servicestatus", |out| service(out, &View::of(snapshot, object), about.now))?;
    }
    for (i, nagios) in snapshot.catalog.nagios.contacts.iter().enumerate() {
        if let Some(nagios) = nagios {
            out.block("contactstatus", |out| contact(out, snapshot, ContactId::from_index(i), nagios))?;
        }
    }
    for one in snapshot.comments.values() {
        let kind = if one.object.service.is_some() { "servicecomment" } else { "hostcomment" };
        out.block(kind, |out| comment(out, one))?;
    }
    for one in snapshot.downtimes.values() {
        let kind = if one.target.service.is_some() { "servicedowntime" } else { "hostdowntime" };
        out.block(kind, |out| downtime(out, one))?;
    }
    out.end()
}

fn program(out: &mut Out<'_>, snapshot: &Snapshot, about: &About) {
    let state = &snapshot.program;
    let program = &state.in_force;
    out.put("modified_host_attributes", state.modified_host_attributes);
    out.put("modified_service_attributes", state.modified_service_attributes);
    out.put("nagios_pid", about.pid);
    // Whoever started it has put it where it runs; it never leaves its parent.
    out.put("daemon_mode", 0);
    out.time("program_start", about.started);
    out.time("last_log_rotation", about.log_rotated);
    program_switches(out, program);
    program_numbers(out, snapshot);
    for (key, [one, five, fifteen]) in about.figures.named() {
        out.put(key, format_args!("{one},{five},{fifteen}"));
    }
}

/// The handlers of the program, and which ids come next.
pub(super) fn program_numbers(out: &mut Out<'_>, snapshot: &Snapshot) {
    let program = &snapshot.program.in_force;
    let command = |call: &Option<CommandCall>| call.as_ref().map_or(String::new(), |call| call.text.to_string());
    out.line("global_host_event_handler", &command(&program.global_host_event_handler));
    out.line("global_service_event_handler", &command(&program.global_service_event_handler));
    out.put("next_comment_id", snapshot.ids.comment + 1);
    out.put("next_downtime_id", snapshot.newest_downtime + 1);
    out.put("next_event_id", snapshot.ids.event + 1);
    out.put("next_problem_id", snapshot.ids.problem + 1);
    out.put("next_notification_id", snapshot.ids.notification + 1);
}

pub(super) fn program_switches(out: &mut Out<'_>, program: &Program) {
    out.flag("enable_notifications", program.enable_notifications);
    out.flag("active_service_checks_enabled", program.execute_service_checks);
    out.flag("passive_service_checks_enabled", program.accept_passive_service_checks);
    out.flag("active_host_checks_enabled", program.execute_host_checks);
    out.flag("passive_host_checks_enabled", program.accept_passive_host_checks);
    out.flag("enable_event_handlers", program.enable_event_handlers);
    out.flag("obsess_over_services", program.obsess_over_services);
    out.flag("obsess_over_hosts", program.obsess_over_hosts);
    out.flag("check_service_freshness", program.check_service_freshness);
    out.flag("check_host_freshness", program.check_host_freshness);
    out.flag("enable_flap_detection", program.enable_flap_detection);
    out.flag("process_performance_data", program.process_performance_data);
}

/// One object with its directives as they are in force.
pub(super) struct View<'a> {
    pub catalog: &'a Catalog,
    pub object: ObjectId,
    pub row: &'a Row,
    detail: &'a Detail,
    track: Option<&'a Track>,
    directives: Option<&'a Directives>,
    overrides: Option<&'a Overrides>,
    interval_length: Span,
    pub switches: Switches,
}

impl<'a> View<'a> {
    pub fn of(snapshot: &'a Snapshot, object: ObjectId) -> View<'a> {
        let catalog = &*snapshot.catalog;
        let track = snapshot.track(object).map(|track| &**track);
        let overrides = track.and_then(|track| track.overrides.as_deref());
        let directives = catalog.nagios.directives(object);
        let configured = directives.map_or_else(
            // Of Stentor's own: a check without a probe waits for results.
            || Switches {
                active_checks: catalog.check_of(object).is_some_and(|check| !check.probe.is_empty()),
                ..Switches::default()
            },
            |directives| directives.switches,
        );
        View {
            catalog,
            object,
            row: snapshot.row(object),
            detail: snapshot.detail(object),
            track,
            directives,
            overrides,
            interval_length: snapshot.program.in_force.interval_length,
            switches: overrides.and_then(|changed| changed.switches).unwrap_or(configured),
        }
    }

    fn period(
        &self,
        changed: fn(&Overrides) -> Option<Option<TimeperiodId>>,
        configured: fn(&Directives) -> Option<TimeperiodId>,
    ) -> &'a str {
        let id = self.overrides.and_then(changed).unwrap_or_else(|| self.directives.and_then(configured));
        period_name(self.catalog, id)
    }

    fn check_command(&self) -> &'a str {
        let changed = self.overrides.and_then(|changed| changed.check_command.as_ref());
        changed.map_or_else(|| self.catalog.check_of(self.object).map_or("", |check| &check.name), |call| &call.text)
    }

    fn event_handler(&self) -> &'a str {
        let configured = || self.directives.and_then(|directives| directives.event_handler.as_ref());
        let changed = self.overrides.and_then(|changed| changed.event_handler.as_ref());
        changed.map_or_else(configured, Option::as_ref).map_or("", |call| &call.text)
    }

    fn units(&self, span: Span) -> f64 {
        span.as_millis() as f64 / self.interval_length.as_millis().max(1) as f64
    }

    pub(super) fn check_interval(&self) -> f64 {
        let configured = || self.catalog.check_of(self.object).map_or(0.0, |check| self.units(check.every));
        self.overrides.and_then(|changed| changed.check_interval).unwrap_or_else(configured)
    }

    pub(super) fn retry_interval(&self) -> f64 {
        let configured = || self.catalog.check_of(self.object).map_or(0.0, |check| self.units(check.retry));
        self.overrides.and_then(|changed| changed.retry_interval).unwrap_or_else(configured)
    }

    pub(super) fn attempts_max(&self) -> u16 {
        let configured = || self.catalog.check_of(self.object).map_or(1, |check| check.attempts);
        self.overrides.and_then(|changed| changed.max_attempts).unwrap_or_else(configured).max(1)
    }

    pub fn is_scheduled(&self) -> bool {
        self.switches.active_checks && self.check_interval() > 0.0 && self.catalog.check_of(self.object).is_some()
    }

    /// When its regular check is due after the newest one; zero = it has none.
    fn next_check(&self) -> Timestamp {
        if !self.is_scheduled() || self.row.is_pending() {
            return Timestamp::ZERO;
        }
        let is_retry = self.row.kind == StateKind::Soft && self.row.state != 0;
        let units = if is_retry { self.retry_interval() } else { self.check_interval() };
        let millis = units * self.interval_length.as_millis() as f64;
        self.row.last_check + Span::from_millis(millis.round() as i64)
    }

    pub(super) fn seen_in(&self, code: u8) -> Timestamp {
        // Without a track only the present state is known.
        let present =
            if self.row.state == code && !self.row.is_pending() { self.row.last_check } else { Timestamp::ZERO };
        self.track.map_or(present, |track| track.seen_in(self.row, code))
    }

    fn notice(&self) -> NoticeState {
        self.track.map(|track| track.notice.clone()).unwrap_or_default()
    }

    fn flap(&self) -> FlapHistory {
        self.track.map(|track| track.flap).unwrap_or_default()
    }
}

/// What both files say of an object, field by field.
impl View<'_> {
    pub(super) fn put_names(&self, out: &mut Out<'_>) {
        named(out, &self.catalog.object_key(self.object));
    }

    pub(super) fn modified_attributes(&self) -> u32 {
        self.overrides.map_or(0, |changed| changed.modified_attributes)
    }

    pub(super) fn put_commands(&self, out: &mut Out<'_>) {
        out.line("check_command", self.check_command());
        self.put_periods(out);
        self.put_handler(out);
    }

    fn put_periods(&self, out: &mut Out<'_>) {
        out.put("check_period", self.period(|changed| changed.check_period, |directives| directives.check_period));
        let notified = self.period(|changed| changed.notification_period, |directives| directives.notification_period);
        out.put("notification_period", notified);
    }

    fn put_handler(&self, out: &mut Out<'_>) {
        out.line("event_handler", self.event_handler());
        let handled = self.period(|changed| changed.event_handler_period, |directives| directives.event_handler_period);
        out.put("event_handler_period", handled);
    }

    pub(super) fn put_run(&self, out: &mut Out<'_>) {
        let run = self.detail.run;
        out.fixed("check_execution_time", run.took.as_secs_f64(), 3);
        out.fixed("check_latency", run.latency.as_secs_f64(), 3);
        out.flag("check_type", run.passive);
    }

    pub(super) fn put_ids(&self, out: &mut Out<'_>) {
        let of = |track: &Track| [track.last_event_id, track.event_id, track.problem_id, track.last_problem_id];
        let keys = ["last_event_id", "current_event_id", "current_problem_id", "last_problem_id"];
        for (key, id) in keys.into_iter().zip(self.track.map_or([0; 4], of)) {
            out.put(key, id);
        }
    }

    pub(super) fn put_variables(&self, out: &mut Out<'_>) {
        let Some(looks) = self.catalog.nagios.appearance(self.object) else { return };
        for (name, configured) in &looks.vars {
            variable(out, name, self.overrides.and_then(|overrides| overrides.vars.get(name)), configured);
        }
    }
}

fn period_name(catalog: &Catalog, id: Option<TimeperiodId>) -> &str {
    id.and_then(|id| catalog.timeperiods.get(id.index())).map_or("", |period| &*period.name)
}

fn host(out: &mut Out<'_>, view: &View<'_>, now: Timestamp) {
    view.put_names(out);
    configured(out, view);
    output(out, view);
    attempts(out, view);
    for (key, code) in [("last_time_up", 0), ("last_time_down", 1), ("last_time_unreachable", 2)] {
        out.time(key, view.seen_in(code));
    }
    let notice = view.notice();
    notification_times(out, &notice);
    notification_numbers(out, &notice);
    out.flag("notifications_enabled", view.switches.notifications);
    acknowledgement(out, view);
    check_switches(out, view);
    rest(out, view, now);
}

fn service(out: &mut Out<'_>, view: &View<'_>, now: Timestamp) {
    view.put_names(out);
    configured(out, view);
    attempts(out, view);
    let states = [("last_time_ok", 0), ("last_time_warning", 1), ("last_time_unknown", 3), ("last_time_critical", 2)];
    for (key, code) in states {
        out.time(key, view.seen_in(code));
    }
    output(out, view);
    let notice = view.notice();
    notification_numbers(out, &notice);
    notification_times(out, &notice);
    out.flag("notifications_enabled", view.switches.notifications);
    check_switches(out, view);
    acknowledgement(out, view);
    rest(out, view, now);
}

fn configured(out: &mut Out<'_>, view: &View<'_>) {
    out.put("modified_attributes", view.modified_attributes());
    out.line("check_command", view.check_command());
    view.put_periods(out);
    out.put("importance", view.directives.map_or(0, |directives| directives.importance));
    out.fixed("check_interval", view.check_interval(), 6);
    out.fixed("retry_interval", view.retry_interval(), 6);
    view.put_handler(out);
    out.flag("has_been_checked", !view.row.is_pending());
    out.flag("should_be_scheduled", view.is_scheduled());
    view.put_run(out);
    out.put("current_state", view.row.state);
    out.put("last_hard_state", view.row.last_hard_state);
    view.put_ids(out);
}

pub(super) fn output(out: &mut Out<'_>, view: &View<'_>) {
    let seen = view.detail.observation.as_deref();
    // Nagios keeps no semicolon here: its log separates fields with it.
    out.line("plugin_output", &seen.map_or("", |seen| &seen.text).replace(';', ":"));
    out.put("long_plugin_output", escape(seen.map_or("", |seen| &seen.long_text)).replace('\r', ""));
    out.line("performance_data", &seen.map(|seen| seen.perfdata()).unwrap_or_default());
    out.time("last_check", view.row.last_check);
    out.time("next_check", view.next_check());
    out.put("check_options", 0);
}

fn attempts(out: &mut Out<'_>, view: &View<'_>) {
    out.put("current_attempt", view.row.attempt);
    out.put("max_attempts", view.attempts_max());
    state_times(out, view);
}

pub(super) fn state_times(out: &mut Out<'_>, view: &View<'_>) {
    out.flag("state_type", view.row.kind == StateKind::Hard);
    out.time("last_state_change", view.row.last_state_change);
    out.time("last_hard_state_change", view.row.last_hard_change);
}

fn notification_times(out: &mut Out<'_>, notice: &NoticeState) {
    out.time("last_notification", notice.last);
    out.time("next_notification", notice.next);
    out.flag("no_more_notifications", notice.no_more);
}

pub(super) fn notification_numbers(out: &mut Out<'_>, notice: &NoticeState) {
    out.put("current_notification_number", notice.number);
    out.put("current_notification_id", notice.id);
}

pub(super) fn acknowledgement(out: &mut Out<'_>, view: &View<'_>) {
    let kind = match &view.detail.ack {
        Some(ack) if ack.sticky == Sticky::Yes => 2,
        Some(_) => 1,
        None => 0,
    };
    out.flag("problem_has_been_acknowledged", view.row.is_acknowledged());
    out.put("acknowledgement_type", kind);
}

pub(super) fn check_switches(out: &mut Out<'_>, view: &View<'_>) {
    out.flag("active_checks_enabled", view.switches.active_checks);
    out.flag("passive_checks_enabled", view.switches.passive_checks);
    out.flag("event_handler_enabled", view.switches.event_handler);
}

fn rest(out: &mut Out<'_>, view: &View<'_>, now: Timestamp) {
    out.flag("flap_detection_enabled", view.switches.flap_detection);
    out.flag("process_performance_data", view.switches.perfdata);
    out.flag("obsess", view.switches.obsess);
    out.time("last_update", now);
    out.flag("is_flapping", view.row.flags.has(Flags::FLAPPING));
    out.fixed("percent_state_change", view.flap().percent.into(), 2);
    out.put("scheduled_downtime_depth", view.row.downtime_depth);
    view.put_variables(out);
}

fn variable(out: &mut Out<'_>, name: &str, changed: Option<&std::sync::Arc<str>>, configured: &str) {
    let value = changed.map_or(configured, |value| &**value);
    out.line(&format!("_{name}"), &format!("{};{value}", u8::from(changed.is_some())));
}

pub(super) fn contact(out: &mut Out<'_>, snapshot: &Snapshot, id: ContactId, nagios: &NagiosContact) {
    let name = &snapshot.catalog.contacts[id.index()].name;
    let unchanged = ContactOverrides::default();
    let changed = snapshot.contact_overrides.get(name).unwrap_or(&unchanged);
    let sides = [(Side::Hosts, &nagios.host), (Side::Services, &nagios.service)];
    out.put("contact_name", name);
    out.put("modified_attributes", changed.modified_attributes);
    out.put("modified_host_attributes", changed.host.modified_attributes);
    out.put("modified_service_attributes", changed.service.modified_attributes);
    for ((side, configured), key) in sides.iter().zip(["host_notification_period", "service_notification_period"]) {
        let period = changed.side(*side).period.or(configured.period);
        out.put(key, period_name(&snapshot.catalog, period));
    }
    out.time("last_host_notification", changed.host.last_told);
    out.time("last_service_notification", changed.service.last_told);
    for ((side, configured), key) in sides.iter().zip(["host_notifications_enabled", "service_notifications_enabled"]) {
        out.flag(key, changed.side(*side).enabled.unwrap_or(configured.enabled));
    }
    for (var, configured) in &nagios.vars {
        variable(out, var, changed.vars.get(var), configured);
    }
}

pub(super) fn named(out: &mut Out<'_>, object: &ObjectKey) {
    out.put("host_name", &object.host);
    if let Some(service) = &object.service {
        out.put("service_description", service);
    }
}

pub(super) fn comment(out: &mut Out<'_>, comment: &Comment) {
    named(out, &comment.object);
    out.put("entry_type", comment.entry_type.code());
    out.put("comment_id", comment.id);
    out.put("source", comment.source.code());
    out.flag("persistent", comment.persistent);
    out.time("entry_time", comment.entered_at);
    out.flag("expires", comment.expires.is_some());
    out.time("expire_time", comment.expires.unwrap_or(Timestamp::ZERO));
    out.line("author", &comment.author);
    out.line("comment_data", &comment.text);
}

fn downtime(out: &mut Out<'_>, downtime: &Downtime) {
    named(out, &downtime.target);
    out.put("downtime_id", downtime.id);
    out.put("comment_id", downtime.comment_id);
    downtime_window(out, downtime);
}

pub(super) fn downtime_window(out: &mut Out<'_>, downtime: &Downtime) {
    out.time("entry_time", downtime.entered_at);
    out.time("start_time", downtime.start);
    let flexible_start = downtime.started_at.filter(|_| !downtime.is_fixed());
    out.time("flex_downtime_start", flexible_start.unwrap_or(Timestamp::ZERO));
    out.time("end_time", downtime.end);
    out.put("triggered_by", downtime.triggered_by.unwrap_or(0));
    out.flag("fixed", downtime.is_fixed());
    out.put("duration", downtime.length().as_millis() / 1000);
    out.flag("is_in_effect", downtime.active);
    out.flag("start_notification_sent", downtime.active);
    out.line("author", &downtime.author);
    out.line("comment", &downtime.comment);
}

#[cfg(test)]
pub(crate) mod tests;
