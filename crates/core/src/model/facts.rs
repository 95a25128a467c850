//! Facts of an observation: few, named, each once. Kept for every object, so they take no more memory than they need: a
//! map's smallest node has room for eleven.

use std::borrow::Cow;
use std::ops::Index;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::observation::PERFDATA_FACT;
use super::value::Value;

/// Names that every result of a plugin has; kept once for all.
const COMMON: [&str; 4] = ["exit_code", "timed_out", "signal", PERFDATA_FACT];

/// Named values in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(Vec<(Cow<'static, str>, Value)>);

impl Facts {
    pub const fn new() -> Facts {
        Facts(Vec::new())
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(self.place(name).ok()?).map(|(_, value)| value)
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Puts a value in the place of an earlier one of that name.
    pub fn insert(&mut self, name: impl Into<String> + AsRef<str>, value: Value) {
        match self.place(name.as_ref()) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => {
                let known = COMMON.into_iter().find(|known| *known == name.as_ref());
                self.0.reserve_exact(1);
                self.0.insert(at, (known.map_or_else(|| Cow::Owned(name.into()), Cow::Borrowed), value));
            }
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl Index<&str> for Facts {
    type Output = Value;

    /// # Panics
    /// There is no such fact.
    fn index(&self, name: &str) -> &Value {
        self.get(name).expect("there is such a fact")
    }
}

impl<N: Into<String> + AsRef<str>> FromIterator<(N, Value)> for Facts {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(named: I) -> Facts {
        let mut facts = Facts::new();
        facts.extend(named);
        facts
    }
}

impl<N: Into<String> + AsRef<str>> Extend<(N, Value)> for Facts {
    fn extend<I: IntoIterator<Item = (N, Value)>>(&mut self, named: I) {
        named.into_iter().for_each(|(name, value)| self.insert(name, value));
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Facts, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Facts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of facts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Facts, A::Error> {
                let mut facts = Facts::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    facts.insert(name, value);
                }
                Ok(facts)
            }
        }

        deserializer.deserialize_map(Named)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn facts_are_a_map(named in proptest::collection::vec(("[a-d]{1,2}|exit_code", any::<i32>()), 0..20)) {
            let map: BTreeMap<String, Value> =
                named.iter().map(|(name, value)| (name.clone(), Value::from(i64::from(*value)))).collect();
            let facts: Facts = named.iter().map(|(name, value)| (name.as_str(), Value::from(i64::from(*value)))).collect();
            prop_assert!(facts.iter().eq(map.iter().map(|(name, value)| (name.as_str(), value))));
            for (name, value) in &map {
                prop_assert_eq!(facts.get(name), Some(value));
            }
            prop_assert_eq!(facts.get("no such fact"), None);
            // Journals and checkpoints were written from maps.
            let bytes = postcard::to_allocvec(&facts).expect("facts are written");
            prop_assert_eq!(&bytes, &postcard::to_allocvec(&map).expect("maps are written"));
            prop_assert_eq!(postcard::from_bytes::<Facts>(&bytes).expect("and read"), facts.clone());
            let json = serde_json::to_string(&facts).expect("facts are written");
            prop_assert_eq!(&json, &serde_json::to_string(&map).expect("maps are written"));
            prop_assert_eq!(serde_json::from_str::<Facts>(&json).expect("and read"), facts);
        }
    }
}
