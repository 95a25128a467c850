//! Small random configurations and courses of results and commands: one number makes the same case everywhere.

/// Seconds from one step of a case to the next.
pub const STEP_SECS: i64 = 3;

/// Steps of a case.
pub const STEPS: usize = 24;

/// Letters of `notification_options`, all of them first.
pub const SERVICE_OPTIONS: &[&str] = &["w,u,c,r,f,s", "w,u,c,r,f,s", "c,r", "w,u,c", "w,c,r,s", "u,c,r,f"];
pub const HOST_OPTIONS: &[&str] = &["d,u,r,f,s", "d,u,r,f,s", "d,r", "d,u", "u,r,s"];

/// A host, perhaps with a parent, and its services.
#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    /// Parent (where there is one), host, then services; see [`Case::services`].
    pub objects: Vec<Object>,
    pub has_parent: bool,
    /// The last service is not told of while the one before it is hard CRITICAL or UNKNOWN.
    pub depends: bool,
    pub steps: Vec<Option<Action>>,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub role: Role,
    pub attempts: u16,
    /// In seconds; 0 = once.
    pub notification_interval: i64,
    pub first_delay: i64,
    pub options: &'static str,
    pub contact_options: &'static str,
    pub volatile: bool,
    pub flap_detection: bool,
    pub escalations: Vec<Escalation>,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Role {
    Parent,
    Host,
    Service,
}

/// To the contact `esc1` or `esc2`, by its number.
#[derive(Clone, Debug)]
pub struct Escalation {
    pub first: u32,
    pub last: u32,
    pub to: usize,
    pub interval: Option<i64>,
}

/// What happens in a step, to the object at that place of the case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// State code of a service; of a host 0 or 1.
    Result {
        object: usize,
        code: u8,
        active: bool,
    },
    Acknowledge {
        object: usize,
        sticky: bool,
        notify: bool,
    },
    Unacknowledge {
        object: usize,
    },
    /// From now on, for so many seconds.
    Downtime {
        object: usize,
        secs: i64,
    },
    Notifications {
        object: usize,
        on: bool,
    },
    /// Ends all downtimes of a service; of a host those of its services too.
    CancelDowntimes {
        object: usize,
    },
    Custom {
        object: usize,
        forced: bool,
    },
}

/// A generator of numbers that is the same everywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.roll(choices.len() as u64)).expect("small")]
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

impl Case {
    pub fn new(seed: u64) -> Case {
        let mut dice = Dice(seed);
        let has_parent = dice.one_in(3);
        let mut roles = vec![Role::Host, Role::Service];
        if has_parent {
            roles.insert(0, Role::Parent);
        }
        let has_two = dice.one_in(2);
        if has_two {
            roles.push(Role::Service);
        }
        let depends = has_two && dice.one_in(2);
        let objects: Vec<Object> = roles.into_iter().map(|role| object(&mut dice, role)).collect();
        let mut last = vec![0u8; objects.len()];
        // Some cases are about one service that turns all the time: nothing else gets it to flap.
        let turning = dice.one_in(3).then(|| objects.len() - 1);
        let steps = (0..STEPS).map(|_| step(&mut dice, &objects, turning, &mut last)).collect();
        Case { seed, objects, has_parent, depends, steps }
    }

    /// Place of the host that has the services.
    pub fn host(&self) -> usize {
        usize::from(self.has_parent)
    }

    pub fn host_name(&self, object: usize) -> String {
        match self.objects[object].role {
            Role::Parent => format!("p{}", self.seed),
            Role::Host | Role::Service => format!("h{}", self.seed),
        }
    }

    pub fn service_name(&self, object: usize) -> Option<String> {
        (self.objects[object].role == Role::Service).then(|| format!("s{}", object - self.host()))
    }

    /// The contact of an object; every object has its own.
    pub fn contact(&self, object: usize) -> String {
        format!("c{}_{object}", self.seed)
    }
}

// Intervals end between the seconds at which results may come: where a result is applied a second sooner or later,
// nothing is decided otherwise.

fn object(dice: &mut Dice, role: Role) -> Object {
    let letters = if role == Role::Service { SERVICE_OPTIONS } else { HOST_OPTIONS };
    let escalations = if role != Role::Parent && dice.one_in(3) {
        let count = 1 + dice.roll(2);
        (0..count).map(|_| escalation(dice)).collect()
    } else {
        Vec::new()
    };
    Object {
        role,
        attempts: dice.one_of(&[1, 1, 2, 3, 4]),
        notification_interval: dice.one_of(&[0, 1, 1, 5, 11, 1000]),
        first_delay: dice.one_of(&[0, 0, 0, 0, 5]),
        options: dice.one_of(letters),
        contact_options: dice.one_of(letters),
        volatile: role == Role::Service && dice.one_in(6),
        flap_detection: dice.one_in(2),
        escalations,
    }
}

fn escalation(dice: &mut Dice) -> Escalation {
    let first = 1 + u32::try_from(dice.roll(3)).expect("small");
    let last = if dice.one_in(2) { 0 } else { first + u32::try_from(dice.roll(2)).expect("small") };
    let to = usize::try_from(dice.roll(2)).expect("small");
    Escalation { first, last, to, interval: dice.one_of(&[None, None, Some(0), Some(1), Some(8)]) }
}

fn step(dice: &mut Dice, objects: &[Object], turning: Option<usize>, last: &mut [u8]) -> Option<Action> {
    if let Some(object) = turning
        && !dice.one_in(6)
    {
        last[object] = if last[object] == 0 { 2 } else { 0 };
        return Some(Action::Result { object, code: last[object], active: true });
    }
    let object = if dice.one_in(2) {
        objects.len() - 1
    } else {
        usize::try_from(dice.roll(objects.len() as u64)).expect("small")
    };
    Some(match dice.roll(25) {
        0..=16 => {
            // What was last is likely to be seen again: hard states need it.
            if !dice.one_in(3) {
                let codes: &[u8] = if objects[object].role == Role::Service { &[0, 0, 1, 2, 2, 3] } else { &[0, 1, 1] };
                last[object] = dice.one_of(codes);
            }
            let active = objects[object].role != Role::Service || !dice.one_in(4);
            Action::Result { object, code: last[object], active }
        }
        17 | 18 => Action::Acknowledge { object, sticky: dice.one_in(2), notify: dice.one_in(2) },
        19 => Action::Unacknowledge { object },
        20 => Action::Downtime { object, secs: dice.one_of(&[5, 11, 500]) },
        21 => Action::Notifications { object, on: !dice.one_in(3) },
        22 => Action::Custom { object, forced: dice.one_in(2) },
        23 => Action::CancelDowntimes { object },
        _ => return None,
    })
}
