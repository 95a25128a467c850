//! Switching a machine by `ComputerSystem.Reset`: only when somebody asked for it, in a login of its own that ends with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use stentor_core::catalog::PowerAction;
use stentor_core::model::Value;
use stentor_wire::redfish::system::{Power, Reset, System};
use tokio::time::{Instant, sleep};

use super::connection::Ask;
use super::session::{Link, Memory};
use super::walk::is_named;
use super::{Config, Way};
use crate::{Deadline, LIMITS, ProbeEnv, ProbeError, Target};

/// Between two looks at whether the machine has followed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Switches the machine and waits until the controller says so; in words, what was seen. `params` are those of the
/// host's `redfish` check.
///
/// # Errors
/// The controller cannot be reached or refuses, it has several machines and the check names none, or the machine does not
/// follow before the deadline.
pub async fn switch(
    env: &ProbeEnv,
    target: &Target,
    params: &Value,
    action: PowerAction,
    deadline: Deadline,
) -> Result<String, ProbeError> {
    let failed = |text: String| ProbeError::Failed(text);
    let mut own = serde_json::to_value(params).map_err(|error| failed(error.to_string()))?;
    if let Some(map) = own.as_object_mut() {
        map.remove(LIMITS);
    } else {
        own = json!({});
    }
    let config: Config = serde_json::from_value(own).map_err(|error| failed(error.to_string()))?;
    let way = Way::build("redfish", config, env).map_err(|error| failed(error.message))?;
    let access = way.access(target, deadline).await?;
    let (mut session, mut memory) = (None, Memory::default());
    let mut link = Link::new(&way.net, &access, &mut session, &mut memory, deadline);
    let done = follow(&mut link, access.system.as_deref(), action, deadline).await;
    link.log_out().await;
    done
}

async fn follow(
    link: &mut Link<'_>,
    wanted: Option<&str>,
    action: PowerAction,
    deadline: Instant,
) -> Result<String, ProbeError> {
    let (path, value) = the_system(link, wanted).await?;
    let system = System::read(&value);
    let was = system.power.ok_or_else(|| {
        ProbeError::Failed(format!("the controller says neither on nor off, but `{}`", system.power_state))
    })?;
    let reset = Reset::read(&value);
    let (words, wanted) = match (action, was) {
        (PowerAction::On, Power::On) => return Ok("the machine was on already".to_owned()),
        (PowerAction::Off, Power::Off) => return Ok("the machine was off already".to_owned()),
        (PowerAction::On | PowerAction::Cycle, Power::Off) => (&["On", "ForceOn"][..], Power::On),
        (PowerAction::Off, Power::On) => (&["ForceOff"][..], Power::Off),
        (PowerAction::Cycle, Power::On) => (&["PowerCycle", "ForceRestart"][..], Power::On),
    };
    let Some(word) = reset.first_of(words) else {
        return Err(ProbeError::Failed(format!("the controller allows none of {}", words.join(", "))));
    };
    link.change(Ask::post(&reset.target, &json!({"ResetType": word}))).await?;
    loop {
        let now = System::read(&*link.get(&path).await?);
        if now.power == Some(wanted) {
            return Ok(format!(
                "the machine was {}; {word} was accepted; it is {}",
                power_word(was),
                power_word(wanted)
            ));
        }
        if Instant::now() + LOOK_EVERY >= deadline {
            return Err(ProbeError::Timeout(format!("{word} was accepted, but the machine is `{}`", now.power_state)));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The one machine that is meant: of several, none is guessed.
async fn the_system(link: &mut Link<'_>, wanted: Option<&str>) -> Result<(String, Arc<Json>), ProbeError> {
    let failed = |text: String| ProbeError::Failed(text);
    let path = link.root().await?.systems.ok_or_else(|| failed("the controller knows no machine".to_owned()))?;
    let mut unread = Vec::new();
    let mut found = link.collection(&path, &mut unread).await?;
    found.retain(|value| wanted.is_none_or(|wanted| is_named(value, wanted)));
    match found.as_slice() {
        [one] => {
            let path = one["@odata.id"].as_str().ok_or_else(|| failed("the machine has no address".to_owned()))?;
            Ok((path.to_owned(), Arc::clone(one)))
        }
        [] => Err(failed("the controller knows no such machine".to_owned())),
        several => Err(failed(format!(
            "the controller has {} machines: say which in the check's `system` before one is switched",
            several.len()
        ))),
    }
}

const fn power_word(power: Power) -> &'static str {
    match power {
        Power::On => "on",
        Power::Off => "off",
    }
}
