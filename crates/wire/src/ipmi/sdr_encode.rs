//! Writes sensor data records, for simulated controllers and for tests of the decoder.

use super::sdr::{AnalogFormat, BMC_OWNER, SensorFactors, SensorUnit, Thresholds};

/// A threshold sensor to describe in a full record.
#[derive(Clone, Debug, PartialEq)]
pub struct FullSpec {
    pub number: u8,
    pub entity: (u8, u8),
    pub sensor_type: u8,
    pub format: AnalogFormat,
    pub unit: u8,
    pub linearization: u8,
    pub factors: SensorFactors,
    /// Raw thresholds; the missing ones are neither readable nor compared.
    pub thresholds: Thresholds<Option<u8>>,
    pub nominal: u8,
    pub name: String,
}

/// A discrete sensor to describe in a compact record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactSpec {
    pub number: u8,
    pub entity: (u8, u8),
    pub sensor_type: u8,
    pub event_type: u8,
    pub reading_mask: u16,
    pub name: String,
}

/// SDR format of IPMI 1.5 and 2.0.
const SDR_VERSION: u8 = 0x51;

fn record(id: u16, kind: u8, body: Vec<u8>) -> Vec<u8> {
    let mut out = id.to_le_bytes().to_vec();
    out.extend([SDR_VERSION, kind, body.len() as u8]);
    out.extend(body);
    out
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    /// Longest id string (section 43.15 allows 31, section 43.1 sixteen).
    const NAME_BYTES_MAX: usize = 16;
    const LATIN_1: u8 = 0xC0;
    let bytes: Vec<u8> = name.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).take(NAME_BYTES_MAX).collect();
    out.push(LATIN_1 | bytes.len() as u8);
    out.extend(bytes);
}

impl FullSpec {
    pub fn encode(&self, id: u16) -> Vec<u8> {
        self.encode_with_unit(id, SensorUnit { base: self.unit, ..SensorUnit::default() })
    }

    /// With a percentage, a rate or a modifier unit; `self.unit` does not count.
    pub fn encode_with_unit(&self, id: u16, unit: SensorUnit) -> Vec<u8> {
        /// Scanning and events enabled at start.
        const INITIALISED: u8 = 0x7F;
        /// Auto re-arm, readable thresholds, event per threshold.
        const CAPABILITIES: u8 = 0x48;
        let t = &self.thresholds;
        // (readable bit, event bits, value) from lower non-critical to upper non-recoverable.
        let ordered = [
            t.lower_non_critical,
            t.lower_critical,
            t.lower_non_recoverable,
            t.upper_non_critical,
            t.upper_critical,
            t.upper_non_recoverable,
        ];
        let event_bits = [0u16, 2, 4, 7, 9, 11];
        let (mut readable, mut events) = (0u8, 0u16);
        for (bit, (threshold, event)) in ordered.iter().zip(event_bits).enumerate() {
            if threshold.is_some() {
                readable |= 1 << bit;
                events |= 1 << event;
            }
        }
        let lower_compared = u16::from(readable & 0b111) << 12;
        let upper_compared = u16::from(readable >> 3) << 12;
        let format = match self.format {
            AnalogFormat::Unsigned => 0x00,
            AnalogFormat::OnesComplement => 0x40,
            AnalogFormat::TwosComplement => 0x80,
            AnalogFormat::None => 0xC0,
        };
        let raw = |value: Option<u8>| value.unwrap_or(0);
        let mut body = vec![BMC_OWNER, 0, self.number, self.entity.0, self.entity.1, INITIALISED, CAPABILITIES];
        body.extend([self.sensor_type, super::event::event_type::THRESHOLD]);
        body.extend((events | lower_compared).to_le_bytes());
        body.extend((events | upper_compared).to_le_bytes());
        let [flags, base, modifier] = unit.to_bytes();
        body.extend([readable, 0, format | flags, base, modifier, self.linearization]);
        body.extend(self.factors.to_bytes());
        // Nominal reading is given; sensor range is the whole byte.
        body.extend([0x01, self.nominal, 0, 0, 0xFF, 0]);
        body.extend([raw(t.upper_non_recoverable), raw(t.upper_critical), raw(t.upper_non_critical)]);
        body.extend([raw(t.lower_non_recoverable), raw(t.lower_critical), raw(t.lower_non_critical)]);
        body.extend([0, 0, 0, 0, 0]);
        put_name(&mut body, &self.name);
        record(id, 0x01, body)
    }
}

impl CompactSpec {
    pub fn encode(&self, id: u16) -> Vec<u8> {
        const INITIALISED: u8 = 0x67;
        const CAPABILITIES: u8 = 0x40;
        /// No analogue reading.
        const NO_UNITS: u8 = 0xC0;
        let mask = self.reading_mask.to_le_bytes();
        let mut body = vec![BMC_OWNER, 0, self.number, self.entity.0, self.entity.1, INITIALISED, CAPABILITIES];
        body.extend([self.sensor_type, self.event_type]);
        body.extend([mask, mask, mask].concat());
        body.extend([NO_UNITS, 0, 0]);
        body.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        put_name(&mut body, &self.name);
        record(id, 0x02, body)
    }
}
