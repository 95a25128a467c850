//! The one integration-test binary: each extra one would link the world again.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod agent;
mod bmc_mail;
mod demo;
mod ipmi;
mod mail;
mod metrics;
mod plugins;
mod plugins_page;
mod postgres;
mod running;
mod smtp;
mod tidy;
