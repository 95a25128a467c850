//! `postgres`: whether a PostgreSQL serves, how its replication goes, and what it will run out of.

mod session;

use stentor_core::model::Observation;
use stentor_wire::sql::postgres::lsn;
use stentor_wire::sql::{Failure, Row, Table};
use tokio::time::Instant;

use super::{Base, Config, Door, Found, Look, Refusal, Session as _, absent_peer, run};
use crate::reach::Attempt;
use crate::talk::shown;
use crate::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

use session::Postgres as Session;

pub struct Postgres {
    base: Base,
}

/// `server_version_num` of the first release with the functions that are asked here.
const RELEASE_MIN: f64 = 100_000.0;
/// `wal_status` of slots.
const RELEASE_13: f64 = 130_000.0;
/// Transactions until numbers come round again; PostgreSQL stops three million before.
const XID_ROUND: f64 = 2_147_483_648.0;

const BASICS: &str = "SELECT pg_is_in_recovery() AS standby, current_setting('server_version') AS version, \
    current_setting('server_version_num') AS release, current_setting('max_connections') AS most, \
    (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL \
     AND coalesce(backend_type, 'client backend') = 'client backend') AS used, \
    (SELECT max(age(datfrozenxid)) FROM pg_database) AS xid_age, \
    (SELECT max(mxid_age(datminmxid)) FROM pg_database) AS mxid_age, \
    floor(extract(epoch FROM now() - pg_postmaster_start_time())) AS uptime, \
    current_setting('default_transaction_read_only') AS read_only, \
    current_setting('synchronous_standby_names') AS sync_names, \
    (SELECT system_identifier FROM pg_control_system()) AS cluster";
const STANDBYS: &str = "SELECT application_name AS name, state, sync_state, \
    pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS lag_bytes, extract(epoch FROM replay_lag) AS lag_s \
    FROM pg_stat_replication WHERE state IS NULL OR state <> 'backup'";
const SLOTS: &str = "SELECT slot_name AS name, active, wal_status AS wal, safe_wal_size AS safe, \
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS retained FROM pg_replication_slots";
const SLOTS_BEFORE_13: &str = "SELECT slot_name AS name, active, \
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS retained FROM pg_replication_slots";
const WAL: &str = "SELECT sum(size) AS bytes FROM pg_ls_waldir()";
const REPLAY: &str = "SELECT pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed, \
    extract(epoch FROM now() - pg_last_xact_replay_timestamp()) AS since_s, pg_is_wal_replay_paused() AS paused, \
    (SELECT sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock) \
     FROM pg_stat_database_conflicts) AS conflicts";
const RECEIVER: &str = "SELECT status, latest_end_lsn AS sent, \
    extract(epoch FROM clock_timestamp() - last_msg_receipt_time) AS message_age FROM pg_stat_wal_receiver";
const PEER: &str = "SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') AS read_only, \
    (SELECT system_identifier FROM pg_control_system()) AS cluster, \
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS place";

impl Probe for Postgres {
    const KIND: &'static str = "postgres";
    const DOC: &'static str = include_str!("../../../../../docs/probes/postgres.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Postgres { base: Base::build(Self::KIND, config, 5432, env)? })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        run(self, target, deadline).await
    }
}

/// What of one half is compared with the other.
pub(super) struct Half {
    is_writable: bool,
    is_standby: bool,
    cluster: Option<String>,
}

impl Half {
    fn of(row: Row<'_>) -> Half {
        let is_standby = row.is("standby") == Some(true);
        let is_writable = !is_standby && row.is("read_only") != Some(true);
        Half { is_writable, is_standby, cluster: row.text("cluster").map(str::to_owned) }
    }
}

impl Look for Postgres {
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
        let basics = session.ask(BASICS).await?;
        let row = basics.first().ok_or_else(|| Refusal::invalid("it says nothing of itself"))?;
        let release = row.number("release").unwrap_or(0.0);
        if release < RELEASE_MIN {
            return Err(Refusal::Server(Failure {
                code: "0A000".into(),
                message: "it is older than release 10".into(),
            }));
        }
        let own = Half::of(row);
        let mut found = basic(seen, row, &own);
        found = if own.is_standby {
            standby(found, session).await?
        } else {
            self.primary(found, row, attempt, session).await?
        };
        if let Some(sql) = &self.base.config.query {
            // Ours is over by then: nobody reads the answer, and the server must not go on.
            let left = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
            let begin = ["BEGIN READ ONLY".to_owned(), format!("SET LOCAL statement_timeout = {left}")];
            found = found.query(session, &begin, sql).await?;
        }
        Ok((found, own))
    }

    async fn with_peer(found: Found, own: &Half, door: Door<Session>) -> Found {
        with_peer(found, own, door).await
    }
}

impl Postgres {
    async fn primary(
        &self,
        mut found: Found,
        basics: Row<'_>,
        attempt: &Attempt,
        session: &mut Session,
    ) -> Result<Found, Refusal> {
        let has_status = basics.number("release").unwrap_or(0.0) >= RELEASE_13;
        if let Some(table) = found.try_ask(session, "pg_stat_replication", STANDBYS).await? {
            found = standbys(found, &table, basics.text("sync_names").unwrap_or_default());
        }
        let sql = if has_status { SLOTS } else { SLOTS_BEFORE_13 };
        if let Some(table) = found.try_ask(session, "pg_replication_slots", sql).await? {
            found = slots(found, &table);
        }
        if let Some(table) = found.try_ask(session, "pg_ls_waldir", WAL).await?
            && let Some(bytes) = table.first().and_then(|row| row.number("bytes"))
        {
            found = self.base.log(found, "wal", attempt, bytes);
        }
        Ok(found)
    }
}

fn basic(seen: Observation, row: Row<'_>, own: &Half) -> Found {
    let version = shown(row.text("version").unwrap_or("?"));
    let version = version.split(' ').next().unwrap_or_default();
    let role = if own.is_standby { "standby" } else { "primary" };
    let mut found = Found::new(seen, format!("PostgreSQL {version}, {role}"));
    found = found.fact("postgres", "ok").fact("role", role).fact("version", version).fact("writable", own.is_writable);
    if let Some(uptime) = row.number("uptime") {
        found = found.fact("uptime_s", uptime);
    }
    found = found.connections(row.number("used"), row.number("most"));
    for (column, fact, label) in [("xid_age", "xid_pct", "xid_pct"), ("mxid_age", "mxid_pct", "mxid_pct")] {
        if let Some(age) = row.number(column) {
            let pct = (age / XID_ROUND * 1000.0).round() / 10.0;
            found = found.fact(column, age).fact(fact, pct).measure(label, pct, "%");
        }
    }
    found
}

fn standbys(mut found: Found, table: &Table, sync_names: &str) -> Found {
    let rows: Vec<Row<'_>> = table.rows().collect();
    // Without pg_monitor the rows are there and empty.
    if rows.iter().any(|row| row.text("state").is_none()) {
        found.unseen.push("pg_stat_replication".to_owned());
        found = found.part("pg_stat_replication: the user lacks pg_monitor");
    }
    let count = |column: &str, words: &[&str]| {
        rows.iter().filter(|row| row.text(column).is_some_and(|word| words.contains(&word))).count()
    };
    let streaming = count("state", &["streaming"]);
    found = found.fact("standbys", rows.len()).fact("standbys_streaming", streaming);
    found = found.fact("standbys_sync", count("sync_state", &["sync", "quorum"]));
    // Every COMMIT waits for one that is not there.
    found = found.fact("sync_wanted", !sync_names.trim().is_empty());
    if rows.is_empty() {
        return found;
    }
    found = found.part(format!("{streaming} of {} standbys streaming", rows.len()));
    let most =
        |column: &str| rows.iter().filter_map(|row| row.number(column)).reduce(f64::max).map(|most| most.max(0.0));
    if let Some(bytes) = most("lag_bytes") {
        found = found.part(format!("up to {bytes} bytes behind"));
        found = found.fact("lag_bytes", bytes).measure("lag", bytes, "B");
    }
    // NULL once everything was replayed for a while.
    let seconds = most("lag_s").unwrap_or(0.0);
    found.fact("lag_s", seconds).measure("lag_s", seconds, "s")
}

fn slots(mut found: Found, table: &Table) -> Found {
    let names = |wanted: &dyn Fn(Row<'_>) -> bool| -> Vec<String> {
        table.rows().filter(|row| wanted(*row)).map(|row| shown(row.text("name").unwrap_or("?"))).collect()
    };
    let inactive = names(&|row| row.is("active") == Some(false));
    let lost = names(&|row| row.text("wal") == Some("lost"));
    for (slots, words) in [(&inactive, "nobody reads slot"), (&lost, "lost for slot")] {
        if !slots.is_empty() {
            found = found.part(format!("{words} {}", slots.join(", ")));
        }
    }
    found = found.fact("slots", table.rows.len()).fact("slots_inactive", inactive).fact("slots_lost", lost);
    let all = |column: &str| table.rows().filter_map(|row| row.number(column)).collect::<Vec<f64>>();
    if let Some(retained) = all("retained").into_iter().reduce(f64::max) {
        found = found.fact("slot_retained_bytes", retained.max(0.0)).measure("slot_retained", retained.max(0.0), "B");
    }
    match all("safe").into_iter().reduce(f64::min) {
        Some(safe) => found.fact("slot_safe_bytes", safe),
        None => found,
    }
}

async fn standby(mut found: Found, session: &mut Session) -> Result<Found, Refusal> {
    let receiver = found.try_ask(session, "pg_stat_wal_receiver", RECEIVER).await?.unwrap_or_default();
    let replay = session.ask(REPLAY).await?;
    let row = replay.first().ok_or_else(|| Refusal::invalid("it says nothing of its replay"))?;
    let is_streaming = receiver.first().is_some_and(|row| row.text("status") == Some("streaming"));
    let status = match receiver.first() {
        None => "none".to_owned(),
        Some(row) => row.text("status").map_or_else(|| "unseen".to_owned(), shown),
    };
    if status == "unseen" {
        found.unseen.push("pg_stat_wal_receiver".to_owned());
    }
    found = found.part(format!("receiver {status}")).fact("receiver", status);
    if let Some(age) = receiver.first().and_then(|row| row.number("message_age")) {
        let age = (age.max(0.0) * 1000.0).round() / 1000.0;
        found = found.fact("message_age_s", age).measure("message_age", age, "s");
    }
    let place = |row: Option<Row<'_>>, column: &str| lsn(row?.text(column)?);
    let ahead = place(receiver.first(), "sent").max(place(Some(row), "received"));
    let behind = ahead.zip(place(Some(row), "replayed")).map(|(ahead, replayed)| ahead.saturating_sub(replayed) as f64);
    if let Some(behind) = behind {
        found = found.part(format!("{behind} bytes behind")).fact("lag_bytes", behind).measure("lag", behind, "B");
    }
    let since = row.number("since_s").map(|since| (since.max(0.0) * 1000.0).round() / 1000.0);
    if let Some(since) = since {
        found = found.fact("since_replay_s", since);
    }
    // Nothing to replay and a stream that runs: not behind, however long ago the last write was.
    let lag = if is_streaming && behind == Some(0.0) { Some(0.0) } else { since };
    if let Some(lag) = lag {
        found = found.fact("lag_s", lag).measure("lag_s", lag, "s");
    }
    let is_paused = row.is("paused") == Some(true);
    if is_paused {
        found = found.part("replay is paused");
    }
    found = found.fact("replay_paused", is_paused);
    if let Some(conflicts) = row.number("conflicts") {
        found = found.fact("conflicts", conflicts).measure("conflicts", conflicts, "c");
    }
    Ok(found)
}

async fn with_peer(found: Found, own: &Half, door: Door<Session>) -> Found {
    if let Some((word, why)) = absent_peer(&door) {
        return found.fact("peer", word).part(format!("peer {}", shown(&why)));
    }
    let Door::Open(_, attempt, mut session) = door else { return found };
    let row = match session.ask(PEER).await {
        Ok(table) => table,
        Err(refusal) => {
            return found.fact("peer", "error").part(format!("peer {}: {}", attempt.addr, refusal.text()));
        }
    };
    session.bye().await;
    let Some(peer) = row.first().map(Half::of) else { return found.fact("peer", "invalid") };
    let both = own.is_writable && peer.is_writable;
    let role = if peer.is_standby { "standby" } else { "primary" };
    let mut found = found.fact("peer", "ok").fact("peer_role", role).fact("peer_writable", peer.is_writable);
    found = found.fact("both_writable", both);
    found = found.part(if both {
        format!("peer {} is a primary, too: both take writes", attempt.addr)
    } else {
        format!("peer {} is {role}", attempt.addr)
    });
    if let (Some(own), Some(peer)) = (&own.cluster, &peer.cluster) {
        found = found.fact("same_cluster", own == peer);
    }
    found
}

#[cfg(test)]
mod tests;
