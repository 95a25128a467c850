//! A Nagios tree built by hand, and an engine that runs it in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::nagios::{
    CommandCall, CommandLine, ContactSide, Directives, Escalation, Member, NagiosContact, Options, Program,
};
use stentor_core::catalog::{Catalog, Check, Contact, Host, Service, Zone};
use stentor_core::diagnosis::Severity;
use stentor_core::engine::switch::Side;
use stentor_core::engine::track::Track;
use stentor_core::engine::{
    CheckRequest, CheckResult, Command, CommandError, CommandInput, Effects, Engine, Input, Reply, ResultSource, Took,
};
use stentor_core::id::{
    AppearanceId, CheckId, CommandId, ContactId, DirectivesId, HostId, ObjectId, ServiceId, ZoneId,
};
use stentor_core::model::{CommandRun, HeldNotice, HostState, ObjectKey, Observation, ServiceState, Value};
use stentor_core::snapshot::Row;
use stentor_core::{Span, Timestamp};

/// Sunday 2026-11-22 00:00 UTC.
pub const START: Timestamp = Timestamp::from_secs(1_795_305_600);

/// How one host or service of the tree is configured, with the values that the recorded sequences start from.
#[derive(Clone, Debug)]
pub struct Object {
    pub attempts: u16,
    pub check_interval: Span,
    pub retry_interval: Span,
    pub directives: Directives,
    pub parents: Vec<HostId>,
}

impl Object {
    pub fn host() -> Object {
        let mut object = Object::service();
        object.directives.flap_options = Options::HOST_STATES;
        object
    }

    pub fn service() -> Object {
        let mut directives = Directives { notification_interval: Span::from_secs(60), ..Directives::default() };
        directives.switches.active_checks = false;
        directives.switches.flap_detection = false;
        Object {
            attempts: 3,
            check_interval: Span::from_secs(5),
            retry_interval: Span::from_secs(1),
            directives,
            parents: Vec::new(),
        }
    }

    pub fn attempts(attempts: u16) -> Object {
        Object { attempts, ..Object::service() }
    }

    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Directives)) -> Object {
        change(&mut self.directives);
        self
    }
}

/// A tree under construction.
pub struct Tree {
    pub catalog: Catalog,
}

impl Tree {
    pub fn new() -> Tree {
        let program = Program {
            interval_length: Span::from_secs(1),
            enable_flap_detection: true,
            log_service_retries: true,
            log_host_retries: true,
            log_passive_checks: false,
            ..Program::default()
        };
        let mut catalog = Catalog {
            instance: "test".into(),
            site: "here".into(),
            zones: vec![Zone { name: "main".into(), cloud: None }],
            ..Catalog::default()
        };
        catalog.nagios.program = program;
        catalog.nagios.appearances.push(Default::default());
        Tree { catalog }
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.catalog.nagios.program
    }

    /// A `define command`; naming it again gives the same one.
    pub fn command(&mut self, name: &str, line: &str) -> CommandCall {
        let commands = &mut self.catalog.nagios.commands;
        let known = commands.iter().position(|command| &*command.name == name);
        let command = known.unwrap_or_else(|| {
            commands.push(CommandLine { name: name.into(), line: line.into() });
            commands.len() - 1
        });
        CommandCall { command: CommandId::from_index(command), text: name.into() }
    }

    pub fn contact(&mut self, name: &str, host: Options, service: Options) -> ContactId {
        let (nh, ns) = (self.command("nh", "notify-host"), self.command("ns", "notify-service"));
        let side = |options, call| ContactSide { enabled: true, period: None, options, commands: vec![call] };
        self.catalog.contacts.push(Contact {
            name: name.into(),
            display: name.into(),
            channels: BTreeMap::new(),
            period: None,
            severity_min: Severity::Unknown,
        });
        self.catalog.nagios.contacts.push(Some(NagiosContact {
            email: Arc::default(),
            pager: Arc::default(),
            addresses: Default::default(),
            host: side(host, nh),
            service: side(service, ns),
            can_submit_commands: true,
            retain_status: true,
            retain_nonstatus: true,
            minimum_importance: 0,
            vars: BTreeMap::new(),
        }));
        ContactId::from_index(self.catalog.contacts.len() - 1)
    }

    pub fn host(&mut self, name: &str, object: &Object) -> HostId {
        let check = self.check(&format!("host/{name}"), object);
        let member = self.member(object);
        self.catalog.hosts.push(Host {
            parents: object.parents.clone(),
            check: Some(check),
            ..Host::bare(name, ZoneId(0))
        });
        self.catalog.nagios.hosts.push(member);
        HostId::from_index(self.catalog.hosts.len() - 1)
    }

    pub fn service(&mut self, host: HostId, name: &str, object: &Object) -> ServiceId {
        let check = self.check(&format!("{name}@{}", host.0), object);
        let member = self.member(object);
        let id = ServiceId::from_index(self.catalog.services.len());
        self.catalog.hosts[host.index()].services.push(id);
        self.catalog.services.push(Service { host, name: name.into(), check, params: Value::Null, component: None });
        self.catalog.nagios.services.push(member);
        id
    }

    pub fn escalation(&mut self, object: ObjectId, first: u32, last: u32, contact: ContactId) -> &mut Escalation {
        let escalations = &mut self.catalog.nagios.escalations;
        escalations.push(Escalation {
            object,
            first,
            last,
            interval: None,
            period: None,
            options: Options::ALL,
            contacts: vec![contact],
            contact_groups: Vec::new(),
        });
        escalations.last_mut().expect("just pushed")
    }

    fn check(&mut self, name: &str, object: &Object) -> CheckId {
        self.catalog.checks.push(Check {
            name: name.into(),
            probe: "exec".into(),
            params: Value::Null,
            every: object.check_interval,
            retry: object.retry_interval,
            timeout: Span::from_secs(10),
            attempts: object.attempts,
            rules: Vec::new(),
            signals: Vec::new(),
            host_side: false,
            freshness: Span::ZERO,
        });
        CheckId::from_index(self.catalog.checks.len() - 1)
    }

    fn member(&mut self, object: &Object) -> Member {
        let directives = &mut self.catalog.nagios.directives;
        directives.push(object.directives.clone());
        Member { directives: DirectivesId::from_index(directives.len() - 1), appearance: AppearanceId(0) }
    }
}

/// An engine with virtual time, and what it said since it was last asked.
pub struct Site {
    pub engine: Engine,
    pub at: Timestamp,
    seq: u64,
    log: Vec<String>,
    runs: Vec<CommandRun>,
    perfdata: Vec<(Side, String)>,
    checks: Vec<CheckRequest>,
    notices: Vec<String>,
    held: Vec<HeldNotice>,
}

impl Site {
    pub fn new(mut tree: Tree) -> Site {
        tree.catalog.reindex();
        let mut site = Site {
            engine: Engine::new(),
            at: START,
            seq: 0,
            log: Vec::new(),
            runs: Vec::new(),
            perfdata: Vec::new(),
            checks: Vec::new(),
            notices: Vec::new(),
            held: Vec::new(),
        };
        site.apply(Input::Catalog(Arc::new(tree.catalog)));
        site
    }

    pub fn apply(&mut self, input: Input) -> Option<Result<Reply, CommandError>> {
        self.seq += 1;
        self.engine.begin_turn(self.seq);
        let done = self.engine.apply(self.at, &input);
        let Effects { log, runs, perfdata, checks, notices, held_notices, reply, .. } = done;
        self.perfdata.extend(perfdata);
        self.log.extend(log);
        self.runs.extend(runs);
        self.checks.extend(checks);
        self.held.extend(held_notices);
        self.notices.extend(notices.iter().map(|notice| {
            let kind = if notice.object.service.is_some() { "SERVICE" } else { "HOST" };
            let service = notice.object.service.as_ref().map(|name| format!("{name};")).unwrap_or_default();
            format!("{kind}:{};{};{service}{}", notice.contact, notice.object.host, notice.shown_state())
        }));
        reply
    }

    /// Lets seconds pass, each with its tick.
    pub fn pass(&mut self, secs: i64) -> &mut Self {
        for _ in 0..secs {
            self.at += Span::from_secs(1);
            self.apply(Input::Tick);
        }
        self
    }

    pub fn id(&self, host: &str, service: Option<&str>) -> ObjectId {
        let key = ObjectKey { host: host.into(), service: service.map(Into::into) };
        self.engine.catalog().object_id(&key).expect("a known object")
    }

    /// An active result of a service or host by the state that its plugin reported.
    pub fn active(&mut self, object: ObjectId, code: i32, output: &str) -> &mut Self {
        let state = ServiceState::from_code(code).expect("a plugin's state");
        self.result(object, ResultSource::Active, Observation::reported(state, output))
    }

    pub fn passive(&mut self, object: ObjectId, code: i32, output: &str) -> &mut Self {
        let observation = match object {
            ObjectId::Host(_) => Observation::reported_host(HostState::from_code(code).expect("a state"), output),
            ObjectId::Service(_) => {
                Observation::reported(ServiceState::from_code(code).unwrap_or(ServiceState::Unknown), output)
            }
        };
        self.result(object, ResultSource::Passive, observation)
    }

    pub fn result(&mut self, object: ObjectId, source: ResultSource, observation: Observation) -> &mut Self {
        let observation = Arc::new(observation);
        self.apply(Input::Result(CheckResult {
            object,
            observed_at: self.at,
            source,
            observation,
            id: None,
            took: Took::default(),
        }));
        self
    }

    pub fn command(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.apply(Input::Command(CommandInput { command, raw: None, id: None })).expect("a command is answered")
    }

    pub fn row(&self, object: ObjectId) -> Row {
        *self.engine.row(object)
    }

    pub fn track(&self, object: ObjectId) -> Track {
        let snapshot = self.engine.snapshot();
        Track::clone(snapshot.track(object).expect("an object of the tree"))
    }

    /// `CRITICAL;SOFT;1`
    pub fn shown(&self, object: ObjectId) -> String {
        let row = self.row(object);
        let word = match object {
            ObjectId::Host(_) => row.host_state().as_str(),
            ObjectId::Service(_) => row.service_state().as_str(),
        };
        format!("{word};{};{}", row.kind.as_str(), row.attempt)
    }

    /// Log lines since the last call.
    pub fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Command lines run since the last call.
    /// Lines of the perfdata files since the last time.
    pub fn perfdata(&mut self) -> Vec<(Side, String)> {
        std::mem::take(&mut self.perfdata)
    }

    pub fn runs(&mut self) -> Vec<CommandRun> {
        std::mem::take(&mut self.runs)
    }

    /// Checks asked for since the last call.
    pub fn checks(&mut self) -> Vec<CheckRequest> {
        std::mem::take(&mut self.checks)
    }

    /// What was not sent since the last call.
    pub fn held(&mut self) -> Vec<HeldNotice> {
        std::mem::take(&mut self.held)
    }

    /// `SERVICE:contact;host;service;state` of the notices since the last call.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}
