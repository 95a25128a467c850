//! Filtered, sorted, keyset-paged lists of hosts and services: one pass over the rows of a snapshot.

use std::cmp::Ordering;
use std::sync::Arc;

use stentor_core::Timestamp;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::snapshot::Snapshot;

use super::filter::{Filter, Sort, SortKey, Subject};
use super::parts::Mark;
use super::subject::RowSubject;
use stentor_core::id::CloudId;

/// Rows of one page.
pub const PAGE_ROWS: usize = 50;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Hosts,
    Services,
}

/// What to list.
pub struct Request<'a> {
    pub snapshot: &'a Snapshot,
    pub kind: Kind,
    /// `None` = all clouds and everything outside of clouds.
    pub cloud: Option<CloudId>,
    pub filter: &'a Filter,
    /// For `owner:me`.
    pub me: &'a str,
    pub now: Timestamp,
}

#[derive(Debug, Default)]
pub struct Listed {
    pub rows: Vec<ObjectId>,
    pub matched: usize,
    /// In the scope, before the filter.
    pub total: usize,
    /// Of the matching rows.
    pub marks: Vec<(Mark, usize)>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// Rows before the first one shown, counted in the same pass.
    pub before: usize,
}

/// One value of a sort key; of one kind within one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(Arc<str>),
}

/// Where a row stands in the order: its sort values, then its name, which is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    values: Vec<Value>,
    host: Arc<str>,
    service: Arc<str>,
}

impl Place {
    fn order(&self, other: &Place) -> Ordering {
        (&self.values, &self.host, &self.service).cmp(&(&other.values, &other.host, &other.service))
    }

    /// `n:-3` and `t:NAME` joined by commas, then host and service; all percent-encoded, so that nothing needs care.
    fn cursor(&self) -> String {
        let mut parts: Vec<String> = self
            .values
            .iter()
            .map(|value| match value {
                Value::Number(number) => format!("n{number}"),
                Value::Text(text) => format!("t{}", super::links::encode(text)),
            })
            .collect();
        parts.push(format!("t{}", super::links::encode(&self.host)));
        parts.push(format!("t{}", super::links::encode(&self.service)));
        parts.join(",")
    }

    fn parse(cursor: &str) -> Option<Place> {
        let mut values = Vec::new();
        for part in cursor.split(',') {
            values.push(match part.strip_prefix('n') {
                Some(number) => Value::Number(number.parse().ok()?),
                None => Value::Text(decode(part.strip_prefix('t')?)?.into()),
            });
        }
        let (Value::Text(service), Value::Text(host)) = (values.pop()?, values.pop()?) else { return None };
        Some(Place { values, host, service })
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Impact, then state, newest problem first.
const DEFAULT_SORT: [Sort; 3] = [
    Sort { key: SortKey::Impact, reversed: false },
    Sort { key: SortKey::State, reversed: false },
    Sort { key: SortKey::Age, reversed: false },
];

fn objects(snapshot: &Snapshot, kind: Kind) -> Box<dyn Iterator<Item = ObjectId> + '_> {
    match kind {
        Kind::Hosts => Box::new((0..snapshot.catalog.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)))),
        Kind::Services => {
            Box::new((0..snapshot.catalog.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i))))
        }
    }
}

fn in_scope(request: &Request<'_>, object: ObjectId) -> bool {
    let Some(cloud) = request.cloud else { return true };
    let catalog = &request.snapshot.catalog;
    let host = match object {
        ObjectId::Host(host) => host,
        ObjectId::Service(service) => catalog.services[service.index()].host,
    };
    catalog.hosts[host.index()].cloud == Some(cloud)
}

fn matching<'a>(request: &'a Request<'_>) -> impl Iterator<Item = RowSubject<'a>> {
    objects(request.snapshot, request.kind)
        .filter(|object| in_scope(request, *object))
        .map(|object| RowSubject { snapshot: request.snapshot, object, now: request.now })
        .filter(|subject| request.filter.matches(subject, request.me))
}

/// How many rows match.
pub fn count(request: &Request<'_>) -> usize {
    matching(request).count()
}

/// The page after `cursor` (the first for `None` or one that cannot be read).
pub fn list(request: &Request<'_>, cursor: Option<&str>) -> Listed {
    let sort: &[Sort] = if request.filter.sort.is_empty() { &DEFAULT_SORT } else { &request.filter.sort };
    let mut marks: Vec<(Mark, usize)> = Vec::new();
    let mut places: Vec<(Place, ObjectId)> = Vec::new();
    for subject in matching(request) {
        let mark = subject.mark();
        match marks.iter_mut().find(|(known, _)| *known == mark) {
            Some((_, count)) => *count += 1,
            None => marks.push((mark, 1)),
        }
        places.push((place(&subject, sort), subject.object));
    }
    marks.sort_by_key(|(mark, _)| std::cmp::Reverse(*mark));
    let matched = places.len();
    let total = objects(request.snapshot, request.kind).filter(|object| in_scope(request, *object)).count();
    let after = cursor.and_then(Place::parse).filter(|place| place.values.len() == sort.len());
    if let Some(after) = &after {
        places.retain(|(place, _)| place.order(after) == Ordering::Greater);
    }
    let before = matched - places.len();
    if places.len() > PAGE_ROWS {
        places.select_nth_unstable_by(PAGE_ROWS, |(a, _), (b, _)| a.order(b));
    }
    let has_more = places.len() > PAGE_ROWS;
    places.truncate(PAGE_ROWS);
    places.sort_by(|(a, _), (b, _)| a.order(b));
    let next = places.last().filter(|_| has_more).map(|(place, _)| place.cursor());
    Listed { rows: places.into_iter().map(|(_, object)| object).collect(), matched, total, marks, next, before }
}

fn place(subject: &RowSubject<'_>, sort: &[Sort]) -> Place {
    let key = subject.snapshot.catalog.object_key(subject.object);
    let row = subject.snapshot.row(subject.object);
    let service = key.service.unwrap_or_else(|| "".into());
    let value = |sort: &Sort| {
        let worst_first = |n: i64| if sort.reversed { n } else { -n };
        match sort.key {
            SortKey::Impact => Value::Number(worst_first(subject.level() as i64)),
            SortKey::State => Value::Number(worst_first(badness(subject.mark()))),
            SortKey::Age => Value::Number(worst_first(row.last_state_change.as_millis())),
            SortKey::Checked => Value::Number(worst_first(row.last_check.as_millis())),
            SortKey::Host => Value::Text(Arc::clone(&key.host)),
            SortKey::Service => Value::Text(Arc::clone(&service)),
        }
    };
    Place { values: sort.iter().map(value).collect(), host: key.host, service }
}

/// Worst first: what is broken, what is weakened, what cannot be told, what was never seen, what is fine.
const fn badness(mark: Mark) -> i64 {
    match mark {
        Mark::Crit | Mark::Down => 5,
        Mark::Warn => 4,
        Mark::Unk | Mark::Unr => 3,
        Mark::Pend => 2,
        Mark::Ok | Mark::Up => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::fixture;

    fn names(snapshot: &Snapshot, rows: &[ObjectId]) -> Vec<String> {
        rows.iter()
            .map(|object| {
                let key = snapshot.catalog.object_key(*object);
                format!("{}/{}", key.host, key.service.as_deref().unwrap_or(""))
            })
            .collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat_for_every_sort() {
        let snapshot = fixture::snapshot();
        for query in ["", "sort:host", "sort:-service,host", "sort:-age", "sort:checked,state", "state:ok sort:impact"]
        {
            let filter = Filter::parse(query);
            let request = Request {
                snapshot: &snapshot,
                kind: Kind::Services,
                cloud: None,
                filter: &filter,
                me: "mara",
                now: fixture::now(),
            };
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let page = list(&request, cursor.as_deref());
                assert_eq!(page.before, seen.len(), "{query}");
                assert!(page.rows.len() <= PAGE_ROWS);
                seen.extend(names(&snapshot, &page.rows));
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert!(seen.len() > 2 * PAGE_ROWS, "the fixture must need three pages, has {} rows", seen.len());
            assert_eq!(seen.len(), count(&request), "{query}");
            let mut unique = seen.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), seen.len(), "{query}: a row was shown twice");
        }
    }

    #[test]
    fn the_default_order_is_impact_then_state_then_age() {
        let snapshot = fixture::snapshot();
        let filter = Filter::default();
        let request = Request {
            snapshot: &snapshot,
            kind: Kind::Services,
            cloud: None,
            filter: &filter,
            me: "",
            now: fixture::now(),
        };
        let rows = list(&request, None).rows;
        let keys: Vec<(i64, i64)> = rows
            .iter()
            .map(|object| {
                let subject = RowSubject { snapshot: &snapshot, object: *object, now: fixture::now() };
                (-(subject.level() as i64), -badness(subject.mark()))
            })
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(keys.first() < keys.last());
    }

    proptest! {
        #[test]
        fn no_cursor_breaks_the_list(cursor in ".{0,60}|([nt][%0-9a-z-]{0,6},?){0,5}") {
            if let Some(place) = Place::parse(&cursor) {
                prop_assert_eq!(Place::parse(&place.cursor()), Some(place));
            }
        }
    }
}
