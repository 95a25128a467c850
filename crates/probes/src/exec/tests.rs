//! Plugins that behave badly, as real processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stentor_core::model::{Outcome, ServiceState, UnknownCause};

use super::*;
use crate::clock::Clock;
use crate::{Blind, Network};

/// Far longer than any of these plugins needs; a run that takes it has hung.
const LONG: Duration = Duration::from_secs(60);
/// For plugins that never end by themselves.
const SHORT: Duration = Duration::from_millis(600);

fn built(config: serde_json::Value) -> Result<Exec, String> {
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
    let config = serde_json::from_value(config).map_err(|e| e.to_string())?;
    Exec::build(config, &env).map_err(|e| e.to_string())
}

fn target() -> Target {
    Target { host: "web01".into(), address: "192.0.2.1".into(), bmc: None }
}

/// A directory with a script that another process wrote: a descriptor of ours, open for writing while another test
/// spawns, would make it "text file busy".
struct Script {
    dir: tempfile::TempDir,
    file: PathBuf,
}

fn script(text: &str) -> Script {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("check");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", text])
        .arg(&file)
        .status()
        .expect("a shell");
    assert!(status.success());
    Script { dir, file }
}

async fn run_config(config: serde_json::Value, limit: Duration) -> Observation {
    let probe = built(config).expect("a valid configuration");
    let deadline = Instant::now() + limit;
    let seen = Probe::run(&probe, &target(), deadline).await.expect("the plugin can be started");
    // The contract of `Probe::run`, with room for a busy machine.
    assert!(Instant::now() < deadline + Duration::from_secs(10), "ran past its deadline");
    seen
}

async fn run_script(script: &Script, limit: Duration) -> Observation {
    run_config(json!({"command": [script.file], "env": {"DIR": script.dir.path()}}), limit).await
}

async fn run_text(text: &str, limit: Duration) -> Observation {
    run_script(&script(&format!("#!/bin/sh\n{text}")), limit).await
}

fn state(seen: &Observation) -> ServiceState {
    match seen.outcome {
        Outcome::Reported(state) => state,
        Outcome::Observed | Outcome::Failed(_) | Outcome::ReportedHost(_) => panic!("no state reported: {seen:?}"),
    }
}

/// Waits for the process whose id the script wrote to be gone (or a zombie that its new parent has not reaped).
async fn wait_gone(pid_file: &Path) {
    let pid = std::fs::read_to_string(pid_file).expect("the script wrote its process id");
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone = async {
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("the process survived");
}

#[tokio::test]
async fn a_plugin_runs_unchanged() {
    let seen = run_text("echo \"OK - $# args\"; echo long; echo more '| b=2'; exit 0", LONG).await;
    assert_eq!((state(&seen), &*seen.text), (ServiceState::Ok, "OK - 0 args"));
    assert_eq!(&*seen.long_text, "long\nmore ");
    assert_eq!(seen.measurements.len(), 1);
}

#[tokio::test]
async fn a_script_without_an_interpreter_line_runs_in_the_shell() {
    let seen = run_script(&script("echo plain; exit 1"), LONG).await;
    assert_eq!((state(&seen), &*seen.text), (ServiceState::Warning, "plain"));
}

#[tokio::test]
async fn shell_syntax_and_macros_work() {
    let command = "echo \"$HOSTNAME$ at $HOSTADDRESS$\" | tr a-z A-Z; exit 2";
    let seen = run_config(json!({"command": command}), LONG).await;
    assert_eq!((state(&seen), &*seen.text), (ServiceState::Critical, "WEB01 AT 192.0.2.1"));
}

#[tokio::test]
async fn a_hanging_plugin_and_its_children_are_killed_at_the_deadline() {
    let hang = script("#!/bin/sh\nsleep 1000 & echo $! > $DIR/child; echo $$ > $DIR/leader; wait");
    let seen = run_script(&hang, SHORT).await;
    assert_eq!(state(&seen), ServiceState::Critical);
    assert!(seen.text.starts_with("(Service check timed out after 0."), "{}", seen.text);
    wait_gone(&hang.dir.path().join("child")).await;
    wait_gone(&hang.dir.path().join("leader")).await;
}

#[tokio::test]
async fn a_plugin_is_asked_to_end_before_it_is_killed() {
    let polite = script("#!/bin/sh\ntrap 'echo bye > $DIR/bye; exit 0' TERM; while :; do sleep 0.02; done");
    let seen = run_script(&polite, Duration::from_secs(5)).await;
    assert!(seen.facts.contains_key("timed_out"), "an exit after the deadline is no answer: {seen:?}");
    assert!(polite.dir.path().join("bye").exists(), "no time to clean up");
}

#[tokio::test]
async fn a_plugin_that_ignores_sigterm_is_killed() {
    let deaf = script("#!/bin/sh\ntrap '' TERM; echo $$ > $DIR/leader; while :; do sleep 0.05; done");
    let seen = run_script(&deaf, SHORT).await;
    assert!(seen.facts.contains_key("timed_out"), "{seen:?}");
    wait_gone(&deaf.dir.path().join("leader")).await;
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_dies_although_its_leader_obeyed() {
    let deaf = script("#!/bin/sh\n(trap '' TERM; while :; do sleep 0.05; done) & echo $! > $DIR/child; wait");
    let seen = run_script(&deaf, SHORT).await;
    assert!(seen.facts.contains_key("timed_out"), "{seen:?}");
    wait_gone(&deaf.dir.path().join("child")).await;
}

#[tokio::test]
async fn a_gigabyte_of_output_is_drained_and_not_kept() {
    let seen = run_text("head -c 1073741824 /dev/zero; head -c 100000000 /dev/zero >&2; exit 1", LONG).await;
    assert_eq!(state(&seen), ServiceState::Warning);
    assert!(seen.text.len() <= 8 * 1024, "{} bytes kept", seen.text.len());
    assert!(seen.long_text.contains("output cut after 64 KiB"), "{}", seen.long_text);
}

#[tokio::test]
async fn endless_output_ends_at_the_deadline() {
    let seen = run_text("exec cat /dev/zero", SHORT).await;
    assert!(seen.facts.contains_key("timed_out"), "{:?}", seen.facts);
}

#[tokio::test]
async fn a_daemon_that_holds_the_pipe_neither_delays_nor_survives() {
    let forks = script("#!/bin/sh\nsleep 1000 & echo $! > $DIR/child; echo started; exit 1");
    let before = Instant::now();
    let seen = run_script(&forks, LONG).await;
    assert_eq!((state(&seen), &*seen.text), (ServiceState::Warning, "started"));
    assert!(before.elapsed() < LONG / 2, "waited for the daemon");
    wait_gone(&forks.dir.path().join("child")).await;
}

#[tokio::test]
async fn a_daemon_in_a_session_of_its_own_does_not_delay_the_result() {
    let forks = script(
        "#!/bin/sh\nsetsid sh -c 'echo $$ > $DIR/child; exec sleep 60' & \
                        until [ -s $DIR/child ]; do sleep 0.01; done; echo started",
    );
    let before = Instant::now();
    let seen = run_script(&forks, LONG).await;
    let daemon = std::fs::read_to_string(forks.dir.path().join("child")).expect("the daemon wrote its id");
    let _ = std::process::Command::new("/bin/kill").args(["-9", daemon.trim()]).status();
    assert_eq!((state(&seen), &*seen.text), (ServiceState::Ok, "started"));
    assert!(before.elapsed() < LONG / 2, "waited for the daemon");
}

#[tokio::test]
async fn a_cancelled_run_leaves_no_process() {
    let hang = script("#!/bin/sh\nsleep 1000 & echo $! > $DIR/tmp; mv $DIR/tmp $DIR/child; wait");
    let probe = built(json!({"command": [hang.file], "env": {"DIR": hang.dir.path()}})).expect("valid");
    let written = hang.dir.path().join("child");
    let ready = async {
        while !written.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let target = target();
    tokio::select! {
        seen = Probe::run(&probe, &target, Instant::now() + LONG) => panic!("ended by itself: {seen:?}"),
        () = ready => {}
    }
    wait_gone(&written).await;
}

/// Short lives and longer ones, little output and more than a pipe holds, all at once.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_runs_gets_its_own_end_and_its_own_words() {
    let mut runs = tokio::task::JoinSet::new();
    for i in 0..300 {
        runs.spawn(async move {
            let script = match i % 4 {
                0 => format!("echo run {i}; exit {}", i % 3),
                1 => format!("read -t 0.0{} < /dev/zero; echo run {i}; exit {}", i % 10, i % 3),
                2 => format!("echo run {i}; head -c 200000 /dev/zero | tr '\\0' x >&2; exit {}", i % 3),
                _ => format!("echo run {i} >&2; exec >&- 2>&-; exit {}", i % 3),
            };
            let seen = run_config(json!({"command": ["/bin/sh", "-c", script]}), LONG).await;
            (i, seen)
        });
    }
    let mut ended = 0;
    while let Some(run) = runs.join_next().await {
        let (i, seen) = run.expect("no run panics");
        assert_eq!(Some(state(&seen)), ServiceState::from_code(i % 3), "{i}: {seen:?}");
        assert!(seen.text.split_whitespace().last() == Some(&*i.to_string()), "{i}: {seen:?}");
        ended += 1;
    }
    assert_eq!(ended, 300);
}

#[tokio::test]
async fn missing_output_and_odd_ends_have_their_texts() {
    for (text, expected_state, expected) in [
        ("echo boom >&2; exit 2", ServiceState::Critical, "(No output on stdout) stderr: boom"),
        ("exit 0", ServiceState::Ok, "(No output returned from plugin)"),
        ("exit 3", ServiceState::Unknown, "(No output returned from plugin)"),
        (
            "no-such-command-here; exit 127",
            ServiceState::Critical,
            "(Return code of 127 is out of bounds. Check if plugin exists)",
        ),
        ("echo x; exit 77", ServiceState::Critical, "(Return code of 77 is out of bounds)"),
        ("echo x; kill -9 $$", ServiceState::Critical, "(Service check did not exit properly)"),
    ] {
        let seen = run_text(text, LONG).await;
        assert_eq!((state(&seen), &*seen.text), (expected_state, expected), "{text}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_start_is_what_a_shell_would_say() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let missing = run_config(json!({"command": [dir.path().join("gone")]}), LONG).await;
    assert_eq!(&*missing.text, "(Return code of 127 is out of bounds. Check if plugin exists)");
    assert!(missing.long_text.contains("gone"), "{}", missing.long_text);
    let forbidden = run_config(json!({"command": [dir.path()]}), LONG).await;
    assert_eq!(&*forbidden.text, "(Return code of 126 is out of bounds. Check if plugin is executable)");
}

#[tokio::test]
async fn the_plugin_sees_a_small_environment_and_no_input() {
    let seen = run_text("read x && exit 2; env; exit 0", LONG).await;
    assert_eq!(state(&seen), ServiceState::Ok);
    let all = format!("{}\n{}", seen.text, seen.long_text);
    assert!(all.contains("LANG=C") && all.contains("PATH=/usr/local/sbin:"), "{all}");
    assert!(!all.contains("CARGO"), "our environment leaked: {all}");
}

#[tokio::test]
async fn children_get_the_usual_number_of_descriptors() {
    raise_descriptor_limit();
    let seen = run_text("until [ $(ulimit -n) -le 1024 ]; do :; done; echo limited", LONG).await;
    assert_eq!(&*seen.text, "limited");
}

#[tokio::test]
async fn the_timeout_state_may_be_unknown() {
    let seen = run_config(json!({"command": "sleep 1000", "timeout_state": "unknown"}), SHORT).await;
    assert_eq!(seen.outcome, Outcome::Failed(UnknownCause::Timeout));
}

#[test]
fn bad_parameters_are_refused_with_a_reason() {
    for (config, part) in [
        (json!({}), "command"),
        (json!({"command": ""}), "empty"),
        (json!({"command": []}), "empty"),
        (json!({"command": "/p/c $USER1$"}), "USER1"),
        (json!({"command": "/p/c", "shell": true}), "shell"),
        (json!({"command": "/p/c", "env": {"A=B": "x"}}), "A=B"),
        (json!({"command": "/p/c", "timeout_state": "down"}), "down"),
    ] {
        let refusal = built(config.clone()).expect_err("refused");
        assert!(refusal.contains(part), "{config}: {refusal}");
    }
}
