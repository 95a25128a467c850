//! What an event offset means: text for people and how much it matters (tables 42-2 and 42-3).
//!
//! The key is always (event/reading type, sensor type, offset), never a sensor's name: vendors publish
//! power-supply redundancy under type 08h as well as 09h.

use super::event_table::{GENERIC, Meaning, SENSOR_TYPES, SPECIFIC};

/// Event/reading type codes (table 42-1).
pub mod event_type {
    pub const THRESHOLD: u8 = 0x01;
    pub const REDUNDANCY: u8 = 0x0B;
    pub const SENSOR_SPECIFIC: u8 = 0x6F;
    /// The states of table 42-2 but thresholds.
    pub const GENERIC_DISCRETE: std::ops::RangeInclusive<u8> = 0x02..=0x0C;
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
    pub const SYSTEM_EVENT: u8 = 0x12;
    pub const CRITICAL_INTERRUPT: u8 = 0x13;
    pub const CHIP_SET: u8 = 0x19;
    pub const SYSTEM_BOOT: u8 = 0x1D;
    pub const BOOT_ERROR: u8 = 0x1E;
    pub const OS_STOP: u8 = 0x20;
    pub const SLOT: u8 = 0x21;
    pub const WATCHDOG_2: u8 = 0x23;
    pub const LAN: u8 = 0x27;
    pub const MANAGEMENT_HEALTH: u8 = 0x28;
    pub const BATTERY: u8 = 0x29;
    pub const SESSION_AUDIT: u8 = 0x2A;
    pub const VERSION_CHANGE: u8 = 0x2B;
    pub const FRU_STATE: u8 = 0x2C;
    /// Types from here on are the manufacturer's own.
    pub const FIRST_OEM: u8 = 0xC0;
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

/// Who notices when an offset is asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Visibility {
    /// Nothing is lost.
    Harmless,
    /// Redundancy or a safety margin is lost; what runs on the host goes on.
    Hidden,
    /// What runs on the host stops, or has stopped.
    Visible,
}

fn meaning(event_type: u8, sensor_type: u8, offset: u8) -> Option<&'static Meaning> {
    let (table, code) = match event_type {
        event_type::SENSOR_SPECIFIC => (SPECIFIC, sensor_type),
        _ => (GENERIC, event_type),
    };
    let group = table.iter().find(|group| group.code == code)?;
    group.offsets.iter().find(|meaning| meaning.offset == offset)
}

/// Name of a sensor type.
pub fn sensor_type_name(sensor_type: u8) -> String {
    match SENSOR_TYPES.get(usize::from(sensor_type)) {
        Some(name) if sensor_type != 0 => (*name).to_owned(),
        _ if sensor_type >= sensor_type::FIRST_OEM => format!("OEM (0x{sensor_type:02X})"),
        _ => format!("Reserved (0x{sensor_type:02X})"),
    }
}

/// Meaning of one offset, without the sensor's type: `Power Supply input lost (AC/DC)`.
pub fn offset_text(event_type: u8, sensor_type: u8, offset: u8) -> String {
    known_text(event_type, sensor_type, offset).map_or_else(|| format!("offset {offset}"), str::to_owned)
}

/// The same; `None` for offsets that the tables do not have.
pub fn known_text(event_type: u8, sensor_type: u8, offset: u8) -> Option<&'static str> {
    meaning(event_type, sensor_type, offset).map(|meaning| meaning.text)
}

/// Meaning of one offset in the words of `ipmitool`; `None` where it has none.
pub fn brief_text(event_type: u8, sensor_type: u8, offset: u8) -> Option<&'static str> {
    meaning(event_type, sensor_type, offset).map(|meaning| meaning.brief).filter(|brief| !brief.is_empty())
}

/// Meaning of one offset with the sensor's type in front, unless the text begins with it already.
pub fn text(event_type: u8, sensor_type: u8, offset: u8) -> String {
    let meaning = offset_text(event_type, sensor_type, offset);
    let kind = sensor_type_name(sensor_type);
    if meaning.to_lowercase().starts_with(&kind.to_lowercase()) { meaning } else { format!("{kind} {meaning}") }
}

/// How much an asserted offset matters. Offsets without a known meaning are information: a rule may still name them.
pub fn severity(event_type: u8, sensor_type: u8, offset: u8) -> Severity {
    meaning(event_type, sensor_type, offset).map_or(Severity::Info, |meaning| meaning.severity)
}

/// Whether users of the host notice. Follows the severity, but for what is critical because it will soon be felt
/// (a hot inlet, a fan that stands still) and is not felt yet.
pub fn visibility(event_type: u8, sensor_type: u8, offset: u8) -> Visibility {
    let is_felt_later = event_type != event_type::SENSOR_SPECIFIC
        || matches!((sensor_type, offset), (sensor_type::MEMORY, 0xA) | (sensor_type::WATCHDOG_2, 0));
    match severity(event_type, sensor_type, offset) {
        Severity::Info => Visibility::Harmless,
        Severity::Warning | Severity::Major => Visibility::Hidden,
        Severity::Critical if is_felt_later => Visibility::Hidden,
        Severity::Critical => Visibility::Visible,
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
            (0x6F, 0x09, 4, "Power Unit AC lost/Power input lost", Severity::Critical),
            (0x6F, 0x0D, 1, "Drive Slot Drive Fault", Severity::Major),
            (0x01, 0x01, 9, "Temperature Upper Critical - going high", Severity::Critical),
            (0x01, 0x04, 0, "Fan Lower Non-critical - going low", Severity::Warning),
            (0x6F, 0xC7, 4, "OEM (0xC7) offset 4", Severity::Info),
        ] {
            assert_eq!(text(event_type, sensor_type, offset), expected);
            assert_eq!(super::severity(event_type, sensor_type, offset), severity, "{expected}");
        }
    }

    #[test]
    fn each_offset_is_there_once_in_both_wordings() {
        for group in GENERIC.iter().chain(SPECIFIC) {
            let offsets: Vec<u8> = group.offsets.iter().map(|meaning| meaning.offset).collect();
            assert!(
                offsets.is_sorted_by(|a, b| a < b) && offsets.iter().all(|offset| *offset < 15),
                "{:02X}",
                group.code
            );
            assert!(group.offsets.iter().all(|meaning| !meaning.text.is_empty()), "{:02X}", group.code);
        }
        for (table, first, last) in [(GENERIC, 0x01, 0x0C), (SPECIFIC, 0x05, 0x2C)] {
            assert!(table.is_sorted_by(|a, b| a.code < b.code));
            assert_eq!((table[0].code, table[table.len() - 1].code), (first, last));
        }
        assert_eq!(SENSOR_TYPES.len(), 0x2D, "table 42-3 ends with FRU State, 2Ch");
    }

    #[test]
    fn visible_is_what_stops_the_host() {
        for (event_type, sensor_type, offset, expected) in [
            (0x6F, 0x07, 1, Visibility::Visible),
            (0x6F, 0x08, 1, Visibility::Hidden),
            (0x6F, 0x08, 0, Visibility::Harmless),
            (0x6F, 0x0C, 1, Visibility::Visible),
            (0x6F, 0x0C, 0, Visibility::Hidden),
            (0x6F, 0x0D, 6, Visibility::Visible),
            (0x6F, 0x20, 1, Visibility::Visible),
            (0x6F, 0x23, 1, Visibility::Visible),
            (0x01, 0x01, 9, Visibility::Hidden),
            (0x0B, 0x09, 5, Visibility::Hidden),
        ] {
            assert_eq!(
                visibility(event_type, sensor_type, offset),
                expected,
                "{}",
                text(event_type, sensor_type, offset)
            );
        }
    }
}
