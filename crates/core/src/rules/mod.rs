//! Observation to state: a pack's `when` expressions over facts, measurements and parameters. Total, with the reason.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::ServiceState;

/// One rule of a check: the first whose condition holds gives the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub when: Expr,
    pub state: ServiceState,
    /// Vendor manual, RFC or specification section that the threshold comes from.
    pub source: Arc<str>,
}

/// A parsed condition; serialised as its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expr {
    pub text: Arc<str>,
}
