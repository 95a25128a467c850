//! The pure engine of Stentor.
//!
//! Nothing here performs I/O, reads a clock or an environment, draws randomness, or holds a global:
//! time, identities and seeds come in as arguments. Live, replay, simulation and tests run the same code.

pub mod catalog;
pub mod diagnosis;
pub mod engine;
pub mod id;
pub mod model;
pub mod rules;
pub mod schedule;
pub mod snapshot;
pub mod time;

pub use time::{Span, Timestamp};
