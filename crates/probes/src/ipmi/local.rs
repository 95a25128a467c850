//! The probe `ipmi_local`: the controller of the machine it runs on, through the kernel's `/dev/ipmi0`.
//!
//! Everything that is said is that of `ipmi`; only the way there differs, and no login is needed.

mod device;

use std::io;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::ipmi::bridge::Satellite;
use stentor_wire::ipmi::command::{Command, GetDeviceId};
use stentor_wire::ipmi::{Suite, completion};
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use self::device::{Device, Outgoing, Port};
use super::super::clock::Clock;
use super::super::view::Tools;
use super::super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};
use super::conversation::Conversation;
use super::observe::Style;
use super::poll::{Memory, poll};
use super::{IpmiError, shown};

/// The first controller; further ones are ipmi1 and so on.
const DEVICE: &str = "/dev/ipmi0";
/// How long one command may take. The kernel gives up by itself after some 5 to 20 s and says C3h.
const COMMAND_WAIT: Duration = Duration::from_secs(6);
/// As long for a controller on a bus behind.
const SATELLITE_WAIT: Duration = Duration::from_secs(2);
/// How often a busy controller is asked again, and after how long.
const BUSY_TRIES: u32 = 4;
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// Completion codes of the kernel for a bus behind: not acknowledged, lost arbitration, bus error (section 22.7).
const NOT_DELIVERED: [u8; 4] = [0x81, 0x82, 0x83, completion::TIMEOUT];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Instead of `/dev/ipmi0`.
    device: Option<String>,
    /// As of `ipmi`.
    listing: Option<Style>,
}

/// Polls the controller of this machine.
pub struct IpmiLocal {
    view: Arc<dyn HostView>,
    clock: Clock,
    device: String,
    listing: Option<Style>,
    /// Records, place in the log, particulars. One poll at a time: the kernel would queue a second behind it anyway.
    memory: Mutex<Memory>,
}

impl Probe for IpmiLocal {
    const KIND: &'static str = "ipmi_local";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../../docs/probes/ipmi_local.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let device = config.device.unwrap_or_else(|| DEVICE.to_owned());
        if !device.starts_with("/dev/") {
            return Err(BuildError { message: format!("device `{device}` is not below /dev") });
        }
        let (view, clock, memory) = (Arc::clone(&env.view), env.clock.clone(), Mutex::default());
        Ok(IpmiLocal { view, clock, device, listing: config.listing, memory })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        // A host that only exists in memory has no device; this machine's is not its.
        if !matches!(self.view.tools(&self.device, &[]), Tools::Here) {
            return Err(ProbeError::Failed(format!("{} is not on this machine", self.device)));
        }
        let device = Device::open(&self.device).map_err(|error| refusal(&self.device, &error))?;
        let mut memory = timeout_at(deadline, self.memory.lock())
            .await
            .map_err(|_| ProbeError::Timeout("an earlier poll of the controller".to_owned()))?;
        let mut link = LocalLink::new(device);
        let polled = async {
            let device = link.call(&GetDeviceId, deadline).await?;
            poll(&mut link, device, &mut memory, deadline).await
        };
        match polled.await {
            Ok(poll) => Ok(shown(&poll, self.listing, &self.clock)),
            Err(error @ IpmiError::NoAnswer { .. }) => Err(ProbeError::Timeout(error.to_string())),
            Err(IpmiError::Network(cause)) => Err(refusal(&self.device, &cause)),
            Err(error) => Err(ProbeError::Failed(error.to_string())),
        }
    }
}

/// Why the device is of no use, with the remedy.
fn refusal(device: &str, error: &io::Error) -> ProbeError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ProbeError::MissingRight(format!(
            "{device} may not be opened: run as root, or give the agent's group the device by a udev rule"
        )),
        io::ErrorKind::NotFound => ProbeError::Failed(format!(
            "there is no {device}: load ipmi_si and ipmi_devintf, or this machine has no controller"
        )),
        _ => ProbeError::Failed(format!("{device}: {error}")),
    }
}

/// A conversation through the kernel.
struct LocalLink<P> {
    port: P,
    last_id: libc::c_long,
}

impl<P: Port> LocalLink<P> {
    fn new(port: P) -> Self {
        LocalLink { port, last_id: 0 }
    }

    /// Completion code and data of the answer; `None` when none came in time.
    async fn exchange<C: Command>(
        &mut self,
        to: Option<Satellite>,
        command: &C,
        until: Instant,
    ) -> Result<Option<(u8, Vec<u8>)>, IpmiError> {
        self.last_id = self.last_id.wrapping_add(1);
        let (id, netfn, lun) = (self.last_id, C::NETFN, command.lun());
        self.port.send(&Outgoing { to, id, netfn, lun, command: C::COMMAND, data: command.data() })?;
        loop {
            let Ok(received) = timeout_at(until, self.port.receive()).await else { return Ok(None) };
            // The late answer to a command that was given up, or an event, is of no use.
            let received = received?;
            if !received.is_answer || received.id != id {
                continue;
            }
            return match received.data.split_first() {
                Some((completion, data)) => Ok(Some((*completion, data.to_vec()))),
                None => Err(IpmiError::Malformed { command: C::NAME }),
            };
        }
    }
}

impl<P: Port> Conversation for LocalLink<P> {
    async fn call<C: Command + Sync>(&mut self, command: &C, deadline: Instant) -> Result<C::Answer, IpmiError> {
        for _ in 0..BUSY_TRIES {
            let until = deadline.min(Instant::now() + COMMAND_WAIT);
            match self.exchange(None, command, until).await? {
                None => return Err(IpmiError::NoAnswer { during: C::NAME }),
                Some((completion::OK, data)) => {
                    return command.parse(&data).ok_or(IpmiError::Malformed { command: C::NAME });
                }
                Some((completion::BUSY | completion::TIMEOUT, _)) => {
                    sleep_until(deadline.min(Instant::now() + BUSY_WAIT)).await;
                }
                Some((code, _)) => return Err(IpmiError::Completion { command: C::NAME, code }),
            }
        }
        Err(IpmiError::Completion { command: C::NAME, code: completion::BUSY })
    }

    async fn call_behind<C: Command + Sync>(
        &mut self,
        satellite: Satellite,
        command: &C,
        deadline: Instant,
    ) -> Result<C::Answer, IpmiError> {
        let until = deadline.min(Instant::now() + SATELLITE_WAIT);
        match self.exchange(Some(satellite), command, until).await? {
            None => Err(IpmiError::SatelliteSilent { address: satellite.address }),
            Some((completion::OK, data)) => command.parse(&data).ok_or(IpmiError::Malformed { command: C::NAME }),
            Some((code, _)) if NOT_DELIVERED.contains(&code) => {
                Err(IpmiError::SatelliteSilent { address: satellite.address })
            }
            Some((code, _)) => Err(IpmiError::Completion { command: C::NAME, code }),
        }
    }

    async fn stand_aside(&mut self, deadline: Instant) {
        sleep_until(deadline.min(Instant::now() + BUSY_WAIT)).await;
    }

    fn suite(&self) -> Option<Suite> {
        None
    }
}

#[cfg(test)]
mod tests;
