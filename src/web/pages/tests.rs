//! Every page, rendered over the fixture: content, links, escaping, forms and refusals.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use stentor_core::engine::Command;
use stentor_core::model::{Covers, Sticky};
use stentor_core::{Span, Timestamp};
use tower::ServiceExt;

use crate::web::auth::Role;
use crate::web::fixture::{self, EVIL_HOST, EVIL_SERVICE, Fixture};
use crate::web::links::encode;
use crate::web::router::router;

async fn send(fixture: &Fixture, request: Request<Body>) -> Response<Body> {
    router(fixture.state.clone()).oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn get(fixture: &Fixture, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header(header::COOKIE, &fixture.cookie).body(Body::empty()).unwrap();
    let response = send(fixture, request).await;
    (response.status(), text(response).await)
}

pub(super) async fn page(fixture: &Fixture, path: &str) -> String {
    let (status, html) = get(fixture, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {html}");
    html
}

async fn post(fixture: &Fixture, path: &str, form: &str) -> Response<Body> {
    let request = Request::post(path)
        .header(header::COOKIE, &fixture.cookie)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!("csrf={}&{form}", fixture.csrf)))
        .unwrap();
    send(fixture, request).await
}

/// Every page, with the name it is dumped under.
fn all_paths() -> Vec<(&'static str, String)> {
    let evil = format!("/h/{}/{}", encode(EVIL_HOST), encode(EVIL_SERVICE));
    vec![
        ("overview", "/c/ecc".into()),
        ("overview-all", "/c/all".into()),
        ("incidents", "/c/ecc/incidents".into()),
        ("incidents-filter", "/c/all/incidents?q=is%3Aopen%20sate%3Acritical%20%22%3Cscript%3E%22".into()),
        ("incident", "/i/2417".into()),
        ("incident-unacked", "/i/2418".into()),
        ("incident-evil", "/i/2419".into()),
        ("incident-closed", "/i/2408".into()),
        ("incident-effect", "/i/2420".into()),
        ("matrix", "/c/ecc/matrix".into()),
        ("cell", "/c/ecc/matrix/cc/server".into()),
        ("cell-unverified", "/c/ecc/matrix/elb/software".into()),
        ("cell-missing", "/c/ecc/matrix/elb/resource".into()),
        ("design", "/c/ecc/design".into()),
        ("topology", "/c/ecc/topology".into()),
        ("hosts", "/c/all/hosts".into()),
        ("host", "/h/cc-osl-01".into()),
        ("host-evil", format!("/h/{}", encode(EVIL_HOST))),
        ("services", "/c/all/services".into()),
        ("services-filter", "/c/all/services?q=state%3Aproblem%20-is%3Ahandled%20sort%3Astate%2C-age".into()),
        ("services-none", "/c/ecc/services?q=host%3Anobody".into()),
        ("service", "/h/walrus-01/disk%20%2F".into()),
        ("service-evil", evil),
        ("service-pending", "/h/nc-bgo-06/clock".into()),
        ("service-long", "/h/sc-bgo-01/disk%20%2F".into()),
        ("downtimes", "/c/all/downtimes".into()),
        ("runbooks", "/runbooks".into()),
        ("runbooks-filter", "/runbooks?q=kind%3Aprocedure%20sate%3Ax%20%22%3Cscript%3Ealert".into()),
        ("runbook", "/runbooks/rb-euca-cc-server".into()),
        ("procedure", "/runbooks/rb-euca-move".into()),
        ("procedure-dry", "/runbooks/rb-euca-move?host=cc-osl-01&component=cc".into()),
        ("procedure-wrong", "/runbooks/rb-euca-move?host=%3Cscript%3Ealert&component=x".into()),
    ]
}

/// Elements that have no end tag.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "col"];

/// Walks the tags of a page; the error says where it is not well-formed.
pub(super) fn tags(html: &str) -> Result<Vec<(String, String)>, String> {
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix("!doctype") {
            rest = after;
            continue;
        }
        // Attribute values are quoted and hold no `<`, so a `>` inside quotes is the only trap.
        let mut quoted = false;
        let end = rest.find(|c| {
            if c == '"' {
                quoted = !quoted;
            }
            c == '>' && !quoted
        });
        let tag = &rest[..end.ok_or("a tag does not end")?];
        rest = &rest[tag.len() + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let top = open.pop();
            if top.as_deref() != Some(name.trim()) {
                return Err(format!("</{name}> closes {top:?}; before: {:?}", &seen[seen.len().saturating_sub(4)..]));
            }
            continue;
        }
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or("").to_owned();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("<{tag}> is no tag"));
        }
        seen.push((name.clone(), tag.to_owned()));
        if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(seen) } else { Err(format!("still open: {open:?}")) }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    value.split('"').next()
}

/// Names of the attributes of a tag, with or without values.
fn attribute_names(tag: &str) -> Vec<String> {
    let outside: String = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    outside.split_whitespace().skip(1).map(|name| name.trim_end_matches('=').to_owned()).collect()
}

#[tokio::test]
async fn no_page_can_be_broken_by_names_and_outputs() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    for (name, path) in all_paths() {
        let html = page(&fixture, &path).await;
        let tags = tags(&html).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (element, tag) in &tags {
            let lower = tag.to_lowercase();
            assert!(attribute(&lower, "style").is_none(), "{name}: inline style in <{tag}>");
            assert_ne!(element, "style", "{name}");
            assert!(!attribute_names(&lower).iter().any(|attr| attr.starts_with("on")), "{name}: a handler in <{tag}>");
            if element == "script" {
                assert!(attribute(tag, "src").is_some_and(|src| src.starts_with("/static/")), "{name}: <{tag}>");
            }
            if let Some(href) = attribute(tag, "href").or(attribute(tag, "action")) {
                assert!(href.starts_with('/') || href.starts_with('#'), "{name}: {href} leads elsewhere");
                assert!(!href.starts_with("//"), "{name}: {href}");
            }
            assert_ne!(element, "img", "{name}: <{tag}>");
        }
        let ids: Vec<&str> = tags.iter().filter_map(|(_, tag)| attribute(tag, "id")).collect();
        let unique: BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: an id is used twice in {ids:?}");
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        assert!(!html.contains("<script>alert"), "{name}");
    }
}

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_page() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    let mut links = BTreeSet::new();
    for (_, path) in all_paths() {
        for (element, tag) in tags(&page(&fixture, &path).await).unwrap() {
            if element == "a"
                && let Some(href) = attribute(&tag, "href")
                && href.starts_with('/')
            {
                links.insert(href.split('#').next().unwrap_or("").replace("&amp;", "&").replace("&#38;", "&"));
            }
        }
    }
    assert!(links.len() > 100, "{}", links.len());
    for link in links {
        let (status, html) = get(&fixture, &link).await;
        let fine = status == StatusCode::OK || (link == "/" && status == StatusCode::SEE_OTHER);
        assert!(fine, "{link}: {status} {}", &html[..html.len().min(2000)]);
    }
}

/// Text of the first element that starts at `from` in the HTML, without tags.
fn plain(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[tokio::test]
async fn the_number_on_a_link_is_the_number_of_rows_behind_it() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    let html = page(&fixture, "/c/all").await;
    let (_, vitals) = html.split_once("<nav class=\"vitals\"").unwrap();
    let (vitals, _) = vitals.split_once("</nav>").unwrap();
    let mut checked = 0;
    for link in vitals.split("<a href=\"").skip(1) {
        let href = link.split('"').next().unwrap();
        let said: usize = plain(&format!("<{link}")).split_whitespace().next().unwrap().parse().unwrap();
        let rows = page(&fixture, href).await.matches("<li class=\"prow").count();
        assert_eq!(said, rows, "{href}");
        checked += said;
    }
    assert!(checked >= 3, "the fixture must have something to count");
    // Zone problems lead to services.
    let (_, sites) = html.split_once("data-live-id=\"sites\"").unwrap();
    let mut links = 0;
    for link in sites.split("<a class=\"q row\" href=\"").skip(1) {
        let href = link.split('"').next().unwrap();
        let said: usize = plain(&format!("<{}", link.split("</a>").next().unwrap()))
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{link}"));
        let listed = page(&fixture, href).await;
        assert_eq!(said, listed.matches("<tr id=\"s").count(), "{href}");
        links += 1;
    }
    assert!(links > 0);
}

#[tokio::test]
async fn the_banner_says_how_much_reserve_is_left() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let html = page(&fixture, "/c/ecc").await;
    assert!(html.contains("ecc is available, with no reserve in two core services"), "{}", plain(&html));
    assert!(html.contains("No spare left"));
    assert!(html.contains("Single by design"));
    assert!(html.contains("16 of") || html.contains("nodes") || html.contains("Node Controller"));
    let calm = fixture::serve(fixture::quiet(), Role::Viewer).await;
    let html = page(&calm, "/c/ecc").await;
    assert!(html.contains("ecc is available</h2>"));
    assert!(html.contains("No open incidents."));
}

#[tokio::test]
async fn an_incident_names_the_services_that_it_takes_down() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let html = page(&fixture, "/i/2417").await;
    let services = html.find("<b>Business services:</b>").map(|at| &html[at..at + 120]).unwrap_or_default();
    assert!(services.contains("<a href=\"/c/ecc/availability\">self-service</a>"), "{services}");
    let other = page(&fixture, "/i/2415").await;
    assert!(!other.contains("Business services:"), "it takes none");
}

#[tokio::test]
async fn without_a_cloud_the_overview_leads_through_the_set_up() {
    let fixture = fixture::serve(fixture::first_start(), Role::Admin).await;
    let html = page(&fixture, "/c/all").await;
    assert!(html.contains("No cloud is configured yet"));
    assert!(html.contains("/h/localhost"), "the machine itself is listed");
    tags(&html).unwrap();
    for path in [
        "/c/all/matrix",
        "/c/all/design",
        "/c/all/topology",
        "/c/all/incidents",
        "/c/all/services",
        "/c/all/hosts",
        "/c/all/downtimes",
        "/h/localhost",
    ] {
        tags(&page(&fixture, path).await).unwrap();
    }
}

#[tokio::test]
async fn lost_persistence_is_said_on_every_page() {
    let mut snapshot = fixture::snapshot();
    snapshot.degraded = Some("The disk is <full>.".into());
    let fixture = fixture::serve(snapshot, Role::Viewer).await;
    for (name, path) in all_paths() {
        let html = page(&fixture, &path).await;
        assert!(
            html.contains("Stentor cannot store what it sees.") && html.contains("The disk is &#60;full&#62;."),
            "{name}"
        );
        assert!(html.contains("Journal entry 48,211"), "{name}: the foot names the sequence");
    }
}

#[tokio::test]
async fn viewers_see_why_they_may_not_act_and_have_no_forms() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    for path in ["/i/2418", "/h/walrus-01/disk%20%2F", "/c/ecc/downtimes", "/runbooks/rb-euca-move?host=cc-osl-01"] {
        let html = page(&fixture, path).await;
        assert!(html.contains("You may see this, not change it"), "{path}");
        let forms = tags(&html).unwrap().into_iter().filter(|(_, tag)| tag.contains("method=\"post\""));
        let actions: Vec<_> = forms.filter_map(|(_, tag)| attribute(&tag, "action").map(str::to_owned)).collect();
        assert_eq!(actions, ["/logout"], "{path}");
    }
    let refused = post(&fixture, "/i/2418/ack", "until=2h").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(text(refused).await.contains("You may see this, not change it"));
}

#[tokio::test]
async fn forms_become_commands_and_lead_back() {
    let mut fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    let answer = post(&fixture, "/i/2418/ack", "comment=On+it+%3Cb%3E&until=4h&sticky=yes&notify=yes").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[header::LOCATION], "/i/2418?done=acknowledged");
    let Some(Command::AckIncident { number: 2418, ack, .. }) = fixture.commands.recv().await else { panic!("no ack") };
    assert_eq!((&*ack.by, &*ack.comment, ack.sticky), ("mara", "On it <b>", Sticky::Yes));
    assert_eq!(ack.until, Some(fixture::now() + Span::from_hours(4)));

    let path = format!("/h/{}/{}", encode(EVIL_HOST), encode(EVIL_SERVICE));
    let answer =
        post(&fixture, &format!("{path}/downtime"), "start=2026-11-21T04:00&end=2026-11-21T06:00&comment=x").await;
    assert_eq!(answer.headers()[header::LOCATION], format!("{path}?done=downtime").as_str());
    let Some(Command::ScheduleDowntime(request)) = fixture.commands.recv().await else { panic!("no downtime") };
    assert_eq!(request.target.service.as_deref(), Some(EVIL_SERVICE));
    assert_eq!(request.start, Timestamp::from_rfc3339("2026-11-21T04:00:00Z").unwrap());
    assert_eq!(request.covers, Covers::ObjectOnly);

    for (path, form) in [
        ("/i/2417/unack", ""),
        ("/i/2417/note", "text=seen"),
        ("/h/ufs-02/check", ""),
        ("/h/ufs-02/ack", ""),
        ("/h/ufs-02/unack", ""),
        ("/h/ufs-02/ufs%20port/check", ""),
        ("/h/ufs-02/ufs%20port/ack", "until=recovery"),
        ("/h/ufs-02/ufs%20port/unack", ""),
        ("/downtimes", "host=ufs-01&service=&start=2026-11-25T22:00&end=2026-11-25T23:00&comment=Kernel&services=yes"),
        ("/downtimes/2/cancel", "back=%2Fc%2Fecc%2Fdowntimes"),
        ("/runbooks/rb-euca-move/start", "host=cc-osl-01&component=cc"),
    ] {
        let answer = post(&fixture, path, form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let to = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
        assert!(fixture.commands.recv().await.is_some());
        assert_eq!(get(&fixture, &to).await.0, StatusCode::OK, "{path} leads to {to}");
    }
}

#[tokio::test]
async fn forms_without_the_token_do_nothing() {
    let mut fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    for body in ["until=2h", "csrf=wrong&until=2h"] {
        let request = Request::post("/i/2418/ack")
            .header(header::COOKIE, &fixture.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        let answer = send(&fixture, request).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{body}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
    assert!(fixture.commands.try_recv().is_err());
}

#[tokio::test]
async fn refused_forms_say_why_and_do_nothing_else() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    for (path, form, status, why) in [
        ("/i/1/ack", "until=2h", StatusCode::NOT_FOUND, "There is no incident INC-1."),
        ("/i/2408/ack", "until=2h", StatusCode::CONFLICT, "INC-2408 is not open any more."),
        ("/i/2418/ack", "until=forever", StatusCode::BAD_REQUEST, "`forever` is not a duration"),
        ("/i/2418/ack", "until=900d", StatusCode::BAD_REQUEST, "An acknowledgement lasts at most 30 days."),
        ("/i/2418/note", "text=+", StatusCode::BAD_REQUEST, "The note is empty."),
        (
            "/h/ufs-02/downtime",
            "start=x&end=y&comment=z",
            StatusCode::BAD_REQUEST,
            "The start of the downtime is no date",
        ),
        (
            "/h/ufs-02/downtime",
            "start=2026-11-21T06:00&end=2026-11-21T04:00&comment=z",
            StatusCode::BAD_REQUEST,
            "The downtime ends before it starts.",
        ),
        (
            "/h/ufs-02/downtime",
            "start=2026-11-20T06:00&end=2026-11-20T08:00&comment=z",
            StatusCode::BAD_REQUEST,
            "The downtime would be over already.",
        ),
    ] {
        let answer = post(&fixture, path, form).await;
        assert_eq!(answer.status(), status, "{path} {form}");
        let html = text(answer).await;
        assert!(html.contains(why), "{path} {form}: {}", plain(&html));
        tags(&html).unwrap();
    }
}

#[tokio::test]
async fn a_redirect_after_a_form_never_leaves_the_service() {
    let mut fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    for back in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let answer = post(&fixture, "/downtimes/2/cancel", &format!("back={back}")).await;
        assert_eq!(answer.headers()[header::LOCATION], "/?done=cancelled", "{back}");
        assert!(fixture.commands.recv().await.is_some());
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    for (path, why) in [
        ("/c/nowhere", "No cloud is called “nowhere”."),
        ("/i/77", "There is no INC-77"),
        ("/i/seven", "Cannot parse"),
        ("/h/%3Cb%3E", "No host is called “&#60;b&#62;”."),
        ("/h/ufs-01/nothing", "“ufs-01” has no service called “nothing”."),
        ("/c/ecc/matrix/xyz/software", "No platform here has a component “xyz”."),
        ("/c/ecc/matrix/cc/magic", "A cell is about software, server or resource."),
    ] {
        let (status, html) = get(&fixture, path).await;
        assert!(status.is_client_error(), "{path}: {status}");
        assert!(html.contains(why), "{path}: {}", plain(&html));
        tags(&html).unwrap();
    }
}

#[tokio::test]
async fn a_service_called_like_a_verb_can_be_read() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let html = page(&fixture, &format!("/h/{}/ack", encode(EVIL_HOST))).await;
    assert!(html.contains("</span>ack <span"), "{}", plain(&html));
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_login() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    for (_, path) in all_paths() {
        let answer = send(&fixture, Request::get(&path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let to = answer.headers()[header::LOCATION].to_str().unwrap();
        assert!(to.starts_with("/login?next="), "{to}");
    }
    let answer = send(&fixture, Request::get("/stream?v=core&c=ecc").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn pages_forbid_everything_that_is_not_their_own() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let request = Request::get("/c/ecc").header(header::COOKIE, &fixture.cookie).body(Body::empty()).unwrap();
    let answer = send(&fixture, request).await;
    let csp = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(csp.starts_with("default-src 'none';") && !csp.contains("unsafe"), "{csp}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers()[header::X_FRAME_OPTIONS], "DENY");
}

#[tokio::test]
async fn assets_are_immutable_and_answer_to_their_etag() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let url = crate::web::assets::url("stentor.css");
    let answer = send(&fixture, Request::get(url).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    let tag = answer.headers()[header::ETAG].clone();
    let again = send(&fixture, Request::get(url).header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap()).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let missing = send(&fixture, Request::get("/static/nothing.js").body(Body::empty()).unwrap()).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn notifications_and_history_are_listed_with_how_they_ended() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Viewer).await;
    let html = page(&fixture, "/i/2417").await;
    assert!(html.contains("<td class=\"nw\">mara</td><td>email</td>"), "{}", plain(&html));
    assert!(html.contains("on its way"));
    let html = page(&fixture, "/h/walrus-01/disk%20%2F").await;
    assert!(html.contains("WARNING (hard): / 91 % used &#60;b&#62;"), "{}", plain(&html));
}

#[test]
fn a_key_of_another_shape_is_left_out() {
    use crate::web::pages::incident::Notices;
    let keys = [("odd", "sent"), ("test/INC-1/problem/2/mara/email", "failed")];
    let Notices::Rows(rows) = Notices::from_keys(keys.map(|(k, o)| (k.to_owned(), o.to_owned())).into()) else {
        panic!("keys can be read")
    };
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    assert_eq!((&*row.reason, &*row.contact, &*row.channel, &*row.outcome), ("Problem", "mara", "email", "failed"));
}

#[tokio::test]
async fn lists_stay_below_their_size() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    let html = page(&fixture, "/c/all/services").await;
    assert_eq!(html.matches("<tr id=\"s").count(), 50);
    assert!(html.contains("rel=\"next\""));
    assert!(html.len() < 60_000, "{} bytes", html.len());
    assert!(page(&fixture, "/i/2417").await.len() < 60_000);
}

/// Writes every page below `target/pages`, for looking at them in a browser.
#[tokio::test]
async fn every_page_can_be_looked_at_without_a_server() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    crate::web::assets::dump(&folder.join("static"));
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    for (name, path) in all_paths() {
        std::fs::write(folder.join(format!("{name}.html")), page(&fixture, &path).await).unwrap();
    }
    let mut lost = fixture::snapshot();
    lost.degraded = Some("The disk that holds the journal is full.".into());
    for (name, snapshot, path) in [
        ("quiet", fixture::quiet(), "/c/ecc"),
        ("first-start", fixture::first_start(), "/c/all"),
        ("degraded", lost, "/c/ecc"),
    ] {
        let fixture = fixture::serve(snapshot, Role::Operator).await;
        std::fs::write(folder.join(format!("{name}.html")), page(&fixture, path).await).unwrap();
    }
    std::fs::write(folder.join("login.html"), super::login::page("/i/2417", "", "")).unwrap();
    std::fs::write(folder.join("error.html"), get(&fixture, "/i/77").await.1).unwrap();
    assert!(std::fs::read_to_string(folder.join("overview.html")).unwrap().contains("stentor.css"));
}

#[tokio::test]
async fn the_list_of_runbooks_is_narrowed_by_what_its_links_say() {
    let fixture = fixture::serve(fixture::snapshot(), Role::Operator).await;
    let rows = |html: &str| html.matches("<tr><th scope=\"row\">").count();
    let all = page(&fixture, "/runbooks").await;
    let procedures = page(&fixture, "/runbooks?q=kind%3Aprocedure").await;
    assert_eq!((rows(&all), rows(&procedures)), (31, 1), "{}", plain(&procedures));
    assert!(procedures.contains("Move &#60;b&#62;cc&#60;/b&#62;"), "{procedures}");
    for (query, expected) in [
        ("kind%3Afailure", 30),
        ("platform%3Aeucalyptus%20cc%2F", 2),
        ("platform%3Anone", 0),
        ("CC-SERVER", 1),
        ("kind%3Aprocedure%20MOVE", 1),
        ("sate%3Ax", 0),
    ] {
        assert_eq!(rows(&page(&fixture, &format!("/runbooks?q={query}")).await), expected, "{query}");
    }
    let (status, missing) = get(&fixture, "/runbooks/rb-none").await;
    assert!(status == StatusCode::NOT_FOUND && missing.contains("No runbook is called"), "{missing}");
}
