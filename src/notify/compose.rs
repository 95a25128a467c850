//! Turns an outbox row into the message of a notifier: adds what the catalog knows.

use stentor_core::catalog::{Catalog, Step};
use stentor_core::runbook::RunTarget;
use stentor_core::runbook::facts::target_of;
use stentor_core::runbook::named::with_names;

use crate::notifiers::Message;
use crate::store::OutboxRow;

/// Steps of a runbook that a message shows; the rest is behind its link.
const STEPS_SHOWN: usize = 3;

/// The message of one row.
pub fn message(row: &OutboxRow, catalog: &Catalog) -> Message {
    let incident = &row.notification.incident;
    let target = target_of(catalog, incident);
    let steps = catalog.runbook(&incident.verdict.runbook).map_or(&[][..], |book| &book.steps);
    Message {
        notification: row.notification.clone(),
        thread: row.thread.clone(),
        url: catalog.url.to_string(),
        steps: steps.iter().take(STEPS_SHOWN).map(|step| step_lines(catalog, &target, step)).collect(),
        instance: catalog.instance.to_string(),
    }
}

/// `text` and, each on a line of its own, the commands to copy, with the names of the target.
fn step_lines(catalog: &Catalog, target: &RunTarget, step: &Step) -> String {
    let command = step.command.as_deref().map_or_else(String::new, |text| with_names(catalog, target, text));
    let commands = command.lines().map(|line| format!("\n$ {line}"));
    std::iter::once(step.text.trim_end().to_owned()).chain(commands).collect()
}

#[cfg(test)]
mod tests {
    use stentor_core::catalog::{Host, StepKind};
    use stentor_core::id::ZoneId;

    use super::*;

    #[test]
    fn each_command_has_a_line_and_the_name_of_its_host() {
        let mut catalog = Catalog { hosts: vec![Host::bare("cc1", ZoneId(0))], ..Catalog::default() };
        catalog.reindex();
        let target = RunTarget { host: Some("cc1".into()), component: None, cloud: None };
        let step = Step { command: Some("ping HOST\nssh HOST".to_owned()), ..Step::manual(StepKind::Verify, "Look.") };
        assert_eq!(step_lines(&catalog, &target, &step), "Look.\n$ ping cc1\n$ ssh cc1");
        assert_eq!(step_lines(&catalog, &target, &Step::manual(StepKind::Verify, "Look.")), "Look.");
    }
}
