//! Whatever causes come and go: one number for each, links both ways, and nothing is well that was not seen well.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use stentor_core::diagnosis::{Class, Verdict};
use stentor_core::model::Phase;

use super::bench::{Bench, verdict, with_effects};

/// A few causes that explain, replace and resemble each other.
fn cause(n: usize) -> Verdict {
    match n {
        0 => verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc")),
        1 => verdict(Class::SoftwareDown, "hung", "clc1", Some("clc")),
        2 => verdict(Class::ResourceUnavailable, "db", "clc1", Some("clc")),
        3 => with_effects(verdict(Class::ServerDown, "power_off", "clc1", None), &[("clc1", Some("clc"))]),
        4 => verdict(Class::ResourceUnavailable, "dependency", "sc1", Some("sc")),
        5 => with_effects(verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc")), &[("sc1", Some("sc"))]),
        6 => verdict(Class::ServerDown, "os_dead", "sc1", None),
        7 => with_effects(verdict(Class::PowerEvent, "feed_lost", "A", None), &[("clc1", None), ("sc1", None)]),
        8 => verdict(Class::RedundancyLost, "raid_degraded", "sc1", None),
        9 => verdict(Class::Unknown, "insufficient", "sc1", Some("http")),
        _ => verdict(Class::RedundancyLost, "psu_failed", "sc1", None),
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// Exactly these causes are supported from now on.
    Support(BTreeSet<usize>),
    Clear(&'static str),
    Fail(&'static str),
    GoesOn(bool),
    Pass(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let host = || prop::sample::select(vec!["clc1", "sc1", "A"]);
    prop_oneof![
        prop::collection::btree_set(0..11usize, 0..4).prop_map(Act::Support),
        host().prop_map(Act::Clear),
        host().prop_map(Act::Fail),
        any::<bool>().prop_map(Act::GoesOn),
        (1..90i64).prop_map(Act::Pass),
        (300..3000i64).prop_map(Act::Pass),
    ]
}

/// What must hold at any instant.
fn check(bench: &Bench, before: &BTreeMap<u64, Phase>) {
    let live: Vec<u64> = bench.tracker.live().map(|(_, live)| live.number).collect();
    let distinct: BTreeSet<u64> = live.iter().copied().collect();
    assert_eq!(live.len(), distinct.len(), "two causes under one number");
    for incident in bench.tracker.incidents.values() {
        let number = incident.number;
        assert_eq!(incident.phase.is_live(), distinct.contains(&number), "INC-{number} is {:?}", incident.phase);
        let links = &incident.links;
        let other = |number: u64| bench.tracker.get(number).unwrap();
        if incident.phase == Phase::Closed {
            assert!(
                other(incident.root.unwrap()).links.merged.contains(&number),
                "INC-{number} is not among its root's"
            );
        }
        assert!(links.was.is_none_or(|old| other(old).links.again.is_some_and(|again| again >= number)));
        assert!(links.split_from.is_none_or(|root| other(root).links.split_off.contains(&number)));
        if incident.phase == Phase::Resolved && before.get(&number).is_some_and(|phase| phase.is_live()) {
            let host = incident.verdict.target.host.as_deref().unwrap();
            assert!(bench.said.clear.contains(host), "INC-{number} was resolved by silence");
            assert!(bench.said.goes_on.is_empty(), "INC-{number} is well while something goes on");
        }
    }
}

proptest! {
    #[test]
    fn each_cause_has_one_number_and_each_link_two_ends(acts in prop::collection::vec(act(), 1..40)) {
        let mut bench = Bench::new();
        for act in acts {
            let before = bench.numbers().into_iter().collect();
            match act {
                Act::Support(causes) => {
                    let verdicts: Vec<Verdict> = causes.into_iter().map(cause).collect();
                    bench.causes(&verdicts).pass(1);
                }
                Act::Clear(host) => {
                    bench.clear(host).pass(1);
                }
                Act::Fail(host) => {
                    bench.fails(host).pass(1);
                }
                Act::GoesOn(goes_on) => {
                    bench.said.goes_on = if goes_on { vec!["it rebuilds".to_owned()] } else { Vec::new() };
                    bench.pass(1);
                }
                Act::Pass(secs) => {
                    bench.pass(secs);
                }
            }
            check(&bench, &before);
        }
    }
}
