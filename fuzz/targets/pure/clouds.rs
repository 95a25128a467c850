//! Fuzz targets of what clouds and their backups are told by.

use stentor_wire::{backup, cloudstack, drill, euca, manifest, openstack, ovn, proxmox};

pub fn backup(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let artifacts = backup::parse_listing(&text);
    assert!(artifacts.windows(2).all(|pair| pair[0].at_s >= pair[1].at_s), "{artifacts:?}");
    let _ = (backup::median(artifacts.iter().map(|artifact| artifact.bytes).collect()), backup::parse_mark(&text));
    let manifest = manifest::parse(&text);
    assert!(manifest::differences(&manifest, &manifest).is_empty());
    let records = drill::Records::parse(&text);
    let again: String = records.drills.iter().map(drill::Drill::line).collect();
    assert_eq!(drill::Records::parse(&again).drills, records.drills);
}

/// What the tool printed, as both of its outputs.
pub fn ovn(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(member) = ovn::Member::read(&text, &text) else { return };
    assert!(member.gone().map_or(0, |gone| gone.len()) <= member.servers.len(), "{member:?}");
    assert!(member.may_fail().is_none_or(|left| left < member.servers.len().max(1)), "{member:?}");
}

pub fn euca(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut services = euca::parse_services(&text);
    euca::join_hosts(&mut services, &euca::parse_old_services(&text));
    assert!(services.iter().all(|service| !service.state.is_empty()));
    let _ = (euca::parse_events(&text), euca::parse_nodes(&text), euca::parse_faults(&text));
    let properties = euca::parse_properties(&text);
    let printed: String =
        properties.iter().filter(|(_, v)| !v.contains('\n')).map(|(k, v)| format!("{k} = {v}\n")).collect();
    assert!(euca::parse_properties(&printed).len() <= properties.len());
}

/// The first byte chooses the status; the rest is an answer, a file of properties, a table of sockets.
pub fn cloudstack(data: &[u8]) {
    let (status, body) = data.split_first().map_or((200, data), |(first, rest)| (200 + u16::from(*first) * 2, rest));
    for item in ["host", "systemvm", "storagepool"] {
        for one in cloudstack::read(status, body, item).map(|answer| answer.items).unwrap_or_default() {
            let _ = (cloudstack::Host::read(&one), cloudstack::SystemVm::read(&one), cloudstack::Pool::read(&one));
            let _ = (cloudstack::ManagementServer::read(&one), cloudstack::Vm::read(&one));
            let _ = cloudstack::Alert::read(&one).map(|alert| (alert.kind().len(), alert.names(item)));
            if let Some(store) = cloudstack::ImageStore::read(&one) {
                assert!(!store.url.contains('?'), "a login could stand in {store:?}");
            }
        }
    }
    let text = String::from_utf8_lossy(data);
    if let Some(database) = cloudstack::properties::database(&text, "cloud") {
        assert!(!database.host.is_empty(), "{database:?}");
    }
    assert!(cloudstack::sockets::peers(&text, 3306).len() <= text.lines().count());
    let query = cloudstack::query("listHosts", &[("name", &text)], None);
    assert!(query.is_ascii() && !query.contains(' '), "{query}");
}

/// A token, services, agents.
pub fn openstack(data: &[u8]) {
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = (openstack::Token::read(&json), openstack::services(&json), openstack::complaint(&json));
        assert!(
            openstack::agents(&json).is_ok_and(|agents| agents.iter().all(|one| !one.host.is_empty()))
                || openstack::agents(&json).is_err()
        );
    }
}

/// What the API answers, or what corosync's tools print.
pub fn proxmox(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let links = proxmox::Links::read(&text);
    assert!(links.down().len() <= links.links.len());
    let _ = proxmox::Votes::read(&text);
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = (proxmox::Membership::read(&json), proxmox::Ha::read(&json), proxmox::Resources::read(&json));
        assert!(
            proxmox::tasks(&json).is_ok_and(|tasks| tasks.len() <= proxmox::TASKS_MAX)
                || proxmox::tasks(&json).is_err()
        );
        let _ = proxmox::units(&json);
    }
}
