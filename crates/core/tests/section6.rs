//! Specification 10, section 6, line by line: soft and hard, hold-downs, the collapse window, graces, recovery, flapping,
//! re-notification, and the timer that ends badly. Each row of a table is one promise.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use stentor_core::catalog::{
    Catalog, Check, Cloud, Component, Contact, Host, Route, RouteMatch, Service, SignalSpec, SignalValue, View, Zone,
};
use stentor_core::diagnosis::{Class, Severity, Signal, TIMER, Timing, Topology, Visibility, diagnose};
use stentor_core::engine::{CheckResult, Engine, Input, ResultSource, Took};
use stentor_core::id::{CheckId, CloudId, ComponentId, ContactId, HostId, ServiceId, ZoneId};
use stentor_core::model::{Incident, ObjectKey, Observation, Phase, ServiceState, TimelineKind, Value};
use stentor_core::{Span, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_795_226_531);
/// Each check looks so often.
const EVERY: i64 = 10;

fn words(words: [&str; 3]) -> SignalValue {
    SignalValue::ByState(words.map(Into::into))
}

fn check(name: &str, sig: &str, value: SignalValue) -> Check {
    Check {
        name: name.into(),
        probe: "tcp".into(),
        params: Value::Null,
        every: Span::from_secs(EVERY),
        retry: Span::from_secs(EVERY),
        timeout: Span::from_secs(5),
        attempts: 3,
        rules: Vec::new(),
        signals: vec![SignalSpec { sig: sig.into(), value, of_host: sig == "ping" || sig == "ssh" }],
        host_side: false,
        freshness: Span::ZERO,
    }
}

/// A zone with a CC and two NCs; each host has a ping, an SSH port, and its component a port and a disk.
fn catalog(release: &str) -> Catalog {
    let full = SignalValue::Resource { kind: "disk".into(), blocks_start: true };
    let mut catalog = Catalog {
        site: "here".into(),
        zones: vec![Zone { name: "one".into(), cloud: Some(CloudId(0)) }],
        checks: vec![
            check("ping", "ping", words(["ok", "ok", "fail"])),
            check("ssh", "ssh", words(["open", "open", "timeout"])),
            check("port", "port", SignalValue::Fact("port".into())),
            check("disk", "resource", full),
        ],
        contacts: vec![Contact {
            name: "oncall".into(),
            display: "On call".into(),
            channels: BTreeMap::from([("email".into(), "oncall@example.org".into())]),
            period: None,
            severity_min: Severity::Unknown,
        }],
        routes: vec![Route {
            name: "all".into(),
            matcher: RouteMatch::default(),
            to: vec![ContactId(0)],
            period: None,
        }],
        ..Catalog::default()
    };
    let hosts = [("cc1", "cc"), ("nc1", "nc"), ("nc2", "nc")];
    for (i, (name, key)) in hosts.into_iter().enumerate() {
        let host = HostId::from_index(i);
        let services = [("ssh", 1), ("port", 2), ("disk", 3)].map(|(name, check)| {
            let component = (check != 1).then(|| ComponentId::from_index(i));
            let service = Service { host, name: name.into(), check: CheckId(check), params: Value::Null, component };
            catalog.services.push(service);
            ServiceId::from_index(catalog.services.len() - 1)
        });
        catalog.components.push(Component {
            host,
            key: key.into(),
            platform: "eucalyptus".into(),
            services: services[1..].to_vec(),
        });
        catalog.hosts.push(Host {
            name: name.into(),
            display: name.into(),
            address: "192.0.2.1".into(),
            zone: ZoneId(0),
            cloud: Some(CloudId(0)),
            parents: Vec::new(),
            components: vec![ComponentId::from_index(i)],
            check: Some(CheckId(0)),
            params: Value::Null,
            view: View::None,
            bmc: None,
            services: services.to_vec(),
        });
    }
    let topology: Topology = serde_json::from_value(json!({"platform": "eucalyptus", "release": release, "min_nc": 1,
        "hosts": {"cc1": ["cc"], "nc1": ["nc"], "nc2": ["nc"]}, "zones": {"one": ["cc1", "nc1", "nc2"]}}))
    .unwrap();
    let hosts = (0..3).map(HostId::from_index).collect();
    catalog.clouds.push(Cloud { name: "euca".into(), platform: "eucalyptus".into(), min_nc: 1, topology, hosts });
    catalog.reindex();
    catalog
}

/// The engine with every check answering every ten seconds, well unless said otherwise.
struct Site {
    engine: Engine,
    at: Timestamp,
    bad: BTreeMap<(&'static str, Option<&'static str>), i32>,
    pages: Vec<String>,
}

impl Site {
    fn of(catalog: Catalog) -> Site {
        let mut site = Site { engine: Engine::new(), at: START, bad: BTreeMap::new(), pages: Vec::new() };
        site.apply(Input::Catalog(Arc::new(catalog)));
        site.pass(60);
        assert!(site.incidents().is_empty() && site.pages.is_empty());
        site
    }

    fn well() -> Site {
        Site::of(catalog("4.4"))
    }

    fn apply(&mut self, input: Input) {
        let effects = self.engine.apply(self.at, &input);
        let told = effects.notifications.iter();
        self.pages.extend(told.map(|told| format!("{} INC-{}", told.reason.as_str(), told.incident.number)));
    }

    fn look(&mut self) {
        for host in ["cc1", "nc1", "nc2"] {
            for service in [None, Some("ssh"), Some("port"), Some("disk")] {
                let is_dead = self.bad.get(&(host, None)) == Some(&2);
                let code = self.bad.get(&(host, service)).copied().unwrap_or(0);
                // Nothing of a dead host answers.
                let code = if is_dead && service.is_some() { 2 } else { code };
                let port = if is_dead { "timeout" } else { ["open", "open", "refused"][code as usize] };
                let state = ServiceState::from_code(if is_dead && service == Some("disk") { 3 } else { code }).unwrap();
                let seen = Observation::reported(state, format!("{state} it is")).fact("port", port);
                let key = ObjectKey { host: host.into(), service: service.map(Into::into) };
                self.apply(Input::Result(CheckResult {
                    object: self.engine.catalog().object_id(&key).unwrap(),
                    observed_at: self.at,
                    source: ResultSource::Active,
                    observation: Arc::new(seen),
                    id: None,
                    took: Took::default(),
                }));
            }
        }
    }

    fn pass(&mut self, secs: i64) -> &mut Site {
        for _ in 0..secs {
            if self.at.since(START).as_millis() / 1000 % EVERY == 0 {
                self.look();
            }
            self.apply(Input::Tick);
            self.at += Span::from_secs(1);
        }
        self
    }

    fn set(&mut self, what: &[(&'static str, Option<&'static str>)], code: i32) -> &mut Site {
        self.bad.extend(what.iter().map(|what| (*what, code)));
        self
    }

    /// `x` a failing look, `.` a good one.
    fn play(&mut self, what: &[(&'static str, Option<&'static str>)], looks: &str) -> &mut Site {
        for look in looks.chars() {
            self.set(what, if look == 'x' { 2 } else { 0 }).pass(EVERY);
        }
        self
    }

    fn incidents(&self) -> Vec<Arc<Incident>> {
        self.engine.snapshot().incidents.values().cloned().collect()
    }

    /// `INC-1 open flapping/crashed cc1`
    fn said(&self) -> Vec<String> {
        let line = |incident: &Arc<Incident>| {
            let verdict = &incident.verdict;
            let (class, host) = (verdict.class.as_str(), verdict.target.host.as_deref().unwrap_or_default());
            format!("INC-{} {} {class}/{} {host}", incident.number, incident.phase.as_str(), verdict.subtype)
        };
        self.incidents().iter().map(line).collect()
    }

    /// Takes a copy through a checkpoint in its written form.
    fn restart(&mut self) -> &mut Site {
        let written = postcard::to_allocvec(&self.engine.checkpoint()).unwrap();
        self.engine = Engine::from_checkpoint(postcard::from_bytes(&written).unwrap());
        self
    }
}

const PORT: &[(&str, Option<&str>)] = &[("cc1", Some("port"))];
const BOTH: &[(&str, Option<&str>)] = &[("nc1", None), ("nc1", Some("ssh"))];

#[test]
fn a_failure_is_told_after_its_hold_and_not_before() {
    // What fails, seconds without an incident, seconds until it is open.
    for (name, what, quiet, open) in [
        ("software: 30 s", PORT, 28, 45),
        ("resource: 30 s", &[("cc1", Some("port")), ("cc1", Some("disk"))][..], 28, 45),
        ("server: 60 s and two failed network signals", BOTH, 58, 90),
    ] {
        let mut site = Site::well();
        site.set(what, 2).pass(quiet);
        assert_eq!(site.said(), Vec::<String>::new(), "{name}");
        site.pass(open - quiet);
        assert_eq!(site.incidents().len(), 1, "{name}: {:?}", site.said());
        assert_eq!(site.pages, ["problem INC-1"], "{name}");
    }
    let mut site = Site::well();
    site.play(PORT, "xx").play(PORT, "..........");
    assert!(site.said().is_empty() && site.pages.is_empty(), "a blip of 20 s is nobody's");
}

#[test]
fn what_is_gone_is_believed_after_30_s_and_a_resource_after_5_minutes() {
    for (name, what, watched) in [
        ("software: three good results", PORT, 30),
        ("resource: five minutes clean", &[("cc1", Some("port")), ("cc1", Some("disk"))][..], 300),
    ] {
        let mut site = Site::well();
        site.set(what, 2).pass(60).set(what, 0).pass(watched - 5);
        assert_eq!(site.incidents()[0].phase, Phase::Recovering, "{name}");
        site.pass(20);
        assert_eq!(site.incidents()[0].phase, Phase::Resolved, "{name}");
        assert_eq!(site.pages, ["problem INC-1", "recovery INC-1"], "{name}");
    }
    // Back within the five minutes: it was never well.
    let mut site = Site::well();
    let both = [("cc1", Some("port")), ("cc1", Some("disk"))];
    site.set(&both, 2).pass(60).set(&both, 0).pass(280).set(&both, 2).pass(60);
    assert_eq!(site.said(), ["INC-1 open resource_unavailable/disk cc1"]);
    assert_eq!(site.pages, ["problem INC-1"]);
}

#[test]
fn what_flaps_is_one_incident_that_is_told_once() {
    for (name, what, looks, said, pages_most) in [
        ("each result another", PORT, "x.".repeat(60), "INC-1 open flapping/crashed cc1", 1),
        ("down for 40 s, up for 40 s", PORT, "xxxx....".repeat(20), "INC-1 open flapping/crashed cc1", 3),
        ("mostly down", PORT, "xxxx.xxx.".repeat(20), "INC-1 open flapping/crashed cc1", 1),
        ("mostly up", PORT, "x...".repeat(30), "INC-1 open flapping/crashed cc1", 1),
        ("a host", BOTH, "xx..".repeat(40), "INC-1 open flapping/bmc_dark nc1", 1),
    ] {
        let mut site = Site::well();
        site.play(what, &looks);
        assert_eq!(site.said(), [said], "{name}");
        let problems = site.pages.iter().filter(|page| page.starts_with("problem")).count();
        assert!(problems >= 1 && problems <= pages_most, "{name}: {:?}", site.pages);
        let news = |site: &Site| site.pages.iter().filter(|page| !page.starts_with("renotify")).count();
        let before = news(&site);
        site.play(what, &looks);
        assert_eq!(news(&site), before, "{name}: told no more while it goes on: {:?}", site.pages);
    }
}

#[test]
fn flapping_begins_at_20_percent_of_change_and_ends_at_5() {
    // Four changes in the newest results are 24 %, three are 18 %.
    let mut site = Site::well();
    site.play(PORT, "x.x").pass(1);
    assert!(site.classes().iter().all(|class| *class != Class::Flapping), "{:?}", site.classes());
    site.play(PORT, ".").pass(1);
    assert!(site.classes().is_empty(), "nobody is told of it by its end: {:?}", site.classes());
    site.play(PORT, "x").pass(1);
    assert_eq!(site.classes(), [Class::Flapping]);
    // All changes but the last must be out of the 21.
    site.play(PORT, &".".repeat(18));
    assert_eq!(site.classes(), [Class::Flapping], "two of the six are still seen");
    site.play(PORT, "...");
    assert!(site.classes().is_empty(), "{:?}", site.classes());
    site.pass(60);
    assert_eq!(site.said(), ["INC-1 resolved flapping/crashed cc1"]);
    assert_eq!(site.pages, ["problem INC-1", "recovery INC-1"]);
}

impl Site {
    /// Classes of the verdicts of this moment.
    fn classes(&self) -> Vec<Class> {
        self.engine.snapshot().clouds[0].diagnosis.verdicts.iter().map(|verdict| verdict.class).collect()
    }
}

#[test]
fn what_stops_flapping_and_stays_down_is_that_failure_under_the_same_number() {
    let mut site = Site::well();
    site.play(PORT, &"x.".repeat(20));
    assert_eq!(site.said(), ["INC-1 open flapping/crashed cc1"]);
    site.play(PORT, &"x".repeat(12));
    assert_eq!(site.said(), ["INC-1 open software_down/crashed cc1"]);
    assert_eq!(site.pages, ["problem INC-1", "changed INC-1"], "worse: the Core is gone, and does not come back");
}

#[test]
fn a_flapping_cause_survives_a_restart() {
    let mut site = Site::well();
    site.play(PORT, &"x.".repeat(20)).restart().play(PORT, "x.x.");
    assert_eq!(site.said(), ["INC-1 open flapping/crashed cc1"]);
    assert_eq!(site.pages, ["problem INC-1"]);
}

#[test]
fn what_comes_back_too_slowly_to_flap_is_told_ever_later() {
    let mut site = Site::well();
    // Down for a minute, up for a minute, for an hour: 15 %.
    site.play(PORT, &"xxxxxx......".repeat(30));
    let problems = site.pages.iter().filter(|page| page.starts_with("problem") || page.starts_with("worse")).count();
    assert!((1..=4).contains(&problems), "{:?}", site.pages);
    assert_eq!(site.incidents().len(), 1, "{:?}", site.said());
    let again = site.incidents()[0].timeline.iter().filter(|entry| entry.kind == TimelineKind::Reopened).count();
    assert!(again <= 3, "{again}");
    site.play(PORT, &".".repeat(60));
    assert_eq!(site.incidents()[0].phase, Phase::Resolved);
}

fn fact(host: &str, component: Option<&str>, sig: &str, value: serde_json::Value, since: Span) -> Signal {
    Signal {
        host: Some(host.into()),
        component: component.map(Into::into),
        sig: sig.into(),
        value: serde_json::from_value(value).unwrap(),
        vantage: None,
        observed_at: START,
        changed_at: START - since,
        every: Span::from_secs(EVERY),
    }
}

/// `class/subtype host[/component] severity visible|invisible`
fn told(topology: &Topology, signals: &[Signal]) -> Vec<String> {
    let answer = diagnose(topology, signals, START, &Timing::default());
    let line = |verdict: &stentor_core::diagnosis::Verdict| {
        let place = [&verdict.target.host, &verdict.target.component];
        let place: Vec<&str> = place.into_iter().flatten().map(|name| &**name).collect();
        let seen = if verdict.visibility == Visibility::Visible { "visible" } else { "invisible" };
        let class = verdict.class.as_str();
        format!("{class}/{} {} {} {seen}", verdict.subtype, place.join("/"), verdict.severity.as_str())
    };
    answer.verdicts.iter().map(line).collect()
}

fn flaps(host: &str, component: Option<&str>, sig: &str, value: &str) -> Signal {
    fact(host, component, "flapping", json!({"sig": sig, "value": value}), Span::from_secs(100))
}

#[test]
fn what_flaps_is_told_the_same_in_its_good_and_in_its_bad_moments() {
    let topology: Topology = serde_json::from_value(json!({"platform": "eucalyptus", "min_nc": 1,
        "jvm": ["clc", "ufs", "sc", "walrus"],
        "hosts": {"clc1": ["clc"], "ufs1": ["ufs"], "walrus1": ["walrus"], "f1": ["walrus", "ufs"], "cc1": ["cc"],
                  "sc1": ["sc"], "nc1": ["nc"], "nc2": ["nc"]},
        "zones": {"one": ["cc1", "sc1", "nc1", "nc2"]},
        "switches": {"sw1": "single"}, "single_homed": {"sw1": ["nc1", "nc2"]}}))
    .unwrap();
    let moment = Span::from_secs(5);
    let of =
        |host, key, sig, bad: &str, now: &str| [flaps(host, key, sig, bad), fact(host, key, sig, json!(now), moment)];
    let host = |name, bad: bool| {
        let (ping, ssh) = if bad { ("fail", "timeout") } else { ("ok", "open") };
        [of(name, None, "ping", "fail", ping), of(name, None, "ssh", "timeout", ssh)].concat()
    };
    let alive = |name| vec![fact(name, None, "ping", json!("ok"), moment)];
    let port = |host, key, bad: bool| {
        [of(host, Some(key), "port", "refused", if bad { "refused" } else { "open" }).to_vec(), alive(host)].concat()
    };
    let state = |host, key, bad: bool| {
        let now = if bad { "NOTREADY" } else { "ENABLED" };
        [of(host, Some(key), "service_state", "NOTREADY", now).to_vec(), alive(host)].concat()
    };
    for bad in [true, false] {
        for (rule, seen, said) in [
            ("a component", port("cc1", "cc", bad), vec!["flapping/crashed cc1/cc critical visible"]),
            ("one of several", port("ufs1", "ufs", bad), vec!["flapping/crashed ufs1/ufs major invisible"]),
            (
                "what hangs on it comes and goes with it",
                [port("clc1", "clc", bad), state("sc1", "sc", bad), state("ufs1", "ufs", bad)].concat(),
                vec!["flapping/crashed clc1/clc critical visible"],
            ),
            (
                "all of a JVM",
                [port("f1", "walrus", bad), port("f1", "ufs", bad)].concat(),
                vec!["flapping/jvm f1 major invisible"],
            ),
            ("a host", [host("nc1", bad), alive("nc2")].concat(), vec!["flapping/bmc_dark nc1 critical visible"]),
            (
                "all behind a switch",
                [host("nc1", bad), host("nc2", bad), alive("cc1")].concat(),
                vec!["flapping/switch sw1 critical visible"],
            ),
            (
                "a host that answers all the while on another port has a bad path",
                [host("nc1", bad).as_slice(), &[fact("nc1", Some("nc"), "port", json!("open"), moment)]].concat(),
                vec!["flapping/partial nc1 warning invisible"],
            ),
            (
                "one ping is not a host",
                of("nc1", None, "ping", "fail", if bad { "fail" } else { "ok" }).to_vec(),
                if bad { vec!["unknown/insufficient nc1 unknown invisible"] } else { vec![] },
            ),
        ] {
            assert_eq!(told(&topology, &seen), said, "{rule}, {}", if bad { "bad" } else { "good" });
        }
    }
    let stands = [
        fact("cc1", Some("cc"), "port", json!("refused"), Span::from_secs(60)),
        flaps("cc1", Some("cc"), "port", "refused"),
    ];
    assert_eq!(
        told(&topology, &stands),
        ["software_down/crashed cc1/cc critical visible"],
        "it has stood for a minute"
    );
}

#[test]
fn a_link_that_comes_and_goes_is_lost_redundancy_that_does_not_last() {
    let topology: Topology = serde_json::from_value(json!({"hosts": {"a": [], "b": []}})).unwrap();
    let bond = |up: i64| json!({"name": "bond0", "mode": "802.3ad", "slaves": 2, "up": up, "ports": up, "down": if up < 2 { vec!["eth1"] } else { vec![] }});
    for up in [1, 2] {
        let flapping = fact("a", None, "flapping", json!({"sig": "bond", "value": bond(1)}), Span::from_secs(90));
        let seen = [flapping, fact("a", None, "bond", bond(up), Span::from_secs(5))];
        assert_eq!(told(&topology, &seen), ["flapping/bond_slave a major invisible"], "{up} of 2 up");
    }
}

#[test]
fn instances_that_nobody_reports_for_8_h_are_told_before_they_are_given_up() {
    let topology = |release: Option<&str>| -> Topology {
        serde_json::from_value(json!({"platform": "eucalyptus", "release": release, "min_nc": 1,
            "hosts": {"cc1": ["cc"], "nc1": ["nc"], "nc2": ["nc"], "sc1": ["sc"]},
            "zones": {"one": ["cc1", "nc1", "nc2", "sc1"]}}))
        .unwrap()
    };
    let (long, short) = (Span::from_hours(8), Span::from_mins(8 * 60 - 1));
    for (release, host, key, out, escalated) in [
        (Some("3.4"), "nc1", "nc", long, true),
        (Some("3.4.2"), "cc1", "cc", long, true),
        (Some("4.0"), "nc1", "nc", long, true),
        (Some("4.0.2"), "nc1", "nc", short, false),
        (Some("4.1"), "nc1", "nc", long, false),
        (Some("4.4"), "cc1", "cc", long, false),
        (Some("3.4"), "sc1", "sc", long, false),
        (None, "nc1", "nc", long, false),
    ] {
        let seen = [fact(host, None, "ping", json!("ok"), long), fact(host, Some(key), "port", json!("refused"), out)];
        let answer = diagnose(&topology(release), &seen, START, &Timing::default());
        let [verdict] = answer.verdicts.as_slice() else { panic!("{:?}", answer.verdicts) };
        let timer = verdict.evidence.iter().find(|fact| fact.sig == TIMER);
        assert_eq!(timer.is_some(), escalated, "{release:?} {host} {out}");
        if let Some(timer) = timer {
            assert_eq!((timer.at.as_str(), verdict.severity), (&*format!("{host}/{key}"), Severity::Critical));
            assert!(timer.value.contains("will be marked terminated at 12 h"), "{}", timer.value);
        }
    }
}

#[test]
fn the_timer_is_told_anew_by_whoever_was_told_of_the_failure() {
    let mut site = Site::of(catalog("3.4"));
    site.set(PORT, 2).pass(60);
    assert_eq!(site.pages, ["problem INC-1"]);
    let quiet = |site: &Site| site.pages.iter().filter(|page| !page.starts_with("renotify")).count();
    site.pass(7 * 3600 + 3500);
    let before = (quiet(&site), site.incidents()[0].generation);
    site.pass(120);
    let after = (quiet(&site), site.incidents()[0].generation);
    assert_eq!(after.1, before.1 + 1, "it was critical before, and is urgent now");
    assert_eq!(after.0, before.0 + 1, "{:?}", site.pages);
}

#[test]
fn who_was_told_is_told_again_by_severity() {
    let timing = stentor_core::catalog::Timing::default();
    let again = [timing.renotify_critical, timing.renotify_major, timing.renotify_warning];
    assert_eq!(again, [Span::from_mins(30), Span::from_hours(4), Span::from_hours(24)]);
    let mut site = Site::well();
    site.set(PORT, 2).pass(60 + 30 * 60 + 30);
    assert_eq!(site.pages.len(), 2, "critical, after half an hour: {:?}", site.pages);
}

#[test]
fn a_fact_that_somebody_else_tells_each_second_anew_is_one_incident_too() {
    let mut site = Site::well();
    let tell = |site: &mut Site, secs: i64, bad: &dyn Fn(i64) -> bool| {
        for second in 0..secs {
            let state = if bad(second) { "BROKEN" } else { "ENABLED" };
            let said = fact("cc1", Some("cc"), "service_state", json!(state), Span::ZERO);
            site.apply(Input::Signal(Signal { observed_at: site.at, changed_at: site.at, ..said }));
            site.pass(1);
        }
    };
    tell(&mut site, 300, &|second| second % 2 == 1);
    assert_eq!(site.said(), ["INC-1 open flapping/config cc1"]);
    site.restart();
    tell(&mut site, 300, &|second| second % 3 == 1);
    assert_eq!(site.said(), ["INC-1 open flapping/config cc1"]);
    assert_eq!(site.pages, ["problem INC-1"]);
    tell(&mut site, 600, &|_| false);
    assert_eq!(site.said(), ["INC-1 resolved flapping/config cc1"]);
    assert_eq!(site.pages, ["problem INC-1", "recovery INC-1"]);
}
