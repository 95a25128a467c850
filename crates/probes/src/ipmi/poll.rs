//! One look at a controller: power, sensors, event log.

use std::collections::{BTreeMap, BTreeSet};

use stentor_wire::ipmi::Suite;
use stentor_wire::ipmi::bridge::Satellite;
use stentor_wire::ipmi::command::{
    ChassisStatus, DeviceId, GetChassisStatus, GetReadingFactors, GetSensorReading, RawReading,
};
use stentor_wire::ipmi::event::{self, Severity, event_type, sensor_type};
use stentor_wire::ipmi::listing::{Answer, Listed};
use stentor_wire::ipmi::sdr::{AnalogFormat, FullSensor, Linearization, Thresholds};
use stentor_wire::ipmi::sdr_locator::{Entity, EntityAssociation};
use stentor_wire::ipmi::units::SensorUnit;
use tokio::time::{Duration, Instant};

use super::IpmiError;
use super::conversation::Conversation;
use super::event_log::{EventLog, LogNews};
use super::particulars::{Asked, Keeper, Particulars};
use super::repository::{Repository, Sensor};

/// Entity id of a power supply (table 43-13).
const ENTITY_POWER_SUPPLY: u8 = 0x0A;
/// Entity instances from here on are relative to the device (section 39.1).
const DEVICE_RELATIVE: u8 = 0x60;

/// What one poll saw. Shared by all services of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct BmcPoll {
    pub device: DeviceId,
    /// `None` on this machine's own controller, where nothing needs protection.
    pub suite: Option<Suite>,
    pub chassis: ChassisStatus,
    pub sensors: Vec<SensorSeen>,
    /// Every power supply and power unit was read.
    pub is_power_read: bool,
    /// Every sensor was read.
    pub are_sensors_read: bool,
    pub log: LogNews,
    pub particulars: Particulars,
    /// Sensors that had a reading before and have none now, with the host on.
    pub vanished: Vec<String>,
    /// Records that cannot be right, and controllers behind this one that do not answer.
    pub problems: Vec<String>,
    /// Which entities make up which, as the records say.
    pub associations: Vec<EntityAssociation>,
    /// Why some of it was not read (the deadline, mostly); what is missing is then unknown, not good.
    pub missing: Option<String>,
}

/// What a sensor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SensorState {
    Ok,
    /// Beyond a non-critical threshold.
    NonCritical,
    /// Beyond a critical threshold.
    Critical,
    /// Beyond a non-recoverable threshold.
    NonRecoverable,
    /// Discrete: see `offsets`.
    Discrete,
    /// No reading: scanning is off, the part is absent, or the host is off.
    Unavailable,
}

impl SensorState {
    /// The words of `ipmitool sdr`: ok, nc, cr, nr, ns; `discrete` for discrete sensors.
    pub fn word(self) -> &'static str {
        match self {
            SensorState::Ok => "ok",
            SensorState::NonCritical => "nc",
            SensorState::Critical => "cr",
            SensorState::NonRecoverable => "nr",
            SensorState::Discrete => "discrete",
            SensorState::Unavailable => "ns",
        }
    }
}

/// One sensor at the time of the poll.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorSeen {
    pub name: String,
    pub number: u8,
    pub entity: (u8, u8),
    pub sensor_type: u8,
    pub event_type: u8,
    pub state: SensorState,
    pub value: Option<f64>,
    /// `°C`, `RPM`, `V`; empty without one.
    pub unit: String,
    /// Asserted offsets of a discrete sensor.
    pub offsets: Vec<u8>,
    pub thresholds: Thresholds<Option<f64>>,
    pub record: RecordSeen,
    /// Unit codes of a full threshold record.
    pub unit_told: Option<SensorUnit>,
    pub is_analog: bool,
    /// As the record converts it, even where `value` is left out because it cannot be.
    pub answer: Answer,
}

/// The record a sensor comes from, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSeen {
    pub id: u16,
    /// Place in the repository, from 0.
    pub order: usize,
    /// The name it gives; [`SensorSeen::name`] is made unique.
    pub name: String,
}

impl SensorSeen {
    fn new(sensor: &Sensor, state: SensorState, answer: Answer) -> Self {
        let key = &sensor.key;
        SensorSeen {
            name: sensor.name.clone(),
            number: key.number,
            entity: (key.entity_id, key.entity_instance),
            sensor_type: key.sensor_type,
            event_type: key.event_type,
            state,
            value: None,
            unit: sensor.analog.as_ref().map(|full| full.unit.symbol()).unwrap_or_default(),
            offsets: Vec::new(),
            thresholds: sensor.analog.as_ref().map(|full| full.threshold_values()).unwrap_or_default(),
            record: RecordSeen { id: sensor.record_id, order: sensor.order, name: key.name.clone() },
            unit_told: sensor.analog.as_ref().map(|full| full.unit),
            is_analog: sensor.analog.as_ref().is_some_and(|full| full.format != AnalogFormat::None),
            answer,
        }
    }

    /// What the record makes of the reading, where that cannot be.
    fn impossibility(&self) -> Option<String> {
        match self.answer {
            Answer::Reading { value: Some(value), .. } if self.value.is_none() => {
                Some(format!("{} reads {value:e} {}, which cannot be", self.name, self.unit))
            }
            Answer::Reading { .. } | Answer::Disabled | Answer::Unavailable => None,
        }
    }

    /// For comparison with what other programs print.
    pub fn listed(&self) -> Listed<'_> {
        Listed {
            record_id: self.record.id,
            name: &self.record.name,
            number: self.number,
            entity: self.entity,
            sensor_type: self.sensor_type,
            event_type: self.event_type,
            unit: self.unit_told,
            is_analog: self.is_analog,
            answer: self.answer,
        }
    }

    /// A single power supply (not the redundancy of all).
    pub fn is_power_supply(&self) -> bool {
        self.sensor_type == sensor_type::POWER_SUPPLY && self.event_type == event_type::SENSOR_SPECIFIC
    }

    /// Redundancy of the power supplies, published under either sensor type.
    pub fn is_power_redundancy(&self) -> bool {
        self.event_type == event_type::REDUNDANCY
            && [sensor_type::POWER_SUPPLY, sensor_type::POWER_UNIT].contains(&self.sensor_type)
    }

    /// `PS2`: by the entity's instance where the controller names one, else by the sensor's name.
    pub fn power_supply_id(&self) -> String {
        let (id, instance) = self.entity;
        if id == ENTITY_POWER_SUPPLY && (1..DEVICE_RELATIVE).contains(&instance) {
            return format!("PS{instance}");
        }
        self.name.trim_end_matches(" Status").to_owned()
    }

    /// Weight of the worst thing this sensor says.
    pub fn severity(&self) -> Severity {
        match self.state {
            SensorState::Ok | SensorState::Unavailable => Severity::Info,
            SensorState::NonCritical => Severity::Warning,
            SensorState::Critical | SensorState::NonRecoverable => Severity::Critical,
            SensorState::Discrete => {
                let weigh = |offset: &u8| event::severity(self.event_type, self.sensor_type, *offset);
                self.offsets.iter().map(weigh).max().unwrap_or(Severity::Info)
            }
        }
    }
}

impl BmcPoll {
    /// The entities that make up the one this sensor is about, where records say so.
    pub fn members(&self, sensor: &SensorSeen) -> Vec<Entity> {
        let (id, instance) = sensor.entity;
        let own = self.associations.iter().filter(|group| group.container == Entity { id, instance });
        own.flat_map(EntityAssociation::entities).collect()
    }

    /// Sensors that say something is wrong. With the host off, fans, voltages and processors stand still on purpose:
    /// only power, temperature and storage are believed then.
    pub fn faults(&self) -> impl Iterator<Item = &SensorSeen> {
        const STILL_WHEN_OFF: [u8; 5] = [
            sensor_type::FAN,
            sensor_type::VOLTAGE,
            sensor_type::CURRENT,
            sensor_type::PROCESSOR,
            sensor_type::COOLING,
        ];
        let is_on = self.chassis.is_on;
        self.sensors.iter().filter(move |sensor| {
            sensor.severity() > Severity::Info && (is_on || !STILL_WHEN_OFF.contains(&sensor.sensor_type))
        })
    }
}

/// Kept between polls of one controller.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub repository: Repository,
    pub log: EventLog,
    pub particulars: Keeper,
    /// Names of sensors that have had a reading.
    read_before: BTreeSet<String>,
    /// Controllers behind this one that did not answer, and when they are tried again.
    silent: BTreeMap<Satellite, Instant>,
}

/// Impossible readings told of one controller; with wrong exponents all of them are.
const IMPOSSIBLE_MAX: usize = 4;
/// A controller behind this one that did not answer is left alone for so long.
const SILENT_FOR: Duration = Duration::from_secs(300);

/// Polls one controller over an open session. Power comes first; what a deadline cuts off is marked as missing.
///
/// # Errors
/// When not even the chassis status could be read.
pub(super) async fn poll<T: Conversation>(
    link: &mut T,
    device: DeviceId,
    memory: &mut Memory,
    deadline: Instant,
) -> Result<BmcPoll, IpmiError> {
    let chassis = link.call(&GetChassisStatus, deadline).await?;
    let mut poll = BmcPoll {
        device,
        suite: link.suite(),
        chassis,
        sensors: Vec::new(),
        is_power_read: false,
        are_sensors_read: false,
        log: LogNews::default(),
        particulars: Particulars::default(),
        vanished: Vec::new(),
        problems: Vec::new(),
        associations: Vec::new(),
        missing: None,
    };
    let sensors = read_sensors(&mut poll, link, memory, deadline).await;
    let log = match &sensors {
        // Silence will not end for the log either.
        Err(error) if ends_session(error) => Ok(()),
        _ if !device.has_sel => Ok(()),
        _ => memory.log.refresh(link, &memory.repository, deadline).await.map(|news| poll.log = news),
    };
    match sensors.and(log) {
        Ok(()) => {
            let asked = Asked { device, is_on: chassis.is_on, repository: &memory.repository };
            poll.particulars = memory.particulars.refresh(link, &asked, deadline).await;
        }
        Err(error) => poll.missing = Some(error.to_string()),
    }
    poll.problems = memory.repository.problems().to_vec();
    let silent = memory.silent.keys().map(|s| format!("controller {:02x}h behind it does not answer", s.address));
    poll.problems.extend(silent);
    let impossible: Vec<String> =
        poll.sensors.iter().filter_map(SensorSeen::impossibility).take(IMPOSSIBLE_MAX).collect();
    poll.problems.extend(impossible);
    poll.associations = memory.repository.associations.clone();
    Ok(poll)
}

async fn read_sensors<T: Conversation>(
    poll: &mut BmcPoll,
    link: &mut T,
    memory: &mut Memory,
    deadline: Instant,
) -> Result<(), IpmiError> {
    if poll.device.has_sdr_repository || poll.device.has_sensors {
        memory.repository.refresh(link, poll.device, deadline).await?;
    }
    memory.silent.retain(|_, until| *until > Instant::now());
    poll.sensors.reserve_exact(memory.repository.sensors().len());
    let last_of_power = memory.repository.sensors().iter().rposition(Sensor::is_power);
    poll.is_power_read = last_of_power.is_none();
    for (place, sensor) in memory.repository.sensors().iter().enumerate() {
        let is_silent = sensor.satellite().is_some_and(|satellite| memory.silent.contains_key(&satellite));
        let seen = match read_sensor(link, sensor, is_silent, deadline).await {
            Err(IpmiError::SatelliteSilent { .. }) => {
                memory.silent.extend(sensor.satellite().map(|satellite| (satellite, Instant::now() + SILENT_FOR)));
                SensorSeen::new(sensor, SensorState::Unavailable, Answer::Unavailable)
            }
            other => other?,
        };
        poll.sensors.push(seen);
        poll.is_power_read |= last_of_power.is_some_and(|last| place >= last);
    }
    poll.are_sensors_read = true;
    note_vanished(poll, &mut memory.read_before);
    Ok(())
}

/// Which sensors have gone: from the controller's records, or from the machine.
fn note_vanished(poll: &mut BmcPoll, read_before: &mut BTreeSet<String>) {
    let has_reading = |seen: &&SensorSeen| matches!(seen.answer, Answer::Reading { .. });
    let (mut fresh, mut still_there) = (Vec::new(), 0);
    for seen in poll.sensors.iter().filter(has_reading) {
        if read_before.contains(&seen.name) {
            still_there += 1;
        } else {
            fresh.push(seen.name.clone());
        }
    }
    // Nearly always all of them are there, and nothing needs to be compared or copied.
    if poll.chassis.is_on && still_there < read_before.len() {
        let now: BTreeSet<&str> = poll.sensors.iter().filter(has_reading).map(|seen| seen.name.as_str()).collect();
        poll.vanished = read_before.iter().filter(|name| !now.contains(name.as_str())).cloned().collect();
    }
    read_before.extend(fresh);
}

async fn read_sensor<T: Conversation>(
    link: &mut T,
    sensor: &Sensor,
    is_silent: bool,
    deadline: Instant,
) -> Result<SensorSeen, IpmiError> {
    let command = GetSensorReading { number: sensor.key.number, lun: sensor.key.lun };
    let reading = match sensor.satellite() {
        Some(_) if is_silent => return Ok(SensorSeen::new(sensor, SensorState::Unavailable, Answer::Unavailable)),
        Some(satellite) => link.call_behind(satellite, &command, deadline).await,
        None => link.call(&command, deadline).await,
    };
    let reading = match reading {
        Ok(reading) => reading,
        // Not present, not now, not supported: this sensor says nothing; others may.
        Err(IpmiError::Completion { .. } | IpmiError::Malformed { .. }) => {
            return Ok(SensorSeen::new(sensor, SensorState::Unavailable, Answer::Unavailable));
        }
        Err(error) => return Err(error),
    };
    if !reading.is_scanning {
        return Ok(SensorSeen::new(sensor, SensorState::Unavailable, Answer::Disabled));
    }
    if reading.is_unavailable {
        return Ok(SensorSeen::new(sensor, SensorState::Unavailable, Answer::Unavailable));
    }
    match &sensor.analog {
        Some(full) => read_analog(link, sensor, full, reading, deadline).await,
        None => {
            let answer = Answer::Reading { value: None, states: reading.states };
            let mut seen = SensorSeen::new(sensor, SensorState::Discrete, answer);
            // Compact threshold records carry no factors: only the comparison counts.
            if sensor.key.is_threshold() {
                seen.state = threshold_state(reading);
            } else {
                seen.offsets = (0..15).filter(|bit| reading.states >> bit & 1 != 0).collect();
            }
            Ok(seen)
        }
    }
}

async fn read_analog<T: Conversation>(
    link: &mut T,
    sensor: &Sensor,
    full: &FullSensor,
    reading: RawReading,
    deadline: Instant,
) -> Result<SensorSeen, IpmiError> {
    let value = if full.linearization == Linearization::NonLinear {
        let command = GetReadingFactors { number: sensor.key.number, lun: sensor.key.lun, raw: reading.raw };
        let factors = match sensor.satellite() {
            Some(satellite) => link.call_behind(satellite, &command, deadline).await,
            None => link.call(&command, deadline).await,
        };
        match factors {
            Ok(factors) => full.value_with(reading.raw, &factors),
            Err(IpmiError::Completion { .. } | IpmiError::Malformed { .. }) => None,
            Err(error) => return Err(error),
        }
    } else {
        full.value(reading.raw)
    };
    let answer = Answer::Reading { value, states: reading.states };
    let value = value.filter(|value| full.is_possible(*value));
    Ok(SensorSeen { value, ..SensorSeen::new(sensor, threshold_state(reading), answer) })
}

/// Bits 0 to 5: at or below lower non-critical, critical, non-recoverable; at or above the upper ones.
fn threshold_state(reading: RawReading) -> SensorState {
    let is_any = |mask: u16| reading.states & mask != 0;
    if is_any(0b10_0100) {
        SensorState::NonRecoverable
    } else if is_any(0b01_0010) {
        SensorState::Critical
    } else if is_any(0b00_1001) {
        SensorState::NonCritical
    } else {
        SensorState::Ok
    }
}

/// True when the session is of no more use.
pub(super) fn ends_session(error: &IpmiError) -> bool {
    matches!(error, IpmiError::NoAnswer { .. })
}

#[cfg(test)]
mod tests;
