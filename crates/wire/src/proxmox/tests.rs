//! Answers of Proxmox VE as its API documents them (pve-manager PVE/API2/Cluster.pm, pve-ha-manager PVE/API2/HA/Status.pm), and output
//! of corosync's tools as pve-docs shows it.

use proptest::prelude::*;

use super::*;

/// PVE/API2/Cluster.pm `get_status`: three nodes, the third is away. Perl writes 0 and 1.
const STATUS: &str = r#"{"data":[{"type":"cluster","id":"cluster","name":"rack","version":3,"nodes":3,"quorate":1},
    {"type":"node","id":"node/pve2","name":"pve2","nodeid":2,"ip":"192.0.2.2","local":0,"online":1,"level":""},
    {"type":"node","id":"node/pve1","name":"pve1","nodeid":1,"ip":"192.0.2.1","local":1,"online":1,"level":""},
    {"type":"node","id":"node/pve3","name":"pve3","nodeid":3,"local":0,"online":0,"level":""}]}"#;

/// PVE/API2/HA/Status.pm `status`.
const HA: &str = r#"{"data":[{"id":"quorum","type":"quorum","node":"pve1","status":"OK","quorate":1},
    {"id":"master","type":"master","node":"pve1","status":"pve1 (active, Sun Nov 22 06:00:00 2026)","timestamp":1795327200},
    {"id":"lrm:pve1","type":"lrm","node":"pve1","status":"pve1 (active, Sun Nov 22 06:00:00 2026)","timestamp":1795327200},
    {"id":"lrm:pve2","type":"lrm","node":"pve2","status":"pve2 (maintenance mode, Sun Nov 22 06:00:00 2026)","timestamp":1795327200},
    {"id":"lrm:pve3","type":"lrm","node":"pve3","status":"pve3 (old timestamp - dead?, Sun Nov 22 05:55:00 2026)","timestamp":1795326900},
    {"id":"lrm:pve4","type":"lrm","node":"pve4","status":"pve4 (unable to read lrm status)"},
    {"id":"service:vm:101","type":"service","sid":"vm:101","node":"pve3","crm_state":"fence","state":"fence","status":"vm:101 (pve3, fence)","request_state":"started"},
    {"id":"service:ct:100","type":"service","sid":"ct:100","node":"pve1","crm_state":"started","state":"started","status":"ct:100 (pve1, started)"}]}"#;

/// PVE/API2/Cluster.pm `resources` with PVE/API2Tools.pm.
const RESOURCES: &str = r#"{"data":[{"id":"qemu/101","vmid":101,"node":"pve1","type":"qemu","status":"running","name":"web","template":0,"maxdisk":1,"disk":0,"hastate":"started"},
    {"id":"lxc/99","vmid":99,"node":"pve1","type":"lxc","status":"unknown"},{"id":"qemu/9000","vmid":9000,"node":"pve2","type":"qemu","status":"stopped","template":1,"lock":"backup"},
    {"id":"node/pve1","node":"pve1","type":"node","status":"online","cpu":0.1,"maxcpu":8},{"id":"node/pve3","node":"pve3","type":"node","status":"offline"},
    {"id":"storage/pve1/local","storage":"local","node":"pve1","type":"storage","plugintype":"dir","status":"available","shared":0,"disk":955,"maxdisk":1000},
    {"id":"storage/pve1/nas","storage":"nas","node":"pve1","type":"storage","plugintype":"nfs","status":"unknown","shared":1},
    {"id":"pool/x","pool":"x","type":"pool"}]}"#;

const UNITS: &str = r#"{"data":[{"service":"pveproxy","name":"pveproxy","desc":"PVE API Proxy Server","state":"running","active-state":"active","unit-state":"enabled"},
    {"service":"corosync","name":"corosync","desc":"Corosync Cluster Engine","state":"dead","active-state":"inactive","unit-state":"enabled"}]}"#;

const TASKS: &str = r#"{"data":[{"upid":"UPID:pve1:0001:02:00:vzdump:101:root@pam:","node":"pve1","pid":1,"starttime":1795226400,"endtime":1795226700,"type":"vzdump","id":"101","user":"root@pam","status":"job errors"},
    {"upid":"UPID:pve1:0001:02:01:vzdump::root@pam:","node":"pve1","starttime":1795312800,"type":"vzdump","id":"","user":"root@pam"}]}"#;

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn membership_is_read() {
    let seen = Membership::read(&value(STATUS)).expect("a status");
    assert_eq!((seen.cluster.as_deref(), seen.is_quorate, seen.local()), (Some("rack"), Some(true), Some("pve1")));
    let online: Vec<_> = seen.nodes.iter().map(|node| (node.name.as_str(), node.is_online)).collect();
    assert_eq!(online, [("pve1", true), ("pve2", true), ("pve3", false)]);
    let alone = r#"{"data":[{"type":"node","id":"node/pve1","name":"pve1","ip":"192.0.2.1","local":true,"nodeid":0,"online":true,"level":""}]}"#;
    let alone = Membership::read(&value(alone)).expect("a status");
    assert_eq!((alone.cluster, alone.is_quorate, alone.nodes.len()), (None, None, 1));
}

#[test]
fn ha_is_read() {
    let seen = Ha::read(&value(HA)).expect("a status");
    assert_eq!(seen.master, Some(("pve1".into(), "active".into())));
    let words: Vec<_> = seen.managers.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["active", "maintenance mode", "old timestamp - dead?", "unable to read lrm status"]);
    assert_eq!(
        seen.services.iter().map(|s| (s.id.as_str(), s.state.as_str())).collect::<Vec<_>>(),
        [("ct:100", "started"), ("vm:101", "fence")]
    );
}

#[test]
fn resources_are_read() {
    let seen = Resources::read(&value(RESOURCES)).expect("resources");
    assert_eq!(seen.nodes, [("pve1".into(), "online".into()), ("pve3".into(), "offline".into())]);
    let guests: Vec<_> = seen.guests.iter().map(|g| (g.id.as_str(), g.status.as_str(), g.is_template)).collect();
    assert_eq!(guests, [("99", "unknown", false), ("101", "running", false), ("9000", "stopped", true)]);
    let storages: Vec<_> = seen.storages.iter().map(|s| (s.name.as_str(), s.status.as_str(), s.used_pct)).collect();
    assert_eq!(storages, [("local", "available", Some(95.5)), ("nas", "unknown", None)]);
}

#[test]
fn services_and_backups_are_read() {
    let seen = units(&value(UNITS)).expect("services");
    assert_eq!(
        seen.iter().map(|u| (u.name.as_str(), u.state.as_str())).collect::<Vec<_>>(),
        [("corosync", "dead"), ("pveproxy", "running")]
    );
    let seen = tasks(&value(TASKS)).expect("tasks");
    assert_eq!((seen[0].ended_s, seen[0].status.as_str()), (None, ""));
    assert_eq!((seen[1].ended_s, seen[1].status.as_str()), (Some(1_795_226_700), "job errors"));
}

#[test]
fn what_is_half_is_refused() {
    assert_eq!(Membership::read(&value("{}")), Err(ProxmoxError::NoData));
    assert_eq!(Membership::read(&value(r#"{"data":null}"#)), Err(ProxmoxError::NoList));
    for (json, missing) in [
        (r#"{"data":[{"type":"cluster","name":"x"}]}"#, "quorate"),
        (r#"{"data":[{"type":"node","name":"x"}]}"#, "online"),
        (r#"{"data":[{"type":"node","online":1}]}"#, "name"),
    ] {
        assert_eq!(Membership::read(&value(json)), Err(ProxmoxError::HalfEntry(missing)), "{json}");
    }
    assert_eq!(Ha::read(&value(r#"{"data":[{"type":"lrm","node":"a"}]}"#)), Err(ProxmoxError::HalfEntry("status")));
    assert_eq!(Resources::read(&value(r#"{"data":[{"type":"qemu"}]}"#)), Err(ProxmoxError::HalfEntry("vmid")));
    assert_eq!(tasks(&value(r#"{"data":[{}]}"#)), Err(ProxmoxError::HalfEntry("starttime")));
}

/// pve-docs pvecm.adoc, "corosync-cfgtool -s", with a broken second link.
const CFGTOOL: &str = "Local node ID 1, transport knet\nLINK ID 0 udp\n\taddr\t= 10.0.0.1\n\tstatus:\n\t\tnodeid:          1:\tlocalhost\n\
    \t\tnodeid:          2:\tconnected\nLINK ID 1 udp\n\taddr\t= 10.1.0.1\n\tstatus:\n\t\tnodeid:          1:\tlocalhost\n\t\tnodeid:          2:\tdisconnected\n";

/// pve-docs pvecm.adoc, "pvecm status" of a cluster with a QDevice.
const STATUS_TOOL: &str = "Quorum information\n------------------\nDate:             Sun Nov 22 06:00:00 2026\nQuorum provider:  corosync_votequorum\n\
    Nodes:            2\nNode ID:          0x00000001\nRing ID:          1.1a\nQuorate:          Yes\n\nVotequorum information\n----------------------\n\
    Expected votes:   3\nHighest expected: 3\nTotal votes:      3\nQuorum:           2\nFlags:            Quorate Qdevice\n\n\
    Membership information\n----------------------\n    Nodeid      Votes    Qdevice Name\n0x00000001          1    A,V,NMW 192.0.2.1 (local)\n\
    0x00000002          1    A,V,NMW 192.0.2.2\n0x00000000          1            Qdevice\n";

#[test]
fn links_and_votes_of_corosync_are_read() {
    let links = Links::read(CFGTOOL);
    assert_eq!((links.links.len(), links.down()), (2, vec!["1".to_owned()]));
    let old = Links::read(
        "LINK ID 0\n\tstatus:\n\t\tnodeid  1:\tlink enabled:1\tlink connected:1\n\t\tnodeid  2:\tlink enabled:1\tlink connected:0\n",
    );
    assert_eq!(old.links, [(0, vec!["2".to_owned()])]);
    let votes = Votes::read(STATUS_TOOL);
    assert_eq!((votes.is_quorate, votes.expected, votes.total, votes.quorum), (Some(true), Some(3), Some(3), Some(2)));
    assert_eq!((votes.has_qdevice, votes.qdevice_votes), (true, Some(true)));
    let lost = Votes::read(
        "Quorate:          No\nTotal votes:      1\nFlags:            Qdevice\n         0          0            Qdevice (votes 1)\n",
    );
    assert_eq!((lost.is_quorate, lost.qdevice_votes), (Some(false), Some(false)));
    assert_eq!(Votes::read("Cannot initialize CMAP service\n"), Votes::default());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\{|\\}|\\[|\\]|\"(data|type|node|lrm|status|vmid|storage)\"|:|,|\"é\\(,\"|null|[0-9]{1,9}|nodeid:|LINK ID |0x| Qdevice|\n|Quorate:){0,40}") {
        let _ = (Links::read(&text).down(), Votes::read(&text));
        if let Ok(json) = serde_json::from_str(&text) {
            let _ = (Membership::read(&json), Ha::read(&json), Resources::read(&json), units(&json), tasks(&json));
        }
    }

    #[test]
    fn any_truncation_reads_or_refuses(cut in 0usize..1400) {
        for whole in [STATUS, HA, RESOURCES, UNITS, TASKS] {
            if let Ok(json) = serde_json::from_str(whole.get(..cut).unwrap_or(whole)) {
                let _ = (Membership::read(&json), Ha::read(&json), Resources::read(&json), units(&json), tasks(&json));
            }
        }
        for whole in [CFGTOOL, STATUS_TOOL] {
            let _ = (Links::read(whole.get(..cut).unwrap_or(whole)), Votes::read(whole.get(..cut).unwrap_or(whole)));
        }
    }

    #[test]
    fn any_member_of_another_kind_reads_or_refuses(at in 0usize..1400, with in "(null|7|\"\"|\\[\\]|\\{\\}|true)") {
        for whole in [STATUS, HA, RESOURCES, UNITS, TASKS] {
            let Some((head, tail)) = whole.split_at_checked(at) else { continue };
            let Some(colon) = tail.find(':') else { continue };
            let rest = tail.get(colon + 1..).unwrap_or_default();
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            let text = format!("{head}{}{with}{}", tail.get(..=colon).unwrap_or_default(), rest.get(end..).unwrap_or_default());
            if let Ok(json) = serde_json::from_str(&text) {
                let _ = (Membership::read(&json), Ha::read(&json), Resources::read(&json), units(&json), tasks(&json));
            }
        }
    }
}
