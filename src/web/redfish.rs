//! Events that controllers (BMCs) send to us: taken by their context token, looked at before they are believed.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use stentor_core::catalog::{Catalog, Service};
use stentor_core::engine::{Command, ResultSource, Took};
use stentor_core::id::HostId;
use stentor_core::model::{ObjectKey, ServiceState, Value};
use stentor_wire::redfish::Health;
use stentor_wire::redfish::event::{Event, Record, context};
use subtle::ConstantTimeEq;

use super::WebState;
use super::api::extract::InPath;
use super::problem::Problem;
use crate::engine::KeyedResult;
use crate::nagios::passive;

/// One delivery; controllers send a few records at a time.
const EVENT_BYTES_MAX: usize = 256 * 1024;
/// The probe of the checks that an event sets off, and of the service that has subscribed.
const PROBE: &str = "redfish";
const EVENTS_PROBE: &str = "redfish_events";
/// Longest secret read.
const SECRET_BYTES_MAX: usize = 1024;

pub fn routes() -> Router<WebState> {
    Router::new().route("/api/v1/redfish/events/{host}", post(take)).layer(DefaultBodyLimit::max(EVENT_BYTES_MAX))
}

#[derive(Deserialize)]
struct Named {
    host: String,
}

/// An event of the controller of one host. Who has no token learns nothing, not even which hosts there are.
async fn take(
    State(state): State<WebState>,
    InPath(Named { host }): InPath<Named>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let refused = || Problem::forbidden("this is no event under the context token of this host");
    let event = Event::parse(&body).map_err(|_| refused())?;
    let snapshot = state.engine.snapshot();
    let catalog = &snapshot.catalog;
    let id = snapshot.host(&host).ok_or_else(refused)?;
    let (service, token_file) = subscription(catalog, id).ok_or_else(refused)?;
    let secret = read_secret(&token_file).await.map_err(|error| {
        tracing::error!(host.name = %host, %error, "an event was refused: `{token_file}` cannot be read");
        Problem::unavailable("the secret of the context tokens cannot be read; see the log of Stentor")
    })?;
    if !bool::from(event.context.as_bytes().ct_eq(context(&secret, &host).as_bytes())) {
        tracing::warn!(host.name = %host, "an event without the context token of the host was refused");
        return Err(refused());
    }
    if let Some(record) = event.worst() {
        tell(&state, &host, service, record).await?;
    }
    // A controller that chatters has its host polled every few seconds, not for each word.
    if (state.make_old)(&host) {
        look_at(&state, catalog, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The service that keeps the subscription, and where its secret is.
fn subscription(catalog: &Catalog, host: HostId) -> Option<(&Service, String)> {
    services(catalog, host, EVENTS_PROBE).find_map(|service| {
        let params = catalog.checks[service.check.index()].params.overlaid(&service.params);
        let file = params.map()?.get("token_file").and_then(Value::text)?.to_owned();
        Some((service, file))
    })
}

fn services<'a>(catalog: &'a Catalog, host: HostId, kind: &'static str) -> impl Iterator<Item = &'a Service> {
    let own = &catalog.hosts[host.index()].services;
    let own = own.iter().map(|id| &catalog.services[id.index()]);
    own.filter(move |service| *catalog.checks[service.check.index()].probe == *kind)
}

/// What the event says becomes a result of the service that subscribed, if it says anything bad.
async fn tell(state: &WebState, host: &str, service: &Service, record: &Record) -> Result<(), Problem> {
    let bad = match record.severity {
        Some(Health::Critical) => ServiceState::Critical,
        Some(Health::Warning) => ServiceState::Warning,
        Some(Health::Ok) | None => return Ok(()),
    };
    let origin = record.origin.as_deref().map(|origin| format!(" ({origin})")).unwrap_or_default();
    let text = format!("event: {}{origin}", record.message).replace('|', "/");
    let result = KeyedResult {
        object: ObjectKey { host: host.into(), service: Some(Arc::clone(&service.name)) },
        observed_at: state.clock.now(),
        source: ResultSource::Passive,
        observation: Arc::new(passive::of_service(i32::from(bad.code()), &text)),
        id: None,
        took: Took::default(),
    };
    state.engine.submit(result).await?;
    Ok(())
}

/// Has everything of the host that Redfish tells looked at now.
async fn look_at(state: &WebState, catalog: &Catalog, host: HostId) -> Result<(), Problem> {
    let name = &catalog.hosts[host.index()].name;
    for service in services(catalog, host, PROBE) {
        let object = ObjectKey { host: Arc::clone(name), service: Some(Arc::clone(&service.name)) };
        state.engine.command(Command::CheckNow { object, by: "redfish event".into() }, None).await?;
    }
    Ok(())
}

/// The first line of the file, as the probe reads it.
async fn read_secret(path: &str) -> std::io::Result<Vec<u8>> {
    let content = tokio::fs::read(path).await?;
    if content.len() > SECRET_BYTES_MAX {
        return Err(std::io::Error::other("it is longer than any secret"));
    }
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.trim_ascii_end().to_vec())
}
