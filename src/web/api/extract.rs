//! Request parts whose refusals are problem details: path, query, JSON, text, idempotency key.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::web::problem::Problem;

/// Decoded path parameters.
pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::from_request_parts(parts, state).await.map_err(|e| Problem::invalid(e.body_text()))?;
        Ok(InPath(value))
    }
}

pub struct InQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) =
            Query::from_request_parts(parts, state).await.map_err(|e| Problem::invalid(e.body_text()))?;
        Ok(InQuery(value))
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|e| {
        if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large; send it in smaller pieces")
        } else {
            Problem::invalid(e.body_text())
        }
    })
}

/// A JSON object, whatever the content type says; an empty body reads as `{}`.
pub struct InJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for InJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes(request, state).await?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        // Without this, an array would fill the fields of a struct by position.
        if text.trim_ascii_start().first() == Some(&b'[') {
            return Err(Problem::invalid("the JSON body must be an object"));
        }
        Ok(InJson(read(text)?))
    }
}

/// A JSON array.
pub struct InJsonList<T>(pub Vec<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for InJsonList<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(InJsonList(read(&bytes(request, state).await?)?))
    }
}

/// The message names line and column, never the values around them.
fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).map_err(|e| Problem::invalid(format!("the JSON body: {e}")))
}

/// A body of text; bytes that are not UTF-8 become replacement characters, as plugin output may hold anything.
pub struct InText(pub String);

impl<S: Send + Sync> FromRequest<S> for InText {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(InText(String::from_utf8_lossy(&bytes(request, state).await?).into_owned()))
    }
}

/// The `Idempotency-Key` header: repeating a request with the same key changes nothing.
pub struct IdempotencyKey(Option<String>);

/// UUIDs and derived keys fit; a megabyte in the journal per command does not.
const KEY_BYTES_MAX: usize = 200;

impl IdempotencyKey {
    /// The id of the only command of this request.
    pub fn id(&self) -> Option<Arc<str>> {
        self.0.as_deref().map(Arc::from)
    }

    /// The id of the `index`-th command of this request.
    pub fn part(&self, index: usize) -> Option<Arc<str>> {
        self.0.as_ref().map(|key| format!("{key}/{index}").into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(IdempotencyKey(None)) };
        match value.to_str() {
            Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => Ok(IdempotencyKey(Some(key.to_owned()))),
            Ok(_) | Err(_) => {
                Err(Problem::invalid(format!("Idempotency-Key must be 1 to {KEY_BYTES_MAX} ASCII characters")))
            }
        }
    }
}
