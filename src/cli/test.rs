//! `stentor test`: unit tests of a configuration, for an administrator's own CI.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use stentor_core::catalog::Catalog;

use crate::config;
use crate::replay::expect::{Mistake, Outcome, parse, run as run_test};

const HELP: &str = "A test file is TOML:
  config = \"stentor.toml\"                     # relative to this file; --config replaces it
  start = \"2026-01-05T00:00:00Z\"              # this unless given

  [[test]]
  name = \"the third refusal pages the NOC once\"
  [[test.step]]
  at = \"1m\"                                   # since the start
  every = \"1m\"                                # with `times`: again and again
  times = 3
  result = { host = \"web1\", service = \"http\", code = 2, output = \"refused\" }
  [[test.step]]
  at = \"5m\"
  expect = [{ host = \"web1\", service = \"http\", state = \"CRITICAL\", kind = \"HARD\", attempt = 3 }]
  pages = [{ contact = \"noc\", notification = \"PROBLEM\" }]   # these and no others since the last `pages`

A step has `result`, `command` or `signal` (as for `stentor replay`), and `expect` (objects as they are now), `pages` or
`incidents` (exactly these, each with the keys that matter; the keys are those that `stentor replay` prints).

Exit status: 0 all tests pass, 1 one failed or a file is wrong.";

/// Do these results at these times give these states, pages and incidents? Needs no running service and no network.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct TestArgs {
    /// Test files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Configuration to test instead of the one that each file names
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a test
    #[arg(long)]
    pub json: bool,
}

/// 0 if every test of every file passes.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &TestArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let mut catalogs = BTreeMap::new();
    let (mut passed, mut failed) = (0_u32, 0_u32);
    for path in &args.files {
        match outcomes(path, args, &mut catalogs) {
            Ok(outcomes) => {
                for outcome in outcomes {
                    if outcome.failures.is_empty() {
                        passed += 1
                    } else {
                        failed += 1
                    }
                    print(path, &outcome, args.json, out)?;
                }
            }
            Err(error) => {
                failed += 1;
                print(path, &Outcome { name: String::new(), failures: vec![format!("{error:#}")] }, args.json, out)?;
            }
        }
    }
    if !args.json {
        writeln!(out, "{passed} passed, {failed} failed")?;
    }
    out.flush()?;
    Ok(u8::from(failed > 0))
}

/// Each configuration is read once, however many files test it.
type Catalogs = BTreeMap<PathBuf, Arc<Catalog>>;

fn outcomes(path: &Path, args: &TestArgs, catalogs: &mut Catalogs) -> anyhow::Result<Vec<Outcome>> {
    let text = std::fs::read_to_string(path).context("cannot be read")?;
    let wrong = |mistake: &Mistake| anyhow::anyhow!("{}", shown(path, &text, mistake));
    let file = parse(&text).map_err(|mistake| wrong(&mistake))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = match (&args.config, &file.config) {
        (Some(given), _) => given.clone(),
        (None, Some(named)) => folder.join(named),
        (None, None) => anyhow::bail!("names no `config`, and there is no --config"),
    };
    let catalog = match catalogs.get(&config) {
        Some(catalog) => Arc::clone(catalog),
        None => {
            let loaded = config::load(&config).map_err(|found| anyhow::anyhow!("{found}"))?;
            Arc::clone(catalogs.entry(config).or_insert(loaded.catalog))
        }
    };
    file.tests.iter().map(|test| run_test(&catalog, &file, test).map_err(|mistake| wrong(&mistake))).collect()
}

fn shown(path: &Path, text: &str, mistake: &Mistake) -> String {
    let Some(span) = mistake.span.clone() else { return mistake.message.clone() };
    let path = path.display().to_string();
    let snippet = Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(span));
    Renderer::plain().render(&[Level::ERROR.primary_title(&*mistake.message).element(snippet)])
}

fn print(path: &Path, outcome: &Outcome, as_json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let passed = outcome.failures.is_empty();
    if as_json {
        let line = json!({
            "file": path.display().to_string(),
            "test": outcome.name,
            "passed": passed,
            "failures": outcome.failures,
        });
        writeln!(out, "{line}")?;
        return Ok(());
    }
    let name = if outcome.name.is_empty() { "the file" } else { &outcome.name };
    writeln!(out, "{} {}: {name}", if passed { "pass" } else { "FAIL" }, path.display())?;
    for failure in &outcome.failures {
        writeln!(out, "  {}", failure.replace('\n', "\n  "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(files: &[(&str, &str)]) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut out = Vec::new();
        let args = TestArgs { files: vec![folder.path().join("web.test.toml")], config: None, json: false };
        let code = run(&args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap().replace(&format!("{}/", folder.path().display()), ""))
    }

    const CONFIG: &str = "[[host]]\nname = \"web1\"\naddress = \"192.0.2.1\"\n";

    #[test]
    fn each_test_is_named_with_what_came_otherwise() {
        let tests = r#"
            config = "c.toml"
            [[test]]
            name = "up"
            [[test.step]]
            at = "0s"
            result = { host = "web1", code = 0, output = "fine" }
            expect = [{ host = "web1", state = "UP" }]
            [[test]]
            name = "down"
            [[test.step]]
            at = "0s"
            expect = [{ host = "web1", state = "DOWN" }]
        "#;
        let (code, out) = tested(&[("c.toml", CONFIG), ("web.test.toml", tests)]);
        assert_eq!(code, 1, "{out}");
        let expected = "pass web.test.toml: up\nFAIL web.test.toml: down\n  \
                        after 0s: web1 has state \"PENDING\", expected \"DOWN\"\n1 passed, 1 failed\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn a_wrong_file_is_shown_with_its_place() {
        let tests = "config = \"c.toml\"\n[[test]]\nname = \"t\"\n[[test.step]]\nat = \"soon\"\nexpect = []\n";
        let (code, out) = tested(&[("c.toml", CONFIG), ("web.test.toml", tests)]);
        assert_eq!(code, 1);
        assert!(out.contains("`soon` is no duration"), "{out}");
        assert!(out.contains("web.test.toml:5:6"), "{out}");
    }
}
