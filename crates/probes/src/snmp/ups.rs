//! The probe `snmp_ups`: an uninterruptible power supply by UPS-MIB or PowerNet: source, battery, minutes left, alarms.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::ups::{self, Input, Source, Ups};

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, SnmpError, SnmpPoller, With, unanswered};

/// Lines of output, or alarms, of one device.
const ROWS_MAX: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {}

/// Reads a UPS.
pub struct SnmpUps {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
}

impl Probe for SnmpUps {
    const KIND: &'static str = "snmp_ups";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp_ups.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        Ok(SnmpUps { net: env.net.clone(), poller: env.net.snmp(), access: config.access })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        match self.read(&agent, deadline).await {
            Ok(ups) if ups.is_one() => Ok(observation(&ups)),
            Ok(_) => {
                let text = format!("SNMP agent {} answers, but has neither UPS-MIB nor PowerNet", agent.addr);
                Ok(Observation::observed(text).fact("snmp", "ok").fact("ups_found", false))
            }
            Err(error) => unanswered(&agent, error),
        }
    }
}

impl SnmpUps {
    async fn read(&self, agent: &Agent, deadline: Deadline) -> Result<Ups, SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let mut found = ask.get(&ups::scalars(), "its state").await?;
        if !ups::read(&found).is_one() {
            return Ok(Ups::default());
        }
        found.extend(ask.columns(&ups::columns(), ROWS_MAX, "its tables").await?);
        Ok(ups::read(&found))
    }
}

fn observation(ups: &Ups) -> Observation {
    let source = ups.source.map_or("unknown", Source::word);
    let battery = ups.battery.map_or("unknown", ups::Battery::word);
    let mut text = format!("output from {source}, battery {battery}");
    let figures =
        [("charge", ups.charge_pct, "%"), ("time left", ups.minutes_left, " min"), ("load", ups.load_pct, "%")];
    for (what, number, unit) in figures {
        if let Some(number) = number {
            text.push_str(&format!(", {what} {}{unit}", round(number)));
        }
    }
    if let Some(seconds) = ups.seconds_on_battery.filter(|seconds| *seconds > 0.0) {
        text.push_str(&format!(", on battery for {} s", round(seconds)));
    }
    if !ups.alarms.is_empty() {
        text.push_str(&format!("; alarms: {}", ups.alarms.join(", ")));
    }
    let mut seen = Observation::observed(text)
        .fact("snmp", "ok")
        .fact("ups_found", true)
        .fact("source", source)
        .fact("battery", battery)
        .fact("alarms", ups.alarms.clone());
    // What the classifier reads, in the numbers of UPS-MIB.
    let mut signal: Vec<(&str, Value)> = Vec::new();
    signal.extend(ups.source.map(|source| ("upsOutputSource", Value::from(source as u32))));
    signal.extend(ups.battery.map(|battery| ("upsBatteryStatus", Value::from(battery as u32))));
    signal.extend(ups.minutes_left.map(|minutes| ("minutes", Value::from(round(minutes)))));
    let optional = [
        ("on_battery", ups.source.map(|source| Value::from(source == Source::Battery))),
        ("charge_pct", ups.charge_pct.map(|number| round(number).into())),
        ("minutes_left", ups.minutes_left.map(|number| round(number).into())),
        ("seconds_on_battery", ups.seconds_on_battery.map(|number| round(number).into())),
        ("temperature_c", ups.temperature_c.map(|number| round(number).into())),
        ("load_pct", ups.load_pct.map(|number| round(number).into())),
        ("alarms_present", ups.alarms_present.map(Value::from)),
        ("replace_battery", ups.replace.map(Value::from)),
        ("battery_v", ups.battery_v.map(Value::from)),
        ("input_bads", ups.input_bads.map(Value::from)),
        ("input_v_min", ups.inputs.iter().filter_map(|one| one.volts).reduce(f64::min).map(Value::from)),
        ("output_v_min", ups.output_v_min.map(Value::from)),
        ("inputs", Some(ups.inputs.iter().map(input).collect::<Vec<_>>().into())),
        ("model", ups.model.clone().map(Value::from)),
        ("ups", Some(signal.into_iter().collect())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            seen = seen.fact(name, value);
        }
    }
    for (label, number, unit) in [
        ("charge", ups.charge_pct, "%"),
        ("minutes_left", ups.minutes_left, ""),
        ("load", ups.load_pct, "%"),
        ("temperature", ups.temperature_c, "°C"),
        ("battery", ups.battery_v, "V"),
        ("input", ups.inputs.iter().filter_map(|one| one.volts).reduce(f64::min), "V"),
        ("output", ups.output_v_min, "V"),
    ] {
        if let Some(number) = number {
            seen = seen.measure(label, round(number), unit);
        }
    }
    seen
}

fn input(line: &Input) -> Value {
    let mut pairs: Vec<(&str, Value)> = vec![("line", line.number.into())];
    pairs.extend(line.volts.map(|volts| ("volts", volts.into())));
    pairs.extend(line.hertz.map(|hertz| ("hertz", hertz.into())));
    pairs.extend(line.amps.map(|amps| ("amps", amps.into())));
    pairs.into_iter().collect()
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
