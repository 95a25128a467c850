//! An order is taken once, answered once, by the host's own agent, and taken back when nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;

use proptest::prelude::*;
use stentor_core::Span;
use stentor_core::runbook::OrderKind;

use super::*;

fn order(host: &str, step: u16) -> Order {
    Order {
        run: 3,
        step,
        attempt: 1,
        host: host.into(),
        within: Span::from_secs(60),
        what: OrderKind::Command(words(&["sync"])),
    }
}

fn words(words: &[&str]) -> Vec<Arc<str>> {
    words.iter().map(|word| (*word).into()).collect()
}

fn takes(start: &str) -> Takes {
    Takes::these(start.into(), vec![words(&["sync"]), words(&["drbdadm", "primary", "*"])])
}

fn well(output: &str) -> Ended {
    Ended { well: true, output: output.into() }
}

/// An executor that waits for its order.
type Waits = Pin<Box<dyn Future<Output = Ended>>>;

/// Somebody orders a command of `nc1`; the future has been looked at once.
async fn ordered(agents: &Arc<Agents>, step: u16) -> Waits {
    let agents = Arc::clone(agents);
    let mut waits: Waits = Box::pin(async move { agents.carry_out(&order("nc1", step), &words(&["sync"])).await });
    assert!(futures_util::poll!(&mut waits).is_pending());
    waits
}

#[tokio::test(start_paused = true)]
async fn an_order_is_offered_taken_once_and_answered_once() {
    let agents = Arc::new(Agents::of_start(7));
    let start: Arc<str> = "s1".into();
    let waits = ordered(&agents, 2).await;
    let offered = agents.heard("nc1", takes("s1")).orders;
    assert_eq!((offered[0].run, offered[0].step, offered[0].within_ms), (3, 2, 60_000));
    assert_eq!(agents.heard("nc1", takes("s1")).orders, offered, "it is offered until it is taken");
    assert_eq!(agents.heard("nc2", takes("s2")), Answer::default(), "and to nobody else");
    let id = &offered[0].id;
    assert_eq!(agents.tells("nc2", id, &"s2".into(), Tale::Begun), Err(Rejected::Unknown));
    assert_eq!(agents.tells("nc1", id, &start, Tale::Ended(well("x"))), Err(Rejected::NotBegun));
    assert_eq!(agents.tells("nc1", id, &start, Tale::Begun), Ok(()));
    assert_eq!(agents.tells("nc1", id, &start, Tale::Begun), Ok(()), "the answer to the first may have been lost");
    assert_eq!(agents.tells("nc1", id, &"s0".into(), Tale::Begun), Err(Rejected::Another));
    assert_eq!(agents.heard("nc1", takes("s1")), Answer::default(), "taken, it is offered no more");
    assert_eq!(agents.tells("nc1", id, &"s0".into(), Tale::Ended(well("x"))), Err(Rejected::Another));
    assert_eq!(agents.tells("nc1", id, &start, Tale::Ended(well("\u{1b}[2J done"))), Ok(()));
    assert_eq!(agents.tells("nc1", id, &start, Tale::Ended(well("x"))), Err(Rejected::Unknown));
    assert_eq!(agents.tells("nc1", id, &start, Tale::Begun), Err(Rejected::Unknown));
    assert_eq!(waits.await, well("\u{fffd}[2J done"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_take_commands_is_named_with_what_helps() {
    let cases = [
        (Takes::Old, "too old to take commands"),
        (Takes::Foreign, "token that is not its own"),
        (Takes::these("s1".into(), Vec::new()), "takes no commands: start it with `--commands FILE`"),
    ];
    for (said, part) in cases {
        let agents = Arc::new(Agents::of_start(7));
        // Heard while the order waits, and before.
        let waits = ordered(&agents, 1).await;
        assert_eq!(agents.heard("nc1", said.clone()), Answer::default());
        let (first, second) = (waits.await, agents.carry_out(&order("nc1", 1), &words(&["sync"])).await);
        assert!(!first.well && first.output.contains(part), "{first:?}");
        assert_eq!(second, first);
        assert_eq!(agents.objection("nc1", &words(&["sync"])), Some(first.output), "the dry run says the same");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_knows_the_list_of_the_agent_and_its_silence() {
    let agents = Arc::new(Agents::of_start(7));
    assert!(agents.objection("nc1", &words(&["sync"])).is_some_and(|why| why.contains("is silent")));
    agents.heard("nc1", takes("s1"));
    assert_eq!(agents.objection("nc1", &words(&["drbdadm", "primary", "r0"])), None);
    let why = agents.objection("nc1", &words(&["drbdadm", "primary", "--force"])).expect("not allowed");
    assert!(why.contains("does not allow [\"drbdadm\", \"primary\", \"--force\"]"), "{why}");
    // A token for all hosts does not talk over the host's own agent.
    agents.heard("nc1", Takes::Foreign);
    assert_eq!(agents.objection("nc1", &words(&["sync"])), None);
    tokio::time::advance(SILENT_AFTER).await;
    assert!(agents.objection("nc1", &words(&["sync"])).is_some_and(|why| why.contains("is silent")));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_nobody_took_is_taken_back_and_never_begun() {
    let agents = Arc::new(Agents::of_start(7));
    let silent = ordered(&agents, 1).await.await;
    assert!(!silent.well && silent.output.contains("is silent"), "{silent:?}");
    let waits = ordered(&agents, 2).await;
    let offered = agents.heard("nc1", takes("s1")).orders;
    assert_eq!(offered.len(), 1, "the first is gone");
    let busy = waits.await;
    assert!(!busy.well && busy.output.contains("it was not begun"), "{busy:?}");
    assert_eq!(agents.tells("nc1", &offered[0].id, &"s1".into(), Tale::Begun), Err(Rejected::Unknown));
    let refused = ordered(&agents, 3).await;
    let id = Arc::clone(&agents.heard("nc1", takes("s1")).orders[0].id);
    assert_eq!(agents.tells("nc1", &id, &"s1".into(), Tale::Refused("no".into())), Ok(()));
    assert_eq!(refused.await, Ended::failed("the agent of `nc1` refused: no"));
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_and_not_answered_is_not_known() {
    let agents = Arc::new(Agents::of_start(7));
    let begun = async |step, start: &str| {
        let waits = ordered(&agents, step).await;
        let id = Arc::clone(&agents.heard("nc1", takes(start)).orders[0].id);
        agents.tells("nc1", &id, &start.into(), Tale::Begun).expect("begun");
        (waits, id)
    };
    let (restarted, id) = begun(1, "s1").await;
    assert_eq!(agents.heard("nc1", takes("s2")), Answer::default(), "the next start is not given it");
    let ended = restarted.await;
    assert!(!ended.well && ended.output.contains("restarted meanwhile: whether it was done is not known"), "{ended:?}");
    assert_eq!(agents.tells("nc1", &id, &"s1".into(), Tale::Ended(well("late"))), Err(Rejected::Unknown));

    let (silent, id) = begun(2, "s2").await;
    let ended = silent.await;
    assert!(!ended.well && ended.output.contains("whether it was done is not known"), "{ended:?}");
    let late = agents.heard("nc1", takes("s2"));
    assert_eq!((late.orders.len(), late.stop), (0, vec![id]), "what still runs is stopped");

    let (aborted, id) = begun(3, "s3").await;
    drop(aborted);
    assert_eq!(agents.tells("nc1", &id, &"s3".into(), Tale::Begun), Err(Rejected::TakenBack));
    assert_eq!(agents.heard("nc1", takes("s3")).stop, vec![Arc::clone(&id)]);
    assert_eq!(agents.tells("nc1", &id, &"s3".into(), Tale::Ended(Ended::failed("killed"))), Ok(()));
    assert_eq!(agents.heard("nc1", takes("s3")), Answer::default());
}

#[tokio::test(start_paused = true)]
async fn orders_of_one_host_are_few() {
    let agents = Arc::new(Agents::of_start(7));
    let mut waiting = Vec::new();
    for step in 0..ORDERS_MAX as u16 {
        waiting.push(ordered(&agents, step).await);
    }
    let ended = agents.carry_out(&order("nc1", 99), &words(&["sync"])).await;
    assert!(!ended.well && ended.output.contains("wait for the agent of `nc1` already"), "{ended:?}");
    drop(waiting);
    assert_eq!(agents.heard("nc1", takes("s1")), Answer::default(), "whoever does not wait any more has taken it back");
}

/// One thing that may come over the network, in any order and any number of times.
#[derive(Clone, Debug)]
enum Comes {
    Push(u8),
    Begun(u8),
    Ended(u8),
    Refused(u8),
    Aborted,
}

fn comes() -> impl Strategy<Value = Comes> {
    let start = 0..3_u8;
    prop_oneof![
        start.clone().prop_map(Comes::Push),
        start.clone().prop_map(Comes::Begun),
        start.clone().prop_map(Comes::Ended),
        start.prop_map(Comes::Refused),
        Just(Comes::Aborted),
    ]
}

proptest! {
    /// Whatever is lost, repeated or late: only one start of an agent ever gets leave to begin, and none after the end.
    #[test]
    fn only_one_start_ever_has_leave_to_begin(all in proptest::collection::vec(comes(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("made");
        runtime.block_on(async {
            let agents = Arc::new(Agents::of_start(7));
            let mut waits = Some(ordered(&agents, 1).await);
            let id = Arc::clone(&agents.heard("nc1", takes("0")).orders[0].id);
            let (mut leave, mut over) = (None, false);
            for one in all {
                match one {
                    Comes::Push(start) => drop(agents.heard("nc1", takes(&start.to_string()))),
                    Comes::Begun(start) => {
                        if agents.tells("nc1", &id, &start.to_string().into(), Tale::Begun).is_ok() {
                            assert!(!over, "leave after the end");
                            assert_eq!(*leave.get_or_insert(start), start, "two starts had leave");
                        }
                    }
                    Comes::Ended(start) => {
                        if agents.tells("nc1", &id, &start.to_string().into(), Tale::Ended(well(""))).is_ok() {
                            assert!(leave == Some(start) && !over, "an end without a beginning, or a second one");
                            over = true;
                        }
                    }
                    Comes::Refused(start) => {
                        let refused = agents.tells("nc1", &id, &start.to_string().into(), Tale::Refused(String::new()));
                        assert!(refused.is_err() || (leave.is_none() && !over), "refused after its beginning or end");
                        over |= refused.is_ok();
                    }
                    Comes::Aborted => {
                        drop(waits.take());
                        over |= leave.is_none();
                    }
                }
            }
        });
    }
}
