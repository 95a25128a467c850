//! `stentor what-if`: which incidents the loss of something would be, and whether the Core would still be available.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use stentor_core::Timestamp;
use stentor_core::availability::{Redundancy, State};
use stentor_core::catalog::Catalog;
use stentor_core::whatif::{Answer, CloudAnswer, Element, Expected, UnknownElement, World};

use super::client::{Client, ClientArgs, shown};
use crate::config;
use crate::config::finding::suggest;

/// Nothing in the answer depends on the present.
const VIRTUAL_NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WhatIfArgs {
    /// Configuration file: the answer is about a healthy world
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask the running service (--url, --token-file): the answer is about the present
    #[arg(long, conflicts_with = "config")]
    pub live: bool,
    #[command(flatten)]
    pub client: ClientArgs,
    /// Every single element, the worst first
    #[arg(long)]
    pub all: bool,
    /// Print one JSON object (with --all one a line)
    #[arg(long)]
    pub json: bool,
    /// What fails, all at once: host:NAME, HOST/COMPONENT, switch:NAME, feed:NAME, ups:NAME, backend:NAME, zone:NAME
    #[arg(value_name = "ELEMENT", required_unless_present = "all")]
    pub elements: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  stentor what-if --config stentor.toml host:clc1 switch:sw1    both at once, everything else well
  stentor what-if --config stentor.toml --all                   single points of failure
  stentor what-if --live --token-file token clc1/clc            on top of what is wrong now";

/// Prints the answer.
///
/// # Errors
/// The configuration is wrong, the service cannot be reached, or the output cannot be written.
pub async fn run(args: &WhatIfArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let answers = match &args.config {
        Some(path) => {
            let loaded = match config::load(path) {
                Ok(loaded) => loaded,
                Err(found) => {
                    write!(std::io::stderr().lock(), "{found}")?;
                    return Ok(1);
                }
            };
            offline(&loaded.catalog, args)?
        }
        None => live(args).await?,
    };
    if args.json {
        for answer in &answers {
            writeln!(out, "{}", serde_json::to_string(answer)?)?;
        }
    } else if args.all {
        print_all(&answers, out)?;
    } else {
        answers.iter().try_for_each(|answer| print(answer, out))?;
    }
    out.flush()?;
    Ok(0)
}

fn offline(catalog: &Catalog, args: &WhatIfArgs) -> anyhow::Result<Vec<Answer>> {
    let world = World::healthy(catalog, VIRTUAL_NOW);
    if args.all {
        return Ok(world.ask_all());
    }
    let elements = read(&args.elements)?;
    Ok(vec![world.ask(&elements).map_err(|error| explained(&error))?])
}

async fn live(args: &WhatIfArgs) -> anyhow::Result<Vec<Answer>> {
    let client = Client::new(&args.client)?;
    let body = if args.all {
        json!({"all": true, "world": "present"})
    } else {
        json!({"assume": read(&args.elements)?, "world": "present"})
    };
    let mut answer = client.post("/what-if", &body).await?;
    serde_json::from_value(answer["items"].take()).context("the service answered something else")
}

fn read(texts: &[String]) -> anyhow::Result<Vec<Element>> {
    texts.iter().map(|text| Element::parse(text).map_err(|error| explained(&error))).collect()
}

/// With the nearest known name.
fn explained(error: &UnknownElement) -> anyhow::Error {
    match error {
        UnknownElement::Form(_) => anyhow::anyhow!("{error}"),
        UnknownElement::Name { name, known, .. } => {
            anyhow::anyhow!("{error}; {}", suggest(name, known.iter().map(String::as_str)))
        }
    }
}

fn print(answer: &Answer, out: &mut dyn Write) -> std::io::Result<()> {
    let assumed: Vec<String> = answer.assumed.iter().map(ToString::to_string).collect();
    let fails = if assumed.len() == 1 { "fails" } else { "fail" };
    writeln!(out, "If {} {fails}:", assumed.join(" and "))?;
    if !answer.dark.is_empty() {
        writeln!(out, "  dark: {}", answer.dark.join(", "))?;
    }
    for cloud in &answer.clouds {
        print_cloud(cloud, out)?;
    }
    answer.elsewhere.iter().try_for_each(|verdict| print_incident(verdict, out))?;
    for one in &answer.business {
        let why =
            if one.after.because.is_empty() { String::new() } else { format!(": {}", one.after.because.join(", ")) };
        let change = changed(one.before.state, one.after.state);
        let left = spare(one.before.redundancy, one.after.redundancy);
        writeln!(out, "  business service {}: {change}{left}{}", one.name, shown(&why))?;
    }
    Ok(())
}

fn print_cloud(cloud: &CloudAnswer, out: &mut dyn Write) -> std::io::Result<()> {
    let why =
        if cloud.after.because.is_empty() { String::new() } else { format!(": {}", cloud.after.because.join("; ")) };
    let change = changed(cloud.before.state.into(), cloud.after.state.into());
    let left = spare(cloud.before.redundancy, cloud.after.redundancy);
    writeln!(out, "  Core of {}: {change}{left}{}", cloud.cloud, shown(&why))?;
    if cloud.incidents.is_empty() {
        writeln!(out, "  no new incident")?;
    }
    cloud.incidents.iter().try_for_each(|verdict| print_incident(verdict, out))?;
    if !cloud.out_of_service.is_empty() {
        writeln!(out, "  out of service: {}", cloud.out_of_service.join(", "))?;
    }
    Ok(())
}

fn print_incident(verdict: &Expected, out: &mut dyn Write) -> std::io::Result<()> {
    let place = verdict.target.host.as_deref().unwrap_or("self");
    let part = verdict.target.component.as_ref().map_or_else(String::new, |part| format!("/{part}"));
    writeln!(
        out,
        "  incident: {}/{} on {place}{part}, {}, impact {}, runbook {}",
        verdict.class.as_str(),
        verdict.subtype,
        verdict.severity.as_str(),
        verdict.impact.as_str(),
        verdict.runbook
    )?;
    let hidden: Vec<String> = verdict
        .suppressed
        .iter()
        .map(|one| {
            let place = one.host.as_deref().unwrap_or_default();
            one.component.as_ref().map_or_else(|| place.to_owned(), |part| format!("{place}/{part}"))
        })
        .collect();
    if !hidden.is_empty() {
        writeln!(out, "    told as its effects: {}", hidden.join(", "))?;
    }
    Ok(())
}

fn changed(before: State, after: State) -> String {
    if before == after { after.as_str().to_owned() } else { format!("{} -> {}", before.as_str(), after.as_str()) }
}

fn spare(before: Option<Redundancy>, after: Option<Redundancy>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before.left != after.left => {
            format!(", survives {} more failures (before: {})", after.left, before.left)
        }
        (_, Some(after)) => format!(", survives {} more failures", after.left),
        (_, None) => String::new(),
    }
}

fn print_all(answers: &[Answer], out: &mut dyn Write) -> std::io::Result<()> {
    let single = answers.iter().filter(|answer| answer.is_single_point()).count();
    writeln!(out, "{single} of {} elements are single points of failure.", answers.len())?;
    writeln!(out, "{:<24} {:<12} {:<9} {:<9} {:>4}  incident", "element", "Core", "impact", "severity", "out")?;
    for answer in answers {
        let core = answer.clouds.iter().map(|cloud| State::from(cloud.after.state)).min().unwrap_or(State::Available);
        let weight = answer.weight();
        let element = answer.assumed.first().map(ToString::to_string).unwrap_or_default();
        writeln!(
            out,
            "{element:<24} {:<12} {:<9} {:<9} {:>4}  {}{}",
            core.as_str(),
            weight.impact.as_str(),
            weight.severity.as_str(),
            weight.out,
            answer.headline(),
            if answer.is_single_point() { "  SINGLE POINT" } else { "" }
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
