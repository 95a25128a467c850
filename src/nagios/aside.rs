//! What the engine wants done beside pages: event handlers, obsessive and perfdata commands are run once each, and
//! lines go to `nagios.log` and to the files of performance data. Neither holds up the writer; what does not fit is dropped, counted and logged.

use std::sync::Arc;
use std::time::Duration;

use stentor_core::model::CommandRun;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::log_file::LogFile;
use super::log_lines;
use super::perfdata::Perfdata;
use crate::clock::Clock;
use crate::engine::Aside;
use crate::probes::exec::{End, run_line};

/// Handlers that run at the same time.
const CONCURRENCY: usize = 32;

/// What the worker is made of.
pub struct Parts {
    pub inbox: mpsc::Receiver<Aside>,
    /// `None` = no `log_file` is configured.
    pub log: Option<LogFile>,
    /// First lines of the log, and the time for first and last ones.
    pub opening: Vec<String>,
    /// `None` = no `nagios.cfg`.
    pub perfdata: Option<Perfdata>,
    pub clock: Clock,
    /// `event_handler_timeout`.
    pub timeout: Duration,
}

/// Serves until the writer is gone.
pub fn start(parts: Parts) -> JoinHandle<()> {
    tokio::spawn(serve(parts))
}

async fn serve(mut parts: Parts) {
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut runs = JoinSet::new();
    if let Some(log) = &mut parts.log {
        log.append(parts.clock.now(), &parts.opening).await;
    }
    while let Some(aside) = parts.inbox.recv().await {
        if let Some(log) = &mut parts.log {
            log.append(aside.at, &aside.log).await;
        }
        if let Some(perfdata) = &parts.perfdata {
            perfdata.take(aside.perfdata);
        }
        for run in aside.runs {
            let (places, timeout) = (Arc::clone(&places), parts.timeout);
            runs.spawn(async move {
                // The semaphore is never closed.
                let _place = places.acquire().await;
                carry_out(&run, timeout).await;
            });
        }
        while runs.try_join_next().is_some() {}
    }
    while runs.join_next().await.is_some() {}
    if let Some(perfdata) = parts.perfdata {
        perfdata.stop().await;
    }
    if let Some(log) = &mut parts.log {
        log.append(parts.clock.now(), &[log_lines::stopped_line(std::process::id())]).await;
    }
}

async fn carry_out(run: &CommandRun, timeout: Duration) {
    let name = &run.name;
    match run_line(&run.line, &run.environment, timeout).await {
        Ok(ran) => match ran.end {
            End::Exited(0) => {}
            End::Exited(code) => tracing::warn!(command = %name, code, said = %ran.said, "{name} exited {code}"),
            End::Signalled(signal) => tracing::warn!(command = %name, signal, "{name} was killed by signal {signal}"),
            End::TimedOut => tracing::warn!(command = %name, "{name} did not end in time and was killed"),
        },
        Err(error) => tracing::warn!(command = %name, %error, "{name} cannot be run: {error}"),
    }
}
