//! Flapping: the last 21 states of an object and how much they change (specification 03, section 4).

use serde::{Deserialize, Serialize};

/// States kept: 20 transitions.
pub const SLOTS: u8 = 21;

/// A ring of the last [`SLOTS`] state codes; two bits each, the newest lowest.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlapHistory {
    states: u64,
    /// Percent of change as last computed.
    pub percent: f32,
    pub flapping: bool,
}

impl FlapHistory {
    /// An object that has been in one state all the time.
    pub fn steady(code: u8) -> FlapHistory {
        let states = (0..SLOTS).fold(0, |states, _| (states << 2) | u64::from(code & 3));
        FlapHistory { states, percent: 0.0, flapping: false }
    }

    /// Remembers a state and computes the percentage anew.
    pub fn record(&mut self, code: u8) {
        let states = ((self.states << 2) | u64::from(code & 3)) & ((1 << (2 * SLOTS)) - 1);
        if states == self.states {
            return; // Steady all along, as nearly everything is.
        }
        self.states = states;
        self.percent = self.change_percent() as f32;
    }

    /// Percent of change: the newest of 20 transitions weighs 1.25, the oldest 0.75.
    pub fn change_percent(&self) -> f64 {
        let older = self.states >> 2;
        let differs = |newest: u8| ((self.states ^ older) >> (2 * newest)) & 3 != 0;
        let transitions = SLOTS - 1;
        // Oldest first, as Nagios adds them up: a sum that meets a threshold exactly must meet it here too.
        let changes: f64 = (0..transitions)
            .filter(|oldest| differs(transitions - 1 - oldest))
            .map(|oldest| f64::from(oldest) * 0.5 / f64::from(transitions - 1) + 0.75)
            .sum();
        // A sum of nothing is -0.0, and would be shown with its sign.
        100.0 * (changes + 0.0) / f64::from(transitions)
    }

    /// State codes, the oldest first.
    pub fn states(&self) -> [u8; SLOTS as usize] {
        std::array::from_fn(|i| ((self.states >> (2 * (usize::from(SLOTS) - 1 - i))) & 3) as u8)
    }

    /// From the oldest to the newest, as retention files keep them.
    pub fn from_states(states: [u8; SLOTS as usize], percent: f32, flapping: bool) -> FlapHistory {
        let states = states.iter().fold(0, |all, code| (all << 2) | u64::from(code & 3));
        FlapHistory { states, percent, flapping }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sequence of specification 03, section 4: alternating results of a service with one attempt.
    #[test]
    fn alternating_states_rise_as_nagios_computes_them() {
        let mut history = FlapHistory::steady(0);
        let mut seen = Vec::new();
        for i in 0..10 {
            history.record(if i % 2 == 0 { 2 } else { 0 });
            seen.push(format!("{:.2}", history.percent));
        }
        let expect = ["6.25", "12.37", "18.36", "24.21", "29.93", "35.53", "40.99", "46.32", "51.51", "56.58"];
        assert_eq!(seen, expect);
    }

    #[test]
    fn no_change_left_is_zero_without_a_sign() {
        let mut history = FlapHistory::steady(0);
        history.record(2);
        for _ in 0..SLOTS {
            history.record(0);
        }
        assert_eq!(format!("{:.2}", history.percent), "0.00");
    }

    #[test]
    fn a_history_survives_its_written_form() {
        let mut history = FlapHistory::steady(0);
        for code in [1, 2, 3, 0, 1] {
            history.record(code);
        }
        assert_eq!(FlapHistory::from_states(history.states(), history.percent, history.flapping), history);
    }
}
