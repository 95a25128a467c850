//! What the demo's switch, BMCs and UPS tell of its cables and of the time left, over the real API.

use serde_json::Value;

use crate::running::{Running, alone, until};

/// How much faster than real the demo runs.
const PACE: u32 = 30;

fn links(topology: &Value) -> Vec<&Value> {
    let edges = topology["edges"].as_array().map(Vec::as_slice).unwrap_or_default();
    edges.iter().filter(|edge| edge["kind"] == "link").collect()
}

#[tokio::test]
async fn the_switch_confirms_every_cable_and_a_ups_on_battery_has_its_time() {
    let _alone = alone().await;
    let demo = Running::demo(67, PACE).await;
    let topology = until("every link is declared and seen", async || {
        let topology = demo.get("api/v1/topology").await;
        let links = links(&topology);
        let confirmed = links.iter().filter(|link| link["standing"] == "confirmed").count();
        if links.len() > 20 && confirmed == links.len() { Ok(topology) } else { Err((confirmed, links.len())) }
    })
    .await;
    assert_eq!(topology["drift"], serde_json::json!([]), "the demo is cabled as it says");
    // The hosts of the rack have two supplies on its one feed: that is what takes them all at once.
    let design = demo.get("api/v1/design").await;
    let weak: Vec<&Value> = design["items"].as_array().into_iter().flatten().collect();
    assert!(weak.iter().all(|one| one["lint"] == "psu-one-feed" && one["basis"] == "seen"), "{weak:#?}");
    let page = demo.text("topology").await;
    let item = |standing: &str| format!("<li class=\"tc\" data-t=\"{standing}\"");
    assert!(page.contains(&item("confirmed")) && !page.contains(&item("contradicted")));

    demo.post("demo/inject/ups/ups1?wait=1").await.expect("the mains fail");
    let left = until("the incident says how long the battery lasts", async || {
        let incidents = demo.incidents().await;
        let left = incidents.first().map(|incident| incident["time_left"].clone()).unwrap_or_default();
        if left["what"] == "ups" { Ok(left) } else { Err(left) }
    })
    .await;
    assert_eq!((&left["ends"], &left["basis"], &left["host"]), (&"failure".into(), &"told".into(), &"ups1".into()));
    demo.stop().await;
}
