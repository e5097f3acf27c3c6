//! The schema, step by step. Steps only expand; what is no longer used is dropped two releases later, so that an
//! older program beside a newer schema, and a newer beside an older one for a moment, both work.
//!
//! A step is one text for both databases. `{{bytes}}` is a column of bytes, `{{serial}}` a primary key that counts
//! up by itself. Steps are named `NNNN_what.sql`; the number orders them and is never used twice.

use crate::db::Pool;
use crate::{Db, StorageError};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// Does what was not done yet, under a lock of the database.
pub(crate) async fn run(db: &Db) -> Result<(), StorageError> {
    run_steps(db, STEPS).await
}

/// The same with some of the steps, as an older program would.
pub(crate) async fn run_steps(db: &Db, steps: &[Step]) -> Result<(), StorageError> {
    let (bytes, serial) = match db.pool {
        Pool::Sqlite(_) => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        Pool::Postgres(_) => ("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    };
    let step = |(number, name, text): &Step| {
        let text = text.replace("{{bytes}}", bytes).replace("{{serial}}", serial);
        Migration::new(
            *number,
            (*name).into(),
            MigrationType::Simple,
            AssertSqlSafe(text).into_sql_str(),
            false,
        )
    };
    let mut migrator = Migrator::with_migrations(steps.iter().map(step).collect());
    // A newer program may have been here.
    migrator.set_ignore_missing(true);
    crate::on!(db, pool => migrator.run(pool).await)?;
    Ok(())
}

/// Its number, its name and its text.
type Step = (i64, &'static str, &'static str);

macro_rules! steps {
    ($($number:literal $name:literal),* $(,)?) => {
        &[$(($number, $name, include_str!(concat!("../migrations/", $number, "_", $name, ".sql")))),*]
    };
}

/// Every step there is. A room takes a hundred numbers of its own.
pub(crate) const STEPS: &[Step] = steps![
    1000 "keys",
    2000 "revocations",
    2010 "spared_grants",
    3000 "authorize",
    3010 "grants",
    4000 "people",
    4010 "sessions",
    4020 "consents",
    4030 "vouchers",
    5000 "agents",
    5010 "device",
    6000 "token_contracts",
    7000 "admin",
];

#[cfg(test)]
mod tests {
    use super::STEPS;

    #[test]
    fn every_file_is_a_step_and_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let steps: Vec<String> =
            STEPS.iter().map(|(number, name, _)| format!("{number}_{name}.sql")).collect();
        assert_eq!(files, steps);
    }
}
