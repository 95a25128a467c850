//! Nagios's words in the engine's: external commands and plugin results, for whoever receives them.

pub mod external;
pub mod passive;
