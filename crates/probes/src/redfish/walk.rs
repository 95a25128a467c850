//! One poll: from the service root to everything that tells of health. What matters most is read first, so that a slow
//! controller still gives its power state; what was not read is said, never taken for good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use stentor_wire::redfish::log::{Entry, Journal, is_of_hardware};
use stentor_wire::redfish::power::{self, RedundancySet, Supply};
use stentor_wire::redfish::service::ServiceRoot;
use stentor_wire::redfish::storage::{Controller, Drive, Pool, Storage, Volume};
use stentor_wire::redfish::system::{Chassis, Manager, System};
use stentor_wire::redfish::thermal::{self, Reading};
use stentor_wire::redfish::{Health, Node, Vendor, next_page, quirks};

use super::RedfishError;
use super::session::Link;

/// Pages of a log read in one poll; the newest entries are on the first or on the last.
const LOG_PAGES_MAX: usize = 4;
/// Entries at the end of a log that are read where it is longer than its first page.
const LOG_TAIL: usize = 50;
/// Logs of one controller.
const LOGS_MAX: usize = 8;
/// An array (Swordfish) holds services, which hold storage.
const STORAGE_DEPTH_MAX: u8 = 2;
/// Drives of one storage asked for one by one.
const DRIVES_MAX: usize = 256;

/// What was seen. `None` or `false` = not read.
#[derive(Debug, Default)]
pub struct Poll {
    pub root: ServiceRoot,
    pub systems: Vec<System>,
    pub managers: Vec<Manager>,
    pub chassis: Vec<Chassis>,
    pub is_power_read: bool,
    pub supplies: Vec<Supply>,
    pub supply_sets: Vec<RedundancySet>,
    pub watts: Option<f64>,
    pub is_thermal_read: bool,
    pub readings: Vec<Reading>,
    pub fan_sets: Vec<RedundancySet>,
    pub is_storage_read: bool,
    pub stores: Vec<Store>,
    pub log: Option<LogNews>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// One storage with its parts.
#[derive(Debug, Default)]
pub struct Store {
    pub storage: Storage,
    pub controllers: Vec<Controller>,
    pub drives: Vec<Drive>,
    pub volumes: Vec<Volume>,
    pub pools: Vec<Pool>,
}

/// What the logs say.
#[derive(Debug, Default)]
pub struct LogNews {
    pub entries_total: usize,
    pub new: Vec<Entry>,
    /// The newest of weight critical that nobody declared done.
    pub newest_serious: Option<Entry>,
}

/// What of the logs was seen before, by log.
#[derive(Default)]
pub(super) struct Recall {
    journals: BTreeMap<String, Journal>,
}

/// Reads everything. The parts that could not be read are in [`Poll::unread`].
///
/// # Errors
/// Nothing can be said at all: silence, a wrong login, no Redfish service.
pub(super) async fn poll(link: &mut Link<'_>, wanted: Option<&str>, recall: &mut Recall) -> Result<Poll, RedfishError> {
    let root = link.root().await?;
    let mut walk = Walk { link, poll: Poll { root: root.clone(), ..Poll::default() } };
    walk.systems(&root, wanted).await?;
    let rest = walk.rest(&root, wanted.is_some(), recall).await;
    match rest {
        Ok(()) => {}
        // The login and the first answers were good: what has been seen is worth telling.
        Err(error) if !walk.poll.systems.is_empty() || !walk.poll.chassis.is_empty() => {
            walk.poll.unread.push(error.to_string());
        }
        Err(error) => return Err(error),
    }
    Ok(walk.poll)
}

struct Walk<'a, 'l> {
    link: &'a mut Link<'l>,
    poll: Poll,
}

/// `None` where the service has no such thing, or it cannot be read: then that is noted.
fn optional<T>(result: Result<T, RedfishError>, unread: &mut Vec<String>) -> Result<Option<T>, RedfishError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) => error.note(unread).map(|()| None),
    }
}

impl Walk<'_, '_> {
    /// The resource behind a link that may be missing.
    async fn get(&mut self, path: Option<&str>) -> Result<Option<Arc<Value>>, RedfishError> {
        match path {
            None => Ok(None),
            Some(path) => optional(self.link.get(path).await, &mut self.poll.unread),
        }
    }

    async fn members(&mut self, path: Option<&str>) -> Result<Vec<Arc<Value>>, RedfishError> {
        let Some(path) = path else { return Ok(Vec::new()) };
        let found = self.link.collection(path, &mut self.poll.unread).await;
        Ok(optional(found, &mut self.poll.unread)?.unwrap_or_default())
    }

    async fn systems(&mut self, root: &ServiceRoot, wanted: Option<&str>) -> Result<(), RedfishError> {
        let Some(path) = root.systems.as_deref() else { return Ok(()) };
        let found = match self.link.collection(path, &mut self.poll.unread).await {
            // Whoever may not even see the systems has the wrong account.
            Err(RedfishError::Forbidden(text)) => return Err(RedfishError::Credentials(text)),
            other => optional(other, &mut self.poll.unread)?.unwrap_or_default(),
        };
        let is_wanted = |value: &&Arc<Value>| wanted.is_none_or(|wanted| is_named(value, wanted));
        let systems: Vec<System> = found.iter().filter(is_wanted).map(|value| System::read(value)).collect();
        if let (Some(wanted), true) = (wanted, systems.is_empty()) {
            return Err(RedfishError::NoSystem { wanted: wanted.to_owned(), found: found.len() });
        }
        self.poll.systems = systems;
        Ok(())
    }

    async fn rest(&mut self, root: &ServiceRoot, is_one_wanted: bool, recall: &mut Recall) -> Result<(), RedfishError> {
        for value in self.members(root.managers.as_deref()).await? {
            self.poll.managers.push(Manager::read(&value));
        }
        self.all_chassis(root, is_one_wanted).await?;
        let mut at: Vec<String> = self.poll.systems.iter().filter_map(|system| system.storage.clone()).collect();
        if !is_one_wanted {
            at.extend(root.storage.iter().cloned());
        }
        let unread = self.poll.unread.len();
        let other: Vec<String> = self.poll.systems.iter().filter_map(|system| system.other_storage.clone()).collect();
        for path in other {
            let value = self.get(Some(&path)).await?;
            at.extend(value.and_then(|value| quirks::array_controllers(Node::of(&value))));
        }
        self.storages(at, root.vendor).await?;
        self.poll.is_storage_read = self.poll.unread.len() == unread;
        self.logs(recall).await
    }

    async fn all_chassis(&mut self, root: &ServiceRoot, is_one_wanted: bool) -> Result<(), RedfishError> {
        let own: Vec<String> = self.poll.systems.iter().flat_map(|system| system.chassis.clone()).collect();
        let found = if is_one_wanted && !own.is_empty() {
            let mut found = Vec::new();
            for path in &own {
                found.extend(self.get(Some(path)).await?);
            }
            found
        } else {
            self.members(root.chassis.as_deref()).await?
        };
        for value in found {
            let chassis = Chassis::read(&value);
            if !chassis.status.is_present() {
                continue;
            }
            self.chassis_power(&chassis).await?;
            self.chassis_thermal(&chassis).await?;
            self.poll.chassis.push(chassis);
        }
        Ok(())
    }

    /// `Power` says all at once where it is offered; `PowerSubsystem` takes its place in newer services.
    async fn chassis_power(&mut self, chassis: &Chassis) -> Result<(), RedfishError> {
        if let Some(power) = self.get(chassis.old_power.as_deref()).await? {
            let supplies = power::supplies(&power);
            self.take_supplies(&power, supplies);
            self.poll.watts = self.poll.watts.or(power::consumed_watts(&power));
            self.poll.readings.extend(thermal::of_power(&power));
            return Ok(());
        }
        let Some(subsystem) = self.get(chassis.power_subsystem.as_deref()).await? else { return Ok(()) };
        let at = Node::of(&subsystem).get("PowerSupplies").link();
        let values = self.members(at.as_deref()).await?;
        let supplies = values.iter().map(|value| Supply::read(Node::of(value))).collect();
        self.take_supplies(&subsystem, supplies);
        Ok(())
    }

    fn take_supplies(&mut self, owner: &Value, supplies: Vec<Supply>) {
        let is_good = |id: &str| supplies.iter().find(|one| one.id == id).and_then(Supply::is_good);
        self.poll.supply_sets.extend(power::redundancy_sets(owner, &is_good));
        self.poll.supplies.extend(supplies);
        self.poll.is_power_read = true;
    }

    async fn chassis_thermal(&mut self, chassis: &Chassis) -> Result<(), RedfishError> {
        if let Some(thermal) = self.get(chassis.old_thermal.as_deref()).await? {
            self.take_readings(&thermal, thermal::of_thermal(&thermal));
            return Ok(());
        }
        let Some(subsystem) = self.get(chassis.thermal_subsystem.as_deref()).await? else {
            return self.sensors(chassis).await;
        };
        let node = Node::of(&subsystem);
        let (fans_at, metrics_at) = (node.get("Fans").link(), node.get("ThermalMetrics").link());
        let fans = self.members(fans_at.as_deref()).await?;
        self.take_readings(&subsystem, thermal::of_fans(fans.iter().map(|value| Node::of(value))));
        if chassis.sensors.is_some() {
            return self.sensors(chassis).await;
        }
        if let Some(metrics) = self.get(metrics_at.as_deref()).await? {
            self.poll.readings.extend(thermal::of_metrics(&metrics));
        }
        Ok(())
    }

    async fn sensors(&mut self, chassis: &Chassis) -> Result<(), RedfishError> {
        let values = self.members(chassis.sensors.as_deref()).await?;
        let known: Vec<String> = self.poll.readings.iter().map(|one| one.name.clone()).collect();
        let sensors = thermal::of_sensors(values.iter().map(|value| Node::of(value)));
        let before = self.poll.readings.len();
        self.poll.readings.extend(sensors.into_iter().filter(|one| !known.contains(&one.name)));
        self.poll.is_thermal_read |= self.poll.readings.len() > before;
        Ok(())
    }

    fn take_readings(&mut self, owner: &Value, readings: Vec<Reading>) {
        let is_good = |id: &str| readings.iter().find(|one| one.id == id).map(Reading::is_good);
        self.poll.fan_sets.extend(power::redundancy_sets(owner, &is_good));
        self.poll.readings.extend(readings);
        self.poll.is_thermal_read = true;
    }

    /// All that lies in these collections, and what is made of several: arrays of arrays do not go deeper than this.
    async fn storages(&mut self, at: Vec<String>, vendor: Vendor) -> Result<(), RedfishError> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<(String, u8)> = at.into_iter().map(|path| (path, 0)).collect();
        while let Some((path, depth)) = open.pop() {
            if depth > STORAGE_DEPTH_MAX || !seen.insert(path.clone()) {
                continue;
            }
            for value in self.members(Some(&path)).await? {
                let storage = Storage::read(&value);
                let id = Node::of(&value).id().unwrap_or_default().to_owned();
                if !storage.status.is_present() || !(id.is_empty() || seen.insert(id)) {
                    continue;
                }
                open.extend(storage.parts_at.iter().map(|part| (part.clone(), depth + 1)));
                self.storage(&value, storage, vendor).await?;
            }
        }
        Ok(())
    }

    async fn storage(&mut self, value: &Value, storage: Storage, vendor: Vendor) -> Result<(), RedfishError> {
        let mut store = Store { controllers: storage.controllers.clone(), ..Store::default() };
        if storage.drives_at.is_some() && storage.controllers_at.is_none() && store.controllers.is_empty() {
            // What keeps drives and has no controllers is one itself.
            store.controllers.push(Controller::read(Node::of(value)));
        }
        if store.controllers.is_empty() {
            let found = self.members(storage.controllers_at.as_deref()).await?;
            store.controllers = found.iter().map(|value| Controller::read(Node::of(value))).collect();
        }
        for path in storage.drives.iter().take(DRIVES_MAX) {
            if let Some(value) = self.get(Some(path)).await? {
                let drive = Drive::read(Node::of(&value), vendor);
                store.drives.extend(Some(drive).filter(|drive| drive.status.is_present()));
            }
        }
        for value in self.members(storage.drives_at.as_deref()).await? {
            let drive = Drive::read(Node::of(&value), vendor);
            store.drives.extend(Some(drive).filter(|drive| drive.status.is_present()));
        }
        let volumes = self.members(storage.volumes.as_deref()).await?;
        store.volumes = volumes.iter().map(|value| Volume::read(Node::of(value), vendor)).collect();
        let pools = self.members(storage.pools.as_deref()).await?;
        store.pools = pools.iter().map(|value| Pool::read(Node::of(value))).collect();
        store.storage = storage;
        self.poll.stores.push(store);
        Ok(())
    }

    async fn logs(&mut self, recall: &mut Recall) -> Result<(), RedfishError> {
        let of_systems = self.poll.systems.iter().filter_map(|system| system.log_services.clone());
        let of_managers = self.poll.managers.iter().filter_map(|manager| manager.log_services.clone());
        let places: Vec<String> = of_systems.chain(of_managers).collect();
        let mut news = LogNews::default();
        let mut read = 0;
        for place in places {
            for service in self.members(Some(&place)).await? {
                let node = Node::of(&service);
                let (id, at) = (node.any(&["Id", "@odata.id"]).owned(), node.get("Entries").link());
                let is_off = node.get("ServiceEnabled").bool() == Some(false);
                let Some(at) = at.filter(|_| is_of_hardware(&id) && !is_off && read < LOGS_MAX) else { continue };
                let Some((entries, is_whole)) = self.entries(&at).await? else { continue };
                read += 1;
                news.entries_total += entries.len();
                news.new.extend(recall.journals.entry(at).or_default().take(&entries, is_whole));
                let serious =
                    entries.into_iter().filter(|one| one.severity == Some(Health::Critical) && !one.is_resolved);
                let newest = serious.max_by(|a, b| a.created.cmp(&b.created));
                news.newest_serious =
                    [news.newest_serious.take(), newest].into_iter().flatten().max_by(|a, b| a.created.cmp(&b.created));
            }
        }
        self.poll.log = (read > 0).then_some(news);
        Ok(())
    }

    /// The entries of a log, and whether that is all of them.
    async fn entries(&mut self, at: &str) -> Result<Option<(Vec<Entry>, bool)>, RedfishError> {
        let (mut entries, mut is_whole) = (Vec::new(), true);
        let mut next = Some(at.to_owned());
        for _ in 0..LOG_PAGES_MAX {
            let Some(path) = next.take() else { break };
            // Entries are expanded in their collection by every known service.
            let Some(page) = self.get(Some(&path)).await? else { return Ok(None) };
            let listed = stentor_wire::redfish::members(&page);
            entries.extend(listed.into_iter().filter(|one| one.is_expanded()).map(Entry::read));
            next = next_page(&page);
            // Of a long log with the oldest first the end is what is news.
            let total = Node::of(&page).get("Members@odata.count").whole().unwrap_or(0);
            let rest = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(entries.len());
            if next.is_some() && rest > LOG_TAIL && self.poll.root.pages {
                let skip = entries.len() + rest - LOG_TAIL;
                next = Some(format!("{at}?$skip={skip}"));
                is_whole = false;
            }
        }
        Ok(Some((entries, is_whole && next.is_none())))
    }
}

/// Whether a system is the one that is meant.
pub(super) fn is_named(system: &Value, wanted: &str) -> bool {
    let node = Node::of(system);
    let names = ["Id", "Name", "UUID", "SerialNumber", "SKU", "HostName", "AssetTag"];
    names.iter().any(|key| node.get(key).owned().eq_ignore_ascii_case(wanted))
}
