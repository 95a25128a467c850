//! The `postgres` probe against a real primary and its standby.

use serde_json::json;

use super::*;

/// One server, and where its data and socket are.
struct Node {
    keeper: Keeper,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

fn bin(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("apt-get install postgresql (scripts/test does)");
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install postgresql (scripts/test does)"))
}

impl Node {
    fn new(folder: &Path, name: &str) -> Node {
        let keeper = Keeper::of("postgres");
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        keeper.give(&folder, 0o755);
        Node { keeper, folder, port: free_port(), child: None }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        self.keeper.command(&bin(name), &self.folder)
    }

    fn start(&mut self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.folder).args(["-p", &self.port.to_string()]);
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "wal_receiver_timeout=5s", "wal_retrieve_retry_interval=200ms"]
        {
            command.args(["-c", setting]);
        }
        command.stderr(Stdio::null());
        self.child = Some(spawn(&mut command));
    }

    async fn crash(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        // Immediate shutdown: without goodbye to anybody, and no child is left.
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
        child.wait().await.unwrap();
    }

    async fn sql(&self, sql: &str) -> String {
        let mut command = self.program("psql");
        command.arg("-h").arg(&self.folder).args([
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-AXtqc",
            sql,
        ]);
        done(&mut command).await
    }

    /// An empty cluster with accounts for each way to log in, and TLS.
    async fn init(&mut self, certificates: &Path) {
        let data = self.data();
        done(self.program("initdb").args(["--auth=trust", "-U", "postgres", "--no-sync", "-D"]).arg(&data)).await;
        let hba = "local all all trust\nhost replication postgres 127.0.0.1/32 trust\nhost all old 127.0.0.1/32 md5\n\
            host all clear 127.0.0.1/32 password\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), hba).unwrap();
        for end in ["pem", "key"] {
            let to = data.join(format!("server.{end}"));
            fs::copy(certificates.join(format!("pg.{end}")), &to).unwrap();
            self.keeper.give(&to, 0o600);
        }
        let conf = data.join("postgresql.conf");
        let more = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nmax_connections = 20\n\
            shared_buffers = 8MB\nwal_level = replica\n";
        fs::write(&conf, fs::read_to_string(&conf).unwrap() + more).unwrap();
        self.start();
        run_until("postgres", json!({"port": self.port}), |seen| fact(seen, "postgres") == "denied").await;
        self.sql(&format!(
            "CREATE ROLE stentor LOGIN PASSWORD '{PASSWORD}'; GRANT pg_monitor TO stentor; \
             CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE clear LOGIN PASSWORD '{PASSWORD}'; \
             SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD '{PASSWORD}'"
        ))
        .await;
    }

    async fn copy(&mut self, of: &Node) {
        let mut command = self.program("pg_basebackup");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &of.port.to_string(),
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]);
        done(command.args(["-C", "-S", "standby1", "--no-sync", "-D"]).arg(self.data())).await;
        self.start();
    }
}

struct Pair {
    /// Goes away with it.
    _folder: TempDir,
    password: PathBuf,
    primary: Node,
    standby: Node,
}

impl Pair {
    async fn start() -> Pair {
        let folder = folder();
        certificate(folder.path(), "pg");
        let password = write(folder.path(), "password", &format!("{PASSWORD}\n"));
        let [mut primary, mut standby] = ["primary", "standby"].map(|name| Node::new(folder.path(), name));
        primary.init(folder.path()).await;
        standby.copy(&primary).await;
        Pair { _folder: folder, password, primary, standby }
    }

    fn params(&self, node: &Node, peer: &Node) -> serde_json::Value {
        json!({"port": node.port, "password_file": self.password, "peer": "127.0.0.1", "peer_port": peer.port})
    }
}

#[tokio::test]
async fn a_pair_of_postgresql_tells_how_its_replication_goes() {
    let mut pair = Pair::start().await;
    let [of_primary, of_standby] =
        [pair.params(&pair.primary, &pair.standby), pair.params(&pair.standby, &pair.primary)];

    let seen = run_until("postgres", of_primary.clone(), |seen| number(seen, "standbys_streaming") == 1.0).await;
    for (name, value) in [
        ("postgres", "ok"),
        ("role", "primary"),
        ("writable", "true"),
        ("slots_inactive", "[]"),
        ("unseen", "[]"),
        ("peer_role", "standby"),
        ("both_writable", "false"),
        ("same_cluster", "true"),
        ("sync_wanted", "false"),
        ("connections_max", "20"),
    ] {
        assert_eq!(fact(&seen, name), value, "{name} of {seen:#?}");
    }
    assert!(number(&seen, "wal_bytes") > 0.0 && number(&seen, "xid_pct") < 1.0, "{seen:#?}");
    let is_well = |seen: &Observation| fact(seen, "receiver") == "streaming" && number(seen, "lag_bytes") == 0.0;
    let seen = run_until("postgres", of_standby.clone(), is_well).await;
    assert_eq!((fact(&seen, "role"), fact(&seen, "writable")), ("standby".into(), "false".into()));
    assert_eq!((number(&seen, "lag_s"), fact(&seen, "replay_paused")), (0.0, "false".into()));
    assert!(number(&seen, "message_age_s") < 30.0, "{seen:#?}");

    pair.standby.sql("SELECT pg_wal_replay_pause()").await;
    pair.primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000)").await;
    let seen = run_until("postgres", of_standby.clone(), |seen| number(seen, "lag_bytes") > 0.0).await;
    assert_eq!(fact(&seen, "replay_paused"), "true", "{seen:#?}");
    let seen = run_until("postgres", of_primary.clone(), |seen| number(seen, "lag_bytes") > 0.0).await;
    assert_eq!(number(&seen, "standbys_streaming"), 1.0, "{seen:#?}");
    pair.standby.sql("SELECT pg_wal_replay_resume()").await;
    run_until("postgres", of_standby.clone(), is_well).await;

    pair.standby.crash().await;
    let seen = run_until("postgres", of_primary.clone(), |seen| fact(seen, "slots_inactive") == "[standby1]").await;
    assert_eq!((number(&seen, "standbys"), fact(&seen, "peer")), (0.0, "refused".into()), "{seen:#?}");
    pair.standby.start();
    run_until("postgres", of_standby.clone(), is_well).await;

    pair.primary.crash().await;
    let seen = run_until("postgres", of_standby.clone(), |seen| fact(seen, "receiver") == "none").await;
    assert_eq!((fact(&seen, "role"), fact(&seen, "peer")), ("standby".into(), "refused".into()), "{seen:#?}");
    assert_eq!(fact(&run("postgres", of_primary.clone()).await, "port"), "refused");

    pair.standby.sql("SELECT pg_promote()").await;
    pair.primary.start();
    let seen = run_until("postgres", of_standby, |seen| fact(seen, "both_writable") == "true").await;
    assert_eq!((fact(&seen, "role"), fact(&seen, "same_cluster")), ("primary".into(), "true".into()), "{seen:#?}");
}

#[tokio::test]
async fn each_way_into_postgresql_and_each_question_is_answered() {
    let folder = folder();
    certificate(folder.path(), "pg");
    let mut server = Node::new(folder.path(), "alone");
    server.init(folder.path()).await;
    let [right, wrong] = [PASSWORD, "x"].map(|text| write(folder.path(), &format!("{}.pw", text.len()), text));
    let base = json!({"port": server.port, "password_file": right});
    let with = |more: serde_json::Value| {
        let mut params = base.clone();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    certificate(folder.path(), "other");
    let [ca, other] = ["pg.pem", "other.pem"].map(|name| folder.path().join(name));
    logins(
        "postgres",
        &with,
        &[
            (json!({}), "ok"),
            (json!({"user": "old"}), "ok"),
            (json!({"user": "clear"}), "invalid"),
            (json!({"user": "clear", "tls": true, "ca_file": ca}), "ok"),
            (json!({"tls": true, "insecure": true}), "ok"),
            (json!({"tls": true, "ca_file": other}), "tls"),
            (json!({"password_file": wrong}), "denied"),
            (json!({"user": "old", "password_file": wrong}), "denied"),
            (json!({"user": "nobody"}), "denied"),
            (json!({"database": "none"}), "no_database"),
        ],
    )
    .await;
    questions(
        "postgres",
        &with,
        &[
            ("SELECT 40 + 2, 7", "ok", 42.0, ""),
            ("SELECT 1 WHERE false", "empty", f64::NAN, ""),
            ("SELECT NULL", "empty", f64::NAN, ""),
            ("CREATE TABLE t (a int)", "error", f64::NAN, "25006"),
            ("SELEC 1", "error", f64::NAN, "42601"),
        ],
    )
    .await;
    let seen = run("postgres", with(json!({"user": "plain"}))).await;
    assert_eq!((fact(&seen, "postgres"), fact(&seen, "unseen")), ("ok".into(), "[pg_ls_waldir]".into()), "{seen:#?}");
    // Growth needs two looks by one probe; a segment of the log has 16 MiB.
    let probe = build("postgres", with(json!({"log_room_bytes": 1_000_000_000_u64})));
    look_until(&*probe, |_| true).await;
    server.sql("CREATE TABLE g AS SELECT repeat('x', 500) FROM generate_series(1, 100000)").await;
    let seen = look_until(&*probe, |seen| number(seen, "wal_growth_bps") > 0.0).await;
    assert!(number(&seen, "wal_full_s") > 0.0, "{seen:#?}");
}
