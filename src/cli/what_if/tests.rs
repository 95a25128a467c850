//! What-if over the demo's own configuration: each fault that can be injected, asked for instead.

use std::path::Path;

use serde_json::Value;
use stentor_core::availability::State;
use stentor_core::diagnosis::{CoreState, TargetKind};

use super::*;
use crate::demo::config::{Wish, text};
use crate::demo::fault::{Fault, Kind, resource_of};
use crate::demo::plan::Net;

fn demo(more: &str) -> crate::config::Loaded {
    let address = "127.0.0.1:1".parse().unwrap();
    let wish =
        Wish { net: Net::USUAL, listen: address, smtp: address, pace: 1.0, bmc_password_file: Path::new("none") };
    let text = text(&wish) + more;
    crate::config::load_text(&text, Path::new("demo.toml")).unwrap_or_else(|found| panic!("{found}"))
}

/// The element of a fault.
fn element(fault: &Fault) -> String {
    let host = fault.host;
    let component = fault.component.unwrap_or_default();
    match fault.kind {
        Kind::Software => format!("{host}/{component}"),
        Kind::Hang => format!("hang:{host}/{component}"),
        Kind::Resource => {
            let expect = fault.expect();
            let _ = resource_of(component);
            format!("resource:{host}/{component}={}", expect.subtype)
        }
        Kind::Server => format!("host:{host}"),
        Kind::Jvm => format!("jvm:{host}"),
        Kind::Psu => format!("psu:{host}"),
        Kind::Raid => format!("raid:{host}"),
        Kind::Bond => format!("bond:{host}"),
        Kind::Path => format!("path:{host}"),
        Kind::Paths => format!("paths:{host}"),
        Kind::Drbd => format!("drbd:{host}"),
        Kind::SplitBrain => format!("splitbrain:{host}"),
        Kind::Stack => format!("member:{host}"),
        Kind::Feed => format!("feed:{}", crate::demo::plan::MAINS),
        Kind::Ups => format!("battery:{host}"),
        Kind::Rack => format!("feed:{host}"),
    }
}

#[test]
fn the_answer_for_each_fault_of_the_demo_is_what_its_injection_must_give() {
    let loaded = demo("");
    let world = World::healthy(&loaded.catalog, VIRTUAL_NOW);
    assert!(world.diagnoses().iter().all(|diagnosis| diagnosis.verdicts.is_empty()), "a healthy world is well");
    assert!(world.diagnoses().iter().all(|diagnosis| diagnosis.core == CoreState::Available));
    let mut wrong = Vec::new();
    for fault in Fault::all() {
        let answer = world.ask(&[Element::parse(&element(&fault)).unwrap()]).unwrap();
        let expect = fault.expect();
        let incidents: Vec<_> = answer.incidents().collect();
        let got: Vec<String> = incidents
            .iter()
            .map(|v| format!("{}/{} {:?} {} on {:?}", v.class.as_str(), v.subtype, v.cell, v.runbook, v.target.host))
            .collect();
        let [only] = incidents.as_slice() else {
            wrong.push(format!("{}: {} incidents: {got:?}", fault.name(), incidents.len()));
            continue;
        };
        let same = (only.class.as_str(), &*only.subtype) == (expect.class, &expect.subtype)
            && only.cell.as_deref() == expect.cell.as_deref()
            && *only.runbook == *expect.runbook;
        if !same || (only.target.kind != TargetKind::Drbd && only.target.host.as_deref() != Some(fault.host)) {
            wrong.push(format!("{}: {got:?} instead of {expect:?} on {}", fault.name(), fault.host));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_answer_says_what_happens_to_the_core_and_to_business_services() {
    let more = "[[business]]\nname = \"portal\"\nexpression = \"core:euca and console\"\n\
                [[business]]\nname = \"machines\"\nexpression = \"4 of nc and should(all(nc))\"\n";
    let loaded = demo(more);
    let world = World::healthy(&loaded.catalog, VIRTUAL_NOW);
    let ask = |texts: &[&str]| {
        let elements: Vec<Element> = texts.iter().map(|text| Element::parse(text).unwrap()).collect();
        world.ask(&elements).unwrap()
    };
    for (elements, core, business) in [
        (&["host:clc1"][..], CoreState::Unavailable, "portal unavailable"),
        (&["host:ufs1"], CoreState::Available, ""),
        (&["host:ufs1", "front1/ufs"], CoreState::Unavailable, "portal unavailable"),
        (&["host:cc1"], CoreState::Degraded, "portal degraded"),
        (&["host:cc1", "host:cc2"], CoreState::Unavailable, "portal unavailable"),
        (&["host:nc1"], CoreState::Available, "machines degraded"),
        (&["host:nc1", "host:nc2"], CoreState::Degraded, "portal degraded, machines unavailable"),
        (&["feed:A", "ups:ups1"], CoreState::Unavailable, "portal unavailable, machines unavailable"),
        (&["psu:clc1"], CoreState::Available, ""),
        (&["host:console1"], CoreState::Available, "portal unavailable"),
    ] {
        let answer = ask(elements);
        assert_eq!(answer.clouds[0].after.state, core, "{elements:?}: {:?}", answer.clouds[0].after.because);
        let changed: Vec<String> = answer
            .business
            .iter()
            .filter(|one| one.before.state != one.after.state)
            .map(|one| format!("{} {}", one.name, one.after.state.as_str()))
            .collect();
        assert_eq!(changed.join(", "), business, "{elements:?}");
    }
    let node = ask(&["host:nc2"]);
    assert!(node.dark.iter().any(|host| &**host == "iw1"), "a machine goes with its node: {:?}", node.dark);
    assert_eq!(node.incidents().count(), 1, "and is no incident of its own");
}

#[test]
fn the_single_points_of_failure_come_first() {
    let loaded = demo("");
    let world = World::healthy(&loaded.catalog, VIRTUAL_NOW);
    let answers = world.ask_all();
    assert!(answers.windows(2).all(|pair| pair[0].weight() >= pair[1].weight()));
    let single: Vec<String> =
        answers.iter().filter(|answer| answer.is_single_point()).map(|answer| answer.assumed[0].to_string()).collect();
    for known in ["host:clc1", "component:clc1/clc", "host:walrus1", "switch:sw1"] {
        assert!(single.iter().any(|name| name == known), "{known} is missing in {single:?}");
    }
    for spared in ["host:ufs1", "feed:A", "feed:B", "host:nc1", "host:cc1"] {
        assert!(!single.iter().any(|name| name == spared), "{spared} is in {single:?}");
    }
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let loaded = demo("");
    let world = World::healthy(&loaded.catalog, VIRTUAL_NOW);
    for (text, help) in
        [("host:clc11", "did you mean `clc1`?"), ("clc1/ufs", "front1/ufs"), ("feed:C", "did you mean `A`?")]
    {
        let refusal = world.ask(&[Element::parse(text).unwrap()]).unwrap_err();
        assert!(explained(&refusal).to_string().contains(help), "{}", explained(&refusal));
    }
    assert!(Element::parse("dragon:clc1").unwrap_err().to_string().contains("`switch:`"));
    for text in ["", ":", "host:", "a/", "/b", "jvm", "resource:a/b=", "component:a=b"] {
        assert!(Element::parse(text).is_err(), "{text}");
    }
    for text in ["host:a", "component:a/b", "resource:a/b=disk", "zone:x y"] {
        assert_eq!(Element::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn the_command_prints_text_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stentor.toml");
    std::fs::write(
        &path,
        "[[zone]]\nname = \"one\"\ncloud = \"c\"\n[[cloud]]\nname = \"c\"\nplatform = \"eucalyptus\"\n\
         [[host]]\nname = \"h\"\naddress = \"127.0.0.1\"\nzone = \"one\"\ncomponents = [\"eucalyptus/clc\"]\n",
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let print = |json: bool, all: bool| {
        let args = WhatIfArgs {
            config: Some(path.clone()),
            live: false,
            client: ClientArgs { url: String::new(), token_file: None, ca_file: None },
            all,
            json,
            elements: if all { Vec::new() } else { vec!["host:h".to_owned()] },
        };
        let mut out = Vec::new();
        assert_eq!(runtime.block_on(run(&args, &mut out)).unwrap(), 0);
        String::from_utf8(out).unwrap()
    };
    let text = print(false, false);
    assert!(text.contains("Core of c: available -> unavailable"), "{text}");
    assert!(text.contains("incident: server_down/os_dead on h, critical"), "{text}");
    let answer: Value = serde_json::from_str(&print(true, false)).unwrap();
    assert_eq!(answer["clouds"][0]["after"]["state"], "unavailable");
    assert_eq!(answer["assumed"][0], "host:h");
    let back: Answer = serde_json::from_value(answer).unwrap();
    assert_eq!(State::from(back.clouds[0].after.state), State::Unavailable);
    assert!(print(false, true).contains("SINGLE POINT"));
}
