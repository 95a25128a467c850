//! The state of a grounded expression, the smallest set of failed pieces behind it, and how many more it survives.

use serde::{Deserialize, Serialize};

use super::State;
use super::ground::{Grounded, Label, Node};

/// How many further failures a service survives at least.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Redundancy {
    /// Any so many pieces more may fail.
    pub left: u32,
    /// The same with everything well.
    pub of: u32,
}

/// What one look at a service says.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub state: State,
    /// The smallest set of pieces that forces this state, as indices into [`Grounded::pieces`]; empty when available.
    pub because: Vec<usize>,
    /// `None` where nothing can fail: nothing of it is registered.
    pub redundancy: Option<Redundancy>,
    /// What does not hold, in words, one entry for each condition.
    pub words: Vec<String>,
}

/// Every pair of pieces is tried up to this many pieces; beyond, only single ones (2,016 pairs take well under 1 ms).
const PAIRS_OF_MAX: usize = 64;

impl Grounded {
    /// The state alone; `states` is parallel to `pieces`.
    pub fn state(&self, states: &[State]) -> State {
        self.root.as_ref().map_or(State::Available, |root| evaluate(root, states))
    }

    /// Everything about it; `states` is parallel to `pieces`.
    pub fn look(&self, states: &[State]) -> Look {
        let Some(root) = &self.root else {
            return Look { state: State::Available, because: Vec::new(), redundancy: None, words: Vec::new() };
        };
        let state = evaluate(root, states);
        let mut because = Vec::new();
        let mut words = Vec::new();
        if state < State::Available {
            because = explain(root, states, state).unwrap_or_default();
            because.sort_unstable();
            because.dedup();
            self.tell(root, states, &mut words);
        }
        let well = vec![State::Available; self.pieces.len()];
        let redundancy = Some(Redundancy { left: self.survives(root, states), of: self.survives(root, &well) });
        Look { state, because, redundancy, words }
    }

    /// The largest n so that any n pieces may fail on top without the service being gone.
    fn survives(&self, root: &Node, states: &[State]) -> u32 {
        if evaluate(root, states) == State::Unavailable {
            return 0;
        }
        let all = self.pieces.len() as u32;
        let cut = cut(root, states).map_or(all, |cut| cut.saturating_sub(1).min(all));
        if cut == 0 || root.is_read_once(self.pieces.len()) {
            return cut;
        }
        // A piece that is named more than once: what the tree says may be too good, so the small cases are tried.
        let mut trial = states.to_vec();
        let up: Vec<usize> = (0..states.len()).filter(|piece| states[*piece] > State::Unavailable).collect();
        let mut falls = |pieces: &[usize]| {
            pieces.iter().for_each(|piece| trial[*piece] = State::Unavailable);
            let gone = evaluate(root, &trial) == State::Unavailable;
            pieces.iter().for_each(|piece| trial[*piece] = states[*piece]);
            gone
        };
        if up.iter().any(|piece| falls(&[*piece])) {
            return 0;
        }
        if up.len() > PAIRS_OF_MAX {
            return cut.min(1);
        }
        let pairs = up.iter().enumerate().flat_map(|(i, a)| up[i + 1..].iter().map(move |b| [*a, *b]));
        if pairs.into_iter().any(|pair| falls(&pair)) { cut.min(1) } else { cut.min(2) }
    }

    /// Says of each condition at the top what is missing.
    fn tell(&self, node: &Node, states: &[State], words: &mut Vec<String>) {
        match node {
            Node::Of { members, label: Label::And, .. } => {
                for (_, member) in members.iter().filter(|(_, member)| evaluate(member, states) < State::Available) {
                    self.tell(member, states, words);
                }
            }
            Node::Should(body) => self.tell(body, states, words),
            Node::Of { .. } | Node::Piece(_) => words.push(self.phrase(node, states, None)),
        }
    }

    /// `said`: the zone that the words before have named.
    fn phrase(&self, node: &Node, states: &[State], said: Option<&str>) -> String {
        match node {
            Node::Piece(piece) => {
                let name = self.pieces.get(*piece).map(ToString::to_string).unwrap_or_default();
                format!("{name} is {}", states.get(*piece).copied().unwrap_or(State::Unknown).as_str())
            }
            Node::Should(body) => self.phrase(body, states, said),
            Node::Of { needed, members, label } => {
                let state = evaluate(node, states);
                let serving: u64 = members.iter().filter(|(_, m)| evaluate(m, states) > state).map(|(w, _)| w).sum();
                let inner = |between: &str, said: Option<&str>| {
                    let failing =
                        members.iter().filter(|(_, member)| evaluate(member, states) <= state.max(State::Unknown));
                    failing.map(|(_, member)| self.phrase(member, states, said)).collect::<Vec<_>>().join(between)
                };
                match label {
                    Label::Kind(kind, zone) => {
                        let zone = zone.as_ref().filter(|zone| said != Some(&**zone));
                        let zone = zone.map_or_else(String::new, |zone| format!(" in zone {zone}"));
                        match state {
                            State::Unavailable if serving == 0 && *needed <= 1 => format!("no {kind} in service{zone}"),
                            State::Unavailable => {
                                format!("{serving} {kind} in service of at least {needed}{zone}")
                            }
                            State::Unknown | State::Degraded | State::Available => {
                                format!("{kind} is {}{zone}", state.as_str())
                            }
                        }
                    }
                    Label::Zone(zone) => format!("zone {zone}: {}", inner(", ", Some(zone))),
                    Label::Zones | Label::Or => inner("; ", said),
                    Label::And => inner(", ", said),
                    Label::List if members.len() == 1 => inner(", ", said),
                    Label::List => {
                        let total: u64 = members.iter().map(|(weight, _)| weight).sum();
                        format!("{serving} of {total} in service, {needed} needed: {}", inner(", ", said))
                    }
                }
            }
        }
    }
}

impl Node {
    fn is_read_once(&self, pieces: usize) -> bool {
        fn see(node: &Node, seen: &mut [bool]) -> bool {
            match node {
                Node::Piece(piece) => seen.get_mut(*piece).is_some_and(|seen| !std::mem::replace(seen, true)),
                Node::Should(body) => see(body, seen),
                Node::Of { members, .. } => members.iter().all(|(_, member)| see(member, seen)),
            }
        }
        see(self, &mut vec![false; pieces])
    }
}

/// The best state that enough weight has at least.
fn evaluate(node: &Node, states: &[State]) -> State {
    match node {
        Node::Piece(piece) => states.get(*piece).copied().unwrap_or(State::Unknown),
        Node::Should(body) => evaluate(body, states).max(State::Degraded),
        Node::Of { needed, members, .. } => {
            reached(*needed, members.iter().map(|(weight, member)| (*weight, evaluate(member, states))))
        }
    }
}

/// The best state that at least so much of the weight has.
pub(crate) fn reached(needed: u64, members: impl Iterator<Item = (u64, State)>) -> State {
    // Weight per state, from bad to good.
    let mut weight = [0_u64; State::ALL.len()];
    for (of, state) in members {
        weight[state as usize] += of;
    }
    let mut sum = 0;
    for state in State::ALL.into_iter().rev() {
        sum += weight[state as usize];
        if sum >= needed {
            return state;
        }
    }
    State::Unavailable
}

/// A smallest set of pieces whose present states keep the node at `state` or below; `None` if it is above.
/// Exact while no piece is named twice and weights are equal; otherwise small, and always sufficient.
fn explain(node: &Node, states: &[State], state: State) -> Option<Vec<usize>> {
    match node {
        Node::Piece(piece) => (states.get(*piece).copied().unwrap_or(State::Unknown) <= state).then(|| vec![*piece]),
        Node::Should(body) if state >= State::Degraded => explain(body, states, state),
        Node::Should(_) => None,
        Node::Of { needed, members, .. } => {
            let total: u64 = members.iter().map(|(weight, _)| weight).sum();
            // So much weight may be missing before the node falls.
            let spare = total.checked_sub(*needed);
            let Some(spare) = spare else { return Some(Vec::new()) };
            let mut down: Vec<(u64, Vec<usize>)> =
                members.iter().filter_map(|(w, member)| Some((*w, explain(member, states, state)?))).collect();
            // Most weight for the fewest pieces first.
            down.sort_by(|(wa, a), (wb, b)| (a.len() as u64 * wb).cmp(&(b.len() as u64 * wa)).then_with(|| a.cmp(b)));
            let (mut taken, mut missing) = (Vec::new(), 0);
            for (weight, pieces) in down {
                if missing > spare {
                    break;
                }
                missing += weight;
                taken.push((weight, pieces));
            }
            if missing <= spare {
                return None;
            }
            // What was taken early may be needless after a heavier one.
            let mut kept: Vec<usize> = Vec::new();
            for (weight, pieces) in taken {
                if missing - weight > spare {
                    missing -= weight;
                } else {
                    kept.extend(pieces);
                }
            }
            Some(kept)
        }
    }
}

/// The fewest pieces whose failure takes the node away; `None` if nothing can.
fn cut(node: &Node, states: &[State]) -> Option<u32> {
    match node {
        Node::Piece(piece) => {
            Some(u32::from(states.get(*piece).copied().unwrap_or(State::Unknown) > State::Unavailable))
        }
        Node::Should(_) => None,
        Node::Of { needed, members, .. } => {
            let total: u64 = members.iter().map(|(weight, _)| weight).sum();
            let Some(spare) = total.checked_sub(*needed) else { return Some(0) };
            let mut cuts: Vec<(u64, u32)> = members.iter().filter_map(|(w, m)| Some((*w, cut(m, states)?))).collect();
            if members.iter().any(|(weight, _)| *weight != 1) {
                return lightest(&cuts, spare);
            }
            cuts.sort_unstable_by_key(|(_, cost)| *cost);
            let enough = usize::try_from(spare).ok()?.checked_add(1)?;
            (cuts.len() >= enough).then(|| cuts.iter().take(enough).map(|(_, cost)| cost).sum())
        }
    }
}

/// The fewest pieces that take more weight than `spare`: for each number of pieces, the most weight it can take.
fn lightest(cuts: &[(u64, u32)], spare: u64) -> Option<u32> {
    /// More pieces than this to take one service away are counted as this many.
    const COST_MAX: usize = 256;
    let mut most = vec![None; COST_MAX + 1];
    most[0] = Some(0_u64);
    for (weight, cost) in cuts {
        let cost = (*cost as usize).min(COST_MAX);
        for at in (0..=COST_MAX - cost).rev() {
            let Some(weight_at) = most[at] else { continue };
            let with = weight_at + weight;
            if most[at + cost].is_none_or(|held| held < with) {
                most[at + cost] = Some(with);
            }
        }
    }
    most.iter().position(|held| held.is_some_and(|weight| weight > spare)).map(|cost| cost as u32)
}
