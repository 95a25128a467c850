//! What `stentor check` makes of an observation: the facts that are plainly bad for a kind, and thresholds on its number.

use stentor_core::model::{HostState, Measurement, Observation, Outcome, ServiceState, Value};
use stentor_wire::nagios::range::{Range, RangeError};

use ServiceState::{Critical, Ok as Good, Unknown, Warning};

/// A state with the reason, where the text of the observation does not already say it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub state: ServiceState,
    pub why: Option<String>,
}

/// `-w` and `-c`, as given and as read.
#[derive(Clone, Debug, Default)]
pub struct Thresholds {
    warn: Option<(String, Range)>,
    crit: Option<(String, Range)>,
}

/// The number of a kind that thresholds are about.
struct Number {
    fact: &'static str,
    /// From the fact's unit to that of the threshold.
    scale: f64,
    /// Measurements with this label, or beginning with it and a blank, carry the thresholds.
    label: &'static str,
    /// Used where neither `-w` nor `-c` is given; empty = none.
    warn: &'static str,
    crit: &'static str,
}

const fn number(fact: &'static str, scale: f64, label: &'static str, usual: [&'static str; 2]) -> Option<Number> {
    Some(Number { fact, scale, label, warn: usual[0], crit: usual[1] })
}

fn number_of(kind: &str) -> Option<Number> {
    const NONE: [&str; 2] = ["", ""];
    match kind {
        "disk" => number("used_pct_max", 1.0, "used_pct", ["90", "95"]),
        // Seconds, as check_tcp and check_http have it.
        "tcp" => number("connect_ms", 0.001, "time", NONE),
        "prometheus" => number("value", 1.0, "value", NONE),
        "nut" => number("charge_pct", 1.0, "charge", NONE),
        "imap" | "redis" | "smtp" | "ssh" => number("connect_ms", 0.001, "connect", NONE),
        "ntp" => number("offset_abs_ms", 0.001, "offset", NONE),
        "http" | "heartbeat" | "dns" => number("total_ms", 0.001, "time", NONE),
        "load" => number("load1", 1.0, "load1", NONE),
        "memory" => number("used_pct", 1.0, "used_pct", ["90", "97"]),
        "ping" => number("rtt_ms", 1.0, "rta", NONE),
        "process" => number("count", 1.0, "count", NONE),
        "snmp" => number("value", 1.0, "value", NONE),
        "uptime" => number("uptime_s", 1.0, "uptime", NONE),
        _ => None,
    }
}

impl Thresholds {
    /// # Errors
    /// A text is not a range.
    pub fn parse(warn: Option<&str>, crit: Option<&str>) -> Result<Thresholds, RangeError> {
        let read = |text: Option<&str>| text.map(|text| Ok((text.to_owned(), text.parse()?))).transpose();
        Ok(Thresholds { warn: read(warn)?, crit: read(crit)? })
    }

    /// These, or the usual ones of the kind.
    fn or_usual(&self, number: &Number) -> Thresholds {
        if self.warn.is_some() || self.crit.is_some() {
            return self.clone();
        }
        let given = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        Thresholds::parse(given(number.warn), given(number.crit)).unwrap_or_default()
    }

    fn judge(&self, value: f64) -> ServiceState {
        let alerts = |range: &Option<(String, Range)>| range.as_ref().is_some_and(|(_, range)| range.alerts(value));
        match (alerts(&self.crit), alerts(&self.warn)) {
            (true, _) => Critical,
            (false, true) => Warning,
            (false, false) => Good,
        }
    }

    /// Writes the thresholds into the measurements they are about.
    pub fn mark(&self, kind: &str, mut seen: Observation) -> Observation {
        let Some(number) = number_of(kind) else { return seen };
        let thresholds = self.or_usual(&number);
        let is_meant = |item: &Measurement| {
            item.label.strip_prefix(number.label).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        for item in seen.measurements.iter_mut().filter(|item| is_meant(item)) {
            item.warn = as_given(thresholds.warn.as_ref()).into();
            item.crit = as_given(thresholds.crit.as_ref()).into();
        }
        seen
    }
}

fn as_given(threshold: Option<&(String, Range)>) -> &str {
    threshold.map(|(text, _)| text.as_str()).unwrap_or_default()
}

/// The worse of what the facts and the thresholds say.
pub fn judge(kind: &str, seen: &Observation, thresholds: &Thresholds) -> Verdict {
    match seen.outcome {
        Outcome::Reported(state) => return Verdict { state, why: None },
        Outcome::Failed(_) => return Verdict { state: Unknown, why: None },
        Outcome::ReportedHost(host) => {
            let state = if host == HostState::Up { ServiceState::Ok } else { ServiceState::Critical };
            return Verdict { state, why: None };
        }
        Outcome::Observed => {}
    }
    let by_facts = Verdict { state: by_facts(kind, seen), why: None };
    let Some(number) = number_of(kind) else { return by_facts };
    let Some(value) = seen.facts.get(number.fact).and_then(Value::number) else { return by_facts };
    let value = value * number.scale;
    let thresholds = thresholds.or_usual(&number);
    let state = thresholds.judge(value);
    if state.badness() <= by_facts.state.badness() {
        return by_facts;
    }
    let broken = if state == Critical { &thresholds.crit } else { &thresholds.warn };
    let range = as_given(broken.as_ref());
    Verdict { state, why: Some(format!("{} {value} breaks {range}", number.label)) }
}

/// What is bad without any threshold.
fn by_facts(kind: &str, seen: &Observation) -> ServiceState {
    let word = |fact: &str| seen.facts.get(fact).and_then(Value::text);
    let is_false = |fact: &str| seen.facts.get(fact).and_then(Value::bool) == Some(false);
    match kind {
        "tcp" if word("port") != Some("open") => Critical,
        "tcp" if is_false("banner_match") => Warning,
        "http" => http(seen),
        "heartbeat" if word("heartbeat") != Some("enabled") => Critical,
        "ping" if word("ping") != Some("ok") => Critical,
        "ping" => at_least(seen, "loss_pct", 20.0, 60.0),
        "process" if word("process") != Some("running") || is_false("within") => Critical,
        "systemd_unit" => match word("process") {
            Some("running") => Good,
            Some("restarting") => Warning,
            Some(_) => Critical,
            None => Unknown,
        },
        "disk" => disk(seen),
        "load" => at_least(seen, "load5_per_cpu", 4.0, 8.0),
        // hardware.md: redundancy lost is WARNING, service lost CRITICAL.
        "mdraid" => match word("state") {
            Some("Optl") | None => Good,
            Some("OfLn") => Critical,
            Some(_) => Warning,
        },
        "bond" | "team" => match word("finding") {
            Some("ok") | None => Good,
            Some("down") => Critical,
            Some(_) => Warning,
        },
        "bridge" | "conntrack" | "lldp" | "nic" | "route" | "time_sync" => host_network(kind, seen),
        "drbd" if is_any(seen, "missing") => Critical,
        "drbd" => match word("finding") {
            Some("ok" | "verify") | None => Good,
            Some("split_brain" | "dual_primary" | "frozen" | "diskless_primary") => Critical,
            Some(_) => Warning,
        },
        "smart" => smart(seen),
        "mount" if ["hung", "failed", "missing", "read_only"].into_iter().any(|fact| is_any(seen, fact)) => Critical,
        "mount" if is_any(seen, "not_asked") => Unknown,
        "multipath" if is_any(seen, "missing") => Critical,
        "multipath" => match word("finding") {
            Some("ok") | None => Good,
            Some("no_path") => Critical,
            Some(_) => Warning,
        },
        "raid_controller" => raid_controller(seen),
        "zfs" if is_any(seen, "missing") || is_any(seen, "data_lost") => Critical,
        "zfs" => raid_controller(seen),
        "ipmi" => ipmi(seen),
        "snmp" | "snmp_if" | "snmp_ups" if word("snmp") != Some("ok") => Unknown,
        "snmp" => snmp(seen),
        "snmp_if" => snmp_if(seen),
        "snmp_ups" => snmp_ups(seen),
        "nut" => nut(seen),
        "ntp" if word("ntp") != Some("ok") || is_false("synchronized") => Critical,
        "dns" if word("dns") != Some("ok") || is_false("as_expected") => Critical,
        "imap" | "redis" | "smtp" | "ssh" => service(kind, seen),
        "prometheus" if word("metrics") != Some("ok") => Unknown,
        _ => Good,
    }
}

/// As the checks of `checks/host/network.toml` without limits of their own.
fn host_network(kind: &str, seen: &Observation) -> ServiceState {
    let is = |fact: &str| seen.facts.get(fact).and_then(Value::bool);
    let (critical, warning): (&[&str], &[&str]) = match kind {
        "nic" => (&["missing"], &["down", "slow", "half_duplex", "mtu_wrong", "mtu_mixed", "duplex_hints"]),
        "bridge" => (&["missing", "down"], &["no_carrier", "blocking"]),
        "lldp" => (&[], &["same_switch", "wrong"]),
        "route" => (&["missing"], &[]),
        "time_sync" => (&[], &["falsetickers"]),
        _ => (&[], &[]),
    };
    let any = |facts: &[&str]| facts.iter().any(|fact| is_listed(seen, fact));
    let lost = match kind {
        "route" => is("default") == Some(false) || (is("wants6") == Some(true) && is("default6") == Some(false)),
        "time_sync" => is("synchronised") == Some(false),
        _ => false,
    };
    let numbers = match kind {
        "nic" => at_least(seen, "errors_per_min", 1.0, f64::INFINITY),
        "conntrack" => at_least(seen, "fill_pct", 80.0, 95.0),
        "time_sync" => at_least(seen, "offset_abs_s", 0.1, 1.0),
        _ => Good,
    };
    match (lost || any(critical), numbers) {
        (true, _) | (_, Critical) => Critical,
        (false, Warning) => Warning,
        (false, _) if any(warning) || is("gateway_fits") == Some(false) => Warning,
        (false, other) => other,
    }
}

/// hardware.md: a host that is off is CRITICAL; lost redundancy, and a BMC that leaves us blind, are WARNING.
fn ipmi(seen: &Observation) -> ServiceState {
    let word = |fact: &str| seen.facts.get(fact).and_then(Value::text);
    match (word("bmc"), word("power"), word("worst")) {
        (Some("unreachable"), _, _) => Warning,
        (_, Some("off"), _) | (_, _, Some("critical")) => Critical,
        (_, _, Some("ok")) => Good,
        (_, _, Some(_)) => Warning,
        // The sensors were not read to the end.
        (_, _, None) => Unknown,
    }
}

/// What does not serve is CRITICAL; what serves and will not for long, or does not keep its data, is WARNING.
fn service(kind: &str, seen: &Observation) -> ServiceState {
    let is = |fact: &str, word: &str| seen.facts.get(fact).and_then(Value::text) == Some(word);
    let is_false = |fact: &str| seen.facts.get(fact).and_then(Value::bool) == Some(false);
    let days = seen.facts.get("tls_days_left").and_then(Value::number);
    match is(kind, "ok") {
        false => Critical,
        true if is("link", "down") || is_false("persistence_ok") || days.is_some_and(|days| days < 14.0) => Warning,
        true => Good,
    }
}

/// hardware.md: a battery that is low is CRITICAL, lost redundancy and lost contact are WARNING.
fn nut(seen: &Observation) -> ServiceState {
    let is = |fact: &str| seen.facts.get(fact).and_then(Value::bool) == Some(true);
    match seen.facts.get("power").and_then(Value::text) {
        Some("off") => Critical,
        Some("battery") if is("low_battery") || is("forced_shutdown") => Critical,
        Some("online") if !["low_battery", "replace_battery", "overload", "alarm"].into_iter().any(is) => Good,
        Some(_) | None => Warning,
    }
}

fn is_listed(seen: &Observation, fact: &str) -> bool {
    seen.facts.get(fact).and_then(Value::list).is_some_and(|names| !names.is_empty())
}

fn snmp(seen: &Observation) -> ServiceState {
    match (is_listed(seen, "unmatched"), is_listed(seen, "missing")) {
        (true, _) => Critical,
        (false, true) => Unknown,
        (false, false) => Good,
    }
}

/// Ports that nobody named may be down: unused ones are, on every switch.
fn snmp_if(seen: &Observation) -> ServiceState {
    let is_chosen = seen.facts.get("chosen").and_then(Value::bool) == Some(true);
    match (is_chosen && is_listed(seen, "down"), is_listed(seen, "up"), is_listed(seen, "not_found")) {
        (true, false, _) => Critical,
        (true, true, _) | (false, _, true) => Warning,
        (false, _, false) => Good,
    }
}

fn snmp_ups(seen: &Observation) -> ServiceState {
    let word = |fact: &str| seen.facts.get(fact).and_then(Value::text).unwrap_or("unknown");
    match (word("source"), word("battery")) {
        ("none", _) | (_, "depleted") | ("battery", "low") => Critical,
        ("battery" | "bypass", _) | (_, "low") => Warning,
        ("unknown", "unknown") => Unknown,
        _ => Good,
    }
}

/// As check_http: 4xx is a warning, 5xx and everything that is no answer critical.
fn http(seen: &Observation) -> ServiceState {
    let is_false = |fact: &str| seen.facts.get(fact).and_then(Value::bool) == Some(false);
    let days = seen.facts.get("tls_days_left").and_then(Value::number);
    if is_false("body_match") || seen.facts.contains_key("tls_error") || days.is_some_and(|days| days < 0.0) {
        return Critical;
    }
    match seen.facts.get("http").and_then(Value::number) {
        Some(status) if status < 400.0 && days.is_some_and(|days| days < 14.0) => Warning,
        Some(status) if status < 400.0 => Good,
        Some(status) if status < 500.0 => Warning,
        Some(_) | None => Critical,
    }
}

fn is_any(seen: &Observation, fact: &str) -> bool {
    seen.facts.get(fact).and_then(Value::list).is_some_and(|list| !list.is_empty())
}

/// Also of ZFS, whose facts have other names.
fn raid_controller(seen: &Observation) -> ServiceState {
    let lists = ["disks_gone", "predicted", "foreign", "battery_faults", "complaints", "gone", "with_errors"];
    match seen.facts.get("state").and_then(Value::text) {
        Some("OfLn") => Critical,
        Some("Optl" | "none") if lists.into_iter().any(|fact| is_any(seen, fact)) => Warning,
        Some("Optl" | "none") => Good,
        Some("Unknown") | None => Unknown,
        Some(_) => Warning,
    }
}

/// A disk that announces its end still serves; one that takes no writes does not.
fn smart(seen: &Observation) -> ServiceState {
    let over = |fact: &str, limit: f64| seen.facts.get(fact).and_then(Value::number).is_some_and(|n| n >= limit);
    let lists = ["failing", "warned", "self_test_failed", "unread"];
    match () {
        () if is_any(seen, "read_only") => Critical,
        () if lists.into_iter().any(|fact| is_any(seen, fact)) => Warning,
        () if over("pending_max", 1.0) || over("wear_pct_max", 90.0) || over("temperature_c_max", 65.0) => Warning,
        () => Good,
    }
}

fn disk(seen: &Observation) -> ServiceState {
    if ["not_mounted", "hung", "read_only"].into_iter().any(|fact| is_any(seen, fact)) {
        return Critical;
    }
    at_least(seen, "inodes_pct_max", 90.0, 95.0)
}

fn at_least(seen: &Observation, fact: &str, warn: f64, crit: f64) -> ServiceState {
    match seen.facts.get(fact).and_then(Value::number) {
        Some(value) if value >= crit => Critical,
        Some(value) if value >= warn => Warning,
        Some(_) | None => Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(facts: &str) -> Observation {
        let facts = serde_json::from_str(facts).expect("facts of the test are JSON");
        Observation { facts, ..Observation::observed("x") }
    }

    /// Kind, facts, and what comes of them.
    const JUDGEMENTS: &[(&str, &str, ServiceState)] = &[
        ("tcp", r#"{"port":"open"}"#, Good),
        ("tcp", r#"{"port":"refused"}"#, Critical),
        ("tcp", r#"{"port":"open","banner_match":false}"#, Warning),
        ("http", r#"{"http":200}"#, Good),
        ("http", r#"{"http":404}"#, Warning),
        ("http", r#"{"http":503}"#, Critical),
        ("http", r#"{"http":"timeout"}"#, Critical),
        ("http", r#"{"port":"refused"}"#, Critical),
        ("http", r#"{"http":200,"tls_days_left":13}"#, Warning),
        ("http", r#"{"http":200,"tls_days_left":-1}"#, Critical),
        ("http", r#"{"http":200,"body_match":false}"#, Critical),
        ("ping", r#"{"ping":"fail","loss_pct":100}"#, Critical),
        ("ping", r#"{"ping":"ok","loss_pct":33}"#, Warning),
        ("process", r#"{"process":"hung","within":true}"#, Critical),
        ("process", r#"{"process":"running","within":false}"#, Critical),
        ("systemd_unit", r#"{"load":"not-found"}"#, Unknown),
        ("systemd_unit", r#"{"process":"restarting"}"#, Warning),
        ("heartbeat", r#"{"heartbeat":"not_enabled"}"#, Critical),
        ("disk", r#"{"used_pct_max":89,"read_only":[]}"#, Good),
        ("disk", r#"{"used_pct_max":91,"read_only":[]}"#, Warning),
        ("disk", r#"{"used_pct_max":1,"read_only":["/"]}"#, Critical),
        ("disk", r#"{"not_mounted":["/x"]}"#, Critical),
        ("mdraid", r#"{"state":"Dgrd"}"#, Warning),
        ("mdraid", r#"{"state":"OfLn"}"#, Critical),
        ("mdraid", r#"{"arrays":0}"#, Good),
        ("bond", r#"{"finding":"slave_down"}"#, Warning),
        ("bond", r#"{"finding":"down"}"#, Critical),
        ("drbd", r#"{"finding":"ok"}"#, Good),
        ("drbd", r#"{"finding":"ok","missing":["r0"]}"#, Critical),
        ("drbd", r#"{"finding":"peer_lost"}"#, Warning),
        ("drbd", r#"{"finding":"split_brain"}"#, Critical),
        ("smart", r#"{"failing":[],"pending_max":0,"wear_pct_max":89}"#, Good),
        ("smart", r#"{"failing":[],"pending_max":1}"#, Warning),
        ("smart", r#"{"failing":["/dev/sda"]}"#, Warning),
        ("smart", r#"{"read_only":["/dev/nvme0"]}"#, Critical),
        ("raid_controller", r#"{"state":"Optl"}"#, Good),
        ("raid_controller", r#"{"state":"Optl","battery_faults":["x"]}"#, Warning),
        ("raid_controller", r#"{"state":"Rbld"}"#, Warning),
        ("raid_controller", r#"{"state":"OfLn"}"#, Critical),
        ("raid_controller", r#"{"state":"Unknown"}"#, Unknown),
        ("multipath", r#"{"finding":"ok","missing":[]}"#, Good),
        ("multipath", r#"{"finding":"ok","missing":["mpatha"]}"#, Critical),
        ("multipath", r#"{"finding":"one_path"}"#, Warning),
        ("multipath", r#"{"finding":"no_path"}"#, Critical),
        ("mount", r#"{"hung":[],"not_asked":[]}"#, Good),
        ("mount", r#"{"hung":["/nfs"],"not_asked":["/x"]}"#, Critical),
        ("mount", r#"{"hung":[],"not_asked":["/x"]}"#, Unknown),
        ("zfs", r#"{"state":"Optl"}"#, Good),
        ("zfs", r#"{"state":"Optl","with_errors":["tank:/dev/sda"]}"#, Warning),
        ("zfs", r#"{"state":"Pdgd"}"#, Warning),
        ("zfs", r#"{"state":"Optl","data_lost":["tank"]}"#, Critical),
        ("team", r#"{"finding":"no_partner"}"#, Warning),
        ("nic", r#"{"missing":[],"down":[]}"#, Good),
        ("nic", r#"{"missing":["eth9"],"down":[]}"#, Critical),
        ("nic", r#"{"missing":[],"half_duplex":["eth0"]}"#, Warning),
        ("nic", r#"{"missing":[],"errors_per_min":30}"#, Warning),
        ("bridge", r#"{"missing":[],"blocking":["br0/eth1"]}"#, Warning),
        ("lldp", r#"{"same_switch":["bond0"]}"#, Warning),
        ("route", r#"{"default":false,"missing":[]}"#, Critical),
        ("route", r#"{"default":true,"gateway_fits":false,"missing":[]}"#, Warning),
        ("conntrack", r#"{"tracking":true,"fill_pct":96}"#, Critical),
        ("time_sync", r#"{"synchronised":true,"offset_abs_s":0.2}"#, Warning),
        ("time_sync", r#"{"synchronised":false}"#, Critical),
        ("ipmi", r#"{"bmc":"ok","power":"on","worst":"ok"}"#, Good),
        ("ipmi", r#"{"bmc":"ok","power":"on","worst":"major"}"#, Warning),
        ("ipmi", r#"{"bmc":"ok","power":"on","worst":"critical"}"#, Critical),
        ("ipmi", r#"{"bmc":"ok","power":"off","worst":"ok"}"#, Critical),
        ("ipmi", r#"{"bmc":"unreachable","power":"unknown"}"#, Warning),
        ("ipmi", r#"{"bmc":"ok","power":"on"}"#, Unknown),
        ("memory", r#"{"used_pct":98}"#, Critical),
        ("snmp", r#"{"snmp":"timeout"}"#, Unknown),
        ("snmp", r#"{"snmp":"ok","missing":[],"unmatched":[]}"#, Good),
        ("snmp", r#"{"snmp":"ok","missing":["x"],"unmatched":[]}"#, Unknown),
        ("snmp", r#"{"snmp":"ok","missing":["x"],"unmatched":["y"]}"#, Critical),
        ("snmp_if", r#"{"snmp":"ok","chosen":true,"up":["a"],"down":["b"],"not_found":[]}"#, Warning),
        ("snmp_if", r#"{"snmp":"ok","chosen":true,"up":[],"down":["b"],"not_found":[]}"#, Critical),
        ("snmp_if", r#"{"snmp":"ok","chosen":false,"up":[],"down":["b"],"not_found":[]}"#, Good),
        ("snmp_ups", r#"{"snmp":"ok","ups_found":false}"#, Unknown),
        ("snmp_ups", r#"{"snmp":"ok","source":"battery","battery":"normal"}"#, Warning),
        ("snmp_ups", r#"{"snmp":"ok","source":"battery","battery":"low"}"#, Critical),
        ("nut", r#"{"nut":"ok","power":"online","low_battery":false}"#, Good),
        ("nut", r#"{"nut":"ok","power":"online","replace_battery":true}"#, Warning),
        ("nut", r#"{"nut":"ok","power":"battery","low_battery":true}"#, Critical),
        ("nut", r#"{"port":"open","nut":"stale"}"#, Warning),
        ("prometheus", r#"{"metrics":"ok","value":1}"#, Good),
        ("prometheus", r#"{"metrics":"no_value"}"#, Unknown),
        ("ntp", r#"{"ntp":"ok","synchronized":false}"#, Critical),
        ("dns", r#"{"dns":"ok","as_expected":true}"#, Good),
        ("dns", r#"{"dns":"nxdomain"}"#, Critical),
        ("redis", r#"{"redis":"ok","link":"down"}"#, Warning),
        ("redis", r#"{"redis":"ok","persistence_ok":true}"#, Good),
        ("redis", r#"{"redis":"loading"}"#, Critical),
        ("smtp", r#"{"smtp":"ok","tls_days_left":3}"#, Warning),
        ("ssh", r#"{"port":"refused"}"#, Critical),
    ];

    #[test]
    fn each_kind_has_a_plain_judgement() {
        for (kind, facts, state) in JUDGEMENTS {
            assert_eq!(judge(kind, &seen(facts), &Thresholds::default()).state, *state, "{kind} {facts}");
        }
    }

    #[test]
    fn given_thresholds_replace_the_usual_ones_but_not_the_facts() {
        let given = Thresholds::parse(Some("50"), Some("60")).expect("ranges");
        assert_eq!(judge("disk", &seen(r#"{"used_pct_max":55}"#), &given).state, Warning);
        let wide = Thresholds::parse(Some("99"), None).expect("ranges");
        assert_eq!(judge("disk", &seen(r#"{"used_pct_max":98}"#), &wide).state, Good);
        assert_eq!(judge("disk", &seen(r#"{"used_pct_max":1,"hung":["/n"]}"#), &wide).state, Critical);
    }

    #[test]
    fn times_are_compared_in_seconds() {
        let given = Thresholds::parse(Some("0.5"), Some("2")).expect("ranges");
        let verdict = judge("tcp", &seen(r#"{"port":"open","connect_ms":700}"#), &given);
        assert_eq!(verdict.state, Warning);
        assert!(verdict.why.is_some_and(|why| why.contains("breaks 0.5")));
    }

    #[test]
    fn a_reported_state_stands() {
        let seen = Observation::reported(Warning, "as the plugin said");
        assert_eq!(judge("exec", &seen, &Thresholds::default()).state, Warning);
    }
}
