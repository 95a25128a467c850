//! Debian's monitoring-plugins as services of `stentor serve`: their output and perfdata on the page and in `/metrics`.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::Value;

use crate::metrics::assert_accepted;
use crate::plugins::serve;
use crate::running::{Running, until};

const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// A service that runs a plugin, in TOML.
fn service(name: &str, command: &str) -> String {
    format!(
        "[[service]]\nhost = [\"here\"]\nname = \"{name}\"\nprobe = \"exec\"\nevery = \"1m\"\nattempts = 1\n\
         params = {{ command = \"{PLUGINS}/{command}\" }}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_run_unmodified_with_output_and_perfdata_on_the_page_and_in_the_metrics() {
    let web = serve(true, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi").await;
    let ssh = serve(false, b"SSH-2.0-OpenSSH_9.2p1 Test\r\n").await;
    let config = [
        "[[host]]\nname = \"here\"\naddress = \"127.0.0.1\"\ncheck = \"none\"\n".to_owned(),
        service("root", "check_disk -w 0% -c 0% -p /"),
        service("web", &format!("check_http -H $HOSTNAME$ -I $HOSTADDRESS$ -p {} -s hi", web.port())),
        service("shell", &format!("check_ssh -p {} $HOSTADDRESS$", ssh.port())),
        service("busy", "check_procs -w 1: -c 1:"),
        service("missing", "check_procs -c 1: -a 'no such process anywhere'"),
    ];
    let stentor = Running::serve(&config.join(""), tempfile::tempdir().unwrap()).await;
    let services = until("every plugin has run", async || {
        let services = stentor.services().await;
        let pending = services.iter().filter(|service| service["state"] == "PENDING").count();
        if services.len() == 5 && pending == 0 { Ok(services) } else { Err((services.len(), pending)) }
    })
    .await;
    let metrics = stentor.text("metrics").await;
    let expect = [
        ("root", "OK", "DISK OK", Some("/")),
        ("web", "OK", "HTTP OK", Some("time")),
        ("shell", "OK", "OpenSSH_9.2p1", Some("time")),
        ("busy", "OK", "PROCS OK", Some("procs")),
        ("missing", "CRITICAL", "PROCS CRITICAL: 0 processes", Some("procs")),
    ];
    for (name, state, output, label) in expect {
        let service = services.iter().find(|service| service["service"] == name).expect("configured");
        assert_eq!(service["state"], state, "{service}");
        let said = service["output"].as_str().expect("output");
        assert!(said.contains(output), "{name}: {said}");
        let page = readable(&stentor.text(&format!("h/here/{name}")).await);
        assert!(page.contains(said), "`{said}` is not on the page of {name}:\n{page}");
        let Some(label) = label else { continue };
        let item = perfdata(service, label);
        assert!(page.contains(label), "no `{label}` on the page of {name}:\n{page}");
        let series = format!(
            "stentor_service_perfdata_value{{host=\"here\",service=\"{name}\",label=\"{label}\",unit=\"{}\"}} ",
            item["unit"].as_str().expect("a unit")
        );
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        let value: f64 = value.unwrap_or_else(|| panic!("no `{series}` in\n{metrics}")).parse().expect("a number");
        assert!(value.is_finite() && value >= 0.0, "{series}{value}");
    }
    assert!(metrics.contains("stentor_service_state{host=\"here\",service=\"missing\"} 2\n"), "{metrics}");
    assert_accepted(metrics);
    stentor.stop().await;
}

fn perfdata<'a>(service: &'a Value, label: &str) -> &'a Value {
    let items = service["perfdata"].as_array().expect("a list");
    items.iter().find(|item| item["label"] == label).unwrap_or_else(|| panic!("no `{label}` in {service}"))
}

/// A page with its entities resolved.
fn readable(html: &str) -> String {
    let named = html.replace("&quot;", "\"").replace("&#39;", "'").replace("&#x27;", "'").replace("&#34;", "\"");
    named
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}
