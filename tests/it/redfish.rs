//! Redfish against a service of another make: OpenStack's `sushy-emulator` (PyPI `sushy-tools`, in the environment that
//! `scripts/test` makes), over TLS with basic authentication. Faults are in the probe's own tests, with a simulated service.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use stentor::clock::Clock;
use stentor::probes::redfish::context;
use stentor::probes::{Blind, Network, ProbeEnv, ProbeError, Target, find};
use stentor_core::catalog::{Bmc, PowerAction};
use stentor_core::model::{Observation, Value};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::running::{Running, until};

const SYSTEM: &str = "3f1c1e0a-5a6e-4a5f-9f61-0a1b2c3d4e5f";
const PASSWORD: &str = "secret-word";
/// bcrypt of [`PASSWORD`] with the least cost.
const HTPASSWD: &str = "monitor:$2b$04$hSdL1ZrilAvbnFn5GQsViuLV5ji0f76A3ZW57tDtUxBXXYHVJTEcy";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A running emulator; killed when dropped.
pub struct Sushy {
    pub port: u16,
    _child: Child,
    client: reqwest::Client,
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

impl Sushy {
    pub async fn start(folder: &Path) -> Sushy {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/sushy/bin/sushy-emulator");
        assert!(program.is_file(), "`{}` is missing: `scripts/test peers` installs it", program.display());
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let certificate = write(folder, "bmc.pem", &params.self_signed(&key).unwrap().pem());
        let key = write(folder, "bmc.key", &key.serialize_pem());
        let passwords = write(folder, "htpasswd", &format!("{HTPASSWD}\n"));
        write(folder, "password", PASSWORD);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = {port}\n\
             SUSHY_EMULATOR_SSL_CERT = {certificate:?}\nSUSHY_EMULATOR_SSL_KEY = {key:?}\n\
             SUSHY_EMULATOR_AUTH_FILE = {passwords:?}\nSUSHY_EMULATOR_STATE_DIR = {folder:?}\n\
             SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_FAKE_IPA = False\n\
             SUSHY_EMULATOR_FAKE_SYSTEMS = [{{'uuid': '{SYSTEM}', 'name': 'node-one', 'power_state': 'On', 'nics': []}}]\n\
             SUSHY_EMULATOR_STORAGE = {{'{SYSTEM}': [{{'Id': '1', 'Name': 'Local', 'StorageControllers': \
             [{{'MemberId': '0', 'Name': 'Contoso RAID', 'SpeedGbps': 12}}], 'Drives': ['32ADF365C6C1B7BD']}}]}}\n\
             SUSHY_EMULATOR_DRIVES = {{('{SYSTEM}', '1'): [{{'Id': '32ADF365C6C1B7BD', 'Name': 'Drive Sample', \
             'CapacityBytes': 899527000000, 'Protocol': 'SAS'}}]}}\n\
             SUSHY_EMULATOR_VOLUMES = {{('{SYSTEM}', '1'): [{{'libvirtPoolName': 'x', 'libvirtVolName': 'y', 'Id': '1', \
             'Name': 'Sample Volume', 'VolumeType': 'Mirrored', 'CapacityBytes': 23748}}]}}\n"
        );
        let config = write(folder, "emulator.conf", &config);
        let mut command = Command::new(program);
        command.arg("--fake").arg("--config").arg(config).current_dir(folder);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The test's own client looks at what the emulator holds, so it need not judge its certificate.
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
        let sushy = Sushy { port, _child: command.spawn().unwrap(), client };
        until("the emulator listens", async || sushy.power().await.ok_or("not yet")).await;
        sushy
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/redfish/v1/Systems/{SYSTEM}{path}", self.port)
    }

    async fn power(&self) -> Option<String> {
        let request = self.client.get(self.url("")).basic_auth("monitor", Some(PASSWORD));
        let answer: Json = request.send().await.ok()?.json().await.ok()?;
        Some(answer["PowerState"].as_str()?.to_owned())
    }

    /// Switches the simulated machine and waits until the emulator shows it so.
    async fn switch(&self, word: &str, state: &str) {
        let request = self.client.post(self.url("/Actions/ComputerSystem.Reset")).basic_auth("monitor", Some(PASSWORD));
        let answer = request.json(&json!({"ResetType": word})).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let is_so = async || self.power().await.filter(|power| power == state).ok_or("not yet");
        until("the machine is switched", is_so).await;
    }
}

async fn probe(folder: &TempDir, params: Json) -> Result<Observation, ProbeError> {
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
    let params: Value = serde_json::from_value(params).unwrap();
    let probe = (find("redfish").unwrap().build)(&params, &env).unwrap_or_else(|error| panic!("{error}"));
    let password_file = folder.path().join("password").display().to_string();
    let (address, user) = ("127.0.0.1".into(), "monitor".into());
    let bmc = Some(Bmc { address, port: 623, user, password_file: password_file.into(), suite: None });
    let target = Target { host: "h".into(), address: "127.0.0.1".into(), bmc };
    probe.run(&target, Instant::now() + Duration::from_secs(30)).await
}

fn fact(seen: &Observation, name: &str) -> String {
    seen.facts.get(name).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn a_service_of_another_make_switches_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    let sushy = Sushy::start(folder.path()).await;
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
    let params = json!({"port": sushy.port, "ca_file": folder.path().join("bmc.pem"), "basic": true});
    let params: Value = serde_json::from_value(params).unwrap();
    let password_file = folder.path().join("password").display().to_string();
    let (address, user) = ("127.0.0.1".into(), "monitor".into());
    let bmc = Some(Bmc { address, port: 623, user, password_file: password_file.into(), suite: None });
    let target = Target { host: "h".into(), address: "127.0.0.1".into(), bmc };
    let switch = async |action| {
        let deadline = Instant::now() + Duration::from_secs(60);
        stentor::probes::redfish::switch(&env, &target, &params, action, deadline).await
    };
    let off = switch(PowerAction::Off).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(off.contains("ForceOff was accepted; it is off"), "{off}");
    assert_eq!(sushy.power().await.as_deref(), Some("Off"));
    assert_eq!(switch(PowerAction::Off).await.unwrap(), "the machine was off already");
    let on = switch(PowerAction::Cycle).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(on.contains("it is on"), "{on}");
    assert_eq!(sushy.power().await.as_deref(), Some("On"));
}

#[tokio::test]
async fn a_service_of_another_make_is_read_and_its_power_followed() {
    let folder = tempfile::tempdir().unwrap();
    let sushy = Sushy::start(folder.path()).await;
    let params = json!({"port": sushy.port, "ca_file": folder.path().join("bmc.pem")});
    let seen = probe(&folder, params.clone()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (fact(&seen, "bmc"), fact(&seen, "power"), fact(&seen, "worst")),
        ("ok".into(), "on".into(), "ok".into()),
        "{seen:#?}"
    );
    assert_eq!((fact(&seen, "complete"), fact(&seen, "health")), ("true".into(), "ok".into()), "{seen:#?}");
    assert_eq!(
        (fact(&seen, "fan_worst"), fact(&seen, "temp_worst"), fact(&seen, "mem_worst")),
        ("ok".into(), "ok".into(), "ok".into())
    );
    assert_eq!((fact(&seen, "raid_state"), fact(&seen, "drives")), ("none".into(), "1".into()), "{seen:#?}");
    let number = |label: &str| seen.measurements.iter().find(|one| &*one.label == label).and_then(|one| one.value);
    assert_eq!((number("CPU Temp"), number("BaseBoard System Fan")), (Some(41.0), Some(2100.0)), "{seen:#?}");
    assert!(seen.facts.get("psu").is_none(), "it has no power supplies: that is not known to be good");

    sushy.switch("ForceOff", "Off").await;
    let seen = probe(&folder, params.clone()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fact(&seen, "power"), "off");

    write(folder.path(), "password", "wrong");
    let refused = probe(&folder, params).await.expect_err("a wrong password");
    assert!(matches!(&refused, ProbeError::Failed(text) if text.contains("refuses the login")), "{refused}");
}

fn config(sushy: &Sushy, folder: &Path) -> String {
    format!(
        r#"
instance = "redfish"
[[host]]
name = "h1"
address = "127.0.0.1"
check = "none"
[host.bmc]
address = "127.0.0.1"
user = "monitor"
password_file = "password"
redfish = {{ port = {port}, ca_file = "{ca}" }}
[host.checks."redfish power"]
# Nothing but the event makes it look again in time.
every = "6h"
attempts = 1
[host.checks."redfish events"]
every = "6h"
attempts = 1
params = {{ url = "https://stentor.example", token_file = "{token}" }}
"#,
        port = sushy.port,
        ca = folder.join("bmc.pem").display(),
        token = folder.join("token").display(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_told_at_once_and_looked_at_before_it_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let sushy = Sushy::start(folder.path()).await;
    write(folder.path(), "token", TOKEN);
    let config = config(&sushy, folder.path());
    let stentor = Running::serve(&config, folder).await;
    let names: Vec<Json> = stentor.services().await.iter().map(|service| service["service"].clone()).collect();
    assert!(
        names.contains(&json!("redfish psu")) && !names.contains(&json!("psu")),
        "Redfish takes IPMI's place: {names:?}"
    );
    for name in ["redfish%20power", "redfish%20events"] {
        stentor.post(&format!("api/v1/hosts/h1/services/{name}/check")).await.unwrap();
    }
    let is = async |name: &str, state: &str| {
        let service = stentor.service("h1", name).await;
        if service["state"] == state { Ok(service) } else { Err(service) }
    };
    until("the power is on", async || is("redfish%20power", "OK").await).await;
    // The emulator has no event service, and that is said.
    until("no subscription", async || is("redfish%20events", "WARNING").await).await;

    sushy.switch("ForceOff", "Off").await;
    let client = reqwest::Client::new();
    let send = async |host: &str, body: String| {
        let request = client.post(format!("{}api/v1/redfish/events/{host}", stentor.url)).body(body);
        request.send().await.unwrap().status().as_u16()
    };
    let event = |token: &str| {
        json!({"Context": token, "Events": [{"MessageSeverity": "Critical", "Message": "Power lost"}]}).to_string()
    };
    let token = context(TOKEN.as_bytes(), "h1");
    assert_eq!(send("h1", event("stentor-00")).await, 403);
    assert_eq!(send("h1", event(&context(TOKEN.as_bytes(), "h2"))).await, 403, "the token of another host");
    assert_eq!(send("h2", event(&token)).await, 403, "an unknown host is no different");
    assert_eq!(send("h1", "Power lost".to_owned()).await, 403);
    let before = stentor.service("h1", "redfish%20events").await;
    assert_eq!(before["state"], "WARNING", "nothing of these was believed: {before}");

    assert_eq!(send("h1", event(&token)).await, 204);
    let told = until("the event is told", async || is("redfish%20events", "CRITICAL").await).await;
    assert!(told["output"].as_str().is_some_and(|text| text.contains("Power lost")), "{told}");
    until("the power was looked at", async || is("redfish%20power", "CRITICAL").await).await;
    stentor.stop().await;
}
