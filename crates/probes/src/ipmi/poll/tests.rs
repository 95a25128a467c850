//! Polls of a controller in memory: sensors that vanish, controllers behind, device records, particulars.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use stentor_wire::ipmi::command::{Command, GetDeviceId, app, chassis, sensor, storage};
use stentor_wire::ipmi::sdr::SensorFactors;
use stentor_wire::ipmi::sdr_encode::{CompactSpec, FullSpec};
use stentor_wire::ipmi::{completion, netfn};

use super::*;
use crate::ipmi::scripted::{Heard, Scripted};
use crate::ipmi::{facts, observation};

/// A host with two supplies, their redundancy, and one sensor on controller 30h.
struct Model {
    is_on: bool,
    has_repository: bool,
    /// State bits by sensor number; a sensor that is not here is not present.
    states: BTreeMap<u8, u8>,
    is_satellite_there: bool,
    /// One more record, whose exponents are wrong.
    has_liar: bool,
    /// Commands asked so far, by name of function and number.
    asked: BTreeMap<(u8, u8), u32>,
}

type Shared = Arc<Mutex<Model>>;

fn model() -> Shared {
    let states = [(1, 1), (2, 1), (3, 1), (4, 2)].into();
    let (has_liar, asked) = (false, BTreeMap::new());
    Arc::new(Mutex::new(Model { is_on: true, has_repository: true, states, is_satellite_there: true, has_liar, asked }))
}

fn records(has_liar: bool) -> Vec<Vec<u8>> {
    let spec = |number, sensor_type, event_type, name: &str| {
        let (entity, name) = ((0x0A, number), name.to_owned());
        CompactSpec { number, entity, sensor_type, event_type, reading_mask: 0xFF, name }.encode(u16::from(number))
    };
    let mut behind = spec(4, 0x0D, 0x6F, "Shelf Drive");
    // The owner is the first byte after the header.
    behind[5] = 0x30;
    let mut all = vec![spec(1, 8, 0x6F, "PS1"), spec(2, 8, 0x6F, "PS2"), spec(3, 9, 0x0B, "PS Redundancy"), behind];
    let liar = FullSpec {
        number: 5,
        entity: (0x37, 1),
        sensor_type: 1,
        format: AnalogFormat::Unsigned,
        unit: 1,
        linearization: 0,
        factors: SensorFactors { m: 1, b: 500, b_exponent: 7, result_exponent: 0 },
        thresholds: Thresholds::default(),
        nominal: 0,
        name: "Hot".to_owned(),
    };
    all.extend(has_liar.then(|| liar.encode(5)));
    all
}

fn record_part(data: &[u8], has_liar: bool) -> Vec<u8> {
    let &[_, _, id, _, offset, count] = data else { return vec![completion::LENGTH_INVALID] };
    let records = records(has_liar);
    let at = usize::from(id.saturating_sub(1));
    let Some(record) = records.get(at) else { return vec![completion::NOT_PRESENT] };
    let next: u16 = if at + 1 < records.len() { at as u16 + 2 } else { 0xFFFF };
    let part = record.iter().copied().skip(usize::from(offset)).take(usize::from(count));
    [0].into_iter().chain(next.to_le_bytes()).chain(part).collect()
}

fn answer(model: &mut Model, heard: &Heard<'_>) -> Option<Vec<u8>> {
    *model.asked.entry((heard.netfn, heard.command)).or_default() += 1;
    if heard.behind.is_some() && !model.is_satellite_there {
        return None;
    }
    Some(match (heard.netfn, heard.command) {
        (netfn::CHASSIS, chassis::STATUS) => vec![0, u8::from(model.is_on) | 0x08, 0, 0x08],
        (netfn::CHASSIS, chassis::POWER_ON_HOURS) => vec![0, 60, 10, 0, 0, 0],
        (netfn::APP, app::WATCHDOG_TIMER) => vec![0, 0x44, 0x01, 0, 0x10, 0x58, 0x02, 0x2C, 0x01],
        (0x2C, 0x01) => vec![0, 0xDC, 1, 5, 2, 0, 1, 0],
        (0x2C, 0x02) => [&[0, 0xDC, 0xF4, 0, 0x64, 0, 0x2C, 1, 0xFA, 0][..], &[0; 4], &[0xE8, 3, 0, 0, 0x40]].concat(),
        (netfn::STORAGE, storage::SDR_INFO) if model.has_repository => [&[0, 0x51, 4, 0][..], &[0; 11]].concat(),
        (netfn::STORAGE, storage::SDR_GET) if model.has_repository => record_part(heard.data, model.has_liar),
        (netfn::SENSOR, sensor::DEVICE_SDR_INFO) if !model.has_repository => vec![0, 4, 0x01],
        (netfn::SENSOR, sensor::DEVICE_SDR_GET) if !model.has_repository => record_part(heard.data, model.has_liar),
        (netfn::SENSOR, sensor::READING) => match heard.data.first().and_then(|number| model.states.get(number)) {
            Some(states) => vec![0, 0, 0xC0, *states, 0x80],
            None => vec![completion::NOT_PRESENT],
        },
        _ => vec![completion::INVALID_COMMAND],
    })
}

async fn look(memory: &mut Memory, model: &Shared) -> BmcPoll {
    let support = if model.lock().unwrap().has_repository { 0x83 } else { 0x81 };
    let device = GetDeviceId.parse(&[0x20, 1, 1, 4, 2, support, 0, 0, 0, 0, 0]).unwrap();
    let shared = Arc::clone(model);
    let mut link = Scripted(move |heard: Heard<'_>| answer(&mut shared.lock().unwrap(), &heard));
    poll(&mut link, device, memory, Instant::now() + Duration::from_secs(60)).await.unwrap()
}

fn json(value: &stentor_core::model::Value) -> String {
    serde_json::to_string(value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sensor_that_vanishes_is_told_until_it_is_back_and_never_while_the_host_is_off() {
    let (model, mut memory) = (model(), Memory::default());
    assert_eq!(look(&mut memory, &model).await.vanished, [""; 0]);
    model.lock().unwrap().states.remove(&2);
    let poll = look(&mut memory, &model).await;
    assert_eq!(poll.vanished, ["PS2"]);
    assert!(observation(&poll).text.contains("; gone: PS2"), "{}", observation(&poll).text);
    model.lock().unwrap().is_on = false;
    assert_eq!(look(&mut memory, &model).await.vanished, [""; 0]);
    model.lock().unwrap().is_on = true;
    model.lock().unwrap().states.insert(2, 1);
    assert_eq!(look(&mut memory, &model).await.vanished, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_behind_that_falls_silent_is_told_left_alone_and_tried_again() {
    let (model, mut memory) = (model(), Memory::default());
    let poll = look(&mut memory, &model).await;
    assert_eq!((poll.problems.len(), poll.sensors[3].offsets.as_slice()), (0, &[1][..]));
    model.lock().unwrap().is_satellite_there = false;
    for _ in 0..2 {
        let poll = look(&mut memory, &model).await;
        assert_eq!(poll.problems, ["controller 30h behind it does not answer"]);
        assert_eq!((poll.missing, poll.vanished), (None, vec!["Shelf Drive".to_owned()]));
    }
    assert_eq!(model.lock().unwrap().asked[&(netfn::SENSOR, sensor::READING)], 4 + 4 + 3);
    model.lock().unwrap().is_satellite_there = true;
    tokio::time::advance(SILENT_FOR).await;
    assert_eq!(look(&mut memory, &model).await.problems, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_without_a_repository_describes_its_own_sensors() {
    let (model, mut memory) = (model(), Memory::default());
    model.lock().unwrap().has_repository = false;
    let poll = look(&mut memory, &model).await;
    let names: Vec<&str> = poll.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
    assert_eq!((names, poll.missing), (vec!["PS1", "PS2", "PS Redundancy", "Shelf Drive"], None));
}

#[tokio::test(start_paused = true)]
async fn redundancy_says_how_many_are_good_of_how_many() {
    let (model, mut memory) = (model(), Memory::default());
    model.lock().unwrap().states.extend([(2, 0b1001), (3, 0b10)]);
    let told = facts(&look(&mut memory, &model).await);
    assert_eq!(
        json(&told["redundancy"]),
        r#"[{"good":1,"id":"PS Redundancy","of":2,"of_type":"Power Unit","state":"lost"}]"#
    );
    assert_eq!(json(&told["chassis_faults"]), r#"["main power fault","cooling fault"]"#);
}

#[tokio::test(start_paused = true)]
async fn particulars_are_asked_as_often_as_they_change_and_what_is_refused_only_once() {
    let (model, mut memory) = (model(), Memory::default());
    let asked = |netfn, command| model.lock().unwrap().asked.get(&(netfn, command)).copied().unwrap_or_default();
    for _ in 0..3 {
        let told = facts(&look(&mut memory, &model).await);
        assert_eq!((&told["power_watts"], &told["power_on_hours"]), (&244.0.into(), &10.0.into()));
        assert_eq!(json(&told["watchdog_expired"]), r#"["SMS/OS"]"#);
        assert_eq!(json(&told["watchdog"]), r#"{"action":"hard reset","left_s":30,"running":true,"use":"SMS/OS"}"#);
        assert!(!told.contains_key("restart_cause"));
    }
    assert_eq!((asked(0x2C, 2), asked(0x2C, 1)), (3, 1));
    assert_eq!((asked(netfn::CHASSIS, chassis::POWER_ON_HOURS), asked(netfn::CHASSIS, chassis::RESTART_CAUSE)), (1, 1));
    // The host was switched off: why, and for how long, is asked again; what was refused is not.
    model.lock().unwrap().is_on = false;
    look(&mut memory, &model).await;
    assert_eq!((asked(netfn::CHASSIS, chassis::POWER_ON_HOURS), asked(netfn::CHASSIS, chassis::RESTART_CAUSE)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_cannot_be_is_told_and_is_no_measurement() {
    let (model, mut memory) = (model(), Memory::default());
    model.lock().unwrap().has_liar = true;
    model.lock().unwrap().states.insert(5, 0);
    let poll = look(&mut memory, &model).await;
    assert_eq!(poll.problems, ["Hot reads 5e9 °C, which cannot be"]);
    assert!(crate::ipmi::measurements(&poll).iter().all(|measured| &*measured.label != "Hot"));
}
