//! SNMP: what switches, power supplies and other boxes say of themselves. One client, three probes: `snmp` (any objects),
//! `snmp_if` (interfaces), `snmp_ups` (power).

mod client;
mod interfaces;
mod limit;
mod login;
mod objects;
mod receiver;
mod ups;
mod usm_engine;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stentor_core::model::Observation;
use stentor_wire::snmp::Oid;
use tokio::time::Instant;

use super::ProbeError;

pub use client::{Agent, SnmpClient, SnmpError, SnmpPoller};
pub use interfaces::SnmpIf;
pub use login::{Access, AuthProtocol, Login, PrivProtocol, User, With};
pub use objects::Snmp;
pub use receiver::{Counts, Heard, Reason, ReceiverError, ReceiverSetup, Refusal, TrapReceiver};
pub use ups::SnmpUps;

/// sysUpTime.0: tells a restart of the agent.
const UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

fn up_time() -> Oid {
    Oid::new(&UP_TIME)
}

/// What is said of an agent that gave nothing to judge. Silence is an observation; our own mistakes are errors.
fn unanswered(agent: &Agent, error: SnmpError) -> Result<Observation, ProbeError> {
    let addr = agent.addr;
    match error {
        SnmpError::Silent => {
            let hint = match agent.login {
                Login::V1(_) | Login::V2c(_) => " (or not to this community)",
                Login::User(_) => "",
            };
            Ok(Observation::observed(format!("SNMP agent {addr} does not answer{hint}")).fact("snmp", "timeout"))
        }
        error @ SnmpError::NoAnswer { .. } => Err(ProbeError::Timeout(format!("{addr}: {error}"))),
        error => Err(ProbeError::Failed(format!("{addr}: {error}"))),
    }
}

/// Devices whose last readings one probe keeps for rates.
const KEPT_MAX: usize = 20_000;

/// The last readings of each device, for rates. A probe is shared by all hosts with equal parameters.
struct Kept<T> {
    /// Held for one look-up, never across an await.
    last: Mutex<HashMap<SocketAddr, Arc<(Instant, T)>>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { last: Mutex::new(HashMap::new()) }
    }
}

impl<T> Kept<T> {
    fn get(&self, addr: SocketAddr) -> Option<Arc<(Instant, T)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&addr).cloned()
    }

    fn put(&self, addr: SocketAddr, at: Instant, reading: T) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Addresses that nobody asks any more; the others have a rate again at the run after next.
        if last.len() >= KEPT_MAX && !last.contains_key(&addr) {
            last.clear();
        }
        last.insert(addr, Arc::new((at, reading)));
    }
}

#[cfg(test)]
mod tests;
