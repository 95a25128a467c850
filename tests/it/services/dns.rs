//! The `dns` probe against Debian's nsd, which serves a zone of its own.

use serde_json::json;

use super::*;

const ZONE: &str = "$ORIGIN example.org.\n$TTL 3600\n@ SOA ns root 2026112201 3600 600 86400 300\n@ NS ns\n\
    ns A 192.0.2.53\nwww A 192.0.2.80\nwww A 192.0.2.81\nwww AAAA 2001:db8::80\n@ MX 10 mail\nmail A 192.0.2.25\n\
    alias CNAME www\n";

#[tokio::test]
async fn a_real_server_answers_refuses_and_needs_tcp_for_what_is_long() {
    let folder = folder();
    let long: String = (0..60).map(|n| format!("long TXT \"{n:02} {}\"\n", "x".repeat(60))).collect();
    write(folder.path(), "zone", &format!("{ZONE}{long}"));
    let port = free_port();
    let place = folder.path().display();
    let config = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{place}\"\n database: \"\"\n \
         pidfile: \"\"\n xfrdfile: \"{place}/xfrd\"\n xfrdir: \"{place}\"\n zonelistfile: \"{place}/list\"\n \
         logfile: \"{place}/log\"\nremote-control:\n control-enable: no\nzone:\n name: example.org\n zonefile: zone\n"
    );
    let config = write(folder.path(), "nsd.conf", &config);
    let _nsd = spawn(Command::new(program("nsd", "nsd")).args(["-d", "-c"]).arg(config).stderr(Stdio::null()));
    let ask = |name: &str, kind: &str| json!({"port": port, "name": name, "type": kind, "recursion": false});

    let seen = run_until("dns", ask("example.org", "SOA"), |seen| fact(seen, "dns") == "ok").await;
    assert_eq!(
        (fact(&seen, "serial"), fact(&seen, "authoritative")),
        ("2026112201".into(), "true".into()),
        "{seen:#?}"
    );
    let seen =
        run("dns", json!({"port": port, "name": "www.example.org", "expect": ["192.0.2.81", "192.0.2.99"]})).await;
    assert_eq!(
        (fact(&seen, "as_expected"), fact(&seen, "missing")),
        ("false".into(), "[192.0.2.99]".into()),
        "{seen:#?}"
    );
    assert_eq!((fact(&seen, "ttl_s"), fact(&seen, "transport")), ("3600".into(), "udp".into()));
    for (name, kind, word, answers) in [
        ("www.example.org.", "AAAA", "ok", "[2001:db8::80]"),
        ("example.org", "MX", "ok", "[10 mail.example.org]"),
        ("alias.example.org", "CNAME", "ok", "[www.example.org]"),
        ("www.example.org", "MX", "no_data", "[]"),
        ("gone.example.org", "A", "nxdomain", "[]"),
        ("example.com", "A", "refused", "[]"),
    ] {
        let seen = run("dns", ask(name, kind)).await;
        assert_eq!((&*fact(&seen, "dns"), &*fact(&seen, "answers")), (word, answers), "{name} {kind}: {seen:#?}");
    }
    let seen = run("dns", ask("long.example.org", "TXT")).await;
    assert_eq!((fact(&seen, "dns"), fact(&seen, "transport")), ("ok".into(), "tcp".into()), "{seen:#?}");
    assert_eq!(seen.facts["answers"].list().map(<[_]>::len), Some(60));
}
