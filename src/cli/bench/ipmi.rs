//! `stentor bench ipmi`: what reading controllers costs, how fast it goes, and what hung ones do to the others.
//!
//! The controllers are our own simulated ones in another process. The client is the one that `stentor serve` uses, on
//! the same kind of runtime and within the same number of places; only who asks differs: a list instead of the
//! schedule.

mod peers;
mod report;
pub(super) mod simulators;
mod usage;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use stentor_wire::ipmi::console::Credentials;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::report::Report;
use self::simulators::{PASSWORD, Simulators, USER};
use crate::collector::Limits;
use crate::probes::ipmi::{BmcAddress, BmcClient, observation};

/// Time a check of a controller has in the pack.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A controller that is back is asked again within this time.
const TRIALS_WITHIN: Duration = Duration::from_secs(76);

/// Pairs of windows of which the median counts.
const ROUNDS: usize = 3;

/// One in so many hangs when it is measured what that does to the others.
const HUNG_ONE_IN: usize = 10;

#[derive(Debug, Args)]
pub struct IpmiArgs {
    /// BMCs that are read at once
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=50_000))]
    pub bmcs: u32,
    /// Sensors of each
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(14..=200))]
    pub sensors: u8,
    /// Sweeps over all of them with warm sessions and records
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub sweeps: u32,
    /// Seconds over which polls are spread when it is measured what hung BMCs do to the others; six times that in all
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub paced_seconds: u32,
    /// BMCs that are read once in each period; 0 = leave it out
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(0..=15_000))]
    pub fleet: u32,
    /// Seconds of that period
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub fleet_seconds: u32,
    /// Sweeps of each other program that is installed; 0 = leave them out
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub peer_sweeps: u32,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Runs everything and prints it. Blocks, so never call it on a runtime's thread.
///
/// # Errors
/// The simulators do not start, or a healthy controller cannot be read.
pub fn run(args: &IpmiArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut simulators = Simulators::start(args.bmcs.max(args.fleet) as usize, args.sensors)?;
    let peers = match (args.peer_sweeps, simulators.addresses.first()) {
        (1.., Some(bmc)) => peers::run(*bmc, args.peer_sweeps)?,
        _ => Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let report = runtime.block_on(measure(args, &mut simulators, peers))?;
    if args.json { writeln!(out, "{}", report.json()) } else { write!(out, "{}", report.table()) }
        .context("cannot write the answer")?;
    Ok(0)
}

async fn measure(
    args: &IpmiArgs,
    simulators: &mut Simulators,
    peers: Vec<peers::PeerFigures>,
) -> anyhow::Result<Report> {
    let resident_before = usage::resident_bytes()?;
    let client = BmcClient::new(None, Duration::ZERO);
    let all = simulators.addresses.iter().map(|address| login(*address)).collect::<anyhow::Result<Vec<_>>>()?;
    let some: Vec<_> = all.iter().take(args.bmcs as usize).cloned().collect();
    let cold = Meter::start(simulators)?.stop(simulators, sweep(&client, &some, &Places::usual()).await)?;
    ensure!(cold.polls.failed == 0, "{} of {} BMCs could not be read at first", cold.polls.failed, some.len());
    let meter = Meter::start(simulators)?;
    let mut polls = Polls::default();
    for _ in 0..args.sweeps {
        polls.add(sweep(&client, &some, &Places::usual()).await);
    }
    let warm = meter.stop(simulators, polls)?;

    let hung = some.len() / HUNG_ONE_IN;
    let paced = Duration::from_secs(args.paced_seconds.into());
    let mut windows = Windows::default();
    for _ in 0..ROUNDS {
        // In turns, so that whatever else the machine does hits both alike.
        windows.healthy.push(spread(&client, &some, paced, hung).await);
        simulators.set_silent(hung)?;
        windows.beside_hung.push(spread(&client, &some, paced, hung).await);
        simulators.set_silent(0)?;
    }

    let fleet = if args.fleet == 0 {
        None
    } else {
        let fleet: Vec<_> = all.iter().take(args.fleet as usize).cloned().collect();
        // Logs in and reads the records of those that were not read yet; the hung ones are back by the second time.
        sweep(&client, &fleet, &Places::usual()).await;
        sleep_until(Instant::now() + TRIALS_WITHIN).await;
        sweep(&client, &fleet, &Places::usual()).await;
        let meter = Meter::start(simulators)?;
        let polls = spread(&client, &fleet, Duration::from_secs(args.fleet_seconds.into()), 0).await;
        let window = meter.stop(simulators, polls)?;
        Some((window, usage::resident_bytes()?.saturating_sub(resident_before)))
    };
    let resident = usage::resident_bytes()?;
    client.shutdown(Instant::now() + TIMEOUT).await;
    Ok(Report {
        bmcs: some.len(),
        sensors: usize::from(args.sensors),
        cold,
        warm,
        windows,
        fleet,
        fleet_bmcs: args.fleet as usize,
        resident,
        peers,
        load: std::fs::read_to_string("/proc/loadavg").unwrap_or_default(),
    })
}

fn login(address: SocketAddr) -> anyhow::Result<BmcAddress> {
    Ok(BmcAddress::new(address, Credentials::new(USER.as_bytes(), PASSWORD.as_bytes(), None)?))
}

/// Windows of paced polls with all controllers healthy and with some hanging; those that hang now and then are counted
/// in neither.
#[derive(Debug, Default)]
struct Windows {
    healthy: Vec<Polls>,
    beside_hung: Vec<Polls>,
}

/// What polls came to.
#[derive(Clone, Debug, Default)]
struct Polls {
    count: usize,
    failed: usize,
    sensors: usize,
    /// From when a poll was due to its end; of healthy controllers.
    latencies: Vec<Duration>,
    /// From when the first was due to the end of the last.
    wall: Duration,
}

impl Polls {
    fn add(&mut self, other: Polls) {
        self.count += other.count;
        self.failed += other.failed;
        self.sensors += other.sensors;
        self.latencies.extend(other.latencies);
        self.wall += other.wall;
    }

    fn take(&mut self, polled: &Polled) {
        self.count += 1;
        self.latencies.push(polled.took);
        match polled.sensors {
            Some(sensors) => self.sensors += sensors,
            None => self.failed += 1,
        }
    }

    /// The latency that `percent` of the polls did not exceed.
    fn percentile(&self, percent: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort();
        let at = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Polls, and what both processes used for them.
#[derive(Clone, Debug)]
struct Window {
    polls: Polls,
    cpu_s: f64,
    simulators_cpu_s: f64,
    wall: Duration,
}

struct Meter {
    cpu_s: f64,
    simulators_cpu_s: f64,
    started: Instant,
}

impl Meter {
    fn start(simulators: &Simulators) -> anyhow::Result<Meter> {
        let (own, theirs) = (usage::cpu(None)?.own, usage::cpu(Some(simulators.pid()))?.own);
        Ok(Meter { cpu_s: own, simulators_cpu_s: theirs, started: Instant::now() })
    }

    fn stop(self, simulators: &Simulators, polls: Polls) -> anyhow::Result<Window> {
        Ok(Window {
            polls,
            cpu_s: usage::cpu(None)?.own - self.cpu_s,
            simulators_cpu_s: usage::cpu(Some(simulators.pid()))?.own - self.simulators_cpu_s,
            wall: self.started.elapsed(),
        })
    }
}

/// One poll as the collector sees it.
struct Polled {
    number: usize,
    /// From when it was due.
    took: Duration,
    /// `None`: not all of them could be read.
    sensors: Option<usize>,
}

/// As many polls at once as the collector has places for.
#[derive(Clone)]
struct Places(Arc<Semaphore>);

impl Places {
    fn usual() -> Places {
        Places(Arc::new(Semaphore::new(Limits::default().native)))
    }

    /// A poll that is due now or, if it has to wait for a place, as soon as there is one.
    async fn poll(self, client: BmcClient, bmc: BmcAddress, number: usize, due: Option<Instant>) -> Polled {
        // The semaphore is never closed; without a place the poll would only be sooner.
        let _place = self.0.acquire().await;
        let due = due.unwrap_or_else(Instant::now);
        let result = client.poll(&bmc, Instant::now() + TIMEOUT).await;
        // What the probe makes of each poll belongs to the cost.
        let seen = result.as_ref().map(|poll| observation(poll));
        std::hint::black_box(seen.is_ok());
        let sensors = result.ok().filter(|poll| poll.are_sensors_read).map(|poll| poll.sensors.len());
        Polled { number, took: due.elapsed(), sensors }
    }
}

/// Polls all as fast as it goes.
async fn sweep(client: &BmcClient, bmcs: &[BmcAddress], places: &Places) -> Polls {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, bmc) in bmcs.iter().enumerate() {
        tasks.spawn(places.clone().poll(client.clone(), bmc.clone(), number, None));
    }
    let mut polls = Polls::default();
    while let Some(Ok(polled)) = tasks.join_next().await {
        polls.take(&polled);
    }
    polls.wall = started.elapsed();
    polls
}

/// Polls each once, spread over `period`. The first `hung` are polled but not counted.
async fn spread(client: &BmcClient, bmcs: &[BmcAddress], period: Duration, hung: usize) -> Polls {
    /// Steps of the golden ratio put neighbours far apart and leave no gap.
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let started = Instant::now();
    let places = Places::usual();
    let mut turns: Vec<(Duration, usize)> =
        (0..bmcs.len()).map(|n| (period.mul_f64((n as f64 * GOLDEN).fract()), n)).collect();
    turns.sort();
    let mut tasks = JoinSet::new();
    for (at, number) in turns {
        let Some(bmc) = bmcs.get(number).cloned() else { continue };
        let due = started + at;
        sleep_until(due).await;
        tasks.spawn(places.clone().poll(client.clone(), bmc, number, Some(due)));
    }
    let mut polls = Polls::default();
    while let Some(Ok(polled)) = tasks.join_next().await {
        if polled.number >= hung {
            polls.take(&polled);
        }
    }
    polls.wall = started.elapsed();
    polls
}
