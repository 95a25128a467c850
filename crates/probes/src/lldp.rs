//! `lldp`: which switch each interface of a host is cabled to, and whether a bond hangs on one switch only.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::hostnet::lldp::{Neighbor, parse};

use super::bonding::parse_bonding;
use super::look::{Lane, look};
use super::nic::checked_name;
use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Switch, or switch and port, of interfaces: `{ eth0 = "sw1", eth1 = "sw2/Gi1/0/7" }`.
    pub expect: BTreeMap<String, String>,
    /// Interfaces that are redundant to each other, beside those of bonds: `[["eth0", "eth1"]]`.
    pub groups: Vec<Vec<String>>,
    /// Switches that are one device by two names, as the members of a stack or an MLAG pair are two: a chassis id or name
    /// that is no single point of failure.
    pub redundant_switches: Vec<String>,
    /// Replaces `lldpcli`.
    pub command: Vec<String>,
}

pub struct Lldp {
    view: Arc<dyn HostView>,
    tool: Tool,
    config: Config,
}

impl Probe for Lldp {
    const KIND: &'static str = "lldp";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/lldp.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.expect.keys().chain(config.groups.iter().flatten()).try_for_each(|name| checked_name(name))?;
        let tool = Tool::new(&["lldpcli"], &config.command)?;
        Ok(Lldp { view: Arc::clone(&env.view), tool, config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let run = self.tool.run(&self.view, &["-f", "json", "show", "neighbors"], deadline).await?;
        let run = run.ok_or_else(|| missing(&self.tool, "package lldpd"))?;
        if run.code != Some(0) {
            return Err(refusal(&self.tool, &run, "it does not tell the neighbours"));
        }
        let heard = parse(&run.stdout).map_err(|error| refusal(&self.tool, &run, &error.to_string()))?;
        let bonds = look(&self.view, Lane::Kernel, deadline, bonds).await?;
        Ok(self.observe(&heard, bonds))
    }
}

/// Slaves of each bond.
fn bonds(view: &dyn HostView) -> io::Result<BTreeMap<String, Vec<String>>> {
    const FOLDER: &str = "/proc/net/bonding";
    let names = match view.list(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        names => names?,
    };
    let read = |name: String| {
        let bond = parse_bonding(&view.read(&format!("{FOLDER}/{name}"))?);
        Ok((name, bond.slaves.into_iter().map(|slave| slave.name).collect()))
    };
    names.into_iter().map(read).collect()
}

impl Lldp {
    fn observe(&self, heard: &[Neighbor], bonds: BTreeMap<String, Vec<String>>) -> Observation {
        // Beside its switch an interface may hear guests and phones: the bridge among them is the switch.
        let mut of: BTreeMap<&str, &Neighbor> = BTreeMap::new();
        for neighbor in heard {
            let known = of.entry(neighbor.interface.as_str()).or_insert(neighbor);
            if neighbor.is_switch && !known.is_switch {
                *known = neighbor;
            }
        }
        let groups = bonds.into_iter().chain(self.config.groups.iter().map(|group| (group.join("+"), group.clone())));
        let (mut same, mut unknown) = (Vec::new(), Vec::new());
        for (name, members) in groups.filter(|(_, members)| members.len() > 1) {
            let switches: Option<BTreeSet<&str>> =
                members.iter().map(|member| of.get(member.as_str()).map(|n| n.chassis.as_str())).collect();
            match switches {
                None => unknown.push(name),
                Some(switches) if switches.len() == 1 && !self.is_redundant(&members, &of) => same.push(name),
                Some(_) => {}
            }
        }
        let wrong: Vec<String> = self
            .config
            .expect
            .iter()
            .filter(|(interface, place)| !of.get(interface.as_str()).is_some_and(|n| is_at(n, place)))
            .map(|(interface, _)| interface.clone())
            .collect();
        let places: Vec<String> = of.values().map(|n| format!("{} at {} {}", n.interface, n.switch, n.port)).collect();
        let mut text = if places.is_empty() { "no switch is heard".to_owned() } else { places.join(", ") };
        for name in &same {
            text.push_str(&format!("; all of {name} hangs on one switch"));
        }
        for interface in &wrong {
            let wanted = self.config.expect.get(interface).map_or("", String::as_str);
            text.push_str(&format!("; {interface} is not at {wanted}"));
        }
        let place = |n: &Neighbor| -> Value {
            let words = [("switch", &n.switch), ("chassis", &n.chassis), ("port", &n.port)];
            words.into_iter().map(|(key, word)| (key, Value::from(word.as_str()))).collect()
        };
        let lldp: Value = of.iter().map(|(interface, n)| (*interface, place(n))).collect();
        Observation::observed(text)
            .fact("lldp", lldp)
            .fact("neighbors", of.len())
            .fact("same_switch", same)
            .fact("unheard", unknown)
            .fact("wrong", wrong)
            .measure("neighbors", of.len() as f64, "")
    }

    fn is_redundant(&self, members: &[String], of: &BTreeMap<&str, &Neighbor>) -> bool {
        let listed =
            |n: &&Neighbor| self.config.redundant_switches.iter().any(|name| *name == n.switch || *name == n.chassis);
        members.first().and_then(|member| of.get(member.as_str())).is_some_and(listed)
    }
}

/// `sw1` or `sw1/PORT`; names of ports have slashes of their own.
fn is_at(neighbor: &Neighbor, place: &str) -> bool {
    [&neighbor.switch, &neighbor.chassis].into_iter().any(|switch| {
        place
            .strip_prefix(switch.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('/') == Some(&neighbor.port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{run_on, text};
    use crate::view::ToolRun;

    const BOND: &str = include_str!("../../../tests/data/captures/bond_ad_healthy.txt");

    fn heard(places: &[(&str, &str, &str)]) -> String {
        let entry = |(interface, switch, port): &(&str, &str, &str)| {
            format!(
                r#"{{"{interface}":{{"chassis":{{"{switch}":{{"id":{{"type":"mac","value":"id-{switch}"}},
                   "capability":[{{"type":"Bridge","enabled":true}}]}}}},"port":{{"id":{{"value":"{port}"}}}}}}}}"#
            )
        };
        let list: Vec<String> = places.iter().map(entry).collect();
        format!(r#"{{"lldp":{{"interface":[{}]}}}}"#, list.join(","))
    }

    async fn run(places: &[(&str, &str, &str)], params: &str) -> Observation {
        let said = ToolRun { code: Some(0), stdout: heard(places), stderr: String::new() };
        let tools = [("lldpcli -f json show neighbors".to_owned(), said)].into();
        let files = [("/proc/net/bonding/bond0".to_owned(), BOND.to_owned())].into();
        run_on("lldp", params, Arc::new(SimView::of(SimHost { tools, files, ..SimHost::default() })))
            .await
            .expect("observed")
    }

    #[tokio::test]
    async fn both_slaves_on_one_switch_are_no_redundancy() {
        let one = [("eth0", "sw1", "Gi1/0/1"), ("eth1", "sw1", "Gi1/0/2")];
        let seen = run(&one, "{}").await;
        assert_eq!((text(&seen, "same_switch"), text(&seen, "unheard")), ("[bond0]".into(), "[]".into()), "{seen:?}");
        assert_eq!(
            seen.facts["lldp"].get("eth1").and_then(|at| at.get("port")).map(ToString::to_string).as_deref(),
            Some("Gi1/0/2")
        );
        let two = [("eth0", "sw1", "Gi1/0/1"), ("eth1", "sw2", "Gi1/0/1")];
        assert_eq!(text(&run(&two, "{}").await, "same_switch"), "[]");
        // A stack is one chassis with two members.
        assert_eq!(text(&run(&one, r#"{"redundant_switches":["sw1"]}"#).await, "same_switch"), "[]");
        let half = run(&one[..1], "{}").await;
        assert_eq!((text(&half, "same_switch"), text(&half, "unheard")), ("[]".into(), "[bond0]".into()));
    }

    #[tokio::test]
    async fn a_cable_in_another_port_is_noticed() {
        let places = [("eth0", "sw1", "Gi1/0/1"), ("eth1", "sw2", "Gi1/0/1")];
        for (expect, wrong) in [
            (r#"{"eth0":"sw1","eth1":"sw2/Gi1/0/1"}"#, "[]"),
            (r#"{"eth0":"sw2","eth1":"sw2/Gi1/0/2"}"#, "[eth0, eth1]"),
            (r#"{"eth7":"sw1"}"#, "[eth7]"),
        ] {
            assert_eq!(text(&run(&places, &format!(r#"{{"expect":{expect}}}"#)).await, "wrong"), wrong, "{expect}");
        }
    }
}
