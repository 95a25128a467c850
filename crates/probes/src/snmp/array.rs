//! The probe `snmp_array`: a storage array by FCMGMT-MIB and ENTITY-STATE-MIB: controllers, supplies, fans, batteries, ports.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::array::{self, Array};
use stentor_wire::snmp::entity::{self, Class, Health, Sensors};
use stentor_wire::snmp::environment::Unit;

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, SnmpError, SnmpPoller, With, supply, unanswered, up_time};

/// Parts, sensors and ports of an array with many shelves.
const ROWS_MAX: usize = 10_000;
/// Names in the one-line text.
const SHOWN_MAX: usize = 8;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {}

/// Reads an array.
pub struct SnmpArray {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
}

impl Probe for SnmpArray {
    const KIND: &'static str = "snmp_array";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp_array.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        Ok(SnmpArray { net: env.net.clone(), poller: env.net.snmp(), access: config.access })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        match self.read(&agent, deadline).await {
            Ok((array, sensors)) if array.is_one() => Ok(observation(&array, &sensors)),
            Ok(_) => {
                let text = format!("SNMP agent {} answers, but tells no parts of an array", agent.addr);
                Ok(Observation::observed(text).fact("snmp", "ok").fact("array_found", false))
            }
            Err(error) => unanswered(&agent, error),
        }
    }
}

impl SnmpArray {
    async fn read(&self, agent: &Agent, deadline: Deadline) -> Result<(Array, Sensors), SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let columns = [array::columns(), entity::columns(), entity::sensor_columns()].concat();
        let mut found = ask.get(&[up_time()], "its uptime").await?;
        found.extend(ask.columns(&columns, ROWS_MAX, "its tables").await?);
        found.extend(ask.get(&entity::names_wanted(&found), "the names of its parts").await?);
        let mut array = array::read(&found);
        let parts = entity::read(&found).into_iter().filter(entity::Part::matters);
        array
            .parts
            .extend(parts.filter_map(|part| Some(Unit { name: part.name, class: part.class, health: part.health? })));
        Ok((array, entity::sensors(&found)))
    }
}

fn observation(array: &Array, sensors: &Sensors) -> Observation {
    let at = |health: Health| -> Vec<String> {
        array.parts.iter().filter(|part| part.health == health).map(|part| part.name.clone()).collect()
    };
    let worst = array.units.iter().map(|(_, health)| *health).max();
    let (failed, warning) = (at(Health::Failed), at(Health::Warning));
    let well = array.parts.iter().filter(|part| part.health == Health::Ok).count();
    let names: Vec<&str> = array.units.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("{}: {well} of {} parts well", names.join(", "), array.parts.len());
    text = text.trim_start_matches(": ").to_owned();
    for (what, list) in
        [("failed", &failed), ("warning", &warning), ("port failed", &array.ports_failed), ("says", &array.messages)]
    {
        if !list.is_empty() {
            text.push_str(&format!(
                "; {what}: {}",
                list.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    let supplies = array.parts.iter().filter(|part| part.class == Class::PowerSupply);
    let supplies: Vec<Value> = supplies.filter_map(|part| supply(&part.name, part.health)).collect();
    let mut seen = Observation::observed(text)
        .fact("snmp", "ok")
        .fact("array_found", true)
        .fact("failed", failed)
        .fact("warning", warning)
        .fact("messages", array.messages.clone())
        .fact("ports", array.ports)
        .fact("ports_failed", array.ports_failed.clone())
        .fact("psu", supplies)
        .fact("parts", array.parts.iter().map(part).collect::<Vec<_>>());
    if let Some(worst) = worst {
        seen = seen.fact("unit_status", worst.word());
    }
    for (class, all, ok) in [
        (Class::Module, "controllers", "controllers_ok"),
        (Class::PowerSupply, "psus", "psus_ok"),
        (Class::Fan, "fans", "fans_ok"),
    ] {
        let of =
            |is: fn(Health) -> bool| array.parts.iter().filter(|part| part.class == class && is(part.health)).count();
        seen = seen.fact(all, of(|_| true)).fact(ok, of(|health| health == Health::Ok));
    }
    for sensor in sensors.working.iter().take(MEASUREMENTS_MAX) {
        seen = seen.measure(&sensor.name, sensor.value, sensor.unit);
    }
    seen
}

fn part(part: &Unit) -> Value {
    [("name", part.name.as_str()), ("class", part.class.word()), ("health", part.health.word())].into_iter().collect()
}
