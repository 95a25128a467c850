//! One UDP socket per address family for all controllers. Answers are handed out by our session id.
//!
//! A socket per controller costs half as much again in CPU and a descriptor each; the session id in each RMCP+
//! packet makes one socket enough.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use stentor_wire::ipmi::packet;
use tokio::net::UdpSocket;
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::Darkness;

/// Room for the answers of some thousand controllers that answer in the same moment.
const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// RMCP packets are far smaller; what is longer is cut and then fails its checks.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Answers waiting for one controller's task. One command is in flight, so more are copies; they are dropped.
const INBOX_DATAGRAMS: usize = 16;

/// Datagrams taken in one go before other tasks get their turn.
const BURST_DATAGRAMS: usize = 64;

/// Random bytes a session fetches from the system at once: sixteen initialisation vectors.
const RANDOM_BYTES: usize = 256;

/// Sends and receives for all sessions.
pub(super) struct Transport {
    dark: Option<Darkness>,
    routes: Mutex<Routes>,
    ipv4: OnceCell<Arc<UdpSocket>>,
    ipv6: OnceCell<Arc<UdpSocket>>,
    dropped: AtomicU64,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct Routes {
    sessions: HashMap<u32, Route>,
    /// Answers outside RMCP+ carry no session id: every channel to that address gets them.
    peers: BTreeMap<(SocketAddr, u32), mpsc::Sender<Vec<u8>>>,
}

struct Route {
    peer: SocketAddr,
    inbox: mpsc::Sender<Vec<u8>>,
}

impl Transport {
    pub(super) fn new(dark: Option<Darkness>) -> Arc<Self> {
        Arc::new(Transport {
            dark,
            routes: Mutex::default(),
            ipv4: OnceCell::new(),
            ipv6: OnceCell::new(),
            dropped: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Datagrams nobody waited for, or whose receiver was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the receiving tasks; sockets close when the last channel is gone.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A channel to one controller with a fresh session id of ours.
    pub(super) async fn channel(self: &Arc<Self>, peer: SocketAddr) -> io::Result<Channel> {
        let cell = if peer.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        let socket = cell.get_or_try_init(|| async { self.bind(peer.is_ipv4()) }).await?.clone();
        let (sender, inbox) = mpsc::channel(INBOX_DATAGRAMS);
        let mut routes = self.routes();
        let mut session_id = random_u32()?;
        while session_id == 0 || routes.sessions.contains_key(&session_id) {
            session_id = session_id.wrapping_add(1);
        }
        routes.sessions.insert(session_id, Route { peer, inbox: sender.clone() });
        routes.peers.insert((peer, session_id), sender);
        drop(routes);
        Ok(Channel { transport: self.clone(), socket, peer, session_id, inbox })
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        // The table holds whole entries only, so a panic elsewhere cannot have left it half-changed.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bind(self: &Arc<Self>, is_ipv4: bool) -> io::Result<Arc<UdpSocket>> {
        use socket2::{Domain, Protocol, Socket, Type};
        let (domain, any) = if is_ipv4 {
            (Domain::IPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
        } else {
            (Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))
        };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        if !is_ipv4 {
            socket.set_only_v6(true)?;
        }
        // The kernel caps this at net.core.rmem_max; a smaller buffer costs retries, not correctness.
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
            tracing::debug!(%error, "receive buffer of the IPMI socket keeps its default size");
        }
        socket.bind(&any.into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        self.tasks.spawn(receive(Arc::downgrade(self), socket.clone(), self.stop.clone()));
        Ok(socket)
    }

    fn is_dark(&self, peer: SocketAddr) -> bool {
        self.dark.as_ref().is_some_and(|dark| dark(peer.ip()))
    }

    fn dispatch(&self, peer: SocketAddr, datagram: &[u8]) {
        let routes = self.routes();
        // A session is bound to the address it was opened with.
        let session = packet::addressed_session(datagram);
        let addressed = session.and_then(|id| routes.sessions.get(&id)).filter(|route| route.peer == peer);
        let mut refused = 0;
        if let Some(route) = addressed {
            refused += u64::from(route.inbox.try_send(datagram.to_vec()).is_err());
        } else {
            // Plain messages carry no session id, and some controllers put a zero into a refusal.
            let mut is_wanted = false;
            for (_, inbox) in routes.peers.range((peer, 0)..=(peer, u32::MAX)) {
                is_wanted = true;
                refused += u64::from(inbox.try_send(datagram.to_vec()).is_err());
            }
            refused += u64::from(!is_wanted);
        }
        self.dropped.fetch_add(refused, Ordering::Relaxed);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Reads one socket until told to stop, or until nobody is left to hand datagrams to.
async fn receive(transport: Weak<Transport>, socket: Arc<UdpSocket>, stop: CancellationToken) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let mut received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Some(transport) = transport.upgrade() else { return };
        for _ in 0..BURST_DATAGRAMS {
            match received {
                Ok((length, peer)) if !transport.is_dark(peer) => {
                    transport.dispatch(peer, buffer.get(..length).unwrap_or_default());
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive on the IPMI socket");
                    break;
                }
            }
            // What is there already needs no waiting.
            received = socket.try_recv_from(&mut buffer);
        }
        // Neither a flood nor an error that stays may keep the others from running.
        tokio::task::yield_now().await;
    }
}

/// Unpredictable bytes in store: asking the system for sixteen at a time costs more than encrypting with them.
pub(super) struct RandomBytes {
    store: Box<[u8; RANDOM_BYTES]>,
    left: usize,
}

impl Default for RandomBytes {
    fn default() -> Self {
        RandomBytes { store: Box::new([0; RANDOM_BYTES]), left: 0 }
    }
}

impl RandomBytes {
    /// The next bytes; none is handed out twice.
    pub(super) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        if self.left < N {
            self.left = 0;
            getrandom::fill(&mut self.store[..]).map_err(io::Error::other)?;
            self.left = RANDOM_BYTES;
        }
        let bytes = self.store.get(self.left - N..self.left).and_then(|bytes| bytes.first_chunk());
        self.left -= N;
        Ok(*bytes.expect("there are at least so many left"))
    }
}

pub(super) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn random_u32() -> io::Result<u32> {
    random_bytes().map(u32::from_le_bytes)
}

/// One controller's share of the socket. Dropping it gives the session id back.
pub(super) struct Channel {
    transport: Arc<Transport>,
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    session_id: u32,
    inbox: mpsc::Receiver<Vec<u8>>,
}

impl Channel {
    pub(super) fn session_id(&self) -> u32 {
        self.session_id
    }

    /// Sends one datagram; to a dark address it vanishes.
    pub(super) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        if self.transport.is_dark(self.peer) {
            return Ok(());
        }
        match self.socket.try_send_to(datagram, self.peer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.send_to(datagram, self.peer).await.map(|_| ())
            }
            sent => sent.map(|_| ()),
        }
    }

    /// The next datagram for this session. Waits for ever if none comes; cancel-safe.
    pub(super) async fn receive(&mut self) -> Vec<u8> {
        match self.inbox.recv().await {
            Some(datagram) => datagram,
            // Only when the routes are gone, which they are not while this channel lives.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let mut routes = self.transport.routes();
        routes.sessions.remove(&self.session_id);
        routes.peers.remove(&(self.peer, self.session_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_random_bytes_are_handed_out_twice() {
        let mut random = RandomBytes::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * RANDOM_BYTES / 16 {
            assert!(seen.insert(random.take::<16>().expect("the system has random bytes")));
        }
    }
}
