//! The one integration-test binary: each extra one would link the world again.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod fuzz;
mod ipmi;
mod mail;
mod metrics;
mod plugins;
mod postgres;
mod smtp;
mod tidy;
