//! `stentor check` as Nagios sees it: what it prints and its exit status.

use clap::Parser;
use stentor_wire::nagios::{output, perfdata as wire_perfdata};

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    check: CheckArgs,
}

async fn stentor_check(line: &str) -> (u8, String) {
    let words = std::iter::once("check").chain(line.split_whitespace());
    let args = Cli::try_parse_from(words).expect("arguments of the test parse").check;
    let mut out = Vec::new();
    let code = run(&args, &mut out).await.expect("printed");
    (code, String::from_utf8(out).expect("text"))
}

#[tokio::test]
async fn an_open_port_is_ok_with_perfdata_and_a_closed_one_critical() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("address").port();
    let (code, text) = stentor_check(&format!("tcp -H 127.0.0.1 -p {port} -w 5 -c 10")).await;
    assert_eq!(code, 0, "{text}");
    let parsed = output::parse(text.as_bytes());
    assert!(parsed.short.starts_with("TCP OK - 127.0.0.1:"), "{text}");
    let items = wire_perfdata::parse_strict(&parsed.perfdata).expect("perfdata is valid");
    assert_eq!((items[0].label.as_str(), items[0].uom.as_str()), ("time", "s"));
    assert_eq!((items[0].warn.as_str(), items[0].crit.as_str()), ("5", "10"));
    drop(listener);
    let (code, text) = stentor_check(&format!("tcp -H 127.0.0.1 -p {port}")).await;
    assert_eq!(code, 2, "{text}");
    assert!(text.starts_with("TCP CRITICAL - "), "{text}");
}

#[tokio::test]
async fn probes_of_this_machine_print_valid_perfdata() {
    for kind in ["load", "memory", "uptime", "disk -p /", "bond", "mdraid"] {
        let (code, text) = stentor_check(kind).await;
        assert!(code <= 2, "{kind}: {text}");
        let parsed = output::parse(text.as_bytes());
        let items = wire_perfdata::parse_strict(&parsed.perfdata);
        assert!(items.is_ok(), "{kind}: {items:?} in {text}");
    }
}

#[tokio::test]
async fn a_process_check_does_not_find_itself() {
    let (code, text) = stentor_check("process -p no-such-program-runs-here-[0-9]").await;
    assert_eq!(code, 2, "{text}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_unknown() {
    for line in [
        "nonsense",
        "tcp",
        "tcp -p 99999",
        "tcp -p 22 -w 5:1",
        "tcp -p 22 -t 0",
        "tcp -p 22 -o x",
        "tcp -p 22 -o nosuch=1",
        "disk -H 192.0.2.1",
        "http --user me",
    ] {
        let (code, text) = stentor_check(line).await;
        assert_eq!(code, 3, "{line}: {text}");
        assert!(text.contains(" UNKNOWN - "), "{line}: {text}");
    }
}

#[tokio::test]
async fn help_has_an_example_for_every_kind() {
    for entry in REGISTRY {
        let (code, text) = stentor_check(&format!("{} --help", entry.kind)).await;
        assert_eq!(code, 0);
        for needed in [format!("stentor check {}", entry.kind).as_str(), "-w, --warning", "-t, --timeout"] {
            assert!(text.contains(needed), "{} --help lacks `{needed}`:\n{text}", entry.kind);
        }
    }
    let (_, text) = stentor_check("--help").await;
    assert!(text.contains("Example") && text.contains("mdraid"), "{text}");
}

#[tokio::test]
async fn json_carries_state_facts_and_measurements() {
    let (code, text) = stentor_check("uptime --json").await;
    let answer: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
    assert_eq!((code, &answer["state"], &answer["code"]), (0, &"OK".into(), &0.into()));
    assert!(answer["facts"]["uptime_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{text}");
    assert_eq!(answer["measurements"][0]["label"], "uptime");
}

#[test]
fn labels_with_blanks_and_quotes_are_quoted() {
    let item = Measurement { min: Some(0.0), crit: "95".into(), ..Measurement::new("used_pct /a'b", 1.5, "%") };
    assert_eq!(perfdata(&item), "'used_pct /a''b'=1.5%;;95;0");
    assert_eq!(perfdata(&Measurement { value: None, ..Measurement::new("x", 0.0, "s") }), "x=U");
    assert_eq!(perfdata(&Measurement::new("x", 0.00001, "")), "x=0.00001");
}

#[test]
fn a_bar_in_the_text_does_not_begin_perfdata() {
    let seen = Observation::observed("no process matches `a|b`").measure("count", 0.0, "");
    let report = Report { kind: "process", seen, verdict: Verdict { state: ServiceState::Critical, why: None } };
    assert_eq!(report.plugin_output(0), "PROCESS CRITICAL - no process matches `a/b` | count=0");
}
