//! Programs of others against our simulated controller: ipmitool and FreeIPMI, with each suite that can be chosen.

use std::process::Output;

use stentor::demo::bmc::{BmcIdentity, SimulatedBmc};
use stentor::demo::bmc_model::Part;
use stentor_wire::ipmi::Suite;
use tokio::process::Command;
use tokio::time::timeout;

use super::{PASSWORD, PATIENCE, USER, identity, program, simulated, simulated_as};

async fn run(command: &mut Command) -> Output {
    let described = format!("{command:?}");
    // Both print times in the zone of the machine.
    let run = command.env("TZ", "UTC").kill_on_drop(true).output();
    timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{described} hangs")).expect("starts")
}

/// How a program is told to log in.
#[derive(Clone, Copy)]
struct Login<'a> {
    suite: &'a str,
    user: &'a str,
    password: &'a str,
    privilege: &'a str,
    kg: Option<&'a str>,
}

impl<'a> Login<'a> {
    fn with(suite: &'a str) -> Self {
        Login { suite, user: USER, password: PASSWORD, privilege: "USER", kg: None }
    }
}

async fn try_ipmitool(bmc: &SimulatedBmc, login: Login<'_>, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("ipmitool", "ipmitool"));
    let port = bmc.address().port().to_string();
    command.args(["-I", "lanplus", "-C", login.suite, "-H", "127.0.0.1", "-p", &port]);
    command.args(["-U", login.user, "-P", login.password, "-L", login.privilege]);
    if let Some(kg) = login.kg {
        command.args(["-k", kg]);
    }
    run(command.args(arguments)).await
}

async fn ipmitool(bmc: &SimulatedBmc, suite: &str, arguments: &[&str]) -> String {
    said(try_ipmitool(bmc, Login::with(suite), arguments).await, &format!("ipmitool {arguments:?}, suite {suite}"))
}

/// What a program that succeeded has printed.
fn said(output: Output, what: &str) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {out}{err}");
    out.into_owned()
}

/// Lines with blanks squeezed, for comparing tables.
fn squeeze(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn assert_line(text: &str, expected: &str) {
    let lines = squeeze(text);
    assert!(lines.iter().any(|line| line == expected), "no line `{expected}` in:\n{}", lines.join("\n"));
}

#[tokio::test]
async fn ipmitool_reads_the_simulated_controller_with_both_suites() {
    for suite in ["17", "3"] {
        let bmc = simulated().await;
        let info = ipmitool(&bmc, suite, &["mc", "info"]).await;
        assert_line(&info, "IPMI Version : 2.0");
        assert_line(&info, "Firmware Revision : 1.04");
        assert_line(&ipmitool(&bmc, suite, &["chassis", "status"]).await, "System Power : on");
        let table = ipmitool(&bmc, suite, &["sdr", "elist", "all"]).await;
        assert_line(&table, "CPU1 Temp | 01h | ok | 3.1 | 45 degrees C");
        assert_line(&table, "FAN4 | 07h | ok | 29.4 | 8400 RPM");
        assert_line(&table, "12V | 08h | ok | 7.1 | 12.03 Volts");
        assert_line(&table, "PS1 Status | 09h | ok | 10.1 | Presence detected");
        assert_line(&table, "PS Redundancy | 0Bh | ok | 19.1 | Fully Redundant");
        assert_line(&table, "Drive 1 | 0Eh | ok | 4.2 | Drive Present");

        bmc.fail_psu(2).await;
        bmc.set_reading(Part::Cpu(1), 96).await;
        bmc.set_power(false).await;
        assert_line(&ipmitool(&bmc, suite, &["chassis", "status"]).await, "System Power : off");
        let table = ipmitool(&bmc, suite, &["sdr", "elist", "all"]).await;
        assert_line(&table, "PS2 Status | 0Ah | ok | 10.2 | Presence detected, Failure detected");
        assert_line(&table, "PS Redundancy | 0Bh | ok | 19.1 | Redundancy Lost");
        assert_line(&table, "FAN1 | 04h | ns | 29.1 | No Reading");
        let log = ipmitool(&bmc, suite, &["sel", "elist"]).await;
        let noon = "11/21/26 | 12:00:00 UTC";
        assert_line(&log, &format!("1 | {noon} | Power Supply PS2 Status | Failure detected | Asserted"));
        assert_line(&log, &format!("2 | {noon} | Power Unit PS Redundancy | Redundancy Lost | Asserted"));
        let hot = "Upper Critical going high | Asserted | Reading 96 > Threshold 95 degrees C";
        assert_line(&log, &format!("5 | {noon} | Temperature CPU1 Temp | {hot}"));
        assert_line(&log, &format!("6 | {noon} | Power Unit Pwr Unit Status | Power off/down | Asserted"));
    }
}

#[tokio::test]
async fn ipmitool_finds_the_suites_by_itself() {
    let bmc = simulated().await;
    let mut command = Command::new(program("ipmitool", "ipmitool"));
    let port = bmc.address().port().to_string();
    command.args(["-v", "-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", PASSWORD, "-L", "USER"]);
    let output = run(command.args(["chassis", "power", "status"])).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("Chassis Power is on"), "{out}{err}");
    assert!(err.contains("Using best available cipher suite 17"), "{out}{err}");
}

async fn ipmi_sensors(bmc: &SimulatedBmc, login: Login<'_>) -> Output {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("ipmi-sensors", "freeipmi-tools"));
    command.arg("-h").arg(bmc.address().to_string());
    command.args(["-u", login.user, "-p", login.password, "-l", login.privilege]);
    if let Some(kg) = login.kg {
        command.args(["-k", kg]);
    }
    command.args(["-D", "LAN_2_0", "-I", login.suite, "--comma-separated-output", "--quiet-cache"]);
    command.args(["--output-sensor-state", "--session-timeout=20000"]);
    command.arg("--sdr-cache-directory").arg(cache.path());
    run(&mut command).await
}

#[tokio::test]
async fn others_log_in_with_each_suite_with_and_without_kg_and_as_operator() {
    const KG: &str = "the BMC key";
    for suite in Suite::ALL {
        let id = suite.id().to_string();
        for kg in [None, Some(KG)] {
            let bmc = simulated_as(BmcIdentity { kg: kg.map(Vec::from), ..identity() }).await;
            for (user, password, privilege) in [(USER, PASSWORD, "USER"), ("admin", "secret", "OPERATOR")] {
                let login = Login { suite: &id, user, password, privilege, kg };
                let what = format!("suite {suite}, {privilege}, Kg {kg:?}");
                let power = try_ipmitool(&bmc, login, &["chassis", "power", "status"]).await;
                assert_eq!(said(power, &what), "Chassis Power is on\n", "{what}");
                let table = said(ipmi_sensors(&bmc, login).await, &what);
                assert_line(&table, "1,CPU1 Temp,Temperature,Nominal,45.00,C,'OK'");
            }
            assert_eq!(bmc.status().await.unwrap().open_sessions, 0, "both close what they opened");
        }
    }
}

#[tokio::test]
async fn others_are_refused_a_wrong_login_and_told_why() {
    let good = Login::with("17");
    let keyed = BmcIdentity { kg: Some(b"the BMC key".to_vec()), ..identity() };
    let (open, keyed) = (simulated().await, simulated_as(keyed).await);
    for (bmc, login, reason) in [
        (&open, Login { password: "wrong", ..good }, "password invalid"),
        (&open, Login { user: "nobody", ..good }, "username invalid"),
        (&open, Login { privilege: "OPERATOR", ..good }, "privilege level cannot be obtained for this user"),
        (&keyed, Login { kg: Some("another key"), ..good }, "k_g invalid"),
        (&open, Login { suite: "15", ..good }, "cipher suite id unavailable"),
    ] {
        let output = ipmi_sensors(bmc, login).await;
        assert!(!output.status.success(), "{reason}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains(reason), "{reason}: {err}");
        // FreeIPMI gives up half-way; the slot must come free.
        assert_eq!(bmc.status().await.unwrap().open_sessions, 0, "{reason}");
        let output = try_ipmitool(bmc, login, &["-N", "1", "-R", "1", "chassis", "power", "status"]).await;
        assert!(!output.status.success(), "{reason}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("Unable to establish"), "{reason}: {err}");
    }
    assert_eq!(open.status().await.unwrap().open_sessions, 0);
}

#[tokio::test]
async fn freeipmi_reads_the_simulated_controller_with_both_suites() {
    for suite in ["17", "3"] {
        let bmc = simulated().await;
        bmc.fail_psu(1).await;
        let output = ipmi_sensors(&bmc, Login::with(suite)).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "ipmi-sensors with suite {suite}: {out}{err}");
        assert_line(&out, "1,CPU1 Temp,Temperature,Nominal,45.00,C,'OK'");
        assert_line(&out, "8,12V,Voltage,Nominal,12.03,V,'OK'");
        assert_line(
            &out,
            "9,PS1 Status,Power Supply,Critical,N/A,N/A,'Presence detected' 'Power Supply Failure detected'",
        );
        assert_line(&out, "10,PS2 Status,Power Supply,Nominal,N/A,N/A,'Presence detected'");
    }
}

#[tokio::test]
async fn freeipmi_reads_the_simulated_log() {
    let bmc = simulated().await;
    bmc.lose_psu_input(2).await;
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("ipmi-sel", "freeipmi-tools"));
    command.arg("-h").arg(bmc.address().to_string()).args(["-u", USER, "-p", PASSWORD, "-l", "USER"]);
    command.args(["-D", "LAN_2_0", "-I", "17", "--comma-separated-output", "--quiet-cache"]);
    command.arg("--sdr-cache-directory").arg(cache.path());
    let output = run(&mut command).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert_line(&out, "1,Nov-21-2026,12:00:00,PS2 Status,Power Supply,Power Supply input lost (AC/DC)");
}
