//! The controllers that are read: simulated ones in a process of their own, so that their CPU is not counted as ours.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::clock::Clock;
use crate::demo::bmc::{BmcIdentity, SimulatedBmc};
use crate::demo::bmc_model::BmcModel;

pub const USER: &str = "monitor";
pub const PASSWORD: &str = "exactly twenty bytes";

/// Controllers in a row of addresses before the next row begins.
const PER_ROW: usize = 250;
/// First of the rows: 127.90.0.1 and on, all loopback.
const FIRST_ROW: usize = 90 << 8;

/// What `stentor bench ipmi` starts; of no use by hand.
#[derive(Debug, Args)]
pub struct SimulatorArgs {
    #[arg(long)]
    pub count: usize,
    #[arg(long)]
    pub sensors: u8,
}

/// Runs controllers until the input ends. First come their addresses, then each line `silent N` makes the first N
/// silent and the others answer.
///
/// # Errors
/// An address cannot be bound, or the other end is gone.
pub fn serve(args: &SimulatorArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<u8> {
    raise_file_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("no runtime")?;
    let bmcs = runtime.block_on(start(args))?;
    for bmc in &bmcs {
        writeln!(out, "{}", bmc.address())?;
    }
    writeln!(out, "ready")?;
    out.flush()?;
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let silent: usize =
            line.trim().strip_prefix("silent ").and_then(|count| count.parse().ok()).context("not an order")?;
        runtime.block_on(async {
            for (n, bmc) in bmcs.iter().enumerate() {
                bmc.set_silent(n < silent).await;
            }
        });
        writeln!(out, "done")?;
        out.flush()?;
        line.clear();
    }
    Ok(0)
}

async fn start(args: &SimulatorArgs) -> anyhow::Result<Vec<SimulatedBmc>> {
    let clock = Clock::Machine;
    let now = u32::try_from(clock.now().as_millis() / 1000).unwrap_or(0);
    let mut bmcs = Vec::with_capacity(args.count);
    for n in 0..args.count {
        let (row, place) = (FIRST_ROW + n / PER_ROW, n % PER_ROW + 1);
        let ip = Ipv4Addr::new(127, (row >> 8) as u8, row as u8, place as u8);
        let model = BmcModel::healthy_with(now, args.sensors);
        let identity = BmcIdentity::with_user(USER, PASSWORD);
        let bmc = SimulatedBmc::start_model(SocketAddr::from((ip, 0)), identity, model, clock.clone()).await;
        bmcs.push(bmc.with_context(|| format!("cannot simulate a BMC on {ip}"))?);
    }
    Ok(bmcs)
}

/// Each controller has a socket; the usual soft limit is a thousand.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it stays low, the bind that fails says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The other process; it ends when this is dropped.
pub struct Simulators {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub addresses: Vec<SocketAddr>,
}

impl Drop for Simulators {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.orders = None;
        let _ = self.child.wait();
    }
}

impl Simulators {
    /// Starts this program once more, as simulators.
    ///
    /// # Errors
    /// It does not start, or says something else than addresses.
    pub fn start(count: usize, sensors: u8) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program is not to be found")?;
        let mut child = Command::new(program)
            .args(["bench", "ipmi-simulators", "--count", &count.to_string(), "--sensors", &sensors.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the simulators do not start")?;
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().context("no pipe from the simulators")?);
        let mut addresses = Vec::with_capacity(count);
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(answers.read_line(&mut line)? > 0, "the simulators ended early");
            match line.trim() {
                "ready" => break,
                address => addresses.push(address.parse().with_context(|| format!("`{address}` is no address"))?),
            }
        }
        Ok(Simulators { child, orders, answers, addresses })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes the first `count` silent and the others answer.
    ///
    /// # Errors
    /// The other process is gone.
    pub fn set_silent(&mut self, count: usize) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("the simulators have ended")?;
        writeln!(orders, "silent {count}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.trim() != "done" {
            bail!("the simulators answered `{}`", line.trim());
        }
        Ok(())
    }
}
