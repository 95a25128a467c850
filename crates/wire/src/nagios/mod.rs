//! The Nagios plugin API: output, performance data and threshold ranges.

pub mod external_command;
pub mod output;
pub mod perfdata;
pub mod range;
