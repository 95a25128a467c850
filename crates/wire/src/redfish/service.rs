//! The service root, session service and event service: what a controller offers and where.

use serde_json::{Value, json};

use super::{Node, Vendor};

/// Where a service keeps what, and what it can do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceRoot {
    pub version: String,
    pub product: String,
    pub vendor: Vendor,
    pub uuid: String,
    pub systems: Option<String>,
    pub chassis: Option<String>,
    pub managers: Option<String>,
    /// Storage of its own (Swordfish): arrays that belong to no system.
    pub storage: Vec<String>,
    pub sessions: Option<String>,
    pub event_service: Option<String>,
    /// The query that expands members by one level; `None` where the service has none.
    pub expand: Option<&'static str>,
    /// `$top` and `$skip` are understood.
    pub pages: bool,
}

impl ServiceRoot {
    /// `None` if this is no service root: any other JSON document.
    pub fn read(root: &Value) -> Option<ServiceRoot> {
        let node = Node::of(root);
        let version = node.get("RedfishVersion").owned();
        let link = |key: &str| node.get(key).link();
        let (systems, chassis, managers) = (link("Systems"), link("Chassis"), link("Managers"));
        let storage: Vec<String> =
            ["Storage", "StorageSystems", "StorageServices"].into_iter().filter_map(link).collect();
        let is_root = node.get("@odata.type").text().is_some_and(|kind| kind.contains("ServiceRoot"));
        if !is_root && (version.is_empty() || (systems.is_none() && chassis.is_none() && storage.is_empty())) {
            return None;
        }
        let sessions = node.at(&["Links", "Sessions"]).link();
        let session_service = link("SessionService").map(|path| format!("{}/Sessions", path.trim_end_matches('/')));
        Some(ServiceRoot {
            version,
            product: node.get("Product").owned(),
            vendor: Vendor::of_root(node),
            uuid: node.get("UUID").owned(),
            systems,
            chassis,
            managers,
            storage,
            sessions: sessions.or(session_service),
            event_service: link("EventService"),
            expand: expand(node.at(&["ProtocolFeaturesSupported", "ExpandQuery"])),
            pages: node.at(&["ProtocolFeaturesSupported", "TopSkipQuery"]).bool() == Some(true),
        })
    }
}

/// DSP0266, "$expand": `.` = what is subordinate, `*` = all links; levels only where they are offered.
fn expand(offered: Node<'_>) -> Option<&'static str> {
    let has = |key: &str| offered.get(key).bool() == Some(true);
    match (has("NoLinks"), has("ExpandAll"), has("Levels")) {
        (true, _, true) => Some("$expand=.($levels=1)"),
        (true, _, false) => Some("$expand=."),
        (false, true, true) => Some("$expand=*($levels=1)"),
        (false, ..) => None,
    }
}

/// The body that opens a session.
pub fn login(user: &str, password: &str) -> Value {
    json!({ "UserName": user, "Password": password })
}

/// What an event service says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventService {
    pub is_enabled: bool,
    pub subscriptions: Option<String>,
    pub retry_attempts: Option<u64>,
    /// Kinds that must be named; older services want them, newer ones have none.
    pub event_types: Vec<String>,
}

impl EventService {
    pub fn read(service: &Value) -> EventService {
        let node = Node::of(service);
        let types = node.get("EventTypesForSubscription").items();
        EventService {
            is_enabled: node.get("ServiceEnabled").bool().unwrap_or(true),
            subscriptions: node.get("Subscriptions").link(),
            retry_attempts: node.get("DeliveryRetryAttempts").whole(),
            event_types: types.into_iter().filter_map(Node::text).map(ToOwned::to_owned).collect(),
        }
    }

    /// The body of a subscription.
    pub fn subscription(&self, destination: &str, context: &str) -> Value {
        let mut body = json!({ "Destination": destination, "Context": context, "Protocol": "Redfish" });
        // A service that lists kinds refuses a subscription to none; metric reports are of no use here.
        let wanted: Vec<&str> =
            self.event_types.iter().map(String::as_str).filter(|kind| *kind != "MetricReport").collect();
        if let (false, Some(members)) = (wanted.is_empty(), body.as_object_mut()) {
            members.insert("EventTypes".to_owned(), json!(wanted));
        }
        body
    }
}

/// A subscription that a service has.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    pub path: Option<String>,
    pub destination: String,
    pub context: String,
    /// It is not suspended or failed.
    pub is_well: bool,
}

impl Subscription {
    pub fn read(subscription: Node<'_>) -> Subscription {
        let status = super::Status::read(subscription);
        Subscription {
            path: subscription.link(),
            destination: subscription.get("Destination").owned(),
            context: subscription.get("Context").owned(),
            is_well: status.is_active() && status.own() != Some(super::Health::Critical),
        }
    }
}
