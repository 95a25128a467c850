//! Checks bound to hosts: what packs bring for each host and component, and `[[service]]`.

use stentor_core::Span;
use stentor_core::catalog::{Check, Service, View};
use stentor_core::diagnosis::Topology;
use stentor_core::id::{ComponentId, HostId, ServiceId};
use stentor_core::macros::view::{COMMAND_PARAM, COMMAND_PROBE};
use stentor_core::model::Value;
use stentor_core::rules::missing_params;

use super::finding::{Diagnostics, Place, suggest};
use super::hosts::ReadHost;
use super::objects::Builder;
use super::pack::{Applies, Inside, Pack, Template, read_attempts, read_rules};
use super::tree::{At, Node, Section};
use super::{all, probe_kinds, usual};

/// What `[host.checks.NAME]` changes.
struct Overlay<'a> {
    section: Section<'a>,
    name: At<&'a str>,
    used: bool,
}

/// Fills the services of every host.
pub(super) fn build(roots: &[Section<'_>], hosts: &[ReadHost<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    for host in hosts {
        from_packs(host, builder, found);
    }
    for section in all(roots, "service", "[[service]]", found) {
        configured(&section, builder, found);
    }
}

fn from_packs(host: &ReadHost<'_>, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut overlays = read_overlays(host, found);
    let mut offered: Vec<String> = Vec::new();
    let host_check = host.section.text("check", found);
    for template in builder.templates().filter(|template| template.component.is_none()) {
        offered.push(template.name.to_string());
        let overlay = overlays.iter_mut().find(|overlay| is_of(overlay.name.value, &template.name, template));
        let asked = overlay.is_some();
        let row = &builder.catalog.hosts[host.id.index()];
        if template.host_check {
            let chosen = host_check.as_ref().is_none_or(|text| is_of(text.value, &template.name, template));
            if chosen {
                bind_host_check(host.id, template, overlay, builder, found);
            }
        } else if fits(
            template,
            row.cloud.is_some(),
            has_bmc(host.id, template, builder),
            row.view,
            asked || has_api(host.id, template, builder),
        ) {
            bind(host.id, None, template, &template.name, overlay, builder, found);
        }
    }
    if let Some(text) =
        host_check.filter(|text| text.value != "none" && builder.catalog.hosts[host.id.index()].check.is_none())
    {
        let checks = builder.templates().filter(|template| template.host_check).map(|template| &*template.name);
        let help = suggest(text.value, checks.chain(["none"]));
        found.error("unknown-check", &text.at, format!("no host check `{}`", text.value), help);
    }
    for component in builder.catalog.hosts[host.id.index()].components.clone() {
        for (name, template) in of_component(component, builder) {
            let overlay = overlays.iter_mut().find(|overlay| is_of(overlay.name.value, &name, template));
            let asked = overlay.is_some();
            if asked || suits_host(template, host.id, builder) {
                let row = &builder.catalog.hosts[host.id.index()];
                let wanted = asked || has_api(host.id, template, builder);
                if fits(template, true, has_bmc(host.id, template, builder), row.view, wanted) {
                    bind(host.id, Some(component), template, &name, overlay, builder, found);
                }
            }
            offered.push(name);
        }
    }
    for overlay in overlays.iter().filter(|overlay| !overlay.used) {
        let host = &builder.catalog.hosts[host.id.index()].name;
        let wrong = overlay.name.value;
        if offered.iter().any(|name| name == wrong) {
            let message = format!("check `{wrong}` needs a BMC or a `view` that `{host}` does not have");
            found.warning("check-does-not-fit", &overlay.name.at, message, "");
        } else {
            let help = suggest(wrong, offered.iter().map(String::as_str));
            found.error("unknown-check", &overlay.name.at, format!("`{host}` has no check `{wrong}`"), help);
        }
    }
}

/// Whether the host has a BMC that is asked in the way of this check.
fn has_bmc(host: HostId, template: &Template, builder: &Builder<'_>) -> bool {
    builder.bmcs.get(&host).is_some_and(|ways| ways.suit(&template.check.probe))
}

/// A check's own parameters over those that all Redfish checks of the host have.
fn over_redfish(host: HostId, probe: &str, params: Value, builder: &Builder<'_>) -> Value {
    match builder.bmcs.get(&host) {
        Some(ways) if probe.starts_with("redfish") && ways.params != Value::Null => ways.params.overlaid(&params),
        _ => params,
    }
}

/// Whether the check asks the API of the host's cloud, and the cloud says how.
fn has_api(host: HostId, template: &Template, builder: &Builder<'_>) -> bool {
    template.applies == Applies::Api && api_of(host, builder).is_some()
}

fn api_of<'a>(host: HostId, builder: &'a Builder<'_>) -> Option<&'a Value> {
    builder.apis.get(&builder.catalog.hosts[host.index()].cloud?)
}

/// A check's own parameters over what its cloud says of its API.
fn over_api(host: HostId, template: &Template, params: Value, builder: &Builder<'_>) -> Value {
    match api_of(host, builder).filter(|_| template.applies == Applies::Api) {
        Some(api) => api.overlaid(&params),
        None => params,
    }
}

/// The checks that packs have for a component, by the name of the service.
fn of_component<'a>(component: ComponentId, builder: &Builder<'a>) -> Vec<(String, &'a Template)> {
    let row = &builder.catalog.components[component.index()];
    let pack = builder.packs.iter().find(|pack| pack.platform.key == row.platform);
    let checks = pack.into_iter().flat_map(|pack| &pack.checks);
    let of_it = checks.filter(|template| template.component.as_ref() == Some(&row.key));
    of_it.map(|template| (format!("{} {}", row.key, template.name), template)).collect()
}

/// Whether a check suits what the host's cloud is made of.
fn suits_host(template: &Template, host: HostId, builder: &Builder<'_>) -> bool {
    let cloud = builder.catalog.hosts[host.index()].cloud;
    cloud.is_none_or(|cloud| suits_cloud(template, &builder.catalog.clouds[cloud.index()].topology))
}

/// Binds the checks of a host's components where another format configures the host; `at`: where it names them.
pub(super) fn bind_components(host: HostId, at: &Place, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    for component in builder.catalog.hosts[host.index()].components.clone() {
        for (name, template) in of_component(component, builder) {
            let row = &builder.catalog.hosts[host.index()];
            let has_bmc = has_bmc(host, template, builder);
            if !suits_host(template, host, builder)
                || !fits(template, true, has_bmc, row.view, has_api(host, template, builder))
            {
                continue;
            }
            if row.services.iter().any(|id| *builder.catalog.services[id.index()].name == *name) {
                let message = format!("host `{}` has a service `{name}` of its own: the pack's is left out", row.name);
                found.warning("duplicate", at, message, "rename the service to have both");
                continue;
            }
            bind(host, Some(component), template, &name, None, builder, found);
        }
    }
}

fn read_overlays<'a>(host: &ReadHost<'a>, found: &mut Diagnostics) -> Vec<Overlay<'a>> {
    let Some(node) = host.section.node("checks") else { return Vec::new() };
    let entries: &[(At<String>, Node)] = Section::entries(node, "checks", found);
    let overlay = |(key, node): &'a (At<String>, Node)| {
        let section = Section::of("checks", node, found)?;
        Some(Overlay { section, name: At { value: key.value.as_str(), at: key.at.clone() }, used: false })
    };
    entries.iter().filter_map(overlay).collect()
}

/// A check may be named as its service (`clc port`) or in full (`eucalyptus/clc/port`).
fn is_of(wanted: &str, service: &str, template: &Template) -> bool {
    wanted == service || *wanted == *template.check.name
}

fn suits_cloud(template: &Template, cloud: &Topology) -> bool {
    template.when.iter().all(|(key, words)| {
        let value = match key.as_str() {
            "ebs" => &cloud.ebs,
            "object" => &cloud.object,
            "network_mode" => &cloud.network_mode,
            "release" => &cloud.release,
            _ => return true,
        };
        value.as_ref().is_none_or(|value| words.contains(value))
    })
}

fn fits(template: &Template, in_cloud: bool, has_bmc: bool, view: View, asked: bool) -> bool {
    let inside = match template.inside {
        Inside::No => true,
        Inside::Any => view != View::None,
        Inside::Agent => view == View::Agent,
    };
    let applies = match template.applies {
        Applies::Always => true,
        Applies::Cloud => in_cloud || asked,
        // Whether its cloud has an API is looked at apart.
        Applies::Asked | Applies::Api => asked,
    };
    inside && applies && (has_bmc || !template.needs_bmc)
}

/// The template's check with the overlay's cadence, the overlay's params; `None` if it is switched off.
fn resolve(template: &Template, overlay: Option<&mut Overlay<'_>>, found: &mut Diagnostics) -> Option<(Check, Value)> {
    let Some(overlay) = overlay else { return Some((template.check.clone(), Value::Null)) };
    overlay.used = true;
    let section = &overlay.section;
    let base = &template.check;
    let every = section.span_or("every", base.every, found);
    let check = Check {
        every,
        retry: section.span_or("retry", base.retry.min(every), found),
        attempts: read_attempts(section, base.attempts, found),
        timeout: section.span_or("timeout", base.timeout, found),
        ..base.clone()
    };
    let params = if section.has("params") { section.map("params", found) } else { Value::Null };
    section.bool_or("enabled", true, found).then_some((check, params))
}

/// Where a mistake in the parameters stands: in the overlay if there is one, else in the pack.
fn place_of(template: &Template, overlay: Option<&Overlay<'_>>) -> Place {
    overlay.map_or_else(|| template.at.clone(), |overlay| overlay.name.at.clone())
}

fn bind_host_check(
    host: HostId,
    template: &Template,
    overlay: Option<&mut Overlay<'_>>,
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) {
    let place = place_of(template, overlay.as_deref());
    let Some((check, params)) = resolve(template, overlay, found) else { return };
    builder.trial.params(&check, &params, &place, found);
    let id = builder.check_id(check);
    let row = &mut builder.catalog.hosts[host.index()];
    row.check = Some(id);
    row.params = params;
}

fn bind(
    host: HostId,
    component: Option<ComponentId>,
    template: &Template,
    name: &str,
    overlay: Option<&mut Overlay<'_>>,
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) {
    let place = place_of(template, overlay.as_deref());
    let Some((check, params)) = resolve(template, overlay, found) else { return };
    let params = over_api(host, template, params, builder);
    let params = over_redfish(host, &check.probe, params, builder);
    builder.trial.params(&check, &params, &place, found);
    let check = expected_from(builder.catalog.hosts[host.index()].view, check);
    let check = builder.check_id(check);
    push(Service { host, name: name.into(), check, params, component }, builder);
}

/// What an agent reports becomes stale when it is silent: a little after its own sign of life, so that the silence is
/// known as its before anything else is missed.
pub(super) fn expected_from(view: View, check: Check) -> Check {
    if check.host_side && view == View::Agent && check.freshness == Span::ZERO {
        let freshness = fresh_for(check.every);
        return Check { freshness, ..check };
    }
    check
}

/// How long what is told so often is believed.
pub(super) fn fresh_for(every: Span) -> Span {
    const AGENT_FRESHNESS: Span = Span::from_secs(90);
    AGENT_FRESHNESS + every * 3
}

pub(super) fn push(service: Service, builder: &mut Builder<'_>) {
    let id = ServiceId::from_index(builder.catalog.services.len());
    builder.catalog.hosts[service.host.index()].services.push(id);
    if let Some(component) = service.component {
        builder.catalog.components[component.index()].services.push(id);
    }
    builder.catalog.services.push(service);
}

/// `[[service]]`: a check of a pack, a probe with parameters, or a Nagios command, on one or several hosts.
fn configured(section: &Section<'_>, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let hosts = section.texts("host", found);
    if hosts.is_empty() {
        found.error("missing-key", &section.at, "`[[service]]` needs the key `host`", "");
    }
    let template = section.text("check", found).and_then(|text| find_template(&text, builder, found));
    let probe = section.text("probe", found);
    let command = section.text("command", found).filter(|call| is_command(call, builder, found));
    if ["check", "probe", "command"].iter().filter(|key| section.has(key)).count() != 1 {
        let help = "`check = \"host/disk\"` takes a check of a pack; `probe = \"tcp\"` a probe with `params`; \
                    `command = \"check_ping!100!200\"` a command of the Nagios configuration";
        let message = "`[[service]]` needs one of `check`, `probe` and `command`";
        found.error("check-or-probe", &section.at, message, help);
        return;
    }
    if template.is_none() && probe.is_none() && command.is_none() {
        return;
    }
    let default_name = template.map(|template| template.name.to_string());
    let name = match (section.text("name", found), default_name) {
        (Some(name), _) => name.value.to_owned(),
        (None, Some(name)) => name,
        (None, None) => {
            section.needed("name", found);
            return;
        }
    };
    let rules = section.has("rules").then(|| read_rules(section, found));
    for text in &hosts {
        let Some(host) = builder.hosts.find(text, found).map(HostId::from_index) else { continue };
        let taken = &builder.catalog.hosts[host.index()].services;
        if taken.iter().any(|id| *builder.catalog.services[id.index()].name == *name) {
            let message = format!("host `{}` already has a service `{name}`", text.value);
            let help = "choose another `name`; change a pack's check with [host.checks.\"NAME\"]";
            found.error("duplicate", &section.at, message, help);
            continue;
        }
        let component = section.text("component", found).and_then(|key| find_component(host, &key, builder, found));
        let base = match (template, &command) {
            (Some(template), _) => template.check.clone(),
            (None, Some(call)) => command_check(call),
            // Of one table for many hosts all share one row.
            (None, None) => {
                let own = own_check(if hosts.len() == 1 { text.value } else { "*" }, &name, probe.as_ref(), found);
                with_usual_rules(own, rules.is_some(), builder.packs)
            }
        };
        let every = section.span_or("every", base.every, found);
        let params = section.map("params", found);
        let (base_params, params) = match (template, &command) {
            (None, None) => (over_redfish(host, &base.probe, base.params.overlaid(&params), builder), Value::Null),
            _ => (base.params.clone(), over_redfish(host, &base.probe, params, builder)),
        };
        let check = Check {
            params: base_params,
            every,
            retry: section.span_or("retry", base.retry.min(every), found),
            attempts: read_attempts(section, base.attempts, found),
            timeout: section.span_or("timeout", base.timeout, found),
            freshness: section.span_or("freshness", base.freshness, found),
            rules: rules.clone().unwrap_or_else(|| base.rules.clone()),
            ..base
        };
        refuse_missing_params(&check, &params, section, found);
        builder.trial.params(&check, &params, &section.at, found);
        let check = expected_from(builder.catalog.hosts[host.index()].view, check);
        let check = builder.check_id(check);
        push(Service { host, name: name.as_str().into(), check, params, component }, builder);
    }
}

fn find_template<'a>(text: &At<&str>, builder: &Builder<'a>, found: &mut Diagnostics) -> Option<&'a Template> {
    let template = builder.templates().find(|template| *template.check.name == *text.value);
    if template.is_none() {
        let help = suggest(text.value, builder.templates().map(|template| &*template.check.name));
        found.error("unknown-check", &text.at, format!("no pack has a check `{}`", text.value), help);
    }
    template
}

fn find_component(host: HostId, key: &At<&str>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<ComponentId> {
    let components = &builder.catalog.hosts[host.index()].components;
    let row = |id: &ComponentId| &builder.catalog.components[id.index()];
    let wanted = key.value.rsplit('/').next().unwrap_or(key.value);
    let id = components.iter().copied().find(|id| *row(id).key == *wanted);
    if id.is_none() {
        let message = format!("host `{}` has no component `{}`", builder.catalog.hosts[host.index()].name, key.value);
        let help = suggest(key.value, components.iter().map(|id| &*row(id).key));
        found.error("unknown-component", &key.at, message, help);
    }
    id
}

/// A check of no pack.
fn own_check(host: &str, name: &str, probe: Option<&At<&str>>, found: &mut Diagnostics) -> Check {
    let every = Span::from_secs(60);
    Check {
        name: format!("custom/{host}/{name}").into(),
        probe: probe.map_or("", |probe| probe.value).into(),
        params: Value::Null,
        every,
        retry: Span::from_secs(15),
        timeout: Span::from_secs(10),
        attempts: 3,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: probe.is_some_and(|probe| probe_kinds::host_side(probe, found)),
        freshness: Span::ZERO,
    }
}

/// A probe without rules is judged as usual: a closed port that nobody wrote a rule for must not be OK.
fn with_usual_rules(own: Check, has_rules: bool, packs: &[Pack]) -> Check {
    match usual::find(packs, &own.probe).filter(|_| !has_rules) {
        Some(usual) => Check { rules: usual.rules.clone(), params: usual.params.clone(), ..own },
        None => own,
    }
}

/// Whether the Nagios configuration has the command of a call.
fn is_command(call: &At<&str>, builder: &Builder<'_>, found: &mut Diagnostics) -> bool {
    let name = call.value.split('!').next().unwrap_or_default().trim();
    let commands = &builder.catalog.nagios.commands;
    let known = commands.iter().any(|command| *command.name == *name);
    if !known {
        let help = if commands.is_empty() {
            "commands are those of [nagios] config; without one use `probe = \"exec\"`".to_owned()
        } else {
            suggest(name, commands.iter().map(|command| &*command.name))
        };
        found.error("unknown-command", &call.at, format!("unknown command `{name}`"), help);
    }
    known
}

/// A check that is a Nagios command.
fn command_check(call: &At<&str>) -> Check {
    let params = [(COMMAND_PARAM.to_owned(), Value::from(call.value))];
    let probe = COMMAND_PROBE.into();
    Check {
        name: call.value.into(),
        probe,
        params: Value::Map(params.into()),
        ..own_check("", "", None, &mut Diagnostics::default())
    }
}

fn refuse_missing_params(check: &Check, params: &Value, section: &Section<'_>, found: &mut Diagnostics) {
    for name in missing_params(&check.rules, &check.params.overlaid(params)) {
        let help = format!("add `{}` to `params`", name.trim_start_matches("params."));
        found.error("missing-param", &section.at, format!("a rule reads `{name}`, which is not given"), help);
    }
}
