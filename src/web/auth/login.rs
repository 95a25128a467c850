//! `/login` and `/logout`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Extension, Form, Query, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, extract::FromRequestParts, http::request::Parts};
use serde::Deserialize;

use super::limit::Limiter;
use super::{AuthError, Session, cookie, cookie_name, open_session, password, secret_sha256};
use crate::web::WebState;
use crate::web::links::{encode, local_path};
use crate::web::pages;
use crate::web::problem::Problem;

/// A name, a password and a path.
const LOGIN_BYTES_MAX: usize = 16 * 1024;
const NAME_BYTES_MAX: usize = 200;

pub fn routes() -> Router<WebState> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
        .layer(DefaultBodyLimit::max(LOGIN_BYTES_MAX))
        .layer(Extension(Arc::new(Limiter::default())))
}

/// Address of the client's end of the connection; all requests without one (tests, sockets) count as one client.
struct Peer(IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Peer, Self::Rejection> {
        Ok(Peer(peer(&parts.extensions)))
    }
}

fn peer(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn show(Query(next): Query<Next>) -> Response {
    page(StatusCode::OK, local_path(&next.next), "", "")
}

async fn sign_in(
    State(state): State<WebState>,
    Extension(limiter): Extension<Arc<Limiter>>,
    Peer(address): Peer,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Response {
    // SameSite does not stop another site from signing a visitor in as somebody else.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Problem::forbidden("sign in from Stentor's own page").into_response();
    }
    let now = state.clock.now();
    let next = local_path(&form.next);
    if form.user.len() > NAME_BYTES_MAX {
        return page(StatusCode::UNAUTHORIZED, next, "", WRONG);
    }
    if let Some(wait) = limiter.wait(address, &form.user, now) {
        let seconds = (wait.as_millis() + 999) / 1000;
        tracing::warn!(client.address = %address, "logins are held back after too many failures");
        let text = format!("Too many failed logins. Try again in {} min.", (seconds + 59) / 60);
        let mut response = page(StatusCode::TOO_MANY_REQUESTS, next, &form.user, &text);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    limiter.count(address, &form.user, now);
    match try_sign_in(&state, &form).await {
        Ok(Some(secret)) => {
            limiter.forgive(address, &form.user);
            let mut response = Redirect::to(next).into_response();
            set_cookie(&mut response, state.secure_cookies, &secret, "");
            response
        }
        Ok(None) => page(StatusCode::UNAUTHORIZED, next, &form.user, WRONG),
        Err(error) => {
            tracing::error!(error = %error, "a login could not be checked");
            let text = "Logins cannot be checked now. Try again in a few seconds; the log of Stentor says why.";
            page(StatusCode::SERVICE_UNAVAILABLE, next, &form.user, text)
        }
    }
}

const WRONG: &str = "That name and password do not belong together.";

async fn try_sign_in(state: &WebState, form: &Credentials) -> Result<Option<String>, AuthError> {
    let user = state.store.user(&form.user).await?;
    let hash = user.as_ref().map(|user| password::bare(&user.password_hash));
    let fits = password::verify(&form.password, hash).await?;
    match user {
        Some(user) if fits => Ok(Some(open_session(&*state.store, &user, state.clock.now()).await?)),
        Some(_) | None => Ok(None),
    }
}

async fn sign_out(State(state): State<WebState>, _session: Session, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(hash) = cookie(&headers, cookie_name(state.secure_cookies)).as_deref().and_then(secret_sha256) {
        state.store.delete_session(&hash).await?;
    }
    let mut response = Redirect::to("/login").into_response();
    set_cookie(&mut response, state.secure_cookies, "", "; Max-Age=0");
    Ok(response)
}

fn set_cookie(response: &mut Response, secure: bool, secret: &str, end: &str) {
    let name = cookie_name(secure);
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{end}");
    let value = HeaderValue::from_str(&text).expect("secrets are base64url");
    response.headers_mut().append(header::SET_COOKIE, value);
}

fn page(status: StatusCode, next: &str, user: &str, message: &str) -> Response {
    let text = pages::login::page(next, user, message);
    (status, [(header::CACHE_CONTROL, "no-store")], Html(text)).into_response()
}

/// Where a person signs in before going on to `next`.
pub fn login_url(next: &str) -> String {
    format!("/login?next={}", encode(local_path(next)))
}
