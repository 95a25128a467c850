//! The text that exporters give to Prometheus (text format 0.0.4 and OpenMetrics), and small expressions over it.

mod expr;

pub use expr::{Expr, ExprError, Refusal, Selector};

/// One sample; its time stamp is not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    /// In the order of the page.
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// What a page holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub samples: Vec<Sample>,
    /// Lines that are neither samples nor comments, and the number of the first one.
    pub unreadable: usize,
    pub first_unreadable: Option<usize>,
}

impl Sample {
    /// The value of a label; a label that is missing is empty, as in Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

impl Page {
    /// Reads a page and keeps the samples that `wanted` takes by their name; a page may hold very many.
    pub fn parse(text: &str, wanted: impl Fn(&str) -> bool) -> Page {
        let mut page = Page::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match sample(line) {
                Some(sample) if wanted(&sample.name) => page.samples.push(sample),
                Some(_) => {}
                None => {
                    page.unreadable += 1;
                    page.first_unreadable.get_or_insert(number);
                }
            }
        }
        page
    }
}

/// `name{label="value",…} value [time stamp] [# exemplar]`.
fn sample(line: &str) -> Option<Sample> {
    let mut rest = Scanner { rest: line };
    let name = rest.name()?;
    rest.skip_blanks();
    let labels = if rest.take('{') { rest.labels()? } else { Vec::new() };
    let mut words = rest.rest.split_ascii_whitespace();
    let value = number(words.next()?)?;
    match words.next() {
        None | Some("#") => {}
        Some(stamp) => {
            stamp.parse::<f64>().ok()?;
            if words.next().is_some_and(|word| word != "#") {
                return None;
            }
        }
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Go's notation: what Rust reads, and `+Inf`, `-Inf`, `NaN` in any case.
fn number(word: &str) -> Option<f64> {
    word.parse().ok()
}

/// What both the page and selectors are made of.
struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    fn name(&mut self) -> Option<&'t str> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        Some(name)
    }

    /// A text in double quotes; `\\`, `\"` and `\n` are escapes.
    fn quoted(&mut self) -> Option<String> {
        let mut chars = self.rest.strip_prefix('"')?.char_indices();
        let body = self.rest.get(1..)?;
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = body.get(at + 1..)?;
                    return Some(text);
                }
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    c @ ('\\' | '"') => text.push(c),
                    // As Prometheus: an unknown escape stands for itself.
                    other => text.extend(['\\', other]),
                },
                c => text.push(c),
            }
        }
        None
    }

    /// What follows `{`, with the `}`.
    fn labels(&mut self) -> Option<Vec<(String, String)>> {
        let mut labels = Vec::new();
        loop {
            self.skip_blanks();
            if self.take('}') {
                return Some(labels);
            }
            let name = self.name()?.to_owned();
            self.skip_blanks();
            if !self.take('=') {
                return None;
            }
            self.skip_blanks();
            labels.push((name, self.quoted()?));
            self.skip_blanks();
            if !self.take(',') && !self.rest.starts_with('}') {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_are_read_in_all_forms() {
        for (line, name, labels, value) in [
            ("up 1", "up", vec![], 1.0),
            ("a:b_c{} 1.5e3", "a:b_c", vec![], 1500.0),
            ("x{a=\"b\"} 3 1395066363000", "x", vec![("a", "b")], 3.0),
            ("x { a = \"b\" , } +Inf", "x", vec![("a", "b")], f64::INFINITY),
            (
                r#"x{path="C:\\DIR\\F",e="say \"hi\"\n}"} -1"#,
                "x",
                vec![("path", r"C:\DIR\F"), ("e", "say \"hi\"\n}")],
                -1.0,
            ),
            ("x{le=\"0.5\"} 7 # {trace_id=\"a\"} 0.3 1.2", "x", vec![("le", "0.5")], 7.0),
            ("x 7 12.5 # {} 1", "x", vec![], 7.0),
        ] {
            let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            assert_eq!(sample(line), Some(Sample { name: name.to_owned(), labels, value }), "{line}");
        }
        assert!(sample("x NaN").is_some_and(|sample| sample.value.is_nan()));
    }

    #[test]
    fn lines_that_are_none_are_counted_and_the_others_kept() {
        let bad = ["x", "x{", "x{a}", "x{a=b} 1", "x{a=\"b} 1", "9x 1", "x one", "x 1 2 3", "{a=\"b\"} 1", "<html>"];
        for line in bad {
            assert_eq!(sample(line), None, "{line}");
        }
        let text = format!("# HELP up help\n# TYPE up gauge\nup 1\n\n{}\nother 2\ndown 0\n# EOF\n", bad.join("\n"));
        let page = Page::parse(&text, |name| name != "other");
        assert_eq!(page.samples.iter().map(|sample| &*sample.name).collect::<Vec<_>>(), ["up", "down"]);
        assert_eq!((page.unreadable, page.first_unreadable), (bad.len(), Some(5)));
    }

    proptest! {
        #[test]
        fn no_page_panics(text in "\\PC{0,100}", line in "[a-z]{1,2}[{]?[a-z\"=,\\\\ ]{0,20}[}]?[ 0-9.eEIinfN+#-]{0,12}") {
            let _ = (Page::parse(&text, |_| true), sample(&line));
        }

        #[test]
        fn what_is_written_is_read(name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,10}", value in "[^\r\n]{0,12}", number: f64) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("{name}{{l=\"{escaped}\"}} {number:?}");
            let read = sample(&line).expect("a sample");
            prop_assert_eq!((read.name.as_str(), read.label("l"), read.label("m")), (&*name, &*value, ""));
            prop_assert!(read.value == number || number.is_nan());
        }
    }
}
