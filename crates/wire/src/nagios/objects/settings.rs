//! The directives that hosts and services share, to typed settings.

use std::sync::Arc;

use super::kinds::{Kind, Slot};
use super::model::{CommandCall, Id, Places, Settings, Variable};
use super::names::{Context, Names};
use super::options::{self, Family, OptionSet};
use super::templates::{RawVariable, Slots, Value};
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
        self.slots.get(slot).map(|value| period(value, self.referred, self.cx))
    }

    pub fn commands(&mut self, slot: Slot) -> Vec<CommandCall> {
        let place = self.place_of(slot);
        let (slots, referred) = (self.slots, self.referred);
        slots.text(slot).into_iter().flat_map(items).filter_map(|text| call(text, place, referred, self.cx)).collect()
    }

    /// Outer: is there such a directive (`null` is one that names nobody).
    pub fn list(&mut self, slot: Slot, names: &Names) -> Option<Vec<Id>> {
        self.slots.get(slot).map(|value| list(value, names, self.cx))
    }

    pub fn variables(&mut self) -> Arc<[Variable]> {
        variables(&self.slots.variables, self.cx)
    }
}

fn call(text: &str, place: Place, referred: &Referred, cx: &mut Context<'_>) -> Option<CommandCall> {
    let name = text.split('!').next().unwrap_or_default().trim();
    let command = referred.commands.one(name, place, &mut cx.found)?;
    Some(CommandCall { command, text: cx.texts.keep(text) })
}

fn period(value: &Value<'_>, referred: &Referred, cx: &mut Context<'_>) -> Option<Id> {
    if value.is_null { None } else { referred.timeperiods.one(&value.text, value.place, &mut cx.found) }
}

fn list(value: &Value<'_>, names: &Names, cx: &mut Context<'_>) -> Vec<Id> {
    if value.is_null { Vec::new() } else { names.list(&value.text, value.place, cx) }
}

pub(super) fn variables(raw: &[RawVariable<'_>], cx: &mut Context<'_>) -> Arc<[Variable]> {
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

static OF_HOSTS: Families = Families {
    notification: &options::HOST_NOTIFICATION,
    flapping: &options::HOST_FLAPPING,
    stalking: &options::HOST_STALKING,
    states: "odu",
};
static OF_SERVICES: Families = Families {
    notification: &options::SERVICE_NOTIFICATION,
    flapping: &options::SERVICE_FLAPPING,
    stalking: &options::SERVICE_STALKING,
    states: "owuc",
};

/// What holds where nothing is written.
fn unset() -> Settings {
    Settings {
        check_command: None,
        check_period: None,
        event_handler: None,
        event_handler_period: None,
        max_check_attempts: 1,
        check_interval: 5.0,
        retry_interval: 1.0,
        check_timeout: None,
        initial_state: 0,
        active_checks_enabled: true,
        passive_checks_enabled: true,
        check_freshness: false,
        freshness_threshold: 0,
        obsess: true,
        event_handler_enabled: true,
        flap_detection_enabled: true,
        low_flap_threshold: 0.0,
        high_flap_threshold: 0.0,
        flap_detection_options: OptionSet::ALL,
        process_perf_data: true,
        retain_status_information: true,
        retain_nonstatus_information: true,
        notifications_enabled: true,
        notification_period: None,
        notification_interval: None,
        first_notification_delay: 0.0,
        notification_options: OptionSet::ALL,
        stalking_options: OptionSet::NONE,
        importance: 0,
        contacts: None,
        contact_groups: None,
        notes: None,
        notes_url: None,
        action_url: None,
        icon_image: None,
        icon_image_alt: None,
        vrml_image: None,
        statusmap_image: None,
        coords_2d: None,
        coords_3d: None,
        is_volatile: 0,
        parallelize_check: true,
        variables: Arc::default(),
        places: Places::default(),
    }
}

/// The settings of all directives of a host or service template.
pub(super) fn read(kind: Kind, slots: &Slots<'_>, referred: &Referred, cx: &mut Context<'_>) -> Settings {
    let mut settings = unset();
    for (slot, value) in slots.slots() {
        apply(&mut settings, kind, slot, value, referred, cx);
    }
    settings.variables = variables(&slots.variables, cx);
    settings
}

/// Writes one directive over what its templates gave.
pub(super) fn apply(
    settings: &mut Settings,
    kind: Kind,
    slot: Slot,
    value: &Value<'_>,
    referred: &Referred,
    cx: &mut Context<'_>,
) {
    // Wrong values were reported where they stand; what they are taken for only serves further findings.
    let text = (!value.is_null).then_some(value.text.as_ref());
    let s = settings;
    apply_flag(s, slot, text);
    apply_number(s, kind, slot, text, value.place, cx);
    apply_option(s, if kind == Kind::Service { &OF_SERVICES } else { &OF_HOSTS }, kind, slot, text);
    apply_text(s, slot, text, cx);
    let mut place = None;
    match slot {
        Slot::CheckCommand => {
            s.check_command = text.and_then(|text| call(text, value.place, referred, cx));
            place = Some(&mut s.places.check_command);
        }
        Slot::EventHandler => {
            s.event_handler = text.and_then(|text| call(text, value.place, referred, cx));
            place = Some(&mut s.places.event_handler);
        }
        Slot::CheckPeriod => {
            s.check_period = period(value, referred, cx);
            place = Some(&mut s.places.check_period);
        }
        Slot::EventHandlerPeriod => s.event_handler_period = period(value, referred, cx),
        Slot::NotificationPeriod => {
            s.notification_period = Some(period(value, referred, cx));
            place = Some(&mut s.places.notification_period);
        }
        Slot::Contacts => {
            s.contacts = Some(list(value, &referred.contacts, cx).into());
            place = Some(&mut s.places.contacts);
        }
        Slot::ContactGroups => {
            s.contact_groups = Some(list(value, &referred.contactgroups, cx).into());
            place = Some(&mut s.places.contacts);
        }
        _ => {}
    }
    if let Some(place) = place {
        *place = value.place;
    }
}

fn apply_flag(s: &mut Settings, slot: Slot, text: Option<&str>) {
    let (field, default) = match slot {
        Slot::ActiveChecks => (&mut s.active_checks_enabled, true),
        Slot::PassiveChecks => (&mut s.passive_checks_enabled, true),
        Slot::CheckFreshness => (&mut s.check_freshness, false),
        Slot::Obsess => (&mut s.obsess, true),
        Slot::EventHandlerEnabled => (&mut s.event_handler_enabled, true),
        Slot::FlapDetection => (&mut s.flap_detection_enabled, true),
        Slot::ProcessPerfData => (&mut s.process_perf_data, true),
        Slot::RetainStatus => (&mut s.retain_status_information, true),
        Slot::RetainNonstatus => (&mut s.retain_nonstatus_information, true),
        Slot::NotificationsEnabled => (&mut s.notifications_enabled, true),
        Slot::Parallelize => (&mut s.parallelize_check, true),
        _ => return,
    };
    *field = text.and_then(flag).unwrap_or(default);
}

fn apply_number(s: &mut Settings, kind: Kind, slot: Slot, text: Option<&str>, place: Place, cx: &mut Context<'_>) {
    let units = || text.and_then(units);
    let count = || text.and_then(count);
    match slot {
        Slot::MaxCheckAttempts => s.max_check_attempts = count().unwrap_or(1).max(1),
        Slot::CheckInterval => s.check_interval = units().unwrap_or(5.0),
        Slot::RetryInterval => {
            s.retry_interval = units().unwrap_or(1.0);
            if kind == Kind::Service && s.retry_interval <= 0.0 {
                let help = "expected a number above 0";
                cx.found.error("bad-value", place, "the `retry_interval` of a service is 0", help);
            }
        }
        Slot::CheckTimeout => s.check_timeout = count(),
        Slot::FreshnessThreshold => s.freshness_threshold = count().unwrap_or(0),
        Slot::LowFlap => s.low_flap_threshold = units().unwrap_or(0.0),
        Slot::HighFlap => s.high_flap_threshold = units().unwrap_or(0.0),
        Slot::NotificationInterval => s.notification_interval = units(),
        Slot::FirstNotificationDelay => s.first_notification_delay = units().unwrap_or(0.0),
        Slot::Importance => s.importance = count().unwrap_or(0),
        Slot::IsVolatile => s.is_volatile = count().unwrap_or(0),
        Slot::Coords2d => s.coords_2d = text.and_then(coords),
        Slot::Coords3d => s.coords_3d = text.and_then(coords),
        _ => {}
    }
}

fn apply_option(s: &mut Settings, families: &Families, kind: Kind, slot: Slot, text: Option<&str>) {
    let read = |family| text.and_then(|text| options::parse(text, family).ok());
    match slot {
        Slot::FlapOptions => s.flap_detection_options = read(families.flapping).unwrap_or(OptionSet::ALL),
        Slot::NotificationOptions => s.notification_options = read(families.notification).unwrap_or(OptionSet::ALL),
        Slot::StalkingOptions => s.stalking_options = read(families.stalking).unwrap_or(OptionSet::NONE),
        // Nagios numbers the states of services OK, WARNING, CRITICAL, UNKNOWN; the letters come in another order.
        Slot::InitialState => {
            s.initial_state = match (kind, text.and_then(|text| state(text, families.states)).unwrap_or(0)) {
                (Kind::Service, 2) => 3,
                (Kind::Service, 3) => 2,
                (_, state) => state,
            }
        }
        _ => {}
    }
}

fn apply_text(s: &mut Settings, slot: Slot, text: Option<&str>, cx: &mut Context<'_>) {
    let field = match slot {
        Slot::Notes => &mut s.notes,
        Slot::NotesUrl => &mut s.notes_url,
        Slot::ActionUrl => &mut s.action_url,
        Slot::IconImage => &mut s.icon_image,
        Slot::IconImageAlt => &mut s.icon_image_alt,
        Slot::VrmlImage => &mut s.vrml_image,
        Slot::StatusmapImage => &mut s.statusmap_image,
        _ => return,
    };
    *field = text.map(|text| cx.texts.keep(text));
}

pub(super) fn coords<const N: usize>(text: &str) -> Option<[f64; N]> {
    coordinates(text, N).and_then(|numbers| numbers.try_into().ok())
}
