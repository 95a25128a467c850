//! Pages, API, metrics and live updates. Reads [`Snapshot`](stentor_core::snapshot::Snapshot) and history; writes only
//! through [`Handle::command`](crate::engine::Handle::command).

pub mod api;
pub mod assets;
pub mod auth;
pub mod availability;
pub mod board;
pub mod drills;
pub mod filter;
#[cfg(test)]
pub(crate) mod fixture;
pub mod health;
pub mod links;
pub mod listing;
pub mod metrics;
pub mod notices;
pub mod pages;
pub mod parts;
pub mod problem;
pub mod redfish;
pub mod router;
pub mod serve;
pub mod sse;
pub mod subject;
#[cfg(test)]
mod tests;
pub mod words;

use std::sync::Arc;

use crate::clock::Clock;
use crate::drills::Book;
use crate::engine::Handle;
use crate::nagios::desk::Desk;
use crate::runbook::agents::Agents;
use crate::store::SharedStore;
use crate::traps::board::Board;

/// Makes what is shared of a host's controller old. `false` = that was done a moment ago.
pub type MakeOld = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What every handler may use. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub engine: Handle,
    pub store: SharedStore,
    pub clock: Clock,
    /// Takes what external commands ask of the process.
    pub desk: Desk,
    /// What agents say of themselves, and the orders that wait for them.
    pub agents: Arc<Agents>,
    /// What recoveries were drilled.
    pub drills: Book,
    /// SNMP traps that came in lately.
    pub traps: Board,
    /// The process's own metrics (inbox length, latencies, notifications).
    pub self_metrics: Arc<prometheus::Registry>,
    /// Base URL under which people reach the pages; links in messages use the same.
    pub url: Arc<str>,
    /// Cookies carry `Secure` and the `__Host-` prefix only over TLS.
    pub secure_cookies: bool,
    pub make_old: MakeOld,
    /// Extra routes of the demo (fault injection), merged below `/demo`.
    pub demo: Option<axum::Router<WebState>>,
}
