//! The probe `snmp`: objects named one by one, as numbers, texts or rates.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::counter::{Counter, has_restarted, rate};
use stentor_wire::snmp::{Oid, SnmpValue};
use tokio::time::Instant;

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Kept, SnmpPoller, With, unanswered, up_time};

/// More objects than these in one check belong in several.
const OBJECTS_MAX: usize = 100;
/// Values shown in the one-line text.
const SHOWN_MAX: usize = 6;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    oids: Vec<ObjectConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectConfig {
    oid: String,
    name: Option<String>,
    #[serde(default)]
    unit: String,
    /// The number is multiplied with it: sensors that count in tenths have 0.1.
    scale: Option<f64>,
    /// Regular expression that the value must match.
    expect: Option<String>,
    /// A counter: what counts is its growth a second.
    #[serde(default)]
    rate: bool,
}

struct Object {
    oid: Oid,
    name: String,
    unit: String,
    scale: f64,
    expect: Option<Regex>,
    rate: bool,
}

/// Reads objects of an agent.
pub struct Snmp {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
    objects: Vec<Object>,
    kept: Kept<Reading>,
}

/// What the next run needs of this one.
struct Reading {
    up_ticks: Option<u32>,
    counters: Vec<Option<Counter>>,
}

impl Probe for Snmp {
    const KIND: &'static str = "snmp";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        let refuse = |why: String| BuildError { message: format!("probe `snmp`: {why}") };
        if config.own.oids.is_empty() || config.own.oids.len() > OBJECTS_MAX {
            return Err(refuse(format!("`oids` names between 1 and {OBJECTS_MAX} objects")));
        }
        let mut objects: Vec<Object> = Vec::with_capacity(config.own.oids.len());
        for given in config.own.oids {
            let oid: Oid = given.oid.parse().map_err(|error| refuse(format!("{error}")))?;
            let expect = given.expect.as_deref().map(Regex::new).transpose();
            let expect = expect.map_err(|error| refuse(format!("expect of `{}`: {error}", given.oid)))?;
            let scale = given.scale.unwrap_or(1.0);
            if !scale.is_finite() || scale == 0.0 {
                return Err(refuse(format!("scale of `{}` is not a number that scales", given.oid)));
            }
            let name = given.name.filter(|name| !name.is_empty()).unwrap_or(given.oid);
            if objects.iter().any(|known| known.name == name) {
                return Err(refuse(format!("two objects are called `{name}`; give each its own `name`")));
            }
            objects.push(Object { oid, name, unit: given.unit, scale, expect, rate: given.rate });
        }
        let (net, poller) = (env.net.clone(), env.net.snmp());
        Ok(Snmp { net, poller, access: config.access, objects, kept: Kept::default() })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        let is_rated = self.objects.iter().any(|object| object.rate);
        let wanted: Vec<Oid> =
            self.objects.iter().map(|object| object.oid.clone()).chain(is_rated.then(up_time)).collect();
        let found = match self.poller.get(&agent, &wanted, deadline).await {
            Ok(found) => found,
            Err(error) => return unanswered(&agent, error),
        };
        let now = Instant::now();
        let values: Vec<&SnmpValue> = found.iter().map(|bind| &bind.value).collect();
        let up_ticks = match values.get(self.objects.len()) {
            Some(SnmpValue::Ticks(ticks)) => Some(*ticks),
            _ => None,
        };
        let counters: Vec<Option<Counter>> = self
            .objects
            .iter()
            .zip(&values)
            .map(|(object, value)| Counter::of(value).filter(|_| object.rate))
            .collect();
        let rates = match self.kept.get(agent.addr) {
            Some(last) if is_rated => rates(&last.1, up_ticks, &counters, (now - last.0).as_secs_f64()),
            _ => vec![None; self.objects.len()],
        };
        if is_rated {
            self.kept.put(agent.addr, now, Reading { up_ticks, counters });
        }
        Ok(self.observe(&values, &rates))
    }
}

/// Growth a second of each counter; nothing where the agent started anew.
fn rates(last: &Reading, up_ticks: Option<u32>, counters: &[Option<Counter>], seconds: f64) -> Vec<Option<f64>> {
    let restarted = match (last.up_ticks, up_ticks) {
        (Some(before), Some(after)) => has_restarted(before, after, seconds),
        _ => false,
    };
    let one = |(before, after): (&Option<Counter>, &Option<Counter>)| {
        if restarted {
            return None;
        }
        rate((*before)?, (*after)?, seconds, None)
    };
    last.counters.iter().zip(counters).map(one).collect()
}

impl Snmp {
    fn observe(&self, values: &[&SnmpValue], rates: &[Option<f64>]) -> Observation {
        let (mut facts, mut missing, mut unmatched) = (BTreeMap::new(), Vec::new(), Vec::new());
        let (mut shown, mut lines, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = Observation::observed("");
        for ((object, value), rate) in self.objects.iter().zip(values).zip(rates) {
            let Some(text) = value.text() else {
                missing.push(object.name.clone());
                lines.push(format!("{}: the agent has no such object", object.name));
                continue;
            };
            if object.expect.as_ref().is_some_and(|expect| !expect.is_match(&text)) {
                unmatched.push(object.name.clone());
            }
            let number = if object.rate { *rate } else { value.number() }.map(|number| round(number * object.scale));
            let unit = &object.unit;
            let line = match number {
                Some(number) => format!("{} {number}{unit}{}", object.name, if object.rate { "/s" } else { "" }),
                None if object.rate => format!("{} has no rate yet", object.name),
                None => format!("{} {text}", object.name),
            };
            shown.push(line.clone());
            lines.push(line);
            match number {
                Some(number) => {
                    numbers.push(number);
                    facts.insert(object.name.clone(), Value::from(number));
                    seen = seen.measure(&object.name, number, unit);
                }
                None if object.rate => {}
                None => _ = facts.insert(object.name.clone(), Value::from(text)),
            }
        }
        let first = self.objects.first().and_then(|object| facts.get(&object.name)).cloned();
        let trouble = [("does not match", &unmatched), ("is missing", &missing)];
        let trouble =
            trouble.into_iter().flat_map(|(what, names)| names.iter().map(move |name| format!("{name} {what}")));
        let parts: Vec<String> = trouble.chain(shown).take(SHOWN_MAX).collect();
        seen.text = parts.join(", ").into();
        if let Some(value) = first {
            seen = seen.fact("value", value);
        }
        for (name, extreme) in
            [("max", numbers.iter().copied().reduce(f64::max)), ("min", numbers.into_iter().reduce(f64::min))]
        {
            if let Some(number) = extreme {
                seen = seen.fact(name, number);
            }
        }
        seen.fact("snmp", "ok")
            .fact("values", Value::Map(facts))
            .fact("missing", missing)
            .fact("unmatched", unmatched)
            .long(lines.join("\n"))
    }
}

/// Six decimals: scaling by 0.1 must not show as 0.30000000000000004.
fn round(number: f64) -> f64 {
    let rounded = (number * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { number }
}
