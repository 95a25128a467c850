//! What stands of the traps of one service: each says something of one thing (its key) until a later one takes it back, or
//! its time is over. Kept as facts of the service's result, so that a restart finds it again.

use std::sync::Arc;

use stentor_core::model::{Observation, ServiceState, Value};
use stentor_core::{Span, Timestamp};

/// The fact of a result that holds what stands.
pub const FACT: &str = "standing";
/// More things of one service; the mildest, then the oldest, give way.
const THINGS_MAX: usize = 64;
/// Lines of the long text.
const LINES_MAX: usize = 32;

/// One thing that a trap said.
#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    pub key: String,
    pub state: ServiceState,
    pub text: String,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

/// What is said of one thing.
#[derive(Clone, Debug)]
pub struct Said {
    pub key: String,
    pub state: ServiceState,
    pub text: String,
    pub lasts: Option<Span>,
}

/// All that stands of one service, the worst first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    things: Vec<Thing>,
    last: String,
}

impl Standing {
    /// What an earlier result kept; `None` if it is no result of traps.
    pub fn read(kept: &Observation) -> Option<Standing> {
        let list = kept.facts.get(FACT)?.list()?;
        let thing = |value: &Value| {
            let instant = |name: &str| value.get(name)?.number().map(|ms| Timestamp::from_millis(ms as i64));
            Some(Thing {
                key: value.get("key")?.text()?.to_owned(),
                state: ServiceState::from_code(value.get("state")?.number()? as i32)?,
                text: value.get("text")?.text()?.to_owned(),
                since: instant("since_ms")?,
                until: instant("until_ms"),
            })
        };
        let mut standing =
            Standing { things: list.iter().filter_map(thing).take(THINGS_MAX).collect(), ..Standing::default() };
        standing.sort();
        Some(standing)
    }

    /// Takes what is said; false if it says nothing new.
    pub fn take(&mut self, said: Said, at: Timestamp) -> bool {
        let until = said.lasts.map(|lasts| at + lasts);
        let found = self.things.iter().position(|thing| thing.key == said.key);
        let is_news = match (found, said.state) {
            (None, ServiceState::Ok) => self.last != said.text,
            (Some(place), ServiceState::Ok) => {
                self.things.remove(place);
                true
            }
            (None, ServiceState::Warning | ServiceState::Critical | ServiceState::Unknown) => {
                self.things.push(Thing { key: said.key, state: said.state, text: said.text.clone(), since: at, until });
                true
            }
            (Some(place), ServiceState::Warning | ServiceState::Critical | ServiceState::Unknown) => {
                let thing = self.things.get_mut(place);
                thing.is_none_or(|thing| {
                    let is_other = (thing.state, &thing.text) != (said.state, &said.text);
                    // A longer time is kept with the next result; until then the process knows it.
                    (thing.state, thing.until) = (said.state, until);
                    thing.text.clone_from(&said.text);
                    is_other
                })
            }
        };
        self.last = said.text;
        self.sort();
        is_news
    }

    /// Drops what is over; true if anything was.
    pub fn age(&mut self, at: Timestamp) -> bool {
        let before = self.things.len();
        self.things.retain(|thing| thing.until.is_none_or(|until| until > at));
        if self.things.len() < before {
            "its time is over".clone_into(&mut self.last);
        }
        self.things.len() < before
    }

    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// As a result of the service.
    pub fn observation(&self) -> Observation {
        let state = self.things.first().map_or(ServiceState::Ok, |thing| thing.state);
        let text = match self.things.as_slice() {
            [] => format!("no trap stands; the last one: {}", self.last),
            [one] => one.text.clone(),
            [worst, others @ ..] => format!("{} (and {} more)", worst.text, others.len()),
        };
        let lines: Vec<String> =
            self.things.iter().take(LINES_MAX).map(|thing| format!("{}: {}", thing.state, thing.text)).collect();
        let long: Arc<str> = if self.things.len() > 1 { lines.join("\n").into() } else { Arc::default() };
        let facts: Vec<Value> = self.things.iter().map(thing_fact).collect();
        Observation::reported(state, text).long(long).fact(FACT, facts)
    }

    fn sort(&mut self) {
        let weight = |state: ServiceState| match state {
            ServiceState::Critical => 0,
            ServiceState::Warning => 1,
            ServiceState::Unknown => 2,
            ServiceState::Ok => 3,
        };
        self.things
            .sort_by(|a, b| weight(a.state).cmp(&weight(b.state)).then(b.since.cmp(&a.since)).then(a.key.cmp(&b.key)));
        self.things.truncate(THINGS_MAX);
    }
}

fn thing_fact(thing: &Thing) -> Value {
    let millis = |at: Timestamp| Value::from(at.as_millis());
    let mut members = vec![
        ("key", Value::from(thing.key.as_str())),
        ("state", Value::from(i64::from(thing.state.code()))),
        ("text", thing.text.as_str().into()),
        ("since_ms", millis(thing.since)),
    ];
    members.extend(thing.until.map(|until| ("until_ms", millis(until))));
    members.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn said(key: &str, state: ServiceState, lasts: Option<i64>) -> Said {
        Said { key: key.into(), state, text: format!("{key} {state}"), lasts: lasts.map(Span::from_secs) }
    }

    #[test]
    fn one_thing_over_leaves_the_other() {
        let mut standing = Standing::default();
        assert!(standing.take(said("port 1", ServiceState::Warning, None), AT));
        assert!(standing.take(said("port 2", ServiceState::Critical, None), AT));
        assert_eq!(standing.observation().text.as_ref(), "port 2 CRITICAL (and 1 more)");
        assert!(standing.take(said("port 2", ServiceState::Ok, None), AT));
        assert_eq!(standing.observation().text.as_ref(), "port 1 WARNING");
        assert!(standing.take(said("port 1", ServiceState::Ok, None), AT));
        assert_eq!(standing.observation().outcome, stentor_core::model::Outcome::Reported(ServiceState::Ok));
    }

    #[test]
    fn the_same_again_is_no_news_but_lasts_longer() {
        let mut standing = Standing::default();
        assert!(standing.take(said("battery", ServiceState::Critical, Some(180)), AT));
        assert!(!standing.take(said("battery", ServiceState::Critical, Some(180)), AT + Span::from_secs(60)));
        assert!(!standing.age(AT + Span::from_secs(200)));
        assert!(standing.age(AT + Span::from_secs(240)));
        assert!(standing.is_empty());
        assert!(standing.take(said("link", ServiceState::Ok, None), AT), "what is well is told once");
        assert!(!standing.take(said("link", ServiceState::Ok, None), AT));
    }

    #[test]
    fn a_restart_finds_what_stood() {
        let mut standing = Standing::default();
        for number in 0..100 {
            standing.take(said(&format!("port {number}"), ServiceState::Warning, Some(number)), AT);
        }
        standing.take(said("fire", ServiceState::Critical, None), AT);
        let again = Standing::read(&standing.observation()).unwrap();
        assert_eq!(again.things, standing.things);
        assert_eq!((again.things.len(), again.things[0].key.as_str()), (THINGS_MAX, "fire"));
        assert_eq!(Standing::read(&Observation::observed("x")), None);
    }
}
