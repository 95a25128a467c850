//! The configuration of the demo: an ordinary configuration file, written for the simulated cloud.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::plan::{HOSTS, HostPlan, Net, ZONES, shifted};
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
    for host in HOSTS {
        write_host(out, host, wish)?;
    }
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
    }
    let mut moved = vec![("ssh".to_owned(), format!("params = {{ port = {} }}", shifted(22)))];
    if host.is_physical() {
        moved.push(("mdraid".to_owned(), "enabled = true\nevery = \"60s\"".to_owned()));
        moved.push(("bond".to_owned(), "enabled = true".to_owned()));
    }
    for component in host.components {
        let (checks, port): (&[&str], u16) = match *component {
            "console" => (&["port", "http", "cert"], 443),
            "elb" => (&["port", "http", "backend"], 80),
            "ufs" => (&["dns"], 53),
            "vb" => {
                let params = format!(
                    "enabled = true\nparams = {{ address = \"{}\", port = {} }}",
                    wish.net.vcenter(host),
                    shifted(443)
                );
                moved.push(("vb vcenter".to_owned(), params));
                continue;
            }
            _ => continue,
        };
        for check in checks {
            moved.push((format!("{component} {check}"), format!("params = {{ port = {} }}", shifted(port))));
        }
    }
    for (service, keys) in moved {
        writeln!(out, "[host.checks.\"{service}\"]\n{keys}")?;
    }
    writeln!(out)
}
