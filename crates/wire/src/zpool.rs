//! `zpool status -P` and `zpool list -Hp` (zpool-status(8), zpool-list(8)): pools, what redundancy is left, resilver and scrub.

use crate::tool_json;

/// One pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    pub name: String,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `SUSPENDED`, `UNAVAIL`, …
    pub state: String,
    pub scan: Option<Scan>,
    /// Groups of devices that hold data; the pool is lost with any of them.
    pub groups: Vec<Group>,
    /// Devices that are not well, and those that counted errors.
    pub gone: Vec<String>,
    pub with_errors: Vec<String>,
    pub spares_free: usize,
    pub spares_used: usize,
    /// What the line `errors:` says, where data is lost.
    pub data_errors: Option<String>,
    pub capacity_pct: Option<f64>,
    pub fragmented_pct: Option<f64>,
}

/// A top-level virtual device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub name: String,
    pub state: String,
    pub width: usize,
    pub lost: usize,
}

/// What goes over all of the pool now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    pub is_resilver: bool,
    pub done_pct: Option<f64>,
    pub left_s: Option<f64>,
}

impl Group {
    /// Devices that the group can lose when all of them work.
    fn spare(&self) -> usize {
        let number = |prefix: &str| {
            let digit = self.name.strip_prefix(prefix)?.chars().next()?.to_digit(10);
            digit.filter(|parity| (1..=3).contains(parity))
        };
        match () {
            () if self.name.starts_with("mirror") => self.width.saturating_sub(1),
            // `raidz-0` of old versions is single parity.
            () if self.name.starts_with("raidz") => number("raidz").unwrap_or(1) as usize,
            () if self.name.starts_with("draid") => number("draid").unwrap_or(1) as usize,
            () => 0,
        }
    }

    pub fn may_fail(&self) -> usize {
        if is_dead(&self.state) { 0 } else { self.spare().saturating_sub(self.lost) }
    }
}

fn is_dead(state: &str) -> bool {
    matches!(state, "FAULTED" | "UNAVAIL" | "SUSPENDED" | "REMOVED" | "OFFLINE")
}

impl Pool {
    /// How many devices more may fail, in the worst case, before the pool is lost.
    pub fn may_fail(&self) -> usize {
        self.groups.iter().map(Group::may_fail).min().unwrap_or(0)
    }

    /// The words of the signal `raid`.
    pub fn word(&self) -> &'static str {
        let resilvers = self.scan.as_ref().is_some_and(|scan| scan.is_resilver);
        match self.state.as_str() {
            state if is_dead(state) => "OfLn",
            "ONLINE" if self.groups.iter().all(|group| group.lost == 0) => "Optl",
            "ONLINE" | "DEGRADED" if self.may_fail() > 0 => "Pdgd",
            "ONLINE" | "DEGRADED" if resilvers => "Rbld",
            "ONLINE" | "DEGRADED" => "Dgrd",
            _ => "Unknown",
        }
    }
}

/// Reads `zpool status -P`.
pub fn parse_status(text: &str) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    let mut section = "";
    let mut config = Config::default();
    for line in text.lines() {
        let words = line.trim();
        if let Some((key, value)) = field(line) {
            section = key;
            match (key, pools.last_mut()) {
                ("pool", _) => {
                    config = Config::default();
                    pools.push(Pool { name: value.to_owned(), ..Pool::default() });
                }
                ("state", Some(pool)) => pool.state = value.to_owned(),
                ("scan" | "scrub", Some(pool)) if value.contains("in progress") => {
                    pool.scan = Some(Scan { is_resilver: value.contains("resilver"), ..Scan::default() });
                    read_scan(value, pool);
                }
                ("errors", Some(pool)) if value != "No known data errors" => pool.data_errors = Some(value.to_owned()),
                _ => {}
            }
            continue;
        }
        let Some(pool) = pools.last_mut() else { continue };
        match section {
            "scan" | "scrub" => read_scan(words, pool),
            "config" => config.read(line, pool),
            _ => {}
        }
    }
    pools
}

/// `  pool: tank`; lines of the device table never have a colon behind their first word.
fn field(line: &str) -> Option<(&'static str, &str)> {
    const KEYS: [&str; 11] =
        ["pool", "state", "status", "action", "see", "scan", "scrub", "config", "errors", "checkpoint", "remove"];
    if line.starts_with('\t') {
        return None;
    }
    let (key, value) = line.trim_start().split_once(':')?;
    KEYS.into_iter().find(|known| *known == key).map(|key| (key, value.trim()))
}

/// `12.5% done, 01:02:03 to go`, `45.20% done, 0h10m to go`, `…, 1 days 02:03:04 to go`
fn read_scan(words: &str, pool: &mut Pool) {
    let Some(scan) = pool.scan.as_mut() else { return };
    for part in words.split(',').map(str::trim) {
        if let Some(done) = part.strip_suffix(" done") {
            let number = done.trim_end_matches('%').rsplit(' ').next().unwrap_or_default();
            scan.done_pct = tool_json::number(number).filter(|pct| (0.0..=100.0).contains(pct));
        } else if let Some(left) = part.strip_suffix(" to go") {
            scan.left_s = seconds(left);
        }
    }
}

fn seconds(text: &str) -> Option<f64> {
    let (days, clock) = match text.split_once(" days ").or_else(|| text.split_once(" day ")) {
        Some((days, clock)) => (days.trim().parse::<u32>().ok()?, clock),
        None => (0, text),
    };
    let mut total = f64::from(days) * 86_400.0;
    if clock.contains(':') {
        let parts: Vec<u32> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [hours, minutes, seconds] = parts.as_slice() else { return None };
        return Some(total + f64::from(*hours) * 3600.0 + f64::from(*minutes) * 60.0 + f64::from(*seconds));
    }
    let mut number = String::new();
    for c in clock.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            'd' => 86_400.0,
            'h' => 3600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => return None,
        };
        total += f64::from(std::mem::take(&mut number).parse::<u32>().ok()?) * unit;
    }
    number.is_empty().then_some(total)
}

/// Where a line of the device table stands.
#[derive(Debug, Default)]
struct Config {
    /// `logs`, `cache`, `spares`, `special`, `dedup`; empty for data.
    class: String,
    /// Depth of a `replacing-0` or `spare-1` whose devices count as one, and whether one of them works.
    joint: Option<usize>,
}

impl Config {
    fn read(&mut self, line: &str, pool: &mut Pool) {
        let Some(body) = line.strip_prefix('\t') else { return };
        let depth = (body.len() - body.trim_start().len()) / 2;
        let mut words = body.split_whitespace();
        let Some(name) = words.next().filter(|name| *name != "NAME") else { return };
        let state = words.next().unwrap_or_default();
        if depth == 0 {
            // The pool itself, or the head of a class.
            let is_class = matches!(name, "logs" | "cache" | "spares" | "special" | "dedup");
            self.class = if is_class { name.to_owned() } else { String::new() };
            self.joint = None;
            return;
        }
        if self.class == "spares" {
            match state {
                "INUSE" => pool.spares_used += 1,
                "AVAIL" => pool.spares_free += 1,
                _ => pool.gone.push(name.to_owned()),
            }
            return;
        }
        // Tables of special and dedup devices hold data that exists nowhere else.
        let holds_data = matches!(self.class.as_str(), "" | "special" | "dedup");
        let is_leaf = !is_group(name);
        if depth == 1 && holds_data {
            let own = usize::from(is_leaf);
            let lost = usize::from(is_leaf && state != "ONLINE");
            pool.groups.push(Group { name: name.to_owned(), state: state.to_owned(), width: own, lost });
        } else if holds_data
            && self.joint.is_none_or(|joint| depth <= joint)
            && let Some(group) = pool.groups.last_mut()
        {
            group.width += 1;
            group.lost += usize::from(state != "ONLINE");
        }
        if self.joint.is_none_or(|joint| depth <= joint) {
            self.joint = (depth > 1 && !is_leaf).then_some(depth);
        }
        let resilvers = line.ends_with("(resilvering)");
        if depth > 1 && is_leaf && resilvers && state == "ONLINE" && self.joint.is_none() && holds_data {
            // It has its place, but not yet its data.
            if let Some(group) = pool.groups.last_mut() {
                group.lost += 1;
            }
        }
        if is_leaf {
            if state != "ONLINE" {
                pool.gone.push(name.to_owned());
            }
            let counts: Vec<&str> = words.take(3).collect();
            if counts.len() == 3
                && counts.iter().any(|count| *count != "0" && count.starts_with(|c: char| c.is_ascii_digit()))
            {
                pool.with_errors.push(name.to_owned());
            }
        }
    }
}

fn is_group(name: &str) -> bool {
    ["mirror-", "raidz", "draid", "replacing-", "spare-", "indirect-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Reads `zpool list -Hp -o name,capacity,fragmentation,health` into what [`parse_status`] gave.
pub fn add_list(text: &str, pools: &mut [Pool]) {
    for line in text.lines() {
        let mut fields = line.split('\t').map(str::trim);
        let (Some(name), Some(capacity), Some(fragmented)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let pct = |text: &str| text.trim_end_matches('%').parse().ok().filter(|pct| (0.0..=100.0).contains(pct));
        for pool in pools.iter_mut().filter(|pool| pool.name == name) {
            pool.capacity_pct = pct(capacity);
            pool.fragmented_pct = pct(fragmented);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-written after zpool-status(8) and the sources of OpenZFS 2 (zpool_main.c).
    const STATUS: &str = "  pool: backup\n state: ONLINE\n  scan: scrub repaired 0B in 02:11:00 with 0 errors on Sun Oct 11 02:35:00 2026\n\
config:\n\n\tNAME           STATE     READ WRITE CKSUM\n\tbackup         ONLINE       0     0     0\n\t  /dev/sdx1    ONLINE       0     0     2\n\n\
errors: No known data errors\n\n  pool: tank\n state: DEGRADED\nstatus: One or more devices is currently being resilvered.  The pool will\n\
\tcontinue to function, possibly in a degraded state.\naction: Wait for the resilver to complete.\n\
  scan: resilver in progress since Sat Nov 21 10:00:00 2026\n\t1.20T scanned at 500M/s, 800G issued at 300M/s, 2.00T total\n\
\t500G resilvered, 45.20% done, 1 days 01:02:03 to go\nconfig:\n\n\tNAME                STATE     READ WRITE CKSUM\n\
\ttank                DEGRADED     0     0     0\n\t  raidz2-0          DEGRADED     0     0     0\n\t    /dev/sda1       ONLINE       0     0     0\n\
\t    replacing-1     DEGRADED     0     0     0\n\t      /dev/sdb1     UNAVAIL      0     0     0  was /dev/sdb1\n\
\t      /dev/sdc1     ONLINE       0     0     0  (resilvering)\n\t    /dev/sdd1       ONLINE       0     0     0\n\
\t    /dev/sde1       ONLINE       0     0     0\n\t  mirror-1          ONLINE       0     0     0\n\t    /dev/sdf1       ONLINE       0     0     0\n\
\t    /dev/sdg1       ONLINE       0     0     0\n\t    /dev/sdh1       ONLINE       0     0     0\n\tlogs\t\n\t  mirror-2          ONLINE       0     0     0\n\
\t    /dev/sdi1       ONLINE       0     0     0\n\t    /dev/sdj1       ONLINE       0     0     0\n\tcache\n\t  /dev/sdk1         ONLINE       0     0     0\n\
\tspares\n\t  /dev/sdl1         AVAIL   \n\t  /dev/sdm1         INUSE     currently in use\n\nerrors: 3 data errors, use '-v' for a list\n";

    #[test]
    fn pools_with_what_is_left_of_them_read() {
        let mut pools = parse_status(STATUS);
        add_list("backup\t45\t-\tONLINE\ntank\t91\t12%\tDEGRADED\n", &mut pools);
        let [backup, tank] = pools.as_slice() else { panic!("{pools:?}") };
        assert_eq!((backup.word(), backup.may_fail(), backup.scan.as_ref()), ("Optl", 0, None));
        assert_eq!((backup.with_errors.as_slice(), backup.capacity_pct), (&["/dev/sdx1".to_owned()][..], Some(45.0)));
        assert_eq!((tank.word(), tank.may_fail()), ("Pdgd", 1));
        let groups: Vec<(&str, usize, usize, usize)> =
            tank.groups.iter().map(|g| (g.name.as_str(), g.width, g.lost, g.may_fail())).collect();
        assert_eq!(groups, [("raidz2-0", 4, 1, 1), ("mirror-1", 3, 0, 2)]);
        let left = 86_400.0 + 3600.0 + 2.0 * 60.0 + 3.0;
        assert_eq!(tank.scan, Some(Scan { is_resilver: true, done_pct: Some(45.2), left_s: Some(left) }));
        assert_eq!((tank.spares_free, tank.spares_used, tank.gone.as_slice()), (1, 1, &["/dev/sdb1".to_owned()][..]));
        assert_eq!(tank.data_errors.as_deref(), Some("3 data errors, use '-v' for a list"));
        assert_eq!((tank.capacity_pct, tank.fragmented_pct), (Some(91.0), Some(12.0)));
    }

    #[test]
    fn states_are_told_apart() {
        let pool = |state: &str, devices: &str| {
            let text = format!(
                "  pool: p\n state: {state}\nconfig:\n\n\tNAME STATE READ WRITE CKSUM\n\tp {state} 0 0 0\n{devices}"
            );
            parse_status(&text).remove(0)
        };
        let mirror = |one: &str, other: &str| {
            format!("\t  mirror-0 X 0 0 0\n\t    /dev/a {one} 0 0 0\n\t    /dev/b {other} 0 0 0\n")
        };
        for (state, devices, word, left) in [
            ("ONLINE", mirror("ONLINE", "ONLINE"), "Optl", 1),
            ("DEGRADED", mirror("ONLINE", "FAULTED"), "Dgrd", 0),
            ("DEGRADED", mirror("ONLINE", "OFFLINE"), "Dgrd", 0),
            ("FAULTED", mirror("UNAVAIL", "UNAVAIL"), "OfLn", 0),
            ("SUSPENDED", mirror("ONLINE", "ONLINE"), "OfLn", 1),
            ("WEIRD", mirror("ONLINE", "ONLINE"), "Unknown", 1),
            (
                "DEGRADED",
                "\t  raidz3-0 D 0 0 0\n\t    /dev/a ONLINE 0 0 0\n\t    /dev/b REMOVED 0 0 0\n".to_owned(),
                "Pdgd",
                2,
            ),
        ] {
            let pool = pool(state, &devices);
            assert_eq!((pool.word(), pool.may_fail()), (word, left), "{state} {devices}");
        }
        assert_eq!(parse_status("no pools available\n"), []);
    }

    #[test]
    fn times_left_of_every_version_read() {
        for (text, expected) in [
            ("01:02:03", Some(3723.0)),
            ("0h10m", Some(600.0)),
            ("2 days 00:00:01", Some(172_801.0)),
            ("no estimated completion time", None),
            ("", Some(0.0)),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "( |\n|\t|  pool: p\n|config:\n|mirror-0|raidz2|spares|ONLINE|[0-9:%,.]{0,6}| done| to go|é|\\PC){0,50}") {
            let mut pools = parse_status(&text);
            add_list(&text, &mut pools);
        }

        #[test]
        fn any_truncation_reads(cut in 0usize..2200) {
            for pool in parse_status(STATUS.get(..cut).unwrap_or(STATUS)) {
                let _ = (pool.word(), pool.may_fail());
            }
        }
    }
}
