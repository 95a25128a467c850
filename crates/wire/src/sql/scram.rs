//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's side: a password is proved and never sent, and the server proves that it knows it too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Name of the mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// PostgreSQL uses 4,096 (RFC 7677 §4). A server that asks for far more wants us to compute, not to log in.
pub const ITERATIONS_MAX: u32 = 200_000;
/// We have no binding to the channel: `n,,` in base64.
const NO_BINDING: &str = "c=biws";

/// What we said first.
#[derive(Clone)]
pub struct First {
    nonce: String,
}

/// What must come last.
#[derive(Clone, Debug)]
pub struct Last {
    /// To be sent.
    pub message: String,
    signature: [u8; 32],
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScramError {
    #[error("its answer to the login is broken")]
    Broken,
    #[error("it answers another login than ours")]
    Stranger,
    #[error("it wants {0} rounds for one login")]
    TooCostly(u32),
    /// The server could not prove that it knows the password.
    #[error("it does not know the password itself")]
    Impostor,
}

impl First {
    /// `nonce` is printable and never used twice.
    pub fn new(nonce: String) -> First {
        First { nonce }
    }

    /// PostgreSQL takes the user from the start of the session.
    pub fn message(&self) -> String {
        format!("n,,{}", self.bare())
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Computes the proof; this is slow on purpose.
    ///
    /// # Errors
    /// What the server said fits no login of ours.
    pub fn answer(&self, server: &str, password: &str) -> Result<Last, ScramError> {
        let part = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let nonce = part("r").ok_or(ScramError::Broken)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Stranger);
        }
        let salt = STANDARD.decode(part("s").ok_or(ScramError::Broken)?).map_err(|_| ScramError::Broken)?;
        let rounds: u32 = part("i").and_then(|i| i.parse().ok()).filter(|i| *i > 0).ok_or(ScramError::Broken)?;
        if rounds > ITERATIONS_MAX {
            return Err(ScramError::TooCostly(rounds));
        }
        let salted = salted(password, &salt, rounds);
        let client_key = mac(&salted, b"Client Key");
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        let without_proof = format!("{NO_BINDING},r={nonce}");
        let said = format!("{},{server},{without_proof}", self.bare());
        let signature = mac(&stored, said.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let signature = mac(&mac(&salted, b"Server Key"), said.as_bytes());
        Ok(Last { message: format!("{without_proof},p={}", STANDARD.encode(proof)), signature })
    }
}

impl Last {
    /// # Errors
    /// The server did not prove that it knows the password.
    pub fn verify(&self, server: &str) -> Result<(), ScramError> {
        let proof = server.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok()).ok_or(ScramError::Broken)?;
        if bool::from(proof.ct_eq(&self.signature)) { Ok(()) } else { Err(ScramError::Impostor) }
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// `Hi` of RFC 5802 §2.2. A password is taken as it is (SASLprep changes only letters beyond ASCII).
fn salted(password: &str, salt: &[u8], rounds: u32) -> [u8; 32] {
    let keyed = Hmac::<Sha256>::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length");
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1_u32.to_be_bytes());
    let mut last: [u8; 32] = first.finalize().into_bytes().into();
    let mut sum = last;
    for _ in 1..rounds {
        let mut round = keyed.clone();
        round.update(&last);
        last = round.finalize().into_bytes().into();
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7677 §3, without its user name: the proof there covers `n=user`, so only what does not depend on it is compared.
    #[test]
    fn the_salted_password_is_that_of_pbkdf2() {
        // RFC 7914 §11: PBKDF2-HMAC-SHA-256 (P="passwd", S="salt", c=1).
        let key = salted("passwd", b"salt", 1);
        assert_eq!(key[..8], [0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f]);
        let key = salted("Password", b"NaCl", 80_000);
        assert_eq!(key[..8], [0x4d, 0xdc, 0xd8, 0xf6, 0x0b, 0x98, 0xbe, 0x21]);
    }

    /// The server's side, as far as its proof goes.
    fn server_proof(first: &First, server: &str, password: &str) -> String {
        format!("v={}", STANDARD.encode(first.answer(server, password).unwrap().signature))
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_an_impostor() {
        let first = First::new("abc".into());
        let server = "r=abcdef,s=c2FsdA==,i=2";
        let last = first.answer(server, "right").unwrap();
        assert_eq!(last.verify(&server_proof(&first, server, "right")), Ok(()));
        assert_eq!(last.verify(&server_proof(&first, server, "wrong")), Err(ScramError::Impostor));
        assert_eq!(last.verify("v=AAAA"), Err(ScramError::Impostor));
        assert_eq!(last.verify("e=other-error"), Err(ScramError::Broken));
    }

    #[test]
    fn bad_offers_are_refused() {
        for (server, refusal) in [
            ("r=abc,s=c2FsdA==,i=2", ScramError::Stranger),
            ("r=xyz,s=c2FsdA==,i=2", ScramError::Stranger),
            ("s=c2FsdA==,i=2", ScramError::Broken),
            ("r=abcd,s=!,i=2", ScramError::Broken),
            ("r=abcd,s=c2FsdA==,i=0", ScramError::Broken),
            ("r=abcd,s=c2FsdA==,i=-1", ScramError::Broken),
            ("r=abcd,s=c2FsdA==,i=4000000000", ScramError::TooCostly(4_000_000_000)),
        ] {
            let answer = First::new("abc".into()).answer(server, "x");
            assert_eq!(answer.err(), Some(refusal), "{server}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(r=abc|s=|i=|,|=|[a-z0-9+/]){0,12}") {
            for text in [text, near] {
                let first = First::new("abc".into());
                if let Ok(last) = first.answer(&text.replace("i=", "i=0"), "x") {
                    prop_assert!(last.verify(&text).is_err());
                }
            }
        }
    }
}
