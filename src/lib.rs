//! The shell of Stentor: everything that touches clock, disk, network or a process.
//! What it decides, it decides in `stentor-core`.

pub mod agent;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod journal;
pub mod notifiers;
pub mod probes;
pub mod store;
pub mod web;
