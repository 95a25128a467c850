//! The `nats` probe against a real server: plain, with passwords, with TLS, full.

use serde_json::json;

use super::*;

fn start(folder: &Path, port: u16, monitor: u16, more: &str) -> Child {
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nserver_name: n1\n{more}\n\
         jetstream {{ store_dir: \"{}/js{port}\", max_mem: 1M, max_file: 10M }}\n",
        folder.display()
    );
    let config = write(folder, &format!("{port}.conf"), &text);
    spawn(Command::new(program("nats-server", "nats-server")).arg("-c").arg(config).stderr(Stdio::null()))
}

#[tokio::test]
async fn a_nats_server_tells_of_its_clients_and_of_jetstream() {
    let folder = folder();
    let [port, monitor] = [free_port(), free_port()];
    let mut server = start(folder.path(), port, monitor, "max_connections: 4");
    let params = json!({"port": port, "monitor_port": monitor});
    let seen = run_until("nats", params.clone(), |seen| fact(seen, "health") == "ok").await;
    for (name, value) in [
        ("nats", "ok"),
        ("monitor", "ok"),
        ("jetstream", "true"),
        ("lame_duck", "false"),
        ("streams", "0"),
        ("storage_max_bytes", "10000000"),
        ("connections_max", "4"),
        ("slow_consumers", "0"),
    ] {
        assert_eq!(fact(&seen, name), value, "{name} of {seen:#?}");
    }
    // Four clients that stay. Who comes while a look before is still leaving is refused, so more of them come.
    let mut clients = Vec::new();
    while fact(&run("nats", params.clone()).await, "nats") != "full" {
        clients.push(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        assert!(clients.len() < 100, "it takes more than four");
    }
    drop(clients);
    let seen = run("nats", json!({"port": port, "tls": true, "insecure": true})).await;
    assert!(["tls", "full"].contains(&fact(&seen, "nats").as_str()), "it offers none: {seen:#?}");
    server.kill().await.unwrap();
    assert_eq!(fact(&run("nats", params).await, "port"), "refused");
}

#[tokio::test]
async fn a_nats_server_with_tls_and_passwords_lets_only_friends_in() {
    let folder = folder();
    certificate(folder.path(), "nats");
    certificate(folder.path(), "other");
    let [port, monitor] = [free_port(), free_port()];
    let file = |name: &str| folder.path().join(name);
    let more = format!(
        "authorization {{ user: stentor, password: \"hunter2\" }}\ntls {{ cert_file: \"{}\", key_file: \"{}\" }}",
        file("nats.pem").display(),
        file("nats.key").display()
    );
    let _server = start(folder.path(), port, monitor, &more);
    let [right, wrong] = ["hunter2", "x"].map(|text| write(folder.path(), &format!("{text}.pw"), text));
    let [ca, other] = ["nats.pem", "other.pem"].map(file);
    let login = json!({"port": port, "user": "stentor", "password_file": right, "tls": true, "ca_file": ca});
    let seen = run_until("nats", login, |seen| fact(seen, "nats") == "ok").await;
    assert!(seen.facts.contains_key("tls_days_left"), "{seen:#?}");
    for (more, word) in [
        (json!({"user": "stentor", "password_file": wrong, "tls": true, "ca_file": ca}), "denied"),
        (json!({"tls": true, "ca_file": ca}), "denied"),
        (json!({"tls": true, "ca_file": other}), "tls"),
        (json!({"user": "stentor", "password_file": right}), "tls"),
    ] {
        let mut params = more.clone();
        params["port"] = json!(port);
        let seen = run("nats", params).await;
        assert_eq!(fact(&seen, "nats"), word, "{more}: {seen:#?}");
    }
}
