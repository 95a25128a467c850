//! Which component runs where: too few of it, no partner, no RAID below it, the wrong neighbour.

use std::collections::BTreeMap;

use super::{Basis, Finding, Lint, listed};
use crate::catalog::Cloud;
use crate::id::{CloudId, HostId};
use crate::model::Value;
use crate::sight::{Seen, Sight, is_same};

/// Probes that see arrays, or redundancy of disks by another name.
pub(super) const ARRAY_PROBES: [&str; 3] = ["mdraid", "raid_controller", "zfs"];
/// Components of Eucalyptus that have a passive partner in 3.x; a broker goes with the CC of its zone.
pub(super) const PAIRED: [&str; 5] = ["clc", "walrus", "sc", "cc", "vb"];
/// Components whose data a replica holds.
const STATEFUL: [&str; 4] = ["walrus", "clc", "sc", "database"];
/// UFS exist from this major release on.
const UFS_SINCE: u32 = 4;

pub(super) fn look(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    for (row, cloud) in sight.catalog.clouds.iter().enumerate() {
        let id = CloudId::from_index(row);
        if &*cloud.platform == "eucalyptus" {
            found.extend(few_ufs(sight, id, cloud));
            found.extend(walrus_and_nc(sight, id));
        }
        passive_partners(sight, id, cloud, found);
        found.extend(cloud.hosts.iter().filter_map(|host| without_raid(sight, *host)));
    }
}

fn few_ufs(sight: &Sight<'_>, id: CloudId, cloud: &Cloud) -> Option<Finding> {
    let major = cloud.topology.release.as_deref().and_then(|release| release.split('.').next()?.parse::<u32>().ok());
    let ufs = sight.with_component(id, "ufs");
    // A cloud of which no component was named is not described, rather than without.
    if major.is_some_and(|major| major < UFS_SINCE) || cloud.topology.hosts.values().all(Vec::is_empty) {
        return None;
    }
    let detail = match ufs.as_slice() {
        [] => "no host with the component ufs is configured".to_owned(),
        [only] => format!("{} is the only one", sight.host(*only).name),
        _ => return None,
    };
    Some(Finding::of_cloud(Lint::FewUfs, &cloud.name, Basis::Declared, detail))
}

fn walrus_and_nc(sight: &Sight<'_>, cloud: CloudId) -> Vec<Finding> {
    let both = sight.with_component(cloud, "walrus").into_iter().filter(|host| sight.has_component(*host, "nc"));
    both.map(|host| {
        let name = &sight.host(host).name;
        match mounts(sight, host) {
            Some(mounts) if mounts.iter().any(|mount| is_own_volume(mount)) => {
                Finding::of_host(Lint::WalrusAndNc, name, Basis::Seen, "both run here, on volumes of their own")
            }
            Some(_) => Finding::of_host(Lint::WalrusAndNc, name, Basis::Seen, "both run here, and share a volume"),
            None => Finding::of_host(Lint::WalrusAndNc, name, Basis::Declared, "both run here"),
        }
    })
    .collect()
}

/// A volume for bukkits or instances alone.
fn is_own_volume(mount: &str) -> bool {
    ["/var/lib/eucalyptus/bukkits", "/var/lib/eucalyptus/instances"].contains(&mount.trim_end_matches('/'))
}

/// Mount points that the host's disk checks see; `None` = nobody looked at all of them.
fn mounts<'a>(sight: &Sight<'a>, host: HostId) -> Option<Vec<&'a str>> {
    let mut mounts = Vec::new();
    for seen in sight.by_probe(host, "disk") {
        let labels = seen.observation.measurements.iter().map(|measured| &*measured.label);
        mounts.extend(labels.filter_map(|label| label.strip_prefix("used_pct ")));
    }
    // The whole list has the root in it; checks of single paths do not say what else is mounted.
    mounts.contains(&"/").then_some(mounts)
}

/// A Core server of which everybody who looked saw no array. Guests have the disks of their hosts.
fn without_raid(sight: &Sight<'_>, host: HostId) -> Option<Finding> {
    if !sight.is_core(host) || sight.catalog.layout.is_guest(host) {
        return None;
    }
    let looked: Vec<Seen<'_>> = sight.of_host(host).filter(looks_at_arrays).collect();
    if looked.is_empty() || looked.iter().any(has_array) {
        return None;
    }
    // Somebody else was asked to look, and has not answered (yet): he may see one.
    let silent = sight.host(host).services.iter().any(|id| {
        let service = &sight.catalog.services[id.index()];
        let probe = &*sight.catalog.checks[service.check.index()].probe;
        ARRAY_PROBES.contains(&probe) && !looked.iter().any(|seen| seen.service == *id)
    });
    if silent {
        return None;
    }
    let by: Vec<&str> = looked.iter().map(|seen| &**seen.name).collect();
    let only_software =
        looked.iter().all(|seen| seen.probe != "raid_controller" && !seen.facts().contains_key("raid_state"));
    let more = if only_software { "; nobody asks a RAID controller here" } else { "" };
    let detail = format!("no array seen by {}{more}", listed(&by));
    Some(Finding::of_host(Lint::CoreWithoutRaid, &sight.host(host).name, Basis::Seen, detail))
}

fn looks_at_arrays(seen: &Seen<'_>) -> bool {
    ARRAY_PROBES.contains(&seen.probe) || seen.facts().contains_key("raid_state")
}

fn has_array(seen: &Seen<'_>) -> bool {
    let is_some = |fact: &str| seen.number(fact).is_some_and(|count| count > 0.0);
    !seen.list("raid").is_empty() || is_some("arrays") || is_some("pools")
}

fn passive_partners(sight: &Sight<'_>, id: CloudId, cloud: &Cloud, found: &mut Vec<Finding>) {
    let mut lonely: BTreeMap<String, (Basis, String)> = BTreeMap::new();
    // Two active ones would be a split brain: so there ought to be a passive one.
    for key in &cloud.topology.unique {
        if let [only] = sight.with_component(id, key)[..] {
            let name = &sight.host(only).name;
            let detail = format!("{key} is declared unique and runs on {name} only");
            lonely.insert(key.to_string(), (Basis::Declared, detail));
        }
    }
    for (resource, hosts) in &cloud.topology.drbd {
        if let Some((key, detail)) = half_of_a_pair(sight, resource, hosts) {
            lonely.entry(key).or_insert((Basis::Declared, detail));
        }
    }
    for (key, detail) in unregistered(sight, id) {
        lonely.insert(key, (Basis::Seen, detail));
    }
    let told = lonely.into_values();
    found.extend(told.map(|(basis, detail)| Finding::of_cloud(Lint::NoPassivePartner, &cloud.name, basis, detail)));
}

/// A replica whose other host does not run what the first one runs on it.
fn half_of_a_pair(sight: &Sight<'_>, resource: &str, hosts: &[std::sync::Arc<str>]) -> Option<(String, String)> {
    let [one, other] = hosts else { return None };
    let (one, other) = (sight.catalog.host_id(one)?, sight.catalog.host_id(other)?);
    let stateful = |host: HostId| STATEFUL.into_iter().find(|key| sight.has_component(host, key));
    let both = |key: &str| sight.has_component(one, key) && sight.has_component(other, key);
    if STATEFUL.into_iter().any(both) {
        return None;
    }
    for (has, lacks) in [(one, other), (other, one)] {
        if let Some(key) = stateful(has) {
            let (has, lacks) = (&sight.host(has).name, &sight.host(lacks).name);
            return Some((
                key.to_owned(),
                format!("{key} runs on {has}; {lacks}, its peer by {resource}, does not run it"),
            ));
        }
    }
    None
}

/// Components that are configured on a host and that the controller's list of services does not have there, while it has
/// another of them: the pair is registered by half.
fn unregistered(sight: &Sight<'_>, cloud: CloudId) -> Vec<(String, String)> {
    // Rows of the controller's list, with the type as it prints it; and of those that it looks after elsewhere.
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for seen in sight.of_cloud(cloud) {
        for (fact, key) in [("registered", "type"), ("elsewhere", "component")] {
            rows.extend(seen.list(fact).iter().filter_map(|row| {
                let kind = row.get(key).and_then(Value::text)?;
                Some((component_of(kind), row.get("host").and_then(Value::text)?))
            }));
        }
    }
    let registered = |kind: &str, host: HostId| {
        let (name, address) = (&sight.host(host).name, &sight.host(host).address);
        rows.iter().any(|(its, at)| *its == kind && (is_same(at, name) || **at == **address))
    };
    let mut told = Vec::new();
    for kind in PAIRED {
        let hosts = sight.with_component(cloud, kind);
        let (in_list, missing): (Vec<HostId>, Vec<HostId>) =
            hosts.into_iter().partition(|host| registered(kind, *host));
        if !in_list.is_empty() && !missing.is_empty() {
            let names: Vec<_> = missing.iter().map(|host| &sight.host(*host).name).collect();
            told.push((kind.to_owned(), format!("{kind} on {} is not registered", listed(&names))));
        }
    }
    told
}

/// Type of a service, as `euserv-describe-services` says it, to the component.
fn component_of(kind: &str) -> &str {
    match kind {
        "eucalyptus" => "clc",
        "user-api" => "ufs",
        "walrusbackend" => "walrus",
        "storage" => "sc",
        "cluster" => "cc",
        "node" => "nc",
        "vmwarebroker" => "vb",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::layout::Wiring;
    use crate::model::Observation;
    use crate::sight::testing::{World, json};
    use crate::snapshot::Flags;

    fn told(world: &World) -> Vec<(Lint, String)> {
        let mut found = Vec::new();
        look(&world.sight(), &mut found);
        found.into_iter().map(|finding| (finding.lint, finding.detail)).collect()
    }

    fn details(world: &World, lint: Lint) -> Vec<String> {
        told(world).into_iter().filter(|(of, _)| *of == lint).map(|(_, detail)| detail).collect()
    }

    fn euca(hosts: &[(&str, &[&str])]) -> World {
        let mut world = World::new("eucalyptus", &["clc*", "ufs*", "walrus*", "nc*", "elb"]);
        for (name, components) in hosts {
            world.host(name, components);
            let keys = components.iter().map(|key| (*key).into()).collect();
            world.catalog.clouds[0].topology.hosts.insert((*name).into(), keys);
        }
        world
    }

    #[test]
    fn one_ufs_or_none_is_too_few_where_they_exist() {
        for (hosts, release, expected) in [
            (&[("a", &["clc", "ufs"][..])][..], Some("4.4"), Some("a is the only one")),
            (&[("a", &["clc"])], None, Some("no host with the component ufs is configured")),
            (&[("a", &["ufs"]), ("b", &["ufs"])], Some("4.4"), None),
            (&[("a", &["clc"])], Some("3.4"), None),
            (&[("a", &[])], None, None),
            (&[], None, None),
        ] {
            let mut world = euca(hosts);
            world.catalog.clouds[0].topology.release = release.map(str::to_owned);
            assert_eq!(details(&world, Lint::FewUfs).first().map(String::as_str), expected, "{hosts:?}");
        }
    }

    #[test]
    fn instances_do_not_belong_beside_the_object_store() {
        let mut world = euca(&[("a", &["walrus", "nc"]), ("b", &["nc"]), ("c", &["walrus"])]);
        assert_eq!(details(&world, Lint::WalrusAndNc), ["both run here"]);
        let disk = |mounts: &[&str]| {
            mounts.iter().fold(Observation::observed(""), |o, mount| o.measure(&format!("used_pct {mount}"), 1.0, "%"))
        };
        world.sees(HostId(0), "walrus disk", "disk", disk(&["/var/lib/eucalyptus"]));
        assert_eq!(details(&world, Lint::WalrusAndNc), ["both run here"], "one path says nothing of the others");
        world.sees(HostId(0), "disk", "disk", disk(&["/", "/boot"]));
        assert_eq!(details(&world, Lint::WalrusAndNc), ["both run here, and share a volume"]);
        world.sees(HostId(0), "disk 2", "disk", disk(&["/", "/var/lib/eucalyptus/bukkits"]));
        assert_eq!(details(&world, Lint::WalrusAndNc), ["both run here, on volumes of their own"]);
    }

    #[test]
    fn no_array_is_told_only_by_those_who_looked() {
        let none = || Observation::observed("").fact("arrays", 0usize);
        let mut world = euca(&[("a", &["clc"]), ("b", &["elb"])]);
        assert_eq!(details(&world, Lint::CoreWithoutRaid), Vec::<String>::new(), "nobody looked");
        world.sees(HostId(1), "mdraid", "mdraid", none());
        assert_eq!(details(&world, Lint::CoreWithoutRaid), Vec::<String>::new(), "not of the Core");
        let md = world.sees(HostId(0), "mdraid", "mdraid", none());
        let alone = "no array seen by mdraid; nobody asks a RAID controller here";
        assert_eq!(details(&world, Lint::CoreWithoutRaid), [alone]);
        let bmc = world.sees(HostId(0), "redfish", "redfish", Observation::observed("").fact("raid_state", "none"));
        assert_eq!(details(&world, Lint::CoreWithoutRaid), ["no array seen by mdraid and redfish"]);
        world.services[md.index()].flags.set(Flags::STALE, true);
        assert_eq!(details(&world, Lint::CoreWithoutRaid), Vec::<String>::new(), "one of them is silent");
        world.services[md.index()].flags.set(Flags::STALE, false);
        let array = json(r#"[{"vd":"0/0","state":"Optl"}]"#);
        let seen = Observation::observed("").fact("raid_state", "Optl").fact("raid", array);
        std::sync::Arc::make_mut(&mut world.details[bmc.index()]).observation = Some(std::sync::Arc::new(seen));
        assert_eq!(details(&world, Lint::CoreWithoutRaid), Vec::<String>::new(), "the controller has one");
    }

    #[test]
    fn a_guest_has_the_disks_of_its_host() {
        let mut world = euca(&[("a", &["clc"])]);
        world.sees(HostId(0), "mdraid", "mdraid", Observation::observed("").fact("arrays", 0usize));
        world.catalog.layout.wirings =
            vec![Wiring { host: HostId(0), feeds: Vec::new(), links: Vec::new(), vm_on: Some("b".into()) }];
        assert_eq!(details(&world, Lint::CoreWithoutRaid), Vec::<String>::new());
    }

    #[test]
    fn a_pair_of_which_one_half_is_missing_is_told() {
        let mut world = euca(&[("a", &["clc", "walrus"]), ("b", &["walrus"]), ("c", &[])]);
        assert_eq!(details(&world, Lint::NoPassivePartner), Vec::<String>::new(), "nobody asked for HA");
        let topology = &mut world.catalog.clouds[0].topology;
        topology.unique = vec!["clc".into(), "walrus".into(), "sc".into()];
        assert_eq!(details(&world, Lint::NoPassivePartner), ["clc is declared unique and runs on a only"]);
        world.catalog.clouds[0].topology.unique.clear();
        world.catalog.clouds[0].topology.drbd.insert("r0".into(), vec!["b".into(), "c".into()]);
        let half = "walrus runs on b; c, its peer by r0, does not run it";
        assert_eq!(details(&world, Lint::NoPassivePartner), [half]);
        world.catalog.clouds[0].topology.drbd.insert("r0".into(), vec!["a".into(), "b".into()]);
        assert_eq!(details(&world, Lint::NoPassivePartner), Vec::<String>::new(), "walrus is on both");
    }

    #[test]
    fn the_controllers_list_shows_who_is_not_registered() {
        let mut world = euca(&[("a", &["walrus"]), ("b", &["walrus"])]);
        let list = |hosts: &[&str]| {
            let rows: Vec<String> =
                hosts.iter().map(|host| format!(r#"{{"type":"walrusbackend","host":"{host}"}}"#)).collect();
            Observation::observed("").fact("registered", json(&format!("[{}]", rows.join(","))))
        };
        let id = world.sees(HostId(0), "services", "euca_services", list(&["10.0.0.1"]));
        assert_eq!(details(&world, Lint::NoPassivePartner), ["walrus on b is not registered"]);
        let mut say = |hosts: &[&str]| {
            let detail = std::sync::Arc::make_mut(&mut world.details[id.index()]);
            detail.observation = Some(std::sync::Arc::new(list(hosts)));
            details(&world, Lint::NoPassivePartner)
        };
        assert_eq!(say(&["10.0.0.1", "b.example.org"]), Vec::<String>::new());
        assert_eq!(say(&["10.9.9.9"]), Vec::<String>::new(), "the list calls hosts by other names than ours");
        for kind in PAIRED {
            let mut world = euca(&[("a", &[kind]), ("b", &[kind])]);
            let row = format!(r#"[{{"type":"{kind}","host":"10.0.0.1"}}]"#);
            world.sees(
                HostId(0),
                "services",
                "euca_services",
                Observation::observed("").fact("registered", json(&row)),
            );
            assert_eq!(details(&world, Lint::NoPassivePartner), [format!("{kind} on b is not registered")]);
        }
        let cc = json(r#"[{"component":"cc","host":"10.0.0.3","value":"ENABLED"}]"#);
        let mut world = euca(&[("a", &["clc"]), ("b", &["cc"]), ("c", &["cc"])]);
        world.sees(HostId(0), "services", "euca_services", Observation::observed("").fact("elsewhere", cc));
        assert_eq!(details(&world, Lint::NoPassivePartner), ["cc on b is not registered"]);
    }
}
