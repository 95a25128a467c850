//! The probe kinds that configurations and packs may name, and which of them look at a host from inside.

use crate::probes;

use super::finding::{Diagnostics, suggest};
use super::tree::At;

/// Kinds with whether they are host-side. The registry of probes has the last word; this list lets packs be verified
/// by builds that leave a probe out.
const KINDS: &[(&str, bool)] = &[
    ("bond", true),
    ("disk", true),
    ("exec", false),
    ("heartbeat", false),
    ("http", false),
    ("ipmi", false),
    ("load", true),
    ("mdraid", true),
    ("memory", true),
    ("ping", false),
    ("process", true),
    ("systemd_unit", true),
    ("tcp", false),
    ("uptime", true),
];

/// Whether the probe of that kind runs on the host itself; an unknown kind is an error. No kind at all is passive.
pub fn host_side(kind: &At<&str>, found: &mut Diagnostics) -> bool {
    if kind.value.is_empty() {
        return false;
    }
    let registered = probes::find(kind.value).map(|entry| entry.host_side);
    let listed = KINDS.iter().find(|(name, _)| *name == kind.value).map(|(_, inside)| *inside);
    registered.or(listed).unwrap_or_else(|| {
        let known = KINDS.iter().map(|(name, _)| *name).chain(probes::REGISTRY.iter().map(|entry| entry.kind));
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        known.dedup();
        found.error(
            "unknown-probe",
            &kind.at,
            format!("there is no probe `{}`", kind.value),
            suggest(kind.value, known),
        );
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_the_registry_agree() {
        for entry in probes::REGISTRY {
            let listed = KINDS.iter().find(|(name, _)| *name == entry.kind);
            assert!(listed.is_none_or(|(_, inside)| *inside == entry.host_side), "{}", entry.kind);
        }
    }
}
