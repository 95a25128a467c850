//! `[[business]]`, and whether every name in an availability expression means something.

use std::sync::Arc;

use stentor_core::availability::business::{self, Business};
use stentor_core::availability::{Expr, Known, PieceKind, ground};

use super::all;
use super::finding::{Diagnostics, suggest};
use super::objects::{Builder, Names};
use super::pack::read_availability;
use super::tree::{At, Section};

/// Reads the business services; hosts, services and topologies must be there, and the catalog indexed.
pub(super) fn read(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    check_cores(roots, builder, found);
    let sections = all(roots, "business", "[[business]]", found);
    let mut names = Names::new("business service");
    let mut rows: Vec<(&Section<'_>, Business)> = Vec::new();
    for section in &sections {
        let Some(name) = section.needed("name", found) else { continue };
        if names.define(&name, found).is_none() {
            continue;
        }
        if section.needed("expression", found).is_none() {
            continue;
        }
        let Some(expression) = read_availability(section, "expression", found) else { continue };
        let row = Business {
            name: name.value.into(),
            display: section.text_or("display", name.value, found).into(),
            expression,
            cloud: cloud_of(section, builder, found),
            slo: slo_of(section, found),
        };
        rows.push((section, row));
    }
    let all_names: Vec<&str> = rows.iter().map(|(_, row)| &*row.name).collect();
    for (section, row) in &rows {
        let home = row.cloud.as_ref().and_then(|name| builder.catalog.clouds.iter().position(|c| c.name == *name));
        let known = known(builder, home, &all_names);
        tell_lost(section, "expression", &row.expression, &known, found);
    }
    let (sections, businesses): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    for row in business::order(&businesses).1 {
        let message = format!("business service `{}` stands on itself", businesses[row].name);
        found.error("cyclic-business", &sections[row].at, message, "take one `business:` out of the circle");
    }
    builder.catalog.businesses = businesses;
}

fn cloud_of(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<Arc<str>> {
    let clouds = &builder.catalog.clouds;
    let named = section.text("cloud", found).and_then(|text| builder.clouds.find(&text, found));
    let only = (clouds.len() == 1).then_some(0);
    named.or(only).and_then(|row| clouds.get(row)).map(|cloud| Arc::clone(&cloud.name))
}

fn slo_of(section: &Section<'_>, found: &mut Diagnostics) -> Option<f64> {
    section.has("slo").then(|| section.number_or("slo", 99.9, 0.0..=100.0, found))
}

fn known<'b>(builder: &'b Builder<'_>, home: Option<usize>, businesses: &[&'b str]) -> Known<'b> {
    let clouds = builder.catalog.clouds.iter().map(|cloud| (&cloud.name, &cloud.topology)).collect();
    Known { clouds, home, catalog: Some(&builder.catalog), businesses: businesses.to_vec() }
}

/// The Core of a cloud stands on that cloud alone.
fn check_cores(roots: &[Section<'_>], builder: &Builder<'_>, found: &mut Diagnostics) {
    for section in all(roots, "cloud", "[[cloud]]", &mut Diagnostics::default()) {
        let Some(name) = section.text("name", &mut Diagnostics::default()) else { continue };
        let Some(cloud) = builder.catalog.clouds.iter().find(|cloud| *cloud.name == *name.value) else { continue };
        let Some(expr) = cloud.topology.core.as_ref().filter(|_| section.has("core")) else { continue };
        let known = Known {
            clouds: vec![(&cloud.name, &cloud.topology)],
            home: Some(0),
            catalog: Some(&builder.catalog),
            businesses: Vec::new(),
        };
        let grounded = tell_lost(&section, "core", expr, &known, found);
        let alien = |kind| matches!(kind, PieceKind::Service | PieceKind::Business | PieceKind::Core);
        if let Some(piece) = grounded.pieces.iter().find(|piece| alien(piece.kind)) {
            let message = format!("a Core cannot stand on `{piece}`");
            found.error("bad-expression", &place(&section, "core"), message, "a [[business]] can");
        }
    }
}

fn place(section: &Section<'_>, key: &str) -> super::finding::Place {
    section.node(key).map_or_else(|| section.at.clone(), |node| node.at.clone())
}

fn tell_lost(
    section: &Section<'_>,
    key: &'static str,
    expr: &Expr,
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> stentor_core::availability::Grounded {
    let (grounded, lost) = ground(expr, known);
    let text = section.text(key, &mut Diagnostics::default());
    for lost in lost {
        let at = text.as_ref().map_or_else(|| section.at.clone(), |text| within(text, &lost.name, found));
        let help = suggest(&lost.name, lost.known.iter().map(String::as_str));
        found.error("unknown-name", &at, format!("unknown {} `{}`", lost.what, lost.name), help);
    }
    grounded
}

/// The place of a name in the text of the expression.
fn within(text: &At<&str>, name: &str, found: &Diagnostics) -> super::finding::Place {
    match text.value.find(name) {
        Some(offset) => super::pack::inside_text(text, offset, found),
        None => text.at.clone(),
    }
}
