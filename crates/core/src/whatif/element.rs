//! What may be assumed to fail, by the names of the command line: `host:clc1`, `feed:A`, `clc1/clc`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;

type Name = Arc<str>;

/// One thing, and how it fails.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Element {
    pub mode: Mode,
    /// Host, switch, feed, UPS, backend or zone.
    pub name: Name,
    /// Component key, where it is about one.
    pub component: Option<Name>,
    /// Kind of the resource that is missing.
    pub resource: Option<Name>,
}

#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Mode {
    /// The host has no power.
    Host,
    /// All hosts of the zone are gone, with their BMCs.
    Zone,
    Feed,
    /// The UPS gives no output.
    Ups,
    /// The switch, of a stack all members.
    Switch,
    /// What stands behind components: a SAN, Riak.
    Backend,
    /// The process is gone; in a shared JVM all of it.
    Component,
    Jvm,
    /// It lives and answers nobody.
    Hang,
    /// Something it needs is missing.
    Resource,
    /// The UPS runs on its battery.
    Battery,
    /// One member of a stack.
    Member,
    Psu,
    Raid,
    Bond,
    /// The paths to one controller of the SAN.
    Path,
    /// Every path to the SAN.
    Paths,
    Drbd,
    SplitBrain,
}

const MODES: [(&str, Mode); 19] = [
    ("host", Mode::Host),
    ("zone", Mode::Zone),
    ("feed", Mode::Feed),
    ("ups", Mode::Ups),
    ("switch", Mode::Switch),
    ("backend", Mode::Backend),
    ("component", Mode::Component),
    ("jvm", Mode::Jvm),
    ("hang", Mode::Hang),
    ("resource", Mode::Resource),
    ("battery", Mode::Battery),
    ("member", Mode::Member),
    ("psu", Mode::Psu),
    ("raid", Mode::Raid),
    ("bond", Mode::Bond),
    ("path", Mode::Path),
    ("paths", Mode::Paths),
    ("drbd", Mode::Drbd),
    ("splitbrain", Mode::SplitBrain),
];

impl Mode {
    pub fn as_str(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("host", |(word, _)| word)
    }

    const fn is_of_component(self) -> bool {
        matches!(self, Mode::Component | Mode::Hang | Mode::Resource)
    }
}

/// Why something cannot be assumed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnknownElement {
    #[error("`{0}` is nothing that can fail; write `host:NAME`, `HOST/COMPONENT`, or {kinds}", kinds = kinds())]
    Form(String),
    #[error("there is no {mode} `{name}` in the configuration")]
    Name { mode: &'static str, name: String, known: Vec<String> },
}

fn kinds() -> String {
    let words: Vec<String> = MODES.iter().skip(1).map(|(word, _)| format!("`{word}:`")).collect();
    words.join(", ")
}

impl Element {
    pub fn new(mode: Mode, name: &Name) -> Element {
        Element { mode, name: Arc::clone(name), component: None, resource: None }
    }

    pub fn component(mode: Mode, host: &Name, key: &Name) -> Element {
        Element { component: Some(Arc::clone(key)), ..Element::new(mode, host) }
    }

    /// Reads `KIND:NAME`, `HOST/COMPONENT`, `resource:HOST/COMPONENT=KIND`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Element, UnknownElement> {
        let refuse = || UnknownElement::Form(text.to_owned());
        let (mode, rest) = match text.split_once(':') {
            Some((word, rest)) => {
                let mode = MODES.iter().find(|(known, _)| *known == word.trim()).map(|(_, mode)| *mode);
                (mode.ok_or_else(refuse)?, rest.trim())
            }
            None => (Mode::Component, text.trim()),
        };
        if rest.is_empty() {
            return Err(refuse());
        }
        if !mode.is_of_component() {
            return Ok(Element::new(mode, &rest.into()));
        }
        let (rest, resource) = match rest.split_once('=') {
            Some((rest, kind)) if mode == Mode::Resource && !kind.is_empty() => (rest, Some(kind.into())),
            Some(_) => return Err(refuse()),
            None => (rest, None),
        };
        let (host, key) = rest.split_once('/').ok_or_else(refuse)?;
        if host.is_empty() || key.is_empty() {
            return Err(refuse());
        }
        Ok(Element { resource, ..Element::component(mode, &host.into(), &key.into()) })
    }

    /// Whether the configuration has it.
    ///
    /// # Errors
    /// It has not; with what it has of that kind.
    pub fn check(&self, catalog: &Catalog) -> Result<(), UnknownElement> {
        let known = known(self.mode, catalog);
        let own = match &self.component {
            Some(component) => format!("{}/{component}", self.name),
            None => self.name.to_string(),
        };
        if known.contains(&own) {
            return Ok(());
        }
        Err(UnknownElement::Name { mode: self.mode.as_str(), name: own, known: known.into_iter().collect() })
    }

    /// Every single thing of an installation whose loss is worth a look.
    pub fn all(catalog: &Catalog) -> Vec<Element> {
        let modes = [Mode::Zone, Mode::Feed, Mode::Ups, Mode::Switch, Mode::Member, Mode::Backend, Mode::Host];
        let mut all: Vec<Element> = Vec::new();
        let switches = known(Mode::Switch, catalog);
        for mode in modes {
            // A switch that is also asked as a host is one thing.
            let is_other = |name: &&String| mode != Mode::Host || !switches.contains(*name);
            all.extend(
                known(mode, catalog).iter().filter(is_other).map(|name| Element::new(mode, &name.as_str().into())),
            );
        }
        for name in known(Mode::Component, catalog) {
            all.extend(Element::parse(&name));
        }
        all
    }
}

/// The names that a mode can have here.
pub fn known(mode: Mode, catalog: &Catalog) -> BTreeSet<String> {
    let topologies = || catalog.clouds.iter().map(|cloud| &cloud.topology).chain([&catalog.outside]);
    let text = |name: &Name| name.to_string();
    match mode {
        Mode::Host | Mode::Psu | Mode::Raid | Mode::Bond | Mode::Path | Mode::Paths | Mode::Drbd | Mode::SplitBrain => {
            let vms = topologies().flat_map(|topology| topology.sysvms.keys());
            catalog.hosts.iter().map(|host| &host.name).chain(vms).map(text).collect()
        }
        Mode::Jvm => {
            let of = |topology: &'_ crate::diagnosis::Topology| {
                let java = |keys: &Vec<Name>| keys.iter().filter(|key| topology.jvm.contains(key)).count() > 0;
                topology
                    .hosts
                    .iter()
                    .filter(|(_, keys)| java(keys))
                    .map(|(host, _)| host.to_string())
                    .collect::<Vec<_>>()
            };
            topologies().flat_map(of).collect()
        }
        Mode::Zone => topologies().flat_map(|topology| topology.zones.keys()).map(text).collect(),
        Mode::Feed => {
            let declared = topologies().flat_map(|topology| topology.feeds.keys());
            let used = topologies().flat_map(|topology| topology.fed_by.values().flatten());
            declared.chain(used).map(text).collect()
        }
        Mode::Ups | Mode::Battery => {
            let sources = topologies().flat_map(|topology| topology.feeds.values());
            sources.filter(|source| *source != "mains").cloned().collect()
        }
        Mode::Switch => {
            let all = topologies().flat_map(|topology| topology.switches.keys().chain(&topology.mgmt_switch));
            all.map(text).collect()
        }
        Mode::Member => {
            let all = topologies().flat_map(|topology| &topology.switches);
            all.filter(|(_, kind)| *kind == "stack").map(|(name, _)| name.to_string()).collect()
        }
        Mode::Backend => topologies().flat_map(|topology| topology.backends.keys()).map(text).collect(),
        Mode::Component | Mode::Hang | Mode::Resource => {
            let of_host = |(host, keys): (&Name, &Vec<Name>)| {
                keys.iter().map(|key| format!("{host}/{key}")).collect::<Vec<String>>()
            };
            topologies().flat_map(|topology| topology.hosts.iter().flat_map(of_host)).collect()
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.mode.as_str(), self.name)?;
        if let Some(component) = &self.component {
            write!(f, "/{component}")?;
        }
        if let Some(resource) = &self.resource {
            write!(f, "={resource}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Element {
    type Error = UnknownElement;

    fn try_from(text: String) -> Result<Element, UnknownElement> {
        Element::parse(&text)
    }
}

impl From<Element> for String {
    fn from(element: Element) -> String {
        element.to_string()
    }
}
