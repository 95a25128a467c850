//! `nvme`: controllers and, of NVMe over fabrics or with two ports, the paths of native multipath with their ANA states, as the
//! kernel has them below /sys/class/nvme-subsystem. Wear and health of a disk are read by `smart`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::model::{Observation, Value};

use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const SUBSYSTEMS: &str = "/sys/class/nvme-subsystem";
/// Subsystems told one by one; the counts are of all.
const TOLD_MAX: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Subsystems that must be there, by NQN or serial number.
    pub subsystems: Vec<String>,
    /// Controllers that each subsystem over fabrics ought to have; else the most that were seen.
    pub controllers: Option<u32>,
}

pub struct Nvme {
    view: Arc<dyn HostView>,
    config: Config,
    /// The most controllers that were seen; one that was given up leaves no trace in the kernel.
    most: Mutex<BTreeMap<String, usize>>,
}

/// One controller: a way to the subsystem.
#[derive(Clone, Debug, Default)]
struct Controller {
    name: String,
    /// `live`, `connecting`, `resetting`, `new`, `deleting`, `dead`.
    state: String,
    /// `pcie`, `tcp`, `rdma`, `fc`.
    transport: String,
    address: String,
    /// Of its paths to name spaces: `optimized`, `non-optimized`, `inaccessible`, `persistent-loss`, `change`.
    ana: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Subsystem {
    nqn: String,
    serial: String,
    model: String,
    controllers: Vec<Controller>,
    wanted: usize,
}

impl Probe for Nvme {
    const KIND: &'static str = "nvme";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/nvme.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.controllers == Some(0) {
            return Err(BuildError { message: "`controllers` is at least 1".into() });
        }
        Ok(Nvme { view: Arc::clone(&env.view), config, most: Mutex::default() })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut seen = look(&self.view, Lane::Kernel, deadline, |view| Ok(subsystems(view))).await?;
        self.count(&mut seen);
        let is_there = |wanted: &&String| seen.iter().any(|one| one.nqn == **wanted || one.serial == **wanted);
        let absent = self.config.subsystems.iter().filter(|wanted| !is_there(wanted)).cloned().collect();
        Ok(observe(&seen, absent))
    }
}

fn subsystems(view: &dyn HostView) -> Vec<Subsystem> {
    let read = |path: String| view.read(&path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let one = |name: &String| {
        let folder = format!("{SUBSYSTEMS}/{name}");
        let parts = view.list(&folder).unwrap_or_default();
        let controllers = parts.iter().filter(|part| is_controller(part));
        let controller = |own: &String| {
            let at = format!("{folder}/{own}");
            let paths = view.list(&at).unwrap_or_default();
            // `nvme0c0n1`: the path by this controller to a name space.
            let ana = paths.iter().filter(|path| path.contains('c') && path.starts_with("nvme"));
            Controller {
                name: own.clone(),
                state: read(format!("{at}/state")),
                transport: read(format!("{at}/transport")),
                address: read(format!("{at}/address")),
                ana: ana.map(|path| read(format!("{at}/{path}/ana_state"))).filter(|word| !word.is_empty()).collect(),
            }
        };
        Subsystem {
            nqn: read(format!("{folder}/subsysnqn")),
            serial: read(format!("{folder}/serial")),
            model: read(format!("{folder}/model")),
            controllers: controllers.map(controller).collect(),
            wanted: 0,
        }
    };
    view.list(SUBSYSTEMS).unwrap_or_default().iter().map(one).collect()
}

/// `nvme0`, and not `nvme0n1`.
fn is_controller(name: &str) -> bool {
    name.strip_prefix("nvme").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Controller {
    /// The kernel sends I/O this way.
    fn is_usable(&self) -> bool {
        let reaches = |word: &String| matches!(word.as_str(), "optimized" | "non-optimized");
        self.state == "live" && (self.ana.is_empty() || self.ana.iter().any(reaches))
    }

    fn is_optimized(&self) -> bool {
        self.is_usable() && (self.ana.is_empty() || self.ana.iter().any(|word| word == "optimized"))
    }

    fn describe(&self) -> String {
        let mut words = vec![self.name.clone(), self.state.clone()];
        words.extend(self.ana.first().cloned());
        if !self.address.is_empty() {
            words.push(format!("({})", self.address));
        }
        words.join(" ")
    }
}

impl Nvme {
    fn count(&self, seen: &mut [Subsystem]) {
        let mut most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        most.retain(|nqn, _| seen.iter().any(|one| one.nqn == *nqn));
        for one in seen {
            let before = most.entry(one.nqn.clone()).or_default();
            *before = (*before).max(one.controllers.len());
            one.wanted = one.controllers.len();
            let configured = self.config.controllers.filter(|_| one.has_paths()).map(|count| count as usize);
            one.wanted = configured.unwrap_or(*before).max(one.controllers.len()).max(1);
        }
    }
}

impl Subsystem {
    /// Over a network, or a disk with two ports.
    fn has_paths(&self) -> bool {
        self.wanted > 1 || self.controllers.iter().any(|one| !matches!(one.transport.as_str(), "pcie" | ""))
    }

    fn active(&self) -> usize {
        self.controllers.iter().filter(|one| one.is_usable()).count()
    }

    fn finding(&self) -> &'static str {
        match self.active() {
            0 if self
                .controllers
                .iter()
                .any(|one| matches!(one.state.as_str(), "connecting" | "resetting" | "new")) =>
            {
                "connecting"
            }
            0 => "no_path",
            active if active < self.wanted => "paths_lost",
            _ if !self.controllers.iter().any(Controller::is_optimized) => "not_optimized",
            _ => "ok",
        }
    }

    fn rank(&self) -> usize {
        const WORDS: [&str; 5] = ["ok", "not_optimized", "paths_lost", "connecting", "no_path"];
        WORDS.iter().position(|word| *word == self.finding()).unwrap_or(WORDS.len())
    }

    fn name(&self) -> &str {
        if self.has_paths() || self.serial.is_empty() { &self.nqn } else { &self.serial }
    }

    fn line(&self) -> String {
        let mut line = format!("{} ({}): {} of {} controllers", self.name(), self.model, self.active(), self.wanted);
        let bad: Vec<String> =
            self.controllers.iter().filter(|one| !one.is_optimized()).map(Controller::describe).collect();
        if !bad.is_empty() {
            line.push_str(&format!(", {}", bad.join(", ")));
        }
        line
    }

    /// A value of the signal `path`.
    fn path(&self) -> Value {
        let active = self.active();
        let mut pairs: Vec<(&str, Value)> =
            vec![("map", self.name().into()), ("active", active.into()), ("total", self.wanted.into())];
        if self.wanted > 1 {
            pairs.push(("controllers_active", active.into()));
        }
        pairs.into_iter().collect()
    }

    /// A value of the signal `smart`: a disk in this machine that is gone.
    fn disk(&self) -> Value {
        [("id", Value::from(self.name())), ("passed", (self.active() > 0).into())].into_iter().collect()
    }
}

fn observe(seen: &[Subsystem], absent: Vec<String>) -> Observation {
    let mut sorted: Vec<&Subsystem> = seen.iter().collect();
    sorted.sort_by(|a, b| b.rank().cmp(&a.rank()).then_with(|| a.nqn.cmp(&b.nqn)));
    let finding = sorted.first().map_or("ok", |one| one.finding());
    let mut headline = match sorted.first() {
        None => "this host has no NVMe subsystem".to_owned(),
        Some(_) if finding == "ok" => format!("all controllers of {} NVMe subsystems are live", seen.len()),
        Some(one) => one.line(),
    };
    if !absent.is_empty() {
        headline = format!("missing: {}; {headline}", absent.join(", "));
    }
    let told = || sorted.iter().take(TOLD_MAX);
    let names = |meant: &dyn Fn(&Subsystem) -> bool| -> Vec<String> {
        seen.iter().filter(|one| meant(one)).map(|one| one.name().to_owned()).collect()
    };
    let gone = |one: &Subsystem| matches!(one.finding(), "no_path" | "connecting");
    let mut out = Observation::observed(headline)
        .long(told().map(|one| one.line()).collect::<Vec<_>>().join("\n"))
        .fact("subsystems", seen.len())
        .fact("missing", absent)
        .fact("finding", finding)
        .fact("fabrics_gone", names(&|one| gone(one) && one.has_paths()))
        .fact("disks_gone", names(&|one| gone(one) && !one.has_paths()))
        .fact("paths_lost", names(&|one| one.finding() == "paths_lost"))
        .fact("not_optimized", names(&|one| one.finding() == "not_optimized"))
        .fact("path", Value::List(told().filter(|one| one.has_paths()).map(|one| one.path()).collect()))
        .fact("disk", Value::List(told().filter(|one| !one.has_paths()).map(|one| one.disk()).collect()));
    for one in told() {
        out = out.measure(&format!("controllers {}", one.name()), one.active() as f64, "");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::SimView;
    use crate::testing::{build, env, number, run_on, target, text, within};

    /// Files as drivers/nvme/host/sysfs.c and multipath.c make them: controller, state, transport, ANA state.
    fn host(controllers: &[(&str, &str, &str, &str)]) -> Arc<SimView> {
        let view = SimView::new();
        let folder = format!("{SUBSYSTEMS}/nvme-subsys0");
        for (file, contents) in [("subsysnqn", "nqn.2014-08.org.example:a"), ("serial", "S1"), ("model", "Array")] {
            view.put(&format!("{folder}/{file}"), &format!("{contents}   \n"));
        }
        view.put(&format!("{folder}/nvme0n1/size"), "1\n");
        for (name, state, transport, ana) in controllers {
            view.put(&format!("{folder}/{name}/state"), &format!("{state}\n"));
            view.put(&format!("{folder}/{name}/transport"), &format!("{transport}\n"));
            view.put(&format!("{folder}/{name}/address"), "traddr=192.0.2.1,trsvcid=4420\n");
            if !ana.is_empty() {
                view.put(&format!("{folder}/{name}/nvme0c0n1/ana_state"), &format!("{ana}\n"));
            }
        }
        Arc::new(view)
    }

    #[tokio::test]
    async fn what_is_left_of_a_subsystem_is_told_apart() {
        let (tcp, good, slow) = ("tcp", "optimized", "non-optimized");
        for (controllers, finding, active) in [
            (&[("nvme0", "live", tcp, good), ("nvme1", "live", tcp, slow)][..], "ok", 2.0),
            (&[("nvme0", "live", tcp, good), ("nvme1", "connecting", tcp, good)], "paths_lost", 1.0),
            (&[("nvme0", "live", tcp, good), ("nvme1", "live", tcp, "inaccessible")], "paths_lost", 1.0),
            (&[("nvme0", "live", tcp, slow), ("nvme1", "live", tcp, slow)], "not_optimized", 2.0),
            (&[("nvme0", "connecting", tcp, good)], "connecting", 0.0),
            (&[("nvme0", "dead", tcp, good)], "no_path", 0.0),
        ] {
            let seen = run_on("nvme", "{}", host(controllers)).await.expect("observed");
            assert_eq!(text(&seen, "finding"), finding, "{controllers:?}");
            let path = &seen.facts["path"].list().expect("a list")[0];
            assert_eq!(path.get("active").and_then(Value::number), Some(active), "{controllers:?}");
        }
    }

    #[tokio::test]
    async fn a_disk_of_this_machine_is_a_disk_and_no_path() {
        for (state, passed, gone) in [("live", true, "[]"), ("dead", false, "[S1]")] {
            let seen = run_on("nvme", "{}", host(&[("nvme0", state, "pcie", "")])).await.expect("observed");
            let disk = &seen.facts["disk"].list().expect("a list")[0];
            assert_eq!(disk.get("passed").and_then(Value::bool), Some(passed));
            assert_eq!((text(&seen, "disks_gone"), text(&seen, "path")), (gone.into(), "[]".into()));
        }
    }

    #[tokio::test]
    async fn a_disk_with_two_ports_has_paths() {
        let both = [("nvme0", "live", "pcie", ""), ("nvme1", "live", "pcie", "")];
        let seen = run_on("nvme", "{}", host(&both)).await.expect("observed");
        let path = &seen.facts["path"].list().expect("a list")[0];
        assert_eq!(path.get("map").and_then(Value::text), Some("nqn.2014-08.org.example:a"));
        assert_eq!((text(&seen, "finding"), text(&seen, "disk")), ("ok".into(), "[]".into()));
    }

    #[tokio::test]
    async fn a_controller_that_was_given_up_is_missed() {
        let view = host(&[("nvme0", "live", "tcp", "optimized"), ("nvme1", "live", "tcp", "optimized")]);
        let probe = build("nvme", "{}", &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
        probe.run(&target("h"), within(5000)).await.expect("observed");
        view.change(|host| host.files.retain(|path, _| !path.contains("/nvme1/")));
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "finding"), "paths_lost");
        let none = run_on("nvme", r#"{"subsystems":["S9"]}"#, Arc::new(SimView::new())).await.expect("observed");
        assert_eq!((number(&none, "subsystems"), text(&none, "missing")), (0.0, "[S9]".into()));
    }
}
