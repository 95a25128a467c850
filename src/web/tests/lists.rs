//! Reading: every list and every object, paging, filters, health and metrics.

use axum::http::StatusCode;
use stentor_core::engine::{Event, EventKind};

use super::world::{NOW, ODD_HOST, ODD_SERVICE, World, from_peer, request};
use crate::store::Store;
use crate::web::auth::Role;
use crate::web::links::encode;

#[tokio::test]
async fn an_incident_tells_everything_that_is_known() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    let incident = world.get(&bearer, "/api/v1/incidents/17").await.json();
    assert_eq!(incident["number"], 17);
    assert_eq!(incident["class"], "software_down");
    assert_eq!(incident["failure_type"], "software");
    assert_eq!(incident["target"], serde_json::json!({"kind": "component", "host": "clc1", "component": "clc"}));
    assert_eq!(incident["opened_at"], "2026-09-21T14:09:20.000Z");
    assert_eq!(incident["evidence"][0]["value"], "refused");
    assert_eq!(incident["business"], serde_json::json!(["self-service"]));
    assert_eq!(world.get(&bearer, "/api/v1/incidents/INC-17").await.json()["number"], 17);
    assert_eq!(world.get(&bearer, "/api/v1/incidents/18").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&bearer, "/api/v1/incidents/x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn lists_page_by_key_until_next_is_null() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    for (path, field, expected) in [
        ("/api/v1/incidents", "number", vec!["17", "16"]),
        ("/api/v1/hosts", "name", vec!["\"clc1\"", "\"wéb 01/a?b#c\""]),
        ("/api/v1/services", "service", vec!["\"clc port\"", "\"disk /\"", "\"disk /var \\\"x\\\" 100%\""]),
        ("/api/v1/components", "key", vec!["\"clc\""]),
        ("/api/v1/downtimes", "id", vec!["1"]),
    ] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let list = world.get(&bearer, &format!("{path}?limit=1{after}")).await.json();
            assert_eq!(list["seq"], 41, "{path}");
            seen.extend(list["items"].as_array().unwrap().iter().map(|item| item[field].to_string()));
            let Some(next) = list["next"].as_str() else { break };
            after = format!("&after={}", encode(next));
            assert!(seen.len() < 10, "{path} does not end");
        }
        assert_eq!(seen, expected, "{path}");
    }
}

#[tokio::test]
async fn a_cursor_that_names_nothing_is_refused() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    for path in ["/api/v1/hosts?after=gone", "/api/v1/services?after=gone%2Fx", "/api/v1/components?after=x"] {
        assert_eq!(world.get(&bearer, path).await.status, StatusCode::GONE, "{path}");
    }
    for path in ["/api/v1/incidents?after=x", "/api/v1/downtimes?after=-1", "/api/v1/history?after=7"] {
        assert_eq!(world.get(&bearer, path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn filters_select_and_a_wrong_filter_is_refused() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    let count = async |path: &str| world.get(&bearer, path).await.json()["items"].as_array().unwrap().len();
    assert_eq!(count("/api/v1/services?q=disk").await, 2);
    assert_eq!(count("/api/v1/services?q=state%3Acrit").await, 1);
    assert_eq!(count("/api/v1/hosts?q=clc1").await, 1);
    assert_eq!(count("/api/v1/incidents?q=is%3Aopen").await, 1);
    assert_eq!(count("/api/v1/downtimes?q=host%3Aclc1").await, 1);
    assert_eq!(count("/api/v1/downtimes?q=host%3Aother").await, 0);
    let wrong = world.get(&bearer, "/api/v1/services?q=state%3Apurple").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("purple"), "{}", wrong.text);
}

#[tokio::test]
async fn names_with_blanks_slashes_and_umlauts_are_found() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    let host = world.get(&bearer, &format!("/api/v1/hosts/{}", encode(ODD_HOST))).await.json();
    assert_eq!((host["name"].as_str(), host["state"].as_str()), (Some(ODD_HOST), Some("DOWN")));
    let path = format!("/api/v1/hosts/{}/services/{}", encode(ODD_HOST), encode(ODD_SERVICE));
    let service = world.get(&bearer, &path).await.json();
    assert_eq!(service["service"], ODD_SERVICE);
    assert_eq!((&service["state"], &service["last_check"]), (&"PENDING".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn matrix_components_and_core_follow_the_diagnosis() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    let matrix = world.get(&bearer, "/api/v1/matrix").await.json();
    let cells = &matrix["items"][0]["rows"][0]["cells"];
    assert_eq!(cells["software"]["state"], "problem");
    assert_eq!(cells["software"]["incidents"], serde_json::json!([17]));
    assert_eq!(cells["software"]["covered_by"], serde_json::json!(["eucalyptus/clc/port"]));
    assert_eq!(cells["server"]["covered_by"], serde_json::json!(["host/ping"]));
    assert_eq!(cells["resource"]["covered_by"], serde_json::json!(["host/disk"]));
    assert_eq!(cells["resource"]["state"], "ok");
    let component = &world.get(&bearer, "/api/v1/components").await.json()["items"][0];
    assert_eq!(component["in_service"], false);
    assert_eq!(component["role"], "ENABLED");
    assert_eq!(component["redundancy"], serde_json::json!({"left": 0, "of": 1, "min": 1}));
    let core = &world.get(&bearer, "/api/v1/core").await.json()["items"][0];
    assert_eq!((&core["cloud"], &core["state"]), (&"prod".into(), &"degraded".into()));
    assert_eq!(core["because"][0], "clc has no instance");
}

#[tokio::test]
async fn history_is_newest_first_and_pages() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    let event = |text: &str| Event::of_incident(NOW, EventKind::Note, 17, text);
    world.store.commit_turn(5, &[event("a"), event("b")], &[]).await.unwrap();
    world.store.commit_turn(6, &[event("c")], &[]).await.unwrap();
    let first = world.get(&bearer, "/api/v1/history?incident=17&limit=2").await.json();
    let texts = |list: &serde_json::Value| {
        list["items"].as_array().unwrap().iter().map(|i| i["text"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(texts(&first), "cb");
    assert_eq!(first["next"], "5.1");
    let rest = world.get(&bearer, "/api/v1/history?incident=17&limit=2&after=5.1").await.json();
    assert_eq!((texts(&rest), &rest["next"]), ("a".to_owned(), &serde_json::Value::Null));
    assert_eq!(texts(&world.get(&bearer, "/api/v1/history?incident=18").await.json()), "");
    assert_eq!(texts(&world.get(&bearer, "/api/v1/history?host=clc1").await.json()), "");
}

#[tokio::test]
async fn health_needs_no_login_and_readiness_names_what_is_missing() {
    let world = World::new();
    assert_eq!(world.get("", "/healthz").await.text, "ok\n");
    let ready = world.get("", "/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (StatusCode::OK, &true.into()));
    world.store.set_gone(true);
    world.change(|snapshot| snapshot.degraded = Some("disk full on /secret/path".into()));
    let lost = world.get("", "/readyz").await;
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(lost.json()["problems"].as_array().unwrap().len(), 2, "{}", lost.text);
    assert!(!lost.text.contains("/secret"), "{}", lost.text);
    assert_eq!(world.get("", "/healthz").await.status, StatusCode::OK, "restarting would not help");
}

#[tokio::test]
async fn metrics_are_open_to_this_machine_and_need_a_token_elsewhere() {
    let world = World::new();
    let ask = |headers: &[(&str, &str)], peer| from_peer(request("GET", "/metrics", headers, ""), peer);
    let local = world.send(ask(&[], [127, 0, 0, 1])).await;
    assert_eq!(local.status, StatusCode::OK);
    assert_eq!(local.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(local.text.contains("stentor_service_state{host=\"clc1\",service=\"clc port\"} 2\n"), "{}", local.text);
    assert!(local.text.contains("stentor_journal_sequence 41\n"));
    let proxied = world.send(ask(&[("x-forwarded-for", "198.51.100.1")], [127, 0, 0, 1])).await;
    assert_eq!(proxied.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.send(ask(&[], [192, 0, 2, 1])).await.status, StatusCode::UNAUTHORIZED);
    let bearer = world.bearer(Role::Viewer).await;
    let remote = world.send(ask(&[("authorization", &bearer)], [192, 0, 2, 1])).await;
    assert_eq!(remote.status, StatusCode::OK);
    let own = world.get(&bearer, "/metrics?only=self").await.text;
    assert!(own.contains("stentor_engine_inputs_total 1234\n") && !own.contains("stentor_host_state"), "{own}");
    let checks = world.get(&bearer, "/metrics?only=checks").await.text;
    assert!(checks.contains("stentor_host_state") && !checks.contains("stentor_journal_sequence"), "{checks}");
    assert_eq!(world.get(&bearer, "/metrics?only=both").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get(&bearer, "/metrics?shard=2/2").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn shards_together_are_the_whole_and_never_overlap() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    let samples = async |query: &str| {
        let text = world.get(&bearer, &format!("/metrics?only=checks{query}")).await.text;
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut whole = samples("").await;
    let mut parts = samples("&shard=0/2").await;
    parts.extend(samples("&shard=1/2").await);
    whole.sort();
    parts.sort();
    assert_eq!(whole, parts);
}

#[test]
fn the_ready_made_views_ask_in_the_language_of_the_pages() {
    let text = include_str!("../../../dashboards/overview.toml");
    let views: toml::Table = text.parse().unwrap();
    let views = views["view"].as_array().unwrap();
    assert!(views.len() > 3);
    for view in views {
        let q = view["q"].as_str().unwrap();
        let filter = crate::web::filter::Filter::parse(q);
        assert!(filter.wrong.is_empty() && !filter.terms.is_empty(), "{q}: {:?}", filter.wrong);
        assert!(["incidents", "services", "hosts"].contains(&view["page"].as_str().unwrap()), "{view}");
    }
}
