//! The format of /proc/mdstat (drivers/md/md.c, `md_seq_show`).

/// One array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    pub name: String,
    /// `raid1`; empty where the array is inactive.
    pub level: String,
    pub inactive: bool,
    pub members: Vec<Member>,
    /// `[n/m]`; missing for levels without redundancy.
    pub members_wanted_working: Option<(usize, usize)>,
    pub operation: Option<Operation>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub device: String,
    /// Number in the array; behind the last slot for a disk that joined later.
    pub number: usize,
    pub faulty: bool,
    pub spare: bool,
}

/// What the driver does with the array now.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// `recovery`, `resync`, `reshape`, `check`, `repair`.
    pub name: String,
    /// `None` while it waits (`DELAYED`, `PENDING`).
    pub progress_pct: Option<f64>,
    pub finish_min: Option<f64>,
}

impl Array {
    /// Slots without a working member.
    pub fn missing(&self) -> usize {
        self.members_wanted_working.map_or(0, |(wanted, working)| wanted.saturating_sub(working))
    }

    pub fn failed(&self) -> Vec<String> {
        self.members.iter().filter(|member| member.faulty).map(|member| member.device.clone()).collect()
    }

    pub fn spares(&self) -> usize {
        self.members.iter().filter(|member| member.spare).count()
    }
}

impl Operation {
    pub fn describe(&self) -> String {
        match (self.progress_pct, self.finish_min) {
            (Some(pct), Some(minutes)) => format!("{} {pct} %, ready in {minutes} min", self.name),
            (Some(pct), None) => format!("{} {pct} %", self.name),
            (None, _) => format!("{} waits", self.name),
        }
    }
}

/// Reads every array; lines of other kinds and unknown words are passed over.
pub fn parse_mdstat(text: &str) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    for line in text.lines() {
        if line.starts_with("Personalities") || line.starts_with("unused devices") {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            if let Some(array) = parse_head(line) {
                arrays.push(array);
            }
        } else if let Some(array) = arrays.last_mut() {
            if array.members_wanted_working.is_none() {
                array.members_wanted_working = line.split_whitespace().find_map(parse_counts);
            }
            if let Some(operation) = parse_operation(line) {
                array.operation = Some(operation);
            }
        }
    }
    arrays
}

/// `md0 : active (auto-read-only) raid1 sdb1[1](F) sda1[0]`
fn parse_head(line: &str) -> Option<Array> {
    let (name, rest) = line.split_once(" : ")?;
    let mut array = Array { name: name.trim().to_owned(), ..Array::default() };
    for word in rest.split_whitespace() {
        match word {
            "active" => {}
            "inactive" | "broken" => array.inactive = true,
            _ if word.starts_with('(') => {}
            _ => match parse_member(word) {
                Some(member) => array.members.push(member),
                None if array.level.is_empty() => array.level = word.to_owned(),
                None => {}
            },
        }
    }
    array.members.sort_by(|a, b| a.device.cmp(&b.device));
    Some(array)
}

/// `sdb1[1](F)`
fn parse_member(word: &str) -> Option<Member> {
    let (device, rest) = word.split_once('[')?;
    let (number, flags) = rest.split_once(']')?;
    Some(Member {
        device: device.to_owned(),
        number: number.parse().ok()?,
        faulty: flags.contains("(F)"),
        spare: flags.contains("(S)"),
    })
}

/// `[2/1]`
fn parse_counts(word: &str) -> Option<(usize, usize)> {
    let (wanted, working) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
    Some((wanted.parse().ok()?, working.parse().ok()?))
}

/// `[==>...]  recovery = 12.5% (8320/64512) finish=0.4min speed=2080K/sec`, or `resync=DELAYED`
fn parse_operation(line: &str) -> Option<Operation> {
    let name = ["recovery", "resync", "reshape", "check", "repair"]
        .into_iter()
        .find(|name| line.split_whitespace().any(|word| word.split('=').next() == Some(name)))?;
    let (_, after) = line.split_once(name)?;
    let after = after.trim_start().strip_prefix('=')?.trim_start();
    let progress_pct =
        after.split('%').next().and_then(|number| number.trim().parse().ok()).filter(|n: &f64| n.is_finite());
    let finish_min = after
        .split_once("finish=")
        .and_then(|(_, rest)| rest.split("min").next())
        .and_then(|number| number.parse().ok())
        .filter(|n: &f64| n.is_finite());
    Some(Operation { name: name.to_owned(), progress_pct, finish_min })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_waiting_resync_has_no_progress() {
        let text = "md0 : active raid1 sdb1[1] sda1[0]\n      9 blocks [2/2] [UU]\n      \tresync=DELAYED\n";
        let arrays = parse_mdstat(text);
        let operation = arrays[0].operation.as_ref().expect("an operation");
        assert_eq!((operation.name.as_str(), operation.progress_pct), ("resync", None));
    }

    #[test]
    fn flags_and_numbers_of_members_are_read() {
        let arrays = parse_mdstat("md127 : active raid1 nvme0n1p2[3](S) sdb1[1](W)(F) sda1[0]\n");
        let members = &arrays[0].members;
        assert_eq!((members[0].device.as_str(), members[0].number, members[0].spare), ("nvme0n1p2", 3, true));
        assert!(members[2].faulty && !members[1].faulty);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(md[0-9] : |      |\\PC){0,5}(\\[[0-9/U_>=.]{0,9}\\]|recovery|=|%|finish=|\\PC|\n){0,20}") {
            let _ = parse_mdstat(&text);
        }

        #[test]
        fn any_truncation_reads(cut in 0usize..200) {
            let text = include_str!("../../../tests/data/captures/mdstat_recovering.txt");
            let _ = parse_mdstat(text.get(..cut).unwrap_or(text));
        }
    }
}
