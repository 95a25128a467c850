//! What macros say of the newest result of an object.

use std::sync::Arc;

use stentor_core::Span;
use stentor_core::engine::{CheckResult, Input, ResultSource, Took};
use stentor_core::id::ObjectId;
use stentor_core::macros::view::Subject;
use stentor_core::macros::{Options, expand};
use stentor_core::model::{Observation, ServiceState};

use super::site::{Object, Site, Tree};

fn text(site: &Site, object: ObjectId, text: &str) -> String {
    let snapshot = site.engine.snapshot();
    let view = snapshot.macros(site.at);
    view.with_context(Subject::of(object), |context| expand(text, context, Options::raw())).expect("short")
}

#[test]
fn how_long_a_check_waited_and_ran_and_who_looked() {
    let mut tree = Tree::new();
    let host = tree.host("h", &Object::host());
    tree.service(host, "s", &Object::service());
    let mut site = Site::new(tree);
    let service = site.id("h", Some("s"));
    const ASKED: &str = "$SERVICELATENCY$ $SERVICEEXECUTIONTIME$ $SERVICECHECKTYPE$";
    site.apply(Input::Result(CheckResult {
        object: service,
        observed_at: site.at,
        source: ResultSource::Active,
        observation: Arc::new(Observation::reported(ServiceState::Ok, "fine")),
        id: None,
        took: Took { latency: Span::from_millis(125), run: Span::from_millis(1500) },
    }));
    assert_eq!(text(&site, service, ASKED), "0.125 1.500 ACTIVE");
    site.pass(1).passive(service, 0, "told");
    assert_eq!(text(&site, service, ASKED), "0.000 0.000 PASSIVE");
}

#[test]
fn a_semicolon_in_the_output_is_told_as_a_colon() {
    let mut tree = Tree::new();
    tree.host("h", &Object::host());
    let mut site = Site::new(tree);
    let host = site.id("h", None);
    site.active(host, 0, "up; really");
    assert_eq!(text(&site, host, "$HOSTOUTPUT$"), "up: really");
}

#[test]
fn the_last_of_its_groups_by_name_is_the_group_of_an_object() {
    let mut tree = Tree::new();
    let host = tree.host("h", &Object::host());
    let group = |name: &str| stentor_core::catalog::nagios::Group {
        name: name.into(),
        alias: name.to_uppercase().as_str().into(),
        members: vec![host],
        notes: Arc::default(),
        notes_url: Arc::default(),
        action_url: Arc::default(),
    };
    tree.catalog.nagios.hostgroups = vec![group("all"), group("webs")];
    let site = Site::new(tree);
    assert_eq!(text(&site, site.id("h", None), "$HOSTGROUPNAMES$ $HOSTGROUPALIAS$"), "webs,all WEBS");
}
