//! A large site: one cloud of Eucalyptus, racks of hosts with one feed and one switch each, and no management switch.

use std::sync::Arc;

use stentor_core::catalog::{Catalog, Check, Cloud, Component, Host, SignalSpec, SignalValue, View, Zone};
use stentor_core::diagnosis::Topology;
use stentor_core::id::{CheckId, CloudId, ComponentId, HostId, ZoneId};
use stentor_core::model::Value;
use stentor_core::{Span, Timestamp};

pub const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

fn ping() -> Check {
    let words = ["ok", "ok", "fail"].map(Into::into);
    Check {
        name: "ping".into(),
        probe: "ping".into(),
        params: Value::Null,
        every: Span::from_secs(10),
        retry: Span::from_secs(10),
        timeout: Span::from_secs(5),
        attempts: 3,
        rules: Vec::new(),
        signals: vec![SignalSpec { sig: "ping".into(), value: SignalValue::ByState(words), of_host: true }],
        host_side: false,
        freshness: Span::ZERO,
    }
}

/// What stands at a place; the front of the cloud is spread over the first racks.
fn component(rack: usize, place: usize) -> &'static str {
    match (rack, place) {
        (0, 0) => "clc",
        (0 | 1, 1) => "ufs",
        (1, 0) => "walrus",
        (_, 2) => "cc",
        (_, 3) => "sc",
        _ => "nc",
    }
}

/// `racks` racks of `each` hosts; each rack is a zone.
pub fn racks(racks: usize, each: usize) -> Catalog {
    let mut topology = Topology {
        platform: "eucalyptus".to_owned(),
        jvm: ["clc", "ufs", "sc", "walrus", "vb"].map(Into::into).into(),
        min_nc: Some(1),
        ..Topology::default()
    };
    let mut catalog = Catalog { site: "here".into(), checks: vec![ping()], ..Catalog::default() };
    for rack in 0..racks {
        let zone: Arc<str> = format!("zone{rack:02}").into();
        catalog.zones.push(Zone { name: Arc::clone(&zone), cloud: Some(CloudId(0)) });
        let (feed, switch): (Arc<str>, Arc<str>) = (format!("feed{rack:02}").into(), format!("tor{rack:02}").into());
        topology.feeds.insert(Arc::clone(&feed), "mains".to_owned());
        topology.switches.insert(Arc::clone(&switch), "single".to_owned());
        topology.single_fed.entry(Arc::clone(&feed)).or_default().push(Arc::clone(&switch));
        topology.fed_by.insert(Arc::clone(&switch), vec![Arc::clone(&feed)]);
        for place in 0..each {
            let id = HostId::from_index(catalog.hosts.len());
            let (name, key): (Arc<str>, Arc<str>) =
                (format!("host{rack:02}-{place:02}").into(), component(rack, place).into());
            catalog.components.push(Component {
                host: id,
                key: Arc::clone(&key),
                platform: "eucalyptus".into(),
                services: Vec::new(),
            });
            catalog.hosts.push(Host {
                name: Arc::clone(&name),
                display: Arc::clone(&name),
                address: "192.0.2.1".into(),
                zone: ZoneId::from_index(rack),
                cloud: Some(CloudId(0)),
                parents: Vec::new(),
                components: vec![ComponentId::from_index(id.index())],
                check: Some(CheckId(0)),
                params: Value::Null,
                view: View::None,
                bmc: None,
                services: Vec::new(),
            });
            topology.zones.entry(Arc::clone(&zone)).or_default().push(Arc::clone(&name));
            topology.single_fed.entry(Arc::clone(&feed)).or_default().push(Arc::clone(&name));
            topology.single_homed.entry(Arc::clone(&switch)).or_default().push(Arc::clone(&name));
            topology.fed_by.insert(Arc::clone(&name), vec![Arc::clone(&feed)]);
            topology.hosts.insert(name, vec![key]);
        }
    }
    let hosts = (0..catalog.hosts.len()).map(HostId::from_index).collect();
    let (name, platform) = ("euca".into(), "eucalyptus".into());
    catalog.clouds.push(Cloud { name, platform, min_nc: 1, topology, hosts });
    catalog.reindex();
    catalog
}
