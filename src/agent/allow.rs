//! What a host lets runbooks run on it: a list of its own, beside the hub's. Both must allow a command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::runbook::order::fits;

/// Of one list; all of it goes with each push.
const ENTRIES_MAX: usize = 256;
const FILE_BYTES_MAX: usize = 64 * 1024;
/// Of one command, here and in an order.
pub const WORDS_MAX: usize = 64;
pub const WORD_BYTES_MAX: usize = 4096;

/// Empty allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Arc<[Vec<Arc<str>>]>);

#[derive(Debug, thiserror::Error)]
pub enum AllowListError {
    #[error("cannot read the allow-list {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("everybody may change the allow-list {0}: take that right away (chmod o-w)")]
    Writable(PathBuf),
    #[error("the allow-list {path}: {why}")]
    Invalid { path: PathBuf, why: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    commands: Vec<Vec<Arc<str>>>,
}

impl AllowList {
    /// # Errors
    /// It cannot be read, is no list of commands, or is anybody's to change.
    pub fn read(path: &Path) -> Result<AllowList, AllowListError> {
        use std::os::unix::fs::MetadataExt;
        let failed = |source| AllowListError::Read { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.mode();
        if mode & 0o002 != 0 {
            return Err(AllowListError::Writable(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        AllowList::parse(&text).map_err(|why| AllowListError::Invalid { path: path.to_owned(), why })
    }

    /// # Errors
    /// What is wrong, for people.
    pub fn parse(text: &str) -> Result<AllowList, String> {
        if text.len() > FILE_BYTES_MAX {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        let File { commands } = toml::from_str(text).map_err(|error| error.to_string())?;
        if commands.len() > ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} commands"));
        }
        commands.iter().try_for_each(|words| check(words))?;
        Ok(AllowList(commands.into()))
    }

    pub fn entries(&self) -> &[Vec<Arc<str>>] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn allows(&self, words: &[Arc<str>]) -> bool {
        self.0.iter().any(|entry| fits(entry, words, |allowed, word| allowed == word))
    }
}

/// The rules of `[runbook] commands`, but for names of the target: a host knows itself.
fn check(words: &[Arc<str>]) -> Result<(), String> {
    let shown = stentor_core::runbook::order::shown(words);
    let program = words.first().map(|word| &**word).unwrap_or_default();
    // A program that can be anything would allow everything.
    if program.is_empty() || program.contains(['*', '{', '=', '\0']) {
        return Err(format!("{shown} does not begin with a program that is written out"));
    }
    if words.len() > WORDS_MAX || words.iter().any(|word| word.len() > WORD_BYTES_MAX) {
        return Err(format!("{shown} has more than {WORDS_MAX} words, or one of more than {WORD_BYTES_MAX} bytes"));
    }
    if words.iter().any(|word| word.contains(['{', '\0'])) {
        return Err(format!("{shown}: names such as {{host}} are the hub's; write the word out, or `*`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[&str]) -> Vec<Arc<str>> {
        words.iter().map(|word| (*word).into()).collect()
    }

    const LIST: &str = r#"
commands = [
  ["systemctl", "restart", "httpd.service"],
  ["drbdadm", "primary", "*"],   # whichever resource
  ["sync"],
]
"#;

    #[test]
    fn only_what_fits_word_by_word_is_allowed() {
        let list = AllowList::parse(LIST).expect("a list");
        let cases: &[(&[&str], bool)] = &[
            (&["systemctl", "restart", "httpd.service"], true),
            (&["systemctl", "restart", "httpd.service", "--force"], false),
            (&["systemctl", "restart", "sshd.service"], false),
            (&["systemctl", "restart"], false),
            (&["/tmp/systemctl", "restart", "httpd.service"], false),
            (&["drbdadm", "primary", "r0"], true),
            (&["drbdadm", "primary", "r0; reboot"], true),
            (&["drbdadm", "primary", "--force"], false),
            (&["drbdadm", "primary", ""], false),
            (&["drbdadm", "primary", "*"], true),
            (&["sync"], true),
            (&["*"], false),
            (&[], false),
        ];
        for (order, allowed) in cases {
            assert_eq!(list.allows(&words(order)), *allowed, "{order:?}");
            assert!(!AllowList::default().allows(&words(order)), "nothing is allowed unless it is written");
        }
    }

    #[test]
    fn a_list_that_would_allow_anything_or_cannot_be_meant_is_refused() {
        for (text, part) in [
            ("", "commands"),
            ("commands = [\"ls\"]", "invalid type"),
            ("commands = [[]]", "written out"),
            ("commands = [[\"*\", \"x\"]]", "written out"),
            ("commands = [[\"A=b\", \"x\"]]", "written out"),
            ("commands = [[\"ls\", \"{host}\"]]", "are the hub's"),
            ("command = [[\"ls\"]]", "unknown field"),
        ] {
            let refused = AllowList::parse(text).expect_err(text);
            assert!(refused.contains(part), "{text}: {refused}");
        }
        assert!(AllowList::parse(&format!("commands = [{}]", "[\"ls\"],".repeat(257))).is_err());
        assert!(AllowList::parse("commands = []").is_ok_and(|list| list.is_empty()));
    }

    #[test]
    fn a_list_that_everybody_may_change_is_not_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("commands.toml");
        std::fs::write(&path, LIST).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        assert_eq!(AllowList::read(&path).expect("read").entries().len(), 3);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("set");
        assert!(matches!(AllowList::read(&path), Err(AllowListError::Writable(_))));
        assert!(matches!(AllowList::read(&folder.path().join("none")), Err(AllowListError::Read { .. })));
    }

    proptest! {
        /// What an entry with one free word lets through is as long as it, and differs from it in that word only.
        #[test]
        fn a_free_word_is_one_word(order in proptest::collection::vec("\\PC{0,6}", 0..5)) {
            let list = AllowList::parse("commands = [[\"tool\", \"set\", \"*\"]]").expect("a list");
            let order: Vec<Arc<str>> = order.into_iter().map(Arc::from).collect();
            let free: Vec<Arc<str>> = [words(&["tool", "set"]), order.iter().take(1).cloned().collect()].concat();
            prop_assert!(!list.allows(&order) || (&*order[0], &*order[1], order.len()) == ("tool", "set", 3));
            prop_assert_eq!(list.allows(&free), order.first().is_some_and(|w| !w.is_empty() && !w.starts_with('-')));
        }
    }
}
