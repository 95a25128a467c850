//! `stentor verify`: reads everything the service would read and prints every mistake, then what there is.

mod nagios;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use stentor_core::design::{self, Unchecked};

use crate::config::nagios_files::{self, Kind};
use crate::config::{self, Diagnostics, Loaded, example, holes};

/// Would the service start with this configuration? Prints every error and warning, never only the first.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// One JSON object a line: every finding, then the counts
    #[arg(long)]
    pub json: bool,
    /// Print the effective objects of a Nagios configuration as its objects.precache has them, and nothing else
    #[arg(long)]
    pub dump_objects: bool,
}

/// 0 = it would start, 1 = it would not.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    // A file that cannot be read is reported with all else by the reader.
    if matches!(nagios_files::kind_of(&args.config), Ok(Kind::Nagios)) {
        return nagios::run(args, out);
    }
    ensure!(!args.dump_objects, "--dump-objects prints the objects of a Nagios configuration, and this is none");
    let (found, counts, unchecked) = match config::load(&args.config) {
        Ok(loaded) => {
            let counts = counts(&loaded);
            let unchecked = design::unchecked(&loaded.catalog);
            let mut found = loaded.warnings;
            example::run_all(&loaded.packs, &mut found);
            holes::warn(&loaded.packs, &mut found);
            found.sort();
            (found, counts, unchecked)
        }
        Err(found) => (found, BTreeMap::new(), Vec::new()),
    };
    if args.json {
        print_json(&found, &counts, &unchecked, out)?;
    } else {
        print_text(&found, &counts, &unchecked, args, out)?;
    }
    out.flush()?;
    Ok(u8::from(found.errors() > 0))
}

/// Objects by type.
fn counts(loaded: &Loaded) -> BTreeMap<&'static str, usize> {
    let catalog = &loaded.catalog;
    let of_packs = |count: fn(&config::Pack) -> usize| loaded.packs.iter().map(count).sum::<usize>();
    BTreeMap::from([
        ("zones", catalog.zones.len()),
        ("clouds", catalog.clouds.len()),
        ("hosts", catalog.hosts.len()),
        ("components", catalog.components.len()),
        ("services", catalog.services.len()),
        ("checks", catalog.checks.len()),
        ("timeperiods", catalog.timeperiods.len()),
        ("contacts", catalog.contacts.len()),
        ("routes", catalog.routes.len()),
        ("downtimes", catalog.downtimes.len()),
        ("packs", loaded.packs.len()),
        ("pack checks", of_packs(|pack| pack.checks.len())),
        ("cells", of_packs(|pack| pack.platform.cells.len())),
        ("runbooks", of_packs(|pack| pack.platform.runbooks.len())),
    ])
}

fn print_json(
    found: &Diagnostics,
    counts: &BTreeMap<&str, usize>,
    unchecked: &[Unchecked],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    for line in found.json_lines() {
        writeln!(out, "{line}")?;
    }
    let line = |one: &Unchecked| json!({ "lint": one.lint.id(), "target": one.target, "needs": one.needs });
    let unchecked: Vec<serde_json::Value> = unchecked.iter().map(line).collect();
    let (errors, warnings) = (found.errors(), found.warnings());
    let counts = json!({ "counts": counts, "errors": errors, "warnings": warnings, "not_checked": unchecked });
    writeln!(out, "{counts}")?;
    Ok(())
}

/// Findings go to standard error, what there is to standard output.
fn print_text(
    found: &Diagnostics,
    counts: &BTreeMap<&str, usize>,
    unchecked: &[Unchecked],
    args: &VerifyArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut complaints = std::io::stderr().lock();
    write!(complaints, "{found}")?;
    for (kind, count) in counts.iter().filter(|(_, count)| **count > 0) {
        writeln!(out, "{count:>7} {kind}")?;
    }
    for one in unchecked {
        let target = &one.target;
        writeln!(out, "not checked: {} of {target}: needs {}", one.lint.code(), one.needs)?;
    }
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let sums = format!("{}, {}", plural(found.errors(), "error"), plural(found.warnings(), "warning"));
    let verdict = if found.errors() == 0 { "is good" } else { "would not start" };
    writeln!(out, "{} {verdict}: {sums}", args.config.display())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(text: &str) -> (u8, Vec<serde_json::Value>) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("stentor.toml");
        std::fs::write(&path, text).expect("write");
        let mut out = Vec::new();
        let code = run(&VerifyArgs { config: path, json: true, dump_objects: false }, &mut out).expect("runs");
        let text = String::from_utf8(out).expect("text");
        (code, text.lines().map(|line| serde_json::from_str(line).expect(line)).collect())
    }

    #[test]
    fn a_good_configuration_gives_counts_and_zero() {
        let (code, lines) = verify(include_str!("../../config.example.toml"));
        assert_eq!((code, lines.len()), (0, 1), "{lines:?}");
        assert_eq!(lines[0]["counts"]["hosts"], 1);
        assert!(lines[0]["counts"]["cells"].as_u64() >= Some(72), "{lines:?}");
    }

    #[test]
    fn every_mistake_is_a_line_and_the_answer_is_one() {
        let (code, lines) = verify("[server]\nlisten = 1\n[[host]]\nname = \"a\"\nadress = \"x\"\n");
        assert_eq!((code, lines.len()), (1, 3));
        assert_eq!((&lines[1]["code"], lines[1]["line"].as_u64()), (&json!("unknown-key"), Some(5)));
        assert_eq!(lines[2]["errors"], 2);
    }

    #[test]
    fn warnings_alone_are_good() {
        let (code, lines) = verify("[server]\nlisten = \"0.0.0.0:1\"\n");
        assert_eq!((code, lines.last().expect("counts")["warnings"].as_u64()), (0, Some(1)));
    }
}
