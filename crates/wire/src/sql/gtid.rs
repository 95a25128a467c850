//! Global transaction identifiers: which transactions a server has that another one lacks. MariaDB and MySQL write them differently.

use std::collections::BTreeMap;

/// What a server has carried out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Gtids {
    /// Of MySQL: transactions of each server, as ranges in order that neither touch nor overlap. Of MariaDB: of each
    /// domain, all up to the newest.
    ranges: BTreeMap<String, Vec<(u64, u64)>>,
}

/// Ranges that are read of one set; a server with more holes has been reset by hand many times.
const RANGES_MAX: usize = 10_000;

impl Gtids {
    /// `0-1-42,7-2-3`: domain, server and number of the newest transaction of each domain.
    pub fn of_mariadb(text: &str) -> Option<Gtids> {
        let mut gtids = Gtids::default();
        for part in parts(text).take(RANGES_MAX) {
            let (domain, _, sequence) = mariadb(part)?;
            gtids.add(&domain.to_string(), 1, sequence)?;
        }
        Some(gtids)
    }

    /// `3e11fa47-…:1-5:7,4a….:1`, with a tag before the ranges since 8.3.
    pub fn of_mysql(text: &str) -> Option<Gtids> {
        let mut gtids = Gtids::default();
        let mut count = 0;
        for part in parts(text) {
            let mut words = part.split(':').map(str::trim);
            let uuid = words.next().filter(|uuid| uuid.len() == 36)?.to_ascii_lowercase();
            let mut of = uuid.clone();
            for word in words {
                if is_tag(word) {
                    of = format!("{uuid}:{word}");
                    continue;
                }
                let (from, to) = word.split_once('-').unwrap_or((word, word));
                gtids.add(&of, from.parse().ok()?, to.parse().ok()?)?;
                count += 1;
                if count > RANGES_MAX {
                    return None;
                }
            }
        }
        for ranges in gtids.ranges.values_mut() {
            ranges.sort_unstable();
            let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
            for (from, to) in ranges.drain(..) {
                match joined.last_mut() {
                    Some((_, end)) if from <= end.saturating_add(1) => *end = to.max(*end),
                    _ => joined.push((from, to)),
                }
            }
            *ranges = joined;
        }
        Some(gtids)
    }

    fn add(&mut self, of: &str, from: u64, to: u64) -> Option<()> {
        if to < from && to != 0 {
            return None;
        }
        if to > 0 {
            self.ranges.entry(of.to_owned()).or_default().push((from, to));
        }
        Some(())
    }

    /// Transactions that are here and not in `other`.
    pub fn beyond(&self, other: &Gtids) -> u64 {
        let of = |(name, ranges): (&String, &Vec<(u64, u64)>)| {
            let held = other.ranges.get(name).map(Vec::as_slice).unwrap_or_default();
            ranges.iter().map(|range| uncovered(*range, held)).fold(0, u64::saturating_add)
        };
        self.ranges.iter().map(of).fold(0, u64::saturating_add)
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Where MariaDB's binary log and its replication are, of each domain and server. Numbers are given within a domain, by
/// whoever writes: the newest number alone does not tell whose transaction it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MariadbState {
    logged: BTreeMap<(u32, u32), u64>,
    applied: BTreeMap<u32, u64>,
}

impl MariadbState {
    /// `gtid_binlog_state` and `gtid_slave_pos`.
    pub fn parse(logged: &str, applied: &str) -> Option<MariadbState> {
        let mut state = MariadbState::default();
        for part in parts(logged) {
            let (domain, server, newest) = mariadb(part)?;
            state.logged.insert((domain, server), newest);
        }
        for part in parts(applied) {
            let (domain, _, newest) = mariadb(part)?;
            state.applied.insert(domain, newest);
        }
        Some(state)
    }

    /// How many transactions at most are in the log here that `other` neither logged nor applied.
    pub fn beyond(&self, other: &MariadbState) -> u64 {
        let of = |((domain, server), newest): (&(u32, u32), &u64)| {
            let logged = other.logged.get(&(*domain, *server)).copied().unwrap_or(0);
            let applied = other.applied.get(domain).copied().unwrap_or(0);
            newest.saturating_sub(logged.max(applied))
        };
        self.logged.iter().map(of).fold(0, u64::saturating_add)
    }
}

/// Domain, server and number.
fn mariadb(text: &str) -> Option<(u32, u32, u64)> {
    let [domain, server, sequence] = <[&str; 3]>::try_from(text.split('-').collect::<Vec<_>>()).ok()?;
    Some((domain.parse().ok()?, server.parse().ok()?, sequence.parse().ok()?))
}

fn is_tag(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    word.starts_with(is_letter) && word.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Numbers of `range` that are in none of `held`, which are in order.
fn uncovered((from, to): (u64, u64), held: &[(u64, u64)]) -> u64 {
    let overlap = |(start, end): &(u64, u64)| {
        let (start, end) = ((*start).max(from), (*end).min(to));
        if end < start { 0 } else { (end - start).saturating_add(1) }
    };
    let covered = held.iter().map(overlap).fold(0, u64::saturating_add);
    (to - from).saturating_add(1).saturating_sub(covered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4a2c0d11-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn transactions_that_the_other_lacks_are_counted() {
        for (own, other, beyond, lacks) in [
            ("0-1-42", "0-1-42", 0, 0),
            ("0-1-42", "0-2-40", 2, 0),
            ("0-1-42,7-1-3", "0-1-50", 3, 8),
            ("", "0-1-5", 0, 5),
        ] {
            let [own_set, other_set] = [own, other].map(|text| Gtids::of_mariadb(text).unwrap());
            assert_eq!((own_set.beyond(&other_set), other_set.beyond(&own_set)), (beyond, lacks), "{own} {other}");
        }
        for (own, other, beyond, lacks) in [
            (format!("{A}:1-10"), format!("{A}:1-7:9"), 2, 0),
            (format!("{A}:1-10,\n{B}:1"), format!("{A}:1-12"), 1, 2),
            (format!("{A}:5-6:1-4:7"), format!("{}:1-7", A.to_uppercase()), 0, 0),
            (format!("{A}:1-3:tag_a:1-2"), format!("{A}:1-3"), 2, 0),
            (String::new(), format!("{B}:1-18446744073709551615"), 0, u64::MAX),
        ] {
            let [own_set, other_set] = [&own, &other].map(|text| Gtids::of_mysql(text).unwrap());
            assert_eq!((own_set.beyond(&other_set), other_set.beyond(&own_set)), (beyond, lacks), "{own} {other}");
        }
    }

    #[test]
    fn a_write_on_a_replica_is_told_from_one_of_its_source() {
        let state = |logged, applied| MariadbState::parse(logged, applied).unwrap();
        let source = state("0-1-100", "0-9-7");
        for (replica, beyond) in [
            (state("0-1-100", "0-1-100"), 0),
            (state("", "0-1-100"), 0),
            (state("0-2-90,0-1-100", "0-1-100"), 83),
            (state("0-9-7", "0-1-100"), 0),
            (state("3-1-1", ""), 1),
        ] {
            assert_eq!(replica.beyond(&source), beyond, "{replica:?}");
        }
        assert_eq!(MariadbState::parse("0-1", ""), None);
    }

    #[test]
    fn what_is_no_set_is_none() {
        for text in ["0-1", "0-1-x", "0-1-2-3", "a-1-2", "-1-1-1", "0-1--2"] {
            assert_eq!(Gtids::of_mariadb(text), None, "{text}");
        }
        for text in ["abc:1", &format!("{A}:5-2"), &format!("{A}:x y"), &format!("{A}:-")] {
            assert_eq!(Gtids::of_mysql(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "[0-9,:-]{0,40}", set in "[0-9:-]{0,30}") {
            for text in [text, near, format!("{A}:{set}")] {
                if let Some(state) = MariadbState::parse(&text, &text) {
                    prop_assert_eq!(state.beyond(&state), 0);
                }
                for set in [Gtids::of_mariadb(&text), Gtids::of_mysql(&text)].into_iter().flatten() {
                    prop_assert_eq!(set.beyond(&set), 0, "nobody lacks what he has");
                    prop_assert_eq!(Gtids::default().beyond(&set), 0);
                }
            }
        }
    }
}
