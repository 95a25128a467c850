//! A minute of virtual time after start, restart, stall and requests.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_795_000_000);

fn entry(slot: u32, every: Span, last_run: Option<Timestamp>) -> Entry {
    let hash = stable_hash(&format!("host{}", slot / 10), Some(&format!("service{slot}")));
    Entry { slot, hash, every, retry: Span::from_secs(30), last_run, first_at: None }
}

fn schedule(count: u32, every: Span, last_run: Option<Timestamp>, at: Timestamp) -> Schedule {
    Schedule::new((0..count).map(|slot| entry(slot, every, last_run)), at)
}

/// Runs everything that becomes due in `[from, to)`, each run taking no time, looking every `step`.
fn run(schedule: &mut Schedule, from: Timestamp, to: Timestamp, step: Span) -> Vec<(Timestamp, Due)> {
    let mut ran = Vec::new();
    let mut at = from;
    while at < to {
        while let Some(due) = schedule.pop(at) {
            ran.push((at, due));
            schedule.finish(due.slot, at);
        }
        at += step;
    }
    ran
}

const STEP: Span = Span::from_millis(10);

fn per_second(ran: &[(Timestamp, Due)]) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for (at, _) in ran {
        *counts.entry(at.as_secs()).or_default() += 1;
    }
    counts
}

#[test]
fn every_check_that_never_ran_does_so_within_fifteen_seconds_evenly() {
    for count in [1, 7, 2_000, 100_000] {
        let mut schedule = schedule(count, Span::from_mins(5), None, START);
        let ran = run(&mut schedule, START, START + Span::from_secs(15), STEP);
        let first: Vec<_> = ran.iter().filter(|(_, due)| due.why == Why::First).copied().collect();
        assert_eq!(first.len(), count as usize);
        let most = per_second(&first).into_values().max().expect("some ran");
        assert!(most <= count as usize / 13 + 2, "{most} of {count} in one second");
    }
}

#[test]
fn phases_survive_a_restart_and_differ_between_checks() {
    let every = Span::from_secs(60);
    let phases = |at: Timestamp, last: Option<Timestamp>| -> BTreeMap<u32, i64> {
        let mut schedule = schedule(200, every, last, at);
        let ran = run(&mut schedule, at, at + Span::from_secs(90), Span::from_millis(1));
        let on_phase = ran.iter().filter(|(_, due)| due.why == Why::Phase);
        on_phase.map(|(_, due)| (due.slot, due.due.as_millis().rem_euclid(60_000))).collect()
    };
    let before = phases(START, None);
    let again = START + Span::from_millis(7_654_321);
    assert_eq!(before.len(), 200);
    assert_eq!(before, phases(again, Some(again - Span::from_secs(5))));
    let distinct: std::collections::BTreeSet<_> = before.values().collect();
    assert!(distinct.len() > 190, "only {} phases for 200 checks", distinct.len());
}

#[test]
fn a_restart_does_not_run_what_ran_just_now() {
    let mut schedule = schedule(6_000, Span::from_secs(60), Some(START - Span::from_secs(1)), START);
    let ran = run(&mut schedule, START, START + Span::from_secs(10), STEP);
    assert!(ran.len() < 1_200, "{} of 6000 in ten seconds", ran.len());
}

#[test]
fn steady_state_runs_each_check_once_an_interval() {
    let mut schedule = schedule(600, Span::from_secs(60), Some(START), START);
    let ran = run(&mut schedule, START, START + Span::from_mins(10), STEP);
    let mut counts = BTreeMap::<u32, usize>::new();
    for (_, due) in &ran {
        *counts.entry(due.slot).or_default() += 1;
    }
    assert_eq!(counts.len(), 600);
    assert!(counts.values().all(|count| *count == 10), "{counts:?}");
}

#[test]
fn after_a_stall_the_rate_stays_below_six_fifths_of_steady() {
    for stall in [Span::from_secs(5), Span::from_secs(60), Span::from_hours(3)] {
        let mut schedule = schedule(6_000, Span::from_secs(60), Some(START), START);
        run(&mut schedule, START, START + Span::from_secs(60), STEP);
        let woke = START + Span::from_secs(60) + stall;
        let ran = run(&mut schedule, woke, woke + Span::from_secs(120), STEP);
        assert!(ran.iter().any(|(_, due)| due.why == Why::CatchUp), "nothing was caught up");
        // Steady is 100 a second. Whoever is at most LATE_AFTER late at the moment of waking counts as on time.
        for (second, count) in per_second(&ran) {
            let waking = if second == woke.as_secs() { 100 } else { 0 };
            // Phases are hashes: 40 is four standard deviations of their number in one second.
            assert!(count <= 120 + 40 + waking, "{count} runs in second {} after {stall}", second - woke.as_secs());
        }
        for window in 0..11 {
            let from = woke + Span::from_secs(1 + window * 10);
            let count = ran.iter().filter(|(at, _)| *at >= from && *at < from + Span::from_secs(10)).count();
            assert!(count <= 1_200 + 126, "{count} runs in ten seconds after {stall}");
        }
        let minute: std::collections::BTreeSet<u32> =
            ran.iter().filter(|(at, _)| *at < woke + Span::from_secs(61)).map(|(_, due)| due.slot).collect();
        assert_eq!(minute.len(), 6_000, "some check waited longer than its interval after {stall}");
    }
}

#[test]
fn first_runs_after_a_stall_keep_their_spacing() {
    let mut schedule = schedule(13_000, Span::from_mins(5), None, START);
    run(&mut schedule, START, START + Span::from_secs(2), STEP);
    let woke = START + Span::from_secs(60);
    let ran = run(&mut schedule, woke, woke + Span::from_secs(3), STEP);
    let most = per_second(&ran).into_values().max().expect("some ran");
    assert!(most <= 1_000 + 100, "{most} in one second");
}

#[test]
fn a_daily_check_that_was_missed_does_not_wait_a_day() {
    let mut schedule = schedule(1, Span::from_hours(24), Some(START - Span::from_hours(30)), START);
    let ran = run(&mut schedule, START, START + Span::from_secs(10), STEP);
    assert_eq!(ran.len(), 1);
}

#[test]
fn a_request_replaces_the_phase_once() {
    let mut schedule = schedule(1, Span::from_mins(5), Some(START), START);
    schedule.request(0, START + Span::from_secs(30), START);
    let ran = run(&mut schedule, START, START + Span::from_secs(31), STEP);
    assert!(matches!(ran.as_slice(), [(at, due)] if *at == START + Span::from_secs(30) && due.why == Why::Request));
    let ran = run(&mut schedule, START + Span::from_secs(31), START + Span::from_secs(332), STEP);
    assert!(ran.iter().all(|(_, due)| due.why == Why::Phase) && !ran.is_empty(), "{ran:?}");
}

#[test]
fn a_request_while_running_waits_for_the_end() {
    let mut schedule = schedule(1, Span::from_mins(5), None, START);
    let due = schedule.pop(START).expect("never ran");
    schedule.request(due.slot, START + Span::from_secs(1), START);
    assert_eq!(schedule.pop(START + Span::from_secs(2)), None, "the same check ran twice at once");
    schedule.finish(due.slot, START + Span::from_secs(3));
    assert_eq!(schedule.pop(START + Span::from_secs(3)).map(|due| due.why), Some(Why::Request));
}

#[test]
fn requests_that_wait_can_be_carried_over() {
    let mut schedule = schedule(4, Span::from_mins(5), Some(START), START);
    schedule.request(2, START + Span::from_secs(30), START);
    schedule.request(2, START + Span::from_secs(20), START);
    schedule.request(1, START, START);
    let due = schedule.pop(START).expect("requested");
    schedule.request(due.slot, START + Span::from_secs(5), START);
    // In the new plan all have other slots.
    let carried = (0..4).map(|slot| Carried { entry: entry(slot + 3, Span::from_mins(5), None), was: Some(slot) });
    let mut schedule = schedule.reloaded(carried, START + Span::from_secs(1));
    schedule.finish(due.slot + 3, START + Span::from_secs(2));
    let ran = run(&mut schedule, START + Span::from_secs(2), START + Span::from_secs(21), STEP);
    let requested: Vec<_> =
        ran.iter().filter(|(_, due)| due.why == Why::Request).map(|(at, due)| (due.slot, *at)).collect();
    assert_eq!(requested, [(4, START + Span::from_secs(5)), (5, START + Span::from_secs(20))]);
}

#[test]
fn a_request_far_away_does_not_switch_a_check_off() {
    let mut schedule = schedule(1, Span::from_mins(5), Some(START), START);
    schedule.request(0, START + Span::from_hours(10_000), START);
    let ran = run(&mut schedule, START, START + Span::from_secs(301), STEP);
    assert_eq!(ran.len(), 1);
}

#[test]
fn requests_without_end_do_not_grow_the_queue() {
    let mut schedule = schedule(10, Span::from_mins(5), Some(START), START);
    for i in 0..100_000 {
        schedule.request(i % 10, START + Span::from_secs(i64::from(i % 97)), START);
    }
    assert!(schedule.heap.len() < 2_000, "{} entries for 10 checks", schedule.heap.len());
}

#[test]
fn unknown_slots_and_a_clock_that_runs_backwards_are_harmless() {
    let mut schedule = schedule(3, Span::ZERO, Some(START), START);
    schedule.request(99, START, START);
    schedule.finish(99, START);
    schedule.mark_running(99);
    schedule.miss(Due { slot: 99, due: START, why: Why::Phase }, START);
    assert_eq!(schedule.pop(Timestamp::ZERO), None);
    assert!(Schedule::default().next_at().is_none());
}

#[test]
fn the_hash_never_changes() {
    assert_eq!(stable_hash("web01", Some("http")), 0x5d45_934f_36cb_1534);
    assert_ne!(stable_hash("ab", Some("c")), stable_hash("a", Some("bc")));
    assert_ne!(stable_hash("web01", None), stable_hash("web01", Some("http")));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    PopAll,
    FinishOne(usize),
    MissOne(usize),
    Request(u32, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0i64..20_000).prop_map(Step::Wait),
        Just(Step::PopAll),
        (0usize..8).prop_map(Step::FinishOne),
        (0usize..8).prop_map(Step::MissOne),
        (0u32..12, -5_000i64..100_000).prop_map(|(slot, after)| Step::Request(slot, after)),
    ]
}

fn play(steps: &[Step], count: u32) -> Result<(Schedule, Vec<Due>, Vec<Due>, Timestamp), TestCaseError> {
    let mut at = START;
    let mut schedule = Schedule::new(
        (0..count).map(|slot| {
            let last = (slot % 3 == 0).then_some(START - Span::from_secs(i64::from(slot) * 40));
            entry(slot, Span::from_secs(5 + i64::from(slot) * 7), last)
        }),
        at,
    );
    let (mut running, mut log) = (Vec::<Due>::new(), Vec::new());
    for step in steps {
        match *step {
            Step::Wait(millis) => at += Span::from_millis(millis),
            Step::PopAll => {
                while let Some(due) = schedule.pop(at) {
                    prop_assert!(running.iter().all(|run| run.slot != due.slot), "{due:?} runs already");
                    prop_assert!(due.due <= at, "{due:?} is early");
                    running.push(due);
                    log.push(due);
                }
                prop_assert!(schedule.next_at().is_none_or(|next| next > at), "due but not given");
            }
            Step::FinishOne(i) if i < running.len() => schedule.finish(running.remove(i).slot, at),
            Step::MissOne(i) if i < running.len() => schedule.miss(running.remove(i), at),
            Step::FinishOne(_) | Step::MissOne(_) => {}
            Step::Request(slot, after) => schedule.request(slot, at + Span::from_millis(after), at),
        }
    }
    Ok((schedule, running, log, at))
}

proptest! {
    #[test]
    fn no_order_of_calls_runs_a_check_twice_at_once_or_loses_it(steps in proptest::collection::vec(step(), 0..80)) {
        let (mut schedule, running, _, at) = play(&steps, 10)?;
        for due in running {
            schedule.finish(due.slot, at);
        }
        // The longest interval is 68 s, the longest catch-up 10 checks x 5 s.
        let ran = run(&mut schedule, at, at + Span::from_secs(68 + 50), STEP);
        let seen: std::collections::BTreeSet<u32> = ran.iter().map(|(_, due)| due.slot).collect();
        prop_assert_eq!(seen.len(), 10, "lost: {:?}", seen);
    }

    #[test]
    fn the_same_calls_give_the_same_order(steps in proptest::collection::vec(step(), 0..60)) {
        prop_assert_eq!(play(&steps, 10)?.2, play(&steps, 10)?.2);
    }
}

#[test]
fn another_interval_holds_from_the_next_turn_and_zero_ends_it() {
    let last = START - Span::from_secs(1);
    let mut schedule = schedule(1, Span::from_secs(60), Some(last), START);
    let hour = START + Span::from_mins(60);
    schedule.set_every(0, Span::from_secs(10));
    assert!((schedule.steady_per_s() - 0.1).abs() < 1e-9);
    let ran = run(&mut schedule, START, START + Span::from_mins(10), STEP);
    assert!((54..=60).contains(&ran.len()), "{} runs in ten minutes", ran.len());
    schedule.set_every(0, Span::ZERO);
    let ran = run(&mut schedule, START + Span::from_mins(10), hour, Span::from_secs(1));
    assert!(ran.len() <= 1, "what was queued already, and no more: {}", ran.len());
    schedule.set_every(0, Span::from_secs(60));
    schedule.request(0, hour, hour);
    let ran = run(&mut schedule, hour, hour + Span::from_mins(10), Span::from_secs(1));
    assert!((9..=11).contains(&ran.len()), "a request starts it again: {}", ran.len());
}

/// A world of checks that is run in virtual time; whoever reloads it gives all checks other slots.
struct Course {
    /// By slot: number of the check.
    keys: Vec<u32>,
    schedule: Schedule,
    /// Checks that run, with their ends.
    running: Vec<(u32, Timestamp)>,
    ran: Vec<(u32, Timestamp, Why)>,
    at: Timestamp,
}

/// What happens at an instant, in milliseconds after the start.
#[derive(Clone, Debug)]
enum Event {
    Request(u32, i64),
    /// Nothing is looked at for so long.
    Stall(i64),
    /// Visitors that are there from now on, and how far all slots move.
    Reload(u32, u32),
}

const STEADY: u32 = 12;
const VISITORS: u32 = 6;

fn every_of(key: u32) -> Span {
    Span::from_millis(3_000 + i64::from(key % 5) * 2_700)
}

fn entry_of(slot: u32, key: u32) -> Entry {
    // A third never ran.
    let last_run = (!key.is_multiple_of(3)).then_some(START - Span::from_millis(i64::from(key) * 211));
    let hash = stable_hash("host", Some(&format!("service {key}")));
    Entry { slot, hash, every: every_of(key), retry: Span::from_secs(2), last_run, first_at: None }
}

impl Course {
    fn new() -> Course {
        let keys: Vec<u32> = (0..STEADY).collect();
        let schedule = Schedule::new(keys.iter().map(|key| entry_of(*key, *key)), START);
        Course { keys, schedule, running: Vec::new(), ran: Vec::new(), at: START }
    }

    /// How long a check runs: mostly an instant, sometimes longer than its interval.
    fn duration(key: u32, due: Timestamp) -> Span {
        let dice = stable_hash(&format!("{key} {}", due.as_millis()), None);
        Span::from_millis(if dice.is_multiple_of(11) { 4_000 } else { (dice % 300).cast_signed() })
    }

    fn slot(&self, key: u32) -> Option<u32> {
        self.keys.iter().position(|known| *known == key).map(|slot| slot as u32)
    }

    fn run_until(&mut self, end: Timestamp) {
        while self.at < end {
            let (at, ended): (Timestamp, Vec<_>) =
                (self.at, self.running.extract_if(.., |(_, end)| *end <= self.at).collect());
            for (key, _) in ended {
                if let Some(slot) = self.slot(key) {
                    self.schedule.finish(slot, at);
                }
            }
            while let Some(due) = self.schedule.pop(at) {
                let key = self.keys[due.slot as usize];
                self.ran.push((key, due.due, due.why));
                self.running.push((key, at + Course::duration(key, due.due)));
            }
            self.at += STEP;
        }
    }

    fn reload(&mut self, visitors: u32, shift: u32) {
        let mut keys: Vec<u32> = (0..STEADY + visitors).collect();
        let shift = shift as usize % keys.len();
        keys.rotate_left(shift);
        let carried: Vec<_> = (0u32..)
            .zip(&keys)
            .map(|(slot, key)| Carried {
                entry: Entry { last_run: None, ..entry_of(slot, *key) },
                was: self.slot(*key),
            })
            .collect();
        self.schedule = self.schedule.reloaded(carried, self.at);
        self.keys = keys;
        // A visitor that comes back while its last run goes on.
        for (key, _) in &self.running {
            if let Some(slot) = self.slot(*key) {
                self.schedule.mark_running(slot);
            }
        }
    }

    /// What the steady checks ran, in which order within one instant does not matter.
    fn play(events: &[(i64, Event)], with_reloads: bool) -> Vec<(u32, Timestamp, Why)> {
        let mut course = Course::new();
        let mut sorted = events.to_vec();
        sorted.sort_by_key(|(at, _)| *at);
        for (at, event) in sorted {
            course.run_until(START + Span::from_millis(at));
            match event {
                Event::Request(key, after) => {
                    if let Some(slot) = course.slot(key) {
                        course.schedule.request(slot, course.at + Span::from_millis(after), course.at);
                    }
                }
                Event::Stall(millis) => course.at += Span::from_millis(millis),
                Event::Reload(visitors, shift) if with_reloads => course.reload(visitors, shift),
                Event::Reload(..) => {}
            }
        }
        course.run_until(START + Span::from_secs(60));
        let mut ran: Vec<_> = course.ran.into_iter().filter(|(key, _, _)| *key < STEADY).collect();
        ran.sort_unstable_by_key(|(key, due, _)| (*key, *due));
        ran
    }
}

fn request() -> impl Strategy<Value = Event> {
    (0..STEADY, -2_000i64..8_000).prop_map(|(key, after)| Event::Request(key, after))
}

proptest! {
    /// Whoever comes or goes: the same checks run, due at the same instants, each once.
    #[test]
    fn a_reload_at_any_instant_equals_no_reload(events in proptest::collection::vec(
        (0i64..50_000, prop_oneof![
            request(),
            (0..=VISITORS, any::<u32>()).prop_map(|(visitors, shift)| Event::Reload(visitors, shift)),
        ]), 0..40)
    ) {
        let (with, without) = (Course::play(&events, true), Course::play(&events, false));
        prop_assert_eq!(&with, &without);
        let mut once = with.clone();
        once.dedup_by_key(|(key, due, _)| (*key, *due));
        prop_assert_eq!(once.len(), with.len(), "some check ran twice for one instant");
    }

    /// The same while stalls make checks miss their times: what is caught up waits on in its order.
    #[test]
    fn a_reload_does_not_disturb_what_is_caught_up(events in proptest::collection::vec(
        (0i64..50_000, prop_oneof![
            request(),
            (100i64..15_000).prop_map(Event::Stall),
            Just(Event::Reload(0, 0)),
        ]), 0..40)
    ) {
        prop_assert_eq!(Course::play(&events, true), Course::play(&events, false));
    }
}

#[test]
fn a_check_with_another_interval_runs_when_it_was_due_or_sooner() {
    for (before, after) in [(60, 300), (300, 60), (60, 61)] {
        let (before, after) = (Span::from_secs(before), Span::from_secs(after));
        for millis in (0..60_000).step_by(777) {
            let at = START + Span::from_millis(millis);
            let mut old = Schedule::new([entry(0, before, Some(START - Span::from_secs(1)))], START);
            let due = old.next_at().expect("queued");
            let mut new = old.reloaded([Carried { entry: entry(5, after, None), was: Some(0) }], at);
            let moved = new.next_at().expect("queued");
            assert!(
                moved <= due && moved <= at + after,
                "{before:?} to {after:?} at {millis}: {due:?} became {moved:?}"
            );
        }
    }
}

#[test]
fn a_check_with_a_first_time_of_its_own_runs_then_and_after_a_restart_is_not_left_out_for_longer_than_its_interval() {
    let every = Span::from_secs(60);
    // Runs follow from the first one, whatever the phase after a restart is.
    for offset in 0..60 {
        let first = START + Span::from_secs(offset);
        let paced = Entry { hash: first.as_millis().unsigned_abs(), first_at: Some(first), ..entry(0, every, None) };
        let mut schedule = Schedule::new([paced], START);
        let ran = run(&mut schedule, START, START + Span::from_secs(150), STEP);
        let expected: Vec<_> =
            (0..).map(|n| first + every * n).take_while(|at| *at < START + Span::from_secs(150)).collect();
        assert_eq!(ran.iter().map(|(_, due)| due.due).collect::<Vec<_>>(), expected);
        let last = *expected.last().expect("ran");
        let again = START + Span::from_secs(151);
        let mut schedule = Schedule::new([entry(0, every, Some(last))], again);
        let ran = run(&mut schedule, again, again + Span::from_secs(120), STEP);
        assert!(ran[0].0 <= last + every + LATE_AFTER, "{offset}: last at {last:?}, then at {:?}", ran[0].0);
    }
}

#[test]
fn first_times_of_their_own_keep_their_spacing_after_a_stall() {
    let entries = (0..100).map(|slot| {
        let first_at = Some(START + Span::from_millis(i64::from(slot) * 500));
        Entry { first_at, ..entry(slot, Span::from_mins(5), None) }
    });
    let mut schedule = Schedule::new(entries, START);
    let woke = START + Span::from_secs(60);
    let ran = run(&mut schedule, woke, woke + Span::from_secs(60), STEP);
    let first: Vec<_> = ran.iter().filter(|(_, due)| due.why == Why::First).copied().collect();
    assert_eq!(first.len(), 100);
    assert!(per_second(&first).into_values().all(|count| count <= 3));
}

#[test]
fn checks_that_one_look_feeds_begin_together_and_others_apart() {
    for (probe, is_together) in [("ipmi", true), ("http", false)] {
        let every = Span::from_secs(60);
        let entries = (0..8).map(|slot| {
            let hash = phase_hash("host", Some(&format!("service{slot}")), probe);
            Entry { slot, hash, every, retry: every, last_run: Some(START), first_at: None }
        });
        let mut schedule = Schedule::new(entries, START);
        let step = Span::from_millis(100);
        // The first minute leads from the last runs to the phases.
        run(&mut schedule, START, START + every * 2, step);
        let ran = run(&mut schedule, START + every * 2, START + every * 3, step);
        let moments: std::collections::BTreeSet<Timestamp> = ran.iter().map(|(at, _)| *at).collect();
        assert!(ran.len() >= 8, "{probe}: {ran:?}");
        assert_eq!(moments.len() == 1, is_together, "{probe}: {moments:?}");
    }
    assert_ne!(phase_hash("one", Some("a"), "ipmi"), phase_hash("two", Some("a"), "ipmi"), "hosts stay apart");
    assert_eq!(phase_hash("one", None, "ipmi"), stable_hash("one", None), "a host's own check is no service");
}
