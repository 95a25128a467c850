//! The composition root: what is started, in which order, and how it stops. Decides nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use stentor_core::Span;
use stentor_core::catalog::Catalog;
use stentor_core::engine::retained::Retained;
use stentor_core::engine::{Command, CommandInput};
use stentor_core::runbook::RunOrder;
use stentor_wire::nagios::main_config;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::collector::{self, Collector, CollectorHandle};
use crate::config::nagios::{ObjectCache, PerfdataSettings};
use crate::config::traps::TrapRule;
use crate::config::watch::Sources;
use crate::config::{self, Loaded, NagiosSettings, settings};
use crate::drills::Book;
use crate::engine::writer::{self, Chain, ToCollector};
use crate::engine::{Aside, Handle};
use crate::journal::Journal;
use crate::journal::sqlite::SqliteJournal;
use crate::memory;
use crate::nagios::aside;
use crate::nagios::desk::{Desk, ProgramOrder, Seen};
use crate::nagios::files::{self, Files};
use crate::nagios::intake::Intake;
use crate::nagios::lock_file::LockFile;
use crate::nagios::log_file::{self, LogFile, Rotation};
use crate::nagios::log_lines;
use crate::nagios::pager::Pager;
use crate::nagios::perfdata::{self, Perfdata};
use crate::nagios::pipe::Pipe;
use crate::nagios::spool::Spool;
use crate::nagios::takeover;
use crate::notifiers::email::{EmailNotifier, EmailSetup, MailTls};
use crate::notifiers::webhook::{WebhookNotifier, WebhookSetup};
use crate::notifiers::{Notifiers, Secret};
use crate::notify;
use crate::probes::local_view::LocalView;
use crate::probes::ssh_link::Ssh;
use crate::probes::{HostView, Network, ProbeEnv};
use crate::runbook;
use crate::runbook::agents::Agents;
use crate::store::anchor::Anchor;
use crate::store::{self, SharedStore};
use crate::traps;
use crate::web::auth::Credentials;
use crate::web::{MakeOld, WebState, auth, router, serve};

/// History is pruned this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Sessions with BMCs are closed within this when stopping.
const FAREWELL: Duration = Duration::from_secs(2);

/// A command that Stentor runs for its effect may take this long where no `nagios.cfg` says.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);
/// Turns whose handlers and log lines may wait.
const ASIDE_MAX: usize = 16_384;

/// What differs between the service, the demo and tests.
pub struct Options {
    /// Sockets of probes; the demo darkens hosts here.
    pub network: Network,
    /// Host that host-side checks of `view = "local"` look at.
    pub view: Arc<dyn HostView>,
    /// Further routes below `/demo`.
    pub demo: Option<axum::Router<WebState>>,
    /// Who makes the probes of checks.
    pub factory: collector::Factory,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            network: Network::real(),
            view: Arc::new(LocalView::default()),
            demo: None,
            factory: collector::registry(),
        }
    }
}

/// The running service.
pub struct Service {
    pub engine: Handle,
    pub store: SharedStore,
    pub addr: SocketAddr,
    /// Base URL, ends with `/`.
    pub url: String,
    /// Only after the very first start: the administrator that was made.
    pub credentials: Option<Credentials>,
    /// What it was started with; a reload changes only the watched world.
    settings: String,
    network: Network,
    /// What external commands ask of the process: for whoever runs it.
    pub orders_to_program: mpsc::Receiver<ProgramOrder>,
    stop: CancellationToken,
    /// Readers of the command pipe and of result files.
    takers: Vec<JoinHandle<()>>,
    web: JoinHandle<()>,
    collector: Collector,
    to_collector: CollectorHandle,
    orders: JoinHandle<()>,
    notify: notify::Running,
    /// Writes what other tools of a Nagios site read; `None` = there is no `nagios.cfg`.
    files: Option<Files>,
    writer: JoinHandle<()>,
    aside: JoinHandle<()>,
    /// A reload changes where performance data go.
    perfdata: watch::Sender<PerfdataSettings>,
    /// So does what traps mean.
    trap_rules: watch::Sender<Arc<[TrapRule]>>,
    prune: JoinHandle<()>,
    /// Goes last.
    lock: Option<LockFile>,
}

/// Starts everything a configuration asks for. When this returns, checks run and pages are served.
///
/// # Errors
/// Disk, port, certificate or notifier cannot be had; what was started before is stopped again by being dropped.
pub async fn start(loaded: Loaded, options: Options) -> anyhow::Result<Service> {
    let Loaded { mut settings, mut catalog, mut nagios, trap_rules, .. } = loaded;
    let cache = nagios.as_mut().and_then(|nagios| nagios.object_cache.take());
    let said = format!("{settings:?}");
    let lock = nagios.as_ref().map(|nagios| obey(nagios, &mut settings)).transpose()?.flatten();
    crate::probes::exec::raise_descriptor_limit();
    let base = Base { clock: Clock::Machine, registry: Arc::new(Registry::new()) };
    let (journal, store) = open_disk(&settings).await?;
    let credentials =
        auth::ensure_admin(&*store, &base.clock).await.context("the first administrator cannot be created")?;
    let door = Door::open(&settings).await?;
    show_under(&mut catalog, &door.url);
    let retained = left_by_nagios(nagios.as_ref(), &*journal, &store).await;
    let disk = Disk { journal, store: Arc::clone(&store), retained };
    let (desk, orders_to_program) = Desk::new();
    let core = start_core(&base, &settings, nagios.clone(), disk, (&catalog, &desk.seen)).await?;
    let Core { writer, notify, aside, perfdata, run_orders } = core;
    let engine = writer.handle.clone();
    let files = nagios.as_ref().map(|nagios| Files::start(nagios, &engine, &base.clock, &desk));
    let env = ProbeEnv { net: options.network.clone(), view: options.view, clock: base.clock.clone() };
    let runs = executor(&engine, &env, &settings)?;
    let ssh = Arc::clone(&runs.ssh);
    let watched = Watched { catalog, env, factory: options.factory, imported: imported(nagios.as_ref()), ssh };
    let (handle, collector) = start_collector(&base, &settings, watched, &engine)?;
    let orders = tokio::spawn(relay(writer.to_collector, handle.clone()));
    let stop = CancellationToken::new();
    let intakes = Intakes { base: &base, engine: &engine, stop: &stop };
    let mut takers = intakes.of_nagios(door.pipe, nagios.as_ref(), &desk)?;
    let (trap_rules, board) = intakes.of_traps(settings.traps.as_ref(), trap_rules, &mut takers).await?;
    let state = WebState {
        engine: engine.clone(),
        store: Arc::clone(&store),
        clock: base.clock.clone(),
        make_old: made_old_in(&options.network),
        desk,
        agents: Arc::clone(&runs.agents),
        drills: Book::new(&settings.storage.drills),
        traps: board,
        self_metrics: base.registry,
        url: door.url.as_str().into(),
        secure_cookies: door.url.starts_with("https://"),
        demo: options.demo,
    };
    let web = tokio::spawn(serve::serve(door.listener, door.tls, router::router(state), stop.clone()));
    takers.extend([tokio::spawn(afterwards(cache)), runbook::start(runs, run_orders, stop.clone())]);
    Ok(Service {
        prune: tokio::spawn(prune(Arc::clone(&store), base.clock, settings.storage.keep, stop.clone())),
        engine,
        store,
        addr: door.addr,
        url: door.url,
        credentials,
        settings: said,
        network: options.network,
        orders_to_program,
        stop,
        takers,
        web,
        collector,
        to_collector: handle,
        orders,
        notify,
        files,
        writer: writer.task,
        aside,
        perfdata,
        trap_rules,
        lock,
    })
}

/// Who carries out steps of runbooks, and with what.
fn executor(engine: &Handle, env: &ProbeEnv, settings: &settings::Settings) -> anyhow::Result<runbook::Parts> {
    let ssh = Arc::new(Ssh::new(settings.ssh.clone()).context("SSH cannot be set up")?);
    let start = getrandom::u64().context("no random bytes for orders to agents")?;
    Ok(runbook::Parts { engine: engine.clone(), env: env.clone(), ssh, agents: Arc::new(Agents::of_start(start)) })
}

/// What another monitor of the same objects left, at the very first start.
async fn left_by_nagios(
    nagios: Option<&NagiosSettings>,
    journal: &dyn Journal,
    store: &SharedStore,
) -> Option<Arc<Retained>> {
    takeover::at_first_start(journal, store, nagios?).await
}

/// An event makes what the collector shares of a controller old.
fn made_old_in(network: &Network) -> MakeOld {
    let client = network.redfish().clone();
    Arc::new(move |host| client.expire(host))
}

/// What has time until pages are served.
async fn afterwards(cache: Option<ObjectCache>) {
    if let Some(cache) = cache {
        files::write_object_cache(cache).await;
    }
    give_back().await;
}

/// Of what reading a configuration took most is free again.
async fn give_back() {
    if let Err(error) = tokio::task::spawn_blocking(memory::give_back).await {
        tracing::error!(%error, "free memory was not given back");
    }
}

/// What every part is given.
struct Base {
    clock: Clock,
    registry: Arc<Registry>,
}

/// Where people and programs come in; nobody is let in yet.
struct Door {
    listener: TcpListener,
    tls: Option<serve::Tls>,
    addr: SocketAddr,
    url: String,
    pipe: Option<Pipe>,
}

impl Door {
    async fn open(settings: &settings::Settings) -> anyhow::Result<Door> {
        let listener = TcpListener::bind(settings.server.listen)
            .await
            .with_context(|| format!("cannot listen on {}; is another Stentor running?", settings.server.listen))?;
        let addr = listener.local_addr().context("the listening socket has no address")?;
        let tls = match &settings.server.tls {
            Some(tls) => {
                let clients = tls.clients.as_ref();
                let clients = clients.map(|some| serve::Clients {
                    ca: some.ca.clone(),
                    hosts: some.hosts.clone(),
                    names: crate::probes::tls::names,
                });
                Some(serve::tls(&tls.cert, &tls.key, clients.as_ref()).context("TLS cannot be set up")?)
            }
            None => None,
        };
        let pipe = settings.command_sources.command_file.as_deref().map(Pipe::open).transpose();
        let pipe = pipe.context("[nagios] `command_file` cannot be used")?;
        Ok(Door { listener, tls, addr, url: url_of(settings, addr), pipe })
    }
}

/// Where the state is kept, and what Nagios left of its own.
struct Disk {
    journal: Arc<dyn Journal>,
    store: SharedStore,
    retained: Option<Arc<Retained>>,
}

/// The writer, and who makes its notifications true.
struct Core {
    writer: writer::Running,
    notify: notify::Running,
    aside: JoinHandle<()>,
    perfdata: watch::Sender<PerfdataSettings>,
    run_orders: mpsc::Receiver<RunOrder>,
}

/// What a `nagios.cfg` says of the service itself, where the configuration of Stentor does not; and its lock.
fn obey(nagios: &NagiosSettings, settings: &mut settings::Settings) -> anyhow::Result<Option<LockFile>> {
    if settings.command_sources.command_file.is_none() {
        settings.command_sources.command_file.clone_from(&nagios.command_file);
    }
    if nagios.concurrency > 0 {
        settings.collector.exec_concurrency = nagios.concurrency;
    }
    Ok(nagios.lock_file.as_deref().map(LockFile::take).transpose()?.flatten())
}

/// What it says about the times of checks, in the collector's words.
fn imported(nagios: Option<&NagiosSettings>) -> collector::Imported {
    let Some(times) = nagios.map(|nagios| nagios.checks) else { return collector::Imported::default() };
    let delay = |method| match method {
        main_config::Delay::Smart => collector::Delay::Smart,
        main_config::Delay::None => collector::Delay::None,
        main_config::Delay::Dumb => collector::Delay::Dumb,
        main_config::Delay::Seconds(seconds) => collector::Delay::Seconds(seconds),
    };
    collector::Imported {
        service_delay: delay(times.service_delay),
        host_delay: delay(times.host_delay),
        interleave: match times.interleave {
            main_config::Interleave::Smart => None,
            main_config::Interleave::Factor(factor) => Some(factor),
        },
        service_spread_max: times.service_spread_max,
        host_spread_max: times.host_spread_max,
        orphaned_services: times.orphaned_services,
        orphaned_hosts: times.orphaned_hosts,
    }
}

/// Who runs event handlers and writes `nagios.log`.
fn start_aside(
    base: &Base,
    nagios: Option<NagiosSettings>,
    inbox: mpsc::Receiver<Aside>,
    (engine, seen): (&Handle, &Seen),
    files: &watch::Receiver<PerfdataSettings>,
) -> anyhow::Result<JoinHandle<()>> {
    let parts = perfdata::Parts { engine: engine.clone(), clock: base.clock.clone(), registry: &base.registry };
    let perfdata = nagios.is_some().then(|| Perfdata::start(&parts, files)).transpose()?;
    let mut opening = Vec::new();
    let timeout = nagios.as_ref().map_or(HANDLER_TIMEOUT, |nagios| nagios.handler_timeout);
    let log = nagios.and_then(|nagios| {
        let settings = log_file::Settings {
            path: nagios.log_file?,
            rotation: Rotation::from_letter(nagios.log_rotation).unwrap_or_default(),
            archive: nagios.log_archive,
            zone: stentor_core::timeperiod::zone(&nagios.zone).unwrap_or(jiff::tz::TimeZone::UTC),
            seen: seen.clone(),
        };
        opening = log_lines::starting_lines(std::process::id(), base.clock.now(), &settings.zone);
        opening.extend(log_lines::initial_states(&engine.snapshot()));
        let engine = engine.clone();
        Some(LogFile::new(settings, Box::new(move || log_lines::current_states(&engine.snapshot()))))
    });
    Ok(aside::start(aside::Parts { inbox, log, opening, perfdata, clock: base.clock.clone(), timeout }))
}

async fn start_core(
    base: &Base,
    settings: &settings::Settings,
    nagios: Option<NagiosSettings>,
    disk: Disk,
    (catalog, seen): (&Arc<Catalog>, &Seen),
) -> anyhow::Result<Core> {
    let paging = nagios.as_ref().map_or(HANDLER_TIMEOUT, |nagios| nagios.notification_timeout);
    let notifiers = notifiers(settings)?.with(Pager { timeout: paging });
    let (to_aside, from_writer_aside) = mpsc::channel(ASIDE_MAX);
    let (to_executor, run_orders) = mpsc::channel(runbook::ORDERS_MAX);
    let outbox = Arc::new(Notify::new());
    let (unrecorded, from_writer) = mpsc::channel(notify::UNRECORDED_MAX);
    let parts = writer::Parts {
        journal: disk.journal,
        store: Arc::clone(&disk.store),
        clock: base.clock.clone(),
        registry: Arc::clone(&base.registry),
        outbox: Arc::clone(&outbox),
        journal_keep: settings.engine.journal_keep,
        checkpoint_every: settings.engine.checkpoint_every,
        inbox: settings.engine.inbox,
        turn_inputs: settings.engine.turn_inputs,
        unrecorded,
        orders: Some(to_executor),
        aside: Some(to_aside),
        retained: disk.retained,
    };
    let writer = writer::start(parts, Arc::clone(catalog)).await.context("the engine cannot start")?;
    let notify = notify::start(notify::Parts {
        store: disk.store,
        notifiers,
        engine: Arc::new(writer.handle.clone()),
        clock: base.clock.clone(),
        registry: Arc::clone(&base.registry),
        outbox,
        unrecorded: from_writer,
        retry: notify::policy::RetryPolicy::default(),
        limits: notify::policy::ChannelLimits::default(),
    })
    .context("the notifier cannot start")?;
    let settings = nagios.as_ref().map(|nagios| nagios.perfdata.clone()).unwrap_or_default();
    let (perfdata, changes) = watch::channel(settings);
    let aside = start_aside(base, nagios, from_writer_aside, (&writer.handle, seen), &changes)?;
    Ok(Core { writer, notify, aside, perfdata, run_orders })
}

/// What the collector looks at, and with what.
struct Watched {
    catalog: Arc<Catalog>,
    env: ProbeEnv,
    factory: collector::Factory,
    imported: collector::Imported,
    ssh: Arc<Ssh>,
}

fn start_collector(
    base: &Base,
    settings: &settings::Settings,
    watched: Watched,
    engine: &Handle,
) -> anyhow::Result<(CollectorHandle, Collector)> {
    let parts = collector::Parts {
        catalog: watched.catalog,
        env: watched.env,
        engine: engine.clone(),
        clock: base.clock.clone(),
        limits: collector::Limits {
            native: settings.collector.concurrency,
            exec: settings.collector.exec_concurrency,
            slow: settings.collector.concurrency,
            per_host: settings.collector.per_host,
        },
        factory: watched.factory,
        ssh: Some(watched.ssh),
        imported: watched.imported,
    };
    Collector::start(parts, &base.registry).context("the collector cannot start")
}

impl Service {
    /// Reads the configuration again and puts it in force; a bad one changes nothing.
    ///
    /// # Errors
    /// The configuration has errors (all are in the text), or the engine is stopping.
    pub async fn reload(&self, path: &std::path::Path) -> anyhow::Result<()> {
        self.reload_from(path).await.1
    }

    /// The same; tells what was read too, which is what could make another answer.
    pub async fn reload_from(&self, path: &std::path::Path) -> (Sources, anyhow::Result<()>) {
        let file = path.to_owned();
        // A large tree takes a while to read; checks go on meanwhile.
        let read = tokio::task::spawn_blocking(move || config::load(&file)).await;
        match read {
            Ok(Ok(loaded)) => (Sources::of(&loaded), self.put_in_force(loaded).await),
            Ok(Err(found)) => {
                self.engine.refuse_configuration(Some(found.summary().into())).await;
                (Sources::of_bad(&found), Err(anyhow::anyhow!("{found}")))
            }
            Err(error) => (
                Sources::default(),
                Err(anyhow::Error::new(error).context("reading the configuration was interrupted")),
            ),
        }
    }

    async fn put_in_force(&self, loaded: Loaded) -> anyhow::Result<()> {
        self.engine.refuse_configuration(None).await;
        if format!("{:?}", loaded.settings) != self.settings {
            tracing::warn!(
                "server, storage, notifier, collector or log settings changed: they take effect at the next start"
            );
        }
        let mut catalog = loaded.catalog;
        Arc::make_mut(&mut catalog).url = self.url.as_str().into();
        let imported = imported(loaded.nagios.as_ref());
        self.to_collector.obey(imported).await.context("the collector has stopped")?;
        self.engine.load(catalog).await.context("the new configuration was not taken over")?;
        self.trap_rules.send_replace(loaded.trap_rules);
        if let Some(mut nagios) = loaded.nagios {
            if let Some(cache) = nagios.object_cache.take() {
                files::write_object_cache(cache).await;
            }
            self.perfdata.send_replace(nagios.perfdata);
        }
        give_back().await;
        Ok(())
    }

    /// A line for `nagios.log`, where it is written.
    pub async fn note(&self, text: &str) {
        let input = CommandInput { command: Command::Log { text: text.into() }, raw: None, id: None };
        if self.files.is_some()
            && let Err(error) = self.engine.order(input).await
        {
            tracing::warn!(%error, "`{text}` was not logged");
        }
    }

    /// The credentials have been shown; until then each start makes and shows new ones.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn greeted(&self) -> anyhow::Result<()> {
        let Some(made) = &self.credentials else { return Ok(()) };
        auth::admin_is_told(&*self.store, made).await.context("the first administrator cannot be recorded")
    }

    /// Stops in reverse order: no new work, then what is under way, last the writer with its checkpoint.
    pub async fn stop(self) {
        self.stop.cancel();
        wait("web server", self.web).await;
        for taker in self.takers {
            wait("command pipe", taker).await;
        }
        self.collector.stop().await;
        let client = self.network.bmc_client();
        client.shutdown(tokio::time::Instant::now() + FAREWELL).await;
        self.network.redfish().shutdown(tokio::time::Instant::now() + FAREWELL).await;
        self.notify.stop().await;
        self.engine.stop().await;
        wait("writer", self.writer).await;
        wait("event handlers and log", self.aside).await;
        if let Some(files) = self.files {
            files.stop().await;
        }
        wait("relay", self.orders).await;
        wait("history pruning", self.prune).await;
        drop(self.lock);
    }
}

/// Where things come in beside the web server, and what that needs.
struct Intakes<'a> {
    base: &'a Base,
    engine: &'a Handle,
    stop: &'a CancellationToken,
}

impl Intakes<'_> {
    /// Starts to read what other programs leave in Nagios's formats.
    fn of_nagios(
        &self,
        pipe: Option<Pipe>,
        nagios: Option<&NagiosSettings>,
        desk: &Desk,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let (clock, mut takers) = (&self.base.clock, Vec::new());
        if let Some(pipe) = pipe {
            let intake = Intake::new(self.engine.clone(), clock.clone(), desk.clone(), &self.base.registry)?;
            takers.push(pipe.start(intake, self.stop.clone()));
        }
        let spool = |nagios| Spool::start(nagios, self.engine.clone(), clock.clone(), self.stop.clone());
        takers.extend(nagios.and_then(spool));
        Ok(takers)
    }

    /// Starts to hear SNMP traps, where the configuration asks for it.
    async fn of_traps(
        &self,
        settings: Option<&config::traps::Traps>,
        rules: Arc<[TrapRule]>,
        takers: &mut Vec<JoinHandle<()>>,
    ) -> anyhow::Result<(watch::Sender<Arc<[TrapRule]>>, traps::board::Board)> {
        let (sender, rules) = watch::channel(rules);
        let board = traps::board::Board::default();
        if let Some(settings) = settings {
            let (engine, clock, registry) = (self.engine.clone(), self.base.clock.clone(), &*self.base.registry);
            let (board, stop) = (board.clone(), self.stop.clone());
            let parts = traps::Parts { settings, rules, engine, clock, registry, board, stop };
            let (_, tasks) = traps::start(parts).await.context("[traps] cannot be used")?;
            takers.extend(tasks);
        }
        Ok((sender, board))
    }
}

/// Links in messages lead to where the pages are.
fn show_under(catalog: &mut Arc<Catalog>, url: &str) {
    if &*catalog.url != url {
        Arc::make_mut(catalog).url = url.into();
    }
}

/// Opens what the state is kept in.
async fn open_disk(settings: &settings::Settings) -> anyhow::Result<(Arc<dyn Journal>, SharedStore)> {
    let journal = SqliteJournal::open(&settings.storage.journal).await.map_err(|error| {
        let remedy = error.fault().remedy();
        anyhow::Error::new(error).context(format!("the journal cannot be opened{remedy}"))
    })?;
    let anchor = Anchor::in_folder(&settings.storage.journal);
    let store = store::open(&settings.storage.url, &settings.folder, Some(anchor)).await.map_err(|error| {
        let remedy = error.fault().remedy();
        anyhow::Error::new(error).context(format!("the database cannot be opened{remedy}"))
    })?;
    Ok((Arc::new(journal), store))
}

async fn wait(what: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "the {what} did not stop cleanly");
    }
}

/// Hands the writer's orders to the collector, in order: ids in requests are those of the catalog sent before.
async fn relay(mut orders: mpsc::Receiver<ToCollector>, collector: CollectorHandle) {
    while let Some(order) = orders.recv().await {
        let taken = match order {
            ToCollector::Catalog(catalog) => collector.reload(catalog).await,
            ToCollector::Checks(checks) => collector.request(checks).await,
        };
        // The collector stops before the writer; what is left then has nobody to run it.
        if taken.is_err() {
            tracing::debug!("an order came after the collector had stopped");
        }
    }
}

async fn prune(store: SharedStore, clock: Clock, keep: Span, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PRUNE_EVERY) => {}
        }
        let now = clock.now();
        if let Err(error) = store.prune_sessions(now).await {
            tracing::warn!(error = %Chain(&error), "ended sessions could not be deleted");
        }
        if let Err(error) = store.prune_history(now - keep).await {
            tracing::warn!(error = %Chain(&error), "old history could not be deleted");
        }
    }
}

/// The configured URL, with the real port where the configuration asked for any free one.
fn url_of(settings: &settings::Settings, addr: SocketAddr) -> String {
    if settings.server.listen.port() == 0 {
        let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
        return format!("{scheme}://{addr}/");
    }
    settings.server.url.clone()
}

fn secret(path: Option<&PathBuf>) -> anyhow::Result<Option<Secret>> {
    path.map(|path| Secret::read(path).context("a notifier's secret cannot be read")).transpose()
}

fn notifiers(settings: &settings::Settings) -> anyhow::Result<Notifiers> {
    let mut notifiers = Notifiers::default();
    if let Some(email) = &settings.email {
        let setup = EmailSetup {
            host: email.host.clone(),
            port: email.port,
            tls: match email.tls {
                settings::MailTls::None => MailTls::None,
                settings::MailTls::StartTls => MailTls::StartTls,
                settings::MailTls::Implicit => MailTls::Implicit,
            },
            user: email.user.clone(),
            password: secret(email.password_file.as_ref())?,
            from: email.from.clone(),
            timeout: email.timeout,
            hello_name: email.hello_name.clone(),
            ca_file: email.ca_file.clone(),
        };
        notifiers = notifiers.with(EmailNotifier::new(setup).context("[notifier.email] cannot be used")?);
    }
    if let Some(webhook) = &settings.webhook {
        let setup = WebhookSetup {
            url: webhook.url.clone(),
            token: secret(webhook.token_file.as_ref())?,
            secret: secret(webhook.secret_file.as_ref())?,
            timeout: webhook.timeout,
        };
        notifiers = notifiers.with(WebhookNotifier::new(setup).context("[notifier.webhook] cannot be used")?);
    }
    Ok(notifiers)
}
