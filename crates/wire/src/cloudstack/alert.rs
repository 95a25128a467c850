//! Alerts: what CloudStack has told its administrators, newest first (`listAlerts`).

use serde_json::Value;

use super::inventory::{number, text};

/// Of `listAlerts`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alert {
    pub id: String,
    /// Administration Guide, "List of Alerts"; from 27 on as `AlertResponse` has them.
    pub number: Option<u16>,
    /// `ALERT.COMPUTE.HOST`; since 4.3.
    pub name: String,
    /// A sentence, for people.
    pub description: String,
    /// RFC 3339; empty where it is not told.
    pub sent: String,
}

/// Place = number of the type.
const TYPES: [&str; 32] = [
    "MEMORY",
    "CPU",
    "STORAGE",
    "STORAGE_ALLOCATED",
    "PUBLIC_IP",
    "PRIVATE_IP",
    "SECONDARY_STORAGE",
    "HOST",
    "USERVM",
    "DOMAIN_ROUTER",
    "CONSOLE_PROXY",
    "ROUTING",
    "STORAGE_MISC",
    "USAGE_SERVER",
    "MANAGEMENT_NODE",
    "DOMAIN_ROUTER_MIGRATE",
    "CONSOLE_PROXY_MIGRATE",
    "USERVM_MIGRATE",
    "VLAN",
    "SSVM",
    "USAGE_SERVER_RESULT",
    "STORAGE_DELETE",
    "UPDATE_RESOURCE_COUNT",
    "USAGE_SANITY_RESULT",
    "DIRECT_ATTACHED_PUBLIC_IP",
    "LOCAL_STORAGE",
    "RESOURCE_LIMIT_EXCEEDED",
    "SYNC",
    "UPLOAD_FAILED",
    "OOBM_AUTH_ERROR",
    "HA_ACTION",
    "CA_CERT",
];

impl Alert {
    /// `None` where it says nothing.
    pub fn read(of: &Value) -> Option<Alert> {
        // Capacity has numbers beyond the list (an IPv6 subnet has 90), never above a short.
        let kind = number(of, "type").filter(|kind| (0.0..=f64::from(i16::MAX)).contains(kind));
        let alert = Alert {
            id: text(of, "id"),
            number: kind.map(|kind| kind as u16),
            name: text(of, "name"),
            description: text(of, "description"),
            sent: instant(&text(of, "sent")),
        };
        (!alert.description.is_empty()).then_some(alert)
    }

    /// `HOST`; the name of CloudStack where the list does not know the number, and where it shares one (32).
    pub fn kind(&self) -> &str {
        let known = self.number.and_then(|number| TYPES.get(usize::from(number))).copied();
        known.unwrap_or(if self.name.is_empty() { "other" } else { &self.name })
    }

    /// Whether its sentence names this thing, as a word of its own: `kvm1` is not in `kvm10`, nor `1` in `192.0.2.1`.
    pub fn names(&self, thing: &str) -> bool {
        let thing = thing.to_ascii_lowercase();
        if thing.is_empty() {
            return false;
        }
        let sentence = self.description.to_ascii_lowercase();
        let belongs = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        sentence.match_indices(&thing).any(|(at, _)| {
            let before = sentence.get(..at).and_then(|text| text.chars().next_back());
            let mut after = sentence.get(at + thing.len()..).unwrap_or_default().chars();
            let ends = match after.next() {
                // The end of a sentence; else the domain of a name, or another part of an address.
                Some('.') => after.next().is_none_or(|next| !next.is_ascii_digit()),
                next => !next.is_some_and(belongs),
            };
            ends && !before.is_some_and(|c| belongs(c) || c == '.')
        })
    }
}

/// `2026-11-22T02:14:07+0100`, as CloudStack writes it, with the colon of RFC 3339.
fn instant(text: &str) -> String {
    let zone = text.len().checked_sub(5).and_then(|at| Some((text.get(..at)?, text.get(at..)?)));
    match zone {
        Some((before, zone)) if zone.starts_with(['+', '-']) && zone.bytes().skip(1).all(|b| b.is_ascii_digit()) => {
            let (hours, minutes) = zone.split_at(3);
            format!("{before}{hours}:{minutes}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The answer of the API reference, with the sentence that `AgentManagerImpl` writes.
    fn host_down() -> Alert {
        let answer = json!({"id": "16b3c1f4", "type": 7, "name": "ALERT.COMPUTE.HOST", "sent": "2026-11-22T02:14:07+0100",
            "description": "Host is down, name: kvm1.example.org (id:4), availability zone: z1, pod: p1"});
        Alert::read(&answer).expect("an alert")
    }

    #[test]
    fn an_alert_is_read_as_the_reference_shows_it() {
        let alert = host_down();
        assert_eq!((alert.number, alert.kind(), &*alert.sent), (Some(7), "HOST", "2026-11-22T02:14:07+01:00"));
        for (answer, kind) in [
            (json!({"type": 30, "description": "x"}), "HA_ACTION"),
            (json!({"type": "14", "description": "x"}), "MANAGEMENT_NODE"),
            (json!({"type": 32, "name": "ALERT.VM.START", "description": "x"}), "ALERT.VM.START"),
            (json!({"type": -3, "description": "x"}), "other"),
            (json!({"type": 1e300, "description": "x"}), "other"),
        ] {
            assert_eq!(Alert::read(&answer).expect("an alert").kind(), kind, "{answer}");
        }
        assert_eq!(Alert::read(&json!({"type": 7})), None);
    }

    #[test]
    fn a_thing_is_named_only_as_a_word_of_its_own() {
        let alert = host_down();
        for (thing, named) in [
            ("kvm1", true),
            ("KVM1.example.org", true),
            ("kvm", false),
            ("vm1", false),
            ("kvm1.example", true),
            ("example.org", false),
            ("z1", true),
            ("", false),
        ] {
            assert_eq!(alert.names(thing), named, "{thing}");
        }
        let of = |description: &str| Alert { description: description.to_owned(), ..Alert::default() };
        assert!(!of("lost 192.0.2.11").names("192.0.2.1") && !of("lost 192.0.2.1.4").names("192.0.2.1"));
        assert!(of("lost 192.0.2.1.").names("192.0.2.1") && of("Host kvm1-b and kvm1").names("kvm1"));
        assert!(!of("Host kvm1-b").names("kvm1"));
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_panics(kind in any::<f64>(), texts in proptest::collection::vec(any::<String>(), 4), thing in any::<String>()) {
            let answer = json!({"type": kind, "name": texts[0], "description": texts[1], "sent": texts[2], "id": texts[3]});
            if let Some(alert) = Alert::read(&answer) {
                let _ = (alert.kind().len(), alert.names(&thing));
            }
        }
    }
}
