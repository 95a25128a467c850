//! The clockwork of the classifier: how long a fact counts, how long something may start, how long to hold.
//!
//! Specification 10, section 6. Every length shrinks with `[timing] pace`, so that a demonstration keeps its proportions.

use crate::Span;

use super::verdict::Class;

/// The lengths of time that decide between verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// A signal older than this (or three of its intervals, if longer) counts as missing.
    pub fresh_floor: Span,
    /// Software, resource: how long a failure lasts before anybody is told (three checks of 10 s).
    pub soft: Span,
    /// Host down: how long before anybody is told.
    pub server_hold: Span,
    /// Network and power groups wait this much longer for their members to fail.
    pub group_wait: Span,
    /// A later verdict of higher precedence within this time replaces the earlier ones.
    pub collapse: Span,
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
    /// Recovery: how long a resource must be clean.
    pub resource_clean: Span,
    /// Time that a clean shutdown of the room takes; the UPS must last twice as long.
    pub shutdown: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            fresh_floor: Span::from_secs(180),
            soft: Span::from_secs(30),
            server_hold: Span::from_secs(60),
            group_wait: Span::from_secs(20),
            collapse: Span::from_secs(30),
            jvm_grace: Span::from_secs(300),
            component_grace: Span::from_secs(60),
            reboot: Span::from_secs(300),
            takeover: Span::from_secs(300),
            upstream_lag: Span::from_secs(60),
            ageing: Span::from_secs(60),
            resource_clean: Span::from_mins(5),
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
            server_hold: self.server_hold.at_pace(pace),
            group_wait: self.group_wait.at_pace(pace),
            collapse: self.collapse.at_pace(pace),
            jvm_grace: self.jvm_grace.at_pace(pace),
            component_grace: self.component_grace.at_pace(pace),
            reboot: self.reboot.at_pace(pace),
            takeover: self.takeover.at_pace(pace),
            upstream_lag: self.upstream_lag.at_pace(pace),
            ageing: self.ageing.at_pace(pace),
            resource_clean: self.resource_clean.at_pace(pace),
            shutdown: self.shutdown,
        }
    }

    /// How long a verdict of this class must stand before it is believed.
    pub fn hold(&self, class: Class) -> Span {
        match class {
            Class::ServerDown | Class::SiteDown | Class::MonitorIsolated => self.server_hold,
            Class::Network | Class::PowerEvent => self.soft + self.group_wait,
            Class::SoftwareDown
            | Class::ResourceUnavailable
            | Class::NetworkPath
            | Class::RedundancyLost
            | Class::ResourceAtRisk
            | Class::Flapping
            | Class::Unknown => self.soft,
            Class::SplitBrain | Class::AdminStopped | Class::Starting => Span::ZERO,
        }
    }
}
