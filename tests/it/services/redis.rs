//! The `redis` probe against two real servers: a primary with a password, and its replica.

use serde_json::json;

use super::*;

const PASSWORD: &str = "hunter2 with blanks";

fn start(folder: &Path, port: u16, more: &str) -> Child {
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\ndaemonize no\nrequirepass \"{PASSWORD}\"\nmaxmemory 64mb\n\
         dbfilename {port}.rdb\n{more}\n",
        folder.display()
    );
    let config = write(folder, &format!("{port}.conf"), &text);
    spawn(Command::new(program("redis-server", "redis-server")).arg(config))
}

#[tokio::test]
async fn a_primary_knows_its_replica_and_the_replica_misses_its_primary() {
    let folder = folder();
    let [primary, replica] = [free_port(), free_port()];
    let file = write(folder.path(), "password", &format!("{PASSWORD}\n"));
    let mut first = start(folder.path(), primary, "repl-diskless-sync-delay 0");
    let follow = format!("replicaof 127.0.0.1 {primary}\nmasterauth \"{PASSWORD}\"");
    let _second = start(folder.path(), replica, &follow);
    let params = |port: u16| json!({"port": port, "password_file": file});

    let seen = run_until("redis", params(primary), |seen| fact(seen, "replicas_online") == "1").await;
    assert_eq!((fact(&seen, "redis"), fact(&seen, "role")), ("ok".into(), "primary".into()), "{seen:#?}");
    assert!(seen.facts["memory_pct"].number().is_some_and(|pct| pct > 0.0 && pct < 100.0), "{seen:#?}");
    assert_eq!(fact(&seen, "persistence_ok"), "true");
    let seen = run_until("redis", params(replica), |seen| fact(seen, "link") == "up").await;
    assert_eq!((fact(&seen, "role"), fact(&seen, "primary")), ("replica".into(), format!("127.0.0.1:{primary}")));

    let seen = run("redis", json!({"port": primary})).await;
    assert_eq!(fact(&seen, "redis"), "denied", "without a password");
    let wrong = write(folder.path(), "wrong", "x");
    let seen = run("redis", json!({"port": primary, "password_file": wrong})).await;
    assert_eq!(fact(&seen, "redis"), "denied", "with a wrong one: {seen:#?}");

    first.kill().await.unwrap();
    let seen = run_until("redis", params(replica), |seen| fact(seen, "link") == "down").await;
    assert!(seen.facts.contains_key("link_down_s"), "{seen:#?}");
    let seen = run("redis", params(primary)).await;
    assert_eq!(fact(&seen, "port"), "refused");
}
