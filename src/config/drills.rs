//! `[[drill]]`: recoveries that must be drilled. Each is a service of the machine that Stentor runs on: it reads the file
//! of drills and says when the next one is due.

use stentor_core::Span;
use stentor_core::catalog::{Check, Service, View};
use stentor_core::id::HostId;
use stentor_core::model::Value;

use crate::probes::drill::Drill;
use crate::probes::{LIMITS, Probe};

use super::finding::{Diagnostics, suggest};
use super::objects::{Builder, Names};
use super::services::push;
use super::tree::{At, Section};
use super::{all, usual};

/// Where nothing is said.
const DUE: Span = Span::from_hours(24 * 90);
const EVERY: Span = Span::from_mins(5);
const DAY_S: f64 = 86_400.0;

/// Reads all of them; hosts and their other services must be there.
pub(super) fn read(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut names = Names::new("drill");
    for section in all(roots, "drill", "[[drill]]", found) {
        let Some(of) = subject(&section, builder, found) else { continue };
        if names.define(&of, found).is_some() {
            one(&section, &of, builder, found);
        }
    }
}

fn one(section: &Section<'_>, of: &At<&str>, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let Some(host) = host(section, builder, found) else { return };
    let due = section.span_or("due", DUE, found);
    if due <= Span::ZERO {
        found.error("bad-duration", &section.at, "`due` must be longer than nothing", "a quarter is \"90d\"");
    }
    let name = format!("drill {}", of.value);
    let services = &builder.catalog.hosts[host.index()].services;
    if services.iter().any(|id| *builder.catalog.services[id.index()].name == *name) {
        let message = format!("there is a service `{name}` already");
        found.error("duplicate", &of.at, message, "`[[drill]]` replaces a service that was written by hand");
        return;
    }
    let usual = usual::find(builder.packs, Drill::KIND);
    let mut own: Vec<(&str, Value)> = vec![
        ("of", of.value.into()),
        ("file", builder.settings.storage.drills.to_string_lossy().as_ref().into()),
        (LIMITS, [("due_d", due.as_secs_f64() / DAY_S)].into_iter().collect()),
    ];
    own.extend(section.text("owner", found).map(|owner| ("owner", owner.value.into())));
    let own: Value = own.into_iter().collect();
    let check = Check {
        name: format!("drill/{}", of.value).into(),
        probe: Drill::KIND.into(),
        params: usual.map_or(Value::Null, |usual| usual.params.clone()).overlaid(&own),
        every: EVERY,
        retry: EVERY,
        timeout: Span::from_secs(10),
        // A record does not come and go.
        attempts: 1,
        rules: usual.map(|usual| usual.rules.clone()).unwrap_or_default(),
        signals: Vec::new(),
        host_side: true,
        freshness: Span::ZERO,
    };
    builder.trial.params(&check, &Value::Null, &section.at, found);
    let check = builder.check_id(check);
    push(Service { host, name: name.into(), check, params: Value::Null, component: None }, builder);
}

/// The cell or runbook, if a pack has it.
fn subject<'a>(section: &Section<'a>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<At<&'a str>> {
    let platforms = &builder.catalog.platforms;
    let (text, what, known): (At<&str>, &str, Vec<String>) =
        match (section.text("cell", found), section.text("runbook", found)) {
            (Some(cell), None) => {
                let cells = platforms.iter().flat_map(|platform| platform.cells.iter());
                (cell, "cell", cells.map(|cell| cell.key.to_string()).collect())
            }
            (None, Some(runbook)) => {
                let runbooks = platforms.iter().flat_map(|platform| platform.runbooks.iter());
                (runbook, "runbook", runbooks.map(|runbook| runbook.id.to_string()).collect())
            }
            (Some(_), Some(_)) | (None, None) => {
                let help = "`cell = \"eucalyptus/clc/server\"`, or `runbook = \"rb-euca-full-recovery\"`";
                found.error("cell-or-runbook", &section.at, "`[[drill]]` needs one of `cell` and `runbook`", help);
                return None;
            }
        };
    if !known.iter().any(|name| name == text.value) {
        let help = suggest(text.value, known.iter().map(String::as_str));
        found.error("unknown-name", &text.at, format!("no pack has a {what} `{}`", text.value), help);
        return None;
    }
    Some(text)
}

/// The machine that Stentor runs on: the only one there is, or the one that is named.
fn host(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<HostId> {
    let hosts = &builder.catalog.hosts;
    let is_local = |id: &HostId| hosts[id.index()].view == View::Local;
    let help = "add a [[host]] with `view = \"local\"` for the machine of Stentor, and name it if there are several";
    if let Some(name) = section.text("host", found) {
        let host = builder.hosts.find(&name, found).map(HostId::from_index)?;
        if !is_local(&host) {
            let message = format!("the file of drills is here, and `{}` has not `view = \"local\"`", name.value);
            found.error("not-local", &name.at, message, help);
            return None;
        }
        return Some(host);
    }
    let local: Vec<HostId> = (0..hosts.len()).map(HostId::from_index).filter(is_local).collect();
    match local.as_slice() {
        [only] => Some(*only),
        [] => {
            found.error("not-local", &section.at, "`[[drill]]` needs a host that is this machine", help);
            None
        }
        [_, _, ..] => {
            found.error("not-local", &section.at, "several hosts are this machine: `host` must say which", help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;

    const HUB: &str = "[[host]]\nname = \"hub\"\naddress = \"127.0.0.1\"\nview = \"local\"\n";
    const FAR: &str = "[[host]]\nname = \"far\"\naddress = \"10.0.0.1\"\nview = \"agent\"\n";
    const CELL: &str = "[[drill]]\ncell = \"eucalyptus/clc/server\"\n";

    fn load(text: &str) -> Result<std::sync::Arc<stentor_core::catalog::Catalog>, String> {
        let text = format!("{text}\n[storage]\njournal = \"/srv/stentor/journal\"\n");
        load_text(&text, Path::new("stentor.toml")).map(|loaded| loaded.catalog).map_err(|found| format!("{found:?}"))
    }

    #[test]
    fn a_drill_is_a_service_of_this_machine() {
        let catalog = load(&format!("{FAR}{HUB}{CELL}due = \"36h\"\nowner = \"cloud team\"\n")).expect("good");
        let id = catalog.service_id("hub", "drill eucalyptus/clc/server").expect("a service");
        let check = &catalog.checks[catalog.services[id.index()].check.index()];
        let params = serde_json::to_value(&check.params).expect("JSON");
        assert_eq!(params["limits"]["due_d"], 1.5);
        assert_eq!((&params["owner"], &params["file"]), (&"cloud team".into(), &"/srv/stentor/drills.jsonl".into()));
        assert_eq!(check.rules.len(), 3, "as usual for its probe");
        let catalog = load(&format!("{HUB}[[drill]]\nrunbook = \"rb-euca-full-recovery\"\n")).expect("good");
        assert!(catalog.service_id("hub", "drill rb-euca-full-recovery").is_some());
    }

    #[test]
    fn mistakes_are_told_with_their_code() {
        let named = |host: &str| format!("{HUB}{FAR}{CELL}host = \"{host}\"\n");
        for (text, code) in [
            (format!("{HUB}[[drill]]\n"), "cell-or-runbook"),
            (format!("{HUB}{CELL}runbook = \"rb-euca-full-recovery\"\n"), "cell-or-runbook"),
            (format!("{HUB}[[drill]]\ncell = \"eucalyptus/clc/serve\"\n"), "eucalyptus/clc/server"),
            (format!("{HUB}[[drill]]\nrunbook = \"rb-nothing\"\n"), "unknown-name"),
            (format!("{FAR}{CELL}"), "not-local"),
            (named("far"), "not-local"),
            (named("fur"), "unknown-host"),
            (format!("{HUB}{CELL}{CELL}"), "duplicate"),
            (format!("{HUB}{CELL}due = \"0s\"\n"), "bad-duration"),
            (format!("{HUB}{CELL}every = \"1h\"\n"), "unknown-key"),
        ] {
            let refused = load(&text).expect_err(code);
            assert!(refused.contains(code), "{code}: {refused}");
        }
    }
}
