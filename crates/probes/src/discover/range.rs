//! Targets: addresses, ranges of addresses (CIDR), names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What somebody asks to be looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Range {
    /// Addresses from the first, so many.
    Addresses {
        first: IpAddr,
        count: u64,
    },
    Name(String),
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RangeError {
    #[error("`{0}` is no address, no range as in 10.0.1.0/24, and no host name")]
    Unreadable(String),
    #[error("`{text}` has {count} addresses, more than the {max} that are allowed (--max)")]
    TooMany { text: String, count: u64, max: u64 },
}

impl Range {
    /// Reads a target of no more than `max` addresses.
    ///
    /// # Errors
    /// It is none, or it has too many addresses.
    pub fn parse(text: &str, max: u64) -> Result<Range, RangeError> {
        let unreadable = || RangeError::Unreadable(text.to_owned());
        let Some((address, length)) = text.split_once('/') else {
            return match text.parse::<IpAddr>() {
                Ok(first) => Ok(Range::Addresses { first, count: 1 }),
                Err(_) if is_name(text) => Ok(Range::Name(text.to_owned())),
                Err(_) => Err(unreadable()),
            };
        };
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let length: u32 = length.parse().map_err(|_| unreadable())?;
        let (first, count) = match address {
            IpAddr::V4(address) if length <= 32 => {
                let size = 1u64 << (32 - length);
                let base = u64::from(u32::from(address)) & !(size - 1);
                // Network and broadcast address belong to nobody.
                let (base, count) = if length < 31 { (base + 1, size - 2) } else { (base, size) };
                (IpAddr::V4(Ipv4Addr::from(u32::try_from(base).map_err(|_| unreadable())?)), count)
            }
            IpAddr::V6(address) if length <= 128 => {
                let bits = 128 - length;
                // Nobody may want 2^63 addresses; the count need not be exact to be too many.
                let count = if bits >= 63 { u64::MAX } else { 1u64 << bits };
                let mask = if bits >= 128 { 0 } else { !((1u128 << bits) - 1) };
                (IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask)), count)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return Err(unreadable()),
        };
        if count > max {
            return Err(RangeError::TooMany { text: text.to_owned(), count, max });
        }
        Ok(Range::Addresses { first, count })
    }

    /// The addresses; none of a name.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let Range::Addresses { first, count } = self else { return Vec::new() };
        let nth = |n: u64| match first {
            IpAddr::V4(first) => {
                let sum = u64::from(u32::from(*first)) + n;
                u32::try_from(sum).ok().map(|sum| IpAddr::V4(Ipv4Addr::from(sum)))
            }
            IpAddr::V6(first) => {
                u128::from(*first).checked_add(u128::from(n)).map(|sum| IpAddr::V6(Ipv6Addr::from(sum)))
            }
        };
        (0..*count).filter_map(nth).collect()
    }
}

/// A name that DNS could know (RFC 1123 §2.1). Digits and dots alone can only be meant as an address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && label.chars().all(is_fit)
    };
    let is_number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    !is_number && text.len() <= 253 && text.split('.').all(is_label)
}
