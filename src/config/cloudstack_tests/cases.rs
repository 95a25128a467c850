//! What fails, what is seen of it, and what must be said.

use super::{Case, Facts, Seen};

const CUT_AND_OFF: &str = r#"{"port":"open","api":"ok","found":true,"state":"Disconnected","ha_state":"Disabled","maintenance":false,"healing":"off","healing_why":[]}"#;
const CUT_AND_HEALED: &str = r#"{"port":"open","api":"ok","found":true,"state":"Disconnected","ha_state":"Suspect","maintenance":false,"healing":"ok","healing_why":[]}"#;
const UNHEALED: &[Facts] = &[(
    "kvm_agent/state",
    r#"{"port":"open","api":"ok","found":true,"state":"Up","ha_state":"Available","maintenance":false,"healing":"out","alert":["HOST 2026-11-21T02:58:10+01:00: Host is down, name: kvm1 (id:1)"]}"#,
)];
const DISCONNECTED: &str =
    r#"{"port":"open","api":"ok","found":true,"state":"Disconnected","ha_state":"Disabled","maintenance":false}"#;
const VM_DISCONNECTED: &str =
    r#"{"port":"open","api":"ok","found":true,"instance_state":"Running","agent_state":"Disconnected"}"#;
const HANGS: &str = r#"{"pools":0,"hung":["a"],"failed":[],"missing":[],"agent":"running"}"#;
const REFUSED: &str = r#"{"port":"refused"}"#;
const NO_SERVER: &str = r#"{"server":"absent","connected_to":"none","ha_enabled":false,"replicas_usable":0}"#;
const DISK_99: &str = r#"{"used_pct_max":99.0,"inodes_pct_max":5,"read_only":[],"not_mounted":[],"hung":[]}"#;
const DISK_FULL: &str = r#"{"used_pct_max":100.0,"inodes_pct_max":5,"read_only":[],"not_mounted":[],"hung":[]}"#;
const DISK_98: &str = r#"{"used_pct_max":98.5,"inodes_pct_max":5,"read_only":[],"not_mounted":[],"hung":[]}"#;
const ABSENT: &str = r#"{"process":"absent","count":0}"#;
const API_ERROR: &str = r#"{"port":"open","api":"error","api_ms":40}"#;
const DB_LOST: &str = r#"{"server":"running","connected_to":"none","ha_enabled":false,"replicas_usable":0}"#;

const AGENT_CUT: &[Facts] = &[("kvm_agent/state", DISCONNECTED)];
const HEARTBEAT_HANGS: &[Facts] = &[("kvm/heartbeat", HANGS)];
const MS_SILENT: &[Facts] =
    &[("ms/port", REFUSED), ("ms/agents", REFUSED), ("ms/page", REFUSED), ("ms/api", REFUSED), ("ms/db", NO_SERVER)];
/// Only the first one looks at the cloud.
const NO_CLOUD: Seen = ("ms1", &[("ms/cloud", REFUSED)]);
const ENDED: &[Facts] = &[("ms/process", r#"{"process":"absent","active":"failed","exit_code":1}"#)];
const FENCED: &[Facts] = &[("ms/process", r#"{"process":"absent","active":"failed","exit_code":219}"#)];

const MS1_GONE: &[Seen] = &[("ms1", MS_SILENT), ("ms1", ENDED), NO_CLOUD];
const MS2_GONE: &[Seen] = &[("ms2", MS_SILENT), ("ms2", ENDED)];
const MS1_FENCED: &[Seen] = &[("ms1", MS_SILENT), ("ms1", FENCED), NO_CLOUD];
const MS2_FENCED: &[Seen] = &[("ms2", MS_SILENT), ("ms2", FENCED)];

const NO_DATABASE: &[Seen] = &[
    ("ms1", &[("ms/api", API_ERROR), ("ms/db", DB_LOST), ("ms/cloud", r#"{"port":"open","api":"error"}"#)]),
    ("ms2", &[("ms/api", API_ERROR), ("ms/db", DB_LOST)]),
];

const LB_503: &[Seen] = &[(
    "lb1",
    &[
        ("lb/page", r#"{"port":"open","http":503}"#),
        ("lb/agents", REFUSED),
        ("lb/sticky", r#"{"port":"open","vip":"error"}"#),
    ],
)];

const AGENTS_CUT: &[Seen] = &[
    ("kvm1", AGENT_CUT),
    ("kvm2", AGENT_CUT),
    ("kvm3", AGENT_CUT),
    ("kvm4", AGENT_CUT),
    ("ssvm1", &[("ssvm/state", VM_DISCONNECTED)]),
    ("cpvm1", &[("cpvm/state", VM_DISCONNECTED)]),
];

const HEARTBEATS_HANG: &[Seen] =
    &[("kvm1", HEARTBEAT_HANGS), ("kvm2", HEARTBEAT_HANGS), ("kvm3", HEARTBEAT_HANGS), ("kvm4", HEARTBEAT_HANGS)];

pub(super) const ALL: &[Case] = &[
    Case { name: "a healthy cloud", dark: &[], seen: &[], verdicts: &[], explained: &[], core: "available" },
    Case {
        name: "one of two management servers ended",
        dark: &[],
        seen: &[MS1_GONE],
        verdicts: &["ms1 software_down/crashed ms/software cs-4.1 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the last management server ended",
        dark: &[],
        seen: &[MS1_GONE, MS2_GONE, LB_503, AGENTS_CUT],
        verdicts: &[
            "ms1 software_down/crashed ms/software cs-4.1 critical visible",
            "ms2 software_down/crashed ms/software cs-4.1 critical visible",
        ],
        explained: &["lb1/lb", "kvm1/kvm_agent", "kvm4/kvm_agent", "ssvm1/ssvm", "cpvm1/cpvm"],
        core: "unavailable",
    },
    Case {
        name: "a management server hangs",
        dark: &[],
        seen: &[&[(
            "ms1",
            &[
                ("ms/page", r#"{"port":"open","http":"timeout"}"#),
                ("ms/api", r#"{"port":"open","api":"timeout"}"#),
                ("ms/cloud", r#"{"port":"open","api":"timeout"}"#),
            ],
        )]],
        verdicts: &["ms1 software_down/hung ms/software cs-4.1 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a management server is dead",
        dark: &["ms1"],
        seen: &[],
        verdicts: &["ms1 server_down/os_dead ms/server cs-4.1 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "both fenced themselves after the database came back",
        dark: &[],
        seen: &[MS1_FENCED, MS2_FENCED, LB_503, AGENTS_CUT],
        verdicts: &[
            "ms1 resource_unavailable/db ms/resource cs-4.1 critical visible",
            "ms2 resource_unavailable/db ms/resource cs-4.1 critical visible",
        ],
        explained: &["kvm1/kvm_agent", "lb1/lb"],
        core: "unavailable",
    },
    Case {
        name: "the disk of a management server is full",
        dark: &[],
        seen: &[MS1_GONE, &[("ms1", &[("ms/disk", DISK_99)])]],
        verdicts: &["ms1 resource_unavailable/disk ms/resource cs-4.1 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a management server writes to the replica",
        dark: &[],
        seen: &[&[(
            "ms1",
            &[("ms/db", r#"{"server":"running","connected_to":"replica","ha_enabled":true,"replicas_usable":1}"#)],
        )]],
        verdicts: &["ms1 resource_at_risk/db none cs-4.1 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "HA is out",
        dark: &[],
        seen: &[&[(
            "ms1",
            &[(
                "ms/cloud",
                r#"{"port":"open","api":"ok","ha":"out","settings":{"host":"x"},"management_servers_down":[]}"#,
            )],
        )]],
        verdicts: &["ms1 resource_at_risk/config none cs-4.1 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the database ended",
        dark: &[],
        seen: &[NO_DATABASE, &[("db1", &[("mysql/port", REFUSED), ("mysql/process", ABSENT), ("mysql/db", REFUSED)])]],
        verdicts: &["db1 software_down/crashed mysql/software cs-4.4 critical visible"],
        explained: &["ms1/ms", "ms2/ms"],
        core: "unavailable",
    },
    Case {
        name: "the database server is dead",
        dark: &["db1"],
        seen: &[NO_DATABASE],
        verdicts: &["db1 server_down/os_dead mysql/server cs-4.4 critical visible"],
        explained: &["ms1/ms", "ms2/ms"],
        core: "unavailable",
    },
    Case {
        name: "the database has no connection left",
        dark: &[],
        seen: &[NO_DATABASE, &[("db1", &[("mysql/db", r#"{"port":"open","mysql":"full"}"#)])]],
        verdicts: &["db1 resource_unavailable/db mysql/resource cs-4.4 critical visible"],
        explained: &["ms1/ms", "ms2/ms"],
        core: "unavailable",
    },
    Case {
        name: "the disk of the database is full and no write ends",
        dark: &[],
        seen: &[NO_DATABASE, &[("db1", &[("mysql/disk", DISK_FULL)])]],
        verdicts: &["db1 resource_unavailable/disk mysql/resource cs-4.4 critical visible"],
        explained: &["ms1/ms", "ms2/ms"],
        core: "unavailable",
    },
    Case {
        name: "the replica ended",
        dark: &[],
        seen: &[&[(
            "db2",
            &[
                ("mysql_replica/port", REFUSED),
                ("mysql_replica/process", ABSENT),
                ("mysql_replica/replication", REFUSED),
            ],
        )]],
        verdicts: &["db2 software_down/crashed mysql_replica/software cs-4.4 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the replica's server is dead",
        dark: &["db2"],
        seen: &[],
        verdicts: &["db2 server_down/os_dead mysql_replica/server cs-4.4 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the replica applies nothing",
        dark: &[],
        seen: &[&[(
            "db2",
            &[(
                "mysql_replica/replication",
                r#"{"port":"open","mysql":"ok","role":"replica","writable":false,"replication":"sql_stopped","unseen":[]}"#,
            )],
        )]],
        verdicts: &["db2 resource_unavailable/db mysql_replica/resource cs-4.4 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the usage server ended",
        dark: &[],
        seen: &[&[("use1", &[("usage/process", r#"{"process":"absent","active":"failed","exit_code":1}"#)])]],
        verdicts: &["use1 software_down/crashed usage/software cs-4.3 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the usage server's host is dead",
        dark: &["use1"],
        seen: &[],
        verdicts: &["use1 server_down/os_dead usage/server cs-4.3 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "no usage record for two days",
        dark: &[],
        seen: &[&[("use1", &[("usage/jobs", r#"{"port":"open","mysql":"ok","query":"ok","value":49}"#)])]],
        verdicts: &["use1 resource_at_risk/capacity none cs-4.3 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "an agent is down",
        dark: &[],
        seen: &[&[(
            "kvm1",
            &[
                ("kvm_agent/process", r#"{"process":"absent","active":"inactive"}"#),
                ("kvm_agent/state", DISCONNECTED),
                ("kvm/heartbeat", r#"{"pools":1,"age_s":4000,"hung":[],"failed":[],"missing":[],"agent":"absent"}"#),
            ],
        )]],
        verdicts: &["kvm1 software_down/crashed kvm_agent/software cs-4.5 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "libvirtd is down",
        dark: &[],
        seen: &[&[(
            "kvm1",
            &[
                ("kvm_agent/process", r#"{"process":"absent","active":"inactive"}"#),
                ("kvm_agent/libvirt", r#"{"libvirt":"failed"}"#),
                ("kvm/guests", r#"{"libvirt":"failed"}"#),
                ("kvm_agent/state", DISCONNECTED),
                ("kvm/heartbeat", r#"{"pools":1,"age_s":300,"hung":[],"failed":[],"missing":[],"agent":"absent"}"#),
            ],
        )]],
        verdicts: &["kvm1 resource_unavailable/hypervisor kvm_agent/resource cs-4.5 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "one agent cannot reach port 8250",
        dark: &[],
        seen: &[&[("kvm1", AGENT_CUT)]],
        verdicts: &["kvm1 resource_unavailable/dependency kvm_agent/resource cs-4.5 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a KVM host is dead and takes its system VM along",
        dark: &["kvm1", "ssvm1"],
        seen: &[&[
            (
                "kvm1",
                &[(
                    "kvm_agent/state",
                    r#"{"port":"open","api":"ok","found":true,"state":"Alert","ha_state":"Fencing","maintenance":false}"#,
                )],
            ),
            (
                "ssvm1",
                &[(
                    "ssvm/state",
                    r#"{"port":"open","api":"ok","found":true,"instance_state":"Running","agent_state":"Alert"}"#,
                )],
            ),
        ]],
        verdicts: &["kvm1 server_down/os_dead kvm/server cs-4.5 critical visible"],
        explained: &["kvm1/kvm", "kvm1/kvm_agent", "ssvm1/ssvm"],
        core: "available",
    },
    Case {
        name: "one host lost its path to the storage, and HA has no host to start its guests on",
        dark: &[],
        seen: &[&[("kvm1", HEARTBEAT_HANGS), ("kvm1", UNHEALED)]],
        verdicts: &["kvm1 resource_unavailable/backend kvm/resource cs-4.5 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "an agent is cut off where nobody asked for Host HA",
        dark: &[],
        seen: &[&[("kvm1", &[("kvm_agent/state", CUT_AND_OFF)])]],
        verdicts: &["kvm1 resource_unavailable/dependency kvm_agent/resource cs-4.5 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "an agent is cut off and HA would heal its host",
        dark: &[],
        seen: &[&[("kvm1", &[("kvm_agent/state", CUT_AND_HEALED)])]],
        verdicts: &["kvm1 resource_unavailable/dependency kvm_agent/resource cs-4.5 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "HA out of order is no failure of a host, nor is an alert",
        dark: &[],
        seen: &[&[("kvm1", UNHEALED)]],
        verdicts: &[],
        explained: &[],
        core: "available",
    },
    Case {
        name: "one host lost its path to the storage",
        dark: &[],
        seen: &[&[("kvm1", HEARTBEAT_HANGS)]],
        verdicts: &["kvm1 resource_unavailable/backend kvm/resource cs-4.5 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a host in maintenance is no failure",
        dark: &["kvm1"],
        seen: &[&[(
            "kvm1",
            &[(
                "kvm_agent/state",
                r#"{"port":"open","api":"ok","found":true,"state":"Disconnected","ha_state":"Disabled","maintenance":true}"#,
            )],
        )]],
        verdicts: &["kvm1 admin_stopped/maintenance none none info invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the NFS server hangs and every host will reboot",
        dark: &[],
        seen: &[HEARTBEATS_HANG, &[("nfs1", &[("primary/process", r#"{"process":"hung","count":8}"#)])]],
        verdicts: &["nfs1 software_down/hung primary/software cs-4.9 critical visible"],
        explained: &["kvm1/kvm", "kvm2/kvm", "kvm3/kvm", "kvm4/kvm"],
        core: "unavailable",
    },
    Case {
        name: "the NFS server ended",
        dark: &[],
        seen: &[HEARTBEATS_HANG, &[("nfs1", &[("primary/port", REFUSED), ("primary/process", ABSENT)])]],
        verdicts: &["nfs1 software_down/crashed primary/software cs-4.9 critical visible"],
        explained: &["kvm1/kvm"],
        core: "unavailable",
    },
    Case {
        name: "the storage server is dead",
        dark: &["nfs1"],
        seen: &[HEARTBEATS_HANG],
        verdicts: &["nfs1 server_down/os_dead primary/server cs-4.9 critical visible"],
        explained: &["kvm1/kvm", "kvm4/kvm"],
        core: "unavailable",
    },
    Case {
        name: "the usage server cannot write",
        dark: &[],
        seen: &[&[("use1", &[("usage/disk", DISK_99)])]],
        verdicts: &["use1 resource_unavailable/disk usage/resource cs-4.3 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the disks below primary storage do not answer",
        dark: &[],
        seen: &[
            HEARTBEATS_HANG,
            &[(
                "nfs1",
                &[
                    ("primary/export", r#"{"read_only":[],"not_mounted":[],"hung":["/export"]}"#),
                    ("primary/disk", r#"{"read_only":[],"not_mounted":[],"hung":["/export"]}"#),
                ],
            )],
        ],
        verdicts: &["nfs1 resource_unavailable/backend primary/resource cs-4.9 critical visible"],
        explained: &["kvm1/kvm", "kvm4/kvm"],
        core: "unavailable",
    },
    Case {
        name: "primary storage is so full that no heartbeat can be written",
        dark: &[],
        seen: &[HEARTBEATS_HANG, &[("nfs1", &[("primary/disk", DISK_FULL)])]],
        verdicts: &["nfs1 resource_unavailable/disk primary/resource cs-4.9 critical visible"],
        explained: &["kvm1/kvm", "kvm4/kvm"],
        core: "unavailable",
    },
    Case {
        name: "secondary storage is read-only",
        dark: &[],
        seen: &[&[("nfs2", &[("secondary/export", r#"{"read_only":["/export"],"not_mounted":[],"hung":[]}"#)])]],
        verdicts: &["nfs2 resource_unavailable/backend secondary/resource cs-4.10 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "primary storage is nearly full",
        dark: &[],
        seen: &[&[("nfs1", &[("primary/disk", DISK_98)])]],
        verdicts: &["nfs1 resource_at_risk/disk none cs-4.9 major invisible"],
        explained: &[],
        core: "degraded",
    },
    Case {
        name: "the SSVM ended",
        dark: &[],
        seen: &[&[(
            "ssvm1",
            &[
                ("ssvm/port", REFUSED),
                ("ssvm/process", r#"{"process":"absent","active":"failed"}"#),
                ("ssvm/state", VM_DISCONNECTED),
            ],
        )]],
        verdicts: &["ssvm1 software_down/crashed ssvm/software cs-4.6 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the SSVM is stopped",
        dark: &["ssvm1"],
        seen: &[&[(
            "ssvm1",
            &[(
                "ssvm/state",
                r#"{"port":"open","api":"ok","found":true,"instance_state":"Stopped","agent_state":"Disconnected"}"#,
            )],
        )]],
        verdicts: &["ssvm1 server_down/power_off ssvm/server cs-4.6 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the SSVM does not reach its management server",
        dark: &[],
        seen: &[&[("ssvm1", &[("ssvm/state", VM_DISCONNECTED)])]],
        verdicts: &["ssvm1 resource_unavailable/dependency ssvm/resource cs-4.6 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the console proxy ended",
        dark: &[],
        seen: &[&[("cpvm1", &[("cpvm/port", REFUSED), ("cpvm/process", r#"{"process":"absent","active":"failed"}"#)])]],
        verdicts: &["cpvm1 software_down/crashed cpvm/software cs-4.7 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the console proxy is stopped",
        dark: &["cpvm1"],
        seen: &[&[(
            "cpvm1",
            &[(
                "cpvm/state",
                r#"{"port":"open","api":"ok","found":true,"instance_state":"Stopped","agent_state":"Disconnected"}"#,
            )],
        )]],
        verdicts: &["cpvm1 server_down/power_off cpvm/server cs-4.7 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the console proxy does not reach its management server",
        dark: &[],
        seen: &[&[(
            "cpvm1",
            &[(
                "cpvm/state",
                r#"{"port":"open","api":"ok","found":true,"instance_state":"Running","agent_state":"Alert"}"#,
            )],
        )]],
        verdicts: &["cpvm1 resource_unavailable/dependency cpvm/resource cs-4.7 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a router gives no addresses",
        dark: &[],
        seen: &[&[("vr1", &[("vr/process", ABSENT)])]],
        verdicts: &["vr1 software_down/crashed vr/software cs-4.8 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a router is stopped, another network does not help",
        dark: &["vr1"],
        seen: &[&[(
            "vr1",
            &[
                ("vr/state", r#"{"port":"open","api":"ok","found":true,"instance_state":"Stopped"}"#),
                ("vr/health", r#"{"port":"open","api":"ok","found":true,"instance_state":"Stopped"}"#),
            ],
        )]],
        verdicts: &["vr1 server_down/power_off vr/server cs-4.8 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "a router's health checks fail",
        dark: &[],
        seen: &[&[(
            "vr1",
            &[(
                "vr/health",
                r#"{"port":"open","api":"ok","found":true,"instance_state":"Running","redundant":false,"health_checks_failed":true}"#,
            )],
        )]],
        verdicts: &["vr1 resource_unavailable/config vr/resource cs-4.8 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "secondary storage ended",
        dark: &[],
        seen: &[&[("nfs2", &[("secondary/port", REFUSED), ("secondary/process", ABSENT)])]],
        verdicts: &["nfs2 software_down/crashed secondary/software cs-4.10 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the server of secondary storage is dead",
        dark: &["nfs2"],
        seen: &[],
        verdicts: &["nfs2 server_down/os_dead secondary/server cs-4.10 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "secondary storage is full",
        dark: &[],
        seen: &[&[("nfs2", &[("secondary/disk", DISK_98)])]],
        verdicts: &["nfs2 resource_at_risk/disk none cs-4.10 major invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the balancer ended and the agents lost their address",
        dark: &[],
        seen: &[
            AGENTS_CUT,
            &[(
                "lb1",
                &[
                    ("lb/port", REFUSED),
                    ("lb/agents", REFUSED),
                    ("lb/page", REFUSED),
                    ("lb/process", ABSENT),
                    ("lb/sticky", REFUSED),
                ],
            )],
        ],
        verdicts: &["lb1 software_down/crashed lb/software cs-4.2 critical visible"],
        explained: &["kvm1/kvm_agent", "ssvm1/ssvm"],
        core: "available",
    },
    Case {
        name: "the balancer is dead",
        dark: &["lb1"],
        seen: &[AGENTS_CUT],
        verdicts: &["lb1 server_down/os_dead lb/server cs-4.2 critical visible"],
        explained: &["kvm1/kvm_agent", "cpvm1/cpvm"],
        core: "available",
    },
    Case {
        name: "the balancer takes living management servers for dead",
        dark: &[],
        seen: &[LB_503],
        verdicts: &["lb1 resource_unavailable/dependency lb/resource cs-4.2 critical visible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "the balancer does not keep sessions",
        dark: &[],
        seen: &[&[(
            "lb1",
            &[("lb/sticky", r#"{"port":"open","vip":"ok","ui":"ok","ui_persistent":false,"agents_persistent":true}"#)],
        )]],
        verdicts: &["lb1 resource_at_risk/config none cs-4.2 warning invisible"],
        explained: &[],
        core: "available",
    },
    Case {
        name: "an instance runs on two hosts",
        dark: &[],
        seen: &[&[
            ("kvm1", &[("kvm/guests", r#"{"libvirt":"ok","running_names":["i-2-7-VM"],"paused":[],"crashed":[]}"#)]),
            (
                "kvm2",
                &[(
                    "kvm/guests",
                    r#"{"libvirt":"ok","running_names":["i-2-8-VM","i-2-7-VM"],"paused":[],"crashed":[]}"#,
                )],
            ),
        ]],
        verdicts: &["kvm split_brain/dual_active none cs-4.5 critical visible"],
        explained: &[],
        core: "degraded",
    },
    Case {
        name: "the target of a live migration is no second instance",
        dark: &[],
        seen: &[&[
            ("kvm1", &[("kvm/guests", r#"{"libvirt":"ok","running_names":["i-2-7-VM"],"paused":[],"crashed":[]}"#)]),
            (
                "kvm2",
                &[(
                    "kvm/guests",
                    r#"{"libvirt":"ok","running_names":["i-2-8-VM"],"paused":["i-2-7-VM"],"crashed":[]}"#,
                )],
            ),
        ]],
        verdicts: &[],
        explained: &[],
        core: "available",
    },
];
