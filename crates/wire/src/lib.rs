//! Pure codecs of Stentor: bytes to values and back. No sockets, no clock.

pub mod drbd;
pub mod ipmi;
pub mod multipath;
pub mod nagios;
pub mod nearest;
pub mod raid;
pub mod smartctl;
pub mod snmp;
pub mod tool_json;
pub mod zpool;
