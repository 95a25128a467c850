//! Dependencies of the configuration: what they become, and what is refused.

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
