//! Weak points of the design: what is well today and will not bear the next fault. From the configuration alone, and from
//! what probes see. What is not known is no weak point.

mod cabling;
mod cloudstack;
mod names;
mod power;
mod roles;
mod unchecked;
mod words;

use std::sync::Arc;

use crate::catalog::layout::Accepted;
use crate::policy::glob_matches;
use crate::sight::Sight;

pub use unchecked::{Unchecked, unchecked};

/// What a design can lack.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lint {
    PsuOneFeed,
    BondOneSwitch,
    FewUfs,
    CoreWithoutRaid,
    NoPassivePartner,
    HaTagWithoutHost,
    OneSecondaryStorage,
    StackWithoutUps,
    UplinkWithoutLacp,
    WalrusAndNc,
    UfsWithoutName,
    DeadUfsInDns,
    HaVmOnLocalStorage,
    HostSettingNotVip,
    Drift,
}

/// What people are told of a lint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Words {
    pub title: &'static str,
    /// What is at risk.
    pub risk: &'static str,
    pub remedy: &'static str,
    pub source: &'static str,
}

impl Lint {
    pub const ALL: [Lint; 15] = [
        Lint::PsuOneFeed,
        Lint::BondOneSwitch,
        Lint::FewUfs,
        Lint::CoreWithoutRaid,
        Lint::NoPassivePartner,
        Lint::HaTagWithoutHost,
        Lint::OneSecondaryStorage,
        Lint::StackWithoutUps,
        Lint::UplinkWithoutLacp,
        Lint::WalrusAndNc,
        Lint::UfsWithoutName,
        Lint::DeadUfsInDns,
        Lint::HaVmOnLocalStorage,
        Lint::HostSettingNotVip,
        Lint::Drift,
    ];

    /// Code of a finding of `stentor verify`.
    pub const fn code(self) -> &'static str {
        match self {
            Lint::PsuOneFeed => "design-psu-one-feed",
            Lint::BondOneSwitch => "design-bond-one-switch",
            Lint::FewUfs => "design-few-ufs",
            Lint::CoreWithoutRaid => "design-core-without-raid",
            Lint::NoPassivePartner => "design-no-passive-partner",
            Lint::HaTagWithoutHost => "design-ha-tag-without-host",
            Lint::OneSecondaryStorage => "design-one-secondary-storage",
            Lint::StackWithoutUps => "design-stack-without-ups",
            Lint::UplinkWithoutLacp => "design-uplink-without-lacp",
            Lint::WalrusAndNc => "design-walrus-and-nc",
            Lint::UfsWithoutName => "design-ufs-without-name",
            Lint::DeadUfsInDns => "design-dead-ufs-in-dns",
            Lint::HaVmOnLocalStorage => "design-ha-vm-on-local-storage",
            Lint::HostSettingNotVip => "design-host-setting-not-vip",
            Lint::Drift => "design-drift",
        }
    }

    /// As `[[accept]]` and the API write it: `psu-one-feed`.
    pub fn id(self) -> &'static str {
        self.code().trim_start_matches("design-")
    }

    pub fn find(id: &str) -> Option<Lint> {
        Lint::ALL.into_iter().find(|lint| lint.id() == id)
    }

    pub const fn words(self) -> Words {
        words::WORDS[self as usize]
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum About {
    Host,
    Switch,
    Cloud,
}

impl About {
    pub const fn as_str(self) -> &'static str {
        match self {
            About::Host => "host",
            About::Switch => "switch",
            About::Cloud => "cloud",
        }
    }
}

/// Where it was read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Basis {
    Declared,
    /// A probe saw it.
    Seen,
}

impl Basis {
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Declared => "declared",
            Basis::Seen => "seen",
        }
    }
}

/// One weak point.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    pub lint: Lint,
    pub about: About,
    pub target: Arc<str>,
    /// What exactly: `both power supplies hang on feed A`.
    pub detail: String,
    pub basis: Basis,
    /// Why somebody lives with it.
    pub accepted: Option<Arc<str>>,
}

impl Finding {
    fn new(lint: Lint, about: About, target: &Arc<str>, basis: Basis, detail: impl Into<String>) -> Finding {
        Finding { lint, about, target: Arc::clone(target), detail: detail.into(), basis, accepted: None }
    }

    fn of_host(lint: Lint, target: &Arc<str>, basis: Basis, detail: impl Into<String>) -> Finding {
        Finding::new(lint, About::Host, target, basis, detail)
    }

    fn of_cloud(lint: Lint, target: &Arc<str>, basis: Basis, detail: impl Into<String>) -> Finding {
        Finding::new(lint, About::Cloud, target, basis, detail)
    }
}

/// Every weak point in sight but [`Lint::Drift`], which the comparison of [`crate::topology_view`] tells; in the order of lints
/// and targets.
pub fn findings(sight: &Sight<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    power::look(sight, &mut found);
    cabling::look(sight, &mut found);
    roles::look(sight, &mut found);
    names::look(sight, &mut found);
    cloudstack::look(sight, &mut found);
    settle(found, &sight.catalog.layout.accepted)
}

/// Puts findings in order, each once, and marks those that somebody accepted.
pub fn settle(mut found: Vec<Finding>, accepted: &[Accepted]) -> Vec<Finding> {
    for finding in &mut found {
        let by = accepted
            .iter()
            .find(|accepted| *accepted.lint == *finding.lint.id() && glob_matches(&accepted.target, &finding.target));
        finding.accepted = by.map(|accepted| Arc::clone(&accepted.reason));
    }
    found.sort_by(|a, b| (a.lint, &a.target, &a.detail).cmp(&(b.lint, &b.target, &b.detail)));
    found.dedup();
    found
}

/// `a`, `a and b`, `a, b and c`
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [rest @ .., last] => {
            format!("{} and {}", rest.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_found_again_and_every_lint_has_all_its_words() {
        let ids: BTreeSet<&str> = Lint::ALL.iter().map(|lint| lint.id()).collect();
        assert_eq!(ids.len(), Lint::ALL.len());
        for (place, lint) in Lint::ALL.into_iter().enumerate() {
            assert_eq!((Lint::find(lint.id()), lint as usize), (Some(lint), place));
            let words = lint.words();
            assert!([words.title, words.risk, words.remedy, words.source].iter().all(|text| !text.is_empty()));
        }
        assert_eq!(Lint::find("design-few-ufs"), None);
    }

    #[test]
    fn what_is_accepted_stays_in_the_list_with_its_reason() {
        let finding = |target: &str| Finding::of_host(Lint::CoreWithoutRaid, &target.into(), Basis::Seen, "x");
        let accepted = [Accepted { lint: "core-without-raid".into(), target: "nc*".into(), reason: "cattle".into() }];
        let settled = settle(vec![finding("nc1"), finding("clc1"), finding("nc1")], &accepted);
        let told: Vec<_> = settled.iter().map(|f| (&*f.target, f.accepted.as_deref())).collect();
        assert_eq!(told, [("clc1", None), ("nc1", Some("cattle"))]);
        let other = [Accepted { lint: "few-ufs".into(), target: "*".into(), reason: "x".into() }];
        assert_eq!(settle(vec![finding("nc1")], &other)[0].accepted, None, "of another lint");
    }

    #[test]
    fn names_are_listed_as_people_do() {
        assert_eq!([listed::<&str>(&[]), listed(&["a"]), listed(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }
}
