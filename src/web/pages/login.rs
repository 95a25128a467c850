//! The sign-in form and the pages for refusals; both stand without the shell, because there may be no session.

use askama::Template;
use axum::http::StatusCode;

use crate::web::assets;
use crate::web::parts as p;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    css: &'static str,
    next: &'a str,
    user: &'a str,
    message: &'a str,
}

/// The whole sign-in page. `next` must already be a path of this service.
pub fn page(next: &str, user: &str, message: &str) -> String {
    let page = LoginPage { css: assets::url("stentor.css"), next, user, message };
    page.render().unwrap_or_else(|error| format!("Stentor cannot show its sign-in page: {error}"))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    css: &'static str,
    theme: &'static str,
    title: &'a str,
    what: &'a str,
}

/// A refusal in words.
pub fn refusal(status: StatusCode, what: &str) -> String {
    let title = match status {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::FORBIDDEN => "You may see this, not change it",
        StatusCode::CONFLICT | StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "This was not done",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        _ => "This did not work",
    };
    let page = ErrorPage { css: assets::url("stentor.css"), theme: assets::url("theme.js"), title, what };
    page.render().unwrap_or_else(|error| format!("{title}: {what} ({error})"))
}
