//! What an SNMP trap or inform says, in one form for all versions, and the names of the common ones.
//!
//! A version 1 trap is here as RFC 3584 §3.1 turns it into one of version 2: generic traps below `snmpTraps`, others as
//! ENTERPRISE.0.SPECIFIC.

use super::{Oid, SnmpValue, VarBind, names};

/// Objects that are looked at in one trap; a datagram could hold some ten thousand empty ones.
pub const BINDS_MAX: usize = 64;

/// snmpTrapAddress.0 (RFC 3584 §3.1): whom a forwarder speaks for.
const TRAP_ADDRESS: &[u32] = &[1, 3, 6, 1, 6, 3, 18, 1, 3, 0];

/// Notifications, and objects that only they carry; sorted by name. SNMPv2-MIB, IF-MIB, UPS-MIB (RFC 1628), ENTITY-MIB
/// (RFC 6933), ENTITY-STATE-MIB (RFC 4268), IPMI Platform Event Traps (1.0, revision 2 §7).
const NAMES: &[(&str, &[u32])] = &[
    ("authenticationFailure", &[1, 3, 6, 1, 6, 3, 1, 1, 5, 5]),
    ("coldStart", &[1, 3, 6, 1, 6, 3, 1, 1, 5, 1]),
    ("egpNeighborLoss", &[1, 3, 6, 1, 6, 3, 1, 1, 5, 6]),
    ("entConfigChange", &[1, 3, 6, 1, 2, 1, 47, 2, 0, 1]),
    ("entPhysicalDescr", &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1, 2]),
    ("entPhysicalName", &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1, 7]),
    ("entStateAdmin", &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1, 2]),
    ("entStateAlarm", &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1, 5]),
    ("entStateOper", &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1, 3]),
    ("entStateOperDisabled", &[1, 3, 6, 1, 2, 1, 131, 0, 2]),
    ("entStateOperEnabled", &[1, 3, 6, 1, 2, 1, 131, 0, 1]),
    ("entStateStandby", &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1, 6]),
    ("ifIndex", &[1, 3, 6, 1, 2, 1, 2, 2, 1, 1]),
    ("linkDown", &[1, 3, 6, 1, 6, 3, 1, 1, 5, 3]),
    ("linkUp", &[1, 3, 6, 1, 6, 3, 1, 1, 5, 4]),
    ("petTraps", &[1, 3, 6, 1, 4, 1, 3183, 1, 1]),
    ("snmpTrapAddress", &[1, 3, 6, 1, 6, 3, 18, 1, 3]),
    ("snmpTrapEnterprise", &[1, 3, 6, 1, 6, 3, 1, 1, 4, 3]),
    ("upsAlarmDescr", &[1, 3, 6, 1, 2, 1, 33, 1, 6, 2, 1, 2]),
    ("upsAlarmId", &[1, 3, 6, 1, 2, 1, 33, 1, 6, 2, 1, 1]),
    ("upsConfigLowBattTime", &[1, 3, 6, 1, 2, 1, 33, 1, 9, 7]),
    ("upsTestId", &[1, 3, 6, 1, 2, 1, 33, 1, 7, 1]),
    ("upsTestResultsSummary", &[1, 3, 6, 1, 2, 1, 33, 1, 7, 3]),
    ("upsTrapAlarmEntryAdded", &[1, 3, 6, 1, 2, 1, 33, 2, 3]),
    ("upsTrapAlarmEntryRemoved", &[1, 3, 6, 1, 2, 1, 33, 2, 4]),
    ("upsTrapOnBattery", &[1, 3, 6, 1, 2, 1, 33, 2, 1]),
    ("upsTrapTestCompleted", &[1, 3, 6, 1, 2, 1, 33, 2, 2]),
    ("warmStart", &[1, 3, 6, 1, 6, 3, 1, 1, 5, 2]),
];

/// One notification, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Trap {
    /// 1, 2 (for 2c) or 3.
    pub version: u8,
    /// Its sender waits for an answer.
    pub is_inform: bool,
    /// snmpTrapOID.
    pub oid: Oid,
    /// sysUpTime of the sender, in hundredths of a second.
    pub up_time: u32,
    /// Of version 1: the agent that it is about, which a forwarder leaves in.
    pub agent: Option<[u8; 4]>,
    pub binds: Vec<VarBind>,
}

impl Trap {
    /// Its name where it has one here, else its numbers.
    pub fn name(&self) -> String {
        let is_this = |(_, known): &&(&str, &[u32])| is_same(self.oid.arcs(), known);
        NAMES.iter().find(is_this).map_or_else(|| self.oid.to_string(), |(name, _)| (*name).to_owned())
    }

    /// Whom it is about, where a forwarder sent it on.
    pub fn speaks_for(&self) -> Option<[u8; 4]> {
        let told = self.binds.iter().find_map(|bind| match (bind.oid.arcs(), &bind.value) {
            (TRAP_ADDRESS, SnmpValue::Ip(address)) => Some(*address),
            _ => None,
        });
        told.or(self.agent).filter(|address| *address != [0; 4])
    }
}

/// Which traps a rule means: one, or all below an identifier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    One(Oid),
    Below(Oid),
}

impl Wanted {
    /// `linkDown`, `1.3.6.1.4.1.318.0.5`, `petTraps.*`, `1.3.6.1.4.1.9.*`.
    pub fn parse(text: &str) -> Option<Wanted> {
        match text.strip_suffix(".*") {
            Some(root) => oid(root).map(Wanted::Below),
            None => oid(text).map(Wanted::One),
        }
    }

    pub fn takes(&self, trap: &Oid) -> bool {
        match self {
            Wanted::One(one) => is_same(one.arcs(), trap.arcs()),
            Wanted::Below(root) => trap.below(root).is_some_and(|rest| !rest.is_empty()),
        }
    }
}

/// An identifier with numbers or one of the names known here, without the checks that something asked for needs.
pub fn oid(text: &str) -> Option<Oid> {
    let (name, rest) = text.split_once('.').unwrap_or((text, ""));
    match NAMES.binary_search_by(|(known, _)| (*known).cmp(name)) {
        Ok(at) if rest.is_empty() => NAMES.get(at).map(|(_, arcs)| Oid::new(arcs)),
        Ok(at) => {
            let more: Option<Vec<u32>> = rest.split('.').map(|part| part.parse().ok()).collect();
            NAMES.get(at).zip(more).map(|((_, arcs), more)| Oid::new(arcs).join(&more))
        }
        Err(_) => text.parse().ok(),
    }
}

/// The name of an object, and the instance behind it.
pub fn object_name(oid: &Oid) -> Option<(&'static str, &[u32])> {
    let own = NAMES.iter().find_map(|(name, known)| Some((*name, oid.arcs().strip_prefix(*known)?)));
    own.or_else(|| names::name_of(oid.arcs()))
}

/// Whether two identifiers name one trap. Through version 1 a trap gains a zero before its last number that MIBs of the
/// time of SMIv1 do not write (RFC 3584 §3.1, §3.2).
fn is_same(left: &[u32], right: &[u32]) -> bool {
    fn bare(arcs: &[u32]) -> (&[u32], Option<u32>) {
        match arcs {
            [root @ .., 0, last] => (root, Some(*last)),
            [root @ .., last] => (root, Some(*last)),
            [] => (arcs, None),
        }
    }
    bare(left) == bare(right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trap(oid: &str, binds: Vec<VarBind>) -> Trap {
        let oid = oid.parse().unwrap_or_else(|error| panic!("{oid}: {error}"));
        Trap { version: 2, is_inform: false, oid, up_time: 0, agent: None, binds }
    }

    #[test]
    fn names_are_sorted_and_each_is_read() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NAMES.iter().all(|(name, arcs)| oid(name).is_some_and(|oid| oid.arcs() == *arcs)));
    }

    #[test]
    fn a_trap_has_its_name_whichever_version_brought_it() {
        for (oid, name) in [
            ("1.3.6.1.6.3.1.1.5.3", "linkDown"),
            ("1.3.6.1.2.1.33.2.1", "upsTrapOnBattery"),
            ("1.3.6.1.2.1.33.2.0.1", "upsTrapOnBattery"),
            ("1.3.6.1.2.1.131.0.2", "entStateOperDisabled"),
            ("1.3.6.1.4.1.9.9.1", "1.3.6.1.4.1.9.9.1"),
        ] {
            assert_eq!(trap(oid, Vec::new()).name(), name);
        }
    }

    #[test]
    fn rules_mean_one_trap_or_all_below() {
        for (wanted, oid, is_taken) in [
            ("linkDown", "1.3.6.1.6.3.1.1.5.3", true),
            ("linkDown", "1.3.6.1.6.3.1.1.5.4", false),
            ("petTraps.*", "1.3.6.1.4.1.3183.1.1.0.552705", true),
            ("petTraps.*", "1.3.6.1.4.1.3183.1.1", false),
            ("upsTrapOnBattery", "1.3.6.1.2.1.33.2.0.1", true),
            ("1.3.6.1.4.1.318.0.5", "1.3.6.1.4.1.318.0.5", true),
            ("1.3.6.1.4.1.318.0.5", "1.3.6.1.4.1.318.0.6", false),
            ("1.3.6.1.4.1.318.*", "1.3.6.1.4.1.3183.1", false),
        ] {
            let found = Wanted::parse(wanted).expect(wanted);
            assert_eq!(found.takes(&oid.parse().unwrap()), is_taken, "{wanted} {oid}");
        }
        for nonsense in ["", "noSuchTrap", "linkDown.x", "1.3.a", ".*"] {
            assert_eq!(Wanted::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_forwarder_says_whom_it_speaks_for() {
        let told = VarBind { oid: Oid::new(TRAP_ADDRESS), value: SnmpValue::Ip([10, 0, 0, 9]) };
        let mut forwarded = trap("1.3.6.1.6.3.1.1.5.1", vec![told]);
        assert_eq!(forwarded.speaks_for(), Some([10, 0, 0, 9]));
        forwarded.binds.clear();
        forwarded.agent = Some([0; 4]);
        assert_eq!(forwarded.speaks_for(), None);
        forwarded.agent = Some([10, 0, 0, 8]);
        assert_eq!(forwarded.speaks_for(), Some([10, 0, 0, 8]));
    }

    #[test]
    fn objects_have_names_and_instances() {
        for (oid, wanted) in [
            ("1.3.6.1.2.1.2.2.1.1.17", Some(("ifIndex", vec![17]))),
            ("1.3.6.1.2.1.2.2.1.8.3", Some(("ifOperStatus", vec![3]))),
            ("1.3.6.1.2.1.131.1.1.1.5.1001", Some(("entStateAlarm", vec![1001]))),
            ("1.3.6.1.4.1.9.1", None),
        ] {
            let oid: Oid = oid.parse().unwrap();
            assert_eq!(object_name(&oid), wanted.as_ref().map(|(name, rest)| (*name, rest.as_slice())), "{oid}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_wish_or_refused(text in "[.*0-9a-zA-Z]{0,40}|\\PC{0,12}", arcs in prop::collection::vec(any::<u32>(), 0..12)) {
            if let Some(wanted) = Wanted::parse(&text) {
                let _ = wanted.takes(&Oid::new(&arcs));
            }
            prop_assert!(is_same(&arcs, &arcs));
        }
    }
}
