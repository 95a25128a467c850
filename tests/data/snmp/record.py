#!/usr/bin/env python3
"""Writes the SNMP recordings beside it: what a stack of two switches, a UPS, a rack PDU, a host and a SAN array answer.

    python3 tests/data/snmp/record.py

Nothing was recorded from a device: objects, types and numbers are those of the MIBs (IF-MIB, IEEE8023-LAG-MIB, LLDP-MIB,
BRIDGE-MIB, ENTITY-MIB, ENTITY-STATE-MIB, ENTITY-SENSOR-MIB, CISCO-STACKWISE-MIB, CISCO-ENTITY-FRU-CONTROL-MIB, UPS-MIB,
PowerNet-MIB, HOST-RESOURCES-MIB, FCMGMT-MIB), the names made up. Format: snmpsim's, `identifier|tag|value`, sorted.
"""
import pathlib

INTEGER, OCTETS, HEX, OID, COUNTER32, GAUGE, TICKS, COUNTER64 = "2", "4", "4x", "6", "65", "66", "67", "70"
FOLDER = pathlib.Path(__file__).parent


class Recording:
    def __init__(self, description):
        self.objects = {}
        self.put("1.3.6.1.2.1.1.1.0", OCTETS, description)
        self.put("1.3.6.1.2.1.1.3.0", TICKS, 8640000)

    def put(self, oid, tag, value):
        self.objects[tuple(int(arc) for arc in oid.split("."))] = (tag, value)

    def row(self, entry, index, cells):
        for column, tag, value in cells:
            self.put(f"{entry}.{column}.{index}", tag, value)

    def write(self, name):
        lines = [f"{'.'.join(map(str, oid))}|{tag}|{value}\n" for oid, (tag, value) in sorted(self.objects.items())]
        (FOLDER / f"{name}.snmprec").write_text("".join(lines))


def interface(rec, index, name, alias, octets=10**12):
    rec.row("1.3.6.1.2.1.2.2.1", index, [
        (1, INTEGER, index), (2, OCTETS, name), (5, GAUGE, 4294967295), (7, INTEGER, 1), (8, INTEGER, 1),
        (13, COUNTER32, 0), (14, COUNTER32, 0), (19, COUNTER32, 0), (20, COUNTER32, 0)])
    rec.row("1.3.6.1.2.1.31.1.1.1", index, [
        (1, OCTETS, name), (6, COUNTER64, octets), (10, COUNTER64, octets // 2), (15, GAUGE, 10000), (18, OCTETS, alias),
        (19, TICKS, 0)])


def switch():
    """Two members, four hosts with one port on each member, an aggregate for each host; two management ports."""
    rec = Recording("recorded stack")
    rec.put("1.3.6.1.4.1.9.9.500.1.1.3.0", INTEGER, 1)
    for member in (1, 2):
        chassis = 1000 * member + 1
        rec.row("1.3.6.1.4.1.9.9.500.1.2.1.1", chassis, [(1, GAUGE, member), (3, INTEGER, 1 if member == 1 else 2), (6, INTEGER, 4)])
        rec.row("1.3.6.1.4.1.9.9.500.1.2.2.1", 5000 + member, [(1, INTEGER, 1)])
        parts = [(0, 3, f"Switch {member}"), (10, 6, f"Switch {member} PSU A"), (11, 6, f"Switch {member} PSU B"),
                 (20, 7, f"Switch {member} Fan 1"), (30, 8, f"Switch {member} inlet")]
        for offset, kind, name in parts:
            rec.row("1.3.6.1.2.1.47.1.1.1.1", chassis + offset, [(2, OCTETS, name.lower()), (5, INTEGER, kind), (7, OCTETS, name)])
            rec.row("1.3.6.1.2.1.131.1.1.1", chassis + offset, [(3, INTEGER, 3), (5, HEX, "00"), (6, INTEGER, 4)])
        rec.row("1.3.6.1.2.1.99.1.1.1", chassis + 30, [(1, INTEGER, 8), (2, INTEGER, 9), (3, INTEGER, 1), (4, INTEGER, 235 + member), (5, INTEGER, 1)])
        rec.row("1.3.6.1.4.1.9.9.117.1.1.2.1", chassis + 10, [(2, INTEGER, 2)])
        for host in range(1, 5):
            index, port = 10000 + 100 * member + host, (member - 1) * 4 + host
            name = f"Gi{member}/0/{host}"
            interface(rec, index, name, f"nc{host}")
            # Long time-out, in aggregate, synchronized, collecting, distributing: highest bit first.
            rec.row("1.2.840.10006.300.43.1.2.1.1", index, [
                (4, INTEGER, host), (5, INTEGER, host), (9, HEX, f"52540000{host:02x}00"), (11, INTEGER, 15),
                (12, INTEGER, 5000 + 100 + host), (13, INTEGER, 5000 + 100 + host), (17, INTEGER, member),
                (21, HEX, "bc"), (23, HEX, "bc")])
            rec.row("1.2.840.10006.300.43.1.2.3.1", index, [(3, INTEGER, 4), (5, INTEGER, 1), (6, INTEGER, 1)])
            rec.row("1.3.6.1.2.1.17.1.4.1", port, [(2, INTEGER, index)])
            rec.row("1.0.8802.1.1.2.1.3.7.1", port, [(2, INTEGER, 5), (3, OCTETS, name), (4, OCTETS, name)])
            rec.row("1.0.8802.1.1.2.1.4.1.1", f"0.{port}.{port}", [
                (4, INTEGER, 4), (5, HEX, f"52540000{host:02x}0{member}"), (6, INTEGER, 5), (7, OCTETS, f"eth{member - 1}"),
                (8, OCTETS, f"eth{member - 1}"), (9, OCTETS, f"nc{host}")])
            rec.row("1.3.6.1.2.1.17.4.3.1", f"82.84.0.0.{host}.{member}", [(2, INTEGER, port), (3, INTEGER, 3)])
        interface(rec, 10000 + 100 * member + 41, f"Gi{member}/0/41", f"bmc of nc{member}")
    for host in range(1, 5):
        interface(rec, 5100 + host, f"Po{host}", f"nc{host}")
    rec.write("switch")


def ups():
    """On line, two lines in and out, nothing wrong."""
    rec = Recording("recorded UPS")
    base = "1.3.6.1.2.1.33.1."
    for oid, tag, value in [
            ("1.1.0", OCTETS, "Example Power"), ("1.2.0", OCTETS, "Example 3000"), ("2.1.0", INTEGER, 2), ("2.2.0", INTEGER, 0),
            ("2.3.0", INTEGER, 42), ("2.4.0", INTEGER, 100), ("2.5.0", INTEGER, 546), ("2.7.0", INTEGER, 24),
            ("3.1.0", COUNTER32, 3), ("3.2.0", INTEGER, 2), ("4.1.0", INTEGER, 3), ("4.2.0", INTEGER, 500),
            ("4.3.0", INTEGER, 2), ("6.1.0", GAUGE, 0)]:
        rec.put(base + oid, tag, value)
    for line in (1, 2):
        rec.row(base + "3.3.1", line, [(2, INTEGER, 500), (3, INTEGER, 229 + line), (4, INTEGER, 31), (5, INTEGER, 700)])
        rec.row(base + "4.4.1", line, [(2, INTEGER, 230), (3, INTEGER, 30), (4, INTEGER, 690), (5, INTEGER, 20 + line)])
    rec.write("ups")


def pdu():
    """One rack PDU with two phases, four outlets, the last switched off."""
    rec = Recording("recorded PDU")
    base = "1.3.6.1.4.1.318.1.1.26."
    rec.row(base + "2.1", 1, [(3, OCTETS, "rack 7 A"), (8, OCTETS, "AP8000"), (9, OCTETS, "none")])
    rec.row(base + "4.3.1", 1, [(3, OCTETS, "rack 7 A"), (4, INTEGER, 2), (5, INTEGER, 310), (9, INTEGER, 12345), (12, INTEGER, 1), (13, INTEGER, 1), (14, INTEGER, 1)])
    for phase in (1, 2):
        rec.row(base + "6.3.1", phase, [(2, INTEGER, 1), (3, INTEGER, phase), (4, INTEGER, 2), (5, INTEGER, 60 + phase), (6, INTEGER, 231), (7, INTEGER, 155)])
    for outlet in range(1, 5):
        rec.row(base + "9.2.3.1", outlet, [(2, INTEGER, 1), (3, OCTETS, f"nc{outlet} PS1"), (4, INTEGER, outlet), (5, INTEGER, 2 if outlet < 4 else 1)])
        rec.row(base + "9.4.3.1", outlet, [(3, OCTETS, f"nc{outlet} PS1"), (4, INTEGER, outlet), (6, INTEGER, 15 + outlet), (7, INTEGER, 330)])
    rec.write("pdu")


def host():
    """A server with memory, swap, two file systems, two processors, three processes."""
    rec = Recording("recorded host")
    base = "1.3.6.1.2.1.25."
    for oid, tag, value in [("1.1.0", TICKS, 8640000), ("1.5.0", GAUGE, 2), ("1.6.0", GAUGE, 3)]:
        rec.put(base + oid, tag, value)
    storage = [(1, 2, "Physical memory", 1024, 16000000, 12000000), (10, 3, "Swap space", 1024, 4000000, 0),
               (31, 4, "/", 4096, 10000000, 4000000), (36, 4, "/var", 4096, 10000000, 9300000)]
    for index, kind, name, unit, size, used in storage:
        rec.row(base + "2.3.1", index, [(1, INTEGER, index), (2, OID, f"{base}2.1.{kind}"), (3, OCTETS, name), (4, INTEGER, unit), (5, INTEGER, size), (6, INTEGER, used)])
    for index, kind, name, status in [(196608, 3, "cpu 0", 2), (196609, 3, "cpu 1", 2), (262145, 4, "network interface eth0", 2)]:
        rec.row(base + "3.2.1", index, [(1, INTEGER, index), (2, OID, f"{base}3.1.{kind}"), (3, OCTETS, name), (5, INTEGER, status), (6, COUNTER32, 0)])
    for index, load in ((196608, 20), (196609, 40)):
        rec.row(base + "3.3.1", index, [(2, INTEGER, load)])
    for index, name in ((1, "systemd"), (700, "sshd"), (900, "postgres")):
        rec.row(base + "4.2.1", index, [(2, OCTETS, name), (7, INTEGER, 2)])
    rec.write("host")


def array():
    """A storage array with two controllers' ports, supplies, fans, a battery and a temperature."""
    rec = Recording("recorded array")
    unit = ".".join(str(byte) for byte in bytes.fromhex("500c0ff0000000000000000000000000"))
    rec.row("1.3.6.1.3.94.1.6.1", unit, [(3, INTEGER, 11), (4, INTEGER, 4), (5, INTEGER, 2), (6, INTEGER, 3), (7, OCTETS, "Example array"), (20, OCTETS, "san1")])
    sensors = [("Controller A", 8, 2), ("Controller B", 8, 2), ("Power Supply 1", 5, 9), ("Power Supply 2", 5, 9), ("Fan 1", 4, 7),
               ("Fan 2", 4, 7), ("Battery A", 3, 2), ("Enclosure 1 temperature", 7, 3)]
    for index, (name, kind, characteristic) in enumerate(sensors, 1):
        rec.row("1.3.6.1.3.94.1.8.1", f"{unit}.{index}", [(3, OCTETS, name), (4, INTEGER, 3), (6, OCTETS, f"{name}: OK"), (7, INTEGER, kind), (8, INTEGER, characteristic)])
    for index in range(1, 5):
        rec.row("1.3.6.1.3.94.1.10.1", f"{unit}.{index}", [(6, INTEGER, 2), (7, INTEGER, 3), (17, OCTETS, f"{'AB'[(index - 1) // 2]}{(index - 1) % 2}")])
    rec.write("array")


if __name__ == "__main__":
    for write in (switch, ups, pdu, host, array):
        write()
