//! Section `storage`.

use super::check::{At, Check};
use super::server::{SecretSection, Surroundings};
use ::storage::{Config, Place};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The database: a file of SQLite, or PostgreSQL, which replicas share.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StorageSection {
    /// The file of SQLite. Default: `portunus.db` in the data folder.
    sqlite: Option<PathBuf>,
    /// The URL of PostgreSQL (`postgres://user:password@host/database`), by reference.
    postgres: Option<SecretSection>,
    /// The most connections at once. Default: 8.
    connections: Option<u32>,
}

impl StorageSection {
    pub(super) fn check(
        self,
        data_dir: &Path,
        around: &Surroundings<'_>,
        at: &At,
        check: &mut Check,
    ) -> Option<Config> {
        if self.sqlite.is_some() && self.postgres.is_some() {
            check.fault(at, "two databases", "`sqlite` or `postgres`");
        }
        if self.connections == Some(0) {
            check.fault(&at.key("connections"), "no connections", "at least 1");
        }
        let place = match self.postgres {
            None => Place::Sqlite(data_dir.join(self.sqlite.unwrap_or_else(|| FILE.into()))),
            Some(section) => {
                let here = at.key("postgres");
                match section.reference(around, &here, check)?.read() {
                    Ok(url) => Place::Postgres(url),
                    Err(error) => {
                        check.fault(&here, error.to_string(), "a secret that can be read");
                        return None;
                    }
                }
            }
        };
        let usual = Config::at(place);
        Some(Config { connections: self.connections.unwrap_or(usual.connections), ..usual })
    }
}

/// The database of a gateway that was told of none.
const FILE: &str = "portunus.db";
