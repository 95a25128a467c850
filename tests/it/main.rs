//! The one integration-test binary: each extra one would link the world again.

mod badconfig;
mod faults;
mod ipmi;
mod kill9;
mod mail;
mod metrics;
mod plugins;
mod postgres;
mod serve;
mod smtp;
