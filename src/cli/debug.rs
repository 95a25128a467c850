//! `stentor debug`: shows what single pieces of the machinery make of an input. Prints JSON only.

use std::io::{Read, Write};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stentor_wire::nagios::range::{AlertOn, Range};
use stentor_wire::nagios::{output, perfdata};

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
/// Standard input or output failed.
pub fn run(args: &DebugArgs, stdin: &mut dyn Read, out: &mut dyn Write) -> anyhow::Result<u8> {
    match &args.what {
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
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: DebugArgs,
    }

    fn answer(words: &[&str], stdin: &str) -> (u8, String) {
        let cli = Cli::try_parse_from(["debug"].iter().chain(words)).expect("words are a command line");
        let mut out = Vec::new();
        let status = run(&cli.args, &mut stdin.as_bytes(), &mut out).expect("memory never fails");
        (status, String::from_utf8(out).expect("JSON is UTF-8"))
    }

    #[test]
    fn range_prints_the_contract() {
        for (words, expected) in [
            (["range", "10", "11"], r#"{"alert":true,"end":10,"inside":false,"start":0}"#),
            (["range", "~:-95.99", "-100"], r#"{"alert":false,"end":-95.99,"inside":false,"start":"-inf"}"#),
            (["range", "-7:", "-8"], r#"{"alert":true,"end":"inf","inside":false,"start":-7}"#),
            (["range", "@10:20", "20"], r#"{"alert":true,"end":20,"inside":true,"start":10}"#),
        ] {
            let (status, text) = answer(&words, "");
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("one JSON object");
            assert_eq!((status, read(&text)), (DONE, read(expected)), "{words:?}");
        }
    }

    #[test]
    fn a_range_that_is_none_exits_1_and_prints_nothing() {
        assert_eq!(answer(&["range", "2:1", "1"], ""), (INVALID, String::new()));
        assert_eq!(answer(&["range", "10", "nan"], ""), (INVALID, String::new()));
    }

    #[test]
    fn output_prints_parts_and_items() {
        let (status, text) = answer(&["output"], "OK - fine|'a b'=1s;2\nlong\n");
        let read: Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(status, DONE);
        assert_eq!(
            read,
            json!({"output": "OK - fine", "long_output": "long", "perfdata": "'a b'=1s;2", "items": [
                {"label": "a b", "value": "1", "uom": "s", "warn": "2", "crit": "", "min": "", "max": ""}]})
        );
    }

    #[test]
    fn items_are_null_where_a_strict_parser_refuses() {
        let (_, text) = answer(&["output"], "OK|a=1,5");
        assert!(serde_json::from_str::<Value>(&text).expect("one JSON object")["items"].is_null(), "{text}");
    }
}
