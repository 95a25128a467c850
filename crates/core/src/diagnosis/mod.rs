//! Signals to verdicts (specification 10): one pure, total function over a topology and the newest signals.
//!
//! The stages run in the order of their precedence and write on one board; only `conclude` turns it into verdicts.
//! No stage reads a clock, and the absence of a signal is never evidence of a failure.

mod aside;
mod cells;
mod component;
mod component_view;
mod conclude;
mod confidence;
mod core_expr;
mod core_state;
mod deadline;
mod draft;
mod elements;
mod evidence;
mod facts;
mod flapping;
mod hardware;
mod host;
mod impact;
mod jvm;
pub mod knowledge;
mod mesh;
mod power;
mod quorum;
mod shared;
pub mod signal;
mod splitbrain;
mod standing;
mod suppression;
pub mod timing;
pub mod topology;
mod twins;
pub mod verdict;
mod world;

pub use deadline::TIMER;
pub use flapping::{FLAPPING, tells_trouble};
pub use knowledge::{Knowledge, Redundancy};
pub use signal::Signal;
pub use standing::{Footing, Standing};
pub(crate) use suppression::kinds_above;
pub use suppression::upstream_hosts;
pub use timing::Timing;
pub use topology::Topology;
pub use verdict::{
    Class, CoreState, Diagnosis, Evidence, FailureType, Impact, Missing, Rejected, Severity, Suppressed, Target,
    TargetKind, Verdict, Visibility,
};

use std::sync::Arc;

use crate::Timestamp;

/// Says what failed: one verdict per root cause, everything that it explains, and the state of the Core.
///
/// The order of `signals` does not matter; of two about the same thing the newer counts.
pub fn diagnose(topology: &Topology, signals: &[Signal], at: Timestamp, timing: &Timing) -> Diagnosis {
    let mut world = world::World::new(Arc::new(topology.clone()), true);
    for (source, signal) in (0..).zip(signals) {
        world.say(source, signal.host.as_ref(), [signal.clone()]);
    }
    world.bring_to(at, timing);
    judge(&world)
}

/// The same for one who asks again and again: what changed is looked at anew, what did not is remembered.
///
/// The answer is always that of [`diagnose`] for the same signals and moment.
pub struct Classifier(world::World);

impl Classifier {
    /// Nobody has said anything yet.
    pub fn new(topology: &Topology) -> Self {
        Classifier(world::World::new(Arc::new(topology.clone()), false))
    }

    /// What `source` says about `host` from now on, instead of what it said before; nothing = it is silent.
    pub fn say(&mut self, source: u64, host: Option<&Arc<str>>, signals: impl IntoIterator<Item = Signal>) {
        self.0.say(source, host, signals);
    }

    pub fn diagnose(&mut self, at: Timestamp, timing: &Timing) -> Diagnosis {
        self.0.bring_to(at, timing);
        judge(&self.0)
    }
}

fn judge(world: &world::World) -> Diagnosis {
    let mut board = draft::Board::new(world);
    if mesh::judge_sites(world, &mut board) == mesh::Reach::Isolated {
        shared::hide_everything(world, &mut board);
        return conclude::conclude(world, board);
    }
    shared::judge_maintenance(world, &mut board);
    flapping::judge_hosts(world, &mut board);
    shared::judge_shared(world, &mut board);
    host::judge_hosts(world, &mut board);
    for comp in world.notable_comps() {
        component::look_at(world, &mut board, comp);
    }
    splitbrain::judge_drbd(world, &mut board);
    jvm::judge_jvms(world, &mut board);
    jvm::judge_backends(world, &mut board);
    splitbrain::judge_dual_active(world, &mut board);
    twins::judge_twins(world, &mut board);
    quorum::judge_quorums(world, &mut board);
    quorum::judge_bus(world, &mut board);
    suppression::resolve(world, &mut board);
    elements::judge_hardware(world, &mut board);
    conclude::conclude(world, board)
}
