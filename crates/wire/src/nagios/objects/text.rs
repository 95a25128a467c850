//! Bytes of a configuration file to text: UTF-8, else Latin-1, and never a NUL.

use crate::nagios::finding::{Findings, Place};

/// The text of a file, with findings about what had to be changed.
pub(crate) fn decode(file: u32, bytes: Vec<u8>, found: &mut Findings) -> String {
    let place = |before: &[u8]| {
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let number = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
        Place { file, line: number(line), column: number(column) }
    };
    if let [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] = bytes.as_slice() {
        found.error("utf-16", place(&[]), "the file is UTF-16", "save it as UTF-8");
        return String::new();
    }
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let before = bytes.get(..at).unwrap_or_default();
            let help = "the whole file is read as Latin-1; save it as UTF-8";
            found.warning("not-utf-8", place(before), "the file is not UTF-8 from here on", help);
            bytes.into_iter().map(char::from).collect()
        }
    };
    if text.starts_with('\u{feff}') {
        found.warning("byte-order-mark", place(&[]), "the file begins with a byte order mark", "save it without");
        text.drain(..'\u{feff}'.len_utf8());
    }
    if let Some(at) = text.find('\0') {
        let count = text.bytes().filter(|byte| *byte == 0).count();
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let message = format!("{count} NUL bytes in the file, the first one here");
        found.error("nul-byte", place(before), message, "remove them; the file may be damaged");
        text.retain(|c| c != '\0');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_read_and_named() {
        for (bytes, text, code, line, column) in [
            (&b"a\nb\xe9c"[..], "a\nb\u{e9}c", "not-utf-8", 2, 2),
            (b"\xef\xbb\xbfa", "a", "byte-order-mark", 1, 1),
            (b"a\n\nb\0\0c", "a\n\nbc", "nul-byte", 3, 2),
            (b"\xff\xfea\0", "", "utf-16", 1, 1),
        ] {
            let mut found = Findings::default();
            assert_eq!(decode(0, bytes.to_vec(), &mut found), text);
            let finding = found.iter().next().expect("a finding");
            assert_eq!((finding.code, finding.place.line, finding.place.column), (code, line, column));
        }
        let mut found = Findings::default();
        assert_eq!((decode(0, "aé".into(), &mut found).as_str(), found.iter().count()), ("aé", 0));
    }
}
