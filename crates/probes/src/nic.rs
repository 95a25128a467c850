//! `nic`: network interfaces of a host: link, speed, duplex, MTU, flaps, errors and drops, from /sys/class/net.

mod counters;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::model::{Measurement, Observation};
use tokio::time::Instant;

use self::counters::{Growth, STATISTICS, Statistics, growth};
use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const FOLDER: &str = "/sys/class/net";
/// Interfaces of one host; a hypervisor has many, but not of metal.
const INTERFACES_MAX: usize = 256;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Interfaces that must exist; all of metal when empty.
    pub interfaces: Vec<String>,
    /// Megabits a second that each should have.
    pub speed_mbps: Option<u64>,
    /// `full` unless said otherwise.
    pub duplex: Option<String>,
    pub mtu: Option<u64>,
}

pub struct Nic {
    view: Arc<dyn HostView>,
    config: Config,
    /// What was read last, and when.
    last: Mutex<Option<(Instant, BTreeMap<String, Interface>)>>,
}

/// An interface as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Interface {
    name: String,
    exists: bool,
    /// Switched on by its administrator.
    is_on: bool,
    has_carrier: bool,
    speed_mbps: Option<u64>,
    duplex: Option<String>,
    mtu: Option<u64>,
    carrier_changes: Option<u64>,
    /// Interfaces below it, of a bond or bridge.
    below: Vec<String>,
    statistics: Statistics,
}

/// IFF_UP of linux/if.h.
const IFF_UP: u64 = 0x1;

pub(super) fn checked_name(name: &str) -> Result<(), BuildError> {
    // IFNAMSIZ counts the NUL; the kernel takes neither blanks nor slashes.
    let is_name = !name.is_empty() && name.len() < 16 && !name.contains(|c: char| c == '/' || c.is_whitespace());
    if is_name && name != "." && name != ".." {
        return Ok(());
    }
    Err(BuildError { message: format!("`{name}` is not the name of an interface") })
}

impl Probe for Nic {
    const KIND: &'static str = "nic";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/nic.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.interfaces.iter().try_for_each(|name| checked_name(name))?;
        if let Some(duplex) = config.duplex.as_deref().filter(|duplex| !matches!(*duplex, "full" | "half")) {
            return Err(BuildError { message: format!("`duplex` is `full` or `half`, not `{duplex}`") });
        }
        Ok(Nic { view: Arc::clone(&env.view), config, last: Mutex::default() })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let wanted = self.config.interfaces.clone();
        let now = Instant::now();
        let seen = look(&self.view, Lane::Kernel, deadline, move |view| read_all(view, wanted)).await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace((now, seen.clone()));
        drop(last);
        Ok(observe(&self.config, &seen, before.as_ref().map(|(at, was)| ((now - *at).as_secs_f64(), was))))
    }
}

fn read_all(view: &dyn HostView, wanted: Vec<String>) -> io::Result<BTreeMap<String, Interface>> {
    let all = view.list(FOLDER)?;
    let names = if wanted.is_empty() {
        // What stands on metal has a device; loopback, bridges and the ends of containers have none.
        let links: Vec<String> = all.iter().map(|name| format!("{FOLDER}/{name}/device/uevent")).collect();
        let has_device = view.read_many(&links);
        all.iter().zip(has_device).filter(|(_, link)| link.is_ok()).map(|(name, _)| name.clone()).collect()
    } else {
        wanted
    };
    let mut read: BTreeMap<String, Interface> = BTreeMap::new();
    for name in names.into_iter().take(INTERFACES_MAX) {
        let interface = read_one(view, &name, all.contains(&name))?;
        read.insert(name, interface);
    }
    // What carries them, for its MTU and its members.
    for name in all {
        let slaves = view.read(&format!("{FOLDER}/{name}/bonding/slaves"));
        let Ok(slaves) = slaves else { continue };
        let below: Vec<String> = slaves.split_whitespace().map(str::to_owned).collect();
        if below.iter().any(|slave| read.contains_key(slave)) || read.contains_key(&name) {
            let known = read.remove(&name);
            let mut bond = known.map_or_else(|| read_one(view, &name, true), Ok)?;
            bond.below = below;
            read.insert(name, bond);
        }
    }
    Ok(read)
}

fn read_one(view: &dyn HostView, name: &str, exists: bool) -> io::Result<Interface> {
    if !exists {
        return Ok(Interface { name: name.to_owned(), ..Interface::default() });
    }
    const FILES: [&str; 6] = ["flags", "carrier", "speed", "duplex", "mtu", "carrier_changes"];
    let paths: Vec<String> = FILES
        .iter()
        .map(|file| (*file).to_owned())
        .chain(STATISTICS.iter().map(|counter| format!("statistics/{counter}")))
        .map(|file| format!("{FOLDER}/{name}/{file}"))
        .collect();
    let texts = view.read_many(&paths);
    // A link that is down refuses to tell its speed (EINVAL); a host that cannot be asked is another matter.
    for text in &texts {
        if let Err(error) = text
            && matches!(
                error.kind(),
                io::ErrorKind::NotConnected | io::ErrorKind::TimedOut | io::ErrorKind::PermissionDenied
            )
        {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
    }
    let at = |index: usize| texts.get(index).and_then(|text| text.as_ref().ok()).map(|text| text.trim());
    let number = |index: usize| at(index).and_then(|text| text.parse::<u64>().ok());
    let flags = at(0).and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    let counters = (FILES.len()..paths.len()).map(number);
    Ok(Interface {
        name: name.to_owned(),
        exists: true,
        is_on: flags.is_none_or(|flags| flags & IFF_UP != 0),
        has_carrier: at(1) == Some("1"),
        // -1 (and 2^32-1 of old kernels) is "unknown".
        speed_mbps: number(2).filter(|speed| *speed > 0 && *speed < u64::from(u32::MAX)),
        duplex: at(3).filter(|duplex| matches!(*duplex, "full" | "half")).map(str::to_owned),
        mtu: number(4),
        carrier_changes: number(5),
        below: Vec::new(),
        statistics: STATISTICS.iter().zip(counters).filter_map(|(name, value)| Some((*name, value?))).collect(),
    })
}

/// Names of interfaces by what is wrong with them.
#[derive(Default)]
struct Found {
    missing: Vec<String>,
    down: Vec<String>,
    slow: Vec<String>,
    half_duplex: Vec<String>,
    mtu_wrong: Vec<String>,
    mtu_mixed: Vec<String>,
    duplex_hints: Vec<String>,
    words: Vec<String>,
}

impl Found {
    fn look_at(
        &mut self,
        config: &Config,
        interface: &Interface,
        all: &BTreeMap<String, Interface>,
        grown: Option<&Growth>,
    ) {
        let name = &interface.name;
        if !interface.exists {
            self.missing.push(name.clone());
            self.words.push(format!("{name} does not exist"));
            return;
        }
        if !interface.is_on || !interface.has_carrier {
            // One that nobody named and that is switched off is not in use.
            if interface.is_on || config.interfaces.contains(name) {
                self.down.push(name.clone());
                self.words
                    .push(format!("{name} {}", if interface.is_on { "has no carrier" } else { "is switched off" }));
            }
            return;
        }
        if let Some((wanted, speed)) = config.speed_mbps.zip(interface.speed_mbps).filter(|(wanted, is)| is < wanted) {
            // A bond sums up what its slaves have.
            self.slow.push(name.clone());
            self.words.push(format!("{name} runs at {speed} instead of {wanted} Mb/s"));
        }
        let wanted = config.duplex.as_deref().unwrap_or("full");
        if let Some(duplex) = interface.duplex.as_deref().filter(|duplex| *duplex != wanted) {
            self.half_duplex.push(name.clone());
            self.words.push(format!("{name} runs {duplex} duplex"));
        }
        if let Some((wanted, mtu)) = config.mtu.zip(interface.mtu).filter(|(wanted, is)| is != wanted) {
            self.mtu_wrong.push(name.clone());
            self.words.push(format!("{name} has an MTU of {mtu} instead of {wanted}"));
        }
        let of_others = interface.below.iter().filter_map(|below| all.get(below)?.mtu);
        if interface.mtu.is_some_and(|own| of_others.clone().any(|mtu| mtu != own)) {
            self.mtu_mixed.push(name.clone());
            self.words.push(format!("{name} and its slaves differ in their MTU"));
        }
        if let Some(why) = grown.and_then(|grown| grown.duplex_hint()) {
            self.duplex_hints.push(name.clone());
            self.words.push(format!("{name}: {why}"));
        }
    }
}

fn observe(
    config: &Config,
    seen: &BTreeMap<String, Interface>,
    before: Option<(f64, &BTreeMap<String, Interface>)>,
) -> Observation {
    let mut found = Found::default();
    let mut grown_all = BTreeMap::new();
    for (name, interface) in seen {
        let grown = before.and_then(|(seconds, was)| {
            let was = was.get(name).filter(|was| was.exists && interface.exists)?;
            let changes = |of: &Interface| of.carrier_changes;
            growth(&was.statistics, &interface.statistics, (changes(was), changes(interface)), seconds)
        });
        found.look_at(config, interface, seen, grown.as_ref());
        if let Some(grown) = grown {
            grown_all.insert(name.as_str(), grown);
        }
    }
    let most = |rate: fn(&Growth) -> f64| grown_all.values().map(rate).fold(0.0, f64::max);
    let worst = grown_all.iter().max_by(|a, b| a.1.errors_per_min.total_cmp(&b.1.errors_per_min));
    let up = seen.values().filter(|interface| interface.exists && interface.is_on && interface.has_carrier).count();
    let head = match seen.len() {
        0 => "this host has no network interface of metal".to_owned(),
        count => format!("{up} of {count} interfaces up"),
    };
    let mut text = head;
    for words in &found.words {
        text.push_str(&format!("; {words}"));
    }
    if let Some((name, grown)) = worst.filter(|(_, grown)| grown.errors_per_min > 0.0) {
        text.push_str(&format!("; {name}: {:.1} errors a minute ({})", grown.errors_per_min, grown.most_of));
    }
    let mut observation = Observation::observed(text)
        .fact("interfaces", seen.len())
        .fact("up", up)
        .fact("missing", found.missing)
        .fact("down", found.down)
        .fact("slow", found.slow)
        .fact("half_duplex", found.half_duplex)
        .fact("mtu_wrong", found.mtu_wrong)
        .fact("mtu_mixed", found.mtu_mixed)
        .fact("duplex_hints", found.duplex_hints);
    // The first look, and the one after a reset, tell no rates.
    if before.is_some() {
        observation = observation
            .fact("flaps", most(|grown| grown.flaps as f64))
            .fact("errors_per_min", most(|grown| grown.errors_per_min))
            .fact("drops_per_min", most(|grown| grown.drops_per_min));
    }
    for (name, interface) in seen.iter().filter(|(_, interface)| interface.exists) {
        if let Some(speed) = interface.speed_mbps {
            observation.measurements.push(Measurement::new(&format!("speed {name}"), speed as f64 * 1e6, "bit/s"));
        }
        if let Some(grown) = grown_all.get(name.as_str()) {
            for (label, value, unit) in [
                ("in", grown.rx_bytes_s, "B/s"),
                ("out", grown.tx_bytes_s, "B/s"),
                ("errors", grown.errors_per_min, "/min"),
                ("drops", grown.drops_per_min, "/min"),
            ] {
                observation.measurements.push(Measurement::new(&format!("{label} {name}"), value, unit));
            }
        }
    }
    let rows = seen.values().map(line);
    observation.long(rows.collect::<Vec<_>>().join("\n"))
}

fn line(interface: &Interface) -> String {
    let word = match interface {
        Interface { exists: false, .. } => "missing",
        Interface { is_on: false, .. } => "off",
        Interface { has_carrier: false, .. } => "no carrier",
        Interface { .. } => "up",
    };
    let speed = interface.speed_mbps.map_or_else(String::new, |speed| format!(", {speed} Mb/s"));
    let duplex = interface.duplex.as_ref().map_or_else(String::new, |duplex| format!(", {duplex} duplex"));
    let mtu = interface.mtu.map_or_else(String::new, |mtu| format!(", MTU {mtu}"));
    format!("{}: {word}{speed}{duplex}{mtu}", interface.name)
}

#[cfg(test)]
mod tests;
