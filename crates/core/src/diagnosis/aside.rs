//! What the cloud says besides of a host: whether its guests would be started elsewhere (`healing`), and of what it has
//! alerted (`alert`). Neither makes a verdict or a confidence: the first raises the severity, both stand in the evidence.

use super::draft::Draft;
use super::signal::Signal;
use super::verdict::{Class, Severity};
use super::world::World;

pub(super) struct Aside<'a> {
    /// Says that nobody would start the guests of this host elsewhere.
    unhealed: Option<&'a Signal>,
    alerts: Vec<&'a Signal>,
}

/// What is said of the host of this verdict, where it is a failure or comes before one.
pub(super) fn heard<'a>(world: &'a World, draft: &Draft<'a>) -> Aside<'a> {
    let nothing = Aside { unhealed: None, alerts: Vec::new() };
    let Some(host) = draft.target.host.as_deref().and_then(|name| world.host(name)) else { return nothing };
    if !may_take_guests_along(draft.class) {
        return nothing;
    }
    let topology = &world.topology;
    let comps = &world.comps[world.hosts[host].comps.clone()];
    let carries = comps.iter().any(|comp| topology.carries_guests(&comp.kind));
    let is_unhealed = |signal: &&Signal| {
        signal.value.text().is_some_and(|word| topology.knowledge.unhealed.iter().any(|known| **known == *word))
    };
    let healing = comps.iter().filter_map(|comp| comp.facts.newest("healing"));
    let unhealed = healing.filter(|_| carries).find(is_unhealed);
    Aside { unhealed, alerts: comps.iter().flat_map(|comp| comp.facts.all("alert")).collect() }
}

const fn may_take_guests_along(class: Class) -> bool {
    match class {
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::ResourceAtRisk
        | Class::RedundancyLost
        | Class::Network => true,
        Class::PowerEvent
        | Class::SiteDown
        | Class::SplitBrain
        | Class::NetworkPath
        | Class::MonitorIsolated
        | Class::AdminStopped
        | Class::Starting
        | Class::Flapping
        | Class::Unknown => false,
    }
}

impl<'a> Aside<'a> {
    /// A warning is one because others carry on. Nobody does here. It stays below critical: users notice nothing yet.
    pub fn weigh(&self, severity: Severity) -> Severity {
        if self.unhealed.is_some() && severity == Severity::Warning { Severity::Major } else { severity }
    }

    /// Evidence with what is said besides.
    pub fn beside(&self, support: &[&'a Signal]) -> Vec<&'a Signal> {
        support.iter().copied().chain(self.unhealed).chain(self.alerts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::diagnosis::{Class, Severity, Signal, Timing, Topology, Verdict, diagnose};
    use crate::{Span, Timestamp};

    const AT: Timestamp = Timestamp::from_secs(1_795_226_531);

    /// Three alike; one is enough.
    fn cloud(unhealed: &[&str]) -> Topology {
        let many = json!({"many": true, "min": 1});
        let cloud = json!({
            "platform": "farm",
            "zones": {"z1": ["n1", "n2", "n3", "d1"]},
            "hosts": {"n1": ["node"], "n2": ["node"], "n3": ["node"], "d1": ["desk"], "d2": ["desk"]},
            "knowledge": {"order": ["node", "desk"], "guests": ["node"], "unhealed": unhealed,
                "redundancy": {"node": many, "desk": many}, "runbooks": {"node": {"software": "rb"}}},
        });
        serde_json::from_value(cloud).expect("a topology")
    }

    /// `host/component sig=value`, as JSON values.
    fn signals(lines: &[(&str, &str, serde_json::Value)]) -> Vec<Signal> {
        let one = |(at, sig, value): &(&str, &str, serde_json::Value)| {
            let (host, component) = at.split_once('/').map_or((*at, None), |(host, component)| (host, Some(component)));
            Signal {
                host: Some(Arc::from(host)),
                component: component.map(Arc::from),
                sig: Arc::from(*sig),
                value: serde_json::from_value(value.clone()).expect("a value"),
                vantage: None,
                observed_at: AT,
                changed_at: AT - Span::from_hours(1),
                every: Span::from_secs(10),
            }
        };
        lines.iter().map(one).collect()
    }

    /// Whose component on the first host is gone, and what is said besides of that host.
    fn gone(kind: &str, unhealed: &[&str], besides: &[(&str, serde_json::Value)]) -> Vec<Verdict> {
        let (first, second) = if kind == "node" { ("n1", "n2") } else { ("d1", "d2") };
        let (at, other) = (format!("{first}/{kind}"), format!("{second}/{kind}"));
        let mut lines = vec![
            (first, "ping", json!("ok")),
            (second, "ping", json!("ok")),
            (&*at, "process", json!("absent")),
            (&*other, "process", json!("running")),
        ];
        lines.extend(besides.iter().map(|(sig, value)| (&*at, *sig, value.clone())));
        diagnose(&cloud(unhealed), &signals(&lines), AT, &Timing::default()).verdicts
    }

    #[test]
    fn a_host_that_nobody_heals_weighs_more_and_is_no_surer() {
        let plain = gone("node", &["out", "off"], &[]);
        assert_eq!((plain.len(), plain[0].class, plain[0].severity), (1, Class::SoftwareDown, Severity::Warning));
        for (kind, unhealed, word, severity) in [
            ("node", &["out", "off"][..], "out", Severity::Major),
            ("node", &["out", "off"], "off", Severity::Major),
            ("node", &["out", "off"], "ok", Severity::Warning),
            ("node", &["out"], "off", Severity::Warning),
            // A pack that says nothing of it.
            ("node", &[], "out", Severity::Warning),
            // Nobody's guests are there.
            ("desk", &["out", "off"], "out", Severity::Warning),
        ] {
            let told = gone(kind, unhealed, &[("healing", json!(word))]);
            assert_eq!((told.len(), told[0].severity), (1, severity), "{kind} {unhealed:?} {word}: {told:?}");
            assert_eq!(told[0].confidence, plain[0].confidence, "{told:?}");
            let shown = told[0].evidence.iter().filter(|fact| fact.sig == "healing").count();
            assert!(shown <= 1 && (severity == Severity::Warning || shown == 1), "{told:?}");
        }
    }

    #[test]
    fn an_alert_is_shown_and_changes_nothing() {
        let (plain, sentence) = (gone("node", &[], &[]), "HOST: Host is down, name: n1");
        let told = gone("node", &[], &[("alert", json!([sentence]))]);
        let same = |verdict: &Verdict| (verdict.class, verdict.severity, verdict.confidence, verdict.since);
        assert_eq!(told.iter().map(same).collect::<Vec<_>>(), plain.iter().map(same).collect::<Vec<_>>());
        let shown: Vec<&str> = told[0].evidence.iter().filter(|fact| fact.sig == "alert").map(|f| &*f.value).collect();
        assert_eq!(shown, [sentence]);
        // Of a host that is well it is no evidence of anything, and of a silent one no sign of life.
        let well =
            [("n1", "ping", json!("ok")), ("n1/node", "process", json!("running")), ("n1/node", "alert", json!(["x"]))];
        assert_eq!(diagnose(&cloud(&[]), &signals(&well), AT, &Timing::default()).verdicts, []);
        let dead = [
            ("n1", "ping", json!("fail")),
            ("n1", "ssh", json!("timeout")),
            ("n1", "power", json!("off")),
            ("n1/node", "alert", json!([sentence])),
        ];
        let told = diagnose(&cloud(&[]), &signals(&dead), AT, &Timing::default()).verdicts;
        assert!(told.len() == 1 && told[0].class == Class::ServerDown, "{told:?}");
        assert!(told[0].evidence.iter().any(|fact| fact.sig == "alert"), "{told:?}");
    }
}
