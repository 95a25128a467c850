//! `systemd_unit`: what the host's service manager says about one unit.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;

use super::look::{Lane, look};
use super::view::Unit;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct SystemdUnit {
    view: Arc<dyn HostView>,
    unit: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the unit; `.service` may be left out.
    pub unit: String,
}

impl Probe for SystemdUnit {
    const KIND: &'static str = "systemd_unit";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/systemd_unit.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        // systemd.unit(5): letters, digits and ":-_.\@", at most 255.
        let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        let unit = config.unit;
        if unit.is_empty() || unit.len() > 255 || unit.starts_with('-') || !unit.chars().all(fits) {
            return Err(BuildError { message: format!("`{unit}` is not the name of a unit") });
        }
        Ok(SystemdUnit { view: Arc::clone(&env.view), unit })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let name = self.unit.clone();
        let unit = look(&self.view, Lane::Kernel, deadline, move |view| view.unit(&name)).await?;
        Ok(observe(&self.unit, unit.as_ref()))
    }
}

fn observe(name: &str, unit: Option<&Unit>) -> Observation {
    let Some(unit) = unit else {
        // No unit is no evidence that the program does not run: it may be started otherwise. So there is no `process` fact.
        return Observation::observed(format!("{name}: this host has no such unit")).fact("load", "not-found");
    };
    let Unit { load, active, sub, .. } = unit;
    let mut seen = Observation::observed(format!("{name} is {active} ({sub})"))
        .fact("unit", name)
        .fact("load", load.as_str())
        .fact("active", active.as_str())
        .fact("sub", sub.as_str());
    if let Some(word) = process_word(active, sub) {
        seen = seen.fact("process", word);
    }
    if !unit.result.is_empty() {
        seen = seen.fact("result", unit.result.as_str());
    }
    // While it runs the last end says nothing; what is being started again ended a moment ago.
    if let Some(code) = unit.exit_code.filter(|_| active != "active") {
        seen = seen.fact("exit_code", i64::from(code));
        seen.text = format!("{}, its main process ended with status {code}", seen.text).into();
    }
    if let Some(restarts) = unit.restarts {
        seen = seen.fact("restarts", restarts).measure("restarts", f64::from(restarts), "");
    }
    match unit.main_pid {
        Some(pid) => seen.fact("main_pid", pid),
        None => seen,
    }
}

/// The signal `process` that a unit's state stands for; `None` for words of a later systemd.
fn process_word(active: &str, sub: &str) -> Option<&'static str> {
    match (active, sub) {
        ("active" | "reloading" | "refreshing", _) => Some("running"),
        // Between two starts, or still starting: there, but not at work.
        ("activating", _) => Some("restarting"),
        ("inactive" | "failed" | "deactivating" | "maintenance", _) => Some("absent"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::SimView;
    use crate::testing::{build, plain_env, run_on, text};

    fn host(active: &str, sub: &str) -> Arc<SimView> {
        let view = SimView::new();
        let unit = Unit {
            name: "x".into(),
            load: "loaded".into(),
            active: active.into(),
            sub: sub.into(),
            main_pid: Some(7),
            exit_code: Some(219),
            restarts: Some(2),
            result: "exit-code".into(),
        };
        view.change(|host| {
            host.units.insert("x.service".into(), unit.clone());
        });
        Arc::new(view)
    }

    #[tokio::test]
    async fn unit_states_stand_for_process_words() {
        for (active, sub, word) in [
            ("active", "running", "running"),
            ("active", "exited", "running"),
            ("reloading", "reload", "running"),
            ("activating", "auto-restart", "restarting"),
            ("activating", "start-pre", "restarting"),
            ("failed", "failed", "absent"),
            ("inactive", "dead", "absent"),
        ] {
            let seen = run_on("systemd_unit", r#"{"unit":"x.service"}"#, host(active, sub)).await.expect("observed");
            assert_eq!(text(&seen, "process"), word, "{active}/{sub}");
            assert_eq!(text(&seen, "active"), active);
        }
    }

    #[tokio::test]
    async fn how_a_process_ended_is_told_only_once_it_has() {
        for (active, sub, code) in
            [("failed", "failed", "219"), ("activating", "auto-restart", "219"), ("active", "running", "")]
        {
            let seen = run_on("systemd_unit", r#"{"unit":"x.service"}"#, host(active, sub)).await.expect("observed");
            assert_eq!((text(&seen, "exit_code").as_str(), text(&seen, "restarts").as_str()), (code, "2"), "{active}");
        }
    }

    #[tokio::test]
    async fn a_unit_that_does_not_exist_says_nothing_about_the_process() {
        let seen =
            run_on("systemd_unit", r#"{"unit":"y.service"}"#, host("active", "running")).await.expect("observed");
        assert_eq!(text(&seen, "load"), "not-found");
        assert!(!seen.facts.contains_key("process"));
    }

    #[test]
    fn names_that_are_options_or_paths_are_refused() {
        for unit in ["", "--all", "a b", "../x", "a;b"] {
            let params = format!(r#"{{"unit":"{unit}"}}"#);
            assert!(build("systemd_unit", &params, &plain_env()).is_err(), "{unit}");
        }
    }
}
