//! `stentor demo`: the service over a simulated cloud, and the commands that break and mend it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::settings::{Log, LogFormat};
use crate::demo::{self, Demo};
use crate::telemetry;

#[derive(Args, Debug)]
pub struct DemoArgs {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    /// Where pages and API listen; port 0 = any free one
    #[arg(long, default_value = "127.0.0.1:8461")]
    listen: SocketAddr,
    /// Keep state in this folder; without it a temporary one is used and removed
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Divides every interval and hold-down
    #[arg(long, default_value_t = 10.0)]
    pace: f64,
    /// Simulate on 127.NET.0.0/16, so that several demos fit on one machine
    #[arg(long, value_name = "NET", default_value_t = demo::plan::Net::USUAL.0, value_parser = clap::value_parser!(u8).range(1..))]
    net: u8,
    /// Print one JSON object when ready, and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum DemoCommand {
    /// Every fault that can be injected, and what must be diagnosed
    List(Control),
    /// The faults that are active
    State(Control),
    /// Break something: `demo inject clc/software`
    Inject {
        name: String,
        /// Return when its incident is open, and print that
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        control: Control,
    },
    /// Mend it
    Heal {
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Mend everything
        #[arg(long)]
        all: bool,
        /// Return when its incident is resolved
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        control: Control,
    },
}

#[derive(Args, Debug)]
struct Control {
    /// Base URL of the demo; default is the one that runs on this machine
    #[arg(long)]
    url: Option<String>,
    /// File with its API token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// # Errors
/// The demo cannot start, or the running one cannot be reached.
pub async fn run(args: DemoArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    match args.command {
        None => serve(args, out).await,
        Some(DemoCommand::List(control)) => show(&control, "faults", out).await,
        Some(DemoCommand::State(control)) => show(&control, "state", out).await,
        Some(DemoCommand::Inject { name, wait, control }) => act(&control, &format!("inject/{name}"), wait, out).await,
        Some(DemoCommand::Heal { name: Some(name), wait, control, all: false }) => {
            act(&control, &format!("heal/{name}"), wait, out).await
        }
        Some(DemoCommand::Heal { wait, control, .. }) => act(&control, "heal-all", wait, out).await,
    }
}

async fn serve(args: DemoArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let level = if args.json { "error" } else { "warn" };
    telemetry::start(&Log { level: level.to_owned(), format: LogFormat::Text });
    let (temporary, kept);
    let folder: &Path = match &args.state {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
            // Its configuration names files in it, and what is relative there begins at that folder.
            kept = folder.canonicalize().with_context(|| format!("cannot find `{}`", folder.display()))?;
            &kept
        }
        None => {
            temporary = tempfile::Builder::new().prefix("stentor-demo-").tempdir().context("no temporary folder")?;
            temporary.path()
        }
    };
    let demo =
        demo::start(&demo::Wish { listen: args.listen, pace: args.pace, net: demo::plan::Net(args.net) }, folder)
            .await?;
    let note = RunningNote::write(&demo)?;
    if args.json {
        let control = format!("{}demo", demo.service.url);
        let ready = json!({
            "ready": true, "url": demo.service.url, "user": demo.user, "password": demo.password,
            "token": demo.token, "smtp": demo.smtp.to_string(), "control": control,
        });
        writeln!(out, "{ready}")?;
    } else {
        greet(&demo, args.pace, out)?;
    }
    out.flush().context("standard output is closed")?;
    demo.service.greeted().await?;
    let mut term = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    drop(note);
    demo.stop().await;
    Ok(0)
}

fn greet(demo: &Demo, pace: f64, out: &mut dyn Write) -> anyhow::Result<()> {
    let password = demo.password.as_deref().unwrap_or("(as before)");
    writeln!(
        out,
        "A simulated Eucalyptus cloud of {} hosts runs on this machine, at {pace} times the usual pace.\n\n\
         \x20 pages     {}\n  user      {}\n  password  {password}\n  API token {}\n\n\
         Break something:   stentor demo inject clc/software\n\
         Everything there is to break:  stentor demo list\n\
         Mend it:           stentor demo heal --all\n\
         What was mailed:   {}demo/mails\n",
        demo::plan::HOSTS.len(),
        demo.service.url,
        demo.user,
        demo.token,
        demo.service.url
    )?;
    Ok(())
}

/// Where the running demo says how it is reached; removed when it ends.
struct RunningNote(PathBuf);

impl RunningNote {
    fn path() -> PathBuf {
        let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        folder.join(format!("stentor-demo-{}.json", rustix::process::getuid().as_raw()))
    }

    fn write(demo: &Demo) -> anyhow::Result<RunningNote> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = RunningNote::path();
        let text = json!({ "url": demo.service.url, "token": demo.token }).to_string();
        // A leftover of a demo that was killed is replaced; the new file is ours alone to read.
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(RunningNote(path))
    }
}

impl Drop for RunningNote {
    fn drop(&mut self) {
        // If another demo has replaced it since, that one's note goes too; it still answers to --url.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Base URL and token of the demo meant.
fn reach(control: &Control) -> anyhow::Result<(String, String)> {
    if let (Some(url), Some(file)) = (&control.url, &control.token_file) {
        let token = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        return Ok((format!("{}/", url.trim_end_matches('/')), token.trim().to_owned()));
    }
    if control.url.is_some() || control.token_file.is_some() {
        anyhow::bail!("--url and --token-file belong together");
    }
    let path = RunningNote::path();
    let text = std::fs::read_to_string(&path).context(
        "no demo runs on this machine; start one with `stentor demo`, or name one with --url and --token-file",
    )?;
    let note: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("`{}` is damaged", path.display()))?;
    let field = |name: &str| {
        note.get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
            .with_context(|| format!("`{name}` is missing"))
    };
    Ok((field("url")?, field("token")?))
}

async fn show(control: &Control, what: &str, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (url, token) = reach(control)?;
    let response = reqwest::Client::new()
        .get(format!("{url}demo/{what}"))
        .bearer_auth(token)
        .send()
        .await
        .with_context(|| format!("the demo at {url} does not answer"))?
        .error_for_status()?;
    for line in response.json::<Vec<serde_json::Value>>().await?.iter() {
        print(line, control.json, out)?;
    }
    Ok(0)
}

async fn act(control: &Control, path: &str, wait: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (url, token) = reach(control)?;
    let wait = if wait { "?wait=1" } else { "" };
    let response = reqwest::Client::new()
        .post(format!("{url}demo/{path}{wait}"))
        .bearer_auth(token)
        .send()
        .await
        .with_context(|| format!("the demo at {url} does not answer"))?;
    let status = response.status();
    let answer: serde_json::Value = response.json().await.context("the demo's answer cannot be read")?;
    if status == reqwest::StatusCode::CONFLICT {
        anyhow::bail!("it is so already");
    }
    if !status.is_success() {
        let detail = answer.get("detail").and_then(|detail| detail.as_str()).unwrap_or("refused");
        anyhow::bail!("{detail}");
    }
    match answer.as_array() {
        Some(lines) => {
            for line in lines.iter().filter(|line| line["active"] == true || control.json) {
                print(line, control.json, out)?;
            }
        }
        None => print(&answer, control.json, out)?,
    }
    Ok(0)
}

fn print(line: &serde_json::Value, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if json {
        writeln!(out, "{line}")?;
        return Ok(());
    }
    let text = |key: &str| line.get(key).and_then(|value| value.as_str()).unwrap_or("-").to_owned();
    if line.get("number").is_some() {
        writeln!(
            out,
            "INC-{}  {}  {} ({}), cell {}, runbook {}",
            line["number"],
            text("title"),
            text("class"),
            text("subtype"),
            text("cell"),
            text("runbook")
        )?;
        return Ok(());
    }
    let active = if line["active"] == true { "ACTIVE" } else { "" };
    writeln!(out, "{:<20} {:<10} {:<7} {}", text("name"), text("target"), active, text("says"))?;
    Ok(())
}
