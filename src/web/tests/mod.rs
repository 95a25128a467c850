//! The web layer against a small world: a fixed catalog, a store in memory, a writer that applies what it is told.

mod actions;
mod auth;
mod client;
mod drills;
mod hostile;
mod lists;
mod openapi;
mod runs;
mod scene;
mod world;
