//! Memory that is free and still ours.
//!
//! Reading a configuration of 100,000 services takes, for a moment, three times what stays. glibc keeps that for later,
//! and nothing later needs it.

#![allow(unsafe_code, reason = "malloc_trim has no safe name")]

/// Gives what is free back to the system. Takes some milliseconds for each 100 MB.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only looks at what the allocator itself holds as free.
    unsafe {
        libc::malloc_trim(0);
    }
}
