//! The controller's event log, read incrementally: after the first pass only what is new.

use stentor_wire::ipmi::command::{FIRST_RECORD, GetSelEntry, GetSelInfo, LAST_RECORD, SelInfo};
use stentor_wire::ipmi::completion;
use stentor_wire::ipmi::event::Severity;
use stentor_wire::ipmi::sel::{SelBody, SelEvent, SelRecord};
use tokio::time::Instant;

use super::IpmiError;
use super::repository::Repository;
use super::session::Link;

/// Entries read in one poll; a long log is caught up over several, so that it never holds up the sensors.
const ENTRIES_PER_POLL: usize = 128;
/// Serious events kept until their end is logged or the log is cleared.
const OPEN_EVENTS_MAX: usize = 64;

/// One entry, with the sensor's name where a record gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub id: u16,
    /// Seconds since 1970 by the controller's clock; `None` if that was not set or the entry has no time.
    pub at: Option<u32>,
    pub severity: Severity,
    pub is_assertion: bool,
    pub text: String,
}

/// What a poll found in the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogNews {
    pub entries_total: u16,
    /// Entries not seen by an earlier poll, oldest first.
    pub new: Vec<LogEntry>,
    /// These entries were in the log before this process first read it: history, not news.
    pub is_history: bool,
    /// False while a long log is still being caught up.
    pub is_complete: bool,
    /// The log was cleared since the last poll.
    pub was_cleared: bool,
    /// The newest entry of weight whose end has not been logged.
    pub newest_serious: Option<LogEntry>,
}

/// Where reading stands.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    last: Option<SelRecord>,
    info: Option<SelInfo>,
    is_caught_up: bool,
    has_history: bool,
    open: Vec<(SelEvent, LogEntry)>,
    /// Read, but not handed out yet because the poll was cut off.
    pending: Vec<LogEntry>,
}

impl EventLog {
    /// Reads what is new.
    ///
    /// # Errors
    /// As the controller answers; the next call goes on after the last entry read.
    pub(super) async fn refresh(
        &mut self,
        link: &mut Link,
        names: &Repository,
        deadline: Instant,
    ) -> Result<LogNews, IpmiError> {
        let info = link.call(&GetSelInfo, deadline).await?;
        let mut news = LogNews { entries_total: info.entries, is_history: !self.has_history, ..LogNews::default() };
        let was_erased = self.info.is_some_and(|before| before.last_erase != info.last_erase);
        let is_unchanged = self.info == Some(info) && self.is_caught_up;
        if was_erased || info.entries == 0 {
            news.was_cleared = self.last.is_some();
            self.restart();
        }
        if info.entries == 0 {
            self.is_caught_up = true;
        } else if !is_unchanged {
            self.is_caught_up = false;
            self.read_new(link, names, &mut news, deadline).await?;
        }
        self.info = Some(info);
        news.new = std::mem::take(&mut self.pending);
        self.has_history |= self.is_caught_up;
        news.is_complete = self.is_caught_up;
        news.newest_serious = self.open.last().map(|(_, entry)| entry.clone());
        Ok(news)
    }

    fn restart(&mut self) {
        self.last = None;
        self.open.clear();
        self.pending.clear();
    }

    async fn read_new(
        &mut self,
        link: &mut Link,
        names: &Repository,
        news: &mut LogNews,
        deadline: Instant,
    ) -> Result<(), IpmiError> {
        let mut next = match self.resume(link, deadline).await? {
            Some(next) => next,
            None => {
                news.was_cleared |= self.last.is_some();
                self.restart();
                FIRST_RECORD
            }
        };
        while self.pending.len() < ENTRIES_PER_POLL {
            if next == LAST_RECORD {
                self.is_caught_up = true;
                return Ok(());
            }
            let part = match link.call(&GetSelEntry { record: next }, deadline).await {
                Ok(part) => part,
                // Cleared under our hands.
                Err(IpmiError::Completion { code: completion::NOT_PRESENT, .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let entry = describe(&part.record, names);
            self.weigh(&part.record, &entry);
            self.pending.push(entry);
            self.last = Some(part.record);
            // A controller that points at the same entry for ever.
            if part.next == next {
                self.is_caught_up = true;
                return Ok(());
            }
            next = part.next;
        }
        Ok(())
    }

    /// The id after the last entry read; `None` if that entry is gone or has become another one.
    async fn resume(&self, link: &mut Link, deadline: Instant) -> Result<Option<u16>, IpmiError> {
        let Some(last) = &self.last else { return Ok(None) };
        match link.call(&GetSelEntry { record: last.id }, deadline).await {
            Ok(part) if part.record == *last => Ok(Some(part.next)),
            Ok(_) | Err(IpmiError::Completion { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn weigh(&mut self, record: &SelRecord, entry: &LogEntry) {
        let Some(event) = record.event() else { return };
        if event.is_assertion && event.severity() >= Severity::Major {
            if self.open.len() >= OPEN_EVENTS_MAX {
                self.open.remove(0);
            }
            self.open.push((*event, entry.clone()));
        } else {
            self.open.retain(|(open, _)| !open.is_ended_by(event));
        }
    }
}

fn describe(record: &SelRecord, names: &Repository) -> LogEntry {
    match &record.body {
        SelBody::Event(event) => {
            let text = match names.name_of(event.generator, event.sensor_number) {
                Some(name) => format!("{name}: {}", event.text()),
                None => event.text(),
            };
            LogEntry {
                id: record.id,
                at: event.unix_time(),
                severity: if event.is_assertion { event.severity() } else { Severity::Info },
                is_assertion: event.is_assertion,
                text: if event.is_assertion { text } else { format!("{text} (ended)") },
            }
        }
        SelBody::OemTimestamped { kind, timestamp, manufacturer, .. } => LogEntry {
            id: record.id,
            at: Some(*timestamp),
            severity: Severity::Info,
            is_assertion: true,
            text: format!("OEM record {kind:#04x} of manufacturer {manufacturer}"),
        },
        SelBody::Oem { kind, .. } => LogEntry {
            id: record.id,
            at: None,
            severity: Severity::Info,
            is_assertion: true,
            text: format!("OEM record {kind:#04x}"),
        },
    }
}
