//! Sets of states and occasions written as letters: `d,u,r`, `critical,recovery`, `n`, `a`.

use serde::Serialize;

/// Which states and occasions an option line names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct OptionSet(u16);

impl OptionSet {
    pub const NONE: OptionSet = OptionSet(0);
    /// UP, OK, recovery.
    pub const OK: OptionSet = OptionSet(1);
    pub const WARNING: OptionSet = OptionSet(1 << 1);
    pub const UNKNOWN: OptionSet = OptionSet(1 << 2);
    pub const CRITICAL: OptionSet = OptionSet(1 << 3);
    pub const DOWN: OptionSet = OptionSet(1 << 4);
    pub const UNREACHABLE: OptionSet = OptionSet(1 << 5);
    pub const FLAPPING: OptionSet = OptionSet(1 << 6);
    pub const DOWNTIME: OptionSet = OptionSet(1 << 7);
    pub const PENDING: OptionSet = OptionSet(1 << 8);
    /// `N` of `stalking_options`: also when a notification is sent.
    pub const NOTIFICATION: OptionSet = OptionSet(1 << 9);
    /// Everything, which includes what the family has no letter for.
    pub const ALL: OptionSet = OptionSet(u16::MAX);

    /// Whether all of `other` is in this set.
    pub const fn has(self, other: OptionSet) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn with(self, other: OptionSet) -> OptionSet {
        OptionSet(self.0 | other.0)
    }

    /// One bit for each state and occasion.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// As Nagios prints it: the letter of OK first, then the others in their fixed order; `a`, `n`.
    pub fn letters(self, family: &Family) -> String {
        if self == OptionSet::ALL {
            return "a".to_owned();
        }
        let ok = self.has(OptionSet::OK).then_some(family.printed_ok);
        let others = family.letters.iter().filter(|letter| letter.set != OptionSet::OK && self.has(letter.set));
        let letters: Vec<String> = ok.into_iter().chain(others.map(|letter| letter.letter)).map(String::from).collect();
        if letters.is_empty() { "n".to_owned() } else { letters.join(",") }
    }
}

/// One letter of a family.
#[derive(Debug, Eq, PartialEq)]
pub struct Letter {
    letter: char,
    words: &'static [&'static str],
    set: OptionSet,
}

/// The letters that one directive knows, besides `n` (none) and `a` (all).
#[derive(Debug, Eq, PartialEq)]
pub struct Family {
    letters: &'static [Letter],
    printed_ok: char,
    /// For people: what may be written.
    pub expected: &'static str,
}

const fn letter(letter: char, words: &'static [&'static str], set: OptionSet) -> Letter {
    Letter { letter, words, set }
}

const UP: Letter = letter('o', &["up", "ok"], OptionSet::OK);
const RECOVERY: Letter = letter('r', &["recovery"], OptionSet::OK);
const DOWN: Letter = letter('d', &["down"], OptionSet::DOWN);
const UNREACHABLE: Letter = letter('u', &["unreachable"], OptionSet::UNREACHABLE);
const WARNING: Letter = letter('w', &["warning"], OptionSet::WARNING);
const UNKNOWN: Letter = letter('u', &["unknown"], OptionSet::UNKNOWN);
const CRITICAL: Letter = letter('c', &["critical"], OptionSet::CRITICAL);
const FLAPPING: Letter = letter('f', &["flapping"], OptionSet::FLAPPING);
const DOWNTIME: Letter = letter('s', &["downtime"], OptionSet::DOWNTIME);
const PENDING: Letter = letter('p', &["pending"], OptionSet::PENDING);
const NOTIFICATION: Letter = letter('N', &["notifications"], OptionSet::NOTIFICATION);

pub static HOST_NOTIFICATION: Family = Family {
    letters: &[RECOVERY, DOWN, UNREACHABLE, FLAPPING, DOWNTIME],
    printed_ok: 'r',
    expected: "a list of d, u, r, f, s, or n, or a",
};
pub static SERVICE_NOTIFICATION: Family = Family {
    letters: &[RECOVERY, WARNING, UNKNOWN, CRITICAL, FLAPPING, DOWNTIME],
    printed_ok: 'r',
    expected: "a list of w, u, c, r, f, s, or n, or a",
};
/// Nagios prints the UP of a host as `u` here.
pub static HOST_FLAPPING: Family =
    Family { letters: &[UP, DOWN, UNREACHABLE], printed_ok: 'u', expected: "a list of o, d, u, or n, or a" };
pub static SERVICE_FLAPPING: Family = Family {
    letters: &[UP, WARNING, UNKNOWN, CRITICAL],
    printed_ok: 'o',
    expected: "a list of o, w, u, c, or n, or a",
};
pub static HOST_STALKING: Family = Family {
    letters: &[UP, DOWN, UNREACHABLE, NOTIFICATION],
    printed_ok: 'u',
    expected: "a list of o, d, u, N, or n, or a",
};
pub static SERVICE_STALKING: Family = Family {
    letters: &[UP, WARNING, UNKNOWN, CRITICAL, NOTIFICATION],
    printed_ok: 'o',
    expected: "a list of o, w, u, c, N, or n, or a",
};
pub static HOST_DEPENDENCY: Family = Family {
    letters: &[UP, DOWN, UNREACHABLE, PENDING],
    printed_ok: 'o',
    expected: "a list of o, d, u, p, or n, or a",
};
pub static SERVICE_DEPENDENCY: Family = Family {
    letters: &[UP, WARNING, UNKNOWN, CRITICAL, PENDING],
    printed_ok: 'o',
    expected: "a list of o, w, u, c, p, or n, or a",
};
pub static HOST_ESCALATION: Family =
    Family { letters: &[RECOVERY, DOWN, UNREACHABLE], printed_ok: 'r', expected: "a list of d, u, r, or n, or a" };
pub static SERVICE_ESCALATION: Family = Family {
    letters: &[RECOVERY, WARNING, UNKNOWN, CRITICAL],
    printed_ok: 'r',
    expected: "a list of w, u, c, r, or n, or a",
};

/// Reads a list of letters or words; the text that is neither is returned as the error.
///
/// # Errors
/// An item is not a letter of the family.
pub fn parse<'a>(text: &'a str, family: &Family) -> Result<OptionSet, &'a str> {
    let mut set = OptionSet::NONE;
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let mut chars = item.chars();
        let single = chars.next().filter(|_| chars.next().is_none());
        let known = family.letters.iter().find(|letter| {
            single == Some(letter.letter) || letter.words.iter().any(|word| item.eq_ignore_ascii_case(word))
        });
        set = match known {
            Some(letter) => set.with(letter.set),
            None if item == "n" || item.eq_ignore_ascii_case("none") => OptionSet::NONE,
            None if item == "a" || item.eq_ignore_ascii_case("all") => OptionSet::ALL,
            None => return Err(item),
        };
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_words_are_read_and_printed_in_fixed_order() {
        for (text, family, printed) in [
            ("u,d,r", &HOST_NOTIFICATION, Ok("r,d,u")),
            ("critical,recovery", &SERVICE_NOTIFICATION, Ok("r,c")),
            ("w, u ,c,r,f,s", &SERVICE_NOTIFICATION, Ok("r,w,u,c,f,s")),
            ("o,d", &HOST_STALKING, Ok("u,d")),
            ("N,o", &SERVICE_STALKING, Ok("o,N")),
            ("a", &HOST_NOTIFICATION, Ok("a")),
            ("all", &HOST_FLAPPING, Ok("a")),
            ("n", &HOST_NOTIFICATION, Ok("n")),
            ("d,none,u", &HOST_NOTIFICATION, Ok("u")),
            ("pending,o", &HOST_DEPENDENCY, Ok("o,p")),
            ("", &HOST_NOTIFICATION, Ok("n")),
            ("x", &HOST_NOTIFICATION, Err("x")),
            ("d u", &HOST_NOTIFICATION, Err("d u")),
            ("w", &HOST_NOTIFICATION, Err("w")),
        ] {
            assert_eq!(parse(text, family).map(|set| set.letters(family)), printed.map(str::to_owned), "{text}");
        }
    }
}
