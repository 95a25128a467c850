//! The command line: one file per subcommand, each with its arguments and a `run`.
pub mod check;
pub mod debug;

pub mod classify;
