//! CloudStack: signed calls of its API and what it answers; its `db.properties`; who a server's sockets talk to.

pub mod alert;
pub mod answer;
pub mod inventory;
pub mod properties;
pub mod sockets;

pub use alert::Alert;
pub use answer::{Answer, Refusal, read};
pub use inventory::{Host, ImageStore, ManagementServer, Pool, SystemVm, Vm};
pub use properties::Database;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Keys of an account; its secret is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub api_key: String,
    pub secret_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys([redacted])")
    }
}

/// The query of a call: `command=listHosts&response=json…`, signed if there are keys (Programmer Guide, "Signing API Requests").
pub fn query(command: &str, params: &[(&str, &str)], keys: Option<&Keys>) -> String {
    let mut all: Vec<(&str, &str)> = vec![("command", command), ("response", "json")];
    all.extend(params);
    if let Some(keys) = keys {
        all.push(("apiKey", &keys.api_key));
    }
    let written: Vec<String> = all.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let query = written.join("&");
    match keys {
        Some(keys) => format!("{query}&signature={}", encode(&signature(&all, &keys.secret_key))),
        None => query,
    }
}

/// HMAC-SHA1 over the fields, in lower case and in the order of their names.
fn signature(params: &[(&str, &str)], secret: &str) -> String {
    let mut fields: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_lowercase(), encode(value).to_lowercase())).collect();
    fields.sort();
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(fields.join("&").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// As Java's `URLEncoder` writes values, which the server does again to check the signature; blanks as `%20`.
pub fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b".-*_".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and signature of the Programmer Guide's session with Python.
    fn keys() -> Keys {
        Keys {
            api_key: "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg".into(),
            secret_key: "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ".into(),
        }
    }

    #[test]
    fn the_signature_is_that_of_the_programmer_guide() {
        let query = query("listUsers", &[], Some(&keys()));
        assert!(query.starts_with("command=listUsers&response=json&apiKey=plgWJfZK4gy"), "{query}");
        assert!(query.ends_with("&signature=TTpdDq%2F7j%2FJ58XCRHomKoQXEQds%3D"), "{query}");
    }

    #[test]
    fn the_order_of_parameters_does_not_matter_to_the_signature() {
        let of = |params: &[(&str, &str)]| {
            query("listHosts", params, Some(&keys())).rsplit_once('=').map(|(_, signature)| signature.to_owned())
        };
        assert_eq!(of(&[("page", "1"), ("name", "a b")]), of(&[("name", "a b"), ("page", "1")]));
        assert_ne!(of(&[("page", "1")]), of(&[("page", "2")]));
    }

    #[test]
    fn without_keys_nothing_is_signed_and_values_are_escaped() {
        assert_eq!(
            query("listConfigurations", &[("name", "a b~ü/*")], None),
            "command=listConfigurations&response=json&name=a%20b%7E%C3%BC%2F*"
        );
    }

    #[test]
    fn keys_are_never_printed() {
        assert_eq!(format!("{:?}", keys()), "Keys([redacted])");
    }
}
