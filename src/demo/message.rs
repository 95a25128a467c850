//! The readable text of a message as Stentor sends it: the first text part, decoded. Never fails; what cannot be read stays.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Text of the first `text/plain` part, or of a message without parts; `None` if it has neither.
pub fn text(raw: &str) -> Option<String> {
    let raw = raw.replace("\r\n", "\n");
    let (head, body) = raw.split_once("\n\n")?;
    let kind = header(head, "Content-Type");
    match boundary(&kind) {
        Some(boundary) => {
            let mark = format!("--{boundary}");
            let parts = body.split(mark.as_str()).skip(1);
            parts.filter_map(|part| part.trim_start_matches('\n').split_once("\n\n")).find_map(|(head, body)| {
                let plain = header(head, "Content-Type").to_ascii_lowercase().starts_with("text/plain");
                plain.then(|| decoded(body, &header(head, "Content-Transfer-Encoding")))
            })
        }
        None => Some(decoded(body, &header(head, "Content-Transfer-Encoding"))),
    }
}

/// A header as people read it: RFC 2047 encoded words in UTF-8 are decoded, anything else stays as it is.
pub fn words(header: &str) -> String {
    let mut out = String::new();
    let mut was_encoded = false;
    for word in header.split(' ').filter(|word| !word.is_empty()) {
        let encoded = encoded_word(word);
        // RFC 2047 §6.2: white space between two encoded words is not shown.
        let is_joined = was_encoded && encoded.is_some();
        if !out.is_empty() && !is_joined {
            out.push(' ');
        }
        was_encoded = encoded.is_some();
        out.push_str(encoded.as_deref().unwrap_or(word));
    }
    out
}

fn encoded_word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => quoted(&text.replace('_', " ")),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

/// One header of a head, unfolded; empty if it is missing.
fn header(head: &str, name: &str) -> String {
    let mut found: Option<String> = None;
    for line in head.lines() {
        match &mut found {
            Some(value) if line.starts_with([' ', '\t']) => value.push_str(line),
            Some(_) => break,
            None => {
                let wanted = line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name));
                found = wanted.map(|(_, value)| value.trim().to_owned());
            }
        }
    }
    found.unwrap_or_default()
}

fn boundary(kind: &str) -> Option<&str> {
    if !kind.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let rest = kind.split_once("boundary=")?.1;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([';', ' ']).next(),
    }
}

fn decoded(body: &str, encoding: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "quoted-printable" => quoted(body),
        "base64" => {
            let joined: String = body.split_whitespace().collect();
            STANDARD.decode(joined).unwrap_or_else(|_| body.as_bytes().to_vec())
        }
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim_end().to_owned()
}

/// RFC 2045 §6.7. What is no escape stays as it is.
fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        match after {
            [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => rest = after,
            [high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: &str = "Subject: x\r\nContent-Type: multipart/alternative;\r\n boundary=\"ab\"\r\n\r\n--ab\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        CRITICAL: 99=E2=80=AF% =\r\nused\r\nsecond line\r\n--ab\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--ab--\r\n";

    #[test]
    fn the_plain_part_is_decoded() {
        assert_eq!(text(SENT).as_deref(), Some("CRITICAL: 99\u{202f}% used\nsecond line"));
        assert_eq!(text("Subject: x\r\n\r\nplain\r\n").as_deref(), Some("plain"));
        let base64 = "Content-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n";
        assert_eq!(text(base64).as_deref(), Some("hello"));
        assert_eq!(text("no head"), None);
    }

    #[test]
    fn encoded_words_are_read() {
        for (header, read) in [
            ("CRITICAL: clc1 down", "CRITICAL: clc1 down"),
            ("=?utf-8?b?aGVsbG8=?= =?UTF-8?Q?_w=C3=B6rld?=", "hello wörld"),
            ("=?latin1?q?x?= stays", "=?latin1?q?x?= stays"),
            ("=?utf-8?b?*?=", "=?utf-8?b?*?="),
        ] {
            assert_eq!(words(header), read);
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(raw in "(Content-Type: multipart/x; boundary=a|=|[a-f0-9?_ \r\n-]|\\PC){0,80}") {
            let _ = text(&raw);
            let _ = words(&raw);
        }

        #[test]
        fn any_truncation_is_read_without_panic(at in 0..SENT.len()) {
            let _ = text(SENT.get(..at).unwrap_or_default());
        }
    }
}
