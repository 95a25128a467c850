//! ICMP echo packets as bytes (RFC 792, RFC 4443).

/// What makes an answer ours: the kernel rewrites the identifier of datagram sockets, so a token in the payload decides.
pub const TOKEN_BYTES: usize = 8;
/// Type, code, checksum, identifier, sequence.
const HEADER_BYTES: usize = 8;

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Family {
    V4,
    V6,
}

/// An echo request with the token and `padding` further bytes.
pub fn echo_request(family: Family, sequence: u16, token: [u8; TOKEN_BYTES], padding: usize) -> Vec<u8> {
    let kind = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    let [high, low] = sequence.to_be_bytes();
    let [id_high, id_low] = [token[0], token[1]];
    let mut packet = vec![kind, 0, 0, 0, id_high, id_low, high, low];
    packet.extend_from_slice(&token);
    packet.resize(HEADER_BYTES + TOKEN_BYTES + padding, 0x55);
    if family == Family::V4 {
        // For ICMPv6 the kernel fills the checksum in, because it covers the IP addresses.
        let [high, low] = checksum(&packet).to_be_bytes();
        packet[2] = high;
        packet[3] = low;
    }
    packet
}

/// The sequence of an echo reply that carries the token; `None` for every other packet.
pub fn echo_reply(family: Family, packet: &[u8], token: [u8; TOKEN_BYTES]) -> Option<u16> {
    let packet = match (family, packet.first()?) {
        // A raw IPv4 socket hands the IP header over too: version 4, its length in words of 32 bits.
        (Family::V4, first) if first >> 4 == 4 => packet.get(usize::from(first & 0x0f) * 4..)?,
        _ => packet,
    };
    let wanted = match family {
        Family::V4 => 0,
        Family::V6 => 129,
    };
    if *packet.first()? != wanted || packet.get(HEADER_BYTES..HEADER_BYTES + TOKEN_BYTES)? != token {
        return None;
    }
    Some(u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .fold(0, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: [u8; TOKEN_BYTES] = *b"stentor!";

    fn reply(sequence: u16) -> Vec<u8> {
        let mut packet = echo_request(Family::V4, sequence, TOKEN, 16);
        packet[0] = 0;
        packet
    }

    #[test]
    fn a_request_sums_to_zero_with_its_checksum() {
        let packet = echo_request(Family::V4, 513, TOKEN, 16);
        assert_eq!((checksum(&packet), packet.len()), (0, 32));
    }

    #[test]
    fn replies_are_known_with_and_without_an_ip_header() {
        let plain = reply(513);
        assert_eq!(echo_reply(Family::V4, &plain, TOKEN), Some(513));
        let mut with_header = vec![0x45; 20];
        with_header.extend(&plain);
        assert_eq!(echo_reply(Family::V4, &with_header, TOKEN), Some(513));
    }

    #[test]
    fn other_peoples_packets_and_our_own_requests_are_not_replies() {
        assert_eq!(echo_reply(Family::V4, &reply(1), *b"somebody"), None);
        assert_eq!(echo_reply(Family::V4, &echo_request(Family::V4, 1, TOKEN, 0), TOKEN), None);
        assert_eq!(echo_reply(Family::V6, &reply(1), TOKEN), None);
        assert_eq!(echo_reply(Family::V6, &echo_request(Family::V6, 1, TOKEN, 0), TOKEN), None);
    }

    proptest! {
        #[test]
        fn no_packet_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (echo_reply(Family::V4, &bytes, TOKEN), echo_reply(Family::V6, &bytes, TOKEN));
        }

        #[test]
        fn a_truncated_reply_is_no_reply(cut in 0usize..16) {
            prop_assert_eq!(echo_reply(Family::V4, reply(7).get(..cut).unwrap_or_default(), TOKEN), None);
        }
    }
}
