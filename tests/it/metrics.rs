//! The exposition against Prometheus's own checker, which must be installed (`promtool`, Debian package prometheus).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use stentor::web::metrics::encode::{Encoder, Labels};
use stentor::web::metrics::{Format, Part, own_figures};
use stentor_core::catalog::{Catalog, Check, Host, Service, Zone};
use stentor_core::id::{CheckId, HostId, ServiceId, ZoneId};
use stentor_core::model::{Observation, ServiceState, Value};
use stentor_core::snapshot::{Counters, Detail, Flags, Row, Snapshot};
use stentor_core::{Span, Timestamp};

/// Names and labels that would break a careless encoder.
const NASTY: [&str; 5] = ["plain", "quote\"d", "back\\slash\\", "new\nline", "ünï {x=\"1\"} 1"];

fn snapshot(hosts: usize) -> Snapshot {
    let check = Check {
        name: "custom/x".into(),
        probe: "".into(),
        params: Value::Null,
        every: Span::from_secs(60),
        retry: Span::from_secs(60),
        timeout: Span::from_secs(5),
        attempts: 1,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness: Span::ZERO,
    };
    let mut catalog = Catalog {
        zones: vec![Zone { name: "z".into(), cloud: None }],
        checks: vec![check],
        hosts: (0..hosts)
            .map(|i| Host {
                display: "".into(),
                services: vec![ServiceId::from_index(i)],
                ..Host::bare(&format!("{} {i}", NASTY[i % NASTY.len()]), ZoneId(0))
            })
            .collect(),
        services: (0..hosts)
            .map(|i| Service {
                host: HostId::from_index(i),
                name: NASTY[(i + 1) % NASTY.len()].into(),
                check: CheckId(0),
                params: Value::Null,
                component: None,
            })
            .collect(),
        ..Catalog::default()
    };
    catalog.reindex();
    let mut flags = Flags::default();
    flags.set(Flags::CHECKED, true);
    let row = Row { flags, last_check: Timestamp::from_millis(1_790_000_000_250), state: 2, ..Row::default() };
    let mut observation = Observation::reported(ServiceState::Critical, "secret output text");
    for label in NASTY.iter().chain(&NASTY) {
        observation = observation.measure(label, 0.1, "s");
    }
    observation = observation.measure(&"long".repeat(100), f64::NAN, "").measure("huge", 1e300, "B");
    observation.measurements[0].warn = "10:20".into();
    observation.measurements[0].crit = "@5:".into();
    let detail = Arc::new(Detail { observation: Some(Arc::new(observation)), ..Detail::default() });
    Snapshot {
        seq: 7,
        at: Timestamp::from_secs(1_790_000_000),
        started: Timestamp::ZERO,
        hosts: vec![row; hosts],
        host_details: vec![Arc::default(); hosts],
        services: vec![row; hosts],
        service_details: vec![detail; hosts],
        host_tracks: Vec::new(),
        service_tracks: Vec::new(),
        ids: Default::default(),
        newest_downtime: 0,
        program: Arc::default(),
        contact_overrides: Arc::default(),
        incidents: Arc::new(BTreeMap::new()),
        downtimes: Arc::default(),
        comments: Default::default(),
        clouds: Arc::default(),
        runs: Arc::default(),
        services_known: Arc::default(),
        agents: Arc::default(),
        counters: Counters::default(),
        degraded: None,
        refused: None,
        catalog: Arc::new(catalog),
    }
}

fn registry() -> Registry {
    let registry = Registry::new();
    let sent = IntCounterVec::new(Opts::new("stentor_notifications_total", "Sent."), &["channel", "outcome"]).unwrap();
    sent.with_label_values(&["email", "sent"]).inc();
    registry.register(Box::new(sent)).unwrap();
    let options = HistogramOpts::new("stentor_collector_check_latency_seconds", "Late starts.");
    let latency = HistogramVec::new(options, &["lane"]).unwrap();
    latency.with_label_values(&["net"]).observe(0.3);
    registry.register(Box::new(latency)).unwrap();
    registry
}

fn scrape(hosts: usize, format: Format) -> String {
    let snapshot = Arc::new(snapshot(hosts));
    let own = own_figures(&snapshot, 3, &registry().gather(), format);
    let labels = Arc::new(Labels::new(Arc::clone(&snapshot.catalog)));
    Encoder::new(snapshot, labels, Part::ALL, format, own).collect()
}

#[test]
fn promtool_accepts_the_text_format() {
    let text = scrape(700, Format::Text);
    assert!(text.len() > 200_000, "several chunks");
    assert_accepted(text);
}

/// `promtool check metrics` has nothing to say against a whole exposition.
pub fn assert_accepted(text: String) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool must be installed: apt install prometheus");
    let mut input = promtool.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = promtool.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.trim().is_empty(), "promtool has complaints: {said}");
}

#[test]
fn each_family_is_described_once_and_kept_together() {
    for format in [Format::Text, Format::OpenMetrics] {
        let text = scrape(700, format);
        let mut families: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
        let count = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), count, "{format:?}");
        let series: Vec<&str> =
            text.lines().filter(|l| !l.starts_with('#')).map(|l| l.rsplit_once(' ').unwrap().0).collect();
        let mut unique = series.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), series.len(), "a repeated series");
    }
}

#[test]
fn openmetrics_ends_with_eof_and_names_counters_without_total() {
    let text = scrape(2, Format::OpenMetrics);
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("# TYPE stentor_notifications counter\nstentor_notifications_total{"), "{text}");
    assert!(text.contains("# TYPE stentor_engine_inputs counter\nstentor_engine_inputs_total 0\n"));
    assert!(!scrape(2, Format::Text).contains("# EOF"));
}

#[test]
fn labels_are_escaped_bounded_and_never_plugin_output() {
    let text = scrape(5, Format::Text);
    assert!(text.contains(r#"host="quote\"d 1",service="back\\slash\\"} 2"#), "{text}");
    assert!(text.contains(r#"host="new\nline 3""#));
    assert!(!text.contains("secret output"));
    assert!(text.lines().all(|line| line.len() < 400));
    assert!(text.contains(
        "stentor_service_last_check_timestamp_seconds{host=\"plain 0\",service=\"quote\\\"d\"} 1790000000.25\n"
    ));
    assert!(text.contains(r#"label="plain",unit="s"} 20"#), "upper end of 10:20");
    assert!(text.contains(r#"label="plain",unit="s"} 5"#), "lower end of @5:");
}

#[test]
fn the_grafana_dashboard_asks_only_for_metrics_that_exist() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/grafana/stentor.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let exposition = scrape(2, Format::Text);
    let families: Vec<&str> =
        exposition.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).collect();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expr = target["expr"].as_str().unwrap();
        let names = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| w.starts_with("stentor_"));
        for name in names {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(families.contains(&family), "{expr}: there is no {name}");
        }
        rules.push_str(&format!("      - record: x\n        expr: {}\n", serde_json::to_string(expr).unwrap()));
    }
    // The checker reads queries only as rules; names of rules may repeat with other labels, so lint is off.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    let parsed = Command::new("promtool").args(["check", "rules", "--lint=none"]).arg(file.path()).output();
    let parsed = parsed.expect("promtool must be installed: apt install prometheus");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
}
