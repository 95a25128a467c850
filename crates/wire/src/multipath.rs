//! `multipathd show maps json` (libmultipath/print.c): paths of each LUN and the controllers they lead to.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tool_json::{self, JsonError};

/// One LUN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    pub name: String,
    pub uuid: String,
    /// `dm-2`
    pub device: String,
    pub vendor: String,
    pub product: String,
    /// I/O waits when no path is left, instead of failing.
    pub queues: bool,
    /// Failures of paths since the daemon began.
    pub path_faults: Option<u64>,
    pub paths: Vec<Path>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    pub device: String,
    /// Of the device mapper: `active`, `failed`, `undef`.
    pub dm_state: String,
    /// Of the path checker: `ready`, `faulty`, `ghost`, `shaky`, …
    pub checker_state: String,
    /// Of the device: `running`, `offline`.
    pub device_state: String,
    pub is_marginal: bool,
    /// The array's end: port, else node; empty where neither is told.
    pub target: String,
    /// This host's end.
    pub adapter: String,
    /// The group that is used now.
    pub in_active_group: bool,
    /// Of its group: the higher, the better.
    pub priority: i64,
}

impl Path {
    /// The device mapper uses it, and the array answers: a ghost is the standby side of an array, and fine.
    pub fn is_usable(&self) -> bool {
        self.dm_state == "active"
            && matches!(self.checker_state.as_str(), "ready" | "ghost")
            && !matches!(self.device_state.as_str(), "offline" | "blocked")
    }
}

impl Map {
    pub fn usable(&self) -> usize {
        self.paths.iter().filter(|path| path.is_usable()).count()
    }

    /// Ends of the array that paths lead to; all of them, and those of usable paths.
    pub fn controllers(&self) -> (BTreeSet<&str>, BTreeSet<&str>) {
        let of = |usable: bool| {
            let counted = self.paths.iter().filter(move |path| path.is_usable() || !usable);
            counted.map(|path| path.target.as_str()).filter(|target| !target.is_empty()).collect()
        };
        (of(false), of(true))
    }

    /// Ends of the array that no usable path leads to any more.
    pub fn lost_controllers(&self) -> BTreeSet<&str> {
        let (all, used) = self.controllers();
        all.difference(&used).copied().collect()
    }

    /// I/O goes by a poorer group although a better one has a usable path: after a failover nothing switched back.
    pub fn is_trespassed(&self) -> bool {
        let usable = || self.paths.iter().filter(|path| path.is_usable());
        let used = usable().filter(|path| path.in_active_group).map(|path| path.priority).max();
        used.is_some_and(|used| usable().any(|path| !path.in_active_group && path.priority > used))
    }

    /// This host's adapters with a usable path.
    pub fn adapters(&self) -> BTreeSet<&str> {
        let usable = self.paths.iter().filter(|path| path.is_usable());
        usable.map(|path| path.adapter.as_str()).filter(|adapter| !adapter.is_empty()).collect()
    }
}

/// Reads `show maps json`.
///
/// # Errors
/// It is no JSON, or not of multipathd.
pub fn parse(text: &str) -> Result<Vec<Map>, JsonError> {
    let document: Value = tool_json::document(text)?;
    match (document.get("maps"), document.get("map")) {
        (Some(Value::Array(maps)), _) => Ok(maps.iter().map(map).collect()),
        (_, Some(one)) => Ok(vec![map(one)]),
        _ => Err(JsonError::Shape("no member `maps`".into())),
    }
}

/// A word; what the daemon does not know it writes as `[undef]`.
fn word(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str).unwrap_or_default().trim();
    let is_known = !text.is_empty() && !text.starts_with("[undef") && text != "##" && text != "-" && text != "[orphan]";
    if is_known { text.to_owned() } else { String::new() }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn map(value: &Value) -> Map {
    let queueing = word(value, "queueing");
    let groups = list(value, "path_groups");
    let in_use = |group: &Value| word(group, "dm_st") == "active";
    Map {
        name: word(value, "name"),
        uuid: word(value, "uuid"),
        device: word(value, "sysfs"),
        vendor: word(value, "vend"),
        product: word(value, "prod"),
        queues: word(value, "features").contains("queue_if_no_path") || queueing == "on",
        path_faults: value.get("path_faults").and_then(Value::as_u64),
        paths: groups
            .iter()
            .flat_map(|group| {
                let priority = group.get("pri").and_then(Value::as_i64).unwrap_or(0);
                list(group, "paths").iter().map(move |one| Path { priority, ..path(one, in_use(group)) })
            })
            .collect(),
    }
}

fn path(value: &Value, in_active_group: bool) -> Path {
    let port = word(value, "target_wwpn");
    let adapter = word(value, "host_wwpn");
    Path {
        device: word(value, "dev"),
        dm_state: word(value, "dm_st"),
        checker_state: word(value, "chk_st"),
        device_state: word(value, "dev_st"),
        is_marginal: word(value, "marginal_st") == "marginal",
        // iSCSI has no port names: the target's own name tells it.
        target: if port.is_empty() { word(value, "target_wwnn") } else { port },
        adapter: if adapter.is_empty() { word(value, "host_adapter") } else { adapter },
        in_active_group,
        priority: 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-written after libmultipath/print.c: an array of two controllers by FC, one path gone; a LUN by iSCSI.
    const MAPS: &str = r#"multipathd> show maps json
{"major_version": 0,"minor_version": 1,"maps": [
 {"name":"mpatha","uuid":"36006","sysfs":"dm-2","failback":"immediate","queueing":"5 chk","paths":4,"write_prot":"rw","dm_st":"active",
  "features":"1 queue_if_no_path","hwhandler":"1 alua","action":"","path_faults":3,"vend":"DGC     ","prod":"VRAID",
  "path_groups":[
   {"selector":"service-time 0","pri":50,"dm_st":"active","group":1,"paths":[
    {"dev":"sdb","dev_t":"8:16","dm_st":"active","dev_st":"running","chk_st":"ready","checker":"tur","pri":50,
     "host_wwnn":"0x1","target_wwnn":"0xa","host_wwpn":"0x11","target_wwpn":"0xa1","host_adapter":"0000:04:00.0"},
    {"dev":"sdc","dm_st":"failed","dev_st":"running","chk_st":"faulty","host_wwpn":"0x12","target_wwpn":"0xa1"}]},
   {"selector":"service-time 0","pri":10,"dm_st":"enabled","group":2,"paths":[
    {"dev":"sdd","dm_st":"active","dev_st":"running","chk_st":"ghost","host_wwpn":"0x11","target_wwpn":"0xb1"},
    {"dev":"sde","dm_st":"active","dev_st":"offline","chk_st":"ready","host_wwpn":"0x12","target_wwpn":"0xb1","marginal_st":"marginal"}]}]},
 {"name":"mpathb","uuid":"36007","queueing":"off","features":"0","path_groups":[{"dm_st":"active","paths":[
    {"dev":"sdf","dm_st":"active","dev_st":"running","chk_st":"ready","target_wwnn":"iqn.2010-06.com.example:a","target_wwpn":"[undef]",
     "host_wwpn":"[undef]","host_adapter":"192.0.2.31"}]}]},
 {"name":"mpathc","path_groups":[]}]}"#;

    #[test]
    fn paths_and_controllers_of_each_lun_are_counted() {
        let maps = parse(MAPS).expect("JSON");
        let counts: Vec<(usize, usize, usize, usize, usize)> = maps
            .iter()
            .map(|map| {
                let (all, used) = map.controllers();
                (map.usable(), map.paths.len(), used.len(), all.len(), map.adapters().len())
            })
            .collect();
        assert_eq!(counts, [(2, 4, 2, 2, 1), (1, 1, 1, 1, 1), (0, 0, 0, 0, 0)]);
        assert_eq!(maps.iter().map(|map| map.queues).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!((maps[0].vendor.as_str(), maps[0].path_faults), ("DGC", Some(3)));
        assert_eq!(maps[1].paths[0].target, "iqn.2010-06.com.example:a");
        assert!(maps[0].paths[3].is_marginal && maps[0].paths[0].in_active_group && !maps[0].paths[2].in_active_group);
    }

    #[test]
    fn a_controller_without_a_usable_path_and_a_failover_that_stays_are_told() {
        let maps = parse(MAPS).expect("JSON");
        assert_eq!((maps[0].lost_controllers().len(), maps[0].is_trespassed()), (0, false));
        let gone =
            parse(&MAPS.replace(r#""dev":"sdb","dev_t":"8:16","dm_st":"active""#, r#""dev":"sdb","dm_st":"failed""#));
        assert_eq!(gone.expect("JSON")[0].lost_controllers().into_iter().collect::<Vec<_>>(), ["0xa1"]);
        let stays = MAPS.replacen(r#""dm_st":"active","group":1"#, r#""dm_st":"enabled","group":1"#, 1).replacen(
            r#""dm_st":"enabled","group":2"#,
            r#""dm_st":"active","group":2"#,
            1,
        );
        assert!(parse(&stays).expect("JSON")[0].is_trespassed());
    }

    #[test]
    fn only_active_paths_that_answer_are_usable() {
        for (dm, checker, device, usable) in [
            ("active", "ready", "running", true),
            ("active", "ghost", "running", true),
            ("active", "ready", "", true),
            ("failed", "ready", "running", false),
            ("active", "faulty", "running", false),
            ("active", "shaky", "running", false),
            ("active", "i/o timeout", "running", false),
            ("active", "ready", "offline", false),
            ("undef", "undef", "unknown", false),
        ] {
            let path = Path {
                dm_state: dm.into(),
                checker_state: checker.into(),
                device_state: device.into(),
                ..Path::default()
            };
            assert_eq!(path.is_usable(), usable, "{dm} {checker} {device}");
        }
    }

    #[test]
    fn what_is_not_of_the_daemon_is_refused() {
        assert!(parse("error receiving packet").is_err());
        assert!(matches!(parse("{}"), Err(JsonError::Shape(_))));
        assert_eq!(parse(r#"{"maps": []}"#), Ok(vec![]));
        assert_eq!(parse(r#"{"map":{"name":"m"}}"#).map(|maps| maps.len()), Ok(1));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\{|\\}|\\[|\\]|\"maps\"|\"path_groups\"|\"paths\"|:|,|[0-9]{1,9}|\\PC){0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..1900) {
            let _ = parse(MAPS.get(..cut).unwrap_or(MAPS));
        }
    }
}
