//! A command line of the configuration, read once: words without a shell where that means the same, else `/bin/sh -c`.
//! Macros stay apart from text until a run, so a value can never become a second word or shell syntax.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stentor_core::macros::Held;

use crate::Target;

/// Where programs without a directory are looked for after `$PATH`: Debian and Alpine, EL, source builds.
const PLUGIN_DIRS: [&str; 4] = [
    "/usr/lib/nagios/plugins",
    "/usr/lib64/nagios/plugins",
    "/usr/lib/monitoring-plugins",
    "/usr/local/nagios/libexec",
];

const SHELL: &str = "/bin/sh";

#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommandError {
    #[error("`command` is empty")]
    Empty,
    #[error("`command` holds a NUL byte")]
    Nul,
    #[error("a quote in `command` does not end: {0}")]
    OpenQuote(String),
    #[error("macro ${0}$ is not known here; known are $HOSTADDRESS$ and $HOSTNAME$, and $$ is a dollar sign")]
    UnknownMacro(String),
    #[error("the program itself must not come from a macro: {0}")]
    MacroProgram(String),
    #[error("program `{0}` is neither absolute nor found in $PATH or the usual plugin directories")]
    NotFound(String),
    #[error("program `{0}` depends on the working directory; write an absolute path")]
    Relative(String),
    /// At a run: the value of a macro would change the meaning of the command.
    #[error("${name}$ is `{value}`, which {why}")]
    UnsafeValue { name: &'static str, value: String, why: &'static str },
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Macro {
    HostAddress,
    HostName,
}

impl Macro {
    fn find(name: &str) -> Option<Macro> {
        match name {
            "HOSTADDRESS" => Some(Macro::HostAddress),
            "HOSTNAME" => Some(Macro::HostName),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Macro::HostAddress => "HOSTADDRESS",
            Macro::HostName => "HOSTNAME",
        }
    }

    fn value(self, target: &Target) -> &str {
        match self {
            Macro::HostAddress => &target.address,
            Macro::HostName => &target.host,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Macro(Macro),
}

/// One word: text and macros joined.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Word(Vec<Piece>);

impl Word {
    fn text(text: String) -> Word {
        Word(vec![Piece::Text(text)])
    }

    fn push(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            Some(Piece::Macro(_)) | None => self.0.push(Piece::Text(c.to_string())),
        }
    }

    /// The text, if no macro is in it.
    fn fixed(&self) -> Option<Cow<'_, str>> {
        match self.0.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [Piece::Text(text)] => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn expand(&self, target: &Target, mode: Mode) -> Result<OsString, CommandError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Macro(name) => {
                    let value = name.value(target);
                    let begins = text.is_empty() || mode == Mode::Shell;
                    if let Some(why) = danger(value, begins, mode) {
                        return Err(CommandError::UnsafeValue { name: name.name(), value: value.to_owned(), why });
                    }
                    text.push_str(value);
                }
            }
        }
        Ok(text.into())
    }
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Mode {
    Direct,
    Shell,
}

/// Why a macro's value must not be put into a command.
fn danger(value: &str, begins_word: bool, mode: Mode) -> Option<&'static str> {
    if begins_word && value.starts_with('-') {
        return Some("the program would read as an option");
    }
    if value.contains('\0') {
        return Some("holds a NUL byte");
    }
    // Quoting would not do: the configured line may already hold the macro in quotes of its own.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '%' | '@' | '/' | '+' | ',' | '-');
    (mode == Mode::Shell && !value.chars().all(plain)).then_some("holds characters that the shell would interpret")
}

/// A command that is ready to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandLine {
    program: PathBuf,
    args: Vec<Word>,
    mode: Mode,
}

impl CommandLine {
    /// Reads a command line as a shell would split it; only what needs a shell gets one.
    ///
    /// # Errors
    /// Empty, unbalanced quotes, an unknown macro, or a program that cannot be found.
    pub fn parse(line: &str) -> Result<CommandLine, CommandError> {
        if line.contains('\0') {
            return Err(CommandError::Nul);
        }
        match split(line, dollar)? {
            Split::Words(words) => CommandLine::direct(words),
            Split::NeedsShell => Ok(CommandLine::shell(template(line)?)),
        }
    }

    /// Takes a line whose macros are filled in. What plugins printed does not count for whether it needs a shell, and
    /// comes into the words afterwards.
    ///
    /// # Errors
    /// As [`CommandLine::parse`].
    pub fn from_held(held: &Held) -> Result<CommandLine, CommandError> {
        if held.line().contains('\0') {
            return Err(CommandError::Nul);
        }
        // A variable of the shell, if anything.
        let no_macro = |_: &str| Ok(Dollar::Lone);
        match split(held.line(), no_macro)? {
            Split::Words(words) => {
                let fill = |word: Word| Word::text(held.fill(&word.fixed().unwrap_or_default()).replace('\0', ""));
                CommandLine::direct(words.into_iter().map(fill).collect())
            }
            Split::NeedsShell => Ok(CommandLine::shell(Word::text(held.for_shell()))),
        }
    }

    fn shell(script: Word) -> CommandLine {
        let args = vec![Word::text("-c".to_owned()), script];
        CommandLine { program: PathBuf::from(SHELL), args, mode: Mode::Shell }
    }

    /// The program and its arguments, of a line without macros.
    pub fn into_parts(self) -> (PathBuf, Vec<OsString>) {
        let text = |word: &Word| OsString::from(word.fixed().unwrap_or_default().into_owned());
        let args = self.args.iter().map(text).collect();
        (self.program, args)
    }

    /// Takes the words as they are; never a shell.
    ///
    /// # Errors
    /// As [`CommandLine::parse`].
    pub fn from_words(words: &[String]) -> Result<CommandLine, CommandError> {
        if words.iter().any(|word| word.contains('\0')) {
            return Err(CommandError::Nul);
        }
        CommandLine::direct(words.iter().map(|word| template(word)).collect::<Result<_, _>>()?)
    }

    fn direct(words: Vec<Word>) -> Result<CommandLine, CommandError> {
        let mut words = words.into_iter();
        let program = words.next().ok_or(CommandError::Empty)?;
        let name = program.fixed().ok_or_else(|| CommandError::MacroProgram(format!("{:?}", program.0)))?;
        Ok(CommandLine { program: find_program(&name)?, args: words.collect(), mode: Mode::Direct })
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    #[cfg(test)]
    pub fn uses_shell(&self) -> bool {
        self.mode == Mode::Shell
    }

    /// The arguments for one target.
    ///
    /// # Errors
    /// A macro's value would change the meaning of the command.
    pub fn args(&self, target: &Target) -> Result<Vec<OsString>, CommandError> {
        self.args.iter().map(|word| word.expand(target, self.mode)).collect()
    }
}

/// An absolute path, because only that lets the system spawn without a fork and without a search.
fn find_program(name: &str) -> Result<PathBuf, CommandError> {
    let path = Path::new(name);
    if name.is_empty() {
        return Err(CommandError::Empty);
    }
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    if name.contains('/') {
        return Err(CommandError::Relative(name.to_owned()));
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .chain(PLUGIN_DIRS.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_absolute() && file.is_file())
        .ok_or_else(|| CommandError::NotFound(name.to_owned()))
}

/// What a `$` begins.
enum Dollar<'a> {
    /// `$$`
    Sign(&'a str),
    Macro(Macro, &'a str),
    /// A dollar sign of its own.
    Lone,
}

/// Looks at the text behind a `$`; the remainder follows the closing `$`.
fn dollar(after: &str) -> Result<Dollar<'_>, CommandError> {
    let Some((name, rest)) = after.split_once('$') else { return Ok(Dollar::Lone) };
    if name.is_empty() {
        return Ok(Dollar::Sign(rest));
    }
    if let Some(found) = Macro::find(name) {
        return Ok(Dollar::Macro(found, rest));
    }
    let shaped = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if shaped { Err(CommandError::UnknownMacro(name.to_owned())) } else { Ok(Dollar::Lone) }
}

/// Text with macros, nothing else interpreted.
fn template(text: &str) -> Result<Word, CommandError> {
    let mut word = Word::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != '$' {
            word.push(c);
            continue;
        }
        match dollar(rest)? {
            Dollar::Lone => word.push('$'),
            Dollar::Sign(after) => {
                word.push('$');
                rest = after;
            }
            Dollar::Macro(name, after) => {
                word.0.push(Piece::Macro(name));
                rest = after;
            }
        }
    }
    Ok(word)
}

enum Split {
    Words(Vec<Word>),
    NeedsShell,
}

#[derive(Copy, Clone, Eq, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
}

/// Splits into words by the shell's rules for quotes and backslashes, or finds that only a shell can.
fn split<'l>(
    line: &'l str,
    dollar: impl Fn(&'l str) -> Result<Dollar<'l>, CommandError>,
) -> Result<Split, CommandError> {
    let mut words = Vec::new();
    // `Some` once a word has begun, so that `""` is a word.
    let mut word: Option<Word> = None;
    let mut quote = Quote::None;
    let mut needs_shell = begins_with_assignment(line);
    let mut rest = line.trim();
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match (quote, c) {
            (Quote::None, ' ' | '\t') => words.extend(word.take()),
            (Quote::None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = if c == '"' { Quote::Double } else { Quote::Single };
            }
            (Quote::Single, '\'') | (Quote::Double, '"') => quote = Quote::None,
            (_, '$') => match dollar(rest)? {
                Dollar::Macro(name, after) => {
                    word.get_or_insert_default().0.push(Piece::Macro(name));
                    rest = after;
                }
                Dollar::Sign(after) => {
                    needs_shell |= quote != Quote::Single;
                    word.get_or_insert_default().push('$');
                    rest = after;
                }
                Dollar::Lone => {
                    needs_shell |= quote != Quote::Single;
                    word.get_or_insert_default().push('$');
                }
            },
            (Quote::None | Quote::Double, '\\') => {
                let Some(next) = rest.chars().next() else { return Err(CommandError::OpenQuote(line.to_owned())) };
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
                let word = word.get_or_insert_default();
                if quote == Quote::Double && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (Quote::None | Quote::Double, '`') => needs_shell = true,
            (Quote::None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '\n') => needs_shell = true,
            (Quote::None, '~' | '#') if word.is_none() => needs_shell = true,
            (Quote::None | Quote::Single | Quote::Double, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote != Quote::None {
        return Err(CommandError::OpenQuote(line.to_owned()));
    }
    words.extend(word);
    Ok(if needs_shell { Split::NeedsShell } else { Split::Words(words) })
}

/// `VAR=value program`: only a shell knows that.
fn begins_with_assignment(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    first.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stentor_core::Timestamp;
    use stentor_core::macros::facts::{HostFacts, NoWorld, ObjectFacts, ProgramFacts};
    use stentor_core::macros::{CommandCall, Context, Options, expand_command_held};

    use super::*;

    fn target(address: &str) -> Target {
        Target { host: "web01".into(), address: address.into(), bmc: None }
    }

    /// Program and arguments for a harmless host, the program first.
    fn words(line: &str) -> Vec<String> {
        let command = CommandLine::parse(line).expect(line);
        let args = command.args(&target("192.0.2.1")).expect(line);
        let args = args.into_iter().map(|arg| arg.into_string().expect("UTF-8"));
        std::iter::once(command.program().display().to_string()).chain(args).collect()
    }

    #[test]
    fn lines_without_shell_syntax_run_directly() {
        for (line, expected) in [
            ("/p/check_disk -w 20% -c 10% -p /", &["/p/check_disk", "-w", "20%", "-c", "10%", "-p", "/"][..]),
            ("/p/c  'a b'  \"c d\" e\\ f", &["/p/c", "a b", "c d", "e f"]),
            ("/p/c '' \"\"", &["/p/c", "", ""]),
            ("/p/c -H $HOSTADDRESS$ -n x$HOSTNAME$y", &["/p/c", "-H", "192.0.2.1", "-n", "xweb01y"]),
            ("/p/c '^a$' 'a|b;c' \"x\\\"y\"", &["/p/c", "^a$", "a|b;c", "x\"y"]),
            ("/p/c '$$5' a'b'c", &["/p/c", "$5", "abc"]),
            ("/p/c -u /a#b~c -e 'HTTP/1.1 200'", &["/p/c", "-u", "/a#b~c", "-e", "HTTP/1.1 200"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn shell_syntax_gets_a_shell_with_the_line_as_written() {
        for line in [
            "/p/c | grep x",
            "/p/c; /p/d",
            "/p/c && true",
            "/p/c > /tmp/x",
            "/p/c *.log",
            "X=1 /p/c",
            "/p/c `id`",
            "/p/c ~/x",
            "/p/c \"`id`\"",
            "(/p/c)",
            "/p/c [ab]",
        ] {
            assert_eq!(words(line), ["/bin/sh", "-c", line], "{line}");
        }
        assert_eq!(words("/p/c $$HOME | x $HOSTADDRESS$"), ["/bin/sh", "-c", "/p/c $HOME | x 192.0.2.1"]);
    }

    #[test]
    fn a_host_address_cannot_inject() {
        let direct = CommandLine::parse("/p/c -H $HOSTADDRESS$").expect("valid");
        let evil = "1.2.3.4; rm -rf / $(id) 'x'";
        assert_eq!(direct.args(&target(evil)).expect("one word"), ["-H", evil]);
        assert!(matches!(direct.args(&target("-oProxyCommand=id")), Err(CommandError::UnsafeValue { .. })));

        let shell = CommandLine::parse("/p/c -H '$HOSTADDRESS$' | cat").expect("valid");
        for evil in [evil, "a'b", "a b", "`id`", "$(id)", "a\nb", "-x", "a|b", "a;b", "ä"] {
            assert!(matches!(shell.args(&target(evil)), Err(CommandError::UnsafeValue { .. })), "{evil:?}");
        }
        assert!(shell.args(&target("fe80::1%eth0")).is_ok());
    }

    #[test]
    fn what_cannot_work_is_refused_when_read() {
        for (line, expected) in [
            ("", CommandError::Empty),
            ("  ", CommandError::Empty),
            ("/p/c 'open", CommandError::OpenQuote("/p/c 'open".to_owned())),
            ("/p/c end\\", CommandError::OpenQuote("/p/c end\\".to_owned())),
            ("/p/c $ARG1$", CommandError::UnknownMacro("ARG1".to_owned())),
            ("./c x", CommandError::Relative("./c".to_owned())),
            ("no-such-program-anywhere", CommandError::NotFound("no-such-program-anywhere".to_owned())),
            ("/p/c \0", CommandError::Nul),
        ] {
            assert_eq!(CommandLine::parse(line), Err(expected), "{line:?}");
        }
        assert!(matches!(CommandLine::parse("$HOSTNAME$ x"), Err(CommandError::MacroProgram(_))));
        assert_eq!(CommandLine::from_words(&[]), Err(CommandError::Empty));
    }

    #[test]
    fn a_list_of_words_never_meets_a_shell() {
        let command = CommandLine::from_words(&["/p/c".into(), "a|b; $$x *".into(), "".into()]).expect("valid");
        assert!(!command.uses_shell());
        assert_eq!(command.args(&target("h")).expect("safe"), ["a|b; $x *", ""]);
    }

    #[test]
    fn a_bare_name_is_found_once_and_becomes_absolute() {
        assert!(CommandLine::parse("sh -c true").expect("a shell is everywhere").program().is_absolute());
    }

    fn held(line: &str, output: &str) -> Held {
        let world = NoWorld;
        let program = ProgramFacts::default();
        let object = ObjectFacts { output, ..ObjectFacts::default() };
        let host = Some(HostFacts { name: "web01", object, ..HostFacts::default() });
        let context = Context { host, ..Context::new(&world, &program, Timestamp::ZERO) };
        expand_command_held(line, &CommandCall::parse("c!a b!$HOSTOUTPUT$"), &context, Options::raw()).expect("short")
    }

    /// What a shell, or the system, hands to a program that prints each of its arguments on a line.
    fn printed(line: &str, output: &str) -> String {
        let command = CommandLine::from_held(&held(line, output)).expect(line);
        let args = command.args(&target("h")).expect("no macros are left");
        let run = std::process::Command::new(command.program()).args(args).output().expect("runs");
        assert!(run.status.success() && run.stderr.is_empty(), "{line} with {output:?}: {run:?}");
        String::from_utf8_lossy(&run.stdout).into_owned()
    }

    #[test]
    fn what_a_plugin_printed_needs_no_shell_and_gets_none() {
        let line = held("/p/c $ARG1$ '$HOSTOUTPUT$' $ARG2$ -n $HOSTNAME$", "x; id | `y` \"z\"");
        let command = CommandLine::from_held(&line).expect("valid");
        assert!(!command.uses_shell());
        let output = "x; id | `y` \"z\"";
        assert_eq!(command.args(&target("h")).expect("safe"), ["a", "b", output, output, "-n", "web01"]);
        assert!(CommandLine::from_held(&held("/p/c $HOSTOUTPUT$ | cat", "x")).expect("valid").uses_shell());
        assert!(CommandLine::from_held(&held("/p/c $HOME", "x")).expect("valid").uses_shell());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_output_gets_out_of_its_quotes(output in "[ -~é]{1,12}|[$`'\"\\\\;&|<>(){}*?!#~ \n]{1,12}") {
            for line in [
                "printf '%s\\n' \"$HOSTOUTPUT$\"",
                "printf '%s\\n' \"$ARG2$\"",
                "printf '%s\\n' \"$HOSTOUTPUT$\" | cat",
                "printf '%s\\n' '$HOSTOUTPUT$' | cat",
            ] {
                prop_assert_eq!(printed(line, &output), format!("{output}\n"), "{}", line);
            }
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".{0,60}", address in ".{0,20}") {
            if let Ok(command) = CommandLine::parse(&line) {
                prop_assert!(command.program().is_absolute());
                let _ = command.args(&target(&address));
            }
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^\0$']{0,10}", 0..5)) {
            let line = words.iter().fold("/p/c".to_owned(), |line, word| format!("{line} '{word}'"));
            let command = CommandLine::parse(&line).expect("quoted");
            prop_assert!(!command.uses_shell());
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            prop_assert_eq!(command.args(&target("h")).expect("no macros"), words);
        }
    }
}
