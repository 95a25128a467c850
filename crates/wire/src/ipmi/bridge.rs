//! Send Message: a command for a controller behind the one we have a session with (sections 6.13 and 22.7).
//!
//! The answer comes in one of two ways: as a message of its own after the controller has said that it passed the
//! command on, or inside that first answer. Both are taken.

use super::command::app;
use super::message::{Request, Response};
use super::{completion, netfn};

/// A controller on a bus behind the one that is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Satellite {
    /// Slave address, eight bits with the lowest clear.
    pub address: u8,
    /// Channel of the bus; 0 is the primary IPMB.
    pub channel: u8,
}

/// The controller keeps the request in mind and routes the answer back (section 22.7, byte 1).
const TRACK_REQUEST: u8 = 0x40;

/// Data of a Send Message that carries `inner` to `to`.
pub fn wrap(inner: &Request, to: Satellite) -> Vec<u8> {
    let mut data = vec![TRACK_REQUEST | to.channel & 0x0F];
    data.extend(inner.encode_for(to.address, super::sdr::BMC_OWNER));
    data
}

/// `inner` for a controller two buses away: by way of `transit`, on to `to`.
pub fn wrap_twice(inner: &Request, transit: Satellite, to: Satellite) -> Vec<u8> {
    let second = Request {
        netfn: netfn::APP,
        lun: 0,
        command: app::SEND_MESSAGE,
        sequence: inner.sequence,
        data: {
            let mut data = vec![TRACK_REQUEST | to.channel & 0x0F];
            data.extend(inner.encode_for(to.address, transit.address));
            data
        },
    };
    wrap(&second, transit)
}

/// What an answer means for a command that was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Not about this command.
    Other,
    /// The controller has passed it on; the answer is still to come.
    Underway,
    /// The controller between us did not pass it on, with this completion code.
    Refused(u8),
    /// The answer of the controller behind.
    Answered(Response),
}

/// Judges `response` while waiting for the answer to `inner`, sent inside `outer`.
pub fn judge(response: Response, outer: &Request, inner: &Request) -> Passed {
    if response.answers(inner) {
        return Passed::Answered(response);
    }
    let is_send_message = response.netfn == netfn::APP && response.command == app::SEND_MESSAGE;
    if !is_send_message || response.sequence != outer.sequence {
        return Passed::Other;
    }
    match (response.completion, response.data.as_slice()) {
        (completion::OK, []) => Passed::Underway,
        (completion::OK, data) => match Response::decode(data) {
            Ok(within) => judge_within(within, inner),
            Err(_) => Passed::Other,
        },
        (code, _) => Passed::Refused(code),
    }
}

/// An answer inside an answer; behind two buses it may itself be one to Send Message.
fn judge_within(within: Response, inner: &Request) -> Passed {
    let is_same = within.netfn == inner.netfn && within.command == inner.command;
    match within.command {
        _ if is_same => Passed::Answered(within),
        app::SEND_MESSAGE if within.completion == completion::OK => match Response::decode(&within.data) {
            Ok(last) if last.netfn == inner.netfn && last.command == inner.command => Passed::Answered(last),
            Ok(_) | Err(_) => Passed::Underway,
        },
        app::SEND_MESSAGE => Passed::Refused(within.completion),
        _ => Passed::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(netfn: u8, command: u8, data: &[u8]) -> Request {
        Request { netfn, lun: 0, command, sequence: 5, data: data.to_vec() }
    }

    /// The bytes that `ipmitool -t 0x30 raw 4 0x2d 5` puts into its Send Message.
    #[test]
    fn a_command_is_wrapped_as_ipmitool_does() {
        let inner = request(netfn::SENSOR, 0x2D, &[5]);
        let satellite = Satellite { address: 0x30, channel: 0 };
        assert_eq!(wrap(&inner, satellite), [0x40, 0x30, 0x10, 0xC0, 0x20, 0x14, 0x2D, 0x05, 0x9A]);
        let twice = wrap_twice(&inner, Satellite { address: 0x20, channel: 7 }, satellite);
        assert_eq!(twice[..7], [0x47, 0x20, 0x18, 0xC8, 0x20, 0x14, 0x34]);
        let innermost = &twice[8..twice.len() - 1];
        assert_eq!(innermost, [0x30, 0x10, 0xC0, 0x20, 0x14, 0x2D, 0x05, 0x9A]);
        assert_eq!(Request::decode(innermost), Ok(inner));
    }

    #[test]
    fn each_way_of_answering_is_understood() {
        let inner = request(netfn::SENSOR, 0x2D, &[5]);
        let outer = request(netfn::APP, app::SEND_MESSAGE, &[]);
        let answer = inner.answer(completion::OK, vec![33, 0xC0, 0]);
        assert_eq!(judge(outer.answer(completion::OK, Vec::new()), &outer, &inner), Passed::Underway);
        assert_eq!(judge(answer.clone(), &outer, &inner), Passed::Answered(answer.clone()));
        let embedded = outer.answer(completion::OK, answer.encode());
        assert_eq!(judge(embedded, &outer, &inner), Passed::Answered(answer.clone()));
        let lost = outer.answer(0x83, Vec::new());
        assert_eq!(judge(lost, &outer, &inner), Passed::Refused(0x83));
        let late = Response { sequence: 4, ..outer.answer(completion::OK, Vec::new()) };
        assert_eq!(judge(late, &outer, &inner), Passed::Other);
        let twice = outer.answer(completion::OK, outer.answer(completion::OK, answer.encode()).encode());
        assert_eq!(judge(twice, &outer, &inner), Passed::Answered(answer));
    }

    proptest! {
        #[test]
        fn no_answer_panics(netfn: u8, command: u8, sequence in 0u8..64, completion: u8, data: Vec<u8>) {
            let inner = request(netfn::SENSOR, 0x2D, &[5]);
            let outer = request(netfn::APP, app::SEND_MESSAGE, &[]);
            let answer = Response { netfn: netfn & 0x3E, command, sequence, completion, data: data.clone() };
            let _ = judge(answer, &outer, &inner);
            let _ = judge(outer.answer(completion::OK, data), &outer, &inner);
        }
    }
}
