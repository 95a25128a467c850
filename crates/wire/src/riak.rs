//! Riak KV: `/stats` of a node, and what `riak-admin` says of the ring: members, ownership, hand-offs.

use serde_json::Value;

use crate::tool_json::{self, JsonError};

/// What a node says of itself at `/stats`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    pub node: String,
    pub members: Vec<String>,
    /// The others that it is connected to.
    pub connected: Vec<String>,
    pub partitions: Option<u64>,
    /// Partitions that this node owns.
    pub owned: Option<u64>,
    pub vnodes: Option<u64>,
    pub get_ms_95: Option<f64>,
    pub put_ms_95: Option<f64>,
    pub memory_bytes: Option<f64>,
    pub handoff_timeouts: Option<u64>,
    pub version: String,
}

impl Stats {
    /// Members of the ring that this node does not reach.
    pub fn unreachable(&self) -> Vec<String> {
        let reached = |member: &&String| **member == self.node || self.connected.contains(member);
        self.members.iter().filter(|member| !reached(member)).cloned().collect()
    }
}

/// Reads `/stats`.
///
/// # Errors
/// It is no JSON, or not of Riak.
pub fn parse_stats(text: &str) -> Result<Stats, JsonError> {
    let document: Value = tool_json::document(text)?;
    let list = |key: &str| -> Option<Vec<String>> {
        let all = document.get(key)?.as_array()?;
        Some(all.iter().filter_map(|one| one.as_str().map(bare)).collect())
    };
    let word = |key: &str| document.get(key).and_then(Value::as_str).map(bare).unwrap_or_default();
    let count = |key: &str| document.get(key).and_then(Value::as_u64);
    // Times are in microseconds.
    let millis = |key: &str| document.get(key).and_then(Value::as_f64).map(|micros| micros / 1000.0);
    let node = word("nodename");
    let members = list("ring_members").filter(|_| !node.is_empty());
    let members = members.ok_or_else(|| JsonError::Shape("no members `nodename` and `ring_members`".into()))?;
    let owned = owned(document.get("ring_ownership").and_then(Value::as_str).unwrap_or_default(), &node);
    Ok(Stats {
        members,
        connected: list("connected_nodes").unwrap_or_default(),
        partitions: count("ring_num_partitions"),
        owned,
        vnodes: count("riak_kv_vnodes_running"),
        get_ms_95: millis("node_get_fsm_time_95"),
        put_ms_95: millis("node_put_fsm_time_95"),
        memory_bytes: document.get("memory_total").and_then(Value::as_f64),
        handoff_timeouts: count("handoff_timeouts"),
        version: word("riak_kv_version"),
        node,
    })
}

/// `'riak@a'`, as Erlang writes names with an `@`.
fn bare(name: &str) -> String {
    name.trim().trim_matches('\'').to_owned()
}

/// `[{'riak@a',21},{'riak@b',43}]`
fn owned(text: &str, node: &str) -> Option<u64> {
    let pairs = text.split('{').filter_map(|pair| pair.split('}').next()?.rsplit_once(','));
    pairs.filter(|(name, _)| bare(name) == node).find_map(|(_, count)| count.trim().parse().ok())
}

/// A member of the ring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    pub name: String,
    /// `valid`, `leaving`, `exiting`, `joining`, `down`
    pub status: String,
    pub ring_pct: Option<f64>,
    /// Its share once all hand-offs are done; `None` = nothing is pending.
    pub pending_pct: Option<f64>,
}

/// Reads `riak-admin member-status`; empty if it is none.
pub fn parse_members(text: &str) -> Vec<Member> {
    const STATUSES: [&str; 5] = ["valid", "leaving", "exiting", "joining", "down"];
    let percent = |word: &str| tool_json::number(word).filter(|pct| word.ends_with('%') && (0.0..=100.0).contains(pct));
    let member = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [status, ring, pending, rest @ ..] = words.as_slice() else { return None };
        // In some versions a remark of the node stands before its name.
        let name = rest.iter().rev().find(|word| word.contains('@'))?;
        STATUSES.contains(status).then(|| Member {
            name: bare(name),
            status: (*status).to_owned(),
            ring_pct: percent(ring),
            pending_pct: percent(pending),
        })
    };
    text.lines().filter_map(member).collect()
}

/// What `riak-admin ring-status` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ring {
    pub is_ready: Option<bool>,
    /// Ownership that waits to be handed over.
    pub is_changing: bool,
    pub unreachable: Vec<String>,
}

/// Reads `riak-admin ring-status`.
pub fn parse_ring(text: &str) -> Ring {
    let mut ring = Ring::default();
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("===") {
            section = line.trim_matches(['=', ' ']);
        } else if let Some(word) = line.strip_prefix("Ring Ready:") {
            ring.is_ready = Some(word.trim() == "true");
        } else if section == "Ownership Handoff" && !line.starts_with("No pending changes") {
            ring.is_changing = true;
        } else if section == "Unreachable Nodes" && line.contains('@') {
            let words = line.split([' ', ',', '[', ']']).filter(|word| word.contains('@'));
            ring.unreachable.extend(words.map(bare));
        }
    }
    ring
}

/// What `riak-admin transfers` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transfers {
    /// Partitions that a node holds for another: hinted hand-offs that wait.
    pub waiting: Vec<(String, u64)>,
    /// Partitions of a node that do not run there.
    pub not_running: Vec<(String, u64)>,
}

/// Reads `riak-admin transfers`.
pub fn parse_transfers(text: &str) -> Transfers {
    let mut transfers = Transfers::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(name) = words.first().filter(|word| word.contains('@')) else { continue };
        let count = words.iter().find_map(|word| word.parse::<u64>().ok()).unwrap_or(0);
        if line.contains("waiting to handoff") {
            transfers.waiting.push((bare(name), count));
        } else if line.contains("does not have") {
            transfers.not_running.push((bare(name), count));
        }
    }
    transfers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Hand-written after the reference of Riak KV 2.2: "Inspecting a Node", "Cluster Administration".
    const STATS: &str = r#"{"nodename":"riak@10.0.0.1","ring_members":["riak@10.0.0.1","riak@10.0.0.2","riak@10.0.0.3"],
        "connected_nodes":["riak@10.0.0.2"],"ring_num_partitions":64,"ring_ownership":"[{'riak@10.0.0.1',22},\n {'riak@10.0.0.2',21}]",
        "riak_kv_vnodes_running":22,"node_get_fsm_time_95":1500,"node_put_fsm_time_95":0,"memory_total":123456,"riak_kv_version":"2.2.3"}"#;
    const MEMBERS: &str = "================================= Membership ==================================\n\
        Status     Ring    Pending    Node\n-------------------------------------------------------------------------------\n\
        valid      34.4%     33.0%    'riak@10.0.0.1'\nleaving     1.5%      0.0%    'riak@10.0.0.2'\ndown       64.1%      --      riak@10.0.0.3\n\
        -------------------------------------------------------------------------------\nValid:1 / Leaving:1 / Exiting:0 / Joining:0 / Down:1\n";
    const RING: &str = "================================== Claimant ===================================\nClaimant:  'riak@10.0.0.1'\n\
        Status:     up\nRing Ready: false\n\n============================== Ownership Handoff ==============================\n\
        Owner:      riak@10.0.0.1\nNext Owner: riak@10.0.0.2\n\n============================== Unreachable Nodes ==============================\n\
        The following nodes are unreachable: ['riak@10.0.0.3', 'riak@10.0.0.4']\n\nWARNING: The cluster state will not converge\n";

    #[test]
    fn a_node_tells_whom_it_does_not_reach() {
        let seen = parse_stats(STATS).expect("stats");
        assert_eq!((seen.unreachable(), seen.owned), (vec!["riak@10.0.0.3".to_owned()], Some(22)));
        assert_eq!((seen.get_ms_95, seen.partitions, seen.version.as_str()), (Some(1.5), Some(64), "2.2.3"));
        assert!(parse_stats(r#"{"nodename":"x"}"#).is_err() && parse_stats("not found").is_err());
    }

    #[test]
    fn members_ring_and_transfers_are_read() {
        let told: Vec<(String, String, Option<f64>)> =
            parse_members(MEMBERS).into_iter().map(|one| (one.name, one.status, one.pending_pct)).collect();
        let expected = [("1", "valid", Some(33.0)), ("2", "leaving", Some(0.0)), ("3", "down", None)];
        assert_eq!(told, expected.map(|(at, status, pct)| (format!("riak@10.0.0.{at}"), status.to_owned(), pct)));
        let ring = parse_ring(RING);
        assert_eq!((ring.is_ready, ring.is_changing, ring.unreachable.len()), (Some(false), true, 2));
        let calm = "Ring Ready: true\n=== Ownership Handoff ===\nNo pending changes.\n=== Unreachable Nodes ===\nAll nodes are up and reachable\n";
        assert_eq!(parse_ring(calm), Ring { is_ready: Some(true), ..Ring::default() });
        let transfers = parse_transfers(
            "'riak@a' waiting to handoff 3 partitions\nriak@b does not have 2 primary partitions running\n\nActive Transfers:\n\n",
        );
        assert_eq!(
            (transfers.waiting, transfers.not_running),
            (vec![("riak@a".into(), 3)], vec![("riak@b".into(), 2)])
        );
        assert_eq!(parse_transfers("No transfers active\n"), Transfers::default());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(valid|down|%|riak@a|'|===|Ring Ready:|Unreachable Nodes|waiting to handoff|[0-9]{1,25}| |\n|\\{|\\}|,|\\PC){0,50}") {
            let _ = (parse_members(&text), parse_ring(&text), parse_transfers(&text), parse_stats(&text), owned(&text, "riak@a"));
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..600) {
            let _ = (parse_stats(STATS.get(..cut).unwrap_or(STATS)), parse_members(MEMBERS.get(..cut).unwrap_or(MEMBERS)));
            let _ = parse_ring(RING.get(..cut).unwrap_or(RING));
        }
    }
}
