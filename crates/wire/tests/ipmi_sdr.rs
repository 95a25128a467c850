//! Sensor records: conversion of readings against hand-worked values, the encoder against the decoder, and our
//! decoder against the independent one where that is right.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::prelude::*;
use stentor_wire::ipmi::sdr::{AnalogFormat, FullSensor, SdrRecord, SensorFactors, Thresholds};
use stentor_wire::ipmi::sdr_encode::{CompactSpec, FullSpec};
use stentor_wire::ipmi::sdr_locator::{Entity, Located};

fn spec(format: AnalogFormat, linearization: u8, factors: (i16, i16, i8, i8)) -> FullSpec {
    let (m, b, b_exponent, result_exponent) = factors;
    FullSpec {
        number: 7,
        entity: (0x0A, 2),
        sensor_type: 2,
        format,
        unit: 4,
        linearization,
        factors: SensorFactors { m, b, b_exponent, result_exponent },
        thresholds: Thresholds { upper_critical: Some(200), lower_critical: Some(10), ..Thresholds::default() },
        nominal: 0,
        name: "P12V".to_owned(),
    }
}

fn decode(spec: &FullSpec) -> FullSensor {
    match SdrRecord::decode(&spec.encode(9)) {
        Some(SdrRecord::Full(full)) => *full,
        other => panic!("not a full record: {other:?}"),
    }
}

#[test]
fn readings_convert_as_section_36_3_says() {
    use AnalogFormat::{None as NoAnalog, OnesComplement, TwosComplement, Unsigned};
    for (format, curve, factors, raw, expected) in [
        (Unsigned, 0, (1, 0, 0, 0), 46, Some(46.0)),
        (Unsigned, 0, (63, 0, 0, -3), 191, Some(12.033)),
        (Unsigned, 0, (100, 0, 0, 0), 84, Some(8400.0)),
        // A -12 V rail: negative M.
        (Unsigned, 0, (-1, 0, 0, 0), 12, Some(-12.0)),
        (Unsigned, 0, (-512, 0, 0, -1), 1, Some(-51.2)),
        (Unsigned, 0, (511, -512, 7, -8), 0, Some(-51.2)),
        (Unsigned, 0, (1, -40, 0, 0), 60, Some(20.0)),
        (Unsigned, 0, (1, 5, 2, -1), 10, Some(51.0)),
        (TwosComplement, 0, (1, 0, 0, 0), 0xFE, Some(-2.0)),
        (OnesComplement, 0, (1, 0, 0, 0), 0xFE, Some(-1.0)),
        (OnesComplement, 0, (1, 0, 0, 0), 0x7F, Some(127.0)),
        (OnesComplement, 0, (1, 0, 0, 0), 0x80, Some(-127.0)),
        (NoAnalog, 0, (1, 0, 0, 0), 5, None),
        (Unsigned, 1, (1, 0, 0, 0), 1, Some(0.0)),
        (Unsigned, 1, (1, 0, 0, 0), 0, None),
        (Unsigned, 2, (1, 0, 0, 0), 100, Some(2.0)),
        (Unsigned, 3, (1, 0, 0, 0), 8, Some(3.0)),
        (Unsigned, 4, (1, 0, 0, 0), 0, Some(1.0)),
        (Unsigned, 5, (1, 0, 0, 0), 3, Some(1000.0)),
        (Unsigned, 6, (1, 0, 0, 0), 10, Some(1024.0)),
        (Unsigned, 7, (1, 0, 0, 0), 100, Some(0.01)),
        (Unsigned, 7, (1, 0, 0, 0), 0, None),
        (Unsigned, 8, (1, 0, 0, 0), 12, Some(144.0)),
        (Unsigned, 9, (1, 0, 0, 0), 5, Some(125.0)),
        (Unsigned, 10, (1, 0, 0, 0), 81, Some(9.0)),
        (Unsigned, 11, (1, 0, 0, 0), 27, Some(3.0)),
        (Unsigned, 12, (1, 0, 0, 0), 27, None),
    ] {
        let value = decode(&spec(format, curve, factors)).value(raw);
        let is_equal = match (value, expected) {
            (Some(value), Some(expected)) => (value - expected).abs() < 1e-9,
            (value, expected) => value == expected,
        };
        assert!(is_equal, "{format:?} curve {curve} {factors:?} raw {raw}: {value:?}, expected {expected:?}");
    }
}

#[test]
fn thresholds_that_are_not_readable_have_no_value() {
    let full = decode(&spec(AnalogFormat::Unsigned, 0, (1, 0, 0, 0)));
    let values = full.threshold_values();
    assert_eq!((values.upper_critical, values.lower_critical), (Some(200.0), Some(10.0)));
    assert_eq!((values.upper_non_critical, values.lower_non_recoverable), (None, None));
    assert_eq!(full.unit.symbol(), "V");
}

#[test]
fn shared_compact_records_stand_for_several_sensors() {
    let spec = CompactSpec {
        number: 0x30,
        entity: (4, 1),
        sensor_type: 0x0D,
        event_type: 0x6F,
        reading_mask: 0x1FF,
        name: "Drive ".to_owned(),
    };
    let mut bytes = spec.encode(3);
    let sharing = 5 + 18;
    // Three sensors, numeric suffix from 8, entity instance counts along.
    bytes[sharing] = 0x03;
    bytes[sharing + 1] = 0x80 | 8;
    let Some(SdrRecord::Compact(key)) = SdrRecord::decode(&bytes) else { panic!("compact record") };
    let told: Vec<_> =
        key.expand().into_iter().map(|sensor| (sensor.number, sensor.entity_instance, sensor.name)).collect();
    assert_eq!(told, [(0x30, 1, "Drive8".into()), (0x31, 2, "Drive9".into()), (0x32, 3, "Drive10".into())]);
    // Alphabetic suffix, numbers up to the end of the range only.
    bytes[sharing] = 0x1F;
    bytes[sharing + 1] = 25;
    bytes[5 + 2] = 0xFE;
    let Some(SdrRecord::Compact(key)) = SdrRecord::decode(&bytes) else { panic!("compact record") };
    let names: Vec<_> = key.expand().into_iter().map(|sensor| sensor.name).collect();
    assert_eq!(names, ["DriveZ", "DriveAA"]);
}

#[test]
fn names_decode_in_each_coding() {
    let base = spec(AnalogFormat::Unsigned, 0, (1, 0, 0, 0)).encode(1);
    let at = 5 + 42;
    for (coded, expected) in [
        (vec![0xC3, b'F', b'A', b'N'], "FAN"),
        (vec![0xC4, b'F', b'A', b'N', 0], "FAN"),
        // Six-bit packed "IPMI" (section 43.15.1).
        (vec![0x83, 0x29, 0xDC, 0xA6], "IPMI"),
        (vec![0x42, 0x12, 0xBC], "12-."),
        // Shorter than it says: what is there counts.
        (vec![0xCF, b'C', b'P', b'U'], "CPU"),
        (vec![0xC0], ""),
    ] {
        let mut bytes = base[..at].to_vec();
        bytes.extend(coded);
        bytes[4] = (bytes.len() - 5) as u8;
        let record = SdrRecord::decode(&bytes).expect("decodes");
        assert_eq!(record.key().map(|key| key.name.as_str()), Some(expected));
    }
}

#[test]
fn no_truncated_record_panics() {
    let full = spec(AnalogFormat::Unsigned, 0, (1, 0, 0, 0)).encode(1);
    for length in 0..full.len() {
        for kind in 0..=u8::MAX {
            let mut bytes = full[..length].to_vec();
            if let Some(slot) = bytes.get_mut(3) {
                *slot = kind;
            }
            let _ = SdrRecord::decode(&bytes);
            // And with a length byte that agrees with what is there.
            if let Some(slot) = bytes.get_mut(4) {
                *slot = (length - 5) as u8;
            }
            let _ = SdrRecord::decode(&bytes);
        }
    }
}

/// A record of that type with this body.
fn record(kind: u8, body: &[u8]) -> Option<SdrRecord> {
    SdrRecord::decode(&[&[1, 0, 0x51, kind, body.len() as u8], body].concat())
}

#[test]
fn records_without_sensors_are_read_as_section_43_says() {
    let entity = |id, instance| Entity { id, instance };
    // Power domain 19.1 holds supplies 10.1 and 10.2; then supplies 10.1 to 10.4 as a range.
    let Some(SdrRecord::Entities(list)) = record(0x08, &[19, 1, 0, 10, 1, 10, 2, 0, 0, 0, 0]) else { panic!("08h") };
    assert_eq!((list.container, list.entities()), (entity(19, 1), vec![entity(10, 1), entity(10, 2)]));
    let Some(SdrRecord::Entities(range)) = record(0x08, &[19, 1, 0x80, 10, 1, 10, 4, 0, 0, 0, 0]) else {
        panic!("08h")
    };
    assert_eq!(range.entities().len(), 4);
    // Device-relative: address and channel stand before each entity.
    let body = [[19, 1, 0x20, 0].as_slice(), &[0], &[0x20, 0, 10, 1], &[0x20, 0, 10, 2], &[0; 8]].concat();
    let Some(SdrRecord::Entities(relative)) = record(0x09, &body) else { panic!("09h") };
    assert_eq!(relative.entities(), [entity(10, 1), entity(10, 2)]);

    let Some(SdrRecord::Locator(fru)) = record(0x11, b"\x20\x05\x80\x00\x00\x10\x00\x0A\x02\x00\xC3PS2") else {
        panic!("11h")
    };
    assert_eq!((fru.located, fru.entity, fru.name.as_str()), (Located::Fru { id: 5 }, entity(10, 2), "PS2"));
    let Some(SdrRecord::Locator(bmc)) = record(0x12, b"\x30\x00\x00\x29\0\0\0\x2E\x01\x00\xC3HSC") else {
        panic!("12h")
    };
    assert_eq!((bmc.address, bmc.located), (0x30, Located::Controller { capabilities: 0x29 }));
    let Some(SdrRecord::Locator(chip)) = record(0x10, b"\x20\xA1\x40\x00\x00\x08\x00\x07\x01\x00\xC2EE") else {
        panic!("10h")
    };
    assert_eq!((chip.channel, chip.located, chip.name.as_str()), (10, Located::Device { device_type: 8 }, "EE"));
    let Some(SdrRecord::Oem(oem)) = record(0xC0, &[0x57, 1, 0, 9, 8]) else { panic!("C0h") };
    assert_eq!((oem.manufacturer, oem.data), (343, vec![9, 8]));
    assert_eq!(record(0x14, &[0; 16]), Some(SdrRecord::Other(0x14)));
}

#[test]
fn records_that_lie_are_found_out() {
    let honest = spec(AnalogFormat::Unsigned, 0, (1, 0, 0, 0));
    assert_eq!(decode(&honest).contradiction(), None);
    let flat = spec(AnalogFormat::Unsigned, 0, (0, 5, 0, 0));
    assert_eq!(decode(&flat).contradiction(), Some("multiplies each reading by zero"));
    let unknown = spec(AnalogFormat::Unsigned, 0x20, (1, 0, 0, 0));
    assert_eq!(decode(&unknown).contradiction(), Some("has a linearization that nobody has defined"));
    let mut crossed = honest.clone();
    crossed.thresholds = Thresholds { upper_critical: Some(10), lower_critical: Some(200), ..Thresholds::default() };
    crossed.thresholds.upper_non_recoverable = Some(220);
    assert_eq!(decode(&crossed).contradiction(), Some("has thresholds in an impossible order"));
    // A falling curve turns the order round, and that is right.
    let mut falling = honest.clone();
    falling.factors.m = -1;
    assert_eq!(decode(&falling).contradiction(), None);

    let celsius = FullSpec { unit: 1, ..spec(AnalogFormat::Unsigned, 0, (511, 0, 0, 7)) };
    let celsius = decode(&celsius);
    assert!(!celsius.is_possible(celsius.value(200).unwrap()), "a thousand million degrees");
    assert!(celsius.is_possible(-40.0) && !celsius.is_possible(-300.0));
    assert!(decode(&honest).is_possible(-300.0), "volts may be");
}

#[test]
fn tolerance_and_hysteresis_are_in_the_sensors_unit() {
    let mut bytes = spec(AnalogFormat::Unsigned, 0, (63, 0, 0, -3)).encode(1);
    // Capabilities: hysteresis readable; tolerance beside M; hysteresis behind the thresholds.
    (bytes[5 + 6], bytes[5 + 20]) = (bytes[5 + 6] | 0x10, 0x02);
    (bytes[5 + 37], bytes[5 + 38]) = (2, 3);
    let Some(SdrRecord::Full(full)) = SdrRecord::decode(&bytes) else { panic!("full record") };
    let (up, down) = full.hysteresis_values().unwrap();
    assert!((up - 0.126).abs() < 1e-9 && (down - 0.189).abs() < 1e-9, "{up} {down}");
    assert!((full.tolerance_value().unwrap() - 0.063).abs() < 1e-9);
    bytes[5 + 6] &= !0x3C;
    let Some(SdrRecord::Full(full)) = SdrRecord::decode(&bytes) else { panic!("full record") };
    assert_eq!((full.hysteresis_values(), full.readable_thresholds), (None, 0), "the sensor says it has neither");
}

proptest! {
    #[test]
    fn no_record_panics(kind: u8, body in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..80) {
        let whole = [&[1, 0, 0x51, kind, body.len() as u8][..], &body].concat();
        let _ = SdrRecord::decode(&whole[..cut.min(whole.len())]);
        if let Some(SdrRecord::Full(full)) = SdrRecord::decode(&whole) {
            let _ = (full.contradiction(), full.tolerance_value(), full.hysteresis_values(), full.unit.symbol());
        }
    }

    #[test]
    fn records_round_trip(
        m in -512i16..512, b in -512i16..512, b_exponent in -8i8..8, result_exponent in -8i8..8,
        number: u8, raw: u8, upper in proptest::option::of(any::<u8>()),
    ) {
        let mut spec = spec(AnalogFormat::Unsigned, 0, (m, b, b_exponent, result_exponent));
        spec.number = number;
        spec.thresholds.upper_non_recoverable = upper;
        let full = decode(&spec);
        prop_assert_eq!(full.factors, spec.factors);
        prop_assert_eq!((full.key.number, full.key.name.as_str()), (number, "P12V"));
        prop_assert_eq!((full.key.entity_id, full.key.entity_instance), spec.entity);
        prop_assert_eq!(full.threshold_values().upper_non_recoverable, upper.and_then(|raw| full.value(raw)));
        let by_hand = (f64::from(m) * f64::from(raw) + f64::from(b) * 10f64.powi(b_exponent.into()))
            * 10f64.powi(result_exponent.into());
        prop_assert_eq!(full.value(raw), Some(by_hand));
    }

    /// The crate is right for positive M, unsigned and linear; there both must agree.
    #[test]
    fn agrees_with_the_independent_decoder(
        m in 0i16..512, b in -512i16..512, b_exponent in -3i8..4, result_exponent in -3i8..4, raw: u8,
    ) {
        use ipmi_rs_core::storage::sdr::Record;
        let spec = spec(AnalogFormat::Unsigned, 0, (m, b, b_exponent, result_exponent));
        let theirs = Record::parse(&spec.encode(9)).expect("a whole record");
        let shown = theirs.full_sensor().and_then(|full| full.display_reading(raw)).expect("a full record with a unit");
        let (number, unit) = shown.split_once(' ').expect("number and unit");
        let (theirs, ours) = (number.parse::<f64>().expect("a number"), decode(&spec).value(raw).expect("a value"));
        // They print two decimals of single precision.
        prop_assert!((theirs - ours).abs() <= ours.abs() * 1e-5 + 0.006, "{} {}", theirs, ours);
        prop_assert_eq!(unit, "V");
    }
}
