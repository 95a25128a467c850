//! The streaming encoder: one family after the other, a few kilobytes at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use stentor_core::availability::State;
use stentor_core::catalog::Catalog;
use stentor_core::diagnosis::{CoreState, FailureType, Severity};
use stentor_core::model::Measurement;
use stentor_core::snapshot::{Row, Snapshot};
use stentor_wire::nagios::range::Range;

use super::registry::{head, sample};
use super::{Format, Part};

/// A chunk is sent when it has grown to this.
const CHUNK_BYTES: usize = 32 * 1024;
/// Perfdata labels come from plugins: longer ones are cut.
const LABEL_CHARS_MAX: usize = 100;
const UNIT_CHARS_MAX: usize = 16;

/// Label texts of a catalog, parallel to its tables: `host="web01"`, `host="web01",service="disk /"`.
pub struct Labels {
    pub catalog: Arc<Catalog>,
    hosts: Vec<Box<str>>,
    services: Vec<Box<str>>,
    /// FNV-1a of each host's name: stable across restarts and versions, so shards keep their hosts.
    shard_keys: Vec<u32>,
}

impl Labels {
    pub fn new(catalog: Arc<Catalog>) -> Labels {
        let hosts: Vec<Box<str>> =
            catalog.hosts.iter().map(|host| format!("host=\"{}\"", escape(&host.name)).into()).collect();
        let services = catalog
            .services
            .iter()
            .map(|service| format!("{},service=\"{}\"", hosts[service.host.index()], escape(&service.name)).into());
        let services = services.collect();
        let shard_keys = catalog.hosts.iter().map(|host| fnv1a(host.name.as_bytes())).collect();
        Labels { catalog, hosts, services, shard_keys }
    }
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A label value: backslash, quote and newline escaped (both formats agree).
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Help text: backslash and newline escaped.
pub fn escape_help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// Shortest decimal that reads back; the specials in Prometheus's words.
pub fn number(out: &mut String, value: f64) {
    let done = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value != 0.0 && !(1e-5..1e17).contains(&value.abs()) {
        // In full, 1e300 is three hundred digits.
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    };
    done.expect("writing to a string cannot fail");
}

/// Where the samples of a family come from.
enum Source {
    Hosts(fn(&Row) -> Option<f64>),
    Services(fn(&Row) -> Option<f64>),
    Perfdata(fn(&Measurement) -> Option<f64>),
}

struct Family {
    name: &'static str,
    help: &'static str,
    source: Source,
}

fn checked(row: &Row, value: impl Into<f64>) -> Option<f64> {
    (!row.is_pending()).then(|| value.into())
}

fn flag(on: bool) -> Option<f64> {
    Some(f64::from(u8::from(on)))
}

fn families() -> VecDeque<Family> {
    let host = |name, help, value| Family { name, help, source: Source::Hosts(value) };
    let service = |name, help, value| Family { name, help, source: Source::Services(value) };
    let perfdata = |name, help, value| Family { name, help, source: Source::Perfdata(value) };
    VecDeque::from([
        host("stentor_host_state", "State: 0 UP, 1 DOWN, 2 UNREACHABLE; none before the first check.", |r| {
            checked(r, r.state)
        }),
        host("stentor_host_state_hard", "Last hard state, as stentor_host_state.", |r| checked(r, r.last_hard_state)),
        host("stentor_host_acknowledged", "1 while a problem is acknowledged.", |r| flag(r.is_acknowledged())),
        host("stentor_host_in_downtime", "1 inside a planned downtime.", |r| flag(r.downtime_depth > 0)),
        service(
            "stentor_service_state",
            "State: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; none before the first check.",
            |r| checked(r, r.state),
        ),
        service("stentor_service_state_hard", "Last hard state, as stentor_service_state.", |r| {
            checked(r, r.last_hard_state)
        }),
        service("stentor_service_acknowledged", "1 while a problem is acknowledged.", |r| flag(r.is_acknowledged())),
        service("stentor_service_in_downtime", "1 inside a planned downtime.", |r| flag(r.downtime_depth > 0)),
        service("stentor_service_last_check_timestamp_seconds", "When the newest result was observed.", |r| {
            checked(r, r.last_check.as_secs_f64())
        }),
        perfdata("stentor_service_perfdata_value", "A number that the check measured, in its own unit.", |m| m.value),
        perfdata(
            "stentor_service_perfdata_warn",
            "Warning threshold of the number: the upper end of its range, else the lower.",
            |m| threshold(&m.warn),
        ),
        perfdata(
            "stentor_service_perfdata_crit",
            "Critical threshold of the number: the upper end of its range, else the lower.",
            |m| threshold(&m.crit),
        ),
    ])
}

fn threshold(text: &str) -> Option<f64> {
    let range: Range = text.parse().ok()?;
    [range.end, range.start].into_iter().find(|end| end.is_finite())
}

/// Gives the text of a scrape in chunks.
pub struct Encoder {
    snapshot: Arc<Snapshot>,
    labels: Arc<Labels>,
    part: Part,
    format: Format,
    /// Ready text to send first: figures without hosts.
    own: Option<String>,
    families: VecDeque<Family>,
    /// Next row of the first family.
    row: usize,
    ended: bool,
}

impl Encoder {
    pub fn new(snapshot: Arc<Snapshot>, labels: Arc<Labels>, part: Part, format: Format, own: String) -> Encoder {
        let mut own = own;
        if part.checks && part.index == 0 {
            clouds(&mut own, &snapshot);
            businesses(&mut own, &snapshot);
            cells(&mut own, &snapshot);
            incidents(&mut own, &snapshot);
        }
        let families = if part.checks { families() } else { VecDeque::new() };
        Encoder { snapshot, labels, part, format, own: Some(own), families, row: 0, ended: false }
    }

    fn is_mine(&self, host: usize) -> bool {
        self.part.of == 1 || self.labels.shard_keys.get(host).is_some_and(|key| key % self.part.of == self.part.index)
    }

    /// Writes rows of the first family until the chunk is full; true when the family is complete.
    fn fill(&mut self, out: &mut String) -> bool {
        let Some(family) = self.families.front() else { return true };
        if self.row == 0 {
            head(out, family.name, family.help, "gauge");
        }
        let rows = match family.source {
            Source::Hosts(_) => self.snapshot.hosts.len().min(self.labels.hosts.len()),
            Source::Services(_) | Source::Perfdata(_) => self.snapshot.services.len().min(self.labels.services.len()),
        };
        let mut row = self.row;
        // At least one row, or a full chunk would write the head again.
        while row < rows && (row == self.row || out.len() < CHUNK_BYTES) {
            self.write_row(out, family, row);
            row += 1;
        }
        self.row = row;
        row >= rows
    }

    fn write_row(&self, out: &mut String, family: &Family, row: usize) {
        let host = match family.source {
            Source::Hosts(_) => row,
            Source::Services(_) | Source::Perfdata(_) => self.labels.catalog.services[row].host.index(),
        };
        if !self.is_mine(host) {
            return;
        }
        match family.source {
            Source::Hosts(value) => {
                if let Some(value) = value(&self.snapshot.hosts[row]) {
                    sample(out, family.name, &self.labels.hosts[row], value);
                }
            }
            Source::Services(value) => {
                if let Some(value) = value(&self.snapshot.services[row]) {
                    sample(out, family.name, &self.labels.services[row], value);
                }
            }
            Source::Perfdata(value) => self.write_perfdata(out, family.name, row, value),
        }
    }

    fn write_perfdata(&self, out: &mut String, name: &str, row: usize, value: fn(&Measurement) -> Option<f64>) {
        let Some(observation) = &self.snapshot.service_details[row].observation else { return };
        let mut seen = BTreeSet::new();
        for measurement in &observation.measurements {
            let Some(value) = value(measurement).filter(|value| value.is_finite()) else { continue };
            let label: String = measurement.label.chars().take(LABEL_CHARS_MAX).collect();
            let unit: String = measurement.unit.chars().take(UNIT_CHARS_MAX).collect();
            let labels =
                format!("{},label=\"{}\",unit=\"{}\"", self.labels.services[row], escape(&label), escape(&unit));
            // A repeated series would make Prometheus refuse the whole scrape.
            if !seen.contains(&labels) {
                sample(out, name, &labels, value);
                seen.insert(labels);
            }
        }
    }
}

impl Iterator for Encoder {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        let mut out = self.own.take().unwrap_or_default();
        out.reserve(CHUNK_BYTES);
        while out.len() < CHUNK_BYTES && !self.families.is_empty() {
            if self.fill(&mut out) {
                self.families.pop_front();
                self.row = 0;
            }
        }
        if self.families.is_empty() {
            self.ended = true;
            if self.format == Format::OpenMetrics {
                out.push_str("# EOF\n");
            }
        }
        Some(out)
    }
}

fn clouds(out: &mut String, snapshot: &Snapshot) {
    let name = "stentor_core_state";
    head(out, name, "The cloud's Core: 0 available, 1 degraded, 2 unavailable, 3 unknown.", "gauge");
    for (cloud, status) in snapshot.catalog.clouds.iter().zip(snapshot.clouds.iter()) {
        let value = match status.core {
            CoreState::Available => 0.0,
            CoreState::Degraded => 1.0,
            CoreState::Unavailable => 2.0,
            CoreState::Unknown => 3.0,
        };
        sample(out, name, &format!("cloud=\"{}\"", escape(&cloud.name)), value);
    }
}

fn businesses(out: &mut String, snapshot: &Snapshot) {
    let (name, left) = ("stentor_business_state", "stentor_business_redundancy_left");
    let known = &snapshot.services_known.businesses;
    if known.is_empty() {
        return;
    }
    head(out, name, "A business service: 0 available, 1 degraded, 2 unavailable, 3 unknown.", "gauge");
    for status in known {
        let value = match status.state {
            State::Available => 0.0,
            State::Degraded => 1.0,
            State::Unavailable => 2.0,
            State::Unknown => 3.0,
        };
        sample(out, name, &format!("business=\"{}\"", escape(&status.name)), value);
    }
    head(out, left, "Pieces of a business service that may still fail before it is gone.", "gauge");
    for status in known {
        if let Some(redundancy) = status.redundancy {
            sample(out, left, &format!("business=\"{}\"", escape(&status.name)), f64::from(redundancy.left));
        }
    }
}

fn cells(out: &mut String, snapshot: &Snapshot) {
    let name = "stentor_cell_problems";
    head(out, name, "Live incidents in a cell of the failure matrix.", "gauge");
    let mut problems: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for platform in &snapshot.catalog.platforms {
        for kind in &platform.components {
            for failure_type in FailureType::ALL {
                problems.insert((&kind.key, failure_type.as_str()), 0);
            }
        }
    }
    for incident in snapshot.incidents.values().filter(|incident| incident.phase.is_live()) {
        let cells: BTreeSet<&str> =
            incident.verdict.cell.iter().chain(&incident.verdict.cells).map(|cell| &**cell).collect();
        for cell in cells {
            let mut parts = cell.split('/').skip(1);
            if let (Some(component), Some(failure_type)) = (parts.next(), parts.next()) {
                *problems.entry((component, failure_type)).or_default() += 1;
            }
        }
    }
    for ((component, failure_type), count) in problems {
        let labels = format!("component=\"{}\",failure_type=\"{}\"", escape(component), escape(failure_type));
        sample(out, name, &labels, f64::from(count));
    }
}

fn incidents(out: &mut String, snapshot: &Snapshot) {
    let name = "stentor_incidents_open";
    head(out, name, "Open and recovering incidents.", "gauge");
    for severity in [Severity::Info, Severity::Unknown, Severity::Warning, Severity::Major, Severity::Critical] {
        let of_it = |i: &&Arc<stentor_core::model::Incident>| i.phase.is_live() && i.severity() == severity;
        let count = snapshot.incidents.values().filter(of_it).count();
        sample(out, name, &format!("severity=\"{}\"", severity.as_str()), count as f64);
    }
}
