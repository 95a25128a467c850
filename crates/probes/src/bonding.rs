//! The format of /proc/net/bonding/BOND (drivers/net/bonding/bond_procfs.c).

/// One bond.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bonding {
    /// As `ip link` names it: `802.3ad`, `active-backup`.
    pub mode: String,
    pub is_up: bool,
    pub active_slave: Option<String>,
    /// Id of the active aggregator; LACP only.
    pub aggregator: Option<u32>,
    /// Ports in the active aggregator; 0 where there is none, `None` where the file does not say.
    pub ports: Option<usize>,
    pub partner: Option<String>,
    pub slaves: Vec<Slave>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slave {
    pub name: String,
    pub is_up: bool,
    pub link_failures: u64,
    pub aggregator: Option<u32>,
    /// One side gave up waiting for the other to agree.
    pub churned: bool,
    /// The actor's port state says that no partner was heard; `None` without the right to see it.
    pub defaulted: Option<bool>,
}

/// IEEE 802.1AX 6.4.2.3: bit 6 of the actor's state.
const STATE_DEFAULTED: u32 = 0x40;

impl Bonding {
    pub fn is_lacp(&self) -> bool {
        self.mode == "802.3ad"
    }
}

/// Which part of the file a line stands in.
#[derive(Copy, Clone, PartialEq)]
enum Part {
    Bond,
    Slave,
    ActorPdu,
    PartnerPdu,
}

/// Reads what it knows and passes over everything else.
pub fn parse_bonding(text: &str) -> Bonding {
    let mut bond = Bonding::default();
    let mut part = Part::Bond;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("bond ") && line.ends_with("has no active aggregator") {
            bond.ports = Some(0);
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key {
            "Slave Interface" => {
                bond.slaves.push(Slave { name: value.to_owned(), ..Slave::default() });
                part = Part::Slave;
            }
            "details actor lacp pdu" => part = Part::ActorPdu,
            "details partner lacp pdu" => part = Part::PartnerPdu,
            _ => match (part, bond.slaves.last_mut()) {
                (Part::Bond, _) | (_, None) => bond_line(&mut bond, key, value),
                (Part::Slave, Some(slave)) => slave_line(slave, key, value),
                (Part::ActorPdu, Some(slave)) if key == "port state" => {
                    slave.defaulted = value.parse::<u32>().ok().map(|state| state & STATE_DEFAULTED != 0);
                }
                (Part::ActorPdu | Part::PartnerPdu, Some(_)) => {}
            },
        }
    }
    bond
}

fn bond_line(bond: &mut Bonding, key: &str, value: &str) {
    match key {
        "Bonding Mode" => bond.mode = short_mode(value),
        "MII Status" => bond.is_up = value == "up",
        "Currently Active Slave" => bond.active_slave = Some(value.to_owned()).filter(|name| name != "None"),
        "Aggregator ID" => bond.aggregator = value.parse().ok(),
        "Number of ports" => bond.ports = value.parse().ok(),
        "Partner Mac Address" => bond.partner = Some(value.to_owned()),
        _ => {}
    }
}

fn slave_line(slave: &mut Slave, key: &str, value: &str) {
    match key {
        // "going back" has a link that is not used yet, "going down" one that is about to be given up.
        "MII Status" => slave.is_up = value == "up",
        "Link Failure Count" => slave.link_failures = value.parse().unwrap_or(0),
        "Aggregator ID" => slave.aggregator = value.parse().ok(),
        "Actor Churn State" | "Partner Churn State" => slave.churned |= value == "churned",
        _ => {}
    }
}

fn short_mode(value: &str) -> String {
    let known = [
        ("802.3ad", "802.3ad"),
        ("active-backup", "active-backup"),
        ("round-robin", "balance-rr"),
        ("(xor)", "balance-xor"),
        ("broadcast", "broadcast"),
        ("transmit load balancing", "balance-tlb"),
        ("adaptive load balancing", "balance-alb"),
    ];
    let short = known.into_iter().find(|(part, _)| value.contains(part));
    short.map_or_else(|| value.to_owned(), |(_, short)| short.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEALTHY: &str = include_str!("../../../tests/data/captures/bond_ad_healthy.txt");

    #[test]
    fn the_partners_state_is_not_taken_for_ours() {
        let bond = parse_bonding(include_str!("../../../tests/data/captures/bond_ad_nopartner.txt"));
        // Actor 79 and 71 have the bit; the partner's 0 must not clear it.
        assert_eq!(bond.slaves.iter().map(|slave| slave.defaulted).collect::<Vec<_>>(), [Some(true), Some(true)]);
        assert_eq!(parse_bonding(HEALTHY).slaves[1].defaulted, Some(false));
    }

    #[test]
    fn a_bond_without_aggregator_has_no_ports() {
        let bond = parse_bonding(include_str!("../../../tests/data/captures/bond_ad_all_down.txt"));
        assert_eq!((bond.ports, bond.is_up, bond.slaves.len()), (Some(0), false, 2));
        assert_eq!(bond.slaves[1].link_failures, 2);
    }

    proptest! {
        #[test]
        fn any_truncation_reads(cut in 0usize..2000) {
            let bond = parse_bonding(HEALTHY.get(..cut).unwrap_or(HEALTHY));
            prop_assert!(bond.slaves.len() <= 2);
        }

        #[test]
        fn no_text_panics(text in "(Slave Interface|MII Status|Aggregator ID|port state|details actor lacp pdu|:|\n|\\PC){0,30}") {
            let _ = parse_bonding(&text);
        }
    }
}
