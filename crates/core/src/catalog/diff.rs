//! Two catalogs compared by key, so that a reload carries state over.

use crate::id::{HostId, ServiceId};

use super::Catalog;

/// What a reload does to the tables of objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogDiff {
    pub hosts: Carried<HostId>,
    /// A service is the same if host name and service name are.
    pub services: Carried<ServiceId>,
}

/// How the rows of one table move from the old catalog to the new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried<I> {
    /// Per old row: its new id, `None` if it is gone.
    pub to_new: Vec<Option<I>>,
    /// Per new row: its old id, `None` if it is new.
    pub from_old: Vec<Option<I>>,
}

impl<I> Default for Carried<I> {
    fn default() -> Self {
        Carried { to_new: Vec::new(), from_old: Vec::new() }
    }
}

impl<I: Copy> Carried<I> {
    fn new(old_len: usize, new_len: usize) -> Self {
        Carried { to_new: vec![None; old_len], from_old: vec![None; new_len] }
    }

    /// How many rows are (kept, added, removed).
    pub fn counts(&self) -> (usize, usize, usize) {
        let kept = self.to_new.iter().flatten().count();
        (kept, self.from_old.len() - kept, self.to_new.len() - kept)
    }
}

impl Carried<HostId> {
    pub fn added(&self) -> impl Iterator<Item = HostId> + '_ {
        unmatched(&self.from_old).map(HostId::from_index)
    }

    pub fn removed(&self) -> impl Iterator<Item = HostId> + '_ {
        unmatched(&self.to_new).map(HostId::from_index)
    }
}

impl Carried<ServiceId> {
    pub fn added(&self) -> impl Iterator<Item = ServiceId> + '_ {
        unmatched(&self.from_old).map(ServiceId::from_index)
    }

    pub fn removed(&self) -> impl Iterator<Item = ServiceId> + '_ {
        unmatched(&self.to_new).map(ServiceId::from_index)
    }
}

fn unmatched<I>(rows: &[Option<I>]) -> impl Iterator<Item = usize> + '_ {
    rows.iter().enumerate().filter(|(_, other)| other.is_none()).map(|(i, _)| i)
}

/// Compares by host name and service name. Both catalogs must be indexed ([`Catalog::reindex`]).
pub fn diff(old: &Catalog, new: &Catalog) -> CatalogDiff {
    let mut hosts = Carried::new(old.hosts.len(), new.hosts.len());
    let mut services = Carried::new(old.services.len(), new.services.len());
    for (i, host) in old.hosts.iter().enumerate() {
        let Some(id) = new.host_id(&host.name) else { continue };
        hosts.to_new[i] = Some(id);
        hosts.from_old[id.index()] = Some(HostId::from_index(i));
        for &before in old.index.service.get(i).into_iter().flatten() {
            let Some(after) = new.service_on(id, &old.services[before.index()].name) else { continue };
            services.to_new[before.index()] = Some(after);
            services.from_old[after.index()] = Some(before);
        }
    }
    CatalogDiff { hosts, services }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Host, Service};
    use crate::id::{CheckId, ZoneId};
    use crate::model::Value;

    /// `"a: x y; b: x"` = host a with services x and y, host b with x.
    fn catalog(text: &str) -> Catalog {
        let mut catalog = Catalog::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, services) = part.split_once(':').expect("host: services");
            let host = HostId::from_index(catalog.hosts.len());
            catalog.hosts.push(Host::bare(name.trim(), ZoneId(0)));
            for service in services.split_whitespace() {
                catalog.services.push(Service {
                    host,
                    name: service.into(),
                    check: CheckId(0),
                    params: Value::Null,
                    component: None,
                });
            }
        }
        catalog.reindex();
        catalog
    }

    #[test]
    fn rows_are_carried_by_name_whatever_their_order() {
        let old = catalog("a: x y; b: x; c: z");
        let new = catalog("n: x; b: x w; a: y");
        let diff = diff(&old, &new);
        assert_eq!(diff.hosts.to_new, [Some(HostId(2)), Some(HostId(1)), None]);
        assert_eq!(diff.hosts.from_old, [None, Some(HostId(1)), Some(HostId(0))]);
        assert_eq!(diff.services.to_new, [None, Some(ServiceId(3)), Some(ServiceId(1)), None]);
        assert_eq!(diff.services.added().collect::<Vec<_>>(), [ServiceId(0), ServiceId(2)]);
        assert_eq!(diff.services.removed().collect::<Vec<_>>(), [ServiceId(0), ServiceId(3)]);
        assert_eq!(diff.hosts.added().collect::<Vec<_>>(), [HostId(0)]);
        assert_eq!(diff.hosts.removed().collect::<Vec<_>>(), [HostId(2)]);
        assert_eq!((diff.hosts.counts(), diff.services.counts()), ((2, 1, 1), (2, 2, 2)));
    }

    #[test]
    fn the_same_catalog_carries_everything() {
        let one = catalog("a: x y; b: x");
        let diff = diff(&one, &one.clone());
        assert_eq!((diff.hosts.counts(), diff.services.counts()), ((2, 0, 0), (3, 0, 0)));
    }
}
