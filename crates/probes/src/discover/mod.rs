//! Discovery: what answers at a range of addresses. It only looks; nothing of it is watched before somebody accepts it.

mod bmc;
mod cloud;
mod login;
mod looks;
pub mod range;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use stentor_core::model::{Observation, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{Blind, Network, ProbeEnv, ProbeError, Target};
use crate::clock::Clock;

pub use bmc::Controller;
pub use cloud::{Component, Web};
pub use login::{Agent, Inside};

/// What is looked for, with the port where it usually is. Names are those of `--port NAME=PORT`.
pub const PORTS: &[(&str, u16)] = &[
    ("ssh", 22),
    ("smtp", 25),
    ("dns", 53),
    ("http", 80),
    ("imap", 143),
    ("snmp", 161),
    ("https", 443),
    ("redfish", 443),
    ("ipmi", 623),
    ("mysql", 3306),
    ("keystone", 5000),
    ("postgresql", 5432),
    ("amqp", 5672),
    ("redis", 6379),
    ("proxmox", 8006),
    ("cloudstack", 8080),
    ("cloudstack_agents", 8250),
    ("eucalyptus", 8773),
    ("eucalyptus_cc", 8774),
    ("nova", 8774),
    ("eucalyptus_nc", 8775),
    ("cinder", 8776),
    ("cloudstack_cluster", 9090),
    ("glance", 9292),
    ("neutron", 9696),
];

/// What to look for and how.
#[derive(Clone)]
pub struct Wish {
    pub net: Network,
    pub clock: Clock,
    /// Other ports than the usual, by name of [`PORTS`].
    pub ports: BTreeMap<String, u16>,
    /// Time for each single answer.
    pub patience: Duration,
    /// Addresses looked at together.
    pub at_once: usize,
    /// Connections and datagrams a second, in all.
    pub per_second: u32,
    pub bmc_login: Option<BmcLogin>,
    /// File with the SNMP community; `None` = SNMP is not asked.
    pub community_file: Option<String>,
}

/// Who may look into controllers.
#[derive(Clone, Debug)]
pub struct BmcLogin {
    pub user: String,
    pub password_file: String,
}

/// An address to look at, with the name it was given by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    pub name: String,
    pub address: IpAddr,
}

/// What was found at one address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub name: String,
    pub address: String,
    /// It answers pings, or refuses connections.
    pub is_alive: bool,
    pub does_ping: bool,
    pub services: Vec<Service>,
    pub webs: Vec<Web>,
    pub components: Vec<Component>,
    pub bmc: Option<Controller>,
    pub agent: Option<Agent>,
    /// What the controller told under the login.
    pub inside: Option<Inside>,
}

/// A port behind which a known service was recognized.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// As [`PORTS`] has it.
    pub name: &'static str,
    pub port: u16,
    pub usual_port: u16,
    /// What it said of itself.
    pub text: String,
}

impl Found {
    /// There is something to watch.
    pub fn is_anything(&self) -> bool {
        self.is_alive || self.bmc.is_some() || self.agent.is_some() || !self.services.is_empty()
    }
}

/// Looks at all places, some at a time; each comes as it is done. Dropping the stream stops.
pub fn discover(wish: &Wish, places: Vec<Place>) -> impl Stream<Item = Found> + use<> {
    let scout = Scout::new(wish);
    let at_once = wish.at_once.max(1);
    stream::iter(places)
        .map(move |place| {
            let scout = scout.clone();
            async move { scout.look_at(place).await }
        })
        .buffer_unordered(at_once)
}

/// One search with its pace. Cheap to clone.
#[derive(Clone)]
struct Scout {
    wish: Arc<Wish>,
    pace: Arc<Mutex<Interval>>,
}

impl Scout {
    fn new(wish: &Wish) -> Scout {
        let mut pace = interval(Duration::from_secs(1) / wish.per_second.max(1));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Scout { wish: Arc::new(wish.clone()), pace: Arc::new(Mutex::new(pace)) }
    }

    /// Waits for the next free moment.
    async fn turn(&self) {
        self.pace.lock().await.tick().await;
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.wish.patience
    }

    fn port(&self, name: &str) -> u16 {
        let usual = PORTS.iter().find(|(known, _)| *known == name).map_or(0, |(_, port)| *port);
        self.wish.ports.get(name).copied().unwrap_or(usual)
    }

    /// One run of a probe as the service would do it; `None` where the probe could not look.
    async fn probe(&self, kind: &str, target: &Target, params: Value) -> Option<Observation> {
        let env = ProbeEnv { net: self.wish.net.clone(), view: Arc::new(Blind), clock: self.wish.clock.clone() };
        let probe = (super::find(kind)?.build)(&params, &env);
        let probe = probe.inspect_err(|error| tracing::warn!(%error, "discovery cannot look with `{kind}`")).ok()?;
        self.turn().await;
        match probe.run(target, self.deadline()).await {
            Ok(seen) => Some(seen),
            Err(error @ (ProbeError::Failed(_) | ProbeError::MissingRight(_) | ProbeError::Timeout(_))) => {
                tracing::debug!(%error, "discovery learned nothing by `{kind}`");
                None
            }
        }
    }

    async fn look_at(&self, place: Place) -> Found {
        let target = Target { host: place.name.as_str().into(), address: place.address.to_string().into(), bmc: None };
        let mut found = Found { name: place.name, address: place.address.to_string(), ..Found::default() };
        let (ping, services, webs, bmc) =
            tokio::join!(self.ping(&target), self.services(&target), self.webs(&target), self.controller(&target));
        found.does_ping = ping;
        found.is_alive = ping || services.is_alive || webs.is_alive;
        found.services = services.found;
        (found.webs, found.components) = (webs.webs, webs.components);
        found.bmc = bmc;
        found.agent = self.agent(&target).await;
        if let Some(bmc) = &mut found.bmc {
            found.inside = self.inside(&target, bmc).await;
            // The controller's own page is no website.
            let own = bmc.redfish_port;
            found.webs.retain(|web| Some(web.port) != own);
        }
        found
    }
}

/// Parameters of a probe.
fn params<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    pairs.into_iter().collect()
}

/// A fact as text.
fn fact(seen: &Observation, name: &str) -> String {
    seen.facts.get(name).map(ToString::to_string).unwrap_or_default()
}
