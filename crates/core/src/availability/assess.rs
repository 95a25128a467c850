//! Cores and business services at one moment: from what the classifier found and the hard states of hosts and checks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::business;
use super::core::{self, Outs};
use super::ground::{Grounded, Known, Piece, PieceKind, ground};
use super::{Look, Redundancy, State};
use crate::Timestamp;
use crate::catalog::Catalog;
use crate::diagnosis::{Class, Diagnosis, Footing, Target};

/// Every expression of a catalog on its topologies; made once for each catalog.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prepared {
    /// Parallel to `catalog.clouds`; `None` = the Core is judged as built in.
    pub cores: Vec<Option<Grounded>>,
    /// Parallel to `catalog.businesses`.
    pub businesses: Vec<Grounded>,
    order: Vec<usize>,
}

impl Prepared {
    pub fn new(catalog: &Catalog) -> Prepared {
        let clouds: Vec<_> = catalog.clouds.iter().map(|cloud| (&cloud.name, &cloud.topology)).collect();
        let names: Vec<&str> = catalog.businesses.iter().map(|one| &*one.name).collect();
        let cores = clouds.iter().map(|(name, topology)| {
            let expr = topology.core.as_ref()?;
            Some(core::ground_core(name, topology, expr))
        });
        let businesses = catalog.businesses.iter().map(|one| {
            let home = one.cloud.as_ref().and_then(|name| clouds.iter().position(|(cloud, _)| *cloud == name));
            let known = Known { clouds: clouds.clone(), home, catalog: Some(catalog), businesses: names.clone() };
            ground(&one.expression, &known).0
        });
        let (cores, businesses) = (cores.collect(), businesses.collect());
        Prepared { cores, businesses, order: business::order(&catalog.businesses).0 }
    }
}

/// A state, and whether it is so on purpose.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Stands {
    pub state: State,
    pub planned: bool,
}

impl Stands {
    pub const WELL: Stands = Stands { state: State::Available, planned: false };
}

/// What is known at one moment.
pub struct Seen<'a> {
    /// Parallel to `catalog.clouds`.
    pub outs: Vec<Outs<'a>>,
    pub cores: Vec<State>,
    /// The hard state of a host, or of a service on it.
    pub object: &'a dyn Fn(&str, Option<&str>) -> Stands,
}

impl<'a> Seen<'a> {
    pub fn new(diagnoses: &[&'a Diagnosis], object: &'a dyn Fn(&str, Option<&str>) -> Stands) -> Seen<'a> {
        let outs = diagnoses.iter().map(|diagnosis| outs_of(diagnosis, None)).collect();
        let cores = diagnoses.iter().map(|diagnosis| State::from(diagnosis.core)).collect();
        Seen { outs, cores, object }
    }

    /// As if only this cause were there.
    pub fn only(
        prepared: &Prepared,
        diagnoses: &[&'a Diagnosis],
        cause: &Target,
        object: &'a dyn Fn(&str, Option<&str>) -> Stands,
    ) -> Seen<'a> {
        let outs: Vec<Outs<'a>> = diagnoses.iter().map(|diagnosis| outs_of(diagnosis, Some(cause))).collect();
        let core = |(i, outs): (usize, &Outs<'_>)| match prepared.cores.get(i) {
            Some(Some(grounded)) => core::look(grounded, outs).state,
            Some(None) | None => State::Available,
        };
        let cores = outs.iter().enumerate().map(core).collect();
        Seen { outs, cores, object }
    }
}

fn outs_of<'a>(diagnosis: &'a Diagnosis, only: Option<&Target>) -> Outs<'a> {
    let ours = |target: Option<&Target>| only.is_none() || target == only;
    let standing = diagnosis.standing.iter().filter(|one| ours(one.by.as_ref()));
    let lost = diagnosis.verdicts.iter().filter(|verdict| verdict.class == Class::ResourceUnavailable);
    let backends =
        lost.filter(|verdict| ours(Some(&verdict.target))).filter_map(|verdict| verdict.target.host.as_deref());
    Outs::new(standing, backends.collect())
}

/// How one service stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub name: Arc<str>,
    pub state: State,
    /// All that takes it down is planned work.
    pub planned: bool,
    pub since: Timestamp,
    /// The smallest set of failed pieces.
    pub because: Vec<String>,
    /// In words, one entry for each condition that does not hold.
    pub words: Vec<String>,
    pub redundancy: Option<Redundancy>,
}

/// The business services of a catalog, in its order; `since` is `at`.
pub fn businesses(prepared: &Prepared, catalog: &Catalog, seen: &Seen<'_>, at: Timestamp) -> Vec<Status> {
    let mut known: Vec<Option<Status>> = vec![None; catalog.businesses.len()];
    for &row in &prepared.order {
        let grounded = &prepared.businesses[row];
        let stands: Vec<Stands> = grounded.pieces.iter().map(|piece| of_piece(piece, catalog, seen, &known)).collect();
        known[row] = Some(status(&catalog.businesses[row].name, grounded, &stands, at));
    }
    let names = catalog.businesses.iter().map(|one| &one.name);
    known.into_iter().zip(names).map(|(status, name)| status.unwrap_or_else(|| unknown(name, at))).collect()
}

/// One that stands on itself; the reader of the configuration refuses such.
fn unknown(name: &Arc<str>, at: Timestamp) -> Status {
    Status {
        name: Arc::clone(name),
        state: State::Unknown,
        planned: false,
        since: at,
        because: Vec::new(),
        words: vec!["it stands on itself".to_owned()],
        redundancy: None,
    }
}

fn status(name: &Arc<str>, grounded: &Grounded, stands: &[Stands], at: Timestamp) -> Status {
    let states: Vec<State> = stands.iter().map(|one| one.state).collect();
    let look = grounded.look(&states);
    let planned = !look.because.is_empty() && look.because.iter().all(|piece| stands[*piece].planned);
    Status {
        name: Arc::clone(name),
        state: look.state,
        planned,
        since: at,
        because: look.because.iter().map(|piece| grounded.pieces[*piece].to_string()).collect(),
        words: look.words,
        redundancy: look.redundancy,
    }
}

fn of_piece(piece: &Piece, catalog: &Catalog, seen: &Seen<'_>, known: &[Option<Status>]) -> Stands {
    let cloud = piece.cloud.as_ref().and_then(|name| catalog.clouds.iter().position(|cloud| cloud.name == *name));
    let outs = cloud.and_then(|cloud| seen.outs.get(cloud));
    match piece.kind {
        PieceKind::Component => outs.map_or(Stands::WELL, |outs| standing(outs, &piece.name, piece.part.as_deref())),
        PieceKind::Host => {
            let own = (seen.object)(&piece.name, None);
            let told = outs.map_or(Stands::WELL, |outs| standing(outs, &piece.name, None));
            if told.state <= own.state { told } else { own }
        }
        PieceKind::Service => (seen.object)(&piece.name, piece.part.as_deref()),
        PieceKind::Backend if outs.is_some_and(|outs| outs.is_backend_lost(&piece.name)) => {
            Stands { state: State::Unavailable, planned: false }
        }
        PieceKind::Backend => Stands::WELL,
        PieceKind::Core => {
            let state = cloud.and_then(|cloud| seen.cores.get(cloud)).copied().unwrap_or(State::Unknown);
            Stands { state, planned: false }
        }
        PieceKind::Business => {
            let row = catalog.businesses.iter().position(|one| one.name == piece.name);
            let status = row.and_then(|row| known[row].as_ref());
            status.map_or(Stands { state: State::Unknown, planned: false }, |status| Stands {
                state: status.state,
                planned: status.planned,
            })
        }
    }
}

fn standing(outs: &Outs<'_>, host: &str, component: Option<&str>) -> Stands {
    let Some(standing) = outs.standing(host, component) else { return Stands::WELL };
    let state = match standing.footing {
        Footing::Out | Footing::Planned | Footing::Starting => State::Unavailable,
        Footing::Unseen => State::Unknown,
        Footing::TakingOver | Footing::AtRisk => State::Degraded,
    };
    Stands { state, planned: standing.footing == Footing::Planned }
}

/// How the Core of a cloud stands by its expression, and whether that is planned.
pub fn core_look(prepared: &Prepared, cloud: usize, diagnosis: &Diagnosis) -> Option<(Look, bool)> {
    let grounded = prepared.cores.get(cloud)?.as_ref()?;
    let outs = outs_of(diagnosis, None);
    let look = core::look(grounded, &outs);
    let is_planned = |piece: &usize| {
        let piece = &grounded.pieces[*piece];
        let standing = outs.standing(&piece.name, piece.part.as_deref());
        standing.is_some_and(|standing| standing.footing == Footing::Planned)
    };
    let planned = !look.because.is_empty() && look.because.iter().all(is_planned);
    Some((look, planned))
}
