//! A simulated server controller that really listens: RMCP+ with suites 3 and 17 on a UDP socket.
//!
//! One task owns the sessions and the model; the handle sends it changes and waits until they are in force.

use std::io;
use std::net::SocketAddr;

use stentor_wire::ipmi::bmc::{Arrival, BmcSetup, BmcSide, BmcUser};
use stentor_wire::ipmi::{Privilege, Suite};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bmc_model::{BmcModel, Part};
use crate::clock::Clock;

/// Sessions of a simulated controller, like a middling real one.
const SESSIONS_MAX: usize = 16;

/// Changes on their way to the task; each waits for its effect, so few are ever queued.
const CHANGES_MAX: usize = 8;

/// Longest datagram taken.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Told after somebody switched the machine over the network: whether it is on now.
pub type Switched = Box<dyn Fn(bool) + Send>;

/// Who a simulated controller is.
#[derive(Clone, Debug)]
pub struct BmcIdentity {
    pub guid: [u8; 16],
    pub users: Vec<BmcUser>,
    pub kg: Option<Vec<u8>>,
    pub suites: Vec<Suite>,
}

impl BmcIdentity {
    /// Suites 17 and 3, one user with User privilege.
    pub fn with_user(name: &str, password: &str) -> Self {
        BmcIdentity::with_nobody().and_user(name, password, Privilege::User)
    }

    /// The same with one user who may also switch the machine.
    pub fn with_operator(name: &str, password: &str) -> Self {
        BmcIdentity::with_nobody().and_user(name, password, Privilege::Operator)
    }

    fn with_nobody() -> Self {
        BmcIdentity { guid: *b"stentor-demo-bmc", users: Vec::new(), kg: None, suites: Suite::DEFAULT.to_vec() }
    }

    /// Adds an account.
    pub fn and_user(mut self, name: &str, password: &str, privilege_max: Privilege) -> Self {
        self.users.push(BmcUser {
            name: name.as_bytes().to_vec(),
            password: password.as_bytes().to_vec(),
            privilege_max,
        });
        self
    }
}

/// What happens to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Power(bool),
    FailPsu(u8),
    LosePsuInput(u8),
    MendPsu(u8),
    FailDrive(u8),
    Reading(Part, u8),
    ClearLog,
    Heal,
    /// The controller answers nothing.
    Silent(bool),
    /// The controller restarts: sessions are gone.
    Restart,
    /// Only asks.
    Look,
}

/// An order to the task, and who waits for it.
type Order = (Request, oneshot::Sender<BmcStatus>);

enum Request {
    Change(Change),
    /// Who wants to know of switching.
    Tell(Switched),
}

/// What the handle is told back.
#[derive(Clone, Debug)]
pub struct BmcStatus {
    pub is_on: bool,
    pub open_sessions: usize,
    pub log_entries: usize,
    /// Datagrams received since the start, also while silent.
    pub datagrams: u64,
}

/// A running simulated controller; it stops when this is dropped.
#[derive(Debug)]
pub struct SimulatedBmc {
    address: SocketAddr,
    changes: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Drop for SimulatedBmc {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SimulatedBmc {
    /// Starts a healthy server's controller on `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, identity: BmcIdentity, clock: Clock) -> io::Result<Self> {
        let model = BmcModel::healthy(unix_seconds(&clock));
        SimulatedBmc::start_model(address, identity, model, clock).await
    }

    /// The same for a machine of one's own.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_model(
        address: SocketAddr,
        identity: BmcIdentity,
        model: BmcModel,
        clock: Clock,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let (changes, orders) = mpsc::channel(CHANGES_MAX);
        let setup = BmcSetup {
            guid: identity.guid,
            users: identity.users,
            kg: identity.kg,
            suites: identity.suites,
            sessions_max: SESSIONS_MAX,
        };
        let server = Server {
            socket,
            sessions: BmcSide::new(setup),
            model,
            clock,
            started: Instant::now(),
            is_silent: false,
            datagrams: 0,
            switched: None,
        };
        let task = tokio::spawn(server.run(orders));
        Ok(SimulatedBmc { address, changes, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Switches the host on or off.
    pub async fn set_power(&self, is_on: bool) {
        self.apply(Change::Power(is_on)).await;
    }

    /// Breaks power supply `n` (1 or 2).
    pub async fn fail_psu(&self, n: u8) {
        self.apply(Change::FailPsu(n)).await;
    }

    /// Takes the input power of supply `n` away.
    pub async fn lose_psu_input(&self, n: u8) {
        self.apply(Change::LosePsuInput(n)).await;
    }

    /// Mends power supply `n`.
    pub async fn mend_psu(&self, n: u8) {
        self.apply(Change::MendPsu(n)).await;
    }

    /// Breaks the drive in bay `n` (1 or 2).
    pub async fn fail_drive(&self, n: u8) {
        self.apply(Change::FailDrive(n)).await;
    }

    /// Sets the raw reading of a threshold sensor.
    pub async fn set_reading(&self, part: Part, raw: u8) {
        self.apply(Change::Reading(part, raw)).await;
    }

    /// Empties the event log.
    pub async fn clear_log(&self) {
        self.apply(Change::ClearLog).await;
    }

    /// Everything works again and the host is on; the controller answers.
    pub async fn heal(&self) {
        self.apply(Change::Silent(false)).await;
        self.apply(Change::Heal).await;
    }

    /// Makes the controller answer nothing, or answer again.
    pub async fn set_silent(&self, is_silent: bool) {
        self.apply(Change::Silent(is_silent)).await;
    }

    /// Restarts the controller: it forgets its sessions.
    pub async fn restart(&self) {
        self.apply(Change::Restart).await;
    }

    /// Whoever switches the machine over the network from now on is told to `switched`; [`SimulatedBmc::set_power`] is not.
    pub async fn tell(&self, switched: Switched) {
        self.order(Request::Tell(switched)).await;
    }

    /// What the controller is doing; `None` if its task has ended.
    pub async fn status(&self) -> Option<BmcStatus> {
        self.apply(Change::Look).await
    }

    async fn apply(&self, change: Change) -> Option<BmcStatus> {
        self.order(Request::Change(change)).await
    }

    async fn order(&self, request: Request) -> Option<BmcStatus> {
        let (done, told) = oneshot::channel();
        self.changes.send((request, done)).await.ok()?;
        told.await.ok()
    }
}

fn unix_seconds(clock: &Clock) -> u32 {
    u32::try_from(clock.now().as_millis() / 1000).unwrap_or(0)
}

struct Server {
    socket: UdpSocket,
    sessions: BmcSide,
    model: BmcModel,
    clock: Clock,
    started: Instant,
    is_silent: bool,
    datagrams: u64,
    switched: Option<Switched>,
}

impl Server {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some((request, done)) = order else { return };
                    match request {
                        Request::Change(change) => self.change(change),
                        Request::Tell(switched) => self.switched = Some(switched),
                    }
                    // Whoever asked may have gone.
                    let _ = done.send(self.status());
                }
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, peer)) => self.answer(buffer.get(..length).unwrap_or_default(), peer).await,
                    Err(error) => {
                        tracing::debug!(%error, "simulated BMC cannot receive");
                        tokio::task::yield_now().await;
                    }
                },
            }
        }
    }

    fn status(&self) -> BmcStatus {
        BmcStatus {
            is_on: self.model.is_on(),
            open_sessions: self.sessions.open_sessions(),
            log_entries: self.model.log().len(),
            datagrams: self.datagrams,
        }
    }

    fn change(&mut self, change: Change) {
        self.model.set_now(unix_seconds(&self.clock));
        match change {
            Change::Power(is_on) => self.model.set_power(is_on),
            Change::FailPsu(n) => self.model.fail_psu(n),
            Change::LosePsuInput(n) => self.model.lose_psu_input(n),
            Change::MendPsu(n) => self.model.mend_psu(n),
            Change::FailDrive(n) => self.model.fail_drive(n),
            Change::Reading(part, raw) => self.model.set_reading(part, raw),
            Change::ClearLog => self.model.clear_log(),
            Change::Heal => self.model.heal(),
            Change::Silent(is_silent) => self.is_silent = is_silent,
            Change::Restart => self.sessions.forget_sessions(),
            Change::Look => {}
        }
    }

    async fn answer(&mut self, datagram: &[u8], peer: SocketAddr) {
        self.datagrams += 1;
        if self.is_silent {
            return;
        }
        let mut is_random = true;
        let mut entropy = |out: &mut [u8]| is_random &= getrandom::fill(out).is_ok();
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let arrival = Arrival { at_ms, entropy: &mut entropy };
        let was_on = self.model.is_on();
        let answer = self.sessions.receive(datagram, arrival, &mut self.model);
        if let Some(switched) = self.switched.as_ref().filter(|_| self.model.is_on() != was_on) {
            switched(self.model.is_on());
        }
        let Some(answer) = answer.filter(|_| is_random) else { return };
        if let Err(error) = self.socket.send_to(&answer, peer).await {
            tracing::debug!(%error, "simulated BMC cannot answer");
        }
    }
}
