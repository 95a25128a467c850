//! What the simulated devices have: a stack of two switches that every physical host is cabled to twice, and a UPS.

use stentor_wire::snmp::{Oid, SnmpValue};

use super::device::Objects;
use super::plan::HOSTS;

const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
const IF: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1];
const IF_X: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1];
/// dot3adAggPortEntry and dot3adAggPortDebugEntry.
const LAG_PORT: &[u32] = &[1, 2, 840, 10006, 300, 43, 1, 2, 1, 1];
const LAG_DEBUG: &[u32] = &[1, 2, 840, 10006, 300, 43, 1, 2, 3, 1];
/// lldpLocPortEntry and lldpRemEntry.
const LLDP_LOCAL: &[u32] = &[1, 0, 8802, 1, 1, 2, 1, 3, 7, 1];
const LLDP_REMOTE: &[u32] = &[1, 0, 8802, 1, 1, 2, 1, 4, 1, 1];
/// cswGlobals.3, cswSwitchInfoEntry, cswStackPortInfoEntry.
const RING: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 1, 3, 0];
const MEMBER: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 2, 1, 1];
const STACK_PORT: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 2, 2, 1];
const ENTITY: &[u32] = &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1];
const ENTITY_STATE: &[u32] = &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1];
const ENTITY_SENSOR: &[u32] = &[1, 3, 6, 1, 2, 1, 99, 1, 1, 1];
/// upsMIB's objects.
const UPS: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1];
/// upsWellKnownAlarms: OnBattery and InputBad.
const ON_BATTERY: u32 = 2;
const INPUT_BAD: u32 = 6;

/// Ten days, in hundredths of a second.
const UP_TICKS: u32 = 86_400_000;
/// LACP with long time-outs: active, aggregable, synchronized, collecting, distributing; highest bit first.
const LACP_WELL: u8 = 0xbc;
/// Aggregators are numbered from here, ports of a member from 10,000 and 100 for each.
const AGGREGATORS: u32 = 5_100;

fn text(text: &str) -> SnmpValue {
    SnmpValue::Bytes(text.as_bytes().to_vec())
}

fn number(number: u32) -> SnmpValue {
    SnmpValue::Integer(i64::from(number))
}

/// Puts the cells of one row.
fn row<const N: usize>(objects: &mut Objects, entry: &[u32], index: &[u32], cells: [(u32, SnmpValue); N]) {
    for (column, value) in cells {
        objects.insert(Oid::new(entry).join(&[column]).join(index), value);
    }
}

fn system(description: &str, name: &str) -> Objects {
    let mut objects = Objects::new();
    let cells = [(1, text(description)), (3, SnmpValue::Ticks(UP_TICKS)), (5, text(name))];
    row(&mut objects, SYSTEM, &[0], cells);
    objects
}

fn interface(objects: &mut Objects, index: u32, name: &str, alias: &str) {
    let cells = [(1, number(index)), (2, text(name)), (7, number(1)), (8, number(1))];
    row(objects, IF, &[index], cells);
    let octets = SnmpValue::Counter64(1 << 40);
    let cells = [(1, text(name)), (6, octets.clone()), (10, octets), (15, SnmpValue::Gauge(10_000)), (18, text(alias))];
    row(objects, IF_X, &[index], cells);
}

/// Names of the hosts on the switch, with the number of their ports.
pub fn cabled() -> impl Iterator<Item = (u32, &'static str)> {
    (1..).zip(HOSTS.iter().filter(|host| host.is_physical()).map(|host| host.name))
}

/// The stack; a member that lost its power took its rows with it.
pub fn stack(name: &str, is_second_lost: bool) -> Objects {
    let mut objects = system("Simulated stack of two switches", name);
    objects.insert(Oid::new(RING), number(if is_second_lost { 2 } else { 1 }));
    for (port, host) in cabled() {
        interface(&mut objects, AGGREGATORS + port, &format!("Po{port}"), host);
    }
    let members = if is_second_lost { 1..=1 } else { 1..=2 };
    members.for_each(|member| self::member(&mut objects, member));
    objects
}

fn member(objects: &mut Objects, member: u32) {
    let chassis = 1_000 * member + 1;
    let role = if member == 1 { 1 } else { 2 };
    row(objects, MEMBER, &[chassis], [(1, SnmpValue::Gauge(member.into())), (3, number(role)), (6, number(4))]);
    row(objects, STACK_PORT, &[5_000 + member], [(1, number(1))]);
    // PhysicalClass: powerSupply(6), fan(7), sensor(8).
    for (offset, class, what) in [(10, 6, "PSU A"), (11, 6, "PSU B"), (20, 7, "fan"), (30, 8, "inlet")] {
        let index = [chassis + offset];
        row(objects, ENTITY, &index, [(5, number(class)), (7, text(&format!("switch {member} {what}")))]);
        row(objects, ENTITY_STATE, &index, [(3, number(3)), (5, SnmpValue::Bytes(vec![0]))]);
    }
    // 23.x degrees Celsius: type celsius(8), scale units(9), one digit behind the point.
    let celsius = [(1, number(8)), (2, number(9)), (3, number(1)), (4, number(230 + member)), (5, number(1))];
    row(objects, ENTITY_SENSOR, &[chassis + 30], celsius);
    for (port, host) in cabled() {
        let (index, name) = (10_000 + 100 * member + port, format!("Gi{member}/0/{port}"));
        interface(objects, index, &name, host);
        let partner = vec![0x52, 0x54, 0, 0, port as u8, 0];
        let cells = [
            (4, number(port)),
            (5, number(port)),
            (9, SnmpValue::Bytes(partner.clone())),
            (11, number(15)),
            (12, number(AGGREGATORS + port)),
            (13, number(AGGREGATORS + port)),
            (17, number(member)),
            (21, SnmpValue::Bytes(vec![LACP_WELL])),
            (23, SnmpValue::Bytes(vec![LACP_WELL])),
        ];
        row(objects, LAG_PORT, &[index], cells);
        row(objects, LAG_DEBUG, &[index], [(5, number(1)), (6, number(1))]);
        row(objects, LLDP_LOCAL, &[index], [(2, number(5)), (3, text(&name))]);
        let far = format!("eth{}", member - 1);
        let cells = [(4, number(4)), (5, SnmpValue::Bytes(partner)), (6, number(5)), (7, text(&far)), (9, text(host))];
        row(objects, LLDP_REMOTE, &[0, index, 1], cells);
    }
}

/// The UPS, on mains or on its battery.
pub fn ups(name: &str, is_on_battery: bool) -> Objects {
    let mut objects = system("Simulated UPS", name);
    let (source, seconds, minutes, charge, volts) =
        if is_on_battery { (5, 20, 34, 92, 0) } else { (3, 0, 42, 100, 230) };
    let battery = [(1, number(2)), (2, number(seconds)), (3, number(minutes)), (4, number(charge)), (7, number(24))];
    for (column, value) in battery {
        objects.insert(Oid::new(UPS).join(&[2, column, 0]), value);
    }
    objects.insert(Oid::new(UPS).join(&[1, 2, 0]), text("Simulated UPS 3000"));
    objects.insert(Oid::new(UPS).join(&[3, 3, 1, 3, 1]), number(volts));
    objects.insert(Oid::new(UPS).join(&[4, 1, 0]), number(source));
    objects.insert(Oid::new(UPS).join(&[4, 4, 1, 2, 1]), number(230));
    objects.insert(Oid::new(UPS).join(&[4, 4, 1, 5, 1]), number(31));
    let alarms: &[u32] = if is_on_battery { &[ON_BATTERY, INPUT_BAD] } else { &[] };
    objects.insert(Oid::new(UPS).join(&[6, 1, 0]), SnmpValue::Gauge(alarms.len() as u64));
    for (index, alarm) in (1..).zip(alarms) {
        let known = Oid::new(UPS).join(&[6, 3, *alarm]);
        objects.insert(Oid::new(UPS).join(&[6, 2, 1, 2, index]), SnmpValue::Oid(known));
    }
    objects
}

#[cfg(test)]
mod tests {
    use stentor_wire::snmp::{VarBind, lag, neighbours, stack as read_stack, ups as read_ups};

    use super::*;

    fn binds(objects: &Objects) -> Vec<VarBind> {
        objects.iter().map(|(oid, value)| VarBind { oid: oid.clone(), value: value.clone() }).collect()
    }

    #[test]
    fn every_physical_host_has_a_port_on_each_member() {
        let found = binds(&stack("sw1", false));
        let hosts = cabled().count();
        let lags = lag::read(&found);
        assert_eq!(lags.len(), hosts);
        assert!(lags.iter().all(|lag| lag.active() == 2 && !lag.is_mixed()), "{lags:?}");
        assert_eq!(neighbours::read(&found, &neighbours::Names::new()).len(), 2 * hosts);
        assert!(read_stack::read(&found, 2).members.iter().all(read_stack::Member::is_ready));
    }

    #[test]
    fn a_member_takes_its_rows_with_it() {
        let found = binds(&stack("sw1", true));
        assert!(lag::read(&found).iter().all(|lag| lag.ports.len() == 1));
        let stack = read_stack::read(&found, 2);
        assert_eq!((stack.members[1].state_word(), stack.ring_redundant), ("removed", Some(false)));
    }

    #[test]
    fn a_ups_says_where_its_output_comes_from() {
        for (is_on_battery, source) in [(false, read_ups::Source::Normal), (true, read_ups::Source::Battery)] {
            let ups = read_ups::read(&binds(&ups("ups1", is_on_battery)));
            assert_eq!((ups.source, ups.alarms.is_empty()), (Some(source), !is_on_battery), "{ups:?}");
            assert_eq!(
                (ups.battery, ups.model.as_deref()),
                (Some(read_ups::Battery::Normal), Some("Simulated UPS 3000"))
            );
        }
    }
}
