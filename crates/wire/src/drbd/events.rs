//! `drbdsetup events2` (drbdsetup(8)): what happened to resources, connections and disks since the stream was last read.

use std::collections::BTreeMap;

/// Longest line that is waited for; real ones have some hundred bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Connections and disks that are remembered; DRBD has at most a million minors, real hosts some dozen.
const KNOWN_MAX: usize = 4096;
/// What is told of one reading; a link that flaps faster than this is told well enough.
const TOLD_MAX: usize = 256;

/// Something that a look at the state now and then can miss.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Happening {
    pub resource: String,
    pub kind: Kind,
    /// The peer, or the volume.
    pub what: String,
    /// The state that it went to, or the helper that the kernel called.
    pub to: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// It was Connected.
    ConnectionLost,
    /// The disk was there.
    DiskLost,
    /// Both ends were Primary.
    DualPrimary,
    /// The kernel called its helper for a split brain, whether or not it was solved by itself.
    SplitBrain,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::ConnectionLost => "connection_lost",
            Kind::DiskLost => "disk_lost",
            Kind::DualPrimary => "dual_primary",
            Kind::SplitBrain => "split_brain",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    is_connected: bool,
    peer_is_primary: bool,
}

/// Reads the stream, piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The end of the last piece, where it was no whole line.
    rest: String,
    links: BTreeMap<(String, String), Link>,
    /// Whether each resource is Primary here.
    primaries: BTreeMap<String, bool>,
    /// Whether each disk is there.
    disks: BTreeMap<(String, String), bool>,
}

impl Reader {
    /// Reads on; the stream may be cut anywhere.
    pub fn feed(&mut self, text: &str) -> Vec<Happening> {
        self.rest.push_str(text);
        let mut told = Vec::new();
        let all = std::mem::take(&mut self.rest);
        for line in all.split_inclusive('\n') {
            if line.ends_with('\n') {
                self.line(line.trim_end(), &mut told);
            } else if line.len() <= LINE_BYTES_MAX {
                self.rest = line.to_owned();
            }
        }
        told.truncate(TOLD_MAX);
        told
    }

    /// The stream begins anew; what was seen is still known, so that a change meanwhile is told.
    pub fn restart(&mut self) {
        self.rest.clear();
    }

    fn line(&mut self, line: &str, told: &mut Vec<Happening>) {
        let mut words = line.split_whitespace().peekable();
        // With --timestamps each line begins with one.
        words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let (Some(verb), Some(object)) = (words.next(), words.next()) else { return };
        let fields: Vec<(&str, &str)> = words.filter_map(|word| word.split_once(':')).collect();
        let get = |key: &str| fields.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        let Some(resource) = get("name") else { return };
        let peer = get("conn-name").or(get("peer-node-id")).unwrap_or_default();
        match (verb, object) {
            ("destroy", "connection") => drop(self.links.remove(&(resource.to_owned(), peer.to_owned()))),
            ("destroy", "resource") => drop(self.primaries.remove(resource)),
            ("destroy", "device") => {
                self.disks.remove(&(resource.to_owned(), get("volume").unwrap_or_default().to_owned()));
            }
            ("call", "helper") => {
                let helper = get("helper").unwrap_or_default();
                if matches!(helper, "split-brain" | "initial-split-brain") {
                    told.push(happening(resource, Kind::SplitBrain, peer, helper));
                }
            }
            ("exists" | "create" | "change", "resource") => {
                if let Some(role) = get("role").filter(|_| self.primaries.len() < KNOWN_MAX) {
                    self.primaries.insert(resource.to_owned(), role == "Primary");
                    self.both_primary(resource, None, told);
                }
            }
            ("exists" | "create" | "change", "connection") => {
                self.connection(resource, peer, (get("connection"), get("role")), told);
            }
            ("exists" | "create" | "change", "device") => {
                let volume = get("volume").unwrap_or_default();
                self.device(resource, volume, get("disk"), get("client") == Some("yes"), told);
            }
            _ => {}
        }
    }

    fn connection(&mut self, resource: &str, peer: &str, now: (Option<&str>, Option<&str>), told: &mut Vec<Happening>) {
        let key = (resource.to_owned(), peer.to_owned());
        let before = self.links.get(&key).copied();
        if before.is_none() && self.links.len() >= KNOWN_MAX {
            return;
        }
        let before = before.unwrap_or_default();
        let (state, role) = now;
        let after = Link {
            is_connected: state.map_or(before.is_connected, |state| state == "Connected"),
            peer_is_primary: role.map_or(before.peer_is_primary, |role| role == "Primary"),
        };
        self.links.insert(key, after);
        if before.is_connected && !after.is_connected {
            told.push(happening(resource, Kind::ConnectionLost, peer, state.unwrap_or_default()));
        }
        if after.peer_is_primary && !before.peer_is_primary {
            self.both_primary(resource, Some(peer), told);
        }
    }

    fn device(&mut self, resource: &str, volume: &str, disk: Option<&str>, is_client: bool, told: &mut Vec<Happening>) {
        let Some(disk) = disk else { return };
        let is_there = !matches!(disk, "Diskless" | "Failed" | "Detaching");
        let key = (resource.to_owned(), volume.to_owned());
        if self.disks.len() >= KNOWN_MAX && !self.disks.contains_key(&key) {
            return;
        }
        if self.disks.insert(key, is_there) == Some(true) && !is_there && !is_client {
            told.push(happening(resource, Kind::DiskLost, volume, disk));
        }
    }

    fn both_primary(&self, resource: &str, peer: Option<&str>, told: &mut Vec<Happening>) {
        if self.primaries.get(resource) != Some(&true) {
            return;
        }
        let of_resource = self.links.iter().filter(|((name, _), link)| name == resource && link.peer_is_primary);
        let meant = of_resource.filter(|((_, name), _)| peer.is_none_or(|peer| peer == name));
        told.extend(meant.map(|((_, peer), _)| happening(resource, Kind::DualPrimary, peer, "Primary")));
    }
}

fn happening(resource: &str, kind: Kind, what: &str, to: &str) -> Happening {
    Happening { resource: resource.to_owned(), kind, what: what.to_owned(), to: to.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Captured of DRBD 8.4.11.
    const BEGIN: &str = include_str!("../../../../tests/data/captures/drbdsetup_events2.txt");

    fn words(told: &[Happening]) -> Vec<String> {
        told.iter().map(|one| format!("{} {} {} {}", one.resource, one.kind.word(), one.what, one.to)).collect()
    }

    /// Lines after drbdsetup(8), "events2", and user/v9/drbdsetup.c.
    #[test]
    fn what_happened_between_two_looks_is_told() {
        for (lines, expected) in [
            (
                "change connection name:r0 peer-node-id:0 conn-name:peer connection:NetworkFailure role:Unknown\n\
              change connection name:r0 peer-node-id:0 conn-name:peer connection:Unconnected\n\
              change connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary\n",
                &["r0 connection_lost peer NetworkFailure"][..],
            ),
            (
                "call helper name:r1 peer-node-id:0 conn-name:peer helper:initial-split-brain\n\
              response helper name:r1 peer-node-id:0 conn-name:peer helper:initial-split-brain status:0\n",
                &["r1 split_brain peer initial-split-brain"],
            ),
            (
                "2026-11-22T06:30:01.123456+01:00 change resource name:r1 role:Primary suspended:no\n",
                &["r1 dual_primary peer Primary"],
            ),
            (
                "change device name:r0 volume:0 minor:0 disk:Failed\nchange device name:r0 volume:0 minor:0 disk:Diskless\n",
                &["r0 disk_lost 0 Failed"],
            ),
            (
                "change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:SyncSource\nexists -\n",
                &[],
            ),
            (
                "destroy connection name:r0 peer-node-id:0 conn-name:peer\n\
              create connection name:r0 peer-node-id:0 conn-name:peer connection:StandAlone role:Unknown\n",
                &[],
            ),
        ] {
            let mut reader = Reader::default();
            assert_eq!(words(&reader.feed(BEGIN)), [""; 0]);
            assert_eq!(words(&reader.feed(lines)), expected, "{lines}");
        }
    }

    /// Both ends of one machine: cut and connected again, cut, written on both sides, connected.
    #[test]
    fn a_real_split_brain_is_told_with_what_came_before() {
        let told =
            Reader::default().feed(include_str!("../../../../tests/data/captures/drbdsetup_events2_splitbrain.txt"));
        let count =
            |resource: &str, kind: Kind| told.iter().filter(|one| one.resource == resource && one.kind == kind).count();
        for resource in ["r0", "r1"] {
            assert!(count(resource, Kind::ConnectionLost) >= 2, "{told:?}");
            assert!(count(resource, Kind::SplitBrain) >= 1, "{told:?}");
        }
        assert_eq!((count("r0", Kind::DiskLost), count("r1", Kind::DiskLost)), (0, 0));
    }

    #[test]
    fn a_change_while_nobody_listened_is_told_when_the_stream_begins_anew() {
        let mut reader = Reader::default();
        reader.feed(BEGIN);
        reader.feed("change connection name:r0");
        reader.restart();
        let told =
            reader.feed(&BEGIN.replace("conn-name:peer connection:Connected", "conn-name:peer connection:Connecting"));
        assert_eq!(words(&told), ["r0 connection_lost peer Connecting", "r1 connection_lost peer Connecting"]);
    }

    proptest! {
        #[test]
        fn a_stream_that_is_cut_anywhere_reads_the_same(cut in 0usize..900) {
            let text = format!("{BEGIN}change connection name:r0 conn-name:peer connection:BrokenPipe\n");
            prop_assume!(text.is_char_boundary(cut.min(text.len())));
            let (first, second) = text.split_at(cut.min(text.len()));
            let mut reader = Reader::default();
            let mut told = reader.feed(first);
            told.extend(reader.feed(second));
            prop_assert_eq!(words(&told), ["r0 connection_lost peer BrokenPipe"]);
        }

        #[test]
        fn no_text_panics(text in "(exists|change|call|destroy| |connection|device|resource|helper|name:r|role:Primary|disk:|:|\n|\\PC){0,60}") {
            let mut reader = Reader::default();
            let told = reader.feed(&text);
            prop_assert!(told.len() <= TOLD_MAX && reader.rest.len() <= text.len());
        }
    }
}
