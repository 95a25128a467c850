//! What Stentor depends on and does not own: mail servers that are away or slow, controllers that refuse a login.

use serde_json::Value;
use stentor::clock::Clock;
use stentor::demo::bmc::{BmcIdentity, SimulatedBmc};

use crate::serve::{Receiver, Site, free_port, until};
use crate::smtp::{Fault, Protection, SmtpServer};

fn mailed(port: u16) -> String {
    format!(
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\nzone = \"z\"\ncheck = \"none\"\n\
         [[service]]\nhost = \"a\"\nname = \"one\"\nprobe = \"\"\nattempts = 1\n\
         [[contact]]\nname = \"noc\"\nemail = \"noc@example.org\"\n[[route]]\nname = \"all\"\nto = [\"noc\"]\n\
         [notifier.email]\nhost = \"localhost\"\nport = {port}\ntls = \"none\"\nfrom = \"stentor@localhost\"\n\
         timeout = \"1s\"\n"
    )
}

async fn retried(site: &Site) {
    until("an attempt has failed", async || {
        let log = site.log();
        log.contains("INC-1/problem/1/noc/email not delivered, again at").then_some(())
    })
    .await;
}

async fn arrives_once(site: &Site, server: &SmtpServer) {
    until("the mail arrives", async || server.mails().first().cloned()).await;
    until("the engine knows", async || {
        let incident = site.get("/api/v1/incidents/1").await;
        incident["timeline"].as_array()?.iter().any(|entry| entry["kind"] == "paged").then_some(())
    })
    .await;
    site.result("a", "one", 0).await;
    // Mails of one incident go out in order: a second copy of the first would come before this one.
    let mails = until("the recovery arrives", async || Some(server.mails()).filter(|mails| mails.len() >= 2)).await;
    let ids: Vec<_> = mails.iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
    assert!(mails.len() == 2 && ids[0] != ids[1], "{ids:?}");
    assert_eq!(mails[1].header("In-Reply-To").as_ref(), Some(&ids[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_comes_up_late_gets_the_mail_once() {
    let port = free_port();
    let site = Site::new(&mailed(port));
    let _server = site.start().await;
    site.result("a", "one", 2).await;
    retried(&site).await;
    let server = SmtpServer::start_on(port, Protection::None, false).await;
    arrives_once(&site, &server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_says_nothing_holds_up_nobody_and_gets_the_mail_once() {
    let server = SmtpServer::start(Protection::None, false).await;
    server.fault(Fault::Silent);
    let site = Site::new(&mailed(server.address.port()));
    let _server = site.start().await;
    site.result("a", "one", 2).await;
    retried(&site).await;
    // The engine did not wait for it.
    site.hard("a", "one", "CRITICAL").await;
    server.fault(Fault::None);
    arrives_once(&site, &server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_of_a_controller_is_unknown_and_no_dead_server() {
    let identity = BmcIdentity::with_user("monitor", "right");
    let bmc = SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity, Clock::Machine).await.unwrap();
    let receiver = Receiver::start().await;
    let site = Site::new("");
    std::fs::write(site.dir().join("bmc.password"), "wrong").unwrap();
    site.configure(&format!(
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"srv\"\naddress = \"127.0.0.1\"\nzone = \"z\"\ncheck = \"none\"\n\
         [host.bmc]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"monitor\"\npassword_file = \"bmc.password\"\n\
         [[contact]]\nname = \"noc\"\nwebhook = \"{}\"\nseverity_min = \"info\"\n\
         [[route]]\nname = \"all\"\nto = [\"noc\"]\n[notifier.webhook]\n",
        bmc.address().port(),
        receiver.url
    ));
    let _server = site.start().await;
    let services = until("every check of the controller is hard", async || {
        let list = site.get("/api/v1/services").await;
        let services = list["items"].as_array()?.clone();
        services.iter().all(|service| service["kind"] == "HARD" && service["state"] != "PENDING").then_some(services)
    })
    .await;
    let names: Vec<&Value> = services.iter().map(|service| &service["service"]).collect();
    assert!(names.len() > 3, "{names:?}");
    for service in &services {
        let output = service["output"].as_str().unwrap();
        assert_eq!(service["state"], "UNKNOWN", "{service}");
        assert!(output.contains("password"), "what to mend is said: {output}");
    }
    // Long enough for a diagnosis with all this evidence: the next one has begun after these states were there.
    let seq = site.get("/api/v1/services").await["seq"].as_u64().unwrap();
    until("two more ticks", async || (site.get("/api/v1/services").await["seq"].as_u64()? > seq + 2).then_some(()))
        .await;
    let incidents = site.get("/api/v1/incidents").await;
    for incident in incidents["items"].as_array().unwrap() {
        assert_ne!(incident["class"], "server_down", "{incident}");
    }
    drop(bmc);
}
