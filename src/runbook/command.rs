//! A program on the target host: here, through the connection to it, or by its agent. Killed at its deadline with everything it started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::catalog::View;
use stentor_core::runbook::{OUTPUT_BYTES_MAX, Order};
use stentor_core::snapshot::Snapshot;
use tokio::time::Instant;

use super::{Ended, Parts};
use crate::probes::exec::{End, ToolEnd, run_tool};
use crate::probes::ssh_link::{Link, Trust};

/// Where programs are found whose command names no folder.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];
/// Time to reach the host.
const CONNECT: Duration = Duration::from_secs(20);
/// After the deadline the other side gets this long to die by itself.
const KILL_AFTER_S: &str = "5";
/// Longer than that: our side hears of it.
const SLACK: Duration = Duration::from_secs(8);
/// What `timeout(1)` says of a program that it ended.
const TIMED_OUT: i32 = 124;

pub async fn run(parts: &Parts, snapshot: &Snapshot, order: &Order, words: &[Arc<str>]) -> Ended {
    let catalog = &snapshot.catalog;
    let Some(host) = catalog.host_id(&order.host).map(|id| &catalog.hosts[id.index()]) else {
        return Ended::failed(format!("there is no host `{}` any more", order.host));
    };
    match host.view {
        View::Local => here(words, order.within.to_std()).await,
        View::Ssh => there(parts.ssh.link(&host.address), order, words).await,
        View::Agent => parts.agents.carry_out(order, words).await,
        View::None => Ended::failed(format!(
            "no command can be run on `{}`: it needs `view = \"ssh\"` or `\"agent\"`",
            order.host
        )),
    }
}

/// On this machine, in a process group of its own that is killed when its time is over, or when nobody waits any more.
pub async fn here(words: &[Arc<str>], within: Duration) -> Ended {
    let Some((program, args)) = words.split_first() else { return Ended::failed("the command is empty") };
    let Some(path) = found(program) else { return Ended::failed(format!("`{program}` is not installed here")) };
    let args = args.iter().map(|arg| (&**arg).into()).collect();
    let deadline = Instant::now() + within;
    match run_tool(&path, args, OUTPUT_BYTES_MAX, deadline).await {
        Ok(end) => told(&end, false),
        Err(error) => Ended::failed(format!("{} cannot be started: {error}", path.display())),
    }
}

fn found(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program));
    }
    let plain = !program.contains('/');
    plain.then(|| FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file()))?
}

async fn there(link: Arc<Link>, order: &Order, words: &[Arc<str>]) -> Ended {
    let opening = Arc::clone(&link);
    let until = std::time::Instant::now() + CONNECT;
    let opened = tokio::task::spawn_blocking(move || opening.ensure(Trust::Answer, until)).await;
    match opened {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Ended::failed(format!("`{}` cannot be reached: {error}", order.host)),
        Err(error) => return Ended::failed(format!("`{}` cannot be reached: {error}", order.host)),
    }
    let within = order.within.to_std();
    // Ending our side does not end the other: the host itself keeps the deadline.
    let seconds = within.as_secs().max(1).to_string();
    let head = ["env", "LC_ALL=C", "timeout", "-k", KILL_AFTER_S, &seconds];
    let line: Vec<String> =
        head.iter().map(|word| (*word).to_owned()).chain(words.iter().map(|word| word.to_string())).collect();
    let (program, args) = link.command(&line);
    match run_tool(&program, args, OUTPUT_BYTES_MAX, Instant::now() + within + SLACK).await {
        Ok(end) => told(&end, true),
        Err(error) => Ended::failed(format!("{} cannot be started: {error}", program.display())),
    }
}

/// What is shown: how it ended, what it printed, and what it complained about.
fn told(end: &ToolEnd, by_ssh: bool) -> Ended {
    let (well, how) = match end.end {
        End::Exited(0) => (true, "exited 0".to_owned()),
        End::Exited(TIMED_OUT) if by_ssh => (false, "did not end in time and was killed".to_owned()),
        End::Exited(code) if by_ssh && Link::is_lost(Some(code)) => {
            (false, "the connection to the host was lost: whether it was done is not known".to_owned())
        }
        End::Exited(code) => (false, format!("exited {code}")),
        End::Signalled(signal) => (false, format!("was ended by signal {signal}")),
        End::TimedOut => (false, "did not end in time and was killed".to_owned()),
    };
    let mut output = how;
    for (mark, bytes) in [("", &end.stdout), ("[standard error]\n", &end.stderr)] {
        let text = String::from_utf8_lossy(bytes);
        if !text.trim().is_empty() {
            output.push('\n');
            output.push_str(mark);
            output.push_str(text.trim_end());
        }
    }
    Ended { well, output: printable(&output) }
}

/// Programs print whatever they like: no control characters reach a page or a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
