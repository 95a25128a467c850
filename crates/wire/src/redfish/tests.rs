//! Resources as controllers of several makes shape them, shortened by hand after the schemas and public mock-ups, and values
//! that no schema allows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::event::Event;
use super::log::{Entry, Journal};
use super::power::{self, Redundancy, Supply};
use super::service::{EventService, ServiceRoot, Subscription};
use super::storage::{Controller, Drive, DriveState, Pool, Storage, Volume};
use super::system::{Chassis, Manager, Power, System};
use super::{Health, Node, Status, Unreadable, Vendor, error_text, members, next_page, parse, path_of, thermal};

fn root(value: Value) -> ServiceRoot {
    ServiceRoot::read(&value).expect("a service root")
}

#[test]
fn a_service_root_says_where_everything_is() {
    let idrac = root(json!({
        "@odata.type": "#ServiceRoot.v1_6_0.ServiceRoot", "RedfishVersion": "1.11.0", "Product": "Integrated Dell Remote Access Controller",
        "Vendor": "Dell", "Oem": {"Dell": {}}, "Systems": {"@odata.id": "/redfish/v1/Systems"},
        "Chassis": {"@odata.id": "/redfish/v1/Chassis"}, "Managers": null,
        "Links": {"Sessions": {"@odata.id": "/redfish/v1/Sessions"}},
        "ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": true, "Levels": true, "ExpandAll": true}},
    }));
    assert_eq!(idrac.vendor, Vendor::Dell);
    assert_eq!(idrac.expand, Some("$expand=.($levels=1)"));
    assert_eq!(idrac.sessions.as_deref(), Some("/redfish/v1/Sessions"));
    assert_eq!((idrac.managers, idrac.event_service), (None, None));
    let plain = root(json!({"RedfishVersion": "1.0.0", "Systems": {"@odata.id": "/redfish/v1/Systems"},
        "SessionService": {"@odata.id": "/redfish/v1/SessionService/"}}));
    assert_eq!((plain.expand, plain.vendor), (None, Vendor::Other));
    assert_eq!(plain.sessions.as_deref(), Some("/redfish/v1/SessionService/Sessions"));
    for (oem, vendor) in
        [("Hpe", Vendor::Hpe), ("Hp", Vendor::Hpe), ("Lenovo", Vendor::Lenovo), ("Supermicro", Vendor::Supermicro)]
    {
        let root =
            root(json!({"RedfishVersion": "1.4.0", "Oem": {oem: {}}, "Chassis": {"@odata.id": "/redfish/v1/Chassis"}}));
        assert_eq!(root.vendor, vendor, "{oem}");
    }
}

#[test]
fn another_json_document_is_no_service_root() {
    for other in
        [json!({}), json!({"version": "1"}), json!({"RedfishVersion": "1.0.0"}), json!({"Systems": {"@odata.id": "x"}})]
    {
        assert_eq!(ServiceRoot::read(&other), None, "{other}");
    }
}

#[test]
fn links_never_lead_out_of_the_service() {
    for (text, path) in [
        ("/redfish/v1/Systems/1", Some("/redfish/v1/Systems/1")),
        ("/redfish/v1/Chassis/1/Power#/PowerSupplies/0", Some("/redfish/v1/Chassis/1/Power")),
        ("https://10.0.0.9/redfish/v1/SessionService/Sessions/7", Some("/redfish/v1/SessionService/Sessions/7")),
        ("//evil.example/redfish/v1", None),
        ("/admin", None),
        ("/redfish/../etc/passwd", None),
        ("/redfish/v1/a b", None),
        ("/redfish/v1/a\r\nHost: x", None),
        ("", None),
    ] {
        assert_eq!(path_of(text).as_deref(), path, "{text:?}");
    }
    assert_eq!(path_of(&format!("/redfish/{}", "x".repeat(5000))), None);
}

#[test]
fn what_is_no_resource_says_why() {
    assert_eq!(parse(b" \r\n"), Err(Unreadable::Empty));
    assert_eq!(parse(b"[1]"), Err(Unreadable::NoObject));
    assert!(matches!(parse(b"<html>404</html>"), Err(Unreadable::Json(_))));
    assert!(matches!(parse(&b"{\"a\":".repeat(5000)), Err(Unreadable::Json(_))), "depth is bounded");
    assert!(parse(b"\xef\xbb\xbf{}").is_ok(), "a byte-order mark is passed over");
    let refusal = br#"{"error":{"code":"x","message":"See ExtendedInfo","@Message.ExtendedInfo":[{"Message":"no session left"}]}}"#;
    assert_eq!(error_text(refusal).as_deref(), Some("no session left"));
}

fn supply(value: &Value) -> Supply {
    Supply::read(Node::of(value))
}

/// Offsets of IPMI table 42-3.
#[test]
fn power_supplies_speak_as_ipmi_does() {
    for (value, offsets) in [
        (json!({"Status": {"State": "Enabled", "Health": "OK"}, "LineInputStatus": "Normal"}), vec![0]),
        (json!({"Status": {"State": "Enabled", "Health": "Critical"}}), vec![0, 1]),
        (json!({"Status": {"State": "Enabled", "Health": "Warning"}, "LineInputStatus": "Normal"}), vec![0, 2]),
        (json!({"Status": {"State": "UnavailableOffline"}}), vec![0, 1]),
        (json!({"Status": {"State": "Enabled", "Health": "Critical"}, "LineInputStatus": "LossOfInput"}), vec![0, 3]),
        (json!({"Status": {"Health": "OK"}, "LineInputStatus": "OutOfRange"}), vec![0, 5]),
        // iDRAC and XCC without LineInputStatus.
        (json!({"Status": {"Health": "Critical"}, "LineInputVoltage": 0}), vec![0, 3]),
        // iLO.
        (
            json!({"Status": {"Health": "Warning"}, "Oem": {"Hpe": {"PowerSupplyStatus": {"State": "NoPower"}}}}),
            vec![0, 3],
        ),
        (json!({"Status": "OK"}), vec![0]),
        (json!({"Status": null, "LineInputStatus": 7}), vec![]),
        (json!({}), vec![]),
    ] {
        assert_eq!(supply(&value).offsets(), offsets, "{value}");
    }
}

fn power_resource(second: &Value) -> Value {
    json!({
        "PowerSupplies": [
            {"@odata.id": "/redfish/v1/Chassis/1/Power#/PowerSupplies/0", "Name": "PSU", "MemberId": "0", "Status": {"State": "Enabled", "Health": "OK"}, "PowerOutputWatts": "180"},
            second,
            {"Name": "PSU", "Status": {"State": "Absent"}},
        ],
        "Redundancy": [{"Name": "PSU Redundancy", "MinNumNeeded": 1, "MaxNumSupported": 2, "Mode": "N+m",
            "RedundancySet": [{"@odata.id": "/redfish/v1/Chassis/1/Power#/PowerSupplies/0"}, {"@odata.id": "/redfish/v1/Chassis/1/Power#/PowerSupplies/1"}],
            "Status": {"State": "Enabled", "Health": "OK"}}],
        "PowerControl": [{"PowerConsumedWatts": 210}],
    })
}

#[test]
fn redundancy_is_counted_as_n_of_m_even_if_the_controller_calls_it_well() {
    let id = "/redfish/v1/Chassis/1/Power#/PowerSupplies/1";
    for (status, left, redundancy) in [
        (json!({"State": "Enabled", "Health": "OK"}), 2, Redundancy::Full),
        (json!({"State": "Enabled", "Health": "Critical"}), 1, Redundancy::Lost),
    ] {
        let value = power_resource(&json!({"@odata.id": id, "Name": "PSU", "Status": status}));
        let found = power::supplies(&value);
        assert_eq!(
            found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["PSU 1", "PSU 2", "PSU 3"],
            "told apart"
        );
        assert_eq!(found.first().and_then(|one| one.output_watts), Some(180.0), "a number as text is one");
        let sets =
            power::redundancy_sets(&value, &|id| found.iter().find(|one| one.id == id).and_then(Supply::is_good));
        let set = sets.first().expect("a set");
        assert_eq!((set.left, set.of, set.redundancy()), (Some(left), Some(2), Some(redundancy)));
        assert_eq!(power::consumed_watts(&value), Some(210.0));
    }
}

#[test]
fn redundancy_that_nobody_wants_or_knows_is_no_loss() {
    let sets = |value: Value| power::redundancy_sets(&value, &|_| None);
    let off = sets(json!({"Redundancy": [{"RedundancyEnabled": false, "Status": {"Health": "Critical"}}]}));
    assert_eq!(off.first().and_then(power::RedundancySet::redundancy), None);
    let silent = sets(json!({"PowerSupplyRedundancy": [{"RedundancyType": "NPlusM", "MinNeededInGroup": "1"}]}));
    assert_eq!(silent.first().and_then(power::RedundancySet::redundancy), None);
    let told = sets(json!({"FanRedundancy": [{"RedundancyType": "NPlusM", "Status": {"Health": "Critical"}}]}));
    assert_eq!(told.first().and_then(power::RedundancySet::redundancy), Some(Redundancy::Lost));
    // One supply in two bays, as it was bought: nothing is lost, and nobody is told of redundancy.
    let half =
        json!({"Redundancy": [{"MinNumNeeded": 1, "RedundancySet": [{"@odata.id": "a"}, {"@odata.id": "empty"}]}]});
    let half = power::redundancy_sets(&half, &|id| (id == "a").then_some(true));
    assert_eq!(half.first().map(|set| (set.left, set.of, set.redundancy())), Some((Some(1), Some(1), None)));
    let alien = json!({"Redundancy": [{"MinNumNeeded": 3, "RedundancySet": [{"@odata.id": "a"}, {"@odata.id": "b"}]}]});
    let alien = power::redundancy_sets(&alien, &|id| Some(id == "a"));
    assert_eq!(alien.first().and_then(power::RedundancySet::redundancy), Some(Redundancy::Insufficient));
}

#[test]
fn readings_are_judged_by_what_the_controller_says_and_its_own_limits() {
    let value = json!({
        "Fans": [
            {"FanName": "Fan1", "Reading": 4500, "ReadingUnits": "RPM", "LowerThresholdCritical": 600, "Status": {"State": "Enabled", "Health": "OK"}},
            {"Name": "Fan2", "Reading": 0, "ReadingUnits": "RPM", "LowerThresholdCritical": 600, "Status": {"State": "Enabled"}},
            {"Name": "Fan3", "Reading": null, "Status": {"State": "Absent"}},
            {"Name": "Fan4", "CurrentReading": 32, "Units": "Percent", "Status": {"Health": "Critical"}},
            null, 7, "x",
        ],
        "Temperatures": [
            {"Name": "Inlet", "ReadingCelsius": 22, "UpperThresholdNonCritical": 42, "UpperThresholdCritical": 47, "Status": {"Health": "OK"}},
            {"Name": "CPU1", "ReadingCelsius": "96", "UpperThresholdCritical": 95},
            {"Name": "CPU2", "ReadingCelsius": 96, "UpperThresholdCritical": 0, "LowerThresholdCritical": 0, "Status": {"Health": "OK"}},
            {"Name": "DIMM", "ReadingCelsius": 90, "Status": {"State": "Disabled", "Health": "Critical"}},
        ],
    });
    let seen: Vec<(String, Option<Health>, String)> =
        thermal::of_thermal(&value).into_iter().map(|one| (one.name.clone(), one.health(), one.unit.clone())).collect();
    let expected = [
        ("Fan1", Some(Health::Ok), "RPM"),
        ("Fan2", Some(Health::Critical), "RPM"),
        ("Fan4", Some(Health::Critical), "%"),
        ("4", None, "%"),
        ("5", None, "%"),
        ("Inlet", Some(Health::Ok), "°C"),
        ("CPU1", Some(Health::Critical), "°C"),
        ("CPU2", Some(Health::Ok), "°C"),
        ("DIMM", None, "°C"),
    ];
    let seen: Vec<(&str, Option<Health>, &str)> =
        seen.iter().map(|(name, health, unit)| (name.as_str(), *health, unit.as_str())).collect();
    for one in expected.iter().filter(|(name, ..)| name.len() > 1) {
        assert!(seen.contains(one), "{one:?} in {seen:?}");
    }
}

#[test]
fn newer_sensors_and_metrics_are_read() {
    let sensors = json!({"Members": [
        {"@odata.id": "/redfish/v1/Chassis/1/Sensors/a", "Name": "Exhaust", "Reading": 61.5, "ReadingType": "Temperature", "ReadingUnits": "Cel",
         "Thresholds": {"UpperCaution": {"Reading": 60}, "UpperCritical": {"Reading": 70}}},
        {"Name": "Fan", "SpeedPercent": {"Reading": 40, "SpeedRPM": 6000}},
    ]});
    let found = thermal::of_sensors(members(&sensors).into_iter());
    let exhaust = found.first().expect("a sensor");
    assert_eq!(
        (exhaust.kind, exhaust.health(), exhaust.unit.as_str()),
        (thermal::Kind::Temperature, Some(Health::Warning), "°C")
    );
    let fans = thermal::of_fans(members(&sensors).into_iter().skip(1));
    assert_eq!(fans.first().and_then(|fan| fan.value), Some(6000.0));
    let metrics = json!({"TemperatureReadingsCelsius": [{"DeviceName": "Intake", "Reading": 21}]});
    let metrics = thermal::of_metrics(&metrics);
    assert_eq!(metrics.first().map(|one| (one.name.as_str(), one.value)), Some(("Intake", Some(21.0))));
}

#[test]
fn systems_chassis_and_managers_are_read() {
    let system = System::read(&json!({
        "PowerState": "On", "Status": {"State": "Enabled", "Health": "OK", "HealthRollup": "Critical"}, "Manufacturer": "ACME", "Model": "X1",
        "MemorySummary": {"Status": {"HealthRollup": "Warning"}}, "Storage": {"@odata.id": "/redfish/v1/Systems/1/Storage"},
        "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/1"}]},
    }));
    assert_eq!((system.power, system.memory, system.processors), (Some(Power::On), Some(Health::Warning), None));
    assert_eq!(system.status.worst(), Some(Health::Critical));
    assert_eq!(system.model, "ACME X1");
    for (word, power) in
        [("PoweringOff", Some(Power::On)), ("PoweringOn", Some(Power::Off)), ("Off", Some(Power::Off)), ("?", None)]
    {
        assert_eq!(System::read(&json!({"PowerState": word})).power, power, "{word}");
    }
    assert_eq!(
        Chassis::read(&json!({"Power": {"@odata.id": "/redfish/v1/Chassis/1/Power"}})).old_power.as_deref(),
        Some("/redfish/v1/Chassis/1/Power")
    );
    let both = json!({"Power": {"@odata.id": "/redfish/v1/a"}, "Power@Redfish.Deprecated": "see there", "PowerSubsystem": {"@odata.id": "/redfish/v1/b"}});
    let both = Chassis::read(&both);
    assert_eq!(
        (both.old_power, both.power_subsystem.as_deref()),
        (None, Some("/redfish/v1/b")),
        "the newer has it all"
    );
    assert_eq!(Manager::read(&json!({"FirmwareVersion": "7.10", "Id": "iDRAC"})).firmware, "7.10");
}

const DRIVES: [&str; 3] = ["/redfish/v1/d/0", "/redfish/v1/d/1", "/redfish/v1/d/2"];

fn drive(at: usize, more: Value) -> Drive {
    let mut value =
        json!({"@odata.id": DRIVES[at], "Name": format!("Disk {at}"), "Status": {"State": "Enabled", "Health": "OK"}});
    let members = value.as_object_mut().expect("an object");
    members.extend(more.as_object().cloned().unwrap_or_default());
    Drive::read(Node::of(&value), Vendor::Other)
}

fn volume(level: &str, width: usize, more: Value) -> Volume {
    let links: Vec<Value> = DRIVES.iter().take(width).map(|id| json!({"@odata.id": id})).collect();
    let mut value = json!({"Name": "v", "RAIDType": level, "Links": {"Drives": links}, "Status": {"State": "Enabled", "Health": "OK"}});
    value.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    Volume::read(Node::of(&value), Vendor::Other)
}

#[test]
fn arrays_are_judged_by_level_and_lost_drives() {
    let well = |at| drive(at, json!({}));
    let failed = |at| drive(at, json!({"Status": {"State": "Enabled", "Health": "Critical"}}));
    let filling = |at| drive(at, json!({"Operations": [{"OperationName": "Rebuild", "PercentageComplete": 12}]}));
    let (warning, critical) = (json!({"Status": {"Health": "Warning"}}), json!({"Status": {"Health": "Critical"}}));
    let rebuild = json!({"Status": {"Health": "Warning"}, "Operations": [{"OperationName": "Rebuilding", "PercentageComplete": 41}]});
    for (case, volume, drives, word, progress) in [
        ("healthy", volume("RAID1", 2, json!({})), vec![well(0), well(1)], "Optl", None),
        ("mirror lost one", volume("RAID1", 2, warning.clone()), vec![well(0), failed(1)], "Dgrd", None),
        (
            "lost one, called critical",
            volume("RAID5", 3, critical.clone()),
            vec![well(0), failed(1), well(2)],
            "Dgrd",
            None,
        ),
        ("lost two of RAID5", volume("RAID5", 3, critical.clone()), vec![failed(0), failed(1), well(2)], "OfLn", None),
        ("RAID6 lost one", volume("RAID6", 3, warning.clone()), vec![well(0), failed(1), well(2)], "Pdgd", None),
        ("critical, drives unknown", volume("RAID1", 2, critical), vec![], "OfLn", None),
        ("rebuilding", volume("RAID1", 2, rebuild), vec![well(0), well(1)], "Rbld", Some(41.0)),
        ("a drive is filled", volume("RAID1", 2, warning), vec![well(0), filling(1)], "Rbld", Some(12.0)),
        (
            "offline",
            volume("RAID0", 1, json!({"Status": {"State": "UnavailableOffline"}})),
            vec![well(0)],
            "OfLn",
            None,
        ),
        ("says nothing", volume("RAID1", 2, json!({"Status": null})), vec![], "Unknown", None),
    ] {
        let array = volume.array(&drives);
        assert_eq!((array.word(), array.progress_pct), (word, progress), "{case}: {array:?}");
    }
}

#[test]
fn drives_tell_of_their_end_and_their_part() {
    assert!(drive(0, json!({"FailurePredicted": true})).is_predicted);
    assert!(!drive(0, json!({"FailurePredicted": "maybe"})).is_predicted);
    assert_eq!(drive(0, json!({"HotspareType": "Global"})).state, DriveState::Spare);
    assert_eq!(drive(0, json!({"StatusIndicator": "Fail", "Status": null})).state, DriveState::Failed);
    assert_eq!(drive(0, json!({"Status": null})).state, DriveState::Unknown);
    assert_eq!(drive(0, json!({"PredictedMediaLifeLeftPercent": 7})).life_left_pct, Some(7.0));
    assert_eq!(drive(0, json!({"PredictedMediaLifeLeftPercent": 255})).life_left_pct, None, "no percentage");
    let dell = json!({"Status": {"Health": "OK"}, "Oem": {"Dell": {"DellPhysicalDisk": {"RaidStatus": "Rebuilding"}}}});
    assert_eq!(Drive::read(Node::of(&dell), Vendor::Dell).state, DriveState::Rebuilding);
    let dell = json!({"RAIDType": "RAID1", "Status": {"Health": "OK"}, "Oem": {"Dell": {"DellVolume": {"RaidStatus": "Degraded"}}}});
    assert_eq!(Volume::read(Node::of(&dell), Vendor::Dell).array(&[]).word(), "Dgrd");
    let ilo = json!({"SSDEnduranceUtilizationPercentage": 30});
    assert_eq!(Drive::read(Node::of(&ilo), Vendor::Hpe).life_left_pct, Some(70.0));
}

#[test]
fn pools_and_controllers_are_read() {
    let pool = |value: Value| Pool::read(Node::of(&value)).used_pct;
    assert_eq!(pool(json!({"Capacity": {"Data": {"AllocatedBytes": 200, "ConsumedBytes": 50}}})), Some(25.0));
    assert_eq!(pool(json!({"RemainingCapacityPercent": 10})), Some(90.0));
    assert_eq!(pool(json!({"Capacity": {"Data": {"AllocatedBytes": 0, "ConsumedBytes": 50}}})), None);
    let storage = Storage::read(
        &json!({"StorageControllers": [{"Name": "PERC", "Status": {"Health": "Warning"}}], "Drives": [{"@odata.id": DRIVES[0]}]}),
    );
    assert_eq!(storage.controllers.first().and_then(|one| one.status.own()), Some(Health::Warning));
    assert_eq!(storage.drives, [DRIVES[0]]);
}

fn entry(id: &str, created: &str) -> Entry {
    Entry::read(Node::of(&json!({"Id": id, "Created": created, "Severity": "Critical", "Message": "x\ny"})))
}

#[test]
fn only_entries_after_the_first_reading_are_new() {
    let mut journal = Journal::default();
    assert!(journal.take(&[entry("1", "a")], true).is_empty(), "history");
    assert_eq!(journal.take(&[entry("2", "b"), entry("1", "a")], true).len(), 1);
    assert!(journal.take(&[entry("1", "a"), entry("2", "b")], true).is_empty(), "the order does not matter");
    assert_eq!(journal.take(&[entry("1", "c")], true).len(), 1, "ids begin anew in a cleared log");
    assert!(journal.take(&[], false).is_empty());
    assert!(journal.take(&[entry("1", "c")], true).is_empty(), "a log that was read in part is not forgotten");
    assert_eq!(entry("1", "a").message, "x y");
}

#[test]
fn an_event_is_read_with_its_context_and_worst_record() {
    let body = json!({"Context": "token", "Events": [
        {"Severity": "OK", "Message": "fine"},
        {"MessageSeverity": "Critical", "Message": "PSU 1 failed", "OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/1/Power"}},
        {"Severity": "Warning", "MessageId": "Alert.1.0.Fan"}]});
    let event = Event::parse(body.to_string().as_bytes()).expect("an event");
    assert_eq!(event.context, "token");
    let worst = event.worst().expect("a record");
    assert_eq!((worst.severity, worst.message.as_str()), (Some(Health::Critical), "PSU 1 failed"));
    assert_eq!(worst.origin.as_deref(), Some("/redfish/v1/Chassis/1/Power"));
    assert_eq!(Event::parse(b"{}").map(|event| event.records.len()), Ok(0));
    let old = EventService::read(
        &json!({"EventTypesForSubscription": ["Alert", "MetricReport"], "Subscriptions": {"@odata.id": "/redfish/v1/EventService/Subscriptions"}}),
    );
    assert_eq!(old.subscription("https://s/", "t").get("EventTypes"), Some(&json!(["Alert"])));
    let new = EventService::read(&json!({"ServiceEnabled": true}));
    assert_eq!(new.subscription("https://s/", "t").get("EventTypes"), None);
}

/// Everything that reads a resource, on any value.
fn read_all(value: &Value) {
    let node = Node::of(value);
    let _ = ServiceRoot::read(value);
    let _ = (System::read(value), Chassis::read(value), Manager::read(value), Status::read(node).worst());
    let supplies = power::supplies(value);
    let sets = power::redundancy_sets(value, &|id| supplies.iter().find(|one| one.id == id).and_then(Supply::is_good));
    assert!(sets.iter().filter(|set| set.redundancy().is_some()).count() <= sets.len());
    let sensors = [thermal::of_thermal(value), thermal::of_power(value), thermal::of_metrics(value)].concat();
    let listed = thermal::of_sensors(members(value).into_iter());
    let _ = sensors.iter().chain(&listed).filter_map(thermal::Reading::health).count();
    for vendor in [Vendor::Dell, Vendor::Hpe, Vendor::Other] {
        let drives: Vec<Drive> = members(value).into_iter().map(|one| Drive::read(one, vendor)).collect();
        let _ = Volume::read(node, vendor).array(&drives).word();
    }
    let _ = (Storage::read(value), Controller::read(node), Pool::read(node), Subscription::read(node));
    let entries: Vec<Entry> = members(value).into_iter().map(Entry::read).collect();
    let mut journal = Journal::default();
    let _ = (journal.take(&entries, true), journal.take(&entries, false));
    let _ = EventService::read(value).subscription("x", "y");
    assert!(next_page(value).is_none_or(|path| path.starts_with("/redfish/")));
}

/// JSON whose members have the names that are looked for, and values of any type.
fn resource() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "Status",
        "State",
        "Health",
        "HealthRollup",
        "Members",
        "PowerSupplies",
        "Redundancy",
        "RedundancySet",
        "@odata.id",
        "Fans",
        "Temperatures",
        "Reading",
        "Thresholds",
        "UpperCritical",
        "Operations",
        "PercentageComplete",
        "Links",
        "Drives",
        "RAIDType",
        "Name",
        "Oem",
        "Dell",
        "DellVolume",
        "RaidStatus",
        "MinNumNeeded",
        "LineInputStatus",
        "SpeedPercent",
        "Capacity",
        "Data",
        "AllocatedBytes",
        "Events",
        "Context",
        "Members@odata.nextLink",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "OK",
            "Critical",
            "Absent",
            "Enabled",
            "RAID1",
            "",
            "12",
            "-1e308",
            "/redfish/v1/x",
            "https://a/redfish/v1/y",
            "é",
            "NaN"
        ])
        .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..8).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_makes_any_reader_panic(value in resource()) {
        read_all(&value);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (parse(&bytes).map(|value| read_all(&value)), error_text(&bytes), Event::parse(&bytes));
    }

    #[test]
    fn every_truncation_of_a_resource_is_refused_or_read(cut in 0usize..600) {
        let text = power_resource(&json!({"Name": "é"})).to_string();
        let _ = text.as_bytes().get(..cut).map(|part| parse(part).map(|value| read_all(&value)));
    }
}
