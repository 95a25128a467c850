//! Switching a machine by its controller: only when somebody asked for it, in a session of its own that ends with it.

use std::time::Duration;

use stentor_core::catalog::PowerAction;
use stentor_core::model::Value;
use stentor_wire::ipmi::Privilege;
use stentor_wire::ipmi::chassis::{ChassisControl, Control};
use stentor_wire::ipmi::command::GetChassisStatus;
use tokio::time::{Instant, sleep};

use super::session::{Link, Opening};
use super::{Config, Ipmi, IpmiError};
use crate::{Deadline, Probe as _, ProbeEnv, ProbeError, Target};

/// Between two looks at whether the machine has followed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Switches the machine and waits until the controller says so; in words, what was seen. `params` are those of the
/// host's `ipmi` check: the key file of the controller and how it finds the user.
///
/// # Errors
/// The controller cannot be reached or refuses, or the machine does not follow before the deadline.
pub async fn switch(
    env: &ProbeEnv,
    target: &Target,
    params: &Value,
    action: PowerAction,
    deadline: Deadline,
) -> Result<String, ProbeError> {
    let text = |key| params.get(key).and_then(Value::text).map(str::to_owned);
    // Chassis Control needs Operator (IPMI 2.0, table G-1), whatever the check makes do with.
    let privilege = Some("operator".to_owned());
    let config = Config { privilege, kg_file: text("kg_file"), lookup: text("lookup"), listing: None };
    let failed = |text: String| ProbeError::Failed(text);
    let ipmi = Ipmi::build(config, env).map_err(|error| failed(error.message))?;
    let mut address = ipmi.address(target, deadline).await?;
    address.privilege = Privilege::Operator;
    let opened = Link::open(ipmi.client.transport(), &address, Opening::default(), deadline).await;
    let (mut link, _) = opened.map_err(|error| failed(error.to_string()))?;
    let done = follow(&mut link, action, deadline).await;
    link.close().await;
    done.map_err(|error| match error {
        Trouble::Ipmi(error) => failed(error.to_string()),
        Trouble::Late(what) => ProbeError::Timeout(what),
    })
}

enum Trouble {
    Ipmi(IpmiError),
    Late(String),
}

impl From<IpmiError> for Trouble {
    fn from(error: IpmiError) -> Trouble {
        Trouble::Ipmi(error)
    }
}

async fn follow(link: &mut Link, action: PowerAction, deadline: Instant) -> Result<String, Trouble> {
    let word = |is_on: bool| if is_on { "on" } else { "off" };
    let was_on = link.call(&GetChassisStatus, deadline).await?.is_on;
    let (control, wanted) = match (action, was_on) {
        (PowerAction::On, true) => return Ok("the machine was on already".to_owned()),
        (PowerAction::Off, false) => return Ok("the machine was off already".to_owned()),
        // Controllers refuse to cycle what is off (section 28.3).
        (PowerAction::On | PowerAction::Cycle, false) => (Control::PowerUp, true),
        (PowerAction::Off, true) => (Control::PowerDown, false),
        (PowerAction::Cycle, true) => (Control::PowerCycle, true),
    };
    link.call(&ChassisControl(control), deadline).await?;
    loop {
        let is_on = link.call(&GetChassisStatus, deadline).await?.is_on;
        if is_on == wanted {
            return Ok(format!(
                "the machine was {}; {} was accepted; it is {}",
                word(was_on),
                control.words(),
                word(is_on)
            ));
        }
        if Instant::now() + LOOK_EVERY >= deadline {
            let what = format!("{} was accepted, but the machine is still {}", control.words(), word(is_on));
            return Err(Trouble::Late(what));
        }
        sleep(LOOK_EVERY).await;
    }
}
