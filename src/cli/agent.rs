//! `stentor agent`: local probes of this host, pushed to a hub.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, AgentConfig, Token};
use crate::clock::Clock;
use crate::probes::HostView;
use crate::probes::local_view::LocalView;

#[derive(Clone, Debug, Args)]
pub struct AgentArgs {
    /// Base URL of the hub: `https://monitor.example.org:8460`
    #[arg(long, env = "STENTOR_HUB")]
    pub hub: String,
    /// File that holds the token.
    #[arg(long)]
    pub token_file: PathBuf,
    /// Name of this host in the hub's configuration; the machine's own name if missing.
    #[arg(long)]
    pub host: Option<String>,
}

/// Runs until SIGTERM or SIGINT; the result is the exit status.
///
/// # Errors
/// The token cannot be read, or the hub's address is no URL.
pub async fn run(args: &AgentArgs) -> anyhow::Result<u8> {
    let path = args.token_file.display();
    let token =
        std::fs::read_to_string(&args.token_file).with_context(|| format!("cannot read the token in {path}"))?;
    if token.trim().is_empty() {
        bail!("the token file {path} is empty");
    }
    let view = LocalView::default();
    let host = match &args.host {
        Some(host) => host.clone(),
        None => {
            view.read("/proc/sys/kernel/hostname").context("this machine has no name; give --host")?.trim().to_owned()
        }
    };
    let stop = CancellationToken::new();
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let agent = Agent::run(
        AgentConfig::new(&args.hub, Token::new(&token), &host),
        Arc::new(view),
        Clock::Machine,
        stop.clone(),
    );
    tokio::pin!(agent);
    let report = tokio::select! {
        report = &mut agent => report,
        _ = term.recv() => { stop.cancel(); agent.await }
        _ = int.recv() => { stop.cancel(); agent.await }
    }?;
    if report.unsent > 0 {
        eprintln!("stopped with {} results that the hub has not taken", report.unsent);
    }
    Ok(0)
}
