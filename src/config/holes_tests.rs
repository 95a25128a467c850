//! Every failure of every platform that Stentor brings has behaviour, restoration, verification and source; and a pack
//! that leaves something open is told so.

use std::path::Path;

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
