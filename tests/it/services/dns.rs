//! The `dns` probe against Debian's nsd, which serves a zone of its own.

use serde_json::json;

use super::*;

const ZONE: &str = "$ORIGIN example.org.\n$TTL 3600\n@ SOA ns root 2026112201 3600 600 86400 300\n@ NS ns\n\
    ns A 192.0.2.53\nwww A 192.0.2.80\nwww A 192.0.2.81\nwww AAAA 2001:db8::80\n@ MX 10 mail\nmail A 192.0.2.25\n\
    alias CNAME www\n";

/// A server that serves one zone file.
fn nsd(folder: &Path, name: &str, port: u16, zone: &str) -> Child {
    write(folder, &format!("{name}.zone"), zone);
    let place = folder.display();
    let config = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{place}\"\n database: \"\"\n \
         pidfile: \"\"\n xfrdfile: \"{place}/{name}.xfrd\"\n xfrdir: \"{place}\"\n zonelistfile: \"{place}/{name}.list\"\n \
         logfile: \"{place}/{name}.log\"\nremote-control:\n control-enable: no\nzone:\n name: example.org\n zonefile: {name}.zone\n"
    );
    let config = write(folder, &format!("{name}.conf"), &config);
    spawn(Command::new(program("nsd", "nsd")).args(["-d", "-c"]).arg(config).stderr(Stdio::null()))
}

/// A signature as it stands in a zone; nsd serves it unread.
const SIGNED: &str = "@ RRSIG SOA 13 2 3600 20460101000000 20260101000000 4660 example.org. AAAA\n\
    @ NSEC alias.example.org. NS SOA MX RRSIG NSEC DNSKEY\n@ RRSIG NSEC 13 2 300 20460101000000 20260101000000 4660 example.org. AAAA\n\
    @ DNSKEY 257 3 13 AAAA\n@ RRSIG DNSKEY 13 2 3600 20460101000000 20260101000000 4660 example.org. AAAA\n";

#[tokio::test]
async fn servers_of_a_zone_are_compared() {
    let folder = folder();
    let [new, old, gone] = [free_port(), free_port(), free_port()];
    let _new = nsd(folder.path(), "new", new, &format!("{ZONE}{SIGNED}"));
    let _old = nsd(folder.path(), "old", old, &ZONE.replace("2026112201", "2026112101"));
    let server = |port: u16| format!("127.0.0.1:{port}");
    for port in [new, old] {
        run_until("dns_zone", json!({"zone": "example.org", "servers": [server(port)]}), |seen| {
            fact(seen, "dns_zone") == "ok"
        })
        .await;
    }
    let seen =
        run("dns_zone", json!({"zone": "example.org", "servers": [server(new), server(old), server(gone)]})).await;
    for (name, value) in [
        ("serving", "2".to_owned()),
        ("servers", "3".to_owned()),
        ("serial", "2026112201".to_owned()),
        ("agree", "false".to_owned()),
        ("behind", format!("[127.0.0.1:{old}: 2026112101]")),
        ("lame", "[]".to_owned()),
        ("signed", "true".to_owned()),
        ("unsigned", format!("[127.0.0.1:{old}]")),
    ] {
        assert_eq!(fact(&seen, name), value, "{name} of {seen:#?}");
    }
    assert!(fact(&seen, "silent").starts_with(&format!("[127.0.0.1:{gone}: ")), "{seen:#?}");
    let days = seen.facts["signature_days_left"].number().unwrap();
    assert!((5000.0..7100.0).contains(&days), "until 2046: {days}");
    let seen = run("dns_zone", json!({"zone": "example.org", "servers": [server(new)]})).await;
    assert_eq!((fact(&seen, "agree"), fact(&seen, "signed")), ("true".into(), "true".into()), "{seen:#?}");
    let seen = run("dns_zone", json!({"zone": "example.com", "servers": [server(new)]})).await;
    assert_eq!((fact(&seen, "dns_zone"), fact(&seen, "serving")), ("lame".into(), "0".into()), "{seen:#?}");
}

#[tokio::test]
async fn a_real_server_answers_refuses_and_needs_tcp_for_what_is_long() {
    let folder = folder();
    let long: String = (0..60).map(|n| format!("long TXT \"{n:02} {}\"\n", "x".repeat(60))).collect();
    let port = free_port();
    let _nsd = nsd(folder.path(), "long", port, &format!("{ZONE}{long}"));
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
