//! Commands about the machine as a whole: why it restarted, how long it ran, its watchdog, the log's clock.

use super::command::{Command, app, chassis, storage};
use super::cursor::Cursor;
use super::netfn;
use super::sel_detail::watchdog_use;

/// Chassis Control (section 28.3).
#[derive(Clone, Copy, Debug)]
pub struct ChassisControl(pub Control);

/// What it is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Hard, without asking the operating system.
    PowerDown,
    PowerUp,
    /// Off for at least a second, then on.
    PowerCycle,
}

impl Control {
    pub const ALL: [Control; 3] = [Control::PowerDown, Control::PowerUp, Control::PowerCycle];

    pub const fn code(self) -> u8 {
        match self {
            Control::PowerDown => 0,
            Control::PowerUp => 1,
            Control::PowerCycle => 2,
        }
    }

    /// As `ipmitool chassis power` has it.
    pub const fn words(self) -> &'static str {
        match self {
            Control::PowerDown => "power down",
            Control::PowerUp => "power up",
            Control::PowerCycle => "power cycle",
        }
    }
}

impl Command for ChassisControl {
    type Answer = ();
    const NAME: &'static str = "Chassis Control";
    const NETFN: u8 = netfn::CHASSIS;
    const COMMAND: u8 = chassis::CONTROL;

    fn data(&self) -> Vec<u8> {
        vec![self.0.code()]
    }

    fn parse(&self, _: &[u8]) -> Option<()> {
        Some(())
    }
}

/// Get System Restart Cause (section 28.11).
#[derive(Clone, Copy, Debug)]
pub struct GetRestartCause;

impl Command for GetRestartCause {
    /// The code; [`super::sel_detail::restart_cause`] names it.
    type Answer = u8;
    const NAME: &'static str = "Get System Restart Cause";
    const NETFN: u8 = netfn::CHASSIS;
    const COMMAND: u8 = chassis::RESTART_CAUSE;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<u8> {
        Cursor::new(data).u8().map(|cause| cause & 0x0F)
    }
}

/// Get POH Counter (section 28.14).
#[derive(Clone, Copy, Debug)]
pub struct GetPowerOnHours;

impl Command for GetPowerOnHours {
    /// Minutes the machine was on in its life.
    type Answer = u64;
    const NAME: &'static str = "Get POH Counter";
    const NETFN: u8 = netfn::CHASSIS;
    const COMMAND: u8 = chassis::POWER_ON_HOURS;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<u64> {
        let mut cursor = Cursor::new(data);
        let minutes_a_count = cursor.u8()?;
        Some(u64::from(minutes_a_count) * u64::from(cursor.u32()?))
    }
}

/// Get Watchdog Timer (section 27.7).
#[derive(Clone, Copy, Debug)]
pub struct GetWatchdogTimer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogTimer {
    pub is_running: bool,
    /// Expirations are not logged.
    pub is_silent: bool,
    /// 1 BIOS FRB2, 2 BIOS/POST, 3 OS load, 4 SMS/OS, 5 OEM.
    pub used_for: u8,
    /// 0 none, 1 hard reset, 2 power down, 3 power cycle.
    pub action: u8,
    /// One bit for each use (as in `used_for`) whose timer has expired since its flag was cleared.
    pub expired: u8,
    pub initial_ms: u32,
    /// What is left of it; some controllers leave it out.
    pub present_ms: Option<u32>,
}

impl WatchdogTimer {
    pub fn use_word(&self) -> &'static str {
        watchdog_use(self.used_for).unwrap_or("reserved")
    }

    pub fn action_word(&self) -> &'static str {
        match self.action {
            0 => "none",
            1 => "hard reset",
            2 => "power down",
            3 => "power cycle",
            _ => "reserved",
        }
    }

    /// What timers have expired.
    pub fn expired_words(&self) -> Vec<&'static str> {
        (1..=5).filter(|bit| self.expired >> bit & 1 != 0).filter_map(watchdog_use).collect()
    }
}

impl Command for GetWatchdogTimer {
    type Answer = WatchdogTimer;
    const NAME: &'static str = "Get Watchdog Timer";
    const NETFN: u8 = netfn::APP;
    const COMMAND: u8 = app::WATCHDOG_TIMER;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<WatchdogTimer> {
        /// One count of both timers.
        const COUNT_MS: u32 = 100;
        let mut cursor = Cursor::new(data);
        let [timer, actions, _pre_timeout, expired] = cursor.array()?;
        Some(WatchdogTimer {
            is_running: timer & 0x40 != 0,
            is_silent: timer & 0x80 != 0,
            used_for: timer & 7,
            action: actions & 7,
            expired,
            initial_ms: u32::from(cursor.u16()?) * COUNT_MS,
            present_ms: cursor.u16().map(|counts| u32::from(counts) * COUNT_MS),
        })
    }
}

/// Get SEL Time (section 31.10): the clock that stamps the log.
#[derive(Clone, Copy, Debug)]
pub struct GetSelTime;

impl Command for GetSelTime {
    type Answer = u32;
    const NAME: &'static str = "Get SEL Time";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SEL_TIME;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<u32> {
        Cursor::new(data).u32()
    }
}

/// Get SEL Time UTC Offset (section 31.11a).
#[derive(Clone, Copy, Debug)]
pub struct GetSelUtcOffset;

impl Command for GetSelUtcOffset {
    /// Minutes that the log's clock is ahead of UTC; `None` where it was never set.
    type Answer = Option<i16>;
    const NAME: &'static str = "Get SEL Time UTC Offset";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::SEL_UTC_OFFSET;

    fn data(&self) -> Vec<u8> {
        Vec::new()
    }

    fn parse(&self, data: &[u8]) -> Option<Option<i16>> {
        /// A day: nothing further from UTC exists.
        const MINUTES_MAX: i16 = 1440;
        let minutes = Cursor::new(data).u16()? as i16;
        Some((-MINUTES_MAX..=MINUTES_MAX).contains(&minutes).then_some(minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipmi::command::{GetChassisStatus, RestorePolicy};

    #[test]
    fn answers_read_as_the_specification_says() {
        assert_eq!(GetRestartCause.parse(&[0x04, 0]), Some(4));
        assert_eq!(GetPowerOnHours.parse(&[60, 0x10, 0x27, 0, 0]), Some(600_000));
        let watchdog = GetWatchdogTimer.parse(&[0x44, 0x01, 0, 0x10, 0x58, 0x02, 0x2C, 0x01]).unwrap();
        assert!(watchdog.is_running && !watchdog.is_silent);
        assert_eq!((watchdog.use_word(), watchdog.action_word()), ("SMS/OS", "hard reset"));
        assert_eq!(watchdog.expired_words(), ["SMS/OS"]);
        assert_eq!((watchdog.initial_ms, watchdog.present_ms), (60_000, Some(30_000)));
        assert_eq!(GetSelTime.parse(&[1, 0, 0, 0x60]), Some(0x6000_0001));
        for (bytes, expected) in [([60, 0], Some(60)), ([0xC4, 0xFF], Some(-60)), ([0xFF, 0x7F], None)] {
            assert_eq!(GetSelUtcOffset.parse(&bytes), Some(expected));
        }
    }

    #[test]
    fn chassis_status_is_read_in_full() {
        let status = GetChassisStatus.parse(&[0x41, 0x10, 0x53, 0x00]).unwrap();
        assert!(status.is_on && status.intrusion && status.is_front_panel_locked && !status.drive_fault);
        assert_eq!((status.restore_policy, status.restore_policy.word()), (RestorePolicy::PowersUp, "always-on"));
        assert_eq!(status.is_identified, Some(true));
        assert_eq!(GetChassisStatus.parse(&[0x21, 0, 0]).unwrap().is_identified, None);
    }

    #[test]
    fn no_short_answer_panics() {
        let whole = [0xFF; 9];
        for length in 0..whole.len() {
            let bytes = &whole[..length];
            let _ = (GetRestartCause.parse(bytes), GetPowerOnHours.parse(bytes), GetWatchdogTimer.parse(bytes));
            let _ = (GetSelTime.parse(bytes), GetSelUtcOffset.parse(bytes));
        }
    }
}
