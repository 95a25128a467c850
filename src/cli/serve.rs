//! `stentor serve`: the service, until a signal ends it.

mod owner;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::app::{self, Options, Service};
use crate::clock::Clock;
use crate::config::nagios_files::{self, Kind};
use crate::config::{self, Loaded};
use crate::nagios::desk::ProgramOrder;
use crate::telemetry;

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", default_value = "stentor.toml")]
    pub config: PathBuf,
    /// Only read the configuration, say what is wrong with it, and exit
    #[arg(long)]
    pub check: bool,
}

/// Runs until SIGTERM or SIGINT; SIGHUP reads the configuration again. The result is the exit status.
///
/// # Errors
/// The service cannot start.
pub async fn run(args: &ServeArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(found) => {
            eprintln_all(&found);
            return Ok(1);
        }
    };
    if args.check {
        writeln!(
            out,
            "{}: {} hosts, {} services: good",
            args.config.display(),
            loaded.catalog.hosts.len(),
            loaded.catalog.services.len()
        )?;
        return Ok(0);
    }
    // A TOML file beside a tree is of those who decided as whom Stentor runs.
    if let (Some(nagios), Ok(Kind::Nagios)) = (&loaded.nagios, nagios_files::kind_of(&args.config)) {
        owner::become_owner(nagios)?;
    }
    telemetry::start(&loaded.settings.log);
    warn_of(&loaded);
    let mut service = app::start(loaded, Options::default()).await?;
    greet(&service, out)?;
    service.greeted().await?;
    until_stopped(&mut service, &args.config).await?;
    service.stop().await;
    Ok(0)
}

#[allow(clippy::print_stderr, reason = "messages for people go to standard error")]
fn eprintln_all(found: &config::Diagnostics) {
    eprintln!("{found}");
}

fn warn_of(loaded: &Loaded) {
    let text = loaded.warnings.to_string();
    if !text.is_empty() {
        tracing::warn!("the configuration has warnings:\n{text}");
    }
}

/// Says where the pages are, and, once in the life of an installation, who may log in.
fn greet(service: &Service, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "Stentor watches. Pages: {}", service.url)?;
    if let Some(made) = &service.credentials {
        writeln!(out, "\nFirst start: an administrator was made. This is shown once.")?;
        writeln!(out, "  user      {}", made.user)?;
        writeln!(out, "  password  {}", made.password)?;
        writeln!(out, "  API token {}", made.token)?;
        writeln!(out, "A lost password is set anew with `stentor user password {}`.\n", made.user)?;
    }
    out.flush().context("standard output is closed")
}

async fn until_stopped(service: &mut Service, config: &std::path::Path) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let mut hup = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    // One order may wait for its time; a later one takes its place.
    let mut planned: Option<(ProgramOrder, Instant)> = None;
    loop {
        let wake = planned.map(|(_, at)| at);
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => reload(service, config).await,
            Some(order) = service.orders_to_program.recv() => {
                let left = order.at().map_or(Duration::ZERO, |at| (at - Clock::Machine.now()).to_std());
                planned = Some((order, Instant::now() + left));
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => match planned.take() {
                Some((ProgramOrder::Restart { .. }, _)) => reload(service, config).await,
                Some((ProgramOrder::Shutdown { .. }, _)) => {
                    tracing::info!("an external command asks to stop");
                    break;
                }
                None => {}
            },
        }
    }
    tracing::info!("stopping");
    Ok(())
}

async fn reload(service: &Service, config: &std::path::Path) {
    match service.reload(config).await {
        Ok(()) => tracing::info!("configuration reloaded"),
        Err(error) => tracing::error!("the configuration was not reloaded, the old one stays: {error:#}"),
    }
}
