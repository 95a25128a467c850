//! One list of the API over all of its pages, and how asking for it can fail.

use serde_json::Value;
use stentor_core::model::Observation;
use stentor_wire::cloudstack::{self, Keys, Refusal};

use super::super::api::request;
use super::super::fetch::{Exchange, Fetch, fetch};
use super::super::reach::{Port, closed};
use super::super::tls::Trust;
use super::super::{Deadline, Network, ProbeError, Target};
use super::alerts::NEWEST_MAX;
use super::{Ask, Config};

/// Lists of thousands of instances have some megabytes a page.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A server that counts without end is not followed without end.
const PAGES_MAX: u32 = 200;

/// A command that lists, the member of its answer that holds the list, and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub command: &'static str,
    pub item: &'static str,
    pub params: Vec<(&'static str, String)>,
    pub reach: Reach,
}

/// How much of a list is wanted, and how badly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reach {
    /// All of it.
    Whole,
    /// All of it; without it the others still say what they say, and are not held up by it.
    Aside,
    /// As `Aside`, the newest members only.
    Newest(u32),
}

/// The lists that are told beside others.
pub const ALERTS: &str = "listAlerts";
pub const SETTINGS: &str = "listConfigurations";

/// What a look asks for.
pub fn of(ask: Ask, config: &Config) -> Vec<Call> {
    let list = |command, item, params: &[(&'static str, &str)]| Call {
        command,
        item,
        params: params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        reach: Reach::Whole,
    };
    let alerts = Call { reach: Reach::Newest(NEWEST_MAX), ..list(ALERTS, "alert", &[]) };
    let hosts = list("listHosts", "host", &[("type", "Routing")]);
    let system_vms = list("listSystemVms", "systemvm", &[]);
    let routers = list("listRouters", "router", &[("listall", "true")]);
    // Routers of projects are in no other list; -1 stands for all projects.
    let of_projects = list("listRouters", "router", &[("listall", "true"), ("projectid", "-1")]);
    let pools = list("listStoragePools", "storagepool", &[]);
    let stores = list("listImageStores", "imagestore", &[]);
    let servers = list("listManagementServers", "managementserver", &[]);
    match ask {
        Ask::Host => {
            let tag = Call { reach: Reach::Aside, ..list(SETTINGS, "configuration", &[("name", "ha.tag")]) };
            vec![hosts, tag, alerts]
        }
        Ask::SystemVm => vec![system_vms, alerts],
        Ask::Router => vec![routers, of_projects, alerts],
        Ask::Pool => vec![pools],
        Ask::ImageStore => vec![stores],
        Ask::ManagementServer => vec![servers],
        Ask::Cloud => {
            let mut calls = vec![hosts, system_vms, routers, of_projects, pools, stores, servers];
            for name in &config.settings {
                calls.push(list(SETTINGS, "configuration", &[("name", name)]));
            }
            if config.vms {
                calls.push(list("listVirtualMachines", "virtualmachine", &[("listall", "true"), ("haenable", "true")]));
                calls.push(list("listVolumes", "volume", &[("listall", "true")]));
            }
            calls.push(alerts);
            calls
        }
    }
}

/// What a list brought.
#[derive(Clone, Debug)]
pub struct Listing {
    pub command: &'static str,
    pub reach: Reach,
    pub items: Vec<Value>,
    /// How many the server says there are, if it says so.
    pub count: Option<u64>,
    /// Why there is none.
    pub refusal: Option<(&'static str, String)>,
}

impl Listing {
    pub fn refused(call: &Call, trouble: &Trouble) -> Listing {
        let refusal = Some((trouble.word, trouble.why.clone()));
        Listing { command: call.command, reach: call.reach, items: Vec::new(), count: None, refusal }
    }

    fn is_whole(&self) -> bool {
        self.reach != Reach::Whole
            || self.refusal.is_none() && self.count.is_none_or(|count| self.items.len() as u64 >= count)
    }
}

/// Which lists are missing or shorter than they should be: nothing may be concluded from what is not in them.
pub fn completeness(seen: Observation, listings: &[Listing]) -> Observation {
    let mut missing: Vec<&str> = listings.iter().filter(|one| !one.is_whole()).map(|one| one.command).collect();
    missing.dedup();
    let seen = match listings
        .iter()
        .filter(|one| one.reach == Reach::Whole)
        .find_map(|one| Some((one.command, one.refusal.as_ref()?)))
    {
        Some((command, (_, why))) => seen.fact("missing_because", format!("{command}: {why}")),
        None => seen,
    };
    seen.fact("incomplete", missing)
}

/// No list at all, each refused: then the account is of no use, not the cloud half known.
pub fn nothing_allowed(listings: &[Listing]) -> Option<Trouble> {
    let first = listings.first()?.refusal.clone()?;
    let all = listings.iter().filter(|one| one.reach == Reach::Whole).all(|one| one.refusal.is_some());
    all.then_some(Trouble { port: None, word: first.0, why: first.1, closed: None, own: None })
}

/// Why there is no list at all.
#[derive(Clone, Debug)]
pub struct Trouble {
    port: Option<&'static str>,
    /// Of the fact `api`.
    pub word: &'static str,
    pub why: String,
    /// The port did not open; this is all there is to say.
    closed: Option<Observation>,
    /// Ours, not the server's.
    own: Option<String>,
}

impl Trouble {
    fn of(word: &'static str, why: impl Into<String>) -> Trouble {
        Trouble { port: Some("open"), word, why: why.into(), closed: None, own: None }
    }

    /// Nothing came in time, and nobody knows how far it came.
    pub fn silent(why: &str) -> Trouble {
        Trouble { port: None, ..Trouble::of("timeout", why) }
    }

    /// It says something about this command, not about the server.
    pub fn is_of_one_call(&self) -> bool {
        matches!(self.word, "not_allowed" | "bad_call")
    }

    /// # Errors
    /// The trouble is our own.
    pub fn observed(self) -> Result<Observation, ProbeError> {
        if let Some(own) = self.own {
            return Err(ProbeError::Failed(own));
        }
        if let Some(closed) = self.closed {
            return Ok(closed);
        }
        let seen = Observation::observed(format!("no answer of the API: {}", self.why)).fact("api", self.word);
        let seen = seen.fact("api_error", self.why);
        Ok(match self.port {
            Some(port) => seen.fact("port", port),
            None => seen,
        })
    }
}

/// Whom a look asks, and with which keys.
pub struct Caller<'a> {
    pub net: &'a Network,
    pub target: &'a Target,
    pub port: u16,
    pub path: &'a str,
    pub trust: Option<&'a Trust>,
    pub server_name: Option<&'a str>,
    pub keys: Option<&'a Keys>,
    pub page_size: u32,
}

impl Caller<'_> {
    /// All pages of a list.
    ///
    /// # Errors
    /// A page did not come.
    pub async fn list(&self, call: &Call, deadline: Deadline) -> Result<Listing, Trouble> {
        let (size, pages) = match call.reach {
            Reach::Newest(most) => (self.page_size.min(most), 1),
            Reach::Whole | Reach::Aside => (self.page_size, PAGES_MAX),
        };
        let size_written = size.to_string();
        let mut listing =
            Listing { command: call.command, reach: call.reach, items: Vec::new(), count: None, refusal: None };
        for page in 1..=pages {
            let number = page.to_string();
            let mut params: Vec<(&str, &str)> =
                call.params.iter().map(|(name, value)| (*name, value.as_str())).collect();
            params.extend([("page", number.as_str()), ("pagesize", size_written.as_str())]);
            let query = cloudstack::query(call.command, &params, self.keys);
            let answer = self.ask(&query, call.item, deadline).await?;
            let got = answer.items.len();
            listing.count = answer.count.or(listing.count);
            listing.items.extend(answer.items);
            let whole = listing.count.is_some_and(|count| listing.items.len() as u64 >= count);
            let last = listing.count.is_none() && got < size as usize;
            if got == 0 || whole || last {
                break;
            }
        }
        Ok(listing)
    }

    async fn ask(&self, query: &str, item: &str, deadline: Deadline) -> Result<cloudstack::Answer, Trouble> {
        let name = self.server_name.unwrap_or(&self.target.address);
        let name = if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() };
        let own = |error: ProbeError| Trouble { own: Some(error.to_string()), ..Trouble::of("", "") };
        let request =
            request(&format!("{}?{query}", self.path), &format!("{name}:{}", self.port), None).map_err(own)?;
        let fetched = fetch(
            Fetch {
                net: self.net,
                target: self.target,
                port: self.port,
                tls: self.trust,
                server_name: self.server_name,
                request,
                body_bytes_max: PAGE_BYTES_MAX,
            },
            deadline,
        );
        let fetched = fetched.await.map_err(own)?;
        if fetched.attempt.port != Port::Open {
            return Err(Trouble { closed: Some(closed(&fetched.attempt)), ..Trouble::of("", "") });
        }
        let refused = |refusal: Refusal| Trouble::of(refusal.word(), refusal.to_string());
        match fetched.exchange {
            Some(Exchange::Answer(answer)) if answer.truncated => {
                Err(Trouble::of("invalid", format!("the page is longer than {} MiB", PAGE_BYTES_MAX >> 20)))
            }
            Some(Exchange::Answer(answer)) => cloudstack::read(answer.status, &answer.body, item).map_err(refused),
            Some(Exchange::Timeout) => Err(Trouble::of("timeout", "no complete answer in time")),
            Some(Exchange::Broken(why)) => Err(Trouble::of("invalid", format!("no valid answer: {why}"))),
            None => {
                let why = fetched.tls.and_then(|tls| tls.error).unwrap_or_else(|| "no TLS".to_owned());
                Err(Trouble::of("tls", why))
            }
        }
    }
}
