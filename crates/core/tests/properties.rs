//! What must hold for any signals at all: no panic, no order, and no verdict out of silence.

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value as Json, json};
use stentor_core::availability::core::{Outs, ground_core, look};
use stentor_core::availability::{Expr, State};
use stentor_core::diagnosis::{
    Class, Classifier, CoreState, Diagnosis, Signal, TargetKind, Timing, Topology, diagnose,
};
use stentor_core::model::Value;
use stentor_core::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

struct Corpus {
    topologies: Vec<Topology>,
    /// Topology and signals of each vector.
    scenarios: Vec<(usize, Vec<Signal>)>,
}

static CORPUS: LazyLock<Corpus> = LazyLock::new(corpus);

fn corpus() -> Corpus {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/classification.json"));
    let file: Json = serde_json::from_str(&text.expect("vectors")).expect("JSON");
    let names: Vec<&String> = file["topologies"].as_object().expect("topologies").keys().collect();
    let topology =
        |name: &&String| serde_json::from_value(file["topologies"][name.as_str()].clone()).expect("a topology");
    let word = |json: &Json| json.as_str().map(Arc::from);
    let signal = |json: &Json| {
        let observed_at = NOW - Span::from_secs(json["age_s"].as_i64().unwrap_or(0));
        Signal {
            host: word(&json["host"]),
            component: word(&json["component"]),
            sig: word(&json["sig"]).expect("a kind"),
            value: serde_json::from_value(json["value"].clone()).expect("a value"),
            vantage: word(&json["vantage"]),
            observed_at,
            changed_at: observed_at,
            every: Span::ZERO,
        }
    };
    let scenarios = file["vectors"].as_array().expect("vectors").iter().map(|vector| {
        let at = names.iter().position(|name| vector["topology"] == name.as_str()).expect("a known topology");
        (at, vector["signals"].as_array().expect("signals").iter().map(signal).collect())
    });
    Corpus { topologies: names.iter().map(topology).collect(), scenarios: scenarios.collect() }
}

fn ask(topology: &Topology, signals: &[Signal]) -> Diagnosis {
    diagnose(topology, signals, NOW, &Timing::default())
}

/// Values that a signal of this kind may carry, good, bad and absurd.
fn value_of(sig: &'static str) -> BoxedStrategy<Json> {
    let words: &'static [&'static str] = match sig {
        "ping" | "probe" | "agent" | "bmc" => &["ok", "fail", "stale", "slow", "timeout", "unreachable"],
        "ssh" | "port" => &["open", "refused", "timeout"],
        "process" => &["running", "absent", "hung", "restarting"],
        "heartbeat" => &["enabled", "not_enabled", "none"],
        "service_state" => {
            &["ENABLED", "DISABLED", "NOTREADY", "BROKEN", "STOPPED", "LOADED", "no_quorum", "Disconnected"]
        }
        "power" => &["on", "off", "unknown"],
        "instance_state" => &["running", "stopped", "terminated"],
        _ => &["", "ok", "crit", "Split-Brain detected", "Out of memory"],
    };
    if sig == "flapping" {
        let sigs = select(vec!["ping", "ssh", "port", "process", "service_state", "probe", "resource", "bond", "?"]);
        return (sigs, 0..4usize, any::<bool>())
            .prop_map(|(sig, which, as_map)| {
                let words = ["fail", "timeout", "refused", "NOTREADY"];
                let bad =
                    json!({"kind": "disk", "level": "crit", "detail": "/", "name": "bond0", "slaves": 2, "up": 1});
                json!({"sig": sig, "value": if as_map { bad } else { json!(words[which]) }})
            })
            .boxed();
    }
    let number = select(vec![0.0, 1.0, 4.0, 5.0, 90.0, 200.0, 219.0, 503.0, 1010.0, -1.0, 1e300, f64::MIN])
        .prop_map(|n| json!(n));
    let kinds = select(vec!["disk", "backend", "san_path", "membership", "?"]);
    let levels = select(vec!["ok", "warn", "crit"]);
    let map = (kinds, levels, any::<bool>(), 0..6i64, 0..6i64).prop_map(|(kind, level, yes, a, b)| {
        json!({"kind": kind, "level": level, "detail": kind, "blocks_start": yes, "state": level, "id": kind,
                "offsets": [a, b], "slaves": a, "up": b, "down": [kind], "active": b, "total": a, "ports": 1,
                "upsOutputSource": a, "upsBatteryStatus": b, "minutes": a, "cswSwitchState": b, "res": "r0",
                "cs": if yes { "StandAlone" } else { "WFConnection" }, "ro": "Primary/Unknown",
                "ds": "UpToDate/DUnknown",
                "about": "s3", "alive": [], "unresponsive": ["s1", kind], "ok": a, "sw1": "down"})
    });
    prop_oneof![6 => select(words.to_vec()).prop_map(|word| json!(word)), 2 => map, 2 => number,
        1 => Just(json!(null)), 1 => Just(json!(true)), 1 => Just(json!(["x"]))]
    .boxed()
}

const KINDS: [&str; 37] = [
    "flapping",
    "ping",
    "ssh",
    "port",
    "http",
    "heartbeat",
    "probe",
    "agent",
    "process",
    "exit_code",
    "service_state",
    "resource",
    "fault",
    "bmc",
    "power",
    "sel",
    "uptime_s",
    "link",
    "bond",
    "raid",
    "psu",
    "ups",
    "path",
    "drbd",
    "switch",
    "stack",
    "fan",
    "temp",
    "mem",
    "smart",
    "view",
    "side",
    "arbitrators",
    "reports",
    "instance_state",
    "log",
    "maintenance",
];

/// Names that some topology knows, as hosts, components, elements or sites.
const PLACES: [&str; 20] = [
    "clc1", "ufs1", "ufs2", "cc1", "walrus1", "nc1", "nc2", "front1", "sca", "ws00", "ws01", "elbvm1", "iw1", "kvm1",
    "nfs1", "ms1", "sw1", "swm", "ups1", "nobody",
];
const COMPONENTS: [&str; 12] =
    ["clc", "ufs", "console", "cc", "sc", "walrus", "nc", "elb", "iw", "ms", "kvm_agent", "postgres"];

fn any_signal() -> impl Strategy<Value = Signal> {
    let value = select(KINDS.to_vec()).prop_flat_map(|sig| (Just(sig), value_of(sig)));
    let place =
        (proptest::option::weighted(0.95, select(PLACES.to_vec())), proptest::option::of(select(COMPONENTS.to_vec())));
    let vantage = proptest::option::weighted(0.2, select(vec!["s2", "s3"]));
    let times = (-400..400i64, 0..10_000i64, select(vec![0i64, 10, 60, 300]));
    (place, value, vantage, times).prop_map(|((host, component), (sig, value), vantage, (age, since, every))| Signal {
        host: host.map(Arc::from),
        component: component.map(Arc::from),
        sig: Arc::from(sig),
        value: serde_json::from_value(value).unwrap_or(Value::Null),
        vantage: vantage.map(Arc::from),
        observed_at: NOW - Span::from_secs(age),
        changed_at: NOW - Span::from_secs(age + since),
        every: Span::from_secs(every),
    })
}

fn part_of(signals: &[Signal], keep: &[bool]) -> Vec<Signal> {
    signals.iter().zip(keep.iter().cycle()).filter(|(_, keep)| **keep).map(|(signal, _)| signal.clone()).collect()
}

fn is_down(class: Class) -> bool {
    matches!(
        class,
        Class::SoftwareDown | Class::ServerDown | Class::ResourceUnavailable | Class::Network | Class::SiteDown
    )
}

/// Values that report nothing bad about anything.
fn is_good(signal: &Signal) -> bool {
    match signal.value.text() {
        Some(word) => ["ok", "open", "running", "enabled", "ENABLED", "on"].contains(&word),
        None => signal.value.get("level").is_some_and(|level| level.text() == Some("ok")),
    }
}

/// What the shipped packs say the Core of each platform needs.
fn shipped(platform: &str) -> Option<Expr> {
    let folder = format!("{}/../../checks/{platform}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let of_pack = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("core = \""))?;
        Some(line.strip_suffix('"').expect("the expression stands on one line").to_owned())
    };
    let text = texts.filter_map(of_pack).next()?;
    Some(Expr::parse(&text).expect("a shipped expression"))
}

fn by_expression(topology: &Topology) -> Topology {
    Topology { core: shipped(&topology.platform), ..topology.clone() }
}

#[test]
fn the_shipped_expressions_and_the_built_in_rules_agree_on_every_vector() {
    assert!(shipped("eucalyptus").is_some(), "the pack says what the Core of Eucalyptus is");
    let corpus = &*CORPUS;
    assert_eq!(corpus.scenarios.len(), 57);
    for (topology, signals) in &corpus.scenarios {
        let topology = &corpus.topologies[*topology];
        let (built_in, expressed) = (ask(topology, signals), ask(&by_expression(topology), signals));
        assert_eq!(expressed.core, built_in.core, "{:?} against {:?}", expressed.core_because, built_in.core_because);
        assert_eq!(expressed.verdicts, built_in.verdicts);
        assert_eq!(expressed.core_because.is_empty(), built_in.core_because.is_empty());
    }
}

/// Clouds of any shape, with types and zones missing, twice, or where they do not belong.
fn any_topology() -> impl Strategy<Value = Topology> {
    let euca = vec!["clc", "ufs", "walrus", "cc", "sc", "nc", "vb", "console"];
    let others = vec!["ms", "mysql", "primary", "nova_api", "rabbitmq", "galera", "nova_compute", "corosync"];
    let platform = select(vec!["eucalyptus", "eucalyptus", "eucalyptus", "cloudstack", "openstack", "proxmox"]);
    (platform, any::<bool>(), 0..4_u32).prop_flat_map(move |(platform, riak, min_nc)| {
        let kinds = if platform == "eucalyptus" { euca.clone() } else { others.clone() };
        let host = (vec(select(kinds), 0..3), 0..4_usize);
        (vec(host, 1..14), any::<bool>()).prop_map(move |(hosts, vmware)| {
            let mut topology = Topology { platform: platform.to_owned(), min_nc: Some(min_nc), ..Topology::default() };
            for (n, (keys, zone)) in hosts.iter().enumerate() {
                let name: Arc<str> = PLACES[n].into();
                topology.hosts.insert(name.clone(), keys.iter().map(|key| Arc::from(*key)).collect());
                if *zone < 3 {
                    topology.zones.entry(["a", "b", "v"][*zone].into()).or_default().push(name);
                }
            }
            if vmware {
                topology.vmware_zones.push("v".into());
            }
            if riak {
                topology.backends.insert("nfs1".into(), vec!["ufs".into()]);
            }
            topology
        })
    })
}

/// Mostly plain failures, so that much is out of service.
fn any_failure() -> impl Strategy<Value = Signal> {
    let place = select(PLACES[..14].to_vec());
    let kinds = ["clc", "ufs", "walrus", "cc", "sc", "nc", "vb", "ms", "mysql", "galera", "corosync", "nova_api"];
    let what = prop_oneof![
        4 => (select(kinds.to_vec()).prop_map(Some), Just("port"), Just("refused")),
        1 => (select(kinds.to_vec()).prop_map(Some), Just("service_state"), select(vec!["NOTREADY", "DISABLED", "BROKEN"])),
        1 => (select(kinds.to_vec()).prop_map(Some), Just("probe"), Just("slow")),
        2 => (Just(None), select(vec!["ping", "ssh"]), select(vec!["fail", "timeout"])),
        1 => (Just(None), Just("maintenance"), Just("true")),
    ];
    (place, what).prop_map(|(host, (component, sig, value))| {
        good(&Arc::from(host), component.map(Arc::from).as_ref(), sig, value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_shipped_expressions_and_the_built_in_rules_agree_in_any_state(
        topology in any_topology(), failures in vec(any_failure(), 0..20), odd in vec(any_signal(), 0..10)
    ) {
        let signals = [failures, odd].concat();
        let (built_in, expressed) = (ask(&topology, &signals), ask(&by_expression(&topology), &signals));
        prop_assert_eq!(expressed.core, built_in.core, "{:?} against {:?}", expressed.core_because, built_in.core_because);
        prop_assert_eq!(expressed.verdicts, built_in.verdicts);
    }

    #[test]
    fn any_expression_means_the_same_to_the_classifier_and_to_those_who_explain_it(
        topology in any_topology(), failures in vec(any_failure(), 0..20), pick in vec(any::<Index>(), 1..4)
    ) {
        const PARTS: [&str; 12] = ["clc", "all(ufs)", "2 of (nc, cc)", "any(zone: clc and nc)", "in zone a (ufs and nc)",
            "should(all(nc))", "weighted(0.5: clc=3, nc, sc=2)", "walrus else all(backends:ufs)", "clc1/clc or host:ufs1",
            "majority of (zone: should(cc) and sc)", "backend:nfs1", "60% of (own zone: vb or nc, ufs)"];
        let parts: Vec<&str> = pick.iter().map(|index| PARTS[index.index(PARTS.len())]).collect();
        let expr = Expr::parse(&parts.join(" and ")).expect("well-formed");
        let topology = Topology { core: Some(expr.clone()), ..topology };
        let found = ask(&topology, &failures);
        let lost = found.verdicts.iter().filter(|verdict| verdict.class == Class::ResourceUnavailable);
        let outs = Outs::new(&found.standing, lost.filter_map(|verdict| verdict.target.host.as_deref()).collect());
        let state = look(&ground_core(&"c".into(), &topology, &expr), &outs).state;
        // What only degrades a Core is not in the expression.
        let agree = match found.core {
            CoreState::Degraded => state >= State::Degraded,
            CoreState::Available | CoreState::Unavailable | CoreState::Unknown => State::from(found.core) == state,
        };
        prop_assert!(agree, "{:?} {:?}: {:?}", found.core, state, found.core_because);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_signals_in_any_order_give_the_same_answer(
        which in any::<Index>(),
        signals in vec(any_signal(), 0..60),
        seed in vec(any::<Index>(), 60),
    ) {
        let corpus = &*CORPUS;
        let topology = &corpus.topologies[which.index(corpus.topologies.len())];
        let answer = ask(topology, &signals);
        let mut shuffled = signals.clone();
        for (i, index) in seed.iter().enumerate().take(signals.len()) {
            shuffled.swap(i, index.index(signals.len()));
        }
        prop_assert_eq!(&answer, &ask(topology, &shuffled));
        for verdict in &answer.verdicts {
            prop_assert!((0.0..=0.99).contains(&verdict.confidence), "{:?}", verdict);
            prop_assert!(!verdict.evidence.is_empty(), "a verdict without evidence: {:?}", verdict);
        }
    }

    #[test]
    fn the_one_who_remembers_gives_the_same_answer(
        which in any::<Index>(),
        steps in vec((vec((0..40u64, proptest::option::weighted(0.9, any_signal())), 0..12), -20..120i64), 1..6),
    ) {
        let corpus = &*CORPUS;
        let topology = &corpus.topologies[which.index(corpus.topologies.len())];
        let mut classifier = Classifier::new(topology);
        let mut told = std::collections::BTreeMap::<(Option<Arc<str>>, u64), Signal>::new();
        let mut now = NOW;
        for (said, later) in steps {
            for (source, signal) in said {
                match signal {
                    Some(signal) => {
                        classifier.say(source, signal.host.as_ref(), [signal.clone()]);
                        told.insert((signal.host.clone(), source), signal);
                    }
                    None => {
                        let hosts: Vec<_> = told.keys().filter(|(_, by)| *by == source).map(|(host, _)| host.clone()).collect();
                        for host in hosts {
                            classifier.say(source, host.as_ref(), []);
                            told.remove(&(host, source));
                        }
                    }
                }
            }
            now += Span::from_secs(later);
            let signals: Vec<Signal> = told.values().cloned().collect();
            let full = diagnose(topology, &signals, now, &Timing::default());
            prop_assert_eq!(full, classifier.diagnose(now, &Timing::default()));
        }
    }

    #[test]
    fn any_part_of_a_vector_gives_verdicts_that_its_own_signals_support(
        which in any::<Index>(),
        keep in vec(any::<bool>(), 120),
    ) {
        let corpus = &*CORPUS;
        let (topology, signals) = &corpus.scenarios[which.index(corpus.scenarios.len())];
        let topology = &corpus.topologies[*topology];
        let part = part_of(signals, &keep);
        for verdict in ask(topology, &part).verdicts.iter().filter(|verdict| is_down(verdict.class)) {
            let on_host = matches!(verdict.target.kind, TargetKind::Host | TargetKind::Component | TargetKind::Jvm);
            let bad = part.iter().any(|signal| {
                let here = !on_host || signal.host == verdict.target.host;
                here && !is_good(signal)
            });
            prop_assert!(bad, "down without a failed signal: {:?}", verdict);
        }
    }

    #[test]
    fn silence_about_the_healthy_never_makes_it_fail(
        which in any::<Index>(),
        keep in vec(any::<bool>(), 400),
    ) {
        let corpus = &*CORPUS;
        let topology = &corpus.topologies[which.index(corpus.topologies.len())];
        let mut signals = Vec::new();
        for (host, keys) in &topology.hosts {
            for (sig, value) in [("ping", "ok"), ("ssh", "open"), ("agent", "ok"), ("bmc", "ok"), ("power", "on")] {
                signals.push(good(host, None, sig, value));
            }
            for key in keys {
                let own = [("port", "open"), ("process", "running"), ("service_state", "ENABLED"), ("probe", "ok")];
                for (sig, value) in own {
                    signals.push(good(host, Some(key), sig, value));
                }
            }
        }
        let part = part_of(&signals, &keep);
        let answer = ask(topology, &part);
        let wrong: Vec<_> = answer.verdicts.iter().filter(|verdict| verdict.class != Class::SplitBrain).collect();
        prop_assert!(wrong.is_empty(), "{:?}", wrong);
    }

    #[test]
    fn losing_one_signal_of_a_failure_elsewhere_does_not_take_down_a_healthy_host(
        which in any::<Index>(),
        lost in any::<Index>(),
    ) {
        let corpus = &*CORPUS;
        let (topology, signals) = &corpus.scenarios[which.index(corpus.scenarios.len())];
        let topology = &corpus.topologies[*topology];
        let mut part = signals.clone();
        part.remove(lost.index(signals.len()));
        for verdict in &ask(topology, &part).verdicts {
            let Some(host) = verdict.target.host.as_ref().filter(|_| is_down(verdict.class)) else { continue };
            if !topology.hosts.contains_key(host) {
                continue;
            }
            let healthy = signals.iter().filter(|signal| signal.host.as_ref() == Some(host)).all(is_good);
            prop_assert!(!healthy, "{:?}", verdict);
        }
    }
}

fn good(host: &Arc<str>, component: Option<&Arc<str>>, sig: &str, value: &str) -> Signal {
    Signal {
        host: Some(host.clone()),
        component: component.cloned(),
        sig: Arc::from(sig),
        value: Value::from(value),
        vantage: None,
        observed_at: NOW,
        changed_at: NOW,
        every: Span::ZERO,
    }
}
