//! One place in a resource, read tolerantly: what is missing, null or of another type is `None`.

use serde_json::Value;

/// Elements of a list that are looked at; the largest real ones (sensors of a chassis, pages of a log) have hundreds.
const ITEMS_MAX: usize = 4096;
/// Longest path that is followed.
const PATH_BYTES_MAX: usize = 1024;

/// A member, or the lack of one.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a>(Option<&'a Value>);

impl<'a> Node<'a> {
    pub fn of(value: &'a Value) -> Node<'a> {
        Node(Some(value).filter(|value| !value.is_null()))
    }

    pub fn get(self, key: &str) -> Node<'a> {
        Node(self.0.and_then(|value| value.get(key)).filter(|value| !value.is_null()))
    }

    /// The first of these members that is there.
    pub fn any(self, keys: &[&str]) -> Node<'a> {
        keys.iter().map(|key| self.get(key)).find(|node| node.exists()).unwrap_or(Node(None))
    }

    /// A member of a member: `["Oem", "Dell"]`.
    pub fn at(self, way: &[&str]) -> Node<'a> {
        way.iter().fold(self, |node, key| node.get(key))
    }

    pub fn exists(self) -> bool {
        self.0.is_some()
    }

    pub fn value(self) -> Option<&'a Value> {
        self.0
    }

    pub fn keys(self) -> impl Iterator<Item = &'a str> {
        self.0.and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str())
    }

    /// Text that says something.
    pub fn text(self) -> Option<&'a str> {
        self.0?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    pub fn owned(self) -> String {
        match self.0 {
            Some(Value::Number(number)) => number.to_string(),
            _ => self.text().unwrap_or_default().to_owned(),
        }
    }

    /// A number, also where it came as text ("35", "35.5").
    pub fn number(self) -> Option<f64> {
        let number = match self.0? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite())
    }

    pub fn whole(self) -> Option<u64> {
        // 2^53: above it a double no longer holds each whole number.
        self.number().filter(|number| (0.0..=9_007_199_254_740_992.0).contains(number)).map(|number| number as u64)
    }

    pub fn bool(self) -> Option<bool> {
        match self.0? {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The elements of a list that say something.
    pub fn items(self) -> Vec<Node<'a>> {
        let list = self.0.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().take(ITEMS_MAX).map(Node::of).filter(|node| node.exists()).collect()
    }

    /// `@odata.id` as it stands, with its fragment.
    pub fn id(self) -> Option<&'a str> {
        self.get("@odata.id").text()
    }

    /// Where this link leads: `{"@odata.id": …}`, or the bare text as some write it.
    pub fn link(self) -> Option<String> {
        self.id().or_else(|| self.text()).and_then(path_of)
    }

    /// Where these links lead.
    pub fn links(self) -> Vec<String> {
        self.items().into_iter().filter_map(Node::link).collect()
    }

    /// More than a link.
    pub fn is_expanded(self) -> bool {
        self.keys().any(|key| !key.starts_with("@odata"))
    }
}

/// The path of a link or of a `Location`; `None` where it leads nowhere within a Redfish service. Whatever host an absolute
/// address names is left out: a controller must not send its client elsewhere.
pub fn path_of(text: &str) -> Option<String> {
    let text = text.trim();
    let path = match text.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => rest.get(rest.find('/')?..)?,
        _ => text,
    };
    let path = path.split('#').next().unwrap_or_default();
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_within = path.starts_with("/redfish/") && !path.split(['/', '?']).any(|part| part == "..");
    (is_plain && is_within && path.len() <= PATH_BYTES_MAX).then(|| path.to_owned())
}

/// The members of a collection.
pub fn members(collection: &Value) -> Vec<Node<'_>> {
    Node::of(collection).get("Members").items()
}

/// Where a collection goes on.
pub fn next_page(collection: &Value) -> Option<String> {
    let node = Node::of(collection);
    node.any(&["Members@odata.nextLink", "@odata.nextLink"]).link()
}
