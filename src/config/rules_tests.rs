//! Dependencies and downtimes of the configuration: what they become, and what is refused.

use stentor_core::catalog::nagios::Options;
use stentor_core::id::ObjectId;

use super::*;

const WORLD: &str = r#"
[[timeperiod]]
name = "night"
timezone = "Europe/Amsterdam"
windows = ["daily 22:00-06:00"]
[[host]]
name = "shop"
address = "192.0.2.1"
[[host]]
name = "ldap1"
address = "192.0.2.2"
[[host]]
name = "ldap2"
address = "192.0.2.3"
[[service]]
host = "shop"
name = "login"
probe = "tcp"
params = { port = 443 }
[[service]]
host = "ldap1"
name = "ldap a/b"
probe = "tcp"
params = { port = 389 }
"#;

fn load_with(text: &str) -> Result<Loaded, Diagnostics> {
    load_text(&format!("{WORLD}{text}"), Path::new("test.toml"))
}

fn loaded(text: &str) -> Loaded {
    load_with(text).unwrap_or_else(|found| panic!("{found}"))
}

/// Codes of all findings.
fn codes(text: &str) -> Vec<&'static str> {
    let found = match load_with(text) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    };
    found.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_dependency_names_hosts_and_services_and_how_many_must_hold() {
    let loaded = loaded(
        r#"
[[dependency]]
host = "shop"
service = "login"
on = ["ldap1/ldap a/b", "ldap2"]
min_available = 1
name = "directory"
stops = ["notifications", "checks"]
states = ["down", "critical", "warning"]
period = "night"
inherits_parent = true
[[dependency]]
host = "shop"
on = ["ldap2"]
"#,
    );
    let catalog = &loaded.catalog;
    let [service, host, plain] = &*catalog.nagios.dependencies else { panic!("three dependencies") };
    assert_eq!(Some(service.dependent), catalog.service_id("shop", "login").map(ObjectId::Service));
    assert_eq!(Some(service.master), catalog.service_id("ldap1", "ldap a/b").map(ObjectId::Service));
    assert_eq!(service.notification, Options::CRITICAL | Options::WARNING);
    assert_eq!((service.execution, service.inherits_parent), (service.notification, true));
    assert_eq!(Some(host.master), catalog.host_id("ldap2").map(ObjectId::Host));
    assert_eq!((host.notification, host.period), (Options::DOWN, service.period));
    let group = host.redundancy.as_ref().expect("a group");
    assert_eq!((&*group.name, group.min_available, service.redundancy.as_ref()), ("directory", 1, Some(group)));
    assert_eq!((plain.notification, plain.execution), (Options::DOWN | Options::UNREACHABLE, Options::NONE));
    assert_eq!((plain.redundancy.as_ref(), plain.period), (None, None));
}

#[test]
fn a_dependency_that_cannot_be_is_refused() {
    for (text, code) in [
        ("host = \"shop\"\non = [\"ldap9\"]", "unknown-host"),
        ("host = \"shop\"\non = [\"ldap1/ldpa\"]", "unknown-service"),
        ("host = \"shop\"\nservice = \"logn\"\non = [\"ldap1\"]", "unknown-service"),
        ("host = \"shop\"", "missing-key"),
        ("on = [\"shop\"]", "missing-key"),
        ("host = \"shop\"\non = [\"shop\"]", "circular-dependency"),
        ("host = \"shop\"\non = [\"ldap1\"]\n[[dependency]]\nhost = \"ldap1\"\non = [\"shop\"]", "circular-dependency"),
        ("host = \"shop\"\non = [\"ldap1\", \"ldap2\"]\nmin_available = 3", "bad-redundancy"),
        ("host = \"shop\"\non = [\"ldap1\", \"ldap1\"]\nmin_available = 2", "bad-redundancy"),
        ("host = \"shop\"\non = [\"ldap1\"]\nmin_available = 0", "out-of-range"),
        ("host = \"shop\"\non = [\"ldap1\"]\nstates = [\"dwon\"]", "unknown-name"),
        ("host = \"shop\"\non = [\"ldap1\"]\nstates = [\"critical\"]", "bad-states"),
        ("host = \"shop\"\non = [\"ldap1\"]\nstops = [\"pages\"]", "unknown-word"),
        ("host = \"shop\"\non = [\"ldap1\"]\nperiod = \"nihgt\"", "unknown-timeperiod"),
    ] {
        let told = codes(&format!("[[dependency]]\n{text}\n"));
        assert!(told.contains(&code), "{code} is not in {told:?} of\n{text}");
    }
}

#[test]
fn a_downtime_comes_back_with_its_period_on_all_its_targets() {
    let loaded = loaded(
        r#"
[[downtime]]
name = "directory patches"
hosts = ["ldap*"]
period = "night"
for = "2h"
[[downtime]]
name = "shop"
host = "shop"
service = "login"
period = "night"
comment = "deploys"
[[downtime]]
hosts = ["ldap2", "shop"]
start = 2026-12-24T22:00:00Z
for = "90m"
"#,
    );
    let [patches, shop] = &*loaded.catalog.recurring else { panic!("two recurring downtimes") };
    let names = |targets: &[stentor_core::model::ObjectKey]| -> Vec<String> {
        targets.iter().map(|key| format!("{}/{}", key.host, key.service.as_deref().unwrap_or("-"))).collect()
    };
    assert_eq!(names(&patches.targets), ["ldap1/-", "ldap2/-"]);
    assert_eq!((patches.length, &*patches.comment), (Some(stentor_core::Span::from_hours(2)), "directory patches"));
    assert_eq!((names(&shop.targets), shop.length, &*shop.comment), (vec!["shop/login".to_owned()], None, "deploys"));
    assert_eq!(&*loaded.catalog.timeperiods[shop.period.index()].zone, "Europe/Amsterdam");
    let once: Vec<_> = loaded.catalog.downtimes.iter().map(|d| (&*d.target.host, d.end.to_rfc3339())).collect();
    let end = "2026-12-24T23:30:00.000Z".to_owned();
    assert_eq!(once, [("ldap2", end.clone()), ("shop", end)]);
}

#[test]
fn a_downtime_that_cannot_come_is_refused() {
    for (text, code) in [
        ("host = \"shop\"\nperiod = \"night\"", "missing-key"),
        ("name = \"a\"\nperiod = \"night\"", "missing-key"),
        ("name = \"a\"\nhost = \"shop\"\nperiod = \"nihgt\"", "unknown-timeperiod"),
        ("name = \"a\"\nhost = \"shop\"\nperiod = \"night\"\nstart = 2026-01-01T00:00:00Z", "bad-window"),
        ("name = \"a\"\nhost = \"shop\"\nperiod = \"night\"\nfor = \"0s\"", "out-of-range"),
        ("name = \"a\"\nhost = \"shop\"\nperiod = \"night\"\nfor = \"soon\"", "bad-duration"),
        ("name = \"a\"\nhosts = [\"db*\"]\nperiod = \"night\"", "unknown-host"),
        ("name = \"a\"\nhosts = [\"*\"]\nservice = \"x\"\nperiod = \"night\"", "unknown-service"),
        ("name = \"a\"\nhost = \"shop\"\nservice = \"x\"\nperiod = \"night\"", "unknown-service"),
        ("host = \"shop\"\nstart = 2026-01-01T00:00:00Z", "missing-key"),
        ("host = \"shop\"\nstart = 2026-01-01T00:00:00Z\nend = 2026-01-02T00:00:00Z\nfor = \"1h\"", "bad-window"),
        (
            "name = \"a\"\nhost = \"shop\"\nperiod = \"always\"\n[[timeperiod]]\nname = \"always\"\nwindows = [\"daily 00:00-24:00\"]",
            "bad-window",
        ),
        ("name = \"a\"\nhost = \"shop\"\nperiod = \"never\"\n[[timeperiod]]\nname = \"never\"", "bad-window"),
        (
            "name = \"a\"\nhost = \"shop\"\nperiod = \"night\"\n[[downtime]]\nname = \"a\"\nhost = \"shop\"\nperiod = \"night\"",
            "duplicate",
        ),
    ] {
        let told = codes(&format!("[[downtime]]\n{text}\n"));
        assert!(told.contains(&code), "{code} is not in {told:?} of\n{text}");
    }
}
