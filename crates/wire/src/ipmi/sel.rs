//! System event log records (section 32).

use super::cursor::Cursor;
use super::event::{self, Severity};
use super::text::hex;

/// A SEL record is 16 bytes (section 32.1).
pub const SEL_RECORD_BYTES: usize = 16;

/// Timestamps below this count seconds since the controller started, not since 1970 (section 37.1).
pub const PRE_INIT_MAX: u32 = 0x2000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelRecord {
    pub id: u16,
    pub body: SelBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelBody {
    /// Type 02h.
    Event(SelEvent),
    /// Types C0h to DFh.
    OemTimestamped { kind: u8, timestamp: u32, manufacturer: u32, data: [u8; 6] },
    /// Types E0h to FFh, and reserved ones.
    Oem { kind: u8, data: [u8; 13] },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelEvent {
    pub timestamp: u32,
    pub generator: u16,
    pub sensor_type: u8,
    pub sensor_number: u8,
    /// Event/reading type code, seven bits.
    pub event_type: u8,
    pub is_assertion: bool,
    pub data: [u8; 3],
}

impl SelEvent {
    pub fn offset(&self) -> u8 {
        self.data[0] & 0x0F
    }

    pub fn severity(&self) -> Severity {
        event::severity(self.event_type, self.sensor_type, self.offset())
    }

    /// Seconds since 1970; `None` before the controller's clock was set.
    pub fn unix_time(&self) -> Option<u32> {
        (self.timestamp > PRE_INIT_MAX && self.timestamp != u32::MAX).then_some(self.timestamp)
    }

    /// `Power Unit AC lost`: sensor type and meaning, without the sensor's name.
    pub fn text(&self) -> String {
        event::text(self.event_type, self.sensor_type, self.offset())
    }

    /// True when `later` says that what this one asserted is over.
    pub fn is_ended_by(&self, later: &SelEvent) -> bool {
        let identity = |e: &SelEvent| (e.generator, e.sensor_type, e.sensor_number, e.event_type, e.offset());
        self.is_assertion && !later.is_assertion && identity(self) == identity(later)
    }
}

impl SelRecord {
    /// `None` when the bytes end early.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let id = cursor.u16()?;
        let kind = cursor.u8()?;
        let body = match kind {
            0x02 => {
                let timestamp = cursor.u32()?;
                let generator = cursor.u16()?;
                let [_revision, sensor_type, sensor_number, direction] = cursor.array()?;
                SelBody::Event(SelEvent {
                    timestamp,
                    generator,
                    sensor_type,
                    sensor_number,
                    event_type: direction & 0x7F,
                    is_assertion: direction & 0x80 == 0,
                    data: cursor.array()?,
                })
            }
            0xC0..=0xDF => {
                let timestamp = cursor.u32()?;
                let [m0, m1, m2] = cursor.array()?;
                let manufacturer = u32::from_le_bytes([m0, m1, m2, 0]);
                SelBody::OemTimestamped { kind, timestamp, manufacturer, data: cursor.array()? }
            }
            _ => SelBody::Oem { kind, data: cursor.array()? },
        };
        Some(SelRecord { id, body })
    }

    pub fn encode(&self) -> [u8; SEL_RECORD_BYTES] {
        let mut out = [0; SEL_RECORD_BYTES];
        let mut bytes = self.id.to_le_bytes().to_vec();
        match &self.body {
            SelBody::Event(event) => {
                /// Event message format of IPMI 1.5 and later (section 29.3).
                const EVENT_REVISION: u8 = 0x04;
                bytes.push(0x02);
                bytes.extend(event.timestamp.to_le_bytes());
                bytes.extend(event.generator.to_le_bytes());
                let direction = if event.is_assertion { 0 } else { 0x80 };
                bytes.extend([EVENT_REVISION, event.sensor_type, event.sensor_number]);
                bytes.push(direction | event.event_type & 0x7F);
                bytes.extend(event.data);
            }
            SelBody::OemTimestamped { kind, timestamp, manufacturer, data } => {
                bytes.push(*kind);
                bytes.extend(timestamp.to_le_bytes());
                bytes.extend(manufacturer.to_le_bytes().iter().take(3));
                bytes.extend(data);
            }
            SelBody::Oem { kind, data } => {
                bytes.push(*kind);
                bytes.extend(data);
            }
        }
        for (slot, byte) in out.iter_mut().zip(bytes) {
            *slot = byte;
        }
        out
    }

    /// The sixteen bytes as hexadecimal digits: for what only its manufacturer can read.
    pub fn raw(&self) -> String {
        hex(&self.encode())
    }

    pub fn event(&self) -> Option<&SelEvent> {
        match &self.body {
            SelBody::Event(event) => Some(event),
            SelBody::OemTimestamped { .. } | SelBody::Oem { .. } => None,
        }
    }
}
