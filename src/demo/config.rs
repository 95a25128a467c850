//! The configuration of the demo: an ordinary configuration file, written for the simulated cloud.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::device_model::cabled;
use super::plan::{BACKED, HOSTS, HostPlan, MAINS, Net, RACK, SWITCH, UPS, ZONES, shifted};
use super::sim::BMC_USER;

/// What the file needs to know.
#[derive(Debug)]
pub struct Wish<'a> {
    pub net: Net,
    pub listen: SocketAddr,
    pub smtp: SocketAddr,
    pub pace: f64,
    pub bmc_password_file: &'a Path,
}

/// The file's text.
pub fn text(wish: &Wish<'_>) -> String {
    let mut out = String::new();
    write_all(&mut out, wish).expect("writing to a String cannot fail");
    out
}

fn write_all(out: &mut String, wish: &Wish<'_>) -> std::fmt::Result {
    writeln!(out, "# Written by `stentor demo` for its simulated cloud.\ninstance = \"demo\"\n")?;
    writeln!(out, "[server]\nlisten = \"{}\"\nurl = \"http://{}/\"\n", wish.listen, wish.listen)?;
    writeln!(out, "[storage]\nurl = \"sqlite:stentor.db\"\njournal = \"journal\"\n")?;
    writeln!(out, "[timing]\npace = {}\n", wish.pace)?;
    writeln!(out, "[site]\nname = \"demo\"\n")?;
    for zone in ZONES {
        let vmware = if zone == "vmware" { "vmware = true\n" } else { "" };
        writeln!(out, "[[zone]]\nname = \"{zone}\"\ncloud = \"euca\"\n{vmware}")?;
    }
    writeln!(
        out,
        "[[cloud]]\nname = \"euca\"\nplatform = \"eucalyptus\"\nrelease = \"4.4\"\nmin_nc = 1\nnetwork_mode = \"EDGE\"\n\
         ebs = \"overlay\"\nobject = \"walrus\"\n"
    )?;
    for (feed, source) in [(MAINS, "mains"), (BACKED, UPS), (RACK, UPS)] {
        writeln!(out, "[[feed]]\nname = \"{feed}\"\nsource = \"{source}\"\n")?;
    }
    writeln!(out, "[[switch]]\nname = \"{SWITCH}\"\nkind = \"stack\"\nfeeds = [\"{MAINS}\", \"{BACKED}\"]\n")?;
    for host in HOSTS {
        write_host(out, host, wish)?;
    }
    let lags: Vec<String> = cabled().map(|(port, _)| format!("Po{port} = 2")).collect();
    write_device(out, SWITCH, "switch", &format!("members = 2, lags = {{ {} }}, ", lags.join(", ")), wish)?;
    write_device(out, UPS, "ups", "", wish)?;
    writeln!(
        out,
        "[[contact]]\nname = \"noc\"\ndisplay = \"Network operations\"\nemail = \"noc@demo.example\"\n\n\
         [[route]]\nname = \"everything\"\nto = [\"noc\"]\n"
    )?;
    writeln!(
        out,
        "[notifier.email]\nhost = \"{}\"\nport = {}\ntls = \"none\"\nfrom = \"stentor@demo.example\"\n",
        wish.smtp.ip(),
        wish.smtp.port()
    )
}

/// A device that is asked by SNMP. It is looked at more often than what hangs on it: the cause must be known first.
fn write_device(out: &mut String, name: &str, check: &str, params: &str, wish: &Wish<'_>) -> std::fmt::Result {
    writeln!(out, "[[host]]\nname = \"{name}\"\naddress = \"{}\"", wish.net.device(name))?;
    writeln!(out, "zone = \"{}\"\ncloud = \"euca\"", ZONES[0])?;
    writeln!(out, "[host.checks.ping]\n{}\n[host.checks.ssh]\nenabled = false", network(None, ""))?;
    // A walk over many ports, by an unoptimised build on a machine with too much to do, may miss its deadline now and then.
    let walk = network(Some(161), params);
    writeln!(out, "[host.checks.{check}]\nenabled = true\nevery = \"10s\"\nattempts = 6\n{walk}\n")
}

fn write_host(out: &mut String, host: &HostPlan, wish: &Wish<'_>) -> std::fmt::Result {
    let components: Vec<String> = host.components.iter().map(|key| format!("\"eucalyptus/{key}\"")).collect();
    writeln!(out, "[[host]]\nname = \"{}\"\naddress = \"{}\"", host.name, wish.net.host(host))?;
    writeln!(out, "zone = \"{}\"\ncloud = \"euca\"\nview = \"agent\"", ZONES[usize::from(host.zone)])?;
    writeln!(out, "components = [{}]", components.join(", "))?;
    if let Some(node) = host.vm_on {
        writeln!(out, "vm_on = \"{node}\"")?;
    } else {
        let password = wish.bmc_password_file.display();
        writeln!(
            out,
            "bmc = {{ address = \"{}\", port = {}, user = \"{BMC_USER}\", password_file = \"{password}\" }}",
            wish.net.bmc(host),
            shifted(623)
        )?;
        let port = cabled().find(|(_, name)| *name == host.name).map_or(0, |(port, _)| port);
        let feeds: Vec<String> = host.feeds().iter().map(|feed| format!("\"{feed}\"")).collect();
        writeln!(out, "psu_feeds = [{}]", feeds.join(", "))?;
        writeln!(out, "switch_ports = [\"{SWITCH}/1/{port}\", \"{SWITCH}/2/{port}\"]")?;
    }
    let mut checks = vec![("ping".to_owned(), network(None, "")), ("ssh".to_owned(), network(Some(22), ""))];
    if host.is_physical() {
        checks.push(("mdraid".to_owned(), "enabled = true\nevery = \"60s\"".to_owned()));
        checks.push(("bond".to_owned(), "enabled = true".to_owned()));
    }
    if host.has_san() {
        checks.push(("multipath".to_owned(), "enabled = true".to_owned()));
    }
    if host.has_drbd() {
        checks.push(("drbd".to_owned(), "enabled = true".to_owned()));
    }
    for component in host.components {
        for (check, port) in network_checks(component) {
            let name = format!("{component} {check}");
            if *check == "vcenter" {
                let address = format!("address = \"{}\", ", wish.net.vcenter(host));
                checks.push((name, format!("enabled = true\n{}", network(*port, &address))));
            } else {
                checks.push((name, network(*port, "")));
            }
        }
    }
    for (service, keys) in checks {
        writeln!(out, "[host.checks.\"{service}\"]\n{keys}")?;
    }
    writeln!(out)
}

/// Checks of a component that go over the network, with the port of those that had to move.
fn network_checks(component: &str) -> &'static [(&'static str, Option<u16>)] {
    match component {
        "clc" => &[("port", None), ("heartbeat", None), ("db", None)],
        "ufs" => &[("port", None), ("heartbeat", None), ("dns", Some(53))],
        "walrus" => &[("port", None), ("heartbeat", None)],
        "sc" => &[("port", None), ("heartbeat", None), ("backend", None)],
        "vb" => &[("port", None), ("heartbeat", None), ("vcenter", Some(443))],
        "cc" | "nc" => &[("port", None), ("http", None)],
        "console" => &[("port", Some(443)), ("http", Some(443)), ("cert", Some(443))],
        "elb" => &[("port", Some(80)), ("http", Some(80)), ("backend", Some(80))],
        _ => &[],
    }
}

/// Pace divides no protocol timeout, but loopback answers at once: silence is known sooner than in a real network. A
/// machine with too much to do may take more than a second for a TLS handshake of an unoptimised build.
fn network(port: Option<u16>, more: &str) -> String {
    let port = port.map_or_else(String::new, |port| format!("port = {}", shifted(port)));
    if port.is_empty() && more.is_empty() {
        return "timeout = \"3s\"".to_owned();
    }
    format!("timeout = \"3s\"\nparams = {{ {more}{port} }}")
}
