//! The configuration as a whole: what it makes, and that every mistake is told at once with its place.

use std::collections::BTreeSet;

use stentor_core::Timestamp;
use stentor_core::catalog::{ComponentType, View};
use stentor_core::diagnosis::FailureType;

use crate::clock::Clock;
use crate::probes::sim_view::SimView;
use crate::probes::{Network, ProbeEnv};

use super::*;

fn load_here(text: &str) -> Result<Loaded, Diagnostics> {
    load_text(text, Path::new("test.toml"))
}

fn loaded(text: &str) -> Loaded {
    load_here(text).unwrap_or_else(|found| panic!("{found}"))
}

/// `code@line` of every finding, errors before warnings of one line as they were found.
fn findings(text: &str) -> Vec<String> {
    let found = match load_here(text) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    };
    found.findings.iter().map(|finding| format!("{}@{}", finding.code, found.line_column(&finding.place).0)).collect()
}

fn packs() -> (Vec<Pack>, Diagnostics) {
    let mut found = Diagnostics::default();
    let packs = pack::load(&[], &mut found);
    (packs, found)
}

#[test]
fn the_built_in_packs_pass_their_own_examples() {
    let (packs, mut found) = packs();
    example::run_all(&packs, &mut found);
    assert!(found.findings.is_empty(), "{found}");
    assert!(packs.iter().map(|pack| pack.checks.len()).sum::<usize>() > 50);
}

#[test]
fn the_matrix_of_eucalyptus_is_whole() {
    let (packs, _) = packs();
    let pack = packs.iter().find(|pack| &*pack.platform.key == "eucalyptus").expect("built in");
    let keys: Vec<&str> = pack.platform.components.iter().map(|component| &*component.key).collect();
    assert_eq!(keys, ["console", "ufs", "clc", "walrus", "sc", "cc", "vb", "iw", "elb", "nc"]);
    assert_eq!(pack.platform.cells.len(), 30);
    for ComponentType { key, .. } in &pack.platform.components {
        for failure_type in FailureType::ALL {
            let cell = pack
                .platform
                .cells
                .iter()
                .find(|cell| cell.key.component == *key && cell.key.failure_type == failure_type);
            let cell = cell.unwrap_or_else(|| panic!("no cell {key}/{failure_type:?}"));
            assert_eq!(*cell.runbook, format!("rb-euca-{key}-{}", failure_type.as_str()));
            let runbook = pack.platform.runbooks.iter().find(|runbook| runbook.id == cell.runbook).expect("referenced");
            assert!(runbook.steps.len() >= 2 && !cell.told_by.is_empty() && !cell.sources.is_empty(), "{}", cell.key);
        }
        let resource = pack.checks.iter().any(|template| {
            template.component.as_ref() == Some(key)
                && template.check.signals.iter().any(|spec| &*spec.sig == "resource")
        });
        assert!(resource, "{key} has no check of a resource");
    }
}

#[test]
fn every_hardware_class_has_its_runbook() {
    let (packs, _) = packs();
    let pack = packs.iter().find(|pack| &*pack.platform.key == "hardware").expect("built in");
    for number in 1..=42 {
        let id = format!("RB-H{number:02}");
        assert!(pack.platform.runbooks.iter().any(|runbook| *runbook.id == id), "{id}");
    }
}

#[test]
fn every_check_of_a_pack_builds_its_probe() {
    let (packs, _) = packs();
    for template in packs.iter().flat_map(|pack| &pack.checks).filter(|template| !template.check.probe.is_empty()) {
        let Some(entry) = crate::probes::find(&template.check.probe) else { continue };
        let env = ProbeEnv {
            net: Network::real(),
            view: Arc::new(SimView::new()),
            clock: Clock::manual(Timestamp::from_secs(0)),
        };
        // `vb vcenter` and the like get the rest from the host, others from their cloud.
        let api = match &*template.check.probe {
            "openstack" if template.applies == pack::Applies::Api => {
                r#"{"url":"https://ctl:5000/v3","user":"u","project":"p","password_file":"/f","insecure":true}"#
            }
            "proxmox" if template.applies == pack::Applies::Api => {
                r#"{"token_id":"u@pve!t","token_file":"/f","insecure":true}"#
            }
            _ => "null",
        };
        let api: stentor_core::model::Value = serde_json::from_str(api).expect("JSON");
        if let Err(refusal) = (entry.build)(&api.overlaid(&template.check.params), &env) {
            panic!("{}: {refusal}", template.check.name);
        }
    }
}

#[test]
fn every_probe_has_usual_rules_but_those_that_report_a_state() {
    let (packs, found) = packs();
    assert!(found.findings.is_empty(), "{found}");
    for entry in crate::probes::REGISTRY.iter().filter(|entry| !["exec", "nrpe"].contains(&entry.kind)) {
        assert!(usual::find(&packs, entry.kind).is_some_and(|usual| !usual.rules.is_empty()), "{}", entry.kind);
    }
}

#[test]
fn a_service_without_rules_is_judged_as_usual_and_one_with_rules_as_it_says() {
    let service = |more: &str| {
        let text = format!(
            "[[host]]\nname = \"h1\"\naddress = \"192.0.2.1\"\n[[service]]\nhost = \"h1\"\nname = \"s\"\nprobe = \"http\"\n{more}\n"
        );
        let catalog = loaded(&text).catalog;
        let service = catalog.services.iter().find(|service| &*service.name == "s").expect("the service").clone();
        catalog.checks[service.check.index()].clone()
    };
    let usual = service("params = { limits = { days = 30 } }");
    assert!(usual.rules.iter().any(|rule| &*rule.when.text == "http >= 400"), "{:?}", usual.rules);
    assert_eq!(usual.params.to_string(), "{limits: {days: 30}}");
    assert_eq!(service(r#"rules = [{ when = "http != 200", state = "CRITICAL", source = "x" }]"#).rules.len(), 1);
    assert!(service("rules = []").rules.is_empty());
}

#[test]
fn two_sets_of_usual_rules_for_one_probe_are_refused() {
    let table = "[[usual]]\nprobe = \"tcp\"\nrules = []\n";
    let text = format!("[pack]\nplatform = \"shop\"\nschema = 1\n{table}{table}");
    let mut found = Diagnostics::default();
    let pack = super::pack::read_pack(vec![("shop.toml".into(), text.into())], &mut found).expect("a pack");
    super::usual::refuse_doubles(&[pack], &mut found);
    assert!(found.to_string().contains("has usual rules already"), "{found}");
}

const EXAMPLE: &str = include_str!("../../config.example.toml");

#[test]
fn the_example_runs_as_it_is() {
    let loaded = loaded(EXAMPLE);
    assert!(loaded.warnings.findings.is_empty(), "{}", loaded.warnings);
    let catalog = &loaded.catalog;
    assert_eq!(catalog.hosts.len(), 1);
    let host = &catalog.hosts[0];
    assert_eq!((&*host.name, &*host.address, host.view), ("localhost", "127.0.0.1", View::Local));
    assert_eq!(&*catalog.checks[host.check.expect("ping").index()].name, "host/ping");
    let names: BTreeSet<&str> = catalog.services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, BTreeSet::from(["load", "memory", "disk", "uptime", "processes"]));
    assert_eq!(loaded.settings.server.listen.port(), 8460);
    assert!(loaded.settings.email.is_none() && loaded.settings.webhook.is_none());
}

#[test]
fn the_example_names_every_key() {
    for (section, keys) in schema::CONFIG {
        for key in *keys {
            let named = EXAMPLE.lines().map(|line| line.trim_start_matches(['#', ' '])).any(|line| {
                let header = line.trim_matches(['[', ']']);
                line.split_once('=').is_some_and(|(name, _)| name.trim() == *key)
                    || (line.starts_with('[') && header.split('.').any(|part| part == *key))
                    || line.contains(&format!("[{{ {key} = "))
                    || line.contains(&format!(", {key} = "))
            });
            assert!(named, "`{key}` of `{section}` is not in config.example.toml");
        }
    }
}

#[test]
fn the_commented_keys_of_the_example_are_read_too() {
    // Every commented line that is TOML, uncommented: it must fail only for files that are not there.
    let text: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    // Whether Nagios is installed here must not matter.
    let text = text.replace("enabled = false", "enabled = true").replace("/etc/nagios4", "/nowhere");
    let found = load_here(&text).expect_err("hosts of the comments do not exist");
    let codes: BTreeSet<&str> = found.findings.iter().map(|finding| finding.code).collect();
    let of_files = ["missing-file", "unreadable-file", "no-hosts", "no-services"];
    let of_names = [
        "cell-or-runbook",
        "check-or-probe",
        "duplicate",
        "hosts-or-component",
        "no-match",
        "unknown-command",
        "unknown-host",
    ];
    assert!(codes.iter().all(|code| of_names.contains(code) || of_files.contains(code)), "{found}");
}

fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

const CLOUD: &str = r#"
[[cloud]]
name = "euca"
platform = "eucalyptus"
min_nc = 1
ebs = "san"
[[zone]]
name = "one"
cloud = "euca"
[[zone]]
name = "infra"
[[host]]
name = "clc1"
address = "10.0.0.1"
zone = "infra"
components = ["eucalyptus/clc"]
psu_feeds = ["A", "B"]
switch_ports = ["sw1/1", "sw2/1"]
view = "agent"
[host.checks."clc port"]
every = "20s"
params = { port = 18773 }
[host.checks.mdraid]
[[host]]
name = "cc1"
zone = "one"
components = ["eucalyptus/cc", "eucalyptus/sc"]
psu_feeds = ["A"]
switch_ports = ["sw1:7", "sw1:8"]
[[host]]
name = "nc1"
zone = "one"
parents = ["cc1"]
components = ["eucalyptus/nc"]
[[host]]
name = "vm1"
cloud = "euca"
vm_on = "nc1"
components = ["eucalyptus/elb"]
"#;

#[test]
fn components_bring_their_checks_and_the_topology() {
    let loaded = loaded(&format!("[timing]\npace = 10\n{CLOUD}"));
    let catalog = &loaded.catalog;
    let on = |host: &str| -> BTreeSet<String> {
        let id = catalog.host_id(host).expect(host);
        catalog.hosts[id.index()].services.iter().map(|id| catalog.services[id.index()].name.to_string()).collect()
    };
    let expect = |names: &[&str]| -> BTreeSet<String> { names.iter().map(ToString::to_string).collect() };
    let inside = ["load", "memory", "disk", "uptime", "processes", "agent", "mdraid"];
    let clc = ["clc port", "clc heartbeat", "clc process", "clc db", "clc disk", "ssh"];
    assert_eq!(on("clc1"), expect(&[&inside[..], &clc[..]].concat()));
    // Nobody looks from inside, and tgtd is not used with a SAN.
    assert_eq!(on("cc1"), expect(&["ssh", "cc port", "cc http", "sc port", "sc heartbeat"]));
    let port = catalog.service_id("clc1", "clc port").expect("there");
    let service = &catalog.services[port.index()];
    let check = &catalog.checks[service.check.index()];
    assert_eq!((check.every.as_millis(), &*check.name), (2000, "eucalyptus/clc/port"));
    assert_eq!(check.params.overlaid(&service.params).get("port").and_then(|v| v.number()), Some(18773.0));
    let topology = serde_json::to_value(&catalog.clouds[0].topology).expect("json");
    for (path, json) in [
        ("/hosts", r#"{"cc1":["cc","sc"],"clc1":["clc"],"nc1":["nc"],"vm1":["elb"]}"#),
        ("/zones", r#"{"one":["cc1","nc1"]}"#),
        ("/single_homed", r#"{"sw1":["cc1"]}"#),
        ("/single_fed", r#"{"A":["cc1"]}"#),
        ("/vm_on", r#"{"vm1":"nc1"}"#),
        ("/switches", r#"{"sw1":"single","sw2":"single"}"#),
        ("/platform", r#""eucalyptus""#),
    ] {
        assert_eq!(topology.pointer(path).map(ToString::to_string).as_deref(), Some(json), "{path}");
    }
    let jvm: BTreeSet<&str> = catalog.clouds[0].topology.jvm.iter().map(|key| &**key).collect();
    assert_eq!(jvm, BTreeSet::from(["clc", "ufs", "sc", "walrus", "vb"]));
    assert_eq!(catalog.hosts[2].parents, [catalog.host_id("cc1").expect("cc1")]);
}

#[test]
fn bmc_checks_are_only_where_a_bmc_is() {
    let text = "[[host]]\nname = \"a\"\n[host.bmc]\naddress = \"10.9.0.1\"\nuser = \"u\"\npassword_file = \"none\"\n[[host]]\nname = \"b\"\n";
    let loaded = loaded(text);
    let names: BTreeSet<(u32, &str)> = loaded.catalog.services.iter().map(|s| (s.host.0, &*s.name)).collect();
    assert!(names.contains(&(0, "power")) && names.contains(&(0, "psu")));
    assert!(!names.iter().any(|(host, _)| *host == 1), "{names:?}");
    assert_eq!(findings(text), ["missing-file@6"]);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    for (text, expected) in [
        ("[server]\nlistne = \"x\"", "unknown-key@2"),
        ("[serve]\n", "unknown-key@1"),
        ("[server]\nlisten = \"x\"", "bad-address@2"),
        ("[server]\nlisten = 8460", "wrong-type@2"),
        ("[server]\ntls_cert = \"/dev/null\"", "half-tls@1"),
        ("[server]\nlisten = \"0.0.0.0:8460\"", "plain-http@1"),
        ("[server]\n[server]\n", "syntax@2"),
        ("[timing]\npace = 0", "out-of-range@2"),
        ("[timing]\nrecovery = \"soon\"", "bad-duration@2"),
        ("[timing]\nrecovery = 30", "bad-duration@2"),
        ("[site]\ntimezone = \"Mars\"", "unknown-timezone@2"),
        ("[storage]\nurl = \"mysql://x\"", "bad-url@2"),
        ("[packs]\ndirs = [\"/does/not/exist\"]", "unreadable-folder@2"),
        ("include = [\"nothing.toml\"]", "missing-file@1"),
        ("[[host]]\n", "missing-key@1"),
        ("[[host]]\nname = \"a/b\"\naddress = \"10.0.0.1\"", "bad-name@2"),
        ("[[host]]\nname = \"a\"\naddress = \"10.0.0.1.5\"", "bad-address@3"),
        ("[[host]]\nname = \"a\"\naddress = \"http://x\"", "bad-address@3"),
        ("[[host]]\nname = \"a\"\nview = \"inside\"", "unknown-word@3"),
        ("[[host]]\nname = \"a\"\nzone = \"z\"", "unknown-zone@3"),
        ("[[host]]\nname = \"a\"\nparents = [\"b\"]", "unknown-host@3"),
        ("[[host]]\nname = \"a\"\n[[host]]\nname = \"a\"", "duplicate@4"),
        ("[[host]]\nname = \"a\"\nparents = [\"b\"]\n[[host]]\nname = \"b\"\nparents = [\"a\"]", "cyclic-parents@3"),
        ("[[host]]\nname = \"a\"\nparents = [\"a\"]", "cyclic-parents@3"),
        ("[[host]]\nname = \"a\"\ncomponents = [\"eucalyptus/clx\"]", "unknown-component@3"),
        ("[[host]]\nname = \"a\"\ncomponents = [\"eucalyptus/clc\"]", "no-cloud@3"),
        ("[[host]]\nname = \"a\"\ncheck = \"pong\"", "unknown-check@3"),
        ("[[host]]\nname = \"a\"\n[host.checks.dsik]", "unknown-check@3"),
        ("[[host]]\nname = \"a\"\n[host.checks.disk]", "check-does-not-fit@3"),
        ("[[cloud]]\nname = \"c\"\nplatform = \"eucaliptus\"", "unknown-platform@3"),
        ("[[service]]\nhost = \"a\"\nname = \"x\"\nprobe = \"tcp\"", "unknown-host@2"),
        ("[[host]]\nname = \"a\"\n[[service]]\nhost = \"a\"\nname = \"x\"\nprobe = \"tpc\"", "unknown-probe@6"),
        ("[[host]]\nname = \"a\"\n[[service]]\nhost = \"a\"\nname = \"x\"", "check-or-probe@3"),
        ("[[host]]\nname = \"a\"\n[[service]]\nhost = \"a\"\ncheck = \"host/dsik\"", "unknown-check@5"),
        (
            "[[host]]\nname = \"a\"\n[[service]]\nhost = \"a\"\nname = \"x\"\nprobe = \"tcp\"\nrules = [{ when = 'port = 1', state = \"OK\", source = \"s\" }]",
            "bad-rule@7",
        ),
        (
            "[[host]]\nname = \"a\"\n[[service]]\nhost = \"a\"\nname = \"x\"\nprobe = \"tcp\"\nparams = { prt = 1 }",
            "bad-params@3",
        ),
        ("[[host]]\nname = \"a\"\nview = \"local\"\n[host.checks.disk]\nparams = { mount = [\"/\"] }", "bad-params@4"),
        ("[[contact]]\nname = \"c\"\nemail = \"x\"\n[[route]]\nto = [\"c\"]", "bad-mail@3"),
        ("[[route]]\nto = [\"nobody\"]", "unknown-contact@2"),
        ("[[timeperiod]]\nname = \"t\"\nwindows = [\"always\"]", "bad-window@3"),
        ("[[timeperiod]]\nname = \"t\"\ndates = [\"friday 6 00:00-24:00\"]", "bad-date@3"),
        ("[[timeperiod]]\nname = \"t\"\ndates = [\"friday 09:00-17:00\"]", "bad-date@3"),
        ("[[timeperiod]]\nname = \"t\"\nexclude = [\"u\"]", "unknown-timeperiod@3"),
        (
            "[[timeperiod]]\nname = \"t\"\nexclude = [\"u\"]\n[[timeperiod]]\nname = \"u\"\nexclude = [\"t\"]",
            "cyclic-exclude@3",
        ),
        ("[[downtime]]\nhost = \"a\"\nstart = 2026-01-01T00:00:00Z\nend = 2026-01-02T00:00:00Z", "unknown-host@2"),
        (
            "[[host]]\nname = \"a\"\n[[downtime]]\nhost = \"a\"\nstart = \"now\"\nend = 2026-01-02T00:00:00Z",
            "bad-instant@5",
        ),
        ("[notifier.email]\nfrom = \"a@b\"\nuser = \"u\"", "missing-key@1"),
    ] {
        let told = findings(text);
        assert!(told.iter().any(|finding| finding == expected), "{expected} is not in {told:?} of\n{text}");
    }
}

#[test]
fn all_mistakes_are_told_together() {
    let text = "[server]\nlistne = 1\n[timing]\npace = \"fast\"\n[[host]]\nname = \"a\"\nadress = \"1.2.3.4\"\nparents = [\"b\"]\n";
    let found = load_here(text).expect_err("wrong");
    assert_eq!(found.errors(), 4);
    let shown = found.to_string();
    for part in ["did you mean `listen`?", "did you mean `address`?", "`pace` must be a number", "unknown host `b`"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
}

#[test]
fn a_missing_file_is_one_finding_with_its_name() {
    let found = load(Path::new("/does/not/exist.toml")).expect_err("missing");
    assert_eq!(found.errors(), 1);
    assert!(found.to_string().contains("/does/not/exist.toml"), "{found}");
}

#[test]
fn files_and_packs_of_a_folder_are_merged() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        std::fs::write(&path, text).expect(name);
        path
    };
    let main = write("main.toml", "include = [\"conf.d/*.toml\"]\n[packs]\ndirs = [\"mine\"]\n");
    write("conf.d/20-b.toml", "[[host]]\nname = \"b\"\nparents = [\"a\"]\n");
    write("conf.d/10-a.toml", "[[host]]\nname = \"a\"\n");
    write(
        "mine/shop/shop.toml",
        "[pack]\nplatform = \"shop\"\nschema = 1\n[[check]]\nname = \"till\"\nhost = true\nprobe = \"tcp\"\nparams = { port = 99 }\n",
    );
    let loaded = load(&main).unwrap_or_else(|found| panic!("{found}"));
    let names: Vec<&str> = loaded.catalog.hosts.iter().map(|host| &*host.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(loaded.catalog.service_id("b", "till").is_some());
    std::fs::write(folder.path().join("conf.d/20-b.toml"), "[[host]]\nname = \"a\"\n").expect("write");
    let found = load(&main).expect_err("twice");
    assert!(found.to_string().contains("10-a.toml:2:"), "{found}");
}

#[test]
fn the_same_configuration_gives_the_same_catalog() {
    let catalogs: BTreeSet<String> =
        (0..3).map(|_| serde_json::to_string(&loaded(CLOUD).catalog).expect("text keys")).collect();
    assert_eq!(catalogs.len(), 1);
}

#[test]
fn any_damage_to_the_file_is_told_without_a_panic() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..300 {
        // xorshift64: seeded, so that a failure repeats.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let mut bytes = CLOUD.as_bytes().to_vec();
        let at = usize::try_from(state % bytes.len() as u64).expect("fits");
        match state >> 60 {
            0..=5 => bytes[at] = b"\"[]={}.,#\n0a"[usize::try_from((state >> 32) % 12).expect("fits")],
            6..=10 => drop(bytes.drain(at..(at + 7).min(bytes.len()))),
            _ => bytes.truncate(at),
        }
        if let Ok(text) = String::from_utf8(bytes)
            && let Err(found) = load_here(&text)
        {
            assert!(found.errors() > 0);
            assert!(!found.to_string().is_empty());
        }
    }
}

#[test]
fn the_pack_of_the_documentation_is_a_pack() {
    let text = include_str!("../../docs/packs.md");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    // Examples follow their check, cells and runbooks may stand anywhere.
    let text: String = blocks.concat();
    let mut found = Diagnostics::default();
    let pack = pack::read_pack(vec![("packs.md".into(), text.as_str().into())], &mut found).expect("a pack");
    assert!(found.findings.is_empty(), "{found}");
    assert_eq!((pack.platform.cells.len(), pack.platform.runbooks.len(), pack.checks.len()), (1, 1, 1));
    assert_eq!(pack.checks[0].examples.len(), 3);
}

#[test]
fn the_hosts_of_the_documentation_are_a_configuration() {
    let text = include_str!("../../docs/configuration.md");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let text = format!(
        "{}\n[[cloud]]\nname = \"c\"\nplatform = \"eucalyptus\"\n[[zone]]\nname = \"infra\"\n",
        blocks.concat()
    );
    let loaded = loaded(&text);
    let codes: BTreeSet<&str> = loaded.warnings.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, BTreeSet::from(["design-few-ufs", "missing-file"]), "{}", loaded.warnings);
    assert!(loaded.catalog.service_id("clc1", "mdraid").is_some());
    assert!(loaded.catalog.service_id("clc1", "load").is_none());
}

#[test]
fn a_pack_whose_examples_lie_or_lack_is_refused() {
    let check = "[pack]\nplatform = \"p\"\nschema = 1\n[[check]]\nname = \"c\"\nhost = true\nprobe = \"tcp\"\nparams = { port = 1 }\nsignal = \"port\"\nrules = [{ when = 'port != \"open\"', state = \"CRITICAL\", source = \"s\" }]\n";
    for (examples, expected) in [
        ("", vec!["missing-example", "missing-example", "missing-example"]),
        (
            "[[check.example]]\nexpect = \"OK\"\nobservation = { facts = { port = \"refused\" } }\n\
             [[check.example]]\nexpect = \"CRITICAL\"\nobservation = { facts = { port = \"refused\" } }\nsignals = { port = \"open\" }\n",
            vec!["missing-example", "example", "example"],
        ),
    ] {
        let mut found = Diagnostics::default();
        let text = format!("{check}{examples}");
        let pack = pack::read_pack(vec![("p.toml".into(), text.as_str().into())], &mut found).expect("a pack");
        assert!(found.findings.is_empty(), "{found}");
        example::run_all(&[pack], &mut found);
        found.sort();
        let codes: Vec<&str> = found.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, expected, "{found}");
    }
}

#[test]
fn a_pattern_of_many_stars_is_answered_at_once() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("a".repeat(200)), "").expect("file");
    let pattern = format!("{}b", "*a".repeat(60));
    assert!(files_matching(folder.path(), &pattern).expect("listed").is_empty());
    assert_eq!(files_matching(folder.path(), &"*a".repeat(60)).expect("listed").len(), 1);
}

#[test]
fn nesting_beyond_any_use_is_a_finding_and_not_the_end_of_the_stack() {
    for text in [
        format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("x = {}", "{ a = ".repeat(100_000)),
        format!("{}b = 1", "a.".repeat(100_000)),
        format!("[{}b]", "a.".repeat(100_000)),
        format!("[[{}b]]", "a.".repeat(100_000)),
        format!("x = {{ {}b = 1 }}", "a.".repeat(100_000)),
        format!("x = {}{}", "[".repeat(40), "]".repeat(40)),
    ] {
        let found = load_here(&text).expect_err("too deep");
        assert!(found.errors() > 0, "{}", &text[..20]);
    }
}
