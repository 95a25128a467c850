//! One file of the spool: records one after the other, each with its length and a checksum, so that a torn end is seen.
//!
//! A record is `length (u32) | first 8 bytes of the SHA-256 of the payload | payload`, numbers in little endian. The payload is
//! a kind and what that kind needs. A file is only ever appended to; after a restart a new one is begun, so that nothing is
//! written behind a torn end.

use sha2::{Digest, Sha256};

/// First bytes of every file.
pub const MAGIC: &[u8; 8] = b"STSPOOL1";
/// Length and checksum.
pub const HEAD_BYTES: usize = 12;
/// Larger records are never written: an observation is bounded far below.
pub const PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

const KIND_RESULT: u8 = 1;
const KIND_TAKEN: u8 = 2;

/// What a record says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record<'a> {
    /// A result waits for the hub. Numbers rise through all files and boots of a spool.
    Result { number: u64, sequence: u64, boot: &'a str, json: &'a [u8] },
    /// The hub has every result up to this number.
    Taken { number: u64 },
}

/// The bytes of a record.
pub fn encode(record: &Record<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    match record {
        Record::Result { number, sequence, boot, json } => {
            payload.push(KIND_RESULT);
            payload.extend(number.to_le_bytes());
            payload.extend(sequence.to_le_bytes());
            let boot = boot.as_bytes();
            let boot = boot.get(..boot.len().min(usize::from(u8::MAX))).unwrap_or_default();
            payload.push(u8::try_from(boot.len()).unwrap_or(u8::MAX));
            payload.extend(boot);
            payload.extend(*json);
        }
        Record::Taken { number } => {
            payload.push(KIND_TAKEN);
            payload.extend(number.to_le_bytes());
        }
    }
    let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
    bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(checksum(&payload));
    bytes.extend(payload);
    bytes
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    for (to, from) in sum.iter_mut().zip(Sha256::digest(payload)) {
        *to = from;
    }
    sum
}

/// The record at the start of `bytes` and its length; `None` where there is none that is whole.
pub fn decode(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..length)?;
    if checksum(payload) != *sum {
        return None;
    }
    let (kind, rest) = payload.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    let record = match *kind {
        KIND_TAKEN => Record::Taken { number },
        KIND_RESULT => {
            let (sequence, rest) = rest.split_first_chunk::<8>()?;
            let (boot_length, rest) = rest.split_first()?;
            let (boot, json) = rest.split_at_checked(usize::from(*boot_length))?;
            let boot = std::str::from_utf8(boot).ok()?;
            Record::Result { number, sequence: u64::from_le_bytes(*sequence), boot, json }
        }
        _ => return None,
    };
    Some((record, HEAD_BYTES + length))
}

/// Every whole record of a file with its place, and how many bytes at the end are none.
pub fn scan(bytes: &[u8]) -> (Vec<(usize, usize, Record<'_>)>, usize) {
    let Some(mut rest) = bytes.strip_prefix(MAGIC.as_slice()) else { return (Vec::new(), bytes.len()) };
    let mut found = Vec::new();
    while let Some((record, length)) = decode(rest) {
        found.push((bytes.len() - rest.len(), length, record));
        rest = rest.get(length..).unwrap_or_default();
    }
    (found, rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(records: &[Record<'_>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        records.iter().for_each(|record| bytes.extend(encode(record)));
        bytes
    }

    #[test]
    fn records_read_back_and_a_torn_end_costs_only_itself() {
        let records = [
            Record::Result { number: 7, sequence: 3, boot: "b00t", json: br#"{"a":1}"# },
            Record::Taken { number: 7 },
            Record::Result { number: 8, sequence: 1, boot: "", json: b"" },
        ];
        let bytes = file(&records);
        let (all, torn) = scan(&bytes);
        assert_eq!((all.iter().map(|(_, _, r)| r.clone()).collect::<Vec<_>>(), torn), (records.to_vec(), 0));
        let ends: Vec<usize> = all.iter().map(|(at, length, _)| at + length).collect();
        for cut in 0..bytes.len() {
            let (whole, torn) = scan(&bytes[..cut]);
            assert_eq!(whole.len(), ends.iter().filter(|end| **end <= cut).count(), "cut at {cut}");
            let used = whole.last().map_or(if cut < 8 { 0 } else { 8 }, |(at, length, _)| at + length);
            assert_eq!(torn, cut - used, "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let bytes = file(&[Record::Result { number: 1, sequence: 1, boot: "b", json: b"{}" }]);
        for at in MAGIC.len()..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert!(scan(&bad).0.is_empty(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = scan(&bytes);
            let mut marked = MAGIC.to_vec();
            marked.extend(bytes);
            let _ = scan(&marked);
        }
    }
}
