//! Checks that traps ask for: at once, but no more than once in a while, and once more afterwards where a trap came in
//! between, so that what is seen last is the newest.

use std::collections::HashMap;
use std::sync::Arc;

use stentor_core::catalog::{Catalog, Check};
use stentor_core::model::ObjectKey;
use stentor_core::{Span, Timestamp};

use crate::config::traps::{ALL, ALL_BMC, ALL_SNMP};

/// A switch that loses a line card sends a trap for each port; each check reads them all.
const PAUSE: Span = Span::from_secs(5);

struct Asked {
    at: Timestamp,
    again: bool,
}

/// When each object was asked for.
#[derive(Default)]
pub struct Hasty {
    asked: HashMap<ObjectKey, Asked>,
}

impl Hasty {
    /// True if the check is to run now; otherwise it will, when its pause is over.
    pub fn ask(&mut self, object: &ObjectKey, at: Timestamp) -> bool {
        match self.asked.get_mut(object) {
            Some(asked) => {
                asked.again = true;
                false
            }
            None => {
                self.asked.insert(object.clone(), Asked { at, again: false });
                true
            }
        }
    }

    /// Those that are to run once more; called every second.
    pub fn due(&mut self, at: Timestamp) -> Vec<ObjectKey> {
        let mut due = Vec::new();
        self.asked.retain(|object, asked| {
            // A clock that went back must not hold them for ever.
            let is_over = at.since(asked.at) >= PAUSE || at < asked.at;
            if is_over && asked.again {
                due.push(object.clone());
                *asked = Asked { at, again: false };
                return true;
            }
            !is_over
        });
        due
    }
}

/// The checks of a host that a rule's `check` means.
pub fn wanted(words: &[Arc<str>], host: &str, catalog: &Catalog) -> Vec<ObjectKey> {
    let Some(id) = catalog.host_id(host) else { return Vec::new() };
    let row = &catalog.hosts[id.index()];
    let means = |service: Option<&str>, check: &Check| {
        let is_meant = |word: &Arc<str>| match &**word {
            ALL => true,
            ALL_SNMP => check.probe.starts_with("snmp"),
            ALL_BMC => matches!(&*check.probe, "ipmi" | "redfish"),
            name => service == Some(name),
        };
        !check.probe.is_empty() && words.iter().any(is_meant)
    };
    let services = row.services.iter().filter_map(|service| {
        let service = &catalog.services[service.index()];
        let check = &catalog.checks[service.check.index()];
        means(Some(&*service.name), check).then(|| Some(Arc::clone(&service.name)))
    });
    let host_check = row.check.filter(|check| means(None, &catalog.checks[check.index()])).map(|_| None);
    services.chain(host_check).map(|service| ObjectKey { host: Arc::clone(&row.name), service }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_asks_at_once_and_once_afterwards() {
        let (mut hasty, start) = (Hasty::default(), Timestamp::from_secs(1000));
        let port = ObjectKey { host: "sw1".into(), service: Some("ports".into()) };
        assert!(hasty.ask(&port, start));
        for _ in 0..48 {
            assert!(!hasty.ask(&port, start + Span::from_secs(1)));
        }
        assert!(hasty.due(start + Span::from_secs(2)).is_empty());
        assert_eq!(hasty.due(start + PAUSE), vec![port.clone()]);
        assert!(hasty.due(start + PAUSE * 2).is_empty());
        assert!(hasty.ask(&port, start + PAUSE * 2), "after a quiet while at once again");
    }
}
