//! The operator's client of the API, shared by the subcommands that talk to a running service.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::output::displayable;

use crate::web::links::encode;

/// The service answers from memory; what takes longer hangs.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// Base URL of the service
    #[arg(long, env = "STENTOR_URL", default_value = "http://127.0.0.1:8460", value_name = "URL")]
    pub url: String,
    /// File that holds an API token (`stentor user token NAME` makes one)
    #[arg(long, env = "STENTOR_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificate authority (PEM) to trust beside the system's
    #[arg(long, env = "STENTOR_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A host or a service on it, as the service knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub host: String,
    pub service: Option<String>,
}

impl Object {
    /// Path below `/api/v1`.
    pub fn path(&self) -> String {
        match &self.service {
            None => format!("/hosts/{}", encode(&self.host)),
            Some(service) => format!("/hosts/{}/services/{}", encode(&self.host), encode(service)),
        }
    }

    pub fn name(&self) -> String {
        match &self.service {
            None => self.host.clone(),
            Some(service) => format!("{}/{service}", self.host),
        }
    }
}

pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    /// Where the token came from, for messages.
    token_file: PathBuf,
}

impl Client {
    /// # Errors
    /// The token or the certificate cannot be read.
    pub fn new(args: &ClientArgs) -> anyhow::Result<Client> {
        let token_file = args.token_file.clone().context(
            "no token: give --token-file FILE or set STENTOR_TOKEN_FILE (`stentor user token NAME` makes a token)",
        )?;
        let token = std::fs::read_to_string(&token_file)
            .with_context(|| format!("cannot read the token file `{}`", token_file.display()))?
            .trim()
            .to_owned();
        if token.is_empty() {
            bail!("the token file `{}` is empty", token_file.display());
        }
        let mut builder = reqwest::Client::builder()
            .timeout(ANSWER_MAX)
            .connect_timeout(CONNECT_MAX)
            // A redirect would carry the token to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stentor/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &args.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("cannot read the CA file `{}`", path.display()))?;
            let ca = reqwest::Certificate::from_pem(&pem)
                .with_context(|| format!("`{}` is no PEM certificate", path.display()))?;
            builder = builder.tls_certs_merge([ca]);
        }
        let http = builder.build().context("the HTTP client cannot start")?;
        Ok(Client { http, base: args.url.trim_end_matches('/').to_owned(), token, token_file })
    }

    /// # Errors
    /// The service cannot be reached, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await?.map_err(|(_, message)| anyhow!(message))
    }

    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await?.map_err(|(_, message)| anyhow!(message))
    }

    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::DELETE, path, None).await?.map_err(|(_, message)| anyhow!(message))
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn all(&self, path: &str, q: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=1000&q={}{after}", encode(q))).await?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", encode(next)),
                None => return Ok(items),
            }
        }
    }

    /// Finds what `HOST` or `HOST/SERVICE` means; both names may hold slashes.
    ///
    /// # Errors
    /// There is no such host or service, or the service cannot be reached.
    pub async fn object(&self, text: &str) -> anyhow::Result<Object> {
        let splits = text
            .match_indices('/')
            .map(|(at, _)| Object { host: text[..at].to_owned(), service: Some(text[at + 1..].to_owned()) });
        let whole = Object { host: text.to_owned(), service: None };
        let candidates = std::iter::once(whole).chain(splits);
        for candidate in candidates.filter(|c| !c.host.is_empty() && c.service.as_deref() != Some("")) {
            match self.send(Method::GET, &candidate.path(), None).await? {
                Ok(_) => return Ok(candidate),
                Err((StatusCode::NOT_FOUND, _)) => {}
                Err((_, message)) => bail!(message),
            }
        }
        bail!("there is no host or service `{text}`; write HOST or HOST/SERVICE as `stentor status` prints them")
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Result<Value, (StatusCode, String)>> {
        let url = format!("{}/api/v1{path}", self.base);
        let mut request = self.http.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response.text().await.with_context(|| format!("{} broke off its answer", self.base))?;
        if status.is_success() {
            let value = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text) };
            return Ok(Ok(value.with_context(|| format!("{} does not answer like Stentor", self.base))?));
        }
        Ok(Err((status, self.refusal(status, &text))))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        if error.is_builder() {
            return anyhow!("`{}` is no URL; write --url http://HOST:PORT", self.base);
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let remedy = if error.is_timeout() {
            "it did not answer in time"
        } else {
            "is `stentor serve` running there? Give its address with --url or STENTOR_URL"
        };
        anyhow!("cannot reach Stentor at {}: {cause}; {remedy}", self.base)
    }

    fn refusal(&self, status: StatusCode, text: &str) -> String {
        let detail = serde_json::from_str::<Value>(text).ok();
        let detail = detail.as_ref().and_then(|problem| problem["detail"].as_str()).map(shown);
        match (status, detail) {
            (StatusCode::UNAUTHORIZED, _) => format!(
                "the token in `{}` is not accepted by {}; make a new one with `stentor user token NAME`",
                self.token_file.display(),
                self.base
            ),
            (_, Some(detail)) => detail,
            (_, None) => format!("{} answered {status}, not like Stentor; check --url", self.base),
        }
    }
}

/// Text from elsewhere, safe for a terminal, on one line.
pub fn shown(text: &str) -> String {
    displayable(text.as_bytes()).replace(['\n', '\r', '\t'], " ")
}

/// A field of an answer for people; empty if it is missing.
pub fn field<'a>(value: &'a Value, name: &str) -> std::borrow::Cow<'a, str> {
    match &value[name] {
        Value::String(text) => shown(text).into(),
        Value::Null => "".into(),
        other => other.to_string().into(),
    }
}

/// `2h` from now, or an instant in RFC 3339.
///
/// # Errors
/// It is neither.
pub fn until(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(instant) = Timestamp::from_rfc3339(text) {
        return Ok(instant);
    }
    match text.parse::<Span>() {
        Ok(span) if span > Span::ZERO => Ok(now + span),
        Ok(_) | Err(_) => {
            bail!("`{text}` is neither a length such as 2h or 1h30m nor an instant such as 2026-11-21T18:00:00Z")
        }
    }
}
