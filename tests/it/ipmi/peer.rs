//! Our client and probe against OpenIPMI's simulator: an independent controller.

use std::sync::Arc;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::probes::ipmi::{BmcAddress, BmcClient, BmcPoll, IpmiError, SensorState, facts};
use stentor_core::model::Value;
use stentor_wire::ipmi::Suite;
use stentor_wire::ipmi::console::SetupError;
use tokio::time::Instant;

use super::simulator::{PASSWORD, PSU_2, REDUNDANCY, Simulator, USER};
use super::{PATIENCE, deadline, login, sensor};

/// Polls until `is_wanted`; the simulator needs a moment to start and to notice changes.
pub async fn poll_until(
    client: &BmcClient,
    address: &BmcAddress,
    is_wanted: impl Fn(&BmcPoll) -> bool,
) -> Arc<BmcPoll> {
    let until = Instant::now() + PATIENCE;
    loop {
        let result = client.poll(address, until).await;
        match &result {
            Ok(poll) if is_wanted(poll) => return poll.clone(),
            Ok(_) | Err(IpmiError::Unreachable | IpmiError::NoAnswer { .. }) if Instant::now() < until => {}
            _ => panic!("not what was waited for: {result:#?}"),
        }
    }
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

#[tokio::test]
async fn a_real_simulator_is_read_and_its_faults_show() {
    let simulator = Simulator::start().await;
    let client = BmcClient::new(None, Duration::ZERO);
    let address = login(simulator.address, USER, PASSWORD);
    let poll = poll_until(&client, &address, |poll| poll.missing.is_none()).await;
    assert_eq!(poll.suite, Some(Suite::Three), "it refuses 17, so 3 is taken");
    assert!(poll.chassis.is_on);
    assert_eq!((sensor(&poll, "Inlet Temp").value, sensor(&poll, "-12V").value), (Some(22.0), Some(-12.033)));
    assert_eq!(json(&facts(&poll)["psu"]), r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[0]}]"#);
    assert_eq!(json(&facts(&poll)["psu_redundancy"]), r#"[{"id":"PS Redundancy","offsets":[0]}]"#);
    assert!(poll.log.is_history);
    assert_eq!(
        poll.log.new[0].text,
        "Inlet Temp: Temperature Upper Critical - going high (reading 96 °C, threshold 95 °C)"
    );

    // A power supply fails, set on the simulator's console.
    simulator.set_bit(PSU_2, 1, 1).await;
    simulator.set_bit(REDUNDANCY, 0, 0).await;
    simulator.set_bit(REDUNDANCY, 1, 1).await;
    let mut news = Vec::new();
    let poll = loop {
        let poll = poll_until(&client, &address, |poll| poll.missing.is_none()).await;
        news.extend(poll.log.new.iter().map(|entry| entry.text.clone()));
        if sensor(&poll, "PS Redundancy").offsets == [1] && news.len() >= 3 {
            break poll;
        }
    };
    assert_eq!(json(&facts(&poll)["psu"]), r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[0,1]}]"#);
    assert!(news.contains(&"PS2 Status: Power Supply Failure detected".to_owned()), "{news:?}");
    assert!(news.contains(&"PS Redundancy: Power Unit Redundancy Lost".to_owned()), "{news:?}");

    // The inlet gets hot, set through the simulator's file.
    simulator.set_inlet(50);
    let poll = poll_until(&client, &address, |poll| sensor(poll, "Inlet Temp").value == Some(50.0)).await;
    assert_eq!(sensor(&poll, "Inlet Temp").state, SensorState::Critical);

    // The host is switched off.
    simulator.set_power(false);
    let poll = poll_until(&client, &address, |poll| !poll.chassis.is_on).await;
    assert_eq!(json(&facts(&poll)["power"]), r#""off""#);
    client.shutdown(deadline()).await;
}

#[tokio::test]
async fn a_real_simulator_refuses_and_each_refusal_is_its_own_error() {
    let simulator = Simulator::start().await;
    let address = login(simulator.address, USER, PASSWORD);
    poll_until(&BmcClient::default(), &address, |_| true).await;

    let error = BmcClient::default().poll(&login(simulator.address, USER, "wrong"), deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Setup(SetupError::WrongPassword)), "{error:?}");
    let error = BmcClient::default().poll(&login(simulator.address, "nobody", "x"), deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::Setup(SetupError::UnknownUser)), "{error:?}");
    let only_17 = BmcAddress { suites: vec![Suite::Seventeen], ..address };
    let error = BmcClient::default().poll(&only_17, deadline()).await.unwrap_err();
    assert!(matches!(error, IpmiError::NoSuite), "{error:?}");
}

mod probe {
    use stentor::probes::{Blind, Network, ProbeEnv, ProbeError, Target, find};
    use stentor_core::catalog::Bmc;

    use super::*;
    use crate::ipmi::simulated;

    fn target(address: std::net::SocketAddr, password_file: &std::path::Path) -> Target {
        let bmc = Bmc {
            address: address.ip().to_string().into(),
            port: address.port(),
            user: crate::ipmi::USER.into(),
            password_file: password_file.to_str().unwrap().into(),
            suite: None,
        };
        Target { host: "clc1".into(), address: "127.0.0.1".into(), bmc: Some(bmc) }
    }

    #[tokio::test(start_paused = true)]
    async fn the_registered_probe_gives_facts_or_says_why_not() {
        let bmc = simulated().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, format!("{}\n", crate::ipmi::PASSWORD)).unwrap();
        let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
        let entry = find("ipmi").expect("registered");
        let probe = (entry.build)(&Value::Null, &env).unwrap();
        let seen = probe.run(&target(bmc.address(), &file), deadline()).await.unwrap();
        assert_eq!(seen.facts["power"], Value::from("on"));
        assert!(seen.measurements.iter().any(|m| &*m.label == "Inlet Temp" && m.value == Some(22.0)));

        std::fs::write(&file, "wrong\n").unwrap();
        let error = probe.run(&target(bmc.address(), &file), deadline()).await.unwrap_err();
        assert!(matches!(&error, ProbeError::Failed(text) if text.contains("password is wrong")), "{error}");
        let error = probe.run(&target(bmc.address(), &folder.path().join("none")), deadline()).await.unwrap_err();
        assert!(matches!(&error, ProbeError::Failed(text) if text.contains("cannot read secret file")), "{error}");

        std::fs::write(&file, crate::ipmi::PASSWORD).unwrap();
        bmc.set_silent(true).await;
        let seen = probe.run(&target(bmc.address(), &file), deadline()).await.unwrap();
        assert_eq!((&seen.facts["bmc"], &seen.facts["power"]), (&"unreachable".into(), &"unknown".into()));

        let wrong = [("privilege", Value::from("root"))].into_iter().collect();
        assert!((entry.build)(&wrong, &env).is_err());
        let unknown = [("suit", Value::from("17"))].into_iter().collect();
        assert!((entry.build)(&unknown, &env).is_err());
    }
}
