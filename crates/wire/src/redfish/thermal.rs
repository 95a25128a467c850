//! Readings with their limits: fans and temperatures of `Thermal`, `ThermalSubsystem` and `ThermalMetrics`, voltages of
//! `Power`, and `Sensor` resources.

use serde_json::Value;

use super::power::{name_of, tell_apart};
use super::{Health, Node, Status, quirks};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Fan,
    Temperature,
    Voltage,
    Other,
}

impl Kind {
    /// As IPMI names the sensor type.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Fan => "Fan",
            Kind::Temperature => "Temperature",
            Kind::Voltage => "Voltage",
            Kind::Other => "Sensor",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub kind: Kind,
    pub name: String,
    /// As redundancy groups name it.
    pub id: String,
    pub status: Status,
    pub value: Option<f64>,
    pub unit: String,
    pub limits: Limits,
}

/// What the controller compares the value with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    pub low_warn: Option<f64>,
    pub low_crit: Option<f64>,
    pub high_warn: Option<f64>,
    pub high_crit: Option<f64>,
}

impl Limits {
    fn old(node: Node<'_>) -> Limits {
        let number = |keys: &[&str]| node.any(keys).number();
        Limits {
            low_warn: number(&["LowerThresholdNonCritical"]),
            low_crit: number(&["LowerThresholdCritical", "LowerThresholdFatal"]),
            high_warn: number(&["UpperThresholdNonCritical"]),
            high_crit: number(&["UpperThresholdCritical", "UpperThresholdFatal"]),
        }
    }

    fn new(node: Node<'_>) -> Limits {
        let limits = node.get("Thresholds");
        let number = |keys: [&str; 2]| keys.iter().find_map(|key| limits.at(&[key, "Reading"]).number());
        Limits {
            low_warn: number(["LowerCaution", "LowerCautionUser"]),
            low_crit: number(["LowerCritical", "LowerFatal"]),
            high_warn: number(["UpperCaution", "UpperCautionUser"]),
            high_crit: number(["UpperCritical", "UpperFatal"]),
        }
    }

    /// What lies beyond them. Limits that contradict each other (0 and 0, or turned round) are no limits.
    fn health(self, value: f64) -> Health {
        let pair = |low: Option<f64>, high: Option<f64>| match (low, high) {
            (Some(low), Some(high)) if low >= high => (None, None),
            // 0 as an upper limit stands for "none" on firmware that cannot leave it out.
            (low, high) => (low, high.filter(|high| *high != 0.0)),
        };
        let is_beyond = |(low, high): (Option<f64>, Option<f64>)| {
            low.is_some_and(|low| value < low) || high.is_some_and(|high| value >= high)
        };
        if is_beyond(pair(self.low_crit, self.high_crit)) {
            Health::Critical
        } else if is_beyond(pair(self.low_warn, self.high_warn)) {
            Health::Warning
        } else {
            Health::Ok
        }
    }
}

impl Reading {
    /// The worse of what it says and of what its own limits say; `None` if neither says anything.
    pub fn health(&self) -> Option<Health> {
        if !self.status.is_active() {
            return None;
        }
        self.status.own().max(self.value.map(|value| self.limits.health(value)))
    }

    /// It turns, warms or supplies as it should.
    pub fn is_good(&self) -> bool {
        self.health() == Some(Health::Ok)
    }

    fn fan(node: Node<'_>) -> Reading {
        // Newer fans give `SpeedPercent`, itself a sensor's excerpt.
        let speed = node.get("SpeedPercent");
        let value = node.any(&["Reading", "ReadingRPM", "CurrentReading"]).number();
        let rpm = speed.get("SpeedRPM").number();
        let (value, unit) = match (value.or(rpm), speed.any(&["Reading", "Value"]).number()) {
            (Some(value), _) => (Some(value), quirks::fan_unit(node, value)),
            (None, percent) => (percent, "%"),
        };
        Reading { value, unit: unit.to_owned(), ..Reading::plain(Kind::Fan, node, Limits::old(node)) }
    }

    fn temperature(node: Node<'_>) -> Reading {
        let value = node.any(&["ReadingCelsius", "CurrentReading", "Reading"]).number();
        Reading { value, unit: "°C".to_owned(), ..Reading::plain(Kind::Temperature, node, Limits::old(node)) }
    }

    fn voltage(node: Node<'_>) -> Reading {
        let value = node.any(&["ReadingVolts", "Reading"]).number();
        Reading { value, unit: "V".to_owned(), ..Reading::plain(Kind::Voltage, node, Limits::old(node)) }
    }

    /// A `Sensor` resource.
    pub fn sensor(node: Node<'_>) -> Reading {
        let (kind, usual) = match node.get("ReadingType").text().unwrap_or_default() {
            "Temperature" => (Kind::Temperature, "°C"),
            "Rotational" => (Kind::Fan, "RPM"),
            "Voltage" => (Kind::Voltage, "V"),
            "Power" => (Kind::Other, "W"),
            "Current" => (Kind::Other, "A"),
            "Humidity" | "Percent" => (Kind::Other, "%"),
            _ => (Kind::Other, ""),
        };
        let unit = match node.get("ReadingUnits").text() {
            Some("Cel") => "°C",
            Some(unit) if unit.chars().count() <= 8 => unit,
            Some(_) | None => usual,
        };
        let value = node.get("Reading").number();
        Reading { value, unit: unit.to_owned(), ..Reading::plain(kind, node, Limits::new(node)) }
    }

    fn plain(kind: Kind, node: Node<'_>, limits: Limits) -> Reading {
        Reading {
            kind,
            name: name_of(node),
            id: node.id().unwrap_or_default().to_owned(),
            status: Status::read(node),
            value: None,
            unit: String::new(),
            limits,
        }
    }
}

/// Fans and temperatures of a `Thermal` resource.
pub fn of_thermal(thermal: &Value) -> Vec<Reading> {
    let node = Node::of(thermal);
    let fans = node.get("Fans").items().into_iter().map(Reading::fan);
    let temperatures = node.get("Temperatures").items().into_iter().map(Reading::temperature);
    named(fans.chain(temperatures))
}

/// Voltages of a `Power` resource.
pub fn of_power(power: &Value) -> Vec<Reading> {
    named(Node::of(power).get("Voltages").items().into_iter().map(Reading::voltage))
}

/// Members of `ThermalSubsystem/Fans`.
pub fn of_fans<'a>(fans: impl Iterator<Item = Node<'a>>) -> Vec<Reading> {
    named(fans.map(Reading::fan))
}

/// Members of `Sensors`.
pub fn of_sensors<'a>(sensors: impl Iterator<Item = Node<'a>>) -> Vec<Reading> {
    named(sensors.map(Reading::sensor))
}

/// Temperatures of `ThermalMetrics`: numbers without limits or health.
pub fn of_metrics(metrics: &Value) -> Vec<Reading> {
    let node = Node::of(metrics);
    let listed = node.get("TemperatureReadingsCelsius").items();
    named(listed.into_iter().map(|one| {
        let context = one.get("PhysicalContext").owned();
        let reading = Reading::temperature(one);
        let name = if reading.name.is_empty() { context } else { reading.name.clone() };
        Reading { name, ..reading }
    }))
}

/// Empty places are left out; names that occur twice are told apart.
fn named(readings: impl Iterator<Item = Reading>) -> Vec<Reading> {
    let mut found: Vec<Reading> = readings.filter(|reading| reading.status.is_present()).collect();
    tell_apart(&mut found.iter_mut().map(|reading| &mut reading.name).collect::<Vec<_>>());
    found
}
