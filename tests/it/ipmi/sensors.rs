//! Sensors of every sort for OpenIPMI's simulator: number formats, curves, units, thresholds, each offset of tables 42-2
//! and 42-3.

use std::fmt::Write;

use stentor_wire::ipmi::event;
use stentor_wire::ipmi::sdr::{AnalogFormat, SensorFactors, SensorUnit, Thresholds};
use stentor_wire::ipmi::sdr_encode::{CompactSpec, FullSpec};

use super::simulator::hex;

/// A controller being described, line by line.
pub struct Emulation {
    lines: String,
    number: u8,
}

/// One analogue sensor; the rest is as in [`plain`].
#[derive(Clone)]
pub struct Analog {
    pub name: &'static str,
    pub raw: u8,
    pub sensor_type: u8,
    pub format: AnalogFormat,
    pub unit: SensorUnit,
    pub linearization: u8,
    /// M, B, exponent of B, exponent of the result.
    pub factors: (i16, i16, i8, i8),
    pub thresholds: Thresholds<Option<u8>>,
    /// The controller scans it; without, it says that the reading is disabled.
    pub is_scanned: bool,
    /// It is there; without, the record points at nothing.
    pub is_there: bool,
}

/// A temperature in whole degrees without thresholds.
pub fn plain(name: &'static str, raw: u8) -> Analog {
    Analog {
        name,
        raw,
        sensor_type: 1,
        format: AnalogFormat::Unsigned,
        unit: SensorUnit { base: 1, ..SensorUnit::default() },
        linearization: 0,
        factors: (1, 0, 0, 0),
        thresholds: Thresholds::default(),
        is_scanned: true,
        is_there: true,
    }
}

/// Event bits of the six thresholds, in the order of the readable mask.
const EVENT_BITS: [u16; 6] = [0, 2, 4, 7, 9, 11];

impl Emulation {
    pub fn new() -> Self {
        let lines =
            "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nsel_enable 0x20 1000 0x0a\n";
        Emulation { lines: lines.to_owned(), number: 0 }
    }

    fn put(&mut self, line: &str) {
        writeln!(self.lines, "{line}").unwrap();
    }

    fn next(&mut self) -> u8 {
        self.number += 1;
        self.number
    }

    pub fn analog(&mut self, sensor: &Analog) {
        let number = self.next();
        let (m, b, b_exponent, result_exponent) = sensor.factors;
        let spec = FullSpec {
            number,
            entity: (0x37, 1),
            sensor_type: sensor.sensor_type,
            format: sensor.format,
            unit: sensor.unit.base,
            linearization: sensor.linearization,
            factors: SensorFactors { m, b, b_exponent, result_exponent },
            thresholds: sensor.thresholds,
            nominal: sensor.raw,
            name: sensor.name.to_owned(),
        };
        self.put(&format!("main_sdr_add 0x20 {}", hex(&spec.encode_with_unit(u16::from(number), sensor.unit))));
        if !sensor.is_there {
            return;
        }
        let t = &sensor.thresholds;
        let ordered = [
            t.lower_non_critical,
            t.lower_critical,
            t.lower_non_recoverable,
            t.upper_non_critical,
            t.upper_critical,
            t.upper_non_recoverable,
        ];
        let readable = ordered.iter().rev().map(|t| if t.is_some() { '1' } else { '0' }).collect::<String>();
        let events =
            ordered.iter().zip(EVENT_BITS).filter(|(t, _)| t.is_some()).map(|(_, bit)| 1u16 << bit).sum::<u16>();
        let [lnc, lc, lnr, unc, uc, unr] = ordered.map(Option::unwrap_or_default);
        self.put(&format!("sensor_add 0x20 0 {number} {} 0x01", sensor.sensor_type));
        if events != 0 {
            self.put(&format!(
                "sensor_set_threshold 0x20 0 {number} settable {readable} {unr} {uc} {unc} {lnr} {lc} {lnc}"
            ));
        }
        let scanning = if sensor.is_scanned { "scanning" } else { "no-scanning" };
        let mask = format!("{events:015b} {events:015b} {events:015b} {events:015b}");
        self.put(&format!("sensor_set_event_support 0x20 0 {number} enable {scanning} per-state {mask}"));
        self.put(&format!("sensor_set_value 0x20 0 {number} {} 0", sensor.raw));
    }

    /// A discrete sensor with these offsets asserted; `is_there` as in [`Analog`].
    pub fn discrete(&mut self, name: &str, (sensor_type, event_type): (u8, u8), offsets: &[u8], is_there: bool) {
        const EVERY_OFFSET: u16 = 0x7FFF;
        let number = self.next();
        let (entity, name) = ((7, 1), name.to_owned());
        let spec = CompactSpec { number, entity, sensor_type, event_type, reading_mask: EVERY_OFFSET, name };
        self.put(&format!("main_sdr_add 0x20 {}", hex(&spec.encode(u16::from(number)))));
        if !is_there {
            return;
        }
        self.put(&format!("sensor_add 0x20 0 {number} {sensor_type} {event_type}"));
        let mask = format!("{EVERY_OFFSET:015b} {EVERY_OFFSET:015b} {EVERY_OFFSET:015b} {EVERY_OFFSET:015b}");
        self.put(&format!("sensor_set_event_support 0x20 0 {number} enable scanning per-state {mask}"));
        for offset in offsets {
            self.put(&format!("sensor_set_bit 0x20 0 {number} {offset} 1 0"));
        }
    }

    pub fn finish(mut self) -> String {
        self.put("mc_enable 0x20");
        self.lines
    }
}

fn unit(base: u8) -> SensorUnit {
    SensorUnit { base, ..SensorUnit::default() }
}

fn numbers(emulation: &mut Emulation) {
    let other = Analog { sensor_type: 0x0B, ..plain("", 33) };
    let percent = |base| SensorUnit { is_percentage: true, ..unit(base) };
    for sensor in [
        Analog {
            thresholds: Thresholds { upper_critical: Some(47), ..Thresholds::default() },
            ..plain("Inlet Temp", 22)
        },
        Analog { sensor_type: 2, unit: unit(4), factors: (-63, 0, 0, -3), ..plain("-12V", 191) },
        Analog { sensor_type: 2, unit: unit(4), factors: (15, 125, 1, -3), ..plain("P3V3", 130) },
        Analog { sensor_type: 2, unit: unit(4), factors: (-37, 0, 0, -3), ..plain("cut below zero", 60) },
        Analog { format: AnalogFormat::TwosComplement, ..plain("two's minus 13", 0xF3) },
        Analog { format: AnalogFormat::OnesComplement, ..plain("one's minus 12", 0xF3) },
        Analog { format: AnalogFormat::OnesComplement, ..plain("one's minus 0", 0xFF) },
        Analog { sensor_type: 4, unit: percent(0), ..plain("Fan Duty", 73) },
        Analog { unit: percent(6), name: "Load of max", ..other.clone() },
        Analog { sensor_type: 0x0A, unit: unit(17), factors: (7, 0, 0, -1), ..plain("Airflow", 33) },
        Analog { unit: SensorUnit { rate: 3, ..unit(70) }, name: "Bytes a second", ..other.clone() },
        Analog {
            sensor_type: 4,
            unit: SensorUnit { rate: 4, ..unit(18) },
            factors: (100, 0, 0, 0),
            ..plain("FAN1", 84)
        },
        Analog {
            unit: SensorUnit { modifier_kind: 1, modifier: 22, ..unit(4) },
            name: "Volts a second",
            ..other.clone()
        },
        Analog {
            unit: SensorUnit { modifier_kind: 2, modifier: 5, ..unit(4) },
            name: "Volt times Amp",
            ..other.clone()
        },
        Analog { unit: unit(0), name: "no unit", ..other.clone() },
        Analog { unit: unit(92), name: "last unit", ..other.clone() },
        Analog { sensor_type: 2, format: AnalogFormat::None, unit: unit(4), ..plain("no format", 60) },
        Analog { is_there: false, ..plain("gone", 7) },
        Analog { is_scanned: false, ..plain("switched off", 7) },
    ] {
        emulation.analog(&sensor);
    }
}

/// The eleven curves; FreeIPMI 1.6.10 takes the cube of the reciprocal for the cube root, so that one is last.
fn curves(emulation: &mut Emulation) {
    const NAMES: [&str; 11] =
        ["ln", "log10", "log2", "e to the", "10 to the", "2 to the", "1 by", "square", "cube", "root", CUBE_ROOT];
    for (name, linearization) in NAMES.into_iter().zip(1..) {
        for (raw, factors) in [(7, (3, 2, 0, -1)), (8, (1, 0, 0, 0))] {
            emulation.analog(&Analog { sensor_type: 0x0B, unit: unit(6), linearization, factors, ..plain(name, raw) });
        }
    }
    emulation.analog(&Analog { sensor_type: 0x0B, unit: unit(6), linearization: 0x70, ..plain("without factors", 7) });
}

/// The one curve on which both judges differ.
pub const CUBE_ROOT: &str = "cube root";

fn limits(emulation: &mut Emulation) {
    let thresholds = Thresholds {
        lower_non_recoverable: Some(10),
        lower_critical: Some(20),
        lower_non_critical: Some(30),
        upper_non_critical: Some(200),
        upper_critical: Some(210),
        upper_non_recoverable: Some(220),
    };
    for (name, raw) in [
        ("normal", 100),
        ("lnc", 25),
        ("lcr", 15),
        ("lnr", 5),
        ("unc", 205),
        ("ucr", 215),
        ("unr", 225),
        ("at lcr", 20),
    ] {
        emulation.analog(&Analog { thresholds, ..plain(name, raw) });
    }
}

/// Offsets of a type that the tables know.
pub fn known_offsets(sensor_type: u8, event_type: u8) -> Vec<u8> {
    (0..15).filter(|offset| event::known_text(event_type, sensor_type, *offset).is_some()).collect()
}

/// Numbers, curves and thresholds, then each sensor type and each generic type with all its offsets asserted.
pub fn of_every_sort() -> String {
    let mut emulation = Emulation::new();
    numbers(&mut emulation);
    curves(&mut emulation);
    limits(&mut emulation);
    for sensor_type in 0x05..=0x2C {
        emulation.discrete(
            &format!("type {sensor_type:02X}"),
            (sensor_type, 0x6F),
            &known_offsets(sensor_type, 0x6F),
            true,
        );
    }
    for event_type in 0x02..=0x0C {
        emulation.discrete(
            &format!("generic {event_type:02X}"),
            (0x09, event_type),
            &known_offsets(0, event_type),
            true,
        );
    }
    emulation.discrete("nothing asserted", (0x08, 0x6F), &[], true);
    emulation.discrete("absent", (0x08, 0x6F), &[], false);
    emulation.discrete("beyond the table", (0x08, 0x6F), &[0, 12], true);
    emulation.discrete("OEM sensor type", (0xC3, 0x6F), &[3], true);
    emulation.discrete("OEM event type", (0x01, 0x70), &[1], true);
    emulation.discrete("bare thresholds", (0x01, 0x01), &[1], true);
    emulation.finish()
}

/// One sensor for each offset of the sensor-specific types, named by type and offset.
pub fn each_offset_alone() -> String {
    let mut emulation = Emulation::new();
    for sensor_type in 0x05..=0x2C {
        for offset in known_offsets(sensor_type, 0x6F) {
            emulation.discrete(&format!("{sensor_type:02X}.{offset}"), (sensor_type, 0x6F), &[offset], true);
        }
    }
    emulation.finish()
}

/// One sensor for each offset of generic types, on the sensor types that use them most.
pub fn generic_offsets_alone() -> String {
    let mut emulation = Emulation::new();
    for sensor_type in [0x01, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0C, 0x0D, 0x15, 0x1C] {
        for event_type in [0x03, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0B] {
            for offset in known_offsets(sensor_type, event_type) {
                let name = format!("{sensor_type:02X}/{event_type:02X}.{offset}");
                emulation.discrete(&name, (sensor_type, event_type), &[offset], true);
            }
        }
    }
    emulation.finish()
}
