//! Console and controller against each other, over bytes only; and every decoder against damaged bytes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::prelude::*;
use stentor_wire::ipmi::bmc::{Arrival, BmcSetup, BmcSide, BmcUser, ManagedSystem, Reply};
use stentor_wire::ipmi::command::{
    CloseSession, Command, GetAuthCapabilities, GetChassisStatus, GetDeviceId, GetReadingFactors, GetSdr, GetSdrInfo,
    GetSelEntry, GetSelInfo, GetSensorReading, ReserveSdr, SetSessionPrivilege,
};
use stentor_wire::ipmi::console::{Credentials, Handshake, Progress, Session, SessionRequest, SetupError, UserLookup};
use stentor_wire::ipmi::sdr::{SdrRecord, SensorKey};
use stentor_wire::ipmi::sel::SelRecord;
use stentor_wire::ipmi::setup::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4};
use stentor_wire::ipmi::{PacketError, Privilege, Request, Response, Suite, completion, packet};

/// Unpredictable enough for a test, and the same in each run.
struct Dice(u64);

impl Dice {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            // Multiplier and increment of Knuth's MMIX generator.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// Answers each command with its own number, so that a mixed-up answer shows.
struct Echo;

impl ManagedSystem for Echo {
    fn execute(&mut self, request: &Request, privilege: Privilege) -> Reply {
        let mut data = vec![request.netfn, request.command, privilege.code()];
        data.extend(&request.data);
        Reply::ok(data)
    }
}

struct Bench {
    bmc: BmcSide,
    dice: Dice,
    at_ms: u64,
}

const KG: &[u8] = b"twenty bytes of key!";
const ADMIN: (&str, &str) = ("admin", "secret");
const MONITOR: (&str, &str) = ("monitor", "exactly twenty bytes");

impl Bench {
    fn new(kg: Option<&[u8]>) -> Self {
        Bench::with_suites(kg, &Suite::ALL)
    }

    fn with_suites(kg: Option<&[u8]>, suites: &[Suite]) -> Self {
        let user = |(name, password): (&str, &str), privilege_max| BmcUser {
            name: name.as_bytes().to_vec(),
            password: password.as_bytes().to_vec(),
            privilege_max,
        };
        let setup = BmcSetup {
            guid: [0x42; 16],
            users: vec![user(ADMIN, Privilege::Administrator), user(MONITOR, Privilege::User)],
            kg: kg.map(<[u8]>::to_vec),
            suites: suites.to_vec(),
            sessions_max: 2,
        };
        Bench { bmc: BmcSide::new(setup), dice: Dice(1), at_ms: 0 }
    }

    fn deliver(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let Bench { bmc, dice, at_ms } = self;
        bmc.receive(datagram, Arrival { at_ms: *at_ms, entropy: &mut |out| dice.fill(out) }, &mut Echo)
    }

    fn complete(&mut self, mut handshake: Handshake) -> Result<Session, SetupError> {
        for _ in 0..3 {
            let datagram = handshake.packet();
            let answer = self.deliver(&datagram).expect("the controller answers each step");
            match handshake.receive(&answer) {
                Progress::Next => {}
                Progress::Established(session) => return Ok(*session),
                Progress::Failed { error, farewell } => {
                    if let Some(farewell) = farewell {
                        assert_eq!(self.deliver(&farewell), None);
                    }
                    return Err(error);
                }
                Progress::Ignored => panic!("a genuine answer was ignored at {}", handshake.step()),
            }
        }
        panic!("three steps did not open the session");
    }

    fn open(&mut self, suite: Suite) -> Session {
        self.complete(handshake(MONITOR, suite, Privilege::User, None)).unwrap()
    }
}

fn handshake(login: (&str, &str), suite: Suite, privilege: Privilege, kg: Option<&[u8]>) -> Handshake {
    let credentials = Credentials::new(login.0.as_bytes(), login.1.as_bytes(), kg).unwrap();
    let request = SessionRequest {
        suite,
        privilege,
        lookup: UserLookup::NameOnly,
        console_session: 0xA1B2_C3D4,
        console_nonce: [0x77; 16],
    };
    Handshake::new(credentials, request)
}

#[test]
fn each_suite_carries_commands_with_and_without_kg() {
    for suite in Suite::ALL {
        for kg in [None, Some(KG)] {
            let mut bench = Bench::new(kg);
            let mut session = bench.complete(handshake(ADMIN, suite, Privilege::User, kg)).unwrap();
            assert_eq!(session.suite(), suite);
            for length in 0..40u8 {
                let request = session.request(4, 1, 0x2D, (0..length).collect());
                let datagram = session.seal(&request, [length; 16]);
                let answer = bench.deliver(&datagram).unwrap();
                let response = session.open(&answer).unwrap();
                assert!(response.answers(&request));
                assert_eq!(response.data, [vec![4, 0x2D, 2], (0..length).collect()].concat());
            }
        }
    }
}

#[test]
fn each_refusal_has_its_own_error() {
    for suite in Suite::ALL {
        let user = Privilege::User;
        for (login, privilege, kg, expected) in [
            (("admin", "wrong"), user, None, SetupError::WrongPassword),
            (("nobody", "secret"), user, None, SetupError::UnknownUser),
            (MONITOR, Privilege::Operator, None, SetupError::PrivilegeRefused),
            (ADMIN, user, Some(KG), SetupError::WrongKg),
        ] {
            let result = Bench::new(None).complete(handshake(login, suite, privilege, kg));
            assert_eq!(result.unwrap_err(), expected);
        }
    }
}

#[test]
fn a_suite_the_controller_lacks_is_refused_not_wrong() {
    let mut bench = Bench::with_suites(None, &[Suite::Three]);
    let result = bench.complete(handshake(ADMIN, Suite::Seventeen, Privilege::User, None));
    assert!(matches!(result, Err(SetupError::SuiteRefused(0x11))));
}

#[test]
fn a_refusal_cut_off_after_its_status_is_understood() {
    // What OpenIPMI 2.0.33 answers to suite 17: tag and status 04h, nothing else.
    let mut handshake = handshake(ADMIN, Suite::Seventeen, Privilege::User, None);
    handshake.packet();
    let answer = packet::encode_setup(packet::payload::OPEN_RESPONSE, &[1, 4]);
    assert!(matches!(handshake.receive(&answer), Progress::Failed { error: SetupError::SuiteRefused(4), .. }));
    let cut_success = packet::encode_setup(packet::payload::OPEN_RESPONSE, &[1, 0]);
    assert!(matches!(handshake.receive(&cut_success), Progress::Ignored));
}

#[test]
fn wrong_passwords_do_not_use_up_the_sessions() {
    let mut bench = Bench::new(None);
    for _ in 0..10 {
        let result = bench.complete(handshake(("admin", "wrong"), Suite::Seventeen, Privilege::User, None));
        assert_eq!(result.unwrap_err(), SetupError::WrongPassword);
    }
    bench.open(Suite::Seventeen);
    assert_eq!(bench.bmc.open_sessions(), 1);
}

#[test]
fn a_resent_request_is_executed_but_a_copied_packet_is_not() {
    let mut bench = Bench::new(None);
    let mut session = bench.open(Suite::Seventeen);
    let request = session.request(6, 0, 1, vec![]);
    let first = session.seal(&request, [1; 16]);
    assert!(bench.deliver(&first).is_some());
    assert_eq!(bench.deliver(&first), None, "a copy of a packet is a replay");
    let again = session.seal(&request, [2; 16]);
    let answer = bench.deliver(&again).expect("a retry has a new session sequence");
    assert!(session.open(&answer).unwrap().answers(&request));
    assert!(matches!(session.open(&answer), Err(PacketError::Replayed(_))));
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_command() {
    let mut bench = Bench::new(None);
    let mut session = bench.open(Suite::Three);
    let first = session.request(6, 0, 1, vec![]);
    let datagram = session.seal(&first, [1; 16]);
    let late = bench.deliver(&datagram).unwrap();
    let second = session.request(6, 0, 1, vec![]);
    let late = session.open(&late).unwrap();
    assert!(late.answers(&first) && !late.answers(&second));
}

#[test]
fn request_sequence_wraps_at_six_bits() {
    let mut bench = Bench::new(None);
    let mut session = bench.open(Suite::Seventeen);
    for _ in 0..200 {
        let request = session.request(6, 0, 1, vec![]);
        assert!(request.sequence < 64);
        let datagram = session.seal(&request, [3; 16]);
        let answer = bench.deliver(&datagram).unwrap();
        assert!(session.open(&answer).unwrap().answers(&request));
    }
}

#[test]
fn a_lost_rakp4_can_be_asked_for_again() {
    let mut bench = Bench::new(None);
    let mut handshake = handshake(ADMIN, Suite::Seventeen, Privilege::User, None);
    for _ in 0..2 {
        let datagram = handshake.packet();
        let answer = bench.deliver(&datagram).unwrap();
        assert!(matches!(handshake.receive(&answer), Progress::Next));
    }
    let lost = handshake.packet();
    bench.deliver(&lost).unwrap();
    let again = handshake.packet();
    let answer = bench.deliver(&again).unwrap();
    assert!(matches!(handshake.receive(&answer), Progress::Established(_)));
}

#[test]
fn an_answer_to_an_older_rakp1_is_ignored() {
    let mut bench = Bench::new(None);
    let mut handshake = handshake(ADMIN, Suite::Seventeen, Privilege::User, None);
    let open = handshake.packet();
    let answer = bench.deliver(&open).unwrap();
    assert!(matches!(handshake.receive(&answer), Progress::Next));
    let first = handshake.packet();
    let stale = bench.deliver(&first).unwrap();
    let second = handshake.packet();
    let fresh = bench.deliver(&second).unwrap();
    assert!(matches!(handshake.receive(&stale), Progress::Ignored));
    assert!(matches!(handshake.receive(&fresh), Progress::Next));
}

#[test]
fn closing_frees_the_slot_and_silence_does_so_later() {
    let mut bench = Bench::new(None);
    let mut session = bench.open(Suite::Seventeen);
    let close = CloseSession { bmc_session: session.bmc_session() };
    let request = session.request(CloseSession::NETFN, 0, CloseSession::COMMAND, close.data());
    let datagram = session.seal(&request, [5; 16]);
    let answer = bench.deliver(&datagram).unwrap();
    assert_eq!(session.open(&answer).unwrap().completion, completion::OK);
    assert_eq!(bench.bmc.open_sessions(), 0);

    bench.open(Suite::Seventeen);
    bench.open(Suite::Three);
    let third = handshake(ADMIN, Suite::Three, Privilege::User, None);
    assert!(matches!(bench.complete(third.clone()), Err(SetupError::NoFreeSession)));
    bench.at_ms += 61_000;
    assert!(bench.complete(third).is_ok());
    assert_eq!(bench.bmc.open_sessions(), 1);
}

#[test]
fn privilege_rises_only_on_request_and_within_the_limit() {
    let mut bench = Bench::new(None);
    let mut session = bench.complete(handshake(ADMIN, Suite::Seventeen, Privilege::Operator, None)).unwrap();
    let mut run = |data: Vec<u8>| {
        let request = session.request(6, 0, SetSessionPrivilege::COMMAND, data);
        let datagram = session.seal(&request, [6; 16]);
        let answer = bench.deliver(&datagram).unwrap();
        let response = session.open(&answer).unwrap();
        (response.completion, response.data)
    };
    assert_eq!(run(vec![0]), (0, vec![2]));
    assert_eq!(run(SetSessionPrivilege { privilege: Privilege::Operator }.data()), (0, vec![3]));
    assert_eq!(run(SetSessionPrivilege { privilege: Privilege::Administrator }.data()), (0x81, vec![]));
}

fn plain_answer(datagram: &[u8]) -> Response {
    let Ok(packet::Frame::Plain { message, .. }) = packet::decode(datagram) else { panic!("not a plain answer") };
    Response::decode(message).unwrap()
}

#[test]
fn only_capabilities_are_told_before_any_session() {
    let mut bench = Bench::new(Some(KG));
    let command = GetAuthCapabilities { privilege: Privilege::User };
    let request = Request { netfn: 6, lun: 0, command: 0x38, sequence: 9, data: command.data() };
    let response = plain_answer(&bench.deliver(&packet::encode_plain(&request.encode())).unwrap());
    assert!(response.answers(&request));
    let told = command.parse(&response.data).unwrap();
    assert!(told.supports_ipmi_20 && told.is_kg_set);
    let forbidden = Request { command: 0x01, ..request };
    let response = plain_answer(&bench.deliver(&packet::encode_plain(&forbidden.encode())).unwrap());
    assert_eq!(response.completion, completion::INSUFFICIENT_PRIVILEGE);
}

/// Every parser of outside bytes; the values do not matter, only that they come back.
fn feed_all(bytes: &[u8]) {
    let _ = packet::decode(bytes);
    let _ = packet::addressed_session(bytes);
    let _ = packet::encode_pong(bytes);
    let _ = Request::decode(bytes);
    let _ = Response::decode(bytes);
    let _ = OpenRequest::decode(bytes);
    let _ = OpenResponse::decode(bytes);
    let _ = Rakp1::decode(bytes);
    for suite in Suite::ALL {
        let _ = Rakp2::decode(bytes, suite);
    }
    let _ = Rakp3::decode(bytes);
    let _ = Rakp4::decode(bytes);
    if let Some(event) = SelRecord::decode(bytes).and_then(|record| record.event().copied()) {
        let _ = (event.text(), event.severity());
    }
    if let Some(record) = SdrRecord::decode(bytes) {
        if let SdrRecord::Full(full) = &record {
            let _ = (full.unit.symbol(), full.threshold_values());
            for raw in 0..=u8::MAX {
                assert!(full.value(raw).is_none_or(f64::is_finite));
            }
        }
        let _ = record.key().map(SensorKey::expand);
    }
    let _ = GetDeviceId.parse(bytes);
    let _ = GetChassisStatus.parse(bytes);
    let _ = GetSdrInfo.parse(bytes);
    let _ = ReserveSdr.parse(bytes);
    let _ = GetSdr { reservation: 0, record: 0, offset: 0, count: 0 }.parse(bytes);
    let _ = GetSensorReading { number: 0, lun: 0 }.parse(bytes);
    let _ = GetReadingFactors { number: 0, lun: 0, raw: 0 }.parse(bytes);
    let _ = GetSelInfo.parse(bytes);
    let _ = GetSelEntry { record: 0 }.parse(bytes);
    let _ = GetAuthCapabilities { privilege: Privilege::User }.parse(bytes);
}

/// One datagram of each kind, from both ends.
fn genuine(suite: Suite) -> Vec<Vec<u8>> {
    let mut bench = Bench::new(None);
    let mut all = Vec::new();
    let mut handshake = handshake(ADMIN, suite, Privilege::User, None);
    let mut session = loop {
        let datagram = handshake.packet();
        let answer = bench.deliver(&datagram).unwrap();
        all.extend([datagram, answer.clone()]);
        if let Progress::Established(session) = handshake.receive(&answer) {
            break session;
        }
    };
    let request = session.request(10, 0, 0x23, vec![1, 2, 3, 4, 5, 6]);
    let datagram = session.seal(&request, [8; 16]);
    let answer = bench.deliver(&datagram).unwrap();
    all.extend([datagram, answer]);
    all
}

#[test]
fn no_truncation_of_a_packet_panics_or_passes() {
    for suite in Suite::ALL {
        let mut bench = Bench::new(None);
        let mut session = bench.open(suite);
        for datagram in genuine(suite) {
            for length in 0..datagram.len() {
                let cut = &datagram[..length];
                feed_all(cut);
                assert!(session.open(cut).is_err());
                let mut handshake = handshake(ADMIN, suite, Privilege::User, None);
                handshake.packet();
                assert!(matches!(handshake.receive(cut), Progress::Ignored));
                assert_eq!(bench.deliver(cut), None);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back_from_every_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        feed_all(&bytes);
        // As a record of each sensor kind with a true length byte.
        for kind in [1, 2, 3] {
            let mut record = vec![1, 0, 0x51, kind, bytes.len().min(255) as u8];
            record.extend(&bytes);
            feed_all(&record);
        }
    }

    #[test]
    fn a_changed_bit_never_gets_through_a_session(at in 0usize..200, bit in 0u8..8, suite in proptest::sample::select(&Suite::ALL[..])) {
        let mut bench = Bench::new(None);
        let mut session = bench.open(suite);
        let request = session.request(10, 0, 0x23, vec![1, 2, 3]);
        let genuine = session.seal(&request, [4; 16]);
        let mut changed = genuine.clone();
        // The four bytes of the RMCP header are outside the signature.
        let index = 4 + at % (changed.len() - 4);
        changed[index] ^= 1 << bit;
        feed_all(&changed);
        prop_assert_eq!(bench.deliver(&changed), None);

        let mut answer = bench.deliver(&genuine).expect("the genuine packet still passes");
        let index = 4 + at % (answer.len() - 4);
        answer[index] ^= 1 << bit;
        prop_assert!(session.open(&answer).is_err());
    }

    #[test]
    fn a_changed_proof_never_opens_a_session(step in 1usize..3, at in 0usize..100, bit in 0u8..8) {
        let mut bench = Bench::new(None);
        let mut handshake = handshake(ADMIN, Suite::Seventeen, Privilege::User, None);
        for now in 0..3 {
            let datagram = handshake.packet();
            let Some(mut answer) = bench.deliver(&datagram) else { break };
            if now == step {
                // After the packet header; the two reserved bytes are covered by no code.
                let index = 16 + at % (answer.len() - 16);
                prop_assume!(![18, 19].contains(&index));
                answer[index] ^= 1 << bit;
            }
            match handshake.receive(&answer) {
                Progress::Next => prop_assert!(now != step, "went on after a change in step {}", step),
                Progress::Ignored | Progress::Failed { .. } => break,
                Progress::Established(_) => prop_assert!(false, "opened after a change in step {}", step),
            }
        }
    }

    #[test]
    fn messages_round_trip(
        netfn in 0u8..31, lun in 0u8..4, command: u8, sequence in 0u8..64,
        data in proptest::collection::vec(any::<u8>(), 0..250),
    ) {
        let request = Request { netfn: netfn & !1, lun, command, sequence, data };
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request.clone()));
        let response = request.answer(0xC9, request.data.clone());
        prop_assert_eq!(Response::decode(&response.encode()), Ok(response.clone()));
        prop_assert!(response.answers(&request));
    }
}
