//! What hangs on what: declared, seen, and where the two differ.

mod drift;
mod graph;
mod observed;

use std::sync::Arc;

use crate::design::{About, Basis, Finding, Lint, settle};
use crate::id::{CloudId, HostId};
use crate::sight::Sight;

pub use graph::{Edge, EdgeKind, Node, NodeKind, Standing};
pub use observed::{Heard, Names};

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub drift: Vec<Drift>,
}

/// How the seen world is not the declared one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DriftKind {
    /// A link is on another switch.
    Switch,
    /// On the switch, at another port.
    Port,
    /// A link is declared and nobody hears it.
    Unheard,
    /// Declared with several links, and has one.
    OneLink,
    /// A link is heard that nobody declared.
    Undeclared,
    /// A host that nobody declared hangs on a switch.
    Stranger,
    /// Other power supplies than feeds.
    Supplies,
    /// A replica is elsewhere, or not declared.
    Replica,
    /// A host sees no LUN of the storage that its like see.
    Storage,
    /// The cloud lists a host that is not configured, or lacks one that is.
    Member,
}

impl DriftKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            DriftKind::Switch => "switch",
            DriftKind::Port => "port",
            DriftKind::Unheard => "unheard",
            DriftKind::OneLink => "one_link",
            DriftKind::Undeclared => "undeclared",
            DriftKind::Stranger => "stranger",
            DriftKind::Supplies => "supplies",
            DriftKind::Replica => "replica",
            DriftKind::Storage => "storage",
            DriftKind::Member => "member",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drift {
    pub kind: DriftKind,
    pub about: About,
    /// Host, switch or cloud.
    pub target: Arc<str>,
    pub cloud: Option<CloudId>,
    /// In a sentence: `nc3 eth1 is declared on sw2, LLDP says sw1 port 7`.
    pub detail: String,
    pub declared: String,
    pub observed: String,
}

/// Builds all of it.
pub fn view(sight: &Sight<'_>) -> View {
    let names = Names::of(sight.catalog);
    let heard = observed::heard(sight, &names);
    let mut drift = drift::find(sight, &names, &heard);
    drift.sort_by(|a, b| (a.about, &a.target, a.kind, &a.detail).cmp(&(b.about, &b.target, b.kind, &b.detail)));
    drift.dedup();
    let (nodes, edges) = graph::build(sight, &heard, &drift);
    View { nodes, edges, drift }
}

/// The differences as weak points of the design, with those that somebody accepted marked.
pub fn findings(sight: &Sight<'_>, drift: &[Drift]) -> Vec<Finding> {
    let found = drift.iter().map(|drift| Finding {
        lint: Lint::Drift,
        about: drift.about,
        target: Arc::clone(&drift.target),
        detail: drift.detail.clone(),
        basis: Basis::Seen,
        accepted: None,
    });
    settle(found.collect(), &sight.catalog.layout.accepted)
}

/// The cloud of a host.
fn cloud_of(sight: &Sight<'_>, host: HostId) -> Option<CloudId> {
    sight.host(host).cloud
}

#[cfg(test)]
mod tests;
