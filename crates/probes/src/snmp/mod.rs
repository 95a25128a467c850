//! SNMP: what switches, power supplies and other boxes say of themselves. One client, and a probe for each sort of box:
//! `snmp` (any objects), `snmp_if` (interfaces), `snmp_array`, `snmp_host`, `snmp_pdu`, `snmp_switch`, `snmp_ups`.

mod array;
mod client;
mod host;
mod interfaces;
mod limit;
mod login;
mod objects;
mod pdu;
mod receiver;
mod switch;
mod ups;
mod usm_engine;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::entity::Health;
use stentor_wire::snmp::{Oid, VarBind};
use tokio::time::Instant;

use super::{Deadline, ProbeError};

pub use array::SnmpArray;
pub use client::{Agent, SnmpClient, SnmpError, SnmpPoller};
pub use host::SnmpHost;
pub use interfaces::SnmpIf;
pub use login::{Access, AuthProtocol, Login, PrivProtocol, User, With};
pub use objects::Snmp;
pub use pdu::SnmpPdu;
pub use receiver::{Counts, Heard, Reason, ReceiverError, ReceiverSetup, Refusal, TrapReceiver};
pub use switch::SnmpSwitch;
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

/// Objects of one GET: as many fit an answer that no Ethernet has to break up.
const ASKED_AT_ONCE_MAX: usize = 50;

/// One run's questions to one agent.
struct Asking<'a> {
    poller: &'a dyn SnmpPoller,
    agent: &'a Agent,
    deadline: Deadline,
    has_answered: bool,
}

impl<'a> Asking<'a> {
    fn new(poller: &'a dyn SnmpPoller, agent: &'a Agent, deadline: Deadline) -> Asking<'a> {
        Asking { poller, agent, deadline, has_answered: false }
    }

    /// Silence after an answer is no silent agent.
    fn told<T>(&mut self, answer: Result<T, SnmpError>, during: &'static str) -> Result<T, SnmpError> {
        match answer {
            Err(SnmpError::Silent) if self.has_answered => Err(SnmpError::NoAnswer { during }),
            Err(error) => Err(error),
            Ok(answer) => {
                self.has_answered = true;
                Ok(answer)
            }
        }
    }

    async fn get(&mut self, oids: &[Oid], during: &'static str) -> Result<Vec<VarBind>, SnmpError> {
        let mut found = Vec::with_capacity(oids.len());
        for oids in oids.chunks(ASKED_AT_ONCE_MAX) {
            let answer = self.poller.get(self.agent, oids, self.deadline).await;
            found.extend(self.told(answer, during)?);
        }
        Ok(found)
    }

    async fn columns(
        &mut self,
        roots: &[Oid],
        rows_max: usize,
        during: &'static str,
    ) -> Result<Vec<VarBind>, SnmpError> {
        let answer = self.poller.columns(self.agent, roots, rows_max, self.deadline).await;
        self.told(answer, during)
    }
}

/// A power supply in the shape of the signal `psu`: offsets of IPMI's sensor type 08h. `None` where nothing is known.
fn supply(name: &str, health: Health) -> Option<Value> {
    let offsets: Vec<i64> = match health {
        Health::Ok => vec![0],
        Health::Failed => vec![0, 1],
        Health::Warning => vec![0, 2],
        Health::Absent | Health::Unknown => return None,
    };
    Some([("id", Value::from(name)), ("offsets", offsets.into())].into_iter().collect())
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
