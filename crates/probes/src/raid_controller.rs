//! `raid_controller`: hardware RAID by the vendors' tools (storcli, perccli, ssacli, arcconf, MegaCli).

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::raid::{Array, Controller, Disk, DiskState, arcconf, megacli, ssacli, storcli};

use super::tool::{Tool, refusal};
use super::view::ToolRun;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Controllers that arcconf is asked for one by one.
const ARCCONF_MAX: u32 = 16;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whose tool; else all that are installed.
    pub tool: Option<Kind>,
    /// Replaces the tool, with `sudo -n` before it for instance; needs `tool`.
    pub command: Vec<String>,
}

/// Families of tools that speak alike.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// And perccli.
    Storcli,
    /// And hpssacli, hpacucli.
    Ssacli,
    Arcconf,
    Megacli,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Storcli, Kind::Ssacli, Kind::Arcconf, Kind::Megacli];

    fn names(self) -> &'static [&'static str] {
        match self {
            Kind::Storcli => &["storcli", "storcli64", "storcli2", "perccli", "perccli64", "perccli2"],
            Kind::Ssacli => &["ssacli", "hpssacli", "hpacucli"],
            Kind::Arcconf => &["arcconf"],
            Kind::Megacli => &["megacli", "MegaCli", "MegaCli64"],
        }
    }
}

pub struct RaidController {
    view: Arc<dyn HostView>,
    tools: Vec<(Kind, Tool)>,
}

impl Probe for RaidController {
    const KIND: &'static str = "raid_controller";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/raid_controller.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.tool.is_none() && !config.command.is_empty() {
            return Err(BuildError { message: "`command` needs `tool`: storcli, ssacli, arcconf or megacli".into() });
        }
        let kinds = config.tool.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        let tools = kinds.into_iter().map(|kind| Ok((kind, Tool::new(kind.names(), &config.command)?)));
        Ok(RaidController { view: Arc::clone(&env.view), tools: tools.collect::<Result<_, BuildError>>()? })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut all: Option<Vec<Controller>> = None;
        for (kind, tool) in &self.tools {
            // Both of LSI's tools tell of the same controllers.
            if *kind == Kind::Megacli && all.as_ref().is_some_and(|found| !found.is_empty()) {
                continue;
            }
            let asked = Asked { view: &self.view, tool, deadline };
            let found = match kind {
                Kind::Storcli => asked.storcli().await?,
                Kind::Ssacli => asked.ssacli().await?,
                Kind::Arcconf => asked.arcconf().await?,
                Kind::Megacli => asked.megacli().await?,
            };
            if let Some(found) = found {
                all.get_or_insert_default().extend(found);
            }
        }
        let names: Vec<&str> = self.tools.iter().map(|(_, tool)| tool.name()).collect();
        let absent = || ProbeError::Failed(format!("none of {} is installed on this host", names.join(", ")));
        Ok(observe(&all.ok_or_else(absent)?))
    }
}

/// One tool in one run. `None` = it is not installed.
struct Asked<'p> {
    view: &'p Arc<dyn HostView>,
    tool: &'p Tool,
    deadline: Deadline,
}

impl Asked<'_> {
    async fn run(&self, args: &[&str]) -> Result<Option<ToolRun>, ProbeError> {
        self.tool.run(self.view, args, self.deadline).await
    }

    /// The text of a further command; a tool that refuses it has nothing to add.
    async fn text(&self, args: &[&str]) -> Result<String, ProbeError> {
        Ok(self.run(args).await?.map(|run| run.stdout).unwrap_or_default())
    }

    async fn storcli(&self) -> Result<Option<Vec<Controller>>, ProbeError> {
        let Some(run) = self.run(&["/call", "show", "J"]).await? else { return Ok(None) };
        let mut found = storcli::parse(&run.stdout).map_err(|e| refusal(self.tool, &run, &e.to_string()))?;
        if rebuilds(&found) {
            let text = self.text(&["/call/eall/sall", "show", "rebuild", "J"]).await?;
            storcli::add_rebuilds(&text, &mut found);
        }
        Ok(Some(found))
    }

    async fn ssacli(&self) -> Result<Option<Vec<Controller>>, ProbeError> {
        let Some(run) = self.run(&["ctrl", "all", "show", "config"]).await? else { return Ok(None) };
        let mut found = ssacli::parse_config(&run.stdout);
        let said = format!("{} {}", run.stdout, run.stderr).to_lowercase();
        if found.is_empty() && !said.contains("no controllers detected") {
            return Err(refusal(self.tool, &run, "it lists no controller"));
        }
        ssacli::add_status(&self.text(&["ctrl", "all", "show", "status"]).await?, &mut found);
        Ok(Some(found))
    }

    async fn arcconf(&self) -> Result<Option<Vec<Controller>>, ProbeError> {
        let Some(run) = self.run(&["getversion"]).await? else { return Ok(None) };
        let Some(count) = arcconf::controllers(&run.stdout) else {
            return Err(refusal(self.tool, &run, "it does not say how many controllers there are"));
        };
        let mut found = Vec::new();
        for number in 1..=count.min(ARCCONF_MAX) {
            let number = number.to_string();
            let config = self.text(&["getconfig", &number, "AL"]).await?;
            if !config.contains("Controller Status") {
                return Err(refusal(self.tool, &run, &format!("it tells nothing of controller {number}")));
            }
            let status = self.text(&["getstatus", &number]).await?;
            found.push(arcconf::parse(&number, &config, &status));
        }
        Ok(Some(found))
    }

    async fn megacli(&self) -> Result<Option<Vec<Controller>>, ProbeError> {
        let Some(run) = self.run(&["-LDInfo", "-Lall", "-aALL", "-NoLog"]).await? else { return Ok(None) };
        let disks = self.text(&["-PDList", "-aALL", "-NoLog"]).await?;
        let battery = self.text(&["-AdpBbuCmd", "-GetBbuStatus", "-aALL", "-NoLog"]).await?;
        let mut found = megacli::parse(&run.stdout, &disks, &battery);
        if found.is_empty() && !run.stdout.contains("Exit Code: 0x00") {
            return Err(refusal(self.tool, &run, "it lists no adapter"));
        }
        let filling: Vec<String> = found
            .iter()
            .flat_map(|one| one.with_state(DiskState::Rebuilding))
            .filter(|disk| disk.id.chars().all(|c| c.is_ascii_digit() || c == ':'))
            .map(|disk| disk.id.clone())
            .collect();
        if !filling.is_empty() {
            let places = format!("[{}]", filling.join(","));
            let text = self.text(&["-PDRbld", "-ShowProg", "-PhysDrv", &places, "-aALL", "-NoLog"]).await?;
            megacli::add_rebuilds(&text, &mut found);
        }
        Ok(Some(found))
    }
}

fn rebuilds(found: &[Controller]) -> bool {
    found.iter().any(|one| one.with_state(DiskState::Rebuilding).next().is_some())
}

/// From good to bad.
fn rank(array: &Array) -> usize {
    const WORDS: [&str; 6] = ["Optl", "Pdgd", "Rbld", "Dgrd", "Unknown", "OfLn"];
    WORDS.iter().position(|word| *word == array.word()).unwrap_or(WORDS.len())
}

fn is_gone(disk: &Disk) -> bool {
    matches!(disk.state, DiskState::Failed | DiskState::Missing)
}

fn name(one: &Controller, id: &str) -> String {
    format!("c{}/{id}", one.id)
}

/// A value of the signal `raid`.
fn value(one: &Controller, array: &Array) -> Value {
    let of = |meant: &dyn Fn(&Disk) -> bool| -> Vec<String> {
        let own = one.disks.iter().filter(|disk| disk.group == array.group && meant(disk));
        own.map(|disk| disk.id.clone()).collect()
    };
    let mut pairs: Vec<(&str, Value)> = vec![
        ("vd", name(one, &array.id).into()),
        ("level", array.level.word().into()),
        ("state", array.word().into()),
        ("pd_failed", of(&is_gone).into()),
        ("hotspare", one.spares().into()),
    ];
    let filling = of(&|disk| disk.state == DiskState::Rebuilding);
    // A copy back to the place of a replaced disk fills one, too, and the array is well meanwhile.
    if !filling.is_empty() && array.word() == "Rbld" {
        pairs.push(("rebuilding", filling.into()));
    }
    if let Some(pct) = array.progress_pct {
        pairs.push(("progress", pct.into()));
    }
    if let Some(battery) = one.battery.as_ref().filter(|battery| !battery.is_well) {
        pairs.push(("bbu", battery.state.as_str().into()));
    }
    pairs.into_iter().collect()
}

fn line(one: &Controller, array: &Array) -> String {
    let mut line = format!("{} {}: {}", name(one, &array.id), array.level.word(), array.word());
    match array.may_fail() {
        0 => line.push_str(", no disk more may fail"),
        1 => line.push_str(", 1 disk more may fail"),
        count => line.push_str(&format!(", {count} disks more may fail")),
    }
    if let Some(pct) = array.progress_pct {
        line.push_str(&format!(", {pct} % rebuilt"));
    }
    if array.word() == "Unknown" {
        line.push_str(&format!(" (the tool says `{}`)", array.raw_state));
    }
    line
}

fn observe(found: &[Controller]) -> Observation {
    let arrays: Vec<(&Controller, &Array)> =
        found.iter().flat_map(|one| one.arrays.iter().map(move |array| (one, array))).collect();
    let worst = arrays.iter().rev().max_by_key(|(_, array)| rank(array));
    let disks = |meant: &dyn Fn(&Disk) -> bool| -> Vec<String> {
        let all = found.iter().flat_map(|one| one.disks.iter().map(move |disk| (one, disk)));
        all.filter(|(_, disk)| meant(disk)).map(|(one, disk)| name(one, &disk.id)).collect()
    };
    let (gone, predicted) = (disks(&is_gone), disks(&|disk| disk.state == DiskState::Predicted));
    let foreign = disks(&|disk| disk.state == DiskState::Foreign);
    let complaints: Vec<String> =
        found.iter().filter_map(|one| Some(format!("controller {}: {}", one.id, one.complaint.as_ref()?))).collect();
    let batteries: Vec<String> = found
        .iter()
        .filter_map(|one| Some((one, one.battery.as_ref().filter(|battery| !battery.is_well)?)))
        .map(|(one, battery)| format!("controller {}: {}", one.id, battery.state))
        .collect();
    let mut parts = Vec::new();
    match worst {
        Some((one, array)) => parts.push(line(one, array)),
        None if found.is_empty() => parts.push("this host has no RAID controller".to_owned()),
        None => parts.push(format!("{} controllers without an array", found.len())),
    }
    for (what, list) in [
        ("disks gone", &gone),
        ("disks about to fail", &predicted),
        ("foreign disks", &foreign),
        ("battery", &batteries),
        ("status", &complaints),
    ] {
        if !list.is_empty() {
            parts.push(format!("{what}: {}", list.join(", ")));
        }
    }
    let long: Vec<String> = arrays.iter().map(|(one, array)| line(one, array)).collect();
    let count = |words: &[&str]| arrays.iter().filter(|(_, array)| words.contains(&array.word())).count();
    let mut seen = Observation::observed(parts.join("; "))
        .long(long.join("\n"))
        .fact("controllers", found.len())
        .fact("arrays", arrays.len())
        .fact("degraded", count(&["Pdgd", "Rbld", "Dgrd"]))
        .fact("failed", count(&["OfLn"]))
        .fact("state", worst.map_or("none", |(_, array)| array.word()))
        .fact("disks_gone", gone)
        .fact("predicted", predicted)
        .fact("foreign", foreign)
        .fact("battery_faults", batteries)
        .fact("complaints", complaints)
        .fact("hotspares", found.iter().map(Controller::spares).sum::<usize>())
        .fact("raid", Value::List(arrays.iter().map(|(one, array)| value(one, array)).collect()));
    if let Some((_, array)) = worst {
        seen = seen.fact("may_fail", array.may_fail());
    }
    for (one, array) in &arrays {
        let id = name(one, &array.id);
        seen = seen.measure(&format!("may_fail {id}"), f64::from(array.may_fail()), "");
        if let Some(pct) = array.progress_pct {
            seen = seen.measure(&format!("progress {id}"), pct, "%");
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, number, plain_env, run_on, text};

    fn host(tools: &[(&str, &str)]) -> Arc<SimView> {
        let said = |text: &str| ToolRun { code: Some(0), stdout: text.into(), stderr: String::new() };
        let tools = tools.iter().map(|(line, text)| ((*line).to_owned(), said(text))).collect();
        Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))
    }

    const SHOW: &str = "storcli /call show J";
    const REBUILDING: &str = r#"StorCLI 7.28
        {"Controllers":[{"Command Status":{"Controller":0,"Status":"Success"},"Response Data":{"Product Name":"M",
        "VD LIST":[{"DG/VD":"0/0","TYPE":"RAID1","State":"Dgrd"},{"DG/VD":"1/1","TYPE":"RAID6","State":"Optl"}],
        "PD LIST":[{"EID:Slt":"252:0","State":"Onln","DG":0},{"EID:Slt":"252:1","State":"Rbld","DG":0},{"EID:Slt":"252:2","State":"UBad","DG":"-"}],
        "BBU_Info":[{"State":"Failed"}]}}]}"#;

    #[tokio::test]
    async fn a_rebuild_tells_its_progress_and_what_else_is_wrong() {
        let progress = r#"{"Controllers":[{"Response Data":[{"Drive-ID":"/c0/e252/s1","Progress%":42}]}]}"#;
        let view = host(&[(SHOW, REBUILDING), ("storcli /call/eall/sall show rebuild J", progress)]);
        let seen = run_on("raid_controller", "{}", view).await.expect("observed");
        assert!(
            seen.text.starts_with("c0/0 RAID1: Rbld, no disk more may fail, 42 % rebuilt; disks gone: c0/252:2"),
            "{}",
            seen.text
        );
        assert_eq!((text(&seen, "state"), number(&seen, "may_fail")), ("Rbld".into(), 0.0));
        assert_eq!(text(&seen, "battery_faults"), "[controller 0: Failed]");
        let raid = seen.facts["raid"].list().expect("a list");
        assert_eq!(raid[0].get("progress").and_then(Value::number), Some(42.0));
        assert_eq!(raid[0].get("rebuilding").map(ToString::to_string).as_deref(), Some("[252:1]"));
        assert_eq!(raid[1].get("bbu").and_then(Value::text), Some("Failed"));
    }

    #[tokio::test]
    async fn each_family_of_tools_is_asked_its_way() {
        let config =
            "Smart Array P1 in Slot 3\n   array A\n      logicaldrive 1 (1 GB, RAID 5, Interim Recovery Mode)\n";
        let seen =
            run_on("raid_controller", "{}", host(&[("ssacli ctrl all show config", config)])).await.expect("observed");
        assert_eq!(
            (text(&seen, "state"), seen.text.as_ref()),
            ("Dgrd".into(), "c3/1 RAID5: Dgrd, no disk more may fail")
        );
        let config = "Controller Information\nController Status : Optimal\nLogical Device number 0\nRAID level : 5\nStatus of Logical Device : Failed\n";
        let tools = [("arcconf getversion", "Controllers found: 1\n"), ("arcconf getconfig 1 AL", config)];
        assert_eq!(text(&run_on("raid_controller", "{}", host(&tools)).await.expect("observed"), "state"), "OfLn");
        let info = "Adapter 0 -- Virtual Drive Information:\nVirtual Drive: 0 (Target Id: 0)\nRAID Level : Primary-1, Secondary-0\nState : Optimal\n";
        let tools = [("megacli -LDInfo -Lall -aALL -NoLog", info)];
        assert_eq!(text(&run_on("raid_controller", "{}", host(&tools)).await.expect("observed"), "state"), "Optl");
    }

    #[tokio::test]
    async fn a_tool_that_says_nothing_useful_is_never_health() {
        for (line, said, why) in [
            (SHOW, "sh: bad", "no JSON"),
            (SHOW, "{\"Controllers\":[{\"a\": 1,5}]}", "decimal comma"),
            ("ssacli ctrl all show config", "Error: You need to have administrator rights", "lists no controller"),
            ("arcconf getversion", "boom", "how many controllers"),
            ("arcconf getversion", "Controllers found: 1", "nothing of controller 1"),
            ("megacli -LDInfo -Lall -aALL -NoLog", "Exit Code: 0x01", "no adapter"),
        ] {
            let seen = run_on("raid_controller", "{}", host(&[(line, said)])).await;
            assert!(seen.as_ref().is_err_and(|error| error.to_string().contains(why)), "{line}: {seen:?}");
        }
        let none = run_on("raid_controller", "{}", host(&[])).await.expect_err("no tool");
        assert!(none.to_string().contains("storcli, ssacli, arcconf, megacli"), "{none}");
        let empty = host(&[("ssacli ctrl all show config", "Error: No controllers detected.")]);
        assert_eq!(number(&run_on("raid_controller", "{}", empty).await.expect("observed"), "controllers"), 0.0);
    }

    #[test]
    fn a_command_needs_to_know_whose_it_is() {
        assert!(build("raid_controller", r#"{"command":["sudo","-n","/x"]}"#, &plain_env()).is_err());
        assert!(build("raid_controller", r#"{"tool":"storcli","command":["sudo","-n","/x"]}"#, &plain_env()).is_ok());
        assert!(build("raid_controller", r#"{"tool":"nonsense"}"#, &plain_env()).is_err());
    }
}
