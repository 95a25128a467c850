//! The controller's sensor records: read once, kept while its firmware and the repository's timestamps stay the same.

use std::collections::{HashMap, HashSet};

use stentor_wire::ipmi::bridge::Satellite;
use stentor_wire::ipmi::command::{
    DeviceId, FIRST_RECORD, GetSdr, GetSdrInfo, LAST_RECORD, ReserveSdr, SdrInfo, SdrPart,
};
use stentor_wire::ipmi::completion;
use stentor_wire::ipmi::device_sdr::{GetDeviceSdr, GetDeviceSdrInfo, ReserveDeviceSdr};
use stentor_wire::ipmi::event::sensor_type;
use stentor_wire::ipmi::sdr::{BMC_OWNER, FullSensor, SDR_HEADER_BYTES, SdrHeader, SdrRecord, SensorKey};
use stentor_wire::ipmi::sdr_locator::{DeviceLocator, EntityAssociation, Located, OemRecord};
use tokio::time::Instant;

use super::IpmiError;
use super::conversation::Conversation;

/// Bytes asked for at once: fits the smallest common answer buffer with its headers; halved on CAh.
const CHUNK_BYTES: u8 = 58;
/// Below this a controller is broken, not small.
const CHUNK_BYTES_MIN: u8 = 8;
/// How often a lost reservation (C5h) restarts a record.
const RESERVATIONS_MAX: u32 = 5;
/// More records than any controller has; ends a walk that goes in circles.
const RECORDS_MAX: usize = 4096;

/// What is wrong with records is told in so many words; a broken repository has the same fault in each.
const PROBLEMS_MAX: usize = 16;
/// OEM records kept; more are counted only.
const OEM_RECORDS_MAX: usize = 64;

/// One readable sensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sensor {
    pub key: SensorKey,
    /// The record's name, made unique on this controller.
    pub name: String,
    pub record_id: u16,
    /// Place among the sensors, in the order of the repository.
    pub order: usize,
    /// Conversion of the reading; `None` for discrete sensors.
    pub analog: Option<Box<FullSensor>>,
}

impl Sensor {
    /// A power supply or power unit: read before all others.
    pub(super) fn is_power(&self) -> bool {
        [sensor_type::POWER_SUPPLY, sensor_type::POWER_UNIT].contains(&self.key.sensor_type)
    }

    /// The controller that has it, unless that is the one we talk to.
    pub(super) fn satellite(&self) -> Option<Satellite> {
        (self.key.owner != BMC_OWNER).then_some(Satellite { address: self.key.owner, channel: self.key.channel })
    }
}

/// Software has sensors, too, which nobody can ask: their owners have the lowest bit set (section 43.1, byte 6).
fn is_software(owner: u8) -> bool {
    owner & 1 != 0
}

/// Where records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Repository,
    /// A controller without a repository describes its own sensors.
    Device,
}

impl Source {
    async fn info<T: Conversation>(self, link: &mut T, deadline: Instant) -> Result<SdrInfo, IpmiError> {
        match self {
            Source::Repository => link.call(&GetSdrInfo, deadline).await,
            Source::Device => link.call(&GetDeviceSdrInfo, deadline).await,
        }
    }

    async fn reserve<T: Conversation>(self, link: &mut T, deadline: Instant) -> Result<u16, IpmiError> {
        let reserved = match self {
            Source::Repository => link.call(&ReserveSdr, deadline).await,
            Source::Device => link.call(&ReserveDeviceSdr, deadline).await,
        };
        match reserved {
            // Controllers without reservations take zero.
            Err(IpmiError::Completion { code: completion::INVALID_COMMAND, .. }) => Ok(0),
            other => other,
        }
    }

    async fn part<T: Conversation>(self, link: &mut T, part: GetSdr, deadline: Instant) -> Result<SdrPart, IpmiError> {
        match self {
            Source::Repository => link.call(&part, deadline).await,
            Source::Device => link.call(&GetDeviceSdr(part), deadline).await,
        }
    }
}

/// What the records were read under.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    device: DeviceId,
    info: SdrInfo,
}

/// Records of one controller, perhaps not all read yet.
#[derive(Debug, Default)]
pub(super) struct Repository {
    source: Source,
    stamp: Option<Stamp>,
    next: u16,
    is_complete: bool,
    chunk: u8,
    records_read: usize,
    sensors: Vec<Sensor>,
    /// Sources of events that cannot be read.
    event_only: Vec<SensorKey>,
    pub(super) locators: Vec<DeviceLocator>,
    pub(super) associations: Vec<EntityAssociation>,
    pub(super) oem: Vec<OemRecord>,
    /// Records that cannot be right.
    problems: Vec<String>,
}

impl Repository {
    pub(super) fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Changes whenever the records were read anew.
    pub(super) fn generation(&self) -> Option<(DeviceId, SdrInfo)> {
        self.stamp.map(|stamp| (stamp.device, stamp.info))
    }

    /// Inventories that records point at, but the controller's own (id 0), with their names.
    pub(super) fn inventories(&self) -> impl Iterator<Item = (u8, &str)> {
        self.locators.iter().filter_map(|locator| match locator.located {
            Located::Fru { id } if locator.address == BMC_OWNER && id != 0 => Some((id, locator.name.as_str())),
            Located::Fru { .. } | Located::FruChip | Located::Device { .. } | Located::Controller { .. } => None,
        })
    }

    fn complain(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Conversion of the readings of the sensor an event comes from.
    pub(super) fn analog_of(&self, generator: u16, number: u8) -> Option<&FullSensor> {
        let owner = (generator & 0xFF) as u8;
        let sensor = self.sensors.iter().find(|sensor| sensor.key.number == number && sensor.key.owner == owner)?;
        sensor.analog.as_deref()
    }

    /// Name of the sensor an event comes from.
    pub(super) fn name_of(&self, generator: u16, number: u8) -> Option<&str> {
        let owner = (generator & 0xFF) as u8;
        self.sensors
            .iter()
            .map(|sensor| (&sensor.key, &sensor.name))
            .chain(self.event_only.iter().map(|key| (key, &key.name)))
            .find(|(key, name)| key.number == number && key.owner == owner && !name.is_empty())
            .map(|(_, name)| name.as_str())
    }

    /// Brings the records up to date. After an error (a deadline, mostly) the next call goes on where this one
    /// stopped, so a slow controller is read over several polls.
    ///
    /// # Errors
    /// As the controller answers.
    pub(super) async fn refresh<T: Conversation>(
        &mut self,
        link: &mut T,
        device: DeviceId,
        deadline: Instant,
    ) -> Result<(), IpmiError> {
        let source = if device.has_sdr_repository { Source::Repository } else { Source::Device };
        let info = source.info(link, deadline).await?;
        let stamp = Stamp { device, info };
        if self.stamp != Some(stamp) {
            let (next, chunk) = (FIRST_RECORD, CHUNK_BYTES);
            *self = Repository { source, stamp: Some(stamp), next, chunk, ..Repository::default() };
            self.is_complete = info.records == 0;
        }
        let mut reservation = None;
        while !self.is_complete {
            let (next, bytes) = self.read_record(link, &mut reservation, deadline).await?;
            self.keep(&bytes);
            self.records_read += 1;
            self.is_complete = next == LAST_RECORD || next == self.next || self.records_read >= RECORDS_MAX;
            self.next = next;
            if self.is_complete {
                self.finish();
            }
        }
        Ok(())
    }

    /// Orders the sensors and gives each its own name: many controllers call every processor's sensor `Temp`.
    fn finish(&mut self) {
        self.sensors.sort_by_key(importance);
        let names = self.sensors.iter().map(|sensor| sensor.name.clone());
        let counts = names.fold(HashMap::new(), |mut counts: HashMap<String, usize>, name| {
            *counts.entry(name).or_default() += 1;
            counts
        });
        let mut taken = HashSet::new();
        for Sensor { key, name, .. } in &mut self.sensors {
            if name.is_empty() || counts.get(name).is_some_and(|count| *count > 1) {
                let told = if name.is_empty() { "Sensor" } else { name.as_str() };
                *name = format!("{told} {}.{}", key.entity_id, key.entity_instance);
            }
            if !taken.insert(name.clone()) {
                *name = format!("{name} #{}", key.number);
                taken.insert(name.clone());
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let record_id = SdrHeader::decode(bytes).map_or(0, |header| header.id);
        match SdrRecord::decode(bytes) {
            Some(SdrRecord::Full(full)) if !is_software(full.key.owner) => {
                let key = full.key.clone();
                if let Some(what) = full.contradiction().filter(|_| key.is_threshold()) {
                    self.complain(format!("record {record_id:04x}h of {} {what}", key.name));
                }
                self.add(record_id, key.is_threshold().then_some(full), key);
            }
            Some(SdrRecord::Compact(key)) if !is_software(key.owner) => {
                key.expand().into_iter().for_each(|key| self.add(record_id, None, key));
            }
            // Nobody answers for software; its sensors still name events.
            Some(SdrRecord::Full(full)) => self.event_only.push(full.key.clone()),
            Some(SdrRecord::Compact(key) | SdrRecord::EventOnly(key)) => self.event_only.extend(key.expand()),
            Some(SdrRecord::Locator(locator)) => self.locators.push(locator),
            Some(SdrRecord::Entities(association)) => self.associations.push(association),
            Some(SdrRecord::Oem(record)) if self.oem.len() < OEM_RECORDS_MAX => self.oem.push(record),
            Some(SdrRecord::Oem(_) | SdrRecord::Other(_)) => {}
            None => self.complain(format!("record {record_id:04x}h is shorter than it says")),
        }
    }

    fn add(&mut self, record_id: u16, analog: Option<Box<FullSensor>>, key: SensorKey) {
        let order = self.sensors.len();
        let twice = |sensor: &&Sensor| {
            (sensor.key.owner, sensor.key.lun, sensor.key.number) == (key.owner, key.lun, key.number)
        };
        if let Some(other) = self.sensors.iter().find(twice) {
            let problem = format!("sensor {:02x}h is both {} and {}", key.number, other.name, key.name);
            self.complain(problem);
        }
        self.sensors.push(Sensor { name: key.name.clone(), key, record_id, order, analog });
    }

    /// One whole record, in parts, and the id of the one after it.
    async fn read_record<T: Conversation>(
        &mut self,
        link: &mut T,
        reservation: &mut Option<u16>,
        deadline: Instant,
    ) -> Result<(u16, Vec<u8>), IpmiError> {
        let mut restarts = 0;
        'restart: loop {
            let reserved = match *reservation {
                Some(reserved) => reserved,
                None => *reservation.insert(self.source.reserve(link, deadline).await?),
            };
            let mut bytes: Vec<u8> = Vec::new();
            let mut wanted = SDR_HEADER_BYTES;
            let mut next = LAST_RECORD;
            while bytes.len() < wanted {
                let left = wanted - bytes.len();
                let count = u8::try_from(left).unwrap_or(u8::MAX).min(self.chunk);
                let offset = bytes.len() as u8;
                let part = GetSdr { reservation: reserved, record: self.next, offset, count };
                match self.source.part(link, part, deadline).await {
                    Ok(part) if part.bytes.is_empty() => return Ok((part.next, bytes)),
                    Ok(part) => {
                        next = part.next;
                        bytes.extend(part.bytes.iter().take(left));
                    }
                    Err(IpmiError::Completion { code, .. }) if is_too_much(code) && self.chunk > CHUNK_BYTES_MIN => {
                        self.chunk = (self.chunk / 2).max(CHUNK_BYTES_MIN);
                    }
                    Err(IpmiError::Completion { code: completion::RESERVATION_CANCELLED, .. })
                        if restarts < RESERVATIONS_MAX =>
                    {
                        restarts += 1;
                        *reservation = None;
                        link.stand_aside(deadline).await;
                        continue 'restart;
                    }
                    Err(error) => return Err(error),
                }
                if bytes.len() == SDR_HEADER_BYTES
                    && let Some(header) = SdrHeader::decode(&bytes)
                {
                    // One byte addresses at most 255 bytes, header included.
                    wanted = (SDR_HEADER_BYTES + usize::from(header.body_bytes)).min(usize::from(u8::MAX));
                }
            }
            return Ok((next, bytes));
        }
    }
}

fn is_too_much(code: u8) -> bool {
    [completion::CANNOT_RETURN_BYTES, completion::LENGTH_EXCEEDED, completion::UNSPECIFIED].contains(&code)
}

/// What is read first when time is short: power, then discrete states, then measurements.
fn importance(sensor: &Sensor) -> (u8, u8) {
    // Controllers behind are slow, and some are not there at all: nothing waits for them.
    let class = if sensor.satellite().is_some() {
        3
    } else if sensor.is_power() {
        0
    } else if !sensor.key.is_threshold() {
        1
    } else {
        2
    };
    (class, sensor.key.number)
}

#[cfg(test)]
mod tests {
    use stentor_wire::ipmi::sdr_encode::CompactSpec;

    use super::*;

    #[test]
    fn sensors_of_one_name_are_told_apart() {
        let mut repository = Repository::default();
        for (number, name, entity) in
            [(1, "Temp", (3, 1)), (2, "Temp", (3, 2)), (3, "Temp", (3, 2)), (4, "", (7, 1)), (5, "Inlet", (7, 1))]
        {
            let spec =
                CompactSpec { number, entity, sensor_type: 1, event_type: 1, reading_mask: 0, name: name.to_owned() };
            repository.keep(&spec.encode(u16::from(number)));
        }
        repository.finish();
        let names: Vec<&str> = repository.sensors().iter().map(|sensor| sensor.name.as_str()).collect();
        assert_eq!(names, ["Temp 3.1", "Temp 3.2", "Temp 3.2 #3", "Sensor 7.1", "Inlet"]);
    }

    #[test]
    fn damaged_records_are_left_out_and_power_comes_first() {
        let mut repository = Repository::default();
        let spec = |number, sensor_type| CompactSpec {
            number,
            entity: (0x0A, 1),
            sensor_type,
            event_type: 0x6F,
            reading_mask: 0xFF,
            name: format!("S{number}"),
        };
        repository.keep(&spec(1, 0x0D).encode(1));
        repository.keep(&spec(2, 0x08).encode(2));
        let whole = spec(3, 0x08).encode(3);
        for length in 0..whole.len() - 2 {
            repository.keep(&whole[..length]);
        }
        repository.finish();
        let names: Vec<&str> = repository.sensors().iter().map(|sensor| sensor.name.as_str()).collect();
        assert_eq!(names, ["S2", "S1"]);
        assert_eq!(repository.name_of(0x20, 2), Some("S2"));
        assert_eq!(repository.name_of(0x22, 2), None, "another controller's sensor");
    }
}
