//! `stentor user`: people and tokens, written into the database beside the running service.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::clock::Clock;
use crate::config;
use crate::store::{self, SessionKind, SharedStore, User};
use crate::web::auth::{ANY_AGENT, Role, create_token, password, random_password};

/// Shorter passwords are refused; length matters more than what it is made of (NIST SP 800-63B, 5.1.1.1).
const PASSWORD_CHARS_MIN: usize = 8;
const NAME_CHARS_MAX: usize = 64;

#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommand,
    /// Configuration file: names the database
    #[arg(long, value_name = "FILE", default_value = "stentor.toml", global = true)]
    pub config: PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add a person; prints a random password once
    Add {
        name: String,
        #[arg(long, value_enum, default_value = "operator")]
        role: RoleName,
        /// Read the password from standard input instead
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set a password anew; every login session of that person ends
    Password {
        name: String,
        /// Read the password from standard input instead of making one
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make an API token for a person, or with --agent for the agent of a host
    Token {
        /// The person; left out with --agent
        #[arg(required_unless_present = "agent", conflicts_with = "agent")]
        name: Option<String>,
        /// The host whose agent pushes with it; `*` for every host
        #[arg(long, value_name = "HOST")]
        agent: Option<String>,
    },
}

#[derive(Copy, Clone, Debug, ValueEnum)]
pub enum RoleName {
    /// Sees everything
    Viewer,
    /// Acknowledges, plans downtimes, submits results
    Operator,
    /// Everything
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Role {
        match name {
            RoleName::Viewer => Role::Viewer,
            RoleName::Operator => Role::Operator,
            RoleName::Admin => Role::Admin,
        }
    }
}

/// # Errors
/// The configuration or the database cannot be had, or the request makes no sense.
pub async fn run(args: &UserArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let loaded = config::load(&args.config).map_err(|found| anyhow!("{found}"))?;
    let settings = &loaded.settings;
    let store = store::open(&settings.storage.url, &settings.folder, None).await;
    let store = store.context("the database cannot be opened")?;
    if let UserCommand::Token { agent: Some(host), .. } = &args.command
        && host != ANY_AGENT
        && loaded.catalog.host_id(host).is_none()
    {
        bail!("the configuration has no host `{host}`");
    }
    act(&args.command, &store, &Clock::Machine, &mut std::io::stdin(), out).await
}

/// # Errors
/// As [`run`].
pub async fn act(
    command: &UserCommand,
    store: &SharedStore,
    clock: &Clock,
    stdin: &mut (dyn Read + Send),
    out: &mut (dyn Write + Send),
) -> anyhow::Result<u8> {
    match command {
        UserCommand::Add { name, role, password_stdin } => {
            check_name(name)?;
            if store.user(name).await?.is_some() {
                bail!("there is a user `{name}`; set the password with `stentor user password {name}`");
            }
            let password = chosen(*password_stdin, stdin)?;
            let user = User {
                name: name.clone(),
                password_hash: password::hash(password.text()).await?,
                role: Role::from(*role).as_str().to_owned(),
            };
            store.put_user(&user).await?;
            writeln!(out, "user `{name}` added as {}", user.role)?;
            password.tell(out)?;
        }
        UserCommand::Password { name, password_stdin } => {
            let user = store.user(name).await?.with_context(|| format!("there is no user `{name}`"))?;
            let password = chosen(*password_stdin, stdin)?;
            let password_hash = password::hash(password.text()).await?;
            store.put_user(&User { password_hash, ..user }).await?;
            writeln!(out, "password of `{name}` set; login sessions have ended, API tokens stay valid")?;
            password.tell(out)?;
        }
        UserCommand::Token { name, agent } => {
            let (user, kind) = match (name, agent) {
                (Some(name), _) => {
                    store.user(name).await?.with_context(|| format!("there is no user `{name}`"))?;
                    (name, SessionKind::Token)
                }
                (None, Some(host)) => (host, SessionKind::Agent),
                (None, None) => bail!("name a user, or a host with --agent"),
            };
            // Nothing else on standard output: it goes into a file.
            writeln!(out, "{}", create_token(&**store, user, kind, clock.now()).await?)?;
        }
    }
    Ok(0)
}

enum Password {
    /// Made here: printed once.
    Made(String),
    Given(String),
}

impl Password {
    fn text(&self) -> &str {
        match self {
            Password::Made(text) | Password::Given(text) => text,
        }
    }

    fn tell(&self, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
        match self {
            Password::Made(text) => writeln!(out, "password: {text}  (shown once)"),
            Password::Given(_) => Ok(()),
        }
    }
}

fn chosen(from_stdin: bool, stdin: &mut (dyn Read + Send)) -> anyhow::Result<Password> {
    if !from_stdin {
        return Ok(Password::Made(random_password()?));
    }
    let mut text = String::new();
    stdin
        .take(password::PASSWORD_BYTES_MAX as u64 + 2)
        .read_to_string(&mut text)
        .context("cannot read the password")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.chars().count() < PASSWORD_CHARS_MIN {
        bail!("the password must have at least {PASSWORD_CHARS_MIN} characters");
    }
    if text.len() > password::PASSWORD_BYTES_MAX {
        bail!("the password must have at most {} bytes", password::PASSWORD_BYTES_MAX);
    }
    Ok(Password::Given(text.to_owned()))
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(plain) {
        bail!("a user's name has 1 to {NAME_CHARS_MAX} letters, digits or . _ - @ +");
    }
    Ok(())
}
