//! The pages in a real browser: Chromium, driven by chromedriver, against `stentor demo`. Both must be installed: a test
//! that skips itself proves nothing.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel};

use crate::running::alone;

/// The whole test.
const TOTAL_MAX: Duration = Duration::from_secs(900);
/// Any single fact; at pace 30 an incident opens within two seconds on an idle machine.
const FACT_MAX: Duration = Duration::from_secs(180);
/// Loopback network of this demo: one by process, so that two runs and a developer's own demo (16) get along.
fn net() -> String {
    (64 + std::process::id() % 128).to_string()
}

/// A child process with a group of its own, ended with the test.
struct Running(Child);

impl Running {
    /// Starts it and returns the first line of its output that `wanted` makes something of.
    fn start<T>(command: &mut Command, wanted: fn(&str) -> Option<T>) -> (Running, T)
    where
        T: Send + 'static,
    {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let running = Running(child);
        let (said, heard) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out).lines().map_while(Result::ok);
            if let Some(found) = lines.by_ref().find_map(|line| wanted(&line)) {
                let _ = said.send(found);
            }
            // A full pipe would stop it.
            lines.for_each(drop);
        });
        let found = heard.recv_timeout(FACT_MAX);
        (running, found.unwrap_or_else(|_| panic!("{command:?} does not get ready")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

struct Demo {
    url: String,
    user: String,
    password: String,
    token: String,
    http: reqwest::Client,
}

impl Demo {
    fn start(folder: &Path) -> (Running, Demo) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
        command.args(["demo", "--json", "--listen", "127.0.0.1:0", "--net", &net(), "--pace", "30"]);
        // Where the demo notes how it is reached.
        command.env("XDG_RUNTIME_DIR", folder);
        let (running, ready) = Running::start(&mut command, |line| serde_json::from_str::<Value>(line).ok());
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(FACT_MAX).build().unwrap();
        let demo =
            Demo { url: text("url"), user: text("user"), password: text("password"), token: text("token"), http };
        (running, demo)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn post(&self, path: &str) {
        let answer = self.http.post(self.at(path)).bearer_auth(&self.token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.at(path)).bearer_auth(&self.token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.unwrap()
    }
}

fn chromedriver() -> (Running, u16) {
    assert!(
        Command::new("chromedriver").arg("--version").output().is_ok_and(|found| found.status.success()),
        "chromedriver is missing: install the packages chromium and chromium-driver"
    );
    Running::start(Command::new("chromedriver").arg("--port=0"), |line| {
        line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
    })
}

/// A browser of its own, with nothing kept from before.
async fn browser(port: u16, profile: &Path, with_scripts: bool) -> WebDriver {
    let mut wish = ChromiumCapabilities::new();
    let profile = format!("--user-data-dir={}", profile.display());
    for argument in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1440,900",
        &profile,
    ] {
        wish.add_arg(argument).unwrap();
    }
    if !with_scripts {
        let blocked = json!({ "profile.managed_default_content_settings.javascript": 2 });
        wish.add_experimental_option("prefs", blocked).unwrap();
    }
    wish.as_mut().set("browserName", "chrome").unwrap();
    wish.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wish).await.unwrap();
    driver.set_script_timeout(FACT_MAX).await.unwrap();
    driver
}

/// Waits in the page, without loading anything, until an expression is true.
async fn fact(page: &WebDriver, what: &str, expression: &str) {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         const look = () => {{ let is = false; try {{ is = Boolean({expression}); }} catch {{ /* not there yet */ }}
           if (is) done(true); else setTimeout(look, 50); }};
         look();"
    );
    if let Err(error) = page.execute_async(script, Vec::new()).await {
        let text = page.execute("return document.querySelector('main')?.innerText", Vec::new()).await;
        panic!("not seen: {what} ({error})\n{:?}", text.map(|text| text.json().clone()));
    }
}

/// The value of an expression in the page.
async fn value(page: &WebDriver, expression: &str) -> Value {
    page.execute(format!("return {expression};"), Vec::new()).await.unwrap().json().clone()
}

async fn text(page: &WebDriver, css: &str) -> String {
    let found = page.find(By::Css(css)).await;
    found.unwrap_or_else(|_| panic!("no {css}")).text().await.unwrap()
}

/// Waits for words on the page, also over the load of a next one; works without scripts.
async fn shows(page: &WebDriver, css: &str, words: &str) {
    let wanted = words.to_owned();
    let holds = move |element: WebElement| {
        let wanted = wanted.clone();
        async move { Ok(element.text().await.is_ok_and(|text| text.contains(&wanted))) }
    };
    let found = page.query(By::Css(css)).wait(FACT_MAX, Duration::from_millis(50)).with_filter(holds).first().await;
    if let Err(error) = found {
        let now = text(page, "body").await;
        let address = page.current_url().await;
        panic!("{css} never shows `{words}` ({error}); {address:?} shows\n{now}");
    }
}

async fn fill(page: &WebDriver, css: &str, text: &str) {
    page.find(By::Css(css)).await.unwrap_or_else(|_| panic!("no {css}")).send_keys(text).await.unwrap();
}

async fn click(page: &WebDriver, css: &str) {
    page.find(By::Css(css)).await.unwrap_or_else(|_| panic!("no {css}")).click().await.unwrap();
}

async fn sign_in(page: &WebDriver, demo: &Demo) {
    page.goto(demo.url.as_str()).await.unwrap();
    fill(page, "input[name=user]", &demo.user).await;
    fill(page, "input[name=password]", &demo.password).await;
    click(page, "button[type=submit]").await;
    shows(page, "nav.side", "Overview").await;
}

/// What the reader of the overview learns without touching it.
const AVAILABLE: &str = "document.querySelector('#core h2').textContent.startsWith('euca is available')";
const DOWN: &str = "document.querySelector('#core h2').textContent.startsWith('euca is down') \
                    && document.querySelector('#core .core').dataset.s === 'crit'";
const LISTED: &str = "[...document.querySelectorAll('#incidents .prow:not(.gone) h3 a')]\
                      .find((a) => a.textContent.includes('stopped on clc1'))";
/// Set on the page object, gone after any load.
const UNTOUCHED: &str = "window.untouched === true";

async fn changes_show_without_reload(page: &WebDriver, demo: &Demo) -> String {
    fact(page, "the cloud is available", AVAILABLE).await;
    page.execute("window.untouched = true;", Vec::new()).await.unwrap();
    demo.post("demo/inject/clc/software").await;
    fact(page, "the incident is listed", LISTED).await;
    fact(page, "the banner says that the cloud is down", DOWN).await;
    assert_eq!(value(page, UNTOUCHED).await, true, "nothing was loaded again");
    let href = value(page, &format!("{LISTED}.getAttribute('href')")).await;
    href.as_str().unwrap().trim_start_matches('/').to_owned()
}

async fn the_incident_leads_and_can_be_taken(page: &WebDriver, demo: &Demo, incident: &str) {
    page.goto(demo.at(incident)).await.unwrap();
    assert!(!page.find_all(By::Css("#runbook .step")).await.unwrap().is_empty(), "steps to take");
    let evidence = value(
        page,
        "[...document.querySelectorAll('section')].find((s) => s.querySelector('h2')?.textContent === 'Evidence').innerText",
    )
    .await;
    let evidence = evidence.as_str().unwrap();
    assert!(evidence.contains("clc1/clc") && !evidence.contains('{'), "facts in words: {evidence}");

    fill(page, "#ack input[name=comment]", "Looking at its log").await;
    click(page, "#ack button.pri").await;
    shows(page, "main", "Acknowledged.").await;
    shows(page, "#head", "admin since").await;
    fact(page, "the note", "document.querySelector('main').innerText.includes('Looking at its log')").await;
    let known = demo.get(&format!("api/v1/incidents/{}", incident.trim_start_matches("i/"))).await;
    assert_eq!(known["owner"], "admin", "{known}");
}

async fn every_page_fits(page: &WebDriver, demo: &Demo, incident: &str) {
    let paths = [
        "c/euca",
        "c/euca/incidents",
        incident,
        "c/euca/matrix",
        "c/euca/matrix/clc/software",
        "c/euca/hosts",
        "h/clc1",
        "c/euca/services",
        "h/clc1/disk",
        "c/euca/downtimes",
        "c/euca/drills",
        "c/euca/availability",
        "c/euca/what-if?x=host:clc1",
        "demo",
        "demo/mail",
        "demo/mail/1",
    ];
    let mut backgrounds = Vec::new();
    for (theme, width, height) in [("light", 1440, 900), ("dark", 390, 844)] {
        page.goto(demo.at("c/euca")).await.unwrap();
        click(page, "details.who > summary").await;
        click(page, &format!("[data-set=theme][data-value={theme}]")).await;
        page.set_window_rect(0, 0, width, height).await.unwrap();
        for path in paths {
            page.goto(demo.at(path)).await.unwrap();
            // In one step: the stream may replace a fragment at any time.
            let heading = value(page, "document.querySelector('main h1, main h2').textContent").await;
            assert!(heading.as_str().is_some_and(|text| !text.is_empty()), "{path} has a heading");
            let sizes = value(page, "[document.scrollingElement.scrollWidth, innerWidth]").await;
            let (wide, seen) = (sizes[0].as_u64().unwrap(), sizes[1].as_u64().unwrap());
            assert_eq!(seen, u64::from(width), "the window has the width that was asked for");
            assert!(wide <= seen, "{path} is {wide} px wide in {theme}, {seen} px are seen");
        }
        page.set_window_rect(0, 0, 1440, 900).await.unwrap();
        backgrounds.push(value(page, "getComputedStyle(document.body).backgroundColor").await);
    }
    assert_ne!(backgrounds[0], backgrounds[1], "light is not dark");
}

async fn nothing_went_wrong_unseen(page: &WebDriver) {
    let log = page.browser_log().await.unwrap();
    let bad: Vec<&str> = log.iter().filter(|e| e.level == "SEVERE").map(|e| e.message.as_str()).collect();
    assert!(bad.is_empty(), "script errors or refused content: {bad:#?}");
}

async fn it_all_works_without_scripts(page: &WebDriver, demo: &Demo, incident: &str) {
    sign_in(page, demo).await;
    shows(page, "#core h2", "euca is down").await;
    page.goto(demo.at(incident)).await.unwrap();
    // Scripts would have opened the stream.
    let live = page.find(By::Css("[data-live]")).await.unwrap().attr("data-live").await.unwrap();
    assert_eq!(live.as_deref(), Some("off"), "no script has run");
    fill(page, "#ack input[name=comment]", "Taken over from a text browser").await;
    click(page, "#ack button.pri").await;
    shows(page, "main", "Acknowledged.").await;
    let known = demo.get(&format!("api/v1/incidents/{}", incident.trim_start_matches("i/"))).await;
    assert_eq!(known["ack"]["comment"], "Taken over from a text browser", "{known}");
}

async fn healing_shows_without_reload(page: &WebDriver, demo: &Demo) {
    page.goto(demo.at("c/euca")).await.unwrap();
    fact(page, "the banner is still down", DOWN).await;
    page.execute("window.untouched = true;", Vec::new()).await.unwrap();
    demo.post("demo/heal/clc/software").await;
    fact(page, "the banner has returned", AVAILABLE).await;
    assert_eq!(value(page, UNTOUCHED).await, true, "nothing was loaded again");
}

/// The demo's own buttons, as a visitor uses them.
async fn the_demo_page_breaks_and_mends(page: &WebDriver, demo: &Demo) {
    page.goto(demo.at("demo")).await.unwrap();
    click(page, "[aria-label='Inject psu/nc2']").await;
    shows(page, "[id='psu/nc2']", "Heal").await;
    assert_eq!(demo.get("demo/state").await[0]["name"], "psu/nc2");
    // The form led to its group; the button for everything is on top.
    page.goto(demo.at("demo")).await.unwrap();
    click(page, "form[action='/demo/heal-everything'] button").await;
    shows(page, "[id='psu/nc2']", "Inject").await;
    assert_eq!(demo.get("demo/state").await, json!([]));
}

async fn story(page: &WebDriver, plain: &WebDriver, demo: &Demo) {
    let began = std::time::Instant::now();
    let chapter = |name: &str| eprintln!("{:5.1} s {name}", began.elapsed().as_secs_f32());
    sign_in(page, demo).await;
    chapter("signed in");
    let incident = changes_show_without_reload(page, demo).await;
    chapter("seen");
    the_incident_leads_and_can_be_taken(page, demo, &incident).await;
    chapter("taken");
    it_all_works_without_scripts(plain, demo, &incident).await;
    chapter("without scripts");
    every_page_fits(page, demo, &incident).await;
    chapter("fits");
    healing_shows_without_reload(page, demo).await;
    chapter("ended");
    the_demo_page_breaks_and_mends(page, demo).await;
    chapter("demo page");
    nothing_went_wrong_unseen(page).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_seen_taken_and_ended_in_the_browser() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let (_driver, port) = chromedriver();
    let (_demo, demo) = Demo::start(folder.path());
    let page = browser(port, &folder.path().join("scripts"), true).await;
    let plain = browser(port, &folder.path().join("plain"), false).await;
    let mut telling = {
        let (page, plain) = (page.clone(), plain.clone());
        tokio::spawn(async move { story(&page, &plain, &demo).await })
    };
    let told = tokio::time::timeout(TOTAL_MAX, &mut telling).await;
    telling.abort();
    // Browsers outlive their driver: they are closed whatever happened.
    let closed = tokio::time::timeout(FACT_MAX, async { tokio::join!(page.quit(), plain.quit()) });
    let _ = closed.await;
    match told {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => panic!("the story is not told after {TOTAL_MAX:?}"),
    }
}
