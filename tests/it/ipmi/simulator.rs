//! OpenIPMI's `ipmi_sim` as a process: its configuration written here, faults set through its console and files.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use stentor_wire::ipmi::sdr::{AnalogFormat, SensorFactors, Thresholds};
use stentor_wire::ipmi::sdr_encode::{CompactSpec, FullSpec};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::program;

pub const USER: &str = "watcher";
pub const PASSWORD: &str = "watchword";

/// Sensor numbers.
pub const INLET: u8 = 1;
pub const PSU_2: u8 = 4;
pub const REDUNDANCY: u8 = 5;

/// A running simulator; killed when dropped.
pub struct Simulator {
    folder: TempDir,
    console: SocketAddr,
    pub address: SocketAddr,
    _process: Child,
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn analog(number: u8, name: &str, unit: u8, sensor_type: u8, factors: SensorFactors, upper_critical: u8) -> FullSpec {
    FullSpec {
        number,
        entity: (0x37, number),
        sensor_type,
        format: AnalogFormat::Unsigned,
        unit,
        linearization: 0,
        factors,
        thresholds: Thresholds { upper_critical: Some(upper_critical), ..Thresholds::default() },
        nominal: 22,
        name: name.to_owned(),
    }
}

fn discrete(number: u8, name: &str, sensor_type: u8, event_type: u8, instance: u8) -> CompactSpec {
    CompactSpec { number, entity: (0x0A, instance), sensor_type, event_type, reading_mask: 0xFF, name: name.to_owned() }
}

impl Simulator {
    /// Five sensors whose states tests change.
    pub async fn start() -> Self {
        Simulator::start_with(emulation).await
    }

    /// With the sensors that `emulation` describes; it is given the file of the inlet's raw temperature.
    pub async fn start_with(emulation: impl Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Both ports are free now; the simulator takes them at once.
        let lan = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let console = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("state")).unwrap();
        std::fs::write(path("power"), "1").unwrap();
        std::fs::write(path("inlet"), "22\n").unwrap();
        let script = format!(
            "#!/bin/sh\nif [ \"$2\" = set ] && [ \"$3\" = power ]; then echo \"$4\" > {power}; fi\n\
             echo \"power:$(cat {power})\"\n",
            power = path("power").display()
        );
        std::fs::write(path("chassis"), script).unwrap();
        std::fs::set_permissions(path("chassis"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(path("lan.conf"), lan_conf(&path("chassis"), lan, console)).unwrap();
        std::fs::write(path("bmc.emu"), emulation(&path("inlet"))).unwrap();
        let process = Command::new(program("ipmi_sim", "openipmi"))
            .args(["-c", "lan.conf", "-f", "bmc.emu", "-s", "state", "-n"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Simulator { folder, console, address: lan, _process: process }
    }

    /// What the chassis script says from now on.
    pub fn set_power(&self, is_on: bool) {
        std::fs::write(self.folder.path().join("power"), if is_on { "1" } else { "0" }).unwrap();
    }

    /// What the chassis script says now.
    pub fn power(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("power")).unwrap().trim().to_owned()
    }

    /// The raw inlet temperature; the simulator reads the file every 200 ms.
    pub fn set_inlet(&self, raw: u8) {
        std::fs::write(self.folder.path().join("inlet"), format!("{raw}\n")).unwrap();
    }

    /// Sets or clears a discrete state, with its event in the log.
    pub async fn set_bit(&self, sensor: u8, offset: u8, value: u8) {
        let mut console = TcpStream::connect(self.console).await.unwrap();
        let line = format!("sensor_set_bit 0x20 0 {sensor} {offset} {value} 1\r\n");
        console.write_all(line.as_bytes()).await.unwrap();
        console.shutdown().await.unwrap();
        // It closes its end when the command has run.
        let _ = tokio::io::copy(&mut console, &mut tokio::io::sink()).await;
    }
}

fn lan_conf(chassis: &Path, lan: SocketAddr, console: SocketAddr) -> String {
    format!(
        r#"name "stentor-test"
set_working_mc 0x20
  chassis_control "{} 0x20"
  startlan 1
    addr {} {}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789000001
  endlan
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{USER}" "{PASSWORD}" user 10 none md2 md5 straight
console {} {}
"#,
        chassis.display(),
        lan.ip(),
        lan.port(),
        console.ip(),
        console.port(),
    )
}

fn emulation(inlet: &Path) -> String {
    let plain = SensorFactors { m: 1, b: 0, b_exponent: 0, result_exponent: 0 };
    // A rail below zero: negative M, as on real -12 V sensors.
    let rail = SensorFactors { m: -63, b: 0, b_exponent: 0, result_exponent: -3 };
    let mut lines = vec![
        "mc_setbmc 0x20".to_owned(),
        "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02".to_owned(),
        "sel_enable 0x20 1000 0x0a".to_owned(),
    ];
    let mask = |bits: u16| format!("{bits:015b}");
    for (spec, raw, source) in [
        (analog(INLET, "Inlet Temp", 1, 1, plain, 47), 22, format!(" poll 200 file \"{}\"", inlet.display())),
        (analog(2, "-12V", 4, 2, rail, 255), 191, String::new()),
    ] {
        let (number, kind) = (spec.number, spec.sensor_type);
        lines.push(format!("main_sdr_add 0x20 {}", hex(&spec.encode(u16::from(number)))));
        lines.push(format!("sensor_add 0x20 0 {number} {kind} 0x01{source}"));
        lines.push(format!("sensor_set_value 0x20 0 {number} {raw} 0"));
        let critical = spec.thresholds.upper_critical.unwrap();
        lines.push(format!("sensor_set_threshold 0x20 0 {number} settable 010000 0 {critical} 0 0 0 0"));
        let events = mask(1 << 9);
        lines.push(format!(
            "sensor_set_event_support 0x20 0 {number} enable scanning per-state {events} {events} {events} {events}"
        ));
    }
    for (spec, bit) in [
        (discrete(3, "PS1 Status", 0x08, 0x6F, 1), 0),
        (discrete(PSU_2, "PS2 Status", 0x08, 0x6F, 2), 0),
        (discrete(REDUNDANCY, "PS Redundancy", 0x09, 0x0B, 1), 0),
    ] {
        let (number, kind, events) = (spec.number, spec.sensor_type, mask(spec.reading_mask));
        lines.push(format!("main_sdr_add 0x20 {}", hex(&spec.encode(u16::from(number)))));
        lines.push(format!("sensor_add 0x20 0 {number} {kind} {}", spec.event_type));
        lines.push(format!(
            "sensor_set_event_support 0x20 0 {number} enable scanning per-state {events} {events} {events} {events}"
        ));
        lines.push(format!("sensor_set_bit 0x20 0 {number} {bit} 1 0"));
    }
    // Upper critical going high of the inlet sensor, long ago.
    lines.push("sel_add 0x20 0x02 0x10 0x10 0x20 0x69 0x20 0x00 0x04 0x01 0x01 0x01 0x59 0x60 0x5f".to_owned());
    lines.push("mc_enable 0x20".to_owned());
    lines.join("\n") + "\n"
}
