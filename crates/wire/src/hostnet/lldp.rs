//! `lldpcli -f json show neighbors` (lldpd): which port of which switch each interface is cabled to.

use serde_json::Value;

use crate::tool_json::{self, JsonError};

/// What one interface heard.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Neighbor {
    pub interface: String,
    /// Name of the switch, else its chassis id.
    pub switch: String,
    /// Chassis id, which names the same device whatever it calls itself.
    pub chassis: String,
    pub port: String,
    /// `Bridge`, `Router`, `Station`: what it says that it is.
    pub is_switch: bool,
}

/// Every neighbour, by interface.
///
/// # Errors
/// It is not what `lldpcli` prints.
pub fn parse(text: &str) -> Result<Vec<Neighbor>, JsonError> {
    let document: Value = tool_json::document(text)?;
    let Some(lldp) = document.get("lldp") else { return Err(JsonError::Shape("no `lldp` in it".to_owned())) };
    let mut neighbors = Vec::new();
    // One neighbour is an object, several are a list of objects.
    for entry in many(lldp.get("interface")) {
        for (interface, heard) in entry.as_object().into_iter().flatten() {
            for heard in many(Some(heard)) {
                neighbors.push(read(interface, heard));
            }
        }
    }
    neighbors.sort();
    neighbors.dedup();
    Ok(neighbors)
}

fn many(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

fn read(interface: &str, heard: &Value) -> Neighbor {
    let chassis = heard.get("chassis").and_then(Value::as_object);
    // Under the name of the system; a system without a name has its members directly there.
    let named = chassis.and_then(|chassis| {
        let (name, inside) = chassis.iter().find(|(key, inside)| inside.is_object() && key.as_str() != "id")?;
        (inside.get("id").is_some()).then_some((name.as_str(), inside))
    });
    let inside = named.map(|(_, inside)| inside).or_else(|| heard.get("chassis"));
    let id = inside.map(|inside| id_of(inside.get("id"))).unwrap_or_default();
    let capabilities = inside.map(|inside| many(inside.get("capability"))).unwrap_or_default();
    let is = |capability: &&Value| {
        let kind = capability.get("type").and_then(Value::as_str).unwrap_or_default();
        let enabled = capability.get("enabled").and_then(Value::as_bool).unwrap_or(false);
        enabled && matches!(kind, "Bridge" | "Router")
    };
    let port = heard.get("port");
    let port_id = port.map(|port| id_of(port.get("id"))).unwrap_or_default();
    let description = port.and_then(|port| port.get("descr")?.as_str()).unwrap_or_default();
    Neighbor {
        interface: interface.to_owned(),
        switch: named.map_or_else(|| id.clone(), |(name, _)| name.to_owned()),
        chassis: id,
        port: if port_id.is_empty() { description.to_owned() } else { port_id },
        is_switch: capabilities.iter().any(is),
    }
}

fn id_of(id: Option<&Value>) -> String {
    id.and_then(|id| id.get("value")?.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In the shape of lldpd 1.0's `json` writer.
    const TWO: &str = r#"{"lldp": {"interface": [
        {"eth0": {"via": "LLDP", "rid": "1", "age": "0 day, 00:01:02",
          "chassis": {"sw1": {"id": {"type": "mac", "value": "00:1b:21:aa:bb:01"}, "descr": "Switch OS 1",
            "mgmt-ip": "10.0.0.1", "capability": [{"type": "Bridge", "enabled": true}, {"type": "Router", "enabled": false}]}},
          "port": {"id": {"type": "ifname", "value": "Gi1/0/1"}, "descr": "to nc1", "ttl": "120"}}},
        {"eth1": {"via": "LLDP", "rid": "2",
          "chassis": {"id": {"type": "mac", "value": "00:1b:21:aa:bb:02"}},
          "port": {"id": {"type": "local", "value": "17"}}}}
    ]}}"#;

    #[test]
    fn named_and_nameless_switches_are_told_apart() {
        let found = parse(TWO).expect("read");
        let brief: Vec<_> = found.iter().map(|n| (n.interface.as_str(), n.switch.as_str(), n.port.as_str())).collect();
        assert_eq!(brief, [("eth0", "sw1", "Gi1/0/1"), ("eth1", "00:1b:21:aa:bb:02", "17")]);
        assert_eq!((found[0].is_switch, found[1].is_switch), (true, false));
        assert_eq!(found[0].chassis, "00:1b:21:aa:bb:01");
    }

    #[test]
    fn one_neighbour_is_no_list_and_none_is_none() {
        let one = r#"{"lldp":{"interface":{"eth0":{"chassis":{"sw1":{"id":{"value":"x"}}},"port":{"descr":"p"}}}}}"#;
        let found = parse(one).expect("read");
        assert_eq!((found.len(), found[0].port.as_str()), (1, "p"));
        assert_eq!(parse(r#"{"lldp":{}}"#), Ok(Vec::new()));
        assert!(parse("{}").is_err() && parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_and_any_cut_is_read_without_panic(text in "\\PC{0,200}", cut in 0usize..900) {
            let _ = parse(&text);
            let _ = parse(TWO.get(..cut).unwrap_or(TWO));
        }
    }
}
