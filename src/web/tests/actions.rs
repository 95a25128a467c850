//! Changing: acknowledgements, notes, downtimes, checks, external commands, passive results, agents.

use axum::http::StatusCode;
use serde_json::json;
use stentor_core::Span;
use stentor_core::engine::Command;
use stentor_core::engine::input::Notify;
use stentor_core::engine::input::Spread;
use stentor_core::model::{Covers, DowntimeKind, Observation, Sticky};

use super::world::{NOW, ODD_HOST, ODD_SERVICE, World, request};
use crate::web::auth::Role;
use crate::web::links::encode;

#[tokio::test]
async fn an_incident_is_acknowledged_noted_and_given_back() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let until = (NOW + Span::from_hours(2)).to_rfc3339();
    let body = json!({"comment": "on it", "until": until, "sticky": true, "notify": true}).to_string();
    let answer = world.post(&bearer, "/api/v1/incidents/17/ack", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let ack = &answer.json()["ack"];
    assert_eq!((&ack["by"], &ack["comment"], &ack["until"]), (&"its-operator".into(), &"on it".into(), &until.into()));
    let Command::AckIncident { ack, notify, .. } = world.seen.lock().unwrap().commands.remove(0) else { panic!() };
    assert_eq!((ack.sticky, notify), (Sticky::Yes, Notify::Yes));

    let noted = world.post(&bearer, "/api/v1/incidents/17/notes", r#"{"text":"called the vendor"}"#).await.json();
    assert_eq!(noted["timeline"][1]["text"], "called the vendor");
    let back = world.delete(&bearer, "/api/v1/incidents/17/ack").await;
    assert_eq!((back.status, &back.json()["ack"]), (StatusCode::OK, &serde_json::Value::Null));

    assert_eq!(world.post(&bearer, "/api/v1/incidents/99/ack", "{}").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post(&bearer, "/api/v1/incidents/16/ack", "{}").await.status, StatusCode::CONFLICT);
    assert_eq!(
        world.post(&bearer, "/api/v1/incidents/17/notes", r#"{"text":" "}"#).await.status,
        StatusCode::BAD_REQUEST
    );
    let passed = world.post(&bearer, "/api/v1/incidents/17/ack", r#"{"until":"2020-01-01T00:00:00Z"}"#).await;
    assert_eq!(passed.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_same_idempotency_key_does_a_thing_once() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "abc")];
    let body = r#"{"host":"clc1","duration":600,"comment":"once"}"#;
    let first = world.send(request("POST", "/api/v1/downtimes", &headers, body)).await;
    let second = world.send(request("POST", "/api/v1/downtimes", &headers, body)).await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(world.seen.lock().unwrap().commands.len(), 1);
    let long = "k".repeat(300);
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", long.as_str())];
    let refused = world.send(request("POST", "/api/v1/downtimes", &headers, body)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn hosts_and_services_are_acknowledged_and_checked() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let port = "/api/v1/hosts/clc1/services/clc%20port";
    let acked = world.post(&bearer, &format!("{port}/ack"), r#"{"comment":"mine"}"#).await.json();
    assert_eq!((&acked["acknowledged"], &acked["ack"]["comment"]), (&true.into(), &"mine".into()));
    let back = world.delete(&bearer, &format!("{port}/ack")).await.json();
    assert_eq!(back["acknowledged"], false);
    let odd = format!("/api/v1/hosts/{}", encode(ODD_HOST));
    assert_eq!(world.post(&bearer, &format!("{odd}/ack"), "").await.json()["acknowledged"], true);
    assert_eq!(world.delete(&bearer, &format!("{odd}/ack")).await.json()["acknowledged"], false);
    assert_eq!(world.post(&bearer, "/api/v1/hosts/clc1/ack", "{}").await.status, StatusCode::CONFLICT, "it is UP");
    let checked = world.post(&bearer, &format!("{odd}/check"), "").await;
    assert_eq!((checked.status, &checked.json()["host"]), (StatusCode::ACCEPTED, &ODD_HOST.into()));
    let checked = world.post(&bearer, &format!("{port}/check"), "").await;
    assert_eq!((checked.status, &checked.json()["service"]), (StatusCode::ACCEPTED, &"clc port".into()));
    assert_eq!(world.post(&bearer, "/api/v1/hosts/none/check", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn downtimes_are_planned_listed_and_cancelled() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let end = (NOW + Span::from_hours(1)).to_rfc3339();
    let body = json!({"host": ODD_HOST, "service": ODD_SERVICE, "end": end, "comment": "swap"}).to_string();
    let made = world.post(&bearer, "/api/v1/downtimes", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.header("location"), "/api/v1/downtimes/2");
    assert_eq!(made.json()["target"]["service"], ODD_SERVICE);
    assert_eq!(made.json()["duration"], 3600);
    assert_eq!(world.delete(&bearer, "/api/v1/downtimes/2").await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.delete(&bearer, "/api/v1/downtimes/2").await.status, StatusCode::NOT_FOUND);
    for (body, words) in [
        (json!({"host": "clc1"}), "either `end` or `duration`"),
        (json!({"host": "clc1", "end": end, "duration": 5}), "either `end` or `duration`"),
        (json!({"host": "clc1", "duration": 0}), "above 0"),
        (json!({"host": "clc1", "duration": 99999999999i64}), "366 days"),
        (json!({"host": "clc1", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}), "future"),
        (json!({"host": "clc1", "start": "yesterday", "duration": 5}), "start"),
        (json!({"host": "clc1", "duration": 5, "fixed": false}), "flexible"),
        (json!({"host": "clc1", "end": end, "fixed": false}), "flexible"),
        (json!({"host": "clc1", "end": end, "duration": 0, "fixed": false}), "above 0"),
        (json!({"host": "clc1", "duration": 5, "triggered_by": 99}), "downtime 99"),
        (json!({"duration": 5}), "either `host`"),
        (json!({"host": "clc1", "q": "x", "duration": 5}), "either `host`"),
        (json!({"q": " ", "duration": 5}), "either `host`"),
        (json!({"q": "nothing-like-it", "duration": 5}), "`q` selects"),
        (json!({"host": "none", "duration": 5}), "no host `none`"),
        (json!({"host": "clc1", "duration": 5, "colour": "red"}), "colour"),
        (json!({"host": "clc1", "service": "disk /", "duration": 5, "children": "same"}), "of a host"),
        (json!({"host": "clc1", "service": "disk /", "duration": 5, "services_only": true}), "of a host"),
        (json!({"host": "clc1", "duration": 5, "services_only": true, "children": "same"}), "give either"),
        (json!({"q": "host:clc1", "duration": 5, "children": "triggered"}), "need a `host`"),
        (json!({"host": "clc1", "duration": 5, "children": "some"}), "one of `none`"),
    ] {
        let answer = world.post(&bearer, "/api/v1/downtimes", &body.to_string()).await;
        assert!(answer.status.is_client_error() && answer.text.contains(words), "{body}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_filter_plans_a_downtime_for_all_it_selects() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let made = world.post(&bearer, "/api/v1/downtimes", r#"{"q":"host:clc1","duration":60}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let Command::ScheduleDowntime(wanted) = world.seen.lock().unwrap().commands.remove(0) else { panic!() };
    assert_eq!((&*wanted.target.host, wanted.covers), ("clc1", Covers::HostAndServices));
    assert_eq!(made.json()["items"].as_array().unwrap().len(), 1, "its services are covered by the host's window");
    let made = world.post(&bearer, "/api/v1/downtimes", r#"{"q":"service:\"disk /\"","duration":60}"#).await;
    assert_eq!(made.json()["items"][0]["target"], json!({"host": "clc1", "service": "disk /"}), "{}", made.text);
}

fn planned(world: &World) -> Vec<stentor_core::engine::input::DowntimeRequest> {
    let commands = std::mem::take(&mut world.seen.lock().unwrap().commands);
    let windows = commands.into_iter().map(|command| match command {
        Command::ScheduleDowntime(wanted) => wanted,
        other => panic!("{other:?}"),
    });
    windows.collect()
}

#[tokio::test]
async fn a_downtime_reaches_the_hosts_behind_a_host_or_only_its_services() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let made = world
        .post(&bearer, "/api/v1/downtimes", r#"{"host":"clc1","duration":60,"children":"triggered","services":false}"#)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let [window] = &*planned(&world) else { panic!("the engine plans the others") };
    assert_eq!((window.spread, window.covers), (Spread::TriggeredDescendants, Covers::ObjectOnly));
    world.post(&bearer, "/api/v1/downtimes", r#"{"host":"clc1","duration":60,"children":"same"}"#).await;
    assert_eq!(planned(&world)[0].spread, Spread::Descendants);
    let made = world.post(&bearer, "/api/v1/downtimes", r#"{"host":"clc1","duration":60,"services_only":true}"#).await;
    let windows = planned(&world);
    assert_eq!(made.json()["items"].as_array().map(Vec::len), Some(windows.len()), "{}", made.text);
    let mut services: Vec<_> = windows.iter().map(|window| window.target.service.as_deref()).collect();
    services.sort();
    assert_eq!(services, [Some("clc port"), Some("disk /")]);
}

#[tokio::test]
async fn the_form_plans_flexible_triggered_and_spread_downtimes() {
    let world = World::new();
    let (cookie, csrf) = world.browser(Role::Operator).await;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie.as_str())];
    let day = |hours: i64| (NOW + Span::from_hours(hours)).to_rfc3339().chars().take(16).collect::<String>();
    let form = |more: &str| {
        format!("csrf={csrf}&host=clc1&start={}&end={}&comment=swap&{more}", encode(&day(1)), encode(&day(3)))
    };
    let sent = |more: &str| world.send(request("POST", "/downtimes", &headers, &form(more)));
    assert_eq!(sent("services=yes&duration=30m&with=1&children=").await.status, StatusCode::SEE_OTHER);
    let [window] = &*planned(&world) else { panic!("one window") };
    let flexible = DowntimeKind::Flexible { duration: Span::from_mins(30) };
    assert_eq!((window.kind, window.triggered_by, window.covers), (flexible, Some(1), Covers::HostAndServices));
    sent("services=no&children=same").await;
    let [window] = &*planned(&world) else { panic!("one window") };
    assert_eq!(
        (window.spread, window.kind, window.covers),
        (Spread::Descendants, DowntimeKind::Fixed, Covers::ObjectOnly)
    );
    sent("services=only").await;
    let windows = planned(&world);
    assert!(windows.len() == 2 && windows.iter().all(|window| window.target.service.is_some()), "{windows:?}");
    for (more, words) in [
        ("duration=soon", "soon"),
        ("duration=0s", "at least a moment"),
        ("with=77", "no such downtime"),
        ("services=only&children=same", "of a host itself"),
        ("service=disk%20%2F&children=triggered", "of a host itself"),
    ] {
        let refused = sent(more).await;
        assert!(refused.status == StatusCode::BAD_REQUEST && refused.text.contains(words), "{more}: {}", refused.text);
    }
    assert_eq!(planned(&world), [], "a refused form plans nothing");
}

#[tokio::test]
async fn external_commands_are_done_or_named_with_their_line() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let now = NOW.as_secs();
    let lines = format!(
        "[{now}] ACKNOWLEDGE_SVC_PROBLEM;clc1;clc port;2;1;0;bob;on it; really\n\
         ACKNOWLEDGE_HOST_PROBLEM;clc1;1;1;0;bob;is up\n\
         \n\
         REMOVE_SVC_ACKNOWLEDGEMENT;clc1;clc port\n\
         SCHEDULE_HOST_SVC_DOWNTIME;clc1;{now};{};1;0;0;bob;both\n\
         DEL_HOST_DOWNTIME;1\n\
         DEL_SVC_DOWNTIME;1\n\
         SHUTDOWN_PROGRAM\n\
         PROCESS_SERVICE_CHECK_RESULT;192.0.2.1;disk /;1;DISK | a=1\\nlong\n\
         PROCESS_HOST_CHECK_RESULT;none;0;x\n\
         SCHEDULE_FORCED_SVC_CHECK;clc1;clc port;{now}\n\
         SCHEDULE_HOST_DOWNTIME;clc1;1;2;1;0;0;bob;past\n\
         SCHEDULE_SVC_DOWNTIME;clc1;disk /;{now};{};0;0;60;bob;flexible\n",
        now + 600,
        now + 600
    );
    let answer = world.post(&bearer, "/api/v1/commands", &lines).await.json();
    let rejected: Vec<u64> =
        answer["rejected"].as_array().unwrap().iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!((&answer["accepted"], rejected), (&7.into(), vec![2, 6, 8, 10, 12]), "{answer}");
    let seen = world.seen.lock().unwrap();
    let Command::AckObject { ack, .. } = &seen.commands[0] else { panic!() };
    assert_eq!((&*ack.by, &*ack.comment), ("bob (via its-operator)", "on it; really"));
    let windows = seen.commands.iter().filter_map(|command| match command {
        Command::ScheduleDowntime(wanted) => Some(wanted.kind),
        _ => None,
    });
    let flexible = DowntimeKind::Flexible { duration: Span::from_secs(60) };
    let expect = [DowntimeKind::Fixed, DowntimeKind::Fixed, flexible];
    assert_eq!(windows.collect::<Vec<_>>(), expect, "one for each service, and the flexible one");
    let result = &seen.results[0];
    assert_eq!((&*result.object.host, &*result.observation.long_text), ("clc1", "long"), "found by address");
}

#[tokio::test]
async fn passive_results_are_taken_and_a_repeated_id_is_harmless() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let seen_at = (NOW - Span::from_secs(30)).to_rfc3339();
    let body = json!([
        {"host": ODD_HOST, "service": ODD_SERVICE, "code": 1, "output": "WARN | 'a b'=3%", "observed_at": seen_at, "id": "x1"},
        {"host": ODD_HOST, "service": ODD_SERVICE, "code": 2, "output": "again", "id": "x1"},
        {"host": "clc1", "code": 1, "output": "gone"},
        {"host": "clc1", "code": 3, "output": "no such host state"},
        {"host": "nowhere", "service": "x", "code": 0},
        {"host": "clc1", "service": "disk /", "code": 0, "observed_at": "2099-01-01T00:00:00Z"}
    ]);
    let answer = world.post(&bearer, "/api/v1/results", &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let rejected: Vec<u64> =
        answer["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!((&answer["accepted"], rejected), (&3.into(), vec![3, 4, 5]), "{answer}");
    let path = format!("/api/v1/hosts/{}/services/{}", encode(ODD_HOST), encode(ODD_SERVICE));
    let service = world.get(&bearer, &path).await.json();
    assert_eq!((&service["state"], &service["output"]), (&"WARNING".into(), &"WARN".into()));
    assert_eq!(
        service["perfdata"][0],
        json!({"label": "a b", "value": 3.0, "unit": "%", "warn": "", "crit": "", "min": null, "max": null})
    );
    assert_eq!(service["last_check"], seen_at);
}

#[tokio::test]
async fn an_agent_gets_its_checks_and_pushes_their_results() {
    let world = World::new();
    let agent = world.agent("clc1").await;
    let checks = world.get(&agent, "/api/v1/agent/checks?host=clc1").await.json();
    assert_eq!(
        checks["items"],
        json!([{"service": "disk /", "probe": "disk", "params": {"keep": 1, "port": 1}, "every_ms": 60000, "timeout_ms": 5000}])
    );
    let observation = serde_json::to_value(Observation::observed("seen").fact("used_pct", 91.5)).unwrap();
    let push = |sequence: u64, host: &str, at: serde_json::Value| {
        json!({"agent": "clc1", "boot": "b1", "sequence": sequence,
            "results": [{"host": host, "service": "disk /", "observed_at": at, "observation": observation},
                {"host": host, "service": "gone", "observed_at": at, "observation": observation}]})
        .to_string()
    };
    let first = world.post(&agent, "/api/v1/agent/results", &push(1, "clc1", NOW.as_millis().into())).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(
        first.json(),
        json!({"accepted": 1, "repeated": false, "unknown": [{"host": "clc1", "service": "gone"}], "orders": [], "stop": []})
    );
    let again = world.post(&agent, "/api/v1/agent/results", &push(1, "clc1", NOW.to_rfc3339().into())).await;
    assert_eq!(again.json()["repeated"], true);
    let foreign = world.post(&agent, "/api/v1/agent/results", &push(2, ODD_HOST, NOW.as_millis().into())).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert_eq!(world.seen.lock().unwrap().batches.len(), 2);
}

#[tokio::test]
async fn an_order_goes_to_the_hosts_own_agent_and_nobody_else_tells_of_it() {
    let world = World::new();
    let own = world.agent("clc1").await;
    let strangers = [world.agent("*").await, world.agent(ODD_HOST).await, world.bearer(Role::Admin).await];
    let mut waits = Box::pin(world.order("clc1"));
    assert!(futures_util::poll!(&mut waits).is_pending());
    let push = |sequence: u64| {
        let commands = json!({"start": "s", "allow": [["sync"]]});
        json!({"agent": "clc1", "boot": "b", "sequence": sequence, "commands": commands, "results": []}).to_string()
    };
    let mut sequence = 0;
    for (who, orders) in [(&strangers[0], 0), (&strangers[2], 0), (&own, 1)] {
        sequence += 1;
        let answer = world.post(who, "/api/v1/agent/results", &push(sequence)).await.json();
        assert_eq!(answer["orders"].as_array().map(Vec::len), Some(orders), "{answer}");
    }
    let again = world.post(&own, "/api/v1/agent/results", &push(sequence)).await.json();
    assert_eq!(&again["orders"][0]["argv"], &json!(["sync"]));
    let path = format!("/api/v1/agent/orders/{}", again["orders"][0]["id"].as_str().unwrap());
    let told = |state: &str| json!({"agent": "clc1", "start": "s", "state": state, "output": "exited 0"}).to_string();
    for stranger in &strangers {
        for state in ["begun", "refused", "done"] {
            assert_eq!(world.post(stranger, &path, &told(state)).await.status, StatusCode::FORBIDDEN);
        }
    }
    for (state, status) in [
        ("done", StatusCode::CONFLICT),
        ("nonsense", StatusCode::BAD_REQUEST),
        ("begun", StatusCode::NO_CONTENT),
        ("begun", StatusCode::NO_CONTENT),
        ("refused", StatusCode::CONFLICT),
        ("done", StatusCode::NO_CONTENT),
        ("done", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(world.post(&own, &path, &told(state)).await.status, status, "{state}");
    }
    assert_eq!(waits.await, crate::runbook::Ended { well: true, output: "exited 0".into() });
}
