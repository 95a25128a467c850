//! The world of macros over the tables of the engine, or of a snapshot: they are the same.

use std::cell::OnceCell;
use std::sync::Arc;

use super::facts::{
    ContactFacts, DateFormat, GroupFacts, HostFacts, NotificationFacts, ObjectFacts, Owner, ProgramFacts, RemarkFacts,
    ServiceFacts, Totals, World,
};
use super::{CommandCall, Context, EnvironmentSize, ExpandError, Options, environment, expand_command_held};
use crate::Timestamp;
use crate::catalog::Catalog;
use crate::catalog::nagios::{self, Group, Program};
use crate::engine::track::Track;
use crate::id::{ContactId, HostId, ObjectId, ServiceId, TimeperiodId};
use crate::model::{CommandRun, ObjectKey, ServiceState};
use crate::snapshot::{Detail, Row, Snapshot};

/// Everything that a macro can ask for, at one instant.
pub struct View<'a> {
    pub catalog: &'a Catalog,
    pub program: &'a Program,
    pub now: Timestamp,
    pub started: Timestamp,
    pub hosts: &'a [Row],
    pub host_details: &'a [Arc<Detail>],
    pub services: &'a [Row],
    pub service_details: &'a [Arc<Detail>],
    pub host_tracks: &'a [Arc<Track>],
    pub service_tracks: &'a [Arc<Track>],
    pub kept: Kept,
}

/// Probe of checks that are Nagios commands: the collector fills in macros and runs the line.
pub const COMMAND_PROBE: &str = "command";
/// Parameter of [`COMMAND_PROBE`]: `check_ping!100,20%!500,60%`.
pub const COMMAND_PARAM: &str = "call";

/// What a command line is about.
#[derive(Copy, Clone, Debug)]
pub struct Subject<'a> {
    pub object: ObjectId,
    pub contact: Option<ContactId>,
    pub notification: Option<NotificationFacts<'a>>,
}

impl Subject<'_> {
    pub fn of(object: ObjectId) -> Self {
        Subject { object, contact: None, notification: None }
    }
}

/// Texts that are made when they are asked for; they live as long as the view.
#[derive(Default)]
pub struct Kept(OnceCell<Box<(String, Kept)>>);

impl Kept {
    fn keep(&self, text: String) -> &str {
        let mut end = self;
        while let Some(next) = end.0.get() {
            end = &next.1;
        }
        &end.0.get_or_init(|| Box::new((text, Kept::default()))).0
    }
}

impl Snapshot {
    /// Everything that a macro can ask for, as this snapshot shows it.
    pub fn macros(&self, now: Timestamp) -> View<'_> {
        View {
            catalog: &self.catalog,
            program: &self.program.in_force,
            now,
            started: self.started,
            hosts: &self.hosts,
            host_details: &self.host_details,
            services: &self.services,
            service_details: &self.service_details,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            kept: Kept::default(),
        }
    }
}

impl View<'_> {
    /// The command that checks an object now: the configured one, or the one that was put in its place at run time.
    pub fn check_call(&self, object: ObjectId) -> Option<nagios::CommandCall> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.check_command.clone());
        changed.or_else(|| {
            let text = self.catalog.check_of(object)?.params.map()?.get(COMMAND_PARAM)?.text()?;
            let name = text.split('!').next().unwrap_or_default().trim();
            let command = *self.catalog.nagios.index.command.get(name)?;
            Some(nagios::CommandCall { command, text: text.into() })
        })
    }

    /// A command, ready to run.
    ///
    /// # Errors
    /// The line would grow past what a command line may be.
    pub fn command(&self, call: &nagios::CommandCall, subject: Subject<'_>) -> Result<CommandRun, ExpandError> {
        self.with_context(subject, |context| self.command_in(call, context))
    }

    /// A command that is about no object, ready to run.
    ///
    /// # Errors
    /// As [`View::command`].
    pub fn program_command(&self, call: &nagios::CommandCall) -> Result<CommandRun, ExpandError> {
        self.with_any_context(None, None, |context| self.command_in(call, context))
    }

    fn command_in(&self, call: &nagios::CommandCall, context: &Context<'_, Self>) -> Result<CommandRun, ExpandError> {
        let command = &self.catalog.nagios.commands[call.command.index()];
        let options = Options::strip(&self.program.illegal_macro_output_chars);
        let parsed = CommandCall::parse(&call.text);
        let line = expand_command_held(&command.line, &parsed, context, options)?;
        let mut made = Vec::new();
        if self.program.environment_macros {
            let args = parsed.expand_args(context, options)?;
            let lean = self.program.large_installation_tweaks;
            let size = if lean { EnvironmentSize::Lean } else { EnvironmentSize::Full };
            let found = environment(&Context { args: &args, ..*context }, options, size);
            made = found.variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        }
        Ok(CommandRun { name: Arc::clone(&command.name), line, environment: made })
    }

    /// Calls with the context of a subject.
    pub fn with_context<R>(&self, subject: Subject<'_>, with: impl FnOnce(&Context<'_, Self>) -> R) -> R {
        self.with_any_context(Some(subject.object), subject.contact, |context| {
            with(&Context { notification: subject.notification, ..*context })
        })
    }

    /// Calls with the context of an object, of a contact, of both or of neither.
    pub fn with_any_context<R>(
        &self,
        object: Option<ObjectId>,
        contact: Option<ContactId>,
        with: impl FnOnce(&Context<'_, Self>) -> R,
    ) -> R {
        let users: Vec<&str> = self.users();
        let program = self.program_facts(&users);
        let mut context = Context::new(self, &program, self.now);
        let host = object.map(|object| match object {
            ObjectId::Host(id) => id,
            ObjectId::Service(id) => {
                context.service = Some(self.service_facts(id));
                self.catalog.services[id.index()].host
            }
        });
        context.host = host.map(|id| self.host_facts(id));
        context.contact = contact.map(|id| self.contact_facts(id));
        with(&context)
    }

    /// `$USER1$` is the first.
    pub fn users(&self) -> Vec<&str> {
        let last = self.program.user_macros.keys().next_back().copied().unwrap_or(0);
        (1..=last).map(|n| self.program.user_macros.get(&n).map_or("", |value| &**value)).collect()
    }

    pub fn program_facts<'p>(&'p self, users: &'p [&'p str]) -> ProgramFacts<'p> {
        let program = self.program;
        let file = |name: &str| program.files.get(name).map_or("", |path| &**path);
        ProgramFacts {
            started: self.started,
            event_loop_started: self.started,
            zone: &program.zone,
            date_format: match program.date_format {
                nagios::DateFormat::Us => DateFormat::Us,
                nagios::DateFormat::Euro => DateFormat::Euro,
                nagios::DateFormat::Iso8601 => DateFormat::Iso8601,
                nagios::DateFormat::StrictIso8601 => DateFormat::StrictIso8601,
            },
            url: &self.catalog.url,
            admin_email: &program.admin_email,
            admin_pager: &program.admin_pager,
            main_config_file: file("MAINCONFIGFILE"),
            status_file: file("STATUSDATAFILE"),
            retention_file: file("RETENTIONDATAFILE"),
            object_cache_file: file("OBJECTCACHEFILE"),
            temp_file: file("TEMPFILE"),
            temp_path: file("TEMPPATH"),
            log_file: file("LOGFILE"),
            resource_file: file("RESOURCEFILE"),
            command_file: file("COMMANDFILE"),
            host_perfdata_file: file("HOSTPERFDATAFILE"),
            service_perfdata_file: file("SERVICEPERFDATAFILE"),
            users,
        }
    }

    fn row(&self, object: ObjectId) -> &Row {
        match object {
            ObjectId::Host(id) => &self.hosts[id.index()],
            ObjectId::Service(id) => &self.services[id.index()],
        }
    }

    fn detail(&self, object: ObjectId) -> &Detail {
        match object {
            ObjectId::Host(id) => &self.host_details[id.index()],
            ObjectId::Service(id) => &self.service_details[id.index()],
        }
    }

    fn track(&self, object: ObjectId) -> Option<&Track> {
        match object {
            ObjectId::Host(id) => self.host_tracks.get(id.index()),
            ObjectId::Service(id) => self.service_tracks.get(id.index()),
        }
        .map(|track| &**track)
    }

    /// Short output as Nagios stores it: a semicolon would end a field of its log.
    fn stored<'t>(&'t self, text: &'t str) -> &'t str {
        if text.contains(';') { self.kept.keep(text.replace(';', ":")) } else { text }
    }

    fn object_facts(&self, object: ObjectId) -> ObjectFacts<'_> {
        let (row, detail, track) = (self.row(object), self.detail(object), self.track(object));
        let nagios = &self.catalog.nagios;
        let (directives, looks) = (nagios.directives(object), nagios.appearance(object));
        let overrides = track.and_then(|track| track.overrides.as_deref());
        let check = self.catalog.check_of(object);
        let seen = detail.observation.as_deref();
        let own_period = directives.and_then(|directives| directives.notification_period);
        let period = overrides.and_then(|changed| changed.notification_period).unwrap_or(own_period);
        let changed_command = overrides.and_then(|changed| changed.check_command.as_ref());
        let name = match object {
            ObjectId::Host(id) => &*self.catalog.hosts[id.index()].name,
            ObjectId::Service(id) => &*self.catalog.services[id.index()].name,
        };
        let text = |pick: fn(&nagios::Appearance) -> &Arc<str>| looks.map_or("", |looks| &**pick(looks));
        ObjectFacts {
            display_name: looks.and_then(|looks| looks.display_name.as_deref()).unwrap_or(name),
            kind: row.kind,
            attempt: row.attempt.into(),
            max_attempts: overrides
                .and_then(|changed| changed.max_attempts)
                .unwrap_or_else(|| check.map_or(1, |check| check.attempts))
                .into(),
            event_id: track.map_or(0, |track| track.event_id),
            last_event_id: track.map_or(0, |track| track.last_event_id),
            problem_id: track.map_or(0, |track| track.problem_id),
            last_problem_id: track.map_or(0, |track| track.last_problem_id),
            latency: detail.run.latency.as_secs_f64(),
            execution_time: detail.run.took.as_secs_f64(),
            last_state_change: row.last_state_change,
            last_check: row.last_check,
            downtime_depth: row.downtime_depth.into(),
            percent_change: track.map_or(0.0, |track| track.flap.percent.into()),
            output: seen.map_or("", |seen| self.stored(&seen.text)),
            long_output: seen.map_or("", |seen| &seen.long_text),
            perf_data: seen.map_or("", |seen| self.kept.keep(seen.perfdata().into_owned())),
            check_command: changed_command.map_or_else(|| check.map_or("", |c| &*c.name), |call| &*call.text),
            is_passive: detail.run.passive,
            notification_number: track.map_or(0, |track| track.notice.number),
            notification_id: track.map_or(0, |track| track.notice.id),
            action_url: text(|looks| &looks.action_url),
            notes_url: text(|looks| &looks.notes_url),
            notes: text(|looks| &looks.notes),
            importance: directives.map_or(0, |directives| directives.importance),
            notifications_enabled: overrides
                .and_then(|changed| changed.switches)
                .or(directives.map(|directives| directives.switches))
                .unwrap_or_default()
                .notifications,
            notification_period: period.map_or("", |id| &*self.catalog.timeperiods[id.index()].name),
            check_source: &self.catalog.instance,
            problem_start: if row.state == 0 { Timestamp::ZERO } else { row.last_state_change },
            problem_end: Timestamp::ZERO,
        }
    }

    fn seen_in(&self, object: ObjectId, code: u8) -> Timestamp {
        self.track(object).map_or(Timestamp::ZERO, |track| track.seen_in(self.row(object), code))
    }

    fn host_facts(&self, id: HostId) -> HostFacts<'_> {
        let (host, object) = (&self.catalog.hosts[id.index()], ObjectId::Host(id));
        let looks = self.catalog.nagios.appearance(object);
        let last = self.track(object).map_or(0, |track| track.last_state);
        HostFacts {
            name: &host.name,
            alias: looks.map_or(&*host.display, |looks| &*looks.alias),
            address: &host.address,
            state: self.row(object).host_state(),
            last_state: Row { state: last, ..Row::default() }.host_state(),
            last_up: self.seen_in(object, 0),
            last_down: self.seen_in(object, 1),
            last_unreachable: self.seen_in(object, 2),
            object: self.object_facts(object),
        }
    }

    fn service_facts(&self, id: ServiceId) -> ServiceFacts<'_> {
        let (service, object) = (&self.catalog.services[id.index()], ObjectId::Service(id));
        let last = self.track(object).map_or(0, |track| track.last_state);
        ServiceFacts {
            host: &self.catalog.hosts[service.host.index()].name,
            description: &service.name,
            state: self.row(object).service_state(),
            last_state: ServiceState::from_code(last.into()).unwrap_or_default(),
            last_ok: self.seen_in(object, 0),
            last_warning: self.seen_in(object, 1),
            last_critical: self.seen_in(object, 2),
            last_unknown: self.seen_in(object, 3),
            is_volatile: self.catalog.nagios.directives(object).is_some_and(|directives| directives.volatile),
            object: self.object_facts(object),
        }
    }

    fn contact_facts(&self, id: ContactId) -> ContactFacts<'_> {
        let contact = &self.catalog.contacts[id.index()];
        let nagios = self.catalog.nagios.contacts.get(id.index()).and_then(Option::as_ref);
        ContactFacts {
            name: &contact.name,
            alias: &contact.display,
            email: nagios.map_or("", |nagios| &nagios.email),
            pager: nagios.map_or("", |nagios| &nagios.pager),
            addresses: std::array::from_fn(|i| nagios.map_or("", |nagios| &*nagios.addresses[i])),
        }
    }

    /// Who said something; an author who is a contact has a name and an alias.
    pub fn remark<'r>(&'r self, author: &'r str, comment: &'r str) -> RemarkFacts<'r> {
        let contact =
            self.catalog.contacts.iter().find(|contact| *contact.name == *author || *contact.display == *author);
        RemarkFacts {
            author,
            author_name: contact.map_or("", |contact| &contact.name),
            author_alias: contact.map_or("", |contact| &contact.display),
            comment,
        }
    }

    fn object(&self, owner: Owner<'_>) -> Option<ObjectId> {
        let key = match owner {
            Owner::Host(host) => ObjectKey { host: host.into(), service: None },
            Owner::Service(host, service) => ObjectKey { host: host.into(), service: Some(service.into()) },
            Owner::Contact(_) => return None,
        };
        self.catalog.object_id(&key)
    }

    fn contact_id(&self, name: &str) -> Option<ContactId> {
        self.catalog.index.contact.get(name).copied()
    }

    /// Not acknowledged, not in downtime, checked.
    fn is_unhandled(&self, object: ObjectId) -> bool {
        let row = self.row(object);
        let switches = self
            .track(object)
            .and_then(|track| track.overrides.as_ref()?.switches)
            .or_else(|| self.catalog.nagios.directives(object).map(|directives| directives.switches));
        !row.is_acknowledged() && row.downtime_depth == 0 && switches.is_none_or(|switches| switches.active_checks)
    }

    fn period(&self, name: &str) -> Option<TimeperiodId> {
        self.catalog.timeperiods.iter().position(|period| *period.name == *name).map(TimeperiodId::from_index)
    }
}

fn group_facts<I>(group: &Group<I>) -> GroupFacts<'_> {
    GroupFacts {
        name: &group.name,
        alias: &group.alias,
        notes: &group.notes,
        notes_url: &group.notes_url,
        action_url: &group.action_url,
    }
}

impl World for View<'_> {
    fn host<'a>(&'a self, name: &str) -> Option<HostFacts<'a>> {
        self.catalog.host_id(name).map(|id| self.host_facts(id))
    }

    fn service<'a>(&'a self, host: &str, description: &str) -> Option<ServiceFacts<'a>> {
        self.catalog.service_id(host, description).map(|id| self.service_facts(id))
    }

    fn contact<'a>(&'a self, name: &str) -> Option<ContactFacts<'a>> {
        self.contact_id(name).map(|id| self.contact_facts(id))
    }

    fn host_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        let nagios = &self.catalog.nagios;
        nagios.index.hostgroup.get(name).map(|id| group_facts(&nagios.hostgroups[id.index()]))
    }

    fn service_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        let nagios = &self.catalog.nagios;
        nagios.index.servicegroup.get(name).map(|id| group_facts(&nagios.servicegroups[id.index()]))
    }

    fn contact_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        let nagios = &self.catalog.nagios;
        nagios.index.contactgroup.get(name).map(|id| group_facts(&nagios.contactgroups[id.index()]))
    }

    fn hosts_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(HostFacts<'a>)) {
        let nagios = &self.catalog.nagios;
        let Some(id) = nagios.index.hostgroup.get(group) else { return };
        nagios.hostgroups[id.index()].members.iter().for_each(|id| visit(self.host_facts(*id)));
    }

    fn services_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(ServiceFacts<'a>)) {
        let nagios = &self.catalog.nagios;
        let Some(id) = nagios.index.servicegroup.get(group) else { return };
        nagios.servicegroups[id.index()].members.iter().for_each(|id| visit(self.service_facts(*id)));
    }

    fn contacts_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(ContactFacts<'a>)) {
        let nagios = &self.catalog.nagios;
        let Some(id) = nagios.index.contactgroup.get(group) else { return };
        nagios.contactgroups[id.index()].members.iter().for_each(|id| visit(self.contact_facts(*id)));
    }

    fn services_of<'a>(&'a self, host: &str, visit: &mut dyn FnMut(ServiceFacts<'a>)) {
        let Some(id) = self.catalog.host_id(host) else { return };
        self.catalog.hosts[id.index()].services.iter().for_each(|id| visit(self.service_facts(*id)));
    }

    /// Last name first, as Nagios has them: the first one is the group of macros that name none.
    fn groups_of<'a>(&'a self, member: Owner<'_>, visit: &mut dyn FnMut(GroupFacts<'a>)) {
        let nagios = &self.catalog.nagios;
        let index = &nagios.index;
        match (member, self.object(member)) {
            (Owner::Contact(name), _) => {
                let groups = self.contact_id(name).and_then(|id| index.groups_of_contact.get(&id));
                groups.into_iter().flatten().rev().for_each(|id| visit(group_facts(&nagios.contactgroups[id.index()])));
            }
            (_, Some(ObjectId::Host(id))) => {
                let groups = index.groups_of_host.get(&id).into_iter().flatten().rev();
                groups.for_each(|id| visit(group_facts(&nagios.hostgroups[id.index()])));
            }
            (_, Some(ObjectId::Service(id))) => {
                let groups = index.groups_of_service.get(&id).into_iter().flatten().rev();
                groups.for_each(|id| visit(group_facts(&nagios.servicegroups[id.index()])));
            }
            (_, None) => {}
        }
    }

    fn variables_of<'a>(&'a self, owner: Owner<'_>, visit: &mut dyn FnMut(&'a str, &'a str)) {
        if let Owner::Contact(name) = owner {
            let id = self.contact_id(name);
            let contact = id.and_then(|id| self.catalog.nagios.contacts.get(id.index())?.as_ref());
            contact.into_iter().flat_map(|contact| &contact.vars).for_each(|(name, value)| visit(name, value));
            return;
        }
        let Some(object) = self.object(owner) else { return };
        let looks = self.catalog.nagios.appearance(object);
        looks.into_iter().flat_map(|looks| &looks.vars).for_each(|(name, value)| visit(name, value));
        // What was changed at run time counts: the last visit wins.
        let changed = self.track(object).and_then(|track| track.overrides.as_deref());
        changed.into_iter().flat_map(|changed| &changed.vars).for_each(|(name, value)| visit(name, value));
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (i, row) in self.hosts.iter().enumerate() {
            let code = usize::from(row.state.min(2));
            totals.hosts[code] += 1;
            totals.hosts_unhandled[code] += u64::from(self.is_unhandled(ObjectId::Host(HostId::from_index(i))));
        }
        for (i, row) in self.services.iter().enumerate() {
            let code = usize::from(row.state.min(3));
            let host_up = self.hosts[self.catalog.services[i].host.index()].state == 0;
            let unhandled = host_up && self.is_unhandled(ObjectId::Service(ServiceId::from_index(i)));
            totals.services[code] += 1;
            totals.services_unhandled[code] += u64::from(unhandled);
        }
        totals
    }

    fn in_period(&self, name: &str, at: Timestamp) -> Option<bool> {
        self.period(name).map(|id| self.catalog.in_period(id, at))
    }

    fn next_valid(&self, name: &str, at: Timestamp) -> Option<Option<Timestamp>> {
        self.period(name).map(|id| self.catalog.next_valid(id, at))
    }
}
