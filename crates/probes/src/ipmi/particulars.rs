//! What is not a sensor: why the host restarted, how long it ran, its watchdog, its power, the log's clock, inventory.
//!
//! Few controllers know all of it. What one refuses is not asked again until its firmware changes, and what seldom
//! changes is asked seldom, so that a poll stays as short as its sensors.

use std::collections::BTreeSet;

use stentor_wire::ipmi::chassis::{GetPowerOnHours, GetRestartCause, GetSelTime, GetWatchdogTimer, WatchdogTimer};
use stentor_wire::ipmi::command::{Command, DeviceId, SdrInfo};
use stentor_wire::ipmi::completion;
use stentor_wire::ipmi::dcmi::{GetCapabilities, GetPowerLimit, GetPowerReading, PowerReading};
use stentor_wire::ipmi::fru::{GetFruInfo, Inventory, ReadFru};
use tokio::time::{Duration, Instant};

use super::IpmiError;
use super::conversation::Conversation;
use super::repository::Repository;

/// What seldom changes is asked again after this time, or when the host was switched on or off.
const SELDOM: Duration = Duration::from_secs(600);
/// Inventories read of one controller: the board, power supplies, risers. Memory modules would be dozens.
const INVENTORIES_MAX: usize = 16;
/// Bytes read of one inventory; the areas we read are in the first kilobyte or two.
const INVENTORY_BYTES_MAX: u16 = 2048;
/// Bytes asked for at once: what the smallest controllers answer.
const INVENTORY_CHUNK: u8 = 16;

/// What one controller could tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Particulars {
    /// Code of section 28.11.
    pub restart_cause: Option<u8>,
    pub power_on_minutes: Option<u64>,
    pub watchdog: Option<WatchdogTimer>,
    pub power: Option<PowerReading>,
    /// Watts.
    pub power_limit: Option<u16>,
    /// The clock of the log, and when it was read.
    pub log_clock: Option<(Instant, u32)>,
    /// The controller's own inventory first, under an empty name.
    pub inventories: Vec<(String, Inventory)>,
}

/// Particulars between polls.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    known: Particulars,
    of: Option<DeviceId>,
    /// Names of commands this controller does not answer, or not to us.
    refused: BTreeSet<&'static str>,
    seldom_at: Option<(Instant, bool)>,
    inventories_of: Option<(DeviceId, SdrInfo)>,
    can_manage_power: Option<bool>,
}

impl Keeper {
    /// Asks what is due. Ends early at the deadline and when the controller falls silent; what is missing then stays
    /// as it was.
    pub(super) async fn refresh<T: Conversation>(
        &mut self,
        link: &mut T,
        asked: &Asked<'_>,
        deadline: Instant,
    ) -> Particulars {
        if self.of != Some(asked.device) {
            *self = Keeper { of: Some(asked.device), ..Keeper::default() };
        }
        // Whatever stops it has been counted where sensors and log were read, or will be by the next poll.
        let _ = self.ask(link, asked, deadline).await;
        self.known.clone()
    }

    async fn ask<T: Conversation>(
        &mut self,
        link: &mut T,
        asked: &Asked<'_>,
        deadline: Instant,
    ) -> Result<(), IpmiError> {
        self.known.watchdog = self.one(link, &GetWatchdogTimer, deadline).await?;
        let is_due = self.seldom_at.is_none_or(|(at, was_on)| at.elapsed() >= SELDOM || was_on != asked.is_on);
        if is_due {
            self.known.restart_cause = self.one(link, &GetRestartCause, deadline).await?;
            self.known.power_on_minutes = self.one(link, &GetPowerOnHours, deadline).await?;
            let clock = self.one(link, &GetSelTime, deadline).await?;
            self.known.log_clock = clock.map(|seconds| (Instant::now(), seconds));
            self.can_manage_power = self.one(link, &GetCapabilities, deadline).await?.map(|can| can.can_manage_power);
        }
        if self.can_manage_power == Some(true) {
            self.known.power = self.one(link, &GetPowerReading, deadline).await?.filter(|power| power.is_active);
            if is_due {
                self.known.power_limit = self.one(link, &GetPowerLimit, deadline).await?;
            }
        }
        if is_due {
            self.seldom_at = Some((Instant::now(), asked.is_on));
        }
        if asked.device.has_inventory && self.inventories_of != asked.repository.generation() {
            self.known.inventories = read_inventories(link, asked.repository, deadline).await?;
            self.inventories_of = asked.repository.generation();
        }
        Ok(())
    }

    /// The answer to one command; `None` where the controller has none.
    async fn one<T: Conversation, C: Command + Sync>(
        &mut self,
        link: &mut T,
        command: &C,
        deadline: Instant,
    ) -> Result<Option<C::Answer>, IpmiError> {
        if self.refused.contains(C::NAME) {
            return Ok(None);
        }
        match link.call(command, deadline).await {
            Ok(answer) => Ok(Some(answer)),
            // Busy, or no power limit set: another time.
            Err(IpmiError::Completion { code: completion::BUSY | 0x80, .. }) => Ok(None),
            Err(IpmiError::Completion { .. } | IpmiError::Malformed { .. }) => {
                self.refused.insert(C::NAME);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whom the particulars are asked of.
pub(super) struct Asked<'a> {
    pub device: DeviceId,
    pub is_on: bool,
    pub repository: &'a Repository,
}

async fn read_inventories<T: Conversation>(
    link: &mut T,
    repository: &Repository,
    deadline: Instant,
) -> Result<Vec<(String, Inventory)>, IpmiError> {
    const OWN: u8 = 0;
    let others = repository.inventories().take(INVENTORIES_MAX).map(|(id, name)| (id, name.to_owned()));
    let mut read = Vec::new();
    for (id, name) in std::iter::once((OWN, String::new())).chain(others) {
        match read_inventory(link, id, deadline).await {
            Ok(Some(inventory)) => read.push((name, inventory)),
            // The part is not plugged in, or its chip is empty.
            Ok(None) | Err(IpmiError::Completion { .. } | IpmiError::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

async fn read_inventory<T: Conversation>(
    link: &mut T,
    id: u8,
    deadline: Instant,
) -> Result<Option<Inventory>, IpmiError> {
    let info = link.call(&GetFruInfo { id }, deadline).await?;
    let wanted = info.bytes.min(INVENTORY_BYTES_MAX);
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < usize::from(wanted) {
        let at = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let left = u8::try_from(wanted - at).unwrap_or(u8::MAX);
        let count = left.min(INVENTORY_CHUNK);
        let (offset, count) = if info.is_by_words { (at / 2, count.div_ceil(2)) } else { (at, count) };
        match link.call(&ReadFru { id, offset, count }, deadline).await {
            Ok(part) if part.is_empty() => break,
            Ok(part) => bytes.extend(part),
            // The size was a lie: what is there is read.
            Err(IpmiError::Completion { .. }) if !bytes.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Inventory::decode(&bytes))
}
