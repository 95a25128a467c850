//! Every failure of every platform that Stentor brings has behaviour, restoration, verification and source; and a pack
//! that leaves something open is told so.

use std::path::Path;

use stentor_core::catalog::PowerAction;
use stentor_core::model::{Observation, Value};

use super::super::{load_text, pack};
use super::*;

/// The built-in packs.
fn built_in() -> Vec<Pack> {
    let mut found = Diagnostics::default();
    let packs = pack::load(&[], &mut found);
    assert!(found.errors() == 0, "{found}");
    packs
}

#[test]
fn every_cell_of_every_platform_has_behaviour_restoration_verification_and_source() {
    let holes: Vec<String> = holes(&built_in()).iter().map(|hole| format!("{}: {}", hole.at, hole.missing)).collect();
    assert!(holes.is_empty(), "{} holes\n{}", holes.len(), holes.join("\n"));
}

#[test]
fn an_administrators_pack_is_told_each_of_its_holes() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::create_dir(folder.path().join("shop")).expect("folder");
    let text = include_str!("../../tests/fixtures/packs/open_shop.toml");
    std::fs::write(folder.path().join("shop/shop.toml"), text).expect("file");
    let config = format!("[packs]\ndirs = [{:?}]\n", folder.path().display().to_string());
    let mut loaded = load_text(&config, Path::new("stentor.toml")).unwrap_or_else(|found| panic!("{found}"));
    warn(&loaded.packs, &mut loaded.warnings);
    let shop = loaded.warnings.findings.iter().filter(|finding| finding.message.contains("shop"));
    let told: Vec<String> = shop
        .map(|finding| {
            format!("{}@{} {}", finding.code, loaded.warnings.line_column(&finding.place).0, finding.message)
        })
        .collect();
    assert_eq!(
        told,
        [
            "hole@6 component shop/till: no cell for the failure type `server`",
            "hole@6 component shop/till: no cell for the failure type `resource`",
            "hole@11 cell shop/till/software: `still_works` is empty",
            "hole@11 cell shop/till/software: `data_risk` is empty",
            "hole@11 cell shop/till/software: `sources` is empty",
            "hole@23 runbook shop/rb-till: no step of kind `confirm`",
            "hole@23 runbook shop/rb-till: a `fix` comes before anything is looked at",
            "hole@23 runbook shop/rb-till: there is no check `till/prot`",
            "hole@32 runbook shop/rb-spare: no cell names it, and it is no `procedure`",
        ]
    );
}

/// The runbooks of one platform.
fn runbooks(platform: &str) -> Vec<Runbook> {
    let packs = built_in();
    let pack = packs.iter().find(|pack| *pack.platform.key == *platform).expect("built in");
    pack.platform.runbooks.clone()
}

#[test]
fn each_runbook_of_eucalyptus_waits_for_its_component_and_is_verified() {
    for runbook in runbooks("eucalyptus") {
        let waits = runbook.steps.iter().any(|step| matches!(step.action, Action::WaitFor { .. }));
        assert!(waits || runbook.procedure, "{} waits for nothing", runbook.id);
        assert!(!runbook.verification.is_empty(), "{} has no verification", runbook.id);
    }
}

#[test]
fn nothing_is_switched_while_the_bmc_is_dark() {
    let dark = Observation::observed("dark").fact("bmc", "unreachable").fact("power", "unknown").fact("ping", "fail");
    let mut switched = 0;
    for runbook in ["eucalyptus", "hardware"].into_iter().flat_map(runbooks) {
        for step in runbook.steps.iter().filter(|step| matches!(step.action, Action::Power { .. })) {
            switched += 1;
            assert!(step.needs.iter().any(|need| need.holds(&dark) != Ok(true)), "{}: {}", runbook.id, step.text);
        }
    }
    assert!(switched >= 17, "only {switched} steps switch power");
}

#[test]
fn a_host_that_answers_is_not_power_cycled() {
    let alive = Observation::observed("alive").fact("bmc", "ok").fact("power", "on").fact("ping", "ok");
    for runbook in ["eucalyptus", "hardware"].into_iter().flat_map(runbooks) {
        for step in &runbook.steps {
            if let Action::Power { power: PowerAction::Cycle | PowerAction::On } = step.action {
                assert!(step.needs.iter().any(|need| need.holds(&alive) != Ok(true)), "{}: {}", runbook.id, step.text);
            }
        }
    }
}

#[test]
fn walrus_does_not_start_on_half_a_pair() {
    let procedure =
        runbooks("eucalyptus").into_iter().find(|runbook| &*runbook.id == "rb-euca-ha-drbd").expect("shipped");
    let gated: Vec<&stentor_core::catalog::Step> =
        procedure.steps.iter().filter(|step| !step.needs.is_empty()).collect();
    let half = Observation::observed("syncing").fact("drbd", ds("UpToDate/Inconsistent"));
    let whole = Observation::observed("whole").fact("drbd", ds("UpToDate/UpToDate"));
    assert_eq!(gated.len(), 2);
    for step in gated {
        let holds = |live: &Observation| step.needs.iter().all(|need| need.holds(live) == Ok(true));
        assert_eq!((holds(&half), holds(&whole)), (false, true), "{}", step.text);
    }
}

fn ds(words: &str) -> Value {
    [("ds".to_owned(), Value::from(words))].into_iter().collect()
}
