//! The probes against agents that a test makes up, and the client against datagrams that no agent should send.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::interfaces::{Column, NAMING, READING};
use stentor_wire::snmp::responder::Responder;
use stentor_wire::snmp::{Oid, SnmpValue, VarBind};
use tokio::net::UdpSocket;

use super::{Agent, Login, SnmpError, SnmpPoller};
use crate::testing::{build, is_overrun, number, plain_env, target, text, within};
use crate::{Deadline, ErasedProbe, Network, ProbeEnv, ProbeError};

mod devices;

/// An agent that has these objects.
#[derive(Default)]
struct Made {
    objects: Mutex<BTreeMap<Oid, SnmpValue>>,
}

impl Made {
    fn put(&self, oid: Oid, value: SnmpValue) {
        self.objects.lock().expect("not poisoned").insert(oid, value);
    }

    fn set(&self, oid: &str, value: SnmpValue) {
        self.put(oid.parse().expect("an identifier"), value);
    }

    fn port(&self, index: u32, name: &str, oper: i64, octets: u64) {
        let bytes = |text: &str| SnmpValue::Bytes(text.as_bytes().to_vec());
        for (column, value) in [
            (Column::Name, bytes(name)),
            (Column::Alias, bytes(&format!("to host{index}"))),
            (Column::AdminStatus, SnmpValue::Integer(1)),
            (Column::OperStatus, SnmpValue::Integer(oper)),
            (Column::HighSpeed, SnmpValue::Gauge(1000)),
            (Column::HcInOctets, SnmpValue::Counter64(octets)),
            (Column::HcOutOctets, SnmpValue::Counter64(octets / 2)),
            (Column::InErrors, SnmpValue::Counter32((octets / 1_000_000) as u32)),
        ] {
            self.put(column.of(index), value);
        }
    }

    fn up_since(&self, ticks: u32) {
        self.set("sysUpTime.0", SnmpValue::Ticks(ticks));
    }
}

#[async_trait]
impl SnmpPoller for Made {
    async fn get(&self, _: &Agent, oids: &[Oid], _: Deadline) -> Result<Vec<VarBind>, SnmpError> {
        let objects = self.objects.lock().expect("not poisoned");
        let one =
            |oid: &Oid| VarBind { oid: oid.clone(), value: objects.get(oid).cloned().unwrap_or(SnmpValue::Missing) };
        Ok(oids.iter().map(one).collect())
    }

    async fn walk(&self, _: &Agent, root: &Oid, _: usize, _: Deadline) -> Result<Vec<VarBind>, SnmpError> {
        let objects = self.objects.lock().expect("not poisoned");
        let below = objects.iter().filter(|(oid, _)| oid.below(root).is_some());
        Ok(below.map(|(oid, value)| VarBind { oid: oid.clone(), value: value.clone() }).collect())
    }
}

fn probe(kind: &str, params: &str, agent: &Arc<Made>) -> Arc<dyn ErasedProbe> {
    let env = ProbeEnv { net: Network::with_snmp(agent.clone()), ..plain_env() };
    build(kind, params, &env).expect("parameters of the test fit")
}

async fn run(probe: &Arc<dyn ErasedProbe>) -> Observation {
    probe.run(&target("192.0.2.1"), within(5000)).await.expect("observed")
}

fn json(seen: &Observation, fact: &str) -> String {
    serde_json::to_string(&seen.facts[fact]).expect("a fact is JSON")
}

#[tokio::test]
async fn objects_are_numbers_texts_or_missing() {
    let agent = Arc::new(Made::default());
    agent.set("1.3.6.1.4.1.9.1.0", SnmpValue::Integer(235));
    agent.set("1.3.6.1.4.1.9.2.0", SnmpValue::Bytes(b"redundant".to_vec()));
    let params = r#"{"oids":[
        {"oid":"1.3.6.1.4.1.9.1.0","name":"inlet","unit":"°C","scale":0.1},
        {"oid":"1.3.6.1.4.1.9.2.0","name":"mode","expect":"^full$"},
        {"oid":"1.3.6.1.4.1.9.3.0"}]}"#;
    let seen = run(&probe("snmp", params, &agent)).await;
    assert_eq!(json(&seen, "values"), r#"{"inlet":23.5,"mode":"redundant"}"#);
    assert_eq!(json(&seen, "unmatched"), r#"["mode"]"#);
    assert_eq!(json(&seen, "missing"), r#"["1.3.6.1.4.1.9.3.0"]"#);
    assert_eq!((number(&seen, "value"), number(&seen, "max"), number(&seen, "min")), (23.5, 23.5, 23.5));
    assert_eq!(seen.measurements.len(), 1);
    assert!(seen.text.starts_with("mode does not match, 1.3.6.1.4.1.9.3.0 is missing, inlet 23.5°C"), "{}", seen.text);
}

#[tokio::test(start_paused = true)]
async fn a_counter_has_a_rate_from_its_second_reading_and_none_after_a_restart() {
    let agent = Arc::new(Made::default());
    let probe = probe("snmp", r#"{"oids":[{"oid":"1.3.6.1.4.1.9.1.0","name":"drops","rate":true}]}"#, &agent);
    for (ticks, count, wanted) in
        [(1_000, 100, ""), (7_000, 700, "10"), (13_000, 700, "0"), (500, 900, ""), (6_500, 960, "1")]
    {
        agent.up_since(ticks);
        agent.set("1.3.6.1.4.1.9.1.0", SnmpValue::Counter32(count));
        assert_eq!(text(&run(&probe).await, "value"), wanted, "at {ticks}");
        tokio::time::advance(Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn objects_that_cannot_be_meant_are_refused() {
    for params in [
        r#"{}"#,
        r#"{"oids":[]}"#,
        r#"{"oids":[{"oid":"sysUptime.0"}]}"#,
        r#"{"oids":[{"oid":"1.3.6","expect":"("}]}"#,
        r#"{"oids":[{"oid":"1.3.6","scale":0}]}"#,
        r#"{"oids":[{"oid":"1.3.6"},{"oid":"1.3.6"}]}"#,
        r#"{"oids":[{"oid":"1.3.6","warn":5}]}"#,
        r#"{"oids":[{"oid":"1.3.6"}],"community":"x"}"#,
    ] {
        assert!(build("snmp", params, &plain_env()).is_err(), "{params}");
    }
    assert!(build("snmp_if", r#"{"regex":"("}"#, &plain_env()).is_err());
    assert!(build("snmp_ups", r#"{"version":"3"}"#, &plain_env()).is_err());
}

#[tokio::test(start_paused = true)]
async fn interfaces_have_states_at_once_and_rates_from_the_second_run() {
    let agent = Arc::new(Made::default());
    agent.up_since(100_000);
    agent.port(1, "Eth1/1", 1, 1_000_000_000);
    agent.port(2, "Eth1/2", 2, 5);
    agent.port(3, "Eth1/3", 2, 5);
    let probe = probe("snmp_if", r#"{"names":["eth1/1","Eth1/9"],"aliases":["to host2"]}"#, &agent);
    let seen = run(&probe).await;
    assert_eq!((json(&seen, "up"), json(&seen, "down")), (r#"["Eth1/1"]"#.into(), r#"["Eth1/2"]"#.into()));
    assert_eq!((json(&seen, "not_found"), text(&seen, "chosen")), (r#"["Eth1/9"]"#.into(), "true".into()));
    assert_eq!((number(&seen, "interfaces"), number(&seen, "speed_min_mbps")), (2.0, 1000.0));
    assert!(!seen.facts.contains_key("pct_max") && seen.measurements.is_empty(), "no rate without a second reading");

    tokio::time::advance(Duration::from_secs(60)).await;
    agent.up_since(106_000);
    agent.port(1, "Eth1/1", 1, 4_000_000_000);
    let seen = run(&probe).await;
    assert_eq!((number(&seen, "pct_max"), number(&seen, "errors_max")), (40.0, 50.0));
    let measured = seen.measurements.iter().find(|one| &*one.label == "Eth1/1 in_bps").expect("measured");
    assert_eq!(measured.value, Some(4e8));

    // Asked again at once, by another service: the same rates, and the readings for the next ones stay.
    tokio::time::advance(Duration::from_millis(10)).await;
    assert_eq!(number(&run(&probe).await, "pct_max"), 40.0);

    tokio::time::advance(Duration::from_secs(60)).await;
    agent.up_since(300);
    agent.port(1, "Eth1/1", 1, 4_100_000_000);
    let seen = run(&probe).await;
    assert_eq!(text(&seen, "restarted"), "true");
    assert!(!seen.facts.contains_key("pct_max"), "counters of before the restart say nothing: {seen:?}");
}

#[tokio::test]
async fn many_interfaces_without_a_choice_are_read_by_column() {
    let agent = Arc::new(Made::default());
    agent.up_since(1);
    for index in 1..=48 {
        agent.port(index, &format!("Eth1/{index}"), if index % 16 == 0 { 7 } else { 1 }, 1);
    }
    let seen = run(&probe("snmp_if", "{}", &agent)).await;
    assert_eq!((number(&seen, "interfaces"), text(&seen, "chosen")), (48.0, "false".into()));
    assert_eq!(json(&seen, "down"), r#"["Eth1/16","Eth1/32","Eth1/48"]"#);
    assert_eq!(&*seen.text, "45 of 48 interfaces up; down: Eth1/16, Eth1/32, Eth1/48");
}

#[tokio::test]
async fn a_ups_is_told_in_words_and_to_the_classifier_in_numbers() {
    let agent = Arc::new(Made::default());
    let probe = probe("snmp_ups", "{}", &agent);
    let seen = run(&probe).await;
    assert_eq!((text(&seen, "ups_found"), text(&seen, "source")), ("false".into(), String::new()));
    for (oid, value) in [
        ("upsBatteryStatus.0", 2),
        ("upsEstimatedMinutesRemaining.0", 7),
        ("upsEstimatedChargeRemaining.0", 35),
        ("upsOutputSource.0", 5),
        ("upsOutputPercentLoad.1", 31),
    ] {
        agent.set(oid, SnmpValue::Integer(value));
    }
    let seen = run(&probe).await;
    assert_eq!((text(&seen, "source"), text(&seen, "on_battery")), ("battery".into(), "true".into()));
    assert_eq!(json(&seen, "ups"), r#"{"minutes":7,"upsBatteryStatus":2,"upsOutputSource":5}"#);
    assert_eq!(&*seen.text, "output from battery, battery normal, charge 35%, time left 7 min, load 31%");
    assert_eq!(seen.facts["alarms"], Value::List(vec![]));
}

const KINDS: [(&str, &str); 7] = [
    ("snmp", r#"{"port":PORT,"oids":[{"oid":"sysUpTime.0"}]}"#),
    ("snmp_array", r#"{"port":PORT}"#),
    ("snmp_host", r#"{"port":PORT}"#),
    ("snmp_if", r#"{"port":PORT}"#),
    ("snmp_pdu", r#"{"port":PORT}"#),
    ("snmp_switch", r#"{"port":PORT}"#),
    ("snmp_ups", r#"{"port":PORT}"#),
];

/// What an agent sends for each datagram it gets.
type Answer = fn(&[u8]) -> Vec<Vec<u8>>;

async fn agent(answer: Answer) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = socket.local_addr().expect("address").port();
    tokio::spawn(async move {
        let mut asked = [0; 2048];
        while let Ok((length, peer)) = socket.recv_from(&mut asked).await {
            for datagram in answer(&asked[..length]) {
                let _ = socket.send_to(&datagram, peer).await;
            }
        }
    });
    port
}

/// The question as an answer: 0xA2 instead of 0xA0, 0xA1 or 0xA5, everything else the same.
fn as_answer(asked: &[u8]) -> Vec<u8> {
    let mut answer = asked.to_vec();
    if let Some(tag) = answer.iter_mut().skip(5).find(|byte| [0xA0, 0xA1, 0xA5].contains(*byte)) {
        *tag = 0xA2;
    }
    answer
}

const ODD_AGENTS: [(&str, Answer); 7] = [
    ("silent", |_| vec![]),
    ("lying", |_| vec![vec![0xff, 0x00, 0x16, 0x03, 0x01, 0x80]]),
    ("flooding", |_| vec![vec![0xa5; 1400]; 200]),
    ("echoing", |asked| vec![asked.to_vec()]),
    ("answering with nulls", |asked| vec![as_answer(asked)]),
    ("truncating", |asked| (0..asked.len()).map(|cut| as_answer(asked)[..cut].to_vec()).collect()),
    ("flipping bits", |asked| {
        let flip = |at: usize| {
            let mut answer = as_answer(asked);
            answer[at] ^= 0x40;
            answer
        };
        (0..asked.len().min(20)).map(flip).collect()
    }),
];

#[tokio::test]
async fn odd_agents_are_borne_within_the_deadline_and_never_taken_for_good_ones() {
    for (name, answer) in ODD_AGENTS {
        let port = agent(answer).await;
        for (kind, params) in KINDS {
            let probe = build(kind, &params.replace("PORT", &port.to_string()), &plain_env()).expect("built");
            let deadline = within(400);
            let seen = probe.run(&target("127.0.0.1"), deadline).await;
            assert!(!is_overrun(deadline), "{kind} overran its deadline against a {name} agent");
            match seen {
                Ok(seen) if text(&seen, "snmp") == "timeout" => {}
                // Nulls are how agents say that they have no such object.
                Ok(seen) if name == "answering with nulls" => {
                    assert!(seen.measurements.is_empty() && text(&seen, "on_battery").is_empty(), "{seen:?}");
                }
                Ok(seen) => panic!("{kind} takes a {name} agent for good: {seen:?}"),
                Err(error) => assert!(!matches!(error, ProbeError::MissingRight(_)), "{kind}, {name}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_dark_host_is_silence_though_its_agent_would_answer() {
    let port = agent(|asked| vec![as_answer(asked)]).await;
    let mut env = plain_env();
    env.net = Network::with_darkness(Arc::new(|_| true));
    for (kind, params) in KINDS {
        let probe = build(kind, &params.replace("PORT", &port.to_string()), &env).expect("built");
        let seen = probe.run(&target("127.0.0.1"), within(200)).await.expect("observed");
        assert_eq!(text(&seen, "snmp"), "timeout", "{kind}");
    }
}

#[tokio::test]
async fn our_own_troubles_are_never_the_agents() {
    for (kind, params) in KINDS {
        let params = params.replace("PORT", "161");
        let probe = build(kind, &params, &plain_env()).expect("built");
        let seen = probe.run(&target("no-such-host.invalid"), within(5000)).await;
        assert!(seen.is_err(), "{kind}: {seen:?}");
        let params = params.replacen('{', r#"{"community_file":"/no/such/file","#, 1);
        let probe = build(kind, &params, &plain_env()).expect("built");
        let seen = probe.run(&target("127.0.0.1"), within(5000)).await;
        assert!(matches!(&seen, Err(ProbeError::Failed(why)) if why.contains("/no/such/file")), "{kind}: {seen:?}");
    }
}

#[tokio::test]
async fn all_agents_are_asked_from_one_socket() {
    let env = plain_env();
    let mut sources = Vec::new();
    for (kind, params) in KINDS {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let port = socket.local_addr().expect("address").port().to_string();
        let probe = build(kind, &params.replace("PORT", &port), &env).expect("built");
        let polled = tokio::spawn(async move { probe.run(&target("127.0.0.1"), within(5000)).await });
        let (_, source) = socket.recv_from(&mut [0; 2048]).await.expect("asked");
        sources.push(source);
        polled.abort();
    }
    assert!(sources.iter().all(|source| *source == sources[0]), "{sources:?}");
}

/// A switch that answers on loopback and counts what it is asked.
async fn switch(objects: BTreeMap<Oid, SnmpValue>) -> (u16, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let (port, count) = (socket.local_addr().expect("address").port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut asked = [0; 2048];
        while let Ok((length, peer)) = socket.recv_from(&mut asked).await {
            counted.fetch_add(1, Ordering::Relaxed);
            let responder = Responder { community: b"public", objects: &objects, answer_bytes_max: 1400 };
            if let Some(answer) = responder.answer(&asked[..length]) {
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    });
    (port, count)
}

#[tokio::test]
async fn a_table_of_48_ports_costs_few_packets_and_reads_the_same() {
    let made = Made::default();
    made.up_since(1);
    for index in 1..=48 {
        made.port(index, &format!("Eth1/{index}"), 1, 1 << 40);
    }
    let objects = made.objects.lock().expect("not poisoned").clone();
    let (port, count) = switch(objects.clone()).await;
    let net = Network::real();
    let login = Login::V2c(b"public".to_vec());
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let agent = Agent { addr, login, retries: 0, rows: 25, any_source: false };
    let roots: Vec<Oid> = [&NAMING[..], &READING[..]].concat().into_iter().map(Column::root).collect();

    let mut before = Vec::new();
    for root in &roots {
        before.extend(net.snmp().walk(&agent, root, 1000, within(20_000)).await.expect("walked"));
    }
    let packets_before = count.swap(0, Ordering::Relaxed);
    let mut after = net.snmp().columns(&agent, &roots, 1000, within(20_000)).await.expect("walked");
    let packets_after = count.swap(0, Ordering::Relaxed);

    before.sort_by(|a, b| a.oid.cmp(&b.oid));
    after.sort_by(|a, b| a.oid.cmp(&b.oid));
    assert_eq!(after.len(), 48 * 8);
    assert_eq!(before, after);
    assert_eq!((packets_before, packets_after), (22, 8), "one column at a time, and all at once");
}
