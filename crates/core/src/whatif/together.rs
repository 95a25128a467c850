//! What the diagnoses of all clouds come to as incidents: hosts that hang on one switch or feed are folded as the engine does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::physics::Dark;
use super::{World, opens};
use crate::diagnosis::{Diagnosis, Verdict};
use crate::engine::fold::{Causes, Fold, Hosts};
use crate::id::HostId;
use crate::incident::{CauseKey, Wanted};
use crate::model::HostState;
use crate::{Span, Timestamp};

pub(super) struct Found {
    /// Parallel to `catalog.clouds`, the worst first.
    pub of_clouds: Vec<Vec<Verdict>>,
    /// Of no cloud alone.
    pub elsewhere: Vec<Verdict>,
}

/// Verdicts that would be incidents.
pub(super) fn incidents(world: &World<'_>, diagnoses: &[Diagnosis], dark: &Dark) -> Found {
    let catalog = world.catalog;
    let mut causes: Causes = BTreeMap::new();
    for (cloud, diagnosis) in catalog.clouds.iter().zip(diagnoses) {
        for verdict in diagnosis.verdicts.iter().filter(|verdict| opens(verdict.class)) {
            let key = CauseKey::of(Some(Arc::clone(&cloud.name)), verdict);
            causes.insert(key, Wanted { verdict: verdict.clone(), hold: Span::ZERO });
        }
    }
    let after = After { world, dark };
    let hosts = (0..catalog.hosts.len()).map(HostId::from_index);
    let down: Vec<HostId> = hosts.filter(|host| after.is_down(*host)).collect();
    let fold = Fold { catalog, shares: &world.shares, hosts: &after, at: world.at };
    fold.fold(&mut causes, down.into_iter(), &|_, _| None);
    let mut found = Found { of_clouds: vec![Vec::new(); catalog.clouds.len()], elsewhere: Vec::new() };
    for (key, want) in causes {
        let cloud = catalog.clouds.iter().position(|cloud| Some(&cloud.name) == key.cloud.as_ref());
        match cloud {
            Some(cloud) => found.of_clouds[cloud].push(want.verdict),
            None => found.elsewhere.push(want.verdict),
        }
    }
    let all = found.of_clouds.iter_mut().chain([&mut found.elsewhere]);
    all.for_each(|verdicts| verdicts.sort_by_key(|verdict| std::cmp::Reverse(verdict.severity)));
    found
}

/// Hosts as they would stand.
struct After<'w> {
    world: &'w World<'w>,
    dark: &'w Dark,
}

impl Hosts for After<'_> {
    fn is_down(&self, host: HostId) -> bool {
        let name = &self.world.catalog.hosts[host.index()].name;
        let was = self.world.objects.as_ref().is_some_and(|now| now.row(host).host_state() == HostState::Down);
        was || self.dark.is_dark(name) || self.dark.switches.contains(name)
    }

    fn lives(&self, host: HostId) -> bool {
        let now = self.world.objects.as_ref().map(|now| now.row(host));
        !self.is_down(host) && now.is_none_or(|row| !row.is_pending() && row.state == 0)
    }

    fn is_planned(&self, host: HostId) -> bool {
        self.world.objects.as_ref().is_some_and(|now| now.row(host).downtime_depth > 0)
    }

    /// What it says is laid over the world as it would say it now.
    fn hears_controller(&self, _: HostId) -> bool {
        true
    }

    fn since(&self, _: HostId) -> Timestamp {
        self.world.at
    }

    fn state(&self, host: HostId) -> HostState {
        if self.is_down(host) { HostState::Down } else { HostState::Up }
    }
}
