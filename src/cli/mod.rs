//! The command line: one file per subcommand, each with its arguments and a `run`.
pub mod agent;
pub mod check;
pub mod debug;
