//! The command line: one file per subcommand, each with its arguments and a `run`.

pub mod ack;
pub mod agent;
pub mod backup;
pub mod bench;
pub mod check;
pub mod classify;
pub mod client;
pub mod comment;
pub mod debug;
pub mod demo;
pub mod discover;
pub mod downtime;
pub mod drill;
pub mod import;
pub mod matrix;
pub mod notify;
pub mod probe;
pub mod replay;
pub mod runbook;
pub mod serve;
pub mod status;
pub mod test;
pub mod user;
pub mod verify;
pub mod what_if;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::clock::Clock;

/// Watches private clouds and the hardware under them, names what failed and why, tells the right person, and leads
/// the restoration.
#[derive(Parser, Debug)]
#[command(name = "stentor", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  stentor serve --config config.example.toml    watch this machine; pages on http://127.0.0.1:8460/
  stentor demo                                  the same over a simulated cloud, with faults to inject
  stentor check http -H example.org             one probe as a Nagios plugin
  stentor status                                what is wrong now, from the running service";

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the service: collector, engine, notifiers, pages, API
    Serve(serve::ServeArgs),
    /// Run the service over a simulated cloud, and break and mend it
    Demo(demo::DemoArgs),
    /// Look at this host from inside and push what is seen to a hub
    Agent(agent::AgentArgs),
    /// Read a configuration and tell every mistake in it
    Verify(verify::VerifyArgs),
    /// Write a Nagios configuration as Stentor's own
    Import(import::ImportArgs),
    /// Unit tests of a configuration: given these results, expect these states and pages
    Test(test::TestArgs),
    /// Which failures of which components a configuration would notice
    Matrix(matrix::MatrixArgs),
    /// Run one native probe as a Nagios plugin
    #[command(disable_help_flag = true)]
    Check(check::CheckArgs),
    /// Look at addresses and propose hosts, controllers and services as TOML
    Discover(discover::DiscoverArgs),
    /// Run the configured checks of a host once, and show what the rules make of them
    Probe(probe::ProbeArgs),
    /// What to do about a failure, step by step
    Runbook(runbook::RunbookArgs),
    /// Signals in, verdicts out: the classifier alone
    Classify(classify::ClassifyArgs),
    /// What was restored on purpose, when, and how long it took
    Drill(drill::DrillArgs),
    /// Recorded inputs through the engine with virtual time
    Replay(replay::ReplayArgs),
    /// Which incidents the loss of something would be, and single points of failure
    WhatIf(what_if::WhatIfArgs),
    /// Look at the inner workings: plugin output, threshold ranges, timeperiods, macros
    Debug(debug::DebugArgs),
    /// Copy database, journal and keys of an installation, running or not
    Backup(backup::BackupArgs),
    /// Put such a copy back into a stopped installation
    Restore(backup::RestoreArgs),
    /// What is wrong now, from the running service
    Status(status::StatusArgs),
    /// Acknowledge an incident, or the problem of a host or service
    Ack(ack::AckArgs),
    /// Plan, list or cancel windows in which nobody is paged
    Downtime(downtime::DowntimeArgs),
    /// Write into the timeline of an incident
    Comment(comment::CommentArgs),
    /// Try the channels of a contact
    Notify(notify::NotifyArgs),
    /// Add people, set passwords, make tokens
    User(user::UserArgs),
    /// Measure Stentor itself
    Bench(bench::BenchArgs),
    /// Print shell completions
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
}

/// Reads the command line and runs it; the exit status is that of the contracts: 0 done, 1 no or wrong input, 2 wrong use.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Bench(args) = &cli.command {
        // Benchmarks bring a runtime of their own.
        return bench::run(args, &mut io::stdout()).map_or_else(|error| fail(&error), ExitCode::from);
    }
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("the runtime cannot start")),
    };
    let outcome = runtime.block_on(run(cli.command));
    // Blocking look-ups that hang (a dead NFS mount) must not hold the exit up.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<u8> {
    let mut out = io::stdout();
    match command {
        Command::Serve(args) => serve::run(&args, &mut out).await,
        Command::Demo(args) => demo::run(args, &mut out).await,
        Command::Agent(args) => agent::run(&args).await,
        Command::Bench(args) => bench::run(&args, &mut out),
        Command::Verify(args) => verify::run(&args, &mut out),
        Command::Import(args) => import::run(&args, &mut out),
        Command::Test(args) => test::run(&args, &mut out),
        Command::Matrix(args) => matrix::run(&args, &mut out),
        Command::Check(args) => check::run(&args, &mut out).await,
        Command::Probe(args) => probe::run(&args, &mut out).await,
        Command::Discover(args) => discover::run(&args, &mut out).await,
        Command::Runbook(args) => runbook::run(&args, &mut io::stdin().lock(), &mut out).await,
        Command::Drill(args) => drill::run(&args, &Clock::Machine, &mut out).await,
        Command::Replay(args) => replay::run(&args, &mut out),
        Command::Classify(args) => classify::run(args, &mut out).map(|()| 0),
        Command::WhatIf(args) => what_if::run(&args, &mut out).await,
        Command::Debug(args) => debug::run(&args, &Clock::Machine, &mut io::stdin().lock(), &mut out),
        Command::Backup(args) => backup::backup(&args, &crate::clock::Clock::Machine, &mut out).await,
        Command::Restore(args) => backup::restore(&args, &mut out),
        Command::Status(args) => status::run(&args, &mut out).await,
        Command::Ack(args) => ack::run(&args, &Clock::Machine, &mut out).await,
        Command::Downtime(args) => downtime::run(&args, &Clock::Machine, &mut out).await,
        Command::Comment(args) => comment::run(&args, &mut out).await,
        Command::Notify(args) => notify::run(&args, &mut out).await,
        Command::User(args) => user::run(&args, &mut out).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "stentor", &mut out);
            Ok(0)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut out)?;
            out.flush()?;
            Ok(0)
        }
    }
}

/// A pipe that closed early (`| head`) is nobody's error.
#[allow(clippy::print_stderr, reason = "messages for people go to standard error")]
fn fail(error: &anyhow::Error) -> ExitCode {
    let closed = error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe));
    if closed {
        return ExitCode::SUCCESS;
    }
    eprintln!("stentor: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_on_the_page_and_no_other() {
        let page = include_str!("../../docs/command-line.md");
        let rows: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("| `stentor ")?.split('`').next()).collect();
        let mut shown = rows.clone();
        shown.sort_unstable();
        let cli = Cli::command();
        let mut known: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        known.sort_unstable();
        assert_eq!(shown, known);
    }
}
