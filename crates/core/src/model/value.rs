//! A small self-describing value: what a probe saw as a fact, and what a signal carries.
//!
//! JSON-shaped in text formats; tagged in binary ones, so that the compact journal codec can read it back.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// One fact or parameter. Maps are ordered, so equal values have equal bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn bool(&self) -> Option<bool> {
        match self {
            Value::Bool(bool) => Some(*bool),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => None,
        }
    }

    pub fn map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Value::Map(map) => Some(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// `over` laid on this value: maps member by member, anything else replaces; null changes nothing.
    #[must_use]
    pub fn overlaid(&self, over: &Value) -> Value {
        match (self, over) {
            (Value::Map(base), Value::Map(over)) => {
                let mut merged = base.clone();
                for (key, value) in over {
                    let under = merged.remove(key).unwrap_or_default();
                    merged.insert(key.clone(), under.overlaid(value));
                }
                Value::Map(merged)
            }
            (base, Value::Null) => base.clone(),
            (_, over) => over.clone(),
        }
    }

    /// The member `key` of a map; `None` for every other kind of value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map().and_then(|map| map.get(key))
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Value::Bool(v)
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Value::Number(v)
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Value::Number(v as f64)
    }
}
impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Value::Number(f64::from(v))
    }
}
impl From<usize> for Value {
    fn from(v: usize) -> Self {
        Value::Number(v as f64)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::Text(v.to_owned())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::Text(v)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(v: Vec<T>) -> Self {
        Value::List(v.into_iter().map(Into::into).collect())
    }
}
impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Value::Map(iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl fmt::Display for Value {
    /// For people: text bare, whole numbers without a fraction, lists and maps as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Number(v) => write!(f, "{v}"),
            Value::Text(v) => f.write_str(v),
            Value::List(list) => {
                f.write_str("[")?;
                for (i, v) in list.iter().enumerate() {
                    write!(f, "{}{v}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Map(map) => {
                f.write_str("{")?;
                for (i, (k, v)) in map.iter().enumerate() {
                    write!(f, "{}{k}: {v}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The same variants with a derived, tagged codec: the binary form, as it is written. [`Level`] reads it.
#[derive(Serialize)]
enum Tagged {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let tagged = match self.clone() {
                Value::Null => Tagged::Null,
                Value::Bool(v) => Tagged::Bool(v),
                Value::Number(v) => Tagged::Number(v),
                Value::Text(v) => Tagged::Text(v),
                Value::List(v) => Tagged::List(v),
                Value::Map(v) => Tagged::Map(v),
            };
            return tagged.serialize(serializer);
        }
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(v) => serializer.serialize_bool(*v),
            Value::Number(v) if v.fract() == 0.0 && v.abs() < 9e15 => serializer.serialize_i64(*v as i64),
            Value::Number(v) => serializer.serialize_f64(*v),
            Value::Text(v) => serializer.serialize_str(v),
            Value::List(v) => v.serialize(serializer),
            Value::Map(v) => v.serialize(serializer),
        }
    }
}

/// Deepest nesting that is read back, from any format: a few damaged bytes of a binary one could otherwise ask for more
/// levels than the stack has. One limit for all, so that what came in as JSON is never too deep for the journal.
pub const DEPTH_MAX: u8 = 64;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEPTH_MAX).deserialize(deserializer)
    }
}

/// Reads one value that may have this many levels of lists and maps.
#[derive(Clone, Copy)]
struct Level(u8);

impl Level {
    fn inner<E: de::Error>(self) -> Result<Level, E> {
        self.0.checked_sub(1).map(Level).ok_or_else(|| E::custom(format_args!("nested deeper than {DEPTH_MAX}")))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(self);
        }
        deserializer.deserialize_enum("Tagged", &["Null", "Bool", "Number", "Text", "List", "Map"], self)
    }
}

/// The variants of [`Tagged`], in its order.
#[derive(Deserialize)]
enum Tag {
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
}

/// What stands behind a tag.
struct ListAt(Level);
struct MapAt(Level);

impl<'de> DeserializeSeed<'de> for ListAt {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_seq(self.0)
    }
}

impl<'de> DeserializeSeed<'de> for MapAt {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bool, number, text, list or map")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v as f64))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v as f64))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Number(v))
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.to_owned()))
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::Text(v))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key()? {
            map.insert(key, access.next_value_seed(inner)?);
        }
        Ok(Value::Map(map))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, content) = access.variant()?;
        Ok(match tag {
            Tag::Null => {
                content.unit_variant()?;
                Value::Null
            }
            Tag::Bool => Value::Bool(content.newtype_variant()?),
            Tag::Number => Value::Number(content.newtype_variant()?),
            Tag::Text => Value::Text(content.newtype_variant()?),
            Tag::List => content.newtype_variant_seed(ListAt(self))?,
            Tag::Map => content.newtype_variant_seed(MapAt(self))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, i| {
            if i % 2 == 0 { Value::List(vec![inner]) } else { [("k", inner)].into_iter().collect() }
        })
    }

    #[test]
    fn what_json_lets_in_the_journal_can_read_back() {
        let deepest = nested(usize::from(DEPTH_MAX));
        let json = serde_json::to_string(&deepest).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), deepest);
        assert_eq!(postcard::from_bytes::<Value>(&postcard::to_allocvec(&deepest).unwrap()).unwrap(), deepest);

        let too_deep = nested(usize::from(DEPTH_MAX) + 1);
        let refusal = serde_json::from_str::<Value>(&serde_json::to_string(&too_deep).unwrap()).unwrap_err();
        assert!(refusal.to_string().contains("nested deeper than 64"), "{refusal}");
        assert!(postcard::from_bytes::<Value>(&postcard::to_allocvec(&too_deep).unwrap()).is_err());
    }

    #[test]
    fn a_few_damaged_bytes_do_not_exhaust_the_stack() {
        // Tag 4 = list, length 1, over and over.
        assert!(postcard::from_bytes::<Value>(&[4u8, 1].repeat(1 << 20)).is_err());
        // Tag 5 = map with one member of the empty name.
        assert!(postcard::from_bytes::<Value>(&[5u8, 1, 0].repeat(1 << 20)).is_err());
    }

    #[test]
    fn every_kind_comes_back_from_the_binary_form() {
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::Number(-2.5),
            Value::from("x"),
            Value::List(vec![Value::Null, Value::from("y")]),
            [("a", Value::Bool(false)), ("b", Value::List(Vec::new()))].into_iter().collect(),
        ] {
            assert_eq!(postcard::from_bytes::<Value>(&postcard::to_allocvec(&value).unwrap()).unwrap(), value);
        }
    }
}
