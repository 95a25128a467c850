//! The `ntp` probe against Debian's chronyd, which serves the time of this machine.

use serde_json::json;

use super::*;

fn start(folder: &Path) -> (u16, Child) {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "port {port}\ncmdport 0\nbindaddress 127.0.0.1\nbindcmdaddress /\nallow 127.0.0.1\nlocal stratum 5\npidfile {}/{port}.pid\n",
        folder.display()
    );
    let config = write(folder, &format!("{port}.conf"), &text);
    let user = if rustix::process::geteuid().is_root() { "root".to_owned() } else { std::env::var("USER").unwrap() };
    // -x: the clock of this machine is not touched; -U: no root needed for that.
    let mut command = Command::new(program("chronyd", "chrony"));
    (port, spawn(command.args(["-x", "-U", "-d", "-u", &user, "-f"]).arg(config).stderr(Stdio::null())))
}

#[tokio::test]
async fn a_server_that_knows_the_time_says_so_and_where_none_is_that_is_told() {
    let folder = folder();
    let (port, _chronyd) = start(folder.path());
    let seen = run_until("ntp", json!({"port": port}), |seen| fact(seen, "synchronized") == "true").await;
    assert_eq!((fact(&seen, "ntp"), fact(&seen, "stratum")), ("ok".into(), "5".into()), "{seen:#?}");
    assert!(seen.facts["offset_abs_ms"].number().is_some_and(|ms| ms < 1000.0), "the same clock: {seen:#?}");

    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let seen = run("ntp", json!({"port": free})).await;
    assert_eq!(fact(&seen, "ntp"), "refused");
}
