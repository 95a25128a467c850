//! `stentor drill`: what was restored on purpose, when, and how long it took.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use stentor_core::catalog::Platform;
use stentor_core::{Span, Timestamp};
use stentor_wire::drill::{Drill, Records};

use crate::clock::Clock;
use crate::config;
use crate::config::finding::suggest;
use crate::probes::drill::FILE;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stentor drill record --cell eucalyptus/clc/server --rto 2h --rpo 24h --by anna
  stentor drill record --runbook rb-euca-full-recovery --failed --note \"no space for the dump\" --by anna
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
    /// Who did it
    #[arg(long, value_name = "NAME")]
    pub by: String,
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
    /// File of the records
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Configuration file, for the packs it adds; without it, the packs that Stentor brings
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

fn parse_length(text: &str) -> Result<u64, String> {
    let span = if text == "0" { Span::ZERO } else { text.parse::<Span>().map_err(|error| error.to_string())? };
    u64::try_from(span.as_millis() / 1000).map_err(|_| format!("`{text}` is less than nothing"))
}

/// # Errors
/// There is no such cell or runbook, the time cannot be, or the file cannot be read or written.
pub fn run(args: &DrillArgs, clock: &Clock, out: &mut dyn Write) -> anyhow::Result<u8> {
    match &args.what {
        What::Record(args) => record(args, clock, out)?,
        What::List(args) => list(args, out)?,
    }
    Ok(0)
}

fn platforms(source: &Source) -> anyhow::Result<Vec<Arc<Platform>>> {
    let loaded = match &source.config {
        Some(path) => config::load(path),
        None => config::load_text("", Path::new("stentor.toml")),
    };
    let loaded = loaded.map_err(|found| anyhow::anyhow!("{found}"))?;
    Ok(loaded.packs.iter().map(|pack| Arc::clone(&pack.platform)).collect())
}

fn record(args: &RecordArgs, clock: &Clock, out: &mut dyn Write) -> anyhow::Result<()> {
    let platforms = platforms(&args.source)?;
    let of = subject(args, &platforms)?;
    let now = clock.now();
    let at = match &args.at {
        None => now,
        Some(text) => Timestamp::from_rfc3339(text).with_context(|| format!("`{text}` is no time of RFC 3339"))?,
    };
    if at > now {
        bail!("{} has not come yet", at.to_rfc3339());
    }
    if args.by.trim().is_empty() {
        bail!("--by needs a name");
    }
    let drill = Drill {
        of,
        at_s: at.as_secs(),
        by: args.by.clone(),
        passed: !args.failed,
        rto_s: args.rto,
        rpo_s: args.rpo,
        note: args.note.clone(),
    };
    append(&args.source.file, &drill.line()).with_context(|| format!("cannot write {}", args.source.file.display()))?;
    let figures = drill.figures();
    let ended = if drill.passed { "passed" } else { "failed" };
    writeln!(out, "{}: {ended} {} by {} {figures}", drill.of, day(drill.at_s), drill.by)?;
    Ok(())
}

/// On the disk before anybody is told so; a line that a crash tore off is ended first.
fn append(file: &Path, line: &str) -> std::io::Result<()> {
    let torn = std::fs::read(file).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
    let mut opened = OpenOptions::new().create(true).append(true).open(file)?;
    let text = if torn { format!("\n{line}") } else { line.to_owned() };
    opened.write_all(text.as_bytes())?;
    opened.sync_all()
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

fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let file = &args.source.file;
    let records = match std::fs::read_to_string(file) {
        Ok(text) => Records::parse(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => Records::default(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
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
        writeln!(out, "{} lines of {} are no records", records.broken, file.display())?;
    }
    Ok(())
}

/// `2026-11-01`
fn day(at_s: i64) -> String {
    Timestamp::from_secs(at_s).to_rfc3339().chars().take(10).collect()
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
        run(&line.drill, &clock(), &mut out)?;
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
