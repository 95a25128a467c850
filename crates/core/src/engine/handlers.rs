//! Commands that run beside notifications: event handlers, obsessive and perfdata commands (specification 03, section 9).

use super::Engine;
use super::effect::Effects;
use super::switch::Side;
use crate::catalog::nagios::CommandCall;
use crate::id::ObjectId;
use crate::macros::view::{Kept, Subject, View};
use crate::macros::{self, Options};
use crate::model::CommandRun;

impl Engine {
    /// The global handler, then the object's own.
    pub(super) fn handle_event(&mut self, object: ObjectId, effects: &mut Effects) {
        let program = self.program();
        if !program.enable_event_handlers {
            return;
        }
        let global = match object {
            ObjectId::Host(_) => program.global_host_event_handler.clone(),
            ObjectId::Service(_) => program.global_service_event_handler.clone(),
        };
        if let Some(call) = global {
            self.run_handler("GLOBAL ", &call, object, effects);
        }
        let Some(switches) = self.switches(object) else { return };
        if switches.event_handler
            && let Some(call) = self.event_handler(object).cloned()
            && self.is_within(self.event_handler_period(object))
        {
            self.run_handler("", &call, object, effects);
        }
    }

    fn run_handler(&self, scope: &str, call: &CommandCall, object: ObjectId, effects: &mut Effects) {
        if self.program().log_event_handlers {
            let rest = format!("{};{}", self.state_fields(object), self.shown_call(call, object));
            effects.log.push(format!("{scope}{}", self.line_of(object, "EVENT HANDLER", &rest)));
        }
        self.run_command(call, object, effects);
    }

    /// The command that hears of every result.
    pub(super) fn obsess(&self, object: ObjectId, effects: &mut Effects) {
        let program = self.program();
        let (on, call) = match object {
            ObjectId::Host(_) => (program.obsess_over_hosts, &program.ochp_command),
            ObjectId::Service(_) => (program.obsess_over_services, &program.ocsp_command),
        };
        if on
            && let Some(call) = call
            && self.switches(object).is_some_and(|switches| switches.obsess)
        {
            self.run_command(call, object, effects);
        }
    }

    /// The command of performance data, then the line of their file.
    pub(super) fn process_perfdata(&self, object: ObjectId, effects: &mut Effects) {
        let program = self.program();
        let (side, call, template, takes_empty) = match object {
            ObjectId::Host(_) => (
                Side::Hosts,
                &program.host_perfdata_command,
                &program.host_perfdata_template,
                program.host_perfdata_process_empty_results,
            ),
            ObjectId::Service(_) => (
                Side::Services,
                &program.service_perfdata_command,
                &program.service_perfdata_template,
                program.service_perfdata_process_empty_results,
            ),
        };
        let is_empty = || self.detail(object).observation.as_ref().is_none_or(|seen| seen.perfdata().is_empty());
        if (call.is_none() && template.is_none())
            || !program.process_performance_data
            || !self.switches(object).is_some_and(|switches| switches.perfdata)
            || (!takes_empty && is_empty())
        {
            return;
        }
        if let Some(call) = call {
            self.run_command(call, object, effects);
        }
        if let Some(template) = template {
            let line = self.macros().with_context(Subject::of(object), |context| {
                // Not a command line: Nagios removes nothing here.
                macros::expand(template, context, Options::raw())
            });
            match line {
                Ok(line) => effects.perfdata.push((side, line)),
                Err(error) => effects.log.push(format!("Error: performance data were not written: {error}")),
            }
        }
    }

    /// Has a command run once for this object as it is now.
    pub(super) fn run_command(&self, call: &CommandCall, object: ObjectId, effects: &mut Effects) {
        let run = self.command_run(call, Subject::of(object), &mut effects.log);
        effects.runs.extend(run);
    }

    /// The command line with its macros expanded; `None`, and a line in the log, if it grows past what a command line
    /// may be.
    pub(super) fn command_run(
        &self,
        call: &CommandCall,
        subject: Subject<'_>,
        log: &mut Vec<String>,
    ) -> Option<CommandRun> {
        match self.macros().command(call, subject) {
            Ok(run) => Some(run),
            Err(error) => {
                log.push(format!("Error: command '{}' was not run: {error}", call.text));
                None
            }
        }
    }

    /// The call as lines of the log show it.
    fn shown_call(&self, call: &CommandCall, object: ObjectId) -> String {
        let options = Options::strip(&self.program().illegal_macro_output_chars);
        let expanded =
            self.macros().with_context(Subject::of(object), |context| macros::expand(&call.text, context, options));
        expanded.unwrap_or_else(|_| call.text.to_string())
    }

    /// Everything that a macro can ask for, now.
    pub(super) fn macros(&self) -> View<'_> {
        View {
            catalog: &self.catalog,
            program: self.program(),
            now: self.at,
            started: self.started,
            hosts: &self.hosts,
            host_details: &self.host_details,
            services: &self.services,
            service_details: &self.service_details,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            kept: Kept::default(),
        }
    }
}
