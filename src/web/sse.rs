//! `/stream`: live updates. One event per fragment, named by its id, carrying the HTML of the same template as the page.
//!
//! A fragment is rendered once per scope and journal sequence and shared by all clients; it is sent only when something
//! other than its ages changed. Streams are pulled: a slow client gets the newest state when it reads again, never a
//! queue, and one that stopped reading is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use stentor_core::id::ObjectId;
use stentor_core::model::Incident;
use stentor_core::runbook::Run;
use stentor_core::snapshot::Snapshot;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};

use super::WebState;
use super::auth::Session;
use super::filter::Filter;
use super::pages::shell::{Ctx, Degraded, Foot, Scope, Vitals};
use super::pages::{
    design, hosts, incident, incidents, matrix, object, overview, runbook, services, time_left, topology,
};
use super::parts::{Level, without_ages};
use super::words;
use crate::engine::Published;
use crate::runbook::agents::Agents;

/// The beat drives the clock of the page.
const BEAT: Duration = Duration::from_secs(5);
/// At most one swap per fragment in this time.
const COALESCE: Duration = Duration::from_secs(1);
/// A client that did not take its beat for this long has gone or is stuck.
const STALL_MAX: Duration = Duration::from_secs(60);
/// A stream ends after this and the browser connects again: the session is checked at every connection.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// Fragments of one stream; pages have at most eight.
const FRAGMENTS_MAX: usize = 16;
/// Rendered fragments that are kept; when there are more scopes than this, the cache starts anew.
const CACHE_MAX: usize = 512;

pub fn routes() -> Router<WebState> {
    Router::new().route("/stream", get(stream_of)).layer(Extension(Arc::new(Fragments::default())))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    /// Fragment ids, comma-separated.
    v: String,
    /// Scope.
    c: String,
    /// Filter of a list, and its page.
    q: String,
    after: Option<String>,
    /// Incident.
    i: u64,
    /// Run.
    r: u64,
    /// Host and service.
    h: String,
    s: Option<String>,
    /// Sequence that the page shows.
    since: u64,
}

/// What one rendered fragment is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    id: String,
    /// Everything else that the HTML depends on.
    scope: String,
}

#[derive(Clone)]
struct Rendered {
    seq: u64,
    html: Arc<str>,
    /// Of the HTML without its ages.
    stem: u64,
}

/// Fragments by scope, shared by all streams. Readers never wait; two that render at once do the same work twice.
#[derive(Default)]
struct Fragments {
    kept: ArcSwap<BTreeMap<Key, Rendered>>,
}

impl Fragments {
    fn get(
        &self,
        wanted: &Wanted,
        id: &str,
        me: &str,
        (snapshot, agents): (&Snapshot, &Agents),
        now: stentor_core::Timestamp,
    ) -> Option<Rendered> {
        let key = Key { id: id.to_owned(), scope: wanted.scope_key(me) };
        if let Some(found) = self.kept.load().get(&key)
            && found.seq == snapshot.seq
        {
            return Some(found.clone());
        }
        let html = render(wanted, id, me, (snapshot, agents), now)?;
        let mut hasher = DefaultHasher::new();
        without_ages(&html).hash(&mut hasher);
        let rendered = Rendered { seq: snapshot.seq, html: html.into(), stem: hasher.finish() };
        self.kept.rcu(|kept| {
            let mut kept = if kept.len() < CACHE_MAX { BTreeMap::clone(kept) } else { BTreeMap::new() };
            kept.insert(key.clone(), rendered.clone());
            kept
        });
        Some(rendered)
    }
}

impl Wanted {
    fn scope_key(&self, me: &str) -> String {
        // `owner:me` is the only thing that depends on who looks.
        let me = if self.q.contains("me") { me } else { "" };
        let after = self.after.as_deref().unwrap_or("");
        let service = self.s.as_deref().unwrap_or("");
        [&self.c, &self.q, after, &self.i.to_string(), &self.r.to_string(), &self.h, service, me].join("\u{0}")
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for id in self.v.split(',').filter(|id| !id.is_empty()) {
            if ids.len() < FRAGMENTS_MAX && !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        ids
    }
}

/// The HTML of a fragment; `None` if there is no such fragment or its object is gone.
fn render(
    wanted: &Wanted,
    id: &str,
    me: &str,
    (snapshot, agents): (&Snapshot, &Agents),
    now: stentor_core::Timestamp,
) -> Option<String> {
    let scope = Scope::find(snapshot, &wanted.c)?;
    let ctx = Ctx { snapshot, agents, now, scope: &scope, me };
    let text = match id {
        "vitals" => Vitals::build(ctx).render(),
        "degraded" => Degraded::build(ctx).render(),
        "foot" => Foot::build(ctx).render(),
        "core" => overview::CoreFragment::build(ctx).render(),
        "incidents" => overview::IncidentsFragment::build(ctx).render(),
        "risk" => overview::RiskFragment::build(ctx).render(),
        "matrix" => overview::MatrixFragment::build(ctx).render(),
        "sites" => overview::SitesFragment::build(ctx).render(),
        "design" => design::DesignFragment::build(ctx).render(),
        "topology" => topology::TopologyFragment::build(ctx).render(),
        "left" => time_left::LeftFragment::build(ctx, the_incident(snapshot, wanted)?).render(),
        "fullmatrix" => matrix::FullMatrix::build(ctx).render(),
        "unhandled" => with_groups(ctx, wanted, incidents::GroupFragment::unhandled).render(),
        "handled" => with_groups(ctx, wanted, incidents::GroupFragment::handled).render(),
        "services" => {
            services::ServicesTable::build(ctx, &wanted.q, &Filter::parse(&wanted.q), wanted.after.as_deref())
                .0
                .render()
        }
        "hosts" => {
            hosts::HostsTable::listed(ctx, &wanted.q, &Filter::parse(&wanted.q), wanted.after.as_deref()).0.render()
        }
        "head" => incident::HeadFragment::build(ctx, the_incident(snapshot, wanted)?).render(),
        "cause" => incident::CauseFragment::build(ctx, the_incident(snapshot, wanted)?).render(),
        "run" => runbook::RunFragment::build(ctx, the_run(snapshot, wanted)?).render(),
        "timeline" => incident::TimelineFragment::build(ctx, the_incident(snapshot, wanted)?).render(),
        "state" => object::StateFragment::build(ctx, the_object(snapshot, wanted)?).render(),
        "output" => object::OutputFragment::build(ctx, the_object(snapshot, wanted)?).render(),
        _ => return None,
    };
    text.inspect_err(|error| tracing::error!(error = %error, fragment = id, "a fragment could not be printed")).ok()
}

fn with_groups(
    ctx: Ctx<'_>,
    wanted: &Wanted,
    build: for<'a> fn(Ctx<'a>, &str, &incidents::Groups<'a>) -> incidents::GroupFragment,
) -> incidents::GroupFragment {
    build(ctx, &wanted.q, &incidents::Groups::of(ctx, &Filter::parse(&wanted.q)))
}

fn the_incident<'a>(snapshot: &'a Snapshot, wanted: &Wanted) -> Option<&'a Incident> {
    snapshot.incidents.get(&wanted.i).map(|incident| &**incident)
}

/// Of its own page, or the newest of an incident.
fn the_run<'a>(snapshot: &'a Snapshot, wanted: &Wanted) -> Option<&'a Run> {
    let run = match wanted.r {
        0 => runbook::newest_for(snapshot, wanted.i),
        number => snapshot.runs.get(&number),
    };
    run.map(|run| &**run)
}

fn the_object(snapshot: &Snapshot, wanted: &Wanted) -> Option<ObjectId> {
    match &wanted.s {
        Some(service) => snapshot.service(&wanted.h, service).map(ObjectId::Service),
        None => snapshot.host(&wanted.h).map(ObjectId::Host),
    }
}

/// One client.
struct Client {
    state: WebState,
    fragments: Arc<Fragments>,
    wanted: Wanted,
    ids: Vec<String>,
    me: Arc<str>,
    watch: broadcast::Receiver<Published>,
    beat: tokio::time::Interval,
    /// Of the fragments that the client has.
    stems: BTreeMap<String, u64>,
    worst_known: Vec<u64>,
    /// Sequence of the last look.
    seen: u64,
    /// There is news since the last look.
    dirty: bool,
    looked: Instant,
    opened: Instant,
    queue: VecDeque<Event>,
    last_pull: Instant,
}

enum Woke {
    Beat,
    News,
    Lost,
    Closed,
    LookAgain,
}

async fn stream_of(
    State(state): State<WebState>,
    Extension(fragments): Extension<Arc<Fragments>>,
    session: Session,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let last_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let client = Client::new(state, fragments, wanted, Arc::clone(&session.user), last_id);
    let mut response = Sse::new(events(client)).into_response();
    // Proxies that buffer would turn "live" into "now and then".
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn events(client: Client) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(client, |mut client| async move { client.next().await.map(|event| (Ok(event), client)) })
}

impl Client {
    fn new(state: WebState, fragments: Arc<Fragments>, wanted: Wanted, me: Arc<str>, last_id: Option<u64>) -> Client {
        // Subscribe before reading the snapshot: nothing published between the two can be missed.
        let watch = state.engine.watch();
        let snapshot = state.engine.snapshot();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let since = last_id.unwrap_or(wanted.since);
        let now = Instant::now();
        let mut client = Client {
            ids: wanted.ids(),
            worst_known: outages(&snapshot, &wanted),
            watch,
            beat,
            stems: BTreeMap::new(),
            seen: since,
            dirty: since != snapshot.seq,
            looked: now.checked_sub(COALESCE).unwrap_or(now),
            opened: now,
            queue: VecDeque::new(),
            last_pull: now,
            state,
            fragments,
            wanted,
            me,
        };
        // A page from a later sequence than ours belongs to a database that is gone. A page that is behind, however far,
        // needs no reload: fragments are states, not deltas, and a reload at a high rate of turns would never end.
        if since > snapshot.seq {
            client.queue.push_back(Event::default().event("reload").data("gap").id(snapshot.seq.to_string()));
            client.dirty = false;
            client.seen = snapshot.seq;
        } else if since == snapshot.seq {
            client.remember(&snapshot);
        }
        client
    }

    /// Takes what the page already shows as sent.
    fn remember(&mut self, snapshot: &Snapshot) {
        let now = self.state.clock.now();
        for id in &self.ids {
            if let Some(rendered) = self.fragments.get(&self.wanted, id, &self.me, (snapshot, &self.state.agents), now)
            {
                self.stems.insert(id.clone(), rendered.stem);
            }
        }
    }

    async fn next(&mut self) -> Option<Event> {
        if self.last_pull.elapsed() > STALL_MAX {
            return None;
        }
        let event = self.wait().await;
        self.last_pull = Instant::now();
        event
    }

    async fn wait(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.opened.elapsed() > LIFE {
                return None;
            }
            let look_at = self.looked + COALESCE;
            let woke = tokio::select! {
                biased;
                _ = self.beat.tick() => Woke::Beat,
                () = tokio::time::sleep_until(look_at), if self.dirty => Woke::LookAgain,
                news = self.watch.recv() => match news {
                    Ok(_) => Woke::News,
                    Err(RecvError::Lagged(_)) => Woke::Lost,
                    Err(RecvError::Closed) => Woke::Closed,
                },
            };
            match woke {
                Woke::Beat => {
                    // Results that change no state are told to nobody, yet outputs and ages of checks move on.
                    self.dirty |= self.state.engine.snapshot().seq != self.seen;
                    return Some(self.beat_event());
                }
                Woke::News => self.dirty = true,
                Woke::LookAgain => self.look(),
                // Fragments are states, not deltas: the next look makes up for a short gap.
                Woke::Lost => self.dirty = true,
                Woke::Closed => return None,
            }
        }
    }

    fn beat_event(&self) -> Event {
        let now = self.state.clock.now();
        let data = format!(r#"{{"t":"{}","iso":"{}"}}"#, words::clock_of_day(now), now.to_rfc3339());
        Event::default().event("beat").data(data)
    }

    /// Queues every fragment whose HTML changed by more than its ages.
    fn look(&mut self) {
        self.dirty = false;
        self.looked = Instant::now();
        let snapshot = self.state.engine.snapshot();
        let now = self.state.clock.now();
        self.seen = snapshot.seq;
        for id in &self.ids {
            let Some(rendered) = self.fragments.get(&self.wanted, id, &self.me, (&snapshot, &self.state.agents), now)
            else {
                continue;
            };
            if self.stems.get(id) == Some(&rendered.stem) {
                continue;
            }
            self.stems.insert(id.clone(), rendered.stem);
            let event = Event::default().event(id).id(snapshot.seq.to_string()).data(&*rendered.html);
            self.queue.push_back(event);
        }
        self.say_outages(&snapshot);
    }

    /// A new outage is announced at once; everything else waits for eyes.
    fn say_outages(&mut self, snapshot: &Snapshot) {
        let now = outages(snapshot, &self.wanted);
        for number in now.iter().filter(|number| !self.worst_known.contains(number)) {
            if let Some(incident) = snapshot.incidents.get(number) {
                let text = format!("Outage: {}, INC-{number}", words::cut(&incident.title, 120));
                self.queue.push_back(Event::default().event("say").data(text.replace(['\n', '\r'], " ")));
            }
        }
        self.worst_known = now;
    }
}

/// Live incidents of the scope that users notice in full.
fn outages(snapshot: &Snapshot, wanted: &Wanted) -> Vec<u64> {
    let Some(scope) = Scope::find(snapshot, &wanted.c) else { return Vec::new() };
    snapshot
        .incidents
        .values()
        .filter(|incident| incident.phase.is_live() && Level::of(&incident.verdict) == Level::Outage)
        .filter(|incident| super::subject::in_scope(incident, scope.cloud_name()))
        .map(|incident| incident.number)
        .collect()
}

#[cfg(test)]
mod tests;
