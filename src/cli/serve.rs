//! `stentor serve`: the service, until a signal ends it.

mod owner;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::{self, Options, Service};
use crate::clock::Clock;
use crate::config::nagios_files::{self, Kind};
use crate::config::watch::{Looks, Sources, Watcher};
use crate::config::{self, Loaded};
use crate::nagios::desk::ProgramOrder;
use crate::telemetry;

/// How often the files of the configuration are looked at, where that is asked for; a change is read after two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", default_value = "stentor.toml")]
    pub config: PathBuf,
    /// Only read the configuration, say what is wrong with it, and exit
    #[arg(long)]
    pub check: bool,
    /// Read the configuration again when its files change, as `[server] watch_config` does
    #[arg(long)]
    pub watch_config: bool,
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
    let is_watched = args.watch_config || loaded.settings.server.watch_config;
    let sources = is_watched.then(|| Sources::of(&loaded).with(&args.config));
    let watched = sources.map(|sources| (sources.look(), sources));
    let mut service = app::start(loaded, Options::default()).await?;
    greet(&service, out)?;
    service.greeted().await?;
    let watch = watched.map(|(before, sources)| ConfigWatch::start(sources, before));
    until_stopped(&mut service, &args.config, watch).await?;
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

async fn until_stopped(service: &mut Service, config: &Path, mut watch: Option<ConfigWatch>) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let mut hup = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    // One order may wait for its time; a later one takes its place.
    let mut planned: Option<(ProgramOrder, Instant)> = None;
    loop {
        let wake = planned.map(|(_, at)| at);
        tokio::select! {
            _ = term.recv() => {
                service.note("Caught SIGTERM, shutting down...").await;
                break;
            }
            _ = int.recv() => {
                service.note("Caught SIGINT, shutting down...").await;
                break;
            }
            _ = hup.recv() => {
                service.note("Caught SIGHUP, restarting...").await;
                reload(service, config, watch.as_mut()).await;
            }
            () = ConfigWatch::changed(watch.as_mut()) => {
                tracing::info!("a file of the configuration has changed");
                reload(service, config, watch.as_mut()).await;
            }
            Some(order) = service.orders_to_program.recv() => {
                let left = order.at().map_or(Duration::ZERO, |at| (at - Clock::Machine.now()).to_std());
                planned = Some((order, Instant::now() + left));
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => match planned.take() {
                Some((ProgramOrder::Restart { .. }, _)) => reload(service, config, watch.as_mut()).await,
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

async fn reload(service: &Service, config: &Path, watch: Option<&mut ConfigWatch>) {
    let before = match &watch {
        Some(watch) => watch.look().await,
        None => Looks::default(),
    };
    let (sources, answer) = service.reload_from(config).await;
    match &answer {
        Ok(()) => tracing::info!("configuration reloaded"),
        Err(error) => tracing::error!("the configuration was not reloaded, the old one stays: {error:#}"),
    }
    if let Some(watch) = watch {
        // A bad one may not have come as far as the files that must be mended.
        let sources = if answer.is_ok() { sources.with(config) } else { sources.and(&watch.sources) };
        watch.go_on(sources, before);
    }
}

/// Looks at the files of the configuration in a task of its own: a file system that hangs must hold up no signal.
struct ConfigWatch {
    sources: Sources,
    read: watch::Sender<(Sources, Looks)>,
    changes: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl ConfigWatch {
    fn start(sources: Sources, before: Looks) -> ConfigWatch {
        let (read, mut news) = watch::channel((sources.clone(), before));
        let (change, changes) = mpsc::channel(1);
        news.mark_changed();
        let task = tokio::spawn(look_on(news, change));
        ConfigWatch { sources, read, changes, task }
    }

    /// Returns at the next change; never without a watch.
    async fn changed(watch: Option<&mut ConfigWatch>) {
        if let Some(watch) = watch
            && watch.changes.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }

    async fn look(&self) -> Looks {
        let sources = self.sources.clone();
        tokio::task::spawn_blocking(move || sources.look()).await.unwrap_or_default()
    }

    /// The configuration has been read, from these files; `before` is how they looked before that.
    fn go_on(&mut self, sources: Sources, before: Looks) {
        self.sources = sources.clone();
        // What was noticed up to now has been read.
        while self.changes.try_recv().is_ok() {}
        let _ = self.read.send((sources, before));
    }
}

impl Drop for ConfigWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look_on(mut news: watch::Receiver<(Sources, Looks)>, change: mpsc::Sender<()>) {
    let mut watcher: Option<Watcher> = None;
    while let Ok(is_new) = news.has_changed() {
        let fresh = is_new.then(|| news.borrow_and_update().clone());
        let known = watcher.take();
        let look = move || {
            let mut watcher = match fresh {
                Some((sources, before)) => Watcher::new(sources, &before),
                None => known?,
            };
            let changed = watcher.look();
            Some((watcher, changed))
        };
        let Ok(Some((looked, changed))) = tokio::task::spawn_blocking(look).await else { return };
        watcher = Some(looked);
        if changed {
            // One that waits to be read stands for all later ones too.
            let _ = change.try_send(());
        }
        sleep(LOOK_EVERY).await;
    }
}
