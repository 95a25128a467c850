//! Names of the objects that people ask for, with their identifiers. No MIB files are read: numbers always work.

/// Name and identifier, sorted by name.
const NAMES: &[(&str, &[u32])] = &[
    ("cswRingRedundant", &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 1, 3]),
    ("cswSwitchState", &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 2, 1, 1, 6]),
    ("dot3adAggPortAttachedAggID", &[1, 2, 840, 10006, 300, 43, 1, 2, 1, 1, 13]),
    ("entPhySensorValue", &[1, 3, 6, 1, 2, 1, 99, 1, 1, 1, 4]),
    ("entPhysicalName", &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1, 7]),
    ("entStateOper", &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1, 3]),
    ("hrDeviceDescr", &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 3]),
    ("hrDeviceStatus", &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 5]),
    ("hrMemorySize", &[1, 3, 6, 1, 2, 1, 25, 2, 2]),
    ("hrProcessorLoad", &[1, 3, 6, 1, 2, 1, 25, 3, 3, 1, 2]),
    ("hrSWRunName", &[1, 3, 6, 1, 2, 1, 25, 4, 2, 1, 2]),
    ("hrStorageDescr", &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 3]),
    ("hrStorageSize", &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 5]),
    ("hrStorageUsed", &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 6]),
    ("hrSystemNumUsers", &[1, 3, 6, 1, 2, 1, 25, 1, 5]),
    ("hrSystemProcesses", &[1, 3, 6, 1, 2, 1, 25, 1, 6]),
    ("hrSystemUptime", &[1, 3, 6, 1, 2, 1, 25, 1, 1]),
    ("ifAdminStatus", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 7]),
    ("ifAlias", &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 18]),
    ("ifDescr", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 2]),
    ("ifHCInOctets", &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6]),
    ("ifHCOutOctets", &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10]),
    ("ifHighSpeed", &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 15]),
    ("ifInDiscards", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 13]),
    ("ifInErrors", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 14]),
    ("ifInOctets", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 10]),
    ("ifLastChange", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 9]),
    ("ifName", &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1]),
    ("ifNumber", &[1, 3, 6, 1, 2, 1, 2, 1]),
    ("ifOperStatus", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 8]),
    ("ifOutDiscards", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 19]),
    ("ifOutErrors", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 20]),
    ("ifOutOctets", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 16]),
    ("ifSpeed", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 5]),
    ("laLoad", &[1, 3, 6, 1, 4, 1, 2021, 10, 1, 3]),
    ("memAvailReal", &[1, 3, 6, 1, 4, 1, 2021, 4, 6]),
    ("memTotalReal", &[1, 3, 6, 1, 4, 1, 2021, 4, 5]),
    ("snmpEngineTime", &[1, 3, 6, 1, 6, 3, 10, 2, 1, 3]),
    ("sysContact", &[1, 3, 6, 1, 2, 1, 1, 4]),
    ("sysDescr", &[1, 3, 6, 1, 2, 1, 1, 1]),
    ("sysLocation", &[1, 3, 6, 1, 2, 1, 1, 6]),
    ("sysName", &[1, 3, 6, 1, 2, 1, 1, 5]),
    ("sysObjectID", &[1, 3, 6, 1, 2, 1, 1, 2]),
    ("sysServices", &[1, 3, 6, 1, 2, 1, 1, 7]),
    ("sysUpTime", &[1, 3, 6, 1, 2, 1, 1, 3]),
    ("upsAlarmsPresent", &[1, 3, 6, 1, 2, 1, 33, 1, 6, 1]),
    ("upsBatteryStatus", &[1, 3, 6, 1, 2, 1, 33, 1, 2, 1]),
    ("upsBatteryTemperature", &[1, 3, 6, 1, 2, 1, 33, 1, 2, 7]),
    ("upsEstimatedChargeRemaining", &[1, 3, 6, 1, 2, 1, 33, 1, 2, 4]),
    ("upsEstimatedMinutesRemaining", &[1, 3, 6, 1, 2, 1, 33, 1, 2, 3]),
    ("upsOutputPercentLoad", &[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 5]),
    ("upsOutputSource", &[1, 3, 6, 1, 2, 1, 33, 1, 4, 1]),
    ("upsSecondsOnBattery", &[1, 3, 6, 1, 2, 1, 33, 1, 2, 2]),
];

/// The identifier of a name, without an instance.
pub fn find(name: &str) -> Option<&'static [u32]> {
    let at = NAMES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    NAMES.get(at).map(|(_, arcs)| *arcs)
}

/// The name of an object, and the instance behind it.
pub fn name_of(arcs: &[u32]) -> Option<(&'static str, &[u32])> {
    NAMES.iter().find_map(|(name, known)| Some((*name, arcs.strip_prefix(*known)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_each_is_found() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NAMES.iter().all(|(name, arcs)| find(name) == Some(*arcs)));
    }
}
