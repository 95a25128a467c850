//! SNMP of whole boxes end to end: our probes and packs against snmpsim, which answers from the recordings in
//! tests/data/snmp while the test changes them: a port leaves its aggregate, a switch its stack, the mains go.

use std::fs::{self, File, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use stentor::clock::Clock;
use stentor::probes::{Blind, Network, ProbeEnv, ProbeError, Target, find};
use stentor_core::model::{Observation, Value};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Longest wait for anything; an answer takes milliseconds, the rest is patience for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const AUTH: &str = "authpassword-1";
const PRIV: &str = "privpassword-1";

/// snmpsim, put there by `scripts/test peers`; a missing one fails the test, because skipping would hide that nothing was checked.
fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/snmpsim/bin/snmpsim-command-responder");
    assert!(path.is_file(), "{} is not there: `scripts/test peers` installs it", path.display());
    path
}

/// A running snmpsim over a copy of the recordings; killed when dropped.
struct Simulator {
    folder: TempDir,
    port: u16,
    /// Changes are told by the time of a file, in seconds: each is a second later than the one before.
    changes: AtomicU64,
    _process: Child,
}

impl Simulator {
    async fn start() -> Simulator {
        let folder = tempfile::tempdir().unwrap();
        // Started by root it goes on as nobody, and must still get at its files.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["data", "cache"] {
            let inner = folder.path().join(name);
            fs::create_dir(&inner).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(0o777)).unwrap();
        }
        let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/snmp");
        for name in ["array", "host", "pdu", "switch", "ups"] {
            let name = format!("{name}.snmprec");
            fs::copy(recordings.join(&name), folder.path().join("data").join(&name)).unwrap();
        }
        for (name, text) in [("auth", AUTH), ("priv", PRIV), ("switch", "switch"), ("ups", "ups")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        for name in ["array", "host", "pdu"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        // Free now; the simulator takes it at once.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = launch(folder.path(), port);
        let simulator = Simulator { folder, port, changes: AtomicU64::new(1), _process: process };
        simulator
            .until("snmp", r#""oids":[{"oid":"sysUpTime.0"}]"#, "ups", |seen| seen.facts["snmp"] == "ok".into())
            .await;
        simulator
    }

    async fn run(&self, kind: &str, login: &str, own: &str) -> Result<Observation, ProbeError> {
        let comma = if own.is_empty() { "" } else { "," };
        let text = format!("{{\"port\":{},{login}{comma}{own}}}", self.port);
        let params: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let env = ProbeEnv { net: Network::real(), view: std::sync::Arc::new(Blind), clock: Clock::Machine };
        let probe =
            (find(kind).expect("registered").build)(&params, &env).unwrap_or_else(|error| panic!("{text}: {error}"));
        let target = Target { host: "box".into(), address: "127.0.0.1".into(), bmc: None };
        probe.run(&target, Instant::now() + Duration::from_secs(20)).await
    }

    fn v2c(&self, recording: &str) -> String {
        format!("\"community_file\":\"{}\"", self.folder.path().join(recording).display())
    }

    fn v3(&self, recording: &str) -> String {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        format!(
            r#""user":"mon","context":"{recording}","auth":"sha256","auth_password_file":"{}","priv":"aes128","priv_password_file":"{}""#,
            file("auth"),
            file("priv")
        )
    }

    async fn until(
        &self,
        kind: &str,
        own: &str,
        recording: &str,
        is_wanted: impl Fn(&Observation) -> bool,
    ) -> Observation {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.run(kind, &self.v2c(recording), own).await {
                Ok(seen) if is_wanted(&seen) => return seen,
                // It reads a changed recording anew, and is silent for so long.
                _ if Instant::now() < until => sleep(LOOK_EVERY).await,
                other => panic!("not what was waited for: {other:?}; {}", self.log()),
            }
        }
    }

    /// Changes a recording while it is answered from: each line is what `edit` makes of it, gone if nothing.
    fn edit(&self, recording: &str, edit: impl Fn(&str) -> Option<String>) {
        let path = self.folder.path().join("data").join(format!("{recording}.snmprec"));
        let text = fs::read_to_string(&path).unwrap();
        let edited: String = text.lines().filter_map(edit).map(|line| line + "\n").collect();
        assert_ne!(text, edited, "the change changes something");
        fs::write(&path, edited).unwrap();
        let later = Duration::from_secs(self.changes.fetch_add(1, Ordering::Relaxed));
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() + later).unwrap();
    }

    fn set(&self, recording: &str, oid: &str, value: &str) {
        self.edit(recording, |line| {
            let (known, rest) = line.split_once('|').expect("identifier, tag, value");
            let (tag, _) = rest.split_once('|').expect("tag, value");
            Some(if known == oid { format!("{oid}|{tag}|{value}") } else { line.to_owned() })
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn launch(folder: &Path, port: u16) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    let mut command = Command::new(program());
    command
        .arg(format!("--data-dir={}", folder.join("data").display()))
        .arg(format!("--cache-dir={}", folder.join("cache").display()))
        .arg(format!("--agent-udpv4-endpoint=127.0.0.1:{port}"))
        .args(["--v3-user=mon", "--v3-auth-proto=SHA256", "--v3-priv-proto=AES"])
        // It says a line for each object it is asked for.
        .arg("--log-level=error")
        .args([format!("--v3-auth-key={AUTH}"), format!("--v3-priv-key={PRIV}")]);
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        command.args(["--process-user=nobody", "--process-group=nogroup"]);
    }
    command.env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true).spawn().unwrap()
}

fn json(seen: &Observation, fact: &str) -> String {
    serde_json::to_string(&seen.facts[fact]).unwrap()
}

const STACK: &str = r#""members":2,"lags":{"Po1":2,"Po2":2}"#;

#[tokio::test]
async fn both_versions_read_the_same_boxes() {
    let simulator = Simulator::start().await;
    for (kind, recording, text) in [
        ("snmp_switch", "switch", "2 of 2 stack members ready, 4 of 4 aggregates whole, 14 of 14 ports up"),
        ("snmp_ups", "ups", "output from normal, battery normal, charge 100%, time left 42 min, load 22%"),
        ("snmp_pdu", "pdu", "rack 7 A: load normal, 3100 W, 3 of 4 outlets on"),
        ("snmp_host", "host", "processors 30%, memory 75%, fullest /var 93%"),
        ("snmp_array", "array", "san1: 8 of 8 parts well"),
    ] {
        for login in [simulator.v2c(recording), simulator.v3(recording)] {
            let seen = simulator.run(kind, &login, "").await;
            let seen = seen.unwrap_or_else(|error| panic!("{kind}: {error}; {}", simulator.log()));
            assert_eq!(&*seen.text, text, "{login}");
        }
    }
}

#[tokio::test]
async fn a_port_that_leaves_and_a_switch_that_goes_are_seen_while_it_happens() {
    let simulator = Simulator::start().await;
    // The switch attaches Gi2/0/1 to nothing, and hears nobody there.
    simulator.edit("switch", |line| {
        Some(match line {
            "1.2.840.10006.300.43.1.2.1.1.13.10201|2|5101" => "1.2.840.10006.300.43.1.2.1.1.13.10201|2|0".to_owned(),
            "1.2.840.10006.300.43.1.2.1.1.21.10201|4x|bc" => "1.2.840.10006.300.43.1.2.1.1.21.10201|4x|a2".to_owned(),
            other => other.to_owned(),
        })
    });
    let left = simulator.until("snmp_switch", STACK, "switch", |seen| json(seen, "lags_degraded") != "[]").await;
    assert_eq!((json(&left, "lags_degraded"), json(&left, "stack_down")), (r#"["Po1"]"#.into(), "[]".into()));

    // Then all of the second switch loses its power: its rows are gone.
    simulator.edit("switch", |line| {
        let index = line.split('|').next().and_then(|oid| oid.rsplit('.').next()).and_then(|arc| arc.parse().ok());
        let is_gone =
            index.is_some_and(|index: u32| (10_200..10_300).contains(&index) || (2_001..2_100).contains(&index));
        (!is_gone).then(|| line.replace("500.1.1.3.0|2|1", "500.1.1.3.0|2|2"))
    });
    let gone = simulator.until("snmp_switch", STACK, "switch", |seen| json(seen, "stack_down") != "[]").await;
    assert_eq!((json(&gone, "stack_down"), json(&gone, "ring")), (r#"["2 removed"]"#.into(), r#""broken""#.into()));
    assert_eq!(json(&gone, "lags_degraded"), r#"["Po1","Po2"]"#);
    let removed = r#"{"cswSwitchState":11,"member":"2","role":"unknown","state":"removed"}"#;
    assert!(json(&gone, "stack").contains(removed), "the signal `stack`: {}", json(&gone, "stack"));
}

#[tokio::test]
async fn a_ups_whose_mains_go_says_how_long_it_lasts() {
    let simulator = Simulator::start().await;
    simulator.set("ups", "1.3.6.1.2.1.33.1.3.3.1.3.1", "0");
    simulator.set("ups", "1.3.6.1.2.1.33.1.2.3.0", "7");
    simulator.set("ups", "1.3.6.1.2.1.33.1.4.1.0", "5");
    let seen = simulator.until("snmp_ups", "", "ups", |seen| json(seen, "source") == r#""battery""#).await;
    assert_eq!(json(&seen, "ups"), r#"{"minutes":7,"upsBatteryStatus":2,"upsOutputSource":5}"#, "the signal `ups`");
    assert_eq!(json(&seen, "input_v_min"), "0");
}
