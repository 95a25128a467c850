//! The configurations that the benchmark of reloads goes through, and what was in force when.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use stentor_core::model::Value;
use stentor_core::schedule::stable_hash;
use stentor_core::{Span, Timestamp};

/// Services of one host.
const PER_HOST: u32 = 25;
/// Services that one change adds, alters or takes away.
const CHANGED: u32 = 10;
/// What a check of the benchmark is called with; it is never executed.
const PROGRAM: &str = "/bin/true";

/// What the next configuration does.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Change {
    Nothing,
    /// New services before and behind all others, so that every number in the catalog moves.
    Add,
    /// Other parameters for services that stay.
    Alter,
    Remove,
    /// A mistake that must be refused.
    Bad,
}

impl Change {
    pub const fn of_turn(number: u32) -> Change {
        match number % 5 {
            0 => Change::Add,
            1 => Change::Nothing,
            2 => Change::Alter,
            3 => Change::Bad,
            _ => Change::Remove,
        }
    }
}

/// A service that came later, and perhaps went.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Visitor {
    pub id: u32,
    /// In force at the latest.
    pub from: Option<Timestamp>,
    /// Not in force any more at the latest.
    pub until: Option<Timestamp>,
    leaves: bool,
}

/// What is configured now.
pub struct Plan {
    steady: u32,
    pub every: Span,
    pub visitors: Vec<Visitor>,
    /// Parameters of those below have been altered this often.
    altered: u32,
    is_bad: bool,
}

impl Plan {
    pub fn new(steady: u32, every: Span) -> Plan {
        Plan { steady, every, visitors: Vec::new(), altered: 0, is_bad: false }
    }

    pub fn steady_count(&self) -> usize {
        self.steady as usize
    }

    /// Where in its interval a check is due.
    pub fn phase(&self, id: u32) -> Span {
        let (host, name) = names(id);
        let every = self.every.as_millis().unsigned_abs();
        Span::from_millis((stable_hash(&host, Some(&name)) % every).cast_signed())
    }

    pub fn change(&mut self, change: Change) {
        self.is_bad = change == Change::Bad;
        match change {
            Change::Nothing | Change::Bad => {}
            Change::Alter => self.altered += 1,
            Change::Add => {
                let first = self.steady + self.visitors.len() as u32;
                let visitor = |id| Visitor { id, from: None, until: None, leaves: false };
                self.visitors.extend((first..first + CHANGED).map(visitor));
            }
            Change::Remove => {
                let stays = self.visitors.iter_mut().filter(|visitor| !visitor.leaves);
                stays.take(CHANGED as usize).for_each(|visitor| visitor.leaves = true);
            }
        }
    }

    /// The configuration written last rules since `at` at the latest, unless it was bad.
    pub fn in_force(&mut self, at: Timestamp) {
        for visitor in &mut self.visitors {
            visitor.from.get_or_insert(at);
            if visitor.leaves {
                visitor.until.get_or_insert(at);
            }
        }
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self) -> String {
        let mut text = String::from("[server]\nlisten = \"127.0.0.1:0\"\n[[zone]]\nname = \"here\"\n");
        let present = self.visitors.iter().filter(|visitor| !visitor.leaves).map(|visitor| visitor.id);
        let (before, behind): (Vec<u32>, Vec<u32>) = present.partition(|id| id % 2 == 0);
        let ids: Vec<u32> = before.into_iter().chain(0..self.steady).chain(behind).collect();
        let mut known = BTreeSet::new();
        for host in ids.iter().map(|id| names(*id).0) {
            if !known.insert(host.clone()) {
                continue;
            }
            text.push_str(&format!(
                "[[host]]\nname = \"{host}\"\naddress = \"127.0.0.1\"\nzone = \"here\"\ncheck = \"none\"\n"
            ));
        }
        for id in ids {
            let (host, name) = names(id);
            let times = if id < CHANGED { self.altered } else { 0 };
            text.push_str(&format!(
                "[[service]]\nhost = \"{host}\"\nname = \"{name}\"\nprobe = \"exec\"\nevery = \"{}ms\"\n\
                 params = {{ command = [\"{PROGRAM}\", \"{id}\", \"{times}\"] }}\n",
                self.every.as_millis()
            ));
        }
        if self.is_bad {
            text.push_str("[[service]]\nhost = \"nobody\"\nname = \"lost\"\nprobe = \"exec\"\n");
        }
        text
    }
}

/// Host and service of a number.
pub fn names(id: u32) -> (String, String) {
    (format!("host-{:05}", id / PER_HOST), format!("service {id}"))
}

/// The number that a check's parameters carry.
pub fn id_of(params: &Value) -> Option<u32> {
    let Value::List(words) = params.get("command")? else { return None };
    words.get(1)?.text()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_configuration_is_what_its_change_says() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("stentor.toml");
        let mut plan = Plan::new(60, Span::from_secs(10));
        let mut counts = Vec::new();
        for change in [Change::Nothing, Change::Add, Change::Add, Change::Alter, Change::Bad, Change::Remove] {
            plan.change(change);
            plan.write(&path).expect("written");
            let loaded = crate::config::load(&path);
            assert_eq!(loaded.is_err(), change == Change::Bad, "{change:?}: {:?}", loaded.err().map(|e| e.to_string()));
            let Ok(loaded) = loaded else { continue };
            assert!(loaded.catalog.checks.iter().any(|check| id_of(&check.params) == Some(59)), "{change:?}");
            counts.push(loaded.catalog.services.len());
        }
        assert_eq!(counts, [60, 70, 80, 80, 70]);
    }
}
