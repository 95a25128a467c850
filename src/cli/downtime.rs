//! `stentor downtime`: plans, lists and cancels windows in which nobody is paged.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use stentor_core::Span;

use super::client::{Client, ClientArgs, field, until};
use crate::clock::Clock;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct DowntimeArgs {
    #[command(subcommand)]
    pub command: Option<DowntimeCommand>,
    /// HOST or HOST/SERVICE
    #[arg(value_name = "WHAT", required = true)]
    pub what: Option<String>,
    /// Length: 2h, 1h30m
    #[arg(long = "for", value_name = "LENGTH", required = true)]
    pub length: Option<String>,
    /// Start: 30m from now, or an instant in RFC 3339; now if left out
    #[arg(long, value_name = "TIME")]
    pub start: Option<String>,
    #[arg(long, default_value = "")]
    pub comment: String,
    /// Flexible: begins when the object fails within this time from the start, and then lasts as --for says
    #[arg(long, value_name = "LENGTH")]
    pub within: Option<String>,
    /// Begins and ends with the downtime of that id
    #[arg(long = "with", value_name = "ID")]
    pub trigger: Option<u64>,
    /// Also for all hosts behind the host: the same window, or one that begins and ends with the host's
    #[arg(long, value_enum, value_name = "HOW")]
    pub children: Option<Children>,
    /// Only the host itself, not its services
    #[arg(long, conflicts_with = "services_only")]
    pub host_only: bool,
    /// A window for each service of the host, none for the host itself
    #[arg(long, conflicts_with = "children")]
    pub services_only: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Windows of the hosts behind a host.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Children {
    Same,
    Triggered,
}

impl Children {
    fn word(self) -> &'static str {
        match self {
            Children::Same => "same",
            Children::Triggered => "triggered",
        }
    }
}

#[derive(Subcommand, Debug)]
pub enum DowntimeCommand {
    /// Print the planned and running windows
    List {
        /// Print JSON, one window a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Cancel a window by its id
    Cancel {
        id: u64,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// # Errors
/// There is no such host, service or window, or the service cannot be reached.
pub async fn run(args: &DowntimeArgs, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    match &args.command {
        Some(DowntimeCommand::List { json, client }) => list(&Client::new(client)?, *json, out).await,
        Some(DowntimeCommand::Cancel { id, client }) => {
            Client::new(client)?.delete(&format!("/downtimes/{id}")).await?;
            writeln!(out, "downtime {id} cancelled")?;
            Ok(0)
        }
        None => plan(args, clock, out).await,
    }
}

async fn list(client: &Client, as_json: bool, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let windows = client.all("/downtimes", "").await?;
    if !as_json && windows.is_empty() {
        writeln!(out, "no downtime is planned")?;
    }
    for window in &windows {
        if as_json {
            writeln!(out, "{window}")?;
            continue;
        }
        let active = if window["active"] == Value::Bool(true) { "active " } else { "planned" };
        writeln!(
            out,
            "{:>4}  {active}  {} to {}{}  {}  {}: {}",
            field(window, "id"),
            field(window, "start"),
            field(window, "end"),
            terms(window),
            target(window),
            field(window, "author"),
            field(window, "comment")
        )?;
    }
    Ok(0)
}

/// What the times of a window do not say: that a failure starts it, or another window.
fn terms(window: &Value) -> String {
    let mut terms = String::new();
    if window["fixed"] == Value::Bool(false) {
        let length = Span::from_secs(window["duration"].as_i64().unwrap_or(0));
        terms = format!(" (flexible, {length} from a failure)");
    }
    if let Some(id) = window["triggered_by"].as_u64() {
        terms.push_str(&format!(" (with downtime {id})"));
    }
    if let Some(name) = window["recurring"].as_str() {
        terms.push_str(&format!(" (recurring: {name})"));
    }
    terms
}

fn target(window: &Value) -> String {
    let target = &window["target"];
    let host = field(target, "host");
    if target["service"].is_null() { host.into_owned() } else { format!("{host}/{}", field(target, "service")) }
}

async fn plan(args: &DowntimeArgs, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let what = args.what.as_deref().context("name a host or a service: HOST or HOST/SERVICE")?;
    let text = args.length.as_deref().context("give the length with --for, such as --for 2h")?;
    let length = length(text, "--for")?;
    let within = args.within.as_deref().map(|text| self::length(text, "--within")).transpose()?;
    let now = clock.now();
    let start = args.start.as_deref().map(|text| until(text, now)).transpose()?;
    let client = Client::new(&args.client)?;
    let object = client.object(what).await?;
    let mut body = json!({
        "host": object.host,
        "duration": length.as_millis() / 1000,
        "comment": args.comment,
        "services": !args.host_only,
    });
    if let Some(service) = &object.service {
        body["service"] = json!(service);
    }
    if let Some(start) = start {
        body["start"] = json!(start.to_rfc3339());
    }
    if let Some(within) = within {
        body["fixed"] = json!(false);
        body["end"] = json!((start.unwrap_or(now) + within).to_rfc3339());
    }
    if let Some(id) = args.trigger {
        body["triggered_by"] = json!(id);
    }
    if let Some(children) = args.children {
        body["children"] = json!(children.word());
    }
    if args.services_only {
        body["services_only"] = json!(true);
    }
    let planned = client.post("/downtimes", &body).await?;
    let windows = planned["items"].as_array().cloned().unwrap_or_else(|| vec![planned]);
    for window in &windows {
        let (id, start, end) = (field(window, "id"), field(window, "start"), field(window, "end"));
        writeln!(out, "downtime {id} on {} from {start} to {end}{}", target(window), terms(window))?;
    }
    if let Some(window) = windows.first() {
        writeln!(out, "cancel it with `stentor downtime cancel {}`", field(window, "id"))?;
    }
    Ok(0)
}

fn length(text: &str, option: &str) -> anyhow::Result<Span> {
    let length: Span = text.parse().with_context(|| format!("{option} {text} cannot be read"))?;
    if length < Span::from_secs(1) {
        bail!("{option} must be at least 1s");
    }
    Ok(length)
}
