//! A world of one of each kind, in which every text from outside is the input.

use stentor_core::Timestamp;
use stentor_core::macros::facts::{
    ContactFacts, GroupFacts, HostFacts, ObjectFacts, Owner, ServiceFacts, Totals, World,
};

pub struct SmallWorld {
    pub text: String,
}

impl SmallWorld {
    fn object(&self) -> ObjectFacts<'_> {
        ObjectFacts {
            output: &self.text,
            long_output: &self.text,
            perf_data: &self.text,
            notes: &self.text,
            notes_url: &self.text,
            ..ObjectFacts::default()
        }
    }

    fn group(&self, name: &str) -> Option<GroupFacts<'_>> {
        (name == "g").then(|| GroupFacts { name: "g", notes: &self.text, ..GroupFacts::default() })
    }
}

impl World for SmallWorld {
    fn host<'a>(&'a self, name: &str) -> Option<HostFacts<'a>> {
        (name == "h").then(|| HostFacts { name: "h", object: self.object(), ..HostFacts::default() })
    }

    fn service<'a>(&'a self, host: &str, description: &str) -> Option<ServiceFacts<'a>> {
        let object = self.object();
        let service = ServiceFacts { host: "h", description: "s", object, ..ServiceFacts::default() };
        ((host, description) == ("h", "s")).then_some(service)
    }

    fn contact<'a>(&'a self, name: &str) -> Option<ContactFacts<'a>> {
        (name == "c").then(|| ContactFacts { name: "c", ..ContactFacts::default() })
    }

    fn host_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        self.group(name)
    }

    fn service_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        self.group(name)
    }

    fn contact_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>> {
        self.group(name)
    }

    fn hosts_in<'a>(&'a self, _: &str, visit: &mut dyn FnMut(HostFacts<'a>)) {
        self.host("h").into_iter().cycle().take(3).for_each(visit);
    }

    fn services_in<'a>(&'a self, _: &str, visit: &mut dyn FnMut(ServiceFacts<'a>)) {
        self.service("h", "s").into_iter().cycle().take(3).for_each(visit);
    }

    fn contacts_in<'a>(&'a self, _: &str, visit: &mut dyn FnMut(ContactFacts<'a>)) {
        self.contact("c").into_iter().for_each(visit);
    }

    fn services_of<'a>(&'a self, _: &str, visit: &mut dyn FnMut(ServiceFacts<'a>)) {
        self.service("h", "s").into_iter().for_each(visit);
    }

    fn groups_of<'a>(&'a self, _: Owner<'_>, visit: &mut dyn FnMut(GroupFacts<'a>)) {
        self.group("g").into_iter().for_each(visit);
    }

    fn variables_of<'a>(&'a self, _: Owner<'_>, visit: &mut dyn FnMut(&'a str, &'a str)) {
        visit("X", &self.text);
    }

    fn totals(&self) -> Totals {
        Totals::default()
    }

    fn in_period(&self, name: &str, _: Timestamp) -> Option<bool> {
        (name == "t").then_some(true)
    }

    fn next_valid(&self, name: &str, at: Timestamp) -> Option<Option<Timestamp>> {
        (name == "t").then_some(Some(at))
    }
}
