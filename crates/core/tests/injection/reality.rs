//! What is really the matter: the faults, and what follows from them by the nature of each platform (not by the rules of the
//! classifier, of which nothing is used here).

use super::faults::{Fault, Injected, Place};
use super::shape::Shape;

/// Since how many seconds something is bad; `None` = it is well.
pub type Since = Option<i64>;

fn worse(a: Since, b: Since) -> Since {
    a.max(b)
}

#[derive(Clone, Debug, Default)]
pub struct MachineTruth {
    /// The operating system does not run.
    pub dead: Since,
    /// It was switched off, or has no power at all.
    pub off: Since,
    /// Even the BMC has no power, or is broken itself.
    pub bmc_silent: Since,
    /// It runs and nobody reaches it.
    pub cut: Since,
    /// Its port on each switch has no link.
    pub port_down: [Since; 2],
    /// The input of its supply on circuit A is gone.
    pub input_lost: Since,
    pub psu_failed: Since,
    pub raid: Since,
    pub blind_from: Option<(usize, i64)>,
    pub maintenance: Since,
}

impl MachineTruth {
    fn unplug(&mut self, since: i64) {
        for part in [&mut self.dead, &mut self.off, &mut self.bmc_silent] {
            *part = worse(*part, Some(since));
        }
    }

    pub fn unreachable(&self) -> Since {
        worse(self.dead, self.cut)
    }
}

#[derive(Clone, Debug, Default)]
pub struct CompTruth {
    pub absent: Since,
    pub hung: Since,
    /// Its own resource is gone.
    pub lacks: Option<(&'static str, bool, i64)>,
    pub stopped: Since,
    /// It cannot serve because something else does not.
    pub starved: Since,
}

impl CompTruth {
    pub fn fails(&self) -> Since {
        worse(worse(self.absent, self.hung), self.lacks.map(|(.., since)| since))
    }
}

#[derive(Clone, Debug)]
pub struct Reality {
    pub machines: Vec<MachineTruth>,
    pub comps: Vec<Vec<CompTruth>>,
    pub switch_down: [Since; 2],
    pub mgmt_down: Since,
    pub feed_lost: Since,
    pub on_battery: Since,
    pub san_lost: Since,
    pub drbd_apart: Since,
    pub drbd_split: Since,
    pub isolated: Since,
}

impl Reality {
    pub fn of(shape: &Shape, faults: &[Injected]) -> Reality {
        let mut truth = Reality {
            machines: vec![MachineTruth::default(); shape.machines.len()],
            comps: shape.machines.iter().map(|machine| vec![CompTruth::default(); machine.comps.len()]).collect(),
            switch_down: [None; 2],
            mgmt_down: None,
            feed_lost: None,
            on_battery: None,
            san_lost: None,
            drbd_apart: None,
            drbd_split: None,
            isolated: None,
        };
        for (fault, since) in faults {
            truth.strike(shape, fault, *since);
        }
        truth.spread_power_and_links(shape);
        truth.starve(shape);
        truth
    }

    fn strike(&mut self, shape: &Shape, fault: &Fault, since: i64) {
        let now = Some(since);
        match fault {
            Fault::Crash((m, c)) => self.comps[*m][*c].absent = now,
            Fault::Hang((m, c)) => self.comps[*m][*c].hung = now,
            Fault::Jvm(m) => shape.java_of(*m).into_iter().for_each(|c| self.comps[*m][c].absent = now),
            Fault::Resource((m, c), kind, blocks) => {
                self.comps[*m][*c].lacks = Some((kind, *blocks, since));
                if *blocks {
                    self.comps[*m][*c].absent = now;
                }
            }
            Fault::PowerOff(m) => (self.machines[*m].dead, self.machines[*m].off) = (now, now),
            Fault::OsDead(m) => self.machines[*m].dead = worse(self.machines[*m].dead, now),
            Fault::Unplugged(m) => self.machines[*m].unplug(since),
            Fault::Site(zone) => {
                let in_zone = |m: &usize| shape.machines[*m].zone == Some(*zone);
                (0..shape.machines.len()).filter(in_zone).for_each(|m| self.machines[m].unplug(since));
            }
            Fault::Feed => {
                self.feed_lost = now;
                for (m, machine) in shape.machines.iter().enumerate().filter(|(_, machine)| machine.on.is_none()) {
                    if machine.dual_fed { self.machines[m].input_lost = now } else { self.machines[m].unplug(since) }
                }
            }
            Fault::Battery => {
                self.on_battery = now;
                self.machines.iter_mut().for_each(|machine| machine.input_lost = now);
            }
            Fault::Links(m) => self.machines[*m].port_down = [now, now],
            Fault::Slave(m) => self.machines[*m].port_down[0] = now,
            Fault::Vantage(m, from) => self.machines[*m].blind_from = Some((*from, since)),
            Fault::Switch(switch) => self.switch_down[*switch] = now,
            Fault::MgmtSwitch => self.mgmt_down = now,
            Fault::San => self.san_lost = now,
            Fault::Bmc(m) => self.machines[*m].bmc_silent = now,
            Fault::Psu(m) => self.machines[*m].psu_failed = now,
            Fault::Cord(m) => self.machines[*m].input_lost = now,
            Fault::Raid(m) => self.machines[*m].raid = now,
            Fault::DrbdLink => self.drbd_apart = now,
            Fault::DrbdSplit => self.drbd_split = now,
            Fault::Isolated => self.isolated = now,
            Fault::Stopped((m, c)) => self.comps[*m][*c].stopped = now,
            Fault::Maintenance(m) => self.machines[*m].maintenance = now,
        }
    }

    fn spread_power_and_links(&mut self, shape: &Shape) {
        for (m, machine) in shape.machines.iter().enumerate() {
            let truth = &mut self.machines[m];
            if machine.switches.is_empty() {
                continue;
            }
            // A port is of no use when the switch behind it is down; all of them gone is a machine cut off.
            let lost = |switch: &usize| worse(truth.port_down[*switch], self.switch_down[*switch]);
            let lost: Vec<Since> = machine.switches.iter().map(lost).collect();
            if lost.iter().all(Option::is_some) {
                truth.cut = lost.into_iter().min().flatten();
            }
        }
        for (m, machine) in shape.machines.iter().enumerate() {
            let Some(on) = machine.on else { continue };
            self.machines[m].dead = worse(self.machines[m].dead, self.machines[on].dead);
            self.machines[m].cut = worse(self.machines[m].cut, self.machines[on].cut);
        }
    }

    /// What cannot serve because all of something that it needs are out.
    fn starve(&mut self, shape: &Shape) {
        const ORDER: [&str; 12] =
            ["walrus", "sc", "cc", "ms", "kvm_agent", "ufs", "nc", "console", "elb", "ssvm", "vr", "nova"];
        for step in ORDER {
            for m in 0..shape.machines.len() {
                for c in 0..shape.machines[m].comps.len() {
                    let key = shape.machines[m].comps[c].as_str();
                    if key == step || (step == "nova" && key.starts_with("nova")) {
                        let zone = shape.machines[m].zone;
                        let above = needs(shape.platform, key).iter().map(|need| self.all_out(shape, need, zone));
                        self.comps[m][c].starved = above.max().flatten();
                    }
                }
            }
        }
        if shape.platform == "proxmox" {
            let nodes = shape.instances("corosync", None);
            let out: Vec<i64> = nodes.iter().filter_map(|node| self.is_out(*node)).collect();
            if out.len() * 2 >= nodes.len() {
                let since = out.iter().min().copied();
                nodes.iter().for_each(|(m, c)| self.comps[*m][*c].starved = since);
            }
        }
    }

    pub fn is_out(&self, (m, c): Place) -> Since {
        let comp = &self.comps[m][c];
        worse(worse(comp.fails(), comp.starved), self.machines[m].unreachable())
    }

    /// Since when no instance serves any more: since the last of them fell.
    fn all_out(&self, shape: &Shape, key: &str, zone: Option<usize>) -> Since {
        let zonal = matches!(key, "cc" | "sc" | "nc");
        let all = shape.instances(key, zone.filter(|_| zonal));
        if all.is_empty() {
            return None;
        }
        all.into_iter().map(|place| self.is_out(place)).min().flatten()
    }
}

/// What a component of this type cannot serve without, as the platforms' manuals have it.
fn needs(platform: &str, key: &str) -> &'static [&'static str] {
    match (platform, key) {
        ("eucalyptus", "walrus" | "sc") => &["clc"],
        ("eucalyptus", "ufs") => &["clc", "walrus"],
        ("eucalyptus", "console" | "elb") => &["clc", "ufs"],
        ("eucalyptus", "nc") => &["cc"],
        ("cloudstack", "ms") => &["mysql"],
        ("cloudstack", "kvm_agent") => &["ms", "primary"],
        ("cloudstack", "ssvm") => &["ms", "primary", "secondary"],
        ("cloudstack", "vr") => &["primary"],
        ("openstack", "nova_api" | "nova_scheduler" | "nova_compute") => &["rabbitmq", "galera"],
        _ => &[],
    }
}
