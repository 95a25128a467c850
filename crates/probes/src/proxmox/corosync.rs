//! `corosync`: links and votes of a cluster's node by `corosync-cfgtool -s` and `corosync-quorumtool -s`.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::proxmox::{Links, Votes};

use crate::tool::{Tool, missing, refusal};
use crate::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Before both tools, for rights: `["sudo", "-n"]`.
    pub prefix: Vec<String>,
}

pub struct Corosync {
    view: Arc<dyn HostView>,
    votes: Tool,
    links: Tool,
}

impl Probe for Corosync {
    const KIND: &'static str = "corosync";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../../docs/probes/corosync.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let tool = |name: &'static [&'static str], path: &str| {
            let mut command = config.prefix.clone();
            if !command.is_empty() {
                command.push(path.to_owned());
            }
            Tool::new(name, &command)
        };
        Ok(Corosync {
            view: Arc::clone(&env.view),
            votes: tool(&["corosync-quorumtool"], "/usr/sbin/corosync-quorumtool")?,
            links: tool(&["corosync-cfgtool"], "/usr/sbin/corosync-cfgtool")?,
        })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let Some(run) = self.votes.run(&self.view, &["-s"], deadline).await? else {
            return Err(missing(&self.votes, "package corosync"));
        };
        let votes = Votes::read(&run.stdout);
        let Some(is_quorate) = votes.is_quorate else {
            // The daemon does not answer its own tool; the check of its process says whether it is gone.
            if run.stderr.contains("Cannot initialize") || run.stdout.contains("Cannot initialize") {
                return Ok(Observation::observed("corosync does not answer its own tool").fact("corosync", "silent"));
            }
            return Err(refusal(&self.votes, &run, "it tells no quorum"));
        };
        let links = match self.links.run(&self.view, &["-s"], deadline).await {
            Ok(Some(run)) => Links::read(&run.stdout),
            // Votes without links are still worth telling.
            Ok(None) | Err(_) => Links::default(),
        };
        Ok(observe(is_quorate, &votes, &links))
    }
}

fn observe(is_quorate: bool, votes: &Votes, links: &Links) -> Observation {
    let down = links.down();
    let qdevice = match (votes.has_qdevice, votes.qdevice_votes) {
        (false, _) => "none",
        (true, Some(true)) => "votes",
        (true, _) => "silent",
    };
    let mut text = if is_quorate { "quorate".to_owned() } else { "NO QUORUM".to_owned() };
    if let (Some(total), Some(expected)) = (votes.total, votes.expected) {
        text.push_str(&format!(", {total} of {expected} votes"));
    }
    if !down.is_empty() {
        text.push_str(&format!(", links down: {} of {}", down.join(" "), links.links.len()));
    }
    if qdevice == "silent" {
        text.push_str(", the quorum device does not vote");
    }
    let mut seen = Observation::observed(text)
        .fact("corosync", "ok")
        .fact("quorum", if is_quorate { "quorate" } else { "no_quorum" })
        .fact("links", links.links.len())
        .fact("links_down", down)
        .fact("qdevice", qdevice);
    for (name, count) in [("votes", votes.total), ("votes_expected", votes.expected), ("votes_needed", votes.quorum)] {
        if let Some(count) = count {
            seen = seen.fact(name, f64::from(count));
        }
    }
    match votes.total {
        Some(total) => seen.measure("votes", f64::from(total), ""),
        None => seen,
    }
}
