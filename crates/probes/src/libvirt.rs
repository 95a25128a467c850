//! `libvirt`: virtual machines of a host by virsh, which only reads: which run, and which should.

use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::containers::{Domain, domains};

use super::talk::shown;
use super::tool::Tool;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Libvirt {
    view: Arc<dyn HostView>,
    tool: Tool,
    config: Config,
    ignore: Option<Regex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "system")]
    pub uri: String,
    /// Machines that must run.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Regular expression over the names of machines that are not looked at.
    #[serde(default)]
    pub ignore: Option<String>,
    /// Replaces `virsh`, with `sudo -n` before it for instance.
    #[serde(default)]
    pub command: Vec<String>,
}

fn system() -> String {
    "qemu:///system".to_owned()
}

/// Names in one fact.
const NAMES_MAX: usize = 50;
/// Names of machines that run: no host carries more, and one that runs on two hosts must not be missed.
const GUESTS_MAX: usize = 1000;

impl Probe for Libvirt {
    const KIND: &'static str = "libvirt";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/libvirt.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `libvirt`: {why}") };
        if config.uri.is_empty() || config.uri.starts_with('-') || config.uri.contains(char::is_control) {
            return Err(refuse("`uri` is one of libvirt's: qemu:///system".into()));
        }
        let tool = Tool::new(&["virsh"], &config.command)?;
        let ignore = config.ignore.as_deref().map(Regex::new).transpose().map_err(|e| refuse(e.to_string()))?;
        Ok(Libvirt { view: Arc::clone(&env.view), tool, config, ignore })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let all = match self.list(&["--all"], deadline).await? {
            Ok(all) => all,
            Err((word, why)) => return Ok(Observation::observed(why).fact("libvirt", word)),
        };
        let wanted = match self.list(&["--all", "--autostart"], deadline).await? {
            Ok(wanted) => wanted,
            Err((word, why)) => return Ok(Observation::observed(why).fact("libvirt", word)),
        };
        Ok(self.observe(&all, &wanted))
    }
}

impl Libvirt {
    async fn list(
        &self,
        more: &[&str],
        deadline: Deadline,
    ) -> Result<Result<Vec<Domain>, (&'static str, String)>, ProbeError> {
        // Not quiet: the header tells whether this is the table that is read here.
        let args = [&["-r", "-c", self.config.uri.as_str(), "list"], more].concat();
        let Some(run) = self.tool.run(&self.view, &args, deadline).await? else {
            return Ok(Err(("missing", "virsh is not installed".into())));
        };
        if run.code != Some(0) {
            let why = run.stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("virsh failed");
            let word =
                if why.contains("ermission denied") || why.contains("authentication") { "denied" } else { "failed" };
            return Ok(Err((word, format!("libvirt: {}", shown(why)))));
        }
        let read = domains(&run.stdout).map_err(|line| ("invalid", format!("virsh prints `{}`", shown(&line))));
        Ok(read.map(|mut all| {
            all.retain(|one| self.ignore.as_ref().is_none_or(|ignore| !ignore.is_match(&one.name)));
            all
        }))
    }

    fn observe(&self, all: &[Domain], autostart: &[Domain]) -> Observation {
        let is_up = |one: &Domain| ["running", "idle", "in shutdown", "no state"].contains(&one.state.as_str());
        let named = |wanted: &dyn Fn(&Domain) -> bool| -> Vec<String> {
            all.iter().filter(|one| wanted(one)).take(NAMES_MAX).map(|one| shown(&one.name)).collect()
        };
        let running = all.iter().filter(|one| is_up(one)).count();
        let missing = self.config.domains.iter().filter(|name| !all.iter().any(|one| one.name == **name && is_up(one)));
        let lists = [
            ("missing", missing.map(|name| shown(name)).collect(), "not running"),
            ("crashed", named(&|one| one.state == "crashed"), "crashed"),
            ("paused", named(&|one| one.state == "paused"), "paused"),
            (
                "autostart_down",
                named(&|one| one.state == "shut off" && autostart.iter().any(|own| own.name == one.name)),
                "off, though started with the host",
            ),
        ];
        let mut parts = vec![format!("{running} of {} machines run", all.len())];
        let mut seen = Observation::observed("").fact("libvirt", "ok").fact("domains", all.len());
        seen = seen.fact("running", running).measure("running", running as f64, "");
        let of_guests = all.iter().filter(|one| is_up(one)).take(GUESTS_MAX).map(|one| shown(&one.name));
        seen = seen.fact("running_names", of_guests.collect::<Vec<String>>());
        for (fact, names, words) in lists {
            let names: Vec<String> = names;
            if !names.is_empty() {
                parts.push(format!("{words}: {}", names.join(", ")));
            }
            seen = seen.fact(fact, names);
        }
        let long: Vec<String> = all.iter().map(|one| format!("{}: {}", shown(&one.name), one.state)).collect();
        Observation { text: parts.join(", ").into(), ..seen }.long(long.join("\n"))
    }
}
