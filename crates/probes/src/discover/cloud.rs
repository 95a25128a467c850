//! Websites and the parts of clouds, told apart by what their pages say.

use http_body_util::Empty;
use hyper::Request;
use hyper::header::{CONNECTION, HOST};

use super::Scout;
use crate::Target;
use crate::fetch::{Answer, BODY_BYTES_MAX, Exchange, Fetch, fetch};
use crate::heartbeat::parse_heartbeat;
use crate::reach::Port;
use crate::tls::Trust;

/// A page that answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Web {
    pub port: u16,
    pub tls: bool,
    pub path: &'static str,
    pub status: u16,
    /// What it is, where that was recognized: `OpenStack Keystone`.
    pub what: &'static str,
}

/// A component that a pack knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Component {
    pub platform: &'static str,
    pub key: &'static str,
    pub port: u16,
}

/// A page to ask for, and what must be in it to be that.
struct Page {
    port: &'static str,
    tls: bool,
    path: &'static str,
    sign: &'static str,
    what: &'static str,
    component: Option<(&'static str, &'static str)>,
}

const fn page(port: &'static str, tls: bool, path: &'static str, sign: &'static str, what: &'static str) -> Page {
    Page { port, tls, path, sign, what, component: None }
}

const fn part(port: &'static str, path: &'static str, sign: &'static str, key: &'static str) -> Page {
    Page { port, tls: false, path, sign, what: "", component: Some(("eucalyptus", key)) }
}

/// In the order in which they are tried; of one port the first that fits counts. Signs as the projects' own pages have them.
const PAGES: &[Page] = &[
    page("http", false, "/", "", ""),
    page("https", true, "/", "", ""),
    page("keystone", false, "/v3", "\"version\"", "OpenStack Keystone"),
    page("nova", false, "/", "\"versions\"", "OpenStack Nova"),
    page("cinder", false, "/", "\"versions\"", "OpenStack Cinder"),
    page("glance", false, "/", "\"versions\"", "OpenStack Glance"),
    page("neutron", false, "/", "\"versions\"", "OpenStack Neutron"),
    page("proxmox", true, "/", "Proxmox", "Proxmox VE"),
    page("cloudstack", false, "/client/", "CloudStack", "CloudStack management server"),
    part("eucalyptus_cc", "/axis2/services", "EucalyptusCC", "cc"),
    part("eucalyptus_nc", "/axis2/services", "EucalyptusNC", "nc"),
];

/// Ports of CloudStack that say nothing; they count where the management server was recognized.
const CLOUDSTACK_OPEN: &[(&str, &str)] =
    &[("cloudstack_agents", "CloudStack agents' port"), ("cloudstack_cluster", "CloudStack cluster port")];

/// Names on the heartbeat page, and the components whose they are.
const HEARTBEATS: &[(&str, &str)] = &[
    ("eucalyptus", "clc"),
    ("compute", "ufs"),
    ("walrusbackend", "walrus"),
    ("storage", "sc"),
    ("vmwarebroker", "vb"),
];

#[derive(Default)]
pub(super) struct Webs {
    pub webs: Vec<Web>,
    pub components: Vec<Component>,
    pub is_alive: bool,
}

impl Scout {
    pub(super) async fn webs(&self, target: &Target) -> Webs {
        let (pages, hearts) = tokio::join!(
            futures_util::future::join_all(PAGES.iter().map(|page| self.page(target, page))),
            self.hearts(target)
        );
        let mut all = Webs { components: hearts, ..Webs::default() };
        all.is_alive = !all.components.is_empty();
        for (page, (web, is_alive)) in PAGES.iter().zip(pages) {
            all.is_alive |= is_alive;
            let Some(web) = web else { continue };
            match page.component {
                Some((platform, key)) => all.components.push(Component { platform, key, port: web.port }),
                None if all.webs.iter().all(|known| known.port != web.port) => all.webs.push(web),
                None => {}
            }
        }
        if all.webs.iter().any(|web| web.what.starts_with("CloudStack")) {
            for (name, what) in CLOUDSTACK_OPEN {
                let port = self.port(name);
                if self.knock(target, port).await == Some(Port::Open) {
                    all.webs.push(Web { port, tls: false, path: "", status: 0, what });
                }
            }
        }
        all
    }

    async fn page(&self, target: &Target, page: &Page) -> (Option<Web>, bool) {
        let port = self.port(page.port);
        match self.knock(target, port).await {
            Some(Port::Open) => {}
            other => return (None, other == Some(Port::Refused)),
        }
        let Some(answer) = self.fetch(target, port, page.tls, page.path).await else { return (None, true) };
        let is_it = page.sign.is_empty() || String::from_utf8_lossy(&answer.body).contains(page.sign);
        let web = Web { port, tls: page.tls, path: page.path, status: answer.status, what: page.what };
        (is_it.then_some(web), true)
    }

    /// The components of Eucalyptus that are at home in the Java process of this host.
    async fn hearts(&self, target: &Target) -> Vec<Component> {
        let port = self.port("eucalyptus");
        if self.knock(target, port).await != Some(Port::Open) {
            return Vec::new();
        }
        let Some(answer) = self.fetch(target, port, false, "/services/Heartbeat").await else { return Vec::new() };
        let lines = parse_heartbeat(&String::from_utf8_lossy(&answer.body));
        let local = |name: &str| lines.iter().any(|line| line.local && line.name == name);
        let known = HEARTBEATS.iter().filter(|(name, _)| local(name));
        known.map(|(_, key)| Component { platform: "eucalyptus", key, port }).collect()
    }

    async fn fetch(&self, target: &Target, port: u16, tls: bool, path: &str) -> Option<Answer> {
        self.fetch_with_certificate(target, port, tls, path).await.map(|(answer, _)| answer)
    }

    /// The page and the certificate's fingerprint, whatever the certificate is: nothing secret is sent.
    pub(super) async fn fetch_with_certificate(
        &self,
        target: &Target,
        port: u16,
        tls: bool,
        path: &str,
    ) -> Option<(Answer, Option<String>)> {
        let trust = Trust::everything();
        let host =
            if target.address.contains(':') { format!("[{}]", target.address) } else { target.address.to_string() };
        let request = Request::get(path)
            .header(HOST, format!("{host}:{port}"))
            .header(CONNECTION, "close")
            .body(Empty::new())
            .ok()?;
        let ask = Fetch {
            net: &self.wish.net,
            target,
            port,
            tls: tls.then_some(&trust),
            server_name: None,
            request,
            body_bytes_max: BODY_BYTES_MAX,
        };
        self.turn().await;
        let fetched = fetch(ask, self.deadline()).await.ok()?;
        let fingerprint = fetched.tls.and_then(|tls| tls.fingerprint);
        match fetched.exchange? {
            Exchange::Answer(answer) => Some((answer, fingerprint)),
            Exchange::Timeout | Exchange::Broken(_) => None,
        }
    }
}
