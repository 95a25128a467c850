//! Refusals as RFC 9457 problem details: one shape for every error of the API.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::engine::Refused;
use crate::store::StoreError;
use crate::store::anchor::AnchorError;
use stentor_core::engine::CommandError;
use stentor_core::runbook::refusal::RefusalKind;

/// Why a request was refused, in words for the person or program that sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable word for programs: `not-found`, `invalid-parameter`.
    pub code: &'static str,
    pub detail: String,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), retry_after: None }
    }

    pub fn not_found(what: impl std::fmt::Display) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what}"))
    }

    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    }

    pub fn unauthorized() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "not-signed-in",
            "send `Authorization: Bearer TOKEN`, or sign in at /login and send the session cookie",
        )
    }

    pub fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem {
            retry_after: Some(5),
            ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily-unavailable", detail)
        }
    }
}

impl From<&StoreError> for Problem {
    /// Says that the database is in the way, never what it said: its messages may carry values.
    fn from(error: &StoreError) -> Problem {
        tracing::error!(error = %error, cause = %error.cause, "the database did not answer a web request");
        Problem::unavailable("the database cannot be reached; see the log of Stentor")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::from(&error)
    }
}

impl From<AnchorError> for Problem {
    fn from(error: AnchorError) -> Problem {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(cause, "{error}");
        Problem::unavailable("the anchor of the audit cannot be read; see the log of Stentor")
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let detail = refused.to_string();
        match refused {
            Refused::Stopping => Problem::unavailable("Stentor is stopping; nothing was changed"),
            Refused::Command(error) => {
                let (status, code) = match error {
                    CommandError::NoIncident(_)
                    | CommandError::NoObject(_)
                    | CommandError::NoDowntime(_)
                    | CommandError::NoComment(_)
                    | CommandError::NoContact(_) => (StatusCode::NOT_FOUND, "not-found"),
                    CommandError::IncidentNotLive(_) | CommandError::NoProblem(_) | CommandError::NotImported(_) => {
                        (StatusCode::CONFLICT, "conflict")
                    }
                    CommandError::Run(error) => match error.kind() {
                        RefusalKind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
                        RefusalKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
                        RefusalKind::Conflict => (StatusCode::CONFLICT, "conflict"),
                        RefusalKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
                    },
                    CommandError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
                };
                Problem::new(status, code, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("urn:stentor:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let text = serde_json::to_string(&body).expect("a problem holds only text and one number");
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stentor\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
