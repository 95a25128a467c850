//! Runs under tables of single requests, and under random ones: nothing ends a run that was not verified well.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::steps::{Moment, Outcome};
use super::verification::Seen;
use super::*;
use crate::Span;
use crate::catalog::{Action, Bmc, Catalog, Host, PowerAction, Runbook, Step, StepKind, View};
use crate::id::ZoneId;
use crate::model::{ObjectKey, Observation};
use crate::rules::Expr;

const INTERVALS: u16 = 3;

fn step(kind: StepKind, action: Action) -> Step {
    Step { action, rollback: Some("undo it".to_owned()), ..Step::manual(kind, "do it") }
}

fn words(words: &[&str]) -> Vec<Arc<str>> {
    words.iter().map(|word| Arc::from(*word)).collect()
}

/// Manual, command, power (two persons), approval, escalation.
fn book() -> Runbook {
    let mut book = Runbook::of_steps(
        "rb-x",
        "X is down",
        vec![
            step(StepKind::Verify, Action::Manual),
            step(StepKind::Fix, Action::Command { run: words(&["systemctl", "start", "{component}"]) }),
            step(StepKind::Fix, Action::Power { power: PowerAction::Cycle }),
            step(StepKind::Confirm, Action::Approve),
            step(StepKind::Escalate, Action::Manual),
        ],
    );
    book.intervals = INTERVALS;
    book
}

fn catalog() -> Catalog {
    let bmc = Bmc {
        address: "192.0.2.9".into(),
        port: 623,
        user: "op".into(),
        password_file: "/dev/null".into(),
        suite: None,
    };
    let host = Host { view: View::Ssh, bmc: Some(bmc), ..Host::bare("h1", ZoneId(0)) };
    let runs = RunPolicy { commands: vec![words(&["systemctl", "start", "{component}"])], ..RunPolicy::default() };
    let mut catalog = Catalog { hosts: vec![host], runs, ..Catalog::default() };
    catalog.reindex();
    catalog
}

fn watched(name: &str) -> ObjectKey {
    ObjectKey { host: "h1".into(), service: Some(name.into()) }
}

fn run_of(book: Runbook) -> Run {
    let mut verification = Verification { intervals: INTERVALS, ..Verification::default() };
    verification.watch(watched("a"));
    verification.watch(watched("b"));
    Run::new(NewRun {
        number: 1,
        runbook: Arc::new(book),
        incident: None,
        target: RunTarget { host: Some("h1".into()), component: Some("clc".into()), cloud: None },
        by: "anna".into(),
        at: Timestamp::from_secs(100),
        automatic: false,
        verification,
    })
}

fn person(name: &str, right: Right) -> Asker {
    Asker { name: name.into(), right }
}

/// A run with what is needed to ask something of it.
struct Bench {
    run: Run,
    catalog: Catalog,
    facts: Observation,
    at: Timestamp,
}

impl Bench {
    fn new(book: Runbook) -> Bench {
        let facts = Observation::observed("").fact("power", "on");
        Bench { run: run_of(book), catalog: catalog(), facts, at: Timestamp::from_secs(100) }
    }

    fn moment(&self) -> Moment<'_> {
        Moment { at: self.at, catalog: &self.catalog, facts: &self.facts, look_within: Span::from_secs(60) }
    }

    fn begin(&mut self, step: u16, attempt: Option<u32>, by: &Asker) -> Result<Outcome, RunError> {
        let mut run = self.run.clone();
        let done = run.begin(step, attempt, by, &self.moment());
        self.run = run;
        done
    }

    fn done(&mut self, step: u16, attempt: Option<u32>, by: &Asker) -> Result<Outcome, RunError> {
        let mut run = self.run.clone();
        let done = run.done(step, attempt, "", by, &self.moment());
        self.run = run;
        done
    }

    fn approve(&mut self, step: u16, by: &Asker) -> Result<Outcome, RunError> {
        let mut run = self.run.clone();
        let done = run.approve(step, None, by, &self.moment());
        self.run = run;
        done
    }

    fn see(&mut self, name: &str, well: bool) {
        self.at += Span::from_secs(60);
        let object = watched(name);
        let apart = Span::from_secs(30);
        self.run.verification.see(&Seen { object: &object, observed_at: self.at, well, apart, text: "said" });
    }
}

#[test]
fn a_step_waits_for_those_before_it_and_power_for_a_second_person() {
    let (anna, bob) = (person("anna", Right::Power), person("bob", Right::Power));
    let mut bench = Bench::new(book());
    assert!(matches!(bench.begin(2, None, &anna), Err(RunError::NotNow { state: StepState::Waiting, .. })));
    assert_eq!(bench.done(1, Some(1), &anna), Ok(Outcome::Settled));
    let Ok(Outcome::Order(RunOrder::Do(order))) = bench.begin(2, Some(1), &anna) else { panic!("an order") };
    assert_eq!((order.run, order.attempt, &*order.host), (1, 1, "h1"));
    assert_eq!(order.what, OrderKind::Command(words(&["systemctl", "start", "clc"])));
    bench.run.report(2, 1, (true, "exited 0"), bench.at).expect("taken");
    assert_eq!(bench.begin(3, None, &anna), Ok(Outcome::Asked));
    assert_eq!(bench.approve(3, &anna), Err(RunError::SamePerson("anna".into())));
    let weak = person("carl", Right::Operate);
    assert!(matches!(bench.approve(3, &weak), Err(RunError::Forbidden { .. })));
    assert!(matches!(bench.approve(3, &bob), Ok(Outcome::Order(RunOrder::Do(_)))));
    assert_eq!(bench.run.steps[2].approved_by.as_deref(), Some("bob"));
    assert_eq!(bench.approve(3, &bob), Ok(Outcome::Repeated), "an approval that comes again approves nothing new");
}

#[test]
fn what_comes_again_changes_nothing_and_what_is_late_is_refused() {
    let anna = person("anna", Right::Power);
    let mut bench = Bench::new(book());
    bench.done(1, None, &anna).expect("done");
    assert_eq!(bench.done(1, Some(1), &anna), Ok(Outcome::Repeated));
    bench.begin(2, Some(1), &anna).expect("begun");
    assert_eq!(bench.begin(2, Some(1), &anna), Ok(Outcome::Repeated));
    bench.run.report(2, 1, (false, "exited 1"), bench.at).expect("taken");
    let before = bench.run.clone();
    // The same report, one of an attempt that never was, and a begin that was meant for the attempt that failed.
    let stale = |error| matches!(error, Err(RunError::Stale { .. }));
    assert!(stale(bench.run.report(2, 1, (true, "exited 0"), bench.at)));
    assert!(stale(bench.run.report(2, 7, (true, "exited 0"), bench.at)));
    assert!(stale(bench.begin(2, Some(3), &anna)));
    assert_eq!(bench.begin(2, Some(1), &anna), Ok(Outcome::Repeated), "that attempt was made");
    assert_eq!(bench.run, before);
    assert!(matches!(bench.begin(2, Some(2), &anna), Ok(Outcome::Order(_))));
}

#[test]
fn a_done_that_was_meant_for_a_failed_attempt_is_stale() {
    let anna = person("anna", Right::Operate);
    let mut bench = Bench::new(book());
    bench.begin(1, None, &anna).expect("begun");
    bench.run.fail(1, Some(1), "no", &anna, bench.at).expect("failed");
    assert!(matches!(bench.done(1, Some(1), &anna), Err(RunError::Stale { .. })));
    assert_eq!(bench.run.steps[0].state, StepState::Failed);
}

#[test]
fn conditions_hold_only_if_they_are_known_to() {
    let anna = person("anna", Right::Operate);
    for (need, refused) in [
        ("power == \"on\"", None),
        ("power == \"off\"", Some("does not hold")),
        ("drbd.ds == \"UpToDate/UpToDate\"", Some("not known")),
        ("not (drbd.ds == \"UpToDate\")", Some("not known")),
    ] {
        let mut own = book();
        own.steps[0].needs = vec![Expr::parse(need).expect(need)];
        let mut bench = Bench::new(own);
        let text = bench.begin(1, None, &anna).err().map(|error| error.to_string());
        match (refused, text) {
            (None, None) => {}
            (Some(part), Some(text)) => assert!(text.contains(part), "{text}"),
            (wanted, got) => panic!("{need}: {wanted:?} {got:?}"),
        }
    }
}

/// A command, the allow-list, and what comes of it.
type AllowCase<'a> = (&'a [&'a str], &'a [&'a [&'a str]], Result<&'a [&'a str], &'a str>);

#[test]
fn only_what_the_allow_list_names_is_run_and_names_stay_one_word() {
    let target = RunTarget { host: Some("h1; rm -rf /".into()), component: Some("-clc".into()), cloud: None };
    let names = order::Names { target: &target, incident: Some(7), address: None };
    let policy = |patterns: &[&[&str]]| RunPolicy {
        commands: patterns.iter().map(|pattern| words(pattern)).collect(),
        ..RunPolicy::default()
    };
    let cases: &[AllowCase] = &[
        (&["ls"], &[], Err("does not allow")),
        (&["ls", "/"], &[&["ls"]], Err("does not allow")),
        (&["ls"], &[&["ls", "/"]], Err("does not allow")),
        (&["ls", "/tmp"], &[&["ls", "*"]], Ok(&["ls", "/tmp"])),
        (&["ls", "-R"], &[&["ls", "*"]], Err("does not allow")),
        (&["note", "{host}"], &[&["note", "{host}"]], Ok(&["note", "h1; rm -rf /"])),
        (&["note", "{host}"], &[&["note", "h2"]], Err("does not allow")),
        (&["note", "{component}"], &[&["note", "*"]], Err("taken for an option")),
        (&["note", "{address}"], &[&["note", "*"]], Err("no {address}")),
        (&["note", "{incident"], &[&["note", "*"]], Err("brace")),
        (&["note", "INC-{incident}"], &[&["note", "INC-{incident}"]], Ok(&["note", "INC-7"])),
    ];
    for (run, patterns, wanted) in cases {
        match (order::command(&words(run), &names, &policy(patterns)), wanted) {
            (Ok(got), Ok(wanted)) => assert_eq!(got, words(wanted)),
            (Err(why), Err(part)) => assert!(why.contains(part), "{run:?}: {why}"),
            (got, wanted) => panic!("{run:?} with {patterns:?}: {got:?} instead of {wanted:?}"),
        }
    }
}

#[test]
fn three_looks_within_a_second_are_one() {
    let mut bench = Bench::new(book());
    bench.run.verification.begin(bench.at);
    let object = watched("a");
    for second in 1..=40 {
        let observed_at = bench.at + Span::from_secs(second);
        let apart = Span::from_secs(30);
        bench.run.verification.see(&Seen { object: &object, observed_at, well: true, apart, text: "" });
    }
    assert_eq!(bench.run.verification.watches[0].well, 2, "at 1 s and at 31 s");
    let early = Seen { object: &object, observed_at: bench.at, well: false, apart: Span::ZERO, text: "" };
    assert_eq!(bench.run.verification.see(&early), None, "what was seen before the last step says nothing of it");
}

#[test]
fn a_step_that_nobody_ends_fails_at_its_deadline() {
    let anna = person("anna", Right::Power);
    let mut bench = Bench::new(book());
    bench.done(1, None, &anna).expect("done");
    bench.begin(2, None, &anna).expect("begun");
    assert_eq!(bench.run.expire(bench.at + Span::from_mins(5)), None);
    let late = bench.at + Span::from_mins(6);
    assert_eq!(bench.run.expire(late), Some(2));
    assert_eq!(bench.run.steps[1].state, StepState::Failed);
    assert!(bench.run.steps[1].note.contains("not known"), "{}", bench.run.steps[1].note);
    assert!(matches!(bench.run.report(2, 1, (true, ""), late), Err(RunError::Stale { .. })), "too late to be believed");
}

#[test]
fn output_is_kept_up_to_its_limit_and_cut_at_a_character() {
    let long = "ø".repeat(OUTPUT_BYTES_MAX);
    let kept = capped(&long);
    assert!(kept.len() <= OUTPUT_BYTES_MAX && kept.ends_with("not kept]"), "{}", kept.len());
    assert_eq!(&*capped("short"), "short");
}

/// One random request or result.
#[derive(Clone, Debug)]
enum Act {
    /// What comes next in an undisturbed run.
    Next,
    Begin(u16, Option<u32>, usize),
    Done(u16, Option<u32>, usize),
    Fail(u16, usize),
    Skip(u16, usize),
    Approve(u16, usize),
    RollBack(u16, usize),
    Report(u16, u32, bool),
    See(bool, bool),
    Finish(usize),
    Abort(usize),
    Reopen,
    Expire,
}

fn act() -> impl Strategy<Value = Act> {
    let step = 0u16..7;
    let attempt = prop_oneof![3 => Just(None), 2 => (0u32..4).prop_map(Some)];
    let who = 0usize..4;
    prop_oneof![
        12 => Just(Act::Next),
        6 => (step.clone(), attempt.clone(), who.clone()).prop_map(|(s, a, w)| Act::Begin(s, a, w)),
        6 => (step.clone(), attempt, who.clone()).prop_map(|(s, a, w)| Act::Done(s, a, w)),
        1 => (step.clone(), who.clone()).prop_map(|(s, w)| Act::Fail(s, w)),
        2 => (step.clone(), who.clone()).prop_map(|(s, w)| Act::Skip(s, w)),
        4 => (step.clone(), who.clone()).prop_map(|(s, w)| Act::Approve(s, w)),
        1 => (step.clone(), who.clone()).prop_map(|(s, w)| Act::RollBack(s, w)),
        6 => (step, 0u32..3, prop::bool::weighted(0.8)).prop_map(|(s, a, w)| Act::Report(s, a, w)),
        12 => (any::<bool>(), prop::bool::weighted(0.9)).prop_map(|(a, w)| Act::See(a, w)),
        4 => who.clone().prop_map(Act::Finish),
        1 => who.prop_map(Act::Abort),
        1 => Just(Act::Reopen),
        1 => Just(Act::Expire),
    ]
}

/// What must be true of a run's end, counted apart from the run.
#[derive(Default)]
struct Count {
    well: BTreeMap<&'static str, u16>,
}

fn people() -> [Asker; 4] {
    [
        person("anna", Right::Power),
        person("bob", Right::Power),
        person("carl", Right::Operate),
        person("dora", Right::View),
    ]
}

fn next(bench: &mut Bench) -> bool {
    let [anna, bob, ..] = people();
    let Some(number) = bench.run.next_step() else { return bench.run.finish(Vec::new(), &anna, bench.at).is_ok() };
    let index = usize::from(number) - 1;
    let (state, attempt) = (bench.run.steps[index].state, bench.run.steps[index].attempt);
    let manual = bench.run.runbook.steps[index].action == Action::Manual;
    match state {
        StepState::Asked => bench.approve(number, &bob).is_ok(),
        StepState::Running if !manual => bench.run.report(number, attempt, (true, "out"), bench.at).is_ok(),
        _ if manual => bench.done(number, None, &anna).is_ok(),
        _ => bench.begin(number, None, &anna).is_ok(),
    }
}

fn carry_out(bench: &mut Bench, act: &Act) -> bool {
    let people = people();
    let at = bench.at;
    match act {
        Act::Next => next(bench),
        Act::Begin(step, attempt, who) => bench.begin(*step, *attempt, &people[*who]).is_ok(),
        Act::Done(step, attempt, who) => bench.done(*step, *attempt, &people[*who]).is_ok(),
        Act::Fail(step, who) => bench.run.fail(*step, None, "no", &people[*who], at).is_ok(),
        Act::Skip(step, who) => bench.run.skip(*step, "not here", &people[*who], at).is_ok(),
        Act::Approve(step, who) => bench.approve(*step, &people[*who]).is_ok(),
        Act::RollBack(step, who) => bench.run.roll_back(*step, "undone", &people[*who], at).is_ok(),
        Act::Report(step, attempt, well) => bench.run.report(*step, *attempt, (*well, "out"), at).is_ok(),
        Act::See(first, well) => {
            bench.see(if *first { "a" } else { "b" }, *well);
            true
        }
        Act::Finish(who) => bench.run.finish(Vec::new(), &people[*who], at).is_ok(),
        Act::Abort(who) => bench.run.abort("enough", &people[*who], at).is_ok(),
        Act::Reopen => {
            bench.run.reopen("failed again", at);
            true
        }
        Act::Expire => bench.run.expire(at + Span::from_hours(1)).is_some(),
    }
}

/// Keeps the count, and looks at everything that must hold whatever was asked.
fn look(before: &Run, after: &Run, act: &Act, count: &mut Count) -> Result<(), TestCaseError> {
    let states = |run: &Run| run.steps.iter().map(|step| (step.state, step.attempt)).collect::<Vec<_>>();
    // Leaving out what nobody did changes nothing that was seen.
    let skipped = matches!(act, Act::Skip(..)) && before.phase == after.phase;
    if (states(before) != states(after) && !skipped)
        || (before.phase == RunPhase::Finished && after.phase == RunPhase::Reopened)
    {
        count.well.clear();
    }
    let counts = matches!(before.phase, RunPhase::Verifying | RunPhase::Reopened);
    if let (Act::See(first, well), true) = (act, counts) {
        let entry = count.well.entry(if *first { "a" } else { "b" }).or_default();
        *entry = if *well { *entry + 1 } else { 0 };
    }
    if after.phase == RunPhase::Finished && before.phase != RunPhase::Finished {
        for name in ["a", "b"] {
            prop_assert!(count.well.get(name).is_some_and(|well| *well >= INTERVALS), "{name}: {:?}", count.well);
        }
        for (step, state) in after.runbook.steps.iter().zip(&after.steps) {
            prop_assert!(state.state.is_settled() || step.kind == StepKind::Escalate, "{:?}", state.state);
        }
    }
    for (step, state) in after.runbook.steps.iter().zip(&after.steps) {
        let second = matches!(step.action, Action::Power { .. } | Action::Approve);
        let acted = matches!(state.state, StepState::Running | StepState::Done);
        if second && acted {
            prop_assert!(state.approved_by.is_some() && state.approved_by != state.by, "{state:?}");
        }
        prop_assert!(state.by.as_deref() != Some("dora") && state.approved_by.as_deref() != Some("dora"));
        if matches!(step.action, Action::Power { .. }) && acted {
            prop_assert!(state.by.as_deref() != Some("carl") && state.approved_by.as_deref() != Some("carl"));
        }
    }
    let under_way = after.steps.iter().filter(|step| matches!(step.state, StepState::Running | StepState::Asked));
    prop_assert!(under_way.count() <= 1, "one step at a time");
    if before.phase == RunPhase::Aborted {
        prop_assert_eq!(before.phase, after.phase, "what was given up stays so");
    }
    for (was, is) in before.steps.iter().zip(&after.steps) {
        prop_assert!(is.attempt >= was.attempt);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_word_is_bound_or_refused_and_is_never_more_than_one(word in "\\PC{0,12}", host in "\\PC{0,12}", allowed in "\\PC{0,12}") {
        let target = RunTarget { host: Some(host.as_str().into()), component: None, cloud: None };
        let names = order::Names { target: &target, incident: None, address: None };
        if let Ok(bound) = order::bind(&word, &names) {
            prop_assert!(!bound.starts_with('-') || word.starts_with('-'), "{bound}");
        }
        let policy = RunPolicy { commands: vec![words(&["tool", &allowed])], ..RunPolicy::default() };
        if let Ok(command) = order::command(&words(&["tool", &word]), &names, &policy) {
            prop_assert_eq!(command.len(), 2);
            let same = order::bind(&allowed, &names).is_ok_and(|allowed| *allowed == *command[1]);
            prop_assert!(same || allowed == "*", "{:?} is not {:?}", command, allowed);
        }
        let other = order::command(&words(&["tool", &word, "more"]), &names, &policy);
        prop_assert!(other.is_err(), "a longer command is another command");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_requests_ends_a_run_that_was_not_verified(acts in prop::collection::vec(act(), 1..120)) {
        let mut bench = Bench::new(book());
        let mut count = Count::default();
        for act in &acts {
            let before = bench.run.clone();
            let taken = carry_out(&mut bench, act);
            if !taken {
                let mut same = bench.run.clone();
                same.changed = before.changed;
                prop_assert_eq!(&before, &same, "what is refused changes nothing: {:?}", act);
            }
            look(&before, &bench.run, act, &mut count)?;
        }
    }
}

#[test]
fn the_random_requests_do_finish_runs() {
    // Else the property above would say nothing.
    let (anna, bob) = (person("anna", Right::Power), person("bob", Right::Power));
    let mut bench = Bench::new(book());
    bench.done(1, None, &anna).expect("1");
    bench.begin(2, None, &anna).expect("2");
    bench.run.report(2, 1, (true, ""), bench.at).expect("2");
    bench.begin(3, None, &anna).expect("3");
    bench.approve(3, &bob).expect("3");
    bench.run.report(3, 1, (true, ""), bench.at).expect("3");
    bench.begin(4, None, &anna).expect("4");
    bench.approve(4, &bob).expect("4");
    assert_eq!(bench.run.phase, RunPhase::Verifying);
    for name in ["a", "b", "a", "b", "a"] {
        bench.see(name, true);
    }
    let refused = bench.run.finish(Vec::new(), &anna, bench.at).expect_err("b was seen twice").to_string();
    assert!(refused.contains("h1/b was well 2 of 3"), "{refused}");
    bench.see("b", false);
    for _ in 0..3 {
        bench.see("b", true);
    }
    assert_eq!(bench.run.finish(Vec::new(), &anna, bench.at), Ok(Outcome::Settled));
    assert_eq!(bench.run.finish(Vec::new(), &anna, bench.at), Ok(Outcome::Repeated));
}
