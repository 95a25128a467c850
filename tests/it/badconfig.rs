//! Configurations with mistakes: every mistake is told at its place, and none replaces a configuration that works.

use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::serve::{Receiver, Site, until};

/// Each mistake with what must be said of it: code, line, column, part of the message, part of the help.
const MISTAKES: &[(&str, &str, u64, u64, &str, &str)] = &[
    ("[server\nlisten = 3\n", "syntax", 1, 8, "expected `]`", ""),
    ("instance = \"x\"\n[server]\nlisten_on = 4\n", "unknown-key", 3, 1, "`listen_on`", "`listen`"),
    ("[sever]\nlisten = \"127.0.0.1:1\"\n", "unknown-key", 1, 2, "`sever`", "`server`"),
    (
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\nzone = \"z\"\ncomponents = [\"eucalyptus/clcc\"]\n",
        "unknown-component",
        6,
        15,
        "`eucalyptus/clcc`",
        "`eucalyptus/clc`",
    ),
    (
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\nzone = \"z\"\nparents = [\"b\"]\n\
         [[host]]\nname = \"b\"\nzone = \"z\"\nparents = [\"a\"]\n",
        "cyclic-parents",
        6,
        11,
        "a -> b -> a",
        "remove one",
    ),
    ("[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\nzone = \"y\"\n", "unknown-zone", 5, 8, "`y`", "z"),
];

fn stentor(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stentor")).args(args).output().unwrap()
}

fn findings(output: &Output) -> Vec<Value> {
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn each_mistake_is_told_at_its_place_with_a_suggestion() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    let path = path.to_str().unwrap();
    for (toml, code, line, column, message, help) in MISTAKES {
        std::fs::write(path, toml).unwrap();
        let verify = stentor(&["verify", "--json", "--config", path]);
        assert_eq!(verify.status.code(), Some(1), "{toml}");
        let found = findings(&verify);
        let told = found.iter().find(|f| f["code"] == *code).unwrap_or_else(|| panic!("no {code}: {found:?}"));
        assert_eq!((&told["line"], &told["column"]), (&Value::from(*line), &Value::from(*column)), "{told}");
        assert_eq!((&told["level"], &told["file"]), (&Value::from("error"), &Value::from(path)), "{told}");
        assert!(told["message"].as_str().unwrap().contains(message), "{told}");
        assert!(told["help"].as_str().unwrap().contains(help), "{told}");
        for args in [["verify", "--config", path].as_slice(), &["serve", "--check", "--config", path]] {
            let output = stentor(args);
            assert_eq!(output.status.code(), Some(1), "{args:?}");
            let said = format!("{}{}", text(&output.stderr), text(&output.stdout));
            assert!(said.contains(&format!("{path}:{line}:{column}")) && said.contains(message), "{args:?}:\n{said}");
        }
        // And nothing starts on it.
        let served = stentor(&["serve", "--config", path]);
        assert_eq!(served.status.code(), Some(1), "{toml}");
        assert!(!dir.path().join("journal").exists() && !dir.path().join("stentor.db").exists());
    }
}

#[test]
fn fifty_mistakes_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    let mut toml = "[[zone]]\nname = \"z\"\n".to_owned();
    for i in 0..25 {
        toml += &format!("[[host]]\nname = \"h{i}\"\nzone = \"zz\"\naddres = \"192.0.2.{i}\"\n");
    }
    std::fs::write(&path, &toml).unwrap();
    let path = path.to_str().unwrap();
    let verify = stentor(&["verify", "--json", "--config", path]);
    let found = findings(&verify);
    assert_eq!(found.last().unwrap()["errors"], 50, "{found:?}");
    let text = text(&stentor(&["serve", "--check", "--config", path]).stderr);
    for i in 0..25 {
        for line in [5 + 4 * i, 6 + 4 * i] {
            assert!(text.contains(&format!("bad.toml:{line}:")), "line {line} is missing in\n{text}");
        }
    }
    assert!(text.contains("did you mean `address`?"), "{text}");
}

fn watched(receiver: &Receiver, services: &[&str]) -> String {
    let services: String = services
        .iter()
        .map(|name| format!("[[service]]\nhost = \"a\"\nname = \"{name}\"\nprobe = \"\"\nattempts = 3\n"))
        .collect();
    format!(
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\nzone = \"z\"\ncheck = \"none\"\n{services}\
         [[contact]]\nname = \"noc\"\nwebhook = \"{}\"\n[[route]]\nname = \"all\"\nto = [\"noc\"]\n\
         [notifier.webhook]\n",
        receiver.url
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_a_good_configuration_with_the_states_and_refuses_a_bad_one() {
    let receiver = Receiver::start().await;
    let site = Site::new(&watched(&receiver, &["one", "two"]));
    let server = site.start().await;
    for _ in 0..3 {
        site.result("a", "one", 2).await;
    }
    site.result("a", "two", 1).await;
    receiver.has("test/INC-1/problem/1/noc/webhook").await;
    site.ask("POST", "/api/v1/hosts/a/services/one/ack", Some(&serde_json::json!({"comment": "mine"}))).await;
    let status = ["state", "kind", "attempt", "acknowledged", "incident", "output", "state_since", "last_check"];
    let seen = async |name: &str| {
        let service = site.get(&format!("/api/v1/hosts/a/services/{name}")).await;
        status.map(|key| service[key].clone())
    };
    site.hard("a", "one", "CRITICAL").await;
    let before = (seen("one").await, seen("two").await);

    site.configure(&format!("{}[sever]\n", watched(&receiver, &["one"])));
    server.signal(Signal::HUP);
    until("the log says that the configuration was not taken", async || {
        let log = site.log();
        (log.contains("the old one stays") && log.contains("did you mean `server`?")).then_some(())
    })
    .await;
    assert_eq!((seen("one").await, seen("two").await), before);
    let refused = async || {
        let (_, page) = site.send("GET", "/h/a", None, None).await.expect("the page");
        let page = page.as_str().expect("a page").to_owned();
        page.contains("The configuration on disk is refused").then_some(page)
    };
    let page = until("the pages say that it was refused", refused).await;
    assert!(page.contains("unknown key `sever`"), "and why: {page}");

    site.configure(&watched(&receiver, &["new", "two", "one"]));
    server.signal(Signal::HUP);
    until("the pages say it no more", async || refused().await.is_none().then_some(())).await;
    until("the new service is there", async || {
        let (status, _) = site.send("GET", "/api/v1/hosts/a/services/new", None, None).await.ok()?;
        status.is_success().then_some(())
    })
    .await;
    assert_eq!((seen("one").await, seen("two").await), before);
    site.result("a", "one", 0).await;
    receiver.has("test/INC-1/recovery/2/noc/webhook").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_configuration_is_read_again_by_itself_and_a_bad_one_never_replaces_a_good_one() {
    let receiver = Receiver::start().await;
    let site = Site::new(&watched(&receiver, &["one"]));
    let program = env!("CARGO_BIN_EXE_stentor");
    let mut shell = std::process::Command::new("sh");
    let mut server = site.spawn_as(shell.args(["-c", "exec \"$0\" \"$@\" --watch-config", program]));
    site.answers(&mut server).await;
    let refused = async || {
        let (_, page) = site.send("GET", "/h/a", None, None).await.expect("the page");
        page.as_str().expect("a page").contains("The configuration on disk is refused").then_some(())
    };
    let is_there = async |name: &str| {
        let path = format!("/api/v1/hosts/a/services/{name}");
        let (status, _) = site.send("GET", &path, None, None).await.ok()?;
        status.is_success().then_some(())
    };
    site.configure(&watched(&receiver, &["one", "two"]));
    until("the new service is there", async || is_there("two").await).await;
    site.configure(&format!("{}[sever]\n", watched(&receiver, &["three"])));
    until("the pages say that it was refused", refused).await;
    assert!(is_there("two").await.is_some() && is_there("three").await.is_none());
    site.configure(&watched(&receiver, &["three"]));
    until("what was mended is in force", async || is_there("three").await).await;
    assert!(refused().await.is_none() && is_there("two").await.is_none());
}
