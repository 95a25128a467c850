//! The commands a monitor sends, and how their answers read.

use super::cursor::Cursor;
use super::sdr::SensorFactors;
use super::sel::SelRecord;
use super::{Privilege, netfn};

/// Command numbers of the App network function (appendix G).
pub mod app {
    pub const DEVICE_ID: u8 = 0x01;
    pub const WATCHDOG_TIMER: u8 = 0x25;
    pub const SEND_MESSAGE: u8 = 0x34;
    pub const SYSTEM_GUID: u8 = 0x37;
    pub const AUTH_CAPABILITIES: u8 = 0x38;
    pub const SET_PRIVILEGE: u8 = 0x3B;
    pub const CLOSE_SESSION: u8 = 0x3C;
    pub const CIPHER_SUITES: u8 = 0x54;
}

/// Command numbers of the Chassis network function.
pub mod chassis {
    pub const STATUS: u8 = 0x01;
    pub const CONTROL: u8 = 0x02;
    pub const RESTART_CAUSE: u8 = 0x07;
    pub const POWER_ON_HOURS: u8 = 0x0F;
}

/// Command numbers of the Sensor/Event network function.
pub mod sensor {
    pub const DEVICE_SDR_INFO: u8 = 0x20;
    pub const DEVICE_SDR_GET: u8 = 0x21;
    pub const DEVICE_SDR_RESERVE: u8 = 0x22;
    pub const READING_FACTORS: u8 = 0x23;
    pub const READING: u8 = 0x2D;
}

/// Command numbers of the Storage network function.
pub mod storage {
    pub const FRU_INFO: u8 = 0x10;
    pub const FRU_READ: u8 = 0x11;
    pub const SDR_INFO: u8 = 0x20;
    pub const SDR_RESERVE: u8 = 0x22;
    pub const SDR_GET: u8 = 0x23;
    pub const SEL_INFO: u8 = 0x40;
    pub const SEL_RESERVE: u8 = 0x42;
    pub const SEL_GET: u8 = 0x43;
    pub const SEL_TIME: u8 = 0x48;
    pub const SEL_UTC_OFFSET: u8 = 0x5C;
}

/// First record of a repository, as a record id to ask for (sections 33.12 and 31.5).
pub const FIRST_RECORD: u16 = 0x0000;
/// "No next record" in an answer; in a SEL request, the newest record.
pub const LAST_RECORD: u16 = 0xFFFF;

/// One request and the meaning of its answer.
pub trait Command {
    type Answer;
    const NAME: &'static str;
    const NETFN: u8;
    const COMMAND: u8;

    fn lun(&self) -> u8 {
        0
    }

    fn data(&self) -> Vec<u8>;

    /// Reads the data of an answer with completion code 00h; `None` when it is too short or makes no sense.
    fn parse(&self, data: &[u8]) -> Option<Self::Answer>;
}

/// Get Channel Authentication Capabilities (section 22.13), asking for the IPMI 2.0 data.
#[derive(Clone, Copy, Debug)]
pub struct GetAuthCapabilities {
    pub privilege: Privilege,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthCapabilities {
    pub channel: u8,
    pub supports_ipmi_20: bool,
    pub is_kg_set: bool,
}

impl Command for GetAuthCapabilities {
    type Answer = AuthCapabilities;
    const NAME: &'static str = "Get Channel Authentication Capabilities";
    const NETFN: u8 = netfn::APP;
    const COMMAND: u8 = app::AUTH_CAPABILITIES;

    fn data(&self) -> Vec<u8> {
        const THIS_CHANNEL: u8 = 0x0E;
        const WANT_IPMI_20: u8 = 0x80;
        vec![WANT_IPMI_20 | THIS_CHANNEL, self.privilege.code()]
    }

    fn parse(&self, data: &[u8]) -> Option<AuthCapabilities> {
        let mut cursor = Cursor::new(data);
        let [channel, types, status, extended] = cursor.array()?;
        let is_extended = types & 0x80 != 0;
        Some(AuthCapabilities {
            channel: channel & 0x0F,
            supports_ipmi_20: is_extended && extended & 0x02 != 0,
            is_kg_set: is_extended && status & 0x20 != 0,
        })
    }
}

/// Get Device ID (section 20.1).
#[derive(Clone, Copy, Debug)]
pub struct GetDeviceId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId {
    pub device_id: u8,
    pub device_revision: u8,
    pub firmware_major: u8,
    /// Binary, decoded from BCD.
    pub firmware_minor: u8,
    pub auxiliary_firmware: Option<[u8; 4]>,
    pub ipmi_version: (u8, u8),
    /// IANA enterprise number.
    pub manufacturer: u32,
    pub product: u16,
    pub has_sdr_repository: bool,
    /// It has sensors of its own, and records of them where there is no repository.
    pub has_sensors: bool,
    pub has_sel: bool,
    /// It keeps FRU inventories.
    pub has_inventory: bool,
}

impl Command for GetDeviceId {
    type Answer = DeviceId;
    const NAME: &'static str = "Get Device ID";
    const NETFN: u8 = netfn::APP;
    const COMMAND: u8 = app::DEVICE_ID;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<DeviceId> {
        let mut cursor = Cursor::new(data);
        let [device_id, revision, major, minor, version, support] = cursor.array()?;
        let [m0, m1, m2] = cursor.array()?;
        let product = cursor.u16()?;
        Some(DeviceId {
            device_id,
            device_revision: revision & 0x0F,
            firmware_major: major & 0x7F,
            firmware_minor: (minor >> 4).wrapping_mul(10).wrapping_add(minor & 0x0F),
            auxiliary_firmware: cursor.array(),
            ipmi_version: (version & 0x0F, version >> 4),
            manufacturer: u32::from_le_bytes([m0, m1, m2 & 0x0F, 0]),
            product,
            has_sensors: support & 0x01 != 0,
            has_sdr_repository: support & 0x02 != 0,
            has_sel: support & 0x04 != 0,
            has_inventory: support & 0x08 != 0,
        })
    }
}

/// Get Chassis Status (section 28.2).
#[derive(Clone, Copy, Debug)]
pub struct GetChassisStatus;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChassisStatus {
    pub is_on: bool,
    pub power_overload: bool,
    pub interlock: bool,
    pub main_power_fault: bool,
    pub power_control_fault: bool,
    pub last_event: LastPowerEvent,
    pub restore_policy: RestorePolicy,
    pub intrusion: bool,
    pub is_front_panel_locked: bool,
    pub drive_fault: bool,
    pub fan_fault: bool,
    /// The identify light is on; `None` where the controller does not say.
    pub is_identified: Option<bool>,
}

/// What the machine does when its power comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestorePolicy {
    StaysOff,
    AsBefore,
    PowersUp,
    #[default]
    Unknown,
}

impl RestorePolicy {
    /// Words as `ipmitool chassis status` prints them.
    pub fn word(self) -> &'static str {
        match self {
            RestorePolicy::StaysOff => "always-off",
            RestorePolicy::AsBefore => "previous",
            RestorePolicy::PowersUp => "always-on",
            RestorePolicy::Unknown => "unknown",
        }
    }
}

/// Why the power last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastPowerEvent {
    pub ac_failed: bool,
    pub overload: bool,
    pub interlock: bool,
    pub fault: bool,
    pub on_by_command: bool,
}

impl LastPowerEvent {
    /// Words as `ipmitool chassis status` prints them.
    pub fn words(self) -> Vec<&'static str> {
        [
            (self.ac_failed, "ac-failed"),
            (self.overload, "overload"),
            (self.interlock, "interlock"),
            (self.fault, "fault"),
            (self.on_by_command, "command"),
        ]
        .into_iter()
        .filter_map(|(is_set, word)| is_set.then_some(word))
        .collect()
    }
}

impl Command for GetChassisStatus {
    type Answer = ChassisStatus;
    const NAME: &'static str = "Get Chassis Status";
    const NETFN: u8 = netfn::CHASSIS;
    const COMMAND: u8 = chassis::STATUS;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<ChassisStatus> {
        let [power, last, misc] = Cursor::new(data).array()?;
        let bit = |byte: u8, n: u8| byte >> n & 1 != 0;
        Some(ChassisStatus {
            is_on: bit(power, 0),
            power_overload: bit(power, 1),
            interlock: bit(power, 2),
            main_power_fault: bit(power, 3),
            power_control_fault: bit(power, 4),
            last_event: LastPowerEvent {
                ac_failed: bit(last, 0),
                overload: bit(last, 1),
                interlock: bit(last, 2),
                fault: bit(last, 3),
                on_by_command: bit(last, 4),
            },
            restore_policy: match power >> 5 & 3 {
                0 => RestorePolicy::StaysOff,
                1 => RestorePolicy::AsBefore,
                2 => RestorePolicy::PowersUp,
                _ => RestorePolicy::Unknown,
            },
            intrusion: bit(misc, 0),
            is_front_panel_locked: bit(misc, 1),
            drive_fault: bit(misc, 2),
            fan_fault: bit(misc, 3),
            // Bit 6: identify is supported; bits 5 and 4: off, for a time, for good.
            is_identified: bit(misc, 6).then_some(misc >> 4 & 3 != 0),
        })
    }
}

/// Set Session Privilege Level (section 22.18).
#[derive(Clone, Copy, Debug)]
pub struct SetSessionPrivilege {
    pub privilege: Privilege,
}

impl Command for SetSessionPrivilege {
    type Answer = ();
    const NAME: &'static str = "Set Session Privilege Level";
    const NETFN: u8 = netfn::APP;
    const COMMAND: u8 = app::SET_PRIVILEGE;

    fn data(&self) -> Vec<u8> {
        vec![self.privilege.code()]
    }

    fn parse(&self, _: &[u8]) -> Option<()> {
        Some(())
    }
}

/// Close Session (section 22.19).
#[derive(Clone, Copy, Debug)]
pub struct CloseSession {
    pub bmc_session: u32,
}

impl Command for CloseSession {
    type Answer = ();
    const NAME: &'static str = "Close Session";
    const NETFN: u8 = netfn::APP;
    const COMMAND: u8 = app::CLOSE_SESSION;

    fn data(&self) -> Vec<u8> {
        self.bmc_session.to_le_bytes().to_vec()
    }

    fn parse(&self, _: &[u8]) -> Option<()> {
        Some(())
    }
}

/// Get SDR Repository Info (section 33.9).
#[derive(Clone, Copy, Debug)]
pub struct GetSdrInfo;

/// Record count and the two timestamps that tell whether a cached copy is still right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SdrInfo {
    pub records: u16,
    pub last_addition: u32,
    pub last_erase: u32,
}

impl Command for GetSdrInfo {
    type Answer = SdrInfo;
    const NAME: &'static str = "Get SDR Repository Info";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SDR_INFO;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<SdrInfo> {
        let mut cursor = Cursor::new(data);
        let _version = cursor.u8()?;
        let records = cursor.u16()?;
        let _free = cursor.u16()?;
        Some(SdrInfo { records, last_addition: cursor.u32()?, last_erase: cursor.u32()? })
    }
}

/// Reserve SDR Repository (section 33.11).
#[derive(Clone, Copy, Debug)]
pub struct ReserveSdr;

impl Command for ReserveSdr {
    type Answer = u16;
    const NAME: &'static str = "Reserve SDR Repository";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SDR_RESERVE;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<u16> {
        Cursor::new(data).u16()
    }
}

/// Get SDR, part of a record (section 33.12).
#[derive(Clone, Copy, Debug)]
pub struct GetSdr {
    pub reservation: u16,
    pub record: u16,
    pub offset: u8,
    pub count: u8,
}

/// Some bytes of a record and the id of the record after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdrPart {
    pub next: u16,
    pub bytes: Vec<u8>,
}

impl Command for GetSdr {
    type Answer = SdrPart;
    const NAME: &'static str = "Get SDR";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SDR_GET;

    fn data(&self) -> Vec<u8> {
        let mut out = self.reservation.to_le_bytes().to_vec();
        out.extend(self.record.to_le_bytes());
        out.extend([self.offset, self.count]);
        out
    }

    fn parse(&self, data: &[u8]) -> Option<SdrPart> {
        let mut cursor = Cursor::new(data);
        Some(SdrPart { next: cursor.u16()?, bytes: cursor.rest().to_vec() })
    }
}

/// Get Sensor Reading (section 35.14).
#[derive(Clone, Copy, Debug)]
pub struct GetSensorReading {
    pub number: u8,
    pub lun: u8,
}

/// The raw answer; what the bits mean depends on the sensor's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawReading {
    pub raw: u8,
    pub is_scanning: bool,
    pub is_unavailable: bool,
    /// Threshold class: bits 0 to 5. Discrete: the fifteen state bits.
    pub states: u16,
}

impl Command for GetSensorReading {
    type Answer = RawReading;
    const NAME: &'static str = "Get Sensor Reading";
    const NETFN: u8 = netfn::SENSOR;
    const COMMAND: u8 = sensor::READING;

    fn lun(&self) -> u8 {
        self.lun
    }

    fn data(&self) -> Vec<u8> {
        vec![self.number]
    }

    fn parse(&self, data: &[u8]) -> Option<RawReading> {
        let mut cursor = Cursor::new(data);
        let [raw, flags] = cursor.array()?;
        // Both state bytes are optional: a sensor without states may leave them out.
        let low = cursor.u8().unwrap_or(0);
        let high = cursor.u8().unwrap_or(0) & 0x7F;
        Some(RawReading {
            raw,
            is_scanning: flags & 0x40 != 0,
            is_unavailable: flags & 0x20 != 0,
            states: u16::from_le_bytes([low, high]),
        })
    }
}

/// Get Sensor Reading Factors (section 35.5), for sensors whose conversion changes along the curve.
#[derive(Clone, Copy, Debug)]
pub struct GetReadingFactors {
    pub number: u8,
    pub lun: u8,
    pub raw: u8,
}

impl Command for GetReadingFactors {
    type Answer = SensorFactors;
    const NAME: &'static str = "Get Sensor Reading Factors";
    const NETFN: u8 = netfn::SENSOR;
    const COMMAND: u8 = sensor::READING_FACTORS;

    fn lun(&self) -> u8 {
        self.lun
    }

    fn data(&self) -> Vec<u8> {
        vec![self.number, self.raw]
    }

    fn parse(&self, data: &[u8]) -> Option<SensorFactors> {
        let mut cursor = Cursor::new(data);
        let _next_reading = cursor.u8()?;
        Some(SensorFactors::from_bytes(cursor.array()?))
    }
}

/// Get SEL Info (section 31.2).
#[derive(Clone, Copy, Debug)]
pub struct GetSelInfo;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelInfo {
    pub entries: u16,
    pub free_bytes: u16,
    pub last_addition: u32,
    pub last_erase: u32,
    pub has_overflowed: bool,
}

impl Command for GetSelInfo {
    type Answer = SelInfo;
    const NAME: &'static str = "Get SEL Info";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SEL_INFO;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<SelInfo> {
        let mut cursor = Cursor::new(data);
        let _version = cursor.u8()?;
        Some(SelInfo {
            entries: cursor.u16()?,
            free_bytes: cursor.u16()?,
            last_addition: cursor.u32()?,
            last_erase: cursor.u32()?,
            has_overflowed: cursor.u8()? & 0x80 != 0,
        })
    }
}

/// Get SEL Entry, whole (section 31.5). Reading a whole entry needs no reservation.
#[derive(Clone, Copy, Debug)]
pub struct GetSelEntry {
    pub record: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SelPart {
    pub next: u16,
    pub record: SelRecord,
}

impl Command for GetSelEntry {
    type Answer = SelPart;
    const NAME: &'static str = "Get SEL Entry";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SEL_GET;

    fn data(&self) -> Vec<u8> {
        const WHOLE_RECORD: u8 = 0xFF;
        let mut out = vec![0, 0];
        out.extend(self.record.to_le_bytes());
        out.extend([0, WHOLE_RECORD]);
        out
    }

    fn parse(&self, data: &[u8]) -> Option<SelPart> {
        let mut cursor = Cursor::new(data);
        Some(SelPart { next: cursor.u16()?, record: SelRecord::decode(cursor.rest())? })
    }
}
