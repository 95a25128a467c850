//! Nagios's words in the engine's: external commands, plugin results, notification commands and the files that other
//! tools read.

pub mod aside;
pub mod desk;
pub mod external;
pub mod intake;
pub mod lines;
pub mod log_file;
pub mod pager;
pub mod passive;
pub mod pipe;
