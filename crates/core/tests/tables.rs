//! Rules of the classifier that the vectors leave out, as one table: what is seen, what is said.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stentor_core::diagnosis::{Signal, Timing, Topology, diagnose};
use stentor_core::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

/// `host[/component] sig=value [@vantage] [age=s] [since=s] [every=s]`; a value is JSON or a bare word.
fn signal(line: &str) -> Signal {
    let (at, rest) = line.split_once(' ').expect("a place and a fact");
    let (host, component) = match at.split_once('/') {
        Some((host, component)) => (host, Some(component)),
        None => (at, None),
    };
    let (sig, rest) = rest.split_once('=').expect("a fact is sig=value");
    let end = if rest.starts_with('{') {
        rest.rfind('}').expect("an object") + 1
    } else {
        rest.find(" @").or(rest.find(" age=")).or(rest.find(" since=")).or(rest.find(" every=")).unwrap_or(rest.len())
    };
    let (value, options) = rest.split_at(end);
    let json: Json = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    let option = |key: &str| options.split_whitespace().find_map(|word| word.strip_prefix(key));
    let secs = |key: &str| option(key).map(|text| Span::from_secs(text.parse().expect("seconds")));
    let observed_at = NOW - secs("age=").unwrap_or(Span::ZERO);
    Signal {
        host: Some(Arc::from(host)),
        component: component.map(Arc::from),
        sig: Arc::from(sig),
        value: serde_json::from_value(json).expect("any JSON is a value"),
        vantage: option("@").map(Arc::from),
        observed_at,
        changed_at: secs("since=").map_or(observed_at, |since| NOW - since),
        every: secs("every=").unwrap_or(Span::ZERO),
    }
}

fn topology(name: &str) -> Topology {
    let jvm = json!(["clc", "ufs", "sc", "walrus", "vb"]);
    let json = match name {
        "single" => json!({"platform": "eucalyptus", "min_nc": 1, "jvm": jvm, "mgmt_switch": "swm",
            "hosts": {"clc1": ["clc"], "ufs1": ["ufs"], "walrus1": ["walrus"], "cc1": ["cc"], "sc1": ["sc"],
                      "nc1": ["nc"], "nc2": ["nc"], "nc3": ["nc"]},
            "zones": {"one": ["cc1", "sc1", "nc1", "nc2", "nc3"]}}),
        "behind" => json!({"platform": "eucalyptus", "min_nc": 1, "jvm": jvm, "mgmt_switch": "swm",
            "hosts": {"clc1": ["clc"], "nc1": ["nc"], "nc2": ["nc"]}, "zones": {"one": ["nc1", "nc2"]},
            "switches": {"sw1": "single"}, "single_homed": {"sw1": ["nc1", "nc2"]},
            "feeds": {"A": "mains"}, "single_fed": {"A": ["nc1", "nc2", "sw1"]}}),
        "pair" => json!({"platform": "eucalyptus", "release": "3.4", "min_nc": 1, "jvm": jvm,
            "unique": ["clc", "walrus", "cc", "sc"], "drbd": {"r0": ["ws0", "ws1"]},
            "hosts": {"clc1": ["clc"], "clc2": ["clc"], "ws0": ["walrus"], "ws1": ["walrus"], "nc1": ["nc"]},
            "zones": {"one": ["nc1"]}}),
        "cloudstack" => {
            json!({"platform": "cloudstack", "hosts": {"ms1": ["ms"], "db1": ["mysql"], "k1": ["kvm_agent"]},
            "sysvms": {"ssvm": "k1", "vr1": "k1"}})
        }
        "bare" => json!({"hosts": {"a": [], "b": []}}),
        other => panic!("no topology {other}"),
    };
    serde_json::from_value(json).expect("a topology")
}

/// Verdicts as `class/subtype place severity`, sorted; then suppressed places after `<-`; then the Core.
fn said(topology: &Topology, signals: &[Signal], timing: &Timing) -> String {
    let answer = diagnose(topology, signals, NOW, timing);
    let place = |host: &Option<Arc<str>>, component: &Option<Arc<str>>| match (host, component) {
        (Some(host), Some(component)) => format!("{host}/{component}"),
        (Some(host), None) => host.to_string(),
        (None, Some(component)) => format!("*/{component}"),
        (None, None) => "?".to_owned(),
    };
    let mut lines: Vec<String> = answer
        .verdicts
        .iter()
        .map(|v| {
            let at = place(&v.target.host, &v.target.component);
            let hidden: Vec<String> = v.suppressed.iter().map(|s| place(&s.host, &s.component)).collect();
            let hidden = if hidden.is_empty() { String::new() } else { format!(" <- {}", hidden.join(" ")) };
            format!("{}/{} {at} {}{hidden}", v.class.as_str(), v.subtype, v.severity.as_str())
        })
        .collect();
    lines.sort();
    lines.push(format!("core {}", answer.core.as_str()));
    lines.join("; ")
}

struct Case {
    rule: &'static str,
    topology: &'static str,
    seen: &'static str,
    said: &'static str,
}

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let lines = case.seen.split(';').map(str::trim).filter(|line| !line.is_empty());
        let signals: Vec<Signal> = lines.map(signal).collect();
        let got = said(&topology(case.topology), &signals, &Timing::default());
        if got != case.said {
            wrong.push(format!("{}\n  got  {got}\n  want {}", case.rule, case.said));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hosts_are_told_apart_by_power_links_and_vantage() {
    check(&[
        Case {
            rule: "an off power state confirms a single failed ping",
            topology: "single",
            seen: "nc1 ping=fail; nc1 bmc=ok; nc1 power=off",
            said: "server_down/power_off nc1 critical <- nc1/nc; core degraded",
        },
        Case {
            rule: "power alone says nothing about a host that nobody tried to reach",
            topology: "single",
            seen: "nc1 bmc=ok; nc1 power=off; nc2 agent=stale",
            said: "core available",
        },
        Case {
            rule: "one lost ping beside a living agent is no verdict on the server",
            topology: "single",
            seen: "nc1 ping=fail; nc1 agent=ok",
            said: "core available",
        },
        Case {
            rule: "a silent BMC leaves power and network open",
            topology: "single",
            seen: "sc1 ping=fail; sc1 ssh=timeout; sc1 bmc=unreachable; sc1 power=unknown",
            said: "server_down/bmc_dark sc1 critical <- sc1/sc; core unavailable",
        },
        Case {
            rule: "all links down under power is a cut-off host, not a dead one",
            topology: "single",
            seen: r#"nc1 ping=fail; nc1 ssh=timeout; nc1 bmc=ok; nc1 power=on; nc1 link={"sw1": "down", "sw2": "down"}"#,
            said: "network/host_links nc1 critical; core degraded",
        },
    ]);
}

#[test]
fn a_path_that_fails_is_not_the_host_behind_it() {
    check(&[
        Case {
            rule: "one of three vantages is that vantage's path",
            topology: "single",
            seen: "nc1 ping=fail @s2; nc1 ping=ok; nc1 ping=ok @s3",
            said: "network_path/single_vantage nc1 info; core available",
        },
        Case {
            rule: "one of two vantages is a warning",
            topology: "single",
            seen: "nc1 ping=fail; nc1 ssh=timeout; nc1 ping=ok @s2",
            said: "network_path/single_vantage nc1 warning; core available",
        },
        Case {
            rule: "a host that only its agent can reach has a path problem, and so have its ports",
            topology: "single",
            seen: "nc1 ping=fail; nc1 ssh=timeout; nc1 agent=ok; nc1/nc port=timeout; nc1/nc process=running",
            said: "network_path/partial nc1 warning <- nc1/nc; core available",
        },
        Case {
            rule: "a port that times out under a running process is a filter or its VLAN",
            topology: "single",
            seen: "nc1 ping=ok; nc1 agent=ok; nc1/nc port=timeout; nc1/nc process=running",
            said: "network/vlan nc1/nc warning; core degraded",
        },
        Case {
            rule: "a port that times out and nothing else is too little",
            topology: "single",
            seen: "nc1 ping=ok; nc1/nc port=timeout",
            said: "unknown/insufficient nc1/nc unknown; core available",
        },
        Case {
            rule: "hosts outside every cloud are judged by the same table",
            topology: "bare",
            seen: "a ping=fail; a ssh=timeout; a bmc=ok; a power=on; b ping=ok",
            said: "server_down/os_dead a critical; core available",
        },
        Case {
            rule: "a last word from before the failure does not keep a host alive",
            topology: "single",
            seen: "nc1 agent=ok age=40 since=9000 every=10; nc1 ping=fail age=2 since=35 every=10; \
                   nc1 ssh=timeout age=2 since=35 every=10; nc1 power=off",
            said: "server_down/power_off nc1 critical <- nc1/nc; core degraded",
        },
    ]);
}

#[test]
fn a_reboot_is_told_until_everything_runs_again() {
    check(&[
        Case {
            rule: "components that start after a boot belong to the reboot",
            topology: "single",
            seen: "sc1 ping=ok; sc1 uptime_s=120; sc1/sc port=refused; sc1/sc process=absent",
            said: "server_down/rebooting sc1 critical <- sc1/sc; core unavailable",
        },
        Case {
            rule: "a young uptime with everything well is no verdict",
            topology: "single",
            seen: "sc1 ping=ok; sc1 uptime_s=120; sc1/sc port=open; sc1/sc service_state=ENABLED",
            said: "core available",
        },
        Case {
            rule: "the uptime goes on while nobody looks",
            topology: "single",
            seen: "sc1 ping=ok; sc1 uptime_s=200 age=150; sc1/sc port=refused; sc1/sc process=absent",
            said: "software_down/crashed sc1/sc critical; core unavailable",
        },
        Case {
            rule: "a missing resource is its own cause even right after a boot",
            topology: "single",
            seen: r#"sc1 ping=ok; sc1 uptime_s=120; sc1/sc process=running; sc1/sc service_state=NOTREADY;
                   sc1/sc resource={"kind": "backend", "level": "crit"}"#,
            said: "resource_unavailable/backend sc1/sc critical; core unavailable",
        },
        Case {
            rule: "a JVM may take its grace",
            topology: "single",
            seen: "sc1 ping=ok; sc1/sc port=open; sc1/sc process=running age=2 since=100; sc1/sc service_state=NOTREADY",
            said: "starting/grace sc1/sc info; core unavailable",
        },
        Case {
            rule: "after the grace NOTREADY is a failure",
            topology: "single",
            seen: "sc1 ping=ok; sc1/sc port=open; sc1/sc process=running age=2 since=400; sc1/sc service_state=NOTREADY",
            said: "resource_unavailable/dependency sc1/sc critical; core unavailable",
        },
    ]);
}

#[test]
fn shared_causes_need_evidence_of_their_own() {
    let dark = "nc1 ping=fail; nc1 ssh=timeout; nc2 ping=fail; nc2 ssh=timeout";
    let with = |rest: &str| format!("{dark}; {rest}");
    let blind = "nc1 bmc=unreachable; nc1 power=unknown; nc2 bmc=unreachable; nc2 power=unknown";
    let cases = [
        (
            "a switch that says nothing may have died with its hosts",
            with("clc1 ping=ok; nc1 power=on; nc2 power=on"),
            "network/switch sw1 critical <- nc1 nc2; core unavailable",
        ),
        (
            "a switch that says nothing while the power is unknown still may",
            with("clc1 ping=ok"),
            "network/switch sw1 critical <- nc1 nc2; core unavailable",
        ),
        (
            "a switch that reports up is not blamed without power on behind it",
            with(r#"clc1 ping=ok; sw1 switch={"state": "up"}"#),
            "server_down/os_dead nc1 critical <- nc1/nc; server_down/os_dead nc2 critical <- nc2/nc; core unavailable",
        ),
        (
            "hosts that their BMCs call off are off",
            with(r#"clc1 ping=ok; sw1 switch={"state": "down"}; nc1 power=off; nc2 power=off; nc1 bmc=ok; nc2 bmc=ok"#),
            "server_down/power_off nc1 critical <- nc1/nc; server_down/power_off nc2 critical <- nc2/nc; \
             unknown/check_conflict sw1 unknown; core unavailable",
        ),
        (
            "feed lost with a silent management switch: power and network cannot be told apart",
            with(&format!(r#"clc1 ping=ok; {blind}; sw1 switch={{"state": "down"}}"#)),
            "server_down/bmc_dark nc1 critical <- nc1/nc; server_down/bmc_dark nc2 critical <- nc2/nc; \
             unknown/check_conflict sw1 unknown; core unavailable",
        ),
        (
            "feed lost as the management switch sees it",
            with(&format!(r#"clc1 ping=ok; {blind}; swm switch={{"state": "up", "bmc_ports_down": ["nc1", "nc2"]}}"#)),
            "power_event/feed_lost A critical <- nc1 nc2; core unavailable",
        ),
        (
            "a majority of three vantages takes a zone with silent BMCs for dead",
            with("nc1 ping=fail @s2; nc2 ping=fail @s2; clc1 ping=ok; clc1 ping=ok @s2; clc1 ping=ok @s3"),
            "site_down/quorum one critical <- nc1 nc2; core unavailable",
        ),
    ];
    for (rule, seen, said) in &cases {
        let seen: &'static str = Box::leak(seen.clone().into_boxed_str());
        check(&[Case { rule, topology: "behind", seen, said }]);
    }
}

#[test]
fn hints_beside_an_absent_process_change_the_class() {
    check(&[
        Case {
            rule: "exit 219 is the lost database",
            topology: "cloudstack",
            seen: "ms1 ping=ok; ms1/ms process=absent; ms1/ms port=refused; ms1/ms exit_code=219",
            said: "resource_unavailable/db ms1/ms critical; core unavailable",
        },
        Case {
            rule: "another exit code is a crash",
            topology: "cloudstack",
            seen: "ms1 ping=ok; ms1/ms process=absent; ms1/ms port=refused; ms1/ms exit_code=1",
            said: "software_down/crashed ms1/ms critical; core unavailable",
        },
        Case {
            rule: "the OOM killer puts the host at risk beside the crash",
            topology: "cloudstack",
            seen: "ms1 ping=ok; ms1/ms process=absent; ms1/ms port=refused; \
                   ms1/ms log=Out of memory: Killed process 4711 (java)",
            said: "resource_at_risk/capacity ms1 warning; software_down/crashed ms1/ms critical; core unavailable",
        },
        Case {
            rule: "a full work space keeps the NC from starting",
            topology: "single",
            seen: "nc1 ping=ok; nc1/nc process=absent; nc1/nc log=insufficient available work space",
            said: "resource_unavailable/disk nc1/nc warning; core degraded",
        },
        Case {
            rule: "a log line alone is no verdict",
            topology: "single",
            seen: "nc1 ping=ok; nc1/nc log=insufficient available work space; nc1/nc process=running",
            said: "core available",
        },
        Case {
            rule: "a CLC that finds its lock after a partition is a split brain",
            topology: "pair",
            seen: "clc1 ping=ok; clc1/clc process=absent; clc1/clc port=refused; clc1/clc fault=1011",
            said: "split_brain/dual_active */clc critical <- clc1/clc; core degraded",
        },
        Case {
            rule: "two ENABLED of a unique service are a split brain",
            topology: "pair",
            seen: "clc1 ping=ok; clc1/clc service_state=ENABLED; clc2 ping=ok; clc2/clc service_state=ENABLED",
            said: "split_brain/dual_active */clc critical; core degraded",
        },
        Case {
            rule: "the kernel's words are a split brain without any other signal",
            topology: "pair",
            seen: "ws0 log=block drbd0: Split-Brain detected, dropping connection!",
            said: "split_brain/drbd r0 critical; core degraded",
        },
        Case {
            rule: "a disconnected pair whose peer lives has lost its redundancy",
            topology: "pair",
            seen: r#"ws0 ping=ok; ws1 ping=ok; ws0 drbd={"res": "r0", "cs": "WFConnection", "ro": "Primary/Unknown", "ds": "UpToDate/DUnknown"}"#,
            said: "redundancy_lost/drbd_connection r0 major; core available",
        },
    ]);
}

#[test]
fn what_eucalyptus_says_before_it_ends_changes_the_class() {
    check(&[
        Case {
            rule: "a CLC whose database another has in use is a split brain",
            topology: "pair",
            seen: "clc1 ping=ok; clc1/clc process=absent; clc1/clc port=refused; clc1/clc fault=1010",
            said: "split_brain/dual_active */clc critical <- clc1/clc; core degraded",
        },
        Case {
            rule: "what Walrus says of its root before it ends is the mount, not the crash",
            topology: "single",
            seen: "walrus1 ping=ok; walrus1/walrus process=absent; walrus1/walrus port=refused; \
                   walrus1/walrus log=Cannot write to bucket root directory",
            said: "resource_unavailable/disk walrus1/walrus critical; core unavailable",
        },
    ]);
}

#[test]
fn a_pair_takes_over_before_anybody_is_paged_critically() {
    let crashed =
        "clc1 ping=ok; clc2 ping=ok; clc1/clc process=absent age=2 since={}; clc1/clc port=refused age=2 since={}";
    for (since, passive, said) in [
        ("60", "DISABLED", "software_down/crashed clc1/clc major; core degraded"),
        ("400", "DISABLED", "software_down/crashed clc1/clc critical <- clc2/clc; core unavailable"),
        ("400", "ENABLED", "software_down/crashed clc1/clc major; core available"),
    ] {
        let seen = format!("{}; clc2/clc service_state={passive}", crashed.replace("{}", since));
        let seen: &'static str = Box::leak(seen.into_boxed_str());
        check(&[Case { rule: passive, topology: "pair", seen, said }]);
    }
}

#[test]
fn sensors_of_a_host_are_told_by_what_is_left() {
    for (seen, said) in [
        (r#"nc1 fan={"id": "FAN1", "offsets": [2]}"#, "redundancy_lost/fan nc1 warning"),
        (r#"nc1 fan={"id": "FAN", "offsets": [1]}"#, "redundancy_lost/fan nc1 major"),
        (r#"nc1 temp={"id": "Inlet", "offsets": [7]}"#, "resource_at_risk/temperature nc1 warning"),
        (r#"nc1 temp={"id": "Inlet", "offsets": [7, 9]}"#, "resource_at_risk/temperature nc1 critical"),
        (r#"nc1 mem={"id": "DIMM_A1", "offsets": [0]}"#, "resource_at_risk/memory_ecc nc1 warning"),
        (r#"nc1 mem={"id": "DIMM_A1", "offsets": [5]}"#, "resource_at_risk/memory_ecc nc1 major"),
        (r#"nc1 mem={"id": "DIMM_A1", "offsets": [1]}"#, "resource_at_risk/memory_ecc nc1 critical"),
        (r#"nc1 smart={"id": "sda", "passed": false}"#, "resource_at_risk/smart nc1 warning"),
        (r#"nc1 psu={"id": "PS1", "offsets": [0, 2]}"#, "redundancy_lost/psu_failed nc1 warning"),
        (r#"nc1 raid={"vd": "0/0", "level": "RAID5", "state": "OfLn"}"#, "resource_unavailable/disk nc1 critical"),
        (
            r#"nc1 raid={"vd": "0/0", "level": "RAID6", "state": "Dgrd", "pd_failed": ["1"]}"#,
            "redundancy_lost/raid_degraded nc1 warning",
        ),
        (r#"nc1 raid={"vd": "0/0", "state": "Optl", "bbu": "Failed"}"#, "redundancy_lost/raid_battery nc1 warning"),
        (
            r#"nc1 bond={"name": "b", "slaves": 3, "up": 2, "down": ["eth1"], "ports": 2}"#,
            "redundancy_lost/bond_slave nc1 warning",
        ),
        (
            r#"nc1 bond={"name": "b", "slaves": 2, "up": 2, "down": [], "ports": 0}"#,
            "redundancy_lost/lacp_partner nc1 major",
        ),
        (
            r#"nc1 path={"map": "m", "active": 2, "total": 4, "controllers_active": 1}"#,
            "redundancy_lost/path nc1 major",
        ),
        (r#"nc1 path={"map": "m", "active": 0, "total": 4}"#, "resource_unavailable/san_path nc1 critical"),
        ("nc1 bmc=unreachable", "redundancy_lost/bmc_unreachable nc1 warning"),
        (r#"nc1 fan={"id": "FAN redundancy", "offsets": [0]}"#, ""),
        (r#"nc1 fan={"id": "FAN1", "offsets": []}"#, ""),
        (r#"nc1 temp={"id": "Inlet"}"#, ""),
    ] {
        let line = format!("nc1 ping=ok; nc2 bmc=ok; {seen}");
        let seen: &'static str = Box::leak(line.into_boxed_str());
        let said = if said.is_empty() { "core available".to_owned() } else { format!("{said}; core available") };
        check(&[Case { rule: "sensor", topology: "single", seen, said: Box::leak(said.into_boxed_str()) }]);
    }
    check(&[
        Case {
            rule: "all BMCs silent at once are the management network",
            topology: "single",
            seen: r#"nc1 ping=ok; nc2 ping=ok; nc1 bmc=unreachable; nc2 bmc=unreachable; swm switch={"state": "down"}"#,
            said: "redundancy_lost/bmc_unreachable swm warning <- nc1 nc2; core available",
        },
        Case {
            rule: "a silent BMC of a silent host is part of its failure",
            topology: "single",
            seen: "nc1 ping=fail; nc1 ssh=timeout; nc1 bmc=unreachable",
            said: "server_down/bmc_dark nc1 critical <- nc1/nc; core degraded",
        },
        Case {
            rule: "maintenance silences a lost disk but not a lost array",
            topology: "single",
            seen: r#"nc1 maintenance=true; nc1 ping=ok; nc1 psu={"id": "PS1", "offsets": [0, 3]};
                   nc1 raid={"vd": "0/0", "state": "OfLn"}"#,
            said: "admin_stopped/maintenance nc1 info <- nc1/nc; resource_unavailable/disk nc1 critical; core degraded",
        },
    ]);
}

#[test]
fn an_upstream_failure_explains_only_what_began_after_it() {
    let line = "clc1 ping=ok; ufs1 ping=ok; clc1/clc process=absent age=2 since=30; clc1/clc port=refused age=2 since=30; \
                ufs1/ufs port=open age=2 since=9000; ufs1/ufs process=running age=2 since=9000; \
                ufs1/ufs service_state=NOTREADY age=2 since=";
    for (since, said) in [
        ("20", "software_down/crashed clc1/clc critical <- ufs1/ufs; core unavailable"),
        ("90", "software_down/crashed clc1/clc critical <- ufs1/ufs; core unavailable"),
        (
            "91",
            "resource_unavailable/dependency ufs1/ufs critical; software_down/crashed clc1/clc critical; \
             core unavailable",
        ),
    ] {
        let seen: &'static str = Box::leak(format!("{line}{since}").into_boxed_str());
        check(&[Case { rule: since, topology: "single", seen, said }]);
    }
}

#[test]
fn dependants_keep_what_is_really_their_own() {
    check(&[
        Case {
            rule: "a dead CLC does not kill a UFS process",
            topology: "single",
            seen: "clc1 ping=ok; clc1/clc port=refused; clc1/clc process=absent; \
                   ufs1 ping=ok; ufs1/ufs port=refused; ufs1/ufs process=absent",
            said: "software_down/crashed clc1/clc critical; software_down/crashed ufs1/ufs critical; core unavailable",
        },
        Case {
            rule: "a full disk is no consequence of a dead CLC",
            topology: "single",
            seen: r#"clc1 ping=ok; clc1/clc port=refused; clc1/clc process=absent; ufs1 ping=ok;
                   ufs1/ufs port=open; ufs1/ufs process=running; ufs1/ufs service_state=NOTREADY;
                   ufs1/ufs resource={"kind": "disk", "level": "crit"}"#,
            said: "resource_unavailable/disk ufs1/ufs critical; software_down/crashed clc1/clc critical; core unavailable",
        },
        Case {
            rule: "a CC that serves while its nodes wait for it has failed",
            topology: "single",
            seen: r#"cc1 ping=ok; cc1/cc port=open; cc1/cc process=running; cc1/cc service_state=ENABLED;
                   cc1/cc resource={"kind": "membership", "level": "crit"};
                   nc1 ping=ok; nc1/nc port=open; nc1/nc process=running; nc1/nc service_state=NOTREADY"#,
            said: "resource_unavailable/membership cc1/cc critical <- nc1/nc; core unavailable",
        },
        Case {
            rule: "the same CC without waiting nodes is at risk",
            topology: "single",
            seen: r#"cc1 ping=ok; cc1/cc port=open; cc1/cc process=running; cc1/cc service_state=ENABLED;
                   cc1/cc resource={"kind": "membership", "level": "crit"}"#,
            said: "resource_at_risk/membership cc1/cc major; core degraded",
        },
    ]);
}

#[test]
fn a_missing_part_and_a_short_one_are_told_apart() {
    check(&[
        Case {
            rule: "a full file system of the host explains the component that fails on it",
            topology: "single",
            seen: r#"ufs1 ping=ok; ufs1 resource={"kind": "disk", "level": "crit", "detail": "/var"};
                   ufs1/ufs port=open; ufs1/ufs process=running; ufs1/ufs heartbeat=not_enabled"#,
            said: "resource_unavailable/disk ufs1/ufs critical; core unavailable",
        },
        Case {
            rule: "a full file system under a component that serves is the host's own matter",
            topology: "single",
            seen: r#"ufs1 ping=ok; ufs1 resource={"kind": "disk", "level": "crit", "detail": "/var"};
                   ufs1/ufs port=open; ufs1/ufs process=running; ufs1/ufs heartbeat=enabled"#,
            said: "core available",
        },
        Case {
            rule: "a page does not prove that a node works without its hypervisor",
            topology: "single",
            seen: r#"nc1 ping=ok; nc1/nc port=open; nc1/nc process=running; nc1/nc http=200;
                   nc1/nc resource={"kind": "hypervisor", "level": "crit"}"#,
            said: "resource_unavailable/hypervisor nc1/nc warning; core degraded",
        },
        Case {
            rule: "a disk above its threshold under a port that still serves is a risk",
            topology: "single",
            seen: r#"ufs1 ping=ok; ufs1/ufs port=open; ufs1/ufs process=running;
                   ufs1/ufs resource={"kind": "disk", "level": "crit"}"#,
            said: "resource_at_risk/disk ufs1/ufs major; core degraded",
        },
        Case {
            rule: "the controller's ENABLED outweighs a missing part until a request fails",
            topology: "single",
            seen: r#"nc1 ping=ok; nc1/nc port=open; nc1/nc service_state=ENABLED;
                   nc1/nc resource={"kind": "hypervisor", "level": "crit"}"#,
            said: "resource_at_risk/hypervisor nc1/nc major; core degraded",
        },
    ]);
}

#[test]
fn instances_and_second_processes_do_not_hide_the_cause() {
    check(&[
        Case {
            rule: "system VMs fall with their node",
            topology: "cloudstack",
            seen: "k1 ping=fail; k1 ssh=timeout; k1 power=off; ssvm ping=fail; ssvm ssh=timeout; ms1 ping=ok",
            said: "server_down/power_off k1 critical <- k1/kvm_agent ssvm ssvm/ssvm; core available",
        },
        Case {
            rule: "two processes of one component: the dead one counts, whoever spoke last",
            topology: "single",
            seen: "nc1 ping=ok; nc1/nc port=refused age=3 every=10 since=50; nc1/nc process=absent age=8 every=10 since=50; \
                   nc1/nc process=running age=1 every=10 since=9000",
            said: "software_down/crashed nc1/nc warning; core degraded",
        },
    ]);
}

#[test]
fn the_core_is_what_still_serves() {
    check(&[
        Case {
            rule: "a slow answer degrades",
            topology: "single",
            seen: "clc1 ping=ok; clc1/clc probe=slow",
            said: "resource_at_risk/capacity clc1/clc warning; core degraded",
        },
        Case {
            rule: "a part that is gone under one that still serves degrades",
            topology: "single",
            seen: r#"clc1 ping=ok; clc1/clc service_state=ENABLED; clc1/clc resource={"kind":"db","level":"crit","detail":"x"}"#,
            said: "resource_at_risk/db clc1/clc major; core degraded",
        },
        Case {
            rule: "one that runs short does not",
            topology: "single",
            seen: r#"clc1 ping=ok; clc1/clc service_state=ENABLED; clc1/clc resource={"kind":"disk","level":"warn","detail":"x"}"#,
            said: "resource_at_risk/disk clc1/clc warning; core available",
        },
        Case {
            rule: "fewer than 70 % of the nodes degrade, though the zone has enough",
            topology: "single",
            seen: "nc1 ping=ok; nc1/nc port=refused; nc1/nc process=absent",
            said: "software_down/crashed nc1/nc warning; core degraded",
        },
        Case {
            rule: "what is in maintenance does not serve",
            topology: "single",
            seen: "cc1 maintenance=true",
            said: "admin_stopped/maintenance cc1 info <- cc1/cc; core unavailable",
        },
        Case {
            rule: "nor does what starts",
            topology: "single",
            seen: "ufs1 ping=ok; ufs1/ufs port=open; ufs1/ufs process=running since=20 every=10; ufs1/ufs service_state=LOADED since=20 every=10",
            said: "starting/grace ufs1/ufs info; core unavailable",
        },
        Case {
            rule: "CloudStack: without its database",
            topology: "cloudstack",
            seen: "db1 ping=ok; db1/mysql port=refused; db1/mysql process=absent",
            said: "software_down/crashed db1/mysql critical; core unavailable",
        },
    ]);
}

#[test]
fn confidence_follows_the_planes_that_agree_contradict_or_age() {
    let confidence = |seen: &str| {
        let signals: Vec<Signal> = seen.split("; ").map(signal).collect();
        let answer = diagnose(&topology("single"), &signals, NOW, &Timing::default());
        assert_eq!(answer.verdicts.len(), 1, "{seen}: {:?}", answer.verdicts);
        answer.verdicts[0].confidence
    };
    let base = "sc1 ping=ok; sc1/sc port=refused; sc1/sc process=absent";
    assert_eq!(confidence(base), 0.95);
    assert_eq!(confidence(&format!("{base}; sc1/sc service_state=NOTREADY")), 0.98);
    assert_eq!(
        confidence(&format!("{base}; sc1/sc service_state=NOTREADY; sc1/sc heartbeat=none")),
        0.99,
        "the ceiling"
    );
    assert_eq!(confidence(&format!("{base}; sc1/sc heartbeat=enabled")), 0.75, "contradicted");
    assert_eq!(confidence("sc1 ping=ok; sc1/sc port=refused age=61; sc1/sc process=absent age=61"), 0.85, "aged");
    assert_eq!(confidence("sc1 ping=ok; sc1/sc port=refused age=60; sc1/sc process=absent age=60"), 0.95);
    assert_eq!(confidence("sc1 ping=ok; sc1/sc port=refused"), 0.8, "nobody looked at the process");
    let limit = "sc1/sc log=sc.service: start request repeated too quickly";
    assert_eq!(confidence(&format!("{base}; {limit}")), 0.98, "systemd has given up");
    let doubted = "sc1/sc resource={\"kind\": \"disk\", \"level\": \"ok\"} age=400";
    assert_eq!(confidence(&format!("{base}; {doubted}")), 0.75, "its disk was watched, and is not any more");
}

#[test]
fn a_failure_is_as_old_as_what_failed_and_not_as_what_is_well() {
    let seen = [
        "nc1 ping=fail age=2 since=40",
        "nc1 ssh=timeout age=2 since=45",
        "nc1 power=on age=2 since=90000",
        r#"nc1 link={"sw1": "up"} age=2 since=90000"#,
        r#"nc1 bond={"name": "b", "slaves": 2, "up": 2, "down": [], "ports": 2} age=2 since=90000"#,
    ];
    let signals: Vec<Signal> = seen.iter().map(|line| signal(line)).collect();
    let answer = diagnose(&topology("single"), &signals, NOW, &Timing::default());
    assert_eq!(answer.verdicts[0].since, NOW - Span::from_secs(45));
}

#[test]
fn nobody_is_paged_critically_on_a_guess() {
    let seen = ["sc1 ping=fail age=61", "sc1 ssh=timeout age=61", "sc1 bmc=unreachable age=61"];
    let signals: Vec<Signal> = seen.iter().map(|line| signal(line)).collect();
    let said = said(&topology("single"), &signals, &Timing::default());
    assert_eq!(said, "server_down/bmc_dark sc1 major <- sc1/sc; core unavailable");
}

#[test]
fn every_length_shrinks_with_the_pace() {
    let timing = Timing::default().at_pace(30.0);
    assert_eq!((timing.fresh_floor, timing.jvm_grace), (Span::from_secs(6), Span::from_secs(10)));
    let old: Vec<Signal> =
        ["sc1 ping=ok", "sc1/sc port=refused age=7", "sc1/sc process=absent age=7"].map(signal).into();
    assert_eq!(said(&topology("single"), &old, &timing), "core available");
    assert_ne!(said(&topology("single"), &old, &Timing::default()), "core available");
}
