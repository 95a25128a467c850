//! One sensor as a line of `ipmitool sdr elist` and of FreeIPMI's `ipmi-sensors --comma-separated-output`, to the last
//! digit: for comparing our reading with those programs', in tests and at a real controller.

use super::event::{self, event_type, sensor_type};
use super::units::SensorUnit;

/// A sensor, its record and its reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<'a> {
    pub record_id: u16,
    /// The record's own name.
    pub name: &'a str,
    pub number: u8,
    pub entity: (u8, u8),
    pub sensor_type: u8,
    pub event_type: u8,
    /// The unit of a full record; compact ones have none.
    pub unit: Option<SensorUnit>,
    /// The record has a number format, so that its readings are numbers.
    pub is_analog: bool,
    pub answer: Answer,
}

/// What Get Sensor Reading gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Reading {
        /// Absent for discrete sensors and where the curve has no value.
        value: Option<f64>,
        /// Threshold class: bits 0 to 5 from lower non-critical to upper non-recoverable. Else the fifteen offsets.
        states: u16,
    },
    /// Scanning is switched off.
    Disabled,
    /// The sensor has no reading now, or there is no such sensor.
    Unavailable,
}

/// What programs print where there is nothing.
const NOT_APPLICABLE: &str = "N/A";

/// Offsets of one sensor.
const OFFSETS: u8 = 15;

fn asserted(states: u16) -> impl Iterator<Item = u8> {
    (0..OFFSETS).filter(move |offset| states >> offset & 1 != 0)
}

impl Listed<'_> {
    fn is_threshold(&self) -> bool {
        self.event_type == event_type::THRESHOLD
    }

    /// `PS2 Status       | 25h | ok  | 10.2 | Presence detected, Power Supply AC lost`.
    pub fn ipmitool(&self) -> String {
        let (name, number, (entity, instance)) = (self.name, self.number, self.entity);
        let (status, reading) = self.ipmitool_reading();
        format!("{name:<16} | {number:02X}h | {status:<3} | {entity:>2}.{instance} | {reading}")
    }

    fn ipmitool_reading(&self) -> (&'static str, String) {
        let (value, states) = match self.answer {
            Answer::Reading { value, states } => (value, states),
            Answer::Disabled => return ("ns", "Disabled".to_owned()),
            Answer::Unavailable => return ("ns", "No Reading".to_owned()),
        };
        if !self.is_threshold() {
            return ("ok", self.brief_texts(states));
        }
        let status = threshold_word(states);
        match (value, self.unit.filter(|_| self.is_analog)) {
            (Some(value), Some(unit)) => (status, format!("{} {}", two_decimals(value), unit.ipmitool())),
            // A curve without a value here: it calls the whole reading invalid.
            (None, Some(_)) => ("ns", "No Reading".to_owned()),
            (_, None) => (status, self.brief_texts(states)),
        }
    }

    fn brief_texts(&self, states: u16) -> String {
        let texts = asserted(states).filter_map(|offset| event::brief_text(self.event_type, self.sensor_type, offset));
        texts.collect::<Vec<_>>().join(", ")
    }

    /// `38,PS2 Status,Power Supply,Critical,N/A,N/A,'Presence detected' 'Power Supply input lost (AC/DC)'`.
    pub fn freeipmi(&self) -> String {
        let kind = match self.sensor_type {
            sensor_type::FIRST_OEM.. => "OEM Reserved".to_owned(),
            known => event::sensor_type_name(known),
        };
        let (state, number, event) = match self.answer {
            Answer::Reading { value, states } => (self.freeipmi_state(states), value, self.freeipmi_event(states)),
            Answer::Disabled | Answer::Unavailable => (NOT_APPLICABLE, None, NOT_APPLICABLE.to_owned()),
        };
        let number = number.map_or(NOT_APPLICABLE.to_owned(), |value| format!("{:.2}", cut_to_cents(value)));
        let unit = self.unit.filter(|_| self.is_threshold()).and_then(|unit| unit.freeipmi());
        let unit = unit.unwrap_or_else(|| NOT_APPLICABLE.to_owned());
        format!("{},{},{kind},{state},{number},{unit},{event}", self.record_id, self.name)
    }

    /// The worst of the states; none where it has no opinion on one of them. Its opinions are not ours (see
    /// [`event::severity`]): it knows no "redundancy is lost, the service is not".
    fn freeipmi_state(&self, states: u16) -> &'static str {
        let specific = |row: &&(u8, u8, &str)| row.0 == self.event_type && row.1 == self.sensor_type;
        let general = |row: &&(u8, u8, &str)| row.0 == self.event_type && row.1 == ANY_TYPE;
        let Some((_, _, weights)) = FREEIPMI_STATES.iter().find(specific).or(FREEIPMI_STATES.iter().find(general))
        else {
            return NOT_APPLICABLE;
        };
        // Bits 6 and 7 of a threshold sensor are reserved, and mostly set.
        let states = if self.is_threshold() { states & 0x3F } else { states };
        let weights: Option<Vec<u8>> =
            asserted(states).map(|offset| weights.as_bytes().get(usize::from(offset)).copied()).collect();
        match weights {
            None => NOT_APPLICABLE,
            Some(weights) if weights.contains(&b'-') => NOT_APPLICABLE,
            Some(weights) if weights.contains(&b'C') => "Critical",
            Some(weights) if weights.contains(&b'W') => "Warning",
            Some(_) => "Nominal",
        }
    }

    fn freeipmi_event(&self, states: u16) -> String {
        if self.is_threshold() {
            return threshold_text(states).to_owned();
        }
        let is_standard = self.sensor_type < sensor_type::FIRST_OEM && self.event_type == event_type::SENSOR_SPECIFIC
            || event_type::GENERIC_DISCRETE.contains(&self.event_type);
        if states == 0 {
            return "'OK'".to_owned();
        }
        if !is_standard {
            return format!("'OEM Event = {states:04X}h'");
        }
        let quoted =
            asserted(states).map(|offset| match event::known_text(self.event_type, self.sensor_type, offset) {
                Some(text) => format!("'{text}'"),
                None => format!("'Unrecognized Event = {:04X}h'", 1u16 << offset),
            });
        quoted.collect::<Vec<_>>().join(" ")
    }
}

/// Stands for every sensor type in [`FREEIPMI_STATES`].
const ANY_TYPE: u8 = 0;

/// The defaults of freeipmi_interpret_sensor.conf(5) in release 1.6.10: event type, sensor type, and for each offset
/// nominal, warning, critical or nothing.
#[rustfmt::skip]
static FREEIPMI_STATES: &[(u8, u8, &str)] = &[
    (0x01, 0x00, "NCCNCC"), (0x02, 0x12, "NNN"), (0x03, 0x01, "NW"), (0x03, 0x02, "NW"), (0x03, 0x04, "NW"),
    (0x03, 0x05, "NC"), (0x03, 0x07, "NC"), (0x03, 0x08, "NW"), (0x03, 0x09, "NW"), (0x03, 0x0C, "NC"),
    (0x03, 0x0D, "WN"), (0x03, 0x0E, "NW"), (0x03, 0x0F, "NW"), (0x03, 0x12, "NW"), (0x03, 0x14, "NN"),
    (0x03, 0x15, "NC"), (0x03, 0x1E, "NC"), (0x03, 0x20, "NC"), (0x03, 0x24, "NC"), (0x04, 0x0D, "NC"),
    (0x05, 0x01, "NC"), (0x05, 0x02, "NC"), (0x06, 0x02, "NC"), (0x07, 0x01, "NWCCWCCWN"), (0x07, 0x02, "NWCCWCCWN"),
    (0x07, 0x03, "NWCCWCCWN"), (0x07, 0x04, "NWCCWCCWN"), (0x07, 0x08, "NWCCWCCWN"), (0x07, 0x09, "NWCCWCCWN"),
    (0x07, 0x0C, "NWCCWCCWN"), (0x07, 0x0D, "NWCCWCCWN"), (0x07, 0x0F, "NWCCWCCWN"), (0x07, 0x12, "NWCCWCCWN"),
    (0x07, 0x14, "NWCCWCCWN"), (0x07, 0x18, "NWCCWCCWN"), (0x07, 0x19, "NWCCWCCWN"), (0x07, 0x1B, "NWCCWCCWN"),
    (0x07, 0x1E, "NWCCWCCWN"), (0x07, 0x21, "NWCCWCCWN"), (0x07, 0x28, "NWCCWCCWN"), (0x08, 0x04, "CN"),
    (0x08, 0x09, "CN"), (0x08, 0x0D, "CN"), (0x08, 0x0F, "CN"), (0x08, 0x15, "CN"), (0x08, 0x25, "CN"),
    (0x08, 0x28, "CN"), (0x0A, 0x04, "NWWWWWCWC"), (0x0B, 0x04, "NCWCCCWW"), (0x0B, 0x08, "NCWCCCWW"),
    (0x0B, 0x09, "NCWCCCWW"), (0x0B, 0x0A, "NCWCCCWW"), (0x0B, 0x0C, "NCWCCCWW"), (0x6F, 0x05, "CCCCCCC"),
    (0x6F, 0x06, "CCCCCC"), (0x6F, 0x07, "CCCCCCCNCCWCW"), (0x6F, 0x08, "NCCCCCCW"), (0x6F, 0x09, "NNWWCCCC"),
    (0x6F, 0x0C, "WCCCCWNCNWC"), (0x6F, 0x0D, "NCCNNCCNC"), (0x6F, 0x0F, "CCN"), (0x6F, 0x10, "CCNCCWC"),
    (0x6F, 0x12, "WNCNNW"), (0x6F, 0x13, "CCCWCCCWCCCW"), (0x6F, 0x14, "NNNWW"), (0x6F, 0x1B, "NC"),
    (0x6F, 0x1E, "CCCCW"), (0x6F, 0x1F, "NNNNNNWNNWC"), (0x6F, 0x21, "CWNNNNWWWN"), (0x6F, 0x22, "NNNNNNNNNNNNNC"),
    (0x6F, 0x23, "WCCCNNNNW"), (0x6F, 0x25, "NCC"), (0x6F, 0x28, "CCCCCC"), (0x6F, 0x29, "WCN"), (0x6F, 0x2A, "NNWC"),
    (0x6F, 0x2B, "WWCCCCNN"), (0x6F, 0x2C, "CCWWNWWC"),
];

/// The worst threshold passed, lower ones first.
fn threshold_word(states: u16) -> &'static str {
    const WORDS: [(u16, &str); 6] =
        [(1 << 2, "lnr"), (1 << 5, "unr"), (1 << 1, "lcr"), (1 << 4, "ucr"), (1 << 0, "lnc"), (1 << 3, "unc")];
    WORDS.iter().find(|(bit, _)| states & bit != 0).map_or("ok", |(_, word)| word)
}

fn threshold_text(states: u16) -> &'static str {
    const TEXTS: [(u16, &str); 6] = [
        (1 << 5, "'At or Above (>=) Upper Non-Recoverable Threshold'"),
        (1 << 4, "'At or Above (>=) Upper Critical Threshold'"),
        (1 << 3, "'At or Above (>=) Upper Non-Critical Threshold'"),
        (1 << 2, "'At or Below (<=) Lower Non-Recoverable Threshold'"),
        (1 << 1, "'At or Below (<=) Lower Critical Threshold'"),
        (1 << 0, "'At or Below (<=) Lower Non-Critical Threshold'"),
    ];
    TEXTS.iter().find(|(bit, _)| states & bit != 0).map_or("'OK'", |(_, text)| text)
}

/// Whole numbers without decimals, all others with two.
fn two_decimals(value: f64) -> String {
    // Adding zero takes the sign off a negative zero.
    if value.fract() == 0.0 { format!("{:.0}", value + 0.0) } else { format!("{value:.2}") }
}

/// FreeIPMI rounds up above half a cent, but only on the positive side; below zero it cuts off.
fn cut_to_cents(value: f64) -> f64 {
    let whole = value.trunc();
    let cents = (value - whole) * 100.0;
    let up = if cents - cents.trunc() > 0.5 { 1.0 } else { 0.0 };
    whole + (cents.trunc() + up) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(event_type: u8, sensor_type: u8, answer: Answer) -> Listed<'static> {
        let unit = (event_type == 1).then(|| SensorUnit { base: 4, ..SensorUnit::default() });
        let (record_id, name, number, entity) = (38, "PS2 Status", 0x25, (10, 2));
        Listed { record_id, name, number, entity, sensor_type, event_type, unit, is_analog: unit.is_some(), answer }
    }

    #[test]
    fn lines_are_those_of_both_programs() {
        let reading = |value, states| Answer::Reading { value, states };
        for (event_type, sensor_type, answer, ipmitool, freeipmi) in [
            (
                0x6F,
                8,
                reading(None, 9),
                "ok  | 10.2 | Presence detected, Power Supply AC lost",
                "Power Supply,Critical,N/A,N/A,'Presence detected' 'Power Supply input lost (AC/DC)'",
            ),
            (0x6F, 8, reading(None, 0), "ok  | 10.2 | ", "Power Supply,Nominal,N/A,N/A,'OK'"),
            (0x6F, 0x1C, reading(None, 2), "ok  | 10.2 | ", "Terminator,N/A,N/A,N/A,'Unrecognized Event = 0002h'"),
            (0x6F, 0xC3, reading(None, 0x7F), "ok  | 10.2 | ", "OEM Reserved,N/A,N/A,N/A,'OEM Event = 007Fh'"),
            (
                1,
                2,
                reading(Some(-12.038), 0xC2),
                "lcr | 10.2 | -12.04 Volts",
                "Voltage,Critical,-12.03,V,'At or Below (<=) Lower Critical Threshold'",
            ),
            (1, 2, reading(Some(-0.0), 0x80), "ok  | 10.2 | 0 Volts", "Voltage,Nominal,0.00,V,'OK'"),
            (1, 2, Answer::Disabled, "ns  | 10.2 | Disabled", "Voltage,N/A,N/A,V,N/A"),
            (1, 2, Answer::Unavailable, "ns  | 10.2 | No Reading", "Voltage,N/A,N/A,V,N/A"),
        ] {
            let line = listed(event_type, sensor_type, answer);
            assert_eq!(line.ipmitool(), format!("PS2 Status       | 25h | {ipmitool}"));
            assert_eq!(line.freeipmi(), format!("38,PS2 Status,{freeipmi}"));
        }
    }
}
