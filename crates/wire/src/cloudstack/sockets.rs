//! `/proc/net/tcp` and `tcp6`: with whom this machine has connections to a port of theirs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `TCP_ESTABLISHED` of the kernel's table of states.
const ESTABLISHED: &str = "01";

/// Established connections to `port` of others, by address. IPv4 in an IPv6 socket counts as IPv4.
pub fn peers(table: &str, port: u16) -> BTreeMap<IpAddr, usize> {
    let mut peers = BTreeMap::new();
    for line in table.lines() {
        let mut words = line.split_whitespace().skip(2);
        let (Some(remote), Some(state)) = (words.next(), words.next()) else { continue };
        if state != ESTABLISHED {
            continue;
        }
        if let Some((address, _)) = end(remote).filter(|(_, own)| *own == port) {
            *peers.entry(address).or_insert(0) += 1;
        }
    }
    peers
}

/// `0100007F:0CEA`: words of the address in the byte order of the machine (little endian), the port in that of the network.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_le_bytes);
    match address.len() {
        8 => Some((IpAddr::V4(Ipv4Addr::from(word(0)?)), port)),
        32 => {
            let mut bytes = [0; 16];
            for (i, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(i * 8)?);
            }
            Some((Ipv6Addr::from(bytes).to_canonical(), port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of a Linux 6.1; addresses replaced by those of RFC 5737.
    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   110        0 20353 1 0 100 0 0 10 0\n\
        1: 050200C0:9C42 070200C0:0CEA 01 00000000:00000000 02:000A 00000000  108        0 31337 2 0 20 4 30 10 -1\n\
        2: 050200C0:9C44 070200C0:0CEA 06 00000000:00000000 02:000A 00000000  108        0 31338 2 0 20 4 30 10 -1\n\
        3: 050200C0:9C46 080200C0:0CEA 01 00000000:00000000 02:000A 00000000  108        0 31339 2 0 20 4 30 10 -1\n";

    #[test]
    fn only_standing_connections_to_that_port_count() {
        let seen = peers(TABLE, 3306);
        let expected = [("192.0.2.7", 1), ("192.0.2.8", 1)].map(|(ip, n)| (ip.parse::<IpAddr>().expect(ip), n));
        assert_eq!(seen, BTreeMap::from(expected));
        assert!(peers(TABLE, 3307).is_empty());
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_socket_is_that_address() {
        let line = "0: 0000000000000000FFFF0000050200C0:9C42 0000000000000000FFFF0000070200C0:0CEA 01 0";
        assert_eq!(peers(line, 3306).keys().next(), Some(&"192.0.2.7".parse().expect("an address")));
        let line = "0: x 000080FE00000000FF005450B6AD1DFE:0CEA 01 0";
        assert_eq!(peers(line, 3306).len(), 1);
    }

    proptest! {
        #[test]
        fn no_table_panics(table in "([0-9A-F:é ]{0,50}\n?){0,4}") {
            let _ = peers(&table, 3306);
        }

        #[test]
        fn any_truncation_reads(cut in 0usize..500) {
            prop_assert!(peers(TABLE.get(..cut).unwrap_or(TABLE), 3306).len() <= 2);
        }
    }
}
