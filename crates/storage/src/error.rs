//! What can go wrong between a room and its rows.

use model::ErrorKind;
use std::path::PathBuf;

/// A statement, a transaction or the opening of a database failed. Its text is for the operator: it may name hosts
/// and tables, never a bound value.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached, or did not answer in time.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// A row with the same key is there already.
    #[error("a row with this key exists")]
    Conflict,
    /// A row that the schema forbids: a missing parent, a value out of its list.
    #[error("the database refuses the row")]
    Refused(#[source] sqlx::Error),
    /// A row holds what its reader cannot read.
    #[error("a row cannot be read: {0}")]
    Corrupt(String),
    /// The schema could not be brought up to date.
    #[error("migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The file could not be made, or others may read it.
    #[error("open {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection URL is none. It is not shown: it may hold a password.
    #[error("not the URL of a PostgreSQL database")]
    Url,
    /// The database said no for another reason.
    #[error("the database failed")]
    Other(#[source] sqlx::Error),
}

impl StorageError {
    /// Its kind, for metrics and replies.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Conflict => ErrorKind::Invalid,
            Self::Refused(_)
            | Self::Corrupt(_)
            | Self::Migrate(_)
            | Self::File { .. }
            | Self::Url
            | Self::Other(_) => ErrorKind::Internal,
        }
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(said) if said.is_unique_violation() => Self::Conflict,
            sqlx::Error::Database(said) if said.is_foreign_key_violation() || said.is_check_violation() => {
                Self::Refused(error)
            }
            // SQLite: busy, locked, full, read-only, cannot open. PostgreSQL: class 08, 53, 57.
            sqlx::Error::Database(said) if said.code().is_some_and(|code| is_absence(&code)) => {
                Self::Unavailable(error)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::ColumnDecode { index, .. } => Self::Corrupt(index.clone()),
            sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) | sqlx::Error::TypeNotFound { .. } => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Other(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StorageError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migrate(error)
    }
}

fn is_absence(code: &str) -> bool {
    matches!(code, "5" | "6" | "8" | "13" | "14")
        || (code.len() == 5 && ["08", "53", "57"].iter().any(|class| code.starts_with(class)))
}
