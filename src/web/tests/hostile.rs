//! Input that nobody sends by mistake.

use axum::http::StatusCode;

use super::world::{World, request};
use crate::web::auth::Role;

#[tokio::test]
async fn broken_json_is_a_problem_with_its_place() {
    let world = World::new();
    let bearer = world.bearer(Role::Admin).await;
    for (path, body) in [
        ("/api/v1/incidents/17/ack", "{"),
        ("/api/v1/incidents/17/ack", "[]"),
        ("/api/v1/incidents/17/ack", "{\"comment\":7}"),
        ("/api/v1/results", "{}"),
        ("/api/v1/results", "[{\"host\":\"a\",\"code\":1e99}]"),
        ("/api/v1/results", &"[".repeat(100_000)),
        ("/api/v1/agent/results", "{\"agent\":\"clc1\"}"),
        ("/api/v1/downtimes", "\u{0}"),
    ] {
        let answer = world.post(&bearer, path, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.json()["detail"].as_str().unwrap().contains("JSON"), "{}", answer.text);
    }
    assert!(world.seen.lock().unwrap().commands.is_empty());
}

#[tokio::test]
async fn huge_bodies_are_refused() {
    let world = World::new();
    let bearer = world.bearer(Role::Admin).await;
    let big = format!("{{\"comment\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(world.post(&bearer, "/api/v1/incidents/17/ack", &big).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let huge = "x".repeat(9 * 1024 * 1024);
    assert_eq!(world.post(&bearer, "/api/v1/commands", &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let form = [("content-type", "application/x-www-form-urlencoded"), ("cookie", "a=b")];
    let sent = request("POST", "/login", &form, &"x".repeat(300_000));
    assert_eq!(world.send(sent).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long_comment = format!("{{\"comment\":\"{}\"}}", "x".repeat(5000));
    assert_eq!(world.post(&bearer, "/api/v1/incidents/17/ack", &long_comment).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn odd_paths_and_queries_are_answered() {
    let world = World::new();
    let bearer = world.bearer(Role::Admin).await;
    for (path, expected) in [
        ("/api/v1/hosts/%FF%FE", StatusCode::BAD_REQUEST),
        ("/api/v1/hosts/..%2F..%2Fetc%2Fpasswd", StatusCode::NOT_FOUND),
        ("/api/v1/hosts/%00", StatusCode::NOT_FOUND),
        ("/api/v1/hosts/%3Cscript%3E", StatusCode::NOT_FOUND),
        ("/api/v1/incidents/-1", StatusCode::BAD_REQUEST),
        ("/api/v1/incidents/99999999999999999999", StatusCode::BAD_REQUEST),
        ("/api/v1/hosts?limit=-1", StatusCode::BAD_REQUEST),
        ("/api/v1/hosts?limit=99999999", StatusCode::OK),
        ("/api/v1/hosts?limit=0", StatusCode::OK),
        ("/api/v1/history?incident=x", StatusCode::BAD_REQUEST),
        ("/api/v1/agent/checks", StatusCode::BAD_REQUEST),
        ("/api/v1/agent/checks?host=none", StatusCode::NOT_FOUND),
        ("/api/v1/nothing", StatusCode::NOT_FOUND),
        ("/api/", StatusCode::NOT_FOUND),
    ] {
        let answer = world.get(&bearer, path).await;
        assert_eq!(answer.status, expected, "{path} {}", answer.text);
        if expected.is_client_error() && path != "/api/" {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        }
    }
}

#[tokio::test]
async fn requests_carry_an_id_and_a_forged_one_is_replaced() {
    let world = World::new();
    let kept = world.send(request("GET", "/healthz", &[("x-request-id", "trace-7")], "")).await;
    assert_eq!(kept.header("x-request-id"), "trace-7");
    for forged in ["a b", "x=\"1\"", &"x".repeat(100)] {
        let answer = world.send(request("GET", "/healthz", &[("x-request-id", forged)], "")).await;
        assert!(answer.header("x-request-id").starts_with('r'), "{forged:?}");
    }
    assert_eq!(kept.header("x-content-type-options"), "nosniff");
    assert_eq!(kept.header("x-frame-options"), "DENY");
}
