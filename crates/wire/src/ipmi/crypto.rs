//! Cipher suites 3 and 17: key derivation, authentication codes, payload encryption (sections 13.28 to 13.32).

use std::fmt;

use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::PacketError;

/// AES block, key and initialisation vector are 16 bytes each.
pub(super) const AES_BYTES: usize = 16;

/// Section 13.32: K1 and K2 are made from 20 bytes of 01h and 02h, also for SHA-256.
const KEY_CONSTANT_BYTES: usize = 20;

/// The cipher suites this product speaks. All others are refused: 0 to 2 leave out authentication, integrity or
/// confidentiality, 6 to 14 rest on MD5 or on xRC4, 15 and 16 leave out integrity or confidentiality again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// 3: RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// 17: RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
}

/// A cipher suite that policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cipher suite {0} is not allowed: use 17 or 3")]
pub struct UnsupportedSuite(pub u8);

impl TryFrom<u8> for Suite {
    type Error = UnsupportedSuite;

    fn try_from(id: u8) -> Result<Self, UnsupportedSuite> {
        match id {
            3 => Ok(Suite::Three),
            17 => Ok(Suite::Seventeen),
            other => Err(UnsupportedSuite(other)),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id())
    }
}

impl Suite {
    pub const ALL: [Suite; 2] = [Suite::Seventeen, Suite::Three];

    pub fn id(self) -> u8 {
        match self {
            Suite::Three => 3,
            Suite::Seventeen => 17,
        }
    }

    /// Authentication, integrity and confidentiality algorithm numbers (tables 13-17 to 13-19).
    pub fn algorithms(self) -> [u8; 3] {
        match self {
            Suite::Three => [1, 1, 1],
            Suite::Seventeen => [3, 4, 1],
        }
    }

    pub(super) fn from_algorithms(algorithms: [u8; 3]) -> Option<Self> {
        Suite::ALL.into_iter().find(|suite| suite.algorithms() == algorithms)
    }

    /// Bytes of a key exchange authentication code (RAKP 2 and 3).
    pub(super) fn digest_bytes(self) -> usize {
        match self {
            Suite::Three => 20,
            Suite::Seventeen => 32,
        }
    }

    /// Bytes of the integrity check value in RAKP 4, and of the trailer of each session packet.
    pub(super) fn icv_bytes(self) -> usize {
        match self {
            Suite::Three => 12,
            Suite::Seventeen => 16,
        }
    }

    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Suite::Three => hmac_of::<Hmac<Sha1>>(key, parts),
            Suite::Seventeen => hmac_of::<Hmac<Sha256>>(key, parts),
        }
    }
}

fn hmac_of<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// True when both are equal, in a time that does not depend on where they differ.
pub(super) fn same_code(left: &[u8], right: &[u8]) -> bool {
    bool::from(left.ct_eq(right))
}

/// What protects the packets of one session.
#[derive(Clone)]
pub struct SessionKeys {
    suite: Suite,
    sik: Vec<u8>,
    k1: Vec<u8>,
    aes: [u8; AES_BYTES],
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys(suite {}, [redacted])", self.suite)
    }
}

impl SessionKeys {
    pub(super) fn from_sik(suite: Suite, sik: Vec<u8>) -> Self {
        let k1 = suite.hmac(&sik, &[&[0x01; KEY_CONSTANT_BYTES]]);
        let k2 = suite.hmac(&sik, &[&[0x02; KEY_CONSTANT_BYTES]]);
        let aes = *k2.first_chunk().expect("both digests are longer than an AES key");
        SessionKeys { suite, sik, k1, aes }
    }

    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    /// The check value of RAKP 4 over `parts`.
    pub(super) fn integrity_check(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut code = self.suite.hmac(&self.sik, parts);
        code.truncate(self.suite.icv_bytes());
        code
    }

    /// The trailer of a session packet over its bytes from authentication type to next header.
    pub(super) fn auth_code(&self, signed: &[u8]) -> Vec<u8> {
        let mut code = self.suite.hmac(&self.k1, &[signed]);
        code.truncate(self.suite.icv_bytes());
        code
    }

    /// Initialisation vector, then the encrypted payload with its trailer 01h 02h 03h … count (section 13.29).
    pub(super) fn encrypt(&self, payload: &[u8], iv: [u8; AES_BYTES]) -> Vec<u8> {
        let pad = (AES_BYTES - (payload.len() + 1) % AES_BYTES) % AES_BYTES;
        let mut clear = payload.to_vec();
        clear.extend((1..).take(pad));
        clear.push(pad as u8);
        let length = clear.len();
        cbc::Encryptor::<Aes128>::new(&self.aes.into(), &iv.into())
            .encrypt_padded::<NoPadding>(&mut clear, length)
            .expect("the trailer fills the last block");
        let mut out = iv.to_vec();
        out.append(&mut clear);
        out
    }

    pub(super) fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, PacketError> {
        let (iv, body) = sealed.split_first_chunk::<AES_BYTES>().ok_or(PacketError::Truncated("encrypted payload"))?;
        let mut clear = body.to_vec();
        let length = cbc::Decryptor::<Aes128>::new(&self.aes.into(), &(*iv).into())
            .decrypt_padded::<NoPadding>(&mut clear)
            .map_err(|_| PacketError::Padding)?
            .len();
        clear.truncate(length);
        let pad = usize::from(clear.pop().ok_or(PacketError::Padding)?);
        let kept = clear.len().checked_sub(pad).ok_or(PacketError::Padding)?;
        let trailer = clear.split_off(kept);
        // Some controllers fill the pad carelessly; the authentication code has proved the packet already, so
        // only an impossible length counts as malformed.
        if trailer.len() >= AES_BYTES {
            return Err(PacketError::Padding);
        }
        Ok(clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_suites_are_refused_by_policy() {
        for id in (0..=u8::MAX).filter(|id| ![3, 17].contains(id)) {
            assert_eq!(Suite::try_from(id), Err(UnsupportedSuite(id)));
        }
        for suite in Suite::ALL {
            assert_eq!(Suite::try_from(suite.id()), Ok(suite));
        }
    }

    #[test]
    fn encryption_round_trips_at_each_length() {
        let keys = SessionKeys::from_sik(Suite::Three, vec![7; 20]);
        for length in 0..70 {
            let payload: Vec<u8> = (0..length).collect();
            let sealed = keys.encrypt(&payload, [9; AES_BYTES]);
            assert_eq!(sealed.len() % AES_BYTES, 0);
            assert_eq!(keys.decrypt(&sealed), Ok(payload));
        }
    }

    #[test]
    fn hmac_matches_the_published_vectors() {
        // RFC 2202 §3 case 2 and RFC 4231 §4.3 (test case 2).
        let text: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(Suite::Three.hmac(b"Jefe", &text)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            hex(Suite::Seventeen.hmac(b"Jefe", &text)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
