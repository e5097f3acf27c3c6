//! The database: SQLite embedded on one machine, PostgreSQL for a fleet, with one SQL text.
//!
//! In: a [`Config`]. Out: a [`Db`] whose schema is up to date, and the words to use it: [`on!`] runs one text on
//! whichever pool there is, [`transaction!`] does several as one. Rooms own their SQL and their rows; this room owns
//! pools, migrations, transactions and what differs between the two dialects. Never here: a query built from text of
//! strangers; a database file that others may read; a statement that waits without a bound.
//!
//! Rules for the text, so that it means the same to both: placeholders are `$1`; times are milliseconds since the
//! epoch in `BIGINT`; ids, enumerations and JSON are `TEXT`; truth is `BOOLEAN`; what is single-use is taken by a
//! conditional write (`DELETE … RETURNING`, `UPDATE … WHERE … RETURNING`), never read first. Where a migration has
//! to differ it says so: `{{bytes}}` and `{{serial}}` (see `migrate`).

mod config;
mod db;
mod error;
mod migrate;
mod notice;
mod transaction;

pub use config::{Config, Place};
pub use db::Db;
#[doc(hidden)]
pub use db::Pool as __pool;
pub use error::StorageError;
pub use notice::Notices;
#[doc(hidden)]
pub use transaction::begin_sqlite;

/// The library beneath, for rows and bindings.
pub use sqlx;
