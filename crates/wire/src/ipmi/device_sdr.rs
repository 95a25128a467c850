//! Records of a controller that has no repository and describes its own sensors (sections 35.2 to 35.4).

use super::command::{Command, GetSdr, SdrInfo, SdrPart, sensor};
use super::cursor::Cursor;
use super::netfn;

/// Get Device SDR Info (section 35.2), of a controller without a repository.
#[derive(Clone, Copy, Debug)]
pub struct GetDeviceSdrInfo;

impl Command for GetDeviceSdrInfo {
    /// In the words of a repository: the population change indicator stands for the time of the last addition.
    type Answer = SdrInfo;
    const NAME: &'static str = "Get Device SDR Info";
    const NETFN: u8 = netfn::SENSOR;
    const COMMAND: u8 = sensor::DEVICE_SDR_INFO;

    fn data(&self) -> Vec<u8> {
        const COUNT_RECORDS: u8 = 1;
        vec![COUNT_RECORDS]
    }

    fn parse(&self, data: &[u8]) -> Option<SdrInfo> {
        let mut cursor = Cursor::new(data);
        let [records, flags] = cursor.array()?;
        let is_dynamic = flags & 0x80 != 0;
        let changed_at = if is_dynamic { cursor.u32()? } else { 0 };
        Some(SdrInfo { records: u16::from(records), last_addition: changed_at, last_erase: 0 })
    }
}

/// Reserve Device SDR Repository (section 35.4).
#[derive(Clone, Copy, Debug)]
pub struct ReserveDeviceSdr;

impl Command for ReserveDeviceSdr {
    type Answer = u16;
    const NAME: &'static str = "Reserve Device SDR Repository";
    const NETFN: u8 = netfn::SENSOR;
    const COMMAND: u8 = sensor::DEVICE_SDR_RESERVE;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<u16> {
        Cursor::new(data).u16()
    }
}

/// Get Device SDR (section 35.3): as Get SDR, of a controller without a repository.
#[derive(Clone, Copy, Debug)]
pub struct GetDeviceSdr(pub GetSdr);

impl Command for GetDeviceSdr {
    type Answer = SdrPart;
    const NAME: &'static str = "Get Device SDR";
    const NETFN: u8 = netfn::SENSOR;
    const COMMAND: u8 = sensor::DEVICE_SDR_GET;

    fn data(&self) -> Vec<u8> {
        self.0.data()
    }

    fn parse(&self, data: &[u8]) -> Option<SdrPart> {
        self.0.parse(data)
    }
}
