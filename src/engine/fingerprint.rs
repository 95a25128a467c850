//! Tells whether two catalogs have the same content. Protects against nothing: it is no digest for tampering.

use std::io;

use stentor_core::catalog::Catalog;

/// Hash of everything in a catalog except its derived index: equal content, equal hash, on every machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint(u128);

impl Fingerprint {
    pub fn of(catalog: &Catalog) -> Fingerprint {
        let mut hash = Fnv128(FNV_OFFSET);
        serde_json::to_writer(&mut hash, catalog)
            .expect("a catalog has only text keys and the hash accepts every byte");
        Fingerprint(hash.0)
    }
}

/// FNV-1a, 128 bits (draft-eastlake-fnv).
struct Fnv128(u128);

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

impl io::Write for Fnv128 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(FNV_PRIME);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stentor_core::catalog::Zone;

    use super::*;

    #[test]
    fn it_follows_the_content_and_not_the_index() {
        let mut one = Catalog::default();
        one.zones.push(Zone { name: "here".into(), cloud: None });
        let mut indexed = one.clone();
        indexed.reindex();
        assert_eq!(Fingerprint::of(&one), Fingerprint::of(&indexed));
        let elsewhere = Catalog { url: "http://elsewhere/".into(), ..one.clone() };
        assert_ne!(Fingerprint::of(&one), Fingerprint::of(&elsewhere));
    }

    #[test]
    fn the_hash_is_the_one_of_the_reference_tables() {
        let mut hash = Fnv128(FNV_OFFSET);
        io::Write::write_all(&mut hash, b"a").unwrap();
        assert_eq!(format!("{:032x}", hash.0), "d228cb696f1a8caf78912b704e4a8964");
    }
}
