//! A Nagios command as a check: macros filled in from the world as it is now, the plugin run, its answer read as Nagios
//! reads it (specification 01).

use stentor_core::Timestamp;
use stentor_core::macros::view::Subject;
use stentor_core::model::{CommandRun, ObjectKey, Observation, UnknownCause};
use stentor_core::snapshot::Snapshot;

use super::plan::Job;
use crate::probes::exec::{Asked, run_plugin};

/// A command line ready to run, or why there is none.
pub struct Plugin(Result<CommandRun, String>);

impl Plugin {
    /// The command of an object's check, as the object is at `now`.
    pub fn of(object: &ObjectKey, snapshot: &Snapshot, now: Timestamp) -> Plugin {
        let view = snapshot.macros(now);
        let Some(id) = snapshot.catalog.object_id(object) else {
            return Plugin(Err("the object is not configured any more".to_owned()));
        };
        let Some(call) = view.check_call(id) else {
            return Plugin(Err("the command of the check is not configured".to_owned()));
        };
        Plugin(view.command(&call, Subject::of(id)).map_err(|error| error.to_string()))
    }

    pub async fn run(&self, job: &Job) -> Observation {
        match &self.0 {
            Ok(run) => {
                let asked = Asked { host: &job.object.host, service: job.object.service.as_deref() };
                run_plugin(&run.line, &run.environment, job.timeout, &asked).await
            }
            Err(why) => Observation::failed(UnknownCause::ProbeError, format!("the check cannot run: {why}")),
        }
    }
}
