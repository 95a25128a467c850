//! The Nagios plugin API: output, performance data and threshold ranges.

pub mod output;
pub mod perfdata;
pub mod range;
