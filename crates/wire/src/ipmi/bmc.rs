//! The managed system's side: sessions of a controller, for simulators and for testing the console against.

use std::collections::BTreeMap;
use std::fmt;

use super::console::Exchange;
use super::crypto::{AES_BYTES, SessionKeys, same_code};
use super::message::{Request, Response};
use super::packet::{self, Frame, SealedHeader, SequenceWindow, SessionFrame, payload};
use super::setup::{NAME_ONLY_LOOKUP, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4, status};
use super::{Privilege, Suite, command, completion, netfn};

/// An open session without traffic is dropped after this time (section 6.12.15 asks for 60 s ± 3 s).
const SESSION_IDLE_MS: u64 = 60_000;

/// A session that is not yet open is dropped earlier, so that half-open ones cannot fill the table.
const SETUP_IDLE_MS: u64 = 15_000;

/// One account on the controller.
#[derive(Clone)]
pub struct BmcUser {
    pub name: Vec<u8>,
    pub password: Vec<u8>,
    pub privilege_max: Privilege,
}

impl fmt::Debug for BmcUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BmcUser([redacted], {:?})", self.privilege_max)
    }
}

/// What a controller is set up with.
#[derive(Clone, Debug)]
pub struct BmcSetup {
    pub guid: [u8; 16],
    pub users: Vec<BmcUser>,
    pub kg: Option<Vec<u8>>,
    pub suites: Vec<Suite>,
    /// Open and half-open sessions; real controllers have 4 to 16.
    pub sessions_max: usize,
}

/// What a controller answers to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub completion: u8,
    pub data: Vec<u8>,
}

impl Reply {
    pub fn ok(data: Vec<u8>) -> Self {
        Reply { completion: completion::OK, data }
    }

    pub fn error(completion: u8) -> Self {
        Reply { completion, data: Vec::new() }
    }
}

/// The machine behind the controller: answers commands that do not concern sessions.
pub trait ManagedSystem {
    fn execute(&mut self, request: &Request, privilege: Privilege) -> Reply;
}

/// What the caller adds to a datagram: when it came, and a source of unpredictable bytes.
pub struct Arrival<'a> {
    pub at_ms: u64,
    pub entropy: &'a mut dyn FnMut(&mut [u8]),
}

#[derive(Debug)]
enum Stage {
    Opened,
    /// RAKP 2 was sent for this RAKP 1.
    Proving {
        rakp1: Rakp1,
        bmc_nonce: [u8; 16],
        limit: Privilege,
    },
    Open(Box<OpenSession>),
}

#[derive(Debug)]
struct OpenSession {
    keys: SessionKeys,
    sequence: u32,
    window: SequenceWindow,
    privilege: Privilege,
    privilege_max: Privilege,
    /// RAKP 3 and its answer, for a console that missed RAKP 4.
    rakp3_code: Vec<u8>,
    integrity_check: Vec<u8>,
}

#[derive(Debug)]
struct BmcSession {
    console_session: u32,
    suite: Suite,
    privilege_asked: u8,
    last_seen_ms: u64,
    stage: Stage,
}

/// A controller's session table.
#[derive(Debug)]
pub struct BmcSide {
    setup: BmcSetup,
    sessions: BTreeMap<u32, BmcSession>,
}

impl BmcSide {
    pub fn new(setup: BmcSetup) -> Self {
        BmcSide { setup, sessions: BTreeMap::new() }
    }

    /// Sessions that completed their handshake and are neither closed nor expired.
    pub fn open_sessions(&self) -> usize {
        self.sessions.values().filter(|session| matches!(session.stage, Stage::Open(_))).count()
    }

    /// Drops every session, as a reset of the controller does.
    pub fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Takes a datagram and gives the answer, if there is one. Damaged and forged packets get none.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        mut arrival: Arrival<'_>,
        system: &mut dyn ManagedSystem,
    ) -> Option<Vec<u8>> {
        self.expire(arrival.at_ms);
        match packet::decode(datagram).ok()? {
            Frame::Asf(body) => packet::encode_pong(body),
            Frame::Plain { message, .. } => {
                let request = Request::decode(message).ok()?;
                let reply = self.sessionless(&request).unwrap_or(Reply::error(completion::INSUFFICIENT_PRIVILEGE));
                Some(packet::encode_plain(&request.answer(reply.completion, reply.data).encode()))
            }
            Frame::Setup { payload_type: payload::OPEN_REQUEST, payload: body } => {
                let answer = self.open_session(&OpenRequest::decode(body).ok()?, &mut arrival);
                Some(packet::encode_setup(payload::OPEN_RESPONSE, &answer.encode()))
            }
            Frame::Setup { payload_type: payload::RAKP_1, payload: body } => {
                let answer = self.rakp1(Rakp1::decode(body).ok()?, &mut arrival)?;
                Some(packet::encode_setup(payload::RAKP_2, &answer.encode()))
            }
            Frame::Setup { payload_type: payload::RAKP_3, payload: body } => {
                let answer = self.rakp3(&Rakp3::decode(body).ok()?, arrival.at_ms)?;
                Some(packet::encode_setup(payload::RAKP_4, &answer.encode()))
            }
            Frame::Setup { payload_type: payload::IPMI, payload: body } => {
                let request = Request::decode(body).ok()?;
                let reply = self.sessionless(&request).unwrap_or(Reply::error(completion::INSUFFICIENT_PRIVILEGE));
                Some(packet::encode_setup(payload::IPMI, &request.answer(reply.completion, reply.data).encode()))
            }
            Frame::Setup { .. } => None,
            Frame::Session(frame) => self.in_session(&frame, &mut arrival, system),
        }
    }

    fn expire(&mut self, at_ms: u64) {
        self.sessions.retain(|_, session| {
            let limit = match session.stage {
                Stage::Open(_) => SESSION_IDLE_MS,
                Stage::Opened | Stage::Proving { .. } => SETUP_IDLE_MS,
            };
            at_ms.saturating_sub(session.last_seen_ms) <= limit
        });
    }

    /// Commands allowed before a session (section 6.12.2); `None` for all others.
    fn sessionless(&self, request: &Request) -> Option<Reply> {
        if request.netfn != netfn::APP {
            return None;
        }
        match request.command {
            command::app::AUTH_CAPABILITIES => Some(self.auth_capabilities(request)),
            command::app::CIPHER_SUITES => Some(self.cipher_suites(request)),
            command::app::SYSTEM_GUID => Some(Reply::ok(self.setup.guid.to_vec())),
            _ => None,
        }
    }

    fn auth_capabilities(&self, request: &Request) -> Reply {
        const CHANNEL: u8 = 1;
        const EXTENDED: u8 = 0x80;
        const KG_SET: u8 = 0x20;
        const NAMED_USERS: u8 = 0x04;
        const ONLY_IPMI_20: u8 = 0x02;
        if request.data.len() != 2 {
            return Reply::error(completion::LENGTH_INVALID);
        }
        let kg = if self.setup.kg.is_some() { KG_SET } else { 0 };
        Reply::ok(vec![CHANNEL, EXTENDED, kg | NAMED_USERS, ONLY_IPMI_20, 0, 0, 0, 0])
    }

    fn cipher_suites(&self, request: &Request) -> Reply {
        /// Records are fetched sixteen bytes at a time (section 22.15.1).
        const PAGE_BYTES: usize = 16;
        const CHANNEL: u8 = 1;
        const STANDARD: u8 = 0xC0;
        let &[_, _, index] = request.data.as_slice() else { return Reply::error(completion::LENGTH_INVALID) };
        let records: Vec<u8> = self
            .setup
            .suites
            .iter()
            .flat_map(|suite| {
                let [authentication, integrity, confidentiality] = suite.algorithms();
                [STANDARD, suite.id(), authentication, 0x40 | integrity, 0x80 | confidentiality]
            })
            .collect();
        let page = records.chunks(PAGE_BYTES).nth(usize::from(index & 0x3F)).unwrap_or_default();
        Reply::ok(std::iter::once(CHANNEL).chain(page.iter().copied()).collect())
    }

    fn open_session(&mut self, request: &OpenRequest, arrival: &mut Arrival<'_>) -> OpenResponse {
        let refuse = |code| OpenResponse {
            tag: request.tag,
            status: code,
            privilege: 0,
            console_session: request.console_session,
            accepted: None,
        };
        let Some(suite) = Suite::from_algorithms(request.algorithms).filter(|s| self.setup.suites.contains(s)) else {
            return refuse(status::NO_SUITE_MATCH);
        };
        let known = self.sessions.iter().find(|(_, session)| {
            session.console_session == request.console_session && matches!(session.stage, Stage::Opened)
        });
        let bmc_session = match known {
            Some((id, _)) => *id,
            None if self.sessions.len() >= self.setup.sessions_max => return refuse(status::NO_RESOURCES),
            None => self.fresh_id(arrival),
        };
        let privilege = if request.privilege == 0 { Privilege::Administrator.code() } else { request.privilege };
        self.sessions.insert(
            bmc_session,
            BmcSession {
                console_session: request.console_session,
                suite,
                privilege_asked: privilege,
                last_seen_ms: arrival.at_ms,
                stage: Stage::Opened,
            },
        );
        OpenResponse {
            tag: request.tag,
            status: status::OK,
            privilege,
            console_session: request.console_session,
            accepted: Some((bmc_session, suite.algorithms())),
        }
    }

    fn fresh_id(&self, arrival: &mut Arrival<'_>) -> u32 {
        let mut bytes = [0; 4];
        (arrival.entropy)(&mut bytes);
        let mut id = u32::from_le_bytes(bytes);
        while id == 0 || self.sessions.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        id
    }

    fn find_user(&self, rakp1: &Rakp1, asked: u8) -> Result<&BmcUser, u8> {
        let level = Privilege::from_code(rakp1.role).ok_or(status::INVALID_ROLE)?;
        let named = |user: &&BmcUser| user.name == rakp1.user;
        let user = if rakp1.role & NAME_ONLY_LOOKUP != 0 {
            self.setup.users.iter().find(named)
        } else {
            self.setup.users.iter().filter(named).max_by_key(|user| user.privilege_max)
        };
        let user = user.ok_or(status::UNAUTHORIZED_NAME)?;
        if level > user.privilege_max || rakp1.role & 0x0F > asked {
            return Err(status::UNAUTHORIZED_ROLE);
        }
        Ok(user)
    }

    fn rakp1(&mut self, rakp1: Rakp1, arrival: &mut Arrival<'_>) -> Option<Rakp2> {
        let mut nonce = [0; 16];
        (arrival.entropy)(&mut nonce);
        let session = self.sessions.get(&rakp1.bmc_session)?;
        let (console_session, suite) = (session.console_session, session.suite);
        if matches!(session.stage, Stage::Open(_)) {
            return None;
        }
        let refuse = |code| Rakp2 { tag: rakp1.tag, status: code, console_session, proof: None };
        let (password, limit) = match self.find_user(&rakp1, session.privilege_asked) {
            Ok(user) => (user.password.clone(), user.privilege_max),
            Err(code) => {
                self.sessions.remove(&rakp1.bmc_session);
                return Some(refuse(code));
            }
        };
        let code = exchange(&self.setup, suite, console_session, &rakp1, nonce).bmc_code(&password);
        let answer =
            Rakp2 { tag: rakp1.tag, status: status::OK, console_session, proof: Some((nonce, self.setup.guid, code)) };
        let session = self.sessions.get_mut(&rakp1.bmc_session)?;
        session.last_seen_ms = arrival.at_ms;
        session.stage = Stage::Proving { rakp1, bmc_nonce: nonce, limit };
        Some(answer)
    }

    fn rakp3(&mut self, rakp3: &Rakp3, at_ms: u64) -> Option<Rakp4> {
        let session = self.sessions.get_mut(&rakp3.bmc_session)?;
        let console_session = session.console_session;
        let answer =
            |code, integrity_check| Some(Rakp4 { tag: rakp3.tag, status: code, console_session, integrity_check });
        if rakp3.status != status::OK {
            // The console gives up: free the slot, nothing to answer (section 13.22).
            if !matches!(session.stage, Stage::Open(_)) {
                self.sessions.remove(&rakp3.bmc_session);
            }
            return None;
        }
        let (rakp1, bmc_nonce, limit) = match &session.stage {
            Stage::Opened => return answer(status::INVALID_SESSION, Vec::new()),
            Stage::Open(open) if same_code(&open.rakp3_code, &rakp3.auth_code) => {
                return answer(status::OK, open.integrity_check.clone());
            }
            Stage::Open(_) => return None,
            Stage::Proving { rakp1, bmc_nonce, limit } => (rakp1, *bmc_nonce, *limit),
        };
        let user = self.setup.users.iter().find(|user| user.name == rakp1.user && user.privilege_max == limit)?;
        let exchange = exchange(&self.setup, session.suite, console_session, rakp1, bmc_nonce);
        if !same_code(&exchange.console_code(&user.password), &rakp3.auth_code) {
            self.sessions.remove(&rakp3.bmc_session);
            return answer(status::INVALID_INTEGRITY_VALUE, Vec::new());
        }
        let (keys, integrity_check) = exchange.keys(self.setup.kg.as_deref().unwrap_or(&user.password));
        let privilege_max = Privilege::from_code(rakp1.role).unwrap_or(Privilege::User).min(limit);
        session.last_seen_ms = at_ms;
        session.stage = Stage::Open(Box::new(OpenSession {
            keys,
            sequence: 0,
            window: SequenceWindow::default(),
            // A session starts at User level, whatever its maximum (section 6.12.3).
            privilege: privilege_max.min(Privilege::User),
            privilege_max,
            rakp3_code: rakp3.auth_code.clone(),
            integrity_check: integrity_check.clone(),
        }));
        answer(status::OK, integrity_check)
    }

    fn in_session(
        &mut self,
        frame: &SessionFrame<'_>,
        arrival: &mut Arrival<'_>,
        system: &mut dyn ManagedSystem,
    ) -> Option<Vec<u8>> {
        let session = self.sessions.get_mut(&frame.session_id)?;
        let Stage::Open(open) = &mut session.stage else { return None };
        let message = packet::unseal(&open.keys, frame).ok()?;
        open.window.take(frame.sequence).ok()?;
        if frame.payload_type != payload::IPMI {
            return None;
        }
        let request = Request::decode(&message).ok()?;
        session.last_seen_ms = arrival.at_ms;
        let console_session = session.console_session;
        let (mut is_closed, reply) = (false, self.execute(frame.session_id, &request, system));
        if request.netfn == netfn::APP && request.command == command::app::CLOSE_SESSION {
            is_closed = reply.completion == completion::OK;
        }
        let response = request.answer(reply.completion, reply.data);
        let out = self.seal(frame.session_id, console_session, &response, arrival);
        if is_closed {
            self.sessions.remove(&frame.session_id);
        }
        out
    }

    fn seal(&mut self, id: u32, console: u32, response: &Response, arrival: &mut Arrival<'_>) -> Option<Vec<u8>> {
        let Stage::Open(open) = &mut self.sessions.get_mut(&id)?.stage else { return None };
        let mut iv = [0; AES_BYTES];
        (arrival.entropy)(&mut iv);
        open.sequence = open.sequence.checked_add(1).unwrap_or(1);
        let header = SealedHeader { session_id: console, sequence: open.sequence, payload_type: payload::IPMI };
        let mut out = Vec::new();
        packet::seal(&open.keys, header, &response.encode(), iv, &mut out);
        Some(out)
    }

    fn execute(&mut self, id: u32, request: &Request, system: &mut dyn ManagedSystem) -> Reply {
        if let Some(reply) = self.sessionless(request) {
            return reply;
        }
        let Some(Stage::Open(open)) = self.sessions.get_mut(&id).map(|session| &mut session.stage) else {
            return Reply::error(completion::UNSPECIFIED);
        };
        match (request.netfn, request.command) {
            (netfn::APP, command::app::SET_PRIVILEGE) => set_privilege(open, &request.data),
            (netfn::APP, command::app::CLOSE_SESSION) => match request.data.first_chunk() {
                Some(asked) if u32::from_le_bytes(*asked) == id => Reply::ok(Vec::new()),
                Some(_) => Reply::error(completion::INVALID_SESSION_ID),
                None => Reply::error(completion::LENGTH_INVALID),
            },
            _ => system.execute(request, open.privilege),
        }
    }
}

fn set_privilege(open: &mut OpenSession, data: &[u8]) -> Reply {
    match data.first().map(|code| (code & 0x0F, Privilege::from_code(*code))) {
        // Zero asks for the present level.
        Some((0, _)) => Reply::ok(vec![open.privilege.code()]),
        Some((_, Some(level))) if level <= open.privilege_max => {
            open.privilege = level;
            Reply::ok(vec![level.code()])
        }
        Some((_, Some(_))) => Reply::error(completion::PRIVILEGE_NOT_AVAILABLE),
        Some((_, None)) => Reply::error(completion::INVALID_DATA),
        None => Reply::error(completion::LENGTH_INVALID),
    }
}

fn exchange<'a>(
    setup: &BmcSetup,
    suite: Suite,
    console_session: u32,
    rakp1: &'a Rakp1,
    bmc_nonce: [u8; 16],
) -> Exchange<'a> {
    Exchange {
        suite,
        console_session,
        bmc_session: rakp1.bmc_session,
        console_nonce: rakp1.console_nonce,
        bmc_nonce,
        guid: setup.guid,
        role: rakp1.role,
        user: &rakp1.user,
    }
}
