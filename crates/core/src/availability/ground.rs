//! An expression on a topology: every component type spread into its instances, every zone into its own copy.
//!
//! What is not registered takes no part (specification 10, section 8): a cloud without Walrus is not less available.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::expr::{Expr, Leaf, Member, Need, Place, Term, WHOLE, What, Zones};
use crate::catalog::Catalog;
use crate::diagnosis::Topology;

type Name = Arc<str>;

/// One thing whose state an expression depends on.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Piece {
    pub kind: PieceKind,
    /// The cloud it belongs to, where it belongs to one.
    pub cloud: Option<Name>,
    /// Host, backend, business service or cloud.
    pub name: Name,
    /// Component key or service name.
    pub part: Option<Name>,
}

#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PieceKind {
    Component,
    Host,
    Service,
    Backend,
    Business,
    Core,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            PieceKind::Component | PieceKind::Service => {
                write!(f, "{}/{}", self.name, self.part.as_deref().unwrap_or_default())
            }
            PieceKind::Host | PieceKind::Backend | PieceKind::Business => f.write_str(&self.name),
            PieceKind::Core => write!(f, "Core of {}", self.name),
        }
    }
}

/// What an expression can name.
#[derive(Default)]
pub struct Known<'a> {
    /// Clouds in the order of the catalog.
    pub clouds: Vec<(&'a Name, &'a Topology)>,
    /// The cloud that a component type belongs to where the expression does not say `in cloud`.
    pub home: Option<usize>,
    /// Component types, hosts outside clouds and services are looked up here; `None` = not looked up.
    pub catalog: Option<&'a Catalog>,
    pub businesses: Vec<&'a str>,
}

/// A name that means nothing, for the reader of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lost {
    pub what: &'static str,
    pub name: String,
    /// What it may mean.
    pub known: Vec<String>,
}

/// An expression whose pieces are named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grounded {
    /// `None`: nothing of it is registered, so it is available.
    pub(super) root: Option<Node>,
    /// Each once, in the order of their first mention.
    pub pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Piece(usize),
    /// At least `needed` of the weight of the members.
    Of {
        needed: u64,
        members: Vec<(u64, Node)>,
        label: Label,
    },
    Should(Box<Node>),
}

/// How a person would call a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Label {
    And,
    Or,
    /// All instances of one component type, and the zone that they stand in.
    Kind(Name, Option<Name>),
    Zones,
    Zone(Name),
    List,
}

/// Spreads an expression over what is there. What it names and is not there is in the second answer.
pub fn ground(expr: &Expr, known: &Known<'_>) -> (Grounded, Vec<Lost>) {
    let mut grounding =
        Grounding { known, pieces: HashMap::new(), order: Vec::new(), lost: Vec::new(), zone_of: BTreeMap::new() };
    let scope = Scope { cloud: known.home, zone: None };
    let root = grounding.term(&expr.0, scope);
    (Grounded { root, pieces: grounding.order }, grounding.lost)
}

#[derive(Copy, Clone)]
struct Scope<'a> {
    cloud: Option<usize>,
    zone: Option<&'a Name>,
}

struct Grounding<'k, 'a> {
    known: &'k Known<'a>,
    pieces: HashMap<Piece, usize>,
    order: Vec<Piece>,
    lost: Vec<Lost>,
    /// Of each cloud, the zone that a host stands in; made when a zone is first asked for.
    zone_of: BTreeMap<usize, HashMap<&'a str, &'a str>>,
}

impl<'a> Grounding<'_, 'a> {
    fn term(&mut self, term: &Term, scope: Scope<'a>) -> Option<Node> {
        match term {
            Term::Leaf(leaf) => {
                let all = self.leaf(leaf, scope);
                group(all, &Need::Any, self.label(leaf, scope), 1)
            }
            Term::And(terms) => self.joined(terms, &Need::All, Label::And, scope),
            Term::Or(terms) => self.joined(terms, &Need::Any, Label::Or, scope),
            Term::Else(first, second) => {
                let first = self.term(first, scope);
                // Looked at in any case: a wrong name in it is a mistake also where it does not count.
                let order = self.order.len();
                let second = self.term(second, scope);
                if first.is_some() {
                    for piece in self.order.drain(order..) {
                        self.pieces.remove(&piece);
                    }
                }
                first.or(second)
            }
            Term::Of { need, members } => self.of(need, members, scope),
            Term::Should(body) => self.term(body, scope).map(|node| Node::Should(Box::new(node))),
            Term::In { place: Place::Cloud, name, body } => {
                let found = self.known.clouds.iter().position(|(cloud, _)| *cloud == name);
                if found.is_none() {
                    let known = self.known.clouds.iter().map(|(name, _)| name.to_string()).collect();
                    self.lose("cloud", name, known);
                    return None;
                }
                self.term(body, Scope { cloud: found, zone: None })
            }
            Term::In { place: Place::Zone, name, body } => {
                let zones = self.topology(scope).map(|topology| &topology.zones);
                let Some((zone, _)) = zones.and_then(|zones| zones.get_key_value(name)) else {
                    let known = zones.into_iter().flat_map(BTreeMap::keys).map(|name| name.to_string()).collect();
                    self.lose("zone", name, known);
                    return None;
                };
                self.term(body, Scope { zone: Some(zone), ..scope })
            }
        }
    }

    fn lose(&mut self, what: &'static str, name: &str, known: Vec<String>) {
        let lost = Lost { what, name: name.to_owned(), known };
        if !self.lost.contains(&lost) {
            self.lost.push(lost);
        }
    }

    fn topology(&self, scope: Scope<'_>) -> Option<&'a Topology> {
        self.known.clouds.get(scope.cloud?).map(|(_, topology)| *topology)
    }

    fn joined(&mut self, terms: &[Term], need: &Need, label: Label, scope: Scope<'a>) -> Option<Node> {
        let members = terms.iter().filter_map(|term| self.term(term, scope)).map(|node| (1, node)).collect();
        group(members, need, label, 1)
    }

    fn label(&self, leaf: &Leaf, scope: Scope<'_>) -> Label {
        match leaf {
            Leaf::Kind(kind) => Label::Kind(Arc::clone(kind), scope.zone.cloned()),
            Leaf::Component { .. }
            | Leaf::Host(_)
            | Leaf::Service { .. }
            | Leaf::Backend(_)
            | Leaf::BackendsOf(_)
            | Leaf::Business(_)
            | Leaf::Core(_) => Label::List,
        }
    }

    fn of(&mut self, need: &Need, members: &[Member], scope: Scope<'a>) -> Option<Node> {
        let label = match members {
            [Member { what: What::One(Term::Leaf(leaf)), .. }] => self.label(leaf, scope),
            [first, rest @ ..] if is_of_zones(first) && rest.iter().all(is_of_zones) => Label::Zones,
            _ => Label::List,
        };
        let mut nodes: Vec<(u64, Node)> = Vec::new();
        for member in members {
            let weight = u64::from(member.weight);
            match &member.what {
                What::One(Term::Leaf(leaf)) => {
                    nodes.extend(self.leaf(leaf, scope).into_iter().map(|(_, node)| (weight, node)));
                }
                What::One(term) => nodes.extend(self.term(term, scope).map(|node| (weight, node))),
                What::Zones(zones, term) => {
                    for zone in self.zones(*zones, scope) {
                        let body = self.term(term, Scope { zone: Some(zone), ..scope });
                        nodes.extend(body.map(|node| (weight, named(node, zone))));
                    }
                }
            }
        }
        let setting = match need {
            Need::Setting(name) => self.setting(name, scope),
            Need::Any | Need::All | Need::Count(_) | Need::Share(_) | Need::Weighted(_) | Need::Majority => 1,
        };
        group(nodes, need, label, setting)
    }

    fn setting(&mut self, name: &Name, scope: Scope<'_>) -> u64 {
        if &**name == "min_nc" {
            return self.topology(scope).and_then(|topology| topology.min_nc).unwrap_or(1).into();
        }
        self.lose("setting", name, vec!["min_nc".to_owned()]);
        1
    }

    fn zones(&self, zones: Zones, scope: Scope<'_>) -> Vec<&'a Name> {
        let Some(topology) = self.topology(scope) else { return Vec::new() };
        let fits = |zone: &&Name| {
            let vmware = topology.vmware_zones.contains(zone);
            match zones {
                Zones::Every => true,
                Zones::Vmware => vmware,
                Zones::Own => !vmware,
            }
        };
        topology.zones.keys().filter(fits).collect()
    }

    fn piece(&mut self, piece: Piece) -> (u64, Node) {
        let next = self.order.len();
        let index = *self.pieces.entry(piece.clone()).or_insert(next);
        if index == next {
            self.order.push(piece);
        }
        (1, Node::Piece(index))
    }

    fn leaf(&mut self, leaf: &Leaf, scope: Scope<'a>) -> Vec<(u64, Node)> {
        let cloud = scope.cloud.and_then(|index| self.known.clouds.get(index)).map(|(name, _)| Arc::clone(name));
        let single = |kind, name: &Name, part: Option<&Name>, cloud: Option<Name>| Piece {
            kind,
            cloud,
            name: Arc::clone(name),
            part: part.cloned(),
        };
        match leaf {
            Leaf::Kind(kind) => self.instances(kind, scope),
            Leaf::Component { host, key } => self.component(host, key),
            Leaf::Host(name) => {
                let of_cloud = self.known.clouds.iter().find(|(_, topology)| topology.hosts.contains_key(name));
                let outside = self.known.catalog.is_some_and(|catalog| catalog.host_id(name).is_some());
                if of_cloud.is_none() && !outside {
                    self.lose("host", name, Vec::new());
                    return Vec::new();
                }
                let piece = single(PieceKind::Host, name, None, of_cloud.map(|(cloud, _)| Arc::clone(cloud)));
                vec![self.piece(piece)]
            }
            Leaf::Service { host, service } => {
                if let Some(catalog) = self.known.catalog
                    && catalog.service_id(host, service).is_none()
                {
                    let of_host = catalog.host_id(host).map(|id| &catalog.hosts[id.index()].services);
                    let names = of_host.into_iter().flatten().map(|id| &catalog.services[id.index()].name);
                    let known = names.map(|name| format!("{host}/{name}")).collect();
                    self.lose("service", &format!("{host}/{service}"), known);
                    return Vec::new();
                }
                vec![self.piece(single(PieceKind::Service, host, Some(service), None))]
            }
            Leaf::Backend(name) => self.backend(name),
            Leaf::BackendsOf(kind) => {
                let users = self.topology(scope).into_iter().flat_map(|topology| &topology.backends);
                let names: Vec<&Name> = users.filter(|(_, kinds)| kinds.contains(kind)).map(|(name, _)| name).collect();
                names
                    .into_iter()
                    .map(|name| self.piece(single(PieceKind::Backend, name, None, cloud.clone())))
                    .collect()
            }
            Leaf::Business(name) => {
                if !self.known.businesses.contains(&&**name) {
                    let known = self.known.businesses.iter().map(|name| (*name).to_owned()).collect();
                    self.lose("business service", name, known);
                    return Vec::new();
                }
                vec![self.piece(single(PieceKind::Business, name, None, None))]
            }
            Leaf::Core(name) => {
                if !self.known.clouds.iter().any(|(cloud, _)| *cloud == name) {
                    let known = self.known.clouds.iter().map(|(name, _)| name.to_string()).collect();
                    self.lose("cloud", name, known);
                    return Vec::new();
                }
                vec![self.piece(single(PieceKind::Core, name, None, Some(Arc::clone(name))))]
            }
        }
    }

    fn component(&mut self, host: &Name, key: &Name) -> Vec<(u64, Node)> {
        let of_cloud = self.known.clouds.iter().find(|(_, topology)| {
            topology.hosts.get(host).is_some_and(|keys| keys.contains(key))
                || (topology.sysvms.contains_key(host) && host == key)
        });
        let Some((cloud, _)) = of_cloud else {
            let on_host = |(_, topology): &(&Name, &Topology)| topology.hosts.get(host).cloned();
            let keys = self.known.clouds.iter().find_map(on_host).unwrap_or_default();
            let known = keys.iter().map(|key| format!("{host}/{key}")).collect();
            self.lose("component", &format!("{host}/{key}"), known);
            return Vec::new();
        };
        let piece = Piece {
            kind: PieceKind::Component,
            cloud: Some(Arc::clone(cloud)),
            name: Arc::clone(host),
            part: Some(Arc::clone(key)),
        };
        vec![self.piece(piece)]
    }

    fn backend(&mut self, name: &Name) -> Vec<(u64, Node)> {
        let of_cloud = self.known.clouds.iter().find(|(_, topology)| topology.backends.contains_key(name));
        let Some((cloud, _)) = of_cloud else {
            let all = self.known.clouds.iter().flat_map(|(_, topology)| topology.backends.keys());
            let known = all.map(|name| name.to_string()).collect();
            self.lose("backend", name, known);
            return Vec::new();
        };
        let cloud = Some(Arc::clone(cloud));
        vec![self.piece(Piece { kind: PieceKind::Backend, cloud, name: Arc::clone(name), part: None })]
    }

    /// All components of a type in the scope, in the order of their hosts.
    fn instances(&mut self, kind: &Name, scope: Scope<'a>) -> Vec<(u64, Node)> {
        let Some((cloud, topology)) = scope.cloud.and_then(|index| self.known.clouds.get(index)).copied() else {
            let known = self.known.clouds.iter().map(|(name, _)| format!("in cloud {name} ({kind})")).collect();
            self.lose("scope of the component type", kind, known);
            return Vec::new();
        };
        let platform = self.known.catalog.and_then(|catalog| catalog.platform(&topology.platform));
        if let Some(platform) = platform
            && !platform.components.iter().any(|component| component.key == *kind)
        {
            let known = platform.components.iter().map(|component| component.key.to_string()).collect();
            self.lose("component", kind, known);
            return Vec::new();
        }
        let zone_of = match (scope.cloud, scope.zone) {
            (Some(cloud), Some(_)) => Some(&*self.zone_of.entry(cloud).or_insert_with(|| zones_of_hosts(topology))),
            (None, _) | (_, None) => None,
        };
        let stands =
            |host: &Name| zone_of.is_none_or(|zones| zones.get(&**host).copied() == scope.zone.map(|zone| &**zone));
        let mut found: Vec<(&Name, &Name)> = Vec::new();
        for (host, keys) in &topology.hosts {
            if keys.contains(kind) && stands(host) {
                found.push((host, kind));
            }
        }
        // A system VM that has no host row of its own is its own component: `vr1` is a `vr`.
        for name in topology.sysvms.keys().filter(|name| !topology.hosts.contains_key(*name)) {
            let of_kind = name.trim_end_matches(|c: char| c.is_ascii_digit()) == &**kind;
            if of_kind && stands(name) {
                found.push((name, name));
            }
        }
        let pieces = found.into_iter().map(|(host, key)| Piece {
            kind: PieceKind::Component,
            cloud: Some(Arc::clone(cloud)),
            name: Arc::clone(host),
            part: Some(Arc::clone(key)),
        });
        pieces.collect::<Vec<_>>().into_iter().map(|piece| self.piece(piece)).collect()
    }
}

fn is_of_zones(member: &Member) -> bool {
    matches!(member.what, What::Zones(..))
}

/// As for the classifier: a host that two zones name stands in the first.
fn zones_of_hosts(topology: &Topology) -> HashMap<&str, &str> {
    let mut zones: HashMap<&str, &str> = HashMap::with_capacity(topology.hosts.len());
    for (zone, hosts) in &topology.zones {
        for host in hosts {
            zones.entry(&**host).or_insert(&**zone);
        }
    }
    zones
}

/// Gives the body of a zone its name, so that a person can tell one from another.
fn named(node: Node, zone: &Name) -> Node {
    match node {
        Node::Of { needed, members, label: Label::And } => {
            Node::Of { needed, members, label: Label::Zone(Arc::clone(zone)) }
        }
        Node::Of { .. } | Node::Piece(_) | Node::Should(_) => node,
    }
}

/// `setting` = the number behind [`Need::Setting`].
fn group(members: Vec<(u64, Node)>, need: &Need, label: Label, setting: u64) -> Option<Node> {
    if members.is_empty() {
        return None;
    }
    let total = members.iter().map(|(weight, _)| weight).sum();
    let needed = needed(need, total, setting);
    Some(Node::Of { needed, members, label })
}

/// How much of the whole weight is needed; `setting` = the number behind [`Need::Setting`].
pub(crate) fn needed(need: &Need, total: u64, setting: u64) -> u64 {
    let share = |thousandths: u32| (total * u64::from(thousandths)).div_ceil(u64::from(WHOLE));
    match need {
        Need::Any => 1,
        Need::All => total,
        Need::Count(count) => u64::from(*count),
        Need::Setting(_) => setting,
        Need::Share(thousandths) | Need::Weighted(thousandths) => share(*thousandths),
        Need::Majority => total / 2 + 1,
    }
}
