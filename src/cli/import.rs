//! `stentor import`: a Nagios configuration as Stentor's own, in files to go on with.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::config::nagios::export::{Export, export};
use crate::config::nagios_files::{Kind, kind_of};
use crate::config::{self, Level};

/// Writes what a Nagios configuration says as Stentor's own configuration, and lists what has no equivalent.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The main file, nagios.cfg
    #[arg(value_name = "NAGIOS.cfg")]
    pub from: PathBuf,
    /// Folder to write into: one that is empty, or not there yet
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

/// 0 if the files are written and Stentor would start with them.
///
/// # Errors
/// The configuration is wrong, the folder is not empty, or a file cannot be written.
pub fn run(args: &ImportArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let name = args.from.display();
    let kind = kind_of(&args.from).with_context(|| format!("cannot read `{name}`"))?;
    ensure!(kind == Kind::Nagios, "`{name}` is no Nagios configuration");
    let loaded = config::load(&args.from).map_err(|found| anyhow::anyhow!("{found}"))?;
    let export = export(&loaded.catalog, &name.to_string());
    write_all(&args.to, &export)?;
    let main = args.to.join(export.files.first().map_or("", |(name, _)| name));
    for lost in &export.lost {
        writeln!(out, "not carried: {lost}")?;
    }
    let written = config::load(&main);
    let findings = written.as_ref().map_or_else(|found| found, |loaded| &loaded.warnings);
    for finding in &findings.findings {
        if finding.level == Level::Error {
            eprintln!("{}", findings.render(finding));
        }
    }
    let Ok(written) = written else { bail!("what was written to `{}` is not good", args.to.display()) };
    let catalog = &written.catalog;
    let counts = [
        (catalog.hosts.len(), loaded.catalog.hosts.len(), "hosts"),
        (catalog.services.len(), loaded.catalog.services.len(), "services"),
        (catalog.timeperiods.len(), loaded.catalog.timeperiods.len(), "timeperiods"),
        (catalog.contacts.len(), loaded.catalog.contacts.len(), "contacts"),
    ];
    for (carried, all, what) in counts {
        writeln!(out, "{carried} of {all} {what}")?;
    }
    writeln!(out, "{} is good; try `stentor verify --config {0}`", main.display())?;
    Ok(0)
}

/// All files, readable only by their owner: command lines may hold passwords.
fn write_all(folder: &Path, export: &Export) -> anyhow::Result<()> {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => ensure!(entries.next().is_none(), "`{shown}` is not empty"),
        Err(cause) if cause.kind() == ErrorKind::NotFound => {}
        Err(cause) => return Err(cause).with_context(|| format!("cannot read `{shown}`")),
    }
    for (name, text) in &export.files {
        let path = folder.join(name);
        let shown = path.display();
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write `{shown}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
