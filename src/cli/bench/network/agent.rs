//! A small SNMPv2c agent with interfaces and their counters: what the benchmark asks, answered as cheaply as can be.

/// Tags of BER (X.690) and of SNMP (RFC 3416 §3).
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const COUNTER32: u8 = 0x41;
const GAUGE32: u8 = 0x42;
const TICKS: u8 = 0x43;
const COUNTER64: u8 = 0x46;
const NO_SUCH_INSTANCE: u8 = 0x81;
const END_OF_VIEW: u8 = 0x82;
const GET: u8 = 0xA0;
const GET_NEXT: u8 = 0xA1;
const RESPONSE: u8 = 0xA2;
const GET_BULK: u8 = 0xA5;
/// Bytes of objects in one answer: an Ethernet frame holds that many, with what stands around them.
const BINDS_BYTES_MAX: usize = 1400;
const ROWS_MAX: u64 = 200;

/// An object of the agent: its identifier, and both encoded.
struct Object {
    arcs: Vec<u32>,
    encoded: Vec<u8>,
}

/// The tree, in the order of walks.
pub struct Agent {
    objects: Vec<Object>,
}

impl Agent {
    pub fn new(ports: u16) -> Agent {
        let mut all: Vec<(Vec<u32>, u8, Vec<u8>)> = vec![
            (vec![1, 3, 6, 1, 2, 1, 1, 1, 0], OCTETS, b"a simulated switch".to_vec()),
            (vec![1, 3, 6, 1, 2, 1, 1, 3, 0], TICKS, number(123_456)),
            (vec![1, 3, 6, 1, 2, 1, 1, 5, 0], OCTETS, b"switch".to_vec()),
        ];
        for port in 1..=u32::from(ports) {
            let mut put = |table: &[u32], column: u32, tag: u8, value: Vec<u8>| {
                all.push(([table, &[column, port]].concat(), tag, value));
            };
            let name = || format!("ge-0/0/{port}").into_bytes();
            let entry = [1, 3, 6, 1, 2, 1, 2, 2, 1];
            put(&entry, 2, OCTETS, name());
            put(&entry, 5, GAUGE32, number(1_000_000_000));
            [7, 8].iter().for_each(|column| put(&entry, *column, INTEGER, number(1)));
            [10, 13, 14, 16, 19, 20].iter().for_each(|column| put(&entry, *column, COUNTER32, number(port.into())));
            let wide = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1];
            put(&wide, 1, OCTETS, name());
            [6, 10].iter().for_each(|column| put(&wide, *column, COUNTER64, number(u64::from(port) << 33)));
            put(&wide, 15, GAUGE32, number(1000));
            put(&wide, 18, OCTETS, format!("uplink {port}").into_bytes());
            put(&wide, 19, TICKS, number(1));
        }
        all.sort();
        let object = |(arcs, tag, value): (Vec<u32>, u8, Vec<u8>)| {
            let encoded = bind(&arcs, &tlv(tag, &value));
            Object { arcs, encoded }
        };
        Agent { objects: all.into_iter().map(object).collect() }
    }

    /// The answer to a question, and how many objects it holds; `None` to what is no question of version 2c.
    pub fn answer(&self, question: &[u8]) -> Option<(Vec<u8>, u64)> {
        let (SEQUENCE, message, _) = read(question)? else { return None };
        let (INTEGER, [1], rest) = read(message)? else { return None };
        let (OCTETS, community, rest) = read(rest)? else { return None };
        let (kind, pdu, _) = read(rest)?;
        let (INTEGER, id, rest) = read(pdu)? else { return None };
        let (INTEGER, first, rest) = read(rest)? else { return None };
        let (INTEGER, second, rest) = read(rest)? else { return None };
        let (SEQUENCE, mut binds, _) = read(rest)? else { return None };
        let (mut found, mut count) = (Vec::new(), 0);
        let mut asked = 0;
        while !binds.is_empty() {
            let (SEQUENCE, one, rest) = read(binds)? else { return None };
            let (OID, oid, _) = read(one)? else { return None };
            let arcs = arcs(oid)?;
            let rows = match kind {
                GET => 0,
                GET_NEXT => 1,
                GET_BULK if asked < whole(first) => 1,
                GET_BULK => whole(second).min(ROWS_MAX),
                _ => return None,
            };
            count += self.take(&arcs, rows, &mut found);
            (binds, asked) = (rest, asked + 1);
        }
        let zero = tlv(INTEGER, &[0]);
        let pdu = [tlv(INTEGER, id), zero.clone(), zero, tlv(SEQUENCE, &found)].concat();
        let head = [tlv(INTEGER, &[1]), tlv(OCTETS, community), tlv(RESPONSE, &pdu)].concat();
        Some((tlv(SEQUENCE, &head), count))
    }

    /// The object itself where no rows are asked for, else so many after it.
    fn take(&self, arcs: &[u32], rows: u64, found: &mut Vec<u8>) -> u64 {
        let place = self.objects.binary_search_by(|object| object.arcs.as_slice().cmp(arcs));
        if rows == 0 {
            match place.ok().and_then(|at| self.objects.get(at)) {
                Some(object) => found.extend(&object.encoded),
                None => found.extend(bind(arcs, &[NO_SUCH_INSTANCE, 0])),
            }
            return 1;
        }
        let next = place.map_or_else(|at| at, |at| at + 1);
        let mut count = 0;
        let mut objects = self.objects.iter().skip(next);
        while count < rows {
            match objects.next() {
                Some(object) if found.len() + object.encoded.len() <= BINDS_BYTES_MAX => found.extend(&object.encoded),
                Some(_) => break,
                None => {
                    found.extend(bind(arcs, &[END_OF_VIEW, 0]));
                    return count + 1;
                }
            }
            count += 1;
        }
        count
    }
}

/// Tag, content and what follows.
fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = bytes else { return None };
    let (length, rest) = match length {
        0..=0x7F => (usize::from(*length), rest),
        0x81 => rest.split_first().map(|(one, rest)| (usize::from(*one), rest))?,
        0x82 => rest.split_first_chunk::<2>().map(|(two, rest)| (usize::from(u16::from_be_bytes(*two)), rest))?,
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((*tag, content, after))
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7F => out.push(short as u8),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

/// A whole number that is not negative, without leading zeros but for the sign.
fn number(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let skip = bytes.iter().take(7).take_while(|byte| **byte == 0).count();
    let mut short = bytes.get(skip..).unwrap_or_default().to_vec();
    if short.first().is_some_and(|first| first & 0x80 != 0) {
        short.insert(0, 0);
    }
    short
}

fn whole(bytes: &[u8]) -> u64 {
    bytes.iter().take(4).fold(0, |whole, byte| whole << 8 | u64::from(*byte))
}

fn bind(arcs: &[u32], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[tlv(OID, &encode(arcs)), value.to_vec()].concat())
}

fn encode(arcs: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    let (head, rest) = match arcs {
        [first, second, rest @ ..] => (first * 40 + second, rest),
        _ => return out,
    };
    for arc in std::iter::once(&head).chain(rest) {
        let groups = (0..5).rev().map(|group| (arc >> (7 * group) & 0x7F) as u8);
        let significant: Vec<u8> = groups.skip_while(|group| *group == 0).collect();
        let significant = if significant.is_empty() { vec![0] } else { significant };
        let last = significant.len() - 1;
        out.extend(significant.iter().enumerate().map(|(i, group)| if i < last { group | 0x80 } else { *group }));
    }
    out
}

fn arcs(bytes: &[u8]) -> Option<Vec<u32>> {
    let (mut out, mut arc) = (Vec::new(), 0_u32);
    for byte in bytes {
        arc = arc.checked_shl(7)? | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            out.push(arc);
            arc = 0;
        }
    }
    let (head, rest) = out.split_first()?;
    Some([&[head / 40, head % 40], rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: u8, numbers: [u8; 2], oids: &[&[u32]]) -> Vec<u8> {
        let binds: Vec<u8> = oids.iter().flat_map(|arcs| bind(arcs, &[0x05, 0])).collect();
        let [first, second] = numbers.map(|number| tlv(INTEGER, &[number]));
        let pdu = [tlv(INTEGER, &[7]), first, second, tlv(SEQUENCE, &binds)].concat();
        tlv(SEQUENCE, &[tlv(INTEGER, &[1]), tlv(OCTETS, b"public"), tlv(kind, &pdu)].concat())
    }

    #[test]
    fn gets_and_walks_are_answered() {
        let agent = Agent::new(48);
        let name = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];
        let (answer, count) = agent.answer(&question(GET_BULK, [0, 25], &[&name])).unwrap();
        assert_eq!(count, 25);
        assert!(answer.windows(8).any(|part| part == b"ge-0/0/1") && answer.len() < 1500);
        let up_time = [1, 3, 6, 1, 2, 1, 1, 3, 0];
        let (answer, count) = agent.answer(&question(GET, [0, 0], &[&up_time, &name])).unwrap();
        assert_eq!(count, 2);
        assert!(answer.contains(&TICKS) && answer.contains(&NO_SUCH_INSTANCE));
        let (answer, _) = agent.answer(&question(GET_NEXT, [0, 0], &[&[1, 3, 6, 1, 9]])).unwrap();
        assert!(answer.contains(&END_OF_VIEW));
        assert_eq!(arcs(&encode(&[1, 3, 6, 1, 4, 1, 99_999, 4_294_967_295])).unwrap().last(), Some(&4_294_967_295));
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let agent = Agent::new(1);
        let good = question(GET, [0, 0], &[&[1, 3, 6]]);
        for length in 0..good.len() {
            assert_eq!(agent.answer(&good[..length]), None);
        }
        assert_eq!(agent.answer(&question(RESPONSE, [0, 0], &[&[1, 3, 6]])), None);
    }
}
