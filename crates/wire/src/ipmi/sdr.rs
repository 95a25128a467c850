//! Sensor data records: full, compact and event-only (section 43), and the conversion of raw readings (36.3).
//!
//! Decoded here and not by a crate, because negative factors, linearisation and one's complement must be right.
//! Records that describe no sensor are in [`super::sdr_locator`].

use super::cursor::Cursor;
use super::event::event_type;
use super::sdr_locator::{DeviceLocator, EntityAssociation, OemRecord};
use super::text::decode_typed;
pub use super::units::SensorUnit;

/// Record id, version, type and length come before each record's key and body (section 43).
pub const SDR_HEADER_BYTES: usize = 5;

/// A record has at most 255 bytes after its header, because the length is one byte.
pub const SDR_BODY_BYTES_MAX: usize = 255;

/// The owner address of the controller itself; other owners need bridging.
pub const BMC_OWNER: u8 = 0x20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdrHeader {
    pub id: u16,
    pub kind: u8,
    pub body_bytes: u8,
}

impl SdrHeader {
    /// `None` when fewer than five bytes are there.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let id = cursor.u16()?;
        let [_version, kind, body_bytes] = cursor.array()?;
        Some(SdrHeader { id, kind, body_bytes })
    }
}

/// A record as far as a monitor cares.
#[derive(Clone, Debug, PartialEq)]
pub enum SdrRecord {
    Full(Box<FullSensor>),
    Compact(SensorKey),
    /// Never readable; names the source of SEL entries.
    EventOnly(SensorKey),
    /// Types 08h and 09h: which entities make up another.
    Entities(EntityAssociation),
    /// Types 10h, 11h and 12h: where a device, a FRU inventory or a management controller is found.
    Locator(DeviceLocator),
    /// Type C0h, kept as it is.
    Oem(OemRecord),
    /// Confirmation and channel records, and types nobody has defined.
    Other(u8),
}

/// What all sensor records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorKey {
    /// Slave address of the controller that has the sensor, or a software id (lowest bit set).
    pub owner: u8,
    pub lun: u8,
    /// Channel on which the owner is reached; 0 is the primary IPMB.
    pub channel: u8,
    pub number: u8,
    pub entity_id: u8,
    pub entity_instance: u8,
    pub sensor_type: u8,
    pub event_type: u8,
    /// Discrete: which of the fifteen offsets the sensor can report.
    pub reading_mask: u16,
    /// Number of sensors this record stands for, numbered upwards from `number`; at least one.
    pub share_count: u8,
    /// True when the entity instance counts upwards with the sensor number.
    pub is_instance_shared: bool,
    pub name: String,
    name_suffix: NameSuffix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameSuffix {
    None,
    Numeric(u8),
    Alphabetic(u8),
}

#[derive(Clone, Debug, PartialEq)]
pub struct FullSensor {
    pub key: SensorKey,
    pub format: AnalogFormat,
    pub unit: SensorUnit,
    pub linearization: Linearization,
    pub factors: SensorFactors,
    /// Half counts by which a reading may be off, as the record says.
    pub tolerance: u8,
    /// Raw hysteresis of thresholds for values going up and down; zero where there is none.
    pub hysteresis: (u8, u8),
    /// Raw values; which ones count is in `readable_thresholds`.
    pub thresholds: Thresholds<u8>,
    /// Bits 0 to 5: lower non-critical, critical, non-recoverable, upper non-critical, critical, non-recoverable.
    pub readable_thresholds: u8,
}

/// The six thresholds, from the lowest to the highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds<T> {
    pub lower_non_recoverable: T,
    pub lower_critical: T,
    pub lower_non_critical: T,
    pub upper_non_critical: T,
    pub upper_critical: T,
    pub upper_non_recoverable: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnalogFormat {
    Unsigned,
    OnesComplement,
    TwosComplement,
    /// The reading byte means nothing.
    None,
}

/// M, B and both exponents of `L((M·x + B·10^K1)·10^K2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorFactors {
    pub m: i16,
    pub b: i16,
    pub b_exponent: i8,
    pub result_exponent: i8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linearization {
    Linear,
    Ln,
    Log10,
    Log2,
    Exp,
    Exp10,
    Exp2,
    Reciprocal,
    Square,
    Cube,
    SquareRoot,
    CubeRoot,
    /// Factors must be asked for each reading.
    NonLinear,
    Unknown(u8),
}

impl From<u8> for Linearization {
    fn from(code: u8) -> Self {
        match code & 0x7F {
            0x00 => Linearization::Linear,
            0x01 => Linearization::Ln,
            0x02 => Linearization::Log10,
            0x03 => Linearization::Log2,
            0x04 => Linearization::Exp,
            0x05 => Linearization::Exp10,
            0x06 => Linearization::Exp2,
            0x07 => Linearization::Reciprocal,
            0x08 => Linearization::Square,
            0x09 => Linearization::Cube,
            0x0A => Linearization::SquareRoot,
            0x0B => Linearization::CubeRoot,
            0x70..=0x7F => Linearization::NonLinear,
            other => Linearization::Unknown(other),
        }
    }
}

impl Linearization {
    /// `None` where the curve is not known or not defined (logarithm of zero, one over zero).
    fn apply(self, x: f64) -> Option<f64> {
        let value = match self {
            Linearization::Linear | Linearization::NonLinear => x,
            Linearization::Ln => x.ln(),
            Linearization::Log10 => x.log10(),
            Linearization::Log2 => x.log2(),
            Linearization::Exp => x.exp(),
            Linearization::Exp10 => 10f64.powf(x),
            Linearization::Exp2 => x.exp2(),
            Linearization::Reciprocal => x.recip(),
            Linearization::Square => x * x,
            Linearization::Cube => x * x * x,
            Linearization::SquareRoot => x.sqrt(),
            Linearization::CubeRoot => x.cbrt(),
            Linearization::Unknown(_) => return None,
        };
        value.is_finite().then_some(value)
    }
}

/// A `bits`-wide two's complement number.
fn signed(value: u16, bits: u32) -> i16 {
    let shift = 16 - bits;
    ((value << shift) as i16) >> shift
}

impl SensorFactors {
    /// The six bytes from M to the exponents, as in a full record and in Get Sensor Reading Factors.
    pub(super) fn from_bytes(bytes: [u8; 6]) -> Self {
        let [m, m_tolerance, b, b_accuracy, _, exponents] = bytes;
        let ten_bits = |low: u8, high: u8| signed(u16::from(low) | u16::from(high >> 6) << 8, 10);
        SensorFactors {
            m: ten_bits(m, m_tolerance),
            b: ten_bits(b, b_accuracy),
            b_exponent: signed(u16::from(exponents & 0x0F), 4) as i8,
            result_exponent: signed(u16::from(exponents >> 4), 4) as i8,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 6] {
        let [m, m_high] = (self.m as u16).to_le_bytes();
        let [b, b_high] = (self.b as u16).to_le_bytes();
        let exponents = (self.result_exponent as u8) << 4 | self.b_exponent as u8 & 0x0F;
        [m, m_high << 6, b, b_high << 6, 0, exponents]
    }

    fn apply(&self, raw: f64) -> f64 {
        (f64::from(self.m) * raw + f64::from(self.b) * pow10(self.b_exponent)) * pow10(self.result_exponent)
    }
}

fn pow10(exponent: i8) -> f64 {
    10f64.powi(i32::from(exponent))
}

impl AnalogFormat {
    fn from_units(units: u8) -> Self {
        match units >> 6 {
            0 => AnalogFormat::Unsigned,
            1 => AnalogFormat::OnesComplement,
            2 => AnalogFormat::TwosComplement,
            _ => AnalogFormat::None,
        }
    }

    fn decode(self, raw: u8) -> Option<f64> {
        match self {
            AnalogFormat::Unsigned => Some(f64::from(raw)),
            // FEh is minus one; FFh is minus zero.
            AnalogFormat::OnesComplement if raw & 0x80 != 0 => Some(-f64::from(!raw)),
            AnalogFormat::OnesComplement => Some(f64::from(raw)),
            AnalogFormat::TwosComplement => Some(f64::from(raw as i8)),
            AnalogFormat::None => None,
        }
    }
}

impl FullSensor {
    /// The reading in the sensor's unit; `None` where the byte has no meaning or the curve no value.
    pub fn value(&self, raw: u8) -> Option<f64> {
        self.value_with(raw, &self.factors)
    }

    /// As [`Self::value`], with the factors the controller gave for exactly this reading.
    pub fn value_with(&self, raw: u8, factors: &SensorFactors) -> Option<f64> {
        self.linearization.apply(factors.apply(self.format.decode(raw)?))
    }

    /// False for a number that no such sensor can have: colder than absolute zero, or beyond anything that is measured.
    pub fn is_possible(&self, value: f64) -> bool {
        /// Far above what any sensor of a computer reads, and far below what wrong exponents give.
        const MAGNITUDE_MAX: f64 = 1e12;
        const DEGREES_MAX: f64 = 1e4;
        let lowest = match self.unit {
            SensorUnit { is_percentage: true, .. } => -MAGNITUDE_MAX,
            SensorUnit { base: 1, modifier_kind: 0, rate: 0, .. } => -273.15,
            SensorUnit { base: 2, modifier_kind: 0, rate: 0, .. } => -459.67,
            SensorUnit { base: 3, modifier_kind: 0, rate: 0, .. } => 0.0,
            _ => -MAGNITUDE_MAX,
        };
        let highest = if lowest > -MAGNITUDE_MAX { DEGREES_MAX } else { MAGNITUDE_MAX };
        (lowest..=highest).contains(&value)
    }

    /// How far a linear sensor's value may be off, in its unit (section 36.3).
    pub fn tolerance_value(&self) -> Option<f64> {
        let is_linear = self.linearization == Linearization::Linear;
        let step = f64::from(self.factors.m.unsigned_abs()) * pow10(self.factors.result_exponent);
        (is_linear && self.tolerance > 0).then(|| f64::from(self.tolerance) / 2.0 * step)
    }

    /// Positive and negative hysteresis of a linear sensor, in its unit.
    pub fn hysteresis_values(&self) -> Option<(f64, f64)> {
        let is_linear = self.linearization == Linearization::Linear;
        let step = f64::from(self.factors.m.unsigned_abs()) * pow10(self.factors.result_exponent);
        let (up, down) = self.hysteresis;
        (is_linear && self.hysteresis != (0, 0)).then(|| (f64::from(up) * step, f64::from(down) * step))
    }

    /// What the record says that cannot be right; readings are then to be taken with care.
    pub fn contradiction(&self) -> Option<&'static str> {
        if self.format == AnalogFormat::None {
            return self.key.is_threshold().then_some("has thresholds, but no number format");
        }
        if self.factors.m == 0 && self.linearization != Linearization::NonLinear {
            return Some("multiplies each reading by zero");
        }
        if matches!(self.linearization, Linearization::Unknown(_)) {
            return Some("has a linearization that nobody has defined");
        }
        let t = self.threshold_values();
        let values = [
            t.lower_non_recoverable,
            t.lower_critical,
            t.lower_non_critical,
            t.upper_non_critical,
            t.upper_critical,
            t.upper_non_recoverable,
        ];
        let values: Vec<f64> = values.into_iter().flatten().collect();
        // With a falling curve all of them come the other way round.
        let is_ordered = values.is_sorted() || values.iter().rev().is_sorted();
        (!is_ordered).then_some("has thresholds in an impossible order")
    }

    /// The thresholds in the sensor's unit; those the controller cannot report are left out.
    pub fn threshold_values(&self) -> Thresholds<Option<f64>> {
        let at = |bit: u8, raw: u8| if self.readable_thresholds >> bit & 1 != 0 { self.value(raw) } else { None };
        Thresholds {
            lower_non_critical: at(0, self.thresholds.lower_non_critical),
            lower_critical: at(1, self.thresholds.lower_critical),
            lower_non_recoverable: at(2, self.thresholds.lower_non_recoverable),
            upper_non_critical: at(3, self.thresholds.upper_non_critical),
            upper_critical: at(4, self.thresholds.upper_critical),
            upper_non_recoverable: at(5, self.thresholds.upper_non_recoverable),
        }
    }
}

impl SensorKey {
    pub fn is_threshold(&self) -> bool {
        self.event_type == event_type::THRESHOLD
    }

    /// One key for each sensor this record stands for.
    pub fn expand(&self) -> Vec<SensorKey> {
        (0..self.share_count.max(1))
            .map_while(|step| {
                let number = self.number.checked_add(step)?;
                let instance_step = if self.is_instance_shared { step } else { 0 };
                let suffix = match self.name_suffix {
                    NameSuffix::None => String::new(),
                    NameSuffix::Numeric(first) => (u16::from(first) + u16::from(step)).to_string(),
                    NameSuffix::Alphabetic(first) => alphabetic(first.wrapping_add(step)),
                };
                Some(SensorKey {
                    number,
                    entity_instance: self.entity_instance.wrapping_add(instance_step),
                    share_count: 1,
                    name: format!("{}{suffix}", self.name),
                    name_suffix: NameSuffix::None,
                    ..self.clone()
                })
            })
            .collect()
    }
}

/// A, B, … Z, AA, AB, … (section 43.2, byte 24).
fn alphabetic(number: u8) -> String {
    let letter = |n: u8| char::from(b'A' + n % 26);
    match number / 26 {
        0 => letter(number).to_string(),
        tens => [letter(tens - 1), letter(number)].iter().collect(),
    }
}

impl SdrRecord {
    /// Decodes a whole record, header included; `None` when it ends early or its header is damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let header = SdrHeader::decode(bytes)?;
        let (_, body) = bytes.split_at_checked(SDR_HEADER_BYTES)?;
        let (body, _) = body.split_at_checked(usize::from(header.body_bytes))?;
        match header.kind {
            0x01 => decode_full(body).map(|full| SdrRecord::Full(Box::new(full))),
            0x02 => decode_compact(body).map(SdrRecord::Compact),
            0x03 => decode_event_only(body).map(SdrRecord::EventOnly),
            0x08 => EntityAssociation::decode(body).map(SdrRecord::Entities),
            0x09 => EntityAssociation::decode_device_relative(body).map(SdrRecord::Entities),
            0x10 => DeviceLocator::decode_generic(body).map(SdrRecord::Locator),
            0x11 => DeviceLocator::decode_fru(body).map(SdrRecord::Locator),
            0x12 => DeviceLocator::decode_controller(body).map(SdrRecord::Locator),
            0xC0 => OemRecord::decode(body).map(SdrRecord::Oem),
            other => Some(SdrRecord::Other(other)),
        }
    }

    pub fn key(&self) -> Option<&SensorKey> {
        match self {
            SdrRecord::Full(full) => Some(&full.key),
            SdrRecord::Compact(key) | SdrRecord::EventOnly(key) => Some(key),
            SdrRecord::Entities(_) | SdrRecord::Locator(_) | SdrRecord::Oem(_) | SdrRecord::Other(_) => None,
        }
    }
}

struct Common {
    key: SensorKey,
    capabilities: u8,
    lower_mask: u16,
    units: [u8; 3],
}

/// Bytes 6 to 23 of full and compact records.
fn decode_common(cursor: &mut Cursor<'_>) -> Option<Common> {
    let [owner, lun, number, entity_id, entity_instance, _init, capabilities, sensor_type, event_type] =
        cursor.array()?;
    let _assertions = cursor.u16()?;
    let _deassertions = cursor.u16()?;
    let lower_mask = cursor.u16()?;
    let units = cursor.array()?;
    Some(Common {
        key: SensorKey {
            owner,
            lun: lun & 3,
            channel: lun >> 4,
            number,
            entity_id,
            entity_instance: entity_instance & 0x7F,
            sensor_type,
            event_type: event_type & 0x7F,
            reading_mask: lower_mask & 0x7FFF,
            share_count: 1,
            is_instance_shared: false,
            name: String::new(),
            name_suffix: NameSuffix::None,
        },
        capabilities,
        lower_mask,
        units,
    })
}

fn decode_full(body: &[u8]) -> Option<FullSensor> {
    let mut cursor = Cursor::new(body);
    let Common { mut key, capabilities, lower_mask, units } = decode_common(&mut cursor)?;
    let linearization = Linearization::from(cursor.u8()?);
    let conversion: [u8; 6] = cursor.array()?;
    let [_, tolerance, ..] = conversion;
    let [_analog_flags, _nominal, _normal_max, _normal_min, _max, _min] = cursor.array()?;
    let [unr, uc, unc, lnr, lc, lnc] = cursor.array()?;
    let [positive_hysteresis, negative_hysteresis, _, _, _oem] = cursor.array()?;
    key.name = decode_typed(&mut cursor)?;
    /// Threshold access 00b (byte 11, bits 3 and 2): the sensor has none, whatever the mask says.
    const THRESHOLD_ACCESS: u8 = 0x0C;
    /// Hysteresis support 00b (bits 5 and 4): none, or built in and unknown.
    const HYSTERESIS_SUPPORT: u8 = 0x30;
    let [format, ..] = units;
    let has_hysteresis = capabilities & HYSTERESIS_SUPPORT != 0;
    Some(FullSensor {
        format: AnalogFormat::from_units(format),
        unit: SensorUnit::from_bytes(units),
        linearization,
        factors: SensorFactors::from_bytes(conversion),
        tolerance: tolerance & 0x3F,
        hysteresis: if has_hysteresis { (positive_hysteresis, negative_hysteresis) } else { (0, 0) },
        thresholds: Thresholds {
            lower_non_recoverable: lnr,
            lower_critical: lc,
            lower_non_critical: lnc,
            upper_non_critical: unc,
            upper_critical: uc,
            upper_non_recoverable: unr,
        },
        // Low byte: readable; high byte: settable (section 43.1, bytes 19 and 20).
        readable_thresholds: if capabilities & THRESHOLD_ACCESS == 0 { 0 } else { (lower_mask & 0x3F) as u8 },
        key,
    })
}

fn apply_sharing(key: &mut SensorKey, sharing: [u8; 2]) {
    let [first, second] = sharing;
    key.share_count = (first & 0x0F).max(1);
    key.is_instance_shared = second & 0x80 != 0;
    if key.share_count > 1 {
        let offset = second & 0x7F;
        key.name_suffix = match first >> 4 & 3 {
            0 => NameSuffix::Numeric(offset),
            1 => NameSuffix::Alphabetic(offset),
            _ => NameSuffix::None,
        };
    }
}

fn decode_compact(body: &[u8]) -> Option<SensorKey> {
    let mut cursor = Cursor::new(body);
    let Common { mut key, .. } = decode_common(&mut cursor)?;
    apply_sharing(&mut key, cursor.array()?);
    let [_positive_hysteresis, _negative_hysteresis, _, _, _, _oem] = cursor.array()?;
    key.name = decode_typed(&mut cursor)?;
    Some(key)
}

fn decode_event_only(body: &[u8]) -> Option<SensorKey> {
    let mut cursor = Cursor::new(body);
    let [owner, lun, number, entity_id, entity_instance, sensor_type, event_type] = cursor.array()?;
    let sharing = cursor.array()?;
    let [_, _oem] = cursor.array()?;
    let mut key = SensorKey {
        owner,
        lun: lun & 3,
        channel: lun >> 4,
        number,
        entity_id,
        entity_instance: entity_instance & 0x7F,
        sensor_type,
        event_type: event_type & 0x7F,
        reading_mask: 0,
        share_count: 1,
        is_instance_shared: false,
        name: decode_typed(&mut cursor)?,
        name_suffix: NameSuffix::None,
    };
    apply_sharing(&mut key, sharing);
    Some(key)
}
