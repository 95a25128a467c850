//! `cloudstack`: what a management server's API says of the cloud, or of one thing in it. It only lists.

mod alerts;
mod call;
mod cloud;
mod healing;
#[cfg(test)]
mod tests;
mod thing;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::cloudstack::Keys;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::api::secret;
use super::look::ahead_of;
use super::reach::millis;
use super::talk::{trust, unfit, usable_port};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};
use alerts::Heard;
use call::{Call, Caller, Listing, Reach, Trouble};

/// `client/conf`: HTTP, HTTPS and the integration API that asks for no key.
const PORT: u16 = 8080;
const PORT_TLS: u16 = 8443;
const PORT_INTEGRATION: u16 = 8096;
/// `default.page.size`: a server refuses larger pages than its own limit, which is this one.
const PAGE_SIZE: u32 = 500;
/// A thousand hosts with equal parameters share one list; nothing changes faster than CloudStack's own timers (60 s).
const SHARED_FOR: Duration = Duration::from_secs(10);
/// Addresses whose lists one probe keeps.
const KEPT_MAX: usize = 256;

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    #[default]
    Cloud,
    Host,
    SystemVm,
    Router,
    Pool,
    ImageStore,
    ManagementServer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Of a management server or the virtual address before them, if not the host's own.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    /// 8080; 8443 with `tls`; 8096, the integration API, without keys.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default = "path")]
    pub path: String,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the address if missing.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    #[serde(default)]
    pub secret_key_file: Option<PathBuf>,
    #[serde(default)]
    pub ask: Ask,
    /// Which one: name, address, id, or for system VMs `secondarystoragevm`, `consoleproxy`; else what the target is called.
    #[serde(default)]
    pub name: Option<String>,
    /// Only things of this zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// Global settings that `cloud` reads.
    #[serde(default = "settings")]
    pub settings: Vec<String>,
    /// `cloud` also lists the instances with HA and their volumes.
    #[serde(default)]
    pub vms: bool,
    #[serde(default = "page_size")]
    pub page_size: u32,
}

fn path() -> String {
    "/client/api".to_owned()
}

fn page_size() -> u32 {
    PAGE_SIZE
}

/// Settings that decide whether the cloud heals itself.
fn settings() -> Vec<String> {
    ["host", "ha.tag", "ping.interval", "ping.timeout", "indirect.agent.lb.algorithm"].map(str::to_owned).to_vec()
}

type Listed = Result<Arc<Vec<Listing>>, Trouble>;

/// The lists of one address, and since when.
type Slot = (Instant, Arc<OnceCell<(Listed, Duration)>>);

pub struct CloudStack {
    env: ProbeEnv,
    config: Config,
    trust: Option<Trust>,
    /// Held for one look-up, never across an await.
    shared: Mutex<HashMap<Arc<str>, Slot>>,
    heard: Heard,
}

impl Probe for CloudStack {
    const KIND: &'static str = "cloudstack";
    const DOC: &'static str = include_str!("../../../../docs/probes/cloudstack.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| unfit(Self::KIND, why);
        usable_port(Self::KIND, config.port)?;
        if config.api_key_file.is_some() != config.secret_key_file.is_some() {
            return Err(refuse("`api_key_file` and `secret_key_file` go together"));
        }
        if !config.path.starts_with('/')
            || config.path.contains(['?', '#'])
            || config.path.contains(char::is_whitespace)
        {
            return Err(refuse("`path` begins with / and has no query"));
        }
        if config.page_size == 0 {
            return Err(refuse("`page_size` is at least 1"));
        }
        let trust = config.tls.then(|| trust(Self::KIND, config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(CloudStack { env: env.clone(), config, trust, shared: Mutex::default(), heard: Heard::default() })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let at = target.at(self.config.address.as_ref());
        let keys = self.keys().await?;
        let cell = self.slot(&at.address);
        let ask = cell.get_or_init(|| async {
            let begun = Instant::now();
            let caller = Caller {
                net: &self.env.net,
                target: &at,
                port: self.port(),
                path: &self.config.path,
                trust: self.trust.as_ref(),
                server_name: self.config.host.as_deref(),
                keys: keys.as_ref(),
                page_size: self.config.page_size,
            };
            (self.list(&caller, deadline).await, begun.elapsed())
        });
        let (listed, took) = match timeout_at(ahead_of(deadline), ask).await {
            Ok((listed, took)) => (listed.clone(), *took),
            Err(_) => (Err(Trouble::silent("another look at this cloud still waits for its answer")), Duration::ZERO),
        };
        let listings = match listed {
            Ok(listings) => listings,
            Err(trouble) => return trouble.observed(),
        };
        let seen = Observation::observed("").fact("port", "open").fact("api", "ok").fact("api_ms", millis(took));
        let seen = seen.measure("time", took.as_secs_f64(), "s");
        let seen = call::completeness(seen, &listings);
        if self.config.ask == Ask::Cloud {
            return Ok(self.heard.of_cloud(cloud::observe(seen, &listings), &listings, &target.host));
        }
        let wanted = self.wanted(target);
        let seen = thing::observe(seen, self.config.ask, &listings, &wanted);
        let name = seen.facts.get("name").and_then(Value::text).map(str::to_owned);
        let names: Vec<&str> = wanted.names.iter().copied().chain(name.as_deref()).collect();
        Ok(alerts::of_thing(seen, &listings, &names, self.env.clock.now()))
    }
}

impl CloudStack {
    fn port(&self) -> u16 {
        let usual = match (self.config.tls, &self.config.api_key_file) {
            (true, _) => PORT_TLS,
            (false, Some(_)) => PORT,
            (false, None) => PORT_INTEGRATION,
        };
        self.config.port.unwrap_or(usual)
    }

    fn wanted<'a>(&'a self, target: &'a Target) -> thing::Wanted<'a> {
        let names = match &self.config.name {
            Some(name) => vec![name.as_str()],
            None => vec![&*target.host, &*target.address],
        };
        thing::Wanted { names, zone: self.config.zone.as_deref() }
    }

    async fn keys(&self) -> Result<Option<Keys>, ProbeError> {
        let api_key = secret(self.config.api_key_file.as_deref()).await?;
        let secret_key = secret(self.config.secret_key_file.as_deref()).await?;
        Ok(api_key.zip(secret_key).map(|(api_key, secret_key)| Keys {
            api_key: api_key.trim().to_owned(),
            secret_key: secret_key.trim().to_owned(),
        }))
    }

    /// The place of the lists of this address; a new one where they are old.
    fn slot(&self, address: &Arc<str>) -> Arc<OnceCell<(Listed, Duration)>> {
        let now = Instant::now();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.len() >= KEPT_MAX && !shared.contains_key(address) {
            shared.retain(|_, (since, _)| now.saturating_duration_since(*since) < SHARED_FOR);
        }
        let slot = shared.entry(Arc::clone(address)).or_insert_with(|| (now, Arc::default()));
        if now.saturating_duration_since(slot.0) >= SHARED_FOR {
            *slot = (now, Arc::default());
        }
        Arc::clone(&slot.1)
    }

    async fn list(&self, caller: &Caller<'_>, deadline: Deadline) -> Listed {
        let mut all = Vec::new();
        for call in call::of(self.config.ask, &self.config) {
            if call.reach != Reach::Whole {
                all.push(aside(caller, &call, deadline).await);
                continue;
            }
            match caller.list(&call, deadline).await {
                Ok(listing) => all.push(listing),
                // The account may lack a right for one list, or an old release the list; the others still count.
                Err(trouble) if self.config.ask == Ask::Cloud && trouble.is_of_one_call() => {
                    all.push(Listing::refused(&call, &trouble));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        if let Some(trouble) = call::nothing_allowed(&all) {
            return Err(trouble);
        }
        Ok(Arc::new(all))
    }
}

/// A list that must not cost the others: it has half of the time that is left, and whatever goes wrong is its own affair.
async fn aside(caller: &Caller<'_>, call: &Call, deadline: Deadline) -> Listing {
    let now = Instant::now();
    let half = now + deadline.saturating_duration_since(now) / 2;
    match caller.list(call, half).await {
        Ok(listing) => listing,
        Err(trouble) => Listing::refused(call, &trouble),
    }
}
