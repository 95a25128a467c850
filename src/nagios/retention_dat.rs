//! `retention.dat` as Nagios Core 4.5 writes it, from a snapshot: the way back. Pure text; who writes it where is `files`.
//! Stentor keeps its own state elsewhere and reads this file only where it has none yet.

use std::io;

use stentor_core::catalog::nagios::{NagiosContact, Options};
use stentor_core::engine::track::Track;
use stentor_core::id::{ContactId, HostId, ObjectId, ServiceId};
use stentor_core::model::{Comment, Downtime, ObjectKey};
use stentor_core::snapshot::Snapshot;

use super::blocks::{Out, Style};
use super::status_dat::{self, About, View};

/// The whole file: imported objects only, others are nothing to Nagios.
///
/// # Errors
/// The file cannot be written.
pub fn write(snapshot: &Snapshot, about: &About, to: &mut dyn io::Write) -> io::Result<()> {
    let mut out = Out::new(Style::Retention, to);
    out.block("info", |out| {
        out.put("created", about.now.as_secs());
        out.put("version", env!("CARGO_PKG_VERSION"));
        out.put("last_update_check", 0);
        out.put("update_available", 0);
        out.put("update_uid", 0);
        out.put("last_version", "");
        out.put("new_version", "");
    })?;
    out.block("program", |out| program(out, snapshot))?;
    let hosts = (0..snapshot.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
    let services = (0..snapshot.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
    for object in hosts.chain(services) {
        let Some(track) = snapshot.track(object) else { continue };
        let view = View::of(snapshot, object);
        match object {
            ObjectId::Host(_) => out.block("host", |out| host(out, &view, track))?,
            ObjectId::Service(_) => out.block("service", |out| service(out, &view, track))?,
        }
    }
    for (i, nagios) in snapshot.catalog.nagios.contacts.iter().enumerate() {
        if let Some(nagios) = nagios {
            out.block("contact", |out| contact(out, snapshot, ContactId::from_index(i), nagios))?;
        }
    }
    let is_imported = |key: &ObjectKey| snapshot.catalog.object_id(key).is_some_and(|id| snapshot.track(id).is_some());
    for one in snapshot.comments.values().filter(|one| is_imported(&one.object)) {
        let kind = if one.object.service.is_some() { "servicecomment" } else { "hostcomment" };
        out.block(kind, |out| comment(out, one))?;
    }
    for one in snapshot.downtimes.values().filter(|one| is_imported(&one.target)) {
        let kind = if one.target.service.is_some() { "servicedowntime" } else { "hostdowntime" };
        out.block(kind, |out| downtime(out, one))?;
    }
    out.end()
}

fn program(out: &mut Out<'_>, snapshot: &Snapshot) {
    out.put("modified_host_attributes", snapshot.program.modified_host_attributes);
    out.put("modified_service_attributes", snapshot.program.modified_service_attributes);
    status_dat::program_switches(out, &snapshot.program.in_force);
    status_dat::program_numbers(out, snapshot);
}

fn host(out: &mut Out<'_>, view: &View<'_>, track: &Track) {
    view.put_names(out);
    first(out, view, track);
    status_dat::output(out, view);
    out.put("current_attempt", view.row.attempt);
    limits(out, view);
    for (key, code) in [("last_time_up", 0), ("last_time_down", 1), ("last_time_unreachable", 2)] {
        out.time(key, view.seen_in(code));
    }
    let told = track.notice.notified_on;
    out.flag("notified_on_down", told.has(Options::DOWN));
    out.flag("notified_on_unreachable", told.has(Options::UNREACHABLE));
    out.time("last_notification", track.notice.last);
    status_dat::notification_numbers(out, &track.notice);
    out.flag("notifications_enabled", view.switches.notifications);
    status_dat::acknowledgement(out, view);
    status_dat::check_switches(out, view);
    rest(out, view, track);
}

fn service(out: &mut Out<'_>, view: &View<'_>, track: &Track) {
    view.put_names(out);
    first(out, view, track);
    out.put("current_attempt", view.row.attempt);
    limits(out, view);
    let states = [("last_time_ok", 0), ("last_time_warning", 1), ("last_time_unknown", 3), ("last_time_critical", 2)];
    for (key, code) in states {
        out.time(key, view.seen_in(code));
    }
    status_dat::output(out, view);
    let told = track.notice.notified_on;
    out.flag("notified_on_unknown", told.has(Options::UNKNOWN));
    out.flag("notified_on_warning", told.has(Options::WARNING));
    out.flag("notified_on_critical", told.has(Options::CRITICAL));
    status_dat::notification_numbers(out, &track.notice);
    out.time("last_notification", track.notice.last);
    out.flag("notifications_enabled", view.switches.notifications);
    status_dat::check_switches(out, view);
    status_dat::acknowledgement(out, view);
    rest(out, view, track);
}

fn first(out: &mut Out<'_>, view: &View<'_>, track: &Track) {
    out.put("modified_attributes", view.modified_attributes());
    view.put_commands(out);
    out.flag("has_been_checked", !view.row.is_pending());
    view.put_run(out);
    out.put("current_state", view.row.state);
    out.put("last_state", track.last_state);
    out.put("last_hard_state", view.row.last_hard_state);
    view.put_ids(out);
}

fn limits(out: &mut Out<'_>, view: &View<'_>) {
    out.put("max_attempts", view.attempts_max());
    out.fixed("check_interval", view.check_interval(), 6);
    out.fixed("retry_interval", view.retry_interval(), 6);
    status_dat::state_times(out, view);
}

fn rest(out: &mut Out<'_>, view: &View<'_>, track: &Track) {
    out.flag("flap_detection_enabled", view.switches.flap_detection);
    out.flag("process_performance_data", view.switches.perfdata);
    out.flag("obsess", view.switches.obsess);
    out.flag("is_flapping", track.flap.flapping);
    out.fixed("percent_state_change", track.flap.percent.into(), 2);
    out.flag("check_flapping_recovery_notification", track.notice.recovery_after_flapping);
    out.put("flapping_comment_id", track.notice.flapping_comment);
    out.put("state_history", track.flap.states().map(|code| code.to_string()).join(","));
    view.put_variables(out);
}

fn contact(out: &mut Out<'_>, snapshot: &Snapshot, id: ContactId, nagios: &NagiosContact) {
    status_dat::contact(out, snapshot, id, nagios);
}

fn comment(out: &mut Out<'_>, comment: &Comment) {
    status_dat::comment(out, comment);
}

fn downtime(out: &mut Out<'_>, downtime: &Downtime) {
    status_dat::named(out, &downtime.target);
    out.put("comment_id", downtime.comment_id);
    out.put("downtime_id", downtime.id);
    status_dat::downtime_window(out, downtime);
}

#[cfg(test)]
mod tests;
