//! `/components` and `/counts`: each cloud at a glance.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stentor_core::catalog::Component;
use stentor_core::diagnosis::Class;
use stentor_core::id::ComponentId;
use stentor_core::model::Value;
use stentor_core::snapshot::Snapshot;

use super::extract::InQuery;
use super::select::filter;
use super::{ListQuery, dto, json, page};
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::problem::Problem;
use crate::web::subject;

/// Whether a class takes its target out of service.
fn stops_service(class: Class) -> bool {
    match class {
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::Network
        | Class::PowerEvent
        | Class::SiteDown
        | Class::AdminStopped
        | Class::Starting => true,
        Class::NetworkPath
        | Class::MonitorIsolated
        | Class::SplitBrain
        | Class::RedundancyLost
        | Class::ResourceAtRisk
        | Class::Flapping
        | Class::Unknown => false,
    }
}

/// Whether the component works, as far as the newest diagnosis knows; `None` = too little is known.
pub fn in_service(snapshot: &Snapshot, component: &Component) -> Option<bool> {
    let host = &snapshot.catalog.hosts[component.host.index()];
    let cloud = host.cloud.and_then(|cloud| snapshot.clouds.get(cloud.index()))?;
    let names = |its_host: &Option<_>, its_component: &Option<_>| {
        its_host.as_ref() == Some(&host.name) && its_component.as_ref().is_none_or(|key| *key == component.key)
    };
    let diagnosis = &cloud.diagnosis;
    let hit = (diagnosis.verdicts.iter()).any(|v| stops_service(v.class) && names(&v.target.host, &v.target.component))
        || diagnosis.suppressed.iter().any(|s| stops_service(s.class) && names(&s.host, &s.component));
    if hit {
        return Some(false);
    }
    let unknown = diagnosis.unknown.iter().any(|m| names(&m.target.host, &m.target.component));
    let unseen = component.services.iter().all(|id| {
        let row = &snapshot.services[id.index()];
        row.is_pending() || row.is_stale()
    });
    if unknown || unseen { None } else { Some(true) }
}

/// What the controller says of the instance, from the fact `service_state` or `heartbeat` of its checks.
fn role<'a>(snapshot: &'a Snapshot, component: &Component) -> Option<&'a str> {
    ["service_state", "heartbeat"].into_iter().find_map(|fact| {
        component.services.iter().find_map(|id| {
            let observation = snapshot.service_details[id.index()].observation.as_ref()?;
            observation.facts.get(fact).and_then(Value::text)
        })
    })
}

fn component(snapshot: &Snapshot, id: ComponentId) -> dto::Component<'_> {
    let catalog = &snapshot.catalog;
    let component = &catalog.components[id.index()];
    let host = &catalog.hosts[component.host.index()];
    let min = (catalog.platform(&component.platform))
        .and_then(|platform| platform.components.iter().find(|kind| kind.key == component.key))
        .map(|kind| kind.redundancy_min);
    let peers = catalog.components.iter().filter(|other| {
        other.key == component.key
            && other.platform == component.platform
            && catalog.hosts[other.host.index()].cloud == host.cloud
    });
    let (mut left, mut of) = (0, 0);
    for peer in peers {
        of += 1;
        // An instance of which nothing is known is presumed to work (specification 10, section 2).
        left += u32::from(in_service(snapshot, peer) != Some(false));
    }
    dto::Component {
        key: &component.key,
        platform: &component.platform,
        host: &host.name,
        zone: catalog.zones.get(host.zone.index()).map_or("", |zone| &zone.name),
        in_service: in_service(snapshot, component),
        role: role(snapshot, component),
        redundancy: dto::Redundancy { left, of, min },
    }
}

/// In the order of the configuration. `?q=` asks of the host that the component runs on; `comp:` of the component.
pub async fn components(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let components = &snapshot.catalog.components;
    let cursor = |id: &ComponentId| {
        let component = &components[id.index()];
        format!("{}/{}", component.key, snapshot.catalog.hosts[component.host.index()].name)
    };
    let start = match &query.after {
        None => 0,
        Some(after) => {
            let found = (0..components.len()).find(|i| cursor(&ComponentId::from_index(*i)) == *after);
            found.ok_or_else(|| Problem::new(StatusCode::GONE, "lost-cursor", "`after` names no component now"))? + 1
        }
    };
    let filter = filter(&query.q)?;
    let now = state.clock.now();
    let selects =
        |id: &ComponentId| filter.matches(&subject::host(&snapshot, components[id.index()].host, now), &session.user);
    let rows = (start..components.len()).map(ComponentId::from_index).filter(selects);
    Ok(json(StatusCode::OK, &page(snapshot.seq, query.limit(), rows, cursor, |id| component(&snapshot, *id))))
}

pub async fn counts(State(state): State<WebState>, _session: Session) -> Response {
    json(StatusCode::OK, &dto::Counts::of(&state.engine.snapshot()))
}
