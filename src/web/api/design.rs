//! `/design`: weak points of the design, accepted ones too.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use stentor_core::design::{self, Finding};
use stentor_core::sight::Sight;
use stentor_core::snapshot::Snapshot;
use stentor_core::topology_view;

use super::{dto, json};
use crate::web::WebState;
use crate::web::auth::Session;

#[derive(Serialize)]
pub struct WeakPoint<'a> {
    pub lint: &'static str,
    /// `host`, `switch` or `cloud`.
    pub kind: &'static str,
    pub target: &'a str,
    pub title: &'static str,
    pub detail: &'a str,
    pub risk: &'static str,
    pub remedy: &'static str,
    pub source: &'static str,
    /// `declared` in the configuration, or `seen` by a probe.
    pub basis: &'static str,
    /// Why somebody lives with it.
    pub accepted: Option<&'a str>,
}

impl<'a> From<&'a Finding> for WeakPoint<'a> {
    fn from(finding: &'a Finding) -> Self {
        let words = finding.lint.words();
        WeakPoint {
            lint: finding.lint.id(),
            kind: finding.about.as_str(),
            target: &finding.target,
            title: words.title,
            detail: &finding.detail,
            risk: words.risk,
            remedy: words.remedy,
            source: words.source,
            basis: finding.basis.as_str(),
            accepted: finding.accepted.as_deref(),
        }
    }
}

/// All that is known of, by lint.
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let sight = Sight::of(snapshot);
    let mut found = design::findings(&sight);
    found.extend(topology_view::findings(&sight, &topology_view::view(&sight).drift));
    found
}

pub async fn list(State(state): State<WebState>, _session: Session) -> Response {
    let snapshot = state.engine.snapshot();
    let found = findings(&snapshot);
    let items: Vec<WeakPoint<'_>> = found.iter().map(WeakPoint::from).collect();
    json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None })
}
