//! The one YAML file: read, checked as a whole, turned into what each room wants to be told.
//!
//! A good file costs one parse. A bad one is read again as a tree with places, held against the generated
//! JSON schema and checked as far as it goes, so that all faults come at once.

mod address;
mod admin_api;
mod authorization_server;
mod check;
mod diagnose;
mod downstream;
mod egress;
mod fault;
mod file;
mod insert;
mod issuer;
mod limits;
mod listen;
mod log;
mod opaque;
mod record;
mod reference;
mod revocation;
mod server;
mod settings;
mod shape;
mod storage;
mod tenant;
mod toolset;
mod traces;
mod tree;
mod units;
mod yaml;

pub use authorization_server::AuthorizationServer;
pub use fault::{Fault, Refusal};
pub use listen::Listen;
pub use log::{Format, Log};
pub use record::Record;
pub use reference::reference;
pub use settings::Settings;
pub use traces::Traces;

pub(crate) use address::{WebAddress, is_loopback};
pub(crate) use insert::InsertError;
pub(crate) use yaml::Yaml;

use std::path::{Path, PathBuf};

/// A configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file has faults.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// Reads and checks a file.
///
/// # Errors
/// [`ConfigError`] with every fault of the file.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&path.display().to_string(), &text, folder_of(path))
        .map_err(|refusal| ConfigError::Refused(Box::new(refusal)))
}

/// The data folder that a file names, whatever else it says: who reads a record needs none of the secrets, keys
/// or servers that the rest of it is about.
///
/// # Errors
/// [`ConfigError`] when the file cannot be read, or is no YAML at all.
pub(crate) fn data_dir(path: &Path) -> Result<PathBuf, ConfigError> {
    #[derive(serde::Deserialize)]
    struct Place {
        data_dir: Option<PathBuf>,
    }
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let base = folder_of(path);
    match serde_saphyr::from_str_with_options::<Place>(&text, options()) {
        Ok(Place { data_dir }) => Ok(base.join(data_dir.as_deref().unwrap_or(Path::new(settings::DATA_DIR)))),
        Err(_) => {
            Err(ConfigError::Refused(Box::new(diagnose::refusal(&path.display().to_string(), &text, base))))
        }
    }
}

/// Where a file's relative paths start.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Checks the text of a file called `name`; relative paths start at `base`.
///
/// # Errors
/// [`Refusal`] with every fault of the text.
pub fn parse(name: &str, text: &str, base: &Path) -> Result<Settings, Refusal> {
    if let Ok(file) = serde_saphyr::from_str_with_options::<file::File>(text, options()) {
        let mut check = check::Check::default();
        let settings = file.check(base, &mut check);
        if let (true, Some(settings)) = (check.faults.is_empty(), settings) {
            return Ok(settings);
        }
    }
    Err(diagnose::refusal(name, text, base))
}

/// The JSON schema of the file (draft 2020-12), generated from the types that read it.
pub fn schema() -> serde_json::Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<file::File>().to_value()
}

/// Reads a length of time as the configuration writes it: `30s`.
pub(crate) fn span(text: &str) -> Option<std::time::Duration> {
    units::span(text)
}

/// A file as plain JSON, whatever its sections say. `None` if it is no YAML.
pub(crate) fn document(text: &str) -> Option<serde_json::Value> {
    let tree: tree::Tree = serde_saphyr::from_str_with_options(text, options()).ok()?;
    Some(tree.to_json())
}

/// A file with more servers; nothing else in it changes.
///
/// # Errors
/// [`InsertError`].
pub(crate) fn with_servers(text: &str, added: &[(String, Yaml)]) -> Result<String, InsertError> {
    insert::servers(text, added)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { with_snippet: false }
}

const NAME_ACCEPTS: &str = "1 to 32 of a-z, 0-9 and -";

#[cfg(test)]
mod tests;
