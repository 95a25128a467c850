//! Tables as PostgreSQL gives them, and the facts that are made of them.

use stentor_core::model::Observation;
use stentor_wire::sql::Table;

use super::*;
use crate::testing::{number, text};

fn fresh() -> Found {
    Found::new(Observation::observed("192.0.2.1:5432"), "PostgreSQL".into())
}

fn table(columns: &[&str], rows: &[&[Option<&str>]]) -> Table {
    let mut table = Table::new(columns.iter().map(|name| (*name).to_owned()).collect());
    for row in rows {
        table.add(row.iter().map(|value| value.map(str::to_owned)).collect()).unwrap();
    }
    table
}

const STANDBY: &[&str] = &["name", "state", "sync_state", "lag_bytes", "lag_s"];

#[test]
fn the_slowest_standby_speaks_for_all() {
    let rows: &[&[Option<&str>]] = &[
        &[Some("a"), Some("streaming"), Some("sync"), Some("0"), None],
        &[Some("b"), Some("catchup"), Some("async"), Some("4096"), Some("12.5")],
    ];
    let seen = standbys(fresh(), &table(STANDBY, rows), "a").finish();
    assert_eq!((number(&seen, "standbys"), number(&seen, "standbys_streaming")), (2.0, 1.0));
    assert_eq!((number(&seen, "lag_bytes"), number(&seen, "lag_s")), (4096.0, 12.5));
    assert_eq!((text(&seen, "sync_wanted"), number(&seen, "standbys_sync")), ("true".into(), 1.0));
}

#[test]
fn rows_that_we_may_not_read_are_no_broken_standbys() {
    let rows: &[&[Option<&str>]] = &[&[Some("a"), None, None, None, None]];
    let seen = standbys(fresh(), &table(STANDBY, rows), "").finish();
    assert_eq!(text(&seen, "unseen"), "[pg_stat_replication]", "{seen:?}");
}

#[test]
fn slots_that_hold_the_log_back_are_named() {
    let rows: &[&[Option<&str>]] = &[
        &[Some("used"), Some("t"), Some("reserved"), Some("700"), Some("100")],
        &[Some("dead"), Some("f"), Some("extended"), Some("50"), Some("900000")],
        &[Some("gone"), Some("f"), Some("lost"), None, None],
    ];
    let seen = slots(fresh(), &table(&["name", "active", "wal", "safe", "retained"], rows)).finish();
    assert_eq!(text(&seen, "slots_inactive"), "[dead, gone]");
    assert_eq!(text(&seen, "slots_lost"), "[gone]");
    assert_eq!((number(&seen, "slot_retained_bytes"), number(&seen, "slot_safe_bytes")), (900_000.0, 50.0));
}
