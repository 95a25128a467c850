//! What can break, and the truth about it: which process, machine, cable or circuit is really gone since when.

use super::chance::Chance;
use super::shape::Shape;

/// A place: machine and component.
pub type Place = (usize, usize);

#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    Crash(Place),
    Hang(Place),
    /// All Java components of the machine are one process.
    Jvm(usize),
    /// Something that the component needs is gone; with `true` it does not even start.
    Resource(Place, &'static str, bool),
    PowerOff(usize),
    OsDead(usize),
    /// No power, not even for the BMC.
    Unplugged(usize),
    Links(usize),
    /// Only this vantage point cannot reach the machine.
    Vantage(usize, usize),
    Switch(usize),
    MgmtSwitch,
    /// The whole circuit A, mains and its hosts.
    Feed,
    /// The mains are gone, the battery carries circuit B.
    Battery,
    Site(usize),
    San,
    Bmc(usize),
    Psu(usize),
    Cord(usize),
    Raid(usize),
    Slave(usize),
    DrbdLink,
    DrbdSplit,
    Isolated,
    Stopped(Place),
    Maintenance(usize),
}

/// A fault and how many seconds ago it began.
pub type Injected = (Fault, i64);

/// What a component of this type lacks when its resource is gone.
pub fn resource_of(key: &str, blocks: bool) -> &'static str {
    if blocks {
        return "disk";
    }
    match key {
        "clc" | "ms" => "db",
        "sc" => "backend",
        "cc" | "corosync" => "membership",
        "nc" | "kvm_agent" | "nova_compute" => "hypervisor",
        "console" | "lb" => "cert",
        "vr" | "ssvm" | "elb" => "config",
        _ => "disk",
    }
}

pub fn draw(shape: &Shape, chance: &mut Chance) -> Vec<Injected> {
    let count = if chance.percent(60) { 1 } else { 2 };
    let mut faults: Vec<Injected> = Vec::new();
    let mut tries = 0;
    while faults.len() < count && tries < 200 {
        tries += 1;
        let Some(fault) = one(shape, chance) else { continue };
        if faults.iter().any(|(held, _)| clash(shape, held, &fault)) {
            continue;
        }
        faults.push((fault, chance.between(60, 900)));
    }
    faults
}

/// Two of these on one thing are not two faults.
fn clash(shape: &Shape, a: &Fault, b: &Fault) -> bool {
    use Fault::{Crash, DrbdLink, DrbdSplit, Hang, Isolated, Jvm, Maintenance, Resource, Stopped, Switch, Vantage};
    let of_process = |fault: &Fault| match fault {
        Crash(p) | Hang(p) | Resource(p, ..) | Stopped(p) => Some((p.0, shape.java_of(p.0).contains(&p.1), p.1)),
        Jvm(m) => Some((*m, true, 0)),
        _ => None,
    };
    let same_process = match (of_process(a), of_process(b)) {
        (Some((m, java, c)), Some((n, other, d))) => m == n && ((java && other) || c == d),
        _ => false,
    };
    // A cut-off monitor says nothing of others; maintenance hides on purpose.
    let total = |fault: &Fault| matches!(fault, Isolated | Maintenance(_));
    let of_kind = |fault: &Fault| matches!(fault, DrbdLink | DrbdSplit | Switch(_) | Vantage(..));
    same_process
        || total(a)
        || total(b)
        || (of_kind(a) && of_kind(b))
        || std::mem::discriminant(a) == std::mem::discriminant(b) && a == b
}

fn one(shape: &Shape, chance: &mut Chance) -> Option<Fault> {
    let machine = chance.next() as usize % shape.machines.len();
    let comp = chance.next() as usize % shape.machines[machine].comps.len();
    let (place, of) = ((machine, comp), &shape.machines[machine]);
    let key = of.comps[comp].as_str();
    let java = shape.java_of(machine);
    let shares = java.len() > 1 && java.contains(&comp);
    let real = of.on.is_none();
    Some(match chance.between(0, 29) {
        0..=2 if shares => Fault::Jvm(machine),
        0..=2 => Fault::Crash(place),
        3..=4 => Fault::Hang(place),
        5..=7 => {
            let blocks = !shares && chance.percent(30) && resource_of(key, false) == "disk";
            Fault::Resource(place, resource_of(key, blocks), blocks)
        }
        8 => Fault::PowerOff(machine),
        9 => Fault::OsDead(machine),
        10 if real && of.bmc => Fault::Unplugged(machine),
        11 if real && of.ports_watched => Fault::Links(machine),
        12 if !shape.vantages.is_empty() => {
            Fault::Vantage(machine, chance.between(1, shape.vantages.len() as i64) as usize)
        }
        13 | 14 => Fault::Switch(chance.between(0, 1) as usize),
        15 if shape.mgmt => Fault::MgmtSwitch,
        16 if shape.machines.iter().any(|machine| !machine.dual_fed) => Fault::Feed,
        17 if shape.machines.iter().all(|machine| machine.dual_fed) => Fault::Battery,
        18 if shape.zones > 1 && shape.vantages.len() == 2 => {
            Fault::Site(chance.between(0, shape.zones as i64 - 1) as usize)
        }
        19 if shape.san => Fault::San,
        20 if real && of.bmc => Fault::Bmc(machine),
        21 if real && of.bmc && of.dual_fed => {
            if chance.percent(50) {
                Fault::Psu(machine)
            } else {
                Fault::Cord(machine)
            }
        }
        22 if real && of.agent => Fault::Raid(machine),
        23 if of.agent && of.switches.len() == 2 => Fault::Slave(machine),
        28 if shape.java_of(0).len() > 1 => Fault::Jvm(0),
        24 | 29 if shape.pair.is_some() => chance.pick(&[Fault::DrbdLink, Fault::DrbdSplit]),
        25 if shape.sites => Fault::Isolated,
        26 if matches!(key, "nc" | "sc" | "cc") => Fault::Stopped(place),
        27 if chance.percent(40) => Fault::Maintenance(machine),
        _ => return None,
    })
}
