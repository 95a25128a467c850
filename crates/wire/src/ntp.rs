//! SNTP packets (RFC 5905 §7.3, RFC 4330): one question, one answer, and what they say of two clocks.

/// Without extensions and authentication.
pub const PACKET_BYTES: usize = 48;

/// From 1900, NTP's era 0, to 1970.
const UNIX_S: i64 = 2_208_988_800;

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub version: u8,
    pub leap: Leap,
    /// 1 = has a clock of its own, 2..15 = so many servers away from one.
    pub stratum: u8,
    pub root_delay_s: f64,
    /// How wrong the server believes to be at most.
    pub root_dispersion_s: f64,
    /// Name of the clock, or address of the server's own server.
    pub reference: String,
    /// When the server was asked and answered, by its clock: ms since 1970.
    pub received_ms: f64,
    pub sent_ms: f64,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Leap {
    None,
    Inserted,
    Deleted,
    /// The server's own clock is not set.
    Unsynchronized,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NtpError {
    #[error("{0} bytes are no NTP packet")]
    Length(usize),
    #[error("it is no answer of a server (mode {0})")]
    Mode(u8),
    #[error("it answers another question")]
    Stranger,
    /// RFC 5905 §7.4: `RATE`, `DENY`, `RSTR`.
    #[error("the server sends us away ({0})")]
    Kiss(String),
    #[error("it has no time")]
    NoTime,
}

impl Leap {
    pub fn word(self) -> &'static str {
        match self {
            Leap::None => "none",
            Leap::Inserted => "inserted",
            Leap::Deleted => "deleted",
            Leap::Unsynchronized => "unsynchronized",
        }
    }
}

/// A question in version 4. `cookie` stands where the time of sending would: a server gives it back, and nobody learns our
/// clock.
pub fn question(cookie: [u8; 8]) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    let (head, tail) = packet.split_at_mut(PACKET_BYTES - cookie.len());
    if let Some(first) = head.first_mut() {
        *first = 4 << 3 | 3;
    }
    tail.copy_from_slice(&cookie);
    packet
}

/// Reads the answer to [`question`]. `near_ms` is about now: it tells the era of 136 years.
///
/// # Errors
/// It is none, or the server does not serve.
pub fn answer(bytes: &[u8], cookie: [u8; 8], near_ms: i64) -> Result<Answer, NtpError> {
    let packet: &[u8; PACKET_BYTES] =
        bytes.get(..PACKET_BYTES).and_then(|head| head.try_into().ok()).ok_or(NtpError::Length(bytes.len()))?;
    let [first, stratum, ..] = *packet;
    if first & 7 != 4 {
        return Err(NtpError::Mode(first & 7));
    }
    if packet.get(24..32) != Some(&cookie[..]) {
        return Err(NtpError::Stranger);
    }
    let word =
        |at: usize| -> [u8; 4] { packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default() };
    let reference = reference(stratum, word(12));
    if stratum == 0 {
        return Err(NtpError::Kiss(reference));
    }
    let time = |at: usize| unix_ms(u32::from_be_bytes(word(at)), u32::from_be_bytes(word(at + 4)), near_ms);
    let short = |at: usize| f64::from(u32::from_be_bytes(word(at))) / 65_536.0;
    Ok(Answer {
        version: first >> 3 & 7,
        leap: [Leap::None, Leap::Inserted, Leap::Deleted, Leap::Unsynchronized][usize::from(first >> 6)],
        stratum,
        root_delay_s: short(4),
        root_dispersion_s: short(8),
        reference,
        received_ms: time(32).ok_or(NtpError::NoTime)?,
        sent_ms: time(40).ok_or(NtpError::NoTime)?,
    })
}

fn reference(stratum: u8, id: [u8; 4]) -> String {
    if stratum > 1 {
        return id.map(|byte| byte.to_string()).join(".");
    }
    id.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect()
}

/// Seconds since 1900 modulo 2^32, in the era that is nearest.
fn unix_ms(seconds: u32, fraction: u32, near_ms: i64) -> Option<f64> {
    const ERA_S: i64 = 1 << 32;
    if seconds == 0 && fraction == 0 {
        return None;
    }
    let in_era = i64::from(seconds) - UNIX_S;
    let away = near_ms.div_euclid(1000).saturating_sub(in_era).saturating_add(ERA_S / 2);
    let unix_s = in_era.saturating_add(away.div_euclid(ERA_S).saturating_mul(ERA_S));
    Some(unix_s as f64 * 1000.0 + f64::from(fraction) / 4_294_967.296)
}

/// How far the server's clock is ahead of ours, in ms, and how long the packets were under way. Exact where both ways take
/// equally long.
pub fn offset(answer: &Answer, asked_ms: f64, answered_ms: f64) -> (f64, f64) {
    let ahead = ((answer.received_ms - asked_ms) + (answer.sent_ms - answered_ms)) / 2.0;
    let travel = (answered_ms - asked_ms) - (answer.sent_ms - answer.received_ms);
    (ahead, travel.max(0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COOKIE: [u8; 8] = *b"stentor!";
    /// 2026-11-22T00:00:00Z.
    const NOW_MS: i64 = 1_795_305_600_000;

    fn packet(first: u8, stratum: u8, unix_s: i64) -> Vec<u8> {
        let mut packet = vec![first, stratum, 6, 0xE9, 0, 0, 0x80, 0, 0, 1, 0, 0, 192, 0, 2, 1];
        packet.extend([0; 8]);
        packet.extend(COOKIE);
        for fraction in [0_u32, 1 << 31] {
            packet.extend(((unix_s + UNIX_S) as u32).to_be_bytes());
            packet.extend(fraction.to_be_bytes());
        }
        packet
    }

    #[test]
    fn an_answer_tells_time_stratum_and_trust() {
        let read = answer(&packet(0x24, 2, NOW_MS / 1000), COOKIE, NOW_MS).unwrap();
        assert_eq!((read.version, read.leap, read.stratum), (4, Leap::None, 2));
        assert_eq!((read.root_delay_s, read.root_dispersion_s, &*read.reference), (0.5, 1.0, "192.0.2.1"));
        assert_eq!((read.received_ms, read.sent_ms), (NOW_MS as f64, NOW_MS as f64 + 500.0));
        // Asked 100 ms before the server received, answered 100 ms after it sent, by a clock that is 1 s behind.
        let (ahead, travel) = offset(&read, NOW_MS as f64 - 1100.0, NOW_MS as f64 - 400.0);
        assert_eq!((ahead, travel), (1000.0, 200.0));
    }

    #[test]
    fn the_era_after_2036_is_the_nearest() {
        let later = 2_150_000_000;
        let read = answer(&packet(0x24, 1, later), COOKIE, later * 1000 - 5_000_000).unwrap();
        assert_eq!(read.received_ms, later as f64 * 1000.0);
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let good = packet(0x24, 2, NOW_MS / 1000);
        assert_eq!(answer(&good[..47], COOKIE, NOW_MS), Err(NtpError::Length(47)));
        assert_eq!(answer(&packet(0x23, 2, 0), COOKIE, NOW_MS), Err(NtpError::Mode(3)));
        assert_eq!(answer(&good, *b"another!", NOW_MS), Err(NtpError::Stranger));
        let mut kiss = packet(0xE4, 0, 0);
        kiss.splice(12..16, *b"RATE");
        assert_eq!(answer(&kiss, COOKIE, NOW_MS), Err(NtpError::Kiss("RATE".into())));
        assert_eq!(answer(&packet(0x24, 2, -UNIX_S), COOKIE, NOW_MS), Err(NtpError::NoTime));
        assert_eq!(answer(&packet(0xE4, 3, 1), COOKIE, NOW_MS).unwrap().leap, Leap::Unsynchronized);
        assert!(answer(&question(COOKIE), COOKIE, NOW_MS).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), near: i64, asked: f64) {
            let mut bytes = bytes;
            if let Ok(read) = answer(&bytes, COOKIE, near) {
                let _ = offset(&read, asked, asked);
            }
            if bytes.len() >= 48 {
                bytes[0] = 0x24;
                bytes.splice(24..32, COOKIE);
                if let Ok(read) = answer(&bytes, COOKIE, near) {
                    prop_assert!(read.received_ms.is_finite() && read.sent_ms.is_finite());
                }
            }
        }
    }
}
