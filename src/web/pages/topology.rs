//! `/c/{cloud}/topology`: what hangs on what, from the mains down to the storage, and where the plan is not true.

use std::collections::BTreeMap;

use askama::Template;
use stentor_core::design::About;
use stentor_core::id::HostId;
use stentor_core::sight::Sight;
use stentor_core::snapshot::Snapshot;
use stentor_core::topology_view::{self, Drift, Edge, EdgeKind, Node, NodeKind, Standing, View};

use super::shell::{Ctx, Shell};
use crate::web::links::encode;
use crate::web::parts::{self as p, Mark};
use crate::web::words;

/// Hosts of one zone on the page; the rest is one link away.
const HOSTS_MAX: usize = 200;
const DRIFT_MAX: usize = 100;

#[derive(Template)]
#[template(path = "topology.html")]
pub struct TopologyPage {
    pub shell: Shell,
    pub sub: String,
    pub board: TopologyFragment,
}

#[derive(Template)]
#[template(path = "frag_topology.html")]
pub struct TopologyFragment {
    pub drift: Vec<DriftRow>,
    pub drift_count: String,
    pub drift_more: usize,
    pub sources: Vec<SourceView>,
    pub switches: Vec<NodeView>,
    pub zones: Vec<ZoneView>,
    pub stores: Vec<StoreView>,
}

pub struct DriftRow {
    pub target: String,
    pub href: Option<String>,
    pub declared: String,
    pub observed: String,
}

/// The mains or a UPS with its feeds.
pub struct SourceView {
    pub head: NodeView,
    pub feeds: Vec<FeedView>,
}

pub struct FeedView {
    pub name: String,
    pub carries: String,
}

/// A host, switch or device with what it hangs on.
pub struct NodeView {
    pub name: String,
    pub href: Option<String>,
    pub mark: Option<Mark>,
    pub sort: &'static str,
    pub components: Vec<String>,
    pub hangs_on: Vec<Chip>,
    pub note: String,
    /// Nobody declared it, or it is not as declared.
    pub is_odd: bool,
}

/// One thing that something hangs on.
pub struct Chip {
    pub icon: &'static str,
    pub text: String,
    pub standing: &'static str,
    pub words: &'static str,
}

pub struct ZoneView {
    pub name: String,
    pub hosts: Vec<NodeView>,
    pub count: String,
    pub more: usize,
    pub hosts_href: String,
}

pub struct StoreView {
    pub icon: &'static str,
    pub name: String,
    pub kind: &'static str,
    pub users: Vec<(String, Option<String>, &'static str)>,
}

impl TopologyFragment {
    pub fn build(ctx: Ctx<'_>) -> TopologyFragment {
        let view = topology_view::view(&Sight::of(ctx.snapshot));
        let board = Board::of(ctx, &view);
        let drift: Vec<&Drift> = view.drift.iter().filter(|drift| is_in_scope(ctx, drift)).collect();
        TopologyFragment {
            drift_count: words::count(drift.len() as u64),
            drift_more: drift.len().saturating_sub(DRIFT_MAX),
            drift: drift.into_iter().take(DRIFT_MAX).map(|drift| drift_row(ctx.snapshot, drift)).collect(),
            sources: board.sources(),
            switches: board.of_kind(NodeKind::Switch).map(|at| board.node(at)).collect(),
            zones: board.zones(),
            stores: board.stores(),
        }
    }
}

fn is_in_scope(ctx: Ctx<'_>, drift: &Drift) -> bool {
    drift.cloud.is_none() || ctx.scope.contains(drift.cloud)
}

fn drift_row(snapshot: &Snapshot, drift: &Drift) -> DriftRow {
    DriftRow {
        href: (drift.about != About::Cloud && snapshot.host(&drift.target).is_some())
            .then(|| format!("/h/{}", encode(&drift.target))),
        target: drift.target.to_string(),
        declared: drift.declared.clone(),
        observed: drift.observed.clone(),
    }
}

/// The view with its edges at hand.
struct Board<'a> {
    ctx: Ctx<'a>,
    view: &'a View,
    /// Edges by what hangs, and by what it hangs on.
    from: BTreeMap<usize, Vec<&'a Edge>>,
    to: BTreeMap<usize, Vec<&'a Edge>>,
    drifting: Vec<&'a str>,
}

impl<'a> Board<'a> {
    fn of(ctx: Ctx<'a>, view: &'a View) -> Board<'a> {
        let (mut from, mut to): (BTreeMap<_, Vec<_>>, BTreeMap<_, Vec<_>>) = (BTreeMap::new(), BTreeMap::new());
        for edge in &view.edges {
            from.entry(edge.from).or_default().push(edge);
            to.entry(edge.to).or_default().push(edge);
        }
        let mut drifting: Vec<&str> = view.drift.iter().map(|drift| &*drift.target).collect();
        drifting.sort_unstable();
        Board { ctx, view, from, to, drifting }
    }

    fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = usize> + '_ {
        self.view.nodes.iter().enumerate().filter(move |(_, node)| node.kind == kind).map(|(at, _)| at)
    }

    fn hanging_on(&self, at: usize) -> &[&'a Edge] {
        self.to.get(&at).map_or(&[], Vec::as_slice)
    }

    fn sources(&self) -> Vec<SourceView> {
        let source = |at: usize| {
            let feeds = self.hanging_on(at).iter().filter(|edge| self.view.nodes[edge.from].kind == NodeKind::Feed);
            SourceView {
                head: self.node(at),
                feeds: feeds
                    .map(|edge| FeedView {
                        name: self.view.nodes[edge.from].name.to_string(),
                        carries: self.carried(edge.from),
                    })
                    .collect(),
            }
        };
        let mut sources: Vec<SourceView> = self.of_kind(NodeKind::Source).map(source).collect();
        // Feeds that hosts name and nobody declared have no source.
        let loose = |at: &usize| !self.from.contains_key(at);
        let feeds: Vec<FeedView> = self
            .of_kind(NodeKind::Feed)
            .filter(loose)
            .map(|at| FeedView { name: self.view.nodes[at].name.to_string(), carries: self.carried(at) })
            .collect();
        if !feeds.is_empty() {
            let head = NodeView {
                name: "source not declared".to_owned(),
                href: None,
                mark: None,
                sort: "",
                components: Vec::new(),
                hangs_on: Vec::new(),
                note: String::new(),
                is_odd: false,
            };
            sources.push(SourceView { head, feeds });
        }
        sources
    }

    fn carried(&self, feed: usize) -> String {
        let on = self.hanging_on(feed);
        let count = |kind| on.iter().filter(|edge| self.view.nodes[edge.from].kind == kind).count();
        let (hosts, switches) = (count(NodeKind::Host), count(NodeKind::Switch));
        let hosts = words::plural(hosts, "host", "hosts");
        if switches == 0 { hosts } else { format!("{hosts}, {}", words::plural(switches, "switch", "switches")) }
    }

    fn zones(&self) -> Vec<ZoneView> {
        let zone = |zone: usize| {
            let inside: Vec<usize> = self
                .of_kind(NodeKind::Host)
                .filter(|at| self.view.nodes[*at].within == Some(zone) && self.is_shown(&self.view.nodes[*at]))
                .collect();
            let name = self.view.nodes[zone].name.to_string();
            (!inside.is_empty()).then(|| ZoneView {
                hosts_href: self.ctx.scope.list("hosts", &super::hosts::term("zone", &name)),
                name,
                count: words::plural(inside.len(), "host", "hosts"),
                more: inside.len().saturating_sub(HOSTS_MAX),
                hosts: inside.into_iter().take(HOSTS_MAX).map(|at| self.node(at)).collect(),
            })
        };
        let mut zones: Vec<ZoneView> = self.of_kind(NodeKind::Zone).filter_map(zone).collect();
        let strangers: Vec<NodeView> = self
            .of_kind(NodeKind::Host)
            .filter(|at| !self.view.nodes[*at].is_declared)
            .take(HOSTS_MAX)
            .map(|at| self.node(at))
            .collect();
        if !strangers.is_empty() {
            zones.push(ZoneView {
                name: "Not configured".to_owned(),
                count: words::plural(strangers.len(), "host", "hosts"),
                hosts: strangers,
                more: 0,
                hosts_href: String::new(),
            });
        }
        zones
    }

    fn is_shown(&self, node: &Node) -> bool {
        node.is_declared && self.ctx.scope.contains(node.cloud)
    }

    fn stores(&self) -> Vec<StoreView> {
        let all = self.of_kind(NodeKind::Storage).chain(self.of_kind(NodeKind::Replica));
        let shown = all.filter(|at| self.is_shown(&self.view.nodes[*at]));
        shown
            .map(|at| {
                let node = &self.view.nodes[at];
                let users = self.hanging_on(at).iter().map(|edge| {
                    let user = &self.view.nodes[edge.from];
                    let href = user.host.map(|host| self.href(host));
                    (user.name.to_string(), href, edge.standing.as_str())
                });
                let is_replica = node.kind == NodeKind::Replica;
                StoreView {
                    icon: "disk",
                    name: node.name.to_string(),
                    kind: if is_replica { "DRBD replica" } else { "shared storage" },
                    users: users.collect(),
                }
            })
            .collect()
    }

    fn href(&self, host: HostId) -> String {
        format!("/h/{}", encode(&self.ctx.snapshot.catalog.hosts[host.index()].name))
    }

    fn node(&self, at: usize) -> NodeView {
        let node = &self.view.nodes[at];
        let edges = self.from.get(&at).map_or(&[][..], Vec::as_slice);
        let is_drifting = self.drifting.binary_search(&&*node.name).is_ok();
        let carries = self.hanging_on(at).iter().filter(|edge| edge.kind == EdgeKind::Link).count();
        let note = match node.kind {
            NodeKind::Switch if carries > 0 => words::plural(carries, "link", "links"),
            NodeKind::Source => "feeds".to_owned(),
            _ => String::new(),
        };
        NodeView {
            name: node.name.to_string(),
            href: node.host.map(|host| self.href(host)),
            mark: node.host.map(|host| worst(self.ctx.snapshot, host)),
            sort: node.sort,
            components: node.components.iter().map(ToString::to_string).collect(),
            hangs_on: edges.iter().filter_map(|edge| self.chip(edge)).collect(),
            note,
            is_odd: is_drifting || !node.is_declared,
        }
    }

    fn chip(&self, edge: &Edge) -> Option<Chip> {
        let on = &self.view.nodes[edge.to].name;
        let (icon, text) = match edge.kind {
            EdgeKind::Link => {
                let interface = edge.interface.as_deref().map(|name| format!("{name} → ")).unwrap_or_default();
                let port = edge.port.as_deref().map(|port| format!(" {port}")).unwrap_or_default();
                let aggregate = edge.aggregate.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
                ("net", format!("{interface}{on}{port}{aggregate}"))
            }
            EdgeKind::Power => ("pow", format!("feed {on}")),
            EdgeKind::Guest => ("host", format!("on {on}")),
            EdgeKind::Storage | EdgeKind::Replica => ("disk", on.to_string()),
        };
        let words = match edge.standing {
            Standing::Declared => "declared, not seen",
            Standing::Seen => "seen, not declared",
            Standing::Confirmed => "declared and seen",
            Standing::Contradicted => "declared, and seen otherwise",
        };
        Some(Chip { icon, text: words::cut(&text, 60), standing: edge.standing.as_str(), words })
    }
}

/// The state of a host, or the worst believed problem on it.
fn worst(snapshot: &Snapshot, host: HostId) -> Mark {
    let row = &snapshot.hosts[host.index()];
    let of_host = Mark::of_host(row);
    let rows = snapshot.catalog.hosts[host.index()].services.iter().map(|id| &snapshot.services[id.index()]);
    let problems = rows.filter(|row| row.is_hard_problem()).map(Mark::of_service);
    problems.max().map_or(of_host, |problem| of_host.max(problem))
}

pub fn build(ctx: Ctx<'_>, shell: Shell) -> TopologyPage {
    let board = TopologyFragment::build(ctx);
    let drift = board.drift.len() + board.drift_more;
    let sub = match drift {
        0 => "What hangs on what: declared in the configuration, and seen by probes. Nothing differs.".to_owned(),
        n => format!(
            "What hangs on what: declared in the configuration, and seen by probes. {} where the two differ.",
            words::plural(n, "place", "places")
        ),
    };
    TopologyPage { shell, sub, board }
}
