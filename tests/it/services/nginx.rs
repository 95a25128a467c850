//! `http_journey` and `tls` against a real nginx: a login by form and cookie, chains of certificates, old protocols.

use serde_json::json;

use super::*;

/// nginx with one `server` (or more), in the foreground and without other processes.
fn start(folder: &Path, name: &str, servers: &str) -> Child {
    let home = folder.display();
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {home}/{name}-{kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {home}/{name}.pid;\nerror_log {home}/{name}.log;\n\
         events {{ worker_connections 64; }}\nhttp {{\naccess_log off;\nabsolute_redirect off;\ndefault_type text/html;\n{folders}{servers}\n}}\n"
    );
    let path = write(folder, &format!("{name}.conf"), &config);
    let mut command = Command::new(program("nginx", "nginx-light"));
    spawn(command.args(["-e", "/dev/null", "-p"]).arg(folder).arg("-c").arg(path).stderr(Stdio::null()))
}

/// A form with a hidden value, a login that checks both and sets a cookie, and pages that want it.
fn shop(port: u16, inner: u16, listen: &str) -> String {
    format!(
        r#"client_body_in_single_buffer on;
map $request_body $is_right {{ default 0; "csrf=t%2F1%2B%26&password=hunter+2&user=probe" 1; }}
server {{
    listen 127.0.0.1:{port}{listen};
    location = /login {{
        if ($request_method = POST) {{ rewrite ^ /check last; }}
        return 200 '<form><input name="csrf" value="t/1+&"></form>';
    }}
    location = /check {{ internal; proxy_pass http://127.0.0.1:{inner}; proxy_set_header X-Right $is_right; }}
    location = /home {{ if ($cookie_sid != "s1") {{ return 403; }} return 200 'Welcome'; }}
    location = /api/item {{
        if ($cookie_sid != "s1") {{ return 403; }}
        default_type application/json; add_header X-Version 7;
        return 200 '{{"id":"a b/c","stock":{{"left":3}}}}';
    }}
    location = "/api/item/a b/c" {{ if ($http_x_version != 7) {{ return 412; }} return 200 '{{"ok":true}}'; }}
    location = /circle {{ return 302 /circle; }}
    location = /away {{ return 302 https://example.org/; }}
}}
server {{
    listen 127.0.0.1:{inner};
    location / {{
        if ($http_x_right != 1) {{ return 401; }}
        add_header Set-Cookie "sid=s1; Path=/; HttpOnly";
        return 302 /home;
    }}
}}"#
    )
}

fn journey(port: u16, password: &Path) -> serde_json::Value {
    json!({"port": port, "secrets": {"password": password}, "steps": [
        {"name": "form", "path": "/login", "capture": {"csrf": {"regex": "name=\"csrf\" value=\"([^\"]+)\""}}},
        {"name": "login", "path": "/login", "follow": true, "expect": "^Welcome$",
         "form": {"user": "probe", "password": "{{password}}", "csrf": "{{csrf}}"}},
        {"name": "item", "path": "/api/item", "expect_json": {"/stock/left": 3},
         "capture": {"id": {"json": "/id"}, "version": {"header": "x-version"}}},
        {"name": "detail", "path": "/api/item/{{id}}", "headers": {"X-Version": "{{version}}"}, "expect_json": {"/ok": true}},
    ]})
}

#[tokio::test]
async fn a_journey_logs_in_takes_values_along_and_names_the_step_that_fails() {
    let folder = folder();
    let [port, inner] = [free_port(), free_port()];
    let mut server = start(folder.path(), "shop", &shop(port, inner, ""));
    let [right, wrong] = ["hunter 2", "x"].map(|text| write(folder.path(), &format!("{}.pw", text.len()), text));
    let seen = run_until("http_journey", journey(port, &right), |seen| fact(seen, "port") == "open").await;
    assert_eq!((fact(&seen, "journey"), fact(&seen, "steps_done")), ("ok".into(), "4".into()), "{seen:#?}");
    let labels: Vec<&str> = seen.measurements.iter().map(|item| &*item.label).collect();
    assert_eq!(labels, ["form", "login", "item", "detail", "time"]);

    let seen = run("http_journey", journey(port, &wrong)).await;
    for (name, value) in [("journey", "status"), ("failed_step", "login"), ("http", "401"), ("steps_done", "1")] {
        assert_eq!(fact(&seen, name), value, "{seen:#?}");
    }
    for (step, word) in [
        (json!({"path": "/home"}), "status"),
        (json!({"path": "/home", "status": 403}), "ok"),
        (json!({"path": "/login", "expect": "Welcome"}), "body"),
        (json!({"path": "/login", "expect_json": {"/a": 1}}), "json"),
        (json!({"path": "/login", "capture": {"a": {"regex": "none"}}}), "capture"),
        (json!({"path": "/circle", "follow": true}), "redirect"),
        (json!({"path": "/away", "follow": true}), "redirect"),
        (json!({"path": "/away"}), "ok"),
    ] {
        let seen = run("http_journey", json!({"port": port, "steps": [step.clone()]})).await;
        assert_eq!(fact(&seen, "journey"), word, "{step}: {seen:#?}");
    }
    server.kill().await.unwrap();
    let seen = run("http_journey", journey(port, &right)).await;
    assert_eq!((fact(&seen, "port"), fact(&seen, "journey")), ("refused".into(), "refused".into()));
}

/// A root, an authority below it, and a server's certificate signed with `digest`, by openssl.
async fn chain(folder: &Path, digest: &str) {
    let openssl = |args: &str| {
        let mut command = Command::new(program("openssl", "openssl"));
        command.current_dir(folder).args(args.split(' ')).stdin(Stdio::null());
        async move {
            let output = command.output().await.unwrap();
            assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        }
    };
    write(folder, "ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
    write(folder, "leaf.ext", "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:shop.example.org\n");
    write(folder, "empty.cnf", "[req]\ndistinguished_name=dn\n[dn]\n");
    let key = "-newkey rsa:2048 -nodes -config empty.cnf";
    openssl(&format!("req -x509 {key} -keyout root.key -out root.pem -days 3650 -subj /CN=root -addext basicConstraints=critical,CA:TRUE")).await;
    for (name, by, ext, days, digest) in
        [("middle", "root", "ca", "20", "sha256"), ("leaf", "middle", "leaf", "300", digest)]
    {
        openssl(&format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}")).await;
        openssl(&format!("x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -set_serial 17 -{digest} -days {days} -extfile {ext}.ext -out {name}.pem")).await;
    }
    // What the authority says of the certificate, to be stapled to it.
    write(folder, "index.txt", "V\t401231235959Z\t\t11\tunknown\t/CN=leaf\n");
    openssl("ocsp -index index.txt -CA middle.pem -rsigner middle.pem -rkey middle.key -issuer middle.pem -cert leaf.pem -respout ocsp.der -ndays 5").await;
    let both = ["leaf.pem", "middle.pem"].map(|name| fs::read_to_string(folder.join(name)).unwrap()).concat();
    write(folder, "chain.pem", &both);
}

fn secure(port: u16, folder: &Path, more: &str) -> String {
    let home = folder.display();
    format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate_key {home}/leaf.key; ssl_ciphers DEFAULT:@SECLEVEL=0;\n{more}\n\
         location / {{ return 200 x; }} }}\n"
    )
}

#[tokio::test]
async fn chains_are_looked_at_to_their_end() {
    let folder = folder();
    chain(folder.path(), "sha1").await;
    let home = folder.path().display();
    let [whole, cut, old] = [free_port(), free_port(), free_port()];
    let servers = [
        secure(
            whole,
            folder.path(),
            &format!(
                "ssl_certificate {home}/chain.pem; ssl_protocols TLSv1.2 TLSv1.3; ssl_stapling on; ssl_stapling_file {home}/ocsp.der;"
            ),
        ),
        secure(cut, folder.path(), &format!("ssl_certificate {home}/leaf.pem;")),
        secure(old, folder.path(), &format!("ssl_certificate {home}/chain.pem; ssl_protocols TLSv1.1;")),
    ];
    let _server = start(folder.path(), "tls", &servers.concat());
    let root = folder.path().join("root.pem");
    let with = |port: u16| json!({"port": port, "ca_file": root});
    let seen = run_until("tls", with(whole), |seen| fact(seen, "tls") == "ok").await;
    for (name, value) in [
        ("chain", "2"),
        ("ocsp_stapled", "true"),
        ("tls_version", "TLS 1.3"),
        ("self_signed", "false"),
        ("subject", "CN=leaf"),
        ("chain_first", "CN=middle"),
        ("weak", "[CN=leaf: RSA with SHA-1]"),
        ("names", "[127.0.0.1, shop.example.org]"),
        // rustls takes no signature by SHA-1 for one.
        ("trusted", "false"),
        ("distrust", "signature"),
    ] {
        assert_eq!(fact(&seen, name), value, "{name} of {seen:#?}");
    }
    let days = |name: &str| seen.facts[name].number().unwrap();
    assert_eq!((days("chain_days_left"), days("tls_days_left")), (19.0, 299.0));
    let seen = run("tls", with(cut)).await;
    assert_eq!((fact(&seen, "chain"), fact(&seen, "ocsp_stapled")), ("1".into(), "false".into()), "{seen:#?}");
    let seen = run("tls", with(old)).await;
    assert_eq!((fact(&seen, "port"), fact(&seen, "tls")), ("open".into(), "old_protocol".into()), "{seen:#?}");
}

#[tokio::test]
async fn trust_and_what_breaks_it_are_told_apart() {
    let folder = folder();
    chain(folder.path(), "sha256").await;
    let home = folder.path().display();
    let [whole, cut, shop_port, inner] = [free_port(), free_port(), free_port(), free_port()];
    let listen = format!(" ssl;\n    ssl_certificate {home}/chain.pem;\n    ssl_certificate_key {home}/leaf.key");
    let servers = [
        secure(whole, folder.path(), &format!("ssl_certificate {home}/chain.pem;")),
        secure(cut, folder.path(), &format!("ssl_certificate {home}/leaf.pem;")),
        shop(shop_port, inner, &listen),
    ];
    let _server = start(folder.path(), "trust", &servers.concat());
    certificate(folder.path(), "other");
    let [root, other] = ["root.pem", "other.pem"].map(|name| folder.path().join(name));
    let seen = run_until("tls", json!({"port": whole, "ca_file": root}), |seen| fact(seen, "tls") == "ok").await;
    assert_eq!((fact(&seen, "trusted"), fact(&seen, "weak")), ("true".into(), "[]".into()), "{seen:#?}");
    for (params, word) in [
        (json!({"port": whole, "ca_file": root, "host": "shop.example.org"}), ""),
        (json!({"port": whole, "ca_file": root, "host": "other.example.org"}), "name"),
        (json!({"port": cut, "ca_file": root}), "unknown_issuer"),
        (json!({"port": whole, "ca_file": other}), "unknown_issuer"),
    ] {
        let seen = run("tls", params.clone()).await;
        assert_eq!((fact(&seen, "tls"), fact(&seen, "distrust")), ("ok".into(), word.into()), "{params}: {seen:#?}");
    }
    let password = write(folder.path(), "pw", "hunter 2");
    let mut secure = journey(shop_port, &password);
    for (name, value) in [("tls", json!(true)), ("ca_file", json!(root))] {
        secure[name] = value;
    }
    let seen = run("http_journey", secure.clone()).await;
    assert_eq!(fact(&seen, "journey"), "ok", "{seen:#?}");
    assert_eq!(fact(&seen, "tls_days_left"), "299");
    secure["ca_file"] = json!(other);
    assert_eq!(fact(&run("http_journey", secure).await, "journey"), "tls");
}
