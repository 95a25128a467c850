//! `stentor debug timeperiod`: whether an instant lies in a timeperiod, and when the next one does.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value as Json, json};
use stentor_core::catalog::Catalog;
use stentor_core::id::TimeperiodId;
use stentor_core::{Timestamp, timeperiod};

use crate::cli::replay::instant;
use crate::config::{self, finding::suggest};
use crate::replay::output::at as number;

#[derive(Debug, Args)]
pub struct TimeperiodArgs {
    /// Configuration file: Stentor's or a nagios.cfg
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Name of the timeperiod
    pub name: String,
    /// Instant to ask about: epoch seconds or RFC 3339
    #[arg(long, value_name = "EPOCH", allow_hyphen_values = true)]
    pub at: String,
    /// IANA time zone, where the configuration names none
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
}

/// Prints `{"valid":…,"next_valid":…}`.
///
/// # Errors
/// The configuration cannot be read, or there is no such timeperiod or zone.
pub fn run(args: &TimeperiodArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let zone = args.tz.as_deref().map(|zone| zone.trim_start_matches(':'));
    if let Some(zone) = zone {
        ensure!(timeperiod::zone(zone).is_some(), "there is no time zone `{zone}`");
    }
    let at = instant(&args.at)?;
    let loaded = config::load_in_zone(&args.config, zone).map_err(|found| anyhow::anyhow!("{found}"))?;
    writeln!(out, "{}", answer(&loaded.catalog, &args.name, at)?).context("cannot write the answer")
}

/// The answer for one instant.
///
/// # Errors
/// There is no timeperiod of that name.
pub fn answer(catalog: &Catalog, name: &str, at: Timestamp) -> anyhow::Result<Json> {
    let row = catalog.timeperiods.iter().position(|period| *period.name == *name).with_context(|| {
        let help = suggest(name, catalog.timeperiods.iter().map(|period| &*period.name));
        format!("the configuration has no timeperiod `{name}`; {help}")
    })?;
    let id = TimeperiodId::from_index(row);
    let next = catalog.next_valid(id, at).map(number);
    Ok(json!({ "valid": catalog.in_period(id, at), "next_valid": next }))
}
