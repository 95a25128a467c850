//! The `rabbitmq` probe against a real broker with its management plugin.

use serde_json::json;

use super::*;

/// A broker of the test's own: its mapper of names (epmd), cookie and folders are not the machine's.
struct Broker {
    folder: TempDir,
    names: u16,
    port: u16,
    management: u16,
}

impl Broker {
    fn new() -> Broker {
        let broker = Broker { folder: folder(), names: free_port(), port: free_port(), management: free_port() };
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n\
             loopback_users = none\ncollect_statistics_interval = 500\nmanagement.rates_mode = none\n",
            broker.port, broker.management
        );
        write(broker.folder.path(), "rabbitmq.conf", &config);
        write(broker.folder.path(), "plugins", "[rabbitmq_management].\n");
        broker
    }

    fn command(&self, name: &str) -> Command {
        let home = self.folder.path();
        let libs = fs::read_dir("/usr/lib/rabbitmq/lib").expect("apt-get install rabbitmq-server (scripts/test does)");
        let newest = libs.map(|entry| entry.unwrap().path()).max().unwrap();
        let mut command = Command::new(newest.join("sbin").join(name));
        command.current_dir(home).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C.UTF-8");
        for (name, file) in [
            ("HOME", ""),
            ("RABBITMQ_MNESIA_BASE", "data"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_SCHEMA_DIR", "schema"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_PID_FILE", "pid"),
            ("RABBITMQ_CONF_ENV_FILE", "none"),
        ] {
            command.env(name, home.join(file));
        }
        let node = format!("stentor{}@localhost", self.port);
        command
            .env("RABBITMQ_NODENAME", node)
            .env("ERL_EPMD_PORT", self.names.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_DIST_PORT", free_port().to_string());
        command
    }

    /// Runs `rabbitmqctl`.
    async fn control(&self, words: &[&str]) {
        let output = self.command("rabbitmqctl").args(words).stdin(Stdio::null()).output().await.unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// One call of the management interface by curl, as an operator would make it.
    async fn put(&self, method: &str, path: &str, body: &str) {
        let url = format!("http://127.0.0.1:{}{path}", self.management);
        let mut command = Command::new(program("curl", "curl"));
        command.args([
            "-sSf",
            "-u",
            "guest:guest",
            "-X",
            method,
            "-H",
            "content-type: application/json",
            "-d",
            body,
            &url,
        ]);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The mapper of names outlives its nodes; it is ours, on a port of ours.
        let mut command = std::process::Command::new("/usr/bin/epmd");
        command
            .env("ERL_EPMD_PORT", self.names.to_string())
            .args(["-kill"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _ = command.status();
    }
}

#[tokio::test]
async fn a_broker_tells_of_its_queues_and_alarms() {
    let broker = Broker::new();
    let mut server = spawn(broker.command("rabbitmq-server").stderr(Stdio::null()));
    let [right, wrong] = ["guest", "x"].map(|text| write(broker.folder.path(), &format!("{text}.pw"), text));
    let with = |password: &Path| json!({"port": broker.port, "management_port": broker.management, "user": "guest", "password_file": password});
    let seen = run_until("rabbitmq", with(&right), |seen| fact(seen, "nodes_running") == "1").await;
    assert_eq!((fact(&seen, "rabbitmq"), fact(&seen, "management")), ("ok".into(), "ok".into()), "{seen:#?}");
    assert_eq!((fact(&seen, "alarms"), fact(&seen, "partitions")), ("[]".into(), "[]".into()));
    assert!(fact(&seen, "version").starts_with(|c: char| c.is_ascii_digit()), "{seen:#?}");
    assert_eq!(fact(&run("rabbitmq", with(&wrong)).await, "management"), "denied");

    broker.put("PUT", "/api/queues/%2F/jobs", r#"{"durable":false}"#).await;
    let message = r#"{"properties":{},"routing_key":"jobs","payload":"x","payload_encoding":"string"}"#;
    broker.put("POST", "/api/exchanges/%2F/amq.default/publish", message).await;
    let seen = run_until("rabbitmq", with(&right), |seen| fact(seen, "queues_unread") == "[/jobs]").await;
    assert_eq!((fact(&seen, "ready_max"), fact(&seen, "longest")), ("1".into(), "/jobs".into()), "{seen:#?}");
    let mut others = with(&right);
    others["queues"] = json!("^/other");
    assert_eq!(fact(&run("rabbitmq", others).await, "queues"), "0");

    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"]).await;
    let seen = run_until("rabbitmq", with(&right), |seen| fact(seen, "alarms") != "[]").await;
    assert!(fact(&seen, "alarms").contains(": memory"), "{seen:#?}");
    broker.control(&["stop"]).await;
    server.wait().await.unwrap();
    assert_eq!(fact(&run("rabbitmq", with(&right)).await, "port"), "refused");
}
