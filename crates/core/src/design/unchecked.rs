//! Lints that nobody can answer here, because the check that would tell is not configured: silence must not look like good news.

use std::sync::Arc;

use super::roles::{ARRAY_PROBES, PAIRED};
use super::{About, Lint};
use crate::catalog::{Catalog, Cloud};
use crate::id::{CloudId, HostId};
use crate::sight::Sight;

/// A lint that is not looked at.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Unchecked {
    pub lint: Lint,
    pub about: About,
    pub target: Arc<str>,
    /// What it needs: `a check with the probe euca_services`.
    pub needs: String,
}

/// Hosts named in one line.
const NAMES_MAX: usize = 6;

/// In the order of lints and targets; from the configuration alone.
pub fn unchecked(catalog: &Catalog) -> Vec<Unchecked> {
    let sight = Sight::blind(catalog);
    let mut found = Vec::new();
    for (row, cloud) in catalog.clouds.iter().enumerate() {
        let id = CloudId::from_index(row);
        let has = |probe: &str| cloud.hosts.iter().any(|host| asks(catalog, *host, probe));
        let mut miss = |lint: Lint, probe: &str| found.push(Unchecked::of(lint, cloud, probe));
        if &*cloud.platform == "eucalyptus" {
            let is_pair = |kind: &&str| sight.with_component(id, kind).len() > 1;
            if PAIRED.iter().any(is_pair) && !has("euca_services") {
                miss(Lint::NoPassivePartner, "euca_services");
            }
            if !sight.with_component(id, "ufs").is_empty() && !has("dns") {
                miss(Lint::UfsWithoutName, "dns");
                miss(Lint::DeadUfsInDns, "dns");
            }
        }
        if &*cloud.platform == "cloudstack" && !cloud.hosts.is_empty() && !has("cloudstack") {
            let all =
                [Lint::HaTagWithoutHost, Lint::OneSecondaryStorage, Lint::HaVmOnLocalStorage, Lint::HostSettingNotVip];
            all.into_iter().for_each(|lint| miss(lint, "cloudstack"));
        }
        found.extend(arrays(&sight, cloud));
    }
    for switch in &catalog.layout.switches {
        let asked = catalog.host_id(&switch.name).is_some_and(|host| asks(catalog, host, "snmp_switch"));
        if !asked {
            let (lint, target) = (Lint::UplinkWithoutLacp, Arc::clone(&switch.name));
            found.push(Unchecked { lint, about: About::Switch, target, needs: needs("snmp_switch") });
        }
    }
    found.sort();
    found.dedup();
    found
}

impl Unchecked {
    fn of(lint: Lint, cloud: &Cloud, probe: &str) -> Unchecked {
        Unchecked { lint, about: About::Cloud, target: Arc::clone(&cloud.name), needs: needs(probe) }
    }
}

fn needs(probe: &str) -> String {
    format!("a check with the probe {probe}")
}

fn asks(catalog: &Catalog, host: HostId, probe: &str) -> bool {
    let services = catalog.hosts[host.index()].services.iter().map(|id| &catalog.services[id.index()]);
    services.into_iter().any(|service| &*catalog.checks[service.check.index()].probe == probe)
}

/// Core servers at whose disks nobody looks.
fn arrays(sight: &Sight<'_>, cloud: &Cloud) -> Option<Unchecked> {
    let probes = || ARRAY_PROBES.into_iter().chain(["redfish"]);
    let is_blind = |host: &&HostId| {
        let (core, guest) = (sight.is_core(**host), sight.catalog.layout.is_guest(**host));
        core && !guest && !probes().any(|probe| asks(sight.catalog, **host, probe))
    };
    let blind: Vec<&HostId> = cloud.hosts.iter().filter(is_blind).collect();
    let names: Vec<&str> = blind.iter().take(NAMES_MAX).map(|host| &*sight.host(**host).name).collect();
    let more = blind.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let probes: Vec<&str> = probes().collect();
    (!blind.is_empty()).then(|| Unchecked {
        lint: Lint::CoreWithoutRaid,
        about: About::Cloud,
        target: Arc::clone(&cloud.name),
        needs: format!("on {}{more} a check with one of the probes {}", names.join(", "), probes.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Observation;
    use crate::sight::testing::World;

    fn told(world: &World) -> Vec<String> {
        let all = unchecked(&world.catalog);
        all.iter().map(|one| format!("{} of {} needs {}", one.lint.id(), one.target, one.needs)).collect()
    }

    #[test]
    fn a_pair_whose_registration_nobody_reads_is_told_and_a_check_ends_it() {
        let mut world = World::new("eucalyptus", &["walrus*"]);
        let first = world.host("a", &["vb"]);
        assert!(told(&world).is_empty(), "one half asked for nothing");
        world.host("b", &["vb"]);
        let cloud = world.catalog.clouds[0].name.to_string();
        assert_eq!(told(&world), [format!("no-passive-partner of {cloud} needs a check with the probe euca_services")]);
        world.sees(first, "services", "euca_services", Observation::observed(""));
        assert!(told(&world).is_empty());
    }

    #[test]
    fn core_servers_at_whose_disks_nobody_looks_are_named() {
        let mut world = World::new("eucalyptus", &["clc*", "walrus"]);
        let clc = world.host("a", &["clc"]);
        world.host("b", &["walrus"]);
        let cloud = world.catalog.clouds[0].name.to_string();
        let by = "a check with one of the probes mdraid, raid_controller, zfs, redfish";
        assert_eq!(told(&world), [format!("core-without-raid of {cloud} needs on a {by}")]);
        world.sees(clc, "md", "mdraid", Observation::observed(""));
        assert!(told(&world).is_empty());
    }

    #[test]
    fn a_cloud_that_no_probe_asks_is_told_for_each_lint_that_it_would_answer() {
        let mut world = World::new("cloudstack", &[]);
        let ms = world.host("ms1", &["ms"]);
        assert_eq!(told(&world).len(), 4, "{:?}", told(&world));
        world.sees(ms, "api", "cloudstack", Observation::observed(""));
        assert!(told(&world).is_empty());
        let mut world = World::new("eucalyptus", &[]);
        let ufs = world.host("u", &["ufs"]);
        assert_eq!(told(&world).len(), 2, "{:?}", told(&world));
        world.sees(ufs, "name", "dns", Observation::observed(""));
        assert!(told(&world).is_empty());
    }
}
