//! `bond`: bonded network interfaces: links, LACP aggregator, partner and churn.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Measurement, Observation, Value};

use super::bonding::{Bonding, parse_bonding};
use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const FOLDER: &str = "/proc/net/bonding";

pub struct Bond {
    view: Arc<dyn HostView>,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bonds that must exist; all that exist when empty.
    pub bonds: Vec<String>,
    /// Slaves that each bond should have.
    pub slaves: Option<usize>,
}

impl Probe for Bond {
    const KIND: &'static str = "bond";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/bond.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if let Some(name) = config.bonds.iter().find(|name| name.is_empty() || name.contains('/')) {
            return Err(BuildError { message: format!("`{name}` is not the name of an interface") });
        }
        Ok(Bond { view: Arc::clone(&env.view), config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let named = self.config.bonds.clone();
        let files = look(&self.view, Lane::Kernel, deadline, move |view| {
            let names = if named.is_empty() { none_if_absent(view.list(FOLDER))?.unwrap_or_default() } else { named };
            names
                .into_iter()
                .map(|name| {
                    let text = none_if_absent(view.read(&format!("{FOLDER}/{name}")))?;
                    Ok((name, text))
                })
                .collect::<std::io::Result<Vec<_>>>()
        })
        .await?;
        let bonds: Vec<Seen> = files
            .into_iter()
            .map(|(name, text)| Seen::of(&name, text.as_deref().map(parse_bonding), self.config.slaves))
            .collect();
        Ok(observe(&bonds))
    }
}

/// Without the bonding driver, or without that bond, there is no file.
fn none_if_absent<T>(read: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is wrong with a bond, best first.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Finding {
    Ok,
    Churned,
    AggregatorMismatch,
    NoPartner,
    SlaveDown,
    Down,
}

impl Finding {
    fn word(self) -> &'static str {
        match self {
            Finding::Ok => "ok",
            Finding::Churned => "churned",
            Finding::AggregatorMismatch => "aggregator_mismatch",
            Finding::NoPartner => "no_partner",
            Finding::SlaveDown => "slave_down",
            Finding::Down => "down",
        }
    }
}

/// One bond with what is wrong with it.
#[derive(Debug)]
struct Seen {
    name: String,
    bonding: Bonding,
    slaves: usize,
    up: usize,
    down: Vec<String>,
    ports: usize,
    aggregators: Vec<u32>,
    churned: Vec<String>,
    finding: Finding,
    exists: bool,
}

impl Seen {
    fn of(name: &str, bonding: Option<Bonding>, slaves_wanted: Option<usize>) -> Seen {
        let exists = bonding.is_some();
        let bonding = bonding.unwrap_or_default();
        let is_down = |slave: &&super::bonding::Slave| !slave.is_up;
        let down: Vec<String> = bonding.slaves.iter().filter(is_down).map(|slave| slave.name.clone()).collect();
        let up = bonding.slaves.len() - down.len();
        let slaves = slaves_wanted.unwrap_or(0).max(bonding.slaves.len());
        let mut aggregators: Vec<u32> = bonding.slaves.iter().filter_map(|slave| slave.aggregator).collect();
        aggregators.sort_unstable();
        aggregators.dedup();
        let churned = bonding.slaves.iter().filter(|slave| slave.churned).map(|slave| slave.name.clone()).collect();
        let mut seen = Seen {
            name: name.to_owned(),
            // Without LACP every slave that is up is of use.
            ports: if bonding.is_lacp() { bonding.ports.unwrap_or(0) } else { up },
            bonding,
            slaves,
            up,
            down,
            aggregators,
            churned,
            finding: Finding::Ok,
            exists,
        };
        seen.finding = seen.find();
        seen
    }

    /// Link first, then partner, then aggregator: slaves without a partner never share an aggregator, so asking for the
    /// aggregator first would name the effect and not the cause.
    fn find(&self) -> Finding {
        if !self.exists || !self.bonding.is_up || self.up == 0 {
            return Finding::Down;
        }
        if self.up < self.slaves {
            return Finding::SlaveDown;
        }
        if !self.bonding.is_lacp() {
            return Finding::Ok;
        }
        if self.partner_missing() {
            return Finding::NoPartner;
        }
        let active = self.bonding.aggregator;
        let strays = self.bonding.slaves.iter().any(|slave| slave.aggregator.is_some() && slave.aggregator != active);
        // Fewer ports than slaves with all links up: whatever the reason, they do not work together.
        if strays || self.bonding.ports.is_some_and(|ports| ports < self.up) {
            return Finding::AggregatorMismatch;
        }
        if self.churned.is_empty() { Finding::Ok } else { Finding::Churned }
    }

    fn partner_missing(&self) -> bool {
        let zero = self.bonding.partner.as_deref() == Some("00:00:00:00:00:00");
        let slaves = &self.bonding.slaves;
        zero || (!slaves.is_empty() && slaves.iter().all(|slave| slave.defaulted == Some(true)))
    }

    /// The value of the signal `bond`.
    fn value(&self) -> Value {
        let mut pairs: Vec<(&str, Value)> = vec![
            ("name", self.name.as_str().into()),
            ("mode", self.bonding.mode.as_str().into()),
            ("slaves", self.slaves.into()),
            ("up", self.up.into()),
            ("down", self.down.clone().into()),
            ("ports", self.ports.into()),
            ("finding", self.finding.word().into()),
        ];
        if self.bonding.is_lacp() {
            pairs.push(("aggregators", self.aggregators.clone().into()));
            if let Some(partner) = &self.bonding.partner {
                pairs.push(("partner", partner.as_str().into()));
            }
        }
        if !self.churned.is_empty() {
            pairs.push(("churned", self.churned.clone().into()));
        }
        if let Some(active) = &self.bonding.active_slave {
            pairs.push(("active", active.as_str().into()));
        }
        pairs.into_iter().collect()
    }

    fn line(&self) -> String {
        if !self.exists {
            return format!("{}: this host has no such bond", self.name);
        }
        let head = format!("{} ({}): {} of {} slaves up", self.name, self.bonding.mode, self.up, self.slaves);
        let ports =
            if self.bonding.is_lacp() { format!(", {} ports in the aggregator", self.ports) } else { String::new() };
        let why = match self.finding {
            Finding::Ok => String::new(),
            Finding::Churned => format!("; LACP does not settle on {}", self.churned.join(", ")),
            Finding::AggregatorMismatch => "; the slaves are not in one aggregator".to_owned(),
            Finding::NoPartner => "; the other side speaks no LACP".to_owned(),
            Finding::SlaveDown if self.down.is_empty() => "; a slave is not in the bond".to_owned(),
            Finding::SlaveDown | Finding::Down => format!("; down: {}", self.down.join(", ")),
        };
        format!("{head}{ports}{why}")
    }
}

fn observe(bonds: &[Seen]) -> Observation {
    let Some(worst) = bonds.iter().rev().max_by_key(|bond| bond.finding) else {
        return Observation::observed("this host has no bonded interfaces").fact("bonds", 0usize);
    };
    let long: Vec<String> = bonds.iter().map(Seen::line).collect();
    let mut seen = Observation::observed(worst.line())
        .long(long.join("\n"))
        .fact("bond", worst.value())
        .fact("finding", worst.finding.word())
        .fact("bonds", bonds.len())
        .fact("impaired", bonds.iter().filter(|bond| bond.finding != Finding::Ok).count());
    for bond in bonds {
        let counted = |label: &str, value: usize| Measurement {
            min: Some(0.0),
            max: Some(bond.slaves as f64),
            ..Measurement::new(&format!("{label} {}", bond.name), value as f64, "")
        };
        seen.measurements.push(counted("up", bond.up));
        seen.measurements.push(counted("ports", bond.ports));
        let failures: u64 = bond.bonding.slaves.iter().map(|slave| slave.link_failures).fold(0, u64::saturating_add);
        seen = seen.measure(&format!("link_failures {}", bond.name), failures as f64, "c");
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{number, run_on_files, text};

    macro_rules! capture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/data/captures/", $name, ".txt"))
        };
    }

    async fn run(capture: &str) -> Observation {
        run_on_files("bond", "{}", &[("/proc/net/bonding/bond0", capture)]).await.expect("observed")
    }

    fn of(seen: &Observation, key: &str) -> String {
        seen.facts["bond"].get(key).map(ToString::to_string).unwrap_or_default()
    }

    #[tokio::test]
    async fn captured_bonds_read_as_they_were() {
        // capture, finding, up, ports, down, aggregators
        let table = [
            (capture!("bond_ab_healthy"), "ok", "2", "2", "[]", ""),
            (capture!("bond_ab_failover"), "slave_down", "1", "1", "[eth0]", ""),
            (capture!("bond_ad_healthy"), "ok", "2", "2", "[]", "[1]"),
            (capture!("bond_ad_recovered"), "ok", "2", "2", "[]", "[1]"),
            (capture!("bond_ad_all_down"), "down", "0", "0", "[eth0, eth1]", "[1, 2]"),
            (capture!("bond_ad_nopartner"), "no_partner", "2", "1", "[]", "[1, 2]"),
            (capture!("bond_ad_partner_missing_one_port"), "aggregator_mismatch", "2", "1", "[]", "[1, 2]"),
        ];
        for (capture, finding, up, ports, down, aggregators) in table {
            let seen = run(capture).await;
            assert_eq!(text(&seen, "finding"), finding, "{capture}");
            let got = ["up", "ports", "down", "aggregators"].map(|key| of(&seen, key));
            assert_eq!(got, [up, ports, down, aggregators].map(str::to_owned), "{capture}");
            assert_eq!((of(&seen, "name"), of(&seen, "slaves")), ("bond0".into(), "2".into()));
        }
    }

    #[tokio::test]
    async fn modes_have_their_short_names() {
        assert_eq!(of(&run(capture!("bond_ad_healthy")).await, "mode"), "802.3ad");
        let seen = run(capture!("bond_ab_failover")).await;
        assert_eq!((of(&seen, "mode"), of(&seen, "active")), ("active-backup".into(), "eth1".into()));
        assert_eq!(of(&run(capture!("bond_ad_healthy")).await, "partner"), "52:54:00:00:00:02");
    }

    #[tokio::test]
    async fn an_lacp_slave_without_link_is_named() {
        let capture = capture!("bond_ad_healthy").replacen(
            "Slave Interface: eth1\nMII Status: up",
            "Slave Interface: eth1\nMII Status: going down",
            1,
        );
        let seen = run(&capture.replace("Number of ports: 2", "Number of ports: 1")).await;
        assert_eq!((text(&seen, "finding"), of(&seen, "down")), ("slave_down".into(), "[eth1]".into()));
    }

    #[tokio::test]
    async fn churn_is_the_least_finding() {
        let capture =
            capture!("bond_ad_healthy").replace("Partner Churn State: monitoring", "Partner Churn State: churned");
        let seen = run(&capture).await;
        assert_eq!((text(&seen, "finding"), of(&seen, "churned")), ("churned".into(), "[eth0, eth1]".into()));
    }

    #[tokio::test]
    async fn absent_details_are_not_a_finding() {
        // What a reader without CAP_NET_ADMIN, or a kernel before 4.0, sees.
        let capture: Vec<&str> = capture!("bond_ad_healthy")
            .lines()
            .filter(|line| !line.contains("hurn") && !line.starts_with("details") && !line.starts_with("    "))
            .collect();
        assert_eq!(text(&run(&capture.join("\n")).await, "finding"), "ok");
    }

    #[tokio::test]
    async fn a_slave_that_left_the_bond_is_missed_only_when_it_was_expected() {
        let capture = capture!("bond_ab_healthy");
        let one = capture.split("\nSlave Interface: eth1").next().expect("a head");
        let files = [("/proc/net/bonding/bond0", one)];
        let seen = run_on_files("bond", "{}", &files).await.expect("observed");
        assert_eq!(text(&seen, "finding"), "ok");
        let seen = run_on_files("bond", r#"{"slaves":2}"#, &files).await.expect("observed");
        assert_eq!((text(&seen, "finding"), of(&seen, "slaves")), ("slave_down".into(), "2".into()));
    }

    #[tokio::test]
    async fn the_worst_of_several_bonds_is_the_signal() {
        let files = [
            ("/proc/net/bonding/bond0", capture!("bond_ad_healthy")),
            ("/proc/net/bonding/bond1", capture!("bond_ab_failover")),
        ];
        let seen = run_on_files("bond", "{}", &files).await.expect("observed");
        assert_eq!(of(&seen, "name"), "bond1");
        assert_eq!((number(&seen, "bonds"), number(&seen, "impaired")), (2.0, 1.0));
    }

    #[tokio::test]
    async fn no_bond_is_no_signal_but_a_named_bond_is_missed() {
        let seen = run_on_files("bond", "{}", &[]).await.expect("observed");
        assert!(!seen.facts.contains_key("bond"));
        let seen = run_on_files("bond", r#"{"bonds":["bond9"]}"#, &[]).await.expect("observed");
        assert_eq!(text(&seen, "finding"), "down");
    }
}
