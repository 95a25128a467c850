//! The load in small, with the simulators in this process.

use super::*;

fn small(probe: &'static str, port: u16) -> Load {
    Load {
        probe,
        params: [("port", Value::from(u32::from(port)))].into_iter().collect(),
        rate: 40,
        checks: 40,
        every: Duration::from_secs(1),
        lasting: Duration::from_secs(2),
        addresses: 4,
        per_host: 2,
        concurrency: 8,
        slow: 8,
    }
}

#[test]
fn each_kind_is_measured_and_what_is_silent_is_told_apart() {
    for kind in [Kind::Tcp, Kind::Http, Kind::Snmp] {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let layout = Layout { kind, healthy: 4, silent: 1, ports: 3 };
        let port = runtime.block_on(simulator::serve_here(&layout)).expect("addresses are free");
        let seen =
            runtime.block_on(world::run(&small(kind.probe(), port), 1, Duration::from_secs(3))).expect("it runs");
        assert!(seen.healthy > 0 && seen.silent > 0, "{kind:?}: {seen:?}");
        assert_eq!(seen.wrong, 0, "{kind:?}: {seen:?}");
        assert!(seen.values > 0 && seen.whole.p99_ms >= seen.run.p50_ms, "{kind:?}: {seen:?}");
    }
}

#[test]
fn a_process_knows_what_it_spent() {
    let before = cost::of("self").expect("proc is there").own;
    let mut sum = 0_u64;
    while cost::of("self").expect("proc is there").own.since(&before).cpu_s <= 0.0 {
        sum = std::hint::black_box((0..100_000).sum());
    }
    let memory = cost::memory();
    assert!(sum > 0 && memory.rss_mib > 0 && memory.rss_mib_max > 0);
}
