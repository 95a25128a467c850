//! `stentor replay`: recorded inputs through the engine with virtual time.

use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use stentor_core::catalog::Catalog;
use stentor_core::model::ObjectKey;
use stentor_core::{Timestamp, timeperiod};

use crate::config;
use crate::replay::{Explain, Options, replay};

/// A recording is held in memory, because what it says of deliveries is needed from the start.
const EVENTS_BYTES_MAX: u64 = 1 << 30;

const HELP: &str = "One JSON object a line, `at` (epoch seconds, never decreasing) and one of
  result    {\"host\":H,\"service\":D,\"code\":0..3,\"output\":TEXT,\"active\":true}; no service = the host's own check;
            instead of `code`, `facts` as a native probe reports them, for the rules to judge
  command   an external command: \"ACKNOWLEDGE_SVC_PROBLEM;web01;http;1;1;0;ann;on it\"
  signal    {\"host\":H,\"component\":C,\"sig\":\"power\",\"value\":\"off\"}
  delivery  {\"notification\":ID,\"outcome\":\"accepted\"|\"failed\"}; without it a notification counts as accepted
  show      true: print every object now

Prints `state`, `incident`, `notification`, `suppressed`, `log`, `object` and `error` lines; the same inputs give the
same bytes. Notifications are those of incidents, and of hosts and services of a Nagios configuration.

Example:
  stentor replay --config stentor.toml --events night.jsonl --until 2026-11-21T18:00:00Z --explain web01";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct ReplayArgs {
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Recorded inputs, one JSON object a line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// Let time go on to here after the last input: epoch seconds or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Add what each stage of the policy said, for everything or for one host or service
    #[arg(long, value_name = "HOST[/SERVICE]", num_args = 0..=1)]
    pub explain: Option<Option<String>>,
    /// Print `check_due` for each check that the service would start; none is run
    #[arg(long)]
    pub schedule: bool,
    /// IANA time zone, where the configuration names none
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
}

/// 0 if every line was understood, 1 if not.
///
/// # Errors
/// Configuration or recording cannot be read, or the output cannot be written.
pub fn run(args: &ReplayArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let zone = args.tz.as_deref().map(|zone| zone.trim_start_matches(':'));
    if let Some(zone) = zone {
        ensure!(timeperiod::zone(zone).is_some(), "there is no time zone `{zone}`");
    }
    let loaded = config::load_in_zone(&args.config, zone).map_err(|found| anyhow::anyhow!("{found}"))?;
    let catalog = loaded.catalog;
    let events = read(&args.events)?;
    let options = Options {
        until: args.until.as_deref().map(instant).transpose()?,
        explain: match &args.explain {
            None => Explain::Nothing,
            Some(None) => Explain::Everything,
            Some(Some(text)) => Explain::About(object(&catalog, text)?),
        },
        schedule: args.schedule,
    };
    let clean = replay(&catalog, &events, &options, &mut BufWriter::new(out)).context("cannot print")?;
    Ok(u8::from(!clean))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let name = path.display();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(EVENTS_BYTES_MAX).read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot open `{name}`"))?;
        file.take(EVENTS_BYTES_MAX).read_to_end(&mut bytes).with_context(|| format!("cannot read `{name}`"))?;
    }
    // A line that is not UTF-8 is then refused as a line, and the others count.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Epoch seconds or RFC 3339.
pub(super) fn instant(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
        && seconds >= 0.0
    {
        return Ok(Timestamp::from_millis((seconds * 1000.0).round() as i64));
    }
    Timestamp::from_rfc3339(text).ok().with_context(|| format!("`{text}` is neither epoch seconds nor RFC 3339"))
}

/// `HOST` or `HOST/SERVICE`; both names may hold slashes.
fn object(catalog: &Catalog, text: &str) -> anyhow::Result<ObjectKey> {
    let splits = text.match_indices('/').map(|(at, _)| (&text[..at], Some(&text[at + 1..])));
    let candidates = std::iter::once((text, None)).chain(splits);
    for (host, service) in candidates {
        let key = ObjectKey { host: host.into(), service: service.map(Arc::from) };
        if catalog.object_id(&key).is_some() {
            return Ok(key);
        }
    }
    bail!("the configuration has no host or service `{text}`")
}
