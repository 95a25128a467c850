//! Looks once, now, outside any schedule: for a person who wants to know what a check sees.

use std::sync::Arc;

use stentor_core::catalog::{Catalog, View};
use stentor_core::id::ObjectId;
use stentor_core::model::{Observation, UnknownCause};

use super::Factory;
use super::plan::{Builder, Plan};
use super::run::observe;
use crate::probes::ProbeEnv;
use crate::probes::ssh_link::Ssh;

/// What came of one look.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    Seen(Observation),
    /// Nothing here looks; the text says who does.
    Elsewhere(&'static str),
}

/// Looks at each object as the collector of `catalog` would, at most `at_once` together; answers come in the same order.
pub async fn once(
    catalog: &Arc<Catalog>,
    objects: &[ObjectId],
    factory: Factory,
    (env, ssh): (ProbeEnv, Option<Arc<Ssh>>),
    at_once: usize,
) -> Vec<Look> {
    use futures_util::{StreamExt, stream};
    let mut plan = Plan::new(Arc::clone(catalog));
    let mut builder = Builder::new(factory, env, ssh);
    let mut looks = Vec::with_capacity(objects.len());
    for &object in objects {
        let Some((slot, job)) = plan.slot(object).and_then(|slot| Some((slot, plan.job(slot)?))) else {
            looks.push(Err(Look::Elsewhere(who_looks(catalog, object))));
            continue;
        };
        looks.push(Ok((job, plan.probe(slot, &mut builder))));
    }
    let run = |look| async {
        match look {
            Ok((job, Ok(probe))) => {
                let probe: Arc<dyn crate::probes::ErasedProbe> = probe;
                Look::Seen(observe(&*probe, &job).await)
            }
            Ok((_, Err(e))) => {
                Look::Seen(Observation::failed(UnknownCause::ProbeError, format!("the check cannot run: {e}")))
            }
            Err(elsewhere) => elsewhere,
        }
    };
    stream::iter(looks).map(run).buffered(at_once.max(1)).collect().await
}

fn who_looks(catalog: &Catalog, object: ObjectId) -> &'static str {
    let host = match object {
        ObjectId::Host(id) => id,
        ObjectId::Service(id) => catalog.services[id.index()].host,
    };
    match catalog.check_of(object) {
        None => "not checked: the host counts as up",
        Some(check) if check.probe.is_empty() => "passive: results are submitted from outside",
        Some(_) if catalog.hosts[host.index()].view == View::Agent => "run by the agent on the host",
        Some(_) => "looks from inside, but nothing of Stentor runs on the host (no agent, not this machine)",
    }
}
