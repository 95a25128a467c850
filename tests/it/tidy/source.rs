//! Rust source as text without what only looks like code: comments, literals and, where wanted, tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// From the root of the project: `src/app.rs`.
    pub path: String,
    pub text: String,
    /// `text` with comments and literals blanked; every line is where it was.
    pub code: String,
    /// The file is compiled for tests only.
    pub is_test: bool,
}

impl Source {
    /// Code that ships: without the items under `#[cfg(test)]`.
    pub fn shipped(&self) -> String {
        if self.is_test { String::new() } else { without_tests(&self.code) }
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, sorted, with its path from the root.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// `/home/me/stentor/src/app.rs` is `src/app.rs`.
pub fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").display().to_string()
}

/// Where Rust of ours lies. Beside the fuzz targets stands what libFuzzer builds, which is not ours.
pub const RUST_FOLDERS: &[&str] = &["src", "crates", "fuzz/fuzz_targets", "fuzz/targets", "tests"];

/// All Rust of the workspace, and the fuzz targets.
pub fn sources() -> Vec<Source> {
    let mut sources: Vec<Source> = RUST_FOLDERS
        .iter()
        .flat_map(|folder| files(folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = name_of(&path);
            let is_test = ["tests/", "fuzz/"].iter().any(|folder| path.starts_with(folder)) || path.contains("/tests/");
            Source { code: blank(&text), path, text, is_test }
        })
        .collect();
    let only_tested: BTreeSet<String> = sources.iter().flat_map(modules_under_test).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        source.is_test |= only_tested.iter().any(|module| stem == module || stem.starts_with(&format!("{module}/")));
    }
    sources
}

/// Stems of the files that `#[cfg(test)] mod name;` brings in.
fn modules_under_test(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "mod" | "lib" | "main")) => folder,
        _ => stem,
    };
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices(CFG_TEST) {
        let item = &source.code[at + CFG_TEST.len()..];
        let declared = item.split([';', '{']).next().unwrap_or_default();
        if let Some((_, name)) = declared.split_once("mod ").filter(|_| item[declared.len()..].starts_with(';')) {
            found.push(format!("{folder}/{}", name.trim()));
        }
    }
    found
}

const CFG_TEST: &str = "#[cfg(test)]";

/// Blanks each item that follows `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(CFG_TEST) {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = item_end(item);
        kept.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    kept + rest
}

/// Length of an item: to the semicolon or the brace that ends it.
pub fn item_end(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in item.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Comments and the insides of literals become spaces; line ends stay.
pub fn blank(text: &str) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = blanked.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (end, is_kept) = match literal_end(rest, after_name) {
            Some(end) => (end, false),
            None => (first.len_utf8(), true),
        };
        let (token, later) = rest.split_at(end);
        if is_kept {
            blanked.push_str(token);
        } else {
            blanked.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = later;
    }
    blanked
}

/// Length of the comment or literal that `rest` begins with.
fn literal_end(rest: &str, after_name: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |at| at + 2));
    }
    if !after_name {
        let raw = rest.trim_start_matches(['b', 'c']).strip_prefix('r');
        let hashes = raw.map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        if let Some(inside) = raw.and_then(|raw| raw[hashes..].strip_prefix('"')) {
            let close = format!("\"{}", "#".repeat(hashes));
            let begun = rest.len() - inside.len();
            return Some(inside.find(&close).map_or(rest.len(), |at| begun + at + close.len()));
        }
    }
    match rest.as_bytes() {
        [b'"', ..] => Some(quoted_end(rest, '"')),
        [b'\'', b'\\', ..] => Some(quoted_end(rest, '\'')),
        // A character, not a lifetime: the second quote follows at once.
        [b'\'', ..] => {
            let inside = rest.chars().nth(1)?;
            let end = 1 + inside.len_utf8();
            rest[end..].starts_with('\'').then_some(end + 1)
        }
        _ => None,
    }
}

fn quoted_end(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

#[test]
fn literals_and_comments_are_no_code() {
    let text =
        "let a = \"x.unwrap()\"; // .unwrap()\nlet b = r#\"\"{\"#; /* { */ let c = '{'; let d: &'static str = '\\'';\n";
    let code = blank(text);
    assert_eq!(code.len(), text.len());
    assert_eq!(code.lines().count(), 2);
    assert!(!code.contains("unwrap") && !code.contains('{'), "{code}");
    assert!(code.contains("let d: &'static str ="), "{code}");
    let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n";
    let shipped = without_tests(code);
    assert!(shipped.contains("fn a") && shipped.contains("fn c") && !shipped.contains("fn b"), "{shipped}");
    assert_eq!(shipped.lines().count(), code.lines().count());
}
