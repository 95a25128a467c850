//! The signals of one component in the words of the truth table; reads, never decides a class by itself.

use super::draft::{Explained, Finding};
use super::facts::Facts;
use super::signal::Signal;
use super::verdict::{Class, Rejected};
use super::world::World;
use crate::Span;
use crate::model::Value;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Open,
    Refused,
    Timeout,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Running,
    Absent,
    Hung,
    Restarting,
}

/// What the application itself says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Serving,
    Failing,
    /// It accepts the request and never answers.
    Silent,
    Untold,
}

/// A resource that is missing or scarce.
#[derive(Clone)]
pub(super) struct Resource<'a> {
    pub kind: &'static str,
    signal: &'a Signal,
    blocks_start: Option<bool>,
}

impl Resource<'_> {
    pub fn describe(&self) -> String {
        match self.signal.value.get("detail") {
            Some(detail) => format!("{} ({detail})", self.kind),
            None => format!("{} ({} {})", self.kind, self.signal.sig, self.signal.value),
        }
    }
}

/// The closed list of resource kinds (specification 10, section 1).
const KINDS: [&str; 18] = [
    "disk",
    "db",
    "backend",
    "san_path",
    "drbd",
    "hypervisor",
    "netagent",
    "dns",
    "ntp",
    "cert",
    "keys",
    "membership",
    "config",
    "capacity",
    "dependency",
    "temperature",
    "memory_ecc",
    "smart",
];

/// Kinds whose absence keeps a process from starting unless the check says otherwise (section 4.2, row 3).
const START_BLOCKING: [&str; 5] = ["disk", "db", "cert", "keys", "config"];

/// Kinds that run short before they are gone; a critical level is not yet a missing part.
const SHORT_OF: [&str; 7] = ["disk", "capacity", "ntp", "dns", "temperature", "memory_ecc", "smart"];

/// Words of the platforms for "not in service, and not on purpose".
const FAILING_STATES: [&str; 11] = [
    "NOTREADY",
    "BROKEN",
    "Disconnected",
    "Down",
    "Alert",
    "Error",
    "no_quorum",
    "XXX",
    "Non-Primary",
    "Unknown",
    "inactive",
];

pub(super) fn resource_kind(word: &str) -> &'static str {
    KINDS.iter().find(|kind| **kind == word).copied().unwrap_or("dependency")
}

/// Eucalyptus fault id to resource kind (the fault registry of the platform).
fn kind_of_fault(id: &str) -> Option<&'static str> {
    Some(match id {
        "1003" => "disk",
        "1004" | "1005" => "capacity",
        "1006" => "db",
        "1008" | "1016" => "netagent",
        "1009" => "keys",
        "1013" => "hypervisor",
        "1014" | "1015" | "1017" => "config",
        "1002" | "2000" | "2002" => "backend",
        "2001" | "2003" => "san_path",
        _ => return None,
    })
}

/// Log lines that change the class of an absent process (section 4.3).
const BLOCKING_LINES: [(&str, &str); 4] = [
    ("Cannot write to bucket root directory", "disk"),
    ("Unable to make bucket root directory", "disk"),
    ("insufficient available work space", "disk"),
    ("insufficient disk space for virtual machines", "disk"),
];

/// CloudStack: the management server fences itself with this code after losing its database.
const EXIT_DATABASE_LOST: f64 = 219.0;

pub(super) struct View<'a> {
    pub facts: Vec<&'a Signal>,
    port: Option<Port>,
    process: Option<Process>,
    state: Option<&'a str>,
    kind: &'a str,
    resources: Vec<(Resource<'a>, bool)>,
    /// Missing on the host as a whole: explains a failure, and is no risk of this component alone.
    of_host: Vec<Resource<'a>>,
    /// A resource was looked at once, and nobody has for too long.
    pub blind: bool,
    started: Option<Span>,
    state_age: Option<Span>,
    grace: Span,
}

impl<'a> View<'a> {
    pub fn read(world: &'a World, index: usize) -> Self {
        View::of(world, index, &world.comps[index].facts)
    }

    /// The same with other facts in the place of its own.
    pub fn of(world: &'a World, index: usize, facts: &'a Facts) -> Self {
        let comp = &world.comps[index];
        let state = facts.newest("service_state");
        let process = facts.newest("process");
        let runs = process.is_some_and(|signal| signal.value.text() == Some("running"));
        let uptime = facts.newest("uptime_s").and_then(|signal| {
            let seconds = signal.value.number().filter(|seconds| seconds.is_finite())?;
            Some(Span::from_millis((seconds * 1000.0) as i64) + world.at.since(signal.observed_at))
        });
        View {
            port: port(facts),
            process: process.filter(|signal| !is_overtaken(facts, signal)).and_then(|signal| {
                match signal.value.text() {
                    Some("running") => Some(Process::Running),
                    Some("absent") => Some(Process::Absent),
                    Some("hung") => Some(Process::Hung),
                    Some("restarting") => Some(Process::Restarting),
                    Some(_) | None => None,
                }
            }),
            state: state.and_then(|signal| signal.value.text()),
            kind: &comp.kind,
            resources: resources(facts),
            of_host: of_host(&world.hosts[comp.host].facts),
            blind: facts.has_stale("resource") || world.hosts[comp.host].facts.has_stale("resource"),
            started: uptime.or_else(|| process.filter(|_| runs).and_then(|signal| world.age_of_value(signal))),
            state_age: state.and_then(|signal| world.age_of_value(signal)),
            grace: world.grace(index),
            facts: facts.iter().collect(),
        }
    }

    pub fn port(&self) -> Option<Port> {
        self.port
    }

    pub fn process(&self) -> Option<Process> {
        self.process
    }

    pub fn is_proxied(&self) -> bool {
        ["console", "elb", "lb"].contains(&self.kind)
    }

    pub fn started_recently(&self) -> bool {
        self.started.is_some_and(|age| age < self.grace)
    }

    pub fn state_is(&self, word: &str) -> bool {
        self.state.is_some_and(|state| state.eq_ignore_ascii_case(word))
    }

    pub fn state_in(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.state_is(word))
    }

    pub fn state_fails(&self) -> bool {
        self.state_in(&FAILING_STATES)
    }

    pub fn state_is_older_than_grace(&self) -> bool {
        self.state_age.is_some_and(|age| age >= self.grace)
    }

    pub fn says(&self, sig: &str, text: &str) -> bool {
        self.facts.iter().any(|signal| {
            &*signal.sig == sig && signal.value.text().is_some_and(|value| value.eq_ignore_ascii_case(text))
        })
    }

    pub fn heartbeat_is(&self, text: &str) -> bool {
        self.says("heartbeat", text)
    }

    pub fn probe_is(&self, text: &str) -> bool {
        self.says("probe", text)
    }

    fn http_codes(&self) -> impl Iterator<Item = f64> + '_ {
        self.facts.iter().filter(|signal| &*signal.sig == "http").filter_map(|signal| match &signal.value {
            Value::Number(code) => Some(*code),
            Value::Text(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        })
    }

    pub fn http_is(&self, code: f64) -> bool {
        self.http_codes().any(|seen| seen == code)
    }

    pub fn http_fails(&self) -> bool {
        self.http_codes().any(|code| code >= 500.0)
    }

    pub fn log_has(&self, line: &str) -> bool {
        self.facts.iter().any(|signal| {
            matches!(&*signal.sig, "log" | "sel") && signal.value.text().is_some_and(|text| text.contains(line))
        })
    }

    /// A good answer wins over none, because somebody got it; silence wins over failure, because nothing else hangs.
    pub fn answer(&self) -> Answer {
        if self.probe_is("timeout") || self.says("http", "timeout") || self.heartbeat_is("none") {
            return Answer::Silent;
        }
        if self.probe_is("fail") || self.http_fails() || self.heartbeat_is("not_enabled") && !self.state_is("DISABLED")
        {
            return Answer::Failing;
        }
        let http_ok = self.http_codes().any(|code| (200.0..400.0).contains(&code));
        let enabled = self.port == Some(Port::Open) && self.state_is("ENABLED");
        if self.probe_is("ok") || self.probe_is("slow") || http_ok || self.heartbeat_is("enabled") || enabled {
            return Answer::Serving;
        }
        Answer::Untold
    }

    /// Whether it serves without this resource. An open port or a page only prove that something listens: enough while
    /// a resource runs short, not when a part is gone that every request needs.
    pub fn serves_without(&self, kind: &str) -> bool {
        let functional =
            self.state_is("ENABLED") || self.heartbeat_is("enabled") || self.probe_is("ok") || self.probe_is("slow");
        let listens = self.port == Some(Port::Open) || self.answer() == Answer::Serving;
        functional || (listens && SHORT_OF.contains(&kind))
    }

    /// The worst missing resource: one that blocks the start first, then by kind.
    pub fn critical_resource(&self) -> Option<Resource<'a>> {
        let critical = self.resources.iter().filter(|(_, critical)| *critical).map(|(resource, _)| resource);
        critical.min_by_key(|resource| (resource.blocks_start != Some(true), resource.kind)).cloned()
    }

    /// What the host as a whole has lost.
    pub fn lost_with_host(&self) -> Option<Resource<'a>> {
        self.of_host.iter().min_by_key(|resource| (resource.blocks_start != Some(true), resource.kind)).cloned()
    }

    pub fn scarce_resource(&self) -> Option<Resource<'a>> {
        self.resources.iter().map(|(resource, _)| resource).min_by_key(|resource| resource.kind).cloned()
    }

    /// A resource that the platform's own fault registry names.
    pub fn fault(&self) -> Option<Resource<'a>> {
        let faults = self.facts.iter().filter(|signal| &*signal.sig == "fault");
        faults
            .filter_map(|signal| {
                let kind = kind_of_fault(&signal.value.to_string())?;
                Some(Resource { kind, signal, blocks_start: None })
            })
            .min_by_key(|resource| resource.kind)
    }

    /// What keeps an absent process from starting.
    pub fn start_blocker(&self) -> Option<Resource<'a>> {
        if let Some(resource) = self.critical_resource().or_else(|| self.lost_with_host())
            && resource.blocks_start.unwrap_or(START_BLOCKING.contains(&resource.kind))
        {
            return Some(resource);
        }
        let exit = self.facts.iter().find(|s| &*s.sig == "exit_code" && s.value.number() == Some(EXIT_DATABASE_LOST));
        if let Some(signal) = exit {
            return Some(Resource { kind: "db", signal, blocks_start: Some(true) });
        }
        for (line, kind) in BLOCKING_LINES {
            let told = |s: &&&Signal| &*s.sig == "log" && s.value.text().is_some_and(|text| text.contains(line));
            if let Some(signal) = self.facts.iter().find(told) {
                return Some(Resource { kind, signal, blocks_start: Some(true) });
            }
        }
        None
    }

    pub fn finding(&self, class: Class, subtype: &'static str, base: f64, explained_by: Explained) -> Finding<'a> {
        Finding {
            class,
            subtype,
            base,
            // Every row of the table rests on two planes: the network and the host, or the host and the controller.
            row_planes: 2,
            support: self.facts.clone(),
            contradicted: false,
            rejected: Vec::new(),
            explained_by,
            critical: true,
            absent: false,
            missing: Vec::new(),
            flaps: None,
            is_down: false,
        }
    }

    pub fn software(
        &self,
        subtype: &'static str,
        base: f64,
        explained_by: Explained,
        rejected: Vec<Rejected>,
    ) -> Finding<'a> {
        let mut finding = self.finding(Class::SoftwareDown, subtype, base, explained_by);
        finding.rejected = rejected;
        finding
    }

    pub fn unavailable(&self, subtype: &'static str, base: f64, explained_by: Explained) -> Finding<'a> {
        self.finding(Class::ResourceUnavailable, subtype, base, explained_by)
    }

    pub fn resource(&self, resource: &Resource<'a>, base: f64) -> Finding<'a> {
        let explained_by = match resource.kind {
            "membership" | "db" | "dns" => Explained::Control,
            "backend" | "san_path" => Explained::Storage,
            "dependency" => Explained::Any,
            _ => Explained::Never,
        };
        let mut finding = self.unavailable(resource.kind, base, explained_by);
        if !finding.support.iter().any(|signal| std::ptr::eq(*signal, resource.signal)) {
            finding.support.push(resource.signal);
        }
        finding
    }

    pub fn starting(&self) -> Finding<'a> {
        self.finding(Class::Starting, "grace", 0.7, Explained::Any)
    }
}

/// A process that was last seen running before its port began to refuse: nobody has looked since.
fn is_overtaken(facts: &Facts, process: &Signal) -> bool {
    process.value.text() == Some("running")
        && facts.all("port").all(|port| {
            port.value.text() == Some("refused") && port.every > Span::ZERO && process.observed_at < port.changed_at
        })
        && facts.newest("port").is_some()
}

/// Open for anybody is open: the others have a path problem.
fn port(facts: &Facts) -> Option<Port> {
    let mut best = None;
    for signal in facts.all("port") {
        let port = match signal.value.text() {
            Some("open") => Port::Open,
            Some("refused") => Port::Refused,
            Some("timeout") => Port::Timeout,
            Some(_) | None => continue,
        };
        if best.is_none_or(|held| (port as u8) < (held as u8)) {
            best = Some(port);
        }
    }
    best
}

fn of_host<'a>(facts: &'a Facts) -> Vec<Resource<'a>> {
    resources(facts).into_iter().filter(|(_, critical)| *critical).map(|(resource, _)| resource).collect()
}

fn resources<'a>(facts: &'a Facts) -> Vec<(Resource<'a>, bool)> {
    let read = |signal: &'a Signal| {
        let critical = match signal.value.get("level").and_then(Value::text) {
            Some("crit") => true,
            Some("warn") => false,
            Some(_) | None => return None,
        };
        let kind = resource_kind(signal.value.get("kind").and_then(Value::text).unwrap_or_default());
        let blocks_start = signal.value.get("blocks_start").and_then(Value::bool);
        Some((Resource { kind, signal, blocks_start }, critical))
    };
    facts.all("resource").filter_map(read).collect()
}
