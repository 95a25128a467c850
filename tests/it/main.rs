//! The one integration-test binary: each extra one would link the world again.

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
