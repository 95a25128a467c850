//! The RMCP presence ping (ASF 2.0 §3.2.4): who listens, before anything of IPMI is asked.

/// A presence ping: RMCP version 6, no acknowledgement, class ASF; IANA number of ASF, message type 80h, tag 0.
pub const PING: [u8; 12] = [0x06, 0x00, 0xFF, 0x06, 0x00, 0x00, 0x11, 0xBE, 0x80, 0x00, 0x00, 0x00];

/// Whether the body of an ASF message is a pong.
pub fn is_pong(body: &[u8]) -> bool {
    body.starts_with(&[0x00, 0x00, 0x11, 0xBE, 0x40])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipmi::packet::{self, Frame};

    #[test]
    fn the_other_sides_pong_answers_our_ping() {
        let Ok(Frame::Asf(body)) = packet::decode(&PING) else { panic!("a ping is read") };
        assert!(!is_pong(body));
        let pong = packet::encode_pong(body).expect("a ping has a pong");
        let Ok(Frame::Asf(body)) = packet::decode(&pong) else { panic!("a pong is read") };
        assert!(is_pong(body));
    }
}
