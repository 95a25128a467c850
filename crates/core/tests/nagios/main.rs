//! The engine as Nagios Core 4.5 would have behaved: tables of the specification, recorded sequences, properties.

mod acks;
mod commands;
mod courses;
mod downtimes;
mod flapping;
mod freshness;
mod gate;
mod macros;
mod notices;
mod ondemand;
mod promises;
mod restart;
mod retained;
mod scenarios;
mod site;
