//! The clockwork of the classifier: how long a fact counts, how long something may start or take over.
//!
//! How long a verdict must stand before anybody is told is not decided here but by the incident that it becomes.
//! Every length shrinks with `[timing] pace`, so that a demonstration keeps its proportions.

use crate::Span;

/// The lengths of time that decide between verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// A signal older than this (or three of its intervals, if longer) counts as missing.
    pub fresh_floor: Span,
    /// A sign of life from before a failure counts no longer than this (three checks of 10 s).
    pub soft: Span,
    /// Start of a JVM: `LOADED`, `NOTREADY` and silence are normal for this long.
    pub jvm_grace: Span,
    /// Start of a component outside the JVM (CC, NC, console, and every other platform).
    pub component_grace: Span,
    /// A host that came up less than this ago is still rebooting.
    pub reboot: Span,
    /// While the passive half of a pair may still take over, nobody is paged critically.
    pub takeover: Span,
    /// An upstream failure explains a downstream one that began at most this much earlier.
    pub upstream_lag: Span,
    /// Supporting facts older than this cost confidence.
    pub ageing: Span,
    /// Eucalyptus up to 4.0 marks instances terminated that it has not seen for 12 h: so long before is told of it.
    pub warn_of_timeout: Span,
    /// Time that a clean shutdown of the room takes; the UPS must last twice as long.
    pub shutdown: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            fresh_floor: Span::from_secs(180),
            soft: Span::from_secs(30),
            jvm_grace: Span::from_secs(300),
            component_grace: Span::from_secs(60),
            reboot: Span::from_secs(300),
            takeover: Span::from_secs(300),
            upstream_lag: Span::from_secs(60),
            ageing: Span::from_secs(60),
            warn_of_timeout: Span::from_mins(8 * 60),
            shutdown: Span::from_secs(150),
        }
    }
}

impl Timing {
    /// The same clockwork, `pace` times faster. `shutdown` stays: a UPS reports real minutes at any pace.
    #[must_use]
    pub fn at_pace(self, pace: f64) -> Self {
        Timing {
            fresh_floor: self.fresh_floor.at_pace(pace),
            soft: self.soft.at_pace(pace),
            jvm_grace: self.jvm_grace.at_pace(pace),
            component_grace: self.component_grace.at_pace(pace),
            reboot: self.reboot.at_pace(pace),
            takeover: self.takeover.at_pace(pace),
            upstream_lag: self.upstream_lag.at_pace(pace),
            ageing: self.ageing.at_pace(pace),
            warn_of_timeout: self.warn_of_timeout.at_pace(pace),
            shutdown: self.shutdown,
        }
    }
}
