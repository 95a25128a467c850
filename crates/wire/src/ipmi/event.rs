//! What an event offset means: text for people and how much it matters (tables 42-2 and 42-3).
//!
//! The key is always (event/reading type, sensor type, offset), never a sensor's name: vendors publish
//! power-supply redundancy under type 08h as well as 09h.

use std::fmt;

use ipmi_rs_core::storage::sdr::{SensorType, decode_event};

/// Event/reading type codes (table 42-1).
pub mod event_type {
    pub const THRESHOLD: u8 = 0x01;
    pub const REDUNDANCY: u8 = 0x0B;
    pub const SENSOR_SPECIFIC: u8 = 0x6F;
}

/// Sensor types this product decides on (table 42-3).
pub mod sensor_type {
    pub const TEMPERATURE: u8 = 0x01;
    pub const VOLTAGE: u8 = 0x02;
    pub const CURRENT: u8 = 0x03;
    pub const FAN: u8 = 0x04;
    pub const PHYSICAL_SECURITY: u8 = 0x05;
    pub const PROCESSOR: u8 = 0x07;
    pub const POWER_SUPPLY: u8 = 0x08;
    pub const POWER_UNIT: u8 = 0x09;
    pub const COOLING: u8 = 0x0A;
    pub const MEMORY: u8 = 0x0C;
    pub const DRIVE_SLOT: u8 = 0x0D;
    pub const FIRMWARE_PROGRESS: u8 = 0x0F;
    pub const EVENT_LOGGING: u8 = 0x10;
    pub const CRITICAL_INTERRUPT: u8 = 0x13;
    pub const CHIP_SET: u8 = 0x19;
    pub const BOOT_ERROR: u8 = 0x1E;
    pub const OS_STOP: u8 = 0x20;
    pub const WATCHDOG_2: u8 = 0x23;
    pub const LAN: u8 = 0x27;
    pub const MANAGEMENT_HEALTH: u8 = 0x28;
    pub const BATTERY: u8 = 0x29;
}

/// Offsets of a power supply sensor.
pub mod power_supply {
    pub const PRESENCE: u8 = 0;
    pub const FAILURE: u8 = 1;
    pub const PREDICTIVE_FAILURE: u8 = 2;
    pub const INPUT_LOST: u8 = 3;
}

/// How much an asserted offset matters: lost redundancy is major, a service at risk is critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Presence, progress, or a state that is normal.
    Info,
    Warning,
    Major,
    Critical,
}

struct Offset {
    event_type: u8,
    sensor_type: u8,
    offset: u8,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decode_event(f, self.event_type, SensorType::from(self.sensor_type), self.offset)
    }
}

/// Name of a sensor type.
pub fn sensor_type_name(sensor_type: u8) -> String {
    SensorType::from(sensor_type).to_string()
}

/// Meaning of one offset, without the sensor's type: `Power Supply input lost (AC/DC)`.
pub fn offset_text(event_type: u8, sensor_type: u8, offset: u8) -> String {
    let text = Offset { event_type, sensor_type, offset }.to_string();
    if text.is_empty() { format!("offset {offset}") } else { text }
}

/// Meaning of one offset with the sensor's type in front, unless the text begins with it already.
pub fn text(event_type: u8, sensor_type: u8, offset: u8) -> String {
    let meaning = offset_text(event_type, sensor_type, offset);
    let kind = sensor_type_name(sensor_type);
    if meaning.to_lowercase().starts_with(&kind.to_lowercase()) { meaning } else { format!("{kind} {meaning}") }
}

/// How much an asserted offset matters. Offsets without a known meaning are information: a rule may still name them.
pub fn severity(event_type: u8, sensor_type: u8, offset: u8) -> Severity {
    match event_type {
        event_type::SENSOR_SPECIFIC => specific_severity(sensor_type, offset),
        _ => generic_severity(event_type, offset),
    }
}

fn generic_severity(event_type: u8, offset: u8) -> Severity {
    use Severity::{Critical, Info, Major, Warning};
    match (event_type, offset) {
        // Odd threshold offsets are the way back from a low threshold, even ones from a high one.
        (event_type::THRESHOLD, 0x0 | 0x7) => Warning,
        (event_type::THRESHOLD, 0x2 | 0x4 | 0x9 | 0xB) => Critical,
        (0x04 | 0x05, 1) => Warning,
        (0x07, 1 | 4) => Warning,
        (0x07, 2 | 3 | 5 | 6) => Critical,
        (0x0A, 4 | 6 | 8) => Warning,
        (event_type::REDUNDANCY, 1 | 2 | 3 | 4 | 6 | 7) => Major,
        (event_type::REDUNDANCY, 5) => Critical,
        _ => Info,
    }
}

fn specific_severity(sensor: u8, offset: u8) -> Severity {
    use Severity::{Critical, Info, Major, Warning};
    match (sensor, offset) {
        (sensor_type::PHYSICAL_SECURITY, _) => Warning,
        (sensor_type::PROCESSOR, 0..=4 | 6 | 0xB) => Critical,
        (sensor_type::PROCESSOR, 5 | 8 | 0xA | 0xC) => Warning,
        (sensor_type::POWER_SUPPLY, 1 | 3 | 4) => Major,
        (sensor_type::POWER_SUPPLY, 2 | 5 | 6) => Warning,
        (sensor_type::POWER_UNIT, 0) => Major,
        (sensor_type::POWER_UNIT, 1 | 7) => Warning,
        (sensor_type::POWER_UNIT, 2..=6) => Critical,
        (sensor_type::MEMORY, 1 | 2 | 0xA) => Critical,
        (sensor_type::MEMORY, 5) => Major,
        (sensor_type::MEMORY, 0 | 3 | 4 | 7 | 9) => Warning,
        (sensor_type::DRIVE_SLOT, 6) => Critical,
        (sensor_type::DRIVE_SLOT, 1 | 5 | 8) => Major,
        (sensor_type::DRIVE_SLOT, 2 | 7) => Warning,
        (sensor_type::FIRMWARE_PROGRESS, 0 | 1) => Critical,
        (sensor_type::EVENT_LOGGING, 3..=5) => Warning,
        (sensor_type::CRITICAL_INTERRUPT, 4 | 5 | 8 | 9 | 0xA) => Critical,
        (sensor_type::CRITICAL_INTERRUPT, 1..=3 | 6 | 7 | 0xB) => Warning,
        (sensor_type::CHIP_SET, 0 | 1) => Critical,
        (sensor_type::BOOT_ERROR, _) => Critical,
        (sensor_type::OS_STOP, 0 | 1) => Critical,
        (sensor_type::WATCHDOG_2, 0..=3) => Critical,
        (sensor_type::WATCHDOG_2, 8) => Warning,
        (sensor_type::LAN, 0) => Warning,
        (sensor_type::MANAGEMENT_HEALTH, 0..=5) => Warning,
        (sensor_type::BATTERY, 0 | 1) => Warning,
        _ => Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_carry_their_meaning_and_weight() {
        for (event_type, sensor_type, offset, expected, severity) in [
            (0x6F, 0x08, 0, "Power Supply Presence detected", Severity::Info),
            (0x6F, 0x08, 1, "Power Supply Failure detected", Severity::Major),
            (0x6F, 0x08, 3, "Power Supply input lost (AC/DC)", Severity::Major),
            (0x0B, 0x08, 1, "Power Supply Redundancy Lost", Severity::Major),
            (0x0B, 0x09, 5, "Power Unit Non-redundant:Insufficient Resources", Severity::Critical),
            (0x0B, 0x09, 0, "Power Unit Fully Redundant", Severity::Info),
            (0x6F, 0x09, 4, "Power Unit AC lost / Power input lost", Severity::Critical),
            (0x6F, 0x0D, 1, "Drive Slot Drive Fault", Severity::Major),
            (0x01, 0x01, 9, "Temperature Upper Critical - going high", Severity::Critical),
            (0x01, 0x04, 0, "Fan Lower Non-critical - going low", Severity::Warning),
            (0x6F, 0xC7, 4, "OEM (0xC7) offset 4", Severity::Info),
        ] {
            assert_eq!(text(event_type, sensor_type, offset), expected);
            assert_eq!(super::severity(event_type, sensor_type, offset), severity, "{expected}");
        }
    }
}
