//! `stentor check NAME`: runs one native probe as a Nagios plugin: status line, perfdata, long output, exit 0..3.
//!
//! It is judged as a `[[service]]` of that probe without rules would be, by the usual rules of the packs ([`judge`]).

mod judge;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Args};
use serde_json::json;
use stentor_core::Span;
use stentor_core::catalog::Bmc;
use stentor_core::model::{Measurement, Observation, ServiceState, Value};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::{Diagnostics, pack, usual};
use crate::probes::local_view::LocalView;
use crate::probes::{self, Entry, Network, ProbeEnv, REGISTRY, Target};
use judge::{Thresholds, Verdict};

#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CheckArgs {
    /// Kind of the probe; --help without it lists them.
    pub name: Option<String>,
    /// Address or name of the host; probes that look from inside take only this machine.
    #[arg(short = 'H', long)]
    pub host: Option<String>,
    /// Port; for `disk` a path, for `process` a pattern, for `systemd_unit` a unit.
    #[arg(short = 'p', long, allow_hyphen_values = true)]
    pub port: Option<String>,
    /// Seconds, or a duration such as 500ms.
    #[arg(short = 't', long, default_value = "10")]
    pub timeout: String,
    /// Warning range: 10, 10:, ~:10, 10:20, @10:20.
    #[arg(short = 'w', long, allow_hyphen_values = true)]
    pub warning: Option<String>,
    /// Critical range.
    #[arg(short = 'c', long, allow_hyphen_values = true)]
    pub critical: Option<String>,
    /// Also print the facts.
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
    /// A parameter of the probe: KEY=VALUE; VALUE is JSON where it reads as such, else text.
    #[arg(short = 'o', long = "param", value_name = "KEY=VALUE", allow_hyphen_values = true)]
    pub params: Vec<String>,
    /// User of the BMC.
    #[arg(long)]
    pub user: Option<String>,
    /// File with the password of the BMC.
    #[arg(long)]
    pub password_file: Option<String>,
    /// Print what the probe does, its parameters and an example.
    #[arg(short = 'h', long, action = ArgAction::SetTrue)]
    pub help: bool,
    /// Command line of `exec`, after --.
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// What a plugin prints, before it is text or JSON.
struct Report<'a> {
    kind: &'a str,
    seen: Observation,
    verdict: Verdict,
}

/// Runs one probe and prints; the result is the plugin's exit status.
///
/// # Errors
/// Standard output is closed.
pub async fn run(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(kind) = args.name.as_deref().filter(|_| !args.help) else {
        write_help(args.name.as_deref(), out).context("cannot print")?;
        // A plugin that was called without saying what to check has not checked it.
        return Ok(if args.help { ServiceState::Ok } else { ServiceState::Unknown }.code());
    };
    let (seen, verdict) = match observe(kind, args).await {
        Ok((seen, thresholds)) => {
            let packs = pack::load(&[], &mut Diagnostics::default());
            let usual = usual::find(&packs, kind);
            let verdict = judge::judge(kind, usual, &seen, &thresholds);
            (thresholds.mark(kind, usual, seen), verdict)
        }
        Err(why) => (Observation::observed(why), Verdict { state: ServiceState::Unknown, why: None }),
    };
    let report = Report { kind, seen, verdict };
    let text = if args.json { report.json() } else { report.plugin_output(args.verbose) };
    writeln!(out, "{text}").context("cannot print")?;
    Ok(report.verdict.state.code())
}

/// One run; every refusal is text for the status line of an UNKNOWN.
async fn observe(kind: &str, args: &CheckArgs) -> Result<(Observation, Thresholds), String> {
    let entry = probes::find(kind).ok_or_else(|| format!("there is no check `{kind}`; there are: {}", names()))?;
    let thresholds = Thresholds::parse(args.warning.as_deref(), args.critical.as_deref()).map_err(|e| e.to_string())?;
    let timeout = parse_timeout(&args.timeout)?;
    if entry.host_side && args.host.as_deref().is_some_and(|host| !is_this_machine(host)) {
        return Err(format!("`{kind}` looks at the machine it runs on; run `stentor agent` on that host instead"));
    }
    let mut view = LocalView::default();
    // Whoever started this check has its pattern on the command line too.
    view.without = view.family("check process");
    let env = ProbeEnv { net: Network::real(), view: Arc::new(view), clock: Clock::Machine };
    let probe = (entry.build)(&params(entry, args)?, &env).map_err(|e| e.message)?;
    let target = target(args)?;
    let deadline = Instant::now() + timeout;
    // Probes keep their deadline themselves; this one is for those that do not.
    let run = tokio::time::timeout_at(deadline + Duration::from_secs(1), probe.run(&target, deadline)).await;
    // A BMC has few session slots and keeps an abandoned one for a minute.
    env.net.bmc_client().shutdown(Instant::now() + Duration::from_secs(1)).await;
    env.net.redfish().shutdown(Instant::now() + Duration::from_secs(1)).await;
    match run {
        Ok(Ok(seen)) => Ok((seen, thresholds)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the probe did not keep its deadline".to_owned()),
    }
}

fn names() -> String {
    let mut names: Vec<&str> = REGISTRY.iter().map(|entry| entry.kind).collect();
    names.sort_unstable();
    names.join(", ")
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let span = match text.parse::<f64>() {
        Ok(seconds) => Span::from_millis((seconds * 1000.0) as i64),
        Err(_) => text.parse::<Span>().map_err(|e| e.to_string())?,
    };
    if span <= Span::ZERO || span > Span::from_hours(1) {
        return Err(format!("`{text}` is not a timeout between 1ms and 1h"));
    }
    Ok(span.to_std())
}

/// The parameter that `-p` stands for.
fn main_param(kind: &str) -> &'static str {
    match kind {
        "disk" => "paths",
        "process" => "pattern",
        "systemd_unit" => "unit",
        "bond" => "bonds",
        "bridge" => "bridges",
        "nic" => "interfaces",
        "team" => "team",
        "mdraid" => "arrays",
        "drbd" => "resources",
        "smart" => "devices",
        "multipath" => "maps",
        "ipmi_local" => "device",
        "zfs" => "pools",
        "mount" => "mounts",
        "lvm" => "groups",
        "iscsi" => "targets",
        "nvme" => "subsystems",
        "gluster" => "volumes",
        "raid_controller" => "tool",
        "backup" => "path",
        "drill" => "of",
        "parity" => "files",
        "euca_faults" => "logs",
        "euca_properties" | "euca_services" => "region",
        _ => "port",
    }
}

fn is_bmc_kind(kind: &str) -> bool {
    kind == "ipmi"
}

fn params(entry: &Entry, args: &CheckArgs) -> Result<Value, String> {
    let mut params = std::collections::BTreeMap::new();
    for param in &args.params {
        let (key, value) = param.split_once('=').ok_or_else(|| format!("`{param}` is not KEY=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        params.insert(key.to_owned(), value);
    }
    if let Some(given) = &args.port {
        let key = main_param(entry.kind);
        let value = match key {
            "port" if is_bmc_kind(entry.kind) => None,
            "port" => {
                let port: u16 = given.parse().map_err(|_| format!("`{given}` is not a port"))?;
                Some(Value::from(u32::from(port)))
            }
            "paths" | "bonds" | "arrays" | "resources" | "devices" | "maps" | "mounts" | "pools" | "groups"
            | "targets" | "subsystems" | "volumes" => Some(vec![given.as_str()].into()),
            _ => Some(given.as_str().into()),
        };
        params.extend(value.map(|value| (key.to_owned(), value)));
    }
    if !args.command.is_empty() {
        params.insert("command".to_owned(), args.command.clone().into());
    }
    Ok(Value::Map(params))
}

fn target(args: &CheckArgs) -> Result<Target, String> {
    let address: Arc<str> = args.host.as_deref().unwrap_or("127.0.0.1").into();
    let bmc = match (&args.user, &args.password_file) {
        (Some(user), Some(file)) => Some(Bmc {
            address: Arc::clone(&address),
            port: match &args.port {
                // RMCP, ASF 2.0: the primary port of a BMC.
                None => 623,
                Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
            },
            user: user.as_str().into(),
            password_file: file.as_str().into(),
            suite: None,
        }),
        (None, None) => None,
        _ => return Err("--user and --password-file belong together".to_owned()),
    };
    Ok(Target { host: Arc::clone(&address), address, bmc })
}

impl Report<'_> {
    fn headline(&self) -> String {
        let text = &self.seen.text;
        match &self.verdict.why {
            Some(why) => format!("{text} ({why})"),
            None => text.to_string(),
        }
    }

    fn plugin_output(&self, verbose: u8) -> String {
        let name = self.kind.to_uppercase();
        let mut text = format!("{name} {} - {}", self.verdict.state, harmless(&self.headline()));
        if !self.seen.measurements.is_empty() {
            let items: Vec<String> = self.seen.measurements.iter().map(perfdata).collect();
            text.push_str(&format!(" | {}", items.join(" ")));
        }
        if !self.seen.long_text.is_empty() {
            text.push_str(&format!("\n{}", harmless(&self.seen.long_text)));
        }
        if verbose > 0 {
            for (name, value) in self.seen.facts.iter() {
                text.push_str(&harmless(&format!("\n{name} = {value}")));
            }
        }
        text
    }

    fn json(&self) -> String {
        let state = self.verdict.state;
        json!({
            "name": self.kind,
            "state": state.as_str(),
            "code": state.code(),
            "output": self.headline(),
            "long_output": self.seen.long_text,
            "facts": self.seen.facts,
            "measurements": self.seen.measurements,
        })
        .to_string()
    }
}

/// A bar would begin perfdata.
fn harmless(text: &str) -> String {
    text.replace('|', "/")
}

/// `'label'=value[unit];[warn];[crit];[min];[max]`, without the fields that are empty at the end.
fn perfdata(item: &Measurement) -> String {
    let label = if item.label.contains([' ', '=', '\'']) {
        format!("'{}'", item.label.replace('\'', "''"))
    } else {
        item.label.to_string()
    };
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let value = item.value.map_or_else(|| "U".to_owned(), |value| format!("{value}{}", item.unit));
    let fields = [value, item.warn.to_string(), item.crit.to_string(), number(item.min), number(item.max)];
    format!("{label}={}", fields.join(";").trim_end_matches(';'))
}

fn write_help(kind: Option<&str>, out: &mut dyn Write) -> std::io::Result<()> {
    match kind.map(|kind| (kind, probes::find(kind))) {
        Some((kind, Some(entry))) => {
            writeln!(out, "{}\n", entry.doc.trim_end())?;
            if !entry.doc.contains(&format!("stentor check {kind}")) {
                writeln!(out, "Example:\n\n    {}\n", example(kind))?;
            }
            writeln!(out, "{OPTIONS}")
        }
        Some((kind, None)) => writeln!(out, "There is no check `{kind}`. There are: {}", names()),
        None => writeln!(
            out,
            "stentor check NAME [-H HOST] [-p PORT] [-t SECONDS] [-w RANGE] [-c RANGE] [-v] [--json] [-o KEY=VALUE]...\n\n\
             Names: {}\n\n{OPTIONS}\n\nExample:\n    stentor check tcp -H 192.0.2.7 -p 22 -w 0.5 -c 2\n\
             More about one:\n    stentor check tcp --help",
            names()
        ),
    }
}

/// For kinds whose documentation shows no call from the command line.
fn example(kind: &str) -> String {
    match kind {
        "exec" => "stentor check exec -- /usr/lib/nagios/plugins/check_users -w 5 -c 10".to_owned(),
        _ if is_bmc_kind(kind) => format!("stentor check {kind} -H 192.0.2.7 --user monitor --password-file bmc.pw"),
        _ => format!("stentor check {kind} -H 192.0.2.7"),
    }
}

const OPTIONS: &str = "Options:
  -H, --host HOST        address or name of the host (default: this machine)
  -p, --port PORT        port; path of disk, pattern of process, unit of systemd_unit, bond, array
  -t, --timeout SECONDS  or a duration such as 500ms (default 10)
  -w, --warning RANGE    -c, --critical RANGE    10, 10:, ~:10, 10:20, @10:20; without them the usual rules of the kind
  -o, --param KEY=VALUE  a parameter of the probe; VALUE is JSON where it reads as such, else text
  -v, --verbose          also print the facts
      --json             print one JSON object instead
      --user NAME, --password-file FILE    of a BMC
Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN";

#[cfg(test)]
mod tests;
