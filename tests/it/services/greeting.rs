//! The probes `ssh`, `smtp` and `imap` against OpenSSH, aiosmtpd and Dovecot.

use serde_json::json;

use super::*;

#[tokio::test]
async fn openssh_greets() {
    let folder = folder();
    let port = free_port();
    let key = folder.path().join("key");
    let mut keygen = Command::new(program("ssh-keygen", "openssh-client"));
    assert!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().await.unwrap().success());
    let config = write(
        folder.path(),
        "sshd_config",
        &format!("Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\n", key.display()),
    );
    if rustix::process::geteuid().is_root() {
        // Where the server gives up its rights; Debian's unit makes it.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let _sshd =
        spawn(Command::new(program("sshd", "openssh-server")).args(["-D", "-f"]).arg(config).stderr(Stdio::null()));
    let seen = run_until("ssh", json!({"port": port}), |seen| fact(seen, "port") == "open").await;
    assert_eq!((fact(&seen, "ssh"), fact(&seen, "protocol")), ("ok".into(), "2.0".into()), "{seen:#?}");
    assert!(fact(&seen, "software").starts_with("OpenSSH_"), "{seen:#?}");
}

const MAIL_SERVER: &str = "\
import ssl, sys, threading
from aiosmtpd.controller import Controller
class Nothing: pass
context = None
if sys.argv[2]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
Controller(Nothing(), hostname='127.0.0.1', port=int(sys.argv[1]), tls_context=context).start()
threading.Event().wait()
";

#[tokio::test]
async fn a_mail_server_greets_in_clear_text_and_by_starttls() {
    let folder = folder();
    certificate(folder.path(), "mail");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("mail.pem"), path("mail.key"));
    let [plain, secure] = [free_port(), free_port()];
    let python = program("python3", "python3-aiosmtpd");
    let start = |port: u16, cert: &str, key: &str| {
        spawn(Command::new(&python).args(["-c", MAIL_SERVER, &port.to_string(), cert, key]))
    };
    let _servers = [start(plain, "", ""), start(secure, &cert, &key)];

    let seen = run_until("smtp", json!({"port": plain}), |seen| fact(seen, "port") == "open").await;
    assert_eq!((fact(&seen, "smtp"), fact(&seen, "starttls")), ("ok".into(), "false".into()), "{seen:#?}");
    let seen = run("smtp", json!({"port": plain, "tls": "starttls", "insecure": true})).await;
    assert_eq!(fact(&seen, "smtp"), "no_starttls", "{seen:#?}");

    let starttls = json!({"port": secure, "tls": "starttls", "ca_file": cert});
    let seen = run_until("smtp", starttls, |seen| fact(seen, "port") == "open").await;
    assert_eq!(fact(&seen, "smtp"), "ok", "{seen:#?}");
    assert!(seen.facts["tls_days_left"].number().is_some_and(|days| days > 100.0), "{seen:#?}");
    certificate(folder.path(), "other");
    let seen = run("smtp", json!({"port": secure, "tls": "starttls", "ca_file": path("other.pem")})).await;
    assert_eq!(fact(&seen, "smtp"), "tls", "another authority: {seen:#?}");
    assert!(seen.facts.contains_key("tls_days_left"), "the certificate is told all the same");
}

#[tokio::test]
async fn dovecot_greets_in_clear_text_by_starttls_and_within_tls() {
    let folder = folder();
    certificate(folder.path(), "box");
    let [plain, implicit] = [free_port(), free_port()];
    let place = folder.path().display();
    // Run by root it takes the users of its package; it refuses to serve logins as root.
    let user = std::env::var("USER").unwrap_or_default();
    let is_root = rustix::process::geteuid().is_root();
    let (login, internal) = if is_root { ("dovenull", "dovecot") } else { (&*user, &*user) };
    let config = format!(
        "protocols = imap\nbase_dir = {place}/run\nstate_dir = {place}/run\nlog_path = {place}/log\nssl = yes\n\
         ssl_cert = <{place}/box.pem\nssl_key = <{place}/box.key\nlisten = 127.0.0.1\n\
         default_login_user = {login}\ndefault_internal_user = {internal}\n\
         service imap-login {{\n chroot =\n inet_listener imap {{\n port = {plain}\n }}\n inet_listener imaps {{\n port = {implicit}\n }}\n}}\n\
         service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\npassdb {{\n driver = static\n args = nopassword=y\n}}\n\
         userdb {{\n driver = static\n args = uid=nobody gid=nogroup home=/nowhere\n}}\n"
    );
    let config = write(folder.path(), "dovecot.conf", &config);
    let _dovecot = spawn(Command::new(program("dovecot", "dovecot-imapd")).args(["-F", "-c"]).arg(config));
    let ca = folder.path().join("box.pem");
    for (port, tls) in [(plain, "none"), (plain, "starttls"), (implicit, "implicit")] {
        let params = json!({"port": port, "tls": tls, "ca_file": ca});
        let seen = run_until("imap", params, |seen| fact(seen, "port") == "open").await;
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert_eq!(fact(&seen, "imap"), "ok", "{tls}: {seen:#?}\n{log}");
        assert_eq!(fact(&seen, "starttls"), (tls == "none").to_string(), "{tls}");
        assert_eq!(seen.facts.contains_key("tls_days_left"), tls != "none", "{tls}");
    }
}
