//! Fuzz targets of what Nagios, its plugins and its files say.

use stentor_wire::nagios::finding::Findings;
use stentor_wire::nagios::load::{self, Files};
use stentor_wire::nagios::main_config::MainConfig;
use stentor_wire::nagios::range::Range;
use stentor_wire::nagios::resource::Resources;
use stentor_wire::nagios::{external_command, objects, output, perfdata, retention};
use stentor_wire::nrpe;

pub fn plugin_output(data: &[u8]) {
    let parts = output::parse(data);
    let shown = output::displayable(data);
    assert_eq!(output::displayable(shown.as_bytes()), shown, "what may be shown is shown as it is");
    assert!(!parts.short.contains(['\n', '|']) && !parts.long.contains('\u{1b}'));
    let _ = perfdata::parse(&parts.perfdata);
}

pub fn perfdata(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let items = perfdata::parse(&text);
    assert_eq!(perfdata::parse_strict(&text).is_ok(), items.iter().all(Result::is_ok));
    for item in items.into_iter().flatten() {
        let numbers = [item.number(), item.min_number(), item.max_number()];
        assert!(numbers.into_iter().flatten().all(f64::is_finite));
    }
}

pub fn range(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(range) = text.parse::<Range>() else { return };
    for value in [f64::NEG_INFINITY, -1.0, 0.0, 1.5, f64::MAX, f64::NAN] {
        let _ = (range.contains(value), range.alerts(value));
    }
    let printed = range.to_string();
    assert_eq!(printed.parse::<Range>().as_ref(), Ok(&range), "{text:?} printed as {printed:?}");
}

pub fn external_command(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        assert!(line.contains(external_command::without_time(line)), "what is logged of a line is in it");
        if let Ok(read) = external_command::parse(line) {
            let again = external_command::parse(external_command::without_time(line));
            assert_eq!(again.map(|again| again.command).as_ref(), Ok(&read.command), "the time changes no command");
        }
    }
}

pub fn nagios_objects(data: &[u8]) {
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

pub fn nagios_main_config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut main, mut found) = (MainConfig::default(), Findings::default());
    main.read(0, &text, &mut found);
    assert!(main.interval_length > 0);
    Resources::default().read(0, &text, &mut found);
}

pub fn nagios_retention(data: &[u8]) {
    let file = retention::parse(data);
    for block in &file.blocks {
        let _ = (block.variables().count(), block.history());
        assert!(block.fields.iter().all(|(key, value)| !key.is_empty() && !value.contains('\n')));
    }
    let text = String::from_utf8_lossy(data);
    assert_eq!(retention::unescape(&retention::escape(&text)), text, "what is escaped comes back");
}

pub fn nrpe(data: &[u8]) {
    let wanted = nrpe::packet_bytes(data);
    if let Ok(packet) = nrpe::Packet::decode(data) {
        assert_eq!(wanted, Ok(data.len()));
        // A query of others may be shorter than ours, and version 2 has a filler of any bytes.
        let again = packet.encode().expect("what was read can be written");
        assert_eq!(nrpe::Packet::decode(&again), Ok(packet));
    }
}
