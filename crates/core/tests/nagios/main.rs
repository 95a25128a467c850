//! The engine as Nagios Core 4.5 would have behaved: tables of the specification, recorded sequences, properties.

mod courses;
mod flapping;
mod freshness;
mod gate;
mod ondemand;
mod restart;
mod scenarios;
mod site;
