//! An SNMPv2c agent as a function: a request's bytes in, the answer's bytes out (RFC 3416 §4.2). Simulated devices and
//! tests answer with it; it never writes.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::ber::{self, Reader};
use super::{Oid, SnmpValue};

/// The number that stands for SNMPv2c in a message.
const VERSION_2C: i64 = 1;
const GET: u8 = 0xA0;
const GET_NEXT: u8 = 0xA1;
const RESPONSE: u8 = 0xA2;
const GET_BULK: u8 = 0xA5;
/// Variables that one request may name.
const ASKED_MAX: usize = 200;
/// Bytes of an answer besides its variables: version, community, numbers and the lengths of four sequences.
const FRAME_BYTES: usize = 48;

/// What an agent has, and to whom it tells it.
#[derive(Clone, Copy, Debug)]
pub struct Responder<'a> {
    pub community: &'a [u8],
    pub objects: &'a BTreeMap<Oid, SnmpValue>,
    /// No answer to a GETBULK is longer.
    pub answer_bytes_max: usize,
}

struct Request {
    tag: u8,
    id: i64,
    /// Of GETBULK: variables asked for once, and how often the others.
    once: usize,
    repetitions: usize,
    asked: Vec<Oid>,
}

impl Responder<'_> {
    /// The answer; `None` to what is no question, not SNMPv2c, or of another community: agents are silent to those.
    pub fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut message = Reader::new(message).inside(ber::SEQUENCE)?;
        if message.integer()? != VERSION_2C || message.of(ber::OCTETS)? != self.community {
            return None;
        }
        let request = request(&mut message)?;
        let variables = match request.tag {
            GET => self.get(&request),
            GET_NEXT => self.next(&request.asked, 1, usize::MAX),
            _ => self.bulk(&request),
        };
        let mut out = Vec::with_capacity(variables.len() + FRAME_BYTES);
        ber::put_all(&mut out, ber::SEQUENCE, |out| {
            ber::put_integer(out, VERSION_2C);
            ber::put(out, ber::OCTETS, self.community);
            ber::put_all(out, RESPONSE, |out| {
                ber::put_integer(out, request.id);
                ber::put_integer(out, 0);
                ber::put_integer(out, 0);
                ber::put(out, ber::SEQUENCE, &variables);
            });
        });
        Some(out)
    }

    fn get(&self, request: &Request) -> Vec<u8> {
        let mut out = Vec::new();
        for oid in &request.asked {
            let value = self.objects.get(oid).unwrap_or(&SnmpValue::Missing);
            put_variable(&mut out, oid, Some(value));
        }
        out
    }

    fn bulk(&self, request: &Request) -> Vec<u8> {
        let (once, often) = request.asked.split_at(request.once.min(request.asked.len()));
        let bytes_max = self.answer_bytes_max.saturating_sub(FRAME_BYTES + self.community.len());
        let mut out = self.next(once, 1, bytes_max);
        let more = self.next(often, request.repetitions, bytes_max.saturating_sub(out.len()));
        out.extend(more);
        out
    }

    /// The successors of all, then theirs, row by row, until all columns are at their end or the bytes are used up.
    fn next(&self, asked: &[Oid], repetitions: usize, bytes_max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at: Vec<Oid> = asked.to_vec();
        for _ in 0..repetitions {
            let mut is_over = true;
            for oid in &mut at {
                let found = self.objects.range((Bound::Excluded(&*oid), Bound::Unbounded)).next();
                let before = out.len();
                match found {
                    Some((next, value)) => {
                        put_variable(&mut out, next, Some(value));
                        *oid = next.clone();
                        is_over = false;
                    }
                    None => put_variable(&mut out, oid, None),
                }
                if out.len() > bytes_max {
                    out.truncate(before);
                    return out;
                }
            }
            if is_over {
                break;
            }
        }
        out
    }
}

fn request(message: &mut Reader<'_>) -> Option<Request> {
    let (tag, content) = message.any()?;
    if ![GET, GET_NEXT, GET_BULK].contains(&tag) {
        return None;
    }
    let mut pdu = Reader::new(content);
    let (id, once, repetitions) = (pdu.integer()?, pdu.integer()?, pdu.integer()?);
    let mut variables = pdu.inside(ber::SEQUENCE)?;
    let mut asked = Vec::new();
    while !variables.is_empty() {
        asked.push(variables.inside(ber::SEQUENCE)?.oid()?);
        if asked.len() > ASKED_MAX {
            return None;
        }
    }
    // RFC 3416 §4.2.3: what is negative counts as zero.
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    Some(Request { tag, id, once: count(once), repetitions: count(repetitions), asked })
}

/// One variable with its value; `None` is the end of everything the agent has.
fn put_variable(out: &mut Vec<u8>, oid: &Oid, value: Option<&SnmpValue>) {
    ber::put_all(out, ber::SEQUENCE, |out| {
        ber::put_oid(out, oid);
        match value {
            Some(value) => ber::put_value(out, value),
            None => ber::put(out, ber::END_OF_MIB_VIEW, &[]),
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn objects() -> BTreeMap<Oid, SnmpValue> {
        let one = |oid: &str, value: SnmpValue| (oid.parse().expect("an identifier"), value);
        BTreeMap::from([
            one("sysName.0", SnmpValue::Bytes(b"sw1".to_vec())),
            one("ifOperStatus.1", SnmpValue::Integer(1)),
            one("ifOperStatus.2", SnmpValue::Integer(2)),
            one("ifHCInOctets.1", SnmpValue::Counter64(1 << 40)),
        ])
    }

    fn ask(tag: u8, numbers: [i64; 3], asked: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::put_all(&mut out, ber::SEQUENCE, |out| {
            ber::put_integer(out, VERSION_2C);
            ber::put(out, ber::OCTETS, b"public");
            ber::put_all(out, tag, |out| {
                numbers.iter().for_each(|number| ber::put_integer(out, *number));
                ber::put_all(out, ber::SEQUENCE, |out| {
                    for oid in asked {
                        ber::put_all(out, ber::SEQUENCE, |out| {
                            ber::put_oid(out, &oid.parse().expect("an identifier"));
                            ber::put(out, ber::NULL, &[]);
                        });
                    }
                });
            });
        });
        out
    }

    /// Identifier and tag of each variable of an answer, and the request's number.
    fn read(answer: &[u8]) -> Option<(i64, Vec<(String, u8)>)> {
        let mut message = Reader::new(answer).inside(ber::SEQUENCE)?;
        let (_, _, mut pdu) = (message.integer()?, message.of(ber::OCTETS)?, message.inside(RESPONSE)?);
        let (id, _, _) = (pdu.integer()?, pdu.integer()?, pdu.integer()?);
        let mut variables = pdu.inside(ber::SEQUENCE)?;
        let mut all = Vec::new();
        while let Some(mut variable) = variables.inside(ber::SEQUENCE) {
            all.push((variable.oid()?.to_string(), variable.any()?.0));
        }
        Some((id, all))
    }

    fn answered(bytes_max: usize, request: &[u8]) -> Option<(i64, Vec<(String, u8)>)> {
        let objects = objects();
        let agent = Responder { community: b"public", objects: &objects, answer_bytes_max: bytes_max };
        read(&agent.answer(request)?)
    }

    #[test]
    fn questions_have_the_answers_of_the_standard() {
        const OPER: &str = "1.3.6.1.2.1.2.2.1.8";
        let pairs = |pairs: &[(&str, u8)]| pairs.iter().map(|(oid, tag)| (oid.to_string(), *tag)).collect::<Vec<_>>();
        for (request, wanted) in [
            (
                ask(GET, [7, 0, 0], &["ifOperStatus.2", "ifOperStatus.9"]),
                pairs(&[(&format!("{OPER}.2"), ber::INTEGER), (&format!("{OPER}.9"), ber::NO_SUCH_INSTANCE)]),
            ),
            (
                ask(GET_NEXT, [7, 0, 0], &["ifOperStatus.2", "ifHCInOctets.1"]),
                pairs(&[("1.3.6.1.2.1.31.1.1.1.6.1", 0x46), ("1.3.6.1.2.1.31.1.1.1.6.1", ber::END_OF_MIB_VIEW)]),
            ),
            (
                ask(GET_BULK, [7, 1, 2], &["sysName", "ifOperStatus"]),
                pairs(&[
                    ("1.3.6.1.2.1.1.5.0", ber::OCTETS),
                    (&format!("{OPER}.1"), ber::INTEGER),
                    (&format!("{OPER}.2"), ber::INTEGER),
                ]),
            ),
        ] {
            assert_eq!(answered(1400, &request), Some((7, wanted)));
        }
    }

    #[test]
    fn a_long_answer_is_cut_between_variables() {
        let whole = answered(1400, &ask(GET_BULK, [1, 0, 10], &["sysName"])).expect("an answer").1;
        assert_eq!(whole.len(), 5, "four objects and the end: {whole:?}");
        let cut = answered(120, &ask(GET_BULK, [1, 0, 10], &["sysName"])).expect("an answer").1;
        assert!(!cut.is_empty() && cut.len() < whole.len() && whole.starts_with(&cut), "{cut:?}");
    }

    #[test]
    fn strangers_and_other_versions_get_no_answer() {
        let objects = objects();
        let request = ask(GET, [1, 0, 0], &["sysName.0"]);
        let agent = Responder { community: b"secret", objects: &objects, answer_bytes_max: 1400 };
        assert_eq!(agent.answer(&request), None);
        assert_eq!(answered(1400, &ask(0xA3, [1, 0, 0], &["sysName.0"])), None, "nothing is ever set");
        let v1: Vec<u8> = request.iter().enumerate().map(|(at, byte)| if at == 4 { 0 } else { *byte }).collect();
        assert_eq!(answered(1400, &v1), None);
    }

    proptest! {
        #[test]
        fn any_datagram_is_answered_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answered(1400, &bytes);
        }

        #[test]
        fn any_truncated_or_changed_question_is_borne(cut in 0usize..60, at in 0usize..60, byte in any::<u8>()) {
            let mut request = ask(GET_BULK, [1, 0, 10], &["ifOperStatus", "ifHCInOctets"]);
            if let Some(place) = request.get_mut(at) {
                *place = byte;
            }
            let _ = answered(1400, &request);
            let _ = answered(1400, request.get(..cut).unwrap_or(&request));
        }
    }
}
