//! What was found as a configuration that `stentor verify` accepts, with what needs a decision in comments.

use std::fmt::Write as _;

use crate::probes::discover::{Agent, Controller, Found, Service, Web, Wish};

/// What was searched.
pub(super) struct Search<'a> {
    pub targets: &'a [String],
    pub looked: usize,
    pub of: usize,
    pub wish: &'a Wish,
}

/// Name of the cloud that found components are put into.
const CLOUD: &str = "found";

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// One line of a comment: what peers said must not become configuration.
fn comment(out: &mut String, text: &str) {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(out, "# {}", clean.trim());
}

/// The whole proposal.
pub(super) fn write(search: &Search<'_>, found: &[Found]) -> String {
    let mut out = String::new();
    comment(&mut out, &format!("Proposed by `stentor discover {}`.", search.targets.join(" ")));
    comment(
        &mut out,
        "Nothing of it is watched yet: read it, give names, then `include` it or copy what you want, and",
    );
    comment(&mut out, "run `stentor verify`. Whom to tell ([[contact]], [[route]]) is yours to say.");
    if search.looked < search.of {
        comment(&mut out, &format!("The search was ended after {} of {} addresses.", search.looked, search.of));
    }
    if !found.iter().any(Found::is_anything) {
        comment(&mut out, "Nothing answered.");
        return out;
    }
    let platforms: Vec<&str> = found.iter().flat_map(|one| &one.components).map(|one| one.platform).collect();
    if let Some(platform) = platforms.first() {
        let _ = write!(
            out,
            "\n[[cloud]]\nname = \"{CLOUD}\"\nplatform = {}\n\n[[zone]]\nname = \"{CLOUD}\"\ncloud = \"{CLOUD}\"\n",
            quoted(platform)
        );
    }
    for one in found {
        host(&mut out, search, one);
    }
    out
}

fn host(out: &mut String, search: &Search<'_>, found: &Found) {
    out.push('\n');
    let _ = writeln!(out, "[[host]]\nname = {}", quoted(&found.name));
    if found.name != found.address {
        let _ = writeln!(out, "address = {}", quoted(&found.address));
    }
    if let Some(agent) = found.agent.as_ref().filter(|agent| !agent.name.is_empty()) {
        let _ = writeln!(out, "display = {}", quoted(&agent.name));
    }
    if !found.does_ping {
        comment(out, "It answers, but not to pings (or this user may not send them).");
        out.push_str("check = \"none\"\n");
    }
    if !found.components.is_empty() {
        let mut keys: Vec<String> =
            found.components.iter().map(|one| quoted(&format!("{}/{}", one.platform, one.key))).collect();
        keys.dedup();
        let _ = writeln!(out, "zone = \"{CLOUD}\"\ncomponents = [{}]", keys.join(", "));
    }
    if let Some(bmc) = &found.bmc {
        controller(out, search, found, bmc);
    }
    for service in &found.services {
        known_service(out, found, service);
    }
    if let Some(agent) = &found.agent {
        snmp(out, search, agent);
    }
    for component in &found.components {
        component_port(out, component);
    }
    // Tables of `[[service]]` end the host, so they come last.
    for service in found.services.iter().filter(|one| check_of(one.name).is_none()) {
        open_port(out, found, service);
    }
    for web in &found.webs {
        website(out, found, web);
    }
}

/// The check of a pack that a service has.
fn check_of(name: &str) -> Option<&'static str> {
    match name {
        "ssh" => Some("ssh_banner"),
        "smtp" => Some("smtp"),
        "imap" => Some("imap"),
        "redis" => Some("redis"),
        "dns" => Some("dns_server"),
        _ => None,
    }
}

fn known_service(out: &mut String, found: &Found, service: &Service) {
    let Some(check) = check_of(service.name) else { return };
    comment(out, &service.text);
    let _ = writeln!(out, "[host.checks.{check}]");
    if service.port != service.usual_port {
        let _ = writeln!(out, "params = {{ port = {} }}", service.port);
        if service.name == "ssh" && !found.components.is_empty() {
            // Hosts of a cloud have a check of the port besides.
            let _ = writeln!(out, "[host.checks.ssh]\nparams = {{ port = {} }}", service.port);
        }
    }
}

/// Where a component does not listen at its usual port.
fn component_port(out: &mut String, component: &crate::probes::discover::Component) {
    let usual = match component.key {
        "cc" => 8774,
        "nc" => 8775,
        _ => 8773,
    };
    if component.port != usual {
        comment(out, &format!("{} answers at port {} instead of {usual}:", component.key, component.port));
        let _ = writeln!(out, "[host.checks.\"{} port\"]\nparams = {{ port = {} }}", component.key, component.port);
    }
}

fn controller(out: &mut String, search: &Search<'_>, found: &Found, bmc: &Controller) {
    let mut words = Vec::new();
    if bmc.redfish_port.is_some() {
        words.push(bmc.product.clone());
    }
    if bmc.ipmi_port.is_some() {
        words.push(if bmc.is_ipmi_20 { "IPMI 2.0".to_owned() } else { "RMCP without IPMI 2.0".to_owned() });
    }
    comment(out, &format!("A management controller: {}.", words.join(", ")));
    comment(out, "It belongs to a server with an address of its own: move [host.bmc] there, and this host with it.");
    inside(out, found);
    let login = search.wish.bmc_login.as_ref();
    // Without a login the checks of a controller would only be UNKNOWN.
    let mark = if login.is_some() { "" } else { "# " };
    let user = login.map_or("CHANGE-ME", |login| &login.user);
    let file = login.map_or("/etc/stentor/secrets/bmc", |login| &login.password_file);
    let _ = writeln!(out, "{mark}[host.bmc]\n{mark}address = {}", quoted(&found.address));
    let _ = writeln!(out, "{mark}user = {}\n{mark}password_file = {}", quoted(user), quoted(file));
    if let Some(port) = bmc.ipmi_port.filter(|port| *port != 623) {
        let _ = writeln!(out, "{mark}port = {port}");
    }
    let Some(port) = bmc.redfish_port else { return };
    let mut params = Vec::new();
    if port != 443 {
        params.push(format!("port = {port}"));
    }
    if let Some(fingerprint) = &bmc.fingerprint {
        comment(out, "The fingerprint is that of whoever answered now: compare it with the controller's own page.");
        params.push(format!("fingerprint = {}", quoted(&format!("sha256:{fingerprint}"))));
    }
    let _ = writeln!(out, "{mark}redfish = {{ {} }}", params.join(", "));
}

fn inside(out: &mut String, found: &Found) {
    let Some(inside) = &found.inside else { return };
    if let Some(why) = &inside.refusal {
        comment(out, &format!("By {}: {why}", inside.kind));
        return;
    }
    let model = if inside.model.is_empty() { "a server" } else { &inside.model };
    comment(out, &format!("By {}: {model}, {} readings", inside.kind, inside.sensors));
    for (what, names) in [("power supplies", &inside.supplies), ("arrays", &inside.arrays), ("drives", &inside.drives)]
    {
        if !names.is_empty() {
            comment(out, &format!("{what}: {}", names.join("; ")));
        }
    }
}

fn snmp(out: &mut String, search: &Search<'_>, agent: &Agent) {
    comment(out, &agent.description);
    let mut login = Vec::new();
    if agent.port != 161 {
        login.push(format!("port = {}", agent.port));
    }
    if let Some(file) = &search.wish.community_file {
        login.push(format!("community_file = {}", quoted(file)));
    }
    let _ = writeln!(out, "[host.checks.snmp]\nparams = {{ {} }}", login.join(", "));
    if agent.interfaces > 0 {
        comment(out, &format!("{} interfaces; name those that matter.", agent.interfaces));
        let mut params = login.clone();
        if !agent.bonds.is_empty() {
            let names: Vec<String> = agent.bonds.iter().map(|name| quoted(name)).collect();
            params.push(format!("names = [{}]", names.join(", ")));
        }
        let _ = writeln!(out, "[host.checks.interfaces]\nparams = {{ {} }}", params.join(", "));
    }
    if agent.is_ups {
        let _ = writeln!(out, "[host.checks.ups]\nparams = {{ {} }}", login.join(", "));
    }
}

fn open_port(out: &mut String, found: &Found, service: &Service) {
    let _ = writeln!(
        out,
        "\n[[service]]\nhost = [{}]\nname = {}\nprobe = \"tcp\"\nparams = {{ port = {} }}",
        quoted(&found.name),
        quoted(service.name),
        service.port
    );
}

fn website(out: &mut String, found: &Found, web: &Web) {
    let scheme = if web.tls { "https" } else { "http" };
    let name = if web.what.is_empty() { scheme } else { web.what };
    let name = format!("{name} {}", web.port);
    let _ = writeln!(out, "\n[[service]]\nhost = [{}]\nname = {}", quoted(&found.name), quoted(&name));
    if web.path.is_empty() {
        let _ = writeln!(out, "probe = \"tcp\"\nparams = {{ port = {} }}", web.port);
        return;
    }
    comment(out, &format!("It answered with status {}.", web.status));
    let tls = if web.tls { ", tls = true, insecure = true" } else { "" };
    let _ = writeln!(out, "probe = \"http\"\nparams = {{ port = {}, path = {}{tls} }}", web.port, quoted(web.path));
}
