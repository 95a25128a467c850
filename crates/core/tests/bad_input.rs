//! Input that no healthy installation gives: planes that contradict each other, clocks that differ, a fact that never rests,
//! a topology that names ghosts, a pack that runs in circles.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stentor_core::diagnosis::{Class, Classifier, Diagnosis, Signal, Timing, Topology, diagnose};
use stentor_core::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

fn topology(json: Json) -> Topology {
    serde_json::from_value(json).expect("a topology")
}

fn cloud() -> Topology {
    topology(json!({"platform": "eucalyptus", "min_nc": 1, "jvm": ["clc", "ufs", "sc", "walrus"],
        "hosts": {"clc1": ["clc"], "ufs1": ["ufs"], "walrus1": ["walrus"], "cc1": ["cc"], "sc1": ["sc"],
                  "nc1": ["nc"], "nc2": ["nc"]}, "zones": {"one": ["cc1", "sc1", "nc1", "nc2"]}}))
}

/// `host[/component] sig=value [@vantage] [age]`, the age in seconds; negative = from the future.
fn signal(line: &str) -> Signal {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (host, component) = words[0].split_once('/').map_or((words[0], None), |(host, key)| (host, Some(key)));
    let (sig, value) = words[1].split_once('=').expect("sig=value");
    let value: Json = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    let vantage = words.iter().find_map(|word| word.strip_prefix('@'));
    let age = words[2..].iter().find_map(|word| word.parse().ok()).unwrap_or(0);
    let at = NOW - Span::from_secs(age);
    Signal {
        host: Some(host.into()),
        component: component.map(Into::into),
        sig: sig.into(),
        value: serde_json::from_value(value).expect("any JSON is a value"),
        vantage: vantage.map(Into::into),
        observed_at: at,
        // Long enough for every grace.
        changed_at: at - Span::from_secs(1000),
        every: Span::from_secs(10),
    }
}

fn ask(topology: &Topology, seen: &str) -> Diagnosis {
    let signals: Vec<Signal> = seen.split(';').map(|line| signal(line.trim())).collect();
    diagnose(topology, &signals, NOW, &Timing::default())
}

fn said(answer: &Diagnosis) -> Vec<String> {
    let place = |verdict: &stentor_core::diagnosis::Verdict| {
        let target = &verdict.target;
        [&target.host, &target.component].into_iter().flatten().map(|name| &**name).collect::<Vec<_>>().join("/")
    };
    answer
        .verdicts
        .iter()
        .map(|v| format!("{}/{} {} {}", v.class.as_str(), v.subtype, place(v), v.confidence))
        .collect()
}

#[test]
fn signals_that_contradict_each_other_are_weighed_and_never_both_believed() {
    for (why, seen, expected) in [
        (
            "power off by the BMC of a host that answers: the BMC is wrong, or is another's",
            "nc1 ping=ok; nc1 ssh=open; nc1 bmc=ok; nc1 power=off",
            vec![],
        ),
        (
            "the process is gone, and requests are answered: the pattern is wrong",
            "ufs1 ping=ok; ufs1/ufs port=open; ufs1/ufs process=absent; ufs1/ufs http=200",
            vec!["unknown/check_conflict ufs1/ufs 0.4"],
        ),
        (
            "nothing listens, and somebody was answered: less sure",
            "ufs1 ping=ok; ufs1/ufs port=refused; ufs1/ufs process=absent; ufs1/ufs heartbeat=enabled",
            vec!["software_down/crashed ufs1/ufs 0.75"],
        ),
        (
            "open for one vantage, refused for another: it listens",
            "ufs1 ping=ok; ufs1/ufs port=refused; ufs1/ufs port=open @s2; ufs1/ufs heartbeat=enabled",
            vec![],
        ),
        (
            "not ready for the controller, well by itself: out of its view",
            "sc1 ping=ok; sc1/sc port=open; sc1/sc process=running; sc1/sc service_state=NOTREADY; sc1/sc heartbeat=enabled",
            vec!["resource_unavailable/membership sc1/sc 0.6"],
        ),
        (
            "all links down and the host answers: the switch tells of other ports",
            r#"nc1 ping=ok; nc1 ssh=open; nc1 bmc=ok; nc1 power=on; nc1 link={"sw1":"down"}"#,
            vec![],
        ),
        (
            "one signal says that an array is gone, another that it is well: the trouble counts",
            r#"nc1 ping=ok; nc1 raid={"vd":"0","state":"Optl"}; nc1 raid={"vd":"0","state":"OfLn"}"#,
            vec!["resource_unavailable/disk nc1 0.93"],
        ),
    ] {
        let answer = ask(&cloud(), seen);
        assert_eq!(said(&answer), expected, "{why}: {:?}", answer.verdicts);
    }
}

#[test]
fn a_vantage_whose_clock_is_ahead_does_not_speak_for_the_future() {
    let dark = "nc1 ping=fail; nc1 ssh=timeout; nc1 bmc=ok; nc1 power=on; nc2 ping=ok";
    let alone = said(&ask(&cloud(), dark));
    assert_eq!(alone, ["server_down/os_dead nc1 0.85"]);
    // Its "ok" from in an hour would else keep the host alive for an hour.
    for age in ["-3600", "-181", "3600"] {
        let answer = ask(&cloud(), &format!("{dark}; nc1 ping=ok @s2 {age}"));
        assert_eq!(said(&answer), alone, "{age}");
    }
    // Within what also counts as fresh, a difference is no matter.
    let skewed = ask(&cloud(), &format!("{dark}; nc1 ping=ok @s2 -100"));
    assert_eq!(said(&skewed), ["network_path/single_vantage nc1 0.9"]);
    let lost = ask(&cloud(), "nc1 ping=fail @s2 -3600");
    assert!(lost.verdicts.is_empty());
    assert!(lost.unknown.iter().any(|missing| missing.missing == ["ping"]), "{:?}", lost.unknown);
}

#[test]
fn a_fact_from_the_future_counts_once_its_time_has_come() {
    let topology = cloud();
    let signals =
        [signal("nc1/nc port=refused -300"), signal("nc1/nc process=absent -300"), signal("nc1 ping=ok -300")];
    let mut classifier = Classifier::new(&topology);
    for (source, signal) in (0..).zip(&signals) {
        classifier.say(source, signal.host.as_ref(), [signal.clone()]);
    }
    for (later, verdicts) in [(0, 0), (119, 0), (120, 1), (480, 1), (481, 0)] {
        let at = NOW + Span::from_secs(later);
        let answer = classifier.diagnose(at, &Timing::default());
        assert_eq!(answer.verdicts.len(), verdicts, "after {later} s");
        assert_eq!(answer, diagnose(&topology, &signals, at, &Timing::default()));
    }
}

#[test]
fn a_fact_that_flips_every_second_gives_the_verdict_of_each_second_and_no_other() {
    let topology = cloud();
    let mut classifier = Classifier::new(&topology);
    for i in 0..600 {
        let at = NOW + Span::from_secs(i);
        let fact = |sig: &str, value: &str| {
            let signal = signal(&format!("nc1/nc {sig}={value}"));
            Signal { observed_at: at, changed_at: at, ..signal }
        };
        let down = i % 2 == 1;
        let host: Arc<str> = "nc1".into();
        classifier.say(0, Some(&host), [Signal { observed_at: at, ..signal("nc1 ping=ok") }]);
        classifier.say(1, Some(&host), [fact("port", if down { "refused" } else { "open" })]);
        classifier.say(2, Some(&host), [fact("process", if down { "absent" } else { "running" })]);
        let answer = classifier.diagnose(at, &Timing::default());
        let told: Vec<Class> = answer.verdicts.iter().map(|verdict| verdict.class).collect();
        assert_eq!(told, if down { vec![Class::SoftwareDown] } else { vec![] }, "second {i}");
        assert!(answer.verdicts.iter().all(|verdict| verdict.since == at), "it is as old as its last turn");
    }
}

#[test]
fn a_topology_of_ghosts_is_judged_as_far_as_it_exists() {
    let ghosts = topology(json!({"platform": "eucalyptus", "hosts": {"nc1": ["nc"], "vm1": ["elb"]},
        "zones": {"one": ["ghost1", "nc1"], "two": ["ghost2"], "three": []},
        "single_homed": {"sw1": ["ghost1", "ghost2"], "sw2": ["nc1", "ghost1"]},
        "single_fed": {"A": ["ghost1", "ghost2", "sw9"]}, "fed_by": {"nc1": ["Z"], "ghost1": ["A"]},
        "feeds": {"A": "ups9"}, "backends": {"san": ["ghost"]}, "drbd": {"r0": ["ghost1", "nc1"], "r1": []},
        "vm_on": {"vm1": "ghost1", "ghost3": "nc1"}, "mgmt_switch": "swm9", "unique": ["ghost", "nc"],
        "arbitrators": ["ghost"], "quorum": 0}));
    let answer = ask(
        &ghosts,
        r#"nc1 ping=ok; nc1/nc port=refused; nc1/nc process=absent; ghost1 ping=fail; ghost1 ssh=timeout; ghost1 power=off;
           vm1 ping=fail; vm1 ssh=timeout; sw1 switch={"state":"down"}; nc1 psu={"id":"PS9","offsets":[3]};
           nc1 drbd={"res":"r7","cs":"WFConnection","ro":"Primary/Unknown","ds":"UpToDate/DUnknown"}"#
            .replace('\n', " ")
            .as_str(),
    );
    let about: Vec<&str> = answer.verdicts.iter().filter_map(|v| v.target.host.as_deref()).collect();
    assert!(about.iter().all(|host| ["nc1", "vm1", "sw1", "sw2", "r7"].contains(host)), "{:?}", said(&answer));
    assert!(said(&answer).iter().any(|line| line.starts_with("software_down/crashed nc1/nc")), "{:?}", said(&answer));
}

#[test]
fn components_that_need_each_other_in_a_circle_are_judged_nevertheless() {
    let circle = topology(json!({"platform": "shop", "hosts": {"a": ["x"], "b": ["y"], "c": ["z"]},
        "knowledge": {"order": ["x", "y", "z"], "upstream": {"x": ["y"], "y": ["z"], "z": ["x", "z"]}}}));
    let sick = "a ping=ok; a/x port=open; a/x probe=fail; b ping=ok; b/y port=open; b/y probe=fail; \
                c ping=ok; c/z port=open; c/z probe=fail";
    // Nobody can tell who began: somebody must be named, and everybody must be accounted for.
    let answer = ask(&circle, sick);
    assert!(!answer.verdicts.is_empty());
    assert_eq!(answer.verdicts.len() + answer.suppressed.len(), 3, "{:?}", answer.verdicts);
    let crashed = ask(&circle, &format!("{sick}; b/y port=refused; b/y process=absent"));
    assert!(said(&crashed).iter().any(|line| line.contains("b/y")), "{:?}", said(&crashed));
}
