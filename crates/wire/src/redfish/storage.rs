//! Storage of a server or of an array of its own (Swordfish): controllers, drives, volumes, pools.

use serde_json::Value;

use super::{Health, Node, State, Status, Vendor, quirks};
use crate::raid::{Array, ArrayState, Level};

/// A `Storage` resource, or a `StorageService` of older Swordfish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    pub name: String,
    pub status: Status,
    pub controllers: Vec<Controller>,
    /// Where newer services keep the controllers.
    pub controllers_at: Option<String>,
    pub drives: Vec<String>,
    /// Where they stand as a collection.
    pub drives_at: Option<String>,
    pub volumes: Option<String>,
    pub pools: Option<String>,
    /// What this is made of, where it is a whole array (Swordfish `StorageSystems`) or a make's own kind of controller.
    pub parts_at: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controller {
    pub name: String,
    pub status: Status,
    /// Of its cache, with the battery behind it; `None` if it says nothing.
    pub cache: Option<Health>,
}

impl Controller {
    pub fn read(node: Node<'_>) -> Controller {
        let name = node.any(&["Name", "Model", "MemberId", "Id"]).owned();
        Controller { name, status: Status::read(node), cache: Status::read(node.get("CacheSummary")).worst() }
    }
}

impl Storage {
    pub fn read(storage: &Value) -> Storage {
        let node = Node::of(storage);
        let inline = node.get("StorageControllers").items();
        Storage {
            name: node.any(&["Name", "Id"]).owned(),
            status: Status::read(node),
            controllers: inline.into_iter().filter(|one| one.is_expanded()).map(Controller::read).collect(),
            controllers_at: node.any(&["Controllers", "StorageControllers"]).link(),
            drives: node.get("Drives").links(),
            drives_at: node.get("Drives").link().or_else(|| quirks::drives_at(node)),
            volumes: node.get("Volumes").link().or_else(|| quirks::volumes_at(node)),
            pools: node.get("StoragePools").link(),
            parts_at: ["Storage", "StorageServices"].iter().filter_map(|key| node.get(key).link()).collect(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drive {
    pub name: String,
    /// As volumes name it.
    pub id: String,
    pub status: Status,
    pub state: DriveState,
    /// It announces its failure.
    pub is_predicted: bool,
    pub life_left_pct: Option<f64>,
    pub progress_pct: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DriveState {
    Good,
    Spare,
    Rebuilding,
    Failed,
    /// It does not say.
    #[default]
    Unknown,
}

impl Drive {
    pub fn read(node: Node<'_>, vendor: Vendor) -> Drive {
        let status = Status::read(node);
        let indicator = node.get("StatusIndicator").text().unwrap_or_default();
        let spare = node.get("HotspareType").text().is_some_and(|kind| kind != "None");
        let operation = Operation::first(node);
        let vendors = quirks::drive_state(node, vendor);
        let state = match (indicator, status.own()) {
            ("Fail", _) | (_, Some(Health::Critical)) => DriveState::Failed,
            _ if vendors.is_some() => vendors.unwrap_or_default(),
            ("Rebuilding" | "Rebuild", _) => DriveState::Rebuilding,
            _ if operation.as_ref().is_some_and(Operation::is_rebuild) => DriveState::Rebuilding,
            ("Hotspare", _) => DriveState::Spare,
            _ if spare || status.state == Some(State::Standby) => DriveState::Spare,
            ("OK", _) | (_, Some(_)) => DriveState::Good,
            _ => DriveState::Unknown,
        };
        Drive {
            name: drive_name(node),
            id: node.link().unwrap_or_default(),
            status,
            state,
            is_predicted: node.get("FailurePredicted").bool() == Some(true) || indicator == "PredictiveFailureAnalysis",
            life_left_pct: quirks::life_left(node, vendor).filter(|left| (0.0..=100.0).contains(left)),
            progress_pct: operation.and_then(|one| one.progress_pct),
        }
    }
}

fn drive_name(node: Node<'_>) -> String {
    let slot = node.at(&["PhysicalLocation", "PartLocation", "ServiceLabel"]).text();
    slot.map_or_else(
        || quirks::drive_name(node).unwrap_or_else(|| node.any(&["Name", "Id"]).owned()),
        ToOwned::to_owned,
    )
}

/// What runs on a drive or a volume.
#[derive(Clone, Debug, PartialEq)]
struct Operation {
    name: String,
    progress_pct: Option<f64>,
}

impl Operation {
    /// The one that matters: a rebuild before any other.
    fn first(owner: Node<'_>) -> Option<Operation> {
        let all = owner.get("Operations").items().into_iter().map(|one| Operation {
            name: one.any(&["Operation", "OperationName"]).owned().to_ascii_lowercase(),
            progress_pct: one.get("PercentageComplete").number().filter(|pct| (0.0..=100.0).contains(pct)),
        });
        let all: Vec<Operation> = all.collect();
        all.iter().find(|one| one.is_rebuild()).or(all.first()).cloned()
    }

    fn is_rebuild(&self) -> bool {
        ["rebuild", "reconstruct", "resync"].iter().any(|word| self.name.contains(word))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    pub name: String,
    pub level: Level,
    pub status: Status,
    pub drives: Vec<String>,
    rebuild: Option<Operation>,
    told: Option<ArrayState>,
}

impl Volume {
    pub fn read(node: Node<'_>, vendor: Vendor) -> Volume {
        let level = node.any(&["RAIDType", "Raid"]).text().map(Level::parse);
        let level = level.or_else(|| node.get("VolumeType").text().map(quirks::level_of_type));
        Volume {
            name: node.any(&["DisplayName", "LogicalDriveName", "Name", "Id"]).owned(),
            level: level.unwrap_or_default(),
            status: Status::read(node),
            drives: node.at(&["Links", "Drives"]).links(),
            rebuild: Operation::first(node).filter(Operation::is_rebuild),
            told: quirks::array_state(node, vendor),
        }
    }

    /// The array as the tools of RAID controllers would show it. `drives`: all of the same storage.
    pub fn array(&self, drives: &[Drive]) -> Array {
        let own: Vec<&Drive> = drives.iter().filter(|drive| self.drives.contains(&drive.id)).collect();
        let is_lost = |drive: &&&Drive| matches!(drive.state, DriveState::Failed | DriveState::Rebuilding);
        let lost = own.iter().filter(is_lost).count();
        let filling = own.iter().find(|drive| drive.state == DriveState::Rebuilding);
        let width = u32::try_from(self.drives.len()).ok().filter(|width| *width > 0);
        let lost = u32::try_from(lost).ok().filter(|lost| *lost > 0);
        let rebuilding = self.rebuild.is_some() || filling.is_some();
        let may_still_run = lost.is_some_and(|lost| lost <= self.level.spare(width));
        let state = self.told.unwrap_or_else(|| match (self.status.state, self.status.own()) {
            (Some(State::Offline | State::Disabled | State::Absent), _) => ArrayState::Failed,
            // Some firmware calls a degraded array critical: what its drives say decides, where they say it.
            (_, Some(Health::Critical)) if !may_still_run => ArrayState::Failed,
            (_, Some(Health::Critical | Health::Warning)) if rebuilding => ArrayState::Rebuilding,
            (_, Some(Health::Critical | Health::Warning)) => ArrayState::Degraded,
            (_, Some(Health::Ok)) if self.rebuild.is_some() => ArrayState::Rebuilding,
            (_, Some(Health::Ok)) => ArrayState::Optimal,
            (_, None) => ArrayState::Unknown,
        });
        Array {
            id: self.name.clone(),
            level: self.level,
            state,
            raw_state: self.status.health.map(|health| health.word().to_owned()).unwrap_or_default(),
            width,
            lost: lost.filter(|_| state != ArrayState::Optimal),
            progress_pct: self
                .rebuild
                .as_ref()
                .and_then(|one| one.progress_pct)
                .or(filling.and_then(|one| one.progress_pct)),
            group: String::new(),
        }
    }

    /// Its drives that are gone.
    pub fn failed<'a>(&'a self, drives: &'a [Drive]) -> impl Iterator<Item = &'a Drive> {
        drives.iter().filter(|drive| drive.state == DriveState::Failed && self.drives.contains(&drive.id))
    }
}

/// A `StoragePool` (Swordfish).
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub name: String,
    pub status: Status,
    pub used_pct: Option<f64>,
}

impl Pool {
    pub fn read(node: Node<'_>) -> Pool {
        let left = node.get("RemainingCapacityPercent").number();
        let data = node.at(&["Capacity", "Data"]);
        let all = data.get("AllocatedBytes").number().filter(|bytes| *bytes > 0.0);
        let used = data.get("ConsumedBytes").number();
        let used_pct = left.map(|left| 100.0 - left).or(used.zip(all).map(|(used, all)| used / all * 100.0));
        Pool {
            name: node.any(&["Name", "Id"]).owned(),
            status: Status::read(node),
            used_pct: used_pct.filter(|pct| (0.0..=100.0).contains(pct)),
        }
    }
}
