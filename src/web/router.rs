//! All routes under one roof, and what holds for every request: CSRF tokens of forms, sizes, deadlines, ids, log lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{WebState, api, auth, health, metrics, pages, redfish};

/// Bodies of everything but bulk ingest, which names its own limit.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// From the request's head to the answer's head. Streams go on for as long as they like.
const ANSWER_MAX: Duration = Duration::from_secs(30);
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Everything that Stentor serves.
pub fn router(state: WebState) -> Router {
    let mut all = Router::new()
        .merge(api::routes())
        .merge(auth::login::routes().layer(middleware::from_fn(pages::security_headers)))
        .merge(metrics::routes())
        .merge(health::routes())
        .merge(redfish::routes())
        .merge(pages::routes());
    if let Some(demo) = state.demo.clone() {
        all = all.nest("/demo", demo);
    }
    all.with_state(state)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(auth::csrf_from_form))
        .layer(middleware::from_fn(within_time))
        .layer(middleware::from_fn(logged))
}

async fn within_time(request: Request, next: Next) -> Response {
    // The demo's `?wait=1` waits for an incident, with a limit of its own.
    if request.uri().path().starts_with("/demo/") {
        return next.run(request).await;
    }
    match tokio::time::timeout(ANSWER_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("the answer took too long; nothing is known of its effect").into_response(),
    }
}

/// One log line a request, with an id that the answer carries too. Query, headers and body stay out of the log: they may
/// hold secrets.
async fn logged(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let value = HeaderValue::from_str(&id).expect("request ids are plain ASCII");
    request.headers_mut().insert(&REQUEST_ID, value.clone());
    let asked_for = auth::AskedFor(request.uri().clone());
    request.extensions_mut().insert(asked_for);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if response.status().is_server_error() && response.status() != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!(request.id = %id, %method, path = ?path, status, duration_ms, "a request failed");
    } else {
        tracing::debug!(request.id = %id, %method, path = ?path, status, duration_ms, "answered");
    }
    let headers = response.headers_mut();
    headers.insert(&REQUEST_ID, value);
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    response
}

/// The sender's id if it is a plain word, else the next number.
fn request_id(request: &Request) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let sent = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= REQUEST_ID_BYTES_MAX
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match sent.filter(plain) {
        Some(id) => id.to_owned(),
        None => format!("r{}", NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}
