//! A [`World`] over the configuration and the preset state of `data/macros.json`: just enough of a reader for that file.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use stentor_core::Timestamp;
use stentor_core::catalog::Timeperiod;
use stentor_core::id::TimeperiodId;
use stentor_core::macros::facts::{
    ContactFacts, GroupFacts, HostFacts, ObjectFacts, Owner, ServiceFacts, Totals, World,
};
use stentor_core::model::{HostState, ServiceState, StateKind};
use stentor_core::timeperiod::{self, Line};

type Lines = Vec<(String, String)>;

#[derive(Default)]
struct Block {
    lines: Lines,
    /// Custom variables, names in upper case without the underscore.
    custom: Lines,
    state: BTreeMap<String, Json>,
    /// Members of a group: names, or host and description.
    members: Vec<(String, String)>,
}

impl Block {
    fn get(&self, key: &str) -> &str {
        self.lines.iter().find(|line| line.0 == key).map_or("", |line| &line.1)
    }

    fn or<'b>(&'b self, key: &str, default: &'b str) -> &'b str {
        if self.get(key).is_empty() { default } else { self.get(key) }
    }

    fn list(&self, key: &str) -> Vec<&str> {
        self.get(key).split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }

    fn number(&self, key: &str) -> f64 {
        self.state.get(key).and_then(Json::as_f64).unwrap_or(0.0)
    }

    fn text(&self, key: &str) -> &str {
        self.state.get(key).and_then(Json::as_str).unwrap_or("")
    }

    fn instants<const N: usize>(&self, key: &str) -> [Timestamp; N] {
        let list = self.state.get(key).and_then(Json::as_array);
        std::array::from_fn(|i| Timestamp::from_secs(list.and_then(|list| list[i].as_i64()).unwrap_or(0)))
    }

    fn object<'a>(&'a self, name: &'a str) -> ObjectFacts<'a> {
        ObjectFacts {
            display_name: self.or("display_name", name),
            kind: if self.text("state_type") == "SOFT" { StateKind::Soft } else { StateKind::Hard },
            attempt: self.number("attempt") as u32,
            max_attempts: self.get("max_check_attempts").parse().unwrap_or(0),
            event_id: self.number("event_id") as u64,
            last_event_id: self.number("last_event_id") as u64,
            problem_id: self.number("problem_id") as u64,
            last_problem_id: self.number("last_problem_id") as u64,
            latency: self.number("latency"),
            execution_time: self.number("execution_time"),
            last_state_change: Timestamp::from_secs(self.number("last_state_change") as i64),
            last_check: Timestamp::from_secs(self.number("last_check") as i64),
            downtime_depth: self.number("downtime_depth") as u32,
            percent_change: self.number("percent_state_change"),
            output: self.text("plugin_output"),
            long_output: self.text("long_output"),
            perf_data: self.text("perf_data"),
            check_command: self.get("check_command"),
            is_passive: self.text("check_type") == "passive",
            notification_number: self.number("notification_number") as u32,
            notification_id: self.number("notification_id") as u64,
            action_url: self.get("action_url"),
            notes_url: self.get("notes_url"),
            notes: self.get("notes"),
            importance: self.get("importance").parse().unwrap_or(0),
            notifications_enabled: true,
            notification_period: self.get("notification_period"),
            check_source: "",
            problem_start: Timestamp::ZERO,
            problem_end: Timestamp::ZERO,
        }
    }

    fn group<'a>(&'a self, name_key: &str) -> GroupFacts<'a> {
        GroupFacts {
            name: self.get(name_key),
            alias: self.get("alias"),
            notes: self.get("notes"),
            notes_url: self.get("notes_url"),
            action_url: self.get("action_url"),
        }
    }
}

#[derive(Default)]
pub struct ConfiguredWorld {
    blocks: BTreeMap<String, Vec<Block>>,
    periods: Vec<Timeperiod>,
}

impl ConfiguredWorld {
    pub fn read(objects: &str, state: &BTreeMap<String, BTreeMap<String, Json>>) -> Self {
        let mut world = ConfiguredWorld::default();
        let mut kind = String::new();
        let mut block = Block::default();
        for line in objects.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix("define ") {
                kind = name.trim_end_matches('{').trim().to_owned();
            } else if line == "}" {
                world.add(&kind, std::mem::take(&mut block));
            } else {
                let (key, value) = line.split_once(' ').unwrap_or((line, ""));
                match key.strip_prefix('_') {
                    Some(name) => block.custom.push((name.to_uppercase(), value.to_owned())),
                    None => block.lines.push((key.to_owned(), value.to_owned())),
                }
            }
        }
        for (key, preset) in state {
            let (kind, name) = key.split_once(' ').expect("kind and name");
            let wanted = |block: &&mut Block| match name.split_once('/') {
                Some((host, service)) if kind == "service" => {
                    block.get("host_name") == host && block.get("service_description") == service
                }
                _ => block.get("host_name") == name,
            };
            let block = world.blocks.get_mut(kind).and_then(|blocks| blocks.iter_mut().find(wanted)).expect("defined");
            block.state = preset.clone();
            let long = block.text("long_plugin_output(escaped)").replace("\\n", "\n");
            block.state.insert("long_output".to_owned(), long.into());
        }
        world.fill_groups();
        world
    }

    fn add(&mut self, kind: &str, block: Block) {
        if kind == "timeperiod" {
            let mut period = Timeperiod {
                name: block.get("timeperiod_name").into(),
                zone: "UTC".into(),
                weekly: Default::default(),
                exceptions: Vec::new(),
                exclude: Vec::new(),
            };
            for (key, value) in block.lines.iter().filter(|line| !matches!(&*line.0, "timeperiod_name" | "alias")) {
                match timeperiod::parse_any(&format!("{key} {value}")).expect("a good line") {
                    Line::Weekday { weekday, ranges } => period.weekly[usize::from(weekday)] = ranges,
                    Line::Date(rule) => period.exceptions.push(rule),
                }
            }
            self.periods.push(period);
            return;
        }
        let blocks = self.blocks.entry(kind.to_owned()).or_default();
        if kind == "service" {
            for host in block.list("host_name") {
                let mut lines = block.lines.clone();
                lines.retain(|line| line.0 != "host_name");
                lines.push(("host_name".to_owned(), host.to_owned()));
                blocks.push(Block { lines, custom: block.custom.clone(), ..Block::default() });
            }
        } else {
            blocks.push(block);
        }
    }

    fn fill_groups(&mut self) {
        let contacts: Vec<(String, Vec<String>)> = self
            .all("contact")
            .map(|block| {
                let groups = block.list("contactgroups").into_iter().map(str::to_owned).collect();
                (block.get("contact_name").to_owned(), groups)
            })
            .collect();
        for (kind, blocks) in &mut self.blocks {
            for block in blocks {
                let listed: Vec<String> = block.list("members").into_iter().map(str::to_owned).collect();
                let name = block.get("contactgroup_name").to_owned();
                block.members = match kind.as_str() {
                    "servicegroup" => listed.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
                    "contactgroup" => {
                        let members = contacts.iter().filter(|contact| contact.1.contains(&name));
                        members.map(|contact| (contact.0.clone(), String::new())).collect()
                    }
                    _ => listed.into_iter().map(|name| (name, String::new())).collect(),
                };
            }
        }
    }

    fn all(&self, kind: &str) -> impl Iterator<Item = &Block> {
        self.blocks.get(kind).into_iter().flatten()
    }

    fn find(&self, kind: &str, key: &str, name: &str) -> Option<&Block> {
        self.all(kind).find(|block| block.get(key) == name)
    }

    fn service_block(&self, host: &str, description: &str) -> Option<&Block> {
        let wanted = |block: &&Block| block.get("host_name") == host && block.get("service_description") == description;
        self.all("service").find(wanted)
    }

    fn period(&self, name: &str) -> Option<TimeperiodId> {
        self.periods.iter().position(|period| &*period.name == name).map(TimeperiodId::from_index)
    }
}

/// `DOWN(1)`, `DOWN`, or a number.
fn word(state: &Block, key: &str) -> String {
    match state.state.get(key) {
        Some(Json::String(text)) => text.split('(').next().unwrap_or_default().to_owned(),
        Some(other) => other.to_string(),
        None => "0".to_owned(),
    }
}

fn host_state(block: &Block, key: &str) -> HostState {
    match word(block, key).as_str() {
        "UP" | "0" => HostState::Up,
        "DOWN" | "1" => HostState::Down,
        _ => HostState::Unreachable,
    }
}

fn service_state(block: &Block, key: &str) -> ServiceState {
    match word(block, key).as_str() {
        "OK" | "0" => ServiceState::Ok,
        "WARNING" | "1" => ServiceState::Warning,
        "CRITICAL" | "2" => ServiceState::Critical,
        _ => ServiceState::Unknown,
    }
}

fn host_facts(block: &Block) -> HostFacts<'_> {
    let name = block.get("host_name");
    let [last_up, last_down, last_unreachable] = block.instants("last_time_up/down/unreachable");
    HostFacts {
        name,
        alias: block.or("alias", name),
        address: block.or("address", name),
        state: host_state(block, "state"),
        last_state: host_state(block, "last_state"),
        last_up,
        last_down,
        last_unreachable,
        object: block.object(name),
    }
}

fn service_facts(block: &Block) -> ServiceFacts<'_> {
    let description = block.get("service_description");
    let [last_ok, last_warning, last_unknown, last_critical] = block.instants("last_time_ok/warning/unknown/critical");
    ServiceFacts {
        host: block.get("host_name"),
        description,
        state: service_state(block, "state"),
        last_state: service_state(block, "last_state"),
        last_ok,
        last_warning,
        last_critical,
        last_unknown,
        is_volatile: block.get("is_volatile") == "1",
        object: block.object(description),
    }
}

fn contact_facts(block: &Block) -> ContactFacts<'_> {
    let name = block.get("contact_name");
    ContactFacts {
        name,
        alias: block.or("alias", name),
        email: block.get("email"),
        pager: block.get("pager"),
        addresses: std::array::from_fn(|i| block.get(&format!("address{}", i + 1))),
    }
}

impl World for ConfiguredWorld {
    fn host<'a>(&'a self, name: &str) -> Option<HostFacts<'a>> {
        self.find("host", "host_name", name).map(host_facts)
    }

    fn service<'a>(&'a self, host: &str, description: &str) -> Option<ServiceFacts<'a>> {
        self.service_block(host, description).map(service_facts)
    }

    fn contact<'a>(&'a self, name: &str) -> Option<ContactFacts<'a>> {
        self.find("contact", "contact_name", name).map(contact_facts)
    }

    fn host_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        self.find("hostgroup", "hostgroup_name", name).map(|block| block.group("hostgroup_name"))
    }

    fn service_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        self.find("servicegroup", "servicegroup_name", name).map(|block| block.group("servicegroup_name"))
    }

    fn contact_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        self.find("contactgroup", "contactgroup_name", name).map(|block| block.group("contactgroup_name"))
    }

    fn hosts_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(HostFacts<'a>)) {
        let members = self.find("hostgroup", "hostgroup_name", group).into_iter().flat_map(|block| &block.members);
        members.filter_map(|(host, _)| self.host(host)).for_each(visit);
    }

    fn services_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(ServiceFacts<'a>)) {
        let block = self.find("servicegroup", "servicegroup_name", group);
        let members = block.into_iter().flat_map(|block| &block.members);
        members.filter_map(|(host, service)| self.service(host, service)).for_each(visit);
    }

    fn contacts_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(ContactFacts<'a>)) {
        let block = self.find("contactgroup", "contactgroup_name", group);
        let members = block.into_iter().flat_map(|block| &block.members);
        members.filter_map(|(contact, _)| self.contact(contact)).for_each(visit);
    }

    fn services_of<'a>(&'a self, host: &str, visit: &mut dyn FnMut(ServiceFacts<'a>)) {
        self.all("service").filter(|block| block.get("host_name") == host).map(service_facts).for_each(visit);
    }

    fn groups_of<'a>(&'a self, member: Owner<'_>, visit: &mut dyn FnMut(GroupFacts<'a>)) {
        let (kind, key, wanted) = match member {
            Owner::Host(name) => ("hostgroup", "hostgroup_name", (name, "")),
            Owner::Service(host, description) => ("servicegroup", "servicegroup_name", (host, description)),
            Owner::Contact(name) => ("contactgroup", "contactgroup_name", (name, "")),
        };
        let holds = |block: &&Block| block.members.iter().any(|(name, second)| (&**name, &**second) == wanted);
        self.all(kind).filter(holds).map(|block| block.group(key)).for_each(visit);
    }

    fn variables_of<'a>(&'a self, owner: Owner<'_>, visit: &mut dyn FnMut(&'a str, &'a str)) {
        let block = match owner {
            Owner::Host(name) => self.find("host", "host_name", name),
            Owner::Service(host, description) => self.service_block(host, description),
            Owner::Contact(name) => self.find("contact", "contact_name", name),
        };
        block.into_iter().flat_map(|block| &block.custom).for_each(|(name, value)| visit(name, value));
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for host in self.all("host").map(host_facts) {
            totals.hosts[host.state as usize] += 1;
            totals.hosts_unhandled[host.state as usize] += u64::from(host.object.downtime_depth == 0);
        }
        for service in self.all("service").map(service_facts) {
            totals.services[service.state as usize] += 1;
            let host_up = self.host(service.host).is_some_and(|host| host.state == HostState::Up);
            totals.services_unhandled[service.state as usize] += u64::from(host_up);
        }
        totals
    }

    fn in_period(&self, name: &str, at: Timestamp) -> Option<bool> {
        self.period(name).map(|id| timeperiod::contains(&self.periods, id, at))
    }

    fn next_valid(&self, name: &str, at: Timestamp) -> Option<Option<Timestamp>> {
        self.period(name).map(|id| timeperiod::next_valid(&self.periods, id, at))
    }
}
