//! Runs under random requests.
