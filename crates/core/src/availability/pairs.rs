//! Cluster controllers against node controllers: who serves whom, and where the controller's view of a node differs from
//! what is seen directly.

use std::sync::Arc;

use serde::Serialize;

use crate::diagnosis::{Diagnosis, Signal, Topology};

type Name = Arc<str>;

/// Rows and columns of the map.
const CONTROLLER: &str = "cc";
pub const NODE: &str = "nc";

/// One zone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZonePairs {
    pub zone: Name,
    pub rows: Vec<ControllerRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControllerRow {
    pub controller: Name,
    pub in_service: bool,
    pub cells: Vec<Pair>,
}

/// One controller and one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    pub node: Name,
    pub state: PairState,
    /// What the controller says of the node, in its own word.
    pub controller_says: Option<String>,
    /// What is seen of the node directly.
    pub seen: Seen,
    /// The two contradict each other.
    pub disagree: bool,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// Both are in service.
    Serving,
    NodeOut,
    ControllerOut,
    BothOut,
}

impl PairState {
    pub const fn as_str(self) -> &'static str {
        match self {
            PairState::Serving => "serving",
            PairState::NodeOut => "node_out",
            PairState::ControllerOut => "controller_out",
            PairState::BothOut => "both_out",
        }
    }
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    Up,
    Down,
    /// No check told anything, or what they told contradicts.
    Unknown,
}

impl Seen {
    pub const fn as_str(self) -> &'static str {
        match self {
            Seen::Up => "up",
            Seen::Down => "down",
            Seen::Unknown => "unknown",
        }
    }
}

/// The maps of all zones that have both, in the order of their names.
pub fn pairs(topology: &Topology, signals: &[Signal], diagnosis: &Diagnosis) -> Vec<ZonePairs> {
    let runs =
        |host: &&Name, kind: &str| topology.hosts.get(*host).is_some_and(|keys| keys.iter().any(|key| &**key == kind));
    let is_out = |host: &Name, kind: &str| {
        let of = |one: &&crate::diagnosis::Standing| one.host == *host && one.component.as_deref() == Some(kind);
        diagnosis.standing.iter().find(of).is_some_and(|one| !one.footing.is_in_service())
    };
    let zone = |(zone, hosts): (&Name, &Vec<Name>)| {
        let controllers: Vec<&Name> = hosts.iter().filter(|host| runs(host, CONTROLLER)).collect();
        let nodes: Vec<&Name> = hosts.iter().filter(|host| runs(host, NODE)).collect();
        if controllers.is_empty() || nodes.is_empty() {
            return None;
        }
        let row = |controller: &&Name| {
            let down = is_out(controller, CONTROLLER);
            let cell = |node: &&Name| {
                let state = match (down, is_out(node, NODE)) {
                    (false, false) => PairState::Serving,
                    (false, true) => PairState::NodeOut,
                    (true, false) => PairState::ControllerOut,
                    (true, true) => PairState::BothOut,
                };
                let (says, seen) = (controller_says(signals, controller, node), seen(signals, node));
                let disagree = match (says, seen) {
                    (Some("ENABLED"), Seen::Down) => true,
                    (Some(word), Seen::Up) => word != "ENABLED",
                    (None, _) | (_, Seen::Unknown) | (Some(_), Seen::Down) => false,
                };
                Pair { node: Arc::clone(node), state, controller_says: says.map(str::to_owned), seen, disagree }
            };
            let cells = nodes.iter().map(cell).collect();
            ControllerRow { controller: Arc::clone(controller), in_service: !down, cells }
        };
        Some(ZonePairs { zone: Arc::clone(zone), rows: controllers.iter().map(row).collect() })
    };
    topology.zones.iter().filter_map(zone).collect()
}

/// The newest word of this controller about the node, else that of any.
fn controller_says<'s>(signals: &'s [Signal], controller: &str, node: &str) -> Option<&'s str> {
    let about = |signal: &&Signal| {
        &*signal.sig == "service_state"
            && signal.host.as_deref() == Some(node)
            && signal.component.as_deref() == Some(NODE)
    };
    let newest = |of: &dyn Fn(&Signal) -> bool| {
        let told = signals.iter().filter(about).filter(|signal| of(signal));
        told.max_by_key(|signal| signal.observed_at).and_then(|signal| signal.value.text())
    };
    newest(&|signal| signal.vantage.as_deref() == Some(controller))
        .or_else(|| newest(&|signal| signal.vantage.is_none()))
}

/// What checks of the node itself tell, apart from what any controller says.
fn seen(signals: &[Signal], node: &str) -> Seen {
    let mut up = false;
    let mut down = false;
    for signal in signals.iter().filter(|signal| signal.host.as_deref() == Some(node)) {
        let own = signal.component.as_deref() == Some(NODE);
        match (&*signal.sig, own, signal.value.text()) {
            ("port", true, Some("open")) | ("process", true, Some("running")) => up = true,
            ("port", true, Some("refused" | "timeout")) | ("process", true, Some("absent" | "hung")) => down = true,
            ("ping", false, Some("fail")) | ("power", false, Some("off")) => down = true,
            _ => {}
        }
    }
    match (up, down) {
        (true, false) => Seen::Up,
        (false, true) => Seen::Down,
        (true, true) | (false, false) => Seen::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Timing, diagnose};
    use crate::{Span, Timestamp};

    const AT: Timestamp = Timestamp::from_secs(1_795_226_531);

    fn signal(host: &str, component: Option<&str>, sig: &str, value: &str, vantage: Option<&str>) -> Signal {
        Signal {
            host: Some(host.into()),
            component: component.map(Arc::from),
            sig: sig.into(),
            value: value.into(),
            vantage: vantage.map(Arc::from),
            observed_at: AT,
            changed_at: AT - Span::from_mins(20),
            every: Span::ZERO,
        }
    }

    #[test]
    fn a_node_that_its_controller_and_we_see_differently_is_marked() {
        let topology: Topology = serde_json::from_value(serde_json::json!({
            "platform": "eucalyptus",
            "zones": {"front": ["clc1"], "one": ["cc1", "cc2", "nc1", "nc2", "nc3"]},
            "hosts": {"clc1": ["clc"], "cc1": ["cc"], "cc2": ["cc"], "nc1": ["nc"], "nc2": ["nc"], "nc3": ["nc"]}
        }))
        .expect("a topology");
        let nc = Some("nc");
        let signals = [
            signal("cc2", Some("cc"), "port", "refused", None),
            signal("cc2", Some("cc"), "process", "absent", None),
            signal("nc1", nc, "port", "open", None),
            signal("nc1", nc, "service_state", "ENABLED", Some("cc1")),
            signal("nc1", nc, "service_state", "NOTREADY", Some("cc2")),
            signal("nc2", nc, "port", "refused", None),
            signal("nc2", nc, "process", "absent", None),
            signal("nc2", nc, "service_state", "ENABLED", None),
        ];
        let diagnosis = diagnose(&topology, &signals, AT, &Timing::default());
        let maps = pairs(&topology, &signals, &diagnosis);
        assert_eq!(maps.len(), 1, "a zone without nodes has no map");
        let cells: Vec<(String, &str, Option<&str>, &str, bool)> = maps[0]
            .rows
            .iter()
            .flat_map(|row| row.cells.iter().map(move |cell| (row, cell)))
            .map(|(row, cell)| {
                let name = format!("{}-{}", row.controller, cell.node);
                (name, cell.state.as_str(), cell.controller_says.as_deref(), cell.seen.as_str(), cell.disagree)
            })
            .collect();
        let expect = [
            ("cc1-nc1", "serving", Some("ENABLED"), "up", false),
            ("cc1-nc2", "node_out", Some("ENABLED"), "down", true),
            ("cc1-nc3", "serving", None, "unknown", false),
            ("cc2-nc1", "controller_out", Some("NOTREADY"), "up", true),
            ("cc2-nc2", "both_out", Some("ENABLED"), "down", true),
            ("cc2-nc3", "controller_out", None, "unknown", false),
        ];
        let expect = expect.map(|(name, state, says, seen, differ)| (name.to_owned(), state, says, seen, differ));
        assert_eq!(cells, expect);
    }
}
