//! `iscsi`: sessions with the targets of a SAN, by portal, as the kernel has them, and the disks behind them by iscsiadm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::iscsi::{Session, Standing, parse_sessions};

use super::look::{Lane, look};
use super::tool::Tool;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const SESSIONS: &str = "/sys/class/iscsi_session";
const CONNECTIONS: &str = "/sys/class/iscsi_connection";
/// Targets told one by one; the counts are of all.
const TOLD_MAX: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Targets that must have a session.
    pub targets: Vec<String>,
    /// Sessions that each target ought to have; else the most that were seen.
    pub sessions: Option<u32>,
    /// Replaces `iscsiadm`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

pub struct Iscsi {
    view: Arc<dyn HostView>,
    tool: Tool,
    config: Config,
    /// The most sessions that were seen of each target; one that was logged out leaves no trace in the kernel.
    most: Mutex<BTreeMap<String, usize>>,
}

/// A target with what it ought to have.
#[derive(Debug)]
struct Reached {
    name: String,
    sessions: Vec<Session>,
    wanted: usize,
}

impl Probe for Iscsi {
    const KIND: &'static str = "iscsi";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/iscsi.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.sessions == Some(0) {
            return Err(BuildError { message: "`sessions` is at least 1".into() });
        }
        let tool = Tool::new(&["iscsiadm"], &config.command)?;
        Ok(Iscsi { view: Arc::clone(&env.view), tool, config, most: Mutex::default() })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut sessions = look(&self.view, Lane::Kernel, deadline, |view| Ok(of_kernel(view))).await?;
        let mut are_disks_read = true;
        if !sessions.is_empty() {
            are_disks_read = self.add_disks(&mut sessions, deadline).await?;
        }
        Ok(observe(&self.by_target(sessions), are_disks_read))
    }
}

/// Sessions as the kernel has them; without its driver there is no folder, and no session.
fn of_kernel(view: &dyn HostView) -> Vec<Session> {
    let connections = view.list(CONNECTIONS).unwrap_or_default();
    let read = |path: &str| view.read(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let one = |name: &String| {
        let id = name.strip_prefix("session")?.to_owned();
        let folder = format!("{SESSIONS}/{name}");
        let prefix = format!("connection{id}:");
        let at = connections.iter().find(|connection| connection.starts_with(&prefix));
        let of = |file: &str| at.map(|at| read(&format!("{CONNECTIONS}/{at}/{file}"))).unwrap_or_default();
        // The persistent address is the one that was configured; a target may send one on to another.
        let (address, port) = (of("persistent_address"), of("persistent_port"));
        let portal = if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
        Some(Session {
            id,
            target: read(&format!("{folder}/targetname")),
            portal: if address.is_empty() { String::new() } else { portal },
            state: read(&format!("{folder}/state")),
            connection: of("state"),
            disks: Vec::new(),
        })
    };
    view.list(SESSIONS).unwrap_or_default().iter().filter_map(one).collect()
}

impl Iscsi {
    /// Adds what only the tool tells; it needs root, and the sessions are told without it as well.
    async fn add_disks(&self, sessions: &mut [Session], deadline: Deadline) -> Result<bool, ProbeError> {
        let run = self.tool.run(&self.view, &["-m", "session", "-P", "3"], deadline).await?;
        let Some(run) = run.filter(|run| run.code == Some(0)) else { return Ok(false) };
        for told in parse_sessions(&run.stdout) {
            if let Some(session) = sessions.iter_mut().find(|session| session.id == told.id) {
                session.disks = told.disks;
                if session.portal.is_empty() {
                    session.portal = told.portal;
                }
            }
        }
        Ok(true)
    }

    fn by_target(&self, sessions: Vec<Session>) -> Vec<Reached> {
        let mut targets: BTreeMap<String, Vec<Session>> = BTreeMap::new();
        for name in &self.config.targets {
            targets.entry(name.clone()).or_default();
        }
        for session in sessions {
            targets.entry(session.target.clone()).or_default().push(session);
        }
        let mut most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        // A target from which somebody logged out altogether is only missed where it is wanted.
        most.retain(|name, _| targets.contains_key(name));
        let reached = |(name, sessions): (String, Vec<Session>)| {
            let seen = most.entry(name.clone()).or_default();
            *seen = (*seen).max(sessions.len());
            let wanted = self.config.sessions.map_or(*seen, |wanted| wanted as usize).max(sessions.len()).max(1);
            Reached { name, sessions, wanted }
        };
        targets.into_iter().map(reached).collect()
    }
}

impl Reached {
    fn logged_in(&self) -> usize {
        self.sessions.iter().filter(|session| session.standing() == Standing::LoggedIn).count()
    }

    fn finding(&self) -> &'static str {
        let worst = self.sessions.iter().map(Session::standing).min();
        match (self.logged_in(), worst) {
            (0, None) => "no_session",
            (0, Some(Standing::Recovering)) => "recovering",
            (0, _) => "failed",
            (some, _) if some < self.wanted => "sessions_lost",
            _ => "ok",
        }
    }

    fn rank(&self) -> usize {
        const WORDS: [&str; 5] = ["ok", "sessions_lost", "recovering", "failed", "no_session"];
        WORDS.iter().position(|word| *word == self.finding()).unwrap_or(WORDS.len())
    }

    fn line(&self) -> String {
        let mut line = format!("{}: {} of {} sessions", self.name, self.logged_in(), self.wanted);
        let bad = self.sessions.iter().filter(|session| session.standing() != Standing::LoggedIn);
        for session in bad {
            line.push_str(&format!(", {} {}", session.portal, session.standing().word().replace('_', " ")));
        }
        let disks = self.sessions.iter().flat_map(|session| &session.disks);
        let halted: Vec<String> =
            disks.filter(|(_, state)| state != "running").map(|(disk, state)| format!("{disk} {state}")).collect();
        if !halted.is_empty() {
            line.push_str(&format!(", disks: {}", halted.join(", ")));
        }
        line
    }

    /// A value of the signal `path`: to the host a session is a path to the target.
    fn value(&self) -> Value {
        [("map", Value::from(self.name.as_str())), ("active", self.logged_in().into()), ("total", self.wanted.into())]
            .into_iter()
            .collect()
    }
}

fn observe(targets: &[Reached], are_disks_read: bool) -> Observation {
    let mut sorted: Vec<&Reached> = targets.iter().collect();
    sorted.sort_by(|a, b| b.rank().cmp(&a.rank()).then_with(|| a.name.cmp(&b.name)));
    let finding = sorted.first().map_or("ok", |target| target.finding());
    let headline = match sorted.first() {
        None => "this host has no iSCSI session".to_owned(),
        Some(_) if finding == "ok" => format!("all sessions with {} targets are logged in", targets.len()),
        Some(target) => target.line(),
    };
    let lines: Vec<String> = sorted.iter().take(TOLD_MAX).map(|target| target.line()).collect();
    let names = |word: &str| -> Vec<String> {
        targets.iter().filter(|target| target.finding() == word).map(|target| target.name.clone()).collect()
    };
    let sessions = || targets.iter().flat_map(|target| &target.sessions);
    let portals = |standing: Standing| -> Vec<String> {
        let meant = sessions().filter(|session| session.standing() == standing);
        meant.map(|session| format!("{} {}", session.target, session.portal)).collect()
    };
    let mut seen = Observation::observed(headline)
        .long(lines.join("\n"))
        .fact("targets", targets.len())
        .fact("sessions", sessions().count())
        .fact("finding", finding)
        .fact("missing", names("no_session"))
        .fact("failed", portals(Standing::Failed))
        .fact("recovering", portals(Standing::Recovering))
        .fact("disks_read", are_disks_read)
        .fact("path", Value::List(sorted.iter().take(TOLD_MAX).map(|target| target.value()).collect()));
    for target in sorted.iter().take(TOLD_MAX) {
        seen = seen.measure(&format!("sessions {}", target.name), target.logged_in() as f64, "");
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::SimView;
    use crate::testing::{build, env, number, run_on, target, text, within};
    use crate::view::ToolRun;

    /// Files as drivers/scsi/scsi_transport_iscsi.c makes them: number, target, address, state.
    fn host(sessions: &[(u32, &str, &str, &str)]) -> Arc<SimView> {
        let view = SimView::new();
        for (id, name, address, state) in sessions {
            view.put(&format!("{SESSIONS}/session{id}/targetname"), &format!("{name}\n"));
            view.put(&format!("{SESSIONS}/session{id}/state"), &format!("{state}\n"));
            view.put(&format!("{CONNECTIONS}/connection{id}:0/persistent_address"), &format!("{address}\n"));
            view.put(&format!("{CONNECTIONS}/connection{id}:0/persistent_port"), "3260\n");
        }
        Arc::new(view)
    }

    const UP: &str = "LOGGED_IN";

    #[tokio::test]
    async fn what_is_left_of_a_target_is_told_apart() {
        for (sessions, finding) in [
            (&[(1, "iqn.a", "192.0.2.1", UP), (2, "iqn.a", "192.0.2.2", UP)][..], "ok"),
            (&[(1, "iqn.a", "192.0.2.1", UP), (2, "iqn.a", "192.0.2.2", "FAILED")], "sessions_lost"),
            (&[(1, "iqn.a", "192.0.2.1", "FAILED")], "recovering"),
            (&[(1, "iqn.a", "192.0.2.1", "FREE")], "failed"),
            (&[], "ok"),
        ] {
            let seen = run_on("iscsi", "{}", host(sessions)).await.expect("observed");
            assert_eq!(text(&seen, "finding"), finding, "{sessions:?}");
        }
        let seen = run_on("iscsi", r#"{"targets":["iqn.b"]}"#, host(&[])).await.expect("observed");
        assert_eq!((text(&seen, "finding"), text(&seen, "missing")), ("no_session".into(), "[iqn.b]".into()));
    }

    #[tokio::test]
    async fn a_session_that_was_logged_out_is_missed_while_the_target_has_another() {
        let view = host(&[(1, "iqn.a", "192.0.2.1", UP), (2, "iqn.a", "2001:db8::1", UP)]);
        let probe = build("iscsi", "{}", &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
        probe.run(&target("h"), within(5000)).await.expect("observed");
        view.change(|host| host.files.retain(|path, _| !path.contains("session2") && !path.contains("connection2")));
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!((text(&seen, "finding"), number(&seen, "sessions")), ("sessions_lost".into(), 1.0));
        let path = &seen.facts["path"].list().expect("a list")[0];
        assert_eq!(path.get("total").and_then(Value::number), Some(2.0));
    }

    #[tokio::test]
    async fn disks_that_stand_still_are_named_where_the_tool_may_be_asked() {
        let view = host(&[(7, "iqn.a", "192.0.2.1", "FAILED")]);
        let print = "Target: iqn.a\n\tCurrent Portal: 192.0.2.1:3260,1\n\t\tSID: 7\n\t\t\tAttached scsi disk sdb\t\tState: transport-offline\n";
        let run = ToolRun { code: Some(0), stdout: print.into(), stderr: String::new() };
        view.change(|host| drop(host.tools.insert("iscsiadm -m session -P 3".into(), run.clone())));
        let seen = run_on("iscsi", "{}", Arc::clone(&view) as Arc<dyn HostView>).await.expect("observed");
        assert_eq!((text(&seen, "finding"), text(&seen, "disks_read")), ("failed".into(), "true".into()));
        assert!(seen.text.contains("disks: sdb transport-offline"), "{}", seen.text);
        assert_eq!(text(&seen, "failed"), "[iqn.a 192.0.2.1:3260]");
        view.change(|host| host.tools.clear());
        let seen = run_on("iscsi", "{}", view).await.expect("observed");
        assert_eq!((text(&seen, "finding"), text(&seen, "disks_read")), ("recovering".into(), "false".into()));
    }
}
