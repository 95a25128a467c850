//! Platform Event Traps: what a BMC says unasked, packed into one octet string of an SNMP trap (IPMI Platform Event Trap
//! Format 1.0, revision 2).

use super::cursor::Cursor;
use super::event::{self, event_type};

/// Below it stand the traps; the last number of each says what happened (§6).
pub const ENTERPRISE: &[u32] = &[1, 3, 6, 1, 4, 1, 3183, 1, 1];
/// The one object that a trap carries (§7).
pub const FIELDS: &[u32] = &[1, 3, 6, 1, 4, 1, 3183, 1, 1, 1];

/// §6 table 6: seconds are counted from 1998-01-01T00:00:00, which is this in Unix time.
const EPOCH: i64 = 883_612_800;
/// §6: a minute of UTC offset that nobody knows.
const OFFSET_UNKNOWN: u16 = 0xFFFF;
/// §6: the offset that names no state.
const OFFSET_UNSPECIFIED: u8 = 0x0F;
/// Bytes of the maker's own that are kept.
const OEM_BYTES_MAX: usize = 64;
/// §8: a record of the maker's that ends the list.
const OEM_END: u8 = 0xC1;

/// One event, as the BMC sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pet {
    pub sensor_type: u8,
    pub event_type: u8,
    /// `None` where the trap names none.
    pub offset: Option<u8>,
    /// False when the state has gone again.
    pub is_asserted: bool,
    pub guid: [u8; 16],
    pub sequence: u16,
    /// Unix time; `None` where the BMC has no clock.
    pub at: Option<i64>,
    /// What the BMC makes of it; `None` where it says nothing.
    pub severity: Option<PetSeverity>,
    /// Slave address of the controller that has the sensor.
    pub device: Option<u8>,
    pub sensor: Option<u8>,
    /// Kind of part, and which of them (IPMI 2.0 table 43-13).
    pub entity: Option<(u8, u8)>,
    pub data: [u8; 8],
    /// IANA number of the maker; 0 is nobody.
    pub manufacturer: u32,
    pub system: u16,
    /// Records of the maker's own, as they came.
    pub oem: Vec<u8>,
}

/// §6 table 6, "Event Severity".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PetSeverity {
    Monitor,
    Information,
    Ok,
    NonCritical,
    Critical,
    NonRecoverable,
}

impl PetSeverity {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => PetSeverity::Monitor,
            0x02 => PetSeverity::Information,
            0x04 => PetSeverity::Ok,
            0x08 => PetSeverity::NonCritical,
            0x10 => PetSeverity::Critical,
            0x20 => PetSeverity::NonRecoverable,
            _ => return None,
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            PetSeverity::Monitor => "monitor",
            PetSeverity::Information => "information",
            PetSeverity::Ok => "ok",
            PetSeverity::NonCritical => "non-critical",
            PetSeverity::Critical => "critical",
            PetSeverity::NonRecoverable => "non-recoverable",
        }
    }
}

/// Bytes that are no platform event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a platform event has 46 bytes and more, this has {0}")]
pub struct TooShort(pub usize);

impl Pet {
    /// Reads a trap's specific number and its octet string.
    ///
    /// # Errors
    /// The string is shorter than the fields that every event has.
    pub fn decode(specific: u32, fields: &[u8]) -> Result<Pet, TooShort> {
        read(specific, fields).ok_or(TooShort(fields.len()))
    }

    /// How much it matters: as the BMC says, else as the tables of events do. What has gone again matters no more.
    pub fn weight(&self) -> event::Severity {
        if !self.is_asserted {
            return event::Severity::Info;
        }
        match self.severity {
            Some(PetSeverity::Monitor | PetSeverity::Information | PetSeverity::Ok) => event::Severity::Info,
            Some(PetSeverity::NonCritical) => event::Severity::Warning,
            Some(PetSeverity::Critical | PetSeverity::NonRecoverable) => event::Severity::Critical,
            None => self
                .offset
                .map_or(event::Severity::Info, |offset| event::severity(self.event_type, self.sensor_type, offset)),
        }
    }

    /// What is said of one thing and taken back: events with one key speak of the same. Generic states (§42.1: all but
    /// thresholds and what a sensor type defines itself) exclude each other, so the next one replaces the last.
    pub fn key(&self) -> String {
        let sensor =
            self.sensor.map_or_else(|| event::sensor_type_name(self.sensor_type), |number| format!("{number}"));
        let device = self.device.map_or_else(String::new, |device| format!("{device:02x}h "));
        let keeps_offset = self.event_type == event_type::THRESHOLD || self.event_type >= event_type::SENSOR_SPECIFIC;
        match self.offset.filter(|_| keeps_offset) {
            Some(offset) => format!("sensor {device}{sensor}/{offset}"),
            None => format!("sensor {device}{sensor}"),
        }
    }

    /// One line for people.
    pub fn text(&self) -> String {
        let what = match self.offset {
            Some(offset) => event::text(self.event_type, self.sensor_type, offset),
            None => event::sensor_type_name(self.sensor_type),
        };
        let mut text = if self.is_asserted { what } else { format!("{what}: over") };
        if let Some(sensor) = self.sensor {
            text.push_str(&format!(", sensor {sensor}"));
        }
        if let Some((kind, instance)) = self.entity {
            text.push_str(&format!(", entity {kind}.{instance}"));
        }
        if let [Some(reading), threshold] = self.trigger() {
            text.push_str(&format!(", raw reading {reading:02x}h"));
            if let Some(threshold) = threshold {
                text.push_str(&format!(" at threshold {threshold:02x}h"));
            }
        }
        if let Some(severity) = self.severity {
            text.push_str(&format!(" ({})", severity.word()));
        }
        text
    }

    /// Of a threshold event: what was read, and the threshold, raw (IPMI 2.0 table 29-6: bits 7:6 and 5:4 of the first
    /// byte of data say whether the next two are those).
    fn trigger(&self) -> [Option<u8>; 2] {
        let [first, reading, threshold, ..] = self.data;
        let is_threshold = self.event_type == event_type::THRESHOLD;
        [
            (is_threshold && first >> 6 == 0b01).then_some(reading),
            (is_threshold && first >> 4 & 0b11 == 0b01).then_some(threshold),
        ]
    }
}

/// §6 table 5 for the number, table 6 for the fields; numbers of several bytes have the highest first.
fn read(specific: u32, fields: &[u8]) -> Option<Pet> {
    let [_, sensor_type, event_type, state] = specific.to_be_bytes();
    let mut cursor = Cursor::new(fields);
    let guid = cursor.array::<16>()?;
    let sequence = u16::from_be_bytes(cursor.array()?);
    let seconds = u32::from_be_bytes(cursor.array()?);
    let offset_minutes = u16::from_be_bytes(cursor.array()?);
    let [_trap_source, _event_source, severity, device, sensor, entity, instance] = cursor.array()?;
    let data = cursor.array::<8>()?;
    let _language = cursor.u8()?;
    let manufacturer = u32::from_be_bytes(cursor.array()?);
    let system = u16::from_be_bytes(cursor.array()?);
    let known = |byte: u8| Some(byte).filter(|byte| *byte != 0xFF);
    Some(Pet {
        sensor_type,
        event_type,
        offset: Some(state & 0x0F).filter(|offset| *offset != OFFSET_UNSPECIFIED),
        is_asserted: state & 0x80 == 0,
        guid,
        sequence,
        at: (seconds != 0).then(|| unix_time(seconds, offset_minutes)),
        severity: PetSeverity::from_byte(severity),
        device: known(device),
        sensor: known(sensor).filter(|number| *number != 0),
        entity: Some((entity, instance)).filter(|(kind, _)| *kind != 0),
        data,
        manufacturer,
        system,
        oem: cursor.rest().iter().copied().take_while(|byte| *byte != OEM_END).take(OEM_BYTES_MAX).collect(),
    })
}

/// The BMC's clock shows local time; without an offset it is taken for UTC.
fn unix_time(seconds: u32, offset_minutes: u16) -> i64 {
    let offset = if offset_minutes == OFFSET_UNKNOWN { 0 } else { i64::from(offset_minutes.cast_signed()) };
    EPOCH + i64::from(seconds) - offset * 60
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the manual of FreeIPMI's ipmi-pet(8), of a Dell: FreeIPMI 1.6.13 prints of it "Oct-10-2011 20:50:46, Sensor
    /// #115, Physical Security, Ok, Deassertion Event, General Chassis Intrusion, OEM Event Data2 code = 01h".
    const DELL: (u32, [u8; 47]) = (
        356_224,
        [
            0x44, 0x45, 0x4c, 0x4c, 0x50, 0x00, 0x10, 0x59, 0x80, 0x43, 0xb2, 0xc0, 0x4f, 0x33, 0x33, 0x58, 0x00, 0x02,
            0x19, 0xe8, 0x7e, 0x26, 0xff, 0xff, 0x20, 0x20, 0x04, 0x20, 0x73, 0x18, 0x00, 0x80, 0x01, 0xff, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x19, 0x00, 0x00, 0x02, 0xa2, 0x01, 0x00, 0xc1,
        ],
    );

    /// The same bytes with another severity, sensor, entity and data.
    fn fields(severity: u8, sensor: u8, data: [u8; 3]) -> Vec<u8> {
        let mut bytes = DELL.1.to_vec();
        let [d1, d2, d3] = data;
        for (at, byte) in [(26, severity), (28, sensor), (29, 0x0A), (30, 1), (31, d1), (32, d2), (33, d3)] {
            bytes[at] = byte;
        }
        bytes
    }

    #[test]
    fn the_example_of_freeipmi_reads_as_freeipmi_reads_it() {
        let pet = Pet::decode(DELL.0, &DELL.1).unwrap();
        // 2011-10-10T20:50:46Z
        assert_eq!((pet.at, pet.sequence, pet.manufacturer, pet.system), (Some(1_318_279_846), 2, 674, 0x100));
        assert_eq!((pet.sensor, pet.device, pet.entity), (Some(115), Some(0x20), Some((0x18, 0))));
        assert_eq!((pet.is_asserted, pet.severity), (false, Some(PetSeverity::Ok)));
        assert_eq!(pet.oem, b"");
        assert!(pet.text().contains("hassis"), "{}", pet.text());
        assert!(pet.text().contains(": over, sensor 115"), "{}", pet.text());
    }

    /// The words of events beside those that ipmi-pet 1.6.13 printed for the same numbers.
    #[test]
    fn events_have_the_words_of_the_tables() {
        use event::Severity::{Critical, Info, Major, Warning};
        for (specific, severity, data, words, weight) in [
            (
                0x08_6F01,
                0x10,
                [1, 0xFF, 0xFF],
                "Power Supply Failure detected, sensor 81, entity 10.1 (critical)",
                Critical,
            ),
            (
                0x01_0109,
                0x10,
                [0x59, 0x55, 0x50],
                "Temperature Upper Critical - going high, sensor 81, entity 10.1, raw reading 55h at threshold 50h (critical)",
                Critical,
            ),
            (
                0x08_0B01,
                0x08,
                [1, 0xFF, 0xFF],
                "Power Supply Redundancy Lost, sensor 81, entity 10.1 (non-critical)",
                Warning,
            ),
            (0x08_0B01, 0x00, [1, 0xFF, 0xFF], "Power Supply Redundancy Lost, sensor 81, entity 10.1", Major),
            (
                0x08_6F81,
                0x10,
                [1, 0xFF, 0xFF],
                "Power Supply Failure detected: over, sensor 81, entity 10.1 (critical)",
                Info,
            ),
            (0x08_6F0F, 0x00, [1, 0xFF, 0xFF], "Power Supply, sensor 81, entity 10.1", Info),
        ] {
            let pet = Pet::decode(specific, &fields(severity, 81, data)).unwrap();
            assert_eq!((pet.text().as_str(), pet.weight()), (words, weight), "{specific:06x}");
        }
    }

    #[test]
    fn what_is_taken_back_has_the_key_of_what_was_said() {
        let key = |specific| Pet::decode(specific, &fields(0x10, 81, [0; 3])).unwrap().key();
        assert_eq!(key(0x08_6F01), key(0x08_6F81), "a power supply failed, and does so no more");
        assert_ne!(key(0x08_6F01), key(0x08_6F03), "failure is not lost input");
        assert_eq!(key(0x08_0B01), key(0x08_0B00), "redundancy lost, then full again");
        assert_ne!(key(0x01_0107), key(0x01_0109), "two thresholds");
    }

    #[test]
    fn a_clock_with_an_offset_shows_local_time() {
        let mut bytes = DELL.1;
        (bytes[22], bytes[23]) = (0x00, 0x3C);
        assert_eq!(Pet::decode(DELL.0, &bytes).unwrap().at, Some(1_318_279_846 - 3600));
        bytes[18..22].fill(0);
        assert_eq!(Pet::decode(DELL.0, &bytes).unwrap().at, None);
    }

    #[test]
    fn a_short_one_is_refused_with_its_length() {
        for length in 0..46 {
            assert_eq!(Pet::decode(DELL.0, &DELL.1[..length]), Err(TooShort(length)));
        }
        assert!(Pet::decode(DELL.0, &DELL.1[..46]).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(specific: u32, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(pet) = Pet::decode(specific, &bytes) {
                prop_assert!(bytes.len() >= 46 && pet.oem.len() <= OEM_BYTES_MAX);
                prop_assert!(!pet.text().is_empty() && !pet.text().chars().any(char::is_control));
                prop_assert!(pet.key().starts_with("sensor ") && pet.weight() <= event::Severity::Critical);
            }
        }
    }
}
