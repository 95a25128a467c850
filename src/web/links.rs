//! Percent-encoding for URLs of this service. Names of hosts and services may hold anything, slashes included.

use std::fmt::Write as _;

/// `text` as one path segment or query value: everything but RFC 3986 unreserved characters is escaped.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    // A segment of dots alone would be resolved away by clients and proxies.
    if out == "." || out == ".." { out.replace('.', "%2E") } else { out }
}

/// The path if it stays on this service, else `/`: what a login may redirect to.
pub fn local_path(next: &str) -> &str {
    /// Longer than any page address; a Location header beyond this is refused by proxies.
    const NEXT_BYTES_MAX: usize = 2048;
    let mut chars = next.chars();
    let local = chars.next() == Some('/')
        && !matches!(chars.next(), Some('/' | '\\'))
        && next.len() <= NEXT_BYTES_MAX
        && next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if local { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_service_are_followed() {
        for (next, expected) in [
            ("/", "/"),
            ("/incidents/17?tab=a%20b", "/incidents/17?tab=a%20b"),
            ("", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("/a\\b", "/"),
            ("https://evil.example/", "/"),
            ("javascript:alert(1)", "/"),
            ("/\t/evil.example", "/"),
            ("/a\r\nSet-Cookie: x=y", "/"),
            (" /a", "/"),
        ] {
            assert_eq!(local_path(next), expected, "{next:?}");
        }
        let long = format!("/{}", "a".repeat(4000));
        assert_eq!(local_path(&long), "/");
    }

    #[test]
    fn every_name_becomes_one_segment() {
        assert_eq!(encode("disk /var/lib ü"), "disk%20%2Fvar%2Flib%20%C3%BC");
        assert_eq!(encode(".."), "%2E%2E");
        assert_eq!(encode("web-01.example"), "web-01.example");
    }
}
