//! `stentor bench journal`: synced turns on the disk that will hold them.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Directory to make on the disk to measure; it is removed afterwards
    #[arg(value_name = "DIR", default_value = "stentor-bench-journal")]
    pub dir: PathBuf,
}

pub(super) fn run(args: &JournalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    ensure!(!args.dir.exists(), "`{}` exists; name a directory that can be made and removed", args.dir.display());
    let figures = tokio::runtime::Handle::current().block_on(crate::journal::bench::run(&args.dir));
    let removed = std::fs::remove_dir_all(&args.dir);
    let figures = figures.context("the journal cannot be measured")?;
    let report = serde_json::json!({ "bench": "journal", "optimised": !cfg!(debug_assertions), "figures": figures });
    writeln!(out, "{report}")?;
    removed.with_context(|| format!("cannot remove `{}`", args.dir.display()))?;
    Ok(0)
}
