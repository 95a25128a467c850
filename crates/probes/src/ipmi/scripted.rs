//! A controller in memory for tests: a closure gives completion code and data for each command.

use stentor_wire::ipmi::bridge::Satellite;
use stentor_wire::ipmi::command::Command;
use stentor_wire::ipmi::{Suite, completion};
use tokio::time::Instant;

use super::IpmiError;
use super::conversation::Conversation;

/// One command as the closure sees it.
pub(super) struct Heard<'a> {
    pub netfn: u8,
    pub command: u8,
    pub data: &'a [u8],
    /// The controller behind that it is for.
    pub behind: Option<u8>,
}

/// Answers with completion code and data; nothing at all where the closure gives nothing.
pub(super) struct Scripted<F>(pub F);

impl<F: FnMut(Heard<'_>) -> Option<Vec<u8>> + Send> Scripted<F> {
    fn answer<C: Command>(&mut self, command: &C, behind: Option<u8>) -> Result<C::Answer, IpmiError> {
        let data = command.data();
        let heard = Heard { netfn: C::NETFN, command: C::COMMAND, data: &data, behind };
        let answer = (self.0)(heard).ok_or(IpmiError::NoAnswer { during: C::NAME })?;
        match answer.split_first() {
            Some((&completion::OK, data)) => command.parse(data).ok_or(IpmiError::Malformed { command: C::NAME }),
            Some((code, _)) => Err(IpmiError::Completion { command: C::NAME, code: *code }),
            None => Err(IpmiError::Malformed { command: C::NAME }),
        }
    }
}

impl<F: FnMut(Heard<'_>) -> Option<Vec<u8>> + Send> Conversation for Scripted<F> {
    async fn call<C: Command + Sync>(&mut self, command: &C, _: Instant) -> Result<C::Answer, IpmiError> {
        self.answer(command, None)
    }

    async fn call_behind<C: Command + Sync>(
        &mut self,
        satellite: Satellite,
        command: &C,
        _: Instant,
    ) -> Result<C::Answer, IpmiError> {
        let silent = IpmiError::SatelliteSilent { address: satellite.address };
        self.answer(command, Some(satellite.address)).map_err(|error| match error {
            IpmiError::NoAnswer { .. } => silent,
            other => other,
        })
    }

    async fn stand_aside(&mut self, _: Instant) {}

    fn suite(&self) -> Option<Suite> {
        None
    }
}
