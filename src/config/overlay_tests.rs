//! An administrator corrects single keys of a built-in pack without copying it.

use std::path::Path;

use stentor_core::catalog::{Platform, StepKind};

use super::super::{Loaded, load_text};
use super::*;

/// The configuration with one file `eucalyptus/ours.toml` beside the built-in pack.
fn with(ours: &str) -> Result<Loaded, Diagnostics> {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::create_dir(folder.path().join("eucalyptus")).expect("folder");
    std::fs::write(folder.path().join("eucalyptus/ours.toml"), ours).expect("file");
    let config = format!("[packs]\ndirs = [{:?}]\n", folder.path().display().to_string());
    load_text(&config, Path::new("stentor.toml"))
}

fn eucalyptus(ours: &str) -> Platform {
    let loaded = with(ours).unwrap_or_else(|found| panic!("{found}"));
    let pack = loaded.packs.iter().find(|pack| &*pack.platform.key == "eucalyptus").expect("built in");
    (*pack.platform).clone()
}

#[test]
fn single_keys_are_replaced_and_the_rest_stays() {
    let before = eucalyptus("");
    let after = eucalyptus(
        r#"
[[cell]]
overlay = true
component = "clc"
type = "software"
expected_time = "3 min, measured"
escalate = "Call the cloud team, 4711."
[[component]]
overlay = true
key = "clc"
name = "Head node"
"#,
    );
    let cell = |platform: &Platform| {
        platform.cells.iter().find(|cell| cell.key.to_string() == "eucalyptus/clc/software").expect("there").clone()
    };
    let (old, new) = (cell(&before), cell(&after));
    assert_eq!((new.expected_time.as_str(), new.escalate.as_str()), ("3 min, measured", "Call the cloud team, 4711."));
    assert_eq!((new.behaviour, new.runbook, new.sources), (old.behaviour, old.runbook, old.sources));
    assert_eq!(after.components.iter().find(|c| &*c.key == "clc").map(|c| &*c.name), Some("Head node"));
    assert_eq!((after.cells.len(), after.runbooks.len()), (before.cells.len(), before.runbooks.len()));
}

#[test]
fn steps_are_added_where_they_say() {
    let before = eucalyptus("");
    let after = eucalyptus(
        r#"
[[runbook]]
overlay = true
id = "rb-euca-clc-software"
add_steps = [
  { kind = "contain", text = "Tell the service desk.", before = 1 },
  { kind = "contain", text = "And the customers.", before = 1 },
  { kind = "verify", text = "Look at the load balancer.", before = 3 },
  { kind = "escalate", text = "Then the vendor." },
]
"#,
    );
    let steps = |platform: &Platform| {
        platform.runbooks.iter().find(|r| &*r.id == "rb-euca-clc-software").expect("there").steps.clone()
    };
    let (old, new) = (steps(&before), steps(&after));
    let texts: Vec<&str> = new.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(
        (texts[0], texts[1], texts[4]),
        ("Tell the service desk.", "And the customers.", "Look at the load balancer.")
    );
    assert_eq!((texts[2], texts[5]), (old[0].text.as_str(), old[2].text.as_str()));
    assert_eq!((new.len(), new.last().map(|step| step.kind)), (old.len() + 4, Some(StepKind::Escalate)));
}

#[test]
fn a_check_takes_other_numbers() {
    let ours = "[[check]]\noverlay = true\ncomponent = \"clc\"\nname = \"port\"\nattempts = 7\n";
    let loaded = with(ours).unwrap_or_else(|found| panic!("{found}"));
    let templates = loaded.packs.iter().flat_map(|pack| &pack.checks);
    let check = templates.map(|template| &template.check).find(|check| &*check.name == "eucalyptus/clc/port");
    assert_eq!(check.map(|check| (check.attempts, check.rules.len())), Some((7, 1)));
}

#[test]
fn what_is_not_there_cannot_be_laid_over() {
    for (ours, code) in [
        ("[[cell]]\noverlay = true\ncomponent = \"clc\"\ntype = \"sofware\"\nimpact = \"x\"\n", "unknown-overlay"),
        ("[[runbook]]\noverlay = true\nid = \"rb-euca-clc\"\ntitle = \"x\"\n", "unknown-overlay"),
        ("[[runbook]]\noverlay = 1\nid = \"rb-euca-clc-software\"\ntitle = \"x\"\n", "wrong-type"),
        ("[[cell]]\noverlay = true\ncomponent = \"clc\"\ntype = \"software\"\nimpcat = \"x\"\n", "unknown-key"),
        (
            "[[cell]]\noverlay = true\ncomponent = \"clc\"\ntype = \"software\"\nrunbook = \"rb-none\"\n",
            "unknown-runbook",
        ),
        (
            "[[runbook]]\noverlay = true\nid = \"rb-euca-clc-software\"\nadd_steps = [{ kind = \"fix\", text = \"x\", before = 99 }]\n",
            "out-of-range",
        ),
    ] {
        let found = with(ours).expect_err("refused");
        let codes: Vec<&str> = found.findings.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(&code), "{ours}{codes:?}");
    }
}
