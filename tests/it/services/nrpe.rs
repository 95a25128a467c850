//! The `nrpe` probe against Debian's nagios-nrpe-server: plain, by certificate, by client certificate, and anonymous.

use serde_json::json;
use stentor_core::model::{Outcome, ServiceState, UnknownCause};

use super::*;

struct Agent {
    port: u16,
    folder: TempDir,
    _process: Child,
}

const COMMANDS: &str = "command[ok]=/bin/echo 'OK all is well | a=1;2;3'\n\
    command[bad]=/bin/sh -c 'echo broken; echo more; exit 2'\n\
    command[odd]=/bin/sh -c 'echo odd; exit 77'\n\
    command[arg]=/bin/echo ARG $ARG1$ $ARG2$\n\
    command[long]=/bin/sh -c 'yes 0123456789 | head -c 30000'\n\
    command[silent]=/bin/true\n";

impl Agent {
    fn start(settings: &str, flags: &[&str]) -> Agent {
        let folder = folder();
        Agent::start_in(folder, settings, flags)
    }

    fn start_in(folder: TempDir, settings: &str, flags: &[&str]) -> Agent {
        let port = free_port();
        let text = format!(
            "server_port={port}\nserver_address=127.0.0.1\nallowed_hosts=127.0.0.1\nnrpe_user=nobody\n\
             nrpe_group=nogroup\npid_file={}/nrpe.pid\n{settings}\n{COMMANDS}",
            folder.path().display()
        );
        let config = write(folder.path(), "nrpe.cfg", &text);
        let mut command = Command::new(program("nrpe", "nagios-nrpe-server"));
        let process = spawn(command.arg("-c").arg(config).arg("-f").args(flags));
        Agent { port, folder, _process: process }
    }

    async fn ask(&self, command: &str, more: serde_json::Value) -> Observation {
        let mut params = json!({"port": self.port, "command": command});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run_until("nrpe", params, |seen| fact(seen, "port") == "open").await
    }
}

#[tokio::test]
async fn a_plain_agent_answers_with_what_its_plugins_print() {
    let agent = Agent::start("", &["-n"]);
    let plain = json!({"tls": false});
    let seen = agent.ask("_NRPE_CHECK", plain.clone()).await;
    assert!(seen.text.starts_with("NRPE v4"), "{seen:#?}");
    assert_eq!((fact(&seen, "nrpe_version"), fact(&seen, "exit_code")), ("4".into(), "0".into()));

    let seen = agent.ask("ok", plain.clone()).await;
    assert_eq!((seen.outcome, &*seen.text), (Outcome::Reported(ServiceState::Ok), "OK all is well"));
    assert_eq!(seen.measurements[0].to_string(), "a=1;2;3");
    let seen = agent.ask("bad", plain.clone()).await;
    assert_eq!(seen.outcome, Outcome::Reported(ServiceState::Critical));
    assert_eq!((&*seen.text, &*seen.long_text), ("broken", "more"));
    let seen = agent.ask("odd", plain.clone()).await;
    assert_eq!(seen.outcome, Outcome::Reported(ServiceState::Unknown));
    let seen = agent.ask("nowhere", plain.clone()).await;
    assert_eq!(seen.outcome, Outcome::Reported(ServiceState::Unknown));
    assert!(seen.text.contains("'nowhere' not defined"), "{seen:#?}");
    let seen = agent.ask("silent", plain).await;
    assert_eq!(seen.outcome, Outcome::Reported(ServiceState::Unknown), "{seen:#?}");
}

#[tokio::test]
async fn both_packet_versions_of_the_agent_work_and_one_that_it_lacks_is_told() {
    let agent = Agent::start("", &["-n"]);
    let long = |version: u16| json!({"tls": false, "version": version});
    let seen = agent.ask("long", long(4)).await;
    assert!(seen.text.len() + seen.long_text.len() > 5000, "version 4 carries more than a kibibyte");
    let seen = agent.ask("long", long(2)).await;
    assert_eq!((fact(&seen, "nrpe_version"), fact(&seen, "nrpe")), ("2".into(), "answered".into()));
    assert!(seen.text.len() + seen.long_text.len() <= 1024);
    let seen = agent.ask("long", long(3)).await;
    assert_eq!((seen.outcome, fact(&seen, "nrpe")), (Outcome::Failed(UnknownCause::ProbeError), "closed".into()));
    let seen = agent.ask("arg", json!({"tls": false, "args": ["one"]})).await;
    assert_eq!(fact(&seen, "nrpe"), "closed", "Debian builds its agent without arguments");
    assert!(seen.text.contains("dont_blame_nrpe"), "{}", seen.text);
}

#[tokio::test]
async fn certificates_of_both_sides_are_shown_and_judged() {
    let folder = folder();
    for name in ["agent", "client", "other"] {
        certificate(folder.path(), name);
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (ca, client, key, other) = (path("agent.pem"), path("client.pem"), path("client.key"), path("other.pem"));
    let settings = format!(
        "ssl_version=TLSv1.2+\nssl_cert_file={ca}\nssl_privatekey_file={}\nssl_cacert_file={client}\nssl_client_certs=2\n",
        path("agent.key")
    );
    let agent = Agent::start_in(folder, &settings, &[]);
    let seen = agent.ask("ok", json!({"ca_file": ca, "cert_file": client, "key_file": key})).await;
    assert_eq!(&*seen.text, "OK all is well", "{seen:#?}");
    assert!(seen.facts["tls_days_left"].number().is_some_and(|days| days > 100.0), "{seen:#?}");
    let seen = agent.ask("ok", json!({"ca_file": other, "cert_file": client, "key_file": key})).await;
    assert_eq!((seen.outcome, fact(&seen, "nrpe")), (Outcome::Failed(UnknownCause::ProbeError), "tls".into()));
    let seen = agent.ask("ok", json!({"ca_file": ca})).await;
    assert_ne!(fact(&seen, "nrpe"), "answered", "the agent wants a client certificate: {seen:#?}");
    assert!(agent.folder.path().exists());
}

#[tokio::test]
async fn an_agent_without_a_certificate_is_unknown_and_the_remedy_is_named() {
    let agent = Agent::start("", &[]);
    let seen = agent.ask("ok", json!({"insecure": true})).await;
    assert_eq!(fact(&seen, "nrpe"), "no_common_cipher", "{seen:#?}");
    assert_eq!(seen.outcome, Outcome::Failed(UnknownCause::ProbeError));
    for word in ["ADH", "ssl_cert_file", "tls = false", "check_nrpe"] {
        assert!(seen.text.contains(word), "no `{word}` in {}", seen.text);
    }
}
