//! The text of every macro, from the facts of its object.

use std::borrow::Cow;

use super::context::{Context, Joined, Text};
use super::facts::{ContactFacts, GroupFacts, HostFacts, ObjectFacts, Owner, ServiceFacts, World};
use super::moment;
use super::table::{Contact, Group, Host, Moment, Notification, Object, Process, Remark, Service, Summary};
use super::{Encode, ExpandError, Run};
use crate::Timestamp;
use crate::model::{HostState, ServiceState, StateKind};

type Result<T> = std::result::Result<T, ExpandError>;

fn epoch(at: Timestamp) -> Text<'static> {
    at.as_secs().to_string().into()
}

fn number(number: impl Into<u64>) -> Text<'static> {
    number.into().to_string().into()
}

/// In the form of Nagios's own files: one line, line feeds as `\n`, backslashes doubled.
fn one_line(text: &str) -> Text<'_> {
    if text.contains(['\\', '\n']) {
        Cow::Owned(text.replace('\\', "\\\\").replace('\n', "\\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// What differs between the objects of host and service in a macro that both have.
struct Stated<'a> {
    owner: Owner<'a>,
    state: (&'static str, u8),
    last_state: (&'static str, u8),
    object: ObjectFacts<'a>,
}

impl<'a, W: World + ?Sized> Context<'a, W> {
    pub(super) fn host_value(&self, which: Host, host: HostFacts<'a>) -> Text<'a> {
        match which {
            Host::Name => host.name.into(),
            Host::Alias => host.alias.into(),
            Host::Address => host.address.into(),
            Host::LastUp => epoch(host.last_up),
            Host::LastDown => epoch(host.last_down),
            Host::LastUnreachable => epoch(host.last_unreachable),
            Host::Services => number(self.count_services(host.name, |_| true)),
            Host::ServicesIn(state) => number(self.count_services(host.name, |service| service.state == state)),
            Host::ImportanceWithServices => number(self.importance_with_services(host)),
        }
    }

    fn count_services(&self, host: &str, counts: impl Fn(&ServiceFacts<'_>) -> bool) -> u64 {
        let mut count = 0;
        self.world.services_of(host, &mut |service| count += u64::from(counts(&service)));
        count
    }

    fn importance_with_services(&self, host: HostFacts<'a>) -> u64 {
        let mut sum = u64::from(host.object.importance);
        self.world.services_of(host.name, &mut |service| sum += u64::from(service.object.importance));
        sum
    }

    /// What fails: the service, or the host with all that runs on it.
    pub(super) fn problem_value(&self) -> Option<Text<'a>> {
        match (self.service, self.host) {
            (Some(service), _) => Some(number(service.object.importance)),
            (None, Some(host)) => Some(number(self.importance_with_services(host))),
            (None, None) => None,
        }
    }

    pub(super) fn host_object_value(&self, which: Object, host: HostFacts<'a>, run: &Run<'_>) -> Result<Text<'a>> {
        let stated = Stated {
            owner: Owner::Host(host.name),
            state: (host.state.as_str(), host.state as u8),
            last_state: (host.last_state.as_str(), host.last_state as u8),
            object: host.object,
        };
        // Notes of another host speak of that one.
        let is_other = self.host.is_none_or(|current| current.name != host.name);
        let inner = if is_other { Context { host: Some(host), host_group: None, ..*self } } else { *self };
        inner.object_value(which, &stated, run)
    }

    pub(super) fn service_value(&self, which: Service, service: ServiceFacts<'a>) -> Text<'a> {
        match which {
            Service::Description => service.description.into(),
            Service::IsVolatile => if service.is_volatile { "1" } else { "0" }.into(),
            Service::Last(ServiceState::Ok) => epoch(service.last_ok),
            Service::Last(ServiceState::Warning) => epoch(service.last_warning),
            Service::Last(ServiceState::Critical) => epoch(service.last_critical),
            Service::Last(ServiceState::Unknown) => epoch(service.last_unknown),
        }
    }

    pub(super) fn service_object_value(
        &self,
        which: Object,
        service: ServiceFacts<'a>,
        run: &Run<'_>,
    ) -> Result<Text<'a>> {
        let stated = Stated {
            owner: Owner::Service(service.host, service.description),
            state: (service.state.as_str(), service.state as u8),
            last_state: (service.last_state.as_str(), service.last_state as u8),
            object: service.object,
        };
        let inner = if self.service_owner() == Some(stated.owner) {
            *self
        } else {
            let host = self.world.host(service.host);
            Context { host, service: Some(service), host_group: None, service_group: None, ..*self }
        };
        inner.object_value(which, &stated, run)
    }

    /// `self` has the object itself as its host or service.
    fn object_value(&self, which: Object, stated: &Stated<'a>, run: &Run<'_>) -> Result<Text<'a>> {
        let object = &stated.object;
        Ok(match which {
            Object::DisplayName => object.display_name.into(),
            Object::State => stated.state.0.into(),
            Object::StateId => number(stated.state.1),
            Object::LastState => stated.last_state.0.into(),
            Object::LastStateId => number(stated.last_state.1),
            Object::StateType => match object.kind {
                StateKind::Hard => "HARD".into(),
                StateKind::Soft => "SOFT".into(),
            },
            Object::Attempt => number(object.attempt),
            Object::MaxAttempts => number(object.max_attempts),
            Object::EventId => number(object.event_id),
            Object::LastEventId => number(object.last_event_id),
            Object::ProblemId => number(object.problem_id),
            Object::LastProblemId => number(object.last_problem_id),
            Object::Latency => format!("{:.3}", object.latency).into(),
            Object::ExecutionTime => format!("{:.3}", object.execution_time).into(),
            Object::Duration => moment::duration(self.state_age(object)).into(),
            Object::DurationSec => moment::whole_seconds(self.state_age(object)).to_string().into(),
            Object::Downtime => number(object.downtime_depth),
            Object::PercentChange => format!("{:.2}", object.percent_change).into(),
            Object::GroupName => self.first_group(stated.owner).map_or("", |group| group.name).into(),
            Object::GroupNames => return self.group_names(stated.owner, run),
            Object::LastCheck => epoch(object.last_check),
            Object::LastStateChange => epoch(object.last_state_change),
            Object::Output => object.output.into(),
            Object::LongOutput => one_line(object.long_output),
            Object::PerfData => object.perf_data.into(),
            Object::CheckCommand => object.check_command.into(),
            Object::CheckType => if object.is_passive { "PASSIVE" } else { "ACTIVE" }.into(),
            Object::NotificationNumber => number(object.notification_number),
            Object::NotificationId => number(object.notification_id),
            Object::ActionUrl => run.nested(object.action_url, self, Encode::Url)?.into(),
            Object::NotesUrl => run.nested(object.notes_url, self, Encode::Url)?.into(),
            Object::Notes => run.nested(object.notes, self, Encode::No)?.into(),
            Object::Importance => number(object.importance),
            Object::InfoUrl => self.page(stated.owner).into(),
            Object::NotificationEnabled => if object.notifications_enabled { "YES" } else { "NO" }.into(),
            Object::NotificationPeriod => object.notification_period.into(),
            Object::CheckSource => object.check_source.into(),
            Object::ProblemStart => epoch(object.problem_start),
            Object::ProblemEnd => epoch(object.problem_end),
            Object::ProblemDuration => moment::duration(self.problem_age(object)).into(),
            Object::ProblemDurationSec => moment::whole_seconds(self.problem_age(object)).to_string().into(),
        })
    }

    /// Since the start of the program where the state has never changed.
    fn state_age(&self, object: &ObjectFacts<'_>) -> crate::Span {
        let since = object.last_state_change;
        self.now - if since == Timestamp::ZERO { self.program.started } else { since }
    }

    fn problem_age(&self, object: &ObjectFacts<'_>) -> crate::Span {
        let (start, end) = (object.problem_start, object.problem_end);
        if start == Timestamp::ZERO {
            return crate::Span::ZERO;
        }
        if end > start { end - start } else { self.now - start }
    }

    fn group_names(&self, member: Owner<'_>, run: &Run<'_>) -> Result<Text<'a>> {
        let mut joined = Joined::new(",", run);
        self.world.groups_of(member, &mut |group| joined.add(|| Ok(group.name.into())));
        joined.finish().map(Option::unwrap_or_default)
    }

    fn page(&self, of: Owner<'_>) -> String {
        let mut url = format!("{}/hosts/", self.program.url.trim_end_matches('/'));
        match of {
            Owner::Host(host) | Owner::Contact(host) => super::push_url_encoded(&mut url, host),
            Owner::Service(host, description) => {
                super::push_url_encoded(&mut url, host);
                url.push_str("/services/");
                super::push_url_encoded(&mut url, description);
            }
        }
        url
    }

    pub(super) fn contact_value(&self, which: Contact, contact: ContactFacts<'a>) -> Text<'a> {
        let groups = |visit: &mut dyn FnMut(GroupFacts<'a>)| self.world.groups_of(Owner::Contact(contact.name), visit);
        match which {
            Contact::Name => contact.name.into(),
            Contact::Alias => contact.alias.into(),
            Contact::Email => contact.email.into(),
            Contact::Pager => contact.pager.into(),
            Contact::Address(number) => {
                let address = usize::from(number).checked_sub(1).and_then(|row| contact.addresses.get(row));
                address.copied().unwrap_or("").into()
            }
            Contact::GroupName => self.first_group(Owner::Contact(contact.name)).map_or("", |group| group.name).into(),
            Contact::GroupNames => {
                let mut names = Vec::new();
                groups(&mut |group| names.push(group.name));
                names.join(",").into()
            }
        }
    }

    /// `self` has the group as its group; `members` adds them.
    pub(super) fn group_value(
        &self,
        which: Group,
        group: GroupFacts<'a>,
        run: &Run<'_>,
        members: impl FnOnce(&mut Joined<'_, '_>),
    ) -> Result<Text<'a>> {
        Ok(match which {
            Group::Alias => group.alias.into(),
            Group::Members | Group::MemberAddresses => {
                let mut joined = Joined::new(",", run);
                members(&mut joined);
                joined.finish()?.unwrap_or_default()
            }
            Group::Notes => run.nested(group.notes, self, Encode::No)?.into(),
            Group::NotesUrl => run.nested(group.notes_url, self, Encode::Url)?.into(),
            Group::ActionUrl => run.nested(group.action_url, self, Encode::Url)?.into(),
        })
    }

    pub(super) fn ack_value(&self, which: Remark) -> &'a str {
        let ack = self.notification.filter(|notification| notification.is_acknowledgement());
        ack.map_or("", |notification| notification.remark.text(which))
    }

    pub(super) fn notification_value(&self, which: Notification) -> Text<'a> {
        let Some(told) = self.notification else { return "".into() };
        match which {
            Notification::Type => told.kind.into(),
            Notification::Number => number(told.number),
            Notification::IsEscalated => if told.is_escalated { "1" } else { "0" }.into(),
            Notification::Recipients => told.recipients.into(),
            Notification::Remark(which) => told.remark.text(which).into(),
        }
    }

    pub(super) fn summary_value(&self, which: Summary) -> Text<'a> {
        let totals = self.world.totals();
        let problems = |counts: &[u64]| counts.iter().skip(1).sum::<u64>();
        number(match which {
            Summary::Hosts(state) => of_host_state(totals.hosts, state),
            Summary::HostsUnhandled(state) => of_host_state(totals.hosts_unhandled, state),
            Summary::HostProblems => problems(&totals.hosts),
            Summary::HostProblemsUnhandled => problems(&totals.hosts_unhandled),
            Summary::Services(state) => of_service_state(totals.services, state),
            Summary::ServicesUnhandled(state) => of_service_state(totals.services_unhandled, state),
            Summary::ServiceProblems => problems(&totals.services),
            Summary::ServiceProblemsUnhandled => problems(&totals.services_unhandled),
        })
    }

    pub(super) fn moment_value(&self, which: Moment) -> Text<'a> {
        moment::moment(self.now, self.program.zone, self.program.date_format, which).into()
    }

    pub(super) fn process_value(&self, which: Process) -> Text<'a> {
        let program = self.program;
        match which {
            Process::StartTime => epoch(program.started),
            Process::EventStartTime => epoch(program.event_loop_started),
            Process::AdminEmail => program.admin_email.into(),
            Process::AdminPager => program.admin_pager.into(),
            Process::MainConfigFile => program.main_config_file.into(),
            Process::StatusDataFile => program.status_file.into(),
            Process::RetentionDataFile => program.retention_file.into(),
            Process::ObjectCacheFile => program.object_cache_file.into(),
            Process::TempFile => program.temp_file.into(),
            Process::TempPath => program.temp_path.into(),
            Process::LogFile => program.log_file.into(),
            Process::ResourceFile => program.resource_file.into(),
            Process::CommandFile => program.command_file.into(),
            Process::HostPerfDataFile => program.host_perfdata_file.into(),
            Process::ServicePerfDataFile => program.service_perfdata_file.into(),
        }
    }
}

impl<'a> super::facts::RemarkFacts<'a> {
    fn text(&self, which: Remark) -> &'a str {
        match which {
            Remark::Author => self.author,
            Remark::AuthorName => self.author_name,
            Remark::AuthorAlias => self.author_alias,
            Remark::Comment => self.comment,
        }
    }
}

fn of_host_state(counts: [u64; 3], state: HostState) -> u64 {
    counts[usize::from(state as u8)]
}

fn of_service_state(counts: [u64; 4], state: ServiceState) -> u64 {
    counts[usize::from(state as u8)]
}
