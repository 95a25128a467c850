//! External commands: `[time] NAME;argument;…` to what is asked for. Never decides whether it may be done.

/// One line, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Epoch seconds from the brackets; entry time of acknowledgements and passive results.
    pub entered_at: Option<i64>,
    pub command: ExternalCommand,
}

/// A host, or a service on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    pub host: String,
    pub service: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExternalCommand {
    Acknowledge(Acknowledge),
    RemoveAcknowledgement(Object),
    ScheduleDowntime(ScheduleDowntime),
    DeleteDowntime {
        id: u64,
        of: DowntimeKind,
    },
    ProcessResult(PassiveResult),
    /// `at` in epoch seconds; the past means now.
    ScheduleForcedCheck {
        object: Object,
        at: i64,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acknowledge {
    pub object: Object,
    /// `2` in the field; everything else is a normal acknowledgement.
    pub sticky: bool,
    pub notify: bool,
    pub persistent: bool,
    pub author: String,
    pub comment: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScheduleDowntime {
    pub target: DowntimeTarget,
    /// Epoch seconds.
    pub start: i64,
    pub end: i64,
    pub fixed: bool,
    pub trigger_id: u64,
    /// Seconds; means something only for flexible downtimes.
    pub duration: i64,
    pub author: String,
    pub comment: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DowntimeTarget {
    Object(Object),
    /// Every service of the host, but not the host.
    ServicesOf(String),
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum DowntimeKind {
    Host,
    Service,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassiveResult {
    pub object: Object,
    /// Service: 0..=3, everything else is UNKNOWN. Host: 0 UP, 1 DOWN, 2 UNREACHABLE.
    pub code: i32,
    /// Plugin text with its newlines restored.
    pub output: String,
}

/// Why a line was refused, for the person who wrote it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    #[error("the line is empty")]
    Empty,
    #[error("`[` must be followed by epoch seconds, `]`, a blank and a command")]
    Time,
    #[error("`{0}` is not a command that Stentor knows")]
    Unknown(String),
    #[error("{name} needs {arguments}")]
    TooFew { name: &'static str, arguments: &'static str },
    #[error("{name}: `{field}` must not be empty")]
    EmptyField { name: &'static str, field: &'static str },
    #[error("{name}: `{field}` must be a whole number, not `{text}`")]
    NotANumber { name: &'static str, field: &'static str, text: String },
    #[error("{name}: a host's state is 0 (UP), 1 (DOWN) or 2 (UNREACHABLE), not {code}")]
    HostCode { name: &'static str, code: i64 },
}

/// Names and their arguments (specification 04, section 2), in upper case.
const COMMANDS: [(&str, &str); 13] = [
    ("ACKNOWLEDGE_HOST_PROBLEM", "host;sticky;notify;persistent;author;comment"),
    ("ACKNOWLEDGE_SVC_PROBLEM", "host;service;sticky;notify;persistent;author;comment"),
    ("REMOVE_HOST_ACKNOWLEDGEMENT", "host"),
    ("REMOVE_SVC_ACKNOWLEDGEMENT", "host;service"),
    ("SCHEDULE_HOST_DOWNTIME", "host;start;end;fixed;trigger_id;duration;author;comment"),
    ("SCHEDULE_HOST_SVC_DOWNTIME", "host;start;end;fixed;trigger_id;duration;author;comment"),
    ("SCHEDULE_SVC_DOWNTIME", "host;service;start;end;fixed;trigger_id;duration;author;comment"),
    ("DEL_HOST_DOWNTIME", "downtime_id"),
    ("DEL_SVC_DOWNTIME", "downtime_id"),
    ("PROCESS_HOST_CHECK_RESULT", "host;code;output"),
    ("PROCESS_SERVICE_CHECK_RESULT", "host;service;code;output"),
    ("SCHEDULE_FORCED_HOST_CHECK", "host;time"),
    ("SCHEDULE_FORCED_SVC_CHECK", "host;service;time"),
];

/// Reads one line, with or without its `[time]`.
///
/// # Errors
/// The line names no known command, or its arguments do not fit.
pub fn parse(line: &str) -> Result<Line, LineError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let (entered_at, rest) = match line.strip_prefix('[') {
        None => (None, line),
        Some(rest) => {
            let (time, rest) = rest.split_once("] ").ok_or(LineError::Time)?;
            (Some(time.trim().parse().map_err(|_| LineError::Time)?), rest)
        }
    };
    if rest.trim().is_empty() {
        return Err(LineError::Empty);
    }
    let (name, arguments) = rest.split_once(';').unwrap_or((rest, ""));
    let known = COMMANDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
    let Some((name, signature)) = known else { return Err(LineError::Unknown(shown(name))) };
    let fields = Fields::split(name, signature, arguments)?;
    Ok(Line { entered_at, command: command(name, &fields)? })
}

fn command(name: &'static str, fields: &Fields<'_>) -> Result<ExternalCommand, LineError> {
    let host = || -> Result<Object, LineError> { Ok(Object { host: fields.name("host")?, service: None }) };
    let service = || -> Result<Object, LineError> {
        Ok(Object { host: fields.name("host")?, service: Some(fields.name("service")?) })
    };
    Ok(match name {
        "ACKNOWLEDGE_HOST_PROBLEM" => ExternalCommand::Acknowledge(acknowledge(host()?, fields)?),
        "ACKNOWLEDGE_SVC_PROBLEM" => ExternalCommand::Acknowledge(acknowledge(service()?, fields)?),
        "REMOVE_HOST_ACKNOWLEDGEMENT" => ExternalCommand::RemoveAcknowledgement(host()?),
        "REMOVE_SVC_ACKNOWLEDGEMENT" => ExternalCommand::RemoveAcknowledgement(service()?),
        "SCHEDULE_HOST_DOWNTIME" => downtime(DowntimeTarget::Object(host()?), fields)?,
        "SCHEDULE_HOST_SVC_DOWNTIME" => downtime(DowntimeTarget::ServicesOf(fields.name("host")?), fields)?,
        "SCHEDULE_SVC_DOWNTIME" => downtime(DowntimeTarget::Object(service()?), fields)?,
        "DEL_HOST_DOWNTIME" => {
            ExternalCommand::DeleteDowntime { id: fields.number("downtime_id")?, of: DowntimeKind::Host }
        }
        "DEL_SVC_DOWNTIME" => {
            ExternalCommand::DeleteDowntime { id: fields.number("downtime_id")?, of: DowntimeKind::Service }
        }
        "PROCESS_HOST_CHECK_RESULT" => result(name, host()?, fields)?,
        "PROCESS_SERVICE_CHECK_RESULT" => result(name, service()?, fields)?,
        "SCHEDULE_FORCED_HOST_CHECK" => {
            ExternalCommand::ScheduleForcedCheck { object: host()?, at: fields.number("time")? }
        }
        "SCHEDULE_FORCED_SVC_CHECK" => {
            ExternalCommand::ScheduleForcedCheck { object: service()?, at: fields.number("time")? }
        }
        other => return Err(LineError::Unknown(other.to_owned())),
    })
}

fn acknowledge(object: Object, fields: &Fields<'_>) -> Result<Acknowledge, LineError> {
    Ok(Acknowledge {
        object,
        sticky: fields.number::<i64>("sticky")? == 2,
        notify: fields.number::<i64>("notify")? > 0,
        persistent: fields.number::<i64>("persistent")? > 0,
        author: fields.text("author"),
        comment: fields.text("comment"),
    })
}

fn downtime(target: DowntimeTarget, fields: &Fields<'_>) -> Result<ExternalCommand, LineError> {
    Ok(ExternalCommand::ScheduleDowntime(ScheduleDowntime {
        target,
        start: fields.number("start")?,
        end: fields.number("end")?,
        fixed: fields.number::<i64>("fixed")? > 0,
        trigger_id: fields.number_or_empty("trigger_id")?,
        duration: fields.number_or_empty("duration")?,
        author: fields.text("author"),
        comment: fields.text("comment"),
    }))
}

fn result(name: &'static str, object: Object, fields: &Fields<'_>) -> Result<ExternalCommand, LineError> {
    let code: i64 = fields.number("code")?;
    if object.service.is_none() && !(0..=2).contains(&code) {
        return Err(LineError::HostCode { name, code });
    }
    let code = i32::try_from(code).unwrap_or(3);
    Ok(ExternalCommand::ProcessResult(PassiveResult { object, code, output: unescape(&fields.text("output")) }))
}

/// The arguments of one command by the names of its signature.
struct Fields<'a> {
    name: &'static str,
    signature: &'static str,
    values: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// The last argument takes the rest of the line, `;` included. A missing last free text is empty, as in Nagios.
    fn split(name: &'static str, signature: &'static str, arguments: &'a str) -> Result<Fields<'a>, LineError> {
        let count = signature.split(';').count();
        let values: Vec<&str> = arguments.splitn(count, ';').collect();
        let last_is_text = signature.ends_with(";comment") || signature.ends_with(";output");
        if values.len() + usize::from(last_is_text) < count {
            return Err(LineError::TooFew { name, arguments: signature });
        }
        Ok(Fields { name, signature, values })
    }

    fn get(&self, field: &'static str) -> &'a str {
        let at = self.signature.split(';').position(|known| known == field);
        at.and_then(|at| self.values.get(at)).copied().unwrap_or_default()
    }

    fn text(&self, field: &'static str) -> String {
        self.get(field).trim().to_owned()
    }

    fn name(&self, field: &'static str) -> Result<String, LineError> {
        let text = self.text(field);
        if text.is_empty() { Err(LineError::EmptyField { name: self.name, field }) } else { Ok(text) }
    }

    fn number<T: std::str::FromStr>(&self, field: &'static str) -> Result<T, LineError> {
        let text = self.get(field).trim();
        text.parse().map_err(|_| LineError::NotANumber { name: self.name, field, text: shown(text) })
    }

    fn number_or_empty<T: std::str::FromStr + Default>(&self, field: &'static str) -> Result<T, LineError> {
        if self.get(field).trim().is_empty() { Ok(T::default()) } else { self.number(field) }
    }
}

/// The two characters `\n` become a newline, `\\` a backslash; a lone backslash stays.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            (c, _) => out.push(c),
        }
    }
    out
}

/// Enough of a wrong word to recognise it.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut out: String = text.trim().chars().take(CHARS_MAX).collect();
    if text.trim().chars().nth(CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(host: &str, service: &str) -> Object {
        Object { host: host.to_owned(), service: Some(service.to_owned()) }
    }

    fn host(host: &str) -> Object {
        Object { host: host.to_owned(), service: None }
    }

    fn check(line: &str, entered_at: Option<i64>, command: ExternalCommand) {
        assert_eq!(parse(line), Ok(Line { entered_at, command }), "{line}");
    }

    #[test]
    fn acknowledgements_are_read() {
        let ack = |object, sticky| {
            ExternalCommand::Acknowledge(Acknowledge {
                object,
                sticky,
                notify: true,
                persistent: false,
                author: "ann".into(),
                comment: "on it; call me".into(),
            })
        };
        check(
            "[1700000000] ACKNOWLEDGE_SVC_PROBLEM;web 01;disk /;2;1;0;ann;on it; call me",
            Some(1_700_000_000),
            ack(service("web 01", "disk /"), true),
        );
        check("acknowledge_host_problem;web01;1;1;0;ann;on it; call me\n", None, ack(host("web01"), false));
        check("[1] REMOVE_SVC_ACKNOWLEDGEMENT;h;s", Some(1), ExternalCommand::RemoveAcknowledgement(service("h", "s")));
        check("[1] REMOVE_HOST_ACKNOWLEDGEMENT;h", Some(1), ExternalCommand::RemoveAcknowledgement(host("h")));
    }

    #[test]
    fn downtimes_are_read() {
        let of = |target, fixed, trigger_id, duration| {
            ExternalCommand::ScheduleDowntime(ScheduleDowntime {
                target,
                start: 100,
                end: 200,
                fixed,
                trigger_id,
                duration,
                author: "ann".into(),
                comment: "disk swap".into(),
            })
        };
        check(
            "SCHEDULE_HOST_DOWNTIME;h;100;200;1;0;7200;ann;disk swap",
            None,
            of(DowntimeTarget::Object(host("h")), true, 0, 7200),
        );
        check(
            "SCHEDULE_SVC_DOWNTIME;h;s;100;200;0;9;60;ann;disk swap",
            None,
            of(DowntimeTarget::Object(service("h", "s")), false, 9, 60),
        );
        check(
            "SCHEDULE_HOST_SVC_DOWNTIME;h;100;200;1;;;ann;disk swap",
            None,
            of(DowntimeTarget::ServicesOf("h".into()), true, 0, 0),
        );
        check("DEL_HOST_DOWNTIME;17", None, ExternalCommand::DeleteDowntime { id: 17, of: DowntimeKind::Host });
        check("DEL_SVC_DOWNTIME;18", None, ExternalCommand::DeleteDowntime { id: 18, of: DowntimeKind::Service });
    }

    #[test]
    fn passive_results_keep_their_text() {
        let result = |object, code, output: &str| {
            ExternalCommand::ProcessResult(PassiveResult { object, code, output: output.into() })
        };
        check(
            r"PROCESS_SERVICE_CHECK_RESULT;h;s;2;bad; worse | a=1;2;3\nmore\\n",
            None,
            result(service("h", "s"), 2, "bad; worse | a=1;2;3\nmore\\n"),
        );
        check("PROCESS_SERVICE_CHECK_RESULT;h;s;0", None, result(service("h", "s"), 0, ""));
        check("PROCESS_SERVICE_CHECK_RESULT;h;s;99999999999;x", None, result(service("h", "s"), 3, "x"));
        check("PROCESS_HOST_CHECK_RESULT;h;1;gone", None, result(host("h"), 1, "gone"));
    }

    #[test]
    fn forced_checks_are_read() {
        check(
            "SCHEDULE_FORCED_SVC_CHECK;h;s;5",
            None,
            ExternalCommand::ScheduleForcedCheck { object: service("h", "s"), at: 5 },
        );
        check(
            "SCHEDULE_FORCED_HOST_CHECK;h;-1",
            None,
            ExternalCommand::ScheduleForcedCheck { object: host("h"), at: -1 },
        );
    }

    #[test]
    fn every_refusal_says_what_is_wrong() {
        for (line, words) in [
            ("", "empty"),
            ("[17] ", "empty"),
            ("[17]ACKNOWLEDGE_HOST_PROBLEM;h", "blank"),
            ("[x] DEL_SVC_DOWNTIME;1", "epoch seconds"),
            ("SHUTDOWN_PROGRAM", "`SHUTDOWN_PROGRAM` is not a command"),
            ("ACKNOWLEDGE_SVC_PROBLEM;h;s", "needs host;service;sticky"),
            ("ACKNOWLEDGE_SVC_PROBLEM;;s;1;1;1;a;c", "`host` must not be empty"),
            ("ACKNOWLEDGE_SVC_PROBLEM;h;s;yes;1;1;a;c", "`sticky` must be a whole number, not `yes`"),
            ("DEL_SVC_DOWNTIME;-1", "downtime_id"),
            ("PROCESS_HOST_CHECK_RESULT;h;3;x", "not 3"),
        ] {
            let message = parse(line).expect_err("refused").to_string();
            assert!(message.contains(words), "{line:?}: {message}");
        }
    }

    #[test]
    fn every_name_of_the_table_leads_to_a_command() {
        for (name, signature) in COMMANDS.iter() {
            let arguments = vec!["1"; signature.split(';').count()].join(";");
            assert!(parse(&format!("{name};{arguments}")).is_ok(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_answered_without_panic(line in any::<String>()) {
            let _ = parse(&line);
        }

        #[test]
        fn any_truncation_of_a_good_line_is_answered(at in 0usize..120) {
            let line = r"[1700000000] SCHEDULE_SVC_DOWNTIME;wéb;dïsk;100;200;1;0;7200;änn;swap; then \n reboot";
            let cut: String = line.chars().take(at).collect();
            let _ = parse(&cut);
        }

        #[test]
        fn names_and_comments_survive(host in "[^;\n\r]{0,8}[a-z]", service in "[^;\n\r]{0,8}[a-z]", comment in "[^\n\r]{0,20}") {
            let line = format!("[5] ACKNOWLEDGE_SVC_PROBLEM;{host};{service};2;1;1;me;{comment}");
            let Ok(Line { command: ExternalCommand::Acknowledge(ack), .. }) = parse(&line) else {
                panic!("{line}: {:?}", parse(&line));
            };
            prop_assert_eq!(&ack.object.host, host.trim());
            prop_assert_eq!(ack.object.service.as_deref(), Some(service.trim()));
            prop_assert_eq!(&ack.comment, comment.trim());
        }

        #[test]
        fn escaped_newlines_come_back(text in "[a-z\\\\\n]{0,20}") {
            let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
