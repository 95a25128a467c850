//! Turns an outbox row into the message of a notifier: adds what the catalog knows.

use stentor_core::catalog::{Catalog, Step};

use crate::notifiers::Message;
use crate::store::OutboxRow;

/// Steps of a runbook that a message shows; the rest is behind its link.
const STEPS_SHOWN: usize = 3;

/// The message of one row.
pub fn message(row: &OutboxRow, catalog: &Catalog) -> Message {
    let runbook = catalog.runbook(&row.notification.incident.verdict.runbook);
    Message {
        notification: row.notification.clone(),
        thread: row.thread.clone(),
        url: catalog.url.to_string(),
        steps: runbook.map_or_else(Vec::new, |book| book.steps.iter().take(STEPS_SHOWN).map(step_line).collect()),
        instance: catalog.instance.to_string(),
    }
}

/// `text` and, on a line of its own, the command to copy.
fn step_line(step: &Step) -> String {
    match &step.command {
        Some(command) => format!("{}\n$ {command}", step.text.trim_end()),
        None => step.text.trim_end().to_owned(),
    }
}
