//! Circles in "uses", "contains" and "depends on", without recursion: a configuration chooses how deep they go.

/// Edges of each node.
pub(super) struct Graph {
    offsets: Vec<usize>,
    targets: Vec<u32>,
}

impl Graph {
    /// From pairs (node, what it needs). A target beyond the nodes is left out.
    pub fn new(nodes: usize, edges: &[(u32, u32)]) -> Self {
        let is_inside = |edge: &&(u32, u32)| (edge.0 as usize) < nodes && (edge.1 as usize) < nodes;
        let mut offsets = vec![0; nodes + 1];
        for (from, _) in edges.iter().filter(is_inside) {
            offsets[*from as usize + 1] += 1;
        }
        for node in 0..nodes {
            offsets[node + 1] += offsets[node];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0; offsets[nodes]];
        for (from, to) in edges.iter().filter(is_inside) {
            targets[next[*from as usize]] = *to;
            next[*from as usize] += 1;
        }
        Graph { offsets, targets }
    }

    fn nodes(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn needs(&self, node: u32) -> &[u32] {
        &self.targets[self.offsets[node as usize]..self.offsets[node as usize + 1]]
    }

    /// Groups of nodes that reach each other, what is needed before what needs it (Tarjan 1972).
    pub fn components(&self) -> Vec<Vec<u32>> {
        const NEW: u32 = u32::MAX;
        let nodes = self.nodes();
        let mut index = vec![NEW; nodes];
        let mut low = vec![0u32; nodes];
        let mut is_waiting = vec![false; nodes];
        let mut waiting: Vec<u32> = Vec::new();
        let mut path: Vec<(u32, usize)> = Vec::new();
        let mut groups = Vec::new();
        let mut count = 0;
        for root in 0..nodes {
            if index[root] != NEW {
                continue;
            }
            path.push((root as u32, 0));
            while let Some((node, edge)) = path.pop() {
                let at = node as usize;
                if edge == 0 {
                    (index[at], low[at], is_waiting[at]) = (count, count, true);
                    waiting.push(node);
                    count += 1;
                }
                match self.needs(node).get(edge) {
                    Some(&next) if index[next as usize] == NEW => path.extend([(node, edge + 1), (next, 0)]),
                    Some(&next) => {
                        if is_waiting[next as usize] {
                            low[at] = low[at].min(index[next as usize]);
                        }
                        path.push((node, edge + 1));
                    }
                    None => {
                        if let Some((above, _)) = path.last() {
                            low[*above as usize] = low[*above as usize].min(low[at]);
                        }
                        if low[at] == index[at] {
                            let from = waiting.iter().rposition(|other| *other == node).unwrap_or(0);
                            let group = waiting.split_off(from);
                            group.iter().for_each(|member| is_waiting[*member as usize] = false);
                            groups.push(group);
                        }
                    }
                }
            }
        }
        groups
    }

    /// A walk in a circle through the group, beginning with its smallest node; empty if there is no circle in it.
    pub fn circle(&self, group: &[u32]) -> Vec<u32> {
        let Some(first) = group.iter().copied().min() else { return Vec::new() };
        if group.len() == 1 && !self.needs(first).contains(&first) {
            return Vec::new();
        }
        let members: std::collections::HashSet<u32> = group.iter().copied().collect();
        // The shortest way back to the first, breadth first.
        let mut came_from = std::collections::HashMap::new();
        let mut queue = std::collections::VecDeque::from([first]);
        while let Some(node) = queue.pop_front() {
            for next in self.needs(node).iter().copied().filter(|next| members.contains(next)) {
                if next == first {
                    let mut way = vec![node];
                    while let Some(before) =
                        way.last().filter(|node| **node != first).and_then(|node| came_from.get(node))
                    {
                        way.push(*before);
                    }
                    way.reverse();
                    return way;
                }
                if let std::collections::hash_map::Entry::Vacant(free) = came_from.entry(next) {
                    free.insert(node);
                    queue.push_back(next);
                }
            }
        }
        Vec::new()
    }
}

/// Names on a circle that are shown.
const SHOWN_MAX: usize = 8;

/// `a -> b -> a`
pub(super) fn shown<'a>(circle: &[u32], name: impl Fn(u32) -> &'a str) -> String {
    let mut words: Vec<String> =
        circle.iter().take(SHOWN_MAX).map(|node| crate::nagios::finding::quoted(name(*node))).collect();
    if circle.len() > SHOWN_MAX {
        words.push(format!("{} more", circle.len() - SHOWN_MAX));
    }
    words.extend(circle.first().map(|first| crate::nagios::finding::quoted(name(*first))));
    words.join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first_and_circles_are_walked() {
        let graph = Graph::new(6, &[(0, 1), (1, 2), (2, 3), (3, 1), (4, 4), (5, 0), (0, 99)]);
        let groups = graph.components();
        let position = |node: u32| groups.iter().position(|group| group.contains(&node)).expect("each node");
        assert!(position(1) < position(0) && position(0) < position(5));
        assert_eq!(position(1), position(3));
        let circles: Vec<_> = groups.iter().map(|group| graph.circle(group)).filter(|way| !way.is_empty()).collect();
        assert_eq!(circles, [vec![1, 2, 3], vec![4]]);
        assert_eq!(
            shown(&circles[0], |node| ["a", "b", "c", "d", "e", "f"][node as usize]),
            "`b` -> `c` -> `d` -> `b`"
        );
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<(u32, u32)> = (0..1_000_000).map(|node| (node, node + 1)).collect();
        assert_eq!(Graph::new(1_000_001, &edges).components().len(), 1_000_001);
    }
}
