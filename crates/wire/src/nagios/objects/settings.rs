//! The directives that hosts and services share, to typed settings.

use std::sync::Arc;

use super::kinds::{Kind, Slot};
use super::model::{CommandCall, Id, Places, Settings, Variable};
use super::names::{Context, Names};
use super::options::{self, Family, OptionSet};
use super::templates::{RawVariable, Slots};
use super::values::{coordinates, count, flag, items, state, units};
use crate::nagios::finding::Place;

/// The names that settings refer to.
pub(super) struct Referred {
    pub timeperiods: Names,
    pub commands: Names,
    pub contacts: Names,
    pub contactgroups: Names,
}

/// The directives of one definition, and what is needed to read them.
pub(super) struct Reading<'r, 'a, 'c> {
    pub slots: &'r Slots<'a>,
    pub referred: &'r Referred,
    pub cx: &'r mut Context<'c>,
    /// Of the definition.
    pub place: Place,
}

impl Reading<'_, '_, '_> {
    pub fn place_of(&self, slot: Slot) -> Place {
        self.slots.place(slot).unwrap_or(self.place)
    }

    pub fn text(&mut self, slot: Slot) -> Option<Arc<str>> {
        self.slots.text(slot).map(|text| self.cx.texts.keep(text))
    }

    pub fn flag(&self, slot: Slot, default: bool) -> bool {
        self.slots.text(slot).and_then(flag).unwrap_or(default)
    }

    pub fn units(&self, slot: Slot) -> Option<f64> {
        self.slots.text(slot).and_then(units)
    }

    pub fn count(&self, slot: Slot) -> Option<u32> {
        self.slots.text(slot).and_then(count)
    }

    /// Unset if the directive is; a wrong value was reported where it stands.
    pub fn options(&self, slot: Slot, family: &Family) -> Option<OptionSet> {
        self.slots.text(slot).and_then(|text| options::parse(text, family).ok())
    }

    /// Outer: is there such a directive; inner: does it name a period (`null` does not).
    pub fn period(&mut self, slot: Slot) -> Option<Option<Id>> {
        let value = self.slots.get(slot)?;
        if value.is_null {
            return Some(None);
        }
        Some(self.referred.timeperiods.one(&value.text, value.place, &mut self.cx.found))
    }

    fn call(&mut self, text: &str, place: Place) -> Option<CommandCall> {
        let name = text.split('!').next().unwrap_or_default().trim();
        let command = self.referred.commands.one(name, place, &mut self.cx.found)?;
        Some(CommandCall { command, text: self.cx.texts.keep(text) })
    }

    pub fn command(&mut self, slot: Slot) -> Option<CommandCall> {
        let place = self.place_of(slot);
        let slots = self.slots;
        slots.text(slot).and_then(|text| self.call(text, place))
    }

    pub fn commands(&mut self, slot: Slot) -> Vec<CommandCall> {
        let place = self.place_of(slot);
        let slots = self.slots;
        slots.text(slot).into_iter().flat_map(items).filter_map(|text| self.call(text, place)).collect()
    }

    /// Outer: is there such a directive (`null` is one that names nobody).
    pub fn list(&mut self, slot: Slot, names: &Names) -> Option<Vec<Id>> {
        let value = self.slots.get(slot)?;
        Some(if value.is_null { Vec::new() } else { names.list(&value.text, value.place, self.cx) })
    }

    pub fn variables(&mut self) -> Arc<[Variable]> {
        let slots = self.slots;
        variables(&slots.variables, self.cx)
    }
}

fn variables(raw: &[RawVariable<'_>], cx: &mut Context<'_>) -> Arc<[Variable]> {
    let mut all: Vec<Variable> = raw
        .iter()
        .filter_map(|variable| {
            let name = cx.texts.keep(&variable.name.to_uppercase());
            Some(Variable { name, value: cx.texts.keep(variable.value?), place: variable.place })
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.into()
}

/// A required directive that is not there is an error.
pub(super) fn require(kind: Kind, slot: Slot, slots: &Slots<'_>, place: Place, cx: &mut Context<'_>) {
    if slots.text(slot).is_none() {
        missing(kind, slot, place, cx);
    }
}

pub(super) fn missing(kind: Kind, slot: Slot, place: Place, cx: &mut Context<'_>) {
    let names = kind.rows().iter().find(|row| row.1 == slot).map_or(&[][..], |row| row.0);
    let name = names.first().copied().unwrap_or_default();
    let message = format!("this {} has no {name}", kind.word());
    let help = format!("add `{name}`, or `register 0` if it is only a template");
    cx.found.error("missing-directive", place, message, help);
}

/// How the letters of a kind's options are read.
struct Families {
    notification: &'static Family,
    flapping: &'static Family,
    stalking: &'static Family,
    states: &'static str,
}

/// The settings of a host or service.
pub(super) fn read(kind: Kind, mut reading: Reading<'_, '_, '_>) -> Settings {
    let families = match kind {
        Kind::Service => Families {
            notification: &options::SERVICE_NOTIFICATION,
            flapping: &options::SERVICE_FLAPPING,
            stalking: &options::SERVICE_STALKING,
            states: "owuc",
        },
        _ => Families {
            notification: &options::HOST_NOTIFICATION,
            flapping: &options::HOST_FLAPPING,
            stalking: &options::HOST_STALKING,
            states: "odu",
        },
    };
    let r = &mut reading;
    let referred = r.referred;
    // Nagios numbers the states of services OK, WARNING, CRITICAL, UNKNOWN; the letters come in another order.
    let initial_state = match (kind, r.slots.text(Slot::InitialState).and_then(|text| state(text, families.states))) {
        (_, None) => 0,
        (Kind::Service, Some(2)) => 3,
        (Kind::Service, Some(3)) => 2,
        (_, Some(state)) => state,
    };
    Settings {
        check_command: r.command(Slot::CheckCommand),
        check_period: r.period(Slot::CheckPeriod).flatten(),
        event_handler: r.command(Slot::EventHandler),
        event_handler_period: r.period(Slot::EventHandlerPeriod).flatten(),
        max_check_attempts: r.count(Slot::MaxCheckAttempts).unwrap_or(1).max(1),
        check_interval: r.units(Slot::CheckInterval).unwrap_or(5.0),
        retry_interval: retry_interval(kind, r),
        check_timeout: r.count(Slot::CheckTimeout),
        initial_state,
        active_checks_enabled: r.flag(Slot::ActiveChecks, true),
        passive_checks_enabled: r.flag(Slot::PassiveChecks, true),
        check_freshness: r.flag(Slot::CheckFreshness, false),
        freshness_threshold: r.count(Slot::FreshnessThreshold).unwrap_or(0),
        obsess: r.flag(Slot::Obsess, true),
        event_handler_enabled: r.flag(Slot::EventHandlerEnabled, true),
        flap_detection_enabled: r.flag(Slot::FlapDetection, true),
        low_flap_threshold: r.units(Slot::LowFlap).unwrap_or(0.0),
        high_flap_threshold: r.units(Slot::HighFlap).unwrap_or(0.0),
        flap_detection_options: r.options(Slot::FlapOptions, families.flapping).unwrap_or(OptionSet::ALL),
        process_perf_data: r.flag(Slot::ProcessPerfData, true),
        retain_status_information: r.flag(Slot::RetainStatus, true),
        retain_nonstatus_information: r.flag(Slot::RetainNonstatus, true),
        notifications_enabled: r.flag(Slot::NotificationsEnabled, true),
        notification_period: r.period(Slot::NotificationPeriod),
        notification_interval: r.units(Slot::NotificationInterval),
        first_notification_delay: r.units(Slot::FirstNotificationDelay).unwrap_or(0.0),
        notification_options: r.options(Slot::NotificationOptions, families.notification).unwrap_or(OptionSet::ALL),
        stalking_options: r.options(Slot::StalkingOptions, families.stalking).unwrap_or(OptionSet::NONE),
        importance: r.count(Slot::Importance).unwrap_or(0),
        contacts: r.list(Slot::Contacts, &referred.contacts),
        contact_groups: r.list(Slot::ContactGroups, &referred.contactgroups),
        notes: r.text(Slot::Notes),
        notes_url: r.text(Slot::NotesUrl),
        action_url: r.text(Slot::ActionUrl),
        icon_image: r.text(Slot::IconImage),
        icon_image_alt: r.text(Slot::IconImageAlt),
        vrml_image: r.text(Slot::VrmlImage),
        statusmap_image: r.text(Slot::StatusmapImage),
        coords_2d: coords(r.slots, Slot::Coords2d),
        coords_3d: coords(r.slots, Slot::Coords3d),
        is_volatile: r.count(Slot::IsVolatile).unwrap_or(0),
        parallelize_check: r.flag(Slot::Parallelize, true),
        variables: r.variables(),
        places: Places {
            check_command: r.place_of(Slot::CheckCommand),
            check_period: r.place_of(Slot::CheckPeriod),
            event_handler: r.place_of(Slot::EventHandler),
            notification_period: r.place_of(Slot::NotificationPeriod),
            contacts: r.slots.place(Slot::Contacts).unwrap_or_else(|| r.place_of(Slot::ContactGroups)),
        },
    }
}

fn retry_interval(kind: Kind, r: &mut Reading<'_, '_, '_>) -> f64 {
    let interval = r.units(Slot::RetryInterval).unwrap_or(1.0);
    if kind == Kind::Service && interval <= 0.0 {
        let place = r.place_of(Slot::RetryInterval);
        r.cx.found.error("bad-value", place, "the `retry_interval` of a service is 0", "expected a number above 0");
    }
    interval
}

pub(super) fn coords<const N: usize>(slots: &Slots<'_>, slot: Slot) -> Option<[f64; N]> {
    slots.text(slot).and_then(|text| coordinates(text, N)).and_then(|numbers| numbers.try_into().ok())
}
