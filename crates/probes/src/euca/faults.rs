//! `euca_faults`: the fault log of a Eucalyptus process: what it demands an administrator for, since when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::euca::{Fault, parse_faults};

use crate::clock::Clock;
use crate::look::{Lane, from_io, look};
use crate::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "logs")]
    pub logs: Vec<String>,
    /// How long an entry counts. A process logs each fault once, so that a short time forgets what still holds.
    #[serde(default = "within_min")]
    pub within_min: u32,
    /// The stamps are the local time of the host, though they say `Z`: its offset from UTC in minutes.
    #[serde(default)]
    pub utc_offset_min: i32,
}

fn logs() -> Vec<String> {
    ["cloud", "cc", "nc"].map(|name| format!("/var/log/eucalyptus/{name}-fault.log")).to_vec()
}

fn within_min() -> u32 {
    60
}

/// 1500 CloudWatch disabled, 1501 reporting disabled: settings, not failures.
const SETTINGS: [u32; 2] = [1500, 1501];
/// A machine is at most that far from UTC.
const OFFSET_MAX_MIN: i32 = 14 * 60;

pub struct EucaFaults {
    view: Arc<dyn HostView>,
    clock: Clock,
    config: Arc<Config>,
}

impl Probe for EucaFaults {
    const KIND: &'static str = "euca_faults";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../../docs/probes/euca_faults.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| Err(BuildError { message: format!("probe `euca_faults`: {why}") });
        if config.logs.is_empty() || config.logs.iter().any(|path| !path.starts_with('/')) {
            return refuse("`logs` are absolute paths, at least one");
        }
        if config.utc_offset_min.abs() > OFFSET_MAX_MIN {
            return refuse("`utc_offset_min` is from -840 to 840");
        }
        Ok(EucaFaults { view: Arc::clone(&env.view), clock: env.clock.clone(), config: Arc::new(config) })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let config = Arc::clone(&self.config);
        let now_s = self.clock.now().as_millis() / 1000;
        let read = look(&self.view, Lane::FileSystems, deadline, move |view| Ok(view.read_many(&config.logs))).await?;
        let mut faults = Vec::new();
        let mut logs = 0usize;
        for log in read {
            match log {
                Ok(text) => {
                    logs += 1;
                    faults.extend(parse_faults(&text));
                }
                // A host has the logs of its own components only.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(from_io(&error)),
            }
        }
        Ok(self.observe(&faults, logs, now_s))
    }
}

impl EucaFaults {
    fn observe(&self, faults: &[Fault], logs: usize, now_s: i64) -> Observation {
        let offset_s = i64::from(self.config.utc_offset_min) * 60;
        let since = |fault: &Fault| now_s - (fault.at_local_s - offset_s);
        let counts =
            |fault: &&Fault| since(fault) <= i64::from(self.config.within_min) * 60 && !SETTINGS.contains(&fault.id);
        let recent: Vec<&Fault> = faults.iter().filter(counts).collect();
        let ids: BTreeSet<u32> = recent.iter().map(|fault| fault.id).collect();
        // The newest words of each.
        let words: BTreeMap<u32, &str> = recent.iter().map(|fault| (fault.id, fault.message.as_str())).collect();
        let text = match recent.last() {
            Some(newest) => format!("fault {}: {} ({} in all)", newest.id, newest.message, ids.len()),
            None if logs == 0 => "no fault log on this host".to_owned(),
            None => "no fault".to_owned(),
        };
        let long: Vec<String> = words.iter().map(|(id, message)| format!("{id}: {message}")).collect();
        let list = ids.iter().map(|id| Value::from(*id)).collect();
        let mut seen = Observation::observed(text)
            .long(long.join("\n"))
            .fact("logs", logs)
            .fact("faults", Value::List(list))
            .fact("count", ids.len())
            .measure("faults", ids.len() as f64, "");
        if let Some(newest) = recent.iter().map(|fault| since(fault)).min() {
            seen = seen.fact("newest_age_s", newest.max(0) as f64);
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{build, number, plain_env, run_on_files, text};

    /// 2026-11-21 02:00 UTC is now; the stamps are as fault.c prints them.
    const LOG: &str = "************************************************************************\n\
        \u{20} ERR-1003 2026-11-20 22:00:00Z The disk containing file system /var/lib/eucalyptus is low\n\n\
        ************************************************************************\n\n\
        \u{20} ERR-1008 2026-11-21 01:45:00Z eucanetd is not running\n\n\
        \u{20} ERR-1500 2026-11-21 01:50:00Z CloudWatch is disabled\n";
    const PATH: &str = "/var/log/eucalyptus/nc-fault.log";

    #[tokio::test]
    async fn recent_faults_count_and_settings_do_not() {
        let seen = run_on_files("euca_faults", "{}", &[(PATH, LOG)]).await.expect("observed");
        assert_eq!((text(&seen, "faults"), number(&seen, "newest_age_s")), ("[1008]".into(), 900.0));
        assert!(seen.text.contains("eucanetd is not running"));
        let longer = run_on_files("euca_faults", r#"{"within_min":720}"#, &[(PATH, LOG)]).await.expect("observed");
        assert_eq!(text(&longer, "faults"), "[1003, 1008]");
    }

    #[tokio::test]
    async fn stamps_are_local_time() {
        // Two hours ahead of UTC, 01:45 was 23:45 UTC: over two hours ago.
        let seen = run_on_files("euca_faults", r#"{"utc_offset_min":120}"#, &[(PATH, LOG)]).await.expect("observed");
        assert_eq!(text(&seen, "faults"), "[]");
        let west = run_on_files("euca_faults", r#"{"utc_offset_min":-60}"#, &[(PATH, LOG)]).await.expect("observed");
        assert_eq!((text(&west, "faults"), number(&west, "newest_age_s")), ("[1008]".into(), 0.0));
    }

    #[tokio::test]
    async fn a_host_without_logs_has_no_fault() {
        let seen = run_on_files("euca_faults", "{}", &[]).await.expect("observed");
        assert_eq!((number(&seen, "logs"), text(&seen, "faults")), (0.0, "[]".into()));
    }

    #[test]
    fn odd_parameters_are_refused() {
        for params in [r#"{"logs":[]}"#, r#"{"logs":["x"]}"#, r#"{"utc_offset_min":9000}"#, r#"{"log":"x"}"#] {
            assert!(build("euca_faults", params, &plain_env()).is_err(), "{params}");
        }
    }
}
