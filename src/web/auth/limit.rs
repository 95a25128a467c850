//! Brake on guessing: failed logins per address, per address and user, and per user.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use stentor_core::{Span, Timestamp};

/// Failures are forgotten after this long.
const WINDOW: Span = Span::from_mins(15);
/// One person mistyping is not an attack.
const PER_ADDRESS_AND_USER: u32 = 5;
/// An address that tries many users; higher because a reverse proxy or NAT stands for many people.
const PER_ADDRESS: u32 = 30;
/// Many addresses on one user. High, because it also keeps the owner out.
const PER_USER: u32 = 100;
/// Bound of memory under attack; the oldest are forgotten first.
const ENTRIES_MAX: usize = 10_000;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Key {
    Address(IpAddr),
    AddressAndUser(IpAddr, String),
    User(String),
}

/// Failures of the last [`WINDOW`]. Domain state is elsewhere: losing this at a restart only forgives.
#[derive(Debug, Default)]
pub struct Limiter {
    failures: Mutex<BTreeMap<Key, (u32, Timestamp)>>,
}

impl Limiter {
    /// How long this address must wait before it may try this user again; `None` = now.
    pub fn wait(&self, address: IpAddr, user: &str, now: Timestamp) -> Option<Span> {
        let failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys(address, user)
            .into_iter()
            .filter_map(|(key, max)| {
                let (count, since) = failures.get(&key)?;
                let left = WINDOW - now.since(*since);
                (*count >= max && left > Span::ZERO).then_some(left)
            })
            .max()
    }

    /// Counts a try before its answer is known, so that parallel guesses cannot outrun the count.
    pub fn count(&self, address: IpAddr, user: &str, now: Timestamp) {
        let mut failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failures.len() + 3 > ENTRIES_MAX {
            failures.retain(|_, (_, since)| now.since(*since) < WINDOW);
        }
        if failures.len() + 3 > ENTRIES_MAX {
            let mut ages: Vec<Timestamp> = failures.values().map(|(_, since)| *since).collect();
            ages.sort_unstable();
            let mut excess = ENTRIES_MAX / 4;
            let newest_dropped = ages[excess];
            failures.retain(|_, (_, since)| {
                let drop = *since <= newest_dropped && excess > 0;
                excess -= usize::from(drop);
                !drop
            });
        }
        for (key, _) in keys(address, user) {
            let entry = failures.entry(key).or_insert((0, now));
            if now.since(entry.1) >= WINDOW {
                *entry = (0, now);
            }
            entry.0 = entry.0.saturating_add(1);
        }
    }

    /// The try was the right password: it was no guess.
    pub fn forgive(&self, address: IpAddr, user: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (key, _) in keys(address, user) {
            match &key {
                Key::AddressAndUser(..) => {
                    failures.remove(&key);
                }
                // One good login must not wash an address or a user under attack clean.
                Key::Address(_) | Key::User(_) => {
                    if let Some(entry) = failures.get_mut(&key) {
                        entry.0 = entry.0.saturating_sub(1);
                    }
                }
            }
        }
    }
}

fn keys(address: IpAddr, user: &str) -> [(Key, u32); 3] {
    // An IPv6 customer owns a /64: counting single addresses would count nothing.
    let address = match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        },
    };
    [
        (Key::Address(address), PER_ADDRESS),
        (Key::AddressAndUser(address, user.to_owned()), PER_ADDRESS_AND_USER),
        (Key::User(user.to_owned()), PER_USER),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn the_sixth_guess_waits_until_the_window_ends() {
        let limiter = Limiter::default();
        for i in 0..5 {
            assert_eq!(limiter.wait(address(1), "admin", at(i)), None, "guess {i}");
            limiter.count(address(1), "admin", at(i));
        }
        assert_eq!(limiter.wait(address(1), "admin", at(5)), Some(Span::from_secs(15 * 60 - 5)));
        assert_eq!(limiter.wait(address(2), "admin", at(5)), None, "others may still sign in");
        assert_eq!(limiter.wait(address(1), "admin", at(15 * 60)), None);
    }

    #[test]
    fn an_address_that_tries_many_users_is_stopped() {
        let limiter = Limiter::default();
        for i in 0..30 {
            limiter.count(address(1), &format!("user{i}"), at(0));
        }
        assert!(limiter.wait(address(1), "fresh", at(1)).is_some());
    }

    #[test]
    fn many_addresses_of_one_ipv6_network_count_as_one() {
        let limiter = Limiter::default();
        for i in 0..5u16 {
            limiter.count(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, i]), "admin", at(0));
        }
        assert!(limiter.wait(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), "admin", at(1)).is_some());
    }

    #[test]
    fn a_good_login_forgives_own_typos_only() {
        let limiter = Limiter::default();
        for _ in 0..5 {
            limiter.count(address(1), "noc", at(0));
        }
        limiter.forgive(address(1), "noc");
        assert_eq!(limiter.wait(address(1), "noc", at(1)), None);
    }

    #[test]
    fn memory_is_bounded_under_attack() {
        let limiter = Limiter::default();
        for i in 0..ENTRIES_MAX as u32 {
            limiter.count(IpAddr::from(i.to_be_bytes()), &format!("u{i}"), at(i64::from(i / 100)));
        }
        assert!(limiter.failures.lock().unwrap().len() <= ENTRIES_MAX);
    }
}
