//! Host reachability: DOWN or UNREACHABLE, from the parents' current states (specification 03, section 3).

use crate::catalog::Catalog;
use crate::id::HostId;
use crate::model::HostState;
use crate::snapshot::Row;

/// Refines a failed host check: UNREACHABLE when the host has parents and none of them is UP, else DOWN.
pub fn refine(catalog: &Catalog, rows: &[Row], host: HostId) -> HostState {
    let parents = &catalog.hosts[host.index()].parents;
    let all_gone = !parents.is_empty() && parents.iter().all(|parent| rows[parent.index()].state != 0);
    if all_gone { HostState::Unreachable } else { HostState::Down }
}
