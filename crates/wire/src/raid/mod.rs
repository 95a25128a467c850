//! Hardware RAID as the vendors' tools print it, brought to one form: arrays with what may still fail, disks, battery.

pub mod arcconf;
pub mod megacli;
pub mod ssacli;
pub mod storcli;

/// All controllers of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controller {
    /// As the tool numbers it: `0`, `Slot 0`.
    pub id: String,
    pub model: String,
    /// What the controller says of itself, where that is not good.
    pub complaint: Option<String>,
    pub arrays: Vec<Array>,
    pub disks: Vec<Disk>,
    pub battery: Option<Battery>,
}

/// One virtual disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    pub id: String,
    pub level: Level,
    pub state: ArrayState,
    /// As the tool wrote it.
    pub raw_state: String,
    /// Number of its disks, where that is told.
    pub width: Option<u32>,
    /// Disks that are gone from it, where that is told.
    pub lost: Option<u32>,
    pub progress_pct: Option<f64>,
    /// The group of disks that it lies on.
    pub group: String,
}

#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum ArrayState {
    Optimal,
    /// Redundancy is reduced; how far follows from level and lost disks.
    Degraded,
    Rebuilding,
    /// A word that is not known here.
    #[default]
    Unknown,
    Failed,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Level {
    Raid0,
    Raid1,
    Raid5,
    Raid6,
    Raid10,
    Raid50,
    Raid60,
    #[default]
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// `252:1`, `1I:3:3`.
    pub id: String,
    pub state: DiskState,
    pub raw_state: String,
    /// The group of disks that it belongs to; empty if none.
    pub group: String,
    pub progress_pct: Option<f64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskState {
    Online,
    Spare,
    /// Being filled.
    Rebuilding,
    /// Works and announces its failure.
    Predicted,
    Failed,
    Missing,
    /// Carries the configuration of another controller.
    Foreign,
    /// Not in use, or passed through.
    Unused,
    /// A word that is not known here.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Battery {
    /// As the tool wrote it.
    pub state: String,
    pub is_well: bool,
}

impl Level {
    /// `RAID5`, `RAID 1+0`, `5`, `Primary-1, Secondary-0, RAID Level Qualifier-0`.
    pub fn parse(text: &str) -> Level {
        let upper = text.to_uppercase();
        if let Some(rest) = upper.strip_prefix("PRIMARY-") {
            let primary: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let spanned = upper.contains("SECONDARY-3");
            return match (primary.as_str(), spanned) {
                ("0", _) => Level::Raid0,
                ("1", false) => Level::Raid1,
                ("1", true) => Level::Raid10,
                ("5", false) => Level::Raid5,
                ("5", true) => Level::Raid50,
                ("6", false) => Level::Raid6,
                ("6", true) => Level::Raid60,
                _ => Level::Other,
            };
        }
        let word: String = upper.replace("RAID", "").chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
        match word.split('(').next().unwrap_or_default() {
            "0" => Level::Raid0,
            "1" | "1ADM" | "1TRIPLE" | "1SIMPLE" => Level::Raid1,
            "4" | "5" | "5EE" | "1E" => Level::Raid5,
            "6" | "ADG" => Level::Raid6,
            "10" | "1+0" | "10ADM" | "1+0ADM" => Level::Raid10,
            "50" | "5+0" => Level::Raid50,
            "60" | "6+0" => Level::Raid60,
            _ => Level::Other,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Level::Raid0 => "RAID0",
            Level::Raid1 => "RAID1",
            Level::Raid5 => "RAID5",
            Level::Raid6 => "RAID6",
            Level::Raid10 => "RAID10",
            Level::Raid50 => "RAID50",
            Level::Raid60 => "RAID60",
            Level::Other => "RAID",
        }
    }

    /// Disks that may fail in the worst case while all work; spanned levels are counted by one span.
    pub fn spare(self, width: Option<u32>) -> u32 {
        match self {
            Level::Raid0 | Level::Other => 0,
            Level::Raid1 => width.map_or(1, |width| width.saturating_sub(1)),
            Level::Raid5 | Level::Raid10 | Level::Raid50 => 1,
            Level::Raid6 | Level::Raid60 => 2,
        }
    }
}

impl Array {
    /// How many more disks may fail in the worst case before data is lost.
    pub fn may_fail(&self) -> u32 {
        let spare = self.level.spare(self.width);
        match self.state {
            ArrayState::Optimal => spare,
            ArrayState::Failed | ArrayState::Unknown => 0,
            // Not told how many are gone: at least one, and of two the worse.
            ArrayState::Degraded | ArrayState::Rebuilding => spare.saturating_sub(self.lost.unwrap_or(spare).max(1)),
        }
    }

    /// The words of the signal `raid`.
    pub fn word(&self) -> &'static str {
        match self.state {
            ArrayState::Optimal => "Optl",
            ArrayState::Failed => "OfLn",
            ArrayState::Unknown => "Unknown",
            ArrayState::Degraded | ArrayState::Rebuilding if self.may_fail() > 0 => "Pdgd",
            ArrayState::Rebuilding => "Rbld",
            ArrayState::Degraded => "Dgrd",
        }
    }
}

impl Controller {
    pub fn spares(&self) -> usize {
        self.disks.iter().filter(|disk| disk.state == DiskState::Spare).count()
    }

    pub fn with_state(&self, state: DiskState) -> impl Iterator<Item = &Disk> {
        self.disks.iter().filter(move |disk| disk.state == state)
    }

    /// Brings together what disks and arrays tell apart: lost disks of a group, and rebuilds with their progress.
    fn settle(&mut self) {
        for array in &mut self.arrays {
            let of_group = |disk: &&Disk| !array.group.is_empty() && disk.group == array.group;
            let members: Vec<&Disk> = self.disks.iter().filter(of_group).collect();
            if array.width.is_none() && !members.is_empty() {
                let counted = members.iter().filter(|disk| disk.state != DiskState::Spare).count();
                array.width = u32::try_from(counted).ok();
            }
            if array.lost.is_none() && array.state != ArrayState::Optimal && !members.is_empty() {
                let is_lost = |disk: &&&Disk| {
                    matches!(disk.state, DiskState::Failed | DiskState::Missing | DiskState::Rebuilding)
                };
                array.lost = u32::try_from(members.iter().filter(is_lost).count()).ok().filter(|lost| *lost > 0);
            }
            let filling = members.iter().find(|disk| disk.state == DiskState::Rebuilding);
            if let (ArrayState::Degraded, Some(disk)) = (array.state, filling) {
                array.state = ArrayState::Rebuilding;
                array.progress_pct = array.progress_pct.or(disk.progress_pct);
            }
        }
    }
}

/// A line `Key : value` or `Key: value`, its blanks taken off.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    Some((key.trim(), value.trim()))
}

/// The number after a word, as in `Adapter #1` and `Slot 3`.
fn number_after(line: &str, word: &str) -> Option<String> {
    let rest = line.split_once(word)?.1.trim_start_matches([' ', ':', '#']);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// `12` of `Recovering, 12% complete`.
fn percent_in(text: &str) -> Option<f64> {
    let (before, _) = text.split_once('%')?;
    let digits = before.trim_end();
    let from = digits.rfind(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).map_or(0, |at| at + 1);
    let from = (from..=digits.len()).find(|at| digits.is_char_boundary(*at)).unwrap_or(digits.len());
    crate::tool_json::number(digits.get(from..)?).filter(|pct| (0.0..=100.0).contains(pct))
}

#[cfg(test)]
mod tests;
