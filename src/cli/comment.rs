//! `stentor comment`: a line in an incident's timeline.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::ack::incident_number;
use super::client::{Client, ClientArgs};

#[derive(Args, Debug)]
pub struct CommentArgs {
    /// INC-17
    #[arg(value_name = "INCIDENT")]
    pub incident: String,
    #[arg(required = true, value_name = "TEXT")]
    pub text: Vec<String>,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// # Errors
/// There is no such open incident, or the service cannot be reached.
pub async fn run(args: &CommentArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let number = incident_number(&args.incident)
        .or_else(|| args.incident.parse().ok())
        .with_context(|| format!("`{}` is no incident; write INC-17", args.incident))?;
    let client = Client::new(&args.client)?;
    client.post(&format!("/incidents/{number}/notes"), &json!({"text": args.text.join(" ")})).await?;
    writeln!(out, "noted on INC-{number}")?;
    Ok(0)
}
