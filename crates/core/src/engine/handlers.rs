//! Commands that run beside notifications: event handlers, obsessive and perfdata commands (specification 03, section 9).

use std::sync::Arc;

use super::Engine;
use super::effect::Effects;
use crate::catalog::nagios::CommandCall;
use crate::id::ObjectId;
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
            let rest = format!("{};{}", self.state_fields(object), call.text);
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

    pub(super) fn process_perfdata(&self, object: ObjectId, effects: &mut Effects) {
        let program = self.program();
        let call = match object {
            ObjectId::Host(_) => &program.host_perfdata_command,
            ObjectId::Service(_) => &program.service_perfdata_command,
        };
        let Some(call) = call else { return };
        let is_empty = || self.detail(object).observation.as_ref().is_none_or(|seen| seen.measurements.is_empty());
        if program.process_performance_data
            && self.switches(object).is_some_and(|switches| switches.perfdata)
            && (program.perfdata_process_empty_results || !is_empty())
        {
            self.run_command(call, object, effects);
        }
    }

    /// Has a command run once for this object as it is now.
    pub(super) fn run_command(&self, call: &CommandCall, object: ObjectId, effects: &mut Effects) {
        let Some(command) = self.catalog.nagios.commands.get(call.command.index()) else { return };
        effects.runs.push(CommandRun {
            name: Arc::clone(&command.name),
            line: self.expand(call, object),
            environment: Vec::new(),
        });
    }

    /// The command line with its macros expanded.
    fn expand(&self, call: &CommandCall, _object: ObjectId) -> Arc<str> {
        Arc::clone(&call.text)
    }
}
