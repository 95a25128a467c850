//! Agents that tell the past: what they saw while this hub could not be reached comes in order and with its own times. States
//! that are over by the time they are told are history, and page nobody.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::{Span, Timestamp};

/// An agent that tells the past for longer than this is believed as it speaks: one that never catches up must not silence
/// its host.
const CATCH_UP_MAX: Span = Span::from_mins(10);

/// An agent that says that there is more, and then nothing for so long, is no excuse either. Its back-off is 10 s at most.
const SILENCE_MAX: Span = Span::from_secs(30);

/// How far an agent is with its past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Behind {
    since: Timestamp,
    /// The push that is being applied says that there is more.
    has_more: bool,
}

impl Engine {
    /// The results that follow are not the newest that the agent has.
    pub(super) fn agent_is_behind(&mut self, agent: &Arc<str>) {
        let at = self.at;
        let behind = self.behind.entry(Arc::clone(agent)).or_insert(Behind { since: at, has_more: true });
        behind.has_more = true;
    }

    /// A push ended. If it did not say that there is more, this was all.
    pub(super) fn agent_has_told(&mut self, agent: &Arc<str>) {
        match self.behind.get_mut(agent) {
            Some(behind) if behind.has_more => behind.has_more = false,
            Some(_) => {
                self.behind.remove(agent);
            }
            None => {}
        }
    }

    /// Whether what the checks of a host say now may be over, as its agent has not told everything yet.
    pub(super) fn is_told_of_the_past(&self, host: &str) -> bool {
        let is_heard = || self.agents.get(host).is_some_and(|agent| self.at.since(agent.seen_at) < SILENCE_MAX);
        self.behind.get(host).is_some_and(|behind| self.at.since(behind.since) < CATCH_UP_MAX) && is_heard()
    }
}
