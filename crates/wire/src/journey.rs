//! What a journey through web pages carries from step to step: variables put into texts, forms, cookies.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Values under their names.
pub type Variables = BTreeMap<String, String>;

/// Cookies of one server; more than these are of no use to a login.
const COOKIES_MAX: usize = 64;

/// How a value is written where it stands.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// As it is.
    Text,
    /// In a path or a query: nothing in it can begin another part.
    Path,
}

/// A name in a text that nobody has given a value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("nothing is known of `{{{{{0}}}}}`")]
pub struct Unknown(pub String);

/// Names in `{{…}}`.
pub fn names(text: &str) -> Vec<&str> {
    text.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim()).collect()
}

/// Puts values in the place of `{{name}}`. What came in with a value is not looked at again.
///
/// # Errors
/// A name has no value.
pub fn filled(text: &str, variables: &Variables, place: Place) -> Result<String, Unknown> {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((name, rest)) = part.split_once("}}") else {
            filled.push_str("{{");
            filled.push_str(part);
            continue;
        };
        let value = variables.get(name.trim()).ok_or_else(|| Unknown(name.trim().to_owned()))?;
        match place {
            Place::Text => filled.push_str(value),
            Place::Path => filled.push_str(&encoded(value, false)),
        }
        filled.push_str(rest);
    }
    Ok(filled)
}

/// The same in all texts of a document.
///
/// # Errors
/// A name has no value.
pub fn filled_json(json: &serde_json::Value, variables: &Variables) -> Result<serde_json::Value, Unknown> {
    use serde_json::Value;
    Ok(match json {
        Value::String(text) => Value::String(filled(text, variables, Place::Text)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled_json(item, variables)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), filled_json(value, variables)?)))
                .collect::<Result<_, Unknown>>()?,
        ),
        other => other.clone(),
    })
}

/// A form as browsers send it.
pub fn form(fields: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encoded(name, true), encoded(value, true))).collect();
    pairs.join("&")
}

/// RFC 3986 §2.1; a blank is `+` in forms.
fn encoded(text: &str, is_form: bool) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            b' ' if is_form => text.push('+'),
            _ => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}

/// Cookies that one server set. Their paths are obeyed; all steps go to the same server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Jar {
    cookies: BTreeMap<(String, String), String>,
}

impl Jar {
    /// Takes a `Set-Cookie` in an answer to `path` (RFC 6265 §5.2); one that has ended is forgotten.
    pub fn take(&mut self, header: &str, path: &str) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let name = name.trim();
        if name.is_empty() || [name, value].iter().any(|text| text.contains(|c: char| c.is_control())) {
            return;
        }
        let mut of = default_path(path).to_owned();
        let mut is_over = false;
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => of = value.to_owned(),
                "max-age" => is_over = value.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                // Dates in the past are written so by all frameworks; a journey is over before another date comes.
                "expires" => is_over |= value.contains(" 1970 ") || value.contains("-1970 ") || value.contains("-70 "),
                _ => {}
            }
        }
        let key = (name.to_owned(), of);
        if is_over {
            self.cookies.remove(&key);
        } else if self.cookies.len() < COOKIES_MAX || self.cookies.contains_key(&key) {
            self.cookies.insert(key, value.trim().to_owned());
        }
    }

    /// The `Cookie` header of a request, longer paths first.
    pub fn header(&self, path: &str) -> Option<String> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let is_meant = |of: &str| {
            path == of || path.strip_prefix(of).is_some_and(|rest| of.ends_with('/') || rest.starts_with('/'))
        };
        let mut meant: Vec<_> = self.cookies.iter().filter(|((_, of), _)| is_meant(of)).collect();
        meant.sort_by_key(|((_, of), _)| std::cmp::Reverse(of.len()));
        let pairs: Vec<String> = meant.iter().map(|((name, _), value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { None } else { Some(pairs.join("; ")) }
    }
}

/// RFC 6265 §5.1.4.
fn default_path(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => path.get(..end).unwrap_or("/"),
    }
}

/// Where a redirect leads on the same server, as a path; `None` for another server.
pub fn redirect(location: &str, scheme: &str, authority: &str, from: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    let other = location.split_once("://");
    if let Some((own, rest)) = other.filter(|(own, _)| own.chars().all(|c| c.is_ascii_alphanumeric())) {
        let (host, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        return (own.eq_ignore_ascii_case(scheme) && host.eq_ignore_ascii_case(authority)).then_some(path);
    }
    if location.starts_with("//") {
        return None;
    }
    if location.starts_with('/') {
        return Some(location.to_owned());
    }
    let base = from.split(['?', '#']).next().unwrap_or_default();
    if location.is_empty() {
        return Some(base.to_owned());
    }
    if location.starts_with('?') {
        return Some(format!("{base}{location}"));
    }
    let folder = base.rfind('/').and_then(|end| base.get(..=end)).unwrap_or("/");
    Some(format!("{folder}{location}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_stand_where_their_names_stood_and_open_nothing() {
        let known = variables(&[("id", "a/b?c=&d"), ("x", "{{id}}")]);
        for (text, place, meant) in [
            ("/u/{{id}}/e", Place::Path, Ok("/u/a%2Fb%3Fc%3D%26d/e".to_owned())),
            ("t {{ id }}{{x}}", Place::Text, Ok("t a/b?c=&d{{id}}".to_owned())),
            ("{{none}}", Place::Text, Err(Unknown("none".into()))),
            ("a {{b", Place::Text, Ok("a {{b".to_owned())),
        ] {
            assert_eq!(filled(text, &known, place), meant, "{text}");
        }
        let json = serde_json::json!({"a": ["{{id}}", 1], "b": null});
        assert_eq!(filled_json(&json, &known).unwrap(), serde_json::json!({"a": ["a/b?c=&d", 1], "b": null}));
        assert_eq!(form(&variables(&[("a b", "1&2=é")])), "a+b=1%262%3D%C3%A9");
        assert_eq!(names("{{a}}/{{ b }}/{{c"), ["a", "b"]);
    }

    #[test]
    fn cookies_go_back_to_their_paths_until_they_end() {
        let mut jar = Jar::default();
        jar.take("sid=1; Path=/; HttpOnly; Secure", "/login");
        jar.take("own=2", "/app/login?x");
        jar.take("bad", "/");
        jar.take("evil=a\r\nX: y; Path=/", "/");
        assert_eq!(jar.header("/").as_deref(), Some("sid=1"));
        assert_eq!(jar.header("/app/x?y").as_deref(), Some("own=2; sid=1"));
        assert_eq!(jar.header("/apple").as_deref(), Some("sid=1"));
        jar.take("sid=; Path=/; Max-Age=0", "/logout");
        jar.take("own=x; Path=/app; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/");
        assert_eq!(jar.header("/app"), None);
    }

    #[test]
    fn redirects_lead_to_paths_of_the_same_server_only() {
        for (location, meant) in [
            ("/x?y#z", Some("/x?y")),
            ("next", Some("/a/next")),
            ("?p=2", Some("/a/b?p=2")),
            ("https://h:8443/c", Some("/c")),
            ("HTTPS://H:8443?q", Some("/?q")),
            ("https://evil/c", None),
            ("http://h:8443/c", None),
            ("//evil/c", None),
        ] {
            assert_eq!(redirect(location, "https", "h:8443", "/a/b?c").as_deref(), meant, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(\\{\\{|\\}\\}|a|=|;|path=/|https://|/|\\?){0,14}") {
            for text in [text, near] {
                let _ = (filled(&text, &variables(&[("a", "b")]), Place::Path), redirect(&text, "http", "a", &text));
                let mut jar = Jar::default();
                jar.take(&text, &text);
                prop_assert!(jar.header("/").is_none_or(|header| !header.contains(['\r', '\n'])));
            }
        }
    }
}
