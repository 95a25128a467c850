//! What was last read in full, told with its age where the present cannot be read: never as if it were the present.

use std::sync::Arc;
use std::time::Duration;

use stentor_core::model::{Observation, Value};

use super::observe::{facts, unreachable};
use super::poll::BmcPoll;

/// Facts of the last full poll that are worth telling again.
const TOLD: [&str; 4] = ["power", "worst", "psu", "psu_redundancy"];

/// The last poll that read everything.
#[derive(Clone, Debug)]
pub struct LastGood {
    pub poll: Arc<BmcPoll>,
    pub age: Duration,
}

impl LastGood {
    /// The fact `last`: old values keep apart from present ones, so that no rule takes one for the other.
    fn value(&self) -> Value {
        let known = facts(&self.poll);
        let told = known.into_iter().filter(|(name, _)| TOLD.contains(&name.as_str()));
        let readings = self.poll.sensors.iter().filter_map(|sensor| Some((sensor.name.clone(), sensor.value?)));
        let readings: Value = readings.collect();
        let age =
            [("age_s".to_owned(), Value::from(self.age.as_secs_f64().round())), ("readings".to_owned(), readings)];
        told.chain(age).collect()
    }

    /// Adds the fact `last`.
    pub fn tell(&self, mut observation: Observation) -> Observation {
        observation.facts.insert("last".to_owned(), self.value());
        observation
    }
}

/// A controller that does not answer, and what it said when it did.
pub fn unreachable_since(last: Option<&LastGood>) -> Observation {
    let Some(last) = last else { return unreachable() };
    let mut observation = last.tell(unreachable());
    let power = if last.poll.chassis.is_on { "on" } else { "off" };
    let seconds = last.age.as_secs();
    let age = if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) };
    observation.text =
        format!("BMC does not answer; {age} ago: power {power}, {} sensors", last.poll.sensors.len()).into();
    observation
}
