//! A simulated device that answers SNMPv2c on loopback from a table of objects, which the simulation exchanges.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use stentor_wire::snmp::responder::Responder;
use stentor_wire::snmp::{Oid, SnmpValue};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What devices answer out of the box; so do these.
const COMMUNITY: &[u8] = b"public";
/// Longest question that is read, and longest answer that is given.
const DATAGRAM_BYTES_MAX: usize = 1_472;

/// What a device has.
pub type Objects = BTreeMap<Oid, SnmpValue>;

/// A device and its task; dropping it makes it silent.
pub struct Device {
    objects: Arc<ArcSwap<Objects>>,
    task: JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    /// # Errors
    /// The address is taken.
    pub async fn start(address: SocketAddr, objects: Objects) -> io::Result<Device> {
        let socket = UdpSocket::bind(address).await?;
        let objects = Arc::new(ArcSwap::from_pointee(objects));
        let task = tokio::spawn(answer(socket, Arc::clone(&objects)));
        Ok(Device { objects, task })
    }

    pub fn set(&self, objects: Objects) {
        self.objects.store(Arc::new(objects));
    }
}

async fn answer(socket: UdpSocket, objects: Arc<ArcSwap<Objects>>) {
    let mut question = [0; DATAGRAM_BYTES_MAX];
    loop {
        // A sender that is gone again shows as an error of the next read; it is no concern of the others.
        let Ok((length, peer)) = socket.recv_from(&mut question).await else { continue };
        let objects = objects.load();
        let responder = Responder { community: COMMUNITY, objects: &objects, answer_bytes_max: DATAGRAM_BYTES_MAX };
        let answer = question.get(..length).and_then(|question| responder.answer(question));
        if let Some(answer) = answer {
            // Who asked does not wait any more, or asks again.
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}
