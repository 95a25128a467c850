//! `bridge`: Linux bridges of a host: their ports, spanning tree states, and ports without carrier.

use std::io;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};

use super::look::{Lane, look};
use super::nic::checked_name;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const FOLDER: &str = "/sys/class/net";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bridges that must exist; all that exist when empty.
    pub bridges: Vec<String>,
    /// Ports that each must have: the uplink, not the guests that come and go.
    pub ports: Vec<String>,
}

pub struct Bridge {
    view: Arc<dyn HostView>,
    config: Config,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    name: String,
    exists: bool,
    is_up: bool,
    stp: bool,
    topology_changes: bool,
    ports: Vec<Port>,
}

#[derive(Clone, Debug)]
struct Port {
    name: String,
    state: &'static str,
    has_carrier: bool,
}

/// `BR_STATE_*` of linux/if_bridge.h.
const STATES: [&str; 5] = ["disabled", "listening", "learning", "forwarding", "blocking"];

impl Probe for Bridge {
    const KIND: &'static str = "bridge";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/bridge.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.bridges.iter().chain(&config.ports).try_for_each(|name| checked_name(name))?;
        Ok(Bridge { view: Arc::clone(&env.view), config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let wanted = self.config.bridges.clone();
        let seen = look(&self.view, Lane::Kernel, deadline, move |view| read_all(view, wanted)).await?;
        Ok(observe(&seen, &self.config.ports))
    }
}

fn read_all(view: &dyn HostView, wanted: Vec<String>) -> io::Result<Vec<Seen>> {
    let all = view.list(FOLDER)?;
    let paths: Vec<String> = all.iter().map(|name| format!("{FOLDER}/{name}/bridge/stp_state")).collect();
    let stp = view.read_many(&paths);
    let bridges: Vec<(String, Option<String>)> = if wanted.is_empty() {
        all.iter().zip(stp).filter_map(|(name, stp)| Some((name.clone(), Some(stp.ok()?)))).collect()
    } else {
        let mut stp: Vec<Option<io::Result<String>>> = stp.into_iter().map(Some).collect();
        let mut of = |name: &String| {
            let at = all.iter().position(|known| known == name)?;
            stp.get_mut(at)?.take()?.ok()
        };
        wanted.into_iter().map(|name| (name.clone(), of(&name))).collect()
    };
    bridges.into_iter().map(|(name, stp)| read_one(view, name, stp)).collect()
}

fn read_one(view: &dyn HostView, name: String, stp: Option<String>) -> io::Result<Seen> {
    let Some(stp) = stp else { return Ok(Seen { name, ..Seen::default() }) };
    let ports = match view.list(&format!("{FOLDER}/{name}/brif")) {
        Ok(ports) => ports,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let own = ["operstate", "bridge/topology_change"].map(|file| format!("{FOLDER}/{name}/{file}"));
    let of_ports = ports
        .iter()
        .flat_map(|port| [format!("{FOLDER}/{name}/brif/{port}/state"), format!("{FOLDER}/{port}/carrier")]);
    let paths: Vec<String> = own.into_iter().chain(of_ports).collect();
    let texts = view.read_many(&paths);
    let at = |index: usize| texts.get(index).and_then(|text| text.as_ref().ok()).map_or("", |text| text.trim());
    let ports = ports
        .into_iter()
        .enumerate()
        .map(|(i, name)| {
            let state = at(2 + i * 2).parse::<usize>().ok().and_then(|state| STATES.get(state).copied());
            Port { name, state: state.unwrap_or("unknown"), has_carrier: at(3 + i * 2) == "1" }
        })
        .collect();
    // A bridge without traffic says "unknown", and works.
    let is_up = at(0) != "down";
    Ok(Seen { name, exists: true, is_up, stp: stp.trim() != "0", topology_changes: at(1) == "1", ports })
}

fn observe(bridges: &[Seen], wanted: &[String]) -> Observation {
    let named = |bridge: &Seen, port: &str| format!("{}/{port}", bridge.name);
    let (mut missing, mut no_carrier, mut blocking, mut settling) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut rows = Vec::new();
    for bridge in bridges {
        if !bridge.exists {
            missing.push(bridge.name.clone());
            rows.push(format!("{}: there is no such bridge", bridge.name));
            continue;
        }
        for port in wanted.iter().filter(|wanted| !bridge.ports.iter().any(|port| port.name == **wanted)) {
            missing.push(named(bridge, port));
        }
        for port in &bridge.ports {
            match port.state {
                // Ports of guests that are off have none: only those that were named must.
                _ if !port.has_carrier && (wanted.is_empty() || wanted.contains(&port.name)) => {
                    no_carrier.push(named(bridge, &port.name));
                }
                "blocking" => blocking.push(named(bridge, &port.name)),
                "listening" | "learning" => settling.push(named(bridge, &port.name)),
                _ => {}
            }
        }
        let ports: Vec<String> = bridge.ports.iter().map(|port| format!("{} {}", port.name, port.state)).collect();
        let (stp, up) = (if bridge.stp { ", spanning tree" } else { "" }, if bridge.is_up { "up" } else { "down" });
        let changes = if bridge.topology_changes { ", the topology changes" } else { "" };
        rows.push(format!("{}: {up}{stp}{changes}; {}", bridge.name, ports.join(", ")));
    }
    let down: Vec<String> =
        bridges.iter().filter(|bridge| bridge.exists && !bridge.is_up).map(|bridge| bridge.name.clone()).collect();
    let ports: usize = bridges.iter().map(|bridge| bridge.ports.len()).sum();
    let text = match bridges {
        [] => "this host has no bridge".to_owned(),
        [one] => rows.first().cloned().unwrap_or_else(|| one.name.clone()),
        several => format!("{} bridges, {ports} ports", several.len()),
    };
    let changing = bridges.iter().any(|bridge| bridge.topology_changes);
    Observation::observed(text)
        .long(rows.join("\n"))
        .fact("bridges", bridges.len())
        .fact("ports", ports)
        .fact("missing", missing)
        .fact("down", down)
        .fact("no_carrier", no_carrier)
        .fact("blocking", blocking)
        .fact("settling", settling)
        .fact("topology_change", Value::Bool(changing))
        .measure("ports", ports as f64, "")
}

#[cfg(test)]
mod tests {
    use crate::testing::{run_on_files, text};

    const FILES: [(&str, &str); 9] = [
        ("/sys/class/net/br0/bridge/stp_state", "1\n"),
        ("/sys/class/net/br0/bridge/topology_change", "0\n"),
        ("/sys/class/net/br0/operstate", "up\n"),
        ("/sys/class/net/br0/brif/eth0/state", "3\n"),
        ("/sys/class/net/br0/brif/eth1/state", "4\n"),
        ("/sys/class/net/br0/brif/vnet0/state", "2\n"),
        ("/sys/class/net/eth0/carrier", "1\n"),
        ("/sys/class/net/eth1/carrier", "1\n"),
        ("/sys/class/net/vnet0/carrier", "1\n"),
    ];

    #[tokio::test]
    async fn ports_are_told_by_their_state() {
        let seen = run_on_files("bridge", "{}", &FILES).await.expect("observed");
        assert_eq!((text(&seen, "bridges"), text(&seen, "ports")), ("1".into(), "3".into()));
        assert_eq!((text(&seen, "blocking"), text(&seen, "settling")), ("[br0/eth1]".into(), "[br0/vnet0]".into()));
        let seen =
            run_on_files("bridge", r#"{"ports":["eth7"],"bridges":["br0","br9"]}"#, &FILES).await.expect("observed");
        assert_eq!(text(&seen, "missing"), "[br0/eth7, br9]");
        let mut files = FILES;
        files[6].1 = "0\n";
        let seen = run_on_files("bridge", r#"{"ports":["eth0"]}"#, &files).await.expect("observed");
        assert_eq!(text(&seen, "no_carrier"), "[br0/eth0]");
    }
}
