//! Uninterruptible power supplies: UPS-MIB (RFC 1628) and APC's PowerNet-MIB in the words of the former.

use std::collections::BTreeMap;

use super::rows::{Row, Rows, roots};
use super::{Oid, SnmpValue, VarBind};

const UPS: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1];
const POWERNET: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1];
/// upsAlarmDescr, a column of upsAlarmTable; its values are identifiers below [`WELL_KNOWN`].
const ALARM_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 6, 2, 1, 2];
const WELL_KNOWN: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 6, 3];
/// upsOutputPercentLoad, by line.
const OUTPUT_LOAD: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 5];

/// upsInputEntry: frequency in tenths of a hertz, voltage, current in tenths of an ampere. upsOutputEntry: voltage.
const INPUT: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 3, 3, 1];
const OUTPUT: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1];

/// Numbers below UPS-MIB, each a scalar.
const STATUS: &[u32] = &[2, 1, 0];
const SECONDS_ON_BATTERY: &[u32] = &[2, 2, 0];
const MINUTES_LEFT: &[u32] = &[2, 3, 0];
const CHARGE: &[u32] = &[2, 4, 0];
const TEMPERATURE: &[u32] = &[2, 7, 0];
const BATTERY_VOLTAGE: &[u32] = &[2, 5, 0];
const LINE_BADS: &[u32] = &[3, 1, 0];
const OUTPUT_SOURCE: &[u32] = &[4, 1, 0];
const ALARMS: &[u32] = &[6, 1, 0];
const MODEL: &[u32] = &[1, 2, 0];

/// The same of PowerNet.
const APC_MODEL: &[u32] = &[1, 1, 1, 0];
const APC_STATUS: &[u32] = &[2, 1, 1, 0];
const APC_TIME_ON_BATTERY: &[u32] = &[2, 1, 2, 0];
const APC_CAPACITY: &[u32] = &[2, 2, 1, 0];
const APC_TEMPERATURE: &[u32] = &[2, 2, 2, 0];
const APC_RUN_TIME: &[u32] = &[2, 2, 3, 0];
const APC_REPLACE: &[u32] = &[2, 2, 4, 0];
const APC_OUTPUT: &[u32] = &[4, 1, 1, 0];
const APC_LOAD: &[u32] = &[4, 2, 3, 0];

/// Objects to ask for at once; an agent has those of one MIB, or of both.
pub fn scalars() -> Vec<Oid> {
    let standard = [
        STATUS,
        SECONDS_ON_BATTERY,
        MINUTES_LEFT,
        CHARGE,
        TEMPERATURE,
        OUTPUT_SOURCE,
        ALARMS,
        MODEL,
        BATTERY_VOLTAGE,
        LINE_BADS,
    ];
    let apc = [
        APC_MODEL,
        APC_STATUS,
        APC_TIME_ON_BATTERY,
        APC_CAPACITY,
        APC_TEMPERATURE,
        APC_RUN_TIME,
        APC_REPLACE,
        APC_OUTPUT,
        APC_LOAD,
    ];
    let standard = standard.into_iter().map(|arcs| Oid::new(UPS).join(arcs));
    standard.chain(apc.into_iter().map(|arcs| Oid::new(POWERNET).join(arcs))).collect()
}

/// Columns to walk besides.
pub fn columns() -> Vec<Oid> {
    let mut all = vec![Oid::new(OUTPUT_LOAD), Oid::new(ALARM_DESCR)];
    all.extend(roots(INPUT, &[2, 3, 4]));
    all.extend(roots(OUTPUT, &[2]));
    all
}

/// A line of input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub number: u32,
    pub volts: Option<f64>,
    pub hertz: Option<f64>,
    pub amps: Option<f64>,
}

fn input(number: u32, row: &Row) -> Input {
    let measured = |column: u32, unit: f64| row.number(column).filter(|n| (0.0..1e6).contains(n)).map(|n| n / unit);
    Input { number, volts: measured(3, 1.0), hertz: measured(2, 10.0), amps: measured(4, 10.0) }
}

/// Where the output comes from: the numbers of upsOutputSource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    Other = 1,
    None = 2,
    Normal = 3,
    Bypass = 4,
    Battery = 5,
    Booster = 6,
    Reducer = 7,
}

impl Source {
    pub fn word(self) -> &'static str {
        match self {
            Source::Other => "other",
            Source::None => "none",
            Source::Normal => "normal",
            Source::Bypass => "bypass",
            Source::Battery => "battery",
            Source::Booster => "booster",
            Source::Reducer => "reducer",
        }
    }

    fn standard(number: i64) -> Option<Source> {
        Some(match number {
            1 => Source::Other,
            2 => Source::None,
            3 => Source::Normal,
            4 => Source::Bypass,
            5 => Source::Battery,
            6 => Source::Booster,
            7 => Source::Reducer,
            _ => return None,
        })
    }

    /// upsBasicOutputStatus of PowerNet.
    fn apc(number: i64) -> Option<Source> {
        Some(match number {
            // onLine, ecoMode, hotStandby, powerSavingMode, eConversion
            2 | 13 | 14 | 18 | 20 => Source::Normal,
            3 => Source::Battery,
            // onBatteryTest: its own doing, and over in seconds.
            15 => Source::Other,
            // onSmartBoost, onSmartTrim
            4 => Source::Booster,
            12 => Source::Reducer,
            // timedSleeping, off, rebooting, sleepingUntilPowerReturn: nothing comes out.
            5 | 7 | 8 | 11 => Source::None,
            // softwareBypass, switchedBypass, hardwareFailureBypass, emergencyStaticBypass
            6 | 9 | 10 | 16 => Source::Bypass,
            _ => return None,
        })
    }
}

/// The numbers of upsBatteryStatus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Battery {
    Unknown = 1,
    Normal = 2,
    Low = 3,
    Depleted = 4,
}

impl Battery {
    pub fn word(self) -> &'static str {
        match self {
            Battery::Unknown => "unknown",
            Battery::Normal => "normal",
            Battery::Low => "low",
            Battery::Depleted => "depleted",
        }
    }

    /// upsBasicBatteryStatus of PowerNet has the same first three; 4 says that the battery is at fault.
    fn of(number: i64) -> Option<Battery> {
        Some(match number {
            1 => Battery::Unknown,
            2 => Battery::Normal,
            3 => Battery::Low,
            4 => Battery::Depleted,
            _ => return None,
        })
    }
}

/// What one run saw of a UPS; what the agent has not is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ups {
    pub model: Option<String>,
    pub source: Option<Source>,
    pub battery: Option<Battery>,
    pub charge_pct: Option<f64>,
    pub minutes_left: Option<f64>,
    pub seconds_on_battery: Option<f64>,
    pub temperature_c: Option<f64>,
    /// Of the busiest line.
    pub load_pct: Option<f64>,
    /// Of the battery, in volts.
    pub battery_v: Option<f64>,
    pub inputs: Vec<Input>,
    /// How often the input was out of bounds since the UPS started.
    pub input_bads: Option<f64>,
    /// Of the lowest line that gives anything at all.
    pub output_v_min: Option<f64>,
    /// Names of the well-known alarms that are on; others as their identifiers.
    pub alarms: Vec<String>,
    /// Number of alarms, even where they cannot be listed.
    pub alarms_present: Option<i64>,
    /// The battery wants to be replaced.
    pub replace: Option<bool>,
}

const ALARM_NAMES: [&str; 24] = [
    "BatteryBad",
    "OnBattery",
    "LowBattery",
    "DepletedBattery",
    "TempBad",
    "InputBad",
    "OutputBad",
    "OutputOverload",
    "OnBypass",
    "BypassBad",
    "OutputOffAsRequested",
    "UpsOffAsRequested",
    "ChargerFailed",
    "UpsOutputOff",
    "UpsSystemOff",
    "FanFailure",
    "FuseFailure",
    "GeneralFault",
    "DiagnosticTestFailed",
    "CommunicationsLost",
    "AwaitingPower",
    "ShutdownPending",
    "ShutdownImminent",
    "TestInProgress",
];

fn alarm_name(oid: &Oid) -> String {
    let number = match oid.below(&Oid::new(WELL_KNOWN)) {
        Some([number, ..]) => number.checked_sub(1).and_then(|number| usize::try_from(number).ok()),
        _ => None,
    };
    number.and_then(|number| ALARM_NAMES.get(number)).map_or_else(|| oid.to_string(), ToString::to_string)
}

/// Reads the answers to [`scalars`] and [`columns`]. The standard's objects win where an agent has both.
pub fn read(found: &[VarBind]) -> Ups {
    let by_oid: BTreeMap<&Oid, &SnmpValue> = found.iter().map(|bind| (&bind.oid, &bind.value)).collect();
    let value = |root: &[u32], arcs: &[u32]| by_oid.get(&Oid::new(root).join(arcs)).copied();
    let integer = |root: &[u32], arcs: &[u32]| value(root, arcs).and_then(SnmpValue::integer);
    // Agents say -1, or the largest number, for what they do not know.
    let number = |root: &[u32], arcs: &[u32]| {
        value(root, arcs).and_then(SnmpValue::number).filter(|number| (0.0..2e9).contains(number))
    };
    let text = |root: &[u32], arcs: &[u32]| value(root, arcs).and_then(SnmpValue::text).filter(|text| !text.is_empty());
    let (load_root, alarm_root) = (Oid::new(OUTPUT_LOAD), Oid::new(ALARM_DESCR));
    let loads = found.iter().filter(|bind| bind.oid.below(&load_root).is_some()).filter_map(|bind| bind.value.number());
    let alarms = found.iter().filter(|bind| bind.oid.below(&alarm_root).is_some());
    let percent = |number: Option<f64>| number.filter(|number| *number <= 100.0);
    Ups {
        model: text(UPS, MODEL).or_else(|| text(POWERNET, APC_MODEL)),
        source: integer(UPS, OUTPUT_SOURCE)
            .and_then(Source::standard)
            .or_else(|| integer(POWERNET, APC_OUTPUT).and_then(Source::apc)),
        battery: integer(UPS, STATUS)
            .and_then(Battery::of)
            .or_else(|| integer(POWERNET, APC_STATUS).filter(|number| *number < 4).and_then(Battery::of)),
        charge_pct: percent(number(UPS, CHARGE).or_else(|| number(POWERNET, APC_CAPACITY))),
        // PowerNet counts both times in ticks, which are read as seconds.
        minutes_left: number(UPS, MINUTES_LEFT).or_else(|| number(POWERNET, APC_RUN_TIME).map(|secs| secs / 60.0)),
        seconds_on_battery: number(UPS, SECONDS_ON_BATTERY).or_else(|| number(POWERNET, APC_TIME_ON_BATTERY)),
        temperature_c: number(UPS, TEMPERATURE).or_else(|| number(POWERNET, APC_TEMPERATURE)),
        load_pct: loads
            .filter(|load| (0.0..1000.0).contains(load))
            .reduce(f64::max)
            .or_else(|| number(POWERNET, APC_LOAD).filter(|load| *load < 1000.0)),
        battery_v: number(UPS, BATTERY_VOLTAGE).map(|tenths| tenths / 10.0),
        inputs: Rows::of(found, INPUT).numbered().map(|(number, row)| input(number, row)).collect(),
        input_bads: number(UPS, LINE_BADS),
        output_v_min: Rows::of(found, OUTPUT)
            .numbered()
            .filter_map(|(_, row)| row.number(2).filter(|volts| (0.0..1e6).contains(volts)))
            .reduce(f64::min),
        alarms: alarms
            .filter_map(|bind| match &bind.value {
                SnmpValue::Oid(oid) => Some(alarm_name(oid)),
                _ => None,
            })
            .collect(),
        alarms_present: integer(UPS, ALARMS).filter(|count| *count >= 0),
        replace: match integer(POWERNET, APC_REPLACE) {
            Some(1) => Some(false),
            Some(2) => Some(true),
            _ if integer(POWERNET, APC_STATUS) == Some(4) => Some(true),
            _ => None,
        },
    }
}

impl Ups {
    /// Whether the agent has any of a UPS at all.
    pub fn is_one(&self) -> bool {
        self.source.is_some() || self.battery.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bind(oid: &str, value: SnmpValue) -> VarBind {
        VarBind { oid: oid.parse().expect("an identifier"), value }
    }

    #[test]
    fn a_standard_ups_on_battery_is_read() {
        let ups = read(&[
            bind("1.3.6.1.2.1.33.1.1.2.0", SnmpValue::Bytes(b"SimUPS".to_vec())),
            bind("1.3.6.1.2.1.33.1.2.1.0", SnmpValue::Integer(3)),
            bind("1.3.6.1.2.1.33.1.2.2.0", SnmpValue::Integer(60)),
            bind("1.3.6.1.2.1.33.1.2.3.0", SnmpValue::Integer(7)),
            bind("1.3.6.1.2.1.33.1.2.4.0", SnmpValue::Integer(35)),
            bind("1.3.6.1.2.1.33.1.2.7.0", SnmpValue::Integer(-1)),
            bind("1.3.6.1.2.1.33.1.2.5.0", SnmpValue::Integer(484)),
            bind("1.3.6.1.2.1.33.1.3.1.0", SnmpValue::Counter32(3)),
            bind("1.3.6.1.2.1.33.1.3.3.1.2.1", SnmpValue::Integer(499)),
            bind("1.3.6.1.2.1.33.1.3.3.1.3.1", SnmpValue::Integer(0)),
            bind("1.3.6.1.2.1.33.1.3.3.1.4.1", SnmpValue::Integer(-1)),
            bind("1.3.6.1.2.1.33.1.4.4.1.2.1", SnmpValue::Integer(231)),
            bind("1.3.6.1.2.1.33.1.4.4.1.2.2", SnmpValue::Integer(229)),
            bind("1.3.6.1.2.1.33.1.4.1.0", SnmpValue::Integer(5)),
            bind("1.3.6.1.2.1.33.1.4.4.1.5.1", SnmpValue::Integer(31)),
            bind("1.3.6.1.2.1.33.1.4.4.1.5.2", SnmpValue::Integer(44)),
            bind("1.3.6.1.2.1.33.1.6.1.0", SnmpValue::Gauge(2)),
            bind("1.3.6.1.2.1.33.1.6.2.1.2.1", SnmpValue::Oid(Oid::new(WELL_KNOWN).join(&[2]))),
            bind("1.3.6.1.2.1.33.1.6.2.1.2.2", SnmpValue::Oid(Oid::new(&[1, 3, 6, 1, 4, 1, 9]))),
        ]);
        assert_eq!(
            ups,
            Ups {
                model: Some("SimUPS".into()),
                source: Some(Source::Battery),
                battery: Some(Battery::Low),
                charge_pct: Some(35.0),
                minutes_left: Some(7.0),
                seconds_on_battery: Some(60.0),
                temperature_c: None,
                load_pct: Some(44.0),
                battery_v: Some(48.4),
                inputs: vec![Input { number: 1, volts: Some(0.0), hertz: Some(49.9), amps: None }],
                input_bads: Some(3.0),
                output_v_min: Some(229.0),
                alarms: vec!["OnBattery".into(), "1.3.6.1.4.1.9".into()],
                alarms_present: Some(2),
                replace: None,
            }
        );
    }

    #[test]
    fn an_apc_is_read_in_the_same_words() {
        for (output, source) in [
            (2, Some(Source::Normal)),
            (15, Some(Source::Other)),
            (3, Some(Source::Battery)),
            (9, Some(Source::Bypass)),
            (1, None),
            (99, None),
        ] {
            let ups = read(&[
                bind("1.3.6.1.4.1.318.1.1.1.1.1.1.0", SnmpValue::Bytes(b"Smart-UPS 3000".to_vec())),
                bind("1.3.6.1.4.1.318.1.1.1.2.1.1.0", SnmpValue::Integer(2)),
                bind("1.3.6.1.4.1.318.1.1.1.2.2.1.0", SnmpValue::Gauge(98)),
                bind("1.3.6.1.4.1.318.1.1.1.2.2.3.0", SnmpValue::Ticks(150_000)),
                bind("1.3.6.1.4.1.318.1.1.1.2.2.4.0", SnmpValue::Integer(2)),
                bind("1.3.6.1.4.1.318.1.1.1.4.1.1.0", SnmpValue::Integer(output)),
                bind("1.3.6.1.4.1.318.1.1.1.4.2.3.0", SnmpValue::Gauge(27)),
            ]);
            assert_eq!((ups.source, ups.battery), (source, Some(Battery::Normal)), "{output}");
            assert_eq!((ups.minutes_left, ups.charge_pct, ups.load_pct), (Some(25.0), Some(98.0), Some(27.0)));
            assert_eq!((ups.replace, ups.is_one()), (Some(true), true));
        }
    }

    #[test]
    fn an_agent_without_either_mib_is_no_ups() {
        let nothing: Vec<VarBind> =
            scalars().into_iter().map(|oid| VarBind { oid, value: SnmpValue::Missing }).collect();
        assert!(!read(&nothing).is_one());
        assert!(!read(&[]).is_one());
    }

    #[test]
    fn every_alarm_of_the_standard_has_its_name() {
        for (number, name) in
            [(1, "BatteryBad"), (8, "OutputOverload"), (20, "CommunicationsLost"), (24, "TestInProgress")]
        {
            assert_eq!(alarm_name(&Oid::new(WELL_KNOWN).join(&[number])), name);
        }
        for odd in [0, 25, u32::MAX] {
            assert_eq!(alarm_name(&Oid::new(WELL_KNOWN).join(&[odd])), format!("1.3.6.1.2.1.33.1.6.3.{odd}"));
        }
    }

    proptest! {
        #[test]
        fn any_numbers_are_read(numbers in proptest::collection::vec(any::<i64>(), 19)) {
            let found: Vec<VarBind> = scalars().into_iter().zip(numbers)
                .map(|(oid, number)| VarBind { oid, value: SnmpValue::Integer(number) }).collect();
            let ups = read(&found);
            prop_assert!(ups.charge_pct.is_none_or(|pct| (0.0..=100.0).contains(&pct)));
            prop_assert!(ups.minutes_left.is_none_or(|minutes| minutes >= 0.0));
        }
    }
}
