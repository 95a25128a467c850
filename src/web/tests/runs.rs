//! Runs over HTTP: who may, who must be another, what comes again, what is late, and what the forms do.

use axum::http::StatusCode;

use super::world::{World, request};
use crate::web::auth::Role;

struct Bench {
    world: World,
    bearer: String,
}

impl Bench {
    async fn new(role: Role) -> Bench {
        let world = World::new();
        let bearer = world.bearer(role).await;
        Bench { world, bearer }
    }

    async fn post(&self, path: &str, body: &str) -> (StatusCode, serde_json::Value) {
        let answer = self.world.post(&self.bearer, &format!("/api/v1{path}"), body).await;
        (answer.status, answer.json())
    }
}

#[tokio::test]
async fn a_viewer_may_look_and_not_touch() {
    let bench = Bench::new(Role::Viewer).await;
    let (status, problem) = bench.post("/incidents/17/run", "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(problem["detail"].as_str().unwrap().contains("may view, but this needs the right to operate"), "{problem}");
    let asked = bench.world.seen.lock().unwrap().commands.len();
    assert_eq!(asked, 1, "the refusal is the engine's, which records it");
    let (status, plan) = bench.post("/incidents/17/run", r#"{"dry_run":true}"#).await;
    assert_eq!((status, &plan["number"], &plan["steps"][0]["state"]), (StatusCode::OK, &0.into(), &"ready".into()));
    assert_eq!(plan["steps"][2]["needs"][0]["holds"], serde_json::Value::Null, "what nobody knows does not hold");
    assert_eq!(bench.world.seen.lock().unwrap().commands.len(), asked, "a dry run asks nothing of the engine");
    assert_eq!(bench.world.get(&bench.bearer, "/api/v1/audit").await.status, StatusCode::FORBIDDEN);
    assert_eq!(bench.world.get(&bench.bearer, "/api/v1/runs").await.status, StatusCode::OK);
}

#[tokio::test]
async fn steps_are_taken_once_approved_by_another_and_the_end_says_what_is_missing() {
    let bench = Bench::new(Role::Operator).await;
    let (status, run) = bench.post("/incidents/17/run", "").await;
    assert_eq!((status, &run["name"]), (StatusCode::CREATED, &"RUN-1".into()));
    let (status, _) = bench.post("/incidents/17/run", "").await;
    assert_eq!(status, StatusCode::CONFLICT, "one run at a time");
    let (status, problem) = bench.post("/runs/1/finish", "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("step 1 is ready; step 2 is waiting"), "{problem}");
    for _ in 0..2 {
        let (status, run) = bench.post("/runs/RUN-1/steps/1/done", r#"{"attempt":1,"note":"ok"}"#).await;
        assert_eq!((status, &run["steps"][0]["attempt"]), (StatusCode::OK, &1.into()), "replayed, it stays one");
    }
    let (status, problem) = bench.post("/runs/1/steps/1/begin", r#"{"attempt":7}"#).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("stale"), "{problem}");
    let (_, run) = bench.post("/runs/1/steps/2/begin", "").await;
    assert_eq!(run["steps"][1]["state"], "asked");
    let (status, problem) = bench.post("/runs/1/steps/2/approve", "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(problem["detail"].as_str().unwrap().contains("another person"), "{problem}");
    let other = bench.world.bearer(Role::Admin).await;
    let approved = bench.world.post(&other, "/api/v1/runs/1/steps/2/approve", "").await;
    assert_eq!((approved.status, &approved.json()["steps"][1]["state"]), (StatusCode::OK, &"done".into()));
    let (status, problem) = bench.post("/runs/1/steps/3/done", "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("is not known"), "{problem}");
    let (status, _) = bench.post("/runs/1/steps/3/skip", r#"{"reason":" "}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a step is not skipped without a word");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_nonsense_is_refused() {
    let bench = Bench::new(Role::Admin).await;
    for (path, body, status) in [
        ("/runs/9/finish", "", StatusCode::NOT_FOUND),
        ("/runs/x/finish", "", StatusCode::BAD_REQUEST),
        ("/incidents/x/run", "", StatusCode::BAD_REQUEST),
        ("/runs/9/steps/1/explode", "", StatusCode::NOT_FOUND),
        ("/runs/9/steps/70000/done", "", StatusCode::BAD_REQUEST),
        ("/runs/9/steps/1/done", r#"{"attempt":-1}"#, StatusCode::BAD_REQUEST),
        ("/runs/9/steps/1/done", r#"{"atempt":1}"#, StatusCode::BAD_REQUEST),
        ("/runbooks/rb-none/run", r#"{"host":"clc1"}"#, StatusCode::NOT_FOUND),
        ("/runbooks/rb-euca-move/run", "{}", StatusCode::BAD_REQUEST),
        ("/runbooks/rb-euca-move/run", r#"{"host":"none","dry_run":true}"#, StatusCode::NOT_FOUND),
        (
            "/runbooks/rb-euca-move/run",
            r#"{"host":"clc1","component":"nc","dry_run":true}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        ("/runbooks/rb-euca-clc-software/run", r#"{"host":"clc1","dry_run":true}"#, StatusCode::UNPROCESSABLE_ENTITY),
        ("/runs/9/abort", r#"{"why":"x"}"#, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(bench.post(path, body).await.0, status, "{path} {body}");
    }
}

#[tokio::test]
async fn the_page_of_an_incident_leads_through_a_run_without_scripts() {
    let world = World::new();
    let (cookie, csrf) = world.browser(Role::Operator).await;
    let form = |path: &str, body: String| {
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        request("POST", path, &headers, &body)
    };
    let page = async |path: &str| world.send(request("GET", path, &[("cookie", cookie.as_str())], "")).await.text;
    assert!(page("/i/17").await.contains("Start this runbook"));
    let without = world.send(form("/i/17/run", String::new())).await;
    assert_eq!(without.status, StatusCode::FORBIDDEN, "a form without its token does nothing");
    let started = world.send(form("/i/17/run", format!("csrf={csrf}"))).await;
    assert_eq!((started.status, started.header("location")), (StatusCode::SEE_OTHER, "/i/17?done=run#runbook"));
    let shown = page("/i/17").await;
    assert!(shown.contains(r#"name="do" value="done:1:1""#), "{shown}");
    let acted = world.send(form("/runs/1/act", format!("csrf={csrf}&do=done:1:1&note=as+told"))).await;
    assert_eq!((acted.status, acted.header("location")), (StatusCode::SEE_OTHER, "/i/17#runbook"));
    let shown = page("/i/17").await;
    assert!(shown.contains("as told") && shown.contains("Ask another person"), "{shown}");
    let early = world.send(form("/runs/1/act", format!("csrf={csrf}&do=finish"))).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert!(early.text.contains("cannot be finished"), "{}", early.text);
    let nonsense = world.send(form("/runs/1/act", format!("csrf={csrf}&do=explode"))).await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
    assert!(page("/runs/1").await.contains("RUN-1"));
    assert!(page("/runs/9").await.contains("no RUN-9"));
    let (viewer, _) = world.browser(Role::Viewer).await;
    let seen = world.send(request("GET", "/i/17", &[("cookie", viewer.as_str())], "")).await.text;
    assert!(!seen.contains(r#"id="run-act""#), "who may not act has no form");
}
