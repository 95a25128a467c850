//! What every notifier promises, and the message it is tried with. Run by the unit tests (webhook) and the
//! integration tests (mail). A notifier is tried against a peer that answers as told.

use std::sync::Arc;
use std::time::Duration;

use stentor::notifiers::{Message, Notifier, SendError};
use stentor_core::Timestamp;
use stentor_core::diagnosis::{
    Class, CoreState, Evidence, Impact, Severity, Suppressed, Target, TargetKind, Verdict, Visibility,
};
use stentor_core::model::{Incident, Notification, Phase, Reason, TimelineEntry, TimelineKind};

/// A secret as it would stand in a file; must never be seen again.
pub const SECRET: &str = "hunter2-very-secret";

/// How the peer answers.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    Accept,
    /// 429 / 451: later.
    Busy,
    /// 503 / 421: the service is not there.
    Away,
    /// 400 / 550: never.
    Refuse,
    /// Takes the connection and says nothing.
    Silent,
}

/// A notifier, and its peer's record of what arrived.
pub trait Bench {
    fn notifier(&self) -> &dyn Notifier;
    fn answer(&self, answer: Answer);
    /// Bodies as the peer got them, decoded to text.
    fn arrived(&self) -> Vec<String>;
    fn address(&self) -> String;
}

/// The timeout that benches configure.
pub const TIMEOUT: Duration = Duration::from_millis(400);

pub fn message(reason: Reason, address: &str) -> Message {
    let seen = |sig: &str, at: &str, value: &str| Evidence { sig: sig.into(), at: at.into(), value: value.into() };
    let opened_at = Timestamp::from_secs(1_795_226_531);
    let ended = reason == Reason::Recovery;
    let incident = Incident {
        number: 17,
        phase: if ended { Phase::Resolved } else { Phase::Open },
        title: "Cloud controller on clc1 is down".into(),
        cloud: Some("ECC".into()),
        site: Some("osl1".into()),
        zone: Some("az-osl".into()),
        verdict: Verdict {
            target: Target { kind: TargetKind::Component, host: Some("clc1".into()), component: Some("clc".into()) },
            class: Class::SoftwareDown,
            subtype: "process_gone".into(),
            severity: Severity::Critical,
            visibility: Visibility::Visible,
            impact: Impact::Full,
            confidence: 0.95,
            core: CoreState::Degraded,
            cell: Some("eucalyptus/clc/software".into()),
            cells: vec!["eucalyptus/clc/software".into()],
            runbook: "rb-euca-clc-software".into(),
            redundancy: Some((1, 2)),
            suppressed: vec![Suppressed {
                host: Some("cc1".into()),
                component: Some("cc".into()),
                class: Class::SoftwareDown,
            }],
            evidence: vec![seen("port", "clc1/clc", "refused"), seen("process", "clc1/clc", "absent")],
            rejected: vec![],
            since: opened_at,
        },
        problems: vec![],
        users_notice: "New instances do not start".into(),
        owner: None,
        ack: None,
        opened_at,
        changed_at: opened_at,
        resolved_at: ended.then(|| Timestamp::from_secs(1_795_226_531 + 26 * 60)),
        root: None,
        generation: 1,
        stage: stentor_core::model::Stage::Failed,
        going_on: Vec::new(),
        business: vec!["self-service".into()],
        links: stentor_core::model::Links::default(),
        timeline: vec![TimelineEntry {
            at: opened_at,
            kind: TimelineKind::Opened,
            by: None,
            text: "port 8773 answers again".into(),
        }],
    };
    let thread = "ECC/INC-17/problem/1/noc/x".to_owned();
    let key =
        if reason == Reason::Problem { thread.clone() } else { format!("ECC/INC-17/{}/2/noc/x", reason.as_str()) };
    let notification = Notification {
        key: key.into(),
        reason,
        contact: "noc".into(),
        channel: "email".into(),
        address: address.into(),
        incident: Arc::new(incident),
        seq: 4711,
        created_at: Timestamp::from_secs(1_795_226_540),
        by: (reason == Reason::Acknowledgement).then(|| "mara".into()),
        comment: None,
        notice: None,
    };
    Message {
        notification,
        thread,
        url: "https://stentor.example/".into(),
        steps: vec!["Look whether it runs\n$ systemctl status eucalyptus-cloud".into(), "Start it".into()],
        instance: "ECC-prod".into(),
    }
}

pub async fn all(bench: &dyn Bench) {
    every_reason_is_sent(bench).await;
    answers_decide_whether_to_try_again(bench).await;
    the_timeout_is_obeyed(bench).await;
    long_text_is_cut_with_a_mark(bench).await;
    a_repeat_carries_the_same_identity(bench).await;
    secrets_are_not_shown(bench).await;
}

async fn every_reason_is_sent(bench: &dyn Bench) {
    bench.answer(Answer::Accept);
    let reasons =
        [Reason::Problem, Reason::Changed, Reason::Renotify, Reason::Acknowledgement, Reason::Recovery, Reason::Test];
    for reason in reasons {
        let before = bench.arrived().len();
        let receipt = bench.notifier().send(&message(reason, &bench.address())).await.unwrap();
        assert!(receipt.0.contains('2'), "a receipt quotes the receiver: {receipt:?}");
        let arrived = bench.arrived();
        assert_eq!(arrived.len(), before + 1, "{reason:?}");
        if reason == Reason::Test {
            says_only_that_it_is_a_test(&arrived[before]);
            continue;
        }
        for needed in ["Cloud controller on clc1 is down", "INC-17", "eucalyptus/clc/software", "refused"] {
            let number = needed == "INC-17" && arrived[before].contains("\"number\":17");
            assert!(number || arrived[before].contains(needed), "{reason:?} lacks {needed}:\n{}", arrived[before]);
        }
    }
}

/// Nobody may take a test for an incident: it shows what it is and names none.
fn says_only_that_it_is_a_test(text: &str) {
    assert!(text.to_lowercase().contains("test"), "{text}");
    for wrong in ["INC-17", "\"number\":17", "/i/17", "eucalyptus/clc/software"] {
        // The key is the dedup key of this bench and holds the number.
        let told = text.replace("ECC/INC-17/", "");
        assert!(!told.contains(wrong), "a test names {wrong}:\n{text}");
    }
}

async fn answers_decide_whether_to_try_again(bench: &dyn Bench) {
    for (answer, again) in [(Answer::Busy, true), (Answer::Away, true), (Answer::Refuse, false)] {
        bench.answer(answer);
        match bench.notifier().send(&message(Reason::Problem, &bench.address())).await {
            Err(SendError::Transient { .. }) => assert!(again, "{answer:?} is tried again"),
            Err(SendError::Permanent { .. }) => assert!(!again, "{answer:?} is not tried again"),
            Ok(receipt) => panic!("{answer:?} was taken for {receipt:?}"),
        }
    }
    bench.answer(Answer::Accept);
    match bench.notifier().send(&message(Reason::Problem, "not an\r\naddress")).await {
        Err(SendError::Permanent { .. }) => {}
        other => panic!("a wrong address gave {other:?}"),
    }
}

async fn the_timeout_is_obeyed(bench: &dyn Bench) {
    bench.answer(Answer::Silent);
    let message = message(Reason::Problem, &bench.address());
    let sent = tokio::time::timeout(TIMEOUT * 20, bench.notifier().send(&message)).await;
    match sent.expect("an attempt ends by itself") {
        Err(SendError::Transient { .. }) => {}
        other => panic!("silence gave {other:?}"),
    }
}

async fn long_text_is_cut_with_a_mark(bench: &dyn Bench) {
    bench.answer(Answer::Accept);
    let mut long = message(Reason::Problem, &bench.address());
    let mut incident = (*long.notification.incident).clone();
    incident.verdict.evidence[0].value = "ü".repeat(2_000_000);
    incident.users_notice = "x".repeat(1_000_000);
    long.notification.incident = Arc::new(incident);
    bench.notifier().send(&long).await.unwrap();
    let arrived = bench.arrived().pop().unwrap();
    assert!(arrived.len() < 200_000, "{} bytes arrived", arrived.len());
    assert!(arrived.contains("bytes cut]"), "the cut is marked");
}

async fn a_repeat_carries_the_same_identity(bench: &dyn Bench) {
    bench.answer(Answer::Accept);
    for _ in 0..2 {
        bench.notifier().send(&message(Reason::Problem, &bench.address())).await.unwrap();
    }
    let arrived = bench.arrived();
    let identity = |text: &str| {
        let line = text.lines().find(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("message-id:") || line.starts_with("idempotency-key:")
        });
        line.map(str::to_owned).expect("a message says who it is")
    };
    let mut last = arrived.iter().rev();
    assert_eq!(identity(last.next().unwrap()), identity(last.next().unwrap()));
}

async fn secrets_are_not_shown(bench: &dyn Bench) {
    bench.answer(Answer::Refuse);
    let error = bench.notifier().send(&message(Reason::Problem, &bench.address())).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    assert!(!error.to_string().contains(&bench.address()), "addresses of people stay out of logs: {error}");
}
