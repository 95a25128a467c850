//! Our client against our simulated controller. Time is virtual and goes on when it is told to: nothing sleeps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use stentor::clock::Clock;
use stentor::demo::bmc::SimulatedBmc;
use stentor::probes::ipmi::{BmcClient, IpmiError, SHARE_FOR, SensorState, facts, measurements, observation};
use stentor_core::model::Value;
use stentor_core::{Span, Timestamp};
use stentor_wire::ipmi::console::{Credentials, SetupError, UserLookup};
use stentor_wire::ipmi::{Privilege, Suite};
use tokio::net::UdpSocket;
use tokio::time::{Duration, Instant, advance};

use super::{NOON, PASSWORD, USER, deadline, identity, login, sensor, simulated, simulated_as};
use stentor::demo::bmc_model::Part;

fn client() -> BmcClient {
    BmcClient::new(None, SHARE_FOR)
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_healthy_server_is_read_in_full_by_each_suite() {
    for suite in Suite::ALL {
        let bmc = simulated().await;
        let mut address = login(bmc.address(), USER, PASSWORD);
        address.suites = vec![suite];
        let poll = client().poll(&address, deadline()).await.unwrap();
        assert_eq!((poll.suite, poll.missing.as_deref()), (Some(suite), None));
        assert!(poll.chassis.is_on);
        assert_eq!(poll.faults().count(), 0);
        let rail = sensor(&poll, "12V");
        assert_eq!((rail.value, rail.unit.as_str(), rail.state), (Some(12.033), "V", SensorState::Ok));
        assert_eq!(sensor(&poll, "FAN3").value, Some(8400.0));
        assert_eq!(sensor(&poll, "PS1 Status").offsets, [0]);
        let facts = facts(&poll);
        assert_eq!(json(&facts["psu"]), r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[0]}]"#);
        assert_eq!(json(&facts["psu_redundancy"]), r#"[{"id":"PS Redundancy","offsets":[0]}]"#);
        assert_eq!((json(&facts["power"]), json(&facts["bmc"])), (r#""on""#.into(), r#""ok""#.into()));
        assert_eq!(json(&facts["worst"]), r#""ok""#);
        assert!(!facts.contains_key("sel"));
        let rail = measurements(&poll).into_iter().find(|m| &*m.label == "12V").unwrap();
        assert_eq!((rail.value, &*rail.warn, &*rail.crit), (Some(12.033), "10.773:13.23", "10.395:13.482"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_power_supply_shows_and_heals() {
    let bmc = simulated().await;
    let address = login(bmc.address(), USER, PASSWORD);
    let client = BmcClient::new(None, Duration::ZERO);
    let first = client.poll(&address, deadline()).await.unwrap();
    assert!(first.log.is_history && first.log.new.is_empty());

    bmc.fail_psu(2).await;
    let poll = client.poll(&address, deadline()).await.unwrap();
    let told = facts(&poll);
    assert_eq!(json(&told["psu"]), r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[0,1]}]"#);
    assert_eq!(json(&told["psu_redundancy"]), r#"[{"id":"PS Redundancy","offsets":[1]}]"#);
    assert_eq!(json(&told["worst"]), r#""major""#);
    let texts: Vec<&str> = poll.log.new.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "PS2 Status: Power Supply Failure detected",
            "PS Redundancy: Power Unit Redundancy Lost",
            "PS Redundancy: Power Unit Fully Redundant (ended)",
        ]
    );
    assert_eq!(json(&told["sel"]), r#""PS Redundancy: Power Unit Redundancy Lost""#);
    assert!(!poll.log.is_history);
    assert!(observation(&poll).text.contains("PS2 Status: Power Supply Failure detected"));

    bmc.heal().await;
    let poll = client.poll(&address, deadline()).await.unwrap();
    let told = facts(&poll);
    assert_eq!(json(&told["psu"]), r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[0]}]"#);
    assert!(!told.contains_key("sel"), "the end of each event was logged");
    let quiet = client.poll(&address, deadline()).await.unwrap();
    assert!(quiet.log.new.is_empty() && quiet.log.is_complete);
}

#[tokio::test(start_paused = true)]
async fn fans_that_stand_still_in_a_switched_off_host_are_no_fault() {
    let bmc = simulated().await;
    bmc.set_reading(Part::Fan(1), 0).await;
    bmc.lose_psu_input(1).await;
    let address = login(bmc.address(), USER, PASSWORD);
    let client = BmcClient::new(None, Duration::ZERO);
    let poll = client.poll(&address, deadline()).await.unwrap();
    let names: Vec<&str> = poll.faults().map(|sensor| sensor.name.as_str()).collect();
    assert_eq!(names, ["PS1 Status", "PS Redundancy", "FAN1"]);
    assert_eq!(sensor(&poll, "FAN1").state, SensorState::NonRecoverable);

    bmc.set_power(false).await;
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(!poll.chassis.is_on);
    assert_eq!(json(&facts(&poll)["power"]), r#""off""#);
    assert_eq!(sensor(&poll, "FAN1").state, SensorState::Unavailable);
    assert_eq!(sensor(&poll, "Inlet Temp").value, Some(22.0));
    let names: Vec<&str> = poll.faults().map(|sensor| sensor.name.as_str()).collect();
    assert_eq!(names, ["PS1 Status", "PS Redundancy", "Pwr Unit Status"]);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_apart_and_are_not_dead_controllers() {
    let bmc = simulated().await;
    for (user, password, expected) in
        [(USER, "wrong", SetupError::WrongPassword), ("nobody", PASSWORD, SetupError::UnknownUser)]
    {
        let result = client().poll(&login(bmc.address(), user, password), deadline()).await;
        let error = result.unwrap_err();
        assert!(matches!(&error, IpmiError::Setup(told) if *told == expected), "{error:?}");
        assert!(error.is_configuration());
    }
    let mut address = login(bmc.address(), USER, PASSWORD);
    address.privilege = Privilege::Operator;
    let error = client().poll(&address, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Setup(SetupError::PrivilegeRefused)), "{error:?}");

    let mut address = login(bmc.address(), USER, PASSWORD);
    address.credentials = Credentials::new(USER.as_bytes(), PASSWORD.as_bytes(), Some(b"a key")).unwrap();
    let error = client().poll(&address, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Setup(SetupError::WrongKg)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn suite_3_is_taken_only_where_17_is_refused_and_allowed() {
    let mut old = identity();
    old.suites = vec![Suite::Three];
    let bmc = simulated_as(old).await;
    let mut address = login(bmc.address(), USER, PASSWORD);
    assert_eq!(client().poll(&address, deadline()).await.unwrap().suite, Some(Suite::Three));
    address.suites = vec![Suite::Seventeen];
    let error = client().poll(&address, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::NoSuite), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn kg_and_operator_privilege_work_where_they_are_set() {
    let mut keyed = identity();
    keyed.kg = Some(b"the BMC key".to_vec());
    let bmc = simulated_as(keyed).await;
    let mut address = login(bmc.address(), "admin", "secret");
    address.credentials = Credentials::new(b"admin", b"secret", Some(b"the BMC key")).unwrap();
    address.privilege = Privilege::Operator;
    for lookup in [UserLookup::NameOnly, UserLookup::NameAndPrivilege] {
        address.lookup = lookup;
        assert!(client().poll(&address, deadline()).await.unwrap().chassis.is_on, "{lookup:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_and_a_dark_controller_are_unreachable() {
    let bmc = simulated().await;
    let address = login(bmc.address(), USER, PASSWORD);
    bmc.set_silent(true).await;
    let before = Instant::now();
    let error = client().poll(&address, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Unreachable), "{error:?}");
    assert!(before.elapsed() < Duration::from_secs(10), "gave up after its tries, before the deadline");
    assert_eq!(bmc.status().await.unwrap().datagrams, 4);
    bmc.set_silent(false).await;

    let is_dark = Arc::new(AtomicBool::new(true));
    let dark = is_dark.clone();
    let client = BmcClient::new(Some(Arc::new(move |_| dark.load(Ordering::SeqCst))), Duration::ZERO);
    let error = client.poll(&address, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Unreachable), "{error:?}");
    assert_eq!(bmc.status().await.unwrap().datagrams, 4, "nothing was sent into the dark");
    is_dark.store(false, Ordering::SeqCst);
    assert!(client.poll(&address, deadline()).await.unwrap().chassis.is_on);
    // Dark again, with a session open: the poll must not live on the old one.
    is_dark.store(true, Ordering::SeqCst);
    let error = client.poll(&address, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Unreachable), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn many_services_share_one_poll() {
    let bmc = simulated().await;
    let (client, address) = (client(), login(bmc.address(), USER, PASSWORD));
    let mut services = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (client, address) = (client.clone(), address.clone());
        services.spawn(async move { client.poll(&address, deadline()).await.unwrap() });
    }
    let polls = services.join_all().await;
    assert!(polls.iter().all(|poll| Arc::ptr_eq(poll, &polls[0])));
    let once = bmc.status().await.unwrap();
    assert_eq!(once.open_sessions, 1);
    client.poll(&address, deadline()).await.unwrap();
    assert_eq!(bmc.status().await.unwrap().datagrams, once.datagrams, "still fresh");
    advance(SHARE_FOR).await;
    client.poll(&address, deadline()).await.unwrap();
    let twice = bmc.status().await.unwrap();
    // Chassis, repository info, 16 sensors, log info: the session and the records are kept.
    assert_eq!(twice.datagrams - once.datagrams, 3 + polls[0].sensors.len() as u64);
    assert_eq!(twice.open_sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_kept_alive_then_given_back() {
    let bmc = simulated().await;
    let client = client();
    client.poll(&login(bmc.address(), USER, PASSWORD), deadline()).await.unwrap();
    // The simulated controller drops a session after 60 s without traffic.
    advance(Duration::from_secs(240)).await;
    assert_eq!(bmc.status().await.unwrap().open_sessions, 1);
    advance(Duration::from_secs(70)).await;
    assert_eq!(bmc.status().await.unwrap().open_sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_closes_sessions_and_refuses_polls() {
    let bmc = simulated().await;
    let (client, address) = (client(), login(bmc.address(), USER, PASSWORD));
    client.poll(&address, deadline()).await.unwrap();
    assert_eq!(bmc.status().await.unwrap().open_sessions, 1);
    client.shutdown(deadline()).await;
    assert_eq!(bmc.status().await.unwrap().open_sessions, 0);
    assert!(matches!(client.poll(&address, deadline()).await, Err(IpmiError::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_controller_gets_a_new_session_in_the_same_poll() {
    let bmc = simulated().await;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(bmc.address(), USER, PASSWORD);
    client.poll(&address, deadline()).await.unwrap();
    bmc.restart().await;
    assert_eq!(client.poll(&address, deadline()).await.unwrap().missing, None);
    assert_eq!(bmc.status().await.unwrap().open_sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_takes_effect_at_once() {
    let bmc = simulated().await;
    let client = BmcClient::new(None, Duration::ZERO);
    client.poll(&login(bmc.address(), USER, PASSWORD), deadline()).await.unwrap();
    let error = client.poll(&login(bmc.address(), USER, "old"), deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Setup(SetupError::WrongPassword)), "{error:?}");
    assert_eq!(bmc.status().await.unwrap().open_sessions, 0, "the session under the other password was closed");
}

#[tokio::test(start_paused = true)]
async fn a_cleared_log_is_read_from_its_start() {
    let clock = Clock::manual(Timestamp::from_millis(NOON));
    let bmc = SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity(), clock.clone()).await.unwrap();
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(bmc.address(), USER, PASSWORD);
    bmc.fail_drive(1).await;
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(poll.log.is_history && poll.log.new.len() == 1);
    assert_eq!(poll.log.newest_serious.as_ref().unwrap().text, "Drive 0: Drive Slot Drive Fault");
    clock.advance(Span::from_millis(1000));
    bmc.clear_log().await;
    bmc.fail_drive(2).await;
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(poll.log.was_cleared && !poll.log.is_history);
    let texts: Vec<&str> = poll.log.new.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(texts, ["Drive 1: Drive Slot Drive Fault"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_old_log_is_caught_up_over_several_polls_as_history() {
    let bmc = simulated().await;
    for _ in 0..40 {
        bmc.fail_psu(1).await;
        bmc.mend_psu(1).await;
    }
    let entries = bmc.status().await.unwrap().log_entries;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(bmc.address(), USER, PASSWORD);
    let (mut read, mut polls) = (0, 0);
    loop {
        let poll = client.poll(&address, deadline()).await.unwrap();
        polls += 1;
        read += poll.log.new.len();
        assert!(poll.log.is_history);
        assert_eq!(json(&facts(&poll)["sel_new"]), "[]", "history is no news");
        if poll.log.is_complete {
            break;
        }
    }
    assert_eq!((read, polls), (entries, entries.div_ceil(128)));
    bmc.fail_psu(2).await;
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(!poll.log.is_history && poll.log.new.len() == 3, "{:#?}", poll.log);
}

#[tokio::test(start_paused = true)]
async fn entries_read_before_a_silence_are_told_by_the_next_poll() {
    let bmc = simulated().await;
    let gate = gate(bmc.address(), 1000).await;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(gate.address, USER, PASSWORD);
    let sensors = client.poll(&address, deadline()).await.unwrap().sensors.len() as u32;
    bmc.fail_psu(1).await;
    // Chassis status, repository info, sensors, log info, then one of three entries.
    gate.passes.store(2 + sensors + 2, Ordering::SeqCst);
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(poll.are_sensors_read && poll.log.new.is_empty());
    assert_eq!(poll.missing.as_deref(), Some("controller stopped answering during Get SEL Entry"));
    gate.passes.store(1000, Ordering::SeqCst);
    let poll = client.poll(&address, deadline()).await.unwrap();
    let ids: Vec<u16> = poll.log.new.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [1, 2, 3]);
}

/// Passes datagrams between one client and a controller, but loses some and doubles others.
async fn lossy_relay(target: SocketAddr) -> SocketAddr {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = near.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut there, mut back) = (vec![0; 2048], vec![0; 2048]);
        let (mut client, mut count) = (None, 0u32);
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut there) => {
                    client = Some(from);
                    count += 1;
                    for _ in 0..copies(count) {
                        far.send_to(&there[..length], target).await.unwrap();
                    }
                }
                Ok((length, _)) = far.recv_from(&mut back) => {
                    count += 1;
                    for _ in 0..copies(count) {
                        near.send_to(&back[..length], client.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    address
}

/// One datagram in four is lost, one in five comes twice, in a pattern that repeats only every 20.
fn copies(count: u32) -> u32 {
    match (count % 4, count % 5) {
        (3, _) => 0,
        (_, 2) => 2,
        _ => 1,
    }
}

#[tokio::test(start_paused = true)]
async fn lost_and_doubled_datagrams_cost_time_only() {
    let bmc = simulated().await;
    let relay = lossy_relay(bmc.address()).await;
    for suite in Suite::ALL {
        let client = BmcClient::new(None, Duration::ZERO);
        let mut address = login(relay, USER, PASSWORD);
        address.suites = vec![suite];
        for _ in 0..5 {
            let poll = client.poll(&address, Instant::now() + Duration::from_secs(600)).await.unwrap();
            assert_eq!(poll.missing, None);
            assert_eq!(sensor(&poll, "12V").value, Some(12.033));
        }
        client.shutdown(deadline()).await;
    }
}

/// Passes only the first datagrams from the client, until it is opened.
struct Gate {
    address: SocketAddr,
    passes: Arc<AtomicU32>,
}

async fn gate(target: SocketAddr, passes: u32) -> Gate {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let gate = Gate { address: near.local_addr().unwrap(), passes: Arc::new(AtomicU32::new(passes)) };
    let passes = gate.passes.clone();
    tokio::spawn(async move {
        let (mut there, mut back) = (vec![0; 2048], vec![0; 2048]);
        let mut client = None;
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut there) => {
                    client = Some(from);
                    if passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                        far.send_to(&there[..length], target).await.unwrap();
                    }
                }
                Ok((length, _)) = far.recv_from(&mut back) => {
                    near.send_to(&back[..length], client.unwrap()).await.unwrap();
                }
            }
        }
    });
    gate
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_falls_silent_half_way_gives_what_was_read() {
    let bmc = simulated().await;
    bmc.fail_psu(1).await;
    // Greeting, three steps, device id, chassis status; then three requests of the record walk.
    let gate = gate(bmc.address(), 9).await;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(gate.address, USER, PASSWORD);
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(poll.chassis.is_on && poll.sensors.is_empty());
    assert_eq!(poll.missing.as_deref(), Some("controller stopped answering during Get SDR"));
    let told = facts(&poll);
    assert_eq!(json(&told["power"]), r#""on""#);
    for part in ["psu", "psu_redundancy", "sensors", "faults", "worst"] {
        assert!(!told.contains_key(part), "`{part}` was not read, so it is not told");
    }
    assert!(observation(&poll).text.contains("not everything was read"));

    // Sensors of power supplies come first, so a later silence keeps them.
    gate.passes.store(1000, Ordering::SeqCst);
    assert_eq!(client.poll(&address, deadline()).await.unwrap().missing, None);
    gate.passes.store(7, Ordering::SeqCst);
    let poll = client.poll(&address, deadline()).await.unwrap();
    assert!(poll.missing.is_some());
    let told = facts(&poll);
    assert_eq!(json(&told["psu"]), r#"[{"id":"PS1","offsets":[0,1]},{"id":"PS2","offsets":[0]}]"#);
    assert_eq!(json(&told["worst"]), r#""major""#, "bad is known at once");
    assert_eq!(bmc.status().await.unwrap().open_sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn readers_that_take_each_others_reservation_both_finish() {
    let bmc = simulated().await;
    let mut readers = tokio::task::JoinSet::new();
    for (user, password) in [(USER, PASSWORD), ("admin", "secret"), (USER, PASSWORD)] {
        let address = login(bmc.address(), user, password);
        readers.spawn(async move { client().poll(&address, deadline()).await.unwrap() });
    }
    for poll in readers.join_all().await {
        assert_eq!((poll.missing.as_deref(), sensor(&poll, "12V").value), (None, Some(12.033)));
    }
}

#[tokio::test]
async fn a_hundred_controllers_on_one_socket_keep_their_answers_apart() {
    let client = client();
    let mut polls = tokio::task::JoinSet::new();
    for n in 0..100u8 {
        let client = client.clone();
        polls.spawn(async move {
            let bmc = simulated().await;
            bmc.set_reading(Part::Inlet, n).await;
            let poll = client.poll(&login(bmc.address(), USER, PASSWORD), deadline()).await.unwrap();
            assert_eq!((poll.missing.as_deref(), sensor(&poll, "Inlet Temp").value), (None, Some(f64::from(n))));
        });
    }
    polls.join_all().await;
}
