//! `[[parity]]`: redundant hosts that must be configured alike. Each of them gets a check that tells what its files and
//! packages are like; the first one also a check that compares what all have told.

use stentor_core::Span;
use stentor_core::catalog::{Check, Service, View};
use stentor_core::id::HostId;
use stentor_core::model::{ServiceState, Value};
use stentor_core::parity::{PAIR_PROBE, Pair};
use stentor_core::rules::{Expr, Rule};

use crate::probes::Probe;
use crate::probes::parity::Parity;

use super::all;
use super::finding::{Diagnostics, suggest};
use super::hosts::is_name;
use super::objects::{Builder, Names};
use super::services::{expected_from, fresh_for, push};
use super::tree::{At, Section, word};

/// How often the hosts tell where nothing is said.
const EVERY: Span = Span::from_mins(15);
const TIMEOUT: Span = Span::from_secs(30);
/// Looks of the comparison in one turn of the hosts, and within which bounds: it costs next to nothing.
const LOOKS: i64 = 15;
const LOOK_MIN: Span = Span::from_secs(1);
const LOOK_MAX: Span = Span::from_mins(5);

const STATES: &[(&str, ServiceState)] = &[("WARNING", ServiceState::Warning), ("CRITICAL", ServiceState::Critical)];

/// Reads all of them; hosts and their other services must be there.
pub(super) fn read(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut names = Names::new("parity");
    for section in all(roots, "parity", "[[parity]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        if !is_name(name.value) {
            found.error("bad-name", &name.at, "a name must not contain / ; ! \" or \\", "names travel in URLs");
            continue;
        }
        if names.define(&name, found).is_some() {
            one(&section, &name, builder, found);
        }
    }
}

fn one(section: &Section<'_>, name: &At<&str>, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let hosts = hosts(section, builder, found);
    let every = section.span_or("every", EVERY, found).max(LOOK_MIN);
    let timeout = section.span_or("timeout", TIMEOUT, found);
    let state = section.text("state", found).and_then(|text| word(&text, "state", STATES, found));
    let (files, packages) = (section.texts("files", found), section.texts("packages", found));
    let texts = |texts: &[At<&str>]| texts.iter().map(|text| text.value.to_owned()).collect::<Vec<String>>();
    let params: Value = [("files", &files), ("packages", &packages), ("prefix", &section.texts("prefix", found))]
        .into_iter()
        .filter(|(_, texts)| !texts.is_empty())
        .map(|(key, list)| (key, Value::from(texts(list))))
        .collect();
    if let Some(refusal) = builder.trial.refusal(Parity::KIND, &params) {
        found.error("bad-params", &section.at, refusal, "`files` are absolute paths, `packages` names");
        return;
    }
    if hosts.len() < 2 {
        return;
    }
    let collecting = format!("digests {}", name.value);
    let comparing = format!("parity {}", name.value);
    let taken = |host: HostId, name: &str| {
        let services = &builder.catalog.hosts[host.index()].services;
        services.iter().any(|id| *builder.catalog.services[id.index()].name == *name)
    };
    if hosts.iter().any(|host| taken(*host, &collecting)) || taken(hosts[0], &comparing) {
        let message = format!("there is a service `{collecting}` or `{comparing}` already");
        found.error("duplicate", &name.at, message, "choose another `name`");
        return;
    }
    let pair = Pair {
        hosts: hosts.iter().map(|host| builder.catalog.hosts[host.index()].name.to_string()).collect(),
        service: collecting,
        names: texts(&files).into_iter().chain(texts(&packages)).collect(),
        fresh: fresh_for(every).at_pace(builder.settings.timing.pace),
    };
    for host in &hosts {
        let check = expected_from(builder.catalog.hosts[host.index()].view, collect(&pair, &params, every, timeout));
        bind(*host, &pair.service, check, builder);
    }
    bind(hosts[0], &comparing, compare(&comparing, &pair, every, state.unwrap_or(ServiceState::Warning)), builder);
}

/// The hosts by name, or all of a component; those that nothing looks into are errors.
fn hosts(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Vec<HostId> {
    let mut hosts: Vec<HostId> = match (section.has("hosts"), section.text("component", found)) {
        (true, None) => {
            let named = section.texts("hosts", found);
            named.iter().filter_map(|name| builder.hosts.find(name, found)).map(HostId::from_index).collect()
        }
        (false, Some(component)) => of_component(section, &component, builder, found),
        (true, Some(_)) | (false, None) => {
            let help = "`hosts = [\"walrus1\", \"walrus2\"]`, or `component = \"eucalyptus/walrus\"`";
            found.error("hosts-or-component", &section.at, "`[[parity]]` needs one of `hosts` and `component`", help);
            return Vec::new();
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(*host));
    if hosts.len() < 2 {
        let message = "there is nothing to compare: it needs two hosts or more";
        found.error("too-few-hosts", &section.at, message, "name both halves of the pair");
    }
    for host in &hosts {
        let host = &builder.catalog.hosts[host.index()];
        if host.view == View::None {
            let message = format!("nothing looks into host `{}`, so that it could tell of its files", host.name);
            found.error("no-view", &section.at, message, "give it `view = \"agent\"`, `\"ssh\"` or `\"local\"`");
        }
    }
    hosts
}

fn of_component(
    section: &Section<'_>,
    component: &At<&str>,
    builder: &Builder<'_>,
    found: &mut Diagnostics,
) -> Vec<HostId> {
    let cloud = section.text("cloud", found).and_then(|text| builder.clouds.find(&text, found));
    let all = &builder.catalog.components;
    let full = |row: &stentor_core::catalog::Component| format!("{}/{}", row.platform, row.key);
    let fits = |row: &&stentor_core::catalog::Component| {
        let of = builder.catalog.hosts[row.host.index()].cloud.map(|cloud| cloud.index());
        full(row) == component.value && (cloud.is_none() || of == cloud)
    };
    let hosts: Vec<HostId> = all.iter().filter(fits).map(|row| row.host).collect();
    if hosts.is_empty() {
        let known: std::collections::BTreeSet<String> = all.iter().map(full).collect();
        let help = suggest(component.value, known.iter().map(String::as_str));
        found.error("unknown-component", &component.at, format!("no host has `{}`", component.value), help);
    }
    hosts
}

fn collect(pair: &Pair, params: &Value, every: Span, timeout: Span) -> Check {
    Check {
        name: format!("parity/{}", pair.service).into(),
        probe: Parity::KIND.into(),
        params: params.clone(),
        every,
        retry: every / 3,
        timeout,
        attempts: 3,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: true,
        freshness: Span::ZERO,
    }
}

/// Both halves of a pair are never changed in the same instant, and tell one after the other: a difference counts when it
/// has outlived a whole turn of the hosts.
fn compare(name: &str, pair: &Pair, every: Span, state: ServiceState) -> Check {
    let look = (every / LOOKS).max(LOOK_MIN).min(LOOK_MAX);
    let rule = |when: &str, state, source: &str| Rule {
        when: Expr::parse(when).expect("a condition that a test reads"),
        state,
        source: source.into(),
    };
    let source = "moving to high availability, planning: the configuration of redundant components must match";
    Check {
        name: format!("parity/{name}").into(),
        probe: PAIR_PROBE.into(),
        params: pair.params(),
        every: look,
        retry: look,
        timeout: Span::from_secs(10),
        attempts: u16::try_from(every.as_millis() / look.as_millis().max(1) + 2).unwrap_or(u16::MAX),
        rules: vec![
            rule("differences > 0", state, source),
            rule("nowhere > 0", ServiceState::Warning, "what is on none of the hosts is compared with nothing"),
        ],
        signals: Vec::new(),
        host_side: false,
        freshness: Span::ZERO,
    }
}

fn bind(host: HostId, name: &str, check: Check, builder: &mut Builder<'_>) {
    let check = builder.check_id(check);
    push(Service { host, name: name.into(), check, params: Value::Null, component: None }, builder);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use stentor_core::catalog::Catalog;

    use super::*;
    use crate::config::load_text;

    const HOSTS: &str = r#"
[[cloud]]
name = "euca"
platform = "eucalyptus"
[[host]]
name = "w1"
address = "10.0.0.1"
view = "agent"
components = ["eucalyptus/walrus"]
[[host]]
name = "w2"
address = "10.0.0.2"
view = "ssh"
components = ["eucalyptus/walrus"]
[[host]]
name = "dark"
address = "10.0.0.3"
"#;

    fn load(parity: &str) -> Result<std::sync::Arc<Catalog>, String> {
        let text = format!("{HOSTS}\n{parity}\n[storage]\nurl = \"sqlite:x.db\"\n");
        load_text(&text, Path::new("stentor.toml")).map(|loaded| loaded.catalog).map_err(|found| format!("{found:?}"))
    }

    fn check<'a>(catalog: &'a Catalog, host: &str, service: &str) -> &'a Check {
        let id = catalog.service_id(host, service).unwrap_or_else(|| panic!("{host} has no {service}"));
        &catalog.checks[catalog.services[id.index()].check.index()]
    }

    #[test]
    fn every_host_tells_and_the_first_compares() {
        for which in [
            r#"hosts = ["w1", "w2"]"#,
            r#"component = "eucalyptus/walrus""#,
            "cloud = \"euca\"\ncomponent = \"eucalyptus/walrus\"",
        ] {
            let text = format!(
                "[[parity]]\nname = \"walrus\"\n{which}\nfiles = [\"/etc/drbd.conf\"]\npackages = [\"drbd\"]\nstate = \"CRITICAL\""
            );
            let catalog = load(&text).expect("a good configuration");
            for host in ["w1", "w2"] {
                let collects = check(&catalog, host, "digests walrus");
                assert!(collects.host_side && &*collects.probe == "parity" && collects.rules.is_empty());
            }
            assert_eq!(check(&catalog, "w1", "digests walrus").freshness, fresh_for(EVERY), "an agent may fall silent");
            let compares = check(&catalog, "w1", "parity walrus");
            let pair = Pair::of(&compares.params).expect("a comparison");
            assert_eq!(
                (pair.hosts, pair.names),
                (vec!["w1".into(), "w2".into()], vec!["/etc/drbd.conf".into(), "drbd".into()])
            );
            assert_eq!(
                (compares.rules[0].state, compares.every, compares.attempts),
                (ServiceState::Critical, Span::from_mins(1), 17)
            );
            assert!(compares.retry * i64::from(compares.attempts) > EVERY, "a difference outlives a turn of the hosts");
            assert!(catalog.service_id("w2", "parity walrus").is_none());
        }
    }

    #[test]
    fn mistakes_are_told_with_their_code() {
        let of = |rest: &str| format!("[[parity]]\nname = \"p\"\n{rest}");
        let files = "files = [\"/etc/a\"]\n";
        for (rest, code) in [
            (format!("{files}hosts = [\"w1\"]"), "too-few-hosts"),
            (format!("{files}hosts = [\"w1\", \"w1\"]"), "too-few-hosts"),
            (format!("{files}hosts = [\"w1\", \"dark\"]"), "no-view"),
            (format!("{files}hosts = [\"w1\", \"w3\"]"), "unknown-host"),
            (files.to_owned(), "hosts-or-component"),
            (format!("{files}hosts = [\"w1\", \"w2\"]\ncomponent = \"eucalyptus/walrus\""), "hosts-or-component"),
            (format!("{files}component = \"eucalyptus/clc\""), "unknown-component"),
            ("hosts = [\"w1\", \"w2\"]".to_owned(), "bad-params"),
            ("hosts = [\"w1\", \"w2\"]\nfiles = [\"etc/a\"]".to_owned(), "bad-params"),
            (format!("{files}hosts = [\"w1\", \"w2\"]\nstate = \"OK\""), "unknown-word"),
            (format!("{files}hosts = [\"w1\", \"w2\"]\nlimits = 1"), "unknown-key"),
        ] {
            let refused = load(&of(&rest)).expect_err(code);
            assert!(refused.contains(code), "{code}: {refused}");
        }
        let twice = format!("{0}\n{0}", of(&format!("{files}hosts = [\"w1\", \"w2\"]")));
        assert!(load(&twice).expect_err("twice").contains("duplicate"));
    }
}
