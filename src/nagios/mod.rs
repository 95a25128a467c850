//! Nagios's words in the engine's: external commands, plugin results, notification commands and the files that other
//! tools read.

pub mod aside;
pub mod blocks;
pub mod check_counts;
pub mod desk;
pub mod external;
pub mod files;
pub mod intake;
pub mod lines;
pub mod lock_file;
pub mod log_file;
pub mod log_lines;
pub mod pager;
pub mod passive;
pub mod perfdata;
pub mod pipe;
pub mod retention_dat;
pub mod spool;
pub mod status_dat;
pub mod takeover;
