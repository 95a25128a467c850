//! Nodes and edges for pages and programs: places, machines, switches, feeds, storage; what hangs on what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::drift::{is_declared, is_host_of};
use super::observed::Heard;
use super::{Drift, DriftKind};
use crate::catalog::layout::MAINS;
use crate::design::About;
use crate::id::{CloudId, HostId};
use crate::sight::Sight;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum NodeKind {
    Site,
    Zone,
    /// The mains or a UPS.
    Source,
    Feed,
    Switch,
    Host,
    Storage,
    Replica,
}

impl NodeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            NodeKind::Site => "site",
            NodeKind::Zone => "zone",
            NodeKind::Source => "source",
            NodeKind::Feed => "feed",
            NodeKind::Switch => "switch",
            NodeKind::Host => "host",
            NodeKind::Storage => "storage",
            NodeKind::Replica => "replica",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: NodeKind,
    pub name: Arc<str>,
    /// The host that it is, or that stands for it: a switch or UPS that is watched under its name.
    pub host: Option<HostId>,
    pub cloud: Option<CloudId>,
    /// Index of the node that it stands in: host in zone, zone in site.
    pub within: Option<usize>,
    /// Component keys.
    pub components: Vec<Arc<str>>,
    /// `stack`, `single`, `management`, or empty.
    pub sort: &'static str,
    pub is_declared: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum EdgeKind {
    Link,
    Power,
    Storage,
    Replica,
    /// A virtual machine on its host.
    Guest,
}

impl EdgeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            EdgeKind::Link => "link",
            EdgeKind::Power => "power",
            EdgeKind::Storage => "storage",
            EdgeKind::Replica => "replica",
            EdgeKind::Guest => "guest",
        }
    }
}

/// Who knows of an edge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    Declared,
    /// Seen, and nobody declared it.
    Seen,
    /// Declared, and seen to be so.
    Confirmed,
    /// Declared, and seen to be otherwise.
    Contradicted,
}

impl Standing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Declared => "declared",
            Standing::Seen => "seen",
            Standing::Confirmed => "confirmed",
            Standing::Contradicted => "contradicted",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    pub kind: EdgeKind,
    /// Indexes of nodes: what hangs, and on what.
    pub from: usize,
    pub to: usize,
    pub interface: Option<String>,
    pub port: Option<String>,
    /// The aggregate (LAG) of the switch that the port is in.
    pub aggregate: Option<String>,
    pub standing: Standing,
}

#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    index: BTreeMap<(NodeKind, Arc<str>), usize>,
}

impl Graph {
    fn node(&mut self, kind: NodeKind, name: &Arc<str>) -> usize {
        if let Some(at) = self.index.get(&(kind, Arc::clone(name))) {
            return *at;
        }
        self.index.insert((kind, Arc::clone(name)), self.nodes.len());
        self.nodes.push(Node {
            kind,
            name: Arc::clone(name),
            host: None,
            cloud: None,
            within: None,
            components: Vec::new(),
            sort: "",
            is_declared: true,
        });
        self.nodes.len() - 1
    }

    fn edge(&mut self, kind: EdgeKind, from: usize, to: usize, standing: Standing) {
        self.edges.push(Edge { kind, from, to, interface: None, port: None, aggregate: None, standing });
    }
}

pub(super) fn build(sight: &Sight<'_>, heard: &[Heard], drift: &[Drift]) -> (Vec<Node>, Vec<Edge>) {
    let mut graph = Graph::default();
    let hosts = places(sight, &mut graph);
    power(sight, &hosts, &mut graph);
    links(sight, &hosts, heard, drift, &mut graph);
    storage(sight, &hosts, &mut graph);
    (graph.nodes, graph.edges)
}

/// Site, zones and hosts; gives the node of each host. Devices that are switches or UPSes are those nodes.
fn places(sight: &Sight<'_>, graph: &mut Graph) -> Vec<usize> {
    let catalog = sight.catalog;
    let site = graph.node(NodeKind::Site, &catalog.site);
    let zones: Vec<usize> = catalog
        .zones
        .iter()
        .map(|zone| {
            let at = graph.node(NodeKind::Zone, &zone.name);
            graph.nodes[at].within = Some(site);
            graph.nodes[at].cloud = zone.cloud;
            at
        })
        .collect();
    for switch in &catalog.layout.switches {
        let at = graph.node(NodeKind::Switch, &switch.name);
        graph.nodes[at].sort = match (switch.is_management, switch.is_stack) {
            (true, _) => "management",
            (false, true) => "stack",
            (false, false) => "single",
        };
    }
    for feed in &catalog.layout.feeds {
        let (feed, source) = (graph.node(NodeKind::Feed, &feed.name), graph.node(NodeKind::Source, &feed.source));
        graph.edge(EdgeKind::Power, feed, source, Standing::Declared);
    }
    let sources: BTreeSet<&str> =
        catalog.layout.feeds.iter().map(|feed| &*feed.source).filter(|source| *source != MAINS).collect();
    let hosts = sight.host_ids().map(|id| {
        let host = sight.host(id);
        let switch = catalog.layout.switches.iter().find(|switch| is_host_of(&switch.name, &host.name));
        let at = match switch {
            Some(switch) => graph.node(NodeKind::Switch, &switch.name),
            None if sources.contains(&*host.name) => graph.node(NodeKind::Source, &host.name),
            None => graph.node(NodeKind::Host, &host.name),
        };
        let components = host.components.iter().map(|id| Arc::clone(&catalog.components[id.index()].key));
        let node = &mut graph.nodes[at];
        node.host = Some(id);
        node.cloud = host.cloud;
        node.within = zones.get(host.zone.index()).copied();
        node.components = components.collect();
        at
    });
    hosts.collect()
}

fn power(sight: &Sight<'_>, hosts: &[usize], graph: &mut Graph) {
    let layout = &sight.catalog.layout;
    for switch in &layout.switches {
        let at = graph.node(NodeKind::Switch, &switch.name);
        for feed in &switch.feeds {
            let feed = graph.node(NodeKind::Feed, feed);
            graph.edge(EdgeKind::Power, at, feed, Standing::Declared);
        }
    }
    for wiring in &layout.wirings {
        let at = hosts[wiring.host.index()];
        for feed in &wiring.feeds {
            let feed = graph.node(NodeKind::Feed, feed);
            graph.edge(EdgeKind::Power, at, feed, Standing::Declared);
        }
        if let Some(on) = wiring.vm_on.as_deref().and_then(|name| sight.catalog.host_id(name)) {
            graph.edge(EdgeKind::Guest, at, hosts[on.index()], Standing::Declared);
        }
    }
}

/// Declared links, marked by what was heard, and those that were only heard.
fn links(sight: &Sight<'_>, hosts: &[usize], heard: &[Heard], drift: &[Drift], graph: &mut Graph) {
    let layout = &sight.catalog.layout;
    let mut of_host: BTreeMap<HostId, Vec<&Heard>> = BTreeMap::new();
    for heard in heard {
        if let Some(host) = heard.host {
            of_host.entry(host).or_default().push(heard);
        }
    }
    let contradicts = |kind: DriftKind| match kind {
        DriftKind::Switch | DriftKind::Port | DriftKind::Unheard | DriftKind::OneLink => true,
        DriftKind::Undeclared
        | DriftKind::Stranger
        | DriftKind::Supplies
        | DriftKind::Replica
        | DriftKind::Storage
        | DriftKind::Member => false,
    };
    let drifting: BTreeSet<&str> = drift
        .iter()
        .filter(|drift| drift.about == About::Host && contradicts(drift.kind))
        .map(|drift| &*drift.target)
        .collect();
    for wiring in &layout.wirings {
        let from = hosts[wiring.host.index()];
        let heard = of_host.entry(wiring.host).or_default();
        for link in &wiring.links {
            let to = graph.node(NodeKind::Switch, &link.switch);
            let at = heard.iter().position(|heard| is_declared(link, heard));
            let seen = at.map(|at| heard.remove(at));
            let standing = match &seen {
                Some(_) => Standing::Confirmed,
                None if drifting.contains(&*sight.host(wiring.host).name) => Standing::Contradicted,
                None => Standing::Declared,
            };
            let interface = link.interface.as_deref().map(str::to_owned);
            graph.edges.push(Edge {
                kind: EdgeKind::Link,
                from,
                to,
                interface: interface.or_else(|| seen.and_then(|seen| seen.interface.clone())),
                port: link.port.as_deref().map(str::to_owned).or_else(|| seen.map(|seen| seen.port.clone())),
                aggregate: seen.and_then(|seen| seen.aggregate.clone()),
                standing,
            });
        }
    }
    let left = of_host.into_values().flatten().chain(heard.iter().filter(|heard| heard.host.is_none()));
    left.for_each(|heard| undeclared(sight, hosts, heard, graph));
}

/// A link that is heard and that nobody declared.
fn undeclared(sight: &Sight<'_>, hosts: &[usize], heard: &Heard, graph: &mut Graph) {
    let to = heard_switch(heard, graph);
    let from = match heard.host {
        Some(host) => hosts[host.index()],
        None => {
            let at = match sight.catalog.layout.switch_called(&[&heard.host_name]) {
                Some(switch) => graph.node(NodeKind::Switch, &switch.name),
                None => graph.node(NodeKind::Host, &heard.host_name),
            };
            let is_known = graph.nodes[at].host.is_some() || graph.nodes[at].kind == NodeKind::Switch;
            graph.nodes[at].is_declared &= is_known;
            at
        }
    };
    if from != to {
        graph.edges.push(Edge {
            kind: EdgeKind::Link,
            from,
            to,
            interface: heard.interface.clone(),
            port: Some(heard.port.clone()).filter(|port| !port.is_empty()),
            aggregate: heard.aggregate.clone(),
            standing: Standing::Seen,
        });
    }
}

/// The node of a switch that was heard of; one that nobody declared is marked so.
fn heard_switch(heard: &Heard, graph: &mut Graph) -> usize {
    let is_new = !graph.index.contains_key(&(NodeKind::Switch, Arc::clone(&heard.switch)));
    let at = graph.node(NodeKind::Switch, &heard.switch);
    if is_new {
        graph.nodes[at].is_declared = heard.is_declared_switch;
    }
    at
}

fn storage(sight: &Sight<'_>, hosts: &[usize], graph: &mut Graph) {
    for (row, cloud) in sight.catalog.clouds.iter().enumerate() {
        let id = CloudId::from_index(row);
        for (backend, used_by) in &cloud.topology.backends {
            let at = graph.node(NodeKind::Storage, backend);
            graph.nodes[at].cloud = Some(id);
            let users: BTreeSet<HostId> = used_by.iter().flat_map(|key| sight.with_component(id, key)).collect();
            for host in users {
                let sees = sight.by_probe(host, "multipath").find_map(|seen| seen.number("maps"));
                let standing = if sees > Some(0.0) { Standing::Confirmed } else { Standing::Declared };
                graph.edge(EdgeKind::Storage, hosts[host.index()], at, standing);
            }
        }
        for (resource, pair) in &cloud.topology.drbd {
            let at = graph.node(NodeKind::Replica, resource);
            graph.nodes[at].cloud = Some(id);
            for host in pair.iter().filter_map(|name| sight.catalog.host_id(name)) {
                let is_there = |seen: &crate::sight::Seen<'_>| {
                    let named = |one: &crate::model::Value| {
                        one.get("res").and_then(crate::model::Value::text) == Some(&**resource)
                    };
                    seen.list("drbd").iter().any(named)
                };
                let standing = if sight.by_probe(host, "drbd").any(|seen| is_there(&seen)) {
                    Standing::Confirmed
                } else if sight.by_probe(host, "drbd").next().is_some() {
                    Standing::Contradicted
                } else {
                    Standing::Declared
                };
                graph.edge(EdgeKind::Replica, hosts[host.index()], at, standing);
            }
        }
    }
}
