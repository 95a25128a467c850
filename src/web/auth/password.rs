//! Passwords: argon2id in PHC strings, hashed on blocking threads, never more than two at a time.

use std::sync::OnceLock;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::AuthError;
use crate::store::User;

/// Each run takes 19 MiB and a core for some 20 ms (argon2 defaults, RFC 9106 via OWASP); two keep pages quick.
const HASHES_AT_ONCE: usize = 2;
/// A login that waits longer for its turn is told that the service is busy.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longer passwords are refused before hashing.
pub const PASSWORD_BYTES_MAX: usize = 1024;

static TURNS: Semaphore = Semaphore::const_new(HASHES_AT_ONCE);

/// Hashes a password with a fresh salt.
///
/// # Errors
/// The machine has no randomness, or hashing is overloaded.
pub async fn hash(password: &str) -> Result<String, AuthError> {
    let password = password.to_owned();
    in_turn(move || hash_now(password.as_bytes())).await?
}

/// Whether `password` belongs to `phc`. Without a hash (unknown user) the same work is done and the answer is no, so
/// that the time of an answer does not tell which users exist.
///
/// # Errors
/// Hashing is overloaded.
pub async fn verify(password: &str, phc: Option<&str>) -> Result<bool, AuthError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    let password = password.to_owned();
    let phc = phc.map(str::to_owned);
    in_turn(move || {
        let known = phc.is_some();
        let phc = match phc {
            Some(phc) => phc,
            None => decoy()?.to_owned(),
        };
        let Ok(parsed) = PasswordHash::new(&phc) else {
            tracing::error!("a stored password hash cannot be read; reset it with `stentor user password`");
            return Ok(false);
        };
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
    })
    .await?
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthError> {
    let turn = tokio::time::timeout(TURN_WAIT_MAX, TURNS.acquire()).await;
    let permit = turn.map_err(|_| AuthError::Busy)?.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        // Held by the blocking thread: a client that goes away must not free its turn while the work still runs.
        let _permit = permit;
        work()
    })
    .await
    .map_err(|_| AuthError::Busy)
}

fn hash_now(password: &[u8]) -> Result<String, AuthError> {
    let phc = Argon2::default().hash_password(password).map_err(|cause| AuthError::Hash(cause.to_string()))?;
    Ok(phc.to_string())
}

/// A hash of nobody's password with today's parameters.
fn decoy() -> Result<&'static str, AuthError> {
    static DECOY: OnceLock<String> = OnceLock::new();
    if let Some(phc) = DECOY.get() {
        return Ok(phc);
    }
    let fresh = hash_now(b"nobody has this password")?;
    Ok(DECOY.get_or_init(|| fresh))
}

/// Before the hash of a password that nobody has been told yet.
const UNTOLD: &str = "untold ";

pub fn untold(hash: &str) -> String {
    format!("{UNTOLD}{hash}")
}

pub fn is_untold(user: &User) -> bool {
    user.password_hash.starts_with(UNTOLD)
}

/// The hash itself.
pub fn bare(hash: &str) -> &str {
    hash.strip_prefix(UNTOLD).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_accepted() {
        let phc = hash("correct horse").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"), "{phc}");
        assert!(verify("correct horse", Some(&phc)).await.unwrap());
        assert!(!verify("correct horsf", Some(&phc)).await.unwrap());
        assert!(!verify("nobody has this password", None).await.unwrap());
        assert!(!verify("x", Some("not a hash")).await.unwrap());
        assert!(!verify(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(&phc)).await.unwrap());
    }

    #[tokio::test]
    async fn equal_passwords_have_different_hashes() {
        assert_ne!(hash("same").await.unwrap(), hash("same").await.unwrap());
    }
}
