//! Numbered, forward-only migrations, carried inside the binary. The same number does the same thing on each database.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::{Cause, SqlTrouble};

/// Number, what it does, its SQL.
pub type Step = (i64, &'static str, &'static str);

pub const JOURNAL: &[Step] = &[(1, "turns", include_str!("../../migrations/journal/0001_turns.sql"))];

pub const STORE_SQLITE: &[Step] = &[
    (1, "first light", include_str!("../../migrations/sqlite/0001_first_light.sql")),
    (2, "audit", include_str!("../../migrations/sqlite/0002_audit.sql")),
];

pub const STORE_POSTGRES: &[Step] = &[
    (1, "first light", include_str!("../../migrations/postgres/0001_first_light.sql")),
    (2, "audit", include_str!("../../migrations/postgres/0002_audit.sql")),
];

/// The migrations as sqlx wants them.
pub fn migrator(steps: &'static [Step]) -> Migrator {
    let migrations = steps
        .iter()
        .map(|&(number, name, sql)| {
            Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

/// Says what a failed migration means for the operator.
pub fn explain(error: MigrateError, steps: &'static [Step]) -> Cause {
    let known = steps.last().map_or(0, |step| step.0);
    match error {
        MigrateError::VersionMissing(found) => Box::new(SqlTrouble::NewerSchema { found, known }),
        MigrateError::VersionMismatch(version) => Box::new(SqlTrouble::ForeignSchema { version }),
        MigrateError::Execute(error) => Box::new(error),
        error => Box::new(SqlTrouble::Migration(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_carry_the_same_numbers_in_order() {
        let numbers = |steps: &[Step]| steps.iter().map(|step| (step.0, step.1)).collect::<Vec<_>>();
        assert_eq!(numbers(STORE_SQLITE), numbers(STORE_POSTGRES));
        for steps in [JOURNAL, STORE_SQLITE, STORE_POSTGRES] {
            for (position, step) in steps.iter().enumerate() {
                assert_eq!(step.0, position as i64 + 1, "{} is out of order", step.1);
            }
        }
    }
}
