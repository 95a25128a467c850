//! Tables as servers of MySQL and MariaDB give them, and the facts that are made of them.

use stentor_core::model::Observation;
use stentor_wire::sql::Table;

use super::*;
use crate::database::Found;
use crate::testing::text;

/// Rows of names and values; the columns are those of the first row.
fn table(rows: &[&[(&str, Option<&str>)]]) -> Table {
    let columns = rows.first().map(|row| row.iter().map(|(name, _)| (*name).to_owned()).collect());
    let mut table = Table::new(columns.unwrap_or_default());
    for row in rows {
        table.add(row.iter().map(|(_, value)| value.map(str::to_owned)).collect()).unwrap();
    }
    table
}

fn seen(found: Found) -> Observation {
    found.finish()
}

fn fresh() -> Found {
    Found::new(Observation::observed("192.0.2.1:3306"), "MySQL".into())
}

/// Columns as MySQL 8.4 names them, by its manual (SHOW REPLICA STATUS).
fn source<'a>(host: &'a str, io: &'a str, sql: &'a str, behind: Option<&'a str>) -> Vec<(&'a str, Option<&'a str>)> {
    vec![
        ("Replica_IO_State", Some("")),
        ("Source_Host", Some(host)),
        ("Source_Port", Some("3306")),
        ("Replica_IO_Running", Some(io)),
        ("Replica_SQL_Running", Some(sql)),
        ("Seconds_Behind_Source", behind),
        ("Last_IO_Errno", Some("0")),
        ("Last_IO_Error", Some("")),
        ("Last_SQL_Errno", Some(if sql == "No" { "1062" } else { "0" })),
        ("Last_SQL_Error", Some("Duplicate entry")),
        ("SQL_Delay", Some("30")),
    ]
}

#[test]
fn the_worst_of_several_sources_speaks_and_a_wanted_delay_is_no_lag() {
    for (rows, word, of, lag) in [
        (vec![source("a", "Yes", "Yes", Some("31"))], "ok", "a:3306", "1"),
        (vec![source("a", "Yes", "Yes", Some("2"))], "ok", "a:3306", "0"),
        (vec![source("a", "Yes", "Yes", Some("32")), source("b", "Yes", "No", None)], "sql_stopped", "b:3306", "2"),
        (vec![source("a", "Connecting", "Yes", None), source("b", "No", "Yes", None)], "io_stopped", "b:3306", ""),
        (vec![source("a", "Connecting", "Yes", None)], "connecting", "a:3306", ""),
        (vec![source("a", "No", "No", None)], "stopped", "a:3306", ""),
    ] {
        let rows: Vec<&[(&str, Option<&str>)]> = rows.iter().map(Vec::as_slice).collect();
        let seen = seen(replication(fresh(), &table(&rows)));
        assert_eq!(text(&seen, "replication"), word, "{seen:?}");
        assert_eq!((text(&seen, "source"), text(&seen, "lag_s")), (of.into(), lag.into()), "{word}");
        assert_eq!(text(&seen, "last_errno") == "1062", word.contains("sql") || word == "stopped");
    }
    assert_eq!(text(&seen(replication(fresh(), &Table::default())), "replication"), "none");
}

fn half(is_mariadb: bool, variables: &[(&str, &str)]) -> Half {
    let rows: Vec<Vec<(&str, Option<&str>)>> =
        variables.iter().map(|(name, value)| vec![("Variable_name", Some(*name)), ("Value", Some(*value))]).collect();
    Half::of(is_mariadb, table(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

#[test]
fn whoever_is_read_only_in_any_way_takes_no_writes() {
    for (variables, is_writable) in [
        (vec![("read_only", "OFF"), ("super_read_only", "OFF")], true),
        (vec![("read_only", "ON")], false),
        (vec![("read_only", "OFF"), ("super_read_only", "ON")], false),
        // MariaDB 12 knows more words than two.
        (vec![("read_only", "NO_LOCK")], false),
    ] {
        assert_eq!(half(true, &variables).is_writable, is_writable, "{variables:?}");
    }
}

#[test]
fn transactions_are_compared_within_one_make_only() {
    let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    let [ten, twelve] = [10, 12].map(|end| half(false, &[("gtid_executed", &format!("{uuid}:1-{end}"))]));
    assert_eq!((ten.beyond(&twelve), ten.behind(&twelve)), (Some(0), Some(2)));
    let own = half(true, &[("gtid_binlog_state", "0-2-8"), ("gtid_slave_pos", "0-1-7"), ("gtid_current_pos", "0-2-8")]);
    let peer = half(true, &[("gtid_binlog_state", "0-1-9"), ("gtid_slave_pos", ""), ("gtid_current_pos", "0-1-9")]);
    assert_eq!((own.beyond(&peer), own.behind(&peer)), (Some(8), Some(1)));
    assert_eq!((own.beyond(&ten), ten.behind(&own)), (None, None));
}

#[test]
fn semi_synchronous_replication_that_nobody_confirms_has_fallen_back() {
    for (enabled, status, word) in
        [("OFF", "ON", "off"), ("ON", "ON", "on"), ("ON", "OFF", "fallen_back"), ("1", "OFF", "fallen_back")]
    {
        let own = half(false, &[("rpl_semi_sync_source_enabled", enabled)]);
        let status: &[(&str, Option<&str>)] =
            &[("Variable_name", Some("Rpl_semi_sync_source_status")), ("Value", Some(status))];
        assert_eq!(text(&seen(semi_sync(fresh(), &own, &table(&[status]))), "semi_sync"), word);
    }
}
