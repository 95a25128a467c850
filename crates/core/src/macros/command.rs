//! `check_command name!a1!a2` and the command line that it calls.

use std::borrow::Cow;

use super::context::{ARGS_MAX, Context};
use super::facts::World;
use super::{Encode, ExpandError, Held, Options, Run, expand};

/// The call of a command: its name and what stands between exclamation marks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandCall<'a> {
    pub name: &'a str,
    /// Not yet expanded; at most 32, the rest is dropped as Nagios drops it.
    pub args: Vec<Cow<'a, str>>,
}

impl<'a> CommandCall<'a> {
    /// `\!` is an exclamation mark of the argument; other backslashes stay.
    pub fn parse(text: &'a str) -> Self {
        let mut pieces = Pieces { rest: Some(text) };
        let name = match text.find('!') {
            None => text,
            Some(end) => text.get(..end).unwrap_or(text),
        };
        pieces.rest = text.get(name.len()..).and_then(|rest| rest.strip_prefix('!'));
        CommandCall { name: name.trim(), args: pieces.take(ARGS_MAX).collect() }
    }

    /// The values of `$ARG1$`...: macros in the arguments filled in, what came from outside cleaned.
    ///
    /// # Errors
    /// An argument would grow past the limit.
    pub fn expand_args<W: World + ?Sized>(
        &self,
        context: &Context<'_, W>,
        options: Options<'_>,
    ) -> Result<Vec<String>, ExpandError> {
        self.args_in(context, &Run::new(options))
    }

    fn args_in<W: World + ?Sized>(&self, context: &Context<'_, W>, run: &Run<'_>) -> Result<Vec<String>, ExpandError> {
        // Arguments know no arguments.
        let context = Context { args: &[], ..*context };
        self.args.iter().map(|arg| run.expand(arg, &context, Encode::No)).collect()
    }
}

/// Splits at `!`, not at `\!`.
struct Pieces<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let text = self.rest?;
        let is_escaped = |at: usize| text.get(..at).is_some_and(|before| before.ends_with('\\'));
        let end = text.match_indices('!').map(|(at, _)| at).find(|at| !is_escaped(*at));
        let piece = end.and_then(|end| text.get(..end)).unwrap_or(text);
        self.rest = end.and_then(|end| text.get(end + 1..));
        Some(if piece.contains("\\!") { Cow::Owned(piece.replace("\\!", "!")) } else { Cow::Borrowed(piece) })
    }
}

/// The command line of a command for one call in a context.
///
/// # Errors
/// The line would grow past the limit.
pub fn expand_command<W: World + ?Sized>(
    command_line: &str,
    call: &CommandCall<'_>,
    context: &Context<'_, W>,
    options: Options<'_>,
) -> Result<String, ExpandError> {
    let args = call.expand_args(context, options)?;
    expand(command_line, &Context { args: &args, ..*context }, options)
}

/// As [`expand_command`], with the values from outside kept apart: what becomes of them is decided when it is known
/// whether a shell reads the line.
///
/// # Errors
/// The line, or one of the values, would grow past the limit.
pub fn expand_command_held<W: World + ?Sized>(
    command_line: &str,
    call: &CommandCall<'_>,
    context: &Context<'_, W>,
    options: Options<'_>,
) -> Result<Held, ExpandError> {
    let run = Run::holding(options);
    let args = call.args_in(context, &run)?;
    let line = run.expand(command_line, &Context { args: &args, ..*context }, Encode::No)?;
    let filled = Held::new(line, run.into_held());
    // One mark may stand in many places.
    Run::new(options).check_length(filled.length())?;
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_split_at_bare_exclamation_marks() {
        for (text, name, args) in [
            ("check", "check", &[][..]),
            ("check!", "check", &[""]),
            ("check!a!b", "check", &["a", "b"]),
            ("check!!b!", "check", &["", "b", ""]),
            (r"check!a\!b!c\d", "check", &["a!b", r"c\d"]),
            (r"check!a\\!b", "check", &[r"a\!b"]),
            ("", "", &[]),
        ] {
            let call = CommandCall::parse(text);
            assert_eq!(
                (call.name, call.args.iter().map(|arg| &**arg).collect::<Vec<_>>()),
                (name, args.to_vec()),
                "{text}"
            );
        }
        let many = format!("check{}", "!x".repeat(40));
        assert_eq!(CommandCall::parse(&many).args.len(), ARGS_MAX);
    }
}
