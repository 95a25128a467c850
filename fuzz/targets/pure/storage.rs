//! Fuzz targets of what disks, arrays, paths and clusters of storage print, and the network of a host.

use stentor_core::model::Value;
use stentor_wire::raid::{arcconf, megacli, ssacli, storcli};
use stentor_wire::{
    ceph, drbd, exposition, gluster, hostnet, iscsi, lvm, multipath, riak, smartctl, tool_json, xml, zpool,
};

pub fn drbd(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let all = [drbd::parse_proc(&text).replicas, drbd::parse_text(&text), drbd::parse_json(&text).unwrap_or_default()];
    for replica in all.iter().flatten() {
        let _ = (replica.finding(true), replica.finding(false), replica.roles(), replica.disks());
        let resync = replica.resync.unwrap_or_default();
        assert!(resync.done_pct.is_none_or(|pct| (0.0..=100.0).contains(&pct)), "{resync:?}");
    }
    let _ = drbd::split_brain_line(&text, "r0", Some(0));
    let mut reader = drbd::events::Reader::default();
    let halves = text.split_at(text.floor_char_boundary(text.len() / 2));
    let _ = (reader.feed(halves.0), reader.feed(halves.1));
}

pub fn ceph(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut all: Vec<ceph::Cluster> = ceph::parse_status(&text).ok().into_iter().collect();
    all.extend(ceph::of_page(&exposition::Page::parse(&text, ceph::is_read)));
    for cluster in &mut all {
        let _ = ceph::add_details(&text, cluster);
        let numbers = [cluster.degraded_pct, cluster.misplaced_pct, cluster.recovery_left_s()];
        assert!(numbers.into_iter().flatten().all(|number| number >= 0.0), "{cluster:?}");
        let _ = (cluster.used_pct(), cluster.codes());
    }
}

pub fn gluster(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut volumes = gluster::parse_volumes(&text).unwrap_or_default();
    let _ = (gluster::add_status(&text, &mut volumes), gluster::parse_peers(&text), gluster::parse_heal(&text));
    for volume in &volumes {
        assert!(volume.sets().len() <= volume.bricks.len(), "{volume:?}");
        let full = volume.bricks.iter().filter_map(gluster::Brick::used_pct);
        assert!(full.into_iter().all(|pct| (0.0..=100.0).contains(&pct)), "{volume:?}");
    }
    assert!(gluster::parse_quota(&text).unwrap_or_default().iter().all(|quota| quota.used_pct().is_finite()));
}

pub fn riak(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(stats) = riak::parse_stats(&text) {
        assert!(stats.unreachable().len() <= stats.members.len());
    }
    for member in riak::parse_members(&text) {
        assert!(member.name.contains('@'), "{member:?}");
    }
    let _ = (riak::parse_ring(&text), riak::parse_transfers(&text));
}

pub fn xml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(root) = xml::parse(&text) {
        assert!(!root.name.is_empty());
        let _ = (root.number_at(&["a", "b"]), root.text_at(&["a"]).len());
    }
}

pub fn iscsi(data: &[u8]) {
    for session in iscsi::parse_sessions(&String::from_utf8_lossy(data)) {
        let _ = session.standing().word();
    }
}

pub fn lvm(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for volume in lvm::parse_volumes(&text).unwrap_or_default() {
        let all = [volume.data_pct, volume.metadata_pct, volume.sync_pct];
        assert!(all.into_iter().flatten().all(|pct| (0.0..=100.0).contains(&pct)), "{volume:?}");
        let _ = (volume.raid_word(0), volume.raid_word(u64::MAX), volume.is_lost(), volume.path());
    }
    let _ = (lvm::parse_groups(&text), lvm::parse_disks(&text));
}

pub fn host_network(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(team) = hostnet::team::parse(&text) {
        assert!(team.ports.is_sorted_by(|a, b| a.name < b.name));
    }
    if let Ok(heard) = hostnet::lldp::parse(&text) {
        assert!(heard.is_sorted());
    }
    for route in hostnet::route::parse_v4(&text).into_iter().chain(hostnet::route::parse_v6(&text)) {
        let most = if route.to.is_ipv4() { 32 } else { 128 };
        assert!(route.prefix <= most, "{route:?}");
    }
    let sync = hostnet::clock_sync::chrony_tracking(&text).or_else(|| hostnet::clock_sync::ntpq_variables(&text));
    if let Some(sync) = sync.or_else(|| hostnet::clock_sync::timesyncd(&text, &text)) {
        assert!(sync.offset_s.is_none_or(f64::is_finite), "{sync:?}");
    }
    let sources = hostnet::clock_sync::chrony_sources(&text);
    assert!(sources.usable <= sources.total && sources.reachable <= sources.total);
}

pub fn multipath(data: &[u8]) {
    for map in multipath::parse(&String::from_utf8_lossy(data)).unwrap_or_default() {
        let (all, used) = map.controllers();
        assert!(
            used.is_subset(&all)
                && map.lost_controllers().len() + used.len() == all.len()
                && map.usable() <= map.paths.len()
                && map.adapters().len() <= map.usable()
        );
    }
}

pub fn raid(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut found = storcli::parse(&text).unwrap_or_default();
    found.extend(ssacli::parse_config(&text));
    found.extend(megacli::parse(&text, &text, &text));
    found.push(arcconf::parse("1", &text, &text));
    storcli::add_rebuilds(&text, &mut found);
    ssacli::add_status(&text, &mut found);
    megacli::add_rebuilds(&text, &mut found);
    for array in found.iter().flat_map(|one| &one.arrays) {
        assert!(array.progress_pct.is_none_or(|pct| (0.0..=100.0).contains(&pct)), "{array:?}");
        let _ = (array.word(), array.may_fail());
    }
}

pub fn smartctl(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = smartctl::parse_scan(&text).map(|found| assert!(found.iter().all(|device| !device.name.starts_with('-'))));
    if let Ok(disk) = smartctl::parse_disk(&text) {
        let _ = (disk.is_failing(), disk.is_unread());
        let numbers = [disk.temperature_c, disk.wear_pct, disk.spare_pct, disk.self_test_running_pct];
        assert!(numbers.into_iter().flatten().all(f64::is_finite), "{disk:?}");
    }
}

pub fn zpool(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut pools = zpool::parse_status(&text);
    zpool::add_list(&text, &mut pools);
    for pool in &pools {
        let _ = (pool.word(), pool.may_fail());
        assert!(pool.groups.iter().all(|group| group.may_fail() <= group.width.max(3)), "{pool:?}");
    }
}

pub fn tool_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = tool_json::document::<Value>(&text);
    assert!(tool_json::number(&text).is_none_or(f64::is_finite));
}
