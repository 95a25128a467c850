//! `ComputerSystem`, `Chassis` and `Manager`: power, health, and where their parts are.

use serde_json::Value;

use super::{Health, Node, Status, quirks};

/// `PowerState`, as signals know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    On,
    Off,
}

impl Power {
    /// What changes still has its old state.
    fn parse(text: &str) -> Option<Power> {
        match text {
            "On" | "Paused" | "PoweringOff" => Some(Power::On),
            "Off" | "PoweringOn" => Some(Power::Off),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct System {
    pub name: String,
    pub power: Option<Power>,
    /// As the controller wrote it.
    pub power_state: String,
    pub status: Status,
    pub memory: Option<Health>,
    pub processors: Option<Health>,
    pub model: String,
    pub serial: String,
    pub storage: Option<String>,
    /// Where a make keeps arrays besides.
    pub other_storage: Option<String>,
    pub log_services: Option<String>,
    pub chassis: Vec<String>,
    pub managers: Vec<String>,
}

impl System {
    pub fn read(system: &Value) -> System {
        let node = Node::of(system);
        let summary = |key: &str| Status::read(node.get(key)).worst();
        let power_state = node.get("PowerState").owned();
        System {
            name: node.any(&["Name", "Id"]).owned(),
            power: Power::parse(&power_state),
            power_state,
            status: Status::read(node),
            memory: summary("MemorySummary"),
            processors: summary("ProcessorSummary"),
            model: [node.get("Manufacturer").owned(), node.get("Model").owned()].join(" ").trim().to_owned(),
            serial: node.any(&["SerialNumber", "SKU"]).owned(),
            storage: node.get("Storage").link(),
            other_storage: quirks::smart_storage(node),
            log_services: node.get("LogServices").link(),
            chassis: node.at(&["Links", "Chassis"]).links(),
            managers: node.at(&["Links", "ManagedBy"]).links(),
        }
    }
}

/// `#ComputerSystem.Reset`: where it is asked for, and the words that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    pub target: String,
    /// Empty where the service does not say.
    pub allowed: Vec<String>,
}

impl Reset {
    pub fn read(system: &Value) -> Reset {
        let node = Node::of(system).at(&["Actions", "#ComputerSystem.Reset"]);
        let own = Node::of(system).get("@odata.id").owned();
        // The address follows from that of the system where a service leaves it out (DSP0266, section 7.5.2).
        let usual = format!("{}/Actions/ComputerSystem.Reset", own.trim_end_matches('/'));
        let target = node.get("target").text().map_or(usual, str::to_owned);
        let allowed = system
            .pointer("/Actions/#ComputerSystem.Reset/ResetType@Redfish.AllowableValues")
            .and_then(Value::as_array)
            .map(|words| words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Reset { target, allowed: allowed.unwrap_or_default() }
    }

    /// The first of these words that the service takes; of one that does not say, the first.
    pub fn first_of<'a>(&self, words: &[&'a str]) -> Option<&'a str> {
        let takes = |word: &&&str| self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == **word);
        words.iter().find(takes).copied()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chassis {
    pub name: String,
    pub status: Status,
    pub power: Option<Power>,
    pub old_power: Option<String>,
    pub old_thermal: Option<String>,
    pub power_subsystem: Option<String>,
    pub thermal_subsystem: Option<String>,
    pub sensors: Option<String>,
    pub drives: Option<String>,
}

impl Chassis {
    pub fn read(chassis: &Value) -> Chassis {
        let node = Node::of(chassis);
        let link = |key: &str| node.get(key).link();
        // A service that says that the old resource is deprecated does not keep it whole.
        let is_old =
            |old: &str, new: &str| node.get(&format!("{old}@Redfish.Deprecated")).exists() && node.get(new).exists();
        Chassis {
            name: node.any(&["Name", "Id"]).owned(),
            status: Status::read(node),
            power: node.get("PowerState").text().and_then(Power::parse),
            old_power: link("Power").filter(|_| !is_old("Power", "PowerSubsystem")),
            old_thermal: link("Thermal").filter(|_| !is_old("Thermal", "ThermalSubsystem")),
            power_subsystem: link("PowerSubsystem"),
            thermal_subsystem: link("ThermalSubsystem"),
            sensors: link("Sensors"),
            drives: link("Drives"),
        }
    }
}

/// The management controller itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manager {
    pub name: String,
    pub firmware: String,
    pub status: Status,
    pub log_services: Option<String>,
}

impl Manager {
    pub fn read(manager: &Value) -> Manager {
        let node = Node::of(manager);
        Manager {
            name: node.any(&["Name", "Id"]).owned(),
            firmware: node.get("FirmwareVersion").owned(),
            status: Status::read(node),
            log_services: node.get("LogServices").link(),
        }
    }
}
