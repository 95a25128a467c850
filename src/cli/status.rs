//! `stentor status`: what is wrong now, from the running service.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, ClientArgs, field};

#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Only what this filter selects, in the language of the pages: `zone:one is:open`
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
}

/// # Errors
/// The service cannot be reached or refuses.
pub async fn run(args: &StatusArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let filter = args.filter.join(" ");
    let core = client.get("/core").await?;
    let counts = client.get("/counts").await?;
    let incidents = client.all("/incidents", format!("is:open {filter}").trim()).await?;
    // Without a filter the incidents tell the whole story; with one, its rows are asked for.
    let services = if filter.is_empty() { Vec::new() } else { client.all("/services", &filter).await? };
    if args.json {
        let answer = json!({"core": core["items"], "counts": counts, "incidents": incidents, "services": services});
        writeln!(out, "{answer}")?;
        return Ok(0);
    }
    write_text(out, &core, &counts, &incidents, &services)?;
    Ok(0)
}

fn write_text(
    out: &mut (dyn Write + Send),
    core: &Value,
    counts: &Value,
    incidents: &[Value],
    services: &[Value],
) -> std::io::Result<()> {
    if let Some(why) = counts["degraded"].as_str() {
        writeln!(out, "WARNING: Stentor cannot keep what happens: {}", super::client::shown(why))?;
    }
    for cloud in core["items"].as_array().into_iter().flatten() {
        let because: Vec<&str> = cloud["because"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let lost = if cloud["redundancy"] == "lost" { ", no spare left" } else { "" };
        let why = if because.is_empty() { String::new() } else { format!(": {}", because.join("; ")) };
        writeln!(out, "Core {}: {}{lost}{}", field(cloud, "cloud"), field(cloud, "state"), super::client::shown(&why))?;
    }
    writeln!(out, "Open incidents: {}", incidents.len())?;
    for incident in incidents {
        let owner = match &incident["owner"] {
            Value::Null => "nobody has it".to_owned(),
            _ => format!("{} has it", field(incident, "owner")),
        };
        writeln!(
            out,
            "  INC-{}  {:8}  {}  ({owner}, since {})",
            field(incident, "number"),
            field(incident, "severity"),
            field(incident, "title"),
            field(incident, "opened_at")
        )?;
    }
    for (kind, states) in [
        ("Hosts", &["up", "down", "unreachable", "pending"][..]),
        ("Services", &["ok", "warning", "critical", "unknown", "pending"][..]),
    ] {
        let of = &counts[kind.to_lowercase().as_str()];
        let texts: Vec<String> = states.iter().map(|state| format!("{} {state}", of[state])).collect();
        writeln!(out, "{kind}: {}", texts.join(", "))?;
    }
    for service in services {
        writeln!(
            out,
            "  {:8}  {}/{}  {}",
            field(service, "state"),
            field(service, "host"),
            field(service, "service"),
            field(service, "output")
        )?;
    }
    Ok(())
}
