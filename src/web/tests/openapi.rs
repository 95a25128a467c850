//! The hand-written description and the routes agree: every path is served, every documented field is answered, and
//! nothing is answered that is not documented.

use axum::http::StatusCode;
use serde_json::{Value, json};
use stentor_core::engine::{Event, EventKind};
use stentor_core::model::Observation;

use super::world::{NOW, World, request};
use crate::store::Store;
use crate::traps::board::{Fate, Seen};
use crate::web::auth::Role;

/// Method, path as documented, path as asked for, body.
type Example = (&'static str, &'static str, &'static str, String);

fn get(template: &'static str, path: &'static str) -> Example {
    ("get", template, path, String::new())
}

fn post(template: &'static str, path: &'static str, body: &str) -> Example {
    ("post", template, path, body.to_owned())
}

fn delete(template: &'static str, path: &'static str) -> Example {
    ("delete", template, path, String::new())
}

/// What a run asks for, and what it leaves behind.
fn of_runs() -> Vec<Example> {
    vec![
        post("/api/v1/incidents/{number}/run", "/api/v1/incidents/17/run", ""),
        post("/api/v1/runbooks/{id}/run", "/api/v1/runbooks/rb-euca-move/run", r#"{"host":"clc1"}"#),
        post("/api/v1/runs/{run}/steps/{step}/{action}", "/api/v1/runs/RUN-1/steps/1/done", r#"{"attempt":1}"#),
        post("/api/v1/runs/{run}/finish", "/api/v1/runs/2/finish", ""),
        post("/api/v1/runs/{run}/abort", "/api/v1/runs/1/abort", r#"{"why":"x"}"#),
        get("/api/v1/runs", "/api/v1/runs"),
        get("/api/v1/runs/{run}", "/api/v1/runs/1"),
        get("/api/v1/runbooks", "/api/v1/runbooks"),
        get("/api/v1/runbooks/{id}", "/api/v1/runbooks/rb-euca-move"),
        get("/api/v1/audit", "/api/v1/audit"),
    ]
}

/// A request of each operation that succeeds in the world, in an order in which it does.
fn examples() -> Vec<Example> {
    let observation = serde_json::to_value(Observation::observed("seen")).unwrap();
    let push = json!({"agent": "clc1", "boot": "b", "sequence": 1, "results": [
        {"host": "clc1", "service": "gone", "observed_at": NOW.as_millis(), "observation": observation}]});
    let others = vec![
        post("/api/v1/incidents/{number}/ack", "/api/v1/incidents/17/ack", r#"{"comment":"x"}"#),
        post("/api/v1/incidents/{number}/notes", "/api/v1/incidents/17/notes", r#"{"text":"x"}"#),
        get("/api/v1/incidents", "/api/v1/incidents"),
        get("/api/v1/incidents/{number}", "/api/v1/incidents/17"),
        delete("/api/v1/incidents/{number}/ack", "/api/v1/incidents/17/ack"),
        post("/api/v1/hosts/{host}/ack", "/api/v1/hosts/w%C3%A9b%2001%2Fa%3Fb%23c/ack", ""),
        get("/api/v1/hosts", "/api/v1/hosts"),
        get("/api/v1/hosts/{host}", "/api/v1/hosts/clc1"),
        get("/api/v1/hosts/{host}/notifications", "/api/v1/hosts/clc1/notifications"),
        get(
            "/api/v1/hosts/{host}/services/{service}/notifications",
            "/api/v1/hosts/clc1/services/clc%20port/notifications",
        ),
        delete("/api/v1/hosts/{host}/ack", "/api/v1/hosts/w%C3%A9b%2001%2Fa%3Fb%23c/ack"),
        post("/api/v1/hosts/{host}/check", "/api/v1/hosts/clc1/check", ""),
        post("/api/v1/hosts/{host}/services/{service}/ack", "/api/v1/hosts/clc1/services/clc%20port/ack", ""),
        get("/api/v1/services", "/api/v1/services"),
        get("/api/v1/hosts/{host}/services/{service}", "/api/v1/hosts/clc1/services/clc%20port"),
        delete("/api/v1/hosts/{host}/services/{service}/ack", "/api/v1/hosts/clc1/services/clc%20port/ack"),
        post("/api/v1/hosts/{host}/services/{service}/check", "/api/v1/hosts/clc1/services/disk%20%2F/check", ""),
        post("/api/v1/downtimes", "/api/v1/downtimes", r#"{"host":"clc1","duration":60}"#),
        get("/api/v1/downtimes", "/api/v1/downtimes"),
        delete("/api/v1/downtimes/{id}", "/api/v1/downtimes/1"),
        post("/api/v1/drills", "/api/v1/drills", r#"{"runbook":"rb-euca-move","rto_s":720,"note":"x"}"#),
        get("/api/v1/drills", "/api/v1/drills?all=true"),
        get("/api/v1/matrix", "/api/v1/matrix"),
        get("/api/v1/design", "/api/v1/design"),
        get("/api/v1/topology", "/api/v1/topology"),
        get("/api/v1/components", "/api/v1/components"),
        get("/api/v1/core", "/api/v1/core"),
        get("/api/v1/availability", "/api/v1/availability?window=week"),
        get("/api/v1/pairs", "/api/v1/pairs"),
        post("/api/v1/what-if", "/api/v1/what-if", r#"{"assume":["host:clc1"],"world":"present"}"#),
        post(
            "/api/v1/classify",
            "/api/v1/classify",
            r#"{"signals":[{"host":"clc1","sig":"ping","value":"ok"},
                {"host":"clc1","component":"clc","sig":"port","value":"refused"},
                {"host":"clc1","component":"clc","sig":"process","value":"absent"},
                {"host":"clc1","sig":"drbd","value":{"res":"r0","ds":"UpToDate/DUnknown"}}]}"#,
        ),
        get("/api/v1/counts", "/api/v1/counts"),
        get("/api/v1/history", "/api/v1/history"),
        get("/api/v1/traps", "/api/v1/traps"),
        post("/api/v1/commands", "/api/v1/commands", "NONSENSE"),
        post("/api/v1/notify/test", "/api/v1/notify/test", r#"{"contact":"noc","wait":0}"#),
        post("/api/v1/results", "/api/v1/results", r#"[{"host":"none","code":0}]"#),
        get("/api/v1/agent/checks", "/api/v1/agent/checks?host=clc1"),
        post("/api/v1/agent/results", "/api/v1/agent/results", &push.to_string()),
        post(
            "/api/v1/agent/orders/{id}",
            "/api/v1/agent/orders/0000000000000007-1",
            r#"{"agent":"clc1","start":"s","state":"begun"}"#,
        ),
        get("/api/v1/openapi.json", "/api/v1/openapi.json"),
    ];
    [of_runs(), others].concat()
}

fn document() -> Value {
    serde_json::from_str(crate::web::api::OPENAPI).unwrap()
}

#[test]
fn every_documented_operation_has_an_example_and_the_other_way_round() {
    let document = document();
    let mut documented: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        documented.extend(item.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    let mut shown: Vec<String> = examples().iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    documented.sort();
    shown.sort();
    assert_eq!(documented, shown);
}

#[test]
fn every_route_of_the_source_is_documented() {
    let document = document();
    let source = include_str!("../api/mod.rs");
    let routes: Vec<&str> = source.split('"').filter(|text| text.starts_with("/api/v1/")).collect();
    assert!(routes.len() > 15, "{routes:?}");
    for route in routes {
        assert!(document["paths"].get(route).is_some(), "{route} is not in openapi.json");
    }
}

#[tokio::test]
async fn answers_have_exactly_the_documented_fields() {
    let document = document();
    let world = World::new();
    let bearer = world.bearer(Role::Admin).await;
    let event = Event::of_incident(NOW, EventKind::Note, 17, "x");
    world.store.commit_turn(1, &[event], &[]).await.unwrap();
    let (trap, text) = ("linkDown".to_owned(), "link down".to_owned());
    let (from, host) = (Some([10, 0, 0, 1].into()), Some("clc1".into()));
    world.state.traps.add(Seen { at: NOW, from, host, trap, fate: Fate::Taken, rule: Some("link down".into()), text });
    let (agent, mut waits) = (world.agent("clc1").await, Box::pin(world.order("clc1")));
    assert!(futures_util::poll!(&mut waits).is_pending());
    for (method, template, path, body) in examples() {
        // What an agent tells of an order is nobody else's to tell.
        let who = if path.starts_with("/api/v1/agent/orders/") { &agent } else { &bearer };
        let sent = request(&method.to_uppercase(), path, &[("authorization", who)], &body);
        let answer = world.send(sent).await;
        let responses = &document["paths"][template][method]["responses"];
        let Some(response) = responses.get(answer.status.as_str()) else {
            panic!("{method} {path} gave the undocumented {}: {}", answer.status, answer.text);
        };
        match response.pointer("/content/application~1json/schema") {
            None => assert!(answer.text.is_empty(), "{method} {path}"),
            Some(schema) => {
                let mut wrong = Vec::new();
                fits(&document, schema, &answer.json(), path, &mut wrong);
                assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}\n{}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn refusals_fit_their_documented_shape() {
    let document = document();
    let world = World::new();
    let answer = world.get("", "/api/v1/hosts").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let mut wrong = Vec::new();
    fits(&document, &document["components"]["schemas"]["Problem"], &answer.json(), "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The part of JSON Schema that the document uses.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
        return fits(document, target, value, at, wrong);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let mut reasons = Vec::new();
        for option in any {
            let mut inner = Vec::new();
            fits(document, option, value, at, &mut inner);
            if inner.is_empty() {
                return;
            }
            reasons.extend(inner);
        }
        return wrong.push(format!("{at}: none of the shapes: {reasons:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at}: the schema has no type: {schema}"),
    };
    if !types.iter().any(|name| is_a(name, value)) {
        return wrong.push(format!("{at}: {value} is not {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        wrong.push(format!("{at}: {value} is not one of {words:?}"));
    }
    if schema["format"] == "date-time"
        && let Some(text) = value.as_str()
        && stentor_core::Timestamp::from_rfc3339(text).is_err()
    {
        wrong.push(format!("{at}: {text} is not RFC 3339"));
    }
    if let Some(fields) = value.as_object() {
        let known = schema["properties"].as_object();
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                wrong.push(format!("{at}: `{name}` is missing"));
            }
        }
        for (name, field) in fields {
            match known.and_then(|known| known.get(name)) {
                Some(inner) => fits(document, inner, field, &format!("{at}.{name}"), wrong),
                None if schema["additionalProperties"] == false => {
                    wrong.push(format!("{at}: `{name}` is not documented"))
                }
                None => {}
            }
        }
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(document, &schema["items"], item, &format!("{at}[{i}]"), wrong);
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}
