//! Service availability: expressions over what is in service, their state, why, and how much more they survive.
//!
//! Total and pure: an expression ([`Expr`]) is grounded once on the topology ([`ground`]), which names every piece it
//! stands on; a look ([`Grounded::look`]) then says its state from the states of the pieces.

pub mod assess;
pub mod business;
pub mod core;
pub(crate) mod evaluate;
pub(crate) mod expr;
pub(crate) mod ground;
pub mod history;
pub mod pairs;
mod parse;

pub use evaluate::{Look, Redundancy};
pub use expr::Expr;
pub use ground::{Grounded, Known, Lost, Piece, PieceKind, ground};
pub use parse::SyntaxError;

use serde::{Deserialize, Serialize};

use crate::diagnosis::CoreState;

/// How a piece or a whole service stands, from bad to good. What is not known is worse than degraded, because it may be
/// gone, and better than gone, because it may be well.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Unavailable,
    Unknown,
    Degraded,
    Available,
}

impl State {
    pub const ALL: [State; 4] = [State::Unavailable, State::Unknown, State::Degraded, State::Available];

    /// The word used in JSON, history and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Unavailable => "unavailable",
            State::Unknown => "unknown",
            State::Degraded => "degraded",
            State::Available => "available",
        }
    }

    pub fn read(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl From<CoreState> for State {
    fn from(core: CoreState) -> State {
        match core {
            CoreState::Available => State::Available,
            CoreState::Degraded => State::Degraded,
            CoreState::Unavailable => State::Unavailable,
            CoreState::Unknown => State::Unknown,
        }
    }
}

impl From<State> for CoreState {
    fn from(state: State) -> CoreState {
        match state {
            State::Available => CoreState::Available,
            State::Degraded => CoreState::Degraded,
            State::Unavailable => CoreState::Unavailable,
            State::Unknown => CoreState::Unknown,
        }
    }
}
