//! Things that CloudStack lists: hosts, system VMs, routers, storage, management servers. What is missing is not known.

use serde_json::Value;

pub(super) fn text(of: &Value, key: &str) -> String {
    match of.get(key) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A boolean, which older releases write as a text.
fn flag(of: &Value, key: &str) -> Option<bool> {
    match of.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

pub(super) fn number(of: &Value, key: &str) -> Option<f64> {
    let number = match of.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// Of `listHosts` with `type=Routing`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    pub id: String,
    pub name: String,
    pub address: String,
    pub zone: String,
    pub cluster: String,
    /// `Up`, `Down`, `Alert`, `Disconnected`, `Connecting`, `Rebalancing`, `Removed`, `Error`.
    pub state: String,
    /// `Enabled`, `Disabled`, `Maintenance`, `PrepareForMaintenance`, `ErrorInMaintenance`, `Degraded`.
    pub resource_state: String,
    /// Carries the tag of `ha.tag`.
    pub is_ha_host: bool,
    pub tags: String,
    pub ha_enabled: Option<bool>,
    /// `Available`, `Suspect`, `Checking`, `Degraded`, `Recovering`, `Recovered`, `Fencing`, `Fenced`, `Disabled`, `Ineligible`.
    pub ha_state: String,
    pub oobm_enabled: Option<bool>,
    /// `On`, `Off`, `Unknown`, `Disabled`.
    pub power: String,
    pub version: String,
}

impl Host {
    /// `None` where it has no name.
    pub fn read(of: &Value) -> Option<Host> {
        let ha = of.get("hostha").unwrap_or(&Value::Null);
        let oobm = of.get("outofbandmanagement").unwrap_or(&Value::Null);
        let host = Host {
            id: text(of, "id"),
            name: text(of, "name"),
            address: text(of, "ipaddress"),
            zone: text(of, "zonename"),
            cluster: text(of, "clustername"),
            state: text(of, "state"),
            resource_state: text(of, "resourcestate"),
            is_ha_host: flag(of, "hahost").unwrap_or(false),
            tags: text(of, "hosttags"),
            ha_enabled: flag(ha, "haenable"),
            ha_state: text(ha, "hastate"),
            oobm_enabled: flag(oobm, "enabled"),
            power: text(oobm, "powerstate"),
            version: text(of, "version"),
        };
        (!host.name.is_empty()).then_some(host)
    }

    /// An administrator, or CloudStack for him, has taken it out of service.
    pub fn is_in_maintenance(&self) -> bool {
        self.resource_state.to_ascii_lowercase().contains("maintenance")
    }
}

/// Of `listSystemVms` and `listRouters`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SystemVm {
    pub id: String,
    pub name: String,
    /// `secondarystoragevm`, `consoleproxy`; a router has none.
    pub kind: String,
    pub zone: String,
    /// Host that it runs on; empty while it runs nowhere.
    pub host: String,
    /// `Running`, `Stopped`, `Starting`, `Stopping`, `Migrating`, `Error`, `Unknown`, `Destroyed`, `Expunging`.
    pub state: String,
    /// Of the agent inside (not of routers): `Up`, `Disconnected`, `Alert`, …
    pub agent_state: String,
    pub public_address: String,
    pub private_address: String,
    pub link_local_address: String,
    pub is_redundant: bool,
    /// `PRIMARY` or `MASTER`, `BACKUP`, `FAULT`, `UNKNOWN`.
    pub redundant_state: String,
    pub health_checks_failed: Option<bool>,
    pub requires_upgrade: Option<bool>,
    /// Network (or VPC) that a router serves.
    pub network: String,
}

impl SystemVm {
    /// `None` where it has no name.
    pub fn read(of: &Value) -> Option<SystemVm> {
        let network = text(of, "guestnetworkname");
        let vm = SystemVm {
            id: text(of, "id"),
            name: text(of, "name"),
            kind: text(of, "systemvmtype"),
            zone: text(of, "zonename"),
            host: text(of, "hostname"),
            state: text(of, "state"),
            agent_state: text(of, "agentstate"),
            public_address: text(of, "publicip"),
            private_address: text(of, "privateip"),
            link_local_address: text(of, "linklocalip"),
            is_redundant: flag(of, "isredundantrouter").unwrap_or(false),
            redundant_state: text(of, "redundantstate"),
            health_checks_failed: flag(of, "healthchecksfailed"),
            requires_upgrade: flag(of, "requiresupgrade"),
            network: if network.is_empty() { text(of, "vpcname") } else { network },
        };
        (!vm.name.is_empty()).then_some(vm)
    }
}

/// Of `listStoragePools`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    pub id: String,
    pub name: String,
    pub zone: String,
    pub address: String,
    /// `NetworkFilesystem`, `RBD`, `SharedMountPoint`, `IscsiLUN`, `Filesystem` (local), …
    pub kind: String,
    /// `CLUSTER`, `ZONE`, `HOST`.
    pub scope: String,
    /// `Up`, `Maintenance`, `PrepareForMaintenance`, `ErrorInMaintenance`, `Disabled`, …
    pub state: String,
    pub used_bytes: Option<f64>,
    pub total_bytes: Option<f64>,
    pub allocated_bytes: Option<f64>,
}

impl Pool {
    /// `None` where it has no name.
    pub fn read(of: &Value) -> Option<Pool> {
        let pool = Pool {
            id: text(of, "id"),
            name: text(of, "name"),
            zone: text(of, "zonename"),
            address: text(of, "ipaddress"),
            kind: text(of, "type"),
            scope: text(of, "scope"),
            state: text(of, "state"),
            used_bytes: number(of, "disksizeused"),
            total_bytes: number(of, "disksizetotal"),
            allocated_bytes: number(of, "disksizeallocated"),
        };
        (!pool.name.is_empty()).then_some(pool)
    }

    /// On disks of one host.
    pub fn is_local(&self) -> bool {
        self.scope.eq_ignore_ascii_case("host") || self.kind.eq_ignore_ascii_case("filesystem")
    }
}

/// Of `listImageStores`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageStore {
    pub id: String,
    pub name: String,
    pub zone: String,
    /// `nfs://192.0.2.4/export/secondary`; a password in it is not kept.
    pub url: String,
    pub provider: String,
    pub read_only: Option<bool>,
    pub used_bytes: Option<f64>,
    pub total_bytes: Option<f64>,
}

impl ImageStore {
    /// `None` where it has no name.
    pub fn read(of: &Value) -> Option<ImageStore> {
        let store = ImageStore {
            id: text(of, "id"),
            name: text(of, "name"),
            zone: text(of, "zonename"),
            url: without_login(&text(of, "url")),
            provider: text(of, "providername"),
            read_only: flag(of, "readonly"),
            used_bytes: number(of, "disksizeused"),
            total_bytes: number(of, "disksizetotal"),
        };
        (!store.name.is_empty()).then_some(store)
    }
}

/// `cifs://user:secret@host/share?password=…` without what must not be shown.
fn without_login(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (place, path) = rest.split_once('/').map_or((rest, None), |(place, path)| (place, Some(path)));
            let place = place.rsplit('@').next().unwrap_or_default();
            path.map_or_else(|| format!("{scheme}://{place}"), |path| format!("{scheme}://{place}/{path}"))
        }
        None => url.to_owned(),
    }
}

/// Of `listManagementServers`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManagementServer {
    pub id: String,
    pub name: String,
    /// `Up`, `Down`, `PreparingForMaintenance`, `Maintenance`, `PreparingForShutDown`, `ReadyToShutDown`.
    pub state: String,
    pub address: String,
    pub version: String,
    pub agents: Option<f64>,
}

impl ManagementServer {
    /// `None` where it has no name.
    pub fn read(of: &Value) -> Option<ManagementServer> {
        let address = text(of, "serviceip");
        let server = ManagementServer {
            id: text(of, "id"),
            name: text(of, "name"),
            state: text(of, "state"),
            address: if address.is_empty() { text(of, "ipaddress") } else { address },
            version: text(of, "version"),
            agents: number(of, "agentscount"),
        };
        (!server.name.is_empty()).then_some(server)
    }

    pub fn is_up(&self) -> bool {
        self.state.eq_ignore_ascii_case("up")
    }
}

/// Of `listVirtualMachines`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vm {
    pub id: String,
    /// Name of the domain on its host, `i-2-7-VM`; for administrators only.
    pub instance: String,
    pub name: String,
    pub state: String,
    pub host: String,
    pub is_ha: bool,
    /// Pools of its volumes, as far as the answer tells.
    pub pools: Vec<String>,
}

impl Vm {
    /// `None` where it has no name.
    pub fn read(of: &Value) -> Option<Vm> {
        let vm = Vm {
            id: text(of, "id"),
            instance: text(of, "instancename"),
            name: text(of, "name"),
            state: text(of, "state"),
            host: text(of, "hostname"),
            is_ha: flag(of, "haenable").unwrap_or(false),
            pools: Vec::new(),
        };
        (!vm.name.is_empty()).then_some(vm)
    }
}

/// Name and value of one of `listConfigurations`; a setting without a value has an empty one.
pub fn setting(of: &Value) -> Option<(String, String)> {
    let name = text(of, "name");
    (!name.is_empty()).then(|| (name, text(of, "value")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Answer of 4.16 to `listHosts`, of the test data of apache/cloudstack-go (Apache License 2.0), with HA and OOBM on.
    #[test]
    fn a_host_of_the_api_reads() {
        let host = Host::read(&json!({
            "clustername": "C0", "clustertype": "CloudManaged", "cpunumber": 4, "events": "AgentConnected; Ping; HostDown",
            "hahost": false, "hostha": {"haenable": true, "haprovider": "kvmhaprovider", "hastate": "Fencing"},
            "hypervisor": "KVM", "id": "d9960e4d-5da9-47be-af88-5cd19473b844", "ipaddress": "172.16.15.5",
            "memorytotal": 8_589_934_592_u64, "name": "kvm1", "outofbandmanagement": {"enabled": true, "powerstate": "Unknown"},
            "resourcestate": "Enabled", "state": "Alert", "type": "Routing", "version": "4.16.0.0", "zonename": "z1"
        }));
        let host = host.expect("a host");
        assert_eq!((host.name.as_str(), host.state.as_str(), host.ha_state.as_str()), ("kvm1", "Alert", "Fencing"));
        assert_eq!((host.ha_enabled, host.oobm_enabled, host.power.as_str()), (Some(true), Some(true), "Unknown"));
        assert!(!host.is_in_maintenance());
        for word in ["Maintenance", "PrepareForMaintenance", "ErrorInPrepareForMaintenance"] {
            assert!(Host { resource_state: word.into(), ..Host::default() }.is_in_maintenance(), "{word}");
        }
    }

    #[test]
    fn half_a_record_is_half_known() {
        assert_eq!(Host::read(&json!({"id": "x"})), None);
        let host = Host::read(&json!({"name": "a", "hostha": 7, "hahost": "true", "state": null})).expect("named");
        assert_eq!((host.is_ha_host, host.ha_enabled, host.state.as_str()), (true, None, ""));
        let pool = Pool::read(&json!({"name": "p", "disksizeused": "12", "disksizetotal": "x", "scope": "HOST"}));
        let pool = pool.expect("named");
        assert_eq!((pool.used_bytes, pool.total_bytes, pool.is_local()), (Some(12.0), None, true));
    }

    #[test]
    fn logins_in_addresses_of_stores_are_not_kept() {
        for (url, kept) in [
            ("nfs://10.70.4.150/export/testing/secondary2", "nfs://10.70.4.150/export/testing/secondary2"),
            ("cifs://u:secret@h/share?user=u&password=secret", "cifs://h/share"),
            ("cifs://u:secret@h", "cifs://h"),
            ("plain", "plain"),
        ] {
            assert_eq!(ImageStore::read(&json!({"name": "s", "url": url})).expect("named").url, kept);
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-zA-Z0-9:/?@%é-]{0,12}".prop_map(Value::from),
        ];
        let key = prop_oneof!["name|state|hostha|outofbandmanagement|hastate|url|scope", "[a-z]{0,5}"];
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_record_panics(of in anything()) {
            let _ = (Host::read(&of), SystemVm::read(&of), Pool::read(&of), ImageStore::read(&of));
            let _ = (ManagementServer::read(&of), Vm::read(&of), setting(&of));
        }
    }
}
