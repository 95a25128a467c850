//! The `ldap` probe against a real slapd with a small directory.

use serde_json::json;

use super::*;

const TREE: &str = "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
    dn: uid=stentor,dc=example,dc=org\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: stentor\n\
    userPassword: hunter2\ndescription: 42\n\n\
    dn: uid=other,dc=example,dc=org\nobjectClass: account\nuid: other\n";

/// An empty server with the tree in it.
async fn start(folder: &Path, port: u16, tls_port: u16) -> Child {
    certificate(folder, "ldap");
    let shown = folder.display();
    fs::create_dir(folder.join("db")).unwrap();
    let config = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\nmodulepath /usr/lib/ldap\n\
         moduleload back_mdb\npidfile {shown}/pid\nTLSCertificateFile {shown}/ldap.pem\nTLSCertificateKeyFile {shown}/ldap.key\n\
         database mdb\nsuffix dc=example,dc=org\nrootdn cn=admin,dc=example,dc=org\ndirectory {shown}/db\nmaxsize 10485760\n\
         access to attrs=userPassword by anonymous auth by * none\naccess to attrs=description by users read by * none\naccess to * by * read\n"
    );
    let config = write(folder, "slapd.conf", &config);
    let tree = write(folder, "tree.ldif", TREE);
    let added = Command::new(program("slapadd", "slapd")).arg("-f").arg(&config).arg("-l").arg(tree).output().await;
    let added = added.unwrap();
    assert!(added.status.success(), "slapadd: {}", String::from_utf8_lossy(&added.stderr));
    let urls = format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/");
    let mut command = Command::new(program("slapd", "slapd"));
    // In the foreground, and silent.
    spawn(command.args(["-d", "0", "-h", &urls, "-f"]).arg(config).stderr(Stdio::null()))
}

#[tokio::test]
async fn a_directory_finds_what_is_there_and_refuses_what_is_not_allowed() {
    let folder = folder();
    let [port, tls_port] = [free_port(), free_port()];
    let mut server = start(folder.path(), port, tls_port).await;
    certificate(folder.path(), "other");
    run_until("ldap", json!({"port": port}), |seen| fact(seen, "ldap") == "ok").await;
    let [right, wrong] = ["hunter2", "x"].map(|text| write(folder.path(), &format!("{text}.pw"), text));
    let [ca, other] = ["ldap.pem", "other.pem"].map(|name| folder.path().join(name));
    let me = "uid=stentor,dc=example,dc=org";
    for (params, word, entries, value) in [
        (json!({"port": port, "attribute": "supportedLDAPVersion"}), "ok", "1", "3"),
        (json!({"port": port, "base": "dc=example,dc=org", "scope": "sub"}), "ok", "3", ""),
        (json!({"port": port, "base": "dc=example,dc=org", "scope": "one"}), "ok", "2", ""),
        (json!({"port": port, "base": me, "attribute": "description"}), "ok", "1", ""),
        (
            json!({"port": port, "base": me, "attribute": "description", "bind": me, "password_file": right}),
            "ok",
            "1",
            "42",
        ),
        (json!({"port": port, "base": "dc=example,dc=org", "scope": "sub", "filter": "uid=other"}), "ok", "1", ""),
        (json!({"port": port, "base": "dc=example,dc=org", "scope": "sub", "filter": "(uid=none)"}), "ok", "0", ""),
        (json!({"port": port, "base": "dc=nowhere"}), "no_such_object", "", ""),
        (json!({"port": port, "bind": me, "password_file": wrong}), "denied", "", ""),
        (json!({"port": port, "tls": "starttls", "ca_file": ca}), "ok", "1", ""),
        (json!({"port": port, "tls": "starttls", "ca_file": other}), "tls", "", ""),
        (json!({"port": tls_port, "tls": "implicit", "ca_file": ca}), "ok", "1", ""),
        (json!({"port": tls_port, "tls": "implicit", "ca_file": other}), "tls", "", ""),
    ] {
        let seen = run("ldap", params.clone()).await;
        assert_eq!(fact(&seen, "ldap"), word, "{params}: {seen:#?}");
        assert_eq!((fact(&seen, "entries"), fact(&seen, "value")), (entries.into(), value.into()), "{params}");
        assert_eq!(seen.facts.contains_key("tls_days_left"), params.get("tls").is_some(), "{params}");
    }
    server.kill().await.unwrap();
    assert_eq!(fact(&run("ldap", json!({"port": port})).await, "port"), "refused");
}
