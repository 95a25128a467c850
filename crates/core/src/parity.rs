//! Parity of redundant hosts: what each of them told of its files and packages, compared. What a host did not tell is not
//! known, and never taken for equal.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::id::{HostId, ServiceId};
use crate::model::{Observation, Outcome, UnknownCause, Value};
use crate::sight::Sight;
use crate::{Span, Timestamp};

/// Kind of the check that compares. It looks at what other checks told, so the collector itself runs it.
pub const PAIR_PROBE: &str = "parity_pair";
/// Fact of the checks that collect: by path or package what it is like there, null = it is not there.
pub const DIGESTS: &str = "digests";

/// Differences in the headline.
const SHOWN_MAX: usize = 3;
/// Characters of a hash that people compare.
const HASH_SHOWN: usize = 12;

/// What is compared, as the parameters of its check say it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub hosts: Vec<String>,
    /// The service that collects, on each of the hosts.
    pub service: String,
    /// Paths and packages.
    pub names: Vec<String>,
    /// What was told longer ago is not known any more.
    pub fresh: Span,
}

impl Pair {
    /// `None` = these are no parameters of a comparison.
    pub fn of(params: &Value) -> Option<Pair> {
        let texts = |key: &str| -> Option<Vec<String>> {
            params.get(key)?.list()?.iter().map(|item| item.text().map(str::to_owned)).collect()
        };
        let fresh = Span::from_millis(params.get("fresh_ms")?.number()? as i64);
        let service = params.get("service")?.text()?.to_owned();
        Some(Pair { hosts: texts("hosts")?, service, names: texts("names")?, fresh })
    }

    pub fn params(&self) -> Value {
        Value::Map(BTreeMap::from([
            ("hosts".to_owned(), self.hosts.clone().into()),
            ("service".to_owned(), self.service.as_str().into()),
            ("names".to_owned(), self.names.clone().into()),
            ("fresh_ms".to_owned(), self.fresh.as_millis().into()),
        ]))
    }

    /// Compares what is seen of the hosts.
    pub fn observe(&self, sight: &Sight<'_>, now: Timestamp) -> Observation {
        let told: Vec<Told<'_>> = self.hosts.iter().map(|host| self.told(sight, host, now)).collect();
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        compare(&told, &names)
    }

    fn told<'a>(&self, sight: &Sight<'a>, host: &'a str, now: Timestamp) -> Told<'a> {
        Told { host, digests: self.digests(sight, host, now) }
    }

    fn digests<'a>(&self, sight: &Sight<'a>, host: &str, now: Timestamp) -> Result<Digests<'a>, String> {
        let service = sight.catalog.service_id(host, &self.service).ok_or("is not asked")?;
        let (row, seen) = sight.newest(service).ok_or("has told nothing yet")?;
        let Some(seen) = seen.filter(|_| !row.is_pending()) else { return Err("has told nothing yet".to_owned()) };
        let age = now.since(row.last_check);
        if row.is_stale() || age > self.fresh {
            return Err(format!("has told nothing for {}", Span::from_secs(age.as_millis() / 1000)));
        }
        if seen.outcome != Outcome::Observed {
            return Err(format!("cannot tell: {}", seen.text));
        }
        let digests = seen.facts.get(DIGESTS).and_then(Value::map).ok_or("does not tell of files and packages")?;
        Ok(digests.iter().map(|(name, value)| (name.as_str(), value.text())).collect())
    }
}

/// By path or package what it is like; `None` = it is not there.
pub type Digests<'a> = BTreeMap<&'a str, Option<&'a str>>;

/// What one host told, or why it is not known.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    pub host: &'a str,
    pub digests: Result<Digests<'a>, String>,
}

/// The hosts that a service compares, each with its service that collects; `None` = it compares nothing.
pub fn members(catalog: &Catalog, service: ServiceId) -> Option<Vec<(HostId, Option<ServiceId>)>> {
    let check = &catalog.checks[catalog.services.get(service.index())?.check.index()];
    if *check.probe != *PAIR_PROBE {
        return None;
    }
    let pair = Pair::of(&check.params)?;
    let member = |host: &String| Some((catalog.host_id(host)?, catalog.service_id(host, &pair.service)));
    Some(pair.hosts.iter().filter_map(member).collect())
}

/// Every name on every host. As soon as one of the hosts does not tell of one of the names nothing is known of the whole.
pub fn compare(told: &[Told<'_>], names: &[&str]) -> Observation {
    let mut hosts: Vec<(&str, &Digests<'_>)> = Vec::with_capacity(told.len());
    let mut unknown = Vec::new();
    for one in told {
        match &one.digests {
            Ok(digests) => match names.iter().find(|name| !digests.contains_key(*name)) {
                Some(name) => unknown.push(format!("{} has not told of {name} yet", one.host)),
                None => hosts.push((one.host, digests)),
            },
            Err(why) => unknown.push(format!("{} {why}", one.host)),
        }
    }
    if !unknown.is_empty() {
        return Observation::failed(UnknownCause::NoData, unknown.join("; "));
    }
    if hosts.len() < 2 || names.is_empty() {
        return Observation::failed(UnknownCause::NoData, "there is nothing to compare");
    }
    let drift: Vec<String> = names.iter().filter_map(|name| difference(name, &hosts)).collect();
    let is_nowhere = |name: &&&str| hosts.iter().all(|(_, digests)| digests.get(**name) == Some(&None));
    let nowhere: Vec<&str> = names.iter().filter(is_nowhere).copied().collect();
    let text = headline(&hosts, names.len(), &drift, &nowhere);
    Observation::observed(text)
        .long(drift.join("\n"))
        .fact("compared", names.len())
        .fact("differences", drift.len())
        .fact("drift", drift.clone())
        .fact("nowhere", nowhere.len())
        .fact("nowhere_names", nowhere)
        .measure("differences", drift.len() as f64, "")
}

fn headline(hosts: &[(&str, &Digests<'_>)], compared: usize, drift: &[String], nowhere: &[&str]) -> String {
    let all = hosts.iter().map(|(host, _)| *host).collect::<Vec<_>>().join(", ");
    let mut text = match drift {
        [] => format!("{compared} files and packages are alike on {all}"),
        drift => {
            let more = if drift.len() > SHOWN_MAX { "; …" } else { "" };
            let shown = drift.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
            format!("{} of {compared} differ: {shown}{more}", drift.len())
        }
    };
    if !nowhere.is_empty() {
        text.push_str(&format!("; on none of the hosts: {}", nowhere.join(", ")));
    }
    text
}

/// `/etc/drbd.conf: 2c26b46b68ff on walrus1, missing on walrus2`; `None` = alike everywhere.
fn difference(name: &str, hosts: &[(&str, &Digests<'_>)]) -> Option<String> {
    let mut groups: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for (host, digests) in hosts {
        let value = digests.get(name).copied().flatten();
        match groups.iter_mut().find(|(of, _)| *of == value) {
            Some((_, members)) => members.push(host),
            None => groups.push((value, vec![host])),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let is_file = name.starts_with('/');
    let short = |value: &str| value.chars().take(HASH_SHOWN).collect::<String>();
    let mut shorts: Vec<String> = groups.iter().filter_map(|(value, _)| value.map(short)).collect();
    shorts.sort_unstable();
    // Two hashes that begin alike are shown in full: a difference must be seen.
    let cut = is_file && shorts.windows(2).all(|two| two.first() != two.last());
    let say = |(value, members): &(Option<&str>, Vec<&str>)| {
        let value = value.map_or("missing".to_owned(), |value| if cut { short(value) } else { value.to_owned() });
        format!("{value} on {}", members.join(" and "))
    };
    Some(format!("{name}: {}", groups.iter().map(say).collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sight::testing::World;
    use crate::snapshot::Flags;

    const FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    /// Begins as `FOO` does.
    const NEAR: &str = "2c26b46b68ffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    fn told<'a>(host: &'a str, digests: &[(&'a str, Option<&'a str>)]) -> Told<'a> {
        Told { host, digests: Ok(digests.iter().copied().collect()) }
    }

    fn drift(seen: &Observation) -> Vec<&str> {
        seen.facts.get("drift").and_then(Value::list).into_iter().flatten().filter_map(Value::text).collect()
    }

    #[test]
    fn every_difference_is_named_with_the_values_of_all_hosts() {
        for (a, b, wanted) in [
            (Some(FOO), Some(FOO), None),
            (Some(FOO), Some(EMPTY), Some("/etc/x: 2c26b46b68ff on w1, e3b0c44298fc on w2".to_owned())),
            (Some(FOO), None, Some("/etc/x: 2c26b46b68ff on w1, missing on w2".to_owned())),
            (None, Some(EMPTY), Some("/etc/x: missing on w1, e3b0c44298fc on w2".to_owned())),
            (Some(FOO), Some(NEAR), Some(format!("/etc/x: {FOO} on w1, {NEAR} on w2"))),
        ] {
            let seen = compare(&[told("w1", &[("/etc/x", a)]), told("w2", &[("/etc/x", b)])], &["/etc/x"]);
            assert_eq!(drift(&seen), wanted.iter().map(String::as_str).collect::<Vec<_>>(), "{a:?} {b:?}");
            assert_eq!(seen.facts.get("differences"), Some(&Value::from(usize::from(wanted.is_some()))));
        }
        let three = [
            told("a", &[("drbd", Some("8.4-1"))]),
            told("b", &[("drbd", Some("8.4-2"))]),
            told("c", &[("drbd", Some("8.4-1"))]),
        ];
        let seen = compare(&three, &["drbd"]);
        assert_eq!(&*seen.text, "1 of 1 differ: drbd: 8.4-1 on a and c, 8.4-2 on b");
    }

    #[test]
    fn a_name_that_is_nowhere_is_told_and_is_no_difference() {
        let one = |host| told(host, &[("/etc/x", None), ("drbd", Some("1"))]);
        let seen = compare(&[one("a"), one("b")], &["/etc/x", "drbd"]);
        assert_eq!((drift(&seen).len(), seen.facts.get("nowhere")), (0, Some(&Value::from(1_usize))));
        assert_eq!(&*seen.text, "2 files and packages are alike on a, b; on none of the hosts: /etc/x");
    }

    #[test]
    fn a_host_that_does_not_tell_everything_makes_the_whole_unknown() {
        let full = told("a", &[("/etc/x", Some(FOO))]);
        let silent = Told { host: "b", digests: Err("has told nothing yet".to_owned()) };
        for (told, names, why) in [
            (vec![full.clone(), silent.clone()], &["/etc/x"][..], "b has told nothing yet"),
            (vec![full.clone(), told("b", &[])], &["/etc/x"], "b has not told of /etc/x yet"),
            (vec![silent.clone(), silent], &["/etc/x"], "b has told nothing yet; b has told nothing yet"),
            (vec![full.clone()], &["/etc/x"], "there is nothing to compare"),
            (vec![full.clone(), full], &[], "there is nothing to compare"),
        ] {
            let seen = compare(&told, names);
            assert_eq!((seen.outcome, &*seen.text), (Outcome::Failed(UnknownCause::NoData), why));
        }
    }

    fn collected(value: &str) -> Observation {
        let digests: Value = [("/etc/x", value)].into_iter().collect();
        Observation::observed("collected").fact(DIGESTS, digests)
    }

    #[test]
    fn only_what_was_told_lately_counts() {
        let mut world = World::new("p", &[]);
        let hosts = ["a", "b"].map(|name| world.host(name, &[]));
        let services = hosts.map(|host| world.sees(host, "digests pair", "parity", collected(FOO)));
        let pair = Pair {
            hosts: vec!["a".into(), "b".into()],
            service: "digests pair".into(),
            names: vec!["/etc/x".into()],
            fresh: Span::from_mins(10),
        };
        assert_eq!(Pair::of(&pair.params()), Some(pair.clone()));
        // The world's results are of second 1000.
        let at = Timestamp::from_secs(1_000 + 600);
        assert_eq!(pair.observe(&world.sight(), at).outcome, Outcome::Observed);
        let late = pair.observe(&world.sight(), at + Span::from_secs(1));
        assert!(late.text.starts_with("a has told nothing for 10m1s; b has told"), "{}", late.text);
        world.services[services[1].index()].flags.set(Flags::STALE, true);
        let stale = pair.observe(&world.sight(), at);
        assert!(matches!(stale.outcome, Outcome::Failed(_)) && stale.text.starts_with("b has told"), "{stale:?}");
        world.services[services[1].index()].flags = Flags(0);
        assert_eq!(&*pair.observe(&world.sight(), at).text, "b has told nothing yet");
        let missing = Pair { service: "other".into(), ..pair.clone() };
        assert_eq!(&*missing.observe(&world.sight(), at).text, "a is not asked; b is not asked");
        assert_eq!(pair.observe(&Sight::blind(&world.catalog), at).outcome, Outcome::Failed(UnknownCause::NoData));
    }

    #[test]
    fn a_host_that_cannot_tell_says_why() {
        let mut world = World::new("p", &[]);
        let a = world.host("a", &[]);
        let b = world.host("b", &[]);
        world.sees(a, "d", "parity", collected(FOO));
        world.sees(b, "d", "parity", Observation::failed(UnknownCause::MissingRight, "permission denied"));
        let (hosts, names) = (vec!["a".into(), "b".into()], vec!["/etc/x".into()]);
        let pair = Pair { hosts, service: "d".into(), names, fresh: Span::from_hours(1) };
        let seen = pair.observe(&world.sight(), Timestamp::from_secs(1_001));
        assert_eq!(
            (&*seen.text, seen.outcome),
            ("b cannot tell: permission denied", Outcome::Failed(UnknownCause::NoData))
        );
    }
}
