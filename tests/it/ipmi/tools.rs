//! Programs of others against our simulated controller: ipmitool and FreeIPMI, suites 17 and 3.

use std::process::Output;

use stentor::demo::bmc::SimulatedBmc;
use stentor::demo::bmc_model::Part;
use tokio::process::Command;
use tokio::time::timeout;

use super::{PASSWORD, PATIENCE, USER, program, simulated};

async fn run(command: &mut Command) -> Output {
    let described = format!("{command:?}");
    // Both print times in the zone of the machine.
    let run = command.env("TZ", "UTC").kill_on_drop(true).output();
    timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{described} hangs")).expect("starts")
}

async fn ipmitool(bmc: &SimulatedBmc, suite: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program("ipmitool", "ipmitool"));
    let port = bmc.address().port().to_string();
    command.args(["-I", "lanplus", "-C", suite, "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", PASSWORD]);
    command.args(["-L", "USER"]).args(arguments);
    let output = run(&mut command).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "ipmitool {arguments:?} with suite {suite}: {out}{err}");
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

async fn ipmi_sensors(bmc: &SimulatedBmc, suite: &str, password: &str) -> Output {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("ipmi-sensors", "freeipmi-tools"));
    command.arg("-h").arg(bmc.address().to_string()).args(["-u", USER, "-p", password, "-l", "USER"]);
    command.args(["-D", "LAN_2_0", "-I", suite, "--comma-separated-output", "--quiet-cache"]);
    command.args(["--output-sensor-state", "--session-timeout=20000"]);
    command.arg("--sdr-cache-directory").arg(cache.path());
    run(&mut command).await
}

#[tokio::test]
async fn freeipmi_reads_the_simulated_controller_with_both_suites() {
    for suite in ["17", "3"] {
        let bmc = simulated().await;
        bmc.fail_psu(1).await;
        let output = ipmi_sensors(&bmc, suite, PASSWORD).await;
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

#[tokio::test]
async fn others_are_told_that_a_password_is_wrong() {
    let bmc = simulated().await;
    let output = ipmi_sensors(&bmc, "17", "wrong").await;
    assert!(!output.status.success());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("password invalid"), "{err}");
    // FreeIPMI gives up half-way; the slot must come free.
    assert_eq!(bmc.status().await.unwrap().open_sessions, 0);
}
