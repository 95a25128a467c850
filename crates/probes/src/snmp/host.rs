//! The probe `snmp_host`: a host by HOST-RESOURCES-MIB: storage, memory, processors, devices, processes.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::host::{self, Host, Kind, Storage};

use crate::look::ahead_of;
use crate::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

use super::{Access, Agent, Asking, SnmpError, SnmpPoller, With, unanswered};

/// File systems, devices, processors of one host.
const ROWS_MAX: usize = 5_000;
const PROCESSES_MAX: usize = 50_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// File systems that count, by name; without it all disks do.
    mounts: Vec<String>,
    /// Names of processes that must run.
    processes: Vec<String>,
}

/// Reads a host.
pub struct SnmpHost {
    net: Network,
    poller: Arc<dyn SnmpPoller>,
    access: Access,
    own: Own,
}

impl Probe for SnmpHost {
    const KIND: &'static str = "snmp_host";
    const DOC: &'static str = include_str!("../../../../docs/probes/snmp_host.md");
    type Config = With<Own>;

    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        config.access.check(Self::KIND)?;
        Ok(SnmpHost { net: env.net.clone(), poller: env.net.snmp(), access: config.access, own: config.own })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let agent = self.access.agent(&self.net, target, deadline).await?;
        match self.read(&agent, deadline).await {
            Ok(host) if host.is_one() => Ok(self.observe(&host)),
            Ok(_) => {
                let text = format!("SNMP agent {} answers, but has no HOST-RESOURCES-MIB", agent.addr);
                Ok(Observation::observed(text).fact("snmp", "ok").fact("host_found", false))
            }
            Err(error) => unanswered(&agent, error),
        }
    }
}

impl SnmpHost {
    async fn read(&self, agent: &Agent, deadline: Deadline) -> Result<Host, SnmpError> {
        let mut ask = Asking::new(&*self.poller, agent, deadline);
        let mut found = ask.get(&host::scalars(), "its uptime").await?;
        found.extend(ask.columns(&host::columns(), ROWS_MAX, "its tables").await?);
        if !self.own.processes.is_empty() {
            found.extend(ask.columns(&host::process_columns(), PROCESSES_MAX, "its processes").await?);
        }
        Ok(host::read(&found))
    }

    /// Whether a file system counts.
    fn is_meant(&self, storage: &Storage) -> bool {
        match self.own.mounts.is_empty() {
            true => storage.kind == Kind::Disk,
            false => self.own.mounts.contains(&storage.name),
        }
    }

    fn observe(&self, host: &Host) -> Observation {
        let disks: Vec<&Storage> = host.storage.iter().filter(|one| self.is_meant(one)).collect();
        let fullest = disks.iter().max_by(|a, b| a.used_pct.total_cmp(&b.used_pct));
        let memory = host.storage.iter().find(|one| one.kind == Kind::Memory).map(|one| one.used_pct);
        let is_mounted = |name: &&String| host.storage.iter().any(|one| one.name == **name);
        let not_mounted: Vec<String> = self.own.mounts.iter().filter(|name| !is_mounted(name)).cloned().collect();
        let not_running: Vec<String> =
            self.own.processes.iter().filter(|name| !host.running.contains(name)).cloned().collect();
        let mut parts = Vec::new();
        parts.extend(host.cpu_pct().map(|pct| format!("processors {}%", round(pct))));
        parts.extend(memory.map(|pct| format!("memory {}%", round(pct))));
        parts.extend(fullest.map(|one| format!("fullest {} {}%", one.name, round(one.used_pct))));
        for (what, list) in [
            ("not mounted", &not_mounted),
            ("not running", &not_running),
            ("device down", &host.devices_down),
            ("device warning", &host.devices_warning),
        ] {
            if !list.is_empty() {
                parts.push(format!("{what}: {}", list.join(", ")));
            }
        }
        if parts.is_empty() {
            parts.push("neither storage nor processors are told".to_owned());
        }
        let mut seen = Observation::observed(parts.join(", "))
            .fact("snmp", "ok")
            .fact("host_found", true)
            .fact("not_mounted", not_mounted)
            .fact("not_running", not_running)
            .fact("devices_down", host.devices_down.clone())
            .fact("devices_warning", host.devices_warning.clone())
            .fact("processors", host.processors.len())
            .fact("storage", host.storage.iter().map(storage).collect::<Vec<_>>());
        for (fact, number) in [
            ("uptime_s", host.uptime_s),
            ("processes", host.processes),
            ("cpu_pct", host.cpu_pct()),
            ("memory_used_pct", memory),
            ("used_pct_max", fullest.map(|one| one.used_pct)),
        ] {
            if let Some(number) = number {
                seen = seen.fact(fact, round(number));
            }
        }
        for (label, number) in [("cpu", host.cpu_pct()), ("memory", memory)] {
            if let Some(number) = number {
                seen = seen.measure(label, round(number), "%");
            }
        }
        for disk in disks.iter().take(MEASUREMENTS_MAX) {
            seen = seen.measure(&disk.name, round(disk.used_pct), "%");
        }
        seen
    }
}

fn storage(one: &Storage) -> Value {
    let pairs: [(&str, Value); 4] = [
        ("name", one.name.as_str().into()),
        ("kind", one.kind.word().into()),
        ("bytes", one.bytes.into()),
        ("used_pct", round(one.used_pct).into()),
    ];
    pairs.into_iter().collect()
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
