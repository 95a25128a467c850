//! Log lines of the process. Set up once, by the command that runs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::settings::{Log, LogFormat};

/// The SNMP library warns of each odd packet, which any agent can send at will; the result of the check says it once.
const QUIET: &str = "async_snmp=error";

/// Starts logging to standard error; a second call (tests) changes nothing.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // It would tell standard error that standard error is full, and panic: in the writer task, of all places.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An error only says that somebody set logging up before.
    let _ = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
