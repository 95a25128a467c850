//! Everything that the demo can break, on several demos at once: each fault is one incident in its cell, told once,
//! mended and told once more.

#[path = "demo/runs.rs"]
mod runs;
#[path = "demo/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::running::{Running, alone, brief, is_live, number, within_patience};
use table::Row;

/// How much faster than real the demos run. Timeouts of probes are real at any pace.
const PACE: u32 = 30;

/// What is broken, one after the other, on one demo each. Together: every component in every way, and the hardware.
const SHARES: [&[&str]; 6] = [
    &[
        "clc/software",
        "ufs/software",
        "clc/hang",
        "iw/resource",
        "cc/hang",
        "psu/clc1",
        "clc/server",
        "nc/software",
        "splitbrain/walrus1",
    ],
    &[
        "jvm/front1",
        "ufs/server",
        "console/resource",
        "sc/hang",
        "cc/resource",
        "nc/hang",
        "raid/nc1",
        "drbd/walrus1",
        "feed/A",
    ],
    &[
        "sc/software",
        "console/server",
        "ufs/resource",
        "cc/software",
        "walrus/resource",
        "elb/hang",
        "nc/resource",
        "bond/walrus1",
        "ups/ups1",
    ],
    &[
        "vb/software",
        "cc/server",
        "sc/resource",
        "walrus/hang",
        "console/software",
        "elb/resource",
        "nc/server",
        "vb/resource",
        "path/sc1",
    ],
    &[
        "walrus/server",
        "console/hang",
        "clc/resource",
        "stack/sw1",
        "walrus/software",
        "elb/software",
        "iw/server",
        "vb/server",
    ],
    &["rack/R", "ufs/hang", "vb/hang", "sc/server", "iw/software", "iw/hang", "elb/server", "paths/sc1"],
];

/// Components that are not in service without their Cloud Controller.
const BEHIND_THE_CLC: [&str; 4] = ["sc", "ufs", "vb", "walrus"];

#[test]
fn each_component_is_broken_in_every_way() {
    let tried = SHARES.concat();
    for key in ["console", "ufs", "clc", "walrus", "sc", "cc", "vb", "iw", "elb", "nc"] {
        for kind in ["software", "server", "resource", "hang"] {
            assert!(tried.contains(&format!("{key}/{kind}").as_str()), "{key}/{kind} is in no share");
        }
    }
    for kind in ["jvm", "psu", "raid", "bond", "path", "paths", "drbd", "splitbrain", "stack", "feed", "ups", "rack"] {
        assert!(tried.iter().any(|name| name.split('/').next() == Some(kind)), "no {kind} is in a share");
    }
}

#[tokio::test]
async fn each_fault_is_one_incident_in_its_cell_and_heals() {
    let _alone = alone().await;
    let demos = (21..).zip(SHARES).map(|(net, share)| all_of(net, share));
    let (mut failures, mut rows, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for (failed, seen, names) in futures_util::future::join_all(demos).await {
        failures.extend(failed);
        rows.extend(seen);
        order = names;
    }
    if failures.is_empty() {
        failures = table::hold(rows, &order);
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// One demo with its share of the faults: what went wrong, with everything that this demo ever said; what was seen of each
/// fault; and the names of all faults in the order of their list.
async fn all_of(net: u8, share: &[&str]) -> (Vec<String>, Vec<Row>, Vec<String>) {
    let demo = Running::demo(net, PACE).await;
    let (mut failures, mut rows) = (Vec::new(), Vec::new());
    if let Err(why) = each_of(&demo, share, &mut failures, &mut rows).await {
        failures.push(why);
    }
    if !failures.is_empty() {
        let incidents: String = demo.incidents().await.iter().map(brief).collect();
        let mails = demo.get("demo/mails").await;
        let keys: Vec<String> = mails.as_array().into_iter().flatten().map(key_of).collect();
        failures.push(format!("all incidents of 127.{net}/16, {share:?}:{incidents}\n  mails {keys:#?}"));
    }
    let faults = demo.get("demo/faults").await;
    let names = faults.as_array().into_iter().flatten().filter_map(|fault| fault["name"].as_str().map(str::to_owned));
    let names = names.collect();
    demo.stop().await;
    (failures, rows, names)
}

async fn each_of(
    demo: &Running,
    share: &[&str],
    failures: &mut Vec<String>,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    within_patience("all is well at first", async || well(demo).await).await?;
    let second = runs::second_person(demo).await;
    for name in share {
        match break_and_mend(demo, &second, name).await {
            Ok(row) => rows.push(row),
            Err(why) => {
                failures.push(format!("{name}: {why}"));
                demo.post("demo/heal-all?wait=1").await?;
                within_patience("all is well after a failure", async || well(demo).await).await?;
            }
        }
    }
    if !failures.is_empty() {
        return Ok(());
    }
    let incidents = demo.incidents().await;
    if incidents.len() != share.len() {
        return Err(format!("{} incidents of {} faults", incidents.len(), share.len()));
    }
    let mails = told_once(demo, &incidents).await?;
    for row in rows {
        let of = |reason: &str| {
            let mark = format!("/INC-{}/{reason}/", row.incident);
            mails.iter().filter(|mail| key_of(mail).contains(&mark)).count()
        };
        row.pages = (of("problem"), of("recovery"));
        claim(row.pages == (1, 1), || format!("{}: {:?} mails of problem and recovery", row.fault, row.pages))?;
    }
    Ok(())
}

async fn break_and_mend(demo: &Running, second: &str, name: &str) -> Result<Row, String> {
    let faults = demo.get("demo/faults").await;
    let fault = faults.as_array().and_then(|all| all.iter().find(|fault| fault["name"] == name));
    let fault = fault.ok_or("no such fault")?;
    let before = demo.incidents().await.last().map_or(0, number);
    let since = async || -> Vec<Value> {
        demo.incidents().await.into_iter().filter(|incident| number(incident) > before).collect()
    };

    let opened = demo.post(&format!("demo/inject/{name}?wait=1")).await?;
    // A check that answers late may still make the first word more precise; the incident stays the same one.
    let named = async || {
        let now = demo.get(&format!("api/v1/incidents/{}", number(&opened))).await;
        match ["class", "subtype", "cell", "runbook"].into_iter().find(|key| now[*key] != fault["expect"][*key]) {
            None => Ok(()),
            Some(key) => Err(format!("{key} is not {}: {}", fault["expect"][key], brief(&now))),
        }
    };
    within_patience("the failure has its name", named).await?;
    if name.starts_with("clc/") {
        within_patience("what hangs on the CLC is an effect", async || effects_of_the_clc(&since().await)).await?;
    }
    if name.starts_with("rack/") {
        let hosts: Vec<&Value> = opened["effects"].as_array().into_iter().flatten().map(|e| &e["host"]).collect();
        claim(hosts == ["nc4", "nc5"], || format!("the rack is not its effect: {hosts:?}"))?;
    }
    claim(!opened["users_notice"].as_str().unwrap_or_default().is_empty(), || {
        format!("nobody says what users notice: {}", brief(&opened))
    })?;
    let settled = demo.get(&format!("api/v1/incidents/{}", number(&opened))).await;
    let gated = runs::mend(demo, second, name, &opened).await?;
    within_patience("all is well again", async || well(demo).await).await?;
    match since().await.as_slice() {
        [only] if only["phase"] == "resolved" && only["stage"] == "well" && only["number"] == opened["number"] => {
            Ok(Row::new(fault, &settled, &gated))
        }
        several => Err(format!("not one resolved incident:{}", several.iter().map(brief).collect::<String>())),
    }
}

/// Every host and service is well and no incident lives.
async fn well(demo: &Running) -> Result<(), String> {
    let live: Vec<String> = demo.incidents().await.iter().filter(|incident| is_live(incident)).map(brief).collect();
    if !live.is_empty() {
        return Err(live.join(""));
    }
    let bad = |service: &&Value| service["state"] != "OK";
    match demo.services().await.iter().find(bad) {
        Some(service) => Err(format!("{}/{} is {}", service["host"], service["service"], service["state"])),
        None => Ok(()),
    }
}

fn effects_of_the_clc(incidents: &[Value]) -> Result<(), String> {
    let effects = incidents.first().and_then(|incident| incident["effects"].as_array()).ok_or("no incident")?;
    let folded = |key: &&str| effects.iter().any(|effect| effect["component"] == **key);
    let missing: Vec<_> = BEHIND_THE_CLC.iter().filter(|key| !folded(key)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} not among {effects:?}")) }
}

/// Each incident sent one problem mail, and one recovery mail in the same thread.
async fn told_once(demo: &Running, incidents: &[Value]) -> Result<Vec<Value>, String> {
    let marks = |incident: &Value| ["problem", "recovery"].map(|reason| format!("/INC-{}/{reason}/", number(incident)));
    let mails = within_patience("the mails of every incident", async || {
        let mails = demo.get("demo/mails").await.as_array().expect("a list").clone();
        let arrived = |mark: &String| mails.iter().any(|mail| key_of(mail).contains(mark.as_str()));
        let missing: Vec<String> = incidents.iter().flat_map(marks).filter(|mark| !arrived(mark)).collect();
        if missing.is_empty() { Ok(mails) } else { Err(missing) }
    })
    .await?;
    let mut by_key = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for mail in &mails {
        let id = mail["message_id"].as_str().expect("a Message-ID").to_owned();
        claim(ids.insert(id.clone()), || format!("{id} came twice"))?;
        let key = key_of(mail);
        claim(by_key.insert(key.clone(), mail).is_none(), || format!("{key} came twice"))?;
    }
    for incident in incidents {
        let of = |mark: String| {
            let found: Vec<&Value> =
                by_key.iter().filter(|(key, _)| key.contains(&mark)).map(|(_, mail)| *mail).collect();
            match found.as_slice() {
                [only] => Ok(*only),
                several => Err(format!("{} mails {mark} of{}", several.len(), brief(incident))),
            }
        };
        let [problem, recovery] = marks(incident).map(of);
        let (problem, recovery) = (problem?, recovery?);
        let answers = header(recovery, "In-Reply-To").as_deref() == problem["message_id"].as_str()
            && recovery["references"] == problem["message_id"];
        claim(answers, || format!("not in the thread of its problem: {recovery}"))?;
        let begins = problem["references"] == "" && header(problem, "In-Reply-To").is_none();
        claim(begins, || format!("a problem begins a thread: {problem}"))?;
        let named = format!("(INC-{})", number(incident));
        let is_named = problem["subject"].as_str().is_some_and(|subject| subject.contains(&named));
        claim(is_named, || format!("no {named} in {problem}"))?;
    }
    Ok(mails)
}

fn claim(holds: bool, else_say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_say()) }
}

/// The key of the notification that a mail carries.
fn key_of(mail: &Value) -> String {
    header(mail, "X-Stentor-Key").unwrap_or_else(|| panic!("no key: {mail}"))
}

/// A header as sent, unfolded.
fn header(mail: &Value, name: &str) -> Option<String> {
    let raw = mail["raw"].as_str()?.replace("\r\n ", " ");
    let head = raw.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
