//! `/classify`: signals in, verdicts out, over a topology that is sent along or the one that runs here; changes nothing.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;

use super::extract::InJson;
use super::json;
use crate::scenario::{Answer, Scenario};
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::problem::Problem;

pub async fn classify(
    Extract(state): Extract<WebState>,
    _session: Session,
    InJson(scenario): InJson<Scenario>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    // Thousands of signals take a while: not on a thread that others wait for.
    let diagnosis = tokio::task::spawn_blocking(move || {
        let catalog = (!scenario.has_topology()).then_some(&*snapshot.catalog);
        scenario.classify(catalog)
    });
    match diagnosis.await {
        Ok(diagnosis) => {
            let diagnosis = diagnosis.map_err(|error| Problem::invalid(error.to_string()))?;
            Ok(json(StatusCode::OK, &Answer::from(&diagnosis)))
        }
        Err(error) => {
            tracing::error!(error = %error, "a classification did not end");
            Err(Problem::unavailable("the answer could not be computed"))
        }
    }
}
