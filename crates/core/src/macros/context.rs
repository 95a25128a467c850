//! The objects that a text is about, and how a name between dollar signs is resolved against them and the world.

use super::facts::{ContactFacts, GroupFacts, HostFacts, NotificationFacts, Owner, ProgramFacts, ServiceFacts, World};
use super::table::{Contact, Group, Object, Period};
use super::{Asked, ExpandError, Lookup, Macro, Run, Value};
use crate::Timestamp;
use crate::model::{HostState, ServiceState};

/// `$ARG1$` to `$ARG32$`.
pub const ARGS_MAX: usize = 32;
/// `$USER1$` to `$USER256$`.
const USERS_MAX: usize = 256;

/// What `$HOSTSTATEID:x$` says of a host that does not exist.
const STATE_ID_NO_HOST: u8 = HostState::Unreachable as u8;
/// What `$SERVICESTATEID:x:y$` says of a service that does not exist.
const STATE_ID_NO_SERVICE: u8 = ServiceState::Unknown as u8;

/// The lookup for a text. A service comes with its host; what is not set leaves its macros as they are.
pub struct Context<'a, W: ?Sized> {
    pub world: &'a W,
    pub program: &'a ProgramFacts<'a>,
    pub now: Timestamp,
    pub host: Option<HostFacts<'a>>,
    pub service: Option<ServiceFacts<'a>>,
    pub contact: Option<ContactFacts<'a>>,
    /// Without one: the first group of the host, the service, the contact.
    pub host_group: Option<GroupFacts<'a>>,
    pub service_group: Option<GroupFacts<'a>>,
    pub contact_group: Option<GroupFacts<'a>>,
    pub notification: Option<NotificationFacts<'a>>,
    /// Already expanded: [`super::CommandCall::expand_args`].
    pub args: &'a [String],
}

impl<W: ?Sized> Clone for Context<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: ?Sized> Copy for Context<'_, W> {}

impl<'a, W: World + ?Sized> Context<'a, W> {
    /// A context without any object.
    pub fn new(world: &'a W, program: &'a ProgramFacts<'a>, now: Timestamp) -> Self {
        Context {
            world,
            program,
            now,
            host: None,
            service: None,
            contact: None,
            host_group: None,
            service_group: None,
            contact_group: None,
            notification: None,
            args: &[],
        }
    }

    fn known(&self, found: Macro, asked: Asked<'_>, run: &Run<'_>) -> Found<'a> {
        match found {
            Macro::Host(which) => self.each_host(asked, run, |host| Ok(self.host_value(which, host))),
            Macro::OfHost(which) => self.host_object_macro(which, asked, run),
            Macro::Service(which) => self.each_service(asked, run, |service| Ok(self.service_value(which, service))),
            Macro::OfService(which) => self.service_object_macro(which, asked, run),
            Macro::Contact(which) => {
                if let Some(group) =
                    named_group(which == Contact::GroupName, asked, |name| self.world.contact_group(name))
                {
                    return Ok(Some(group));
                }
                self.each_contact(asked, run, |contact| Ok(self.contact_value(which, contact)))
            }
            Macro::HostGroup(which) => {
                let group = match asked.first {
                    Some(name) => self.world.host_group(name),
                    None => self.host_group.or_else(|| self.first_group(self.host_owner()?)),
                };
                group.map(|group| self.host_group_value(which, group, run)).transpose()
            }
            Macro::ServiceGroup(which) => {
                let group = match asked.first {
                    Some(name) => self.world.service_group(name),
                    None => self.service_group.or_else(|| self.first_group(self.service_owner()?)),
                };
                group.map(|group| self.service_group_value(which, group, run)).transpose()
            }
            Macro::ContactGroup(which) => {
                let group = match asked.first {
                    Some(name) => self.world.contact_group(name),
                    None => self.contact_group.or_else(|| self.first_group(Owner::Contact(self.contact?.name))),
                };
                group.map(|group| self.contact_group_value(which, group, run)).transpose()
            }
            Macro::HostAck(which) => Ok(Some(self.ack_value(which).into())),
            Macro::ServiceAck(which) => Ok(Some(self.ack_value(which).into())),
            Macro::Notification(which) => Ok(Some(self.notification_value(which))),
            Macro::Summary(which) => Ok(Some(self.summary_value(which))),
            Macro::Moment(which) => Ok(Some(self.moment_value(which))),
            Macro::Period(which) => Ok(self.period_value(which, asked)),
            Macro::ProblemValue => Ok(self.problem_value()),
            Macro::Process(which) => Ok(Some(self.process_value(which))),
        }
    }

    fn host_object_macro(&self, which: Object, asked: Asked<'_>, run: &Run<'_>) -> Found<'a> {
        if let Some(group) = named_group(which == Object::GroupName, asked, |name| self.world.host_group(name)) {
            return Ok(Some(group));
        }
        let value = self.each_host(asked, run, |host| self.host_object_value(which, host, run))?;
        let is_one = asked.first.is_some() && asked.second.is_none();
        Ok(value.or_else(|| (which == Object::StateId && is_one).then(|| STATE_ID_NO_HOST.to_string().into())))
    }

    fn service_object_macro(&self, which: Object, asked: Asked<'_>, run: &Run<'_>) -> Found<'a> {
        if let Some(group) = named_group(which == Object::GroupName, asked, |name| self.world.service_group(name)) {
            return Ok(Some(group));
        }
        let value = self.each_service(asked, run, |service| self.service_object_value(which, service, run))?;
        let is_one = asked.second.is_some();
        Ok(value.or_else(|| (which == Object::StateId && is_one).then(|| STATE_ID_NO_SERVICE.to_string().into())))
    }

    /// The host of the context, the named one, or all members of a host group with the delimiter between.
    fn each_host(
        &self,
        asked: Asked<'_>,
        run: &Run<'_>,
        value: impl Fn(HostFacts<'a>) -> Result<Text<'a>, ExpandError>,
    ) -> Found<'a> {
        match (asked.first, asked.second) {
            (None, _) => self.host.map(value).transpose(),
            (Some(name), None) => self.world.host(name).map(value).transpose(),
            (Some(group), Some(delimiter)) => {
                let Some(group) = self.world.host_group(group) else { return Ok(None) };
                let mut joined = Joined::new(delimiter, run);
                self.world.hosts_in(group.name, &mut |host| joined.add(|| value(host)));
                joined.finish()
            }
        }
    }

    /// As [`Context::each_host`]; two arguments are host and description first, service group and delimiter second.
    fn each_service(
        &self,
        asked: Asked<'_>,
        run: &Run<'_>,
        value: impl Fn(ServiceFacts<'a>) -> Result<Text<'a>, ExpandError>,
    ) -> Found<'a> {
        let (host, second) = match (asked.first, asked.second) {
            (None, _) => return self.service.map(value).transpose(),
            (Some(_), None) => return Ok(None),
            (Some(host), Some(second)) => (host, second),
        };
        let of_host = if host.is_empty() { self.host.map(|host| host.name) } else { Some(host) };
        if let Some(service) = of_host.and_then(|host| self.world.service(host, second)) {
            return value(service).map(Some);
        }
        let Some(group) = self.world.service_group(host) else { return Ok(None) };
        let mut joined = Joined::new(second, run);
        self.world.services_in(group.name, &mut |service| joined.add(|| value(service)));
        joined.finish()
    }

    fn each_contact(
        &self,
        asked: Asked<'_>,
        run: &Run<'_>,
        value: impl Fn(ContactFacts<'a>) -> Result<Text<'a>, ExpandError>,
    ) -> Found<'a> {
        match (asked.first, asked.second) {
            (None, _) => self.contact.map(value).transpose(),
            (Some(name), None) => self.world.contact(name).map(value).transpose(),
            (Some(group), Some(delimiter)) => {
                let Some(group) = self.world.contact_group(group) else { return Ok(None) };
                let mut joined = Joined::new(delimiter, run);
                self.world.contacts_in(group.name, &mut |contact| joined.add(|| value(contact)));
                joined.finish()
            }
        }
    }

    /// `_HOSTRACK`, `_SERVICEPORT`, `_CONTACTSHIFT`: empty where the object does not have it.
    fn custom(&self, name: &str, asked: Asked<'_>, run: &Run<'_>) -> Found<'a> {
        let variable = |owner: Owner<'_>, wanted: &str| {
            let mut found = "";
            self.world.variables_of(owner, &mut |name, value| {
                if name == wanted {
                    found = value;
                }
            });
            Ok(found.into())
        };
        if let Some(wanted) = name.strip_prefix("HOST") {
            self.each_host(asked, run, |host| variable(Owner::Host(host.name), wanted))
        } else if let Some(wanted) = name.strip_prefix("SERVICE") {
            self.each_service(asked, run, |service| variable(Owner::Service(service.host, service.description), wanted))
        } else if let Some(wanted) = name.strip_prefix("CONTACT") {
            self.each_contact(asked, run, |contact| variable(Owner::Contact(contact.name), wanted))
        } else {
            Ok(None)
        }
    }

    fn period_value(&self, which: Period, asked: Asked<'_>) -> Option<Text<'a>> {
        let name = asked.first?;
        let at = match asked.second {
            None => self.now,
            Some(epoch) => Timestamp::from_secs(epoch.trim().parse().ok()?),
        };
        Some(match which {
            Period::IsValidTime => if self.world.in_period(name, at)? { "1" } else { "0" }.into(),
            Period::NextValidTime => {
                let next = self.world.next_valid(name, at)?;
                next.map_or_else(|| "0".into(), |next| next.as_secs().to_string().into())
            }
        })
    }

    pub(super) fn host_owner(&self) -> Option<Owner<'a>> {
        Some(Owner::Host(self.host?.name))
    }

    pub(super) fn service_owner(&self) -> Option<Owner<'a>> {
        self.service.map(|service| Owner::Service(service.host, service.description))
    }

    pub(super) fn first_group(&self, member: Owner<'_>) -> Option<GroupFacts<'a>> {
        let mut first = None;
        self.world.groups_of(member, &mut |group| first = first.or(Some(group)));
        first
    }

    fn host_group_value(&self, which: Group, group: GroupFacts<'a>, run: &Run<'_>) -> Result<Text<'a>, ExpandError> {
        let inner = Context { host_group: Some(group), ..*self };
        inner.group_value(which, group, run, |joined| {
            self.world.hosts_in(group.name, &mut |host| {
                let text = if which == Group::MemberAddresses { host.address } else { host.name };
                joined.add(|| Ok(text.into()));
            });
        })
    }

    fn service_group_value(&self, which: Group, group: GroupFacts<'a>, run: &Run<'_>) -> Result<Text<'a>, ExpandError> {
        let inner = Context { service_group: Some(group), ..*self };
        inner.group_value(which, group, run, |joined| {
            self.world.services_in(group.name, &mut |service| {
                joined.add(|| Ok(format!("{},{}", service.host, service.description).into()));
            });
        })
    }

    fn contact_group_value(&self, which: Group, group: GroupFacts<'a>, run: &Run<'_>) -> Result<Text<'a>, ExpandError> {
        let inner = Context { contact_group: Some(group), ..*self };
        inner.group_value(which, group, run, |joined| {
            self.world.contacts_in(group.name, &mut |contact| joined.add(|| Ok(contact.name.into())));
        })
    }
}

/// `$HOSTGROUPNAME:x$` names a group as the other macros of groups do; where there is none, `x` may be a member.
fn named_group<'a>(
    is_group_name: bool,
    asked: Asked<'_>,
    find: impl FnOnce(&str) -> Option<GroupFacts<'a>>,
) -> Option<Text<'a>> {
    let name = asked.first.filter(|_| is_group_name && asked.second.is_none())?;
    find(name).map(|group| group.name.into())
}

/// The digits at the beginning of a number macro, as Nagios reads them: `$ARG1x$` is `$ARG1$`.
fn leading_number(text: &str, most: usize) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..end)?.parse::<usize>().ok()?;
    (1..=most).contains(&number).then_some(number)
}

impl<W: World + ?Sized> Lookup for Context<'_, W> {
    fn value(&self, asked: Asked<'_>, run: &Run<'_>) -> Result<Option<Value<'_>>, ExpandError> {
        if let Some(found) = Macro::find(asked.name) {
            let text = self.known(found, asked, run)?;
            return Ok(text.map(|text| Value { text, is_output: found.is_output() }));
        }
        if let Some(name) = asked.name.strip_prefix('_') {
            return Ok(self.custom(name, asked, run)?.map(Value::plain));
        }
        // An argument is a value already: it was cleaned when it was expanded.
        if let Some(number) = asked.name.strip_prefix("ARG") {
            let number = leading_number(number, ARGS_MAX);
            return Ok(number.map(|number| Value::plain(self.args.get(number - 1).map_or("", String::as_str))));
        }
        if let Some(number) = asked.name.strip_prefix("USER") {
            let number = leading_number(number, USERS_MAX);
            return Ok(number.map(|number| Value::plain(self.program.users.get(number - 1).copied().unwrap_or(""))));
        }
        Ok(None)
    }
}

pub(super) type Text<'a> = std::borrow::Cow<'a, str>;
pub(super) type Found<'a> = Result<Option<Text<'a>>, ExpandError>;

/// Values with a delimiter between, as long as the limit lets them grow. What has no value takes no part.
pub(super) struct Joined<'d, 'r> {
    delimiter: &'d str,
    run: &'r Run<'r>,
    text: String,
    refused: Option<ExpandError>,
}

impl<'d, 'r> Joined<'d, 'r> {
    pub(super) fn new(delimiter: &'d str, run: &'r Run<'_>) -> Self {
        Joined { delimiter, run, text: String::new(), refused: None }
    }

    pub(super) fn add<'v>(&mut self, value: impl FnOnce() -> Result<Text<'v>, ExpandError>) {
        if self.refused.is_some() {
            return;
        }
        match value() {
            Err(error) => self.refused = Some(error),
            Ok(value) if value.is_empty() => {}
            Ok(value) => {
                if !self.text.is_empty() {
                    self.text.push_str(self.delimiter);
                }
                self.text.push_str(&value);
                self.refused = self.run.check_length(self.text.len()).err();
            }
        }
    }

    pub(super) fn finish<'v>(self) -> Found<'v> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(Some(self.text.into())),
        }
    }
}
