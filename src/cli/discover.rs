//! `stentor discover`: looks at addresses and proposes what it found as TOML. It watches nothing and pages nobody.

mod proposal;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::StreamExt;
use stentor_core::Span;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::probes::Network;
use crate::probes::discover::range::Range;
use crate::probes::discover::{BmcLogin, Found, PORTS, Place, Wish, discover};
use crate::probes::exec::raise_descriptor_limit;

/// Time for sessions at controllers to be given back.
const FAREWELL: Duration = Duration::from_secs(3);
/// Time for a name to resolve.
const RESOLVE: Duration = Duration::from_secs(10);

/// Propose hosts, controllers, services and components found at addresses as TOML
///
/// It looks only, and sends no password but those given here. What it prints is a proposal: nothing of it is watched before it
/// is part of a configuration. Ctrl-C ends the search and prints what was found until then.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DiscoverArgs {
    /// Addresses, ranges (10.0.1.0/24), host names
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Write the proposal to this new file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Time for each single answer
    #[arg(long, default_value = "1500ms", value_name = "DURATION")]
    pub timeout: Span,
    /// Addresses looked at together
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub at_once: u16,
    /// Connections and datagrams a second, in all
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub per_second: u32,
    /// Most addresses of all targets together
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub max: u64,
    /// Another port than the usual: ssh=2222, https=8443
    #[arg(long = "port", value_name = "NAME=PORT")]
    pub ports: Vec<String>,
    /// User for management controllers: sensors, power supplies and arrays are then proposed too
    #[arg(long, requires = "bmc_password_file")]
    pub bmc_user: Option<String>,
    /// File with that user's password
    #[arg(long, requires = "bmc_user", value_name = "FILE")]
    pub bmc_password_file: Option<PathBuf>,
    /// File with an SNMP community: agents are then asked for their interfaces, bonds and batteries
    #[arg(long, value_name = "FILE")]
    pub community_file: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  stentor discover 10.0.1.0/24 --out found.toml && stentor verify --config found.toml
  stentor discover 10.0.9.0/24 --bmc-user monitor --bmc-password-file /etc/stentor/secrets/bmc
  stentor discover switch1 switch2 --community-file /etc/stentor/secrets/community";

/// 0 = something was found, 1 = nothing.
///
/// # Errors
/// A target cannot be read or has too many addresses; the output cannot be written.
pub async fn run(args: &DiscoverArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    // Refused before the search, not after it.
    let file = args.out.as_ref().map(|path| {
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        opened.with_context(|| format!("cannot create `{}`", path.display()))
    });
    let file = file.transpose()?;
    raise_descriptor_limit();
    let net = Network::real();
    let places = places(args, &net).await?;
    let wish = wish(args, net.clone())?;
    let (found, looked) = search(&wish, places.clone()).await;
    let farewell = Instant::now() + FAREWELL;
    tokio::join!(net.bmc_client().shutdown(farewell), net.redfish().shutdown(farewell));
    let search = proposal::Search { targets: &args.targets, looked, of: places.len(), wish: &wish };
    let text = proposal::write(&search, &found);
    match file {
        Some(mut file) => file.write_all(text.as_bytes()).context("cannot write the proposal")?,
        None => out.write_all(text.as_bytes()).context("cannot print the proposal")?,
    }
    out.flush()?;
    Ok(u8::from(!found.iter().any(Found::is_anything)))
}

/// Every address once, in the order of the targets.
async fn places(args: &DiscoverArgs, net: &Network) -> anyhow::Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for target in &args.targets {
        let range = Range::parse(target, args.max)?;
        if let Range::Name(name) = &range {
            let resolved = net.resolve(name, 0, Instant::now() + RESOLVE).await;
            let address = resolved.with_context(|| format!("cannot resolve `{name}`"))?.ip();
            places.push(Place { name: name.clone(), address });
        }
        places.extend(range.addresses().into_iter().map(|address| Place { name: address.to_string(), address }));
        let (count, max) = (places.len() as u64, args.max);
        ensure!(count <= max, "the targets have more than {max} addresses together (--max)");
    }
    let mut seen = std::collections::BTreeSet::new();
    places.retain(|place| seen.insert(place.address));
    Ok(places)
}

fn wish(args: &DiscoverArgs, net: Network) -> anyhow::Result<Wish> {
    let mut ports = BTreeMap::new();
    for given in &args.ports {
        let (name, port) = given.split_once('=').with_context(|| format!("`{given}` is not NAME=PORT"))?;
        let port: u16 =
            port.parse().ok().filter(|port| *port > 0).with_context(|| format!("`{port}` is not a port"))?;
        if !PORTS.iter().any(|(known, _)| *known == name) {
            let known: Vec<&str> = PORTS.iter().map(|(known, _)| *known).collect();
            bail!("nothing named `{name}` is looked for; there are {}", known.join(", "));
        }
        ports.insert(name.to_owned(), port);
    }
    ensure!(
        args.timeout > Span::ZERO && args.timeout <= Span::from_secs(60),
        "--timeout is more than 0 and at most 60s"
    );
    // The proposal may be read from anywhere.
    let text = |path: &PathBuf| std::path::absolute(path).map(|path| path.display().to_string());
    let password_file = args.bmc_password_file.as_ref().map(text).transpose()?;
    let community_file = args.community_file.as_ref().map(text).transpose()?;
    Ok(Wish {
        net,
        clock: Clock::Machine,
        ports,
        patience: args.timeout.to_std(),
        at_once: usize::from(args.at_once),
        per_second: args.per_second,
        bmc_login: args
            .bmc_user
            .clone()
            .zip(password_file)
            .map(|(user, password_file)| BmcLogin { user, password_file }),
        community_file,
    })
}

/// Looks until all is done or somebody has had enough. What was found, by address, and how many were looked at.
async fn search(wish: &Wish, places: Vec<Place>) -> (Vec<Found>, usize) {
    let order: BTreeMap<String, usize> =
        places.iter().enumerate().map(|(i, place)| (place.address.to_string(), i)).collect();
    let mut progress = Progress::new(places.len());
    let mut findings = pin!(discover(wish, places));
    let mut found: Vec<Found> = Vec::new();
    let mut looked = 0;
    let mut enough = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            finding = findings.next() => {
                let Some(finding) = finding else { break };
                looked += 1;
                if finding.is_anything() {
                    found.push(finding);
                }
                progress.show(looked, &found);
            }
            // Where no signal can be had there is nothing to wait for.
            Ok(()) = &mut enough => break,
        }
    }
    progress.end();
    found.sort_by_key(|one| order.get(&one.address).copied());
    (found, looked)
}

/// One line on standard error that follows the search; nothing where nobody sits before it.
struct Progress {
    of: usize,
    is_shown: bool,
}

impl Progress {
    fn new(of: usize) -> Progress {
        Progress { of, is_shown: io::stderr().is_terminal() }
    }

    fn show(&mut self, looked: usize, found: &[Found]) {
        let controllers = found.iter().filter(|one| one.bmc.is_some()).count();
        let services: usize = found.iter().map(|one| one.services.len() + one.webs.len() + one.components.len()).sum();
        let line = format!(
            "\r\x1b[K{looked} of {} addresses: {} answer, {controllers} controllers, {services} services",
            self.of,
            found.len()
        );
        self.print(&line);
    }

    fn end(&mut self) {
        self.print("\n");
    }

    /// A terminal that has gone is no reason to stop.
    fn print(&mut self, text: &str) {
        if self.is_shown {
            let mut terminal = io::stderr().lock();
            self.is_shown = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).is_ok();
        }
    }
}
