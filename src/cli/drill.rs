//! `stentor drill`: what was restored on purpose, when, and how long it took.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use stentor_core::catalog::Platform;
use stentor_core::{Span, Timestamp};
use stentor_wire::drill::Drill;

use super::client::{Client, ClientArgs, field};
use crate::clock::Clock;
use crate::config;
use crate::config::finding::suggest;
use crate::drills::{self, Book};
use crate::probes::drill::FILE;

/// Of a time in RFC 3339.
const DAY_CHARS: usize = 10;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stentor drill record --token-file token --cell eucalyptus/clc/server --rto 2h --rpo 24h
  stentor drill record --file drills.jsonl --runbook rb-euca-full-recovery --failed --note \"no space for the dump\" --by anna
  stentor drill list --all")]
pub struct DrillArgs {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Subcommand, Debug)]
pub enum What {
    /// Keep what a drill measured
    Record(RecordArgs),
    /// The last drill of each cell and runbook
    List(ListArgs),
}

#[derive(Args, Debug)]
pub struct RecordArgs {
    /// What failed and was restored: eucalyptus/clc/server
    #[arg(long, value_name = "CELL", required_unless_present = "runbook", conflicts_with = "runbook")]
    pub cell: Option<String>,
    /// The runbook that was carried out, where it is no cell's
    #[arg(long, value_name = "ID")]
    pub runbook: Option<String>,
    /// How long it took until it was verified well: 12m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_length)]
    pub rto: Option<u64>,
    /// How much of the newest data was lost, as time: 0, 24h
    #[arg(long, value_name = "TIME", value_parser = parse_length)]
    pub rpo: Option<u64>,
    /// Who did it; by default whose token it is
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// When it ended, RFC 3339; now if missing
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// It could not be restored
    #[arg(long)]
    pub failed: bool,
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    #[command(flatten)]
    pub source: Source,
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Also the cells that were never drilled
    #[arg(long)]
    pub all: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub source: Source,
}

#[derive(Args, Debug)]
pub struct Source {
    /// File of the records, where no service is asked; /var/lib/stentor/drills.jsonl without a token
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub client: ClientArgs,
    /// Configuration file, for the packs it adds; without it, the packs that Stentor brings
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

fn parse_length(text: &str) -> Result<u64, String> {
    let span = if text == "0" { Span::ZERO } else { text.parse::<Span>().map_err(|error| error.to_string())? };
    u64::try_from(span.as_millis() / 1000).map_err(|_| format!("`{text}` is less than nothing"))
}

/// # Errors
/// There is no such cell or runbook, the time cannot be, the service cannot be reached or refuses, or the file cannot be
/// read or written.
pub async fn run(args: &DrillArgs, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    match &args.what {
        What::Record(args) => record(args, clock, out).await?,
        What::List(args) => list(args, out).await?,
    }
    Ok(0)
}

/// Where the records are kept.
enum Place {
    Service(Client),
    File,
}

impl Source {
    /// The service, for whoever has a token and names no file.
    fn place(&self) -> anyhow::Result<Place> {
        if self.file.is_some() || self.client.token_file.is_none() {
            return Ok(Place::File);
        }
        Client::new(&self.client).map(Place::Service)
    }

    fn book(&self) -> Book {
        Book::new(self.file.clone().unwrap_or_else(|| FILE.into()))
    }
}

fn platforms(source: &Source) -> anyhow::Result<Vec<Arc<Platform>>> {
    let loaded = match &source.config {
        Some(path) => config::load(path),
        None => config::load_text("", Path::new("stentor.toml")),
    };
    let loaded = loaded.map_err(|found| anyhow::anyhow!("{found}"))?;
    Ok(loaded.packs.iter().map(|pack| Arc::clone(&pack.platform)).collect())
}

async fn record(args: &RecordArgs, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    if let Place::Service(client) = args.source.place()? {
        let body = json!({
            "cell": args.cell, "runbook": args.runbook, "passed": !args.failed, "rto_s": args.rto, "rpo_s": args.rpo,
            "at": args.at, "by": args.by, "note": args.note,
        });
        let item = client.post("/drills", &body).await?;
        writeln!(out, "{}: {}", field(&item, "of"), said(&item["last"]))?;
        return Ok(());
    }
    let platforms = platforms(&args.source)?;
    let of = subject(args, &platforms)?;
    let now = clock.now();
    let at = match &args.at {
        None => now,
        Some(text) => Timestamp::from_rfc3339(text).with_context(|| format!("`{text}` is no time of RFC 3339"))?,
    };
    let drill = Drill {
        of,
        at_s: at.as_secs(),
        by: args.by.clone().unwrap_or_default(),
        passed: !args.failed,
        rto_s: args.rto,
        rpo_s: args.rpo,
        note: args.note.clone(),
    };
    drills::refuse(&drill, now).map_err(|why| anyhow::anyhow!("{why}"))?;
    let book = args.source.book();
    book.append(&drill).with_context(|| format!("cannot write {}", book.path().display()))?;
    let figures = drill.figures();
    let ended = if drill.passed { "passed" } else { "failed" };
    writeln!(out, "{}: {ended} {} by {} {figures}", drill.of, day(drill.at_s), drill.by)?;
    Ok(())
}

/// `passed 2026-11-21 by anna RTO 12 min`, of a record as the service tells it.
fn said(record: &Json) -> String {
    let ended = if record["passed"] == true { "passed" } else { "failed" };
    let at: String = field(record, "at").chars().take(DAY_CHARS).collect();
    format!("{ended} {at} by {} {}", field(record, "by"), field(record, "figures")).trim_end().to_owned()
}

/// The cell or runbook, if a pack has it.
fn subject(args: &RecordArgs, platforms: &[Arc<Platform>]) -> anyhow::Result<String> {
    let cells = platforms.iter().flat_map(|platform| platform.cells.iter().map(|cell| cell.key.to_string()));
    let runbooks = platforms.iter().flat_map(|platform| platform.runbooks.iter().map(|r| r.id.to_string()));
    let (wanted, known, word): (&str, Vec<String>, &str) = match (&args.cell, &args.runbook) {
        (Some(cell), _) => (cell, cells.collect(), "cell"),
        (None, Some(runbook)) => (runbook, runbooks.collect(), "runbook"),
        (None, None) => bail!("say --cell or --runbook"),
    };
    if known.iter().any(|name| name == wanted) {
        return Ok(wanted.to_owned());
    }
    bail!("there is no {word} `{wanted}`; {}", suggest(wanted, known.iter().map(String::as_str)))
}

async fn list(args: &ListArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    if let Place::Service(client) = args.source.place()? {
        let list = client.get(&format!("/drills?all={}", args.all)).await?;
        for item in list["items"].as_array().into_iter().flatten() {
            if args.json {
                writeln!(out, "{item}")?;
            } else {
                writeln!(out, "{:<40} {}", field(item, "of"), standing(item))?;
            }
        }
        return Ok(());
    }
    let book = args.source.book();
    let records = book.read().with_context(|| format!("cannot read {}", book.path().display()))?;
    let mut names: Vec<String> = records.drills.iter().map(|drill| drill.of.clone()).collect();
    if args.all {
        let platforms = platforms(&args.source)?;
        names.extend(platforms.iter().flat_map(|platform| platform.cells.iter().map(|cell| cell.key.to_string())));
    }
    names.sort();
    names.dedup();
    for name in names {
        let (last, passed) = (records.newest(&name), records.newest_passed(&name));
        if args.json {
            writeln!(out, "{}", json!({ "of": name, "last": last, "verified_by": passed }))?;
            continue;
        }
        let verified = match passed {
            Some(drill) => format!("verified by drill {} {}", day(drill.at_s), drill.figures()),
            None => "unverified".to_owned(),
        };
        let failed = last.filter(|drill| !drill.passed).map(|drill| format!("; failed {}", day(drill.at_s)));
        writeln!(out, "{name:<40} {}{}", verified.trim_end(), failed.unwrap_or_default())?;
    }
    if records.broken > 0 {
        writeln!(out, "{} lines of {} are no records", records.broken, book.path().display())?;
    }
    Ok(())
}

/// `verified by drill 2026-11-01 RTO 2 h; due 2027-01-30, cloud team`, of an item as the service tells it.
fn standing(item: &Json) -> String {
    let day = |at: &Json| at.as_str().unwrap_or_default().chars().take(DAY_CHARS).collect::<String>();
    let mut text = match &item["verified_by"] {
        Json::Null => "unverified".to_owned(),
        drill => format!("verified by drill {} {}", day(&drill["at"]), field(drill, "figures")).trim_end().to_owned(),
    };
    if item["last"]["passed"] == false {
        text.push_str(&format!("; failed {}", day(&item["last"]["at"])));
    }
    match (&item["due_at"], item["overdue"] == true) {
        (Json::Null, _) => {}
        (_, true) => text.push_str("; OVERDUE"),
        (at, false) => text.push_str(&format!("; due {}", day(at))),
    }
    let owner = field(item, "owner");
    if owner.is_empty() { text } else { format!("{text}, {owner}") }
}

/// `2026-11-01`
fn day(at_s: i64) -> String {
    Timestamp::from_secs(at_s).to_rfc3339().chars().take(DAY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        drill: DrillArgs,
    }

    /// 2026-11-21 02:00 UTC.
    fn clock() -> Clock {
        Clock::manual(Timestamp::from_secs(1_795_226_400))
    }

    fn drill(file: &Path, words: &[&str]) -> anyhow::Result<String> {
        let path = file.to_string_lossy();
        let line = ["drill"].iter().chain(words).chain(&["--file", &path]).copied().collect::<Vec<_>>();
        let line = Line::try_parse_from(line)?;
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(run(&line.drill, &clock(), &mut out))?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_drill_confirms_its_cell() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("drills.jsonl");
        let clc = "eucalyptus/clc/server";
        let said =
            drill(&file, &["record", "--cell", clc, "--rto", "12m", "--rpo", "0", "--by", "anna"]).expect("kept");
        assert_eq!(said, "eucalyptus/clc/server: passed 2026-11-21 by anna RTO 12 min, RPO 0\n");
        // A crash in the middle of a line.
        std::fs::OpenOptions::new().append(true).open(&file).expect("there").write_all(b"{\"of\":").expect("torn");
        let later = ["record", "--cell", clc, "--failed", "--by", "ben", "--at", "2026-11-21T01:00:00Z"];
        drill(&file, &later).expect("kept");
        let listed = drill(&file, &["list"]).expect("listed");
        assert!(listed.contains("verified by drill 2026-11-21 RTO 12 min, RPO 0"), "{listed}");
        assert!(listed.contains("1 lines of"), "{listed}");
        let all = drill(&file, &["list", "--all"]).expect("listed");
        assert!(
            all.lines().any(|line| line.starts_with("eucalyptus/nc/software") && line.ends_with("unverified")),
            "{all}"
        );
        let json = drill(&file, &["list", "--json"]).expect("listed");
        let row: serde_json::Value = serde_json::from_str(json.lines().next().expect("a line")).expect("json");
        assert_eq!(row["verified_by"]["rto_s"], 720);
    }

    #[test]
    fn what_no_pack_has_or_was_not_yet_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("drills.jsonl");
        for (words, why) in [
            (&["record", "--cell", "eucalyptus/clc/serve", "--by", "a"][..], "eucalyptus/clc/server"),
            (&["record", "--runbook", "rb-nothing", "--by", "a"], "no runbook"),
            (&["record", "--cell", "eucalyptus/clc/server", "--by", " "], "name"),
            (
                &["record", "--cell", "eucalyptus/clc/server", "--by", "a", "--at", "2030-01-01T00:00:00Z"],
                "not come yet",
            ),
            (&["record", "--cell", "eucalyptus/clc/server", "--by", "a", "--rto", "soon"], "soon"),
        ] {
            let refused = drill(&file, words).expect_err("refused").to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(!file.exists(), "nothing refused is written");
    }
}
