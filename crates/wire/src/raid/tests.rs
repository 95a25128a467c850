//! Outputs hand-written after the tools' manuals and public examples; none was captured from a controller.

use proptest::prelude::*;

use super::*;

/// After the StorCLI reference manual: RAID 6 with one disk gone, RAID 1 that rebuilds, a spare, a foreign disk.
const STORCLI: &str = r#"CLI Version banner
{"Controllers":[{"Command Status":{"CLI Version":"007.2807","Controller":0,"Status":"Success","Description":"None"},
"Response Data":{"Product Name":"MegaRAID 9361-8i","Serial Number":"SV","Virtual Drives":3,
"VD LIST":[
 {"DG/VD":"0/0","TYPE":"RAID6","State":"Pdgd","Access":"RW","Consist":"Yes","Cache":"RWBD","Size":"10 TB","Name":"data"},
 {"DG/VD":"1/1","TYPE":"RAID1","State":"Dgrd","Cache":"RWTD","Name":""},
 {"DG/VD":"2/2","TYPE":"RAID5","State":"Optl","Name":""},
 {"DG/VD":"3/3","TYPE":"RAID0","State":"OfLn","Name":""}],
"PD LIST":[
 {"EID:Slt":"252:0","DID":8,"State":"Onln","DG":0,"Size":"4 TB","Intf":"SAS"},
 {"EID:Slt":"252:1","DID":9,"State":"Offln","DG":0},
 {"EID:Slt":"252:2","DID":10,"State":"Onln","DG":1},
 {"EID:Slt":"252:3","DID":11,"State":"Rbld","DG":1},
 {"EID:Slt":"252:4","DID":12,"State":"GHS","DG":"-"},
 {"EID:Slt":"252:5","DID":13,"State":"UGood","DG":"F"},
 {"EID:Slt":"252:6","DID":14,"State":"UBad","DG":"-"},
 {"EID:Slt":" :7","DID":15,"State":"Msng","DG":3},
 {"EID:Slt":"252:8","DID":16,"State":"New","DG":"-"}],
"Cachevault_Info":[{"Model":"CVPM02","State":"Degraded (needs attention)","Temp":"28C"}]}}]}"#;

const REBUILD: &str = r#"{"Controllers":[{"Command Status":{"Controller":0,"Status":"Success"},"Response Data":[
 {"Drive-ID":"/c0/e252/s0","Progress%":"-","Status":"Not in progress"},
 {"Drive-ID":"/c0/e252/s3","Progress%":42,"Status":"In progress","Estimated Time Left":"1 Hours 2 Minutes"}]}]}"#;

#[test]
fn storcli_reads() {
    let mut found = storcli::parse(STORCLI).expect("JSON");
    storcli::add_rebuilds(REBUILD, &mut found);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    let states: Vec<(&str, u32, Option<f64>)> =
        one.arrays.iter().map(|array| (array.word(), array.may_fail(), array.progress_pct)).collect();
    assert_eq!(states, [("Pdgd", 1, None), ("Rbld", 0, Some(42.0)), ("Optl", 1, None), ("OfLn", 0, None)]);
    assert_eq!((one.model.as_str(), one.spares()), ("MegaRAID 9361-8i", 1));
    let disks: Vec<DiskState> = one.disks.iter().map(|disk| disk.state).collect();
    use DiskState::{Failed, Foreign, Missing, Online, Rebuilding, Spare, Unknown};
    assert_eq!(disks, [Online, Failed, Online, Rebuilding, Spare, Foreign, Failed, Missing, Unknown]);
    assert_eq!(one.battery.as_ref().map(|battery| battery.is_well), Some(false));
}

#[test]
fn a_storcli_that_fails_says_why() {
    let text = r#"{"Controllers":[{"Command Status":{"Status":"Failure","Description":"Un-supported command"}}]}"#;
    assert!(storcli::parse(text).is_err_and(|error| error.to_string().contains("Un-supported command")));
    let none = text.replace("Un-supported command", "No Controller found");
    assert_eq!(storcli::parse(&none), Ok(vec![]));
    assert!(storcli::parse("sh: not found").is_err());
}

/// After the manual of Smart Storage Administrator and public examples of its text.
const SSACLI: &str = "
Smart Array P440ar in Slot 0 (Embedded)   (sn: PDNLH0BRH8)

   Port Name: 1I

   Array A (SAS, Unused Space: 0  MB)

      logicaldrive 1 (136.7 GB, RAID 1, OK)
      physicaldrive 1I:3:1 (port 1I:box 3:bay 1, SAS, 146 GB, OK)
      physicaldrive 1I:3:2 (port 1I:box 3:bay 2, SAS, 146 GB, Predictive Failure)
      physicaldrive 2I:3:7 (port 2I:box 3:bay 7, SAS, 600 GB, OK, spare)

   array B (SAS, Unused Space: 0  MB)

      logicaldrive 2 (558.7 GB, RAID 1+0, Interim Recovery Mode)
      physicaldrive 1I:3:3 (port 1I:box 3:bay 3, SAS, 300 GB, Failed)
      physicaldrive 1I:3:4 (port 1I:box 3:bay 4, SAS, 600 GB, OK)
      physicaldrive 2I:3:8 (port 2I:box 3:bay 8, SAS, 600 GB, OK, active spare for 1I:3:3)

   array C
      logicaldrive 3 (1.6 TB, RAID 6 (ADG), Recovering, 26% complete)
      physicaldrive 1I:4:1 (port 1I:box 4:bay 1, SATA, ??? GB, Rebuilding)
      logicaldrive 4 (1.6 TB, RAID 0, Failed)

   Unassigned
      physicaldrive 1I:4:9 (port 1I:box 4:bay 9, SATA, 1 TB, OK)
";

#[test]
fn ssacli_reads() {
    let mut found = ssacli::parse_config(SSACLI);
    let status = "\nSmart Array P440ar in Slot 0 (Embedded)\n   Controller Status: OK\n   Cache Status: Temporarily Disabled\n   \
        Battery/Capacitor Status: Failed (Replace Batteries/Capacitors)\n";
    ssacli::add_status(status, &mut found);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    let states: Vec<(&str, u32, Option<f64>)> =
        one.arrays.iter().map(|array| (array.word(), array.may_fail(), array.progress_pct)).collect();
    assert_eq!(states, [("Optl", 1, None), ("Dgrd", 0, None), ("Pdgd", 1, Some(26.0)), ("OfLn", 0, None)]);
    assert_eq!(
        one.arrays.iter().map(|array| array.level.word()).collect::<Vec<_>>(),
        ["RAID1", "RAID10", "RAID6", "RAID0"]
    );
    let disks: Vec<DiskState> = one.disks.iter().map(|disk| disk.state).collect();
    use DiskState::{Failed, Online, Predicted, Rebuilding, Spare, Unused};
    assert_eq!(disks, [Online, Predicted, Spare, Failed, Online, Online, Rebuilding, Unused]);
    assert_eq!(one.complaint.as_deref(), Some("Cache Status Temporarily Disabled"));
    assert_eq!(one.battery.as_ref().map(|battery| battery.is_well), Some(false));
}

/// After the MegaCli command manual.
const LDINFO: &str = "Adapter 0 -- Virtual Drive Information:\nVirtual Drive: 0 (Target Id: 0)\nName                :\n\
RAID Level          : Primary-6, Secondary-0, RAID Level Qualifier-3\nSize                : 10.0 TB\nState               : Partially Degraded\n\
Number Of Drives    : 6\nSpan Depth          : 1\n\nVirtual Drive: 1 (Target Id: 1)\n\
RAID Level          : Primary-1, Secondary-0, RAID Level Qualifier-0\nState               : Degraded\nNumber Of Drives    : 2\nSpan Depth          : 2\n\
Virtual Drive: 2 (Target Id: 2)\nRAID Level : Primary-5, Secondary-3, RAID Level Qualifier-3\nState : Optimal\n";
const PDLIST: &str = "Adapter #0\n\nEnclosure Device ID: 252\nSlot Number: 0\nDrive's position: DiskGroup: 0, Span: 0, Arm: 0\n\
Predictive Failure Count: 2\nFirmware state: Online, Spun Up\nForeign State: None\n\nEnclosure Device ID: 252\nSlot Number: 1\n\
Drive's position: DiskGroup: 1, Span: 0, Arm: 1\nPredictive Failure Count: 0\nFirmware state: Rebuild\n\n\
Enclosure Device ID: 252\nSlot Number: 2\nFirmware state: Hotspare, Spun down\n\nEnclosure Device ID: 252\nSlot Number: 3\n\
Firmware state: Unconfigured(bad)\n";

#[test]
fn megacli_reads() {
    let bbu = "BBU status for Adapter: 0\nBatteryType: BBU\nBattery State     : Optimal\n  Battery Replacement required            : Yes\n";
    let mut found = megacli::parse(LDINFO, PDLIST, bbu);
    let progress = "Rebuild Progress on Device at Enclosure 252, Slot 1 Completed 12% in 3 Minutes.\n";
    megacli::add_rebuilds(progress, &mut found);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    let states: Vec<(&str, &str, u32, Option<f64>)> =
        one.arrays.iter().map(|a| (a.level.word(), a.word(), a.may_fail(), a.progress_pct)).collect();
    assert_eq!(states, [("RAID6", "Pdgd", 1, None), ("RAID10", "Rbld", 0, Some(12.0)), ("RAID50", "Optl", 1, None)]);
    let disks: Vec<DiskState> = one.disks.iter().map(|disk| disk.state).collect();
    assert_eq!(disks, [DiskState::Predicted, DiskState::Rebuilding, DiskState::Spare, DiskState::Failed]);
    assert_eq!(one.battery.as_ref().map(|battery| battery.is_well), Some(false));
}

/// After the ARCCONF command line utility guide.
const ARCCONF: &str = "Controllers found: 1
----------------------------------------------------------------------
Controller information
----------------------------------------------------------------------
   Controller Status                        : Optimal
   Controller Model                         : Adaptec ASR8805
   --------------------------------------------------------
   Controller Battery Information
   --------------------------------------------------------
   Status                                   : Failed
----------------------------------------------------------------------
Logical device information
----------------------------------------------------------------------
Logical Device number 0
   Logical Device name                      : data
   RAID level                               : 6 Reed-Solomon
   Status of Logical Device                 : Suboptimal, Fault Tolerant
   --------------------------------------------------------
   Logical Device segment information
   --------------------------------------------------------
   Segment 0                                : Present (Controller:1,Enclosure:0,Slot:0) X1
   Segment 1                                : Missing
Logical Device number 1
   RAID level                               : 1
   Status of Logical Device                 : Degraded
   Segment 0                                : Present (Controller:1,Enclosure:0,Slot:2) X1
   Segment 1                                : Rebuilding (Controller:1,Enclosure:0,Slot:3) X2
----------------------------------------------------------------------
Physical Device information
----------------------------------------------------------------------
      Device #0
         Device is a Hard drive
         State                              : Online
         S.M.A.R.T. warnings                : 2
      Device #1
         Device is a Hard drive
         State                              : Failed
      Device #2
         Device is a Hard drive
         State                              : Global Hot-Spare
      Device #3
         Device is an Enclosure services device
         State                              : On
";

#[test]
fn arcconf_reads() {
    let status = "Controllers found: 1\nLogical device Task:\n   Logical device                 : 1\n   Task ID : 101\n   \
        Current operation              : Rebuild\n   Status                         : In Progress\n   Percentage complete            : 37\n";
    let one = arcconf::parse("1", ARCCONF, status);
    assert_eq!(arcconf::controllers(ARCCONF), Some(1));
    let states: Vec<(&str, &str, u32, Option<f64>)> =
        one.arrays.iter().map(|a| (a.level.word(), a.word(), a.may_fail(), a.progress_pct)).collect();
    assert_eq!(states, [("RAID6", "Pdgd", 1, None), ("RAID1", "Rbld", 0, Some(37.0))]);
    let disks: Vec<DiskState> = one.disks.iter().map(|disk| disk.state).collect();
    assert_eq!(disks, [DiskState::Predicted, DiskState::Failed, DiskState::Spare]);
    assert_eq!((one.model.as_str(), one.complaint), ("Adaptec ASR8805", None));
    assert_eq!(one.battery.map(|battery| (battery.state, battery.is_well)), Some(("Failed".to_owned(), false)));
}

#[test]
fn how_many_more_may_fail_follows_from_level_and_losses() {
    use ArrayState::{Degraded, Failed, Optimal, Rebuilding, Unknown};
    for (level, state, width, lost, left) in [
        ("RAID1", Optimal, Some(3), None, 2),
        ("RAID 1+0", Optimal, Some(8), None, 1),
        ("RAID6", Optimal, None, None, 2),
        ("RAID6", Degraded, None, Some(1), 1),
        ("RAID6", Degraded, None, None, 0),
        ("RAID 60", Rebuilding, None, Some(2), 0),
        ("RAID0", Optimal, None, None, 0),
        ("RAID5", Failed, None, None, 0),
        ("RAID5", Unknown, None, None, 0),
    ] {
        let array = Array { level: Level::parse(level), state, width, lost, ..Array::default() };
        assert_eq!(array.may_fail(), left, "{level} {state:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "( |\n|Adapter |in Slot |logicaldrive 1 \\(|RAID 5|,|\\)|%|:|[0-9]{1,12}|State : |Device #|Segment 0: |é|\\{|\"|\\PC){0,50}") {
        everything(&text);
    }

    #[test]
    fn any_truncation_reads(cut in 0usize..1600) {
        for text in [STORCLI, REBUILD, SSACLI, LDINFO, PDLIST, ARCCONF] {
            everything(text.get(..cut).unwrap_or(text));
        }
    }
}

fn everything(text: &str) {
    let mut found = storcli::parse(text).unwrap_or_default();
    found.extend(ssacli::parse_config(text));
    found.extend(megacli::parse(text, text, text));
    found.push(arcconf::parse("1", text, text));
    storcli::add_rebuilds(text, &mut found);
    ssacli::add_status(text, &mut found);
    megacli::add_rebuilds(text, &mut found);
    for array in found.iter().flat_map(|one| &one.arrays) {
        assert!(array.progress_pct.is_none_or(|pct| (0.0..=100.0).contains(&pct)), "{array:?}");
        let _ = (array.word(), array.may_fail());
    }
    let _ = arcconf::controllers(text);
}
