//! `nagios.log` as other tools read it: `[epoch] text`, rotated into an archive at the hour, day, week or month
//! (specification 03, section 10).

use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use stentor_core::Timestamp;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::desk::Seen;

/// `log_rotation_method`.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    #[default]
    Never,
    Hourly,
    Daily,
    /// At the midnight that begins Sunday.
    Weekly,
    Monthly,
}

impl Rotation {
    /// The letter of the main configuration; `None` = not one of them.
    pub fn from_letter(letter: &str) -> Option<Rotation> {
        Some(match letter {
            "n" => Rotation::Never,
            "h" => Rotation::Hourly,
            "d" => Rotation::Daily,
            "w" => Rotation::Weekly,
            "m" => Rotation::Monthly,
            _ => return None,
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Rotation::Never => "NONE",
            Rotation::Hourly => "HOURLY",
            Rotation::Daily => "DAILY",
            Rotation::Weekly => "WEEKLY",
            Rotation::Monthly => "MONTHLY",
        }
    }

    /// The first rotation after `at`; `None` = never, or at the end of the calendar.
    fn next(self, at: &Zoned) -> Option<Zoned> {
        let midnight = |date: jiff::civil::Date| date.to_datetime(jiff::civil::Time::midnight());
        let today = at.date();
        let civil: DateTime = match self {
            Rotation::Never => return None,
            Rotation::Hourly => {
                // On the scale of real time: an hour that clocks repeat is rotated twice.
                let hour = at.round(jiff::ZonedRound::new().smallest(jiff::Unit::Hour).mode(jiff::RoundMode::Trunc));
                return hour.ok()?.checked_add(1.hour()).ok();
            }
            Rotation::Daily => midnight(today.tomorrow().ok()?),
            Rotation::Weekly => midnight(today.nth_weekday(1, Weekday::Sunday).ok()?),
            Rotation::Monthly => midnight(today.last_of_month().tomorrow().ok()?),
        };
        civil.to_zoned(at.time_zone().clone()).ok()
    }
}

/// Where the log is and how it is rotated.
#[derive(Clone, Debug)]
pub struct Settings {
    pub path: PathBuf,
    pub rotation: Rotation,
    /// `log_archive_path`; `None` = beside the log.
    pub archive: Option<PathBuf>,
    pub zone: TimeZone,
    /// Told of each rotation.
    pub seen: Seen,
}

/// Lines that open a fresh log: the present state of every object.
pub type CurrentStates = Box<dyn Fn() -> Vec<String> + Send>;

/// The open log. Trouble with the file is logged once and never stops anybody.
pub struct LogFile {
    settings: Settings,
    current: CurrentStates,
    file: Option<File>,
    rotate_at: Option<Zoned>,
    is_in_trouble: bool,
}

impl LogFile {
    /// Nothing is opened before the first line.
    pub fn new(settings: Settings, current: CurrentStates) -> LogFile {
        LogFile { settings, current, file: None, rotate_at: None, is_in_trouble: false }
    }

    /// Appends lines of one instant, rotating first if their time asks for it.
    pub async fn append(&mut self, at: Timestamp, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        match self.try_append(at, lines).await {
            Ok(()) => self.is_in_trouble = false,
            Err(error) => {
                // A file that was deleted or is on a disk that came back is opened anew with the next line.
                self.file = None;
                if !std::mem::replace(&mut self.is_in_trouble, true) {
                    let path = self.settings.path.display();
                    tracing::error!(%error, %path, "cannot write {path}: its lines are lost until that is mended");
                }
            }
        }
    }

    async fn try_append(&mut self, at: Timestamp, lines: &[String]) -> io::Result<()> {
        let now = jiff::Timestamp::from_millisecond(at.as_millis()).map_err(io::Error::other)?;
        let now = now.to_zoned(self.settings.zone.clone());
        if self.file.is_none() {
            self.file = Some(open(&self.settings.path).await?);
            self.rotate_at = self.settings.rotation.next(&now);
        }
        if self.rotate_at.as_ref().is_some_and(|due| *due <= now) {
            self.rotate(&now, at).await?;
        }
        self.write(at, lines.iter().map(String::as_str)).await
    }

    async fn write(&mut self, at: Timestamp, lines: impl Iterator<Item = &str>) -> io::Result<()> {
        let second = at.as_millis().div_euclid(1000);
        let mut text = String::new();
        for line in lines {
            // A line is a record: what would end it early is shown as Nagios shows it.
            let line = line.replace('\n', "\\n").replace('\r', "");
            text.push_str(&format!("[{second}] {line}\n"));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(text.as_bytes()).await?;
        file.flush().await
    }

    async fn rotate(&mut self, now: &Zoned, at: Timestamp) -> io::Result<()> {
        let name = format!("nagios-{}.log", now.strftime("%m-%d-%Y-%H"));
        let folder = self.settings.archive.clone().or_else(|| self.settings.path.parent().map(Path::to_owned));
        let archived = folder.unwrap_or_default().join(name);
        self.file = None;
        move_file(&self.settings.path, &archived).await?;
        self.file = Some(open(&self.settings.path).await?);
        self.rotate_at = self.settings.rotation.next(now);
        self.settings.seen.note_rotation(at);
        let first = [format!("LOG ROTATION: {}", self.settings.rotation.word()), "LOG VERSION: 2.0".to_owned()];
        let current = (self.current)();
        self.write(at, first.iter().chain(&current).map(String::as_str)).await
    }
}

async fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).await?;
    }
    OpenOptions::new().create(true).append(true).open(path).await
}

/// Moves across file systems too. An archive of that name is added to, not replaced.
async fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).await?;
    }
    let is_there = fs::try_exists(to).await?;
    if !is_there && fs::rename(from, to).await.is_ok() {
        return Ok(());
    }
    let mut source = File::open(from).await?;
    let mut archive = OpenOptions::new().create(true).append(true).open(to).await?;
    tokio::io::copy(&mut source, &mut archive).await?;
    archive.flush().await?;
    fs::remove_file(from).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).expect(text)
    }

    fn log(folder: &Path, rotation: Rotation) -> LogFile {
        let settings = Settings {
            path: folder.join("nagios.log"),
            rotation,
            archive: Some(folder.join("archives")),
            zone: TimeZone::UTC,
            seen: Seen::default(),
        };
        LogFile::new(settings, Box::new(|| vec!["CURRENT HOST STATE: web1;UP;HARD;1;fine".to_owned()]))
    }

    #[test]
    fn each_method_has_its_next_rotation() {
        let now: Zoned = "2026-11-20T23:30:00+00:00[UTC]".parse().unwrap();
        for (letter, next) in [
            ("n", None),
            ("h", Some("2026-11-21T00:00:00+00:00[UTC]")),
            ("d", Some("2026-11-21T00:00:00+00:00[UTC]")),
            ("w", Some("2026-11-22T00:00:00+00:00[UTC]")),
            ("m", Some("2026-12-01T00:00:00+00:00[UTC]")),
        ] {
            let found = Rotation::from_letter(letter).unwrap().next(&now).map(|zoned| zoned.to_string());
            assert_eq!(found.as_deref(), next, "{letter}");
        }
        assert_eq!(Rotation::from_letter("x"), None);
    }

    #[tokio::test]
    async fn a_rotated_log_starts_with_the_present_states() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), Rotation::Daily);
        log.append(at("2026-11-20T23:59:59Z"), &["SERVICE ALERT: web1;http;OK;HARD;1;fine".to_owned()]).await;
        log.append(at("2026-11-21T00:00:05Z"), &["two\nlines".to_owned()]).await;
        let archived = std::fs::read_to_string(folder.path().join("archives/nagios-11-21-2026-00.log")).unwrap();
        assert_eq!(archived, "[1795219199] SERVICE ALERT: web1;http;OK;HARD;1;fine\n");
        let fresh = std::fs::read_to_string(folder.path().join("nagios.log")).unwrap();
        assert_eq!(
            fresh,
            "[1795219205] LOG ROTATION: DAILY\n[1795219205] LOG VERSION: 2.0\n\
             [1795219205] CURRENT HOST STATE: web1;UP;HARD;1;fine\n[1795219205] two\\nlines\n"
        );
    }

    #[tokio::test]
    async fn an_archive_that_is_there_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("archives")).unwrap();
        let archive = folder.path().join("archives/nagios-11-21-2026-00.log");
        std::fs::write(&archive, "[1] old\n").unwrap();
        let mut log = log(folder.path(), Rotation::Daily);
        log.append(at("2026-11-20T23:59:59Z"), &["new".to_owned()]).await;
        log.append(at("2026-11-21T00:00:05Z"), &["newer".to_owned()]).await;
        assert_eq!(std::fs::read_to_string(archive).unwrap(), "[1] old\n[1795219199] new\n");
    }
}
