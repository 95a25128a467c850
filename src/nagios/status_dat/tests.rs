//! The file that Nagios Core 4.5.12 wrote of a small site, taken over and written again.

use std::sync::Arc;

use stentor_core::catalog::Host;
use stentor_core::engine::{Engine, Input};
use stentor_core::id::ZoneId;
use stentor_core::model::{Ack, Observation};
use stentor_wire::nagios::retention::{Block, File, Kind, parse};

use super::*;
use crate::config::nagios::Retention;
use crate::nagios::takeover;

/// Both made by running Nagios Core 4.5.12.
pub(crate) const OBJECTS: &str = include_str!("../../../crates/wire/tests/data/sample_objects.cache");
pub(crate) const STATUS: &str = include_str!("../../../crates/wire/tests/data/sample_status.dat");
/// The end of the downtime in it is an hour later.
pub(crate) const WRITTEN: Timestamp = Timestamp::from_secs(1_795_290_899);

fn host(name: &str) -> Host {
    Host::bare(name, ZoneId(0))
}

/// The catalog of the small site.
pub(crate) fn catalog() -> Arc<Catalog> {
    let folder = tempfile::tempdir().unwrap();
    let main = "cfg_file=objects.cfg\ninterval_length=1\nenable_flap_detection=1\ncheck_service_freshness=0\n";
    std::fs::write(folder.path().join("nagios.cfg"), main).unwrap();
    std::fs::write(folder.path().join("objects.cfg"), OBJECTS).unwrap();
    let loaded = crate::config::load(&folder.path().join("nagios.cfg")).unwrap_or_else(|found| panic!("{found}"));
    loaded.catalog
}

/// It, never checked.
pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.apply(WRITTEN, &Input::Catalog(catalog()));
    engine
}

pub(crate) fn world() -> Snapshot {
    engine().snapshot()
}

/// It, as Nagios left it.
pub(crate) fn taken_over() -> Snapshot {
    let mut engine = engine();
    let (retained, complaints) = takeover::of_file(&parse(STATUS.as_bytes()), &Retention::default());
    assert_eq!(complaints, []);
    engine.apply(WRITTEN, &Input::Retained(Arc::new(retained)));
    engine.snapshot()
}

pub(crate) fn about() -> About {
    let started = Timestamp::from_secs(1_795_290_891);
    About { pid: 24673, started, now: WRITTEN, log_rotated: Timestamp::ZERO, figures: Figures::default() }
}

pub(crate) fn rendered(snapshot: &Snapshot) -> String {
    let mut bytes = Vec::new();
    write(snapshot, &about(), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn written(snapshot: &Snapshot) -> File {
    let file = parse(rendered(snapshot).as_bytes());
    assert_eq!(file.complaints, [], "we read what we write");
    file
}

fn keys(block: &Block) -> Vec<&str> {
    block.fields.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn blocks_and_fields_are_those_of_nagios_in_its_order() {
    let (ours, theirs) = (written(&taken_over()), parse(STATUS.as_bytes()));
    let kinds = |file: &File| file.blocks.iter().map(|block| block.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&ours), kinds(&theirs));
    for (ours, theirs) in ours.blocks.iter().zip(&theirs.blocks) {
        assert_eq!(keys(ours), keys(theirs), "{:?}", theirs.kind);
    }
    // Not what the parser makes of it: the very bytes of a block's frame.
    let text = rendered(&taken_over());
    assert!(text.starts_with("\ninfo {\n\tcreated=1795290899\n") && text.ends_with("\n\t}\n\n"), "{text}");
    assert!(text.contains("\nhoststatus {\n\thost_name=db1\n\tmodified_attributes=0\n"));
}

/// What is not the same, and why.
fn differs(kind: Kind, key: &str) -> bool {
    match kind {
        // Another program, with another process and other counts.
        Kind::Info => key == "version",
        Kind::Program => key == "nagios_pid" || key.ends_with("_stats"),
        // The history of states is in `retention.dat` only. Nagios has not seen in a state what has just come to it.
        Kind::Service => matches!(key, "percent_state_change" | "last_time_critical"),
        Kind::Host => key == "percent_state_change",
        Kind::Contact | Kind::HostComment | Kind::ServiceComment | Kind::HostDowntime | Kind::ServiceDowntime => false,
    }
}

#[test]
fn what_nagios_wrote_is_written_again_with_the_same_values() {
    let (ours, theirs) = (written(&taken_over()), parse(STATUS.as_bytes()));
    for (ours, theirs) in ours.blocks.iter().zip(&theirs.blocks) {
        for ((key, found), (_, expected)) in ours.fields.iter().zip(&theirs.fields) {
            if !differs(theirs.kind, key) {
                assert_eq!(found, expected, "{key} of {:?} {:?}", theirs.kind, theirs.text("host_name"));
            }
        }
    }
}

#[test]
fn text_of_people_and_plugins_stays_on_its_line() {
    let mut snapshot = taken_over();
    let seen = Observation::reported_host(stentor_core::model::HostState::Down, "a\nhost {").long("one\ntwo \\n\r\n}");
    let detail = Arc::make_mut(&mut snapshot.host_details[0]);
    detail.observation = Some(Arc::new(seen));
    detail.ack =
        Some(Box::new(Ack { by: "mara".into(), comment: "x".into(), at: WRITTEN, until: None, sticky: Sticky::No }));
    snapshot.hosts[0].flags.set(Flags::ACKNOWLEDGED, true);
    let comments = Arc::make_mut(&mut snapshot.comments);
    comments.get_mut(&1).unwrap().text = "first\n}\nhost {".into();
    let file = written(&snapshot);
    let host = file.of(Kind::Host).next().unwrap();
    assert_eq!(host.text("plugin_output"), Some("a host {"));
    assert_eq!(host.text("long_plugin_output"), Some("one\\ntwo \\\\n\\n}"));
    assert_eq!(
        (host.flag("problem_has_been_acknowledged"), host.value::<u8>("acknowledgement_type")),
        (Some(true), Some(1))
    );
    assert_eq!(file.of(Kind::ServiceComment).next().unwrap().text("comment_data"), Some("first } host {"));
}

#[test]
fn hosts_of_stentors_own_configuration_are_there_too() {
    let mut snapshot = world();
    Arc::make_mut(&mut snapshot.catalog).hosts.push(host("own"));
    snapshot.hosts.push(Row { state: 1, ..Row::default() });
    snapshot.host_details.push(Arc::default());
    let file = written(&snapshot);
    let own = file.of(Kind::Host).last().unwrap();
    assert_eq!(
        (own.text("host_name"), own.text("current_state"), own.text("check_command")),
        (Some("own"), Some("1"), Some(""))
    );
    assert_eq!(keys(own), keys(file.of(Kind::Host).next().unwrap()));
}

#[test]
fn what_commands_changed_is_written_as_it_is_in_force() {
    use stentor_core::engine::switch::{Change, Scope, Switch};
    use stentor_core::engine::{Command, CommandInput};
    let mut engine = engine();
    let web1 = ObjectKey { host: "web1".into(), service: None };
    let commands = [
        Command::SetSwitch { scope: Scope::Object(web1.clone()), switch: Switch::Notifications, on: false },
        Command::Change { object: web1.clone(), change: Change::CheckInterval(7.5) },
        Command::Change { object: web1.clone(), change: Change::MaxAttempts(9) },
        Command::Change { object: web1, change: Change::CustomVar { name: "RACK".into(), value: "r99".into() } },
    ];
    for command in commands {
        let done = engine.apply(WRITTEN, &Input::Command(CommandInput { command, raw: None, id: None }));
        assert!(done.reply.unwrap().is_ok());
    }
    let file = written(&engine.snapshot());
    let host = file.of(Kind::Host).find(|block| block.text("host_name") == Some("web1")).unwrap();
    let found = ["notifications_enabled", "check_interval", "max_attempts", "_RACK", "modified_attributes"]
        .map(|key| host.text(key));
    assert_eq!(found, [Some("0"), Some("7.500000"), Some("9"), Some("1;r99"), Some("37889")]);
}
