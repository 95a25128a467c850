//! Proxmox VE's API as a monitor reads it: membership and quorum, HA, resources of the cluster, services, tasks of a node; and what
//! `corosync-cfgtool` and `corosync-quorumtool` print on a node.

use serde_json::Value;

/// Backups of a node that are looked at.
pub const TASKS_MAX: usize = 200;

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxmoxError {
    #[error("it is no answer of Proxmox VE: no `data`")]
    NoData,
    #[error("`data` is no list")]
    NoList,
    #[error("an entry of `data` has no `{0}`")]
    HalfEntry(&'static str),
}

/// `GET /cluster/status`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Membership {
    /// `None`: a node by itself, in no cluster.
    pub cluster: Option<String>,
    /// `None` where there is no cluster.
    pub is_quorate: Option<bool>,
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    pub name: String,
    pub is_online: bool,
    /// The one that answers.
    pub is_local: bool,
}

impl Membership {
    /// # Errors
    /// It is no such list, or an entry is half.
    pub fn read(json: &Value) -> Result<Membership, ProxmoxError> {
        let mut seen = Membership::default();
        for row in rows(json)? {
            match text(row, "type").as_str() {
                "cluster" => {
                    seen.cluster = Some(text(row, "name"));
                    seen.is_quorate = Some(flag(row, "quorate").ok_or(ProxmoxError::HalfEntry("quorate"))?);
                }
                "node" => seen.nodes.push(Node {
                    name: needed(row, "name")?,
                    is_online: flag(row, "online").ok_or(ProxmoxError::HalfEntry("online"))?,
                    is_local: flag(row, "local").unwrap_or(false),
                }),
                _ => {}
            }
        }
        seen.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(seen)
    }

    /// The name of the node that answered.
    pub fn local(&self) -> Option<&str> {
        self.nodes.iter().find(|node| node.is_local).map(|node| node.name.as_str())
    }
}

/// `GET /cluster/ha/status/current`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ha {
    pub is_quorate: Option<bool>,
    /// Node and word: `active`, `idle`, `old timestamp - dead?`.
    pub master: Option<(String, String)>,
    /// Each node's local resource manager: `active`, `idle`, `wait_for_agent_lock`, `maintenance mode`, `old timestamp - dead?`.
    pub managers: Vec<(String, String)>,
    pub services: Vec<HaService>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HaService {
    pub id: String,
    pub node: String,
    /// `started`, `stopped`, `fence`, `recovery`, `error`, …
    pub state: String,
}

impl Ha {
    /// # Errors
    /// It is no such list, or an entry is half.
    pub fn read(json: &Value) -> Result<Ha, ProxmoxError> {
        let mut seen = Ha::default();
        for row in rows(json)? {
            match text(row, "type").as_str() {
                "quorum" => seen.is_quorate = flag(row, "quorate"),
                "master" => seen.master = Some((needed(row, "node")?, word(&needed(row, "status")?))),
                "lrm" => seen.managers.push((needed(row, "node")?, word(&needed(row, "status")?))),
                "service" => seen.services.push(HaService {
                    id: needed(row, "sid")?,
                    node: text(row, "node"),
                    state: text(row, "state"),
                }),
                _ => {}
            }
        }
        seen.managers.sort();
        seen.services.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(seen)
    }
}

/// The word in brackets: `pve1 (active, Tue Nov 22 06:00:00 2026)`.
fn word(status: &str) -> String {
    let inside = status.split_once('(').map_or(status, |(_, inside)| inside);
    inside.split([',', ')']).next().unwrap_or_default().trim().to_owned()
}

/// A storage as one node sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    pub name: String,
    pub node: String,
    /// `available`; `unknown` while `pvestatd` of the node tells nothing of it: it is off, or `pvestatd` hangs.
    pub status: String,
    pub is_shared: bool,
    pub used_pct: Option<f64>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Guest {
    pub id: String,
    pub name: String,
    pub node: String,
    /// `running`, `stopped`; `unknown` while `pvestatd` of the node tells nothing.
    pub status: String,
    pub ha_state: String,
    pub lock: String,
    pub is_template: bool,
}

/// `GET /cluster/resources`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Name and `online`, `offline` or `unknown`.
    pub nodes: Vec<(String, String)>,
    pub guests: Vec<Guest>,
    pub storages: Vec<Storage>,
}

impl Resources {
    /// # Errors
    /// It is no such list, or an entry is half.
    pub fn read(json: &Value) -> Result<Resources, ProxmoxError> {
        let mut seen = Resources::default();
        for row in rows(json)? {
            match text(row, "type").as_str() {
                "node" => seen.nodes.push((needed(row, "node")?, text(row, "status"))),
                "qemu" | "lxc" => seen.guests.push(Guest {
                    id: row.get("vmid").and_then(id).ok_or(ProxmoxError::HalfEntry("vmid"))?,
                    name: text(row, "name"),
                    node: needed(row, "node")?,
                    status: text(row, "status"),
                    ha_state: text(row, "hastate"),
                    lock: text(row, "lock"),
                    is_template: flag(row, "template").unwrap_or(false),
                }),
                "storage" => {
                    let size = number(row, "maxdisk").filter(|size| *size > 0.0);
                    let used = number(row, "disk").zip(size).map(|(used, size)| (used / size * 1000.0).round() / 10.0);
                    seen.storages.push(Storage {
                        name: needed(row, "storage")?,
                        node: needed(row, "node")?,
                        status: text(row, "status"),
                        is_shared: flag(row, "shared").unwrap_or(false),
                        used_pct: used.filter(|used| used.is_finite()),
                    });
                }
                _ => {}
            }
        }
        seen.nodes.sort();
        seen.guests.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
        seen.storages.sort_by(|a, b| (&a.node, &a.name).cmp(&(&b.node, &b.name)));
        Ok(seen)
    }
}

/// One entry of `GET /nodes/NODE/qemu?full=1`: a virtual machine as QEMU itself says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Machine {
    pub id: String,
    pub name: String,
    /// `running`, `stopped`: whether its process is there.
    pub status: String,
    /// QEMU's run state: `running`, `paused`, `io-error`, `internal-error`, `guest-panicked`, …; as `status` where QEMU did not answer.
    pub run_state: String,
    /// `backup`, `migrate`, `snapshot`, …
    pub lock: String,
    pub is_template: bool,
}

/// # Errors
/// It is no such list, or an entry is half.
pub fn machines(json: &Value) -> Result<Vec<Machine>, ProxmoxError> {
    let read = |row: &Value| {
        let status = needed(row, "status")?;
        let run_state = Some(text(row, "qmpstatus")).filter(|state| !state.is_empty());
        Ok(Machine {
            id: row.get("vmid").and_then(id).ok_or(ProxmoxError::HalfEntry("vmid"))?,
            name: text(row, "name"),
            run_state: run_state.unwrap_or_else(|| status.clone()),
            status,
            lock: text(row, "lock"),
            is_template: flag(row, "template").unwrap_or(false),
        })
    };
    let mut machines = rows(json)?.iter().map(read).collect::<Result<Vec<Machine>, ProxmoxError>>()?;
    machines.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
    Ok(machines)
}

/// One entry of `GET /nodes/NODE/services`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unit {
    pub name: String,
    /// systemd's sub-state: `running`, `dead`, `failed`, …
    pub state: String,
    /// `enabled`, `disabled`, `not-found`, `masked`, …
    pub unit_state: String,
}

/// # Errors
/// It is no such list, or an entry is half.
pub fn units(json: &Value) -> Result<Vec<Unit>, ProxmoxError> {
    let read = |row: &Value| {
        Ok(Unit { name: needed(row, "name")?, state: needed(row, "state")?, unit_state: text(row, "unit-state") })
    };
    let mut units = rows(json)?.iter().map(read).collect::<Result<Vec<Unit>, ProxmoxError>>()?;
    units.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(units)
}

/// One task of a node, the newest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Task {
    pub kind: String,
    pub started_s: i64,
    pub ended_s: Option<i64>,
    /// `OK`, an error, or empty while it runs.
    pub status: String,
}

/// Reads `GET /nodes/NODE/tasks`.
///
/// # Errors
/// It is no such list, or an entry is half.
pub fn tasks(json: &Value) -> Result<Vec<Task>, ProxmoxError> {
    let read = |row: &Value| {
        Ok(Task {
            kind: text(row, "type"),
            started_s: row.get("starttime").and_then(Value::as_i64).ok_or(ProxmoxError::HalfEntry("starttime"))?,
            ended_s: row.get("endtime").and_then(Value::as_i64),
            status: text(row, "status"),
        })
    };
    let mut tasks = rows(json)?.iter().take(TASKS_MAX).map(read).collect::<Result<Vec<Task>, ProxmoxError>>()?;
    tasks.sort_by_key(|task| std::cmp::Reverse(task.started_s));
    Ok(tasks)
}

fn rows(json: &Value) -> Result<&[Value], ProxmoxError> {
    let data = json.get("data").ok_or(ProxmoxError::NoData)?;
    data.as_array().map(Vec::as_slice).ok_or(ProxmoxError::NoList)
}

fn text(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn needed(row: &Value, key: &'static str) -> Result<String, ProxmoxError> {
    let word = text(row, key);
    if word.is_empty() { Err(ProxmoxError::HalfEntry(key)) } else { Ok(word) }
}

/// Perl writes truth as 0, 1, "0", "1" or (since 8) as JSON has it.
fn flag(row: &Value, key: &str) -> Option<bool> {
    match row.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        Value::String(text) => Some(!matches!(text.as_str(), "" | "0")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(row: &Value, key: &str) -> Option<f64> {
    let value = row.get(key)?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}

fn id(value: &Value) -> Option<String> {
    value.as_u64().map(|id| id.to_string()).or_else(|| value.as_str().map(str::to_owned))
}

/// Links of corosync on a node, from `corosync-cfgtool -s`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Links {
    /// Links by number, and which peers each does not reach.
    pub links: Vec<(u32, Vec<String>)>,
}

impl Links {
    /// Corosync 3 (knet): one line for each peer, `nodeid:          2: connected`; `localhost` is the node itself.
    pub fn read(printed: &str) -> Links {
        let mut seen = Links::default();
        for line in printed.lines() {
            let line = line.trim();
            if let Some(number) = line.strip_prefix("LINK ID ") {
                let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
                if let Ok(number) = digits.parse() {
                    seen.links.push((number, Vec::new()));
                }
                continue;
            }
            // 3.0 wrote `nodeid  2:\tlink enabled:1\tlink connected:1`.
            let Some(peer) = line.strip_prefix("nodeid") else { continue };
            let Some((peer, state)) = peer.trim_start_matches(':').split_once(':') else { continue };
            let state = state.trim();
            let is_up = matches!(state, "localhost" | "connected") || state.ends_with("connected:1");
            if let Some((_, gone)) = seen.links.last_mut().filter(|_| !is_up) {
                gone.push(peer.trim().to_owned());
            }
        }
        seen
    }

    /// Links that reach no peer, or not all.
    pub fn down(&self) -> Vec<String> {
        self.links.iter().filter(|(_, gone)| !gone.is_empty()).map(|(number, _)| number.to_string()).collect()
    }
}

/// Votes as `corosync-quorumtool -s` (or `pvecm status`) tells them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Votes {
    pub is_quorate: Option<bool>,
    pub expected: Option<u32>,
    pub total: Option<u32>,
    pub quorum: Option<u32>,
    /// `Qdevice` is named in the flags.
    pub has_qdevice: bool,
    /// The device votes.
    pub qdevice_votes: Option<bool>,
}

impl Votes {
    pub fn read(printed: &str) -> Votes {
        let mut seen = Votes::default();
        for line in printed.lines() {
            let number = |text: &str| text.split_whitespace().next().and_then(|word| word.parse().ok());
            // The device among the members: `0x00000000  1  Qdevice`; `0  0  Qdevice (votes 1)` while it gives no vote.
            let words: Vec<&str> = line.split_whitespace().take(3).collect();
            if let [_, votes, "Qdevice"] = words.as_slice()
                && let Ok(votes) = votes.parse::<u32>()
            {
                seen.has_qdevice = true;
                seen.qdevice_votes = Some(votes > 0);
                continue;
            }
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "Quorate" => seen.is_quorate = Some(value.starts_with("Yes")),
                "Expected votes" => seen.expected = number(value),
                "Total votes" => seen.total = number(value),
                "Quorum" => seen.quorum = number(value),
                "Flags" => seen.has_qdevice |= value.contains("Qdevice"),
                _ => {}
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests;
