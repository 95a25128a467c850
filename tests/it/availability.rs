//! What-if and what then really happens, on a demo: the same incident; and the Core's outage in history, told as it was.

use serde_json::Value;

use crate::running::{Running, alone, brief, is_live, stentor, until};

/// How much faster than real the demo runs.
const PACE: u32 = 30;

/// Asks the command against the running demo.
async fn what_if(demo: &Running, elements: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, &demo.token).unwrap();
    let token = token.display().to_string();
    let mut arguments = vec!["what-if", "--live", "--json", "--url", &demo.url, "--token-file", &token];
    arguments.extend(elements);
    let output = stentor(&arguments, folder.path()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What two incidents that are alike have in common.
fn likeness(incident: &Value) -> Vec<Value> {
    ["class", "subtype", "severity", "impact", "runbook", "target"].map(|key| incident[key].clone()).into()
}

async fn all_well(demo: &Running) {
    until("all is well", async || {
        let core = demo.get("api/v1/core").await;
        let services = demo.services().await;
        let bad = services.iter().find(|service| service["state"] != "OK").map(|service| service["service"].clone());
        match (core["items"][0]["state"].as_str(), bad) {
            (Some("available"), None) if !demo.incidents().await.iter().any(is_live) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_predicted_is_what_happens() {
    let _alone = alone().await;
    let demo = Running::demo(41, PACE).await;
    all_well(&demo).await;
    for (element, fault) in [("feed:A", "feed/A"), ("host:cc1", "cc/server"), ("clc1/clc", "clc/software")] {
        let predicted = what_if(&demo, &[element]).await;
        let cloud = &predicted["clouds"][0];
        assert_eq!(cloud["before"]["state"], "available", "{predicted}");
        let [expected] = cloud["incidents"].as_array().unwrap().as_slice() else { panic!("{element}: {predicted}") };
        let opened = demo.post(&format!("demo/inject/{fault}?wait=1")).await.unwrap();
        assert_eq!(likeness(expected), likeness(&opened), "{element}:{}", brief(&opened));
        until("the Core is as predicted", async || {
            let core = demo.get("api/v1/core").await["items"][0].clone();
            if core["state"] == cloud["after"]["state"] { Ok(()) } else { Err(core.to_string()) }
        })
        .await;
        demo.post(&format!("demo/heal/{fault}?wait=1")).await.unwrap();
        all_well(&demo).await;
    }
    the_outage_is_history(&demo).await;
    // The same again soon opens the old incident again; the demo waits for no new one.
    let again = demo.post("demo/inject/clc/software?wait=1").await.unwrap();
    assert_eq!((&again["class"], &again["phase"]), (&"software_down".into(), &"open".into()), "{}", brief(&again));
    demo.stop().await;
}

async fn the_outage_is_history(demo: &Running) {
    let core = demo.get("api/v1/core").await["items"][0].clone();
    let states: Vec<&str> =
        core["history"].as_array().unwrap().iter().filter_map(|change| change["state"].as_str()).collect();
    assert_eq!(states.first(), Some(&"available"), "{core}");
    let outage = core["history"].as_array().unwrap().iter().find(|change| change["state"] == "unavailable").unwrap();
    assert_ne!(outage["because"], "", "{core}");
    assert!(core["expression"].as_str().unwrap().starts_with("clc and ufs"), "{core}");
    assert_eq!(core["survives"]["left"], 0, "one Cloud Controller has no spare: {core}");
    let report = demo.get("api/v1/availability?window=day").await["items"][0].clone();
    assert_eq!((report["kind"].as_str(), report["outages"].as_u64()), (Some("core"), Some(1)), "{report}");
    let percent = report["percent"].as_f64().unwrap();
    assert!(percent > 0.0 && percent < 100.0, "{report}");
    let seconds = |key: &str| report["seconds"][key].as_f64().unwrap();
    let total: f64 = ["available", "degraded", "unavailable", "unknown"].map(seconds).iter().sum();
    assert!((total - 86_400.0).abs() < 1.0, "the stretches fill the day: {report}");
    assert!(seconds("unknown") > 80_000.0, "before the demo nothing was known: {report}");
    let pairs = demo.get("api/v1/pairs").await;
    let row = &pairs["items"][0]["zones"][0]["rows"][0];
    assert_eq!(
        (row["controller"].as_str(), row["cells"][0]["state"].as_str()),
        (Some("cc1"), Some("serving")),
        "{pairs}"
    );
    assert_eq!(row["cells"][0]["seen"], "up", "{pairs}");
    let page = demo.text("c/euca/availability?window=day").await;
    assert!(page.contains("Core of euca") && page.contains("class=\"crit\""), "{page}");
}
