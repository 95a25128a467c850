//! `ssh`: the banner of an SSH server, without a login.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::greeting::{SshBanner, ssh_banner};

use super::look::ahead_of;
use super::reach::closed;
use super::talk::{Hitch, Talk, open, opened, shown};
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub struct Ssh {
    net: Network,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "ssh_port")]
    pub port: u16,
}

/// RFC 4253 §4.
fn ssh_port() -> u16 {
    22
}

/// Lines that a server may send before its banner (RFC 4253 §4.2); OpenSSH's client reads as many at most.
const LINES_BEFORE_MAX: usize = 1024;

impl Probe for Ssh {
    const KIND: &'static str = "ssh";
    const DOC: &'static str = include_str!("../../../docs/probes/ssh.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.port == 0 {
            return Err(BuildError { message: "probe `ssh`: there is no port 0".into() });
        }
        Ok(Ssh { net: env.net.clone(), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let (attempt, talk) = open(&self.net, target, self.config.port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(closed(&attempt)) };
        let at = attempt.addr;
        let seen = opened(&attempt, String::new());
        Ok(match greet(&mut talk).await {
            Err(hitch) => {
                Observation { text: format!("{at}: no SSH banner: {hitch}").into(), ..seen }.fact("ssh", hitch.word())
            }
            Ok(banner) => {
                let text = format!("{at}: {}, protocol {}", shown(&banner.software), shown(&banner.protocol));
                Observation { text: text.into(), ..seen }
                    .fact("ssh", "ok")
                    .fact("protocol", shown(&banner.protocol))
                    .fact("software", shown(&banner.software))
                    .fact("comment", shown(&banner.comment))
            }
        })
    }
}

async fn greet(talk: &mut Talk) -> Result<SshBanner, Hitch> {
    for _ in 0..=LINES_BEFORE_MAX {
        let line = talk.line().await?;
        if let Some(banner) = ssh_banner(&line) {
            // A server that was greeted notes that its client went; one that was not, an attack.
            let _ = talk.say(concat!("SSH-2.0-Stentor_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes()).await;
            return Ok(banner);
        }
        if line.starts_with("SSH-") {
            return Err(Hitch::Invalid(format!("`{}` is none", shown(&line))));
        }
    }
    Err(Hitch::Invalid(format!("more than {LINES_BEFORE_MAX} lines come before it")))
}
