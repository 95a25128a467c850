//! Fuzz targets of the pure crates. One ordinary function each; a finding is a panic.

#[path = "small_world.rs"]
mod small_world;

use std::sync::{Arc, OnceLock};

use stentor_core::availability::{Expr as Availability, Known, State, ground};
use stentor_core::catalog::Timeperiod;
use stentor_core::diagnosis::Topology;
use stentor_core::id::TimeperiodId;
use stentor_core::macros::facts::{ProgramFacts, World};
use stentor_core::macros::{
    CommandCall, Context, EnvironmentSize, Options, environment, expand, expand_command, expand_command_held,
};
use stentor_core::model::{Observation, ServiceState, Value};
use stentor_core::policy::glob_matches;
use stentor_core::rules::{Expr, Rule, judge};
use stentor_core::timeperiod::{self, Line};
use stentor_core::whatif::Element;
use stentor_core::{Span, Timestamp};
use stentor_wire::ipmi::bmc::{Arrival, BmcSetup, BmcSide, BmcUser, ManagedSystem, Reply};
use stentor_wire::ipmi::chassis::{GetPowerOnHours, GetRestartCause, GetSelTime, GetSelUtcOffset, GetWatchdogTimer};
use stentor_wire::ipmi::command::{
    Command, GetAuthCapabilities, GetChassisStatus, GetDeviceId, GetReadingFactors, GetSdr, GetSdrInfo, GetSelEntry,
    GetSelInfo, GetSensorReading, ReserveSdr,
};
use stentor_wire::ipmi::console::{Credentials, Handshake, Progress, SessionRequest, UserLookup};
use stentor_wire::ipmi::dcmi::{GetCapabilities, GetPowerLimit, GetPowerReading};
use stentor_wire::ipmi::device_sdr::{GetDeviceSdrInfo, ReserveDeviceSdr};
use stentor_wire::ipmi::fru::{GetFruInfo, Inventory, MultiRecord, ReadFru};
use stentor_wire::ipmi::pet::Pet;
use stentor_wire::ipmi::sdr::{SdrRecord, SensorKey};
use stentor_wire::ipmi::sel::SelRecord;
use stentor_wire::ipmi::setup::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4};
use stentor_wire::ipmi::{Privilege, Request, Response, Suite, bridge, packet};
use stentor_wire::nagios::finding::Findings;
use stentor_wire::nagios::load::{self, Files};
use stentor_wire::nagios::main_config::MainConfig;
use stentor_wire::nagios::range::Range;
use stentor_wire::nagios::resource::Resources;
use stentor_wire::nagios::{external_command, objects, output, perfdata, retention};
use stentor_wire::raid::{arcconf, megacli, ssacli, storcli};
use stentor_wire::snmp::interfaces::{Choice, NAMING, NARROW, READING, Rates, Table};
use stentor_wire::snmp::responder::Responder;
use stentor_wire::snmp::walk::Walk;
use stentor_wire::snmp::{Oid, SnmpValue, VarBind, array, entity, environment, host, lag, neighbours, pdu, stack, ups};
use stentor_wire::sql::{gtid, mysql, postgres, scram};
use stentor_wire::{
    backup, ceph, cloudstack, containers, dns, drbd, drill, euca, exposition, gluster, greeting, hostnet, iscsi,
    journey, ldap, lvm, manifest, multipath, nats, nrpe, ntp, nut, openstack, ovn, proxmox, rabbitmq, redfish, redis,
    riak, smartctl, tool_json, xml, zpool,
};

/// Name and entry of a target.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("plugin_output", plugin_output),
    ("perfdata", perfdata),
    ("range", range),
    ("external_command", external_command),
    ("nagios_objects", nagios_objects),
    ("nagios_main_config", nagios_main_config),
    ("nagios_retention", nagios_retention),
    ("nrpe", nrpe),
    ("backup", backup),
    ("euca", euca),
    ("nut", nut),
    ("exposition", exposition),
    ("redfish", redfish),
    ("redis", redis),
    ("greeting", greeting),
    ("containers", containers),
    ("journey", journey),
    ("ldap", ldap),
    ("mysql", mysql),
    ("nats", nats),
    ("openstack", openstack),
    ("postgres", postgres),
    ("proxmox", proxmox),
    ("rabbitmq", rabbitmq),
    ("ntp", ntp),
    ("dns", dns),
    ("ipmi_fru", ipmi_fru),
    ("ipmi_packet", ipmi_packet),
    ("ipmi_session", ipmi_session),
    ("ipmi_sdr", ipmi_sdr),
    ("ipmi_sel", ipmi_sel),
    ("ipmi_answer", ipmi_answer),
    ("ipmi_pet", ipmi_pet),
    ("snmp", snmp),
    ("drbd", drbd),
    ("ceph", ceph),
    ("cloudstack", cloudstack),
    ("gluster", gluster),
    ("host_network", host_network),
    ("iscsi", iscsi),
    ("lvm", lvm),
    ("multipath", multipath),
    ("ovn", ovn),
    ("raid", raid),
    ("riak", riak),
    ("smartctl", smartctl),
    ("tool_json", tool_json),
    ("xml", xml),
    ("zpool", zpool),
    ("expr", expr),
    ("availability", availability),
    ("time", time),
    ("glob", glob),
    ("timeperiod", timeperiod),
    ("macros", macros),
];

/// Four bytes are the trap's number, the rest is what it carries.
fn ipmi_pet(data: &[u8]) {
    let Some((specific, fields)) = data.split_first_chunk::<4>() else { return };
    let Ok(pet) = Pet::decode(u32::from_be_bytes(*specific), fields) else { return };
    assert!(fields.len() >= 46 && !pet.key().is_empty(), "{pet:?}");
    assert!(!pet.text().is_empty() && !pet.text().chars().any(char::is_control), "{pet:?}");
    let _ = pet.weight();
}

/// Identifiers as text, and tables and counters from values that an agent could send.
fn snmp(data: &[u8]) {
    if let Ok(oid) = String::from_utf8_lossy(data).parse::<Oid>() {
        assert_eq!(oid.to_string().parse::<Oid>().as_ref(), Ok(&oid), "what is printed is read again");
    }
    let binds = snmp_answers(data);
    let _ = ups::read(&binds);
    snmp_boxes(&binds);
    snmp_walk(&binds);
    let objects = binds.iter().map(|bind| (bind.oid.clone(), bind.value.clone())).collect();
    let responder = Responder { community: b"public", objects: &objects, answer_bytes_max: 1400 };
    let _ = responder.answer(data);
    let (mut before, mut after) = (Table::default(), Table::default());
    for (i, bind) in binds.into_iter().enumerate() {
        let shown = bind.value.text().unwrap_or_default();
        assert!(!shown.chars().any(char::is_control) && bind.value.number().is_none_or(f64::is_finite), "{bind:?}");
        if i % 2 == 0 { before.add(bind) } else { after.add(bind) }
    }
    for (before, after) in before.interfaces().iter().zip(&after.interfaces()) {
        let rates = Rates::between(before, after, 30.0);
        let all = [rates.in_bps, rates.out_bps, rates.in_pct, rates.out_pct, rates.in_errors, rates.out_discards];
        assert!(all.into_iter().flatten().all(|rate| rate.is_finite() && rate >= 0.0), "{rates:?}");
        assert!(Choice::default().takes(after) && !after.name.is_empty());
    }
}

/// Whole boxes of the same cells: what they are made of must hold together.
fn snmp_boxes(binds: &[VarBind]) {
    for lag in lag::read(binds) {
        assert!(lag.active() <= lag.ports.len(), "{lag:?}");
    }
    let names = entity::names(binds);
    assert!(entity::sensors(binds).working.iter().all(|one| one.value.is_finite()));
    assert!(entity::names_wanted(binds).len() <= 2 * binds.len());
    let _ = (environment::read(binds, &names), neighbours::read(binds, &names), neighbours::learned(binds, &names));
    assert!(stack::read(binds, 3).members.len() >= 3);
    assert!(pdu::read(binds).watts.is_none_or(f64::is_finite));
    assert!(host::read(binds).storage.iter().all(|one| (0.0..=100.0).contains(&one.used_pct)));
    let array = array::read(binds);
    assert!(array.ports_failed.len() <= array.ports);
}

/// The cells as answers of one each: a walk must end, or say why not.
fn snmp_walk(binds: &[VarBind]) {
    let roots: Vec<Oid> = READING.iter().map(|column| column.root()).collect();
    let mut walk = Walk::new(&roots, 5, 10);
    for bind in binds {
        if walk.ask().is_none() || walk.take(vec![bind.clone()]).is_err() {
            break;
        }
    }
    assert!(walk.into_found().len() <= 5 * roots.len());
}

/// Eight bytes choose object and kind of each value, the rest is in it.
fn snmp_answers(data: &[u8]) -> Vec<VarBind> {
    let columns = [READING.as_slice(), NAMING.as_slice(), NARROW.as_slice()].concat();
    let boxes = [
        ups::columns(),
        lag::columns(),
        neighbours::columns(),
        neighbours::address_columns(),
        stack::columns(),
        entity::columns(),
        entity::sensor_columns(),
        environment::columns(),
        pdu::columns(),
        host::columns(),
        host::process_columns(),
        array::columns(),
    ];
    let cells = boxes.concat().into_iter().map(|root| root.join(&[1]));
    let scalars: Vec<Oid> =
        ups::scalars().into_iter().chain(stack::scalars()).chain(pdu::scalars()).chain(cells).collect();
    let one = |chunk: &[u8]| {
        let byte = |at: usize| chunk.get(at).copied().unwrap_or(0);
        let pick = usize::from(byte(0));
        let oid = match columns.get(pick % (columns.len() + scalars.len())) {
            Some(column) => column.of(u32::from(byte(1) % 3)),
            None => scalars[pick % scalars.len()].clone(),
        };
        let number = chunk.iter().skip(2).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let value = match byte(1) % 8 {
            0 => SnmpValue::Integer(number as i64),
            1 => SnmpValue::Gauge(number),
            2 => SnmpValue::Counter32(number as u32),
            3 => SnmpValue::Counter64(number),
            4 => SnmpValue::Ticks(number as u32),
            5 => SnmpValue::Float(f64::from_bits(number)),
            6 => SnmpValue::Bytes(chunk.to_vec()),
            _ => SnmpValue::Oid(Oid::new(&[1, 3, number as u32])),
        };
        VarBind { oid, value }
    };
    data.chunks(10).map(one).collect()
}

fn nagios_retention(data: &[u8]) {
    let file = retention::parse(data);
    for block in &file.blocks {
        let _ = (block.variables().count(), block.history());
        assert!(block.fields.iter().all(|(key, value)| !key.is_empty() && !value.contains('\n')));
    }
    let text = String::from_utf8_lossy(data);
    assert_eq!(retention::unescape(&retention::escape(&text)), text, "what is escaped comes back");
}

fn nrpe(data: &[u8]) {
    let wanted = nrpe::packet_bytes(data);
    if let Ok(packet) = nrpe::Packet::decode(data) {
        assert_eq!(wanted, Ok(data.len()));
        // A query of others may be shorter than ours, and version 2 has a filler of any bytes.
        let again = packet.encode().expect("what was read can be written");
        assert_eq!(nrpe::Packet::decode(&again), Ok(packet));
    }
}

fn backup(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let artifacts = backup::parse_listing(&text);
    assert!(artifacts.windows(2).all(|pair| pair[0].at_s >= pair[1].at_s), "{artifacts:?}");
    let _ = (backup::median(artifacts.iter().map(|artifact| artifact.bytes).collect()), backup::parse_mark(&text));
    let manifest = manifest::parse(&text);
    assert!(manifest::differences(&manifest, &manifest).is_empty());
    let records = drill::Records::parse(&text);
    let again: String = records.drills.iter().map(drill::Drill::line).collect();
    assert_eq!(drill::Records::parse(&again).drills, records.drills);
}

fn euca(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut services = euca::parse_services(&text);
    euca::join_hosts(&mut services, &euca::parse_old_services(&text));
    assert!(services.iter().all(|service| !service.state.is_empty()));
    let _ = (euca::parse_events(&text), euca::parse_nodes(&text), euca::parse_faults(&text));
    let properties = euca::parse_properties(&text);
    let printed: String =
        properties.iter().filter(|(_, v)| !v.contains('\n')).map(|(k, v)| format!("{k} = {v}\n")).collect();
    assert!(euca::parse_properties(&printed).len() <= properties.len());
}

fn nut(data: &[u8]) {
    for line in String::from_utf8_lossy(data).lines() {
        if let Some(nut::Line::Var { ups, name, value }) = nut::parse_line(line) {
            let _ = nut::Status::parse(&value).power();
            let [quoted_ups, quoted_name, quoted_value] = [&ups, &name, &value].map(|word| nut::quoted(word));
            let again = nut::parse_line(&format!("VAR {quoted_ups} {quoted_name} {quoted_value}"));
            let is_long = ups.len() + name.len() + value.len() > 1024;
            assert!(is_long || line.contains('\r') || again == Some(nut::Line::Var { ups, name, value }), "{line:?}");
        }
    }
}

/// Resources through every reader, and events; what a link leads to lies within the service.
fn redfish(data: &[u8]) {
    use redfish::storage::{Controller, Drive, Pool, Storage, Volume};
    use redfish::{Node, Vendor, event, log, members, next_page, power, service, system, thermal};
    let _ = (redfish::error_text(data), event::Event::parse(data).map(|event| event.worst().cloned()));
    let Ok(value) = redfish::parse(data) else { return };
    let node = Node::of(&value);
    let _ = (service::ServiceRoot::read(&value), system::System::read(&value), system::Chassis::read(&value));
    let _ = service::EventService::read(&value).subscription("https://stentor.example/", "token");
    let supplies = power::supplies(&value);
    for set in power::redundancy_sets(&value, &|id| supplies.iter().find(|one| one.id == id)?.is_good()) {
        assert!(set.left.is_none_or(|left| set.of.is_some_and(|of| left <= of)), "more are left than there are");
        let _ = set.redundancy();
    }
    let readings = [thermal::of_thermal(&value), thermal::of_power(&value), thermal::of_metrics(&value)].concat();
    for reading in readings.iter().chain(&thermal::of_sensors(members(&value).into_iter())) {
        assert!(reading.value.is_none_or(f64::is_finite));
        let _ = reading.health();
    }
    for vendor in [Vendor::Dell, Vendor::Hpe, Vendor::Other] {
        let drives: Vec<Drive> = members(&value).into_iter().map(|one| Drive::read(one, vendor)).collect();
        let _ = Volume::read(node, vendor).array(&drives).word();
    }
    let _ = (Storage::read(&value), Controller::read(node), Pool::read(node));
    let entries: Vec<log::Entry> = members(&value).into_iter().map(log::Entry::read).collect();
    let mut journal = log::Journal::default();
    let _ = journal.take(&entries, true);
    assert!(journal.take(&entries, true).is_empty(), "nothing is new twice");
    assert!(next_page(&value).is_none_or(|path| path.starts_with("/redfish/")));
}

fn redis(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        if let Some(redis::Head::Bulk(Some(bytes))) = redis::head(line) {
            assert!(bytes <= redis::BULK_BYTES_MAX);
        }
    }
    let info = redis::Info::parse(&text);
    assert!(info.replicas().len() <= text.lines().count());
}

fn ntp(data: &[u8]) {
    let cookie = data.get(24..32).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    if let Ok(read) = ntp::answer(data, cookie, 1_795_305_600_000) {
        let (ahead, travel) = ntp::offset(&read, 1_795_305_600_000.0, 1_795_305_600_100.0);
        assert!(ahead.is_finite() && travel >= 0.0);
    }
}

fn dns(data: &[u8]) {
    let question = dns::Question {
        id: 0x1234,
        name: "www".into(),
        kind: dns::RecordType::A,
        wants_recursion: false,
        wants_signatures: true,
    };
    if let Ok(answer) = question.answer(data) {
        // A record has eleven bytes at least.
        assert!(answer.records.len() <= data.len() / 11);
        assert!(answer.records.iter().all(|record| !record.data.contains(|c: char| c.is_control())));
    }
}

fn greeting(data: &[u8]) {
    for line in String::from_utf8_lossy(data).lines() {
        let _ = (greeting::ssh_banner(line), greeting::imap_line(line));
        assert!(greeting::smtp_line(line).is_none_or(|line| (200..600).contains(&line.code)));
    }
}

/// A list of containers, or a table of machines.
fn containers(data: &[u8]) {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(data) {
        for one in containers::list(&json).into_iter().flatten() {
            let _ = one.inspected(&json);
        }
    }
    let text = String::from_utf8_lossy(data);
    assert!(
        containers::domains(&text).is_ok_and(|all| all.len() <= text.lines().count())
            || containers::domains(&text).is_err()
    );
}

/// Lines: cookies, redirects and texts with names.
fn journey(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let known = [("a".to_owned(), text.to_string())].into();
    let mut jar = journey::Jar::default();
    for line in text.lines() {
        jar.take(line, "/a/b");
        assert!(journey::redirect(line, "https", "h", "/a/b").is_none_or(|path| path.starts_with('/')));
        if let Ok(path) = journey::filled(line, &known, journey::Place::Path) {
            assert!(path.len() <= line.len() * (1 + 3 * data.len() * 3));
        }
    }
    assert!(jar.header("/a/b").is_none_or(|header| !header.contains(['\r', '\n'])));
}

fn ldap(data: &[u8]) {
    if let Ok((_, ldap::Message::Entry(entry))) = ldap::read(data) {
        assert!(entry.attributes.len() <= data.len() / 4, "an attribute has four bytes at least");
    }
    if let Some((head, rest)) = data.split_first_chunk::<{ ldap::HEAD_BYTES }>()
        && let Ok(ldap::Head::LengthBytes(count)) = ldap::head(*head)
        && let Some(bytes) = rest.get(..count)
    {
        assert!(ldap::long_length(bytes).is_ok_and(|length| length <= ldap::MESSAGE_BYTES_MAX) || !bytes.is_empty());
    }
}

/// Lines of a server, and its pages.
fn nats(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let _ = nats::line(line);
    }
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = (nats::meta(&json), nats::numbers(&json, &[("a", "/a"), ("b", "/a/b")]));
    }
}

/// A token, services, agents.
fn openstack(data: &[u8]) {
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = (openstack::Token::read(&json), openstack::services(&json), openstack::complaint(&json));
        assert!(
            openstack::agents(&json).is_ok_and(|agents| agents.iter().all(|one| !one.host.is_empty()))
                || openstack::agents(&json).is_err()
        );
    }
}

/// What the API answers, or what corosync's tools print.
fn proxmox(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let links = proxmox::Links::read(&text);
    assert!(links.down().len() <= links.links.len());
    let _ = proxmox::Votes::read(&text);
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = (proxmox::Membership::read(&json), proxmox::Ha::read(&json), proxmox::Resources::read(&json));
        assert!(
            proxmox::tasks(&json).is_ok_and(|tasks| tasks.len() <= proxmox::TASKS_MAX)
                || proxmox::tasks(&json).is_err()
        );
        let _ = proxmox::units(&json);
    }
}

/// The first frame, or a page.
fn rabbitmq(data: &[u8]) {
    if let Some((head, frame)) = data.split_first_chunk::<{ rabbitmq::HEAD_BYTES }>() {
        assert!(
            rabbitmq::head(*head).is_ok_and(|length| length <= rabbitmq::FRAME_BYTES_MAX + 1)
                || rabbitmq::head(*head).is_err()
        );
        let _ = rabbitmq::start(frame);
    }
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = rabbitmq::queues(&json);
        assert!(rabbitmq::Nodes::read(&json).is_none_or(|nodes| nodes.stopped.len() <= nodes.all));
    }
}

/// Packets as they come, one behind the other: greeting, login and answers; and sets of transactions as text.
fn mysql(data: &[u8]) {
    let mut answer = mysql::Answer::default();
    let mut rest = data;
    while let Some((head, behind)) = rest.split_first_chunk::<{ mysql::HEAD_BYTES }>() {
        let Ok((length, _)) = mysql::head(*head) else { break };
        let Some((payload, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        if let Ok(Ok(greeting)) = mysql::greeting(payload) {
            let account = mysql::Account { user: "u", password: "p", database: None };
            assert!(greeting.login(account, true).starts_with(&greeting.tls_request(account)));
        }
        if let Ok(mysql::Login::Switch(challenge)) = mysql::login_step(payload) {
            let _ = challenge.answer("p");
        }
        if !matches!(answer.take(payload), Ok(None)) {
            answer = mysql::Answer::default();
        }
    }
    let text = String::from_utf8_lossy(data);
    for set in [gtid::Gtids::of_mariadb(&text), gtid::Gtids::of_mysql(&text)].into_iter().flatten() {
        assert_eq!(set.beyond(&set), 0);
    }
    let _ = gtid::MariadbState::parse(&text, &text).map(|state| assert_eq!(state.beyond(&state), 0));
}

/// Messages as they come, one behind the other.
fn postgres(data: &[u8]) {
    let mut answer = postgres::Answer::default();
    let mut rest = data;
    while let Some((head, behind)) = rest.split_first_chunk::<{ postgres::HEAD_BYTES }>() {
        let Ok((kind, length)) = postgres::head(*head) else { break };
        let Some((body, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        let Ok(message) = postgres::message(kind, body) else { continue };
        if let postgres::Message::AuthSaslContinue(server) = &message {
            // Each round is paid for; a few are as good as thousands.
            let server = server.replace("i=", "i=0000");
            if server.len() < 60
                && let Ok(last) = scram::First::new("n".into()).answer(&server, "p")
            {
                assert!(last.verify(&server).is_err());
            }
        }
        if !matches!(answer.take(message), Ok(None)) {
            answer = postgres::Answer::default();
        }
    }
    let _ = postgres::lsn(&String::from_utf8_lossy(data));
}

/// An expression in the first line, a page in the others.
fn exposition(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (expr, page) = text.split_once('\n').unwrap_or((&text, ""));
    let all = exposition::Page::parse(page, |_| true);
    assert!(all.samples.len() + all.unreadable <= page.lines().count());
    match exposition::Expr::parse(expr) {
        Err(refusal) => assert!(refusal.at <= expr.len()),
        Ok(expr) => {
            let some = exposition::Page::parse(page, |metric| expr.reads(metric));
            assert_eq!(some.unreadable, all.unreadable);
            assert!(expr.value(&some).is_ok_and(f64::is_finite) || expr.value(&all).is_err());
        }
    }
}

fn plugin_output(data: &[u8]) {
    let parts = output::parse(data);
    let shown = output::displayable(data);
    assert_eq!(output::displayable(shown.as_bytes()), shown, "what may be shown is shown as it is");
    assert!(!parts.short.contains(['\n', '|']) && !parts.long.contains('\u{1b}'));
    let _ = perfdata::parse(&parts.perfdata);
}

fn perfdata(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let items = perfdata::parse(&text);
    assert_eq!(perfdata::parse_strict(&text).is_ok(), items.iter().all(Result::is_ok));
    for item in items.into_iter().flatten() {
        let numbers = [item.number(), item.min_number(), item.max_number()];
        assert!(numbers.into_iter().flatten().all(f64::is_finite));
    }
}

fn range(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(range) = text.parse::<Range>() else { return };
    for value in [f64::NEG_INFINITY, -1.0, 0.0, 1.5, f64::MAX, f64::NAN] {
        let _ = (range.contains(value), range.alerts(value));
    }
    let printed = range.to_string();
    assert_eq!(printed.parse::<Range>().as_ref(), Ok(&range), "{text:?} printed as {printed:?}");
}

fn external_command(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        assert!(line.contains(external_command::without_time(line)), "what is logged of a line is in it");
        if let Ok(read) = external_command::parse(line) {
            let again = external_command::parse(external_command::without_time(line));
            assert_eq!(again.map(|again| again.command).as_ref(), Ok(&read.command), "the time changes no command");
        }
    }
}

/// One object file below a main file that reads all names as patterns.
struct OneFile<'f>(&'f [u8]);

impl Files for OneFile<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "main" => Ok(b"cfg_file=objects\nuse_regexp_matching=1\nillegal_object_name_chars=!\n".to_vec()),
            "objects" => Ok(self.0.to_vec()),
            _ => Err("no such file".to_owned()),
        }
    }

    fn list(&mut self, _: &str) -> Result<Vec<String>, String> {
        Err("no such folder".to_owned())
    }
}

fn nagios_objects(data: &[u8]) {
    let loaded = load::load("main", &mut OneFile(data));
    for finding in &loaded.findings {
        assert!((finding.place.file as usize) < loaded.files.len(), "{finding:?}");
        assert!(finding.message.len() + finding.help.len() < 8192, "{finding:?}");
    }
    let world = &loaded.objects;
    assert!(world.services.iter().all(|service| (service.host as usize) < world.hosts.len()));
    for (id, service) in (0..).zip(&world.services) {
        assert_eq!(world.find_service(service.host, &service.description), Some(id));
    }
    objects::dump(world);
}

fn nagios_main_config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut main, mut found) = (MainConfig::default(), Findings::default());
    main.read(0, &text, &mut found);
    assert!(main.interval_length > 0);
    Resources::default().read(0, &text, &mut found);
}

fn ipmi_packet(data: &[u8]) {
    let _ = (packet::decode(data), packet::addressed_session(data), packet::encode_pong(data));
    let _ = (Request::decode(data), Response::decode(data));
    let _ = (OpenRequest::decode(data), OpenResponse::decode(data), Rakp1::decode(data), Rakp3::decode(data));
    let _ = (Rakp2::decode(data, Suite::Three), Rakp2::decode(data, Suite::Seventeen), Rakp4::decode(data));
}

struct Echo;

impl ManagedSystem for Echo {
    fn execute(&mut self, request: &Request, _: Privilege) -> Reply {
        Reply::ok(request.data.clone())
    }
}

/// A fresh controller and a console that is about to log in to it.
fn both_ends() -> (BmcSide, Handshake) {
    let bmc = BmcSide::new(BmcSetup {
        guid: [0x42; 16],
        users: vec![BmcUser { name: b"admin".to_vec(), password: b"secret".to_vec(), privilege_max: Privilege::User }],
        kg: None,
        suites: Suite::ALL.to_vec(),
        sessions_max: 2,
    });
    let credentials = Credentials::new(b"admin", b"secret", None).expect("short enough");
    let request = SessionRequest {
        suite: Suite::Seventeen,
        privilege: Privilege::User,
        lookup: UserLookup::NameOnly,
        console_session: 0xA1B2_C3D4,
        console_nonce: [0x77; 16],
    };
    (bmc, Handshake::new(credentials, request))
}

fn deliver(bmc: &mut BmcSide, datagram: &[u8], at_ms: u64) -> Option<Vec<u8>> {
    bmc.receive(datagram, Arrival { at_ms, entropy: &mut |out| out.fill(0x55) }, &mut Echo)
}

/// Both ends at each step: the input stands in for a datagram, and is laid (XOR) over a genuine one.
fn ipmi_session(data: &[u8]) {
    let over = |genuine: &[u8]| -> Vec<u8> {
        let mask = data.iter().copied().chain(std::iter::repeat(0));
        genuine.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
    };
    // The four bytes of the RMCP header are under no code (specification, section 13.1.3).
    let is_changed = |genuine: &[u8]| over(genuine).get(4..) != genuine.get(4..);
    let (mut bmc, mut handshake) = both_ends();
    for step in 0..3 {
        let asked = handshake.packet();
        let _ = deliver(&mut bmc, data, step);
        let _ = deliver(&mut bmc, &over(&asked), step);
        // A damaged request may have been taken for another genuine one; start over on a clean controller.
        let (mut clean, mut fresh) = both_ends();
        let mut answer = None;
        for _ in 0..=step {
            let asked = fresh.packet();
            answer = deliver(&mut clean, &asked, step);
            let Some(answer) = &answer else { return };
            if let Progress::Established(mut session) = fresh.receive(answer) {
                let request = session.request(6, 0, 1, data.iter().copied().take(64).collect());
                let sealed = session.seal(&request, [3; 16]);
                let answer = deliver(&mut clean, &sealed, step).expect("a genuine request is answered");
                assert!(session.open(data).is_err(), "nobody guesses an authentication code");
                assert!(!is_changed(&answer) || session.open(&over(&answer)).is_err(), "a changed answer got through");
                assert!(session.open(&answer).is_ok_and(|response| response.data == request.data));
                return;
            }
        }
        let _ = handshake.receive(data);
        let Some(answer) = answer else { return };
        let _ = both_ends().1.receive(&over(&answer));
        handshake = fresh;
        bmc = clean;
    }
}

fn ipmi_sdr(data: &[u8]) {
    let Some(record) = SdrRecord::decode(data) else { return };
    if let SdrRecord::Full(full) = &record {
        let _ = (full.unit.symbol(), full.threshold_values(), full.key.is_threshold());
        let _ = (full.contradiction(), full.tolerance_value(), full.hysteresis_values());
        for raw in 0..=u8::MAX {
            assert!(full.value(raw).is_none_or(f64::is_finite));
        }
    }
    if let SdrRecord::Entities(association) = &record {
        assert!(association.entities().len() <= 2 * 256);
    }
    let _ = record.key().map(SensorKey::expand);
}

fn ipmi_fru(data: &[u8]) {
    let _ = (GetFruInfo { id: 0 }.parse(data), ReadFru { id: 0, offset: 0, count: 0 }.parse(data));
    if let Some(inventory) = Inventory::decode(data) {
        let _ = inventory.title();
        let _ = inventory.records.iter().map(MultiRecord::rated_watts).collect::<Vec<_>>();
    }
}

fn ipmi_sel(data: &[u8]) {
    if let Some(event) = SelRecord::decode(data).and_then(|record| record.event().copied()) {
        let _ = (event.text(), event.severity(), event.offset(), event.unix_time(), event.is_ended_by(&event));
        let _ = (event.detail(None), event.generator_text(), event.trigger());
    }
}

fn ipmi_answer(data: &[u8]) {
    let _ = (GetDeviceId.parse(data), GetChassisStatus.parse(data), GetSdrInfo.parse(data), ReserveSdr.parse(data));
    let _ = GetSdr { reservation: 0, record: 0, offset: 0, count: 0 }.parse(data);
    let _ = GetSensorReading { number: 0, lun: 0 }.parse(data);
    let _ = (GetDeviceSdrInfo.parse(data), ReserveDeviceSdr.parse(data));
    let _ = GetReadingFactors { number: 0, lun: 0, raw: 0 }.parse(data);
    let _ = (GetSelInfo.parse(data), GetSelEntry { record: 0 }.parse(data));
    let _ = GetAuthCapabilities { privilege: Privilege::User }.parse(data);
    let _ = (GetRestartCause.parse(data), GetPowerOnHours.parse(data), GetSelTime.parse(data));
    let _ = GetWatchdogTimer.parse(data).map(|timer| timer.expired_words());
    let _ = (
        GetSelUtcOffset.parse(data),
        GetCapabilities.parse(data),
        GetPowerReading.parse(data),
        GetPowerLimit.parse(data),
    );
    let inner = Request { netfn: 4, lun: 0, command: 0x2D, sequence: 1, data: Vec::new() };
    let outer = Request { netfn: 6, lun: 0, command: 0x34, sequence: 1, data: Vec::new() };
    let _ = bridge::judge(outer.answer(0, data.to_vec()), &outer, &inner);
    if let Ok(response) = Response::decode(data) {
        let _ = bridge::judge(response, &outer, &inner);
    }
}

fn drbd(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let all = [drbd::parse_proc(&text).replicas, drbd::parse_text(&text), drbd::parse_json(&text).unwrap_or_default()];
    for replica in all.iter().flatten() {
        let _ = (replica.finding(true), replica.finding(false), replica.roles(), replica.disks());
        let resync = replica.resync.unwrap_or_default();
        assert!(resync.done_pct.is_none_or(|pct| (0.0..=100.0).contains(&pct)), "{resync:?}");
    }
    let _ = drbd::split_brain_line(&text, "r0", Some(0));
    let mut reader = drbd::events::Reader::default();
    let halves = text.split_at(text.floor_char_boundary(text.len() / 2));
    let _ = (reader.feed(halves.0), reader.feed(halves.1));
}

fn ceph(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut all: Vec<ceph::Cluster> = ceph::parse_status(&text).ok().into_iter().collect();
    all.extend(ceph::of_page(&exposition::Page::parse(&text, ceph::is_read)));
    for cluster in &mut all {
        let _ = ceph::add_details(&text, cluster);
        let numbers = [cluster.degraded_pct, cluster.misplaced_pct, cluster.recovery_left_s()];
        assert!(numbers.into_iter().flatten().all(|number| number >= 0.0), "{cluster:?}");
        let _ = (cluster.used_pct(), cluster.codes());
    }
}

/// What the tool printed, as both of its outputs.
fn ovn(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(member) = ovn::Member::read(&text, &text) else { return };
    assert!(member.gone().map_or(0, |gone| gone.len()) <= member.servers.len(), "{member:?}");
    assert!(member.may_fail().is_none_or(|left| left < member.servers.len().max(1)), "{member:?}");
}

fn gluster(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut volumes = gluster::parse_volumes(&text).unwrap_or_default();
    let _ = (gluster::add_status(&text, &mut volumes), gluster::parse_peers(&text), gluster::parse_heal(&text));
    for volume in &volumes {
        assert!(volume.sets().len() <= volume.bricks.len(), "{volume:?}");
        let full = volume.bricks.iter().filter_map(gluster::Brick::used_pct);
        assert!(full.into_iter().all(|pct| (0.0..=100.0).contains(&pct)), "{volume:?}");
    }
    assert!(gluster::parse_quota(&text).unwrap_or_default().iter().all(|quota| quota.used_pct().is_finite()));
}

/// The first byte chooses the status; the rest is an answer, a file of properties, a table of sockets.
fn cloudstack(data: &[u8]) {
    let (status, body) = data.split_first().map_or((200, data), |(first, rest)| (200 + u16::from(*first) * 2, rest));
    for item in ["host", "systemvm", "storagepool"] {
        for one in cloudstack::read(status, body, item).map(|answer| answer.items).unwrap_or_default() {
            let _ = (cloudstack::Host::read(&one), cloudstack::SystemVm::read(&one), cloudstack::Pool::read(&one));
            let _ = (cloudstack::ManagementServer::read(&one), cloudstack::Vm::read(&one));
            if let Some(store) = cloudstack::ImageStore::read(&one) {
                assert!(!store.url.contains('?'), "a login could stand in {store:?}");
            }
        }
    }
    let text = String::from_utf8_lossy(data);
    if let Some(database) = cloudstack::properties::database(&text, "cloud") {
        assert!(!database.host.is_empty(), "{database:?}");
    }
    assert!(cloudstack::sockets::peers(&text, 3306).len() <= text.lines().count());
    let query = cloudstack::query("listHosts", &[("name", &text)], None);
    assert!(query.is_ascii() && !query.contains(' '), "{query}");
}

fn riak(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(stats) = riak::parse_stats(&text) {
        assert!(stats.unreachable().len() <= stats.members.len());
    }
    for member in riak::parse_members(&text) {
        assert!(member.name.contains('@'), "{member:?}");
    }
    let _ = (riak::parse_ring(&text), riak::parse_transfers(&text));
}

fn xml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(root) = xml::parse(&text) {
        assert!(!root.name.is_empty());
        let _ = (root.number_at(&["a", "b"]), root.text_at(&["a"]).len());
    }
}

fn iscsi(data: &[u8]) {
    for session in iscsi::parse_sessions(&String::from_utf8_lossy(data)) {
        let _ = session.standing().word();
    }
}

fn lvm(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for volume in lvm::parse_volumes(&text).unwrap_or_default() {
        let all = [volume.data_pct, volume.metadata_pct, volume.sync_pct];
        assert!(all.into_iter().flatten().all(|pct| (0.0..=100.0).contains(&pct)), "{volume:?}");
        let _ = (volume.raid_word(0), volume.raid_word(u64::MAX), volume.is_lost(), volume.path());
    }
    let _ = (lvm::parse_groups(&text), lvm::parse_disks(&text));
}

fn host_network(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(team) = hostnet::team::parse(&text) {
        assert!(team.ports.is_sorted_by(|a, b| a.name < b.name));
    }
    if let Ok(heard) = hostnet::lldp::parse(&text) {
        assert!(heard.is_sorted());
    }
    for route in hostnet::route::parse_v4(&text).into_iter().chain(hostnet::route::parse_v6(&text)) {
        let most = if route.to.is_ipv4() { 32 } else { 128 };
        assert!(route.prefix <= most, "{route:?}");
    }
    let sync = hostnet::clock_sync::chrony_tracking(&text).or_else(|| hostnet::clock_sync::ntpq_variables(&text));
    if let Some(sync) = sync.or_else(|| hostnet::clock_sync::timesyncd(&text, &text)) {
        assert!(sync.offset_s.is_none_or(f64::is_finite), "{sync:?}");
    }
    let sources = hostnet::clock_sync::chrony_sources(&text);
    assert!(sources.usable <= sources.total && sources.reachable <= sources.total);
}

fn multipath(data: &[u8]) {
    for map in multipath::parse(&String::from_utf8_lossy(data)).unwrap_or_default() {
        let (all, used) = map.controllers();
        assert!(
            used.is_subset(&all)
                && map.lost_controllers().len() + used.len() == all.len()
                && map.usable() <= map.paths.len()
                && map.adapters().len() <= map.usable()
        );
    }
}

fn raid(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut found = storcli::parse(&text).unwrap_or_default();
    found.extend(ssacli::parse_config(&text));
    found.extend(megacli::parse(&text, &text, &text));
    found.push(arcconf::parse("1", &text, &text));
    storcli::add_rebuilds(&text, &mut found);
    ssacli::add_status(&text, &mut found);
    megacli::add_rebuilds(&text, &mut found);
    for array in found.iter().flat_map(|one| &one.arrays) {
        assert!(array.progress_pct.is_none_or(|pct| (0.0..=100.0).contains(&pct)), "{array:?}");
        let _ = (array.word(), array.may_fail());
    }
}

fn smartctl(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = smartctl::parse_scan(&text).map(|found| assert!(found.iter().all(|device| !device.name.starts_with('-'))));
    if let Ok(disk) = smartctl::parse_disk(&text) {
        let _ = (disk.is_failing(), disk.is_unread());
        let numbers = [disk.temperature_c, disk.wear_pct, disk.spare_pct, disk.self_test_running_pct];
        assert!(numbers.into_iter().flatten().all(f64::is_finite), "{disk:?}");
    }
}

fn zpool(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut pools = zpool::parse_status(&text);
    zpool::add_list(&text, &mut pools);
    for pool in &pools {
        let _ = (pool.word(), pool.may_fail());
        assert!(pool.groups.iter().all(|group| group.may_fail() <= group.width.max(3)), "{pool:?}");
    }
}

fn tool_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = tool_json::document::<Value>(&text);
    assert!(tool_json::number(&text).is_none_or(f64::is_finite));
}

fn expr(data: &[u8]) {
    static SEEN: OnceLock<(Value, Observation)> = OnceLock::new();
    let (params, seen) = SEEN.get_or_init(|| {
        let supply: Value = [("id", Value::from("PS")), ("n", Value::from(vec![0.0, 3.0]))].into_iter().collect();
        let seen = Observation::observed("text").measure("load1", 0.5, "").fact("a", 1.0).fact("b", "x");
        let seen = seen.fact("c", true).fact("n", Value::Null).fact("psu", Value::List(vec![supply.clone(), supply]));
        ([("warn", 80.0), ("crit", 95.0)].into_iter().collect(), seen)
    });
    let text = String::from_utf8_lossy(data);
    match Expr::parse(&text) {
        Err(refusal) => assert!(refusal.offset <= text.len().max(4096)),
        Ok(when) => {
            let _ = when.names();
            let rule = Rule { when, state: ServiceState::Critical, source: "fuzz".into() };
            let _ = judge(&[rule], params, seen);
        }
    }
}

/// An expression over a small cloud, its pieces in states that the bytes choose; and an element of a what-if.
fn availability(data: &[u8]) {
    static CLOUD: OnceLock<(Arc<str>, Topology)> = OnceLock::new();
    let (name, topology) = CLOUD.get_or_init(|| {
        let host = |name: &str, key: &str| (Arc::from(name), vec![Arc::from(key)]);
        let hosts = [host("clc1", "clc"), host("nc1", "nc"), host("nc2", "nc"), host("nc3", "nc")];
        let zone = |name: &str, hosts: &[&str]| (Arc::from(name), hosts.iter().map(|host| Arc::from(*host)).collect());
        let zones = [zone("a", &["nc1", "nc2"]), zone("b", &["nc3"])];
        let topology = Topology { hosts: hosts.into(), zones: zones.into(), ..Topology::default() };
        ("prod".into(), topology)
    });
    let text = String::from_utf8_lossy(data);
    let _ = Element::parse(&text).map(|element| assert_eq!(Element::parse(&element.to_string()), Ok(element)));
    match Availability::parse(&text) {
        Err(refusal) => assert!(refusal.offset <= text.len(), "{refusal}"),
        Ok(expr) => {
            assert_eq!(Availability::parse(&expr.to_string()).as_ref(), Ok(&expr), "{text:?}");
            let known = Known { clouds: vec![(name, topology)], home: Some(0), ..Known::default() };
            let (grounded, _) = ground(&expr, &known);
            let states: Vec<State> = (0..grounded.pieces.len())
                .map(|piece| State::ALL[usize::from(data[piece % data.len()]) % State::ALL.len()])
                .collect();
            let look = grounded.look(&states);
            assert_eq!(look.state, grounded.state(&states));
            assert!(look.because.iter().all(|piece| *piece < states.len()));
        }
    }
}

fn time(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse(), Ok(span), "{text:?}");
    }
    if let Ok(at) = Timestamp::from_rfc3339(&text) {
        assert_eq!(Timestamp::from_rfc3339(&at.to_rfc3339()), Ok(at), "{text:?}");
    }
}

fn glob(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (glob, name) = text.split_once('\n').unwrap_or((&text, "host-1"));
    let _ = glob_matches(glob, name);
    assert!(glob_matches(&format!("*{name}*"), name) && glob_matches(&format!("{name}*"), name));
}

/// One line each; a line `exclude` begins the period that the first one excludes.
fn timeperiod(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let period = |lines: &str, zone: &str, exclude| {
        let (mut weekly, mut exceptions) = (<[Vec<(u16, u16)>; 7]>::default(), Vec::new());
        for line in lines.lines().take(50) {
            match timeperiod::parse_any(line) {
                Err(refusal) => assert!(refusal.column <= line.chars().count() + 1),
                Ok(Line::Weekday { weekday, ranges }) => weekly[usize::from(weekday)] = ranges,
                Ok(Line::Date(rule)) => {
                    assert_eq!(timeperiod::parse_line(&rule.to_string()).as_ref(), Ok(&rule), "{line:?} as {rule}");
                    exceptions.push(rule);
                }
            }
        }
        Timeperiod { name: "t".into(), zone: zone.into(), weekly, exceptions, exclude }
    };
    let (first, excluded) = text.split_once("exclude\n").unwrap_or((&text, ""));
    let (id, other) = (TimeperiodId(0), TimeperiodId(1));
    let table = [period(first, "Europe/Amsterdam", vec![other]), period(excluded, "UTC", vec![id])];
    // Late enough in October 2026 that the clocks change soon.
    let at = Timestamp::from_secs(1_792_600_000);
    let inside = timeperiod::contains(&table, id, at);
    let next = timeperiod::next_valid(&table, id, at);
    assert!(!inside || next == Some(at));
    assert!(next.is_none_or(|next| next >= at && timeperiod::contains(&table, id, next)));
    if let Some(change) = timeperiod::next_boundary(&table, id, at) {
        assert!(change > at && timeperiod::contains(&table, id, change) != inside);
    }
}

/// A command line, its call, and what plugins printed, with a line feed between.
fn macros(data: &[u8]) {
    const ILLEGAL: &str = "`~$&|'\"<>";
    const BYTES_MAX: usize = 10_000;
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\n');
    let (line, call) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let world = small_world::SmallWorld { text: parts.next().unwrap_or_default().to_owned() };
    let program = ProgramFacts { zone: "UTC", users: &["u1"], ..ProgramFacts::default() };
    let mut context = Context::new(&world, &program, Timestamp::from_secs(1_792_600_000));
    context.host = world.host("h");
    context.service = world.service("h", "s");
    let call = CommandCall::parse(call);
    for options in [Options::raw(), Options::strip(ILLEGAL)] {
        let options = Options { bytes_max: BYTES_MAX, ..options };
        if let Ok(expanded) = expand_command(line, &call, &context, options) {
            assert!(expanded.len() <= BYTES_MAX);
            if let Ok(held) = expand_command_held(line, &call, &context, options) {
                let _ = held.for_shell();
                assert!(text.contains('\u{FDD0}') || held.fill(held.line()) == expanded);
            }
        }
        let made = environment(&context, options, EnvironmentSize::Full);
        assert!(made.variables.iter().all(|(name, value)| name.len() + value.len() <= BYTES_MAX + "NAGIOS_".len()));
    }
    if let Ok(output) = expand("$HOSTOUTPUT$$LONGSERVICEOUTPUT$", &context, Options::strip(ILLEGAL)) {
        assert!(!output.contains(|c: char| c.is_ascii_control() || ILLEGAL.contains(c)), "{output:?}");
    }
}
