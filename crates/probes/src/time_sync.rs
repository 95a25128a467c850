//! `time_sync`: whether a host's clock is kept, by chrony, ntpd or systemd-timesyncd, as they say themselves.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::hostnet::clock_sync::{Sources, Sync, chrony_sources, chrony_tracking, ntpq_variables, timesyncd};

use super::tool::{Tool, refusal};
use super::view::ToolRun;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Daemon {
    /// The first that answers.
    #[default]
    Any,
    Chrony,
    Ntpd,
    Timesyncd,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub daemon: Daemon,
}

pub struct TimeSync {
    view: Arc<dyn HostView>,
    daemon: Daemon,
    chronyc: Tool,
    ntpq: Tool,
    timedatectl: Tool,
}

/// What a daemon said, or why it is not the one.
enum Said {
    Told(&'static str, Sync, Option<Sources>),
    /// Not installed, or it does not run here.
    Absent(String),
}

impl Probe for TimeSync {
    const KIND: &'static str = "time_sync";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/time_sync.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let tool = |names| Tool::new(names, &[]);
        Ok(TimeSync {
            view: Arc::clone(&env.view),
            daemon: config.daemon,
            chronyc: tool(&["chronyc"])?,
            ntpq: tool(&["ntpq"])?,
            timedatectl: tool(&["timedatectl"])?,
        })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut why = Vec::new();
        for daemon in [Daemon::Chrony, Daemon::Ntpd, Daemon::Timesyncd] {
            if self.daemon != Daemon::Any && self.daemon != daemon {
                continue;
            }
            let said = match daemon {
                Daemon::Any | Daemon::Chrony => self.chrony(deadline).await?,
                Daemon::Ntpd => self.ntpd(deadline).await?,
                Daemon::Timesyncd => self.timesyncd(deadline).await?,
            };
            match said {
                Said::Told(name, sync, sources) => return Ok(observe(name, &sync, sources.as_ref())),
                Said::Absent(text) => why.push(text),
            }
        }
        let text = format!("nothing keeps the clock of this host: {}", why.join("; "));
        Ok(Observation::observed(text).fact("daemon", "none").fact("synchronised", Value::Bool(false)))
    }
}

impl TimeSync {
    async fn ask(&self, tool: &Tool, args: &[&str], deadline: Deadline) -> Result<Option<ToolRun>, ProbeError> {
        tool.run(&self.view, args, deadline).await
    }

    async fn chrony(&self, deadline: Deadline) -> Result<Said, ProbeError> {
        let Some(run) = self.ask(&self.chronyc, &["-n", "-c", "tracking"], deadline).await? else {
            return Ok(Said::Absent("chrony is not installed".into()));
        };
        let said = format!("{}{}", run.stdout, run.stderr);
        // chronyd does not run; what stands there is what `chronyc` says then.
        if said.contains("506 Cannot talk to daemon") {
            return Ok(Said::Absent("chronyd does not run".into()));
        }
        let Some(sync) = chrony_tracking(&run.stdout).filter(|_| run.code == Some(0)) else {
            return Err(refusal(&self.chronyc, &run, "it does not tell how the clock is kept"));
        };
        let sources = self.ask(&self.chronyc, &["-n", "-c", "sources"], deadline).await?;
        let sources = sources.filter(|run| run.code == Some(0)).map(|run| chrony_sources(&run.stdout));
        Ok(Said::Told("chrony", sync, sources))
    }

    async fn ntpd(&self, deadline: Deadline) -> Result<Said, ProbeError> {
        let Some(run) = self.ask(&self.ntpq, &["-n", "-c", "rv"], deadline).await? else {
            return Ok(Said::Absent("ntpd is not installed".into()));
        };
        match ntpq_variables(&run.stdout) {
            Some(sync) => Ok(Said::Told("ntpd", sync, None)),
            // `ntpq` ends with 0 and a complaint when nobody answers.
            None if format!("{}{}", run.stdout, run.stderr).contains("onnection refused") => {
                Ok(Said::Absent("ntpd does not run".into()))
            }
            None => Err(refusal(&self.ntpq, &run, "it does not tell how the clock is kept")),
        }
    }

    async fn timesyncd(&self, deadline: Deadline) -> Result<Said, ProbeError> {
        let Some(show) = self.ask(&self.timedatectl, &["show"], deadline).await? else {
            return Ok(Said::Absent("systemd is not installed".into()));
        };
        let more = self.ask(&self.timedatectl, &["show-timesync", "--all"], deadline).await?;
        let more = more.filter(|run| run.code == Some(0)).map(|run| run.stdout).unwrap_or_default();
        // Without systemd as the service manager there is nobody to ask.
        if show.code != Some(0) || more.is_empty() {
            return Ok(Said::Absent("systemd-timesyncd does not run".into()));
        }
        match timesyncd(&show.stdout, &more) {
            Some(sync) => Ok(Said::Told("timesyncd", sync, None)),
            None => Err(refusal(&self.timedatectl, &show, "it does not tell how the clock is kept")),
        }
    }
}

fn observe(daemon: &'static str, sync: &Sync, sources: Option<&Sources>) -> Observation {
    let mut text = if sync.synchronised {
        let stratum = sync.stratum.map_or_else(String::new, |stratum| format!(", stratum {stratum}"));
        format!("{daemon} follows {}{stratum}", sync.source)
    } else {
        format!("{daemon} does not keep the clock: it follows nobody")
    };
    if let Some(offset) = sync.offset_s {
        text.push_str(&format!(", off by {:.6} s", offset));
    }
    if matches!(sync.leap.as_str(), "insert" | "delete") {
        text.push_str(&format!(", a leap second is announced ({})", sync.leap));
    }
    let mut seen = Observation::observed(text)
        .fact("daemon", daemon)
        .fact("synchronised", Value::Bool(sync.synchronised))
        .fact("source", sync.source.as_str())
        .fact("leap", sync.leap.as_str());
    if let Some(stratum) = sync.stratum {
        seen = seen.fact("stratum", stratum as usize).measure("stratum", stratum as f64, "");
    }
    if let Some(offset) = sync.offset_s {
        seen = seen.fact("offset_s", offset).fact("offset_abs_s", offset.abs()).measure("offset", offset, "s");
    }
    if let Some(delay) = sync.root_delay_s {
        seen = seen.fact("root_delay_s", delay);
    }
    if let Some(dispersion) = sync.root_dispersion_s {
        seen = seen.fact("root_dispersion_s", dispersion);
    }
    if let Some(ppm) = sync.frequency_ppm {
        seen = seen.measure("frequency_ppm", ppm, "");
    }
    match sources {
        None => seen,
        Some(sources) => seen
            .fact("sources", sources.total)
            .fact("reachable", sources.reachable)
            .fact("usable", sources.usable)
            .fact("falsetickers", sources.falsetickers.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_on, text};

    async fn run(tools: &[(&str, i32, &str)], params: &str) -> Result<Observation, ProbeError> {
        let said = |code, stdout: &str| ToolRun { code: Some(code), stdout: stdout.to_owned(), stderr: String::new() };
        let tools = tools.iter().map(|(line, code, out)| ((*line).to_owned(), said(*code, out))).collect();
        run_on("time_sync", params, Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))).await
    }

    const TRACKING: &str =
        "C0A80101,192.168.1.1,3,1795226400.1,0.250000000,0.0,0.0,-12.3,0.0,0.0,0.012,0.003,64.2,Normal\n";

    #[tokio::test]
    async fn the_daemon_that_runs_is_asked() {
        let sources = "^,*,192.168.1.1,2,6,377,23,0.0,0.0,0.0\n^,x,192.0.2.2,2,6,377,23,5.0,5.0,0.01\n";
        let all = [("chronyc -n -c tracking", 0, TRACKING), ("chronyc -n -c sources", 0, sources)];
        let seen = run(&all, "{}").await.expect("observed");
        assert_eq!(
            (text(&seen, "daemon"), number(&seen, "offset_s"), number(&seen, "offset_abs_s")),
            ("chrony".into(), -0.25, 0.25)
        );
        assert_eq!((number(&seen, "usable"), text(&seen, "falsetickers")), (1.0, "[192.0.2.2]".into()));
        let rv = "associd=0 status=0615 leap_none, sync_ntp,\nleap=00, stratum=3, refid=192.0.2.1, offset=2.5\n";
        let none = ("chronyc -n -c tracking", 1, "506 Cannot talk to daemon\n");
        let seen = run(&[none, ("ntpq -n -c rv", 0, rv)], "{}").await.expect("observed");
        assert_eq!((text(&seen, "daemon"), text(&seen, "synchronised")), ("ntpd".into(), "true".into()));
        let refused = ("ntpq -n -c rv", 0, "ntpq: read: Connection refused\n");
        let show = ("timedatectl show", 0, "NTPSynchronized=no\n");
        let seen = run(&[none, refused, show, ("timedatectl show-timesync --all", 0, "ServerName=x\n")], "{}").await;
        assert_eq!(text(&seen.expect("observed"), "daemon"), "timesyncd");
    }

    #[tokio::test]
    async fn a_host_without_any_says_so_and_nonsense_is_no_answer() {
        let seen = run(&[], "{}").await.expect("observed");
        assert_eq!((text(&seen, "daemon"), text(&seen, "synchronised")), ("none".into(), "false".into()));
        assert!(run(&[("chronyc -n -c tracking", 0, "what?")], "{}").await.is_err());
        let only = run(&[("chronyc -n -c tracking", 0, TRACKING)], r#"{"daemon":"ntpd"}"#).await.expect("observed");
        assert_eq!(text(&only, "daemon"), "none");
    }
}
