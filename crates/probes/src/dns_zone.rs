//! `dns_zone`: all name servers of a zone at once: who serves it, with which serial, and until when its signatures hold.

use std::sync::Arc;

use futures_util::future::join_all;
use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::dns::{Answer, Question, RecordType, code_word, is_newer};

use super::dns::{Asking, Heard, Silence};
use super::look::ahead_of;
use super::talk::shown;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct DnsZone {
    env: ProbeEnv,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another server than the host, to ask for the servers of the zone.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "dns_port")]
    pub port: u16,
    /// `example.org`.
    pub zone: String,
    /// Name servers, as `ns1.example.org`, `192.0.2.53` or with a port; those that the zone names if empty.
    #[serde(default)]
    pub servers: Vec<String>,
}

fn dns_port() -> u16 {
    53
}

/// Servers of one zone; the root has 13.
const SERVERS_MAX: usize = 32;
/// Number of the type SOA, as signatures name it.
const SOA: u16 = 6;

impl Probe for DnsZone {
    const KIND: &'static str = "dns_zone";
    const DOC: &'static str = include_str!("../../../docs/probes/dns_zone.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `dns_zone`: {why}") };
        if config.port == 0 || config.servers.iter().any(|server| place(server, 53).is_none()) {
            return Err(refuse("a server is a name or an address, and there is no port 0".into()));
        }
        if config.servers.len() > SERVERS_MAX {
            return Err(refuse(format!("it has at most {SERVERS_MAX} servers")));
        }
        let zone = DnsZone { env: env.clone(), config };
        zone.question(RecordType::Soa).encode().map_err(|e| refuse(e.to_string()))?;
        Ok(zone)
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let servers = if self.config.servers.is_empty() {
            match self.named(target, deadline).await? {
                Ok(servers) => servers,
                Err(Silence { word, why }) => {
                    let text = format!("{}: its servers are not known: {why}", self.config.zone);
                    return Ok(Observation::observed(text).fact("dns_zone", word));
                }
            }
        } else {
            self.config.servers.clone()
        };
        let asked = servers.iter().map(|server| self.ask(server, target, deadline));
        let heard: Vec<Server> = join_all(asked).await;
        Ok(self.observe(&heard))
    }
}

/// Address and port of a server: `192.0.2.53`, `ns1:5353`, `[2001:db8::1]:53`.
fn place(server: &str, usual: u16) -> Option<(&str, u16)> {
    if let Some(rest) = server.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port = if port.is_empty() { Some(usual) } else { port.strip_prefix(':')?.parse().ok() };
        return port.filter(|port| *port != 0).map(|port| (address, port));
    }
    match server.split_once(':') {
        Some((name, port)) if !port.contains(':') => {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some((name, port)).filter(|(name, _)| !name.is_empty())
        }
        _ => Some((server, usual)).filter(|(name, _)| !name.is_empty()),
    }
}

/// What one server says.
struct Server {
    name: String,
    said: Result<Said, String>,
}

struct Said {
    is_authoritative: bool,
    serial: Option<u32>,
    /// Seconds until the first signature of the SOA ends.
    signature_left_s: Option<i64>,
    word: &'static str,
}

impl DnsZone {
    fn question(&self, kind: RecordType) -> Question {
        let wants_recursion = kind == RecordType::Ns;
        Question { id: 0, name: self.config.zone.clone(), kind, wants_recursion, wants_signatures: !wants_recursion }
    }

    /// The servers that the zone names.
    async fn named(&self, target: &Target, deadline: Deadline) -> Result<Result<Vec<String>, Silence>, ProbeError> {
        let asking = Asking { net: &self.env.net, port: self.config.port, question: self.question(RecordType::Ns) };
        let Heard { addr, answer, .. } = asking.ask(target, deadline).await?;
        Ok(answer.and_then(|answer| {
            let names = answer.records.iter().filter(|record| record.kind == RecordType::Ns);
            let names: Vec<String> = names.map(|record| record.data.clone()).take(SERVERS_MAX).collect();
            match code_word(answer.code) {
                "ok" if names.is_empty() => Err(Silence { word: "no_data", why: format!("{addr} knows none") }),
                "ok" => Ok(names),
                word => Err(Silence { word, why: format!("{addr} says {word}") }),
            }
        }))
    }

    /// One server; a name of it that does not resolve is the zone's trouble, not ours.
    async fn ask(&self, server: &str, target: &Target, deadline: Deadline) -> Server {
        let name = shown(server);
        let Some((address, port)) = place(server, self.config.port) else {
            return Server { name, said: Err("no server's name".into()) };
        };
        let at = target.at(Some(&Arc::from(address)));
        let asking = Asking { net: &self.env.net, port, question: self.question(RecordType::Soa) };
        let said = match asking.ask(&at, deadline).await {
            Err(error) => Err(error.to_string()),
            Ok(Heard { answer: Err(silence), .. }) => Err(silence.why),
            Ok(Heard { answer: Ok(answer), .. }) => Ok(self.said(&answer)),
        };
        Server { name, said }
    }

    fn said(&self, answer: &Answer) -> Said {
        let now_s = self.env.clock.now().as_secs();
        let ends = answer.records.iter().filter_map(|record| record.signature).filter(|sign| sign.covers == SOA);
        Said {
            is_authoritative: answer.is_authoritative,
            serial: answer.records.iter().find_map(|record| record.serial),
            signature_left_s: ends.map(|sign| sign.left_s(now_s)).min(),
            word: code_word(answer.code),
        }
    }

    fn observe(&self, servers: &[Server]) -> Observation {
        let said: Vec<(&str, &Said)> =
            servers.iter().filter_map(|server| Some((server.name.as_str(), server.said.as_ref().ok()?))).collect();
        let silent: Vec<String> =
            servers.iter().filter_map(|s| Some(format!("{}: {}", s.name, s.said.as_ref().err()?))).collect();
        // A server that the zone names and that does not serve it.
        let lame = said.iter().filter(|(_, said)| !said.is_authoritative || said.serial.is_none());
        let lame: Vec<String> = lame.map(|(name, said)| format!("{name}: {}", said.word)).collect();
        let serials: Vec<(&str, u32)> = said
            .iter()
            .filter(|(_, said)| said.is_authoritative)
            .filter_map(|(name, said)| Some((*name, said.serial?)))
            .collect();
        let newest = serials.iter().map(|(_, serial)| *serial).reduce(|a, b| if is_newer(b, a) { b } else { a });
        let behind = serials.iter().filter(|(_, serial)| newest.is_some_and(|newest| is_newer(newest, *serial)));
        let behind: Vec<String> = behind.map(|(name, serial)| format!("{name}: {serial}")).collect();
        let mut parts = vec![format!("{}: {} of {} servers serve it", self.config.zone, serials.len(), servers.len())];
        if let Some(newest) = newest {
            parts.push(format!("serial {newest}"));
        }
        for (names, words) in [(&silent, "silent"), (&lame, "lame"), (&behind, "behind")] {
            if !names.is_empty() {
                parts.push(format!("{words} {}", shown(&names.join(", "))));
            }
        }
        let word = if !serials.is_empty() {
            "ok"
        } else if said.is_empty() {
            "timeout"
        } else {
            "lame"
        };
        let mut seen = Observation::observed("").fact("dns_zone", word).fact("servers", servers.len());
        seen = seen.fact("serving", serials.len()).fact("agree", behind.is_empty());
        let listed: Vec<String> = serials.iter().map(|(name, serial)| format!("{name}: {serial}")).collect();
        seen = seen.fact("serials", listed).fact("silent", silent).fact("lame", lame).fact("behind", behind);
        if let Some(newest) = newest {
            seen = seen.fact("serial", newest).measure("serial", f64::from(newest), "");
        }
        seen = signatures(seen, &said, &mut parts);
        Observation { text: parts.join(", ").into(), ..seen }
    }
}

fn signatures(seen: Observation, said: &[(&str, &Said)], parts: &mut Vec<String>) -> Observation {
    let left = said.iter().filter_map(|(_, said)| said.signature_left_s).min();
    let Some(left) = left else { return seen.fact("signed", false) };
    let days = left.div_euclid(86_400);
    parts.push(format!("signatures hold for {days} days"));
    // A copy without signatures fails for everybody who verifies.
    let unsigned = said.iter().filter(|(_, said)| said.serial.is_some() && said.signature_left_s.is_none());
    let unsigned: Vec<String> = unsigned.map(|(name, _)| (*name).to_owned()).collect();
    let seen = seen.fact("signed", true).fact("unsigned", unsigned).fact("signature_days_left", days);
    seen.fact("signature_left_s", left).measure("signature_days_left", days as f64, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_names_addresses_and_ports() {
        for (server, meant) in [
            ("ns1.example.org", Some(("ns1.example.org", 53))),
            ("192.0.2.1:5353", Some(("192.0.2.1", 5353))),
            ("2001:db8::1", Some(("2001:db8::1", 53))),
            ("[2001:db8::1]:5353", Some(("2001:db8::1", 5353))),
            ("[2001:db8::1]", Some(("2001:db8::1", 53))),
            ("a:0", None),
            ("a:x", None),
            ("", None),
            (":53", None),
        ] {
            assert_eq!(place(server, 53), meant, "{server}");
        }
    }
}
