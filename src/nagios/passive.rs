//! Passive results: plugin text and a code to an observation, as if the plugin had run here.

use std::sync::Arc;

use stentor_core::model::observation::{MEASUREMENTS_MAX, OUTPUT_BYTES_MAX};
use stentor_core::model::{HostState, Observation, Outcome, ServiceState};
use stentor_wire::nagios::output;

use crate::probes::exec;

/// Shown when a result came without text (Nagios's words).
const NO_OUTPUT: &str = "(No output returned from plugin)";

/// A service's result. Codes outside 0..=3 are UNKNOWN (specification 01, section 2).
pub fn of_service(code: i32, text: &str) -> Observation {
    observation(ServiceState::from_code(code).unwrap_or(ServiceState::Unknown), text)
}

/// A host's result: 0 is UP, 1 DOWN, 2 UNREACHABLE; whether the engine takes the last two at their word or asks the
/// reachability graph is configured there. `None` for other codes.
pub fn of_host(code: i32, text: &str) -> Option<Observation> {
    let state = HostState::from_code(code)?;
    Some(Observation { outcome: Outcome::ReportedHost(state), ..observation(ServiceState::Ok, text) })
}

fn observation(state: ServiceState, text: &str) -> Observation {
    let text = if text.trim().is_empty() { NO_OUTPUT } else { text };
    exec::observation(state, text.as_bytes())
}

/// Brings an observation made elsewhere within the limits of those made here.
pub fn bound(mut observation: Observation) -> Observation {
    let bounded = |text: &Arc<str>| -> Arc<str> {
        let shown = output::displayable(text.as_bytes());
        if *shown == **text && text.len() <= OUTPUT_BYTES_MAX { Arc::clone(text) } else { exec::cut(&shown).into() }
    };
    observation.text = bounded(&observation.text);
    observation.long_text = bounded(&observation.long_text);
    observation.measurements.truncate(MEASUREMENTS_MAX);
    observation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_as_a_plugin_prints_it() {
        let seen = of_service(1, "DISK WARNING | '/'=91%;80;95;0;100\nlong line");
        assert_eq!(&*seen.text, "DISK WARNING");
        assert_eq!(&*seen.long_text, "long line");
        assert_eq!(seen.measurements[0].value, Some(91.0));
        assert_eq!(&*seen.measurements[0].warn, "80");
    }

    #[test]
    fn a_service_code_beyond_three_is_unknown_and_a_host_code_beyond_two_is_refused() {
        assert_eq!(of_service(7, "x").outcome, Outcome::Reported(ServiceState::Unknown));
        assert_eq!(of_service(-1, "").text.as_ref(), NO_OUTPUT);
        assert!(of_host(3, "x").is_none());
        assert_eq!(of_host(1, "x").unwrap().outcome, Outcome::ReportedHost(HostState::Down));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let seen = of_service(0, &"ü".repeat(OUTPUT_BYTES_MAX));
        assert!(seen.text.len() <= OUTPUT_BYTES_MAX);
        assert!(seen.text.ends_with(exec::CUT_MARK));
        let bounded = bound(Observation::observed("\u{1b}[2J".to_owned() + &"ü".repeat(OUTPUT_BYTES_MAX)));
        assert!(bounded.text.len() <= OUTPUT_BYTES_MAX && !bounded.text.contains('\u{1b}'));
    }
}
