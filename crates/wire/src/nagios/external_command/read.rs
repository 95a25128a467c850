//! A row of the table and the arguments of a line to what is asked for.

use super::LineError;
use super::fields::Fields;
use super::model::{
    Acknowledge, Change, ContactChange, CustomOptions, DowntimeFilter, ExternalCommand, Note, Object, PassiveResult,
    ProgramCommand, ScheduleDowntime, Scope, Side,
};
use super::table::{Attribute, ContactAttribute, Reach, Row, Verb};

pub(super) fn command(row: &'static Row, fields: &Fields<'_>) -> Result<ExternalCommand, LineError> {
    Ok(match row.verb {
        Verb::Switch { reach, switch, on } => ExternalCommand::Switch { scope: scope(reach, fields), switch, on },
        Verb::Change(attribute) => {
            ExternalCommand::Change { object: object(fields), change: change(attribute, fields)? }
        }
        Verb::ChangeContact(attribute) => ExternalCommand::ChangeContact {
            contact: fields.text("contact"),
            change: contact_change(attribute, fields)?,
        },
        Verb::GlobalEventHandler(side) => ExternalCommand::GlobalEventHandler { side, command: fields.text("command") },
        Verb::ClearFlapping => ExternalCommand::ClearFlapping(object(fields)),
        Verb::ScheduleCheck(reach, forced) => ExternalCommand::ScheduleCheck {
            scope: scope(reach, fields),
            at: fields.time("time")?,
            forced,
            note: fields.some_text("comment").map(|comment| Note { author: fields.text("author"), comment }),
        },
        Verb::ProcessResult => result(row.name, fields)?,
        Verb::Acknowledge => ExternalCommand::Acknowledge(acknowledge(fields)?),
        Verb::RemoveAcknowledgement => ExternalCommand::RemoveAcknowledgement(object(fields)),
        Verb::AddComment => ExternalCommand::AddComment {
            object: object(fields),
            persistent: fields.flag("persistent")?,
            note: note(fields),
        },
        Verb::DeleteComment(of) => ExternalCommand::DeleteComment { id: fields.unsigned("comment_id")?, of },
        Verb::DeleteAllComments => ExternalCommand::DeleteAllComments(object(fields)),
        Verb::ScheduleDowntime(reach) => downtime(scope(reach, fields), false, fields)?,
        Verb::ScheduleTriggeredDowntime => downtime(scope(Reach::HostAndChildren, fields), true, fields)?,
        Verb::DeleteDowntime(of) => ExternalCommand::DeleteDowntime { id: fields.unsigned("downtime_id")?, of },
        Verb::DeleteDowntimesBy => ExternalCommand::DeleteDowntimesBy(filter(row.name, fields)?),
        Verb::DelayNotification(reach) => {
            ExternalCommand::DelayNotification { scope: scope(reach, fields), until: fields.time("time")? }
        }
        Verb::SetNumber => ExternalCommand::SetNotificationNumber {
            object: object(fields),
            number: fields.unsigned("number")?.try_into().unwrap_or(u32::MAX),
        },
        Verb::SendCustom => {
            let bits = fields.unsigned("options")?;
            let options = CustomOptions { broadcast: bits & 1 != 0, forced: bits & 2 != 0, increment: bits & 4 != 0 };
            ExternalCommand::SendCustomNotification { object: object(fields), options, note: note(fields) }
        }
        Verb::ProcessFile => ExternalCommand::ProcessFile { path: fields.text("file"), delete: fields.flag("delete")? },
        Verb::Restart => ExternalCommand::Program(ProgramCommand::Restart { at: fields.some_time("time")? }),
        Verb::Shutdown => ExternalCommand::Program(ProgramCommand::Shutdown { at: fields.some_time("time")? }),
        Verb::SaveState => ExternalCommand::Program(ProgramCommand::SaveState),
        Verb::ReadState => ExternalCommand::Program(ProgramCommand::ReadState),
        Verb::Log => ExternalCommand::Log(fields.text("text")),
    })
}

fn object(fields: &Fields<'_>) -> Object {
    Object { host: fields.text("host"), service: fields.some_text("service") }
}

fn note(fields: &Fields<'_>) -> Note {
    Note { author: fields.text("author"), comment: fields.text("comment") }
}

fn scope(reach: Reach, fields: &Fields<'_>) -> Scope {
    match reach {
        Reach::Program(side) => Scope::Program(side),
        Reach::Object => Scope::Object(object(fields)),
        Reach::ServicesOf => Scope::ServicesOf(fields.text("host")),
        Reach::HostgroupHosts => Scope::HostgroupHosts(fields.text("hostgroup")),
        Reach::HostgroupServices => Scope::HostgroupServices(fields.text("hostgroup")),
        Reach::ServicegroupHosts => Scope::ServicegroupHosts(fields.text("servicegroup")),
        Reach::ServicegroupServices => Scope::ServicegroupServices(fields.text("servicegroup")),
        Reach::Beyond => Scope::Beyond(fields.text("host")),
        Reach::HostAndChildren => Scope::HostAndChildren(fields.text("host")),
        Reach::Contact(side) => Scope::Contact(fields.text("contact"), side),
        Reach::Contactgroup(side) => Scope::Contactgroup(fields.text("contactgroup"), side),
    }
}

fn change(attribute: Attribute, fields: &Fields<'_>) -> Result<Change, LineError> {
    Ok(match attribute {
        Attribute::CheckCommand => Change::CheckCommand(fields.text("command")),
        Attribute::EventHandler => Change::EventHandler(fields.text("command")),
        Attribute::CheckPeriod => Change::CheckPeriod(fields.text("timeperiod")),
        Attribute::NotificationPeriod => Change::NotificationPeriod(fields.text("timeperiod")),
        Attribute::EventHandlerPeriod => Change::EventHandlerPeriod(fields.text("timeperiod")),
        Attribute::CheckInterval => Change::CheckInterval(fields.decimal("interval")?),
        Attribute::RetryInterval => Change::RetryInterval(fields.decimal("interval")?),
        Attribute::MaxAttempts => match u16::try_from(fields.whole("number")?) {
            Ok(number) if number > 0 => Change::MaxAttempts(number),
            Ok(_) | Err(_) => return Err(fields.out_of_range("number", "1 to 65535")),
        },
        Attribute::CustomVar => Change::CustomVar { name: var_name(fields), value: fields.text("value") },
        Attribute::Mask => Change::ModifiedAttributes(fields.mask("mask")?),
    })
}

fn var_name(fields: &Fields<'_>) -> String {
    fields.text("var").to_uppercase()
}

fn contact_change(attribute: ContactAttribute, fields: &Fields<'_>) -> Result<ContactChange, LineError> {
    Ok(match attribute {
        ContactAttribute::HostPeriod => ContactChange::Period { side: Side::Hosts, period: fields.text("timeperiod") },
        ContactAttribute::ServicePeriod => {
            ContactChange::Period { side: Side::Services, period: fields.text("timeperiod") }
        }
        ContactAttribute::CustomVar => ContactChange::CustomVar { name: var_name(fields), value: fields.text("value") },
        ContactAttribute::Mask => ContactChange::ModifiedAttributes(fields.mask("mask")?),
        ContactAttribute::HostMask => ContactChange::SideAttributes { side: Side::Hosts, mask: fields.mask("mask")? },
        ContactAttribute::ServiceMask => {
            ContactChange::SideAttributes { side: Side::Services, mask: fields.mask("mask")? }
        }
    })
}

fn acknowledge(fields: &Fields<'_>) -> Result<Acknowledge, LineError> {
    Ok(Acknowledge {
        object: object(fields),
        sticky: fields.whole("sticky")? == 2,
        notify: fields.flag("notify")?,
        persistent: fields.flag("persistent")?,
        until: fields.some_time("end")?,
        author: fields.text("author"),
        comment: fields.text("comment"),
    })
}

fn downtime(scope: Scope, triggers_children: bool, fields: &Fields<'_>) -> Result<ExternalCommand, LineError> {
    let fixed = fields.flag("fixed")?;
    let duration = fields.time("duration")?;
    if !fixed && duration == 0 {
        return Err(fields.out_of_range("duration", "above 0 where the downtime is flexible"));
    }
    Ok(ExternalCommand::ScheduleDowntime(ScheduleDowntime {
        scope,
        triggers_children,
        start: fields.time("start")?,
        end: fields.time("end")?,
        fixed,
        trigger_id: fields.unsigned("trigger_id")?,
        duration,
        author: fields.text("author"),
        comment: fields.text("comment"),
    }))
}

fn filter(name: &'static str, fields: &Fields<'_>) -> Result<DowntimeFilter, LineError> {
    let filter = DowntimeFilter {
        hostgroup: fields.some_text("hostgroup"),
        host: fields.some_text("host"),
        service: fields.some_text("service"),
        // 0 stands for any start.
        start: fields.some_time("start")?.filter(|start| *start != 0),
        comment: fields.some_text("comment"),
    };
    if filter == DowntimeFilter::default() { Err(LineError::NoFilter { name }) } else { Ok(filter) }
}

fn result(name: &'static str, fields: &Fields<'_>) -> Result<ExternalCommand, LineError> {
    let object = object(fields);
    let code = fields.whole("code")?;
    if object.service.is_none() && !(0..=2).contains(&code) {
        return Err(LineError::HostCode { name, code });
    }
    let code = i32::try_from(code).unwrap_or(3);
    Ok(ExternalCommand::ProcessResult(PassiveResult { object, code, output: unescape(fields.raw("output")) }))
}

/// The two characters `\n` become a newline, `\\` a backslash; a lone backslash stays.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            (c, _) => out.push(c),
        }
    }
    out
}
