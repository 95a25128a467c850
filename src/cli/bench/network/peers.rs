//! The usual programs against the same simulators: one process for each check, one after the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use serde_json::json;

use super::Kind;
use super::cost;
use super::simulator::address;

/// Where Debian puts plugins and programs.
const FOLDERS: [&str; 4] = ["/usr/lib/nagios/plugins", "/usr/lib64/nagios/plugins", "/usr/bin", "/usr/local/bin"];
/// ifHCInOctets: a counter of each port.
const COUNTER: &str = "1.3.6.1.2.1.31.1.1.1.6";

/// Name, arguments, values that one run reads.
type Peer = (&'static str, Vec<String>, u32);

fn peers(kind: Kind, port: u16) -> Vec<Peer> {
    let host = address(false, 0).to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (at, port) = (format!("{host}:{port}"), port.to_string());
    match kind {
        Kind::Tcp => vec![("check_tcp", words(&["-H", &host, "-p", &port]), 1)],
        Kind::Http => vec![("check_http", words(&["-H", &host, "-p", &port, "-u", "/"]), 1)],
        Kind::Snmp => {
            let one = format!("{COUNTER}.1");
            vec![
                ("check_snmp", words(&["-H", &host, "-p", &port, "-P", "2c", "-C", "public", "-o", &one]), 1),
                ("snmpget", words(&["-v2c", "-c", "public", &at, &one]), 1),
                ("snmpbulkwalk", words(&["-v2c", "-c", "public", "-Cr25", &at, COUNTER]), 24),
            ]
        }
    }
}

/// Each peer that is installed, `runs` times.
pub fn run(kind: Kind, port: u16, runs: u32) -> anyhow::Result<serde_json::Value> {
    let mut figures = serde_json::Map::new();
    for (name, arguments, values) in peers(kind, port).into_iter().filter(|_| runs > 0) {
        let figure = match find(name) {
            None => json!("not installed"),
            Some(program) => measure(&program, &arguments, runs, values)?,
        };
        figures.insert(name.to_owned(), figure);
    }
    Ok(figures.into())
}

fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// The CPU time of children that ended is known once they were waited for, which `status` does.
fn measure(program: &Path, arguments: &[String], runs: u32, values: u32) -> anyhow::Result<serde_json::Value> {
    let (before, begin) = (cost::of("self")?.children, Instant::now());
    let mut failed = 0;
    for _ in 0..runs {
        let mut command = Command::new(program);
        command.args(arguments).env("MIBS", "").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
        failed += u32::from(!status.success());
    }
    let wall = begin.elapsed().as_secs_f64();
    let cpu = cost::of("self")?.children.since(&before).cpu_s;
    let runs_done = f64::from(runs);
    Ok(json!({
        "runs": runs,
        "failed": failed,
        "cpu_us_per_check": cpu * 1e6 / runs_done,
        "wall_ms_per_check": wall * 1e3 / runs_done,
        "checks_per_cpu_s": runs_done / cpu.max(0.01),
        "values_per_cpu_s": runs_done * f64::from(values) / cpu.max(0.01),
    }))
}
