//! What the checks of a real installation would tell of that reality: late, from several places, some of it not at all.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stentor_core::diagnosis::Signal;
use stentor_core::{Span, Timestamp};

use super::chance::Chance;
use super::reality::{CompTruth, Reality, Since};
use super::shape::{SWITCHES, Shape};

pub const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);
const WELL_FOR: i64 = 500_000;
/// An agent that does not report for so long is told as stale, and what it said is forgotten.
const AGENT_LOST: i64 = 90;
/// A passive half takes over after this.
const TAKEOVER: i64 = 90;

pub struct Watch<'a> {
    shape: &'a Shape,
    truth: &'a Reality,
    chance: &'a mut Chance,
    /// Everything is seen, and has been since it began.
    pub clear: bool,
    pub signals: Vec<Signal>,
}

/// How a check of one thing works.
#[derive(Clone, Copy)]
struct Check {
    sig: &'static str,
    every: i64,
    /// The source itself tells only so late.
    lag: i64,
    /// The machine has not sent anything since.
    mute: Since,
}

fn check(sig: &'static str, every: i64) -> Check {
    Check { sig, every, lag: 0, mute: None }
}

pub fn watch(shape: &Shape, truth: &Reality, clear: bool, chance: &mut Chance) -> Vec<Signal> {
    let mut watch = Watch { shape, truth, chance, clear, signals: Vec::new() };
    for m in 0..shape.machines.len() {
        watch.host(m);
        for c in 0..shape.machines[m].comps.len() {
            watch.component(m, c);
        }
    }
    watch.elements();
    watch.signals
}

impl Watch<'_> {
    /// Looks once; `bad` since when and what it looks like then.
    fn look(
        &mut self,
        at: (&str, Option<&str>),
        check: Check,
        good: Json,
        bad: Option<(i64, Json)>,
        from: Option<&str>,
    ) {
        let mut age = self.chance.between(0, if self.clear { check.every.min(50) } else { check.every });
        if !self.clear {
            // Whether links and resources are watched at all must be known: what was never looked at can have no say.
            if self.chance.percent(6) && !matches!(check.sig, "link" | "resource") {
                return;
            }
            if self.chance.percent(6) {
                age += self.chance.between(180.max(check.every * 3), 1000);
            }
        }
        if let Some(mute) = check.mute {
            if mute > AGENT_LOST {
                return;
            }
            age = age.max(mute + self.chance.between(0, check.every));
        }
        let lag = if self.clear { 0 } else { check.lag };
        let (value, changed) = match bad {
            Some((since, value)) if since > age + lag => (value, age + (since - lag - age) / check.every * check.every),
            Some(_) | None => (good, WELL_FOR),
        };
        self.signals.push(Signal {
            host: Some(Arc::from(at.0)),
            component: at.1.map(Arc::from),
            sig: Arc::from(check.sig),
            value: serde_json::from_value(value).expect("any JSON is a value"),
            vantage: from.map(Arc::from),
            observed_at: NOW - Span::from_secs(age),
            changed_at: NOW - Span::from_secs(changed.max(age)),
            every: Span::from_secs(check.every),
        });
    }

    /// Since when nothing comes from inside the machine.
    fn mute(&self, m: usize) -> Since {
        self.truth.machines[m].unreachable().max(self.truth.isolated)
    }

    fn inside(&self, m: usize, sig: &'static str, every: i64) -> Check {
        Check { mute: self.mute(m), ..check(sig, every) }
    }

    fn host(&mut self, m: usize) {
        let machine = &self.shape.machines[m];
        let truth = self.truth.machines[m].clone();
        let name = machine.name.as_str();
        let from_here = self.mute(m);
        let dark = |word: &'static str| from_here.map(|since| (since, json!(word)));
        self.look((name, None), check("ping", 10), json!("ok"), dark("fail"), None);
        self.look((name, None), check("ssh", 10), json!("open"), dark("timeout"), None);
        for (i, vantage) in self.shape.vantages.iter().enumerate().filter(|_| self.truth.isolated.is_none()) {
            let blind = truth.blind_from.filter(|(from, _)| *from == i + 1).map(|(_, since)| since);
            let fails = truth.unreachable().max(blind).map(|since| (since, json!("fail")));
            self.look((name, None), check("ping", 20), json!("ok"), fails, Some(vantage));
        }
        if machine.agent {
            // The engine says `stale` by itself, at once.
            let lost = self.mute(m).filter(|since| *since > AGENT_LOST).map(|_| (WELL_FOR, json!("stale")));
            let last_word = Check { mute: self.mute(m).filter(|_| lost.is_none()), ..check("agent", 30) };
            self.look((name, None), last_word, json!("ok"), lost, None);
            self.look((name, None), self.inside(m, "uptime_s", 30), json!(WELL_FOR), None, None);
            if machine.on.is_none() {
                self.disks_and_bonds(m);
            }
        }
        if machine.bmc {
            self.bmc(m);
        }
        if machine.ports_watched {
            self.ports(m);
        }
        if let Some(since) = truth.maintenance {
            let bad = Some((since.max(61), json!(true)));
            let clear = std::mem::replace(&mut self.clear, true);
            self.look((name, None), check("maintenance", 10), json!(false), bad, None);
            self.clear = clear;
        }
    }

    fn disks_and_bonds(&mut self, m: usize) {
        let (shape, truth) = (self.shape, self.truth);
        let name = shape.name(m);
        let array =
            |state: &str, failed: Json| json!({"vd": "0", "level": "RAID1", "state": state, "pd_failed": failed});
        let broken = truth.machines[m].raid.map(|since| (since, array("Dgrd", json!(["252:0"]))));
        self.look((name, None), self.inside(m, "raid", 300), array("Optl", json!([])), broken, None);
        if let [first, second] = shape.machines[m].switches[..] {
            let slave = |switch: usize| truth.machines[m].port_down[switch].max(truth.switch_down[switch]);
            let bond = |up: i64, down: Json| json!({"name": "bond0", "slaves": 2, "up": up, "down": down, "ports": up});
            let bad = match (slave(first), slave(second)) {
                (Some(since), None) => Some((since, bond(1, json!(["eth0"])))),
                (None, Some(since)) => Some((since, bond(1, json!(["eth1"])))),
                (Some(a), Some(b)) => Some((a.min(b), bond(0, json!(["eth0", "eth1"])))),
                (None, None) => None,
            };
            self.look((name, None), self.inside(m, "bond", 30), bond(2, json!([])), bad, None);
        }
    }

    fn bmc(&mut self, m: usize) {
        let truth = &self.truth.machines[m];
        let name = self.shape.name(m);
        let silent = truth.bmc_silent.max(self.truth.mgmt_down).max(self.truth.isolated);
        self.look((name, None), check("bmc", 60), json!("ok"), silent.map(|since| (since, json!("unreachable"))), None);
        let power = match (silent, truth.off) {
            (Some(since), _) => Some((since, json!("unknown"))),
            (None, off) => off.map(|since| (since, json!("off"))),
        };
        self.look((name, None), check("power", 60), json!("on"), power, None);
        let supply =
            |id: &str, fault: i64| json!({"id": id, "offsets": if fault == 0 { vec![0] } else { vec![0, fault] }});
        if self.shape.machines[m].dual_fed && silent.is_none() {
            let first = match (truth.psu_failed, truth.input_lost) {
                (Some(since), None) => Some((since, supply("PS1", 1))),
                (_, lost) => lost.map(|since| (since, supply("PS1", 3))),
            };
            self.look((name, None), check("psu", 60), supply("PS1", 0), first, None);
            self.look((name, None), check("psu", 60), supply("PS2", 0), None, None);
        }
    }

    /// The machine's ports as its switches tell them; a dead switch tells nothing.
    fn ports(&mut self, m: usize) {
        let machine = &self.shape.machines[m];
        let truth = &self.truth.machines[m];
        let telling: Vec<usize> =
            machine.switches.iter().copied().filter(|switch| self.truth.switch_down[*switch].is_none()).collect();
        if telling.is_empty() || self.truth.isolated.is_some() {
            return;
        }
        let state = |down: &dyn Fn(usize) -> bool| {
            let word =
                |switch: &usize| (SWITCHES[*switch].to_owned(), json!(if down(*switch) { "down" } else { "up" }));
            Json::Object(telling.iter().map(word).collect())
        };
        let since = telling.iter().filter_map(|switch| truth.port_down[*switch].max(truth.off)).max();
        let bad = since.map(|since| (since, state(&|switch| truth.port_down[switch].max(truth.off).is_some())));
        self.look((&machine.name, None), check("link", 30), state(&|_| false), bad, None);
    }

    fn component(&mut self, m: usize, c: usize) {
        let (shape, truth) = (self.shape, self.truth);
        let (machine, comp) = (&shape.machines[m], truth.comps[m][c].clone());
        let key = machine.comps[c].as_str();
        let at = (machine.name.as_str(), Some(key));
        let passive = is_passive(shape, truth, m, key);
        // From outside the worst comes first: nobody there, nobody listening, nobody answering, a refusal.
        let outside = |dark: Json, gone: Json, silent: Json, sick: Option<Json>| {
            let sick_since = comp.lacks.map(|(.., since)| since).max(comp.starved);
            truth.machines[m]
                .unreachable()
                .max(truth.isolated)
                .map(|since| (since, dark))
                .or(comp.absent.map(|since| (since, gone)))
                .or(comp.hung.map(|since| (since, silent)))
                .or(sick_since.zip(sick))
        };
        if listens(key) {
            let bad = outside(json!("timeout"), json!("refused"), json!("open"), None);
            self.look(at, check("port", 10), json!("open"), bad, None);
        }
        if shape.java_of(m).contains(&c) {
            let good = if passive { "not_enabled" } else { "enabled" };
            let bad = outside(json!("none"), json!("none"), json!("none"), Some(json!("not_enabled")));
            self.look(at, check("heartbeat", 15), json!(good), bad, None);
        }
        if matches!(key, "console" | "ms" | "lb" | "nova_api") {
            let bad = outside(json!("timeout"), json!("timeout"), json!("timeout"), Some(json!(503)));
            self.look(at, check("http", 10), json!(200), bad, None);
        }
        if matches!(key, "mysql" | "primary" | "secondary" | "rabbitmq" | "elb") {
            let bad = outside(json!("fail"), json!("fail"), json!("timeout"), Some(json!("fail")));
            self.look(at, check("probe", 15), json!("ok"), bad, None);
        }
        self.controller(m, c, &comp, passive);
        if machine.agent {
            self.processes(m, c, &comp);
        }
        if let Some(on) = machine.on.filter(|_| self.controllers_serve()) {
            let stopped = truth.machines[m].off.max(truth.machines[on].off).map(|since| (since, json!("stopped")));
            let slow = Check { lag: 60, ..check("instance_state", 30) };
            self.look((&machine.name, None), slow, json!("running"), stopped, None);
        }
    }

    /// Whether anybody answers who knows the state of services.
    fn controllers_serve(&self) -> bool {
        let key = match self.shape.platform {
            "eucalyptus" => "clc",
            "cloudstack" => "ms",
            "openstack" => "nova_api",
            _ => return true,
        };
        let serves = |place: &(usize, usize)| self.truth.is_out(*place).is_none();
        self.truth.isolated.is_none() && self.shape.instances(key, None).iter().any(serves)
    }

    fn controller(&mut self, m: usize, c: usize, comp: &CompTruth, passive: bool) {
        let key = self.shape.machines[m].comps[c].as_str();
        let (good, bad) = match key {
            "console" | "elb" | "ms" | "mysql" | "primary" | "secondary" | "lb" | "nova_api" | "rabbitmq" => return,
            "galera" => ("Primary", "Non-Primary"),
            "corosync" => ("quorate", "no_quorum"),
            "kvm_agent" | "ssvm" | "vr" => ("Up", "Disconnected"),
            "nova_scheduler" | "nova_compute" => ("Up", "Down"),
            _ if passive => ("DISABLED", "NOTREADY"),
            _ => ("ENABLED", "NOTREADY"),
        };
        if key != "corosync" && !self.controllers_serve() && self.chance.percent(60) {
            return;
        }
        let at = (self.shape.machines[m].name.as_str(), Some(key));
        let inside = if key == "corosync" { self.mute(m) } else { None };
        let lag = if key == "corosync" { 0 } else { self.chance.pick(&[0, 15, 60]) };
        let state = Check { lag, mute: inside, ..check("service_state", 15) };
        let since = match comp.stopped {
            Some(since) => Some((since, json!("STOPPED"))),
            None => self.truth.is_out((m, c)).map(|since| (since, json!(bad))),
        };
        self.look(at, state, json!(good), since, None);
    }

    fn processes(&mut self, m: usize, c: usize, comp: &CompTruth) {
        let key = self.shape.machines[m].comps[c].as_str();
        let at = (self.shape.machines[m].name.as_str(), Some(key));
        // Where no request can be timed, the process itself tells that it hangs.
        let told_elsewhere = listens(key) && !matches!(key, "cc" | "nc" | "vr" | "galera");
        let hung = comp.hung.filter(|_| !told_elsewhere).map(|since| (since, json!("hung")));
        let gone = comp.absent.map(|since| (since, json!("absent")));
        self.look(at, self.inside(m, "process", 10), json!("running"), gone.or(hung), None);
        let level = |kind: &str, level: &str, blocks: bool| json!({"kind": kind, "level": level, "detail": kind, "name": kind, "blocks_start": blocks});
        let own = super::faults::resource_of(key, false);
        let (kind, bad) = match comp.lacks {
            Some((kind, blocks, since)) => (kind, Some((since, level(kind, "crit", blocks)))),
            None => (own, None),
        };
        self.look(at, self.inside(m, "resource", 30), level(kind, "ok", false), bad, None);
        let stored = matches!(key, "sc" | "nc") && self.shape.san;
        let served = self.shape.machines[m].zone;
        let far = self.shape.overlay && key == "nc";
        if stored || far {
            let host_of_sc = self.shape.instances("sc", served).first().map(|(sc, _)| *sc);
            let sc_gone = host_of_sc.filter(|_| far).and_then(|sc| self.truth.machines[sc].unreachable());
            let lost = self.truth.san_lost.filter(|_| stored).max(sc_gone);
            let bad = lost.map(|since| (since, level("san_path", "crit", false)));
            self.look(at, self.inside(m, "resource", 30), level("san_path", "ok", false), bad, None);
        }
    }

    fn elements(&mut self) {
        let truth = self.truth;
        let seen = truth.isolated.is_none();
        for (i, name) in SWITCHES.iter().enumerate().filter(|_| seen) {
            let down = truth.switch_down[i].map(|since| (since, json!({"state": "down", "snmp": "timeout"})));
            self.look((name, None), check("switch", 30), json!({"state": "up"}), down, None);
            if self.shape.stack {
                let member = |state: i64| json!({"member": i + 1, "cswSwitchState": state});
                let gone = truth.switch_down[i].map(|since| (since, member(11)));
                self.look((name, None), check("stack", 30), member(4), gone, None);
            }
        }
        if self.shape.mgmt && seen {
            let dark = |m: &&usize| self.shape.machines[**m].bmc && truth.machines[**m].bmc_silent.is_some();
            let all: Vec<usize> = (0..self.shape.machines.len()).collect();
            let ports: Vec<&str> = all.iter().filter(dark).map(|m| self.shape.name(*m)).collect();
            let since = all.iter().filter(dark).filter_map(|m| truth.machines[*m].bmc_silent).max();
            let up = json!({"state": "up", "bmc_ports_down": []});
            let bad = match truth.mgmt_down {
                Some(since) => Some((since, json!({"state": "down", "snmp": "timeout"}))),
                None => since.map(|since| (since, json!({"state": "up", "bmc_ports_down": ports}))),
            };
            self.look(("swm", None), check("switch", 30), up, bad, None);
        }
        let ups =
            |source: i64, minutes: i64| json!({"upsOutputSource": source, "upsBatteryStatus": 2, "minutes": minutes});
        let battery = truth.on_battery.map(|since| (since, ups(5, 40)));
        if seen {
            self.look(("ups1", None), check("ups", 15), ups(3, 45), battery, None);
        }
        let gateway = truth.isolated.map(|since| (since, json!("fail")));
        self.look(("gateway", None), check("ping", 10), json!("ok"), gateway, None);
        self.pair();
        if self.shape.sites {
            self.mesh();
        }
    }

    fn pair(&mut self) {
        let Some((a, b)) = self.shape.pair else { return };
        let truth = self.truth;
        for (own, peer) in [(a, b), (b, a)] {
            let primary = !is_passive(self.shape, truth, own, "walrus");
            let role = |is: bool| if is { "Primary" } else { "Secondary" };
            let drbd = |cs: &str, ro: String, ds: &str| json!({"res": "r0", "cs": cs, "ro": ro, "ds": ds});
            let good = drbd("Connected", format!("{}/{}", role(primary), role(!primary)), "UpToDate/UpToDate");
            let alone = truth.drbd_apart.max(truth.machines[peer].unreachable());
            let bad = match (truth.drbd_split, alone) {
                (Some(since), _) => Some((since, drbd("StandAlone", "Primary/Unknown".into(), "UpToDate/DUnknown"))),
                (None, Some(since)) => {
                    Some((since, drbd("WFConnection", format!("{}/Unknown", role(primary)), "UpToDate/DUnknown")))
                }
                (None, None) => None,
            };
            self.look((self.shape.name(own), None), self.inside(own, "drbd", 15), good, bad, None);
        }
    }

    fn mesh(&mut self) {
        let side = if self.truth.isolated.is_some() { 1 } else { 3 };
        let ok = if self.truth.isolated.is_some() { 0 } else { 2 };
        for (sig, value) in [("side", json!(side)), ("arbitrators", json!({"ok": ok, "total": 2}))] {
            self.signals.push(Signal {
                host: None,
                component: None,
                sig: Arc::from(sig),
                value: serde_json::from_value(value).expect("any JSON is a value"),
                vantage: None,
                observed_at: NOW,
                changed_at: NOW,
                every: Span::from_secs(10),
            });
        }
    }
}

fn listens(key: &str) -> bool {
    !matches!(key, "kvm_agent" | "nova_scheduler" | "nova_compute" | "corosync" | "ssvm")
}

/// Of a pair the second is passive until the first has been out for a while.
pub fn is_passive(shape: &Shape, truth: &Reality, m: usize, key: &str) -> bool {
    if shape.pair.is_none() || !matches!(key, "clc" | "walrus") {
        return false;
    }
    let instances = shape.instances(key, None);
    let Some(first) = instances.first().copied() else { return false };
    let first_out = truth.machines[first.0].unreachable().max(truth.comps[first.0][first.1].fails());
    let moved = first_out.is_some_and(|since| since > TAKEOVER);
    if m == first.0 { moved } else { !moved }
}
