//! The last look over resolved objects: what is odd although every line for itself is right.

use super::model::{Contact, Hearing, Host, Objects, Service, Settings};
use super::options::OptionSet;
use crate::nagios::finding::{Findings, Place, quoted};

pub(super) fn check(objects: &Objects, found: &mut Findings) {
    if objects.hosts.is_empty() {
        found.error("no-hosts", Place::default(), "no host is defined", "define at least one host");
    }
    if objects.services.is_empty() {
        found.error("no-services", Place::default(), "no service is defined", "define at least one service");
    }
    objects.contacts.iter().for_each(|contact| check_contact(contact, found));
    objects.hosts.iter().for_each(|host| check_host(host, found));
    objects.services.iter().for_each(|service| check_service(objects, service, found));
}

fn check_contact(contact: &Contact, found: &mut Findings) {
    let what = format!("contact {}", quoted(&contact.name));
    for (word, hearing, problems) in [
        ("host", &contact.host, OptionSet::DOWN.with(OptionSet::UNREACHABLE)),
        ("service", &contact.service, OptionSet::WARNING.with(OptionSet::UNKNOWN).with(OptionSet::CRITICAL)),
    ] {
        let Hearing { period, options, commands, .. } = hearing;
        if commands.is_empty() {
            let message = format!("{what} has no {word}_notification_commands");
            found.error("missing-directive", contact.place, message, "add the command that reaches this contact");
        }
        if period.is_none() {
            let message = format!("{what} has no {word}_notification_period");
            found.warning("no-notification-period", contact.place, message, "without it, always");
        }
        if options.is_some_and(|options| only_recovery(options, problems)) {
            let message = format!("{what} hears of the recovery of a {word} but of no problem");
            found.warning("only-recovery", contact.place, message, "add the problem states, or remove r");
        }
    }
}

/// Recovery without any of the problems that one can recover from.
fn only_recovery(options: OptionSet, problems: OptionSet) -> bool {
    options.has(OptionSet::OK) && options.bits() & problems.bits() == 0
}

fn check_host(host: &Host, found: &mut Findings) {
    let settings = &host.settings;
    let what = || format!("host {}", quoted(&host.name));
    if !has_any(settings) {
        let message = format!("{} has no contacts and no contact groups", what());
        found.warning(
            "no-contacts",
            host.place,
            message,
            "nobody is told about it; add `contacts` or `contact_groups`",
        );
    }
    if settings.notification_period.flatten().is_none() {
        let message = format!("{} has no notification_period", what());
        found.warning("no-notification-period", host.place, message, "without it, always");
    }
    if only_recovery(settings.notification_options, OptionSet::DOWN.with(OptionSet::UNREACHABLE)) {
        let message = format!("{} notifies of recovery but of no problem", what());
        found.warning("only-recovery", host.place, message, "add d or u to notification_options, or remove r");
    }
}

fn check_service(objects: &Objects, service: &Service, found: &mut Findings) {
    let settings = &service.settings;
    let what = || {
        let host = objects.host(service.host).map_or("", |host| &*host.name);
        format!("service {} on host {}", quoted(&service.description), quoted(host))
    };
    if !has_recipients(objects, service) {
        let message = format!("{} has no contacts and no contact groups", what());
        found.warning(
            "no-contacts",
            service.place,
            message,
            "nobody is told about it; add `contacts` or `contact_groups`",
        );
    }
    if objects.notification_period(service).is_none() {
        let message = format!("{} has no notification_period", what());
        found.warning("no-notification-period", service.place, message, "without it, always");
    }
    let problems = OptionSet::WARNING.with(OptionSet::UNKNOWN).with(OptionSet::CRITICAL);
    if only_recovery(settings.notification_options, problems) {
        let message = format!("{} notifies of recovery but of no problem", what());
        found.warning("only-recovery", service.place, message, "add w, u or c to notification_options, or remove r");
    }
    let interval = objects.notification_interval(service);
    if interval > 0.0 && interval < settings.check_interval {
        let message = format!("{} has a notification_interval below its check_interval", what());
        let help = "notifications are repeated after checks only, so the check_interval counts";
        found.warning("short-notification-interval", service.place, message, help);
    }
}

/// As [`Objects::recipients`], without making lists.
fn has_recipients(objects: &Objects, service: &Service) -> bool {
    let own = &service.settings;
    let settings = match (&own.contacts, &own.contact_groups) {
        (None, None) => objects.host(service.host).map_or(own, |host| &host.settings),
        _ => own,
    };
    has_any(settings)
}

fn has_any(settings: &Settings) -> bool {
    [&settings.contacts, &settings.contact_groups].into_iter().flatten().any(|list| !list.is_empty())
}
