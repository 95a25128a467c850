//! `stentor ack`: somebody has it.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::client::{Client, ClientArgs, field, until};
use crate::clock::Clock;

#[derive(Args, Debug)]
pub struct AckArgs {
    /// INC-17, HOST or HOST/SERVICE
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// What you are doing about it
    #[arg(long, default_value = "")]
    pub comment: String,
    /// End of the acknowledgement: 2h from now, or an instant in RFC 3339; at recovery if left out
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Keep it when the state changes, until recovery
    #[arg(long)]
    pub sticky: bool,
    /// Tell the contacts
    #[arg(long)]
    pub notify: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// # Errors
/// There is no such problem, or the service cannot be reached.
pub async fn run(args: &AckArgs, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let end = args.until.as_deref().map(|text| until(text, clock.now())).transpose()?;
    let client = Client::new(&args.client)?;
    let (path, name) = match incident_number(&args.what) {
        Some(number) => (format!("/incidents/{number}"), format!("INC-{number}")),
        None => {
            let object = client.object(&args.what).await?;
            (object.path(), object.name())
        }
    };
    let body = json!({
        "comment": args.comment,
        "until": end.map(stentor_core::Timestamp::to_rfc3339),
        "sticky": args.sticky,
        "notify": args.notify,
    });
    let answer = client.post(&format!("{path}/ack"), &body).await?;
    let end = match &answer["ack"]["until"] {
        serde_json::Value::String(end) => format!("until {end}"),
        _ => "until recovery".to_owned(),
    };
    writeln!(out, "{} acknowledged by {} {end}", super::client::shown(&name), field(&answer["ack"], "by"))?;
    Ok(0)
}

/// The number of `INC-17` (in any case); other words are names of hosts.
pub fn incident_number(text: &str) -> Option<u64> {
    let (prefix, digits) = text.split_at_checked(4)?;
    prefix.eq_ignore_ascii_case("INC-").then(|| digits.parse().ok())?
}
