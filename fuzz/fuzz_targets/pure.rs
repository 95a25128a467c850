//! libFuzzer over one of `targets/pure.rs`: the one that the variable TARGET names.
#![no_main]

#[path = "../targets/pure.rs"]
mod targets;

use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static ENTRY: OnceLock<fn(&[u8])> = OnceLock::new();
    let entry = ENTRY.get_or_init(|| {
        let wanted = std::env::var("TARGET").unwrap_or_default();
        let found = targets::TARGETS.iter().find(|(name, _)| *name == wanted);
        let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
        found.unwrap_or_else(|| panic!("set TARGET to one of {}", names.join(", "))).1
    });
    entry(data);
});
