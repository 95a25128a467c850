//! `mysql`: whether a MySQL or MariaDB serves, how its replication goes, and what it will run out of.

mod session;

use stentor_core::model::Observation;
use stentor_wire::sql::gtid::{Gtids, MariadbState};
use stentor_wire::sql::{Row, Table, is_on, number};
use tokio::time::Instant;

use super::{Base, Config, Door, Found, Look, Refusal, Session as _, absent_peer, run};
use crate::reach::Attempt;
use crate::talk::shown;
use crate::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

use session::Mysql as Session;

pub struct Mysql {
    base: Base,
}

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'log_bin', \
    'server_id', 'server_uuid', 'max_connections', 'gtid_slave_pos', 'gtid_current_pos', 'gtid_binlog_state', \
    'gtid_executed', 'expire_logs_days', 'binlog_expire_logs_seconds', 'rpl_semi_sync_master_enabled', \
    'rpl_semi_sync_source_enabled', 'wsrep_on')";
const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Uptime', 'Aborted_connects', \
    'Rpl_semi_sync_master_status', 'Rpl_semi_sync_source_status', 'Rpl_semi_sync_master_clients', \
    'Rpl_semi_sync_source_clients', 'wsrep_cluster_status', 'wsrep_cluster_size', 'wsrep_local_state_comment', \
    'wsrep_ready', 'wsrep_flow_control_paused')";

impl Probe for Mysql {
    const KIND: &'static str = "mysql";
    const DOC: &'static str = include_str!("../../../../../docs/probes/mysql.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Mysql { base: Base::build(Self::KIND, config, 3306, env)? })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        run(self, target, deadline).await
    }
}

/// What of one half is compared with the other.
pub(super) struct Half {
    is_mariadb: bool,
    is_writable: bool,
    variables: Table,
}

impl Half {
    fn of(is_mariadb: bool, variables: Table) -> Half {
        let is_set = |name: &str| variables.named(name).is_some_and(|value| value != "OFF" && value != "0");
        Half { is_mariadb, is_writable: !is_set("read_only") && !is_set("super_read_only"), variables }
    }

    fn text(&self, name: &str) -> &str {
        self.variables.named(name).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<f64> {
        number(self.variables.named(name)?)
    }

    /// Transactions that are here and not there.
    fn beyond(&self, other: &Half) -> Option<u64> {
        if self.is_mariadb != other.is_mariadb {
            return None;
        }
        if self.is_mariadb {
            let state = |half: &Half| MariadbState::parse(half.text("gtid_binlog_state"), half.text("gtid_slave_pos"));
            return Some(state(self)?.beyond(&state(other)?));
        }
        Some(self.executed()?.beyond(&other.executed()?))
    }

    /// Transactions that are there and not here.
    fn behind(&self, other: &Half) -> Option<u64> {
        if self.is_mariadb != other.is_mariadb {
            return None;
        }
        Some(other.executed()?.beyond(&self.executed()?))
    }

    fn executed(&self) -> Option<Gtids> {
        if self.is_mariadb {
            return Gtids::of_mariadb(self.variables.named("gtid_current_pos")?);
        }
        Gtids::of_mysql(self.variables.named("gtid_executed")?)
    }
}

impl Look for Mysql {
    type Session = Session;
    type Half = Half;

    fn base(&self) -> &Base {
        &self.base
    }

    async fn look(
        &self,
        seen: Observation,
        attempt: &Attempt,
        session: &mut Session,
        deadline: Deadline,
    ) -> Result<(Found, Half), Refusal> {
        let is_mariadb = session.greeting.is_mariadb();
        let own = Half::of(is_mariadb, session.ask(VARIABLES).await?);
        let status = session.ask(STATUS).await?;
        let version = shown(session.greeting.plain_version());
        let number_of = |name: &str| status.named(name).and_then(number);
        let flavor = if is_mariadb { "MariaDB" } else { "MySQL" };
        let mut found = Found::new(seen, format!("{flavor} {version}"));
        found = found.fact("mysql", "ok").fact("flavor", flavor.to_lowercase()).fact("version", version);
        found = found.fact("writable", own.is_writable);
        for (name, fact) in [("Uptime", "uptime_s"), ("Aborted_connects", "aborted_connects")] {
            if let Some(value) = number_of(name) {
                found = found.fact(fact, value);
            }
        }
        found = found.connections(number_of("Threads_connected"), own.number("max_connections"));
        let mut is_replica = false;
        if let Some(table) = replicas(&mut found, session, is_mariadb).await? {
            is_replica = !table.rows.is_empty();
            found = replication(found, &table);
        }
        let is_galera = own.text("wsrep_on") == "ON";
        found = found.fact(
            "role",
            match (is_galera, is_replica) {
                (true, _) => "galera",
                (false, true) => "replica",
                (false, false) => "primary",
            },
        );
        if is_galera {
            found = galera(found, &status);
        }
        found = semi_sync(found, &own, &status);
        found = self.binlog(found, &own, attempt, session).await?;
        if let Some(sql) = &self.base.config.query {
            // Ours is over by then: nobody reads the answer, and the server must not go on.
            let left = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
            let limit = if is_mariadb {
                format!("SET SESSION max_statement_time = {}", left as f64 / 1000.0)
            } else {
                format!("SET SESSION max_execution_time = {left}")
            };
            found = found.query(session, &[limit, "START TRANSACTION READ ONLY".to_owned()], sql).await?;
        }
        Ok((found, own))
    }

    async fn with_peer(found: Found, own: &Half, door: Door<Session>) -> Found {
        with_peer(found, own, door).await
    }
}

impl Mysql {
    async fn binlog(
        &self,
        mut found: Found,
        own: &Half,
        attempt: &Attempt,
        session: &mut Session,
    ) -> Result<Found, Refusal> {
        let has_log = is_on(own.text("log_bin"));
        found = found.fact("binlog", has_log);
        if !has_log {
            return Ok(found);
        }
        // Zero days, or seconds, are for ever.
        let days = own.number("expire_logs_days").map(|days| days * 86_400.0);
        if let Some(kept) = own.number("binlog_expire_logs_seconds").filter(|kept| *kept > 0.0).or(days) {
            found = found.fact("binlog_expire_s", kept);
        }
        let Some(logs) = found.try_ask(session, "SHOW BINARY LOGS", "SHOW BINARY LOGS").await? else {
            return Ok(found);
        };
        let bytes = logs.rows().filter_map(|row| row.number("File_size")).sum();
        found = found.fact("binlog_files", logs.rows.len());
        Ok(self.base.log(found, "binlog", attempt, bytes))
    }
}

/// Where it copies from; a replica of several sources has several rows. Names changed with MySQL 8.0.22.
async fn replicas(found: &mut Found, session: &mut Session, is_mariadb: bool) -> Result<Option<Table>, Refusal> {
    if is_mariadb {
        return found.try_ask(session, "replication", "SHOW ALL SLAVES STATUS").await;
    }
    match session.ask("SHOW REPLICA STATUS").await {
        // A syntax error: an older server.
        Err(Refusal::Server(failure)) if failure.code == "1064" => {
            found.try_ask(session, "replication", "SHOW SLAVE STATUS").await
        }
        Ok(table) => Ok(Some(table)),
        Err(_) => found.try_ask(session, "replication", "SHOW REPLICA STATUS").await,
    }
}

/// The threads of one source.
struct Threads {
    io: String,
    sql: String,
    lag_s: Option<f64>,
    source: String,
    error: Option<(String, String)>,
}

impl Threads {
    fn of(row: Row<'_>) -> Threads {
        let word = |names: &[&str]| row.any(names).unwrap_or("No").to_lowercase();
        let host = row.any(&["Source_Host", "Master_Host"]).unwrap_or("?");
        let port = row.any(&["Source_Port", "Master_Port"]).unwrap_or("?");
        let behind = row.any(&["Seconds_Behind_Source", "Seconds_Behind_Master"]).and_then(number);
        // A replica that is late on purpose is not behind.
        let delay = row.number("SQL_Delay").unwrap_or(0.0);
        let error = ["Last_SQL_Err", "Last_IO_Err"].into_iter().find_map(|name| {
            let code = row.text(&format!("{name}no")).filter(|code| *code != "0")?;
            Some((code.to_owned(), shown(row.text(&format!("{name}or")).unwrap_or_default())))
        });
        Threads {
            io: word(&["Replica_IO_Running", "Slave_IO_Running"]),
            sql: word(&["Replica_SQL_Running", "Slave_SQL_Running"]),
            lag_s: behind.map(|behind| (behind - delay).max(0.0)),
            source: shown(&format!("{host}:{port}")),
            error,
        }
    }

    fn word(&self) -> &'static str {
        match (self.io.as_str(), self.sql.as_str()) {
            ("yes", "yes") => "ok",
            ("no", "no") => "stopped",
            (_, "no") => "sql_stopped",
            ("no", _) => "io_stopped",
            _ => "connecting",
        }
    }
}

fn replication(mut found: Found, table: &Table) -> Found {
    let all: Vec<Threads> = table.rows().map(Threads::of).collect();
    // Worst first.
    let order = ["sql_stopped", "stopped", "io_stopped", "connecting", "ok"];
    let rank = |threads: &Threads| order.iter().position(|word| *word == threads.word());
    let Some(worst) = all.iter().min_by_key(|threads| rank(threads)) else {
        return found.fact("replication", "none");
    };
    found = found.fact("replication", worst.word()).fact("source", worst.source.as_str());
    found = found.fact("io_running", worst.io.as_str()).fact("sql_running", worst.sql.as_str());
    found = found.fact("sources", all.len());
    found = found.part(match worst.word() {
        "ok" => format!("copies from {}", worst.source),
        word => format!("copying from {} is {}", worst.source, word.replace('_', " ")),
    });
    if let Some((code, error)) = all.iter().find_map(|threads| threads.error.clone()) {
        found = found.part(format!("error {code}: {error}")).fact("last_errno", code).fact("last_error", error);
    }
    // NULL while a thread stands: nobody knows then.
    if let Some(lag) = all.iter().filter_map(|threads| threads.lag_s).reduce(f64::max) {
        found = found.part(format!("{lag} s behind")).fact("lag_s", lag).measure("lag_s", lag, "s");
    }
    found
}

fn semi_sync(found: Found, own: &Half, status: &Table) -> Found {
    let either = |names: [&str; 2]| names.into_iter().find_map(|name| status.named(name));
    let is_wanted = ["rpl_semi_sync_master_enabled", "rpl_semi_sync_source_enabled"].iter().any(|n| is_on(own.text(n)));
    if !is_wanted {
        return found.fact("semi_sync", "off");
    }
    let is_in_force = either(["Rpl_semi_sync_master_status", "Rpl_semi_sync_source_status"]).is_some_and(is_on);
    let clients = either(["Rpl_semi_sync_master_clients", "Rpl_semi_sync_source_clients"]).and_then(number);
    let found = match clients {
        Some(clients) => found.fact("semi_sync_clients", clients),
        None => found,
    };
    if is_in_force {
        found.fact("semi_sync", "on")
    } else {
        // What is written now exists once.
        found.fact("semi_sync", "fallen_back").part("semi-synchronous replication has fallen back")
    }
}

fn galera(mut found: Found, status: &Table) -> Found {
    let text = |name: &str| shown(status.named(name).unwrap_or("unknown"));
    let [cluster, state] = ["wsrep_cluster_status", "wsrep_local_state_comment"].map(text);
    found = found.part(format!("Galera {cluster}, {state}")).fact("galera", cluster).fact("galera_state", state);
    found = found.fact("galera_ready", status.named("wsrep_ready").is_some_and(is_on));
    for (name, fact) in [("wsrep_cluster_size", "galera_size"), ("wsrep_flow_control_paused", "galera_paused")] {
        if let Some(value) = status.named(name).and_then(number) {
            found = found.fact(fact, value);
        }
    }
    found
}

async fn with_peer(found: Found, own: &Half, door: Door<Session>) -> Found {
    if let Some((word, why)) = absent_peer(&door) {
        return found.fact("peer", word).part(format!("peer {}", shown(&why)));
    }
    let Door::Open(_, attempt, mut session) = door else { return found };
    let peer = match session.ask(VARIABLES).await {
        Ok(variables) => Half::of(session.greeting.is_mariadb(), variables),
        Err(refusal) => {
            return found.fact("peer", "error").part(format!("peer {}: {}", attempt.addr, refusal.text()));
        }
    };
    session.bye().await;
    let both = own.is_writable && peer.is_writable;
    let mut found = found.fact("peer", "ok").fact("peer_writable", peer.is_writable).fact("both_writable", both);
    if both {
        found = found.part(format!("peer {} takes writes, too", attempt.addr));
    }
    if let Some(beyond) = own.beyond(&peer) {
        found = found.fact("gtid_ahead", beyond as f64);
        if beyond > 0 {
            found = found.part(format!("{beyond} transactions that the peer lacks"));
        }
    }
    if let Some(behind) = own.behind(&peer) {
        found = found.fact("gtid_behind", behind as f64);
    }
    found
}

#[cfg(test)]
mod tests;
