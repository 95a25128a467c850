//! Weak points of the design that the configuration alone shows, as warnings; and `[[accept]]`, which lives with one.

use stentor_core::catalog::Catalog;
use stentor_core::catalog::layout::Accepted;
use stentor_core::design::{self, About, Lint};
use stentor_core::policy::glob_matches;
use stentor_core::sight::Sight;

use super::all;
use super::finding::{Diagnostics, Place, suggest};
use super::objects::Builder;
use super::tree::Section;

/// Reads `[[accept]]`.
pub(super) fn read(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    for section in all(roots, "accept", "[[accept]]", found) {
        let lint = section.needed("lint", found);
        let target = section.needed("target", found);
        let reason = section.needed("reason", found);
        let (Some(lint), Some(target), Some(reason)) = (lint, target, reason) else { continue };
        if Lint::find(lint.value).is_none() {
            let help = suggest(lint.value, Lint::ALL.iter().map(|lint| lint.id()));
            found.error("unknown-lint", &lint.at, format!("unknown lint `{}`", lint.value), help);
        }
        let catalog = &builder.catalog;
        let hosts = catalog.hosts.iter().map(|host| &*host.name);
        let switches = catalog.layout.switches.iter().map(|switch| &*switch.name);
        let mut names = hosts.chain(switches).chain(catalog.clouds.iter().map(|cloud| &*cloud.name));
        if !names.any(|name| glob_matches(target.value, name)) {
            let message = format!("no host, switch or cloud is called `{}`", target.value);
            found.warning("accepts-nothing", &target.at, message, "");
        }
        builder.catalog.layout.accepted.push(Accepted {
            lint: lint.value.into(),
            target: target.value.into(),
            reason: reason.value.into(),
        });
    }
}

/// Warns of each weak point that nobody accepted, where its host, switch or cloud is configured.
pub(super) fn warn(roots: &[Section<'_>], catalog: &Catalog, found: &mut Diagnostics) {
    for finding in design::findings(&Sight::blind(catalog)) {
        if finding.accepted.is_some() {
            continue;
        }
        let section = match finding.about {
            About::Host => "host",
            About::Switch => "switch",
            About::Cloud => "cloud",
        };
        let words = finding.lint.words();
        let message = format!("{}: {}. {}", finding.target, finding.detail, words.risk);
        let place = place_of(roots, section, &finding.target);
        found.warning(finding.lint.code(), &place, message, words.remedy);
    }
}

/// Where a table with that name stands.
fn place_of(roots: &[Section<'_>], key: &str, name: &str) -> Place {
    // What is wrong with the tables has been said.
    let mut quiet = Diagnostics::default();
    let section = match key {
        "host" => "[[host]]",
        "switch" => "[[switch]]",
        _ => "[[cloud]]",
    };
    let tables = all(roots, key, section, &mut quiet);
    let named = tables.iter().find_map(|table| table.text("name", &mut quiet).filter(|text| text.value == name));
    named.map(|text| text.at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Loaded, load_text};

    const CLOUD: &str = r#"
[[cloud]]
name = "euca"
platform = "eucalyptus"
release = "4.4"
[[switch]]
name = "sw1"
[[host]]
name = "front"
cloud = "euca"
components = ["eucalyptus/ufs"]
psu_feeds = ["A", "A"]
switch_ports = ["eth0=sw1/1", "eth1=sw1/2"]
[[host]]
name = "back"
cloud = "euca"
components = ["eucalyptus/walrus", "eucalyptus/nc"]
psu_feeds = ["A", "B"]
"#;

    fn load(more: &str) -> Result<Loaded, Vec<String>> {
        let codes = |found: &crate::config::Diagnostics| found.findings.iter().map(|f| f.code.to_owned()).collect();
        load_text(&format!("{CLOUD}{more}"), Path::new("stentor.toml")).map_err(|found| codes(&found))
    }

    fn warnings(more: &str) -> Vec<(&'static str, usize)> {
        let loaded = load(more).expect("loads");
        loaded.warnings.findings.iter().map(|f| (f.code, loaded.warnings.line_column(&f.place).0)).collect()
    }

    #[test]
    fn each_weak_point_is_a_warning_where_its_object_is_configured() {
        let all = [
            ("design-few-ufs", 3),
            ("design-psu-one-feed", 9),
            ("design-bond-one-switch", 9),
            ("design-walrus-and-nc", 15),
        ];
        assert_eq!(warnings(""), all);
        let loaded = load("").expect("loads");
        let links = &loaded.catalog.layout.wirings[0].links;
        assert_eq!((links[1].interface.as_deref(), links[1].port.as_deref()), (Some("eth1"), Some("2")));
    }

    #[test]
    fn what_is_accepted_is_no_warning() {
        let accept = "[[accept]]\nlint = \"few-ufs\"\ntarget = \"euca\"\nreason = \"a laboratory\"\n\
                      [[accept]]\nlint = \"walrus-and-nc\"\ntarget = \"b*\"\nreason = \"a laboratory\"\n";
        assert_eq!(warnings(accept), [("design-psu-one-feed", 9), ("design-bond-one-switch", 9)]);
    }

    #[test]
    fn an_acceptance_names_a_lint_something_that_exists_and_a_reason() {
        let accept = |lint: &str, target: &str, reason: &str| {
            format!("[[accept]]\nlint = \"{lint}\"\ntarget = \"{target}\"\nreason = \"{reason}\"\n")
        };
        assert_eq!(load(&accept("fewufs", "euca", "x")).expect_err("refused"), ["unknown-lint"]);
        assert_eq!(load(&accept("few-ufs", "euca", " ")).expect_err("refused"), ["empty"]);
        assert_eq!(load("[[accept]]\nlint = \"few-ufs\"\ntarget = \"euca\"\n").expect_err("refused"), ["missing-key"]);
        assert!(warnings(&accept("few-ufs", "eucca", "x")).contains(&("accepts-nothing", 21)));
    }
}
