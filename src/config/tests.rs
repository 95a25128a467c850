//! The configuration as a whole: what it makes, and that every mistake is told at once with its place.
