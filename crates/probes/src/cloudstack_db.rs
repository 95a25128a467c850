//! `cloudstack_db`: which database a management server is to use, which one it does use, and when it turns back to its source.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::Timestamp;
use stentor_core::model::Observation;
use stentor_wire::cloudstack::Database;
use stentor_wire::cloudstack::properties::{database, proxy_of_port};
use stentor_wire::cloudstack::sockets::peers;

use super::look::{Lane, ahead_of, from_io, look};
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct CloudStackDb {
    env: ProbeEnv,
    config: Config,
    /// Hosts that were last seen on a replica, since when. Held for one look-up, never across an await.
    on_replica: Mutex<HashMap<Arc<str>, Timestamp>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub file: String,
    /// `cloud` or `usage`.
    pub database: String,
}

impl Default for Config {
    fn default() -> Self {
        Config { file: "/etc/cloudstack/management/db.properties".to_owned(), database: "cloud".to_owned() }
    }
}

/// Hosts that one probe remembers.
const KEPT_MAX: usize = 1000;
/// Main class of the management server, and its name in releases before 4.11.
const SERVERS: [&str; 2] = ["org.apache.cloudstack.ServerDaemon", "cloudstack-management"];

impl Probe for CloudStackDb {
    const KIND: &'static str = "cloudstack_db";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/cloudstack_db.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `cloudstack_db`: {why}") };
        if !config.file.starts_with('/') {
            return Err(refuse("`file` is an absolute path"));
        }
        if !["cloud", "usage"].contains(&config.database.as_str()) {
            return Err(refuse("`database` is `cloud` or `usage`"));
        }
        Ok(CloudStackDb { env: env.clone(), config, on_replica: Mutex::default() })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let file = self.config.file.clone();
        let (text, hosts, tables, runs) = look(&self.env.view, Lane::Kernel, deadline, move |view| {
            let text = view.read(&file)?;
            let optional = |path: &str| view.read(path).unwrap_or_default();
            let tables = format!("{}\n{}", optional("/proc/net/tcp"), optional("/proc/net/tcp6"));
            let is_server = |line: &str| SERVERS.iter().any(|server| line.contains(server)) && line.contains("java");
            let runs = view.processes()?.iter().any(|one| one.state != 'Z' && is_server(&one.command_line));
            Ok((text, optional("/etc/hosts"), tables, runs))
        })
        .await?;
        let Some(database) = database(&text, &self.config.database) else {
            let why = format!("`{}` names no database `{}`", self.config.file, self.config.database);
            return Err(from_io(&std::io::Error::new(std::io::ErrorKind::InvalidData, why)));
        };
        let source = self.addresses(std::slice::from_ref(&database.host), &hosts, deadline).await;
        let replicas = self.addresses(&database.replicas, &hosts, deadline).await;
        let peers = peers(&tables, database.port);
        let found = Found { database: &database, source, replicas, peers };
        let server = if runs { "running" } else { "absent" };
        Ok(self.countdown(target, found.observe(runs), &database, runs).fact("server", server))
    }
}

impl CloudStackDb {
    /// Addresses of names, those that the host itself has in its file first; with the names that have none.
    async fn addresses(&self, names: &[String], hosts: &str, deadline: Deadline) -> (Vec<IpAddr>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            if let Ok(address) = name.parse::<IpAddr>() {
                known.push(address);
                continue;
            }
            let own: Vec<IpAddr> = of_hosts(hosts, name);
            if !own.is_empty() {
                known.extend(own);
                continue;
            }
            match self.env.net.resolve(name, 1, deadline).await {
                Ok(found) => known.push(found.ip().to_canonical()),
                Err(_) => unknown.push(name.clone()),
            }
        }
        (known, unknown)
    }

    /// How long it has been on a replica, and how much longer at most.
    fn countdown(&self, target: &Target, seen: Observation, database: &Database, runs: bool) -> Observation {
        let word = seen.facts.get("connected_to").map(ToString::to_string).unwrap_or_default();
        let now = self.env.clock.now();
        let mut kept = self.on_replica.lock().unwrap_or_else(PoisonError::into_inner);
        if word != "replica" || !runs {
            kept.remove(&target.host);
            return seen;
        }
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let since = *kept.entry(Arc::clone(&target.host)).or_insert(now);
        drop(kept);
        let gone_s = now.since(since).as_millis().max(0) / 1000;
        let left_s = i64::try_from(database.seconds_before_retry).unwrap_or(i64::MAX).saturating_sub(gone_s).max(0);
        let text = format!(
            "{}, for {gone_s} s as far as is known; it tries the source again in {left_s} s at most",
            seen.text
        );
        let seen = Observation { text: text.into(), ..seen };
        seen.fact("on_replica_s", gone_s).fact("back_to_source_s", left_s).measure("back_to_source", left_s as f64, "s")
    }
}

/// `192.0.2.7  db1.example.org db1`
fn of_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse::<IpAddr>().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

struct Found<'a> {
    database: &'a Database,
    source: (Vec<IpAddr>, Vec<String>),
    replicas: (Vec<IpAddr>, Vec<String>),
    peers: BTreeMap<IpAddr, usize>,
}

impl Found<'_> {
    fn observe(&self, runs: bool) -> Observation {
        let Database { host, port, ha_enabled, replicas, .. } = self.database;
        let count = |of: &[IpAddr]| -> usize {
            self.peers.iter().filter(|(address, _)| of.contains(address)).map(|(_, count)| count).sum()
        };
        let (to_source, to_replicas) = (count(&self.source.0), count(&self.replicas.0));
        let unknown: Vec<String> = [self.source.1.clone(), self.replicas.1.clone()].concat();
        let word = match (to_source, to_replicas) {
            (0, 0) => "none",
            (_, 0) => "source",
            (0, _) => "replica",
            // On its way back, or a node that stands in both lists.
            (_, _) => "both",
        };
        let ha = if *ha_enabled { format!("replicas {}", replicas.join(" ")) } else { "database HA off".to_owned() };
        let text = if runs {
            format!("source {host}:{port}, {ha}; connected to: {word}")
        } else {
            format!("source {host}:{port}, {ha}; the management server does not run")
        };
        let seen = Observation::observed(text)
            .fact("source", host.as_str())
            .fact("port_of_source", u32::from(*port))
            .fact("ha_enabled", *ha_enabled)
            .fact("replicas", replicas.clone())
            .fact("replicas_usable", self.usable_replicas())
            .fact("seconds_before_retry", self.database.seconds_before_retry as f64)
            .fact("queries_before_retry", self.database.queries_before_retry as f64)
            .fact("proxy", proxy_of_port(*port))
            .fact("has_uri", self.database.has_uri)
            .fact("connections_source", to_source)
            .fact("connections_replica", to_replicas)
            .fact("unresolved", unknown.clone());
        // Whom it talks to is known only if every name has an address, or a connection was seen.
        if word == "none" && !unknown.is_empty() { seen } else { seen.fact("connected_to", word) }
    }

    /// Replicas that are another node than the source; the file as shipped has `localhost,localhost`.
    fn usable_replicas(&self) -> usize {
        let is_other = |address: &&IpAddr| !self.source.0.contains(address);
        let mut others: Vec<&IpAddr> = self.replicas.0.iter().filter(is_other).collect();
        others.sort_unstable();
        others.dedup();
        others.len()
    }
}

#[cfg(test)]
mod tests {
    use stentor_core::Span;

    use super::*;
    use crate::clock::Clock;
    use crate::sim_view::SimView;
    use crate::testing::{NOW_S, build, env, number, plain_env, run_on, target, text, within};
    use crate::view::Process;

    const FILE: &str = "db.cloud.host=db1\ndb.cloud.port=3306\ndb.cloud.password=secret\ndb.ha.enabled=true\n\
        db.cloud.replicas=db2\ndb.cloud.secondsBeforeRetrySource=3600\n";
    const HOSTS: &str = "127.0.0.1 localhost\n192.0.2.7 db1.example.org db1\n192.0.2.8 db2\n";

    fn table(peers: &[&str]) -> String {
        let line = |(i, peer): (usize, &&str)| format!("{i}: 050200C0:9C4{i} {peer}:0CEA 01 0\n");
        peers.iter().enumerate().map(line).collect()
    }

    fn server(file: &str, peers: &[&str], runs: bool) -> Arc<SimView> {
        let view = SimView::new();
        view.put("/etc/cloudstack/management/db.properties", file);
        view.put("/etc/hosts", HOSTS);
        view.put("/proc/net/tcp", &table(peers));
        let command_line = format!("/usr/bin/java -Djava.awt.headless=true {}", SERVERS[0]);
        view.change(|host| {
            host.processes = if runs { vec![process(&command_line)] } else { Vec::new() };
        });
        Arc::new(view)
    }

    fn process(command_line: &str) -> Process {
        Process {
            pid: 9,
            state: 'S',
            name: "java".into(),
            command_line: command_line.to_owned(),
            user_id: 0,
            age_s: 1,
            rss_bytes: 0,
        }
    }

    const SOURCE: &str = "070200C0";
    const REPLICA: &str = "080200C0";

    #[tokio::test]
    async fn connections_tell_which_database_is_used() {
        for (peers, word) in [
            (&[SOURCE, SOURCE][..], "source"),
            (&[REPLICA], "replica"),
            (&[SOURCE, REPLICA], "both"),
            (&[], "none"),
            (&["090200C0"], "none"),
        ] {
            let seen = run_on("cloudstack_db", "{}", server(FILE, peers, true)).await.expect("observed");
            assert_eq!(text(&seen, "connected_to"), word, "{seen:?}");
            assert!(!format!("{seen:?}").contains("secret"), "a password shows");
        }
        let seen = run_on("cloudstack_db", "{}", server(FILE, &[SOURCE], true)).await.expect("observed");
        assert_eq!((number(&seen, "connections_source"), text(&seen, "proxy").as_str()), (1.0, "none"));
    }

    #[tokio::test]
    async fn the_countdown_runs_from_the_first_look_at_the_replica() {
        let (clock, view) = (Clock::manual(Timestamp::from_secs(NOW_S)), server(FILE, &[REPLICA], true));
        let env = ProbeEnv { clock: clock.clone(), ..env(view.clone()) };
        let probe = build("cloudstack_db", "{}", &env).expect("built");
        let run = || async { probe.run(&target("192.0.2.5"), within(5000)).await.expect("observed") };
        assert_eq!(number(&run().await, "back_to_source_s"), 3600.0);
        clock.advance(Span::from_secs(600));
        let seen = run().await;
        assert_eq!((number(&seen, "on_replica_s"), number(&seen, "back_to_source_s")), (600.0, 3000.0));
        clock.advance(Span::from_secs(9000));
        assert_eq!(number(&run().await, "back_to_source_s"), 0.0);
        view.put("/proc/net/tcp", &table(&[SOURCE]));
        assert!(!run().await.facts.contains_key("back_to_source_s"));
        view.put("/proc/net/tcp", &table(&[REPLICA]));
        assert_eq!(number(&run().await, "back_to_source_s"), 3600.0, "it begins anew");
    }

    #[tokio::test]
    async fn the_file_as_shipped_has_no_usable_replica() {
        let shipped =
            FILE.replace("replicas=db2", "replicas=localhost,localhost").replace("host=db1", "host=localhost");
        let seen = run_on("cloudstack_db", "{}", server(&shipped, &[], true)).await.expect("observed");
        assert_eq!((number(&seen, "replicas_usable"), text(&seen, "connected_to").as_str()), (0.0, "none"));
    }

    #[tokio::test]
    async fn a_server_that_does_not_run_is_told_and_routers_are_seen() {
        let routed = FILE.replace("port=3306", "port=6446");
        let seen = run_on("cloudstack_db", "{}", server(&routed, &[], false)).await.expect("observed");
        assert_eq!((text(&seen, "server").as_str(), text(&seen, "proxy").as_str()), ("absent", "mysql_router"));
    }

    #[tokio::test]
    async fn names_without_an_address_leave_it_open() {
        let file = FILE.replace("host=db1", "host=db1.no-such-name.invalid");
        let seen = run_on("cloudstack_db", "{}", server(&file, &[], true)).await.expect("observed");
        assert!(!seen.facts.contains_key("connected_to"), "{seen:?}");
        assert_eq!(text(&seen, "unresolved"), "[db1.no-such-name.invalid]");
    }

    #[tokio::test]
    async fn no_file_is_our_trouble_not_the_databases() {
        assert!(run_on("cloudstack_db", "{}", Arc::new(SimView::new())).await.is_err());
        assert!(run_on("cloudstack_db", "{}", server("x=y\n", &[], true)).await.is_err());
        for params in [r#"{"file":"x"}"#, r#"{"database":"mysql"}"#] {
            assert!(build("cloudstack_db", params, &plain_env()).is_err(), "{params}");
        }
    }
}
