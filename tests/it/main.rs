//! The one integration-test binary: each extra one would link the world again.
mod metrics;
