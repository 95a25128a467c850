//! The programs others use, one process a sweep as their users run them, with their caches of sensor records warm.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::simulators::{PASSWORD, USER};
use super::usage;

/// What one program needed.
#[derive(Clone, Debug)]
pub struct PeerFigures {
    pub name: &'static str,
    pub command: String,
    pub sensors: usize,
    pub cpu_ms_per_sweep: f64,
    pub wall_ms_per_sweep: f64,
}

impl PeerFigures {
    pub fn sensors_per_cpu_s(&self) -> f64 {
        self.sensors as f64 / self.cpu_ms_per_sweep * 1000.0
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

fn lines(command: &mut Command) -> anyhow::Result<Vec<String>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} does not start"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} failed: {out}{err}");
    Ok(out.lines().map(str::to_owned).collect())
}

/// Runs `command` once to fill its cache, then `sweeps` times. Lines of its output that hold a reading are counted.
fn measure(
    name: &'static str,
    command: &mut Command,
    sweeps: u32,
    is_reading: fn(&str) -> bool,
) -> anyhow::Result<PeerFigures> {
    let sensors = lines(command)?.iter().filter(|line| is_reading(line)).count();
    ensure!(sensors > 0, "{command:?} shows no sensor");
    let (before, started) = (usage::cpu(None)?, Instant::now());
    for _ in 0..sweeps {
        lines(command)?;
    }
    let cpu = usage::cpu(None)?.children - before.children;
    let per_sweep = 1000.0 / f64::from(sweeps.max(1));
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok(PeerFigures {
        name,
        command: format!("{name} {}", words.join(" ").replace(PASSWORD, "...")),
        sensors,
        cpu_ms_per_sweep: cpu * per_sweep,
        wall_ms_per_sweep: started.elapsed().as_secs_f64() * per_sweep,
    })
}

fn ipmitool(path: &Path, bmc: SocketAddr) -> Command {
    let mut command = Command::new(path);
    let (ip, port) = (bmc.ip().to_string(), bmc.port().to_string());
    command.args(["-I", "lanplus", "-C", "17", "-H", &ip, "-p", &port, "-U", USER, "-P", PASSWORD, "-L", "USER"]);
    command
}

/// Measures what is installed.
///
/// # Errors
/// An installed program fails.
pub fn run(bmc: SocketAddr, sweeps: u32) -> anyhow::Result<Vec<PeerFigures>> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut all = Vec::new();
    if let Some(path) = find("ipmitool") {
        let cache = folder.path().join("sdr").to_string_lossy().into_owned();
        lines(ipmitool(&path, bmc).args(["sdr", "dump", &cache]))?;
        let mut sweep = ipmitool(&path, bmc);
        sweep.args(["-S", &cache, "sdr", "elist"]);
        all.push(measure("ipmitool", &mut sweep, sweeps, |line| line.contains('|'))?);
    }
    if let Some(path) = find("ipmi-sensors") {
        let mut sweep = Command::new(path);
        sweep.args(["-h", &bmc.to_string(), "-u", USER, "-p", PASSWORD, "-l", "USER", "-D", "LAN_2_0", "-I", "17"]);
        sweep.arg(format!("--sdr-cache-directory={}", folder.path().display()));
        sweep.args(["--quiet-cache", "--comma-separated-output", "--no-header-output", "--output-sensor-state"]);
        all.push(measure("ipmi-sensors", &mut sweep, sweeps, |line| line.contains(','))?);
    }
    Ok(all)
}
