//! `/topology`: what hangs on what, who says so, and where the two differ.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use stentor_core::id::CloudId;
use stentor_core::sight::Sight;
use stentor_core::snapshot::Snapshot;
use stentor_core::topology_view::{self, Drift, Edge, Node};

use super::json;
use crate::web::WebState;
use crate::web::auth::Session;

#[derive(Serialize)]
pub struct Topology<'a> {
    pub seq: u64,
    pub nodes: Vec<NodeItem<'a>>,
    pub edges: Vec<EdgeItem<'a>>,
    pub drift: Vec<DriftItem<'a>>,
}

#[derive(Serialize)]
pub struct NodeItem<'a> {
    /// What edges and `within` name; good for this answer only.
    pub id: usize,
    pub kind: &'static str,
    pub name: &'a str,
    pub host: Option<&'a str>,
    pub cloud: Option<&'a str>,
    pub within: Option<usize>,
    pub components: Vec<&'a str>,
    /// Of a switch: `stack`, `single` or `management`.
    pub sort: Option<&'static str>,
    pub declared: bool,
    /// Of what is watched: `UP`, `DOWN`, `UNREACHABLE`, `PENDING`.
    pub state: Option<&'static str>,
}

#[derive(Serialize)]
pub struct EdgeItem<'a> {
    pub kind: &'static str,
    pub from: usize,
    pub to: usize,
    pub interface: Option<&'a str>,
    pub port: Option<&'a str>,
    /// Of the switch, with that port in it.
    pub aggregate: Option<&'a str>,
    /// `declared`, `seen`, `confirmed` (both), `contradicted` (seen otherwise).
    pub standing: &'static str,
}

#[derive(Serialize)]
pub struct DriftItem<'a> {
    pub kind: &'static str,
    /// `host`, `switch` or `cloud`.
    pub about: &'static str,
    pub target: &'a str,
    pub cloud: Option<&'a str>,
    pub detail: &'a str,
    pub declared: &'a str,
    pub observed: &'a str,
}

pub async fn show(State(state): State<WebState>, _session: Session) -> Response {
    let snapshot = state.engine.snapshot();
    let view = topology_view::view(&Sight::of(&snapshot));
    let nodes = view.nodes.iter().enumerate().map(|(id, item)| node(&snapshot, id, item)).collect();
    let edges = view.edges.iter().map(edge).collect();
    let drift = view.drift.iter().map(|item| drift(&snapshot, item)).collect();
    json(StatusCode::OK, &Topology { seq: snapshot.seq, nodes, edges, drift })
}

fn cloud(snapshot: &Snapshot, id: Option<CloudId>) -> Option<&str> {
    snapshot.catalog.clouds.get(id?.index()).map(|cloud| &*cloud.name)
}

fn node<'a>(snapshot: &'a Snapshot, id: usize, node: &'a Node) -> NodeItem<'a> {
    let state = node.host.map(|host| {
        let row = &snapshot.hosts[host.index()];
        if row.is_pending() { "PENDING" } else { row.host_state().as_str() }
    });
    NodeItem {
        id,
        kind: node.kind.as_str(),
        name: &node.name,
        host: node.host.map(|host| &*snapshot.catalog.hosts[host.index()].name),
        cloud: cloud(snapshot, node.cloud),
        within: node.within,
        components: node.components.iter().map(|key| &**key).collect(),
        sort: Some(node.sort).filter(|sort| !sort.is_empty()),
        declared: node.is_declared,
        state,
    }
}

fn edge(edge: &Edge) -> EdgeItem<'_> {
    EdgeItem {
        kind: edge.kind.as_str(),
        from: edge.from,
        to: edge.to,
        interface: edge.interface.as_deref(),
        port: edge.port.as_deref(),
        aggregate: edge.aggregate.as_deref(),
        standing: edge.standing.as_str(),
    }
}

fn drift<'a>(snapshot: &'a Snapshot, drift: &'a Drift) -> DriftItem<'a> {
    DriftItem {
        kind: drift.kind.as_str(),
        about: drift.about.as_str(),
        target: &drift.target,
        cloud: cloud(snapshot, drift.cloud),
        detail: &drift.detail,
        declared: &drift.declared,
        observed: &drift.observed,
    }
}
