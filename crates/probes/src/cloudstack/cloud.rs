//! The cloud as a whole: what does not run, whether CloudStack can still heal it, and settings that decide that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use stentor_core::model::{Observation, Value};
use stentor_wire::cloudstack::inventory::setting;
use stentor_wire::cloudstack::{Host, ImageStore, ManagementServer, Pool, SystemVm, Vm};

use super::super::talk::shown;
use super::call::Listing;
use super::healing;
use super::thing::ha_tag;

/// Names in one fact.
const NAMES_MAX: usize = 50;
/// Records in one fact; the lints of large clouds need all of them.
const RECORDS_MAX: usize = 5000;

/// A list that came, in its own words; `None` where it was refused.
fn items<'a>(listings: &'a [Listing], command: &str) -> Option<Vec<&'a Json>> {
    let lists = listings.iter().filter(|one| one.command == command && one.refusal.is_none());
    let lists: Vec<&Listing> = lists.collect();
    (!lists.is_empty()).then(|| lists.iter().flat_map(|one| &one.items).collect())
}

fn read<T>(listings: &[Listing], command: &str, of: fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    Some(items(listings, command)?.into_iter().filter_map(of).collect())
}

fn names<T>(of: &[T], name: fn(&T) -> &String, wanted: impl Fn(&T) -> bool) -> Vec<String> {
    of.iter().filter(|one| wanted(one)).take(NAMES_MAX).map(|one| shown(name(one))).collect()
}

pub fn observe(seen: Observation, listings: &[Listing]) -> Observation {
    let mut parts: Vec<String> = Vec::new();
    let settings: BTreeMap<String, String> =
        items(listings, "listConfigurations").into_iter().flatten().filter_map(setting).collect();
    let hosts = read(listings, "listHosts", Host::read);
    let mut seen = seen;
    if let Some(hosts) = &hosts {
        seen = with_hosts(seen, hosts, &mut parts);
        seen = with_ha(seen, hosts, ha_tag(listings).as_deref(), &mut parts);
    }
    if let Some(vms) = read(listings, "listSystemVms", SystemVm::read) {
        seen = with_system_vms(seen, &vms, &mut parts);
    }
    if let Some(routers) = read(listings, "listRouters", SystemVm::read) {
        seen = with_routers(seen, &routers, &mut parts);
    }
    seen = with_storage(seen, listings, &mut parts);
    if let Some(servers) = read(listings, "listManagementServers", ManagementServer::read) {
        let up = servers.iter().filter(|one| one.is_up()).count();
        parts.push(format!("{up} of {} management servers up", servers.len()));
        let down = names(&servers, |one| &one.name, |one| !one.is_up());
        seen = seen.fact("management_servers", servers.len()).fact("management_servers_up", up);
        seen = seen.fact("management_servers_down", down);
    }
    seen = with_ha_vms(seen, listings);
    if !settings.is_empty() {
        let settings: Value = settings.into_iter().map(|(name, value)| (name, Value::from(shown(&value)))).collect();
        seen = seen.fact("settings", settings);
    }
    Observation { text: shown(&parts.join(", ")).into(), ..seen }
}

fn with_hosts(seen: Observation, hosts: &[Host], parts: &mut Vec<String>) -> Observation {
    let up = hosts.iter().filter(|host| host.state == "Up").count();
    let down = names(hosts, |host| &host.name, |host| host.state != "Up" && !host.is_in_maintenance());
    parts.push(format!("{up} of {} hosts up", hosts.len()));
    if !down.is_empty() {
        parts.push(format!("not up: {}", down.join(" ")));
    }
    let record = |host: &Host| -> Value {
        let all = [
            ("name", &host.name),
            ("address", &host.address),
            ("zone", &host.zone),
            ("cluster", &host.cluster),
            ("tags", &host.tags),
            ("state", &host.state),
        ];
        all.into_iter().map(|(name, value)| (name.to_owned(), Value::from(shown(value)))).collect()
    };
    let records: Vec<Value> = hosts.iter().take(RECORDS_MAX).map(record).collect();
    let maintenance = names(hosts, |host| &host.name, Host::is_in_maintenance);
    let seen = seen.fact("hosts", hosts.len()).fact("hosts_up", up).fact("hosts_down", down);
    seen.fact("hosts_maintenance", maintenance).fact("kvm_hosts", records).measure("hosts_up", up as f64, "")
}

/// States of Host HA in which CloudStack does what it should (Reliability guide, "Host HA").
const HA_QUIET: [&str; 4] = ["available", "disabled", "ineligible", "recovered"];

/// Why the failure of a host would not be healed: each makes host failures weigh more.
fn with_ha(seen: Observation, hosts: &[Host], tag: Option<&str>, parts: &mut Vec<String>) -> Observation {
    let mut out: Vec<String> = Vec::new();
    let dedicated = hosts.iter().filter(|host| host.is_ha_host).count();
    match tag {
        Some(tag) if dedicated == 0 => {
            out.push(format!("ha.tag is `{}` and no host has it: HA instances would not start", shown(tag)));
        }
        _ => out.extend(healing::clusters_at_the_end(hosts, tag)),
    }
    let enabled: Vec<&Host> = hosts.iter().filter(|host| host.ha_enabled == Some(true)).collect();
    out.extend(enabled.iter().filter_map(|host| healing::cannot_be_fenced(host)));
    out.truncate(NAMES_MAX);
    let busy: Vec<String> = enabled
        .iter()
        .filter(|host| !host.ha_state.is_empty() && !HA_QUIET.contains(&host.ha_state.to_ascii_lowercase().as_str()))
        .take(NAMES_MAX)
        .map(|host| shown(&format!("{} {}", host.name, host.ha_state)))
        .collect();
    let word = match (out.is_empty(), enabled.is_empty()) {
        (false, _) => "out",
        (true, true) => "off",
        (true, false) => "ok",
    };
    if word == "out" {
        parts.push("HA is out".to_owned());
    }
    let is_out = |host: &Host| healing::of(host, hosts, tag).is_some_and(|healing| healing.word == "out");
    seen.fact("ha", word)
        .fact("hosts_unhealed", names(hosts, |host| &host.name, is_out))
        .fact("ha_out", out)
        .fact("ha_busy", busy)
        .fact("ha_hosts", dedicated)
        .fact("ha_enabled", enabled.len())
}

fn with_system_vms(seen: Observation, vms: &[SystemVm], parts: &mut Vec<String>) -> Observation {
    let down = names(vms, |vm| &vm.name, |vm| vm.state != "Running");
    let cut = |vm: &SystemVm| vm.state == "Running" && !vm.agent_state.is_empty() && vm.agent_state != "Up";
    let cut = names(vms, |vm| &vm.name, cut);
    if !(down.is_empty() && cut.is_empty()) {
        parts.push(format!("system VMs in trouble: {}", [down.clone(), cut.clone()].concat().join(" ")));
    }
    seen.fact("system_vms", vms.len()).fact("system_vms_down", down).fact("system_vms_disconnected", cut)
}

fn with_routers(seen: Observation, routers: &[SystemVm], parts: &mut Vec<String>) -> Observation {
    let down = names(routers, |vm| &vm.name, |vm| vm.state != "Running");
    let sick = names(routers, |vm| &vm.name, |vm| vm.state == "Running" && vm.health_checks_failed == Some(true));
    let faulty = |vm: &SystemVm| vm.is_redundant && ["FAULT", "UNKNOWN"].contains(&vm.redundant_state.as_str());
    let faulty = names(routers, |vm| &vm.name, faulty);
    if !(down.is_empty() && sick.is_empty() && faulty.is_empty()) {
        parts.push(format!("routers in trouble: {}", [down.clone(), sick.clone(), faulty.clone()].concat().join(" ")));
    }
    let seen = seen.fact("routers", routers.len()).fact("routers_down", down);
    seen.fact("routers_unhealthy", sick).fact("routers_faulty", faulty)
}

fn with_storage(mut seen: Observation, listings: &[Listing], parts: &mut Vec<String>) -> Observation {
    if let Some(pools) = read(listings, "listStoragePools", Pool::read) {
        let down = names(&pools, |pool| &pool.name, |pool| pool.state != "Up");
        let pct = |pool: &Pool| Some(pool.used_bytes? / pool.total_bytes.filter(|total| *total > 0.0)? * 100.0);
        let fullest = pools.iter().filter_map(|pool| Some((pct(pool)?, &pool.name)));
        if let Some((pct, name)) = fullest.max_by(|a, b| a.0.total_cmp(&b.0)) {
            let pct = (pct * 10.0).round() / 10.0;
            seen = seen.fact("pool_used_pct_max", pct).fact("pool_fullest", shown(name));
            seen = seen.measure("pool_used_pct_max", pct, "%");
        }
        if !down.is_empty() {
            parts.push(format!("pools not up: {}", down.join(" ")));
        }
        seen = seen.fact("pools", pools.len()).fact("pools_down", down);
    }
    if let Some(stores) = read(listings, "listImageStores", ImageStore::read) {
        let zones: BTreeSet<&str> = stores.iter().map(|store| store.zone.as_str()).collect();
        let writable = |zone: &str| stores.iter().filter(|s| s.zone == zone && s.read_only != Some(true)).count();
        let least = zones.iter().map(|zone| writable(zone)).min().unwrap_or(0);
        let record = |store: &ImageStore| -> Value {
            let all = [("name", &store.name), ("zone", &store.zone)];
            all.into_iter().map(|(name, value)| (name.to_owned(), Value::from(shown(value)))).collect()
        };
        let records: Vec<Value> = stores.iter().take(RECORDS_MAX).map(record).collect();
        seen =
            seen.fact("image_stores", stores.len()).fact("image_stores_of_zone_min", least).fact("secondary", records);
    }
    seen
}

/// Instances with HA, and whether one of their volumes lies on disks of one host, where HA cannot follow.
fn with_ha_vms(seen: Observation, listings: &[Listing]) -> Observation {
    let Some(vms) = read(listings, "listVirtualMachines", Vm::read) else { return seen };
    let volumes = items(listings, "listVolumes").unwrap_or_default();
    let text = |of: &Json, key: &str| of.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let local: BTreeSet<String> = volumes
        .into_iter()
        .filter(|volume| text(volume, "storagetype") == "local")
        .map(|volume| text(volume, "virtualmachineid"))
        .collect();
    let record = |vm: &Vm| -> Value {
        let mut record = vec![
            ("name".to_owned(), Value::from(shown(&vm.name))),
            ("local".to_owned(), Value::from(local.contains(&vm.id))),
        ];
        if !vm.host.is_empty() {
            record.push(("host".to_owned(), Value::from(shown(&vm.host))));
        }
        record.into_iter().collect()
    };
    let records: Vec<Value> = vms.iter().filter(|vm| vm.is_ha).take(RECORDS_MAX).map(record).collect();
    seen.fact("ha_vms", records)
}
