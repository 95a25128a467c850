//! Beyond the controller's own sensors, on OpenIPMI's simulator: a controller behind it, one that is not there, records
//! that lie, inventory, watchdog, the manufacturer's log entries.

use std::fmt::Write;
use std::process::Output;

use stentor::probes::ipmi::{BmcClient, SensorState, facts, observation};
use stentor_wire::ipmi::sdr::{AnalogFormat, SensorFactors, Thresholds};
use stentor_wire::ipmi::sdr_encode::FullSpec;
use tokio::process::Command;
use tokio::time::{Duration, timeout};

use super::peer::poll_until;
use super::simulator::{PASSWORD, Simulator, USER, hex};
use super::{PATIENCE, deadline, login, program, sensor};

/// Where the slave address of the owner is in a record: first after the header.
const OWNER_AT: usize = 5;

fn temperature(number: u8, name: &str, owner: u8, m: i16) -> Vec<u8> {
    let spec = FullSpec {
        number,
        entity: (0x37, number),
        sensor_type: 1,
        format: AnalogFormat::Unsigned,
        unit: 1,
        linearization: 0,
        factors: SensorFactors { m, b: 0, b_exponent: 0, result_exponent: 0 },
        thresholds: Thresholds::default(),
        nominal: 22,
        name: name.to_owned(),
    };
    let mut bytes = spec.encode(u16::from(number));
    bytes[OWNER_AT] = owner;
    bytes
}

/// A header, then a product area: maker `Acme`, no other field.
const INVENTORY: &[u8] = b"\x01\0\0\0\x01\0\0\xfe\x01\x02\x19\xc4Acme\xc1\0\0\0\0\0\0\xe9";

fn emulation() -> String {
    let mut lines = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\n\
        mc_add 0x30 1 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf03\nsel_enable 0x20 1000 0x0a\n"
        .to_owned();
    let mut oem = temperature(9, "", 0x20, 1);
    // Type C0h: manufacturer 343, then bytes of its own.
    oem[3] = 0xC0;
    oem.splice(5.., [0x57, 0x01, 0x00, 0xAA, 0xBB]);
    oem[4] = 5;
    for record in [
        temperature(1, "Own", 0x20, 1),
        temperature(5, "Satellite", 0x30, 1),
        temperature(6, "Nobody's", 0x42, 1),
        temperature(7, "Software's", 0x41, 1),
        temperature(8, "Flat", 0x20, 0),
        oem,
    ] {
        writeln!(lines, "main_sdr_add 0x20 {}", hex(&record)).unwrap();
    }
    let none = "0".repeat(15);
    for (owner, number, raw) in [(0x20, 1, 22), (0x30, 5, 33), (0x20, 8, 44)] {
        writeln!(lines, "sensor_add {owner} 0 {number} 1 1\nsensor_set_value {owner} 0 {number} {raw} 0").unwrap();
        let masks = format!("{none} {none} {none} {none}");
        writeln!(lines, "sensor_set_event_support {owner} 0 {number} enable scanning per-state {masks}").unwrap();
    }
    writeln!(lines, "mc_add_fru_data 0x20 0 256 data {}", hex(INVENTORY)).unwrap();
    // One timestamped OEM entry of manufacturer 343, one without time.
    lines.push_str("sel_add 0x20 0xc1 0 0 0 0x60 0x57 0x01 0x00 1 2 3 4 5 6\n");
    lines.push_str("sel_add 0x20 0xe2 1 2 3 4 5 6 7 8 9 10 11 12 13\n");
    lines.push_str("mc_enable 0x20\nmc_enable 0x30\n");
    lines
}

async fn ipmitool(simulator: &Simulator, arguments: &[&str]) -> String {
    let mut command = Command::new(program("ipmitool", "ipmitool"));
    let port = simulator.address.port().to_string();
    command.args(["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", PASSWORD]);
    let run = command.args(["-L", "USER"]).args(arguments).kill_on_drop(true).output();
    let Output { stdout, .. } = timeout(PATIENCE, run).await.expect("answers in time").expect("starts");
    String::from_utf8_lossy(&stdout).into_owned()
}

#[tokio::test]
async fn a_controller_behind_is_read_a_missing_one_is_told_and_both_cost_little() {
    let simulator = Simulator::start_with(|_| emulation()).await;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(simulator.address, USER, PASSWORD);
    let poll = poll_until(&client, &address, |poll| poll.missing.is_none()).await;
    let satellite = sensor(&poll, "Satellite");
    assert_eq!((satellite.value, satellite.state), (Some(33.0), SensorState::Ok));
    let theirs = ipmitool(&simulator, &["sdr", "elist"]).await;
    assert!(theirs.lines().any(|line| line == satellite.listed().ipmitool()), "{theirs}");

    assert_eq!(sensor(&poll, "Nobody's").state, SensorState::Unavailable);
    assert_eq!(
        poll.problems,
        // The simulator numbers the records itself.
        ["record 0005h of Flat multiplies each reading by zero", "controller 42h behind it does not answer"]
    );
    assert!(poll.sensors.iter().all(|sensor| sensor.name != "Software's"), "nobody can ask it");
    assert!(observation(&poll).text.contains("; not right: record 0005h of Flat"), "{}", observation(&poll).text);

    let again = client.poll(&address, deadline()).await.unwrap();
    assert_eq!(sensor(&again, "Satellite").value, Some(33.0));
    assert_eq!(again.problems, poll.problems, "not asked again so soon, and not forgotten");
    client.shutdown(deadline()).await;
}

#[tokio::test]
async fn inventory_watchdog_and_oem_entries_are_told_as_ipmitool_tells_them() {
    let simulator = Simulator::start_with(|_| emulation()).await;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(simulator.address, USER, PASSWORD);
    let poll = poll_until(&client, &address, |poll| poll.missing.is_none()).await;
    let [(name, inventory)] = poll.particulars.inventories.as_slice() else {
        panic!("{:?}", poll.particulars.inventories)
    };
    assert_eq!((name.as_str(), inventory.title().as_str()), ("", "Acme"));
    assert!(ipmitool(&simulator, &["fru", "print", "0"]).await.contains("Product Manufacturer  : Acme"));

    let watchdog = poll.particulars.watchdog.expect("the simulator has one");
    assert!(!watchdog.is_running && watchdog.expired_words().is_empty());
    assert!(ipmitool(&simulator, &["mc", "watchdog", "get"]).await.contains("Watchdog Timer Is:      Stopped"));
    assert!(poll.particulars.log_clock.is_some());
    assert_eq!(poll.particulars.restart_cause, None, "the simulator does not know it");

    let [timed, untimed] = poll.log.new.as_slice() else { panic!("{:#?}", poll.log) };
    assert_eq!(timed.text, "OEM record 0xc1 of manufacturer 343: 01 02 03 04 05 06");
    assert_eq!(untimed.text, "OEM record 0xe2: 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d");
    assert!(timed.raw.as_ref().is_some_and(|raw| raw.ends_with("57 01 00 01 02 03 04 05 06")), "{timed:?}");
    let told = facts(&poll);
    assert_eq!(told["watchdog_expired"], Vec::<stentor_core::model::Value>::new().into());
    assert!(told["sel_used_pct"].number().is_some_and(|pct| pct > 0.0 && pct < 1.0), "{:?}", told["sel_used_pct"]);
    client.shutdown(deadline()).await;
}
