//! Good inputs to start from: what machines printed, and what our own encoders write.

use std::fs;
use std::sync::Arc;

use stentor::journal::codec;
use stentor_core::Timestamp;
use stentor_core::catalog::Catalog;
use stentor_core::engine::checkpoint::Checkpoint;
use stentor_core::engine::input::{AgentSeen, CheckResult};
use stentor_core::engine::{Engine, Input, ResultSource, Took};
use stentor_core::id::{ObjectId, ServiceId};
use stentor_core::model::{Observation, ServiceState, Value};
use stentor_wire::ipmi::sdr::{AnalogFormat, SensorFactors, Thresholds};
use stentor_wire::ipmi::sdr_encode::FullSpec;
use stentor_wire::ipmi::sel::{SelBody, SelEvent, SelRecord};
use stentor_wire::ipmi::{Request, packet};
use stentor_wire::nrpe::{Packet, Version};

use crate::tidy::source::{files, root};

/// Common header, then a product area with a maker only.
const FRU: &[u8] = b"\x01\0\0\0\x01\0\0\xfe\x01\x02\x19\xc4Acme\xc1\0\0\0\0\0\0\xe9";
const MEMINFO: &str = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 750 kB\nSwapTotal: 200 kB\nSwapFree: 1 kB\n";
const STAT: &str = "7 (a) b (c) D 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4242 1000 77 1844 1 1 0";
const MOUNTS: &str =
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n30 27 8:1 / /srv/my\\040data ro - xfs /dev/sdb1 rw\n";
const PROC: &[&str] = &[
    "UUID=1 / ext4 ro 0 1\nserver:/e /a\\040b nfs noauto,x 0 0\n",
    MEMINFO,
    STAT,
    MOUNTS,
    UNIT,
    "0.50 1.25 2.00 1/234 5678\ncpu 1\ncpu0 1\ncpu1 2\n",
];
const UNIT: &str = "Id=nginx.service\nLoadState=loaded\nActiveState=active\nSubState=running\nMainPID=77\n";
const HEARTBEAT: &str = "name=eucalyptus           enabled=true       local=true       initialized=true      \n";
const PLUGIN: &str = "DISK WARNING - free: / 9% | '/ x'=91%;80:;~:95;0;100 time=0.5s;;;U 'it''s'=U\nlong\nline | b=2c";
const DRBD_9: &str = r#"[{"name":"r0","role":"Primary","suspended":false,"devices":[{"volume":0,"minor":1000,
"disk-state":"UpToDate","client":false,"quorum":true}],"connections":[{"name":"bob","connection-state":"Connected","peer-role":
"Secondary","peer_devices":[{"volume":0,"replication-state":"SyncSource","peer-disk-state":"Inconsistent","resync-suspended":"no",
"out-of-sync":4096,"percent-in-sync":37.5}]}]}]"#;
const SMARTCTL: &str = r#"{"smartctl":{"exit_status":200,"messages":[{"string":"x"}]},"device":{"name":"/dev/sda"},
"smart_status":{"passed":false},"temperature":{"current":38},"nvme_smart_health_information_log":{"critical_warning":13,
"percentage_used":112},"ata_smart_attributes":{"table":[{"id":5,"name":"a","value":5,"when_failed":"now","raw":{"value":4520,
"string":"4520"}}]},"ata_smart_self_test_log":{"standard":{"table":[{"status":{"value":121,"string":"x"}}]}}}"#;
const RAID: &[&str] = &[
    r#"{"Controllers":[{"Command Status":{"Controller":0,"Status":"Success"},"Response Data":{"VD LIST":[{"DG/VD":"0/0","TYPE":"RAID1",
"State":"Dgrd"}],"PD LIST":[{"EID:Slt":"252:1","State":"Rbld","DG":0}],"BBU_Info":[{"State":"Failed"}]}}]}"#,
    r#"{"Controllers":[{"Response Data":[{"Drive-ID":"/c0/e252/s1","Progress%":42}]}]}"#,
    "Smart Array P1 in Slot 3\n   array A\n      logicaldrive 1 (1 GB, RAID 6 (ADG), Recovering, 26% complete)\n      \
     physicaldrive 1I:3:3 (port 1I:box 3:bay 3, SAS, 300 GB, Failed)\n   Battery/Capacitor Status: OK\n",
    "Adapter 0 -- Virtual Drive Information:\nVirtual Drive: 0 (Target Id: 0)\nRAID Level : Primary-1, Secondary-0\nState : Degraded\n\
     Number Of Drives : 2\nEnclosure Device ID: 252\nSlot Number: 1\nFirmware state: Rebuild\n\
     Rebuild Progress on Device at Enclosure 252, Slot 1 Completed 12% in 3 Minutes.\n",
    "Controllers found: 1\nController information\nController Status : Optimal\nLogical Device number 0\nRAID level : 5\n\
     Status of Logical Device : Degraded\nSegment 0 : Missing\nDevice #0\nState : Online\nCurrent operation : Rebuild\n\
     Logical device : 0\nPercentage complete : 37\n",
];
const MULTIPATH: &str = r#"multipathd> show maps json
{"major_version":0,"maps":[{"name":"mpatha","uuid":"36","features":"1 queue_if_no_path","path_groups":[{"dm_st":"active","paths":[{"dev":
"sdb","dm_st":"active","dev_st":"running","chk_st":"ready","host_wwpn":"0x1","target_wwpn":"[undef]","target_wwnn":"iqn.a"}]}]}]}"#;
const CEPH: &[&str] = &[
    r#"{"health":{"status":"HEALTH_WARN","checks":{"OSD_DOWN":{"severity":"HEALTH_WARN","summary":{"message":"x"},"detail":[{"message":
"osd.3 is down"}],"muted":true}}},"quorum":[0],"monmap":{"num_mons":3},"osdmap":{"num_osds":6,"num_up_osds":5},"pgmap":{"num_pgs":2,
"pgs_by_state":[{"state_name":"active+undersized+degraded","count":2}],"degraded_objects":9,"degraded_ratio":0.1,"bytes_used":1,
"bytes_total":9,"recovering_objects_per_sec":2}}"#,
    "ceph_health_status 1.0\nceph_health_detail{name=\"OSD_DOWN\",severity=\"HEALTH_WARN\"} 1\nceph_osd_up{ceph_daemon=\"osd.0\"} 0\n\
     ceph_pg_total{pool_id=\"1\"} 64\nceph_pg_active{pool_id=\"1\"} 3\nceph_cluster_total_bytes 9\n",
];
const CLOUDSTACK: &[&str] = &[
    "\0{\"listhostsresponse\":{\"count\":1,\"host\":[{\"name\":\"kvm1\",\"state\":\"Up\",\"hostha\":{\"hastate\":\"Fencing\"},\"outofbandmanagement\":{}}]}}",
    "x{\"listhostsresponse\":{\"uuidList\":[],\"errorcode\":431,\"cserrorcode\":4350,\"errortext\":\"x\"}}",
    "db.ha.enabled=true\ndb.cloud.host=db1\ndb.cloud.uri=jdbc:mysql://u:p@router:6446,b/cloud?x\ndb.cloud.slaves=a,b\n",
    "0: 050200C0:9C42 070200C0:0CEA 01 0\n1: 0 0000000000000000FFFF0000070200C0:0CEA 01\n",
];
const GLUSTER: &str = "<?xml version=\"1.0\"?>\n<cliOutput><opRet>0</opRet><volInfo><volumes><volume><name>v</name><status>1</status>\
    <replicaCount>2</replicaCount><disperseCount>3</disperseCount><redundancyCount>1</redundancyCount><bricks><brick>a:/b<name>a:/b</name>\
    </brick></bricks></volume></volumes></volInfo><volStatus><volumes><volume><volName>v</volName><node><hostname>a</hostname><path>/b\
    </path><status>1</status><sizeTotal>9</sizeTotal><sizeFree>4</sizeFree><inodesTotal>7</inodesTotal><inodesFree>0</inodesFree></node></volume></volumes></volStatus><peerStatus><peer><connected>0</connected></peer></peerStatus><healInfo>\
    <bricks><brick><numberOfEntriesInHealPending>-</numberOfEntriesInHealPending></brick></bricks></healInfo><volQuota><limit><path>/</path><hard_limit>9</hard_limit>\
    <used_space>3</used_space></limit></volQuota></cliOutput>";
const OVN: &[&str] = &[
    include_str!("../../../crates/wire/tests/data/ovn/leader_one_gone.txt"),
    include_str!("../../../crates/wire/tests/data/ovn/majority_gone.txt"),
    "\"cluster/status\" is not a valid command\nunknown cluster\novn-appctl: cannot connect to \"x\"\n",
];
const RIAK: &[&str] = &[
    r#"{"nodename":"riak@a","ring_members":["riak@a","riak@b"],"connected_nodes":[],"ring_ownership":"[{'riak@a',21}]"}"#,
    "valid 34.4% 33.0% 'riak@a'\nRing Ready: false\n=== Unreachable Nodes ===\n['riak@b']\nriak@a waiting to handoff 3 partitions\n",
];
const ISCSI: &str = "Target: iqn.2010-06.com.example:a (non-flash)\n\tCurrent Portal: 192.0.2.31:3260,1\n\t\tSID: 1\n\
    \t\tiSCSI Connection State: LOGGED IN\n\t\tiSCSI Session State: LOGGED_IN\n\t\t\tAttached scsi disk sdb\t\tState: running\n";
const LVM: &str = r#"  WARNING: x
{"report":[{"lv":[{"vg_name":"vg0","lv_name":"root","lv_attr":"rwi-aor-p-","segtype":"raid1","sync_percent":"37,5","raid_sync_action":
"recover","lv_health_status":"partial"},{"lv_name":"p","lv_attr":"twi-aotzD-","data_percent":"100.00","metadata_percent":"9"}],"vg":[
{"vg_name":"vg0","vg_attr":"wz-pn-","vg_free":"5B","vg_missing_pv_count":"1"}],"pv":[{"pv_name":"[unknown]","pv_attr":"a-m"}]}]}"#;
const ZPOOL: &str = "  pool: tank\n state: DEGRADED\n  scan: resilver in progress since x\n\t1T scanned, 45.20% done, 1 days 01:02:03 to go\n\
    config:\n\n\tNAME STATE READ WRITE CKSUM\n\ttank DEGRADED 0 0 0\n\t  raidz2-0 DEGRADED 0 0 0\n\t    /dev/sda ONLINE 0 0 0\n\
    \t    replacing-1 DEGRADED 0 0 0\n\t      /dev/sdb UNAVAIL 3 0 0\n\t      /dev/sdc ONLINE 0 0 0  (resilvering)\n\tspares\n\
    \t  /dev/sdd AVAIL\n\nerrors: No known data errors\n";
const SMTP: &str = "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n y\r\nMessage-ID: <1@b>\r\n\r\n..\r\n.\r\nQUIT\r\n";
const MACROS: &[&str] = &[
    "$USER1$/c $ARG1$ $ARG2$ $HOSTOUTPUT$ $$ 100$ x\ncmd!a\\!b!$HOSTNAME$\nOK $HOSTNOTES$ `id` | a=1",
    "$SERVICEOUTPUT:h:s$ $HOSTNAME:g:,$ $_HOSTX:h$ $HOSTNOTESURL$\nc\nhttp://x/?h=$HOSTOUTPUT$$SERVICENOTES$",
    "$ISVALIDTIME:t:5$ $NEXTVALIDTIME:t$ $CONTACTGROUPMEMBERS:g$ $LONGDATETIME$ $TOTALHOSTSUP$\n\n",
];
const TIMEPERIODS: &[&str] = &[
    "monday 09:00-17:00\nfriday -1 / 2 18:00-20:00\nday 1 - 15 / 5 00:00-24:00\nexclude\n2026-10-25 00:00-00:00",
    "november 20 - february -1 00:00-09:00,17:00-24:00\nthursday 4 november 00:00-24:00",
    "2026-10-25 - 2026-11-30 / 7 01:30-02:30\nwednesday 1 - friday 2 00:00-24:00\nexclude\nsunday 02:00-02:15",
];

const NAGIOS_RULES: &str = "define host {\n name t\n register 0\n max_check_attempts 3\n contacts +a\n _X 1\n}\n\
    define host {\n use t\n host_name h\\;1\n parents g\n hostgroups +hg\n}\n\
    define service {\n host_name h.*,!g\n hostgroup_name hg\n service_description s\n check_command !c!1!2\n}\n\
    define servicedependency {\n host_name *\n service_description *\n dependent_service_description s\n \
    execution_failure_criteria w,u\n}\ndefine serviceescalation {\n servicegroup_name sg\n contacts +a\n}\n\
    define timeperiod {\n timeperiod_name p\n monday 3 january - tuesday -1 march / 2 00:00-24:00\n exclude p\n}\n\
    define servicegroup {\n servicegroup_name sg\n members h,s\n servicegroup_members sg\n}\ninclude_file=objects\n";

const COMMANDS: &[&str] = &[
    "[1795226531] PROCESS_SERVICE_CHECK_RESULT;h;s;2;text;with|perf=1",
    "ACKNOWLEDGE_SVC_PROBLEM;h;s;2;1;1;me;why",
    "SCHEDULE_HOST_DOWNTIME;h;1;2;1;0;7200;me;c",
    "[1] CHANGE_SVC_MODATTR;h;s;0x1ff\n[2] CHANGE_NORMAL_HOST_CHECK_INTERVAL;h;2.5",
    "DEL_DOWNTIME_BY_HOSTGROUP_NAME;hg;h;s;1795226531;why; so",
    "SEND_CUSTOM_SVC_NOTIFICATION;h;s;7;me;c\nCHANGE_CUSTOM_HOST_VAR;h;v;a;b\n_OURS;x\nLOG;y",
];

/// Seeds of the protocols of services.
fn services(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "nrpe" => [Version::V2, Version::V3, Version::V4]
            .map(|version| Packet::query(version, b"check_disk!20%!/").encode().unwrap())
            .into(),
        "nut" => texts(&[
            "BEGIN LIST VAR u\nVAR u ups.status \"OB LB\"\nVAR u x.y \"a \\\"b\\\" \\\\\"\nEND LIST VAR u\nERR DATA-STALE",
            "UPS u \"a b\"",
        ]),
        "exposition" => texts(&[
            "sum(a{b=~\"x.*\",c!=\"d\"}) / max(e) * 100 - -1\n# HELP a h\na{b=\"x\\n\\\"\",c=\"\"} 1.5e3 1395066363000\ne 2 # {f=\"g\"} 1\n",
            "a\na +Inf\nb NaN\n",
        ]),
        "redfish" => texts(&[
            r#"{"RedfishVersion":"1.6.0","Systems":{"@odata.id":"/redfish/v1/Systems"},"Oem":{"Dell":{}},"PowerState":"On","Status":{"State":"Enabled","Health":"OK","HealthRollup":"Warning"}}"#,
            r##"{"PowerSupplies":[{"@odata.id":"/redfish/v1/Chassis/1/Power#/PowerSupplies/0","Status":{"Health":"Critical"},"LineInputStatus":"LossOfInput"}],"Redundancy":[{"MinNumNeeded":1,"RedundancySet":[{"@odata.id":"/redfish/v1/Chassis/1/Power#/PowerSupplies/0"}]}],"Fans":[{"Reading":0,"LowerThresholdCritical":600}]}"##,
            r#"{"Members":[{"@odata.id":"/redfish/v1/d/0","Name":"Disk","RAIDType":"RAID1","Links":{"Drives":[{"@odata.id":"/redfish/v1/d/0"}]},"Operations":[{"OperationName":"Rebuild","PercentageComplete":12}],"Severity":"Critical","Created":"x"}],"Members@odata.nextLink":"/redfish/v1/x?$skip=50"}"#,
            r#"{"Context":"t","Events":[{"MessageSeverity":"Critical","Message":"PSU","OriginOfCondition":{"@odata.id":"/redfish/v1/Chassis/1"}}]}"#,
        ]),
        "redis" => texts(&[
            "$9\nrole:master\nslave0:ip=1.2.3.4,port=6379,state=online,offset=14,lag=1\nmaster_repl_offset:28\n",
            "-NOAUTH x\n+PONG\n:7\n",
        ]),
        "greeting" => texts(&[
            "SSH-2.0-OpenSSH_9.2p1 Debian-2\n250-SIZE 10\n220 x\n* OK [CAPABILITY] x\na1 NO y",
            "SSH-1.99-a-b\n",
        ]),
        "containers" => texts(&[
            r#"[{"Id":"aa","Names":["/web"],"State":"running","Status":"Up 1 hour (unhealthy)","RestartCount":1}]"#,
            " Id   Name   State\n-----\n 1    my vm   shut off\n",
        ]),
        "journey" => texts(&["sid=1; Path=/; Max-Age=0\nhttps://h/x?y\n/a/{{a}}/b", "a=b; Expires=Thu, 01 Jan 1970\n../c"]),
        "ldap" => vec![
            b"\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0".to_vec(),
            b"\x02\x01\x03\x64\x12\x04\x04dc=x\x30\x0a\x30\x08\x04\x02cn\x31\x02\x04\0".to_vec(),
            b"\x30\x84\0\0\x01\0".to_vec(),
        ],
        "nats" => texts(&[
            "INFO {\"server_id\":\"N\",\"version\":\"2.9.10\",\"auth_required\":true}\nPONG\n-ERR 'Authorization Violation'",
            r#"{"a":{"b":1},"meta_cluster":{"leader":"n1","replicas":[{"name":"n2","current":false}]}}"#,
        ]),
        "rabbitmq" => vec![
            b"\x01\0\0\0\0\0\x2b\0\x0a\0\x0a\0\x09\0\0\0\x12\x07versionS\0\0\0\x053.10.\0\0\0\x05PLAIN\0\0\0\x05en_US\xce".to_vec(),
            br#"[{"name":"rabbit@a","running":true,"mem_alarm":true,"mem_used":9,"mem_limit":10,"partitions":["b"]}]"#.to_vec(),
            br#"[{"name":"q","vhost":"/","state":"down","messages_ready":5,"consumers":0}]"#.to_vec(),
        ],
        "mysql" => vec![
            b"\x2a\0\0\0\x0a8.4.0\0\x07\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0ijklm".to_vec(),
            b"\x01\0\0\x01\x01\x17\0\0\x02\x03def\0\0\0\x01a\0\x0c\x3f\0\x02\0\0\0\x03\x81\0\0\0\0\x05\0\0\x03\xfe\0\0\x02\0\x02\0\0\x04\x0142".to_vec(),
            b"0-1-42,7-2-3".to_vec(),
            b"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:t:1".to_vec(),
        ],
        "postgres" => vec![
            b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x18\0\0\0\x0br=nx,s=AAAA,i=1".to_vec(),
            b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0D\0\0\0\x0c\0\x01\0\0\0\x0242Z\0\0\0\x05I".to_vec(),
            b"16/B374D848".to_vec(),
        ],
        "ntp" => vec![stentor_wire::ntp::question(*b"stentor!").to_vec(), vec![0x24; 48]],
        "dns" => vec![
            b"\x12\x34\x85\x80\0\x01\0\x01\0\0\0\0\x03www\0\0\x01\0\x01\xC0\x0C\0\x01\0\x01\0\0\x0E\x10\0\x04\xC0\0\x02\x01".to_vec(),
            b"\x12\x34\x80\0\0\x01\0\x01\0\0\0\0\x03www\0\0\x01\0\x01\xC0\x0C\0\x06\0\x01\0\0\x0E\x10\0\x1b\x01a\xC0\x0C\0".to_vec(),
        ],
        "backup" | "euca" | "openstack" | "proxmox" => clouds(target),
        other => panic!("no seeds for `{other}`"),
    }
}

/// What the drivers of clouds and the watch over backups read.
fn clouds(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "backup" => texts(&["1795226400.5 100 db 1.sql\x001795230000.0 90 a.sql\x00", "1795230000 0 /x"]),
        "euca" => texts(&[
            "SERVICE  cluster  one  cc1  ENABLED  http://192.0.2.4:8774/axis2/services/EucalyptusCC\n",
            "2026-11-01 10:11:12 ERROR: [1008] the node controller's eucanetd is gone\n",
            "PROPERTY\tcloud.vmstate.instance_timeout\t720\n",
        ]),
        "openstack" => texts(&[
            r#"{"token":{"expires_at":"2026-11-22T12:00:00.000000Z","catalog":[{"type":"compute","endpoints":[]}]}}"#,
            r#"{"services":[{"binary":"nova-compute","host":"cmp1","status":"enabled","state":"down","updated_at":"x"}]}"#,
        ]),
        "proxmox" => texts(&[
            r#"{"data":[{"type":"cluster","name":"c","quorate":1,"nodes":3},{"type":"node","name":"pve1","online":1}]}"#,
            "Quorate:          Yes\nExpected votes:   3\nTotal votes:      2\n",
        ]),
        other => panic!("no seeds for `{other}`"),
    }
}

/// The seeds of one target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "plugin_output" | "plugin_result" | "perfdata" => texts(&[PLUGIN, "OK", "a=1;2;3;4;5 b=U c=1e9KB"]),
        "range" => texts(&["10", "10:", "~:10", "10:20", "@10:20", "@~:", "-1.5:2e3"]),
        "external_command" => texts(COMMANDS),
        "nagios_objects" | "nagios_main_config" | "command_line" | "filter" => written(target),
        "nagios_retention" => texts(&[
            "info {\ncreated=1795311427\n}\nhost {\nhost_name=web1\ncurrent_state=1\nstate_history=0,1,2,0\n}\n",
            "servicestatus {\n\thost_name=h\n\tservice_description=s\n\t_RACK=1;R7\n\tplugin_output=a=b\n\t}\n",
            "servicedowntime {\nhost_name=h\ndowntime_id=3\nfixed=0\nduration=60\nstart_time=x\n",
        ]),
        "ipmi_packet" => packets(),
        "ipmi_session" => vec![vec![], vec![0; 48], [vec![0; 30], vec![1]].concat(), packets().remove(0)],
        "ipmi_sdr" => vec![sensor().encode(9)],
        "ipmi_sel" | "ipmi_fru" => vec![SelRecord { id: 1, body: SelBody::Event(event()) }.encode().into(), FRU.into()],
        "ipmi_pet" | "traps" => {
            vec![[&[0, 8, 0x6F, 1][..], &[1; 46]].concat(), vec![2, 8, 111, 2], (0..=255).collect()]
        }
        "ipmi_answer" | "snmp" => vec![vec![0; 16], (0..=255).collect(), b"1.3.6.1.2.1.2.2.1.8.4294967295".to_vec()],
        "expr" => texts(&[
            "port != 'open' and pct >= params.crit or not (a in [1, 2.5]) and present(`x y`)",
            "psu.n contains 3 and -a < b * 2 - 1 / 3",
            "absent(n) or b == \"x\\n\"",
        ]),
        "availability" => texts(&[
            "clc and any(nc) and (walrus else all(backends:ufs)) and any(own zone: min_nc of nc, vmware zone: vb)",
            "weighted(0.6: nc1/nc=3, nc2/nc, should(nc)) or 70% of (nc, host:clc1) and majority of nc",
            "in cloud prod (in zone \"a\" (2 of nc)) and business:shop and service:a/\"b c\"",
            "resource:clc1/clc=disk",
        ]),
        "time" => texts(&["1h30m", "250ms", "2d", "2026-12-01T22:00:00.25+01:00", "1970-01-01T00:00:00Z"]),
        "macros" => texts(MACROS),
        "timeperiod" => texts(TIMEPERIODS),
        "glob" => texts(&["web-*-x\nweb-1-x", "*a*b*\naab", "*\n"]),
        "mdstat" => captures("mdstat_"),
        "bonding" => captures("bond_"),
        "proc" => texts(PROC),
        "heartbeat" => texts(&[HEARTBEAT]),
        "ping_reply" => vec![b"\x00\x00\xab\xcd\x12\x34\x00\x07stentor!".to_vec(), vec![0x45; 40], vec![129; 24]],
        "certificate" => vec![rcgen::generate_simple_self_signed(["a.example".into()]).unwrap().cert.der().to_vec()],
        "config" => {
            let mut all: Vec<Vec<u8>> = ["config.example.toml", "checks/host/host.toml"]
                .map(|path| fs::read(root().join(path)).unwrap())
                .into();
            all.push(b"[pack]\nplatform = \"x\"\n[[host]]\nname = \"a\"\naddress = \"192.0.2.1\"\n".to_vec());
            all
        }
        "journal" => {
            let inputs = inputs();
            vec![codec::encode(&inputs).unwrap().batch, codec::encode_catalog(&Catalog::default()).unwrap()]
        }
        "checkpoint" => vec![postcard::to_allocvec::<Checkpoint>(&Engine::new().checkpoint()).unwrap()],
        "value" => {
            let json = br#"{"a":[1,2.5,{"b":null}],"c":"x","d":[true]}"#.to_vec();
            vec![postcard::to_allocvec(&serde_json::from_slice::<Value>(&json).unwrap()).unwrap(), json]
        }
        "api_results" => {
            texts(&[r#"[{"host":"h","service":"s","code":2,"output":"x|a=1","observed_at":1795226531250,"id":"i"}]"#])
        }
        "api_agent" => vec![agent_push()],
        "agent_orders" => texts(&[
            r#"{"accepted":0,"orders":[{"id":"a-1","run":3,"step":2,"attempt":1,"argv":["ls","/"],"within_ms":9}],"stop":["a-0"]}"#,
        ]),
        "api_commands" => texts(&[r#"{"host":"h","start":"2026-12-01T22:00:00Z","duration":60,"comment":"c"}"#]),
        "smtp_sink" => texts(&[SMTP]),
        "http_port" => texts(&["GET /services/Heartbeat HTTP/1.1\r\nHost: a\r\n\r\n"]),
        other => storage(other),
    }
}

/// What people write.
fn written(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "nagios_objects" => nagios_objects(),
        "nagios_main_config" => texts(&[
            "# c\ncfg_file=a.cfg\ncfg_dir=b\nresource_file=r\ninterval_length=60\nlow_host_flap_threshold=5.0\n",
            "service_inter_check_delay_method=0.5\ndate_format=iso8601\nhost_perfdata_file_template=a\\tb\nx=1\n",
            "$USER1$=/usr/lib\n$USER256$=x\ninclude_file=y\n",
        ]),
        "command_line" => {
            texts(&["/bin/sh -c 'a \"b\"' $HOSTADDRESS$ $$ | x", "/bin/check_x -w 1: \\  \"$HOSTNAME$\""])
        }
        "filter" => texts(&[
            "state:critical,warning -host:web* impact:>=degraded age:>1h is:acked sort:-age,host \"free text\" perf:a>=1",
            "owner:me out:x type:server checked:<5m comp:clc http://x",
        ]),
        other => panic!("no seeds for `{other}`"),
    }
}

/// What disks, arrays and paths are told by.
fn storage(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "drbd" => [captures("proc_drbd_"), captures("drbd"), texts(&[DRBD_9])].concat(),
        "ceph" => texts(CEPH),
        "cloudstack" => texts(CLOUDSTACK),
        "gluster" | "xml" => texts(&[GLUSTER, "x < y <?xml?><!-- a --><a b='c'><b>1&amp;&#65;</b><![CDATA[<x>]]></a>"]),
        "riak" => texts(RIAK),
        "host_network" => texts(&[
            r#"{"setup":{"runner_name":"lacp"},"ports":{"eth0":{"link":{"up":true},"runner":{"selected":true}}}}"#,
            r#"{"lldp":{"interface":[{"eth0":{"chassis":{"sw1":{"id":{"value":"x"}}},"port":{"id":{"value":"1"}}}}]}}"#,
            "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
            "C0A80101,192.168.1.1,3,1.1,0.25,0.0,0.0,-12.3,0.0,0.0,0.012,0.003,64.2,Normal\n^,*,192.0.2.1,2,6,377,23,0,0,0\n",
            "leap=00, stratum=3, refid=192.0.2.1, offset=2.5\nNTPSynchronized=yes\nNTPMessage={ Leap=0, Stratum=2 }\n",
        ]),
        "iscsi" => texts(&[ISCSI]),
        "lvm" => texts(&[LVM]),
        "multipath" => texts(&[MULTIPATH]),
        "ovn" => texts(OVN),
        "raid" => texts(RAID),
        "smartctl" => texts(&[SMARTCTL, r#"{"smartctl":{},"devices":[{"name":"/dev/sda","type":"sat"}]}"#]),
        "zpool" => texts(&[ZPOOL, "tank\t91\t12%\tDEGRADED\n"]),
        "tool_json" => texts(&["banner\n{\"a\":[1,2.5,{\"b\":null}]}\n", "[WARN] x\n[{\"a\":1,5}]", "1.234,5 GB"]),
        other => services(other),
    }
}

fn nagios_objects() -> Vec<Vec<u8>> {
    let names = ["sample_objects.cache", "twelve_errors.cfg"];
    let data = names.map(|name| fs::read(root().join("crates/wire/tests/data").join(name)).unwrap());
    data.into_iter().chain([NAGIOS_RULES.as_bytes().to_vec()]).collect()
}

fn captures(prefix: &str) -> Vec<Vec<u8>> {
    let all = files("tests/data/captures").into_iter();
    all.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .map(|path| fs::read(path).unwrap())
        .collect()
}

fn packets() -> Vec<Vec<u8>> {
    let request = Request { netfn: 6, lun: 0, command: 0x38, sequence: 1, data: vec![0x8E, 2] };
    vec![
        packet::encode_plain(&request.encode()),
        packet::encode_plain(&request.answer(0, vec![1; 8]).encode()),
        packet::encode_setup(0x10, &[0; 32]),
        vec![6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x80, 0, 0, 0],
    ]
}

fn sensor() -> FullSpec {
    FullSpec {
        number: 7,
        entity: (0x0A, 2),
        sensor_type: 2,
        format: AnalogFormat::TwosComplement,
        unit: 4,
        linearization: 7,
        factors: SensorFactors { m: 511, b: -512, b_exponent: 7, result_exponent: -8 },
        thresholds: Thresholds { upper_critical: Some(200), lower_critical: Some(10), ..Thresholds::default() },
        nominal: 0,
        name: "P12V".to_owned(),
    }
}

fn event() -> SelEvent {
    SelEvent {
        timestamp: 1_795_226_531,
        generator: 0x20,
        sensor_type: 8,
        sensor_number: 7,
        event_type: 0x6F,
        is_assertion: true,
        data: [0x03, 0xFF, 0xFF],
    }
}

fn seen() -> Observation {
    Observation::reported(ServiceState::Warning, "x").measure("a", 1.5, "s").fact("b", vec![1.0, 2.0])
}

fn agent_push() -> Vec<u8> {
    let result = serde_json::json!({
        "host": "h", "service": "s", "observed_at": "2026-12-01T22:00:00Z", "observation": seen(),
    });
    serde_json::json!({ "agent": "h", "boot": "b", "sequence": 1, "results": [result],
        "commands": { "start": "s", "allow": [["ls", "*"]] } })
    .to_string()
    .into_bytes()
}

fn inputs() -> Vec<Input> {
    vec![
        Input::Tick,
        Input::Catalog(Arc::new(Catalog::default())),
        Input::AgentSeen(AgentSeen { agent: "h".into(), boot: "b".into(), sequence: 1 }),
        Input::Result(CheckResult {
            object: ObjectId::Service(ServiceId(0)),
            observed_at: Timestamp::from_secs(1),
            source: ResultSource::Passive,
            observation: Arc::new(seen()),
            id: Some("i".into()),
            took: Took::default(),
        }),
    ]
}
