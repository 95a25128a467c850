//! Services that say who they are: SSH, SMTP, IMAP, DNS, Redis; and ports that are merely open.

use stentor_core::model::Value;

use super::{PORTS, Scout, Service, fact, params};
use crate::Target;
use crate::reach::{Port, reach};
use crate::talk::shown;

/// Services that a probe of their own recognizes: name, kind of the probe, fact and its words.
const RECOGNIZED: &[(&str, &str, &str)] =
    &[("ssh", "ssh", "ssh"), ("smtp", "smtp", "smtp"), ("imap", "imap", "imap"), ("redis", "redis", "redis")];

/// Services whose port alone is looked at: they say nothing before a login.
const OPEN: &[&str] = &["mysql", "postgresql", "amqp"];

/// What was found, and whether anything answered at all, be it with a refusal.
#[derive(Default)]
pub(super) struct Services {
    pub found: Vec<Service>,
    pub is_alive: bool,
}

impl Scout {
    pub(super) async fn ping(&self, target: &Target) -> bool {
        let seen = self.probe("ping", target, params([("packets", Value::from(2u32))])).await;
        seen.is_some_and(|seen| fact(&seen, "ping") == "ok")
    }

    /// How the port answers; `None` where we could not ask.
    pub(super) async fn knock(&self, target: &Target, port: u16) -> Option<Port> {
        self.turn().await;
        reach(&self.wish.net, target, port, self.deadline()).await.ok().map(|attempt| attempt.port)
    }

    pub(super) async fn services(&self, target: &Target) -> Services {
        let recognized = RECOGNIZED.iter().map(|(name, kind, word)| self.recognize(target, name, kind, word));
        let open = OPEN.iter().map(|name| self.open(target, name));
        let (recognized, open, dns) = tokio::join!(
            futures_util::future::join_all(recognized),
            futures_util::future::join_all(open),
            self.name_server(target)
        );
        let mut all = Services::default();
        for (service, is_alive) in recognized.into_iter().chain(open) {
            all.found.extend(service);
            all.is_alive |= is_alive;
        }
        all.is_alive |= dns.is_some();
        all.found.extend(dns);
        all
    }

    fn service(&self, name: &'static str, text: &str) -> Service {
        let usual_port = PORTS.iter().find(|(known, _)| *known == name).map_or(0, |(_, port)| *port);
        Service { name, port: self.port(name), usual_port, text: shown(text) }
    }

    async fn recognize(&self, target: &Target, name: &'static str, kind: &str, word: &str) -> (Option<Service>, bool) {
        let port = Value::from(u32::from(self.port(name)));
        match self.knock(target, self.port(name)).await {
            Some(Port::Open) => {}
            other => return (None, other == Some(Port::Refused)),
        }
        let Some(seen) = self.probe(kind, target, params([("port", port)])).await else { return (None, true) };
        // A service that wants a login, or lets nobody in, is one all the same.
        let is_it =
            !["", "timeout", "closed", "invalid", "tls", "no_common_cipher"].contains(&fact(&seen, word).as_str());
        (is_it.then(|| self.service(name, &seen.text)), true)
    }

    async fn open(&self, target: &Target, name: &'static str) -> (Option<Service>, bool) {
        match self.knock(target, self.port(name)).await {
            Some(Port::Open) => (Some(self.service(name, "the port is open")), true),
            other => (None, other == Some(Port::Refused)),
        }
    }

    /// A server that has the root's servers, or says that it will not tell.
    async fn name_server(&self, target: &Target) -> Option<Service> {
        let port = Value::from(u32::from(self.port("dns")));
        let asked = params([("name", Value::from(".")), ("type", Value::from("NS")), ("port", port)]);
        let seen = self.probe("dns", target, asked).await?;
        (fact(&seen, "dns") == "ok").then(|| self.service("dns", &seen.text))
    }
}
