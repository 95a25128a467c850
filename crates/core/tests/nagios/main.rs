//! The engine as Nagios Core 4.5 would have behaved: tables of the specification, recorded sequences, properties.

mod commands;
mod scenarios;
mod site;
