//! Lines of `nagios.log` that are about no result: start, stop, and how every object stands (specification 03, section 10).

use jiff::tz::TimeZone;
use stentor_core::Timestamp;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::snapshot::Snapshot;

/// What `INITIAL` lines say of an object without a result: Nagios prints its missing text so.
const NO_TEXT: &str = "(null)";

/// When the lines are written: at the start, or into a fresh log.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum States {
    Initial,
    Current,
}

/// First lines of a start.
pub fn starting_lines(pid: u32, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let local = jiff::Timestamp::from_millisecond(now.as_millis()).map(|at| at.to_zoned(zone.clone()));
    let mut lines = vec![format!("Stentor {} starting... (PID={pid})", env!("CARGO_PKG_VERSION"))];
    // Beyond the calendar there is no local time.
    if let Ok(local) = local {
        lines.push(format!("Local time is {}", local.strftime("%a %b %d %H:%M:%S %Z %Y")));
    }
    lines.push("LOG VERSION: 2.0".to_owned());
    lines
}

/// The very last line.
pub fn stopped_line(pid: u32) -> String {
    format!("Successfully shutdown... (PID={pid})")
}

/// `INITIAL HOST STATE` and `INITIAL SERVICE STATE` of everything, where `log_initial_states` asks for them.
pub fn initial_states(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.program.in_force.log_initial_states { states(snapshot, States::Initial) } else { Vec::new() }
}

/// `CURRENT HOST STATE` and `CURRENT SERVICE STATE` of everything, where `log_current_states` asks for them: after a
/// rotation.
pub fn current_states(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.program.in_force.log_current_states { states(snapshot, States::Current) } else { Vec::new() }
}

fn states(snapshot: &Snapshot, which: States) -> Vec<String> {
    let hosts = (0..snapshot.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
    let services = (0..snapshot.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
    hosts.chain(services).map(|object| line(snapshot, object, which)).collect()
}

fn line(snapshot: &Snapshot, object: ObjectId, which: States) -> String {
    let word = match which {
        States::Initial => "INITIAL",
        States::Current => "CURRENT",
    };
    let row = snapshot.row(object);
    let (noun, state) = match object {
        ObjectId::Host(_) => ("HOST", row.host_state().as_str()),
        ObjectId::Service(_) => ("SERVICE", row.service_state().as_str()),
    };
    let key = snapshot.catalog.object_key(object);
    let service = key.service.map(|name| format!("{name};")).unwrap_or_default();
    let text = match &snapshot.detail(object).observation {
        Some(seen) => &*seen.text,
        // Nagios has an empty text for hosts, and none for services.
        None if matches!(object, ObjectId::Host(_)) => "",
        None => NO_TEXT,
    };
    format!("{word} {noun} STATE: {};{service}{state};{};{};{text}", key.host, row.kind.as_str(), row.attempt)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stentor_core::model::{Observation, ServiceState, StateKind};

    use super::*;
    use crate::nagios::status_dat::tests::world;

    #[test]
    fn a_start_says_who_when_and_in_which_format() {
        let at = Timestamp::from_secs(1_795_290_891);
        let lines = starting_lines(24673, at, &TimeZone::UTC);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            lines,
            [
                format!("Stentor {version} starting... (PID=24673)"),
                "Local time is Sat Nov 21 19:54:51 UTC 2026".to_owned(),
                "LOG VERSION: 2.0".to_owned()
            ]
        );
        assert_eq!(stopped_line(7), "Successfully shutdown... (PID=7)");
    }

    #[test]
    fn states_are_told_as_nagios_tells_them_where_it_is_asked_for() {
        let mut snapshot = world();
        snapshot.services[0].state = 2;
        snapshot.services[0].kind = StateKind::Soft;
        snapshot.services[0].attempt = 2;
        Arc::make_mut(&mut snapshot.service_details[0]).observation =
            Some(Arc::new(Observation::reported(ServiceState::Critical, "DISK CRIT")));
        let program = Arc::make_mut(&mut snapshot.program);
        (program.in_force.log_initial_states, program.in_force.log_current_states) = (false, true);
        assert_eq!(initial_states(&snapshot), [""; 0]);
        let current = current_states(&snapshot);
        assert_eq!(current[0], "CURRENT HOST STATE: db1;UP;HARD;1;");
        assert_eq!(current[3], "CURRENT SERVICE STATE: db1;Disk;CRITICAL;SOFT;2;DISK CRIT");
        assert_eq!(current.len(), 5);
    }

    /// Made by running Nagios Core 4.5.12.
    #[test]
    fn the_first_states_are_those_that_nagios_tells() {
        let mut snapshot = world();
        let program = Arc::make_mut(&mut snapshot.program);
        (program.in_force.log_initial_states, program.in_force.log_current_states) = (true, false);
        assert_eq!(
            initial_states(&snapshot),
            [
                "INITIAL HOST STATE: db1;UP;HARD;1;",
                "INITIAL HOST STATE: rtr1;UP;HARD;1;",
                "INITIAL HOST STATE: web1;UP;HARD;1;",
                "INITIAL SERVICE STATE: db1;Disk;OK;HARD;1;(null)",
                "INITIAL SERVICE STATE: web1;Disk;OK;HARD;1;(null)",
            ]
        );
        assert_eq!(current_states(&snapshot), [""; 0]);
    }
}
