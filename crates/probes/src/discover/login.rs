//! What is told only to those who log in: controllers by user and password, agents by community.

use std::sync::Arc;

use stentor_core::catalog::Bmc;
use stentor_core::model::{Observation, Value};

use super::{Controller, Scout, fact, params};
use crate::Target;
use crate::talk::shown;

/// Names of one kind that are listed.
const NAMES_MAX: usize = 32;

/// What a controller told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inside {
    /// `redfish` or `ipmi`.
    pub kind: &'static str,
    pub model: String,
    pub sensors: usize,
    pub supplies: Vec<String>,
    /// `system RAID1 Optl`.
    pub arrays: Vec<String>,
    pub drives: Vec<String>,
    /// Why nothing was told, if so.
    pub refusal: Option<String>,
}

/// An SNMP agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    pub port: u16,
    pub description: String,
    pub name: String,
    pub interfaces: usize,
    /// Interfaces that join others, by their names.
    pub bonds: Vec<String>,
    pub is_ups: bool,
}

fn names(seen: &Observation, list: &str, name: &str) -> Vec<String> {
    let list = seen.facts.get(list).and_then(Value::list).unwrap_or_default();
    let named = list.iter().filter_map(|one| one.get(name).and_then(Value::text));
    named.take(NAMES_MAX).map(shown).collect()
}

impl Scout {
    /// Looks into a controller, where a login was given.
    pub(super) async fn inside(&self, target: &Target, bmc: &Controller) -> Option<Inside> {
        let login = self.wish.bmc_login.as_ref()?;
        let (kind, asked) = match (&bmc.fingerprint, bmc.redfish_port) {
            // The certificate that was shown a moment ago: at least the password goes to no one else.
            (Some(fingerprint), Some(port)) => {
                let port = Value::from(u32::from(port));
                ("redfish", params([("port", port), ("fingerprint", Value::from(fingerprint.as_str()))]))
            }
            _ => ("ipmi", Value::Null),
        };
        let own = Bmc {
            address: Arc::clone(&target.address),
            port: bmc.ipmi_port.unwrap_or_else(|| self.port("ipmi")),
            user: login.user.as_str().into(),
            password_file: login.password_file.as_str().into(),
            suite: None,
        };
        let target = Target { bmc: Some(own), ..target.clone() };
        // A controller takes seconds for all that it has.
        let patient = Scout {
            wish: Arc::new(super::Wish { patience: self.wish.patience * 20, ..(*self.wish).clone() }),
            ..self.clone()
        };
        let Some(seen) = patient.probe(kind, &target, asked).await else {
            return Some(Inside {
                kind,
                refusal: Some("it told nothing under this login".into()),
                ..Inside::default()
            });
        };
        if fact(&seen, "bmc") != "ok" {
            return Some(Inside { kind, refusal: Some(shown(&seen.text)), ..Inside::default() });
        }
        let arrays = seen.facts.get("raid").and_then(Value::list).unwrap_or_default();
        let word = |array: &Value, key: &str| array.get(key).and_then(Value::text).unwrap_or_default().to_owned();
        let array = |array: &Value| shown(&["vd", "level", "state"].map(|key| word(array, key)).join(" "));
        Some(Inside {
            kind,
            model: shown(&fact(&seen, "model")),
            sensors: seen.measurements.len(),
            supplies: names(&seen, "psu", "id"),
            arrays: arrays.iter().take(NAMES_MAX).map(array).collect(),
            drives: names(&seen, "smart", "id"),
            refusal: None,
        })
    }

    /// Asks for what an SNMP agent is, where a community was given.
    pub(super) async fn agent(&self, target: &Target) -> Option<Agent> {
        let file = self.wish.community_file.as_deref()?;
        let port = self.port("snmp");
        let login = || {
            [
                ("port", Value::from(u32::from(port))),
                ("community_file", Value::from(file)),
                ("retries", Value::from(1u32)),
            ]
        };
        let object = |oid: &str, name: &str| params([("oid", Value::from(oid)), ("name", Value::from(name))]);
        let objects: Value = vec![object("sysDescr.0", "description"), object("sysName.0", "name")].into();
        let asked = login().into_iter().chain([("oids", objects)]).collect();
        let seen = self.probe("snmp", target, asked).await.filter(|seen| fact(seen, "snmp") == "ok")?;
        let told = |name: &str| {
            let values = seen.facts.get("values").and_then(Value::map);
            shown(&values.and_then(|values| values.get(name)).map(ToString::to_string).unwrap_or_default())
        };
        let mut agent = Agent { port, description: told("description"), name: told("name"), ..Agent::default() };
        let table = self.probe("snmp_if", target, login().into_iter().collect()).await;
        if let Some(table) = table.filter(|seen| fact(seen, "snmp") == "ok") {
            let names = names(&table, "interface", "name");
            agent.interfaces = names.len();
            agent.bonds = names.into_iter().filter(|name| is_bond(name)).collect();
        }
        let ups = self.probe("snmp_ups", target, login().into_iter().collect()).await;
        agent.is_ups = ups.is_some_and(|seen| {
            fact(&seen, "snmp") == "ok" && !["", "unknown"].contains(&fact(&seen, "source").as_str())
        });
        Some(agent)
    }
}

/// What vendors call interfaces that join others.
fn is_bond(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["bond", "team", "port-channel", "po", "ae", "lag", "trk", "eth-trunk", "bundle-ether"];
    let rest = words.iter().find_map(|word| name.strip_prefix(word));
    rest.is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()))
}
