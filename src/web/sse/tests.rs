//! The stream of live updates: what is sent, when, and what happens to slow readers.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use stentor_core::snapshot::Snapshot;
use tower::ServiceExt;

use super::*;
use crate::web::auth::Role;
use crate::web::fixture::{self, Fixture};
use crate::web::router::router;

/// One event as the browser would see it.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    event: String,
    id: String,
    data: String,
}

fn parse(block: &str) -> Seen {
    let mut seen = Seen::default();
    for line in block.lines() {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("event", value) => seen.event = value.to_owned(),
            ("id", value) => seen.id = value.to_owned(),
            ("data", value) => {
                seen.data.push_str(value);
                seen.data.push('\n');
            }
            _ => {}
        }
    }
    seen
}

struct Reader {
    body: axum::body::BodyDataStream,
    buffer: String,
}

impl Reader {
    async fn open(fixture: &Fixture, path: &str, last_id: Option<&str>) -> Reader {
        let mut request = Request::get(path).header("cookie", &fixture.cookie);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = router(fixture.state.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        Reader { body: answer.into_body().into_data_stream(), buffer: String::new() }
    }

    /// The next event; `None` = the stream ended.
    async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (seen, rest) = (parse(block), rest.to_owned());
                self.buffer = rest;
                return Some(seen);
            }
            let chunk = self.body.next().await?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Events other than beats, up to and including the second beat from now.
    async fn until_second_beat(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut beats = 0;
        while beats < 2 {
            let event = self.next().await.unwrap();
            if event.event == "beat" {
                beats += 1;
            } else {
                seen.push(event);
            }
        }
        seen
    }
}

fn publish(fixture: &Fixture, change: impl FnOnce(&mut Snapshot)) {
    let mut next = Snapshot::clone(&fixture.snapshot.load());
    next.seq += 1;
    change(&mut next);
    let seq = next.seq;
    fixture.snapshot.store(Arc::new(next));
    let _ = fixture.published.send(Published { seq, events: Arc::new(vec![]) });
}

fn retitle(snapshot: &mut Snapshot, number: u64, title: &str) {
    let mut incidents = (*snapshot.incidents).clone();
    let mut incident = Incident::clone(&incidents[&number]);
    incident.title = title.into();
    incidents.insert(number, Arc::new(incident));
    snapshot.incidents = Arc::new(incidents);
}

const SEQ: &str = "48211";

#[tokio::test(start_paused = true)]
async fn only_fragments_that_changed_are_sent_and_a_burst_is_one_swap() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let path = format!("/stream?v=vitals,incidents,matrix,nonsense&c=ecc&since={SEQ}");
    let mut reader = Reader::open(&fixture, &path, None).await;
    assert_eq!(reader.next().await.unwrap().event, "beat", "the clock starts at once");
    for n in 0..40 {
        publish(&fixture, |snapshot| retitle(snapshot, 2418, &format!("Title {n}\r\nwith <lines>")));
    }
    let seen = reader.until_second_beat().await;
    let names: Vec<&str> = seen.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names, ["incidents"], "matrix and vitals did not change");
    assert!(
        seen[0].data.contains("Title 39") && seen[0].data.contains("data-live-id=\"incidents\""),
        "{}",
        seen[0].data
    );
    assert!(seen[0].data.contains("&#60;lines&#62;"));
    assert_eq!(seen[0].id, "48251");
}

#[tokio::test(start_paused = true)]
async fn time_alone_sends_nothing_but_beats() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let path = format!("/stream?v=vitals,incidents,core,risk,sites,services&c=ecc&since={SEQ}");
    let mut reader = Reader::open(&fixture, &path, None).await;
    fixture.clock.advance(stentor_core::Span::from_mins(3));
    publish(&fixture, |_| {});
    assert_eq!(reader.until_second_beat().await, []);
}

#[tokio::test(start_paused = true)]
async fn results_that_nobody_is_told_of_are_shown_with_the_next_beats() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let mut reader = Reader::open(&fixture, &format!("/stream?v=foot&c=ecc&since={SEQ}"), None).await;
    assert_eq!(reader.next().await.unwrap().event, "beat");
    let mut next = Snapshot::clone(&fixture.snapshot.load());
    next.seq += 1;
    fixture.snapshot.store(Arc::new(next));
    let mut seen = reader.until_second_beat().await;
    seen.extend(reader.until_second_beat().await);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].data.contains("Journal entry 48,212"), "{}", seen[0].data);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_behind_gets_everything_and_one_of_another_life_reloads() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    for (since, last_id, expected) in [
        ("48200", None, vec!["vitals", "core"]),
        (SEQ, Some("48200"), vec!["vitals", "core"]),
        ("3", None, vec!["vitals", "core"]),
        // From a later life of another database.
        ("99999", None, vec!["reload"]),
        (SEQ, None, vec![]),
    ] {
        let mut reader = Reader::open(&fixture, &format!("/stream?v=vitals,core&c=ecc&since={since}"), last_id).await;
        let names: Vec<String> = reader.until_second_beat().await.into_iter().map(|event| event.event).collect();
        assert_eq!(names, expected, "since {since}, last id {last_id:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_outage_is_announced_once() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let mut reader = Reader::open(&fixture, &format!("/stream?v=foot&c=ecc&since={SEQ}"), None).await;
    for _ in 0..2 {
        publish(&fixture, |snapshot| {
            let mut incidents = (*snapshot.incidents).clone();
            let mut incident = Incident::clone(&incidents[&2418]);
            incident.number = 2500;
            incident.title = "API is gone\nfor all".into();
            incident.verdict.impact = stentor_core::diagnosis::Impact::Full;
            incidents.insert(2500, Arc::new(incident));
            snapshot.incidents = Arc::new(incidents);
        });
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    let mut said: Vec<String> =
        reader.until_second_beat().await.into_iter().filter(|e| e.event == "say").map(|e| e.data).collect();
    said.extend(reader.until_second_beat().await.into_iter().filter(|e| e.event == "say").map(|e| e.data));
    assert_eq!(said, ["Outage: API is gone for all, INC-2500\n"]);
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_the_beat_is_the_servers() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let mut reader = Reader::open(&fixture, &format!("/stream?v=&c=ecc&since={SEQ}"), None).await;
    let first = reader.next().await.unwrap();
    let beat: serde_json::Value = serde_json::from_str(&first.data).unwrap();
    assert_eq!(beat["t"], "03:14:20");
    assert_eq!(beat["iso"], "2026-11-21T03:14:20.000Z");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_its_life_so_that_the_session_is_checked_again() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let mut reader = Reader::open(&fixture, &format!("/stream?v=core&c=ecc&since={SEQ}"), None).await;
    let mut beats = 0;
    while let Some(event) = reader.next().await {
        assert_eq!(event.event, "beat");
        beats += 1;
        assert!(beats < 1000, "the stream does not end");
    }
    assert!(beats > 300, "{beats} beats of 5 s are less than half an hour");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stopped_reading_is_dropped() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let mut reader = Reader::open(&fixture, &format!("/stream?v=core&c=ecc&since={SEQ}"), None).await;
    assert!(reader.next().await.is_some());
    tokio::time::advance(STALL_MAX + Duration::from_secs(1)).await;
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn every_fragment_is_rendered_once_for_all_who_look_at_the_same() {
    let fragments = Fragments::default();
    let (snapshot, agents) = (fixture::snapshot(), Agents::of_start(7));
    let wanted = Wanted { c: "ecc".into(), ..Wanted::default() };
    let first = fragments.get(&wanted, "core", "mara", (&snapshot, &agents), fixture::now()).unwrap();
    let second = fragments.get(&wanted, "core", "jonas", (&snapshot, &agents), fixture::now()).unwrap();
    assert!(Arc::ptr_eq(&first.html, &second.html));
    let mine = Wanted { q: "owner:me".into(), ..wanted.clone() };
    let hers = fragments.get(&mine, "unhandled", "mara", (&snapshot, &agents), fixture::now()).unwrap();
    let his = fragments.get(&mine, "unhandled", "jonas", (&snapshot, &agents), fixture::now()).unwrap();
    assert!(!Arc::ptr_eq(&hers.html, &his.html), "`owner:me` is another list for another person");
    assert!(fragments.get(&wanted, "nonsense", "mara", (&snapshot, &agents), fixture::now()).is_none());
}

#[tokio::test]
async fn every_fragment_that_a_page_names_can_be_streamed() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    let (snapshot, agents) = (fixture::snapshot(), Agents::of_start(7));
    for path in [
        "/c/ecc",
        "/c/ecc/incidents",
        "/c/ecc/matrix",
        "/c/all/hosts",
        "/c/all/services",
        "/i/2417",
        "/h/ufs-02",
        "/h/ufs-02/ufs%20port",
    ] {
        let request = Request::get(path).header("cookie", &fixture.cookie).body(Body::empty()).unwrap();
        let answer = router(fixture.state.clone()).oneshot(request).await.unwrap();
        let html =
            String::from_utf8(axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        let stream =
            html.split("name=\"stentor-stream\" content=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let uri: axum::http::Uri = stream.replace("&#38;", "&").parse().unwrap();
        let Query(wanted) = Query::<Wanted>::try_from_uri(&uri).unwrap();
        assert!(wanted.ids().len() >= 4, "{stream}");
        for id in wanted.ids() {
            let part = render(&wanted, &id, "mara", (&snapshot, &agents), fixture::now())
                .unwrap_or_else(|| panic!("{path}: no {id}"));
            assert!(part.contains(&format!("data-live-id=\"{id}\"")), "{id}: {part}");
            assert!(html.contains(part.trim()), "{path}: the page shows another {id} than the stream");
        }
    }
}
