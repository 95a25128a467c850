//! The console's side of a session: opening it step by step, then sealing requests and matching answers.
//!
//! Nothing here waits or retries; the caller sends what it is given and hands in what arrives.

use std::fmt;

use super::crypto::{AES_BYTES, SessionKeys, same_code};
use super::message::{REQUEST_SEQUENCE_MASK, Request, Response};
use super::packet::{self, Frame, SealedHeader, SequenceWindow, payload};
use super::setup::{NAME_ONLY_LOOKUP, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4, status};
use super::{PASSWORD_BYTES_MAX, PacketError, Privilege, Suite, USER_BYTES_MAX};

/// Who we are to the controller.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
    kg: Option<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

/// A secret that cannot be used with IPMI 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("an IPMI user name has at most {USER_BYTES_MAX} bytes")]
    UserTooLong,
    #[error("an IPMI 2.0 password has at most {PASSWORD_BYTES_MAX} bytes")]
    PasswordTooLong,
    #[error("the BMC key Kg has at most {PASSWORD_BYTES_MAX} bytes")]
    KgTooLong,
}

impl Credentials {
    /// # Errors
    /// When one of them is longer than the specification allows: cutting it would authenticate as someone else.
    pub fn new(user: &[u8], password: &[u8], kg: Option<&[u8]>) -> Result<Self, CredentialsError> {
        if user.len() > USER_BYTES_MAX {
            return Err(CredentialsError::UserTooLong);
        }
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(CredentialsError::PasswordTooLong);
        }
        // An all-zero Kg means "not set" (section 22.25): the password then takes its place.
        let kg = kg.filter(|kg| kg.iter().any(|byte| *byte != 0)).map(<[u8]>::to_vec);
        if kg.as_ref().is_some_and(|kg| kg.len() > PASSWORD_BYTES_MAX) {
            return Err(CredentialsError::KgTooLong);
        }
        Ok(Credentials { user: user.to_vec(), password: password.to_vec(), kg })
    }

    pub fn user(&self) -> &[u8] {
        &self.user
    }

    fn session_key(&self) -> &[u8] {
        self.kg.as_deref().unwrap_or(&self.password)
    }
}

/// How the controller finds the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UserLookup {
    /// By name alone (role flag 10h): works whatever privilege limit the user has.
    #[default]
    NameOnly,
    NameAndPrivilege,
}

/// What one session is opened with. Ids and nonce must be fresh and unpredictable.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    pub suite: Suite,
    pub privilege: Privilege,
    pub lookup: UserLookup,
    /// Our id of the session, not zero: the controller puts it on each of its packets.
    pub console_session: u32,
    pub console_nonce: [u8; 16],
}

/// Why a session could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error("controller refuses the cipher suite: {}", status::text(*.0))]
    SuiteRefused(u8),
    #[error("controller has no free session")]
    NoFreeSession,
    #[error("user name is unknown to the controller")]
    UnknownUser,
    #[error("controller refuses the privilege level to this user")]
    PrivilegeRefused,
    #[error("password is wrong")]
    WrongPassword,
    #[error("BMC key Kg is wrong")]
    WrongKg,
    /// The half-open session was forgotten: start again.
    #[error("controller has forgotten the session")]
    Forgotten,
    #[error("controller refuses the session: {}", status::text(*.0))]
    Refused(u8),
}

impl SetupError {
    fn from_status(code: u8) -> Self {
        match code {
            status::INVALID_AUTHENTICATION
            | status::INVALID_INTEGRITY
            | status::INVALID_CONFIDENTIALITY
            | status::NO_AUTHENTICATION_PAYLOAD
            | status::NO_INTEGRITY_PAYLOAD
            | status::NO_SUITE_MATCH => SetupError::SuiteRefused(code),
            status::NO_RESOURCES | status::NO_RESOURCES_FOR_ROLE => SetupError::NoFreeSession,
            status::UNAUTHORIZED_NAME | status::INVALID_NAME_LENGTH => SetupError::UnknownUser,
            status::INVALID_ROLE | status::UNAUTHORIZED_ROLE => SetupError::PrivilegeRefused,
            status::INVALID_INTEGRITY_VALUE => SetupError::WrongPassword,
            status::INVALID_SESSION | status::INACTIVE_SESSION => SetupError::Forgotten,
            other => SetupError::Refused(other),
        }
    }
}

#[derive(Clone, Debug)]
enum Stage {
    Open,
    Rakp1 { bmc_session: u32 },
    Rakp3 { bmc_session: u32, auth_code: Vec<u8>, expected: Vec<u8>, keys: Box<SessionKeys> },
}

/// A session being opened.
#[derive(Clone, Debug)]
pub struct Handshake {
    credentials: Credentials,
    request: SessionRequest,
    stage: Stage,
    tag: u8,
}

/// What a datagram did to the handshake.
#[derive(Debug)]
pub enum Progress {
    /// Not for this handshake, late or damaged: keep waiting.
    Ignored,
    /// Send the next [`Handshake::packet`].
    Next,
    Failed {
        error: SetupError,
        /// Tells the controller to free its half-open session.
        farewell: Option<Vec<u8>>,
    },
    Established(Box<Session>),
}

impl Handshake {
    pub fn new(credentials: Credentials, request: SessionRequest) -> Self {
        Handshake { credentials, request, stage: Stage::Open, tag: 0 }
    }

    pub fn console_session(&self) -> u32 {
        self.request.console_session
    }

    /// What the handshake is doing, for messages.
    pub fn step(&self) -> &'static str {
        match self.stage {
            Stage::Open => "Open Session",
            Stage::Rakp1 { .. } => "RAKP 1",
            Stage::Rakp3 { .. } => "RAKP 3",
        }
    }

    fn role(&self) -> u8 {
        let flag = match self.request.lookup {
            UserLookup::NameOnly => NAME_ONLY_LOOKUP,
            UserLookup::NameAndPrivilege => 0,
        };
        flag | self.request.privilege.code()
    }

    /// The packet of the present step. Each call takes a new message tag and only an answer to the newest counts:
    /// a controller that sees RAKP 1 twice makes a new nonce, so an answer to the older one would not verify.
    pub fn packet(&mut self) -> Vec<u8> {
        self.tag = self.tag.wrapping_add(1);
        let (tag, request) = (self.tag, &self.request);
        match &self.stage {
            Stage::Open => {
                let open = OpenRequest {
                    tag,
                    privilege: request.privilege.code(),
                    console_session: request.console_session,
                    algorithms: request.suite.algorithms(),
                };
                packet::encode_setup(payload::OPEN_REQUEST, &open.encode())
            }
            Stage::Rakp1 { bmc_session } => {
                let rakp1 = Rakp1 {
                    tag,
                    bmc_session: *bmc_session,
                    console_nonce: request.console_nonce,
                    role: self.role(),
                    user: self.credentials.user.clone(),
                };
                packet::encode_setup(payload::RAKP_1, &rakp1.encode())
            }
            Stage::Rakp3 { bmc_session, auth_code, .. } => {
                let rakp3 = Rakp3 { tag, status: status::OK, bmc_session: *bmc_session, auth_code: auth_code.clone() };
                packet::encode_setup(payload::RAKP_3, &rakp3.encode())
            }
        }
    }

    /// Takes a datagram from the controller's address.
    pub fn receive(&mut self, datagram: &[u8]) -> Progress {
        let Ok(Frame::Setup { payload_type, payload: body }) = packet::decode(datagram) else {
            return Progress::Ignored;
        };
        match (&self.stage, payload_type) {
            (Stage::Open, payload::OPEN_RESPONSE) => self.receive_open(body),
            (Stage::Rakp1 { bmc_session }, payload::RAKP_2) => self.receive_rakp2(*bmc_session, body),
            (Stage::Rakp3 { .. }, payload::RAKP_4) => self.receive_rakp4(body),
            _ => Progress::Ignored,
        }
    }

    fn is_mine(&self, tag: u8, console_session: u32) -> bool {
        tag == self.tag && console_session == self.request.console_session
    }

    /// Some controllers leave the session id out of an error answer, so an error is matched by its tag alone.
    fn is_my_refusal(&self, tag: u8, code: u8) -> bool {
        tag == self.tag && code != status::OK
    }

    fn receive_open(&mut self, body: &[u8]) -> Progress {
        let Ok(answer) = OpenResponse::decode(body) else { return Progress::Ignored };
        if self.is_my_refusal(answer.tag, answer.status) {
            return Progress::Failed { error: SetupError::from_status(answer.status), farewell: None };
        }
        let Some((bmc_session, algorithms)) =
            answer.accepted.filter(|_| self.is_mine(answer.tag, answer.console_session))
        else {
            return Progress::Ignored;
        };
        // A controller that picks another suite than the one asked for would be a downgrade.
        if algorithms != self.request.suite.algorithms() {
            return Progress::Failed { error: SetupError::SuiteRefused(status::NO_SUITE_MATCH), farewell: None };
        }
        self.stage = Stage::Rakp1 { bmc_session };
        Progress::Next
    }

    fn receive_rakp2(&mut self, bmc_session: u32, body: &[u8]) -> Progress {
        let suite = self.request.suite;
        let Ok(answer) = Rakp2::decode(body, suite) else { return Progress::Ignored };
        if self.is_my_refusal(answer.tag, answer.status) {
            return Progress::Failed { error: SetupError::from_status(answer.status), farewell: None };
        }
        let Some((nonce, guid, code)) = answer.proof.filter(|_| self.is_mine(answer.tag, answer.console_session))
        else {
            return Progress::Ignored;
        };
        let exchange = Exchange {
            suite,
            console_session: self.request.console_session,
            bmc_session,
            console_nonce: self.request.console_nonce,
            bmc_nonce: nonce,
            guid,
            role: self.role(),
            user: &self.credentials.user,
        };
        if !same_code(&exchange.bmc_code(&self.credentials.password), &code) {
            let farewell = Rakp3 {
                tag: self.tag.wrapping_add(1),
                status: status::INVALID_INTEGRITY_VALUE,
                bmc_session,
                auth_code: Vec::new(),
            };
            return Progress::Failed {
                error: SetupError::WrongPassword,
                farewell: Some(packet::encode_setup(payload::RAKP_3, &farewell.encode())),
            };
        }
        let (keys, expected) = exchange.keys(self.credentials.session_key());
        let auth_code = exchange.console_code(&self.credentials.password);
        self.stage = Stage::Rakp3 { bmc_session, auth_code, expected, keys: Box::new(keys) };
        Progress::Next
    }

    fn receive_rakp4(&mut self, body: &[u8]) -> Progress {
        let (Ok(answer), Stage::Rakp3 { bmc_session, expected, keys, .. }) = (Rakp4::decode(body), &self.stage) else {
            return Progress::Ignored;
        };
        if self.is_my_refusal(answer.tag, answer.status) {
            return Progress::Failed { error: SetupError::from_status(answer.status), farewell: None };
        }
        if !self.is_mine(answer.tag, answer.console_session) {
            return Progress::Ignored;
        }
        if !same_code(expected, &answer.integrity_check) {
            // RAKP 2 has proved the password, so only the key behind the session key can differ.
            return Progress::Failed { error: SetupError::WrongKg, farewell: None };
        }
        Progress::Established(Box::new(Session {
            keys: (**keys).clone(),
            console_session: self.request.console_session,
            bmc_session: *bmc_session,
            sequence: 0,
            window: SequenceWindow::default(),
            request_sequence: 0,
        }))
    }
}

/// What both ends have said, from which the codes and keys of RAKP follow (section 13.31).
pub(super) struct Exchange<'a> {
    pub suite: Suite,
    pub console_session: u32,
    pub bmc_session: u32,
    pub console_nonce: [u8; 16],
    pub bmc_nonce: [u8; 16],
    pub guid: [u8; 16],
    pub role: u8,
    pub user: &'a [u8],
}

impl Exchange<'_> {
    fn name_tail(&self) -> [u8; 2] {
        [self.role, self.user.len() as u8]
    }

    /// RAKP 2: the controller proves that it knows the password.
    pub(super) fn bmc_code(&self, password: &[u8]) -> Vec<u8> {
        let (console, bmc) = (self.console_session.to_le_bytes(), self.bmc_session.to_le_bytes());
        let parts: [&[u8]; 7] =
            [&console, &bmc, &self.console_nonce, &self.bmc_nonce, &self.guid, &self.name_tail(), self.user];
        self.suite.hmac(password, &parts)
    }

    /// RAKP 3: the console proves it.
    pub(super) fn console_code(&self, password: &[u8]) -> Vec<u8> {
        let console = self.console_session.to_le_bytes();
        self.suite.hmac(password, &[&self.bmc_nonce, &console, &self.name_tail(), self.user])
    }

    /// The keys of the session, and the value by which RAKP 4 proves that the controller has the same.
    pub(super) fn keys(&self, session_key: &[u8]) -> (SessionKeys, Vec<u8>) {
        let parts: [&[u8]; 4] = [&self.console_nonce, &self.bmc_nonce, &self.name_tail(), self.user];
        let sik = self.suite.hmac(session_key, &parts);
        let mut check = self.suite.hmac(&sik, &[&self.console_nonce, &self.bmc_session.to_le_bytes(), &self.guid]);
        check.truncate(self.suite.icv_bytes());
        (SessionKeys::from_sik(self.suite, &sik), check)
    }
}

/// An open session as the console sees it.
#[derive(Clone, Debug)]
pub struct Session {
    keys: SessionKeys,
    console_session: u32,
    bmc_session: u32,
    sequence: u32,
    window: SequenceWindow,
    request_sequence: u8,
}

impl Session {
    pub fn console_session(&self) -> u32 {
        self.console_session
    }

    pub fn bmc_session(&self) -> u32 {
        self.bmc_session
    }

    pub fn suite(&self) -> Suite {
        self.keys.suite()
    }

    /// A request with the next rqSeq. Resending it keeps that number.
    pub fn request(&mut self, netfn: u8, lun: u8, command: u8, data: Vec<u8>) -> Request {
        self.request_sequence = (self.request_sequence + 1) & REQUEST_SEQUENCE_MASK;
        Request { netfn, lun, command, sequence: self.request_sequence, data }
    }

    /// The packet for `request`. Each call takes a new session sequence number, because the controller drops a
    /// repeated one as a replay.
    pub fn seal(&mut self, request: &Request, iv: [u8; AES_BYTES]) -> Vec<u8> {
        let mut out = Vec::new();
        self.seal_into(request, iv, &mut out);
        out
    }

    /// The same in a buffer that is there already; what was in it is gone.
    pub fn seal_into(&mut self, request: &Request, iv: [u8; AES_BYTES], out: &mut Vec<u8>) {
        // Zero is reserved for packets outside a session (section 6.12.8).
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        let header =
            SealedHeader { session_id: self.bmc_session, sequence: self.sequence, payload_type: payload::IPMI };
        packet::seal(&self.keys, header, &request.encode(), iv, out);
    }

    /// Opens a datagram of this session.
    ///
    /// # Errors
    /// When it is damaged, forged, replayed or for somebody else: the caller drops it and keeps waiting.
    pub fn open(&mut self, datagram: &[u8]) -> Result<Response, PacketError> {
        let Frame::Session(frame) = packet::decode(datagram)? else {
            return Err(PacketError::PayloadType(0xFF));
        };
        if frame.session_id != self.console_session {
            return Err(PacketError::OtherSession(frame.session_id));
        }
        if frame.payload_type != payload::IPMI {
            return Err(PacketError::PayloadType(frame.payload_type));
        }
        let message = packet::unseal(&self.keys, &frame)?;
        self.window.take(frame.sequence)?;
        Response::decode(&message)
    }
}
