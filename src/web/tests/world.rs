//! The world that the tests ask about, and a client that asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use stentor_core::engine::{Command, CommandError, CommandInput, Reply};
use stentor_core::id::ObjectId;
use stentor_core::model::{
    Downtime, DowntimeKind, Incident, ObjectKey, Observation, Outcome, TimelineEntry, TimelineKind,
};
use stentor_core::runbook::steps::Moment;
use stentor_core::runbook::{
    NewRun, Order, OrderKind, Right, Run, RunAction, RunError, RunRequest, RunTarget, Verification,
};
use stentor_core::snapshot::{Detail, Flags, Snapshot};
use stentor_core::{Span, Timestamp};
use tokio::sync::{broadcast, mpsc};
use tower::ServiceExt;

use crate::clock::Clock;
use crate::engine::{Accepted, AgentBatch, Handle, KeyedResult, Post, Receipt, Refused};
use crate::runbook::Ended;
use crate::runbook::agents::Takes;
use crate::store::memory::MemoryStore;
use crate::store::{SessionKind, Store, User};
use crate::web::auth::{self, Role, password};
use crate::web::router::router;
use crate::web::{WebState, auth::create_token};

use super::scene::scene;
pub use super::scene::{ODD_HOST, ODD_SERVICE};

pub const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

pub struct World {
    pub router: Router,
    pub store: Arc<MemoryStore>,
    pub clock: Clock,
    pub state: WebState,
    /// What reached the writer, in order.
    pub seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub struct Seen {
    pub commands: Vec<Command>,
    pub results: Vec<KeyedResult>,
    pub batches: Vec<AgentBatch>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// `name=value` of the cookie it sets.
    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }
}

impl World {
    pub fn new() -> World {
        World::build(false, None)
    }

    pub fn build(secure_cookies: bool, demo: Option<Router<WebState>>) -> World {
        let (inbox, posts) = mpsc::channel(64);
        let (published, _) = broadcast::channel(8);
        let snapshot = Arc::new(ArcSwap::from_pointee(scene()));
        let seen = Arc::new(Mutex::new(Seen::default()));
        tokio::spawn(write(posts, Arc::clone(&snapshot), Arc::clone(&seen)));
        let store = Arc::new(MemoryStore::default());
        let clock = Clock::manual(NOW);
        let state = WebState {
            engine: Handle { inbox, results: mpsc::channel(1).0, snapshot, published },
            store: Arc::clone(&store) as _,
            desk: crate::nagios::desk::Desk::new().0,
            agents: Arc::new(crate::runbook::agents::Agents::of_start(7)),
            drills: crate::web::fixture::drills_of_a_test(),
            traps: crate::traps::board::Board::default(),
            clock: clock.clone(),
            self_metrics: Arc::new(prometheus::Registry::new()),
            url: "http://stentor.example/".into(),
            make_old: Arc::new(|_| true),
            secure_cookies,
            demo,
        };
        World { router: router(state.clone()), store, clock, state, seen }
    }

    pub async fn user(&self, name: &str, role: Role, password: &str) -> User {
        let password_hash = password::hash(password).await.unwrap();
        let user = User { name: name.into(), password_hash, role: role.as_str().into() };
        self.store.put_user(&user).await.unwrap();
        user
    }

    /// `Bearer …` of a fresh user of that role.
    pub async fn bearer(&self, role: Role) -> String {
        let name = format!("its-{}", role.as_str());
        let user = User { name: name.clone(), password_hash: "none".into(), role: role.as_str().into() };
        self.store.put_user(&user).await.unwrap();
        format!("Bearer {}", create_token(&*self.store, &name, SessionKind::Token, NOW).await.unwrap())
    }

    pub async fn agent(&self, host: &str) -> String {
        format!("Bearer {}", create_token(&*self.store, host, SessionKind::Agent, NOW).await.unwrap())
    }

    /// A step has the agent of that host run `sync`, and the agent has said that it takes commands.
    pub async fn order(&self, host: &str) -> Ended {
        let words: Vec<Arc<str>> = vec!["sync".into()];
        self.state.agents.heard(host, Takes::these("s".into(), vec![words.clone()]));
        let (what, within) = (OrderKind::Command(words.clone()), Span::from_secs(60));
        let order = Order { run: 1, step: 1, attempt: 1, host: host.into(), within, what };
        self.state.agents.carry_out(&order, &words).await
    }

    /// A signed-in browser: its cookie and the CSRF token of its forms.
    pub async fn browser(&self, role: Role) -> (String, String) {
        let user = User { name: "ann".into(), password_hash: "none".into(), role: role.as_str().into() };
        self.store.put_user(&user).await.unwrap();
        let secret = auth::open_session(&*self.store, &user, self.clock.now()).await.unwrap();
        let csrf = self.store.sessions().pop().unwrap();
        let hash = auth::secret_sha256(&secret).unwrap();
        let csrf = self.store.session(&hash).await.unwrap().map_or(csrf.csrf, |session| session.csrf);
        (format!("{}={secret}", auth::cookie_name(self.state.secure_cookies)), csrf)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub async fn get(&self, bearer: &str, path: &str) -> Answer {
        self.send(request("GET", path, &[("authorization", bearer)], "")).await
    }

    pub async fn post(&self, bearer: &str, path: &str, body: &str) -> Answer {
        self.send(request("POST", path, &[("authorization", bearer)], body)).await
    }

    pub async fn delete(&self, bearer: &str, path: &str) -> Answer {
        self.send(request("DELETE", path, &[("authorization", bearer)], "")).await
    }

    pub fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = (*self.state.engine.snapshot()).clone();
        change(&mut snapshot);
        self.state.engine.snapshot.store(Arc::new(snapshot));
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::from(body.to_owned())).unwrap()
}

pub fn from_peer(mut request: Request<Body>, peer: [u8; 4]) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 4711))));
    request
}

/// Applies posts as the real writer promises, without journal and rules.
async fn write(mut posts: mpsc::Receiver<Post>, shared: Arc<ArcSwap<Snapshot>>, seen: Arc<Mutex<Seen>>) {
    let mut ids = BTreeSet::new();
    let mut batches = BTreeMap::new();
    while let Some(post) = posts.recv().await {
        let mut snapshot = (*shared.load_full()).clone();
        snapshot.seq += 1;
        match post {
            Post::Refused(why) => {
                snapshot.refused = why;
                shared.store(Arc::new(snapshot));
            }
            Post::Command(CommandInput { command, id, .. }, reply) => {
                let answer = if id.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
                    Ok(Reply::Repeated)
                } else {
                    seen.lock().unwrap().commands.push(command.clone());
                    apply(&mut snapshot, command).map_err(Refused::from)
                };
                shared.store(Arc::new(snapshot));
                let _ = reply.send(answer);
            }
            Post::Result(result, reply) => {
                let repeated = result.id.as_ref().is_some_and(|id| !ids.insert(id.clone()));
                let receipt = match snapshot.catalog.object_id(&result.object) {
                    None => Receipt::UnknownObject,
                    Some(_) if repeated => Receipt::Applied,
                    Some(object) => {
                        take(&mut snapshot, object, &result);
                        seen.lock().unwrap().results.push(result);
                        Receipt::Applied
                    }
                };
                shared.store(Arc::new(snapshot));
                if let Some(reply) = reply {
                    let _ = reply.send(receipt);
                }
            }
            Post::AgentBatch(batch, reply) => {
                let newest = batches.entry((batch.agent.clone(), batch.boot.clone())).or_insert(0);
                let repeated = batch.sequence <= *newest;
                *newest = batch.sequence.max(*newest);
                let known =
                    |told: &&crate::engine::AgentResult| snapshot.catalog.object_id(&told.result.object).is_some();
                let accepted = if repeated { 0 } else { batch.results.iter().filter(known).count() };
                let unknown = batch.results.iter().filter(|r| !known(r)).map(|r| r.result.object.clone()).collect();
                seen.lock().unwrap().batches.push(batch);
                let _ = reply.send(Ok(Accepted { accepted, repeated, unknown }));
            }
            Post::Flush(reply) => drop(reply.send(snapshot.seq)),
            Post::Delivery(_) | Post::Catalog(..) | Post::Save(_) | Post::Stop(_) => {
                panic!("the web layer sends no such post")
            }
        }
    }
}

fn take(snapshot: &mut Snapshot, object: ObjectId, result: &KeyedResult) {
    let state = match result.observation.outcome {
        Outcome::Reported(state) => state.code(),
        Outcome::Observed | Outcome::Failed(_) | Outcome::ReportedHost(_) => 3,
    };
    let detail = Arc::new(Detail { observation: Some(Arc::clone(&result.observation)), ..Detail::default() });
    let (rows, details, index) = match object {
        ObjectId::Host(id) => (&mut snapshot.hosts, &mut snapshot.host_details, id.index()),
        ObjectId::Service(id) => (&mut snapshot.services, &mut snapshot.service_details, id.index()),
    };
    rows[index].state = state;
    rows[index].last_check = result.observed_at;
    rows[index].flags.set(Flags::CHECKED, true);
    details[index] = detail;
}

fn planned(id: u64, wanted: stentor_core::engine::DowntimeRequest) -> Downtime {
    Downtime {
        id,
        target: wanted.target,
        covers: wanted.covers,
        kind: wanted.kind,
        triggered_by: wanted.triggered_by,
        start: wanted.start,
        end: wanted.end,
        author: wanted.author,
        comment: wanted.comment,
        entered_at: NOW,
        active: wanted.kind == DowntimeKind::Fixed && wanted.start <= NOW,
        started_at: None,
        comment_id: 0,
        recurring: None,
    }
}

fn apply(snapshot: &mut Snapshot, command: Command) -> Result<Reply, CommandError> {
    match command {
        Command::AckIncident { number, ack, .. } => incident(snapshot, number, |incident| {
            incident.owner = Some(Arc::clone(&ack.by));
            incident.ack = Some(ack);
        }),
        Command::UnackIncident { number, .. } => incident(snapshot, number, |incident| incident.ack = None),
        Command::NoteIncident { number, by, text } => incident(snapshot, number, |incident| {
            let entry = TimelineEntry { at: NOW, kind: TimelineKind::Note, by: Some(by), text: text.to_string() };
            incident.timeline.push(entry);
        }),
        Command::AckObject { object, ack, .. } => {
            object_flag(snapshot, &object, Some(ack)).map_err(|()| CommandError::NoProblem(object.host.to_string()))
        }
        Command::UnackObject { object, .. } => {
            object_flag(snapshot, &object, None).map_err(|()| CommandError::NoObject(object.host.to_string()))
        }
        Command::ScheduleDowntime(wanted) => {
            let mut all = (*snapshot.downtimes).clone();
            let id = all.keys().max().copied().unwrap_or(0) + 1;
            all.insert(id, planned(id, wanted));
            snapshot.downtimes = Arc::new(all);
            Ok(Reply::DowntimeScheduled(id))
        }
        Command::CancelDowntime { id, .. } => {
            let mut all = (*snapshot.downtimes).clone();
            all.remove(&id).ok_or(CommandError::NoDowntime(id))?;
            snapshot.downtimes = Arc::new(all);
            Ok(Reply::Done)
        }
        Command::CheckNow { .. }
        | Command::DeleteComment { .. }
        | Command::DeleteAllComments { .. }
        | Command::CustomNotification { .. }
        | Command::DelayNotification { .. }
        | Command::SetNotificationNumber { .. }
        | Command::SetSwitch { .. }
        | Command::SetProgramSwitch { .. }
        | Command::SetContactSwitch { .. }
        | Command::Change { .. }
        | Command::ChangeContact { .. }
        | Command::GlobalEventHandler { .. }
        | Command::ClearFlapping { .. }
        | Command::ScheduleChecks { .. }
        | Command::Log { .. }
        | Command::SkipCheck { .. }
        | Command::RecordDrill { .. }
        | Command::Nothing => Ok(Reply::Done),
        Command::Run(request) => run(snapshot, &request).map(Reply::Run).map_err(CommandError::from),
        Command::AddComment(_) => Ok(Reply::CommentAdded(1)),
        Command::TestContact { contact, .. } if &*contact == "nobody" => Err(CommandError::NoContact(contact)),
        Command::TestContact { contact, .. } => {
            Ok(Reply::TestsSent(vec![format!("ECC/test/1-1/{contact}/email").into()]))
        }
    }
}

fn incident(snapshot: &mut Snapshot, number: u64, change: impl FnOnce(&mut Incident)) -> Result<Reply, CommandError> {
    let mut all = (*snapshot.incidents).clone();
    let incident = all.get_mut(&number).ok_or(CommandError::NoIncident(number))?;
    if !incident.phase.is_live() {
        return Err(CommandError::IncidentNotLive(number));
    }
    change(Arc::make_mut(incident));
    snapshot.incidents = Arc::new(all);
    Ok(Reply::Done)
}

/// The pure transitions, without what an engine does around them.
fn run(snapshot: &mut Snapshot, request: &RunRequest) -> Result<u64, RunError> {
    let live = |run: &&Arc<Run>| run.phase.is_live();
    let start = |id: &str, incident: Option<u64>| {
        let runbook = snapshot.catalog.runbook(id).ok_or_else(|| RunError::NoRunbook(id.into()))?;
        if let Some(run) = snapshot.runs.values().filter(live).find(|run| run.incident == incident) {
            return Err(RunError::UnderWay { run: run.number, runbook: id.into(), what: "it".to_owned() });
        }
        Ok(Run::new(NewRun {
            number: snapshot.runs.len() as u64 + 1,
            runbook: Arc::new(runbook.clone()),
            incident,
            target: RunTarget { host: Some("clc1".into()), component: Some("clc".into()), cloud: None },
            by: Arc::clone(&request.by.name),
            at: NOW,
            automatic: false,
            verification: Verification { intervals: 1, ..Verification::default() },
        }))
    };
    if request.by.right < Right::Operate {
        let who = Arc::clone(&request.by.name);
        return Err(RunError::Forbidden { who, has: request.by.right, needs: Right::Operate });
    }
    let facts = Observation::observed("");
    let now = Moment { at: NOW, catalog: &snapshot.catalog, facts: &facts, look_within: Span::from_secs(60) };
    let of = |number: &u64| snapshot.runs.get(number).map(|run| (**run).clone()).ok_or(RunError::NoRun(*number));
    let by = &request.by;
    let moved = match &request.action {
        RunAction::Start { incident } | RunAction::StartByItself { incident } => {
            start("rb-euca-clc-software", Some(*incident))?
        }
        RunAction::StartProcedure { runbook, .. } => start(runbook, None)?,
        RunAction::Begin { run, step, attempt } => {
            of(run).and_then(|mut run| run.begin(*step, *attempt, by, &now).map(|_| run))?
        }
        RunAction::Done { run, step, attempt, note } => {
            of(run).and_then(|mut run| run.done(*step, *attempt, note, by, &now).map(|_| run))?
        }
        RunAction::Fail { run, step, attempt, note } => {
            of(run).and_then(|mut run| run.fail(*step, *attempt, note, by, NOW).map(|_| run))?
        }
        RunAction::Skip { run, step, reason } => {
            of(run).and_then(|mut run| run.skip(*step, reason, by, NOW).map(|_| run))?
        }
        RunAction::Approve { run, step, attempt } => {
            of(run).and_then(|mut run| run.approve(*step, *attempt, by, &now).map(|_| run))?
        }
        RunAction::RollBack { run, step, note } => {
            of(run).and_then(|mut run| run.roll_back(*step, note, by, NOW).map(|_| run))?
        }
        RunAction::Finish { run } => of(run).and_then(|mut run| run.finish(Vec::new(), by, NOW).map(|_| run))?,
        RunAction::Abort { run, why } => of(run).and_then(|mut run| run.abort(why, by, NOW).map(|_| run))?,
        RunAction::Report { .. } => panic!("the web layer reports nothing"),
    };
    let number = moved.number;
    let mut all = (*snapshot.runs).clone();
    all.insert(number, Arc::new(moved));
    snapshot.runs = Arc::new(all);
    Ok(number)
}

fn object_flag(
    snapshot: &mut Snapshot,
    object: &ObjectKey,
    ack: Option<stentor_core::model::Ack>,
) -> Result<Reply, ()> {
    let (rows, details, index) = match snapshot.catalog.object_id(object).ok_or(())? {
        ObjectId::Host(id) => (&mut snapshot.hosts, &mut snapshot.host_details, id.index()),
        ObjectId::Service(id) => (&mut snapshot.services, &mut snapshot.service_details, id.index()),
    };
    if ack.is_some() && rows[index].state == 0 {
        return Err(());
    }
    rows[index].flags.set(Flags::ACKNOWLEDGED, ack.is_some());
    details[index] = Arc::new(Detail { ack: ack.map(Box::new), ..(*details[index]).clone() });
    Ok(Reply::Done)
}
