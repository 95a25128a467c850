//! Fuzz targets of the pure crates. One ordinary function each; a finding is a panic.

#[path = "pure/clouds.rs"]
mod clouds;
#[path = "pure/engine.rs"]
mod engine;
#[path = "pure/machines.rs"]
mod machines;
#[path = "pure/nagios.rs"]
mod nagios;
#[path = "pure/services.rs"]
mod services;
#[path = "small_world.rs"]
mod small_world;
#[path = "pure/storage.rs"]
mod storage;

/// Name and entry of a target.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("plugin_output", nagios::plugin_output),
    ("perfdata", nagios::perfdata),
    ("range", nagios::range),
    ("external_command", nagios::external_command),
    ("nagios_objects", nagios::nagios_objects),
    ("nagios_main_config", nagios::nagios_main_config),
    ("nagios_retention", nagios::nagios_retention),
    ("nrpe", nagios::nrpe),
    ("backup", clouds::backup),
    ("euca", clouds::euca),
    ("nut", machines::nut),
    ("exposition", services::exposition),
    ("redfish", machines::redfish),
    ("redis", services::redis),
    ("greeting", services::greeting),
    ("containers", services::containers),
    ("journey", services::journey),
    ("ldap", services::ldap),
    ("mysql", services::mysql),
    ("nats", services::nats),
    ("openstack", clouds::openstack),
    ("postgres", services::postgres),
    ("proxmox", clouds::proxmox),
    ("rabbitmq", services::rabbitmq),
    ("ntp", services::ntp),
    ("dns", services::dns),
    ("ipmi_fru", machines::ipmi_fru),
    ("ipmi_packet", machines::ipmi_packet),
    ("ipmi_session", machines::ipmi_session),
    ("ipmi_sdr", machines::ipmi_sdr),
    ("ipmi_sel", machines::ipmi_sel),
    ("ipmi_answer", machines::ipmi_answer),
    ("ipmi_pet", machines::ipmi_pet),
    ("snmp", machines::snmp),
    ("drbd", storage::drbd),
    ("ceph", storage::ceph),
    ("cloudstack", clouds::cloudstack),
    ("gluster", storage::gluster),
    ("host_network", storage::host_network),
    ("iscsi", storage::iscsi),
    ("lvm", storage::lvm),
    ("multipath", storage::multipath),
    ("ovn", clouds::ovn),
    ("raid", storage::raid),
    ("riak", storage::riak),
    ("smartctl", storage::smartctl),
    ("tool_json", storage::tool_json),
    ("xml", storage::xml),
    ("zpool", storage::zpool),
    ("expr", engine::expr),
    ("availability", engine::availability),
    ("time", engine::time),
    ("glob", engine::glob),
    ("timeperiod", engine::timeperiod),
    ("macros", engine::macros),
];
