//! The probe `snmp_pdu`: a rack PDU by PowerNet-MIB: load, phases and banks, outlets, the PDU's own supplies.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::entity::{self, Health, Sensors};
use stentor_wire::snmp::pdu::{self, Line, Load, Outlet, Pdu};

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, SnmpError, SnmpPoller, With, unanswered};

/// Outlets of all units of a chain.
const ROWS_MAX: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// Outlets that must be on, by name or number; without it none is judged.
    outlets: Vec<String>,
}

/// Reads a PDU.
pub struct SnmpPdu {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
    outlets: Vec<String>,
}

impl Probe for SnmpPdu {
    const KIND: &'static str = "snmp_pdu";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp_pdu.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        let (net, poller) = (env.net.clone(), env.net.snmp());
        Ok(SnmpPdu { net, poller, access: config.access, outlets: config.own.outlets })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        match self.read(&agent, deadline).await {
            Ok((pdu, sensors)) if pdu.is_one() => Ok(self.observe(&pdu, &sensors)),
            Ok(_) => {
                let text = format!("SNMP agent {} answers, but has no rack PDU of PowerNet-MIB", agent.addr);
                Ok(Observation::observed(text).fact("snmp", "ok").fact("pdu_found", false))
            }
            Err(error) => unanswered(&agent, error),
        }
    }
}

impl SnmpPdu {
    async fn read(&self, agent: &Agent, deadline: Deadline) -> Result<(Pdu, Sensors), SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let mut found = ask.get(&pdu::scalars(), "its supplies").await?;
        let columns = [pdu::columns(), entity::sensor_columns()].concat();
        found.extend(ask.columns(&columns, ROWS_MAX, "its tables").await?);
        found.extend(ask.get(&entity::names_wanted(&found), "the names of its sensors").await?);
        Ok((pdu::read(&found), entity::sensors(&found)))
    }

    fn is_meant(&self, outlet: &Outlet) -> bool {
        self.outlets.iter().any(|wanted| is(outlet, wanted))
    }

    fn observe(&self, pdu: &Pdu, sensors: &Sensors) -> Observation {
        let names =
            |outlets: &mut dyn Iterator<Item = &Outlet>| outlets.map(|one| one.name.clone()).collect::<Vec<_>>();
        let off = names(&mut pdu.outlets.iter().filter(|one| one.is_on == Some(false)));
        let wrong = names(&mut pdu.outlets.iter().filter(|one| one.is_on == Some(false) && self.is_meant(one)));
        let is_missing = |wanted: &&String| !pdu.outlets.iter().any(|outlet| is(outlet, wanted));
        let missing: Vec<String> = self.outlets.iter().filter(is_missing).cloned().collect();
        let lines_at = |load: Load| -> Vec<String> {
            pdu.lines.iter().filter(|line| line.load == Some(load)).map(|line| line.name.clone()).collect()
        };
        let supplies = pdu.supplies.iter().filter(|(_, health)| *health == Health::Failed);
        let supplies: Vec<String> = supplies.map(|(name, _)| name.clone()).collect();
        let on = pdu.outlets.iter().filter(|one| one.is_on == Some(true)).count();
        let mut text = pdu.name.clone().unwrap_or_else(|| "PDU".to_owned());
        text.push_str(&format!(": load {}", pdu.load.map_or("unknown", Load::word)));
        if let Some(watts) = pdu.watts {
            text.push_str(&format!(", {watts} W"));
        }
        if !pdu.outlets.is_empty() {
            text.push_str(&format!(", {on} of {} outlets on", pdu.outlets.len()));
        }
        let troubles = [
            ("off", &wrong),
            ("no such outlet", &missing),
            ("overload", &lines_at(Load::Overload)),
            ("near overload", &lines_at(Load::NearOverload)),
            ("without input", &supplies),
        ];
        for (what, list) in troubles.iter().filter(|(_, list)| !list.is_empty()) {
            text.push_str(&format!("; {what}: {}", list.join(", ")));
        }
        let mut seen = Observation::observed(text)
            .fact("snmp", "ok")
            .fact("pdu_found", true)
            .fact("overload", lines_at(Load::Overload))
            .fact("near_overload", lines_at(Load::NearOverload))
            .fact("supplies_failed", supplies)
            .fact("outlets_off", off)
            .fact("wanted_off", wrong)
            .fact("not_found", missing)
            .fact("lines", pdu.lines.iter().map(line).collect::<Vec<_>>())
            .fact("outlets", pdu.outlets.iter().map(outlet).collect::<Vec<_>>());
        if let Some(load) = pdu.load {
            seen = seen.fact("load", load.word());
        }
        if let Some(watts) = pdu.watts {
            seen = seen.fact("power_w", watts).measure("power", watts, "W");
        }
        for line in &pdu.lines {
            if let Some(amps) = line.amps {
                seen = seen.measure(&line.name, amps, "A");
            }
        }
        for sensor in sensors.working.iter().take(MEASUREMENTS_MAX - pdu.lines.len().min(MEASUREMENTS_MAX)) {
            seen = seen.measure(&sensor.name, sensor.value, sensor.unit);
        }
        seen
    }
}

/// Meant by name, in any case, or by number.
fn is(outlet: &Outlet, wanted: &str) -> bool {
    outlet.name.eq_ignore_ascii_case(wanted) || wanted.parse() == Ok(outlet.number)
}

fn line(line: &Line) -> Value {
    let mut pairs: Vec<(&str, Value)> = vec![("name", line.name.as_str().into())];
    pairs.extend(line.load.map(|load| ("load", load.word().into())));
    pairs.extend(line.amps.map(|amps| ("amps", amps.into())));
    pairs.extend(line.volts.map(|volts| ("volts", volts.into())));
    pairs.into_iter().collect()
}

fn outlet(outlet: &Outlet) -> Value {
    let mut pairs: Vec<(&str, Value)> = vec![("number", outlet.number.into()), ("name", outlet.name.as_str().into())];
    pairs.extend(outlet.is_on.map(|is_on| ("on", is_on.into())));
    pairs.extend(outlet.amps.map(|amps| ("amps", amps.into())));
    pairs.extend(outlet.watts.map(|watts| ("watts", watts.into())));
    pairs.into_iter().collect()
}
