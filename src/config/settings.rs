//! How the service runs: addresses, files, limits, notifiers. What it watches is in the catalog.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::Span;
use stentor_core::catalog::Timing;

use super::finding::Diagnostics;
use super::nagios::Notify;
use super::traps::{self, Traps};
use super::tree::{At, Section, word};
use super::{named_file, single};
use crate::probes::ssh_link::SshSettings;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this installation in notification keys and mails.
    pub instance: String,
    /// Folder of the configuration file; relative paths start here.
    pub folder: PathBuf,
    pub server: Server,
    pub storage: Storage,
    pub engine: Limits,
    pub timing: Timing,
    pub collector: Collector,
    pub pack_dirs: Vec<At<PathBuf>>,
    pub site: String,
    /// IANA zone of the site: default of time periods, zone of downtimes without an offset.
    pub timezone: String,
    pub email: Option<Email>,
    pub webhook: Option<Webhook>,
    /// A Nagios tree that is watched too.
    pub nagios: Option<NagiosTree>,
    pub metrics: Metrics,
    pub log: Log,
    pub command_sources: CommandSources,
    /// How hosts with `view = "ssh"` are reached.
    pub ssh: SshSettings,
    /// SNMP traps; `None` = nobody listens.
    pub traps: Option<Traps>,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    pub tls: Option<Tls>,
    /// Base of links in messages; ends with `/`.
    pub url: String,
    /// Reads the configuration again when its files change.
    pub watch_config: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Agents that come with a certificate.
    pub clients: Option<Clients>,
}

/// Agents that may come with a certificate instead of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Clients {
    /// Authorities (PEM) whose certificates are good.
    pub ca: PathBuf,
    /// Name in a certificate -> host, where they differ.
    pub hosts: BTreeMap<String, Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct Storage {
    /// `sqlite:PATH` or `postgres://…`; a relative path is relative to the configuration file.
    pub url: String,
    /// Folder of the journal.
    pub journal: PathBuf,
    /// File of the records of drills.
    pub drills: PathBuf,
    /// History older than this is deleted.
    pub keep: Span,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Inputs that may wait for the engine.
    pub inbox: usize,
    /// Inputs applied and made durable together.
    pub turn_inputs: usize,
    pub journal_keep: Span,
    pub checkpoint_every: Span,
}

#[derive(Clone, Debug)]
pub struct Collector {
    /// Checks running at once.
    pub concurrency: usize,
    /// Checks running at once against one host.
    pub per_host: usize,
    /// Plugin processes running at once.
    pub exec_concurrency: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailTls {
    None,
    StartTls,
    Implicit,
}

#[derive(Clone, Debug)]
pub struct Email {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub from: String,
    pub timeout: Duration,
    /// PEM file of further roots to trust.
    pub ca_file: Option<PathBuf>,
    /// Name said in EHLO; `None` = the domain of `from`.
    pub hello_name: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where messages go whose contact names no address of its own.
    pub url: Option<String>,
    /// Bearer token.
    pub token_file: Option<PathBuf>,
    /// Key of the HMAC signature.
    pub secret_file: Option<PathBuf>,
    pub timeout: Duration,
}

/// `[nagios]`: where other programs leave commands and results, in Nagios's formats.
#[derive(Clone, Debug)]
pub struct CommandSources {
    /// The command pipe.
    pub command_file: Option<PathBuf>,
}

/// `[nagios]`
#[derive(Clone, Debug)]
pub struct NagiosTree {
    /// The main file, `nagios.cfg`.
    pub config: At<PathBuf>,
    pub notify: Notify,
}

#[derive(Clone, Debug)]
pub struct Metrics {
    pub enabled: bool,
    /// Bearer token that scrapers must send; none = open.
    pub token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug)]
pub struct Log {
    /// Filter directives: `info`, `warn,stentor=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// Reads every section that is not an object.
pub(super) fn read(roots: &[Section<'_>], folder: &Path, zone: &str, found: &mut Diagnostics) -> Settings {
    let site = single(roots, "site", "[site]", found);
    let instance = roots.iter().find_map(|root| root.text("instance", found)).map(|text| text.value.to_owned());
    let timezone = site.as_ref().and_then(|site| site.text("timezone", found));
    let timezone = timezone.map_or_else(|| zone.to_owned(), |text| super::windows::zone_name(&text, found));
    let notifier = single(roots, "notifier", "[notifier]", found);
    let email = notifier.as_ref().and_then(|section| section.section("email", "[notifier.email]", found));
    let webhook = notifier.as_ref().and_then(|section| section.section("webhook", "[notifier.webhook]", found));
    Settings {
        instance: instance.unwrap_or_else(|| "stentor".to_owned()),
        folder: folder.to_owned(),
        server: read_server(roots, folder, found),
        storage: read_storage(roots, folder, found),
        engine: read_limits(roots, found),
        timing: read_timing(roots, found),
        collector: read_collector(roots, found),
        pack_dirs: single(roots, "packs", "[packs]", found)
            .map(|section| section.texts("dirs", found))
            .unwrap_or_default()
            .into_iter()
            .map(|dir| At { value: folder.join(dir.value), at: dir.at })
            .collect(),
        site: site.map_or_else(|| "main".to_owned(), |site| site.text_or("name", "main", found)),
        timezone,
        email: email.and_then(|section| read_email(&section, folder, found)),
        webhook: webhook.and_then(|section| read_webhook(&section, folder, found)),
        metrics: read_metrics(roots, folder, found),
        log: read_log(roots, found),
        nagios: read_nagios(roots, folder, found),
        command_sources: read_command_sources(roots, folder, found),
        ssh: read_ssh(roots, folder, found),
        traps: traps::read(roots, folder, found),
    }
}

fn read_server(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> Server {
    /// Port 8460 (the demo takes 8461).
    const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8460);
    let Some(section) = single(roots, "server", "[server]", found) else {
        return Server { listen: LISTEN, tls: None, url: format!("http://{LISTEN}/"), watch_config: false };
    };
    let listen = section.text("listen", found).map_or(LISTEN, |text| {
        text.value.parse().unwrap_or_else(|_| {
            let message = format!("`{}` is not an address to listen on", text.value);
            found.error("bad-address", &text.at, message, "write IP:PORT, e.g. \"127.0.0.1:8460\" or \"[::]:8460\"");
            LISTEN
        })
    });
    let cert = section.text("tls_cert", found);
    let key = section.text("tls_key", found);
    if cert.is_some() != key.is_some() {
        found.error("half-tls", &section.at, "`tls_cert` and `tls_key` belong together", "");
    }
    let clients = read_clients(&section, folder, found);
    if cert.is_none() && clients.is_some() {
        found.error("half-tls", &section.at, "`client_ca` needs `tls_cert` and `tls_key`", "");
    }
    let tls = cert.zip(key).map(|(cert, key)| {
        let (cert, key) = (named_file(&cert, folder, found), named_file(&key, folder, found));
        Tls { cert, key, clients }
    });
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = section.text("url", found);
    if let Some(url) =
        url.as_ref().filter(|url| !url.value.starts_with("http://") && !url.value.starts_with("https://"))
    {
        found.error("bad-url", &url.at, format!("`{}` is not a URL", url.value), "write https://HOST/");
    }
    let mut url = url.map_or_else(|| format!("{scheme}://{listen}/"), |url| url.value.to_owned());
    if !url.ends_with('/') {
        url.push('/');
    }
    if tls.is_none() && !listen.ip().is_loopback() {
        let help = "set `tls_cert` and `tls_key`, or listen on 127.0.0.1 behind a proxy";
        found.warning("plain-http", &section.at, "passwords and pages travel unencrypted", help);
    }
    Server { listen, tls, url, watch_config: section.bool_or("watch_config", false, found) }
}

fn read_clients(server: &Section<'_>, folder: &Path, found: &mut Diagnostics) -> Option<Clients> {
    let ca = file(server, "client_ca", folder, found);
    let mut hosts = BTreeMap::new();
    for section in server.sections("agent", "[[server.agent]]", found) {
        let certificate = section.needed("certificate", found);
        let host = section.needed("host", found);
        let Some((certificate, host)) = certificate.zip(host) else { continue };
        if hosts.insert(certificate.value.to_owned(), Arc::from(host.value)).is_some() {
            let message = format!("the certificate of `{}` is mapped twice", certificate.value);
            found.error("twice", &certificate.at, message, "one certificate speaks for one host");
        }
        if ca.is_none() {
            found.error("missing-key", &section.at, "`[[server.agent]]` needs `client_ca` in `[server]`", "");
        }
    }
    ca.map(|ca| Clients { ca, hosts })
}

fn read_ssh(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> SshSettings {
    let Some(section) = single(roots, "ssh", "[ssh]", found) else { return SshSettings::default() };
    let port = section.has("port").then(|| section.whole_or("port", 22, 1..=65_535, found));
    SshSettings {
        program: section.text("program", found).map(|text| PathBuf::from(text.value)),
        config_file: file(&section, "config_file", folder, found),
        user: section.text("user", found).map(|text| text.value.to_owned()),
        port: port.and_then(|port| u16::try_from(port).ok()),
        identity_file: file(&section, "identity_file", folder, found),
        known_hosts: file(&section, "known_hosts", folder, found),
    }
}

fn read_storage(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> Storage {
    let section = single(roots, "storage", "[storage]", found);
    let keep = Span::from_hours(24 * 400);
    let Some(section) = section else {
        let journal = folder.join("journal");
        return Storage { url: sqlite_in(folder, "stentor.db"), drills: beside(&journal), journal, keep };
    };
    let url = match section.text("url", found) {
        None => sqlite_in(folder, "stentor.db"),
        Some(text) => match text.value.strip_prefix("sqlite:") {
            Some(path) => sqlite_in(folder, path.trim_start_matches("//")),
            None => {
                if !text.value.starts_with("postgres://") && !text.value.starts_with("postgresql://") {
                    let help = "write \"sqlite:stentor.db\" or \"postgres://USER@HOST/DATABASE\"";
                    found.error("bad-url", &text.at, format!("`{}` is no database", text.value), help);
                }
                text.value.to_owned()
            }
        },
    };
    let journal = folder.join(section.text_or("journal", "journal", found));
    let drills = section.text("drills", found).map(|text| folder.join(text.value));
    Storage {
        url,
        drills: drills.unwrap_or_else(|| beside(&journal)),
        journal,
        keep: section.span_or("keep", keep, found),
    }
}

/// The drills stand where the journal does, in one absolute path for whoever reads them.
fn beside(journal: &Path) -> PathBuf {
    let file = journal.with_file_name("drills.jsonl");
    std::path::absolute(&file).unwrap_or(file)
}

fn sqlite_in(folder: &Path, path: &str) -> String {
    format!("sqlite:{}", folder.join(path).display())
}

fn whole(section: Option<&Section<'_>>, key: &str, default: usize, max: u64, found: &mut Diagnostics) -> usize {
    let fallback = u64::try_from(default).unwrap_or(max);
    section
        .map_or(default, |section| usize::try_from(section.whole_or(key, fallback, 1..=max, found)).unwrap_or(default))
}

fn read_limits(roots: &[Section<'_>], found: &mut Diagnostics) -> Limits {
    let section = single(roots, "engine", "[engine]", found);
    let section = section.as_ref();
    let mut span = |key, default| section.map_or(default, |section| section.span_or(key, default, found));
    let journal_keep = span("journal_keep", Span::from_hours(24));
    let checkpoint_every = span("checkpoint_every", Span::from_mins(5));
    Limits {
        inbox: whole(section, "inbox", 65_536, 10_000_000, found),
        turn_inputs: whole(section, "turn_inputs", 1024, 65_536, found),
        journal_keep,
        checkpoint_every,
    }
}

fn read_timing(roots: &[Section<'_>], found: &mut Diagnostics) -> Timing {
    let Some(section) = single(roots, "timing", "[timing]", found) else { return Timing::default() };
    let pace = section.number_or("pace", 1.0, 0.01..=1000.0, found);
    let full = Timing::default();
    let mut span = |key, default| section.span_or(key, default, found).at_pace(pace);
    Timing {
        pace,
        hold_software: span("hold_software", full.hold_software),
        hold_server: span("hold_server", full.hold_server),
        hold_group: span("hold_group", full.hold_group),
        collapse: span("collapse", full.collapse),
        recovery: span("recovery", full.recovery),
        reopen: span("reopen", full.reopen),
        renotify_critical: span("renotify_critical", full.renotify_critical),
        renotify_major: span("renotify_major", full.renotify_major),
        renotify_warning: span("renotify_warning", full.renotify_warning),
        fresh_floor: span("fresh_floor", full.fresh_floor),
    }
}

fn read_collector(roots: &[Section<'_>], found: &mut Diagnostics) -> Collector {
    let section = single(roots, "collector", "[collector]", found);
    let section = section.as_ref();
    Collector {
        concurrency: whole(section, "concurrency", 256, 100_000, found),
        per_host: whole(section, "per_host", 4, 1000, found),
        exec_concurrency: whole(section, "exec_concurrency", 128, 10_000, found),
    }
}

fn file(section: &Section<'_>, key: &str, folder: &Path, found: &mut Diagnostics) -> Option<PathBuf> {
    section.text(key, found).map(|text| named_file(&text, folder, found))
}

fn timeout(section: &Section<'_>, found: &mut Diagnostics) -> Duration {
    section.span_or("timeout", Span::from_secs(15), found).to_std()
}

fn read_email(section: &Section<'_>, folder: &Path, found: &mut Diagnostics) -> Option<Email> {
    const TLS: &[(&str, MailTls)] =
        &[("none", MailTls::None), ("starttls", MailTls::StartTls), ("implicit", MailTls::Implicit)];
    let tls = section.text("tls", found).and_then(|text| word(&text, "tls", TLS, found)).unwrap_or(MailTls::StartTls);
    let default_port = match tls {
        MailTls::None => 25,
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
    };
    let email = Email {
        host: section.text_or("host", "localhost", found),
        port: u16::try_from(section.whole_or("port", default_port, 1..=65_535, found)).unwrap_or(25),
        tls,
        user: section.text("user", found).map(|text| text.value.to_owned()),
        password_file: file(section, "password_file", folder, found),
        from: section.needed("from", found).map_or_else(String::new, |text| {
            if !text.value.contains('@') {
                found.error("bad-mail", &text.at, format!("`{}` is not a mail address", text.value), "");
            }
            text.value.to_owned()
        }),
        timeout: timeout(section, found),
        ca_file: file(section, "ca_file", folder, found),
        hello_name: section.text("hello_name", found).map(|text| text.value.to_owned()),
    };
    if email.user.is_some() && email.password_file.is_none() {
        found.error("missing-key", &section.at, "`user` needs a `password_file`", "");
    }
    section.bool_or("enabled", true, found).then_some(email)
}

fn read_webhook(section: &Section<'_>, folder: &Path, found: &mut Diagnostics) -> Option<Webhook> {
    let webhook = Webhook {
        url: section.text("url", found).map(|text| text.value.to_owned()),
        token_file: file(section, "token_file", folder, found),
        secret_file: file(section, "secret_file", folder, found),
        timeout: timeout(section, found),
    };
    section.bool_or("enabled", true, found).then_some(webhook)
}

fn read_nagios(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> Option<NagiosTree> {
    const NOTIFY: &[(&str, Notify)] = &[("exact", Notify::Exact), ("incidents", Notify::Incidents)];
    let section = single(roots, "nagios", "[nagios]", found)?;
    let notify = section.text("notify", found).and_then(|text| word(&text, "notify", NOTIFY, found));
    // The section may be there for the command pipe alone.
    let config =
        if section.has("command_file") { section.text("config", found) } else { section.needed("config", found) };
    let config = config?;
    let config = At { value: folder.join(config.value), at: config.at };
    Some(NagiosTree { config, notify: notify.unwrap_or_default() })
}

fn read_metrics(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> Metrics {
    let section = single(roots, "metrics", "[metrics]", found);
    let enabled = section.as_ref().is_none_or(|section| section.bool_or("enabled", true, found));
    Metrics { enabled, token_file: section.and_then(|section| file(&section, "token_file", folder, found)) }
}

fn read_command_sources(roots: &[Section<'_>], folder: &Path, found: &mut Diagnostics) -> CommandSources {
    let section = single(roots, "nagios", "[nagios]", found);
    let command_file =
        section.and_then(|section| section.text("command_file", found).map(|text| folder.join(text.value)));
    CommandSources { command_file }
}

fn read_log(roots: &[Section<'_>], found: &mut Diagnostics) -> Log {
    const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
    let section = single(roots, "log", "[log]", found);
    let format = section.as_ref().and_then(|section| section.text("format", found));
    Log {
        level: section.as_ref().map_or_else(|| "info".to_owned(), |section| section.text_or("level", "info", found)),
        format: format.and_then(|text| word(&text, "format", FORMATS, found)).unwrap_or(LogFormat::Text),
    }
}
