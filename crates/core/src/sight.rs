//! What the newest results say of a host: facts of fresh observations by the kind of their probe. What is stale, failed
//! or was never seen is not here, so that nobody takes absence for evidence.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::catalog::{Catalog, Host};
use crate::id::{CloudId, HostId, ServiceId};
use crate::model::{Facts, Observation, Outcome, Value};
use crate::snapshot::{Detail, Row, Snapshot};

/// The configured world, and what is seen of it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub catalog: &'a Catalog,
    /// Parallel to the tables of the catalog; empty = only the configuration is known.
    hosts: &'a [Row],
    services: &'a [Row],
    details: &'a [Arc<Detail>],
}

/// A fresh observation.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub service: ServiceId,
    pub name: &'a Arc<str>,
    pub host: HostId,
    /// Kind of the probe.
    pub probe: &'a str,
    pub row: &'a Row,
    pub observation: &'a Observation,
}

impl<'a> Seen<'a> {
    pub fn facts(&self) -> &'a Facts {
        &self.observation.facts
    }

    /// The members of a list, or of a single map in its place.
    pub fn list(&self, fact: &str) -> &'a [Value] {
        match self.facts().get(fact) {
            Some(Value::List(items)) => items,
            Some(single @ Value::Map(_)) => std::slice::from_ref(single),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_)) | None => &[],
        }
    }

    pub fn text(&self, fact: &str) -> Option<&'a str> {
        self.facts().get(fact).and_then(Value::text)
    }

    pub fn number(&self, fact: &str) -> Option<f64> {
        self.facts().get(fact).and_then(Value::number)
    }
}

impl<'a> Sight<'a> {
    /// The configuration alone.
    pub fn blind(catalog: &'a Catalog) -> Sight<'a> {
        Sight { catalog, hosts: &[], services: &[], details: &[] }
    }

    pub fn of(snapshot: &'a Snapshot) -> Sight<'a> {
        Sight {
            catalog: &snapshot.catalog,
            hosts: &snapshot.hosts,
            services: &snapshot.services,
            details: &snapshot.service_details,
        }
    }

    pub fn host(&self, id: HostId) -> &'a Host {
        &self.catalog.hosts[id.index()]
    }

    pub fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.catalog.hosts.len()).map(HostId::from_index)
    }

    /// Hosts of a cloud that run a component.
    pub fn with_component(&self, cloud: CloudId, key: &str) -> Vec<HostId> {
        let of_cloud = self.catalog.components.iter().filter(|component| &*component.key == key);
        let hosts = of_cloud.map(|component| component.host).filter(|host| self.host(*host).cloud == Some(cloud));
        hosts.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn has_component(&self, host: HostId, key: &str) -> bool {
        self.host(host).components.iter().any(|id| &*self.catalog.components[id.index()].key == key)
    }

    /// Part of the Core of its cloud, by the pack of its platform.
    pub fn is_core(&self, host: HostId) -> bool {
        self.host(host).components.iter().any(|id| {
            let component = &self.catalog.components[id.index()];
            let platform = self.catalog.platform(&component.platform);
            platform.is_some_and(|known| known.components.iter().any(|kind| kind.key == component.key && kind.core))
        })
    }

    /// Nobody answers there, and that is certain.
    pub fn is_down(&self, host: HostId) -> bool {
        self.hosts.get(host.index()).is_some_and(Row::is_hard_problem)
    }

    pub fn service_row(&self, service: ServiceId) -> Option<&'a Row> {
        self.services.get(service.index())
    }

    /// The newest result of a service, whatever it is; the observation is `None` before the first.
    pub fn newest(&self, service: ServiceId) -> Option<(&'a Row, Option<&'a Observation>)> {
        let detail = self.details.get(service.index())?;
        Some((self.service_row(service)?, detail.observation.as_deref()))
    }

    /// Fresh observations of a host.
    pub fn of_host(&self, host: HostId) -> impl Iterator<Item = Seen<'a>> + use<'a> {
        let sight = *self;
        sight.host(host).services.iter().filter_map(move |id| sight.seen(*id))
    }

    pub fn by_probe(&self, host: HostId, probe: &'a str) -> impl Iterator<Item = Seen<'a>> + use<'a> {
        self.of_host(host).filter(move |seen| seen.probe == probe)
    }

    /// Fresh observations of all hosts of a cloud.
    pub fn of_cloud(&self, cloud: CloudId) -> impl Iterator<Item = Seen<'a>> + use<'a> {
        let sight = *self;
        sight.catalog.clouds[cloud.index()].hosts.iter().flat_map(move |host| sight.of_host(*host))
    }

    pub fn seen(&self, id: ServiceId) -> Option<Seen<'a>> {
        let row = self.services.get(id.index())?;
        let observation = self.details.get(id.index())?.observation.as_deref()?;
        if row.is_pending() || row.is_stale() || observation.outcome != Outcome::Observed {
            return None;
        }
        let service = self.catalog.services.get(id.index())?;
        let probe = &*self.catalog.checks[service.check.index()].probe;
        Some(Seen { service: id, name: &service.name, host: service.host, probe, row, observation })
    }
}

/// Whether two names mean one machine: letters in any case, with or without the domain. Addresses have none.
pub fn is_same(one: &str, other: &str) -> bool {
    short(one).eq_ignore_ascii_case(short(other)) && {
        let domain = |name: &str| name.trim().trim_end_matches('.')[short(name).len()..].to_ascii_lowercase();
        let (one, other) = (domain(one), domain(other));
        one.is_empty() || other.is_empty() || one == other
    }
}

/// `nc1.example.org` -> `nc1`
fn short(name: &str) -> &str {
    let name = name.trim();
    if name.parse::<IpAddr>().is_ok() {
        return name;
    }
    name.split('.').next().unwrap_or(name)
}

/// A small world for tests of what reads it.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::catalog::{Check, Cloud, Component, ComponentType, Host, Platform, Service, View, Zone};
    use crate::id::{CheckId, ComponentId, ZoneId};
    use crate::snapshot::Flags;
    use crate::{Span, Timestamp};

    #[derive(Default)]
    pub struct World {
        pub catalog: Catalog,
        pub hosts: Vec<Row>,
        pub services: Vec<Row>,
        pub details: Vec<Arc<Detail>>,
    }

    impl World {
        /// A site with one cloud of that platform; of its components those with a star belong to the Core.
        pub fn new(platform: &str, components: &[&str]) -> World {
            let kind = |key: &&str| ComponentType {
                key: key.trim_end_matches('*').into(),
                name: key.trim_end_matches('*').into(),
                core: key.ends_with('*'),
                units: Vec::new(),
                processes: Vec::new(),
                ports: Vec::new(),
                jvm: false,
                redundancy_kind: "single".into(),
                redundancy_min: 1,
                depends_on: Vec::new(),
            };
            let mut world = World::default();
            world.catalog.site = "site".into();
            world.catalog.platforms.push(Arc::new(Platform {
                key: platform.into(),
                version: "1".into(),
                core: None,
                components: components.iter().map(kind).collect(),
                cells: Vec::new(),
                runbooks: Vec::new(),
            }));
            world.catalog.zones.push(Zone { name: "z".into(), cloud: Some(CloudId(0)) });
            let topology = crate::diagnosis::Topology::default();
            let cloud = Cloud { name: "c".into(), platform: platform.into(), min_nc: 1, topology, hosts: Vec::new() };
            world.catalog.clouds.push(cloud);
            world
        }

        pub fn host(&mut self, name: &str, components: &[&str]) -> HostId {
            let id = HostId::from_index(self.catalog.hosts.len());
            let platform = Arc::clone(&self.catalog.clouds[0].platform);
            let first = self.catalog.components.len();
            self.catalog.components.extend(components.iter().map(|key| Component {
                host: id,
                key: (*key).into(),
                platform: Arc::clone(&platform),
                services: Vec::new(),
            }));
            self.catalog.hosts.push(Host {
                address: format!("10.0.0.{}", id.0 + 1).into(),
                cloud: Some(CloudId(0)),
                components: (first..self.catalog.components.len()).map(ComponentId::from_index).collect(),
                view: View::Agent,
                ..Host::bare(name, ZoneId(0))
            });
            self.catalog.clouds[0].hosts.push(id);
            self.hosts.push(row(0));
            self.catalog.reindex();
            id
        }

        /// A service of that name and probe with a fresh, well result.
        pub fn sees(&mut self, host: HostId, name: &str, probe: &str, observation: Observation) -> ServiceId {
            let id = ServiceId::from_index(self.catalog.services.len());
            let check = CheckId::from_index(self.catalog.checks.len());
            self.catalog.checks.push(Check {
                name: format!("{probe}/{}", id.0).into(),
                probe: probe.into(),
                params: Value::Null,
                every: Span::from_secs(60),
                retry: Span::from_secs(15),
                timeout: Span::from_secs(10),
                attempts: 3,
                rules: Vec::new(),
                signals: Vec::new(),
                host_side: false,
                freshness: Span::ZERO,
            });
            let service = Service { host, name: name.into(), check, params: Value::Null, component: None };
            self.catalog.services.push(service);
            self.catalog.hosts[host.index()].services.push(id);
            self.services.push(row(0));
            let detail = Detail { observation: Some(Arc::new(observation)), ..Detail::default() };
            self.details.push(Arc::new(detail));
            self.catalog.reindex();
            id
        }

        pub fn sight(&self) -> Sight<'_> {
            Sight { catalog: &self.catalog, hosts: &self.hosts, services: &self.services, details: &self.details }
        }
    }

    pub fn row(state: u8) -> Row {
        Row {
            last_check: Timestamp::from_secs(1_000),
            state,
            last_hard_state: state,
            flags: Flags(Flags::CHECKED),
            ..Row::default()
        }
    }

    /// A fact from JSON.
    pub fn json(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnknownCause;
    use crate::snapshot::Flags;

    #[test]
    fn a_machine_is_known_with_and_without_its_domain() {
        for (one, other, same) in [
            ("nc1", "NC1", true),
            ("nc1", "nc1.example.org", true),
            ("nc1.example.org.", "nc1.example.org", true),
            ("nc1.example.org", "nc1.example.net", false),
            ("nc1", "nc2.example.org", false),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "10", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn what_is_stale_failed_or_never_seen_is_not_in_sight() {
        let mut world = testing::World::new("p", &[]);
        let host = world.host("a", &[]);
        let id = world.sees(host, "x", "disk", Observation::observed("fine"));
        assert_eq!(world.sight().of_host(host).count(), 1);
        assert_eq!(Sight::blind(&world.catalog).of_host(host).count(), 0);
        world.services[id.index()].flags.set(Flags::STALE, true);
        assert_eq!(world.sight().of_host(host).count(), 0);
        world.services[id.index()].flags = Flags(0);
        assert_eq!(world.sight().of_host(host).count(), 0, "pending");
        world.services[id.index()].flags = Flags(Flags::CHECKED);
        let failed = Observation::failed(UnknownCause::Timeout, "late");
        world.details[id.index()] = Arc::new(Detail { observation: Some(Arc::new(failed)), ..Detail::default() });
        assert_eq!(world.sight().of_host(host).count(), 0);
    }
}
