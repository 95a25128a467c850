//! What a finished plugin means: exit code to state, the texts that replace missing output, perfdata to measurements.
//! Also how results that others submit as plugin text are read. Judges nothing beyond the plugin API's table.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use stentor_core::model::observation::{MEASUREMENTS_MAX, OUTPUT_BYTES_MAX, PERFDATA_FACT};
use stentor_core::model::{Measurement, ObjectKey, Observation, Outcome, ServiceState, UnknownCause};
use stentor_wire::nagios::perfdata::Item;
use stentor_wire::nagios::{output, perfdata};

use super::TimeoutState;
use super::child::{Captured, End, Finished};

/// What is appended to text that was cut.
pub const CUT_MARK: &str = " … [cut]";

/// How a plugin ended.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Ended {
    Exited(i32),
    /// By a signal.
    Abnormally,
    /// Killed after so many seconds.
    TimedOut(f64),
}

/// A result that carries its state, with output as a plugin prints it: text, long text, perfdata.
pub fn observation(state: ServiceState, printed: &[u8]) -> Observation {
    let parts = output::parse(printed);
    let mut observation = Observation::reported(state, &*cut(&parts.short)).long(shared(&cut(&parts.long)));
    let items = perfdata::parse(&parts.perfdata);
    observation.measurements = items.into_iter().flatten().take(MEASUREMENTS_MAX).map(measurement).collect();
    // Kept for every object.
    observation.measurements.shrink_to_fit();
    // Nothing a plugin printed is lost silently, and who reads performance data as text reads it as printed.
    if observation.perfdata() != parts.perfdata {
        observation = observation.fact(PERFDATA_FACT, cut(&parts.perfdata).into_owned());
    }
    observation
}

/// What a run gave, by the table of the plugin API.
pub(super) fn of_run(
    finished: &Finished,
    limit_s: f64,
    timeout_state: TimeoutState,
    asked: Option<&ObjectKey>,
) -> Observation {
    let printed = printed(finished);
    match finished.end {
        End::TimedOut => {
            let seen = reported(Ended::TimedOut(limit_s), &printed, asked);
            let outcome = if asked.is_some() { seen.outcome } else { timeout_state.outcome() };
            Observation { outcome, ..seen }.fact("timed_out", true)
        }
        End::Signalled(signal) => reported(Ended::Abnormally, &printed, asked).fact("signal", i64::from(signal)),
        End::Exited(code) => {
            let mut seen = reported(Ended::Exited(code), &printed, asked);
            if finished.stdout.is_cut && (0..=3).contains(&code) {
                let note = format!("{}\n[output cut after {} KiB]", seen.long_text, finished.stdout.bytes.len() / 1024);
                seen.long_text = note.trim_start().into();
            }
            seen.fact("exit_code", i64::from(code))
        }
    }
}

/// What a plugin's end and output mean (specification 01, section 2). A plugin that was killed in time says what the
/// configuration says for that: the engine knows it.
pub fn reported(ended: Ended, printed: &[u8], asked: Option<&ObjectKey>) -> Observation {
    let kind = kind_of(asked);
    match ended {
        Ended::TimedOut(after_s) => {
            Observation::failed(UnknownCause::Timeout, format!("({kind} check timed out after {after_s:.2} seconds)"))
        }
        Ended::Abnormally => replaced(&format!("({kind} check did not exit properly)"), printed),
        Ended::Exited(code) => match ServiceState::from_code(code) {
            Some(state) if printed.iter().all(u8::is_ascii_whitespace) => observation(state, no_output(kind)),
            Some(state) => observation(state, printed),
            None if matches!(code, 126 | 127) => replaced(&bounds_text(code, asked), printed),
            None => {
                let kept = observation(ServiceState::Critical, printed);
                Observation { text: bounds_text(code, asked).into(), long_text: text_and_long(&kept).into(), ..kept }
            }
        },
    }
}

/// The program could not be started; the code is what a shell would have said.
pub(super) fn of_missing(code: i32, why: &str) -> Observation {
    replaced(&bounds_text(code, None), why.as_bytes()).fact("exit_code", i64::from(code))
}

impl TimeoutState {
    fn outcome(self) -> Outcome {
        match self {
            TimeoutState::Ok => Outcome::Reported(ServiceState::Ok),
            TimeoutState::Warning => Outcome::Reported(ServiceState::Warning),
            TimeoutState::Critical => Outcome::Reported(ServiceState::Critical),
            TimeoutState::Unknown => Outcome::Failed(UnknownCause::Timeout),
        }
    }
}

/// The kind of what a Nagios command is run for: it is in texts that replace a plugin's own.
fn kind_of(asked: Option<&ObjectKey>) -> &'static str {
    if asked.is_some_and(|object| object.service.is_none()) { "Host" } else { "Service" }
}

fn bounds_text(code: i32, asked: Option<&ObjectKey>) -> String {
    match (code, asked) {
        (126, _) => "(Return code of 126 is out of bounds. Check if plugin is executable)".to_owned(),
        (127, _) => "(Return code of 127 is out of bounds. Check if plugin exists)".to_owned(),
        (code, None) => format!("(Return code of {code} is out of bounds)"),
        (code, Some(ObjectKey { host, service: Some(service) })) => {
            format!("(Return code of {code} for service '{service}' on host '{host}' was out of bounds)")
        }
        (code, Some(ObjectKey { host, service: None })) => {
            format!("(Return code of {code} for check of host '{host}' was out of bounds)")
        }
    }
}

const fn no_output(kind: &str) -> &'static [u8] {
    // The kinds differ in their first letter.
    match kind.as_bytes() {
        [b'H', ..] => b"(No output returned from host check)",
        _ => b"(No output returned from plugin)",
    }
}

/// CRITICAL with a text of ours; what the plugin printed moves to the long text, because it says why.
fn replaced(text: &str, printed: &[u8]) -> Observation {
    let said = observation(ServiceState::Critical, printed);
    Observation::reported(ServiceState::Critical, text).long(text_and_long(&said))
}

fn text_and_long(observation: &Observation) -> String {
    let joined = format!("{}\n{}", observation.text, observation.long_text);
    cut(joined.trim()).into_owned()
}

/// Standard output, else what the plugin API puts in its place; nothing if both are empty.
fn printed(finished: &Finished) -> Cow<'_, [u8]> {
    let blank = |captured: &Captured| captured.bytes.iter().all(u8::is_ascii_whitespace);
    if !blank(&finished.stdout) {
        Cow::Borrowed(&finished.stdout.bytes)
    } else if !blank(&finished.stderr) {
        let mut text = b"(No output on stdout) stderr: ".to_vec();
        text.extend_from_slice(&finished.stderr.bytes);
        Cow::Owned(text)
    } else {
        Cow::Borrowed(b"")
    }
}

/// At most what a result keeps, cut between characters and marked.
pub fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= OUTPUT_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let room = text.floor_char_boundary(OUTPUT_BYTES_MAX - CUT_MARK.len());
    Cow::Owned(
        text.chars()
            .scan(0, |at, c| {
                *at += c.len_utf8();
                (*at <= room).then_some(c)
            })
            .chain(CUT_MARK.chars())
            .collect(),
    )
}

fn measurement(item: Item) -> Measurement {
    Measurement {
        value: item.number(),
        min: item.min_number(),
        max: item.max_number(),
        label: item.label.into(),
        unit: shared(&item.uom),
        warn: shared(&item.warn),
        crit: shared(&item.crit),
    }
}

/// Text that is kept for every object; the usual ones are kept once for all.
fn shared(text: &str) -> Arc<str> {
    static UNITS: LazyLock<[Arc<str>; 8]> =
        LazyLock::new(|| ["s", "ms", "us", "%", "B", "KB", "MB", "c"].map(Arc::from));
    if text.is_empty() {
        return Arc::default();
    }
    UNITS.iter().find(|unit| ***unit == *text).cloned().unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use stentor_core::model::Value;

    use super::*;

    fn exited(code: i32, stdout: &str, stderr: &str) -> Observation {
        let captured = |text: &str| Captured { bytes: text.as_bytes().to_vec(), is_cut: false };
        let finished = Finished { end: End::Exited(code), stdout: captured(stdout), stderr: captured(stderr) };
        of_run(&finished, 60.0, TimeoutState::default(), None)
    }

    #[test]
    fn exit_codes_become_states_by_the_table() {
        use ServiceState::{Critical, Ok, Unknown, Warning};
        for (code, state, text) in [
            (0, Ok, "fine"),
            (1, Warning, "fine"),
            (2, Critical, "fine"),
            (3, Unknown, "fine"),
            (4, Critical, "(Return code of 4 is out of bounds)"),
            (255, Critical, "(Return code of 255 is out of bounds)"),
            (126, Critical, "(Return code of 126 is out of bounds. Check if plugin is executable)"),
            (127, Critical, "(Return code of 127 is out of bounds. Check if plugin exists)"),
        ] {
            let seen = exited(code, "fine|a=1\n", "");
            assert_eq!((seen.outcome, &*seen.text), (Outcome::Reported(state), text), "exit {code}");
        }
    }

    #[test]
    fn perfdata_survives_only_a_generic_code_out_of_bounds() {
        assert_eq!(exited(4, "fine|a=1", "").measurements.len(), 1);
        assert_eq!(exited(127, "fine|a=1", "").measurements.len(), 0);
        assert_eq!(&*exited(4, "fine|a=1", "").long_text, "fine");
    }

    #[test]
    fn missing_output_is_replaced() {
        assert_eq!(&*exited(0, "", "").text, "(No output returned from plugin)");
        assert_eq!(&*exited(2, "\n", "boom\n").text, "(No output on stdout) stderr: boom");
        assert_eq!(&*exited(2, "said", "boom").text, "said");
    }

    #[test]
    fn the_timeout_state_is_configured_and_unknown_has_its_cause() {
        for (state, outcome) in [
            (TimeoutState::Ok, Outcome::Reported(ServiceState::Ok)),
            (TimeoutState::Warning, Outcome::Reported(ServiceState::Warning)),
            (TimeoutState::Critical, Outcome::Reported(ServiceState::Critical)),
            (TimeoutState::Unknown, Outcome::Failed(UnknownCause::Timeout)),
        ] {
            let finished = Finished { end: End::TimedOut, stdout: Captured::default(), stderr: Captured::default() };
            let seen = of_run(&finished, 10.0, state, None);
            assert_eq!((seen.outcome, &*seen.text), (outcome, "(Service check timed out after 10.00 seconds)"));
        }
    }

    #[test]
    fn measurements_carry_thresholds_and_bad_items_are_kept_as_text() {
        let seen = observation(ServiceState::Ok, b"OK; fine|'a b'=1.5s;2:3;@4;0;9 bad=1,5 u=U");
        assert_eq!(&*seen.text, "OK; fine");
        assert_eq!(seen.facts.get("perfdata").and_then(Value::text), Some("'a b'=1.5s;2:3;@4;0;9 bad=1,5 u=U"));
        let [first, unknown] = seen.measurements.as_slice() else { panic!("{:?}", seen.measurements) };
        assert_eq!((&*first.label, first.value, &*first.unit), ("a b", Some(1.5), "s"));
        assert_eq!((&*first.warn, &*first.crit, first.min, first.max), ("2:3", "@4", Some(0.0), Some(9.0)));
        assert_eq!((&*unknown.label, unknown.value), ("u", None));
        assert!(observation(ServiceState::Ok, b"OK|a=1").facts.is_empty());
    }

    #[test]
    fn what_replaces_a_plugins_words_names_the_object() {
        let service = ObjectKey { host: "web1".into(), service: Some("http".into()) };
        let host = ObjectKey { host: "web1".into(), service: None };
        for (ended, asked, text) in [
            (Ended::Exited(4), &service, "(Return code of 4 for service 'http' on host 'web1' was out of bounds)"),
            (Ended::Exited(4), &host, "(Return code of 4 for check of host 'web1' was out of bounds)"),
            (Ended::Exited(127), &host, "(Return code of 127 is out of bounds. Check if plugin exists)"),
            (Ended::Exited(2), &service, "(No output returned from plugin)"),
            (Ended::Exited(2), &host, "(No output returned from host check)"),
            (Ended::TimedOut(60.0), &service, "(Service check timed out after 60.00 seconds)"),
            (Ended::TimedOut(30.0), &host, "(Host check timed out after 30.00 seconds)"),
            (Ended::Abnormally, &service, "(Service check did not exit properly)"),
            (Ended::Abnormally, &host, "(Host check did not exit properly)"),
        ] {
            assert_eq!(&*reported(ended, b"", Some(asked)).text, text);
        }
    }

    /// Recorded on Nagios Core 4.5.12. What a timeout means, a host, and a passive result with a code of its own are the
    /// engine's and the intake's, and tested there.
    #[test]
    fn recorded_ends_of_plugins_mean_what_they_meant_to_nagios() {
        let all = include_str!("../../../../crates/wire/tests/data/perfdata_thresholds.json");
        let all: serde_json::Value = serde_json::from_str(all).expect("vectors are JSON");
        let mut checked = 0;
        for case in all["return_codes"].as_array().expect("cases") {
            let text = |key: &str| case[key].as_str();
            let event = text("event").expect("an event");
            let (Some("service"), Some((code, rest))) =
                (text("kind"), event.strip_prefix("exit ").map(|rest| rest.split_once(", ").unwrap_or((rest, ""))))
            else {
                continue;
            };
            let (stdout, stderr) = match rest {
                "" => ("said", ""),
                "no output" => ("", ""),
                other => ("", other.strip_prefix("only stderr ").expect("an output").trim_matches('"')),
            };
            let seen = exited(code.parse().expect("a code"), stdout, stderr);
            let state = match text("state").expect("a state") {
                "OK" => ServiceState::Ok,
                "WARNING" => ServiceState::Warning,
                _ => ServiceState::Critical,
            };
            assert_eq!(seen.outcome, Outcome::Reported(state), "{case}");
            assert!(text("output").is_none_or(|output| *seen.text == *output), "{case}: {}", seen.text);
            assert!(text("output_contains").is_none_or(|part| seen.text.contains(part)), "{case}: {}", seen.text);
            checked += 1;
        }
        assert_eq!(checked, 9, "the file has other cases now");
    }

    proptest! {
        #[test]
        fn no_output_panics_or_exceeds_the_limits(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            let seen = observation(ServiceState::Ok, &bytes);
            prop_assert!(seen.text.len() <= OUTPUT_BYTES_MAX && seen.long_text.len() <= OUTPUT_BYTES_MAX);
            prop_assert!(seen.measurements.len() <= MEASUREMENTS_MAX);
        }
    }
}
