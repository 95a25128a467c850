//! What the administrator's tools and fault logs of Eucalyptus say, read on the machine of the controller.

pub mod faults;
pub mod properties;
pub mod services;
