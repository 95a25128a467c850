//! A cloud's API as all checks of one cloud share it: one login while its token lasts, one list of services for whoever asks
//! within a moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use serde_json::Value;
use stentor_core::{Span, Timestamp};
use stentor_wire::openstack::{Login, Token, complaint};
use tokio::time::{Instant, timeout_at};

use crate::api::secret;
use crate::clock::Clock;
use crate::fetch::{Exchange, Fetch, fetch};
use crate::look::ahead_of;
use crate::reach::{Port, closed};
use crate::tls::Trust;
use crate::{Deadline, Network, ProbeError, Target};

/// Lists of thousands of hosts have some megabytes.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A token is renewed so long before its end: a request that carries it may take a while.
const RENEW_BEFORE: Span = Span::from_secs(60);

/// What tells one cloud and login from another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Account {
    /// Keystone's version 3: `https://ctl.example.org:5000/v3`.
    pub url: String,
    pub who: Who,
    pub insecure: bool,
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Who {
    Password { user: String, user_domain: String, file: Option<PathBuf>, project: String, project_domain: String },
    ApplicationCredential { id: String, file: Option<PathBuf> },
}

impl Who {
    async fn login(&self) -> Result<Login, ProbeError> {
        Ok(match self {
            Who::Password { user, user_domain, file, project, project_domain } => Login::Password {
                user: user.clone(),
                user_domain: user_domain.clone(),
                password: secret(file.as_deref()).await?.unwrap_or_default(),
                project: project.clone(),
                project_domain: project_domain.clone(),
            },
            Who::ApplicationCredential { id, file } => Login::ApplicationCredential {
                id: id.clone(),
                secret: secret(file.as_deref()).await?.unwrap_or_default(),
            },
        })
    }
}

/// An answer, or why there is none. Cheap enough to share.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The fact `port` of whom we asked.
    pub port: &'static str,
    /// `ok`, or how it went wrong.
    pub word: &'static str,
    /// Status, where one came; `Err` = `timeout` or `invalid`.
    pub http: Option<Result<u16, &'static str>>,
    pub why: String,
    pub json: Arc<Value>,
    pub took: Duration,
}

impl Answer {
    fn missing(port: &'static str, word: &'static str, why: String) -> Answer {
        Answer { port, word, http: None, why, json: Arc::new(Value::Null), took: Duration::ZERO }
    }

    pub fn is_ok(&self) -> bool {
        self.word == "ok"
    }
}

/// A token that stands.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: HeaderValue,
    pub token: Arc<Token>,
    expires: Timestamp,
}

impl Held {
    fn lasts(&self, clock: &Clock) -> bool {
        self.expires.since(clock.now()) > RENEW_BEFORE
    }
}

/// What is asked, and of whom.
pub struct Question<'a> {
    pub url: &'a str,
    pub own: Option<&'a Own>,
}

/// Whom to ask instead of the address in the URL: one's own node behind a balancer.
#[derive(Clone, Debug)]
pub struct Own {
    pub address: Arc<str>,
    pub tls: Option<bool>,
}

/// The newest answer, locked while somebody asks for a newer one.
type Slot = tokio::sync::Mutex<Option<(Instant, Answer)>>;

/// A cloud's API with the token that its checks share.
pub struct Session {
    account: Account,
    trust: Trust,
    held: tokio::sync::Mutex<Option<Held>>,
    /// What each path answered last.
    answers: Mutex<BTreeMap<String, Arc<Slot>>>,
}

static SESSIONS: Mutex<BTreeMap<Account, Weak<Session>>> = Mutex::new(BTreeMap::new());

impl Session {
    /// The session that all checks with this login share.
    pub fn of(account: Account, trust: Trust) -> Arc<Session> {
        let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.strong_count() > 0);
        if let Some(session) = sessions.get(&account).and_then(Weak::upgrade) {
            return session;
        }
        let session = Arc::new(Session {
            account: account.clone(),
            trust,
            held: tokio::sync::Mutex::new(None),
            answers: Mutex::new(BTreeMap::new()),
        });
        sessions.insert(account, Arc::downgrade(&session));
        session
    }

    /// A token that lasts, the shared one or a new one; `not` = one that somebody has refused.
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn token(
        &self,
        asking: &Asking<'_>,
        not: Option<&HeaderValue>,
    ) -> Result<Result<Held, Answer>, ProbeError> {
        let waited = timeout_at(ahead_of(asking.deadline), self.held.lock()).await;
        let mut held = waited.map_err(|_| ProbeError::Timeout("another check was still logging in".into()))?;
        if let Some(held) = held.as_ref().filter(|held| held.lasts(asking.clock) && Some(&held.id) != not) {
            return Ok(Ok(held.clone()));
        }
        *held = None;
        let new = self.log_in(asking, None).await?;
        if let Ok(new) = &new {
            *held = Some(new.clone());
        }
        Ok(new)
    }

    /// `POST /auth/tokens`, at Keystone's address or at one's own node.
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn log_in(&self, asking: &Asking<'_>, own: Option<&Own>) -> Result<Result<Held, Answer>, ProbeError> {
        let body = self.account.who.login().await?.body();
        let ask = Ask { method: Method::POST, url: &self.url("/auth/tokens"), headers: Vec::new(), body, own };
        let (answer, token) = self.send(asking, ask).await?;
        if !answer.is_ok() {
            return Ok(Err(answer));
        }
        let read = Token::read(&answer.json).map_err(|error| error.to_string());
        let read = read.and_then(|token| {
            let end = Timestamp::from_rfc3339(&token.expires_at);
            Ok((end.map_err(|_| format!("its token ends at `{}`, which is no time", token.expires_at))?, token))
        });
        Ok(match (read, token) {
            (Ok((expires, read)), Some(mut id)) => {
                id.set_sensitive(true);
                Ok(Held { id, token: Arc::new(read), expires })
            }
            (Ok(_), None) => Err(Answer { word: "invalid", why: "it gives no X-Subject-Token".into(), ..answer }),
            (Err(why), _) => Err(Answer { word: "invalid", why, ..answer }),
        })
    }

    /// Whether one's own node takes a token that another has given out.
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn validate(&self, asking: &Asking<'_>, held: &Held, own: Option<&Own>) -> Result<Answer, ProbeError> {
        let headers = vec![("x-auth-token", held.id.clone()), ("x-subject-token", held.id.clone())];
        let url = self.url("/auth/tokens?nocatalog");
        let ask = Ask { method: Method::GET, url: &url, headers, body: String::new(), own };
        Ok(self.send(asking, ask).await?.0)
    }

    /// The shared token, where there is one that lasts and nobody is renewing it.
    pub fn standing(&self, clock: &Clock) -> Option<Held> {
        let held = self.held.try_lock().ok()?;
        held.as_ref().filter(|held| held.lasts(clock)).cloned()
    }

    /// What another check was answered less than `share` ago is taken, good or bad; of one's own node nothing is shared.
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn get(
        &self,
        asking: &Asking<'_>,
        question: &Question<'_>,
        held: &Held,
        share: Duration,
    ) -> Result<Answer, ProbeError> {
        if question.own.is_some() {
            return self.get_now(asking, question, held).await;
        }
        let slot = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(question.url.to_owned()).or_default())
        };
        let waited = timeout_at(ahead_of(asking.deadline), slot.lock()).await;
        let mut slot = waited.map_err(|_| ProbeError::Timeout("another check still waits for this answer".into()))?;
        if let Some((_, answer)) = slot.as_ref().filter(|(at, _)| at.elapsed() < share) {
            return Ok(answer.clone());
        }
        let answer = self.get_now(asking, question, held).await?;
        *slot = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }

    async fn get_now(&self, asking: &Asking<'_>, question: &Question<'_>, held: &Held) -> Result<Answer, ProbeError> {
        let headers = vec![("x-auth-token", held.id.clone())];
        let ask = Ask { method: Method::GET, url: question.url, headers, body: String::new(), own: question.own };
        Ok(self.send(asking, ask).await?.0)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.account.url.trim_end_matches('/'))
    }

    async fn send(&self, asking: &Asking<'_>, ask: Ask<'_>) -> Result<(Answer, Option<HeaderValue>), ProbeError> {
        let bad = |why: String| Ok((Answer::missing("unreachable", "no_endpoint", why), None));
        let Ok(uri) = ask.url.parse::<Uri>() else { return bad(format!("`{}` is no address", ask.url)) };
        let (Some(authority), Some(scheme)) = (uri.authority(), uri.scheme_str()) else {
            return bad(format!("`{}` is no address", ask.url));
        };
        let tls = ask.own.and_then(|own| own.tls).unwrap_or(scheme == "https");
        let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let name = authority.host().trim_matches(['[', ']']);
        let address = ask.own.map_or_else(|| Arc::from(name), |own| Arc::clone(&own.address));
        let target = Target { address, ..asking.target.clone() };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(ask.method)
            .uri(path)
            .header(HOST, authority.as_str())
            .header(USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close");
        for (key, value) in ask.headers {
            request = request.header(key, value);
        }
        let request = request
            .body(Full::new(Bytes::from(ask.body)))
            .map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))?;
        let fetched = fetch(
            Fetch {
                net: asking.net,
                target: &target,
                port,
                tls: tls.then_some(&self.trust),
                server_name: Some(name),
                request,
                body_bytes_max: PAGE_BYTES_MAX,
            },
            asking.deadline,
        )
        .await?;
        if fetched.attempt.port != Port::Open {
            let word = fetched.attempt.port.word();
            return Ok((Answer::missing(word, word, closed(&fetched.attempt).text.to_string()), None));
        }
        let (mut answer, token) = match fetched.exchange {
            Some(exchange) => read(exchange),
            None => {
                let why = fetched.tls.and_then(|tls| tls.error).unwrap_or_default();
                (Answer::missing("open", "tls", format!("no TLS connection: {why}")), None)
            }
        };
        answer.took = fetched.total;
        if !answer.is_ok() {
            answer.why = format!("{scheme}://{}:{port}{path}: {}", target.address, answer.why);
        }
        Ok((answer, token))
    }
}

/// Who asks, and until when.
pub struct Asking<'a> {
    pub net: &'a Network,
    pub clock: &'a Clock,
    pub target: &'a Target,
    pub deadline: Deadline,
}

struct Ask<'a> {
    method: Method,
    url: &'a str,
    headers: Vec<(&'static str, HeaderValue)>,
    body: String,
    own: Option<&'a Own>,
}

/// What an exchange brought, and the token in its headers.
fn read(exchange: Exchange) -> (Answer, Option<HeaderValue>) {
    let open = |word, http, why| Answer { http: Some(http), ..Answer::missing("open", word, why) };
    let answer = match exchange {
        Exchange::Timeout => return (open("timeout", Err("timeout"), "no complete answer in time".into()), None),
        Exchange::Broken(why) => return (open("invalid", Err("invalid"), why), None),
        Exchange::Answer(answer) => answer,
    };
    let status = answer.status;
    let json: Result<Value, serde_json::Error> = serde_json::from_slice(&answer.body);
    let word = match status {
        200..=299 if answer.truncated => {
            return (
                open("invalid", Ok(status), format!("the answer is longer than {} MiB", PAGE_BYTES_MAX >> 20)),
                None,
            );
        }
        // Of a list that ends in the middle nothing is known: who is missing in it may be well.
        200..=299 => match &json {
            Ok(_) => "ok",
            Err(error) => return (open("invalid", Ok(status), format!("the answer is no JSON: {error}")), None),
        },
        401 => "denied",
        403 => "forbidden",
        404 => "missing",
        500.. => "failing",
        _ => "error",
    };
    let json = json.unwrap_or(Value::Null);
    let said = complaint(&json).map(|said| format!(": {}", crate::talk::shown(&said))).unwrap_or_default();
    let token = answer.headers.get("x-subject-token").cloned();
    (Answer { json: Arc::new(json), ..open(word, Ok(status), format!("status {status}{said}")) }, token)
}
