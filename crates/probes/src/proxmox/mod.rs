//! `proxmox`: what a node of Proxmox VE says by its API: quorum, HA, storage, guests, services and backups; `corosync`: its links and
//! votes by corosync's own tools.

mod corosync;
mod observe;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::HeaderValue;
use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::proxmox::{Ha, Membership, Resources, machines, tasks, units};

use super::api::{page, request, secret};
use super::fetch::{Exchange, Fetch, fetch};
use super::reach::{Port, closed, millis};
use super::talk::{shown, trust};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target, api};

pub use corosync::Corosync;

/// Port of pveproxy.
const PORT: u16 = 8006;
/// A cluster of a thousand guests has some hundred kilobytes of resources.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default)]
    pub port: Option<u16>,
    /// `stentor@pve!monitor`
    pub token_id: String,
    pub token_file: PathBuf,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub look: Look,
    /// Name of the node; the target's, up to the first dot, if missing.
    #[serde(default)]
    pub node: Option<String>,
    /// Guests (by number) that must run, storages that must be there: of `guests` and `storage`.
    #[serde(default)]
    pub wanted: Vec<String>,
    /// Service whose process is told: of `services`.
    #[serde(default)]
    pub unit: Option<String>,
    /// False only for tests without TLS.
    #[serde(default = "yes")]
    pub tls: bool,
}

const fn yes() -> bool {
    true
}

/// What is looked at.
#[derive(Copy, Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    #[default]
    Quorum,
    Ha,
    Storage,
    Guests,
    /// What QEMU itself says of each virtual machine.
    Vms,
    Services,
    Backup,
}

impl Look {
    /// The node that is asked calls itself `localhost`.
    const fn path(self) -> &'static str {
        match self {
            Look::Quorum => "/api2/json/cluster/status",
            Look::Ha => "/api2/json/cluster/ha/status/current",
            Look::Storage => "/api2/json/cluster/resources?type=storage",
            Look::Guests => "/api2/json/cluster/resources",
            // `full` asks QEMU of each; the list of the cluster says `running` as long as there is a process.
            Look::Vms => "/api2/json/nodes/localhost/qemu?full=1",
            Look::Services => "/api2/json/nodes/localhost/services",
            Look::Backup => "/api2/json/nodes/localhost/tasks?typefilter=vzdump&source=all&limit=50",
        }
    }
}

pub struct Proxmox {
    env: ProbeEnv,
    config: Config,
    trust: Option<Trust>,
}

impl Probe for Proxmox {
    const KIND: &'static str = "proxmox";
    const DOC: &'static str = include_str!("../../../../docs/probes/proxmox.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| Err(BuildError { message: format!("probe `proxmox`: {why}") });
        if config.port == Some(0) {
            return refuse("there is no port 0");
        }
        let is_token =
            config.token_id.split_once('!').is_some_and(|(user, name)| user.contains('@') && !name.is_empty());
        if !is_token || HeaderValue::try_from(config.token_id.as_str()).is_err() {
            return refuse("`token_id` is USER@REALM!NAME, as in \"stentor@pve!monitor\"");
        }
        if !config.wanted.is_empty() && !matches!(config.look, Look::Guests | Look::Storage) {
            return refuse("`wanted` is of look = \"guests\" and look = \"storage\"");
        }
        if config.unit.is_some() && config.look != Look::Services {
            return refuse("`unit` is of look = \"services\"");
        }
        let trust = config.tls.then(|| trust("proxmox", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Proxmox { env: env.clone(), config, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let node = self.config.node.as_deref().unwrap_or_else(|| target.host.split('.').next().unwrap_or_default());
        let (seen, json) = match self.ask(target, deadline).await? {
            Asked::No(seen) => return Ok(seen),
            Asked::Yes(seen, json) => (seen, json),
        };
        let wanted = &self.config.wanted;
        let read = match self.config.look {
            Look::Quorum => Membership::read(&json).map(|members| observe::quorum(seen.clone(), &members)),
            Look::Ha => Ha::read(&json).map(|ha| observe::ha(seen.clone(), &ha, node)),
            Look::Storage => Resources::read(&json).map(|all| observe::storage(seen.clone(), &all, node, wanted)),
            Look::Guests => Resources::read(&json).map(|all| observe::guests(seen.clone(), &all, node, wanted)),
            Look::Vms => machines(&json).map(|all| observe::vms(seen.clone(), &all)),
            Look::Services => {
                units(&json).map(|all| observe::services(seen.clone(), &all, self.config.unit.as_deref()))
            }
            Look::Backup => tasks(&json).map(|all| observe::backup(seen.clone(), &all, self.env.clock.now())),
        };
        Ok(match read {
            Ok(seen) => seen.fact("proxmox", "ok"),
            Err(error) => refused(seen, "invalid", &error.to_string()),
        })
    }
}

enum Asked {
    No(Observation),
    Yes(Observation, serde_json::Value),
}

impl Proxmox {
    async fn ask(&self, target: &Target, deadline: Deadline) -> Result<Asked, ProbeError> {
        let token = secret(Some(&self.config.token_file)).await?.unwrap_or_default();
        let login = HeaderValue::try_from(format!("PVEAPIToken={}={token}", self.config.token_id));
        let mut login =
            login.map_err(|_| ProbeError::Failed(format!("`{}` holds no token", self.config.token_file.display())))?;
        login.set_sensitive(true);
        let target = &target.at(self.config.address.as_ref());
        let port = self.config.port.unwrap_or(PORT);
        let name = self.config.host.as_deref().unwrap_or(&target.address);
        let name = if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() };
        let fetched = fetch(
            Fetch {
                net: &self.env.net,
                target,
                port,
                tls: self.trust.as_ref(),
                server_name: self.config.host.as_deref(),
                request: request(self.config.look.path(), &format!("{name}:{port}"), Some(&login))?,
                body_bytes_max: PAGE_BYTES_MAX,
            },
            deadline,
        )
        .await?;
        if fetched.attempt.port != Port::Open {
            return Ok(Asked::No(closed(&fetched.attempt)));
        }
        let addr = fetched.attempt.addr;
        let seen = Observation::observed(addr.to_string())
            .fact("port", "open")
            .fact("total_ms", millis(fetched.total))
            .measure("time", fetched.total.as_secs_f64(), "s");
        let Some(exchange) = fetched.exchange else {
            let why = fetched.tls.and_then(|tls| tls.error).unwrap_or_default();
            return Ok(Asked::No(refused(seen, "tls", &format!("no TLS connection: {why}"))));
        };
        let seen = match &exchange {
            Exchange::Answer(answer) => seen.fact("http", f64::from(answer.status)),
            Exchange::Timeout => seen.fact("http", "timeout"),
            Exchange::Broken(_) => seen.fact("http", "invalid"),
        };
        Ok(match page(exchange) {
            api::Page::Json(200, json) => Asked::Yes(seen, json),
            // 500 "Connection refused": pmxcfs does not answer; 595 and more: pveproxy does not reach who should answer.
            api::Page::Json(status @ 500.., _) => Asked::No(refused(seen, "failing", &format!("status {status}"))),
            api::Page::Json(status, _) => Asked::No(refused(seen, "error", &format!("status {status}"))),
            api::Page::Missing(word, why) => Asked::No(refused(seen, word, &why)),
        })
    }
}

fn refused(seen: Observation, word: &str, why: &str) -> Observation {
    let text = format!("{}: {}", seen.text, shown(why));
    Observation { text: text.into(), ..seen }.fact("proxmox", word)
}
