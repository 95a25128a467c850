//! Right or wrong: what may be said of a reality, and what must be said of each fault that can be seen.

use stentor_core::diagnosis::{Class, Diagnosis, TargetKind, Verdict};

use super::faults::{Fault, Place};
use super::reality::Reality;
use super::shape::{SWITCHES, Shape};

/// From here on a verdict counts as confident.
pub const CONFIDENT: f64 = 0.8;

pub struct Oracle<'a> {
    pub shape: &'a Shape,
    pub truth: &'a Reality,
}

impl Oracle<'_> {
    fn machine(&self, verdict: &Verdict) -> Option<usize> {
        let name = verdict.target.host.as_deref()?;
        self.shape.machines.iter().position(|machine| machine.name == name)
    }

    fn place(&self, verdict: &Verdict) -> Option<Place> {
        let m = self.machine(verdict)?;
        let key = verdict.target.component.as_deref()?;
        let is = |comp: &String| comp == key || (self.shape.machines[m].on.is_some() && key.starts_with(comp.as_str()));
        Some((m, self.shape.machines[m].comps.iter().position(is)?))
    }

    /// Whether a verdict is true, or follows from what is.
    pub fn is_true(&self, verdict: &Verdict) -> bool {
        let truth = self.truth;
        let host = verdict.target.host.as_deref().unwrap_or_default();
        let machine = self.machine(verdict).map(|m| &truth.machines[m]);
        let reached = machine.is_some_and(|machine| machine.unreachable().is_none());
        let switch = SWITCHES.iter().position(|name| *name == host);
        match (verdict.class, verdict.target.kind) {
            (Class::Unknown, _) => true,
            (Class::SoftwareDown, TargetKind::Component) => {
                self.place(verdict).is_some_and(|place| self.software_fails(place))
            }
            (Class::SoftwareDown, TargetKind::Jvm) => {
                let m = self.machine(verdict).expect("a machine");
                self.shape.java_of(m).into_iter().all(|c| self.software_fails((m, c)))
            }
            (Class::ServerDown, TargetKind::Host) => machine.is_some_and(|machine| machine.dead.is_some()),
            (Class::ResourceUnavailable | Class::ResourceAtRisk, TargetKind::Component) => {
                self.place(verdict).is_some_and(|place| {
                    self.truth.comps[place.0][place.1].lacks.is_some() || (reached && self.lacks(place))
                })
            }
            (Class::ResourceUnavailable, TargetKind::Backend) => truth.san_lost.is_some(),
            (Class::Network, TargetKind::Switch) => switch.is_some_and(|switch| truth.switch_down[switch].is_some()),
            (Class::Network, TargetKind::Host) => machine.is_some_and(|machine| machine.cut.is_some()),
            (Class::NetworkPath, TargetKind::Host) => {
                machine.is_some_and(|machine| machine.blind_from.is_some() && machine.dead.is_none())
            }
            (Class::PowerEvent, TargetKind::Power) => {
                (host == "A" && truth.feed_lost.is_some()) || (host == "ups1" && truth.on_battery.is_some())
            }
            (Class::MonitorIsolated, _) => truth.isolated.is_some(),
            (Class::SiteDown, _) => {
                let of_zone = (0..3).find(|zone| Shape::zone_name(*zone) == host);
                let mut machines = (0..truth.machines.len()).filter(|m| self.shape.machines[*m].zone == of_zone);
                of_zone.is_some()
                    && machines.all(|m| truth.machines[m].bmc_silent.min(truth.machines[m].dead).is_some())
            }
            (Class::SplitBrain, TargetKind::Drbd) => truth.drbd_split.is_some(),
            (Class::RedundancyLost, _) => self.redundancy_is_lost(verdict, host, switch),
            (Class::AdminStopped, TargetKind::Host) => machine.is_some_and(|machine| machine.maintenance.is_some()),
            (Class::AdminStopped, TargetKind::Component) => {
                self.place(verdict).is_some_and(|(m, c)| truth.comps[m][c].stopped.is_some())
            }
            _ => false,
        }
    }

    fn software_fails(&self, (m, c): Place) -> bool {
        let comp = &self.truth.comps[m][c];
        // A blocked start is the resource, for whoever can see it.
        let blocked = comp.lacks.is_some() && self.shape.machines[m].agent;
        comp.hung.is_some() || (comp.absent.is_some() && !blocked)
    }

    fn lacks(&self, (m, c): Place) -> bool {
        let comp = &self.truth.comps[m][c];
        let key = self.shape.machines[m].comps[c].as_str();
        let stored = matches!(key, "sc" | "nc") && self.truth.san_lost.is_some();
        let sc = self.shape.instances("sc", self.shape.machines[m].zone).into_iter().next();
        let far = self.shape.overlay
            && key == "nc"
            && sc.is_some_and(|(sc, _)| self.truth.machines[sc].unreachable().is_some());
        comp.lacks.is_some() || comp.starved.is_some() || stored || far
    }

    fn redundancy_is_lost(&self, verdict: &Verdict, host: &str, switch: Option<usize>) -> bool {
        let truth = self.truth;
        let machine = self.machine(verdict).map(|m| &truth.machines[m]);
        let of_machine = |holds: &dyn Fn(&super::reality::MachineTruth) -> bool| machine.is_some_and(holds);
        match &*verdict.subtype {
            "psu_input" if host == "A" => truth.feed_lost.max(truth.on_battery).is_some(),
            "psu_input" => of_machine(&|machine| machine.input_lost.is_some()),
            "psu_failed" => of_machine(&|machine| machine.psu_failed.is_some()),
            "raid_degraded" => of_machine(&|machine| machine.raid.is_some()),
            "bond_slave" => {
                let cabled = self.machine(verdict).map(|m| &self.shape.machines[m].switches[..]).unwrap_or_default();
                cabled.iter().any(|switch| truth.switch_down[*switch].is_some())
                    || of_machine(&|machine| machine.port_down.iter().any(Option::is_some))
            }
            "stack_member" => switch.is_some_and(|switch| truth.switch_down[switch].is_some()),
            "bmc_unreachable" if host == "swm" => truth.mgmt_down.is_some(),
            "bmc_unreachable" => truth.mgmt_down.is_some() || of_machine(&|machine| machine.bmc_silent.is_some()),
            "drbd_connection" => {
                let pair = self.shape.pair.map(|(a, b)| [a, b]).unwrap_or_default();
                truth.drbd_apart.is_some() || pair.iter().any(|m| truth.machines[*m].unreachable().is_some())
            }
            _ => false,
        }
    }

    /// What must be said of a fault when everything about it is seen; `None` where something else hides it, or nobody looks.
    pub fn due(&self, fault: &Fault, alone: bool) -> Option<(TargetKind, String, Option<String>, Vec<Class>)> {
        let (shape, truth) = (self.shape, self.truth);
        let reached = |m: usize| truth.machines[m].unreachable().is_none();
        let of_comp = |(m, c): Place, class: Vec<Class>| {
            // A system VM of CloudStack is its own component.
            let system = shape.platform == "cloudstack" && shape.machines[m].on.is_some();
            let key = if system { shape.name(m).to_owned() } else { shape.machines[m].comps[c].clone() };
            Some((TargetKind::Component, shape.name(m).to_owned(), Some(key), class))
        };
        let of_host = |kind, m: usize, class| Some((kind, shape.name(m).to_owned(), None, vec![class]));
        let named = |kind, name: &str, class| Some((kind, name.to_owned(), None, vec![class]));
        match *fault {
            Fault::Crash(place) | Fault::Hang(place) if reached(place.0) && shape.machines[place.0].agent => {
                // Whoever waits for a lost store hangs too.
                let waits = matches!(fault, Fault::Hang(_)) && self.lacks(place);
                if waits { None } else { of_comp(place, vec![Class::SoftwareDown]) }
            }
            Fault::Jvm(m) if reached(m) => of_host(TargetKind::Jvm, m, Class::SoftwareDown),
            Fault::Resource(place, kind, _) if reached(place.0) && shape.machines[place.0].agent => {
                // A lost part and a lost controller look alike from here.
                let controlled = matches!(kind, "membership" | "db") && !alone;
                let hidden = truth.comps[place.0][place.1].starved.is_some() || truth.san_lost.is_some() || controlled;
                if hidden { None } else { of_comp(place, vec![Class::ResourceUnavailable, Class::ResourceAtRisk]) }
            }
            Fault::PowerOff(m) | Fault::OsDead(m) | Fault::Unplugged(m) if alone => {
                of_host(TargetKind::Host, m, Class::ServerDown)
            }
            Fault::Links(m) if alone => of_host(TargetKind::Host, m, Class::Network),
            Fault::Vantage(m, _) if reached(m) => of_host(TargetKind::Host, m, Class::NetworkPath),
            Fault::Switch(switch) => {
                let behind = shape.machines.iter().filter(|machine| machine.switches == [switch]).count();
                let class = if behind >= 2 { Class::Network } else { Class::RedundancyLost };
                let seen = alone && (shape.stack || behind >= 2) && behind != 1;
                if seen { named(TargetKind::Switch, SWITCHES[switch], class) } else { None }
            }
            Fault::MgmtSwitch if shape.machines.iter().filter(|machine| machine.bmc).count() >= 4 && alone => {
                named(TargetKind::Switch, "swm", Class::RedundancyLost)
            }
            Fault::Feed => {
                let fed = |machine: &&super::shape::Machine| !machine.dual_fed && machine.on.is_none();
                let (mut count, mut watched) = (0, true);
                for machine in shape.machines.iter().filter(fed) {
                    count += 1;
                    watched &= machine.bmc;
                }
                let seen = alone && count >= 2 && shape.mgmt && watched;
                if seen { named(TargetKind::Power, "A", Class::PowerEvent) } else { None }
            }
            Fault::Battery => named(TargetKind::Power, "ups1", Class::PowerEvent),
            Fault::Site(zone) if alone => named(TargetKind::Site, &Shape::zone_name(zone), Class::SiteDown),
            Fault::Bmc(m) if reached(m) && truth.mgmt_down.is_none() && alone => {
                of_host(TargetKind::Hardware, m, Class::RedundancyLost)
            }
            Fault::Psu(m) | Fault::Cord(m) | Fault::Raid(m) | Fault::Slave(m) if reached(m) && alone => {
                of_host(TargetKind::Hardware, m, Class::RedundancyLost)
            }
            Fault::DrbdLink if alone => named(TargetKind::Drbd, "r0", Class::RedundancyLost),
            Fault::DrbdSplit if alone => named(TargetKind::Drbd, "r0", Class::SplitBrain),
            Fault::Isolated => named(TargetKind::Site, "self", Class::MonitorIsolated),
            Fault::Stopped(place) if alone => of_comp(place, vec![Class::AdminStopped]),
            Fault::Maintenance(m) => of_host(TargetKind::Host, m, Class::AdminStopped),
            _ => None,
        }
    }
}

/// Whether the answer says what is due, or at least that it does not know.
pub fn says(answer: &Diagnosis, kind: TargetKind, host: &str, component: Option<&str>, classes: &[Class]) -> bool {
    let about = |verdict: &&Verdict| {
        let target = &verdict.target;
        target.host.as_deref() == Some(host) && (target.component.as_deref() == component || component.is_none())
    };
    let exact = |verdict: &Verdict| verdict.target.kind == kind && classes.contains(&verdict.class);
    let guess = |verdict: &&Verdict| {
        let hides = verdict.suppressed.iter().any(|entry| {
            entry.host.as_deref() == Some(host)
                && (entry.component.as_deref() == component || entry.component.is_none())
        });
        verdict.confidence < CONFIDENT && (hides || about(verdict))
    };
    answer.verdicts.iter().filter(about).any(exact) || answer.verdicts.iter().any(|verdict| guess(&verdict))
}
