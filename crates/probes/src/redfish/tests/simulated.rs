//! A simulated Redfish service over TLS, whose resources, manners and faults a test sets.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// How it behaves; all off = as the schema has it, without `$expand`.
#[derive(Default)]
pub struct Behaviour {
    pub expands: bool,
    pub fails_to_expand: bool,
    pub forbids: bool,
    pub is_full: bool,
    pub has_no_sessions: bool,
    /// Text before each document.
    pub banner: bool,
    /// Paths that answer with a document that ends too early.
    pub broken: Vec<String>,
    /// Paths that never answer.
    pub hangs: Vec<String>,
    /// It answers by HTTP/1.0 without a length and hangs up without a farewell of TLS; so much of each body is kept back.
    pub hangs_up: Option<usize>,
    pub tokens: BTreeSet<String>,
    /// Further members of the root.
    pub root: BTreeMap<String, Value>,
}

#[derive(Default)]
struct State {
    resources: BTreeMap<String, Value>,
    behaviour: Behaviour,
    asked: Vec<String>,
    given: usize,
}

/// A running service; it ends with its handle.
pub struct Simulated {
    pub port: u16,
    /// PEM.
    pub certificate: String,
    pub fingerprint: String,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn link(path: &str) -> Value {
    json!({"@odata.id": path})
}

fn well() -> Value {
    json!({"State": "Enabled", "Health": "OK"})
}

/// Collections are made from what lies below them.
fn resources() -> BTreeMap<String, Value> {
    let v1 = "/redfish/v1";
    let drive = |n: &str| {
        json!({"Name": format!("Disk {n}"), "PhysicalLocation": {"PartLocation": {"ServiceLabel": format!("Bay {n}")}},
               "FailurePredicted": false, "PredictedMediaLifeLeftPercent": 98, "Status": well()})
    };
    let drives: Vec<Value> = ["0", "1"].iter().map(|n| link(&format!("{v1}/Systems/1/Storage/1/Drives/{n}"))).collect();
    let supply = |n: u8| {
        json!({"@odata.id": format!("{v1}/Chassis/1/Power#/PowerSupplies/{n}"), "Name": format!("PSU {}", n + 1),
                                "LineInputStatus": "Normal", "PowerOutputWatts": 120, "Status": well()})
    };
    let all = [
        (
            "/Systems/1",
            json!({"Id": "1", "Name": "node-one", "Oem": {}, "Manufacturer": "ACME", "Model": "X1", "PowerState": "On", "Status": well(),
            "MemorySummary": {"Status": {"HealthRollup": "OK"}}, "ProcessorSummary": {"Status": {"HealthRollup": "OK"}},
            "Storage": link(&format!("{v1}/Systems/1/Storage")), "Links": {"Chassis": [link(&format!("{v1}/Chassis/1"))]}}),
        ),
        (
            "/Systems/1/Storage/1",
            json!({"Name": "RAID", "Status": well(), "Drives": drives, "StorageControllers": [{"Name": "PERC", "Status": well()}],
            "Volumes": link(&format!("{v1}/Systems/1/Storage/1/Volumes"))}),
        ),
        ("/Systems/1/Storage/1/Drives/0", drive("1")),
        ("/Systems/1/Storage/1/Drives/1", drive("2")),
        (
            "/Systems/1/Storage/1/Volumes/1",
            json!({"Name": "system", "RAIDType": "RAID1", "Status": well(), "Links": {"Drives": drives}}),
        ),
        (
            "/Chassis/1",
            json!({"Name": "Chassis", "Status": well(), "PowerState": "On", "Power": link(&format!("{v1}/Chassis/1/Power")),
            "Thermal": link(&format!("{v1}/Chassis/1/Thermal"))}),
        ),
        (
            "/Chassis/1/Power",
            json!({"PowerSupplies": [supply(0), supply(1)], "PowerControl": [{"PowerConsumedWatts": 230}],
            "Redundancy": [{"Name": "PSU Redundancy", "Mode": "N+m", "MinNumNeeded": 1, "Status": well(),
                "RedundancySet": [link(&format!("{v1}/Chassis/1/Power#/PowerSupplies/0")), link(&format!("{v1}/Chassis/1/Power#/PowerSupplies/1"))]}]}),
        ),
        (
            "/Chassis/1/Thermal",
            json!({"Fans": [{"Name": "Fan 1", "Reading": 5400, "ReadingUnits": "RPM", "LowerThresholdCritical": 600, "Status": well()}],
            "Temperatures": [{"Name": "Inlet", "ReadingCelsius": 22, "UpperThresholdNonCritical": 42, "UpperThresholdCritical": 47, "Status": well()}]}),
        ),
        (
            "/Managers/bmc",
            json!({"Id": "bmc", "FirmwareVersion": "7.10", "Status": well(), "LogServices": link(&format!("{v1}/Managers/bmc/LogServices"))}),
        ),
        (
            "/Managers/bmc/LogServices/Sel",
            json!({"Id": "Sel", "ServiceEnabled": true, "Entries": link(&format!("{v1}/Managers/bmc/LogServices/Sel/Entries"))}),
        ),
        (
            "/Managers/bmc/LogServices/Sel/Entries/1",
            json!({"Id": "1", "Created": "2026-11-01T00:00:00Z", "Severity": "OK", "Message": "System boot"}),
        ),
        (
            "/Managers/bmc/LogServices/Sel/Entries/2",
            json!({"Id": "2", "Created": "2026-11-02T00:00:00Z", "Severity": "Warning", "Message": "Fan 1 slow"}),
        ),
        (
            "/EventService",
            json!({"ServiceEnabled": true, "EventTypesForSubscription": ["Alert", "MetricReport"],
            "Subscriptions": link(&format!("{v1}/EventService/Subscriptions"))}),
        ),
    ];
    all.into_iter().map(|(path, value)| (format!("{v1}{path}"), value)).collect()
}

impl Simulated {
    pub async fn start() -> Simulated {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a fitting pair");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared::default());
        shared.state().resources = resources();
        let (acceptor, own) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&shared));
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&own)));
            }
        }));
        let fingerprint: String = Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02x}")).collect();
        Simulated { port, certificate: certificate.pem(), fingerprint, shared, _task: task }
    }

    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.state().behaviour);
    }

    /// Changes a member, named as JSON pointers do.
    pub fn patch(&self, path: &str, member: &str, value: Value) {
        let mut state = self.shared.state();
        let place = state.resources.get_mut(path).and_then(|resource| resource.pointer_mut(member));
        *place.unwrap_or_else(|| panic!("{path} has no {member}")) = value;
    }

    pub fn log(&self, id: &str, severity: &str, message: &str) {
        let path = format!("/redfish/v1/Managers/bmc/LogServices/Sel/Entries/{id}");
        let entry = json!({"Id": id, "Created": "2026-11-03T00:00:00Z", "Severity": severity, "Message": message});
        self.shared.state().resources.insert(path, entry);
    }

    pub fn drop_below(&self, path: &str) {
        self.shared.state().resources.retain(|own, _| !own.starts_with(path));
    }

    pub fn add_system(&self, id: &str, name: &str, power: &str) {
        let system = json!({"Id": id, "Name": name, "PowerState": power, "Status": well()});
        self.shared.state().resources.insert(format!("/redfish/v1/Systems/{id}"), system);
    }

    /// Resources of its own, and members of the root.
    pub fn put(&self, resources: &[(&str, Value)], root: &[(&str, &str)]) {
        let mut state = self.shared.state();
        state.resources.extend(resources.iter().map(|(path, value)| ((*path).to_owned(), value.clone())));
        state.behaviour.root.extend(root.iter().map(|(key, path)| ((*key).to_owned(), link(path))));
    }

    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    pub fn count(&self, request: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == request).count()
    }

    pub fn sessions(&self) -> usize {
        self.shared.state().behaviour.tokens.len()
    }

    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    pub fn subscriptions(&self) -> Vec<Value> {
        let state = self.shared.state();
        let of_it = state.resources.range("/redfish/v1/EventService/Subscriptions/".to_owned()..);
        of_it
            .take_while(|(path, _)| path.starts_with("/redfish/v1/EventService/Subscriptions/"))
            .map(|(_, value)| value.clone())
            .collect()
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<Shared>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let hangs_up = shared.state().behaviour.hangs_up;
    if let Some(kept_back) = hangs_up {
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).await.unwrap_or(0);
        let text = String::from_utf8_lossy(asked.get(..length).unwrap_or_default()).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let credential = text.lines().find_map(|line| line.strip_prefix("authorization: ")).map(str::trim);
        let answer = shared.state().respond(&Method::GET, &path, "", credential, Value::Null);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let sent = body.get(..body.len().saturating_sub(kept_back)).unwrap_or_default();
        let _ = stream.write_all(format!("HTTP/1.0 {status} X\r\n\r\n").as_bytes()).await;
        let _ = stream.write_all(sent).await;
        let _ = stream.flush().await;
        return;
    }
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // How a client leaves is its own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    if shared.state().behaviour.hangs.contains(&path) {
        std::future::pending::<()>().await;
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let query = head.uri.query().unwrap_or_default().to_owned();
    let credential = ["x-auth-token", "authorization"].iter().find_map(|name| head.headers.get(*name)?.to_str().ok());
    let response = shared.state().respond(&head.method, &path, &query, credential, body);
    shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    response
}

fn reply(status: u16) -> hyper::http::response::Builder {
    Response::builder().status(status).header("content-type", "application/json")
}

fn document(status: u16, value: &Value) -> Response<Full<Bytes>> {
    reply(status).body(Full::from(value.to_string())).expect("an answer")
}

fn error(status: u16, message: &str) -> Response<Full<Bytes>> {
    document(status, &json!({"error": {"code": "Base.1.0.GeneralError", "message": message}}))
}

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
const SUBSCRIPTIONS: &str = "/redfish/v1/EventService/Subscriptions";

impl State {
    fn respond(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        credential: Option<&str>,
        body: Value,
    ) -> Response<Full<Bytes>> {
        let shown = if query.is_empty() { format!("{method} {path}") } else { format!("{method} {path}?{query}") };
        self.asked.push(shown);
        if path.trim_end_matches('/') == "/redfish/v1" {
            let root = self.root();
            return if self.behaviour.banner {
                reply(200).body(Full::from(format!("Welcome!\n{root}"))).expect("an answer")
            } else {
                document(200, &root)
            };
        }
        if method == Method::POST && path == SESSIONS {
            return self.log_in(&body);
        }
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("monitor:secret-word"));
        let is_known = credential.is_some_and(|one| self.behaviour.tokens.contains(one) || one == basic);
        match (is_known, self.behaviour.forbids) {
            (false, _) => return error(401, "no valid session"),
            (true, true) => return error(403, "insufficient privilege"),
            (true, false) => {}
        }
        match *method {
            Method::DELETE => {
                let token = path.strip_prefix(&format!("{SESSIONS}/")).map(ToOwned::to_owned);
                let was = token.is_some_and(|token| self.behaviour.tokens.remove(&token))
                    || self.resources.remove(path).is_some();
                if was { document(200, &json!({})) } else { error(404, "no such thing") }
            }
            Method::POST if path == SUBSCRIPTIONS => {
                self.given += 1;
                let path = format!("{SUBSCRIPTIONS}/{}", self.given);
                self.resources.insert(path.clone(), body.clone());
                reply(201).header("location", path).body(Full::default()).expect("an answer")
            }
            _ => self.get(path, query),
        }
    }

    fn root(&self) -> Value {
        let mut root = json!({"@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot", "RedfishVersion": "1.11.0", "Vendor": "ACME",
            "Systems": link("/redfish/v1/Systems"), "Chassis": link("/redfish/v1/Chassis"), "Managers": link("/redfish/v1/Managers"),
            "EventService": link("/redfish/v1/EventService"),
            "ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": self.behaviour.expands, "Levels": true}}});
        for (key, value) in &self.behaviour.root {
            root[key.as_str()] = value.clone();
        }
        if !self.behaviour.has_no_sessions {
            root["Links"] = json!({"Sessions": link(SESSIONS)});
        }
        root
    }

    fn log_in(&mut self, body: &Value) -> Response<Full<Bytes>> {
        if self.behaviour.is_full {
            return error(503, "the limit of sessions is reached");
        }
        if body != &json!({"UserName": "monitor", "Password": "secret-word"}) {
            return error(401, "invalid user or password");
        }
        self.given += 1;
        let token = format!("token-{}", self.given);
        self.behaviour.tokens.insert(token.clone());
        let answer = reply(201)
            .header("x-auth-token", &token)
            .header("location", format!("https://bmc.example{SESSIONS}/{token}"));
        answer.body(Full::from("{}")).expect("an answer")
    }

    fn get(&self, path: &str, query: &str) -> Response<Full<Bytes>> {
        if self.behaviour.broken.iter().any(|broken| broken == path) {
            return reply(200).body(Full::from("{\"Fans\": [{\"Name\":")).expect("an answer");
        }
        if let Some(value) = self.resources.get(path) {
            return document(200, &self.named(path, value));
        }
        let below = format!("{path}/");
        let direct =
            self.resources.iter().filter(|(own, _)| own.strip_prefix(&below).is_some_and(|rest| !rest.contains('/')));
        let direct: Vec<(&String, &Value)> = direct.collect();
        if direct.is_empty() && path != SUBSCRIPTIONS {
            return error(404, "no such resource");
        }
        let expands = query.starts_with("$expand=");
        if expands && self.behaviour.fails_to_expand {
            return error(500, "internal error");
        }
        // Log entries are never links.
        let whole = (expands && self.behaviour.expands) || path.ends_with("/Entries");
        let members: Vec<Value> =
            direct.iter().map(|(own, value)| if whole { self.named(own, value) } else { link(own) }).collect();
        document(200, &json!({"@odata.id": path, "Members": members, "Members@odata.count": members.len()}))
    }

    fn named(&self, path: &str, value: &Value) -> Value {
        let mut value = value.clone();
        if let Some(members) = value.as_object_mut() {
            members.insert("@odata.id".to_owned(), json!(path));
        }
        value
    }
}
