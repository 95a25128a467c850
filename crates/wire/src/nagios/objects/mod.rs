//! The object configuration of Nagios: blocks of directives to resolved objects. No files are opened here: the texts
//! come in, and what they include is asked for ([`super::load`]).
//!
//! Order: read, resolve templates, expand contact groups, hosts and host groups, services, service groups, rules, check.

mod check;
mod dates;
mod dump;
mod graph;
mod groups;
mod hosts;
mod identity;
mod kinds;
mod lexer;
mod model;
mod names;
pub mod options;
mod people;
mod rules;
mod services;
mod settings;
mod templates;
pub(crate) mod text;
pub(crate) mod values;

pub use dump::{dump, dump_to};
pub use model::{
    Command, CommandCall, Concern, Contact, Dependency, Escalated, Escalation, EscalationTerms, Group, Hearing, Host,
    Id, NOTIFICATION_INTERVAL, Objects, Places, Recipients, Redundancy, Service, Settings, Timeperiod, Variable,
};
pub use names::Naming;

use kinds::{Kind, Lookup};
use lexer::{Include, Parsed};
use names::Context;
use rules::World;
use templates::{Definition, Templates};

use super::finding::Findings;

/// Object files that were read, in the order of their definitions.
#[derive(Debug, Default)]
pub struct ObjectFiles {
    files: Vec<Parsed>,
    /// (file, first and end of its blocks), as included files stand in the midst of others.
    order: Vec<(usize, std::ops::Range<usize>)>,
}

/// Reads object files one after the other.
pub struct ObjectReader {
    lookup: Lookup,
    files: ObjectFiles,
}

/// What a file asks for, before its definitions go on.
#[derive(Debug)]
pub(crate) enum Step {
    Included { is_dir: bool, path: String, place: super::finding::Place },
    Blocks { file: usize, blocks: std::ops::Range<usize> },
}

impl Default for ObjectReader {
    fn default() -> Self {
        ObjectReader { lookup: Lookup::new(), files: ObjectFiles::default() }
    }
}

impl ObjectReader {
    /// Reads the text of one file; `file` is its number in findings.
    pub(crate) fn read(&mut self, file: u32, text: String, found: &mut Findings) -> Vec<Step> {
        let mut parsed = lexer::parse(file, text, &self.lookup, found);
        let mut steps = Vec::new();
        let mut from = 0;
        let number = self.files.files.len();
        for Include { before_block, is_dir, path, place } in std::mem::take(&mut parsed.includes) {
            steps.push(Step::Blocks { file: number, blocks: from..before_block });
            steps.push(Step::Included { is_dir, path, place });
            from = before_block;
        }
        steps.push(Step::Blocks { file: number, blocks: from..parsed.blocks.len() });
        self.files.files.push(parsed);
        steps
    }

    /// These definitions come next.
    pub(crate) fn take(&mut self, file: usize, blocks: std::ops::Range<usize>) {
        if !blocks.is_empty() {
            self.files.order.push((file, blocks));
        }
    }

    pub fn finish(self) -> ObjectFiles {
        self.files
    }
}

impl ObjectFiles {
    /// A single file without includes, for tests and measurements.
    pub fn from_text(text: String, found: &mut Findings) -> Self {
        let mut reader = ObjectReader::default();
        for step in reader.read(0, text, found) {
            if let Step::Blocks { file, blocks } = step {
                reader.take(file, blocks);
            }
        }
        reader.finish()
    }

    /// Number and text of each file.
    pub(crate) fn into_texts(self) -> impl Iterator<Item = (u32, String)> {
        self.files.into_iter().map(|file| (file.file, file.text))
    }

    fn definitions(&self) -> Vec<Vec<Definition<'_>>> {
        let mut all: Vec<Vec<Definition<'_>>> = kinds::KINDS.iter().map(|_| Vec::new()).collect();
        for (file, blocks) in &self.order {
            let Some(file) = self.files.get(*file) else { continue };
            for block in file.blocks.get(blocks.clone()).unwrap_or_default() {
                all[block.kind as usize].push(Definition::new(file, block));
            }
        }
        all
    }
}

/// Resolves everything. With errors among the findings the objects are what could be understood, for further findings
/// only.
pub fn resolve(files: &ObjectFiles, naming: &Naming, found: Findings) -> (Objects, Findings) {
    let mut cx = Context::new(naming, found);
    let mut templates: Vec<Templates<'_>> =
        files.definitions().into_iter().map(|definitions| Templates::new(definitions, &mut cx.found)).collect();
    let mut take = |kind: Kind| {
        let empty = Templates::new(Vec::new(), &mut Findings::default());
        std::mem::replace(&mut templates[kind as usize], empty)
    };
    let people = people::resolve(
        &people::Sources {
            timeperiods: &take(Kind::Timeperiod),
            commands: &take(Kind::Command),
            contacts: &take(Kind::Contact),
            contactgroups: &take(Kind::Contactgroup),
        },
        &mut cx,
    );
    let referred = people.referred;
    let mut hosts = hosts::resolve(&mut take(Kind::Host), &take(Kind::Hostgroup), &referred, &mut cx);
    let (mut of_services, of_groups) = (take(Kind::Service), take(Kind::Servicegroup));
    let mut services = services::resolve(&mut of_services, &of_groups, (&hosts, &referred), &mut cx);
    let world = World { hosts: &hosts, services: &services, referred: &referred };
    let host_dependencies = rules::host_dependencies(&take(Kind::Hostdependency), &world, &mut cx);
    let service_dependencies = rules::service_dependencies(&take(Kind::Servicedependency), &world, &mut cx);
    let host_escalations = rules::host_escalations(&take(Kind::Hostescalation), &world, &mut cx);
    let service_escalations = rules::service_escalations(&take(Kind::Serviceescalation), &world, &mut cx);
    let host_extras = rules::host_extras(&take(Kind::Hostextinfo), &world, &mut cx);
    let service_extras = rules::service_extras(&take(Kind::Serviceextinfo), &world, &mut cx);
    for (ids, extra) in host_extras {
        ids.into_iter().for_each(|id| extra.fill(&mut hosts.hosts[id as usize].settings));
    }
    for (ids, extra) in service_extras {
        ids.into_iter().for_each(|id| extra.fill(&mut services.services[id as usize].settings));
    }
    let objects = Objects {
        timeperiods: people.timeperiods,
        commands: people.commands,
        contacts: people.contacts,
        contactgroups: people.contactgroups,
        hosts: hosts.hosts,
        hostgroups: hosts.groups,
        services: services.services,
        servicegroups: services.groups,
        host_dependencies,
        service_dependencies,
        host_escalations,
        service_escalations,
        first_service: services.first,
    };
    check::check(&objects, &mut cx.found);
    (objects, cx.found)
}
