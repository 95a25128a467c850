//! `stentor debug macro`: a text with its macros filled in, by the engine's own view of the configured world.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value as Json, json};
use stentor_core::Timestamp;
use stentor_core::catalog::Catalog;
use stentor_core::id::{ContactId, HostId, ObjectId, ServiceId};
use stentor_core::macros::{CommandCall, Options, expand_command};

use super::preset::Preset;
use crate::config::{self, finding::suggest};

#[derive(Debug, Args)]
pub struct MacroArgs {
    /// Configuration file: Stentor's or a nagios.cfg
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// States, times and outputs of objects, as JSON; without it nothing was checked yet
    #[arg(long, value_name = "STATE.json")]
    pub state: Option<PathBuf>,
    /// The host that the text is about
    #[arg(long, value_name = "H")]
    pub host: Option<String>,
    /// The service of that host
    #[arg(long, value_name = "D", requires = "host")]
    pub service: Option<String>,
    /// The contact who would be told
    #[arg(long, value_name = "C")]
    pub contact: Option<String>,
    /// Gives $ARGn$: the arguments after the command's name
    #[arg(long, value_name = "CMD!A!B")]
    pub check_command: Option<String>,
    /// Leave illegal_macro_output_chars out of what plugins and people said
    #[arg(long)]
    pub strip: bool,
    /// The text
    #[arg(allow_hyphen_values = true)]
    pub text: String,
}

/// Largest state file that is read.
const STATE_BYTES_MAX: u64 = 256 << 20;

/// Prints `{"text":…}`.
///
/// # Errors
/// Configuration or state cannot be read, or an object is not in them.
pub fn run(args: &MacroArgs, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    let catalog = config::load(&args.config).map_err(|found| anyhow::anyhow!("{found}"))?.catalog;
    let mut preset = Preset::new(&catalog);
    if let Some(path) = &args.state {
        preset.fill(&catalog, &read_state(path)?).with_context(|| path.display().to_string())?;
        for key in &preset.unknown {
            eprintln!("{}: {key} means nothing here", path.display());
        }
    }
    let text = expanded(args, &catalog, &preset, now)?;
    writeln!(out, "{}", json!({ "text": text })).context("cannot write the answer")
}

fn read_state(path: &Path) -> anyhow::Result<Json> {
    let name = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("cannot open `{name}`"))?;
    let limited = std::io::BufReader::new(std::io::Read::take(file, STATE_BYTES_MAX));
    serde_json::from_reader(limited).with_context(|| format!("`{name}` is not JSON"))
}

/// The text in its context.
///
/// # Errors
/// An object is not configured, or the result grows past the limit of a command line.
pub fn expanded(args: &MacroArgs, catalog: &Catalog, preset: &Preset, now: Timestamp) -> anyhow::Result<String> {
    let host = args.host.as_deref().map(|name| host(catalog, name)).transpose()?;
    let object = match (host, &args.service) {
        (Some(host), Some(name)) => Some(ObjectId::Service(service(catalog, host, name)?)),
        (host, _) => host.map(ObjectId::Host),
    };
    let contact = args.contact.as_deref().map(|name| contact(catalog, name)).transpose()?;
    let program = &catalog.nagios.program;
    let options = if args.strip { Options::strip(&program.illegal_macro_output_chars) } else { Options::raw() };
    let call = CommandCall::parse(args.check_command.as_deref().unwrap_or_default());
    let view = preset.view(catalog, now);
    view.with_any_context(object, contact, |context| expand_command(&args.text, &call, context, options))
        .context("the text cannot be expanded")
}

fn host(catalog: &Catalog, name: &str) -> anyhow::Result<HostId> {
    catalog.host_id(name).with_context(|| {
        let help = suggest(name, catalog.hosts.iter().map(|host| &*host.name));
        format!("the configuration has no host `{name}`; {help}")
    })
}

fn service(catalog: &Catalog, host: HostId, name: &str) -> anyhow::Result<ServiceId> {
    let row = &catalog.hosts[host.index()];
    catalog.service_id(&row.name, name).with_context(|| {
        let help = suggest(name, row.services.iter().map(|id| &*catalog.services[id.index()].name));
        format!("host `{}` has no service `{name}`; {help}", row.name)
    })
}

fn contact(catalog: &Catalog, name: &str) -> anyhow::Result<ContactId> {
    catalog.index.contact.get(name).copied().with_context(|| {
        let help = suggest(name, catalog.contacts.iter().map(|contact| &*contact.name));
        format!("the configuration has no contact `{name}`; {help}")
    })
}
