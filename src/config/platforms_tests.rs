//! From observations through the packs' rules and signals to the classifier, for OpenStack, Proxmox VE, Ceph and Gluster: each check of
//! each component that fails alone gives the one verdict of its cell, with the runbook of that cell; what many share gives one.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::diagnosis::{CoreState, Diagnosis, Signal, TargetKind, Timing, Verdict, diagnose};
use stentor_core::model::{Observation, ServiceState};
use stentor_core::rules::judge;
use stentor_core::{Span, Timestamp};

use super::*;

const AT: Timestamp = Timestamp::from_secs(1_795_226_531);

const OPENSTACK: [&str; 22] = [
    "nova_api",
    "keystone",
    "haproxy",
    "galera",
    "rabbitmq",
    "memcached",
    "placement",
    "nova_scheduler",
    "nova_conductor",
    "nova_compute",
    "neutron_server",
    "neutron_ovs",
    "neutron_l3",
    "neutron_dhcp",
    "neutron_metadata",
    "ovn",
    "ovn_controller",
    "glance",
    "cinder_api",
    "cinder_scheduler",
    "cinder_volume",
    "horizon",
];
const PROXMOX: [&str; 12] = [
    "corosync", "pmxcfs", "pveproxy", "pvestatd", "ha_lrm", "ha_crm", "watchdog", "guest", "storage", "zfs", "qdevice",
    "backup",
];
const CEPH: [&str; 5] = ["ceph_mon", "ceph_mgr", "ceph_osd", "ceph_mds", "ceph_rgw"];

/// Checks that hosts must name, with what they need.
const ASKED: [(&str, &str, &str); 12] = [
    ("rabbitmq", "cluster", r#"management_port = 15672, user = "u", password_file = "/f""#),
    ("rabbitmq", "alarms", r#"management_port = 15672, user = "u", password_file = "/f""#),
    ("galera", "cluster", r#"user = "u""#),
    ("cinder_volume", "target", ""),
    ("ovn", "raft", ""),
    ("corosync", "links", ""),
    ("storage", "clients", ""),
    ("ceph_mon", "quorum", r#"address = "mgr""#),
    ("ceph_mon", "clock", r#"address = "mgr""#),
    ("ceph_osd", "up", r#"address = "mgr""#),
    ("ceph_osd", "space", r#"address = "mgr""#),
    ("ceph_mds", "file systems", r#"address = "mgr""#),
];

fn api(platform: &str) -> &'static str {
    match platform {
        "openstack" => {
            r#"api = { url = "https://ctl:5000/v3", user = "u", project = "p", password_file = "/f", insecure = true }"#
        }
        "proxmox" => r#"api = { token_id = "stentor@pve!m", token_file = "/f", insecure = true }"#,
        _ => "",
    }
}

/// A cloud of hosts with their components, all looked at from inside and by the API.
fn cloud(platform: &str, hosts: &[(&str, &[&str])]) -> Loaded {
    let mut text = format!("[[cloud]]\nname = \"c\"\nplatform = \"{platform}\"\n{}\n", api(platform));
    for (host, keys) in hosts {
        let of = |key: &str| match key {
            "gluster" => "gluster".to_owned(),
            key => if key.starts_with("ceph_") { "ceph" } else { platform }.to_owned(),
        };
        let keys_text: Vec<String> = keys.iter().map(|key| format!("\"{}/{key}\"", of(key))).collect();
        text += &format!(
            "[[host]]\nname = \"{host}\"\ncloud = \"c\"\nview = \"agent\"\ncomponents = [{}]\n",
            keys_text.join(", ")
        );
        for (key, check, params) in ASKED.iter().filter(|(key, ..)| keys.contains(key)) {
            text += &format!("[host.checks.\"{key} {check}\"]\nparams = {{ {params} }}\n");
        }
    }
    load_text(&text, Path::new("cloud.toml")).unwrap_or_else(|found| panic!("{found}"))
}

/// One host for each component.
fn each(platform: &str, keys: &[&str]) -> Loaded {
    let names: Vec<String> = keys.iter().map(|key| format!("{}-1", key.replace('_', "-"))).collect();
    let rows: Vec<(&str, &[&str])> =
        names.iter().zip(keys).map(|(name, key)| (name.as_str(), std::slice::from_ref(key))).collect();
    cloud(platform, &rows)
}

/// What the checks of a host see that is not as well as it could be; by host and name of the service.
#[derive(Default)]
struct Seen(BTreeMap<(String, String), Option<Observation>>);

impl Seen {
    /// The check's own example of that state.
    fn with(mut self, loaded: &Loaded, host: &str, service: &str, state: ServiceState) -> Seen {
        let catalog = &loaded.catalog;
        let row = catalog.host_id(host).and_then(|id| catalog.service_id(&catalog.hosts[id.index()].name, service));
        let row = row.unwrap_or_else(|| panic!("{host} has no check `{service}`"));
        let name = &catalog.checks[catalog.services[row.index()].check.index()].name;
        let seen = example(loaded, name, state).unwrap_or_else(|| panic!("{name} has no example of {state:?}"));
        self.0.insert((host.to_owned(), service.to_owned()), Some(seen));
        self
    }

    fn crit(self, loaded: &Loaded, host: &str, service: &str) -> Seen {
        self.with(loaded, host, service, ServiceState::Critical)
    }

    /// Nothing of the host answers any more.
    fn dark(mut self, loaded: &Loaded, host: &str) -> Seen {
        let catalog = &loaded.catalog;
        let seen = |facts: &[(&str, &str)]| {
            Some(facts.iter().fold(Observation::observed("dark"), |seen, (name, value)| seen.fact(name, *value)))
        };
        let gone = seen(&[("port", "timeout"), ("http", "timeout"), ("openstack", "timeout"), ("step", "ask")]);
        let row = catalog.host_id(host).expect("a host");
        for service in &catalog.hosts[row.index()].services {
            let service = &catalog.services[service.index()];
            let check = &catalog.checks[service.check.index()];
            let by_others = &*check.probe == "ceph" || check.params.get("binary").is_some();
            let told = if check.host_side || check.probe.is_empty() {
                None
            } else if by_others {
                example(loaded, &check.name, ServiceState::Critical)
            } else {
                gone.clone()
            };
            self.0.insert((host.to_owned(), service.name.to_string()), told);
        }
        self.0.insert((host.to_owned(), String::new()), seen(&[("ping", "fail")]));
        self
    }
}

fn example(loaded: &Loaded, check: &str, state: ServiceState) -> Option<Observation> {
    let template = loaded.packs.iter().flat_map(|pack| &pack.checks).find(|template| *template.check.name == *check)?;
    let fits = |seen: &Observation| judge(&template.check.rules, &template.check.params, seen).state == state;
    let mut examples = template.examples.iter().map(|example| &example.observation);
    examples.find(|seen| fits(seen)).cloned()
}

fn diagnosis(loaded: &Loaded, seen: &Seen) -> Diagnosis {
    let catalog = &loaded.catalog;
    let mut signals = Vec::new();
    let host_checks = catalog.hosts.iter().filter_map(|row| Some((Arc::clone(&row.name), "".into(), row.check?, None)));
    let services = catalog.services.iter().map(|service| {
        let component = service.component.map(|id| Arc::clone(&catalog.components[id.index()].key));
        let host = Arc::clone(&catalog.hosts[service.host.index()].name);
        (host, Arc::clone(&service.name), service.check, component)
    });
    for (host, service, check, component) in host_checks.chain(services) {
        let check = &catalog.checks[check.index()];
        let told = match seen.0.get(&(host.to_string(), service.to_string())) {
            Some(told) => told.clone(),
            None => example(loaded, &check.name, ServiceState::Ok),
        };
        let Some(told) = told else { continue };
        // What is bad began half a minute ago; what is well has been so for long, and starts no more.
        let is_news = seen.0.contains_key(&(host.to_string(), service.to_string()));
        let changed_at = AT - Span::from_secs(if is_news { 30 } else { 3600 });
        let judged = judge(&check.rules, &check.params, &told);
        for spec in &check.signals {
            for value in spec.values(&told, &judged) {
                signals.push(Signal {
                    host: Some(Arc::clone(&host)),
                    component: component.clone().filter(|_| !spec.of_host),
                    sig: Arc::clone(&spec.sig),
                    value,
                    vantage: None,
                    observed_at: AT,
                    changed_at,
                    every: check.every,
                });
            }
        }
    }
    diagnose(&catalog.clouds[0].topology, &signals, AT, &Timing::default())
}

/// `host class/subtype cell runbook`
fn shown(verdict: &Verdict) -> String {
    let at = verdict.target.host.as_deref().or(verdict.target.component.as_deref()).unwrap_or("");
    let cell = verdict.cell.as_deref().unwrap_or("none");
    format!("{at} {}/{} {cell} {}", verdict.class.as_str(), verdict.subtype, verdict.runbook)
}

fn told(loaded: &Loaded, seen: &Seen) -> Vec<String> {
    diagnosis(loaded, seen).verdicts.iter().map(shown).collect()
}

/// Each check of each component, failing alone and together with its process, on a cloud that is well otherwise.
fn sweep(platform: &str, keys: &[&str]) {
    let loaded = each(platform, keys);
    let healthy = told(&loaded, &Seen::default());
    assert!(healthy.is_empty(), "{healthy:#?}");
    let pack = loaded.packs.iter().find(|pack| *pack.platform.key == *platform).expect("built in");
    let mut wrong = Vec::new();
    let mut reached: Vec<String> = Vec::new();
    for key in keys {
        let host = format!("{}-1", key.replace('_', "-"));
        let mut faults: Vec<(String, Seen, Option<&str>)> =
            vec![("server".into(), Seen::default().dark(&loaded, &host), Some("server"))];
        let services = loaded.catalog.services.iter().filter(|service| service.component.is_some());
        for service in services.filter(|service| *loaded.catalog.hosts[service.host.index()].name == *host) {
            let is_process = service.name.ends_with(" process");
            let fault = Seen::default().crit(&loaded, &host, &service.name);
            let has_port = loaded.catalog.services.iter().any(|own| *own.name == *format!("{key} port"));
            // A program is gone with its port; the one without the other is a conflict of checks.
            if !(service.name.ends_with(" port") || is_process && has_port) {
                faults.push((service.name.to_string(), fault, is_process.then_some("software")));
            }
        }
        if loaded.catalog.services.iter().any(|service| *service.name == *format!("{key} port")) {
            let gone = Seen::default().crit(&loaded, &host, &format!("{key} port"));
            let gone = gone.crit(&loaded, &host, &format!("{key} process"));
            faults.push(("port refused".into(), gone, Some("software")));
        }
        for (name, fault, column) in faults {
            let told = told(&loaded, &fault);
            let cells: Vec<_> = pack.platform.cells.iter().filter(|cell| *cell.key.component == **key).collect();
            let expected = |cell: &stentor_core::catalog::Cell| {
                let is_column = column.is_none_or(|column| cell.key.failure_type.as_str() == column);
                // What is at risk has not failed: no cell, and the runbook of what is missing.
                let at_risk = format!(" none {}", cell.runbook);
                let of_cell = format!(" {} {}", cell.key, cell.runbook);
                let is_risk = told.first().is_some_and(|told| told.contains(" resource_at_risk/"));
                let suffix = if is_risk { at_risk } else { of_cell };
                let is_resource = cell.key.failure_type.as_str() == "resource";
                let is_told = told.len() == 1 && told[0].starts_with(&format!("{host} ")) && told[0].ends_with(&suffix);
                is_column && is_told && (is_resource || !is_risk)
            };
            match cells.iter().find(|cell| expected(cell)) {
                Some(cell) => reached.push(cell.key.to_string()),
                None => wrong.push(format!("{key}, {name}: {told:#?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for cell in &pack.platform.cells {
        assert!(reached.contains(&cell.key.to_string()), "no fault leads to {}", cell.key);
    }
}

#[test]
fn each_fault_of_openstack_gives_the_one_verdict_of_its_cell() {
    sweep("openstack", &OPENSTACK);
}

#[test]
fn each_fault_of_proxmox_gives_the_one_verdict_of_its_cell() {
    sweep("proxmox", &PROXMOX);
}

#[test]
fn each_fault_of_ceph_gives_the_one_verdict_of_its_cell() {
    sweep("ceph", &CEPH);
}

#[test]
fn each_fault_of_gluster_gives_the_one_verdict_of_its_cell() {
    sweep("gluster", &["gluster"]);
}

/// Three controllers, three compute hosts.
fn openstack() -> Loaded {
    const CONTROLLER: &[&str] = &["nova_api", "nova_scheduler", "nova_conductor", "rabbitmq", "galera", "neutron_dhcp"];
    const COMPUTE: &[&str] = &["nova_compute", "neutron_ovs"];
    cloud(
        "openstack",
        &[
            ("ctl1", CONTROLLER),
            ("ctl2", CONTROLLER),
            ("ctl3", CONTROLLER),
            ("cmp1", COMPUTE),
            ("cmp2", COMPUTE),
            ("cmp3", COMPUTE),
        ],
    )
}

/// Every service of every host is shown down, as Nova and Neutron do after a minute without the bus.
fn all_services_down(loaded: &Loaded, mut seen: Seen) -> Seen {
    for (hosts, keys) in [
        (["ctl1", "ctl2", "ctl3"], &["nova_scheduler", "nova_conductor", "neutron_dhcp"][..]),
        (["cmp1", "cmp2", "cmp3"], &["nova_compute", "neutron_ovs"][..]),
    ] {
        for host in hosts {
            for key in keys {
                seen = seen.crit(loaded, host, &format!("{key} state"));
            }
        }
    }
    seen
}

#[test]
fn a_compute_host_that_looks_down_and_runs_lacks_something() {
    let loaded = openstack();
    let down = |seen: Seen| seen.crit(&loaded, "cmp1", "nova_compute state");
    assert_eq!(
        told(&loaded, &down(Seen::default())),
        ["cmp1 resource_unavailable/dependency openstack/nova_compute/resource RB-OS-compute"]
    );
    let dead = down(Seen::default()).crit(&loaded, "cmp1", "nova_compute process");
    assert_eq!(told(&loaded, &dead), ["cmp1 software_down/crashed openstack/nova_compute/software RB-OS-compute"]);
    let full = Seen::default().crit(&loaded, "cmp1", "nova_compute libvirt");
    assert_eq!(
        told(&loaded, &full),
        ["cmp1 resource_unavailable/hypervisor openstack/nova_compute/resource RB-OS-compute"]
    );
    let dark = Seen::default().dark(&loaded, "cmp1");
    let found = diagnosis(&loaded, &dark);
    assert_eq!(
        found.verdicts.iter().map(shown).collect::<Vec<_>>(),
        ["cmp1 server_down/os_dead openstack/nova_compute/server RB-OS-compute"]
    );
    assert_eq!(found.verdicts[0].severity.as_str(), "critical", "its VMs are down");
    assert_eq!(found.core, CoreState::Available);
}

#[test]
fn a_compute_host_that_an_administrator_disabled_pages_nobody() {
    let loaded = openstack();
    let check = "openstack/nova_compute/state";
    let template = loaded.packs.iter().flat_map(|pack| &pack.checks).find(|t| *t.check.name == *check).expect("there");
    let off = template
        .examples
        .iter()
        .map(|e| &e.observation)
        .find(|seen| seen.facts.get("state").is_some_and(|state| state.text() == Some("disabled")));
    let mut seen = Seen::default();
    seen.0.insert(("cmp1".into(), "nova_compute state".into()), off.cloned());
    let found = diagnosis(&loaded, &seen);
    assert_eq!(found.verdicts.len(), 1, "{:#?}", found.verdicts);
    assert_eq!((found.verdicts[0].class.as_str(), found.verdicts[0].severity.as_str()), ("admin_stopped", "info"));
}

#[test]
fn a_lost_bus_takes_every_service_of_every_host_as_its_effect() {
    let loaded = openstack();
    // One of three: its alarm blocks all who send, though the others look well.
    let alarm = Seen::default().crit(&loaded, "ctl2", "rabbitmq alarms");
    let found = diagnosis(&loaded, &all_services_down(&loaded, alarm));
    assert_eq!(
        found.verdicts.iter().map(shown).collect::<Vec<_>>(),
        ["ctl2 resource_unavailable/capacity openstack/rabbitmq/resource RB-OS-rabbit"]
    );
    assert_eq!(found.verdicts[0].suppressed.len(), 15, "{:#?}", found.verdicts[0].suppressed);
    assert_eq!(found.core, CoreState::Unavailable);
}

#[test]
fn services_that_all_look_down_point_to_the_bus_even_where_nobody_watches_it() {
    let loaded = openstack();
    let found = diagnosis(&loaded, &all_services_down(&loaded, Seen::default()));
    assert_eq!(found.verdicts.len(), 1, "{:#?}", found.verdicts.iter().map(shown).collect::<Vec<_>>());
    let verdict = &found.verdicts[0];
    assert_eq!(
        (verdict.target.kind, verdict.target.component.as_deref()),
        (TargetKind::ComponentGroup, Some("rabbitmq"))
    );
    assert_eq!((verdict.cell.as_deref(), &*verdict.runbook), (Some("openstack/rabbitmq/resource"), "RB-OS-rabbit"));
    assert!(verdict.confidence < 0.8, "a guess by what all of them share: {}", verdict.confidence);
}

#[test]
fn a_database_without_a_majority_is_one_failure_with_the_apis_as_effects() {
    let loaded = openstack();
    let mut seen = Seen::default();
    for host in ["ctl1", "ctl2", "ctl3"] {
        seen = seen.crit(&loaded, host, "galera cluster").crit(&loaded, host, "nova_api api");
    }
    let found = diagnosis(&loaded, &all_services_down(&loaded, seen));
    assert_eq!(
        found.verdicts.iter().map(shown).collect::<Vec<_>>(),
        ["galera resource_unavailable/membership openstack/galera/resource RB-OS-galera"]
    );
    assert_eq!(found.core, CoreState::Unavailable);
    // One member out of three is no outage.
    let one = diagnosis(&loaded, &Seen::default().crit(&loaded, "ctl1", "galera cluster"));
    assert_eq!((one.verdicts.len(), one.core), (1, CoreState::Available));
}

#[test]
fn ovn_without_a_leader_is_one_failure_and_a_member_without_one_is_its_own() {
    const CONTROLLER: &[&str] = &["nova_api", "rabbitmq", "galera", "neutron_server", "ovn"];
    let loaded = cloud("openstack", &[("ctl1", CONTROLLER), ("ctl2", CONTROLLER), ("ctl3", CONTROLLER)]);
    let lost = |hosts: &[&str]| hosts.iter().fold(Seen::default(), |seen, host| seen.crit(&loaded, host, "ovn raft"));
    assert_eq!(
        told(&loaded, &lost(&["ctl1", "ctl2", "ctl3"])),
        ["ovn resource_unavailable/membership openstack/ovn/resource RB-OS-ovn"]
    );
    let cut_off = ["ctl2 resource_unavailable/membership openstack/ovn/resource RB-OS-ovn"];
    assert_eq!(told(&loaded, &lost(&["ctl2"])), cut_off);
}

/// Three nodes with all that a node has, OSDs and monitors among it.
fn proxmox() -> Loaded {
    const NODE: &[&str] = &[
        "corosync", "pmxcfs", "pveproxy", "pvestatd", "ha_lrm", "ha_crm", "watchdog", "guest", "storage", "backup",
        "ceph_mon", "ceph_osd",
    ];
    cloud("proxmox", &[("pve1", NODE), ("pve2", NODE), ("pve3", NODE)])
}

/// A node without quorum: nothing can be written, so its HA manager looks dead too.
fn cut_off(loaded: &Loaded, seen: Seen, host: &str) -> Seen {
    seen.crit(loaded, host, "corosync quorum").crit(loaded, host, "ha_lrm state")
}

#[test]
fn a_node_in_the_minority_is_its_links_and_not_its_server() {
    let loaded = proxmox();
    let found = diagnosis(&loaded, &cut_off(&loaded, Seen::default(), "pve3"));
    assert_eq!(
        found.verdicts.iter().map(shown).collect::<Vec<_>>(),
        ["pve3 resource_unavailable/membership proxmox/corosync/resource RB-PVE-quorum"]
    );
    assert_eq!(found.core, CoreState::Available);
}

#[test]
fn a_cluster_without_any_quorum_is_one_failure() {
    let loaded = proxmox();
    let seen = ["pve1", "pve2", "pve3"].into_iter().fold(Seen::default(), |seen, host| cut_off(&loaded, seen, host));
    let found = diagnosis(&loaded, &seen);
    assert_eq!(
        found.verdicts.iter().map(shown).collect::<Vec<_>>(),
        ["corosync resource_unavailable/membership proxmox/corosync/resource RB-PVE-quorum"]
    );
    assert_eq!(found.core, CoreState::Unavailable);
}

#[test]
fn a_lost_storage_takes_guests_and_statistics_of_its_node_along() {
    let loaded = proxmox();
    let seen = ["storage active", "guest running", "pvestatd statistics"];
    let seen = seen.into_iter().fold(Seen::default(), |seen, check| seen.crit(&loaded, "pve2", check));
    assert_eq!(told(&loaded, &seen), ["pve2 resource_unavailable/backend proxmox/storage/resource RB-PVE-storage"]);
}

/// Ceph and Gluster beside each other on the hosts of a third platform.
#[test]
fn a_full_gluster_on_hosts_of_another_cloud_names_its_own_runbook() {
    const NODE: &[&str] = &["corosync", "pmxcfs", "guest", "storage", "ceph_mon", "ceph_osd", "gluster"];
    let loaded = cloud("proxmox", &[("pve1", NODE), ("pve2", NODE), ("pve3", NODE)]);
    let full = Seen::default().crit(&loaded, "pve1", "gluster space");
    assert_eq!(told(&loaded, &full), ["pve1 resource_at_risk/capacity none RB-GLUSTER"]);
    let lost = Seen::default().crit(&loaded, "pve1", "gluster data");
    assert_eq!(told(&loaded, &lost), ["pve1 resource_unavailable/backend gluster/gluster/resource RB-GLUSTER"]);
}

#[test]
fn machines_that_stand_still_for_their_storage_are_its_effect_and_alone_their_own() {
    let loaded = proxmox();
    let stalled = Seen::default().crit(&loaded, "pve2", "guest stalled");
    assert_eq!(told(&loaded, &stalled), ["pve2 resource_unavailable/backend proxmox/guest/resource RB-PVE-guest"]);
    let both = stalled.crit(&loaded, "pve2", "storage active");
    assert_eq!(told(&loaded, &both), ["pve2 resource_unavailable/backend proxmox/storage/resource RB-PVE-storage"]);
}

#[test]
fn a_dead_node_is_fenced_whatever_else_stood_on_it() {
    let loaded = proxmox();
    let found = diagnosis(&loaded, &Seen::default().dark(&loaded, "pve1"));
    assert_eq!(found.verdicts.len(), 1, "{:#?}", found.verdicts.iter().map(shown).collect::<Vec<_>>());
    let verdict = &found.verdicts[0];
    assert_eq!((verdict.cell.as_deref(), &*verdict.runbook), (Some("proxmox/corosync/server"), "RB-PVE-fenced"));
    assert!(verdict.cells.iter().any(|cell| &**cell == "ceph/ceph_osd/server"), "{:?}", verdict.cells);
    assert_eq!((verdict.severity.as_str(), found.core), ("critical", CoreState::Available));
}

#[test]
fn ceph_on_the_nodes_of_another_cloud_keeps_its_own_cells() {
    let loaded = proxmox();
    assert_eq!(
        told(&loaded, &Seen::default().crit(&loaded, "pve1", "ceph_osd space")),
        ["pve1 resource_unavailable/capacity ceph/ceph_osd/resource RB-CEPH"]
    );
}

/// The first block of TOML on a page.
fn configuration(page: &str) -> &str {
    page.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```")).expect("a block of TOML").0
}

#[test]
fn the_configurations_of_the_pages_are_read_without_a_finding() {
    for (page, services) in [(include_str!("../../docs/openstack.md"), 60), (include_str!("../../docs/proxmox.md"), 40)]
    {
        // Files and certificates are the reader's.
        let text = configuration(page).replace("ca_file = \"/etc/stentor/os1-ca.pem\"", "insecure = true");
        let loaded = load_text(&text, Path::new("page.toml")).unwrap_or_else(|found| panic!("{found}"));
        let wrong: Vec<_> = loaded.warnings.findings.iter().filter(|one| one.code != "missing-file").collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(loaded.catalog.services.len() > services, "{} services", loaded.catalog.services.len());
    }
}

#[test]
fn a_cloud_without_an_api_is_asked_for_nothing_that_needs_one() {
    let text = "[[cloud]]\nname = \"c\"\nplatform = \"openstack\"\n[[host]]\nname = \"cmp1\"\nview = \"agent\"\n\
        components = [\"openstack/nova_compute\"]\n";
    let names = |text: &str| -> Vec<String> {
        let loaded = load_text(text, Path::new("cloud.toml")).unwrap_or_else(|found| panic!("{found}"));
        loaded.catalog.services.iter().map(|service| service.name.to_string()).collect()
    };
    assert!(!names(text).iter().any(|name| name == "nova_compute state"));
    let with = text.replacen('\n', &format!("\n{}\n", api("openstack")), 1);
    assert!(names(&with).iter().any(|name| name == "nova_compute state"));
    // A host may say how it is asked by itself.
    let asked = format!(
        "{text}[host.checks.\"nova_compute state\"]\nparams = {{ url = \"http://a/v3\", user = \"u\", project = \"p\", password_file = \"/f\", insecure = true }}\n"
    );
    assert!(names(&asked).iter().any(|name| name == "nova_compute state"));
}
