//! A tool of the host that stays and prints what happens: started once, and read at each look. Its pipe is the buffer, so
//! that nothing grows and no task waits; where it overflows the tool waits or ends, and is started anew.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{OFlags, fcntl_setfl};

use super::HostView;
use super::tool::Tool;
use super::view::Tools;

/// Taken at one look; a pipe holds 64 KiB, and the tool may refill it while it is read.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// What was printed since the last look.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub text: String,
    /// The text is of a stream that began anew.
    pub is_new: bool,
    /// Somebody listens from now on; else nothing will be heard.
    pub is_running: bool,
}

/// One tool that stays.
#[derive(Debug)]
pub struct Follower {
    tool: Tool,
    args: &'static [&'static str],
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    out: Option<ChildStdout>,
    is_new: bool,
}

impl Follower {
    pub fn new(tool: Tool, args: &'static [&'static str]) -> Follower {
        Follower { tool, args, running: Mutex::default() }
    }

    /// What it printed since the last look; starts it where it does not run. Never waits.
    pub fn hear(&self, view: &Arc<dyn HostView>) -> Heard {
        match view.tools(self.tool.name(), self.args) {
            Tools::Said(run) => {
                let is_running = run.is_some();
                Heard { text: run.map(|run| run.stdout).unwrap_or_default(), is_new: true, is_running }
            }
            Tools::Here => self.hear_here(),
        }
    }

    fn hear_here(&self) -> Heard {
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heard = Heard::default();
        if let Some(running) = slot.as_mut() {
            heard.is_new = std::mem::take(&mut running.is_new);
            let (bytes, goes_on) = running.read();
            heard.text = String::from_utf8_lossy(&bytes).into_owned();
            if !goes_on {
                *slot = None;
            }
        }
        if slot.is_none() {
            // Without the tool, or the right to start it, there is nothing to hear; the look at the state tells why.
            *slot = self.start().ok();
        }
        heard.is_running = slot.is_some();
        heard
    }

    fn start(&self) -> io::Result<Running> {
        let (program, own) = self.tool.command_line().ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(program)
            .args(own)
            .args(self.args)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take();
        let running = Running { child, out, is_new: true };
        if let Some(out) = &running.out {
            fcntl_setfl(out.as_fd(), OFlags::NONBLOCK)?;
        }
        Ok(running)
    }
}

impl Running {
    /// What is in the pipe, and whether more may come.
    fn read(&mut self) -> (Vec<u8>, bool) {
        let Some(out) = self.out.as_mut() else { return (Vec::new(), false) };
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while bytes.len() < READ_BYTES_MAX {
            match out.read(&mut piece) {
                Ok(0) => return (bytes, false),
                Ok(read) => bytes.extend(piece.iter().take(read)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (bytes, error.kind() == io::ErrorKind::WouldBlock),
            }
        }
        (bytes, true)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What may not be killed (sudo) ends at its next word, which nobody reads any more.
        self.out = None;
        let _ = match self.child.kill() {
            Ok(()) => self.child.wait().map(Some),
            Err(_) => self.child.try_wait(),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::local_view::LocalView;

    fn shell(script: &'static str) -> Follower {
        let tool = Tool::new(&["sh"], &["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()]).expect("built");
        Follower::new(tool, &[])
    }

    /// Looks until as much as expected was heard.
    async fn hear_until(follower: &Follower, end: &str) -> (String, usize) {
        let view: Arc<dyn HostView> = Arc::new(LocalView::default());
        let (mut text, mut begun) = (String::new(), 0);
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        let hear = async {
            while !text.ends_with(end) {
                pace.tick().await;
                let heard = follower.hear(&view);
                begun += usize::from(heard.is_new);
                text.push_str(&heard.text);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), hear).await.expect("heard in time");
        (text, begun)
    }

    #[tokio::test]
    async fn what_is_printed_between_two_looks_is_heard_once() {
        let follower = shell("echo a; echo \"$LC_ALL\"; exec sleep 600");
        assert_eq!(hear_until(&follower, "C\n").await, ("a\nC\n".into(), 1));
        let view: Arc<dyn HostView> = Arc::new(LocalView::default());
        assert_eq!(follower.hear(&view), Heard { text: String::new(), is_new: false, is_running: true });
    }

    #[tokio::test]
    async fn one_that_ended_is_started_anew_and_one_that_is_not_there_is_told() {
        let (text, begun) = hear_until(&shell("echo a"), "a\na\n").await;
        assert!(begun >= 2, "{text}");
        let absent = Follower::new(Tool::new(&["no-such-tool"], &[]).expect("built"), &[]);
        let view: Arc<dyn HostView> = Arc::new(LocalView::default());
        assert_eq!(absent.hear(&view), Heard::default());
    }

    #[tokio::test]
    async fn nothing_is_left_running() {
        let follower = shell("echo $$; exec sleep 600");
        let (pid, _) = hear_until(&follower, "\n").await;
        let folder = format!("/proc/{}", pid.trim());
        assert!(std::path::Path::new(&folder).exists());
        drop(follower);
        assert!(!std::path::Path::new(&folder).exists(), "{folder}");
    }
}
