//! DRBD as its kernel module and tools tell it: `/proc/drbd` (8.x), `drbdsetup status` as JSON and text (9.x), kernel log.

pub mod events;

use serde_json::Value;

use crate::tool_json::{self, JsonError};

/// One volume as seen from here towards one peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replica {
    /// Name of the resource; empty where only the minor is known.
    pub resource: String,
    pub volume: u32,
    pub minor: Option<u32>,
    /// Name of the peer; empty where it is not told.
    pub peer: String,
    /// As `/proc/drbd` has it: `Connected`, `WFConnection`, `StandAlone`, `SyncSource`, …; of DRBD 9 the replication state
    /// where there is one, else the connection state.
    pub connection: String,
    pub role: String,
    pub peer_role: String,
    pub disk: String,
    pub peer_disk: String,
    /// I/O does not go on: suspended, or quorum lost.
    pub is_frozen: bool,
    /// The resync waits for somebody.
    pub is_paused: bool,
    pub out_of_sync_kib: Option<u64>,
    pub resync: Option<Resync>,
    /// Has no disk by intent (DRBD 9 client).
    pub is_client: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resync {
    pub done_pct: Option<f64>,
    pub left_s: Option<f64>,
    pub speed_kib_s: Option<f64>,
    /// The module itself says that it does not move.
    pub is_stalled: bool,
}

/// What is wrong with a replica, worst last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Finding {
    Ok,
    /// Online verify runs.
    Verify,
    /// Connections or disks on their way from one state to another.
    Transient,
    /// Nobody is primary.
    NoPrimary,
    Resync,
    ResyncPaused,
    /// A copy is not usable and nothing repairs it.
    Inconsistent,
    Outdated,
    /// The peer's disk is gone.
    PeerDiskless,
    /// Our disk is gone, and we are not primary.
    Diskless,
    ResyncStalled,
    PeerLost,
    /// Disconnected until somebody connects it by hand.
    StandAlone,
    DisklessPrimary,
    Frozen,
    DualPrimary,
    SplitBrain,
}

impl Finding {
    pub fn word(self) -> &'static str {
        match self {
            Finding::Ok => "ok",
            Finding::Verify => "verify",
            Finding::Transient => "transient",
            Finding::NoPrimary => "no_primary",
            Finding::Resync => "resync",
            Finding::ResyncPaused => "resync_paused",
            Finding::Inconsistent => "inconsistent",
            Finding::Outdated => "outdated",
            Finding::PeerDiskless => "peer_diskless",
            Finding::Diskless => "diskless",
            Finding::ResyncStalled => "resync_stalled",
            Finding::PeerLost => "peer_lost",
            Finding::StandAlone => "stand_alone",
            Finding::DisklessPrimary => "diskless_primary",
            Finding::Frozen => "frozen",
            Finding::DualPrimary => "dual_primary",
            Finding::SplitBrain => "split_brain",
        }
    }
}

impl Replica {
    /// `Primary/Secondary`, local first.
    pub fn roles(&self) -> String {
        format!("{}/{}", self.role, self.peer_role)
    }

    pub fn disks(&self) -> String {
        format!("{}/{}", self.disk, self.peer_disk)
    }

    /// Bytes are being copied, or should be.
    pub fn is_syncing(&self) -> bool {
        matches!(self.connection.as_str(), "SyncSource" | "SyncTarget" | "PausedSyncS" | "PausedSyncT")
    }

    /// Judges one replica by itself; whether a resync moves and what the log says is told from outside.
    pub fn finding(&self, dual_primary_is_fine: bool) -> Finding {
        let all = [
            self.by_role(dual_primary_is_fine),
            self.by_disks(),
            self.by_connection(),
            if self.is_frozen { Finding::Frozen } else { Finding::Ok },
        ];
        all.into_iter().max().unwrap_or(Finding::Ok)
    }

    fn by_role(&self, dual_primary_is_fine: bool) -> Finding {
        match (self.role.as_str(), self.peer_role.as_str()) {
            ("Primary", "Primary") if !dual_primary_is_fine => Finding::DualPrimary,
            ("Secondary", "Secondary") => Finding::NoPrimary,
            _ => Finding::Ok,
        }
    }

    fn by_disks(&self) -> Finding {
        let gone = |disk: &str| matches!(disk, "Diskless" | "Failed" | "Detaching");
        let syncing = self.is_syncing();
        if gone(&self.disk) && !self.is_client {
            return if self.role == "Primary" { Finding::DisklessPrimary } else { Finding::Diskless };
        }
        if gone(&self.peer_disk) && !self.is_client {
            return Finding::PeerDiskless;
        }
        let either = |word: &str| self.disk == word || self.peer_disk == word;
        if either("Outdated") {
            return Finding::Outdated;
        }
        if either("Inconsistent") && !syncing {
            return Finding::Inconsistent;
        }
        if either("Attaching") || either("Negotiating") { Finding::Transient } else { Finding::Ok }
    }

    fn by_connection(&self) -> Finding {
        match self.connection.as_str() {
            "Connected" | "Established" => Finding::Ok,
            "VerifyS" | "VerifyT" => Finding::Verify,
            "SyncSource" | "SyncTarget" if self.is_paused => Finding::ResyncPaused,
            "SyncSource" | "SyncTarget" if self.resync.is_some_and(|resync| resync.is_stalled) => {
                Finding::ResyncStalled
            }
            "SyncSource" | "SyncTarget" => Finding::Resync,
            "PausedSyncS" | "PausedSyncT" => Finding::ResyncPaused,
            "StandAlone" => Finding::StandAlone,
            "WFConnection" | "Connecting" | "Unconnected" | "Timeout" | "BrokenPipe" | "NetworkFailure"
            | "ProtocolError" | "Disconnecting" | "TearDown" => Finding::PeerLost,
            _ => Finding::Transient,
        }
    }
}

/// What `/proc/drbd` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcDrbd {
    /// `8.4.11`; empty if the file says none.
    pub version: String,
    pub replicas: Vec<Replica>,
}

impl ProcDrbd {
    /// From DRBD 9 on the file has no devices.
    pub fn tells_devices(&self) -> bool {
        self.version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 9)
    }
}

/// Reads `/proc/drbd`; what is unknown is passed over.
pub fn parse_proc(text: &str) -> ProcDrbd {
    let mut seen = ProcDrbd::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("version:") {
            seen.version = rest.split_whitespace().next().unwrap_or_default().to_owned();
        } else if let Some(replica) = proc_device(line) {
            seen.replicas.push(replica);
        } else if let Some(replica) = seen.replicas.last_mut() {
            proc_detail(line, replica);
        }
    }
    seen
}

/// ` 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----`
fn proc_device(line: &str) -> Option<Replica> {
    let (minor, rest) = line.trim_start().split_once(": ")?;
    let minor = minor.parse().ok()?;
    let mut replica = Replica { minor: Some(minor), ..Replica::default() };
    for word in rest.split_whitespace() {
        match word.split_once(':') {
            Some(("cs", state)) => replica.connection = state.to_owned(),
            // 8.0 wrote `st:`.
            Some(("ro" | "st", roles)) => (replica.role, replica.peer_role) = pair(roles),
            Some(("ds", disks)) => (replica.disk, replica.peer_disk) = pair(disks),
            // I/O flags: r running or s suspended, then who suspended the resync (a, p, u).
            None if word.len() >= 5 && word.starts_with(['r', 's']) => {
                replica.is_frozen = word.starts_with('s');
                let flags: Vec<char> = word.chars().skip(1).take(3).collect();
                replica.is_paused = flags.iter().any(|flag| matches!(flag, 'a' | 'p' | 'u'));
            }
            _ => {}
        }
    }
    (!replica.connection.is_empty()).then_some(replica)
}

fn pair(text: &str) -> (String, String) {
    let (local, peer) = text.split_once('/').unwrap_or((text, "Unknown"));
    (local.to_owned(), peer.to_owned())
}

fn proc_detail(line: &str, replica: &mut Replica) {
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        // Sizes in M run into the next word in some versions: `(1/2)Mfinish:`.
        let word = if word.ends_with("finish:") { "finish:" } else { word };
        if let Some(kib) = word.strip_prefix("oos:") {
            replica.out_of_sync_kib = kib.parse().ok();
            continue;
        }
        let resync = match word {
            "sync'ed:" | "finish:" | "speed:" => replica.resync.get_or_insert_default(),
            "(stalled)" | "stalled" => {
                replica.resync.get_or_insert_default().is_stalled = true;
                continue;
            }
            _ => continue,
        };
        let value = words.next().unwrap_or_default();
        match word {
            "sync'ed:" => resync.done_pct = percent(value),
            "finish:" => resync.left_s = hours(value),
            _ => resync.speed_kib_s = grouped(value),
        }
    }
}

fn percent(text: &str) -> Option<f64> {
    tool_json::number(text).filter(|pct| (0.0..=100.0).contains(pct))
}

/// `2,004`: the kernel groups by thousands whatever the language.
fn grouped(text: &str) -> Option<f64> {
    text.replace(',', "").parse().ok().filter(|number: &f64| number.is_finite())
}

/// `h:mm:ss`
fn hours(text: &str) -> Option<f64> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok().map(f64::from));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(hours * 3600.0 + minutes * 60.0 + seconds)
}

/// Reads `drbdsetup status --json`.
///
/// # Errors
/// It is no JSON.
pub fn parse_json(text: &str) -> Result<Vec<Replica>, JsonError> {
    let resources: Vec<Value> = tool_json::document(text)?;
    Ok(resources.iter().flat_map(json_resource).collect())
}

fn word(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn small(value: &Value, key: &str) -> Option<u32> {
    value.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
}

/// A flag that is a boolean in one version and a word in another.
fn is_set(value: &Value, key: &str) -> bool {
    match value.get(key) {
        Some(Value::Bool(set)) => *set,
        Some(Value::String(word)) => !matches!(word.as_str(), "" | "no" | "false"),
        _ => false,
    }
}

fn json_resource(resource: &Value) -> Vec<Replica> {
    let suspended = ["suspended", "suspended-user", "suspended-no-data", "suspended-fencing", "suspended-quorum"]
        .iter()
        .any(|key| is_set(resource, key));
    let mut replicas = Vec::new();
    for device in list(resource, "devices") {
        let volume = small(device, "volume").unwrap_or(0);
        let quorum_lost = device.get("quorum").and_then(Value::as_bool) == Some(false);
        let local = Replica {
            resource: word(resource, "name"),
            volume,
            minor: small(device, "minor"),
            role: word(resource, "role"),
            disk: word(device, "disk-state"),
            is_client: is_set(device, "client"),
            is_frozen: suspended || quorum_lost,
            ..Replica::default()
        };
        let connections = list(resource, "connections");
        if connections.is_empty() {
            replicas.push(alone(local));
            continue;
        }
        replicas.extend(connections.iter().map(|connection| json_peer(connection, &local)));
    }
    replicas
}

/// Nobody is connected, and nobody is being waited for: the tools leave such connections out.
fn alone(local: Replica) -> Replica {
    let unknown = |word: &str| word.to_owned();
    let state = Replica { connection: unknown("StandAlone"), peer_role: unknown("Unknown"), ..local };
    Replica { peer_disk: unknown("DUnknown"), ..state }
}

fn json_peer(connection: &Value, local: &Replica) -> Replica {
    let here = |device: &&Value| small(device, "volume").unwrap_or(0) == local.volume;
    let devices = list(connection, "peer_devices").iter().chain(list(connection, "peer-devices"));
    let peer_device = devices.clone().find(here).unwrap_or(&Value::Null);
    let replication = word(peer_device, "replication-state");
    let state = word(connection, "connection-state");
    let speed = peer_device.get("db-dt0-KiB-s").or_else(|| peer_device.get("db/dt [MiB/s]")).and_then(Value::as_f64);
    let left_s = peer_device.get("estimated-seconds-to-finish").and_then(Value::as_f64);
    let done_pct = ["done", "percent-in-sync"].iter().find_map(|key| match peer_device.get(key)? {
        Value::String(text) => percent(text),
        number => number.as_f64().filter(|pct| (0.0..=100.0).contains(pct)),
    });
    let mut replica = Replica {
        peer: word(connection, "name"),
        peer_role: or_unknown(word(connection, "peer-role"), "Unknown"),
        peer_disk: or_unknown(word(peer_device, "peer-disk-state"), "DUnknown"),
        connection: merged(&state, &replication),
        is_paused: is_set(peer_device, "resync-suspended"),
        out_of_sync_kib: peer_device.get("out-of-sync").and_then(Value::as_u64),
        is_client: local.is_client || is_set(peer_device, "peer-client"),
        ..local.clone()
    };
    if replica.is_syncing() {
        replica.resync = Some(Resync { done_pct, left_s, speed_kib_s: speed, is_stalled: false });
    }
    replica
}

fn or_unknown(word: String, unknown: &str) -> String {
    if word.is_empty() { unknown.to_owned() } else { word }
}

/// One word for both, as `/proc/drbd` had it.
fn merged(connection: &str, replication: &str) -> String {
    let connected = connection.is_empty() || connection == "Connected";
    match replication {
        "" | "Off" | "Established" if connected => "Connected".to_owned(),
        _ if connected => replication.to_owned(),
        _ => connection.to_owned(),
    }
}

/// A line of `drbdsetup status` by its indentation and first words.
#[derive(Default)]
struct TextReader {
    done: Vec<Replica>,
    resource: String,
    role: String,
    suspended: bool,
    devices: Vec<Replica>,
    peers: Vec<Replica>,
    /// Index into `peers` from which the present connection's replicas begin; `None` before the first connection.
    connection: Option<usize>,
}

/// Reads `drbdsetup status`, also with `--verbose --statistics`.
pub fn parse_text(text: &str) -> Vec<Replica> {
    let mut reader = TextReader::default();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let fields: Vec<(&str, &str)> = line.split_whitespace().filter_map(|word| word.split_once(':')).collect();
        let first = line.split_whitespace().next().unwrap_or_default();
        if first.is_empty() {
            continue;
        }
        if indent == 0 {
            reader.resource(first, &fields);
        } else {
            reader.detail(first, &fields);
        }
    }
    reader.close();
    reader.done
}

fn field<'t>(fields: &[(&str, &'t str)], key: &str) -> Option<&'t str> {
    fields.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

impl TextReader {
    fn resource(&mut self, name: &str, fields: &[(&str, &str)]) {
        self.close();
        // `# No currently configured DRBD found.` and other remarks are no resource.
        let Some(role) = field(fields, "role") else { return };
        self.resource = name.to_owned();
        self.role = role.to_owned();
        self.suspended = field(fields, "suspended").is_some_and(|word| word != "no");
    }

    fn detail(&mut self, first: &str, fields: &[(&str, &str)]) {
        if self.resource.is_empty() {
            return;
        }
        let get = |key: &str| field(fields, key);
        let volume = get("volume").and_then(|number| number.parse().ok()).unwrap_or(0);
        if let Some(disk) = get("disk") {
            self.devices.push(Replica {
                resource: self.resource.clone(),
                volume,
                minor: get("minor").and_then(|number| number.parse().ok()),
                role: self.role.clone(),
                disk: disk.to_owned(),
                is_client: get("client") == Some("yes"),
                is_frozen: self.suspended || get("quorum") == Some("no"),
                ..Replica::default()
            });
        } else if !first.contains(':') && (get("role").is_some() || get("connection").is_some()) {
            self.connected(first, get("connection").unwrap_or("Connected"), get("role").unwrap_or("Unknown"));
        } else if get("peer-disk").is_some() || get("replication").is_some() {
            self.peer_device(volume, fields);
        } else if let Some(replica) = self.last_of_connection()
            && let Some(kib) = get("out-of-sync").and_then(|kib| kib.parse().ok())
        {
            replica.out_of_sync_kib = Some(kib);
        }
    }

    fn last_of_connection(&mut self) -> Option<&mut Replica> {
        self.connection.and(self.peers.last_mut())
    }

    fn connected(&mut self, peer: &str, connection: &str, role: &str) {
        self.connection = Some(self.peers.len());
        self.peers.extend(self.devices.iter().map(|device| Replica {
            peer: peer.to_owned(),
            connection: connection.to_owned(),
            peer_role: role.to_owned(),
            peer_disk: "DUnknown".to_owned(),
            ..device.clone()
        }));
    }

    fn peer_device(&mut self, volume: u32, fields: &[(&str, &str)]) {
        let Some(from) = self.connection else { return };
        let of_connection = self.peers.get_mut(from..).unwrap_or_default();
        let Some(at) = of_connection.iter().position(|replica| replica.volume == volume) else { return };
        let get = |key: &str| field(fields, key);
        let Some(replica) = of_connection.get_mut(at) else { return };
        replica.peer_disk = get("peer-disk").unwrap_or("DUnknown").to_owned();
        replica.connection = merged(&replica.connection, get("replication").unwrap_or_default());
        replica.is_paused = get("resync-suspended").is_some_and(|word| word != "no");
        replica.is_client |= get("peer-client") == Some("yes");
        if replica.is_syncing() {
            let done_pct = get("done").and_then(percent);
            replica.resync = Some(Resync { done_pct, ..Resync::default() });
        }
        // The line with its statistics follows: the last one is the one that is meant.
        let read = self.peers.remove(from + at);
        self.peers.push(read);
    }

    fn close(&mut self) {
        let mut replicas = std::mem::take(&mut self.peers);
        let devices = std::mem::take(&mut self.devices);
        if self.connection.is_none() {
            replicas = devices.into_iter().map(alone).collect();
        }
        replicas.sort_by(|a, b| (a.volume, &a.peer).cmp(&(b.volume, &b.peer)));
        self.done.append(&mut replicas);
        self.connection = None;
        self.resource.clear();
    }
}

/// The kernel's line about a split brain of this minor or resource that nothing in the log has ended since.
pub fn split_brain_line<'l>(log: &'l str, resource: &str, minor: Option<u32>) -> Option<&'l str> {
    let device = minor.map(|minor| format!("drbd{minor}"));
    let is_meant = |line: &str| {
        let mut words = line.split([' ', ':', '/', ']']).filter(|word| !word.is_empty());
        words.any(|word| Some(word) == device.as_deref() || (!resource.is_empty() && word == resource))
    };
    let mut told = None;
    for line in log.lines().filter(|line| line.contains("drbd") && is_meant(line)) {
        if line.contains("Split-Brain detected") {
            // "Split-Brain detected, 1 primaries, automatically solved. Sync from peer node" needs nobody.
            told = (!line.contains("automatically solved")).then_some(line);
        } else if ["-> Connected )", "-> SyncSource )", "-> SyncTarget )", "-> Established )"]
            .iter()
            .any(|state| line.contains(state))
        {
            told = None;
        }
    }
    told
}

#[cfg(test)]
mod tests;
