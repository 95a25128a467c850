//! `stentor agent`: local probes of this host, pushed to a hub.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, AgentConfig, HubTls, Identity, Pin, SpoolConfig, Token};
use crate::clock::Clock;
use crate::config::settings::{Log, LogFormat};
use crate::probes::HostView;
use crate::probes::local_view::LocalView;
use crate::telemetry;

#[derive(Clone, Debug, Args)]
pub struct AgentArgs {
    /// Base URL of the hub: `https://monitor.example.org:8460`
    #[arg(long, env = "STENTOR_HUB")]
    pub hub: String,
    /// File that holds the token; not needed with a certificate.
    #[arg(long, required_unless_present = "cert_file")]
    pub token_file: Option<PathBuf>,
    /// Name of this host in the hub's configuration; the machine's own name if missing.
    #[arg(long)]
    pub host: Option<String>,
    /// Authorities (PEM) that may have signed the hub's certificate, instead of the machine's.
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// The only certificate that the hub may show: its SHA-256, as `openssl x509 -noout -fingerprint -sha256` prints it.
    #[arg(long)]
    pub pin: Option<String>,
    /// Certificate of this agent (PEM), shown to the hub instead of a token.
    #[arg(long, requires = "key_file")]
    pub cert_file: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, requires = "cert_file")]
    pub key_file: Option<PathBuf>,
    /// Folder for results that wait for the hub; without it they wait in memory and end with the agent.
    #[arg(long, env = "STATE_DIRECTORY")]
    pub spool: Option<PathBuf>,
    /// Mebibytes of results that wait at most; then the oldest are dropped.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub spool_mib: u64,
    /// What is told on standard error: `error`, `warn`, `info`, `debug`, or directives such as `warn,stentor=debug`.
    #[arg(long, default_value = "info")]
    pub log: String,
}

impl AgentArgs {
    fn config(&self, host: &str) -> anyhow::Result<AgentConfig> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let pin = self.pin.as_deref().map(Pin::parse).transpose()?;
        let identity = self.cert_file.clone().zip(self.key_file.clone());
        let identity = identity.map(|(cert_file, key_file)| Identity { cert_file, key_file });
        let tls = HubTls { ca_file: self.ca_file.clone(), pin, identity };
        let spool = SpoolConfig { folder: self.spool.clone(), bytes_max: self.spool_mib * 1024 * 1024 };
        Ok(AgentConfig { token, tls, spool, ..AgentConfig::new(&self.hub, Token::new(""), host) })
    }
}

fn read_token(path: &std::path::Path) -> anyhow::Result<Token> {
    let shown = path.display();
    let token = std::fs::read_to_string(path).with_context(|| format!("cannot read the token in {shown}"))?;
    if token.trim().is_empty() {
        bail!("the token file {shown} is empty");
    }
    Ok(Token::new(&token))
}

/// Runs until SIGTERM or SIGINT; the result is the exit status.
///
/// # Errors
/// The token, a certificate or the spool cannot be read, or the hub's address is no URL.
pub async fn run(args: &AgentArgs) -> anyhow::Result<u8> {
    let view = LocalView::default();
    let host = match &args.host {
        Some(host) => host.clone(),
        None => {
            view.read("/proc/sys/kernel/hostname").context("this machine has no name; give --host")?.trim().to_owned()
        }
    };
    let config = args.config(&host)?;
    telemetry::start(&Log { level: args.log.clone(), format: LogFormat::Text });
    let stop = CancellationToken::new();
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let agent = Agent::run(config, Arc::new(view), Clock::Machine, stop.clone());
    tokio::pin!(agent);
    let report = tokio::select! {
        report = &mut agent => report,
        _ = term.recv() => { stop.cancel(); agent.await }
        _ = int.recv() => { stop.cancel(); agent.await }
    }?;
    if report.unsent > 0 {
        let what = if args.spool.is_some() { "they wait in the spool" } else { "they are lost" };
        eprintln!("stopped with {} results that the hub has not taken: {what}", report.unsent);
    }
    Ok(0)
}
