//! `/c/{cloud}/matrix`: which failure is this, what do users notice, how is it restored?

use askama::Template;
use stentor_core::catalog::Cell;
use stentor_core::id::CloudId;

use super::overview::{clouds_of, short_name};
use super::shell::{Ctx, Scope, Shell};
use crate::web::board::{self, Board, BoardCell, BoardRow};
use crate::web::links::encode;
use crate::web::parts::{self as p, Mark, Pips};
use crate::web::words;

#[derive(Template)]
#[template(path = "matrix.html")]
pub struct MatrixPage {
    pub shell: Shell,
    pub sub: String,
    pub board: FullMatrix,
}

#[derive(Template)]
#[template(path = "frag_fullmatrix.html")]
pub struct FullMatrix {
    pub boards: Vec<FullBoard>,
}

pub struct FullBoard {
    pub cloud: String,
    pub rows: Vec<FullRow>,
    pub coverage: String,
}

pub struct FullRow {
    pub id: String,
    pub name: String,
    pub role: String,
    pub deployed: bool,
    pub pips: Pips,
    pub up: String,
    pub cells: Vec<FullCell>,
}

pub struct FullCell {
    /// Of the column, where a phone shows the cell without its header.
    pub label: &'static str,
    pub href: String,
    pub mark: Mark,
    pub heading: String,
    pub behaviour: String,
    pub runbook: Runbook,
    pub deployed: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Runbook {
    Written,
    Unverified,
    Missing,
}

/// Characters of behaviour in a cell; the cell's own page has all of it.
const BEHAVIOUR_CHARS_MAX: usize = 150;

impl FullMatrix {
    pub fn build(ctx: Ctx<'_>) -> FullMatrix {
        let boards = clouds_of(ctx).into_iter().filter_map(|id| {
            let board = board::board(ctx.snapshot, id)?;
            Some(full_board(ctx, id, &board))
        });
        FullMatrix { boards: boards.collect() }
    }
}

fn full_board(ctx: Ctx<'_>, id: CloudId, board: &Board) -> FullBoard {
    let scope = Scope::Cloud(id, board.cloud.clone());
    let rows: Vec<FullRow> = board.rows.iter().map(|row| full_row(ctx, &scope, board, row)).collect();
    let used = || rows.iter().filter(|row| row.deployed).flat_map(|row| &row.cells);
    let count = |wanted| used().filter(|cell| cell.runbook == wanted).count();
    FullBoard {
        cloud: board.cloud.to_string(),
        coverage: format!(
            "Runbooks: {} from documentation or source, {} unverified, {} missing, of {} cells in use",
            count(Runbook::Written),
            count(Runbook::Unverified),
            count(Runbook::Missing),
            used().count()
        ),
        rows,
    }
}

pub fn role(row: &BoardRow) -> String {
    let kind = match &*row.redundancy {
        "active_active" => "active/active",
        "active_passive" => "active/passive",
        "single" => "single, no standby",
        "many" => "many",
        "" => "redundancy not described",
        other => return words::spaced(other),
    };
    if row.core { format!("Core · {kind}") } else { words::sentence(kind) }
}

fn full_row(ctx: Ctx<'_>, scope: &Scope, board: &Board, row: &BoardRow) -> FullRow {
    let Pips { up, total, need, .. } = row.pips;
    FullRow {
        id: row.key.to_string(),
        name: short_name(&row.name),
        role: if row.is_deployed() { role(row) } else { "Not deployed".to_owned() },
        deployed: row.is_deployed(),
        pips: row.pips,
        up: if need > 0 { format!("{up} of {total}, needs {need}") } else { format!("{up} of {total}") },
        cells: row.cells.iter().map(|cell| full_cell(ctx, scope, board, row, cell)).collect(),
    }
}

pub fn runbook_state(ctx: Ctx<'_>, cell: Option<&Cell>) -> Runbook {
    match cell {
        Some(cell) if ctx.snapshot.catalog.runbook(&cell.runbook).is_some() => {
            if super::cell::founded_words(cell.founded).1
                && super::cell::drilled(ctx.snapshot, &cell.key.to_string()).is_none()
            {
                Runbook::Unverified
            } else {
                Runbook::Written
            }
        }
        Some(_) | None => Runbook::Missing,
    }
}

pub fn heading(cell: &BoardCell) -> String {
    let incident = cell.incidents.first().map(|n| format!(" · INC-{n}")).unwrap_or_default();
    match cell.mark {
        None => "Not deployed".to_owned(),
        Some(Mark::Ok | Mark::Up) => "OK".to_owned(),
        Some(Mark::Pend) => "Not checked yet".to_owned(),
        Some(_) => format!("{} of {}{incident}", cell.affected, cell.total.max(cell.affected)),
    }
}

fn full_cell(ctx: Ctx<'_>, scope: &Scope, board: &Board, row: &BoardRow, cell: &BoardCell) -> FullCell {
    let key = format!("{}/{}/{}", board.platform, row.key, cell.failure_type.as_str());
    let described = ctx.snapshot.catalog.cell(&key);
    FullCell {
        label: super::cell::type_words(cell.failure_type),
        href: scope.path(&format!("/matrix/{}/{}", encode(&row.key), cell.failure_type.as_str())),
        mark: cell.mark.unwrap_or(Mark::Pend),
        heading: heading(cell),
        behaviour: described.map(|cell| words::cut(&cell.behaviour, BEHAVIOUR_CHARS_MAX)).unwrap_or_default(),
        runbook: runbook_state(ctx, described),
        deployed: cell.mark.is_some(),
    }
}

pub fn build(ctx: Ctx<'_>, shell: Shell) -> MatrixPage {
    let board = FullMatrix::build(ctx);
    let components = board.boards.first().map_or(0, |board| board.rows.len());
    let sub = match components {
        0 => "No cloud is configured here, so there is no failure matrix.".to_owned(),
        n => format!(
            "What fails, how it fails, what users notice and how to restore it. {} components, three failure types.",
            words::sentence(&words::small(n))
        ),
    };
    MatrixPage { shell, sub, board }
}
