//! `Status` of a resource (DSP0268, Resource.Status): health, health of what lies below, and whether it is there at all.

use super::Node;

/// From good to bad.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Health {
    Ok,
    Warning,
    Critical,
}

impl Health {
    /// Words of the schema and those that older firmware uses; others say nothing.
    pub fn parse(text: &str) -> Option<Health> {
        let word: String = text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        match word.as_str() {
            "ok" | "good" | "normal" | "healthy" | "optimal" => Some(Health::Ok),
            "warning" | "degraded" | "minor" | "caution" | "noncritical" => Some(Health::Warning),
            "critical" | "failed" | "failure" | "fatal" | "major" | "nonrecoverable" => Some(Health::Critical),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Critical => "critical",
        }
    }
}

/// `Status.State`, as far as it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Enabled,
    Disabled,
    Standby,
    /// An empty bay or slot.
    Absent,
    /// There, and not usable.
    Offline,
    Updating,
    Degraded,
    Other,
}

impl State {
    fn parse(text: &str) -> State {
        let word: String = text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        match word.as_str() {
            "enabled" => State::Enabled,
            "disabled" => State::Disabled,
            "standbyspare" | "standby" | "quiesced" | "deferring" => State::Standby,
            "absent" | "notpresent" | "notinstalled" => State::Absent,
            "unavailableoffline" | "standbyoffline" | "offline" => State::Offline,
            "updating" | "starting" | "intest" => State::Updating,
            "degraded" => State::Degraded,
            _ => State::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Status {
    pub state: Option<State>,
    pub health: Option<Health>,
    pub rollup: Option<Health>,
}

impl Status {
    /// Of a resource, or of any object with a member `Status`.
    pub fn read(owner: Node<'_>) -> Status {
        let status = owner.get("Status");
        if let Some(text) = status.text() {
            return Status { health: Health::parse(text), ..Status::default() };
        }
        Status {
            state: status.get("State").text().map(State::parse),
            health: status.get("Health").text().and_then(Health::parse),
            rollup: status.any(&["HealthRollup", "HealthRollUp"]).text().and_then(Health::parse),
        }
    }

    /// Not an empty bay.
    pub fn is_present(self) -> bool {
        self.state != Some(State::Absent)
    }

    /// In use: neither absent nor switched off on purpose.
    pub fn is_active(self) -> bool {
        self.is_present() && self.state != Some(State::Disabled)
    }

    /// Its own health; `None` if it says none.
    pub fn own(self) -> Option<Health> {
        match self.state {
            Some(State::Offline) => Some(self.health.unwrap_or(Health::Critical).max(Health::Warning)),
            Some(State::Degraded) => Some(self.health.unwrap_or(Health::Warning).max(Health::Warning)),
            _ => self.health,
        }
    }

    /// The worse of its own health and that of what lies below.
    pub fn worst(self) -> Option<Health> {
        self.own().max(self.rollup)
    }
}
