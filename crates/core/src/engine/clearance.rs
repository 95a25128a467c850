//! What the rows of the checks say about causes: looked into, said again, positively gone.

use super::Engine;
use super::fold::is_shared;
use super::result::AGENT_SERVICE;
use crate::Timestamp;
use crate::diagnosis::{Class, Target, TargetKind, Verdict};
use crate::id::ObjectId;
use crate::incident::{Clearance, Wanted, cover};
use crate::model::Incident;

impl Engine {
    /// Whether what tells of a lost resource was looked at since then, by an agent too: mended, it is told later than
    /// the component that works again, and what is left of the evidence looks like a risk.
    fn resource_seen(&self, verdict: &Verdict, since: Timestamp) -> bool {
        let of_resource = matches!(verdict.class, Class::ResourceUnavailable | Class::ResourceAtRisk);
        let host = verdict.target.host.as_deref().and_then(|name| self.catalog.host_id(name));
        let (true, Some(host)) = (of_resource, host) else { return true };
        self.catalog.hosts[host.index()].services.iter().all(|&id| {
            let (service, row) = (&self.catalog.services[id.index()], &self.services[id.index()]);
            let of = service.component.map(|of| &*self.catalog.components[of.index()].key);
            let speaks = of == verdict.target.component.as_deref() && cover::speaks(&self.catalog, id, verdict);
            !speaks || row.state == 0 || row.last_check >= since
        })
    }

    /// Whether what may have taken a link or an input from several hosts at once was looked at since one of them lost it:
    /// a walk over a switch takes longer than a look at a bond.
    fn shared_seen(&self, verdict: &Verdict, since: Timestamp) -> bool {
        let sigs: &[&str] = match &*verdict.subtype {
            "bond_slave" | "lacp_mismatch" | "lacp_partner" => &["stack", "switch"],
            "psu_input" => &["ups"],
            _ => return true,
        };
        let host = verdict.target.host.as_deref().and_then(|name| self.catalog.host_id(name));
        let (true, Some(host)) = (verdict.target.kind == TargetKind::Hardware, host) else { return true };
        let topology = &self.board.groups[self.board.group_of(&self.catalog, host)].topology;
        let sources = topology.feeds.values().map(String::as_str);
        let shared = topology.switches.keys().map(|name| &**name).chain(sources);
        shared.filter_map(|name| self.catalog.host_id(name)).all(|id| {
            self.catalog.hosts[id.index()].services.iter().all(|&id| {
                let check = &self.catalog.checks[self.catalog.services[id.index()].check.index()];
                let tells = check.signals.iter().any(|spec| sigs.contains(&&*spec.sig));
                !tells || self.services[id.index()].last_check >= since
            })
        })
    }

    /// Whether a host's agent, which is all that tells a lost path from a dead host, said anything since then. Its last
    /// words before the host died are fresh for a while.
    fn agent_spoke(&self, target: &Target, since: Timestamp) -> bool {
        let agent = target.host.as_deref().and_then(|host| self.catalog.service_id(host, AGENT_SERVICE));
        agent.is_none_or(|id| self.services[id.index()].last_check >= since)
    }
}

impl Clearance for Engine {
    /// A component that is not ready looks the same whether it fails or what it needs does; a host that came back looks
    /// cut off while the last of its checks still waits. Whichever check is slower, the second must not be taken for the
    /// first. Checks that do not come in any time they may take are not waited for.
    fn is_looked_into(&self, want: &Wanted, since: Timestamp) -> bool {
        let verdict = &want.verdict;
        let is_host = matches!(verdict.class, Class::ServerDown | Class::Unknown) && verdict.target.component.is_none();
        if is_host && self.siblings_are_undecided(&verdict.target, since) {
            return false;
        }
        if self.at.since(since) >= want.hold + self.board.answer_max * 3 {
            return true;
        }
        let seen = |object: &ObjectId| match object {
            ObjectId::Host(id) => self.hosts[id.index()].last_check,
            ObjectId::Service(id) => self.services[id.index()].last_check,
        };
        if verdict.class == Class::NetworkPath && !self.agent_spoke(&verdict.target, since) {
            return false;
        }
        if !self.resource_seen(verdict, since) || !self.shared_seen(verdict, since) {
            return false;
        }
        let witnesses = self.witnesses(&verdict.target);
        if verdict.target.component.is_none() && verdict.class != Class::NetworkPath {
            // Of a dead host every check waits for its deadline, and they all say the same; only its BMC knows
            // whether it has power.
            let mut bmc = witnesses.iter().filter(|object| self.tells_power(**object));
            let is_told = verdict.class != Class::ServerDown || &*verdict.subtype == "power_off";
            return is_told || bmc.all(|object| seen(object) >= since);
        }
        witnesses.iter().all(|object| seen(object) >= since)
    }

    fn is_said_again(&self, want: &Wanted, since: Timestamp) -> bool {
        if self.at.since(since) >= want.hold + self.board.answer_max * 3 {
            return true;
        }
        let hosts = cover::hosts_of(&want.verdict).into_iter().filter_map(|name| self.catalog.host_id(name));
        let services = hosts.flat_map(|host| &self.catalog.hosts[host.index()].services);
        let mut speaking = services.filter(|id| cover::speaks(&self.catalog, **id, &want.verdict));
        // The look that its release asked for may have met it while it came back, or hand on an answer that was read just
        // before: the next one in its turn is believed.
        speaking.all(|id| {
            let check = &self.catalog.checks[self.catalog.services[id.index()].check.index()];
            self.services[id.index()].last_check >= since + check.every
        })
    }

    fn takes_over(&self, incident: &Incident) -> Vec<String> {
        self.halves_that_take_over(incident)
    }

    fn goes_on(&self, incident: &Incident, up_since: Timestamp) -> Vec<String> {
        self.still_under_way(incident, up_since)
    }

    /// Absence is never recovery: the checks that spoke for the verdict must have answered, and well.
    fn is_clear(&self, incident: &Incident) -> bool {
        let verdict: &Verdict = &incident.verdict;
        if self.board.told_has_aged(&verdict.target, self.at, self.catalog.timing.fresh_floor) {
            return false;
        }
        if is_shared(verdict.class) && !self.is_returned(incident) {
            return false;
        }
        let Some(host) = verdict.target.host.as_deref().and_then(|name| self.catalog.host_id(name)) else {
            return true;
        };
        if verdict.target.kind == TargetKind::Service {
            let service = verdict.target.component.as_deref().and_then(|name| self.catalog.service_on(host, name));
            return service.is_none_or(|id| self.services[id.index()].state == 0);
        }
        let host_speaks = verdict.target.component.is_none()
            && matches!(verdict.class, Class::ServerDown | Class::Unknown | Class::Network);
        if host_speaks && self.hosts[host.index()].state != 0 {
            return false;
        }
        self.catalog.hosts[host.index()].services.iter().all(|&id| {
            let row = &self.services[id.index()];
            let service = &self.catalog.services[id.index()];
            let component = service.component.map(|c| &*self.catalog.components[c.index()].key);
            let concerned = verdict.target.component.is_none() || component == verdict.target.component.as_deref();
            let failing = row.state >= 2;
            !(concerned && failing && cover::speaks(&self.catalog, id, verdict))
        })
    }
}
