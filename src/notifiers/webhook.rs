//! A generic webhook: one POST of JSON, with the dedup key as `Idempotency-Key`.

use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use sha2::Sha256;
use stentor_core::Timestamp;
use stentor_core::model::{Incident, Reason};

use super::wording::{block, line};
use super::{Message, Notifier, Receipt, Secret, SendError, SetupError};

/// Version of the body; a field may be added without a new one.
const BODY_VERSION: u32 = 1;
/// Of an answer that is not an acceptance, so much is kept as the reason.
const ANSWER_BYTES_MAX: usize = 300;
/// Entries of an incident's timeline in the body, the newest ones.
const TIMELINE_SHOWN: usize = 20;

#[derive(Clone, Debug)]
pub struct WebhookSetup {
    /// Where messages go whose contact names no address of its own.
    pub url: Option<String>,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Key of `X-Stentor-Signature: sha256=HEX`, an HMAC-SHA-256 over the body.
    pub secret: Option<Secret>,
    /// For the whole of one attempt.
    pub timeout: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct WebhookNotifier {
    client: reqwest::Client,
    setup: WebhookSetup,
}

impl WebhookNotifier {
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(setup: WebhookSetup) -> Result<WebhookNotifier, SetupError> {
        let client = reqwest::Client::builder()
            .timeout(setup.timeout)
            .connect_timeout(setup.timeout)
            // A redirect would carry token and incident to a place that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetupError::Http)?;
        Ok(WebhookNotifier { client, setup })
    }

    fn target(&self, message: &Message) -> Result<Url, SendError> {
        let address = &*message.notification.address;
        let address = if address.is_empty() { self.setup.url.as_deref().unwrap_or_default() } else { address };
        match Url::parse(address) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
            // Not the address itself: webhook URLs often carry their secret.
            _ => Err(SendError::Permanent { message: "the contact's webhook is not an http(s) URL".to_owned() }),
        }
    }

    fn headers(&self, message: &Message, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let key: String =
            message.notification.key.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
        insert(&mut headers, "idempotency-key", &key);
        if let Some(token) = &self.setup.token
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(secret) = &self.setup.secret {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
            mac.update(body);
            let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            insert(&mut headers, "x-stentor-signature", &format!("sha256={hex}"));
        }
        headers
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The body, in the words of the REST API.
pub fn body(message: &Message) -> Value {
    let notification = &message.notification;
    let base = message.url.trim_end_matches('/');
    let number = notification.incident.number;
    let test = notification.reason == Reason::Test;
    json!({
        "version": BODY_VERSION,
        "instance": message.instance,
        "key": &*notification.key,
        "reason": notification.reason.as_str(),
        "contact": &*notification.contact,
        "sequence": notification.seq,
        "at": notification.created_at.to_rfc3339(),
        "by": notification.by.as_deref(),
        "comment": notification.comment.as_deref().map(block),
        "url": match (base.is_empty(), test) {
            (true, _) => Value::Null,
            (false, true) => format!("{base}/").into(),
            (false, false) => format!("{base}/i/{number}").into(),
        },
        "text": if test { line(&notification.incident.title).into() } else { Value::Null },
        "steps": message.steps,
        "incident": if test { Value::Null } else { incident_body(&notification.incident) },
    })
}

fn incident_body(incident: &Incident) -> Value {
    let verdict = &incident.verdict;
    let target = &verdict.target;
    let skip = incident.timeline.len().saturating_sub(TIMELINE_SHOWN);
    let timeline: Vec<Value> = incident
        .timeline
        .iter()
        .skip(skip)
        .map(|entry| json!({"at": entry.at.to_rfc3339(), "kind": entry.kind, "by": entry.by, "text": block(&entry.text)}))
        .collect();
    json!({
        "number": incident.number,
        "phase": incident.phase.as_str(),
        "title": line(&incident.title),
        "cloud": incident.cloud, "site": incident.site, "zone": incident.zone,
        "class": verdict.class.as_str(),
        "subtype": verdict.subtype,
        "failure_type": verdict.class.failure_type().map(|kind| kind.as_str()),
        "target": {"kind": target.kind, "host": target.host, "component": target.component},
        "cells": verdict.cells,
        "severity": verdict.severity.as_str(),
        "impact": verdict.impact.as_str(),
        "visibility": verdict.visibility,
        "core": verdict.core.as_str(),
        "confidence": verdict.confidence,
        "users_notice": block(&incident.users_notice),
        "business": incident.business.iter().map(|name| line(name)).collect::<Vec<_>>(),
        "root": incident.root,
        "effects": verdict.suppressed,
        "evidence": verdict.evidence.iter()
            .map(|seen| json!({"sig": seen.sig, "at": seen.at, "value": block(&seen.value)}))
            .collect::<Vec<_>>(),
        "runbook": verdict.runbook,
        "owner": incident.owner,
        "ack": incident.ack.as_ref().map(|ack| json!({
            "by": ack.by, "comment": block(&ack.comment), "until": ack.until.map(Timestamp::to_rfc3339),
        })),
        "opened_at": incident.opened_at.to_rfc3339(),
        "resolved_at": incident.resolved_at.map(Timestamp::to_rfc3339),
        "timeline": timeline,
    })
}

/// Seconds, or an HTTP date seen from the answer's own `Date`: no clock of ours is needed, and theirs may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(secs) = asked.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(secs)));
    }
    let parse = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let wait = parse(asked)?.as_second().checked_sub(parse(text(DATE)?)?.as_second())?;
    u64::try_from(wait).ok().map(Duration::from_secs)
}

#[async_trait]
impl Notifier for WebhookNotifier {
    fn channel(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let url = self.target(message)?;
        let body = body(message).to_string().into_bytes();
        let request = self.client.post(url).headers(self.headers(message, &body)).body(body);
        let answer = request.send().await.map_err(|error| {
            // Without the URL, for the same reason as above.
            let message = line(&describe(&error.without_url()));
            SendError::Transient { message, retry_after: None }
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Receipt(format!("HTTP {status}")));
        }
        let retry_after = retry_after(answer.headers());
        let said = first_bytes(answer).await;
        let message = line(&format!("HTTP {status} {said}"));
        let transient = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        if transient {
            return Err(SendError::Transient { message, retry_after });
        }
        Err(SendError::Permanent { message })
    }
}

/// The start of an answer; what follows is never read, however long it is.
async fn first_bytes(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
