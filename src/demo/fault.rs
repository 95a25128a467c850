//! The faults that can be injected, by the names of the command line.

use serde::Serialize;

use super::plan::{HOSTS, HostPlan, MAINS, RACK, SWITCH, TARGETS, UPS, find};

/// What goes wrong.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A component's process is killed.
    Software,
    /// It lives and answers nobody.
    Hang,
    /// Something it needs is taken away.
    Resource,
    /// Its host loses power.
    Server,
    /// The Java process of the host is killed.
    Jvm,
    Psu,
    Raid,
    Bond,
    /// A controller of the SAN.
    Path,
    /// Every path to the SAN.
    Paths,
    /// The peer of a replicated disk.
    Drbd,
    SplitBrain,
    /// A member of the stack loses its power, and each host the link to it.
    Stack,
    /// The mains are gone: every host loses one input, the UPS runs on its battery.
    Feed,
    /// The UPS alone loses its input.
    Ups,
    /// The only feed of a rack: its hosts go dark with their controllers.
    Rack,
}

/// One fault and where it strikes.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fault {
    pub kind: Kind,
    pub host: &'static str,
    /// The component, for those of a component.
    pub component: Option<&'static str>,
}

/// What the classifier must make of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expect {
    pub class: &'static str,
    pub subtype: String,
    pub cell: Option<String>,
    pub runbook: String,
}

impl Fault {
    /// Every fault of the demo, in the order of the list.
    pub fn all() -> Vec<Fault> {
        let mut all = Vec::new();
        for (component, host) in TARGETS {
            for kind in [Kind::Software, Kind::Server, Kind::Resource, Kind::Hang] {
                all.push(Fault { kind, host, component: Some(component) });
            }
        }
        for host in HOSTS.iter().filter(|host| host.java().count() > 1) {
            all.push(Fault { kind: Kind::Jvm, host: host.name, component: None });
        }
        for kind in [Kind::Psu, Kind::Raid, Kind::Bond] {
            let physical = HOSTS.iter().filter(|host| host.is_physical());
            all.extend(physical.map(|host| Fault { kind, host: host.name, component: None }));
        }
        for host in HOSTS {
            let kinds = [
                (Kind::Path, host.has_san()),
                (Kind::Paths, host.has_san()),
                (Kind::Drbd, host.has_drbd()),
                (Kind::SplitBrain, host.has_drbd()),
            ];
            let there = kinds.into_iter().filter(|(_, is_there)| *is_there);
            all.extend(there.map(|(kind, _)| Fault { kind, host: host.name, component: None }));
        }
        all.push(Fault { kind: Kind::Stack, host: SWITCH, component: None });
        all.push(Fault { kind: Kind::Feed, host: UPS, component: None });
        all.push(Fault { kind: Kind::Ups, host: UPS, component: None });
        all.push(Fault { kind: Kind::Rack, host: RACK, component: None });
        all
    }

    pub fn find(name: &str) -> Option<Fault> {
        Fault::all().into_iter().find(|fault| fault.name() == name)
    }

    /// `clc/software`, `jvm/front1`, `psu/nc1`.
    pub fn name(&self) -> String {
        match (self.kind, self.component) {
            (Kind::Software, Some(component)) => format!("{component}/software"),
            (Kind::Server, Some(component)) => format!("{component}/server"),
            (Kind::Resource, Some(component)) => format!("{component}/resource"),
            (Kind::Hang, Some(component)) => format!("{component}/hang"),
            (Kind::Jvm, _) => format!("jvm/{}", self.host),
            (Kind::Psu, _) => format!("psu/{}", self.host),
            (Kind::Raid, _) => format!("raid/{}", self.host),
            (Kind::Bond, _) => format!("bond/{}", self.host),
            (Kind::Path, _) => format!("path/{}", self.host),
            (Kind::Paths, _) => format!("paths/{}", self.host),
            (Kind::Drbd, _) => format!("drbd/{}", self.host),
            (Kind::SplitBrain, _) => format!("splitbrain/{}", self.host),
            (Kind::Stack, _) => format!("stack/{}", self.host),
            (Kind::Feed, _) => format!("feed/{MAINS}"),
            (Kind::Ups, _) => format!("ups/{}", self.host),
            (Kind::Rack, _) => format!("rack/{}", self.host),
            (Kind::Software | Kind::Server | Kind::Resource | Kind::Hang, None) => format!("host/{}", self.host),
        }
    }

    /// In words, for the page and the list.
    pub fn says(&self) -> String {
        let host = self.host;
        match (self.kind, self.component) {
            (Kind::Software, Some(key)) => format!("kill {key} on {host}"),
            (Kind::Hang, Some(key)) => format!("hang {key} on {host}"),
            (Kind::Resource, Some(key)) => format!("take from {key} on {host}: {}", resource_of(key).says()),
            (Kind::Jvm, _) => format!("kill the JVM of {host}"),
            (Kind::Psu, _) => format!("fail power supply 2 of {host}"),
            (Kind::Raid, _) => format!("fail a disk of md0 on {host}"),
            (Kind::Bond, _) => format!("take a link of bond0 down on {host}"),
            (Kind::Path, _) => format!("take the paths of {host} to one SAN controller"),
            (Kind::Paths, _) => format!("take every path of {host} to the SAN"),
            (Kind::Drbd, _) => format!("cut {host} off from the peer of its replicated disk"),
            (Kind::SplitBrain, _) => format!("let the copies of {host}'s replicated disk diverge"),
            (Kind::Stack, _) => format!("take member 2 from the stack {host}"),
            (Kind::Feed, _) => format!("cut the mains: no host has feed {MAINS}, {host} runs on its battery"),
            (Kind::Ups, _) => format!("take the input from {host}: it runs on its battery"),
            (Kind::Rack, _) => format!("cut feed {host}: the rack that has no other goes dark"),
            (Kind::Server, _) | (Kind::Software | Kind::Hang | Kind::Resource, None) => format!("power {host} off"),
        }
    }

    /// What must be diagnosed.
    pub fn expect(&self) -> Expect {
        let first = find(self.host).and_then(first_component).unwrap_or("clc");
        let component = self.component.unwrap_or(first);
        let cell = |kind: &str| Some(format!("eucalyptus/{component}/{kind}"));
        let runbook = |kind: &str| format!("rb-euca-{component}-{kind}");
        let of = |class, subtype: &str, kind: &str| Expect {
            class,
            subtype: subtype.to_owned(),
            cell: cell(kind),
            runbook: runbook(kind),
        };
        let hardware = |subtype: &str, runbook: &str| Expect {
            class: "redundancy_lost",
            subtype: subtype.to_owned(),
            cell: None,
            runbook: runbook.to_owned(),
        };
        match self.kind {
            Kind::Software => of("software_down", "crashed", "software"),
            Kind::Hang => of("software_down", "hung", "software"),
            Kind::Jvm => of("software_down", "jvm", "software"),
            Kind::Resource => of("resource_unavailable", resource_of(component).subtype(), "resource"),
            Kind::Server => {
                let physical = find(self.host).is_some_and(HostPlan::is_physical);
                of("server_down", if physical { "power_off" } else { "os_dead" }, "server")
            }
            Kind::Psu => hardware("psu_failed", "RB-H01"),
            Kind::Raid => hardware("raid_degraded", "RB-H15"),
            Kind::Bond => hardware("bond_slave", "RB-H24"),
            Kind::Path => hardware("path", "RB-H35"),
            Kind::Paths => Expect { class: "resource_unavailable", ..hardware("san_path", "RB-H36") },
            Kind::Drbd => hardware("drbd_connection", "RB-H37"),
            Kind::SplitBrain => Expect { class: "split_brain", ..hardware("drbd", "RB-H38") },
            Kind::Stack => hardware("stack_member", "RB-H30"),
            Kind::Feed | Kind::Ups => Expect { class: "power_event", ..hardware("on_battery", "RB-H05") },
            Kind::Rack => Expect { class: "power_event", ..hardware("feed_lost", "RB-H05") },
        }
    }
}

/// Specification 10: a host or JVM verdict names the cell of the first component present in this order.
fn first_component(host: &HostPlan) -> Option<&'static str> {
    const ORDER: [&str; 10] = ["clc", "ufs", "walrus", "cc", "sc", "vb", "nc", "console", "elb", "iw"];
    ORDER.into_iter().find(|key| host.components.contains(key))
}

/// How a component's resource is taken away.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Resource {
    /// A file system is full.
    Disk { mount: &'static str },
    /// A process it needs is gone.
    Process { name: &'static str, subtype: &'static str, says: &'static str },
    /// A port it needs refuses, and whoever served it is gone.
    Port { port: u16, process: Option<&'static str>, subtype: &'static str, says: &'static str },
    /// What stands behind it is gone; it says so itself.
    Behind { subtype: &'static str, says: &'static str },
}

impl Resource {
    fn subtype(self) -> &'static str {
        match self {
            Resource::Disk { .. } => "disk",
            Resource::Process { subtype, .. } | Resource::Port { subtype, .. } | Resource::Behind { subtype, .. } => {
                subtype
            }
        }
    }

    fn says(self) -> String {
        match self {
            Resource::Disk { mount } => format!("space in {mount}"),
            Resource::Process { says, .. } | Resource::Port { says, .. } | Resource::Behind { says, .. } => {
                says.to_owned()
            }
        }
    }
}

/// What each component loses.
pub fn resource_of(component: &str) -> Resource {
    match component {
        "clc" => Resource::Port { port: 8777, process: Some("postgres"), subtype: "db", says: "its database" },
        "ufs" => Resource::Port { port: 53, process: None, subtype: "dns", says: "the DNS port" },
        "walrus" => Resource::Disk { mount: "/var/lib/eucalyptus/bukkits" },
        "sc" => Resource::Port { port: 3260, process: Some("tgtd"), subtype: "backend", says: "the iSCSI target" },
        "vb" => Resource::Behind { subtype: "backend", says: "vCenter" },
        "nc" => Resource::Process { name: "libvirtd", subtype: "hypervisor", says: "the hypervisor" },
        "elb" => Resource::Behind { subtype: "backend", says: "every server behind it" },
        "iw" => Resource::Disk { mount: "/" },
        _ => Resource::Disk { mount: "/var" },
    }
}
