//! What can be seen in the source is held here: who uses whom, sizes, forbidden names, dependencies, pages that must exist.

pub mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use source::{RUST_FOLDERS, Source, files, item_end, name_of, root, sources};

/// ARCHITECTURE.md, section 3: which modules of `src/` a module may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("agent", &["clock", "config", "probes", "runbook"]),
    (
        "app",
        &[
            "clock",
            "collector",
            "config",
            "drills",
            "engine",
            "journal",
            "memory",
            "nagios",
            "notifiers",
            "notify",
            "probes",
            "runbook",
            "store",
            "telemetry",
            "traps",
            "web",
        ],
    ),
    (
        "cli",
        &[
            "agent",
            "app",
            "clock",
            "collector",
            "config",
            "demo",
            "drills",
            "engine",
            "journal",
            "nagios",
            "notifiers",
            "notify",
            "probes",
            "replay",
            "scenario",
            "sql",
            "store",
            "telemetry",
            "web",
        ],
    ),
    ("clock", &[]),
    ("collector", &["clock", "engine", "probes"]),
    ("config", &["clock", "probes"]),
    ("demo", &["agent", "app", "clock", "config", "engine", "probes", "store", "telemetry", "web"]),
    ("drills", &[]),
    ("engine", &["clock", "journal", "memory", "store"]),
    ("journal", &["sql"]),
    ("lib", &[]),
    ("main", &["cli"]),
    ("memory", &[]),
    ("nagios", &["clock", "config", "engine", "journal", "notifiers", "probes", "store"]),
    ("notifiers", &[]),
    ("notify", &["clock", "engine", "notifiers", "store"]),
    ("probes", &["clock"]),
    ("replay", &["nagios", "probes"]),
    ("runbook", &["engine", "probes"]),
    ("scenario", &[]),
    ("sql", &[]),
    ("store", &["sql"]),
    ("telemetry", &["config"]),
    ("traps", &["clock", "config", "engine", "probes"]),
    ("web", &["clock", "drills", "engine", "nagios", "runbook", "scenario", "store", "traps"]),
];

const FILE_LINES_MAX: usize = 900;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that may be longer, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] =
    &[("src/notifiers/conformance.rs", "message", "one literal"), ("tests/it/metrics.rs", "snapshot", "one literal")];

/// What shipped code must not say, where it may all the same, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["crates/probes/src/clock.rs"], "only the clock reads wall time"),
    ("Timestamp::now", &[], "only the clock reads wall time"),
    ("Zoned::now", &[], "only the clock reads wall time"),
    (
        "Instant::now",
        &[
            "crates/probes/",
            "src/agent/",
            "src/app.rs",
            "src/cli/",
            "src/collector/",
            "src/demo/",
            "src/engine/",
            "src/journal/bench.rs",
            "src/notify/",
            "src/runbook/",
            "src/web/",
        ],
        "deadlines and durations are measured where I/O happens; elsewhere time is an argument",
    ),
    ("println!", &["src/cli/"], "the command line alone speaks to the terminal; all else is logged"),
    ("print!", &["src/cli/"], "as println!"),
    ("dbg!", &[], "as println!"),
    (".unwrap()", &[], "say with expect why it cannot fail, or handle it"),
    (".expect(\"\")", &[], "an expectation has a reason"),
    ("todo!", &[], "no stubs"),
    ("unimplemented!", &[], "no stubs"),
    ("unbounded_channel", &[], "every queue has a named limit"),
    ("mpsc::channel()", &[], "every queue has a named limit"),
    ("thread::sleep", &[], "wait for facts"),
    ("pre_exec", &[], "a fork of a large process stalls everything: only posix_spawn"),
    ("static mut", &[], "state has one owner"),
];

/// What the pure crates must not even name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::sync::Mutex",
    "std::io::stdin",
    "tokio",
    "getrandom",
    "thread_local!",
    "OnceLock",
    "LazyLock",
];

/// Fails with all findings at once.
fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// `word` where it is not the tail of a longer name.
fn mentions<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let begins = word.starts_with(is_name);
    let ends = word.ends_with(is_name);
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let goes_on =
            (begins && code[..*at].ends_with(is_name)) || (ends && code[at + word.len()..].starts_with(is_name));
        !goes_on
    })
}

/// `src/web/sse.rs` belongs to `web`, `src/app.rs` to `app`.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    Some(inside.split_once('/').map_or_else(|| inside.trim_end_matches(".rs"), |(module, _)| module))
}

/// Modules of the shell that code names: `crate::web`, `crate::{clock, store::Store}`.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for root in ["crate::", "stentor::"] {
        for at in mentions(code, root.trim_end_matches("::")) {
            let Some(path) = code[at..].strip_prefix(root) else { continue };
            let parts = match path.strip_prefix('{') {
                Some(list) => top_level_parts(&list[..item_end(path).saturating_sub(2)]),
                None => vec![path],
            };
            used.extend(parts.iter().map(|part| {
                let part = part.trim_start();
                part[..part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len())].to_owned()
            }));
        }
    }
    used
}

/// `a, b::{c, d}` has the parts `a` and `b::{c, d}`.
fn top_level_parts(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    list.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

#[test]
fn every_module_uses_only_the_layers_it_may() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut findings = Vec::new();
    for source in sources() {
        let Some(module) = module_of(&source.path) else { continue };
        let Some(allowed) = layers.get(module) else {
            findings.push(format!("{}: module `{module}` has no line in the layer table", source.path));
            continue;
        };
        for used in used_modules(&source.shipped()) {
            if layers.contains_key(used.as_str()) && used != module && !allowed.contains(&used.as_str()) {
                findings.push(format!("{}: `{module}` must not use `{used}`", source.path));
            }
        }
    }
    report(findings);
}

#[test]
fn uses_are_read_as_the_compiler_reads_them() {
    let used = used_modules("use crate::{clock::{self, Clock}, store};\nfn a() { crate::web::x(); mycrate::cli::y() }");
    assert_eq!(used, ["clock", "store", "web"].map(str::to_owned).into());
    assert_eq!(module_of("src/web/pages/mod.rs"), Some("web"));
    assert_eq!(module_of("src/app.rs"), Some("app"));
}

#[test]
fn the_layers_have_no_circle() {
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        LAYERS.iter().map(|(module, uses)| (*module, uses.iter().copied().collect())).collect();
    while let Some(free) = left.iter().find(|(_, uses)| uses.is_empty()).map(|(module, _)| *module) {
        left.remove(free);
        left.values_mut().for_each(|uses| {
            uses.remove(free);
        });
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn files_have_a_charter_a_meaning_and_a_size() {
    let mut findings = Vec::new();
    for Source { path, text, .. } in sources() {
        if !text.starts_with("//! ") {
            findings.push(format!("{path}: the first line is not a charter (`//! What it is for`)"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: split it by meaning"));
        }
        let stem = path.trim_end_matches(".rs").rsplit('/').next().unwrap_or_default();
        if ["util", "utils", "helper", "helpers", "common", "misc", "manager", "part2"].contains(&stem) {
            findings.push(format!("{path}: `{stem}` says nothing"));
        }
    }
    report(findings);
}

#[test]
fn functions_stay_short() {
    let mut findings = Vec::new();
    let mut excused: BTreeSet<String> = LONG_FUNCTIONS.iter().map(|(path, name, _)| format!("{path} {name}")).collect();
    for Source { path, code, .. } in sources() {
        for at in mentions(&code, "fn").filter(|at| code[at + 2..].starts_with(' ')) {
            let item = &code[at..];
            let name = item[3..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let lines = item[..item_end(item)].lines().count();
            if lines > FUNCTION_LINES_MAX && !excused.remove(&format!("{path} {name}")) {
                findings.push(format!("{path}:{}: `{name}` has {lines} lines", line_of(&code, at)));
            }
        }
    }
    findings.extend(excused.iter().map(|name| format!("{name} is short now, or gone: drop its excuse")));
    report(findings);
}

#[test]
fn shipped_code_avoids_what_was_forbidden() {
    let mut findings = Vec::new();
    for source in sources() {
        let code = source.shipped();
        for (word, places, why) in FORBIDDEN {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            findings.extend(
                mentions(&code, word).map(|at| format!("{}:{}: `{word}`: {why}", source.path, line_of(&code, at))),
            );
        }
    }
    report(findings);
}

/// Where an attribute says `ignore`.
fn ignored(code: &str) -> impl Iterator<Item = usize> {
    mentions(code, "ignore").filter(|at| {
        let line = code[..*at].rsplit('\n').next().unwrap_or_default();
        line.rfind("#[").is_some_and(|attribute| !line[attribute..].contains(']'))
    })
}

#[test]
fn no_test_is_ignored() {
    let count = |code: &str| ignored(code).count();
    assert_eq!(count("#[test] #[ignore = \"slow\"]\n#[cfg_attr(x, ignore)]\n#[ignore]\nfn a() {}"), 3);
    assert_eq!(count("#[test]\nfn ignore() {} #[x] let ignore = 1;"), 0);
    let mut findings = Vec::new();
    for Source { path, code, .. } in sources() {
        findings.extend(
            ignored(&code).map(|at| format!("{path}:{}: a test that is ignored holds nothing", line_of(&code, at))),
        );
    }
    report(findings);
}

#[test]
fn the_pure_crates_name_nothing_impure() {
    let mut findings = Vec::new();
    let pure = |path: &str| path.starts_with("crates/core/") || path.starts_with("crates/wire/");
    for source in sources().iter().filter(|source| pure(&source.path)) {
        let code = source.shipped();
        for word in IMPURE {
            findings
                .extend(mentions(&code, word).map(|at| format!("{}:{}: `{word}`", source.path, line_of(&code, at))));
        }
    }
    report(findings);
}

fn manifest(path: &str) -> toml::Table {
    fs::read_to_string(root().join(path)).unwrap().parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dependencies(manifest: &toml::Table, table: &str) -> BTreeSet<String> {
    manifest.get(table).and_then(toml::Value::as_table).into_iter().flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn the_pure_crates_depend_on_few() {
    for (path, allowed) in [
        ("crates/core/Cargo.toml", &["jiff", "serde", "thiserror"][..]),
        (
            "crates/wire/Cargo.toml",
            &[
                "aes",
                "base64",
                "cbc",
                "hmac",
                "ipmi-rs-core",
                "md5",
                "regex",
                "serde",
                "serde_json",
                "sha1",
                "sha2",
                "subtle",
                "thiserror",
            ],
        ),
    ] {
        let found = dependencies(&manifest(path), "dependencies");
        let extra: Vec<_> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(extra.is_empty(), "{path}: {extra:?}");
    }
}

#[test]
fn each_dependency_is_explained() {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let explained: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let mut wanted = BTreeSet::new();
    for path in ["Cargo.toml", "crates/core/Cargo.toml", "crates/probes/Cargo.toml", "crates/wire/Cargo.toml"] {
        let manifest = manifest(path);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            wanted.extend(dependencies(&manifest, table));
        }
    }
    wanted.retain(|name| !name.starts_with("stentor-"));
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let missing: Vec<_> = wanted.difference(&explained).collect();
    let gone: Vec<_> = explained.difference(&wanted).collect();
    assert!(missing.is_empty() && gone.is_empty(), "no line for {missing:?}; a line for nothing: {gone:?}");
}

#[test]
fn the_lock_file_holds_no_banned_package_and_no_strange_source() {
    let lock = manifest("Cargo.lock");
    let mut findings = Vec::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if ["openssl-sys", "aws-lc-sys", "aws-lc-rs", "native-tls"].contains(&name) {
            findings.push(format!("`{name}`: TLS is rustls with ring (`cargo tree -i {name}` says who asks)"));
        }
        let source = package.get("source").and_then(toml::Value::as_str);
        if source.is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index") {
            findings.push(format!("`{name}` does not come from crates.io: {}", source.unwrap_or_default()));
        }
    }
    report(findings);
}

#[test]
fn every_probe_stands_once_in_the_registry_and_has_its_page() {
    let mut kinds = BTreeSet::new();
    for entry in stentor::probes::REGISTRY {
        assert!(kinds.insert(entry.kind), "`{}` is registered twice", entry.kind);
        let page = root().join(format!("docs/probes/{}.md", entry.kind));
        let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert_eq!(page, entry.doc, "the probe's own documentation is its page");
        assert!(page.contains("stentor check"), "docs/probes/{}.md shows no `stentor check`", entry.kind);
    }
    let pages: BTreeSet<String> = files("docs/probes").iter().map(|path| name_of(path)).collect();
    let wanted: BTreeSet<String> = kinds.iter().map(|kind| format!("docs/probes/{kind}.md")).collect();
    assert_eq!(pages, wanted, "a page without a probe");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages: Vec<_> = files("docs");
    pages.extend(
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "STYLE.md", "CHANGELOG.md"].map(|name| root().join(name)),
    );
    let mut findings = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, found)| text.split_at(at + found.len())) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            if !page.parent().expect("a file is in a folder").join(link).exists() {
                findings.push(format!("{}: `{link}` is not there", name_of(page)));
            }
        }
    }
    report(findings);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // In two halves, so that this file passes.
    let words = [
        ["/wo", "rk/"],
        ["shared/", "spec"],
        ["shared/", "domain"],
        ["shared/", "design"],
        ["arti", "factory"],
        ["/root/.", "cargo"],
    ]
    .map(|halves| halves.concat());
    let folders = ["checks", "docs", "migrations", "scripts", ".ci"];
    let mut paths: Vec<_> = folders.iter().chain(RUST_FOLDERS).flat_map(|folder| files(folder)).collect();
    paths.extend(fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    let mut findings = Vec::new();
    for path in paths.iter().filter(|path| !path.ends_with(".git")) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        for (number, line) in text.lines().enumerate() {
            findings.extend(
                words
                    .iter()
                    .filter(|word| line.contains(word.as_str()))
                    .map(|word| format!("{}:{}: `{word}`", name_of(path), number + 1)),
            );
        }
    }
    report(findings);
}

#[test]
fn each_dependency_is_used() {
    let sources = sources();
    let mut findings = Vec::new();
    for (path, folders) in [
        ("Cargo.toml", &["src/", "tests/"][..]),
        ("crates/core/Cargo.toml", &["crates/core/"]),
        ("crates/probes/Cargo.toml", &["crates/probes/"]),
        ("crates/wire/Cargo.toml", &["crates/wire/"]),
    ] {
        let manifest = manifest(path);
        for name in ["dependencies", "dev-dependencies"].into_iter().flat_map(|table| dependencies(&manifest, table)) {
            let word = name.replace('-', "_");
            let mut own = sources.iter().filter(|source| folders.iter().any(|folder| source.path.starts_with(folder)));
            if !own.any(|source| mentions(&source.code, &word).next().is_some()) {
                findings.push(format!("{path}: nothing uses `{name}`"));
            }
        }
    }
    report(findings);
}
