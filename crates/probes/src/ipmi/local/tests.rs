//! The conversation through the kernel, against a controller in memory that also loses, delays and mixes up answers.

use std::collections::VecDeque;
use std::io;

use stentor_wire::ipmi::command::{app, chassis, sensor, storage};
use stentor_wire::ipmi::sdr::{AnalogFormat, SensorFactors, Thresholds};
use stentor_wire::ipmi::sdr_encode::{CompactSpec, FullSpec};
use stentor_wire::ipmi::{completion, netfn};

use super::device::Incoming;
use super::*;
use crate::ipmi::{SensorState, facts};

/// A machine with a hot inlet, a power supply without input, and a sensor on a controller that is not there.
#[derive(Default)]
struct FakePort {
    queue: VecDeque<Incoming>,
    /// Commands that get no answer.
    lost: Vec<u8>,
    /// Each command is answered "busy" so many times first.
    busy: u32,
    asked: u32,
}

fn records() -> Vec<Vec<u8>> {
    let inlet = FullSpec {
        number: 1,
        entity: (0x37, 1),
        sensor_type: 1,
        format: AnalogFormat::Unsigned,
        unit: 1,
        linearization: 0,
        factors: SensorFactors { m: 1, b: 0, b_exponent: 0, result_exponent: 0 },
        thresholds: Thresholds { upper_critical: Some(47), ..Thresholds::default() },
        nominal: 22,
        name: "Inlet".to_owned(),
    };
    let (entity, name) = ((0x0A, 2), "PS2 Status".to_owned());
    let supply = CompactSpec { number: 2, entity, sensor_type: 8, event_type: 0x6F, reading_mask: 0xFF, name };
    let mut nobodys = FullSpec { number: 3, name: "Nobody's".to_owned(), ..inlet.clone() }.encode(3);
    // The owner is the first byte after the header.
    nobodys[5] = 0x42;
    vec![inlet.encode(1), supply.encode(2), nobodys]
}

impl FakePort {
    fn answer(&self, message: &Outgoing) -> Vec<u8> {
        if message.to.is_some() {
            return vec![0x83];
        }
        let refused = vec![completion::INVALID_COMMAND];
        match (message.netfn, message.command, message.data.as_slice()) {
            (netfn::APP, app::DEVICE_ID, _) => vec![0, 0x20, 1, 1, 4, 2, 0x83, 0, 0, 0, 0, 0],
            (netfn::CHASSIS, chassis::STATUS, _) => vec![0, 1, 0, 0],
            (netfn::CHASSIS, chassis::RESTART_CAUSE, _) => vec![0, 4, 0],
            (netfn::STORAGE, storage::SDR_INFO, _) => [vec![0, 0x51, 3, 0, 0, 0], vec![0; 8], vec![0x22]].concat(),
            (netfn::STORAGE, storage::SDR_RESERVE, _) => vec![0, 1, 0],
            (netfn::STORAGE, storage::SDR_GET, &[_, _, id, _, offset, count]) => {
                let records = records();
                let at = usize::from(id.saturating_sub(1));
                let next = if at + 1 < records.len() { [id.max(1) + 1, 0] } else { [0xFF, 0xFF] };
                let rest = records[at].iter().skip(usize::from(offset)).take(usize::from(count));
                [0, next[0], next[1]].into_iter().chain(rest.copied()).collect()
            }
            (netfn::SENSOR, sensor::READING, &[1]) => vec![0, 50, 0xC0, 0xD0],
            (netfn::SENSOR, sensor::READING, &[2]) => vec![0, 0, 0xC0, 0x09, 0x80],
            _ => refused,
        }
    }
}

impl Port for FakePort {
    fn send(&mut self, message: &Outgoing) -> io::Result<()> {
        self.asked += 1;
        if self.lost.contains(&message.command) {
            return Ok(());
        }
        // An event of the kernel's and the late answer to an older command come first.
        self.queue.push_back(Incoming { id: message.id, is_answer: false, data: vec![0, 1, 2] });
        self.queue.push_back(Incoming { id: message.id - 1, is_answer: true, data: vec![0xFF] });
        let data = if self.asked <= self.busy { vec![completion::BUSY] } else { self.answer(message) };
        self.queue.push_back(Incoming { id: message.id, is_answer: true, data });
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<Incoming> {
        match self.queue.pop_front() {
            Some(incoming) => Ok(incoming),
            None => std::future::pending().await,
        }
    }
}

async fn polled(port: FakePort) -> Result<crate::ipmi::BmcPoll, IpmiError> {
    let (mut link, mut memory) = (LocalLink::new(port), Memory::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let device = link.call(&GetDeviceId, deadline).await?;
    poll(&mut link, device, &mut memory, deadline).await
}

#[tokio::test(start_paused = true)]
async fn the_controller_of_this_machine_is_read_as_any_other() {
    let poll = polled(FakePort { busy: 2, ..FakePort::default() }).await.unwrap();
    assert_eq!((poll.missing.as_deref(), poll.suite), (None, None));
    let seen = |name: &str| poll.sensors.iter().find(|sensor| sensor.name == name).unwrap();
    assert_eq!((seen("Inlet").value, seen("Inlet").state), (Some(50.0), SensorState::Critical));
    assert_eq!(seen("PS2 Status").offsets, [0, 3]);
    assert_eq!(seen("Nobody's").state, SensorState::Unavailable);
    assert_eq!(poll.problems, ["controller 42h behind it does not answer"]);
    let told = facts(&poll);
    assert_eq!((&told["power"], &told["worst"]), (&"on".into(), &"critical".into()));
    assert_eq!(told["restart_cause"], "watchdog".into());
    assert!(!told.contains_key("suite"));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_never_answers_is_a_timeout_and_not_a_hang() {
    let before = Instant::now();
    let silent = FakePort { lost: vec![app::DEVICE_ID], ..FakePort::default() };
    let error = polled(silent).await.unwrap_err();
    assert!(matches!(error, IpmiError::NoAnswer { during: "Get Device ID" }), "{error:?}");
    assert_eq!(before.elapsed(), COMMAND_WAIT);
    let half = FakePort { lost: vec![sensor::READING], ..FakePort::default() };
    let poll = polled(half).await.unwrap();
    assert_eq!(poll.missing.as_deref(), Some("controller stopped answering during Get Sensor Reading"));
    assert!(!facts(&poll).contains_key("worst"), "what was not read is not called good");
}

#[test]
fn refusals_name_the_remedy() {
    let told = |kind: io::ErrorKind| refusal(DEVICE, &kind.into()).to_string();
    assert!(told(io::ErrorKind::PermissionDenied).contains("udev"));
    assert!(told(io::ErrorKind::NotFound).contains("ipmi_devintf"));
    assert!(matches!(refusal(DEVICE, &io::ErrorKind::PermissionDenied.into()), ProbeError::MissingRight(_)));
}
