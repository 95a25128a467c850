//! `smart`: what the disks of this host say of their own health, by smartctl.

use std::sync::Arc;

use futures_util::future::join_all;
use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::smartctl::{Device, Disk, EXIT_PREFAIL, EXIT_SELF_TEST, parse_disk, parse_scan};

use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Disks asked at once: a shelf of them must not be hit at the same moment.
const AT_ONCE: usize = 4;
/// Disks looked at in one run.
const DISKS_MAX: usize = 256;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Disks to look at; else those that `smartctl --scan` finds.
    pub devices: Vec<Named>,
    /// Of those found, leave these out.
    pub exclude: Vec<String>,
    /// Wakes disks that sleep.
    pub wake: bool,
    /// Replaces `smartctl`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

/// `"/dev/sda"` or `{ name = "/dev/bus/0", type = "megaraid,3" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Named {
    Path(String),
    Typed {
        name: String,
        #[serde(rename = "type")]
        kind: String,
    },
}

pub struct Smart {
    view: Arc<dyn HostView>,
    tool: Tool,
    devices: Vec<Device>,
    exclude: Vec<String>,
    wake: bool,
}

impl Probe for Smart {
    const KIND: &'static str = "smart";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/smart.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let device = |named: Named| match named {
            Named::Path(name) => Device { name, kind: String::new() },
            Named::Typed { name, kind } => Device { name, kind },
        };
        let devices: Vec<Device> = config.devices.into_iter().map(device).collect();
        if let Some(bad) =
            devices.iter().find(|device| !device.name.starts_with("/dev/") || device.kind.starts_with('-'))
        {
            return Err(BuildError { message: format!("`{}` is no device below /dev", bad.name) });
        }
        if devices.len() > DISKS_MAX {
            return Err(BuildError { message: format!("more than {DISKS_MAX} disks in one check; make it several") });
        }
        let tool = Tool::new(&["smartctl"], &config.command)?;
        Ok(Smart { view: Arc::clone(&env.view), tool, devices, exclude: config.exclude, wake: config.wake })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let devices = if self.devices.is_empty() { self.scan(deadline).await? } else { self.devices.clone() };
        let mut disks = Vec::new();
        for some in devices.chunks(AT_ONCE) {
            disks.extend(join_all(some.iter().map(|device| self.disk(device, deadline))).await);
        }
        let mut seen = Vec::new();
        let mut errors = Vec::new();
        for (device, disk) in devices.iter().zip(disks) {
            match disk {
                Ok(disk) => seen.push(Health::of(device, disk)),
                Err(error) => errors.push((device_id(device), error)),
            }
        }
        if seen.is_empty() && !errors.is_empty() {
            return Err(errors.swap_remove(0).1);
        }
        Ok(observe(&seen, &errors))
    }
}

impl Smart {
    async fn scan(&self, deadline: Deadline) -> Result<Vec<Device>, ProbeError> {
        let run = self.tool.run(&self.view, &["--scan", "--json=c"], deadline).await?;
        let run = run.ok_or_else(|| missing(&self.tool, "package smartmontools"))?;
        let mut found = parse_scan(&run.stdout).map_err(|e| refusal(&self.tool, &run, &e.to_string()))?;
        found.retain(|device| !self.exclude.contains(&device.name));
        found.truncate(DISKS_MAX);
        Ok(found)
    }

    async fn disk(&self, device: &Device, deadline: Deadline) -> Result<Disk, ProbeError> {
        let mut args = vec!["--json=c", "-i", "-H", "-A", "-l", "selftest"];
        if !self.wake {
            args.extend(["-n", "standby,0"]);
        }
        if !device.kind.is_empty() {
            args.extend(["-d", &device.kind]);
        }
        args.push(&device.name);
        let run = self.tool.run(&self.view, &args, deadline).await?;
        let run = run.ok_or_else(|| missing(&self.tool, "package smartmontools"))?;
        let disk = parse_disk(&run.stdout).map_err(|e| refusal(&self.tool, &run, &e.to_string()))?;
        if disk.is_unread() {
            let why = disk.messages.first().map_or("the disk was not read", String::as_str);
            return Err(refusal(&self.tool, &run, why));
        }
        Ok(disk)
    }
}

/// One name for each disk behind a controller.
fn device_id(device: &Device) -> String {
    match device.kind.split_once(',') {
        Some(_) => format!("{} {}", device.name, device.kind),
        None => device.name.clone(),
    }
}

/// A disk with what is to be said about it.
#[derive(Debug)]
struct Health {
    id: String,
    disk: Disk,
    /// Empty = well.
    troubles: Vec<String>,
}

impl Health {
    fn of(device: &Device, disk: Disk) -> Health {
        let mut troubles = Vec::new();
        if disk.is_failing() {
            troubles.push("says that it FAILS".to_owned());
        }
        for word in &disk.nvme_warnings {
            troubles.push(format!("critical warning: {}", word.replace('_', " ")));
        }
        if disk.nvme_unknown_bits != 0 {
            troubles.push(format!("critical warning bits {:#04x}", disk.nvme_unknown_bits));
        }
        for name in &disk.failing_now {
            troubles.push(format!("{name} below its threshold"));
        }
        if disk.failing_now.is_empty() && disk.exit_status & EXIT_PREFAIL != 0 {
            troubles.push("attributes below their threshold".to_owned());
        }
        let told = disk.self_test_failed;
        if told == Some(true) || (told.is_none() && disk.exit_status & EXIT_SELF_TEST != 0) {
            troubles.push(format!("self-test failed: {}", disk.self_test));
        }
        for (count, what) in [(disk.pending, "sectors pending"), (disk.uncorrectable, "errors not corrected")] {
            if let Some(count) = count.filter(|count| *count > 0) {
                troubles.push(format!("{count} {what}"));
            }
        }
        if let Some(errors) = disk.media_errors.filter(|count| *count > 0) {
            troubles.push(format!("{errors} media errors"));
        }
        Health { id: device_id(device), disk, troubles }
    }

    fn state(&self) -> &'static str {
        match (self.disk.is_failing(), self.troubles.is_empty()) {
            (true, _) => "failing",
            (false, false) => "warn",
            (false, true) => "ok",
        }
    }

    fn line(&self) -> String {
        let disk = &self.disk;
        let mut parts = Vec::new();
        parts.extend(self.troubles.iter().cloned());
        if disk.is_asleep {
            parts.push("sleeps, not looked at".to_owned());
        } else if disk.is_unsupported {
            parts.push("has no SMART".to_owned());
        } else if parts.is_empty() {
            parts.push("ok".to_owned());
        }
        parts.extend(disk.temperature_c.map(|c| format!("{c} °C")));
        parts.extend(disk.wear_pct.map(|pct| format!("{pct} % worn")));
        parts.extend(disk.reallocated.map(|count| format!("{count} reallocated")));
        parts.extend(disk.self_test_running_pct.map(|pct| format!("self-test at {pct} %")));
        format!("{} {} {}: {}", self.id, disk.model, disk.serial, parts.join(", "))
    }

    /// A value of the signal `smart`; nothing is known of a disk that was not looked at.
    fn value(&self) -> Option<Value> {
        let passed = self.disk.passed?;
        let pairs: [(&str, Value); 4] = [
            ("id", self.id.as_str().into()),
            ("passed", (passed && !self.disk.is_failing()).into()),
            ("state", self.state().into()),
            ("detail", self.troubles.join(", ").into()),
        ];
        Some(pairs.into_iter().collect())
    }
}

fn observe(seen: &[Health], errors: &[(String, ProbeError)]) -> Observation {
    let ids = |meant: &dyn Fn(&Health) -> bool| -> Vec<String> {
        seen.iter().filter(|health| meant(health)).map(|health| health.id.clone()).collect()
    };
    let asleep = ids(&|health| health.disk.is_asleep);
    let failing = ids(&|health| health.disk.is_failing());
    let unread: Vec<String> = errors.iter().map(|(id, _)| id.clone()).collect();
    let troubled: Vec<&Health> = seen.iter().filter(|health| !health.troubles.is_empty()).collect();
    let headline = match troubled.iter().max_by_key(|health| (health.disk.is_failing(), health.troubles.len())) {
        Some(worst) => format!("{} of {} disks not well; {}", troubled.len(), seen.len(), worst.line()),
        None if seen.is_empty() => "this host has no disk that tells of its health".to_owned(),
        None if !unread.is_empty() => format!("{} disks ok, not read: {}", seen.len(), unread.join(", ")),
        None if !asleep.is_empty() => format!("{} disks ok, {} of them asleep", seen.len(), asleep.len()),
        None => format!("{} disks ok", seen.len()),
    };
    let lines = seen.iter().map(Health::line).chain(errors.iter().map(|(id, error)| format!("{id}: {error}")));
    let count = |of: &dyn Fn(&Disk) -> Option<u64>| -> f64 {
        seen.iter().filter_map(|health| of(&health.disk)).max().unwrap_or(0) as f64
    };
    let most = |of: &dyn Fn(&Disk) -> Option<f64>| -> f64 {
        seen.iter().filter_map(|health| of(&health.disk)).fold(0.0, f64::max)
    };
    let has = |word: &str, disk: &Disk| disk.nvme_warnings.contains(&word);
    let all = Observation::observed(headline)
        .long(lines.collect::<Vec<_>>().join("\n"))
        .fact("disks", seen.len() + errors.len())
        .fact("failing", failing)
        .fact("asleep", asleep)
        .fact("unread", unread)
        .fact("read_only", ids(&|health| has("read_only", &health.disk)))
        .fact("warned", ids(&|health| !health.disk.nvme_warnings.is_empty() || !health.disk.failing_now.is_empty()))
        .fact("self_test_failed", ids(&|health| health.disk.self_test_failed == Some(true)))
        .fact("reallocated_max", count(&|disk| disk.reallocated))
        .fact("pending_max", count(&|disk| disk.pending))
        .fact("uncorrectable_max", count(&|disk| disk.uncorrectable.max(disk.media_errors)))
        .fact("wear_pct_max", most(&|disk| disk.wear_pct))
        .fact("temperature_c_max", most(&|disk| disk.temperature_c))
        .fact("smart", Value::List(seen.iter().filter_map(Health::value).collect()));
    measured(seen, all)
}

fn measured(seen: &[Health], mut all: Observation) -> Observation {
    for Health { id, disk, .. } in seen {
        let counts = [("reallocated", disk.reallocated), ("pending", disk.pending), ("crc_errors", disk.crc_errors)];
        let numbers =
            [("temperature", disk.temperature_c, ""), ("wear", disk.wear_pct, "%"), ("spare", disk.spare_pct, "%")];
        for (label, number, unit) in numbers {
            if let Some(number) = number {
                all = all.measure(&format!("{label} {id}"), number, unit);
            }
        }
        for (label, count) in counts {
            if let Some(count) = count {
                all = all.measure(&format!("{label} {id}"), count as f64, "");
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, number, plain_env, run_on, text};
    use crate::view::ToolRun;

    const ARGS: &str = "smartctl --json=c -i -H -A -l selftest -n standby,0";

    fn host(tools: &[(String, &str)]) -> Arc<SimView> {
        let said = |text: &str| ToolRun { code: Some(0), stdout: text.into(), stderr: String::new() };
        let tools: BTreeMap<String, ToolRun> = tools.iter().map(|(line, text)| (line.clone(), said(text))).collect();
        Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))
    }

    fn scan(devices: &[(&str, &str)]) -> String {
        let list: Vec<String> =
            devices.iter().map(|(name, kind)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#)).collect();
        format!(r#"{{"smartctl":{{}},"devices":[{}]}}"#, list.join(","))
    }

    const WELL: &str = r#"{"smartctl":{"exit_status":0},"model_name":"A","smart_status":{"passed":true},"temperature":{"current":30}}"#;
    const ILL: &str = r#"{"smartctl":{"exit_status":8},"model_name":"B","smart_status":{"passed":false},"temperature":{"current":55},
        "nvme_smart_health_information_log":{"critical_warning":8,"percentage_used":101,"media_errors":3}}"#;
    const DENIED: &str =
        r#"{"smartctl":{"exit_status":2,"messages":[{"string":"open device: /dev/sdc failed: Permission denied"}]}}"#;

    #[tokio::test]
    async fn every_disk_is_asked_and_the_worst_leads() {
        let view = host(&[
            (
                "smartctl --scan --json=c".into(),
                &scan(&[("/dev/sda", "sat"), ("/dev/nvme0", "nvme"), ("/dev/sdc", "sat")]),
            ),
            (format!("{ARGS} -d sat /dev/sda"), WELL),
            (format!("{ARGS} -d nvme /dev/nvme0"), ILL),
            (format!("{ARGS} -d sat /dev/sdc"), DENIED),
        ]);
        let seen = run_on("smart", "{}", view).await.expect("observed");
        assert!(seen.text.contains("1 of 2 disks not well; /dev/nvme0 B"), "{}", seen.text);
        assert_eq!((text(&seen, "failing"), text(&seen, "read_only")), ("[/dev/nvme0]".into(), "[/dev/nvme0]".into()));
        assert_eq!((text(&seen, "unread"), number(&seen, "disks")), ("[/dev/sdc]".into(), 3.0));
        assert_eq!((number(&seen, "wear_pct_max"), number(&seen, "temperature_c_max")), (101.0, 55.0));
        let signals = seen.facts["smart"].list().expect("a list");
        assert_eq!(signals[0].get("passed").and_then(Value::bool), Some(true));
        assert_eq!(signals[1].get("state").and_then(Value::text), Some("failing"));
        assert_eq!(signals.len(), 2, "nothing is known of a disk that was not read");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_never_healthy() {
        let device = r#"{"devices":["/dev/sdc"]}"#;
        let denied = run_on("smart", device, host(&[(format!("{ARGS} /dev/sdc"), DENIED)])).await;
        assert!(matches!(denied, Err(ProbeError::MissingRight(_))), "{denied:?}");
        let comma =
            run_on("smart", device, host(&[(format!("{ARGS} /dev/sdc"), "{\"temperature\":{\"current\":38,5}}")]))
                .await;
        assert!(comma.as_ref().is_err_and(|error| error.to_string().contains("decimal comma")), "{comma:?}");
        let absent = run_on("smart", "{}", host(&[])).await;
        assert!(absent.as_ref().is_err_and(|error| error.to_string().contains("smartmontools")), "{absent:?}");
        let none =
            run_on("smart", "{}", host(&[("smartctl --scan --json=c".into(), &scan(&[]))])).await.expect("observed");
        assert_eq!((number(&none, "disks"), number(&none, "wear_pct_max")), (0.0, 0.0));
    }

    #[tokio::test]
    async fn a_sleeping_disk_is_left_asleep() {
        let asleep = r#"{"smartctl":{"exit_status":0,"messages":[{"string":"Device is in STANDBY mode, exit(0)"}]}}"#;
        let view = host(&[(format!("{ARGS} -d megaraid,3 /dev/bus/0"), asleep)]);
        let seen = run_on("smart", r#"{"devices":[{"name":"/dev/bus/0","type":"megaraid,3"}]}"#, view)
            .await
            .expect("observed");
        assert_eq!(text(&seen, "asleep"), "[/dev/bus/0 megaraid,3]");
        assert_eq!(text(&seen, "smart"), "[]");
    }

    #[test]
    fn only_devices_are_taken() {
        for params in
            [r#"{"devices":["sda"]}"#, r#"{"devices":["-x"]}"#, r#"{"devices":[{"name":"/dev/sda","type":"-r"}]}"#]
        {
            assert!(build("smart", params, &plain_env()).is_err(), "{params}");
        }
    }
}
