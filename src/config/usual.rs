//! What judges a probe's observations where nobody says otherwise: in a `[[service]]` without rules, and on the command line.

use std::sync::Arc;

use stentor_core::catalog::Check;
use stentor_core::model::Value;
use stentor_core::rules::Rule;

use super::example::{self, Example};
use super::finding::{Diagnostics, Place};
use super::pack::{Pack, read_rules};
use super::probe_kinds;
use super::tree::Section;
use crate::probes::LIMITS;

/// The usual rules of one kind of probe: those of a check with `usual = true`, or a `[[usual]]` of its own for probes
/// that no check of a pack runs as they are.
#[derive(Clone, Debug)]
pub struct Usual {
    pub probe: Arc<str>,
    /// Only `limits`: all else that a check asks of its probe is its own affair.
    pub params: Value,
    pub rules: Vec<Rule>,
    /// Of a check they stand with the check.
    pub examples: Vec<Example>,
    pub at: Place,
}

impl Usual {
    /// Those of a check of a pack.
    pub(super) fn of_check(check: &Check, at: &Place) -> Usual {
        Usual {
            probe: Arc::clone(&check.probe),
            params: only_limits(&check.params),
            rules: check.rules.clone(),
            examples: Vec::new(),
            at: at.clone(),
        }
    }
}

fn only_limits(params: &Value) -> Value {
    let limits = params.map().and_then(|map| map.get(LIMITS)).map(|limits| (LIMITS.to_owned(), limits.clone()));
    limits.map_or(Value::Null, |limits| Value::Map([limits].into()))
}

/// One `[[usual]]`.
pub(super) fn read(section: &Section<'_>, found: &mut Diagnostics) -> Option<Usual> {
    let probe = section.needed("probe", found)?;
    probe_kinds::host_side(&probe, found);
    let params = section.map("params", found);
    let rules = read_rules(section, found);
    let examples = example::read(section, &format!("usual rules of {}", probe.value), found);
    Some(Usual { probe: probe.value.into(), params: only_limits(&params), rules, examples, at: section.at.clone() })
}

/// The usual rules of a kind of probe.
pub fn find<'a>(packs: &'a [Pack], probe: &str) -> Option<&'a Usual> {
    packs.iter().flat_map(|pack| &pack.usual).find(|usual| *usual.probe == *probe)
}

/// A second set of rules for one kind is an error: which of them judges must not hang on the names of files.
pub(super) fn refuse_doubles(packs: &[Pack], found: &mut Diagnostics) {
    let mut seen: Vec<&Usual> = Vec::new();
    for usual in packs.iter().flat_map(|pack| &pack.usual) {
        if let Some(first) = seen.iter().find(|first| first.probe == usual.probe) {
            let message =
                format!("the probe `{}` has usual rules already, at {}", usual.probe, found.location(&first.at));
            found.error("duplicate", &usual.at, message, "one check or `[[usual]]` gives them");
        }
        seen.push(usual);
    }
}
