//! Feeds: servers whose supplies hang on one, switches of which none is on the UPS.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{About, Basis, Finding, Lint, listed};
use crate::catalog::layout::{Layout, MAINS, Wiring};
use crate::model::Value;
use crate::sight::Sight;

pub(super) fn look(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    let layout = &sight.catalog.layout;
    for wiring in &layout.wirings {
        found.extend(one_feed(sight, wiring));
    }
    for switch in layout.switches.iter().filter(|switch| switch.is_stack && !switch.is_management) {
        if is_without_ups(layout, switch.feeds.iter()) {
            let detail = format!("the stack is fed by {}, none of which is a UPS", listed(&distinct(&switch.feeds)));
            found.push(Finding::new(Lint::StackWithoutUps, About::Switch, &switch.name, Basis::Declared, detail));
        }
    }
    pairs_without_ups(sight, found);
}

/// Supplies on one feed, or on feeds that are one.
fn one_feed(sight: &Sight<'_>, wiring: &Wiring) -> Option<Finding> {
    let layout = &sight.catalog.layout;
    if wiring.vm_on.is_some() {
        return None;
    }
    let name = &sight.host(wiring.host).name;
    let feeds = distinct(&wiring.feeds);
    let tell = |basis, detail: String| Some(Finding::of_host(Lint::PsuOneFeed, name, basis, detail));
    match feeds.as_slice() {
        [] => None,
        [only] if wiring.feeds.len() > 1 => {
            tell(Basis::Declared, format!("all {} power supplies hang on feed {only}", wiring.feeds.len()))
        }
        [only] => match supplies(sight, wiring) {
            Some(supplies) if supplies > 1 => {
                tell(Basis::Seen, format!("it has {supplies} power supplies, and only feed {only} is declared"))
            }
            // A single supply is no fault of the cabling, but a Core server should not have one.
            Some(_) | None if sight.is_core(wiring.host) => {
                tell(Basis::Declared, format!("a Core server with one feed, {only}"))
            }
            Some(_) | None => None,
        },
        _ => {
            let sources: Option<BTreeSet<&str>> = feeds.iter().map(|feed| layout.source_of(feed)).collect();
            let sources = sources?;
            let only = sources.first().filter(|source| sources.len() == 1 && **source != MAINS)?;
            tell(Basis::Declared, format!("feeds {} both come from {only}", listed(&feeds)))
        }
    }
}

/// Power supplies that the BMC sees in the machine; `None` = nobody looked.
fn supplies(sight: &Sight<'_>, wiring: &Wiring) -> Option<usize> {
    /// Offset of "present" (IPMI table 42-3, sensor type 08h).
    const PRESENT: f64 = 0.0;
    let is_present = |psu: &Value| {
        let offsets = psu.get("offsets").and_then(Value::list).unwrap_or_default();
        offsets.iter().any(|offset| offset.number() == Some(PRESENT))
    };
    let counted = sight.of_host(wiring.host).filter(|seen| seen.facts().contains_key("psu"));
    counted.map(|seen| seen.list("psu").iter().filter(|psu| is_present(psu)).count()).max()
}

/// Two or more single switches that hosts hang on together, and none of them on a UPS.
fn pairs_without_ups(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    let layout = &sight.catalog.layout;
    let mut told: BTreeSet<Vec<Arc<str>>> = BTreeSet::new();
    for wiring in &layout.wirings {
        let names: BTreeSet<Arc<str>> = wiring.links.iter().map(|link| Arc::clone(&link.switch)).collect();
        let switches: Option<Vec<_>> = names.iter().map(|name| layout.switch(name)).collect();
        let Some(switches) = switches else { continue };
        if switches.len() < 2 || switches.iter().any(|switch| switch.is_stack || switch.is_management) {
            continue;
        }
        let all_known = switches.iter().all(|switch| !switch.feeds.is_empty());
        if all_known && is_without_ups(layout, switches.iter().flat_map(|switch| &switch.feeds)) {
            told.insert(names.into_iter().collect());
        }
    }
    for names in told {
        let detail = format!("{} carry the same hosts, and none of them is fed by a UPS", listed(&names));
        if let Some(first) = names.first() {
            found.push(Finding::new(Lint::StackWithoutUps, About::Switch, first, Basis::Declared, detail));
        }
    }
}

/// Feeds are named, all are declared, and all hang on the mains.
fn is_without_ups<'a>(layout: &Layout, feeds: impl Iterator<Item = &'a Arc<str>>) -> bool {
    let sources: Option<Vec<&str>> = feeds.map(|feed| layout.source_of(feed)).collect();
    sources.is_some_and(|sources| !sources.is_empty() && sources.iter().all(|source| *source == MAINS))
}

fn distinct(names: &[Arc<str>]) -> Vec<Arc<str>> {
    names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::layout::{Feed, Link, Switch};
    use crate::model::Observation;
    use crate::sight::testing::{World, json};

    const FEEDS: [(&str, &str); 4] = [("A", MAINS), ("B", "ups1"), ("C", "ups1"), ("D", MAINS)];

    fn world(feeds: &[&str], core: bool) -> World {
        let mut world = World::new("p", &["x*"]);
        let host = world.host("s1", if core { &["x"] } else { &[] });
        let layout = &mut world.catalog.layout;
        layout.feeds = FEEDS.iter().map(|(n, s)| Feed { name: (*n).into(), source: (*s).into() }).collect();
        let feeds = feeds.iter().map(|feed| (*feed).into()).collect();
        layout.wirings = vec![Wiring { host, feeds, links: Vec::new(), vm_on: None }];
        world
    }

    fn told(world: &World) -> Vec<(Lint, String)> {
        let mut found = Vec::new();
        look(&world.sight(), &mut found);
        found.into_iter().map(|finding| (finding.lint, finding.detail)).collect()
    }

    #[test]
    fn supplies_on_one_feed_are_one_supply() {
        for (feeds, core, told_of) in [
            (&["A", "A"][..], false, Some("all 2 power supplies hang on feed A")),
            (&["B", "C"], false, Some("feeds B and C both come from ups1")),
            (&["A", "B"], true, None),
            (&["A", "D"], true, None),
            (&["X", "Y"], true, None),
            (&["A"], true, Some("a Core server with one feed, A")),
            (&["A"], false, None),
            (&[], true, None),
        ] {
            let told: Vec<String> = told(&world(feeds, core)).into_iter().map(|(_, detail)| detail).collect();
            assert_eq!(told.first().map(String::as_str), told_of, "{feeds:?}");
        }
    }

    #[test]
    fn a_guest_has_no_supplies() {
        let mut guest = world(&["A", "A"], true);
        guest.catalog.layout.wirings[0].vm_on = Some("nc1".into());
        assert_eq!(told(&guest), []);
    }

    #[test]
    fn a_second_supply_that_the_bmc_sees_wants_a_second_feed() {
        let mut world = world(&["A"], false);
        let two = json(r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[0,3]}]"#);
        let service = world.sees(crate::id::HostId(0), "psu", "ipmi", Observation::observed("").fact("psu", two));
        assert_eq!(told(&world)[0].1, "it has 2 power supplies, and only feed A is declared");
        let one = json(r#"[{"id":"PS1","offsets":[0]},{"id":"PS2","offsets":[]}]"#);
        let detail = Arc::make_mut(&mut world.details[service.index()]);
        detail.observation = Some(Arc::new(Observation::observed("").fact("psu", one)));
        assert_eq!(told(&world), [], "the other bay is empty");
    }

    #[test]
    fn a_stack_or_pair_without_a_ups_goes_dark_with_the_mains() {
        let switch = |name: &str, is_stack, feeds: &[&str]| Switch {
            name: name.into(),
            aliases: Vec::new(),
            is_stack,
            is_management: false,
            feeds: feeds.iter().map(|feed| (*feed).into()).collect(),
        };
        for (switches, expected) in [
            (vec![switch("sw", true, &["A", "D"])], 1),
            (vec![switch("sw", true, &["A", "B"])], 0),
            (vec![switch("sw", true, &[])], 0),
            (vec![switch("sw", true, &["A", "nobody declared"])], 0),
            (vec![Switch { is_management: true, ..switch("sw", true, &["A"]) }], 0),
            (vec![switch("sw", false, &["A"])], 0),
            (vec![switch("sw1", false, &["A"]), switch("sw2", false, &["D"])], 1),
            (vec![switch("sw1", false, &["A"]), switch("sw2", false, &["B"])], 0),
            (vec![switch("sw1", false, &["A"]), switch("sw2", false, &[])], 0),
        ] {
            let mut world = world(&["A", "B"], true);
            let links = switches.iter().map(|switch| Link::parse(&format!("{}/1", switch.name)));
            world.catalog.layout.wirings[0].links = links.collect();
            let shown = format!("{switches:?}");
            world.catalog.layout.switches = switches;
            assert_eq!(told(&world).len(), expected, "{shown}");
        }
    }
}
