//! Signals to verdicts (specification 10): one pure, total function over a topology and the newest signals.

pub mod signal;
pub mod topology;
pub mod verdict;

pub use signal::Signal;
pub use topology::Topology;
pub use verdict::{
    Class, CoreState, Diagnosis, Evidence, FailureType, Impact, Missing, Rejected, Severity, Suppressed, Target,
    TargetKind, Verdict, Visibility,
};
