//! Runs of runbooks: started, carried out, refused, verified, opened again, and started by themselves.

use std::sync::Arc;

use stentor_core::catalog::{Action, Catalog, Platform, PowerAction, Runbook, Step, StepKind, View};
use stentor_core::engine::{Command, CommandError, Reply};
use stentor_core::model::Phase;
use stentor_core::rules::Expr;
use stentor_core::runbook::{
    Asker, OrderKind, Right, Run, RunAction, RunError, RunOrder, RunPhase, RunRequest, StepState,
};
use stentor_core::{Span, Timestamp};

use crate::world::Story;

fn step(kind: StepKind, action: Action) -> Step {
    Step { action, ..Step::manual(kind, "do it") }
}

fn words(words: &[&str]) -> Vec<Arc<str>> {
    words.iter().map(|word| Arc::from(*word)).collect()
}

/// The runbook of causes that no platform knows is called `none`: here there is one.
fn book(steps: Vec<Step>) -> Runbook {
    Runbook { downtime: Span::from_mins(30), intervals: 2, ..Runbook::of_steps("none", "It is down", steps) }
}

fn with_book(catalog: &mut Catalog, books: Vec<Runbook>) {
    let (components, cells) = (Vec::new(), Vec::new());
    let platform = Platform { key: "test".into(), version: "1".into(), core: None, components, cells, runbooks: books };
    catalog.platforms = vec![Arc::new(platform)];
    catalog.hosts[1].view = View::Ssh;
    catalog.runs.commands = vec![words(&["systemctl", "restart", "*"])];
}

fn story(steps: Vec<Step>) -> Story {
    let mut story = Story::new();
    story.change_catalog(|catalog| with_book(catalog, vec![book(steps)]));
    story.all_well("gw").all_well("web1").fail_hard("web1", "http");
    story
}

fn ask(story: &mut Story, who: &str, right: Right, action: RunAction) -> Result<Reply, CommandError> {
    let by = Asker { name: who.into(), right };
    story.command(Command::Run(RunRequest { by, action }))
}

fn anna(story: &mut Story, action: RunAction) -> Result<Reply, CommandError> {
    ask(story, "anna", Right::Operate, action)
}

fn run(story: &Story) -> Run {
    (*story.engine.snapshot().runs[&1]).clone()
}

fn done(step: u16) -> RunAction {
    RunAction::Done { run: 1, step, attempt: None, note: "".into() }
}

fn begin(step: u16) -> RunAction {
    RunAction::Begin { run: 1, step, attempt: None }
}

const FINISH: RunAction = RunAction::Finish { run: 1 };

/// Looks of the failed check, a minute apart.
fn looks(story: &mut Story, codes: &[i32]) {
    for code in codes {
        story.pass(60).result("web1", Some("http"), *code);
    }
}

#[test]
fn a_run_is_finished_only_after_its_checks_were_well_for_all_intervals() {
    let mut story = story(vec![step(StepKind::Fix, Action::Manual), step(StepKind::Escalate, Action::Manual)]);
    assert_eq!(anna(&mut story, RunAction::Start { incident: 1 }), Ok(Reply::Run(1)));
    assert_eq!(run(&story).phase, RunPhase::Running);
    assert_eq!(story.engine.snapshot().downtimes.len(), 1, "the target is in downtime");
    let early = anna(&mut story, FINISH).expect_err("a step is open").to_string();
    assert!(early.contains("step 1 is ready") && early.contains("INC-1 is open"), "{early}");
    // Well before the last step: counts for nothing.
    looks(&mut story, &[0]);
    anna(&mut story, done(1)).expect("done");
    assert_eq!(run(&story).phase, RunPhase::Verifying);
    looks(&mut story, &[0]);
    let missing = anna(&mut story, FINISH).expect_err("one of two").to_string();
    assert!(missing.contains("web1/http was well 1 of 2"), "{missing}");
    looks(&mut story, &[2]);
    assert!(story.log().iter().any(|line| line.contains("verification failed: web1/http")), "{:?}", story.log());
    looks(&mut story, &[0, 0]);
    anna(&mut story, FINISH).expect("verified");
    assert_eq!(run(&story).phase, RunPhase::Finished);
    assert!(story.engine.snapshot().downtimes.is_empty(), "the downtime ended with it");
    story.pass(60);
    assert_eq!(story.engine.snapshot().incidents[&1].phase, Phase::Resolved);
    let timeline = &story.engine.snapshot().incidents[&1].timeline;
    assert!(timeline.iter().any(|entry| entry.text == "RUN-1: step 1 done" && entry.by.as_deref() == Some("anna")));
}

#[test]
fn a_failure_after_the_end_opens_the_run_again() {
    let mut story = story(vec![step(StepKind::Fix, Action::Manual)]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    anna(&mut story, done(1)).expect("done");
    looks(&mut story, &[0, 0]);
    anna(&mut story, FINISH).expect("finished");
    looks(&mut story, &[2, 2, 2]);
    story.pass(2);
    assert_eq!(run(&story).phase, RunPhase::Reopened);
    assert!(story.audit().iter().any(|line| line.starts_with("stentor reopen done")), "{:?}", story.audit());
    assert!(anna(&mut story, FINISH).is_err(), "it wants to be verified again");
    looks(&mut story, &[0, 0]);
    anna(&mut story, FINISH).expect("verified again");
    // Long after, it is another failure.
    story.pass(3600);
    looks(&mut story, &[2, 2, 2]);
    story.pass(2);
    assert_eq!(run(&story).phase, RunPhase::Finished);
}

#[test]
fn what_is_refused_changes_nothing_and_stands_in_the_audit() {
    let mut story = story(vec![step(StepKind::Fix, Action::Manual)]);
    let forbidden = ask(&mut story, "dora", Right::View, RunAction::Start { incident: 1 });
    assert!(matches!(forbidden, Err(CommandError::Run(RunError::Forbidden { .. }))), "{forbidden:?}");
    assert!(story.engine.snapshot().runs.is_empty());
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    let again = anna(&mut story, RunAction::Start { incident: 1 });
    assert!(matches!(again, Err(CommandError::Run(RunError::UnderWay { run: 1, .. }))), "{again:?}");
    for (action, refusal) in [
        (RunAction::Finish { run: 9 }, "no run RUN-9"),
        (done(7), "no step 7"),
        (done(0), "no step 0"),
        (RunAction::Start { incident: 99 }, "no incident INC-99"),
        (RunAction::Skip { run: 1, step: 1, reason: " ".into() }, "say why"),
        (RunAction::Abort { run: 1, why: "".into() }, "say why"),
        (RunAction::RollBack { run: 1, step: 1, note: "".into() }, "nothing to undo"),
        (RunAction::Report { run: 1, step: 1, attempt: 4, well: true, output: "".into() }, "stale"),
    ] {
        let before = run(&story);
        let text = anna(&mut story, action.clone()).expect_err("refused").to_string();
        assert!(text.contains(refusal), "{action:?}: {text}");
        assert_eq!(run(&story), before);
        let last = story.audit().pop().expect("recorded");
        assert!(last.contains("refused") && last.contains(&text), "{last}");
    }
    anna(&mut story, RunAction::Abort { run: 1, why: "the vendor comes".into() }).expect("aborted");
    assert_eq!(run(&story).phase, RunPhase::Aborted);
    assert!(story.engine.snapshot().downtimes.is_empty());
    assert!(anna(&mut story, done(1)).is_err());
    assert_eq!(anna(&mut story, RunAction::Start { incident: 1 }), Ok(Reply::Run(2)), "and another may be started");
}

#[test]
fn a_check_step_asks_now_and_believes_only_what_was_seen_since() {
    let check = Action::Check { checks: vec!["http".into()], until: None };
    let mut story = story(vec![step(StepKind::Verify, check.clone()), step(StepKind::Confirm, check)]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    story.pass(5).result("web1", Some("http"), 0);
    story.pass(5);
    anna(&mut story, begin(1)).expect("begun");
    story.pass(3);
    assert_eq!(run(&story).steps[0].state, StepState::Running, "what was well before it was asked is no answer");
    story.result("web1", Some("http"), 2).pass(2);
    assert_eq!(run(&story).steps[0].state, StepState::Failed);
    assert!(run(&story).steps[0].output.contains("CRITICAL"), "{}", run(&story).steps[0].output);
    anna(&mut story, begin(1)).expect("once more");
    story.pass(1).result("web1", Some("http"), 0).pass(2);
    assert_eq!((run(&story).steps[0].state, run(&story).steps[0].attempt), (StepState::Done, 2));
    // Nobody answers: failed at the deadline, and not a moment of silence counts as well.
    anna(&mut story, begin(2)).expect("begun");
    story.pass(60 + 10 + 10 + 2);
    assert_eq!(run(&story).steps[1].state, StepState::Failed);
    assert!(run(&story).steps[1].note.contains("timed out"), "{}", run(&story).steps[1].note);
}

#[test]
fn a_wait_is_patient_until_its_deadline() {
    let until = Expr::parse("isolated == false").expect("parses");
    let wait = Action::WaitFor { checks: vec!["http".into()], until: Some(until) };
    let patient = Step { within: Span::from_mins(5), ..step(StepKind::Verify, wait) };
    let mut story = story(vec![patient]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    anna(&mut story, begin(1)).expect("begun");
    looks(&mut story, &[2, 2]);
    story.pass(2);
    assert_eq!(run(&story).steps[0].state, StepState::Running);
    looks(&mut story, &[0]);
    story.pass(2);
    assert_eq!(run(&story).steps[0].state, StepState::Done);
}

#[test]
fn a_check_that_the_target_does_not_have_fails_its_step() {
    let check = Action::Check { checks: vec!["clc/port".into()], until: None };
    let mut story = story(vec![step(StepKind::Verify, check)]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    anna(&mut story, begin(1)).expect("begun");
    story.pass(2);
    assert_eq!(run(&story).steps[0].state, StepState::Failed);
    assert!(run(&story).steps[0].output.contains("has no check clc/port"), "{}", run(&story).steps[0].output);
}

#[test]
fn commands_go_to_the_executor_once_and_a_hung_one_fails() {
    let fix = Action::Command { run: words(&["systemctl", "restart", "httpd"]) };
    let hung = Step { within: Span::from_secs(20), ..step(StepKind::Fix, fix) };
    let other = step(StepKind::Fix, Action::Command { run: words(&["rm", "-rf", "/"]) });
    let mut story = story(vec![hung, other]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    anna(&mut story, RunAction::Begin { run: 1, step: 1, attempt: Some(1) }).expect("begun");
    let again = anna(&mut story, RunAction::Begin { run: 1, step: 1, attempt: Some(1) });
    assert_eq!(again, Ok(Reply::Repeated));
    let orders = story.orders();
    let [RunOrder::Do(order)] = orders.as_slice() else { panic!("one order: {orders:?}") };
    assert_eq!(order.what, OrderKind::Command(words(&["systemctl", "restart", "httpd"])));
    story.pass(60);
    assert_eq!(run(&story).steps[0].state, StepState::Failed);
    assert_eq!(story.orders(), [RunOrder::Stop { run: 1 }], "what still runs is stopped");
    let late = RunAction::Report { run: 1, step: 1, attempt: 1, well: true, output: "exited 0".into() };
    assert!(matches!(anna(&mut story, late), Err(CommandError::Run(RunError::Stale { .. }))));
    anna(&mut story, RunAction::Skip { run: 1, step: 1, reason: "done by hand".into() }).expect("skipped");
    let refused = anna(&mut story, begin(2)).expect_err("not in the allow-list").to_string();
    assert!(refused.contains("does not allow [\"rm\", \"-rf\", \"/\"]"), "{refused}");
    assert!(story.orders().is_empty());
}

#[test]
fn power_needs_a_controller_the_right_and_a_second_person() {
    let cycle = step(StepKind::Fix, Action::Power { power: PowerAction::Cycle });
    let mut story = story(vec![cycle]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    assert!(matches!(anna(&mut story, begin(1)), Err(CommandError::Run(RunError::Forbidden { .. }))));
    let refused = ask(&mut story, "eve", Right::Power, begin(1)).expect_err("no controller").to_string();
    assert!(refused.contains("has no `bmc`"), "{refused}");
}

#[test]
fn a_procedure_needs_a_target_and_no_incident() {
    let mut story = Story::new();
    let procedure = Runbook {
        procedure: true,
        ..Runbook::of_steps("rb-move", "Move it", vec![step(StepKind::Fix, Action::Manual)])
    };
    story
        .change_catalog(|catalog| with_book(catalog, vec![procedure, book(vec![step(StepKind::Fix, Action::Manual)])]));
    let start =
        |id: &str, host: &str| RunAction::StartProcedure { runbook: id.into(), host: host.into(), component: None };
    for (id, host, part) in [
        ("rb-move", "nowhere", "no host `nowhere`"),
        ("rb-none", "web1", "no runbook `rb-none`"),
        ("none", "web1", "answer to a failure"),
    ] {
        let text = anna(&mut story, start(id, host)).expect_err("refused").to_string();
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(anna(&mut story, start("rb-move", "web1")), Ok(Reply::Run(1)));
    assert!(anna(&mut story, start("rb-move", "web1")).is_err(), "one at a time");
    anna(&mut story, done(1)).expect("done");
    anna(&mut story, FINISH).expect("nothing is to be verified");
}

#[test]
fn a_restart_from_a_checkpoint_keeps_runs_as_they_are() {
    let mut story = story(vec![step(StepKind::Fix, Action::Manual)]);
    anna(&mut story, RunAction::Start { incident: 1 }).expect("started");
    anna(&mut story, done(1)).expect("done");
    looks(&mut story, &[0]);
    let before = run(&story);
    let bytes = postcard::to_allocvec(&story.engine.checkpoint()).expect("written");
    story.engine = stentor_core::engine::Engine::from_checkpoint(postcard::from_bytes(&bytes).expect("read"));
    assert_eq!(run(&story), before);
    looks(&mut story, &[0]);
    anna(&mut story, FINISH).expect("the count went on");
}

#[test]
fn an_uncertain_cause_starts_nothing_by_itself_and_says_so_once() {
    let mut story = Story::new();
    story.change_catalog(|catalog| {
        let automatic = Runbook { automatic: true, ..book(vec![step(StepKind::Fix, Action::Manual)]) };
        with_book(catalog, vec![automatic]);
    });
    story.all_well("gw").all_well("web1").fail_hard("web1", "http").pass(30);
    assert!(story.engine.snapshot().runs.is_empty());
    let told = |story: &Story| story.log().iter().filter(|line| line.contains("does not start by itself")).count();
    assert_eq!(told(&story), 1, "{:?}", story.log());
    assert!(story.audit()[0].contains("does not name it"), "{:?}", story.audit());
    story.change_catalog(|catalog| {
        let automatic = Runbook { automatic: true, ..book(vec![step(StepKind::Fix, Action::Manual)]) };
        with_book(catalog, vec![automatic]);
        catalog.runs.automatic = vec!["none".into()];
    });
    story.pass(30);
    assert_eq!(told(&story), 2, "another reason is told again");
    assert!(story.audit()[1].contains("uncertain"), "{:?}", story.audit());
    assert!(story.engine.snapshot().runs.is_empty());
    assert!(story.at > Timestamp::ZERO);
}
