//! `rabbitmq`: whether a RabbitMQ speaks AMQP, and what its management interface says of nodes, alarms, partitions and queues.

use std::path::PathBuf;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::rabbitmq::{HEAD_BYTES, HEADER, Nodes, Queue, Start, head, queues, start};

use super::api::{Api, basic, secret};
use super::look::ahead_of;
use super::reach::closed;
use super::talk::{Hitch, Secure, Talk, open, opened, shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct RabbitMq {
    env: ProbeEnv,
    config: Config,
    queues: Option<Regex>,
    trust: Option<Trust>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    /// 5672, or 5671 with `tls`.
    #[serde(default)]
    pub port: Option<u16>,
    /// Of the management plugin, usually 15672; nothing is asked of it without.
    #[serde(default)]
    pub management_port: Option<u16>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Queues that are looked at, by a regular expression over `vhost/name`; all if missing.
    #[serde(default)]
    pub queues: Option<String>,
    /// Of both ports.
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
}

/// Names of queues in one fact.
const NAMES_MAX: usize = 20;

impl Probe for RabbitMq {
    const KIND: &'static str = "rabbitmq";
    const DOC: &'static str = include_str!("../../../docs/probes/rabbitmq.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `rabbitmq`: {why}") };
        if config.port == Some(0) || config.management_port == Some(0) {
            return Err(refuse("there is no port 0"));
        }
        if config.management_port.is_some() != (config.user.is_some() && config.password_file.is_some()) {
            return Err(refuse("`management_port`, `user` and `password_file` go together"));
        }
        let queues = config.queues.as_deref().map(Regex::new).transpose().map_err(|e| refuse(&e.to_string()))?;
        let trust = config.tls.then(|| trust("rabbitmq", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(RabbitMq { env: env.clone(), config, queues, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let port = self.config.port.unwrap_or(if self.config.tls { 5671 } else { 5672 });
        let (attempt, talk) = open(&self.env.net, target, port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(closed(&attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        if let Some(trust) = &self.trust {
            let name = self.config.host.as_deref().unwrap_or(&target.address);
            match (Secure { trust, name, clock: &self.env.clock }).talk(talk, &mut seen).await? {
                Ok(secured) => talk = secured,
                Err(hitch) => return Ok(refused(seen, &hitch)),
            }
        }
        match greet(&mut talk).await {
            Ok(start) => self.manage(introduced(seen, &start), target, deadline).await,
            Err(hitch) => Ok(refused(seen, &hitch)),
        }
    }
}

/// Asks for AMQP and hears who is there; nobody logs in.
async fn greet(talk: &mut Talk) -> Result<Start, Hitch> {
    let broken = |e: stentor_wire::rabbitmq::AmqpError| Hitch::Invalid(e.to_string());
    talk.say(HEADER).await?;
    let first = talk.exactly(HEAD_BYTES).await?;
    let first = first.try_into().map_err(|_| Hitch::Closed)?;
    let frame = talk.exactly(head(first).map_err(broken)?).await?;
    start(&frame).map_err(broken)
}

fn refused(seen: Observation, hitch: &Hitch) -> Observation {
    let text = format!("{}: no answer of RabbitMQ: {hitch}", seen.text);
    Observation { text: text.into(), ..seen }.fact("rabbitmq", hitch.word())
}

fn introduced(seen: Observation, start: &Start) -> Observation {
    let [product, version, cluster] = [&start.product, &start.version, &start.cluster].map(|text| shown(text));
    let text = format!("{}: {product} {version}", seen.text);
    let seen = Observation { text: text.into(), ..seen }.fact("rabbitmq", "ok").fact("version", version);
    if cluster.is_empty() { seen } else { seen.fact("cluster", cluster) }
}

impl RabbitMq {
    async fn manage(&self, seen: Observation, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let (Some(port), Some(user)) = (self.config.management_port, &self.config.user) else { return Ok(seen) };
        let password = secret(self.config.password_file.as_deref()).await?.unwrap_or_default();
        let api = Api {
            net: &self.env.net,
            target,
            port,
            tls: self.trust.as_ref(),
            server_name: self.config.host.as_deref(),
            authorization: basic(user, &password),
        };
        let nodes = api.get("/api/nodes", deadline).await?.found();
        let nodes =
            nodes.and_then(|json| Nodes::read(&json).ok_or(("invalid", "its list of nodes is none".to_owned())));
        let nodes = match nodes {
            Ok(nodes) => nodes,
            Err((word, why)) => return Ok(unmanaged(seen, word, &why)),
        };
        let list = "/api/queues?columns=vhost,name,state,messages_ready,messages_unacknowledged,consumers";
        let list = api.get(list, deadline).await?.found();
        let list = list.and_then(|json| queues(&json).ok_or(("invalid", "its list of queues is none".to_owned())));
        let mut list = match list {
            Ok(list) => list,
            Err((word, why)) => return Ok(unmanaged(seen, word, &why)),
        };
        if let Some(wanted) = &self.queues {
            list.retain(|queue| wanted.is_match(&full_name(queue)));
        }
        Ok(of_queues(of_nodes(seen.fact("management", "ok"), &nodes), &list))
    }
}

fn unmanaged(seen: Observation, word: &str, why: &str) -> Observation {
    let text = format!("{}; management: {}", seen.text, shown(why));
    Observation { text: text.into(), ..seen }.fact("management", word)
}

fn of_nodes(seen: Observation, nodes: &Nodes) -> Observation {
    let mut parts = vec![format!("{}, {} of {} nodes run", seen.text, nodes.all - nodes.stopped.len(), nodes.all)];
    let mut seen = seen.fact("nodes", nodes.all).fact("nodes_running", nodes.all - nodes.stopped.len());
    for (fact, names, words) in [
        ("nodes_stopped", &nodes.stopped, "stopped"),
        ("alarms", &nodes.alarms, "alarm of"),
        ("partitions", &nodes.partitions, "partition"),
    ] {
        let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
        if !names.is_empty() {
            parts.push(format!("{words} {}", names.join(", ")));
        }
        seen = seen.fact(fact, names);
    }
    for (fact, value) in [("memory_pct", nodes.memory_pct), ("files_pct", nodes.files_pct)] {
        if let Some(value) = value {
            seen = seen.fact(fact, value).measure(fact, value, "%");
        }
    }
    if let Some(left) = nodes.disk_left_bytes {
        seen = seen.fact("disk_left_bytes", left).measure("disk_left", left, "B");
    }
    Observation { text: parts.join(", ").into(), ..seen }
}

fn full_name(queue: &Queue) -> String {
    format!("{}/{}", queue.vhost.trim_end_matches('/'), queue.name)
}

fn of_queues(seen: Observation, list: &[Queue]) -> Observation {
    let names = |wanted: &dyn Fn(&Queue) -> bool| -> Vec<String> {
        list.iter().filter(|queue| wanted(queue)).take(NAMES_MAX).map(|queue| shown(&full_name(queue))).collect()
    };
    let is_up = |queue: &Queue| ["", "running", "idle", "flow"].contains(&queue.state.as_str());
    let unread = names(&|queue| queue.consumers < 1.0 && queue.ready > 0.0);
    let bad = names(&|queue| !is_up(queue));
    let sum = |of: fn(&Queue) -> f64| list.iter().map(of).sum::<f64>();
    let (ready, unacked) = (sum(|queue| queue.ready), sum(|queue| queue.unacked));
    let longest = list.iter().max_by(|a, b| a.ready.total_cmp(&b.ready));
    let mut text = format!("{}, {} queues with {ready} messages", seen.text, list.len());
    for (names, words) in [(&unread, "nobody reads"), (&bad, "down:")] {
        if !names.is_empty() {
            text.push_str(&format!(", {words} {}", names.join(", ")));
        }
    }
    let mut seen = Observation { text: text.into(), ..seen };
    if let Some(longest) = longest {
        seen = seen.fact("longest", shown(&full_name(longest))).fact("ready_max", longest.ready);
        seen = seen.measure("ready_max", longest.ready, "");
    }
    seen.fact("queues", list.len())
        .fact("queues_unread", unread)
        .fact("queues_down", bad)
        .fact("ready", ready)
        .fact("unacked", unacked)
        .measure("ready", ready, "")
        .measure("unacked", unacked, "")
}
