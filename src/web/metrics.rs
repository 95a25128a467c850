//! `/metrics`: the snapshot and the process's own figures for Prometheus, streamed, never built as one text.
//! Plugin output never becomes a label; of perfdata only label and unit do, cut to a length.

pub mod encode;
pub mod registry;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{RequestExt, extract::Query};
use futures_util::stream;
use prometheus::proto::MetricFamily;
use serde::Deserialize;
use stentor_core::snapshot::Snapshot;

use self::encode::{Encoder, Labels};
use super::WebState;
use super::auth::Session;
use super::problem::Problem;

/// The two text formats that Prometheus reads.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Exposition format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What the scraper likes best; text unless it asks for OpenMetrics.
    pub fn negotiate(accept: &str) -> Format {
        let quality = |media: &str| {
            let weigh = |range: &str| {
                let mut parts = range.split(';').map(str::trim);
                if !parts.next()?.eq_ignore_ascii_case(media) {
                    return None;
                }
                let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
                Some(q)
            };
            accept.split(',').filter_map(weigh).fold(None, |best: Option<f64>, q| Some(best.map_or(q, |b| b.max(q))))
        };
        let open = quality("application/openmetrics-text").unwrap_or(0.0);
        let text = quality("text/plain").or_else(|| quality("text/*")).or_else(|| quality("*/*")).unwrap_or(0.0);
        if open > 0.0 && open >= text { Format::OpenMetrics } else { Format::Text }
    }
}

/// Which part is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub own: bool,
    pub checks: bool,
    /// Hosts with `fnv(name) % of == index`.
    pub index: u32,
    pub of: u32,
}

impl Part {
    pub const ALL: Part = Part { own: true, checks: true, index: 0, of: 1 };

    fn parse(query: &MetricsQuery) -> Result<Part, Problem> {
        let (own, checks) = match query.only.as_deref() {
            None => (true, true),
            Some("self") => (true, false),
            Some("checks") => (false, true),
            Some(_) => return Err(Problem::invalid("`only` is `self` or `checks`")),
        };
        let (index, of) = match &query.shard {
            None => (0, 1),
            Some(text) => {
                let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
                let (index, of): (u32, u32) = parts.unwrap_or((0, 0));
                if index >= of || of > SHARDS_MAX {
                    return Err(Problem::invalid(format!("`shard` is i/n with 0 <= i < n <= {SHARDS_MAX}")));
                }
                (index, of)
            }
        };
        // Figures without a host are in the first shard only, or sums over shards would count them n times.
        Ok(Part { own: own && index == 0, checks, index, of })
    }
}

/// More scrapers than this for one installation is a typing error.
const SHARDS_MAX: u32 = 1024;

#[derive(Default, Deserialize)]
#[serde(default)]
struct MetricsQuery {
    only: Option<String>,
    shard: Option<String>,
}

/// Label texts of the newest catalog: escaped once, used at every scrape.
type LabelCache = Arc<ArcSwapOption<Labels>>;

pub fn routes() -> Router<WebState> {
    Router::new().route("/metrics", get(metrics)).layer(Extension(LabelCache::default()))
}

async fn metrics(
    State(state): State<WebState>,
    Extension(cache): Extension<LabelCache>,
    Query(query): Query<MetricsQuery>,
    mut request: Request,
) -> Result<Response, Response> {
    if !is_local(&request) {
        request.extract_parts_with_state::<Session, _>(&state).await.map_err(IntoResponse::into_response)?;
    }
    let part = Part::parse(&query).map_err(IntoResponse::into_response)?;
    let format = Format::negotiate(&accept(request.headers()));
    let snapshot = state.engine.snapshot();
    let labels = match cache.load_full().filter(|labels| Arc::ptr_eq(&labels.catalog, &snapshot.catalog)) {
        Some(labels) => labels,
        None => {
            let fresh = Arc::new(Labels::new(Arc::clone(&snapshot.catalog)));
            cache.store(Some(Arc::clone(&fresh)));
            fresh
        }
    };
    let own = if part.own {
        let inbox = &state.engine.inbox;
        let waiting = inbox.max_capacity().saturating_sub(inbox.capacity());
        own_figures(&snapshot, waiting, &state.self_metrics.gather(), format)
    } else {
        String::new()
    };
    let chunks =
        Encoder::new(snapshot, labels, part, format, own).map(|text| Ok::<_, std::io::Error>(Bytes::from(text)));
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream::iter(chunks))).into_response())
}

/// A scraper on this machine, not somebody behind a proxy on it.
fn is_local(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    peer.is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback())
        && !forwarded.iter().any(|name| request.headers().contains_key(*name))
}

fn accept(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// The process's own figures: what the writer and its inbox are at, and everything in the registry.
pub fn own_figures(snapshot: &Snapshot, waiting: usize, registry: &[MetricFamily], format: Format) -> String {
    let mut out = String::new();
    let gauges = [
        ("stentor_engine_inbox_length", "Inputs that wait for the writer.", waiting as f64),
        ("stentor_journal_sequence", "Newest journal sequence that is visible.", snapshot.seq as f64),
        (
            "stentor_persistence_degraded",
            "1 while Stentor cannot write its journal or database.",
            f64::from(u8::from(snapshot.degraded.is_some())),
        ),
    ];
    for (name, help, value) in gauges {
        registry::gauge(&mut out, name, help, value);
    }
    let inputs = ("stentor_engine_inputs_total", snapshot.counters.inputs_applied as f64);
    registry::counter(&mut out, inputs.0, "Inputs applied by the engine.", inputs.1, format);
    // The registry may know these too; a family may occur once.
    let is_ours = |name: &str| name == inputs.0 || gauges.iter().any(|(ours, ..)| *ours == name);
    for family in registry.iter().filter(|family| !is_ours(family.name())) {
        registry::family(&mut out, family, format);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scraper_chooses_the_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, expected) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text;q=0.1, text/plain;q=0.9", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=junk", Format::Text),
        ] {
            assert_eq!(Format::negotiate(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn shards_must_make_sense() {
        let parse = |shard: &str| Part::parse(&MetricsQuery { only: None, shard: Some(shard.to_owned()) });
        assert_eq!(parse("0/3").unwrap(), Part { index: 0, of: 3, ..Part::ALL });
        assert!(!parse("1/3").unwrap().own, "figures without a host are in one shard only");
        for bad in ["3/3", "1", "-1/2", "0/0", "a/b", "0/99999", ""] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
