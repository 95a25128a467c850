//! Fuzz targets of what management controllers, switches and supplies send.

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
use stentor_wire::snmp::interfaces::{Choice, NAMING, NARROW, READING, Rates, Table};
use stentor_wire::snmp::responder::Responder;
use stentor_wire::snmp::walk::Walk;
use stentor_wire::snmp::{Oid, SnmpValue, VarBind, array, entity, environment, host, lag, neighbours, pdu, stack, ups};
use stentor_wire::{nut, redfish};

/// Four bytes are the trap's number, the rest is what it carries.
pub fn ipmi_pet(data: &[u8]) {
    let Some((specific, fields)) = data.split_first_chunk::<4>() else { return };
    let Ok(pet) = Pet::decode(u32::from_be_bytes(*specific), fields) else { return };
    assert!(fields.len() >= 46 && !pet.key().is_empty(), "{pet:?}");
    assert!(!pet.text().is_empty() && !pet.text().chars().any(char::is_control), "{pet:?}");
    let _ = pet.weight();
}

pub fn ipmi_packet(data: &[u8]) {
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
pub fn ipmi_session(data: &[u8]) {
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

pub fn ipmi_sdr(data: &[u8]) {
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

pub fn ipmi_fru(data: &[u8]) {
    let _ = (GetFruInfo { id: 0 }.parse(data), ReadFru { id: 0, offset: 0, count: 0 }.parse(data));
    if let Some(inventory) = Inventory::decode(data) {
        let _ = inventory.title();
        let _ = inventory.records.iter().map(MultiRecord::rated_watts).collect::<Vec<_>>();
    }
}

pub fn ipmi_sel(data: &[u8]) {
    if let Some(event) = SelRecord::decode(data).and_then(|record| record.event().copied()) {
        let _ = (event.text(), event.severity(), event.offset(), event.unix_time(), event.is_ended_by(&event));
        let _ = (event.detail(None), event.generator_text(), event.trigger());
    }
}

pub fn ipmi_answer(data: &[u8]) {
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

/// Resources through every reader, and events; what a link leads to lies within the service.
pub fn redfish(data: &[u8]) {
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

/// Identifiers as text, and tables and counters from values that an agent could send.
pub fn snmp(data: &[u8]) {
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

pub fn nut(data: &[u8]) {
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
