//! Macros as environment variables (`enable_environment_macros`), made only when a command is about to run.

use super::context::Context;
use super::facts::{Owner, World};
use super::table::{Group, Macro};
use super::{Asked, Encode, ExpandError, Options, Run};

/// Whether the costly ones take part (`use_large_installation_tweaks`).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum EnvironmentSize {
    Full,
    /// Without the members of groups and the counts over all objects.
    Lean,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    /// `NAGIOS_HOSTNAME`, `NAGIOS_ARG1`, `NAGIOS__HOSTRACK`, ...
    pub variables: Vec<(String, String)>,
    /// What would be longer than the system takes as one variable.
    pub left_out: Vec<String>,
}

/// All macros that have a value in this context. `$USERn$` is not among them: it may be a password.
pub fn environment<W: World + ?Sized>(
    context: &Context<'_, W>,
    options: Options<'_>,
    size: EnvironmentSize,
) -> Environment {
    let mut made = Environment::default();
    for (name, found) in Macro::all() {
        let is_costly = match found {
            Macro::Summary(_) => true,
            Macro::HostGroup(group) | Macro::ServiceGroup(group) | Macro::ContactGroup(group) => {
                matches!(group, Group::Members | Group::MemberAddresses)
            }
            Macro::Host(_)
            | Macro::OfHost(_)
            | Macro::Service(_)
            | Macro::OfService(_)
            | Macro::Contact(_)
            | Macro::HostAck(_)
            | Macro::ServiceAck(_)
            | Macro::Notification(_)
            | Macro::Moment(_)
            | Macro::Period(_)
            | Macro::ProblemValue
            | Macro::Process(_) => false,
        };
        if !(is_costly && size == EnvironmentSize::Lean) {
            made.add(name, context, options);
        }
    }
    for number in 1..=context.args.len() {
        made.add(&format!("ARG{number}"), context, options);
    }
    let owners = [
        ("_HOST", context.host_owner()),
        ("_SERVICE", context.service_owner()),
        ("_CONTACT", context.contact.map(|contact| Owner::Contact(contact.name))),
    ];
    for (prefix, owner) in owners {
        let mut names = Vec::new();
        if let Some(owner) = owner {
            context.world.variables_of(owner, &mut |name, _| names.push(format!("{prefix}{name}")));
        }
        names.iter().for_each(|name| made.add(name, context, options));
    }
    made
}

impl Environment {
    fn add<W: World + ?Sized>(&mut self, name: &str, context: &Context<'_, W>, options: Options<'_>) {
        match one(name, context, options) {
            Ok(None) => {}
            Ok(Some(value)) => self.variables.push((format!("NAGIOS_{name}"), value)),
            Err(ExpandError::TooLong { .. } | ExpandError::TooMany) => self.left_out.push(name.to_owned()),
        }
    }
}

/// The value of one macro; `None` where its object is missing, or where it needs arguments.
fn one<W: World + ?Sized>(
    name: &str,
    context: &Context<'_, W>,
    options: Options<'_>,
) -> Result<Option<String>, ExpandError> {
    use super::Lookup as _;
    let run = Run::new(options);
    let Some(value) = context.value(Asked { name, first: None, second: None }, &run)? else { return Ok(None) };
    let mut text = String::new();
    run.push(&mut text, &value, Encode::No);
    // A variable cannot hold NUL; no plugin output that was parsed does.
    text.retain(|c| c != '\0');
    run.check_length("NAGIOS_=".len() + name.len() + text.len())?;
    Ok(Some(text))
}
