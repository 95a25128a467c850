//! Our readings of every sensor against those of `ipmitool` and FreeIPMI, on OpenIPMI's simulator, to the last digit.

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use stentor::probes::ipmi::{BmcClient, BmcPoll, IpmiError, Style, listing};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::simulator::{PASSWORD, Simulator, USER};
use super::{PATIENCE, deadline, login, program, sensors};

/// A whole poll, as soon as the simulator is up.
async fn poll(simulator: &Simulator) -> Arc<BmcPoll> {
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(simulator.address, USER, PASSWORD);
    let until = Instant::now() + PATIENCE;
    loop {
        match client.poll(&address, until).await {
            Ok(poll) if poll.missing.is_none() => {
                client.shutdown(deadline()).await;
                return poll;
            }
            Ok(_) | Err(IpmiError::Unreachable | IpmiError::NoAnswer { .. }) if Instant::now() < until => {}
            other => panic!("not what was waited for: {other:#?}"),
        }
    }
}

async fn run(command: &mut Command) -> String {
    let described = format!("{command:?}");
    let run = command.kill_on_drop(true).output();
    let Output { status, stdout, stderr } = timeout(PATIENCE, run).await.expect("answers in time").expect("starts");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{described}: {out}{err}");
    out.into_owned()
}

/// The table of `ipmitool sdr elist`; blanks at the ends of lines are of no meaning.
async fn ipmitool(simulator: &Simulator) -> Vec<String> {
    let mut command = Command::new(program("ipmitool", "ipmitool"));
    let port = simulator.address.port().to_string();
    command.args(["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", PASSWORD]);
    let table = run(command.args(["-L", "USER", "sdr", "elist"])).await;
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The lines of FreeIPMI's `ipmi-sensors`, without the heading.
async fn ipmi_sensors(simulator: &Simulator) -> Vec<String> {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("ipmi-sensors", "freeipmi-tools"));
    command.arg("-h").arg(simulator.address.to_string()).args(["-u", USER, "-p", PASSWORD, "-l", "USER"]);
    // The simulator answers Open Session with privilege 0, which FreeIPMI takes only when told to.
    command.args(["-D", "LAN_2_0", "-I", "3", "-W", "opensesspriv", "--comma-separated-output", "--quiet-cache"]);
    command.args(["--no-header-output", "--output-sensor-state"]).arg("--sdr-cache-directory").arg(cache.path());
    run(&mut command).await.lines().map(str::to_owned).collect()
}

fn assert_same(ours: &[String], theirs: &[String], whose: &str) {
    for (line, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours, theirs, "line {line}: ours is on the left, that of {whose} on the right");
    }
    assert_eq!(ours.len(), theirs.len(), "{whose} shows another number of sensors");
}

/// FreeIPMI 1.6.10 is wrong in two places, in which `ipmitool` and the specification agree with us: it takes one by the
/// cube for the cube root, and has no text for the thermal trip of a chip set.
fn corrected(line: &String) -> String {
    match line {
        line if line.contains(sensors::CUBE_ROOT) => line.replace(",0.08,", ",1.32,").replace(",0.00,", ",2.00,"),
        line if line.contains(",Chip Set,") => line.replace("Unrecognized Event = 0002h", "Thermal Trip"),
        line => line.clone(),
    }
}

#[tokio::test]
async fn every_reading_equals_ipmitools_and_freeipmis_to_the_last_digit() {
    let simulator = Simulator::start_with(|_| sensors::of_every_sort()).await;
    let poll = poll(&simulator).await;
    assert!(poll.sensors.len() > 100, "{} sensors", poll.sensors.len());

    let ours: Vec<String> = listing(&poll, Style::Ipmitool).iter().map(|line| line.trim_end().to_owned()).collect();
    assert_same(&ours, &ipmitool(&simulator).await, "ipmitool");

    let theirs: Vec<String> = ipmi_sensors(&simulator).await.iter().map(corrected).collect();
    assert_same(&listing(&poll, Style::FreeIpmi), &theirs, "FreeIPMI");
}

#[tokio::test]
async fn each_single_state_is_shown_as_both_programs_show_it() {
    for emulation in [sensors::each_offset_alone, sensors::generic_offsets_alone] {
        let simulator = Simulator::start_with(|_| emulation()).await;
        let poll = poll(&simulator).await;
        assert!(poll.sensors.len() > 100, "{} sensors", poll.sensors.len());
        let ours: Vec<String> = listing(&poll, Style::Ipmitool).iter().map(|line| line.trim_end().to_owned()).collect();
        assert_same(&ours, &ipmitool(&simulator).await, "ipmitool");
        let theirs: Vec<String> = ipmi_sensors(&simulator).await.iter().map(corrected).collect();
        assert_same(&listing(&poll, Style::FreeIpmi), &theirs, "FreeIPMI");
    }
}
