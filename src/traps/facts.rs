//! What a trap says, as facts that rules read and texts show.

use std::collections::BTreeMap;
use std::net::IpAddr;

use stentor_core::model::{Observation, ServiceState, Value};
use stentor_core::rules::judge;
use stentor_wire::ipmi::event::Severity;
use stentor_wire::ipmi::pet::{self, Pet};
use stentor_wire::snmp::trap::{Trap, object_name};
use stentor_wire::snmp::{Oid, SnmpValue, VarBind};

use crate::config::traps::TrapRule;

/// Letters of one value in a text.
const SHOWN_CHARS_MAX: usize = 200;
/// Letters of a whole text.
const TEXT_CHARS_MAX: usize = 500;

/// The facts of one trap, before a rule adds names of its own.
#[derive(Clone, Debug)]
pub struct Facts {
    all: BTreeMap<String, Value>,
}

impl Facts {
    pub fn of(trap: &Trap, from: IpAddr) -> Facts {
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        for bind in &trap.binds {
            let Some((name, instance)) = object_name(&bind.oid) else { continue };
            put(&mut all, name, instance, &bind.value);
        }
        if let Some(event) = platform_event(trap) {
            all.insert("pet".to_owned(), event);
        }
        all.insert("trap".to_owned(), trap.name().into());
        all.insert("oid".to_owned(), trap.oid.to_string().into());
        all.insert("version".to_owned(), u32::from(trap.version).into());
        all.insert("from".to_owned(), from.to_string().into());
        Facts { all }
    }

    /// What `rule` sees of the trap; `None` if it is not for it.
    pub fn seen_by(&self, rule: &TrapRule, trap: &Trap, host: &str) -> Option<Facts> {
        let is_host =
            rule.hosts.is_empty() || rule.hosts.iter().any(|glob| stentor_core::policy::glob_matches(glob, host));
        if !is_host || !rule.wanted.iter().any(|wanted| wanted.takes(&trap.oid)) {
            return None;
        }
        let mut all = self.all.clone();
        for (name, root) in &rule.vars {
            let found = trap.binds.iter().find_map(|bind| Some((bind, bind.oid.below(root)?)));
            if let Some((VarBind { value, .. }, instance)) = found {
                put(&mut all, name, instance, value);
            }
        }
        let seen = Facts { all };
        let Some(when) = &rule.when else { return Some(seen) };
        let judged = judge(std::slice::from_ref(when), &Value::Null, &seen.observation(""));
        (judged.state == ServiceState::Critical).then_some(seen)
    }

    /// To be judged by the rules of a service.
    pub fn observation(&self, text: &str) -> Observation {
        let mut observation = Observation::observed(text);
        observation.facts = self.all.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        observation
    }

    /// The text with each `{name}` as the trap has it, `?` where it has none: one harmless line.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, more)) = after.split_once('}') else {
                out.push('{');
                rest = after;
                continue;
            };
            match self.find(name) {
                Some(value) => out.extend(value.to_string().chars().take(SHOWN_CHARS_MAX)),
                None => out.push('?'),
            }
            rest = more;
        }
        out.push_str(rest);
        out.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect()
    }

    fn find(&self, path: &str) -> Option<&Value> {
        let mut steps = path.split('.');
        let first = self.all.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    }
}

/// An object by its name; the instance of the first one that has any says of which port or part the trap speaks.
fn put(all: &mut BTreeMap<String, Value>, name: &str, instance: &[u32], value: &SnmpValue) {
    if !matches!(instance, [] | [0]) {
        let shown = instance.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        all.entry("instance".to_owned()).or_insert_with(|| shown.into());
    }
    let value = match value {
        SnmpValue::Bytes(_) | SnmpValue::Oid(_) | SnmpValue::Ip(_) => value.text().map(Value::from),
        number => number.number().map(Value::from),
    };
    if let Some(value) = value {
        all.insert(name.to_owned(), value);
    }
}

fn platform_event(trap: &Trap) -> Option<Value> {
    trap.oid.below(&Oid::new(pet::ENTERPRISE))?;
    let specific = *trap.oid.arcs().last()?;
    let is_event = |bind: &&VarBind| bind.oid.below(&Oid::new(pet::ENTERPRISE)).is_some();
    let SnmpValue::Bytes(bytes) = &trap.binds.iter().find(is_event)?.value else { return None };
    let event = Pet::decode(specific, bytes).ok()?;
    let weight = match event.weight() {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Major => "major",
        Severity::Critical => "critical",
    };
    let mut facts: BTreeMap<String, Value> = BTreeMap::new();
    let mut put = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    put("text", event.text().into());
    put("key", event.key().into());
    put("weight", weight.into());
    put("asserted", event.is_asserted.into());
    put("sensor_type", u32::from(event.sensor_type).into());
    put("event_type", u32::from(event.event_type).into());
    put("manufacturer", event.manufacturer.into());
    for (name, number) in [("sensor", event.sensor), ("offset", event.offset)] {
        if let Some(number) = number {
            put(name, u32::from(number).into());
        }
    }
    if let Some(severity) = event.severity {
        put("severity", severity.word().into());
    }
    Some(Value::Map(facts))
}

#[cfg(test)]
mod tests;
