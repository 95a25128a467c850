//! How bad it is: severity, visibility and impact from the redundancy that is left (rule 12).

use super::draft::{Board, Draft, puts_out};
use super::verdict::{Class, CoreState, Impact, Severity, TargetKind, Visibility};
use super::world::World;

pub(super) struct Weight {
    pub severity: Severity,
    pub visibility: Visibility,
    /// `(left, of)` of the member that has least left.
    pub redundancy: Option<(u32, u32)>,
}

pub(super) fn weigh(world: &World, board: &Board<'_>, serving: &Serving, draft: &Draft<'_>) -> Weight {
    let left = Left::of(world, board, serving, draft);
    let counted = least_left(world, &left, draft);
    let (severity, visibility) = draft.weight.unwrap_or_else(|| by_class(world, &left, draft));
    Weight { severity, visibility, redundancy: draft.redundancy.or(counted) }
}

fn by_class(world: &World, left: &Left<'_, '_>, draft: &Draft<'_>) -> (Severity, Visibility) {
    match draft.cause() {
        Class::SoftwareDown | Class::ResourceUnavailable | Class::ServerDown | Class::Network => {
            by_members(world, left, draft)
        }
        Class::ResourceAtRisk | Class::RedundancyLost | Class::NetworkPath | Class::Flapping => {
            let severity = if draft.critical && draft.class == Class::ResourceAtRisk {
                Severity::Major
            } else {
                Severity::Warning
            };
            (severity, Visibility::Invisible)
        }
        Class::AdminStopped | Class::Starting => (Severity::Info, Visibility::Invisible),
        Class::Unknown => (Severity::Unknown, Visibility::Invisible),
        Class::PowerEvent | Class::SiteDown => (Severity::Critical, Visibility::Visible),
        Class::MonitorIsolated | Class::SplitBrain => (Severity::Critical, Visibility::Invisible),
    }
}

fn by_members(world: &World, left: &Left<'_, '_>, draft: &Draft<'_>) -> (Severity, Visibility) {
    let mut worst: Option<(Severity, Visibility)> = None;
    for &comp in &draft.members {
        // A virtual machine that fell with its node counts through the node.
        if draft.target.kind == TargetKind::Host && draft.target.host.as_ref() != Some(host_name(world, comp)) {
            continue;
        }
        let (severity, visibility) = of_member(world, left, draft, comp);
        worst = Some(match worst {
            None => (severity, visibility),
            Some((held, Visibility::Visible)) => (held.max(severity), Visibility::Visible),
            Some((held, Visibility::Invisible)) => (held.max(severity), visibility),
        });
    }
    worst.unwrap_or((Severity::Critical, Visibility::Visible))
}

fn host_name(world: &World, comp: usize) -> &std::sync::Arc<str> {
    &world.hosts[world.comps[comp].host].name
}

fn of_member(world: &World, left: &Left<'_, '_>, draft: &Draft<'_>, comp: usize) -> (Severity, Visibility) {
    let kind = &*world.comps[comp].kind;
    let of_host = matches!(draft.cause(), Class::ServerDown | Class::Network) && draft.target.kind == TargetKind::Host;
    if of_host && draft.subtype != "rebooting" && world.topology.carries_guests(kind) {
        return (Severity::Critical, Visibility::Visible);
    }
    let others = left.others(world, comp);
    // Only those who import an image just then notice.
    if kind == "iw" && world.topology.platform == "eucalyptus" {
        return (Severity::Warning, Visibility::Invisible);
    }
    if world.topology.serves_each(kind) {
        return (Severity::Critical, Visibility::Visible);
    }
    let (many, min) = redundancy(world, kind);
    match others {
        others if others < min => (Severity::Critical, Visibility::Visible),
        _ if many => (Severity::Warning, Visibility::Invisible),
        others if others == min => (Severity::Major, Visibility::Invisible),
        _ if of_host => (Severity::Major, Visibility::Invisible),
        _ => (Severity::Warning, Visibility::Invisible),
    }
}

/// Whether any one of many alike can go, and how many must be left.
fn redundancy(world: &World, kind: &str) -> (bool, usize) {
    let known = world.topology.knowledge.redundancy.get(kind);
    let (many, min) = known.map_or((kind == "nc", 1), |known| (known.many, known.min));
    let min = if kind == "nc" { world.topology.min_nc.unwrap_or(min) } else { min };
    (many, min as usize)
}

/// How many of each group of equals serve, and how many more may take over.
pub(super) struct Serving {
    active: Vec<usize>,
    passive: Vec<usize>,
}

impl Serving {
    pub fn count(world: &World, board: &Board<'_>) -> Self {
        let mut serving = Serving { active: vec![0; world.groups_count], passive: vec![0; world.groups_count] };
        for (i, comp) in world.comps.iter().enumerate().filter(|(i, _)| board.is_in_service(world, *i)) {
            let counts = if board.passive[i] { &mut serving.passive } else { &mut serving.active };
            counts[comp.group] += 1;
        }
        serving
    }
}

/// The same from the side of one verdict.
struct Left<'b, 'a> {
    serving: &'b Serving,
    board: &'b Board<'a>,
    may_take_over: bool,
}

impl<'b, 'a> Left<'b, 'a> {
    fn of(world: &World, board: &'b Board<'a>, serving: &'b Serving, draft: &Draft<'_>) -> Self {
        let may_take_over = draft.known_since(world).is_none_or(|since| world.at.since(since) < world.timing.takeover);
        Left { serving, board, may_take_over }
    }

    /// Equal instances beside this one.
    fn others(&self, world: &World, comp: usize) -> usize {
        let group = world.comps[comp].group;
        let may = |passive: bool| self.may_take_over || !passive;
        let itself = self.board.is_in_service(world, comp) && may(self.board.passive[comp]);
        let all = self.serving.active[group] + if may(true) { self.serving.passive[group] } else { 0 };
        all - usize::from(itself)
    }
}

fn least_left(world: &World, left: &Left<'_, '_>, draft: &Draft<'_>) -> Option<(u32, u32)> {
    if !puts_out(draft.class) {
        return None;
    }
    let count = |comp: &usize| (left.others(world, *comp) as u32, world.peers(*comp).len() as u32);
    draft.members.iter().map(count).min()
}

pub(super) fn impact(
    world: &World,
    draft: &Draft<'_>,
    class: Class,
    visibility: Visibility,
    core: CoreState,
) -> Impact {
    match class {
        Class::SiteDown => Impact::Site,
        Class::SplitBrain => Impact::Partial,
        // The same in each moment: it is told once.
        Class::Flapping if visibility == Visibility::Visible => Impact::Partial,
        Class::SoftwareDown | Class::ServerDown | Class::ResourceUnavailable | Class::Network | Class::PowerEvent => {
            let guests = draft.members.iter().any(|comp| world.topology.carries_guests(&world.comps[*comp].kind));
            match (visibility, core) {
                (Visibility::Invisible, _) if guests => Impact::Capacity,
                (Visibility::Invisible, _) => Impact::None,
                (Visibility::Visible, CoreState::Unavailable) if touches_core(world, draft) => Impact::Full,
                (Visibility::Visible, _) => Impact::Partial,
            }
        }
        Class::NetworkPath
        | Class::MonitorIsolated
        | Class::RedundancyLost
        | Class::ResourceAtRisk
        | Class::AdminStopped
        | Class::Starting
        | Class::Flapping
        | Class::Unknown => Impact::None,
    }
}

fn touches_core(world: &World, draft: &Draft<'_>) -> bool {
    let aside = |kind: &str| matches!(kind, "console" | "elb" | "iw");
    draft.members.is_empty() || draft.members.iter().any(|comp| !aside(&world.comps[*comp].kind))
}
