//! The documented rules as tables, written apart from the engine: what a case must lead to, step by step.

use crate::generator::{Action, Case, Object, Role, STEP_SECS};

/// Bits of states notified about, and of contact options.
const RECOVERY: u8 = 0x10;
const FLAPPING: u8 = 0x20;
const DOWNTIME: u8 = 0x40;

/// Start and stop of flapping, in percent.
const FLAPS_FROM: f64 = 30.0;
const FLAPS_TO: f64 = 20.0;

/// What an object is after a step, and what was told and logged in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    pub objects: Vec<String>,
    /// `contact;host;service;STATE` or `…;KIND (STATE)`, sorted.
    pub told: Vec<String>,
    /// `host;service;STATE;TYPE;attempt`, sorted.
    pub alerts: Vec<String>,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Was {
    Well,
    Soft,
    Hard,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Now {
    Well,
    /// The same problem as before.
    Same,
    Other,
}

/// What a result makes of an object.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Course {
    Steady,
    /// First attempt of a problem.
    Begins,
    /// One attempt more, of whatever problem it is now.
    Counts,
    SoftRecovery,
    HardRecovery,
    /// Another hard problem at once.
    HardChange,
    /// Another problem that is soft again, at the attempt it has.
    FallsBack,
    /// Hard whatever the attempt.
    Believed,
}

use Course::{Begins, Believed, Counts, FallsBack, HardChange, HardRecovery, SoftRecovery, Steady};

/// Specification 03, 2.1 and 3: before, result, whether the attempts are used up, what happens.
#[rustfmt::skip]
const COURSES: &[(Was, Now, Option<bool>, Course)] = &[
    (Was::Well, Now::Well, None, Steady),
    (Was::Well, Now::Other, None, Begins),
    (Was::Soft, Now::Well, None, SoftRecovery),
    (Was::Soft, Now::Same, None, Counts),
    (Was::Soft, Now::Other, None, Counts),
    (Was::Hard, Now::Well, None, HardRecovery),
    (Was::Hard, Now::Same, None, Steady),
    (Was::Hard, Now::Other, Some(true), HardChange),
    // It became hard before its attempts were used up: while its host was not UP.
    (Was::Hard, Now::Other, Some(false), FallsBack),
];

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Kind {
    Problem,
    Recovery,
    Acknowledgement,
    Custom { forced: bool },
    Flapping(&'static str),
    Downtime(&'static str),
}

/// One object of the case and all that is remembered of it.
struct Thing {
    state: u8,
    hard: bool,
    attempt: u16,
    last_hard: u8,
    /// When it last became hard; `None` = never.
    hard_since: Option<i64>,
    /// Acknowledged, and whether that is sticky.
    ack: Option<bool>,
    /// Ends of the downtimes that run.
    downtimes: Vec<i64>,
    enabled: bool,
    /// The oldest first.
    history: [u8; 21],
    flapping: bool,
    number: u32,
    notified_on: u8,
    next: i64,
    no_more: bool,
    told: Vec<String>,
}

pub struct Model<'a> {
    case: &'a Case,
    things: Vec<Thing>,
    now: i64,
    seen: Seen,
}

impl<'a> Model<'a> {
    pub fn new(case: &'a Case) -> Model<'a> {
        let thing = |_: &Object| Thing {
            state: 0,
            hard: true,
            attempt: 1,
            last_hard: 0,
            hard_since: None,
            ack: None,
            downtimes: Vec::new(),
            enabled: true,
            history: [0; 21],
            flapping: false,
            number: 0,
            notified_on: 0,
            next: i64::MIN,
            no_more: false,
            told: Vec::new(),
        };
        Model { case, things: case.objects.iter().map(thing).collect(), now: 0, seen: Seen::default() }
    }

    /// One step: commands come at its beginning, active results a second later, downtimes end when they do.
    pub fn step(&mut self, number: usize) -> Seen {
        let begin = i64::try_from(number).expect("small") * STEP_SECS;
        for second in 0..STEP_SECS {
            self.now = begin + second;
            self.end_downtimes();
            match &self.case.steps[number] {
                Some(action @ Action::Result { active: true, .. }) if second == 1 => self.act(action),
                Some(Action::Result { active: true, .. }) | None => {}
                Some(action) if second == 0 => self.act(action),
                Some(_) => {}
            }
        }
        let mut seen = std::mem::take(&mut self.seen);
        seen.objects = (0..self.things.len()).map(|place| self.shown(place)).collect();
        seen.told.sort();
        seen.alerts.sort();
        seen
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Result { object, code, .. } => self.result(object, code),
            Action::Acknowledge { object, sticky, notify } => {
                if self.things[object].state != 0 {
                    if notify {
                        self.tell(object, Kind::Acknowledgement);
                    }
                    self.things[object].ack = Some(sticky);
                }
            }
            Action::Unacknowledge { object } => self.things[object].ack = None,
            Action::Downtime { object, secs } => {
                self.tell(object, Kind::Downtime("DOWNTIMESTART"));
                self.things[object].downtimes.push(self.now + secs);
            }
            Action::CancelDowntimes { object } => self.cancel_downtimes(object),
            Action::Notifications { object, on } => self.things[object].enabled = on,
            Action::Custom { object, forced } => self.tell(object, Kind::Custom { forced }),
        }
    }

    fn end_downtimes(&mut self) {
        for place in 0..self.things.len() {
            while let Some(ended) = self.things[place].downtimes.iter().position(|end| *end <= self.now) {
                self.things[place].downtimes.remove(ended);
                self.tell(place, Kind::Downtime("DOWNTIMEEND"));
            }
        }
    }

    fn cancel_downtimes(&mut self, object: usize) {
        let whole = self.case.objects[object].role == Role::Host;
        for place in 0..self.things.len() {
            let concerned = place == object || (whole && self.case.objects[place].role == Role::Service);
            while concerned && self.things[place].downtimes.pop().is_some() {
                self.tell(place, Kind::Downtime("DOWNTIMECANCELLED"));
            }
        }
    }

    /// Specification 03, 5.5: the believed state of the master is among the criteria `c,u`.
    fn master_fails(&self, place: usize) -> bool {
        self.case.depends && place + 1 == self.things.len() && {
            let master = &self.things[place - 1];
            matches!(if master.hard { master.state } else { master.last_hard }, 2 | 3)
        }
    }

    fn host_of(&self, place: usize) -> Option<&Thing> {
        (self.case.objects[place].role == Role::Service).then(|| &self.things[self.case.host()])
    }

    fn host_is_up(&self, place: usize) -> bool {
        self.host_of(place).is_none_or(|host| host.state == 0)
    }

    /// A host that fails behind a parent that is not UP is unreachable.
    fn judged(&self, place: usize, code: u8) -> u8 {
        let cut_off = self.case.objects[place].role == Role::Host && self.case.has_parent && self.things[0].state != 0;
        if code != 0 && cut_off { 2 } else { code }
    }

    fn result(&mut self, place: usize, code: u8) {
        let state = self.judged(place, code);
        let conf = &self.case.objects[place];
        let (is_service, max) = (conf.role == Role::Service, conf.attempts);
        let host_up = self.host_is_up(place);
        let thing = &mut self.things[place];
        if is_service && state != 0 && !host_up && thing.state == state {
            // The host's problem is told again when its service fails again.
            self.tell_host_again();
        }
        let thing = &mut self.things[place];
        let was = thing.was();
        let course = thing.course(state, max, is_service && !host_up);
        let logged_kind = thing.apply(course, state, max, is_service);
        let changed = thing.state != state;
        thing.state = state;
        let hard_change = matches!(logged_kind, Logged::Hard);
        if hard_change {
            thing.hard = true;
            thing.last_hard = state;
            thing.hard_since = Some(self.now);
        } else if changed {
            thing.hard = false;
        }
        if changed || hard_change {
            (thing.next, thing.no_more) = (i64::MIN, false);
        }
        if changed && (state == 0 || thing.ack == Some(false)) {
            thing.ack = None;
        }
        let soft_problem = state != 0 && !thing.hard;
        let volatile = conf.volatile && state != 0 && thing.hard;
        if changed || hard_change || volatile || soft_problem {
            self.log_alert(place);
        }
        // What is believed only because the host is not UP is told to nobody.
        let new = hard_change && course != Believed;
        self.after_result(place, new || (was == Was::Hard && host_up), volatile);
    }

    fn after_result(&mut self, place: usize, worth_telling: bool, volatile: bool) {
        let is_service = self.case.objects[place].role == Role::Service;
        let thing = &self.things[place];
        if !is_service || thing.hard || thing.state == 0 {
            self.record(place);
        }
        if is_service {
            // A result of any service is another look at its host for the history of flapping.
            self.record(self.case.host());
        }
        let thing = &self.things[place];
        if thing.state != 0 && thing.hard && (worth_telling || volatile) {
            self.tell(place, Kind::Problem);
        } else if thing.state == 0 && thing.hard {
            self.tell(place, Kind::Recovery);
        }
        let thing = &mut self.things[place];
        if is_service && thing.state == 0 && !thing.hard {
            (thing.hard, thing.attempt, thing.last_hard, thing.hard_since) = (true, 1, 0, Some(self.now));
        }
    }

    fn tell_host_again(&mut self) {
        let host = self.case.host();
        if self.things[host].state != 0 && self.things[host].hard {
            self.tell(host, Kind::Problem);
        }
    }

    /// Takes the state into the history; flapping begins or ends by it.
    fn record(&mut self, place: usize) {
        let is_service = self.case.objects[place].role == Role::Service;
        let thing = &mut self.things[place];
        if is_service && thing.state != 0 && !thing.hard {
            return;
        }
        thing.history.rotate_left(1);
        thing.history[20] = thing.state;
        if !self.case.objects[place].flap_detection {
            return;
        }
        let percent = thing.percent();
        let kind = match thing.flapping {
            false if percent >= FLAPS_FROM => "FLAPPINGSTART",
            true if percent <= FLAPS_TO => "FLAPPINGSTOP",
            _ => return,
        };
        thing.flapping = !thing.flapping;
        self.tell(place, Kind::Flapping(kind));
    }

    fn tell(&mut self, place: usize, kind: Kind) {
        let held = self.held(place, kind);
        let thing = &self.things[place];
        if !held {
            let number = thing.number + u32::from(kind == Kind::Problem);
            let recipients = self.recipients(place, kind, number);
            let told: Vec<String> = recipients.iter().filter(|to| self.wants(place, kind, to)).cloned().collect();
            let what = format!("{};{}", self.names(place), self.word(place, kind));
            self.seen.told.extend(told.iter().map(|to| format!("{to};{what}")));
            if kind == Kind::Problem && !told.is_empty() {
                self.problem_told(place, number, recipients);
            }
        }
        if kind == Kind::Recovery && (!held || self.is_unwanted(place)) {
            let thing = &mut self.things[place];
            (thing.number, thing.notified_on) = (0, 0);
            thing.told.clear();
        }
    }

    /// A recovery that nobody asked for, or before which nothing was told, is not owed.
    fn is_unwanted(&self, place: usize) -> bool {
        let conf = &self.case.objects[place];
        // What holds a recovery before its options are looked at keeps it.
        let thing = &self.things[place];
        let asked = thing.enabled && thing.hard && !self.master_fails(place);
        asked && (letters(conf.options) & RECOVERY == 0 || thing.notified_on == 0)
    }

    fn problem_told(&mut self, place: usize, number: u32, recipients: Vec<String>) {
        let conf = &self.case.objects[place];
        let valid = conf.escalations.iter().filter(|e| e.first <= number && (e.last == 0 || number <= e.last));
        let interval = valid.filter_map(|e| e.interval).min().unwrap_or(conf.notification_interval);
        let thing = &mut self.things[place];
        thing.number = number;
        thing.notified_on |= 1 << thing.state;
        thing.next = self.now + interval;
        thing.no_more = interval == 0 && !conf.volatile;
        thing.told = recipients;
    }

    fn recipients(&self, place: usize, kind: Kind, number: u32) -> Vec<String> {
        if kind == Kind::Recovery {
            return self.things[place].told.clone();
        }
        let valid = |first, last| first <= number && (last == 0 || number <= last);
        let escalations = self.case.objects[place].escalations.iter().filter(|e| valid(e.first, e.last));
        let mut names: Vec<String> = escalations.map(|e| format!("esc{}", e.to + 1)).collect();
        names.sort();
        names.dedup();
        if names.is_empty() { vec![self.case.contact(place)] } else { names }
    }

    /// Specification 03, 5.2: some stage holds it.
    fn held(&self, place: usize, kind: Kind) -> bool {
        let (thing, conf) = (&self.things[place], &self.case.objects[place]);
        let options = letters(conf.options);
        let in_downtime = !thing.downtimes.is_empty();
        let host_in_downtime = self.host_of(place).is_some_and(|host| !host.downtimes.is_empty());
        match kind {
            Kind::Custom { forced: true } => return false,
            _ if !thing.enabled => return true,
            Kind::Custom { forced: false } => return in_downtime || host_in_downtime,
            Kind::Acknowledgement => return thing.state == 0,
            Kind::Flapping(_) => return options & FLAPPING == 0 || in_downtime || host_in_downtime,
            Kind::Downtime(_) => return options & DOWNTIME == 0 || in_downtime,
            Kind::Problem | Kind::Recovery => {}
        }
        let problem = kind == Kind::Problem;
        let host_down = self.host_of(place).is_some_and(|host| host.state != 0 && host.hard);
        let parent_down = conf.role == Role::Service && self.case.has_parent && self.things[0].state != 0;
        let early = thing.number == 0 && self.now < thing.hard_since.unwrap_or(0) + conf.first_delay;
        let wanted = if problem { 1 << thing.state } else { RECOVERY };
        !thing.hard
            || (problem && thing.ack.is_some())
            || self.master_fails(place)
            || options & wanted == 0
            || (!problem && thing.notified_on == 0)
            || (problem && early)
            || thing.flapping
            || in_downtime
            || host_in_downtime
            || thing.no_more
            || host_down
            || (problem && parent_down)
            || (problem && !conf.volatile && self.now < thing.next)
    }

    /// Specification 03, 5.3: the contact takes it.
    fn wants(&self, place: usize, kind: Kind, contact: &str) -> bool {
        let (thing, conf) = (&self.things[place], &self.case.objects[place]);
        let options = if contact.starts_with("esc") { u8::MAX } else { letters(conf.contact_options) };
        match kind {
            Kind::Custom { .. } | Kind::Acknowledgement => true,
            Kind::Flapping(_) => options & FLAPPING != 0,
            Kind::Downtime(_) => options & DOWNTIME != 0,
            Kind::Problem => options & (1 << thing.state) != 0,
            Kind::Recovery => {
                options & RECOVERY != 0 && (conf.role != Role::Service || thing.notified_on & options != 0)
            }
        }
    }

    fn names(&self, place: usize) -> String {
        let service = self.case.service_name(place).map(|name| format!(";{name}")).unwrap_or_default();
        format!("{}{service}", self.case.host_name(place))
    }

    fn state_word(&self, place: usize) -> &'static str {
        let words = match self.case.objects[place].role {
            Role::Service => ["OK", "WARNING", "CRITICAL", "UNKNOWN"],
            Role::Parent | Role::Host => ["UP", "DOWN", "UNREACHABLE", "?"],
        };
        words[usize::from(self.things[place].state)]
    }

    fn word(&self, place: usize, kind: Kind) -> String {
        let state = self.state_word(place);
        match kind {
            Kind::Problem | Kind::Recovery => state.to_owned(),
            Kind::Acknowledgement => format!("ACKNOWLEDGEMENT ({state})"),
            Kind::Custom { .. } => format!("CUSTOM ({state})"),
            Kind::Flapping(word) | Kind::Downtime(word) => format!("{word} ({state})"),
        }
    }

    fn log_alert(&mut self, place: usize) {
        let line = format!("{};{}", self.names(place), self.state_fields(place));
        self.seen.alerts.push(line);
    }

    fn state_fields(&self, place: usize) -> String {
        let thing = &self.things[place];
        let kind = if thing.hard { "HARD" } else { "SOFT" };
        format!("{};{kind};{}", self.state_word(place), thing.attempt)
    }

    fn shown(&self, place: usize) -> String {
        let thing = &self.things[place];
        format!(
            "{} {} last hard {}, {:.2}% {}, number {}, acknowledged {}, depth {}",
            self.names(place),
            self.state_fields(place),
            thing.last_hard,
            thing.percent(),
            thing.flapping,
            thing.number,
            thing.ack.is_some(),
            thing.downtimes.len()
        )
    }
}

/// How a result counts.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Logged {
    Nothing,
    Soft,
    Hard,
}

impl Thing {
    fn was(&self) -> Was {
        match (self.state, self.hard) {
            (0, _) => Was::Well,
            (_, false) => Was::Soft,
            (_, true) => Was::Hard,
        }
    }

    fn course(&self, state: u8, max: u16, host_is_down: bool) -> Course {
        // Specification 03, 2.2: what is seen while the host is not UP is believed at once.
        if host_is_down && self.last_hard != state {
            return if state == 0 { HardRecovery } else { Believed };
        }
        let now = match state {
            0 => Now::Well,
            same if same == self.state => Now::Same,
            _ => Now::Other,
        };
        let used_up = self.attempt >= max;
        let fits = |row: &&(Was, Now, Option<bool>, Course)| {
            row.0 == self.was() && row.1 == now && row.2.is_none_or(|wanted| wanted == used_up)
        };
        COURSES.iter().find(fits).expect("the table has all courses").3
    }

    /// Sets the attempt, and says what came of it.
    fn apply(&mut self, course: Course, state: u8, max: u16, is_service: bool) -> Logged {
        match course {
            Steady => {
                if state == 0 {
                    (self.hard, self.attempt) = (true, 1);
                }
                // A host that fell back to soft before it was well is hard again with the second good result.
                if state == 0 && self.last_hard != 0 { Logged::Hard } else { Logged::Nothing }
            }
            Begins | Counts => {
                self.attempt = if course == Begins { 1 } else { max.min(self.attempt + 1) };
                if self.attempt >= max { Logged::Hard } else { Logged::Soft }
            }
            SoftRecovery => {
                // The line has the number of the result that recovered; of a host it is 1.
                self.attempt = if is_service { max.min(self.attempt + 1) } else { 1 };
                if self.attempt >= max && self.last_hard != 0 { Logged::Hard } else { Logged::Soft }
            }
            HardRecovery => {
                self.attempt = 1;
                Logged::Hard
            }
            HardChange => Logged::Hard,
            FallsBack => Logged::Soft,
            Believed => {
                self.attempt = if self.state == 0 { 1 } else { max };
                Logged::Hard
            }
        }
    }

    fn percent(&self) -> f64 {
        let changed = (1..=20u8).filter(|i| self.history[usize::from(*i)] != self.history[usize::from(*i) - 1]);
        let weights = changed.fold(0.0, |sum, i| sum + 0.75 + f64::from(i - 1) * 0.5 / 19.0);
        100.0 * weights / 20.0
    }
}

/// Options as bits: a state by its code, and those of the model.
fn letters(options: &str) -> u8 {
    let is_host = options.split(',').any(|letter| letter == "d") || options == "u,r,s";
    let bit = |letter| match (letter, is_host) {
        ("w", _) | ("d", _) => 1 << 1,
        ("c", _) | ("u", true) => 1 << 2,
        ("u", false) => 1 << 3,
        ("r", _) => RECOVERY,
        ("f", _) => FLAPPING,
        ("s", _) => DOWNTIME,
        _ => panic!("option {letter}"),
    };
    options.split(',').map(bit).fold(0, |all, bit| all | bit)
}
