//! Whose address a trap came from: hosts by their own address and by that of their BMC, and what `[[traps.source]]` says.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use stentor_core::catalog::Catalog;

use crate::config::traps::Traps;

/// Hosts by address, of one catalog. Names are not resolved: a name that leads elsewhere today would give a host's state
/// away to a stranger.
#[derive(Default)]
pub struct Sources {
    catalog: Option<Arc<Catalog>>,
    hosts: HashMap<IpAddr, Vec<Arc<str>>>,
    named: HashMap<IpAddr, Arc<str>>,
}

impl Sources {
    pub fn new(settings: &Traps) -> Sources {
        let named = settings.sources.iter().map(|source| (source.address, source.host.value.as_str().into())).collect();
        Sources { named, ..Sources::default() }
    }

    /// The hosts that send from this address; several where one machine has several names.
    pub fn hosts(&mut self, address: IpAddr, catalog: &Arc<Catalog>) -> Vec<Arc<str>> {
        if let Some(host) = self.named.get(&address) {
            return vec![Arc::clone(host)];
        }
        if !self.catalog.as_ref().is_some_and(|known| Arc::ptr_eq(known, catalog)) {
            self.hosts = by_address(catalog);
            self.catalog = Some(Arc::clone(catalog));
        }
        self.hosts.get(&address).cloned().unwrap_or_default()
    }
}

fn by_address(catalog: &Catalog) -> HashMap<IpAddr, Vec<Arc<str>>> {
    let mut hosts: HashMap<IpAddr, Vec<Arc<str>>> = HashMap::new();
    for host in &catalog.hosts {
        let bmc = host.bmc.as_ref().map(|bmc| &*bmc.address);
        let mut put = |address: &str| {
            let Ok(address) = address.parse::<IpAddr>() else { return };
            let names = hosts.entry(address.to_canonical()).or_default();
            if !names.contains(&host.name) {
                names.push(Arc::clone(&host.name));
            }
        };
        put(&host.address);
        bmc.into_iter().for_each(put);
    }
    hosts
}
