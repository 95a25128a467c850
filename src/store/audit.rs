//! The audit of runs as a chain: each record carries the hash of the one before, so that a record that was changed, put in
//! or taken out in between is found by whoever reads it. That its end was cut off is told by its [`super::anchor`].

use sha2::{Digest, Sha256};
use stentor_core::runbook::AuditEntry;

use super::rows::RowError;

pub type Hash = [u8; 32];

/// What stands before the first record.
pub const GENESIS: Hash = [0; 32];

/// One record of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// From 1, without gaps.
    pub number: u64,
    pub entry: AuditEntry,
    pub previous: Hash,
    pub hash: Hash,
}

/// The first record that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("record {number} is missing: record {found} follows record {}", number - 1)]
    Gap { number: u64, found: u64 },
    #[error("record {number} does not follow record {}: one of them was changed or replaced", number - 1)]
    Link { number: u64 },
    #[error("record {number} was changed: its content does not give its hash")]
    Content { number: u64 },
    #[error("{} missing at the end", records(*from, *to))]
    End { from: u64, to: u64 },
    #[error("record {number} is not the one that was written: its hash is not that of the anchor")]
    Replaced { number: u64 },
}

fn records(from: u64, to: u64) -> String {
    if from == to { format!("record {to} is") } else { format!("records {from}..{to} are") }
}

/// What [`AuditEntry::action`] says in a record about records that were lost. Nobody can ask for it.
pub const LOST: &str = "audit_lost";

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Option<Hash> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    Hash::try_from(bytes).ok().filter(|_| digits.len() == 2 * GENESIS.len())
}

/// What stands behind `previous` when this is its content.
pub fn hash_of(number: u64, previous: &Hash, entry: &AuditEntry) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(number.to_be_bytes());
    hash.update(entry.canonical());
    hash.finalize().into()
}

/// What one turn's entry is known by, so that a turn that is done again adds nothing.
pub fn token_of(seq: u64, ordinal: u32, entry: &AuditEntry) -> Hash {
    let mut hash = Sha256::new();
    hash.update(seq.to_be_bytes());
    hash.update(ordinal.to_be_bytes());
    hash.update(entry.canonical());
    hash.finalize().into()
}

/// A chain that is read record by record; and its head, the newest record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub newest: u64,
    pub hash: Hash,
}

impl Default for Chain {
    fn default() -> Self {
        Chain { newest: 0, hash: GENESIS }
    }
}

impl Chain {
    /// # Errors
    /// The record does not follow those before it.
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let number = self.newest + 1;
        if record.number != number {
            return Err(Broken::Gap { number, found: record.number });
        }
        if record.previous != self.hash {
            return Err(Broken::Link { number });
        }
        if record.hash != hash_of(number, &record.previous, &record.entry) {
            return Err(Broken::Content { number });
        }
        *self = Chain { newest: number, hash: record.hash };
        Ok(())
    }

    /// Whether the chain reaches the record that is anchored. `found` is the hash of the record of that number.
    ///
    /// # Errors
    /// It ends before, or another record stands there.
    pub fn reaches(&self, anchored: &Chain, found: Option<Hash>) -> Result<(), Broken> {
        if self.newest < anchored.newest {
            return Err(Broken::End { from: self.newest + 1, to: anchored.newest });
        }
        match found {
            Some(hash) if hash != anchored.hash => Err(Broken::Replaced { number: anchored.newest }),
            Some(_) | None => Ok(()),
        }
    }
}

/// A row as the database gives it: number, body, previous, hash.
pub type AuditColumns = (i64, String, Vec<u8>, Vec<u8>);

/// A row as the database gives it: number, hash.
pub type HeadColumns = (i64, Vec<u8>);

/// The newest row as the end of the chain. A hash of another length fits nothing, so that the next record shows it.
pub fn head(newest: Option<HeadColumns>) -> Chain {
    newest.map_or_else(Chain::default, |(number, hash)| Chain {
        newest: number.cast_unsigned(),
        hash: Hash::try_from(hash).unwrap_or(GENESIS),
    })
}

pub fn record((number, body, previous, hash): AuditColumns) -> Result<AuditRecord, RowError> {
    let unreadable = |why: String| RowError::Audit { number, why };
    let entry = serde_json::from_str(&body).map_err(|error| unreadable(error.to_string()))?;
    let hash_from = |bytes: Vec<u8>| Hash::try_from(bytes).map_err(|_| unreadable("a hash has 32 bytes".to_owned()));
    Ok(AuditRecord { number: number.cast_unsigned(), entry, previous: hash_from(previous)?, hash: hash_from(hash)? })
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;
    use stentor_core::Timestamp;

    use super::*;

    pub fn entry(text: &str) -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_secs(1_795_000_000),
            who: "anna".into(),
            action: "begin".into(),
            run: Some(1),
            incident: None,
            runbook: "rb-x".into(),
            step: Some(1),
            target: "clc1".into(),
            done: true,
            text: text.into(),
        }
    }

    fn chain_of(texts: &[String]) -> Vec<AuditRecord> {
        let mut previous = GENESIS;
        let mut chain = Vec::new();
        for (number, text) in (1..).zip(texts) {
            let entry = entry(text);
            let hash = hash_of(number, &previous, &entry);
            chain.push(AuditRecord { number, entry, previous, hash });
            previous = hash;
        }
        chain
    }

    fn verify(records: &[AuditRecord]) -> Result<u64, Broken> {
        let mut chain = Chain::default();
        records.iter().try_for_each(|record| chain.take(record)).map(|()| chain.newest)
    }

    #[test]
    fn a_head_that_is_behind_its_anchor_or_beside_it_is_told() {
        let chain = |newest, byte| Chain { newest, hash: [byte; 32] };
        let end = |from, to| Err(Broken::End { from, to });
        let cases = [
            ("nothing was anchored yet", chain(0, 0), chain(0, 0), None, Ok(())),
            ("at its anchor", chain(43, 1), chain(43, 1), Some([1; 32]), Ok(())),
            ("beyond it", chain(45, 9), chain(43, 1), Some([1; 32]), Ok(())),
            ("one record behind", chain(42, 9), chain(43, 1), None, end(43, 43)),
            ("empty", chain(0, 0), chain(43, 1), None, end(1, 43)),
            ("another record there", chain(43, 2), chain(43, 1), Some([2; 32]), Err(Broken::Replaced { number: 43 })),
        ];
        for (what, head, anchor, found, expected) in cases {
            assert_eq!(head.reaches(&anchor, found), expected, "{what}");
        }
        let told = |from, to| Broken::End { from, to }.to_string();
        assert_eq!(told(41, 43), "records 41..43 are missing at the end");
        assert_eq!(told(43, 43), "record 43 is missing at the end");
    }

    proptest! {
        #[test]
        fn a_whole_chain_holds_and_any_change_is_found_where_it_is(
            texts in prop::collection::vec("[a-z]{0,6}", 2..12),
            at in any::<prop::sample::Index>(),
            how in 0..4,
        ) {
            let mut records = chain_of(&texts);
            prop_assert_eq!(verify(&records), Ok(texts.len() as u64));
            let index = at.index(records.len());
            let number = index as u64 + 1;
            match how {
                // Changed in place.
                0 => {
                    records[index].entry.text = format!("{} and more", records[index].entry.text).into();
                    prop_assert_eq!(verify(&records), Err(Broken::Content { number }));
                }
                // Changed, with a hash that fits: the next record tells.
                1 if index + 1 < records.len() => {
                    records[index].entry.done = false;
                    records[index].hash = hash_of(number, &records[index].previous, &records[index].entry);
                    prop_assert_eq!(verify(&records), Err(Broken::Link { number: number + 1 }));
                }
                // Taken out.
                2 if index + 1 < records.len() => {
                    records.remove(index);
                    prop_assert_eq!(verify(&records), Err(Broken::Gap { number, found: number + 1 }));
                }
                // Told twice.
                _ => {
                    records.insert(index, records[index].clone());
                    prop_assert_eq!(verify(&records), Err(Broken::Gap { number: number + 1, found: number }));
                }
            }
        }

        #[test]
        fn a_hash_is_read_as_it_is_printed_and_nothing_else_is(hash in any::<Hash>(), text in "\\PC{0,70}") {
            prop_assert_eq!(unhex(&hex(&hash)), Some(hash));
            prop_assert_eq!(unhex(&hex(&hash)[1..]), None);
            prop_assert!(unhex(&text).is_none() || text.len() == 64);
        }

        #[test]
        fn fields_do_not_run_into_each_other(a in "[ab]{0,4}", b in "[ab]{0,4}") {
            let (mut one, mut two) = (entry("x"), entry("x"));
            (one.who, one.action) = (format!("{a}{b}").into(), "".into());
            (two.who, two.action) = (a.as_str().into(), b.as_str().into());
            prop_assert_eq!(one.canonical() == two.canonical(), b.is_empty());
        }
    }
}
