//! The Core of a cloud by its expression, from what the classifier found out of service.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Expr, Grounded, Known, Look, Piece, PieceKind, State, ground};
use crate::diagnosis::{Footing, Standing, Topology};

/// The Core expression of a cloud on its topology.
pub fn ground_core(name: &Arc<str>, topology: &Topology, expr: &Expr) -> Grounded {
    let known = Known { clouds: vec![(name, topology)], home: Some(0), ..Known::default() };
    ground(expr, &known).0
}

/// What is out of service in one cloud, by name.
#[derive(Default)]
pub struct Outs<'a> {
    by_name: BTreeMap<(&'a str, Option<&'a str>), &'a Standing>,
    /// Backends with a verdict.
    pub backends: Vec<&'a str>,
}

impl<'a> Outs<'a> {
    pub fn new(standing: impl IntoIterator<Item = &'a Standing>, backends: Vec<&'a str>) -> Outs<'a> {
        let by_name = standing.into_iter().map(|one| ((&*one.host, one.component.as_deref()), one)).collect();
        Outs { by_name, backends }
    }

    pub fn standing(&self, host: &str, component: Option<&str>) -> Option<&'a Standing> {
        self.by_name.get(&(host, component)).copied()
    }

    pub fn is_backend_lost(&self, name: &str) -> bool {
        self.backends.contains(&name)
    }
}

/// The Core asks only what is in service; what makes it degraded are the rules of specification 10, section 8, and
/// `should` in its expression.
pub fn look(grounded: &Grounded, outs: &Outs<'_>) -> Look {
    let states: Vec<State> = grounded.pieces.iter().map(|piece| in_service(piece, outs)).collect();
    grounded.look(&states)
}

fn in_service(piece: &Piece, outs: &Outs<'_>) -> State {
    match piece.kind {
        PieceKind::Component | PieceKind::Host => match outs.standing(&piece.name, piece.part.as_deref()) {
            None => State::Available,
            Some(standing) if standing.footing == Footing::Unseen => State::Unknown,
            Some(standing) if standing.footing.is_in_service() => State::Available,
            Some(_) => State::Unavailable,
        },
        PieceKind::Backend if outs.is_backend_lost(&piece.name) => State::Unavailable,
        // The reader of the configuration refuses the others in a Core expression.
        PieceKind::Backend | PieceKind::Service | PieceKind::Business | PieceKind::Core => State::Available,
    }
}
