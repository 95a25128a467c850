//! The probe `snmp_switch`: what a switch says of its aggregates, its stack, its supplies and fans, and of who hangs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::entity::{self, Class, Health, Sensors};
use stentor_wire::snmp::interfaces::{Column, Interface, Table};
use stentor_wire::snmp::lag::{self, LacpState, Lag, Port};
use stentor_wire::snmp::neighbours::{self, Learned, Names, Neighbour};
use stentor_wire::snmp::stack::{self, Member, Stack};
use stentor_wire::snmp::{Oid, VarBind, environment};

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, SnmpError, SnmpPoller, With, supply, unanswered};

/// Rows of one table: parts of a large chassis, ports of a large stack.
const ROWS_MAX: usize = 10_000;
/// Addresses that a switch may have learned, where they are asked for.
const LEARNED_MAX: usize = 50_000;
/// Entries of a list that a result carries.
const LISTED_MAX: usize = 2_000;
/// Members of a stack: none is larger than 16.
const MEMBERS_MAX: u32 = 64;
/// Names in the one-line text.
const SHOWN_MAX: usize = 8;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// How many members the stack should have: one that loses its power takes its row with it.
    members: u32,
    /// How many ports each aggregate should have: ports of a member that is gone are gone from the table. Where some are
    /// named the others are described, and not judged: that of a host goes down with the host.
    lags: BTreeMap<String, u32>,
    /// Which host's management controller hangs on a port.
    bmc_ports: BTreeMap<String, String>,
    /// Read the addresses learned by port.
    mac_table: bool,
}

/// Reads a switch.
pub struct SnmpSwitch {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
    own: Own,
}

/// One pass over a switch.
struct Read {
    interfaces: Vec<Interface>,
    lags: Vec<Lag>,
    stack: Stack,
    units: Vec<environment::Unit>,
    sensors: Sensors,
    neighbours: Vec<Neighbour>,
    learned: Vec<Learned>,
}

impl Probe for SnmpSwitch {
    const KIND: &'static str = "snmp_switch";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp_switch.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        if config.own.members > MEMBERS_MAX {
            return Err(BuildError { message: format!("probe `snmp_switch`: `members` is at most {MEMBERS_MAX}") });
        }
        Ok(SnmpSwitch { net: env.net.clone(), poller: env.net.snmp(), access: config.access, own: config.own })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        match self.read(&agent, deadline).await {
            Ok(read) => Ok(self.observe(&agent, &read)),
            Err(error) => unanswered(&agent, error),
        }
    }
}

impl SnmpSwitch {
    async fn read(&self, agent: &Agent, deadline: Deadline) -> Result<Read, SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let mut found = ask.get(&stack::scalars(), "its stack").await?;
        let ports = [Column::Name, Column::Descr, Column::AdminStatus, Column::OperStatus].map(Column::root);
        let columns: Vec<Oid> = [
            ports.to_vec(),
            lag::columns(),
            neighbours::columns(),
            stack::columns(),
            entity::columns(),
            entity::sensor_columns(),
            environment::columns(),
        ]
        .concat();
        found.extend(ask.columns(&columns, ROWS_MAX, "its tables").await?);
        let names_wanted = entity::names_wanted(&found);
        found.extend(ask.get(&names_wanted, "the names of its parts").await?);
        let addresses = match self.own.mac_table {
            true => ask.columns(&neighbours::address_columns(), LEARNED_MAX, "its addresses").await?,
            false => Vec::new(),
        };
        Ok(self.understand(found, &addresses))
    }

    fn understand(&self, found: Vec<VarBind>, addresses: &[VarBind]) -> Read {
        let mut table = Table::default();
        table.extend(found.clone());
        let interfaces = table.interfaces();
        let names: Names = interfaces.iter().map(|one| (one.index, one.name.clone())).collect();
        let parts = entity::read(&found).into_iter().filter(entity::Part::matters);
        let parts = parts
            .filter_map(|part| Some(environment::Unit { name: part.name, class: part.class, health: part.health? }));
        // Two MIBs may speak of one part; whoever sees trouble is believed.
        let mut units: BTreeMap<String, environment::Unit> = BTreeMap::new();
        for unit in parts.chain(environment::read(&found, &entity::names(&found))) {
            let known = units.entry(unit.name.clone()).or_insert_with(|| unit.clone());
            known.health = known.health.max(unit.health);
        }
        let learned = neighbours::learned(&[addresses, &found].concat(), &names);
        Read {
            lags: lag::read(&found),
            stack: stack::read(&found, self.own.members),
            sensors: entity::sensors(&found),
            neighbours: neighbours::read(&found, &names),
            learned,
            units: units.into_values().collect(),
            interfaces,
        }
    }

    fn observe(&self, agent: &Agent, read: &Read) -> Observation {
        if read.is_nothing() {
            let text = format!("SNMP agent {} answers, but has none of the tables of a switch", agent.addr);
            return Observation::observed(text).fact("snmp", "ok").fact("switch_found", false);
        }
        let names: Names = read.interfaces.iter().map(|one| (one.index, one.name.clone())).collect();
        let lags = self.aggregates(read, &names);
        let judged: Vec<&Aggregate> = lags.iter().filter(|lag| self.is_judged(&lag.name)).collect();
        let mut seen = Observation::observed("").fact("snmp", "ok").fact("switch_found", true);
        let mut trouble = Vec::new();
        let lists = [
            ("aggregate down", "lags_down", named(&judged, |lag| lag.active == 0)),
            ("aggregate degraded", "lags_degraded", named(&judged, |lag| lag.active > 0 && lag.active < lag.wanted)),
            ("several partners", "lags_mixed", named(&judged, |lag| lag.is_mixed)),
            ("no partner", "lags_no_partner", named(&judged, |lag| lag.has_no_partner)),
            ("churning", "churned", read.churned(&names)),
            ("stack member not ready", "stack_down", read.members_down()),
            ("stack port down", "stack_ports_down", read.stack_ports_down(&names)),
            ("failed", "failed", read.units_of(|unit| unit.health == Health::Failed)),
            ("warning", "warning", read.units_of(|unit| unit.health == Health::Warning)),
        ];
        for (what, fact, list) in lists {
            if !list.is_empty() {
                trouble
                    .push(format!("{what}: {}", list.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ")));
            }
            seen = seen.fact(fact, list);
        }
        if let Some(ring) = read.ring() {
            if ring == "broken" {
                trouble.push("stack ring broken".to_owned());
            }
            seen = seen.fact("ring", ring);
        }
        let down = self.bmc_ports_down(read);
        let switch: Value = [("state", Value::from("up")), ("bmc_ports_down", down.into())].into_iter().collect();
        seen = seen
            .fact("switch", switch)
            .fact("lags", lags.iter().map(Aggregate::value).collect::<Vec<_>>())
            .fact("stack", read.stack.members.iter().map(member).collect::<Vec<_>>())
            .fact("one_member", named(&judged, |lag| read.stack.members.len() > 1 && lag.is_on_one_member()))
            .fact("neighbours", read.neighbours.iter().take(LISTED_MAX).map(neighbour).collect::<Vec<_>>())
            .fact("sensors_broken", read.sensors.broken.clone());
        if self.own.mac_table {
            seen = seen.fact("macs", read.learned.iter().take(LISTED_MAX).map(learned).collect::<Vec<_>>());
        }
        seen = read.counted(seen);
        let text = [vec![read.summary(&lags)], trouble].concat().join("; ");
        seen.text = text.into();
        seen.long(lags.iter().map(Aggregate::line).collect::<Vec<_>>().join("\n"))
    }

    /// Every aggregate by name, with those that should be there and are not.
    fn aggregates(&self, read: &Read, names: &Names) -> Vec<Aggregate> {
        let mut all: Vec<Aggregate> = read.lags.iter().map(|lag| Aggregate::of(lag, names)).collect();
        for (name, ports) in &self.own.lags {
            match all.iter_mut().find(|one| one.name.eq_ignore_ascii_case(name)) {
                Some(one) => one.wanted = *ports as usize,
                None => all.push(Aggregate { name: name.clone(), wanted: *ports as usize, ..Aggregate::default() }),
            }
        }
        all
    }

    fn is_judged(&self, lag: &str) -> bool {
        self.own.lags.is_empty() || self.own.lags.keys().any(|name| name.eq_ignore_ascii_case(lag))
    }

    /// Hosts whose management controller's port is without a link.
    fn bmc_ports_down(&self, read: &Read) -> Vec<String> {
        let is_down = |port: &str| {
            let is = |one: &&Interface| one.name.eq_ignore_ascii_case(port) || one.descr.eq_ignore_ascii_case(port);
            read.interfaces.iter().find(is).is_none_or(|one| !one.is_up())
        };
        self.own.bmc_ports.iter().filter(|(port, _)| is_down(port)).map(|(_, host)| host.clone()).collect()
    }
}

fn named(lags: &[&Aggregate], is: impl Fn(&Aggregate) -> bool) -> Vec<String> {
    lags.iter().filter(|lag| is(lag)).map(|lag| lag.name.clone()).collect()
}

impl Read {
    fn is_nothing(&self) -> bool {
        self.interfaces.is_empty() && self.lags.is_empty() && self.stack.members.is_empty() && self.units.is_empty()
    }

    /// A lone switch has no ring that could be broken.
    fn ring(&self) -> Option<&'static str> {
        let redundant = self.stack.ring_redundant.filter(|_| self.stack.members.len() > 1)?;
        Some(if redundant { "redundant" } else { "broken" })
    }

    fn members_down(&self) -> Vec<String> {
        let down = self.stack.members.iter().filter(|member| !member.is_ready());
        down.map(|member| format!("{} {}", member.number, member.state_word())).collect()
    }

    fn stack_ports_down(&self, names: &Names) -> Vec<String> {
        self.stack.ports_down.iter().map(|index| name_of(*index, names)).collect()
    }

    fn churned(&self, names: &Names) -> Vec<String> {
        let ports = self.lags.iter().flat_map(|lag| &lag.ports).filter(|port| port.is_churned);
        ports.map(|port| name_of(port.index, names)).collect()
    }

    fn units_of(&self, is: impl Fn(&environment::Unit) -> bool) -> Vec<String> {
        self.units.iter().filter(|unit| is(unit)).map(|unit| unit.name.clone()).collect()
    }

    /// Supplies and fans counted, temperatures, and every sensor as a measurement.
    fn counted(&self, mut seen: Observation) -> Observation {
        for (class, all, well) in [(Class::PowerSupply, "psus", "psus_ok"), (Class::Fan, "fans", "fans_ok")] {
            let of = |is: fn(Health) -> bool| self.units_of(|unit| unit.class == class && is(unit.health)).len();
            seen = seen.fact(all, of(|health| health != Health::Absent)).fact(well, of(|health| health == Health::Ok));
        }
        let supplies = self.units.iter().filter(|unit| unit.class == Class::PowerSupply);
        let supplies = supplies.filter_map(|unit| supply(&unit.name, unit.health)).collect::<Vec<_>>();
        seen = seen.fact("psu", supplies);
        let hottest = self.sensors.working.iter().filter(|one| one.unit == "°C").map(|one| one.value);
        if let Some(hottest) = hottest.reduce(f64::max) {
            seen = seen.fact("temperature_max_c", hottest);
        }
        for sensor in self.sensors.working.iter().take(MEASUREMENTS_MAX) {
            seen = seen.measure(&sensor.name, sensor.value, sensor.unit);
        }
        seen
    }

    fn summary(&self, lags: &[Aggregate]) -> String {
        let mut parts = Vec::new();
        let counted = |count: usize, of: usize, what: &str| format!("{count} of {of} {what}");
        if !self.stack.members.is_empty() {
            let ready = self.stack.members.iter().filter(|member| member.is_ready()).count();
            parts.push(counted(ready, self.stack.members.len(), "stack members ready"));
        }
        if !lags.is_empty() {
            let whole = lags.iter().filter(|lag| lag.active > 0 && lag.active >= lag.wanted).count();
            parts.push(counted(whole, lags.len(), "aggregates whole"));
        }
        if !self.interfaces.is_empty() {
            let up = self.interfaces.iter().filter(|one| one.is_up()).count();
            parts.push(counted(up, self.interfaces.len(), "ports up"));
        }
        if parts.is_empty() { format!("{} supplies and fans", self.units.len()) } else { parts.join(", ") }
    }
}

fn name_of(index: u32, names: &Names) -> String {
    names.get(&index).cloned().unwrap_or_else(|| format!("if{index}"))
}

/// An aggregate as it is told.
#[derive(Default)]
struct Aggregate {
    name: String,
    active: usize,
    /// Ports that should carry.
    wanted: usize,
    is_mixed: bool,
    has_no_partner: bool,
    partner: Option<String>,
    partner_key: Option<i64>,
    /// Name, and what is wrong with it.
    ports: Vec<(String, Option<&'static str>)>,
    values: Vec<Value>,
}

impl Aggregate {
    fn of(lag: &Lag, names: &Names) -> Aggregate {
        let key = lag.ports.iter().find_map(|port| port.key).unwrap_or_default();
        let first = lag.ports.iter().find(|port| port.partner.is_some());
        Aggregate {
            name: lag.aggregator.map_or_else(|| format!("key {key}"), |index| name_of(index, names)),
            active: lag.active(),
            wanted: lag.ports.len(),
            is_mixed: lag.is_mixed(),
            has_no_partner: lag.has_no_partner(),
            partner: first.and_then(|port| port.partner.clone()),
            partner_key: first.and_then(|port| port.partner_key),
            ports: lag.ports.iter().map(|port| (name_of(port.index, names), port.trouble())).collect(),
            values: lag.ports.iter().map(|port| port_value(port, names)).collect(),
        }
    }

    /// More than one port, and all of them on one member of the stack: `Gi1/0/3` is on member 1.
    fn is_on_one_member(&self) -> bool {
        let number = |name: &str| {
            let digits = name.split_once('/')?.0.trim_start_matches(|c: char| !c.is_ascii_digit());
            digits.parse::<u32>().ok()
        };
        let members: BTreeSet<Option<u32>> = self.ports.iter().map(|(name, _)| number(name)).collect();
        self.ports.len() > 1 && members.len() == 1 && !members.contains(&None)
    }

    fn value(&self) -> Value {
        let mut pairs: Vec<(&str, Value)> = vec![
            ("name", self.name.as_str().into()),
            ("active", self.active.into()),
            ("wanted", self.wanted.into()),
            ("ports", Value::List(self.values.clone())),
        ];
        pairs.extend(self.partner.as_deref().map(|partner| ("partner", partner.into())));
        pairs.extend(self.partner_key.map(|key| ("partner_key", key.into())));
        pairs.into_iter().collect()
    }

    fn line(&self) -> String {
        let port = |(name, trouble): &(String, Option<&str>)| format!("{name} {}", trouble.unwrap_or("carries"));
        let ports: Vec<String> = self.ports.iter().map(port).collect();
        let partner = self.partner.as_deref().unwrap_or("nobody");
        format!("{}: {} of {} ports to {partner}: {}", self.name, self.active, self.wanted, ports.join(", "))
    }
}

fn port_value(port: &Port, names: &Names) -> Value {
    let words = |state: LacpState| Value::from(state.words());
    let mut pairs: Vec<(&str, Value)> = vec![("port", name_of(port.index, names).into())];
    pairs.extend(port.trouble().map(|trouble| ("trouble", trouble.into())));
    pairs.extend(port.partner_port.map(|number| ("partner_port", number.into())));
    pairs.extend(port.actor.map(|state| ("actor", words(state))));
    pairs.extend(port.partner_state.map(|state| ("partner", words(state))));
    pairs.into_iter().collect()
}

/// The shape of the signal `stack`, with words for people.
fn member(member: &Member) -> Value {
    let pairs: [(&str, Value); 4] = [
        ("member", member.number.to_string().into()),
        ("cswSwitchState", member.state.into()),
        ("state", member.state_word().into()),
        ("role", member.role.into()),
    ];
    pairs.into_iter().collect()
}

fn neighbour(one: &Neighbour) -> Value {
    [("port", &one.port), ("system", &one.system), ("remote_port", &one.remote_port)]
        .into_iter()
        .map(|(key, text)| (key, text.as_str()))
        .collect()
}

fn learned(one: &Learned) -> Value {
    [("port", one.port.as_str()), ("mac", one.mac.as_str())].into_iter().collect()
}
