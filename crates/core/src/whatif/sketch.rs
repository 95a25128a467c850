//! The signals of a healthy cloud, and of one in which something is dead: what checks would tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::element::{Element, Mode};
use super::physics::Dark;
use crate::catalog::Catalog;
use crate::diagnosis::{Signal, Topology, kinds_above};
use crate::model::Value;
use crate::{Span, Timestamp};

type Name = Arc<str>;

/// So long ago did it begin: past every grace and every take-over.
const BEGAN: Span = Span::from_mins(20);

/// What is said about each host, switch and UPS, and (under `None`) about none.
pub(super) type Said = BTreeMap<Option<Name>, Vec<Signal>>;

/// Signals of one cloud in the making: what is said where something is different, over what is said elsewhere.
pub(super) struct Sketch<'a> {
    catalog: &'a Catalog,
    topology: &'a Topology,
    at: Timestamp,
    below: Option<&'a Said>,
    pub over: Said,
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    entries.into_iter().collect()
}

fn list(numbers: &[f64]) -> Value {
    Value::List(numbers.iter().map(|number| Value::from(*number)).collect())
}

impl<'a> Sketch<'a> {
    pub fn of(catalog: &'a Catalog, topology: &'a Topology, below: Option<&'a Said>, at: Timestamp) -> Sketch<'a> {
        Sketch { catalog, topology, at, below, over: Said::new() }
    }

    /// Everything answers, and of unique types one instance is active.
    pub fn healthy(catalog: &'a Catalog, topology: &'a Topology, at: Timestamp) -> Sketch<'a> {
        let mut sketch = Sketch::of(catalog, topology, None, at);
        let mut active: Vec<&Name> = Vec::new();
        for (host, keys) in &topology.hosts {
            for (sig, value) in [("ping", "ok"), ("ssh", "open"), ("agent", "ok")] {
                sketch.add(host, None, sig, value.into());
            }
            if sketch.has_bmc(host) {
                sketch.add(host, None, "bmc", "ok".into());
                sketch.add(host, None, "power", "on".into());
            }
            for key in keys {
                sketch.add(host, Some(key), "port", "open".into());
                sketch.add(host, Some(key), "process", "running".into());
                if topology.platform == "eucalyptus" {
                    let second = topology.unique.contains(key) && active.contains(&key);
                    sketch.add(host, Some(key), "service_state", if second { "DISABLED" } else { "ENABLED" }.into());
                    active.push(key);
                }
            }
        }
        for vm in topology.sysvms.keys() {
            sketch.set(vm, None, "instance_state", "running".into());
        }
        for switch in topology.switches.keys().chain(&topology.mgmt_switch) {
            sketch.set(switch, None, "switch", map([("state", "up".into())]));
        }
        sketch
    }

    fn has_bmc(&self, host: &str) -> bool {
        let row = self.catalog.host_id(host).map(|id| &self.catalog.hosts[id.index()]);
        row.is_some_and(|row| row.bmc.is_some())
    }

    fn bmc(&mut self, host: &Name, bmc: &str, power: Option<&str>) {
        if self.has_bmc(host) {
            self.set(host, None, "bmc", bmc.into());
            self.forget(host, None, "power");
            if let Some(power) = power {
                self.set(host, None, "power", power.into());
            }
        }
    }

    /// In the place of every other word of that kind.
    fn set(&mut self, host: &Name, component: Option<&Name>, sig: &str, value: Value) {
        self.forget(host, component, sig);
        self.add(host, component, sig, value);
    }

    fn add(&mut self, host: &Name, component: Option<&Name>, sig: &str, value: Value) {
        let signal = Signal {
            host: Some(Arc::clone(host)),
            component: component.cloned(),
            sig: sig.into(),
            value,
            vantage: None,
            observed_at: self.at,
            changed_at: self.at - BEGAN,
            every: Span::ZERO,
        };
        self.spot(host).push(signal);
    }

    /// What is said about a host, to be changed.
    fn spot(&mut self, host: &Name) -> &mut Vec<Signal> {
        let host = Some(Arc::clone(host));
        let below = self.below;
        let copy = |host: &Option<Name>| below.and_then(|said| said.get(host)).cloned().unwrap_or_default();
        self.over.entry(host).or_insert_with_key(copy)
    }

    fn said(&self, host: &Name) -> &[Signal] {
        let host = Some(Arc::clone(host));
        let said = self.over.get(&host).or_else(|| self.below?.get(&host));
        said.map_or(&[], Vec::as_slice)
    }

    fn forget(&mut self, host: &Name, component: Option<&Name>, sig: &str) {
        self.spot(host).retain(|signal| signal.component.as_ref() != component || &*signal.sig != sig);
    }

    /// Whatever was said of a host, except that it is in maintenance.
    fn silence(&mut self, host: &Name) {
        self.spot(host).retain(|signal| &*signal.sig == "maintenance");
    }

    fn keys(&self, host: &Name) -> &'a [Name] {
        self.topology.hosts.get(host).map_or(&[], Vec::as_slice)
    }

    /// Applies everything that is dark.
    pub fn darken(&mut self, dark: &Dark) {
        let here = |name: &&Name| self.topology.hosts.contains_key(*name) || self.topology.sysvms.contains_key(*name);
        let hosts: Vec<Name> = dark.hosts().filter(here).cloned().collect();
        for host in &hosts {
            self.darken_host(host, dark);
        }
        for switch in &dark.switches {
            self.darken_switch(switch);
        }
        if dark.management {
            let bmcs: Vec<&Name> = self.topology.hosts.keys().collect();
            bmcs.into_iter().for_each(|host| self.bmc(host, "unreachable", None));
        } else if let Some(mgmt) = &self.topology.mgmt_switch {
            let ports = hosts.iter().filter(|host| dark.unpowered.contains(*host) && self.has_bmc(host));
            let down = Value::List(ports.map(|host| Value::from(&**host)).collect());
            if !dark.switches.contains(mgmt) {
                self.set(mgmt, None, "switch", map([("state", "up".into()), ("bmc_ports_down", down)]));
            }
        }
        self.lose_inputs(dark);
        for ups in &dark.on_battery {
            if self.topology.feeds.values().any(|source| **source == **ups) {
                let on_battery = [("upsOutputSource", 5.0), ("upsBatteryStatus", 2.0), ("minutes", 30.0)];
                self.set(ups, None, "ups", map(on_battery.map(|(key, number)| (key, number.into()))));
            }
        }
    }

    fn darken_host(&mut self, host: &Name, dark: &Dark) {
        self.silence(host);
        for (sig, value) in [("ping", "fail"), ("ssh", "timeout"), ("agent", "stale")] {
            self.set(host, None, sig, value.into());
        }
        for key in self.keys(host) {
            self.set(host, Some(key), "port", "timeout".into());
        }
        if dark.cut.contains(host) {
            self.bmc(host, "ok", Some("on"));
            let switches = self.topology.single_homed.iter().filter(|(_, hosts)| hosts.contains(host));
            let down: Vec<(String, Value)> = switches.map(|(name, _)| (name.to_string(), "down".into())).collect();
            if !down.is_empty() {
                self.set(host, None, "link", down.into_iter().collect());
            }
        } else if dark.unpowered.contains(host) {
            self.bmc(host, "unreachable", None);
        } else {
            self.bmc(host, "ok", Some("off"));
            if self.topology.sysvms.contains_key(host) {
                self.set(host, None, "instance_state", "stopped".into());
            }
        }
    }

    fn darken_switch(&mut self, switch: &Name) {
        let named = self.topology.switches.contains_key(switch) || self.topology.mgmt_switch.as_ref() == Some(switch);
        if !named {
            return;
        }
        self.silence(switch);
        self.set(switch, None, "switch", map([("state", "down".into())]));
        if self.topology.hosts.contains_key(switch) {
            self.set(switch, None, "ping", "fail".into());
            self.set(switch, None, "ssh", "timeout".into());
        }
    }

    /// A living host misses the input of each supply on a dead feed; supplies are numbered in the order of their feeds.
    fn lose_inputs(&mut self, dark: &Dark) {
        for (host, feeds) in &self.topology.fed_by {
            if dark.is_dark(host) || !self.topology.hosts.contains_key(host) || dark.switches.contains(host) {
                continue;
            }
            for (n, _) in feeds.iter().enumerate().filter(|(_, feed)| dark.feeds.contains(*feed)) {
                self.psu(host, n + 1, &[0.0, 3.0]);
            }
        }
    }

    fn psu(&mut self, host: &Name, number: usize, offsets: &[f64]) {
        let id = format!("PS{number}");
        self.add(host, None, "psu", map([("id", id.as_str().into()), ("offsets", list(offsets))]));
    }

    /// Applies what fails by itself.
    pub fn fail(&mut self, element: &Element) {
        let host = &element.name;
        let here = self.topology.hosts.contains_key(host);
        match (element.mode, &element.component) {
            (Mode::Component, Some(key)) if here => {
                if self.topology.jvm.contains(key) {
                    self.kill_jvm(host);
                } else {
                    self.kill(host, key);
                }
            }
            (Mode::Jvm, _) if here => self.kill_jvm(host),
            (Mode::Hang, Some(key)) if here => {
                self.set(host, Some(key), "process", "hung".into());
                self.set(host, Some(key), "port", "open".into());
                self.forget(host, Some(key), "service_state");
            }
            (Mode::Resource, Some(key)) if here => {
                let kind = element.resource.as_deref().unwrap_or("disk");
                self.lack(host, key, kind, kind);
            }
            (Mode::Backend, _) => self.lose_backend(host),
            (Mode::Member, _) if self.topology.switches.contains_key(host) => {
                self.set(host, None, "stack", map([("member", 2.0.into()), ("cswSwitchState", 9.0.into())]));
            }
            (Mode::Psu, _) if here => self.psu(host, 2, &[0.0, 1.0]),
            (Mode::Raid, _) if here => {
                let failed = Value::List(vec!["sdb".into()]);
                let level = ("level", "raid1".into());
                self.set(
                    host,
                    None,
                    "raid",
                    map([("vd", "md0".into()), level, ("state", "Dgrd".into()), ("pd_failed", failed)]),
                );
            }
            (Mode::Bond, _) if here => {
                let slaves = [("slaves", 2.0.into()), ("up", 1.0.into()), ("ports", 1.0.into())];
                let named =
                    [("name", "bond0".into()), ("mode", "802.3ad".into()), ("down", Value::List(vec!["eth1".into()]))];
                self.set(host, None, "bond", map(named.into_iter().chain(slaves)));
            }
            (Mode::Path, _) if here => self.paths(host, 2.0, 1.0),
            (Mode::Paths, _) if here => self.paths(host, 0.0, 0.0),
            (Mode::Drbd, _) if here => self.drbd(host, "WFConnection", "Primary/Unknown"),
            (Mode::SplitBrain, _) if here => self.drbd(host, "StandAlone", "Primary/Unknown"),
            (
                Mode::Host
                | Mode::Zone
                | Mode::Feed
                | Mode::Ups
                | Mode::Switch
                | Mode::Battery
                | Mode::Component
                | Mode::Jvm
                | Mode::Hang
                | Mode::Resource
                | Mode::Member
                | Mode::Psu
                | Mode::Raid
                | Mode::Bond
                | Mode::Path
                | Mode::Paths
                | Mode::Drbd
                | Mode::SplitBrain,
                _,
            ) => {}
        }
    }

    fn paths(&mut self, host: &Name, active: f64, controllers: f64) {
        let counts = [("active", active.into()), ("total", 4.0.into()), ("controllers_active", controllers.into())];
        self.set(host, None, "path", map([("map", "mpatha".into())].into_iter().chain(counts)));
    }

    fn drbd(&mut self, host: &Name, connection: &str, roles: &str) {
        let of_host = self.topology.drbd.iter().find(|(_, hosts)| hosts.contains(host));
        let res = of_host.map_or("r0", |(res, _)| res);
        let told = [("cs", connection), ("ro", roles), ("ds", "UpToDate/DUnknown"), ("res", res)];
        self.set(host, None, "drbd", map(told.map(|(key, word)| (key, word.into()))));
        if connection == "StandAlone" {
            self.add(host, None, "log", "Split-Brain detected, dropping connection!".into());
        }
    }

    fn kill_jvm(&mut self, host: &Name) {
        let java: Vec<&Name> = self.keys(host).iter().filter(|key| self.topology.jvm.contains(key)).collect();
        java.into_iter().for_each(|key| self.kill(host, key));
    }

    fn kill(&mut self, host: &Name, key: &Name) {
        self.set(host, Some(key), "port", "refused".into());
        self.set(host, Some(key), "process", "absent".into());
        for sig in ["service_state", "heartbeat", "probe", "http"] {
            self.forget(host, Some(key), sig);
        }
    }

    fn lack(&mut self, host: &Name, key: &Name, kind: &str, detail: &str) {
        let told = [("kind", kind.into()), ("level", "crit".into()), ("detail", detail.into())];
        self.add(host, Some(key), "resource", map(told));
        self.set(host, Some(key), "service_state", "NOTREADY".into());
        for sig in ["heartbeat", "probe", "http"] {
            self.forget(host, Some(key), sig);
        }
    }

    fn lose_backend(&mut self, backend: &Name) {
        let Some(kinds) = self.topology.backends.get(backend) else { return };
        for (host, keys) in &self.topology.hosts {
            for key in keys.iter().filter(|key| kinds.contains(key)) {
                self.lack(host, key, "backend", backend);
            }
        }
    }

    /// What stands on a type of which no instance serves says that it is not ready; a passive half takes over.
    pub fn pass_on(&mut self, kinds: &Kinds<'a>, out: &BTreeSet<(&Name, &Name)>) {
        let gone: BTreeSet<&str> = kinds.without_any_but(out);
        let waiting: BTreeSet<&Name> = kinds.waiting_for(&gone);
        for key in &waiting {
            for host in kinds.instances.get(*key).into_iter().flatten().filter(|host| !out.contains(&(**host, *key))) {
                self.set(host, Some(key), "service_state", "NOTREADY".into());
                self.forget(host, Some(key), "heartbeat");
            }
        }
        for key in self.topology.unique.iter().filter(|key| !waiting.contains(key)) {
            let hosts = kinds.instances.get(key).map_or(&[][..], Vec::as_slice);
            for host in hosts.iter().filter(|host| !out.contains(&(**host, key))) {
                self.take_over(host, key, hosts, out);
            }
        }
    }

    fn take_over(&mut self, host: &Name, key: &Name, hosts: &[&Name], out: &BTreeSet<(&Name, &Name)>) {
        let says = |host: &Name, word: &str| {
            self.said(host).iter().any(|signal| {
                signal.component.as_ref() == Some(key)
                    && &*signal.sig == "service_state"
                    && signal.value.text() == Some(word)
            })
        };
        let peers = || hosts.iter().filter(|peer| **peer != host);
        if says(host, "DISABLED") && peers().all(|peer| out.contains(&(*peer, key)) || says(peer, "DISABLED")) {
            self.set(host, Some(key), "service_state", "ENABLED".into());
        }
    }
}

/// Where each type of component runs, and which types each needs; follows from the topology alone.
pub(super) struct Kinds<'a> {
    instances: BTreeMap<&'a Name, Vec<&'a Name>>,
    needs: BTreeMap<&'a Name, Vec<&'a str>>,
}

impl<'a> Kinds<'a> {
    pub fn of(topology: &'a Topology) -> Kinds<'a> {
        let mut instances: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
        for (host, keys) in &topology.hosts {
            keys.iter().for_each(|key| instances.entry(key).or_default().push(host));
        }
        let above = |key: &&'a Name| {
            let runs = |kind: &&str| instances.keys().any(|key| ***key == **kind);
            let above = kinds_above(topology, key).into_iter().filter(runs);
            above.filter(|kind| !serves_without(kind, key)).collect::<Vec<_>>()
        };
        let needs = instances.keys().map(|key| (*key, above(key))).collect();
        Kinds { instances, needs }
    }

    /// Types of which every instance is out.
    fn without_any_but(&self, out: &BTreeSet<(&Name, &Name)>) -> BTreeSet<&'a str> {
        let kinds: BTreeSet<&Name> = out.iter().map(|(_, key)| *key).collect();
        let all_out = |(key, hosts): &(&&'a Name, &Vec<&'a Name>)| {
            kinds.contains(**key) && hosts.iter().all(|host| out.contains(&(*host, **key)))
        };
        self.instances.iter().filter(all_out).map(|(key, _)| &***key).collect()
    }

    fn waiting_for(&self, gone: &BTreeSet<&str>) -> BTreeSet<&'a Name> {
        let waits = |needs: &Vec<&str>| needs.iter().any(|kind| gone.contains(kind));
        self.needs.iter().filter(|(_, needs)| waits(needs)).map(|(key, _)| *key).collect()
    }
}

/// A node serves its machines without its controllers: one only loses sight of it, the other carries only volumes.
fn serves_without(above: &str, below: &str) -> bool {
    below == "nc" && matches!(above, "cc" | "sc")
}
