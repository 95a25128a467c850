//! Switching the target host by its controller: Redfish where the host is polled by it, else IPMI.

use stentor_core::catalog::{Catalog, Host, PowerAction};
use stentor_core::model::Value;
use stentor_core::runbook::Order;
use stentor_core::snapshot::Snapshot;
use tokio::time::Instant;

use super::{Ended, Parts};
use crate::probes::{Target, ipmi, redfish};

pub async fn switch(parts: &Parts, snapshot: &Snapshot, order: &Order, action: PowerAction) -> Ended {
    let catalog = &snapshot.catalog;
    let Some(host) = catalog.host_id(&order.host).map(|id| &catalog.hosts[id.index()]) else {
        return Ended::failed(format!("there is no host `{}` any more", order.host));
    };
    let target = Target { host: host.name.clone(), address: host.address.clone(), bmc: host.bmc.clone() };
    let deadline = Instant::now() + order.within.to_std();
    let switched = match params_of(catalog, host, "redfish") {
        Some(params) => redfish::switch(&parts.env, &target, &params, action, deadline).await,
        None => {
            let params = params_of(catalog, host, "ipmi").unwrap_or_default();
            ipmi::switch(&parts.env, &target, &params, action, deadline).await
        }
    };
    match switched {
        Ok(seen) => Ended { well: true, output: seen },
        Err(error) => Ended::failed(error.to_string()),
    }
}

/// Parameters of the host's check with that probe.
fn params_of(catalog: &Catalog, host: &Host, probe: &str) -> Option<Value> {
    host.services.iter().find_map(|id| {
        let service = &catalog.services[id.index()];
        let check = &catalog.checks[service.check.index()];
        (*check.probe == *probe).then(|| check.params.overlaid(&service.params))
    })
}
