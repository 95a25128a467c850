//! Nagios's words in the engine's: external commands, plugin results, notification commands and the files that other
//! tools read.

pub mod aside;
pub mod external;
pub mod log_file;
pub mod pager;
pub mod passive;
