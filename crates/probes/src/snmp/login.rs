//! How to log in to an agent: parameters that all SNMP probes share, and the secrets that their files hold.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use tokio::time::timeout_at;

use crate::{BuildError, Deadline, Network, ProbeError, Target};

use super::client::Agent;

/// SNMP's port (RFC 3417 §3).
const PORT: u16 = 161;
const RETRIES: u32 = 2;
const RETRIES_MAX: u32 = 10;
/// Rows in one answer to a walk: 25 of the longest usual ones fit a datagram of 1,472 bytes.
const ROWS: u32 = 25;
const ROWS_MAX: u32 = 200;
/// Longest secret that is read.
const SECRET_FILE_BYTES_MAX: usize = 1024;
/// RFC 3414 §11.2: shorter passwords must be refused.
const PASSWORD_BYTES_MIN: usize = 8;
/// What agents ask for out of the box; it is no secret.
const COMMUNITY: &str = "public";

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum AuthProtocol {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum PrivProtocol {
    Aes128,
    Aes192,
    Aes256,
    /// Keys extended as in draft-reeder-snmpv3-usm-3desede: what Cisco and others do for the longer keys.
    #[serde(rename = "aes192-cisco")]
    Aes192Cisco,
    #[serde(rename = "aes256-cisco")]
    Aes256Cisco,
}

/// A login with its secrets.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum Login {
    V1(Vec<u8>),
    V2c(Vec<u8>),
    User(Box<User>),
}

/// A user of SNMPv3.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct User {
    pub name: String,
    pub context: String,
    pub auth: Option<(AuthProtocol, Vec<u8>)>,
    pub privacy: Option<(PrivProtocol, Vec<u8>)>,
}

impl fmt::Debug for Login {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Login::V1(_) => f.write_str("v1"),
            Login::V2c(_) => f.write_str("v2c"),
            Login::User(user) => write!(f, "v3 user {}", user.name),
        }
    }
}

/// Parameters of every SNMP probe.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Another address than the host's.
    address: Option<Arc<str>>,
    port: Option<u16>,
    /// `1`, `2c` or `3`; without it 3 where a user is named, else 2c.
    version: Option<String>,
    community_file: Option<String>,
    user: Option<String>,
    context: Option<String>,
    auth: Option<AuthProtocol>,
    auth_password_file: Option<String>,
    #[serde(rename = "priv")]
    privacy: Option<PrivProtocol>,
    priv_password_file: Option<String>,
    retries: Option<u32>,
    rows: Option<u32>,
    any_source: bool,
}

/// Names of [`Access`]'s parameters.
const KEYS: [&str; 13] = [
    "address",
    "port",
    "version",
    "community_file",
    "user",
    "context",
    "auth",
    "auth_password_file",
    "priv",
    "priv_password_file",
    "retries",
    "rows",
    "any_source",
];

/// A probe's own parameters beside those of the login, in one table. Serde's `flatten` would let unknown keys through.
#[derive(Debug)]
pub struct With<Own> {
    pub access: Access,
    pub own: Own,
}

impl<'de, Own: DeserializeOwned> Deserialize<'de> for With<Own> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = serde_json::Map::deserialize(deserializer)?;
        let (access, own): (serde_json::Map<_, _>, _) = all.into_iter().partition(|(key, _)| KEYS.contains(&&**key));
        Ok(With {
            access: serde_json::from_value(serde_json::Value::Object(access)).map_err(D::Error::custom)?,
            own: serde_json::from_value(serde_json::Value::Object(own)).map_err(D::Error::custom)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    V1,
    V2c,
    V3,
}

impl Access {
    /// # Errors
    /// The parameters contradict each other.
    pub fn check(&self, kind: &str) -> Result<(), BuildError> {
        let refuse = |why: &str| Err(BuildError { message: format!("probe `{kind}`: {why}") });
        let Some(version) = self.version() else { return refuse("`version` is one of \"1\", \"2c\" and \"3\"") };
        if self.port == Some(0) {
            return refuse("there is no port 0");
        }
        if self.retries.is_some_and(|retries| retries > RETRIES_MAX) {
            return refuse("`retries` is at most 10");
        }
        if self.rows.is_some_and(|rows| !(1..=ROWS_MAX).contains(&rows)) {
            return refuse("`rows` lies between 1 and 200");
        }
        let is_named = self.user.as_ref().is_some_and(|user| !user.is_empty() && user.len() <= 32);
        match version {
            Version::V3 if self.community_file.is_some() => refuse("SNMPv3 has users, not communities"),
            Version::V3 if !is_named => refuse("SNMPv3 needs a `user` of 1 to 32 bytes"),
            Version::V3 if self.auth.is_some() != self.auth_password_file.is_some() => {
                refuse("`auth` and `auth_password_file` belong together")
            }
            Version::V3 if self.privacy.is_some() != self.priv_password_file.is_some() => {
                refuse("`priv` and `priv_password_file` belong together")
            }
            Version::V3 if self.privacy.is_some() && self.auth.is_none() => {
                refuse("SNMPv3 has no privacy without authentication: name `auth` too")
            }
            Version::V3 => Ok(()),
            Version::V1 | Version::V2c if self.user.is_some() || self.auth.is_some() || self.privacy.is_some() => {
                refuse("users, `auth` and `priv` are SNMPv3's")
            }
            Version::V1 | Version::V2c => Ok(()),
        }
    }

    fn version(&self) -> Option<Version> {
        match self.version.as_deref() {
            None if self.user.is_some() => Some(Version::V3),
            None | Some("2c" | "2") => Some(Version::V2c),
            Some("1") => Some(Version::V1),
            Some("3") => Some(Version::V3),
            Some(_) => None,
        }
    }

    /// The agent of a host. Secrets are read at each run, so that a changed one needs no restart.
    ///
    /// # Errors
    /// The name does not resolve, or a secret cannot be read.
    pub async fn agent(&self, net: &Network, target: &Target, deadline: Deadline) -> Result<Agent, ProbeError> {
        let address = self.address.as_ref().unwrap_or(&target.address);
        let resolved = net.resolve(address, self.port.unwrap_or(PORT), deadline).await;
        let addr = resolved.map_err(|error| match error.kind() {
            std::io::ErrorKind::TimedOut => {
                ProbeError::Timeout(format!("the name `{address}` did not resolve in time"))
            }
            _ => ProbeError::Failed(format!("cannot resolve `{address}`: {error}")),
        })?;
        Ok(Agent {
            addr,
            login: self.login(deadline).await?,
            retries: self.retries.unwrap_or(RETRIES),
            rows: self.rows.unwrap_or(ROWS),
            any_source: self.any_source,
        })
    }

    async fn login(&self, deadline: Deadline) -> Result<Login, ProbeError> {
        let community = match &self.community_file {
            Some(path) => read_secret(path, deadline).await?,
            None => COMMUNITY.as_bytes().to_vec(),
        };
        Ok(match self.version() {
            Some(Version::V1) => Login::V1(community),
            Some(Version::V2c) => Login::V2c(community),
            Some(Version::V3) | None => Login::User(Box::new(User {
                name: self.user.clone().unwrap_or_default(),
                context: self.context.clone().unwrap_or_default(),
                auth: password(self.auth, self.auth_password_file.as_deref(), deadline).await?,
                privacy: password(self.privacy, self.priv_password_file.as_deref(), deadline).await?,
            })),
        })
    }
}

async fn password<P>(
    protocol: Option<P>,
    file: Option<&str>,
    deadline: Deadline,
) -> Result<Option<(P, Vec<u8>)>, ProbeError> {
    let (Some(protocol), Some(file)) = (protocol, file) else { return Ok(None) };
    let secret = read_secret(file, deadline).await?;
    if secret.len() < PASSWORD_BYTES_MIN {
        return Err(ProbeError::Failed(format!(
            "the password in `{file}` is shorter than the {PASSWORD_BYTES_MIN} bytes that SNMPv3 asks for"
        )));
    }
    Ok(Some((protocol, secret)))
}

/// The first line of a secret's file.
async fn read_secret(path: &str, deadline: Deadline) -> Result<Vec<u8>, ProbeError> {
    let content = match timeout_at(deadline, tokio::fs::read(path)).await {
        Ok(Ok(content)) => content,
        Ok(Err(error)) => return Err(ProbeError::Failed(format!("cannot read secret file `{path}`: {error}"))),
        Err(_) => return Err(ProbeError::Timeout(format!("reading secret file `{path}`"))),
    };
    if content.len() > SECRET_FILE_BYTES_MAX {
        return Err(ProbeError::Failed(format!("secret file `{path}` is too long for a password")));
    }
    Ok(content.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        #[allow(dead_code, reason = "read by serde")]
        own: u32,
    }

    fn check(json: &str) -> Result<(), String> {
        let read: With<Own> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        read.access.check("x").map_err(|error| error.message)
    }

    #[test]
    fn logins_that_make_sense_are_taken_and_no_others() {
        for (json, is_taken) in [
            (r#"{"own":1}"#, true),
            (r#"{"own":1,"version":"1","community_file":"c"}"#, true),
            (r#"{"own":1,"user":"mon"}"#, true),
            (r#"{"own":1,"user":"mon","auth":"sha256","auth_password_file":"a"}"#, true),
            (
                r#"{"own":1,"user":"mon","auth":"sha512","auth_password_file":"a","priv":"aes256-cisco","priv_password_file":"p"}"#,
                true,
            ),
            (r#"{"own":1,"user":"mon","auth":"sha256"}"#, false),
            (r#"{"own":1,"user":"mon","auth":"md5","auth_password_file":"a"}"#, false),
            (r#"{"own":1,"user":"mon","priv":"aes128","priv_password_file":"p"}"#, false),
            (
                r#"{"own":1,"user":"mon","auth":"sha1","auth_password_file":"a","priv":"des","priv_password_file":"p"}"#,
                false,
            ),
            (r#"{"own":1,"version":"3"}"#, false),
            (r#"{"own":1,"version":"2c","user":"mon"}"#, false),
            (r#"{"own":1,"version":"4"}"#, false),
            (r#"{"own":1,"port":0}"#, false),
            (r#"{"own":1,"retries":11}"#, false),
            (r#"{"own":1,"rows":0}"#, false),
            (r#"{"own":1,"community":"public"}"#, false),
            (r#"{"own":1,"other":1}"#, false),
            (r#"{}"#, false),
        ] {
            assert_eq!(check(json).is_ok(), is_taken, "{json}: {:?}", check(json));
        }
    }

    #[test]
    fn every_parameter_of_the_login_is_told_from_a_probes_own() {
        let Err(error) = serde_json::from_str::<Access>(r#"{"no_such":1}"#) else { panic!("taken") };
        let listed = error.to_string();
        assert!(KEYS.iter().all(|key| listed.contains(&format!("`{key}`"))), "{listed}");
        assert_eq!(listed.matches('`').count() / 2, KEYS.len() + 1, "{listed}");
    }

    #[test]
    fn no_secret_is_printed() {
        let user = User {
            name: "mon".into(),
            context: String::new(),
            auth: Some((AuthProtocol::Sha1, b"hush".to_vec())),
            privacy: None,
        };
        for login in [Login::V1(b"hush".to_vec()), Login::V2c(b"hush".to_vec()), Login::User(Box::new(user))] {
            assert!(!format!("{login:?}").contains("104") && !format!("{login:?}").contains("hush"), "{login:?}");
        }
    }
}
