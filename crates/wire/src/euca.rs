//! What the administrator's tools of Eucalyptus print: services, events, nodes, properties, and its fault logs.
//!
//! Formats as the tools write them: `euserv-*` and `euctl` since 4.2 (columns two blanks apart, or tabs where the table
//! library is missing), `euca-describe-*` before (tabs, padded fields).

use std::collections::BTreeMap;

/// What an empty field is printed as with `--show-empty-fields`.
const EMPTY: &str = "(nil)";

/// One service as the controller sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Service {
    /// `storage`, `cluster`, `user-api`, `node`.
    pub kind: String,
    pub zone: String,
    pub name: String,
    /// In upper case: 4.2 and later print lower, older ones upper case.
    pub state: String,
    /// Address or name of its machine, where the listing says it.
    pub host: String,
}

impl Service {
    /// The component of the matrix that this kind of service is part of; empty for those that users run.
    pub fn component(&self) -> &'static str {
        match self.kind.as_str() {
            "eucalyptus" => "clc",
            "walrusbackend" | "walrus" => "walrus",
            "storage" => "sc",
            "cluster" => "cc",
            "vmwarebroker" => "vb",
            "node" => "nc",
            "" => "",
            _ => "ufs",
        }
    }
}

/// Cells of a row: two blanks or a tab part them.
fn cells(line: &str) -> Vec<&str> {
    let parted: Vec<&str> = if line.contains('\t') {
        line.split('\t').map(str::trim).collect()
    } else {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
    };
    parted.into_iter().map(|cell| if cell == EMPTY { "" } else { cell }).collect()
}

/// `euserv-describe-services --show-headers --show-empty-fields`, in any grouping: the header says which column is what.
pub fn parse_services(text: &str) -> Vec<Service> {
    let mut header: Vec<String> = Vec::new();
    let mut services = Vec::new();
    for line in text.lines() {
        let cells = cells(line);
        if cells.first() != Some(&"SERVICE") {
            continue;
        }
        if cells.last().is_some_and(|last| matches!(*last, "STATE" | "ACCOUNTS")) {
            header = cells.iter().map(|cell| cell.to_lowercase()).collect();
            continue;
        }
        let at = |name: &str| {
            let column = header.iter().position(|own| own == name);
            column.and_then(|column| cells.get(column)).map_or(String::new(), |cell| (*cell).to_owned())
        };
        let service = Service {
            kind: at("type"),
            zone: at("zone"),
            name: at("name"),
            state: at("state").to_uppercase(),
            host: at("host"),
        };
        if !service.kind.is_empty() && !service.state.is_empty() {
            services.push(service);
        }
    }
    services
}

/// `euca-describe-services` of releases before 4.2: type, partition, name, state, epoch, URI, full name.
pub fn parse_old_services(text: &str) -> Vec<Service> {
    let read = |line: &str| {
        let mut cells = line.split('\t').map(str::trim);
        if cells.next() != Some("SERVICE") {
            return None;
        }
        let mut next = || cells.next().map(str::to_owned);
        let (kind, zone, name, state) = (next()?, next()?, next()?, next()?.to_uppercase());
        let host = host_of(&next().and_then(|_epoch| next()).unwrap_or_default()).to_owned();
        (!kind.is_empty() && !state.is_empty()).then_some(Service { kind, zone, name, state, host })
    };
    text.lines().filter_map(read).collect()
}

/// The host of `http://192.168.51.71:8773/services/Storage`.
fn host_of(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// The hosts of one listing given to another: by type and name, which are unique in a cloud.
pub fn join_hosts(services: &mut [Service], by_host: &[Service]) {
    let hosts: BTreeMap<(&str, &str), &str> =
        by_host.iter().map(|row| ((row.kind.as_str(), row.name.as_str()), row.host.as_str())).collect();
    for service in services.iter_mut().filter(|service| service.host.is_empty()) {
        if let Some(host) = hosts.get(&(service.kind.as_str(), service.name.as_str())) {
            service.host = (*host).to_owned();
        }
    }
}

/// One line of `euserv-describe-events --format oneline`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// As printed: local time of the machine.
    pub at: String,
    /// FATAL, URGENT, ERROR, WARNING, INFO, DEBUG, TRACE.
    pub severity: String,
    pub kind: String,
    pub name: String,
    pub message: String,
}

const SEVERITIES: [&str; 7] = ["FATAL", "URGENT", "ERROR", "WARNING", "INFO", "DEBUG", "TRACE"];

/// `{timestamp} {severity} {subject-type} {subject-name} {message}`; lines within a message belong to it.
pub fn parse_events(text: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for line in text.lines() {
        match parse_event(line) {
            Some(event) => events.push(event),
            None => {
                if let Some(last) = events.last_mut().filter(|_| !line.trim().is_empty()) {
                    last.message.push('\n');
                    last.message.push_str(line.trim());
                }
            }
        }
    }
    events
}

fn parse_event(line: &str) -> Option<Event> {
    let mut words = line.splitn(6, ' ');
    let (day, time) = (words.next()?, words.next()?);
    seconds_of(&format!("{day} {time}"))?;
    let severity = words.next().filter(|word| SEVERITIES.contains(word))?;
    let (kind, name) = (words.next()?, words.next()?);
    let message = words.next().unwrap_or_default().trim().replace("\\n", "\n");
    Some(Event {
        at: format!("{day} {time}"),
        severity: severity.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        message,
    })
}

/// One node controller of `euserv-describe-node-controllers`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    pub zone: String,
    pub host: String,
    pub state: String,
    pub instances: Vec<String>,
}

/// `NODE zone host state [details]`, each followed by its `INSTANCE id` lines.
pub fn parse_nodes(text: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for line in text.lines() {
        let cells = cells(line);
        match cells.first() {
            Some(&"NODE") => {
                let at = |column: usize| cells.get(column).copied().unwrap_or_default();
                // The header has the words ZONE, HOST, STATE.
                if cells.len() >= 4 && at(3) != "STATE" {
                    let (zone, host) = (at(1).to_owned(), at(2).to_owned());
                    nodes.push(Node { zone, host, state: at(3).to_uppercase(), instances: Vec::new() });
                }
            }
            Some(&"INSTANCE") => {
                if let (Some(node), Some(id)) = (nodes.last_mut(), cells.get(1).filter(|id| id.starts_with("i-"))) {
                    node.instances.push((*id).to_owned());
                }
            }
            Some(_) | None => {}
        }
    }
    nodes
}

/// `euctl` (`name = value`) or `euca-describe-properties` (`PROPERTY name value`), or a saved list of either.
pub fn parse_properties(text: &str) -> BTreeMap<String, String> {
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        let old = line.strip_prefix("PROPERTY\t").map(|rest| rest.split_once('\t').unwrap_or((rest, "")));
        let pair = old.or_else(|| line.split_once(" = ").or_else(|| Some((line.strip_suffix(" =")?, ""))));
        match pair.filter(|(name, _)| is_property(name.trim())) {
            Some((name, value)) => {
                let name = name.trim().to_owned();
                properties.insert(name.clone(), value.trim().to_owned());
                last = Some(name);
            }
            // A value of several lines (a policy, a certificate).
            None => {
                if let Some(value) = last.as_ref().and_then(|name| properties.get_mut(name)) {
                    value.push('\n');
                    value.push_str(line.trim_end());
                }
            }
        }
    }
    for value in properties.values_mut() {
        value.truncate(value.trim_end().len());
    }
    properties
}

/// `cloud.vmstate.instance_timeout`, `one.storage.blockstoragemanager`.
fn is_property(name: &str) -> bool {
    name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// One entry of a fault log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    pub id: u32,
    /// Seconds since 1970 if the stamp were UTC. It says `Z`, and is the local time of the machine.
    pub at_local_s: i64,
    pub message: String,
}

/// `  ERR-1003 2013-06-14 10:11:12Z The disk containing file system … has …`, between lines of stars.
pub fn parse_faults(text: &str) -> Vec<Fault> {
    text.lines().filter_map(parse_fault).collect()
}

fn parse_fault(line: &str) -> Option<Fault> {
    let (id, rest) = line.trim_start().strip_prefix("ERR-")?.split_once(' ')?;
    let id = id.parse().ok()?;
    let (stamp, message) = rest.split_once('Z')?;
    Some(Fault { id, at_local_s: seconds_of(stamp)?, message: message.trim().to_owned() })
}

/// `YYYY-MM-DD HH:MM:SS`, with or without a fraction.
fn seconds_of(stamp: &str) -> Option<i64> {
    let (day, time) = stamp.trim().split_once(' ')?;
    let mut day = day.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, date) = (day.next()?.ok()?, day.next()?.ok()?, day.next()?.ok()?);
    let time = time.split('.').next()?;
    let mut time = time.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let fits = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&date);
    let fits = fits && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    fits.then(|| days(year, month, date) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970-01-01 of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, date: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BY_TYPE: &str = "SERVICE  TYPE           ZONE   NAME              STATE     \n\
        SERVICE  cluster        one    one-cc-1          enabled   \n\
        SERVICE  eucalyptus     (nil)  10.111.1.53       enabled   \n\
        SERVICE  storage        one    one-sc-1          broken    \n\
        SERVICE  user-api       (nil)  API_10.111.1.53   enabled   \n";
    const BY_HOST: &str = "SERVICE  HOST         TYPE        NAME             STATE     \n\
        SERVICE  10.111.1.41  cluster     one-cc-1         enabled   \n\
        SERVICE  10.111.1.41  storage     one-sc-1         broken    \n";

    #[test]
    fn services_are_read_by_their_header_in_any_grouping() {
        let mut services = parse_services(BY_TYPE);
        join_hosts(&mut services, &parse_services(BY_HOST));
        let told: Vec<String> = services
            .iter()
            .map(|s| format!("{} {}/{} {} @{}", s.component(), s.zone, s.name, s.state, s.host))
            .collect();
        assert_eq!(
            told,
            [
                "cc one/one-cc-1 ENABLED @10.111.1.41",
                "clc /10.111.1.53 ENABLED @",
                "sc one/one-sc-1 BROKEN @10.111.1.41",
                "ufs /API_10.111.1.53 ENABLED @"
            ]
        );
        // Without the table library, tabs part the cells.
        let tabs = "SERVICE\tTYPE\tZONE\tNAME\tSTATE\nSERVICE\tuser-api\t(nil)\tAPI_1\tenabled\nSERVICE\tnode\tone\t10.0.0.1\tstopped\n";
        let services = parse_services(tabs);
        assert_eq!((services.len(), services[0].zone.as_str(), services[1].state.as_str()), (2, "", "STOPPED"));
    }

    #[test]
    fn older_releases_print_states_in_upper_case_between_tabs() {
        let text = "SERVICE\tstorage        \tZONE1          \tSC71           \tBROKEN    \t37  \t\
                    http://192.168.51.71:8773/services/Storage\tarn:euca:eucalyptus:ZONE1:storage:SC71/\n\
                    SERVICEEVENT\t6a1e\tarn:euca:eucalyptus:ZONE1:storage:SC71/\n";
        let services = parse_old_services(text);
        assert_eq!(services.len(), 1);
        assert_eq!((services[0].state.as_str(), services[0].host.as_str()), ("BROKEN", "192.168.51.71"));
        assert_eq!((host_of("http://[fd00::1]:8773/x"), host_of("")), ("fd00::1", ""));
    }

    #[test]
    fn events_keep_the_lines_of_their_message() {
        let text = "2016-06-20 16:16:08 INFO node 10.111.1.15 the node is operating normally\\nFound service status\n\
                    2016-06-27 17:37:57 ERROR node 10.111.5.50 Error occurred in transport\n and more\n\
                    2016-06-28 07:00:17 ERROR node 10.111.5.50\n";
        let events = parse_events(text);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].message, "the node is operating normally\nFound service status");
        assert_eq!(events[1].message, "Error occurred in transport\nand more");
        assert_eq!((events[2].severity.as_str(), events[2].message.as_str()), ("ERROR", ""));
    }

    #[test]
    fn nodes_carry_their_instances() {
        let text = "NODE  one  10.111.1.53  enabled    \nINSTANCE  i-162a8f09      \nINSTANCE  i-2b6cdd10      \n\
                    NODE  one  10.111.5.132  notready    \nINSTANCE  i-ba9307d7\n";
        let nodes = parse_nodes(text);
        let told: Vec<(&str, &str, usize)> =
            nodes.iter().map(|n| (n.host.as_str(), n.state.as_str(), n.instances.len())).collect();
        assert_eq!(told, [("10.111.1.53", "ENABLED", 2), ("10.111.5.132", "NOTREADY", 1)]);
    }

    #[test]
    fn properties_of_both_tools_are_the_same() {
        let new = "cloud.vmstate.instance_timeout = 259200\none.storage.blockstoragemanager = \n\
                   bootstrap.notifications.digest = {\n  a\n}\n";
        let old = "PROPERTY\tcloud.vmstate.instance_timeout\t259200\nPROPERTY\tone.storage.blockstoragemanager\t\n\
                   PROPERTY\tbootstrap.notifications.digest\t{\n  a\n}\n";
        assert_eq!(parse_properties(new), parse_properties(old));
        assert_eq!(parse_properties(new)["bootstrap.notifications.digest"], "{\n  a\n}");
        assert_eq!(parse_properties(new)["one.storage.blockstoragemanager"], "");
    }

    #[test]
    fn faults_are_read_with_the_time_of_their_machine() {
        let log = "************************************************************************\n\
                   \u{20} ERR-1008 2026-11-21 02:00:00Z eucanetd is not running\n\n\
                   \u{20} condition: Can't find running eucanetd process\n     cause: unknown\n\
                   ************************************************************************\n\n";
        let faults = parse_faults(log);
        assert_eq!((faults.len(), faults[0].id, faults[0].at_local_s), (1, 1008, 1_795_226_400));
        assert_eq!(faults[0].message, "eucanetd is not running");
        assert_eq!(parse_faults("ERR-1008 2026-13-21 02:00:00Z x\nERR-x 2026-11-21 02:00:00Z y\n"), []);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(SERVICE|NODE|INSTANCE|PROPERTY|ERR-1|STATE|TYPE|  |\t| = |\n|2026-11-21 02:00:00|Z|\\PC){0,30}") {
            let mut services = parse_services(&text);
            join_hosts(&mut services, &parse_old_services(&text));
            let _ = (parse_events(&text), parse_nodes(&text), parse_properties(&text), parse_faults(&text));
        }

        #[test]
        fn any_truncation_reads(cut in 0usize..300) {
            prop_assert!(parse_services(BY_TYPE.get(..cut).unwrap_or(BY_TYPE)).len() <= 4);
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (stamp, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2000-02-29 12:00:00", 951_825_600),
            ("2016-12-31 23:59:59.9", 1_483_228_799),
            ("2026-11-21 02:00:00", 1_795_226_400),
        ] {
            assert_eq!(seconds_of(stamp), Some(seconds), "{stamp}");
        }
        assert_eq!(seconds_of("0000-00-00 00:00:00"), None);
    }
}
