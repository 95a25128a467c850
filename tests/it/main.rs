//! The one integration-test binary: each extra one would link the world again.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "a test that takes long says what it does")]

mod agent;
mod availability;
mod backup;
mod badconfig;
mod bmc_mail;
mod browser;
mod captures;
mod demo;
mod discover;
mod drills;
mod estate;
mod faults;
mod fuzz;
mod ipmi;
mod kill9;
mod mail;
mod metrics;
mod nagios4;
mod nagios_files;
mod nagios_tree;
mod odd_output;
mod outside;
mod parity;
mod peers;
mod pipe;
mod plugins;
mod plugins_page;
mod postgres;
mod procedures;
mod rack;
mod redfish;
mod runbooks;
mod running;
mod samples;
mod scenarios;
mod serve;
mod services;
mod smtp;
mod snmp;
mod snmp_sim;
mod ssh;
mod tidy;
mod traps;
