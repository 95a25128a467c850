//! Redfish and Swordfish: what management controllers (BMC) say of a server or a storage array as JSON, read tolerantly.
//!
//! Every member may be missing, null or of another type than the schema has it: then it is not known, never good.
//! What single vendors do their own way is in [`quirks`] and nowhere else.

pub mod event;
pub mod log;
pub mod node;
pub mod power;
pub mod quirks;
pub mod service;
pub mod status;
pub mod storage;
pub mod system;
pub mod thermal;

pub use node::{Node, members, next_page, path_of};
pub use quirks::Vendor;
pub use status::{Health, State, Status};

use serde_json::Value;

/// Where every service begins (DSP0266, protocol version 1).
pub const ROOT: &str = "/redfish/v1/";

/// What came is no resource.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is empty")]
    Empty,
    #[error("it is no JSON: {0}")]
    Json(String),
    #[error("it is JSON, but no object")]
    NoObject,
}

/// Reads a body as a resource.
///
/// # Errors
/// It is none.
pub fn parse(body: &[u8]) -> Result<Value, Unreadable> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(Unreadable::Empty);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(Unreadable::NoObject),
        Err(error) => Err(Unreadable::Json(error.to_string())),
    }
}

/// The text of an error answer (DSP0266, section "Error responses"): the most telling message, if there is one.
pub fn error_text(body: &[u8]) -> Option<String> {
    let value = parse(body).ok()?;
    let error = Node::of(&value).get("error");
    let info = error.get("@Message.ExtendedInfo").items();
    let told = info.iter().find_map(|one| one.get("Message").text().or_else(|| one.get("MessageId").text()));
    told.or_else(|| error.get("message").text()).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests;
