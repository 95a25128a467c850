//! Bytes in pieces to whole lines. A line that is too long is passed over and counted; the next one is read as ever.

/// Plugin output of 64 KiB with every byte escaped, and room for names.
pub const LINE_BYTES_MAX: usize = 160 * 1024;

/// Bytes of a line whose end has not come.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// The present line is too long: its rest is passed over.
    skips: bool,
}

/// What one piece completed.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Completed {
    /// Without their line ends; broken UTF-8 is replaced. Empty lines are left out.
    pub lines: Vec<String>,
    pub too_long: usize,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) -> Completed {
        let mut done = Completed::default();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.keep(line);
            self.finish(&mut done);
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
        done
    }

    /// The last line may lack its line end.
    pub fn end(&mut self) -> Completed {
        let mut done = Completed::default();
        self.finish(&mut done);
        done
    }

    fn keep(&mut self, part: &[u8]) {
        if self.begun.len() + part.len() > LINE_BYTES_MAX {
            self.skips = true;
        }
        if self.skips {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn finish(&mut self, done: &mut Completed) {
        if std::mem::take(&mut self.skips) {
            done.too_long += 1;
        } else if !self.begun.trim_ascii().is_empty() {
            done.lines.push(String::from_utf8_lossy(&self.begun).into_owned());
        }
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_that_is_too_long_does_not_take_the_next_one_with_it() {
        let mut lines = Lines::default();
        let mut bytes = vec![b'x'; LINE_BYTES_MAX + 1];
        bytes.extend_from_slice(b"\n[1] A\n\n \n[2] B");
        let mut done = Completed::default();
        for piece in bytes.chunks(4096) {
            let part = lines.push(piece);
            done.lines.extend(part.lines);
            done.too_long += part.too_long;
        }
        assert_eq!(done, Completed { lines: vec!["[1] A".into()], too_long: 1 });
        assert_eq!(lines.end().lines, ["[2] B"]);
        assert_eq!(lines.end(), Completed::default());
    }

    #[test]
    fn a_line_of_the_greatest_length_is_kept() {
        let mut lines = Lines::default();
        let long = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(lines.push(format!("{long}\n").as_bytes()).lines, [long]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(text in "[a-z \n]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let whole: Vec<&str> = text.split('\n').filter(|line| !line.trim().is_empty()).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut lines = Lines::default();
            let mut seen: Vec<String> = Vec::new();
            for pair in cuts.windows(2) {
                seen.extend(lines.push(&text.as_bytes()[pair[0]..pair[1]]).lines);
            }
            seen.extend(lines.end().lines);
            prop_assert_eq!(seen, whole);
        }
    }
}
