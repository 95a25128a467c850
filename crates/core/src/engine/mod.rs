//! `Engine::apply`: one input at one instant, through status, reach, problem, diagnosis, incident and policy, to effects.

pub mod effect;
pub mod input;

pub use effect::{CheckRequest, Effects, Event, EventKind};
pub use input::{Command, CommandError, Input, Reply, ResultSource};
