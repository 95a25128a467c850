//! Who is asking and what they may do: sessions, tokens, roles, CSRF. Every handler that is not public takes a
//! [`Session`]; taking one is the check.

pub mod limit;
pub mod login;
pub mod password;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use stentor_core::{Span, Timestamp};
use subtle::ConstantTimeEq;

use super::WebState;
use super::links::encode;
use super::problem::Problem;
use crate::clock::Clock;
use crate::store::{self, Store, StoreError, User};

pub use crate::store::SessionKind;

/// A session ends this long after its last use.
pub const SESSION_LIFE: Span = Span::from_hours(12);
/// The expiry is moved at most once in this time: one write an hour, not one a request.
const SLIDE_EVERY: Span = Span::from_hours(1);
/// Bytes of randomness behind sessions, tokens and generated passwords.
const SECRET_BYTES: usize = 32;
/// Larger forms do not exist here; a CSRF token beyond this is not looked for.
const FORM_BYTES_MAX: usize = 256 * 1024;
/// Header that carries the CSRF token of scripts; forms use the hidden field `csrf`.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// User of agent tokens that may push for every host.
pub const ANY_AGENT: &str = "*";

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("too many people are signing in; try again in a few seconds")]
    Busy,
    #[error("cannot hash a password: {0}")]
    Hash(String),
    #[error("this machine gives no random numbers: {0}")]
    Random(String),
}

/// What a user may do; each role may do what those before it may.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Sees everything.
    Viewer,
    /// Acknowledges, plans downtimes, asks for checks, submits results.
    Operator,
    /// Everything, pushing for agents included.
    Admin,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    pub fn parse(word: &str) -> Option<Role> {
        [Role::Viewer, Role::Operator, Role::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// A known user (or agent) behind this request. For requests that change something with a cookie, the CSRF token has
/// been checked by the time a handler holds one.
#[derive(Clone, Debug)]
pub struct Session {
    /// User name; for agent tokens the host it may push for, or [`ANY_AGENT`].
    pub user: Arc<str>,
    pub role: Role,
    /// For the hidden field `csrf` of forms; empty for tokens, which need none.
    pub csrf: String,
    pub kind: SessionKind,
}

impl Session {
    /// # Errors
    /// The user's role is below `role`.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.kind != SessionKind::Agent && self.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "`{}` has the role {}, but this needs {}",
            self.user,
            self.role.as_str(),
            role.as_str()
        )))
    }

    /// Whether this is the agent of that host and of no other: a token or certificate for it alone.
    pub fn is_agent_of(&self, host: &str) -> bool {
        self.kind == SessionKind::Agent && &*self.user == host
    }

    /// Whether results of `agent` may be pushed with this token.
    ///
    /// # Errors
    /// The token belongs to another agent, or to a user who is no admin.
    pub fn require_agent(&self, agent: &str) -> Result<(), Problem> {
        let may = match self.kind {
            SessionKind::Agent => &*self.user == ANY_AGENT || &*self.user == agent,
            SessionKind::Login | SessionKind::Token => self.role == Role::Admin,
        };
        if may {
            return Ok(());
        }
        let own = if self.kind == SessionKind::Agent { format!(", only for `{}`", self.user) } else { String::new() };
        Err(Problem::forbidden(format!("this token or certificate may not act for agent `{agent}`{own}")))
    }
}

/// The address as it was asked for: routers below a prefix see it shortened.
#[derive(Clone, Debug)]
pub struct AskedFor(pub Uri);

/// Hosts that the certificate of the client names, which an authority of ours has signed.
#[derive(Clone, Debug)]
pub struct ShownCertificate(pub Vec<Arc<str>>);

/// Why there is no session.
#[derive(Debug)]
pub enum Denied {
    /// A person with a browser: to the login page, then back here.
    SignIn(String),
    Refused(Problem),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Denied::SignIn(next) => Redirect::to(&format!("/login?next={}", encode(&next))).into_response(),
            Denied::Refused(problem) => problem.into_response(),
        }
    }
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Denied {
        Denied::Refused(problem)
    }
}

impl FromRequestParts<WebState> for Session {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Session, Denied> {
        let now = state.clock.now();
        let bearer = bearer(&parts.headers);
        let secret = match &bearer {
            Some(token) => Some(token.clone()),
            None => cookie(&parts.headers, cookie_name(state.secure_cookies)),
        };
        if secret.is_none()
            && let Some(shown) = parts.extensions.get::<ShownCertificate>()
        {
            return certified_agent(parts, state, shown);
        }
        let Some(hash) = secret.as_deref().and_then(secret_sha256) else { return Err(not_signed_in(parts)) };
        let stored = state.store.session(&hash).await.map_err(Problem::from)?;
        let Some(stored) = stored.filter(|s| is_usable(s, bearer.is_some(), now)) else {
            return Err(not_signed_in(parts));
        };
        if stored.kind == SessionKind::Agent {
            return agent_session(parts, stored);
        }
        let user = state.store.user(&stored.user).await.map_err(Problem::from)?;
        let Some((user, role)) = user.and_then(|user| Role::parse(&user.role).map(|role| (user, role))) else {
            return Err(not_signed_in(parts));
        };
        if stored.kind == SessionKind::Login {
            if !fits_password(&stored.csrf, &user.password_hash) {
                return Err(not_signed_in(parts));
            }
            check_csrf(parts, &stored.csrf)?;
            slide(state, &stored, now).await;
        }
        let csrf = if stored.kind == SessionKind::Login { stored.csrf } else { String::new() };
        Ok(Session { user: user.name.into(), role, csrf, kind: stored.kind })
    }
}

/// Cookies hold logins and bearers hold tokens, never the other way round: a stolen cookie is no token.
fn is_usable(session: &store::Session, is_bearer: bool, now: Timestamp) -> bool {
    let right_way = match session.kind {
        SessionKind::Login => !is_bearer,
        SessionKind::Token | SessionKind::Agent => is_bearer,
    };
    right_way && session.expires_at.is_none_or(|end| now < end)
}

/// Agents push and ask what to check; their tokens lie on many machines and open nothing else.
fn agent_session(parts: &Parts, stored: store::Session) -> Result<Session, Denied> {
    if !asked_for(parts).path().starts_with("/api/v1/agent/") {
        return Err(Problem::forbidden("an agent's token is only good for /api/v1/agent/").into());
    }
    Ok(Session { user: stored.user.into(), role: Role::Viewer, csrf: String::new(), kind: SessionKind::Agent })
}

/// An agent that shows a certificate instead of a token. Elsewhere a certificate opens nothing.
fn certified_agent(parts: &Parts, state: &WebState, shown: &ShownCertificate) -> Result<Session, Denied> {
    if !asked_for(parts).path().starts_with("/api/v1/agent/") {
        return Err(not_signed_in(parts));
    }
    let snapshot = state.engine.snapshot();
    let known = shown.0.iter().find(|host| snapshot.host(host).is_some());
    let Some(user) = known.or_else(|| shown.0.first()).cloned() else {
        return Err(Problem::forbidden("the certificate of this agent names nobody").into());
    };
    Ok(Session { user, role: Role::Viewer, csrf: String::new(), kind: SessionKind::Agent })
}

fn check_csrf(parts: &Parts, expected: &str) -> Result<(), Problem> {
    if is_safe(&parts.method) {
        return Ok(());
    }
    let sent = parts.headers.get(CSRF_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    if !expected.is_empty() && bool::from(sent.ct_eq(expected.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(
        axum::http::StatusCode::FORBIDDEN,
        "csrf",
        "the form's token is missing or old: load the page again and repeat",
    ))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn slide(state: &WebState, stored: &store::Session, now: Timestamp) {
    let Some(end) = stored.expires_at else { return };
    if end.since(now) > SESSION_LIFE - SLIDE_EVERY {
        return;
    }
    let moved = store::Session { expires_at: Some(now + SESSION_LIFE), ..stored.clone() };
    if let Err(error) = state.store.put_session(&moved).await {
        tracing::warn!(error = %error, cause = %error.cause, "a session could not be prolonged");
    }
}

fn asked_for(parts: &Parts) -> &Uri {
    parts.extensions.get::<AskedFor>().map_or(&parts.uri, |AskedFor(uri)| uri)
}

fn not_signed_in(parts: &Parts) -> Denied {
    let uri = asked_for(parts);
    let path = uri.path();
    let for_programs = ["/api/", "/metrics", "/stream"].iter().any(|prefix| path.starts_with(prefix))
        || parts.headers.contains_key(header::AUTHORIZATION);
    if for_programs {
        return Denied::Refused(Problem::unauthorized());
    }
    // Coming back to the target of a form by GET would be a 405.
    let next = if is_safe(&parts.method) { uri.path_and_query().map_or("/", |p| p.as_str()) } else { "/" };
    Denied::SignIn(next.to_owned())
}

/// Lifts the hidden field `csrf` of a posted form into the header that [`Session`] checks. Without this layer forms are
/// refused, never let through.
pub async fn csrf_from_form(request: Request, next: Next) -> Response {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if is_safe(request.method()) || !is_form || !request.headers().contains_key(header::COOKIE) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, FORM_BYTES_MAX).await else {
        return Problem::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the form is too large")
            .into_response();
    };
    if !parts.headers.contains_key(CSRF_HEADER)
        && let Some(token) = form_field(&bytes, "csrf").and_then(|token| HeaderValue::from_str(&token).ok())
    {
        parts.headers.insert(CSRF_HEADER, token);
    }
    next.run(Request::from_parts(parts, bytes.into())).await
}

fn form_field(body: &[u8], name: &str) -> Option<String> {
    let wanted = body.split(|b| *b == b'&').find_map(|pair| {
        let (key, value) = pair.split_at_checked(name.len())?;
        (key == name.as_bytes()).then_some(value)?.strip_prefix(b"=")
    })?;
    // Tokens are made of unreserved characters and one dot, which browsers send as they are.
    let plain = wanted.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    plain.then(|| String::from_utf8_lossy(wanted).into_owned())
}

/// Name of the session cookie; over TLS the prefix binds it to this host and to HTTPS (RFC 6265bis).
pub const fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-stentor_session" } else { "stentor_session" }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';')).find_map(
        |pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then(|| value.to_owned())
        },
    )
}

/// The token of an `Authorization` header; `Some("")` for a header that is not a bearer, so that it is refused rather
/// than ignored.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    Some(if scheme.eq_ignore_ascii_case("bearer") { token.trim().to_owned() } else { String::new() })
}

/// What the store knows a secret by; `None` if the text cannot be one of ours.
pub fn secret_sha256(secret: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(secret).ok()?;
    (bytes.len() == SECRET_BYTES).then(|| Sha256::digest(&bytes).to_vec())
}

fn random() -> Result<[u8; SECRET_BYTES], AuthError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|cause| AuthError::Random(cause.to_string()))?;
    Ok(bytes)
}

/// First bytes of the hash of a password hash: a login carries them, so that a new password ends every session.
fn fingerprint(password_hash: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(password::bare(password_hash).as_bytes())[..9])
}

fn fits_password(csrf: &str, password_hash: &str) -> bool {
    csrf.split_once('.').is_none_or(|(_, print)| print == fingerprint(password_hash))
}

/// Opens a login session; returns the secret for the cookie.
///
/// # Errors
/// The machine has no randomness, or the store cannot be reached.
pub async fn open_session(store: &dyn Store, user: &User, now: Timestamp) -> Result<String, AuthError> {
    let secret = random()?;
    let csrf = format!("{}.{}", URL_SAFE_NO_PAD.encode(random()?), fingerprint(&user.password_hash));
    let session = store::Session {
        secret_sha256: Sha256::digest(secret).to_vec(),
        user: user.name.clone(),
        kind: SessionKind::Login,
        csrf,
        created_at: now,
        expires_at: Some(now + SESSION_LIFE),
    };
    store.put_session(&session).await?;
    Ok(URL_SAFE_NO_PAD.encode(secret))
}

/// Makes an API token (`kind` Token, for a user) or an agent token (`kind` Agent, `user` = host or [`ANY_AGENT`]).
///
/// # Errors
/// The machine has no randomness, or the store cannot be reached.
pub async fn create_token(
    store: &dyn Store,
    user: &str,
    kind: SessionKind,
    now: Timestamp,
) -> Result<String, AuthError> {
    let secret = random()?;
    let session = store::Session {
        secret_sha256: Sha256::digest(secret).to_vec(),
        user: user.to_owned(),
        kind,
        csrf: String::new(),
        created_at: now,
        expires_at: None,
    };
    store.put_session(&session).await?;
    Ok(URL_SAFE_NO_PAD.encode(secret))
}

/// A fresh password that people can type from a screen.
///
/// # Errors
/// The machine has no randomness.
pub fn random_password() -> Result<String, AuthError> {
    let text = URL_SAFE_NO_PAD.encode(&random()?[..15]);
    Ok(text.replace(['-', '_'], "x"))
}

/// What the first start prints once.
#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    pub password: String,
    /// API token of the same user.
    pub token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"[redacted]").finish_non_exhaustive()
    }
}

/// Creates the user `admin` with a random password and an API token, if there is no user at all, or if the one that was
/// made has not been told to anybody: a process that dies before it has printed the password must not lock people out.
/// Whoever prints it says so with [`admin_is_told`].
///
/// # Errors
/// The store cannot be reached, or the machine has no randomness.
pub async fn ensure_admin(store: &dyn Store, clock: &Clock) -> Result<Option<Credentials>, AuthError> {
    let user = "admin".to_owned();
    let untold = || async { Ok::<_, AuthError>(store.user(&user).await?.is_some_and(|u| password::is_untold(&u))) };
    if store.user_count().await? > 0 && !untold().await? {
        return Ok(None);
    }
    let password = random_password()?;
    let password_hash = password::untold(&password::hash(&password).await?);
    store.put_user(&User { name: user.clone(), password_hash, role: Role::Admin.as_str().to_owned() }).await?;
    let token = create_token(store, &user, SessionKind::Token, clock.now()).await?;
    Ok(Some(Credentials { user, password, token }))
}

/// The credentials that [`ensure_admin`] made have been printed: they stay.
///
/// # Errors
/// The store cannot be reached.
pub async fn admin_is_told(store: &dyn Store, made: &Credentials) -> Result<(), AuthError> {
    if let Some(user) = store.user(&made.user).await?.filter(password::is_untold) {
        let password_hash = password::bare(&user.password_hash).to_owned();
        store.put_user(&User { password_hash, ..user }).await?;
    }
    Ok(())
}
