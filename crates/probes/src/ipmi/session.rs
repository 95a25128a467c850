//! One open session with one controller: opening it, one command at a time, retransmission, closing.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stentor_wire::ipmi::bridge::{self, Passed, Satellite};
use stentor_wire::ipmi::command::{
    CloseSession, Command, DeviceId, GetAuthCapabilities, GetDeviceId, SetSessionPrivilege, app,
};
use stentor_wire::ipmi::console::{Credentials, Handshake, Progress, Session, SessionRequest, SetupError, UserLookup};
use stentor_wire::ipmi::packet::{self, Frame};
use stentor_wire::ipmi::{Privilege, Request, Response, Suite, completion, netfn};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::IpmiError;
use super::transport::{Channel, RandomBytes, Transport, random_bytes};

/// First wait for an answer. Healthy controllers take 5 to 50 ms, busy ones up to a second.
const FIRST_WAIT: Duration = Duration::from_millis(400);
/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(4);
/// Tries of one packet: 0.4 + 0.8 + 1.6 + 3.2 s.
const TRIES: u32 = 4;
/// Tries of the first command of a poll: the controller may have forgotten the session, and opening a new one
/// is quicker than waiting.
const PROBING_TRIES: u32 = 3;
/// Tries of a packet that only finds out whether a silent controller is back: 0.4 + 0.8 s.
const TRIAL_TRIES: u32 = 2;
/// How often a busy controller (C0h, C3h) is asked again.
const BUSY_TRIES: u32 = 5;
/// How often a handshake starts over because the controller forgot it.
const HANDSHAKE_TRIES: u32 = 3;
/// A controller counts as unreachable after all tries, or when a deadline ends this much silence; with less time we
/// cannot tell.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tries of a command to a controller behind the one we talk to.
const SATELLITE_TRIES: u32 = 2;
/// How long each waits: a bus of 100 kbit/s and a busy controller on either side of it.
const SATELLITE_WAIT: Duration = Duration::from_millis(700);
/// Shortest wait after a lost reservation; up to 255 ms are added by chance.
const STAND_ASIDE_MIN: Duration = Duration::from_millis(20);
/// Longest wait for the answer to Close Session; it only frees a slot earlier.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// One controller and how to log in to it.
#[derive(Clone, Debug, PartialEq)]
pub struct BmcAddress {
    pub addr: SocketAddr,
    pub credentials: Credentials,
    /// Suites to try, in order.
    pub suites: Vec<Suite>,
    pub privilege: Privilege,
    pub lookup: UserLookup,
}

impl BmcAddress {
    /// Least privilege, suite 17 then 3.
    pub fn new(addr: SocketAddr, credentials: Credentials) -> Self {
        BmcAddress {
            addr,
            credentials,
            suites: Suite::DEFAULT.to_vec(),
            privilege: Privilege::User,
            lookup: UserLookup::NameOnly,
        }
    }
}

/// Waits that double, spread by a quarter up and down so that many controllers are not asked in step.
struct BackOff {
    next: Duration,
    state: u32,
}

impl BackOff {
    fn new(seed: u32) -> Self {
        BackOff { next: FIRST_WAIT, state: seed | 1 }
    }

    fn wait(&mut self) -> Duration {
        // Marsaglia's xorshift32: spread, not secrecy.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let wait = self.next.mul_f64(0.75 + 0.5 * f64::from(self.state) / f64::from(u32::MAX));
        self.next = (self.next * 2).min(WAIT_MAX);
        wait
    }
}

/// How a session is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    /// The suite that worked last.
    pub preferred: Option<Suite>,
    /// The controller has been silent: only find out whether it is back.
    pub is_trial: bool,
}

impl Opening {
    fn tries(self) -> u32 {
        if self.is_trial { TRIAL_TRIES } else { TRIES }
    }
}

/// An open session and its channel.
pub(super) struct Link {
    channel: Channel,
    session: Session,
    used_at: Instant,
    /// For initialisation vectors.
    random: RandomBytes,
    /// The packet sent last.
    packet: Vec<u8>,
    /// Ends the wait for an answer. One for all of them: to put it off costs nothing, another one has to be entered
    /// into the runtime's wheel and taken out again.
    alarm: Pin<Box<Sleep>>,
    /// The next command is the first of a poll.
    is_doubtful: bool,
}

impl Link {
    pub(super) fn suite(&self) -> Suite {
        self.session.suite()
    }

    /// When the controller last answered.
    pub(super) fn used_at(&self) -> Instant {
        self.used_at
    }

    /// The session may have ended on the other side: the next command gives up sooner.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// Opens a session with the first suite the controller takes.
    ///
    /// # Errors
    /// As [`IpmiError`] tells apart; `Unreachable` only when nothing answered at all.
    pub(super) async fn open(
        transport: &Arc<Transport>,
        address: &BmcAddress,
        opening: Opening,
        deadline: Instant,
    ) -> Result<(Link, DeviceId), IpmiError> {
        greet(transport, address, opening, deadline).await?;
        let mut suites = address.suites.clone();
        suites.sort_by_key(|suite| Some(*suite) != opening.preferred);
        let mut last = IpmiError::NoSuite;
        for suite in suites {
            match open_with(transport, address, suite, opening, deadline).await {
                Ok((channel, session)) => return Link::start(channel, session, address, deadline).await,
                // Some controllers drop an unknown suite silently, so no answer also means "try the next".
                Err(error @ (IpmiError::Setup(SetupError::SuiteRefused(_)) | IpmiError::NoAnswer { .. })) => {
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(match last {
            IpmiError::Setup(SetupError::SuiteRefused(_)) => IpmiError::NoSuite,
            other => other,
        })
    }

    async fn start(
        channel: Channel,
        session: Session,
        address: &BmcAddress,
        deadline: Instant,
    ) -> Result<(Link, DeviceId), IpmiError> {
        let used_at = Instant::now();
        let alarm = Box::pin(sleep_until(used_at));
        let (random, packet) = (RandomBytes::default(), Vec::new());
        let mut link = Link { channel, session, used_at, random, packet, alarm, is_doubtful: false };
        // A session starts at User level; more has to be asked for.
        if address.privilege > Privilege::User {
            link.call(&SetSessionPrivilege { privilege: address.privilege }, deadline).await?;
        }
        let device = link.call(&GetDeviceId, deadline).await?;
        Ok((link, device))
    }

    /// Sends a command until it is answered, and reads the answer.
    ///
    /// # Errors
    /// `NoAnswer` when all tries are used up or the deadline passed, `Completion` for a refusal by the controller.
    pub(super) async fn call<C: Command>(&mut self, command: &C, deadline: Instant) -> Result<C::Answer, IpmiError> {
        let mut back_off = BackOff::new(self.channel.session_id());
        for _ in 0..BUSY_TRIES {
            let request = self.session.request(C::NETFN, command.lun(), C::COMMAND, command.data());
            let response = self.exchange(&request, C::NAME, deadline).await?;
            match response.completion {
                completion::OK => {
                    return command.parse(&response.data).ok_or(IpmiError::Malformed { command: C::NAME });
                }
                completion::BUSY | completion::TIMEOUT => {
                    let again = Instant::now() + back_off.wait();
                    if again >= deadline {
                        break;
                    }
                    sleep_until(again).await;
                }
                code => return Err(IpmiError::Completion { command: C::NAME, code }),
            }
        }
        Err(IpmiError::Completion { command: C::NAME, code: completion::BUSY })
    }

    async fn exchange(
        &mut self,
        request: &Request,
        name: &'static str,
        deadline: Instant,
    ) -> Result<Response, IpmiError> {
        let mut back_off = BackOff::new(self.channel.session_id().wrapping_add(u32::from(request.sequence)));
        let tries = if self.is_doubtful { PROBING_TRIES } else { TRIES };
        for _ in 0..tries {
            if Instant::now() >= deadline {
                break;
            }
            // Same rqSeq, new session sequence number: see `Session::seal`.
            self.session.seal_into(request, self.random.take()?, &mut self.packet);
            self.channel.send(&self.packet).await?;
            self.alarm.as_mut().reset(deadline.min(Instant::now() + back_off.wait()));
            loop {
                let datagram = tokio::select! {
                    biased;
                    datagram = self.channel.receive() => datagram,
                    () = &mut self.alarm => break,
                };
                match self.session.open(&datagram) {
                    Ok(response) if response.answers(request) => {
                        self.used_at = Instant::now();
                        self.is_doubtful = false;
                        return Ok(response);
                    }
                    Ok(_) => tracing::debug!(command = name, "late answer dropped"),
                    Err(error) => tracing::debug!(command = name, %error, "datagram dropped"),
                }
            }
        }
        Err(IpmiError::NoAnswer { during: name })
    }

    /// The same for a controller behind this one, by Send Message. One that does not answer is given up early: it must
    /// not cost the time of those that do.
    ///
    /// # Errors
    /// `SatelliteSilent` when it does not answer or cannot be reached, else as [`Self::call`].
    pub(super) async fn call_behind<C: Command>(
        &mut self,
        satellite: Satellite,
        command: &C,
        deadline: Instant,
    ) -> Result<C::Answer, IpmiError> {
        let mut outer = self.session.request(netfn::APP, 0, app::SEND_MESSAGE, Vec::new());
        let inner = Request {
            netfn: C::NETFN,
            lun: command.lun(),
            command: C::COMMAND,
            sequence: outer.sequence,
            data: command.data(),
        };
        outer.data = bridge::wrap(&inner, satellite);
        let silent = IpmiError::SatelliteSilent { address: satellite.address };
        let mut is_passed_on = false;
        for _ in 0..SATELLITE_TRIES {
            let datagram = self.session.seal(&outer, random_bytes()?);
            self.channel.send(&datagram).await?;
            let until = deadline.min(Instant::now() + SATELLITE_WAIT);
            while let Ok(datagram) = timeout_at(until, self.channel.receive()).await {
                let Ok(response) = self.session.open(&datagram) else { continue };
                match bridge::judge(response, &outer, &inner) {
                    Passed::Other => {}
                    Passed::Underway => is_passed_on = true,
                    Passed::Refused(completion::INSUFFICIENT_PRIVILEGE) => {
                        let code = completion::INSUFFICIENT_PRIVILEGE;
                        return Err(IpmiError::Completion { command: "Send Message", code });
                    }
                    Passed::Refused(_) => return Err(silent),
                    Passed::Answered(answer) => {
                        self.used_at = Instant::now();
                        return match answer.completion {
                            completion::OK => {
                                command.parse(&answer.data).ok_or(IpmiError::Malformed { command: C::NAME })
                            }
                            code => Err(IpmiError::Completion { command: C::NAME, code }),
                        };
                    }
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        // Not even the controller between us has said anything: that is the session's end, not the satellite's.
        if is_passed_on { Err(silent) } else { Err(IpmiError::NoAnswer { during: "Send Message" }) }
    }

    /// A short wait of random length, so that two readers who take each other's reservation fall out of step.
    pub(super) async fn stand_aside(&mut self, deadline: Instant) {
        let [spread] = random_bytes().unwrap_or([0x80]);
        let wait = STAND_ASIDE_MIN + Duration::from_millis(u64::from(spread));
        sleep_until(deadline.min(Instant::now() + wait)).await;
    }

    /// Tells the controller to free its slot. Not answering is fine: it forgets the session by itself.
    pub(super) async fn close(mut self) {
        let close = CloseSession { bmc_session: self.session.bmc_session() };
        let deadline = Instant::now() + CLOSE_WAIT;
        if let Err(error) = self.call(&close, deadline).await {
            tracing::debug!(%error, "session was not closed cleanly");
        }
    }
}

/// Get Channel Authentication Capabilities: is anybody there, and does it speak IPMI 2.0? No ASF ping is needed,
/// and many firewalls drop it.
async fn greet(
    transport: &Arc<Transport>,
    address: &BmcAddress,
    opening: Opening,
    deadline: Instant,
) -> Result<(), IpmiError> {
    let started = Instant::now();
    let mut channel = transport.channel(address.addr).await?;
    let command = GetAuthCapabilities { privilege: address.privilege };
    let sequence = (channel.session_id() & 0x3F) as u8;
    let request = Request {
        netfn: GetAuthCapabilities::NETFN,
        lun: 0,
        command: GetAuthCapabilities::COMMAND,
        sequence,
        data: command.data(),
    };
    let datagram = packet::encode_plain(&request.encode());
    let mut back_off = BackOff::new(channel.session_id());
    for _ in 0..opening.tries() {
        if Instant::now() >= deadline {
            return Err(if started.elapsed() < PATIENCE { IpmiError::Busy } else { IpmiError::Unreachable });
        }
        channel.send(&datagram).await?;
        let until = deadline.min(Instant::now() + back_off.wait());
        while let Ok(answer) = timeout_at(until, channel.receive()).await {
            let Ok(Frame::Plain { message, .. }) = packet::decode(&answer) else { continue };
            let Some(response) = Response::decode(message).ok().filter(|response| response.answers(&request)) else {
                continue;
            };
            // Any answer shows a controller; one that cannot tell its capabilities is tried anyway.
            let told = (response.completion == completion::OK).then(|| command.parse(&response.data)).flatten();
            return match told {
                Some(capabilities) if !capabilities.supports_ipmi_20 => Err(IpmiError::NotIpmi20),
                Some(_) | None => Ok(()),
            };
        }
    }
    Err(IpmiError::Unreachable)
}

async fn open_with(
    transport: &Arc<Transport>,
    address: &BmcAddress,
    suite: Suite,
    opening: Opening,
    deadline: Instant,
) -> Result<(Channel, Session), IpmiError> {
    let mut last = SetupError::Forgotten;
    for _ in 0..HANDSHAKE_TRIES {
        let mut channel = transport.channel(address.addr).await?;
        let request = SessionRequest {
            suite,
            privilege: address.privilege,
            lookup: address.lookup,
            console_session: channel.session_id(),
            console_nonce: random_bytes()?,
        };
        let mut handshake = Handshake::new(address.credentials.clone(), request);
        match shake(&mut handshake, &mut channel, opening, deadline).await {
            Ok(session) => return Ok((channel, session)),
            Err(IpmiError::Setup(error @ (SetupError::Forgotten | SetupError::Mixed))) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(IpmiError::Setup(last))
}

/// Runs the three steps of a handshake, each with its retries.
async fn shake(
    handshake: &mut Handshake,
    channel: &mut Channel,
    opening: Opening,
    deadline: Instant,
) -> Result<Session, IpmiError> {
    'step: loop {
        let mut back_off = BackOff::new(channel.session_id());
        for _ in 0..opening.tries() {
            if Instant::now() >= deadline {
                break;
            }
            channel.send(&handshake.packet()).await?;
            let until = deadline.min(Instant::now() + back_off.wait());
            while let Ok(datagram) = timeout_at(until, channel.receive()).await {
                match handshake.receive(&datagram) {
                    Progress::Ignored => {}
                    Progress::Next => continue 'step,
                    Progress::Established(session) => return Ok(*session),
                    Progress::Failed { error, farewell } => {
                        if let Some(farewell) = farewell {
                            channel.send(&farewell).await?;
                        }
                        return Err(error.into());
                    }
                }
            }
        }
        return Err(IpmiError::NoAnswer { during: handshake.step() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_differ_by_seed() {
        let waits = |seed| {
            let mut back_off = BackOff::new(seed);
            (0..8).map(|_| back_off.wait()).collect::<Vec<_>>()
        };
        let (mut nominal, first) = (FIRST_WAIT, waits(7));
        for wait in &first {
            assert!(*wait >= nominal.mul_f64(0.75) && *wait <= nominal.mul_f64(1.25), "{wait:?} near {nominal:?}");
            nominal = (nominal * 2).min(WAIT_MAX);
        }
        assert_eq!(first, waits(7), "the same seed gives the same waits");
        assert_ne!(first, waits(8));
    }
}
