//! What packs tell the classifier: an administrator's own platform, every runbook that a verdict can name, circles, and
//! topologies that name what does not exist.

use std::collections::BTreeSet;

use serde_json::json;
use stentor_core::Timestamp;
use stentor_core::diagnosis::{Diagnosis, Severity, Signal, Timing, Topology, Visibility, diagnose};

use super::*;

const AT: Timestamp = Timestamp::from_secs(1_795_226_531);

const SHOP: &str = r#"
[pack]
platform = "shop"
schema = 1
precedence = ["ledger", "till"]
guests = ["booth"]
[[component]]
key = "till"
core = true
redundancy = { kind = "active_active", min = 2 }
depends_on = ["ledger"]
[[component]]
key = "ledger"
core = true
[[component]]
key = "booth"
redundancy = { kind = "many", min = 1 }
depends_on = ["till"]
[[runbook]]
id = "shop-ledger"
title = "Ledger"
steps = [{ kind = "fix", text = "start it" }]
[[runbook]]
id = "shop-till"
title = "Till"
steps = [{ kind = "fix", text = "start it" }]
[[cell]]
component = "ledger"
type = "software"
behaviour = "nobody can pay"
runbook = "shop-ledger"
founded = "inference"
[[cell]]
component = "ledger"
type = "server"
behaviour = "nobody can pay"
runbook = "shop-ledger"
founded = "inference"
[[cell]]
component = "till"
type = "software"
behaviour = "one queue less"
runbook = "shop-till"
founded = "inference"
"#;

/// A shop with its own pack: three tills, two booths, one ledger that shares a host with a till.
fn shop() -> Topology {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::create_dir_all(folder.path().join("mine/shop")).expect("folder");
    std::fs::write(folder.path().join("mine/shop/shop.toml"), SHOP).expect("pack");
    let host = |name: &str, components: &str| {
        format!("[[host]]\nname = \"{name}\"\ncloud = \"store\"\ncomponents = [{components}]\n")
    };
    let text = format!(
        "[packs]\ndirs = [\"mine\"]\n[[cloud]]\nname = \"store\"\nplatform = \"shop\"\n{}{}{}{}{}",
        host("a", "\"shop/till\", \"shop/ledger\""),
        host("b", "\"shop/till\""),
        host("c", "\"shop/till\""),
        host("x", "\"shop/booth\""),
        host("y", "\"shop/booth\""),
    );
    let path = folder.path().join("stentor.toml");
    std::fs::write(&path, text).expect("main");
    let loaded = load(&path).unwrap_or_else(|found| panic!("{found}"));
    loaded.catalog.clouds[0].topology.clone()
}

/// `a/till port=refused`
fn signal(line: &str) -> Signal {
    let (place, fact) = line.split_once(' ').expect("place and fact");
    let (sig, value) = fact.split_once('=').expect("sig=value");
    let (host, component) = place.split_once('/').map_or((place, None), |(host, key)| (host, Some(key)));
    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    Signal {
        host: Some(host.into()),
        component: component.map(Into::into),
        sig: sig.into(),
        value: serde_json::from_value(value).expect("a value"),
        vantage: None,
        observed_at: AT,
        changed_at: AT,
        every: stentor_core::Span::ZERO,
    }
}

fn ask(topology: &Topology, seen: &str) -> Diagnosis {
    let signals: Vec<Signal> = seen.split(';').map(str::trim).map(signal).collect();
    diagnose(topology, &signals, AT, &Timing::default())
}

/// `class host/component severity cell runbook <- suppressed` of each verdict.
fn said(answer: &Diagnosis) -> Vec<String> {
    let verdict = |v: &stentor_core::diagnosis::Verdict| {
        let place = |host: &Option<std::sync::Arc<str>>, key: &Option<std::sync::Arc<str>>| {
            [host, key].into_iter().flatten().map(|name| &**name).collect::<Vec<_>>().join("/")
        };
        let hidden: Vec<String> = v.suppressed.iter().map(|entry| place(&entry.host, &entry.component)).collect();
        format!(
            "{} {} {} {} {} <- {}",
            v.class.as_str(),
            place(&v.target.host, &v.target.component),
            v.severity.as_str(),
            v.cell.as_deref().unwrap_or("-"),
            v.runbook,
            hidden.join(" ")
        )
    };
    answer.verdicts.iter().map(verdict).collect()
}

const TILL_GONE: &str = "ping=ok; T/till port=refused; T/till process=absent";

#[test]
fn a_platform_of_ones_own_gets_cells_runbooks_suppression_and_severities() {
    let shop = shop();
    let gone = |host: &str| format!("{host} {}", TILL_GONE.replace('T', host));
    // Three tills, two are needed: the loss of one leaves no spare, of two is an outage.
    let one = ask(&shop, &gone("b"));
    assert_eq!(said(&one), ["software_down b/till major shop/till/software shop-till <- "]);
    assert_eq!(one.verdicts[0].visibility, Visibility::Invisible);
    let two = ask(&shop, &format!("{}; {}", gone("b"), gone("c")));
    assert!(two.verdicts.iter().all(|v| v.severity == Severity::Critical && v.visibility == Visibility::Visible));
    // The ledger explains what needs it, also over another component; it names the cell of the host it shares.
    let ledger = ask(
        &shop,
        "a ping=ok; a/ledger port=refused; a/ledger process=absent; a/till port=open; a/till probe=fail; \
         b ping=ok; b/till port=open; b/till probe=fail; c ping=ok; c/till port=open; c/till probe=fail; \
         x ping=ok; x/booth port=open; x/booth http=503",
    );
    let expected = "software_down a/ledger critical shop/ledger/software shop-ledger <- a/till b/till c/till x/booth";
    assert_eq!(said(&ledger), [expected]);
    assert_eq!(ledger.core.as_str(), "unavailable", "{:?}", ledger.core_because);
    let server = ask(&shop, "a ping=fail; a ssh=timeout; a bmc=ok; a power=off; b ping=ok");
    assert_eq!(said(&server), ["server_down a critical shop/ledger/server shop-ledger <- a/ledger a/till"]);
    // Many alike are capacity; but their hosts carry machines of users.
    let booth = ask(&shop, "x ping=ok; x/booth port=refused; x/booth process=absent");
    assert_eq!(said(&booth), ["software_down x/booth warning shop/booth/software rb-mon-check <- "]);
    let host = ask(&shop, "x ping=fail; x ssh=timeout; x bmc=ok; x power=off; y ping=ok");
    assert_eq!(said(&host), ["server_down x critical shop/booth/server RB-H42 <- x/booth"]);
}

fn packs() -> Vec<Pack> {
    let mut found = Diagnostics::default();
    let packs = pack::load(&[], &mut found);
    assert!(found.findings.is_empty(), "{found}");
    packs
}

/// Runbooks that the classifier names by itself stand in its source as whole texts.
fn named_in_the_classifier() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/core/src/diagnosis");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the classifier").flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let quoted = text.split('"').filter(|part| {
            ["RB-", "rb-mon-", "cs-4."].iter().any(|prefix| part.starts_with(prefix) && part.len() > prefix.len())
        });
        names.extend(quoted.map(str::to_owned));
    }
    names
}

#[test]
fn every_runbook_that_the_classifier_names_by_itself_is_in_a_pack() {
    let packs = packs();
    let known: BTreeSet<&str> =
        packs.iter().flat_map(|pack| &pack.platform.runbooks).map(|runbook| &*runbook.id).collect();
    let has = |key: &str| packs.iter().any(|pack| &*pack.platform.key == key && !pack.platform.cells.is_empty());
    // Names of a platform count only once its pack is there; without it nobody can configure such a cloud.
    let waits = |name: &str| {
        (name.starts_with("cs-") && !has("cloudstack"))
            || (name.starts_with("RB-OS-") && !has("openstack"))
            || (name.starts_with("RB-CEPH") && !has("ceph"))
            || (name.starts_with("RB-PVE-") && !has("proxmox"))
    };
    let names = named_in_the_classifier();
    assert!(names.len() > 30, "{names:?}");
    let lost: Vec<&String> = names.iter().filter(|name| !known.contains(name.as_str()) && !waits(name)).collect();
    assert!(lost.is_empty(), "no pack has {lost:?}");
}

/// What a component or its host looks like when it fails, in many ways.
const FAILURES: [&str; 13] = [
    "h ping=ok; h/c port=refused; h/c process=absent",
    "h ping=ok; h/c port=open; h/c heartbeat=none",
    "h ping=ok; h/c port=timeout; h/c process=running",
    "h ping=ok; h/c port=open; h/c probe=fail; h/c resource={\"kind\": \"disk\", \"level\": \"crit\"}",
    "h ping=ok; h/c port=open; h/c probe=ok; h/c resource={\"kind\": \"disk\", \"level\": \"warn\"}",
    "h ping=ok; h/c port=open; h/c service_state=NOTREADY",
    "h ping=ok; h/c port=open; h/c service_state=BROKEN",
    "h ping=ok; h/c port=open; h/c process=absent; h/c probe=ok",
    "h ping=ok; h/c fault=1011; h/c process=absent",
    "h ping=ok; h uptime_s=60; h/c port=refused; h/c process=absent",
    "h ping=fail; h ssh=timeout; h power=off",
    "h ping=fail; h ssh=timeout; h power=on; h link={\"s\": \"down\"}",
    "h maintenance=true; h ping=fail",
];

#[test]
fn every_verdict_about_every_component_names_a_runbook_that_some_pack_has() {
    let packs = packs();
    let known: BTreeSet<&str> =
        packs.iter().flat_map(|pack| &pack.platform.runbooks).map(|runbook| &*runbook.id).collect();
    let mut lost = Vec::new();
    for pack in packs.iter().filter(|pack| !pack.platform.components.is_empty()) {
        for component in &pack.platform.components {
            let topology = Topology {
                platform: pack.platform.key.to_string(),
                hosts: [("h".into(), vec![component.key.clone()])].into(),
                knowledge: pack.knowledge.clone(),
                ..Topology::default()
            };
            for seen in FAILURES {
                let answer = ask(&topology, &seen.replace("h/c", &format!("h/{}", component.key)));
                assert!(!answer.verdicts.is_empty(), "{} {seen}", component.key);
                let names = answer.verdicts.iter().map(|verdict| verdict.runbook.to_string());
                lost.extend(names.filter(|name| name != "none" && !known.contains(name.as_str())));
            }
        }
    }
    assert!(lost.is_empty(), "no pack has {lost:?}");
}

/// `code: message | help` of every finding about a pack.
fn of_pack(text: &str) -> Vec<String> {
    let mut found = Diagnostics::default();
    pack::read_pack(vec![("shop.toml".into(), text.into())], &mut found);
    found.findings.iter().map(|finding| format!("{}: {} | {}", finding.code, finding.message, finding.help)).collect()
}

#[test]
fn a_pack_whose_components_need_each_other_is_refused() {
    let pack = |edges: &[(&str, &str)]| {
        let of = |(key, needs): &(&str, &str)| format!("[[component]]\nkey = \"{key}\"\ndepends_on = [{needs}]\n");
        format!("[pack]\nplatform = \"shop\"\nschema = 1\n{}", edges.iter().map(of).collect::<String>())
    };
    let two = of_pack(&pack(&[("a", "\"b\""), ("b", "\"a\""), ("c", "\"a\"")]));
    assert_eq!(two.len(), 1, "{two:?}");
    assert!(two[0].contains("circular-dependency") && two[0].contains("a -> b -> a"), "{two:?}");
    assert!(two[0].contains("leave one `depends_on`"), "{two:?}");
    let own = of_pack(&pack(&[("a", "\"a\"")]));
    assert!(own[0].contains("a -> a"), "{own:?}");
    let long = of_pack(&pack(&[("a", "\"b\", \"d\""), ("b", "\"c\""), ("c", "\"a\""), ("d", "")]));
    assert!(long.len() == 1 && long[0].contains("a -> b -> c -> a"), "{long:?}");
    assert!(of_pack(&pack(&[("a", "\"b\", \"c\""), ("b", "\"c\""), ("c", "")])).is_empty());
    let unknown =
        of_pack("[pack]\nplatform = \"shop\"\nschema = 1\nprecedence = [\"tile\"]\n[[component]]\nkey = \"till\"\n");
    assert!(unknown.len() == 1 && unknown[0].contains("unknown-component") && unknown[0].contains("did you mean"));
}

#[test]
fn a_topology_that_names_what_does_not_exist_is_told_with_a_remedy() {
    const CLOUD: &str = "[[cloud]]\nname = \"e\"\nplatform = \"eucalyptus\"\n[[zone]]\nname = \"one\"\ncloud = \"e\"\n";
    const HOST: &str = "[[host]]\nname = \"nc1\"\nzone = \"one\"\ncomponents = [\"eucalyptus/nc\"]\n";
    for (text, code, word) in [
        (
            "[[switch]]\nname = \"sw1\"\n[[host]]\nname = \"h\"\nswitch_ports = [\"sw2/1\"]",
            "unknown-name",
            "did you mean `sw1`?",
        ),
        ("[[feed]]\nname = \"A\"\n[[host]]\nname = \"h\"\npsu_feeds = [\"B\"]", "unknown-name", ""),
        ("[[feed]]\nname = \"A\"\nsource = \"nc2\"", "unknown-host", "did you mean `nc1`?"),
        ("[[feed]]\nname = \"A\"\nsource = \"battery\"", "unknown-host", "check `ups`"),
        ("[[backend]]\nname = \"san\"\nused_by = [\"ncc\"]", "unknown-component", "did you mean"),
        ("[[backend]]\nname = \"san\"\ncloud = \"f\"\nused_by = [\"nc\"]", "unknown-cloud", ""),
        ("[[drbd]]\nname = \"r0\"\nhosts = [\"nc1\", \"nc9\"]", "unknown-host", "did you mean `nc1`?"),
        ("[[drbd]]\nname = \"r0\"\nhosts = [\"nc1\"]", "bad-pair", ""),
        ("[[host]]\nname = \"vm\"\ncloud = \"e\"\nvm_on = \"nc7\"", "unknown-host", "did you mean `nc1`?"),
    ] {
        let found = match load_text(&format!("{CLOUD}{HOST}{text}\n"), Path::new("test.toml")) {
            Ok(loaded) => loaded.warnings,
            Err(found) => found,
        };
        let told = found.findings.iter().any(|finding| finding.code == code && finding.help.contains(word));
        assert!(told, "{text}\n{found}");
    }
}
