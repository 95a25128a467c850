//! DCMI 1.5: what a controller of a data-center server can tell of its power and temperatures.

use super::command::Command;
use super::cursor::Cursor;

/// Group extension network function; the first data byte of requests and answers names the group.
const NETFN_GROUP: u8 = 0x2C;
/// DCMI's group (section 6.1 of DCMI 1.5).
const GROUP: u8 = 0xDC;

/// Answers of another group are not ours.
fn body(data: &[u8]) -> Option<Cursor<'_>> {
    let mut cursor = Cursor::new(data);
    (cursor.u8()? == GROUP).then_some(cursor)
}

/// Get DCMI Capability Info, supported capabilities (section 6.1.1).
#[derive(Clone, Copy, Debug)]
pub struct GetCapabilities;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub version: (u8, u8),
    pub can_manage_power: bool,
}

impl Command for GetCapabilities {
    type Answer = Capabilities;
    const NAME: &'static str = "Get DCMI Capabilities";
    const NETFN: u8 = NETFN_GROUP;
    const COMMAND: u8 = 0x01;

    fn data(&self) -> Vec<u8> {
        const SUPPORTED: u8 = 1;
        vec![GROUP, SUPPORTED]
    }

    fn parse(&self, data: &[u8]) -> Option<Capabilities> {
        let mut cursor = body(data)?;
        let [major, minor, _revision] = cursor.array()?;
        let [_mandatory, optional, _access] = cursor.array()?;
        Some(Capabilities { version: (major, minor), can_manage_power: optional & 1 != 0 })
    }
}

/// Get Power Reading, of the whole system (section 6.6.1).
#[derive(Clone, Copy, Debug)]
pub struct GetPowerReading;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerReading {
    /// In watts, as the three below; the last three over `period_ms`.
    pub now: u16,
    pub min: u16,
    pub max: u16,
    pub average: u16,
    pub period_ms: u32,
    /// The controller measures; otherwise the numbers mean nothing.
    pub is_active: bool,
}

impl Command for GetPowerReading {
    type Answer = PowerReading;
    const NAME: &'static str = "Get DCMI Power Reading";
    const NETFN: u8 = NETFN_GROUP;
    const COMMAND: u8 = 0x02;

    fn data(&self) -> Vec<u8> {
        const SYSTEM_STATISTICS: u8 = 1;
        vec![GROUP, SYSTEM_STATISTICS, 0, 0]
    }

    fn parse(&self, data: &[u8]) -> Option<PowerReading> {
        let mut cursor = body(data)?;
        let (now, min, max, average) = (cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?);
        let _timestamp = cursor.u32()?;
        let period_ms = cursor.u32()?;
        Some(PowerReading { now, min, max, average, period_ms, is_active: cursor.u8()? & 0x40 != 0 })
    }
}

/// Get Power Limit (section 6.6.2).
#[derive(Clone, Copy, Debug)]
pub struct GetPowerLimit;

impl Command for GetPowerLimit {
    /// Watts.
    type Answer = u16;
    const NAME: &'static str = "Get DCMI Power Limit";
    const NETFN: u8 = NETFN_GROUP;
    const COMMAND: u8 = 0x03;

    fn data(&self) -> Vec<u8> {
        vec![GROUP, 0, 0]
    }

    fn parse(&self, data: &[u8]) -> Option<u16> {
        let mut cursor = body(data)?;
        let [_, _, _exception] = cursor.array()?;
        cursor.u16()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_group_are_read_and_others_are_not() {
        let capabilities = [0xDC, 1, 5, 2, 0, 1, 0x07];
        assert_eq!(
            GetCapabilities.parse(&capabilities),
            Some(Capabilities { version: (1, 5), can_manage_power: true })
        );
        let power = [0xDC, 0xF4, 0, 0x64, 0, 0x2C, 1, 0xFA, 0, 0, 0, 0, 0x60, 0xE8, 3, 0, 0, 0x40];
        let read = GetPowerReading.parse(&power).unwrap();
        assert_eq!((read.now, read.min, read.max, read.average, read.period_ms), (244, 100, 300, 250, 1000));
        assert!(read.is_active);
        assert_eq!(GetPowerLimit.parse(&[0xDC, 0, 0, 1, 0xF4, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Some(500));
        for length in 0..power.len() {
            assert_eq!(GetPowerReading.parse(&power[..length]), None);
        }
        assert_eq!(GetPowerReading.parse(&[0x00; 18]), None, "another group");
    }
}
