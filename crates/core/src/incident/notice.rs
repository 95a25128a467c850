//! What users notice of a failure: its cell says it, or the cells of what it takes away.

use std::collections::{BTreeMap, BTreeSet};

use super::change::listed;
use crate::catalog::{Catalog, Cell, CellKey};
use crate::diagnosis::{Class, FailureType, TargetKind, Verdict, Visibility};

/// Kinds of component that are told one by one.
const KINDS_MAX: usize = 6;
/// Hosts named in one sentence.
const HOSTS_MAX: usize = 6;

/// Empty where nobody can know.
pub fn of(catalog: &Catalog, verdict: &Verdict) -> String {
    if let Some(cell) = verdict.cell.as_deref().and_then(|key| catalog.cell(key)) {
        return cell.behaviour.clone();
    }
    let Some(first) = opening(verdict) else { return String::new() };
    let column = match verdict.class {
        Class::SplitBrain | Class::NetworkPath | Class::ResourceUnavailable | Class::ResourceAtRisk => {
            FailureType::Resource
        }
        Class::SoftwareDown
        | Class::ServerDown
        | Class::Network
        | Class::PowerEvent
        | Class::MonitorIsolated
        | Class::SiteDown
        | Class::RedundancyLost
        | Class::AdminStopped
        | Class::Starting
        | Class::Flapping
        | Class::Unknown => FailureType::Server,
    };
    let hosts = affected(catalog, verdict);
    let told = of_components(catalog, &hosts, column);
    if verdict.visibility == Visibility::Invisible {
        let then = if told.is_empty() { String::new() } else { format!(" If it gets worse: {}", told.join(" ")) };
        return format!("Nothing yet. {first}{then}");
    }
    let mut text = first;
    if told.is_empty() {
        text.push_str(&of_hosts(catalog, &hosts));
    }
    for sentence in told {
        text.push(' ');
        text.push_str(&sentence);
    }
    text
}

/// What every failure of its class means for users; `None` where that depends on what failed, and nobody said what that is.
fn opening(verdict: &Verdict) -> Option<String> {
    let what = verdict.target.host.as_deref().unwrap_or("it");
    let text = match verdict.class {
        Class::Network if verdict.target.kind == TargetKind::Switch => {
            format!("Nothing behind {what} can be reached; it runs on.")
        }
        Class::Network => format!("{what} cannot be reached; what runs on it runs on."),
        Class::PowerEvent if &*verdict.subtype == "on_battery" => {
            format!("Everything runs on as long as the battery of {what} lasts.")
        }
        Class::PowerEvent => format!("Everything that hangs on feed {what} alone is off."),
        Class::NetworkPath => format!("Some reach {what} and others do not: it depends on the way they come."),
        Class::MonitorIsolated => "Nothing that is known of: Stentor is cut off and sees nobody.".to_owned(),
        Class::SiteDown => format!("Nothing in {what} answers anybody."),
        Class::SplitBrain => {
            format!("What was written to one copy of {what} is missing in the other, and one of the two will be lost.")
        }
        Class::ServerDown => format!("Everything that runs on {what} is gone."),
        Class::Flapping => format!("{what} comes and goes."),
        Class::RedundancyLost => format!("{what} serves on without its spare; the next failure is noticed."),
        Class::ResourceAtRisk => format!("{what} serves on; it will not when what it runs short of is used up."),
        Class::ResourceUnavailable if verdict.target.component.is_none() => {
            format!("Whatever needs what {what} has lost stops, or waits until it is back.")
        }
        Class::Unknown if verdict.target.kind == TargetKind::Host => {
            format!("{what} does not answer: whatever it serves is probably gone.")
        }
        Class::SoftwareDown | Class::ResourceUnavailable | Class::AdminStopped | Class::Starting | Class::Unknown => {
            return None;
        }
    };
    Some(text)
}

/// Hosts that it takes away or endangers.
fn affected<'a>(catalog: &'a Catalog, verdict: &'a Verdict) -> BTreeSet<&'a str> {
    let effects = verdict.suppressed.iter().filter_map(|effect| effect.host.as_deref());
    let seen_at = verdict.evidence.iter().filter_map(|fact| fact.at.split('/').next());
    let of_shared = matches!(verdict.target.kind, TargetKind::Drbd).then_some(seen_at).into_iter().flatten();
    let all = verdict.target.host.as_deref().into_iter().chain(effects).chain(of_shared);
    all.filter(|name| catalog.host_id(name).is_some()).collect()
}

/// Of hosts without components only their names and the number of their checks are known.
fn of_hosts(catalog: &Catalog, hosts: &BTreeSet<&str>) -> String {
    let ids = hosts.iter().filter_map(|name| catalog.host_id(name));
    let services: usize = ids.map(|id| catalog.hosts[id.index()].services.len()).sum();
    if services == 0 {
        return String::new();
    }
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let plural = if services == 1 { "" } else { "s" };
    format!(" Affected: {}, with {services} service{plural}.", listed(&names, HOSTS_MAX))
}

/// What users notice of each kind of component on these hosts, in the order of the platform.
fn of_components(catalog: &Catalog, hosts: &BTreeSet<&str>, column: FailureType) -> Vec<String> {
    let mut by_kind: BTreeMap<(usize, usize), BTreeSet<&str>> = BTreeMap::new();
    for id in hosts.iter().filter_map(|name| catalog.host_id(name)) {
        let host = &catalog.hosts[id.index()];
        for component in host.components.iter().map(|id| &catalog.components[id.index()]) {
            let platform = catalog.platforms.iter().position(|platform| platform.key == component.platform);
            let Some(platform) = platform else { continue };
            let row = catalog.platforms[platform].components.iter().position(|known| known.key == component.key);
            if let Some(row) = row {
                by_kind.entry((platform, row)).or_default().insert(&host.name);
            }
        }
    }
    let mut told: Vec<String> = Vec::new();
    let all = by_kind.len();
    for ((platform, row), hosts) in by_kind.into_iter().take(KINDS_MAX) {
        let platform = &catalog.platforms[platform];
        let kind = &platform.components[row];
        let key = CellKey { platform: platform.key.clone(), component: kind.key.clone(), failure_type: column };
        let Some(cell) = platform.cells.iter().find(|cell| cell.key == key) else { continue };
        let names: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        told.push(format!("{} ({}): {}", kind.name, listed(&names, HOSTS_MAX), first_sentence(cell)));
    }
    if all > KINDS_MAX {
        told.push(format!("And {} kinds of component more.", all - KINDS_MAX));
    }
    told
}

fn first_sentence(cell: &Cell) -> String {
    let text = cell.behaviour.trim();
    let end = text.match_indices(". ").map(|(at, _)| at + 1).next().unwrap_or(text.len());
    let sentence = text.get(..end).unwrap_or(text);
    if sentence.ends_with('.') { sentence.to_owned() } else { format!("{sentence}.") }
}
