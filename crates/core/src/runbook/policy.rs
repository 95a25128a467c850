//! What the administrator allows runbooks to do: `[runbook]` of the configuration.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::request::Right;
use crate::catalog::{Action, Step};

/// Empty lists allow nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPolicy {
    /// Programs with their arguments, word by word: a word that is equal, `{host}` and the like for the target's own
    /// name, `*` for any one word that is no option.
    pub commands: Vec<Vec<Arc<str>>>,
    /// Ids of runbooks that may start without a person.
    pub automatic: Vec<Arc<str>>,
    /// Automatic starts within an hour, of one host and in all.
    pub automatic_per_host: u32,
    pub automatic_per_hour: u32,
    pub two_persons: TwoPersons,
    /// The least role whose users may switch machines off and on is `operator`, not `admin`.
    pub operators_may_power: bool,
}

/// Which steps need a second person though they do not ask for one.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TwoPersons {
    /// Only those that ask for it.
    Asked,
    #[default]
    Power,
    /// Power and commands.
    Commands,
}

impl Default for RunPolicy {
    fn default() -> Self {
        RunPolicy {
            commands: Vec::new(),
            automatic: Vec::new(),
            automatic_per_host: 1,
            automatic_per_hour: 4,
            two_persons: TwoPersons::default(),
            operators_may_power: false,
        }
    }
}

impl RunPolicy {
    /// Whether another person than the one who starts the step must approve it.
    pub fn needs_second(&self, step: &Step) -> bool {
        let by_kind = match step.action {
            Action::Approve => true,
            Action::Power { .. } => self.two_persons != TwoPersons::Asked,
            Action::Command { .. } => self.two_persons == TwoPersons::Commands,
            Action::Manual | Action::Check { .. } | Action::WaitFor { .. } => false,
        };
        by_kind || step.two_person
    }

    /// The right of somebody who may operate, administer or only look.
    pub const fn right_of(&self, operates: bool, administers: bool) -> Right {
        if administers || (operates && self.operators_may_power) {
            Right::Power
        } else if operates {
            Right::Operate
        } else {
            Right::View
        }
    }
}
