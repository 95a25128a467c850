//! GlusterFS as `gluster --xml` prints it: peers, volumes with their bricks, what waits to be healed, split brain.

use crate::xml::{self, Element, XmlError};

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GlusterError {
    #[error("its XML cannot be read: {0}")]
    Xml(#[from] XmlError),
    /// The daemon's own words.
    #[error("{0}")]
    Refused(String),
}

/// Another server of the pool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    pub host: String,
    pub is_connected: bool,
    /// `Peer in Cluster`, `Peer Rejected`, …
    pub state: String,
}

/// A volume; its bricks in the order in which they make sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    pub name: String,
    pub is_started: bool,
    /// `Distribute`, `Replicate`, `Distributed-Replicate`, `Disperse`, …
    pub kind: String,
    pub replica: usize,
    /// Bricks of a dispersed set, and how many of them may fail.
    pub disperse: usize,
    pub redundancy: usize,
    pub bricks: Vec<Brick>,
    /// Directories of it may have limits.
    pub has_quota: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brick {
    /// `server:/path`
    pub name: String,
    pub is_online: bool,
    /// Of the file system it lies on, in bytes: all and free; and its inodes.
    pub size: Option<(u64, u64)>,
    pub inodes: Option<(u64, u64)>,
}

impl Brick {
    /// How full it is, in per cent: bytes or inodes, what is scarcer.
    pub fn used_pct(&self) -> Option<f64> {
        let pct = |(all, free): (u64, u64)| {
            (all > 0)
                .then(|| all.saturating_sub(free) as f64 / all as f64 * 100.0)
                .map(|pct| (pct * 10.0).round() / 10.0)
        };
        let (size, inodes) = (self.size.and_then(pct), self.inodes.and_then(pct));
        Some(size?.max(inodes.unwrap_or(0.0)))
    }
}

/// A limit on a directory of a volume, in bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Quota {
    pub path: String,
    pub limit: u64,
    pub used: u64,
}

impl Quota {
    pub fn used_pct(&self) -> f64 {
        (self.used as f64 / self.limit.max(1) as f64 * 1000.0).round() / 10.0
    }
}

/// What is left of the bricks that hold the same data.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Left {
    All,
    /// Some are gone, the data is served.
    Some,
    /// Too few for the client's quorum: no writes.
    NoQuorum,
    /// The data cannot be reached.
    None,
}

/// What `heal info summary` says of one volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heal {
    pub pending: u64,
    pub split_brain: u64,
    /// Bricks that did not say.
    pub unread: Vec<String>,
}

impl Volume {
    /// Bricks of one set: replicas, a dispersed set, or one alone.
    fn set_size(&self) -> usize {
        self.disperse.max(self.replica).max(1)
    }

    /// How each set stands.
    pub fn sets(&self) -> Vec<Left> {
        self.bricks.chunks(self.set_size()).map(|set| self.left_of(set)).collect()
    }

    fn left_of(&self, set: &[Brick]) -> Left {
        let up = set.iter().filter(|brick| brick.is_online).count();
        let down = set.len() - up;
        match down {
            0 => Left::All,
            _ if self.disperse > 0 && down > self.redundancy => Left::None,
            _ if self.disperse > 0 => Left::Some,
            _ if up == 0 => Left::None,
            // Client quorum `auto` is the default from three replicas on: more than half must be there.
            _ if set.len() > 2 && up * 2 <= set.len() => Left::NoQuorum,
            _ => Left::Some,
        }
    }

    /// Whether anything heals here at all.
    pub fn heals(&self) -> bool {
        self.is_started && (self.replica > 1 || self.disperse > 0)
    }
}

/// The document, unless the daemon refused.
fn output(text: &str) -> Result<Element, GlusterError> {
    let root = xml::parse(text)?;
    match root.text_at(&["opRet"]) {
        "0" => Ok(root),
        _ if root.name != "cliOutput" => Err(GlusterError::Refused(format!("it printed <{}>", root.name))),
        code => {
            let said = root.text_at(&["opErrstr"]);
            let said = if said.is_empty() { format!("it refused with {code}") } else { said.to_owned() };
            Err(GlusterError::Refused(said))
        }
    }
}

/// Reads `gluster --xml peer status`.
///
/// # Errors
/// It is no XML, or the daemon refused.
pub fn parse_peers(text: &str) -> Result<Vec<Peer>, GlusterError> {
    let root = output(text)?;
    let peer = |one: &Element| Peer {
        host: one.text_at(&["hostname"]).to_owned(),
        is_connected: one.text_at(&["connected"]) == "1",
        state: one.text_at(&["stateStr"]).to_owned(),
    };
    Ok(root.child("peerStatus").map(|list| list.all("peer").map(peer).collect()).unwrap_or_default())
}

/// Reads `gluster --xml volume info`; no brick counts as online until [`add_status`] says so.
///
/// # Errors
/// It is no XML, or the daemon refused.
pub fn parse_volumes(text: &str) -> Result<Vec<Volume>, GlusterError> {
    let root = output(text)?;
    let count = |one: &Element, key: &str| one.number_at(&[key]).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let volume = |one: &Element| {
        let bricks = one.child("bricks").map(|list| list.all("brick").map(brick).collect()).unwrap_or_default();
        Volume {
            name: one.text_at(&["name"]).to_owned(),
            is_started: one.text_at(&["statusStr"]) == "Started" || one.text_at(&["status"]) == "1",
            kind: one.text_at(&["typeStr"]).to_owned(),
            replica: count(one, "replicaCount"),
            disperse: count(one, "disperseCount"),
            redundancy: count(one, "redundancyCount"),
            bricks,
            has_quota: has_quota(one),
        }
    };
    Ok(root.at(&["volInfo", "volumes"]).map(|list| list.all("volume").map(volume).collect()).unwrap_or_default())
}

fn has_quota(volume: &Element) -> bool {
    let is_it = |option: &Element| option.text_at(&["name"]) == "features.quota" && option.text_at(&["value"]) == "on";
    volume.child("options").is_some_and(|options| options.all("option").any(is_it))
}

fn brick(one: &Element) -> Brick {
    let name = match one.text_at(&["name"]) {
        // Old versions had the name as the text itself.
        "" => one.text.trim(),
        name => name,
    };
    Brick { name: name.to_owned(), ..Brick::default() }
}

/// Adds what `gluster --xml volume status all` says, with `detail` also how full each brick is. Bricks of servers that are
/// away are not in it, and stay down.
///
/// # Errors
/// It is no XML, or the daemon refused.
pub fn add_status(text: &str, volumes: &mut [Volume]) -> Result<(), GlusterError> {
    let root = output(text)?;
    let Some(list) = root.at(&["volStatus", "volumes"]) else { return Ok(()) };
    for told in list.all("volume") {
        let Some(volume) = volumes.iter_mut().find(|one| one.name == told.text_at(&["volName"])) else { continue };
        for node in told.all("node") {
            let name = format!("{}:{}", node.text_at(&["hostname"]), node.text_at(&["path"]));
            let Some(brick) = volume.bricks.iter_mut().find(|brick| brick.name == name) else { continue };
            brick.is_online |= node.text_at(&["status"]) == "1";
            let pair = |all: &str, free: &str| Some((node.number_at(&[all])?, node.number_at(&[free])?));
            brick.size = pair("sizeTotal", "sizeFree").or(brick.size);
            brick.inodes = pair("inodesTotal", "inodesFree").or(brick.inodes);
        }
    }
    Ok(())
}

/// Reads `gluster --xml volume heal NAME info summary`.
///
/// # Errors
/// It is no XML, or the daemon refused.
pub fn parse_heal(text: &str) -> Result<Heal, GlusterError> {
    let root = output(text)?;
    let mut heal = Heal::default();
    let Some(bricks) = root.at(&["healInfo", "bricks"]) else { return Ok(heal) };
    for brick in bricks.all("brick") {
        // A brick that is away has `-` for each number.
        match brick.number_at(&["numberOfEntriesInHealPending"]) {
            Some(pending) => heal.pending = heal.pending.saturating_add(pending),
            None => heal.unread.push(brick.text_at(&["name"]).to_owned()),
        }
        // Each brick names the same files.
        heal.split_brain = heal.split_brain.max(brick.number_at(&["numberOfEntriesInSplitBrain"]).unwrap_or(0));
    }
    Ok(heal)
}

/// Reads `gluster --xml volume quota NAME list`.
///
/// # Errors
/// It is no XML, or the daemon refused, as it does where a volume has no limit.
pub fn parse_quota(text: &str) -> Result<Vec<Quota>, GlusterError> {
    let root = output(text)?;
    let quota = |one: &Element| {
        let (limit, used) = (one.number_at(&["hard_limit"])?, one.number_at(&["used_space"])?);
        Some(Quota { path: one.text_at(&["path"]).to_owned(), limit, used })
    };
    Ok(root.child("volQuota").map(|list| list.all("limit").filter_map(quota).collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Hand-written after cli/src/cli-xml-output.c of GlusterFS 10.
    const INFO: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<cliOutput><opRet>0</opRet><opErrno>0</opErrno><opErrstr/>\
        <volInfo><volumes><volume><name>gv0</name><status>1</status><statusStr>Started</statusStr><brickCount>6</brickCount>\
        <replicaCount>3</replicaCount><disperseCount>0</disperseCount><redundancyCount>0</redundancyCount><typeStr>Distributed-Replicate</typeStr>\
        <bricks><brick uuid=\"1\">a:/b1<name>a:/b1</name></brick><brick>b:/b1<name>b:/b1</name></brick><brick>c:/b1<name>c:/b1</name></brick>\
        <brick>a:/b2<name>a:/b2</name></brick><brick>b:/b2<name>b:/b2</name></brick><brick>c:/b2</brick></bricks></volume>\
        <volume><name>off</name><statusStr>Stopped</statusStr></volume><count>2</count></volumes></volInfo></cliOutput>";

    fn status(online: &[&str]) -> String {
        let node = |name: &&str| {
            let (host, path) = name.split_once(':').expect("host:path");
            format!("<node><hostname>{host}</hostname><path>{path}</path><status>1</status></node>")
        };
        format!(
            "<cliOutput><opRet>0</opRet><volStatus><volumes><volume><volName>gv0</volName>{}\
             <node><hostname>Self-heal Daemon</hostname><path>localhost</path><status>1</status></node></volume></volumes>\
             </volStatus></cliOutput>",
            online.iter().map(node).collect::<String>()
        )
    }

    #[test]
    fn what_is_left_of_each_set_is_counted() {
        for (online, sets) in [
            (&["a:/b1", "b:/b1", "c:/b1", "a:/b2", "b:/b2", "c:/b2"][..], [Left::All, Left::All]),
            (&["a:/b1", "b:/b1", "a:/b2", "b:/b2", "c:/b2"], [Left::Some, Left::All]),
            (&["a:/b1", "a:/b2", "b:/b2"], [Left::NoQuorum, Left::Some]),
            (&["a:/b1", "b:/b1"], [Left::Some, Left::None]),
        ] {
            let mut volumes = parse_volumes(INFO).expect("volumes");
            add_status(&status(online), &mut volumes).expect("a status");
            assert_eq!(volumes[0].sets(), sets, "{online:?}");
            assert_eq!((volumes[0].heals(), volumes[1].heals(), volumes[1].is_started), (true, false, false));
        }
    }

    macro_rules! printed {
        ($name:literal) => {
            include_str!(concat!("../tests/data/gluster/", $name, ".xml"))
        };
    }

    /// What a real server printed; see the folder's README.
    #[test]
    fn killed_bricks_of_a_real_volume_are_seen() {
        for (status, left) in [
            (printed!("status"), Left::All),
            (printed!("status_one_down"), Left::Some),
            (printed!("status_two_down"), Left::NoQuorum),
        ] {
            let mut volumes = parse_volumes(printed!("info")).expect("volumes");
            add_status(status, &mut volumes).expect("a status");
            assert_eq!((volumes.len(), volumes[0].kind.as_str(), volumes[0].replica), (1, "Replicate", 3));
            assert_eq!(volumes[0].sets(), [left]);
        }
        assert_eq!(parse_heal(printed!("heal_one_down")).expect("a summary").unread, ["a:/bricks/b1"]);
        assert_eq!(parse_heal(printed!("heal_two_down")).expect("a summary").unread, ["a:/bricks/b1", "a:/bricks/b2"]);
    }

    /// What a real server printed: a brick of 32 MiB with 3 MiB free, beside empty ones.
    #[test]
    fn fullness_of_each_brick_and_of_a_limit_is_read() {
        for (status, online) in [(printed!("detail"), [true; 3]), (printed!("detail_one_down"), [true, false, true])] {
            let mut volumes = parse_volumes(printed!("info")).expect("volumes");
            add_status(printed!("status"), &mut volumes).expect("a status");
            for brick in volumes.iter_mut().flat_map(|volume| &mut volume.bricks) {
                brick.is_online = false;
            }
            add_status(status, &mut volumes).expect("a status");
            let bricks = &volumes[0].bricks;
            assert_eq!(bricks.iter().map(|brick| brick.is_online).collect::<Vec<_>>(), online);
            assert_eq!((bricks[0].size, bricks[0].used_pct()), (Some((33_554_432, 3_145_728)), Some(90.6)));
            assert_eq!(bricks[2].used_pct(), Some(0.0));
        }
        let no_inodes = Brick { size: Some((100, 60)), inodes: Some((10, 1)), ..Brick::default() };
        assert_eq!((no_inodes.used_pct(), Brick::default().used_pct()), (Some(90.0), None));
        let quotas = parse_quota(printed!("quota")).expect("limits");
        assert_eq!(
            (quotas.len(), quotas[0].path.as_str(), quotas[0].limit, quotas[0].used_pct()),
            (1, "/", 20_971_520, 0.0)
        );
        let none = "<cliOutput><opRet>-1</opRet><opErrstr>No quota configured on volume gv0</opErrstr></cliOutput>";
        assert_eq!(parse_quota(none), Err(GlusterError::Refused("No quota configured on volume gv0".into())));
    }

    #[test]
    fn a_dispersed_set_bears_its_redundancy_and_a_lone_brick_nothing() {
        let brick = |is_online: bool| Brick { name: "a:/b".into(), is_online, ..Brick::default() };
        let dispersed = |up: usize| Volume {
            disperse: 6,
            redundancy: 2,
            bricks: (0..6).map(|at| brick(at < up)).collect(),
            ..Volume::default()
        };
        assert_eq!([6, 4, 3].map(|up| dispersed(up).sets()), [[Left::All], [Left::Some], [Left::None]]);
        let alone = Volume { bricks: vec![brick(true), brick(false)], ..Volume::default() };
        assert_eq!(alone.sets(), [Left::All, Left::None]);
        let pair = Volume { replica: 2, bricks: vec![brick(true), brick(false)], ..Volume::default() };
        assert_eq!(pair.sets(), [Left::Some]);
    }

    #[test]
    fn peers_and_heals_are_read() {
        let peers = "<cliOutput><opRet>0</opRet><peerStatus><peer><hostname>b</hostname><connected>1</connected><stateStr>Peer in Cluster\
            </stateStr></peer><peer><hostname>c</hostname><connected>0</connected><stateStr>Peer in Cluster</stateStr></peer></peerStatus></cliOutput>";
        let gone: Vec<bool> = parse_peers(peers).expect("peers").iter().map(|peer| peer.is_connected).collect();
        assert_eq!(gone, [true, false]);
        let heal = "<cliOutput><healInfo><bricks><brick><name>a:/b1</name><status>Connected</status><numberOfEntriesInHealPending>4\
            </numberOfEntriesInHealPending><numberOfEntriesInSplitBrain>1</numberOfEntriesInSplitBrain></brick><brick><name>c:/b1</name>\
            <status>Transport endpoint is not connected</status><numberOfEntriesInHealPending>-</numberOfEntriesInHealPending>\
            </brick></bricks></healInfo><opRet>0</opRet></cliOutput>";
        let expected = Heal { pending: 4, split_brain: 1, unread: vec!["c:/b1".into()] };
        assert_eq!(parse_heal(heal), Ok(expected));
        let refused = "<cliOutput><opRet>-1</opRet><opErrstr>Volume x does not exist</opErrstr></cliOutput>";
        assert_eq!(parse_heal(refused), Err(GlusterError::Refused("Volume x does not exist".into())));
        assert!(parse_peers("Connection failed. Please check if gluster daemon is operational.").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(<cliOutput>|<opRet>0</opRet>|<volInfo><volumes><volume>|<bricks>|<brick>|</brick>|<name>|a:/b|\\PC){0,30}") {
            let _ = (parse_peers(&text), parse_heal(&text), parse_quota(&text), parse_volumes(&text).map(|all| all.iter().map(Volume::sets).count()));
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..900) {
            let _ = parse_volumes(INFO.get(..cut).unwrap_or(INFO));
        }
    }
}
