//! `stentor debug`: shows what single pieces of the machinery make of an input. Prints JSON only.

mod macros;
mod preset;
mod timeperiod;

use std::io::{Read, Write};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stentor_wire::nagios::range::{AlertOn, Range};
use stentor_wire::nagios::{output, perfdata};

use crate::clock::Clock;

/// Exit status of a question that was answered.
const DONE: u8 = 0;
/// Exit status of an input that is not valid.
const INVALID: u8 = 1;

/// Most plugin output that is read: far more than any result keeps.
const OUTPUT_READ_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub struct DebugArgs {
    #[command(subcommand)]
    pub what: DebugCommand,
}

#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Splits plugin output (standard input) into text, long text and perfdata items.
    Output,
    /// Says whether VALUE breaks the threshold RANGE.
    Range(RangeArgs),
    /// Says whether an instant lies in a timeperiod, and when the next one does.
    Timeperiod(timeperiod::TimeperiodArgs),
    /// Fills in the macros of a text.
    Macro(macros::MacroArgs),
}

#[derive(Debug, Args)]
pub struct RangeArgs {
    /// A threshold range: 10, 10:, ~:10, 10:20, @10:20.
    #[arg(allow_hyphen_values = true)]
    pub range: String,
    #[arg(allow_hyphen_values = true)]
    pub value: f64,
}

/// Answers one question; the result is the exit status.
///
/// # Errors
/// Standard input or output failed, or a configuration cannot be read.
pub fn run(args: &DebugArgs, clock: &Clock, stdin: &mut dyn Read, out: &mut dyn Write) -> anyhow::Result<u8> {
    match &args.what {
        DebugCommand::Timeperiod(args) => timeperiod::run(args, out).map(|()| DONE),
        DebugCommand::Macro(args) => macros::run(args, clock.now(), out).map(|()| DONE),
        DebugCommand::Output => run_output(stdin, out),
        DebugCommand::Range(args) => run_range(args, out),
    }
}

fn run_output(stdin: &mut dyn Read, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut bytes = Vec::new();
    stdin.take(OUTPUT_READ_MAX).read_to_end(&mut bytes).context("cannot read standard input")?;
    let parsed = output::parse(&bytes);
    let items = perfdata::parse_strict(&parsed.perfdata).ok();
    let answer =
        json!({"output": parsed.short, "long_output": parsed.long, "perfdata": parsed.perfdata, "items": items});
    writeln!(out, "{answer}").context("cannot write the answer")?;
    Ok(DONE)
}

fn run_range(args: &RangeArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let range = match args.range.parse::<Range>() {
        Ok(range) => range,
        Err(refusal) => {
            eprintln!("{refusal}");
            return Ok(INVALID);
        }
    };
    if args.value.is_nan() {
        eprintln!("the value is not a number");
        return Ok(INVALID);
    }
    let answer = json!({
        "start": number(range.start),
        "end": number(range.end),
        "inside": range.alert == AlertOn::Inside,
        "alert": range.alerts(args.value),
    });
    writeln!(out, "{answer}").context("cannot write the answer")?;
    Ok(DONE)
}

/// JSON has no infinities; whole numbers are printed without a fraction.
fn number(value: f64) -> Value {
    /// Whole numbers up to here are exact in a double.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value == f64::INFINITY {
        json!("inf")
    } else if value == f64::NEG_INFINITY {
        json!("-inf")
    } else if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        json!(value as i64)
    } else {
        json!(value)
    }
}

#[cfg(test)]
mod tests;
