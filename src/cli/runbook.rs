//! `stentor runbook`: what to do about a failure, on a terminal that works while the pages do not.

mod act;
mod itself;
mod run;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use stentor_core::catalog::{Cell, Platform, Runbook, StepKind};

use crate::config;
use crate::config::finding::suggest;

/// Columns of text on a terminal.
const WIDTH: usize = 96;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stentor runbook list
  stentor runbook show eucalyptus/clc/software
  stentor runbook show rb-euca-clc-software --json
  stentor runbook run INC-17 --dry-run
  stentor runbook run INC-17
  stentor runbook approve RUN-3 4
  stentor runbook audit --verify")]
pub struct RunbookArgs {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Subcommand, Debug)]
pub enum What {
    /// Every runbook with the cells of the matrix it mends
    List {
        #[command(flatten)]
        source: Source,
    },
    /// One runbook with its steps and what is known about its cell
    Show {
        /// A cell such as eucalyptus/clc/software, or the id of a runbook
        #[arg(value_name = "CELL|RUNBOOK")]
        name: String,
        #[command(flatten)]
        source: Source,
    },
    /// Carry out the runbook of an incident, or a procedure
    Run(run::RunArgs),
    /// Runs that are under way, or one of them step by step
    Status(act::StatusArgs),
    /// One step of a run: begin, done, fail, skip, rollback
    Step(act::StepArgs),
    /// Agree, as the second person, to a step that asks for one
    Approve(act::ApproveArgs),
    /// End a run; refused until it is verified well
    Finish(act::EndArgs),
    /// Give a run up
    Abort(act::AbortArgs),
    /// Everything that was done and refused in runs; 2 if its chain does not hold
    Audit(act::AuditArgs),
}

#[derive(Args, Debug)]
pub struct Source {
    /// Configuration file, for the packs it adds; without it, the packs that Stentor brings
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a runbook
    #[arg(long)]
    pub json: bool,
}

/// # Errors
/// The configuration is wrong, there is no such runbook, or standard output is closed.
pub async fn run(args: &RunbookArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<u8> {
    match &args.what {
        What::List { .. } | What::Show { .. } => read(&args.what, out),
        What::Run(args) => run::run(args, input, out).await,
        What::Status(args) => act::status(args, out).await,
        What::Step(args) => act::step(args, out).await,
        What::Approve(args) => act::approve(args, out).await,
        What::Finish(args) => act::finish(args, out).await,
        What::Abort(args) => act::abort(args, out).await,
        What::Audit(args) => act::audit(args, out).await,
    }
}

/// What needs no service.
fn read(what: &What, out: &mut dyn Write) -> anyhow::Result<u8> {
    match what {
        What::List { source } => list(&platforms(source)?, source.json, out)?,
        What::Show { name, source } => show(&platforms(source)?, name, source.json, out)?,
        What::Run(_)
        | What::Status(_)
        | What::Step(_)
        | What::Approve(_)
        | What::Finish(_)
        | What::Abort(_)
        | What::Audit(_) => bail!("this asks a running service"),
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

fn cells_of<'a>(platform: &'a Platform, runbook: &Runbook) -> Vec<&'a Cell> {
    platform.cells.iter().filter(|cell| cell.runbook == runbook.id).collect()
}

fn list(platforms: &[Arc<Platform>], as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    for platform in platforms {
        for runbook in &platform.runbooks {
            let cells: Vec<String> = cells_of(platform, runbook).iter().map(|cell| cell.key.to_string()).collect();
            if as_json {
                let line = json!({
                    "id": runbook.id, "title": runbook.title, "platform": platform.key, "cells": cells,
                    "steps": runbook.steps.len(),
                });
                writeln!(out, "{line}")?;
            } else {
                let cells = if cells.is_empty() { &*platform.key } else { &cells.join(", ") };
                writeln!(out, "{:<28} {}  [{cells}]", runbook.id, runbook.title)?;
            }
        }
    }
    Ok(())
}

fn show(platforms: &[Arc<Platform>], name: &str, as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let (platform, runbook, cell) = find(platforms, name)?;
    let cells = match cell {
        Some(cell) => vec![cell],
        None => cells_of(platform, runbook),
    };
    if as_json {
        writeln!(out, "{}", json_of(platform, runbook, &cells))?;
        return Ok(());
    }
    writeln!(out, "{}  {}\n", runbook.id, runbook.title)?;
    for cell in cells {
        print_cell(cell, out)?;
    }
    for (number, step) in runbook.steps.iter().enumerate() {
        let head = format!("{}. {}", number + 1, word(step.kind));
        writeln!(out, "{head}")?;
        // What acts is told its condition before the command, what looks after it.
        let acts = matches!(step.kind, StepKind::Fix | StepKind::Contain);
        let (before, after) = if acts { (step.gate.as_ref(), None) } else { (None, step.gate.as_ref()) };
        let rows = [("", Some(&step.text)), ("When: ", step.when.as_ref()), ("Go on only if: ", before)];
        for (label, text) in rows.into_iter().filter_map(|(label, text)| Some((label, text?))) {
            print_block(out, "   ", &format!("{label}{text}"))?;
        }
        // Never wrapped: it is there to be copied.
        for line in step.command.iter().flat_map(|command| command.lines()) {
            writeln!(out, "     $ {line}")?;
        }
        let rows = [("Go on if: ", after), ("To undo: ", step.rollback.as_ref())];
        for (label, text) in rows.into_iter().filter_map(|(label, text)| Some((label, text?))) {
            print_block(out, "   ", &format!("{label}{text}"))?;
        }
        for line in itself::of_step(step) {
            print_block(out, "   ", &line)?;
        }
    }
    if let Some(line) = itself::of_end(runbook) {
        writeln!(out)?;
        print_block(out, "", &line)?;
    }
    Ok(())
}

fn find<'a>(
    platforms: &'a [Arc<Platform>],
    name: &str,
) -> anyhow::Result<(&'a Platform, &'a Runbook, Option<&'a Cell>)> {
    for platform in platforms {
        let cell = platform.cells.iter().find(|cell| cell.key.to_string() == name);
        let id = cell.map_or(name, |cell| &cell.runbook);
        if let Some(runbook) = platform.runbooks.iter().find(|runbook| &*runbook.id == id) {
            return Ok((platform, runbook, cell));
        }
        if let Some(cell) = cell {
            bail!("cell `{name}` names the runbook `{}`, which no pack has", cell.runbook);
        }
    }
    let all = platforms.iter().flat_map(|platform| {
        let cells = platform.cells.iter().map(|cell| cell.key.to_string());
        cells.chain(platform.runbooks.iter().map(|runbook| runbook.id.to_string()))
    });
    let names: Vec<String> = all.collect();
    let hint = suggest(name, names.iter().map(String::as_str));
    let hint = if hint.is_empty() { "`stentor runbook list` names them".to_owned() } else { hint };
    bail!("there is no cell or runbook `{name}`; {hint}")
}

const fn word(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Verify => "Verify",
        StepKind::Contain => "Contain",
        StepKind::Fix => "Fix",
        StepKind::Confirm => "Confirm",
        StepKind::Escalate => "Escalate",
    }
}

fn print_cell(cell: &Cell, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}", cell.key)?;
    let [told_by, verify, sources] = [&cell.told_by, &cell.verify, &cell.sources].map(|list| sentences(list));
    let founded = itself::founded(cell.founded);
    let rows = [
        ("Users notice: ", cell.behaviour.as_str()),
        ("Still works: ", &cell.still_works),
        ("Impact: ", &cell.impact),
        ("Told by: ", &told_by),
        ("Takes: ", &cell.expected_time),
        ("Data at risk: ", &cell.data_risk),
        ("Escalate: ", &cell.escalate),
        ("It is over when: ", &verify),
        ("Founded: ", founded),
        ("Sources: ", &sources),
    ];
    for (label, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        print_block(out, "  ", &format!("{label}{text}"))?;
    }
    writeln!(out)?;
    Ok(())
}

/// Each ends as a part of the line, whether it was written with a full stop or not.
fn sentences(list: &[String]) -> String {
    list.iter().map(|text| text.trim_end_matches('.')).collect::<Vec<_>>().join("; ")
}

/// Text broken between words; a word that is too long stands alone.
fn print_block(out: &mut dyn Write, indent: &str, text: &str) -> anyhow::Result<()> {
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                writeln!(out, "{indent}{line}")?;
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}

fn json_of(platform: &Platform, runbook: &Runbook, cells: &[&Cell]) -> Json {
    let cells: Vec<Json> = cells
        .iter()
        .map(|cell| {
            json!({
                "cell": cell.key.to_string(), "behaviour": cell.behaviour, "still_works": cell.still_works,
                "impact": cell.impact, "told_by": cell.told_by, "verify": cell.verify,
                "expected_time": cell.expected_time, "data_risk": cell.data_risk, "escalate": cell.escalate,
                "founded": cell.founded, "sources": cell.sources,
            })
        })
        .collect();
    json!({
        "id": runbook.id, "title": runbook.title, "platform": platform.key, "cells": cells, "steps": runbook.steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(what: What) -> anyhow::Result<String> {
        let mut out = Vec::new();
        read(&what, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    fn show(name: &str, json: bool) -> anyhow::Result<String> {
        answer(What::Show { name: name.to_owned(), source: Source { config: None, json } })
    }

    #[test]
    fn every_cell_of_the_packs_leads_to_a_runbook_with_steps() {
        let list = answer(What::List { source: Source { config: None, json: true } }).expect("list");
        let lines: Vec<Json> = list.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let cells: Vec<&str> =
            lines.iter().flat_map(|line| line["cells"].as_array().expect("cells")).filter_map(Json::as_str).collect();
        assert_eq!(cells.iter().filter(|cell| cell.starts_with("eucalyptus/")).count(), 30);
        // Read once: there are hundreds of cells.
        let platforms = platforms(&Source { config: None, json: true }).expect("packs");
        for cell in cells {
            let mut out = Vec::new();
            super::show(&platforms, cell, true, &mut out).expect("shown");
            let shown: Json = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(shown["cells"][0]["cell"], cell);
            assert!(!shown["steps"].as_array().expect("steps").is_empty(), "{cell}");
        }
    }

    #[test]
    fn a_cell_and_its_runbook_show_the_same_steps() {
        let cell = show("eucalyptus/clc/software", false).expect("cell");
        let book = show("rb-euca-clc-software", false).expect("runbook");
        assert_eq!(cell, book);
        assert!(cell.contains("1. ") && cell.contains("     $ ") && cell.contains("Users notice: "), "{cell}");
        assert!(cell.contains("Stentor waits for up to 15m"), "{cell}");
        assert!(cell.contains("Founded: inferred, nobody has confirmed it"), "{cell}");
        assert!(cell.contains("may be finished when clc/port, clc/db, clc/heartbeat"), "{cell}");
    }

    #[test]
    fn what_must_hold_is_said_before_what_is_to_be_typed() {
        let book = show("RB-PVE-quorum", false).expect("runbook");
        let at = |text: &str| book.find(text).unwrap_or_else(|| panic!("no `{text}` in {book}"));
        assert!(at("Every other node is OFF") < at("$ pvecm expected 1"), "{book}");
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let error = show("rb-euca-clc-sofware", false).expect_err("no such runbook").to_string();
        assert!(error.contains("rb-euca-clc-software"), "{error}");
    }
}
