//! Ids of inputs that were applied already, so that a sender may send again what was not acknowledged.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ids remembered. A sender that resends later than this many newer ids is not recognised any more.
pub const SEEN_MAX: usize = 131_072;

/// A bounded memory of ids, oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    order: VecDeque<Arc<str>>,
    ids: HashSet<Arc<str>>,
}

impl Seen {
    /// Remembers `id`; true if it was new.
    pub fn insert(&mut self, id: &Arc<str>) -> bool {
        if !self.ids.insert(Arc::clone(id)) {
            return false;
        }
        self.order.push_back(Arc::clone(id));
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    pub fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.order.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let order = VecDeque::<Arc<str>>::deserialize(deserializer)?;
        let ids = order.iter().cloned().collect();
        Ok(Seen { order, ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_forgotten_after_the_limit() {
        let mut seen = Seen::default();
        let first: Arc<str> = "first".into();
        assert!(seen.insert(&first));
        assert!(!seen.insert(&first));
        for i in 0..SEEN_MAX {
            seen.insert(&format!("id {i}").into());
        }
        assert!(!seen.contains("first"));
        assert!(seen.contains("id 7"));
    }
}
