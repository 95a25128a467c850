//! SNMP traps end to end: Net-SNMP's `snmptrap` and `snmpinform` to the real program, seen as states of services.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::running::{PATIENCE, Running, until};

const COMMUNITY: &str = "trap-test";
const AUTH: &str = "authpassword-1";
const PRIV: &str = "privpassword-1";
/// What a sender of SNMPv3 traps calls itself.
const ENGINE: &str = "0x8000000001020304";
/// Octets of a platform event (FreeIPMI's ipmi-pet(8) shows them) with severity critical, of sensor 81.
const EVENT: &str = "44454c4c500010598043b2c04f333358000335e87e26003c2020102051\
                     0a0101ffff000000000019000002a20100c1";

/// Where a program is; a missing one fails the test, because skipping would hide that nothing was checked.
fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/bin").join(name);
    assert!(path.is_file(), "`{name}` is not installed: apt-get install snmp (scripts/test does)");
    path
}

struct World {
    stentor: Running,
    port: u16,
}

async fn world(more: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("community", COMMUNITY), ("auth", AUTH), ("priv", PRIV)] {
        std::fs::write(folder.path().join(name), format!("{text}\n")).unwrap();
    }
    // Free now; the service takes it at once.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = format!(
        r#"
        [[zone]]
        name = "here"
        [traps]
        listen = "127.0.0.1:{port}"
        community_files = ["community"]
        {more}
        [[host]]
        name = "sw1"
        address = "127.0.0.1"
        zone = "here"
        check = "none"
        [host.checks.traps]
        [host.checks.snmp]
        every = "1h"
        timeout = "2s"
        params = {{ port = 9, retries = 0 }}
        "#
    );
    for (user, auth) in [("sha1", "sha1"), ("sha256", "sha256")] {
        let privacy = "priv = \"aes128\"\npriv_password_file = \"priv\"\n";
        let login = format!("auth = \"{auth}\"\nauth_password_file = \"auth\"\n{privacy}");
        write!(config, "[[traps.user]]\nname = \"{user}\"\n{login}").unwrap();
    }
    World { stentor: Running::serve(&config, folder).await, port }
}

impl World {
    async fn send(&self, program_name: &str, arguments: &[&str]) -> Output {
        let folder = self.stentor.folder.path();
        let target = format!("127.0.0.1:{}", self.port);
        let place = arguments.iter().position(|argument| *argument == "TO").expect("somewhere");
        let arguments = [&arguments[..place], &[target.as_str()], &arguments[place + 1..]].concat();
        let mut command = Command::new(program(program_name));
        // Nothing of the machine's own configuration or identity.
        command.args(arguments).env("SNMPCONFPATH", folder).env("SNMP_PERSISTENT_DIR", folder.join("persist"));
        command.env("MIBS", "").kill_on_drop(true);
        timeout(PATIENCE, command.output()).await.expect("ends in time").unwrap()
    }

    async fn sent(&self, program_name: &str, arguments: &[&str]) {
        let output = self.send(program_name, arguments).await;
        assert!(output.status.success(), "{program_name} {arguments:?}: {output:?}");
    }

    fn garbage(&self, datagrams: &[&[u8]]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for bytes in datagrams {
            socket.send_to(bytes, ("127.0.0.1", self.port)).unwrap();
        }
    }

    /// Waits until the service says this.
    async fn until_says(&self, state: &str, text: &str) {
        until(&format!("{state}: {text}"), async || {
            let found = self.stentor.service("sw1", "traps").await;
            let is_so = found["state"] == state && found["output"].as_str().unwrap_or_default().contains(text);
            if is_so { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }

    /// The newest trap of this fate.
    async fn until_seen(&self, outcome: &str, text: &str) -> Value {
        until(&format!("{outcome}: {text}"), async || {
            let seen = self.stentor.get("api/v1/traps").await;
            let items = seen["items"].as_array().unwrap().clone();
            let is_it = |item: &&Value| item["outcome"] == outcome && item.to_string().contains(text);
            items.iter().find(is_it).cloned().ok_or(items)
        })
        .await
    }
}

#[tokio::test]
async fn every_version_is_heard_and_says_what_it_means() {
    let world = world("").await;
    // The third word of version 1 is the enterprise, then agent, generic and specific number, up time.
    world
        .sent("snmptrap", &["-v1", "-c", COMMUNITY, "TO", "1.3.6.1.4.1.8072.3.2.10", "127.0.0.1", "4", "0", "100"])
        .await;
    world.until_says("WARNING", "asked with a wrong login").await;
    world.garbage(&[b"", b"\x30", b"not a trap at all", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1], &[0xff; 1400]]);
    let battery = ["1.3.6.1.2.1.33.1.2.3.0", "i", "12", "1.3.6.1.2.1.33.1.2.2.0", "i", "60"];
    let on_battery = ["-v2c", "-c", COMMUNITY, "TO", "", "1.3.6.1.2.1.33.2.1"];
    world.sent("snmptrap", &[&on_battery[..], &battery].concat()).await;
    world.until_says("CRITICAL", "the UPS runs on battery: 12 min left, for 60 s now").await;
    world
        .sent(
            "snmpinform",
            &["-v2c", "-c", COMMUNITY, "TO", "", "1.3.6.1.2.1.33.2.3", "1.3.6.1.2.1.33.1.6.2.1.1.4", "i", "4"],
        )
        .await;
    world.until_seen("taken", "UPS alarm").await;
    for (user, auth) in [("sha1", "SHA"), ("sha256", "SHA-256")] {
        let login = ["-u", user, "-l", "authPriv", "-a", auth, "-A", AUTH, "-x", "AES", "-X", PRIV, "TO", ""];
        let part = format!("1.3.6.1.2.1.131.1.1.1.5.{}", if auth == "SHA" { 1001 } else { 1002 });
        let disabled = ["1.3.6.1.2.1.131.0.2", part.as_str(), "x", "20"];
        world.sent("snmptrap", &[&["-v3", "-e", ENGINE][..], &login, &disabled].concat()).await;
        world.until_seen("taken", &format!("part {} is out", &part[part.len() - 4..])).await;
        let enabled = ["1.3.6.1.2.1.131.0.1", part.as_str(), "x", "00"];
        // An inform asks us first who we are, and waits for its answer.
        world.sent("snmpinform", &[&["-v3"][..], &login, &enabled].concat()).await;
        world.until_seen("taken", &format!("part {} is in", &part[part.len() - 4..])).await;
    }
    let figures = world.stentor.text("metrics?only=self").await;
    for wanted in [
        "stentor_traps_received_total{version=\"1\"} 1",
        "stentor_traps_received_total{version=\"2c\"} 2",
        "stentor_traps_received_total{version=\"3\"} 4",
    ] {
        assert!(figures.contains(wanted), "{wanted}: {figures}");
    }
    world.stentor.stop().await;
}

#[tokio::test]
async fn a_platform_event_is_told_and_taken_back() {
    let world = world("").await;
    let pet = async |specific: &str, event: &str| {
        let head = ["-v1", "-c", COMMUNITY, "TO", "1.3.6.1.4.1.3183.1.1", "127.0.0.1", "6", specific, "100"];
        world.sent("snmptrap", &[&head[..], &["1.3.6.1.4.1.3183.1.1.1", "x", event]].concat()).await;
    };
    let event: String = EVENT.split_whitespace().collect();
    pet("552705", &event).await;
    world.until_says("CRITICAL", "Power Supply Failure detected, sensor 81, entity 10.1 (critical)").await;
    pet("552833", &event).await;
    world.until_says("OK", "Power Supply Failure detected: over").await;
    // Too short for an event: shown as a trap that nothing takes.
    pet("552705", &event[..80]).await;
    world.until_says("WARNING", "no rule takes the trap 1.3.6.1.4.1.3183.1.1.0.552705").await;
    world.stentor.stop().await;
}

#[tokio::test]
async fn a_link_that_goes_down_is_looked_at_at_once() {
    let world = world("").await;
    // The check runs once an hour; nobody answers it.
    let runs = async || {
        let service = world.stentor.service("sw1", "snmp").await;
        service["last_check"].as_str().map(str::to_owned)
    };
    let first = until("the first check", async || runs().await.ok_or("not yet")).await;
    let down = ["-v2c", "-c", COMMUNITY, "TO", "", "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.7", "i", "7"];
    world.sent("snmptrap", &down).await;
    world.until_seen("taken", "linkDown").await;
    until("another check", async || runs().await.filter(|last| *last != first).ok_or("not yet")).await;
    world.stentor.stop().await;
}

#[tokio::test]
async fn what_does_nothing_is_shown_with_its_reason() {
    let world = world("").await;
    let known = "1.3.6.1.6.3.1.1.5.1";
    world.sent("snmptrap", &["-v2c", "-c", COMMUNITY, "TO", "", "1.3.6.1.4.1.99999.0.7"]).await;
    world.until_says("WARNING", "no rule takes the trap 1.3.6.1.4.1.99999.0.7").await;
    world.sent("snmptrap", &["-v2c", "-c", COMMUNITY, "--clientaddr=127.0.0.77", "TO", "", known]).await;
    assert_eq!(world.until_seen("unknown_source", "127.0.0.77").await["trap"], "coldStart");
    world.sent("snmptrap", &["-v2c", "-c", "guess", "TO", "", known]).await;
    world.until_seen("refused", "community").await;
    let unsigned = ["-v3", "-e", ENGINE, "-u", "sha256", "-l", "noAuthNoPriv", "TO", "", known];
    world.sent("snmptrap", &unsigned).await;
    world.until_seen("refused", "level").await;
    let wrong = [
        "-v3",
        "-e",
        ENGINE,
        "-u",
        "sha256",
        "-l",
        "authNoPriv",
        "-a",
        "SHA-256",
        "-A",
        "wrongpassword",
        "TO",
        "",
        known,
    ];
    world.sent("snmptrap", &wrong).await;
    world.until_seen("refused", "WrongDigests").await;
    let stranger = world.send("snmpinform", &["-v2c", "-r", "0", "-t", "1", "-c", "guess", "TO", "", known]).await;
    assert!(!stranger.status.success(), "an inform that is not let in is not answered");
    world.garbage(&[b"garbage"]);
    world.until_seen("refused", "malformed").await;
    until("the figures", async || {
        let figures = world.stentor.text("metrics?only=self").await;
        let wanted = [
            "stentor_traps_refused_total{reason=\"malformed\"} 1",
            "stentor_traps_refused_total{reason=\"community\"} 2",
            "stentor_traps_refused_total{reason=\"level\"} 1",
            "stentor_traps_refused_total{reason=\"unauthentic\"} 1",
            "stentor_traps_handled_total{outcome=\"unmatched\"} 1",
            "stentor_traps_handled_total{outcome=\"unknown_source\"} 1",
        ];
        let missing: Vec<&str> = wanted.into_iter().filter(|wanted| !figures.contains(wanted)).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    })
    .await;
    world.stentor.stop().await;
}

#[tokio::test]
async fn what_stands_stands_after_a_restart_and_is_over_in_its_time() {
    let rule = "[[trap]]\nname = \"fan\"\noid = \"1.3.6.1.4.1.99.0.*\"\nstate = \"CRITICAL\"\ntext = \"a fan failed\"\nfor = \"10s\"\n\
                [[trap]]\nname = \"heat\"\noid = \"1.3.6.1.4.1.98.0.*\"\nstate = \"WARNING\"\ntext = \"it is warm\"\nkey = \"heat\"\n\
                [[trap]]\nname = \"cool\"\noid = \"1.3.6.1.4.1.97.0.*\"\nstate = \"OK\"\ntext = \"it is cool\"\nkey = \"heat\"\n";
    let world = world(rule).await;
    let send = async |world: &World, oid: &str| world.sent("snmptrap", &["-v2c", "-c", COMMUNITY, "TO", "", oid]).await;
    send(&world, "1.3.6.1.4.1.98.0.1").await;
    send(&world, "1.3.6.1.4.1.99.0.1").await;
    world.until_says("CRITICAL", "a fan failed (and 1 more)").await;
    let world = World { port: world.port, stentor: world.stentor.restarted().await };
    world.until_says("WARNING", "it is warm").await;
    send(&world, "1.3.6.1.4.1.97.0.1").await;
    world.until_says("OK", "it is cool").await;
    world.stentor.stop().await;
}
