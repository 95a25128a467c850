//! SIGKILL at any moment: the world after 200 of them is the world of an undisturbed run of the same script.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stentor::store::sqlite::SqliteStore;
use stentor::store::{HistoryQuery, Store};
use stentor_core::Timestamp;
use tokio::sync::watch;

use crate::running::alone;
use crate::serve::{Receiver, Site, until};

const KILLS: usize = 200;
/// Rounds of the script; round `r` begins once its share of the kills has happened.
const ROUNDS: usize = 40;
const NOISE: usize = 12;
/// Longest life of a server between start and kill, in times that one takes to start and answer here: if none lived long
/// enough to answer, nothing would be killed but starts.
const LIFE_MAX_STARTS: u32 = 4;
/// Never shorter than this, however quick the machine.
const LIFE_MAX_MIN: Duration = Duration::from_millis(700);
const SEED: u64 = 0x5745_4e54_4f52;

/// SplitMix64: small, seeded, the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn config(receiver: &Receiver) -> String {
    let hosts: String = ["a", "b"]
        .iter()
        .map(|host| format!("[[host]]\nname = \"{host}\"\naddress = \"127.0.0.1\"\nzone = \"z\"\ncheck = \"none\"\n"))
        .collect();
    let services: String = (0..NOISE)
        .map(|i| format!("[[service]]\nhost = \"b\"\nname = \"noise{i}\"\nprobe = \"\"\nattempts = 9\n"))
        .collect();
    format!(
        "[engine]\ncheckpoint_every = \"2s\"\n[log]\nlevel = \"warn\"\n[[zone]]\nname = \"z\"\n{hosts}\
         [[service]]\nhost = \"a\"\nname = \"main\"\nprobe = \"\"\nattempts = 3\n{services}\
         [[contact]]\nname = \"noc\"\nwebhook = \"{}\"\nseverity_min = \"info\"\n\
         [[route]]\nname = \"all\"\nto = [\"noc\"]\n[notifier.webhook]\n",
        receiver.url
    )
}

/// Sends the script, each piece again until it is acknowledged.
struct Feeder<'a> {
    site: &'a Site,
    receiver: &'a Receiver,
    dice: Dice,
    /// Seconds of the script's own clock: results carry it, so that their order does not depend on the machine's.
    begun: i64,
    now: i64,
    sent: u64,
    resent: u64,
    incident: u64,
    /// Messages of the present incident so far.
    told: u32,
    noise: [u64; NOISE],
    /// The first request that fits is not sent, and taken for answered: what the comparison must see.
    lose: Option<fn(&Sent<'_>) -> bool>,
}

/// A request, for choosing one.
struct Sent<'a> {
    path: &'a str,
    body: Option<&'a Value>,
    key: Option<&'a str>,
}

impl Feeder<'_> {
    /// Until it is answered; an answer that the server could not do it now (it is stopping) is none.
    async fn deliver(&mut self, method: &str, path: &str, body: Option<Value>, key: Option<String>) -> Value {
        self.sent += 1;
        let request = Sent { path, body: body.as_ref(), key: key.as_deref() };
        if self.lose.take_if(|fits| fits(&request)).is_some() {
            return json!({"accepted": body.as_ref().and_then(Value::as_array).map(Vec::len)});
        }
        let mut tries = 0u64;
        let (status, answer) = until(&format!("{method} {path} is answered"), async || {
            tries += 1;
            let answer = self.site.send(method, path, body.as_ref(), key.as_deref()).await.ok()?;
            (!answer.0.is_server_error()).then_some(answer)
        })
        .await;
        self.resent += tries - 1;
        assert!(status.is_success(), "{method} {path} {key:?}: {status} {answer}");
        answer
    }

    fn at(&mut self) -> String {
        self.now += 1;
        Timestamp::from_secs(self.now).to_rfc3339()
    }

    fn one(&mut self, host: &str, service: Option<&str>, code: u64) -> Value {
        let at = self.at();
        json!({
            "host": host, "service": service, "code": code, "observed_at": at,
            "output": format!("{host} {service:?} {code} at {}|n={}", self.now - self.begun, self.now - self.begun),
            "id": format!("r{}", self.now - self.begun),
        })
    }

    async fn results(&mut self, results: Vec<Value>) {
        let count = results.len();
        let answer = self.deliver("POST", "/api/v1/results", Some(Value::Array(results)), None).await;
        assert_eq!(answer["accepted"], count, "{answer}");
    }

    async fn result(&mut self, host: &str, service: Option<&str>, code: u64) {
        let result = self.one(host, service, code);
        self.results(vec![result]).await;
    }

    /// Soft problems that come and go, in batches: no incident, but states, attempts and history.
    async fn noise(&mut self) {
        let mut batch = Vec::new();
        for i in 0..NOISE {
            // Nine attempts make a problem hard; a run of problems ends before.
            let ends = self.noise[i] >= 7 || self.dice.one_in(3);
            self.noise[i] = if ends { 0 } else { self.noise[i] + 1 };
            let code = if ends { 0 } else { 1 + self.dice.below(3) };
            batch.push(self.one("b", Some(&format!("noise{i}")), code));
        }
        self.results(batch).await;
    }

    async fn phase(&self, phase: &'static str) {
        let path = format!("/api/v1/incidents/{}", self.incident);
        until(&format!("INC-{} is {phase}", self.incident), async || {
            let (status, incident) = self.site.send("GET", &path, None, None).await.ok()?;
            (status.is_success() && incident["phase"] == phase).then_some(())
        })
        .await;
    }

    async fn page(&mut self, reason: &str) {
        self.told += 1;
        self.receiver.has(&format!("test/INC-{}/{reason}/{}/noc/webhook", self.incident, self.told)).await;
    }

    fn key(&self, what: &str) -> Option<String> {
        Some(format!("{what}-{}-{}", self.incident, self.now - self.begun))
    }

    async fn ack(&mut self) {
        let path = format!("/api/v1/incidents/{}/ack", self.incident);
        let body = json!({"comment": format!("mine {}", self.incident), "sticky": true, "notify": true});
        self.deliver("POST", &path, Some(body), self.key("ack")).await;
    }

    /// A whole failure: down, a page, perhaps taken and given back, up, a page.
    async fn outage(&mut self, host: bool, taken: bool) {
        (self.incident, self.told) = (self.incident + 1, 0);
        if host {
            self.result("a", None, 1).await;
        } else {
            let problems = (0..3).map(|_| self.one("a", Some("main"), 2)).collect();
            self.results(problems).await;
        }
        self.phase("open").await;
        if taken {
            self.ack().await;
            self.noise().await;
            if self.dice.one_in(2) {
                let path = format!("/api/v1/incidents/{}/ack", self.incident);
                self.deliver("DELETE", &path, None, self.key("unack")).await;
                self.ack().await;
            }
        }
        let notes = format!("/api/v1/incidents/{}/notes", self.incident);
        self.deliver(
            "POST",
            &notes,
            Some(json!({"text": format!("note {}", self.now - self.begun)})),
            self.key("note"),
        )
        .await;
        self.result("a", (!host).then_some("main"), 0).await;
        self.phase("resolved").await;
    }

    /// A failure inside a planned window: nobody is told until the window is cancelled.
    async fn planned(&mut self) {
        (self.incident, self.told) = (self.incident + 1, 0);
        let window = json!({
            "host": "a", "service": "main", "comment": format!("window {}", self.incident),
            "start": Timestamp::from_secs(self.begun).to_rfc3339(),
            "end": Timestamp::from_secs(self.begun + 86_400).to_rfc3339(),
        });
        let made = self.deliver("POST", "/api/v1/downtimes", Some(window), self.key("plan")).await;
        let problems = (0..3).map(|_| self.one("a", Some("main"), 2)).collect();
        self.results(problems).await;
        self.phase("open").await;
        let path = format!("/api/v1/downtimes/{}", made["id"]);
        self.deliver("DELETE", &path, None, self.key("cancel")).await;
        self.page("problem").await;
        self.result("a", Some("main"), 0).await;
        self.phase("resolved").await;
    }

    /// The whole script; `gate` opens the rounds.
    async fn play(&mut self, rounds: usize, mut gate: watch::Receiver<usize>) {
        for round in 0..rounds {
            gate.wait_for(|kills| *kills >= round * KILLS / rounds).await.expect("the killer goes on to its end");
            self.noise().await;
            match round % 4 {
                0 => self.outage(false, false).await,
                1 => self.outage(true, true).await,
                2 => self.planned().await,
                _ => self.outage(false, true).await,
            }
            self.noise().await;
        }
        self.leave_things_open().await;
    }

    /// What must be there at the end, and not only have been.
    async fn leave_things_open(&mut self) {
        (self.incident, self.told) = (self.incident + 1, 0);
        self.result("a", None, 1).await;
        self.phase("open").await;
        self.ack().await;
        let end = Timestamp::from_secs(self.begun + 86_400).to_rfc3339();
        for (i, start) in [(0, self.begun), (1, self.begun + 40_000)] {
            let window = json!({
                "host": "b", "service": format!("noise{i}"), "comment": "stays",
                "start": Timestamp::from_secs(start).to_rfc3339(), "end": end,
            });
            self.deliver("POST", "/api/v1/downtimes", Some(window), Some(format!("stay{i}"))).await;
        }
    }
}

/// Everything that must not differ, without the times at which it happened.
#[derive(Debug, PartialEq)]
struct World {
    objects: Vec<Value>,
    incidents: Vec<Value>,
    downtimes: Vec<Value>,
    keys: Vec<(String, String)>,
    received: BTreeSet<String>,
    history: Vec<String>,
    notified: BTreeMap<String, usize>,
}

fn only(item: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect::<serde_json::Map<_, _>>().into()
}

fn items(list: &Value) -> &[Value] {
    assert!(list["next"].is_null(), "one page holds all");
    list["items"].as_array().unwrap()
}

async fn world(site: &Site, receiver: &Receiver) -> World {
    let status = ["state", "kind", "attempt", "acknowledged", "downtime_depth", "incident", "output", "stale"];
    let with = |names: &[&'static str]| [names, &status].concat();
    let mut objects = Vec::new();
    for (path, names) in [("hosts", vec!["name"]), ("services", vec!["host", "service"])] {
        let list = site.get(&format!("/api/v1/{path}?limit=1000")).await;
        for item in items(&list) {
            let mut seen = only(item, &with(&names));
            seen["ack"] = only(&item["ack"], &["by", "comment", "sticky", "until"]);
            objects.push(seen);
        }
    }
    let list = site.get("/api/v1/incidents?limit=1000").await;
    let incidents = items(&list).iter().map(|item| {
        let mut seen = only(item, &["number", "phase", "title", "class", "target", "severity", "owner", "problems"]);
        seen["ack"] = only(&item["ack"], &["by", "comment", "sticky", "until"]);
        // When a delivery is told is not the script's to say; that it is told once is looked at in `notified`.
        let timeline = item["timeline"].as_array().unwrap();
        seen["timeline"] = timeline.iter().map(|entry| entry["kind"].clone()).filter(|kind| kind != "paged").collect();
        seen
    });
    let incidents = incidents.collect();
    let list = site.get("/api/v1/downtimes?limit=1000").await;
    let downtimes =
        items(&list).iter().map(|item| only(item, &["id", "target", "services", "comment", "author", "active"]));
    let downtimes = downtimes.collect();
    let store = SqliteStore::open(&site.dir().join("stentor.db")).await.unwrap();
    let keys = store.outbox_keys(None).await.unwrap();
    let mut rows = Vec::new();
    let mut query = HistoryQuery { limit: 500, ..HistoryQuery::default() };
    loop {
        let page = store.history(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.before = Some((last.seq, last.ordinal));
        rows.extend(page);
    }
    rows.reverse();
    let (mut history, mut notified) = (Vec::new(), BTreeMap::new());
    for row in rows {
        let event = row.event;
        let about = format!("{} {:?} {:?}", event.kind.as_str(), event.object, event.incident);
        match event.kind.as_str() {
            "notified" => *notified.entry(format!("{about} {}", event.text)).or_default() += 1,
            // Its text says for how long it was seen.
            "incident_opened" => history.push(about),
            _ => history.push(format!("{about} {}", event.text)),
        }
    }
    World { objects, incidents, downtimes, keys, received: receiver.keys().into_keys().collect(), history, notified }
}

/// The last page is out and recorded, and the engine knows.
async fn settled(site: &Site, last: u64) {
    let path = format!("/api/v1/incidents/{last}");
    until("every page is recorded", async || {
        let incident = site.get(&path).await;
        let paged = incident["timeline"].as_array()?.iter().filter(|entry| entry["kind"] == "paged").count();
        (paged == 2).then_some(())
    })
    .await;
}

struct Outcome {
    world: World,
    repeated: usize,
    sent: u64,
    resent: u64,
}

/// Kills and restarts until it has done so `KILLS` times; returns with the server running.
async fn kill(
    site: &Site,
    receiver: &Receiver,
    kills: &watch::Sender<usize>,
    start_takes: Duration,
) -> crate::serve::Server {
    let mut dice = Dice(SEED ^ 1);
    let mut pages = receiver.watch();
    loop {
        let mut server = site.spawn();
        if *kills.borrow() == KILLS {
            site.answers(&mut server).await;
            return server;
        }
        pages.mark_unchanged();
        // The moment is the test's input. Some moments are chosen with care: a page was taken and not yet recorded.
        let life_max = LIFE_MAX_MIN.max(start_takes * LIFE_MAX_STARTS).as_millis();
        let life = Duration::from_millis(dice.below(u64::try_from(life_max).unwrap()));
        let at_page = dice.one_in(4);
        tokio::select! {
            () = tokio::time::sleep(life) => {}
            _ = pages.changed(), if at_page => {}
        }
        assert!(server.child.try_wait().unwrap().is_none(), "the server ended by itself:\n{}", site.log());
        server.kill();
        kills.send_modify(|kills| *kills += 1);
    }
}

/// One run of the script.
#[derive(Clone, Copy)]
struct Plan {
    /// Epoch seconds at which the script's own clock starts, the same for runs that are compared.
    begun: i64,
    rounds: usize,
    disturbed: bool,
    lose: Option<fn(&Sent<'_>) -> bool>,
}

impl Plan {
    fn calm(rounds: usize) -> Plan {
        let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Plan { begun: i64::try_from(epoch.as_secs()).unwrap() - 20_000, rounds, disturbed: false, lose: None }
    }
}

async fn run(plan: Plan) -> Outcome {
    let Plan { begun, rounds, disturbed, lose } = plan;
    let receiver = Receiver::start().await;
    let site = Site::new(&config(&receiver));
    // The very first start is not killed: it tells the token.
    let starting = Instant::now();
    let first = site.start().await;
    let start_takes = starting.elapsed();
    let mut feeder = Feeder {
        site: &site,
        receiver: &receiver,
        dice: Dice(SEED),
        begun,
        now: begun,
        sent: 0,
        resent: 0,
        incident: 0,
        told: 0,
        noise: [0; NOISE],
        lose,
    };
    let (kills, gate) = watch::channel(if disturbed { 0 } else { KILLS });
    let (_server, ()) = if disturbed {
        let mut first = first;
        first.kill();
        tokio::join!(kill(&site, &receiver, &kills, start_takes), feeder.play(rounds, gate))
    } else {
        (first, feeder.play(rounds, gate).await)
    };
    assert!(feeder.lose.is_none(), "nothing was lost");
    let (sent, resent, last) = (feeder.sent, feeder.resent, feeder.incident);
    settled(&site, last).await;
    let world = world(&site, &receiver).await;
    let repeated = receiver.pages().len() - world.received.len();
    Outcome { world, repeated, sent, resent }
}

/// The first difference; whole worlds fill screens.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, killed: &[T], calm: &[T]) -> Result<(), String> {
    for i in 0..killed.len().max(calm.len()) {
        let (with, without) = (killed.get(i), calm.get(i));
        if with != without {
            return Err(format!("{what}, item {i}:\n  with kills {with:#?}\n  without {without:#?}"));
        }
    }
    Ok(())
}

fn same_world(killed: &World, calm: &World) -> Result<(), String> {
    let World { objects, incidents, downtimes, keys, received, history, notified } = killed;
    same("outbox", keys, &calm.keys)?;
    same("pages", &Vec::from_iter(received), &Vec::from_iter(&calm.received))?;
    same("states", objects, &calm.objects)?;
    same("incidents", incidents, &calm.incidents)?;
    same("downtimes", downtimes, &calm.downtimes)?;
    same("history", history, &calm.history)?;
    same("deliveries", &Vec::from_iter(notified), &Vec::from_iter(&calm.notified))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_change_nothing() {
    let _alone = alone().await;
    let begun = Instant::now();
    let plan = Plan::calm(ROUNDS);
    let calm = run(plan).await;
    let calm_took = begun.elapsed();
    let killed = run(Plan { disturbed: true, ..plan }).await;
    eprintln!(
        "undisturbed {calm_took:.1?}, with {KILLS} kills {:.1?}: {} requests, {} sent again, {} pages repeated",
        begun.elapsed() - calm_took,
        killed.sent,
        killed.resent,
        killed.repeated
    );
    assert!(!calm.world.received.is_empty() && calm.repeated == 0 && calm.resent == 0);
    assert!(killed.resent > 0, "no kill met a request");
    same_world(&killed.world, &calm.world).unwrap();
}

/// What would be seen if a kill lost a single input, of each sort there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_comparison_sees_each_sort_of_lost_input() {
    type Sort = (&'static str, fn(&Sent<'_>) -> bool);
    const SORTS: [Sort; 5] = [
        ("a batch of results", |sent| sent.body.and_then(Value::as_array).is_some_and(|all| all.len() == NOISE)),
        ("an acknowledgement", |sent| sent.key.is_some_and(|key| key.starts_with("ack-"))),
        ("a note", |sent| sent.path.ends_with("/notes")),
        ("a downtime", |sent| sent.key == Some("stay0")),
        ("the end of an acknowledgement", |sent| sent.key.is_some_and(|key| key.starts_with("unack-"))),
    ];
    // A round of each kind, and the end.
    let plan = Plan::calm(4);
    let whole = run(plan).await;
    let again = run(plan).await;
    same_world(&again.world, &whole.world).expect("two whole runs are the same");
    for (sort, lose) in SORTS {
        let lossy = run(Plan { lose: Some(lose), ..plan }).await;
        assert_eq!(lossy.sent, whole.sent, "{sort}: the script is the same");
        let found = same_world(&lossy.world, &whole.world);
        assert!(found.is_err(), "nobody would notice that {sort} was lost");
    }
}
