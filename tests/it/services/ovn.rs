//! The `ovn` probe against three real members of a clustered database, as they die and come back.

use serde_json::json;
use stentor::probes::local_view::LocalView;

use super::*;

const PACKAGE: &str = "openvswitch-common";
/// The name alone is OVN's: what is in the tables is nothing to raft.
const SCHEMA: &str =
    r#"{"name":"OVN_Northbound","version":"1.0.0","tables":{"T":{"columns":{"a":{"type":"string"}}}}}"#;

struct Cluster {
    folder: TempDir,
    ports: [u16; 3],
}

impl Cluster {
    fn of(&self, member: usize) -> PathBuf {
        self.folder.path().join(member.to_string())
    }

    fn address(&self, member: usize) -> String {
        format!("tcp:127.0.0.1:{}", self.ports[member])
    }

    async fn make() -> Cluster {
        let cluster = Cluster { folder: folder(), ports: [free_port(), free_port(), free_port()] };
        let schema = write(cluster.folder.path(), "schema", SCHEMA);
        for member in 0..3 {
            fs::create_dir(cluster.of(member)).unwrap();
            let mut tool = Command::new(program("ovsdb-tool", PACKAGE));
            let database = cluster.of(member).join("db");
            let (own, first) = (cluster.address(member), cluster.address(0));
            match member {
                0 => tool.arg("create-cluster").arg(database).arg(&schema).arg(own),
                _ => tool.arg("join-cluster").arg(database).args(["OVN_Northbound", &own, &first]),
            };
            let made = tool.output().await.unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        cluster
    }

    fn start(&self, member: usize) -> Child {
        serve(&self.of(member))
    }

    async fn until(&self, member: usize, wanted: impl Fn(&Observation) -> bool) -> Observation {
        look_until(&*asking(&self.of(member)), wanted).await
    }
}

/// A server of the database in that folder, with its control socket where OVN has it.
fn serve(folder: &Path) -> Child {
    let mut server = Command::new(program("ovsdb-server", PACKAGE));
    let socket = |name: &str| folder.join(name).display().to_string();
    server.arg("--no-chdir").arg(format!("--unixctl={}", socket("ovnnb_db.ctl")));
    server.arg(format!("--remote=punix:{}", socket("db.sock"))).arg(folder.join("db"));
    spawn(server.env("OVS_RUNDIR", folder).env("OVS_LOGDIR", folder).stderr(Stdio::null()))
}

fn asking(folder: &Path) -> Arc<dyn ErasedProbe> {
    let env = ProbeEnv { net: Network::real(), view: Arc::new(LocalView::default()), clock: Clock::Machine };
    let params: Value = serde_json::from_value(json!({"databases": ["northbound"], "sockets": folder})).unwrap();
    (find("ovn").unwrap().build)(&params, &env).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_cluster_of_ovn_is_told_as_it_loses_its_members_and_its_leader() {
    let cluster = Cluster::make().await;
    let (_first, mut second, mut third) = (cluster.start(0), cluster.start(1), cluster.start(2));
    // Who made the cluster leads it until somebody fails.
    let seen = cluster.until(0, |seen| fact(seen, "members") == "3" && fact(seen, "may_fail") == "1").await;
    assert_eq!(["raft", "northbound"].map(|name| fact(&seen, name)), ["quorate", "leader"], "{seen:#?}");
    cluster.until(1, |seen| fact(seen, "northbound") == "follower" && fact(seen, "raft") == "quorate").await;
    third.kill().await.unwrap();
    let seen = cluster.until(0, |seen| fact(seen, "may_fail") == "0").await;
    assert_eq!(fact(&seen, "members_gone"), format!("[northbound {}]", cluster.address(2)), "{seen:#?}");
    second.kill().await.unwrap();
    let seen = cluster.until(0, |seen| fact(seen, "raft") == "no_quorum").await;
    assert_eq!(fact(&seen, "no_leader"), "[northbound]", "{seen:#?}");
    let seen = look(&*asking(&cluster.of(1))).await;
    assert_eq!(["raft", "silent"].map(|name| fact(&seen, name)), ["", "[northbound]"], "{seen:#?}");
    let _second = cluster.start(1);
    cluster.until(0, |seen| fact(seen, "raft") == "quorate").await;
}

#[tokio::test]
async fn a_database_in_no_cluster_is_called_alone() {
    let folder = folder();
    let schema = write(folder.path(), "schema", SCHEMA);
    let mut tool = Command::new(program("ovsdb-tool", PACKAGE));
    let made = tool.arg("create").arg(folder.path().join("db")).arg(schema).output().await.unwrap();
    assert!(made.status.success(), "{made:?}");
    let _server = serve(folder.path());
    let seen = look_until(&*asking(folder.path()), |seen| fact(seen, "silent") == "[]").await;
    assert_eq!(["raft", "alone"].map(|name| fact(&seen, name)), ["alone", "[northbound]"], "{seen:#?}");
}
