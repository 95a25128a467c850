//! The stages between an object's notice and one contact (specification 03, 5.3).

use super::{Case, Kinds, Stage, Window};
use crate::catalog::nagios::Options;
use crate::model::NoticeKind;

/// One contact, asked about one notice.
#[derive(Clone, Debug)]
pub struct ContactCase {
    pub kind: NoticeKind,
    pub forced: bool,
    pub of: Of,
    pub state: u8,
    /// States that the present problem was notified for.
    pub notified_on: Options,
    /// Of the object; of a host with that of its services.
    pub importance: u64,
    pub minimum_importance: u32,
    /// `host_notifications_enabled` or `service_notifications_enabled`.
    pub on: bool,
    pub period: Option<Window>,
    pub options: Options,
}

/// Which side of a contact is asked.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Of {
    Host,
    Service,
}

impl Case for ContactCase {
    fn kind(&self) -> NoticeKind {
        self.kind
    }

    fn forced(&self) -> bool {
        self.forced
    }
}

const fn stage(name: &'static str, of: Kinds, holds: fn(&ContactCase) -> Option<String>) -> Stage<ContactCase> {
    Stage { name, of, holds }
}

/// In order. What is custom passes after the period, an acknowledgement too: neither is filtered by states.
pub const CONTACT: &[Stage<ContactCase>] = &[
    stage("importance", Kinds::ALL, unimportant),
    stage("contact_disabled", Kinds::ALL, contact_off),
    stage("contact_period", Kinds::ALL, outside_period),
    stage("contact_options", Kinds::FLAPPING, no_flapping_option),
    stage("contact_options", Kinds::DOWNTIME, no_downtime_option),
    stage("contact_options", Kinds::PROBLEM, no_state_option),
    stage("contact_options", Kinds::RECOVERY, no_recovery_option),
];

fn unimportant(case: &ContactCase) -> Option<String> {
    (u64::from(case.minimum_importance) > case.importance)
        .then(|| format!("importance {} is below the contact's {}", case.importance, case.minimum_importance))
}

fn contact_off(case: &ContactCase) -> Option<String> {
    (!case.on).then(|| "the contact's notifications are switched off".to_owned())
}

fn outside_period(case: &ContactCase) -> Option<String> {
    case.period.as_ref()?.holds()
}

fn no_flapping_option(case: &ContactCase) -> Option<String> {
    missing(case, Options::FLAPPING, "f")
}

fn no_downtime_option(case: &ContactCase) -> Option<String> {
    missing(case, Options::DOWNTIME, "s")
}

fn missing(case: &ContactCase, option: Options, letter: &str) -> Option<String> {
    (!case.options.has(option)).then(|| format!("the contact's options lack {letter}"))
}

fn no_state_option(case: &ContactCase) -> Option<String> {
    let letter = match (case.of, case.state) {
        (Of::Service, 1) => "w",
        (Of::Service, 2) => "c",
        (Of::Host, 1) => "d",
        (Of::Service | Of::Host, _) => "u",
    };
    missing(case, Options::of_state(case.state), letter)
}

/// Only those hear of the end who could hear of the problem.
fn no_recovery_option(case: &ContactCase) -> Option<String> {
    missing(case, Options::RECOVERY, "r").or_else(|| {
        let heard = match case.of {
            Of::Host => !case.notified_on.is_empty(),
            Of::Service => case.notified_on.0 & case.options.0 != 0,
        };
        (!heard).then(|| "the contact was not told of the problem".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::notice::first_hold;

    fn case(kind: NoticeKind, state: u8) -> ContactCase {
        ContactCase {
            kind,
            forced: false,
            of: Of::Service,
            state,
            notified_on: Options::CRITICAL,
            importance: 0,
            minimum_importance: 0,
            on: true,
            period: None,
            options: Options::ALL,
        }
    }

    fn held(case: &ContactCase) -> Option<&'static str> {
        first_hold(CONTACT, case).map(|hold| hold.stage)
    }

    fn closed() -> Option<Window> {
        Some(Window { name: "day".into(), inside: false, opens: None })
    }

    type Change = fn(&mut ContactCase);

    #[test]
    fn each_stage_holds_what_it_is_made_for() {
        use NoticeKind::{Acknowledgement, Custom, DowntimeEnd, FlappingStart, Problem, Recovery};
        let lacks = |option: Options| Options(Options::ALL.0 & !option.0);
        let table: &[(&str, NoticeKind, u8, Change, Option<&str>)] = &[
            ("plain problem", Problem, 2, |_| (), None),
            ("unimportant", Problem, 2, |c| c.minimum_importance = 1, Some("importance")),
            ("important enough", Problem, 2, |c| (c.minimum_importance, c.importance) = (5, 5), None),
            ("switched off", Custom, 0, |c| c.on = false, Some("contact_disabled")),
            ("off hours", Custom, 0, |c| c.period = closed(), Some("contact_period")),
            ("off hours ack", Acknowledgement, 2, |c| c.period = closed(), Some("contact_period")),
            ("custom needs no option", Custom, 0, |c| c.options = Options::NONE, None),
            ("ack needs no option", Acknowledgement, 2, |c| c.options = Options::NONE, None),
            ("no recoveries", Recovery, 0, |c| c.options = Options::SERVICE_STATES, Some("contact_options")),
            ("recovery of what it was told", Recovery, 0, |c| c.options = Options::CRITICAL | Options::RECOVERY, None),
            (
                "recovery of what it was not told",
                Recovery,
                0,
                |c| c.options = Options::WARNING | Options::RECOVERY,
                Some("contact_options"),
            ),
        ];
        for (name, kind, state, change, expect) in table {
            let mut case = case(*kind, *state);
            change(&mut case);
            assert_eq!(held(&case), *expect, "{name}");
            case.forced = true;
            assert_eq!(held(&case), None, "{name}, forced");
        }
        for (kind, option) in [(FlappingStart, Options::FLAPPING), (DowntimeEnd, Options::DOWNTIME)] {
            let mut case = case(kind, 0);
            case.options = lacks(option);
            assert_eq!(held(&case), Some("contact_options"), "{kind:?}");
            case.options = option;
            assert_eq!(held(&case), None, "{kind:?} with nothing but its own letter");
        }
    }

    #[test]
    fn a_problem_needs_the_letter_of_its_state() {
        for of in [Of::Service, Of::Host] {
            for state in 1..=if of == Of::Service { 3 } else { 2 } {
                let mut case = ContactCase { of, ..case(NoticeKind::Problem, state) };
                case.options = Options::of_state(state);
                assert_eq!(held(&case), None, "{of:?} {state}");
                case.options = Options(Options::ALL.0 & !Options::of_state(state).0);
                assert_eq!(held(&case), Some("contact_options"), "{of:?} {state}");
            }
        }
    }

    #[test]
    fn a_host_recovery_goes_to_all_who_want_recoveries_once_anything_was_told() {
        let mut case = ContactCase { of: Of::Host, ..case(NoticeKind::Recovery, 0) };
        case.notified_on = Options::DOWN;
        case.options = Options::UNREACHABLE | Options::RECOVERY;
        assert_eq!(held(&case), None);
        case.notified_on = Options::NONE;
        assert_eq!(held(&case), Some("contact_options"));
    }
}
