//! `stentor discover` as a process, among real services on loopback; `stentor verify` reads what it proposes.

use std::net::{TcpListener as Free, UdpSocket as FreeDatagrams};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::Command;

use crate::ipmi::simulator::{PASSWORD, Simulator, USER};
use crate::redfish::Sushy;
use crate::running::{stentor, until};

/// Every port that is looked for.
const PORTS: &str = "ssh smtp dns http imap snmp https redfish ipmi mysql keystone postgresql amqp redis proxmox cloudstack \
    cloudstack_agents eucalyptus eucalyptus_cc nova eucalyptus_nc cinder cloudstack_cluster glance neutron";

/// Arguments that send every look to a closed port, but for those.
fn ports(open: &[(&str, u16)]) -> Vec<String> {
    let closed = Free::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = |name: &str| open.iter().find(|(own, _)| *own == name).map_or(closed, |(_, port)| *port);
    PORTS.split_whitespace().map(|name| format!("--port={name}={}", port(name))).collect()
}

/// Sends `banner` to whoever connects, and `answer` once to whoever asks.
async fn speak(listener: TcpListener, banner: &'static str, answer: &'static str) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut asked = [0; 2048];
            let _ = stream.write_all(banner.as_bytes()).await;
            if stream.read(&mut asked).await.is_ok_and(|n| n > 0) {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
    }
}

async fn speaker(banner: &'static str, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(speak(listener, banner, answer));
    port
}

/// Standard output, standard error and exit status.
async fn run(folder: &Path, arguments: &[String]) -> (String, String, i32) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = stentor(&arguments, folder).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// The proposal is read as a configuration without an error.
async fn verified(folder: &Path, proposal: &str) -> String {
    std::fs::write(folder.join("found.toml"), proposal).unwrap();
    let arguments = ["verify".to_owned(), "--config".to_owned(), "found.toml".to_owned()];
    let (out, err, status) = run(folder, &arguments).await;
    assert_eq!(status, 0, "{out}\n{err}\n{proposal}");
    out
}

const HEARTBEAT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    name=eucalyptus           enabled=true       local=true       initialized=true      \n";

/// Debian's agent with the community `public`; killed when dropped.
async fn agent(folder: &Path) -> (u16, tokio::process::Child) {
    let port = FreeDatagrams::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = "rocommunity secretword 127.0.0.1\nsysName rack7-switch\n";
    std::fs::write(folder.join("snmpd.conf"), config).unwrap();
    std::fs::write(folder.join("community"), "secretword\n").unwrap();
    let mut command = Command::new("/usr/sbin/snmpd");
    command.args([
        "-f",
        "-Lf",
        "snmpd.log",
        "-C",
        "-c",
        "snmpd.conf",
        "-p",
        "snmpd.pid",
        &format!("udp:127.0.0.1:{port}"),
    ]);
    command.env("SNMP_PERSISTENT_DIR", folder).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let child =
        command.spawn().unwrap_or_else(|error| panic!("snmpd of Debian's snmpd (scripts/test installs it): {error}"));
    let is_bound = async || FreeDatagrams::bind(("127.0.0.1", port)).err().ok_or("not bound yet");
    until("the agent listens", is_bound).await;
    (port, child)
}

#[tokio::test]
async fn services_and_components_are_proposed_as_a_configuration_that_holds() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let ssh = speaker("SSH-2.0-OpenSSH_9.2p1 \"quoted\"\u{1b}[31m\r\n", "").await;
    let clc = speaker("", HEARTBEAT).await;
    let site = speaker("", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello").await;
    let (snmp, _snmpd) = agent(folder.path()).await;
    let open = [("ssh", ssh), ("eucalyptus", clc), ("http", site), ("snmp", snmp), ("mysql", site)];
    let mut arguments = vec!["discover".to_owned(), "127.0.0.1".to_owned(), "--community-file=community".to_owned()];
    arguments.extend(ports(&open));
    let (proposal, err, status) = run(folder.path(), &arguments).await;
    assert_eq!((status, err.as_str()), (0, ""), "nothing on standard error where nobody sits: {proposal}");
    for part in [
        "components = [\"eucalyptus/clc\"]",
        "[host.checks.ssh_banner]",
        "[host.checks.snmp]",
        "display = \"rack7-switch\"",
        "[host.checks.interfaces]",
        "probe = \"http\"",
        "name = \"mysql\"",
    ] {
        assert!(proposal.contains(part), "no {part} in\n{proposal}");
    }
    assert!(!proposal.contains('\u{1b}'), "what a peer says is no control of a terminal");
    let counts = verified(folder.path(), &proposal).await;
    assert!(counts.contains("host"), "{counts}");
    let again = [arguments.clone(), vec!["--out=found.toml".to_owned()]].concat();
    let (_, err, status) = run(folder.path(), &again).await;
    assert!(status == 1 && err.contains("found.toml"), "an existing file is kept: {err}");
}

#[tokio::test]
async fn controllers_are_proposed_and_looked_into_under_a_login() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let sushy = Sushy::start(folder.path()).await;
    let mut arguments = vec!["discover".to_owned(), "127.0.0.1".to_owned()];
    arguments.extend(ports(&[("redfish", sushy.port), ("https", sushy.port)]));
    let (proposal, _, status) = run(folder.path(), &arguments).await;
    assert_eq!(status, 0);
    assert!(
        proposal.contains("# [host.bmc]") && proposal.contains("fingerprint = "),
        "without a login in comments:\n{proposal}"
    );
    assert!(!proposal.contains("probe = \"http\""), "its page is no website:\n{proposal}");
    verified(folder.path(), &proposal).await;

    arguments.extend(["--bmc-user=monitor".to_owned(), "--bmc-password-file=password".to_owned()]);
    let (proposal, _, _) = run(folder.path(), &arguments).await;
    let has = |part: &str| assert!(proposal.contains(part), "no {part} in\n{proposal}");
    has("\n[host.bmc]");
    has("By redfish: Sushy Emulator");
    has("drives: Drive Sample");
    let counts = verified(folder.path(), &proposal).await;
    assert!(!counts.contains("error:"), "{counts}");
}

#[tokio::test]
async fn a_controller_that_speaks_ipmi_is_told_by_its_answers() {
    let bmc = Simulator::start().await;
    let folder: TempDir = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    let mut arguments = vec!["discover".to_owned(), "127.0.0.1".to_owned(), format!("--bmc-user={USER}")];
    arguments.push("--bmc-password-file=password".to_owned());
    arguments.extend(ports(&[("ipmi", bmc.address.port())]));
    let (proposal, _, _) = run(folder.path(), &arguments).await;
    let has = |part: &str| assert!(proposal.contains(part), "no {part} in\n{proposal}");
    has("IPMI 2.0");
    has(&format!("\nport = {}", bmc.address.port()));
    has("power supplies: PS1; PS2");
    verified(folder.path(), &proposal).await;
}

#[tokio::test]
async fn what_was_found_before_an_interruption_is_printed() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let port = speaker("SSH-2.0-first\r\n", "").await;
    let second = TcpSocket::new_v4().unwrap();
    second.bind(format!("127.0.0.2:{port}").parse().unwrap()).unwrap();
    let second = second.listen(16).unwrap();
    let mut arguments = vec!["discover".to_owned(), "127.0.0.0/24".to_owned()];
    // One address at a time, and all of them would take a minute.
    arguments.extend(["--at-once=1".to_owned(), "--per-second=100".to_owned()]);
    arguments.extend(ports(&[("ssh", port)]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = stentor(&arguments, folder.path());
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    // The second address is looked at only when the first is done.
    let _visitor = second.accept().await.unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let proposal = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{proposal}");
    assert!(proposal.contains("first, protocol 2.0") && proposal.contains("The search was ended after"), "{proposal}");
    verified(folder.path(), &proposal).await;
}

#[tokio::test]
async fn what_asks_for_too_much_or_for_nothing_is_refused_before_a_packet_is_sent() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    for (wrong, word) in [
        (vec!["10.0.0.0/8"], "more than"),
        (vec!["10.0.0.1", "--port=gopher=70"], "gopher"),
        (vec!["10.0.0.1", "--timeout=0s"], "--timeout"),
        (vec!["10.0.0"], "10.0.0"),
    ] {
        let mut arguments = vec!["discover".to_owned()];
        arguments.extend(wrong.iter().map(ToString::to_string));
        let (out, err, status) = run(folder.path(), &arguments).await;
        assert!(status == 1 && out.is_empty() && err.contains(word), "{wrong:?}: {status} {out}{err}");
    }
    let mut nothing = vec!["discover".to_owned(), "127.0.0.3".to_owned(), "--timeout=300ms".to_owned()];
    nothing.extend(ports(&[]));
    let (out, _, _) = run(folder.path(), &nothing).await;
    verified(folder.path(), &out).await;
}
