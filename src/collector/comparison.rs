//! A check that compares what checks of several hosts have told. It looks at the read model and at no host, so that what
//! it saw is journaled as any other observation.

use std::future::Future;
use std::pin::Pin;

use stentor_core::model::{Observation, Value};
use stentor_core::parity::Pair;
use stentor_core::sight::Sight;

use crate::clock::Clock;
use crate::engine::Handle;
use crate::probes::{BuildError, Deadline, ErasedProbe, ProbeError, Target};

pub struct Comparison {
    pair: Pair,
    engine: Handle,
    clock: Clock,
}

impl Comparison {
    /// # Errors
    /// The parameters are not those of a comparison, or nobody here knows what was told.
    pub fn build(params: &Value, engine: Option<&Handle>, clock: &Clock) -> Result<Comparison, BuildError> {
        let refuse = |why: &str| BuildError { message: why.to_owned() };
        let engine = engine.ok_or_else(|| refuse("only the running service knows what other hosts told"))?;
        let pair = Pair::of(params).ok_or_else(|| refuse("these are no parameters of a comparison"))?;
        Ok(Comparison { pair, engine: engine.clone(), clock: clock.clone() })
    }
}

impl ErasedProbe for Comparison {
    fn run<'a>(
        &'a self,
        _: &'a Target,
        _: Deadline,
    ) -> Pin<Box<dyn Future<Output = Result<Observation, ProbeError>> + Send + 'a>> {
        let snapshot = self.engine.snapshot();
        let seen = self.pair.observe(&Sight::of(&snapshot), self.clock.now());
        Box::pin(std::future::ready(Ok(seen)))
    }
}
