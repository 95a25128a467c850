//! From what Proxmox VE answers to facts: of the cluster as the node that was asked sees it, and of this node.

use stentor_core::Timestamp;
use stentor_core::model::{Observation, Value};
use stentor_wire::proxmox::{Guest, Ha, Machine, Membership, Resources, Storage, Task, Unit};

use crate::talk::shown;

/// Names in one fact.
const NAMES_MAX: usize = 20;
/// Hosts that are told for comparison.
const HOSTS_MAX: usize = 1000;

fn say(seen: Observation, text: String) -> Observation {
    Observation { text: text.into(), ..seen }
}

fn names<'a, T: 'a>(of: impl Iterator<Item = &'a T>, name: impl Fn(&T) -> &str) -> Vec<String> {
    of.take(NAMES_MAX).map(|one| shown(name(one))).collect()
}

/// The controller's hosts, for comparison with the configured ones.
fn hosts<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let row = |name: &str| -> Value { [("host", Value::from(shown(name)))].into_iter().collect() };
    Value::List(names.take(HOSTS_MAX).map(row).collect())
}

pub(super) fn quorum(seen: Observation, members: &Membership) -> Observation {
    let online = members.nodes.iter().filter(|node| node.is_online).count();
    let offline = names(members.nodes.iter().filter(|node| !node.is_online), |node| &node.name);
    let word = match members.is_quorate {
        None => "alone",
        Some(true) => "quorate",
        Some(false) => "no_quorum",
    };
    let mut text = match word {
        "alone" => "a node by itself, in no cluster".to_owned(),
        "quorate" => format!("quorate, {online} of {} nodes", members.nodes.len()),
        _ => format!("NO QUORUM here, it sees {online} of {} nodes; /etc/pve is read-only", members.nodes.len()),
    };
    if !offline.is_empty() {
        text.push_str(&format!(", away: {}", offline.join(" ")));
    }
    let seen = say(seen, text)
        .fact("quorum", word)
        .fact("members", members.nodes.len())
        .fact("nodes", hosts(members.nodes.iter().map(|node| node.name.as_str())))
        .fact("nodes_online", online)
        .fact("nodes_offline", offline)
        .measure("nodes_online", online as f64, "");
    let seen = match &members.cluster {
        Some(cluster) => seen.fact("cluster", shown(cluster)),
        None => seen,
    };
    match members.local() {
        Some(local) => seen.fact("node", shown(local)),
        None => seen,
    }
}

/// What a local resource manager does, in one word.
fn manager(word: &str) -> &'static str {
    match word {
        "active" => "active",
        "idle" => "idle",
        "wait_for_agent_lock" => "waiting",
        "lost_agent_lock" => "lock_lost",
        "maintenance mode" | "maintenance" => "maintenance",
        "restart mode" | "shutdown mode" => "stopping",
        "old timestamp - dead?" => "dead",
        "unable to read lrm status" => "unreadable",
        "detected time drift!" => "drift",
        _ => "other",
    }
}

pub(super) fn ha(seen: Observation, ha: &Ha, node: &str) -> Observation {
    let own = ha.managers.iter().find(|(name, _)| name.eq_ignore_ascii_case(node));
    // Without HA services there is no manager of the node yet.
    let lrm = own.map_or("none", |(_, word)| manager(word));
    let (master, crm) = match &ha.master {
        Some((name, word)) => (name.as_str(), manager(word)),
        None => ("", "none"),
    };
    let in_state = |states: &[&str]| {
        names(ha.services.iter().filter(|service| states.contains(&service.state.as_str())), |service| &service.id)
    };
    let (fencing, failed) = (in_state(&["fence", "recovery"]), in_state(&["error"]));
    let own_services = ha.services.iter().filter(|service| service.node.eq_ignore_ascii_case(node)).count();
    let mut text = format!(
        "LRM of {node} {lrm}, CRM {crm} on {master}",
        master = if master.is_empty() { "no node" } else { master }
    );
    for (list, what) in [(&fencing, "FENCED"), (&failed, "in error")] {
        if !list.is_empty() {
            text.push_str(&format!(", {what}: {}", list.join(" ")));
        }
    }
    let seen = say(seen, text)
        .fact("lrm", lrm)
        .fact("crm", crm)
        .fact("master", shown(master))
        .fact("is_master", master.eq_ignore_ascii_case(node))
        .fact("ha_services", ha.services.len())
        .fact("ha_services_here", own_services)
        .fact("fencing", fencing)
        .fact("failed", failed)
        .measure("ha_services_here", own_services as f64, "");
    match ha.is_quorate {
        Some(quorate) => seen.fact("ha_quorate", quorate),
        None => seen,
    }
}

pub(super) fn storage(seen: Observation, all: &Resources, node: &str, wanted: &[String]) -> Observation {
    let own: Vec<&Storage> = all.storages.iter().filter(|one| one.node.eq_ignore_ascii_case(node)).collect();
    let inactive: Vec<String> =
        own.iter().filter(|one| one.status != "available").take(NAMES_MAX).map(|one| shown(&one.name)).collect();
    let is_there = |name: &&String| own.iter().any(|one| one.name == **name);
    let missing: Vec<String> = wanted.iter().filter(|name| !is_there(name)).cloned().collect();
    let fullest = own.iter().filter_map(|one| Some((one.used_pct?, &one.name)));
    let fullest = fullest.max_by(|a, b| a.0.total_cmp(&b.0));
    let mut text = format!("{} of {} storages of {node} active", own.len() - inactive.len().min(own.len()), own.len());
    for (list, what) in [(&inactive, "not"), (&missing, "missing")] {
        if !list.is_empty() {
            text.push_str(&format!(", {what}: {}", list.join(" ")));
        }
    }
    if let Some((used, name)) = fullest {
        text.push_str(&format!(", {} is {used} % full", shown(name)));
    }
    // With nothing told of any storage it is pvestatd that is silent, not the storages.
    let told = own.iter().any(|one| one.status == "available");
    let seen = say(seen, text)
        .fact("storages", own.len())
        .fact("any_active", told)
        .fact("inactive", inactive)
        .fact("missing", missing);
    match fullest {
        Some((used, name)) => seen.fact("used_pct_max", used).fact("fullest", shown(name)).measure("used", used, "%"),
        None => seen,
    }
}

pub(super) fn guests(seen: Observation, all: &Resources, node: &str, wanted: &[String]) -> Observation {
    let of_node = all.nodes.iter().find(|(name, _)| name.eq_ignore_ascii_case(node));
    let own: Vec<&Guest> =
        all.guests.iter().filter(|one| !one.is_template && one.node.eq_ignore_ascii_case(node)).collect();
    let count = |status: &str| own.iter().filter(|one| one.status == status).count();
    let (running, unknown) = (count("running"), count("unknown"));
    // HA may have moved them: wherever they run, they run. `hastate` is what is wanted of the others.
    let runs =
        |id: &str| all.guests.iter().any(|one| one.id == id && matches!(one.status.as_str(), "running" | "unknown"));
    let here_or_gone =
        |id: &str| all.guests.iter().find(|one| one.id == id).is_none_or(|one| one.node.eq_ignore_ascii_case(node));
    let down: Vec<String> = wanted.iter().filter(|id| here_or_gone(id) && !runs(id)).cloned().collect();
    let ha_down = own.iter().filter(|one| one.ha_state == "started" && one.status == "stopped");
    let ha_down: Vec<String> = ha_down.take(NAMES_MAX).map(|one| shown(&one.id)).collect();
    let ha_failed: Vec<String> =
        own.iter().filter(|one| one.ha_state == "error").take(NAMES_MAX).map(|one| shown(&one.id)).collect();
    let mut text = format!("{running} of {} guests of {node} run", own.len());
    for (list, what) in [(&down, "DOWN"), (&ha_down, "wanted by HA and stopped"), (&ha_failed, "in HA error")] {
        if !list.is_empty() {
            text.push_str(&format!(", {what}: {}", list.join(" ")));
        }
    }
    if unknown > 0 {
        text.push_str(&format!(", nothing is told of {unknown}"));
    }
    let statistics = match of_node {
        Some((_, status)) if status == "online" => "fresh",
        Some((_, status)) if status == "unknown" => "none",
        Some(_) | None => "away",
    };
    say(seen, text)
        .fact("guests", own.len())
        .fact("running", running)
        .fact("unknown", unknown)
        .fact("down", down)
        .fact("ha_down", ha_down)
        .fact("ha_failed", ha_failed)
        .fact("statistics", statistics)
        .measure("running", running as f64, "")
}

pub(super) fn services(seen: Observation, all: &[Unit], unit: Option<&str>) -> Observation {
    let enabled = all.iter().filter(|one| one.unit_state == "enabled");
    let dead = names(enabled.filter(|one| one.state != "running"), |one| &one.name);
    let mut text = format!("{} services", all.len());
    if !dead.is_empty() {
        text.push_str(&format!(", not running: {}", dead.join(" ")));
    }
    let seen = say(seen, text).fact("services", all.len()).fact("dead", dead);
    let Some(unit) = unit else { return seen };
    let Some(own) = all.iter().find(|one| one.name == unit) else {
        return say(seen, format!("the node knows no service `{unit}`")).fact("unit", "missing");
    };
    let word = match own.state.as_str() {
        "running" => "running",
        "auto-restart" | "start" | "start-pre" | "start-post" | "reload" => "restarting",
        _ => "absent",
    };
    say(seen, format!("{unit} is {}", shown(&own.state))).fact("unit", shown(&own.state)).fact("process", word)
}

pub(super) fn backup(seen: Observation, all: &[Task], now: Timestamp) -> Observation {
    let mut done = all.iter().filter(|task| task.ended_s.is_some());
    let running = all.iter().any(|task| task.ended_s.is_none() && task.status.is_empty());
    let age = |end: i64| now.since(Timestamp::from_secs(end)).as_secs_f64();
    let is_good = |task: &&Task| task.status == "OK" || task.status.starts_with("WARNINGS");
    let good = all.iter().filter(is_good).filter_map(|task| task.ended_s).max();
    let newest = done.next();
    let word = match newest {
        None => "never",
        Some(task) if task.status == "OK" => "ok",
        Some(task) if task.status.starts_with("WARNINGS") => "warnings",
        Some(_) => "failed",
    };
    let mut text = match newest {
        None => "no backup of this node is known".to_owned(),
        Some(task) => format!("last backup: {}", shown(&task.status)),
    };
    if let Some(end) = good {
        text.push_str(&format!(", the last good one {:.0} h ago", age(end) / 3600.0));
    }
    let mut seen = say(seen, text).fact("backup", word).fact("running", running);
    if let Some(task) = newest {
        seen = seen.fact("result", shown(&task.status));
    }
    match good {
        Some(end) => seen.fact("good_age_s", age(end)).measure("good_age", age(end), "s"),
        None => seen,
    }
}

/// Machines that a process is there of and that do not go on.
pub(super) fn vms(seen: Observation, all: &[Machine]) -> Observation {
    let own = || all.iter().filter(|one| !one.is_template && one.status == "running");
    let in_state = |states: &[&str]| names(own().filter(|one| states.contains(&one.run_state.as_str())), |one| &one.id);
    let io_error = in_state(&["io-error"]);
    let broken = in_state(&["internal-error", "guest-panicked"]);
    // A backup, a snapshot and a migration stop a machine for a moment, and hold a lock meanwhile.
    let is_paused = |one: &&Machine| matches!(one.run_state.as_str(), "paused" | "suspended") && one.lock.is_empty();
    let paused = names(own().filter(is_paused), |one| &one.id);
    let going = own().filter(|one| one.run_state == "running").count();
    let mut text = format!("{going} of {} virtual machines with a process go on", own().count());
    for (list, what) in [(&io_error, "IO-ERROR"), (&broken, "BROKEN"), (&paused, "paused")] {
        if !list.is_empty() {
            text.push_str(&format!(", {what}: {}", list.join(" ")));
        }
    }
    let stalled = io_error.len() + broken.len();
    say(seen, text)
        .fact("vms", own().count())
        .fact("going", going)
        .fact("io_error", io_error)
        .fact("broken", broken)
        .fact("paused", paused)
        .measure("stalled", stalled as f64, "")
}
