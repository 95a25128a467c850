//! `stentor notify test`: a real message to a contact, to see whether its channels work.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, ClientArgs, field, shown};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  stentor notify test noc --channel email")]
pub struct NotifyArgs {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Subcommand, Debug)]
pub enum What {
    /// Send a message that says it is a test, and tell what became of it; 0 if every channel took it
    Test(TestArgs),
}

#[derive(Args, Debug)]
pub struct TestArgs {
    /// Name of the contact
    pub contact: String,
    /// Only this channel: email, webhook
    #[arg(long, value_name = "CHANNEL")]
    pub channel: Option<String>,
    /// Print the answer of the API
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// # Errors
/// There is no such contact or channel, or the service cannot be reached.
pub async fn run(args: &NotifyArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let What::Test(args) = &args.what;
    let client = Client::new(&args.client)?;
    let body = json!({ "contact": args.contact, "channel": args.channel });
    let answer = client.post("/notify/test", &body).await?;
    if args.json {
        writeln!(out, "{answer}")?;
    } else {
        print(&args.contact, &answer, out)?;
    }
    Ok(status(&answer))
}

/// 0 only if every message was accepted: one that is still under way has not arrived.
fn status(answer: &Value) -> u8 {
    let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    u8::from(results.is_empty() || results.iter().any(|result| result["outcome"] != "accepted"))
}

fn print(contact: &str, answer: &Value, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    for result in answer["results"].as_array().into_iter().flatten() {
        let text = match result["outcome"].as_str() {
            Some("pending") => "not sent yet; its outcome will be in the history".into(),
            _ => field(result, "text"),
        };
        writeln!(out, "{:<8} {} by {}: {text}", field(result, "outcome"), shown(contact), field(result, "channel"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_that_were_all_taken_are_a_success() {
        let with = |outcomes: &[&str]| {
            let results: Vec<Value> =
                outcomes.iter().map(|o| json!({"outcome": o, "channel": "email", "text": "250 ok"})).collect();
            json!({ "results": results })
        };
        for (outcomes, expected) in
            [(&["accepted", "accepted"][..], 0), (&["accepted", "failed"], 1), (&["pending"], 1), (&[], 1)]
        {
            assert_eq!(status(&with(outcomes)), expected, "{outcomes:?}");
        }
        let mut out = Vec::new();
        print("noc", &with(&["accepted", "pending"]), &mut out).expect("memory never fails");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("accepted noc by email: 250 ok") && text.contains("not sent yet"), "{text}");
    }
}
