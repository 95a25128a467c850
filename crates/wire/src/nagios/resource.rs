//! Resource files: `$USERn$=value`. The values are secrets and are never shown.

use std::fmt;

use super::finding::{Findings, Place, quoted};

/// `$USER1$` to `$USER256$`.
const USERS: usize = 256;

/// The macros `$USERn$`.
#[derive(Clone, Eq, PartialEq)]
pub struct Resources(Vec<Option<String>>);

impl Default for Resources {
    fn default() -> Self {
        Resources(vec![None; USERS])
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.0.iter().filter(|value| value.is_some()).count();
        write!(f, "Resources({set} values [redacted])")
    }
}

impl Resources {
    /// The value of `$USERn$`, n from 1.
    pub fn user(&self, number: usize) -> Option<&str> {
        self.0.get(number.checked_sub(1)?)?.as_deref()
    }

    /// Adds what one file says; a later value of a macro wins.
    pub fn read(&mut self, file: u32, text: &str, found: &mut Findings) {
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with(';') {
                continue;
            }
            let parsed = line.split_once('=').and_then(|(name, value)| Some((user_number(name.trim())?, value.trim())));
            match parsed.and_then(|(user, value)| Some((self.0.get_mut(user.checked_sub(1)?)?, value))) {
                Some((slot, value)) => *slot = Some(value.to_owned()),
                None => {
                    // What follows the = may be a password.
                    let shown = line.split_once('=').map_or(line, |(name, _)| name);
                    let place = Place { file, line: number, column: 1 };
                    let message = format!("{} is no macro of a resource file and is ignored", quoted(shown));
                    found.warning("bad-resource", place, message, "expected $USER1$=value to $USER256$=value");
                }
            }
        }
    }
}

fn user_number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("$USER")?.strip_suffix('$')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_read_and_never_shown() {
        let mut all = Resources::default();
        let mut found = Findings::default();
        all.read(0, "# x\n$USER1$=/usr/lib\n $USER256$ = a=b \n$USER257$=s3cret\nfoo\n$USER0$=s3cret\n", &mut found);
        assert_eq!((all.user(1), all.user(256), all.user(2), all.user(0)), (Some("/usr/lib"), Some("a=b"), None, None));
        let lines: Vec<u32> = found.iter().map(|finding| finding.place.line).collect();
        assert_eq!(lines, [4, 5, 6]);
        assert!(!format!("{found:?} {all:?}").contains("s3cret") && !format!("{all:?}").contains("/usr/lib"));
    }
}
