//! `retention.dat` and `status.dat`: blocks of `key=value` lines (specification 03, section 11). Pure: bytes to blocks;
//! what cannot be read is reported by its line and the rest is read all the same.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Complaints that are kept; a file that is something else altogether has more than anybody reads.
const COMPLAINTS_MAX: usize = 100;

/// What a block is about. `status.dat` calls some of them otherwise: `hoststatus` is `host`.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Info,
    Program,
    Host,
    Service,
    Contact,
    HostComment,
    ServiceComment,
    HostDowntime,
    ServiceDowntime,
}

impl Kind {
    fn of(word: &str) -> Option<Kind> {
        Some(match word {
            "info" => Kind::Info,
            "program" | "programstatus" => Kind::Program,
            "host" | "hoststatus" => Kind::Host,
            "service" | "servicestatus" => Kind::Service,
            "contact" | "contactstatus" => Kind::Contact,
            "hostcomment" => Kind::HostComment,
            "servicecomment" => Kind::ServiceComment,
            "hostdowntime" => Kind::HostDowntime,
            "servicedowntime" => Kind::ServiceDowntime,
            _ => return None,
        })
    }
}

/// One block with its fields in their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    pub kind: Kind,
    /// Line that it begins in, from 1.
    pub line: usize,
    pub fields: Vec<(String, String)>,
}

/// Something that could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Complaint {
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// All that a file holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct File {
    pub blocks: Vec<Block>,
    /// The first ones; see `complaints_left_out`.
    pub complaints: Vec<Complaint>,
    pub complaints_left_out: usize,
}

impl Block {
    /// The newest value of a key; `None` = it has none.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A value that must be a number or the like; `None` also for one that is not.
    pub fn value<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.trim().parse().ok()
    }

    /// `1` is true, `0` false, as any other number; `None` = it has none.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.value::<i64>(key).map(|number| number > 0)
    }

    /// Custom variables: name without `_`, whether it was modified, value.
    pub fn variables(&self) -> impl Iterator<Item = (&str, bool, &str)> {
        self.fields.iter().filter_map(|(key, value)| {
            let (modified, value) = value.split_once(';').unwrap_or(("0", value));
            Some((key.strip_prefix('_')?, modified.trim() != "0", value))
        })
    }

    /// State codes of `state_history`, the oldest first.
    pub fn history(&self) -> Option<Vec<u8>> {
        self.text("state_history")?.split(',').map(|code| code.trim().parse().ok()).collect()
    }
}

impl File {
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }
}

/// Reads a whole file. A block without an end is left out: it was not written to its end, and half a truth about an
/// object may be wrong.
pub fn parse(bytes: &[u8]) -> File {
    let mut reader = Reader::default();
    let blocks = bytes.split(|byte| *byte == b'\n').filter_map(|line| reader.line(line)).collect();
    let (complaints, complaints_left_out) = reader.end();
    File { blocks, complaints, complaints_left_out }
}

/// Reads a file line by line and gives each block as soon as it is whole, so that nobody need hold all of a large one.
#[derive(Debug, Default)]
pub struct Reader {
    open: Option<Open>,
    number: usize,
    /// The last line that said something.
    last: usize,
    complaints: Vec<Complaint>,
    left_out: usize,
}

/// A block whose end is still to come; `None` = of a kind that nobody knows.
#[derive(Debug)]
struct Open {
    kind: Option<Kind>,
    line: usize,
    fields: Vec<(String, String)>,
}

impl Reader {
    /// The next line, without its end; the block that it ends.
    pub fn line(&mut self, bytes: &[u8]) -> Option<Block> {
        self.number += 1;
        let line = text_of(bytes);
        let line = line.trim_start_matches([' ', '\t']).trim_end_matches('\r');
        if line.trim_end().is_empty() || line.starts_with('#') {
            return None;
        }
        self.last = self.number;
        match self.open.take() {
            None => {
                self.open = self.begin(line);
                None
            }
            Some(block) => self.proceed(block, line),
        }
    }

    /// What could not be read: the first complaints, and how many more there were.
    pub fn end(mut self) -> (Vec<Complaint>, usize) {
        if let Some(block) = self.open.take() {
            self.number = self.last;
            self.complain(format!("the block that begins in line {} has no end; it is left out", block.line));
        }
        (self.complaints, self.left_out)
    }

    fn complain(&mut self, message: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(Complaint { line: self.number, message });
        } else {
            self.left_out += 1;
        }
    }

    fn begin(&mut self, line: &str) -> Option<Open> {
        let Some(word) = line.trim_end().strip_suffix('{').map(str::trim_end) else {
            self.complain(format!("`{}` is in no block", shown(line)));
            return None;
        };
        let kind = Kind::of(word);
        if kind.is_none() {
            self.complain(format!("there is no block `{}`; it is left out", shown(word)));
        }
        Some(Open { kind, line: self.number, fields: Vec::new() })
    }

    fn proceed(&mut self, mut block: Open, line: &str) -> Option<Block> {
        if line.trim_end() == "}" {
            let Open { kind, line, fields } = block;
            return Some(Block { kind: kind?, line, fields });
        }
        match line.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                if block.kind.is_some() {
                    block.fields.push((key.trim_end().to_owned(), value.to_owned()));
                }
            }
            // A block that was cut off by the next one: what follows is good again.
            None if line.trim_end().strip_suffix('{').map(str::trim_end).and_then(Kind::of).is_some() => {
                self.complain(format!("the block that begins in line {} has no end; it is left out", block.line));
                self.open = self.begin(line);
                return None;
            }
            Some(_) | None => self.complain(format!("`{}` is no `key=value`", shown(line))),
        }
        self.open = Some(block);
        None
    }
}

/// UTF-8, else Latin-1: nothing that a plugin once printed keeps the rest from being read.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}

fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(60).collect()
}

/// Long output as these files keep it, on one line.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// The other way round; a backslash before anything else stands for itself.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('\\')) => out.push('\\'),
            _ => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by Nagios Core 4.5.12.
    const SAMPLE: &str = include_str!("../../tests/data/sample_status.dat");

    #[test]
    fn a_file_of_nagios_is_read_whole() {
        let file = parse(SAMPLE.as_bytes());
        assert_eq!(file.complaints, []);
        let count = |kind| file.of(kind).count();
        assert_eq!((count(Kind::Host), count(Kind::Service), count(Kind::Contact)), (3, 2, 1));
        assert_eq!((count(Kind::HostComment), count(Kind::ServiceComment), count(Kind::HostDowntime)), (1, 1, 1));
        let down = file.of(Kind::Host).next().unwrap();
        assert_eq!((down.text("host_name"), down.value::<u8>("current_state")), (Some("db1"), Some(1)));
    }

    #[test]
    fn blocks_of_both_files_are_the_same_kinds() {
        let text = "# a remark\ninfo {\ncreated=1\n}\nhost {\nhost_name=a b\nplugin_output=x=y {\n_RACK=1;r=12\n}\n\n\
                    hoststatus {\n\thost_name=c\n\t}\n";
        let file = parse(text.as_bytes());
        assert_eq!(file.complaints, []);
        let kinds: Vec<(Kind, usize)> = file.blocks.iter().map(|block| (block.kind, block.line)).collect();
        assert_eq!(kinds, [(Kind::Info, 2), (Kind::Host, 5), (Kind::Host, 11)]);
        let host = &file.blocks[1];
        assert_eq!((host.text("host_name"), host.text("plugin_output")), (Some("a b"), Some("x=y {")));
        assert_eq!(host.variables().collect::<Vec<_>>(), [("RACK", true, "r=12")]);
        assert_eq!(file.of(Kind::Host).count(), 2);
    }

    #[test]
    fn what_is_wrong_is_reported_and_the_rest_is_read() {
        let text = "stray\nfoo {\na=1\n}\nhost {\nhost_name=a\nnonsense\n=x\n}\nhost {\nhost_name=cut\nservice {\n\
                    host_name=b\n}\nhost {\nhost_name=z\n";
        let file = parse(text.as_bytes());
        let names: Vec<_> = file.blocks.iter().filter_map(|block| block.text("host_name")).collect();
        assert_eq!(names, ["a", "b"]);
        let complaints: Vec<String> = file.complaints.iter().map(ToString::to_string).collect();
        assert_eq!(
            complaints,
            [
                "line 1: `stray` is in no block",
                "line 2: there is no block `foo`; it is left out",
                "line 7: `nonsense` is no `key=value`",
                "line 8: `=x` is no `key=value`",
                "line 12: the block that begins in line 10 has no end; it is left out",
                "line 16: the block that begins in line 15 has no end; it is left out",
            ]
        );
    }

    #[test]
    fn values_that_are_no_numbers_are_none() {
        let file = parse(b"host {\na=7\nb= 8 \nc=x\nd=0\nstate_history=0,1,2\ne=\n}\n");
        let host = &file.blocks[0];
        assert_eq!((host.value::<i64>("a"), host.value::<i64>("b"), host.value::<i64>("c")), (Some(7), Some(8), None));
        assert_eq!(
            (host.flag("a"), host.flag("d"), host.flag("e"), host.flag("f")),
            (Some(true), Some(false), None, None)
        );
        assert_eq!(host.history(), Some(vec![0, 1, 2]));
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_latin_1() {
        let file = parse(b"host {\nplugin_output=Gr\xfc\xdfe\n}\n");
        assert_eq!(file.blocks[0].text("plugin_output"), Some("Grüße"));
    }

    #[test]
    fn escapes_are_undone() {
        for text in ["", "a\nb", "c:\\new\\dir\n\n", "\\", "\\\n"] {
            assert_eq!(unescape(&escape(text)), text);
        }
        assert_eq!(unescape("a\\tb\\"), "a\\tb\\");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let file = parse(&bytes);
            for block in &file.blocks {
                let _ = (block.variables().count(), block.history(), block.flag("a"));
            }
            let _ = unescape(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_truncation_loses_only_the_end(at in 0..SAMPLE.len()) {
            let (whole, cut) = (parse(SAMPLE.as_bytes()), parse(&SAMPLE.as_bytes()[..at]));
            prop_assert!(whole.blocks.starts_with(&cut.blocks));
        }

        #[test]
        fn what_is_escaped_comes_back(text in "\\PC*|[\\\\n\n]*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains('\n'));
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
