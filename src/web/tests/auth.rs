//! Signing in, staying signed in, and everything that must be refused.

use axum::http::StatusCode;
use stentor_core::Span;

use super::world::{NOW, World, from_peer, request};
use crate::store::{SessionKind, Store};
use crate::web::auth::{Role, SESSION_LIFE, admin_is_told, create_token, ensure_admin, secret_sha256};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const ACK: &str = "/api/v1/incidents/17/ack";

fn login(body: &str, peer: [u8; 4]) -> axum::http::Request<axum::body::Body> {
    from_peer(request("POST", "/login", &[FORM], body), peer)
}

#[tokio::test]
async fn a_person_signs_in_uses_the_api_and_signs_out() {
    let world = World::new();
    world.user("ann", Role::Operator, "s3cret & more").await;
    let signed_in = world.send(login("user=ann&password=s3cret+%26+more&next=%2Fincidents%2F17", [192, 0, 2, 9])).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{}", signed_in.text);
    assert_eq!(signed_in.header("location"), "/incidents/17");
    let set = signed_in.header("set-cookie");
    assert!(set.starts_with("stentor_session=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    assert!(!set.contains("Secure"), "plain HTTP in this world: {set}");

    let cookie = signed_in.cookie();
    let listed = world.send(request("GET", "/api/v1/incidents", &[("cookie", &cookie)], "")).await;
    assert_eq!(listed.status, StatusCode::OK);

    let csrf = world.store.sessions()[0].csrf.clone();
    let out = world.send(request("POST", "/logout", &[FORM, ("cookie", &cookie)], &format!("csrf={csrf}"))).await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "/login"));
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert!(world.store.sessions().is_empty());
    let again = world.send(request("GET", "/api/v1/incidents", &[("cookie", &cookie)], "")).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn over_tls_the_cookie_is_bound_to_the_host() {
    let world = World::build(true, None);
    world.user("ann", Role::Viewer, "pw").await;
    let answer = world.send(login("user=ann&password=pw", [192, 0, 2, 9])).await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-stentor_session=") && set.contains("; Secure") && set.contains("Path=/"), "{set}");
    let plain = answer.cookie().replace("__Host-", "");
    let refused = world.send(request("GET", "/api/v1/core", &[("cookie", &plain)], "")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "the unprefixed name can be planted by a neighbour");
}

#[tokio::test]
async fn a_login_never_leads_to_another_site() {
    let world = World::new();
    world.user("ann", Role::Viewer, "pw").await;
    for next in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example", "javascript%3Aalert(1)"] {
        let answer = world.send(login(&format!("user=ann&password=pw&next={next}"), [192, 0, 2, 9])).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"), "{next}");
    }
}

#[tokio::test]
async fn the_login_page_shows_what_was_typed_as_text_only() {
    let world = World::new();
    let page = world.send(login("user=%3Cscript%3E%22&password=x&next=%2Fa%22%3E%3Cb", [192, 0, 2, 9])).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(!page.text.contains("<script>\""), "{}", page.text);
    assert!(!page.text.contains("\"><b"), "{}", page.text);
}

#[tokio::test]
async fn wrong_names_and_wrong_passwords_look_the_same() {
    let world = World::new();
    world.user("ann", Role::Viewer, "pw").await;
    let unknown = world.send(login("user=bob&password=pw", [192, 0, 2, 1])).await;
    let wrong = world.send(login("user=ann&password=px", [192, 0, 2, 2])).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(unknown.text.replace("bob", "ann"), wrong.text);
}

#[tokio::test]
async fn guessing_is_braked_even_when_the_last_guess_is_right() {
    let world = World::new();
    world.user("ann", Role::Viewer, "pw").await;
    for _ in 0..5 {
        let answer = world.send(login("user=ann&password=guess", [192, 0, 2, 9])).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let braked = world.send(login("user=ann&password=pw", [192, 0, 2, 9])).await;
    assert_eq!(braked.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(braked.header("retry-after"), "900");
    let elsewhere = world.send(login("user=ann&password=pw", [192, 0, 2, 10])).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER, "the owner still gets in from another address");
    world.clock.advance(Span::from_mins(15));
    let later = world.send(login("user=ann&password=pw", [192, 0, 2, 9])).await;
    assert_eq!(later.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn another_site_cannot_sign_a_visitor_in() {
    let world = World::new();
    world.user("eve", Role::Viewer, "pw").await;
    let sent = request("POST", "/login", &[FORM, ("sec-fetch-site", "cross-site")], "user=eve&password=pw");
    assert_eq!(world.send(sent).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_cookie_without_the_right_form_token_changes_nothing() {
    let world = World::new();
    let (cookie, csrf) = world.browser(Role::Operator).await;
    for (token, body) in [("", "{}"), ("wrong", "{}"), (&csrf[1..], "{}"), ("", "csrf=wrong")] {
        let sent = request("POST", ACK, &[("cookie", &cookie), ("x-csrf-token", token)], body);
        let answer = world.send(sent).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token:?} {body:?}");
        assert_eq!(answer.json()["type"], "urn:stentor:problem:csrf");
    }
    let deleted = world.send(request("DELETE", ACK, &[("cookie", &cookie)], "")).await;
    assert_eq!(deleted.status, StatusCode::FORBIDDEN);
    assert!(world.seen.lock().unwrap().commands.is_empty());
    let right = world.send(request("POST", ACK, &[("cookie", &cookie), ("x-csrf-token", &csrf)], "{}")).await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.text);
}

#[tokio::test]
async fn a_token_of_another_session_is_not_good_enough() {
    let world = World::new();
    let (_, other) = world.browser(Role::Operator).await;
    let (cookie, _) = world.browser(Role::Operator).await;
    let sent = request("POST", ACK, &[("cookie", &cookie), ("x-csrf-token", &other)], "{}");
    assert_eq!(world.send(sent).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn bearers_need_no_form_token_and_cookies_are_no_bearers() {
    let world = World::new();
    let bearer = world.bearer(Role::Operator).await;
    assert_eq!(world.post(&bearer, ACK, "{}").await.status, StatusCode::OK);
    let (cookie, _) = world.browser(Role::Operator).await;
    let stolen = format!("Bearer {}", cookie.split_once('=').unwrap().1);
    assert_eq!(world.get(&stolen, "/api/v1/core").await.status, StatusCode::UNAUTHORIZED);
    let token_as_cookie = format!("stentor_session={}", bearer.trim_start_matches("Bearer "));
    let sent = request("GET", "/api/v1/core", &[("cookie", &token_as_cookie)], "");
    assert_eq!(world.send(sent).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_end_twelve_hours_after_their_last_use() {
    let world = World::new();
    let (cookie, _) = world.browser(Role::Viewer).await;
    let ask = || request("GET", "/api/v1/core", &[("cookie", &cookie)], "");
    world.clock.advance(Span::from_hours(11));
    assert_eq!(world.send(ask()).await.status, StatusCode::OK);
    assert_eq!(world.store.sessions()[0].expires_at, Some(NOW + Span::from_hours(11) + SESSION_LIFE));
    world.clock.advance(Span::from_hours(11));
    assert_eq!(world.send(ask()).await.status, StatusCode::OK, "used since");
    world.clock.advance(SESSION_LIFE);
    assert_eq!(world.send(ask()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_new_password_ends_sessions_and_a_deleted_user_ends_tokens() {
    let world = World::new();
    let (cookie, _) = world.browser(Role::Viewer).await;
    world.user("ann", Role::Viewer, "changed").await;
    let answer = world.send(request("GET", "/api/v1/core", &[("cookie", &cookie)], "")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let token = create_token(&*world.store, "nobody", SessionKind::Token, NOW).await.unwrap();
    assert_eq!(world.get(&format!("Bearer {token}"), "/api/v1/core").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn people_are_led_to_the_login_and_programs_get_a_problem() {
    let world = World::new();
    for (authorization, expected) in [
        ("", StatusCode::UNAUTHORIZED),
        ("Bearer", StatusCode::UNAUTHORIZED),
        ("Bearer short", StatusCode::UNAUTHORIZED),
        ("Basic YTpi", StatusCode::UNAUTHORIZED),
    ] {
        let answer = world.get(authorization, "/api/v1/hosts").await;
        assert_eq!(answer.status, expected, "{authorization:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["status"], 401);
    }
    let page = world.send(request("POST", "/logout", &[FORM], "")).await;
    assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, "/login?next=%2F"));
}

#[tokio::test]
async fn roles_are_kept_apart() {
    let world = World::new();
    let viewer = world.bearer(Role::Viewer).await;
    for path in [ACK, "/api/v1/hosts/clc1/check", "/api/v1/downtimes", "/api/v1/incidents/17/notes"] {
        let answer = world
            .post(
                &viewer,
                path,
                r#"{"text":"x"}"#.replace("text", if path.ends_with("notes") { "text" } else { "comment" }).as_str(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {}", answer.text);
    }
    assert_eq!(world.post(&viewer, "/api/v1/commands", "x").await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.post(&viewer, "/api/v1/results", "[]").await.status, StatusCode::FORBIDDEN);
    assert!(world.seen.lock().unwrap().commands.is_empty());
}

#[tokio::test]
async fn an_agent_may_only_push_for_its_own_host() {
    let world = World::new();
    let agent = world.agent("clc1").await;
    assert_eq!(world.get(&agent, "/api/v1/agent/checks?host=clc1").await.status, StatusCode::OK);
    assert_eq!(world.get(&agent, "/api/v1/agent/checks?host=other").await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.get(&agent, "/api/v1/hosts").await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.post(&agent, ACK, "{}").await.status, StatusCode::FORBIDDEN);
    let operator = world.bearer(Role::Operator).await;
    assert_eq!(world.get(&operator, "/api/v1/agent/checks?host=clc1").await.status, StatusCode::FORBIDDEN);
    let admin = world.bearer(Role::Admin).await;
    assert_eq!(world.get(&admin, "/api/v1/agent/checks?host=clc1").await.status, StatusCode::OK);
    let any = world.agent("*").await;
    assert_eq!(world.get(&any, "/api/v1/agent/checks?host=clc1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_lost_database_is_said_and_not_taken_for_a_wrong_password() {
    let world = World::new();
    let bearer = world.bearer(Role::Viewer).await;
    world.store.set_gone(true);
    let answer = world.get(&bearer, "/api/v1/hosts").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.text.contains("told to fail"), "causes stay in the log: {}", answer.text);
    let page = world.send(login("user=ann&password=pw", [192, 0, 2, 9])).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_first_start_makes_one_admin_and_later_ones_none() {
    let world = World::new();
    let made = ensure_admin(&*world.store, &world.clock).await.unwrap().unwrap();
    let lost = made;
    let made = ensure_admin(&*world.store, &world.clock).await.unwrap().expect("nobody was told the first");
    assert_ne!(lost.password, made.password);
    let answer = world.send(login(&format!("user=admin&password={}", lost.password), [192, 0, 2, 9])).await;
    assert_ne!(answer.status, StatusCode::SEE_OTHER, "there is one password, the newest");
    let early = world.send(login(&format!("user=admin&password={}", made.password), [192, 0, 2, 9])).await;
    assert_eq!(early.status, StatusCode::SEE_OTHER, "printed is good enough");
    admin_is_told(&*world.store, &made).await.unwrap();
    assert!(ensure_admin(&*world.store, &world.clock).await.unwrap().is_none());
    let listed = world.send(request("GET", "/api/v1/incidents", &[("cookie", &early.cookie())], "")).await;
    assert_eq!(listed.status, StatusCode::OK, "who was quick stays signed in");
    assert!(!format!("{made:?}").contains(&made.password));
    let answer = world.get(&format!("Bearer {}", made.token), "/api/v1/core").await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = world.send(login(&format!("user=admin&password={}", made.password), [192, 0, 2, 9])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let stored = world.store.session(&secret_sha256(&made.token).unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.kind, SessionKind::Token);
}
