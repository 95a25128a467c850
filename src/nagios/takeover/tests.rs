//! Files of Nagios to what the engine takes over, and the first start that does it once.

use std::path::Path;

use prometheus::Registry;
use stentor_core::engine::Input;
use stentor_core::engine::switch::Scope;
use stentor_core::engine::{Command, Reply};
use stentor_wire::nagios::retention::parse;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::clock::Clock;
use crate::engine::writer::{self, Running};
use crate::journal::sqlite::SqliteJournal;
use crate::nagios::status_dat::tests::{STATUS, WRITTEN, catalog};
use crate::store::sqlite::SqliteStore;

/// In the format of `retention.dat`; fields as Nagios Core 4.5 writes them, made by hand.
const RETENTION: &str = "\
info {
created=1795290899
version=4.5.12
}
program {
modified_host_attributes=1
modified_service_attributes=0
enable_notifications=0
active_host_checks_enabled=0
next_comment_id=8
next_downtime_id=5
next_event_id=30
next_problem_id=20
next_notification_id=40
}
service {
host_name=web1
service_description=Disk
modified_attributes=1027
check_interval=2.500000
retry_interval=9.000000
has_been_checked=1
current_state=2
last_state=1
last_hard_state=1
plugin_output=DISK CRITICAL - 99%
long_plugin_output=one\\ntwo
performance_data=/=99%;80;90
last_check=1795290890
current_attempt=2
max_attempts=3
state_type=0
last_state_change=1795290880
last_hard_state_change=1795290000
last_time_ok=1795280000
last_time_warning=1795290000
last_time_unknown=0
last_time_critical=1795290890
notified_on_unknown=0
notified_on_warning=1
notified_on_critical=0
last_notification=1795290001
current_notification_number=3
current_notification_id=33
notifications_enabled=0
active_checks_enabled=1
passive_checks_enabled=0
problem_has_been_acknowledged=1
acknowledgement_type=2
is_flapping=0
percent_state_change=12.1
state_history=0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,1,1,2
_GONE=1;x
}
service {
host_name=web1
}
host {
host_name=db1
has_been_checked=1
current_state=7
}
servicecomment {
host_name=web1
service_description=Disk
entry_type=4
comment_id=7
source=1
persistent=0
entry_time=1795290500
expires=0
expire_time=0
author=joe
comment_data=on it
}
servicedowntime {
host_name=web1
service_description=Disk
comment_id=6
downtime_id=4
entry_time=1795290000
start_time=1795290000
flex_downtime_start=1795290700
end_time=1795299000
triggered_by=3
fixed=0
duration=900
is_in_effect=1
start_notification_sent=1
author=joe
comment=rebuild
}
";

fn all() -> Retention {
    Retention { program_state: true, without: Masks::default() }
}

fn read_text(text: &str, wanted: Retention) -> (Retained, Vec<String>) {
    let (retained, complaints) = of_file(&parse(text.as_bytes()), &wanted);
    (retained, complaints.iter().map(ToString::to_string).collect())
}

#[test]
fn a_retention_file_is_taken_word_by_word() {
    let (retained, complaints) = read_text(RETENTION, all());
    assert_eq!(
        complaints,
        [
            "line 55: the block that begins here is left out: it names no object",
            "line 58: the block that begins here is left out: its state is none",
        ]
    );
    assert_eq!(retained.written_at, WRITTEN);
    assert_eq!(retained.ids, Ids { event: 29, problem: 19, notification: 39, comment: 7 });
    assert_eq!(retained.newest_downtime, 4);
    let program = retained.program.unwrap();
    assert_eq!(program.switches, [(ProgramSwitch::Notifications, false)], "only what was modified");
    let [service] = &*retained.objects else { panic!("{:?}", retained.objects) };
    assert!(service.switches.contains(&(Switch::PassiveChecks, false)));
    assert!(service.changes.contains(&Change::CheckInterval(2.5)));
    assert!(service.changes.contains(&Change::CustomVar { name: "GONE".into(), value: "x".into() }));
    let status = service.status.as_ref().unwrap();
    let stood = (status.state, status.last_state, status.last_hard_state, status.kind, status.attempt);
    assert_eq!(stood, (2, 1, 1, StateKind::Soft, 2));
    assert_eq!((&*status.observation.text, &*status.observation.long_text), ("DISK CRITICAL - 99%", "one\ntwo"));
    assert_eq!(status.observation.perfdata(), "/=99%;80;90");
    assert_eq!((status.notified_on, status.acknowledged), (Options::WARNING, Some(Sticky::Yes)));
    assert_eq!(status.last_time_in.map(Timestamp::as_secs), [1_795_280_000, 1_795_290_000, 1_795_290_890, 0]);
    assert_eq!(status.flap.unwrap().states()[16..], [0, 1, 1, 1, 2]);
    let downtime = &retained.downtimes[0];
    assert_eq!(downtime.kind, DowntimeKind::Flexible { duration: Span::from_secs(900) });
    assert_eq!((downtime.triggered_by, downtime.started_at), (Some(3), Some(Timestamp::from_secs(1_795_290_700))));
    assert_eq!((retained.comments[0].entry_type, retained.comments[0].id), (CommentType::Acknowledgement, 7));
}

#[test]
fn what_is_masked_or_not_wanted_does_not_come() {
    let without = Masks { service: 1, ..Masks::default() };
    let (retained, _) = read_text(RETENTION, Retention { program_state: false, without });
    assert_eq!(retained.program, None);
    assert_eq!(retained.objects[0].modified_attributes, 1026);
}

#[test]
fn hostile_numbers_are_no_trouble() {
    for bad in ["99999999999999999999", "-5", "NaN", "1e400", ""] {
        let (retained, _) = read_text(&RETENTION.replace("1795290890", bad).replace("2.500000", bad), all());
        let status = retained.objects[0].status.as_ref().unwrap();
        assert!(status.last_check >= Timestamp::ZERO, "{bad}");
        assert!(!retained.objects[0].changes.iter().any(|change| matches!(change, Change::CheckInterval(_))), "{bad}");
    }
}

/// A start with what lies in the folder.
async fn start(folder: &Path, text: Option<&str>) -> (Arc<SqliteJournal>, Running, bool) {
    let journal = Arc::new(SqliteJournal::open(&folder.join("journal")).await.unwrap());
    let store: SharedStore = Arc::new(SqliteStore::open(&folder.join("s.db")).await.unwrap());
    if let Some(text) = text {
        std::fs::write(folder.join("retention.dat"), text).unwrap();
    }
    std::fs::write(folder.join("nagios.cfg"), MAIN).unwrap();
    std::fs::write(folder.join("objects.cfg"), crate::nagios::status_dat::tests::OBJECTS).unwrap();
    let loaded = crate::config::load(&folder.join("nagios.cfg")).unwrap_or_else(|found| panic!("{found}"));
    let retained = at_first_start(&*journal, &store, &loaded.nagios.unwrap()).await;
    let was_read = retained.is_some();
    let parts = writer::Parts {
        journal: Arc::clone(&journal) as Arc<dyn Journal>,
        store,
        clock: Clock::manual(WRITTEN),
        registry: Arc::new(Registry::new()),
        outbox: Arc::new(Notify::new()),
        journal_keep: Span::from_hours(100),
        checkpoint_every: Span::from_hours(100),
        inbox: 16,
        turn_inputs: 16,
        unrecorded: mpsc::channel(1).0,
        retained,
        orders: None,
        aside: None,
    };
    (journal, writer::start(parts, loaded.catalog).await.unwrap(), was_read)
}

const MAIN: &str = "cfg_file=objects.cfg\ninterval_length=1\nstatus_file=status.dat\n\
                    state_retention_file=retention.dat\nretain_state_information=1\n";

async fn stop(journal: Arc<SqliteJournal>, running: Running) {
    running.handle.stop().await;
    running.task.await.unwrap();
    journal.close().await;
}

fn downtimes(running: &Running) -> Vec<u64> {
    running.handle.snapshot().downtimes.keys().copied().collect()
}

#[tokio::test]
async fn the_first_start_takes_over_and_a_restart_does_not_import_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, was_read) = start(folder.path(), Some(STATUS)).await;
    assert!(was_read);
    let snapshot = running.handle.snapshot();
    let db1 = snapshot.host("db1").unwrap();
    let row = snapshot.row(stentor_core::id::ObjectId::Host(db1));
    assert_eq!((row.state, row.kind, row.attempt, row.downtime_depth), (1, StateKind::Hard, 2, 1));
    assert_eq!((snapshot.comments.len(), downtimes(&running)), (2, vec![1]));
    let turns = journal.read(0, 10).await.unwrap();
    let together = |inputs: &[Input]| matches!(inputs, [Input::Catalog(_), Input::Retained(_)]);
    assert!(together(&turns[0].inputs), "one turn: {:?}", turns[0].inputs.len());
    // What happens from now on is Stentor's to remember.
    let cancel = Command::CancelDowntime { id: 1, by: "mara".into() };
    assert_eq!(running.handle.command(cancel, None).await.unwrap(), Reply::Done);
    stop(journal, running).await;

    let (journal, running, was_read) = start(folder.path(), None).await;
    assert!(!was_read, "the file is still there, and is not read");
    assert!(downtimes(&running).is_empty());
    assert_eq!(running.handle.snapshot().row(stentor_core::id::ObjectId::Host(db1)).state, 1);
    stop(journal, running).await;
}

#[tokio::test]
async fn a_crash_after_the_takeover_loses_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = start(folder.path(), Some(RETENTION)).await;
    let before = running.handle.snapshot();
    // No checkpoint is saved: all there is stands in the journal.
    running.task.abort();
    let _ = running.task.await;
    journal.close().await;
    drop((journal, running.handle));
    let (journal, running, was_read) = start(folder.path(), None).await;
    assert!(!was_read);
    let after = running.handle.snapshot();
    assert_eq!((&after.services, &after.service_details), (&before.services, &before.service_details));
    assert_eq!((&after.service_tracks, &after.downtimes), (&before.service_tracks, &before.downtimes));
    assert!(!after.program.in_force.enable_notifications, "use_retained_program_state is on unless it is switched off");
    stop(journal, running).await;
}

#[tokio::test]
async fn without_a_file_all_states_begin_anew_and_a_status_file_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, was_read) = start(folder.path(), None).await;
    assert!(!was_read && running.handle.snapshot().hosts.iter().all(|row| row.is_pending()));
    stop(journal, running).await;

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("status.dat"), STATUS).unwrap();
    let (journal, running, was_read) = start(folder.path(), None).await;
    assert!(was_read && downtimes(&running) == [1]);
    stop(journal, running).await;
}

#[tokio::test]
async fn a_first_start_on_kept_state_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = start(folder.path(), None).await;
    let scope = Scope::ServicesOf("web1".into());
    let command = Command::SetSwitch { scope, switch: Switch::Notifications, on: false };
    running.handle.command(command, None).await.unwrap();
    stop(journal, running).await;
    let (journal, running, was_read) = start(folder.path(), Some(STATUS)).await;
    assert!(!was_read && downtimes(&running).is_empty());
    assert_eq!(running.handle.snapshot().catalog.hosts.len(), catalog().hosts.len());
    stop(journal, running).await;
}

/// Kibibytes of this process: now, or at most since the mark was reset.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_large_file_is_never_in_memory_as_a_whole() {
    const SERVICES: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("retention.dat");
    let theirs = include_str!("../../../crates/wire/tests/data/sample_retention.dat");
    let start = theirs.find("service {").unwrap();
    let block = &theirs[start..start + theirs[start..].find("}\n").unwrap() + 2];
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for i in 0..SERVICES {
        let named = block.replace("web1", &format!("web{}", i / 10)).replace("Disk", &format!("Disk {}", i % 10));
        std::io::Write::write_all(&mut file, named.as_bytes()).unwrap();
    }
    drop(file);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let (retained, complaints) = read_file(&path, &Retention::default()).unwrap();
    let more = memory("VmHWM").saturating_sub(before);
    assert_eq!((retained.objects.len(), complaints.len()), (SERVICES, 0));
    // 100,000 objects: 240 MiB, most of it what was seen of them, which the engine keeps. The file and all of its fields
    // would be four times that.
    assert!(more * 1024 / SERVICES as u64 <= 240 * 1024 * 1024 / 100_000, "{more} KiB");
}
