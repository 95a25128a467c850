//! `nagios_user` and `nagios_group`: started as root with a `nagios.cfg`, the service goes on as whom it names, as Nagios
//! does. Plugins must not run as root, and the files below `/var/lib/nagios4` are that user's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::config::NagiosSettings;

/// Of util-linux, which every distribution has: it knows all groups of a user, wherever they are kept.
const PROGRAM: &str = "setpriv";
/// Set for the process that goes on: one that is root nevertheless must not try again for ever.
const TRIED: &str = "STENTOR_BECAME";

/// Goes on as the user that a `nagios.cfg` names, in this very process. Returns if there is nothing to change.
///
/// # Errors
/// There is no such user, or no way to become it.
pub fn become_owner(nagios: &NagiosSettings) -> anyhow::Result<()> {
    let Some(user) = &nagios.user else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || matches!(user.as_str(), "root" | "0") {
        return Ok(());
    }
    ensure!(
        std::env::var_os(TRIED).is_none(),
        "`nagios_user` {user} is root by another name; name a user that may not do everything, or root itself"
    );
    let group = match &nagios.group {
        Some(group) => group.clone(),
        None => first_group(user)?,
    };
    let program = std::env::current_exe().context("where this program is cannot be found out")?;
    let arguments = arguments(user, &group, program.into(), std::env::args_os().skip(1));
    let error = Command::new(PROGRAM).args(arguments).env(TRIED, user).exec();
    bail!("`nagios_user` is {user} and {PROGRAM} cannot be run ({error}); start Stentor as {user}")
}

fn first_group(user: &str) -> anyhow::Result<String> {
    let said = Command::new("id").args(["-g", "--", user]).output().context("`id` cannot be run")?;
    ensure!(said.status.success(), "`nagios_user` {user}: {}", String::from_utf8_lossy(&said.stderr).trim());
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn arguments(user: &str, group: &str, program: OsString, rest: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let own = [format!("--reuid={user}"), format!("--regid={group}"), "--init-groups".into(), "--".into()];
    own.into_iter().map(OsString::from).chain([program]).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_group_are_taken_on_with_all_groups_and_the_command_line_stays() {
        let rest = ["serve", "--config", "/etc/nagios4/nagios.cfg"].map(OsString::from);
        let made = arguments("nagios", "nagcmd", "/usr/bin/stentor".into(), rest.into_iter());
        let line =
            "--reuid=nagios --regid=nagcmd --init-groups -- /usr/bin/stentor serve --config /etc/nagios4/nagios.cfg";
        assert_eq!(made, line.split(' ').map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_user_that_is_not_there_is_named() {
        let error = first_group("no such user").unwrap_err().to_string();
        assert!(error.contains("no such user"), "{error}");
    }
}
