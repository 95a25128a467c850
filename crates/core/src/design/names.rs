//! Whether clients find the user-facing services by a name, and only those that live.

use std::net::IpAddr;

use super::{Basis, Finding, Lint, listed};
use crate::id::{CloudId, HostId};
use crate::model::Value;
use crate::sight::{Seen, Sight};

pub(super) fn look(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    for (row, cloud) in sight.catalog.clouds.iter().enumerate() {
        let id = CloudId::from_index(row);
        let ufs = sight.with_component(id, "ufs");
        if ufs.is_empty() {
            continue;
        }
        for seen in asked(sight, id) {
            if let Some(detail) = without_name(sight, &seen, &ufs) {
                found.push(Finding::of_cloud(Lint::UfsWithoutName, &cloud.name, Basis::Seen, detail));
            }
            let dead = dead_in_answers(sight, &seen, &ufs);
            if !dead.is_empty() {
                let names: Vec<_> = dead.iter().map(|host| &sight.host(*host).name).collect();
                let detail = format!("{} still leads to {}", what(sight, &seen), listed(&names));
                found.push(Finding::of_cloud(Lint::DeadUfsInDns, &cloud.name, Basis::Seen, detail));
            }
        }
    }
}

/// Questions to name servers that the cloud's hosts were asked.
fn asked<'a>(sight: &Sight<'a>, cloud: CloudId) -> impl Iterator<Item = Seen<'a>> + use<'a> {
    sight.of_cloud(cloud).filter(|seen| seen.probe == "dns")
}

/// A check of the component `ufs` asks for the services' name, and there is none.
fn without_name(sight: &Sight<'_>, seen: &Seen<'_>, ufs: &[HostId]) -> Option<String> {
    let component = sight.catalog.services[seen.service.index()].component?;
    if &*sight.catalog.components[component.index()].key != "ufs" || !ufs.contains(&seen.host) {
        return None;
    }
    let why = match seen.text("dns")? {
        "nxdomain" => "does not exist",
        "no_data" => "has no address",
        _ => return None,
    };
    Some(format!("{} {why}, says {}", what(sight, seen), sight.host(seen.host).name))
}

/// UFS that an answer leads to although nobody answers there.
fn dead_in_answers(sight: &Sight<'_>, seen: &Seen<'_>, ufs: &[HostId]) -> Vec<HostId> {
    let answers = seen.facts().get("answers").and_then(Value::list).unwrap_or_default();
    let answers: Vec<IpAddr> = answers.iter().filter_map(|answer| answer.text()?.parse().ok()).collect();
    let is_answered = |host: &HostId| {
        let address = sight.host(*host).address.parse::<IpAddr>();
        address.is_ok_and(|address| answers.contains(&address))
    };
    ufs.iter().copied().filter(is_answered).filter(|host| is_dead(sight, *host)).collect()
}

/// The host is down, or the port of its services is, and both for certain.
fn is_dead(sight: &Sight<'_>, host: HostId) -> bool {
    let ports = sight.catalog.components.iter().filter(|component| component.host == host && &*component.key == "ufs");
    let mut services = ports.flat_map(|component| &component.services);
    let is_port_dead = services.any(|id| {
        let service = &sight.catalog.services[id.index()];
        let check = &sight.catalog.checks[service.check.index()];
        check.signals.iter().any(|signal| matches!(&*signal.sig, "port" | "heartbeat"))
            && sight.service_row(*id).is_some_and(|row| row.is_hard_problem() && !row.is_stale() && row.state == 2)
    });
    sight.is_down(host) || is_port_dead
}

/// The name that was asked for.
fn what(sight: &Sight<'_>, seen: &Seen<'_>) -> String {
    let service = &sight.catalog.services[seen.service.index()];
    let params = sight.catalog.checks[service.check.index()].params.overlaid(&service.params);
    params.get("name").and_then(Value::text).map_or_else(|| format!("the check {}", seen.name), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{SignalSpec, SignalValue};
    use crate::id::{ComponentId, ServiceId};
    use crate::model::Observation;
    use crate::sight::testing::{World, json, row};

    fn answer(dns: &str, answers: &str) -> Observation {
        Observation::observed("").fact("dns", dns).fact("answers", json(answers))
    }

    /// Two UFS, and a check of the first that asks for their name.
    fn world(observation: Observation) -> (World, ServiceId) {
        let mut world = World::new("eucalyptus", &["ufs*"]);
        let first = world.host("ufs1", &["ufs"]);
        world.host("ufs2", &["ufs"]);
        let id = world.sees(first, "ufs name", "dns", observation);
        world.catalog.services[id.index()].component = Some(ComponentId(0));
        world.catalog.services[id.index()].params = json(r#"{"name":"compute.cloud.example"}"#);
        (world, id)
    }

    fn told(world: &World) -> Vec<(Lint, String)> {
        let mut found = Vec::new();
        look(&world.sight(), &mut found);
        found.into_iter().map(|finding| (finding.lint, finding.detail)).collect()
    }

    #[test]
    fn a_name_that_does_not_exist_is_told() {
        for (dns, expected) in [
            ("nxdomain", Some("compute.cloud.example does not exist, says ufs1")),
            ("no_data", Some("compute.cloud.example has no address, says ufs1")),
            ("timeout", None),
            ("ok", None),
        ] {
            let (world, _) = world(answer(dns, "[]"));
            assert_eq!(told(&world).first().map(|(_, detail)| detail.as_str()), expected, "{dns}");
        }
        let (mut other, id) = world(answer("nxdomain", "[]"));
        other.catalog.services[id.index()].component = None;
        assert_eq!(told(&other), [], "some other name");
    }

    #[test]
    fn a_dead_ufs_is_told_while_dns_still_names_it() {
        let (mut world, _) = world(answer("ok", r#"["10.0.0.1","10.0.0.2"]"#));
        assert_eq!(told(&world), [], "both live");
        world.hosts[1] = row(1);
        let gone = (Lint::DeadUfsInDns, "compute.cloud.example still leads to ufs2".to_owned());
        assert_eq!(told(&world), [gone]);
        let (mut gone, _) = self::world(answer("ok", r#"["10.0.0.1"]"#));
        gone.hosts[1] = row(1);
        assert_eq!(told(&gone), [], "DNS has dropped it");
    }

    #[test]
    fn a_ufs_whose_port_is_dead_is_dead() {
        let (mut world, _) = world(answer("ok", r#"["10.0.0.2"]"#));
        let port = world.sees(HostId(1), "ufs port", "tcp", Observation::observed("").fact("port", "refused"));
        world.catalog.services[port.index()].component = Some(ComponentId(1));
        world.catalog.components[1].services.push(port);
        world.services[port.index()] = row(2);
        assert_eq!(told(&world), [], "not every check of it tells that it is dead");
        let check = world.catalog.services[port.index()].check;
        let spec = SignalSpec { sig: "port".into(), value: SignalValue::Fact("port".into()), of_host: false };
        world.catalog.checks[check.index()].signals.push(spec);
        assert_eq!(told(&world).len(), 1);
        world.services[port.index()] = row(0);
        assert_eq!(told(&world), []);
    }
}
