//! Interfaces as the kernel shows them, healthy and not.

use super::*;
use crate::sim_view::SimView;
use crate::testing::{build, env, number, target, text, within};

const IP_LINK: &str = include_str!("../../../../tests/data/captures/ip_link.txt");
const ETHTOOL: &str = include_str!("../../../../tests/data/captures/ethtool_eth0.txt");

/// /sys of one interface, all well.
fn put(view: &SimView, name: &str, changed: &[(&str, &str)]) {
    let mut files: BTreeMap<&str, &str> = BTreeMap::from([
        ("flags", "0x1003"),
        ("carrier", "1"),
        ("speed", "1000"),
        ("duplex", "full"),
        ("mtu", "1500"),
        ("carrier_changes", "2"),
        ("device/uevent", "DRIVER=virtio_net"),
    ]);
    files.extend(STATISTICS.map(|counter| (match_statistics(counter), "0")));
    files.extend(changed.iter().copied());
    for (file, contents) in files {
        view.put(&format!("/sys/class/net/{name}/{file}"), &format!("{contents}\n"));
    }
}

fn match_statistics(counter: &'static str) -> &'static str {
    Box::leak(format!("statistics/{counter}").into_boxed_str())
}

async fn run(view: &Arc<SimView>, params: &str) -> Observation {
    let probe = build("nic", params, &env(Arc::clone(view) as Arc<dyn HostView>)).expect("built");
    probe.run(&target("192.0.2.1"), within(5000)).await.expect("observed")
}

#[tokio::test]
async fn the_captured_machine_reads_as_ip_and_ethtool_show_it() {
    let view = Arc::new(SimView::new());
    for line in IP_LINK.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        let name = line.split(": ").nth(1).expect("a name");
        let mtu = line.split("mtu ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an MTU");
        let is_metal = name.starts_with("eth");
        let flags = if line.contains("UP") { "0x1003" } else { "0x1002" };
        put(&view, name, &[("mtu", mtu), ("flags", flags)]);
        if !is_metal {
            view.change(|host| host.files.retain(|path, _| path != &format!("/sys/class/net/{name}/device/uevent")));
        }
    }
    let seen = run(&view, "{}").await;
    assert_eq!(
        (number(&seen, "interfaces"), number(&seen, "up"), text(&seen, "down")),
        (4.0, 0.0, "[]".into()),
        "{seen:?}"
    );
    // Switched on, as `ethtool` saw it: 1000 Mb/s, full.
    let speed = ETHTOOL.lines().find_map(|line| line.trim().strip_prefix("Speed: ")).expect("a speed");
    put(&view, "eth0", &[("speed", speed.trim_end_matches("Mb/s")), ("flags", "0x1003")]);
    let seen = run(&view, r#"{"interfaces":["eth0"],"speed_mbps":1000,"mtu":1500}"#).await;
    assert_eq!(
        (text(&seen, "slow"), text(&seen, "half_duplex"), text(&seen, "mtu_wrong")),
        ("[]".into(), "[]".into(), "[]".into())
    );
    assert_eq!(seen.measurements[0].value, Some(1e9));
}

#[tokio::test]
async fn each_fault_of_an_interface_has_its_list() {
    for (changed, params, fact) in [
        (&[("carrier", "0")][..], "{}", "down"),
        (&[("flags", "0x1002")], r#"{"interfaces":["eth0"]}"#, "down"),
        (&[("speed", "100")], r#"{"speed_mbps":1000}"#, "slow"),
        (&[("duplex", "half")], "{}", "half_duplex"),
        (&[("mtu", "9000")], r#"{"mtu":1500}"#, "mtu_wrong"),
    ] {
        let view = Arc::new(SimView::new());
        put(&view, "eth0", changed);
        let seen = run(&view, params).await;
        for name in ["missing", "down", "slow", "half_duplex", "mtu_wrong", "mtu_mixed", "duplex_hints"] {
            let expected = if name == fact { "[eth0]" } else { "[]" };
            assert_eq!(text(&seen, name), expected, "{fact}: {name} {seen:?}");
        }
    }
    let view = Arc::new(SimView::new());
    put(&view, "eth0", &[]);
    assert_eq!(text(&run(&view, r#"{"interfaces":["eth9"]}"#).await, "missing"), "[eth9]");
    // A speed that is not known is not slow; an interface nobody uses is not down.
    put(&view, "eth0", &[("speed", "-1")]);
    put(&view, "eth1", &[("flags", "0x1002"), ("carrier", "0")]);
    let seen = run(&view, r#"{"speed_mbps":1000}"#).await;
    assert_eq!((text(&seen, "slow"), text(&seen, "down")), ("[]".into(), "[]".into()));
}

#[tokio::test]
async fn a_bond_whose_slaves_have_another_mtu_is_named() {
    let view = Arc::new(SimView::new());
    put(&view, "eth0", &[("mtu", "9000")]);
    put(&view, "eth1", &[("mtu", "1500")]);
    put(&view, "bond0", &[("mtu", "9000"), ("bonding/slaves", "eth0 eth1")]);
    assert_eq!(text(&run(&view, "{}").await, "mtu_mixed"), "[bond0]");
    put(&view, "eth1", &[("mtu", "9000")]);
    assert_eq!(text(&run(&view, "{}").await, "mtu_mixed"), "[]");
}

#[tokio::test]
async fn rates_come_with_the_second_look_and_not_after_a_reset() {
    let view = Arc::new(SimView::new());
    put(&view, "eth0", &[("statistics/rx_errors", "5")]);
    let probe = build("nic", "{}", &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
    let (target, look) = (target("192.0.2.1"), || within(5000));
    let first = probe.run(&target, look()).await.expect("observed");
    assert!(!first.facts.contains_key("errors_per_min"));
    put(&view, "eth0", &[("statistics/rx_errors", "25"), ("statistics/rx_crc_errors", "20"), ("carrier_changes", "8")]);
    let second = probe.run(&target, look()).await.expect("observed");
    assert!(number(&second, "errors_per_min") > 0.0, "{second:?}");
    assert_eq!((number(&second, "flaps"), text(&second, "duplex_hints")), (3.0, "[eth0]".into()));
    put(&view, "eth0", &[]);
    let reset = probe.run(&target, look()).await.expect("observed");
    assert_eq!(number(&reset, "errors_per_min"), 0.0, "{reset:?}");
}

#[test]
fn odd_names_and_words_are_refused() {
    let blind = env(Arc::new(SimView::new()));
    for params in [r#"{"interfaces":["../x"]}"#, r#"{"interfaces":[""]}"#, r#"{"duplex":"both"}"#, r#"{"speed":1}"#] {
        assert!(build("nic", params, &blind).is_err(), "{params}");
    }
}
