//! The pure engine of Stentor.
//!
//! Nothing here performs I/O, reads a clock or an environment, draws randomness, or holds a global:
//! time, identities and seeds come in as arguments. Live, replay, simulation and tests run the same code.

pub mod availability;
pub mod catalog;
pub mod design;
pub mod diagnosis;
pub mod engine;
pub mod id;
pub mod incident;
pub mod macros;
pub mod model;
pub mod parity;
pub mod policy;
pub mod reach;
pub mod rules;
pub mod runbook;
pub mod schedule;
pub mod seen;
pub mod sight;
pub mod signals;
pub mod snapshot;
pub mod status;
pub mod time;
pub mod timeleft;
pub mod timeperiod;
pub mod topology_view;
pub mod whatif;

pub use time::{Span, Timestamp};
