//! The simulated cloud: things that really listen on loopback, watched by the same engine, probes and packs as any other.
//! Only targets, host views and the darkness of dead hosts are simulated.

pub mod bmc;
pub mod bmc_model;
pub mod config;
pub mod control;
pub mod device;
pub mod device_model;
pub mod fault;
pub mod inside;
pub mod mailbox;
pub mod message;
pub mod page;
pub mod plan;
pub mod port;
pub mod sim;
pub mod storage;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use stentor_core::Span;

use crate::app::{self, Options, Service};
use crate::clock::Clock;
use crate::web::auth;

/// How a demo is started.
#[derive(Clone, Debug)]
pub struct Wish {
    pub listen: SocketAddr,
    /// Divides every interval and hold-down.
    pub pace: f64,
    pub net: plan::Net,
}

/// A running demo.
pub struct Demo {
    pub service: Service,
    pub user: String,
    /// `None` if the state folder was used before: the password is not known any more.
    pub password: Option<String>,
    pub token: String,
    pub smtp: SocketAddr,
    sim: sim::Running,
    mail: mailbox::Running,
}

/// Agents push this often at pace 1.
const PUSH_EVERY: Span = Span::from_secs(10);

/// Starts simulation and service with their state in `folder`.
///
/// # Errors
/// A simulated address is taken (another demo runs), or the service cannot start.
pub async fn start(wish: &Wish, folder: &Path) -> anyhow::Result<Demo> {
    let clock = Clock::Machine;
    let simulated = sim::start(clock.clone(), wish.net)
        .await
        .context("the simulated cloud cannot listen; is another demo running on this machine?")?;
    let mail = mailbox::start().await.context("the demo's mail server cannot listen")?;
    let password_file = folder.join("bmc.password");
    std::fs::write(&password_file, sim::BMC_PASSWORD).context("the state folder cannot be written")?;
    let text = config::text(&config::Wish {
        net: wish.net,
        listen: wish.listen,
        smtp: mail.addr,
        pace: wish.pace,
        bmc_password_file: &password_file,
    });
    let path = folder.join("demo.toml");
    std::fs::write(&path, &text).context("the state folder cannot be written")?;
    let loaded =
        crate::config::load(&path).map_err(|found| anyhow::anyhow!("the demo's own configuration:\n{found}"))?;
    let options = Options {
        network: simulated.sim.network(),
        demo: Some(control::routes(simulated.sim.clone(), mail.mailbox.clone())),
        ..Options::default()
    };
    let service = app::start(loaded, options).await?;
    let (password, token) = match &service.credentials {
        Some(made) => (Some(made.password.clone()), made.token.clone()),
        None => {
            let kind = crate::store::SessionKind::Token;
            let token = auth::create_token(&*service.store, "admin", kind, clock.now()).await?;
            (None, token)
        }
    };
    let push_every = PUSH_EVERY.at_pace(wish.pace).to_std().max(Duration::from_millis(200));
    simulated.sim.start_agents(&service.url, &token, push_every).await;
    Ok(Demo { smtp: mail.addr, service, user: "admin".to_owned(), password, token, sim: simulated, mail })
}

impl Demo {
    /// The simulation, to inject and heal.
    pub fn sim(&self) -> &sim::Sim {
        &self.sim.sim
    }

    /// What was mailed.
    pub fn mailbox(&self) -> &mailbox::Mailbox {
        &self.mail.mailbox
    }

    pub async fn stop(self) {
        self.service.stop().await;
    }
}
