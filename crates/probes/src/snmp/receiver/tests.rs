//! The receiver with datagrams made by hand; with Net-SNMP's senders it is tested end to end.

use proptest::prelude::*;
use stentor_wire::snmp::SnmpValue;
use tokio::net::UdpSocket;

use super::*;

const UP_TIME: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 3, 0];
const TRAP_OID: &[u8] = &[0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0];
const LINK_DOWN: &[u8] = &[0x2b, 6, 1, 6, 3, 1, 1, 5, 3];
/// ifIndex.7
const IF_INDEX: &[u8] = &[0x2b, 6, 1, 2, 1, 2, 2, 1, 1, 7];
const TRAP: u8 = 0xA7;
const INFORM: u8 = 0xA6;

fn tlv(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 128).expect("short");
    [vec![tag, length], content].concat()
}

fn bind(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, &[oid.to_vec()]), tlv(tag, &[value.to_vec()])])
}

fn v2c(community: &str, kind: u8) -> Vec<u8> {
    let binds = tlv(0x30, &[bind(UP_TIME, 0x43, &[100]), bind(TRAP_OID, 6, LINK_DOWN), bind(IF_INDEX, 2, &[7])]);
    let pdu = tlv(kind, &[tlv(2, &[vec![9]]), tlv(2, &[vec![0]]), tlv(2, &[vec![0]]), binds]);
    tlv(0x30, &[tlv(2, &[vec![1]]), tlv(4, &[community.as_bytes().to_vec()]), pdu])
}

/// Enterprise 1.3.6.1.4.1.9, 10.0.0.9, generic and specific.
fn v1(generic: u8, specific: u8) -> Vec<u8> {
    let enterprise = tlv(6, &[vec![0x2b, 6, 1, 4, 1, 9]]);
    let numbers = [tlv(2, &[vec![generic]]), tlv(2, &[vec![specific]]), tlv(0x43, &[vec![50]])].concat();
    let pdu = tlv(0xA4, &[enterprise, tlv(0x40, &[vec![10, 0, 0, 9]]), numbers, tlv(0x30, &[])]);
    tlv(0x30, &[tlv(2, &[vec![0]]), tlv(4, &[b"public".to_vec()]), pdu])
}

/// An SNMPv3 trap of a user, not signed.
fn v3_of(user: &str) -> Vec<u8> {
    let engine = tlv(4, &[b"\x80\x00\x1f\x88\x04stentor".to_vec()]);
    let number = |number: u8| tlv(2, &[vec![number]]);
    let header = tlv(0x30, &[number(1), tlv(2, &[vec![0x20, 0]]), tlv(4, &[vec![0]]), number(3)]);
    let empty = tlv(4, &[]);
    let user = tlv(4, &[user.as_bytes().to_vec()]);
    let security = tlv(0x30, &[engine.clone(), number(1), number(1), user, empty.clone(), empty.clone()]);
    let binds = tlv(0x30, &[bind(UP_TIME, 0x43, &[100]), bind(TRAP_OID, 6, LINK_DOWN)]);
    let pdu = tlv(TRAP, &[number(9), number(0), number(0), binds]);
    tlv(0x30, &[number(3), header, tlv(4, &[security]), tlv(0x30, &[engine, empty, pdu])])
}

/// A receiver that runs, and a sender to it.
struct World {
    heard: mpsc::Receiver<Heard>,
    refused: mpsc::Receiver<Refusal>,
    counts: Arc<Counts>,
    sender: UdpSocket,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn world(room: usize, users: Vec<User>) -> World {
    let (heard_by, heard) = mpsc::channel(room);
    let folder = tempfile::tempdir().unwrap();
    let setup = ReceiverSetup {
        listen: "127.0.0.1:0".parse().unwrap(),
        communities: vec![b"public".to_vec(), b"other".to_vec()],
        users,
        engine_file: folder.path().join("engine"),
    };
    let (receiver, refused) = TrapReceiver::open(setup, heard_by).await.unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    sender.connect(receiver.local_addr()).await.unwrap();
    let (counts, stop) = (receiver.counts(), CancellationToken::new());
    tokio::spawn(receiver.run(stop.clone()));
    World { heard, refused, counts, sender, stop }
}

#[tokio::test]
async fn a_trap_and_an_inform_are_heard_and_the_inform_is_answered() {
    let mut world = world(8, Vec::new()).await;
    world.sender.send(&v2c("public", TRAP)).await.unwrap();
    let heard = world.heard.recv().await.unwrap();
    assert_eq!((heard.trap.name().as_str(), heard.trap.version, heard.trap.is_inform), ("linkDown", 2, false));
    assert_eq!(heard.trap.binds.len(), 1);
    assert_eq!((&heard.trap.binds[0].value, heard.trap.up_time), (&SnmpValue::Integer(7), 100));
    world.sender.send(&v2c("other", INFORM)).await.unwrap();
    let heard = world.heard.recv().await.unwrap();
    assert_eq!((heard.trap.is_inform, heard.is_answered), (true, Some(true)));
    let mut answer = [0; 200];
    let length = world.sender.recv(&mut answer).await.unwrap();
    assert!(answer[..length].contains(&0xA2), "a Response-PDU");
}

#[tokio::test]
async fn version_1_becomes_version_2() {
    let mut world = world(8, Vec::new()).await;
    for (generic, specific, name) in [(0, 0, "coldStart"), (2, 0, "linkDown"), (6, 5, "1.3.6.1.4.1.9.0.5")] {
        world.sender.send(&v1(generic, specific)).await.unwrap();
        let heard = world.heard.recv().await.unwrap();
        assert_eq!((heard.trap.name().as_str(), heard.trap.speaks_for()), (name, Some([10, 0, 0, 9])));
    }
    world.sender.send(&v1(6, 0x80)).await.unwrap();
    assert_eq!(world.refused.recv().await.unwrap().reason, Reason::Malformed);
}

#[tokio::test]
async fn what_is_not_let_in_is_counted_and_told_with_its_sender() {
    let mut world = world(1, Vec::new()).await;
    for (bytes, reason) in [
        (b"garbage".to_vec(), Reason::Malformed),
        (Vec::new(), Reason::Malformed),
        (v2c("wrong", TRAP), Reason::Community),
        (v3_of("nobody"), Reason::Unauthentic),
    ] {
        world.sender.send(&bytes).await.unwrap();
        let refusal = world.refused.recv().await.unwrap();
        assert_eq!((refusal.reason, refusal.from), (reason, Some("127.0.0.1".parse().unwrap())), "{refusal:?}");
        assert_eq!(world.counts.of(reason).min(1), 1);
    }
    // There is room for one trap, and nobody takes it: an inform stays unanswered, so that it comes again.
    world.sender.send(&v2c("public", TRAP)).await.unwrap();
    world.sender.send(&v2c("public", INFORM)).await.unwrap();
    assert_eq!(world.refused.recv().await.unwrap().reason, Reason::Busy);
    assert!(!world.heard.recv().await.unwrap().trap.is_inform);
    world.sender.send(&v2c("public", INFORM)).await.unwrap();
    assert!(world.heard.recv().await.unwrap().trap.is_inform);
}

#[tokio::test]
async fn a_flood_of_one_sender_is_cut() {
    let mut world = world(1000, Vec::new()).await;
    for _ in 0..300 {
        world.sender.send(&v2c("public", TRAP)).await.unwrap();
    }
    assert_eq!(world.refused.recv().await.unwrap().reason, Reason::TooMany);
}

#[tokio::test]
async fn a_user_whose_password_is_empty_is_refused_with_its_name() {
    let user = User {
        name: "mon".into(),
        context: String::new(),
        auth: Some((super::super::login::AuthProtocol::Sha256, Vec::new())),
        privacy: None,
    };
    let (heard, _) = mpsc::channel(1);
    let folder = tempfile::tempdir().unwrap();
    let setup = ReceiverSetup {
        listen: "127.0.0.1:0".parse().unwrap(),
        communities: Vec::new(),
        users: vec![user],
        engine_file: folder.path().join("engine"),
    };
    let refused = TrapReceiver::open(setup, heard).await;
    assert!(matches!(&refused, Err(ReceiverError::User { user, .. }) if user == "mon"), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever comes, and any piece of a good one: the receiver stays, and hears the next.
    #[test]
    fn garbage_does_not_stop_the_receiver(
        garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..6),
        cut in 0_usize..60,
        flip in 0_usize..60,
        with: u8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = world(64, Vec::new()).await;
            let good = v2c("public", TRAP);
            let mut flipped = good.clone();
            if let Some(byte) = flipped.get_mut(flip) {
                *byte = with;
            }
            let mut sent = garbage.clone();
            sent.extend([good.get(..cut).unwrap_or(&good).to_vec(), flipped, v1(6, with)]);
            for bytes in sent {
                world.sender.send(&bytes).await.unwrap();
            }
            world.sender.send(&v2c("other", INFORM)).await.unwrap();
            let mut answer = [0; 200];
            // What was flipped may be an inform too: the last answer is to the last.
            let length = world.sender.recv(&mut answer).await.unwrap();
            assert!(length > 0 && world.heard.recv().await.is_some());
        });
    }
}
