//! What tells of a backup: the files it leaves, or the mark that it writes when it ends.

use std::collections::BTreeMap;

/// One artifact of a backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    pub name: String,
    /// Seconds since 1970.
    pub at_s: f64,
    pub bytes: u64,
}

/// What [`parse_listing`] reads: `find … -printf` with this format.
pub const LISTING: &str = "%T@ %s %f\\0";

/// Time, size and name, each ended by a NUL byte, for a name may hold anything else. Newest first.
pub fn parse_listing(text: &str) -> Vec<Artifact> {
    let read = |entry: &str| {
        let (at, rest) = entry.split_once(' ')?;
        let (bytes, name) = rest.split_once(' ')?;
        let at_s: f64 = at.parse().ok().filter(|at: &f64| at.is_finite())?;
        Some(Artifact { name: name.to_owned(), at_s, bytes: bytes.parse().ok()? })
    };
    // What is cut off at the end is no artifact.
    let mut artifacts: Vec<Artifact> = text.split_inclusive('\0').filter_map(|e| read(e.strip_suffix('\0')?)).collect();
    artifacts.sort_by(|a, b| b.at_s.total_cmp(&a.at_s).then_with(|| a.name.cmp(&b.name)));
    artifacts
}

/// Size that is usual: the middle one of those given; `None` without any.
pub fn median(mut sizes: Vec<u64>) -> Option<u64> {
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied()
}

/// What a backup says of its last run, in lines `key=value`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// `ok` or what it says else; `None` if it says nothing.
    pub status: Option<String>,
    /// When it ended, seconds since 1970.
    pub at_s: Option<f64>,
    pub bytes: Option<u64>,
    pub message: String,
}

impl Mark {
    pub fn is_failed(&self) -> bool {
        self.status.as_deref().is_some_and(|status| !["ok", "success", "0"].contains(&status))
    }
}

/// Lines `status=ok`, `at=1795226400`, `bytes=123`, `message=…`; others are passed over. `None` if no line is one of these.
pub fn parse_mark(text: &str) -> Option<Mark> {
    let pairs: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
    let number = |key: &str| pairs.get(key).and_then(|value| value.parse::<f64>().ok()).filter(|n| n.is_finite());
    let mark = Mark {
        status: pairs.get("status").map(|status| status.to_lowercase()),
        at_s: number("at"),
        bytes: pairs.get("bytes").and_then(|value| value.parse().ok()),
        message: pairs.get("message").map(|text| (*text).to_owned()).unwrap_or_default(),
    };
    (mark.status.is_some() || mark.at_s.is_some()).then_some(mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_comes_first_whatever_its_name_holds() {
        let text = "1795226400.5 100 db 1.sql\x001795230000.0 90 a\nb.sql\x00179523";
        let artifacts = parse_listing(text);
        let names: Vec<(&str, u64)> = artifacts.iter().map(|a| (a.name.as_str(), a.bytes)).collect();
        assert_eq!(names, [("a\nb.sql", 90), ("db 1.sql", 100)]);
        assert_eq!((median(vec![3, 1, 2]), median(vec![4, 1]), median(vec![])), (Some(2), Some(4), None));
    }

    #[test]
    fn a_mark_says_how_it_ended() {
        let mark =
            parse_mark("# by backup.sh\nstatus = FAILED\nat=1795226400\nbytes=12\nmessage=pg_dumpall: no space\n");
        let mark = mark.expect("a mark");
        assert!(mark.is_failed());
        assert_eq!(
            (mark.at_s, mark.bytes, mark.message.as_str()),
            (Some(1_795_226_400.0), Some(12), "pg_dumpall: no space")
        );
        assert!(!parse_mark("status=ok\n").expect("a mark").is_failed());
        assert_eq!(parse_mark("hello\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([0-9]{1,12}|\\.| |\0|=|status|at|\n|\\PC){0,30}") {
            let artifacts = parse_listing(&text);
            prop_assert!(artifacts.windows(2).all(|pair| pair[0].at_s >= pair[1].at_s));
            let _ = parse_mark(&text);
        }
    }
}
