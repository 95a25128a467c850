//! The objects of a configuration to the tables of the catalog: names to ids, with every dangling or doubled name reported.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::{Catalog, Check, Cloud, Contact, Route, RouteMatch, Timeperiod, Zone};
use stentor_core::diagnosis::{Class, Severity, Topology};
use stentor_core::id::{CheckId, CloudId, ContactId, HostId, TimeperiodId, ZoneId};
use stentor_core::model::Value;
use stentor_core::timeperiod;

use super::finding::{Diagnostics, Place, suggest};
use super::hosts::BmcWays;
use super::nagios::Tree;
use super::pack::{Pack, Template, read_availability};
use super::probe_kinds::Trial;
use super::settings::Settings;
use super::tree::{At, Section, word};
use super::{all, availability, dependencies, design, downtimes, drills, hosts, parity, services, topology, windows};

const SEVERITIES: &[(&str, Severity)] = &[
    ("critical", Severity::Critical),
    ("major", Severity::Major),
    ("warning", Severity::Warning),
    ("unknown", Severity::Unknown),
    ("info", Severity::Info),
];

const CLASSES: [Class; 15] = [
    Class::SoftwareDown,
    Class::ServerDown,
    Class::ResourceUnavailable,
    Class::Network,
    Class::PowerEvent,
    Class::NetworkPath,
    Class::MonitorIsolated,
    Class::SiteDown,
    Class::SplitBrain,
    Class::RedundancyLost,
    Class::ResourceAtRisk,
    Class::AdminStopped,
    Class::Starting,
    Class::Flapping,
    Class::Unknown,
];

/// Findings beyond these say what is wrong, but no longer what may be meant.
const FINDINGS_WITH_GUESS: usize = 200;

/// The names of one kind of object with the row and the place of each.
#[derive(Debug)]
pub(super) struct Names {
    /// `host`, `zone`: for messages.
    what: &'static str,
    rows: BTreeMap<String, (usize, Place)>,
}

impl Names {
    pub(super) fn new(what: &'static str) -> Self {
        Names { what, rows: BTreeMap::new() }
    }

    /// Takes a name for the next row; a name that is taken already is an error and gets no row.
    pub(super) fn define(&mut self, name: &At<&str>, found: &mut Diagnostics) -> Option<usize> {
        if let Some((_, first)) = self.rows.get(name.value) {
            let message = format!("a second {} `{}`; the first is at {}", self.what, name.value, found.location(first));
            found.error("duplicate", &name.at, message, "");
            return None;
        }
        let row = self.rows.len();
        self.rows.insert(name.value.to_owned(), (row, name.at.clone()));
        Some(row)
    }

    /// Takes a name that another format has checked.
    pub(super) fn seed(&mut self, name: &str) {
        let row = self.rows.len();
        self.rows.insert(name.to_owned(), (row, Place::default()));
    }

    /// The row of a name; an unknown one is an error with the nearest known name.
    pub(super) fn find(&self, name: &At<&str>, found: &mut Diagnostics) -> Option<usize> {
        let row = self.rows.get(name.value).map(|(row, _)| *row);
        if row.is_none() {
            let code = match self.what {
                "host" => "unknown-host",
                "zone" => "unknown-zone",
                "cloud" => "unknown-cloud",
                "contact" => "unknown-contact",
                "timeperiod" => "unknown-timeperiod",
                _ => "unknown-name",
            };
            // A forgotten include makes every name unknown; a guess for each would compare all with all.
            let help = if found.findings.len() < FINDINGS_WITH_GUESS {
                suggest(name.value, self.rows.keys().map(String::as_str))
            } else {
                String::new()
            };
            found.error(code, &name.at, format!("unknown {} `{}`", self.what, name.value), help);
        }
        row
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.rows.contains_key(name)
    }
}

/// A catalog in the making.
pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) packs: &'a [Pack],
    pub(super) catalog: Catalog,
    pub(super) zones: Names,
    pub(super) clouds: Names,
    pub(super) hosts: Names,
    pub(super) periods: Names,
    pub(super) contacts: Names,
    pub(super) trial: Trial,
    /// How each cloud's API is asked: parameters of every check that asks it.
    pub(super) apis: BTreeMap<CloudId, Value>,
    /// How each host's BMC is asked.
    pub(super) bmcs: BTreeMap<HostId, BmcWays>,
    /// Rows of the catalog's checks by name; one name may have several cadences.
    checks: BTreeMap<Arc<str>, Vec<CheckId>>,
}

impl<'a> Builder<'a> {
    /// Every template of every pack, with its pack.
    pub(super) fn templates(&self) -> impl Iterator<Item = &'a Template> + use<'a> {
        let packs = self.packs;
        packs.iter().flat_map(|pack| &pack.checks)
    }

    /// The row of a check at the configured pace; equal checks share one.
    pub(super) fn check_id(&mut self, check: Check) -> CheckId {
        let pace = self.settings.timing.pace;
        let check = Check {
            every: check.every.at_pace(pace),
            retry: check.retry.at_pace(pace),
            freshness: check.freshness.at_pace(pace),
            ..check
        };
        let rows = self.checks.entry(Arc::clone(&check.name)).or_default();
        if let Some(id) = rows.iter().find(|id| self.catalog.checks[id.index()] == check) {
            return *id;
        }
        let id = CheckId::from_index(self.catalog.checks.len());
        rows.push(id);
        self.catalog.checks.push(check);
        id
    }
}

/// Builds the catalog of all files. What is wrong is left out and reported.
/// Objects of a Nagios tree come first.
pub(super) fn build(
    roots: &[Section<'_>],
    settings: &Settings,
    packs: &[Pack],
    tree: Option<&Tree>,
    found: &mut Diagnostics,
) -> Catalog {
    let mut builder = Builder {
        settings,
        packs,
        catalog: Catalog {
            instance: settings.instance.as_str().into(),
            url: settings.server.url.as_str().into(),
            timing: settings.timing.clone(),
            site: settings.site.as_str().into(),
            runs: super::runbooks::policy(roots, packs, found),
            platforms: packs.iter().map(|pack| Arc::clone(&pack.platform)).collect(),
            ..Catalog::default()
        },
        zones: Names::new("zone"),
        clouds: Names::new("cloud"),
        hosts: Names::new("host"),
        periods: Names::new("timeperiod"),
        contacts: Names::new("contact"),
        trial: Trial::new(),
        apis: BTreeMap::new(),
        bmcs: BTreeMap::new(),
        checks: BTreeMap::new(),
    };
    read_clouds(roots, &mut builder, found);
    let vmware = read_zones(roots, &mut builder, found);
    if let Some(tree) = tree {
        tree.seed(&mut builder, found);
    }
    let read = hosts::read(roots, &mut builder, found);
    services::build(roots, &read, &mut builder, found);
    parity::read(roots, &mut builder, found);
    drills::read(roots, &mut builder, found);
    topology::build(roots, &read, &vmware, &mut builder, found);
    read_people(roots, &mut builder, found);
    builder.catalog.reindex();
    availability::read(roots, &mut builder, found);
    dependencies::read(roots, &mut builder, found);
    downtimes::read(roots, &mut builder, found);
    design::read(roots, &mut builder, found);
    // These live as long as the configuration, and are long.
    let catalog = &mut builder.catalog;
    catalog.hosts.shrink_to_fit();
    catalog.services.shrink_to_fit();
    catalog.nagios.hosts.shrink_to_fit();
    catalog.nagios.services.shrink_to_fit();
    catalog.nagios.appearances.shrink_to_fit();
    builder.catalog
}

fn read_clouds(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    for section in all(roots, "cloud", "[[cloud]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        let platform = section.needed("platform", found);
        if let Some(platform) = &platform
            && builder.catalog.platform(platform.value).is_none_or(|known| known.components.is_empty())
        {
            let clouds = builder.packs.iter().filter(|pack| !pack.platform.components.is_empty());
            let help = suggest(platform.value, clouds.map(|pack| &*pack.platform.key));
            found.error("unknown-platform", &platform.at, format!("no pack for platform `{}`", platform.value), help);
        }
        if builder.clouds.define(&name, found).is_none() {
            continue;
        }
        if section.has("api") {
            builder.apis.insert(CloudId::from_index(builder.catalog.clouds.len()), section.map("api", found));
        }
        let min_nc = u32::try_from(section.whole_or("min_nc", 1, 0..=100_000, found)).unwrap_or(1);
        let mut text = |key| section.text(key, found).map(|text| text.value.to_owned());
        let (release, network_mode, ebs, object) = (text("release"), text("network_mode"), text("ebs"), text("object"));
        let platform = platform.map_or("", |platform| platform.value);
        let of_pack = builder.catalog.platform(platform).and_then(|platform| platform.core.clone());
        let core = read_availability(&section, "core", found).or(of_pack);
        builder.catalog.clouds.push(Cloud {
            name: name.value.into(),
            platform: platform.into(),
            min_nc,
            topology: Topology {
                platform: platform.to_owned(),
                release,
                network_mode,
                ebs,
                object,
                min_nc: Some(min_nc),
                core,
                unique: section.names("unique", found),
                arbitrators: section.names("arbitrators", found),
                ..Topology::default()
            },
            hosts: Vec::new(),
        });
    }
}

/// Returns the zones that are VMware's.
fn read_zones(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) -> Vec<ZoneId> {
    let mut vmware = Vec::new();
    for section in all(roots, "zone", "[[zone]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        let cloud = section.text("cloud", found).and_then(|text| builder.clouds.find(&text, found));
        let Some(row) = builder.zones.define(&name, found) else { continue };
        if section.bool_or("vmware", false, found) {
            vmware.push(ZoneId::from_index(row));
        }
        builder.catalog.zones.push(Zone { name: name.value.into(), cloud: cloud.map(CloudId::from_index) });
    }
    vmware
}

fn read_periods(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let first = builder.catalog.timeperiods.len();
    let mut excludes: Vec<Vec<At<&str>>> = Vec::new();
    for section in all(roots, "timeperiod", "[[timeperiod]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        if builder.periods.define(&name, found).is_none() {
            continue;
        }
        let zone = section.text("timezone", found).map(|text| windows::zone_name(&text, found));
        builder.catalog.timeperiods.push(Timeperiod {
            name: name.value.into(),
            zone: zone.as_deref().unwrap_or(&builder.settings.timezone).into(),
            weekly: windows::weekly(&section.texts("windows", found), found),
            exceptions: windows::dates(&section.texts("dates", found), found),
            exclude: Vec::new(),
        });
        excludes.push(section.texts("exclude", found));
    }
    // A period may exclude one that is defined below it.
    for (row, names) in (first..).zip(&excludes) {
        let known = names.iter().filter_map(|name| builder.periods.find(name, found));
        let ids = known.map(TimeperiodId::from_index).collect();
        builder.catalog.timeperiods[row].exclude = ids;
    }
    for (row, names) in (first..).zip(&excludes) {
        let id = TimeperiodId::from_index(row);
        if let (true, Some(first)) = (timeperiod::excludes_itself(&builder.catalog.timeperiods, id), names.first()) {
            let message = format!("timeperiod `{}` excludes itself", builder.catalog.timeperiods[row].name);
            found.error("cyclic-exclude", &first.at, message, "leave one of the `exclude` of the circle out");
        }
    }
}

fn read_people(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    read_periods(roots, builder, found);
    for section in all(roots, "contact", "[[contact]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        if builder.contacts.define(&name, found).is_none() {
            continue;
        }
        let contact = read_contact(&section, &name, &builder.periods, builder.settings, found);
        builder.catalog.contacts.push(contact);
    }
    let routes = all(roots, "route", "[[route]]", found);
    for (number, section) in routes.iter().enumerate() {
        let route = read_route(section, number, builder, found);
        builder.catalog.routes.push(route);
    }
    if let (Some(contact), true) = (all(roots, "contact", "[[contact]]", found).first(), routes.is_empty()) {
        let help = "add a [[route]] with `to = [\"…\"]`; without `match` it takes every incident";
        found.warning("no-route", &contact.at, "there are contacts but no [[route]]: nobody will be told", help);
    }
}

fn period_of(section: &Section<'_>, periods: &Names, found: &mut Diagnostics) -> Option<TimeperiodId> {
    let name = section.text("period", found)?;
    periods.find(&name, found).map(TimeperiodId::from_index)
}

fn severity_of(section: &Section<'_>, found: &mut Diagnostics) -> Option<Severity> {
    section.text("severity_min", found).and_then(|text| word(&text, "severity_min", SEVERITIES, found))
}

fn read_contact(
    section: &Section<'_>,
    name: &At<&str>,
    periods: &Names,
    settings: &Settings,
    found: &mut Diagnostics,
) -> Contact {
    let mut channels: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    if let Some(mail) = section.text("email", found) {
        if !mail.value.contains('@') {
            found.error("bad-mail", &mail.at, format!("`{}` is not a mail address", mail.value), "");
        }
        if settings.email.is_none() {
            let help = "add [notifier.email], or set its `enabled = true`";
            found.warning("no-notifier", &mail.at, "mail is not switched on: this address gets nothing", help);
        }
        channels.insert("email".into(), mail.value.into());
    }
    if let Some(url) = section.text("webhook", found) {
        if settings.webhook.is_none() {
            let help = "add [notifier.webhook], or set its `enabled = true`";
            found.warning("no-notifier", &url.at, "webhooks are not switched on: this address gets nothing", help);
        }
        channels.insert("webhook".into(), url.value.into());
    }
    if channels.is_empty() {
        found.warning(
            "no-channel",
            &section.at,
            format!("contact `{}` cannot be reached", name.value),
            "give it `email`",
        );
    }
    Contact {
        name: name.value.into(),
        display: section.text_or("display", name.value, found).into(),
        channels,
        period: period_of(section, periods, found),
        severity_min: severity_of(section, found).unwrap_or(Severity::Warning),
    }
}

fn read_route(section: &Section<'_>, number: usize, builder: &Builder<'_>, found: &mut Diagnostics) -> Route {
    let to = section.texts("to", found);
    if to.is_empty() {
        found.error("missing-key", &section.at, "`[[route]]` needs `to = [\"CONTACT\"]`", "");
    }
    let matcher = section.section("match", "match", found);
    Route {
        name: section.text_or("name", &format!("route {}", number + 1), found).into(),
        matcher: matcher.map(|matcher| read_match(&matcher, builder, found)).unwrap_or_default(),
        to: to.iter().filter_map(|name| builder.contacts.find(name, found)).map(ContactId::from_index).collect(),
        period: period_of(section, &builder.periods, found),
    }
}

fn read_match(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> RouteMatch {
    let mut known = |key: &str, names: &Names| -> Vec<Arc<str>> {
        let texts = section.texts(key, found);
        texts.iter().filter(|text| names.find(text, found).is_some()).map(|text| text.value.into()).collect()
    };
    let (clouds, zones) = (known("cloud", &builder.clouds), known("zone", &builder.zones));
    let components: Vec<&str> =
        builder.packs.iter().flat_map(|pack| &pack.platform.components).map(|component| &*component.key).collect();
    let mut words = |key: &str, known: &[&str]| -> Vec<Arc<str>> {
        for text in section.texts(key, found) {
            if !known.contains(&text.value) {
                let message = format!("unknown {key} `{}`", text.value);
                found.error("unknown-name", &text.at, message, suggest(text.value, known.iter().copied()));
            }
        }
        section.names(key, found)
    };
    let components = words("component", &components);
    let classes = words("class", &CLASSES.map(Class::as_str));
    for glob in section.texts("host", found) {
        let hits = builder.catalog.hosts.iter().any(|host| stentor_core::policy::glob_matches(glob.value, &host.name));
        if !hits {
            let help = suggest(glob.value, builder.catalog.hosts.iter().map(|host| &*host.name));
            found.warning("no-match", &glob.at, format!("no host matches `{}`", glob.value), help);
        }
    }
    RouteMatch {
        severity_min: severity_of(section, found),
        clouds,
        zones,
        hosts: section.names("host", found),
        components,
        classes,
    }
}
