//! The simulated cloud: things that really listen, for `stentor demo` and for end-to-end tests.

pub mod bmc;
pub mod bmc_model;
