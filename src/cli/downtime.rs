//! `stentor downtime`: plans, lists and cancels windows in which nobody is paged.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
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
    /// Only the host itself, not its services
    #[arg(long)]
    pub host_only: bool,
    #[command(flatten)]
    pub client: ClientArgs,
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
    let length: Span = text.parse().with_context(|| format!("--for {text} cannot be read"))?;
    if length < Span::from_secs(1) {
        bail!("--for must be at least 1s");
    }
    let start = args.start.as_deref().map(|text| until(text, clock.now())).transpose()?;
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
    let window = client.post("/downtimes", &body).await?;
    let (id, start, end) = (field(&window, "id"), field(&window, "start"), field(&window, "end"));
    writeln!(out, "downtime {id} on {} from {start} to {end}", target(&window))?;
    writeln!(out, "cancel it with `stentor downtime cancel {id}`")?;
    Ok(0)
}
