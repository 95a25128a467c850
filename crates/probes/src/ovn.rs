//! `ovn`: whether the clustered databases of OVN on this host take part and know a leader, by `ovn-appctl cluster/status`.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::ovn::{Member, Membership, OvnError};

use super::talk::shown;
use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Where the packages of Debian, Ubuntu and Red Hat have the control sockets.
const SOCKETS: &str = "/var/run/ovn";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub databases: Vec<Database>,
    /// Folder of the control sockets.
    pub sockets: String,
    /// Instead of `ovn-appctl`: `["sudo", "-n", "/usr/bin/ovn-appctl"]`.
    pub command: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let databases = vec![Database::Northbound, Database::Southbound];
        Config { databases, sockets: SOCKETS.into(), command: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Database {
    Northbound,
    Southbound,
}

impl Database {
    const fn word(self) -> &'static str {
        match self {
            Database::Northbound => "northbound",
            Database::Southbound => "southbound",
        }
    }

    /// Its control socket and its name in the schema.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Database::Northbound => ("ovnnb_db.ctl", "OVN_Northbound"),
            Database::Southbound => ("ovnsb_db.ctl", "OVN_Southbound"),
        }
    }
}

pub struct Ovn {
    view: Arc<dyn HostView>,
    tool: Tool,
    config: Config,
}

impl Probe for Ovn {
    const KIND: &'static str = "ovn";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/ovn.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| Err(BuildError { message: format!("probe `ovn`: {why}") });
        if config.databases.is_empty() {
            return refuse("`databases` is \"northbound\", \"southbound\" or both");
        }
        if !config.sockets.starts_with('/') {
            return refuse("`sockets` is the absolute path of a folder");
        }
        // Open vSwitch's own tool speaks the same way.
        let tool = Tool::new(&["ovn-appctl", "ovs-appctl"], &config.command)?;
        Ok(Ovn { view: Arc::clone(&env.view), tool, config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut told = Vec::new();
        for database in &self.config.databases {
            let (socket, name) = database.names();
            let socket = format!("{}/{socket}", self.config.sockets.trim_end_matches('/'));
            let args = ["-t", &socket, "cluster/status", name];
            let Some(run) = self.tool.run(&self.view, &args, deadline).await? else {
                return Err(missing(&self.tool, "package ovn-common"));
            };
            let member = Member::read(&run.stdout, &run.stderr);
            match member {
                Err(OvnError::Half(_)) => return Err(refusal(&self.tool, &run, "it tells no state of a cluster")),
                // A socket that is there and may not be opened is no silent server.
                Err(OvnError::Silent) if run.stderr.contains("ermission denied") => {
                    return Err(refusal(&self.tool, &run, "its control socket may not be opened"));
                }
                _ => told.push((*database, member)),
            }
        }
        Ok(observe(&told))
    }
}

fn observe(told: &[(Database, Result<Member, OvnError>)]) -> Observation {
    let with = |is: &dyn Fn(&Result<Member, OvnError>) -> bool| -> Vec<String> {
        told.iter().filter(|(_, member)| is(member)).map(|(database, _)| database.word().to_owned()).collect()
    };
    let alone = with(&|member| matches!(member, Err(OvnError::Alone)));
    let silent = with(&|member| matches!(member, Err(OvnError::Silent | OvnError::OtherDatabase)));
    let no_leader = with(&|member| member.as_ref().is_ok_and(|member| !member.has_leader()));
    let members = || told.iter().filter_map(|(database, member)| Some((*database, member.as_ref().ok()?)));
    let raft = match (no_leader.is_empty(), members().count(), alone.is_empty()) {
        (false, ..) => Some("no_quorum"),
        (true, 1.., _) => Some("quorate"),
        (true, 0, false) => Some("alone"),
        (true, 0, true) => None,
    };
    let gone: Vec<String> = members()
        .flat_map(|(database, member)| member.gone().unwrap_or_default().into_iter().map(move |one| (database, one)))
        .map(|(database, one)| format!("{} {}", database.word(), shown(&one.address)))
        .collect();
    let uncommitted = members().map(|(_, member)| member.uncommitted).max().unwrap_or(0);
    let words: Vec<String> = told.iter().map(|(database, member)| sentence(*database, member)).collect();
    let mut seen = Observation::observed(words.join("; "))
        .fact("alone", alone)
        .fact("silent", silent)
        .fact("no_leader", no_leader)
        .fact("uncommitted", uncommitted as f64)
        .measure("uncommitted", uncommitted as f64, "");
    for (database, member) in members() {
        seen = seen.fact(database.word(), part(member));
    }
    if let Some(count) = members().map(|(_, member)| member.servers.len()).min() {
        seen = seen.fact("members", count);
    }
    if let Some(raft) = raft {
        seen = seen.fact("raft", raft);
    }
    // Only who leads hears all the others.
    match members().filter_map(|(_, member)| member.may_fail()).min() {
        Some(left) => seen
            .measure("members_gone", gone.len() as f64, "")
            .measure("may_fail", left as f64, "")
            .fact("members_gone", gone)
            .fact("may_fail", left),
        None => seen,
    }
}

/// Its role while it takes part, else why it does not.
fn part(member: &Member) -> &'static str {
    match member.membership {
        Membership::Member => member.role.word(),
        other => other.word(),
    }
}

fn sentence(database: Database, member: &Result<Member, OvnError>) -> String {
    let name = database.word();
    match member {
        Err(error) => format!("{name}: {error}"),
        Ok(member) if !member.has_leader() => {
            format!("{name} HAS NO LEADER here: {}, {} members", part(member), member.servers.len())
        }
        Ok(member) => {
            let gone = member.gone().map_or(0, |gone| gone.len());
            let of = member.servers.len();
            let tail = if gone > 0 { format!(", {gone} SILENT") } else { String::new() };
            format!("{name}: {} of {of} members{tail}", part(member))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, number, plain_env, run_on, text};
    use crate::view::ToolRun;

    macro_rules! printed {
        ($name:literal) => {
            (0, include_str!(concat!("../../wire/tests/data/ovn/", $name, ".txt")), "")
        };
    }

    const ALONE: (i32, &str, &str) =
        (2, "", "\"cluster/status\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n");
    const SILENT: (i32, &str, &str) =
        (1, "", "ovn-appctl: cannot connect to \"/var/run/ovn/ovnsb_db.ctl\" (No such file or directory)\n");

    fn host(north: (i32, &str, &str), south: (i32, &str, &str)) -> Arc<SimView> {
        let run = |(code, stdout, stderr): (i32, &str, &str)| ToolRun {
            code: Some(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let tools = [
            ("ovn-appctl -t /var/run/ovn/ovnnb_db.ctl cluster/status OVN_Northbound".to_owned(), run(north)),
            ("ovn-appctl -t /var/run/ovn/ovnsb_db.ctl cluster/status OVN_Southbound".to_owned(), run(south)),
        ];
        Arc::new(SimView::of(SimHost { tools: tools.into_iter().collect(), ..SimHost::default() }))
    }

    /// What real servers printed.
    #[tokio::test]
    async fn a_lost_leader_a_lost_member_and_a_silent_server_are_told_apart() {
        let lists = ["raft", "no_leader", "silent", "members_gone", "northbound"];
        for (north, south, told) in [
            (printed!("leader"), printed!("follower"), ["quorate", "[]", "[]", "[]", "leader"]),
            (
                printed!("leader_one_gone"),
                printed!("follower"),
                ["quorate", "[]", "[]", "[northbound tcp:127.0.0.1:26645]", "leader"],
            ),
            (printed!("majority_gone"), printed!("follower"), ["no_quorum", "[northbound]", "[]", "", "disconnected"]),
            (printed!("follower"), SILENT, ["quorate", "[]", "[southbound]", "", "follower"]),
            (printed!("joining"), ALONE, ["no_quorum", "[northbound]", "[]", "", "joining"]),
            (ALONE, ALONE, ["alone", "[]", "[]", "", ""]),
            (SILENT, SILENT, ["", "[]", "[northbound, southbound]", "", ""]),
        ] {
            let seen = run_on("ovn", "{}", host(north, south)).await.expect("observed");
            assert_eq!(lists.map(|fact| text(&seen, fact)), told, "{seen:?}");
        }
        let seen = run_on("ovn", "{}", host(printed!("leader_one_gone"), printed!("leader"))).await.expect("observed");
        assert_eq!((number(&seen, "may_fail"), number(&seen, "members")), (0.0, 3.0));
        assert!(seen.text.contains("northbound: leader of 3 members, 1 SILENT"), "{}", seen.text);
    }

    #[tokio::test]
    async fn one_database_alone_may_be_asked_and_a_tool_that_refuses_is_no_health() {
        let seen = run_on("ovn", r#"{"databases":["northbound"]}"#, host(printed!("leader"), SILENT)).await;
        assert_eq!(text(&seen.expect("observed"), "silent"), "[]");
        let denied = (1, "", "ovn-appctl: cannot connect to \"/var/run/ovn/ovnnb_db.ctl\" (Permission denied)\n");
        let seen = run_on("ovn", "{}", host(denied, SILENT)).await;
        assert!(matches!(seen, Err(ProbeError::MissingRight(_))), "{seen:?}");
        assert!(run_on("ovn", "{}", host((0, "what?", ""), SILENT)).await.is_err());
        assert!(run_on("ovn", "{}", Arc::new(SimView::new())).await.is_err());
        for params in [r#"{"databases":[]}"#, r#"{"databases":["ic"]}"#, r#"{"sockets":"run/ovn"}"#, r#"{"x":1}"#] {
            assert!(build("ovn", params, &plain_env()).is_err(), "{params}");
        }
    }
}
