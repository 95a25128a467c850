//! Truth table of one component on a living host (specification 10, sections 4.2 and 4.3).

use super::component_view::{Answer, Port, Process, Resource, View};
use super::confidence::GUESS;
use super::draft::{Board, Explained, Fate, Finding, reject};
use super::facts::Facts;
use super::flapping;
use super::verdict::{Class, Rejected};
use super::world::World;

/// Writes the finding of one component on the board, unless its host or its maintenance explains it.
pub(super) fn look_at<'a>(world: &'a World, board: &mut Board<'a>, comp: usize) {
    if board.host_root[world.comps[comp].host].is_some() || board.fate[comp] != Fate::Fine {
        return;
    }
    board.findings[comp] = flapping::told(world, comp, judge(world, comp)).map(Box::new);
    board.passive[comp] =
        board.findings[comp].is_none() && world.comps[comp].facts.saying("service_state", "DISABLED").is_some();
}

/// What the own signals of a component say; `None` when it is well or nothing is known.
pub(super) fn judge<'a>(world: &'a World, comp: usize) -> Option<Finding<'a>> {
    judge_by(world, comp, &world.comps[comp].facts)
}

/// What these facts would say of a component.
pub(super) fn judge_by<'a>(world: &'a World, comp: usize, facts: &'a Facts) -> Option<Finding<'a>> {
    let view = View::of(world, comp, facts);
    if view.facts.is_empty() {
        return None;
    }
    let mut finding = match view.port() {
        Some(Port::Refused) => Some(refused(&view)),
        Some(Port::Timeout) => Some(timed_out(&view)),
        Some(Port::Open) | None => answering(&view),
    }?;
    let host = &world.hosts[world.comps[comp].host];
    if let Some(sign) = host.life.signs.first() {
        finding.rejected.push(reject(Class::ServerDown, format!("the host shows signs of life: {}", said(sign))));
    }
    Some(finding)
}

fn said(signal: &super::signal::Signal) -> String {
    format!("{} {}", signal.sig, signal.value)
}

/// Nothing listens, but the kernel of the host answers.
fn refused<'a>(view: &View<'a>) -> Finding<'a> {
    match view.process() {
        Some(Process::Running) if view.started_recently() => view.starting(),
        Some(process @ (Process::Running | Process::Hung)) => match view.start_blocker() {
            Some(resource) => view.resource(&resource, 0.85),
            None => {
                let base = if process == Process::Hung { 0.8 } else { 0.7 };
                view.software("hung", base, Explained::Never, vec![reject(Class::Starting, "its grace is over")])
            }
        },
        Some(Process::Absent) => absent(view, 0.95),
        Some(Process::Restarting) => absent(view, 0.85),
        None => absent(view, 0.8),
    }
}

/// The process is gone: a start-blocking resource makes it a resource failure, because a restart cannot help.
fn absent<'a>(view: &View<'a>, base: f64) -> Finding<'a> {
    if let Some(resource) = view.start_blocker() {
        let mut finding = view.resource(&resource, base.min(0.85));
        finding.absent = true;
        finding.rejected.push(reject(
            Class::SoftwareDown,
            format!("the process is absent, but {} blocks its start: a restart would loop", resource.describe()),
        ));
        return finding;
    }
    let mut rejected: Vec<Rejected> = Vec::new();
    if let Some(resource) = view.critical_resource() {
        let why = format!("{} does not keep it from starting", resource.describe());
        rejected.push(reject(Class::ResourceUnavailable, why));
    } else {
        rejected.push(reject(Class::ResourceUnavailable, "no resource of it is reported missing"));
    }
    let base = if view.log_has("start request repeated too quickly") { base + 0.03 } else { base };
    let mut finding = view.software("crashed", base, Explained::Never, rejected);
    finding.absent = true;
    if view.blind {
        let why = "what it needs to start was looked at, and is not any more: it may be gone";
        finding.rejected.push(reject(Class::ResourceUnavailable, why));
        finding.missing.push("resource");
        // No further plane speaks of that.
        (finding.base, finding.row_planes) = (finding.base.min(GUESS), usize::MAX);
    }
    finding.contradicted = view.answer() == Answer::Serving;
    finding
}

/// The host lives, the port does not even refuse.
fn timed_out<'a>(view: &View<'a>) -> Finding<'a> {
    match view.process() {
        Some(Process::Hung) => view.software("hung", 0.8, Explained::Never, Vec::new()),
        Some(Process::Absent) => absent(view, 0.8),
        Some(Process::Running | Process::Restarting) => {
            let mut finding = view.finding(Class::Network, "vlan", 0.6, Explained::Never);
            finding.rejected.push(reject(Class::SoftwareDown, "its process runs; only the path to its port is shut"));
            finding
        }
        None => {
            let mut finding = view.finding(Class::Unknown, "insufficient", 0.4, Explained::Any);
            finding
                .rejected
                .push(reject(Class::SoftwareDown, "a timeout alone does not tell a dead process from a filter"));
            finding
        }
    }
}

/// The port is open or nobody looked at it.
fn answering<'a>(view: &View<'a>) -> Option<Finding<'a>> {
    match view.process() {
        Some(Process::Absent) => Some(open_but_absent(view)),
        Some(Process::Hung) => Some(view.software("hung", 0.8, Explained::Never, Vec::new())),
        Some(Process::Running | Process::Restarting) | None => running(view),
    }
}

fn open_but_absent<'a>(view: &View<'a>) -> Finding<'a> {
    if view.port().is_none() {
        return absent(view, 0.8);
    }
    match view.answer() {
        Answer::Failing | Answer::Silent if view.is_proxied() => {
            let why = "the proxy in front of it still accepts connections";
            view.software("child", 0.85, Explained::Never, vec![reject(Class::ServerDown, why)])
        }
        Answer::Failing | Answer::Silent => absent(view, 0.8),
        Answer::Serving | Answer::Untold => {
            let mut finding = view.finding(Class::Unknown, "check_conflict", 0.4, Explained::Never);
            let why = "the port is open and nothing reports a failure: the process pattern is wrong";
            finding.rejected.push(reject(Class::SoftwareDown, why));
            finding
        }
    }
}

/// The process runs (or nobody looked): the controller and the application decide.
fn running<'a>(view: &View<'a>) -> Option<Finding<'a>> {
    if view.state_is("STOPPED") {
        return Some(stopped(view));
    }
    let answer = view.answer();
    let failing = view.state_fails() || matches!(answer, Answer::Failing | Answer::Silent);
    if let Some(resource) = view.critical_resource() {
        return Some(with_critical(view, &resource, failing));
    }
    if let Some(resource) = view.fault().or_else(|| view.lost_with_host()).filter(|_| failing) {
        return Some(view.resource(&resource, 0.9));
    }
    if view.state_in(&["INITIALIZED", "LOADED", "PRIMORDIAL"]) {
        return Some(bootstrapping(view));
    }
    if answer == Answer::Silent {
        return Some(if view.started_recently() { view.starting() } else { silent(view) });
    }
    if view.state_is("BROKEN") {
        return Some(view.unavailable("config", 0.85, Explained::Never));
    }
    if failing && view.started_recently() {
        return Some(view.starting());
    }
    if view.state_fails() {
        return Some(not_ready(view, answer));
    }
    if answer == Answer::Failing {
        return Some(failing_application(view));
    }
    at_risk(view)
}

fn stopped<'a>(view: &View<'a>) -> Finding<'a> {
    let netagent = view.critical_resource().filter(|resource| resource.kind == "netagent");
    let netagent = netagent.or_else(|| view.fault().filter(|resource| resource.kind == "netagent"));
    match netagent {
        Some(resource) => {
            let mut finding = view.resource(&resource, 0.9);
            let why = "STOPPED with a dead eucanetd is not an act of the administrator";
            finding.rejected.push(reject(Class::AdminStopped, why));
            finding
        }
        None => {
            let mut finding = view.finding(Class::AdminStopped, "stopped", 0.9, Explained::Never);
            finding.rejected.push(reject(Class::ResourceUnavailable, "nothing that it needs is reported missing"));
            finding
        }
    }
}

fn with_critical<'a>(view: &View<'a>, resource: &Resource<'a>, failing: bool) -> Finding<'a> {
    if failing {
        let base = if resource.kind == "backend" && view.http_is(503.0) { 0.9 } else { 0.95 };
        let mut finding = view.resource(resource, base);
        finding.rejected.push(reject(Class::SoftwareDown, "its process runs"));
        return finding;
    }
    if view.serves_without(resource.kind) {
        let mut finding = view.resource(resource, 0.9);
        finding.class = Class::ResourceAtRisk;
        finding.rejected.push(reject(Class::ResourceUnavailable, "it still serves"));
        return finding;
    }
    view.resource(resource, 0.8)
}

fn bootstrapping<'a>(view: &View<'a>) -> Finding<'a> {
    if view.state_is_older_than_grace() {
        let mut finding = view.unavailable("config", 0.6, Explained::Any);
        finding.rejected.push(reject(Class::Starting, "its grace is over"));
        finding
    } else {
        view.starting()
    }
}

/// It accepts connections and says nothing.
fn silent<'a>(view: &View<'a>) -> Finding<'a> {
    let mut finding = view.software("hung", 0.75, Explained::Never, Vec::new());
    finding.rejected.push(reject(Class::ResourceUnavailable, "no resource of it is reported missing"));
    finding
}

fn not_ready<'a>(view: &View<'a>, answer: Answer) -> Finding<'a> {
    let out_of_view = view.state_is("no_quorum") || view.heartbeat_is("enabled") || answer == Answer::Serving;
    if out_of_view {
        let mut finding = view.unavailable("membership", 0.6, Explained::Control);
        finding.rejected.push(reject(Class::SoftwareDown, "it answers itself; only the controller does not see it"));
        return finding;
    }
    let mut finding = view.unavailable("dependency", 0.6, Explained::Any);
    finding.rejected.push(reject(Class::SoftwareDown, "its process runs and its port is open"));
    finding
}

/// The functional probe fails and nothing says why.
fn failing_application<'a>(view: &View<'a>) -> Finding<'a> {
    if view.is_proxied() && (view.http_is(502.0) || view.http_is(504.0)) {
        return view.software("child", 0.75, Explained::Any, Vec::new());
    }
    if view.http_fails() || view.heartbeat_is("not_enabled") {
        return view.unavailable("dependency", 0.6, Explained::Any);
    }
    let why = reject(Class::ResourceUnavailable, "no resource of it is reported missing");
    view.software("hung", 0.75, Explained::Any, vec![why])
}

fn at_risk<'a>(view: &View<'a>) -> Option<Finding<'a>> {
    if let Some(resource) = view.scarce_resource() {
        let mut finding = view.resource(&resource, 0.9);
        finding.class = Class::ResourceAtRisk;
        finding.critical = false;
        finding.explained_by = Explained::Never;
        return Some(finding);
    }
    if view.probe_is("slow") {
        let mut finding = view.finding(Class::ResourceAtRisk, "capacity", 0.8, Explained::Any);
        finding.critical = false;
        return Some(finding);
    }
    None
}
