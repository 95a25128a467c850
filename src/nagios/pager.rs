//! The `command` channel: notices to Nagios contacts through the contacts' own commands.

use std::time::Duration;

use async_trait::async_trait;
use stentor_core::model::{COMMAND_CHANNEL, CommandRun};

use crate::notifiers::{Message, Notifier, Receipt, SendError, cut};
use crate::probes::exec::{End, run_line};

/// Exit status of a command that asks to be run again later (`EX_TEMPFAIL` of sysexits.h).
const EXIT_TRY_AGAIN: i32 = 75;
/// Of what a command printed, so much is kept as its receipt or its error.
const SAID_BYTES_MAX: usize = 500;

/// Runs notification commands.
#[derive(Copy, Clone, Debug)]
pub struct Pager {
    /// `notification_timeout`: the command's whole process group is killed after it.
    pub timeout: Duration,
}

#[async_trait]
impl Notifier for Pager {
    fn channel(&self) -> &'static str {
        COMMAND_CHANNEL
    }

    /// Runs the commands one after the other. One that fails does not keep the others from running; one that was not
    /// started, or asks for it with exit status 75, is worth another try if it is the only one.
    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let Some(notice) = &message.notification.notice else {
            let message = "the row holds no notice".to_owned();
            return Err(SendError::Permanent { message });
        };
        let (mut done, mut failed, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for run in &notice.commands {
            match self.run(run).await {
                Ok(receipt) => done.push(receipt),
                Err(SendError::Transient { message, .. }) => again.push(message),
                Err(SendError::Permanent { message }) => failed.push(message),
            }
        }
        match (done.is_empty() && failed.is_empty(), again.is_empty() && failed.is_empty()) {
            (_, true) => Ok(Receipt(done.join("; "))),
            (true, false) => Err(SendError::Transient { message: again.join("; "), retry_after: None }),
            (false, false) => {
                failed.append(&mut again);
                Err(SendError::Permanent { message: failed.join("; ") })
            }
        }
    }
}

impl Pager {
    async fn run(&self, run: &CommandRun) -> Result<String, SendError> {
        let name = &run.name;
        let ran = match run_line(&run.line, &run.environment, self.timeout).await {
            Ok(ran) => ran,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(SendError::Permanent { message: format!("{name} cannot be run: {error}") });
            }
            Err(error) => {
                let message = format!("{name} cannot be started: {error}");
                return Err(SendError::Transient { message, retry_after: None });
            }
        };
        let said = cut(&ran.said, SAID_BYTES_MAX);
        match ran.end {
            End::Exited(0) => Ok(format!("{name} exited 0")),
            End::Exited(EXIT_TRY_AGAIN) => {
                let message = format!("{name} asks to be tried again: {said}");
                Err(SendError::Transient { message, retry_after: None })
            }
            End::Exited(code) => Err(SendError::Permanent { message: format!("{name} exited {code}: {said}") }),
            End::Signalled(signal) => {
                Err(SendError::Permanent { message: format!("{name} was killed by signal {signal}: {said}") })
            }
            End::TimedOut => {
                let seconds = self.timeout.as_secs_f64();
                Err(SendError::Permanent { message: format!("{name} did not end within {seconds} s and was killed") })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stentor_core::Timestamp;
    use stentor_core::model::{Notice, NoticeKind, Notification, ObjectKey};

    use super::*;

    fn message(lines: &[&str]) -> Message {
        let run = |line: &&str| CommandRun { name: "page".into(), line: (*line).into(), environment: Vec::new() };
        let notice = Notice {
            key: "nowhere/web1/1/PROBLEM/ann".into(),
            id: 1,
            kind: NoticeKind::Problem,
            object: ObjectKey { host: "web1".into(), service: None },
            contact: "ann".into(),
            state: "DOWN".into(),
            number: 1,
            escalated: false,
            output: "gone".into(),
            author: Arc::default(),
            comment: Arc::default(),
            commands: lines.iter().map(run).collect(),
            because: Arc::default(),
            seq: 1,
            created_at: Timestamp::from_secs(1),
        };
        let notification = Notification::of_notice(notice, &"here".into());
        let thread = notification.key.to_string();
        Message { notification, thread, url: String::new(), steps: Vec::new(), instance: "nowhere".to_owned() }
    }

    async fn send(lines: &[&str]) -> Result<Receipt, SendError> {
        Pager { timeout: Duration::from_secs(10) }.send(&message(lines)).await
    }

    #[tokio::test]
    async fn what_a_command_printed_and_how_it_ended_is_told() {
        assert_eq!(send(&["/bin/sh -c 'exit 0'"]).await.unwrap().0, "page exited 0");
        let refused = send(&["/bin/sh -c 'echo no such pager; exit 3'"]).await.unwrap_err();
        assert_eq!(refused.to_string(), "page exited 3: no such pager");
        assert!(matches!(refused, SendError::Permanent { .. }));
        let busy = send(&["/bin/sh -c 'echo busy >&2; exit 75'"]).await.unwrap_err();
        assert_eq!(busy.to_string(), "page asks to be tried again: busy");
        assert!(matches!(busy, SendError::Transient { .. }));
    }

    #[tokio::test]
    async fn pipes_of_a_notification_command_work() {
        let folder = tempfile::tempdir().unwrap();
        let mail = folder.path().join("mail");
        let line = format!("/usr/bin/printf '%b' \"Host: web1\\nCost: 5$\\n\" | /bin/cat > {}", mail.display());
        send(&[&line]).await.unwrap();
        assert_eq!(std::fs::read_to_string(mail).unwrap(), "Host: web1\nCost: 5$\n");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_and_the_next_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let ran = folder.path().join("ran");
        let pager = Pager { timeout: Duration::from_millis(200) };
        let touch = format!("/usr/bin/touch {}", ran.display());
        let failed = pager.send(&message(&["/bin/sleep 60", &touch])).await.unwrap_err();
        assert_eq!(failed.to_string(), "page did not end within 0.2 s and was killed");
        assert!(ran.exists());
    }
}
