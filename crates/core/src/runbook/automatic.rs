//! Whether a runbook may start without a person: everything must speak for it, and the first reason against it is told.

use crate::diagnosis::{Class, CoreState};
use crate::model::{Incident, Phase};

use super::policy::RunPolicy;
use crate::catalog::Runbook;

/// Below this the cause is uncertain (specification 10: a confident verdict).
pub const CONFIDENCE_MIN: f64 = 0.8;

/// What the decision rests on.
pub struct Situation<'a> {
    pub incident: &'a Incident,
    pub runbook: &'a Runbook,
    pub policy: &'a RunPolicy,
    /// Stentor itself is cut off.
    pub is_isolated: bool,
    /// Of the cloud; `None` = the incident is in none.
    pub core: Option<CoreState>,
    /// Automatic starts within the last hour: for the same host, and all.
    pub starts: (u32, u32),
    /// A check of the target flaps.
    pub is_flapping: bool,
}

/// # Errors
/// Why not.
pub fn may_start(now: &Situation<'_>) -> Result<(), String> {
    let Situation { incident, runbook, policy, .. } = now;
    let verdict = &incident.verdict;
    if !policy.automatic.contains(&runbook.id) {
        return Err("[runbook] `automatic` of the administrator does not name it".to_owned());
    }
    if incident.phase != Phase::Open {
        return Err(format!("the incident is {}", incident.phase.as_str()));
    }
    if let Some(ack) = &incident.ack {
        return Err(format!("{} has acknowledged the incident", ack.by));
    }
    if now.is_isolated {
        return Err("Stentor itself may be cut off".to_owned());
    }
    if now.core == Some(CoreState::Unknown) {
        return Err("the state of the Core is not known".to_owned());
    }
    if matches!(verdict.class, Class::Unknown | Class::Flapping) || now.is_flapping {
        return Err(format!(
            "the cause is uncertain ({})",
            if now.is_flapping { "flapping" } else { verdict.class.as_str() }
        ));
    }
    // A confidence that is no number is no confidence.
    if verdict.confidence.is_nan() || verdict.confidence < CONFIDENCE_MIN {
        return Err(format!("confidence {:.2} is below {CONFIDENCE_MIN}", verdict.confidence));
    }
    let (of_host, in_all) = now.starts;
    if of_host >= policy.automatic_per_host {
        return Err(format!("{of_host} automatic starts for this host within an hour"));
    }
    if in_all >= policy.automatic_per_hour {
        return Err(format!("{in_all} automatic starts within an hour"));
    }
    Ok(())
}
