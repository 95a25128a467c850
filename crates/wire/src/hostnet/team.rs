//! `teamdctl NAME state dump` (libteam): the runner of a team and its ports.

use serde_json::Value;

use crate::tool_json::{self, JsonError};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Team {
    /// `lacp`, `activebackup`, `loadbalance`, `roundrobin`, `broadcast`.
    pub runner: String,
    /// Of `activebackup`: the port that carries traffic.
    pub active_port: Option<String>,
    pub ports: Vec<Port>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Port {
    pub name: String,
    /// The link itself.
    pub link_up: bool,
    /// What the link watches say: ARP or NS pings may fail on a link that is up.
    pub watch_up: bool,
    pub speed_mbps: Option<u64>,
    pub duplex: Option<String>,
    /// Times that a link watch saw it go down.
    pub down_count: u64,
    /// Of LACP: it is in an aggregator that is used.
    pub selected: Option<bool>,
    pub aggregator: Option<u64>,
    /// Of LACP: `current`, `expired`, `defaulted`, `disabled`.
    pub state: Option<String>,
    /// Of LACP: the system at the other end.
    pub partner: Option<String>,
}

impl Team {
    pub fn is_lacp(&self) -> bool {
        self.runner == "lacp"
    }
}

/// # Errors
/// It is not what `teamdctl` prints.
pub fn parse(text: &str) -> Result<Team, JsonError> {
    let document: Value = tool_json::document(text)?;
    let runner = text_at(&document, "/setup/runner_name").unwrap_or_default();
    let ports = document.get("ports").and_then(Value::as_object);
    if runner.is_empty() && ports.is_none() {
        return Err(JsonError::Shape("neither a runner nor ports".to_owned()));
    }
    let mut ports: Vec<Port> = ports.into_iter().flatten().map(|(name, port)| read_port(name, port)).collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    let active_port = text_at(&document, "/runner/active_port").filter(|name| !name.is_empty());
    Ok(Team { runner, active_port, ports })
}

fn read_port(name: &str, port: &Value) -> Port {
    let flag = |path: &str| port.pointer(path).and_then(Value::as_bool);
    let number = |path: &str| port.pointer(path).and_then(Value::as_u64);
    let watches = port.pointer("/link_watches/list").and_then(Value::as_object);
    let downs = watches.into_iter().flatten().filter_map(|(_, watch)| watch.get("down_count")?.as_u64());
    let link_up = flag("/link/up").unwrap_or(false);
    Port {
        name: name.to_owned(),
        link_up,
        watch_up: flag("/link_watches/up").unwrap_or(link_up),
        speed_mbps: number("/link/speed").filter(|speed| *speed > 0),
        duplex: text_at(port, "/link/duplex"),
        down_count: downs.fold(0, u64::saturating_add),
        selected: flag("/runner/selected").or_else(|| flag("/runner/aggregator/selected")),
        aggregator: number("/runner/aggregator/id"),
        state: text_at(port, "/runner/state"),
        partner: text_at(port, "/runner/partner_lacpdu_info/system"),
    }
}

fn text_at(value: &Value, path: &str) -> Option<String> {
    value.pointer(path).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In the shape of libteam 1.31's `teamd_state.c` and runners.
    const LACP: &str = r#"{
      "ports": {
        "eth2": {"ifinfo": {"ifindex": 4, "ifname": "eth2"},
          "link": {"duplex": "full", "speed": 10000, "up": true},
          "link_watches": {"list": {"link_watch_0": {"down_count": 3, "name": "ethtool", "up": true}}, "up": true},
          "runner": {"actor_lacpdu_info": {"state": 69}, "aggregator": {"id": 0, "selected": false},
            "partner_lacpdu_info": {"state": 0, "system": "00:00:00:00:00:00"}, "selected": false, "state": "defaulted"}},
        "eth1": {"link": {"duplex": "full", "speed": 10000, "up": true},
          "link_watches": {"list": {"link_watch_0": {"down_count": 0, "up": true}}, "up": true},
          "runner": {"aggregator": {"id": 3, "selected": true},
            "partner_lacpdu_info": {"state": 61, "system": "52:54:00:00:00:02"}, "selected": true, "state": "current"}}
      },
      "runner": {"active": true, "fast_rate": true},
      "setup": {"kernel_team_mode_name": "loadbalance", "runner_name": "lacp"},
      "team_device": {"ifinfo": {"ifname": "team0"}}
    }"#;

    #[test]
    fn ports_of_lacp_read_with_their_partner() {
        let team = parse(LACP).expect("read");
        assert!(team.is_lacp());
        let names: Vec<&str> = team.ports.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["eth1", "eth2"]);
        assert_eq!((team.ports[0].selected, team.ports[0].aggregator), (Some(true), Some(3)));
        assert_eq!(team.ports[1].state.as_deref(), Some("defaulted"));
        assert_eq!((team.ports[1].selected, team.ports[1].down_count), (Some(false), 3));
    }

    #[test]
    fn the_active_port_of_a_backup_team_is_known() {
        let text = r#"{"setup":{"runner_name":"activebackup"},"runner":{"active_port":"eth1"},
                       "ports":{"eth1":{"link":{"up":true,"speed":1000,"duplex":"full"}},"eth2":{"link":{"up":false}}}}"#;
        let team = parse(text).expect("read");
        assert_eq!(team.active_port.as_deref(), Some("eth1"));
        assert_eq!(team.ports.iter().map(|port| port.watch_up).collect::<Vec<_>>(), [true, false]);
        for bad in ["", "{}", "connection refused", "[1]"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_cut_is_read_without_panic(text in "\\PC{0,200}", cut in 0usize..900) {
            let _ = parse(&text);
            let _ = parse(LACP.get(..cut).unwrap_or(LACP));
        }
    }
}
