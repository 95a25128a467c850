//! What is not simply well after a diagnosis: the input of every availability expression.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::draft::{Board, Draft, Fate};
use super::verdict::{Class, Target};
use super::world::World;

/// How a host or component stands, where it is not well; from bad to good.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Footing {
    Out,
    /// Out of service on purpose, or in maintenance.
    Planned,
    /// Out of service until its start is done.
    Starting,
    /// This monitor cannot see it.
    Unseen,
    /// The passive half of a pair, which has not taken over.
    TakingOver,
    /// In service; what it needs is about to fail, or it answers slowly.
    AtRisk,
}

impl Footing {
    pub const fn is_in_service(self) -> bool {
        match self {
            Footing::Out | Footing::Planned | Footing::Starting | Footing::Unseen => false,
            Footing::TakingOver | Footing::AtRisk => true,
        }
    }
}

/// One host (`component` = `None`) or component that is not simply well.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub host: Arc<str>,
    pub component: Option<Arc<str>>,
    pub footing: Footing,
    /// The target of the verdict that says so.
    pub by: Option<Target>,
}

/// All of them, hosts by name, each before its components.
pub(super) fn list(world: &World, board: &Board<'_>) -> Vec<Standing> {
    let mut list = Vec::new();
    for (index, host) in world.hosts.iter().enumerate() {
        if let Some(draft) = board.host_root[index] {
            let draft = &board.drafts[draft];
            list.push(entry(&host.name, None, out(draft.class), Some(draft)));
        }
        for comp in host.comps.clone() {
            let key = &world.comps[comp].key;
            if let Some((footing, draft)) = of_component(world, board, comp) {
                list.push(entry(&host.name, Some(key), footing, draft));
            }
        }
    }
    list
}

fn entry(host: &Arc<str>, component: Option<&Arc<str>>, footing: Footing, by: Option<&Draft<'_>>) -> Standing {
    Standing {
        host: Arc::clone(host),
        component: component.cloned(),
        footing,
        by: by.map(|draft| draft.target.clone()),
    }
}

fn out(class: Class) -> Footing {
    match class {
        Class::AdminStopped => Footing::Planned,
        Class::Starting => Footing::Starting,
        Class::MonitorIsolated => Footing::Unseen,
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::Network
        | Class::PowerEvent
        | Class::SiteDown
        | Class::NetworkPath
        | Class::SplitBrain
        | Class::RedundancyLost
        | Class::ResourceAtRisk
        | Class::Flapping
        | Class::Unknown => Footing::Out,
    }
}

fn of_component<'b, 'a>(world: &World, board: &'b Board<'a>, comp: usize) -> Option<(Footing, Option<&'b Draft<'a>>)> {
    if let Some(draft) = board.out_by(world, comp) {
        // What is stopped because its upstream is gone was not stopped on purpose.
        let class = match board.fate[comp] {
            Fate::Under(_, class) if board.host_root[world.comps[comp].host].is_none() => class,
            Fate::Under(..) | Fate::Root(_) | Fate::Fine => board.drafts[draft].class,
        };
        return Some((out(class), Some(&board.drafts[draft])));
    }
    if board.passive[comp] {
        return Some((Footing::TakingOver, None));
    }
    let (at_risk, draft) = match board.fate[comp] {
        Fate::Fine => return None,
        Fate::Root(draft) => {
            let draft = &board.drafts[draft];
            let slow = world.comps[comp].facts.saying("probe", "slow").is_some();
            (draft.class == Class::ResourceAtRisk && (draft.critical || slow), draft)
        }
        Fate::Under(draft, class) => (class == Class::ResourceAtRisk, &board.drafts[draft]),
    };
    at_risk.then_some((Footing::AtRisk, Some(draft)))
}
