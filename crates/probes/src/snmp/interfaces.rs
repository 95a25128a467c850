//! The probe `snmp_if`: interfaces of a switch, router or host by IF-MIB: states, speeds, traffic, errors.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::counter::has_restarted;
use stentor_wire::snmp::interfaces::{Choice, Column, Interface, NAMING, NARROW, READING, Rates, Table};
use stentor_wire::snmp::{Oid, SnmpValue, VarBind};
use tokio::time::Instant;

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, Kept, SnmpError, SnmpPoller, With, unanswered, up_time};

/// Interfaces that one agent may have; larger tables are not walked to their end.
const ROWS_MAX: usize = 10_000;
/// Up to so many chosen interfaces are asked for one by one; for more, whole columns are walked.
const ASKED_SINGLY_MAX: usize = 12;
/// Interfaces that a check reports on.
const CHOSEN_MAX: usize = 2_000;
/// Readings closer together give no rate: agents keep their counters for a second and more.
const SECONDS_MIN: f64 = 1.0;
/// Names in the one-line text.
const SHOWN_MAX: usize = 8;
const PATTERN_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// ifName or ifDescr.
    names: Vec<String>,
    /// ifAlias: what people wrote on the port.
    aliases: Vec<String>,
    /// Regular expression over name, description and alias.
    regex: Option<String>,
}

/// Reads the interfaces of an agent.
pub struct SnmpIf {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
    choice: Choice,
    kept: Kept<Reading>,
}

/// What the next run needs of this one.
struct Reading {
    up_ticks: Option<u32>,
    interfaces: BTreeMap<u32, (Interface, Rates)>,
}

impl Probe for SnmpIf {
    const KIND: &'static str = "snmp_if";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp_if.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        let Own { names, aliases, regex } = config.own;
        let compile = |text: &str| -> Result<Regex, regex::Error> {
            RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build()
        };
        let pattern = regex.as_deref().map(compile).transpose();
        let pattern = pattern.map_err(|error| BuildError { message: format!("regex of probe `snmp_if`: {error}") })?;
        let choice = Choice { names, aliases, pattern };
        let (net, poller) = (env.net.clone(), env.net.snmp());
        Ok(SnmpIf { net, poller, access: config.access, choice, kept: Kept::default() })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        match self.read(&agent, deadline).await {
            Ok(read) => Ok(self.observe(&agent, read)),
            Err(error) => unanswered(&agent, error),
        }
    }
}

/// One pass over an agent's tables.
struct Read {
    at: Instant,
    up_ticks: Option<u32>,
    chosen: Vec<Interface>,
    not_found: Vec<String>,
}

impl SnmpIf {
    async fn read(&self, agent: &Agent, deadline: Deadline) -> Result<Read, SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let mut table = Table::default();
        let up_ticks = match ask.get(&[up_time()], "its uptime").await?.first() {
            Some(VarBind { value: SnmpValue::Ticks(ticks), .. }) => Some(*ticks),
            _ => None,
        };
        let naming = NAMING.map(Column::root);
        table.extend(ask.columns(&naming, ROWS_MAX, "its interface table").await?);
        let all = table.interfaces();
        let not_found = self.choice.not_found(&all);
        let indexes: Vec<u32> = all.iter().filter(|one| self.choice.takes(one)).map(|one| one.index).collect();
        table.extend(cells(&mut ask, &READING, &indexes).await?);
        let at = Instant::now();
        let is_meant = |one: &Interface| indexes.binary_search(&one.index).is_ok();
        let is_narrow = |one: &Interface| is_meant(one) && (one.in_octets.is_none() || one.out_octets.is_none());
        let narrow: Vec<u32> = table.interfaces().iter().filter(|one| is_narrow(one)).map(|one| one.index).collect();
        if !narrow.is_empty() {
            table.extend(cells(&mut ask, &NARROW, &narrow).await?);
        }
        let chosen: Vec<Interface> = table.interfaces().into_iter().filter(is_meant).collect();
        if chosen.len() > CHOSEN_MAX {
            return Err(SnmpError::TooMany(CHOSEN_MAX));
        }
        Ok(Read { at, up_ticks, chosen, not_found })
    }

    fn observe(&self, agent: &Agent, read: Read) -> Observation {
        let last = self.kept.get(agent.addr);
        let seconds = last.as_ref().map_or(0.0, |last| (read.at - last.0).as_secs_f64());
        // The same agent asked twice at once, by two services: both tell what the first one found.
        let is_too_soon = last.is_some() && seconds < SECONDS_MIN;
        let restarted = last.as_ref().and_then(|last| Some(has_restarted(last.1.up_ticks?, read.up_ticks?, seconds)));
        let restarted = restarted.unwrap_or(false);
        let rated = |now: &Interface| match last.as_ref().and_then(|last| last.1.interfaces.get(&now.index)) {
            Some((_, rates)) if is_too_soon && !restarted => *rates,
            Some((before, _)) if !restarted => Rates::between(before, now, seconds),
            _ => Rates::default(),
        };
        let rates: Vec<Rates> = read.chosen.iter().map(rated).collect();
        let seen = observation(&read, &rates, !self.choice.is_all()).fact("restarted", restarted);
        if !is_too_soon || restarted {
            let interfaces = read.chosen.into_iter().zip(rates).map(|(one, rates)| (one.index, (one, rates))).collect();
            self.kept.put(agent.addr, read.at, Reading { up_ticks: read.up_ticks, interfaces });
        }
        seen
    }
}

/// Columns of the chosen interfaces: a few are asked for by name, for many whole columns are walked.
async fn cells(ask: &mut Asking<'_>, columns: &[Column], indexes: &[u32]) -> Result<Vec<VarBind>, SnmpError> {
    const DURING: &str = "its interface table";
    if indexes.len() > ASKED_SINGLY_MAX {
        let roots: Vec<Oid> = columns.iter().map(|column| column.root()).collect();
        return ask.columns(&roots, ROWS_MAX, DURING).await;
    }
    let oids: Vec<Oid> = indexes.iter().flat_map(|index| columns.iter().map(|column| column.of(*index))).collect();
    ask.get(&oids, DURING).await
}

/// Facts and measurements of the chosen interfaces. What is not known is left out.
fn observation(read: &Read, rates: &[Rates], is_chosen: bool) -> Observation {
    let pairs = || read.chosen.iter().zip(rates);
    let names = |is: &dyn Fn(&Interface) -> bool| -> Vec<String> {
        read.chosen.iter().filter(|one| is(one)).map(|one| one.name.clone()).collect()
    };
    let (up, down) = (names(&Interface::is_up), names(&Interface::is_down));
    let worst = |of: fn(&Rates) -> [Option<f64>; 2]| rates.iter().flat_map(of).flatten().reduce(f64::max);
    let speeds = read.chosen.iter().filter(|one| one.is_up()).filter_map(|one| one.speed);
    let mut text = format!("{} of {} interfaces up", up.len(), read.chosen.len());
    for (what, some) in [("down", &down), ("not found", &read.not_found)] {
        if !some.is_empty() {
            let more = if some.len() > SHOWN_MAX { ", …" } else { "" };
            let shown: Vec<&str> = some.iter().take(SHOWN_MAX).map(String::as_str).collect();
            text.push_str(&format!("; {what}: {}{more}", shown.join(", ")));
        }
    }
    let lines: Vec<String> = pairs().map(|(one, rates)| line(one, rates)).collect();
    let mut seen = Observation::observed(text)
        .fact("snmp", "ok")
        .fact("interfaces", read.chosen.len())
        .fact("chosen", is_chosen)
        .fact("up", up)
        .fact("down", down)
        .fact("not_found", read.not_found.clone())
        .fact("interface", pairs().map(|(one, rates)| value(one, rates)).collect::<Vec<_>>())
        .long(lines.join("\n"));
    for (name, number) in [
        ("pct_max", worst(|rates| [rates.in_pct, rates.out_pct])),
        ("errors_max", worst(|rates| [rates.in_errors, rates.out_errors])),
        ("discards_max", worst(|rates| [rates.in_discards, rates.out_discards])),
        ("speed_min_mbps", speeds.reduce(f64::min).map(|bits| bits / 1e6)),
    ] {
        if let Some(number) = number {
            seen = seen.fact(name, round(number));
        }
    }
    for (one, rates) in pairs() {
        for (label, unit, number) in numbers(rates) {
            if let Some(number) = number.filter(|_| seen.measurements.len() < MEASUREMENTS_MAX) {
                seen = seen.measure(&format!("{} {label}", one.name), round(number), unit);
            }
        }
    }
    seen
}

/// Label, unit and number of each rate.
fn numbers(rates: &Rates) -> [(&'static str, &'static str, Option<f64>); 8] {
    [
        ("in_bps", "", rates.in_bps),
        ("out_bps", "", rates.out_bps),
        ("in_pct", "%", rates.in_pct),
        ("out_pct", "%", rates.out_pct),
        ("in_errors", "", rates.in_errors),
        ("out_errors", "", rates.out_errors),
        ("in_discards", "", rates.in_discards),
        ("out_discards", "", rates.out_discards),
    ]
}

fn value(one: &Interface, rates: &Rates) -> Value {
    let mut pairs: Vec<(&str, Value)> = vec![
        ("index", one.index.into()),
        ("name", one.name.as_str().into()),
        ("alias", one.alias.as_str().into()),
        ("admin", one.admin.word().into()),
        ("oper", one.oper.into()),
    ];
    pairs.extend(one.speed.map(|bits| ("speed_mbps", Value::from(bits / 1e6))));
    let known = numbers(rates).into_iter().filter_map(|(label, _, number)| Some((label, Value::from(round(number?)))));
    pairs.extend(known);
    pairs.into_iter().collect()
}

fn line(one: &Interface, rates: &Rates) -> String {
    let mut line = format!("{}: admin {}, oper {}", one.name, one.admin.word(), one.oper);
    if !one.alias.is_empty() {
        line.push_str(&format!(" ({})", one.alias));
    }
    if let Some(bits) = one.speed {
        line.push_str(&format!(", {} Mb/s", bits / 1e6));
    }
    if let (Some(into), Some(out)) = (rates.in_bps, rates.out_bps) {
        line.push_str(&format!(", in {:.3} out {:.3} Mb/s", into / 1e6, out / 1e6));
    }
    line
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
