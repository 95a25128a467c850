//! `redfish_events`: keeps a subscription of ours at the controller's event service, so that it tells of a fault at once.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::redfish::Node;
use stentor_wire::redfish::event::context;
use stentor_wire::redfish::service::{EventService, Subscription};

use super::connection::Ask;
use super::session::Link;
use super::{Config, RedfishError, Way, read_secret, unreachable};
use crate::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

/// Bytes of a secret below which a context token could be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// Where events go, and what they carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscriber {
    pub destination: String,
    pub context: String,
}

/// What a renewal found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    Kept,
    Created,
    /// There was one that no longer served.
    Renewed,
    /// The service sends no events.
    Unsupported,
    Disabled,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Standing::Kept => "kept",
            Standing::Created => "created",
            Standing::Renewed => "renewed",
            Standing::Unsupported => "unsupported",
            Standing::Disabled => "disabled",
        }
    }
}

impl Subscriber {
    pub(super) async fn renew(&self, link: &mut Link<'_>) -> Result<Standing, RedfishError> {
        let Some(path) = link.root().await?.event_service else { return Ok(Standing::Unsupported) };
        let service = match link.get(&path).await {
            Err(RedfishError::Missing(_)) => return Ok(Standing::Unsupported),
            other => EventService::read(&*other?),
        };
        if !service.is_enabled {
            return Ok(Standing::Disabled);
        }
        let Some(subscriptions) = service.subscriptions.clone() else { return Ok(Standing::Unsupported) };
        let mut unread = Vec::new();
        let known = link.collection(&subscriptions, &mut unread).await?;
        let known: Vec<Subscription> = known.iter().map(|value| Subscription::read(Node::of(value))).collect();
        // Some services keep the context to themselves: then the destination alone has to tell.
        let is_ours = |one: &&Subscription| one.destination == self.destination;
        let serves = |one: &&Subscription| one.is_well && (one.context.is_empty() || one.context == self.context);
        let ours: Vec<&Subscription> = known.iter().filter(is_ours).collect();
        let kept = ours.iter().copied().find(|one| serves(one));
        let stale: Vec<&Subscription> =
            ours.iter().copied().filter(|one| kept.is_none_or(|kept| kept.path != one.path)).collect();
        for path in stale.iter().filter_map(|one| one.path.as_deref()) {
            match link.change(Ask::delete(path)).await {
                // It is gone, whoever was faster.
                Ok(_) | Err(RedfishError::Status { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if kept.is_some() {
            return Ok(Standing::Kept);
        }
        let body = service.subscription(&self.destination, &self.context);
        link.change(Ask::post(&subscriptions, &body)).await?;
        Ok(if stale.is_empty() { Standing::Created } else { Standing::Renewed })
    }
}

/// Parameters: those of `redfish`, and where the events are to go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    port: Option<u16>,
    ca_file: Option<PathBuf>,
    fingerprint: Option<String>,
    insecure: bool,
    basic: bool,
    system: Option<String>,
    /// How the controller reaches this Stentor: `https://stentor.example:8460`.
    url: Option<String>,
    /// File with a secret that the context tokens are made of.
    token_file: Option<String>,
}

/// Keeps the subscription of one controller.
pub struct RedfishEvents {
    way: Way,
    /// How the controller reaches us, and the file with our secret.
    home: Option<(String, String)>,
}

impl Probe for RedfishEvents {
    const KIND: &'static str = "redfish_events";
    const DOC: &'static str = include_str!("../../../../docs/probes/redfish_events.md");
    type Config = EventsConfig;

    fn build(config: EventsConfig, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `redfish_events`: {why}") };
        let EventsConfig { port, ca_file, fingerprint, insecure, basic, system, url, token_file } = config;
        // The pack cannot know either; who asks for the check gives both.
        let home = match (url, token_file) {
            (None, None) => None,
            (Some(url), Some(token_file)) => Some((url.trim_end_matches('/').to_owned(), token_file)),
            _ => return Err(refuse("`url` and `token_file` belong together")),
        };
        let is_fit = |url: &str| {
            let host = url.strip_prefix("https://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
            host.is_some() && !url.contains(['?', '#', ' '])
        };
        if home.as_ref().is_some_and(|(url, _)| !is_fit(url)) {
            return Err(refuse("`url` must be an https:// address: tokens and events do not travel in the open"));
        }
        let config = Config { port, ca_file, fingerprint, insecure, basic, system };
        let way = Way::build(Self::KIND, config, env)?;
        Ok(RedfishEvents { way, home })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let missing =
            || ProbeError::Failed("`url` and `token_file` are missing: where the events are to go".to_owned());
        let (url, token_file) = self.home.as_ref().ok_or_else(missing)?;
        let secret = read_secret(token_file, deadline).await?;
        if secret.len() < SECRET_BYTES_MIN {
            let text = format!("the secret in `{}` is shorter than {SECRET_BYTES_MIN} bytes", token_file);
            return Err(ProbeError::Failed(text));
        }
        let access = self.way.access(target, deadline).await?;
        let destination = format!("{url}/api/v1/redfish/events/{}", percent(&target.host));
        let subscriber = Subscriber { destination, context: context(secret.as_bytes(), &target.host) };
        let standing = match self.way.client.subscribe(&self.way.net, access, subscriber, deadline).await {
            Ok(standing) => standing,
            Err(RedfishError::Unreachable(why)) => return Ok(unreachable(&why)),
            Err(error) => return Err(error.into()),
        };
        let text = match standing {
            Standing::Kept => "the controller sends its events here",
            Standing::Created => "subscribed to the controller's events",
            Standing::Renewed => "subscribed anew to the controller's events",
            Standing::Unsupported => "the controller has no event service",
            Standing::Disabled => "the controller's event service is switched off",
        };
        let is_subscribed = matches!(standing, Standing::Kept | Standing::Created | Standing::Renewed);
        Ok(Observation::observed(text)
            .fact("bmc", "ok")
            .fact("subscription", standing.word())
            .fact("subscribed", is_subscribed))
    }
}

/// A host's name as one segment of a path (RFC 3986 §2.3).
fn percent(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
