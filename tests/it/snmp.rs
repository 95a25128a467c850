//! SNMP end to end: our probes against Net-SNMP's `snmpd`, with `snmpwalk` as the second reader.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::probes::snmp::{Access, Agent};
use stentor::probes::{Blind, ErasedProbe, Network, ProbeEnv, ProbeError, Target, find};
use stentor_core::model::{Observation, Value};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Longest wait for anything; an answer takes milliseconds, the rest is patience for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const COMMUNITY: &str = "stentor-test";
const AUTH: &str = "authpassword-1";
const PRIV: &str = "privpassword-1";

/// A UPS on battery, as `snmpd` can be told to have one: the last two numbers of the identifier below UPS-MIB, and the value.
const UPS: [(&str, u32); 6] =
    [("2.1.0", 3), ("2.2.0", 60), ("2.3.0", 7), ("2.4.0", 35), ("4.1.0", 5), ("4.4.1.5.1", 31)];

/// Where a program is; a missing one fails the test, because skipping would hide that nothing was checked.
fn program(name: &str, package: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install {package} (scripts/test does)"))
}

/// A running agent; killed when dropped.
struct Snmpd {
    folder: TempDir,
    address: SocketAddr,
    process: Child,
}

fn start(folder: &Path) -> Child {
    // The agent writes there what it must not forget, and reads it again: not into its configuration.
    std::fs::create_dir(folder.join("state")).unwrap();
    Command::new(program("snmpd", "snmpd"))
        .args(["-f", "-C", "-c", "snmpd.conf", "-Lf", "log", "-p", "pid"])
        .current_dir(folder)
        .env("SNMP_PERSISTENT_DIR", folder.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl Snmpd {
    async fn start() -> Snmpd {
        let folder = tempfile::tempdir().unwrap();
        // Free now; the agent takes it at once.
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = format!(
            "agentaddress udp:{address}\nrocommunity {COMMUNITY} 127.0.0.1\n\
             createUser sha256 SHA-256 \"{AUTH}\" AES \"{PRIV}\"\ncreateUser sha1 SHA \"{AUTH}\" AES \"{PRIV}\"\n\
             createUser signed SHA-512 \"{AUTH}\"\n\
             rouser sha256 priv\nrouser sha1 priv\nrouser signed auth\nsysName one.example\nsysLocation rack 7\n"
        );
        for (oid, value) in UPS {
            config.push_str(&format!("override 1.3.6.1.2.1.33.1.{oid} integer {value}\n"));
        }
        for (name, text) in [("snmpd.conf", config.as_str()), ("community", COMMUNITY), ("auth", AUTH), ("priv", PRIV)]
        {
            std::fs::write(folder.path().join(name), format!("{text}\n")).unwrap();
        }
        std::fs::write(folder.path().join("wrong"), "some other secret\n").unwrap();
        let process = start(folder.path());
        let agent = Snmpd { folder, address, process };
        let probe = agent.probe(&net(), "snmp", r#""community_file":"F/community","oids":[{"oid":"sysUpTime.0"}]"#);
        agent.until(&probe, |seen| seen.facts["snmp"] == "ok".into()).await;
        agent
    }

    /// `F/` in the parameters is this agent's folder.
    fn probe(&self, env: &ProbeEnv, kind: &str, params: &str) -> Arc<dyn ErasedProbe> {
        let folder = format!("{}/", self.folder.path().display());
        let text = format!("{{\"port\":{},{}}}", self.address.port(), params.replace("F/", &folder));
        let params: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (find(kind).expect("registered").build)(&params, env).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    async fn run(&self, env: &ProbeEnv, kind: &str, params: &str) -> Result<Observation, ProbeError> {
        self.probe(env, kind, params).run(&target(), Instant::now() + PATIENCE).await
    }

    async fn seen(&self, env: &ProbeEnv, kind: &str, params: &str) -> Observation {
        self.run(env, kind, params).await.unwrap_or_else(|error| panic!("{kind} {params}: {error}; {}", self.log()))
    }

    /// Runs the probe until what it sees is wanted.
    async fn until(&self, probe: &Arc<dyn ErasedProbe>, is_wanted: impl Fn(&Observation) -> bool) -> Observation {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = probe.run(&target(), (Instant::now() + Duration::from_secs(2)).min(until)).await;
            match seen {
                Ok(seen) if is_wanted(&seen) => return seen,
                Ok(_) | Err(ProbeError::Timeout(_)) if Instant::now() < until => tokio::task::yield_now().await,
                other => panic!("not what was waited for: {other:?}; {}", self.log()),
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn net() -> ProbeEnv {
    ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine }
}

fn target() -> Target {
    Target { host: "sw1".into(), address: "127.0.0.1".into(), bmc: None }
}

fn v2c() -> String {
    r#""community_file":"F/community""#.to_owned()
}

fn v3(user: &str, auth: &str) -> String {
    format!(
        r#""user":"{user}","auth":"{auth}","auth_password_file":"F/auth","priv":"aes128","priv_password_file":"F/priv""#
    )
}

fn json(seen: &Observation, fact: &str) -> String {
    serde_json::to_string(&seen.facts[fact]).unwrap()
}

const OBJECTS: &str = r#""oids":[{"oid":"sysName.0","name":"name","expect":"^one\\."},{"oid":"1.3.6.1.2.1.1.6.0","name":"place"},{"oid":"1.3.6.1.4.1.99999.1.0","name":"none"}]"#;

#[tokio::test]
async fn every_version_reads_the_same() {
    let (agent, env) = (Snmpd::start().await, net());
    let signed = r#""user":"signed","auth":"sha512","auth_password_file":"F/auth""#.to_owned();
    let v1 = r#""version":"1","community_file":"F/community""#.to_owned();
    for login in [v1, v2c(), v3("sha256", "sha256"), v3("sha1", "sha1"), signed] {
        let seen = agent.seen(&env, "snmp", &format!("{login},{OBJECTS}")).await;
        assert_eq!(json(&seen, "values"), r#"{"name":"one.example","place":"rack 7"}"#, "{login}");
        assert_eq!(json(&seen, "missing"), r#"["none"]"#, "{login}");
        assert_eq!(json(&seen, "unmatched"), "[]", "{login}");
    }
}

#[tokio::test]
async fn a_wrong_login_is_no_dead_agent() {
    let agent = Snmpd::start().await;
    let wrong = |text: &str, file: &str| text.replace(file, "F/wrong");
    let run = async |login: &str| {
        // Nothing is remembered of the agent: each login is the first.
        let probe = agent.probe(&net(), "snmp", &format!(r#"{login},"retries":0,{OBJECTS}"#));
        probe.run(&target(), Instant::now() + Duration::from_secs(3)).await
    };
    for (login, wanted) in [
        (v3("nobody", "sha256"), "silent to this user"),
        (wrong(&v3("sha256", "sha256"), "F/auth"), "silent to this user"),
        (v3("sha256", "sha1"), "silent to this user"),
        (wrong(&v3("sha256", "sha256"), "F/priv"), "silent to this user"),
        (r#""user":"sha256","auth":"sha256","auth_password_file":"F/auth""#.to_owned(), "authorizationError"),
    ] {
        let error = run(&login).await.unwrap_err();
        assert!(matches!(&error, ProbeError::Failed(why) if why.contains(wanted)), "{login}: {error}");
    }
    // To a community that it does not know an agent is silent (RFC 1157 §4.1).
    let seen = run(r#""community_file":"F/wrong""#).await.unwrap();
    assert_eq!(seen.facts["snmp"], "timeout".into());
}

#[tokio::test]
async fn interfaces_are_those_that_snmpwalk_shows() {
    let (agent, env) = (Snmpd::start().await, net());
    let walk = Command::new(program("snmpwalk", "snmp"))
        .args(["-v2c", "-c", COMMUNITY, "-Oqv", &agent.address.to_string(), "1.3.6.1.2.1.31.1.1.1.1"])
        .output()
        .await
        .unwrap();
    let names: Vec<String> =
        String::from_utf8_lossy(&walk.stdout).lines().map(|line| line.trim_matches('"').to_owned()).collect();
    assert!(names.contains(&"lo".to_owned()), "{names:?}");
    for login in [v2c(), v3("sha256", "sha256")] {
        let seen = agent.seen(&env, "snmp_if", &login).await;
        let Value::List(found) = &seen.facts["interface"] else { panic!("{seen:?}") };
        let found: Vec<&str> = found.iter().filter_map(|one| one.get("name")?.text()).collect();
        assert_eq!(found, names);
    }
    // The agent's own traffic with us runs over the loopback interface, so its counters grow.
    let probe = agent.probe(&env, "snmp_if", &format!(r#"{},"names":["lo","nosuch0"]"#, v2c()));
    let busy = |seen: &Observation| {
        seen.measurements.iter().any(|one| &*one.label == "lo in_bps" && one.value.is_some_and(|bps| bps > 0.0))
    };
    let seen = agent.until(&probe, busy).await;
    assert_eq!((json(&seen, "up"), json(&seen, "down")), (r#"["lo"]"#.into(), "[]".into()));
    assert_eq!((json(&seen, "not_found"), json(&seen, "restarted")), (r#"["nosuch0"]"#.into(), "false".into()));
}

#[tokio::test]
async fn a_ups_on_battery_is_read() {
    let (agent, env) = (Snmpd::start().await, net());
    for login in [v2c(), v3("sha1", "sha1")] {
        let seen = agent.seen(&env, "snmp_ups", &login).await;
        assert_eq!(
            &*seen.text,
            "output from battery, battery low, charge 35%, time left 7 min, load 31%, on battery for 60 s"
        );
        assert_eq!(json(&seen, "ups"), r#"{"minutes":7,"upsBatteryStatus":3,"upsOutputSource":5}"#);
    }
}

#[tokio::test]
async fn an_agent_that_dies_is_silent_and_one_that_comes_back_is_read_again() {
    let (mut agent, env) = (Snmpd::start().await, net());
    let probe = agent.probe(&env, "snmp", &format!("{},{OBJECTS}", v3("sha256", "sha256")));
    agent.until(&probe, |seen| seen.facts["snmp"] == "ok".into()).await;
    agent.process.kill().await.unwrap();
    agent.until(&probe, |seen| seen.facts["snmp"] == "timeout".into()).await;
    // The same address, another engine with other boots and time: what is remembered of the old one must not lock us out.
    std::fs::remove_dir_all(agent.folder.path().join("state")).unwrap();
    agent.process = start(agent.folder.path());
    agent.until(&probe, |seen| seen.facts["snmp"] == "ok".into()).await;
}

#[tokio::test]
async fn the_agent_of_a_check_is_built_without_its_secrets_in_sight() {
    let agent = Snmpd::start().await;
    let file = agent.folder.path().join("community");
    let access: Access = serde_json::from_value(serde_json::json!({ "community_file": file })).unwrap();
    let found: Agent = access.agent(&Network::real(), &target(), Instant::now() + PATIENCE).await.unwrap();
    assert!(!format!("{found:?}").contains(COMMUNITY), "{found:?}");
}
