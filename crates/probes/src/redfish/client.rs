//! Controllers as the rest of the collector sees them: one task per controller owns its session, so one request is in
//! flight, and one poll feeds every service that asks within a moment.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RedfishError;
use super::session::{Link, Memory, Session};
use super::subscribe::{Standing, Subscriber};
use super::walk::{self, Poll, Recall};
use crate::Network;
use crate::tls::Trust;

/// Services of one host that may wait for the same poll.
const WAITING_MAX: usize = 64;
/// After this time without a poll the session is given back: controllers have few, and keep one for half an hour.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Time for giving a session back.
const FAREWELL: Duration = Duration::from_secs(4);
/// The controller's task stops this much before the deadline, so that it can still say what it was doing.
const REPLY_MARGIN: Duration = Duration::from_millis(100);
/// How long one poll's result is shared: a poll takes a slow controller seconds, and nine services of a host want it, each
/// at its own time of the minute.
const SHARE_FOR: Duration = Duration::from_secs(20);
/// Events of one host make what is shared old no more often than this: a controller that chatters must not be polled for it.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);

/// A password that no log shows.
#[derive(Clone, PartialEq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How a controller is reached, by whom, and whom we take it for.
#[derive(Clone, Debug)]
pub struct Access {
    /// Name in the catalog.
    pub host: Arc<str>,
    pub addr: SocketAddr,
    /// Address or name as configured: what its certificate must be for.
    pub name: String,
    /// For the header `Host`.
    pub authority: String,
    pub user: String,
    pub password: Secret,
    pub basic: bool,
    pub trust: Arc<Trust>,
    /// What `trust` was made of.
    pub tls: super::TlsChoice,
    /// Which of several systems is meant: id, name, serial number or UUID.
    pub system: Option<String>,
}

impl PartialEq for Access {
    fn eq(&self, other: &Access) -> bool {
        (&self.host, self.addr, &self.name, &self.user, &self.password, self.basic, &self.tls, &self.system)
            == (
                &other.host,
                other.addr,
                &other.name,
                &other.user,
                &other.password,
                other.basic,
                &other.tls,
                &other.system,
            )
    }
}

/// Another user has other rights, and another system is another host.
type Key = (Arc<str>, SocketAddr, String, Option<String>);

enum Order {
    Poll(Access, Instant, oneshot::Sender<Result<Arc<Poll>, RedfishError>>),
    Subscribe(Access, Instant, Subscriber, oneshot::Sender<Result<Standing, RedfishError>>),
}

impl Order {
    fn access(&self) -> &Access {
        match self {
            Order::Poll(access, ..) | Order::Subscribe(access, ..) => access,
        }
    }
}

/// Polls controllers. Cheap to clone; all clones share sessions and results.
#[derive(Clone)]
pub struct RedfishClient {
    inner: Arc<Inner>,
}

struct Inner {
    share_for: Duration,
    /// Only the addresses of the tasks; what they know is theirs. Held for a look-up, never across an await.
    mailboxes: Mutex<BTreeMap<Key, mpsc::Sender<Order>>>,
    /// By host: what was polled before is not shared any more.
    expired: Arc<Mutex<BTreeMap<Arc<str>, Instant>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Default for RedfishClient {
    fn default() -> Self {
        RedfishClient::new(SHARE_FOR)
    }
}

impl std::fmt::Debug for RedfishClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedfishClient")
    }
}

impl RedfishClient {
    /// Connects to nobody before the first poll.
    pub fn new(share_for: Duration) -> Self {
        let (mailboxes, expired) = (Mutex::default(), Arc::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        RedfishClient { inner: Arc::new(Inner { share_for, mailboxes, expired, tasks, stop }) }
    }

    /// What is known of a host's controller is old from now on. `false` = that was said a moment ago.
    pub fn expire(&self, host: &str) -> bool {
        let mut expired = self.inner.expired.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        expired.retain(|_, at| at.elapsed() < SHARE_FOR);
        if expired.get(host).is_some_and(|at| at.elapsed() < EXPIRE_EVERY) {
            return false;
        }
        expired.insert(host.into(), now);
        true
    }

    /// What the controller says, at most a few seconds old.
    ///
    /// # Errors
    /// See [`RedfishError`]: a wrong password, a wrong certificate and a silent controller are different things.
    pub async fn poll(&self, net: &Network, access: Access, deadline: Instant) -> Result<Arc<Poll>, RedfishError> {
        self.order(net, deadline, |inner, reply| Order::Poll(access.clone(), inner, reply)).await
    }

    /// Sees to it that the controller sends its events here.
    ///
    /// # Errors
    /// As [`RedfishClient::poll`].
    pub async fn subscribe(
        &self,
        net: &Network,
        access: Access,
        subscriber: Subscriber,
        deadline: Instant,
    ) -> Result<Standing, RedfishError> {
        self.order(net, deadline, |inner, reply| Order::Subscribe(access.clone(), inner, subscriber.clone(), reply))
            .await
    }

    async fn order<T>(
        &self,
        net: &Network,
        deadline: Instant,
        order: impl FnOnce(Instant, oneshot::Sender<Result<T, RedfishError>>) -> Order,
    ) -> Result<T, RedfishError> {
        let (reply, answer) = oneshot::channel();
        let inner = deadline.checked_sub(REPLY_MARGIN).unwrap_or(deadline);
        let mut order = order(inner, reply);
        loop {
            let mailbox = self.mailbox(net, order.access())?;
            let sent = timeout_at(deadline, mailbox.send(order)).await.map_err(|_| RedfishError::Busy)?;
            match sent {
                Ok(()) => break,
                // The task ended for idleness between look-up and send: a new one takes its place.
                Err(mpsc::error::SendError(back)) => order = back,
            }
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(RedfishError::Stopped),
            Err(_) => Err(RedfishError::Busy),
        }
    }

    /// Gives every session back. Polls after this are refused.
    pub async fn shutdown(&self, deadline: Instant) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if timeout_at(deadline, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("not every Redfish session was given back in time; controllers end the rest themselves");
        }
    }

    fn mailbox(&self, net: &Network, access: &Access) -> Result<mpsc::Sender<Order>, RedfishError> {
        let inner = &self.inner;
        if inner.stop.is_cancelled() {
            return Err(RedfishError::Stopped);
        }
        let mut mailboxes = inner.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(&access.host), access.addr, access.user.clone(), access.system.clone());
        if let Some(mailbox) = mailboxes.get(&key).filter(|mailbox| !mailbox.is_closed()) {
            return Ok(mailbox.clone());
        }
        // Addresses of tasks that ended would otherwise pile up.
        mailboxes.retain(|_, mailbox| !mailbox.is_closed());
        let (mailbox, orders) = mpsc::channel(WAITING_MAX);
        mailboxes.insert(key, mailbox.clone());
        let worker = Worker {
            net: net.clone(),
            share_for: inner.share_for,
            expired: Arc::clone(&inner.expired),
            access: access.clone(),
            session: None,
            memory: Memory::default(),
            recall: Recall::default(),
            last: None,
        };
        inner.tasks.spawn(worker.run(orders, inner.stop.clone()));
        Ok(mailbox)
    }
}

/// The task of one controller: one request in flight, because everything goes through here.
struct Worker {
    net: Network,
    share_for: Duration,
    expired: Arc<Mutex<BTreeMap<Arc<str>, Instant>>>,
    access: Access,
    session: Option<Session>,
    memory: Memory,
    recall: Recall,
    last: Option<(Instant, Arc<Poll>)>,
}

impl Worker {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) {
        let mut idle_until = Instant::now() + IDLE_MAX;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => {
                    let Some(order) = order else { break };
                    tokio::select! {
                        // The session stays with us, so it can still be given back.
                        () = stop.cancelled() => break,
                        () = self.serve(order, &mut orders) => {}
                    }
                    idle_until = Instant::now() + IDLE_MAX;
                }
                () = sleep_until(idle_until) => break,
            }
        }
        orders.close();
        self.say_farewell().await;
    }

    /// Answers one order and all that waited for the same poll.
    async fn serve(&mut self, order: Order, orders: &mut mpsc::Receiver<Order>) {
        let mut queue = VecDeque::from([order]);
        while let Some(order) = queue.pop_front() {
            if *order.access() != self.access {
                // New password, certificate or way of login: the old session is not to be used under it.
                self.say_farewell().await;
                self.access = order.access().clone();
                self.memory = Memory::default();
                self.last = None;
            }
            match order {
                Order::Subscribe(_, deadline, subscriber, reply) => {
                    // A requester that has gone is no loss.
                    let _ = reply.send(self.subscribe(&subscriber, deadline).await);
                }
                Order::Poll(_, deadline, reply) => {
                    let fresh =
                        self.last.as_ref().filter(|(at, _)| at.elapsed() < self.share_for && !self.is_expired(*at));
                    let result = match fresh {
                        Some((_, poll)) => Ok(Arc::clone(poll)),
                        None => self.poll(deadline).await,
                    };
                    let _ = reply.send(result.clone());
                    self.share(&result, &mut queue, orders);
                }
            }
        }
    }

    fn is_expired(&self, at: Instant) -> bool {
        let expired = self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        expired.get(&*self.access.host).is_some_and(|expired| at <= *expired)
    }

    /// Gives a result to all who wait for the same.
    fn share(
        &self,
        result: &Result<Arc<Poll>, RedfishError>,
        queue: &mut VecDeque<Order>,
        orders: &mut mpsc::Receiver<Order>,
    ) {
        while queue.len() < WAITING_MAX
            && let Ok(waiting) = orders.try_recv()
        {
            match waiting {
                Order::Poll(access, _, reply) if access == self.access => {
                    let _ = reply.send(result.clone());
                }
                other => queue.push_back(other),
            }
        }
    }

    async fn poll(&mut self, deadline: Instant) -> Result<Arc<Poll>, RedfishError> {
        self.last = None;
        if Instant::now() >= deadline {
            return Err(RedfishError::Busy);
        }
        let mut link = Link::new(&self.net, &self.access, &mut self.session, &mut self.memory, deadline);
        let result = walk::poll(&mut link, self.access.system.as_deref(), &mut self.recall).await;
        if result.is_err() {
            // It may come back with another firmware.
            self.memory.root = None;
        }
        let poll = Arc::new(result?);
        self.last = Some((Instant::now(), Arc::clone(&poll)));
        Ok(poll)
    }

    async fn subscribe(&mut self, subscriber: &Subscriber, deadline: Instant) -> Result<Standing, RedfishError> {
        if Instant::now() >= deadline {
            return Err(RedfishError::Busy);
        }
        let mut link = Link::new(&self.net, &self.access, &mut self.session, &mut self.memory, deadline);
        subscriber.renew(&mut link).await
    }

    async fn say_farewell(&mut self) {
        if self.session.is_some() {
            let deadline = Instant::now() + FAREWELL;
            Link::new(&self.net, &self.access, &mut self.session, &mut self.memory, deadline).log_out().await;
        }
    }
}
