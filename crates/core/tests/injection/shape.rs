//! Random installations: what runs where and hangs on what. The topology for the classifier is made from it, the world too.

use std::collections::BTreeMap;

use serde_json::json;
use stentor_core::diagnosis::Topology;

use super::chance::Chance;

/// The one JVM of a Eucalyptus host carries these.
pub const JAVA: [&str; 5] = ["clc", "ufs", "sc", "walrus", "vb"];

#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub comps: Vec<String>,
    pub zone: Option<usize>,
    /// Fed by the UPS too, or by the mains alone.
    pub dual_fed: bool,
    /// Cabled to these switches.
    pub switches: Vec<usize>,
    /// Runs as a virtual machine on that one.
    pub on: Option<usize>,
    /// What somebody looks at.
    pub bmc: bool,
    pub agent: bool,
    pub ports_watched: bool,
}

#[derive(Clone, Debug)]
pub struct Shape {
    pub platform: &'static str,
    pub machines: Vec<Machine>,
    pub zones: usize,
    pub stack: bool,
    pub mgmt: bool,
    pub overlay: bool,
    pub san: bool,
    pub pair: Option<(usize, usize)>,
    /// Sites that ping, besides this one.
    pub vantages: Vec<&'static str>,
    pub sites: bool,
}

pub const SWITCHES: [&str; 2] = ["sw1", "sw2"];

impl Shape {
    pub fn draw(chance: &mut Chance) -> Shape {
        let platform = chance.pick(&["eucalyptus", "eucalyptus", "cloudstack", "openstack", "proxmox"]);
        let mut shape = Shape {
            platform,
            machines: Vec::new(),
            zones: 0,
            stack: chance.percent(60),
            mgmt: chance.percent(80),
            overlay: chance.percent(50),
            san: false,
            pair: None,
            vantages: chance.pick(&[vec![], vec!["s2"], vec!["s2", "s3"], vec!["s2", "s3"]]),
            sites: chance.percent(20),
        };
        shape.san = !shape.overlay;
        match platform {
            "eucalyptus" => shape.eucalyptus(chance),
            "cloudstack" => shape.cloudstack(chance),
            "openstack" => shape.openstack(chance),
            _ => shape.many("pve", "corosync", chance.between(3, 5), None, chance),
        }
        shape
    }

    fn add(&mut self, name: &str, comps: &[&str], zone: Option<usize>, chance: &mut Chance) -> usize {
        let switches = if self.stack && chance.percent(80) { vec![0, 1] } else { vec![chance.between(0, 1) as usize] };
        self.machines.push(Machine {
            name: name.to_owned(),
            comps: comps.iter().map(|key| (*key).to_owned()).collect(),
            zone,
            dual_fed: chance.percent(75),
            switches,
            on: None,
            bmc: chance.percent(90),
            agent: chance.percent(95),
            ports_watched: chance.percent(70),
        });
        self.machines.len() - 1
    }

    fn many(&mut self, name: &str, key: &str, count: i64, zone: Option<usize>, chance: &mut Chance) {
        for i in 1..=count {
            self.add(&format!("{name}{i}"), &[key], zone, chance);
        }
    }

    /// A virtual machine: no BMC, no cables of its own.
    fn guest(&mut self, name: &str, key: &str, on: usize) {
        self.machines.push(Machine {
            name: name.to_owned(),
            comps: vec![key.to_owned()],
            zone: None,
            dual_fed: true,
            switches: Vec::new(),
            on: Some(on),
            bmc: false,
            agent: true,
            ports_watched: false,
        });
    }

    fn eucalyptus(&mut self, chance: &mut Chance) {
        self.zones = chance.between(1, 3) as usize;
        let paired = chance.percent(35);
        let combined = !paired && chance.percent(40);
        if combined {
            let front: &[&str] =
                chance.pick(&[&["clc", "walrus"][..], &["clc", "walrus", "ufs"], &["clc", "ufs", "console"]]);
            self.add("front", front, None, chance);
            if !front.contains(&"walrus") {
                self.add("ws0", &["walrus"], None, chance);
            }
            if !front.contains(&"ufs") {
                self.many("ufs", "ufs", chance.between(1, 2), None, chance);
            }
        } else {
            self.add("clc0", &["clc"], None, chance);
            let ws0 = self.add("ws0", &["walrus"], None, chance);
            if paired {
                self.add("clc1", &["clc"], None, chance);
                let ws1 = self.add("ws1", &["walrus"], None, chance);
                self.pair = Some((ws0, ws1));
            }
            let with_console = chance.percent(50);
            for i in 1..=chance.between(1, 3) {
                let keys: &[&str] = if with_console { &["ufs", "console"] } else { &["ufs"] };
                self.add(&format!("ufs{i}"), keys, None, chance);
            }
        }
        for zone in 0..self.zones {
            let letter = ["a", "b", "c"][zone];
            if chance.percent(50) {
                self.add(&format!("cc{letter}"), &["cc", "sc"], Some(zone), chance);
            } else {
                self.add(&format!("cc{letter}"), &["cc"], Some(zone), chance);
                self.add(&format!("sc{letter}"), &["sc"], Some(zone), chance);
            }
            self.many(&format!("nc{letter}"), "nc", chance.between(2, 4), Some(zone), chance);
        }
        if chance.percent(40) {
            let node = self.machines.iter().position(|machine| machine.name == "nca1").expect("a first node");
            self.guest("elb1", "elb", node);
        }
    }

    fn cloudstack(&mut self, chance: &mut Chance) {
        self.zones = 1;
        if chance.percent(60) {
            self.add("lb1", &["lb"], None, chance);
        }
        self.many("ms", "ms", chance.between(1, 3), None, chance);
        self.add("db1", &["mysql"], None, chance);
        self.add("nfs1", &["primary"], None, chance);
        self.add("nfs2", &["secondary"], None, chance);
        self.many("kvm", "kvm_agent", chance.between(2, 4), Some(0), chance);
        let node = self.machines.iter().position(|machine| machine.name == "kvm1").expect("a first node");
        self.guest("ssvm", "ssvm", node);
        self.guest("vr1", "vr", node + 1);
    }

    fn openstack(&mut self, chance: &mut Chance) {
        for i in 1..=chance.pick(&[1, 3, 3]) {
            let keys = ["nova_api", "nova_scheduler", "rabbitmq", "galera"];
            self.add(&format!("ctl{i}"), &keys, None, chance);
        }
        self.many("cmp", "nova_compute", chance.between(2, 4), None, chance);
    }

    pub fn name(&self, machine: usize) -> &str {
        &self.machines[machine].name
    }

    pub fn zone_name(zone: usize) -> String {
        format!("zone-{}", ["a", "b", "c"][zone])
    }

    /// All instances of a type, in one zone if it is given.
    pub fn instances(&self, key: &str, zone: Option<usize>) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (m, machine) in self.machines.iter().enumerate() {
            for (c, comp) in machine.comps.iter().enumerate() {
                if comp == key && (zone.is_none() || machine.zone == zone) {
                    found.push((m, c));
                }
            }
        }
        found
    }

    pub fn java_of(&self, machine: usize) -> Vec<usize> {
        let comps = &self.machines[machine].comps;
        let java = |c: &usize| self.platform == "eucalyptus" && JAVA.contains(&comps[*c].as_str());
        (0..comps.len()).filter(java).collect()
    }

    pub fn topology(&self) -> Topology {
        let mut hosts = BTreeMap::new();
        let (mut single_homed, mut single_fed) =
            (BTreeMap::<&str, Vec<&str>>::new(), BTreeMap::<&str, Vec<&str>>::new());
        let (mut fed_by, mut vm_on, mut sysvms) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut zones: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for machine in &self.machines {
            let name = machine.name.as_str();
            match machine.on {
                Some(on) if self.platform == "cloudstack" => drop(sysvms.insert(name, self.name(on))),
                Some(on) => {
                    vm_on.insert(name, self.name(on));
                    hosts.insert(name, &machine.comps);
                }
                None => {
                    hosts.insert(name, &machine.comps);
                    fed_by.insert(name, if machine.dual_fed { vec!["A", "B"] } else { vec!["A"] });
                }
            }
            if let [only] = machine.switches[..] {
                single_homed.entry(SWITCHES[only]).or_default().push(name);
            }
            if !machine.dual_fed {
                single_fed.entry("A").or_default().push(name);
            }
            if let Some(zone) = machine.zone {
                zones.entry(Self::zone_name(zone)).or_default().push(name);
            }
        }
        let kind = if self.stack { "stack" } else { "single" };
        let pair = self.pair.map(|(a, b)| json!({"r0": [self.name(a), self.name(b)]}));
        let sites = if self.sites { json!({"s1": 1, "s2": 2, "s3": 3}) } else { json!({}) };
        let value = json!({
            "platform": self.platform, "ebs": if self.overlay { "overlay" } else { "san" }, "min_nc": 1,
            "zones": zones, "hosts": hosts, "vm_on": vm_on, "sysvms": sysvms,
            "jvm": if self.platform == "eucalyptus" { JAVA.to_vec() } else { Vec::new() },
            "unique": if self.pair.is_some() { vec!["clc", "walrus"] } else { Vec::new() },
            "switches": {"sw1": kind, "sw2": kind}, "single_homed": single_homed, "single_fed": single_fed,
            "feeds": {"A": "mains", "B": "ups1"}, "fed_by": fed_by,
            "backends": if self.san { json!({"san1": ["sc", "nc"]}) } else { json!({}) },
            "mgmt_switch": if self.mgmt { json!("swm") } else { json!(null) },
            "drbd": pair.unwrap_or_else(|| json!({})), "sites": sites,
        });
        serde_json::from_value(value).expect("a topology")
    }
}
