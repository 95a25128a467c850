//! `[[downtime]]`: windows planned once, from an instant to another, and those that come back with a timeperiod.

use stentor_core::Span;
use stentor_core::catalog::{PlannedDowntime, Recurrence};
use stentor_core::id::TimeperiodId;
use stentor_core::model::ObjectKey;
use stentor_core::policy::glob_matches;

use super::all;
use super::finding::{Diagnostics, suggest};
use super::objects::{Builder, Names};
use super::tree::{At, Section};
use super::windows;

/// A window longer than this is a typing error.
const LENGTH_MAX: Span = Span::from_hours(24 * 366);
const WHOLE_DAY: &[(u16, u16)] = &[(0, 1440)];

/// Reads all of them; the catalog must be indexed.
pub(super) fn read(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut names = Names::new("downtime");
    for section in all(roots, "downtime", "[[downtime]]", found) {
        match section.text("period", found) {
            Some(period) => recurring(&section, &period, &mut names, builder, found),
            None => once(&section, builder, found),
        }
    }
}

fn once(section: &Section<'_>, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let targets = targets(section, builder, found);
    let instant = |key: &str, found: &mut Diagnostics| match section.node(key) {
        Some(node) => windows::instant(node, &builder.settings.timezone, found),
        None => {
            found.error("missing-key", &section.at, format!("`[[downtime]]` needs the key `{key}`"), "");
            None
        }
    };
    let start = instant("start", found);
    let length = length(section, found);
    let end = match (length, section.node("end")) {
        (Some(length), None) => start.map(|start| start + length),
        (Some(_), Some(end)) => {
            found.error(
                "bad-window",
                &end.at,
                "`end` and `for` both say when the downtime ends",
                "leave one of them out",
            );
            None
        }
        (None, _) => instant("end", found),
    };
    let Some((start, end)) = start.zip(end) else { return };
    if end <= start {
        found.error("bad-window", &section.at, "the downtime ends before it starts", "");
    }
    let comment = section.text_or("comment", "", found);
    let planned =
        targets.into_iter().map(|target| PlannedDowntime { target, start, end, comment: comment.as_str().into() });
    builder.catalog.downtimes.extend(planned);
}

fn recurring(
    section: &Section<'_>,
    period: &At<&str>,
    names: &mut Names,
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) {
    for key in ["start", "end"] {
        if let Some(node) = section.node(key) {
            let message = format!("a recurring downtime takes its times from `period`, not from `{key}`");
            found.error("bad-window", &node.at, message, "leave it out; `for` says how long each lasts");
        }
    }
    let name = section.needed("name", found);
    let targets = targets(section, builder, found);
    let length = length(section, found);
    let row = builder.periods.find(period, found);
    let Some(name) = name else { return };
    if names.define(&name, found).is_none() {
        return;
    }
    let Some(row) = row else { return };
    let of = &builder.catalog.timeperiods[row];
    let plain = of.exceptions.is_empty() && of.exclude.is_empty();
    let help = "give the timeperiod windows that open and close: `windows = [\"sun 02:00-04:00\"]`";
    if plain && of.weekly.iter().all(|day| day == WHOLE_DAY) {
        let message = format!("timeperiod `{}` never closes: the downtime would have no beginning and no end", of.name);
        found.error("bad-window", &period.at, message, help);
    }
    if plain && of.weekly.iter().all(Vec::is_empty) {
        let message = format!("timeperiod `{}` never opens: the downtime would never come", of.name);
        found.error("bad-window", &period.at, message, help);
    }
    builder.catalog.recurring.push(Recurrence {
        name: name.value.into(),
        targets,
        period: TimeperiodId::from_index(row),
        length,
        comment: section.text_or("comment", name.value, found).into(),
    });
}

fn length(section: &Section<'_>, found: &mut Diagnostics) -> Option<Span> {
    let (node, length) = (section.node("for")?, section.span("for", found)?);
    if length <= Span::ZERO || length > LENGTH_MAX {
        found.error("out-of-range", &node.at, "a downtime lasts at least a moment and at most 366 days", "");
        return None;
    }
    Some(length)
}

/// `host`, or `hosts` with `*`, and of each the service if one is named; sorted, each once.
fn targets(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Vec<ObjectKey> {
    let catalog = &builder.catalog;
    let service = section.text("service", found);
    let globs = section.texts("hosts", found);
    let mut hosts: Vec<&str> = Vec::new();
    if globs.is_empty() || section.has("host") {
        let host = section.needed("host", found);
        hosts.extend(host.filter(|host| builder.hosts.find(host, found).is_some()).map(|host| host.value));
    }
    for glob in &globs {
        let hits = catalog.hosts.iter().map(|host| &*host.name).filter(|name| glob_matches(glob.value, name));
        let before = hosts.len();
        hosts.extend(hits);
        if hosts.len() == before {
            let help = suggest(glob.value, catalog.hosts.iter().map(|host| &*host.name));
            found.error("unknown-host", &glob.at, format!("no host matches `{}`", glob.value), help);
        }
    }
    let Some(service) = service else {
        return sorted(hosts.into_iter().map(|host| ObjectKey { host: host.into(), service: None }).collect());
    };
    let on = |host: &&str| catalog.service_id(host, service.value).is_some();
    let lacking = hosts.iter().find(|host| !on(host)).copied();
    let with: Vec<&str> = hosts.into_iter().filter(on).collect();
    // Of many hosts those that have the service are meant; one that is named must have it.
    if let Some(host) = lacking.filter(|_| with.is_empty() || globs.is_empty()) {
        let of_host = catalog.host_id(host).map(|id| &catalog.hosts[id.index()].services);
        let names = of_host.into_iter().flatten().map(|id| &*catalog.services[id.index()].name);
        let message = format!("host `{host}` has no service `{}`", service.value);
        found.error("unknown-service", &service.at, message, suggest(service.value, names));
    }
    sorted(with.into_iter().map(|host| ObjectKey { host: host.into(), service: Some(service.value.into()) }).collect())
}

fn sorted(mut targets: Vec<ObjectKey>) -> Vec<ObjectKey> {
    targets.sort();
    targets.dedup();
    targets
}
