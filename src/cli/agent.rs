//! `stentor agent`: local probes of this host, pushed to a hub.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, AgentConfig, AllowList, HubTls, Identity, Pin, SpoolConfig, Token};
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
    /// Commands that this host lets runbooks run (TOML: `commands = [["systemctl", "restart", "httpd.service"]]`); none without it.
    #[arg(long, value_name = "FILE")]
    pub commands: Option<PathBuf>,
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
        let allow = self.commands.as_deref().map(AllowList::read).transpose()?.unwrap_or_default();
        if !allow.is_empty() && !is_private(&self.hub) {
            bail!(
                "--commands needs a hub with https://: whoever can change what {} answers could give orders",
                self.hub
            );
        }
        Ok(AgentConfig { token, tls, spool, allow, ..AgentConfig::new(&self.hub, Token::new(""), host) })
    }
}

/// Nobody between the hub and us can put words in its mouth: TLS, or the same machine.
fn is_private(hub: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(hub) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    url.scheme() == "https" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_over_tls_or_from_this_machine() {
        for (hub, private) in [
            ("https://monitor.example.org:8460", true),
            ("http://127.0.0.1:8460/", true),
            ("http://[::1]:8460", true),
            ("http://monitor.example.org:8460", false),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1.example.org", false),
            ("http://127.0.0.1@example.org", false),
            ("monitor", false),
        ] {
            assert_eq!(is_private(hub), private, "{hub}");
        }
    }
}
