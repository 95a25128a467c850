//! The names in a command that a person will type: what a runbook calls HOST, BMC or CLC is a machine whose address is known.

use super::RunTarget;
use crate::catalog::{Catalog, Host};

/// `command` with the names of the target in place of these words:
///
/// | word | is |
/// |---|---|
/// | `HOST` | the name of the target host |
/// | `BMC`, `-U BMC_USER` or `USER`, `-f BMC_PWFILE` or `PWFILE` | address of its controller, user and password file there |
/// | `ZONE` | its zone |
/// | a component's key in capitals (`CLC`, `UFS`) | address of the target if it has that component, else of the one host in its cloud that has it |
///
/// A word of which that is not known, or that would have to be quoted, stays. What follows a ` #` is a remark, and stays.
pub fn with_names(catalog: &Catalog, target: &RunTarget, command: &str) -> String {
    let host = target.host.as_deref().and_then(|name| catalog.host_id(name)).map(|id| &catalog.hosts[id.index()]);
    let Some(host) = host else { return command.to_owned() };
    let lines: Vec<String> = command.split('\n').map(|line| of_line(catalog, host, line)).collect();
    lines.join("\n")
}

fn of_line(catalog: &Catalog, host: &Host, line: &str) -> String {
    let (typed, remark) = line.find(" #").map_or((line, ""), |at| line.split_at(at));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(line.len());
    let mut rest = typed;
    while let Some(start) = rest.find(is_part) {
        out.push_str(&rest[..start]);
        let end = rest[start..].find(|c| !is_part(c)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        // `$HOST` and `--HOST` are the shell's and the program's own; `BMC-OF-SOURCE` is another one.
        let is_own =
            (out.ends_with(['$', '-', '{', '/', '.']) && !out.ends_with("://")) || rest[end..].starts_with('-');
        let name = if is_own { None } else { meaning(catalog, host, &out, word) };
        let before_port = rest[end..].starts_with(':');
        match name.filter(|name| is_plain(name)) {
            Some(name) if name.contains(':') && before_port => out.extend(["[", name, "]"]),
            Some(name) => out.push_str(name),
            None => out.push_str(word),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.push_str(remark);
    out
}

fn meaning<'a>(catalog: &'a Catalog, host: &'a Host, before: &str, word: &str) -> Option<&'a str> {
    let bmc = host.bmc.as_ref();
    match word {
        "HOST" => Some(&host.name),
        "BMC" => bmc.map(|bmc| &*bmc.address),
        // `-L USER` is a privilege, not a user, and another controller has other users.
        "USER" | "BMC_USER" if before.ends_with(" -U ") => {
            bmc.filter(|bmc| before.contains(&*bmc.address)).map(|bmc| &*bmc.user)
        }
        "PWFILE" | "BMC_PWFILE" if before.ends_with(" -f ") => {
            bmc.filter(|bmc| before.contains(&*bmc.address)).map(|bmc| &*bmc.password_file)
        }
        "ZONE" => Some(&catalog.zones[host.zone.index()].name),
        _ if word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => {
            let has = |host: &Host| {
                host.components.iter().any(|id| catalog.components[id.index()].key.eq_ignore_ascii_case(word))
            };
            if has(host) {
                return Some(&host.address);
            }
            let cloud = &catalog.clouds[host.cloud?.index()];
            let mut all = cloud.hosts.iter().map(|id| &catalog.hosts[id.index()]).filter(|host| has(host));
            // Of several, none is the one.
            all.next().filter(|_| all.next().is_none()).map(|host| &*host.address)
        }
        _ => None,
    }
}

/// Means the same to every shell, quoted or not.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@%+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{Bmc, Cloud, Component, View, Zone};
    use crate::diagnosis::Topology;
    use crate::id::{CloudId, ComponentId, HostId, ZoneId};
    use crate::model::Value;

    /// A controller with a BMC, two user-facing hosts, and a node reached by IPv6.
    fn catalog() -> Catalog {
        let hosts = [
            ("clc1", "192.0.2.1", "clc"),
            ("ufs1", "192.0.2.2", "ufs"),
            ("ufs2", "192.0.2.3", "ufs"),
            ("node 1", "2001:db8::4", "nc"),
        ];
        let mut catalog =
            Catalog { zones: vec![Zone { name: "one".into(), cloud: Some(CloudId(0)) }], ..Catalog::default() };
        for (i, (name, address, key)) in hosts.into_iter().enumerate() {
            catalog.components.push(Component {
                host: HostId::from_index(i),
                key: key.into(),
                platform: "eucalyptus".into(),
                services: Vec::new(),
            });
            catalog.hosts.push(Host {
                name: name.into(),
                display: name.into(),
                address: address.into(),
                zone: ZoneId(0),
                cloud: Some(CloudId(0)),
                parents: Vec::new(),
                components: vec![ComponentId::from_index(i)],
                check: None,
                params: Value::Null,
                view: View::None,
                bmc: (i == 0).then(|| Bmc {
                    address: "192.0.2.101".into(),
                    port: 623,
                    user: "operator".into(),
                    password_file: "/etc/stentor/bmc".into(),
                    suite: None,
                }),
                services: Vec::new(),
            });
        }
        let hosts = (0..hosts.len()).map(HostId::from_index).collect();
        let (topology, platform) = (Topology::default(), "eucalyptus".into());
        catalog.clouds.push(Cloud { name: "e".into(), platform, min_nc: 1, topology, hosts });
        catalog.reindex();
        catalog
    }

    fn said(host: &str, command: &str) -> String {
        let target = RunTarget { host: Some(Arc::from(host)), component: None, cloud: Some("e".into()) };
        with_names(&catalog(), &target, command)
    }

    #[test]
    fn known_words_become_the_names_of_the_target() {
        let table = [
            ("clc1", "ping -c 3 HOST", "ping -c 3 clc1"),
            ("clc1", "ssh root@HOST uptime", "ssh root@clc1 uptime"),
            (
                "clc1",
                "ipmitool -H BMC -U USER -f PWFILE power on",
                "ipmitool -H 192.0.2.101 -U operator -f /etc/stentor/bmc power on",
            ),
            (
                "clc1",
                "ipmitool -H BMC -U BMC_USER -f BMC_PWFILE -L USER sel elist",
                "ipmitool -H 192.0.2.101 -U operator -f /etc/stentor/bmc -L USER sel elist",
            ),
            ("clc1", "clcadmin-copy-keys -z ZONE HOST", "clcadmin-copy-keys -z one clc1"),
            (
                "clc1",
                "curl http://CLC:8773/\ncurl http://NC:8775/",
                "curl http://192.0.2.1:8773/\ncurl http://[2001:db8::4]:8775/",
            ),
            (
                "ufs2",
                "curl http://UFS:8773/ && curl http://CLC:8773/",
                "curl http://192.0.2.3:8773/ && curl http://192.0.2.1:8773/",
            ),
        ];
        for (host, command, wanted) in table {
            assert_eq!(said(host, command), wanted);
        }
    }

    #[test]
    fn what_is_not_known_or_meant_otherwise_stays() {
        let table = [
            ("clc1", "curl http://UFS:8773/", "of two, none is the one"),
            ("ufs1", "ipmitool -H BMC -U USER", "it has no controller"),
            ("clc1", "mysql -u USER", "not the user of the controller"),
            ("clc1", "ipmitool -L USER sel elist", "a privilege"),
            ("clc1", "ipmitool -H BMC-OF-SOURCE -U USER -f PWFILE chassis power off", "another machine"),
            ("clc1", "ipmitool -H OTHER_BMC -U BMC_USER -f BMC_PWFILE chassis power off", "another machine"),
            ("clc1", "df -h /var/lib/eucalyptus/CLC", "a folder"),
            ("clc1", "systemctl start x   # CLC, then HOST", "a remark"),
            ("clc1", "echo $HOST ${HOST} --HOST HOST_IP XHOST", "other words"),
            ("node 1", "ping HOST", "would have to be quoted"),
            ("nowhere", "ping HOST", "no such host"),
        ];
        for (host, command, why) in table {
            assert_eq!(said(host, command), command, "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_keeps_what_is_not_a_known_word(text in "\\PC{0,80}") {
            prop_assume!(!["HOST", "BMC", "ZONE", "CLC", "NC"].iter().any(|word| text.contains(word)));
            prop_assert_eq!(said("clc1", &text), text);
        }

        #[test]
        fn any_text_around_a_word_is_read(before in "\\PC{0,20}", after in "\\PC{0,20}") {
            said("clc1", &format!("{before}HOST{after}BMC"));
        }
    }
}
