//! `euca_services`: the controller's view of a Eucalyptus cloud: the state of every service and node, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::euca::{
    Event, Node, Service, join_hosts, parse_events, parse_nodes, parse_old_services, parse_services,
};

use crate::tool::{Tool, missing, refusal};
use crate::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const PACKAGE: &str = "eucalyptus-admin-tools, on the host of the CLC";
/// Newest events of services that are not in service, in the long text.
const EVENTS_MAX: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Before each tool: `["sudo", "-n"]`, `["env", "AWS_DEFAULT_REGION=localhost"]`.
    pub prefix: Vec<String>,
    /// `--region`, where the tools need it: `localhost`.
    pub region: Option<String>,
    /// Also count the instances of each node; asks the compute service.
    pub instances: bool,
}

pub struct EucaServices {
    view: Arc<dyn HostView>,
    config: Config,
    services: Tool,
    old_services: Tool,
    events: Tool,
    nodes: Tool,
}

/// A tool, with what must stand before its name.
pub(super) fn tool(name: &'static [&'static str], prefix: &[String]) -> Result<Tool, BuildError> {
    let command: Vec<String> = match (prefix, name.first()) {
        ([], _) | (_, None) => Vec::new(),
        (prefix, Some(name)) => prefix.iter().cloned().chain([(*name).to_owned()]).collect(),
    };
    Tool::new(name, &command)
}

impl Probe for EucaServices {
    const KIND: &'static str = "euca_services";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../../docs/probes/euca_services.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(EucaServices {
            view: Arc::clone(&env.view),
            services: tool(&["euserv-describe-services"], &config.prefix)?,
            old_services: tool(&["euca-describe-services"], &config.prefix)?,
            events: tool(&["euserv-describe-events"], &config.prefix)?,
            nodes: tool(&["euserv-describe-node-controllers"], &config.prefix)?,
            config,
        })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let services = self.services(deadline).await?;
        if services.is_empty() {
            return Err(ProbeError::Failed("the controller lists no service at all: wrong region or account?".into()));
        }
        let events = if services.iter().any(is_failing) { self.events(deadline).await? } else { Vec::new() };
        let nodes = if self.config.instances { self.nodes(deadline).await? } else { Vec::new() };
        Ok(observe(&services, &events, &nodes))
    }
}

impl EucaServices {
    fn args<'a>(&'a self, own: &[&'a str]) -> Vec<&'a str> {
        let region = self.config.region.iter().flat_map(|region| ["--region", region.as_str()]);
        own.iter().copied().chain(region).collect()
    }

    async fn services(&self, deadline: Deadline) -> Result<Vec<Service>, ProbeError> {
        let table = ["--show-headers", "--show-empty-fields"];
        let by_type = self.args(&[&["-a"], &table[..]].concat());
        let Some(run) = self.services.run(&self.view, &by_type, deadline).await? else {
            return self.old_services(deadline).await;
        };
        let mut services = parse_services(&run.stdout);
        if run.code != Some(0) || services.is_empty() {
            return Err(refusal(&self.services, &run, "it lists no service"));
        }
        let by_host = self.args(&[&["-a", "--group-by-host"], &table[..]].concat());
        if let Some(run) = self.services.run(&self.view, &by_host, deadline).await?
            && run.code == Some(0)
        {
            join_hosts(&mut services, &parse_services(&run.stdout));
        }
        Ok(services)
    }

    /// Releases before 4.2.
    async fn old_services(&self, deadline: Deadline) -> Result<Vec<Service>, ProbeError> {
        let Some(run) = self.old_services.run(&self.view, &["-A"], deadline).await? else {
            return Err(missing(&self.services, PACKAGE));
        };
        let services = parse_old_services(&run.stdout);
        if run.code != Some(0) || services.is_empty() {
            return Err(refusal(&self.old_services, &run, "it lists no service"));
        }
        Ok(services)
    }

    /// A technical preview since 4.3: without it there is merely no reason.
    async fn events(&self, deadline: Deadline) -> Result<Vec<Event>, ProbeError> {
        let args = self.args(&["-f", "oneline"]);
        let run = self.events.run(&self.view, &args, deadline).await?;
        Ok(run.filter(|run| run.code == Some(0)).map(|run| parse_events(&run.stdout)).unwrap_or_default())
    }

    async fn nodes(&self, deadline: Deadline) -> Result<Vec<Node>, ProbeError> {
        let args = self.args(&["--show-empty-fields"]);
        match self.nodes.run(&self.view, &args, deadline).await? {
            Some(run) if run.code == Some(0) => Ok(parse_nodes(&run.stdout)),
            Some(run) => Err(refusal(&self.nodes, &run, "it lists no node")),
            None => Ok(Vec::new()),
        }
    }
}

/// Neither in service, nor the passive half of a pair, nor stopped by an administrator.
fn is_failing(service: &Service) -> bool {
    !["ENABLED", "DISABLED", "STOPPED"].contains(&service.state.as_str())
}

/// Nobody of its type and zone is in service.
fn is_alone(service: &Service, services: &[Service]) -> bool {
    !services.iter().any(|own| own.kind == service.kind && own.zone == service.zone && own.state == "ENABLED")
}

fn label(service: &Service) -> String {
    let zone = if service.zone.is_empty() { String::new() } else { format!(" in {}", service.zone) };
    format!("{} {}{zone}: {}", service.kind, service.name, service.state)
}

fn address_of(service: &Service) -> &str {
    // A node is registered by its address.
    if service.host.is_empty() && service.kind == "node" { &service.name } else { &service.host }
}

/// What the controller says of the C components, which have no Heartbeat of their own.
fn elsewhere(services: &[Service]) -> Value {
    let of_c = services.iter().filter(|service| ["cc", "nc"].contains(&service.component()));
    let element = |service: &Service| -> Value {
        let pairs: [(&str, Value); 3] = [
            ("host", address_of(service).into()),
            ("component", service.component().into()),
            ("value", service.state.as_str().into()),
        ];
        pairs.into_iter().collect()
    };
    Value::List(of_c.filter(|service| !address_of(service).is_empty()).map(element).collect())
}

/// Who is registered where, with the component as it is called here: also a passive partner has a row.
fn registered(services: &[Service]) -> Value {
    let known = services.iter().filter(|service| !service.component().is_empty() && !address_of(service).is_empty());
    let element = |service: &Service| -> Value {
        let pairs: [(&str, Value); 2] = [("type", service.component().into()), ("host", address_of(service).into())];
        pairs.into_iter().collect()
    };
    Value::List(known.map(element).collect())
}

/// Which cluster controller sees which node, and in what state.
fn pairs(services: &[Service]) -> Value {
    let element = |node: &Service| -> Option<Value> {
        let cc = services.iter().find(|service| service.component() == "cc" && service.zone == node.zone)?;
        let pairs: [(&str, Value); 4] = [
            ("cc", address_of(cc).into()),
            ("nc", address_of(node).into()),
            ("zone", node.zone.as_str().into()),
            ("state", node.state.as_str().into()),
        ];
        Some(pairs.into_iter().collect())
    };
    Value::List(services.iter().filter(|service| service.component() == "nc").filter_map(element).collect())
}

fn observe(services: &[Service], events: &[Event], nodes: &[Node]) -> Observation {
    let labels = |wanted: &dyn Fn(&Service) -> bool| -> Vec<String> {
        services.iter().filter(|service| wanted(service)).map(label).collect()
    };
    let of_nodes = || services.iter().filter(|service| service.component() == "nc");
    let (total, enabled) = (of_nodes().count(), of_nodes().filter(|node| node.state == "ENABLED").count());
    let core = |service: &Service| !["", "nc"].contains(&service.component());
    let failing = labels(&|service| is_failing(service) && core(service));
    let gone = labels(&|service| core(service) && service.state != "ENABLED" && is_alone(service, services));
    let stopped = labels(&|service| service.state == "STOPPED");
    let nodes_out = labels(&|service| service.component() == "nc" && service.state != "ENABLED");
    let in_service = services.iter().filter(|service| service.state == "ENABLED").count();
    let headline = match failing.first().or(gone.first()) {
        Some(worst) => format!("{worst}; {in_service} of {} services enabled", services.len()),
        None => format!("{in_service} of {} services enabled, {enabled} of {total} nodes", services.len()),
    };
    let names: BTreeSet<&str> =
        services.iter().filter(|service| is_failing(service)).map(|service| service.name.as_str()).collect();
    let reasons = events.iter().rev().filter(|event| names.contains(event.name.as_str())).take(EVENTS_MAX);
    let reasons: Vec<String> =
        reasons.map(|event| format!("{} {} {}: {}", event.at, event.severity, event.name, event.message)).collect();
    let mut long: Vec<String> = services.iter().filter(|service| service.state != "ENABLED").map(label).collect();
    long.extend(reasons.iter().cloned());
    let mut seen = Observation::observed(headline)
        .long(long.join("\n"))
        .fact("services", services.len())
        .fact("enabled", in_service)
        .fact("failing", failing)
        .fact("gone", gone)
        .fact("stopped", stopped)
        .fact("nodes", total)
        .fact("nodes_enabled", enabled)
        .fact("nodes_out", nodes_out)
        .fact("reasons", reasons)
        .fact("elsewhere", elsewhere(services))
        .fact("registered", registered(services))
        .fact("pairs", pairs(services))
        .measure("enabled", in_service as f64, "")
        .measure("nodes_enabled", enabled as f64, "");
    if !nodes.is_empty() {
        let instances: usize = nodes.iter().map(|node| node.instances.len()).sum();
        seen = seen.fact("instances", instances).measure("instances", instances as f64, "");
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_on, text};
    use crate::view::ToolRun;

    const BY_TYPE: &str = include_str!("samples/services_by_type.txt");
    const BY_HOST: &str = include_str!("samples/services_by_host.txt");
    const EVENTS: &str = include_str!("samples/events.txt");

    fn said(code: i32, stdout: &str, stderr: &str) -> ToolRun {
        ToolRun { code: Some(code), stdout: stdout.into(), stderr: stderr.into() }
    }

    fn host(tools: &[(&str, ToolRun)]) -> Arc<SimView> {
        let tools = tools.iter().map(|(line, run)| ((*line).to_owned(), run.clone())).collect();
        Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))
    }

    /// The listing with another state for one service.
    fn with_state(listing: &str, name: &str, state: &str) -> String {
        let line = |line: &str| match line.trim_end().rsplit_once("  ") {
            Some((rest, _)) if line.contains(name) => format!("{rest}  {state}\n"),
            Some(_) | None => format!("{line}\n"),
        };
        listing.lines().map(line).collect()
    }

    fn cloud(by_type: &str) -> Arc<SimView> {
        host(&[
            ("euserv-describe-services -a --show-headers --show-empty-fields", said(0, by_type, "")),
            ("euserv-describe-services -a --group-by-host --show-headers --show-empty-fields", said(0, BY_HOST, "")),
            ("euserv-describe-events -f oneline", said(0, EVENTS, "")),
        ])
    }

    #[tokio::test]
    async fn a_controller_tells_who_is_out_of_service_and_why() {
        let seen = run_on("euca_services", "{}", cloud(BY_TYPE)).await.expect("observed");
        assert_eq!(text(&seen, "failing"), "[storage two-sc-1 in two: BROKEN]");
        assert_eq!(text(&seen, "gone"), "[storage two-sc-1 in two: BROKEN]");
        assert!(text(&seen, "reasons").contains("blockstorageamanger not configured"), "{}", text(&seen, "reasons"));
        assert_eq!((number(&seen, "nodes"), number(&seen, "nodes_enabled")), (3.0, 2.0));
        assert_eq!(text(&seen, "nodes_out"), "[node 10.111.5.132 in one: NOTREADY]");
    }

    #[tokio::test]
    async fn a_passive_partner_is_no_failure() {
        let passive = with_state(&with_state(BY_TYPE, "two-sc-1", "enabled"), "two-cc-1", "disabled");
        let seen = run_on("euca_services", "{}", cloud(&passive)).await.expect("observed");
        assert_eq!(text(&seen, "failing"), "[]");
        assert_eq!(text(&seen, "gone"), "[cluster two-cc-1 in two: DISABLED]", "nobody serves its zone");
        let pair = passive.replace("cluster        two  ", "cluster        one  ");
        let seen = run_on("euca_services", "{}", cloud(&pair)).await.expect("observed");
        assert_eq!((text(&seen, "failing"), text(&seen, "gone")), ("[]".into(), "[]".into()));
    }

    #[tokio::test]
    async fn the_c_components_are_told_by_address() {
        let seen = run_on("euca_services", "{}", cloud(BY_TYPE)).await.expect("observed");
        let told = seen.facts["elsewhere"].list().expect("a list");
        let member = |value: &Value, key: &str| value.get(key).and_then(Value::text).unwrap_or_default().to_owned();
        let told: Vec<String> = told
            .iter()
            .map(|value| format!("{} {} {}", member(value, "host"), member(value, "component"), member(value, "value")))
            .collect();
        assert_eq!(
            told,
            [
                "10.111.1.41 cc ENABLED",
                "10.111.2.41 cc ENABLED",
                "10.111.1.53 nc ENABLED",
                "10.111.5.132 nc NOTREADY",
                "10.111.6.1 nc ENABLED"
            ]
        );
        let pairs = seen.facts["pairs"].list().expect("a list");
        assert_eq!((member(&pairs[1], "cc"), member(&pairs[1], "state")), ("10.111.1.41".into(), "NOTREADY".into()));
    }

    #[tokio::test]
    async fn each_half_of_a_pair_is_told_as_registered() {
        let seen = run_on("euca_services", "{}", cloud(BY_TYPE)).await.expect("observed");
        let rows = seen.facts["registered"].list().expect("a list");
        let member = |value: &Value, key: &str| value.get(key).and_then(Value::text).unwrap_or_default().to_owned();
        let rows: BTreeSet<String> =
            rows.iter().map(|row| format!("{} {}", member(row, "type"), member(row, "host"))).collect();
        for known in ["cc 10.111.1.41", "cc 10.111.2.41"] {
            assert!(rows.contains(known), "{rows:?}");
        }
        for kind in ["clc ", "walrus ", "sc "] {
            assert!(rows.iter().any(|row| row.starts_with(kind)), "{kind}: {rows:?}");
        }
    }

    #[tokio::test]
    async fn without_tools_rights_or_services_nothing_is_claimed() {
        let none = run_on("euca_services", "{}", host(&[])).await;
        assert!(none.as_ref().is_err_and(|error| error.to_string().contains("eucalyptus-admin-tools")), "{none:?}");
        let refused = "euserv-describe-services: error (AuthFailure): The provided credentials are wrong";
        let line = "euserv-describe-services -a --show-headers --show-empty-fields";
        let refused = run_on("euca_services", "{}", host(&[(line, said(1, "", refused))])).await;
        assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("AuthFailure")), "{refused:?}");
        let half = "SERVICE  TYPE  ZONE  NAME  STATE\nSERVICE  clu";
        assert!(run_on("euca_services", "{}", host(&[(line, said(0, half, ""))])).await.is_err());
    }

    #[tokio::test]
    async fn older_releases_and_a_region_are_asked_their_way() {
        let old = "SERVICE\tcluster\tone\tcc1\tENABLED\t4\thttp://10.0.0.5:8774/axis2/services/EucalyptusCC\tarn:x\n";
        let seen = run_on("euca_services", "{}", host(&[("euca-describe-services -A", said(0, old, ""))])).await;
        assert_eq!(number(&seen.expect("observed"), "enabled"), 1.0);
        let line = "euserv-describe-services -a --show-headers --show-empty-fields --region localhost";
        let there = host(&[(line, said(0, BY_TYPE, ""))]);
        let seen = run_on("euca_services", r#"{"region":"localhost"}"#, there).await.expect("observed");
        assert_eq!(number(&seen, "services"), 12.0);
    }
}
