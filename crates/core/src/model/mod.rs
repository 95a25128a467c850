//! The nouns of the glossary as plain data; no behaviour beyond reading and printing themselves.

pub mod value;

pub use value::Value;
