//! Fuzz targets of what the engine reads: expressions, times, names and texts with macros.

use std::sync::{Arc, OnceLock};

use stentor_core::availability::{Expr as Availability, Known, State, ground};
use stentor_core::catalog::Timeperiod;
use stentor_core::diagnosis::Topology;
use stentor_core::id::TimeperiodId;
use stentor_core::macros::facts::{ProgramFacts, World};
use stentor_core::macros::{
    CommandCall, Context, EnvironmentSize, Options, environment, expand, expand_command, expand_command_held,
};
use stentor_core::model::{Observation, ServiceState, Value};
use stentor_core::policy::glob_matches;
use stentor_core::rules::{Expr, Rule, judge};
use stentor_core::timeperiod::{self, Line};
use stentor_core::whatif::Element;
use stentor_core::{Span, Timestamp};

use super::small_world;

pub fn expr(data: &[u8]) {
    static SEEN: OnceLock<(Value, Observation)> = OnceLock::new();
    let (params, seen) = SEEN.get_or_init(|| {
        let supply: Value = [("id", Value::from("PS")), ("n", Value::from(vec![0.0, 3.0]))].into_iter().collect();
        let seen = Observation::observed("text").measure("load1", 0.5, "").fact("a", 1.0).fact("b", "x");
        let seen = seen.fact("c", true).fact("n", Value::Null).fact("psu", Value::List(vec![supply.clone(), supply]));
        ([("warn", 80.0), ("crit", 95.0)].into_iter().collect(), seen)
    });
    let text = String::from_utf8_lossy(data);
    match Expr::parse(&text) {
        Err(refusal) => assert!(refusal.offset <= text.len().max(4096)),
        Ok(when) => {
            let _ = when.names();
            let rule = Rule { when, state: ServiceState::Critical, source: "fuzz".into() };
            let _ = judge(&[rule], params, seen);
        }
    }
}

/// An expression over a small cloud, its pieces in states that the bytes choose; and an element of a what-if.
pub fn availability(data: &[u8]) {
    static CLOUD: OnceLock<(Arc<str>, Topology)> = OnceLock::new();
    let (name, topology) = CLOUD.get_or_init(|| {
        let host = |name: &str, key: &str| (Arc::from(name), vec![Arc::from(key)]);
        let hosts = [host("clc1", "clc"), host("nc1", "nc"), host("nc2", "nc"), host("nc3", "nc")];
        let zone = |name: &str, hosts: &[&str]| (Arc::from(name), hosts.iter().map(|host| Arc::from(*host)).collect());
        let zones = [zone("a", &["nc1", "nc2"]), zone("b", &["nc3"])];
        let topology = Topology { hosts: hosts.into(), zones: zones.into(), ..Topology::default() };
        ("prod".into(), topology)
    });
    let text = String::from_utf8_lossy(data);
    let _ = Element::parse(&text).map(|element| assert_eq!(Element::parse(&element.to_string()), Ok(element)));
    match Availability::parse(&text) {
        Err(refusal) => assert!(refusal.offset <= text.len(), "{refusal}"),
        Ok(expr) => {
            assert_eq!(Availability::parse(&expr.to_string()).as_ref(), Ok(&expr), "{text:?}");
            let known = Known { clouds: vec![(name, topology)], home: Some(0), ..Known::default() };
            let (grounded, _) = ground(&expr, &known);
            let states: Vec<State> = (0..grounded.pieces.len())
                .map(|piece| State::ALL[usize::from(data[piece % data.len()]) % State::ALL.len()])
                .collect();
            let look = grounded.look(&states);
            assert_eq!(look.state, grounded.state(&states));
            assert!(look.because.iter().all(|piece| *piece < states.len()));
        }
    }
}

pub fn time(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse(), Ok(span), "{text:?}");
    }
    if let Ok(at) = Timestamp::from_rfc3339(&text) {
        assert_eq!(Timestamp::from_rfc3339(&at.to_rfc3339()), Ok(at), "{text:?}");
    }
}

pub fn glob(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (glob, name) = text.split_once('\n').unwrap_or((&text, "host-1"));
    let _ = glob_matches(glob, name);
    assert!(glob_matches(&format!("*{name}*"), name) && glob_matches(&format!("{name}*"), name));
}

/// One line each; a line `exclude` begins the period that the first one excludes.
pub fn timeperiod(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let period = |lines: &str, zone: &str, exclude| {
        let (mut weekly, mut exceptions) = (<[Vec<(u16, u16)>; 7]>::default(), Vec::new());
        for line in lines.lines().take(50) {
            match timeperiod::parse_any(line) {
                Err(refusal) => assert!(refusal.column <= line.chars().count() + 1),
                Ok(Line::Weekday { weekday, ranges }) => weekly[usize::from(weekday)] = ranges,
                Ok(Line::Date(rule)) => {
                    assert_eq!(timeperiod::parse_line(&rule.to_string()).as_ref(), Ok(&rule), "{line:?} as {rule}");
                    exceptions.push(rule);
                }
            }
        }
        Timeperiod { name: "t".into(), zone: zone.into(), weekly, exceptions, exclude }
    };
    let (first, excluded) = text.split_once("exclude\n").unwrap_or((&text, ""));
    let (id, other) = (TimeperiodId(0), TimeperiodId(1));
    let table = [period(first, "Europe/Amsterdam", vec![other]), period(excluded, "UTC", vec![id])];
    // Late enough in October 2026 that the clocks change soon.
    let at = Timestamp::from_secs(1_792_600_000);
    let inside = timeperiod::contains(&table, id, at);
    let next = timeperiod::next_valid(&table, id, at);
    assert!(!inside || next == Some(at));
    assert!(next.is_none_or(|next| next >= at && timeperiod::contains(&table, id, next)));
    if let Some(change) = timeperiod::next_boundary(&table, id, at) {
        assert!(change > at && timeperiod::contains(&table, id, change) != inside);
    }
}

/// A command line, its call, and what plugins printed, with a line feed between.
pub fn macros(data: &[u8]) {
    const ILLEGAL: &str = "`~$&|'\"<>";
    const BYTES_MAX: usize = 10_000;
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\n');
    let (line, call) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let world = small_world::SmallWorld { text: parts.next().unwrap_or_default().to_owned() };
    let program = ProgramFacts { zone: "UTC", users: &["u1"], ..ProgramFacts::default() };
    let mut context = Context::new(&world, &program, Timestamp::from_secs(1_792_600_000));
    context.host = world.host("h");
    context.service = world.service("h", "s");
    let call = CommandCall::parse(call);
    for options in [Options::raw(), Options::strip(ILLEGAL)] {
        let options = Options { bytes_max: BYTES_MAX, ..options };
        if let Ok(expanded) = expand_command(line, &call, &context, options) {
            assert!(expanded.len() <= BYTES_MAX);
            if let Ok(held) = expand_command_held(line, &call, &context, options) {
                let _ = held.for_shell();
                assert!(text.contains('\u{FDD0}') || held.fill(held.line()) == expanded);
            }
        }
        let made = environment(&context, options, EnvironmentSize::Full);
        assert!(made.variables.iter().all(|(name, value)| name.len() + value.len() <= BYTES_MAX + "NAGIOS_".len()));
    }
    if let Ok(output) = expand("$HOSTOUTPUT$$LONGSERVICEOUTPUT$", &context, Options::strip(ILLEGAL)) {
        assert!(!output.contains(|c: char| c.is_ascii_control() || ILLEGAL.contains(c)), "{output:?}");
    }
}
