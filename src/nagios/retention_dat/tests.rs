//! Against a file that Nagios wrote, and through our own reading of it.

use std::sync::Arc;

use stentor_core::engine::Input;
use stentor_wire::nagios::retention::{Block, File, Kind, parse};

use super::*;
use crate::config::nagios::Retention;
use crate::nagios::status_dat::tests::{WRITTEN, about, engine, taken_over};
use crate::nagios::takeover;

/// Made by running Nagios Core 4.4.6 of Debian 12.
const THEIRS: &str = include_str!("../../../crates/wire/tests/data/sample_retention.dat");

fn written(snapshot: &Snapshot) -> String {
    let mut bytes = Vec::new();
    write(snapshot, &about(), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Fields of the first block of a kind, without custom variables, which each object has of its own.
fn keys(file: &File, kind: Kind) -> Vec<&str> {
    let block: &Block = file.of(kind).next().unwrap_or_else(|| panic!("no {kind:?}"));
    block.fields.iter().map(|(key, _)| key.as_str()).filter(|key| !key.starts_with('_')).collect()
}

#[test]
fn fields_are_those_of_nagios_in_its_order() {
    let text = written(&taken_over());
    let (ours, theirs) = (parse(text.as_bytes()), parse(THEIRS.as_bytes()));
    assert_eq!(ours.complaints, []);
    for kind in [
        Kind::Info,
        Kind::Program,
        Kind::Host,
        Kind::Service,
        Kind::Contact,
        Kind::HostComment,
        Kind::ServiceComment,
        Kind::HostDowntime,
    ] {
        let mut ours = keys(&ours, kind);
        // 4.5 has one more.
        ours.retain(|key| *key != "event_handler_period");
        assert_eq!(ours, keys(&theirs, kind), "{kind:?}");
    }
    let order = |file: &File| {
        let mut kinds: Vec<Kind> = file.blocks.iter().map(|block| block.kind).collect();
        kinds.dedup();
        kinds.truncate(5);
        kinds
    };
    assert_eq!(order(&ours), order(&theirs));
    assert!(text.starts_with("info {\ncreated=1795290899\n") && text.ends_with("\n}\n"), "{text}");
}

#[test]
fn what_is_written_is_taken_over_without_a_difference() {
    let before = taken_over();
    let text = written(&before);
    // The last service is CRITICAL, and somebody knows.
    let (head, tail) = text.rsplit_once("acknowledged=0\nacknowledgement_type=0\n").unwrap();
    let text = format!("{head}acknowledged=1\nacknowledgement_type=2\n{tail}");
    let (retained, complaints) = takeover::of_file(&parse(text.as_bytes()), &Retention::default());
    assert_eq!(complaints, []);
    let mut again = engine();
    again.apply(WRITTEN, &Input::Retained(Arc::new(retained)));
    assert_eq!(written(&again.snapshot()), text);
    assert!(text.contains("notified_on_critical=1") && text.contains("is_in_effect=1"), "{text}");
}
