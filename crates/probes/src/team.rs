//! `team`: interfaces of the team driver, by `teamdctl`: links, LACP selection and partner.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Measurement, Observation, Value};
use stentor_wire::hostnet::team::{Port, Team as State, parse};

use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The team: `team0`.
    pub team: String,
    /// Ports that it should have.
    #[serde(default)]
    pub ports: Option<usize>,
    /// Replaces `teamdctl`.
    #[serde(default)]
    pub command: Vec<String>,
}

pub struct Team {
    view: Arc<dyn HostView>,
    tool: Tool,
    team: String,
    ports: Option<usize>,
}

impl Probe for Team {
    const KIND: &'static str = "team";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/team.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        super::nic::checked_name(&config.team)?;
        let tool = Tool::new(&["teamdctl"], &config.command)?;
        Ok(Team { view: Arc::clone(&env.view), tool, team: config.team, ports: config.ports })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let run = self.tool.run(&self.view, &[&self.team, "state", "dump"], deadline).await?;
        let run = run.ok_or_else(|| missing(&self.tool, "package libteam-utils or teamd"))?;
        if run.code != Some(0) {
            return Err(refusal(&self.tool, &run, "it does not tell the state of the team"));
        }
        let state = parse(&run.stdout).map_err(|error| refusal(&self.tool, &run, &error.to_string()))?;
        Ok(observe(&self.team, &state, self.ports))
    }
}

/// Words as those of the probe `bond`, which the signal `bond` knows.
fn find(state: &State, up: usize, wanted: usize) -> &'static str {
    if up == 0 {
        return "down";
    }
    if up < wanted {
        return "slave_down";
    }
    if !state.is_lacp() {
        return "ok";
    }
    let speaks = |port: &&Port| {
        port.partner.as_deref().is_some_and(|partner| partner != "00:00:00:00:00:00")
            && port.state.as_deref() != Some("defaulted")
    };
    if !state.ports.iter().any(|port| speaks(&port)) {
        return "no_partner";
    }
    if state.ports.iter().any(|port| port.selected == Some(false)) {
        return "aggregator_mismatch";
    }
    "ok"
}

fn observe(name: &str, state: &State, wanted: Option<usize>) -> Observation {
    let is_up = |port: &&Port| port.link_up && port.watch_up;
    let up = state.ports.iter().filter(is_up).count();
    let slaves = wanted.unwrap_or(0).max(state.ports.len());
    let down: Vec<String> = state.ports.iter().filter(|port| !is_up(port)).map(|port| port.name.clone()).collect();
    let ports =
        if state.is_lacp() { state.ports.iter().filter(|port| port.selected == Some(true)).count() } else { up };
    let finding = find(state, up, slaves);
    let mut value: Vec<(&str, Value)> = vec![
        ("name", name.into()),
        ("mode", state.runner.as_str().into()),
        ("slaves", slaves.into()),
        ("up", up.into()),
        ("down", down.clone().into()),
        ("ports", ports.into()),
        ("finding", finding.into()),
    ];
    if state.is_lacp() {
        let mut aggregators: Vec<u64> = state.ports.iter().filter_map(|port| port.aggregator).collect();
        aggregators.sort_unstable();
        aggregators.dedup();
        value.push((
            "aggregators",
            aggregators.into_iter().map(|id| Value::Number(id as f64)).collect::<Vec<_>>().into(),
        ));
        if let Some(partner) = state.ports.iter().find_map(|port| port.partner.as_deref()) {
            value.push(("partner", partner.into()));
        }
    }
    if let Some(active) = &state.active_port {
        value.push(("active", active.as_str().into()));
    }
    let why = match finding {
        "ok" => String::new(),
        "no_partner" => "; the other side speaks no LACP".to_owned(),
        "aggregator_mismatch" => "; the ports are not in one aggregator".to_owned(),
        _ if down.is_empty() => "; a port is not in the team".to_owned(),
        _ => format!("; down: {}", down.join(", ")),
    };
    let text = format!("{name} ({}): {up} of {slaves} ports up{why}", state.runner);
    let counted = |label: &str, value: usize| Measurement {
        min: Some(0.0),
        max: Some(slaves as f64),
        ..Measurement::new(&format!("{label} {name}"), value as f64, "")
    };
    let mut seen = Observation::observed(text)
        .fact("bond", value.into_iter().collect::<Value>())
        .fact("finding", finding)
        .fact("bonds", 1usize);
    seen.measurements.push(counted("up", up));
    seen.measurements.push(counted("ports", ports));
    let downs = state.ports.iter().map(|port| port.down_count).fold(0, u64::saturating_add);
    seen.measure(&format!("link_failures {name}"), downs as f64, "c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{run_on, text};
    use crate::view::ToolRun;

    async fn run(code: i32, stdout: &str) -> Result<Observation, ProbeError> {
        let said = ToolRun { code: Some(code), stdout: stdout.to_owned(), stderr: String::new() };
        let tools = [("teamdctl team0 state dump".to_owned(), said)].into();
        let view = SimView::of(SimHost { tools, ..SimHost::default() });
        run_on("team", r#"{"team":"team0"}"#, Arc::new(view)).await
    }

    fn port(name: &str, up: bool, runner: &str) -> String {
        format!(r#""{name}":{{"link":{{"up":{up},"speed":1000,"duplex":"full"}},"runner":{{{runner}}}}}"#)
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_team_has_the_words_of_a_bond() {
        let good = r#""selected":true,"state":"current","partner_lacpdu_info":{"system":"52:54:00:00:00:02"}"#;
        let lone = r#""selected":false,"state":"defaulted","partner_lacpdu_info":{"system":"00:00:00:00:00:00"}"#;
        for (runner, ports, finding) in [
            ("lacp", [port("eth0", true, good), port("eth1", true, good)], "ok"),
            ("lacp", [port("eth0", true, good), port("eth1", false, good)], "slave_down"),
            ("lacp", [port("eth0", true, good), port("eth1", true, lone)], "aggregator_mismatch"),
            ("lacp", [port("eth0", true, lone), port("eth1", true, lone)], "no_partner"),
            ("activebackup", [port("eth0", true, ""), port("eth1", true, "")], "ok"),
            ("activebackup", [port("eth0", false, ""), port("eth1", false, "")], "down"),
        ] {
            let said = format!(r#"{{"setup":{{"runner_name":"{runner}"}},"ports":{{{}}}}}"#, ports.join(","));
            let seen = run(0, &said).await.expect("observed");
            assert_eq!(text(&seen, "finding"), finding, "{said}");
        }
        assert!(run(1, "").await.is_err() && run(0, "no").await.is_err());
    }
}
