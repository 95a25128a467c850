//! `[traps]`: where SNMP traps come in; `[[trap]]`: what a trap means. Rules stand in packs too, those of the main
//! configuration come first.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stentor_core::Span;
use stentor_core::catalog::Catalog;
use stentor_core::model::ServiceState;
use stentor_core::rules::{Expr, Rule};
use stentor_wire::snmp::Oid;
use stentor_wire::snmp::trap::{self, Wanted};

use super::finding::{Diagnostics, suggest};
use super::pack::STATES;
use super::tree::{At, Section, word};
use super::{all, named_file, single};
use crate::probes::snmp::{AuthProtocol, PrivProtocol};

/// The service that takes what a rule says, unless the rule names another.
pub const SERVICE: &str = "traps";
/// What `check` may hold beside names of services.
pub const ALL_SNMP: &str = "snmp";
pub const ALL_BMC: &str = "bmc";
pub const ALL: &str = "all";

const AUTH: &[(&str, AuthProtocol)] = &[
    ("sha1", AuthProtocol::Sha1),
    ("sha224", AuthProtocol::Sha224),
    ("sha256", AuthProtocol::Sha256),
    ("sha384", AuthProtocol::Sha384),
    ("sha512", AuthProtocol::Sha512),
];
const PRIVACY: &[(&str, PrivProtocol)] = &[
    ("aes128", PrivProtocol::Aes128),
    ("aes192", PrivProtocol::Aes192),
    ("aes256", PrivProtocol::Aes256),
    ("aes192-cisco", PrivProtocol::Aes192Cisco),
    ("aes256-cisco", PrivProtocol::Aes256Cisco),
];

/// `[traps]`
#[derive(Clone, Debug)]
pub struct Traps {
    pub listen: SocketAddr,
    /// Files with a community of versions 1 and 2c each; none = neither version is let in.
    pub community_files: Vec<PathBuf>,
    pub users: Vec<TrapUser>,
    /// Keeps who we are to senders of SNMPv3 informs.
    pub engine_file: PathBuf,
    /// Senders that speak for others.
    pub forwarders: Vec<IpAddr>,
    /// Addresses that are not those of their hosts.
    pub sources: Vec<TrapSource>,
}

/// `[[traps.user]]`
#[derive(Clone, Debug)]
pub struct TrapUser {
    pub name: String,
    pub auth: Option<(AuthProtocol, PathBuf)>,
    pub privacy: Option<(PrivProtocol, PathBuf)>,
}

/// `[[traps.source]]`
#[derive(Clone, Debug)]
pub struct TrapSource {
    pub address: IpAddr,
    pub host: At<String>,
}

/// `[[trap]]`: the first rule that takes a trap says what it means.
#[derive(Clone, Debug)]
pub struct TrapRule {
    pub name: Arc<str>,
    pub wanted: Vec<Wanted>,
    /// Must hold of the trap's facts.
    pub when: Option<Rule>,
    /// Patterns of names of hosts; none = all.
    pub hosts: Vec<Arc<str>>,
    /// Names for objects that have none here.
    pub vars: Vec<(Arc<str>, Oid)>,
    /// Who takes the result; `None` = there is none.
    pub service: Option<Arc<str>>,
    /// `None` = the rules of the service judge the trap's facts.
    pub state: Option<ServiceState>,
    /// What the trap speaks of: a later one with the same key takes it back.
    pub key: Arc<str>,
    pub text: Arc<str>,
    /// Over by itself after this.
    pub lasts: Option<Span>,
    /// Checks of the host that are run at once.
    pub check: Vec<Arc<str>>,
}

/// Reads `[traps]`; `None` = nobody listens.
pub(super) fn read(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> Option<Traps> {
    let section = single(roots, "traps", "[traps]", found)?;
    let listen = section.needed("listen", found)?;
    let listen = listen.value.parse().map_err(|_| {
        let message = format!("`{}` is not an address to listen on", listen.value);
        found.error("bad-address", &listen.at, message, "write IP:PORT, e.g. \"0.0.0.0:162\" or \"[::]:162\"");
    });
    let files = section.texts("community_files", found);
    let users = section.sections("user", "[[traps.user]]", found);
    if files.is_empty() && users.is_empty() {
        let help = "`community_files` lets versions 1 and 2c in, `[[traps.user]]` version 3";
        found.error("missing-key", &section.at, "`[traps]` lets nobody in", help);
    }
    let forwarders = section.texts("forwarders", found);
    Some(Traps {
        listen: listen.ok()?,
        community_files: files.iter().map(|file| named_file(file, folder, found)).collect(),
        users: users.iter().filter_map(|user| read_user(user, folder, found)).collect(),
        engine_file: folder.join(section.text_or("engine_file", "snmp-engine", found)),
        forwarders: forwarders.iter().filter_map(|text| address(text, found)).collect(),
        sources: section
            .sections("source", "[[traps.source]]", found)
            .iter()
            .filter_map(|source| read_source(source, found))
            .collect(),
    })
}

fn address(text: &At<&str>, found: &mut Diagnostics) -> Option<IpAddr> {
    let read = text.value.parse::<IpAddr>();
    if read.is_err() {
        found.error("bad-address", &text.at, format!("`{}` is not an IP address", text.value), "");
    }
    read.ok().map(|address| address.to_canonical())
}

fn read_user(section: &Section<'_>, folder: &Path, found: &mut Diagnostics) -> Option<TrapUser> {
    let name = section.needed("name", found)?;
    let mut half = |protocol: &str, file: &str| {
        if section.has(protocol) != section.has(file) {
            found.error("half-login", &section.at, format!("`{protocol}` and `{file}` belong together"), "");
        }
    };
    half("auth", "auth_password_file");
    half("priv", "priv_password_file");
    if section.has("priv") && !section.has("auth") {
        found.error("half-login", &section.at, "SNMPv3 has no privacy without authentication: name `auth` too", "");
    }
    if !section.has("auth") {
        let help = "set `auth` and `auth_password_file`";
        found.warning("unsigned-user", &section.at, "anybody can send traps as a user without `auth`", help);
    }
    let auth = section.text("auth", found).and_then(|text| word(&text, "auth", AUTH, found));
    let auth_file = section.text("auth_password_file", found).map(|file| named_file(&file, folder, found));
    let privacy = section.text("priv", found).and_then(|text| word(&text, "priv", PRIVACY, found));
    let priv_file = section.text("priv_password_file", found).map(|file| named_file(&file, folder, found));
    Some(TrapUser { name: name.value.to_owned(), auth: auth.zip(auth_file), privacy: privacy.zip(priv_file) })
}

fn read_source(section: &Section<'_>, found: &mut Diagnostics) -> Option<TrapSource> {
    let address = section.needed("address", found).and_then(|text| address(&text, found));
    let host = section.needed("host", found)?;
    Some(TrapSource { address: address?, host: At { value: host.value.to_owned(), at: host.at } })
}

/// Reports hosts that `[traps]` names and nobody knows.
pub(super) fn check(traps: Option<&Traps>, catalog: &Catalog, found: &mut Diagnostics) {
    for source in traps.iter().flat_map(|traps| &traps.sources) {
        if catalog.host_id(&source.host.value).is_none() {
            let help = suggest(&source.host.value, catalog.hosts.iter().map(|host| &*host.name));
            found.error("unknown-host", &source.host.at, format!("unknown host `{}`", source.host.value), help);
        }
    }
}

/// Reads the `[[trap]]` tables of some files.
pub(super) fn read_rules(roots: &[Section<'_>], found: &mut Diagnostics) -> Vec<TrapRule> {
    all(roots, "trap", "[[trap]]", found).iter().filter_map(|section| read_rule(section, found)).collect()
}

fn read_rule(section: &Section<'_>, found: &mut Diagnostics) -> Option<TrapRule> {
    let name: Arc<str> = section.needed("name", found)?.value.into();
    if !section.has("oid") {
        found.error("missing-key", &section.at, "`[[trap]]` needs the key `oid`", "");
    }
    let mut wanted = Vec::new();
    for text in section.texts("oid", found) {
        match Wanted::parse(text.value) {
            Some(one) => wanted.push(one),
            None => {
                let message = format!("`{}` is neither a trap's name nor its numbers", text.value);
                let help = "linkDown, 1.3.6.1.4.1.318.0.5, or 1.3.6.1.4.1.318.* for all below";
                found.error("bad-oid", &text.at, message, help);
            }
        }
    }
    let mut vars = Vec::new();
    for (key, node) in section.node("vars").map_or(&[][..], |node| Section::entries(node, "vars", found)) {
        match node.to_value().text().and_then(trap::oid) {
            Some(oid) => vars.push((Arc::from(key.value.as_str()), oid)),
            None => found.error("bad-oid", &node.at, format!("`{}` names no object", key.value), "write its numbers"),
        }
    }
    let state = section.text("state", found).and_then(|text| word(&text, "state", STATES, found));
    let service = section.text("service", found).map(|text| Arc::from(text.value));
    Some(TrapRule {
        wanted,
        when: read_when(section, found),
        hosts: section.names("host", found),
        vars,
        service: service.or_else(|| state.map(|_| SERVICE.into())),
        state,
        key: section.text_or("key", &name, found).into(),
        text: section.text_or("text", &name, found).into(),
        lasts: section.span("for", found),
        check: section.names("check", found),
        name,
    })
}

fn read_when(section: &Section<'_>, found: &mut Diagnostics) -> Option<Rule> {
    let when = section.text("when", found)?;
    match Expr::parse(when.value) {
        // The state only says that the condition held.
        Ok(expr) => Some(Rule { when: expr, state: ServiceState::Critical, source: Arc::default() }),
        Err(refusal) => {
            found.error("bad-rule", &when.at, refusal.message, refusal.help);
            None
        }
    }
}
