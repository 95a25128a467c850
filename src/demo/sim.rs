//! The simulated cloud as one task: it alone knows which faults are active, and makes hosts look accordingly.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::bmc::{BmcIdentity, SimulatedBmc};
use super::device::Device;
use super::device_model;
use super::fault::{Fault, Kind, Resource};
use super::inside::{inside, is_active, is_killed, taken};
use super::plan::{HOSTS, HostPlan, Net, SWITCH, UPS, shifted};
use super::port::{Behaviour, Page, Port};
use crate::agent::{Agent, AgentConfig, Token};
use crate::clock::Clock;
use crate::probes::Network;
use crate::probes::sim_view::SimView;

/// The simulated BMCs' user and password.
pub const BMC_USER: &str = "monitor";
pub const BMC_PASSWORD: &str = "monpass";
const ORDERS_MAX: usize = 64;
/// Machines that were switched over the network and whose world has not followed yet.
const SWITCHED_MAX: usize = 64;

/// Asked of the simulation.
enum Order {
    Inject(Fault, oneshot::Sender<bool>),
    Heal(Fault, oneshot::Sender<bool>),
    HealAll(oneshot::Sender<Vec<Fault>>),
    Active(oneshot::Sender<BTreeSet<Fault>>),
    Agents { hub: String, token: String, push_every: std::time::Duration, done: oneshot::Sender<()> },
}

/// How others talk to the simulation. Cheap to clone.
#[derive(Clone)]
pub struct Sim {
    orders: mpsc::Sender<Order>,
    dark: Arc<ArcSwap<BTreeSet<IpAddr>>>,
}

/// The running simulation; dropping it ends every simulated host.
pub struct Running {
    pub sim: Sim,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Host {
    plan: &'static HostPlan,
    view: Arc<SimView>,
    bmc: Option<SimulatedBmc>,
    ports: BTreeMap<u16, Port>,
    agent: Option<(CancellationToken, JoinHandle<()>)>,
}

struct World {
    hosts: Vec<Host>,
    /// By the host of the broker.
    vcenters: BTreeMap<&'static str, Port>,
    switch: Device,
    ups: Device,
    faults: BTreeSet<Fault>,
    dark: Arc<ArcSwap<BTreeSet<IpAddr>>>,
    tls: TlsAcceptor,
    clock: Clock,
    net: Net,
    hub: Option<(String, String, std::time::Duration)>,
}

/// Starts every simulated host, all of them well.
///
/// # Errors
/// A BMC's port is taken (is another demo running?) or no certificate can be made.
pub async fn start(clock: Clock, net: Net) -> anyhow::Result<Running> {
    let dark = Arc::new(ArcSwap::from_pointee(BTreeSet::new()));
    let mut hosts = Vec::new();
    for plan in HOSTS {
        hosts.push(Host {
            plan,
            view: Arc::new(SimView::of(inside(plan, &BTreeSet::new()))),
            bmc: if plan.is_physical() { Some(bmc(plan, net, &clock).await?) } else { None },
            ports: ports(plan, net),
            agent: None,
        });
    }
    let mut world = World {
        hosts,
        vcenters: vcenters(net),
        switch: device(SWITCH, net).await?,
        ups: device(UPS, net).await?,
        faults: BTreeSet::new(),
        dark: Arc::clone(&dark),
        tls: acceptor()?,
        clock,
        net,
        hub: None,
    };
    world.settle().await;
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    let switched = world.listen_to_bmcs().await;
    let task = tokio::spawn(world.run(inbox, switched));
    Ok(Running { sim: Sim { orders, dark }, task })
}

async fn bmc(plan: &HostPlan, net: Net, clock: &Clock) -> io::Result<SimulatedBmc> {
    let address = SocketAddr::new(net.bmc(plan), shifted(623));
    SimulatedBmc::start(address, BmcIdentity::with_operator(BMC_USER, BMC_PASSWORD), clock.clone()).await
}

/// Silent on everything until the world settles.
async fn device(name: &str, net: Net) -> io::Result<Device> {
    Device::start(SocketAddr::new(net.device(name), shifted(161)), BTreeMap::new()).await
}

/// The ports a host has, by component; all start shut.
fn ports(plan: &HostPlan, net: Net) -> BTreeMap<u16, Port> {
    let mut numbers = BTreeSet::from([22u16]);
    for component in plan.components {
        numbers.extend(served(component).iter().copied());
    }
    numbers.into_iter().map(|number| (number, Port::new(SocketAddr::new(net.host(plan), shifted(number))))).collect()
}

fn vcenters(net: Net) -> BTreeMap<&'static str, Port> {
    let brokers = HOSTS.iter().filter(|plan| plan.components.contains(&"vb"));
    brokers.map(|plan| (plan.name, Port::new(SocketAddr::new(net.vcenter(plan), shifted(443))))).collect()
}

fn served(component: &str) -> &'static [u16] {
    match component {
        "clc" => &[8773, 8777],
        "ufs" => &[8773, 53],
        "walrus" | "vb" => &[8773],
        "sc" => &[8773, 3260],
        "cc" => &[8774],
        "nc" => &[8775],
        "console" => &[443],
        "elb" => &[80],
        _ => &[],
    }
}

/// A certificate of its own, made at each start.
fn acceptor() -> anyhow::Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(vec!["console.demo".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| anyhow::anyhow!("the demo's certificate key cannot be used: {error}"))?;
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Sim {
    /// The network in which dark hosts are silent.
    pub fn network(&self) -> Network {
        let dark = Arc::clone(&self.dark);
        Network::with_darkness(Arc::new(move |ip| dark.load().contains(&ip)))
    }

    /// False if it was active already.
    pub async fn inject(&self, fault: Fault) -> bool {
        self.ask(|reply| Order::Inject(fault, reply)).await.unwrap_or(false)
    }

    /// False if it was not active.
    pub async fn heal(&self, fault: Fault) -> bool {
        self.ask(|reply| Order::Heal(fault, reply)).await.unwrap_or(false)
    }

    pub async fn heal_all(&self) -> Vec<Fault> {
        self.ask(Order::HealAll).await.unwrap_or_default()
    }

    pub async fn active(&self) -> BTreeSet<Fault> {
        self.ask(Order::Active).await.unwrap_or_default()
    }

    /// Starts one agent on every simulated host, pushing to `hub`.
    pub async fn start_agents(&self, hub: &str, token: &str, push_every: std::time::Duration) {
        let (hub, token) = (hub.to_owned(), token.to_owned());
        self.ask(|done| Order::Agents { hub, token, push_every, done }).await;
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl World {
    /// Which machine was switched over the network, and whether it is on.
    async fn listen_to_bmcs(&self) -> mpsc::Receiver<(&'static str, bool)> {
        let (told, switched) = mpsc::channel(SWITCHED_MAX);
        for host in &self.hosts {
            let (told, name) = (told.clone(), host.plan.name);
            if let Some(bmc) = &host.bmc {
                let switched = move |is_on| {
                    // A controller never waits for the world; nobody switches so many machines at once.
                    let _ = told.try_send((name, is_on));
                };
                bmc.tell(Box::new(switched)).await;
            }
        }
        switched
    }

    /// A machine that was switched on boots, and one that was switched off is gone like any other without power.
    fn switched(&mut self, host: &'static str, is_on: bool) {
        let is_power = |fault: &Fault| fault.kind == Kind::Server && fault.host == host;
        if is_on {
            self.faults.retain(|fault| !is_power(fault));
        } else if !self.faults.iter().any(is_power) {
            let named = Fault::all().into_iter().find(is_power);
            self.faults.insert(named.unwrap_or(Fault { kind: Kind::Server, host, component: None }));
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut switched: mpsc::Receiver<(&'static str, bool)>) {
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                Some((host, is_on)) = switched.recv() => {
                    self.switched(host, is_on);
                    self.settle().await;
                    continue;
                }
            };
            let Some(order) = order else { return };
            // Whoever asked and went away does not need the answer.
            match order {
                Order::Inject(fault, reply) => {
                    let new = self.faults.insert(fault);
                    self.settle().await;
                    let _ = reply.send(new);
                }
                Order::Heal(fault, reply) => {
                    let was = self.faults.remove(&fault);
                    self.settle().await;
                    let _ = reply.send(was);
                }
                Order::HealAll(reply) => {
                    let healed = std::mem::take(&mut self.faults).into_iter().collect();
                    self.settle().await;
                    let _ = reply.send(healed);
                }
                Order::Active(reply) => {
                    let _ = reply.send(self.faults.clone());
                }
                Order::Agents { hub, token, push_every, done } => {
                    self.hub = Some((hub, token, push_every));
                    self.settle().await;
                    let _ = done.send(());
                }
            }
        }
    }

    /// Makes every host look as the active faults have it.
    async fn settle(&mut self) {
        let off: BTreeSet<&str> =
            self.faults.iter().filter(|fault| fault.kind == Kind::Server).map(|fault| fault.host).collect();
        // An instance dies with its node.
        let rack_is_dark = is_active(&self.faults, Kind::Rack);
        let is_off = |plan: &HostPlan| {
            off.contains(plan.name)
                || plan.vm_on.is_some_and(|node| off.contains(node))
                || (rack_is_dark && plan.in_rack)
        };
        let dark = HOSTS.iter().filter(|plan| is_off(plan)).map(|plan| self.net.host(plan)).collect();
        self.dark.store(Arc::new(dark));
        self.switch.set(device_model::stack(SWITCH, is_active(&self.faults, Kind::Stack)));
        let is_on_battery = [Kind::Feed, Kind::Ups].into_iter().any(|kind| is_active(&self.faults, kind));
        self.ups.set(device_model::ups(UPS, is_on_battery));
        let database = self.controller_serves();
        for host in &mut self.hosts {
            let dead = is_off(host.plan);
            let seen = inside(host.plan, &self.faults);
            host.view.change(|now| *now = seen.clone());
            if let Some(bmc) = &host.bmc {
                settle_bmc(bmc, host.plan, &self.faults, dead).await;
            }
            for (number, port) in &host.ports {
                port.set(if dead {
                    Behaviour::Shut
                } else {
                    behaviour(host.plan, *number, &self.faults, database, &self.tls)
                });
            }
            settle_agent(host, dead, self.hub.as_ref(), &self.clock);
        }
        for (broker, port) in &self.vcenters {
            let lost = self
                .faults
                .iter()
                .any(|fault| fault.host == *broker && fault.kind == Kind::Resource && fault.component == Some("vb"));
            port.set(if lost { Behaviour::Shut } else { Behaviour::Banner("") });
        }
    }

    /// Whether the Cloud Controller serves the others: without it they are not in service.
    fn controller_serves(&self) -> bool {
        !self.faults.iter().any(|fault| {
            let whole = matches!(fault.kind, Kind::Software | Kind::Hang | Kind::Resource | Kind::Server);
            whole && fault.component == Some("clc")
        })
    }
}

async fn settle_bmc(bmc: &SimulatedBmc, plan: &HostPlan, faults: &BTreeSet<Fault>, dead: bool) {
    let psu = faults.iter().any(|fault| fault.kind == Kind::Psu && fault.host == plan.name);
    // Without any feed there is no standby power either: it says nothing, neither on nor off.
    let is_unfed = plan.in_rack && is_active(faults, Kind::Rack);
    bmc.set_silent(is_unfed).await;
    bmc.set_power(!dead || is_unfed).await;
    // The first supply of every host hangs on the mains, the second on the UPS.
    if is_active(faults, Kind::Feed) && !plan.in_rack {
        bmc.lose_psu_input(1).await;
    } else {
        bmc.mend_psu(1).await;
    }
    if psu {
        bmc.fail_psu(2).await;
    } else {
        bmc.mend_psu(2).await;
    }
}

fn settle_agent(host: &mut Host, dead: bool, hub: Option<&(String, String, std::time::Duration)>, clock: &Clock) {
    match (&host.agent, dead, hub) {
        (Some((stop, task)), true, _) => {
            stop.cancel();
            // Power was cut: nothing is said goodbye to.
            task.abort();
            host.agent = None;
        }
        (None, false, Some((hub, token, push_every))) => {
            let mut config = AgentConfig::new(hub, Token::new(token), host.plan.name);
            config.push_every = *push_every;
            let stop = CancellationToken::new();
            let (view, clock, ended) = (Arc::clone(&host.view), clock.clone(), stop.clone());
            let name = host.plan.name;
            let task = tokio::spawn(async move {
                if let Err(error) = Agent::run(config, view, clock, ended).await {
                    tracing::error!(host.name = name, %error, "a simulated agent failed");
                }
            });
            host.agent = Some((stop, task));
        }
        _ => {}
    }
}

/// What a port of a living host does.
fn behaviour(plan: &HostPlan, number: u16, faults: &BTreeSet<Fault>, database: bool, tls: &TlsAcceptor) -> Behaviour {
    if number == 22 {
        return Behaviour::Banner("SSH-2.0-OpenSSH_8.7\r\n");
    }
    let Some(owner) = plan.components.iter().copied().find(|component| served(component).contains(&number)) else {
        return Behaviour::Shut;
    };
    let hangs = |component: &str| {
        faults.iter().any(|f| f.host == plan.name && f.kind == Kind::Hang && f.component == Some(component))
    };
    let lost = |component: &str| taken(plan, faults, component);
    match number {
        8773 => {
            let java: Vec<&'static str> = plan.java().collect();
            if java.iter().all(|component| is_killed(plan, faults, component)) {
                return Behaviour::Shut;
            }
            if java.iter().any(|component| hangs(component)) {
                return Behaviour::Hang;
            }
            let enabled = |component: &str| {
                lost(component).is_none() && !is_killed(plan, faults, component) && (database || component == "clc")
            };
            let lines: String = java.iter().map(|component| heartbeat_line(component, enabled(component))).collect();
            Behaviour::Http(page("/services/Heartbeat", 200, lines))
        }
        8777 | 53 | 3260 => match lost(owner) {
            Some(Resource::Port { port, .. }) if port == number => Behaviour::Shut,
            _ if number == 53 && is_killed(plan, faults, owner) => Behaviour::Shut,
            _ => Behaviour::Banner(""),
        },
        _ if is_killed(plan, faults, owner) => Behaviour::Shut,
        _ if hangs(owner) => Behaviour::Hang,
        _ => {
            let status = match (owner, lost(owner)) {
                (_, None) => 200,
                ("elb", Some(_)) => 503,
                (_, Some(_)) => 500,
            };
            let page = match owner {
                "cc" => page("/axis2/services", status, axis("EucalyptusCC")),
                "nc" => page("/axis2/services", status, axis("EucalyptusNC")),
                "console" => page("/", status, "Eucalyptus Management Console: log in\n".to_owned()),
                _ => page("/", status, "a page behind the load balancer\n".to_owned()),
            };
            if owner == "console" { Behaviour::Https(page, tls.clone()) } else { Behaviour::Http(page) }
        }
    }
}

fn page(path: &'static str, status: u16, body: String) -> Page {
    Page { path, status, body }
}

fn axis(service: &str) -> String {
    format!("<html><body><h2>Deployed services</h2><h3>{service}</h3><p>Deployed</p></body></html>\n")
}

/// Format of the real page: `name=%-20.20s enabled=%-10.10s local=%-10.10s initialized=%-10.10s`.
fn heartbeat_line(component: &str, enabled: bool) -> String {
    let name = match component {
        "clc" => "eucalyptus",
        "ufs" => "compute",
        "walrus" => "walrusbackend",
        "sc" => "storage",
        "vb" => "vmwarebroker",
        other => other,
    };
    format!("name={name:<20} enabled={enabled:<10} local={:<10} initialized={:<10}\n", true, true)
}
