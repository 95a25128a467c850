//! Pure codecs of Stentor: bytes to values and back. No sockets, no clock.

pub mod containers;
pub mod dns;
pub mod drbd;
pub mod exposition;
pub mod greeting;
pub mod ipmi;
pub mod journey;
pub mod ldap;
pub mod multipath;
pub mod nagios;
pub mod nats;
pub mod nearest;
pub mod nrpe;
pub mod ntp;
pub mod nut;
pub mod rabbitmq;
pub mod raid;
pub mod redis;
pub mod smartctl;
pub mod snmp;
pub mod sql;
pub mod tool_json;
pub mod zpool;
