//! Fuzz targets of the program: probes, configuration, journal, web and the demo's servers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use stentor::agent::order;
use stentor::config::{self, Diagnostics, Pack};
use stentor::demo::{mailbox, port};
use stentor::journal::codec;
use stentor::nagios::passive;
use stentor::probes::exec::{self, CommandLine};
use stentor::probes::icmp::{Family, echo_reply};
use stentor::probes::{bonding, heartbeat, load, local_view, mdstat, memory, mount, tls};
use stentor::traps::facts::Facts;
use stentor::traps::standing::{Said, Standing};
use stentor::web::api::dto;
use stentor::web::filter::Filter;
use stentor_core::engine::checkpoint::Checkpoint;
use stentor_core::model::{Observation, ServiceState, Value};
use stentor_core::{Span, Timestamp};
use stentor_wire::snmp::trap::Trap;
use stentor_wire::snmp::{Oid, SnmpValue, VarBind};

/// Name and entry of a target.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("mdstat", |data| drop(mdstat::parse_mdstat(&text(data)))),
    ("bonding", |data| drop(bonding::parse_bonding(&text(data)))),
    ("proc", proc),
    ("heartbeat", |data| drop(heartbeat::parse_heartbeat(&text(data)))),
    ("ping_reply", ping_reply),
    ("certificate", |data| _ = tls::not_after(data)),
    ("command_line", |data| drop(CommandLine::parse(&text(data)))),
    ("plugin_result", |data| drop(exec::observation(ServiceState::Ok, data))),
    ("filter", filter),
    ("config", config),
    ("journal", journal),
    ("checkpoint", |data| drop(postcard::from_bytes::<Checkpoint>(data))),
    ("value", value),
    ("api_results", api_results),
    ("api_agent", api_agent),
    ("agent_orders", agent_orders),
    ("api_commands", api_commands),
    ("traps", traps),
    ("smtp_sink", smtp_sink),
    ("http_port", http_port),
];

fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

fn all_finite(seen: &Observation) -> bool {
    seen.facts.iter().filter_map(|(_, value)| value.number()).all(f64::is_finite)
        && seen.measurements.iter().filter_map(|measured| measured.value).all(f64::is_finite)
}

fn proc(data: &[u8]) {
    let text = text(data);
    local_view::read_tables(&text);
    assert!(mount::parse_fstab(&text).iter().all(|wanted| wanted.point.starts_with('/')));
    assert!(memory::read(&text).is_none_or(|seen| all_finite(&seen)), "meminfo");
    assert!(load::read(&text, &text).is_none_or(|seen| all_finite(&seen)), "loadavg");
}

fn ping_reply(data: &[u8]) {
    let _ = (echo_reply(Family::V4, data, *b"stentor!"), echo_reply(Family::V6, data, *b"stentor!"));
}

fn filter(data: &[u8]) {
    let filter = Filter::parse(&text(data));
    for index in 0..filter.terms.len() {
        let _ = filter.without(index);
    }
    let again = Filter::parse(&filter.with("host:x"));
    assert!(again.terms.len() <= filter.terms.len() + 1, "a term falls apart when it is written again");
}

fn config(data: &[u8]) {
    static PACKS: OnceLock<Vec<Pack>> = OnceLock::new();
    let packs = PACKS.get_or_init(|| config::pack::load(&[], &mut Diagnostics::default()));
    let found = config::read_alone(&text(data), packs);
    for finding in found.findings.iter().take(20) {
        let _ = found.render(finding);
    }
}

fn journal(data: &[u8]) {
    let _ = codec::decode(data, &BTreeMap::new());
    let _ = codec::catalogs_of(data);
    let _ = codec::decode_catalog(data);
}

/// What comes in as JSON or from a journal can go the other way and back.
fn value(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let bytes = postcard::to_allocvec(&value).expect("a value can be journalled");
        assert_eq!(postcard::from_bytes::<Value>(&bytes).as_ref(), Ok(&value), "the journal reads what came in");
    }
    if let Ok(value) = postcard::from_bytes::<Value>(data) {
        let _ = (value.to_string(), serde_json::to_string(&value), value.overlaid(&value));
    }
}

fn api_results(data: &[u8]) {
    let Ok(requests) = serde_json::from_slice::<Vec<dto::ResultRequest>>(data) else { return };
    for request in requests {
        let _ = passive::of_host(request.code, &request.output);
        assert!(all_finite(&passive::of_service(request.code, &request.output)));
        let _ = request.observed_at.map(|when| when.instant());
    }
}

/// What an agent takes for orders keeps its limits.
fn agent_orders(data: &[u8]) {
    let Ok(orders) = order::read(data) else { return };
    for order in &orders.orders {
        assert!(order.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "an id that is no name");
        let _ = order.limits();
    }
}

fn api_agent(data: &[u8]) {
    let Ok(push) = serde_json::from_slice::<dto::AgentPush>(data) else { return };
    for result in push.results {
        let _ = result.observed_at.instant();
        let kept = Arc::new(passive::bound(result.observation));
        let bytes = postcard::to_allocvec(&kept).expect("an observation can be journalled");
        assert!(postcard::from_bytes::<Observation>(&bytes).is_ok(), "the journal reads what an agent pushed");
    }
}

fn api_commands(data: &[u8]) {
    let _ = serde_json::from_slice::<dto::DowntimeRequest>(data);
    let _ = serde_json::from_slice::<dto::NoteRequest>(data);
}

/// A trap whose numbers and objects the bytes choose, through the rules that are built in: what then stands is read back.
fn traps(data: &[u8]) {
    static RULES: OnceLock<Arc<[config::traps::TrapRule]>> = OnceLock::new();
    let load = || config::load_text("", std::path::Path::new("stentor.toml")).expect("nothing is a configuration");
    let rules = RULES.get_or_init(|| load().trap_rules);
    const ROOTS: [&[u32]; 4] =
        [&[1, 3, 6, 1, 6, 3, 1, 1, 5], &[1, 3, 6, 1, 2, 1, 33, 2], &[1, 3, 6, 1, 4, 1, 3183, 1, 1, 0], &[1, 3]];
    let [root, last, version, rest @ ..] = data else { return };
    let oid = |byte: u8, last: u32| Oid::new(ROOTS[usize::from(byte) % ROOTS.len()]).join(&[last]);
    let bind = |chunk: &[u8]| {
        let byte = |at: usize| chunk.get(at).copied().unwrap_or(0);
        let value = match byte(1) % 3 {
            0 => SnmpValue::Integer(i64::from(byte(2)) - 128),
            1 => SnmpValue::Float(f64::from(f32::from_bits(u32::from_be_bytes([byte(2), byte(3), byte(4), byte(5)])))),
            _ => SnmpValue::Bytes(chunk.to_vec()),
        };
        VarBind { oid: oid(byte(0), u32::from(byte(6))), value }
    };
    let specific = u32::from(*last) << 16 | u32::from(*version) << 8 | u32::from(root.wrapping_mul(31));
    let binds = rest.chunks(60).map(bind).collect();
    let trap =
        Trap { version: version % 4, is_inform: false, oid: oid(*root, specific), up_time: 0, agent: None, binds };
    let facts = Facts::of(&trap, [10, 0, 0, 1].into());
    let mut standing = Standing::default();
    for rule in rules.iter() {
        let Some(seen) = facts.seen_by(rule, &trap, "sw1") else { continue };
        let state = rule.state.unwrap_or(ServiceState::Unknown);
        let said =
            Said { key: seen.fill(&rule.key), state, text: seen.fill(&rule.text), lasts: Some(Span::from_secs(9)) };
        assert!(!said.text.chars().any(char::is_control), "{said:?}");
        standing.take(said, Timestamp::from_secs(1));
    }
    let kept = standing.observation();
    assert_eq!(Standing::read(&kept).map(|again| again.observation().facts), Some(kept.facts), "it is read back");
}

/// Runs a server over bytes at hand. Nothing in it waits, so one poll is the whole session.
fn served<F: Future>(session: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
    runtime.block_on(async { drop(session.await) });
}

fn smtp_sink(data: &[u8]) {
    let mailbox = mailbox::Mailbox::default();
    served(mailbox::session(tokio::io::join(data, tokio::io::sink()), &mailbox));
    assert!(mailbox.all().iter().all(|mail| mail.raw.len() <= 1 << 20));
}

fn http_port(data: &[u8]) {
    let page = port::Page { path: "/", status: 200, body: "here\n".to_owned() };
    served(port::http(&mut tokio::io::join(data, tokio::io::sink()), &page));
}
