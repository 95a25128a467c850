//! One host, system VM, router, pool, image store or management server out of its list.

use serde_json::Value as Json;
use stentor_core::model::Observation;
use stentor_wire::cloudstack::inventory::setting;
use stentor_wire::cloudstack::{Host, ImageStore, ManagementServer, Pool, SystemVm};

use super::super::talk::shown;
use super::Ask;
use super::call::{Listing, Reach, SETTINGS};
use super::healing;

/// Which one of the list.
pub struct Wanted<'a> {
    pub names: Vec<&'a str>,
    pub zone: Option<&'a str>,
}

impl Wanted<'_> {
    fn is(&self, known: &[&str]) -> bool {
        self.names.iter().any(|name| known.iter().any(|known| same(name, known)))
    }

    fn in_zone(&self, zone: &str) -> bool {
        self.zone.is_none_or(|wanted| wanted.eq_ignore_ascii_case(zone))
    }
}

/// Names are equal without their domains too: agents report what `hostname` says, with or without it.
fn same(a: &str, b: &str) -> bool {
    let is_address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    let short = |text: &str| text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if a.is_empty() || b.is_empty() {
        return false;
    }
    a.eq_ignore_ascii_case(b) || (!is_address(a) && !is_address(b) && short(a) == short(b))
}

pub fn observe(seen: Observation, ask: Ask, listings: &[Listing], wanted: &Wanted<'_>) -> Observation {
    let tag = ha_tag(listings);
    let listings: Vec<&Listing> = listings.iter().filter(|one| one.reach == Reach::Whole).collect();
    let items: Vec<&Json> = listings.iter().flat_map(|one| &one.items).collect();
    let found = match ask {
        Ask::Host => host(&seen, &items, wanted, tag.as_deref()),
        Ask::SystemVm => system_vm(&seen, &items, wanted),
        Ask::Router => router(&seen, &items, wanted),
        Ask::Pool => pool(&seen, &items, wanted),
        Ask::ImageStore => image_store(&seen, &items, wanted),
        Ask::ManagementServer => management_server(&seen, &items, wanted),
        Ask::Cloud => None,
    };
    if let Some(found) = found {
        return found.fact("found", true);
    }
    let whole = listings.iter().all(|one| one.count.is_none_or(|count| one.items.len() as u64 >= count));
    let names = wanted.names.join(" or ");
    if !whole {
        let text = format!("the list is cut short and does not have {names}");
        return Observation { text: text.into(), ..seen };
    }
    let text = format!("CloudStack knows no {names}: {} are listed", items.len());
    Observation { text: text.into(), ..seen }.fact("found", false)
}

fn told(seen: &Observation, text: String) -> Observation {
    Observation { text: shown(&text).into(), ..seen.clone() }
}

/// The fact only where it is known.
fn word(seen: Observation, name: &str, value: &str) -> Observation {
    if value.is_empty() { seen } else { seen.fact(name, shown(value)) }
}

fn flag(seen: Observation, name: &str, value: Option<bool>) -> Observation {
    match value {
        Some(value) => seen.fact(name, value),
        None => seen,
    }
}

/// The tag of hosts that are kept for HA; `None` where there is none, or nobody may say.
pub fn ha_tag(listings: &[Listing]) -> Option<String> {
    let settings = listings.iter().filter(|one| one.command == SETTINGS).flat_map(|one| &one.items);
    let (_, tag) = settings.filter_map(setting).find(|(name, _)| name == "ha.tag")?;
    Some(tag.trim().to_owned()).filter(|tag| !tag.is_empty())
}

fn host(seen: &Observation, items: &[&Json], wanted: &Wanted<'_>, tag: Option<&str>) -> Option<Observation> {
    let hosts: Vec<Host> = items.iter().filter_map(|item| Host::read(item)).collect();
    let host =
        hosts.iter().find(|host| wanted.is(&[&host.name, &host.address, &host.id]) && wanted.in_zone(&host.zone))?;
    let ha = if host.ha_state.is_empty() { "not told" } else { &host.ha_state };
    let mut text = format!("{} is {}, {}; HA {ha}", host.name, host.state, host.resource_state);
    if let Some(healing) = healing::of(host, &hosts, tag).filter(|healing| healing.word == "out") {
        text.push_str(&format!("; nobody would start its guests elsewhere: {}", healing.why.join(", ")));
    }
    let seen = told(seen, text);
    let seen = word(seen, "state", &host.state);
    let seen = word(seen, "resource_state", &host.resource_state);
    let seen = word(seen, "ha_state", &host.ha_state);
    let seen = word(seen, "oobm_power", &host.power);
    let seen = word(seen, "cluster", &host.cluster);
    let seen = flag(seen, "ha_enabled", host.ha_enabled);
    let seen = flag(seen, "oobm_enabled", host.oobm_enabled);
    let maintenance = host.is_in_maintenance();
    let seen = healing::facts(seen, host, &hosts, tag);
    Some(seen.fact("ha_host", host.is_ha_host).fact("name", shown(&host.name)).fact("maintenance", maintenance))
}

/// By its name or address; else one of its sort, the worst of several: a destroyed system VM comes back under another name.
fn system_vm(seen: &Observation, items: &[&Json], wanted: &Wanted<'_>) -> Option<Observation> {
    let vms: Vec<SystemVm> =
        items.iter().filter_map(|item| SystemVm::read(item)).filter(|vm| wanted.in_zone(&vm.zone)).collect();
    let own = vms.iter().find(|vm| is_named(vm, wanted));
    let alike: Vec<&SystemVm> = vms.iter().filter(|vm| wanted.is(&[&vm.kind])).collect();
    let well = |vm: &&&SystemVm| (vm.state == "Running", vm.agent_state == "Up");
    let vm = own.or_else(|| alike.iter().min_by_key(well).copied())?;
    let agent = if vm.agent_state.is_empty() { "not told" } else { &vm.agent_state };
    let on = if vm.host.is_empty() { "no host" } else { &vm.host };
    let seen = told(seen, format!("{} is {} on {on}, its agent {agent}", vm.name, vm.state));
    let running = alike.iter().filter(|vm| vm.state == "Running").count();
    Some(
        placed(word(seen, "agent_state", &vm.agent_state), vm)
            .fact("alike", alike.len())
            .fact("alike_running", running),
    )
}

fn is_named(vm: &SystemVm, wanted: &Wanted<'_>) -> bool {
    wanted.is(&[&vm.name, &vm.public_address, &vm.private_address, &vm.link_local_address, &vm.id])
}

fn placed(seen: Observation, vm: &SystemVm) -> Observation {
    let seen = word(seen, "instance_state", &vm.state);
    let seen = word(seen, "vm_on", &vm.host);
    let seen = word(seen, "public_address", &vm.public_address);
    let seen = word(seen, "link_local_address", &vm.link_local_address);
    seen.fact("name", shown(&vm.name))
}

fn router(seen: &Observation, items: &[&Json], wanted: &Wanted<'_>) -> Option<Observation> {
    let routers: Vec<SystemVm> = items.iter().filter_map(|item| SystemVm::read(item)).collect();
    let router = routers.iter().find(|vm| is_named(vm, wanted) && wanted.in_zone(&vm.zone))?;
    let on = if router.host.is_empty() { "no host" } else { &router.host };
    let mut text = format!("{} is {} on {on}", router.name, router.state);
    let twins = routers.iter().filter(|vm| vm.is_redundant && !vm.network.is_empty() && vm.network == router.network);
    let primaries = twins.clone().filter(|vm| is_primary(vm)).count();
    let seen = if router.is_redundant {
        text.push_str(&format!(", {} of a pair", router.redundant_state));
        seen.clone().fact("primaries", primaries).fact("pair_running", twins.filter(|vm| vm.state == "Running").count())
    } else {
        seen.clone()
    };
    if router.health_checks_failed == Some(true) {
        text.push_str(", its health checks fail");
    }
    let seen = placed(told(&seen, text), router).fact("redundant", router.is_redundant);
    let seen = word(seen, "redundant_state", &router.redundant_state);
    let seen = flag(seen, "health_checks_failed", router.health_checks_failed);
    Some(word(flag(seen, "requires_upgrade", router.requires_upgrade), "network", &router.network))
}

/// `MASTER` until 4.15.
fn is_primary(vm: &SystemVm) -> bool {
    vm.state == "Running" && ["PRIMARY", "MASTER"].iter().any(|word| vm.redundant_state.eq_ignore_ascii_case(word))
}

/// Used, in percent.
fn used_pct(seen: Observation, name: &str, used: Option<f64>, total: Option<f64>) -> Observation {
    match used.zip(total).filter(|(_, total)| *total > 0.0) {
        Some((used, total)) => {
            let pct = (used / total * 1000.0).round() / 10.0;
            seen.fact(name, pct).measure(name, pct, "%")
        }
        None => seen,
    }
}

fn pool(seen: &Observation, items: &[&Json], wanted: &Wanted<'_>) -> Option<Observation> {
    let mut pools = items.iter().filter_map(|item| Pool::read(item));
    let pool = pools.find(|pool| wanted.is(&[&pool.name, &pool.address, &pool.id]) && wanted.in_zone(&pool.zone))?;
    let seen = told(seen, format!("{} is {} ({} {})", pool.name, pool.state, pool.scope, pool.kind));
    let seen = word(word(seen, "state", &pool.state), "pool_type", &pool.kind);
    let seen = used_pct(seen, "used_pct", pool.used_bytes, pool.total_bytes);
    let seen = used_pct(seen, "allocated_pct", pool.allocated_bytes, pool.total_bytes);
    let maintenance = pool.state.to_ascii_lowercase().contains("maintenance");
    Some(seen.fact("local", pool.is_local()).fact("name", shown(&pool.name)).fact("maintenance", maintenance))
}

fn image_store(seen: &Observation, items: &[&Json], wanted: &Wanted<'_>) -> Option<Observation> {
    let stores: Vec<ImageStore> = items.iter().filter_map(|item| ImageStore::read(item)).collect();
    let server = |store: &ImageStore| {
        let place = store.url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
        place.to_owned()
    };
    let of_it =
        |store: &&ImageStore| wanted.is(&[&store.name, &store.id, &server(store)]) && wanted.in_zone(&store.zone);
    let store = stores.iter().find(of_it)?;
    let alike = stores.iter().filter(|other| other.zone == store.zone && other.read_only != Some(true)).count();
    let seen = told(seen, format!("{} at {}, {alike} writable in zone {}", store.name, store.url, store.zone));
    let seen = used_pct(seen, "used_pct", store.used_bytes, store.total_bytes);
    Some(flag(seen, "read_only", store.read_only).fact("stores_of_zone", alike).fact("name", shown(&store.name)))
}

fn management_server(seen: &Observation, items: &[&Json], wanted: &Wanted<'_>) -> Option<Observation> {
    let servers: Vec<ManagementServer> = items.iter().filter_map(|item| ManagementServer::read(item)).collect();
    let server = servers.iter().find(|one| wanted.is(&[&one.name, &one.address, &one.id]))?;
    let up = servers.iter().filter(|one| one.is_up()).count();
    let seen = told(seen, format!("{} is {}, {up} of {} are up", server.name, server.state, servers.len()));
    let seen = word(word(seen, "state", &server.state), "version", &server.version);
    let seen = match server.agents {
        Some(agents) => seen.fact("agents", agents).measure("agents", agents, ""),
        None => seen,
    };
    Some(seen.fact("servers", servers.len()).fact("servers_up", up).fact("name", shown(&server.name)))
}
