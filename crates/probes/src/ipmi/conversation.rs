//! Who answers commands: a session over the network, or the kernel's interface to the controller of this machine.

use std::future::Future;

use stentor_wire::ipmi::Suite;
use stentor_wire::ipmi::bridge::Satellite;
use stentor_wire::ipmi::command::Command;
use tokio::time::Instant;

use super::IpmiError;
use super::session::Link;

/// One command at a time to one controller, or to one behind it.
pub(super) trait Conversation: Send {
    /// Sends a command until it is answered, and reads the answer.
    ///
    /// # Errors
    /// `NoAnswer` when nothing came in time, `Completion` for a refusal.
    fn call<C: Command + Sync>(
        &mut self,
        command: &C,
        deadline: Instant,
    ) -> impl Future<Output = Result<C::Answer, IpmiError>> + Send;

    /// The same for a controller behind this one.
    ///
    /// # Errors
    /// As [`Self::call`]; `SatelliteSilent` when only the one behind does not answer.
    fn call_behind<C: Command + Sync>(
        &mut self,
        satellite: Satellite,
        command: &C,
        deadline: Instant,
    ) -> impl Future<Output = Result<C::Answer, IpmiError>> + Send;

    /// A short wait of random length, so that two readers who take each other's reservation fall out of step.
    fn stand_aside(&mut self, deadline: Instant) -> impl Future<Output = ()> + Send;

    /// What protects it; nothing needs to inside one machine.
    fn suite(&self) -> Option<Suite>;
}

impl Conversation for Link {
    async fn call<C: Command + Sync>(&mut self, command: &C, deadline: Instant) -> Result<C::Answer, IpmiError> {
        Link::call(self, command, deadline).await
    }

    async fn call_behind<C: Command + Sync>(
        &mut self,
        satellite: Satellite,
        command: &C,
        deadline: Instant,
    ) -> Result<C::Answer, IpmiError> {
        Link::call_behind(self, satellite, command, deadline).await
    }

    async fn stand_aside(&mut self, deadline: Instant) {
        Link::stand_aside(self, deadline).await;
    }

    fn suite(&self) -> Option<Suite> {
        Some(Link::suite(self))
    }
}
