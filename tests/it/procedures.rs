//! Planned work from its page, in the real program and without scripts; and the audit of it, whose end somebody cut off.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, header};
use sqlx::{Connection as _, SqliteConnection};

use crate::running::{Running, stentor};

const CONFIG: &str = r#"
[[cloud]]
name = "ecc"
platform = "eucalyptus"

[[zone]]
name = "one"
cloud = "ecc"

[[host]]
name = "clc1"
address = "127.0.0.1"
zone = "one"
components = ["eucalyptus/clc", "eucalyptus/ufs"]
check = "none"

[[host]]
name = "nc1"
address = "127.0.0.1"
zone = "one"
components = ["eucalyptus/nc"]
check = "none"
"#;

/// A signed-in browser without scripts.
struct Browser {
    client: Client,
    url: String,
    cookie: String,
}

impl Browser {
    /// Of a user who is made by the command line beside the running service.
    async fn of_new_user(service: &Running, name: &str, role: &str) -> Browser {
        let config = service.folder.path().join("stentor.toml").display().to_string();
        let arguments = ["user", "add", name, "--role", role, "--config", &config];
        let added = stentor(&arguments, service.folder.path()).output().await.unwrap();
        let said = String::from_utf8(added.stdout).unwrap();
        let (_, password) = said.split_once("password: ").unwrap_or_else(|| panic!("{said}"));
        let password = password.split_whitespace().next().unwrap();
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let login = [("user", name), ("password", password), ("next", "/")];
        let answer = client.post(format!("{}login", service.url)).form(&login).send().await.unwrap();
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        Browser { client, url: service.url.clone(), cookie }
    }

    async fn page(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.url)).header(header::COOKIE, &self.cookie);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    /// Where a form leads, or what is said against it.
    async fn submit(&self, path: &str, form: &[(&str, &str)]) -> Result<String, (StatusCode, String)> {
        let request = self.client.post(format!("{}{path}", self.url)).header(header::COOKIE, &self.cookie);
        let answer = request.form(form).send().await.unwrap();
        match answer.status() {
            StatusCode::SEE_OTHER => Ok(answer.headers()[header::LOCATION].to_str().unwrap().to_owned()),
            status => Err((status, answer.text().await.unwrap())),
        }
    }
}

/// The value of the first hidden field of that name.
fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_work_is_found_tried_dry_and_started_without_scripts() {
    let service = Running::serve(CONFIG, tempfile::tempdir().unwrap()).await;
    let carl = Browser::of_new_user(&service, "carl", "operator").await;
    let all = carl.page("runbooks").await;
    assert!(all.contains("rb-euca-") && all.contains("planned work") && all.contains("for a failure"), "{all}");
    let found = carl.page("runbooks?q=kind:procedure+platform:eucalyptus+backup").await;
    assert!(found.contains("href=\"/runbooks/rb-euca-backup\"") && !found.contains("rb-euca-clc-software"), "{found}");
    let book = carl.page("runbooks/rb-euca-backup").await;
    assert!(book.contains("class=\"step\"") && book.contains("Dry run") && !book.contains("id=\"start\""), "{book}");
    // Only what runs on that host may be chosen; what may not be is said before anything is started.
    let dry = carl.page("runbooks/rb-euca-backup?host=clc1&component=clc").await;
    assert!(dry.contains("<option value=\"clc\" selected>") && dry.contains("<option value=\"ufs\">"), "{dry}");
    assert!(!dry.contains("<option value=\"nc\">") && dry.contains("Dry run: clc on clc1"), "{dry}");
    let wrong = carl.page("runbooks/rb-euca-backup?host=clc1&component=nc").await;
    assert!(wrong.contains("no component `nc`") && !wrong.contains("id=\"start\""), "{wrong}");
    let failure = carl.page("runbooks/rb-euca-clc-software?host=clc1").await;
    assert!(failure.contains("from the page of an incident") && !failure.contains("id=\"dry-run\""), "{failure}");
    assert_eq!(service.get("api/v1/runs").await["items"], serde_json::json!([]), "nothing was started by looking");

    let form = ["csrf", "host", "component"].map(|name| (name, hidden(&dry, name)));
    let started = carl.submit("runbooks/rb-euca-backup/start", &form).await.unwrap();
    assert_eq!(started, "/runs/1");
    let run = carl.page("runs/1").await;
    assert!(run.contains("RUN-1") && run.contains("clc on clc1") && run.contains("name=\"do\""), "{run}");
    let told = service.get("api/v1/runs/1").await;
    assert_eq!((&told["started_by"], &told["component"]), (&"carl".into(), &"clc".into()));
    let again = carl.page("runbooks/rb-euca-backup?host=clc1&component=clc").await;
    assert!(again.contains("does this on clc on clc1 already") && !again.contains("id=\"start\""), "{again}");
    let (status, why) = carl.submit("runbooks/rb-euca-backup/start", &form).await.unwrap_err();
    assert!(status == StatusCode::CONFLICT && why.contains("under way"), "{status} {why}");

    let vera = Browser::of_new_user(&service, "vera", "viewer").await;
    let seen = vera.page("runbooks/rb-euca-backup?host=clc1").await;
    assert!(seen.contains("your role is viewer") && !seen.contains("id=\"start\""), "{seen}");
    let (status, _) = vera.submit("runbooks/rb-euca-backup/start", &[("host", "clc1")]).await.unwrap_err();
    assert_eq!(status, StatusCode::FORBIDDEN, "a form without its token does nothing");
    let csrf = hidden(&seen, "csrf");
    let (status, why) =
        vera.submit("runbooks/rb-euca-backup/start", &[("csrf", csrf), ("host", "clc1")]).await.unwrap_err();
    assert!(status == StatusCode::FORBIDDEN && why.contains("needs the right to operate"), "{status} {why}");
    cut_off_and_told(service).await;
}

/// Somebody with the file takes the newest records away while Stentor is stopped.
async fn cut_off_and_told(service: Running) {
    let token = service.folder.path().join("token");
    std::fs::write(&token, &service.token).unwrap();
    let verify = async |service: &Running| {
        let token = token.display().to_string();
        let arguments = ["runbook", "audit", "--verify", "--url", &service.url, "--token-file", &token];
        let done = stentor(&arguments, service.folder.path()).output().await.unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, said) = verify(&service).await;
    assert!(code == Some(0) && said.contains("It reaches its anchor, record 3"), "{said}");
    let service = service.restarted().await;
    assert_eq!(verify(&service).await, (Some(0), said), "a restart is no finding");
    let api_token = service.token.clone();
    let folder = service.stop_and_keep().await;
    cut(&folder.path().join("stentor.db"), 1).await;
    let config = CONFIG.to_owned();
    let service = Running::serve_as(&config, "", folder, Some(api_token)).await;
    let (code, said) = verify(&service).await;
    assert!(code == Some(2) && said.contains("LOST: records 2..3 are missing at the end"), "{said}");
    assert!(said.contains("It reaches its anchor, record 2"), "the chain goes on, with the loss in it: {said}");
    service.stop().await;
}

async fn cut(database: &Path, last: i64) {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", database.display())).await.unwrap();
    sqlx::query("DROP TRIGGER audit_is_not_shortened").execute(&mut connection).await.unwrap();
    let cut = sqlx::query("DELETE FROM audit WHERE number > $1").bind(last).execute(&mut connection).await.unwrap();
    assert!(cut.rows_affected() > 0);
    connection.close().await.unwrap();
}
