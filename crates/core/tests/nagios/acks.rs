//! Acknowledgements and comments of imported objects, and of the incidents that they belong to.

use stentor_core::engine::{Command, CommandError, CommentRequest, Notify, Reply};
use stentor_core::model::{Ack, CommentType, Sticky};
use stentor_core::{Span, Timestamp};

use super::notices::{Plan, Story, key};

fn ack(sticky: Sticky, until: Option<Timestamp>) -> Ack {
    Ack { by: "joe".into(), comment: "on it".into(), at: Timestamp::ZERO, until, sticky }
}

fn take(story: &mut Story, ack: Ack, persistent: bool) -> Result<Reply, CommandError> {
    story.site.command(Command::AckObject { object: key(Some("s")), ack, notify: Notify::Yes, persistent })
}

fn failed() -> Story {
    let mut story = Plan::new(|object| object.attempts = 1).run();
    assert_eq!(story.play("O W"), ["", "ann 1 WARNING"]);
    story
}

fn comments(story: &Story) -> Vec<(CommentType, String)> {
    let snapshot = story.site.engine.snapshot();
    snapshot.comments.values().map(|comment| (comment.entry_type, comment.text.to_string())).collect()
}

#[test]
fn a_sticky_one_lasts_to_the_recovery_and_a_normal_one_to_the_next_state() {
    for (sticky, expect) in [(Sticky::Yes, ["", "", "ann 0 OK"]), (Sticky::No, ["", "ann 2 CRITICAL", "ann 0 OK"])] {
        let mut story = failed();
        take(&mut story, ack(sticky, None), false).expect("acknowledged");
        assert_eq!(story.notices(), "ann 1 ACKNOWLEDGEMENT (WARNING)");
        assert_eq!(comments(&story), [(CommentType::Acknowledgement, "on it".to_owned())]);
        assert_eq!(story.play("W C O"), expect, "{sticky:?}");
        assert!(!story.site.row(story.service).is_acknowledged());
        assert_eq!(comments(&story), [], "what was written for it goes with it");
    }
}

#[test]
fn one_with_an_end_is_over_at_its_end_and_the_next_result_tells_again() {
    let mut story = failed();
    let until = story.site.at + Span::from_secs(100);
    take(&mut story, ack(Sticky::Yes, Some(until)), true).expect("acknowledged");
    story.notices();
    assert_eq!(story.play("+96 W"), [""]);
    assert!(story.site.row(story.service).is_acknowledged());
    story.site.pass(1);
    assert!(!story.site.row(story.service).is_acknowledged());
    assert_eq!(comments(&story).len(), 1, "a persistent comment stays");
    assert_eq!(story.play("W"), ["ann 2 WARNING"]);
}

#[test]
fn what_is_well_or_would_end_in_the_past_is_refused() {
    let mut story = failed();
    let past = Some(story.site.at - Span::from_secs(1));
    let refused = take(&mut story, ack(Sticky::No, past), false).expect_err("refused");
    assert_eq!(refused.to_string(), "the acknowledgement would end in the past");
    story.play("O");
    let refused = take(&mut story, ack(Sticky::No, None), false).expect_err("refused");
    assert_eq!(refused.to_string(), "service s on host h has no problem to acknowledge");
    assert_eq!((comments(&story), story.notices()), (vec![], String::new()));
}

#[test]
fn removing_one_lets_the_problem_be_told_again() {
    let mut story = failed();
    take(&mut story, ack(Sticky::Yes, None), false).expect("acknowledged");
    story.notices();
    assert_eq!(story.play("+60 W"), [""]);
    story.command(Command::UnackObject { object: key(Some("s")), by: "joe".into() });
    assert_eq!((comments(&story), story.play("W")), (vec![], vec!["ann 2 WARNING".to_owned()]));
}

#[test]
fn who_takes_an_object_has_its_incident_but_not_the_other_objects_of_it() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let host = plan.host;
    let other = plan.tree.service(host, "other", &super::site::Object::attempts(1));
    let mut story = plan.run();
    let other = stentor_core::id::ObjectId::Service(other);
    story.site.active(other, 2, "out");
    for _ in 0..3 {
        story.site.active(story.host, 2, "gone").pass(1);
    }
    story.play("C");
    story.site.pass(300);
    let incident = story.site.row(story.service).incident;
    assert_ne!(incident, 0, "an imported problem has its incident");
    let with: Vec<_> = [story.host, other].iter().map(|object| story.site.row(*object).incident).collect();
    assert!(with.contains(&incident), "they belong together: {with:?}");
    take(&mut story, ack(Sticky::Yes, None), false).expect("acknowledged");
    let owner = |story: &Story| {
        let incident = story.site.engine.incident(incident).cloned().expect("live");
        (incident.owner.clone(), incident.ack.is_some())
    };
    assert_eq!(owner(&story), (Some("joe".into()), true));
    let acked = |story: &Story| [story.service, other, story.host].map(|o| story.site.row(o).is_acknowledged());
    assert_eq!(acked(&story), [true, false, false]);
    story.command(Command::AckIncident { number: incident, ack: ack(Sticky::Yes, None), notify: Notify::No });
    assert!(acked(&story).iter().filter(|acked| **acked).count() > 1, "who takes the incident takes all of it");
    story.command(Command::UnackObject { object: key(Some("s")), by: "joe".into() });
    assert_eq!(owner(&story), (None, false));
    assert!(!acked(&story)[0]);
}

#[test]
fn comments_are_numbered_kept_and_deleted() {
    let mut story = failed();
    let add = |story: &mut Story, service: Option<&str>, expires| {
        let object = key(service);
        let (author, text) = ("joe".into(), "seen".into());
        story.site.command(Command::AddComment(CommentRequest { object, persistent: true, expires, author, text }))
    };
    assert_eq!(add(&mut story, Some("s"), None), Ok(Reply::CommentAdded(1)));
    assert_eq!(add(&mut story, None, None), Ok(Reply::CommentAdded(2)), "hosts and services share the numbers");
    let soon = story.site.at + Span::from_secs(10);
    assert_eq!(add(&mut story, None, Some(soon)), Ok(Reply::CommentAdded(3)));
    let now = story.site.at;
    assert!(add(&mut story, None, Some(now)).is_err(), "it would be gone at once");
    assert_eq!(
        add(&mut story, Some("none"), None).map_err(|e| e.to_string()),
        Err("there is no service none on host h".to_owned())
    );
    let ids = |story: &Story| story.site.engine.snapshot().comments.keys().copied().collect::<Vec<_>>();
    assert_eq!(ids(&story), [1, 2, 3]);
    story.site.pass(10);
    assert_eq!(ids(&story), [1, 2], "one that expires is gone");
    story.command(Command::DeleteComment { id: 2, by: "joe".into() });
    let again = story.site.command(Command::DeleteComment { id: 2, by: "joe".into() });
    assert_eq!(again, Err(CommandError::NoComment(2)));
    assert_eq!(add(&mut story, None, None), Ok(Reply::CommentAdded(4)), "no number is used twice");
    story.command(Command::DeleteAllComments { object: key(None), by: "joe".into() });
    assert_eq!(ids(&story), [1], "of the host, not of its services");
    let restored = stentor_core::engine::Engine::from_checkpoint(story.site.engine.checkpoint());
    assert_eq!(*restored.snapshot().comments, *story.site.engine.snapshot().comments);
}
