//! `stentor runbook status|step|approve|finish|abort|audit`: single actions on runs, and the audit of all of them.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use stentor_core::Timestamp;
use stentor_core::runbook::AuditEntry;

use super::super::client::{Client, ClientArgs, field, shown};
use super::run::print_step;
use crate::store::audit::{AuditRecord, Broken, Chain, Hash, LOST, hex, unhex};

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// RUN-3; without it, every run that is under way
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// One JSON object a run
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StepAction {
    Begin,
    Done,
    Fail,
    Skip,
    Rollback,
}

#[derive(Args, Debug)]
pub struct StepArgs {
    #[arg(value_name = "RUN")]
    pub run: String,
    #[arg(value_name = "STEP")]
    pub step: u16,
    pub action: StepAction,
    /// What was done or seen; why it is skipped
    #[arg(long, default_value = "")]
    pub note: String,
    /// The attempt that is meant, from 1; an old one is refused
    #[arg(long)]
    pub attempt: Option<u32>,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Args, Debug)]
pub struct ApproveArgs {
    #[arg(value_name = "RUN")]
    pub run: String,
    #[arg(value_name = "STEP")]
    pub step: u16,
    /// The attempt that is meant, from 1; an old one is refused
    #[arg(long)]
    pub attempt: Option<u32>,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Args, Debug)]
pub struct EndArgs {
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Args, Debug)]
pub struct AbortArgs {
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Why
    #[arg(long, visible_alias = "note")]
    pub why: String,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Args, Debug)]
pub struct AuditArgs {
    /// Only check that no record was changed, put in, taken out or cut off at the end
    #[arg(long)]
    pub verify: bool,
    /// One JSON object a record
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// # Errors
/// As every client command.
pub async fn status(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let runs = match &args.run {
        Some(run) => vec![client.get(&format!("/runs/{}", number(run)?)).await?],
        None => {
            let answer = client.get("/runs?live=true&limit=1000").await?;
            answer["items"].as_array().cloned().unwrap_or_default()
        }
    };
    for run in &runs {
        if args.json {
            writeln!(out, "{run}")?;
            continue;
        }
        head(run, out)?;
        if args.run.is_some() {
            for step in run["steps"].as_array().into_iter().flatten() {
                print_step(step, out)?;
            }
            for missing in run["missing"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                writeln!(out, "Missing: {}", shown(missing))?;
            }
        }
    }
    if runs.is_empty() && !args.json {
        writeln!(out, "no run is under way")?;
    }
    Ok(0)
}

fn head(run: &Json, out: &mut dyn Write) -> anyhow::Result<()> {
    let incident = run["incident"].as_u64().map_or_else(String::new, |number| format!(" for INC-{number}"));
    let verification = &run["verification"];
    writeln!(
        out,
        "{}  {}  {}{incident} on {}; verification {} of {} well",
        field(run, "name"),
        field(run, "phase"),
        field(run, "runbook"),
        field(run, "target"),
        verification["well"],
        verification["intervals"],
    )?;
    Ok(())
}

/// # Errors
/// As every client command.
pub async fn step(args: &StepArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (word, body) = match args.action {
        StepAction::Begin => ("begin", json!({"attempt": args.attempt})),
        StepAction::Done => ("done", json!({"attempt": args.attempt, "note": args.note})),
        StepAction::Fail => ("fail", json!({"attempt": args.attempt, "note": args.note})),
        StepAction::Skip => ("skip", json!({"reason": args.note})),
        StepAction::Rollback => ("rollback", json!({"note": args.note})),
    };
    post(&args.client, &args.run, &format!("/steps/{}/{word}", args.step), &body, Some(args.step), out).await
}

/// # Errors
/// As every client command.
pub async fn approve(args: &ApproveArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let body = json!({"attempt": args.attempt});
    post(&args.client, &args.run, &format!("/steps/{}/approve", args.step), &body, Some(args.step), out).await
}

/// # Errors
/// As every client command.
pub async fn finish(args: &EndArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    post(&args.client, &args.run, "/finish", &json!({}), None, out).await
}

/// # Errors
/// As every client command.
pub async fn abort(args: &AbortArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    post(&args.client, &args.run, "/abort", &json!({"why": args.why}), None, out).await
}

async fn post(
    client: &ClientArgs,
    run: &str,
    path: &str,
    body: &Json,
    step: Option<u16>,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let answer = Client::new(client)?.post(&format!("/runs/{}{path}", number(run)?), body).await?;
    head(&answer, out)?;
    if let Some(step) = step {
        print_step(&answer["steps"][usize::from(step).saturating_sub(1)], out)?;
    }
    Ok(0)
}

/// # Errors
/// The audit cannot be read. A chain that does not hold is no error, but code 2.
pub async fn audit(args: &AuditArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let (mut after, mut proof) = (0, Proof::default());
    loop {
        let page = client.get(&format!("/audit?after={after}&limit=1000")).await?;
        if after == 0 {
            proof.anchor = anchor(&page["anchor"])?;
        }
        for item in page["items"].as_array().into_iter().flatten() {
            if args.json && !args.verify {
                writeln!(out, "{item}")?;
            } else if !args.verify {
                print_record(item, out)?;
            }
            let record = record(item)?;
            if args.verify
                && let Err(broken) = proof.take(&record)
            {
                writeln!(out, "BROKEN: {broken}")?;
                print_record(item, out)?;
                return Ok(2);
            }
            after = record.number;
        }
        if page["next"].is_null() {
            break;
        }
    }
    if args.verify { proof.end(out) } else { Ok(0) }
}

/// What is known of the chain while it is read.
#[derive(Default)]
struct Proof {
    chain: Chain,
    /// The end as the service keeps it outside the database.
    anchor: Option<Chain>,
    /// Hash of the record that is anchored.
    at_anchor: Option<Hash>,
    /// Number and words of each record that tells of a loss.
    lost: Vec<(u64, Arc<str>)>,
}

impl Proof {
    fn take(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        self.chain.take(record)?;
        if self.anchor.as_ref().is_some_and(|anchor| anchor.newest == record.number) {
            self.at_anchor = Some(record.hash);
        }
        if &*record.entry.action == LOST {
            self.lost.push((record.number, Arc::clone(&record.entry.text)));
        }
        Ok(())
    }

    /// What is to be said when all of it was read: 2 if it is not whole.
    fn end(&self, out: &mut dyn Write) -> anyhow::Result<u8> {
        let Proof { chain, anchor, at_anchor, lost } = self;
        writeln!(out, "{} records, each follows the one before it; the newest is {}", chain.newest, hex(&chain.hash))?;
        for (number, text) in lost {
            writeln!(out, "LOST: {} (told by record {number})", shown(text))?;
        }
        let reached = anchor.as_ref().map_or(Ok(()), |anchor| chain.reaches(anchor, *at_anchor));
        match (&reached, anchor) {
            (Err(broken), _) => writeln!(out, "BROKEN: {broken}")?,
            (Ok(()), Some(anchor)) => writeln!(out, "It reaches its anchor, record {}", anchor.newest)?,
            (Ok(()), None) => writeln!(out, "It has no anchor: whether its end was cut off is not known")?,
        }
        Ok(if reached.is_ok() && lost.is_empty() { 0 } else { 2 })
    }
}

fn anchor(told: &Json) -> anyhow::Result<Option<Chain>> {
    let Some(newest) = told["number"].as_u64() else { return Ok(None) };
    let hash = unhex(told["hash"].as_str().unwrap_or_default()).context("`hash` of the anchor is no hash")?;
    Ok(Some(Chain { newest, hash }))
}

fn print_record(item: &Json, out: &mut dyn Write) -> anyhow::Result<()> {
    let run = item["run"].as_u64().map_or_else(|| "-".to_owned(), |run| format!("RUN-{run}"));
    let step = item["step"].as_u64().map_or_else(String::new, |step| format!(" step {step}"));
    let how = if item["done"] == true { "" } else { "REFUSED: " };
    let (at, who, action) = (field(item, "at"), field(item, "who"), field(item, "action"));
    writeln!(
        out,
        "{} {at} {who} {action} {run}{step} [{}] {how}{}",
        item["number"],
        field(item, "target"),
        field(item, "text")
    )?;
    Ok(())
}

fn record(item: &Json) -> anyhow::Result<AuditRecord> {
    let text = |key: &str| item[key].as_str().unwrap_or_default().into();
    let hash = |key: &str| {
        unhex(item[key].as_str().unwrap_or_default()).with_context(|| format!("`{key}` of a record is no hash"))
    };
    let entry = AuditEntry {
        at: Timestamp::from_rfc3339(item["at"].as_str().unwrap_or_default())?,
        who: text("who"),
        action: text("action"),
        run: item["run"].as_u64(),
        incident: item["incident"].as_u64(),
        runbook: text("runbook"),
        step: item["step"].as_u64().and_then(|step| u16::try_from(step).ok()),
        target: text("target"),
        done: item["done"] == true,
        text: text("text"),
    };
    let number = item["number"].as_u64().context("a record has no number")?;
    Ok(AuditRecord { number, entry, previous: hash("previous")?, hash: hash("hash")? })
}

/// `3` or `RUN-3`.
fn number(text: &str) -> anyhow::Result<u64> {
    let upper = text.to_ascii_uppercase();
    match upper.strip_prefix("RUN-").unwrap_or(&upper).parse() {
        Ok(number) => Ok(number),
        Err(_) => bail!("`{text}` is no run; write RUN-3 as `stentor runbook status` prints them"),
    }
}
