//! `route`: the routes of a host that are in force: the default ones, and those that it should have.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::hostnet::route::{Route as Entry, parse_v4, parse_v6};

use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Gateway that the default route of IPv4 should lead to.
    pub gateway: Option<IpAddr>,
    /// A default route of IPv6 is wanted, too.
    pub ipv6: bool,
    /// `10.0.0.0/8`, or `10.0.0.0/8 via 192.0.2.1`: routes that must be there.
    pub routes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Wanted {
    text: String,
    destination: String,
    via: Option<IpAddr>,
}

pub struct Route {
    view: Arc<dyn HostView>,
    gateway: Option<IpAddr>,
    ipv6: bool,
    wanted: Vec<Wanted>,
}

impl Probe for Route {
    const KIND: &'static str = "route";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/route.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let wanted = config.routes.iter().map(|text| wanted(text)).collect::<Result<_, _>>()?;
        Ok(Route { view: Arc::clone(&env.view), gateway: config.gateway, ipv6: config.ipv6, wanted })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let (v4, v6) = look(&self.view, Lane::Kernel, deadline, |view| {
            let v4 = view.read("/proc/net/route")?;
            // A kernel without IPv6 has no such file.
            match view.read("/proc/net/ipv6_route") {
                Ok(v6) => Ok((v4, v6)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((v4, String::new())),
                Err(error) => Err(error),
            }
        })
        .await?;
        Ok(self.observe(&parse_v4(&v4), &parse_v6(&v6)))
    }
}

fn wanted(text: &str) -> Result<Wanted, BuildError> {
    let wrong =
        || BuildError { message: format!("`{text}` is no route; write `10.0.0.0/8` or `10.0.0.0/8 via 192.0.2.1`") };
    let (destination, via) = match text.split_once(" via ") {
        Some((destination, via)) => (destination, Some(via.trim().parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let (address, prefix) = destination.trim().split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(wrong)?;
    Ok(Wanted { text: text.to_owned(), destination: format!("{address}/{prefix}"), via })
}

/// The default route that is used: that of the least metric.
fn default_of(routes: &[Entry]) -> Option<&Entry> {
    routes.iter().filter(|route| route.is_default()).min_by_key(|route| route.metric)
}

fn place(route: Option<&Entry>) -> String {
    match route {
        None => "none".to_owned(),
        Some(Entry { via: Some(via), interface, .. }) => format!("via {via} on {interface}"),
        Some(Entry { interface, .. }) => format!("on {interface}"),
    }
}

impl Route {
    fn observe(&self, v4: &[Entry], v6: &[Entry]) -> Observation {
        let (default, default6) = (default_of(v4), default_of(v6));
        let is_there = |wanted: &&Wanted| {
            v4.iter().chain(v6).any(|route| {
                route.destination() == wanted.destination && (wanted.via.is_none() || route.via == wanted.via)
            })
        };
        let missing: Vec<String> =
            self.wanted.iter().filter(|wanted| !is_there(wanted)).map(|wanted| wanted.text.clone()).collect();
        let gateway = default.and_then(|route| route.via);
        let fits = self.gateway.is_none_or(|wanted| gateway == Some(wanted));
        let mut text = format!("default route {}", place(default));
        if self.ipv6 || default6.is_some() {
            text.push_str(&format!(", of IPv6 {}", place(default6)));
        }
        if let Some(wanted) = self.gateway.filter(|_| !fits) {
            text.push_str(&format!("; not via {wanted}"));
        }
        if !missing.is_empty() {
            text.push_str(&format!("; missing: {}", missing.join(", ")));
        }
        Observation::observed(text)
            .fact("default", Value::Bool(default.is_some()))
            .fact("default6", Value::Bool(default6.is_some()))
            .fact("wants6", Value::Bool(self.ipv6))
            .fact("gateway", gateway.map_or_else(String::new, |via| via.to_string()))
            .fact("gateway_fits", Value::Bool(fits))
            .fact("interface", default.map_or_else(String::new, |route| route.interface.clone()))
            .fact("missing", missing)
            .fact("routes", v4.len() + v6.len())
            .measure("routes", (v4.len() + v6.len()) as f64, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::SimView;
    use crate::testing::{build, env, run_on_files, text};

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    #[tokio::test]
    async fn lost_and_wrong_routes_are_told() {
        let row = "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let net = "eth0\t0000000A\t0202A8C0\t0003\t0\t0\t100\t000000FF\t0\t0\t0\n";
        let all = format!("{HEAD}{row}{net}");
        let run = async |params: &str, table: &str| {
            run_on_files("route", params, &[("/proc/net/route", table)]).await.expect("observed")
        };
        let seen = run(r#"{"gateway":"192.168.2.1","routes":["10.0.0.0/8 via 192.168.2.2"]}"#, &all).await;
        assert_eq!(
            (text(&seen, "default"), text(&seen, "gateway_fits"), text(&seen, "missing")),
            ("true".into(), "true".into(), "[]".into())
        );
        let seen = run(r#"{"gateway":"192.168.2.9","routes":["10.0.0.0/8 via 192.168.2.1","fd00::/8"]}"#, &all).await;
        assert_eq!(
            (text(&seen, "gateway_fits"), text(&seen, "missing")),
            ("false".into(), "[10.0.0.0/8 via 192.168.2.1, fd00::/8]".into())
        );
        let seen = run("{}", &format!("{HEAD}{net}")).await;
        assert_eq!((text(&seen, "default"), text(&seen, "gateway")), ("false".into(), String::new()));
    }

    #[test]
    fn a_route_is_written_one_way() {
        let blind = env(Arc::new(SimView::new()));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/8 via y"] {
            assert!(build("route", &format!(r#"{{"routes":["{bad}"]}}"#), &blind).is_err(), "{bad}");
        }
    }
}
