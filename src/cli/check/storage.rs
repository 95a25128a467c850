//! The plain judgements of `stentor check` about storage, as a table: lost redundancy is WARNING, lost data or service CRITICAL.

use stentor_core::model::ServiceState::{self, Critical, Ok as Good, Warning};
use stentor_core::model::{Observation, Value};

/// What a fact must be for a line to hold.
enum Is {
    /// A list with something in it.
    Listed,
    Word(&'static [&'static str]),
    /// Some other word, or none.
    Not(&'static [&'static str]),
    /// A number of at least so much.
    AtLeast(f64),
}

/// Kind, fact, condition and state; the first line of a kind that holds counts.
const LINES: &[(&str, &str, Is, ServiceState)] = &[
    ("lvm", "missing", Is::Listed, Critical),
    ("lvm", "lost", Is::Listed, Critical),
    ("lvm", "read_only", Is::Listed, Critical),
    ("lvm", "thin_data_pct_max", Is::AtLeast(95.0), Critical),
    ("lvm", "thin_metadata_pct_max", Is::AtLeast(90.0), Critical),
    ("lvm", "state", Is::Word(&["Dgrd", "Pdgd", "Rbld"]), Warning),
    ("lvm", "disks_gone_in", Is::Listed, Warning),
    ("lvm", "snapshots_lost", Is::Listed, Warning),
    ("lvm", "need_check", Is::Listed, Warning),
    ("lvm", "refresh", Is::Listed, Warning),
    ("lvm", "mismatches", Is::Listed, Warning),
    ("lvm", "thin_data_pct_max", Is::AtLeast(80.0), Warning),
    ("lvm", "thin_metadata_pct_max", Is::AtLeast(75.0), Warning),
    ("lvm", "snapshot_pct_max", Is::AtLeast(80.0), Warning),
    ("iscsi", "finding", Is::Word(&["failed", "no_session", "recovering"]), Critical),
    ("iscsi", "finding", Is::Not(&["ok"]), Warning),
    ("nvme", "missing", Is::Listed, Critical),
    ("nvme", "fabrics_gone", Is::Listed, Critical),
    ("nvme", "finding", Is::Not(&["ok"]), Warning),
    ("ceph", "ceph", Is::Word(&["unreachable"]), Critical),
    // A manager that does not tell makes us blind; the cluster serves without it.
    ("ceph", "ceph", Is::Not(&["ok"]), Warning),
    ("ceph", "health", Is::Word(&["HEALTH_ERR"]), Critical),
    ("ceph", "pgs_inactive", Is::AtLeast(1.0), Critical),
    ("ceph", "objects_unfound", Is::AtLeast(1.0), Critical),
    ("ceph", "health", Is::Not(&["HEALTH_OK"]), Warning),
    ("gluster", "missing", Is::Listed, Critical),
    ("gluster", "stopped", Is::Listed, Critical),
    ("gluster", "sets_lost", Is::Listed, Critical),
    ("gluster", "split_brain", Is::Listed, Critical),
    ("gluster", "quorum_lost", Is::Listed, Critical),
    ("gluster", "bricks_down", Is::Listed, Warning),
    ("gluster", "peers_gone", Is::Listed, Warning),
    ("gluster", "peers_rejected", Is::Listed, Warning),
    ("gluster", "heal_unread", Is::Listed, Warning),
    ("riak", "riak", Is::Not(&["ok"]), Critical),
    ("riak", "unreachable", Is::Listed, Warning),
    ("riak_ring", "members_down", Is::Listed, Warning),
    ("riak_ring", "finding", Is::Not(&["ok"]), Warning),
];

/// What is bad without any threshold.
pub fn by_facts(kind: &str, seen: &Observation) -> ServiceState {
    let kind = if kind == "ceph_cli" { "ceph" } else { kind };
    let holds = |fact: &str, is: &Is| {
        let value = seen.facts.get(fact);
        let word = value.and_then(Value::text);
        match is {
            Is::Listed => value.and_then(Value::list).is_some_and(|list| !list.is_empty()),
            Is::Word(words) => word.is_some_and(|word| words.contains(&word)),
            Is::Not(words) => !word.is_some_and(|word| words.contains(&word)),
            Is::AtLeast(limit) => value.and_then(Value::number).is_some_and(|number| number >= *limit),
        }
    };
    let line = LINES.iter().find(|(of, fact, is, _)| *of == kind && holds(fact, is));
    line.map_or(Good, |(.., state)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_redundancy_warns_and_lost_data_is_critical() {
        for (kind, facts, state) in [
            ("lvm", r#"{"state":"Optl","thin_data_pct_max":79}"#, Good),
            ("lvm", r#"{"state":"Dgrd","lost":[]}"#, Warning),
            ("lvm", r#"{"state":"Dgrd","lost":["vg0/data"]}"#, Critical),
            ("iscsi", r#"{"finding":"ok"}"#, Good),
            ("iscsi", r#"{"finding":"sessions_lost"}"#, Warning),
            ("iscsi", r#"{"finding":"recovering"}"#, Critical),
            ("nvme", r#"{"finding":"ok"}"#, Good),
            ("nvme", r#"{"finding":"not_optimized"}"#, Warning),
            ("nvme", r#"{"finding":"no_path","disks_gone":["S1"]}"#, Warning),
            ("nvme", r#"{"finding":"no_path","fabrics_gone":["nqn.a"]}"#, Critical),
            ("ceph", r#"{"ceph":"ok","health":"HEALTH_OK","pgs_inactive":0}"#, Good),
            ("ceph_cli", r#"{"ceph":"ok","health":"HEALTH_WARN"}"#, Warning),
            ("ceph", r#"{"ceph":"ok","health":"HEALTH_WARN","pgs_inactive":1}"#, Critical),
            ("ceph", r#"{"ceph":"timeout"}"#, Warning),
            ("ceph_cli", r#"{"ceph":"unreachable"}"#, Critical),
            ("gluster", r#"{"bricks_down":[]}"#, Good),
            ("gluster", r#"{"bricks_down":["a:/b"]}"#, Warning),
            ("gluster", r#"{"bricks_down":["a:/b"],"sets_lost":["v"]}"#, Critical),
            ("riak", r#"{"riak":"ok","unreachable":[]}"#, Good),
            ("riak", r#"{"riak":"ok","unreachable":["riak@b"]}"#, Warning),
            ("riak", r#"{"port":"refused"}"#, Critical),
            ("riak_ring", r#"{"finding":"handoff"}"#, Warning),
        ] {
            let facts_read = serde_json::from_str(facts).expect("facts of the test are JSON");
            let seen = Observation { facts: facts_read, ..Observation::observed("x") };
            assert_eq!(by_facts(kind, &seen), state, "{kind} {facts}");
        }
    }
}
