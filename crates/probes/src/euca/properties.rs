//! `euca_properties`: run-time properties of a Eucalyptus cloud against what they must be and against a saved list.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::euca::parse_properties;

use super::services::tool;
use crate::look::{Lane, from_io, look};
use crate::tool::{Tool, missing, refusal};
use crate::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Names of differences that the text shows.
const SHOWN_MAX: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub prefix: Vec<String>,
    pub region: Option<String>,
    /// What properties must be.
    pub expect: BTreeMap<String, String>,
    /// A saved list (`euctl > properties`), as the backup has it.
    pub saved: Option<String>,
    /// Properties, by the beginning of their names, that may differ from the saved list.
    pub ignore: Vec<String>,
}

pub struct EucaProperties {
    view: Arc<dyn HostView>,
    config: Config,
    euctl: Tool,
    old: Tool,
}

impl Probe for EucaProperties {
    const KIND: &'static str = "euca_properties";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../../docs/probes/euca_properties.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.saved.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(BuildError { message: "probe `euca_properties`: `saved` is an absolute path".into() });
        }
        Ok(EucaProperties {
            view: Arc::clone(&env.view),
            euctl: tool(&["euctl"], &config.prefix)?,
            old: tool(&["euca-describe-properties"], &config.prefix)?,
            config,
        })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let region: Vec<&str> = self.config.region.iter().flat_map(|region| ["--region", region.as_str()]).collect();
        let (tool, run) = match self.euctl.run(&self.view, &region, deadline).await? {
            Some(run) => (&self.euctl, run),
            None => match self.old.run(&self.view, &[], deadline).await? {
                Some(run) => (&self.old, run),
                None => return Err(missing(&self.euctl, "eucalyptus-admin-tools, on the host of the CLC")),
            },
        };
        let properties = parse_properties(&run.stdout);
        if run.code != Some(0) || properties.is_empty() {
            return Err(refusal(tool, &run, "it lists no property"));
        }
        let saved = match self.config.saved.clone() {
            None => None,
            Some(path) => {
                let read = look(&self.view, Lane::FileSystems, deadline, move |view| Ok(view.read(&path))).await?;
                Some(parse_properties(&read.map_err(|error| from_io(&error))?))
            }
        };
        Ok(self.observe(&properties, saved.as_ref()))
    }
}

impl EucaProperties {
    fn observe(&self, now: &BTreeMap<String, String>, saved: Option<&BTreeMap<String, String>>) -> Observation {
        let value = |name: &str| now.get(name).map_or("", String::as_str);
        let wrong: Vec<String> = self
            .config
            .expect
            .iter()
            .filter(|(name, wanted)| value(name) != **wanted)
            .map(|(name, _)| name.clone())
            .collect();
        // What the documentation names as never configured: a storage controller without backend, workers without image.
        let needed = |name: &str| name.ends_with(".storage.blockstoragemanager") || name.ends_with(".worker.image");
        let unset: Vec<String> = now
            .iter()
            .filter(|(name, value)| needed(name) && ["", "unset", "NULL", "null"].contains(&value.as_str()))
            .map(|(name, _)| name.clone())
            .collect();
        let drift = saved.map(|saved| self.drift(now, saved));
        let shown = |names: &[String]| names.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
        let text = match (wrong.as_slice(), drift.as_deref()) {
            ([], None | Some([])) => format!("{} properties", now.len()),
            ([], Some(drift)) => format!("{} properties differ from the saved list: {}", drift.len(), shown(drift)),
            (wrong, _) => format!("{} properties are not what they must be: {}", wrong.len(), shown(wrong)),
        };
        let seen = Observation::observed(text)
            .long(drift.as_deref().unwrap_or_default().join("\n"))
            .fact("properties", now.len())
            .fact("wrong", wrong)
            .fact("unset", unset)
            .measure("properties", now.len() as f64, "");
        match drift {
            Some(drift) => seen.fact("drift", drift),
            None => seen,
        }
    }

    /// Names that are changed, new or gone; values stay where they are, for some are secret.
    fn drift(&self, now: &BTreeMap<String, String>, saved: &BTreeMap<String, String>) -> Vec<String> {
        let ignored = |name: &str| self.config.ignore.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let mut names: Vec<&String> = now.keys().chain(saved.keys()).filter(|name| !ignored(name)).collect();
        names.sort();
        names.dedup();
        let told = names.into_iter().filter_map(|name| match (now.get(name), saved.get(name)) {
            (Some(is), Some(was)) if is == was => None,
            (Some(_), Some(_)) => Some(format!("{name} changed")),
            (Some(_), None) => Some(format!("{name} is new")),
            (None, _) => Some(format!("{name} is gone")),
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{run_on, text};
    use crate::view::ToolRun;

    const NOW: &str = "cloud.vmstate.instance_timeout = 43200\none.storage.blockstoragemanager = \nregion.name = a\n";
    const SAVED: &str = "PROPERTY\tcloud.vmstate.instance_timeout\t720\nPROPERTY\tone.storage.blockstoragemanager\t\n\
        PROPERTY\tdns.enabled\ttrue\n";

    fn host(code: i32, stdout: &str) -> Arc<SimView> {
        let run = ToolRun { code: Some(code), stdout: stdout.into(), stderr: String::new() };
        let view = SimView::of(SimHost { tools: [("euctl".to_owned(), run)].into(), ..SimHost::default() });
        view.put("/backup/properties", SAVED);
        Arc::new(view)
    }

    #[tokio::test]
    async fn drift_from_the_saved_list_is_told_without_values() {
        let seen =
            run_on("euca_properties", r#"{"saved":"/backup/properties"}"#, host(0, NOW)).await.expect("observed");
        let told = "[cloud.vmstate.instance_timeout changed, dns.enabled is gone, region.name is new]";
        assert_eq!(text(&seen, "drift"), told);
        assert!(!seen.text.contains("43200") && !seen.long_text.contains("43200"));
        let params = r#"{"saved":"/backup/properties","ignore":["cloud.vmstate.","dns.","region."]}"#;
        let seen = run_on("euca_properties", params, host(0, NOW)).await.expect("observed");
        assert_eq!(text(&seen, "drift"), "[]");
    }

    #[tokio::test]
    async fn what_must_be_and_what_was_never_set() {
        let params = r#"{"expect":{"cloud.vmstate.instance_timeout":"720","region.name":"a"}}"#;
        let seen = run_on("euca_properties", params, host(0, NOW)).await.expect("observed");
        assert_eq!(text(&seen, "wrong"), "[cloud.vmstate.instance_timeout]");
        assert_eq!(text(&seen, "unset"), "[one.storage.blockstoragemanager]");
        assert!(!seen.facts.contains_key("drift"), "without a saved list there is no drift to know of");
    }

    #[tokio::test]
    async fn half_an_answer_is_no_answer() {
        assert!(run_on("euca_properties", "{}", host(1, NOW)).await.is_err());
        assert!(run_on("euca_properties", "{}", host(0, "error: AuthFailure\n")).await.is_err());
        let gone = run_on("euca_properties", r#"{"saved":"/nowhere"}"#, host(0, NOW)).await;
        assert!(gone.is_err(), "a list that cannot be read is not an empty one: {gone:?}");
    }
}
