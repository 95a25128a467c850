//! What event data bytes 2 and 3 add to an entry of the event log (tables 29-6 and 42-3), and who logged it (table 32-1).

use super::event::{self, event_type, sensor_type};
use super::sdr::FullSensor;
use super::sel::SelEvent;

/// How event data 2 or 3 is used: bits 7:6 and 5:4 of event data 1 (table 29-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Unspecified,
    /// Thresholds: the reading, or the threshold. Discrete: previous state and severity.
    Standard,
    Oem,
    /// What table 42-3 says for this sensor type and offset.
    SensorSpecific,
}

impl Use {
    fn of(bits: u8) -> Self {
        match bits & 3 {
            0 => Use::Unspecified,
            1 => Use::Standard,
            2 => Use::Oem,
            _ => Use::SensorSpecific,
        }
    }
}

/// The byte of a value that nobody filled in.
const UNSPECIFIED: u8 = 0xFF;

impl SelEvent {
    fn data_2(&self) -> (Use, u8) {
        let [first, second, _] = self.data;
        (Use::of(first >> 6), second)
    }

    fn data_3(&self) -> (Use, u8) {
        let [first, _, third] = self.data;
        (Use::of(first >> 4), third)
    }

    /// The reading that triggered a threshold event and the threshold it passed, both raw, as far as they were logged.
    pub fn trigger(&self) -> (Option<u8>, Option<u8>) {
        if self.event_type != event_type::THRESHOLD {
            return (None, None);
        }
        let standard = |(how, byte)| (how == Use::Standard).then_some(byte);
        (standard(self.data_2()), standard(self.data_3()))
    }

    /// What the event says beyond its offset: `reading 96 °C, threshold 95 °C`, `was: transition to OK`, `slot 3`.
    /// `sensor` is the record of the sensor, for its unit. Empty where nothing was logged.
    pub fn detail(&self, sensor: Option<&FullSensor>) -> String {
        let mut parts = match self.event_type {
            event_type::THRESHOLD => self.threshold_detail(sensor),
            _ => self.discrete_detail(),
        };
        for (number, (how, byte)) in [(2, self.data_2()), (3, self.data_3())] {
            if how == Use::Oem && byte != UNSPECIFIED {
                parts.push(format!("OEM data {number} = {byte:02x}h"));
            }
        }
        parts.join(", ")
    }

    fn threshold_detail(&self, sensor: Option<&FullSensor>) -> Vec<String> {
        let shown = |raw: u8| match sensor.and_then(|full| full.value(raw).map(|value| (value, full.unit.symbol()))) {
            Some((value, unit)) => format!("{} {unit}", (value * 1000.0).round() / 1000.0).trim_end().to_owned(),
            None => format!("{raw:02x}h"),
        };
        let (reading, threshold) = self.trigger();
        let reading = reading.map(|raw| format!("reading {}", shown(raw)));
        let threshold = threshold.map(|raw| format!("threshold {}", shown(raw)));
        reading.into_iter().chain(threshold).collect()
    }

    fn discrete_detail(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let (Use::Standard, byte) = self.data_2() {
            /// An offset or severity that was not logged.
            const NONE: u8 = 0xF;
            const SEVERITY: u8 = 0x07;
            let (severity, previous) = (byte >> 4, byte & 0xF);
            if previous != NONE {
                parts.push(format!("was: {}", event::offset_text(self.event_type, self.sensor_type, previous)));
            }
            if severity != NONE {
                parts.push(event::offset_text(SEVERITY, self.sensor_type, severity));
            }
        }
        let specific = |(how, byte)| (how == Use::SensorSpecific).then_some(byte);
        let second = specific(self.data_2()).filter(|byte| *byte != UNSPECIFIED);
        let third = specific(self.data_3()).filter(|byte| *byte != UNSPECIFIED);
        if self.event_type == event_type::SENSOR_SPECIFIC {
            let from_second = second.and_then(|byte| self.second_byte(byte));
            let from_third = third.and_then(|byte| self.third_byte(byte));
            parts.extend(from_second.into_iter().chain(from_third));
        }
        parts
    }

    /// Event data 2 where table 42-3 gives it a meaning.
    fn second_byte(&self, byte: u8) -> Option<String> {
        let listed = |list: &[&str], index: u8| list.get(usize::from(index)).map(|text| (*text).to_owned());
        match (self.sensor_type, self.offset()) {
            (sensor_type::PHYSICAL_SECURITY, 4) => Some(format!("network controller {byte}")),
            (sensor_type::FIRMWARE_PROGRESS, 0) => listed(FIRMWARE_ERRORS, byte),
            (sensor_type::FIRMWARE_PROGRESS, 1 | 2) => listed(FIRMWARE_STEPS, byte),
            (sensor_type::EVENT_LOGGING, 0) => Some(format!("memory module {byte}")),
            (sensor_type::EVENT_LOGGING, 1) => Some(format!("event type {byte:02x}h")),
            (sensor_type::SYSTEM_EVENT, 3) => {
                let action = listed(AUXILIARY_LOG_ACTIONS, byte >> 4)?;
                Some(format!("{action}, log type {}", byte & 0xF))
            }
            (sensor_type::SYSTEM_EVENT, 4) => {
                let actions = PEF_ACTIONS.iter().enumerate().filter(|(bit, _)| byte >> bit & 1 != 0);
                Some(actions.map(|(_, text)| *text).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
            }
            (sensor_type::SYSTEM_EVENT, 5) => {
                let which = if byte & 0x80 == 0 { "before the change" } else { "after the change" };
                Some(which.to_owned())
            }
            (sensor_type::CHIP_SET, 0) => listed(POWER_STATES, byte).map(|state| format!("asked for {state}")),
            (sensor_type::SYSTEM_BOOT, 7) => restart_cause(byte & 0xF).map(str::to_owned),
            (sensor_type::SLOT, _) => listed(SLOT_TYPES, byte & 0x7F),
            (sensor_type::WATCHDOG_2, _) => {
                let interrupt = listed(WATCHDOG_INTERRUPTS, byte >> 4)?;
                let used_for = watchdog_use(byte & 0xF)?;
                Some(format!("interrupt {interrupt}, used for {used_for}"))
            }
            (sensor_type::MANAGEMENT_HEALTH, 4) => Some(format!("sensor {byte:02x}h")),
            (sensor_type::SESSION_AUDIT, _) => Some(format!("user {}", byte & 0x3F)).filter(|_| byte & 0x3F != 0),
            (sensor_type::VERSION_CHANGE, _) => listed(VERSION_CHANGES, byte),
            (sensor_type::FRU_STATE, _) => {
                let before = event::known_text(event_type::SENSOR_SPECIFIC, sensor_type::FRU_STATE, byte & 0xF)?;
                let cause = listed(FRU_CAUSES, byte >> 4)?;
                Some(format!("was: {before}, cause: {cause}"))
            }
            _ => None,
        }
    }

    /// Event data 3 where table 42-3 gives it a meaning.
    fn third_byte(&self, byte: u8) -> Option<String> {
        let listed = |list: &[&str], index: u8| list.get(usize::from(index)).map(|text| (*text).to_owned());
        match (self.sensor_type, self.offset()) {
            (sensor_type::POWER_SUPPLY, 6) => listed(SUPPLY_CONFIGURATION_ERRORS, byte & 0xF),
            (sensor_type::MEMORY, _) => Some(format!("memory module {byte}")),
            (sensor_type::EVENT_LOGGING, 5) => Some(format!("{byte} % full")).filter(|_| byte <= 100),
            (sensor_type::CHIP_SET, 0) => listed(POWER_STATES, byte).map(|state| format!("was in {state}")),
            (sensor_type::SYSTEM_BOOT, 7) => Some(format!("from channel {}", byte & 0xF)),
            (sensor_type::SLOT, _) => Some(format!("slot {byte}")),
            (sensor_type::SESSION_AUDIT, _) => {
                let cause = listed(SESSION_ENDS, byte >> 4 & 3).filter(|text| !text.is_empty());
                let channel = format!("channel {}", byte & 0xF);
                Some(cause.map_or_else(|| channel.clone(), |cause| format!("{channel}, {cause}")))
            }
            _ => None,
        }
    }

    /// Who logged it: `controller 20h`, `BIOS`, `system management software`.
    pub fn generator_text(&self) -> String {
        let [id, _channel_and_lun] = self.generator.to_le_bytes();
        if id & 1 == 0 {
            return format!("controller {id:02x}h");
        }
        match id >> 1 {
            0x00..=0x0F => "BIOS".to_owned(),
            0x10..=0x1F => "SMI handler".to_owned(),
            0x20..=0x2F => "system management software".to_owned(),
            0x30..=0x3F => "OEM software".to_owned(),
            0x40..=0x46 => "remote console".to_owned(),
            0x47 => "terminal mode console".to_owned(),
            other => format!("software {other:02x}h"),
        }
    }
}

/// Why the system was restarted (section 28.11).
pub fn restart_cause(code: u8) -> Option<&'static str> {
    const CAUSES: [&str; 12] = [
        "unknown",
        "chassis control command",
        "reset button",
        "power button",
        "watchdog",
        "OEM",
        "always powered up",
        "previous state restored",
        "event filter reset",
        "event filter power cycle",
        "soft reset",
        "real-time clock",
    ];
    CAUSES.get(usize::from(code)).copied()
}

/// What a watchdog timer is used for (section 27.6).
pub fn watchdog_use(code: u8) -> Option<&'static str> {
    const USES: [&str; 6] = ["unspecified", "BIOS FRB2", "BIOS/POST", "OS load", "SMS/OS", "OEM"];
    USES.get(usize::from(code)).copied()
}

const POWER_STATES: &[&str] = &[
    "S0/G0",
    "S1",
    "S2",
    "S3",
    "S4",
    "S5/G2",
    "S4/S5",
    "G3",
    "S1 to S3",
    "G1",
    "S5 by override",
    "legacy on",
    "legacy off",
];
const WATCHDOG_INTERRUPTS: &[&str] = &["none", "SMI", "NMI", "messaging"];
const AUXILIARY_LOG_ACTIONS: &[&str] = &[
    "entry added",
    "entry added for an event that is not standard",
    "entry added with more event data",
    "log cleared",
    "log disabled",
    "log enabled",
];
const PEF_ACTIONS: &[&str] = &["alert", "power off", "reset", "power cycle", "OEM action", "diagnostic interrupt"];
const SUPPLY_CONFIGURATION_ERRORS: &[&str] = &[
    "vendor mismatch",
    "revision mismatch",
    "processor missing",
    "power supply rating mismatch",
    "voltage rating mismatch",
];
const SESSION_ENDS: &[&str] = &["", "closed by command", "timed out", "closed by configuration"];
const SLOT_TYPES: &[&str] = &[
    "PCI",
    "drive array",
    "external connector",
    "docking port",
    "other connector",
    "entity",
    "AdvancedTCA",
    "memory",
    "fan",
    "PCI Express",
    "SCSI",
    "SATA/SAS",
    "USB",
];
const FRU_CAUSES: &[&str] = &[
    "normal",
    "commanded by external software",
    "latch operated",
    "hot swap button pressed",
    "self-initiated",
    "communication lost",
    "communication lost locally",
    "unexpected removal",
    "operator intervention",
    "IPMB address unknown",
    "unexpected deactivation",
];
const FIRMWARE_ERRORS: &[&str] = &[
    "unspecified",
    "no system memory",
    "no usable system memory",
    "hard-disk failure",
    "system board failure",
    "diskette failure",
    "hard-disk controller failure",
    "keyboard failure",
    "no removable boot medium",
    "video controller failure",
    "no video device",
    "firmware corruption",
    "CPU voltage mismatch",
    "CPU speed mismatch",
];
const FIRMWARE_STEPS: &[&str] = &[
    "unspecified",
    "memory initialization",
    "hard-disk initialization",
    "secondary processor initialization",
    "user authentication",
    "user-initiated setup",
    "USB resource configuration",
    "PCI resource configuration",
    "option ROM initialization",
    "video initialization",
    "cache initialization",
    "SMBus initialization",
    "keyboard controller initialization",
    "management controller initialization",
    "docking station attachment",
    "enabling docking station",
    "docking station ejection",
    "disabling docking station",
    "calling OS wake-up vector",
    "starting operating system boot",
    "motherboard initialization",
    "reserved",
    "floppy initialization",
    "keyboard test",
    "pointing device test",
    "primary processor initialization",
];
const VERSION_CHANGES: &[&str] = &[
    "unspecified",
    "controller device id",
    "controller firmware",
    "controller device revision",
    "controller manufacturer",
    "controller IPMI version",
    "controller auxiliary firmware",
    "controller boot block",
    "other controller firmware",
    "system firmware",
    "SMBIOS",
    "operating system",
    "operating system loader",
    "service or diagnostic partition",
    "management software agent",
    "management application",
    "management middleware",
    "programmable hardware",
    "FRU module",
    "FRU component",
    "FRU replaced by an equal one",
    "FRU replaced by a newer one",
    "FRU replaced by an older one",
    "FRU hardware configuration",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipmi::sdr::{AnalogFormat, SdrRecord, SensorFactors, Thresholds};
    use crate::ipmi::sdr_encode::FullSpec;

    fn event(event_type: u8, sensor_type: u8, data: [u8; 3]) -> SelEvent {
        let (timestamp, generator, sensor_number) = (0x6000_0000, 0x20, 1);
        SelEvent { timestamp, generator, sensor_type, sensor_number, event_type, is_assertion: true, data }
    }

    fn temperature() -> FullSensor {
        let spec = FullSpec {
            number: 1,
            entity: (3, 1),
            sensor_type: 1,
            format: AnalogFormat::Unsigned,
            unit: 1,
            linearization: 0,
            factors: SensorFactors { m: 5, b: 0, b_exponent: 0, result_exponent: -1 },
            thresholds: Thresholds::default(),
            nominal: 0,
            name: "CPU".to_owned(),
        };
        match SdrRecord::decode(&spec.encode(1)) {
            Some(SdrRecord::Full(full)) => *full,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn event_data_reads_as_the_tables_say() {
        for (event, expected) in [
            (event(0x01, 0x01, [0x59, 192, 190]), "reading 96 °C, threshold 95 °C"),
            (event(0x01, 0x01, [0x49, 192, 0xFF]), "reading 96 °C"),
            (event(0x01, 0x01, [0x09, 192, 190]), ""),
            (event(0x01, 0x01, [0xA9, 0x12, 0x34]), "OEM data 2 = 12h, OEM data 3 = 34h"),
            (event(0x07, 0x09, [0x42, 0x20, 0xFF]), "was: transition to OK, transition to Critical from less severe"),
            (event(0x0B, 0x09, [0x41, 0xF0, 0xFF]), "was: Fully Redundant"),
            (event(0x6F, 0x08, [0x36, 0xFF, 0x04]), "voltage rating mismatch"),
            (event(0x6F, 0x0C, [0x30, 0xFF, 0x05]), "memory module 5"),
            (event(0x6F, 0x0F, [0xC0, 0x0B, 0xFF]), "firmware corruption"),
            (event(0x6F, 0x0F, [0xC2, 0x13, 0xFF]), "starting operating system boot"),
            (event(0x6F, 0x10, [0x35, 0xFF, 90]), "90 % full"),
            (event(0x6F, 0x12, [0xC4, 0x05, 0xFF]), "alert, reset"),
            (event(0x6F, 0x1D, [0xF7, 0x04, 0x01]), "watchdog, from channel 1"),
            (event(0x6F, 0x21, [0xF0, 0x09, 0x03]), "PCI Express, slot 3"),
            (event(0x6F, 0x23, [0xC1, 0x24, 0xFF]), "interrupt NMI, used for SMS/OS"),
            (event(0x6F, 0x2A, [0xF1, 0x02, 0x21]), "user 2, channel 1, timed out"),
            (event(0x6F, 0x2B, [0xC1, 0x02, 0xFF]), "controller firmware"),
            (event(0x6F, 0x2C, [0xC7, 0x54, 0xFF]), "was: FRU Active, cause: communication lost"),
            (event(0x6F, 0xC7, [0xF1, 0x02, 0x03]), ""),
        ] {
            assert_eq!(event.detail(Some(&temperature())), expected, "{event:?}");
        }
        assert_eq!(event(0x01, 0x01, [0x59, 192, 190]).detail(None), "reading c0h, threshold beh");
    }

    #[test]
    fn generators_are_told_apart() {
        for (generator, expected) in [
            (0x0020, "controller 20h"),
            (0x0001, "BIOS"),
            (0x0031, "SMI handler"),
            (0x0041, "system management software"),
            (0x0061, "OEM software"),
            (0x0081, "remote console"),
            (0x008F, "terminal mode console"),
            (0x00FF, "software 7fh"),
        ] {
            let event = SelEvent { generator, ..event(0x6F, 8, [0; 3]) };
            assert_eq!(event.generator_text(), expected);
        }
    }

    #[test]
    fn no_event_data_panics() {
        for sensor_type in 0..=u8::MAX {
            for event_type in [0x01, 0x07, 0x6F, 0x70] {
                for first in 0..=u8::MAX {
                    for byte in [0, 0x0F, 0x1F, 0x7F, 0x80, 0xF0, 0xFF] {
                        let _ = event(event_type, sensor_type, [first, byte, byte]).detail(None);
                    }
                }
            }
        }
    }
}
