//! `docker`: containers of a host by the Docker Engine's socket (or Podman's): states, health, restarts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::containers::{Container, list};
use tokio::net::UnixStream;
use tokio::time::timeout_at;

use super::api::{Page, page, request};
use super::fetch::exchange;
use super::look::ahead_of;
use super::talk::shown;
use super::view::Tools;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Docker {
    view: Arc<dyn HostView>,
    config: Config,
    ignore: Option<Regex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "socket")]
    pub socket: PathBuf,
    /// Containers that must run.
    #[serde(default)]
    pub containers: Vec<String>,
    /// Regular expression over the names of containers that are not looked at.
    #[serde(default)]
    pub ignore: Option<String>,
}

fn socket() -> PathBuf {
    "/var/run/docker.sock".into()
}

/// Containers that are asked one by one for their restarts; hosts with more are told by the list alone.
const INSPECTED_MAX: usize = 100;
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a simulated host answers under: the name of the tool that would ask the same.
const TOOL: &str = "docker";

impl Probe for Docker {
    const KIND: &'static str = "docker";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/docker.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `docker`: {why}") };
        if !config.socket.is_absolute() {
            return Err(refuse("`socket` is an absolute path".into()));
        }
        let ignore = config.ignore.as_deref().map(Regex::new).transpose().map_err(|e| refuse(e.to_string()))?;
        Ok(Docker { view: Arc::clone(&env.view), config, ignore })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let listed = match self.get("/containers/json?all=1", deadline).await? {
            Ok(page) => page.found().and_then(|json| list(&json).ok_or(("invalid", "its list is none".to_owned()))),
            Err(refusal) => Err(refusal),
        };
        let mut containers = match listed {
            Ok(containers) => containers,
            Err((word, why)) => {
                let text = format!("{}: {}", self.config.socket.display(), shown(&why));
                return Ok(Observation::observed(text).fact("docker", word));
            }
        };
        containers.retain(|one| self.ignore.as_ref().is_none_or(|ignore| !ignore.is_match(&one.name)));
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        if containers.len() <= INSPECTED_MAX {
            for one in &mut containers {
                let path = format!("/containers/{}/json", one.id);
                // One that is gone by now is told by the next look.
                if let Ok(Page::Json(200, json)) = self.get(&path, deadline).await?.map_err(drop).or(Err(())) {
                    *one = one.clone().inspected(&json);
                }
            }
        }
        Ok(self.observe(&containers))
    }
}

impl Docker {
    /// A page, or the word and reason why the engine gives none.
    async fn get(&self, path: &str, deadline: Deadline) -> Result<Result<Page, (&'static str, String)>, ProbeError> {
        match self.view.tools(TOOL, &[path]) {
            Tools::Here => {}
            Tools::Remote(_) => {
                let why = "SSH does not carry the engine's socket: run `stentor agent` on that host";
                return Err(ProbeError::Failed(why.to_owned()));
            }
            Tools::Said(None) => return Ok(Err(("missing", "there is no Docker".into()))),
            Tools::Said(Some(run)) => {
                return Ok(match serde_json::from_str(&run.stdout) {
                    Ok(json) => Ok(Page::Json(200, json)),
                    Err(error) => Err(("invalid", error.to_string())),
                });
            }
        }
        let stream = match timeout_at(deadline, UnixStream::connect(&self.config.socket)).await {
            Err(_) => return Ok(Err(("timeout", "the engine takes no connection in time".into()))),
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return match error.kind() {
                    io::ErrorKind::NotFound => Ok(Err(("missing", "there is no such socket".into()))),
                    io::ErrorKind::ConnectionRefused => Ok(Err(("refused", "nobody listens".into()))),
                    io::ErrorKind::PermissionDenied => Err(ProbeError::MissingRight(format!(
                        "this process may not open {}: run the agent as root or in its group",
                        self.config.socket.display()
                    ))),
                    _ => Err(ProbeError::Failed(format!("{}: {error}", self.config.socket.display()))),
                };
            }
        };
        let request = request(path, "docker", None)?;
        let (answer, _) = exchange(stream, request, PAGE_BYTES_MAX, deadline).await;
        Ok(match page(answer) {
            Page::Missing(word, why) => Err((word, why)),
            found => Ok(found),
        })
    }

    fn observe(&self, containers: &[Container]) -> Observation {
        let names = |wanted: &dyn Fn(&Container) -> bool| -> Vec<String> {
            containers.iter().filter(|one| wanted(one)).map(|one| shown(&one.name)).collect()
        };
        let running = names(&|one| one.state == "running");
        let missing = self.config.containers.iter().filter(|name| !running.contains(name));
        let missing: Vec<String> = missing.map(|name| shown(name)).collect();
        let lists = [
            ("missing", missing, "not running"),
            ("unhealthy", names(&|one| one.health.as_deref() == Some("unhealthy")), "unhealthy"),
            ("restarting", names(&|one| one.state == "restarting"), "restarting"),
            ("dead", names(&|one| one.state == "dead"), "dead"),
            ("oom_killed", names(&|one| one.was_oom_killed), "killed for want of memory"),
            ("failed", names(&|one| one.state == "exited" && one.exit_code.is_some_and(|code| code != 0)), "failed"),
            ("paused", names(&|one| one.state == "paused"), "paused"),
        ];
        let mut parts = vec![format!("{} of {} containers run", running.len(), containers.len())];
        let mut seen = Observation::observed("").fact("docker", "ok").fact("containers", containers.len());
        seen = seen.fact("running", running.len()).measure("running", running.len() as f64, "");
        for (fact, names, words) in lists {
            if !names.is_empty() {
                parts.push(format!("{words}: {}", names.join(", ")));
            }
            seen = seen.fact(fact, names);
        }
        if let Some(most) = containers.iter().filter_map(|one| one.restarts).max() {
            seen = seen.fact("restarts_max", most as f64).measure("restarts_max", most as f64, "c");
        }
        let long: Vec<String> = containers
            .iter()
            .map(|one| {
                let health = one.health.as_deref().map(|health| format!(", {health}")).unwrap_or_default();
                let code = one.exit_code.map(|code| format!(", code {code}")).unwrap_or_default();
                let restarts = one.restarts.filter(|n| *n > 0).map(|n| format!(", {n} restarts")).unwrap_or_default();
                format!("{}: {}{health}{code}{restarts} ({})", shown(&one.name), shown(&one.state), shown(&one.image))
            })
            .collect();
        Observation { text: parts.join(", ").into(), ..seen }.long(long.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;
    use crate::local_view::LocalView;
    use crate::testing::{build, env, number, target, text, within};

    /// Answers by the path of the request, as the engine does.
    fn engine(folder: &std::path::Path, pages: &'static [(&'static str, &'static str)]) -> PathBuf {
        let socket = folder.join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = vec![0; 4096];
                let length = stream.read(&mut asked).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                let path = asked.split(' ').nth(1).unwrap_or_default();
                let body = pages.iter().find(|(own, _)| path == *own).map(|(_, body)| *body);
                let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
                let body = body.unwrap_or(r#"{"message":"No such container"}"#);
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        socket
    }

    async fn see(params: String) -> Result<Observation, ProbeError> {
        let probe = build("docker", &params, &env(Arc::new(LocalView::default()))).unwrap();
        probe.run(&target("192.0.2.1"), within(5000)).await
    }

    #[tokio::test]
    async fn containers_that_need_somebody_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let list = r#"[{"Id":"aa","Names":["/web"],"Image":"i","State":"running","Status":"Up 1 hour (unhealthy)"},
            {"Id":"bb","Names":["/job"],"Image":"i","State":"exited","Status":"Exited (137) 1 hour ago"},
            {"Id":"cc","Names":["/loop"],"Image":"i","State":"restarting","Status":"Restarting (1) 1 second ago"},
            {"Id":"dd","Names":["/ignored"],"Image":"i","State":"dead","Status":"Dead"}]"#;
        let pages: &'static [(&str, &str)] = vec![
            ("/containers/json?all=1", list),
            ("/containers/bb/json", r#"{"RestartCount":0,"State":{"OOMKilled":true,"ExitCode":137}}"#),
            ("/containers/cc/json", r#"{"RestartCount":9,"State":{"ExitCode":1}}"#),
        ]
        .leak();
        let socket = engine(folder.path(), pages);
        let params = format!(r#"{{"socket":{socket:?},"containers":["web","db"],"ignore":"^ignored$"}}"#);
        let seen = see(params).await.unwrap();
        for (fact, names) in [
            ("missing", "[db]"),
            ("unhealthy", "[web]"),
            ("restarting", "[loop]"),
            ("failed", "[job]"),
            ("oom_killed", "[job]"),
            ("dead", "[]"),
        ] {
            assert_eq!(text(&seen, fact), names, "{fact} of {seen:?}");
        }
        assert_eq!((number(&seen, "containers"), number(&seen, "restarts_max")), (3.0, 9.0));
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_or_talks_nonsense_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let gone = see(format!(r#"{{"socket":{:?}}}"#, folder.path().join("none"))).await.unwrap();
        assert_eq!(text(&gone, "docker"), "missing");
        for (body, word) in [("{", "invalid"), (r#"{"message":"x"}"#, "invalid")] {
            let folder = tempfile::tempdir().unwrap();
            let pages: &'static [(&str, &str)] = vec![("/containers/json?all=1", body)].leak();
            let socket = engine(folder.path(), pages);
            let seen = see(format!(r#"{{"socket":{socket:?}}}"#)).await.unwrap();
            assert_eq!(text(&seen, "docker"), word, "{body}");
        }
    }
}
