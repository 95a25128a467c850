//! What CloudStack says of itself: its settings, hosts, stores and HA machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Basis, Finding, Lint, listed};
use crate::id::CloudId;
use crate::model::Value;
use crate::sight::{Seen, Sight, is_same};

/// Machines listed by name.
const NAMES_MAX: usize = 8;
/// Component keys of what carries the VIP.
const BALANCERS: [&str; 4] = ["lb", "load_balancer", "vip", "haproxy"];

pub(super) fn look(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    for (row, cloud) in sight.catalog.clouds.iter().enumerate() {
        if &*cloud.platform != "cloudstack" {
            continue;
        }
        let id = CloudId::from_index(row);
        let mut tell = |lint, detail: Option<String>| {
            found.extend(detail.map(|detail| Finding::of_cloud(lint, &cloud.name, Basis::Seen, detail)));
        };
        let seen: Vec<Seen<'_>> = sight.of_cloud(id).collect();
        tell(Lint::HaTagWithoutHost, ha_tag(&seen));
        tell(Lint::HostSettingNotVip, host_setting(sight, id, &seen));
        tell(Lint::HaVmOnLocalStorage, local_ha(&seen));
        for detail in single_stores(&seen) {
            tell(Lint::OneSecondaryStorage, Some(detail));
        }
    }
}

/// A global setting; `None` = nobody read it, or it is empty.
fn setting<'a>(seen: &[Seen<'a>], name: &str) -> Option<&'a str> {
    let read = seen.iter().find_map(|seen| seen.facts().get("settings")?.get(name)?.text());
    read.map(str::trim).filter(|value| !value.is_empty())
}

/// The rows of the first whole list of that name that is in sight; `None` = nobody asked for it, or was told a part.
fn rows<'a>(seen: &[Seen<'a>], fact: &str) -> Option<&'a [Value]> {
    let is_whole = |seen: &&Seen<'_>| seen.facts().contains_key(fact) && seen.list("incomplete").is_empty();
    seen.iter().find(is_whole).map(|seen| seen.list(fact))
}

fn text<'a>(row: &'a Value, key: &str) -> Option<&'a str> {
    row.get(key).and_then(Value::text)
}

fn ha_tag(seen: &[Seen<'_>]) -> Option<String> {
    let tag = setting(seen, "ha.tag")?;
    let hosts = rows(seen, "kvm_hosts").filter(|hosts| !hosts.is_empty())?;
    let has = |host: &Value| {
        let tags = text(host, "tags").unwrap_or_default();
        tags.split(',').any(|its| its.trim().eq_ignore_ascii_case(tag))
    };
    (!hosts.iter().any(has)).then(|| format!("ha.tag is `{tag}`, and none of {} hosts has it", hosts.len()))
}

/// The address that agents are told against the balancer that is configured here.
fn host_setting(sight: &Sight<'_>, cloud: CloudId, seen: &[Seen<'_>]) -> Option<String> {
    let told = setting(seen, "host")?;
    let balancers: Vec<_> = BALANCERS.iter().flat_map(|key| sight.with_component(cloud, key)).collect();
    let vips: Vec<(&Arc<str>, &Arc<str>)> =
        balancers.iter().map(|id| (&sight.host(*id).name, &sight.host(*id).address)).collect();
    if vips.is_empty() {
        return None;
    }
    // A list of management servers, spread by `indirect.agent.lb.algorithm`, does the same without a VIP.
    let list: Vec<&str> = told.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    let is_vip = |host: &&str| vips.iter().any(|(name, address)| is_same(name, host) || &***address == *host);
    if list.len() > 1 || list.iter().any(is_vip) {
        return None;
    }
    let names: Vec<String> = vips.iter().map(|(name, address)| format!("{name} ({address})")).collect();
    Some(format!("`host` is {told}; the load balancer is {}", listed(&names)))
}

fn local_ha(seen: &[Seen<'_>]) -> Option<String> {
    let machines = rows(seen, "ha_vms")?;
    let local = machines.iter().filter(|vm| vm.get("local").and_then(Value::bool) == Some(true));
    let names: Vec<&str> = local.filter_map(|vm| text(vm, "name")).collect();
    let shown = listed(&names[..names.len().min(NAMES_MAX)]);
    match names.len() {
        0 => None,
        1 => Some(format!("{shown} has HA and a volume on local storage")),
        n if n > NAMES_MAX => Some(format!("{n} machines have HA and a volume on local storage: {shown} and more")),
        n => Some(format!("{n} machines have HA and a volume on local storage: {shown}")),
    }
}

/// Zones with one store. A store without a zone (S3) serves the whole region.
fn single_stores(seen: &[Seen<'_>]) -> Vec<String> {
    let Some(stores) = rows(seen, "secondary") else { return Vec::new() };
    let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for store in stores {
        zones.entry(text(store, "zone").unwrap_or("")).or_default().push(text(store, "name").unwrap_or("it"));
    }
    let of_region = zones.get("").map_or(0, Vec::len);
    let single = zones.iter().filter(|(zone, stores)| match **zone {
        "" => zones.len() == 1 && stores.len() == 1,
        _ => stores.len() + of_region == 1,
    });
    single
        .map(|(zone, stores)| match *zone {
            "" => format!("{} is the only one", listed(stores)),
            zone => format!("{} is the only one of zone {zone}", listed(stores)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Observation;
    use crate::sight::testing::{World, json};

    fn told(facts: &[(&str, &str)]) -> Vec<(Lint, String)> {
        let mut world = World::new("cloudstack", &["ms*", "lb*"]);
        let ms = world.host("ms1", &["ms"]);
        world.host("vip", &["lb"]);
        let seen = facts.iter().fold(Observation::observed(""), |seen, (fact, value)| seen.fact(fact, json(value)));
        world.sees(ms, "api", "cloudstack", seen);
        let mut found = Vec::new();
        look(&world.sight(), &mut found);
        found.into_iter().map(|finding| (finding.lint, finding.detail)).collect()
    }

    #[test]
    fn each_lint_fires_keeps_still_and_waits_for_knowledge() {
        let hosts = r#"[{"name":"kvm1","tags":"ssd"},{"name":"kvm2","tags":"ssd, HA"}]"#;
        for (facts, expected) in [
            (&[][..], &[][..]),
            (&[("settings", r#"{"ha.tag":"ha"}"#)], &[]),
            (&[("settings", r#"{"ha.tag":"ha"}"#), ("kvm_hosts", hosts)], &[]),
            (&[("settings", r#"{"ha.tag":""}"#), ("kvm_hosts", hosts)], &[]),
            (
                &[("settings", r#"{"ha.tag":"gold"}"#), ("kvm_hosts", hosts)],
                &["ha.tag is `gold`, and none of 2 hosts has it"],
            ),
            (&[("settings", r#"{"host":"10.0.0.2"}"#)], &[]),
            (&[("settings", r#"{"host":"vip.example.org"}"#)], &[]),
            (&[("settings", r#"{"host":"10.0.0.1,10.0.0.3"}"#)], &[]),
            (&[("settings", r#"{"host":"10.0.0.1"}"#)], &["`host` is 10.0.0.1; the load balancer is vip (10.0.0.2)"]),
            (&[("secondary", r#"[{"name":"nfs1","zone":"a"},{"name":"nfs2","zone":"a"}]"#)], &[]),
            (&[("secondary", r#"[{"name":"nfs1","zone":"a"},{"name":"s3"}]"#)], &[]),
            (&[("secondary", r#"[{"name":"s3"}]"#)], &["s3 is the only one"]),
            (&[("secondary", r#"[{"name":"nfs1","zone":"a"}]"#)], &["nfs1 is the only one of zone a"]),
            (&[("secondary", r#"[{"name":"nfs1","zone":"a"}]"#), ("incomplete", r#"["stores"]"#)], &[]),
            (&[("ha_vms", r#"[{"name":"db","local":false}]"#)], &[]),
            (&[("ha_vms", r#"[{"name":"db","local":true}]"#)], &["db has HA and a volume on local storage"]),
        ] {
            let told: Vec<String> = told(facts).into_iter().map(|(_, detail)| detail).collect();
            assert_eq!(told, expected, "{facts:?}");
        }
    }

    #[test]
    fn without_a_balancer_nobody_knows_the_vip() {
        let mut world = World::new("cloudstack", &["ms*"]);
        let ms = world.host("ms1", &["ms"]);
        world.sees(ms, "api", "cloudstack", Observation::observed("").fact("settings", json(r#"{"host":"10.0.0.1"}"#)));
        let mut found = Vec::new();
        look(&world.sight(), &mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn a_long_list_of_machines_is_cut() {
        let rows: Vec<String> = (0..20).map(|i| format!(r#"{{"name":"vm{i}","local":true}}"#)).collect();
        let told = told(&[("ha_vms", &format!("[{}]", rows.join(",")))]);
        assert!(told[0].1.starts_with("20 machines") && told[0].1.ends_with("vm7 and more"), "{told:?}");
    }
}
