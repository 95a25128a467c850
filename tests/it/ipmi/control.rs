//! Switching machines: our client against OpenIPMI's simulator, and our simulated controller against `ipmitool`.

use std::time::Duration;

use stentor::clock::Clock;
use stentor::demo::bmc::{BmcIdentity, SimulatedBmc};
use stentor::probes::{Blind, Network, ProbeEnv, ProbeError, Target, ipmi};
use stentor_core::catalog::{Bmc, PowerAction};
use stentor_core::model::Value;
use stentor_wire::ipmi::Privilege;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use super::program;
use super::simulator::{PASSWORD, Simulator, USER};

fn target(folder: &TempDir, port: u16, user: &str, password: &str) -> Target {
    let file = folder.path().join("password");
    std::fs::write(&file, password).unwrap();
    let bmc = Bmc {
        address: "127.0.0.1".into(),
        port,
        user: user.into(),
        password_file: file.display().to_string().into(),
        suite: None,
    };
    Target { host: "srv".into(), address: "127.0.0.1".into(), bmc: Some(bmc) }
}

async fn switch(target: &Target, action: PowerAction) -> Result<String, ProbeError> {
    let env = ProbeEnv { net: Network::real(), view: std::sync::Arc::new(Blind), clock: Clock::Machine };
    ipmi::switch(&env, target, &Value::Null, action, Instant::now() + Duration::from_secs(60)).await
}

#[tokio::test]
async fn a_controller_of_another_make_switches_its_machine_off_and_on() {
    let simulator = Simulator::start().await;
    let folder = tempfile::tempdir().unwrap();
    let target = target(&folder, simulator.address.port(), USER, PASSWORD);
    let off = crate::running::until("the simulator is up", async || switch(&target, PowerAction::Off).await).await;
    assert!(off.contains("was on") && off.contains("it is off"), "{off}");
    assert_eq!(simulator.power(), "0");
    assert_eq!(switch(&target, PowerAction::Off).await.unwrap(), "the machine was off already");
    // What is off is not cycled, but switched on.
    let on = switch(&target, PowerAction::Cycle).await.unwrap();
    assert!(on.contains("power up"), "{on}");
    assert_eq!(simulator.power(), "1");
}

#[tokio::test]
async fn a_user_who_may_only_look_switches_nothing() {
    let identity = BmcIdentity::with_user("monitor", "monpass").and_user("op", "oppass", Privilege::Operator);
    let bmc = SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity, Clock::Machine).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = switch(&target(&folder, bmc.address().port(), "monitor", "monpass"), PowerAction::Off).await;
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("privilege"), "{error}");
    assert!(bmc.status().await.unwrap().is_on);
    switch(&target(&folder, bmc.address().port(), "op", "oppass"), PowerAction::Off).await.unwrap();
    assert!(!bmc.status().await.unwrap().is_on);
    assert_eq!(bmc.status().await.unwrap().open_sessions, 0, "no session is left behind");
}

#[tokio::test]
async fn our_controller_obeys_ipmitool_as_ours_obeys_us() {
    let identity = BmcIdentity::with_user("monitor", "monpass").and_user("op", "oppass", Privilege::Operator);
    let bmc = SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity, Clock::Machine).await.unwrap();
    let port = bmc.address().port().to_string();
    for (word, is_on) in [("off", false), ("on", true), ("cycle", true)] {
        let arguments = ["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", "op", "-P", "oppass", "-L", "OPERATOR"];
        let mut command = Command::new(program("ipmitool", "ipmitool"));
        let done = command.args(arguments).args(["chassis", "power", word]).output().await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(bmc.status().await.unwrap().is_on, is_on, "{word}");
    }
}
