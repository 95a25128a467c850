//! Requests under a login: session tokens (anew upon 401, given back at the end), entity tags, expanded collections.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use hyper::Method;
use hyper::header::{AUTHORIZATION, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use serde_json::Value;
use stentor_wire::redfish::service::{ServiceRoot, login};
use stentor_wire::redfish::{self, ROOT, error_text, members, next_page, path_of};
use tokio::time::Instant;

use super::RedfishError;
use super::client::Access;
use super::connection::{Answer, Ask, Connection};
use crate::Network;

/// Requests of one poll. A full rack server takes about a hundred without `$expand`.
const REQUESTS_MAX: u32 = 600;
/// Pages of one collection.
const PAGES_MAX: usize = 16;
/// Members of one collection that are asked for one by one.
const MEMBERS_MAX: usize = 256;
/// Bytes of bodies kept for `If-None-Match`, for one controller; with 5,000 of them 320 MB at most.
const KEPT_BYTES_MAX: usize = 64 * 1024;
const REDIRECTS_MAX: u32 = 2;

static TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// A login that the controller keeps for us.
#[derive(Clone)]
pub(super) struct Session {
    token: HeaderValue,
    /// Where it is ended.
    location: Option<String>,
}

/// What is known of a controller from one poll to the next.
#[derive(Default)]
pub(super) struct Memory {
    pub root: Option<ServiceRoot>,
    /// It offers `$expand` and has not failed at it.
    can_expand: bool,
    kept: BTreeMap<String, Kept>,
    kept_bytes: usize,
}

struct Kept {
    tag: HeaderValue,
    value: Arc<Value>,
    bytes: usize,
}

/// One poll's way to a controller.
pub(super) struct Link<'a> {
    net: &'a Network,
    access: &'a Access,
    session: &'a mut Option<Session>,
    pub memory: &'a mut Memory,
    connection: Option<Connection>,
    requests: u32,
    deadline: Instant,
}

impl<'a> Link<'a> {
    pub fn new(
        net: &'a Network,
        access: &'a Access,
        session: &'a mut Option<Session>,
        memory: &'a mut Memory,
        deadline: Instant,
    ) -> Self {
        Link { net, access, session, memory, connection: None, requests: 0, deadline }
    }

    /// The service root; it needs no login.
    ///
    /// # Errors
    /// Nobody answers, or somebody else than a Redfish service.
    pub async fn root(&mut self) -> Result<ServiceRoot, RedfishError> {
        if let Some(root) = &self.memory.root {
            return Ok(root.clone());
        }
        let answer = self.send(&Ask::get(ROOT)).await?;
        let not_redfish = |why: String| RedfishError::NotRedfish(why);
        match answer.status {
            200..=299 => {}
            401 | 403 => return Err(not_redfish(format!("its root wants a login (status {})", answer.status))),
            status => return Err(not_redfish(format!("it answers {ROOT} with status {status}"))),
        }
        let value = redfish::parse(&answer.body).map_err(|error| not_redfish(format!("its root: {error}")))?;
        let root = ServiceRoot::read(&value).ok_or_else(|| not_redfish("its root is no service root".to_owned()))?;
        self.memory.can_expand = root.expand.is_some();
        self.memory.root = Some(root.clone());
        Ok(root)
    }

    /// The resource at `path`.
    ///
    /// # Errors
    /// See [`RedfishError`]; `Missing` where the service has no such thing.
    pub async fn get(&mut self, path: &str) -> Result<Arc<Value>, RedfishError> {
        let mut ask = Ask::get(path);
        if let Some(kept) = self.memory.kept.get(path) {
            ask = ask.with(IF_NONE_MATCH, kept.tag.clone());
        }
        let answer = self.authorized(ask).await?;
        if answer.status == 304
            && let Some(kept) = self.memory.kept.get(path)
        {
            return Ok(Arc::clone(&kept.value));
        }
        let value = Arc::new(read(path, &answer)?);
        self.memory.keep(path, &answer, &value);
        Ok(value)
    }

    /// The members of a collection as resources: expanded by the service where it can, else asked for one by one.
    ///
    /// # Errors
    /// As [`Link::get`], of the collection itself; a member that cannot be read goes into `unread`.
    pub async fn collection(&mut self, path: &str, unread: &mut Vec<String>) -> Result<Vec<Arc<Value>>, RedfishError> {
        let mut found = Vec::new();
        let mut next = Some(self.page(path).await?);
        for _ in 0..PAGES_MAX {
            let Some(page) = next.take() else { break };
            for member in members(&page) {
                if found.len() >= MEMBERS_MAX {
                    unread.push(format!("{path} has more than {MEMBERS_MAX} members"));
                    return Ok(found);
                }
                match (member.value(), member.link()) {
                    (Some(value), _) if member.is_expanded() => found.push(Arc::new(value.clone())),
                    (_, Some(link)) => match self.get(&link).await {
                        Ok(value) => found.push(value),
                        Err(error) => error.note(unread)?,
                    },
                    (_, None) => {}
                }
            }
            next = match next_page(&page) {
                Some(further) => Some(self.get(&further).await?),
                None => None,
            };
        }
        Ok(found)
    }

    /// The first page of a collection, expanded where that works.
    async fn page(&mut self, path: &str) -> Result<Arc<Value>, RedfishError> {
        let query = self.memory.root.as_ref().and_then(|root| root.expand).filter(|_| self.memory.can_expand);
        let Some(query) = query.filter(|_| !path.contains('?')) else { return self.get(path).await };
        match self.get(&format!("{path}?{query}")).await {
            Err(RedfishError::Missing(_)) => Err(RedfishError::Missing(path.to_owned())),
            Err(
                error @ (RedfishError::Status { .. } | RedfishError::Broken { .. } | RedfishError::NoResource { .. }),
            ) => {
                tracing::debug!(%error, "this service offers $expand and fails at it; asking for members one by one");
                self.memory.can_expand = false;
                self.get(path).await
            }
            other => other,
        }
    }

    /// Sends a body that changes something.
    ///
    /// # Errors
    /// The service refuses it.
    pub async fn change(&mut self, ask: Ask) -> Result<Answer, RedfishError> {
        let (method, path) = (ask.method.clone(), ask.path.clone());
        let answer = self.authorized(ask).await?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&format!("{method} {path}"), &answer)) }
    }

    /// One request under the login; a login that the service has forgotten is done anew, once.
    async fn authorized(&mut self, ask: Ask) -> Result<Answer, RedfishError> {
        let was_fresh = self.log_in().await?;
        let answer = self.follow(self.signed(ask.clone())?).await?;
        match answer.status {
            401 if was_fresh || self.access.basic || self.session.is_none() => {
                Err(RedfishError::Credentials(told(&answer, "it refuses the login")))
            }
            401 => {
                *self.session = None;
                self.log_in().await?;
                let answer = self.follow(self.signed(ask)?).await?;
                match answer.status {
                    401 => Err(RedfishError::Credentials(told(&answer, "it refuses the login"))),
                    403 => Err(RedfishError::Forbidden(told(&answer, "the user may not read it"))),
                    _ => Ok(answer),
                }
            }
            403 => Err(RedfishError::Forbidden(told(&answer, "the user may not read it"))),
            _ => Ok(answer),
        }
    }

    fn signed(&self, ask: Ask) -> Result<Ask, RedfishError> {
        if let Some(session) = &*self.session {
            return Ok(ask.with(TOKEN.clone(), session.token.clone()));
        }
        let pair = format!("{}:{}", self.access.user, self.access.password.reveal());
        let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let mut value =
            HeaderValue::try_from(text).map_err(|_| RedfishError::Credentials("unfit password".to_owned()))?;
        value.set_sensitive(true);
        Ok(ask.with(AUTHORIZATION, value))
    }

    /// Opens a session unless there is one, or the service has none, or basic authentication is chosen. `true` = just now.
    async fn log_in(&mut self) -> Result<bool, RedfishError> {
        if self.access.basic || self.session.is_some() {
            return Ok(false);
        }
        let Some(path) = self.root().await?.sessions else { return Ok(false) };
        let answer = self.follow(Ask::post(&path, &login(&self.access.user, self.access.password.reveal()))).await?;
        let token = answer.headers.get(&TOKEN).cloned();
        match (answer.status, token) {
            (200..=299, Some(mut token)) => {
                token.set_sensitive(true);
                let own = redfish::parse(&answer.body).ok();
                let own = own.as_ref().and_then(|value| redfish::Node::of(value).link());
                let location = answer.header("location").and_then(path_of).or(own);
                *self.session = Some(Session { token, location });
                Ok(true)
            }
            (200..=299, None) => Err(RedfishError::NotRedfish("its session has no X-Auth-Token".to_owned())),
            (401 | 403, _) => Err(RedfishError::Credentials(told(&answer, "it refuses user or password"))),
            // No sessions after all: each request carries the password, within TLS.
            (404 | 405 | 501, _) => Ok(false),
            (status, _) => {
                let text = error_text(&answer.body).unwrap_or_default();
                let is_full = status == 503 || text.to_ascii_lowercase().contains("session");
                Err(if is_full { RedfishError::NoFreeSession(text) } else { refusal(&format!("POST {path}"), &answer) })
            }
        }
    }

    /// Sends, and follows a redirect within the service (a trailing slash more or less).
    async fn follow(&mut self, mut ask: Ask) -> Result<Answer, RedfishError> {
        for _ in 0..REDIRECTS_MAX {
            let answer = self.send(&ask).await?;
            let target = answer.header("location").and_then(path_of);
            match (answer.status, target) {
                (301 | 302 | 307 | 308, Some(path)) if ask.method == Method::GET => ask.path = path,
                _ => return Ok(answer),
            }
        }
        self.send(&ask).await
    }

    async fn send(&mut self, ask: &Ask) -> Result<Answer, RedfishError> {
        self.requests += 1;
        if self.requests > REQUESTS_MAX {
            return Err(RedfishError::TooMuch);
        }
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::open(self.net, self.access, self.deadline).await?,
            };
            match connection.exchange(ask, &self.access.authority, self.deadline).await {
                Ok(answer) => {
                    let closes = answer.header("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
                    self.connection = Some(connection).filter(|_| !closes);
                    return Ok(answer);
                }
                // A kept connection may have been closed by the other end meanwhile. What changes nothing is asked again.
                Err(RedfishError::Broken { .. }) if connection.has_served() && ask.method == Method::GET => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the session back.
    pub async fn log_out(&mut self) {
        let Some(session) = self.session.take() else { return };
        let Some(path) = session.location else { return };
        let ask = Ask::delete(&path).with(TOKEN.clone(), session.token);
        if let Err(error) = self.send(&ask).await {
            tracing::debug!(%error, "a Redfish session was not given back; the controller ends it itself");
        }
    }
}

impl Memory {
    fn keep(&mut self, path: &str, answer: &Answer, value: &Arc<Value>) {
        if let Some(old) = self.kept.remove(path) {
            self.kept_bytes -= old.bytes;
        }
        let Some(tag) = answer.headers.get(ETAG) else { return };
        // Parsed JSON takes a few times the bytes of its text; the text's are the measure.
        let bytes = answer.body.len();
        if self.kept_bytes + bytes <= KEPT_BYTES_MAX {
            self.kept_bytes += bytes;
            self.kept.insert(path.to_owned(), Kept { tag: tag.clone(), value: Arc::clone(value), bytes });
        }
    }
}

fn read(path: &str, answer: &Answer) -> Result<Value, RedfishError> {
    match answer.status {
        200..=299 => redfish::parse(&answer.body)
            .map_err(|error| RedfishError::NoResource { path: path.to_owned(), why: error.to_string() }),
        404 | 405 | 410 | 501 => Err(RedfishError::Missing(path.to_owned())),
        _ => Err(refusal(&format!("GET {path}"), answer)),
    }
}

fn refusal(during: &str, answer: &Answer) -> RedfishError {
    RedfishError::Status {
        during: during.to_owned(),
        status: answer.status,
        text: error_text(&answer.body).unwrap_or_default(),
    }
}

fn told(answer: &Answer, otherwise: &str) -> String {
    let text = error_text(&answer.body).unwrap_or_else(|| otherwise.to_owned());
    format!("{} (status {})", crate::talk::shown(&text), answer.status)
}
