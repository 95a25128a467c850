//! Pure codecs of Stentor: bytes to values and back. No sockets, no clock.

pub mod ceph;
pub mod dns;
pub mod drbd;
pub mod exposition;
pub mod gluster;
pub mod greeting;
pub mod ipmi;
pub mod iscsi;
pub mod lvm;
pub mod multipath;
pub mod nagios;
pub mod nearest;
pub mod nrpe;
pub mod ntp;
pub mod nut;
pub mod raid;
pub mod redfish;
pub mod redis;
pub mod riak;
pub mod smartctl;
pub mod snmp;
pub mod sql;
pub mod tool_json;
pub mod xml;
pub mod zpool;
