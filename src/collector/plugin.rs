//! A Nagios command as a check: macros filled in from the world as it is now, the plugin run, its answer read as Nagios
//! reads it (specification 01).
//!
//! Runs without a task of its own: the executor calls when the plugin has ended, and the runner takes what ended since
//! it last looked all at once.

use std::time::Duration;

use stentor_core::Timestamp;
use stentor_core::macros::view::Subject;
use stentor_core::model::{CommandRun, ObjectKey, Observation, UnknownCause};
use stentor_core::snapshot::Snapshot;
use tokio::sync::mpsc;

use crate::probes::exec::{Run, submit_plugin};

/// What came of a run.
#[derive(Debug)]
pub struct Ended {
    pub id: u64,
    /// `None` = it was lost on the way.
    pub observation: Option<Observation>,
}

/// Sends the end of a run, whatever happens to who holds it.
struct Teller {
    id: u64,
    ended: mpsc::Sender<Ended>,
    observation: Option<Observation>,
}

impl Teller {
    fn tell(mut self, observation: Observation) {
        self.observation = Some(observation);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // There is room for as many as may run; with the runner gone nobody cares.
        let _ = self.ended.try_send(Ended { id: self.id, observation: self.observation.take() });
    }
}

/// Begins the check of `object` as it is at `now`; its end comes through `ended`. Dropping what is returned ends it.
pub fn begin(
    object: &ObjectKey,
    snapshot: &Snapshot,
    now: Timestamp,
    timeout: Duration,
    id: u64,
    ended: mpsc::Sender<Ended>,
) -> Option<Run> {
    let teller = Teller { id, ended, observation: None };
    match command(object, snapshot, now) {
        Ok(run) => submit_plugin(&run.line, &run.environment, timeout, object.clone(), move |seen| teller.tell(seen)),
        Err(why) => {
            teller.tell(Observation::failed(UnknownCause::ProbeError, format!("the check cannot run: {why}")));
            None
        }
    }
}

fn command(object: &ObjectKey, snapshot: &Snapshot, now: Timestamp) -> Result<CommandRun, String> {
    let view = snapshot.macros(now);
    let id = snapshot.catalog.object_id(object).ok_or("the object is not configured any more")?;
    let call = view.check_call(id).ok_or("the command of the check is not configured")?;
    view.command(&call, Subject::of(id)).map_err(|error| error.to_string())
}
