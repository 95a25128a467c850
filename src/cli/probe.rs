//! `stentor probe`: runs the configured checks of a host once, now, and prints what was seen and what the rules say.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value as Json, json};
use stentor_core::catalog::{Catalog, Check};
use stentor_core::id::ObjectId;
use stentor_core::model::{Measurement, Observation, Outcome, Value};
use stentor_core::rules::{self, Judgement};
use tokio::time::Instant;

use super::client::shown;
use crate::clock::Clock;
use crate::collector::{self, Look};
use crate::config;
use crate::config::finding::suggest;
use crate::probes::local_view::LocalView;
use crate::probes::{Network, ProbeEnv};

/// Sessions with BMCs are closed within this.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  stentor probe --config stentor.toml clc1 \"clc port\"")]
pub struct ProbeArgs {
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Host, by the name it has in the configuration
    pub host: String,
    /// Service of that host, or the name of a check; all of them if left out
    pub check: Option<String>,
    /// One JSON object a check
    #[arg(long)]
    pub json: bool,
}

/// One check of a host, looked at.
struct Found<'a> {
    /// Name of the service; of the check for the host's own.
    name: &'a str,
    object: ObjectId,
    check: Option<&'a Check>,
    /// The check's parameters with the service's own laid over them, as the rules read them.
    params: Value,
    look: Look,
}

/// Probes and prints; 0 whatever the state, 1 if there is no such host or check.
///
/// # Errors
/// The configuration is wrong, there is no such host or check, or standard output is closed.
pub async fn run(args: &ProbeArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let loaded = config::load(&args.config).map_err(|found| anyhow::anyhow!("{found}"))?;
    let mut view = LocalView::default();
    // Whoever probes has the pattern of a process on the command line too.
    view.without = view.family("probe process");
    let env = ProbeEnv { net: Network::real(), view: Arc::new(view), clock: Clock::Machine };
    let at_once = loaded.settings.collector.per_host;
    let found = probe(&loaded.catalog, &args.host, args.check.as_deref(), env, at_once).await?;
    if !args.json {
        let address = &loaded.catalog.hosts.iter().find(|host| *host.name == *args.host).map(|host| &host.address);
        writeln!(out, "{} ({})", args.host, address.map_or("", |address| address)).context("cannot print")?;
    }
    for one in &found {
        if args.json {
            writeln!(out, "{}", one.json(&args.host)).context("cannot print")?;
        } else {
            one.print(out).context("cannot print")?;
        }
    }
    Ok(0)
}

async fn probe<'a>(
    catalog: &'a Arc<Catalog>,
    host: &str,
    check: Option<&str>,
    env: ProbeEnv,
    at_once: usize,
) -> anyhow::Result<Vec<Found<'a>>> {
    let objects = objects(catalog, host, check)?;
    let net = env.net.clone();
    let looks = collector::once(catalog, &objects, collector::registry(), env, at_once).await;
    // A BMC has few session slots and keeps an abandoned one for a minute.
    net.bmc_client().shutdown(Instant::now() + FAREWELL).await;
    net.redfish().shutdown(Instant::now() + FAREWELL).await;
    let found = objects.into_iter().zip(looks).map(|(object, look)| {
        let check = catalog.check_of(object);
        let own = match object {
            ObjectId::Host(id) => &catalog.hosts[id.index()].params,
            ObjectId::Service(id) => &catalog.services[id.index()].params,
        };
        let params = check.map_or(Value::Null, |check| check.params.overlaid(own));
        Found { name: name_of(catalog, object), object, check, params, look }
    });
    Ok(found.collect())
}

/// What is to be looked at: the host's own check first, then its services in their order.
fn objects(catalog: &Catalog, host: &str, check: Option<&str>) -> anyhow::Result<Vec<ObjectId>> {
    let Some(id) = catalog.host_id(host) else {
        let hint = suggest(host, catalog.hosts.iter().map(|host| &*host.name));
        bail!("the configuration has no host `{host}`{}", hint_after(&hint));
    };
    let row = &catalog.hosts[id.index()];
    let own = std::iter::once(ObjectId::Host(id)).filter(|_| row.check.is_some());
    let all: Vec<ObjectId> = own.chain(row.services.iter().map(|id| ObjectId::Service(*id))).collect();
    let Some(wanted) = check else { return Ok(all) };
    let named = |object: &ObjectId| {
        let check = catalog.check_of(*object).map(|check| &*check.name);
        name_of(catalog, *object) == wanted || check == Some(wanted)
    };
    let found: Vec<ObjectId> = all.iter().copied().filter(named).collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|object| name_of(catalog, *object)).collect();
        bail!("host `{host}` has no check `{wanted}`; it has: {}", names.join(", "));
    }
    Ok(found)
}

fn hint_after(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}

fn name_of(catalog: &Catalog, object: ObjectId) -> &str {
    match object {
        ObjectId::Service(id) => &catalog.services[id.index()].name,
        ObjectId::Host(_) => catalog.check_of(object).map_or("", |check| &check.name),
    }
}

impl Found<'_> {
    fn judgement(&self, seen: &Observation) -> Judgement {
        rules::judge(self.check.map_or(&[], |check| &check.rules), &self.params, seen)
    }

    fn signals(&self, seen: &Observation, judgement: &Judgement) -> Vec<(&str, Value)> {
        let specs = self.check.into_iter().flat_map(|check| &check.signals);
        specs.flat_map(|spec| spec.values(seen, judgement).into_iter().map(|value| (&*spec.sig, value))).collect()
    }

    fn kind(&self) -> &'static str {
        match self.object {
            ObjectId::Host(_) => "host",
            ObjectId::Service(_) => "service",
        }
    }

    fn json(&self, host: &str) -> Json {
        let mut line = json!({
            "host": host,
            "service": matches!(self.object, ObjectId::Service(_)).then_some(self.name),
            "check": self.check.map(|check| &*check.name),
            "probe": self.check.map(|check| &*check.probe),
        });
        let more = match &self.look {
            Look::Elsewhere(why) => json!({ "looked": false, "why": why }),
            Look::Seen(seen) => {
                let judgement = self.judgement(seen);
                let signals: Vec<Json> = self
                    .signals(seen, &judgement)
                    .iter()
                    .map(|(sig, value)| json!({ "sig": sig, "value": value }))
                    .collect();
                json!({
                    "looked": true,
                    "outcome": outcome(seen),
                    "output": seen.text,
                    "long_output": seen.long_text,
                    "facts": seen.facts,
                    "measurements": seen.measurements,
                    "state": judgement.state.as_str(),
                    "because": judgement.because,
                    "signals": signals,
                })
            }
        };
        if let (Json::Object(line), Json::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        line
    }

    fn print(&self, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
        let kind = if self.kind() == "host" { " (host check)" } else { "" };
        let seen = match &self.look {
            Look::Elsewhere(why) => return writeln!(out, "\n-        {}{kind}\n  {why}", shown(self.name)),
            Look::Seen(seen) => seen,
        };
        let judgement = self.judgement(seen);
        writeln!(out, "\n{:<8} {}{kind}", judgement.state.as_str(), shown(self.name))?;
        writeln!(out, "  {}", shown(&seen.text))?;
        for line in seen.long_text.lines() {
            writeln!(out, "  {}", shown(line))?;
        }
        if !judgement.because.is_empty() && *judgement.because != *seen.text {
            writeln!(out, "  because   {}", shown(&judgement.because))?;
        }
        for (name, value) in seen.facts.iter() {
            writeln!(out, "  fact      {} = {}", shown(name), shown(&value.to_string()))?;
        }
        for item in &seen.measurements {
            writeln!(out, "  measured  {}", shown(&measured(item)))?;
        }
        for (sig, value) in self.signals(seen, &judgement) {
            writeln!(out, "  signal    {sig} = {}", shown(&value.to_string()))?;
        }
        Ok(())
    }
}

fn outcome(seen: &Observation) -> &'static str {
    match seen.outcome {
        Outcome::Observed => "observed",
        Outcome::Reported(_) | Outcome::ReportedHost(_) => "reported",
        Outcome::Failed(_) => "failed",
    }
}

fn measured(item: &Measurement) -> String {
    let value = item.value.map_or_else(|| "undetermined".to_owned(), |value| format!("{value}{}", item.unit));
    format!("{} = {value}", item.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[[host]]\nname = \"here\"\naddress = \"127.0.0.1\"\nview = \"local\"\n\
        [[host]]\nname = \"there\"\naddress = \"127.0.0.1\"\nview = \"agent\"\n\
        [[service]]\nhost = \"here\"\nname = \"plugin\"\nprobe = \"exec\"\n\
        params = { command = [\"/bin/sh\", \"-c\", \"echo BAD; exit 2\"] }\n";

    async fn lines(host: &str, check: &str) -> anyhow::Result<Vec<Json>> {
        let dir = tempfile::tempdir()?;
        let config = dir.path().join("stentor.toml");
        std::fs::write(&config, CONFIG)?;
        let args = ProbeArgs { config, host: host.into(), check: Some(check.to_owned()), json: true };
        let mut out = Vec::new();
        run(&args, &mut out).await?;
        String::from_utf8(out)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    #[tokio::test]
    async fn a_named_check_runs_once_and_is_judged() {
        let lines = lines("here", "plugin").await.expect("runs");
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["state"], &lines[0]["output"]), (&"CRITICAL".into(), &"BAD".into()), "{}", lines[0]);
    }

    #[tokio::test]
    async fn what_others_look_at_is_named_as_such_and_not_run() {
        for (check, words) in [("agent", "passive"), ("host/load", "run by the agent")] {
            let lines = lines("there", check).await.expect("runs");
            assert_eq!(lines[0]["looked"], false);
            assert!(lines[0]["why"].as_str().expect("text").starts_with(words), "{}", lines[0]);
        }
    }

    #[tokio::test]
    async fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = lines("here", "plugni").await.expect_err("no such check").to_string();
        assert!(error.contains("plugin"), "{error}");
    }
}
