//! A small world to tell stories in: two hosts behind a gateway, a few services, one contact.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::{Catalog, Check, Contact, Host, Route, RouteMatch, Service, Timing, Zone};
use stentor_core::diagnosis::Severity;
use stentor_core::engine::{
    AgentSeen, CheckResult, Command, CommandError, CommandInput, DowntimeRequest, Engine, Input, Reply, ResultSource,
    Spread, Took,
};
use stentor_core::id::{CheckId, ContactId, HostId, ObjectId, ServiceId, ZoneId};
use stentor_core::model::{Ack, Covers, DowntimeKind, ObjectKey, Observation, ServiceState, Sticky, Value};
use stentor_core::runbook::{AuditEntry, RunOrder};
use stentor_core::snapshot::Row;
use stentor_core::{Span, Timestamp};

pub fn key(host: &str, service: Option<&str>) -> ObjectKey {
    ObjectKey { host: host.into(), service: service.map(Into::into) }
}

pub fn ack(by: &str) -> Ack {
    Ack { by: by.into(), comment: "on it".into(), at: Timestamp::ZERO, until: None, sticky: Sticky::Yes }
}

fn check(name: &str, attempts: u16, freshness: Span) -> Check {
    Check {
        name: name.into(),
        probe: "".into(),
        params: Value::Null,
        every: Span::from_secs(60),
        retry: Span::from_secs(20),
        timeout: Span::from_secs(10),
        attempts,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness,
    }
}

fn host(name: &str, parents: Vec<HostId>) -> Host {
    Host { parents, check: Some(CheckId(0)), ..Host::bare(name, ZoneId(0)) }
}

pub fn catalog() -> Catalog {
    let mut catalog = Catalog {
        instance: "test".into(),
        site: "here".into(),
        timing: Timing::default(),
        zones: vec![Zone { name: "main".into(), cloud: None }],
        checks: vec![
            check("host", 3, Span::ZERO),
            check("http", 3, Span::ZERO),
            check("disk", 1, Span::from_secs(180)),
            check("load", 3, Span::ZERO),
        ],
        hosts: vec![host("gw", vec![]), host("web1", vec![HostId(0)]), host("behind", vec![HostId(0)])],
        contacts: vec![Contact {
            name: "oncall".into(),
            display: "On call".into(),
            channels: BTreeMap::from([(Arc::from("email"), Arc::from("oncall@example.org"))]),
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
    for (name, id) in [("http", 1), ("disk", 2), ("load", 3)] {
        add_service(&mut catalog, name, id);
    }
    catalog.reindex();
    catalog
}

fn add_service(catalog: &mut Catalog, name: &str, check: u32) {
    let id = ServiceId::from_index(catalog.services.len());
    catalog.hosts[1].services.push(id);
    catalog.services.push(Service {
        host: HostId(1),
        name: name.into(),
        check: CheckId(check),
        params: Value::Null,
        component: None,
    });
}

/// The same services under other ids.
pub fn reverse_services(catalog: &mut Catalog) {
    catalog.services.reverse();
    catalog.hosts[1].services = (0..catalog.services.len()).map(ServiceId::from_index).collect();
}

/// An engine with virtual time; collects what it says.
pub struct Story {
    pub engine: Engine,
    pub at: Timestamp,
    seq: u64,
    pages: Vec<String>,
    keys: Vec<String>,
    log: Vec<String>,
    audit: Vec<AuditEntry>,
    orders: Vec<RunOrder>,
    dates: Vec<Timestamp>,
}

impl Story {
    pub fn new() -> Story {
        let mut story = Story {
            engine: Engine::new(),
            at: Timestamp::from_secs(1_000_000),
            seq: 0,
            pages: Vec::new(),
            keys: Vec::new(),
            log: Vec::new(),
            audit: Vec::new(),
            orders: Vec::new(),
            dates: Vec::new(),
        };
        story.apply(Input::Catalog(Arc::new(catalog())));
        story
    }

    fn apply(&mut self, input: Input) -> Option<Result<Reply, CommandError>> {
        self.seq += 1;
        self.engine.begin_turn(self.seq);
        let effects = self.engine.apply(self.at, &input);
        for n in effects.notifications {
            let line = format!("{} {} INC-{} {}", n.reason.as_str(), n.contact, n.incident.number, n.incident.title);
            self.pages.push(line);
            self.keys.push(n.key.to_string());
        }
        self.audit.extend(effects.audit);
        self.orders.extend(effects.orders);
        self.dates.extend(effects.events.iter().map(|event| event.at));
        self.log.extend(effects.events.iter().map(|event| format!("{} {}", event.kind.as_str(), event.text)));
        effects.reply
    }

    /// The process ends, and another goes on from its checkpoint.
    #[allow(dead_code, reason = "not every story restarts")]
    pub fn restart(&mut self) -> &mut Self {
        self.engine = Engine::from_checkpoint(self.engine.checkpoint());
        self
    }

    /// Lets time pass, second by second for the first minute, then in steps of ten.
    pub fn pass(&mut self, secs: i64) -> &mut Self {
        let end = self.at + Span::from_secs(secs);
        while self.at < end {
            let step = if secs > 120 { Span::from_secs(10) } else { Span::from_secs(1) };
            self.at = (self.at + step).min(end);
            self.apply(Input::Tick);
        }
        self
    }

    /// The process does not run for so long.
    pub fn sleep(&mut self, secs: i64) -> &mut Self {
        self.at += Span::from_secs(secs);
        self.apply(Input::Gap(Span::from_secs(secs)));
        self
    }

    pub fn result(&mut self, host: &str, service: Option<&str>, code: i32) -> &mut Self {
        self.result_at(host, service, code, self.at)
    }

    pub fn result_at(&mut self, host: &str, service: Option<&str>, code: i32, at: Timestamp) -> &mut Self {
        self.send(host, service, code, at, None)
    }

    pub fn result_with_id(&mut self, host: &str, service: &str, code: i32, id: &str) -> &mut Self {
        self.send(host, Some(service), code, self.at, Some(id))
    }

    fn send(&mut self, host: &str, service: Option<&str>, code: i32, at: Timestamp, id: Option<&str>) -> &mut Self {
        let object = self.engine.catalog().object_id(&key(host, service)).expect("known object");
        let state = ServiceState::from_code(code).expect("a state");
        let observation = Arc::new(Observation::reported(state, format!("{state} it is")));
        let id = id.map(Into::into);
        self.apply(Input::Result(CheckResult {
            object,
            observed_at: at,
            source: ResultSource::Passive,
            observation,
            id,
            took: Took::default(),
        }));
        self
    }

    /// One push of the agent on a host: what it saw, and whether it has more.
    pub fn push(&mut self, host: &str, sequence: u64, has_more: bool, seen: &[(&str, i32, Timestamp)]) -> &mut Self {
        if has_more {
            self.apply(Input::AgentBehind(host.into()));
        }
        for (service, code, observed_at) in seen {
            let object = self.engine.catalog().object_id(&key(host, Some(service))).expect("known object");
            let state = ServiceState::from_code(*code).expect("a state");
            let observation = Arc::new(Observation::reported(state, format!("{state} it was")));
            let (observed_at, source) = (*observed_at, ResultSource::Agent);
            let took = Took::default();
            self.apply(Input::Result(CheckResult { object, observed_at, source, observation, id: None, took }));
        }
        self.apply(Input::AgentSeen(AgentSeen { agent: host.into(), boot: "b".into(), sequence }));
        self
    }

    pub fn all_well(&mut self, host: &str) -> &mut Self {
        self.result(host, None, 0);
        let services: Vec<String> = {
            let catalog = self.engine.catalog();
            let id = catalog.host_id(host).expect("known host");
            catalog.hosts[id.index()].services.iter().map(|s| catalog.services[s.index()].name.to_string()).collect()
        };
        for service in services {
            self.result(host, Some(&service), 0);
        }
        self
    }

    pub fn fail_hard(&mut self, host: &str, service: &str) -> &mut Self {
        self.result(host, Some(service), 0);
        for _ in 0..3 {
            self.pass(60).result(host, Some(service), 2);
        }
        self.pass(2)
    }

    pub fn command(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.apply(Input::Command(CommandInput { command, raw: None, id: None })).expect("a command is answered")
    }

    /// Acknowledges the live incident of that title.
    pub fn ack_titled(&mut self, title: &str) {
        let snapshot = self.engine.snapshot();
        let live = snapshot.live_incidents();
        let number = live.iter().find(|incident| incident.title == title).expect("such an incident is live").number;
        let command = Command::AckIncident { number, ack: ack("mara"), notify: stentor_core::engine::Notify::Yes };
        self.command(command).expect("acknowledged");
    }

    pub fn downtime(&mut self, host: &str, service: Option<&str>, length: Span) -> Result<Reply, CommandError> {
        let (start, end) = (self.at, self.at + length);
        let target = key(host, service);
        let covers = Covers::HostAndServices;
        let (author, comment) = ("mara".into(), "planned".into());
        let (kind, triggered_by, spread) = (DowntimeKind::Fixed, None, Spread::TargetOnly);
        self.command(Command::ScheduleDowntime(DowntimeRequest {
            target,
            covers,
            kind,
            triggered_by,
            spread,
            start,
            end,
            author,
            comment,
        }))
    }

    pub fn change_catalog(&mut self, change: impl FnOnce(&mut Catalog)) {
        let mut catalog = catalog();
        change(&mut catalog);
        catalog.reindex();
        self.apply(Input::Catalog(Arc::new(catalog)));
    }

    pub fn service(&self, host: &str, service: &str) -> Row {
        let id = self.engine.catalog().object_id(&key(host, Some(service))).expect("known service");
        *self.engine.snapshot().row(id)
    }

    pub fn host(&self, host: &str) -> Row {
        let id = self.engine.catalog().host_id(host).expect("known host");
        *self.engine.snapshot().row(ObjectId::Host(id))
    }

    pub fn host_word(&self, host: &str) -> &'static str {
        self.host(host).host_state().as_str()
    }

    /// Pages since the last call.
    pub fn pages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.pages)
    }

    /// Keys of all pages of the story.
    pub fn keys(&self) -> Vec<String> {
        self.keys.clone()
    }

    /// As [`Story::log`], with the seconds since `start` at which each event is dated.
    #[allow(dead_code, reason = "not every story looks at dates")]
    pub fn dated(&self, start: Timestamp) -> Vec<(i64, String)> {
        let secs = self.dates.iter().map(|at| at.since(start).as_millis() / 1000);
        secs.zip(self.log.iter().cloned()).collect()
    }

    /// Everything that runs were asked for, in one line each.
    #[allow(dead_code, reason = "not every story runs runbooks")]
    pub fn audit(&self) -> Vec<String> {
        let line = |entry: &AuditEntry| {
            format!("{} {} {}: {}", entry.who, entry.action, if entry.done { "done" } else { "refused" }, entry.text)
        };
        self.audit.iter().map(line).collect()
    }

    /// What the executor was told since the last call.
    #[allow(dead_code, reason = "not every story runs runbooks")]
    pub fn orders(&mut self) -> Vec<RunOrder> {
        std::mem::take(&mut self.orders)
    }

    pub fn log(&self) -> Vec<String> {
        self.log.clone()
    }
}
