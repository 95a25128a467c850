//! Cipher suites: key derivation, authentication codes, payload encryption (sections 13.28 to 13.32).

use std::fmt;

use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::PacketError;

/// AES block, key and initialisation vector are 16 bytes each.
pub(super) const AES_BYTES: usize = 16;

/// Section 13.32: K1 and K2 are made from 20 bytes of 01h and 02h, also for SHA-256.
const KEY_CONSTANT_BYTES: usize = 20;

/// The cipher suites this product speaks. Unless one is chosen, only 17 and 3 are tried: the others rest on MD5 or leave
/// the payload readable. Refused are all whose packets anyone may forge (0, 1, 6, 15), those with an unkeyed MD5 (11,
/// 12) and those with xRC4 (4, 5, 9, 10, 13, 14, 18, 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// 2: RAKP-HMAC-SHA1, HMAC-SHA1-96, not encrypted.
    Two,
    /// 3: RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// 7: RAKP-HMAC-MD5, HMAC-MD5-128, not encrypted.
    Seven,
    /// 8: RAKP-HMAC-MD5, HMAC-MD5-128, AES-CBC-128.
    Eight,
    /// 16: RAKP-HMAC-SHA256, HMAC-SHA256-128, not encrypted.
    Sixteen,
    /// 17: RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
}

/// A cipher suite that policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cipher suite {0} is not allowed: use 17 or 3; 2, 7, 8 and 16 are possible but weaker")]
pub struct UnsupportedSuite(pub u8);

impl TryFrom<u8> for Suite {
    type Error = UnsupportedSuite;

    fn try_from(id: u8) -> Result<Self, UnsupportedSuite> {
        Suite::ALL.into_iter().find(|suite| suite.id() == id).ok_or(UnsupportedSuite(id))
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id())
    }
}

/// The hash behind a suite's login and its packets: each suite uses one for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha1,
    Sha256,
}

impl Suite {
    /// What is tried where no suite was chosen, best first.
    pub const DEFAULT: [Suite; 2] = [Suite::Seventeen, Suite::Three];

    /// All that can be chosen, best first.
    pub const ALL: [Suite; 6] =
        [Suite::Seventeen, Suite::Three, Suite::Sixteen, Suite::Eight, Suite::Two, Suite::Seven];

    pub fn id(self) -> u8 {
        match self {
            Suite::Two => 2,
            Suite::Three => 3,
            Suite::Seven => 7,
            Suite::Eight => 8,
            Suite::Sixteen => 16,
            Suite::Seventeen => 17,
        }
    }

    /// Authentication, integrity and confidentiality algorithm numbers (tables 13-17 to 13-19).
    pub fn algorithms(self) -> [u8; 3] {
        let [authentication, integrity] = match self.hash() {
            Hash::Sha1 => [1, 1],
            Hash::Md5 => [2, 2],
            Hash::Sha256 => [3, 4],
        };
        [authentication, integrity, u8::from(self.is_encrypted())]
    }

    pub(super) fn from_algorithms(algorithms: [u8; 3]) -> Option<Self> {
        Suite::ALL.into_iter().find(|suite| suite.algorithms() == algorithms)
    }

    fn hash(self) -> Hash {
        match self {
            Suite::Two | Suite::Three => Hash::Sha1,
            Suite::Seven | Suite::Eight => Hash::Md5,
            Suite::Sixteen | Suite::Seventeen => Hash::Sha256,
        }
    }

    /// True when payloads of a session are encrypted with AES-CBC-128.
    pub fn is_encrypted(self) -> bool {
        match self {
            Suite::Two | Suite::Seven | Suite::Sixteen => false,
            Suite::Three | Suite::Eight | Suite::Seventeen => true,
        }
    }

    /// Bytes of a key exchange authentication code (RAKP 2 and 3).
    pub(super) fn digest_bytes(self) -> usize {
        match self.hash() {
            Hash::Md5 => 16,
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
        }
    }

    /// Bytes of the integrity check value in RAKP 4, and of the trailer of each session packet.
    pub(super) fn icv_bytes(self) -> usize {
        match self.hash() {
            Hash::Sha1 => 12,
            Hash::Md5 | Hash::Sha256 => 16,
        }
    }

    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        Keyed::new(self.hash(), key).code(parts).bytes().to_vec()
    }
}

/// An HMAC with its key taken in already: half of the work for a short packet is the key.
#[derive(Clone)]
enum Keyed {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

/// A code of at most 32 bytes.
pub(super) struct Code {
    bytes: [u8; 32],
    length: usize,
}

impl Code {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn first(mut self, length: usize) -> Self {
        self.length = self.length.min(length);
        self
    }
}

impl Keyed {
    fn new(hash: Hash, key: &[u8]) -> Self {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match hash {
            Hash::Md5 => Keyed::Md5(KeyInit::new_from_slice(key).expect(ANY_LENGTH)),
            Hash::Sha1 => Keyed::Sha1(KeyInit::new_from_slice(key).expect(ANY_LENGTH)),
            Hash::Sha256 => Keyed::Sha256(KeyInit::new_from_slice(key).expect(ANY_LENGTH)),
        }
    }

    fn code(&self, parts: &[&[u8]]) -> Code {
        match self {
            Keyed::Md5(mac) => code_of(mac.clone(), parts),
            Keyed::Sha1(mac) => code_of(mac.clone(), parts),
            Keyed::Sha256(mac) => code_of(mac.clone(), parts),
        }
    }
}

fn code_of<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Code {
    for part in parts {
        mac.update(part);
    }
    let digest = mac.finalize().into_bytes();
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(&digest) {
        *to = *from;
    }
    Code { bytes, length: digest.len() }
}

/// True when both are equal, in a time that does not depend on where they differ.
pub(super) fn same_code(left: &[u8], right: &[u8]) -> bool {
    bool::from(left.ct_eq(right))
}

/// What protects the packets of one session.
#[derive(Clone)]
pub struct SessionKeys {
    suite: Suite,
    integrity: Keyed,
    /// Also there in suites without encryption, which never use it.
    cipher: Aes128,
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys(suite {}, [redacted])", self.suite)
    }
}

impl SessionKeys {
    pub(super) fn from_sik(suite: Suite, sik: &[u8]) -> Self {
        let k1 = suite.hmac(sik, &[&[0x01; KEY_CONSTANT_BYTES]]);
        let k2 = suite.hmac(sik, &[&[0x02; KEY_CONSTANT_BYTES]]);
        let key: &[u8; AES_BYTES] = k2.first_chunk().expect("no digest is shorter than an AES key");
        SessionKeys { suite, integrity: Keyed::new(suite.hash(), &k1), cipher: Aes128::new(&(*key).into()) }
    }

    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    /// The trailer of a session packet over its bytes from authentication type to next header.
    pub(super) fn auth_code(&self, signed: &[u8]) -> Code {
        self.integrity.code(&[signed]).first(self.suite.icv_bytes())
    }

    /// Bytes that [`SessionKeys::encrypt`] makes of a payload.
    pub(super) fn sealed_bytes(&self, payload: usize) -> usize {
        if self.suite.is_encrypted() { AES_BYTES + (payload + 1).next_multiple_of(AES_BYTES) } else { payload }
    }

    /// Appends the initialisation vector and the encrypted payload with its trailer 01h 02h 03h … count (section
    /// 13.29); the payload as it is where the suite does not encrypt.
    pub(super) fn encrypt(&self, payload: &[u8], iv: [u8; AES_BYTES], out: &mut Vec<u8>) {
        if !self.suite.is_encrypted() {
            out.extend(payload);
            return;
        }
        out.extend(iv);
        let start = out.len();
        let pad = (AES_BYTES - (payload.len() + 1) % AES_BYTES) % AES_BYTES;
        out.extend(payload);
        out.extend((1..).take(pad));
        out.push(pad as u8);
        let (_, clear) = out.split_at_mut(start);
        let length = clear.len();
        cbc::Encryptor::<&Aes128>::inner_iv_init(&self.cipher, &iv.into())
            .encrypt_padded::<NoPadding>(clear, length)
            .expect("the trailer fills the last block");
    }

    pub(super) fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, PacketError> {
        if !self.suite.is_encrypted() {
            return Ok(sealed.to_vec());
        }
        let (iv, body) = sealed.split_first_chunk::<AES_BYTES>().ok_or(PacketError::Truncated("encrypted payload"))?;
        let mut clear = body.to_vec();
        let length = cbc::Decryptor::<&Aes128>::inner_iv_init(&self.cipher, &(*iv).into())
            .decrypt_padded::<NoPadding>(&mut clear)
            .map_err(|_| PacketError::Padding)?
            .len();
        clear.truncate(length);
        let pad = usize::from(clear.pop().ok_or(PacketError::Padding)?);
        // Some controllers fill the pad carelessly; the authentication code has proved the packet already, so
        // only an impossible length counts as malformed.
        let kept = clear.len().checked_sub(pad).filter(|_| pad < AES_BYTES).ok_or(PacketError::Padding)?;
        clear.truncate(kept);
        Ok(clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_that_forge_or_rest_on_broken_ciphers_are_refused() {
        for id in (0..=u8::MAX).filter(|id| ![2, 3, 7, 8, 16, 17].contains(id)) {
            assert_eq!(Suite::try_from(id), Err(UnsupportedSuite(id)));
        }
        for suite in Suite::ALL {
            assert_eq!(Suite::try_from(suite.id()), Ok(suite));
            assert_eq!(Suite::from_algorithms(suite.algorithms()), Some(suite));
        }
        assert_eq!(Suite::DEFAULT.map(Suite::id), [17, 3]);
    }

    #[test]
    fn encryption_round_trips_at_each_length() {
        for suite in Suite::ALL {
            let keys = SessionKeys::from_sik(suite, &[7; 20]);
            for length in 0..70 {
                let payload: Vec<u8> = (0..length).collect();
                let mut sealed = vec![0xAA; 3];
                keys.encrypt(&payload, [9; AES_BYTES], &mut sealed);
                let sealed = sealed.split_off(3);
                assert_eq!(sealed.len(), keys.sealed_bytes(payload.len()));
                assert!(!suite.is_encrypted() || sealed.len().is_multiple_of(AES_BYTES));
                assert_eq!(keys.decrypt(&sealed), Ok(payload));
            }
        }
    }

    #[test]
    fn hmac_matches_the_published_vectors() {
        // RFC 2202 §2 and §3 case 2 and RFC 4231 §4.3 (test case 2).
        let text: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(Suite::Eight.hmac(b"Jefe", &text)), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(hex(Suite::Three.hmac(b"Jefe", &text)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            hex(Suite::Seventeen.hmac(b"Jefe", &text)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
