//! Controllers as the rest of the collector sees them: one task per controller owns its session, and one poll feeds
//! every service that asks within a few seconds.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stentor_wire::ipmi::Suite;
use stentor_wire::ipmi::command::{DeviceId, GetDeviceId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::Darkness;
use super::IpmiError;
use super::breaker::{Breaker, Effort};
use super::last_good::LastGood;
use super::poll::{BmcPoll, Memory, ends_session, poll};
use super::session::{BmcAddress, Link, Opening};
use super::transport::{Transport, random_bytes};

/// Services of one host that may wait for the same poll.
const WAITING_MAX: usize = 64;
/// An idle session is used at least this often; controllers drop it after 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Time for the answer to a keep-alive.
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(4);
/// After this time without a poll the session is closed and the task ends: the host has left the catalog, or is
/// polled so rarely that the slot should be free for others.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// The controller's task stops this much before the deadline, so that it can still say what it was doing.
const REPLY_MARGIN: Duration = Duration::from_millis(50);

/// How long one poll's result is shared, unless set otherwise.
pub const SHARE_FOR: Duration = Duration::from_millis(500);

/// Polls controllers. Cheap to clone; all clones share sockets, sessions and results.
#[derive(Clone)]
pub struct BmcClient {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Arc<Transport>,
    share_for: Duration,
    /// Only the addresses of the tasks; what they know is theirs. Held for a look-up, never across an await.
    mailboxes: Mutex<HashMap<Key, mpsc::Sender<Order>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Another user is another session, with other rights.
type Key = (SocketAddr, Vec<u8>);

struct Order {
    address: BmcAddress,
    deadline: Instant,
    reply: oneshot::Sender<Look>,
}

/// What a controller says, and what it said before.
#[derive(Clone, Debug)]
pub struct Look {
    pub result: Result<Arc<BmcPoll>, IpmiError>,
    /// The last poll that read everything, unless that is `result`.
    pub last_good: Option<LastGood>,
}

impl From<IpmiError> for Look {
    fn from(error: IpmiError) -> Self {
        Look { result: Err(error), last_good: None }
    }
}

impl Default for BmcClient {
    fn default() -> Self {
        BmcClient::new(None, SHARE_FOR)
    }
}

impl std::fmt::Debug for BmcClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BmcClient")
    }
}

impl BmcClient {
    /// Opens no socket before the first poll. Packets to addresses that `dark` names vanish.
    pub fn new(dark: Option<Darkness>, share_for: Duration) -> Self {
        let inner = Inner {
            transport: Transport::new(dark),
            share_for,
            mailboxes: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        BmcClient { inner: Arc::new(inner) }
    }

    /// What the controller says, at most a few seconds old.
    ///
    /// # Errors
    /// See [`IpmiError`]: a wrong password, a refused suite and a silent controller are different things.
    pub async fn poll(&self, bmc: &BmcAddress, deadline: Instant) -> Result<Arc<BmcPoll>, IpmiError> {
        self.look(bmc, deadline).await.result
    }

    /// The same with what it last said, for when it says nothing now.
    pub async fn look(&self, bmc: &BmcAddress, deadline: Instant) -> Look {
        let (reply, answer) = oneshot::channel();
        let inner = deadline.checked_sub(REPLY_MARGIN).unwrap_or(deadline);
        let mut order = Order { address: bmc.clone(), deadline: inner, reply };
        loop {
            let mailbox = match self.mailbox(bmc) {
                Ok(mailbox) => mailbox,
                Err(error) => return error.into(),
            };
            match timeout_at(deadline, mailbox.send(order)).await {
                Ok(Ok(())) => break,
                // The task ended for idleness between look-up and send: a new one takes its place.
                Ok(Err(mpsc::error::SendError(back))) => order = back,
                Err(_) => return IpmiError::Busy.into(),
            }
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(look)) => look,
            Ok(Err(_)) => IpmiError::Stopped.into(),
            Err(_) => IpmiError::Busy.into(),
        }
    }

    pub(super) fn transport(&self) -> &Arc<Transport> {
        &self.inner.transport
    }

    /// Datagrams that belonged to nobody or came faster than they were taken.
    pub fn dropped_datagrams(&self) -> u64 {
        self.inner.transport.dropped()
    }

    /// Closes every session, then the sockets. Polls after this are refused.
    pub async fn shutdown(&self, deadline: Instant) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if timeout_at(deadline, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("not every IPMI session was closed in time; controllers drop the rest after a minute");
        }
        self.inner.transport.stop().await;
    }

    fn mailbox(&self, bmc: &BmcAddress) -> Result<mpsc::Sender<Order>, IpmiError> {
        let inner = &self.inner;
        if inner.stop.is_cancelled() {
            return Err(IpmiError::Stopped);
        }
        let mut mailboxes = inner.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (bmc.addr, bmc.credentials.user().to_vec());
        if let Some(mailbox) = mailboxes.get(&key).filter(|mailbox| !mailbox.is_closed()) {
            return Ok(mailbox.clone());
        }
        // Addresses of tasks that ended would otherwise pile up.
        mailboxes.retain(|_, mailbox| !mailbox.is_closed());
        let (mailbox, orders) = mpsc::channel(WAITING_MAX);
        mailboxes.insert(key, mailbox.clone());
        let worker = Worker {
            transport: inner.transport.clone(),
            share_for: inner.share_for,
            address: bmc.clone(),
            link: None,
            preferred: None,
            breaker: Breaker::default(),
            memory: Memory::default(),
            last: None,
            last_good: None,
        };
        inner.tasks.spawn(worker.run(orders, inner.stop.clone()));
        Ok(mailbox)
    }
}

/// The task of one controller: one command in flight, because everything goes through here.
struct Worker {
    transport: Arc<Transport>,
    share_for: Duration,
    address: BmcAddress,
    link: Option<(Link, DeviceId)>,
    /// The suite that worked last.
    preferred: Option<Suite>,
    breaker: Breaker,
    memory: Memory,
    last: Option<(Instant, Arc<BmcPoll>)>,
    /// The last poll that read everything.
    last_good: Option<(Instant, Arc<BmcPoll>)>,
}

impl Worker {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) {
        let mut idle_until = Instant::now() + IDLE_MAX;
        loop {
            let alarm = match &self.link {
                Some((link, _)) => idle_until.min(link.used_at() + KEEP_ALIVE),
                None => idle_until,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => {
                    let Some(order) = order else { break };
                    tokio::select! {
                        // The session stays with us, so it can still be closed.
                        () = stop.cancelled() => break,
                        () = self.serve(order, &mut orders) => {}
                    }
                    idle_until = Instant::now() + IDLE_MAX;
                }
                () = sleep_until(alarm) => {
                    if Instant::now() >= idle_until {
                        break;
                    }
                    self.keep_alive().await;
                }
            }
        }
        orders.close();
        if let Some((link, _)) = self.link.take() {
            link.close().await;
        }
    }

    /// Answers one order and all that waited for the same poll.
    async fn serve(&mut self, order: Order, orders: &mut mpsc::Receiver<Order>) {
        let mut queue = VecDeque::from([order]);
        while let Some(order) = queue.pop_front() {
            if order.address != self.address {
                // New password or suite: the old session is not to be used under it.
                self.drop_link().await;
                self.address = order.address.clone();
                self.preferred = None;
                self.breaker = Breaker::default();
                self.last = None;
            }
            let fresh = self.last.as_ref().filter(|(at, _)| at.elapsed() < self.share_for);
            let result = match fresh {
                Some((_, poll)) => Ok(poll.clone()),
                None => self.poll(order.deadline).await,
            };
            let look = self.look(result);
            // A requester that has gone is no loss.
            let _ = order.reply.send(look.clone());
            while queue.len() < WAITING_MAX
                && let Ok(waiting) = orders.try_recv()
            {
                if waiting.address == self.address {
                    let _ = waiting.reply.send(look.clone());
                } else {
                    queue.push_back(waiting);
                }
            }
        }
    }

    fn look(&self, result: Result<Arc<BmcPoll>, IpmiError>) -> Look {
        let is_it = |poll: &Arc<BmcPoll>| result.as_ref().is_ok_and(|now| Arc::ptr_eq(now, poll));
        let before = self.last_good.as_ref().filter(|(_, poll)| !is_it(poll));
        let last_good = before.map(|(at, poll)| LastGood { poll: poll.clone(), age: at.elapsed() });
        Look { result, last_good }
    }

    async fn poll(&mut self, deadline: Instant) -> Result<Arc<BmcPoll>, IpmiError> {
        self.last = None;
        if Instant::now() >= deadline {
            return Err(IpmiError::Busy);
        }
        let is_trial = match self.breaker.effort(Instant::now()) {
            Effort::Full => false,
            Effort::Trial => true,
            Effort::Known(error) => return Err(error),
        };
        if let Some((link, _)) = &mut self.link {
            link.doubt();
        }
        let is_reused = self.link.is_some();
        let mut result = self.poll_once(is_trial, deadline).await;
        if is_reused && result.as_ref().is_err_and(ends_session) {
            // The controller restarted or forgot the session: once more from the start.
            result = self.poll_once(is_trial, deadline).await;
        }
        let seed = random_bytes().map_or(u32::MAX / 2, u32::from_le_bytes);
        self.breaker.note(&result, Instant::now(), seed);
        let seen = (Instant::now(), Arc::new(result?));
        let poll = seen.1.clone();
        if poll.missing.is_none() {
            self.last_good = Some(seen.clone());
        }
        self.last = Some(seen);
        Ok(poll)
    }

    async fn poll_once(&mut self, is_trial: bool, deadline: Instant) -> Result<BmcPoll, IpmiError> {
        if self.link.is_none() {
            let opening = Opening { preferred: self.preferred, is_trial };
            let opened = Link::open(&self.transport, &self.address, opening, deadline).await?;
            self.preferred = Some(opened.0.suite());
            self.link = Some(opened);
        }
        let (link, device) = self.link.as_mut().ok_or(IpmiError::Stopped)?;
        let result = poll(link, *device, &mut self.memory, deadline).await;
        if result.as_ref().is_err_and(ends_session) {
            self.link = None;
        }
        result
    }

    async fn keep_alive(&mut self) {
        let Some((link, _)) = &mut self.link else { return };
        link.doubt();
        if let Err(error) = link.call(&GetDeviceId, Instant::now() + KEEP_ALIVE_WAIT).await {
            tracing::debug!(%error, "idle IPMI session was lost");
            self.link = None;
        }
    }

    async fn drop_link(&mut self) {
        if let Some((link, _)) = self.link.take() {
            link.close().await;
        }
    }
}
