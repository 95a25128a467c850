//! Just enough XML to read what command-line tools print: elements and texts. No document types, no entities of their own, so
//! that nothing can be blown up or fetched.

/// Elements within elements; deeper is no answer of a tool.
const DEPTH_MAX: usize = 64;

/// An element; attributes, comments and processing instructions are left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Element {
    pub name: String,
    /// All text of its own, without what is around it.
    pub text: String,
    pub children: Vec<Element>,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum XmlError {
    #[error("there is no element")]
    Empty,
    #[error("it ends within <{0}>")]
    Cut(String),
    #[error("</{found}> ends <{open}>")]
    Crossed { open: String, found: String },
    #[error("it is nested deeper than {DEPTH_MAX}")]
    Deep,
    #[error("a document type is not read")]
    DocumentType,
}

impl Element {
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Text of the element at this path below; empty if there is none.
    pub fn text_at(&self, path: &[&str]) -> &str {
        self.at(path).map_or("", |element| element.text.trim())
    }

    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    pub fn number_at(&self, path: &[&str]) -> Option<u64> {
        self.text_at(path).parse().ok()
    }
}

/// Reads the first element; what stands before it (a banner, a declaration) is passed over.
///
/// # Errors
/// It is cut, crossed, or not XML at all.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if let Some(element) = open.last_mut() {
            unescape(before, &mut element.text);
        }
        if let Some(after) = skipped(tag, &mut open)? {
            rest = after;
            continue;
        }
        let begins = |c: char| c.is_alphabetic() || matches!(c, '_' | '/');
        if !tag.chars().nth(1).is_some_and(begins) {
            // A `<` of a banner.
            rest = tag.get(1..).unwrap_or_default();
            continue;
        }
        let Some(end) = tag.find('>') else { return Err(cut(&open)) };
        let (inside, after) = (tag.get(1..end).unwrap_or_default(), tag.get(end + 1..).unwrap_or_default());
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            let Some(element) = open.pop() else { continue };
            if element.name != name.trim() {
                return Err(XmlError::Crossed { open: element.name, found: name.trim().to_owned() });
            }
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Ok(element),
            }
            continue;
        }
        let name = inside.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        let element = Element { name: name.to_owned(), ..Element::default() };
        let depth = open.len();
        match (inside.ends_with('/'), open.last_mut()) {
            (true, Some(parent)) => parent.children.push(element),
            (true, None) => return Ok(element),
            (false, _) if depth >= DEPTH_MAX => return Err(XmlError::Deep),
            (false, _) => open.push(element),
        }
    }
    Err(cut(&open))
}

/// What follows a comment, declaration or CDATA section at the beginning of `tag`.
fn skipped<'t>(tag: &'t str, open: &mut [Element]) -> Result<Option<&'t str>, XmlError> {
    for (begin, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        let Some(body) = tag.strip_prefix(begin) else { continue };
        let Some((inside, after)) = body.split_once(end) else { return Err(cut(open)) };
        if begin == "<![CDATA["
            && let Some(element) = open.last_mut()
        {
            element.text.push_str(inside);
        }
        return Ok(Some(after));
    }
    if tag.starts_with("<!DOCTYPE") { Err(XmlError::DocumentType) } else { Ok(None) }
}

fn cut(open: &[Element]) -> XmlError {
    open.last().map_or(XmlError::Empty, |element| XmlError::Cut(element.name.clone()))
}

/// The five entities of XML and characters by number; others stay as they are.
fn unescape(text: &str, into: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        into.push_str(before);
        let (name, behind) = after.split_once(';').unwrap_or(("", after));
        let by_number = || {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        };
        let known = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => by_number(),
        };
        match known {
            Some(c) => {
                into.push(c);
                rest = behind;
            }
            None => {
                into.push('&');
                rest = after;
            }
        }
    }
    into.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_and_their_texts_are_read() {
        let text = "warning: x < y\n<?xml version=\"1.0\"?>\n<!-- a --><cli a=\"1\"><n>2</n>\n<v k='x'>a&amp;b&#x41;&#66;&no;</v>\
                    <v/><c><![CDATA[<x>]]></c></cli> rest";
        let root = parse(text).expect("XML");
        assert_eq!((root.name.as_str(), root.number_at(&["n"])), ("cli", Some(2)));
        assert_eq!((root.text_at(&["v"]), root.all("v").count(), root.text_at(&["c"])), ("a&bAB&no;", 2, "<x>"));
        assert_eq!((root.text_at(&["none"]), root.number_at(&["v"])), ("", None));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        for (text, error) in [
            ("", XmlError::Empty),
            ("no xml", XmlError::Empty),
            ("<a><b>", XmlError::Cut("b".into())),
            ("<a><!-- x", XmlError::Cut("a".into())),
            ("<a><b></a>", XmlError::Crossed { open: "b".into(), found: "a".into() }),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", XmlError::DocumentType),
            (&deep, XmlError::Deep),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(<|>|/|&|;|#|a|é|<a>|</a>|<!--|-->|<!\\[CDATA\\[|\\PC){0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn texts_come_back(text in "[ -~]{0,40}") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(parse(&format!("<a>{escaped}</a>")).map(|a| a.text), Ok(text));
        }
    }
}
