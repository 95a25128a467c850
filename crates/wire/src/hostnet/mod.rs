//! What a host's own network tools and tables print: team driver, LLDP neighbours, routes, clock synchronisation.

pub mod clock_sync;
pub mod lldp;
pub mod route;
pub mod team;
