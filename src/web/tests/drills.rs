//! Drills over HTTP: who may record one, what is refused, what comes again, and what the page shows.

use axum::http::StatusCode;
use stentor_core::Span;
use stentor_core::engine::Command;

use super::world::{NOW, World, request};
use crate::web::auth::Role;

const PATH: &str = "/api/v1/drills";
const MOVE: &str = "rb-euca-move";

#[tokio::test]
async fn a_drill_is_recorded_by_an_operator_and_told_to_the_engine() {
    let world = World::new();
    let viewer = world.bearer(Role::Viewer).await;
    let body = format!(r#"{{"runbook":"{MOVE}","rto_s":720,"rpo_s":0,"by":"anna","note":"<b>tape</b>"}}"#);
    assert_eq!(world.post(&viewer, PATH, &body).await.status, StatusCode::FORBIDDEN);
    assert!(!world.state.drills.path().exists(), "nothing refused is written");
    let operator = world.bearer(Role::Operator).await;
    let kept = world.post(&operator, PATH, &body).await;
    assert_eq!(kept.status, StatusCode::CREATED, "{}", kept.text);
    let item = kept.json();
    assert_eq!((&item["of"], &item["standing"], &item["overdue"]), (&MOVE.into(), &"free".into(), &false.into()));
    assert_eq!((&item["last"]["by"], &item["last"]["figures"]), (&"anna".into(), &"RTO 12 min, RPO 0".into()));
    let Command::RecordDrill { of, by, text } = world.seen.lock().unwrap().commands.remove(0) else { panic!() };
    assert_eq!((&*of, &*by), (MOVE, "its-operator"));
    assert!(text.contains("by anna, RTO 12 min, RPO 0: <b>tape"), "{text}");

    let listed = world.get(&viewer, PATH).await.json();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["of"]), (1, &MOVE.into()));
    let all = world.get(&viewer, "/api/v1/drills?all=true").await.json();
    assert!(all["items"].as_array().unwrap().len() > 1, "cells that were never drilled too");
}

#[tokio::test]
async fn what_no_pack_has_what_is_to_come_and_what_is_unclear_is_refused() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let later = (NOW + Span::from_hours(1)).to_rfc3339();
    for (body, status) in [
        (r#"{"runbook":"rb-nothing"}"#.to_owned(), StatusCode::NOT_FOUND),
        (r#"{"cell":"a/b/server","runbook":"rb-euca-move"}"#.to_owned(), StatusCode::BAD_REQUEST),
        ("{}".to_owned(), StatusCode::BAD_REQUEST),
        (format!(r#"{{"runbook":"{MOVE}","at":"{later}"}}"#), StatusCode::BAD_REQUEST),
        (format!(r#"{{"runbook":"{MOVE}","at":"yesterday"}}"#), StatusCode::BAD_REQUEST),
        (format!(r#"{{"runbook":"{MOVE}","by":" "}}"#), StatusCode::BAD_REQUEST),
        (format!(r#"{{"runbook":"{MOVE}","rto":"2h"}}"#), StatusCode::BAD_REQUEST),
    ] {
        let answer = world.post(&bearer, PATH, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    assert!(!world.state.drills.path().exists());
}

#[tokio::test]
async fn the_same_request_twice_is_one_record() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "abc")];
    let body = format!(r#"{{"runbook":"{MOVE}"}}"#);
    for _ in 0..2 {
        let answer = world.send(request("POST", PATH, &headers, &body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        // The time of the second is another.
        world.clock.advance(Span::from_secs(60));
    }
    assert_eq!(world.state.drills.read().expect("read").drills.len(), 1);
    let (cookie, _) = world.browser(Role::Viewer).await;
    let page = world.send(request("GET", "/c/all/drills", &[("cookie", &cookie)], "")).await;
    assert!(page.status.is_success() && page.text.contains(MOVE), "{}", page.text);
}

#[tokio::test]
async fn the_form_needs_its_token_and_a_file_that_cannot_be_read_is_said() {
    let world = World::new();
    let (cookie, csrf) = world.browser(Role::Operator).await;
    let form = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let body = format!("of={MOVE}&passed=no&rto=2h&rpo=0&at=&note=%3Cb%3E&back=%2Fc%2Fall%2Fdrills");
    let refused = world.send(request("POST", "/drills", &form, &body)).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    let done = world.send(request("POST", "/drills", &form, &format!("{body}&csrf={csrf}"))).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(done.headers["location"], "/c/all/drills?done=drill");
    let page = world.send(request("GET", "/c/all/drills?done=drill", &form[..1], "")).await.text;
    for wanted in ["The drill is recorded.", "last one failed", "not restored, ann: &#60;b&#62;", "2 h"] {
        assert!(page.contains(wanted), "{wanted} is not in {page}");
    }
    let bad = world.send(request("POST", "/drills", &form, &format!("of={MOVE}&rto=soon&csrf={csrf}"))).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);

    std::fs::remove_file(world.state.drills.path()).expect("there");
    std::fs::create_dir(world.state.drills.path()).expect("a folder in its place");
    let page = world.send(request("GET", "/c/all/drills", &form[..1], "")).await;
    assert!(page.status.is_success() && page.text.contains("What was drilled is not known"), "{}", page.text);
    let bearer = world.bearer(Role::Operator).await;
    assert_eq!(world.get(&bearer, PATH).await.status, StatusCode::SERVICE_UNAVAILABLE);
    std::fs::remove_dir(world.state.drills.path()).expect("mine");
}
