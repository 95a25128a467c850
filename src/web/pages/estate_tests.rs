//! Weak points, topology and time left: what is known is shown, escaped, and to the point.

use std::sync::Arc;

use stentor_core::catalog::layout::{Accepted, Feed, Layout, Link, MAINS, Switch, Wiring};
use stentor_core::id::{CheckId, HostId, ServiceId};
use stentor_core::model::{Observation, Value};
use stentor_core::snapshot::{Detail, Flags, Snapshot};
use stentor_core::{Timestamp, timeleft};

use super::tests::{page, tags};
use crate::web::auth::Role;
use crate::web::fixture;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Lets a service of that host be looked at by that probe, with that result, just now.
fn sees(snapshot: &mut Snapshot, host: &str, service: &str, probe: &str, observation: Observation) -> ServiceId {
    let id = snapshot.service(host, service).unwrap();
    let catalog = Arc::make_mut(&mut snapshot.catalog);
    let check = CheckId::from_index(catalog.checks.len());
    let old = catalog.services[id.index()].check;
    let mut new = catalog.checks[old.index()].clone();
    new.probe = probe.into();
    catalog.checks.push(new);
    catalog.services[id.index()].check = check;
    snapshot.service_details[id.index()] =
        Arc::new(Detail { observation: Some(Arc::new(observation)), ..Detail::default() });
    let row = &mut snapshot.services[id.index()];
    row.flags.set(Flags::STALE, false);
    row.flags.set(Flags::CHECKED, true);
    row.last_check = snapshot.at;
    id
}

fn wiring(host: HostId, feeds: &[&str], links: &[&str]) -> Wiring {
    let links = links.iter().map(|link| Link::parse(link)).collect();
    Wiring { host, feeds: feeds.iter().map(|feed| (*feed).into()).collect(), links, vm_on: None }
}

fn drifting() -> Snapshot {
    let mut snapshot = fixture::snapshot();
    let host = |name: &str| snapshot.host(name).unwrap();
    let (front, back) = (host("ufs-01"), host("clc-01"));
    let mut wirings =
        vec![wiring(front, &["A", "A"], &["eth0=sw1/1", "eth1=sw2/1"]), wiring(back, &["A", "B"], &["sw1"])];
    wirings.sort_by_key(|wiring| wiring.host);
    let switch = |name: &str| Switch {
        name: name.into(),
        aliases: Vec::new(),
        is_stack: false,
        is_management: false,
        feeds: vec!["A".into()],
    };
    Arc::make_mut(&mut snapshot.catalog).layout = Layout {
        switches: vec![switch("sw1"), switch("sw2")],
        feeds: vec![
            Feed { name: "A".into(), source: MAINS.into() },
            Feed { name: "B".into(), source: "ups <1>".into() },
        ],
        wirings,
        accepted: vec![Accepted {
            lint: "psu-one-feed".into(),
            target: "ufs-*".into(),
            reason: "moves in <May>".into(),
        }],
    };
    let heard = r#"{"eth0":{"switch":"sw1","port":"1"},"eth1":{"switch":"sw1","port":"<7>"}}"#;
    sees(&mut snapshot, "ufs-01", "load", "lldp", Observation::observed("").fact("lldp", json(heard)));
    snapshot
}

#[tokio::test]
async fn weak_points_are_listed_with_risk_remedy_and_reason() {
    let fixture = fixture::serve(drifting(), Role::Viewer).await;
    let html = page(&fixture, "/c/ecc/design").await;
    tags(&html).unwrap();
    for text in [
        "<code class=\"mut\">stack-without-ups</code>",
        "sw1 and sw2 carry the same hosts, and none of them is fed by a UPS",
        "ufs-01 eth1 is declared on sw2 port 1, LLDP says sw1 port &#60;7&#62;",
        "moves in &#60;May&#62;",
        "Put at least one switch of the pair, or one member of the stack, on the UPS.",
        "href=\"/h/ufs-01\"",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let open = html.split("id=\"accepted-h\"").next().unwrap();
    assert!(!open.contains("psu-one-feed"), "it is accepted");
    let overview = page(&fixture, "/c/ecc").await;
    assert!(overview.contains("weak points of the design are known") && overview.contains("/c/ecc/design"));
    let elsewhere = page(&fixture, "/c/all/design").await;
    assert!(elsewhere.contains("stack-without-ups"));
}

#[tokio::test]
async fn the_topology_shows_what_is_declared_seen_and_otherwise() {
    let fixture = fixture::serve(drifting(), Role::Viewer).await;
    let html = page(&fixture, "/c/ecc/topology").await;
    tags(&html).unwrap();
    for text in [
        "1 place where the two differ",
        "eth1 is declared on sw2 port 1",
        "LLDP says sw1 port &#60;7&#62;",
        "<li class=\"tc\" data-t=\"confirmed\"",
        "<li class=\"tc\" data-t=\"contradicted\"",
        "eth0 → sw1 1",
        "feed B: 1 host",
        "ups &#60;1&#62;",
        "href=\"/h/nc-bgo-05\"",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let plain = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let html = page(&plain, "/c/all/topology").await;
    assert!(html.contains("Nothing differs.") && !html.contains("id=\"drift\""));
}

#[tokio::test]
async fn an_incident_says_when_what_it_is_about_fails_or_is_well() {
    let mut snapshot = fixture::snapshot();
    let at = snapshot.at;
    let free = |i: i64| Observation::observed("").measure("free /srv", 1e12 - 2e9 * i as f64, "B");
    let disk = sees(&mut snapshot, "ufs-02", "ufs process", "disk", free(39));
    let mut samples = None;
    for i in 0..40 {
        let then = Timestamp::from_millis(at.as_millis() - (39 - i) * 60_000);
        timeleft::remember(&mut samples, "disk", &free(i), then);
    }
    Arc::make_mut(&mut snapshot.service_details[disk.index()]).samples = samples;
    let md = json(r#"{"vd":"md0","state":"Rbld"}"#);
    let rebuild = Observation::observed("").fact("operation", "recovery").fact("finish_min", 25.0).fact("raid", md);
    sees(&mut snapshot, "walrus-01", "disk /", "mdraid", rebuild);
    let key = stentor_core::model::ObjectKey { host: "ufs-02".into(), service: Some("ufs process".into()) };
    let incidents = Arc::make_mut(&mut snapshot.incidents);
    Arc::make_mut(incidents.get_mut(&2418).unwrap()).problems.push(key);
    let left = timeleft::of_incident(&snapshot, &snapshot.incidents[&2418]);
    let hours = left[0].at.since(at).as_secs_f64() / 3600.0;
    assert!((hours - 7.7).abs() < 0.1, "{left:?}");
    let fixture = fixture::serve(snapshot, Role::Viewer).await;
    let html = page(&fixture, "/i/2418").await;
    tags(&html).unwrap();
    for text in ["Time left", "/srv full", "falls by 120 GB an hour", "href=\"/h/ufs-02/ufs%20process\""] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let array = page(&fixture, "/i/2415").await;
    assert!(array.contains("md0 whole again") && array.contains("its own estimate"));
    let list = page(&fixture, "/c/ecc/incidents").await;
    assert!(list.contains("/srv full about ") && list.contains("md0 whole again about "));
    let overview = page(&fixture, "/c/ecc").await;
    assert!(overview.contains("md0 whole again about "), "in the panel of what is at risk");
    let nothing = page(&fixture, "/i/2409").await;
    assert!(nothing.contains("id=\"left\"") && !nothing.contains("Time left"));
}
