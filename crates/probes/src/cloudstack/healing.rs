//! Whether the guests of a failed host would be started elsewhere: host by host, out of the list of all hosts.

use stentor_core::model::Observation;
use stentor_wire::cloudstack::Host;

use super::super::talk::shown;

/// Reasons in one fact.
const REASONS_MAX: usize = 10;

/// `ok`, `off` (nobody asked for Host HA there), `out` (it could not work), and why.
#[derive(Debug, PartialEq)]
pub struct Healing {
    pub word: &'static str,
    pub why: Vec<String>,
}

/// Of one host of `all`; `None` where nothing is told of HA and nothing speaks against it.
pub fn of(host: &Host, all: &[Host], tag: Option<&str>) -> Option<Healing> {
    let mut why: Vec<String> = no_target(host, all, tag).into_iter().collect();
    why.extend(cannot_be_fenced(host));
    let word = match (why.is_empty(), host.ha_enabled) {
        (false, _) => "out",
        (true, Some(true)) => "ok",
        (true, Some(false)) => "off",
        (true, None) => return None,
    };
    why.truncate(REASONS_MAX);
    Some(Healing { word, why })
}

/// The same as facts.
pub fn facts(seen: Observation, host: &Host, all: &[Host], tag: Option<&str>) -> Observation {
    match of(host, all, tag) {
        Some(healing) => seen.fact("healing", healing.word).fact("healing_why", healing.why),
        None => seen,
    }
}

/// HA starts guests in the same cluster only, and only on hosts with the tag of `ha.tag` where that is set.
fn no_target(host: &Host, all: &[Host], tag: Option<&str>) -> Option<String> {
    if host.cluster.is_empty() {
        return None;
    }
    let alike = |other: &&Host| other.cluster == host.cluster && other.zone == host.zone && other.id != host.id;
    let mut targets = all.iter().filter(alike).filter(|other| takes_guests(other, tag));
    if targets.next().is_some() {
        return None;
    }
    let cluster = shown(&host.cluster);
    Some(match tag {
        Some(tag) => format!("no other host of cluster {cluster} that is up has the tag `{}` of ha.tag", shown(tag)),
        None => format!("no other host of cluster {cluster} is up and enabled"),
    })
}

fn takes_guests(host: &Host, tag: Option<&str>) -> bool {
    let enabled = host.resource_state.is_empty() || host.resource_state == "Enabled";
    host.state == "Up" && enabled && (tag.is_none() || host.is_ha_host)
}

/// Host HA is wanted there, and CloudStack could not switch it off: then nothing starts elsewhere.
pub fn cannot_be_fenced(host: &Host) -> Option<String> {
    let name = shown(&host.name);
    match (host.ha_enabled, host.oobm_enabled) {
        (Some(true), Some(false)) => Some(format!("{name} has no out-of-band management: it cannot be fenced")),
        (Some(true), _) if host.ha_state.eq_ignore_ascii_case("ineligible") && !host.is_in_maintenance() => {
            Some(format!("Host HA cannot manage {name} (Ineligible)"))
        }
        (Some(true), Some(true)) if host.power.eq_ignore_ascii_case("unknown") => {
            Some(format!("the power of {name} is not known: it could not be fenced"))
        }
        _ => None,
    }
}

/// Clusters of several hosts in which one more failure would leave the guests without a place.
pub fn clusters_at_the_end(all: &[Host], tag: Option<&str>) -> Vec<String> {
    let mut clusters: Vec<(&str, &str)> = all.iter().map(|host| (&*host.zone, &*host.cluster)).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let at_the_end = |(zone, cluster): &(&str, &str)| {
        let members: Vec<&Host> = all.iter().filter(|host| host.zone == *zone && host.cluster == *cluster).collect();
        let targets = members.iter().filter(|host| takes_guests(host, tag)).count();
        let needed = if tag.is_some() { 1 } else { 2 };
        !cluster.is_empty() && members.len() > 1 && targets < needed
    };
    let say = |(_, cluster): (&str, &str)| match tag {
        Some(_) => format!("cluster {} has no host of ha.tag that is up", shown(cluster)),
        None => format!("cluster {} has no spare host: of its hosts one at most is up and enabled", shown(cluster)),
    };
    clusters.into_iter().filter(at_the_end).map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, cluster: &str, state: &str) -> Host {
        Host {
            id: name.to_owned(),
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            state: state.to_owned(),
            resource_state: "Enabled".to_owned(),
            ha_enabled: Some(true),
            ha_state: "Available".to_owned(),
            oobm_enabled: Some(true),
            power: "On".to_owned(),
            ..Host::default()
        }
    }

    fn word(all: &[Host], tag: Option<&str>) -> &'static str {
        of(&all[0], all, tag).map_or("not told", |healing| healing.word)
    }

    type Change = fn(&mut [Host]);

    #[test]
    fn what_keeps_guests_from_being_started_elsewhere() {
        let table: [(&str, Option<&str>, Change, &str); 12] = [
            ("all is well", None, |_| (), "ok"),
            ("it is dead itself, and known to be off", None, |all| all[0].power = "Off".to_owned(), "ok"),
            ("nobody asked for Host HA", None, |all| all[0].ha_enabled = Some(false), "off"),
            ("an old release tells nothing of it", None, |all| all[0].ha_enabled = None, "not told"),
            ("its neighbour is down", None, |all| all[1].state = "Down".to_owned(), "out"),
            ("its neighbour is in maintenance", None, |all| all[1].resource_state = "Maintenance".to_owned(), "out"),
            ("its power is not known", None, |all| all[0].power = "Unknown".to_owned(), "out"),
            ("no way to fence it", None, |all| all[0].oobm_enabled = Some(false), "out"),
            ("Host HA gave it up", None, |all| all[0].ha_state = "Ineligible".to_owned(), "out"),
            ("nobody has the tag", Some("ha"), |_| (), "out"),
            ("its neighbour has the tag", Some("ha"), |all| all[1].is_ha_host = true, "ok"),
            ("only another cluster has it", Some("ha"), |all| all[2].is_ha_host = true, "out"),
        ];
        for (name, tag, change, expected) in table {
            let mut all = [host("kvm1", "c1", "Up"), host("kvm2", "c1", "Up"), host("kvm9", "c2", "Up")];
            change(&mut all);
            assert_eq!(word(&all, tag), expected, "{name}");
        }
    }

    #[test]
    fn a_cluster_without_a_spare_host_is_told_once_and_one_of_a_single_host_not() {
        let all = [host("kvm1", "c1", "Up"), host("kvm2", "c1", "Down"), host("kvm9", "c2", "Up")];
        let told = clusters_at_the_end(&all, None);
        assert!(told.len() == 1 && told[0].contains("cluster c1"), "{told:?}");
    }
}
