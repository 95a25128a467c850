//! Tables 42-2 and 42-3: what each event offset says, in two wordings, and how much it matters. Data only.
//!
//! The first wording is the specification's, shortened where it explains itself in brackets, as FreeIPMI prints it;
//! the second is that of `ipmitool`, empty where that program has no word for the offset. Both are kept, because
//! operators compare our readings with those programs and vendors' documents quote either.

use super::event::Severity;

const I: Severity = Severity::Info;
const W: Severity = Severity::Warning;
const M: Severity = Severity::Major;
const C: Severity = Severity::Critical;

/// One offset of one type.
pub(super) struct Meaning {
    pub offset: u8,
    pub text: &'static str,
    pub brief: &'static str,
    pub severity: Severity,
}

/// The offsets of one event/reading type (table 42-2) or of one sensor type (table 42-3).
pub(super) struct Group {
    pub code: u8,
    pub offsets: &'static [Meaning],
}

const fn m(offset: u8, text: &'static str, brief: &'static str, severity: Severity) -> Meaning {
    Meaning { offset, text, brief, severity }
}

/// Generic event/reading types (table 42-2), by type code.
#[rustfmt::skip]
pub(super) static GENERIC: &[Group] = &[
    Group { code: 0x01, offsets: &[
        m(0, "Lower Non-critical - going low", "Lower Non-critical going low ", W),
        m(1, "Lower Non-critical - going high", "Lower Non-critical going high", I),
        m(2, "Lower Critical - going low", "Lower Critical going low ", C),
        m(3, "Lower Critical - going high", "Lower Critical going high", I),
        m(4, "Lower Non-recoverable - going low", "Lower Non-recoverable going low ", C),
        m(5, "Lower Non-recoverable - going high", "Lower Non-recoverable going high", I),
        m(6, "Upper Non-critical - going low", "Upper Non-critical going low ", I),
        m(7, "Upper Non-critical - going high", "Upper Non-critical going high", W),
        m(8, "Upper Critical - going low", "Upper Critical going low ", I),
        m(9, "Upper Critical - going high", "Upper Critical going high", C),
        m(10, "Upper Non-recoverable - going low", "Upper Non-recoverable going low ", I),
        m(11, "Upper Non-recoverable - going high", "Upper Non-recoverable going high", C),
    ] },
    Group { code: 0x02, offsets: &[
        m(0, "Transition to Idle", "Transition to Idle", I),
        m(1, "Transition to Active", "Transition to Active", I),
        m(2, "Transition to Busy", "Transition to Busy", I),
    ] },
    Group { code: 0x03, offsets: &[
        m(0, "State Deasserted", "State Deasserted", I),
        m(1, "State Asserted", "State Asserted", I),
    ] },
    Group { code: 0x04, offsets: &[
        m(0, "Predictive Failure deasserted", "Predictive Failure Deasserted", I),
        m(1, "Predictive Failure asserted", "Predictive Failure Asserted", W),
    ] },
    Group { code: 0x05, offsets: &[
        m(0, "Limit Not Exceeded", "Limit Not Exceeded", I),
        m(1, "Limit Exceeded", "Limit Exceeded", W),
    ] },
    Group { code: 0x06, offsets: &[
        m(0, "Performance Met", "Performance Met", I),
        m(1, "Performance Lags", "Performance Lags", W),
    ] },
    Group { code: 0x07, offsets: &[
        m(0, "transition to OK", "Transition to OK", I),
        m(1, "transition to Non-Critical from OK", "Transition to Non-critical from OK", W),
        m(2, "transition to Critical from less severe", "Transition to Critical from less severe", C),
        m(3, "transition to Non-recoverable from less severe", "Transition to Non-recoverable from less severe", C),
        m(4, "transition to Non-Critical from more severe", "Transition to Non-critical from more severe", W),
        m(5, "transition to Critical from Non-recoverable", "Transition to Critical from Non-recoverable", C),
        m(6, "transition to Non-recoverable", "Transition to Non-recoverable", C),
        m(7, "Monitor", "Monitor", I),
        m(8, "Informational", "Informational", I),
    ] },
    Group { code: 0x08, offsets: &[
        m(0, "Device Removed/Device Absent", "Device Absent", I),
        m(1, "Device Inserted/Device Present", "Device Present", I),
    ] },
    Group { code: 0x09, offsets: &[
        m(0, "Device Disabled", "Device Disabled", I),
        m(1, "Device Enabled", "Device Enabled", I),
    ] },
    Group { code: 0x0A, offsets: &[
        m(0, "transition to Running", "Transition to Running", I),
        m(1, "transition to In Test", "Transition to In Test", I),
        m(2, "transition to Power Off", "Transition to Power Off", I),
        m(3, "transition to On Line", "Transition to On Line", I),
        m(4, "transition to Off Line", "Transition to Off Line", W),
        m(5, "transition to Off Duty", "Transition to Off Duty", I),
        m(6, "transition to Degraded", "Transition to Degraded", W),
        m(7, "transition to Power Save", "Transition to Power Save", I),
        m(8, "Install Error", "Install Error", W),
    ] },
    Group { code: 0x0B, offsets: &[
        m(0, "Fully Redundant", "Fully Redundant", I),
        m(1, "Redundancy Lost", "Redundancy Lost", M),
        m(2, "Redundancy Degraded", "Redundancy Degraded", M),
        m(3, "Non-redundant:Sufficient Resources from Redundant", "Non-Redundant: Sufficient from Redundant", M),
        m(4, "Non-redundant:Sufficient Resources from Insufficient Resources", "Non-Redundant: Sufficient from Insufficient", M),
        m(5, "Non-redundant:Insufficient Resources", "Non-Redundant: Insufficient Resources", C),
        m(6, "Redundancy Degraded from Fully Redundant", "Redundancy Degraded from Fully Redundant", M),
        m(7, "Redundancy Degraded from Non-redundant", "Redundancy Degraded from Non-Redundant", M),
    ] },
    Group { code: 0x0C, offsets: &[
        m(0, "D0 Power State", "D0 Power State", I),
        m(1, "D1 Power State", "D1 Power State", I),
        m(2, "D2 Power State", "D2 Power State", I),
        m(3, "D3 Power State", "D3 Power State", I),
    ] },
];

/// Sensor-specific offsets (table 42-3), by sensor type. Types that are not here have generic states only.
#[rustfmt::skip]
pub(super) static SPECIFIC: &[Group] = &[
    Group { code: 0x05, offsets: &[
        m(0, "General Chassis Intrusion", "General Chassis intrusion", W),
        m(1, "Drive Bay intrusion", "Drive Bay intrusion", W),
        m(2, "I/O Card area intrusion", "I/O Card area intrusion", W),
        m(3, "Processor area intrusion", "Processor area intrusion", W),
        m(4, "LAN Leash Lost", "System unplugged from LAN", W),
        m(5, "Unauthorized dock", "Unauthorized dock", W),
        m(6, "FAN area intrusion", "FAN area intrusion", W),
    ] },
    Group { code: 0x06, offsets: &[
        m(0, "Secure Mode Violation attempt", "Front Panel Lockout violation attempted", W),
        m(1, "Pre-boot Password Violation - user password", "Pre-boot password violation - user password", W),
        m(2, "Pre-boot Password Violation - setup password", "Pre-boot password violation - setup password", W),
        m(3, "Pre-boot Password Violation - network boot password", "Pre-boot password violation - network boot password", W),
        m(4, "Other pre-boot Password Violation", "Other pre-boot password violation", W),
        m(5, "Out-of-band Access Password Violation", "Out-of-band access password violation", W),
    ] },
    Group { code: 0x07, offsets: &[
        m(0, "IERR", "IERR", C),
        m(1, "Thermal Trip", "Thermal Trip", C),
        m(2, "FRB1/BIST failure", "FRB1/BIST failure", C),
        m(3, "FRB2/Hang in POST failure", "FRB2/Hang in POST failure", C),
        m(4, "FRB3/Processor Startup/Initialization failure", "FRB3/Processor startup/init failure", C),
        m(5, "Configuration Error", "Configuration Error", W),
        m(6, "SM BIOS `Uncorrectable CPU-complex Error'", "SM BIOS Uncorrectable CPU-complex Error", C),
        m(7, "Processor Presence detected", "Presence detected", I),
        m(8, "Processor disabled", "Disabled", W),
        m(9, "Terminator Presence Detected", "Terminator presence detected", I),
        m(10, "Processor Automatically Throttled", "Throttled", W),
        m(11, "Machine Check Exception", "Uncorrectable machine check exception", C),
        m(12, "Correctable Machine Check Error", "Correctable machine check error", W),
    ] },
    Group { code: 0x08, offsets: &[
        m(0, "Presence detected", "Presence detected", I),
        m(1, "Power Supply Failure detected", "Failure detected", M),
        m(2, "Predictive Failure", "Predictive failure", W),
        m(3, "Power Supply input lost (AC/DC)", "Power Supply AC lost", M),
        m(4, "Power Supply input lost or out-of-range", "AC lost or out-of-range", M),
        m(5, "Power Supply input out-of-range, but present", "AC out-of-range, but present", W),
        m(6, "Configuration error", "Config Error", W),
        m(7, "Power Supply Inactive", "Power Supply Inactive", I),
    ] },
    Group { code: 0x09, offsets: &[
        m(0, "Power Off/Power Down", "Power off/down", M),
        m(1, "Power Cycle", "Power cycle", W),
        m(2, "240VA Power Down", "240VA power down", C),
        m(3, "Interlock Power Down", "Interlock power down", C),
        m(4, "AC lost/Power input lost", "AC lost", C),
        m(5, "Soft Power Control Failure", "Soft-power control failure", C),
        m(6, "Power Unit Failure detected", "Failure detected", C),
        m(7, "Predictive Failure", "Predictive failure", W),
    ] },
    Group { code: 0x0C, offsets: &[
        m(0, "Correctable memory error", "Correctable ECC", W),
        m(1, "Uncorrectable memory error", "Uncorrectable ECC", C),
        m(2, "Parity", "Parity", C),
        m(3, "Memory Scrub Failed", "Memory Scrub Failed", W),
        m(4, "Memory Device Disabled", "Memory Device Disabled", W),
        m(5, "Correctable memory error logging limit reached", "Correctable ECC logging limit reached", M),
        m(6, "Presence detected", "Presence Detected", I),
        m(7, "Configuration error", "Configuration Error", W),
        m(8, "Spare", "Spare", I),
        m(9, "Memory Automatically Throttled", "Throttled", W),
        m(10, "Critical Overtemperature", "Critical Overtemperature", C),
    ] },
    Group { code: 0x0D, offsets: &[
        m(0, "Drive Presence", "Drive Present", I),
        m(1, "Drive Fault", "Drive Fault", M),
        m(2, "Predictive Failure", "Predictive Failure", W),
        m(3, "Hot Spare", "Hot Spare", I),
        m(4, "Consistency Check / Parity Check in progress", "Parity Check In Progress", I),
        m(5, "In Critical Array", "In Critical Array", M),
        m(6, "In Failed Array", "In Failed Array", C),
        m(7, "Rebuild/Remap in progress", "Rebuild In Progress", W),
        m(8, "Rebuild/Remap Aborted", "Rebuild Aborted", M),
    ] },
    Group { code: 0x0F, offsets: &[
        m(0, "System Firmware Error", "Unknown Error", C),
        m(1, "System Firmware Hang", "Unknown Hang", C),
        m(2, "System Firmware Progress", "Unknown Progress", I),
    ] },
    Group { code: 0x10, offsets: &[
        m(0, "Correctable Memory Error Logging Disabled", "Correctable memory error logging disabled", W),
        m(1, "Event Type Logging Disabled", "Event logging disabled", W),
        m(2, "Log Area Reset/Cleared", "Log area reset/cleared", I),
        m(3, "All Event Logging Disabled", "All event logging disabled", W),
        m(4, "SEL Full", "Log full", W),
        m(5, "SEL Almost Full", "Log almost full", W),
        m(6, "Correctable Machine Check Error Logging Disabled", "", W),
    ] },
    Group { code: 0x11, offsets: &[
        m(0, "BIOS Watchdog Reset", "BIOS Reset", C),
        m(1, "OS Watchdog Reset", "OS Reset", C),
        m(2, "OS Watchdog Shut Down", "OS Shut Down", C),
        m(3, "OS Watchdog Power Down", "OS Power Down", C),
        m(4, "OS Watchdog Power Cycle", "OS Power Cycle", C),
        m(5, "OS Watchdog NMI/Diagnostic Interrupt", "OS NMI/Diag Interrupt", W),
        m(6, "OS Watchdog Expired, status only", "OS Expired", C),
        m(7, "OS Watchdog pre-timeout Interrupt, non-NMI", "OS pre-timeout Interrupt", W),
    ] },
    Group { code: 0x12, offsets: &[
        m(0, "System Reconfigured", "System Reconfigured", I),
        m(1, "OEM System Boot Event", "OEM System boot event", I),
        m(2, "Undetermined system hardware failure", "Undetermined system hardware failure", C),
        m(3, "Entry added to Auxiliary Log", "Entry added to auxiliary log", I),
        m(4, "PEF Action", "PEF Action", I),
        m(5, "Timestamp Clock Synch", "Timestamp Clock Sync", I),
    ] },
    Group { code: 0x13, offsets: &[
        m(0, "Front Panel NMI/Diagnostic Interrupt", "NMI/Diag Interrupt", W),
        m(1, "Bus Timeout", "Bus Timeout", W),
        m(2, "I/O channel check NMI", "I/O Channel check NMI", W),
        m(3, "Software NMI", "Software NMI", W),
        m(4, "PCI PERR", "PCI PERR", C),
        m(5, "PCI SERR", "PCI SERR", C),
        m(6, "EISA Fail Safe Timeout", "EISA failsafe timeout", W),
        m(7, "Bus Correctable Error", "Bus Correctable error", W),
        m(8, "Bus Uncorrectable Error", "Bus Uncorrectable error", C),
        m(9, "Fatal NMI", "Fatal NMI", C),
        m(10, "Bus Fatal Error", "Bus Fatal Error", C),
        m(11, "Bus Degraded", "Bus Degraded", W),
    ] },
    Group { code: 0x14, offsets: &[
        m(0, "Power Button pressed", "Power Button pressed", I),
        m(1, "Sleep Button pressed", "Sleep Button pressed", I),
        m(2, "Reset Button pressed", "Reset Button pressed", I),
        m(3, "FRU latch open", "FRU Latch", W),
        m(4, "FRU service request button", "FRU Service", I),
    ] },
    Group { code: 0x19, offsets: &[
        m(0, "Soft Power Control Failure", "Soft Power Control Failure", C),
        m(1, "Thermal Trip", "Thermal Trip", C),
    ] },
    Group { code: 0x1B, offsets: &[
        m(0, "Cable/Interconnect is connected", "Connected", I),
        m(1, "Configuration Error - Incorrect cable connected", "Config Error", W),
    ] },
    Group { code: 0x1D, offsets: &[
        m(0, "Initiated by power up", "Initiated by power up", I),
        m(1, "Initiated by hard reset", "Initiated by hard reset", I),
        m(2, "Initiated by warm reset", "Initiated by warm reset", I),
        m(3, "User requested PXE boot", "User requested PXE boot", I),
        m(4, "Automatic boot to diagnostic", "Automatic boot to diagnostic", I),
        m(5, "OS / run-time software initiated hard reset", "OS initiated hard reset", I),
        m(6, "OS / run-time software initiated warm reset", "OS initiated warm reset", I),
        m(7, "System Restart", "System Restart", I),
    ] },
    Group { code: 0x1E, offsets: &[
        m(0, "No bootable media", "No bootable media", C),
        m(1, "Non-bootable diskette left in drive", "Non-bootable disk in drive", C),
        m(2, "PXE Server not found", "PXE server not found", C),
        m(3, "Invalid boot sector", "Invalid boot sector", C),
        m(4, "Timeout waiting for user selection of boot source", "Timeout waiting for selection", C),
    ] },
    Group { code: 0x1F, offsets: &[
        m(0, "A: boot completed", "A: boot completed", I),
        m(1, "C: boot completed", "C: boot completed", I),
        m(2, "PXE boot completed", "PXE boot completed", I),
        m(3, "Diagnostic boot completed", "Diagnostic boot completed", I),
        m(4, "CD-ROM boot completed", "CD-ROM boot completed", I),
        m(5, "ROM boot completed", "ROM boot completed", I),
        m(6, "boot completed - boot device not specified", "boot completed - device not specified", I),
        m(7, "Base OS/Hypervisor Installation started", "Installation started", I),
        m(8, "Base OS/Hypervisor Installation completed", "Installation completed", I),
        m(9, "Base OS/Hypervisor Installation aborted", "Installation aborted", W),
        m(10, "Base OS/Hypervisor Installation failed", "Installation failed", W),
    ] },
    Group { code: 0x20, offsets: &[
        m(0, "Critical stop during OS load", "Error during system startup", C),
        m(1, "Run-time Critical Stop", "Run-time critical stop", C),
        m(2, "OS Graceful Stop", "OS graceful stop", I),
        m(3, "OS Graceful Shutdown", "OS graceful shutdown", I),
        m(4, "Soft Shutdown initiated by PEF", "PEF initiated soft shutdown", W),
        m(5, "Agent Not Responding", "Agent not responding", W),
    ] },
    Group { code: 0x21, offsets: &[
        m(0, "Fault Status asserted", "Fault Status", W),
        m(1, "Identify Status asserted", "Identify Status", I),
        m(2, "Slot/Connector Device installed/attached", "Device Installed", I),
        m(3, "Slot/Connector Ready for Device Installation", "Ready for Device Installation", I),
        m(4, "Slot/Connector Ready for Device Removal", "Ready for Device Removal", I),
        m(5, "Slot Power is Off", "Slot Power is Off", I),
        m(6, "Slot/Connector Device Removal Request", "Device Removal Request", I),
        m(7, "Interlock asserted", "Interlock", W),
        m(8, "Slot is Disabled", "Slot is Disabled", I),
        m(9, "Slot holds spare device", "Spare Device", I),
    ] },
    Group { code: 0x22, offsets: &[
        m(0, "S0/G0", "S0/G0: working", I),
        m(1, "S1", "S1: sleeping with system hw & processor context maintained", I),
        m(2, "S2", "S2: sleeping, processor context lost", I),
        m(3, "S3", "S3: sleeping, processor & hw context lost, memory retained", I),
        m(4, "S4", "S4: non-volatile sleep/suspend-to-disk", I),
        m(5, "S5/G2", "S5/G2: soft-off", I),
        m(6, "S4/S5 soft-off", "S4/S5: soft-off", I),
        m(7, "G3/Mechanical Off", "G3: mechanical off", I),
        m(8, "Sleeping in an S1, S2, or S3 states", "Sleeping in S1/S2/S3 state", I),
        m(9, "G1 sleeping", "G1: sleeping", I),
        m(10, "S5 entered by override", "S5: entered by override", I),
        m(11, "Legacy ON state", "Legacy ON state", I),
        m(12, "Legacy OFF state", "Legacy OFF state", I),
        m(14, "Unknown", "Unknown", I),
    ] },
    Group { code: 0x23, offsets: &[
        m(0, "Timer expired, status only", "Timer expired", C),
        m(1, "Hard Reset", "Hard reset", C),
        m(2, "Power Down", "Power down", C),
        m(3, "Power Cycle", "Power cycle", C),
        m(8, "Timer interrupt", "Timer interrupt", W),
    ] },
    Group { code: 0x24, offsets: &[
        m(0, "platform generated page", "Platform generated page", I),
        m(1, "platform generated LAN alert", "Platform generated LAN alert", I),
        m(2, "Platform Event Trap generated", "Platform Event Trap generated", I),
        m(3, "platform generated SNMP trap, OEM format", "Platform generated SNMP trap, OEM format", I),
    ] },
    Group { code: 0x25, offsets: &[
        m(0, "Entity Present", "Present", I),
        m(1, "Entity Absent", "Absent", I),
        m(2, "Entity Disabled", "Disabled", I),
    ] },
    Group { code: 0x27, offsets: &[
        m(0, "LAN Heartbeat Lost", "Heartbeat Lost", W),
        m(1, "LAN Heartbeat", "Heartbeat", I),
    ] },
    Group { code: 0x28, offsets: &[
        m(0, "sensor access degraded or unavailable", "Sensor access degraded or unavailable", W),
        m(1, "controller access degraded or unavailable", "Controller access degraded or unavailable", W),
        m(2, "management controller off-line", "Management controller off-line", W),
        m(3, "management controller unavailable", "Management controller unavailable", W),
        m(4, "sensor failure", "Sensor failure", W),
        m(5, "FRU failure", "FRU failure", W),
    ] },
    Group { code: 0x29, offsets: &[
        m(0, "battery low", "Low", W),
        m(1, "battery failed", "Failed", W),
        m(2, "battery presence detected", "Presence Detected", I),
    ] },
    Group { code: 0x2A, offsets: &[
        m(0, "Session Activated", "", I),
        m(1, "Session Deactivated", "", I),
        m(2, "Invalid Username or Password", "", W),
        m(3, "Invalid Password Disable", "", W),
    ] },
    Group { code: 0x2B, offsets: &[
        m(0, "Hardware change detected with associated Entity", "Hardware change detected", I),
        m(1, "Firmware or software change detected with associated Entity", "", I),
        m(2, "Hardware incompatibility detected with associated Entity", "Hardware incompatibility detected", W),
        m(3, "Firmware or software incompatibility detected with associated Entity", "Firmware or software incompatibility detected", W),
        m(4, "Entity is of an invalid or unsupported hardware version", "Invalid or unsupported hardware version", W),
        m(5, "Entity contains an invalid or unsupported firmware or software version", "Invalid or unsupported firmware or software version", W),
        m(6, "Hardware Change detected with associated Entity was successful", "Hardware change success", I),
        m(7, "Software or F/W Change detected with associated Entity was successful", "", I),
    ] },
    Group { code: 0x2C, offsets: &[
        m(0, "FRU Not Installed", "Not Installed", I),
        m(1, "FRU Inactive", "Inactive", I),
        m(2, "FRU Activation Requested", "Activation Requested", I),
        m(3, "FRU Activation In Progress", "Activation in Progress", I),
        m(4, "FRU Active", "Active", I),
        m(5, "FRU Deactivation Requested", "Deactivation Requested", I),
        m(6, "FRU Deactivation In Progress", "Deactivation in Progress", I),
        m(7, "FRU Communication Lost", "Communication lost", W),
    ] },
];

/// Names of the sensor types (table 42-3), by code from 00h.
#[rustfmt::skip]
pub(super) static SENSOR_TYPES: &[&str] = &[
    "Reserved", "Temperature", "Voltage", "Current", "Fan", "Physical Security",
    "Platform Security Violation Attempt", "Processor", "Power Supply", "Power Unit", "Cooling Device",
    "Other Units Based Sensor", "Memory", "Drive Slot", "POST Memory Resize", "System Firmware Progress",
    "Event Logging Disabled", "Watchdog 1", "System Event", "Critical Interrupt", "Button/Switch", "Module/Board",
    "Microcontroller/Coprocessor", "Add In Card", "Chassis", "Chip Set", "Other Fru", "Cable/Interconnect",
    "Terminator", "System Boot Initiated", "Boot Error", "OS Boot", "OS Critical Stop", "Slot/Connector",
    "System ACPI Power State", "Watchdog 2", "Platform Alert", "Entity Presence", "Monitor ASIC/IC", "LAN",
    "Management Subsystem Health", "Battery", "Session Audit", "Version Change", "FRU State",
];
