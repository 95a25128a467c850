//! Power supplies and redundancy groups, of `Power` and of the newer `PowerSubsystem`.

use serde_json::Value;

use super::{Health, Node, State, Status, quirks};

/// `LineInputStatus`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    Normal,
    Lost,
    OutOfRange,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Supply {
    pub name: String,
    /// As redundancy groups name it, with its fragment.
    pub id: String,
    pub status: Status,
    pub input: Option<Input>,
    pub input_volts: Option<f64>,
    pub output_watts: Option<f64>,
    pub capacity_watts: Option<f64>,
}

/// Offsets of IPMI 2.0, table 42-3, sensor type 08h: what classifiers know.
mod offset {
    pub const PRESENT: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const PREDICTED: u8 = 2;
    pub const INPUT_LOST: u8 = 3;
    pub const INPUT_OUT_OF_RANGE: u8 = 5;
}

impl Supply {
    pub fn read(node: Node<'_>) -> Supply {
        let status = Status::read(node);
        let input_volts = node.any(&["LineInputVoltage", "InputVoltage"]).number();
        let told = node.get("LineInputStatus").text().and_then(|word| match word {
            "Normal" => Some(Input::Normal),
            "LossOfInput" => Some(Input::Lost),
            "OutOfRange" => Some(Input::OutOfRange),
            _ => None,
        });
        Supply {
            name: name_of(node),
            id: node.id().unwrap_or_default().to_owned(),
            status,
            input: told.or_else(|| quirks::lost_input(node, status, input_volts)),
            input_volts,
            output_watts: node.any(&["PowerOutputWatts", "LastPowerOutputWatts"]).number(),
            capacity_watts: node.get("PowerCapacityWatts").number(),
        }
    }

    /// It gives power. `None` of an empty bay.
    pub fn is_good(&self) -> Option<bool> {
        let is_good = self.status.is_active() && self.offsets() == [offset::PRESENT];
        self.status.is_present().then_some(is_good)
    }

    /// As an IPMI sensor of a power supply would put it. Empty where nothing is known.
    pub fn offsets(&self) -> Vec<u8> {
        let mut offsets = Vec::new();
        let health = self.status.own();
        match self.input {
            // What has no input is unwell because of that.
            Some(Input::Lost) => offsets.push(offset::INPUT_LOST),
            Some(Input::OutOfRange) => offsets.push(offset::INPUT_OUT_OF_RANGE),
            Some(Input::Normal) | None => match health {
                Some(Health::Critical) => offsets.push(offset::FAILED),
                Some(Health::Warning) => offsets.push(offset::PREDICTED),
                Some(Health::Ok) | None => {}
            },
        }
        if !offsets.is_empty() || health.is_some() || self.input.is_some() {
            offsets.insert(0, offset::PRESENT);
        }
        offsets
    }
}

/// `Name` is the same for each on some firmware; `MemberId` and `Id` are not.
pub(super) fn name_of(node: Node<'_>) -> String {
    let name = node.any(&["Name", "FanName", "DeviceName"]).owned();
    let id = node.any(&["MemberId", "Id"]).owned();
    if name.is_empty() { id } else { name }
}

/// Names that occur twice get their place in the list, so that each names one thing.
pub fn tell_apart(names: &mut [&mut String]) {
    let all: Vec<String> = names.iter().map(|name| (**name).clone()).collect();
    for (i, name) in names.iter_mut().enumerate() {
        if name.is_empty() || all.iter().filter(|other| *other == *name).count() > 1 {
            **name = format!("{name} {}", i + 1).trim().to_owned();
        }
    }
}

/// The bays of a `Power` resource, empty ones too.
pub fn supplies(power: &Value) -> Vec<Supply> {
    let all = Node::of(power).get("PowerSupplies").items().into_iter().map(Supply::read);
    let mut found: Vec<Supply> = all.collect();
    tell_apart(&mut found.iter_mut().map(|supply| &mut supply.name).collect::<Vec<_>>());
    found
}

/// What the whole chassis draws, in watts.
pub fn consumed_watts(power: &Value) -> Option<f64> {
    Node::of(power).get("PowerControl").items().into_iter().find_map(|one| one.get("PowerConsumedWatts").number())
}

/// Whether a group still bears a loss.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Redundancy {
    Full,
    /// Less than full, and one more may go.
    Degraded,
    /// The next loss takes the service.
    Lost,
    /// Not even what is needed is left.
    Insufficient,
}

impl Redundancy {
    pub fn word(self) -> &'static str {
        match self {
            Redundancy::Full => "full",
            Redundancy::Degraded => "degraded",
            Redundancy::Lost => "lost",
            Redundancy::Insufficient => "insufficient",
        }
    }
}

/// A group of parts of which some may fail: "n of m left".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedundancySet {
    pub name: String,
    pub status: Status,
    /// Its members as they are named.
    pub members: Vec<String>,
    pub needed: Option<u32>,
    /// Somebody wants it to be redundant.
    pub is_enabled: bool,
    /// Members that are there and known, and how many of them are good.
    pub of: Option<u32>,
    pub left: Option<u32>,
}

impl RedundancySet {
    fn read(node: Node<'_>) -> RedundancySet {
        let mode = node.any(&["Mode", "RedundancyType"]).text().unwrap_or_default();
        let is_off = node.get("RedundancyEnabled").bool() == Some(false) || mode.eq_ignore_ascii_case("NotRedundant");
        let status = Status::read(node);
        let members = node.any(&["RedundancySet", "RedundancyGroup"]).items();
        let needed = node.any(&["MinNumNeeded", "MinNeededInGroup"]).whole();
        RedundancySet {
            name: name_of(node),
            status,
            members: members
                .into_iter()
                .filter_map(|one| one.id().or_else(|| one.text()))
                .map(ToOwned::to_owned)
                .collect(),
            needed: needed.and_then(|needed| u32::try_from(needed).ok()),
            is_enabled: !is_off && status.state != Some(State::Disabled),
            of: None,
            left: None,
        }
    }

    /// Counts who is left of those that `is_good` knows; a bay that was always empty is no loss.
    fn count(&mut self, is_good: &dyn Fn(&str) -> Option<bool>) {
        let known: Vec<bool> = self.members.iter().filter_map(|member| is_good(member)).collect();
        if !known.is_empty() {
            self.of = u32::try_from(known.len()).ok();
            self.left = u32::try_from(known.iter().filter(|good| **good).count()).ok();
        }
    }

    /// `None` where nobody wants redundancy, or nothing is known of it.
    pub fn redundancy(&self) -> Option<Redundancy> {
        if !self.is_enabled || !self.status.is_present() {
            return None;
        }
        let counted = match (self.left, self.of, self.needed) {
            (Some(left), Some(_), Some(needed)) if left < needed => Some(Redundancy::Insufficient),
            // As many as are needed, and never more: nothing is lost, and nothing redundant.
            (Some(left), Some(of), Some(needed)) if left == of && of == needed => None,
            (Some(left), Some(of), _) if left == of => Some(Redundancy::Full),
            (Some(left), Some(_), Some(needed)) if left == needed => Some(Redundancy::Lost),
            (Some(_), Some(_), Some(_)) => Some(Redundancy::Degraded),
            _ => None,
        };
        let told = self.status.own().map(|health| match health {
            Health::Ok => Redundancy::Full,
            Health::Warning => Redundancy::Degraded,
            Health::Critical => Redundancy::Lost,
        });
        counted.max(told)
    }
}

/// The groups of a `Power`, `PowerSubsystem`, `Thermal` or `ThermalSubsystem` resource; `is_good` knows their members.
pub fn redundancy_sets(owner: &Value, is_good: &dyn Fn(&str) -> Option<bool>) -> Vec<RedundancySet> {
    let groups = Node::of(owner).any(&["PowerSupplyRedundancy", "FanRedundancy", "Redundancy"]).items();
    let mut sets: Vec<RedundancySet> = groups.into_iter().map(RedundancySet::read).collect();
    for set in &mut sets {
        set.count(is_good);
    }
    tell_apart(&mut sets.iter_mut().map(|set| &mut set.name).collect::<Vec<_>>());
    sets
}
