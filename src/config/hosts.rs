//! `[[host]]`: addresses, places, parents, components, management controllers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use stentor_core::catalog::{Bmc, Component, Host, View, Zone};
use stentor_core::id::{CloudId, ComponentId, HostId, ZoneId};
use stentor_core::model::Value;
use stentor_wire::ipmi::Suite;

use super::finding::{Diagnostics, Place, suggest};
use super::named_file;
use super::objects::Builder;
use super::tree::{At, Section, word};
use super::{all, objects::Names};

/// A host with what the later steps need of its table.
pub(super) struct ReadHost<'a> {
    pub(super) id: HostId,
    pub(super) section: Section<'a>,
    pub(super) feeds: Vec<At<&'a str>>,
    pub(super) switches: Vec<At<&'a str>>,
    pub(super) vm_on: Option<At<&'a str>>,
}

/// IPMI over LAN (IPMI 2.0 §13.1.1).
const BMC_PORT: u16 = 623;

/// Reads all hosts, then what they say of each other.
pub(super) fn read<'a>(roots: &[Section<'a>], builder: &mut Builder<'_>, found: &mut Diagnostics) -> Vec<ReadHost<'a>> {
    let mut hosts = Vec::new();
    for section in all(roots, "host", "[[host]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        check_name(&name, found);
        if builder.hosts.define(&name, found).is_none() {
            continue;
        }
        let id = HostId::from_index(builder.catalog.hosts.len());
        let host = read_host(&section, &name, builder, found);
        builder.catalog.hosts.push(host);
        hosts.push(ReadHost {
            id,
            feeds: section.texts("psu_feeds", found),
            switches: section.texts("switch_ports", found),
            vm_on: section.text("vm_on", found),
            section,
        });
    }
    for host in &hosts {
        let parents = host.section.texts("parents", found);
        let parents = parents.iter().filter_map(|parent| builder.hosts.find(parent, found)).map(HostId::from_index);
        builder.catalog.hosts[host.id.index()].parents = parents.collect();
    }
    refuse_cycles(&hosts, builder, found);
    for host in &hosts {
        read_components(host, builder, found);
    }
    for (i, host) in builder.catalog.hosts.iter().enumerate() {
        if let Some(cloud) = host.cloud {
            builder.catalog.clouds[cloud.index()].hosts.push(HostId::from_index(i));
        }
    }
    hosts
}

/// Names travel in URLs, mail subjects and `host/service` keys.
fn bad_in_name(name: &str) -> Option<char> {
    name.chars().find(|c| matches!(c, '/' | ';' | '!' | '"' | '\\') || c.is_control())
}

/// Whether a host may have that name.
pub(super) fn is_name(name: &str) -> bool {
    bad_in_name(name).is_none()
}

fn check_name(name: &At<&str>, found: &mut Diagnostics) {
    if let Some(bad) = bad_in_name(name.value) {
        let message = format!("a name must not contain {bad:?}");
        found.error("bad-name", &name.at, message, "names travel in URLs and commands");
    }
}

fn read_host(section: &Section<'_>, name: &At<&str>, builder: &mut Builder<'_>, found: &mut Diagnostics) -> Host {
    const VIEWS: &[(&str, View)] =
        &[("local", View::Local), ("agent", View::Agent), ("ssh", View::Ssh), ("none", View::None)];
    let address = section.text("address", found).unwrap_or_else(|| name.clone());
    check_address(&address, found);
    let zone = section.text("zone", found).and_then(|text| builder.zones.find(&text, found));
    let zone = zone.map_or_else(|| default_zone(builder), ZoneId::from_index);
    let id = HostId::from_index(builder.catalog.hosts.len());
    let bmc = section.section("bmc", "bmc", found).map(|bmc| (read_bmc(&bmc, builder, found), read_ways(&bmc, found)));
    let cloud = section.text("cloud", found).and_then(|text| builder.clouds.find(&text, found));
    let cloud = cloud.map(CloudId::from_index).or(builder.catalog.zones[zone.index()].cloud);
    Host {
        name: name.value.into(),
        display: section.text_or("display", name.value, found).into(),
        address: address.value.into(),
        zone,
        cloud,
        parents: Vec::new(),
        components: Vec::new(),
        check: None,
        params: Value::Null,
        view: section.text("view", found).and_then(|text| word(&text, "view", VIEWS, found)).unwrap_or(View::None),
        bmc: bmc.map(|(bmc, ways)| {
            builder.bmcs.insert(id, ways);
            bmc
        }),
        services: Vec::new(),
    }
}

/// Hosts without a zone stand in one of the site's name.
pub(super) fn default_zone(builder: &mut Builder<'_>) -> ZoneId {
    let name: Arc<str> = Arc::clone(&builder.catalog.site);
    let known = builder.catalog.zones.iter().position(|zone| zone.name == name && zone.cloud.is_none());
    ZoneId::from_index(known.unwrap_or_else(|| {
        builder.catalog.zones.push(Zone { name, cloud: None });
        builder.catalog.zones.len() - 1
    }))
}

/// An IP address or a name that DNS could know (RFC 1123 §2.1, and underscores that people use).
pub(super) fn is_address(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    // All digits and dots can only be meant as IPv4.
    let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_name = !numeric && text.len() <= 253 && text.trim_end_matches('.').split('.').all(label);
    text.parse::<IpAddr>().is_ok() || is_name
}

fn check_address(address: &At<&str>, found: &mut Diagnostics) {
    let text = address.value;
    if !is_address(text) {
        let help = "write an IPv4 or IPv6 address or a DNS name, without port";
        found.error("bad-address", &address.at, format!("`{text}` is not an address"), help);
    }
}

fn read_bmc(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Bmc {
    let address = section.needed("address", found);
    if let Some(address) = &address {
        check_address(address, found);
    }
    let password = section.needed("password_file", found);
    let password = password.map(|text| named_file(&text, &builder.settings.folder, found));
    let suite = section.has("suite").then(|| section.whole_or("suite", 17, 0..=255, found));
    let suite = suite.and_then(|suite| u8::try_from(suite).ok());
    if let Some(Err(refused)) = suite.map(Suite::try_from) {
        let help = "leave it out to try 17 (HMAC-SHA256), then 3 (HMAC-SHA1)";
        found.error("bad-suite", &section.at, refused.to_string(), help);
    }
    Bmc {
        address: address.map_or("", |address| address.value).into(),
        port: u16::try_from(section.whole_or("port", u64::from(BMC_PORT), 1..=65_535, found)).unwrap_or(BMC_PORT),
        user: section.needed("user", found).map_or("", |user| user.value).into(),
        password_file: password.unwrap_or_default().to_string_lossy().into(),
        suite,
    }
}

/// The ways in which a BMC is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BmcWays {
    pub(super) ipmi: bool,
    pub(super) redfish: bool,
    /// What all Redfish checks of the host are asked with: certificate, port, which system.
    pub(super) params: Value,
}

impl BmcWays {
    /// Whether a probe of that kind fits. Of other kinds any BMC will do.
    pub(super) fn suit(&self, probe: &str) -> bool {
        match probe {
            "ipmi" => self.ipmi,
            "redfish" | "redfish_events" => self.redfish,
            _ => true,
        }
    }
}

fn read_ways(section: &Section<'_>, found: &mut Diagnostics) -> BmcWays {
    let params = if section.has("redfish") { section.map("redfish", found) } else { Value::Null };
    let mut ways = BmcWays { ipmi: !section.has("redfish"), redfish: section.has("redfish"), params };
    if section.has("protocols") {
        const WORDS: &[(&str, bool)] = &[("ipmi", false), ("redfish", true)];
        let named = section.texts("protocols", found);
        let named: Vec<bool> = named.iter().filter_map(|text| word(text, "protocols", WORDS, found)).collect();
        (ways.ipmi, ways.redfish) = (named.contains(&false), named.contains(&true));
    }
    ways
}

/// Walks up from every host; a host met twice on one way is its own ancestor.
fn refuse_cycles(read: &[ReadHost<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnTheWay,
        Clean,
    }
    let hosts = &mut builder.catalog.hosts;
    let mut seen = vec![Seen::No; hosts.len()];
    for start in 0..hosts.len() {
        // An explicit stack: a chain of parents may be as long as the table.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        if seen[start] != Seen::No {
            continue;
        }
        seen[start] = Seen::OnTheWay;
        while let Some((host, next)) = way.last_mut() {
            let Some(parent) = hosts[*host].parents.get(*next).map(|parent| parent.index()) else {
                seen[*host] = Seen::Clean;
                way.pop();
                continue;
            };
            *next += 1;
            match seen[parent] {
                Seen::Clean => {}
                Seen::No => {
                    seen[parent] = Seen::OnTheWay;
                    way.push((parent, 0));
                }
                Seen::OnTheWay => {
                    let from = way.iter().position(|(host, _)| *host == parent).unwrap_or(0);
                    let mut names: Vec<&str> = way[from..].iter().map(|(host, _)| &*hosts[*host].name).collect();
                    names.push(&hosts[parent].name);
                    let message = format!("parents in a circle: {}", names.join(" -> "));
                    let place = read.iter().find(|host| host.id.index() == parent).map(|host| &host.section);
                    let place = place.and_then(|section| section.node("parents")).map(|node| node.at.clone());
                    let help = "a parent is nearer to Stentor than its child: remove one of these links";
                    found.error("cyclic-parents", &place.unwrap_or_default(), message, help);
                }
            }
        }
    }
    if found.findings.iter().any(|finding| finding.code == "cyclic-parents") {
        hosts.iter_mut().for_each(|host| host.parents.clear());
    }
}

/// `components = ["eucalyptus/clc"]`.
fn read_components(host: &ReadHost<'_>, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    attach(host.id, &host.section.texts("components", found), builder, found);
}

/// Gives a host the components of these names.
pub(super) fn attach(host: HostId, names: &[At<&str>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for text in names {
        let known = builder.packs.iter().find_map(|pack| {
            let (platform, key) = text.value.split_once('/')?;
            let component = pack.platform.components.iter().find(|component| &*component.key == key)?;
            (*pack.platform.key == *platform).then_some((&pack.platform, component))
        });
        let Some((platform, component)) = known else {
            let names: Vec<String> = builder
                .packs
                .iter()
                .flat_map(|pack| pack.platform.components.iter().map(|c| format!("{}/{}", pack.platform.key, c.key)))
                .collect();
            let help = match names.iter().find(|name| name.split_once('/').is_some_and(|(_, key)| key == text.value)) {
                Some(full) => format!("write `{full}`"),
                None => suggest(text.value, names.iter().map(String::as_str)),
            };
            found.error("unknown-component", &text.at, format!("unknown component `{}`", text.value), help);
            continue;
        };
        if seen.insert(text.value, text.at.clone()).is_some() {
            found.error("duplicate", &text.at, format!("component `{}` twice on one host", text.value), "");
            continue;
        }
        if !settle_cloud(host, &platform.key, text, builder, found) {
            continue;
        }
        let id = ComponentId::from_index(builder.catalog.components.len());
        builder.catalog.components.push(Component {
            host,
            key: Arc::clone(&component.key),
            platform: Arc::clone(&platform.key),
            services: Vec::new(),
        });
        builder.catalog.hosts[host.index()].components.push(id);
    }
}

/// A host with a component belongs to a cloud of that platform: its own, or the only one there is.
fn settle_cloud(
    host: HostId,
    platform: &str,
    text: &At<&str>,
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) -> bool {
    let clouds = &builder.catalog.clouds;
    let row = &mut builder.catalog.hosts[host.index()];
    let of_platform: Vec<usize> = (0..clouds.len()).filter(|i| &*clouds[*i].platform == platform).collect();
    let own = row.cloud.map(|cloud| cloud.index());
    match (own, of_platform.as_slice()) {
        (Some(own), _) if of_platform.contains(&own) => true,
        // Ceph stands on hosts of other clouds too.
        (Some(_), _) if super::topology::is_guest(platform) => true,
        (None, [only]) => {
            row.cloud = Some(CloudId::from_index(*only));
            true
        }
        (Some(own), _) => {
            let message = format!("cloud `{}` is of platform `{}`", clouds[own].name, clouds[own].platform);
            found.error("wrong-platform", &text.at, message, "");
            false
        }
        (None, []) => {
            let help = format!("add [[cloud]] with name and platform = \"{platform}\"");
            found.error("no-cloud", &text.at, format!("there is no cloud of platform `{platform}`"), help);
            false
        }
        (None, _) => {
            let help = suggest("", of_platform.iter().map(|cloud| &*clouds[*cloud].name));
            found.error("no-cloud", &text.at, "this host must say which `cloud` it belongs to", help);
            false
        }
    }
}

/// Names of switches or feeds that hosts mention where no table declares any.
pub(super) fn mention(names: &mut Names, declared: bool, name: &At<&str>, found: &mut Diagnostics) {
    if !declared && !names.has(name.value) {
        names.define(name, found);
    } else {
        names.find(name, found);
    }
}
