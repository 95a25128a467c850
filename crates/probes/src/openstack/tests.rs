//! The probe against a small OpenStack: logins, tokens that end, services up and down, and every way in which an API misbehaves.

use std::io::Write;

use serde_json::{Value, json};
use stentor_core::Span;
use stentor_core::model::Observation;

use super::fake::{Fake, Fault, NO_SERVER, agent, service};
use crate::testing::{build, number, plain_env, target, text, within};
use crate::{ErasedProbe, ProbeEnv, ProbeError};

/// A probe with the fake's user; the file lives as long as the test.
struct Set {
    fake: Fake,
    env: ProbeEnv,
    password: tempfile::NamedTempFile,
}

impl Set {
    async fn up() -> Set {
        let mut password = tempfile::NamedTempFile::new().expect("a file");
        password.write_all(b"secret\n").expect("written");
        Set { fake: Fake::start().await, env: plain_env(), password }
    }

    fn params(&self, more: &str) -> String {
        let (port, file) = (self.fake.port, self.password.path().display());
        format!(
            r#"{{"url":"http://127.0.0.1:{port}/v3","user":"stentor","project":"service","password_file":"{file}","share_s":0{more}}}"#
        )
    }

    fn probe(&self, more: &str) -> std::sync::Arc<dyn ErasedProbe> {
        build("openstack", &self.params(more), &self.env).expect("parameters fit")
    }

    async fn look(&self, more: &str) -> Observation {
        self.probe(more).run(&target("127.0.0.1"), within(5000)).await.expect("observed")
    }
}

const NOVA: &str = r#","service":"compute""#;

fn told(seen: &Observation) -> (String, String) {
    (text(seen, "step"), text(seen, "openstack"))
}

fn pair(step: &str, word: &str) -> (String, String) {
    (step.into(), word.into())
}

#[tokio::test]
async fn a_well_cloud_is_well_by_every_api() {
    let set = Set::up().await;
    for (service, count) in [("compute", 3.0), ("volume", 3.0), ("network", 2.0)] {
        let seen = set.look(&format!(r#","service":"{service}""#)).await;
        assert_eq!(told(&seen), pair("done", "ok"), "{service}: {seen:?}");
        assert_eq!((number(&seen, "services"), number(&seen, "services_down")), (count, 0.0), "{service}");
        assert_eq!((text(&seen, "all_down"), text(&seen, "port")), ("false".into(), "open".into()));
    }
    assert_eq!(told(&set.look(r#","service":"image""#).await), pair("done", "ok"));
    let seen = set.look("").await;
    assert_eq!((told(&seen), text(&seen, "keys")), (pair("done", "ok"), "ok".into()));
}

#[tokio::test]
async fn the_state_of_one_service_of_one_host_is_told() {
    let set = Set::up().await;
    let rows = [
        service("nova-compute", "cmp1", "up", "enabled", Value::Null),
        service("nova-compute", "cmp2.example.org", "down", "enabled", Value::Null),
        service("nova-compute", "cmp3", "up", "disabled", json!("kernel update")),
        service("nova-compute", "cmp4", "up", "disabled", json!("AUTO: Connection to libvirt lost: 1")),
        json!({"binary": "nova-compute", "host": "cmp5", "status": "UNKNOWN"}),
    ];
    set.fake.state().nova = json!({ "services": rows });
    for (node, state) in [
        ("cmp1", "up"),
        ("cmp2", "down"),
        ("cmp3", "disabled"),
        ("cmp4", "auto_disabled"),
        ("cmp5", "unknown"),
        ("cmp6", "absent"),
    ] {
        let seen = set.look(&format!(r#"{NOVA},"binary":"nova-compute","node":"{node}""#)).await;
        assert_eq!(text(&seen, "state"), state, "{seen:?}");
        assert_eq!(text(&seen, "all_down"), "false");
        assert_eq!(text(&seen, "down"), "[nova-compute@cmp2.example.org]");
    }
    let seen = set.look(&format!(r#"{NOVA},"binary":"nova-compute","node":"cmp3""#)).await;
    assert_eq!(text(&seen, "reason"), "kernel update");
    assert!(seen.text.contains("cmp3 is disabled (kernel update)"), "{}", seen.text);
}

#[tokio::test]
async fn agents_and_backends_are_told_like_services() {
    let set = Set::up().await;
    set.fake.state().agents = json!({"agents": [agent("neutron-l3-agent", "ctl1", false, true), agent("neutron-dhcp-agent", "ctl1", true, false)]});
    for (binary, state) in [("neutron-l3-agent", "down"), ("neutron-dhcp-agent", "disabled")] {
        let seen = set.look(&format!(r#","service":"network","binary":"{binary}","node":"ctl1""#)).await;
        assert_eq!(text(&seen, "state"), state);
    }
    set.fake.state().cinder["services"][2]["state"] = json!("down");
    let seen = set.look(r#","service":"volume","binary":"cinder-volume","node":"ctl1""#).await;
    assert_eq!((text(&seen, "state"), text(&seen, "backends_down")), ("down".into(), "[ctl1@lvm]".into()));
}

#[tokio::test]
async fn all_services_down_at_once_are_told_from_one() {
    let set = Set::up().await;
    let down = |host: &str| service("nova-compute", host, "down", "enabled", Value::Null);
    set.fake.state().nova = json!({"services": [down("cmp1"), down("cmp2"), service("nova-compute", "cmp3", "up", "disabled", Value::Null)]});
    assert_eq!(text(&set.look(NOVA).await, "all_down"), "true");
    set.fake.state().nova = json!({"services": [down("cmp1")]});
    assert_eq!(text(&set.look(NOVA).await, "all_down"), "false", "one service alone is no sign of the bus");
}

#[tokio::test]
async fn one_login_serves_all_checks_until_its_token_ends() {
    let set = Set::up().await;
    let probes = [set.probe(NOVA), set.probe(r#","service":"network""#), set.probe(r#","service":"volume""#)];
    for probe in &probes {
        probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    }
    assert_eq!(set.fake.state().logins, 1);
    // The token ends at 03:00, the clock stands at 02:00: renewed a minute ahead.
    set.env.clock.advance(Span::from_secs(3541));
    set.fake.state().expires_at = "2026-11-21T04:00:00.000000Z".into();
    for probe in &probes {
        probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    }
    assert_eq!(set.fake.state().logins, 2);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_renewed_without_a_word() {
    let set = Set::up().await;
    let probe = set.probe(NOVA);
    probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    set.fake.state().tokens.clear();
    let seen = probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    assert_eq!((told(&seen), set.fake.state().logins), (pair("done", "ok"), 2));
}

#[tokio::test]
async fn one_list_serves_all_that_ask_within_a_moment() {
    let set = Set::up().await;
    let params = |node: &str| {
        set.params(&format!(r#"{NOVA},"binary":"nova-compute","node":"{node}""#))
            .replace(r#""share_s":0"#, r#""share_s":60"#)
    };
    let probes: Vec<_> =
        (0..20).map(|i| build("openstack", &params(&format!("cmp{i}")), &set.env).expect("fits")).collect();
    let target = target("127.0.0.1");
    let asked = probes.iter().map(|probe| probe.run(&target, within(5000)));
    let seen = futures_util::future::join_all(asked).await;
    assert!(seen.iter().all(|seen| seen.as_ref().is_ok_and(|seen| text(seen, "openstack") == "ok")));
    let state = set.fake.state();
    assert_eq!((state.logins, state.asked["/compute/v2.1/os-services"]), (1, 1));
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_and_nothing_of_the_cloud() {
    let set = Set::up().await;
    set.fake.state().password = "another".into();
    let seen = set.look(&format!(r#"{NOVA},"binary":"nova-compute""#)).await;
    assert_eq!(told(&seen), pair("login", "denied"), "{seen:?}");
    assert!(text(&seen, "state").is_empty());
    assert!(seen.text.contains("requires authentication"), "{}", seen.text);
}

#[tokio::test]
async fn every_bad_answer_is_told_by_its_word() {
    let cut = Fault::CutJson;
    let down = Fault::Status(
        "500 Internal Server Error",
        r#"{"computeFault": {"message": "Unexpected API Error", "code": 500}}"#,
    );
    for (of, fault, step, word, http) in [
        ("keystone", NO_SERVER, "login", "failing", "503"),
        ("keystone", cut.clone(), "login", "invalid", "201"),
        ("keystone", Fault::Half, "login", "invalid", "invalid"),
        ("keystone", Fault::Hang, "login", "timeout", "timeout"),
        ("keystone", Fault::Status("300 Multiple Choices", "{}"), "login", "error", "300"),
        ("keystone", Fault::Status("200 OK", "<html>It works!</html>"), "login", "invalid", "200"),
        ("keystone", Fault::Status("200 OK", "{}"), "login", "invalid", "200"),
        ("nova", NO_SERVER, "ask", "failing", "503"),
        ("nova", down, "ask", "failing", "500"),
        ("nova", cut, "ask", "invalid", "200"),
        ("nova", Fault::Half, "ask", "invalid", "invalid"),
        ("nova", Fault::Hang, "ask", "timeout", "timeout"),
        ("nova", Fault::Status("200 OK", r#"{"services":[{"binary":"nova-compute"}]}"#), "ask", "invalid", "200"),
    ] {
        let set = Set::up().await;
        set.fake.state().faults.insert(of, fault.clone());
        let patience = if fault == Fault::Hang { 700 } else { 5000 };
        let probe = set.probe(&format!(r#"{NOVA},"binary":"nova-compute","node":"cmp1""#));
        let seen = probe.run(&target("127.0.0.1"), within(patience)).await.expect("observed");
        assert_eq!((told(&seen), text(&seen, "http")), (pair(step, word), http.to_owned()), "{of} {fault:?}: {seen:?}");
        assert!(text(&seen, "state").is_empty(), "{of} {fault:?} tells nothing of the host");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_fresh_and_a_missing_role_are_told_apart() {
    let set = Set::up().await;
    set.fake
        .state()
        .faults
        .insert("nova", Fault::Status("401 Unauthorized", r#"{"error":{"code":401,"message":"no"}}"#));
    let seen = set.look(NOVA).await;
    assert_eq!((told(&seen), text(&seen, "token_refused")), (pair("ask", "denied"), "true".into()));
    assert_eq!(set.fake.state().logins, 2, "asked again with a new token, and once only");
    set.fake.state().faults.clear();
    set.fake.state().forbids = true;
    let seen = set.look(NOVA).await;
    assert_eq!((told(&seen), text(&seen, "token_refused")), (pair("ask", "forbidden"), "false".into()));
}

#[tokio::test]
async fn what_the_catalogue_does_not_name_is_not_asked() {
    let set = Set::up().await;
    set.fake.state().catalog.retain(|kind| *kind != "compute");
    assert_eq!(told(&set.look(NOVA).await), pair("catalog", "no_endpoint"));
    let seen = set.look(r#","service":"network","region":"RegionTwo""#).await;
    assert_eq!(told(&seen), pair("catalog", "no_endpoint"));
    assert!(seen.text.contains("RegionTwo"), "{}", seen.text);
    // The internal address is one that does not answer.
    let probe = set.probe(r#","service":"network","interface":"internal""#);
    let seen = probe.run(&target("127.0.0.1"), within(700)).await;
    assert!(seen.is_ok_and(|seen| ["timeout", "refused", "unreachable"].contains(&text(&seen, "openstack").as_str())));
}

#[tokio::test]
async fn ones_own_node_is_asked_and_must_know_the_keys_of_its_peers() {
    let set = Set::up().await;
    // Another check of the cloud has a token that some node gave.
    let other = set.probe(NOVA);
    other.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    let keystone = r#","own":true,"own_tls":false"#;
    let seen = set.look(keystone).await;
    assert_eq!(text(&seen, "keys"), "ok", "{seen:?}");
    // This node has lost the keys by which that token was made, and makes its own by others.
    set.fake.state().tokens.clear();
    let seen = set.look(keystone).await;
    assert_eq!((told(&seen), text(&seen, "keys")), (pair("done", "ok"), "refused".into()), "{seen:?}");
}

#[tokio::test]
async fn an_application_credential_logs_in_too() {
    let set = Set::up().await;
    let file = set.password.path().display();
    let params = format!(
        r#"{{"url":"http://127.0.0.1:{}/v3","application_credential_id":"423f","secret_file":"{file}","service":"image"}}"#,
        set.fake.port
    );
    let probe = build("openstack", &params, &set.env).expect("fits");
    let seen = probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    assert_eq!(told(&seen), pair("done", "ok"));
}

#[tokio::test]
async fn nobody_listening_is_refused_and_a_missing_file_is_our_own_trouble() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    drop(listener);
    let params =
        format!(r#"{{"url":"http://127.0.0.1:{port}/v3","user":"u","project":"p","password_file":"/dev/null"}}"#);
    let probe = build("openstack", &params, &plain_env()).expect("fits");
    let seen = probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
    assert_eq!((text(&seen, "port"), told(&seen)), ("refused".into(), pair("login", "refused")));
    let probe = build("openstack", &params.replace("/dev/null", "/nonexistent"), &plain_env()).expect("fits");
    let seen = probe.run(&target("127.0.0.1"), within(5000)).await;
    assert!(matches!(seen, Err(ProbeError::Failed(_))), "{seen:?}");
}

#[test]
fn impossible_parameters_are_refused() {
    for params in [
        r#"{"url":"ctl:5000","user":"u","project":"p","password_file":"/f"}"#,
        r#"{"url":"https://ctl:5000/v3"}"#,
        r#"{"url":"https://ctl:5000/v3","user":"u","project":"p"}"#,
        r#"{"url":"https://ctl:5000/v3","user":"u","password_file":"/f"}"#,
        r#"{"url":"https://ctl:5000/v3","user":"u","project":"p","application_credential_id":"x","secret_file":"/f"}"#,
        r#"{"url":"https://ctl:5000/v3","user":"u","project":"p","password_file":"/f","insecure":true,"binary":"nova-compute"}"#,
        r#"{"url":"https://ctl:5000/v3","user":"u","project":"p","password_file":"/f","service":"moon"}"#,
        r#"{"url":"https://ctl:5000/v3","user":"u","project":"p","password_file":"/f","passwd":"x"}"#,
    ] {
        assert!(build("openstack", params, &plain_env()).is_err(), "{params}");
    }
}
