//! What the executor is asked to do: a program of the allow-list with its arguments bound as data, or a power action.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::RunPolicy;
use super::{Run, RunTarget};
use crate::Span;
use crate::catalog::{Action, Catalog, PowerAction, Step, View};

/// Deadline of a command that names none.
pub const COMMAND_WITHIN: Span = Span::from_mins(5);
/// Deadline of a power action that names none: some controllers think for a while.
pub const POWER_WITHIN: Span = Span::from_mins(2);

/// To the executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunOrder {
    Do(Order),
    /// Whatever is under way for this run ends now.
    Stop {
        run: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub run: u64,
    pub step: u16,
    pub attempt: u32,
    pub host: Arc<str>,
    pub within: Span,
    pub what: OrderKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OrderKind {
    /// Program and arguments.
    Command(Vec<Arc<str>>),
    Power(PowerAction),
}

/// Names of the target that commands may use.
pub struct Names<'a> {
    pub target: &'a RunTarget,
    pub incident: Option<u64>,
    pub address: Option<&'a str>,
}

impl<'a> Names<'a> {
    pub fn of(run: &'a Run, catalog: &'a Catalog) -> Names<'a> {
        let host = run.target.host.as_deref().and_then(|name| catalog.host_id(name));
        let address = host.map(|id| &*catalog.hosts[id.index()].address);
        Names { target: &run.target, incident: run.incident, address }
    }

    fn value(&self, name: &str) -> Option<String> {
        let target = self.target;
        match name {
            "host" => target.host.as_deref().map(str::to_owned),
            "address" => self.address.map(str::to_owned),
            "component" => target.component.as_deref().map(str::to_owned),
            "cloud" => target.cloud.as_deref().map(str::to_owned),
            "incident" => self.incident.map(|number| number.to_string()),
            _ => None,
        }
    }
}

/// One word with its names filled in; a word stays one word whatever is in it.
///
/// # Errors
/// A name is unknown, or this target has no such thing.
pub fn bind(word: &str, names: &Names<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) =
            after.split_once('}').ok_or_else(|| format!("`{word}` opens a brace and does not close it"))?;
        let value = names.value(name).ok_or_else(|| format!("this target has no {{{name}}}"))?;
        out.push_str(before);
        out.push_str(&value);
        rest = behind;
    }
    out.push_str(rest);
    // A name that begins like an option would be taken for one.
    if out.starts_with('-') && !word.starts_with('-') {
        return Err(format!("`{out}` would be taken for an option"));
    }
    Ok(out)
}

/// The words of a command as it would run.
///
/// # Errors
/// As [`bind`], or the allow-list has nothing that fits: the words are in the text.
pub fn command(run: &[Arc<str>], names: &Names<'_>, policy: &RunPolicy) -> Result<Vec<Arc<str>>, String> {
    let bound: Vec<String> = run.iter().map(|word| bind(word, names)).collect::<Result<_, _>>()?;
    let same = |allowed: &str, word: &str| bind(allowed, names).is_ok_and(|allowed| allowed == word);
    if !policy.commands.iter().any(|entry| fits(entry, &bound, same)) {
        return Err(format!("[runbook] `commands` does not allow {}", shown(&bound)));
    }
    Ok(bound.into_iter().map(Arc::from).collect())
}

/// Whether an entry of an allow-list lets these words through: as many, each the same as `same` sees it, or `*` for any
/// one that is no option. The program is always written out. The hub's list and an agent's own are read by this rule.
pub fn fits(entry: &[Arc<str>], words: &[impl AsRef<str>], same: impl Fn(&str, &str) -> bool) -> bool {
    let one = |(at, (allowed, word)): (usize, (&Arc<str>, &str))| match &**allowed {
        "*" if at > 0 => !word.starts_with('-') && !word.is_empty(),
        allowed => same(allowed, word),
    };
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    !words.is_empty() && entry.len() == words.len() && entry.iter().zip(words).enumerate().all(one)
}

/// The words of a command, told apart.
pub fn shown(words: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{:?}", word.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// What a step asks of the executor; `None` where a person or a check does it.
///
/// # Errors
/// It is not allowed, or this target has nothing that could do it.
pub fn order(run: &Run, step: &Step, catalog: &Catalog) -> Result<Option<(Arc<str>, OrderKind, Span)>, String> {
    let within = |usual: Span| if step.within > Span::ZERO { step.within } else { usual };
    let host = || run.target.host.clone().ok_or_else(|| format!("{} is no host", run.target));
    match &step.action {
        Action::Manual | Action::Check { .. } | Action::WaitFor { .. } | Action::Approve => Ok(None),
        Action::Command { run: words } => {
            let words = command(words, &Names::of(run, catalog), &catalog.runs)?;
            let host = host()?;
            let view = catalog.host_id(&host).map(|id| catalog.hosts[id.index()].view);
            match view {
                // Whether the agent of a host takes commands is its own to say, and the executor's to hear.
                Some(View::Local | View::Ssh | View::Agent) => {
                    Ok(Some((host, OrderKind::Command(words), within(COMMAND_WITHIN))))
                }
                Some(View::None) => Err(format!(
                    "no command can be run on `{host}`: it needs `view = \"ssh\"` or `\"agent\"`; do it by hand and skip \
                     the step with a note"
                )),
                None => Err(format!("there is no host `{host}`")),
            }
        }
        Action::Power { power } => {
            let host = host()?;
            let known = catalog.host_id(&host).map(|id| &catalog.hosts[id.index()]);
            let known = known.ok_or_else(|| format!("there is no host `{host}`"))?;
            let by_redfish = known.services.iter().any(|id| {
                let service = &catalog.services[id.index()];
                &*catalog.checks[service.check.index()].probe == "redfish"
            });
            if known.bmc.is_none() && !by_redfish {
                return Err(format!("host `{host}` has no `bmc`"));
            }
            Ok(Some((host, OrderKind::Power(*power), within(POWER_WITHIN))))
        }
    }
}
