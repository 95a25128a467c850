//! The engine as Nagios Core 4.5 would have behaved: tables of the specification, recorded sequences, properties.

mod acks;
mod downtimes;
mod notices;
mod promises;
mod scenarios;
mod site;
