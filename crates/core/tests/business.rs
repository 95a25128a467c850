//! Business services in the engine: their changes are told once, planned work is told apart, and incidents know them.

use std::sync::Arc;

use stentor_core::availability::Expr;
use stentor_core::availability::State;
use stentor_core::availability::assess::Status;
use stentor_core::availability::business::{Business, order};
use stentor_core::catalog::{Catalog, Check, Host, PlannedDowntime, Service, Timing, Zone};
use stentor_core::engine::checkpoint::Checkpoint;
use stentor_core::engine::{CheckResult, Effects, Engine, EventKind, Input, ResultSource, Took};
use stentor_core::id::{CheckId, HostId, ServiceId, ZoneId};
use stentor_core::model::{ObjectKey, Observation, ServiceState, TimelineKind, Value};
use stentor_core::{Span, Timestamp};

fn business(name: &str, expression: &str) -> Business {
    Business {
        name: name.into(),
        display: name.into(),
        expression: Expr::parse(expression).expect("well-formed"),
        cloud: None,
        slo: Some(99.9),
    }
}

/// Two hosts outside clouds with one service each, of one attempt.
fn catalog(businesses: Vec<Business>) -> Catalog {
    let check = Check {
        name: "http".into(),
        probe: "".into(),
        params: Value::Null,
        every: Span::from_secs(60),
        retry: Span::from_secs(20),
        timeout: Span::from_secs(10),
        attempts: 1,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness: Span::ZERO,
    };
    let host =
        |i: usize| Host { services: vec![ServiceId::from_index(i)], ..Host::bare(["web1", "web2"][i], ZoneId(0)) };
    let service = |i: usize| Service {
        host: HostId::from_index(i),
        name: "http".into(),
        check: CheckId(0),
        params: Value::Null,
        component: None,
    };
    let mut catalog = Catalog {
        instance: "test".into(),
        site: "here".into(),
        timing: Timing { hold_software: Span::from_secs(1), ..Timing::default() },
        zones: vec![Zone { name: "main".into(), cloud: None }],
        checks: vec![check],
        hosts: (0..2).map(host).collect(),
        services: (0..2).map(service).collect(),
        businesses,
        ..Catalog::default()
    };
    catalog.reindex();
    catalog
}

struct Story {
    engine: Engine,
    at: Timestamp,
    events: Vec<String>,
}

impl Story {
    fn new(catalog: Catalog) -> Story {
        let mut story = Story { engine: Engine::new(), at: Timestamp::from_secs(1_000_000), events: Vec::new() };
        story.apply(&Input::Catalog(Arc::new(catalog)));
        story
    }

    fn apply(&mut self, input: &Input) -> Effects {
        let effects = self.engine.apply(self.at, input);
        let told = effects.events.iter().filter(|event| event.kind.is_of_availability());
        self.events.extend(told.map(|event| event.text.clone()));
        effects
    }

    fn see(&mut self, host: &str, code: i32) -> &mut Story {
        let object = self.engine.catalog().object_id(&key(host)).expect("it is there");
        let state = ServiceState::from_code(code).expect("a state");
        let observation = Arc::new(Observation::reported(state, "seen"));
        let (observed_at, source) = (self.at, ResultSource::Active);
        self.apply(&Input::Result(CheckResult {
            object,
            observed_at,
            source,
            observation,
            id: None,
            took: Took::default(),
        }));
        self.pass(1)
    }

    fn pass(&mut self, secs: i64) -> &mut Story {
        for _ in 0..secs {
            self.at += Span::from_secs(1);
            self.apply(&Input::Tick);
        }
        self
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }

    fn status(&self, name: &str) -> Status {
        let snapshot = self.engine.snapshot();
        snapshot.services_known.businesses.iter().find(|status| &*status.name == name).expect("it is there").clone()
    }
}

fn key(host: &str) -> ObjectKey {
    ObjectKey { host: host.into(), service: Some("http".into()) }
}

fn shop() -> Catalog {
    let pages = "service:web1/http or service:web2/http";
    catalog(vec![business("shop", "business:pages"), business("pages", pages)])
}

#[test]
fn a_change_is_told_once_with_its_reason() {
    let mut story = Story::new(shop());
    story.pass(3);
    assert_eq!(
        story.told(),
        [
            "Business service shop is unknown: business:pages is unknown",
            "Business service pages is unknown: web1/http is unknown; web2/http is unknown"
        ]
        .map(|text| text.replace("business:pages", "pages"))
    );
    story.see("web1", 0).see("web2", 0);
    assert_eq!(story.told(), ["Business service shop is available", "Business service pages is available"]);
    story.see("web1", 2).pass(5);
    assert_eq!(story.told(), Vec::<String>::new(), "one of two is enough");
    assert_eq!(story.status("pages").redundancy.map(|spare| (spare.left, spare.of)), Some((0, 1)));
    story.see("web2", 1);
    assert_eq!(story.told().len(), 2, "degraded");
    let since = story.at;
    story.see("web2", 2).pass(5);
    let status = story.status("shop");
    assert_eq!((status.state, status.because.as_slice()), (State::Unavailable, &["pages".to_owned()][..]));
    assert_eq!(status.since, since + Span::from_secs(1), "since it was so, not since it was looked at last");
    assert_eq!(story.status("pages").because, ["web1/http", "web2/http"]);
}

#[test]
fn an_outage_that_planned_work_explains_is_told_apart() {
    let mut planned = shop();
    let start = Timestamp::from_secs(1_000_000);
    let window = |host: &str| PlannedDowntime {
        target: key(host),
        start: start + Span::from_secs(100),
        end: start + Span::from_secs(200),
        comment: "work".into(),
    };
    planned.downtimes = vec![window("web1"), window("web2")];
    let mut story = Story::new(planned);
    story.see("web1", 0).see("web2", 0).pass(100);
    story.told();
    story.see("web1", 2).see("web2", 2);
    assert_eq!(
        story.told(),
        [
            "Business service shop is unavailable (planned): pages is unavailable",
            "Business service pages is unavailable (planned): web1/http is unavailable; web2/http is unavailable"
        ]
    );
    story.pass(120);
    let told = story.told();
    assert_eq!(told.len(), 2, "the window is over and it is still gone: {told:?}");
    assert!(told.iter().all(|text| text.contains(" is unavailable: ")), "{told:?}");
}

#[test]
fn an_incident_knows_which_services_it_takes_down() {
    let mut story = Story::new(catalog(vec![
        business("both", "service:web1/http and service:web2/http"),
        business("either", "service:web1/http or service:web2/http"),
    ]));
    story.see("web1", 0).see("web2", 0).see("web1", 2).pass(150);
    let snapshot = story.engine.snapshot();
    let [incident] = snapshot.live_incidents()[..] else { panic!("{} incidents", snapshot.incidents.len()) };
    let hit: Vec<&str> = snapshot.services_known.hit[&incident.number].iter().map(|name| &**name).collect();
    assert_eq!(hit, ["both"]);
    let number = incident.number;
    let told = |story: &Story| -> Vec<String> {
        story.engine.snapshot().incidents[&number].business.iter().map(ToString::to_string).collect()
    };
    assert_eq!(told(&story), ["both"], "a message about it names them");
    let effects: Vec<&str> =
        incident.timeline.iter().filter(|e| e.kind == TimelineKind::Effect).map(|e| e.text.as_str()).collect();
    assert_eq!(effects, ["business service both is affected"], "told once");
    story.see("web1", 0).pass(60);
    assert!(story.engine.snapshot().services_known.hit.is_empty(), "and not after it is over");
    assert_eq!(told(&story), ["both"], "what it did is kept with it");
}

#[test]
fn a_restart_and_a_reload_keep_since_when_it_is_so() {
    let mut story = Story::new(shop());
    story.see("web1", 0).see("web2", 0).see("web1", 2).see("web2", 2);
    let since = story.status("shop").since;
    story.told();
    let bytes = postcard::to_allocvec(&story.engine.checkpoint()).expect("a checkpoint can be written");
    let back: Checkpoint = postcard::from_bytes(&bytes).expect("and read back");
    story.engine = Engine::from_checkpoint(back);
    story.pass(10);
    assert_eq!((story.status("shop").since, story.told().len()), (since, 0));
    let mut more = shop();
    more.businesses.insert(0, business("new", "service:web1/http"));
    story.apply(&Input::Catalog(Arc::new(more)));
    story.pass(2);
    assert_eq!(story.status("shop").since, since);
    assert_eq!(story.told(), ["Business service new is unavailable: web1/http is unavailable"]);
}

#[test]
fn time_in_which_nobody_looked_is_told() {
    let mut story = Story::new(shop());
    story.pass(1);
    story.told();
    story.at += Span::from_secs(600);
    let effects = story.apply(&Input::Gap(Span::from_secs(600)));
    assert!(effects.events.iter().any(|event| event.kind == EventKind::Unwatched));
    assert_eq!(story.told(), ["nobody looked for 600000 ms"]);
    story.apply(&Input::Gap(Span::from_secs(5)));
    assert!(story.told().is_empty(), "a moment is no gap in the history");
}

#[test]
fn services_that_stand_on_themselves_are_found() {
    let circle = [business("a", "business:b"), business("b", "business:a"), business("c", "service:web1/http")];
    assert_eq!(order(&circle), (vec![2], vec![0, 1]));
    let mut story = Story::new(catalog(circle.into()));
    story.see("web1", 0);
    assert_eq!(story.status("a").state, State::Unknown);
    assert_eq!(story.status("c").state, State::Available);
}
