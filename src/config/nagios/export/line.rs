//! Command lines of Nagios as command lines of the `exec` probe: what is known when they are read is filled in.

use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::macros::CommandCall;

/// The macros that the `exec` probe fills in itself.
const OF_EXEC: [&str; 2] = ["HOSTNAME", "HOSTADDRESS"];

/// A service's command as one line.
///
/// # Errors
/// The macros whose values only a running Nagios knows, each once.
pub(super) fn exec_line(catalog: &Catalog, service: ServiceId, call: &str) -> Result<String, Vec<String>> {
    let parsed = CommandCall::parse(call);
    let line = catalog.nagios.index.command.get(parsed.name).map(|id| &catalog.nagios.commands[id.index()].line);
    let Some(line) = line else { return Err(vec![format!("command {}", parsed.name)]) };
    let mut filled = Filled { catalog, service, args: Vec::new(), unknown: Vec::new() };
    filled.args = parsed.args.iter().map(|arg| filled.fill(arg)).collect();
    // What an argument asked for and cannot have is said only if the line uses it.
    let of_args = std::mem::take(&mut filled.unknown);
    let text = filled.fill(line);
    if text.contains(MISSING) {
        filled.unknown.extend(of_args);
    }
    filled.unknown.sort();
    filled.unknown.dedup();
    if filled.unknown.is_empty() { Ok(text) } else { Err(filled.unknown) }
}

/// Stands where a value is not known; no configuration holds it.
const MISSING: char = '\u{0}';

struct Filled<'a> {
    catalog: &'a Catalog,
    service: ServiceId,
    args: Vec<String>,
    unknown: Vec<String>,
}

impl Filled<'_> {
    /// Text and macros in turn, as Nagios reads them. Dollar signs of values are doubled, for `exec` reads the line again.
    fn fill(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (number, piece) in text.split('$').enumerate() {
            if number % 2 == 0 {
                out.push_str(piece);
            } else if piece.is_empty() {
                out.push_str("$$");
            } else if OF_EXEC.contains(&piece) {
                out.push_str(&format!("${piece}$"));
            } else if let Some(arg) = number_of(piece, "ARG") {
                out.push_str(self.args.get(arg - 1).map_or("", String::as_str));
            } else if let Some(value) = self.value(piece) {
                out.push_str(&value.replace('$', "$$"));
            } else {
                out.push(MISSING);
                self.unknown.push(format!("${piece}$"));
            }
        }
        out
    }

    /// Of macros that no result changes.
    fn value(&self, name: &str) -> Option<Arc<str>> {
        let (catalog, nagios) = (self.catalog, &self.catalog.nagios);
        let service = &catalog.services[self.service.index()];
        let of_host = nagios.appearance(ObjectId::Host(service.host))?;
        let of_service = nagios.appearance(ObjectId::Service(self.service))?;
        if let Some(user) = number_of(name, "USER") {
            return nagios.program.user_macros.get(&u16::try_from(user).ok()?).cloned();
        }
        match name {
            "HOSTALIAS" => Some(Arc::clone(&of_host.alias)),
            "HOSTDISPLAYNAME" => {
                of_host.display_name.clone().or_else(|| Some(Arc::clone(&catalog.hosts[service.host.index()].name)))
            }
            "SERVICEDESC" => Some(Arc::clone(&service.name)),
            "SERVICEDISPLAYNAME" => of_service.display_name.clone().or_else(|| Some(Arc::clone(&service.name))),
            "HOSTGROUPNAME" => self.hostgroup(service.host),
            "ADMINEMAIL" => Some(Arc::clone(&nagios.program.admin_email)),
            "ADMINPAGER" => Some(Arc::clone(&nagios.program.admin_pager)),
            _ => {
                let of = |prefix: &str| name.strip_prefix(prefix).map(str::to_uppercase);
                of("_HOST")
                    .and_then(|name| of_host.vars.get(&*name))
                    .or_else(|| of("_SERVICE").and_then(|name| of_service.vars.get(&*name)))
                    .cloned()
            }
        }
    }

    fn hostgroup(&self, host: HostId) -> Option<Arc<str>> {
        let nagios = &self.catalog.nagios;
        // The last by name is the first one that Nagios has.
        let group = nagios.index.groups_of_host.get(&host)?.last()?;
        Some(Arc::clone(&nagios.hostgroups[group.index()].name))
    }
}

/// `ARG3` is 3; there is no 0.
fn number_of(name: &str, prefix: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.parse().ok().filter(|number| *number > 0)
}
