//! One failure has one number: replaced, merged, split, opened again; and what stands between failed and well.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod incidents {
    pub mod bench;
    mod kin;
    mod pair;
    mod property;
    mod timeline;
}
