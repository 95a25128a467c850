//! Clocks of the platform that run while something is down, and end badly (specification 10, section 6: dangerous timer).

use super::draft::{Draft, puts_out};
use super::verdict::{Class, Evidence, Severity};
use super::world::World;

/// The `sig` of the evidence that such a clock runs out soon.
pub const TIMER: &str = "timer";

/// The newest release whose CLC gives up instances after `cloud.vmstate.instance_timeout` = 720 minutes; later ones wait for
/// 180 days.
const LAST_TO_GIVE_UP: (u32, u32) = (4, 0);

/// Eucalyptus up to 4.0: instances that no cluster or node controller reports are marked terminated, though they run.
pub(super) fn runs_out(world: &World, draft: &Draft<'_>) -> Option<Evidence> {
    let tells_of_instances = |comp: &usize| matches!(&*world.comps[*comp].kind, "nc" | "cc");
    let is_planned = matches!(draft.class, Class::AdminStopped | Class::Starting);
    let is_out = puts_out(draft.cause()) && !is_planned;
    if world.topology.platform != "eucalyptus" || !is_out || !gives_up(world.topology.release.as_deref()?) {
        return None;
    }
    let reporter = draft.members.iter().copied().find(tells_of_instances)?;
    let out = world.at.since(draft.known_since(world)?);
    (out >= world.timing.warn_of_timeout).then(|| Evidence {
        sig: TIMER.to_owned(),
        at: format!("{}/{}", world.hosts[world.comps[reporter].host].name, world.comps[reporter].key),
        value: "not seen for 8 h or more: instances will be marked terminated at 12 h \
                (cloud.vmstate.instance_timeout); raise it now"
            .to_owned(),
    })
}

fn gives_up(release: &str) -> bool {
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().ok());
    let major = numbers.next().flatten();
    let minor = numbers.next().flatten().unwrap_or(0);
    major.is_some_and(|major| (major, minor) <= LAST_TO_GIVE_UP)
}

/// Whatever it was before: what is lost now cannot be had back.
pub(super) const ESCALATED: Severity = Severity::Critical;
