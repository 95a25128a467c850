//! The shell of Stentor: everything that touches clock, disk, network or a process.
//! What it decides, it decides in `stentor-core`.

#[cfg(test)]
extern crate self as stentor;

pub mod agent;
pub mod app;
pub mod cli;
pub mod collector;
pub mod config;
pub mod demo;
pub mod drills;
pub mod engine;
pub mod journal;
pub mod memory;
pub mod nagios;
pub mod notifiers;
pub mod notify;
pub mod replay;
pub mod runbook;
pub mod scenario;
pub mod sql;
pub mod store;
pub mod telemetry;
pub mod traps;
pub mod web;

pub use stentor_probes as probes;
pub use stentor_probes::clock;
