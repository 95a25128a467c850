//! Who may speak for a host, and to whom: tokens, certificates, authorities, pins.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::running::{Running, stentor};

const CONFIG: &str = r#"
[[host]]
name = "box"
address = "127.0.0.1"
check = "none"
view = "agent"
[[host]]
name = "other"
address = "127.0.0.2"
check = "none"
view = "agent"
"#;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes NAME.pem and NAME.key; the SHA-256 of the certificate.
    fn sign(&self, folder: &Path, file: &str, names: &[&str]) -> String {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
        Sha256::digest(cert.der()).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    fn write(&self, folder: &Path, file: &str) {
        std::fs::write(folder.join(file), self.0.pem()).unwrap();
    }
}

/// The first line of an agent's log that says how its hub received it.
async fn says(hub: &str, folder: &Path, arguments: &[&str]) -> String {
    let all = [&["agent", "--hub", hub], arguments].concat();
    let mut agent = stentor(&all, folder).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(agent.stderr.take().unwrap()).lines();
    let told = async {
        let mut log = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let is_verdict = ["the hub does not tell", "the hub has new checks"].iter().any(|sign| line.contains(sign));
            log.push_str(&line);
            log.push('\n');
            if is_verdict {
                break;
            }
        }
        log
    };
    let log = tokio::time::timeout(crate::running::PATIENCE, told).await.expect("the agent says something");
    agent.kill().await.unwrap();
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_who_prove_it_speak_for_a_host_and_only_the_right_hub_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let at = folder.path().to_owned();
    ours.write(&at, "ours.pem");
    theirs.write(&at, "theirs.pem");
    let pin = ours.sign(&at, "hub", &["127.0.0.1", "localhost"]);
    ours.sign(&at, "box", &["box"]);
    ours.sign(&at, "mapped", &["node-17.example.org"]);
    theirs.sign(&at, "foreign", &["box"]);
    std::fs::write(at.join("wrong.token"), "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I").unwrap();
    let server = "tls_cert = \"hub.pem\"\ntls_key = \"hub.key\"\nclient_ca = \"ours.pem\"\n\
                  [[server.agent]]\ncertificate = \"node-17.example.org\"\nhost = \"other\"\n";
    let hub = Running::serve_as(CONFIG, server, folder, None).await;
    std::fs::write(at.join("right.token"), &hub.token).unwrap();
    assert!(hub.url.starts_with("https://127.0.0.1:"), "{}", hub.url);
    let other_pin = pin.replace(&pin[..2], "00");
    let files: BTreeMap<&str, String> = ["ours.pem", "right.token", "wrong.token"]
        .into_iter()
        .chain(["box", "mapped", "foreign"].into_iter())
        .map(|name| (name, at.join(name).display().to_string()))
        .collect();
    let pem = |name: &str| [format!("{}.pem", files[name]), format!("{}.key", files[name])];
    let with = |name: &str, host: &str| {
        let [cert, key] = pem(name);
        ["--ca-file", &files["ours.pem"], "--cert-file", &cert, "--key-file", &key, "--host", host]
            .map(str::to_owned)
            .to_vec()
    };
    let token = |name: &str, more: &[&str]| {
        let mut all = vec!["--token-file".to_owned(), files[name].clone(), "--host".to_owned(), "box".to_owned()];
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all
    };
    let ca = ["--ca-file", files["ours.pem"].as_str()];
    let taken = "the hub has new checks";
    let cases = [
        ("a token and the hub's authority", token("right.token", &ca), taken),
        ("a token and the hub's pin", token("right.token", &["--pin", &pin]), taken),
        ("a wrong token", token("wrong.token", &ca), "the hub does not know the token or certificate"),
        ("an unknown authority", token("right.token", &[]), "an authority that is not trusted here"),
        ("another pin", token("right.token", &["--pin", &other_pin]), "another certificate than the pinned one"),
        ("the host's certificate", with("box", "box"), taken),
        ("a mapped certificate", with("mapped", "other"), taken),
        ("the certificate of another host", with("box", "other"), "not good for this host"),
        ("a certificate that is mapped elsewhere", with("mapped", "box"), "not good for this host"),
        ("a foreign certificate", with("foreign", "box"), "the hub does not trust the certificate of this agent"),
    ];
    let right = hub.token.clone();
    for (what, arguments, expected) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = says(&hub.url, &at, &arguments).await;
        assert!(log.contains(expected), "{what}: no `{expected}` in\n{log}");
        assert!(!log.contains(&right) && !log.contains("c2VjcmV0"), "{what}: a token in the log\n{log}");
    }
    hub.stop().await;
}
