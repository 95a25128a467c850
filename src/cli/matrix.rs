//! `stentor matrix`: the component by failure-type matrix of each platform, and which checks of a configuration cover it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use stentor_core::catalog::{Catalog, Platform, SignalSpec};
use stentor_core::diagnosis::FailureType;
use stentor_core::id::HostId;

use crate::config;

/// Which failures of which components this configuration would notice.
#[derive(Args, Debug)]
pub struct MatrixArgs {
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// One JSON object per platform
    #[arg(long)]
    pub json: bool,
}

/// One platform's matrix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    pub platform: String,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub component: String,
    pub name: String,
    pub core: bool,
    /// How many of it are configured.
    pub instances: usize,
    pub cells: Cells,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cells {
    pub software: CellCover,
    pub server: CellCover,
    pub resource: CellCover,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellCover {
    /// `covered`, `uncovered` (configured, and no check tells it), `absent` (no such component is configured).
    pub state: &'static str,
    /// Names of the checks, in alphabetical order.
    pub covered_by: Vec<String>,
    pub runbook: Option<String>,
}

/// Prints the matrix.
///
/// # Errors
/// The configuration is wrong, or the output cannot be written.
pub fn run(args: &MatrixArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(found) => {
            write!(std::io::stderr().lock(), "{found}")?;
            return Ok(1);
        }
    };
    for matrix in matrices(&loaded.catalog) {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&matrix)?)?;
        } else {
            print_text(&matrix, out)?;
        }
    }
    out.flush()?;
    Ok(0)
}

/// The matrix of every platform whose components run on hosts: the parts of the hardware pack are no instances that a
/// configuration names.
pub fn matrices(catalog: &Catalog) -> Vec<Matrix> {
    let runs = |platform: &&Arc<Platform>| platform.components.iter().any(|part| !part.processes.is_empty());
    let platforms = catalog.platforms.iter().filter(runs);
    platforms.map(|platform| matrix(platform, catalog)).collect()
}

fn matrix(platform: &Platform, catalog: &Catalog) -> Matrix {
    let rows = platform.components.iter().map(|component| {
        let instances = catalog.components.iter().filter(|i| i.platform == platform.key && i.key == component.key);
        let mut cover = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        let mut count = 0;
        for instance in instances {
            count += 1;
            for id in &instance.services {
                let check = &catalog.checks[catalog.services[id.index()].check.index()];
                for failure_type in check.signals.iter().filter_map(speaks_for) {
                    cover[failure_type as usize].insert(check.name.to_string());
                }
            }
            cover[FailureType::Server as usize].extend(host_checks(instance.host, catalog));
        }
        let cell = |failure_type: FailureType| {
            let covered_by: Vec<String> = cover[failure_type as usize].iter().cloned().collect();
            let key = format!("{}/{}/{}", platform.key, component.key, failure_type.as_str());
            CellCover {
                state: match (count, covered_by.is_empty()) {
                    (0, _) => "absent",
                    (_, true) => "uncovered",
                    (_, false) => "covered",
                },
                covered_by,
                runbook: catalog.cell(&key).map(|cell| cell.runbook.to_string()),
            }
        };
        Row {
            component: component.key.to_string(),
            name: component.name.to_string(),
            core: component.core,
            instances: count,
            cells: Cells {
                software: cell(FailureType::Software),
                server: cell(FailureType::Server),
                resource: cell(FailureType::Resource),
            },
        }
    });
    Matrix { platform: platform.key.to_string(), rows: rows.collect() }
}

/// The failure type that a component's signal tells (specification 10, section 4.2).
fn speaks_for(spec: &SignalSpec) -> Option<FailureType> {
    match &*spec.sig {
        "port" | "process" | "http" | "heartbeat" | "probe" | "exit_code" | "service_state" => {
            Some(FailureType::Software)
        }
        "resource" | "fault" | "drbd" | "path" => Some(FailureType::Resource),
        "instance_state" => Some(FailureType::Server),
        _ => None,
    }
}

/// Checks of a host that tell that the whole server is down (section 4.1).
fn host_checks(host: HostId, catalog: &Catalog) -> BTreeSet<String> {
    let row = &catalog.hosts[host.index()];
    let services = row.services.iter().map(|id| catalog.services[id.index()].check);
    let checks = row.check.into_iter().chain(services).map(|id| &catalog.checks[id.index()]);
    let tells = |spec: &SignalSpec| matches!(&*spec.sig, "ping" | "ssh" | "agent" | "bmc" | "power" | "uptime_s");
    checks.filter(|check| check.signals.iter().any(tells)).map(|check| check.name.to_string()).collect()
}

fn print_text(matrix: &Matrix, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}", matrix.platform)?;
    writeln!(out, "  {:<10} {:>3}  {:<14} {:<14} {:<14}", "component", "n", "software", "server", "resource")?;
    let show = |cell: &CellCover| match cell.state {
        "covered" if cell.covered_by.len() == 1 => "1 check".to_owned(),
        "covered" => format!("{} checks", cell.covered_by.len()),
        "absent" => "-".to_owned(),
        state => state.to_uppercase(),
    };
    for Row { component, core, instances, cells, .. } in &matrix.rows {
        let core = if *core { "*" } else { " " };
        let (software, server, resource) = (show(&cells.software), show(&cells.server), show(&cells.resource));
        writeln!(out, "{core} {component:<10} {instances:>3}  {software:<14} {server:<14} {resource:<14}")?;
    }
    writeln!(out, "  * part of the Core; UNCOVERED: no check would tell it")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn cells_are_covered_uncovered_or_absent() {
        let text = "[[cloud]]\nname = \"e\"\nplatform = \"eucalyptus\"\n\
                    [[host]]\nname = \"a\"\ncomponents = [\"eucalyptus/clc\"]\nview = \"agent\"\n\
                    [[host]]\nname = \"b\"\ncomponents = [\"eucalyptus/cc\"]\n";
        let loaded = config::load_text(text, Path::new("t.toml")).unwrap_or_else(|found| panic!("{found}"));
        let matrices = matrices(&loaded.catalog);
        assert!(matrices.iter().all(|matrix| matrix.platform != "hardware"));
        let matrix = matrices.iter().find(|matrix| matrix.platform == "eucalyptus").expect("built in");
        assert_eq!(matrix.rows.len(), 10);
        let row = |key: &str| matrix.rows.iter().find(|row| row.component == key).expect("row");
        let states = |row: &Row| [row.cells.software.state, row.cells.server.state, row.cells.resource.state];
        assert_eq!(states(row("clc")), ["covered", "covered", "covered"]);
        // Nobody looks at b from inside, and a CC's resources show only there.
        assert_eq!(states(row("cc")), ["covered", "covered", "uncovered"]);
        assert_eq!(states(row("nc")), ["absent", "absent", "absent"]);
        assert_eq!(row("clc").cells.resource.covered_by, ["eucalyptus/clc/db", "eucalyptus/clc/disk"]);
        assert_eq!(row("nc").cells.server.runbook.as_deref(), Some("rb-euca-nc-server"));
    }
}
