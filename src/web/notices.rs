//! Why the contacts of an imported object are told of it, or not: the same stages that decide, on the page and in the API.

use serde::Serialize;
use stentor_core::id::ObjectId;
use stentor_core::policy::notice::explain::{ContactExplanation, Explanation};
use stentor_core::policy::notice::{Decision, Step};
use stentor_core::snapshot::Snapshot;

/// What a result would tell now.
#[derive(Debug, Serialize)]
pub struct Notices {
    /// `PROBLEM`, `RECOVERY`
    pub notification: &'static str,
    /// Number that the notification would have.
    pub number: u32,
    pub escalated: bool,
    /// Stages of the object, in order.
    pub stages: Vec<Stage>,
    pub contacts: Vec<OfContact>,
}

#[derive(Debug, Serialize)]
pub struct OfContact {
    pub contact: String,
    pub told: bool,
    pub stages: Vec<Stage>,
}

#[derive(Debug, Serialize)]
pub struct Stage {
    pub stage: &'static str,
    pub decision: &'static str,
    pub reason: String,
}

impl Notices {
    /// `None` for an object of Stentor's own configuration: its incidents notify.
    pub fn of(snapshot: &Snapshot, object: ObjectId) -> Option<Notices> {
        snapshot.explain_notice(object, None).map(Notices::from)
    }

    /// The first stage that holds the notification back from everybody.
    pub fn held(&self) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.decision == HOLD)
    }

    /// One sentence for people.
    pub fn sentence(&self) -> String {
        if let Some(stage) = self.held() {
            return format!("Nobody would be told: {}", stage.reason);
        }
        let told: Vec<&str> = self.contacts.iter().filter(|c| c.told).map(|c| c.contact.as_str()).collect();
        match told.as_slice() {
            [] => "Nobody would be told: no contact takes it now".to_owned(),
            names => format!("The next result would be told to {} (number {})", names.join(", "), self.number),
        }
    }
}

const HOLD: &str = "hold";

fn stage(step: Step) -> Stage {
    let decision = match step.decision {
        Decision::Passes => "pass",
        Decision::Holds => HOLD,
        Decision::Forced => "forced",
    };
    Stage { stage: step.stage, decision, reason: step.why }
}

impl From<Explanation> for Notices {
    fn from(found: Explanation) -> Self {
        let stages: Vec<Stage> = found.stages.into_iter().map(stage).collect();
        let held = stages.iter().any(|stage| stage.decision == HOLD);
        let of_contact = |contact: ContactExplanation| {
            let stages: Vec<Stage> = contact.stages.into_iter().map(stage).collect();
            let told = !held && stages.iter().all(|stage| stage.decision != HOLD);
            OfContact { contact: contact.contact.to_string(), told, stages }
        };
        Notices {
            notification: found.kind.as_str(),
            number: found.number,
            escalated: found.escalated,
            contacts: found.contacts.into_iter().map(of_contact).collect(),
            stages,
        }
    }
}
