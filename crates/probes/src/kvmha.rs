//! `kvmha`: heartbeat files that a CloudStack agent writes on each NFS primary storage; a host that cannot write them reboots.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use stentor_core::model::Observation;
use tokio::time::Instant;

use super::look::{Lane, ahead_of, look};
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct KvmHa {
    env: ProbeEnv,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the agent mounts primary storage, each below a folder of its own.
    pub folder: String,
    /// Names of folders that must have a heartbeat; those that have one, if empty.
    pub pools: Vec<String>,
    /// Address of the host as CloudStack knows it; the target's if missing.
    pub ip: Option<String>,
    /// A pool that has not answered for so long hangs.
    pub answer_s: f64,
    pub agent_properties: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            folder: "/mnt".to_owned(),
            pools: Vec::new(),
            ip: None,
            answer_s: 5.0,
            agent_properties: "/etc/cloudstack/agent/agent.properties".to_owned(),
        }
    }
}

/// Pools looked at; no host mounts more.
const POOLS_MAX: usize = 64;
/// Main class of the agent.
const AGENT: &str = "com.cloud.agent.AgentShell";
/// Property that says whether the host reboots when it cannot write; `true` where it is not set (agent.properties of 4.x).
const REBOOT: &str = "reboot.host.and.alert.management.on.heartbeat.timeout";

/// What became of one pool.
#[derive(Debug)]
enum Heartbeat {
    At(i64),
    Hung,
    /// No heartbeat file: not NFS, or not of CloudStack.
    None,
    Failed(String),
}

impl Probe for KvmHa {
    const KIND: &'static str = "kvmha";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/kvmha.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `kvmha`: {why}") };
        if !config.folder.starts_with('/') {
            return Err(refuse("`folder` is an absolute path"));
        }
        let is_name = |name: &String| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        if !config.pools.iter().all(is_name) {
            return Err(refuse("`pools` are names of folders below `folder`"));
        }
        if config.ip.as_ref().is_some_and(|ip| ip.is_empty() || ip.contains('/')) {
            return Err(refuse("`ip` is an address"));
        }
        if !(config.answer_s > 0.0 && config.answer_s <= 600.0) {
            return Err(refuse("`answer_s` lies between 0 and 600"));
        }
        Ok(KvmHa { env: env.clone(), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let address = match &self.config.ip {
            Some(ip) => ip.clone(),
            None => self.address(target, deadline).await?,
        };
        let mut pools = self.config.pools.clone();
        if pools.is_empty() {
            let folder = self.config.folder.clone();
            pools = look(&self.env.view, Lane::Kernel, deadline, move |view| empty_if_none(view.list(&folder))).await?;
            pools.truncate(POOLS_MAX);
        }
        let answers = pools.iter().map(|pool| self.heartbeat(pool, &address, deadline));
        let answers: Vec<Heartbeat> = join_all(answers).await.into_iter().collect::<Result<_, _>>()?;
        let agent = look(&self.env.view, Lane::Kernel, deadline, |view| view.processes()).await?;
        let agent = agent.iter().any(|process| process.state != 'Z' && process.command_line.contains(AGENT));
        let properties = self.config.agent_properties.clone();
        let properties =
            look(&self.env.view, Lane::Kernel, deadline, move |view| Ok(view.read(&properties).unwrap_or_default()))
                .await?;
        let now_s = self.env.clock.now().as_millis().div_euclid(1000);
        let seen = observe(&pools, &answers, !self.config.pools.is_empty(), now_s);
        let seen = seen.fact("agent", if agent { "running" } else { "absent" });
        Ok(seen.fact("reboots_host", reboots(&properties)))
    }
}

impl KvmHa {
    async fn address(&self, target: &Target, deadline: Deadline) -> Result<String, ProbeError> {
        let found = self.env.net.resolve(&target.address, 1, deadline).await;
        let found =
            found.map_err(|e| ProbeError::Failed(format!("set `ip`: `{}` has no address: {e}", target.address)))?;
        Ok(found.ip().to_string())
    }

    /// The file holds the seconds of the epoch at which it was written (kvmheartbeat.sh).
    async fn heartbeat(&self, pool: &str, address: &str, deadline: Deadline) -> Result<Heartbeat, ProbeError> {
        let path = format!("{}/{pool}/KVMHA/hb-{address}", self.config.folder.trim_end_matches('/'));
        let until = deadline.min(Instant::now() + Duration::from_secs_f64(self.config.answer_s));
        let read = look(&self.env.view, Lane::FileSystems, until, move |view| match view.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            other => Ok(other),
        });
        match read.await {
            Ok(Ok(text)) => Ok(match text.trim().parse() {
                Ok(seconds) => Heartbeat::At(seconds),
                Err(_) => Heartbeat::Failed("the file holds no time".to_owned()),
            }),
            Ok(Err(error)) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Heartbeat::None)
            }
            Ok(Err(error)) => Ok(Heartbeat::Failed(error.to_string())),
            Err(ProbeError::Timeout(_)) => Ok(Heartbeat::Hung),
            Err(other) => Err(other),
        }
    }
}

fn empty_if_none(listed: io::Result<Vec<String>>) -> io::Result<Vec<String>> {
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn reboots(properties: &str) -> bool {
    let value =
        properties.lines().rev().find_map(|line| line.trim().strip_prefix(REBOOT)?.trim_start().strip_prefix('='));
    value.is_none_or(|value| !value.trim().eq_ignore_ascii_case("false"))
}

fn observe(pools: &[String], answers: &[Heartbeat], wanted: bool, now_s: i64) -> Observation {
    let (mut hung, mut failed, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut oldest: Option<(i64, &str)> = None;
    let mut count = 0_usize;
    let mut long = Vec::new();
    for (pool, answer) in pools.iter().zip(answers) {
        match answer {
            Heartbeat::At(seconds) => {
                count += 1;
                // A clock that was set back makes no heartbeat younger than now.
                let age = now_s.saturating_sub(*seconds).max(0);
                long.push(format!("{pool}: written {age} s ago"));
                oldest = oldest.max(Some((age, pool.as_str())));
            }
            Heartbeat::Hung => hung.push(pool.clone()),
            Heartbeat::Failed(why) => {
                long.push(format!("{pool}: {why}"));
                failed.push(pool.clone());
            }
            Heartbeat::None if wanted => missing.push(pool.clone()),
            Heartbeat::None => {}
        }
    }
    let mut parts = match oldest {
        Some((age, pool)) => vec![format!("{count} heartbeats, the oldest ({pool}) written {age} s ago")],
        None => vec!["no heartbeat on any primary storage".to_owned()],
    };
    for (names, words) in [(&hung, "does not answer"), (&failed, "cannot be read"), (&missing, "has no heartbeat")] {
        if !names.is_empty() {
            parts.push(format!("{} {words}", names.join(" ")));
        }
    }
    let seen = Observation::observed(parts.join(", ")).long(long.join("\n")).fact("pools", count);
    let seen = seen.fact("hung", hung).fact("failed", failed).fact("missing", missing);
    match oldest {
        Some((age, pool)) => seen.fact("age_s", age).fact("oldest", pool).measure("age", age as f64, "s"),
        None => seen,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;
    use crate::HostView;
    use crate::sim_view::SimView;
    use crate::testing::{NOW_S, build, env, number, plain_env, run_on, target, text, within};
    use crate::view::{FsUsage, Process, Unit};

    fn pool(name: &str, ago_s: i64) -> (String, String) {
        (format!("/mnt/{name}/KVMHA/hb-192.0.2.1"), format!("{}\n", NOW_S - ago_s))
    }

    fn host(files: &[(String, String)], agent: bool) -> Arc<SimView> {
        let view = SimView::new();
        for (path, text) in files {
            view.put(path, text);
        }
        let command_line = if agent { format!("/usr/bin/java -Xmx2048m {AGENT}") } else { "sshd".to_owned() };
        view.change(|host| {
            host.processes = vec![Process {
                pid: 7,
                state: 'S',
                name: "java".into(),
                command_line: command_line.clone(),
                user_id: 0,
                age_s: 9,
                rss_bytes: 0,
            }];
        });
        Arc::new(view)
    }

    #[tokio::test]
    async fn the_oldest_heartbeat_counts() {
        let files = [pool("a-uuid", 12), pool("b-uuid", 95), ("/mnt/iso/readme".into(), String::new())];
        let seen = run_on("kvmha", "{}", host(&files, true)).await.expect("observed");
        assert_eq!((number(&seen, "age_s"), text(&seen, "oldest").as_str()), (95.0, "b-uuid"));
        assert_eq!((number(&seen, "pools"), text(&seen, "agent").as_str()), (2.0, "running"));
        assert_eq!((text(&seen, "missing").as_str(), text(&seen, "reboots_host").as_str()), ("[]", "true"));
    }

    #[tokio::test]
    async fn wanted_pools_without_a_heartbeat_and_broken_files_are_told() {
        let files = [pool("a", 1), ("/mnt/b/KVMHA/hb-192.0.2.1".into(), "soon\n".into())];
        let seen = run_on("kvmha", r#"{"pools":["a","b","c"]}"#, host(&files, false)).await.expect("observed");
        assert_eq!((text(&seen, "failed").as_str(), text(&seen, "missing").as_str()), ("[b]", "[c]"));
        assert_eq!(text(&seen, "agent"), "absent");
    }

    #[tokio::test]
    async fn a_host_without_pools_has_no_age() {
        let seen = run_on("kvmha", "{}", host(&[], true)).await.expect("observed");
        assert_eq!(number(&seen, "pools"), 0.0);
        assert!(!seen.facts.contains_key("age_s"));
    }

    #[test]
    fn the_property_says_whether_the_host_reboots() {
        for (text, expected) in [
            ("", true),
            ("reboot.host.and.alert.management.on.heartbeat.timeout=false\n", false),
            ("reboot.host.and.alert.management.on.heartbeat.timeout = true", true),
            ("# reboot.host.and.alert.management.on.heartbeat.timeout=false\n", true),
        ] {
            assert_eq!(reboots(text), expected, "{text}");
        }
    }

    /// Its NFS server is gone: reading never returns.
    struct Stuck(std::sync::Mutex<mpsc::Receiver<()>>);

    impl HostView for Stuck {
        fn read(&self, path: &str) -> io::Result<String> {
            if path.starts_with("/mnt") {
                let _ = self.0.lock().expect("one reader").recv();
            }
            Err(io::ErrorKind::NotFound.into())
        }
        fn list(&self, _: &str) -> io::Result<Vec<String>> {
            Ok(vec!["pool".into()])
        }
        fn file_systems(&self, _: &[String]) -> io::Result<Vec<FsUsage>> {
            Ok(Vec::new())
        }
        fn processes(&self) -> io::Result<Vec<Process>> {
            Ok(Vec::new())
        }
        fn unit(&self, _: &str) -> io::Result<Option<Unit>> {
            Ok(None)
        }
        fn uptime_s(&self) -> io::Result<f64> {
            Ok(1.0)
        }
    }

    #[tokio::test]
    async fn storage_that_hangs_is_an_observation() {
        let (release, stuck) = mpsc::channel();
        let probe = build("kvmha", r#"{"answer_s":0.1}"#, &env(Arc::new(Stuck(stuck.into())))).expect("built");
        let seen = probe.run(&target("192.0.2.1"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "hung"), "[pool]");
        drop(release);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for params in [r#"{"folder":"mnt"}"#, r#"{"pools":["../x"]}"#, r#"{"ip":"a/b"}"#, r#"{"answer_s":0}"#] {
            assert!(build("kvmha", params, &plain_env()).is_err(), "{params}");
        }
    }
}
