//! The probe `snmp`: objects named one by one, as numbers, texts or rates, and columns of tables, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::counter::{Counter, has_restarted, rate};
use stentor_wire::snmp::{Oid, SnmpValue, VarBind};
use tokio::time::Instant;

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, Kept, SnmpError, SnmpPoller, With, unanswered, up_time};

/// More objects than these in one check belong in several.
const OBJECTS_MAX: usize = 100;
/// Columns of tables in one check, and rows of one of them.
const TABLES_MAX: usize = 20;
const ROWS_MAX: usize = 1_000;
/// Values shown in the one-line text.
const SHOWN_MAX: usize = 6;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    #[serde(default)]
    oids: Vec<ObjectConfig>,
    #[serde(default)]
    tables: Vec<TableConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableConfig {
    /// The column.
    oid: String,
    name: Option<String>,
    /// Another column of the same table, in which the rows have their names.
    label: Option<String>,
    /// Regular expression over the names: rows that count.
    only: Option<String>,
    #[serde(default)]
    unit: String,
    scale: Option<f64>,
    expect: Option<String>,
    /// Fewer rows that count than this, 1 unless set, and something is missing.
    rows_min: Option<usize>,
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

#[derive(Clone)]
struct Object {
    oid: Oid,
    name: String,
    unit: String,
    scale: f64,
    expect: Option<Regex>,
    rate: bool,
}

/// A column, each row of which is an object.
struct Column {
    root: Oid,
    label: Option<Oid>,
    only: Option<Regex>,
    rows_min: usize,
    /// What its rows have in common.
    like: Object,
}

/// Reads objects of an agent.
pub struct Snmp {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
    objects: Vec<Object>,
    columns: Vec<Column>,
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
        let (oids, tables) = (config.own.oids, config.own.tables);
        if oids.len() + tables.len() == 0 || oids.len() > OBJECTS_MAX || tables.len() > TABLES_MAX {
            let wanted = format!(
                "`oids` or `tables` name at least one object, {OBJECTS_MAX} objects and {TABLES_MAX} columns at most"
            );
            return Err(refuse(wanted));
        }
        let objects = oids.into_iter().map(object).collect::<Result<Vec<_>, String>>().map_err(refuse)?;
        let columns = tables.into_iter().map(column).collect::<Result<Vec<_>, String>>().map_err(refuse)?;
        let mut names = BTreeSet::new();
        for object in objects.iter().chain(columns.iter().map(|column| &column.like)) {
            if !names.insert(object.name.as_str()) {
                return Err(refuse(format!("two objects are called `{}`; give each its own `name`", object.name)));
            }
        }
        let (net, poller) = (env.net.clone(), env.net.snmp());
        Ok(Snmp { net, poller, access: config.access, objects, columns, kept: Kept::default() })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        let is_rated = self.objects.iter().any(|object| object.rate);
        let wanted: Vec<Oid> =
            self.objects.iter().map(|object| object.oid.clone()).chain(is_rated.then(up_time)).collect();
        let (found, rows) = match self.read(&agent, &wanted, deadline).await {
            Ok(read) => read,
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
        let told = self.objects.iter().zip(values).zip(rates).map(|((object, value), rate)| (object, value, rate));
        let told: Vec<_> = told.chain(rows.cells.iter().map(|(object, value)| (object, value, None))).collect();
        Ok(observe(&told, rows.missing))
    }
}

/// Rows of the columns, each an object; and columns that have too few.
#[derive(Default)]
struct Rows {
    cells: Vec<(Object, SnmpValue)>,
    missing: Vec<String>,
}

impl Rows {
    /// Takes the rows of a column that count, named by their label, or by their index.
    fn add(&mut self, column: &Column, found: &[VarBind]) {
        let label_of = |index: &[u32]| {
            let wanted = column.label.as_ref()?.join(index);
            found.iter().find(|bind| bind.oid == wanted)?.value.text().filter(|text| !text.is_empty())
        };
        let before = self.cells.len();
        for bind in found.iter().filter(|bind| bind.value != SnmpValue::Missing) {
            let Some(index) = bind.oid.below(&column.root) else { continue };
            let number = index.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            let label = label_of(index).unwrap_or_else(|| number.clone());
            if column.only.as_ref().is_some_and(|only| !only.is_match(&label)) {
                continue;
            }
            let like = &column.like;
            let mut name = format!("{} {label}", like.name);
            if self.cells.iter().any(|(known, _)| known.name == name) {
                name.push_str(&format!(" ({number})"));
            }
            let object = Object { oid: bind.oid.clone(), name, ..like.clone() };
            self.cells.push((object, bind.value.clone()));
        }
        if self.cells.len() - before < column.rows_min {
            self.missing.push(column.like.name.clone());
        }
    }
}

fn regex(text: Option<&str>, what: &str, oid: &str) -> Result<Option<Regex>, String> {
    text.map(Regex::new).transpose().map_err(|error| format!("{what} of `{oid}`: {error}"))
}

fn object(given: ObjectConfig) -> Result<Object, String> {
    let oid: Oid = given.oid.parse().map_err(|error| format!("{error}"))?;
    let expect = regex(given.expect.as_deref(), "expect", &given.oid)?;
    let scale = given.scale.unwrap_or(1.0);
    if !scale.is_finite() || scale == 0.0 {
        return Err(format!("scale of `{}` is not a number that scales", given.oid));
    }
    let name = given.name.filter(|name| !name.is_empty()).unwrap_or(given.oid);
    Ok(Object { oid, name, unit: given.unit, scale, expect, rate: given.rate })
}

fn column(given: TableConfig) -> Result<Column, String> {
    let label = given.label.as_deref().map(str::parse).transpose().map_err(|error| format!("{error}"))?;
    let only = regex(given.only.as_deref(), "only", &given.oid)?;
    let rows_min = given.rows_min.unwrap_or(1);
    let TableConfig { oid, name, unit, scale, expect, .. } = given;
    let like = object(ObjectConfig { oid, name, unit, scale, expect, rate: false })?;
    Ok(Column { root: like.oid.clone(), label, only, rows_min, like })
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
    async fn read(&self, agent: &Agent, wanted: &[Oid], deadline: Deadline) -> Result<(Vec<VarBind>, Rows), SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let found = ask.get(wanted, "its objects").await?;
        let mut rows = Rows::default();
        for column in &self.columns {
            let roots: Vec<Oid> = [Some(&column.root), column.label.as_ref()].into_iter().flatten().cloned().collect();
            rows.add(column, &ask.columns(&roots, ROWS_MAX, "its tables").await?);
        }
        Ok((found, rows))
    }
}

fn observe(told: &[(&Object, &SnmpValue, Option<f64>)], mut missing: Vec<String>) -> Observation {
    let (mut facts, mut unmatched) = (BTreeMap::new(), Vec::new());
    let (mut shown, mut lines, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = Observation::observed("");
    for (object, value, rate) in told {
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
                if seen.measurements.len() < MEASUREMENTS_MAX {
                    seen = seen.measure(&object.name, number, unit);
                }
            }
            None if object.rate => {}
            None => _ = facts.insert(object.name.clone(), Value::from(text)),
        }
    }
    let first = told.first().and_then(|(object, ..)| facts.get(&object.name)).cloned();
    let trouble = [("does not match", &unmatched), ("is missing", &missing)];
    let trouble = trouble.into_iter().flat_map(|(what, names)| names.iter().map(move |name| format!("{name} {what}")));
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

/// Six decimals: scaling by 0.1 must not show as 0.30000000000000004.
fn round(number: f64) -> f64 {
    let rounded = (number * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { number }
}
