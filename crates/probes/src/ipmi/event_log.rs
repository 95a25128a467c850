//! The controller's event log, read incrementally: after the first pass only what is new.

use stentor_wire::ipmi::chassis::GetSelUtcOffset;
use stentor_wire::ipmi::command::{FIRST_RECORD, GetSelEntry, GetSelInfo, LAST_RECORD, SelInfo};
use stentor_wire::ipmi::completion;
use stentor_wire::ipmi::event::Severity;
use stentor_wire::ipmi::sel::{SEL_RECORD_BYTES, SelBody, SelEvent, SelRecord};
use stentor_wire::ipmi::text::hex;
use tokio::time::Instant;

use super::IpmiError;
use super::conversation::Conversation;
use super::repository::Repository;

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
    /// Who logged it, where the record says: `controller 20h`, `BIOS`.
    pub generator: Option<String>,
    /// The sixteen bytes of a record that only its manufacturer can read.
    pub raw: Option<String>,
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
    /// Entries were overwritten before they were read: a log that goes round, and was too quick for us.
    pub was_overwritten: bool,
    /// The log is full and drops what comes, or has dropped something.
    pub has_overflowed: bool,
    /// How full it is, in percent.
    pub used_pct: f64,
    /// An entry is older than the one before it: the controller's clock was set back.
    pub clock_stepped_back: bool,
    /// The newest entry of weight whose end has not been logged.
    pub newest_serious: Option<LogEntry>,
}

/// Where reading stands.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    /// Minutes that the log's clock is ahead of UTC; `None` before it was asked for.
    utc_offset: Option<i16>,
    last: Option<SelRecord>,
    info: Option<SelInfo>,
    is_caught_up: bool,
    has_history: bool,
    open: Vec<(SelEvent, LogEntry)>,
    /// Read, but not handed out yet because the poll was cut off.
    pending: Vec<LogEntry>,
    has_stepped_back: bool,
}

impl EventLog {
    /// Reads what is new.
    ///
    /// # Errors
    /// As the controller answers; the next call goes on after the last entry read.
    pub(super) async fn refresh<T: Conversation>(
        &mut self,
        link: &mut T,
        names: &Repository,
        deadline: Instant,
    ) -> Result<LogNews, IpmiError> {
        if self.utc_offset.is_none() {
            self.utc_offset = Some(match link.call(&GetSelUtcOffset, deadline).await {
                Ok(minutes) => minutes.unwrap_or(0),
                // Most controllers do not know, and keep UTC.
                Err(IpmiError::Completion { .. } | IpmiError::Malformed { .. }) => 0,
                Err(error) => return Err(error),
            });
        }
        let info = link.call(&GetSelInfo, deadline).await?;
        let mut news = LogNews {
            entries_total: info.entries,
            is_history: !self.has_history,
            has_overflowed: info.has_overflowed,
            used_pct: used_pct(&info),
            ..LogNews::default()
        };
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
        news.clock_stepped_back = std::mem::take(&mut self.has_stepped_back);
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

    async fn read_new<T: Conversation>(
        &mut self,
        link: &mut T,
        names: &Repository,
        news: &mut LogNews,
        deadline: Instant,
    ) -> Result<(), IpmiError> {
        let mut next = match self.resume(link, deadline).await? {
            Some(next) => next,
            None => {
                // Our place is gone. With fewer entries than before it was cleared, whatever its timestamps say; with as
                // many, newer entries have taken the place of it and of all before it.
                let entries_before = self.info.map_or(0, |info| info.entries);
                if self.last.is_some() {
                    news.was_overwritten = news.entries_total >= entries_before;
                    news.was_cleared |= !news.was_overwritten;
                }
                match news.was_overwritten {
                    // What was open may have ended among the lost ones; it counts until its end or the next clearing.
                    true => self.last = None,
                    false => self.restart(),
                }
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
            let entry = describe(&part.record, names, self.utc_offset.unwrap_or(0));
            let before = self.last.as_ref().and_then(timestamp);
            self.has_stepped_back |= timestamp(&part.record).zip(before).is_some_and(|(now, before)| now < before);
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
    async fn resume<T: Conversation>(&self, link: &mut T, deadline: Instant) -> Result<Option<u16>, IpmiError> {
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

/// How full the log is; a record takes sixteen bytes.
fn used_pct(info: &SelInfo) -> f64 {
    /// More than any log has: "at least this much", or "unknown" (section 31.2, bytes 4 and 5).
    const UNKNOWN: [u16; 2] = [0xFFFE, 0xFFFF];
    let used = f64::from(info.entries) * SEL_RECORD_BYTES as f64;
    let free = f64::from(info.free_bytes);
    if UNKNOWN.contains(&info.free_bytes) || used + free == 0.0 {
        return if info.has_overflowed { 100.0 } else { 0.0 };
    }
    (used / (used + free) * 1000.0).round() / 10.0
}

/// When the controller says it happened; absent before its clock was set.
fn timestamp(record: &SelRecord) -> Option<u32> {
    match &record.body {
        SelBody::Event(event) => event.unix_time(),
        SelBody::OemTimestamped { timestamp, .. } => Some(*timestamp),
        SelBody::Oem { .. } => None,
    }
}

fn describe(record: &SelRecord, names: &Repository, utc_offset: i16) -> LogEntry {
    const SECONDS_A_MINUTE: i64 = 60;
    let in_utc = |at: u32| u32::try_from(i64::from(at) - i64::from(utc_offset) * SECONDS_A_MINUTE).unwrap_or(at);
    let entry = LogEntry {
        id: record.id,
        at: timestamp(record).map(in_utc),
        severity: Severity::Info,
        is_assertion: true,
        text: String::new(),
        generator: None,
        raw: None,
    };
    match &record.body {
        SelBody::Event(event) => {
            let mut text = match names.name_of(event.generator, event.sensor_number) {
                Some(name) => format!("{name}: {}", event.text()),
                None => event.text(),
            };
            let detail = event.detail(names.analog_of(event.generator, event.sensor_number));
            if !detail.is_empty() {
                text.push_str(&format!(" ({detail})"));
            }
            if !event.is_assertion {
                text.push_str(" (ended)");
            }
            let severity = if event.is_assertion { event.severity() } else { Severity::Info };
            let (is_assertion, generator) = (event.is_assertion, Some(event.generator_text()));
            LogEntry { severity, is_assertion, text, generator, ..entry }
        }
        SelBody::OemTimestamped { kind, manufacturer, data, .. } => LogEntry {
            text: format!("OEM record {kind:#04x} of manufacturer {manufacturer}: {}", hex(data)),
            raw: Some(record.raw()),
            ..entry
        },
        SelBody::Oem { kind, data } => {
            LogEntry { text: format!("OEM record {kind:#04x}: {}", hex(data)), raw: Some(record.raw()), ..entry }
        }
    }
}

#[cfg(test)]
mod tests;
