//! The probe kinds that configurations and packs may name, and which of them look at a host from inside.

use std::collections::BTreeSet;
use std::sync::Arc;

use stentor_core::catalog::Check;
use stentor_core::model::Value;

use crate::clock::Clock;
use crate::probes::{self, Blind, Network, ProbeEnv};

use super::finding::{Diagnostics, Place, suggest};
use super::tree::At;

/// Whether the probe of that kind runs on the host itself; an unknown kind is an error. No kind at all is passive.
pub fn host_side(kind: &At<&str>, found: &mut Diagnostics) -> bool {
    if kind.value.is_empty() {
        return false;
    }
    probes::find(kind.value).map(|entry| entry.host_side).unwrap_or_else(|| {
        let known = probes::REGISTRY.iter().map(|entry| entry.kind);
        found.error(
            "unknown-probe",
            &kind.at,
            format!("there is no probe `{}`", kind.value),
            suggest(kind.value, known),
        );
        false
    })
}

/// Builds each probe once per set of parameter names, so that a wrong parameter is told when the configuration is read.
/// Not once per service: building may be costly (trust stores), and mistakes are mistakes of names nearly always.
pub(super) struct Trial {
    env: ProbeEnv,
    tried: BTreeSet<(String, Vec<String>)>,
}

impl Trial {
    pub(super) fn new() -> Self {
        let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
        Trial { env, tried: BTreeSet::new() }
    }

    /// Why a probe does not take these parameters; `None` = it does.
    pub(super) fn refusal(&self, kind: &str, params: &Value) -> Option<String> {
        let entry = probes::find(kind)?;
        (entry.build)(params, &self.env).err().map(|refusal| refusal.message)
    }

    /// Tries the parameters that a service would run with.
    pub(super) fn params(&mut self, check: &Check, own: &Value, place: &Place, found: &mut Diagnostics) {
        let Some(entry) = probes::find(&check.probe) else { return };
        let params = check.params.overlaid(own);
        let names = params.map().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        if !self.tried.insert((check.probe.to_string(), names)) {
            return;
        }
        if let Err(refusal) = (entry.build)(&params, &self.env) {
            found.error("bad-params", place, refusal.message, format!("see `stentor check {} --help`", check.probe));
        }
    }
}
