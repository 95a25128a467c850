//! A copy of a running server starts elsewhere as the same world.

use serde_json::Value;

use crate::serve::{Receiver, Site, until};

fn config(receiver: &Receiver) -> String {
    format!(
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\nzone = \"z\"\ncheck = \"none\"\n\
         [[service]]\nhost = \"a\"\nname = \"one\"\nprobe = \"\"\nattempts = 1\n\
         [[service]]\nhost = \"a\"\nname = \"two\"\nprobe = \"\"\nattempts = 5\n\
         [[contact]]\nname = \"noc\"\nwebhook = \"{}\"\n[[route]]\nname = \"all\"\nto = [\"noc\"]\n\
         [notifier.webhook]\n",
        receiver.url
    )
}

async fn seen(site: &Site) -> Vec<Value> {
    let mut lists = Vec::new();
    for path in ["hosts", "services", "incidents", "downtimes", "history"] {
        let mut list = site.get(&format!("/api/v1/{path}?limit=1000")).await;
        // The address of this very server stands in no item; the sequence goes on with every tick.
        let mut items = list["items"].take();
        for item in items.as_array_mut().unwrap() {
            item.as_object_mut().unwrap().remove("next_check");
        }
        lists.push(items);
    }
    lists
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_running_server_starts_elsewhere_as_the_same_world() {
    let receiver = Receiver::start().await;
    let site = Site::new(&config(&receiver));
    let mut server = site.start().await;
    site.result("a", "one", 2).await;
    site.result("a", "two", 1).await;
    receiver.has("test/INC-1/problem/1/noc/webhook").await;
    site.ask("POST", "/api/v1/hosts/a/services/one/ack", Some(&serde_json::json!({"comment": "mine"}))).await;
    let window = serde_json::json!({"host": "a", "service": "two", "duration": 3600, "comment": "planned"});
    site.ask("POST", "/api/v1/downtimes", Some(&window)).await;
    until("the delivery is on the timeline", async || {
        let incident = site.get("/api/v1/incidents/1").await;
        incident["timeline"].as_array()?.iter().any(|entry| entry["kind"] == "paged").then_some(())
    })
    .await;
    let before = seen(&site).await;
    let copy = site.dir().join("copy");
    let made = site.run(&["backup", copy.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    server.kill();

    // The same address: another one would be another configuration.
    let mut elsewhere = Site::new("");
    elsewhere.port = site.port;
    elsewhere.configure(&config(&receiver));
    let restored = elsewhere.run(&["restore", copy.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    let again = elsewhere.run(&["restore", copy.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "what is there is not replaced without --force: {again:?}");
    elsewhere.share_token(&site);
    let server = elsewhere.start().await;
    assert_eq!(seen(&elsewhere).await, before);
    let refused = elsewhere.run(&["restore", copy.to_str().unwrap(), "--force"]);
    assert_eq!(refused.status.code(), Some(1), "not under a running server: {refused:?}");
    drop(server);
    assert_eq!(receiver.pages().len(), 1, "the copy pages nobody again");
}
