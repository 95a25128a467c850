//! The `mysql` probe against a real MariaDB, its replica, and a Galera cluster of one.

use serde_json::json;

use super::*;

struct Node {
    keeper: Keeper,
    folder: PathBuf,
    port: u16,
    id: u32,
    child: Option<Child>,
}

impl Node {
    async fn new(folder: &Path, id: u32) -> Node {
        let keeper = Keeper::of("mysql");
        let own = folder.join(format!("node{id}"));
        fs::create_dir(&own).unwrap();
        keeper.give(&own, 0o755);
        let node = Node { keeper, folder: own, port: free_port(), id, child: None };
        let mut install = keeper.command(&program("mariadb-install-db", "mariadb-server"), &node.folder);
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        done(install.arg(node.option("datadir", "data"))).await;
        node
    }

    fn option(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.folder.join(file).display())
    }

    fn start(&mut self, more: &[&str]) {
        let mut command = self.keeper.command(&program("mariadbd", "mariadb-server"), &self.folder);
        command.arg("--no-defaults").args([self.option("datadir", "data"), self.option("socket", "socket")]);
        command.args([format!("--port={}", self.port), format!("--server-id={}", self.id)]);
        command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--log-bin=log", "--max-connections=20"]);
        command.args([
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        command.args(["--performance-schema=off", "--slave-net-timeout=5"]).args(more);
        command.stderr(Stdio::null());
        self.child = Some(spawn(&mut command));
    }

    /// Until it answers at all; who asks is not known yet.
    async fn up(&self) {
        run_until("mysql", json!({"port": self.port}), |seen| fact(seen, "mysql") == "denied").await;
    }

    async fn sql(&self, sql: &str) -> String {
        let mut command = self.keeper.command(&program("mariadb", "mariadb-server"), &self.folder);
        command.args(["--no-defaults", "-uroot", &self.option("socket", "socket"), "-Ne", sql]);
        done(&mut command).await
    }

    async fn accounts(&self) {
        self.sql(&format!(
            "CREATE USER stentor@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; \
             GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO stentor@'127.0.0.1'; \
             CREATE USER plain@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; CREATE DATABASE d; \
             CREATE USER copy@'127.0.0.1' IDENTIFIED BY 'c'; GRANT REPLICATION SLAVE ON *.* TO copy@'127.0.0.1'"
        ))
        .await;
    }

    async fn follow(&self, source: &Node) {
        let port = source.port;
        self.sql(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='copy', MASTER_PASSWORD='c', \
             MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos; START SLAVE"
        ))
        .await;
    }

    async fn crash(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_pair_of_mariadb_tells_how_its_replication_goes() {
    let folder = folder();
    let password = write(folder.path(), "password", &format!("{PASSWORD}\n"));
    let mut primary = Node::new(folder.path(), 1).await;
    let mut replica = Node::new(folder.path(), 2).await;
    primary.start(&[]);
    replica.start(&["--read-only=1"]);
    primary.up().await;
    primary.accounts().await;
    replica.up().await;
    replica.follow(&primary).await;
    let of = |node: &Node, peer: &Node| json!({"port": node.port, "password_file": password, "peer": "127.0.0.1", "peer_port": peer.port});
    let [of_primary, of_replica] = [of(&primary, &replica), of(&replica, &primary)];

    let is_well = |seen: &Observation| fact(seen, "replication") == "ok" && number(seen, "gtid_behind") == 0.0;
    let seen = run_until("mysql", of_replica.clone(), is_well).await;
    for (name, value) in [
        ("mysql", "ok"),
        ("flavor", "mariadb"),
        ("role", "replica"),
        ("writable", "false"),
        ("peer_writable", "true"),
        ("both_writable", "false"),
        ("gtid_ahead", "0"),
        ("unseen", "[]"),
        ("lag_s", "0"),
        ("connections_max", "20"),
        ("source", &format!("127.0.0.1:{}", primary.port)),
    ] {
        assert_eq!(fact(&seen, name), value, "{name} of {seen:#?}");
    }
    let seen = run("mysql", of_primary.clone()).await;
    assert_eq!((fact(&seen, "role"), fact(&seen, "replication")), ("primary".into(), "none".into()));
    assert!(number(&seen, "binlog_bytes") > 0.0 && number(&seen, "gtid_ahead") == 0.0, "{seen:#?}");

    semi_synchronous(&primary, &replica, &of_primary).await;

    replica.sql("STOP SLAVE SQL_THREAD").await;
    let seen = run("mysql", of_replica.clone()).await;
    assert_eq!((fact(&seen, "replication"), fact(&seen, "io_running")), ("sql_stopped".into(), "yes".into()));
    assert!(!seen.facts.contains_key("lag_s"), "nobody knows it: {seen:#?}");
    replica.sql("START SLAVE").await;
    run_until("mysql", of_replica.clone(), is_well).await;

    primary.sql("CREATE TABLE d.u (a int PRIMARY KEY)").await;
    run_until("mysql", of_replica.clone(), is_well).await;
    replica.sql("INSERT INTO d.u VALUES (1)").await;
    let seen = run("mysql", of_replica.clone()).await;
    assert_eq!((number(&seen, "gtid_ahead") > 0.0, fact(&seen, "writable")), (true, "false".into()), "{seen:#?}");
    primary.sql("INSERT INTO d.u VALUES (1)").await;
    let seen = run_until("mysql", of_replica.clone(), |seen| fact(seen, "replication") == "sql_stopped").await;
    assert_eq!(fact(&seen, "last_errno"), "1062", "duplicate key: {seen:#?}");

    replica.sql("SET GLOBAL read_only = 0").await;
    let seen = run("mysql", of_primary.clone()).await;
    assert_eq!(fact(&seen, "both_writable"), "true", "{seen:#?}");

    primary.crash().await;
    let seen = run_until("mysql", of_replica, |seen| fact(seen, "io_running") == "connecting").await;
    assert_eq!(fact(&seen, "peer"), "refused", "{seen:#?}");
    assert_eq!(fact(&run("mysql", of_primary).await, "port"), "refused");
}

async fn semi_synchronous(primary: &Node, replica: &Node, of_primary: &serde_json::Value) {
    assert_eq!(fact(&run("mysql", of_primary.clone()).await, "semi_sync"), "off");
    replica.sql("SET GLOBAL rpl_semi_sync_slave_enabled = 1; STOP SLAVE; START SLAVE").await;
    primary.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1; SET GLOBAL rpl_semi_sync_master_timeout = 10").await;
    let is_on = |seen: &Observation| fact(seen, "semi_sync") == "on" && number(seen, "semi_sync_clients") == 1.0;
    run_until("mysql", of_primary.clone(), is_on).await;
    replica.sql("STOP SLAVE; SET GLOBAL rpl_semi_sync_slave_enabled = 0").await;
    primary.sql("CREATE TABLE d.t (a int); INSERT INTO d.t VALUES (1)").await;
    run_until("mysql", of_primary.clone(), |seen| fact(seen, "semi_sync") == "fallen_back").await;
    replica.sql("START SLAVE").await;
}

#[tokio::test]
async fn each_way_into_mariadb_and_each_question_is_answered() {
    let folder = folder();
    certificate(folder.path(), "my");
    let mut server = Node::new(folder.path(), 1).await;
    for end in ["pem", "key"] {
        let to = server.folder.join(format!("my.{end}"));
        fs::copy(folder.path().join(format!("my.{end}")), &to).unwrap();
        server.keeper.give(&to, 0o600);
    }
    let tls = [server.option("ssl-cert", "my.pem"), server.option("ssl-key", "my.key")];
    server.start(&[&tls[0], &tls[1]]);
    server.up().await;
    server.accounts().await;
    server.sql("ALTER USER plain@'127.0.0.1' REQUIRE SSL").await;
    let [right, wrong] = [PASSWORD, "x"].map(|text| write(folder.path(), &format!("{}.pw", text.len()), text));
    let base = json!({"port": server.port, "password_file": right});
    let with = |more: serde_json::Value| {
        let mut params = base.clone();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    certificate(folder.path(), "other");
    let [ca, other] = ["my.pem", "other.pem"].map(|name| folder.path().join(name));
    logins(
        "mysql",
        &with,
        &[
            (json!({}), "ok"),
            (json!({"tls": true, "ca_file": ca}), "ok"),
            (json!({"tls": true, "ca_file": other}), "tls"),
            (json!({"user": "plain"}), "denied"),
            (json!({"user": "plain", "tls": true, "insecure": true}), "ok"),
            (json!({"password_file": wrong}), "denied"),
            (json!({"user": "nobody"}), "denied"),
            (json!({"database": "none"}), "denied"),
        ],
    )
    .await;
    questions(
        "mysql",
        &with,
        &[
            ("SELECT 40 + 2, 7", "ok", 42.0, ""),
            ("SELECT 1 FROM information_schema.tables WHERE 0", "empty", f64::NAN, ""),
            ("SELECT NULL", "empty", f64::NAN, ""),
            ("SELEC 1", "error", f64::NAN, "1064"),
            ("SELECT * FROM none.t", "error", f64::NAN, "1142"),
        ],
    )
    .await;
    server.sql("GRANT ALL ON d.* TO stentor@'127.0.0.1'; CREATE TABLE d.t (a int)").await;
    let seen = run("mysql", with(json!({"query": "INSERT INTO d.t VALUES (1)"}))).await;
    assert_eq!(fact(&seen, "query_error"), "1792", "it may only read: {seen:#?}");
    let seen = run("mysql", with(json!({"user": "plain", "tls": true, "insecure": true}))).await;
    assert_eq!(fact(&seen, "unseen"), "[replication, SHOW BINARY LOGS]", "{seen:#?}");
    // Growth needs two looks by one probe.
    let probe = build("mysql", with(json!({"log_room_bytes": 1_000_000_000_u64})));
    look_until(&*probe, |_| true).await;
    server.sql("CREATE TABLE d.g (a longtext); INSERT INTO d.g VALUES (repeat('x', 3000000))").await;
    let seen = look_until(&*probe, |seen| number(seen, "binlog_growth_bps") > 0.0).await;
    assert!(number(&seen, "binlog_full_s") > 0.0, "{seen:#?}");
}

#[tokio::test]
async fn a_member_of_galera_says_whether_it_belongs_to_the_majority() {
    let folder = folder();
    let mut server = Node::new(folder.path(), 1).await;
    let provider = "/usr/lib/galera/libgalera_smm.so";
    assert!(Path::new(provider).is_file(), "apt-get install galera-4 (with mariadb-server)");
    let ports = format!("gmcast.listen_addr=tcp://127.0.0.1:{};ist.recv_bind=127.0.0.1", free_port());
    let options = format!("--wsrep-provider-options={ports}");
    let provider = format!("--wsrep-provider={provider}");
    server.start(&[
        &provider,
        &options,
        "--wsrep-on=1",
        "--wsrep-cluster-address=gcomm://",
        "--binlog-format=ROW",
        "--wsrep-new-cluster",
        "--wsrep-node-address=127.0.0.1",
    ]);
    server.up().await;
    server.accounts().await;
    let password = write(folder.path(), "password", PASSWORD);
    let params = json!({"port": server.port, "password_file": password});
    let seen = run_until("mysql", params.clone(), |seen| fact(seen, "galera_state") == "Synced").await;
    assert_eq!((fact(&seen, "role"), fact(&seen, "galera")), ("galera".into(), "Primary".into()), "{seen:#?}");
    assert_eq!((fact(&seen, "galera_ready"), number(&seen, "galera_size")), ("true".into(), 1.0));
    // As a member does that lost the others.
    server.sql("SET GLOBAL wsrep_provider_options = 'pc.weight=0'; SET GLOBAL wsrep_cluster_address = ''").await;
    let seen = run_until("mysql", params, |seen| fact(seen, "galera_ready") == "false").await;
    assert_ne!(fact(&seen, "galera"), "Primary", "{seen:#?}");
}
