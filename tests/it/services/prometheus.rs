//! The `prometheus` probe against the pages of a real Prometheus server and Debian's node exporter.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_page_of_a_real_exporter_is_read_to_its_last_line() {
    let port = free_port();
    let mut command = Command::new(program("prometheus-node-exporter", "prometheus-node-exporter"));
    let _exporter = spawn(command.arg(format!("--web.listen-address=127.0.0.1:{port}")).stderr(Stdio::null()));
    let params = |expr: &str| json!({"port": port, "expr": expr});
    let seen = run_until("prometheus", params("node_load1"), |seen| fact(seen, "port") == "open").await;
    assert_eq!((fact(&seen, "metrics"), fact(&seen, "samples")), ("ok".into(), "1".into()), "{seen:#?}");
    assert!(!seen.facts.contains_key("unreadable_lines"), "{seen:#?}");

    let cpus = run("prometheus", params("count(node_cpu_seconds_total{mode=\"idle\"})")).await;
    assert_eq!(fact(&cpus, "value"), std::thread::available_parallelism().unwrap().to_string(), "{cpus:#?}");
    let used =
        run("prometheus", params("100 - 100 * node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes")).await;
    assert!(used.facts["value"].number().is_some_and(|pct| pct > 0.0 && pct < 100.0), "{used:#?}");
    let up = run("prometheus", params("min(node_scrape_collector_success{collector=~\"cpu|loadavg\"})")).await;
    assert_eq!(fact(&up, "value"), "1");
    let gone = run("prometheus", params("no_such_metric")).await;
    assert_eq!(fact(&gone, "metrics"), "no_value");
}
