//! `ldap`: whether a directory takes a login and finds an entry, plain, after StartTLS or within TLS.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::ldap::{self, Entry, HEAD_BYTES, Head, Message, Outcome, Scope, Search};
use stentor_wire::sql::number;
use tokio::time::Instant;

use super::api::secret;
use super::look::ahead_of;
use super::reach::{closed, millis};
use super::talk::{self, Hitch, Protection, Secure, Talk, open, opened, shown, trust, unfit, usable_port};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Ldap {
    env: ProbeEnv,
    config: Config,
    search: Search,
    trust: Option<Trust>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    /// 389, or 636 with `tls = "implicit"`.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: Protection,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// Who logs in; nobody if missing.
    #[serde(default)]
    pub bind: Option<String>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Where the search begins; the directory's own entry if missing.
    #[serde(default)]
    pub base: String,
    #[serde(default)]
    pub scope: Depth,
    /// One attribute that entries must have, with its value: `uid=stentor`.
    #[serde(default)]
    pub filter: Option<String>,
    /// Its value in the first entry is the fact `value`.
    #[serde(default)]
    pub attribute: Option<String>,
}

#[derive(Copy, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    #[default]
    Base,
    One,
    Sub,
}

/// Entries that are counted; the server is told.
const ENTRIES_MAX: usize = 1000;

/// What was refused, and how.
type Refusal = talk::Refusal<(&'static str, Outcome)>;

impl Probe for Ldap {
    const KIND: &'static str = "ldap";
    const DOC: &'static str = include_str!("../../../docs/probes/ldap.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| unfit(Self::KIND, why);
        usable_port(Self::KIND, config.port)?;
        if config.bind.is_some() != config.password_file.is_some() {
            // A name without a password is nobody's login, and would be taken for a right one (RFC 4513 §5.1.2).
            return Err(refuse("`bind` and `password_file` go together"));
        }
        let filter = config.filter.as_deref().map(|filter| filter.trim_matches(['(', ')']).split_once('='));
        let filter = match filter {
            None => None,
            Some(Some((name, value)))
                if !name.is_empty() && !value.contains(['*', '(', ')']) && !name.ends_with(['<', '>', '~', ':']) =>
            {
                Some((name.to_owned(), value.to_owned()))
            }
            Some(_) => return Err(refuse("`filter` is one attribute with its value: `uid=stentor`")),
        };
        let scope = match config.scope {
            Depth::Base => Scope::Base,
            Depth::One => Scope::One,
            Depth::Sub => Scope::Sub,
        };
        // "1.1" is no attribute at all (RFC 4511 §4.5.1.8).
        let attributes = vec![config.attribute.clone().unwrap_or_else(|| "1.1".into())];
        let search = Search {
            base: config.base.clone(),
            scope,
            filter,
            attributes,
            entries_max: i64::try_from(ENTRIES_MAX).unwrap_or(0),
            seconds_max: 0,
        };
        let wants = config.tls != Protection::None;
        let trust = wants.then(|| trust("ldap", config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Ldap { env: env.clone(), config, search, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let password = secret(self.config.password_file.as_deref()).await?.unwrap_or_default();
        if self.config.bind.is_some() && password.is_empty() {
            return Err(ProbeError::Failed("the password is empty: that is nobody's login".into()));
        }
        let port = self.config.port.unwrap_or(if self.config.tls == Protection::Implicit { 636 } else { 389 });
        let (attempt, talk) = open(&self.env.net, target, port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(closed(&attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        if self.config.tls == Protection::Starttls
            && let Err(refusal) = ask_tls(&mut talk).await
        {
            return Ok(refused(seen, &refusal));
        }
        if let Some(trust) = &self.trust {
            let name = self.config.host.as_deref().unwrap_or(&target.address);
            match (Secure { trust, name, clock: &self.env.clock }).talk(talk, &mut seen).await? {
                Ok(secured) => talk = secured,
                Err(hitch) => return Ok(refused(seen, &hitch.into())),
            }
        }
        let begun = Instant::now();
        let found = self.ask(&mut talk, &password, deadline).await;
        let took = begun.elapsed();
        let _ = talk.say(&ldap::unbind(4)).await;
        Ok(match found {
            Err(refusal) => refused(seen, &refusal),
            Ok(found) => {
                let seen = seen.fact("search_ms", millis(took)).measure("search", took.as_secs_f64(), "s");
                self.observe(seen, &found)
            }
        })
    }
}

async fn message(talk: &mut Talk, id: i64) -> Result<Message, Refusal> {
    let broken = |e: ldap::LdapError| Refusal::Hitch(Hitch::Invalid(e.to_string()));
    let first = talk.exactly(HEAD_BYTES).await?.try_into().map_err(|_| Hitch::Closed)?;
    let length = match ldap::head(first).map_err(broken)? {
        Head::Body(length) => length,
        Head::LengthBytes(count) => ldap::long_length(&talk.exactly(count).await?).map_err(broken)?,
    };
    let (own, message) = ldap::read(&talk.exactly(length).await?).map_err(broken)?;
    // Number 0 is a notice of the server's, usually its goodbye.
    match message {
        Message::Extended(outcome) if own == 0 => Err(Refusal::Server(("the connection", outcome))),
        message if own == id => Ok(message),
        _ => Err(Hitch::Invalid("it answers another question".into()).into()),
    }
}

async fn ask_tls(talk: &mut Talk) -> Result<(), Refusal> {
    talk.say(&ldap::start_tls(1)).await?;
    match message(talk, 1).await? {
        Message::Extended(Outcome { code: 0, .. }) => Ok(()),
        Message::Extended(outcome) => Err(Hitch::Tls(format!("it refuses StartTLS: {}", shown(&outcome.text))).into()),
        _ => Err(Hitch::Invalid("it answers StartTLS with something else".into()).into()),
    }
}

struct Found {
    first: Option<Entry>,
    count: usize,
    outcome: Outcome,
}

impl Ldap {
    async fn ask(&self, talk: &mut Talk, password: &str, deadline: Deadline) -> Result<Found, Refusal> {
        if let Some(name) = &self.config.bind {
            talk.say(&ldap::bind(2, name, password)).await?;
            match message(talk, 2).await? {
                Message::Bind(Outcome { code: 0, .. }) => {}
                Message::Bind(outcome) => return Err(Refusal::Server(("the login", outcome))),
                _ => return Err(Hitch::Invalid("it answers the login with something else".into()).into()),
            }
        }
        let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
        let search = Search { seconds_max: i64::try_from(left).unwrap_or(0), ..self.search.clone() };
        talk.say(&ldap::search(3, &search)).await?;
        let mut found = Found { first: None, count: 0, outcome: Outcome { code: 0, text: String::new() } };
        // A server that sends more than it was asked for does not speak LDAP.
        for _ in 0..=ENTRIES_MAX * 2 {
            match message(talk, 3).await? {
                Message::Entry(entry) => {
                    found.count += 1;
                    found.first.get_or_insert(entry);
                }
                Message::Reference => {}
                Message::SearchDone(outcome) => {
                    found.outcome = outcome;
                    return Ok(found);
                }
                _ => return Err(Hitch::Invalid("it answers the search with something else".into()).into()),
            }
        }
        Err(Hitch::Invalid("its answer has no end".into()).into())
    }

    fn observe(&self, seen: Observation, found: &Found) -> Observation {
        // The limit is ours: so many are enough.
        if found.outcome.code != 0 && !(found.outcome.code == 4 && found.count > 0) {
            return refused(seen, &Refusal::Server(("the search", found.outcome.clone())));
        }
        let base = if self.config.base.is_empty() { "the directory" } else { &self.config.base };
        let mut text = format!("{}: {} entries in {}", seen.text, found.count, shown(base));
        let mut seen = seen.fact("ldap", "ok").fact("entries", found.count).measure("entries", found.count as f64, "");
        let attribute = self.config.attribute.as_deref();
        let value = attribute.and_then(|name| Some((name, found.first.as_ref()?.first(name)?)));
        if let Some((name, value)) = value {
            let value = shown(value);
            text.push_str(&format!(", {name} {value}"));
            seen = seen.fact("value_text", value.as_str());
            if let Some(value) = number(&value) {
                seen = seen.fact("value", value).measure("value", value, "");
            }
        }
        Observation { text: text.into(), ..seen }
    }
}

fn refused(seen: Observation, refusal: &Refusal) -> Observation {
    let at = seen.text.to_string();
    let (word, text) = match refusal {
        Refusal::Hitch(hitch) => (hitch.word(), format!("{at}: no answer of the directory: {hitch}")),
        Refusal::Server((what, outcome)) => {
            let word = ldap::word(outcome.code);
            let why = shown(&outcome.text);
            (word, format!("{at}: it refuses {what} with code {} ({}) {why}", outcome.code, word.replace('_', " ")))
        }
    };
    Observation { text: text.trim_end().into(), ..seen }.fact("ldap", word)
}
