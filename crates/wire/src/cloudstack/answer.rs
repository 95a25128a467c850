//! An answer of CloudStack's API: `{"listhostsresponse":{"count":2,"host":[…]}}`, or the reason why there is none.

use serde_json::{Map, Value};

use crate::tool_json::start_of;

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// How many there are on all pages; missing in answers without any.
    pub count: Option<u64>,
    pub items: Vec<Value>,
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// 401: no such key, wrong signature, clock of an expiring signature.
    #[error("wrong API key or signature: {0}")]
    Denied(String),
    /// 432: the account's role may not use this command, or there is none.
    #[error("the account may not use this command: {0}")]
    NotAllowed(String),
    /// 429: `api.throttling.enabled`.
    #[error("too many calls: {0}")]
    Throttled(String),
    /// 430, 431: the call itself is wrong.
    #[error("it does not take the call: {0}")]
    BadCall(String),
    /// 530 and the like: a management server that cannot work, most often without its database.
    #[error("error {code}: {text}")]
    Internal { code: u64, text: String },
    #[error("it answers with a web page, not with JSON: `{0}`")]
    WebPage(String),
    #[error("its answer is no JSON: `{0}`")]
    NoJson(String),
    #[error("its answer ends too early")]
    Cut,
    #[error("it answers nothing")]
    Empty,
    #[error("its answer is of another form: {0}")]
    Form(String),
}

impl Refusal {
    /// The word of the fact `api`.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::Denied(_) => "denied",
            Refusal::NotAllowed(_) => "not_allowed",
            Refusal::Throttled(_) => "throttled",
            Refusal::BadCall(_) => "bad_call",
            Refusal::Internal { .. } => "error",
            Refusal::WebPage(_) | Refusal::NoJson(_) | Refusal::Cut | Refusal::Empty | Refusal::Form(_) => "invalid",
        }
    }
}

/// Reads one answer. `item` is the member that holds the list (`host`, `systemvm`).
///
/// # Errors
/// The server refused, or this is no answer of CloudStack.
pub fn read(status: u16, body: &[u8], item: &str) -> Result<Answer, Refusal> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let document = match serde_json::from_str::<Value>(text) {
        Ok(document) => document,
        Err(error) => return Err(unreadable(status, text, error.is_eof())),
    };
    let Value::Object(document) = document else {
        return Err(Refusal::Form("no object".into()));
    };
    let inner =
        document.iter().find_map(|(name, inner)| Some((name.ends_with("response")).then_some(inner)?.as_object()));
    let Some(Some(inner)) = inner else {
        return Err(Refusal::Form("no member that ends with `response`".into()));
    };
    if let Some(code) = inner.get("errorcode").and_then(Value::as_u64) {
        return Err(refused(code, inner));
    }
    if status >= 400 {
        return Err(refused(u64::from(status), inner));
    }
    list(inner, item)
}

fn list(inner: &Map<String, Value>, item: &str) -> Result<Answer, Refusal> {
    let count = inner.get("count").and_then(Value::as_u64);
    match inner.get(item) {
        Some(Value::Array(items)) => Ok(Answer { count, items: items.clone() }),
        // A list of nothing is `{}` or `{"count":0}`.
        None if count.unwrap_or(0) == 0 => Ok(Answer { count, items: Vec::new() }),
        None => Err(Refusal::Form(format!("{} are counted and there is no `{item}`", count.unwrap_or(0)))),
        Some(_) => Err(Refusal::Form(format!("`{item}` is no list"))),
    }
}

fn refused(code: u64, inner: &Map<String, Value>) -> Refusal {
    let text = inner.get("errortext").and_then(Value::as_str).unwrap_or_default();
    let text = start_of(text);
    match code {
        401 | 531 => Refusal::Denied(text),
        432 => Refusal::NotAllowed(text),
        429 => Refusal::Throttled(text),
        400 | 404 | 405 | 430 | 431 => Refusal::BadCall(format!("{code} {text}")),
        code => Refusal::Internal { code, text },
    }
}

fn unreadable(status: u16, text: &str, cut: bool) -> Refusal {
    let is_page = text.starts_with('<');
    match status {
        401 => Refusal::Denied(start_of(text)),
        500.. => Refusal::Internal { code: u64::from(status), text: start_of(text) },
        _ if text.is_empty() => Refusal::Empty,
        _ if is_page => Refusal::WebPage(start_of(text)),
        _ if cut => Refusal::Cut,
        _ => Refusal::NoJson(start_of(text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read_with_their_count() {
        let body = br#"{ "listhostsresponse" : { "count":3 ,"host" : [ {"name":"a"}, {"name":"b"} ] } }"#;
        let answer = read(200, body, "host").expect("a list");
        assert_eq!((answer.count, answer.items.len()), (Some(3), 2));
        for nothing in [r#"{"listhostsresponse":{}}"#, r#"{"listhostsresponse":{"count":0}}"#] {
            assert_eq!(read(200, nothing.as_bytes(), "host").expect(nothing).items.len(), 0);
        }
    }

    /// Status, body, word.
    const REFUSALS: &[(u16, &str, &str)] = &[
        (
            401,
            r#"{"listhostsresponse":{"uuidList":[],"errorcode":401,"errortext":"unable to verify user credentials and/or request signature"}}"#,
            "denied",
        ),
        (531, r#"{"listhostsresponse":{"uuidList":[],"errorcode":531,"cserrorcode":4365,"errortext":"x"}}"#, "denied"),
        (
            432,
            r#"{"errorresponse":{"uuidList":[],"errorcode":432,"cserrorcode":9999,"errortext":"The given command:listHosts does not exist or it is not available for user"}}"#,
            "not_allowed",
        ),
        (
            429,
            r#"{"listhostsresponse":{"uuidList":[],"errorcode":429,"errortext":"The given user has reached his/her account api limit, please retry after 1000 ms."}}"#,
            "throttled",
        ),
        (
            431,
            r#"{"listhostsresponse":{"uuidList":[],"errorcode":431,"cserrorcode":4350,"errortext":"Unable to execute API command listhosts due to invalid value."}}"#,
            "bad_call",
        ),
        (
            530,
            r#"{"listhostsresponse":{"uuidList":[],"errorcode":530,"cserrorcode":4250,"errortext":"DB Exception on: null"}}"#,
            "error",
        ),
        (503, "<html><body><h1>503 Service Unavailable</h1>", "error"),
        (200, "<!DOCTYPE html><html>", "invalid"),
        (200, "", "invalid"),
        (200, "OK", "invalid"),
        (200, r#"{"listhostsresponse":{"count":2,"host":[{"na"#, "invalid"),
        (200, r#"{"listhostsresponse":{"count":2}}"#, "invalid"),
        (200, r#"{"listhostsresponse":{"count":1,"host":{}}}"#, "invalid"),
        (200, r#"{"listhostsresponse":7}"#, "invalid"),
        (200, r#"{"a":{}}"#, "invalid"),
        (200, "[]", "invalid"),
    ];

    #[test]
    fn what_is_no_list_says_why() {
        for (status, body, word) in REFUSALS {
            let refusal = read(*status, body.as_bytes(), "host").expect_err(body);
            assert_eq!(refusal.word(), *word, "{status} {body}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(status, &body, "host");
        }

        #[test]
        fn any_truncation_is_refused(cut in 0usize..70) {
            let body = r#"{"listhostsresponse":{"count":1,"host":[{"name":"kvm1","state":"Up"}]}}"#;
            prop_assert!(read(200, body.get(..cut).unwrap_or_default().as_bytes(), "host").is_err());
        }
    }
}
