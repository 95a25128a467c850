//! The words of Nagios: plugin output, performance data, ranges, external commands, configuration.

pub mod external_command;
pub mod finding;
pub mod load;
pub mod main_config;
pub mod objects;
pub mod output;
pub mod perfdata;
pub mod range;
pub mod resource;
pub mod retention;
